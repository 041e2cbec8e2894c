//! Limits of deployments: what they hold exactly, who waits for a place, and what is said where none comes free.

use crate::support::{App, Wire, advance, hello, model_list, post, seconds, settle};
use std::time::Duration;
use tollgate_simulator::{Behaviour, RateLimit, Rule, Script};

fn limited(rows: &[(&str, &str)], settings: &str) -> String {
    let rows: Vec<(&str, String)> =
        rows.iter().map(|(name, more)| ("m", format!("{}{more}", Wire::OpenAi.parameters(name)))).collect();
    let list: Vec<(&str, &str)> =
        rows.iter().map(|(group, parameters)| (*group, parameters.as_str())).collect();
    model_list(&list) + settings
}

#[tokio::test]
async fn requests_per_minute_hold_exactly_and_other_deployments_take_the_rest() {
    let app = App::start(limited(&[("a", ", rpm: 3"), ("b", ", rpm: 4")], ""), Script::new()).await;
    for sent in 1..=7 {
        assert_eq!(app.hello("m").await.status, 200, "{sent}");
    }
    assert_eq!(app.sends(["a", "b"]), [3, 4]);
    let answer = app.hello("m").await;
    assert_eq!((answer.status, app.sends(["a", "b"])), (429, [3, 4]));
    let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&retry_after), "{retry_after}");
    assert!(answer.error_message().starts_with("No deployments available for selected model, Try again in "));
    advance(seconds(61)).await;
    assert_eq!(app.hello("m").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_request_waits_for_a_place_and_goes_when_one_comes_free() {
    let slow = Behaviour::new().latency(Duration::from_millis(300));
    let script = Script::new().rule(Rule::any(slow));
    let app = App::start(limited(&[("a", ", max_parallel_requests: 1")], ""), script).await;
    let (mut one, mut two) = (app.connect().await, app.connect().await);
    let request = post("/v1/chat/completions", &[], hello("m").to_string().as_bytes());
    one.write(&request).await;
    app.until_waiting(1).await;
    two.write(&request).await;
    settle().await;
    assert_eq!(app.received().len(), 1, "the second one waits");
    assert_eq!((one.answer().await.status, two.answer().await.status), (200, 200));
    assert_eq!(app.received().len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_request_waits_for_tokens_that_those_under_way_have_reserved_and_will_not_take() {
    let slow = Script::new().rule(Rule::any(Behaviour::new().latency(Duration::from_millis(300))));
    let app = App::start(limited(&[("a", ", tpm: 1000")], ""), slow).await;
    let request = post("/v1/chat/completions", &[], hello("m").to_string().as_bytes());
    let mut connections = Vec::new();
    for _ in 0..5 {
        let mut connection = app.connect().await;
        connection.write(&request).await;
        connections.push(connection);
    }
    app.until_waiting(3).await;
    assert_eq!(app.sends(["a"]), [3], "the others wait");
    for mut connection in connections {
        let answer = connection.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(app.sends(["a"]), [5]);
    app.stop().await;
}

#[tokio::test]
async fn who_waits_in_vain_or_finds_no_room_to_wait_gets_a_503() {
    let slow = Script::new().rule(Rule::any(Behaviour::new().latency(seconds(3_000))));
    let settings = "tollgate_settings: {queue: {max_wait_seconds: 5, size: 1}}\n";
    let app = App::start(limited(&[("a", ", max_parallel_requests: 1")], settings), slow).await;
    let mut connections =
        [app.connect().await, app.connect().await, app.connect().await, app.connect().await];
    let with = |priority: &str| {
        post("/v1/chat/completions", &[("x-litellm-priority", priority)], hello("m").to_string().as_bytes())
    };
    let [first, second, third, fourth] = &mut connections;
    first.write(&with("9")).await;
    app.until_waiting(1).await;
    second.write(&with("9")).await;
    settle().await;
    // No less urgent than the one that waits: refused at once.
    third.write(&with("9")).await;
    let refused = third.answer().await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    // A more urgent one takes its place.
    fourth.write(&with("1")).await;
    assert_eq!(second.answer().await.status, 503);
    settle().await;
    advance(seconds(6)).await;
    assert_eq!(fourth.answer().await.status, 503);
    assert_eq!(app.received().len(), 1);
    drop(connections);
    app.stop().await;
}

#[tokio::test]
async fn without_a_queue_the_answer_is_at_once_and_with_a_fallback_it_comes_from_there() {
    let settings = "tollgate_settings: {queue: {enabled: false}}\n";
    let app = App::start(limited(&[("a", ", rpm: 1")], settings), Script::new()).await;
    assert_eq!(app.hello("m").await.status, 200);
    assert_eq!(app.hello("m").await.status, 429);
    app.stop().await;
    let other = Wire::OpenAi.parameters("b");
    let yaml = limited(&[("a", ", rpm: 1")], "")
        + "  - model_name: n\n    litellm_params: {"
        + &other
        + "}\nrouter_settings: {fallbacks: [{m: [n]}]}\n";
    let app = App::start(yaml, Script::new()).await;
    for group in ["m", "n", "n"] {
        let answer = app.hello("m").await;
        assert_eq!((answer.status, answer.header("x-litellm-model-group")), (200, Some(group)));
    }
    app.stop().await;
}

#[tokio::test]
async fn tokens_per_minute_are_reserved_from_the_estimate_and_settled_to_the_real_ones() {
    // A prompt of some 20 tokens that may answer with 400: two do not fit beside each other, but one after the other do.
    let app = App::start(limited(&[("a", ", tpm: 500")], ""), Script::new()).await;
    let mut body = hello("m");
    body["max_tokens"] = 400.into();
    for _ in 0..3 {
        assert_eq!(app.chat(&body).await.status, 200);
    }
    assert_eq!(app.received().len(), 3);
    body["max_tokens"] = 499.into();
    assert_eq!(app.chat(&body).await.status, 429);
    app.stop().await;
}

#[tokio::test]
async fn a_provider_that_says_it_has_nothing_left_is_not_asked_until_it_has() {
    let limit = RateLimit { requests: Some(3), tokens: None };
    let script = Script::new().rule(Rule::any(Behaviour::new().limit(limit)));
    let app = App::start(limited(&[("a", ""), ("b", "")], ""), script).await;
    for _ in 0..6 {
        assert_eq!(app.hello("m").await.status, 200);
    }
    let refused = app.hello("m").await;
    assert_eq!((refused.status, app.sends(["a", "b"])), (429, [3, 3]));
    assert!(refused.header("retry-after").is_some());
    assert!(app.received().iter().all(|got| got.status == 200), "nobody was asked in vain");
    app.stop().await;
}
