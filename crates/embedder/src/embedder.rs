//! Threads that embed, and the queue before them.
//!
//! Owns who waits, how long, and what is computed together. It leaves the computing to `model`.
//!
//! **Invariant**: at most `waiting_max` texts wait; each is answered once, with a vector or with why not, also where the
//! embedder is dropped.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use rten::ThreadPool;
use tokio::sync::oneshot;

use crate::model::Model;
use crate::words::Words;
use crate::{Broken, Embedding, Skipped};

/// Texts that are computed together at most: more gained nothing in measurement (0.8 ms each from 8 on).
const BATCH: usize = 16;

/// What one text takes before anything was measured, in microseconds: a question of 14 tokens on one core of 2024.
const FIRST_GUESS: u64 = 1_500;

/// How an embedder works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that compute, each with one core.
    pub threads: NonZeroUsize,
    /// Texts that may wait.
    pub waiting_max: usize,
    /// How long a text may wait for its turn. What takes longer is skipped.
    pub patience: Duration,
    /// Texts whose vectors are remembered, 2 KB each: the most used ones.
    pub remembered: u64,
}

impl Default for Settings {
    /// One thread, 256 texts that wait, 50 ms, 1,000 texts remembered.
    fn default() -> Self {
        Self {
            threads: NonZeroUsize::MIN,
            waiting_max: 256,
            patience: Duration::from_millis(50),
            remembered: 1_000,
        }
    }
}

/// The embedder: usable from any thread and any runtime. Dropping it ends its threads.
#[derive(Debug)]
pub struct Embedder {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    words: Words,
    model: Model,
    line: Mutex<Line>,
    /// Somebody waits, or the embedder closes.
    news: Condvar,
    known: Cache<Box<[i32]>, Embedding>,
    /// What a text takes, in microseconds: a moving mean of the last 8 batches or so.
    pace: AtomicU64,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Ticket>,
    closed: bool,
}

/// A text that waits for its vector.
#[derive(Debug)]
struct Ticket {
    numbers: Box<[i32]>,
    since: Instant,
    answer: oneshot::Sender<Result<Embedding, Skipped>>,
}

impl Embedder {
    /// Loads the model (45 MB of memory) and starts the threads.
    ///
    /// # Errors
    /// Where the model cannot be loaded or the system gives no thread.
    pub fn start(settings: Settings) -> Result<Self, Broken> {
        let shared = Arc::new(Shared {
            words: Words::load(),
            model: Model::load()?,
            line: Mutex::default(),
            news: Condvar::new(),
            known: Cache::new(settings.remembered),
            pace: AtomicU64::new(FIRST_GUESS),
            settings,
        });
        let mut embedder = Self { shared, threads: Vec::new() };
        for index in 0..embedder.shared.settings.threads.get() {
            let shared = Arc::clone(&embedder.shared);
            let started = thread::Builder::new().name(format!("embed-{index}")).spawn(move || work(&shared));
            embedder.threads.push(started.map_err(|error| Broken(format!("no thread: {error}")))?);
        }
        Ok(embedder)
    }

    /// The vector of a text: its first [`crate::TOKENS_MAX`] tokens.
    ///
    /// # Errors
    /// Where the queue is late or full; nothing was computed then.
    pub async fn embed(&self, text: &str) -> Result<Embedding, Skipped> {
        let numbers = self.shared.words.numbers(text).into_boxed_slice();
        if let Some(known) = self.shared.known.get(&numbers) {
            return Ok(known);
        }
        self.queue(numbers)?.await.unwrap_or(Err(Skipped::Closed))
    }

    /// The vectors of many texts, in their order, on all of the embedder's threads' number; it blocks. For tools: nothing here
    /// is late, and nothing is remembered.
    ///
    /// # Errors
    /// Where the engine fails.
    pub fn embed_all(&self, texts: &[&str]) -> Result<Vec<Embedding>, Broken> {
        let numbers: Vec<Vec<i32>> = texts.iter().map(|text| self.shared.words.numbers(text)).collect();
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by_key(|at| (numbers.get(*at).map(Vec::len), *at));
        let batches: Vec<&[usize]> = order.chunks(BATCH).collect();
        let next = AtomicUsize::new(0);
        let model = &self.shared.model;
        let work = || {
            let pool = Arc::new(ThreadPool::with_num_threads(1));
            let mut made = Vec::new();
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let texts: Vec<&[i32]> =
                    batch.iter().filter_map(|at| numbers.get(*at)).map(Vec::as_slice).collect();
                made.extend(batch.iter().copied().zip(model.vectors(&texts, &pool)?));
            }
            Ok::<_, Broken>(made)
        };
        let parts: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.shared.settings.threads.get()).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut all = Vec::with_capacity(texts.len());
        for part in parts {
            all.extend(part.map_err(|_| Broken("a thread panicked".to_owned()))??);
        }
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, vector)| vector).collect())
    }

    fn queue(&self, numbers: Box<[i32]>) -> Result<oneshot::Receiver<Result<Embedding, Skipped>>, Skipped> {
        let settings = &self.shared.settings;
        let (answer, receiver) = oneshot::channel();
        let mut line = self.shared.line();
        if line.closed {
            return Err(Skipped::Closed);
        }
        let ahead = line.waiting.len();
        if ahead >= settings.waiting_max {
            return Err(Skipped::Full);
        }
        let turns = u32::try_from(ahead / settings.threads.get()).unwrap_or(u32::MAX);
        let pace = Duration::from_micros(self.shared.pace.load(Ordering::Relaxed));
        if pace.saturating_mul(turns) > settings.patience {
            return Err(Skipped::Late);
        }
        line.waiting.push_back(Ticket { numbers, since: Instant::now(), answer });
        drop(line);
        self.shared.news.notify_one();
        Ok(receiver)
    }
}

impl Drop for Embedder {
    fn drop(&mut self) {
        self.shared.line().closed = true;
        self.shared.news.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so, and has nothing left to give.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        // Only whole tickets are put in and taken out: what a panic leaves behind is in order.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next texts to compute: the first that waits, and others of about its length. `None` when the embedder closes.
    fn next(&self) -> Option<Vec<Ticket>> {
        let mut line = self.line();
        loop {
            if line.closed {
                line.waiting.clear();
                return None;
            }
            let Some(first) = line.waiting.pop_front() else {
                line = self.news.wait(line).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if first.answer.is_closed() {
                continue;
            }
            if first.since.elapsed() > self.settings.patience {
                let _ = first.answer.send(Err(Skipped::Late));
                continue;
            }
            // The other threads have their share of what waits.
            let share = line.waiting.len().div_ceil(self.settings.threads.get()).min(BATCH - 1);
            return Some(company(first, &mut line.waiting, share));
        }
    }

    fn compute(&self, tickets: Vec<Ticket>, pool: &Arc<ThreadPool>) {
        let started = Instant::now();
        let texts: Vec<&[i32]> = tickets.iter().map(|ticket| &*ticket.numbers).collect();
        let Ok(vectors) = self.model.vectors(&texts, pool) else {
            // The engine ran this graph in every test; a text cannot make it fail. The callers do without.
            for ticket in tickets {
                let _ = ticket.answer.send(Err(Skipped::Closed));
            }
            return;
        };
        let count = u64::try_from(tickets.len()).unwrap_or(u64::MAX).max(1);
        let each = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX) / count;
        let before = self.pace.load(Ordering::Relaxed);
        self.pace.store((before.saturating_mul(7).saturating_add(each)) / 8, Ordering::Relaxed);
        for (ticket, vector) in tickets.into_iter().zip(vectors) {
            self.known.insert(ticket.numbers, Arc::clone(&vector));
            let _ = ticket.answer.send(Ok(vector));
        }
    }
}

/// A text, and those of the queue that cost little beside it: padding is computed like text.
fn company(first: Ticket, waiting: &mut VecDeque<Ticket>, share: usize) -> Vec<Ticket> {
    let near = |ticket: &Ticket| {
        let (a, b) = (first.numbers.len(), ticket.numbers.len());
        a.abs_diff(b) <= 2 + a.max(b) / 8
    };
    let mut others = Vec::new();
    let mut at = 0;
    while others.len() < share
        && let Some(ticket) = waiting.get(at)
    {
        if near(ticket) {
            others.extend(waiting.remove(at));
        } else {
            at += 1;
        }
    }
    others.insert(0, first);
    others
}

/// What a thread of the embedder does until it closes.
fn work(shared: &Shared) {
    let pool = Arc::new(ThreadPool::with_num_threads(1));
    // Inside of the pool's one thread: the engine's own steps find it there and hand nothing over.
    pool.run(|| {
        while let Some(tickets) = shared.next() {
            // A panic of the engine costs the texts of this batch their vectors (their callers are told by the dropped
            // senders), never the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| shared.compute(tickets, &pool)));
        }
    });
}

#[cfg(test)]
mod tests;
