//! What is told of records that admins make, change and delete, and of the ledger: alerts and metrics.

use crate::alerts::Hook;
use crate::support::admin::{MASTER, admin, chat, config, counted, get_as, key, made, start};
use crate::support::{App, Setup, hello, settle};
use serde_json::{Value, json};

const ASKED_FOR: [&str; 10] = [
    "new_virtual_key_created",
    "virtual_key_updated",
    "virtual_key_deleted",
    "new_team_created",
    "team_updated",
    "team_deleted",
    "new_internal_user_created",
    "internal_user_updated",
    "internal_user_deleted",
    "new_model_added",
];

async fn events(hook: &Hook, count: usize) -> Vec<String> {
    let bodies = hook.bodies(count).await;
    bodies.iter().map(|body| body["event"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_admins_do_to_keys_teams_users_and_models_is_told_where_it_is_asked_for() {
    let hook = Hook::start(Some(200)).await;
    let app = start(&hook.json()).await;
    // Nobody asked yet.
    key(&app, json!({})).await;
    made(&app, "/config/update", json!({"general_settings": {"alert_types": ASKED_FOR}})).await;

    let secret = key(&app, json!({"key_alias": "bot"})).await;
    made(&app, "/key/update", json!({"key": secret, "max_budget": 1})).await;
    let anew: Value = made(&app, "/key/regenerate", json!({"key": secret})).await["key"].clone();
    made(&app, "/key/delete", json!({"keys": [anew]})).await;
    made(&app, "/user/new", json!({"user_id": "ann", "auto_create_key": false})).await;
    made(&app, "/user/update", json!({"user_id": "ann", "max_budget": 5})).await;
    made(&app, "/user/delete", json!({"user_ids": ["ann"]})).await;
    let model = json!({"model_name": "made up", "model_info": {"id": "id-made"},
        "litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-of-the-provider"}});
    made(&app, "/model/new", model).await;
    // What is refused is not told.
    assert_eq!(admin(&app, "/key/update", json!({"key": "sk-nobodys-key-at-all"})).await.status, 404);

    let told = events(&hook, 8).await;
    let expect = [
        "key_created",
        "key_updated",
        "key_rotated",
        "key_deleted",
        "internal_user_created",
        "internal_user_updated",
        "internal_user_deleted",
        "model_added",
    ];
    assert_eq!(told, expect);
    let bodies = hook.bodies(8).await;
    assert_eq!((&bodies[0]["key_alias"], &bodies[0]["actor"]), (&json!("bot"), &json!("default_user_id")));
    assert_eq!(bodies[7]["deployment"], "id-made");
    for request in hook.heard(8).await {
        let secrets = [secret.as_str(), anew.as_str().unwrap(), "sk-of-the-provider"];
        assert!(!secrets.iter().any(|text| request.contains(text)), "{request}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_team_is_told_with_its_alias_when_it_is_made_changed_and_deleted() {
    let hook = Hook::start(Some(200)).await;
    let app = start(&hook.json()).await;
    let types = ["new_team_created", "team_updated", "team_deleted"];
    made(&app, "/config/update", json!({"general_settings": {"alert_types": types}})).await;
    let team = json!({"team_id": "t", "team_alias": "research"});
    made(&app, "/team/new", team).await;
    made(&app, "/team/update", json!({"team_id": "t", "max_budget": 3})).await;
    made(&app, "/team/block", json!({"team_id": "t"})).await;
    made(&app, "/team/delete", json!({"team_ids": ["t"]})).await;
    assert_eq!(events(&hook, 4).await, ["team_created", "team_updated", "team_updated", "team_deleted"]);
    for body in hook.bodies(4).await {
        assert_eq!((&body["team_id"], &body["team_alias"]), (&json!("t"), &json!("research")));
    }
    settle().await;
    assert_eq!(hook.bodies(4).await.len(), 4);
    app.stop().await;
}

async fn series(app: &App) -> Vec<String> {
    let text = get_as(app, MASTER, "/metrics").await.text();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_left_of_budgets_is_in_the_metrics_under_litellms_names() {
    let app = Setup::new(config("")).script(counted()).start().await;
    made(
        &app,
        "/organization/new",
        json!({"organization_id": "o", "organization_alias": "org", "max_budget": 9, "models": ["chat"]}),
    )
    .await;
    made(&app, "/team/new", json!({"team_id": "t", "team_alias": "a\"b", "max_budget": 2})).await;
    made(&app, "/user/new", json!({"user_id": "u", "max_budget": 4, "auto_create_key": false})).await;
    let secret = key(&app, json!({"key_alias": "k", "max_budget": 1, "budget_duration": "30d"})).await;
    key(&app, json!({"key_alias": "free"})).await;
    assert_eq!(chat(&app, &secret, &hello("chat")).await.status, 200);

    let lines = series(&app).await;
    let find = |name: &str, part: &str| -> Vec<f64> {
        let of = lines.iter().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(part));
        of.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    };
    let near = |found: Vec<f64>, expect: f64| {
        assert!(found.len() == 1 && (found[0] - expect).abs() < 1e-9, "{found:?} {expect}");
    };
    near(find("litellm_remaining_api_key_budget_metric", "api_key_alias=\"k\""), 0.9965);
    near(find("litellm_api_key_max_budget_metric", "api_key_alias=\"k\""), 1.0);
    let hours = find("litellm_api_key_budget_remaining_hours_metric", "api_key_alias=\"k\"");
    assert!(hours.len() == 1 && hours[0] > 0.0 && hours[0] <= 31.0 * 24.0, "{hours:?}");
    assert!(find("litellm_remaining_api_key_budget_metric", "api_key_alias=\"free\"").is_empty());
    near(find("litellm_remaining_team_budget_metric", "team=\"t\",team_alias=\"a\\\"b\""), 2.0);
    near(find("litellm_team_max_budget_metric", "team=\"t\""), 2.0);
    assert!(find("litellm_team_budget_remaining_hours_metric", "team=\"t\"").is_empty());
    near(find("litellm_remaining_user_budget_metric", "user=\"u\""), 4.0);
    near(find("litellm_remaining_org_budget_metric", "org_id=\"o\",org_alias=\"org\""), 9.0);
    assert!(!lines.iter().any(|line| line.contains(&secret)));
    for name in [
        "tollgate_journal_refused",
        "tollgate_journal_backlog_records",
        "tollgate_journal_unsynced_records",
        "tollgate_books_away",
        "tollgate_open_attempts",
        "tollgate_budgets_left_out",
    ] {
        assert!(lines.contains(&format!("{name} 0")), "{name}");
    }

    // What is deleted is not told any more.
    made(&app, "/team/delete", json!({"team_ids": ["t"]})).await;
    assert!(!series(&app).await.iter().any(|line| line.contains("team=\"t\"")));
    app.stop().await;
}
