//! The Gemini surface: relayed byte for byte, translated, streamed in both of its forms, and embeddings.

use crate::support::{App, Wire, data, model_list, post};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

fn groups() -> String {
    model_list(&[
        ("openai", &Wire::OpenAi.parameters("o")),
        ("anthropic/claude", &Wire::Anthropic.parameters("a")),
        ("gemini", &Wire::Gemini.parameters("g")),
        ("embed", &Wire::OpenAi.parameters("e").replace("gpt-4o", "text-embedding-3-small")),
    ])
}

fn ask() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]})
}

#[tokio::test]
async fn a_body_between_two_ends_of_one_dialect_is_not_touched() {
    let app = App::start(groups(), Script::new()).await;
    let body = "{ \"contents\" : [{\"parts\":[{\"text\":\"H\\u00e9\"}],\"role\":\"user\"}], \"generationConfig\":{ \"topK\":5 } }";
    let answer = app.ask(&post("/v1beta/models/gemini:generateContent", &[], body.as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = app.received().remove(0);
    assert_eq!(String::from_utf8(sent.body.to_vec()).unwrap(), body);
    assert!(sent.path.ends_with("/v1beta/models/gemini-2.5-flash:generateContent"), "{}", sent.path);
    app.stop().await;
}

#[tokio::test]
async fn every_wire_answers_plain_and_in_both_forms_of_stream() {
    let app = App::start(groups(), Script::new()).await;
    for group in ["openai", "anthropic/claude", "gemini"] {
        let path = format!("/v1beta/models/{group}");
        let reply = app.post(&format!("{path}:generateContent"), &ask()).await;
        assert_eq!(reply.status, 200, "{group}: {}", reply.text());
        let reply = reply.json();
        let text = reply["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
        assert!(text.contains("Hello"), "{reply}");
        assert_eq!(reply["candidates"][0]["finishReason"], "STOP");
        let body = ask().to_string();
        let mut connection = app.connect().await;
        connection.write(&post(&format!("{path}:streamGenerateContent?alt=sse"), &[], body.as_bytes())).await;
        let events: Vec<Value> =
            connection.stream().await.rest().await.iter().map(|event| data(event)).collect();
        let answer = app.post(&format!("{path}:streamGenerateContent"), &ask()).await;
        assert_eq!(answer.header("content-type"), Some("application/json"), "{group}");
        let array = answer.json();
        for chunks in [&events, array.as_array().unwrap()] {
            let said: String = chunks
                .iter()
                .filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str())
                .collect();
            assert_eq!(said, text, "{group}");
            let last = chunks.last().unwrap();
            assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{group}: {last}");
            assert_eq!(
                last["usageMetadata"]["candidatesTokenCount"],
                reply["usageMetadata"]["candidatesTokenCount"]
            );
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn every_spelling_of_the_path_is_served() {
    let app = App::start(groups(), Script::new()).await;
    for path in [
        "/v1beta/models/gemini:generateContent",
        "/v1/models/gemini:generateContent",
        "/models/gemini:generateContent",
        "/gemini/v1beta/models/gemini:generateContent",
        "/v1beta/models/anthropic/claude:generateContent",
        "/v1beta/anthropic/claude:generateContent",
        "/v1beta/models/anthropic%2Fclaude:generateContent",
    ] {
        let answer = app.post(path, &ask()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    app.stop().await;
}

#[tokio::test]
async fn errors_are_in_googles_shape() {
    let yaml = format!("{}general_settings: {{master_key: sk-master}}\n", groups());
    let script = Script::new().rule(Rule::deployment("o", Behaviour::new().fault(Fault::status(429))));
    let app = App::start(yaml, script).await;
    let key = ("x-goog-api-key", "sk-master");
    for (headers, model, body, code, status) in [
        (vec![], "gemini", ask().to_string(), 401, "UNAUTHENTICATED"),
        (vec![key], "nobody", ask().to_string(), 400, "INVALID_ARGUMENT"),
        (vec![key], "gemini", "{}".to_owned(), 400, "INVALID_ARGUMENT"),
        (vec![key], "openai", ask().to_string(), 429, "RESOURCE_EXHAUSTED"),
    ] {
        let path = format!("/v1beta/models/{model}:generateContent");
        let answer = app.ask(&post(&path, &headers, body.as_bytes())).await;
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, error["code"].as_u64()), (code, Some(u64::from(code))), "{error}");
        assert_eq!(error["status"], status);
    }
    app.stop().await;
}

#[tokio::test]
async fn texts_are_embedded_by_any_provider() {
    let app = App::start(groups(), Script::new()).await;
    let one = json!({"content": {"parts": [{"text": "Hello"}]}});
    let answer = app.post("/v1beta/models/embed:embedContent", &one).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["embedding"]["values"].as_array().unwrap().len() > 100);
    let two = json!({"requests": [
        {"model": "models/embed", "content": {"parts": [{"text": "Hello"}]}},
        {"model": "models/embed", "content": {"parts": [{"text": "World"}]}},
    ]});
    let answer = app.post("/v1beta/models/embed:batchEmbedContents", &two).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["embeddings"].as_array().unwrap().len(), 2);
    assert_eq!(app.received().len(), 2);
    app.stop().await;
}
