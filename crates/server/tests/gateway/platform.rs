//! Files, batches, fine-tuning jobs and vector stores at the provider that a request means; message batches at Anthropic;
//! the clouds' own APIs.

use crate::support::admin::{MASTER, seen};
use crate::support::{Answer, App};
use serde_json::{Value, json};
use tollgate_simulator::{Received, Script, Verdict, clouds};

/// OpenAI by the environment, Azure by `files_settings` and by a deployment, tuning at an account of its own.
const CONFIG: &str = r#"
model_list:
  - {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_base: "http://{sim}/d/fast/v1", api_key: sk-of-fast}}
  - {model_name: also-fast, litellm_params: {model: openai/gpt-4o, api_base: "http://{sim}/d/fast/v1", api_key: sk-of-fast}}
  - {model_name: far, litellm_params: {model: azure/dep, api_base: "http://{sim}/d/far/openai/deployments/dep", api_key: far-key, api_version: "2024-10-21"}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "http://{sim}/d/claude", api_key: sk-of-claude}}
  - {model_name: other-claude, litellm_params: {model: anthropic/claude-opus-4-1, api_base: "http://{sim}/d/other", api_key: sk-of-other}}
files_settings:
  - {custom_llm_provider: azure, api_base: "http://{sim}/d/azf", api_key: azure-files, api_version: "2024-10-21"}
finetune_settings:
  - {custom_llm_provider: openai, api_base: "http://{sim}/d/tune/v1", api_key: sk-tune}
environment_variables:
  OPENAI_API_KEY: sk-env-openai
  OPENAI_BASE_URL: "http://{sim}/v1"
"#;

async fn app() -> App {
    App::start(CONFIG, Script::new()).await
}

async fn request(app: &App, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    app.ask(&[head.as_bytes(), body].concat()).await
}

/// A form of these fields and a file.
fn form(fields: &[(&str, &str)], file: &str) -> Vec<u8> {
    let mut out = String::new();
    for (name, value) in fields {
        out.push_str(&format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    out.push_str(&format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{file}\r\n--x--\r\n"
    ));
    out.into_bytes()
}

async fn upload(app: &App, path: &str, fields: &[(&str, &str)], file: &str) -> Answer {
    let headers = [("content-type", "multipart/form-data; boundary=x")];
    request(app, "POST", path, &headers, &form(fields, file)).await
}

fn last(app: &App) -> Received {
    app.received().pop().unwrap()
}

/// A line of a batch for a model.
fn line(model: &str) -> String {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    json!({"custom_id": model, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string()
        + "\n"
}

#[tokio::test]
async fn a_file_goes_to_openai_unless_another_provider_is_meant() {
    let app = app().await;
    let answer = upload(&app, "/v1/files", &[("purpose", "batch")], &line("gpt-4o")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = last(&app);
    assert_eq!(
        (received.path.as_str(), received.header("authorization")),
        ("/v1/files", Some("Bearer sk-env-openai"))
    );
    assert_eq!(received.body, form(&[("purpose", "batch")], &line("gpt-4o")));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    for (method, path, sent) in [
        ("GET", format!("/files/{id}"), format!("/v1/files/{id}")),
        ("GET", "/v1/files?purpose=batch&provider=openai".to_owned(), "/v1/files?purpose=batch".to_owned()),
        ("GET", format!("/v1/files/{id}/content"), format!("/v1/files/{id}/content")),
        ("GET", format!("/openai/v1/files/{id}"), format!("/v1/files/{id}")),
        ("DELETE", format!("/v1/files/{id}?custom_llm_provider=openai"), format!("/v1/files/{id}")),
    ] {
        let answer = request(&app, method, &path, &[], b"").await;
        assert_eq!((answer.status, last(&app).path), (200, sent), "{path}: {}", answer.text());
        if path.ends_with("content") {
            assert_eq!(answer.text(), line("gpt-4o"));
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn the_provider_is_named_in_a_form_a_query_a_header_a_body_or_the_path() {
    let app = app().await;
    let fields = [("purpose", "batch"), ("custom_llm_provider", "azure")];
    let answer = upload(&app, "/v1/files", &fields, &line("dep")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = last(&app);
    assert_eq!(received.path, "/d/azf/openai/files?api-version=2024-10-21");
    assert_eq!(received.header("api-key"), Some("azure-files"));
    assert_eq!(received.body, form(&[("purpose", "batch")], &line("dep")), "the gateway's field stays here");
    let sent = "/d/azf/openai/files?limit=2&api-version=2024-10-21";
    for (path, headers) in [
        ("/v1/files?limit=2&custom_llm_provider=azure", &[][..]),
        ("/v1/files?provider=azure&limit=2", &[]),
        ("/azure/v1/files?limit=2", &[]),
        ("/v1/files?limit=2&api-version=1", &[("custom-llm-provider", "azure")]),
    ] {
        let answer = request(&app, "GET", path, headers, b"").await;
        assert_eq!((answer.status, last(&app).path.as_str()), (200, sent), "{path}: {}", answer.text());
    }
    let body = json!({"input_file_id": "file-none", "endpoint": "/v1/chat/completions", "completion_window": "24h", "custom_llm_provider": "azure"});
    app.post("/v1/batches", &body).await;
    let received = last(&app);
    assert_eq!(received.path, "/d/azf/openai/batches?api-version=2024-10-21");
    assert!(!String::from_utf8_lossy(&received.body).contains("custom_llm_provider"));
    app.stop().await;
}

#[tokio::test]
async fn a_model_leads_to_its_deployment_and_is_the_providers_in_a_batchs_file() {
    let app = app().await;
    let file = line("fast") + &line("gpt-4.1") + &line("also-fast") + &line("claude");
    let fields = [("purpose", "batch"), ("target_model_names", "fast, also-fast")];
    let answer = upload(&app, "/v1/files", &fields, &file).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = last(&app);
    assert_eq!(
        (received.deployment.as_deref(), received.header("authorization")),
        (Some("fast"), Some("Bearer sk-of-fast"))
    );
    let renamed = file
        .replace(r#""model":"fast""#, r#""model":"gpt-4o-mini""#)
        .replace(r#""model":"also-fast""#, r#""model":"gpt-4o""#);
    assert_eq!(received.body, form(&[("purpose", "batch")], &renamed));
    // Azure's own address, whatever the base names.
    let answer = request(&app, "GET", "/v1/files?target_model_names=far", &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(last(&app).path, "/d/far/openai/files?api-version=2024-10-21");
    let answer = request(&app, "GET", "/v1/batches", &[("x-litellm-model", "fast")], b"").await;
    assert_eq!((answer.status, last(&app).deployment.as_deref()), (200, Some("fast")));
    let before = app.received().len();
    let apart =
        upload(&app, "/v1/files", &[("purpose", "batch"), ("target_model_names", "fast,far")], "").await;
    assert_eq!((apart.status, apart.error()["param"].as_str()), (400, Some("target_model_names")));
    let unknown = request(&app, "GET", "/v1/files?model=nobody", &[], b"").await;
    assert!(
        unknown.error_message().contains("Invalid model name passed in model=nobody"),
        "{}",
        unknown.text()
    );
    let native = request(&app, "GET", "/v1/files?provider=anthropic", &[], b"").await;
    assert!(native.error_message().contains("its own API passes through"), "{}", native.text());
    let nobody = request(&app, "GET", "/v1/files?provider=nobody", &[], b"").await;
    assert_eq!(nobody.status, 400);
    assert_eq!(app.received().len(), before);
    app.stop().await;
}

#[tokio::test]
async fn a_job_tunes_a_groups_model_or_the_providers_own() {
    let app = app().await;
    let turns =
        json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]});
    let file = format!("{turns}\n").repeat(10);
    let tune = |deployment: &'static str, model: &'static str, sent: &'static str| {
        let (app, file) = (&app, &file);
        async move {
            let uploaded = request(
                app,
                "POST",
                &format!("/{}", "v1/files?custom_llm_provider=openai"),
                &[("content-type", "multipart/form-data; boundary=x")],
                &form(&[("purpose", "fine-tune")], file),
            )
            .await;
            let id = uploaded.json()["id"].clone();
            let answer =
                app.post("/v1/fine_tuning/jobs", &json!({"model": model, "training_file": id})).await;
            let received = last(app);
            assert_eq!(received.deployment.as_deref(), Some(deployment), "{}", answer.text());
            let body: Value = serde_json::from_slice(&received.body).unwrap();
            assert_eq!(body["model"], sent);
        }
    };
    tune("tune", "gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18").await;
    tune("fast", "fast", "gpt-4o-mini").await;
    let answer = request(&app, "GET", "/fine_tuning/jobs?limit=1", &[], b"").await;
    assert_eq!((answer.status, last(&app).path.as_str()), (200, "/d/tune/v1/fine_tuning/jobs?limit=1"));
    let answer = request(&app, "POST", "/v1/fine_tuning/jobs/ftjob-none/cancel", &[], b"").await;
    assert_eq!(
        (answer.status, last(&app).path.as_str()),
        (404, "/d/tune/v1/fine_tuning/jobs/ftjob-none/cancel")
    );
    app.stop().await;
}

#[tokio::test]
async fn a_vector_store_is_made_searched_and_deleted() {
    let app = app().await;
    let made = app.post("/v1/vector_stores", &json!({"name": "colours"})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let found = app.post(&format!("/vector_stores/{id}/search"), &json!({"query": "sky"})).await;
    assert_eq!(
        (found.status, found.json()["object"].as_str()),
        (200, Some("vector_store.search_results.page"))
    );
    let gone = request(&app, "DELETE", &format!("/v1/vector_stores/{id}"), &[], b"").await;
    assert_eq!(gone.json()["deleted"], true);
    app.stop().await;
}

#[tokio::test]
async fn what_is_openais_alone_stays_unserved() {
    let app = app().await;
    for path in ["/v1/assistants", "/v1/threads"] {
        assert_eq!(app.post(path, &json!({})).await.status, 501, "{path}");
    }
    assert_eq!(app.post("/v1/uploads", &json!({})).await.status, 404);
    assert_eq!(app.received().len(), 0);
    app.stop().await;
}

fn message_request(id: &str, model: &str) -> Value {
    let params = json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    json!({"custom_id": id, "params": params})
}

#[tokio::test]
async fn message_batches_go_to_the_models_account_under_the_providers_names() {
    let app = app().await;
    let body =
        json!({"requests": [message_request("a", "claude"), message_request("b", "claude-haiku-4-5")]});
    let made = app.post("/v1/messages/batches", &body).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let received = last(&app);
    assert_eq!(received.deployment.as_deref(), Some("claude"));
    assert_eq!(received.header("anthropic-version"), Some("2023-06-01"));
    let sent = body.to_string().replacen("\"claude\"", "\"claude-sonnet-4-5\"", 1);
    assert_eq!(received.body, sent.as_bytes());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    for (method, path) in [
        ("POST", format!("/v1/messages/batches/{id}/cancel")),
        ("GET", "/v1/messages/batches?limit=2".to_owned()),
        ("GET", format!("/v1/messages/batches/{id}")),
    ] {
        let answer = request(&app, method, &path, &[], b"").await;
        // The simulated batch may have ended before it can be cancelled.
        assert!(answer.status == 200 || path.ends_with("cancel"), "{path}: {}", answer.text());
        assert_eq!(last(&app).path, format!("/d/claude{path}"));
    }
    let ended = request(&app, "GET", &format!("/v1/messages/batches/{id}"), &[], b"").await;
    let results = format!("/v1/messages/batches/{id}/results");
    assert_eq!(ended.json()["results_url"], results, "{}", ended.text());
    let answer = request(&app, "GET", &results, &[], b"").await;
    assert_eq!((answer.status, answer.text().lines().count()), (200, 2), "{}", answer.text());
    let body = json!({"requests": [message_request("a", "claude"), message_request("b", "other-claude")]});
    let apart = app.post("/v1/messages/batches", &body).await;
    assert_eq!((apart.status, apart.json()["type"].as_str()), (400, Some("error")), "{}", apart.text());
    let missing = request(&app, "GET", "/v1/messages/batches/msgbatch_none/results", &[], b"").await;
    assert_eq!((missing.status, missing.json()["error"]["type"].as_str()), (404, Some("not_found_error")));
    app.stop().await;
}

#[tokio::test]
async fn bedrocks_own_api_is_signed_with_the_accounts_keys() {
    let yaml = format!(
        "model_list:\n  - {{model_name: nova, litellm_params: {{model: bedrock/us.amazon.nova-lite-v1:0, aws_bedrock_runtime_endpoint: \"http://{{sim}}\", aws_region_name: eu-central-1, aws_access_key_id: {}, aws_secret_access_key: {}}}}}\n",
        clouds::AWS_ACCESS_KEY_ID,
        clouds::AWS_SECRET_ACCESS_KEY
    );
    let app = App::start(yaml, Script::new()).await;
    let body = json!({"messages": [{"role": "user", "content": [{"text": "hi there"}]}]});
    for (path, sent) in [
        (
            "/bedrock/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
            "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
        ),
        ("/bedrock/model/nova/converse", "/model/us.amazon.nova-lite-v1%3A0/converse"),
    ] {
        let answer = app.post(path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.text().contains("hi there"));
        let received = last(&app);
        assert_eq!((received.path.as_str(), received.verdict.clone()), (sent, Verdict::Answered));
        assert!(
            received
                .headers
                .iter()
                .any(|(name, value)| name == "authorization" && value.contains("eu-central-1/bedrock"))
        );
    }
    let answer = app.post("/bedrock/model/nova/converse-stream", &body).await;
    assert_eq!(answer.header("content-type"), Some("application/vnd.amazon.eventstream"));
    let tokens = last(&app).tokens;
    let counted = app.metric("litellm_output_tokens_metric_total", &["requested_model=\"nova\""]).await;
    assert!(counted >= tokens.1 as f64 && tokens.1 > 0, "{counted} {tokens:?}");
    app.stop().await;
}

#[tokio::test]
async fn vertexs_own_api_has_the_accounts_token_and_no_other_project() {
    let mut account: Value = serde_json::from_str(clouds::GOOGLE_SERVICE_ACCOUNT).unwrap();
    account["token_uri"] = json!("http://{sim}/token");
    let yaml = format!(
        "default_vertex_config: {{vertex_project: my-project, vertex_location: europe-west1, vertex_credentials: {account}}}\nenvironment_variables: {{VERTEXAI_API_BASE: \"http://{{sim}}\"}}\n"
    );
    let app = App::start(yaml, Script::new()).await;
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]});
    let path = "/v1/projects/my-project/locations/europe-west1/publishers/google/models/gemini-2.5-flash:generateContent";
    for asked in [
        path,
        "/publishers/google/models/gemini-2.5-flash:generateContent",
        "/v1/publishers/google/models/gemini-2.5-flash:generateContent",
    ] {
        let answer = app.post(&format!("/vertex_ai{asked}"), &body).await;
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        let received = last(&app);
        assert_eq!((received.path.as_str(), received.verdict.clone()), (path, Verdict::Answered), "{asked}");
        assert!(received.header("authorization").is_some_and(|value| value.starts_with("Bearer ")));
    }
    let before = app.received().len();
    let other = path.replace("my-project", "another-project");
    let answer = app.post(&format!("/vertex-ai{other}"), &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(app.received().len(), before);
    app.stop().await;
}

#[tokio::test]
async fn what_no_provider_asks_anything_for_is_not_flagged_and_what_has_no_price_is() {
    let config = format!("{CONFIG}general_settings: {{master_key: {MASTER}}}\n");
    let app = App::start(config, Script::new()).await;
    let bearer = format!("Bearer {MASTER}");
    let master = ("authorization", bearer.as_str());
    let json = ("content-type", "application/json");
    let ask = async |method: &str, path: &str, body: Value| {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = request(&app, method, path, &[master, json], &body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
        answer
    };
    let form = [master, ("content-type", "multipart/form-data; boundary=x")];
    let body = self::form(&[("purpose", "batch")], &line("gpt-4o"));
    let sent = request(&app, "POST", "/v1/files", &form, &body).await;
    let file = sent.json()["id"].as_str().unwrap().to_owned();
    for answer in [
        sent,
        ask("GET", "/v1/files", Value::Null).await,
        ask("GET", "/openai_passthrough/v1/models", Value::Null).await,
        ask("DELETE", &format!("/v1/files/{file}"), Value::Null).await,
    ] {
        assert_eq!(answer.header("x-tollgate-unpriced"), None, "{}", answer.text());
    }
    let flagged = ask("POST", "/v1/vector_stores", json!({"name": "s"})).await;
    assert_eq!(flagged.header("x-tollgate-unpriced"), Some("openai/*"));
    let mut page = Value::Null;
    for _ in 0..500 {
        page = seen(&app, "/spend/logs/v2").await;
        if page["total"] == 5 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let rows = page["data"].as_array().unwrap();
    let flags = rows.iter().map(|row| row["metadata"].get("tollgate_unpriced").is_some());
    let flags: Vec<bool> = flags.collect();
    assert_eq!((flags.len(), flags.iter().filter(|flag| **flag).count()), (5, 1), "{page}");
    app.stop().await;
}

#[tokio::test]
async fn work_that_is_billed_when_it_ends_is_flagged_or_refused_where_what_has_no_price_is() {
    let body = json!({"requests": [message_request("a", "claude")]});
    let tuning = json!({"model": "gpt-4o-mini-2024-07-18", "training_file": "file-1"});
    let app = app().await;
    let made = app.post("/v1/messages/batches", &body).await;
    assert_eq!((made.status, made.header("x-tollgate-unpriced")), (200, Some("claude-sonnet-4-5")));
    assert_eq!(made.header("x-litellm-response-cost"), None);
    app.stop().await;

    let deny = format!("{CONFIG}tollgate_settings: {{unpriced: deny}}\n");
    let app = App::start(deny, Script::new()).await;
    for (path, body) in [
        ("/v1/messages/batches", &body),
        ("/anthropic/v1/messages/batches", &body),
        ("/v1/fine_tuning/jobs", &tuning),
        ("/openai/v1/fine_tuning/jobs", &tuning),
    ] {
        let refused = app.post(path, body).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.text());
        assert!(refused.text().contains("is not known before it ends"), "{path}: {}", refused.text());
    }
    assert_eq!(app.received().len(), 0);
    assert_eq!(request(&app, "GET", "/v1/messages/batches?limit=2", &[], b"").await.status, 200);
    app.stop().await;
}
