//! What is promised of alerts about money, over the running gateway and a webhook: each mark of a budget once a period, a
//! soft budget, money for a while, where a budget is going, and who spends far more than is usual.
//!
//! A request of `dear` and `other` costs a dollar.

use crate::alerts::Hook;
use crate::promises::Till;
use crate::support::admin::{MASTER, each, key, made, seen, text};
use crate::support::{settle, until};
use serde_json::{Value, json};

/// A till whose alerts go to a webhook, by LiteLLM's names, with more in `tollgate_settings`.
pub(crate) async fn told_by(hook: &Hook, more: &str) -> Till {
    let general = format!("{{master_key: {MASTER}");
    let address = hook.address;
    Till::with(|yaml| {
        let told = yaml.replace(&general, &format!("{general}, alerting: [webhook]"));
        let settled = told.replace("{budget_maximum: refuse", &format!("{{budget_maximum: refuse{more}"));
        format!("{settled}environment_variables: {{WEBHOOK_URL: \"http://{address}/told\"}}\n")
    })
    .await
}

/// What was told so far, of this event, once there are so many.
pub(crate) async fn told(hook: &Hook, event: &str, count: usize) -> Vec<Value> {
    let of_event = |bodies: Vec<Value>| -> Vec<Value> {
        bodies.into_iter().filter(|body| body["event"] == json!(event)).collect()
    };
    for at_least in count.. {
        let found = of_event(hook.bodies(at_least).await);
        if found.len() >= count {
            // Whatever else is on its way arrives.
            settle().await;
            return of_event(hook.bodies(0).await);
        }
    }
    Vec::new()
}

/// Threshold, tier, spend, budget and the period's start of each mark that was told, in their order.
fn marks(bodies: &[Value]) -> Vec<String> {
    let row = |body: &Value| {
        ["threshold", "tier", "spend", "budget", "period_start"].map(|name| body[name].to_string()).join(" ")
    };
    bodies.iter().filter(|body| body.get("threshold").is_some()).map(row).collect()
}

#[tokio::test]
async fn each_mark_of_a_budget_is_told_once_in_each_of_its_periods_with_whose_it_is() {
    let hook = Hook::start(Some(200)).await;
    let till = told_by(&hook, "").await;
    let daily = json!({"max_budget": 10, "budget_duration": "1d", "key_alias": "web"});
    let (web, none) = (made(&till.app, "/key/generate", daily).await, json!({}));
    let (web, id) = (text(&web["key"]), text(&web["token"]));
    let day = |day: u32| {
        [("0.75", "warn", 8), ("0.9", "downgrade", 9), ("1", "overflow", 10)].map(|(share, tier, spent)| {
            format!("{share} \"{tier}\" {spent}.0 10.0 \"2026-11-0{day}T00:00:00Z\"")
        })
    };
    assert_eq!(till.passes(&web, "other", &none).await, 10);
    assert_eq!(till.passes(&web, "other", &none).await, 0);
    let bodies = hook.bodies(3).await;
    assert_eq!(marks(&bodies), day(3));
    // Whose it is, by its alias and its id, and never by its text.
    for body in &bodies {
        assert_eq!(body["scope"], json!({"kind": "key", "id": id, "alias": "web"}));
        assert_eq!((&body["token"], &body["key_alias"]), (&json!(id), &json!("web")));
    }
    assert!(!hook.heard(3).await.concat().contains(&web));
    till.set("2026-11-04T00:00:00Z");
    assert_eq!(till.passes(&web, "other", &none).await, 10);
    let bodies = hook.bodies(6).await;
    settle().await;
    assert_eq!(marks(&hook.bodies(6).await), [day(3), day(4)].concat(), "{bodies:?}");
    till.app.stop().await;
}

#[tokio::test]
async fn each_mark_of_a_budget_without_a_period_is_told_once_and_a_soft_one_says_so() {
    let hook = Hook::start(Some(200)).await;
    let till = told_by(&hook, "").await;
    made(&till.app, "/team/new", json!({"team_id": "t", "team_alias": "research", "max_budget": 4})).await;
    let soft = key(&till.app, json!({"team_id": "t", "soft_budget": 2})).await;
    assert_eq!(till.passes(&soft, "other", &json!({})).await, 4);
    let expect = [
        "\"soft\" null 2.0 2.0 null",
        "0.75 \"warn\" 3.0 4.0 null",
        "0.9 \"downgrade\" 4.0 4.0 null",
        "1 \"overflow\" 4.0 4.0 null",
    ];
    let bodies = hook.bodies(4).await;
    assert_eq!(marks(&bodies), expect);
    assert_eq!(
        each(&json!(bodies), "event"),
        ["soft_budget_crossed", "threshold_crossed", "threshold_crossed", "budget_crossed"]
    );
    assert_eq!((&bodies[0]["soft_budget"], &bodies[0]["event_group"]), (&json!(2.0), &json!("key")));
    assert_eq!(bodies[1]["scope"], json!({"kind": "team", "id": "t", "alias": "research"}));
    // Neither another month nor more money tells a mark again that was told.
    till.set("2027-02-01T00:00:00Z");
    made(&till.app, "/team/update", json!({"team_id": "t", "max_budget": 5})).await;
    assert_eq!(till.passes(&soft, "other", &json!({})).await, 1);
    settle().await;
    assert_eq!(marks(&hook.bodies(4).await), expect);
    till.app.stop().await;
}

#[tokio::test]
async fn money_for_a_while_is_there_for_that_while() {
    let till = Till::with(|yaml| yaml).await;
    let more = json!({"temp_budget_increase": 1, "temp_budget_expiry": "2026-11-05T00:00:00Z"});
    let daily = |mut body: Value| {
        (body["max_budget"], body["budget_duration"]) = (json!(2), json!("1d"));
        body
    };
    let own = key(&till.app, daily(json!({}))).await;
    assert_eq!(till.passes(&own, "other", &json!({})).await, 2);
    let mut increase = more.clone();
    increase["key"] = json!(own);
    made(&till.app, "/key/update", increase).await;
    for (time, passes) in [
        // One more, at once.
        ("2026-11-03T12:00:01Z", 1),
        ("2026-11-04T00:00:00Z", 3),
        ("2026-11-04T23:59:59Z", 0),
        ("2026-11-05T00:00:00Z", 2),
        ("2026-11-06T00:00:00Z", 2),
    ] {
        till.set(time);
        assert_eq!(till.passes(&own, "other", &json!({})).await, passes, "{time}");
    }
    till.app.stop().await;
}

/// Waits until so much of all keys is in the books.
pub(crate) async fn booked(till: &Till, dollars: f64) {
    for _ in 0..1_000 {
        let spent = seen(&till.app, "/global/spend").await["spend"].as_f64().unwrap_or_default();
        if (spent - dollars).abs() < 1e-9 {
            return;
        }
        settle().await;
    }
    panic!("${dollars} are not in the books: {}", seen(&till.app, "/global/spend").await);
}

#[tokio::test]
async fn a_budget_that_will_not_last_is_told_once_and_shown() {
    let hook = Hook::start(Some(200)).await;
    let till = told_by(&hook, "").await;
    till.set("2026-11-01T00:00:00Z");
    let monthly = |alias: &str| json!({"team_alias": alias, "max_budget": 30, "budget_duration": "30d"});
    let mut keys = Vec::new();
    for team in ["fast", "slow"] {
        let mut body = monthly(team);
        body["team_id"] = json!(team);
        made(&till.app, "/team/new", body).await;
        keys.push(key(&till.app, json!({"team_id": team})).await);
    }
    // Two dollars a day, and one every other day.
    for day in 1..=6 {
        till.set(&format!("2026-11-0{day}T12:00:00Z"));
        for _ in 0..2 {
            assert_eq!(till.ask(&keys[0], "other", &json!({})).await.status, 200);
        }
        if day % 2 == 0 {
            assert_eq!(till.ask(&keys[1], "other", &json!({})).await.status, 200);
        }
    }
    booked(&till, 15.0).await;
    till.set("2026-11-07T00:00:00Z");
    for _ in 0..3 {
        till.app.gateway.foresee().await;
    }
    let said = told(&hook, "projected_limit_exceeded", 1).await;
    assert_eq!(said.len(), 1, "{said:?}");
    let body = &said[0];
    assert_eq!(body["scope"], json!({"kind": "team", "id": "fast", "alias": "fast"}));
    let sums = ["spend", "max_budget", "projected_spend", "projected_exceeded_date"];
    assert_eq!(
        sums.map(|name| body[name].clone()),
        [json!(12.0), json!(30.0), json!(60.0), json!("2026-11-16")]
    );
    let shown = seen(&till.app, "/tollgate/projection?scope=team").await["projections"].clone();
    let fast = shown.as_array().unwrap().iter().find(|row| row["id"] == json!("fast")).unwrap();
    let sums = ["spend", "daily_rate", "projected_spend", "exhausted_on"];
    assert_eq!(
        sums.map(|name| fast[name].clone()),
        [json!(12.0), json!(2.0), json!(60.0), json!("2026-11-16")]
    );
    till.app.stop().await;
}

#[tokio::test]
async fn a_key_far_above_what_is_usual_is_told_once_a_day_and_slowed_down_where_that_is_wished() {
    let hook = Hook::start(Some(200)).await;
    let till = told_by(&hook, ", anomaly: {throttle_rpm: 3}").await;
    let mut keys = Vec::new();
    for pupil in ["one", "two", "three", "four", "five"] {
        keys.push(key(&till.app, json!({"key_alias": pupil})).await);
    }
    // Everybody asks once a day, for four days.
    for day in 3..=6 {
        till.set(&format!("2026-11-0{day}T12:00:00Z"));
        for key in &keys {
            assert_eq!(till.ask(key, "other", &json!({})).await.status, 200);
        }
    }
    booked(&till, 20.0).await;
    till.app.gateway.foresee().await;
    till.set("2026-11-07T12:00:00Z");
    for _ in 0..14 {
        assert_eq!(till.ask(&keys[0], "other", &json!({})).await.status, 200);
    }
    booked(&till, 34.0).await;
    for _ in 0..3 {
        till.app.gateway.foresee().await;
    }
    let said = told(&hook, "spend_anomaly", 1).await;
    assert_eq!(said.len(), 1, "{said:?}");
    let facts = ["spend", "usual_spend", "within", "throttled", "key_alias"];
    let found = facts.map(|name| said[0][name].to_string());
    assert_eq!(found, ["14.0", "\"1\"", "\"day\"", "true", "\"one\""]);
    // Requests of this minute are counted from here on.
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(till.ask(&keys[0], "other", &json!({})).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(till.ask(&keys[1], "other", &json!({})).await.status, 200);
    till.set("2026-11-08T00:00:00Z");
    till.app.gateway.foresee().await;
    for _ in 0..8 {
        assert_eq!(till.ask(&keys[0], "other", &json!({})).await.status, 200);
    }
    until("all is served", || till.app.gateway.in_flight() == 0).await;
    till.app.stop().await;
}

#[tokio::test]
async fn whom_an_account_names_is_mailed_of_its_marks_besides() {
    let hook = Hook::start(Some(200)).await;
    let till = told_by(&hook, "").await;
    made(&till.app, "/user/new", json!({"user_id": "ann", "user_email": "ann@example.com"})).await;
    let named = json!({
        "soft_budget_alerting_emails": ["soft@example.com", "no address"],
        "max_budget_alert_emails": {"75": ["boss@example.com"], "100": ["cfo@example.com", "ANN@example.com"]},
    });
    let budget = json!({"max_budget": 10, "soft_budget": 5, "user_id": "ann", "metadata": named});
    let key = key(&till.app, budget).await;
    assert_eq!(till.passes(&key, "other", &json!({})).await, 10);
    let rows = |event: &'static str, count| {
        let hook = &hook;
        async move {
            let found = told(hook, event, count).await;
            found
                .into_iter()
                .map(|body| (body["threshold"].clone(), body["alert_emails"].clone()))
                .collect::<Vec<_>>()
        }
    };
    let soft = rows("soft_budget_crossed", 1).await;
    assert_eq!(soft, [(json!("soft"), json!(["ann@example.com", "soft@example.com"]))]);
    let marks = rows("threshold_crossed", 2).await;
    let both = json!(["ann@example.com", "boss@example.com"]);
    assert_eq!(marks, [(json!(0.75), both.clone()), (json!(0.9), both)]);
    let spent = rows("budget_crossed", 1).await;
    assert_eq!(spent[0].1, json!(["ann@example.com", "boss@example.com", "cfo@example.com"]));
    till.app.stop().await;
}
