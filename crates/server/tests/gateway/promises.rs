//! What is promised of money, over the running gateway: models without a price, critical requests, several budgets at
//! once, tiers of one's own, and when a refusal ends.
//!
//! Every request costs a dollar, and as much is held for it: what passes is a matter of counting.

use crate::support::admin::{MASTER, ask_as, chat, key, made};
use crate::support::{Answer, App, Setup, Wire, hello, model_list, post};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tollgate_policy::clock::Wall;
use tollgate_simulator::{Behaviour, Fault, Rule, Script, TokenCounts};

const TIERS: &str = "{warn: 0.75, downgrade: 0.9, budget_fallback_model: {dear: cheap}}";

/// A gateway whose wall stands where the test puts it.
pub(crate) struct Till {
    pub(crate) app: App,
    wall: Arc<AtomicI64>,
}

impl Till {
    /// On a Tuesday at noon; `more` in `litellm_settings`.
    async fn open(more: &str) -> Self {
        Self::with(|yaml| yaml.replace("{timezone: UTC", &format!("{{timezone: UTC{more}"))).await
    }

    /// With more in the file.
    pub(crate) async fn with(edit: impl FnOnce(String) -> String) -> Self {
        let priced = |name: &str, price: &str| {
            format!(
                "{}, input_cost_per_token: 0, cache_read_input_token_cost: 0, output_cost_per_token: {price}",
                Wire::OpenAi.parameters(name)
            )
        };
        let entries = [priced("a", "0.01"), priced("b", "0.01"), priced("c", "0.001")];
        let list = model_list(&[("dear", &entries[0]), ("other", &entries[1]), ("cheap", &entries[2])]);
        let yaml = edit(format!(
            "{list}general_settings: {{master_key: {MASTER}}}\nlitellm_settings: {{timezone: UTC}}\n\
             tollgate_settings: {{budget_maximum: refuse, budget_tiers: {TIERS}}}\n"
        ));
        let wall = Arc::new(AtomicI64::new(micros("2026-11-03T12:00:00Z")));
        let read = Arc::clone(&wall);
        let setup = Setup::new(yaml).script(hundred());
        let app = setup.wall(move || Wall::from_micros(read.load(Ordering::Relaxed))).start().await;
        Self { app, wall }
    }

    pub(crate) fn set(&self, time: &str) {
        self.wall.store(micros(time), Ordering::Relaxed);
    }

    /// A request for a model, with more members.
    pub(crate) async fn ask(&self, key: &str, model: &str, more: &Value) -> Answer {
        let mut body = hello(model);
        body["max_tokens"] = json!(100);
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        chat(&self.app, key, &body).await
    }

    /// How many requests for a model pass before one is refused for a budget.
    pub(crate) async fn passes(&self, key: &str, model: &str, more: &Value) -> usize {
        for passed in 0..50 {
            let answer = self.ask(key, model, more).await;
            match answer.status {
                200 => {}
                422 => {
                    assert_eq!(answer.json()["error"]["type"], json!("budget_exceeded"));
                    return passed;
                }
                _ => panic!("{}", answer.text()),
            }
        }
        panic!("a budget without an end");
    }

    /// The tiers of so many requests, and which groups answered.
    async fn tiers(&self, key: &str, times: usize) -> Vec<String> {
        let mut tiers = Vec::new();
        for _ in 0..times {
            let answer = self.ask(key, "dear", &json!({})).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let tier = answer.header("x-tollgate-budget-tier").unwrap();
            tiers.push(format!("{tier} {}", answer.header("x-litellm-model-group").unwrap()));
        }
        tiers
    }
}

fn micros(time: &str) -> i64 {
    Wall::from_rfc3339(time).unwrap().micros()
}

/// 10 tokens of prompt and 100 of answer.
fn hundred() -> Script {
    let tokens = TokenCounts { prompt: Some(10), completion: Some(100), ..TokenCounts::default() };
    Script::new().rule(Rule::any(Behaviour::new().text("one two").tokens(tokens)))
}

/// A model that no price is known for, by each policy, and with one that has a price beside it.
async fn unpriced(policy: &str) -> App {
    let mine = "model: hosted_vllm/my-model, api_key: k, api_base: \"http://{sim}/d/mine/v1\"";
    let list = model_list(&[("mine", mine), ("known", &Wire::OpenAi.parameters("known"))]);
    let yaml = format!("{list}general_settings: {{master_key: {MASTER}}}\n{policy}");
    App::start(yaml, hundred()).await
}

#[tokio::test]
async fn a_model_without_a_price_is_denied_flagged_or_charged_as_the_operator_says() {
    for deny in [
        "tollgate_settings: {unpriced: deny}\n",
        "litellm_settings: {block_requests_for_models_without_pricing: true}\n",
    ] {
        let app = unpriced(deny).await;
        for key in [MASTER.to_owned(), key(&app, json!({})).await] {
            let refused = chat(&app, &key, &hello("mine")).await;
            let error = refused.error();
            let about = (refused.status, &error["type"], &error["param"]);
            assert_eq!(about, (400, &json!("invalid_request_error"), &json!("model")));
            assert!(refused.error_message().contains("has no price"), "{}", refused.text());
        }
        assert_eq!(app.received().len(), 0);
        assert_eq!(chat(&app, MASTER, &hello("known")).await.status, 200);
        app.stop().await;
    }
    for flag in ["", "tollgate_settings: {unpriced: flag}\n"] {
        let app = unpriced(flag).await;
        let flagged = chat(&app, MASTER, &hello("mine")).await;
        let told = (flagged.header("x-tollgate-unpriced"), flagged.header("x-litellm-response-cost"));
        assert_eq!((flagged.status, told), (200, (Some("hosted_vllm/my-model"), None)));
        let known = chat(&app, MASTER, &hello("known")).await;
        assert_eq!((known.status, known.header("x-tollgate-unpriced")), (200, None));
        app.stop().await;
    }
    let prices = "{input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}";
    let app = unpriced(&format!("tollgate_settings: {{unpriced: {{charge: {prices}}}}}\n")).await;
    let held = key(&app, json!({"max_budget": 1})).await;
    let charged = chat(&app, &held, &hello("mine")).await;
    assert_eq!((charged.status, charged.header("x-litellm-response-cost")), (200, Some("0.00021")));
    assert_eq!(charged.header("x-litellm-key-spend"), Some("0.00021"));
    app.stop().await;
}

#[tokio::test]
async fn what_is_critical_may_use_the_overflow_and_is_refused_after_it() {
    let till = Till::open("").await;
    let tenner = |metadata: Value| json!({"max_budget": 10, "budget_duration": "1d", "metadata": metadata});
    let mut critical = vec![key(&till.app, tenner(json!({"critical": true}))).await];
    let team = json!({"team_id": "t", "metadata": {"critical": true}});
    made(&till.app, "/team/new", team).await;
    let mut of_team = tenner(json!({}));
    of_team["team_id"] = json!("t");
    critical.push(key(&till.app, of_team).await);
    for key in &critical {
        let tiers = till.tiers(key, 11).await;
        assert_eq!(tiers[9..], ["downgrade dear", "overflow dear"], "{tiers:?}");
        assert_eq!(till.ask(key, "dear", &json!({})).await.status, 422);
    }
    // The overflow is charged against the next period.
    till.set("2026-11-04T00:00:00Z");
    for key in &critical {
        assert_eq!(till.passes(key, "dear", &json!({})).await, 10);
    }
    till.app.stop().await;
}

#[tokio::test]
async fn a_request_says_that_it_is_critical_where_its_key_or_team_lets_it() {
    let till = Till::open("").await;
    let (says, silent) = (json!({"metadata": {"critical": true}}), json!({}));
    let of_team = json!({"team_id": "t", "metadata": {"critical": "per_request"}});
    made(&till.app, "/team/new", of_team).await;
    for (member, expect) in [
        (json!({"metadata": {"critical": "per_request"}}), true),
        (json!({"team_id": "t"}), true),
        (json!({}), false),
        (json!({"metadata": {"critical": false}}), false),
    ] {
        let mut body = member.clone();
        body["max_budget"] = json!(10);
        let key = key(&till.app, body).await;
        // The model that is asked for has no cheaper one in its place.
        assert_eq!(till.passes(&key, "other", &silent).await, 10, "{member}");
        assert_eq!(till.passes(&key, "other", &says).await, usize::from(expect), "{member}");
        assert_eq!(till.passes(&key, "other", &silent).await, 0, "{member}");
    }
    till.app.stop().await;
}

#[tokio::test]
async fn of_several_windows_the_tighter_refuses_and_then_the_second() {
    let till = Till::open("").await;
    let windows = json!({"budget_limits": [
        {"budget_duration": "1d", "max_budget": 2}, {"budget_duration": "30d", "max_budget": 5},
    ]});
    let key = key(&till.app, windows).await;
    let none = json!({});
    for (time, passes) in [
        ("2026-11-03T12:00:00Z", 2),
        ("2026-11-03T23:59:59Z", 0),
        ("2026-11-04T00:00:00Z", 2),
        // One is left of the month.
        ("2026-11-05T00:00:00Z", 1),
        ("2026-11-06T00:00:00Z", 0),
        ("2026-12-01T00:00:00Z", 2),
    ] {
        till.set(time);
        assert_eq!(till.passes(&key, "other", &none).await, passes, "{time}");
    }
    till.app.stop().await;
}

#[tokio::test]
async fn a_budget_of_a_model_refuses_that_model_alone_until_its_period_ends() {
    let till = Till::open("").await;
    let budgets = json!({"model_max_budget": {"other": {"budget_limit": 2, "time_period": "1d"}}});
    let key = key(&till.app, budgets).await;
    let none = json!({});
    assert_eq!(till.passes(&key, "other", &none).await, 2);
    for _ in 0..5 {
        assert_eq!(till.ask(&key, "dear", &none).await.status, 200);
    }
    let refused = till.ask(&key, "other", &none).await;
    assert_eq!((refused.status, refused.header("retry-after")), (422, Some("43200")));
    assert!(refused.error_message().contains("other"), "{}", refused.text());
    till.set("2026-11-04T00:00:00Z");
    assert_eq!(till.passes(&key, "other", &none).await, 2);
    till.app.stop().await;
}

#[tokio::test]
async fn a_tier_goes_by_what_was_spent_and_not_by_what_is_held() {
    let till = Till::open("").await;
    let own = key(&till.app, json!({"max_budget": 10})).await;
    let tokens = TokenCounts { completion: Some(100), ..TokenCounts::default() };
    let hangs = Rule::any(Behaviour::new().fault(Fault::Hang)).times(1);
    let answers = Rule::any(Behaviour::new().text("one two").tokens(tokens));
    till.app.simulator.script().set_rules(vec![hangs, answers]);
    let mut long = hello("dear");
    long["max_tokens"] = json!(895);
    let bearer = format!("Bearer {own}");
    let mut connection = till.app.connect().await;
    let headers = [("authorization", bearer.as_str())];
    connection.write(&post("/v1/chat/completions", &headers, long.to_string().as_bytes())).await;
    till.app.until_waiting(1).await;
    // $8.95 are held, and nothing is spent: with what this one holds it is 99.5%.
    assert_eq!(till.tiers(&own, 1).await, ["ok dear"]);
    assert_eq!(till.ask(&own, "dear", &json!({})).await.status, 422, "money that is held is not there");
    drop(connection);
    till.app.until("the caller has gone", |app| app.simulator.active_requests() == 0).await;
    till.app.stop().await;
}

#[tokio::test]
async fn a_key_and_a_team_have_tiers_of_their_own() {
    let till = Till::open("").await;
    let own =
        json!({"budget_tiers": {"warn": 0.2, "downgrade": 0.5, "budget_fallback_model": {"dear": "cheap"}}});
    let ten = json!({"max_budget": 10, "metadata": own, "team_id": "t"});
    made(&till.app, "/team/new", ten.clone()).await;
    let of_team = key(&till.app, json!({"team_id": "t"})).await;
    let of_key = key(&till.app, json!({"max_budget": 10, "metadata": own})).await;
    let plain = key(&till.app, json!({"max_budget": 10})).await;
    let (ok, warn, cheap) = ("ok dear", "warn dear", "downgrade cheap");
    for key in [&of_key, &of_team] {
        assert_eq!(till.tiers(key, 6).await, [ok, ok, warn, warn, warn, cheap]);
    }
    assert_eq!(till.tiers(&plain, 10).await, [ok, ok, ok, ok, ok, ok, ok, ok, warn, cheap]);
    till.app.stop().await;
}

#[tokio::test]
async fn a_refusal_for_a_budget_ends_with_its_period_if_it_has_one() {
    let till = Till::open("").await;
    till.set("2026-11-03T12:00:00Z");
    for (period, wait) in [
        (json!("1d"), Some("43200")),
        // Monday the 9th, and the 1st of December.
        (json!("7d"), Some("475200")),
        (json!("30d"), Some("2376000")),
        (json!("90s"), Some("90")),
        (Value::Null, None),
    ] {
        let key = key(&till.app, json!({"max_budget": 1, "budget_duration": period})).await;
        assert_eq!(till.ask(&key, "other", &json!({})).await.status, 200);
        let refused = till.ask(&key, "other", &json!({})).await;
        assert_eq!((refused.status, refused.header("retry-after")), (422, wait), "{period}");
    }
    till.app.stop().await;
}

#[tokio::test]
async fn the_status_of_a_refusal_for_a_budget_is_the_operators() {
    for status in [400, 402, 422, 429] {
        let till = Till::open(&format!(", budget_exceeded_status_code: {status}")).await;
        let key = key(&till.app, json!({"max_budget": 1, "budget_duration": "1d"})).await;
        assert_eq!(till.ask(&key, "other", &json!({})).await.status, 200);
        let body =
            json!({"model": "other", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]});
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let refused = ask_as(&till.app, &key, path, &body).await;
            // Anthropic's dialect has words of its own for each status.
            let is_so = path == "/v1/messages" || refused.json()["error"]["type"] == json!("budget_exceeded");
            assert!(is_so && refused.status == status, "{path}: {}", refused.text());
            assert!(refused.text().contains("Budget has been exceeded!"), "{path}");
            assert_eq!(refused.header("retry-after"), Some("43200"), "{path}");
        }
        till.app.stop().await;
    }
}
