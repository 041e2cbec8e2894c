//! Providers' credentials made by the admin API: sealed, masked, and found by the deployments that refer to them.

use crate::support::{Answer, App, hello, post};
use serde_json::{Value, json};
use tollgate_simulator::Script;

const MASTER: &str = "sk-master-0123456789";

async fn call(app: &App, method: &str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = post(path, &[("authorization", &format!("Bearer {MASTER}"))], body.as_bytes());
    let text = String::from_utf8(request).unwrap();
    let answer = app.ask(text.replacen("POST", method, 1).as_bytes()).await;
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    answer
}

/// The key that the provider was last sent, and the status of the answer.
async fn key_of(app: &App, model: &str) -> (u16, Option<String>) {
    let before = app.received().len();
    let status = call(app, "POST", "/v1/chat/completions", hello(model)).await.status;
    let received = app.received();
    let sent = received.get(before).and_then(|request| request.header("authorization").map(str::to_owned));
    (status, sent)
}

fn sent(key: &str) -> (u16, Option<String>) {
    (200, Some(format!("Bearer {key}")))
}

async fn start() -> App {
    let yaml = "
model_list:
- {model_name: yaml, litellm_params: {model: openai/gpt-4o, api_base: \"http://{sim}/d/a/v1\", litellm_credential_name: made}, model_info: {id: of-file}}
- {model_name: listed, litellm_params: {model: openai/gpt-4o, api_base: \"http://{sim}/d/b/v1\", litellm_credential_name: listed}}
credential_list:
- {credential_name: listed, credential_values: {api_key: sk-secret-of-the-file}, credential_info: {custom_llm_provider: OpenAI}}
general_settings: {master_key: sk-master-0123456789}
";
    App::start(yaml, Script::new()).await
}

fn credential(key: &str) -> Value {
    json!({
        "credential_name": "made",
        "credential_values": {"api_key": key},
        "credential_info": {"custom_llm_provider": "openai"},
    })
}

#[tokio::test]
async fn deployments_of_files_and_of_the_api_follow_a_credential() {
    let app = start().await;
    // Without its credential a deployment is not there; one of the file's list is.
    assert_eq!(key_of(&app, "yaml").await.0, 400);
    assert_eq!(key_of(&app, "listed").await, sent("sk-secret-of-the-file"));
    let base = format!("http://{}/d/c/v1", app.simulator.address());
    let params = json!({"model": "openai/gpt-4o", "api_base": base, "litellm_credential_name": "made"});
    let model = json!({"model_name": "api", "litellm_params": params, "model_info": {"id": "of-api"}});
    assert_eq!(call(&app, "POST", "/model/new", model.clone()).await.status, 400);

    let made = call(&app, "POST", "/credentials", credential("sk-secret-one")).await;
    assert_eq!(made.json(), json!({"success": true, "message": "Credential created successfully"}));
    assert_eq!(call(&app, "POST", "/credentials", credential("sk-secret-one")).await.status, 409);
    assert_eq!(call(&app, "POST", "/model/new", model).await.status, 200);
    for name in ["yaml", "api"] {
        assert_eq!(key_of(&app, name).await, sent("sk-secret-one"), "{name}");
    }
    let changed = json!({"credential_values": {"api_key": "sk-secret-two"}});
    assert_eq!(call(&app, "PATCH", "/credentials/made", changed).await.status, 200);
    for name in ["yaml", "api"] {
        assert_eq!(key_of(&app, name).await, sent("sk-secret-two"), "{name}");
    }
    // What would take a deployment out is refused.
    let broken = json!({"credential_values": {"api_version": "v1", "rpm": "many"}});
    assert_eq!(call(&app, "PATCH", "/credentials/made", broken).await.status, 400);
    assert_eq!(key_of(&app, "api").await, sent("sk-secret-two"));

    assert_eq!(call(&app, "DELETE", "/credentials/made", Value::Null).await.status, 200);
    for name in ["yaml", "api"] {
        assert_eq!(key_of(&app, name).await.0, 400, "{name}");
    }
    assert_eq!(key_of(&app, "listed").await, sent("sk-secret-of-the-file"));
    app.stop().await;
}

#[tokio::test]
async fn credentials_are_shown_masked_by_name_and_by_model() {
    let app = start().await;
    call(&app, "POST", "/credentials", credential("sk-secret-one")).await;
    let all = call(&app, "GET", "/credentials", Value::Null).await.json();
    let rows = all["credentials"].as_array().unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row["credential_name"].clone(), row["source"].clone())).collect();
    assert_eq!(told, [(json!("made"), json!("db")), (json!("listed"), json!("config"))]);
    assert_eq!(rows[0]["credential_values"]["api_key"], "sk****ne");
    for path in ["by_name/made", "by_model/of-file"] {
        let one = call(&app, "GET", &format!("/credentials/{path}"), Value::Null).await;
        assert_eq!((one.status, &one.json()), (200, &rows[0]), "{path}");
    }
    for path in ["by_name/nobody", "by_model/nobody"] {
        assert_eq!(
            call(&app, "GET", &format!("/credentials/{path}"), Value::Null).await.status,
            404,
            "{path}"
        );
    }
    let refused = call(&app, "DELETE", "/credentials/listed", Value::Null).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("configuration's file"), "{}", refused.text());
    app.stop().await;
}
