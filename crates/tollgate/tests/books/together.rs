//! A budget that is spent through two gateways on one PostgreSQL.

use crate::stand::Stand;
use crate::support::{COST, COST_DOLLARS, Gateway, chat, ms, patiently};
use serde_json::json;

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
