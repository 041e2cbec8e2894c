//! Admission: how many requests are served at one time, who waits, and who is sent away.

use crate::support::{Answer, App, Connection, advance, hello, many, post, seconds, settle, streamed};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

const CHAT: &str = "/v1/chat/completions";

fn config(places: u64, queued: u64) -> String {
    many(1, "")
        + &format!(
            "general_settings: {{max_in_flight_requests_per_worker: {places}, max_queued_requests_per_worker: {queued}, \
             admission_queue_timeout_seconds: 5}}\n"
        )
}

/// A provider that answers after a minute.
fn slow() -> Script {
    Script::new().rule(Rule::any(Behaviour::new().fault(Fault::SlowFirstEvent(seconds(60)))))
}

async fn send(app: &App, priority: u8, mut body: Value) -> Connection {
    body["priority"] = json!(priority);
    let mut connection = app.connect().await;
    connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
    settle().await;
    connection
}

fn is_overloaded(answer: &Answer) -> bool {
    answer.status == 503
        && answer.header("retry-after") == Some("1")
        && answer.error_message().starts_with("Overloaded")
}

#[tokio::test]
async fn beyond_the_limit_requests_wait_and_the_most_urgent_is_next() {
    let app = App::start(config(1, 2), slow()).await;
    let mut first = send(&app, 128, streamed(hello("m"))).await;
    app.until_waiting(1).await;
    let mut batch = send(&app, 200, hello("m")).await;
    let mut usual = send(&app, 128, hello("m")).await;
    assert_eq!(app.received().len(), 1, "two wait");
    // There is room for two: a third pushes the least urgent out, and its equal is refused.
    let mut urgent = send(&app, 1, hello("m")).await;
    assert!(is_overloaded(&batch.answer().await));
    assert!(is_overloaded(&send(&app, 128, hello("m")).await.answer().await));
    assert_eq!(app.received().len(), 1);
    // A stream keeps its place until it is over.
    app.simulator.script().clear();
    drop(first.try_head());
    drop(first);
    assert_eq!(urgent.answer().await.status, 200);
    assert_eq!(usual.answer().await.status, 200);
    assert_eq!(app.received().len(), 3);
    drop((urgent, usual, batch));
    app.stop().await;
}

#[tokio::test]
async fn a_wait_ends_after_its_time_with_a_503() {
    let app = App::start(config(1, 5), slow()).await;
    let held = send(&app, 128, streamed(hello("m"))).await;
    app.until_waiting(1).await;
    let mut waits = send(&app, 128, hello("m")).await;
    advance(seconds(6)).await;
    assert!(is_overloaded(&waits.answer().await));
    assert_eq!(app.received().len(), 1);
    drop((held, waits));
    app.stop().await;
}

#[tokio::test]
async fn a_caller_that_leaves_gives_its_place_back_wherever_it_was() {
    let app = App::start(config(1, 5), slow()).await;
    let held = send(&app, 128, streamed(hello("m"))).await;
    app.until_waiting(1).await;
    let gone = send(&app, 1, hello("m")).await;
    let mut waits = send(&app, 128, hello("m")).await;
    drop(gone);
    settle().await;
    app.simulator.script().clear();
    drop(held);
    assert_eq!(waits.answer().await.status, 200);
    assert_eq!(app.received().len(), 2);
    // All places are free again.
    for _ in 0..5 {
        assert_eq!(app.hello("m").await.status, 200);
    }
    drop(waits);
    app.stop().await;
}

#[tokio::test]
async fn many_requests_at_once_are_never_more_than_the_limit_and_all_answered_in_the_end() {
    let script = Script::new()
        .rule(Rule::any(Behaviour { latency: std::time::Duration::from_millis(5), ..Behaviour::new() }));
    let app = App::start(config(3, 100), script).await;
    let mut connections = Vec::new();
    for number in 0..40_u8 {
        let mut body = hello("m");
        body["priority"] = json!(number);
        let body = if number % 2 == 0 { body } else { streamed(body) };
        let mut connection = app.connect().await;
        connection.write(&post(CHAT, &[], body.to_string().as_bytes())).await;
        connections.push(connection);
    }
    for connection in &mut connections {
        assert!(app.simulator.active_requests() <= 3);
        assert_eq!(connection.answer().await.status, 200);
    }
    assert_eq!(app.received().len(), 40);
    drop(connections);
    app.stop().await;
}

#[tokio::test]
async fn without_a_limit_nobody_waits_and_a_reload_brings_one() {
    let app = App::start(many(1, ""), slow()).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(send(&app, 128, streamed(hello("m"))).await);
    }
    app.until_waiting(5).await;
    app.reload(&config(1, 0));
    let last = send(&app, 128, streamed(hello("m"))).await;
    app.until_waiting(6).await;
    assert!(is_overloaded(&app.hello("m").await));
    drop((held, last));
    app.stop().await;
}
