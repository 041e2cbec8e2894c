//! Pictures, sounds, verdicts and rankings: passed on with the model's name put in, or ranked by any provider.

use crate::support::{App, model_list};
use serde_json::json;
use tollgate_simulator::Script;

fn groups() -> String {
    let at = |model: &str, base: &str| {
        format!("model: {model}, api_base: \"http://{{sim}}{base}\", api_key: sk-key")
    };
    model_list(&[
        ("picture", &at("openai/gpt-image-1", "/v1")),
        ("voice", &at("openai/gpt-4o-mini-tts", "/v1")),
        ("ear", &at("openai/whisper-1", "/v1")),
        ("judge", &at("openai/omni-moderation-latest", "/v1")),
        ("cohere", &at("cohere/rerank-v3.5", "/cohere")),
        ("jina", &at("jina_ai/jina-reranker-v2-base-multilingual", "/jina/v1")),
        ("voyage", &at("voyage/rerank-2.5", "/voyage/v1")),
        ("claude", &at("anthropic/claude-sonnet-4-5", "")),
    ])
}

#[tokio::test]
async fn pictures_and_verdicts_are_passed_on_with_the_models_name() {
    let app = App::start(groups(), Script::new()).await;
    let picture = app.post("/v1/images/generations", &json!({"model": "picture", "prompt": "A cat"})).await;
    assert_eq!(picture.status, 200, "{}", picture.text());
    assert!(picture.json()["data"][0]["b64_json"].is_string());
    let verdict = app.post("/v1/moderations", &json!({"model": "judge", "input": "Hello"})).await;
    assert_eq!(verdict.json()["results"][0]["flagged"], false, "{}", verdict.text());
    let models: Vec<String> =
        app.received().iter().map(|request| request.json()["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(models, ["gpt-image-1", "omni-moderation-latest"]);
    app.stop().await;
}

#[tokio::test]
async fn sounds_come_and_go_as_bytes_and_forms() {
    let app = App::start(groups(), Script::new()).await;
    let body = json!({"model": "voice", "voice": "alloy", "input": "Hello"});
    let speech = app.post("/v1/audio/speech", &body).await;
    assert_eq!((speech.status, speech.header("content-type")), (200, Some("audio/mpeg")));
    assert!(speech.body.len() > 100);
    let form = concat!(
        "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\near\r\n",
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n",
    );
    let mut bytes = form.as_bytes().to_vec();
    bytes.extend_from_slice(&speech.body);
    bytes.extend_from_slice(b"\r\n--x--\r\n");
    let mut request = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: g\r\ncontent-type: multipart/form-data; boundary=x\r\n\
         content-length: {}\r\n\r\n",
        bytes.len()
    )
    .into_bytes();
    request.extend_from_slice(&bytes);
    let heard = app.ask(&request).await;
    assert_eq!(heard.status, 200, "{}", heard.text());
    assert!(heard.json()["text"].is_string());
    let last = app.received().pop().unwrap();
    assert_eq!(last.form().unwrap()["form"][0]["text"], "whisper-1", "{:?}", last.form());
    app.stop().await;
}

#[tokio::test]
async fn documents_are_ranked_by_every_provider_in_one_form() {
    let app = App::start(groups(), Script::new()).await;
    let documents = ["Berlin is in Germany.", "Bananas are yellow.", "Paris is the capital of France."];
    for group in ["cohere", "jina", "voyage"] {
        for path in ["/v1/rerank", "/v2/rerank", "/rerank"] {
            let body =
                json!({"model": group, "query": "capital of France", "documents": documents, "top_n": 2});
            let answer = app.post(path, &body).await;
            assert_eq!(answer.status, 200, "{group}: {}", answer.text());
            let results = answer.json()["results"].clone();
            let results = results.as_array().unwrap();
            assert_eq!(results.len(), 2, "{group}");
            assert_eq!(results[0]["index"], 2, "{group}: {results:?}");
            assert!(results[0]["relevance_score"].as_f64() >= results[1]["relevance_score"].as_f64());
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn what_a_provider_does_not_have_is_said() {
    let app = App::start(groups(), Script::new()).await;
    for (path, body) in [
        ("/v1/images/generations", json!({"model": "claude", "prompt": "A cat"})),
        ("/v1/rerank", json!({"model": "claude", "query": "a", "documents": ["b"]})),
        ("/v1/embeddings", json!({"model": "claude", "input": "a"})),
    ] {
        let answer = app.post(path, &body).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert!(answer.error_message().contains("provider"), "{}", answer.text());
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}
