//! What gateways know of each other's spending while the database is there.

use crate::gateway::{DAY, DOLLAR, Gateway, Shared, patiently};
use std::collections::BTreeMap;
use std::time::Duration;
use tollgate_identity::Kind;
use tollgate_policy::accounts::Threshold;
use tollgate_store::books::{Batch, Charging, Checkpoint, Repriced, SpendRow};

/// What all of them told together.
fn told(gateways: &[&Gateway]) -> BTreeMap<Threshold, usize> {
    let mut sums = BTreeMap::new();
    for (threshold, count) in gateways.iter().flat_map(|gateway| gateway.told()) {
        *sums.entry(threshold).or_default() += count;
    }
    sums
}

async fn until_each_is_told_once(gateways: &[&Gateway]) {
    let each_once =
        [Threshold::Warn, Threshold::Downgrade, Threshold::Spent].map(|threshold| (threshold, 1)).into();
    patiently("every mark is told", async {
        while told(gateways).len() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    // Time for whoever might tell it again.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(told(gateways), each_once);
}

#[tokio::test]
async fn what_one_spends_another_refuses_once_it_knows() {
    let shared = Shared::new();
    let (first, second, third) = (shared.gateway().await, shared.gateway().await, shared.gateway().await);
    for _ in 0..4 {
        assert!(first.spend().await);
    }
    for gateway in [&first, &second, &third] {
        gateway.until_spent(4).await;
    }
    assert_eq!(second.spend_all().await, 6);
    for gateway in [&first, &second, &third] {
        gateway.until_spent(10).await;
        assert_eq!(gateway.spend_all().await, 0);
    }
    assert_eq!(first.in_books().await, 10);
    until_each_is_told_once(&[&first, &second, &third]).await;
    // Whoever begins now knows all of it, and has nothing to tell.
    let late = shared.gateway().await;
    assert_eq!((late.spent(), late.spend_all().await), (10, 0));
    for gateway in [first, second, third, late] {
        gateway.close().await;
    }
}

#[tokio::test]
async fn two_who_spend_at_the_same_time_agree_and_spend_the_budget_once() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    let (of_first, of_second) = tokio::join!(first.spend_all(), second.spend_all());
    let spent = i128::try_from(of_first + of_second).unwrap();
    assert_eq!(spent, 10, "{of_first} {of_second}");
    for gateway in [&first, &second] {
        gateway.until_spent(spent).await;
        assert_eq!(gateway.spend_all().await, 0);
    }
    assert_eq!(first.in_books().await, spent);
    until_each_is_told_once(&[&first, &second]).await;
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn what_one_sets_or_prices_again_another_follows() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    assert_eq!(first.spend_all().await, 10);
    second.until_spent(10).await;
    first.set_spent(0).await;
    assert_eq!(first.spent(), 0, "at once where it is set");
    second.until_spent(0).await;
    assert_eq!(second.spend_all().await, 10);
    first.until_spent(10).await;
    let dear = second.books.scan_attempts(Default::default(), 1).await.unwrap().remove(0);
    let priced = |dollars: i128| Repriced {
        attempt_id: dear.attempt_id,
        cost: dollars * DOLLAR,
        ..Repriced::default()
    };
    for (dollars, spent) in [(4, 13), (4, 13), (0, 9), (1, 10)] {
        second.ledger.reprice(vec![priced(dollars)], Charging::Correct, &|_| None).await.unwrap();
        assert_eq!(second.spent(), spent, "at once where it is priced");
        first.until_spent(spent).await;
    }
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn accounts_that_nobody_has_touched_here_are_known_when_they_are() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    for round in 1..=3 {
        assert!(first.spend().await);
        patiently("it is in the books", async {
            while first.in_books().await != round {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
    // Long enough that it was looked at: that it is known at the first touch is seen by what is refused.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(second.spend_all().await, 7);
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn a_gateway_whose_clock_is_behind_counts_what_was_spent_tomorrow_from_tomorrow_on() {
    let shared = Shared::new();
    let (ahead, behind) = (shared.gateway().await, shared.gateway().await);
    ahead.set_ahead(DAY);
    assert!(behind.spend().await);
    for _ in 0..3 {
        assert!(ahead.spend().await);
    }
    ahead.until_spent(3).await;
    patiently("it is in the books", async {
        while ahead.in_books().await != 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(behind.spent(), 1);
    behind.set_ahead(DAY);
    behind.until_spent(3).await;
    assert_eq!(behind.spend_all().await, 7);
    ahead.close().await;
    behind.close().await;
}

#[tokio::test]
async fn what_a_gateway_of_the_release_before_or_a_person_writes_is_followed_too() {
    let shared = Shared::new();
    let gateway = shared.gateway().await;
    assert!(gateway.spend().await);
    let row = SpendRow {
        attempt_id: u128::MAX,
        cost: 2 * DOLLAR,
        accounts: vec![gateway.day()],
        ..SpendRow::default()
    };
    let upto = Checkpoint { segment: 1, offset: 1 };
    gateway.books.post(Batch { journal: "another".to_owned(), upto, rows: vec![row] }).await.unwrap();
    gateway.until_spent(3).await;
    shared.execute("UPDATE accounts SET settled = settled * 2 WHERE kind = 'key' AND cadence = '1d'").await;
    gateway.until_spent(6).await;
    assert_eq!(gateway.spend_all().await, 4);
    gateway.close().await;
}

#[tokio::test]
async fn what_a_deleted_key_has_spent_is_not_spent_by_a_new_one_of_its_name() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    first.make_key().await;
    assert_eq!(first.spend_all().await, 10);
    second.until_spent(10).await;
    patiently("the key is known", async {
        while second.ledger.directory().get(Kind::Key, "k").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    second.delete_key().await;
    second.make_key().await;
    for gateway in [&first, &second] {
        gateway.until_spent(0).await;
    }
    assert!(first.spend().await && second.spend().await);
    for gateway in [&first, &second] {
        gateway.until_spent(2).await;
    }
    first.close().await;
    second.close().await;
}
