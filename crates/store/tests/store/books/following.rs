//! What gateways learn of each other's spending, and who of them tells that a mark was passed.

use std::collections::BTreeMap;

use tollgate_store::books::{Account, Books, Charging, Claim, RecordChange, Repriced, Settled, SpendRow};

use super::engines::Engine;
use super::{account, batch, engines, row};

/// Somebody who follows the accounts.
struct Follower<'a> {
    books: &'a Books,
    seen: i64,
    known: BTreeMap<(String, i64), i128>,
}

impl<'a> Follower<'a> {
    async fn new(books: &'a Books) -> Self {
        Self { books, seen: books.accounts_seen().await.unwrap(), known: BTreeMap::new() }
    }

    /// Looks, and says how many accounts were read.
    async fn look(&mut self) -> usize {
        let changes =
            self.books.others("me".to_owned(), self.seen, self.seen % 2 == 0).await.unwrap().changes;
        self.seen = changes.seen;
        let read = changes.accounts.len();
        for Settled { account, amount } in changes.accounts {
            self.known.insert((account.id, account.start), amount);
        }
        read
    }

    /// Looks until nothing is read any more: for as long as any transaction of the server lasts, what was written since it began
    /// is read again.
    async fn until_quiet(&mut self) {
        for _ in 0..600 {
            if self.look().await == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the same is read again and again");
    }

    fn amount(&self, id: &str) -> Option<i128> {
        self.known.get(&(id.to_owned(), 0)).copied()
    }
}

fn charging(attempt_id: u128, cost: i128, id: &str) -> SpendRow {
    SpendRow { accounts: vec![account("key", id)], ..row(attempt_id, cost) }
}

#[tokio::test]
async fn every_change_of_an_account_is_seen_and_what_did_not_change_is_not_read_again() {
    let engine = engines::postgres();
    let books = &engine.books;
    books.post(batch(1, vec![charging(1, 5, "before")])).await.unwrap();
    let mut follower = Follower::new(books).await;
    follower.until_quiet().await;
    for number in 2..30 {
        let id = format!("key-{}", number % 3);
        books.post(batch(u64::try_from(number).unwrap(), vec![charging(number, 10, &id)])).await.unwrap();
        assert_ne!(follower.look().await, 0, "{number}");
    }
    follower.until_quiet().await;
    let known = ["key-0", "key-1", "key-2"].map(|id| follower.amount(id).unwrap());
    assert_eq!(known, [90, 90, 100]);
    let reset = vec![Settled { account: account("key", "key-1"), amount: 0 }];
    books.commit(RecordChange { accounts: reset, ..RecordChange::default() }).await.unwrap();
    let priced = Repriced { attempt_id: 3, cost: 4, ..Repriced::default() };
    books.reprice(vec![priced], Charging::Correct).await.unwrap();
    follower.look().await;
    assert_eq!((follower.amount("key-1"), follower.amount("key-0")), (Some(0), Some(84)));
}

#[tokio::test]
async fn a_change_that_takes_long_is_seen_when_it_is_made_and_nothing_behind_it_is_lost() {
    let engine = engines::postgres();
    let books = &engine.books;
    books.post(batch(1, vec![charging(1, 5, "slow"), charging(2, 5, "quick")])).await.unwrap();
    let mut follower = Follower::new(books).await;
    let sleeps =
        "BEGIN; UPDATE accounts SET settled = settled + 1 WHERE id = 'slow'; SELECT pg_sleep(1); COMMIT";
    let slow = async { engine.raw(sleeps).await.unwrap() };
    let quick = async {
        for number in 3..9 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let rows = vec![charging(number, 10, "quick")];
            books.post(batch(u64::try_from(number).unwrap(), rows)).await.unwrap();
            follower.look().await;
        }
    };
    tokio::join!(slow, quick);
    follower.look().await;
    assert_eq!((follower.amount("slow"), follower.amount("quick")), (Some(6), Some(65)));
    follower.until_quiet().await;
}

#[tokio::test]
async fn what_was_copied_from_another_server_is_read_once_and_a_server_whose_numbers_begin_anew_is_read_whole()
 {
    let engine = engines::postgres();
    let books = &engine.books;
    books.post(batch(1, vec![charging(1, 5, "here"), charging(2, 5, "copied")])).await.unwrap();
    let later = "ALTER TABLE accounts DISABLE TRIGGER account_is_changed; \
                 UPDATE accounts SET changed = 1000000000000 WHERE id = 'copied'; \
                 ALTER TABLE accounts ENABLE TRIGGER account_is_changed";
    engine.raw(later).await.unwrap();
    let mut follower = Follower::new(books).await;
    follower.until_quiet().await;
    assert_eq!(follower.amount("copied"), None);
    books.post(batch(2, vec![charging(3, 5, "copied")])).await.unwrap();
    follower.look().await;
    assert_eq!(follower.amount("copied"), Some(10));
    (follower.seen, follower.known) = (2_000_000_000_000, BTreeMap::new());
    assert_eq!(follower.look().await, 2);
    assert_eq!((follower.amount("here"), follower.amount("copied")), (Some(5), Some(10)));
    follower.until_quiet().await;
}

#[tokio::test]
async fn in_an_embedded_database_nobody_else_changes_anything() {
    for engine in [engines::memory().await, engines::file()] {
        let books = &engine.books;
        books.post(batch(1, vec![charging(1, 5, "k")])).await.unwrap();
        let mut follower = Follower::new(books).await;
        assert_eq!(follower.look().await, 0, "{}", engine.name);
        for _ in 0..2 {
            assert_eq!(books.claim(vec![claim("k", "warn", 3)]).await, Ok(vec![true]));
        }
    }
}

fn claim(id: &str, threshold: &str, mark: i128) -> Claim {
    Claim { account: account("key", id), threshold: threshold.to_owned(), mark }
}

async fn claimed(engine: &Engine, claims: &[(&str, &str, i128)]) -> Vec<bool> {
    let claims = claims.iter().map(|(id, threshold, mark)| claim(id, threshold, *mark)).collect();
    engine.books.claim(claims).await.unwrap()
}

#[tokio::test]
async fn a_mark_is_told_once_until_less_is_spent_than_that() {
    let engine = engines::postgres();
    let books = &engine.books;
    books.post(batch(1, vec![charging(1, 100, "k")])).await.unwrap();
    let marks = [("k", "soft", 75), ("k", "warn", 75), ("k", "spent", 100), ("other", "warn", 75)];
    assert_eq!(claimed(&engine, &marks).await, [true; 4]);
    assert_eq!(claimed(&engine, &marks).await, [false; 4]);
    // Another budget has another mark.
    assert_eq!(claimed(&engine, &[("k", "spent", 90)]).await, [true]);
    let set = |amount| Settled { account: account("key", "k"), amount };
    books.set_account(set(80)).await.unwrap();
    assert_eq!(claimed(&engine, &[("k", "warn", 75), ("k", "spent", 90)]).await, [false, true]);
    let priced = Repriced { attempt_id: 1, cost: 90, ..Repriced::default() };
    books.reprice(vec![priced], Charging::Correct).await.unwrap();
    assert_eq!(claimed(&engine, &[("k", "warn", 75), ("other", "warn", 75)]).await, [true, false]);
    // Of periods that are gone nothing is kept.
    let past = Claim { account: Account { start: 100, ..account("key", "k") }, ..claim("k", "warn", 75) };
    assert_eq!(books.claim(vec![past.clone()]).await, Ok(vec![true]));
    books.purge_accounts(200, 10).await.unwrap();
    assert_eq!(books.claim(vec![past]).await, Ok(vec![true]));
}

#[tokio::test]
async fn of_many_who_find_a_mark_passed_at_the_same_time_one_tells_it() {
    let engine = engines::postgres();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let books = engine.books.clone();
        asking.spawn(async move { books.claim(vec![claim("k", "warn", 75)]).await.unwrap() });
    }
    let mine = asking.join_all().await.into_iter().flatten().filter(|mine| *mine).count();
    assert_eq!(mine, 1);
}

#[tokio::test]
async fn what_is_told_once_is_told_by_one_whatever_was_spent_since() {
    for engine in engines::all().await {
        let once = |id: &str, start| Claim {
            account: Account { start, ..account("report", id) },
            ..claim(id, "7d", 0)
        };
        let books = &engine.books;
        let both = vec![once("a", 100), once("b", 100)];
        assert_eq!(books.claim_once(both.clone()).await, Ok(vec![true; 2]), "{}", engine.name);
        assert_eq!(books.claim_once(both).await, Ok(vec![false; 2]), "{}", engine.name);
        let later = vec![once("a", 200), once("b", 100)];
        assert_eq!(books.claim_once(later).await, Ok(vec![true, false]), "{}", engine.name);
        books.purge_accounts(200, 10).await.unwrap();
        let again = vec![once("a", 100), once("a", 200)];
        assert_eq!(books.claim_once(again).await, Ok(vec![true, false]), "{}", engine.name);
    }
}
