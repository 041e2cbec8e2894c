//! What it costs to bring rows into an embedded database: pages that are written, and processor time, printed on demand:
//! `cargo test --release -p tollgate-store --test store cost -- --ignored --nocapture`.

#![allow(clippy::print_stdout, reason = "figures are printed")]

use std::fs;

use tollgate_store::books::{Account, Books, SpendRow};
use tollgate_store::{Store, StoreOptions};

use super::{NOON, batch};
use crate::folder::Folder;

/// Rows of a transaction: what comes in a fifth of a second.
const TOGETHER: u64 = 500;
/// Rows of the printed figures.
const ROWS: u64 = 100_000;

/// In which order attempts and calls have their ids.
#[derive(Clone, Copy)]
enum Ids {
    /// In that of their moments.
    Ordered,
    /// In none.
    Random,
}

/// As the gateway writes it for a key of a team and a user, each of whom has a budget.
fn usual(number: u64, ids: Ids, rng: &mut fastrand::Rng) -> SpendRow {
    let account = |kind: &str, id: &str| Account {
        cadence: "30d".to_owned(),
        start: NOON - 5_000_000_000,
        ..super::account(kind, id)
    };
    let key = format!("{:064x}", number % 16);
    let began_at = NOON + i64::try_from(number).unwrap() * 300;
    let mut id = || match ids {
        Ids::Ordered => (u128::try_from(began_at).unwrap() << 72) | (rng.u128(..) >> 56),
        Ids::Random => rng.u128(..),
    };
    let (attempt_id, call_id) = (id(), format!("{:036x}", id()));
    SpendRow {
        request_id: call_id.clone(),
        call_id,
        api_key: key.clone(),
        user_id: "u".to_owned(),
        team_id: "t".to_owned(),
        model_id: format!("{:064x}", 7),
        api_base: "http://127.0.0.1:18080/v1".to_owned(),
        started_at: began_at,
        ended_at: began_at + 1_500,
        metadata:
            r#"{"user_api_key_alias":"one","tollgate_cost_parts":[102500000,22500000,80000000,0,0,0,0,0]}"#
                .to_owned(),
        requester_ip: "127.0.0.1".to_owned(),
        accounts: vec![
            account("key", &key),
            account("team", "t"),
            account("user", "u"),
            account("global", ""),
        ],
        ..super::row(attempt_id, 102_500_000)
    }
}

/// A new database, and how its next rows are.
struct Ground {
    folder: Folder,
    books: Books,
    ids: Ids,
    rng: fastrand::Rng,
    next: u64,
}

impl Ground {
    async fn new(ids: Ids) -> Self {
        let folder = Folder::new();
        let store = Store::open(folder.location(), &StoreOptions::default()).await.unwrap();
        let rng = fastrand::Rng::with_seed(7);
        Self { books: Books::of_store(store), folder, ids, rng, next: 0 }
    }

    /// Posts the next rows in one transaction.
    async fn post(&mut self) {
        let numbers = self.next..self.next + TOGETHER;
        self.next = numbers.end;
        let rows = numbers.map(|number| usual(number, self.ids, &mut self.rng)).collect();
        assert_eq!(self.books.post(batch(self.next, rows)).await, Ok(TOGETHER));
    }

    /// Pages of the log, which is empty afterwards ("WAL File Format": a head of 32 bytes, then pages with 24 each).
    fn take_pages(&self) -> u64 {
        let bytes = fs::metadata(self.folder.path().join("gate.db-wal")).unwrap().len();
        let other = rusqlite::Connection::open(self.folder.file()).unwrap();
        let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
        assert_eq!(other.query_row(truncate, [], |row| row.get::<_, i64>(0)), Ok(0), "nobody is in the way");
        bytes.saturating_sub(32) / (4_096 + 24)
    }
}

#[tokio::test]
async fn rows_that_come_in_the_order_of_their_ids_touch_few_pages() {
    let mut pages = Vec::new();
    for ids in [Ids::Ordered, Ids::Random] {
        let mut ground = Ground::new(ids).await;
        for _ in 0..12 {
            ground.post().await;
        }
        ground.take_pages();
        ground.post().await;
        pages.push(ground.take_pages());
    }
    let [ordered, random] = pages[..] else { panic!("two of them") };
    println!("pages of {TOGETHER} rows: {ordered}, and {random} where their ids have no order");
    assert!(ordered < TOGETHER * 6 / 10 && ordered < random, "{pages:?}");
}

/// Processor time of the thread that writes, in microseconds.
fn clock() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let is_writer = |name: String| name.starts_with("store-write");
    let own = tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(is_writer));
    let taken = own.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    taken.filter_map(|text| text.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1e3
}

#[tokio::test]
#[ignore = "prints figures; means something in release mode only"]
async fn of_a_row() {
    let mut ground = Ground::new(Ids::Ordered).await;
    let quarter = ROWS / 4;
    for rows in 1..=4 {
        let before = clock();
        while ground.next < rows * quarter {
            ground.post().await;
        }
        let micros = (clock() - before) / quarter as f64;
        println!("cost of a row, {} before it: {micros:.2} us", (rows - 1) * quarter);
    }
}
