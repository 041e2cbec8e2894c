//! The simulated clouds over a socket: keys, tokens, frames and faults.

use crate::common::{Answer, gemini, messages, request, send};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_simulator::{Clouds, Script, Simulator, Surface};

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = ("authorization", "Bearer bedrock-api-key-1");

async fn simulator() -> Simulator {
    Simulator::bind(Script::new()).await.unwrap()
}

fn converse(model: &str, stream: bool) -> String {
    let action = if stream { "converse-stream" } else { "converse" };
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hello"}]}]});
    request("POST", &format!("/model/{model}/{action}"), &[JSON, KEY], &body.to_string())
}

/// The frames of a stream: the type that each names first, and its payload.
fn frames(mut bytes: &[u8]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    while bytes.len() >= 16 {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (whole, head) = (number(0), number(4));
        let name = usize::from(bytes[12]);
        let value = usize::from(bytes[12 + name + 3]);
        let kind = String::from_utf8_lossy(&bytes[16 + name..16 + name + value]).into_owned();
        found.push((kind, serde_json::from_slice(&bytes[12 + head..whole - 4]).unwrap_or_default()));
        bytes = &bytes[whole..];
    }
    assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
    found
}

#[tokio::test]
async fn a_conversation_is_streamed_in_frames_of_one_token_each() {
    let simulator = simulator().await;
    let plain = send(simulator.address(), &converse("m", false)).await;
    let said = "Hello from m, a simulated model. You said: hello";
    assert_eq!(plain.json()["output"]["message"]["content"][0]["text"], said);
    assert_eq!(plain.header("x-amzn-requestid").unwrap().len(), 36);
    let stream = send(simulator.address(), &converse("m", true)).await;
    assert_eq!(stream.header("content-type"), Some("application/vnd.amazon.eventstream"));
    let frames = frames(&stream.body);
    let text = frames.iter().filter_map(|(_, data)| data.pointer("/delta/text")?.as_str());
    assert_eq!(text.collect::<String>(), said);
    let received = simulator.received();
    assert_eq!((received[1].surface, received[1].operation), (Surface::Bedrock, "converse_stream"));
    assert_eq!(received[1].tokens_written, 12);
}

#[tokio::test]
async fn faults_reach_a_stream_of_frames() {
    let simulator = simulator().await;
    for (model, last) in [
        ("sim-event-2-429", "throttlingException"),
        ("sim-event-2-503", "serviceUnavailableException"),
        ("sim-nodone", "contentBlockStop"),
        ("sim-cut-2-clean", "contentBlockDelta"),
        ("sim-usage-none", "metadata"),
    ] {
        let answer = send(simulator.address(), &converse(model, true)).await;
        let frames = frames(&answer.body);
        assert_eq!(frames.last().unwrap().0, last, "{model}");
        assert!(frames.iter().all(|(_, data)| data.get("usage").is_none()), "{model}");
    }
    let refused = send(simulator.address(), &converse("sim-error-429-retry-3", true)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("3")));
    assert!(refused.header("x-amzn-errortype").unwrap().starts_with("ThrottlingException:"));
}

#[tokio::test]
async fn who_does_not_sign_is_turned_away_in_each_services_words() {
    let simulator = simulator().await;
    let signed = "AWS4-HMAC-SHA256 Credential=AKIAOTHER/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0";
    for (path, header, status, words) in [
        ("/model/m/converse", ("x-other", "1"), 403, "Missing Authentication Token"),
        ("/model/m/converse", ("authorization", "Bearer invalid"), 403, "API Key is valid"),
        (
            "/model/m/converse",
            ("authorization", signed),
            403,
            "security token included in the request is invalid",
        ),
        ("/endpoints/e/invocations", KEY, 403, "Missing Authentication Token"),
        ("/", ("x-other", "1"), 302, ""),
    ] {
        let answer = send(simulator.address(), &request("POST", path, &[JSON, header], "{}")).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(words), "{path}: {}", answer.text());
    }
    let form = "Action=AssumeRole&Version=2011-06-15";
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let answer = send(simulator.address(), &request("POST", "/", &[kind], form)).await;
    assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/xml")));
    assert!(answer.text().contains("<Code>MissingAuthenticationToken</Code>"));
}

#[tokio::test]
async fn metadata_is_read_with_a_token_of_version_two() {
    let simulator = simulator().await;
    let path = "/latest/meta-data/iam/security-credentials/";
    let bare = send(simulator.address(), &request("GET", path, &[], "")).await;
    assert_eq!(bare.status, 401);
    let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", "60");
    assert_eq!(send(simulator.address(), &request("PUT", "/latest/api/token", &[], "")).await.status, 400);
    let token = send(simulator.address(), &request("PUT", "/latest/api/token", &[ttl], "")).await.text();
    let token = ("x-aws-ec2-metadata-token", token.as_str());
    let role = send(simulator.address(), &request("GET", path, &[token], "")).await.text();
    assert_eq!(role, "simulated-role");
    let keys = send(simulator.address(), &request("GET", &format!("{path}{role}"), &[token], "")).await;
    assert_eq!((&keys.json()["Code"], &keys.json()["Type"]), (&json!("Success"), &json!("AWS-HMAC")));
}

async fn google_token(simulator: &Simulator) -> String {
    let path = "/computeMetadata/v1/instance/service-accounts/default/token";
    let flavor = ("metadata-flavor", "Google");
    let given = send(simulator.address(), &request("GET", path, &[flavor], "")).await.json();
    format!("Bearer {}", given["access_token"].as_str().unwrap())
}

async fn generate(simulator: &Simulator, project: &str, method: &str, bearer: &str) -> Answer {
    let path = format!("/v1/projects/{project}/locations/l/publishers/google/models/g:{method}");
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    let request = request("POST", &path, &[JSON, ("authorization", bearer)], &body.to_string());
    send(simulator.address(), &request).await
}

#[tokio::test]
async fn vertex_takes_a_token_until_it_ends() {
    let simulator = simulator().await;
    let token = google_token(&simulator).await;
    let plain = generate(&simulator, "p", "generateContent", &token).await;
    assert_eq!(plain.json()["usageMetadata"]["trafficType"], "ON_DEMAND");
    let stream = generate(&simulator, "p", "streamGenerateContent?alt=sse", &token).await;
    let chunks: Vec<Value> =
        stream.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let counted = chunks.iter().filter(|chunk| chunk["usageMetadata"]["totalTokenCount"].is_number());
    assert_eq!((counted.count(), chunks.len()), (1, 13));
    let array = generate(&simulator, "p", "streamGenerateContent", &token).await;
    assert_eq!(array.json().as_array().unwrap().len(), 13);
    assert_eq!(generate(&simulator, "denied", "generateContent", &token).await.status, 403);
    let google_lifetime = Duration::ZERO;
    simulator.script().set_clouds(Clouds { google_lifetime, ..Clouds::default() });
    let ended = google_token(&simulator).await;
    let refused = generate(&simulator, "p", "generateContent", &ended).await;
    assert_eq!(
        (refused.status, refused.json().pointer("/error/details/0/reason")),
        (401, Some(&json!("ACCESS_TOKEN_EXPIRED")))
    );
    let made_up = generate(&simulator, "p", "streamGenerateContent", "Bearer ya29.x").await;
    assert_eq!(made_up.json()[0]["error"]["status"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_batch_is_made_looked_at_and_deleted() {
    let simulator = simulator().await;
    let headers = [JSON, ("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
    let params = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    let body = json!({"requests": [{"custom_id": "a", "params": params}]}).to_string();
    let made =
        send(simulator.address(), &request("POST", "/v1/messages/batches", &headers, &body)).await.json();
    assert_eq!(
        (&made["processing_status"], &made["request_counts"]["processing"]),
        (&json!("in_progress"), &json!(1))
    );
    let path = format!("/v1/messages/batches/{}", made["id"].as_str().unwrap());
    let ended = send(simulator.address(), &request("GET", &path, &headers, "")).await.json();
    assert_eq!(ended["results_url"], format!("http://sim{path}/results"));
    let results = send(simulator.address(), &request("GET", &format!("{path}/results"), &headers, "")).await;
    let line: Value = serde_json::from_str(results.text().trim()).unwrap();
    assert_eq!((&line["custom_id"], &line["result"]["type"]), (&json!("a"), &json!("succeeded")));
    let other = [JSON, ("x-api-key", "other"), ("anthropic-version", "2023-06-01")];
    assert_eq!(send(simulator.address(), &request("GET", &path, &other, "")).await.status, 404);
    assert_eq!(send(simulator.address(), &request("DELETE", &path, &headers, "")).await.status, 200);
    assert_eq!(send(simulator.address(), &request("GET", &path, &headers, "")).await.status, 404);
    let empty = request("POST", "/v1/messages/batches", &headers, r#"{"requests":[]}"#);
    assert_eq!(send(simulator.address(), &empty).await.status, 400);
}

#[tokio::test]
async fn a_marked_prefix_is_written_and_then_read() {
    let simulator = simulator().await;
    let system = json!([{"type": "text", "text": "a".repeat(8_000), "cache_control": {"type": "ephemeral"}}]);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let usage =
            send(simulator.address(), &messages("m", &json!({"system": system}))).await.json()["usage"]
                .clone();
        seen.push((usage["cache_creation_input_tokens"].clone(), usage["cache_read_input_tokens"].clone()));
    }
    assert_eq!(seen, [(json!(2_003), json!(0)), (json!(0), json!(2_003))]);
}

#[tokio::test]
async fn gemini_refuses_a_prompt_without_a_candidate() {
    let simulator = simulator().await;
    let blocked =
        send(simulator.address(), &gemini("sim-finish-blocked", "generateContent", &json!({}))).await;
    assert_eq!(blocked.status, 200);
    assert_eq!(blocked.json()["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
}
