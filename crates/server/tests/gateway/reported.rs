//! What is told of users' spend by LiteLLM's thresholds, of teams and tags by the week and the month, and of every request of
//! an end user's.
//!
//! A request of `other` costs a dollar.

use crate::alerts::Hook;
use crate::promised_alerts::{booked, told};
use crate::promises::Till;
use crate::support::admin::{MASTER, key, made};
use crate::support::settle;
use serde_json::{Value, json};

/// A till whose alerts go to LiteLLM's webhook, with more in `general_settings`.
async fn told_with(hook: &Hook, more: &str) -> Till {
    let general = format!("{{master_key: {MASTER}");
    let address = hook.address;
    Till::with(|yaml| {
        let told = yaml.replace(&general, &format!("{general}, alerting: [webhook]{more}"));
        format!("{told}environment_variables: {{WEBHOOK_URL: \"http://{address}/told\"}}\n")
    })
    .await
}

/// Requests at a time, once they are in the books.
async fn spend(till: &Till, (time, key): (&str, &str), times: usize, all: f64) {
    till.set(time);
    for _ in 0..times {
        assert_eq!(till.ask(key, "other", &json!({})).await.status, 200);
    }
    booked(till, all).await;
}

fn members(bodies: &[Value], names: &[&str]) -> Vec<Vec<Value>> {
    bodies.iter().map(|body| names.iter().map(|name| body[*name].clone()).collect()).collect()
}

#[tokio::test]
async fn a_user_is_told_once_a_day_and_once_a_month_and_when_a_day_is_far_above_the_average() {
    let hook = Hook::start(Some(200)).await;
    let args = ", alerting_args: {daily_spend_per_user_threshold: 2, monthly_spend_per_user_threshold: 4, \
                spend_anomaly_multiplier: 3, spend_anomaly_min_spend: 3}";
    let till = told_with(&hook, args).await;
    made(&till.app, "/user/new", json!({"user_id": "ann", "user_email": "ann@example.com"})).await;
    let ann = key(&till.app, json!({"user_id": "ann"})).await;
    let nobody = key(&till.app, json!({})).await;
    spend(&till, ("2026-11-03T12:00:00Z", &nobody), 5, 5.0).await;
    spend(&till, ("2026-11-03T12:00:00Z", &ann), 1, 6.0).await;
    till.app.gateway.foresee().await;
    spend(&till, ("2026-11-03T12:10:00Z", &ann), 1, 7.0).await;
    till.app.gateway.foresee().await;
    let event = "user_spend_threshold_crossed";
    let first = told(&hook, event, 1).await;
    let names = ["user_id", "user_email", "spend", "within", "threshold_spend", "period_start", "period_end"];
    let day = |spend: f64, start: &str, end: &str| {
        let start = json!(format!("2026-11-{start}T00:00:00Z"));
        let end = json!(format!("2026-11-{end}T00:00:00Z"));
        vec![json!("ann"), json!("ann@example.com"), json!(spend), json!("day"), json!("2"), start, end]
    };
    assert_eq!(members(&first, &names), [day(2.0, "03", "04")]);
    assert_eq!(first[0]["alert_type"], json!("user_spend_thresholds"));
    spend(&till, ("2026-11-04T12:00:00Z", &ann), 1, 8.0).await;
    till.app.gateway.foresee().await;
    spend(&till, ("2026-11-05T12:00:00Z", &ann), 5, 13.0).await;
    for minute in [1, 11, 21] {
        till.set(&format!("2026-11-05T12:{minute:02}:00Z"));
        till.app.gateway.foresee().await;
    }
    let all = told(&hook, event, 3).await;
    let month = [json!("ann"), json!("ann@example.com"), json!(8.0), json!("month"), json!("4")];
    let month = [&month[..], &[json!("2026-11-01T00:00:00Z"), json!("2026-12-01T00:00:00Z")]].concat();
    assert_eq!(members(&all, &names), [day(2.0, "03", "04"), day(5.0, "05", "06"), month]);
    // Two days before it, of two dollars and of one: five are more than three times as much.
    let strange = told(&hook, "spend_anomaly", 1).await;
    let found = members(&strange, &["user_id", "spend", "usual_spend", "within", "alert_type"]);
    let anomaly = [json!("ann"), json!(5.0), json!("1.5"), json!("day"), json!("user_spend_anomalies")];
    assert_eq!(found, [anomaly]);
    till.app.stop().await;
}

#[tokio::test]
async fn users_are_looked_at_as_often_as_the_operator_says_and_only_where_it_is_wanted() {
    let hook = Hook::start(Some(200)).await;
    let args = ", alert_types: [user_spend_anomalies], alerting_args: {daily_spend_per_user_threshold: 1, \
                spend_anomaly_min_spend: 1, user_spend_check_interval: 3600}";
    let till = told_with(&hook, args).await;
    let ann = key(&till.app, json!({"user_id": "ann"})).await;
    till.app.gateway.foresee().await;
    spend(&till, ("2026-11-03T12:50:00Z", &ann), 1, 1.0).await;
    till.app.gateway.foresee().await;
    settle().await;
    assert_eq!(hook.bodies(0).await.len(), 0);
    till.set("2026-11-03T13:00:00Z");
    till.app.gateway.foresee().await;
    let all = told(&hook, "spend_anomaly", 1).await;
    assert_eq!((all.len(), hook.bodies(0).await.len()), (1, 1), "{all:?}");
    till.app.stop().await;
}

#[tokio::test]
async fn what_teams_and_tags_have_spent_is_told_for_each_week_and_each_month_that_is_over() {
    let hook = Hook::start(Some(200)).await;
    let till = told_with(&hook, "").await;
    made(&till.app, "/team/new", json!({"team_id": "t", "team_alias": "research"})).await;
    let team = key(&till.app, json!({"team_id": "t"})).await;
    let nobody = key(&till.app, json!({})).await;
    spend(&till, ("2026-11-03T12:00:00Z", &team), 2, 2.0).await;
    let tagged = json!({"metadata": {"tags": ["job"]}});
    assert_eq!(till.ask(&nobody, "other", &tagged).await.status, 200);
    booked(&till, 3.0).await;
    // The week ends on Sunday, and is told an hour later.
    for time in ["2026-11-08T23:59:59Z", "2026-11-09T00:59:59Z"] {
        till.set(time);
        till.app.gateway.foresee().await;
    }
    settle().await;
    assert_eq!(told(&hook, "spend_report", 0).await.len(), 0);
    for time in ["2026-11-09T01:00:00Z", "2026-11-09T02:00:00Z", "2026-11-16T02:00:00Z"] {
        till.set(time);
        till.app.gateway.foresee().await;
    }
    let names = ["frequency", "spend", "period_start", "period_end", "teams", "tags"];
    let report = |frequency: &str, start: &str, end: &str| {
        let teams = json!([{"team_id": "t", "team_alias": "research", "spend": "2"}]);
        let tags = json!([{"tag": "job", "spend": "1"}]);
        vec![json!(frequency), json!(3.0), json!(start), json!(end), teams, tags]
    };
    let week = report("7d", "2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z");
    assert_eq!(members(&told(&hook, "spend_report", 1).await, &names), std::slice::from_ref(&week));
    till.set("2026-12-01T01:00:00Z");
    till.app.gateway.foresee().await;
    let month = report("1mo", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
    let all = told(&hook, "spend_report", 2).await;
    assert_eq!(members(&all, &names), [week, month]);
    assert_eq!(all[0]["alert_type"], json!("spend_reports"));
    till.app.stop().await;
}

#[tokio::test]
async fn a_report_is_as_often_as_the_operator_says() {
    let hook = Hook::start(Some(200)).await;
    let till = told_with(&hook, ", spend_report_frequency: 1d").await;
    let nobody = key(&till.app, json!({})).await;
    for day in ["03", "04"] {
        till.set(&format!("2026-11-{day}T12:00:00Z"));
        till.app.gateway.foresee().await;
        let all = if day == "03" { 1.0 } else { 2.0 };
        spend(&till, (&format!("2026-11-{day}T12:00:00Z"), &nobody), 1, all).await;
    }
    till.set("2026-11-05T01:00:00Z");
    till.app.gateway.foresee().await;
    let all = told(&hook, "spend_report", 2).await;
    let days = members(&all, &["frequency", "period_start"]);
    let day = |day: &str| [json!("1d"), json!(format!("2026-11-{day}T00:00:00Z"))];
    assert_eq!(days, [day("03"), day("04")]);
    till.app.stop().await;
}

#[tokio::test]
async fn every_request_of_an_end_users_is_told_to_litellms_webhook_with_what_it_cost() {
    let hook = Hook::start(Some(200)).await;
    let till = told_with(&hook, "").await;
    made(&till.app, "/customer/new", json!({"user_id": "acme", "max_budget": 10})).await;
    let own = key(&till.app, json!({"key_alias": "web"})).await;
    assert_eq!(till.ask(&own, "other", &json!({})).await.status, 200);
    for end_user in ["acme", "other"] {
        assert_eq!(till.ask(&own, "other", &json!({"user": end_user})).await.status, 200);
    }
    let all = told(&hook, "spend_tracked", 2).await;
    let names = ["customer_id", "spend", "max_budget", "key_alias", "event_group", "user_id"];
    let row = |end_user: &str, budget: Value| {
        [json!(end_user), json!(1.0), budget, json!("web"), json!("end_user"), Value::Null]
    };
    assert_eq!(members(&all, &names), [row("acme", json!(10.0)), row("other", Value::Null)]);
    till.app.stop().await;
}
