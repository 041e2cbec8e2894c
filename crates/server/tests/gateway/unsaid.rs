//! Limits that nobody wrote into a key: places for all callers together and for each key, and a model's rates for each key.

use crate::promised_scopes::under_way;
use crate::support::admin::{MASTER, admin, chat, config, counted, key, made};
use crate::support::{Answer, App, Wire, hello, model_list, seconds, settle};
use serde_json::json;
use tollgate_simulator::{Behaviour, Rule, Script};

/// A file with more of `general_settings`.
fn with(more: &str) -> String {
    let before = format!("{{master_key: {MASTER}}}");
    config("").replace(&before, &format!("{{master_key: {MASTER}, {more}}}"))
}

/// A gateway whose providers take their time.
async fn slow(more: &str) -> App {
    let slow = Rule::any(Behaviour::new().latency(seconds(3_000)));
    App::start(with(more), Script::new().rule(slow)).await
}

fn limit(answer: &Answer) -> (u16, String) {
    (answer.status, answer.error_message())
}

#[tokio::test]
async fn all_callers_together_have_so_many_places() {
    let app = slow("global_max_parallel_requests: 2").await;
    let (one, other) = (key(&app, json!({})).await, key(&app, json!({})).await);
    let first = under_way(&app, &one, &hello("chat")).await;
    app.until_waiting(1).await;
    let second = under_way(&app, MASTER, &hello("chat")).await;
    app.until_waiting(2).await;
    let (status, said) = limit(&chat(&app, &other, &hello("chat")).await);
    assert_eq!(status, 429);
    assert!(said.contains("Limit type: max_parallel_requests. Current limit: 2, Remaining: 0."), "{said}");
    assert_eq!(app.received().len(), 2);
    app.simulator.script().set_rules(vec![Rule::any(Behaviour::new().text("one"))]);
    drop(first);
    app.until("a place is free", |app| app.gateway.in_flight() == 1).await;
    settle().await;
    assert_eq!(chat(&app, &other, &hello("chat")).await.status, 200);
    drop(second);
    app.stop().await;
}

#[tokio::test]
async fn a_key_that_says_nothing_of_places_has_as_many_as_the_operator_says() {
    let app = slow("max_parallel_requests: 1").await;
    let usual = key(&app, json!({})).await;
    let own = key(&app, json!({"max_parallel_requests": 2})).await;
    let mut open = vec![under_way(&app, &usual, &hello("chat")).await];
    app.until_waiting(1).await;
    let (status, said) = limit(&chat(&app, &usual, &hello("chat")).await);
    assert_eq!(status, 429);
    assert!(said.starts_with("Rate limit exceeded for api_key: "), "{said}");
    assert!(said.contains("Limit type: max_parallel_requests. Current limit: 1, Remaining: 0."), "{said}");
    for count in 2..=3 {
        open.push(under_way(&app, &own, &hello("chat")).await);
        app.until_waiting(count).await;
    }
    assert_eq!(chat(&app, &own, &hello("chat")).await.status, 429);
    // A file that says another number is held to at once, also by keys that are in use.
    app.reload(&with("max_parallel_requests: 2"));
    open.push(under_way(&app, &usual, &hello("chat")).await);
    app.until_waiting(4).await;
    assert_eq!(chat(&app, &usual, &hello("chat")).await.status, 429);
    drop(open);
    app.stop().await;
}

#[tokio::test]
async fn a_key_that_says_nothing_of_models_has_the_rates_of_their_deployments() {
    let entry = |name: &str, more: &str| format!("{}{more}", Wire::OpenAi.parameters(name));
    let list = model_list(&[
        ("chat", &entry("a", ", default_api_key_rpm_limit: 3")),
        ("chat", &entry("b", ", default_api_key_rpm_limit: 2")),
        ("other", &entry("c", ", default_api_key_tpm_limit: 1400")),
        ("free", &entry("d", "")),
    ]);
    let app = App::start(format!("{list}general_settings: {{master_key: {MASTER}}}\n"), counted()).await;
    made(&app, "/team/new", json!({"team_id": "t", "model_rpm_limit": {"chat": 4}})).await;
    let passes = async |key: &str, model: &str| {
        for passed in 0..6 {
            let answer = chat(&app, key, &hello(model)).await;
            if answer.status != 200 {
                let (status, said) = limit(&answer);
                assert_eq!(status, 429, "{said}");
                return (passed, said);
            }
        }
        (6, String::new())
    };
    let (first, second) = (key(&app, json!({})).await, key(&app, json!({})).await);
    // Each key has its own, by the lowest figure of the deployments.
    for key in [&first, &second] {
        let (passed, said) = passes(key, "chat").await;
        assert_eq!(passed, 2);
        assert!(
            said.starts_with("Rate limit exceeded for model_per_key: ") && said.contains(":chat."),
            "{said}"
        );
        assert_eq!(passes(key, "other").await.0, 1);
        assert_eq!(passes(key, "free").await.0, 6);
    }
    // Who says something of models has said all, and so has a team for its keys.
    let own = key(&app, json!({"model_rpm_limit": {"other": 100}})).await;
    assert_eq!((passes(&own, "chat").await.0, passes(&own, "other").await.0), (6, 1));
    let teams = key(&app, json!({"team_id": "t"})).await;
    assert_eq!(passes(&teams, "chat").await.0, 4);
    assert_eq!(passes(MASTER, "chat").await.0, 6);
    // What a key says later goes from then on.
    let changed = json!({"key": first, "model_rpm_limit": {"chat": 5}});
    assert_eq!(admin(&app, "/key/update", changed).await.status, 200);
    assert_eq!(passes(&first, "chat").await.0, 3);
    app.stop().await;
}
