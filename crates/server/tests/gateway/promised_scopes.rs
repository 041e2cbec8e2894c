//! What is promised of every scope: a budget, requests at the same time, and what remains, told in each reply.

use crate::promised_reach::{join, scopes};
use crate::promises::Till;
use crate::support::admin::{chat, config, key, made, start};
use crate::support::{Answer, App, Connection, hello, post, seconds, settle};
use serde_json::{Value, json};
use tollgate_simulator::{Behaviour, Rule, Script};

/// What a refusal for the budget of such a one says.
fn told(word: &str) -> &'static str {
    match word {
        "user" => "ExceededBudget: User=x over budget. Spend=2.0, Budget=2.0",
        "team" => "Budget has been exceeded! Team=x Current cost: 2.0, Max budget: 2.0",
        "team_member" => "Budget has been exceeded! TeamMember=",
        "organization" => "Budget has been exceeded! Organization=x Current cost: 2.0, Max budget: 2.0",
        "project" => "Budget has been exceeded! Project=x Current cost: 2.0, Max budget: 2.0",
        "end_user" => "ExceededBudget: End User=x over budget. Spend=2.0, Budget=2.0",
        "tag" => "Budget has been exceeded! Tag=x Current cost: 2.0, Max budget: 2.0",
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_scope_has_a_budget_that_says_whose_it_is() {
    for held in scopes() {
        let till = Till::with(|yaml| yaml).await;
        let limit = match held.word() {
            "team_member" => json!({"max_budget_in_team": 2}),
            _ => json!({"max_budget": 2, "budget_duration": "1d"}),
        };
        let key = held.key(&till.app, &limit).await;
        let first = till.ask(&key, "other", &held.of_request).await;
        let told_of = ["x-tollgate-budget-scope", "x-tollgate-budget-remaining", "x-tollgate-budget-tier"];
        let found = told_of.map(|name| first.header(name).unwrap_or_default().to_owned());
        assert_eq!(
            (first.status, found),
            (200, [held.word(), "2.0", "ok"].map(str::to_owned)),
            "{}",
            held.path
        );
        assert_eq!(till.passes(&key, "other", &held.of_request).await, 1, "{}", held.path);
        let refused = till.ask(&key, "other", &held.of_request).await;
        let said = refused.error_message();
        assert!(said.starts_with(told(held.word())), "{}: {said}", held.path);
        let period = (held.word() != "team_member").then_some("43200");
        assert_eq!((refused.status, refused.header("retry-after")), (422, period), "{}", held.path);
        till.app.stop().await;
    }
}

#[tokio::test]
async fn models_providers_deployments_and_the_whole_have_budgets_of_the_configuration() {
    let none = json!({});
    for (word, from, to, title) in [
        ("global", "timezone: UTC", "timezone: UTC, max_budget: 2, budget_duration: 1d", "Proxy"),
        (
            "model",
            "{budget_maximum: refuse",
            "{budget_maximum: refuse, model_budgets: {other: {max_budget: 2, budget_duration: 1d}}",
            "Model=other",
        ),
        (
            "provider",
            "general_settings:",
            "router_settings: {provider_budget_config: {openai: {budget_limit: 2, time_period: 1d}}}\ngeneral_settings:",
            "Provider=openai",
        ),
        ("deployment", "/d/b/v1\"", "/d/b/v1\", max_budget: 2, budget_duration: 1d", "Deployment="),
    ] {
        let till = Till::with(|yaml| {
            assert!(yaml.contains(from), "{word}: {yaml}");
            yaml.replacen(from, to, 1)
        })
        .await;
        let key = key(&till.app, json!({})).await;
        assert_eq!(till.passes(&key, "other", &none).await, 2, "{word}");
        let refused = till.ask(&key, "other", &none).await;
        let said = refused.error_message();
        assert!(said.contains(&format!("Budget has been exceeded! {title}")), "{word}: {said}");
        assert_eq!((refused.status, refused.header("retry-after")), (422, Some("43200")), "{word}");
        // Whatever does not touch it goes on.
        let others = if ["global", "provider"].contains(&word) { 422 } else { 200 };
        assert_eq!(till.ask(&key, "dear", &none).await.status, others, "{word}");
        till.set("2026-11-04T00:00:00Z");
        assert_eq!(till.passes(&key, "other", &none).await, 2, "{word}");
        till.app.stop().await;
    }
}

#[tokio::test]
async fn every_reply_says_what_remains_to_each_scope() {
    for held in scopes() {
        let app = start("").await;
        let key = held.key(&app, &json!({"rpm_limit": 2, "tpm_limit": 10_000})).await;
        let body = join(hello("chat"), &held.of_request);
        let word = held.word();
        let left = |answer: &Answer| {
            let of = |what: &str| answer.header(&format!("x-ratelimit-{word}-{what}")).map(str::to_owned);
            (answer.status, of("remaining-requests"), of("limit-requests"), of("limit-tokens"))
        };
        for (status, remaining) in [(200, "1"), (200, "0"), (429, "0"), (429, "0")] {
            let text = |text: &str| Some(text.to_owned());
            let expect = (status, text(remaining), text("2"), text("10000"));
            assert_eq!(left(&chat(&app, &key, &body).await), expect, "{word}");
        }
        app.stop().await;
    }
}

/// A request of a key that is under way until its connection goes.
pub(crate) async fn under_way(app: &App, key: &str, body: &Value) -> Connection {
    let mut connection = app.connect().await;
    let bearer = format!("Bearer {key}");
    let body = body.to_string();
    connection.write(&post("/v1/chat/completions", &[("authorization", &bearer)], body.as_bytes())).await;
    connection
}

#[tokio::test]
async fn every_scope_has_a_number_of_requests_at_the_same_time() {
    let slow = || Script::new().rule(Rule::any(Behaviour::new().latency(seconds(3_000))));
    for held in scopes().into_iter().filter(|held| held.word() != "team_member") {
        let app = App::start(config(""), slow()).await;
        let key = held.key(&app, &json!({"max_parallel_requests": 2})).await;
        let body = join(hello("chat"), &held.of_request);
        let mut held_open = Vec::new();
        for count in 1..=2 {
            held_open.push(under_way(&app, &key, &body).await);
            app.until_waiting(count).await;
        }
        let refused = chat(&app, &key, &body).await;
        let said = refused.error_message();
        let expect = format!("Rate limit exceeded for {}", held.scope);
        assert!(said.starts_with(&expect), "{said}");
        assert!(
            said.contains("Limit type: max_parallel_requests. Current limit: 2, Remaining: 0."),
            "{said}"
        );
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{said}");
        assert_eq!(refused.header("rate_limit_type"), Some("max_parallel_requests"));
        assert_eq!(app.received().len(), 2, "{}", held.path);
        // A caller who has gone leaves a place.
        app.simulator.script().set_rules(vec![Rule::any(Behaviour::new().text("one"))]);
        drop(held_open.pop());
        app.until("a place is free", |app| app.gateway.in_flight() == 1).await;
        settle().await;
        assert_eq!(chat(&app, &key, &body).await.status, 200, "{}", held.path);
        drop(held_open);
        app.stop().await;
    }
}

#[tokio::test]
async fn limits_and_budgets_of_one_model_hold_for_it_alone_for_whomever_they_are() {
    for (path, name, word) in [("/team/new", "team_id", "team"), ("/user/new", "user_id", "user")] {
        let whose = json!({name: "x"});
        for (limit, kind, most, passes) in
            [("model_rpm_limit", "requests", 2, 2), ("model_tpm_limit", "tokens", 1_400, 1)]
        {
            let app = start("").await;
            let limits = json!({limit: {"chat": most}, "rpm_limit": 50, "tpm_limit": 50_000});
            made(&app, path, join(whose.clone(), &limits)).await;
            let key = key(&app, whose.clone()).await;
            for _ in 0..passes {
                let answer = chat(&app, &key, &hello("chat")).await;
                assert_eq!(answer.status, 200, "{path} {limit}");
                // One does not stand in the place of the other.
                let names = [word.to_owned(), format!("model_per_{word}")];
                let told = names
                    .map(|name| answer.header(&format!("x-ratelimit-{name}-limit-{kind}")).unwrap().parse());
                let all = if kind == "requests" { 50 } else { 50_000 };
                assert_eq!(told, [Ok(all), Ok(most)], "{path} {limit}");
            }
            let refused = chat(&app, &key, &hello("chat")).await;
            let expect = format!(
                "Rate limit exceeded for model_per_{word}: x:chat. Limit type: {kind}. Current limit: {most}, "
            );
            let said = refused.error_message();
            assert!(refused.status == 429 && said.starts_with(&expect), "{path} {limit}: {said}");
            assert_eq!(chat(&app, &key, &hello("other")).await.status, 200, "{path} {limit}");
            app.stop().await;
        }
        let till = Till::with(|yaml| yaml).await;
        let budgets = json!({"model_max_budget": {"other": {"budget_limit": 2, "time_period": "1d"}}});
        made(&till.app, path, join(whose.clone(), &budgets)).await;
        let key = key(&till.app, whose).await;
        assert_eq!(till.passes(&key, "other", &json!({})).await, 2, "{path}");
        let refused = till.ask(&key, "other", &json!({})).await;
        let said = refused.error_message();
        assert!(said.contains("=x") && said.contains("Model=other"), "{path}: {said}");
        assert_eq!((refused.status, refused.header("retry-after")), (422, Some("43200")), "{path}");
        assert_eq!(till.ask(&key, "dear", &json!({})).await.status, 200, "{path}");
        till.app.stop().await;
    }
}
