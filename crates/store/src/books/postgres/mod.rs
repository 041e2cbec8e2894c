//! The engine for PostgreSQL: a few threads, each with a connection, behind one queue.
//!
//! Threads, because what is done with a transaction is written once for both engines, and SQLite's is not async; and because
//! a connection then belongs to no runtime of those that serve requests. Owns the pool and its limits. The driver is
//! tokio-postgres, with this crate's own TLS and pool: what a pool crate adds to it is statements kept prepared, which a
//! pooler between gateway and database does not bear.
//!
//! **Invariant**: nobody waits longer than the options say; with the database away, hanging or full, the answer is
//! [`StoreError::Unavailable`]. **Invariant**: making this engine opens no connection.

mod failure;
mod link;
mod listen;
mod migrate;
mod options;
mod tls;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

pub use options::PostgresOptions;

pub(crate) use link::Mode;
pub(crate) use listen::CHANNEL;

use self::options::Address;
use self::tls::Tls;
use self::worker::{Ground, Whose, Worker};
use super::session::Session;
use crate::error::{Fault, StoreError};
use crate::threads::{Queue, take};

/// Work that waits for a connection, or is told that there is none.
struct Work {
    /// When it has waited long enough.
    until: Instant,
    run: Run,
}

type Run = Box<dyn FnOnce(Option<&mut Worker>) + Send>;

/// The engine.
pub(super) struct Postgres {
    ground: Arc<Ground>,
    queue: Queue<Work>,
    /// What was heard of changes, once somebody listens.
    heard: OnceLock<Arc<watch::Sender<i64>>>,
}

impl Postgres {
    /// For tables of ours.
    pub(super) fn new(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        Self::start(Address::read(url)?, options, Whose::Ours)
    }

    /// For LiteLLM's tables, which are in the schema that the address names.
    pub(super) fn foreign(url: &str) -> Result<Self, StoreError> {
        let address = Address::read(url)?;
        let schema = address.schema.clone().unwrap_or_else(|| "public".to_owned());
        let options = PostgresOptions { schema, connections: 1, ..PostgresOptions::default() };
        Self::start(address, options, Whose::Theirs)
    }

    fn start(address: Address, options: PostgresOptions, whose: Whose) -> Result<Self, StoreError> {
        options.check()?;
        let tls = Tls::new(&address)?;
        let (queue, jobs, witness) = Queue::shared(options.queue_max);
        let ground = Arc::new(Ground::new(address, tls, options, whose));
        for _ in 0..ground.options.connections.max(1) {
            let failed = |error: std::io::Error| StoreError::Other {
                file: ground.name.clone(),
                detail: error.kind().to_string(),
            };
            let (ground, jobs, witness) = (Arc::clone(&ground), Arc::clone(&jobs), witness.clone());
            let body = move || {
                // Without a runtime there is one connection less; with none, whoever asks waits in vain and is told.
                let Ok(mut worker) = Worker::new(ground) else { return };
                while let Some(work) = take::<Work>(&jobs) {
                    let turn = if Instant::now() > work.until { None } else { Some(&mut worker) };
                    // A panic ends this work only: its caller finds the reply's channel closed.
                    let _ = catch_unwind(AssertUnwindSafe(|| (work.run)(turn)));
                }
                drop(worker);
                drop(witness);
            };
            thread::Builder::new().name("books".to_owned()).spawn(body).map_err(failed)?;
        }
        Ok(Self { ground, queue, heard: OnceLock::new() })
    }

    /// The database, for people.
    pub(super) fn place(&self) -> &str {
        &self.ground.name
    }

    /// Runs work in a transaction, on whichever connection is free first.
    pub(super) async fn perform<T, F>(&self, mode: Mode, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Session) -> Result<T, Fault> + Send + 'static,
    {
        let options = &self.ground.options;
        let until = Instant::now() + options.acquire_timeout;
        let (reply, answer) = oneshot::channel();
        let ground = Arc::clone(&self.ground);
        let run = move |worker: Option<&mut Worker>| {
            // Nobody waits for it any more.
            if reply.is_closed() {
                return;
            }
            let result = match worker {
                Some(worker) => worker.perform(mode, &work),
                None => Err(busy(&ground)),
            };
            let _ = reply.send(result);
        };
        let queued = self.queue.send(Work { until, run: Box::new(run) });
        tokio::time::timeout_at(until, queued).await.map_err(|_| busy(&self.ground))??;
        let end = until + options.connect_timeout + options.transaction_limit(mode);
        match tokio::time::timeout_at(end, answer).await {
            Ok(answer) => answer.unwrap_or(Err(StoreError::Interrupted)),
            Err(_) => Err(busy(&self.ground)),
        }
    }

    /// Whether whoever listens hears nothing.
    pub(super) fn is_silent(&self) -> bool {
        self.ground.is_silent.load(Ordering::Relaxed)
    }

    /// What is heard of changes, from now on.
    pub(super) fn listen(&self) -> Result<watch::Receiver<i64>, StoreError> {
        let heard = self.heard.get_or_init(|| Arc::new(watch::channel(0).0));
        let was_watched = !heard.is_closed();
        let watching = heard.subscribe();
        if !was_watched {
            listen::start(&self.ground, heard)?;
        }
        Ok(watching)
    }

    /// Lets nothing in any more, carries out what waits, and returns when all connections are closed.
    pub(super) async fn close(&self) {
        self.queue.stop().await;
    }
}

fn busy(ground: &Ground) -> StoreError {
    StoreError::Unavailable {
        database: ground.name.clone(),
        detail: "no connection was free in time".to_owned(),
    }
}
