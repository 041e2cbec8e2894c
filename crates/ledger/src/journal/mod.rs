//! The journal: what is about to be spent, and what was, on the local disk before anything else knows of it.
//!
//! Records go through one thread into numbered files. It is also the queue towards the database: whoever carries the rows
//! there reads them from here, in order, as slowly as it must, and frees what it has carried. A database that is away for
//! an hour costs disk and nothing else. Owns the files. Leaves to others what a row is, and when one is due.
//!
//! **Invariant:** an attempt whose intent was written and whose end was not is found again at the next start.
//! **Invariant:** nothing is read that was not written whole. **Invariant:** a file goes only when everything in it was
//! carried, or is written once more.

mod deleter;
mod frame;
mod queue;
mod segment;
mod syncer;
#[cfg(test)]
mod tests;
mod told;
#[cfg(test)]
mod told_tests;
mod writer;

pub use frame::{Frame, Kind};
pub use segment::{Damage, Position};

use queue::Queue;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use syncer::Disk;
use tokio::sync::watch;
use told::Waiter;
use writer::{Command, Health, Writer};

/// What a record that is waited for has outlived when it is said to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// The loss of power: the disk was synced.
    Always,
    /// The end of the process, also by SIGKILL; the disk is synced within [`Options::sync_after`].
    Later,
}

/// The settings of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For records that are waited for.
    pub sync: Sync,
    /// The longest that a record stays unsynced.
    pub sync_after: Duration,
    /// From this size on a file is followed by the next.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { sync: Sync::Always, sync_after: Duration::from_millis(100), segment_bytes: 64 << 20 }
    }
}

/// A record could not be written: the disk refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written")]
pub struct Unwritten;

/// The journal cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{folder}: {error}", folder = .folder.display())]
pub struct OpenError {
    /// Its folder.
    pub folder: PathBuf,
    /// What the system says.
    #[source]
    pub error: io::Error,
}

/// An attempt of an earlier process of which only the intent is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Which attempt.
    pub attempt: u128,
    /// What its intent says that it is booked as.
    pub payload: Vec<u8>,
}

/// What an earlier process left.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Attempts whose end is not known, in no order. They are open in this journal too until they are settled.
    pub orphans: Vec<Orphan>,
    /// What could not be read; a copy of each is in the folder.
    pub damages: Vec<Damage>,
    /// Records that were read.
    pub records: u64,
    /// The first file that is there.
    pub first: Position,
}

/// Some records, in the order in which they were written.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows of attempts that are over.
    pub settled: Vec<(u128, Vec<u8>)>,
    /// Where the next batch begins.
    pub next: Position,
}

/// An open journal. Dropped, it writes what it was given and ends.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    commands: Arc<Queue<Command>>,
    committed: watch::Receiver<Position>,
    health: Arc<Health>,
    thread: Option<JoinHandle<()>>,
    /// Held as long as it is open: two writers would write over each other.
    _lock: File,
}

impl Journal {
    /// Opens the journal in a folder, which is made if it is not there, and reads what an earlier process left in it. Takes
    /// as long as that is long.
    ///
    /// # Errors
    /// Where the folder or its files cannot be read or made.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Recovered), OpenError> {
        let disk: Disk = Arc::new(File::sync_data);
        Self::start(folder, options, disk).map_err(|error| OpenError { folder: folder.to_path_buf(), error })
    }

    fn start(folder: &Path, options: Options, disk: Disk) -> io::Result<(Self, Recovered)> {
        make(folder)?;
        let lock = lock(folder)?;
        let numbers = segment::list(folder)?;
        let mut recovered = recover(folder, &numbers)?;
        let next = numbers.last().map_or(1, |last| last + 1);
        recovered.first = Position { segment: numbers.first().copied().unwrap_or(next), offset: 0 };
        let (publish, committed) = watch::channel(Position::default());
        let health = Arc::new(Health::default());
        let commands = Arc::new(Queue::new());
        let queue = Arc::clone(&commands);
        let place = (folder.to_path_buf(), options);
        let writer = Writer::new(place, next, (publish, Arc::clone(&health)), disk, &commands)?;
        let thread = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&queue))?;
        let journal = Self {
            folder: folder.to_path_buf(),
            commands,
            committed,
            health,
            thread: Some(thread),
            _lock: lock,
        };
        for orphan in &recovered.orphans {
            // So that its file can go before it is settled.
            journal.append(Kind::Intent, orphan.attempt, &orphan.payload, None);
        }
        Ok((journal, recovered))
    }

    /// Writes that an attempt is about to be sent, and returns when that is on the disk.
    ///
    /// # Errors
    /// [`Unwritten`]: it must not be sent then.
    pub async fn intend(&self, attempt: u128, payload: &[u8]) -> Result<(), Unwritten> {
        let (waiter, written) = told::pair(thread::current().id());
        if !self.append(Kind::Intent, attempt, payload, Some(waiter)) {
            return Err(Unwritten);
        }
        written.await
    }

    /// The same, and does not wait: it is on the disk soon. False where it is larger than any record.
    pub fn note_intent(&self, attempt: u128, payload: &[u8]) -> bool {
        self.append(Kind::Intent, attempt, payload, None)
    }

    /// Writes what an attempt is booked as, soon; also where the disk refuses at the moment. False where the row is larger
    /// than any.
    pub fn settle(&self, attempt: u128, payload: &[u8]) -> bool {
        self.append(Kind::Settled, attempt, payload, None)
    }

    /// Writes that an attempt whose intent was written is not booked, soon.
    pub fn drop_intent(&self, attempt: u128) {
        self.append(Kind::Dropped, attempt, &[], None);
    }

    /// Returns when everything that was given before is on the disk, over a loss of power too.
    ///
    /// # Errors
    /// [`Unwritten`] where it is not.
    pub async fn flush(&self) -> Result<(), Unwritten> {
        let (waiter, written) = told::pair(thread::current().id());
        self.commands.give(Command::Flush(waiter));
        written.await
    }

    /// Up to where it is written; changes as it grows.
    pub fn committed(&self) -> watch::Receiver<Position> {
        self.committed.clone()
    }

    /// Whether the disk refuses, and how many records wait in memory for it.
    pub fn trouble(&self) -> (bool, usize) {
        (self.health.is_down.load(Ordering::Relaxed), self.health.backlog.load(Ordering::Relaxed))
    }

    /// How many records are written and not yet synced: what a loss of power may take, for [`Options::sync_after`] at most.
    pub fn unsynced(&self) -> usize {
        self.health.unsynced.load(Ordering::Relaxed)
    }

    /// How many attempts are not over.
    pub fn open_attempts(&self) -> usize {
        self.health.open.load(Ordering::Relaxed)
    }

    /// Reads the next rows from a place on: some megabytes at a time, and at most so many rows. Blocks on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&self, from: Position, rows_max: usize) -> io::Result<Batch> {
        let committed = *self.committed.borrow();
        let mut batch = Batch { next: from, ..Batch::default() };
        let numbers = segment::list(&self.folder)?;
        let Some(number) = numbers.iter().copied().find(|number| *number >= from.segment) else {
            return Ok(batch);
        };
        let from = if number == from.segment { from } else { Position { segment: number, offset: 0 } };
        if from > committed {
            return Ok(batch);
        }
        let take = |frame: Frame<'_>| {
            if frame.kind == Kind::Settled {
                batch.settled.push((frame.attempt, frame.payload.to_vec()));
            }
            batch.settled.len() < rows_max
        };
        let read = segment::read(&self.folder, from, Some(committed), READ_BYTES, take)?;
        let is_over = read.is_end && from.segment < committed.segment;
        batch.next = if is_over { Position { segment: from.segment + 1, offset: 0 } } else { read.next };
        Ok(batch)
    }

    /// Everything before this place was carried: files that end before it may go.
    pub fn free(&self, before: Position) {
        self.commands.leave(Command::Free { before: before.segment });
    }

    fn append(&self, kind: Kind, attempt: u128, payload: &[u8], waiter: Option<Waiter>) -> bool {
        let mut frame = Vec::with_capacity(payload.len() + 32);
        let is_written = frame::encode(&mut frame, Frame { kind, attempt, payload }).is_some();
        if !is_written {
            return false;
        }
        let is_waited_for = waiter.is_some();
        let command = Command::Append { kind, attempt, frame, waiter };
        if is_waited_for { self.commands.give(command) } else { self.commands.leave(command) }
    }
}

/// Bytes that are read in one go: not many more than so many rows have as are taken in one go, since those that are not taken
/// are read again.
const READ_BYTES: usize = 2 << 20;

impl Drop for Journal {
    fn drop(&mut self) {
        self.commands.give(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps other processes out; a process that is killed lets go of it.
fn lock(folder: &Path) -> io::Result<File> {
    let file = File::options().create(true).append(true).open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            let reason = "another gateway uses this journal (tollgate_settings.journal.folder)";
            Err(io::Error::new(io::ErrorKind::ResourceBusy, reason))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// Reads everything that is there: whose end is not known, and what is damaged.
fn recover(folder: &Path, numbers: &[u64]) -> io::Result<Recovered> {
    let mut recovered = Recovered::default();
    let mut open: HashMap<u128, Vec<u8>> = HashMap::new();
    for &segment in numbers {
        let mut from = Position { segment, offset: 0 };
        loop {
            let read = segment::read(folder, from, None, READ_BYTES, |frame| {
                recovered.records += 1;
                match frame.kind {
                    Kind::Intent => {
                        open.insert(frame.attempt, frame.payload.to_vec());
                    }
                    Kind::Settled | Kind::Dropped => {
                        open.remove(&frame.attempt);
                    }
                }
                true
            })?;
            recovered.damages.extend(read.damages);
            from = read.next;
            if read.is_end {
                break;
            }
        }
    }
    for damage in &recovered.damages {
        if let Err(error) = segment::quarantine(folder, damage) {
            tracing::warn!(%error, "damaged bytes of the journal could not be copied");
        }
    }
    recovered.orphans = open.into_iter().map(|(attempt, payload)| Orphan { attempt, payload }).collect();
    Ok(recovered)
}
