//! What the running binary keeps over a restart: operators' words on deployments.
//!
//! Owns: kills of the process right after it has answered, starts beside a database of every kind. Leaves to others: what
//! a word means (the server's tests), the store's own promises.
//!
//! **Invariant:** counts and answers are asserted, never times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::cell::RefCell;
use support::{CONFIG, Gateway, Site, open_ai, patiently, post};
use tollgate_simulator::Script;

/// The gateway's database where nothing is configured.
const DATABASE: &str = "tollgate.db";

async fn site() -> Site {
    let list: String = ["a", "b"].map(|name| open_ai("m", name, "")).concat();
    Site::start(&format!("model_list:\n{list}"), Script::new()).await
}

/// Says a word and returns whether it is kept.
async fn say(gateway: &Gateway, id: &str, state: &str, expires_in: &str) -> bool {
    let body = json!({"model_id": id, "state": state, "expires_in": expires_in});
    let mut connection = gateway.connect().await;
    connection.write(&post("/health/override", &[], body.to_string().as_bytes())).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["is_kept"].as_bool().unwrap()
}

/// The words that hold: deployment, state.
async fn words(gateway: &Gateway) -> Vec<(String, String)> {
    let listed: Value = serde_json::from_str(&gateway.get("/health/override").await).unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = listed["overrides"].as_array().unwrap().iter();
    rows.map(|row| (text(row, "model_id"), text(row, "state"))).collect()
}

fn word(id: &str, state: &str) -> (String, String) {
    (id.to_owned(), state.to_owned())
}

/// Asks so many times and counts the sends to `a` and `b`.
async fn sends(site: &Site, requests: usize) -> [usize; 2] {
    site.simulator.forget_received();
    for _ in 0..requests {
        let answer = site.hello("m").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    site.sends(["a", "b"])
}

#[tokio::test]
async fn a_word_outlives_a_kill_right_after_its_answer_until_it_is_taken_back() {
    let mut site = site().await;
    for state in ["down", "draining", "up", "down"] {
        assert!(say(&site.gateway, "a", state, "10m").await);
        site.gateway.restart(|_| {}).await;
        assert_eq!(words(&site.gateway).await, [word("a", state)]);
    }
    assert_eq!(sends(&site, 6).await, [0, 6], "from the first request on");
    assert!(site.gateway.log_text().contains("an operator's word still holds"));
    assert!(say(&site.gateway, "a", "auto", "10m").await);
    site.gateway.restart(|_| {}).await;
    assert_eq!(words(&site.gateway).await, []);
    site.stop().await;
}

#[tokio::test]
async fn a_word_ends_when_it_would_have_ended_without_the_restart() {
    let mut site = site().await;
    assert!(say(&site.gateway, "a", "down", "1h").await && say(&site.gateway, "b", "down", "2h").await);
    site.gateway
        .restart(|folder| {
            // As if the process had been away for an hour.
            let database = rusqlite::Connection::open(folder.join(DATABASE)).unwrap();
            database.execute("UPDATE overrides SET expires_at = expires_at - 3600", []).unwrap();
        })
        .await;
    assert_eq!(words(&site.gateway).await, [word("b", "down")]);
    let listed: Value = serde_json::from_str(&site.gateway.get("/health/override").await).unwrap();
    let left = listed["overrides"][0]["expires_in_seconds"].as_u64().unwrap();
    assert!((1..=3_600).contains(&left), "{left}");
    assert_eq!(sends(&site, 3).await, [3, 0]);
    site.stop().await;
}

#[tokio::test]
async fn a_word_on_a_deployment_that_is_gone_is_ignored_and_the_log_says_so() {
    let mut site = site().await;
    assert!(say(&site.gateway, "a", "down", "1h").await && say(&site.gateway, "b", "up", "1h").await);
    site.gateway
        .restart(|folder| {
            let file = folder.join(CONFIG);
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replace("id: a", "id: c")).unwrap();
        })
        .await;
    assert_eq!(words(&site.gateway).await, [word("b", "up")]);
    let log = site.gateway.log_text();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("that is not there is ignored")).collect();
    assert!(told.len() == 1 && told[0].contains("deployment=a"), "{told:?}");
    site.stop().await;
}

#[tokio::test]
async fn a_gateway_does_not_start_on_a_database_that_it_cannot_read() {
    let site = site().await;
    assert_eq!(sends(&site, 1).await.iter().sum::<usize>(), 1);
    let ended = site.gateway.start_in_vain(|folder| {
        std::fs::remove_file(folder.join(format!("{DATABASE}-wal"))).ok();
        std::fs::write(folder.join(DATABASE), "this is no database").unwrap();
    });
    let log = ended.await;
    assert!(log.contains("the books cannot be read") && log.contains(DATABASE), "{log}");
}

#[tokio::test]
async fn a_gateway_that_nobody_has_asked_anything_makes_no_database() {
    let mut site = site().await;
    site.gateway.restart(|folder| assert!(!folder.join(DATABASE).exists())).await;
    site.stop().await;
}

#[tokio::test]
async fn a_database_that_another_process_has_locked_delays_nobody_but_the_operator() {
    let mut site = site().await;
    assert!(say(&site.gateway, "b", "up", "10m").await);
    let lock = RefCell::new(None);
    site.gateway
        .restart(|folder| {
            let database = rusqlite::Connection::open(folder.join(DATABASE)).unwrap();
            database.execute_batch("BEGIN IMMEDIATE").unwrap();
            lock.replace(Some(database));
        })
        .await;
    assert_eq!(words(&site.gateway).await, [word("b", "up")], "what is locked can be read");
    let served = async {
        patiently("the word holds", async { while words(&site.gateway).await.len() < 2 {} }).await;
        sends(&site, 4).await
    };
    let (is_kept, served) = tokio::join!(say(&site.gateway, "a", "down", "10m"), served);
    assert_eq!((is_kept, served), (false, [0, 4]));
    drop(lock);
    assert!(say(&site.gateway, "a", "down", "10m").await, "said again, it is");
    site.stop().await;
}
