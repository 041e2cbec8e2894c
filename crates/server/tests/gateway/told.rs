//! What one side said and the other cannot: told in the head of a plain reply, in the log at the end of a stream.

use crate::support::{App, Wire, model_list, post, until};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};
use tracing::field::{Field, Visit};
use tracing::span;

/// Keeps the warnings of losses: each as its fields.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?};", field.name()));
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.0.contains("not expressed") {
            self.0.lock().unwrap().push(line.0);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn thoughtful() -> Script {
    Script::new().rule(Rule::any(Behaviour::new().reasoning("Let me think about it.")))
}

#[tokio::test]
async fn what_a_stream_lost_is_in_the_log_at_its_end_in_the_words_of_the_plain_reply() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let app = App::start(model_list(&[("gemini", &Wire::Gemini.parameters("g"))]), thoughtful()).await;
    let mut body = json!({"model": "gemini", "messages": [{"role": "user", "content": "Hello"}]});
    let plain = app.post("/v2/chat", &body).await;
    assert_eq!(plain.status, 200, "{}", plain.text());
    let told = plain.header("x-tollgate-dropped").expect("losses").to_owned();
    assert!(told.contains("usage.reasoning_tokens"), "{told}");
    assert_eq!(warnings.0.lock().unwrap().len(), 0, "a plain reply says it in its head");

    body["stream"] = json!(true);
    let mut connection = app.connect().await;
    connection.write(&post("/v2/chat", &[], body.to_string().as_bytes())).await;
    let mut stream = connection.stream().await;
    let call_id = stream.head.header("x-litellm-call-id").unwrap().to_owned();
    assert!(!stream.rest().await.is_empty());
    until("the stream is settled", || !warnings.0.lock().unwrap().is_empty()).await;
    let lines = warnings.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(&call_id) && lines[0].contains(&format!("dropped={told:?}")), "{lines:?}");
    app.stop().await;
}

#[tokio::test]
async fn what_openai_is_not_sent_of_a_chat_in_its_own_dialect_is_told() {
    let app = App::start(model_list(&[("openai", &Wire::OpenAi.parameters("o"))]), Script::new()).await;
    let marked = json!([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]);
    let mut body = json!({"model": "openai", "messages": [{"role": "user", "content": marked}]});
    let reply = app.chat(&body).await;
    assert_eq!((reply.status, reply.header("x-tollgate-dropped")), (200, Some("cache_control")));
    body["messages"][0]["content"] = json!("hi");
    assert_eq!(app.chat(&body).await.header("x-tollgate-dropped"), None);
    app.stop().await;
}

#[tokio::test]
async fn errors_name_the_request_where_the_dialect_has_a_place_for_it() {
    let script = Script::new().rule(Rule::deployment("o", Behaviour::new().fault(Fault::status(400))));
    let app = App::start(model_list(&[("openai", &Wire::OpenAi.parameters("o"))]), script).await;
    let check = async |path: &str, body: Value, place: &str| {
        let reply = app.post(path, &body).await;
        assert!(reply.status >= 400, "{path}");
        let provider_id = reply.header("request-id");
        let id = provider_id.or(reply.header("x-litellm-call-id")).unwrap();
        let error = reply.json();
        assert_eq!(error.pointer(place), Some(&json!(id)), "{path}: {error}");
        provider_id.is_some()
    };
    let said = json!([{"role": "user", "content": "Hello"}]);
    let at_provider = json!({"model": "openai", "max_tokens": 9, "messages": said});
    let unknown = json!({"model": "nobody", "max_tokens": 9, "messages": said});
    assert!(check("/v1/messages", at_provider.clone(), "/request_id").await, "the provider's");
    assert!(!check("/v1/messages", unknown.clone(), "/request_id").await, "the gateway's");
    check("/v2/chat", at_provider, "/id").await;
    check("/v2/chat", unknown, "/id").await;
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]});
    check("/v1beta/models/openai:generateContent", contents, "/error/details/1/requestId").await;
    app.stop().await;
}
