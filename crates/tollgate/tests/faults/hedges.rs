//! R9, the second half: another deployment is asked before the first has run out of its time.

use crate::support::{Load, Site, count, hello, open_ai};
use std::time::Duration;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

/// The group `m` of `a`, which is asked first, and `b`; hedged after 100 ms within this budget.
fn hedged(budget: &str) -> String {
    let [a, b] = [open_ai("m", "a", ", weight: 1"), open_ai("m", "b", ", weight: 0")];
    format!("model_list:\n{a}{b}tollgate_settings: {{hedge: {{after: 100ms, max: 1, budget: {budget}}}}}\n")
}

/// What answers report.
fn counted() -> Behaviour {
    Behaviour::new().tokens(TokenCounts { prompt: Some(100), completion: Some(10), ..TokenCounts::default() })
}

/// `a` takes ten minutes for so many requests.
fn slow(times: u64) -> Script {
    let slow = Rule::deployment("a", counted().latency(Duration::from_secs(600))).times(times);
    Script::new().rule(slow).rule(Rule::any(counted()))
}

#[tokio::test]
async fn r09_a_hedge_answers_in_place_of_the_slow_one_which_is_let_go_and_not_charged() {
    let site = Site::start(&hedged("100%"), slow(2)).await;
    let told = site.hello_stream("m").await;
    assert!(!told.complete("m").is_empty());
    assert_eq!(told.header("x-litellm-model-id"), Some("b"));
    assert!(told.header("x-tollgate-hedged").is_some(), "{:?}", told.head.headers);
    let answer = site.hello("m").await;
    assert_eq!((answer.status, answer.header("x-litellm-model-id")), (200, Some("b")));
    assert!(answer.header("x-tollgate-hedged").is_some());
    assert_eq!(site.order(), ["a", "b", "a", "b"]);
    site.until("the losers are let go", |site| site.simulator.active_requests() == 0).await;
    let received = site.received();
    assert!(received[0].hung_up && received[2].hung_up, "a loser was read to its end");
    // The callers are charged for the two answers that they have.
    let tokens = site.gateway.counted("litellm_output_tokens_metric_total", &["model_id=\"b\""]).await;
    assert_eq!(tokens, 20);
    assert_eq!(site.gateway.counted("litellm_output_tokens_metric_total", &["model_id=\"a\""]).await, 0);
    // One that is in time is not hedged.
    let told = site.stream(&hello("m")).await;
    assert!(told.header("x-tollgate-hedged").is_none(), "{:?}", told.head.headers);
    site.stop().await;
}

#[tokio::test]
async fn r09_hedges_stay_within_their_budget() {
    let slow = Behaviour::new().latency(Duration::from_millis(300));
    let site = Site::start(&hedged("10%"), Script::new().rule(Rule::any(slow))).await;
    let requests = count(100, 1_000);
    site.load(Load::new(requests, 20)).await.all_answered();
    let hedges = site.received().len() - requests;
    assert!((1..=requests / 10).contains(&hedges), "{hedges} hedges of {requests} requests");
    assert!(site.received().iter().filter(|request| request.hung_up).count() <= hedges);
    site.stop().await;
}
