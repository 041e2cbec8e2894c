//! A gateway that is killed while it posts: what it was told is there, and nothing is there twice.
//!
//! The gateway is this test program again, with one test chosen and the books named in the environment; it writes the number
//! of every batch that was posted to its standard error.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tollgate_store::books::{Batch, Books, Checkpoint, PostgresOptions, SpendRow, SumQuery};
use tollgate_store::{LazyStore, Location, StoreOptions};

use super::{batch, engines, row};

const PLACE: &str = "TOLLGATE_BOOKS_PLACE";
const SCHEMA: &str = "TOLLGATE_BOOKS_SCHEMA";

/// The rows of a batch; every batch costs something else.
fn numbered(number: u64) -> Batch {
    let rows: Vec<SpendRow> =
        (0..7).map(|place| row(u128::from(number * 7 + place), i128::from(number * 7 + place))).collect();
    batch(number + 1, rows)
}

fn another(place: &str, schema: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "books::crash::in_another_process_batches_are_posted", "--nocapture"]);
    command.env(PLACE, place).env(SCHEMA, schema);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn books_at(place: &str, schema: &str) -> Books {
    if schema.is_empty() {
        let location = Location::File(place.into());
        return Books::sqlite(Arc::new(LazyStore::new(location, StoreOptions::default())));
    }
    Books::postgres(place, PostgresOptions { schema: schema.to_owned(), ..PostgresOptions::default() })
        .unwrap()
}

/// Not a test by itself: what the other process does.
#[tokio::test]
async fn in_another_process_batches_are_posted() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let books = books_at(&place, &std::env::var(SCHEMA).unwrap());
    let first = books.checkpoint("journal-1").await.unwrap().map_or(0, |checkpoint| checkpoint.offset);
    for number in first.. {
        books.post(numbered(number)).await.unwrap();
        std::io::stderr().write_all(format!("{number}\n").as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn a_gateway_that_is_killed_between_loses_and_doubles_nothing() {
    let rounds = if std::env::var_os("TOLLGATE_TEST_LONG").is_some() { 50 } else { 4 };
    for engine in engines::raw() {
        let (place, schema) = engine.place();
        for round in 0..rounds {
            let mut child = another(&place, &schema);
            let mut lines = BufReader::new(child.stderr.take().unwrap());
            let mut text = String::new();
            // Each round dies after another number of batches.
            for _ in 0..=round * 5 % 17 {
                lines.read_line(&mut text).unwrap();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            let mut rest = Vec::new();
            lines.read_to_end(&mut rest).unwrap();
            text.push_str(&String::from_utf8_lossy(&rest));
            let mut whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            let last: u64 = whole.next_back().unwrap().parse().unwrap_or_else(|_| panic!("{text}"));
            let books = books_at(&place, &schema);
            let checkpoint = books.checkpoint("journal-1").await.unwrap().unwrap();
            assert!(checkpoint.offset > last, "{}: {checkpoint:?}, and {last} was told", engine.name);
            // Some of it again, as from a journal whose last place was not kept, and one more.
            for number in checkpoint.offset.saturating_sub(20)..=checkpoint.offset {
                let inserted = books.post(numbered(number)).await.unwrap();
                assert_eq!(inserted, if number < checkpoint.offset { 0 } else { 7 });
            }
            let rows = (checkpoint.offset + 1) * 7;
            let spend = i128::from(rows * (rows - 1) / 2);
            let totals = books.sums(SumQuery::default()).await.unwrap()[0].totals;
            assert_eq!((totals.requests, totals.spend), (rows, spend), "{}", engine.name);
            let accounts = books.load_accounts(0).await.unwrap();
            assert!(accounts.len() == 2 && accounts.iter().all(|settled| settled.amount == spend));
            let expect = Checkpoint { segment: 1, offset: checkpoint.offset + 1 };
            assert_eq!(books.checkpoint("journal-1").await, Ok(Some(expect)));
            books.close().await;
        }
    }
}
