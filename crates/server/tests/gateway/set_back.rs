//! What was spent, set anew: what budgets count from then on, and what stays.

use crate::support::admin::{chat, key, made, seen, start, text};
use crate::support::{App, hello};
use serde_json::{Value, json};

const COST: f64 = 0.0035;

async fn info(app: &App, key: &str) -> (Value, Value) {
    let info = seen(app, &format!("/key/info?key={key}")).await;
    (info["info"]["spend"].clone(), info["info"]["total_spend"].clone())
}

async fn spend(app: &App, key: &str) {
    assert_eq!(chat(app, key, &hello("chat")).await.status, 200);
}

#[tokio::test]
async fn what_a_key_spent_is_set_back_and_its_total_stays() {
    let app = start("").await;
    for terms in [json!({}), json!({"max_budget": 1}), json!({"max_budget": 1, "budget_duration": "1d"})] {
        let key = key(&app, terms.clone()).await;
        spend(&app, &key).await;
        spend(&app, &key).await;
        assert_eq!(info(&app, &key).await, (json!(2.0 * COST), json!(2.0 * COST)), "{terms}");
        let reply = made(&app, &format!("/key/{key}/reset_spend"), json!({"reset_to": COST})).await;
        assert_eq!((&reply["spend"], &reply["previous_spend"]), (&json!(COST), &json!(2.0 * COST)));
        assert_eq!(info(&app, &key).await, (json!(COST), json!(2.0 * COST)), "{terms}");
        made(&app, &format!("/key/{key}/reset_spend"), json!({"reset_to": 0})).await;
        spend(&app, &key).await;
        assert_eq!(info(&app, &key).await, (json!(COST), json!(0.0105)), "{terms}");
        let raised = made(&app, "/key/update", json!({"key": key, "spend": 0.5})).await;
        assert_eq!((&raised["spend"], &raised["total_spend"]), (&json!(0.5), &json!(0.0105)), "{terms}");
        let anew = made(&app, &format!("/key/{key}/regenerate"), json!({})).await;
        assert_eq!(info(&app, &text(&anew["key"])).await, (json!(0.5), json!(0.0105)), "{terms}");
    }
    app.stop().await;
}

#[tokio::test]
async fn all_keys_and_teams_are_set_back_and_every_total_stays() {
    let app = start("").await;
    let team = text(&made(&app, "/team/new", json!({"models": ["chat"]})).await["team_id"]);
    let key = key(&app, json!({"team_id": team})).await;
    spend(&app, &key).await;
    made(&app, "/global/spend/reset", json!({})).await;
    assert_eq!(info(&app, &key).await, (json!(0.0), json!(COST)));
    let audit = seen(&app, "/audit?page_size=100").await;
    let rows = audit["audit_logs"].as_array().unwrap();
    let resets = rows.iter().filter(|row| row["action"] == json!("spend reset")).count();
    assert_eq!(resets, 2, "{rows:#?}");
    app.stop().await;
}

#[tokio::test]
async fn what_a_member_spent_is_set_back_and_its_total_stays() {
    let app = start("").await;
    let team = text(&made(&app, "/team/new", json!({"models": ["chat"]})).await["team_id"]);
    made(&app, "/team/member_add", json!({"team_id": team, "member": {"role": "user", "user_id": "m"}}))
        .await;
    let key = key(&app, json!({"team_id": team, "user_id": "m"})).await;
    spend(&app, &key).await;
    made(&app, &format!("/team/{team}/member/m/reset_spend"), json!({"reset_to": 0})).await;
    let told = seen(&app, &format!("/team/info?team_id={team}")).await;
    let seats = told["team_memberships"].as_array().unwrap();
    let own = seats.iter().find(|seat| seat["user_id"] == json!("m")).unwrap();
    assert_eq!((&own["spend"], &own["total_spend"]), (&json!(0.0), &json!(COST)));
    app.stop().await;
}
