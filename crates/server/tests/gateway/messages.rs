//! The Anthropic surface: relayed byte for byte, translated, and in its own shape to the last error.

use crate::support::{App, Wire, data, model_list, post};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

fn groups() -> String {
    model_list(&[
        ("openai", &Wire::OpenAi.parameters("o")),
        ("anthropic", &Wire::Anthropic.parameters("a")),
        ("gemini", &Wire::Gemini.parameters("g")),
    ])
}

fn ask(model: &str) -> Value {
    json!({"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]})
}

#[tokio::test]
async fn a_body_between_two_ends_of_one_dialect_is_not_touched() {
    let app = App::start(groups(), Script::new()).await;
    let body = r#"{ "model" : "anthropic", "max_tokens":64,
        "messages":[{"role":"user","content":[{"text":"H\u00e9","type":"text","cache_control":{"type":"ephemeral"}}]}],
        "metadata":{"user_id":"u"}, "top_k":5 }"#;
    let headers = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "context-1m-2025-08-07")];
    let answer = app.ask(&post("/v1/messages?beta=true", &headers, body.as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["model"], "anthropic");
    let sent = app.received().remove(0);
    let expected = body.replace(r#""anthropic""#, r#""claude-sonnet-4-5""#);
    assert_eq!(String::from_utf8(sent.body.to_vec()).unwrap(), expected);
    assert_eq!(sent.header("anthropic-beta"), Some("context-1m-2025-08-07"));
    assert_eq!(sent.header("anthropic-version"), Some("2023-06-01"));
    app.stop().await;
}

#[tokio::test]
async fn every_wire_answers_plain_and_streamed() {
    let app = App::start(groups(), Script::new()).await;
    for group in ["openai", "anthropic", "gemini"] {
        let reply = app.post("/v1/messages", &ask(group)).await;
        assert_eq!(reply.status, 200, "{group}: {}", reply.text());
        let reply = reply.json();
        assert_eq!((reply["type"].as_str(), reply["model"].as_str()), (Some("message"), Some(group)));
        assert_eq!(
            (reply["stop_reason"].as_str(), reply["content"][0]["type"].as_str()),
            (Some("end_turn"), Some("text"))
        );
        let mut body = ask(group);
        body["stream"] = json!(true);
        let mut connection = app.connect().await;
        connection.write(&post("/v1/messages", &[], body.to_string().as_bytes())).await;
        let events: Vec<Value> = connection
            .stream()
            .await
            .rest()
            .await
            .iter()
            .map(|event| data(event))
            .filter(|event| event["type"] != "ping")
            .collect();
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!((kinds[0], kinds[1]), ("message_start", "content_block_start"), "{group}: {kinds:?}");
        assert_eq!(
            &kinds[kinds.len() - 3..],
            ["content_block_stop", "message_delta", "message_stop"],
            "{group}"
        );
        assert_eq!(events[0]["message"]["model"], group);
        let usage = &events[events.len() - 2]["usage"];
        assert_eq!(usage["output_tokens"], reply["usage"]["output_tokens"], "{group}: {usage}");
    }
    app.stop().await;
}

#[tokio::test]
async fn errors_are_in_anthropics_shape_on_every_path() {
    let yaml = format!("{}general_settings: {{master_key: sk-master}}\n", groups());
    let script = Script::new().rule(Rule::deployment("o", Behaviour::new().fault(Fault::status(429))));
    let app = App::start(yaml, script).await;
    let key = ("x-api-key", "sk-master");
    let check = async |headers: &[(&str, &str)], body: &str, status: u16, kind: &str| {
        let answer = app.ask(&post("/v1/messages", headers, body.as_bytes())).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let error = answer.json();
        assert_eq!(
            (error["type"].as_str(), error["error"]["type"].as_str()),
            (Some("error"), Some(kind)),
            "{error}"
        );
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    };
    check(&[], &ask("openai").to_string(), 401, "authentication_error").await;
    check(&[key], "{bad", 400, "invalid_request_error").await;
    check(&[key], &ask("nobody").to_string(), 400, "invalid_request_error").await;
    check(&[key], r#"{"model":"openai"}"#, 400, "invalid_request_error").await;
    check(
        &[key],
        r#"{"model":"gemini","messages":[{"role":"user","content":[{"type":"dance"}]}]}"#,
        400,
        "invalid_request_error",
    )
    .await;
    check(&[key], &ask("openai").to_string(), 429, "rate_limit_error").await;
    app.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_anthropics_error_event() {
    let script = Script::new().rule(Rule::any(Behaviour::new().fault(Fault::cut(2))));
    let app = App::start(groups(), script).await;
    for group in ["openai", "anthropic", "gemini"] {
        let mut body = ask(group);
        body["stream"] = json!(true);
        let mut connection = app.connect().await;
        connection.write(&post("/v1/messages", &[], body.to_string().as_bytes())).await;
        let last = connection.stream().await.rest().await.pop().unwrap();
        assert!(last.starts_with("event: error\n"), "{group}: {last}");
        assert_eq!(data(&last)["type"], "error");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_the_other_side_cannot_say_is_told_and_not_refused() {
    let app = App::start(groups(), Script::new()).await;
    let mut body = ask("openai");
    body["top_k"] = json!(5);
    body["messages"][0]["content"] =
        json!([{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]);
    let answer = app.post("/v1/messages", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let dropped = answer.header("x-tollgate-dropped").unwrap_or_default();
    assert!(dropped.contains("top_k") && dropped.contains("cache_control"), "{dropped}");
    app.stop().await;
}
