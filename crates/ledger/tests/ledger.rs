//! The ledger with real books and a real journal: what is admitted, what is spent, and what is left after a kill.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Document, Limits, Scope, ScopeKind};
use tollgate_ledger::journal::Options;
use tollgate_ledger::{Accounts, Admission, Clock, Defaults, Ledger, Recovery, Touched};
use tollgate_policy::accounts::{Kernel, Money, Reason, Threshold, Tokens};
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;
use tollgate_store::books::{
    Books, Charging, Delete, Expected, Put, RecordChange, Repriced, Settled, SpendRow,
};
use tollgate_store::{Location, Store, StoreOptions};

const DOLLAR: i128 = 1_000_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

fn limits(value: Value) -> Limits {
    let Value::Object(members) = value else { panic!("an object") };
    Limits::read(&Document(members)).unwrap()
}

/// A folder of a test's own, gone at its end.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Place {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tollgate-ledger-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    async fn books(&self) -> (Store, Books) {
        let location = Location::File(self.0.join("tollgate.db"));
        let store = Store::open(location, &StoreOptions::default()).await.unwrap();
        (store.clone(), Books::of_store(store))
    }

    fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    async fn begin(&self) -> (Arc<Ledger>, Store, Recovery) {
        self.begin_with(Options::default()).await
    }

    async fn begin_with(&self, options: Options) -> (Arc<Ledger>, Store, Recovery) {
        let (store, books) = self.books().await;
        let ledger = Arc::new(Ledger::new(
            Clock::default(),
            Accounts::new(Kernel::new(Kernel::utc()), Defaults::default()),
        ));
        let recovery = ledger.begin(books, Some((self.journal(), options))).await.unwrap();
        (ledger, store, recovery)
    }
}

fn key() -> Scope {
    Scope::new(ScopeKind::Key, "k")
}

fn enter(ledger: &Arc<Ledger>, limits: &Limits) -> Option<Arc<Admission>> {
    let wall = ledger.clock().wall();
    let touched = ledger.accounts().touch_all([(key(), limits)].into_iter(), wall);
    let money = Money { most: PicoDollars::ZERO, is_free: false, is_critical: false };
    Admission::enter(ledger, (touched, Touched::new()), (10, Some(10)), money).ok().map(Arc::new)
}

fn row(cost: i128) -> SpendRow {
    SpendRow { request_id: "r".to_owned(), cost, prompt_tokens: 1, ..SpendRow::default() }
}

fn settled(ledger: &Ledger, limits: &Limits) -> i128 {
    let budgets = ledger.accounts().budgets(&key(), limits, ledger.clock().wall());
    budgets[0].settled.0
}

async fn in_books(store: &Store) -> i128 {
    let accounts = Books::of_store(store.clone()).load_accounts(0).await.unwrap();
    accounts.iter().filter(|settled| settled.account.kind == "key").map(|settled| settled.amount).sum()
}

fn none() -> impl Iterator<Item = (Scope, &'static Limits)> {
    std::iter::empty()
}

#[tokio::test]
async fn what_is_settled_is_in_memory_at_once_and_in_the_books_at_the_end() {
    let (place, limits) = (Place::new(), limits(json!({"max_budget": 5})));
    let (ledger, store, _) = place.begin().await;
    for number in 0..3 {
        let admission = enter(&ledger, &limits).unwrap();
        let mut attempt = admission.attempt(number, none(), PicoDollars(2 * DOLLAR)).unwrap();
        attempt.intend(row(2 * DOLLAR), PicoDollars(2 * DOLLAR)).await.unwrap();
        admission.note_tokens(Tokens { input: 1, output: 1 });
        attempt.settle(row(0), PicoDollars(DOLLAR));
    }
    assert_eq!(settled(&ledger, &limits), 3 * DOLLAR);
    ledger.close(PATIENCE).await;
    assert_eq!(in_books(&store).await, 3 * DOLLAR);
}

#[tokio::test]
async fn of_a_thousand_at_once_ten_pass_where_the_budget_is_for_ten() {
    let (place, limits) = (Place::new(), Arc::new(limits(json!({"max_budget": 10}))));
    let (ledger, store, _) = place.begin().await;
    let barrier = Arc::new(tokio::sync::Barrier::new(1_000));
    let tasks: Vec<_> = (0..1_000_u128)
        .map(|number| {
            let (ledger, limits, barrier) = (Arc::clone(&ledger), Arc::clone(&limits), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                let Some(admission) = enter(&ledger, &limits) else { return 0 };
                let Ok(mut attempt) = admission.attempt(number, none(), PicoDollars(DOLLAR)) else {
                    return 0;
                };
                attempt.intend(row(DOLLAR), PicoDollars(DOLLAR)).await.unwrap();
                attempt.settle(row(0), PicoDollars(DOLLAR));
                1
            })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += task.await.unwrap();
    }
    assert_eq!((passed, settled(&ledger, &limits)), (10, 10 * DOLLAR));
    ledger.close(PATIENCE).await;
    assert_eq!(in_books(&store).await, 10 * DOLLAR);
}

/// Copies what is on the disk at this moment: what a process that is killed now leaves.
fn kill(place: &Place) -> Place {
    let left = Place::new();
    copy(&place.0, &left.0);
    left
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_under_way_at_a_kill_is_settled_at_the_next_start_and_once() {
    let (place, limits) = (Place::new(), limits(json!({"max_budget": 100})));
    let (ledger, _, _) = place.begin().await;
    let done = enter(&ledger, &limits).unwrap();
    let mut first = done.attempt(1, none(), PicoDollars(DOLLAR)).unwrap();
    first.intend(row(DOLLAR), PicoDollars(DOLLAR)).await.unwrap();
    first.settle(row(0), PicoDollars(DOLLAR / 2));
    let open = enter(&ledger, &limits).unwrap();
    let mut second = open.attempt(2, none(), PicoDollars(7 * DOLLAR)).unwrap();
    second.intend(row(7 * DOLLAR), PicoDollars(7 * DOLLAR)).await.unwrap();
    // The first settlement lies before this intent in the same file.
    let mut left = kill(&place);
    for round in 0..3 {
        let (again, store, recovery) = left.begin().await;
        assert_eq!(recovery.orphans, usize::from(round == 0), "round {round}");
        assert_eq!(settled(&again, &limits), 7 * DOLLAR + DOLLAR / 2, "round {round}");
        again.close(PATIENCE).await;
        assert_eq!(in_books(&store).await, 7 * DOLLAR + DOLLAR / 2, "round {round}");
        store.close().await;
        left = kill(&left);
    }
}

#[tokio::test]
async fn an_attempt_that_is_dropped_is_booked_as_it_was_intended_and_one_that_was_not_sent_is_not() {
    let (place, limits) = (Place::new(), limits(json!({"max_budget": 9})));
    let (ledger, _, _) = place.begin().await;
    let admission = enter(&ledger, &limits).unwrap();
    drop(admission.attempt(1, none(), PicoDollars(9 * DOLLAR)).unwrap());
    let mut sent = admission.attempt(2, none(), PicoDollars(9 * DOLLAR)).unwrap();
    sent.intend(row(DOLLAR), PicoDollars(DOLLAR)).await.unwrap();
    drop(sent);
    assert_eq!(settled(&ledger, &limits), DOLLAR);
    let mut failed = admission.attempt(3, none(), PicoDollars(8 * DOLLAR)).unwrap();
    failed.intend(row(8 * DOLLAR), PicoDollars(8 * DOLLAR)).await.unwrap();
    failed.release();
    assert_eq!(settled(&ledger, &limits), DOLLAR);
    let whole = admission.attempt(4, none(), PicoDollars(8 * DOLLAR)).unwrap();
    let refused = admission.attempt(5, none(), PicoDollars(1)).map(|_| ()).unwrap_err();
    assert!(matches!(refused.refusal.reason, Reason::Budget { .. }));
    assert_eq!(refused.scope, key());
    whole.release();
}

#[tokio::test]
async fn while_the_disk_refuses_so_much_is_kept_in_memory_and_beyond_that_nothing_is_sent() {
    let (place, limits) = (Place::new(), limits(json!({})));
    let (ledger, store, _) = place.begin_with(Options { segment_bytes: 1, ..Options::default() }).await;
    let admission = enter(&ledger, &limits).unwrap();
    let intend = async |number: u128| {
        let mut attempt = admission.attempt(number, none(), PicoDollars::ZERO).unwrap();
        attempt.intend(row(0), PicoDollars::ZERO).await.map(|()| attempt)
    };
    intend(0).await.unwrap().settle(row(0), PicoDollars(DOLLAR));
    // The folder is gone: no file can follow the one that is full.
    let elsewhere = place.0.join("elsewhere");
    std::fs::rename(place.journal(), &elsewhere).unwrap();
    let mut sent = 0_u128;
    // Two records each, and a row of a few: 100,000 records are kept.
    while let Ok(attempt) = intend(sent + 1).await {
        sent += 1;
        if sent.is_multiple_of(1_000) {
            attempt.settle(row(0), PicoDollars(DOLLAR));
            // Until the journal's thread has taken what there is.
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else {
            attempt.release();
        }
        assert!(sent < 200_000, "it never ends");
    }
    assert!(sent >= 50_000 - 1_000, "{sent}");
    std::fs::rename(&elsewhere, place.journal()).unwrap();
    let expect = (1 + sent / 1_000) as i128 * DOLLAR;
    ledger.close(PATIENCE).await;
    assert_eq!(in_books(&store).await, expect);
    intend(sent + 2).await.unwrap().release();
}

#[tokio::test]
async fn a_change_of_records_is_in_force_at_once_and_after_a_restart() {
    let place = Place::new();
    let (ledger, store, _) = place.begin().await;
    let change = |doc: Value| RecordChange {
        puts: vec![Put {
            kind: "key".to_owned(),
            id: "k".to_owned(),
            doc: doc.to_string(),
            expected: Expected::Any,
        }],
        ..RecordChange::default()
    };
    ledger.commit(change(json!({"max_budget": 1}))).await.unwrap();
    let holder = ledger.directory().holder("k").unwrap();
    let admission = enter(&ledger, &holder.key.limits).unwrap();
    assert!(admission.attempt(1, none(), PicoDollars(2 * DOLLAR)).is_err());
    ledger.commit(change(json!({"max_budget": 3}))).await.unwrap();
    let attempt = admission.attempt(2, none(), PicoDollars(2 * DOLLAR)).unwrap();
    attempt.settle(row(0), PicoDollars(2 * DOLLAR));
    let charge = tollgate_ledger::Charge { scope: key(), cadence: None, start: Wall::BEGINNING };
    let reset = Settled { account: charge.into_account(), amount: DOLLAR };
    let change = RecordChange { accounts: vec![reset], ..change(json!({"max_budget": 3})) };
    ledger.commit(change).await.unwrap();
    let holder = ledger.directory().holder("k").unwrap();
    assert_eq!(settled(&ledger, &holder.key.limits), DOLLAR);
    drop(admission);
    ledger.close(PATIENCE).await;
    store.close().await;
    drop(ledger);
    let (again, _, _) = place.begin().await;
    let holder = again.directory().holder("k").unwrap();
    assert_eq!(holder.key.limits.budget, Some(PicoDollars(3 * DOLLAR)));
}

fn put(id: &str) -> RecordChange {
    let (kind, id) = ("key".to_owned(), id.to_owned());
    RecordChange {
        puts: vec![Put { kind, id, doc: "{}".to_owned(), expected: Expected::Any }],
        ..RecordChange::default()
    }
}

fn delete(id: &str) -> RecordChange {
    let (kind, id) = ("key".to_owned(), id.to_owned());
    RecordChange { deletes: vec![Delete { kind, id, expected: Expected::Any }], ..RecordChange::default() }
}

fn knows(ledger: &Ledger, id: &str) -> bool {
    ledger.directory().holder(id).is_some()
}

#[tokio::test]
async fn a_change_made_here_brings_what_others_have_changed_before_it() {
    let place = Place::new();
    let (ledger, store, _) = place.begin().await;
    ledger.commit(put("revoked")).await.unwrap();
    // Of another gateway, of which nobody has told this one yet.
    let elsewhere = Books::of_store(store);
    elsewhere.commit(delete("revoked")).await.unwrap();
    elsewhere.commit(put("theirs")).await.unwrap();
    assert!(knows(&ledger, "revoked"));
    let revision = ledger.commit(put("ours")).await.unwrap();
    let seen = ["revoked", "theirs", "ours"].map(|id| knows(&ledger, id));
    assert_eq!((seen, ledger.revision()), ([false, true, true], revision));
}

#[tokio::test]
async fn an_old_answer_of_the_books_brings_nothing_back() {
    let place = Place::new();
    let (ledger, store, _) = place.begin().await;
    let books = Books::of_store(store);
    let before = ledger.revision();
    ledger.commit(put("k")).await.unwrap();
    let old = books.changes_since(before).await.unwrap();
    ledger.commit(delete("k")).await.unwrap();
    assert!(!ledger.apply(before, &old));
    assert!(!knows(&ledger, "k"));
    let now = ledger.revision();
    assert!(ledger.apply(now, &books.changes_since(now).await.unwrap()));
}

#[tokio::test]
async fn accounts_in_memory_get_what_those_of_the_books_got_and_a_mark_that_is_passed_is_told() {
    let (place, limits) = (Place::new(), limits(json!({"max_budget": 5})));
    let (first, store, _) = place.begin().await;
    let mut made = put("k");
    made.puts[0].doc = json!({"max_budget": 5}).to_string();
    first.commit(made).await.unwrap();
    let admission = enter(&first, &limits).unwrap();
    for number in 1..=2 {
        admission.attempt(number, none(), PicoDollars(DOLLAR)).unwrap().settle(row(0), PicoDollars(DOLLAR));
    }
    drop(admission);
    first.close(PATIENCE).await;
    store.close().await;
    drop(first);
    let (ledger, store, _) = place.begin().await;
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    ledger.listen(Box::new(move |scope, crossing| {
        assert_eq!(*scope, key());
        count.fetch_add(u32::from(crossing.threshold == Threshold::Spent), Ordering::Relaxed);
    }));
    assert_eq!(settled(&ledger, &limits), 2 * DOLLAR);
    let price = async |attempt_id: u128, dollars: i128| {
        let priced = Repriced { attempt_id, cost: dollars * DOLLAR, ..Repriced::default() };
        assert_eq!(ledger.reprice(vec![priced], Charging::Correct, &|_| None).await.unwrap(), 1);
        (settled(&ledger, &limits) / DOLLAR, in_books(&store).await / DOLLAR, told.load(Ordering::Relaxed))
    };
    assert_eq!(price(1, 3).await, (4, 4, 0));
    // Again, from the same row as it was: nothing is added twice.
    assert_eq!(price(1, 3).await, (4, 4, 0));
    // Nobody has touched the account since, and it is told all the same, once.
    assert_eq!(price(2, 2).await, (5, 5, 1));
    assert_eq!((price(2, 3).await, ledger.accounts().open()), ((6, 6, 1), 0));
    ledger.accounts().touch(&key(), &limits, ledger.clock().wall()).unwrap();
    assert_eq!(price(2, 4).await, (7, 7, 1));
}

#[tokio::test]
async fn whoever_is_made_under_the_id_of_one_who_was_deleted_has_spent_nothing() {
    let (place, limits) = (Place::new(), limits(json!({"max_budget": 5})));
    let (ledger, store, _) = place.begin().await;
    let put =
        Put { kind: "key".to_owned(), id: "k".to_owned(), doc: "{}".to_owned(), expected: Expected::Any };
    let made = RecordChange { puts: vec![put], ..RecordChange::default() };
    ledger.commit(made.clone()).await.unwrap();
    let spend = |number: u128| {
        let admission = enter(&ledger, &limits).unwrap();
        admission.attempt(number, none(), PicoDollars(DOLLAR)).unwrap().settle(row(0), PicoDollars(DOLLAR));
    };
    spend(1);
    let gone = Delete { kind: "key".to_owned(), id: "k".to_owned(), expected: Expected::Any };
    ledger.commit(RecordChange { deletes: vec![gone], ..RecordChange::default() }).await.unwrap();
    ledger.commit(made).await.unwrap();
    assert_eq!(settled(&ledger, &limits), 0);
    spend(2);
    ledger.close(PATIENCE).await;
    store.close().await;
    drop(ledger);
    let (again, store, _) = place.begin().await;
    assert_eq!((settled(&again, &limits), in_books(&store).await), (DOLLAR, DOLLAR));
}

#[tokio::test]
async fn what_is_under_way_when_limits_change_is_spent_under_the_new_ones_and_in_no_account_that_is_gone() {
    let (place, daily) = (Place::new(), limits(json!({"max_budget": 9, "budget_duration": "1d"})));
    let monthly = limits(json!({"max_budget": 9, "budget_duration": "30d"}));
    let (ledger, store, _) = place.begin().await;
    let admission = enter(&ledger, &daily).unwrap();
    let intended = async |id: u128| {
        let mut attempt = admission.attempt(id, none(), PicoDollars(2 * DOLLAR)).unwrap();
        attempt.intend(row(2 * DOLLAR), PicoDollars(2 * DOLLAR)).await.unwrap();
        attempt
    };
    let (first, second) = (intended(1).await, intended(2).await);
    ledger.accounts().configure(&key(), &monthly, ledger.clock().wall());
    first.settle(row(0), PicoDollars(DOLLAR));
    let standing = || {
        let budgets = ledger.accounts().budgets(&key(), &monthly, ledger.clock().wall());
        let word = |cadence: Option<Cadence>| cadence.map(|cadence| cadence.to_string()).unwrap_or_default();
        budgets.iter().map(|it| (word(it.cadence), it.settled.0, it.held.0)).collect::<Vec<_>>()
    };
    assert_eq!(standing(), [(String::new(), DOLLAR, 2 * DOLLAR), ("30d".to_owned(), DOLLAR, 0)]);
    ledger.accounts().close(ScopeKind::Key, "k");
    second.settle(row(0), PicoDollars(DOLLAR));
    ledger.close(PATIENCE).await;
    let accounts = Books::of_store(store).load_accounts(0).await.unwrap();
    let accounts: Vec<_> = accounts.into_iter().map(|it| (it.account.cadence, it.amount)).collect();
    assert_eq!(accounts, [(String::new(), DOLLAR), ("30d".to_owned(), DOLLAR)]);
}

#[tokio::test]
async fn a_budget_for_many_years_is_what_it_was_after_a_restart() {
    let place = Place::new();
    let made = Wall::from_micros(Clock::default().wall().micros() - 900 * 86_400_000_000).rfc3339();
    let limits = limits(json!({"max_budget": 9, "budget_duration": "1000d", "created_at": made}));
    let of_period = |ledger: &Ledger| {
        let budgets = ledger.accounts().budgets(&key(), &limits, ledger.clock().wall());
        budgets.iter().find(|budget| budget.cadence == limits.cadence).unwrap().settled.0
    };
    let (ledger, store, _) = place.begin().await;
    let admission = enter(&ledger, &limits).unwrap();
    admission.attempt(1, none(), PicoDollars(DOLLAR)).unwrap().settle(row(0), PicoDollars(DOLLAR));
    drop(admission);
    assert_eq!(of_period(&ledger), DOLLAR);
    ledger.close(PATIENCE).await;
    store.close().await;
    drop(ledger);
    let (ledger, _, _) = place.begin().await;
    assert_eq!(of_period(&ledger), DOLLAR);
}
