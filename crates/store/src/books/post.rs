//! Rows from a journal into the database: each once, however often it is brought.
//!
//! Owns the tables `attempts`, `attempt_tags` and `journals` where they are written. The sums are `daily.rs`'s and
//! `accounts.rs`'s.
//!
//! **Invariant**: a row adds to sums and accounts in the transaction that inserts it, and in no other; the journal's
//! checkpoint moves in the same one.

use super::columns::{self, attempt_text, cells, keepable};
use super::row::SpendRow;
use super::session::{Insert, Session, Value};
use super::{accounts, daily};
use crate::error::Fault;

/// A place in a journal: everything before it is in the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checkpoint {
    /// The number of the file.
    pub segment: u64,
    /// Bytes into it.
    pub offset: u64,
}

/// Rows of one journal, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The journal's own id.
    pub journal: String,
    /// Where the journal goes on after these rows.
    pub upto: Checkpoint,
    /// What was spent.
    pub rows: Vec<SpendRow>,
}

const ATTEMPTS: Insert = Insert {
    table: "attempts",
    columns: columns::COLUMNS,
    sqlite: "ON CONFLICT (attempt_id) DO NOTHING",
    postgres: "ON CONFLICT (attempt_id) DO NOTHING",
};

const TAGS: Insert =
    Insert { table: "attempt_tags", columns: &["attempt_id", "tag"], sqlite: "", postgres: "" };

const JOURNALS: Insert = Insert {
    table: "journals",
    columns: &["journal", "segment", "place"],
    sqlite: "ON CONFLICT (journal) DO UPDATE SET segment = excluded.segment, place = excluded.place",
    postgres: "ON CONFLICT (journal) DO UPDATE SET segment = excluded.segment, place = excluded.place",
};

const CHECKPOINT: &str = "SELECT segment, place FROM journals WHERE journal = $1";

/// The batch as both engines can keep it, in the order of the key, so that two who bring the same rows wait for one another, and
/// never in a circle.
pub(super) fn ready(batch: Batch) -> Batch {
    let mut rows: Vec<SpendRow> = batch.rows.into_iter().map(keepable).collect();
    rows.sort_by_key(|row| row.attempt_id);
    Batch { rows, ..batch }
}

/// Puts what is not there yet, and says how many rows that were. The batch has to be [`ready`].
pub(super) fn post(session: &mut dyn Session, batch: &Batch) -> Result<u64, Fault> {
    let rows = &batch.rows;
    let values: Vec<Vec<Value>> = rows.iter().map(cells).collect();
    let inserted = session.insert(&ATTEMPTS, &values)?;
    let new = || inserted.iter().filter_map(|place| rows.get(*place));
    let tags = new().flat_map(|row| {
        row.tags.iter().map(|tag| vec![attempt_text(row.attempt_id).into(), tag.as_str().into()])
    });
    session.insert(&TAGS, &tags.collect::<Vec<_>>())?;
    daily::add(session, new())?;
    accounts::add(session, new())?;
    let Checkpoint { segment, offset } = batch.upto;
    let place = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let journal = columns::id_of(batch.journal.clone());
    session.insert(&JOURNALS, &[vec![journal.into(), place(segment), place(offset)]])?;
    Ok(inserted.len() as u64)
}

/// How far a journal is in the database; `None` for one that it does not know.
pub(super) fn checkpoint(session: &mut dyn Session, journal: &str) -> Result<Option<Checkpoint>, Fault> {
    let rows = session.query(CHECKPOINT, &[columns::id_of(journal.to_owned()).into()])?;
    let read =
        rows.into_iter().next().map(|mut row| Ok(Checkpoint { segment: row.count()?, offset: row.count()? }));
    read.transpose()
}
