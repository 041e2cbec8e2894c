//! Virtual keys: made, used, limited, changed and taken away, as callers and operators see it.

use crate::support::{Answer, App, Wire, hello, model_list, post, streamed};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

const MASTER: &str = "sk-master-0123456789";

fn config(more: &str) -> String {
    let entries = [Wire::OpenAi.parameters("a"), Wire::OpenAi.parameters("b")];
    let list = model_list(&[("chat", &entries[0]), ("other", &entries[1])]);
    format!("{list}general_settings: {{master_key: {MASTER}}}\n{more}")
}

/// 1,000 tokens of prompt and 100 of answer: $0.0035 by the price of gpt-4o.
fn counted() -> Script {
    let tokens = TokenCounts { prompt: Some(1_000), completion: Some(100), ..TokenCounts::default() };
    Script::new().rule(Rule::any(Behaviour::new().text("one two").tokens(tokens)))
}

async fn start(more: &str) -> App {
    App::start(config(more), counted()).await
}

async fn ask_as(app: &App, key: &str, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    app.ask(&post(path, &[("authorization", &bearer)], body.to_string().as_bytes())).await
}

async fn admin(app: &App, path: &str, body: Value) -> Answer {
    ask_as(app, MASTER, path, &body).await
}

async fn get_as(app: &App, key: &str, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\r\n");
    app.ask(request.as_bytes()).await
}

async fn key(app: &App, body: Value) -> String {
    let made = admin(app, "/key/generate", body).await;
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["key"].as_str().unwrap().to_owned()
}

async fn chat(app: &App, key: &str, body: &Value) -> Answer {
    ask_as(app, key, "/v1/chat/completions", body).await
}

#[tokio::test]
async fn a_key_is_made_used_seen_blocked_and_deleted() {
    let app = start("").await;
    let key = key(&app, json!({"key_alias": "k", "models": ["chat"], "metadata": {"u": "x"}})).await;
    assert!(key.starts_with("sk-") && key.len() == 46, "{key}");
    let answer = chat(&app, &key, &hello("chat")).await;
    assert_eq!((answer.status, answer.header("x-litellm-key-spend")), (200, Some("0.0035")));
    let info = get_as(&app, MASTER, &format!("/key/info?key={key}")).await;
    assert_eq!(info.json()["info"]["spend"], json!(0.0035));
    assert_eq!(info.json()["info"]["key_alias"], json!("k"));
    let own = get_as(&app, &key, "/key/info").await;
    assert_eq!(own.json()["info"]["spend"], json!(0.0035));
    let models = get_as(&app, &key, "/v1/models").await;
    let names: Vec<_> = models.json()["data"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
    assert_eq!(names, [json!("chat")]);
    let denied = chat(&app, &key, &hello("other")).await;
    assert_eq!((denied.status, &denied.json()["error"]["type"]), (403, &json!("key_model_access_denied")));
    assert_eq!(admin(&app, "/key/block", json!({"key": key})).await.status, 200);
    let blocked = chat(&app, &key, &hello("chat")).await;
    assert_eq!((blocked.status, &blocked.json()["error"]["type"]), (401, &json!("auth_error")));
    assert_eq!(admin(&app, "/key/unblock", json!({"key": key})).await.status, 200);
    assert_eq!(chat(&app, &key, &hello("chat")).await.status, 200);
    let listed = get_as(&app, MASTER, "/key/list").await;
    assert_eq!(listed.json()["total_count"], json!(1));
    assert_eq!(admin(&app, "/key/delete", json!({"key_aliases": ["k"]})).await.status, 200);
    let gone = chat(&app, &key, &hello("chat")).await;
    assert_eq!((gone.status, &gone.json()["error"]["type"]), (401, &json!("token_not_found_in_db")));
    app.stop().await;
}

#[tokio::test]
async fn a_key_may_not_make_keys() {
    let app = start("").await;
    let key = key(&app, json!({})).await;
    let refused = ask_as(&app, &key, "/key/generate", &json!({})).await;
    assert_eq!(refused.status, 401);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("Authentication Error, Only proxy admin can be used to generate"),
        "{message}"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_spent_budget_refuses_and_says_whose_it_is() {
    let app = start("tollgate_settings: {budget_maximum: refuse}\n").await;
    // The prompt's bytes and 5 tokens of answer: some 40 tokens of $2.50 and 5 of $10 a million at most.
    let key = key(&app, json!({"max_budget": 0.001})).await;
    let mut small = hello("chat");
    small["max_tokens"] = json!(5);
    let first = chat(&app, &key, &small).await;
    assert_eq!((first.status, first.header("x-litellm-key-max-budget")), (200, Some("0.001")));
    assert_eq!(first.header("x-tollgate-budget-remaining"), Some("0.001"));
    assert_eq!(first.header("x-tollgate-budget-scope"), Some("key"));
    let second = chat(&app, &key, &small).await;
    let error = &second.json()["error"];
    assert_eq!((second.status, &error["type"]), (422, &json!("budget_exceeded")));
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("Budget has been exceeded! Key=key (sk-..."), "{message}");
    assert!(message.ends_with("Current cost: 0.0035, Max budget: 0.001"), "{message}");
    assert_eq!(app.received().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_maximum_that_the_budget_does_not_leave_is_lowered_and_told() {
    let app = start("").await;
    let key = key(&app, json!({"max_budget": 0.005})).await;
    let mut long = hello("chat");
    long["max_tokens"] = json!(4_000);
    let answer = chat(&app, &key, &long).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lowered: u64 = answer.header("x-tollgate-max-tokens-lowered").unwrap().parse().unwrap();
    assert!((400..500).contains(&lowered), "{lowered}");
    let sent = app.received()[0].json();
    assert_eq!((&sent["max_tokens"], sent.get("max_completion_tokens")), (&json!(lowered), None));
    app.stop().await;
}

#[tokio::test]
async fn of_many_at_once_as_many_pass_as_the_budget_is_for() {
    let app = start("tollgate_settings: {budget_maximum: refuse}\n").await;
    let key = key(&app, json!({"max_budget": 0.0035})).await;
    let mut body = hello("chat");
    // $0.0035 are held for each: 350 tokens of answer, less those of the prompt.
    body["max_tokens"] = json!(300);
    let asked = (0..20).map(|_| chat(&app, &key, &body));
    let answers = futures_util::future::join_all(asked).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 422).count();
    assert_eq!((passed, refused), (1, 19));
    app.stop().await;
}

#[tokio::test]
async fn a_rate_limit_refuses_with_its_scope_and_when_there_is_room() {
    let app = start("").await;
    let key = key(&app, json!({"rpm_limit": 2, "model_rpm_limit": {"other": 1}})).await;
    let first = chat(&app, &key, &hello("chat")).await;
    assert_eq!(first.header("x-litellm-key-rpm-limit"), Some("2"));
    assert_eq!(first.header("x-ratelimit-api_key-remaining-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-api_key-limit-requests"), Some("2"));
    assert_eq!(chat(&app, &key, &hello("other")).await.status, 200);
    let refused = chat(&app, &key, &hello("chat")).await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["type"]), (429, &json!("throttling_error")));
    assert_eq!(refused.header("rate_limit_type"), Some("requests"));
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("Rate limit exceeded for api_key: "), "{message}");
    assert!(
        message.contains("Limit type: requests. Current limit: 2, Remaining: 0. Limit resets at: "),
        "{message}"
    );
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((55..=61).contains(&seconds), "{seconds}");
    app.stop().await;
}

#[tokio::test]
async fn a_model_of_a_key_has_its_own_limit() {
    let app = start("").await;
    let key = key(&app, json!({"model_rpm_limit": {"other": 1}})).await;
    assert_eq!(chat(&app, &key, &hello("other")).await.status, 200);
    let refused = chat(&app, &key, &hello("other")).await;
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Rate limit exceeded for model_per_key: "), "{message}");
    assert!(message.contains(":other. Limit type: requests."), "{message}");
    assert_eq!(chat(&app, &key, &hello("chat")).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_is_paid_for_and_no_answer_is_cut_for_a_limit_of_tokens() {
    let app = start("").await;
    let key = key(&app, json!({"tpm_limit": 10_000})).await;
    let answer = chat(&app, &key, &streamed(hello("chat"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(app.received()[0].json().get("max_tokens"), None);
    let info = get_as(&app, &key, "/key/info").await;
    assert_eq!(info.json()["info"]["spend"], json!(0.0035));
    // 1,100 real tokens in place of what was reserved.
    let next = chat(&app, &key, &hello("chat")).await;
    let left: u64 = next.header("x-ratelimit-api_key-remaining-tokens").unwrap().parse().unwrap();
    assert!((7_800..8_900).contains(&left), "{left}");
    app.stop().await;
}

#[tokio::test]
async fn a_key_that_is_regenerated_keeps_what_it_has_spent() {
    let app = start("").await;
    let old = key(&app, json!({"max_budget": 1, "key_alias": "k"})).await;
    assert_eq!(chat(&app, &old, &hello("chat")).await.status, 200);
    let made = admin(&app, &format!("/key/{old}/regenerate"), json!({})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let new = made.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(chat(&app, &old, &hello("chat")).await.status, 401);
    let answer = chat(&app, &new, &hello("chat")).await;
    assert_eq!((answer.status, answer.header("x-litellm-key-spend")), (200, Some("0.007")));
    app.stop().await;
}

#[tokio::test]
async fn a_form_with_a_member_that_there_is_not_is_refused_by_name() {
    let app = start("").await;
    let refused = admin(&app, "/key/generate", json!({"max_budgte": 5})).await;
    assert_eq!(refused.status, 400);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("max_budgte") && message.contains("max_budget"), "{message}");
    let weak = admin(&app, "/key/generate", json!({"key": "sk-short"})).await;
    assert_eq!((weak.status, &weak.json()["error"]["param"]), (400, &json!("key")));
    app.stop().await;
}
