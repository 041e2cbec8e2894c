//! Sensitive requests stay within the deployments that may see them, whatever happens there; counted at the providers.

use crate::support::{App, Wire, advance, hello, model_list, post, seconds, settle, streamed};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, ResetPoint, Rule, Script};

const CHAT: &str = "/v1/chat/completions";

/// Groups `m` and `other` of a deployment in the EU and one that says nothing, and every way from one to the other.
fn config(more: &str) -> String {
    let at = |name: &str, more: &str| format!("{}{more}", Wire::OpenAi.parameters(name));
    let entries = [
        ("m", at("out", ", weight: 100")),
        ("m", at("in", ", region_name: westeurope, weight: 1")),
        ("other", at("far", ", weight: 100")),
        ("other", at("near", ", region_name: swedencentral, weight: 1")),
        ("last", at("last", "")),
    ];
    let entries: Vec<(&str, &str)> = entries.iter().map(|(group, entry)| (*group, entry.as_str())).collect();
    format!("{}{more}", model_list(&entries))
}

const RULES: &str = "sensitive: [{tags: [pii], region: eu}]";

/// The same mark in each of its places: body, headers.
fn marked() -> Vec<(Value, Vec<(&'static str, &'static str)>)> {
    let with = |name: &str, value: Value| {
        let mut body = hello("m");
        body[name] = value;
        body
    };
    vec![
        (with("tags", json!(["pii"])), vec![]),
        (with("metadata", json!({"tags": ["x", "PII"]})), vec![]),
        (with("litellm_metadata", json!({"tags": ["pii"]})), vec![]),
        (hello("m"), vec![("x-litellm-tags", "a, pii")]),
        (hello("m"), vec![("x-litellm-tags", "a"), ("x-litellm-tags", "pii")]),
        (hello("m"), vec![("x-tollgate-region", "eu")]),
        (with("allowed_model_region", json!("eu")), vec![]),
    ]
}

const OUTSIDE: [&str; 3] = ["out", "far", "last"];

#[tokio::test]
async fn a_sensitive_request_never_reaches_a_deployment_outside() {
    let chains = [
        format!("router_settings: {{fallbacks: [{{m: [other, last]}}]}}\ntollgate_settings: {{{RULES}}}\n"),
        format!("router_settings: {{default_fallbacks: [other, last]}}\ntollgate_settings: {{{RULES}}}\n"),
        format!("tollgate_settings: {{{RULES}, tiers: [{{model: m}}, {{model: other}}, {{model: last}}]}}\n"),
    ];
    let faults = [
        None,
        Some(Fault::status(500)),
        Some(Fault::status_retry_after(429, "30")),
        Some(Fault::status(401)),
        Some(Fault::status(404)),
        Some(Fault::Reset(ResetPoint::BeforeHead)),
        Some(Fault::cut(3)),
    ];
    for chain in &chains {
        for fault in &faults {
            let app = App::start(config(chain), Script::new()).await;
            if let Some(fault) = fault {
                let failing = |name: &str| Rule::deployment(name, Behaviour::new().fault(fault.clone()));
                app.simulator.script().set_rules(vec![failing("in"), failing("near")]);
            }
            // Where there are failures each request waits for its retries; three of the places will do.
            for (body, headers) in marked().into_iter().step_by(if fault.is_some() { 3 } else { 1 }) {
                for body in [body.clone(), streamed(body)] {
                    let answer = app.ask(&post(CHAT, &headers, body.to_string().as_bytes())).await;
                    assert!(fault.is_some() || answer.status == 200, "{}", answer.text());
                }
            }
            assert_eq!(app.sends(OUTSIDE), [0, 0, 0], "{chain} {fault:?}");
            assert!(app.sends(["in"])[0] > 0);
            // Others go where their shares say.
            app.simulator.script().clear();
            for _ in 0..20 {
                app.hello("m").await;
            }
            assert!(app.sends(["out"])[0] > 0, "{chain} {fault:?}");
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn hedging_does_not_leave_the_allowed_deployments() {
    let more = format!("tollgate_settings: {{{RULES}, hedge: {{after: 1s, max: 3, budget: 100%}}}}\n");
    let app = App::start(config(&more), Script::new()).await;
    for _ in 0..40 {
        app.hello_with("m", &[("x-litellm-tags", "pii")]).await;
    }
    app.simulator.script().set_rules(vec![Rule::deployment("in", Behaviour::new().fault(Fault::Hang))]);
    let mut connection = app.connect().await;
    let body = hello("m").to_string();
    connection.write(&post(CHAT, &[("x-litellm-tags", "pii")], body.as_bytes())).await;
    app.until_waiting(1).await;
    for _ in 0..5 {
        advance(seconds(2)).await;
        settle().await;
    }
    assert_eq!((app.sends(["in"]), app.sends(OUTSIDE)), ([41], [0, 0, 0]));
    drop(connection);
    app.stop().await;
}

#[tokio::test]
async fn where_nobody_may_see_it_the_request_is_refused_by_the_policys_name_and_nothing_is_sent() {
    let chain = "router_settings: {fallbacks: [{last: [m]}], default_fallbacks: [last]}\n";
    let rules = "tollgate_settings: {sensitive: [{tags: [pii], data_residency: eu}, {tags: [hr], zero_data_retention: true}]}\n";
    let app = App::start(config(&format!("{chain}{rules}")), Script::new()).await;
    for (tags, policy) in [("pii", "data_residency"), ("hr", "data_retention"), ("hr,pii", "data_residency")]
    {
        for model in ["m", "last"] {
            let answer = app.hello_with(model, &[("x-litellm-tags", tags)]).await;
            assert_eq!((answer.status, answer.error()["type"].as_str()), (403, Some("permission_error")));
            assert!(answer.error_message().contains(policy), "{tags}: {}", answer.error_message());
        }
    }
    let answer = app.hello_with("m", &[("x-tollgate-region", "us")]).await;
    assert!(answer.status == 403 && answer.error_message().contains("(region)"), "{}", answer.text());
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_rule_and_a_request_that_contradict_each_other_admit_nobody() {
    let app = App::start(config(&format!("tollgate_settings: {{{RULES}}}\n")), Script::new()).await;
    let headers = [("x-litellm-tags", "pii"), ("x-tollgate-region", "us")];
    let answer = app.hello_with("m", &headers).await;
    assert_eq!((answer.status, app.received().len()), (403, 0), "{}", answer.text());
    app.stop().await;
}

#[tokio::test]
async fn more_tags_than_can_be_kept_are_refused_rather_than_forgotten() {
    let app = App::start(config(&format!("tollgate_settings: {{{RULES}}}\n")), Script::new()).await;
    let tags: Vec<String> = (0..70).map(|number| format!("t{number}")).chain(["pii".to_owned()]).collect();
    let answer = app.hello_with("m", &[("x-litellm-tags", &tags.join(","))]).await;
    assert_eq!((answer.status, app.received().len()), (400, 0), "{}", answer.text());
    app.stop().await;
}

#[tokio::test]
async fn what_passes_through_stays_within_the_allowed_deployments_too() {
    let yaml = format!(
        "{}tollgate_settings: {{{RULES}}}\nenvironment_variables: {{ANTHROPIC_API_KEY: sk-1, ANTHROPIC_API_BASE: \"http://{{sim}}\"}}\n",
        config("")
    );
    let app = App::start(yaml, Script::new()).await;
    for _ in 0..20 {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).to_string();
        let answer =
            app.ask(&post("/openai/chat/completions", &[("x-litellm-tags", "pii")], body.as_bytes())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!((app.sends(["in"]), app.sends(OUTSIDE)), ([20], [0, 0, 0]));
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for (headers, expect) in [(vec![("x-tollgate-region", "eu")], 403), (vec![], 200)] {
        let answer = app.ask(&post("/anthropic/v1/messages", &headers, body.to_string().as_bytes())).await;
        assert_eq!(answer.status, expect, "{}", answer.text());
    }
    assert_eq!(app.received().len(), 21);
    app.stop().await;
}

#[tokio::test]
async fn the_tokens_of_a_sensitive_prompt_are_not_counted_outside() {
    let claude = Wire::Anthropic.parameters("claude");
    let yaml = model_list(&[("m", &claude)]) + &format!("tollgate_settings: {{{RULES}}}\n");
    let app = App::start(yaml, Script::new()).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).to_string();
    let path = "/v1/messages/count_tokens";
    let counted = app.ask(&post(path, &[("x-litellm-tags", "pii")], body.as_bytes())).await;
    assert_eq!((counted.status, app.received().len()), (200, 0), "{}", counted.text());
    assert_eq!(app.ask(&post(path, &[], body.as_bytes())).await.status, 200);
    app.stop().await;
}
