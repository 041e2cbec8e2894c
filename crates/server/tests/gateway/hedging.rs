//! A second deployment beside a slow first one.

use crate::support::{App, Wire, hello, model_list, post, seconds, settle, streamed};
use std::time::Duration;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

fn hedged(settings: &str) -> String {
    let of = |name: &str, order: u32| format!("{}, order: {order}", Wire::OpenAi.parameters(name));
    let (one, two, three) = (of("a", 1), of("b", 2), of("c", 3));
    let list = model_list(&[("m", one.as_str()), ("m", two.as_str()), ("m", three.as_str())]);
    format!("{list}tollgate_settings: {{hedge: {settings}}}\n")
}

fn slow(names: &[&str]) -> Script {
    names.iter().fold(Script::new(), |script, name| {
        script.rule(Rule::deployment(*name, Behaviour::new().latency(seconds(3_000))))
    })
}

#[tokio::test]
async fn a_late_first_deployment_loses_to_a_second_and_is_cancelled() {
    for stream in [false, true] {
        let app = App::start(hedged("{after: 50ms, max: 1, budget: 1.0}"), slow(&["a"])).await;
        let body = if stream { streamed(hello("m")) } else { hello("m") };
        let answer = app.chat(&body).await;
        assert_eq!((answer.status, app.sends(["a", "b", "c"])), (200, [1, 1, 0]));
        assert_eq!(answer.header("x-tollgate-hedged"), Some("true"));
        assert!(answer.header("x-tollgate-route").unwrap().ends_with("reason=hedge"));
        app.until("the loser is cancelled", |app| app.simulator.active_requests() == 0).await;
        // What the loser may have cost is the gateway's own, and the caller pays once.
        assert!(app.metric("tollgate_overhead_spend_total", &[]).await > 0.0);
        assert_eq!(app.metric("litellm_proxy_total_requests_metric_total", &[]).await, 1.0);
        assert_eq!(app.metric("litellm_deployment_failure_responses_total", &[]).await, 0.0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_quick_first_deployment_is_alone() {
    let app = App::start(hedged("{after: 20s, max: 2, budget: 1.0}"), Script::new()).await;
    for _ in 0..5 {
        let answer = app.hello("m").await;
        assert_eq!((answer.status, answer.header("x-tollgate-hedged")), (200, None));
    }
    assert_eq!(app.sends(["a", "b", "c"]), [5, 0, 0]);
    app.stop().await;
}

#[tokio::test]
async fn hedges_stay_within_their_budget() {
    let script = Script::new().rule(Rule::any(Behaviour::new().latency(Duration::from_millis(60))));
    // A tenth of the requests: the tenth is the first that may have one.
    let app = App::start(hedged("{after: 10ms, max: 2, budget: 10%}"), script).await;
    let mut hedged = Vec::new();
    for number in 1..=21 {
        if app.hello("m").await.header("x-tollgate-hedged").is_some() {
            hedged.push(number);
        }
    }
    assert_eq!(hedged, [10, 20]);
    assert_eq!(app.received().len(), 23);
    app.stop().await;
}

#[tokio::test]
async fn without_a_learned_time_nothing_is_hedged() {
    let script = Script::new().rule(Rule::any(Behaviour::new().latency(Duration::from_millis(30))));
    let app = App::start(hedged("{after: p95, max: 1, budget: 1.0}"), script).await;
    for _ in 0..3 {
        assert_eq!(app.hello("m").await.header("x-tollgate-hedged"), None);
    }
    assert_eq!(app.sends(["a", "b", "c"]), [3, 0, 0]);
    app.stop().await;
}

#[tokio::test]
async fn where_both_fail_the_next_deployment_is_tried() {
    let failing = Behaviour::new().latency(Duration::from_millis(100)).fault(Fault::status(500));
    let script =
        Script::new().rule(Rule::deployment("a", failing.clone())).rule(Rule::deployment("b", failing));
    let app = App::start(hedged("{after: 20ms, max: 1, budget: 1.0}"), script).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, app.sends(["a", "b", "c"])), (200, [1, 1, 1]), "{}", answer.text());
    app.stop().await;
}

#[tokio::test]
async fn what_a_failed_attempt_says_holds_while_the_request_waits_for_the_other() {
    let refusing = Behaviour::new().latency(Duration::from_millis(100));
    let refusing = refusing.fault(Fault::status_retry_after(429, "60"));
    let script = slow(&["b"]).rule(Rule::deployment("a", refusing));
    let app = App::start(hedged("{after: 20ms, max: 1, budget: 1.0}"), script).await;
    let mut waiting = app.connect().await;
    waiting.write(&post("/v1/chat/completions", &[], hello("m").to_string().as_bytes())).await;
    app.until("a has refused and b is silent", |app| {
        app.sends(["a", "b"]) == [1, 1] && app.simulator.active_requests() == 1
    })
    .await;
    settle().await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, app.sends(["a", "b", "c"])), (200, [1, 2, 1]), "a is paused");
    drop(waiting);
    app.stop().await;
}
