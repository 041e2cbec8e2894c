//! A budget that is spent through several gateways on one PostgreSQL.

use crate::stand::Stand;
use crate::support::{ANSWER_TOKENS, COST, COST_DOLLARS, Gateway, MASTER, chat, count, ms, patiently};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::task::JoinSet;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

/// Requests that a budget is for.
const REQUESTS: i128 = 10;

/// Asks until it is refused, and says how often it was answered.
async fn spend_all(gateway: &Gateway, key: &str) -> i128 {
    let mut answered = 0;
    loop {
        let answer = chat(gateway.address, key, "spend").await;
        if answer.status != 200 {
            assert_eq!(answer.status, 422, "{}", answer.text());
            return answered;
        }
        answered += 1;
        assert!(answered <= 3 * REQUESTS, "it is never refused");
    }
}

/// Waits until a gateway says that a key has spent so much.
async fn until_spent(gateway: &Gateway, key: &str, spent: i128) {
    patiently("what was spent is known", async {
        while gateway.spent(key).await != spent {
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn r54_a_budget_is_one_budget_also_through_two_gateways_on_one_database() {
    let stand = Stand::start().await;
    let (one, other) = (&stand.site.gateway, stand.another().await);
    let budget = COST_DOLLARS * REQUESTS as f64;
    let key = one.new_key(json!({"max_budget": budget})).await;
    // A third of it here, and the rest there.
    for number in 0..3 {
        assert_eq!(chat(one.address, &key, &format!("first-{number}")).await.status, 200);
    }
    until_spent(&other, &key, 3 * COST).await;
    let more = spend_all(&other, &key).await;
    assert_eq!(3 + more, REQUESTS);
    until_spent(one, &key, REQUESTS * COST).await;
    assert_eq!(spend_all(one, &key).await, 0);
    assert_eq!(stand.site.received().len(), REQUESTS as usize);
    // Set back there, and spent at both at the same time: neither knows all, and afterwards both do.
    other.good("POST", &format!("/key/{key}/reset_spend"), &json!({"reset_to": 0})).await;
    assert_eq!(other.spent(&key).await, 0);
    until_spent(one, &key, 0).await;
    let (here, there) = tokio::join!(spend_all(one, &key), spend_all(&other, &key));
    assert!((REQUESTS..=2 * REQUESTS).contains(&(here + there)), "{here} and {there}");
    for gateway in [one, &other] {
        until_spent(gateway, &key, (here + there) * COST).await;
        assert_eq!(spend_all(gateway, &key).await, 0);
    }
    other.stop().await;
    stand.site.stop().await;
}

/// What one of these requests costs, in dollars, and what is held for it.
const EXACT_DOLLARS: f64 = 0.001_122_5;

/// Replies that use what is held for the request: a token for each byte of its text, and all of its answer.
fn exact() -> Behaviour {
    let tokens = TokenCounts { prompt: Some(49), completion: Some(ANSWER_TOKENS), ..TokenCounts::default() };
    Behaviour::new().text("one two three").tokens(tokens)
}

/// So many ask at each gateway at the same moment; how often each status was the answer.
async fn ask_at_once(gateways: &[&Gateway], key: &str, each: usize) -> BTreeMap<u16, usize> {
    let mut asking = JoinSet::new();
    for number in 0..each {
        for gateway in gateways {
            let (address, key) = (gateway.address, key.to_owned());
            asking.spawn(async move { chat(address, &key, &format!("at-once-{number}")).await.status });
        }
    }
    let mut counts = BTreeMap::new();
    for status in asking.join_all().await {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

/// How many were let in without the database having said that there is room for them: it was too slow.
async fn unconfirmed(gateways: &[&Gateway]) -> usize {
    let name = "tollgate_unconfirmed_attempts ";
    let mut sum = 0;
    for gateway in gateways {
        let text = gateway.get_with("/metrics", &[("authorization", &format!("Bearer {MASTER}"))]).await;
        let row = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        sum += row.parse::<usize>().unwrap();
    }
    sum
}

#[tokio::test]
async fn r54_of_hundreds_at_each_of_three_gateways_as_many_pass_as_the_budget_is_for() {
    let refuse = "tollgate_settings: {budget_maximum: refuse}\n";
    let stand = Stand::start_with(refuse, Script::new().rule(Rule::any(exact()))).await;
    let (one, another, third) = (&stand.site.gateway, stand.another().await, stand.another().await);
    let gateways = [one, &another, &third];
    // There is room for ten and a half.
    let (budget, each) = (EXACT_DOLLARS * 10.5, count(100, 300));
    let (mut exact, mut alone) = (0, 0);
    while exact < count(2, 10) {
        let key = one.new_key(json!({"max_budget": budget})).await;
        for gateway in gateways {
            until_spent(gateway, &key, 0).await;
        }
        let answered = ask_at_once(&gateways, &key, each).await;
        let before = std::mem::replace(&mut alone, unconfirmed(&gateways).await);
        if alone == before {
            assert_eq!(answered, [(200, 10), (422, 3 * each - 10)].into());
            exact += 1;
        } else {
            // On a machine that is far too busy for its database.
            assert!((10..=30).contains(&answered[&200]), "{answered:?}");
            assert!(alone < 300, "it is never answered in time");
        }
    }
    another.stop().await;
    third.stop().await;
    stand.site.stop().await;
}

#[tokio::test]
async fn r54_what_a_killed_gateway_held_is_there_again_when_it_is_not_heard_of_any_more() {
    let refuse = "tollgate_settings: {budget_maximum: refuse}\n";
    let never = Rule::any(exact().latency(ms(120_000))).times(10);
    let stand = Stand::start_with(refuse, Script::new().rule(never).rule(Rule::any(exact()))).await;
    let (one, killed) = (&stand.site.gateway, stand.another().await);
    let key = one.new_key(json!({"max_budget": EXACT_DOLLARS * 10.5})).await;
    until_spent(&killed, &key, 0).await;
    let mut asking = JoinSet::new();
    for number in 0..10 {
        let (address, key) = (killed.address, key.clone());
        asking.spawn(async move { chat(address, &key, &format!("under-way-{number}")).await });
    }
    patiently("ten are under way", async {
        while stand.site.received().len() < 10 {
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
    assert_eq!(ask_at_once(&[one], &key, 20).await, [(422, 20)].into());
    asking.abort_all();
    drop(killed);
    assert_eq!(ask_at_once(&[one], &key, 20).await, [(422, 20)].into());
    stand.execute("UPDATE tollgate.gateways SET seen_at = seen_at - 31000000").await;
    patiently("what was held is there again", async {
        while chat(one.address, &key, "again").await.status != 200 {
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
    assert_eq!(ask_at_once(&[one], &key, 20).await, [(200, 9), (422, 11)].into());
    stand.site.stop().await;
}
