//! One who takes all that can be had, beside twenty who do their work: the one is held by what was given to it, and the
//! twenty are served.

use crate::support::admin::{config, key};
use crate::support::{Connection, Setup, hello, post, until};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;
use tollgate_simulator::{Behaviour, Rule, Script};

/// Callers that do their work, and how often each asks.
const NORMAL: usize = 20;
const EACH: usize = 10;
/// What the abuser sends at the same time, and what it may have.
const FLOOD: usize = 300;
const PLACES: usize = 4;
const A_MINUTE: usize = 25;

fn request(key: &str) -> Vec<u8> {
    let bearer = format!("Bearer {key}");
    let mut body = hello("chat");
    body["max_tokens"] = json!(5);
    post("/v1/chat/completions", &[("authorization", &bearer)], body.to_string().as_bytes())
}

#[tokio::test]
async fn one_who_floods_is_held_by_its_own_limits_and_nobody_else_is() {
    let slow = Behaviour::new().text("one two").latency(Duration::from_millis(50));
    // Few places for all of them: whoever takes those that are not its own keeps others from theirs.
    let more = "tollgate_settings: {connections_max: 1000}\n";
    let setup = Setup::new(config(more)).script(Script::new().rule(Rule::any(slow))).connections_max(1_000);
    let app = setup.start().await;
    let limits = json!({"max_parallel_requests": PLACES, "rpm_limit": A_MINUTE});
    let abuser = key(&app, limits).await;
    let mut normal = Vec::new();
    for _ in 0..NORMAL {
        normal.push(key(&app, json!({"rpm_limit": EACH, "max_parallel_requests": 1})).await);
    }
    let address = app.address;
    let mut flood = JoinSet::new();
    for _ in 0..FLOOD {
        let request = request(&abuser);
        flood.spawn(async move {
            let mut connection = Connection::open(address).await;
            connection.write(&request).await;
            connection.answer().await.status
        });
    }
    until("the flood is there", || app.simulator.active_requests() >= PLACES).await;
    assert_eq!(app.simulator.active_requests(), PLACES);
    let mut working = JoinSet::new();
    for key in normal {
        let request = request(&key);
        working.spawn(async move {
            let mut served = 0;
            for _ in 0..EACH {
                let mut connection = Connection::open(address).await;
                connection.write(&request).await;
                served += usize::from(connection.answer().await.status == 200);
            }
            served
        });
    }
    assert_eq!(working.join_all().await, vec![EACH; NORMAL]);
    let told = flood.join_all().await;
    let served = told.iter().filter(|status| **status == 200).count();
    assert!((1..=A_MINUTE).contains(&served), "{served}");
    assert!(told.iter().all(|status| [200, 429].contains(status)), "{told:?}");
    assert_eq!(app.received().len(), served + NORMAL * EACH);
    app.stop().await;
}
