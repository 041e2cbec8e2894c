//! The store as its callers see it: opened, asked, closed.
//!
//! Owns how a request becomes a job and its answer a value; what is asked is in the module of each noun.
//!
//! **Invariant**: dropping a request's future takes nothing back that was already queued: a write is then carried out
//! all the same.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::batch::{Entry, Outcome, Write};
use crate::error::{Fault, StoreError};
use crate::options::{Durability, Location, StoreOptions};
use crate::overrides::Overrides;
use crate::responses::Responses;
use crate::threads::{self, Queues, Read};

/// An open database. Clones are the same store; the last one that goes closes it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    location: Location,
    search_timeout: Duration,
    report_timeout: Duration,
    queues: Queues,
}

impl Store {
    /// Opens the database, creates the file if it is not there, and brings its schema up to this release's.
    ///
    /// # Errors
    /// When the directory is missing, the file cannot be opened, is damaged, belongs to another program or was written by
    /// a newer release, when a migration fails, or another process keeps it locked.
    pub async fn open(location: Location, options: &StoreOptions) -> Result<Self, StoreError> {
        let queues = threads::start(&location, options).await?;
        let StoreOptions { search_timeout, report_timeout, .. } = *options;
        Ok(Self { shared: Arc::new(Shared { location, search_timeout, report_timeout, queues }) })
    }

    /// Where the rows are.
    pub fn location(&self) -> &Location {
        &self.shared.location
    }

    /// How long a search may take.
    pub(crate) fn search_timeout(&self) -> Duration {
        self.shared.search_timeout
    }

    /// How long a report in the books may take.
    pub(crate) fn report_timeout(&self) -> Duration {
        self.shared.report_timeout
    }

    /// The stored responses.
    pub fn responses(&self) -> Responses<'_> {
        Responses::new(self)
    }

    /// The operators' words on deployments.
    pub fn overrides(&self) -> Overrides<'_> {
        Overrides::new(self)
    }

    /// Reads through the whole file and holds it against SQLite's rules (`PRAGMA quick_check`): takes as long as the file
    /// is large, and one reader with it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first thing that is wrong, and whatever keeps the file from being read.
    pub async fn verify(&self) -> Result<(), StoreError> {
        let file = self.location().to_string();
        self.read(move |connection| {
            let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt { file, detail: found }.into()) }
        })
        .await
    }

    /// Lets nothing in any more, carries out what waits, and returns when the file is closed. Later requests are answered
    /// with [`StoreError::Closed`]. Closing twice is closing once.
    pub async fn close(&self) {
        let queues = &self.shared.queues;
        // The writer's connection is the last to go, and takes the log into the file: two that go at the same moment would
        // each leave that to the other.
        if let Some(reads) = &queues.reads {
            reads.stop().await;
        }
        queues.writes.stop().await;
    }

    /// Runs a closure on a connection that sees one state of the database and cannot change it.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let Some(reads) = &self.shared.queues.reads else {
            return self.write(Durability::Process, work).await;
        };
        let (reply, answer) = oneshot::channel();
        let location = self.shared.location.clone();
        let read: Read = Box::new(move |entry: Entry<'_>| {
            // Nobody waits for it any more.
            if !reply.is_closed() {
                let result =
                    entry.and_then(|connection| work(connection).map_err(|fault| fault.at(&location)));
                let _ = reply.send(result);
            }
        });
        reads.send(read).await?;
        answer.await.unwrap_or(Err(StoreError::Interrupted))
    }

    /// Runs a closure inside a transaction. On an error nothing of it remains.
    pub(crate) async fn write<T, F>(&self, durability: Durability, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let location = self.shared.location.clone();
        let run = Box::new(move |entry: Entry<'_>| {
            let result = entry.and_then(|connection| work(connection).map_err(|fault| fault.at(&location)));
            let failed = result.as_ref().err().cloned();
            let answer = Box::new(move |committed: Result<(), StoreError>| {
                let _ = reply.send(result.and_then(|value| committed.map(|()| value)));
            });
            Outcome { failed, answer }
        });
        let write = Write { durability, run };
        self.shared.queues.writes.send(write).await?;
        answer.await.unwrap_or(Err(StoreError::Interrupted))
    }
}
