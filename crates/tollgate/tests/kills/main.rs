//! Kills of the running binary in the midst of requests under a budget, and what its books say afterwards.
//!
//! The callers and the providers are the oracle: what a caller has been answered stands in the books once, at the cost
//! that it was told or, where the kill came before that was on the disk, as a row that says so; what a provider has
//! received stands there at all. Five kills by default, 100 with
//! `TOLLGATE_TEST_LONG=1`.
//!
//! **Invariant:** counts and amounts are asserted, never times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use support::{Site, count, hello, ms, open_ai, patiently, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

const DATABASE: &str = "tollgate.db";
const MASTER: &str = "Bearer sk-master-0123456789";
/// Requests between two kills, all at once.
const REQUESTS: usize = 40;
/// $0.0035 by the price of gpt-4o, in picodollars.
const COST: i128 = 3_500_000_000;

async fn site() -> Site {
    let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
    let behaviour = Behaviour::new().text("one two three").tokens(tokens).latency(ms(20));
    let script = Script::new().rule(Rule::any(behaviour));
    let list: String = ["a", "b"].map(|name| open_ai("m", name, "")).concat();
    let yaml = format!("model_list:\n{list}general_settings: {{master_key: sk-master-0123456789}}\n");
    Site::start(&yaml, script).await
}

async fn key(site: &Site) -> String {
    let mut connection = site.connect().await;
    let body = json!({"max_budget": 1_000}).to_string();
    connection.write(&post("/key/generate", &[("authorization", MASTER)], body.as_bytes())).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["key"].as_str().unwrap().to_owned()
}

/// Sends one request, and says whether the whole answer came before the connection ended.
async fn ask(address: SocketAddr, key: String, call: String) -> Option<String> {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("x-litellm-call-id", &call), ("connection", "close")];
    let mut body = hello("m");
    body["max_tokens"] = json!(100);
    let request = post("/v1/chat/completions", &headers, body.to_string().as_bytes());
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(&request).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let text = String::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str::<Value>(body).ok()?;
    Some(call)
}

/// What the books have of each call: rows and their cost.
fn rows(folder: &Path) -> HashMap<String, Vec<(i128, bool)>> {
    let database = rusqlite::Connection::open(folder.join(DATABASE)).unwrap();
    let mut query = database.prepare("SELECT call_id, cost, recovered FROM attempts").unwrap();
    let read = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
    });
    let mut rows: HashMap<String, Vec<(i128, bool)>> = HashMap::new();
    for row in read.unwrap() {
        let (call, cost, recovered) = row.unwrap();
        rows.entry(call).or_default().push((i128::from(cost), recovered.unwrap_or_default() != 0));
    }
    rows
}

/// What the key's account without an end has.
fn settled(folder: &Path) -> i128 {
    let database = rusqlite::Connection::open(folder.join(DATABASE)).unwrap();
    let query = "SELECT settled FROM accounts WHERE kind = 'key' AND cadence = ''";
    let settled: String = database.query_row(query, [], |row| row.get(0)).unwrap();
    settled.parse().unwrap()
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_nothing_and_doubles_nothing() {
    let mut site = site().await;
    let key = key(&site).await;
    let mut answered: Vec<String> = Vec::new();
    for round in 0..count(5, 100) {
        let address = site.gateway.address;
        let calls = (0..REQUESTS)
            .map(|number| tokio::spawn(ask(address, key.clone(), format!("c-{round}-{number}"))));
        let calls: Vec<_> = calls.collect();
        // Another moment each time: before the first send, among the replies, after the last of them.
        tokio::time::sleep(ms(5 + (round as u64 * 37) % 180)).await;
        site.gateway.restart(|_| {}).await;
        for call in calls {
            answered.extend(call.await.unwrap());
        }
    }
    // One whole round, so that something was answered in any case.
    for number in 0..REQUESTS {
        answered.extend(ask(site.gateway.address, key.clone(), format!("last-{number}")).await);
    }
    assert!(answered.len() >= REQUESTS, "{}", answered.len());
    let received = site.received().len();
    let told = site.gateway.get_with(&format!("/key/info?key={key}"), &[("authorization", MASTER)]).await;
    let spend = serde_json::from_str::<Value>(&told).unwrap()["info"]["spend"].as_f64().unwrap();
    let folder = site.gateway.folder().to_owned();
    patiently("every row is in the books", async {
        loop {
            let all: usize = rows(&folder).values().map(Vec::len).sum();
            if all >= received && answered.iter().all(|call| rows(&folder).contains_key(call)) {
                return;
            }
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
    let rows = rows(&folder);
    let mut late = 0;
    for call in &answered {
        match rows.get(call).map(Vec::as_slice) {
            Some([(COST, false)]) => {}
            // Answered in the moment of the kill, before that was on the disk: booked as its intent says, and flagged.
            Some([(_, true)]) if !call.starts_with("last-") => late += 1,
            other => panic!("{call}: {other:?}"),
        }
    }
    let doubled: Vec<_> = rows.iter().filter(|(_, rows)| rows.len() > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let sum: i128 = rows.values().flatten().map(|(cost, _)| cost).sum();
    assert_eq!(settled(&folder), sum, "the account is the sum of its rows");
    let recovered = rows.values().flatten().filter(|(_, recovered)| *recovered).count();
    eprintln!(
        "{} answered, {late} of them while it was killed, {received} received, {} rows, {recovered} recovered",
        answered.len(),
        rows.len()
    );
    assert!((spend * 1e12 - sum as f64).abs() < 1e6, "{spend} {sum}");
    site.stop().await;
}
