//! A thread with a connection of its own: transactions begun, repeated where that is safe, committed.
//!
//! Owns what follows a failure. Leaves bytes and deadlines to `link.rs`, and whose turn it is to the queue.
//!
//! **Invariant**: a transaction is run again only if nothing of it can have been committed. **Invariant**: a connection on
//! which something is unclear is closed, never used again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::failure::{Aftermath, Failure};
use super::link::{Link, Mode, Transaction, settled};
use super::migrate;
use super::options::{Address, PostgresOptions};
use super::tls::Tls;
use crate::books::session::Session;
use crate::error::{Fault, StoreError};

/// How often a transaction that got into another's way is run.
const RUNS_MAX: u32 = 5;

/// How long nobody tries to connect after somebody could not: with the database away, those who wait get their answer from
/// the one who tried.
const DOWN_FOR: Duration = Duration::from_millis(200);

/// Whose tables a schema has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This program's: it makes them.
    Ours,
    /// Another's: they are only read.
    Theirs,
}

/// What all connections have in common.
pub(super) struct Ground {
    pub(super) address: Address,
    pub(super) tls: Tls,
    pub(super) options: PostgresOptions,
    /// The database, for people.
    pub(super) name: String,
    /// The schema is this release's.
    is_migrated: AtomicBool,
    /// When connecting failed last, and why.
    down: Mutex<Option<(Instant, StoreError)>>,
    /// Whoever listens for changes hears nothing.
    pub(super) is_silent: AtomicBool,
}

impl Ground {
    pub(super) fn new(address: Address, tls: Tls, options: PostgresOptions, whose: Whose) -> Self {
        let name = address.name();
        // What is not ours stays as it is.
        let is_migrated = AtomicBool::new(whose == Whose::Theirs);
        let (down, is_silent) = (Mutex::new(None), AtomicBool::new(false));
        Self { address, tls, options, name, is_migrated, down, is_silent }
    }

    /// A new connection to a database with the schema of this release.
    pub(super) fn connect(&self, runtime: &Runtime) -> Result<Link, Failure> {
        if let Some((at, error)) = &*self.down.lock().unwrap_or_else(PoisonError::into_inner)
            && at.elapsed() < DOWN_FOR
        {
            return Err(Failure { error: error.clone(), aftermath: Aftermath::Lost });
        }
        let opened = Link::open(runtime, &self.address, &self.tls, self.options.connect_timeout);
        let opened = opened.and_then(|mut link| {
            if !self.is_migrated.load(Ordering::Acquire) {
                let deadline = Instant::now() + self.options.migration_timeout;
                migrate::migrate(&mut self.transaction(&mut link, runtime, deadline), &self.options)?;
                self.is_migrated.store(true, Ordering::Release);
            }
            Ok(link)
        });
        let failed = opened.as_ref().err().map(|failure| (Instant::now(), failure.error.clone()));
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        opened
    }

    fn transaction<'a>(
        &'a self,
        link: &'a mut Link,
        runtime: &'a Runtime,
        deadline: Instant,
    ) -> Transaction<'a> {
        Transaction { link, runtime, database: &self.name, deadline, failure: None }
    }
}

/// A connection and the thread's runtime.
pub(super) struct Worker {
    ground: std::sync::Arc<Ground>,
    runtime: Runtime,
    link: Option<Link>,
}

/// How far a transaction came that failed.
enum Failed {
    /// Nothing of it can have been committed.
    Before(Failure),
    /// It may have been.
    Unknown(StoreError),
}

impl Worker {
    pub(super) fn new(ground: std::sync::Arc<Ground>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { ground, runtime, link: None })
    }

    /// Runs work in a transaction and commits it.
    pub(super) fn perform<T>(
        &mut self,
        mode: Mode,
        work: &dyn Fn(&mut dyn Session) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + self.ground.options.transaction_limit(mode);
        let mut runs = 0;
        loop {
            runs += 1;
            // Of a connection that has waited here it is only seen now that it is gone; a new one is worth a try.
            let was_idle = self.link.is_some();
            match self.run(mode, deadline, work) {
                Ok(value) => return Ok(value),
                Err(Failed::Unknown(error)) => return Err(error),
                Err(Failed::Before(failure)) => {
                    let may_again = match failure.aftermath {
                        Aftermath::Again => runs < RUNS_MAX,
                        Aftermath::Lost => was_idle,
                        Aftermath::Stands => false,
                    };
                    if !may_again || Instant::now() >= deadline {
                        return Err(failure.error);
                    }
                }
            }
        }
    }

    fn run<T>(
        &mut self,
        mode: Mode,
        deadline: Instant,
        work: &dyn Fn(&mut dyn Session) -> Result<T, Fault>,
    ) -> Result<T, Failed> {
        let ground = &*self.ground;
        let mut link = match self.link.take() {
            Some(link) => link,
            None => ground.connect(&self.runtime).map_err(Failed::Before)?,
        };
        // The steps of the schema may have taken longer than a transaction may.
        let deadline = deadline.max(Instant::now() + ground.options.statement_timeout);
        let mut transaction = ground.transaction(&mut link, &self.runtime, deadline);
        transaction.begin(mode, &ground.options).map_err(Failed::Before)?;
        let outcome = work(&mut transaction);
        let failure = transaction.failure.take();
        let value = match outcome {
            Ok(value) => value,
            Err(fault) => {
                let failure = failure.unwrap_or_else(|| Failure {
                    error: settled(fault, &ground.name),
                    aftermath: Aftermath::Stands,
                });
                if failure.aftermath != Aftermath::Lost && transaction.batch("ROLLBACK").is_ok() {
                    self.link = Some(link);
                }
                return Err(Failed::Before(failure));
            }
        };
        match transaction.batch("COMMIT") {
            Ok(()) => {
                self.link = Some(link);
                Ok(value)
            }
            // What was read was read.
            Err(_) if matches!(mode, Mode::Search | Mode::Look | Mode::Load) => Ok(value),
            Err(failure) if failure.aftermath == Aftermath::Again => Err(Failed::Before(failure)),
            Err(failure) => Err(Failed::Unknown(failure.error)),
        }
    }
}
