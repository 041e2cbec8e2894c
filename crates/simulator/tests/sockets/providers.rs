//! The further providers over a socket: whose a path is, replies and streams, refusals, tokens, faults.

use crate::common::{Answer, merge, request, send};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tollgate_simulator::{Script, Simulator, Surface, Verdict};

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("authorization", "Bearer eyJkey");
const WATSONX: &str = "/ml/v1/text/chat_stream?version=2025-02-11";

async fn simulator() -> Simulator {
    Simulator::bind(Script::new()).await.unwrap()
}

async fn post(address: SocketAddr, path: &str, body: &Value) -> Answer {
    send(address, &request("POST", path, &[JSON, KEY], &body.to_string())).await
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, &request("GET", path, &[KEY], "")).await
}

/// A streamed chat of each provider: its surface, path and body.
fn chats(model: &str) -> Vec<(Surface, &'static str, Value)> {
    let say = json!([{"role": "user", "content": "hello"}]);
    let chat = |extra: Value| {
        let mut body = json!({"messages": say});
        merge(&mut body, &extra);
        body
    };
    let streamed = || chat(json!({"model": model, "stream": true}));
    vec![
        (Surface::Cohere, "/v2/chat", streamed()),
        (Surface::Ollama, "/api/chat", chat(json!({"model": model}))),
        (Surface::Mistral, "/mistral/v1/chat/completions", streamed()),
        (Surface::HuggingFace, "/huggingface/v1/chat/completions", streamed()),
        (Surface::Databricks, "/serving-endpoints/chat/completions", streamed()),
        (Surface::Watsonx, WATSONX, chat(json!({"model_id": model, "project_id": "p"}))),
    ]
}

/// The text of a stream, whichever frames it has.
fn text(surface: Surface, answer: &Answer) -> String {
    let pointer = match surface {
        Surface::Cohere => "/delta/message/content/text",
        Surface::Ollama => "/message/content",
        _ => "/choices/0/delta/content",
    };
    let body = answer.text();
    let lines = body.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let frames = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    frames.filter_map(|frame| frame.pointer(pointer).and_then(Value::as_str).map(str::to_owned)).collect()
}

#[tokio::test]
async fn every_provider_streams_the_same_tokens_in_its_own_frames() {
    let simulator = simulator().await;
    for (surface, path, body) in chats("m") {
        let answer = post(simulator.address(), path, &body).await;
        let said = "Hello from m, a simulated model. You said: hello";
        assert_eq!(
            (answer.status, text(surface, &answer).as_str()),
            (200, said),
            "{path}: {}",
            answer.text()
        );
        let received = simulator.received().pop().unwrap();
        assert_eq!(
            (received.surface, received.tokens_written, received.tokens),
            (surface, 12, (9, 12)),
            "{path}"
        );
        assert_eq!((received.model.as_str(), received.finished), ("m", true));
    }
}

#[tokio::test]
async fn a_fault_cuts_every_provider_after_the_same_number_of_tokens() {
    let simulator = simulator().await;
    for (surface, path, body) in chats("sim-cut-3") {
        let answer = post(simulator.address(), path, &body).await;
        assert!(answer.was_closed(), "{path}");
        assert_eq!(text(surface, &answer), "Hello from s", "{path}");
    }
    for (surface, path, body) in chats("sim-event-2-503") {
        let answer = post(simulator.address(), path, &body).await;
        assert_eq!(text(surface, &answer), "Hello fr", "{path}");
        let last = answer.text().trim_end().lines().last().unwrap_or_default().to_owned();
        assert!(["error", "message"].iter().any(|word| last.contains(word)), "{path}: {last}");
    }
}

#[tokio::test]
async fn a_base_path_names_the_provider_and_another_the_deployment() {
    let simulator = simulator().await;
    for (path, surface, operation) in [
        ("/cohere/v2/embed", Surface::Cohere, "embedding"),
        ("/v1/rerank", Surface::Cohere, "rerank"),
        ("/jina/v1/rerank", Surface::Jina, "rerank"),
        ("/voyage/v1/embeddings", Surface::Voyage, "embedding"),
        ("/together/v1/rerank", Surface::Together, "rerank"),
        ("/rerank", Surface::Infinity, "rerank"),
        ("/d/west/ollama/api/show", Surface::Ollama, "show_model"),
        ("/v1/fim/completions", Surface::Mistral, "completion"),
        ("/mistral/v1/ocr", Surface::Mistral, "ocr"),
        ("/hf-inference/models/a/b/pipeline/feature-extraction", Surface::HuggingFace, "feature_extraction"),
        ("/serving-endpoints/x/invocations", Surface::Databricks, "chat"),
        ("/ml/v1/deployments/x/text/chat", Surface::Watsonx, "chat"),
        ("/v1/models/a/b/predictions", Surface::Replicate, "predict"),
        ("/replicate/v1/predictions", Surface::Replicate, "predict"),
        ("/v1/chat/completions", Surface::OpenAi, "chat"),
        ("/v1/embeddings", Surface::OpenAi, "embedding"),
    ] {
        post(simulator.address(), path, &json!({})).await;
        let received = simulator.received().pop().unwrap();
        assert_eq!((received.surface, received.operation), (surface, operation), "{path}");
        assert_eq!(received.deployment.is_some(), path.starts_with("/d/"), "{path}");
    }
}

#[tokio::test]
async fn refusals_have_each_providers_shape() {
    let simulator = simulator().await;
    let nobody = ("x-other", "1");
    let wrong = ("authorization", "Bearer eyJinvalid");
    for (path, header, status, pointer, expect) in [
        ("/v2/chat", nobody, 401, "/message", json!("no api key supplied")),
        ("/v2/chat", wrong, 401, "/message", json!("invalid api token")),
        (
            "/jina/v1/rerank",
            nobody,
            401,
            "/detail",
            json!("Invalid API key, please get a new one from the API dashboard."),
        ),
        ("/together/v1/rerank", wrong, 401, "/error/message", json!("Invalid API key provided.")),
        ("/api/chat", wrong, 401, "/error", json!("unauthorized")),
        ("/api/chat", nobody, 400, "/error", json!("model is required")),
        ("/mistral/v1/chat/completions", wrong, 401, "/detail", json!("Unauthorized")),
        ("/huggingface/v1/chat/completions", wrong, 401, "/error", json!("Invalid username or password.")),
        ("/serving-endpoints/x/invocations", wrong, 403, "/error_code", json!("403")),
        ("/ml/v1/text/chat", nobody, 401, "/errors/0/code", json!("authentication_token_not_valid")),
        ("/v1/predictions", nobody, 401, "/title", json!("Unauthenticated")),
        ("/v2/elsewhere", KEY, 404, "/message", json!("/v2/elsewhere was not found")),
        ("/mistral/v1/elsewhere", KEY, 404, "/message", json!("no Route matched with those values")),
    ] {
        let answer = send(simulator.address(), &request("POST", path, &[JSON, header], "{}")).await;
        assert_eq!(
            (answer.status, answer.json().pointer(pointer)),
            (status, Some(&expect)),
            "{path}: {}",
            answer.text()
        );
    }
    let broken = send(simulator.address(), &request("POST", "/v2/chat", &[JSON, KEY], "{\"model\":")).await;
    assert_eq!(broken.status, 400);
    assert_eq!(get(simulator.address(), "/v2/chat").await.status, 405);
}

#[tokio::test]
async fn every_error_that_a_model_name_spells_has_its_status_everywhere() {
    let simulator = simulator().await;
    for (model, status) in [("sim-error-500", 500), ("sim-error-429-retry-7", 429), ("sim-error-418", 418)] {
        for (_, path, body) in chats(model) {
            let answer = post(simulator.address(), path, &body).await;
            assert_eq!(answer.status, status, "{path} {model}: {}", answer.text());
            let retry = (status == 429).then_some("7");
            assert_eq!(answer.header("retry-after"), retry, "{path}");
        }
    }
    for (_, path, body) in chats("sim-rpm-1") {
        let first = post(simulator.address(), path, &body).await.status;
        assert_eq!((first, post(simulator.address(), path, &body).await.status), (200, 429), "{path}");
        assert_eq!(simulator.received().pop().unwrap().verdict, Verdict::Limited);
    }
    for (_, path, body) in chats("sim-window-2") {
        let status = post(simulator.address(), path, &body).await.status;
        assert!((400..500).contains(&status), "{path}");
    }
}

#[tokio::test]
async fn an_api_key_of_ibms_cloud_is_good_for_a_token_alone() {
    let simulator = simulator().await;
    let form =
        |key: &str| format!("grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey={key}");
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let asked = |key: &str| request("POST", "/identity/token", &kind, &form(key));
    let token = send(simulator.address(), &asked("good")).await.json();
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(3_600)));
    let body = json!({"model_id": "m", "project_id": "p", "messages": [{"role": "user", "content": "x"}]})
        .to_string();
    for (key, status) in [(token["access_token"].as_str().unwrap(), 200), ("good", 401)] {
        let bearer = format!("Bearer {key}");
        let headers = [JSON, ("authorization", bearer.as_str())];
        let asked = request("POST", "/ml/v1/text/chat?version=2025-02-11", &headers, &body);
        assert_eq!(send(simulator.address(), &asked).await.status, status);
        let unversioned =
            send(simulator.address(), &request("POST", "/ml/v1/text/chat", &headers, &body)).await;
        assert_eq!(unversioned.status, if status == 200 { 400 } else { 401 });
    }
    let refused = send(simulator.address(), &asked("invalid")).await;
    assert_eq!((refused.status, &refused.json()["errorCode"]), (400, &json!("BXNIM0415E")));
}

#[tokio::test]
async fn a_service_principal_gets_a_token_for_its_secret() {
    let simulator = simulator().await;
    let form = "grant_type=client_credentials&scope=all-apis";
    // app:secret and app:invalid
    for (client, status) in [("Basic YXBwOnNlY3JldA==", 200), ("Basic YXBwOmludmFsaWQ=", 401)] {
        let asked = request("POST", "/oidc/v1/token", &[("authorization", client)], form);
        let answer = send(simulator.address(), &asked).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.json().get("access_token").is_some(), status == 200);
    }
}

#[tokio::test]
async fn a_prediction_is_made_looked_at_streamed_and_cancelled() {
    let simulator = simulator().await;
    let address = simulator.address();
    let body = json!({"input": {"prompt": "hello"}});
    let made = post(address, "/replicate/v1/models/meta/llama/predictions", &body).await;
    assert_eq!((made.status, &made.json()["status"]), (201, &json!("starting")));
    let made = made.json();
    let path = |name: &str| made["urls"][name].as_str().unwrap().replace("http://sim", "");
    let states = [get(address, &path("get")).await.json(), get(address, &path("get")).await.json()];
    assert_eq!([&states[0]["status"], &states[1]["status"]], [&json!("processing"), &json!("succeeded")]);
    let said: String =
        states[1]["output"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect();
    assert_eq!(said, "Hello from meta/llama, a simulated model. You said: hello");
    assert_eq!(states[1]["metrics"]["output_token_count"], 15);
    let streamed = get(address, &path("stream")).await;
    let outputs = streamed.text().matches("event: output\n").count();
    assert_eq!((outputs, streamed.text().ends_with("event: done\ndata: {}\n\n")), (15, true));

    let again =
        post(address, "/v1/predictions", &json!({"version": "meta/llama:abc", "input": {"prompt": "x"}}))
            .await
            .json();
    let cancel = again["urls"]["cancel"].as_str().unwrap().replace("http://sim", "");
    let canceled = send(address, &request("POST", &cancel, &[KEY], "")).await.json();
    assert_eq!((&again["model"], &canceled["status"]), (&json!("meta/llama"), &json!("canceled")));
    assert_eq!(get(address, "/v1/predictions/unknown").await.status, 404);
}

#[tokio::test]
async fn a_streamed_prediction_meets_the_faults_of_its_model_in_the_stream() {
    let simulator = simulator().await;
    let address = simulator.address();
    let ask = |stream: bool| json!({"input": {"prompt": "hello"}, "stream": stream});
    let made = post(address, "/v1/models/o/sim-cut-3/predictions", &ask(true)).await;
    assert_eq!(made.status, 201);
    let stream = made.json()["urls"]["stream"].as_str().unwrap().replace("http://sim", "");
    let cut = get(address, &stream).await;
    assert_eq!((cut.was_closed(), cut.text().matches("event: output\n").count()), (true, 3));

    let failing = "/v1/models/o/sim-event-2/predictions";
    let waits = [JSON, KEY, ("prefer", "wait=5")];
    let failed = send(address, &request("POST", failing, &waits, &ask(false).to_string())).await.json();
    assert_eq!((&failed["status"], failed["output"].as_array().unwrap().len()), (&json!("failed"), 2));
    let made = post(address, failing, &ask(true)).await.json();
    let failed = get(address, &made["urls"]["stream"].as_str().unwrap().replace("http://sim", "")).await;
    assert!(
        failed.text().contains("event: error\n") && failed.text().ends_with("{\"reason\": \"error\"}\n\n")
    );
    assert_eq!(post(address, "/v1/models/o/sim-error-503/predictions", &ask(true)).await.status, 503);
}

#[tokio::test]
async fn rules_name_a_further_provider_by_its_base_path() {
    let simulator = simulator().await;
    let rules = json!([{"surface": "mistral", "behave": "error-503", "times": 1}]).to_string();
    let put = send(simulator.address(), &request("PUT", "/sim/rules", &[], &rules)).await;
    assert_eq!(put.status, 204, "{}", put.text());
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let mistral = "/mistral/v1/chat/completions";
    for (path, status) in [("/v2/chat", 200), (mistral, 503), (mistral, 200)] {
        assert_eq!(post(simulator.address(), path, &body).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_word_for_the_end_can_be_any() {
    let simulator = simulator().await;
    for (_, path, body) in chats("sim-finish-odd_word") {
        let answer = post(simulator.address(), path, &body).await.text();
        assert!(answer.contains("reason\":\"odd_word\""), "{path}: {answer}");
    }
}
