//! Budgets that several gateways spend at the same moment: what is let in beyond a lease is asked for.

use crate::gateway::{DOLLAR, Gateway, Shared, patiently};
use crate::proxy::Wire;
use std::sync::Arc;
use tokio::task::JoinSet;
use tollgate_ledger::Attempt;
use tollgate_policy::accounts::Reason;
use tollgate_store::books::SpendRow;

/// Attempts that each gateway makes at the same moment.
const AT_ONCE: usize = 300;
/// The threads that they come from.
const THREADS: usize = 4;

/// Many hold so much at each of these gateways at the same moment, on several threads; those that may.
async fn hold_at_once(gateways: &[Arc<Gateway>], most: i128) -> Vec<Attempt> {
    let gateways = gateways.to_vec();
    let threads = move || {
        let of_thread = |_| {
            let gateways = gateways.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(hold_here(&gateways, most))
            })
        };
        let threads: Vec<_> = (0..THREADS).map(of_thread).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    };
    tokio::task::spawn_blocking(threads).await.unwrap()
}

async fn hold_here(gateways: &[Arc<Gateway>], most: i128) -> Vec<Attempt> {
    let mut asking = JoinSet::new();
    for _ in 0..AT_ONCE / THREADS {
        for gateway in gateways {
            let gateway = Arc::clone(gateway);
            asking.spawn(async move { gateway.hold_confirmed_of(most).await });
        }
    }
    asking.join_all().await.into_iter().flatten().collect()
}

async fn settle(held: Vec<Attempt>) {
    for mut attempt in held {
        attempt.intend(SpendRow::default(), attempt.held()).await.unwrap();
        let cost = attempt.held();
        attempt.settle(SpendRow::default(), cost);
    }
}

async fn three(shared: &Shared) -> Vec<Arc<Gateway>> {
    let mut gateways = Vec::new();
    for _ in 0..3 {
        gateways.push(Arc::new(shared.gateway().await));
    }
    gateways
}

async fn close(gateways: Vec<Arc<Gateway>>) {
    for gateway in gateways {
        Arc::into_inner(gateway).unwrap().close().await;
    }
}

fn unconfirmed(gateways: &[Arc<Gateway>]) -> u64 {
    gateways.iter().map(|gateway| gateway.ledger.unconfirmed()).sum()
}

#[tokio::test]
async fn of_hundreds_at_each_of_three_gateways_as_many_are_let_in_as_the_budget_is_for() {
    let shared = Shared::new();
    let gateways = three(&shared).await;
    let held = hold_at_once(&gateways, DOLLAR).await;
    assert_eq!((held.len(), unconfirmed(&gateways)), (10, 0));
    // Where they are let go, there is room again for as many.
    held.into_iter().for_each(Attempt::release);
    for gateway in &gateways {
        gateway.until_held_elsewhere(0).await;
    }
    let held = hold_at_once(&gateways, DOLLAR).await;
    assert_eq!((held.len(), unconfirmed(&gateways)), (10, 0));
    settle(held).await;
    for gateway in &gateways {
        gateway.until_spent(10).await;
        assert!(!gateway.spend().await);
    }
    assert_eq!(gateways[0].in_books().await, 10);
    close(gateways).await;
}

#[tokio::test]
async fn small_ones_pass_the_budget_by_a_lease_of_each_gateway_at_most_and_use_it_up() {
    let shared = Shared::new();
    let gateways = three(&shared).await;
    // A third of a lease, so that hundreds of them are the whole budget.
    let each = DOLLAR / 30;
    let held = hold_at_once(&gateways, each).await;
    let sum = each * held.len() as i128;
    let lease = DOLLAR / 10;
    assert!((10 * DOLLAR - each..=10 * DOLLAR + 3 * lease).contains(&sum), "{sum} of {}", held.len());
    assert_eq!(unconfirmed(&gateways), 0);
    settle(held).await;
    close(gateways).await;
}

#[tokio::test]
async fn whoever_is_refused_is_told_what_is_left_and_may_have_that() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    let held: Vec<Attempt> =
        [first.hold_confirmed().await, first.hold_confirmed().await].into_iter().flatten().collect();
    let asked = second.hold_of(9 * DOLLAR).unwrap().confirmed().await;
    let refused = asked.map(|_| ()).unwrap_err();
    let Reason::Budget { available, settled, held: by_all, .. } = refused.refusal.reason else {
        panic!("{refused:?}")
    };
    assert_eq!((available.0, settled.0, by_all.0), (8 * DOLLAR, 0, 2 * DOLLAR));
    let rest = second.hold_confirmed_of(8 * DOLLAR).await.unwrap();
    assert!(first.hold_confirmed().await.is_none());
    rest.release();
    drop(held);
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn far_below_the_end_nobody_is_asked_and_without_the_database_everyone_goes_on_alone() {
    let shared = Shared::new();
    let (lost, proxy) = shared.gateway_behind_proxy().await;
    let there = shared.gateway().await;
    patiently("each knows the other", async {
        // What is asked for before that is nobody's to confirm.
        while there.hold_confirmed().await.map(Attempt::release).is_none() || there.asked() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    lost.hold_confirmed().await.unwrap().release();
    let asked = lost.asked();
    assert!(asked > 0);
    lost.until_held_elsewhere(0).await;
    there.until_held_elsewhere(0).await;
    proxy.set(Wire::Dead);
    for _ in 0..50 {
        let attempt = lost.hold_confirmed_of(DOLLAR / 1_000).await.unwrap();
        settle(vec![attempt]).await;
    }
    // Half of a lease was spent: nobody was asked, and nobody would have answered.
    assert_eq!((lost.asked(), lost.ledger.unconfirmed()), (asked, 0));
    let alone = lost.spend_all().await;
    assert_eq!((alone, lost.ledger.unconfirmed()), (9, 9));
    let others = there.spend_all().await;
    assert!((9..=10).contains(&others), "{others}");
    proxy.set(Wire::Whole);
    let sum = 50 * DOLLAR / 1_000 + (9 + others as i128) * DOLLAR;
    for gateway in [&lost, &there] {
        patiently("both know all", async {
            while gateway.spent_exactly() != sum {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        assert!(!gateway.spend().await);
    }
    assert_eq!(there.ledger.unconfirmed(), 0);
    lost.close().await;
    there.close().await;
}

#[tokio::test]
async fn whoever_leaves_while_it_is_asked_holds_nothing() {
    let shared = Shared::new();
    let gateways = three(&shared).await;
    for round in 0..20 {
        let mut asking = JoinSet::new();
        for gateway in &gateways {
            for _ in 0..5 {
                let gateway = Arc::clone(gateway);
                asking.spawn(async move {
                    let patience = std::time::Duration::from_micros(300 * round);
                    let _ = tokio::time::timeout(patience, gateway.hold_confirmed()).await;
                });
            }
        }
        asking.join_all().await;
    }
    patiently("all of it is there again", async {
        // What the others were shown last is there for a moment more.
        while hold_at_once(&gateways, DOLLAR).await.len() < 10 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await;
    close(gateways).await;
}

#[tokio::test]
async fn one_that_is_alone_asks_nobody() {
    let shared = Shared::new();
    let only = shared.gateway().await;
    assert_eq!((only.spend_all().await, only.asked(), only.ledger.unconfirmed()), (10, 0, 0));
    only.close().await;
}
