//! Requests that pass through: to providers' own APIs and to endpoints of the operator's own.

use crate::support::{Answer, App, RawProvider, data, sum_of};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Fault, Received, Rule, Script, Verdict};

const MASTER: &str = "sk-master-0123456789";

/// Every provider's account from the environment, and endpoints of the operator's own.
const CONFIG: &str = r#"
model_list:
  - {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_base: "http://{sim}/d/fast/v1", api_key: sk-of-fast}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "http://{sim}/d/claude", api_key: sk-of-claude}}
  - {model_name: azure-chat, litellm_params: {model: azure/dep-1, api_base: "http://{sim}/d/az", api_key: azure-key, api_version: "2024-10-21"}}
  - {model_name: local, litellm_params: {model: hosted_vllm/llama, api_base: "http://{sim}/d/vllm/v1", api_key: vllm-key}}
general_settings:
  master_key: sk-master-0123456789
  pass_through_endpoints:
    - path: /my/rerank
      target: "http://{sim}/cohere/v2/rerank"
      headers: {authorization: "Bearer os.environ/MY_KEY", x-mine: mine}
      cost_per_request: 0.25
    - {path: /sub, target: "http://{sim}/d/sub/v1?fixed=1", include_subpath: true, forward_headers: true, headers: {authorization: Bearer sub-key}, default_query_params: {limit: "3", order: asc}}
    - {path: /reads, target: "http://{sim}/v1/models", methods: [GET], headers: {authorization: Bearer reads-key}, auth: false}
environment_variables:
  OPENAI_API_KEY: sk-env-openai
  OPENAI_BASE_URL: "http://{sim}/v1"
  ANTHROPIC_API_KEY: sk-env-anthropic
  ANTHROPIC_API_BASE: "http://{sim}"
  GEMINI_API_KEY: env-gemini
  GEMINI_API_BASE: "http://{sim}"
  COHERE_API_KEY: env-cohere
  COHERE_API_BASE: "http://{sim}/cohere"
  MISTRAL_API_KEY: env-mistral
  MISTRAL_API_BASE: "http://{sim}/mistral/v1"
  MY_KEY: my-cohere-key
"#;

async fn app() -> App {
    App::start(CONFIG, Script::new()).await
}

/// Sends with the master key.
async fn send(app: &App, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {MASTER}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    app.ask(&[head.as_bytes(), body].concat()).await
}

async fn post_json(app: &App, path: &str, body: &Value) -> Answer {
    send(app, "POST", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
}

/// A metric, asked with the master key.
async fn metric(app: &App, name: &str, labels: &[&str]) -> f64 {
    sum_of(&send(app, "GET", "/metrics", &[], b"").await.text(), name, labels)
}

fn last(app: &App) -> Received {
    let received = app.received().pop().unwrap();
    assert!(!format!("{received:?}").contains(MASTER), "{received:?}");
    received
}

fn say(model: &str) -> Value {
    json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hi there"}]})
}

#[tokio::test]
async fn every_providers_own_api_is_behind_its_path_with_its_own_key() {
    let app = app().await;
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]});
    let chat = json!({"model": "command-a-03-2025", "messages": [{"role": "user", "content": "hi there"}]});
    for (path, body, sent, header, key) in [
        (
            "/openai/chat/completions",
            say("gpt-4o"),
            "/v1/chat/completions",
            "authorization",
            "Bearer sk-env-openai",
        ),
        (
            "/openai_passthrough/v1/responses",
            json!({"model": "gpt-4o", "input": "hi there"}),
            "/v1/responses",
            "authorization",
            "Bearer sk-env-openai",
        ),
        ("/anthropic/v1/messages", say("claude-sonnet-4-5"), "/v1/messages", "x-api-key", "sk-env-anthropic"),
        (
            "/gemini/v1beta/models/gemini-2.5-pro:countTokens",
            google.clone(),
            "/v1beta/models/gemini-2.5-pro:countTokens",
            "x-goog-api-key",
            "env-gemini",
        ),
        ("/cohere/v2/chat", chat, "/cohere/v2/chat", "authorization", "Bearer env-cohere"),
        (
            "/mistral/v1/chat/completions",
            say("mistral-small-latest"),
            "/mistral/v1/chat/completions",
            "authorization",
            "Bearer env-mistral",
        ),
        (
            "/azure/openai/deployments/dep-1/chat/completions",
            say("x"),
            "/d/az/openai/deployments/dep-1/chat/completions?api-version=2024-10-21",
            "api-key",
            "azure-key",
        ),
        (
            "/vllm/chat/completions",
            say("llama"),
            "/d/vllm/v1/chat/completions",
            "authorization",
            "Bearer vllm-key",
        ),
    ] {
        let answer = post_json(&app, path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(
            answer.text().contains("hi there") || path.ends_with("countTokens"),
            "{path}: {}",
            answer.text()
        );
        assert!(answer.header("x-litellm-call-id").is_some(), "{path}");
        let received = last(&app);
        assert_eq!((received.path.as_str(), received.header(header)), (sent, Some(key)), "{path}");
        assert_eq!(received.body, body.to_string().as_bytes(), "{path}");
        assert_eq!(received.verdict, Verdict::Answered, "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn any_method_and_query_pass_and_headers_that_mean_something() {
    let app = app().await;
    let answer = send(&app, "GET", "/openai/v1/models?limit=2&after=a%20b", &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(last(&app).path, "/v1/models?limit=2&after=a%20b");
    let answer = send(&app, "DELETE", "/openai/v1/files/file-none", &[("x-custom", "1")], b"").await;
    assert_eq!(answer.status, 404);
    let received = last(&app);
    assert_eq!((received.method.as_str(), received.header("x-custom")), ("DELETE", None));
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-beta", "a-1,b-2"),
        ("anthropic-version", "2023-06-01"),
        ("x-pass-x-custom", "1"),
        ("x-api-key", MASTER),
        ("cookie", "a=b"),
        ("x-forwarded-for", "10.0.0.1"),
    ];
    let body = say("claude-sonnet-4-5").to_string();
    let answer = send(&app, "POST", "/anthropic/v1/messages", &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = last(&app);
    let header = |name| received.header(name);
    assert_eq!((header("anthropic-beta"), header("x-custom")), (Some("a-1,b-2"), Some("1")));
    assert_eq!((header("cookie"), header("x-forwarded-for"), header("authorization")), (None, None, None));
    assert_eq!(header("x-api-key"), Some("sk-env-anthropic"));
    app.stop().await;
}

#[tokio::test]
async fn a_groups_name_leads_to_its_deployment_and_is_the_providers_there() {
    let app = app().await;
    for (path, model, deployment, key, sent) in [
        ("/openai/chat/completions", "fast", "fast", "Bearer sk-of-fast", "gpt-4o-mini"),
        ("/anthropic/v1/messages", "claude", "claude", "sk-of-claude", "claude-sonnet-4-5"),
        ("/vllm/chat/completions", "local", "vllm", "Bearer vllm-key", "llama"),
    ] {
        let answer = post_json(&app, path, &say(model)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let received = last(&app);
        assert_eq!(received.deployment.as_deref(), Some(deployment), "{path}");
        assert_eq!(received.model, sent, "{path}");
        let credential = received.header("authorization").or(received.header("x-api-key"));
        assert_eq!(credential, Some(key), "{path}");
    }
    // Google's own names pass where no group has them, and a group's name is served with any model.
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]});
    for (model, provider) in [("gemini-2.5-flash", "x-goog-api-key"), ("fast", "authorization")] {
        let path = format!("/gemini/v1beta/models/{model}:generateContent");
        let answer = post_json(&app, &path, &google).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert!(answer.json()["candidates"].is_array(), "{model}");
        assert!(last(&app).header(provider).is_some(), "{model}");
    }
    // A group of another provider is not that provider's model: the name passes as it is.
    post_json(&app, "/openai/chat/completions", &say("claude")).await;
    assert_eq!((last(&app).deployment, last(&app).model.as_str()), (None, "claude"));
    // In a path as in a body; the version of the deployment is added where the caller names none.
    let path = "/azure/openai/deployments/azure-chat/chat/completions";
    assert_eq!(post_json(&app, path, &say("x")).await.status, 200);
    assert_eq!(last(&app).path, "/d/az/openai/deployments/dep-1/chat/completions?api-version=2024-10-21");
    let answer = post_json(&app, &format!("{path}?api-version=2024-06-01"), &say("x")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(last(&app).path.ends_with("?api-version=2024-06-01"), "{}", last(&app).path);
    app.stop().await;
}

#[tokio::test]
async fn a_deployment_that_is_meant_for_it_goes_before_the_environment() {
    let meant = "  - {model_name: x, litellm_params: {model: anthropic/claude-x, api_base: \"http://{sim}/d/meant\", api_key: sk-meant, use_in_pass_through: true}}\ngeneral_settings:";
    let app = App::start(CONFIG.replacen("general_settings:", meant, 1), Script::new()).await;
    assert_eq!(post_json(&app, "/anthropic/v1/messages", &say("claude-y")).await.status, 200);
    assert_eq!(last(&app).header("x-api-key"), Some("sk-meant"));
    app.stop().await;
}

#[tokio::test]
async fn without_an_account_the_refusal_says_what_would_help() {
    let yaml = format!("general_settings: {{master_key: {MASTER}}}\n");
    let app = App::start(yaml, Script::new()).await;
    let answer = post_json(&app, "/openai/chat/completions", &say("gpt-4o")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.error_message().contains("OPENAI_API_KEY"), "{}", answer.text());
    let answer = post_json(&app, "/anthropic/v1/messages", &say("m")).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (400, Some("error")), "{}", answer.text());
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn streams_pass_byte_for_byte_and_are_billed_by_what_they_report() {
    let app = app().await;
    let mut body = say("claude-sonnet-4-5");
    body["stream"] = json!(true);
    let answer = post_json(&app, "/anthropic/v1/messages", &body).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let text = answer.text();
    assert!(text.starts_with("event: message_start\n"), "{text}");
    assert!(text.trim_end().ends_with(r#"{"type":"message_stop"}"#), "{text}");
    let (input, output) = last(&app).tokens;
    let labels = ["model=\"claude-sonnet-4-5\"", "requested_model=\"pass-through\""];
    assert_eq!(metric(&app, "litellm_input_tokens_metric_total", &labels).await, input as f64);
    assert_eq!(metric(&app, "litellm_output_tokens_metric_total", &labels).await, output as f64);
    assert!(metric(&app, "litellm_spend_metric_total", &labels).await > 0.0);
    // Google's streams without `alt=sse` are arrays, and pass as such.
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]});
    let path = "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent";
    let answer = post_json(&app, path, &google).await;
    assert_eq!((answer.status, answer.json().is_array()), (200, true), "{}", answer.text());
    let labels = ["model=\"gemini-2.5-flash\"", "api_provider=\"gemini\""];
    let output = metric(&app, "litellm_output_tokens_metric_total", &labels).await;
    assert_eq!(output, last(&app).tokens.1 as f64);
    let route = ["route=\"/anthropic/{endpoint}\"", "status_code=\"200\""];
    assert_eq!(metric(&app, "litellm_proxy_total_requests_metric_total", &route).await, 1.0);
    app.stop().await;
}

#[tokio::test]
async fn a_plain_replys_cost_stands_in_its_head_and_reading_costs_nothing() {
    let app = app().await;
    let answer = post_json(&app, "/anthropic/v1/messages", &say("claude-sonnet-4-5")).await;
    assert!(answer.header("x-litellm-response-cost").unwrap().parse::<f64>().unwrap() > 0.0);
    assert!(answer.header("llm_provider-content-type").is_some());
    let unknown = post_json(&app, "/anthropic/v1/messages", &say("claude-nobody-knows")).await;
    assert_eq!((unknown.status, unknown.header("x-litellm-response-cost")), (200, None));
    // A kept response reports its tokens whenever it is read; it was paid once.
    let made =
        post_json(&app, "/openai_passthrough/v1/responses", &json!({"model": "gpt-4o", "input": "hi"})).await;
    let spent = metric(&app, "litellm_spend_metric_total", &["api_provider=\"openai\""]).await;
    assert!(spent > 0.0);
    let path = format!("/openai_passthrough/v1/responses/{}", made.json()["id"].as_str().unwrap());
    assert!(send(&app, "GET", &path, &[], b"").await.json()["usage"]["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!(metric(&app, "litellm_spend_metric_total", &["api_provider=\"openai\""]).await, spent);
    app.stop().await;
}

#[tokio::test]
async fn a_providers_error_comes_with_its_own_status_and_bytes_but_without_the_key() {
    let script = Script::new()
        .rule(Rule::model("limited", Behaviour::new().fault(Fault::status_retry_after(429, "7"))))
        .rule(Rule::model(
            "tells",
            Behaviour::new().header("x-request-id", "sk-env-anthropic").fault(Fault::Status(
                tollgate_simulator::StatusFault {
                    code: 401,
                    message: Some("bad key {key}".to_owned()),
                    reason: tollgate_simulator::Reason::Usual,
                    retry_after: None,
                },
            )),
        ));
    let app = App::start(CONFIG, script).await;
    let answer = post_json(&app, "/anthropic/v1/messages", &say("limited")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    let answer = post_json(&app, "/anthropic/v1/messages", &say("tells")).await;
    assert_eq!(answer.status, 401);
    assert!(answer.text().contains("bad key ****"), "{}", answer.text());
    assert!(!answer.everything().contains("sk-env-anthropic"), "{}", answer.everything());
    let labels = ["api_provider=\"anthropic\"", "exception_status=\"429\"", "exception_class=\"rate_limit\""];
    assert_eq!(metric(&app, "litellm_deployment_failure_responses_total", &labels).await, 1.0);
    assert_eq!(app.received().len(), 2, "nothing is tried twice");
    app.stop().await;
}

#[tokio::test]
async fn no_path_leads_out_of_the_provider() {
    let app = app().await;
    for path in [
        "/anthropic/../sim/stats",
        "/anthropic/%2e%2e/sim/stats",
        "/anthropic/%252e%252e/sim/stats",
        "/anthropic/v1/..%2f..%2fsim/stats",
        "/anthropic//evil.example/v1/messages",
        "/anthropic/%2fevil.example",
        "/anthropic/v1\\..\\sim",
        "/openai/../../sim/stats",
        "/sub/../../sim/stats",
        "/sub/%2e%2e/sim/stats",
    ] {
        let answer = post_json(&app, path, &json!({})).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn nothing_passes_without_the_gateways_key_which_google_may_have_in_its_query() {
    let app = app().await;
    for path in
        ["/anthropic/v1/messages", "/gemini/v1beta/files", "/cohere/v2/chat", "/my/rerank", "/v1/files"]
    {
        let answer = app.post(path, &json!({})).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    assert_eq!(app.get("/anthropic/v1/models?key=sk-master-0123456789").await.status, 401);
    assert_eq!(app.received().len(), 0);
    assert_eq!(app.get("/gemini/v1beta/models?key=sk-wrong").await.status, 401);
    let answer = app.get(&format!("/gemini/v1beta/models?pageSize=2&key={MASTER}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = last(&app);
    assert_eq!(
        (received.path.as_str(), received.header("x-goog-api-key")),
        ("/v1beta/models?pageSize=2", Some("env-gemini"))
    );
    app.stop().await;
}

#[tokio::test]
async fn an_endpoint_of_the_operators_own_is_served_as_written() {
    let app = app().await;
    let body = json!({"model": "rerank-v3.5", "query": "sky", "documents": ["the sea", "the sky"]});
    let answer = post_json(&app, "/my/rerank", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["results"][0]["index"], 1);
    assert_eq!(answer.header("x-litellm-response-cost"), Some("0.25"));
    let received = last(&app);
    assert_eq!(received.header("authorization"), Some("Bearer my-cohere-key"));
    assert_eq!(received.header("x-mine"), Some("mine"));
    assert_eq!(post_json(&app, "/my/rerank/more", &body).await.status, 404);
    // Its methods, its subpaths, its query and, where it asks for them, the caller's headers.
    let answer =
        send(&app, "GET", "/sub/models?order=desc", &[("x-custom", "1"), ("x-api-key", MASTER)], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = last(&app);
    assert_eq!(received.path, "/d/sub/v1/models?fixed=1&order=desc&limit=3");
    assert_eq!((received.header("x-custom"), received.header("x-api-key")), (Some("1"), None));
    assert_eq!(received.header("authorization"), Some("Bearer sub-key"));
    assert_eq!(app.get("/reads").await.status, 200);
    let answer = post_json(&app, "/reads", &json!({})).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    app.stop().await;
}

#[tokio::test]
async fn a_reload_changes_the_endpoints() {
    let app = app().await;
    assert_eq!(app.get("/reads").await.status, 200);
    app.reload(&CONFIG.replace("path: /reads", "path: /others"));
    assert_eq!(app.get("/reads").await.status, 404);
    assert_eq!(app.get("/others").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_stream_of_events_that_breaks_ends_with_an_error_event() {
    let app = app().await;
    let mut body = say("sim-cut-2");
    body["stream"] = json!(true);
    let answer = post_json(&app, "/anthropic/v1/messages", &body).await;
    let text = answer.text();
    let last = text.split("\n\n").filter(|event| !event.is_empty()).last().unwrap();
    assert!(last.starts_with("event: error\n"), "{text}");
    let told = data(last.split_once('\n').unwrap().1);
    assert_eq!(told["type"], "error", "{text}");
    app.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_not_passed_on() {
    let provider = RawProvider::start(
        "HTTP/1.1 302 Found\r\nlocation: http://evil.example/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let yaml = CONFIG.replace("http://{sim}/v1\"", &format!("http://{}/v1\"", provider.address));
    let app = App::start(yaml, Script::new()).await;
    let answer = send(&app, "GET", "/openai/v1/models", &[], b"").await;
    assert_eq!((answer.status, answer.header("location")), (502, None));
    assert_eq!(provider.connects(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_or_encoded_is_refused() {
    let yaml = format!("{CONFIG}tollgate_settings: {{body_bytes_max: 1000}}\n");
    let app = App::start(yaml, Script::new()).await;
    let large = vec![b'x'; 1_001];
    assert_eq!(send(&app, "POST", "/openai/v1/files", &[], &large).await.status, 413);
    let encoded = [("content-encoding", "gzip"), ("content-type", "application/json")];
    assert_eq!(send(&app, "POST", "/openai/v1/files", &encoded, b"{}").await.status, 415);
    let twice = br#"{"model":"cheap","model":"dear"}"#;
    let kind = [("content-type", "application/json")];
    assert_eq!(send(&app, "POST", "/openai/chat/completions", &kind, twice).await.status, 400);
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}
