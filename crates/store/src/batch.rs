//! Writes that waited together become one transaction, and so one sync of the disk.
//!
//! Owns the transaction and the answers; what a write does is its closure's, where it waits is `threads.rs`'s.
//!
//! **Invariant**: a write is answered once, and with `Ok` only after the commit that holds it. **Invariant**: a write
//! that fails leaves no trace and does not take its neighbours along, unless SQLite itself gave up the transaction (full
//! disk, I/O error): then every write of the batch is answered with that error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;

use crate::error::{Fault, StoreError};
use crate::options::{Durability, Location};

/// What a write is called with: a connection inside a transaction, or why there is none.
pub(crate) type Entry<'a> = Result<&'a Connection, StoreError>;

/// A write that waits for its turn.
pub(crate) struct Write {
    /// What it is to outlive. The strictest of a batch counts for all.
    pub(crate) durability: Durability,
    /// Does the work; the answer is sent after the commit.
    pub(crate) run: Box<dyn FnOnce(Entry<'_>) -> Outcome + Send>,
}

/// A write that was run and is not answered yet.
pub(crate) struct Outcome {
    /// Why it failed, if it did.
    pub(crate) failed: Option<StoreError>,
    /// Answers it, given how the commit went.
    pub(crate) answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// The connection that writes.
pub(crate) struct Writer {
    connection: Connection,
    location: Location,
    /// What `synchronous` is set to; `None` before the first batch.
    durability: Option<Durability>,
}

impl Writer {
    pub(crate) fn new(connection: Connection, location: Location) -> Self {
        Self { connection, location, durability: None }
    }

    /// Runs the writes in order, commits and answers them.
    pub(crate) fn commit(&mut self, batch: Vec<Write>) {
        let strictest = batch.iter().map(|write| write.durability).max();
        let mut transaction = self.begin(strictest.unwrap_or(Durability::Full));
        let mut outcomes = Vec::with_capacity(batch.len());
        for write in batch {
            match &transaction {
                Ok(()) => {
                    let (outcome, left) = self.run_one(write);
                    outcomes.extend(outcome);
                    transaction = left;
                }
                Err(error) => outcomes.push((write.run)(Err(error.clone()))),
            }
        }
        let ended = transaction.and_then(|()| self.statement("COMMIT"));
        if ended.is_err() {
            self.roll_back();
        }
        for outcome in outcomes {
            (outcome.answer)(ended.clone());
        }
    }

    fn begin(&mut self, durability: Durability) -> Result<(), StoreError> {
        self.roll_back();
        if self.durability != Some(durability) {
            let level = match durability {
                Durability::Process => "NORMAL",
                Durability::Full => "FULL",
            };
            let set = self.connection.pragma_update(None, "synchronous", level);
            set.map_err(|error| Fault::Sql(error).at(&self.location))?;
            self.durability = Some(durability);
        }
        // Immediate: the wait for another process is here, where nothing has been done yet.
        self.statement("BEGIN IMMEDIATE")
    }

    /// Ends a transaction that is still open. Should that fail, the next batch begins with it.
    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.statement("ROLLBACK");
        }
    }

    /// Runs a write between savepoints. No outcome if its code panicked: its caller finds the reply's channel closed.
    /// The second value says whether the batch's transaction still stands.
    fn run_one(&self, write: Write) -> (Option<Outcome>, Result<(), StoreError>) {
        if let Err(error) = self.statement("SAVEPOINT one") {
            return (Some((write.run)(Err(error.clone()))), Err(error));
        }
        let run = write.run;
        let outcome = catch_unwind(AssertUnwindSafe(|| run(Ok(&self.connection)))).ok();
        let failed = match &outcome {
            Some(outcome) => outcome.failed.clone(),
            None => Some(StoreError::Interrupted),
        };
        let left = match failed {
            None => self.statement("RELEASE one"),
            // SQLite has rolled back everything already.
            Some(error) if self.connection.is_autocommit() => Err(error),
            Some(_) => self.statement("ROLLBACK TO one").and_then(|()| self.statement("RELEASE one")),
        };
        (outcome, left)
    }

    fn statement(&self, sql: &str) -> Result<(), StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        run().map(|_| ()).map_err(|error| Fault::Sql(error).at(&self.location))
    }
}
