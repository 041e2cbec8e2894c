//! What one gateway holds for requests under way, and the others do not give away.

use crate::gateway::{Gateway, Shared};
use crate::proxy::Wire;
use tollgate_ledger::Attempt;
use tollgate_store::books::SpendRow;

/// Holds so many dollars.
async fn hold(gateway: &Gateway, dollars: usize) -> Vec<Attempt> {
    let mut held = Vec::new();
    for _ in 0..dollars {
        held.push(gateway.hold_confirmed().await.unwrap());
    }
    held
}

/// Opens the account: before that nothing is known of it that could be asked for.
fn touch(gateway: &Gateway) {
    gateway.hold().unwrap().release();
}

#[tokio::test]
async fn what_one_holds_another_does_not_give_away_and_what_it_lets_go_is_there_again() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    touch(&second);
    let held = hold(&first, 6).await;
    second.until_held_elsewhere(6).await;
    assert_eq!((second.spend_all().await, second.spent()), (4, 4));
    first.until_spent(4).await;
    assert!(first.hold().is_none());
    held.into_iter().for_each(Attempt::release);
    second.until_held_elsewhere(0).await;
    assert_eq!(second.spend_all().await, 6);
    first.until_spent(10).await;
    assert_eq!((first.in_books().await, first.spend_all().await), (10, 0));
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn what_was_held_and_is_spent_is_at_no_moment_there_twice_or_not_at_all() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    touch(&second);
    let held = hold(&first, 8).await;
    second.until_held_elsewhere(8).await;
    for mut attempt in held {
        attempt.intend(SpendRow::default(), attempt.held()).await.unwrap();
        let cost = attempt.held();
        attempt.settle(SpendRow::default(), cost);
        for _ in 0..30 {
            let budgets = second.ledger.accounts().budgets(
                &crate::gateway::key(),
                &crate::gateway::limits(),
                second.ledger.clock().wall(),
            );
            let known = |it: &tollgate_policy::accounts::BudgetStanding| it.settled.0 + it.held_elsewhere.0;
            // They are read one after the other: what is held may have become less meanwhile, and never more.
            let of_day = budgets.iter().find(|it| it.cadence.is_some()).map(known).unwrap();
            assert!(of_day <= 8 * crate::gateway::DOLLAR, "{of_day}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    second.until_spent(8).await;
    second.until_held_elsewhere(0).await;
    assert_eq!(second.spend_all().await, 2);
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn whoever_begins_knows_what_the_others_hold_before_it_spends() {
    let shared = Shared::new();
    let first = shared.gateway().await;
    let held = hold(&first, 7).await;
    let second = shared.gateway().await;
    assert_eq!(second.spend_all().await, 3);
    held.into_iter().for_each(Attempt::release);
    second.until_held_elsewhere(0).await;
    assert_eq!(second.spend_all().await, 7);
    // Whoever is alone again shows nothing, and whoever comes then sees all of it again.
    first.close().await;
    let third = shared.gateway().await;
    second.set_spent(0).await;
    let held = hold(&second, 5).await;
    third.until_spent(0).await;
    touch(&third);
    third.until_held_elsewhere(5).await;
    drop(held);
    second.close().await;
    third.close().await;
}

#[tokio::test]
async fn what_a_gateway_holds_that_is_not_heard_of_any_more_is_given_away_after_a_while() {
    let shared = Shared::new();
    let (lost, proxy) = shared.gateway_behind_proxy().await;
    let there = shared.gateway().await;
    touch(&there);
    let held = hold(&lost, 6).await;
    there.until_held_elsewhere(6).await;
    proxy.set(Wire::Dead);
    assert_eq!(there.spend_all().await, 4);
    shared.execute("UPDATE gateways SET seen_at = seen_at - 31000000").await;
    there.until_held_elsewhere(0).await;
    assert_eq!(there.spend_all().await, 6);
    // Once it is heard of again, so is what it holds.
    there.set_spent(0).await;
    proxy.set(Wire::Whole);
    there.until_held_elsewhere(6).await;
    assert_eq!(there.spend_all().await, 4);
    held.into_iter().for_each(Attempt::release);
    lost.close().await;
    there.close().await;
}

#[tokio::test]
async fn far_below_its_end_nothing_is_shown_of_a_budget() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    touch(&second);
    for _ in 0..40 {
        let mut attempt = first.hold_of(crate::gateway::DOLLAR / 1_000).unwrap();
        attempt.intend(SpendRow::default(), attempt.held()).await.unwrap();
        let cost = attempt.held();
        attempt.settle(SpendRow::default(), cost);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let counted =
        "DO $$ BEGIN IF (SELECT count(*) FROM holds) > 0 THEN RAISE 'something is held'; END IF; END $$";
    shared.execute(counted).await;
    first.close().await;
    second.close().await;
}
