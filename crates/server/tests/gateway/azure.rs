//! Azure: its three spellings of a path, and Entra tokens in the place of keys.

use crate::support::App;
use serde_json::json;
use std::time::Duration;
use tollgate_simulator::{EntraClient, Received, Script};

const SECRET: &str = "a&secret=with signs";

fn entra(lifetime: Duration) -> Script {
    Script::new().entra(EntraClient {
        tenant: "tenant-1".to_owned(),
        client_id: "client-1".to_owned(),
        client_secret: SECRET.to_owned(),
        lifetime,
    })
}

fn with_principal(secret: &str) -> String {
    format!(
        r#"
model_list:
  - model_name: m
    litellm_params:
      model: azure/gpt-4o
      api_base: "http://{{sim}}"
      api_version: "2024-10-21"
      tenant_id: tenant-1
      client_id: client-1
      client_secret: "{secret}"
router_settings: {{num_retries: 0}}
environment_variables: {{AZURE_AUTHORITY_HOST: "http://{{sim}}"}}
"#
    )
}

fn tokens_asked(received: &[Received]) -> usize {
    received.iter().filter(|request| request.path.contains("/oauth2/v2.0/token")).count()
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_serves_many_requests_at_once() {
    let app = App::start(with_principal(SECRET), entra(Duration::from_secs(3_600))).await;
    let (one, two, three) = tokio::join!(app.hello("m"), app.hello("m"), app.hello("m"));
    for answer in [one, two, three, app.hello("m").await] {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let received = app.received();
    assert_eq!(tokens_asked(&received), 1);
    let chats: Vec<&Received> = received.iter().filter(|request| request.path.contains("/chat/")).collect();
    assert_eq!(chats.len(), 4);
    for chat in chats {
        assert!(chat.path.starts_with("/openai/deployments/gpt-4o/chat/completions"), "{}", chat.path);
        assert!(chat.header("authorization").unwrap().starts_with("Bearer "));
        assert_eq!(chat.header("api-key"), None);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_token_of_a_short_life_serves_for_the_better_part_of_it() {
    let app = App::start(with_principal(SECRET), entra(Duration::from_secs(20))).await;
    for _ in 0..3 {
        assert_eq!(app.hello("m").await.status, 200);
    }
    assert_eq!(tokens_asked(&app.received()), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_refused_principal_is_an_authentication_error_that_names_no_secret() {
    let app = App::start(with_principal("wrong-secret"), entra(Duration::from_secs(3_600))).await;
    let answer = app.hello("m").await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.error()["type"], "authentication_error");
    assert!(!answer.everything().contains("wrong-secret"));
    assert_eq!(app.received().iter().filter(|request| request.path.contains("/chat/")).count(), 0);
    app.stop().await;
}

#[tokio::test]
async fn every_spelling_of_azures_address_leads_to_its_path() {
    for (parameters, path) in [
        (r#"api_base: "http://{sim}""#, "/openai/deployments/gpt-4o/chat/completions"),
        (
            r#"api_base: "http://{sim}", api_version: "2024-10-21""#,
            "/openai/deployments/gpt-4o/chat/completions",
        ),
        (
            r#"api_base: "http://{sim}/openai/deployments/gpt-4o""#,
            "/openai/deployments/gpt-4o/chat/completions",
        ),
        (r#"api_base: "http://{sim}/openai/v1""#, "/openai/v1/chat/completions"),
        (r#"api_base: "http://{sim}", api_version: v1"#, "/openai/v1/chat/completions"),
        (r#"api_base: "http://{sim}", api_version: preview"#, "/openai/v1/chat/completions"),
    ] {
        let yaml = format!(
            "model_list:\n  - {{model_name: m, litellm_params: {{model: azure/gpt-4o, api_key: k, {parameters}}}}}\n"
        );
        let app = App::start(yaml, Script::new()).await;
        let answer = app.chat(&json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})).await;
        assert_eq!(answer.status, 200, "{parameters}: {}", answer.text());
        let sent = app.received();
        assert_eq!(sent[0].path.split('?').next(), Some(path), "{parameters}");
        assert_eq!(sent[0].header("api-key"), Some("k"), "{parameters}");
        app.stop().await;
    }
}
