//! Deployments in clouds: signed requests, tokens that are fetched, binary streams; and Bedrock's Converse as a surface.

use crate::support::{App, Wire, data, hello, model_list, post};
use serde_json::{Value, json};
use tollgate_simulator::clouds::{AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, GOOGLE_SERVICE_ACCOUNT};
use tollgate_simulator::{Received, Script};

/// A deployment at Bedrock that signs with keys.
fn bedrock(model: &str) -> String {
    format!(
        "model: bedrock/{model}, aws_bedrock_runtime_endpoint: \"http://{{sim}}\", aws_region_name: eu-central-1, \
         aws_access_key_id: {AWS_ACCESS_KEY_ID}, aws_secret_access_key: \"{AWS_SECRET_ACCESS_KEY}\""
    )
}

/// A deployment on Vertex AI whose service account is known to the simulator's token service.
fn vertex(model: &str) -> String {
    let mut account: Value = serde_json::from_str(GOOGLE_SERVICE_ACCOUNT).unwrap();
    account["token_uri"] = json!("http://{sim}/token");
    format!(
        "model: vertex_ai/{model}, api_base: \"http://{{sim}}\", vertex_location: europe-west4, vertex_credentials: {account}"
    )
}

fn groups() -> String {
    model_list(&[
        ("claude", &bedrock("anthropic.claude-sonnet-4-5-20250929-v1:0")),
        ("regional", &bedrock("us-east-1/us.anthropic.claude-sonnet-4-5-20250929-v1:0")),
        ("nova", &bedrock("amazon.nova-pro-v1:0")),
        ("invoked", &bedrock("invoke/anthropic.claude-sonnet-4-5-20250929-v1:0")),
        ("titan", &bedrock("amazon.titan-embed-text-v2:0")),
        ("embed", &bedrock("cohere.embed-english-v3")),
        ("gemini", &vertex("gemini-2.5-flash")),
        ("vertex-claude", &vertex("claude-sonnet-4-5@20250929")),
        ("llama", &vertex("meta/llama-3.3-70b-instruct-maas")),
        ("openai", &Wire::OpenAi.parameters("o")),
        ("anthropic", &Wire::Anthropic.parameters("a")),
    ])
}

fn path_of(received: &[Received], end: &str) -> String {
    let found = received.iter().rev().find(|request| request.path.contains(end));
    found.map(|request| request.path.clone()).unwrap_or_default()
}

#[tokio::test]
async fn every_cloud_answers_plain_and_streamed() {
    let app = App::start(groups(), Script::new()).await;
    for (group, plain, stream) in [
        ("claude", "/converse", "/converse-stream"),
        ("regional", "/converse", "/converse-stream"),
        ("nova", "/converse", "/converse-stream"),
        ("invoked", "/invoke", "/invoke-with-response-stream"),
        ("gemini", ":generateContent", ":streamGenerateContent"),
        ("vertex-claude", ":rawPredict", ":streamRawPredict"),
        ("llama", "/endpoints/openapi/chat/completions", "/endpoints/openapi/chat/completions"),
    ] {
        let answer = app.hello(group).await;
        assert_eq!(answer.status, 200, "{group}: {}", answer.text());
        assert!(answer.content().contains("Hello"), "{group}: {}", answer.text());
        assert!(answer.json()["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{group}");
        assert!(!path_of(&app.received(), plain).is_empty(), "{group}");
        let mut events = app.hello_stream(group).await;
        let rest = events.rest().await;
        assert!(rest.last().unwrap().contains("[DONE]"), "{group}: {rest:?}");
        let deltas = rest.iter().filter(|event| event.starts_with("data: {")).map(|event| data(event));
        let said: String = deltas
            .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect();
        assert!(said.contains("Hello"), "{group}: {rest:?}");
        assert!(!path_of(&app.received(), stream).is_empty(), "{group}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_token_serves_every_deployment_of_its_account_and_is_asked_for_once() {
    let app = App::start(groups(), Script::new()).await;
    for group in ["gemini", "vertex-claude", "gemini"] {
        assert_eq!(app.hello(group).await.status, 200);
    }
    let asked = app.received().iter().filter(|request| request.path == "/token").count();
    assert_eq!(asked, 1);
    let project = path_of(&app.received(), ":generateContent");
    assert!(project.starts_with("/v1/projects/simulated-project/locations/europe-west4/"), "{project}");
    app.stop().await;
}

#[tokio::test]
async fn wrong_keys_are_an_authentication_error_and_are_not_shown() {
    let wrong = bedrock("amazon.nova-pro-v1:0")
        .replace(AWS_SECRET_ACCESS_KEY, "not/the/secret/of/anybody/at/all/0000001");
    let app = App::start(model_list(&[("m", &wrong)]), Script::new()).await;
    let answer = app.hello("m").await;
    assert_eq!(
        (answer.status, answer.error()["type"].as_str()),
        (401, Some("authentication_error")),
        "{}",
        answer.text()
    );
    assert!(!answer.everything().contains("not/the/secret"));
    app.stop().await;
}

#[tokio::test]
async fn texts_are_embedded_where_one_call_takes_one_of_them() {
    let app = App::start(groups(), Script::new()).await;
    for (group, calls) in [("titan", 3), ("embed", 1)] {
        let invoked =
            |app: &App| app.received().iter().filter(|request| request.path.ends_with("/invoke")).count();
        let before = invoked(&app);
        let body = json!({"model": group, "input": ["one", "two", "three"]});
        let answer = app.post("/v1/embeddings", &body).await;
        assert_eq!(answer.status, 200, "{group}: {}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["data"].as_array().unwrap().len(), 3, "{group}");
        assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() >= 3, "{answer}");
        assert_eq!(invoked(&app) - before, calls, "{group}");
    }
    app.stop().await;
}

#[tokio::test]
async fn servers_of_ones_own_and_watsonx_answer_plain_and_streamed() {
    let keys = format!(
        "aws_region_name: eu-central-1, aws_access_key_id: {AWS_ACCESS_KEY_ID}, \
         aws_secret_access_key: \"{AWS_SECRET_ACCESS_KEY}\""
    );
    let list = model_list(&[
        ("ollama", "model: ollama/llama3.2, api_base: \"http://{sim}/ollama\""),
        ("messages", &format!("model: sagemaker_chat/my-endpoint, api_base: \"http://{{sim}}\", {keys}")),
        ("text", &format!("model: sagemaker/my-endpoint-tgi, api_base: \"http://{{sim}}\", {keys}")),
        (
            "watsonx",
            "model: watsonx/ibm/granite-3-3-8b-instruct, api_base: \"http://{sim}/watsonx\", api_key: sk-key, \
             project_id: 0b16e2a0-0000-4000-8000-000000000001",
        ),
    ]);
    let app = App::start(
        format!("{list}environment_variables: {{WATSONX_IAM_URL: \"http://{{sim}}/watsonx\"}}\n"),
        Script::new(),
    )
    .await;
    for group in ["ollama", "messages", "text", "watsonx"] {
        let answer = app.hello(group).await;
        assert_eq!(answer.status, 200, "{group}: {}", answer.text());
        assert!(!answer.content().is_empty(), "{group}: {}", answer.text());
        let rest = app.hello_stream(group).await.rest().await;
        assert!(rest.last().unwrap().contains("[DONE]"), "{group}: {rest:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn providers_that_read_openais_form_strictly_are_asked_in_their_own_manner() {
    let list = model_list(&[
        (
            "mistral",
            "model: mistral/magistral-small-latest, api_base: \"http://{sim}/mistral/v1\", api_key: sk-key",
        ),
        (
            "bricks",
            "model: databricks/databricks-claude-sonnet-4, api_base: \"http://{sim}/databricks/serving-endpoints\", api_key: dapi-key",
        ),
        (
            "face",
            "model: huggingface/meta-llama/Llama-3.1-8B, api_base: \"http://{sim}/huggingface/v1\", api_key: hf_key",
        ),
    ]);
    let app = App::start(format!("{list}litellm_settings: {{drop_params: true}}\n"), Script::new()).await;
    let call = json!({"id": "call_0123456789abcdef", "type": "function", "function": {"name": "look", "arguments": ""}});
    let tool = json!({"type": "function", "function": {"name": "look", "strict": true}});
    let body = |model: &str| {
        json!({
            "model": model,
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "Look.", "name": "ann"},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_0123456789abcdef", "content": "rain"},
                {"role": "user", "content": "And?"},
            ],
            "tools": [tool],
            "tool_choice": "auto",
            "max_completion_tokens": 40,
            "seed": 7,
            "user": "ann",
            "store": true,
        })
    };
    for group in ["mistral", "bricks", "face"] {
        let answer = app.chat(&body(group)).await;
        assert_eq!(answer.status, 200, "{group}: {}", answer.text());
        assert!(
            answer.header("x-tollgate-dropped").is_some_and(|names| names.contains("store")),
            "{group}: {:?}",
            answer.headers
        );
        let mut stream = body(group);
        stream["stream"] = json!(true);
        let rest = app.stream(&stream).await.rest().await;
        assert!(rest.last().unwrap().contains("[DONE]"), "{group}: {rest:?}");
        let sent: Value = serde_json::from_slice(&app.received().last().unwrap().body).unwrap();
        assert_eq!(
            (&sent["max_tokens"], &sent["user"]),
            (&json!(40), if group == "face" { &sent["user"] } else { &Value::Null })
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn converse_is_a_surface_before_every_wire() {
    let app = App::start(groups(), Script::new()).await;
    let body = json!({"messages": [{"role": "user", "content": [{"text": "Hello"}]}], "inferenceConfig": {"maxTokens": 50}});
    for group in ["claude", "openai", "anthropic", "gemini"] {
        let answer = app.post(&format!("/model/{group}/converse"), &body).await;
        assert_eq!(answer.status, 200, "{group}: {}", answer.text());
        let reply = answer.json();
        assert_eq!(reply["stopReason"], "end_turn", "{group}");
        assert!(
            reply["output"]["message"]["content"][0]["text"].as_str().unwrap().contains("Hello"),
            "{reply}"
        );
        let usage = &reply["usage"];
        let sum = usage["inputTokens"].as_u64().unwrap() + usage["outputTokens"].as_u64().unwrap();
        assert_eq!(usage["totalTokens"].as_u64(), Some(sum), "{usage}");
        let request = post(&format!("/model/{group}/converse-stream"), &[], body.to_string().as_bytes());
        let streamed = app.ask(&request).await;
        assert_eq!(streamed.header("content-type"), Some("application/vnd.amazon.eventstream"), "{group}");
        let bytes = String::from_utf8_lossy(&streamed.body).into_owned();
        let places: Vec<Option<usize>> = ["messageStart", "contentBlockDelta", "messageStop", "metadata"]
            .map(|name| bytes.find(name))
            .to_vec();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{group}: {places:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn errors_on_converse_are_awss() {
    let yaml = format!("{}general_settings: {{master_key: sk-master}}\n", groups());
    let app = App::start(yaml, Script::new()).await;
    let signed = "AWS4-HMAC-SHA256 Credential=sk-master/20261122/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0";
    for (headers, model, status, kind) in [
        (vec![], "claude", 401, "UnrecognizedClientException"),
        (vec![("authorization", signed)], "nobody", 400, "ValidationException"),
    ] {
        let answer =
            app.ask(&post(&format!("/model/{model}/converse"), &headers, b"{\"messages\":[]}")).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("x-amzn-errortype"), Some(kind));
        assert!(answer.json()["message"].is_string(), "{}", answer.text());
    }
    let good = hello("claude").to_string();
    let answer = app.ask(&post("/v1/chat/completions", &[("authorization", signed)], good.as_bytes())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    app.stop().await;
}
