//! Streams that break behind their reason to stop: the caller has the whole answer and gets a proper end, and the health of
//! the deployment hears of the break.

use crate::support::{App, RawProvider, Wire, model_list, post};
use serde_json::{Value, json};
use tollgate_simulator::Script;

const DONE: &str = "data: [DONE]\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

fn chunk(index: usize, content: &str, finish: Option<&str>) -> String {
    let choice = json!({"index": index, "delta": {"content": content}, "finish_reason": finish});
    let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    format!("data: {chunk}\n\n")
}

/// OpenAI's stream of an answer up to its reason to stop.
fn openais() -> String {
    chunk(0, "one ", None) + &chunk(0, "two", None) + &chunk(0, "", Some("stop"))
}

fn usage_chunk() -> String {
    let usage = json!({"prompt_tokens": 30, "completion_tokens": 2, "total_tokens": 32});
    let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage});
    format!("data: {chunk}\n\n")
}

/// Anthropic's stream of the same answer up to its reason to stop.
fn anthropics() -> String {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "c",
            "content": [], "stop_reason": null, "usage": {"input_tokens": 30, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one two"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 9}}),
    ];
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect()
}

/// How a provider's stream ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// As HTTP wants it.
    Closed,
    /// The connection closes within the transfer.
    Cut,
}

/// A gateway before a deployment of this wire that streams these bytes, and its provider.
async fn streaming(wire: Wire, body: &str, end: End) -> (App, RawProvider) {
    let last = if end == End::Closed { "0\r\n\r\n" } else { "" };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let provider = RawProvider::start(format!("{head}{:x}\r\n{body}\r\n{last}", body.len())).await;
    let parameters = wire.parameters("a").replace("{sim}", &provider.address.to_string());
    let yaml = model_list(&[("m", &parameters)]) + "router_settings: {num_retries: 0}\n";
    (App::start(yaml, Script::new()).await, provider)
}

/// A stream's request in a caller's dialect: its path, its body, and what its last event has.
fn callers() -> [(&'static str, Value, &'static str); 6] {
    let messages = json!([{"role": "user", "content": "hello"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "hello"}]}]);
    [
        ("/v1/chat/completions", json!({"model": "m", "stream": true, "messages": messages}), "[DONE]"),
        ("/v1/responses", json!({"model": "m", "stream": true, "input": "hello"}), "response.completed"),
        (
            "/v1/messages",
            json!({"model": "m", "stream": true, "max_tokens": 50, "messages": messages}),
            "message_stop",
        ),
        (
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            json!({"contents": contents}),
            "\"finishReason\":\"STOP\"",
        ),
        ("/v2/chat", json!({"model": "m", "stream": true, "messages": messages}), "[DONE]"),
        ("/v1/completions", json!({"model": "m", "stream": true, "prompt": "hello"}), "[DONE]"),
    ]
}

/// What the caller reads, all of it.
async fn read(app: &App, path: &str, body: &Value) -> String {
    let answer = app.ask(&post(path, &[], body.to_string().as_bytes())).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

async fn failures(app: &App) -> u64 {
    let known = app.get("/health/deployments?model=m").await.json();
    known["deployments"][0]["consecutive_failures"].as_u64().unwrap()
}

async fn counted(app: &App, name: &str, labels: &[&str]) -> u64 {
    format!("{:.0}", app.metric(name, labels).await.abs()).parse().unwrap()
}

async fn mended(app: &App) -> u64 {
    counted(app, "tollgate_rescues_total", &["outcome=\"mended\""]).await
}

#[tokio::test]
async fn a_stream_that_breaks_behind_its_reason_to_stop_ends_as_it_should_for_every_caller() {
    for (wire, sent) in [(Wire::OpenAi, openais()), (Wire::Anthropic, anthropics())] {
        for (path, body, end) in callers() {
            // OpenAI's own Responses say why they stop in their last event.
            if wire == Wire::OpenAi && path == "/v1/responses" {
                continue;
            }
            let (app, _provider) = streaming(wire, &sent, End::Cut).await;
            let text = read(&app, path, &body).await;
            let last = text.trim_end().rsplit("\n\n").next().unwrap();
            assert!(last.contains(end), "{wire:?} {path}: {text}");
            assert!(!text.contains("APIConnectionError"), "{wire:?} {path}: {text}");
            assert_eq!(text.matches(last).count(), 1, "{wire:?} {path}: {text}");
            app.stop().await;
        }
    }
}

#[tokio::test]
async fn the_end_of_the_same_dialect_is_the_providers_bytes_and_the_mark_alone() {
    let messages = &callers()[2];
    let (app, _provider) = streaming(Wire::Anthropic, &anthropics(), End::Cut).await;
    let expect = anthropics().replace("\"model\":\"c\"", "\"model\":\"m\"") + STOP;
    assert_eq!(read(&app, messages.0, &messages.1).await, expect);
    assert_eq!((mended(&app).await, failures(&app).await), (1, 1));
    // What it used came with the reason to stop, and counts.
    assert_eq!(counted(&app, "litellm_output_tokens_metric_total", &[]).await, 9);
    assert_eq!(counted(&app, "tollgate_estimated_usage_total", &[]).await, 0);
    app.stop().await;

    let chat = &callers()[0];
    let (app, _provider) = streaming(Wire::OpenAi, &openais(), End::Cut).await;
    assert_eq!(read(&app, chat.0, &chat.1).await, openais() + DONE);
    assert_eq!((mended(&app).await, failures(&app).await), (1, 1));
    assert_eq!(
        counted(&app, "litellm_output_tokens_metric_total", &[]).await,
        2,
        "estimated from seven bytes"
    );
    assert_eq!(counted(&app, "tollgate_estimated_usage_total", &[]).await, 1);
    app.stop().await;

    let (app, _provider) = streaming(Wire::OpenAi, &(openais() + &usage_chunk()), End::Cut).await;
    assert_eq!(read(&app, chat.0, &chat.1).await, openais() + DONE);
    assert_eq!(counted(&app, "litellm_input_tokens_metric_total", &[]).await, 30);
    assert_eq!(counted(&app, "tollgate_estimated_usage_total", &[]).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_proper_close_without_the_mark_hurts_nobody() {
    for (wire, sent, caller) in
        [(Wire::OpenAi, openais(), &callers()[0]), (Wire::Anthropic, anthropics(), &callers()[2])]
    {
        let (app, _provider) = streaming(wire, &sent, End::Closed).await;
        let text = read(&app, caller.0, &caller.1).await;
        assert!(text.trim_end().rsplit("\n\n").next().unwrap().contains(caller.2), "{text}");
        assert_eq!((mended(&app).await, failures(&app).await), (0, 0), "{wire:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn what_comes_behind_the_end_mark_hurts_nobody() {
    for (wire, sent, caller) in [
        (Wire::OpenAi, openais() + DONE, &callers()[0]),
        (Wire::Anthropic, anthropics() + STOP, &callers()[2]),
    ] {
        let (app, _provider) = streaming(wire, &sent, End::Cut).await;
        let text = read(&app, caller.0, &caller.1).await;
        assert_eq!((text.matches(caller.2).count() > 0, text.contains("error")), (true, false), "{text}");
        assert_eq!((mended(&app).await, failures(&app).await), (0, 0), "{wire:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_behind_the_answer_is_left_out() {
    let broken = "data: {\"broken\": \n\n";
    for (wire, sent, caller) in
        [(Wire::OpenAi, openais(), &callers()[0]), (Wire::OpenAi, openais(), &callers()[2])]
    {
        let (app, _provider) = streaming(wire, &(sent + broken), End::Cut).await;
        let text = read(&app, caller.0, &caller.1).await;
        assert!(text.trim_end().rsplit("\n\n").next().unwrap().contains(caller.2), "{text}");
        assert!(!text.contains("broken"), "{text}");
        assert_eq!(failures(&app).await, 1);
        app.stop().await;
    }
}

#[tokio::test]
async fn where_a_part_of_the_answer_is_missing_the_break_is_told() {
    let chat = &callers()[0];
    let mut two = chat.1.clone();
    two["n"] = json!(2);
    let error = "data: {\"error\": {\"message\": \"overloaded\", \"type\": \"server_error\"}}\n\n";
    for (sent, body) in [
        (chunk(0, "one", None) + &chunk(0, "two", None), &chat.1),
        // A reason that says nothing.
        (chunk(0, "one", Some("")) + &chunk(0, "two", Some("")), &chat.1),
        // One of two answers has ended.
        (chunk(0, "one", None) + &chunk(1, "uno", None) + &chunk(0, "", Some("stop")), &two),
        // The provider says that it failed.
        (openais() + error, &chat.1),
    ] {
        let (app, _provider) = streaming(Wire::OpenAi, &sent, End::Cut).await;
        let text = read(&app, chat.0, body).await;
        assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{sent}: {text}");
        assert_eq!((mended(&app).await, failures(&app).await), (0, 1));
        app.stop().await;
    }
    // And both of them.
    let both = chunk(0, "one", None) + &chunk(1, "uno", Some("stop")) + &chunk(0, "", Some("stop"));
    let (app, _provider) = streaming(Wire::OpenAi, &both, End::Cut).await;
    assert_eq!(read(&app, chat.0, &two).await, both + DONE);
    app.stop().await;
    let messages = &callers()[2];
    let open = anthropics().replace("\"stop_reason\":\"end_turn\"", "\"stop_reason\":null");
    let (app, _provider) = streaming(Wire::Anthropic, &open, End::Cut).await;
    let text = read(&app, messages.0, &messages.1).await;
    assert!(text.contains("event: error") && !text.contains("message_stop"), "{text}");
    app.stop().await;
}
