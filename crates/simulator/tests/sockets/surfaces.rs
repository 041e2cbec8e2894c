//! Each surface over a socket: routes, credentials, replies, streams, headers.

use crate::common::{chat, gemini, messages, openai, request, send};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_simulator::{EntraClient, Script, Simulator, Surface, Verdict};

async fn simulator() -> Simulator {
    Simulator::bind(Script::new()).await.unwrap()
}

#[tokio::test]
async fn a_chat_is_answered_in_openais_shape_with_its_headers() {
    let simulator = simulator().await;
    let answer = send(simulator.address(), &openai("gpt-4o", &json!({}))).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(
        body["choices"][0]["message"]["content"],
        "Hello from gpt-4o, a simulated model. You said: hello"
    );
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("10000"));
    let received = simulator.received();
    assert_eq!((received.len(), received[0].number, received[0].status), (1, 1, 200));
    assert_eq!((received[0].surface, received[0].operation), (Surface::OpenAi, "chat"));
    assert_eq!(received[0].verdict, Verdict::Answered);
    assert_eq!(received[0].tokens, (9, body["usage"]["completion_tokens"].as_u64().unwrap()));
    assert!(received[0].finished && !received[0].hung_up);
}

#[tokio::test]
async fn streams_come_in_each_surfaces_events_and_say_what_the_plain_reply_says() {
    let simulator = simulator().await;
    let said = "Hello from m, a simulated model. You said: hello";
    let sse = json!({"stream": true});
    let joined = |events: &[String], pointer: &str| -> String {
        let values = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
        values.filter_map(|value| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)).collect()
    };
    for (request, pointer) in [
        (openai("m", &sse), "/choices/0/delta/content"),
        (
            chat("/openai/deployments/m/chat/completions?api-version=2024-10-21", "x", &sse),
            "/choices/0/delta/content",
        ),
        (messages("m", &sse), "/delta/text"),
        (gemini("m", "streamGenerateContent?alt=sse", &json!({})), "/candidates/0/content/parts/0/text"),
    ] {
        let answer = send(simulator.address(), &request).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("text/event-stream; charset=utf-8"))
        );
        assert_eq!(joined(&answer.events(), pointer), said, "{request}");
    }
    let array = send(simulator.address(), &gemini("m", "streamGenerateContent", &json!({}))).await;
    assert_eq!(array.header("content-type"), Some("application/json"));
    assert_eq!(array.json().as_array().unwrap().len(), 12);
    let tokens: Vec<usize> = simulator.received().iter().map(|received| received.tokens_written).collect();
    assert_eq!(tokens, [12; 5]);
}

#[tokio::test]
async fn a_request_without_a_good_credential_is_turned_away_in_each_surfaces_shape() {
    let simulator = simulator().await;
    let json = ("content-type", "application/json");
    for (path, header, status, pointer, word) in [
        ("/v1/chat/completions", ("x-other", "1"), 401, "/error/type", "invalid_request_error"),
        (
            "/v1/chat/completions",
            ("authorization", "Bearer sk-invalid"),
            401,
            "/error/code",
            "invalid_api_key",
        ),
        (
            "/openai/deployments/d/chat/completions?api-version=2024-10-21",
            ("x-other", "1"),
            401,
            "/error/code",
            "401",
        ),
        ("/v1/messages", ("anthropic-version", "2023-06-01"), 401, "/error/type", "authentication_error"),
        ("/v1beta/models/g:generateContent", ("x-other", "1"), 403, "/error/status", "PERMISSION_DENIED"),
        (
            "/v1beta/models/g:generateContent",
            ("x-goog-api-key", "invalid"),
            400,
            "/error/details/0/reason",
            "API_KEY_INVALID",
        ),
    ] {
        let answer = send(simulator.address(), &request("POST", path, &[json, header], "{}")).await;
        assert_eq!(
            (answer.status, answer.json().pointer(pointer)),
            (status, Some(&Value::from(word))),
            "{path}"
        );
    }
    let rejected =
        simulator.received().iter().filter(|one| matches!(one.verdict, Verdict::Rejected(_))).count();
    assert_eq!(rejected, 6);
}

#[tokio::test]
async fn only_listed_keys_are_good_when_there_is_a_list() {
    let simulator = Simulator::bind(Script::new().keys(["sk-other"])).await.unwrap();
    assert_eq!(send(simulator.address(), &openai("m", &json!({}))).await.status, 401);
}

#[tokio::test]
async fn wrong_paths_methods_types_and_json_have_the_providers_status() {
    let simulator = simulator().await;
    let key = ("authorization", "Bearer k");
    let json = ("content-type", "application/json");
    for (method, path, headers, body, status) in [
        ("GET", "/v1/chat/completions", vec![key], "", 405),
        ("POST", "/v1/elsewhere", vec![key, json], "{}", 404),
        ("POST", "/nowhere", vec![key, json], "{}", 404),
        ("POST", "/v1/chat/completions", vec![key, ("content-type", "text/plain")], "{}", 415),
        ("POST", "/v1/chat/completions", vec![key, json], "{\"model\":", 400),
        ("POST", "/openai/deployments/d/chat/completions", vec![key, json], "{}", 404),
        ("POST", "/v1/messages", vec![("x-api-key", "k"), json], "{}", 400),
        ("POST", "/v1beta/models/g:odd", vec![("x-goog-api-key", "k"), json], "{}", 404),
    ] {
        let answer = send(simulator.address(), &request(method, path, &headers, body)).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_broken_rule_is_answered_in_each_surfaces_words() {
    let simulator = simulator().await;
    for (request, pointer, message) in [
        (
            openai("m", &json!({"top_k": 1})),
            "/error/message",
            "Unrecognized request argument supplied: top_k",
        ),
        (messages("m", &json!({"n": 1})), "/error/message", "n: Extra inputs are not permitted"),
        (
            gemini("m", "generateContent", &json!({"n": 1})),
            "/error/message",
            "Invalid JSON payload received. Unknown name \"n\": Cannot find field.",
        ),
        (
            gemini("m", "streamGenerateContent", &json!({"n": 1})),
            "/0/error/message",
            "Invalid JSON payload received. Unknown name \"n\": Cannot find field.",
        ),
    ] {
        let answer = send(simulator.address(), &request).await;
        assert_eq!((answer.status, answer.json().pointer(pointer)), (400, Some(&Value::from(message))));
    }
    let lenient = send(simulator.address(), &openai("sim-lenient", &json!({"top_k": 1}))).await;
    assert_eq!(lenient.status, 200);
}

#[tokio::test]
async fn lists_of_models_counts_of_tokens_and_embeddings_are_given() {
    let simulator = Simulator::bind(Script::new().models(["a", "b"])).await.unwrap();
    let json = ("content-type", "application/json");
    let key = ("authorization", "Bearer k");
    let claude = [json, ("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
    let google = [json, ("x-goog-api-key", "k")];
    let hello = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let contents = r#"{"contents":[{"parts":[{"text":"hello"}]}]}"#;
    let batch = r#"{"requests":[{"model":"models/e","content":{"parts":[{"text":"x"}]}}]}"#;
    for (method, path, headers, body, pointer, expect) in [
        ("GET", "/v1/models", &[key][..], "", "/data/1/id", json!("b")),
        ("GET", "/v1/models/z", &[key], "", "/id", json!("z")),
        ("GET", "/v1/models", &claude, "", "/last_id", json!("b")),
        ("GET", "/v1beta/models", &google, "", "/models/0/name", json!("models/a")),
        ("POST", "/v1/messages/count_tokens", &claude, hello, "/input_tokens", json!(9)),
        ("POST", "/v1beta/models/g:countTokens", &google, contents, "/totalTokens", json!(9)),
        (
            "POST",
            "/v1beta/models/e:batchEmbedContents",
            &google,
            batch,
            "/usageMetadata/promptTokenCount",
            json!(1),
        ),
        (
            "POST",
            "/v1/embeddings",
            &[key, json],
            r#"{"model":"e","input":"abcde"}"#,
            "/usage/total_tokens",
            json!(2),
        ),
        (
            "POST",
            "/v1/completions",
            &[key, json],
            r#"{"model":"c","prompt":"x"}"#,
            "/object",
            json!("text_completion"),
        ),
    ] {
        let answer = send(simulator.address(), &request(method, path, headers, body)).await;
        assert_eq!(
            (answer.status, answer.json().pointer(pointer)),
            (200, Some(&expect)),
            "{path}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn azure_takes_the_tokens_that_its_token_endpoint_gave_out() {
    let client = EntraClient {
        tenant: "t".to_owned(),
        client_id: "app".to_owned(),
        client_secret: "secret".to_owned(),
        lifetime: Duration::from_secs(60),
    };
    let simulator = Simulator::bind(Script::new().entra(client)).await.unwrap();
    let form = "grant_type=client_credentials&client_id=app&client_secret=secret&scope=https%3A%2F%2F\
                cognitiveservices.azure.com%2F.default";
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let given =
        send(simulator.address(), &request("POST", "/t/oauth2/v2.0/token", &[kind], form)).await.json();
    let bearer = format!("Bearer {}", given["access_token"].as_str().unwrap());
    let body = r#"{"messages":[{"role":"user","content":"x"}]}"#;
    let path = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
    for (header, status) in [
        (("authorization", bearer.as_str()), 200),
        (("authorization", "Bearer made-up"), 401),
        (("api-key", "key"), 200),
    ] {
        let headers = [("content-type", "application/json"), header];
        assert_eq!(send(simulator.address(), &request("POST", path, &headers, body)).await.status, status);
    }
    let wrong = form.replace("=secret", "=wrong");
    let refused = send(simulator.address(), &request("POST", "/t/oauth2/v2.0/token", &[kind], &wrong)).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
}

#[tokio::test]
async fn azure_says_what_its_filter_found() {
    let simulator = simulator().await;
    let path = "/openai/v1/chat/completions";
    let plain = send(simulator.address(), &chat(path, "d", &json!({}))).await;
    assert_eq!(plain.json()["choices"][0]["content_filter_results"]["hate"]["severity"], "safe");
    assert!(plain.header("apim-request-id").is_some());
    let stream = send(simulator.address(), &chat(path, "d", &json!({"stream": true}))).await;
    let first: Value = serde_json::from_str(&stream.events()[0]).unwrap();
    assert_eq!(
        (&first["choices"], first["prompt_filter_results"][0]["prompt_index"].as_u64()),
        (&json!([]), Some(0))
    );
}

#[tokio::test]
async fn the_same_seed_and_request_give_the_same_reply() {
    let mut seen = Vec::new();
    for seed in [7, 7, 8] {
        let simulator = Simulator::bind(Script::new().seed(seed)).await.unwrap();
        let mut body = send(simulator.address(), &openai("m", &json!({}))).await.json();
        body["created"] = json!(0);
        seen.push(body);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0]["id"], seen[2]["id"]);
}
