//! Budgets that are for exactly so many requests, asked for by many more at the same time; and the marks that are passed on
//! the way.

use crate::support::{CHAT, Eavesdropper, Site, ask, deployment, hello, ms, patiently, priced};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::task::JoinSet;
use tollgate_simulator::{Behaviour, Fault, Rule, Script};

/// What each request may cost and costs: 100 tokens of answer at $0.001.
const EACH: i128 = 100_000_000_000;
const REFUSED: u16 = 422;
/// Requests that are under way at the same time.
const AT_ONCE: usize = 250;

/// The groups `m` and `cheap`, whose prompts are free; a budget's last cent is not bent to what is left.
async fn site(settings: &str) -> Site {
    let group = |group: &str, name: &str, price: &str| {
        let base = format!(
            ", api_base: \"http://{{sim}}/d/{name}/v1\", input_cost_per_token: 0, \
             cache_read_input_token_cost: 0, output_cost_per_token: {price}"
        );
        deployment(group, name, "openai/gpt-4o", &base)
    };
    let list = [group("m", "a", "0.001"), group("m", "b", "0.001"), group("cheap", "c", "0.0001")].concat();
    let yaml = format!(
        "model_list:\n{list}general_settings: {{master_key: sk-master-0123456789}}\n\
         tollgate_settings: {{budget_maximum: refuse{settings}}}\n"
    );
    Site::start(&yaml, Script::new().rule(Rule::any(priced()))).await
}

async fn request(address: SocketAddr, key: String) -> (u16, String) {
    let mut body = hello("m");
    body["max_tokens"] = json!(100);
    let answer = ask(address, &key, ("POST", CHAT), &[("connection", "close")], &body).await;
    let tier = answer.header("x-tollgate-budget-tier").unwrap_or_default().to_owned();
    (answer.status, tier)
}

/// Asks so often with these keys by turns, so many at the same time. How often each status came.
async fn rush(site: &Site, keys: &[String], requests: usize, at_once: usize) -> BTreeMap<u16, usize> {
    let (address, mut asking) = (site.gateway.address, JoinSet::new());
    let mut statuses = BTreeMap::new();
    for number in 0..requests {
        asking.spawn(request(address, keys[number % keys.len()].clone()));
        if asking.len() >= at_once {
            *statuses.entry(asking.join_next().await.unwrap().unwrap().0).or_default() += 1;
        }
    }
    for (status, _) in asking.join_all().await {
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}

async fn team_spent(site: &Site, team: &str) -> i128 {
    let told = site.gateway.good("GET", &format!("/team/info?team_id={team}"), &Value::Null).await;
    (told["team_info"]["spend"].as_f64().unwrap() * 1e12).round() as i128
}

#[tokio::test]
async fn r54_of_a_thousand_requests_exactly_ten_pass_where_the_budget_is_for_ten() {
    let site = site("").await;
    let key = site.gateway.new_key(json!({"max_budget": 1})).await;
    let statuses = rush(&site, std::slice::from_ref(&key), 1_000, AT_ONCE).await;
    assert_eq!(statuses, BTreeMap::from([(200, 10), (REFUSED, 990)]));
    assert_eq!((site.received().len(), site.gateway.spent(&key).await), (10, 10 * EACH));
    // A budget that three keys of a team share, each of which has more.
    site.gateway.good("POST", "/team/new", &json!({"team_id": "t", "max_budget": 1})).await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(site.gateway.new_key(json!({"team_id": "t", "max_budget": 0.9})).await);
    }
    let statuses = rush(&site, &keys, 1_000, AT_ONCE).await;
    assert_eq!(statuses, BTreeMap::from([(200, 10), (REFUSED, 990)]));
    assert_eq!((site.received().len(), team_spent(&site, "t").await), (20, 10 * EACH));
    site.stop().await;
}

#[tokio::test]
async fn r54_what_failed_requests_held_is_there_for_others_and_never_twice() {
    let site = site("").await;
    let key = site.gateway.new_key(json!({"max_budget": 1})).await;
    let keys = std::slice::from_ref(&key);
    let fails = Rule::any(Behaviour::new().fault(Fault::status(400))).share(0.5);
    site.simulator.script().set_rules(vec![fails, Rule::any(priced())]);
    let mut passed = 0;
    for round in 0.. {
        assert!(round < 20, "{passed} passed, and no more do");
        if passed == 10 {
            break;
        }
        let statuses = rush(&site, keys, 100, AT_ONCE).await;
        passed += statuses.get(&200).copied().unwrap_or_default();
        assert!(passed <= 10, "{statuses:?}");
        let others = statuses.keys().all(|status| [200, 400, REFUSED].contains(status));
        assert!(others && site.gateway.spent(&key).await == passed as i128 * EACH, "{statuses:?}");
    }
    assert_eq!(rush(&site, keys, 100, AT_ONCE).await, BTreeMap::from([(REFUSED, 100)]));
    site.stop().await;
}

/// What a webhook was told, by whom it is about: the share of the budget that was passed, and how often.
fn told(webhook: &Eavesdropper) -> BTreeMap<(String, String), usize> {
    let mut told = BTreeMap::new();
    for heard in webhook.heard() {
        let text = String::from_utf8(heard).unwrap();
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let who = body["event_group"].as_str().unwrap().to_owned();
        *told.entry((who, body["threshold"].to_string())).or_default() += 1;
    }
    told
}

#[tokio::test]
async fn r55_marks_that_are_passed_by_many_at_once_are_told_once_each() {
    let webhook =
        Eavesdropper::start(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")).await;
    let settings = format!(
        ", budget_tiers: {{budget_fallback_model: {{m: cheap}}}}, alerts: {{webhook_url: \"http://{}/\"}}",
        webhook.address
    );
    let site = site(&settings).await;
    site.gateway.good("POST", "/team/new", &json!({"team_id": "t", "max_budget": 5})).await;
    let key = site.gateway.new_key(json!({"team_id": "t", "max_budget": 4, "soft_budget": 2})).await;
    // First two at a time, so that what is held is little beside the marks, then as many as can be.
    let mut passed = 0;
    for at_once in [2, AT_ONCE] {
        let statuses = rush(&site, std::slice::from_ref(&key), 200, at_once).await;
        assert!(statuses.keys().all(|status| [200, REFUSED].contains(status)), "{statuses:?}");
        passed += statuses.get(&200).copied().unwrap_or_default();
    }
    // From 90% on requests went to the group that costs a tenth, so that more passed than the 40 of $4.
    let sent = site.sends(["a", "b", "c"]);
    assert!(passed > 40 && sent.iter().sum::<usize>() == passed && sent[2] > 0, "{passed} {sent:?}");
    assert_eq!((site.gateway.spent(&key).await, team_spent(&site, "t").await), (40 * EACH, 40 * EACH));
    let name = |who: &str, mark: &str| (who.to_owned(), mark.to_owned());
    let key_marks = ["\"soft\"", "0.75", "0.9", "1"].map(|mark| name("key", mark));
    let expected: BTreeMap<_, usize> =
        key_marks.into_iter().chain([name("team", "0.75")]).map(|mark| (mark, 1)).collect();
    patiently("every mark is told", async {
        while told(&webhook).len() < expected.len() {
            tokio::time::sleep(ms(10)).await;
        }
    })
    .await;
    // Nothing more comes.
    tokio::time::sleep(ms(300)).await;
    assert_eq!(told(&webhook), expected);
    eprintln!("{passed} passed, {} of them downgraded", site.sends(["c"])[0]);
    site.stop().await;
}
