//! Callbacks of teams: kept and shown with their secrets hidden, and said not to be called.

use crate::support::admin::{MASTER, admin, get_as, key, made, refused_as, seen, start};
use crate::support::{Answer, App, post};
use serde_json::{Value, json};

const SECRET: &str = "sk-lf-very-secret";

async fn delete(app: &App, path: &str) -> Answer {
    let bearer = format!("Bearer {MASTER}");
    let request = String::from_utf8(post(path, &[("authorization", &bearer)], b"")).unwrap();
    app.ask(request.replacen("POST", "DELETE", 1).as_bytes()).await
}

fn callback(name: &str, of: &str) -> Value {
    json!({"callback_name": name, "callback_type": of,
        "callback_vars": {"langfuse_secret_key": SECRET, "langfuse_host": "https://lf.example.com"}})
}

#[tokio::test]
async fn callbacks_of_a_team_are_kept_shown_without_their_secrets_and_deleted() {
    let app = start("").await;
    made(&app, "/team/new", json!({"team_id": "t"})).await;
    let told = made(&app, "/team/t/callback", callback("langfuse", "success")).await;
    assert_eq!((&told["status"], &told["data"]["team_id"]), (&json!("success"), &json!("t")));
    assert!(told["message"].as_str().unwrap().contains("no callbacks yet"));
    made(&app, "/team/t/callback", callback("langsmith", "success_and_failure")).await;
    let shown = seen(&app, "/team/t/callback").await;
    assert_eq!(
        shown["data"],
        json!({
            "team_id": "t",
            "success_callbacks": ["langfuse", "langsmith"],
            "failure_callbacks": ["langsmith"],
            "callback_vars": {
                "langfuse_secret_key": "***REDACTED***",
                "langfuse_host": "https://lf.example.com",
            },
        })
    );
    for path in ["/team/t/callback", "/team/info?team_id=t", "/audit"] {
        assert!(!get_as(&app, MASTER, path).await.text().contains(SECRET), "{path}");
    }
    let again = admin(&app, "/team/t/callback", callback("langsmith", "failure")).await;
    assert!(again.status == 400 && again.text().contains("callback_name"), "{}", again.text());
    made(&app, "/team/t/callback", callback("langfuse", "failure")).await;

    let gone = delete(&app, "/team/t/callback/langfuse").await;
    assert_eq!(
        gone.json(),
        json!({"status": "success", "message": "Callback langfuse removed for team t",
            "data": {"team_id": "t", "success_callbacks": ["langsmith"], "failure_callbacks": ["langsmith"]}})
    );
    assert_eq!(delete(&app, "/team/t/callback/langfuse").await.status, 404);
    app.stop().await;
}

#[tokio::test]
async fn a_callback_is_refused_where_it_makes_no_sense_or_is_not_for_who_asks() {
    let app = start("").await;
    made(&app, "/team/new", json!({"team_id": "t"})).await;
    let check = async |path: &str, body: Value, status: u16, words: &str| {
        let answer = admin(&app, path, body).await;
        assert!(answer.status == status && answer.text().contains(words), "{path} {}", answer.text());
    };
    check("/team/nobody/callback", callback("langfuse", "success"), 404, "team_id=nobody").await;
    check("/team/t/callback", json!({"callback_vars": {}}), 400, "callback_name").await;
    check("/team/t/callback", json!({"callback_name": "langfuse"}), 400, "callback_vars").await;
    check("/team/t/callback", callback("langfuse", "sometimes"), 400, "callback_type").await;
    let user = key(&app, json!({})).await;
    for path in ["/team/t/callback", "/team/nobody/callback"] {
        let (status, _) = refused_as(&app, &user, path, callback("langfuse", "success")).await;
        assert!([401, 403, 404].contains(&status), "{path} {status}");
    }
    app.stop().await;
}
