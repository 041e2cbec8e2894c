//! A gateway's ledger, as often as it is wanted, on one database.

use crate::folder::Folder;
use crate::proxy::Proxy;
use crate::server::{self, Schema};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Document, Limits, Scope, ScopeKind};
use tollgate_ledger::journal::Options;
use tollgate_ledger::{Accounts, Admission, Attempt, Charge, Clock, Defaults, Ledger, Touched};
use tollgate_policy::accounts::{Kernel, Money, Threshold};
use tollgate_policy::clock::{Moment, Wall};
use tollgate_store::books::{
    Account, Books, Delete, Expected, PostgresOptions, Put, RecordChange, Settled, SpendRow,
};

pub(crate) const DOLLAR: i128 = 1_000_000_000_000;
pub(crate) const DAY: i64 = 86_400_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that has to happen.
pub(crate) async fn patiently<T>(what: &str, happens: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), happens).await;
    waited.unwrap_or_else(|_| panic!("it never came: {what}"))
}

/// A database that several have.
pub(crate) struct Shared {
    pub(crate) schema: Schema,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self { schema: Schema::new(server::shared()) }
    }

    pub(crate) async fn gateway(&self) -> Gateway {
        Gateway::start(&self.schema.url, &self.schema.name, Arc::new(Folder::new())).await
    }

    /// A gateway whose connections to the database can be cut, and what cuts them.
    pub(crate) async fn gateway_behind_proxy(&self) -> (Gateway, Proxy) {
        let (user, rest) = self.schema.url.rsplit_once("127.0.0.1:").unwrap();
        let (port, database) = rest.split_once('/').unwrap();
        let proxy = Proxy::to(port.parse().unwrap()).await;
        let url = format!("{user}127.0.0.1:{}/{database}", proxy.port);
        (Gateway::start(&url, &self.schema.name, Arc::new(Folder::new())).await, proxy)
    }

    /// Runs a statement as somebody who has the database to themselves.
    pub(crate) async fn execute(&self, sql: &str) {
        let sql = format!("SET search_path TO {}; {sql}", self.schema.name);
        server::execute(&self.schema.url, &sql).await.unwrap();
    }
}

/// One of the gateways.
pub(crate) struct Gateway {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) books: Books,
    folder: Arc<Folder>,
    place: (String, String),
    told: Arc<Mutex<BTreeMap<Threshold, usize>>>,
    /// How far its clock is ahead, in microseconds.
    ahead: Arc<AtomicI64>,
}

/// Noon of a day, and a clock that stands there but for what it is set ahead.
fn clock(ahead: &Arc<AtomicI64>) -> Clock {
    let ahead = Arc::clone(ahead);
    let wall = move || Wall::from_micros(20_000 * DAY + DAY / 2 + ahead.load(Ordering::Relaxed));
    Clock::new(|| Moment::ZERO, wall)
}

pub(crate) fn key() -> Scope {
    Scope::new(ScopeKind::Key, "k")
}

/// Ten dollars a day.
pub(crate) fn limits() -> Limits {
    let Value::Object(members) = json!({"max_budget": 10, "budget_duration": "1d"}) else { panic!() };
    Limits::read(&Document(members)).unwrap()
}

/// A number that no other attempt has.
fn number() -> u128 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed).into()
}

impl Gateway {
    pub(crate) async fn start(url: &str, schema: &str, folder: Arc<Folder>) -> Self {
        let ahead = Arc::default();
        let options = PostgresOptions { schema: schema.to_owned(), ..PostgresOptions::default() };
        let books = Books::postgres(url, options).unwrap();
        let accounts = Accounts::new(Kernel::new(Kernel::utc()), Defaults::default());
        let ledger = Arc::new(Ledger::new(clock(&ahead), accounts));
        let told: Arc<Mutex<BTreeMap<Threshold, usize>>> = Arc::default();
        let list = Arc::clone(&told);
        ledger.listen(Box::new(move |_, crossing| {
            *list.lock().unwrap().entry(crossing.threshold).or_default() += 1;
        }));
        let journal = folder.path().join("journal");
        ledger.begin(books.clone(), Some((journal, Options::default()))).await.unwrap();
        Self { ledger, books, folder, place: (url.to_owned(), schema.to_owned()), told, ahead }
    }

    /// Another process with what is on the disk of this one now: what a kill leaves.
    pub(crate) async fn killed(&self) -> Self {
        let left = Folder::new();
        copy(self.folder.path(), left.path());
        Self::start(&self.place.0, &self.place.1, Arc::new(left)).await
    }

    pub(crate) fn set_ahead(&self, micros: i64) {
        self.ahead.store(micros, Ordering::Relaxed);
    }

    /// Holds a dollar, or is refused.
    pub(crate) fn hold(&self) -> Option<Attempt> {
        self.hold_of(DOLLAR)
    }

    /// The same of another amount.
    pub(crate) fn hold_of(&self, most: i128) -> Option<Attempt> {
        let limits = limits();
        let touched =
            self.ledger.accounts().touch_all([(key(), &limits)].into_iter(), self.ledger.clock().wall());
        let money = Money { most: PicoDollars::ZERO, is_free: false, is_critical: false };
        let entered = Admission::enter(&self.ledger, (touched, Touched::new()), (10, Some(10)), money);
        let admission = Arc::new(entered.ok()?);
        admission.attempt(number(), std::iter::empty(), PicoDollars(most)).ok()
    }

    /// Holds it once it is known that others leave room for it, or is refused.
    pub(crate) async fn hold_confirmed(&self) -> Option<Attempt> {
        self.hold_confirmed_of(DOLLAR).await
    }

    /// The same of another amount.
    pub(crate) async fn hold_confirmed_of(&self, most: i128) -> Option<Attempt> {
        self.hold_of(most)?.confirmed().await.ok()
    }

    /// How often it has asked the books whether anything may be let in.
    pub(crate) fn asked(&self) -> u64 {
        self.ledger.asked()
    }

    /// Spends a dollar, if it may; whether it did.
    pub(crate) async fn spend(&self) -> bool {
        let Some(mut attempt) = self.hold_confirmed().await else { return false };
        let row = SpendRow { request_id: "r".to_owned(), ..SpendRow::default() };
        attempt.intend(row.clone(), PicoDollars(DOLLAR)).await.unwrap();
        attempt.settle(row, PicoDollars(DOLLAR));
        true
    }

    /// Spends dollars until it is refused, and says how many.
    pub(crate) async fn spend_all(&self) -> usize {
        let mut spent = 0;
        while self.spend().await {
            spent += 1;
            assert!(spent < 1_000, "it is never refused");
        }
        spent
    }

    /// Picodollars that are spent in the day, as it knows it.
    pub(crate) fn spent_exactly(&self) -> i128 {
        let budgets = self.ledger.accounts().budgets(&key(), &limits(), self.ledger.clock().wall());
        budgets.iter().find(|budget| budget.cadence.is_some()).unwrap().settled.0
    }

    /// Dollars that are spent in the day, as it knows it.
    pub(crate) fn spent(&self) -> i128 {
        self.spent_exactly() / DOLLAR
    }

    /// Waits until it knows of so many dollars.
    pub(crate) async fn until_spent(&self, dollars: i128) {
        patiently(&format!("{dollars} dollars, not {}", self.spent()), async {
            while self.spent_exactly() != dollars * DOLLAR {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Dollars of the day that others hold, as it knows it.
    pub(crate) fn held_elsewhere(&self) -> i128 {
        let budgets = self.ledger.accounts().budgets(&key(), &limits(), self.ledger.clock().wall());
        budgets.iter().find(|budget| budget.cadence.is_some()).unwrap().held_elsewhere.0 / DOLLAR
    }

    /// Waits until it knows that others hold so many dollars.
    pub(crate) async fn until_held_elsewhere(&self, dollars: i128) {
        patiently(&format!("{dollars} dollars are held elsewhere, not {}", self.held_elsewhere()), async {
            while self.held_elsewhere() != dollars {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// The account of the key's day.
    pub(crate) fn day(&self) -> Account {
        let micros = self.ledger.clock().wall().micros();
        let start = Wall::from_micros(micros - micros % DAY);
        Charge { scope: key(), cadence: limits().cadence, start }.into_account()
    }

    /// Sets what was spent in the day.
    pub(crate) async fn set_spent(&self, dollars: i128) {
        let accounts = vec![Settled { account: self.day(), amount: dollars * DOLLAR }];
        self.ledger.commit(RecordChange { accounts, ..RecordChange::default() }).await.unwrap();
    }

    /// Makes the key's record.
    pub(crate) async fn make_key(&self) {
        let doc = json!({"max_budget": 10, "budget_duration": "1d"}).to_string();
        let put = Put { kind: "key".to_owned(), id: "k".to_owned(), doc, expected: Expected::Any };
        self.ledger.commit(RecordChange { puts: vec![put], ..RecordChange::default() }).await.unwrap();
    }

    /// Deletes it.
    pub(crate) async fn delete_key(&self) {
        let gone = Delete { kind: "key".to_owned(), id: "k".to_owned(), expected: Expected::Any };
        self.ledger.commit(RecordChange { deletes: vec![gone], ..RecordChange::default() }).await.unwrap();
    }

    /// Dollars that the books have of its day.
    pub(crate) async fn in_books(&self) -> i128 {
        let accounts = self.books.load_accounts(0).await.unwrap();
        let day = self.day();
        accounts.iter().filter(|settled| settled.account == day).map(|settled| settled.amount).sum::<i128>()
            / DOLLAR
    }

    /// How often each mark was told here.
    pub(crate) fn told(&self) -> BTreeMap<Threshold, usize> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) async fn close(self) {
        self.ledger.close(PATIENCE).await;
        self.books.close().await;
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
