//! What callers meet while part of the deployments are out or full: whoever can still serve them does.

use crate::support::{App, Setup, Wire, advance, hello, model_list, post, seconds, settle, streamed};
use serde_json::json;
use std::time::Duration;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

fn list(entries: &[(&str, &str, &str)]) -> String {
    let rows: Vec<(&str, String)> =
        entries.iter().map(|(group, name, more)| (*group, Wire::OpenAi.parameters(name) + more)).collect();
    model_list(&rows.iter().map(|(group, parameters)| (*group, parameters.as_str())).collect::<Vec<_>>())
}

fn failing(name: &str, status: u16) -> Rule {
    Rule::deployment(name, Behaviour::new().fault(Fault::status(status)))
}

fn slow(name: &str, milliseconds: u64) -> Rule {
    Rule::deployment(name, Behaviour::new().latency(Duration::from_millis(milliseconds)))
}

#[tokio::test]
async fn after_a_failure_a_request_waits_for_a_place_at_who_has_not_failed_it() {
    let yaml = list(&[("m", "a", ", weight: 1000000"), ("m", "b", ", weight: 1, max_parallel_requests: 2")])
        + "router_settings: {disable_cooldowns: true}\ntollgate_settings: {retry_budget: {ratio: 1}}\n";
    let app = App::start(yaml, Script::new().rule(failing("a", 500)).rule(slow("b", 100))).await;
    let mut callers = Vec::new();
    for _ in 0..8 {
        let mut caller = app.connect().await;
        caller.write(&post("/v1/chat/completions", &[], hello("m").to_string().as_bytes())).await;
        callers.push(caller);
    }
    let mut statuses = Vec::new();
    for caller in &mut callers {
        statuses.push(caller.answer().await.status);
    }
    assert_eq!((statuses, app.sends(["b"])), (vec![200; 8], [8]));
    app.stop().await;
}

#[tokio::test]
async fn canned_answers_keep_nobody_from_waiting_for_a_place() {
    let yaml = list(&[("m", "a", ", max_parallel_requests: 1")])
        + "tollgate_settings: {tiers: [{model: m}, {canned: {faq: faq.yaml}}]}\n";
    let faq = "- {questions: [Are you open on Sundays?], answer: Yes.}\n";
    let script = Script::new().rule(slow("a", 300));
    let app = Setup::new(yaml).file("faq.yaml", faq).script(script).start().await;
    let (mut one, mut two) = (app.connect().await, app.connect().await);
    let request = post("/v1/chat/completions", &[], hello("m").to_string().as_bytes());
    one.write(&request).await;
    app.until_waiting(1).await;
    two.write(&request).await;
    assert_eq!((one.answer().await.status, two.answer().await.status), (200, 200));
    app.stop().await;
}

/// One deployment `a`, ejected.
async fn ejected(settings: &str) -> App {
    let yaml = list(&[("m", "a", ""), ("n", "b", ""), ("o", "c", "")])
        + &format!("router_settings: {{num_retries: 0, allowed_fails: 0, {settings}}}\n");
    let app = App::start(yaml, Script::new().rule(failing("a", 500))).await;
    let _ = app.hello("m").await;
    settle().await;
    app
}

#[tokio::test]
async fn the_callers_own_mistake_is_told_as_such_by_a_group_that_is_out() {
    let app = ejected("fallbacks: [{m: [nobody]}]").await;
    app.simulator.script().set_rules(vec![failing("a", 400)]);
    let answer = app.hello("m").await;
    assert_eq!((answer.status, app.sends(["a"])), (400, [2]), "{}", answer.text());
    app.simulator.script().set_rules(vec![failing("a", 500)]);
    assert_eq!(app.hello("m").await.status, 500, "the failure of the group that was asked for");
    app.stop().await;
}

#[tokio::test]
async fn where_the_group_that_was_asked_for_is_out_the_failure_of_the_next_is_told() {
    let app = ejected("fallbacks: [{m: [n]}]").await;
    app.simulator.script().set_rules(vec![failing("b", 401)]);
    let answer = app.hello("m").await;
    assert_eq!((answer.status, app.sends(["a", "b"])), (401, [1, 2]), "{}", answer.text());
    app.stop().await;
}

#[tokio::test]
async fn every_group_that_follows_keeps_a_send_for_itself() {
    let yaml = list(&[("m", "a", ""), ("n", "b", ""), ("o", "c", "")]);
    let both = || Script::new().rule(failing("a", 500)).rule(failing("b", 500));
    for settings in [
        "router_settings: {fallbacks: [{m: [n, o]}]}\n",
        "tollgate_settings: {tiers: [{model: m}, {model: n}, {model: o}]}\n",
        "router_settings: {num_retries: 5, fallbacks: [{m: [n, o]}]}\n",
    ] {
        let app = App::start(yaml.clone() + settings, both()).await;
        assert_eq!((app.hello("m").await.status, app.sends(["c"])), (200, [1]), "{settings}");
        let sends: usize = app.sends(["a", "b", "c"]).iter().sum();
        assert!(sends <= 6, "{settings}: {sends}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_configured_limit_is_one_attempts_and_others_follow_it() {
    let yaml = list(&[("m", "a", ", order: 1"), ("m", "b", ", order: 2")]);
    for settings in [
        "router_settings: {timeout: 2}\n",
        "litellm_settings: {request_timeout: 2}\n",
        "litellm_settings: {request_timeout: 2}\ntollgate_settings: {total_timeout_seconds: 30}\n",
    ] {
        for stream in [false, true] {
            let app = App::start(yaml.clone() + settings, Script::new().rule(slow("a", 3_000_000))).await;
            let body = if stream { streamed(hello("m")) } else { hello("m") };
            let mut caller = app.connect().await;
            caller.write(&post("/v1/chat/completions", &[], body.to_string().as_bytes())).await;
            app.until_waiting(1).await;
            advance(seconds(3)).await;
            assert_eq!((caller.answer().await.status, app.sends(["a", "b"])), (200, [1, 1]), "{settings}");
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn all_attempts_together_have_the_total_time() {
    let yaml = list(&[("m", "a", ", order: 1"), ("m", "b", ", order: 2")])
        + "router_settings: {timeout: 20}\ntollgate_settings: {total_timeout_seconds: 2}\n";
    let app = App::start(yaml, Script::new().rule(slow("a", 3_000_000))).await;
    let mut caller = app.connect().await;
    caller.write(&post("/v1/chat/completions", &[], hello("m").to_string().as_bytes())).await;
    app.until_waiting(1).await;
    advance(seconds(3)).await;
    assert_eq!((caller.answer().await.status, app.sends(["a", "b"])), (408, [1, 0]));
    app.stop().await;
}

#[tokio::test]
async fn a_rehearsal_passes_an_ejected_group_by_as_the_request_does() {
    let app = ejected("fallbacks: [{m: [n]}]").await;
    let told = app.post("/route/explain", &hello("m")).await.json();
    let answer = app.hello("m").await;
    assert_eq!((answer.status, app.sends(["a", "b"])), (200, [1, 2]));
    let asked = answer.header("x-litellm-model-id").unwrap();
    let plan = told["plan"].as_array().unwrap();
    assert_eq!((plan.len(), &plan[0]["model_id"]), (1, &json!(asked)), "{told}");
    assert_eq!(told["choice"]["nobody"], "ejected");
    app.stop().await;
    // Where nobody follows, the least bad is asked.
    let app = ejected("fallbacks: [{m: [nobody]}]").await;
    let told = app.post("/route/explain", &hello("m")).await.json();
    assert_eq!(told["plan"].as_array().unwrap().len(), 1, "{told}");
    app.stop().await;
}

#[tokio::test]
async fn who_comes_free_during_a_wait_is_asked_before_the_one_that_failed() {
    let yaml = list(&[("m", "a", ", order: 1"), ("m", "b", ", order: 2, rpm: 1")])
        + "router_settings: {retry_after: 70, disable_cooldowns: true}\n";
    let app = App::start(yaml, Script::new().rule(failing("a", 503))).await;
    // It takes the one place of the minute.
    assert_eq!((app.hello("m").await.status, app.sends(["a", "b"])), (200, [1, 1]));
    let mut caller = app.connect().await;
    caller.write(&post("/v1/chat/completions", &[], hello("m").to_string().as_bytes())).await;
    app.until("it was refused", |app| app.sends(["a"]) == [2]).await;
    settle().await;
    advance(seconds(71)).await;
    assert_eq!((caller.answer().await.status, app.sends(["a", "b"])), (200, [2, 2]));
    app.stop().await;
}

#[tokio::test]
async fn the_head_counts_what_failed_and_the_groups_that_are_there() {
    let yaml = list(&[("m", "a", ""), ("o", "c", "")])
        + "router_settings: {num_retries: 0, fallbacks: [{m: [nobody, o]}]}\n";
    let app = App::start(yaml, Script::new().rule(failing("a", 500))).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, answer.header("x-litellm-attempted-fallbacks")), (200, Some("1")));
    app.stop().await;
    let yaml = list(&[("m", "a", ", order: 1"), ("m", "b", ", order: 2")])
        + "tollgate_settings: {hedge: {after: 20ms, max: 1, budget: 1.0}}\n";
    let app = App::start(yaml, Script::new().rule(slow("a", 3_000_000))).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, answer.header("x-tollgate-hedged")), (200, Some("true")));
    assert_eq!(answer.header("x-litellm-attempted-retries"), Some("0"), "nothing has failed");
    app.stop().await;
}

#[tokio::test]
async fn a_hedge_is_told_of_only_where_there_may_be_one() {
    let yaml = |retries: u32| {
        list(&[("m", "a", ""), ("m", "b", "")])
            + &format!("router_settings: {{num_retries: {retries}}}\n")
            + "tollgate_settings: {hedge: {after: 50ms, max: 1}}\n"
    };
    for (retries, hedge) in [(0, json!(null)), (1, json!({"after_seconds": 0.05, "max": 1}))] {
        let app = App::start(yaml(retries), Script::new()).await;
        assert_eq!(app.post("/route/explain", &hello("m")).await.json()["hedge"], hedge);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_broke_waits_for_a_place_where_it_goes_on() {
    let yaml = list(&[("m", "a", ", weight: 1000000"), ("m", "b", ", weight: 1, max_parallel_requests: 1")]);
    let cut = Rule::deployment("a", Behaviour::new().fault(Fault::cut(3)));
    let app = App::start(yaml, Script::new().rule(cut).rule(slow("b", 100))).await;
    let mut callers = Vec::new();
    for _ in 0..4 {
        let mut caller = app.connect().await;
        caller.write(&post("/v1/chat/completions", &[], streamed(hello("m")).to_string().as_bytes())).await;
        callers.push(caller);
    }
    for caller in &mut callers {
        let answer = caller.answer().await;
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    }
    assert_eq!(app.sends(["b"]), [4]);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_is_a_failure_of_its_deployment_and_one_request() {
    let requests = "litellm_proxy_total_requests_metric_total";
    let yaml = list(&[("m", "a", ", order: 1"), ("m", "b", ", order: 2")]);
    let cut = || Script::new().rule(Rule::deployment("a", Behaviour::new().fault(Fault::cut(3))));
    let app = App::start(yaml.clone(), cut()).await;
    assert!(app.chat(&streamed(hello("m"))).await.text().ends_with("data: [DONE]\n\n"));
    app.until("the answer is settled", |app| app.gateway.in_flight() == 0).await;
    assert_eq!(app.metric(requests, &["status_code=\"200\""]).await, 1.0);
    assert_eq!(app.metric("litellm_deployment_failure_responses_total", &[]).await, 1.0);
    assert_eq!(app.metric("litellm_deployment_success_responses_total", &[]).await, 1.0);
    app.stop().await;
    let app = App::start(yaml + "tollgate_settings: {rescue: false}\n", cut()).await;
    assert!(app.chat(&streamed(hello("m"))).await.text().contains("\"error\""));
    app.until("the answer is settled", |app| app.gateway.in_flight() == 0).await;
    assert_eq!(app.metric(requests, &["status_code=\"500\""]).await, 1.0);
    assert_eq!(app.metric(requests, &[]).await, 1.0);
    assert_eq!(app.metric("litellm_deployment_success_responses_total", &[]).await, 0.0);
    app.stop().await;
}

#[tokio::test]
async fn an_answer_that_does_not_do_is_paid_for_by_the_gateway_and_given_where_nobody_follows() {
    let yaml = list(&[("m", "a", ""), ("n", "b", "")]) + "router_settings: {num_retries: 0}\n";
    let quality =
        "tollgate_settings: {tiers: [{model: m, move_on: [quality]}, {model: n, move_on: [quality]}]}\n";
    let empty = Rule::any(Behaviour::new().text(""));
    let app = App::start(yaml + quality, Script::new().rule(empty)).await;
    let answer = app.hello("m").await;
    assert_eq!((answer.status, app.sends(["a", "b"])), (200, [1, 1]), "{}", answer.text());
    assert!(app.metric("tollgate_overhead_spend_total", &["model_id"]).await > 0.0);
    app.stop().await;
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_head_is_counted() {
    let app = App::start(list(&[("m", "a", "")]), Script::new().rule(slow("a", 3_000_000))).await;
    let mut caller = app.connect().await;
    caller.write(&post("/v1/chat/completions", &[], hello("m").to_string().as_bytes())).await;
    app.until_waiting(1).await;
    drop(caller);
    app.until("it is let go", |app| app.gateway.in_flight() == 0).await;
    assert_eq!(app.metric("tollgate_client_disconnects_total", &[]).await, 1.0);
    app.stop().await;
}
