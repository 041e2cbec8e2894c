//! The way of settled rows from the journal into the books, on a thread of its own.
//!
//! Where there is no journal (a database in memory), rows wait in memory instead. **Invariant:** the place up to which the
//! journal was carried is in the transaction that carries it, so that a row is in the books once, whatever is killed
//! when. **Invariant:** books that are away are tried again, and nobody waits for them.

use crate::confirming::confirm_all;
use crate::following::{Follower, follow_accounts, tell_passed};
use crate::journal::{Journal, Position};
use crate::ledger::Ledger;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tollgate_store::books::{Books, SpendRow};
use tollgate_store::{StoreError, Turns, give_way};

/// Rows that wait a moment for others, so that one transaction carries many.
const GATHER: Duration = Duration::from_millis(20);
/// The rest after a transaction where no more rows wait than the next one takes. Each of them syncs the database's disk,
/// which is the journal's as well as a rule, and whoever waits for the journal waits for that.
const REST: Duration = Duration::from_millis(200);
/// How long books that are away are left alone, at first and at most.
const AWAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Rows that wait in memory where there is no journal; beyond, the oldest are lost, and that is logged.
const KEPT_MAX: usize = 100_000;
/// Rows of one transaction.
pub(crate) const ROWS_MAX: usize = 2_000;
/// How long it is asked at the end who tells what was passed.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The journal of whoever has none.
const MEMORY: &str = "memory";

/// Carries rows.
#[derive(Default)]
pub(crate) struct Feeder {
    kept: Mutex<Vec<SpendRow>>,
    has_more: Notify,
    is_away: AtomicBool,
    backlog: AtomicUsize,
    is_closing: AtomicBool,
    ended: watch::Sender<bool>,
    is_started: AtomicBool,
}

impl Feeder {
    /// Begins to carry, from a place in the journal or from memory, and to follow what others carry.
    pub(crate) fn start(
        &self,
        ledger: &Arc<Ledger>,
        books: Books,
        from: Option<(String, Position)>,
        follower: Option<Follower>,
    ) -> io::Result<()> {
        let ledger = Arc::downgrade(ledger);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            give_way();
            runtime.block_on(async {
                let carried = async {
                    match from {
                        Some((name, from)) => carry_journal(&ledger, &books, &name, from).await,
                        None => carry_memory(&ledger, &books).await,
                    }
                };
                tokio::select! {
                    () = carried => {}
                    () = follow(&ledger, &books) => {}
                    () = follow_accounts(&ledger, &books, follower) => {}
                    () = confirm_all(&ledger, &books) => {}
                }
                if let Some(ledger) = ledger.upgrade() {
                    ledger.confirming().close();
                    let last_words = async {
                        tell_passed(&ledger, &books).await;
                        ledger.following().leave(&ledger, &books).await;
                    };
                    let _ = timeout(LAST_WORDS, last_words).await;
                    ledger.feeder().ended.send_replace(true);
                }
            });
        };
        thread::Builder::new().name("ledger".to_owned()).spawn(run)?;
        self.is_started.store(true, Ordering::Release);
        Ok(())
    }

    /// Keeps a row in memory until it is carried.
    pub(crate) fn keep(&self, row: &SpendRow) {
        if !self.is_started.load(Ordering::Acquire) {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
            tracing::error!("a row was lost: the books have been away for too long, and there is no journal");
        }
        kept.push(row.clone());
        self.backlog.store(kept.len(), Ordering::Relaxed);
        self.has_more.notify_one();
    }

    fn take(&self) -> Vec<SpendRow> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let most = kept.len().min(ROWS_MAX);
        let taken = kept.drain(..most).collect();
        self.backlog.store(kept.len(), Ordering::Relaxed);
        taken
    }

    /// The books do not take what is brought.
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    pub(crate) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Ends once what waits was carried, or patience is over.
    pub(crate) async fn close(&self, patience: Duration) {
        if !self.is_started.load(Ordering::Acquire) {
            return;
        }
        self.is_closing.store(true, Ordering::Release);
        self.has_more.notify_one();
        let mut ended = self.ended.subscribe();
        let _ = timeout(patience, ended.wait_for(|ended| *ended)).await;
    }

    /// Has what waits carried without a rest.
    pub(crate) fn hurry(&self) {
        self.has_more.notify_one();
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }
}

/// The journal's own id, made when its folder is.
pub(crate) fn journal_name(folder: &Path) -> io::Result<String> {
    let path = folder.join("id");
    match fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::create_dir_all(folder)?;
    let name = random_name()?;
    let fresh = folder.join("id.new");
    fs::write(&fresh, &name)?;
    fs::File::open(&fresh)?.sync_all()?;
    fs::rename(&fresh, &path)?;
    Ok(name)
}

/// A name that nobody else has.
pub(crate) fn random_name() -> io::Result<String> {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Two hashers with the system's random keys: as unlikely to come again as any id of 128 bits.
    let bits = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    Ok(format!("{:016x}{:016x}", bits(), bits()))
}

/// Posts until the books have it. False: it was given up, since the process ends.
async fn post(
    ledger: &Weak<Ledger>,
    books: &Books,
    (name, upto): (&str, Position),
    rows: Vec<SpendRow>,
) -> bool {
    let mut pause = AWAY.0;
    let Some(order) = ledger.upgrade().map(|ledger| ledger.following().order()) else { return false };
    loop {
        let Some(ledger) = ledger.upgrade() else { return false };
        let mut order = order.lock().await;
        let error = order.bring(&ledger, books, (name, upto, &rows)).await.err();
        drop(order);
        let feeder = ledger.feeder();
        let Some(error) = error else {
            if feeder.is_away.swap(false, Ordering::Relaxed) {
                tracing::info!("the books are there again");
            }
            return true;
        };
        if !feeder.is_away.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "rows cannot be brought into the books; they wait in the journal");
        }
        if matches!(error, StoreError::Closed) || feeder.is_closing() {
            return false;
        }
        drop(ledger);
        sleep(pause).await;
        pause = (pause * 2).min(AWAY.1);
    }
}

/// Takes over what other gateways change in the same books, as long as this one runs.
async fn follow(ledger: &Weak<Ledger>, books: &Books) {
    let Ok(mut revision) = books.listen() else { return std::future::pending().await };
    loop {
        let newest = *revision.borrow_and_update();
        let Some(strong) = ledger.upgrade() else { return };
        if newest > strong.revision() {
            let taken = strong.take_over_changes(books).await;
            // Whoever changes a record may have set its spending too.
            strong.following().hurry();
            drop(strong);
            if let Err(error) = taken {
                tracing::warn!(%error, "what others have changed cannot be read");
                sleep(AWAY.1).await;
                continue;
            }
        } else {
            drop(strong);
        }
        if revision.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

async fn carry_memory(ledger: &Weak<Ledger>, books: &Books) {
    loop {
        let Some(strong) = ledger.upgrade() else { return };
        let rows = strong.feeder().take();
        if rows.is_empty() {
            if strong.feeder().is_closing() {
                return;
            }
            // Looked at again after a while also where nobody calls, so that a ledger that is dropped ends.
            let _ = timeout(Duration::from_millis(500), strong.feeder().has_more.notified()).await;
            drop(strong);
            continue;
        }
        drop(strong);
        if !post(ledger, books, (MEMORY, Position::default()), rows).await {
            return;
        }
    }
}

async fn carry_journal(ledger: &Weak<Ledger>, books: &Books, name: &str, from: Position) {
    let mut at = from;
    let Some(mut committed) = ledger.upgrade().and_then(|ledger| Some(ledger.journal()?.committed())) else {
        return;
    };
    loop {
        let Some(strong) = ledger.upgrade() else { return };
        let Some(journal) = strong.journal().map(Arc::clone) else { return };
        let is_closing = strong.feeder().is_closing();
        drop(strong);
        let (rows, next) = match read(&journal, at) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "the journal cannot be read");
                pause_unless_closing(ledger, AWAY.1).await;
                continue;
            }
        };
        if next == at {
            if is_closing {
                return;
            }
            drop(journal);
            let _ = timeout(Duration::from_millis(500), committed.changed()).await;
            sleep(GATHER).await;
            continue;
        }
        let are_many = rows.len() >= ROWS_MAX;
        // All that was read, so that the place is never behind what the books have: what they have would be counted twice at
        // the next start.
        if !rows.is_empty() && !post(ledger, books, (name, next), rows).await {
            return;
        }
        at = next;
        journal.free(at);
        drop(journal);
        if !are_many {
            pause_unless_closing(ledger, REST).await;
        }
    }
}

/// Waits, or until the ledger is to be closed: what can be carried then is carried at once.
async fn pause_unless_closing(ledger: &Weak<Ledger>, pause: Duration) {
    let Some(ledger) = ledger.upgrade() else { return };
    let pause = if ledger.feeder().is_closing() { GATHER } else { pause };
    let _ = timeout(pause, ledger.feeder().has_more.notified()).await;
}

fn read(journal: &Journal, at: Position) -> io::Result<(Vec<SpendRow>, Position)> {
    let batch = journal.read(at, ROWS_MAX)?;
    let mut turns = Turns::default();
    let row = |(attempt, payload): &(u128, Vec<u8>)| {
        turns.step();
        match SpendRow::from_json(payload) {
            Ok(row) => Some(row),
            Err(error) => {
                tracing::error!(%error, attempt = %format_args!("{attempt:032x}"), "a row of the journal cannot be read");
                None
            }
        }
    };
    Ok((batch.settled.iter().filter_map(row).collect(), batch.next))
}
