//! What requests hold, in every order of their steps that a scheduler draws: the ledger's own modules, with the locks of
//! `shuttle` in the place of the system's. A failing order is printed and can be played again.
//!
//! Owns: the orders. Leaves to others: the journal and the books, in whose place [`ledger`] only notes what it is given.
//!
//! **Invariant:** at no step of any order is more held and settled than a budget allows.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, unreachable_pub, reason = "the modules are the ledger's, whole")]

#[path = "../../src/accounts.rs"]
mod accounts;
#[path = "../../src/attempt.rs"]
mod attempt;
#[path = "../../src/charge.rs"]
mod charge;
mod ledger;
#[path = "../../src/journal/told.rs"]
mod told;

/// The locks of these modules.
mod sync {
    pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic};
}

/// A record was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritten;

use accounts::{Accounts, Defaults, Touched};
use attempt::Admission;
use ledger::Ledger;
use serde_json::{Value, json};
use shuttle::future::block_on;
use shuttle::thread;
use std::collections::HashMap;
use sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Document, Limits, Scope, ScopeKind};
use tollgate_policy::accounts::{Kernel, Money, Threshold, Tokens};
use tollgate_store::books::SpendRow;

/// What each attempt holds.
const EACH: i128 = 1_000_000_000_000;
/// Orders of a default run.
const ORDERS: usize = 1_000;

fn orders() -> usize {
    if std::env::var_os("TOLLGATE_TEST_LONG").is_some() { 50 * ORDERS } else { ORDERS }
}

/// A key whose budget is for three attempts.
fn limits() -> Limits {
    let Value::Object(members) = json!({"max_budget": 3, "soft_budget": 1.5}) else { panic!("an object") };
    Limits::read(&Document(members)).unwrap()
}

fn key() -> Scope {
    Scope::new(ScopeKind::Key, "k")
}

fn enter(ledger: &Arc<Ledger>) -> Option<Arc<Admission>> {
    let limits = limits();
    let touched = ledger.accounts().touch_all([(key(), &limits)].into_iter(), ledger.clock().wall());
    let money = Money { most: PicoDollars::ZERO, is_free: false, is_critical: false };
    Admission::enter(ledger, (touched, Touched::new()), (10, Some(10)), money).ok().map(Arc::new)
}

/// What is settled and held of the budget; never more than it.
fn standing(ledger: &Ledger) -> (i128, i128) {
    let budgets = ledger.accounts().budgets(&key(), &limits(), ledger.clock().wall());
    let (settled, held) = (budgets[0].settled.0, budgets[0].held.0);
    assert!(settled + held <= 3 * EACH, "{settled} and {held}");
    (settled, held)
}

/// How a request ends that has come as far as to be sent.
#[derive(Clone, Copy)]
enum End {
    /// It costs what it held.
    Settled,
    /// Nothing of it is charged.
    Released,
    /// Its caller leaves.
    Dropped,
}

/// A request from its admission to its end; whether it was let in.
fn request(ledger: &Arc<Ledger>, number: u128, end: End) -> bool {
    let Some(admission) = enter(ledger) else { return false };
    let none = std::iter::empty();
    let Ok(mut attempt) = admission.attempt(number, none, PicoDollars(EACH)) else { return false };
    let row = SpendRow { cost: EACH / 2, ..SpendRow::default() };
    block_on(attempt.intend(row.clone(), PicoDollars(EACH))).unwrap();
    match end {
        End::Settled => {
            admission.note_tokens(Tokens { input: 1, output: 1 });
            attempt.settle(row, PicoDollars(EACH));
        }
        End::Released => attempt.release(),
        End::Dropped => drop(attempt),
    }
    true
}

/// Lets requests of these ends run beside one another, with somebody who looks on; which of them were let in.
fn run(ledger: &Arc<Ledger>, ends: &[End]) -> Vec<bool> {
    let requests: Vec<_> = ends
        .iter()
        .enumerate()
        .map(|(number, end)| {
            let (ledger, end) = (Arc::clone(ledger), *end);
            thread::spawn(move || request(&ledger, number as u128, end))
        })
        .collect();
    for _ in 0..5 {
        standing(ledger);
        thread::yield_now();
    }
    requests.into_iter().map(|request| request.join().unwrap()).collect()
}

fn ledger() -> Arc<Ledger> {
    Arc::new(Ledger::new(Accounts::new(Kernel::new(Kernel::utc()), Defaults::default())))
}

#[test]
fn in_every_order_of_their_steps_as_many_pass_as_the_budget_is_for() {
    let play = || {
        let ledger = ledger();
        let passed = run(&ledger, &[End::Settled; 6]);
        assert_eq!(passed.iter().filter(|passed| **passed).count(), 3);
        assert_eq!(standing(&ledger), (3 * EACH, 0));
        let marks = ledger.marks();
        // Each once, in whatever order those who passed them have come to tell.
        for mark in [Threshold::Soft, Threshold::Warn, Threshold::Downgrade, Threshold::Spent] {
            assert_eq!(marks.iter().filter(|told| **told == mark).count(), 1, "{mark:?}: {marks:?}");
        }
        let costs: Vec<i128> = ledger.rows().values().flatten().copied().collect();
        assert_eq!(costs, [EACH; 3]);
    };
    shuttle::check_random(play, orders());
    shuttle::check_pct(play, orders(), 3);
}

#[test]
fn in_every_order_each_attempt_has_one_end_and_what_it_held_is_given_back() {
    let play = || {
        let ledger = ledger();
        let ends = [End::Settled, End::Released, End::Dropped, End::Released, End::Dropped, End::Settled];
        let passed = run(&ledger, &ends);
        let rows = ledger.rows();
        let mut due = 0;
        for (number, (end, passed)) in ends.iter().zip(&passed).enumerate() {
            let expect: &[i128] = match (passed, end) {
                (true, End::Settled) => &[EACH],
                (true, End::Dropped) => &[EACH / 2],
                _ => &[],
            };
            let found = rows.get(&(number as u128)).map_or(&[][..], Vec::as_slice);
            assert_eq!(found, expect, "{number}");
            due += expect.iter().sum::<i128>();
        }
        assert_eq!(standing(&ledger), (due, 0));
        // Whoever was let in has an intent and one end of it.
        let expect: HashMap<u128, usize> =
            (0..).zip(&passed).filter(|(_, passed)| **passed).map(|(number, _)| (number, 1)).collect();
        assert_eq!(ledger.ends(), expect);
    };
    shuttle::check_random(play, orders());
    shuttle::check_pct(play, orders(), 3);
}

/// Four who wait at two threads while a writer tells them, of whom `leaves` goes without hearing it.
fn wait(leaves: usize) {
    let places =
        [std::thread::current().id(), std::thread::spawn(|| std::thread::current().id()).join().unwrap()];
    let (mut waiters, mut waiting) = (Vec::new(), Vec::new());
    for number in 0..4 {
        let (waiter, mut written) = told::pair(places[number % 2]);
        waiters.push(waiter);
        waiting.push(thread::spawn(move || {
            if number != leaves {
                return block_on(written);
            }
            let once = std::future::poll_fn(|context| {
                std::task::Poll::Ready(std::pin::Pin::new(&mut written).poll(context).is_ready())
            });
            block_on(once);
            Ok(())
        }));
    }
    let mut leaders = told::Leaders::default();
    leaders.tell(waiters, Ok(()));
    // Nobody relieves them here: whoever was to be woken by one that left is woken as it leaves.
    for thread in waiting {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
}

#[test]
fn whoever_waits_for_a_record_hears_of_it_whatever_order_they_look_in() {
    for leaves in 0..=4 {
        shuttle::check_random(move || wait(leaves), orders() / 4);
    }
}
