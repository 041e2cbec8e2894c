//! Answers outside of this process, where they outlive it and where others of its kind find them.
//!
//! Owns: how a request asks such a place, for how long it waits, and when the place is left alone ([`Health`]). Leaves what
//! the bytes mean, and whether they are what was put there, to [`Entry`](crate::Entry); each place to a module of its own.
//!
//! **Invariant**: no request waits for a write, and none for a look longer than `timeout`. **Invariant**: a place that fails
//! is a place where nothing is found. **Invariant**: what waits to be written is bounded, in number and in bytes.

mod disk;
mod health;

pub use disk::DiskPlace;

use crate::key::Key;
use bytes::Bytes;
use health::Health;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Looks that wait for their turn; one more finds nothing.
const LOOKS_MAX: usize = 1_024;
/// Writes that wait for their turn; one more is dropped.
const WRITES_MAX: usize = 4_096;
/// Bytes that wait to be written; what is beyond is dropped.
const WRITE_BYTES_MAX: usize = 32 << 20;
/// How long an operator's question may take: it goes over everything that is kept.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(30);

/// What became of something that was asked of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A look found something.
    Found,
    /// A look found nothing.
    Absent,
    /// A look failed, or took too long.
    LookFailed,
    /// The place was not asked: it is left alone, or too many wait for it.
    Passed,
    /// An answer was written.
    Written,
    /// A write failed.
    WriteFailed,
    /// An answer was not even queued: the place is left alone, or too much waits.
    Dropped,
    /// From here on the place is left alone.
    Down,
    /// The place answers again.
    Up,
}

/// Hears of every event, on the thread where it happens; it must not wait.
pub type Told = Arc<dyn Fn(Event) + Send + Sync>;

/// What all places have in common.
#[derive(Clone)]
pub struct FarRules {
    /// The longest that a request waits for a look.
    pub timeout: Duration,
    /// Who hears of events.
    pub told: Told,
    /// What a thread does before anything else that works behind requests.
    pub give_way: fn(),
}

impl fmt::Debug for FarRules {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "FarRules({:?})", self.timeout)
    }
}

/// Why a place did not do what it was asked. Its text is for the log and for operators: it has no secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FarError(pub String);

impl FarError {
    fn late() -> Self {
        Self("it did not answer in time".to_owned())
    }

    fn gone() -> Self {
        Self("it is busy, or was closed".to_owned())
    }
}

type Answer<T> = oneshot::Sender<Result<T, FarError>>;

/// What is asked while somebody waits.
enum Ask {
    /// What is kept under a key at that moment (microseconds since 1970).
    Get(Key, i64, Answer<Option<Bytes>>),
    /// Whether it answers.
    Ping(Answer<()>),
    /// What it says of itself and of who is connected, where it has words for that.
    Info(Answer<Option<Info>>),
}

/// What is written behind the requests, one after the other.
enum Write {
    Put(Put),
    /// Forgets these; how many there were.
    Remove(Vec<Key>, Answer<u64>),
    /// Forgets all.
    Clear(Answer<()>),
    /// What was written before this is there.
    Mark(Answer<()>),
}

/// An answer on its way. Times are microseconds since 1970.
struct Put {
    key: Key,
    bytes: Bytes,
    now: i64,
    expires_at: i64,
    /// Its share of what may wait.
    _room: Room,
}

/// Bytes that wait, given back when they wait no more.
struct Room {
    taken: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    /// Room for so many bytes, where there is some.
    fn take(taken: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let before = taken.fetch_add(bytes, Ordering::Relaxed);
        let room = Self { taken: Arc::clone(taken), bytes };
        (before.saturating_add(bytes) <= WRITE_BYTES_MAX).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a place says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// Who is connected, each by names and values.
    pub clients: Vec<Vec<(String, String)>>,
}

/// A place for answers outside of this process. Dropped, it writes what waits, and then ends.
pub struct Far {
    kind: &'static str,
    timeout: Duration,
    asks: mpsc::Sender<Ask>,
    writes: mpsc::Sender<Write>,
    waiting: Arc<AtomicUsize>,
    looking: Arc<Health>,
    writing: Arc<Health>,
    told: Told,
}

impl fmt::Debug for Far {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Far({})", self.kind)
    }
}

/// The ends of a place's queues, for those who work them off.
struct Work {
    asks: mpsc::Receiver<Ask>,
    writes: mpsc::Receiver<Write>,
    writing: Arc<Health>,
    told: Told,
}

impl Far {
    fn new(kind: &'static str, rules: &FarRules) -> (Self, Work) {
        let (asks, asked) = mpsc::channel(LOOKS_MAX);
        let (writes, written) = mpsc::channel(WRITES_MAX);
        let told = Arc::clone(&rules.told);
        let health = |what| Arc::new(Health::new(what, kind, Arc::clone(&told)));
        let (looking, writing) = (health("read from"), health("written to"));
        let work = Work {
            asks: asked,
            writes: written,
            writing: Arc::clone(&writing),
            told: Arc::clone(&rules.told),
        };
        let waiting = Arc::default();
        (Self { kind, timeout: rules.timeout, asks, writes, waiting, looking, writing, told }, work)
    }

    /// LiteLLM's name of the kind of place.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What is kept under a key at that moment (microseconds since 1970): bytes that nobody has checked yet. Nothing where the
    /// place fails, is late, or is left alone.
    pub async fn get(&self, key: Key, now: i64) -> Option<Bytes> {
        if !self.looking.may_ask() {
            (self.told)(Event::Passed);
            return None;
        }
        let (answer, answered) = oneshot::channel();
        if self.asks.try_send(Ask::Get(key, now, answer)).is_err() {
            // Too many wait: those before this one say whether the place is well.
            self.looking.nothing_learnt();
            (self.told)(Event::Passed);
            return None;
        }
        match heard(self.timeout, answered).await {
            Ok(found) => {
                self.looking.was_well();
                (self.told)(if found.is_some() { Event::Found } else { Event::Absent });
                found
            }
            Err(error) => {
                (self.told)(Event::LookFailed);
                self.looking.has_failed(&error);
                None
            }
        }
    }

    /// Has an answer written when its turn comes; `false` where it is dropped. Times are microseconds since 1970.
    pub fn put(&self, key: Key, bytes: Bytes, (now, expires_at): (i64, i64)) -> bool {
        let is_queued = self.looking.is_well() && self.writing.may_ask() && {
            let room = Room::take(&self.waiting, bytes.len());
            let put = room.map(|room| Write::Put(Put { key, bytes, now, expires_at, _room: room }));
            let is_queued = put.is_some_and(|put| self.writes.try_send(put).is_ok());
            if !is_queued {
                self.writing.nothing_learnt();
            }
            is_queued
        };
        if !is_queued {
            (self.told)(Event::Dropped);
        }
        is_queued
    }

    /// Forgets some, behind all that waits to be written; how many there were.
    ///
    /// # Errors
    /// Where the place fails or is late.
    pub async fn remove(&self, keys: Vec<Key>) -> Result<u64, FarError> {
        self.write(|answer| Write::Remove(keys, answer)).await
    }

    /// Forgets what came from where an entry was no entry; nobody waits for it.
    pub fn discard(&self, key: Key) {
        let _ = self.writes.try_send(Write::Remove(vec![key], oneshot::channel().0));
    }

    /// Forgets all that this kind of gateway has put there.
    ///
    /// # Errors
    /// Where the place fails or is late.
    pub async fn clear(&self) -> Result<(), FarError> {
        self.write(Write::Clear).await
    }

    /// Waits until all that was put before is there, or has failed.
    ///
    /// # Errors
    /// Where the place is late.
    pub async fn settle(&self) -> Result<(), FarError> {
        self.write(Write::Mark).await
    }

    /// Whether it answers, asked for at once whatever it did before.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&self) -> Result<(), FarError> {
        self.ask(Ask::Ping).await
    }

    /// What it says of itself; nothing where it has no words for that.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn info(&self) -> Result<Option<Info>, FarError> {
        self.ask(Ask::Info).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(Answer<T>) -> Ask) -> Result<T, FarError> {
        let (answer, answered) = oneshot::channel();
        self.asks.try_send(ask(answer)).map_err(|_| FarError::gone())?;
        heard(OPERATOR_TIMEOUT, answered).await
    }

    async fn write<T>(&self, write: impl FnOnce(Answer<T>) -> Write) -> Result<T, FarError> {
        let (answer, answered) = oneshot::channel();
        let sent = timeout(OPERATOR_TIMEOUT, self.writes.send(write(answer))).await;
        sent.map_err(|_| FarError::late())?.map_err(|_| FarError::gone())?;
        heard(OPERATOR_TIMEOUT, answered).await
    }
}

async fn heard<T>(most: Duration, answered: oneshot::Receiver<Result<T, FarError>>) -> Result<T, FarError> {
    timeout(most, answered).await.map_err(|_| FarError::late())?.map_err(|_| FarError::gone())?
}
