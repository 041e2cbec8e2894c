//! The store's threads, and the queues that lead to them.
//!
//! Leaves transactions of writes to `batch.rs`, and what is asked to `store.rs`.
//!
//! **Invariant**: a queue has an end; whoever finds it full waits. **Invariant**: what was let into a queue is run, also
//! when the store is being closed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use crate::background::give_way;
use crate::batch::{Entry, Write, Writer};
use crate::error::{Fault, StoreError};
use crate::open;
use crate::options::{Location, StoreOptions};

/// A read that waits for its turn; it answers by itself.
pub(crate) type Read = Box<dyn FnOnce(Entry<'_>) + Send>;

/// What is in a queue.
pub(crate) enum Job<T> {
    /// Work.
    Run(T),
    /// Nothing is let in any more; what is there is run, then the thread ends.
    Stop,
}

/// The sending end of a queue.
pub(crate) struct Queue<T> {
    jobs: mpsc::Sender<Job<T>>,
    /// [`closed`](watch::Sender::closed) when every thread of the queue has let go of its connection.
    alive: watch::Sender<()>,
}

/// The receiving end of a queue, for several threads.
pub(crate) type Shared<T> = Arc<Mutex<mpsc::Receiver<Job<T>>>>;

impl<T> Queue<T> {
    /// A queue of so many places, its receiving end, and what each of its threads lets go of last.
    pub(crate) fn shared(places: usize) -> (Self, Shared<T>, watch::Receiver<()>) {
        let (alive, witness) = watch::channel(());
        let (jobs, queue) = mpsc::channel(places.max(1));
        (Self { jobs, alive }, Arc::new(Mutex::new(queue)), witness)
    }

    /// Waits to be let in.
    pub(crate) async fn send(&self, work: T) -> Result<(), StoreError> {
        self.jobs.send(Job::Run(work)).await.map_err(|_| StoreError::Closed)
    }

    /// Closes the queue, and returns when its threads have ended. Again is once.
    pub(crate) async fn stop(&self) {
        let _ = self.jobs.send(Job::Stop).await;
        self.alive.closed().await;
    }
}

/// The queues of a store.
pub(crate) struct Queues {
    /// To the thread that writes.
    pub(crate) writes: Queue<Write>,
    /// To those that read; `None` in memory, where the writer reads.
    pub(crate) reads: Option<Queue<Read>>,
}

/// Starts the threads, and waits until each has its connection.
pub(crate) async fn start(location: &Location, options: &StoreOptions) -> Result<Queues, StoreError> {
    let writes = start_writer(location, options).await?;
    let reads = match location {
        Location::File(_) => Some(start_readers(location, options).await?),
        Location::Memory => None,
    };
    Ok(Queues { writes, reads })
}

async fn start_writer(location: &Location, options: &StoreOptions) -> Result<Queue<Write>, StoreError> {
    let (alive, witness) = watch::channel(());
    let (jobs, queue) = mpsc::channel(options.queue_max.max(1));
    let open = {
        let (location, options) = (location.clone(), options.clone());
        move || Ok(Writer::new(open::writer(&location, &options)?, location))
    };
    let batch_max = options.batch_max.max(1);
    let run = move |writer| {
        // Nearly all that is written is rows. Those that read do not give way: requests wait for what they read.
        give_way();
        write(writer, queue, batch_max);
    };
    spawn(location, "store-write", witness, open, run).await?;
    Ok(Queue { jobs, alive })
}

async fn start_readers(location: &Location, options: &StoreOptions) -> Result<Queue<Read>, StoreError> {
    let (reads, queue, witness) = Queue::shared(options.queue_max);
    for _ in 0..options.readers.max(1) {
        let open = {
            let (location, options) = (location.clone(), options.clone());
            move || open::reader(&location, &options)
        };
        let run = {
            let (location, queue) = (location.clone(), Arc::clone(&queue));
            move |connection: Connection| {
                while let Some(work) = take(&queue) {
                    read_one(&connection, &location, work);
                }
            }
        };
        spawn(location, "store-read", witness.clone(), open, run).await?;
    }
    Ok(reads)
}

/// Starts one thread: it opens, says how that went, runs, and lets go of the witness last.
async fn spawn<C: 'static>(
    location: &Location,
    name: &str,
    witness: watch::Receiver<()>,
    open: impl FnOnce() -> Result<C, StoreError> + Send + 'static,
    run: impl FnOnce(C) + Send + 'static,
) -> Result<(), StoreError> {
    let (opened, is_open) = oneshot::channel();
    let body = move || {
        match open() {
            Ok(connection) => {
                let _ = opened.send(Ok(()));
                run(connection);
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        }
        drop(witness);
    };
    let started = thread::Builder::new().name(name.to_owned()).spawn(body);
    started.map_err(|error| StoreError::Other { file: location.to_string(), detail: error.to_string() })?;
    is_open.await.unwrap_or(Err(StoreError::Interrupted))
}

/// The thread that writes: takes what waits, up to a batch, and never waits for a batch to fill.
fn write(mut writer: Writer, mut queue: mpsc::Receiver<Job<Write>>, batch_max: usize) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Run(write) => batch.push(write),
                Job::Stop => queue.close(),
            }
            next = if batch.len() < batch_max { queue.try_recv().ok() } else { None };
        }
        if !batch.is_empty() {
            writer.commit(batch);
        }
    }
}

/// The next piece of work; `None` when there is none and will be none. The lock on the queue is held while waiting, never
/// while working.
pub(crate) fn take<T>(queue: &Mutex<mpsc::Receiver<Job<T>>>) -> Option<T> {
    loop {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.blocking_recv() {
            Some(Job::Run(work)) => return Some(work),
            Some(Job::Stop) => queue.close(),
            None => return None,
        }
    }
}

/// Runs a read in a transaction, so that all its statements see one state of the file.
fn read_one(connection: &Connection, location: &Location, read: Read) {
    let statement = |sql: &str| -> Result<(), StoreError> {
        let run = || connection.prepare_cached(sql)?.execute([]);
        run().map(|_| ()).map_err(|error| Fault::Sql(error).at(location))
    };
    let entry = statement("BEGIN").map(|()| connection);
    // A panic ends this read only: its caller finds the reply's channel closed.
    let _ = catch_unwind(AssertUnwindSafe(|| read(entry)));
    if !connection.is_autocommit() {
        let _ = statement("ROLLBACK");
    }
}
