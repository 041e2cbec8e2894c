//! The thread that writes the journal: what waits is written in one piece and synced once ("group commit").
//!
//! With [`Sync::Always`] it syncs by itself, since those who wait do so for that. With [`Sync::Later`] nobody does, and another
//! thread syncs (`syncer.rs`) while this one goes on writing.
//!
//! **Invariant:** whoever waited for a record and was told that it is written will find it after a kill; with
//! [`Sync::Always`] after a loss of power too. **Invariant:** a record that nobody waits for is kept in memory while the
//! disk refuses it, and written before anything that comes after it.

use super::deleter::Deleter;
use super::frame::Kind;
use super::queue::{LINGER, Queue, Taker};
use super::segment::{self, Position};
use super::syncer::{Disk, Files, Syncer};
use super::told::{Leaders, Waiter};
use super::{Options, Sync, Unwritten};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Records that are written in one piece at most.
const GROUP_MAX: usize = 1_024;
/// What is written at once of that which waits in memory, so that a disk that goes on refusing is asked with little.
const PIECE_BYTES: usize = 1 << 20;
/// How soon a disk that has refused is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Command {
    /// Write a record.
    Append { kind: Kind, attempt: u128, frame: Vec<u8>, waiter: Option<Waiter> },
    /// Everything before this file is kept elsewhere.
    Free { before: u64 },
    /// Write and sync everything that came before this.
    Flush(Waiter),
    /// A sync that was begun is over.
    Synced,
    /// Write and sync everything, and end.
    Stop,
}

/// How the journal is.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// The disk refuses.
    pub(super) is_down: AtomicBool,
    /// Records that wait in memory for it.
    pub(super) backlog: AtomicUsize,
    /// Records that are written and not yet synced: what a loss of power may take.
    pub(super) unsynced: AtomicUsize,
    /// Attempts that are not over.
    pub(super) open: AtomicUsize,
}

/// An attempt that is not over.
struct Open {
    segment: u64,
    frame: Vec<u8>,
    /// Whoever waits for its intent was not told yet.
    is_waited_for: bool,
}

/// A sync that was begun and is not over.
#[derive(Clone, Copy)]
struct Syncing {
    /// Records that it is about.
    records: usize,
    /// Files before this one may go when it is over.
    free_before: u64,
}

pub(super) struct Writer {
    folder: PathBuf,
    options: Options,
    file: Option<File>,
    written: Position,
    open: HashMap<u128, Open>,
    /// Records without a waiter that are not on the disk.
    backlog: VecDeque<Vec<u8>>,
    unsynced_since: Option<Instant>,
    /// How many records were written since then.
    unsynced: usize,
    /// Of earlier files, what is not synced yet.
    left: Files,
    /// Files before this one may go once what is written is synced.
    free_before: u64,
    syncing: Option<Syncing>,
    /// Who was woken to wake others.
    leaders: Leaders,
    /// None where this thread syncs by itself.
    syncer: Option<Syncer>,
    deleter: Deleter,
    disk: Disk,
    committed: watch::Sender<Position>,
    health: Arc<Health>,
}

impl Writer {
    /// A writer that begins a file of this number, and is woken by `commands`.
    pub(super) fn new(
        (folder, options): (PathBuf, Options),
        number: u64,
        (committed, health): (watch::Sender<Position>, Arc<Health>),
        disk: Disk,
        commands: &Arc<Queue<Command>>,
    ) -> io::Result<Self> {
        let (file, size) = segment::create(&folder, number, Sync::Always)?;
        let written = Position { segment: number, offset: size };
        committed.send_replace(written);
        let commands = Arc::clone(commands);
        let wake = move || {
            commands.give(Command::Synced);
        };
        let syncer = match options.sync {
            Sync::Always => None,
            Sync::Later => Some(Syncer::start(Arc::clone(&disk), wake)?),
        };
        Ok(Self {
            folder,
            options,
            file: Some(file),
            written,
            open: HashMap::new(),
            backlog: VecDeque::new(),
            unsynced_since: None,
            unsynced: 0,
            left: Files::default(),
            free_before: 0,
            syncing: None,
            leaders: Leaders::default(),
            syncer,
            deleter: Deleter::default(),
            disk,
            committed,
            health,
        })
    }

    /// Writes until it is told to stop.
    pub(super) fn run(mut self, commands: &Queue<Command>) {
        let taker = commands.taker();
        let mut taken = Vec::new();
        loop {
            self.next(&taker, &mut taken);
            let mut commands = taken.drain(..).peekable();
            let mut goes_on = true;
            while goes_on && commands.peek().is_some() {
                let mut group = Group::default();
                while goes_on && group.appends < GROUP_MAX {
                    let Some(command) = commands.next() else { break };
                    goes_on = self.sort(command, &mut group);
                }
                self.commit(group);
            }
            if !goes_on {
                break;
            }
        }
        self.commit(Group { must_sync: true, ..Group::default() });
        self.deleter.wait();
    }

    /// The next commands; meanwhile what is due is done.
    fn next(&mut self, commands: &Taker<'_, Command>, taken: &mut Vec<Command>) {
        loop {
            let due = match self.unsynced_since {
                _ if !self.backlog.is_empty() => Some(AGAIN_AFTER),
                Some(since) if self.syncing.is_none() => {
                    Some(self.options.sync_after.saturating_sub(since.elapsed()))
                }
                _ => None,
            };
            // Nobody waits long for whoever was to wake them.
            let is_early = self.leaders.is_any() && due.is_none_or(|due| due > LINGER);
            commands.take(taken, if is_early { Some(LINGER) } else { due });
            self.leaders.relieve();
            if !taken.is_empty() {
                return;
            }
            if is_early {
                continue;
            }
            let must_sync = self.syncer.is_none();
            self.commit(Group { must_sync, ..Group::default() });
        }
    }

    /// Adds a command to the group; false where nothing may follow it.
    fn sort(&mut self, command: Command, group: &mut Group) -> bool {
        match command {
            Command::Append { kind, attempt, frame, waiter } => {
                group.appends += 1;
                group.must_sync |= waiter.is_some() && self.options.sync == Sync::Always;
                if kind == Kind::Intent {
                    let (segment, is_waited_for) = (self.written.segment, waiter.is_some());
                    self.open.insert(attempt, Open { segment, frame: frame.clone(), is_waited_for });
                } else {
                    let open = self.open.remove(&attempt);
                    if kind == Kind::Dropped && !open.is_some_and(|open| group.is_to_be_ended(attempt, &open))
                    {
                        return true;
                    }
                }
                match waiter {
                    Some(waiter) => group.waited_for.push((attempt, frame, waiter)),
                    None => self.backlog.push_back(frame),
                }
            }
            Command::Free { before } => group.free_before = group.free_before.max(before),
            Command::Flush(waiter) => {
                group.must_sync = true;
                group.flushes.push(waiter);
            }
            Command::Synced => {
                if let (Some(_), Some(result)) = (self.syncing, self.syncer.as_ref().and_then(Syncer::result))
                {
                    // Said there; whoever waits for nothing is told nothing.
                    let _ = self.end_sync(result);
                }
            }
            Command::Stop => return false,
        }
        true
    }

    /// Puts a group on the disk, and tells whoever waits for it.
    fn commit(&mut self, group: Group) {
        let Group { waited_for, flushes, must_sync, free_before, .. } = group;
        let before = self.written;
        let outcome = self.write(&waited_for, must_sync);
        let is_down = outcome.is_err();
        self.tell(outcome.as_ref());
        let mut waiters = Vec::with_capacity(waited_for.len());
        for (attempt, _, waiter) in waited_for {
            if !is_down || self.written != before {
                if let Some(open) = self.open.get_mut(&attempt) {
                    open.is_waited_for = false;
                }
            } else {
                // It is not sent and stands nowhere, so there is nothing to end.
                self.open.remove(&attempt);
            }
            waiters.push(waiter);
        }
        let told = outcome.as_ref().map_err(|_| Unwritten).copied();
        self.leaders.tell(waiters, told);
        self.health.open.store(self.open.len(), Ordering::Relaxed);
        if outcome.is_ok() {
            self.committed.send_if_modified(|committed| {
                let is_news = *committed != self.written;
                *committed = self.written;
                is_news
            });
            self.free(free_before);
        }
        if !flushes.is_empty() {
            self.deleter.wait();
        }
        self.leaders.tell(flushes, told);
    }

    /// Says how the disk is.
    fn tell(&self, outcome: Result<&(), &io::Error>) {
        let is_down = outcome.is_err();
        if self.health.is_down.swap(is_down, Ordering::Relaxed) != is_down {
            match outcome {
                Ok(()) => tracing::warn!("the journal is written again"),
                Err(error) => {
                    tracing::error!(%error, folder = %self.folder.display(), "the journal cannot be written");
                }
            }
        }
        self.health.backlog.store(self.backlog.len(), Ordering::Relaxed);
        let unsynced = self.unsynced + self.syncing.map_or(0, |syncing| syncing.records);
        self.health.unsynced.store(unsynced, Ordering::Relaxed);
    }

    fn write(&mut self, waited_for: &[(u128, Vec<u8>, Waiter)], must_sync: bool) -> io::Result<()> {
        loop {
            let (count, mut bytes) = self.piece();
            let is_last = count == self.backlog.len();
            if is_last {
                waited_for.iter().for_each(|(_, frame, _)| bytes.extend_from_slice(frame));
            }
            if !bytes.is_empty() {
                self.append(&bytes)?;
                self.backlog.drain(..count);
                self.unsynced += count + if is_last { waited_for.len() } else { 0 };
            }
            if is_last {
                break;
            }
        }
        let is_due = self.unsynced_since.is_some_and(|since| since.elapsed() >= self.options.sync_after);
        if must_sync || (is_due && self.syncer.is_none()) {
            return self.sync();
        }
        if is_due { self.begin_sync() } else { Ok(()) }
    }

    /// The first of what waits in memory: how many records, and their bytes.
    fn piece(&self) -> (usize, Vec<u8>) {
        let mut bytes = Vec::new();
        let mut count = 0;
        for frame in &self.backlog {
            if bytes.len() >= PIECE_BYTES {
                break;
            }
            bytes.extend_from_slice(frame);
            count += 1;
        }
        (count, bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written.offset >= self.options.segment_bytes || self.file.is_none() {
            self.turn_over()?;
        }
        let Some(file) = &mut self.file else { return Err(io::Error::other("no file")) };
        if let Err(error) = file.write_all(bytes) {
            // What went out of it is no record; where even that cannot be taken back, the next file is begun.
            if file.set_len(self.written.offset).is_err() {
                self.file = None;
            }
            return Err(error);
        }
        self.written.offset += bytes.len() as u64;
        self.unsynced_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Syncs what was written, and waits for it.
    fn sync(&mut self) -> io::Result<()> {
        if self.syncing.is_some()
            && let Some(result) = self.syncer.as_ref().map(Syncer::wait)
        {
            self.end_sync(result)?;
        }
        if self.unsynced_since.is_none() {
            return Ok(());
        }
        let own = self.file.as_ref().map_or(Ok(()), |file| (self.disk)(file));
        // A sync that fails once may succeed the next time without having written: that file is not trusted again.
        if let Err(error) = own.and_then(|()| self.left.sync(&self.disk)) {
            self.distrust();
            return Err(error);
        }
        self.left = Files::default();
        self.unsynced_since = None;
        self.unsynced = 0;
        let free_before = std::mem::take(&mut self.free_before);
        self.deleter.delete(&self.folder, free_before);
        Ok(())
    }

    /// Has what was written synced, by another thread, unless that is at it still.
    fn begin_sync(&mut self) -> io::Result<()> {
        let Some(syncer) = self.syncer.as_ref().filter(|_| self.syncing.is_none()) else { return Ok(()) };
        let file = self.file.as_ref().map(File::try_clone).transpose()?;
        let mut files = std::mem::take(&mut self.left);
        files.files.extend(file);
        let (records, free_before) =
            (std::mem::take(&mut self.unsynced), std::mem::take(&mut self.free_before));
        self.syncing = Some(Syncing { records, free_before });
        self.unsynced_since = None;
        syncer.begin(files);
        Ok(())
    }

    /// Takes note of how it went.
    fn end_sync(&mut self, result: io::Result<()>) -> io::Result<()> {
        let Some(Syncing { records, free_before }) = self.syncing.take() else { return result };
        match &result {
            Ok(()) => self.deleter.delete(&self.folder, free_before),
            Err(_) => {
                self.unsynced += records;
                self.unsynced_since.get_or_insert_with(Instant::now);
                self.distrust();
            }
        }
        self.tell(result.as_ref());
        result
    }

    /// What is in the files may be lost: nothing is added to them, and nothing is deleted since it is in them too.
    fn distrust(&mut self) {
        self.file = None;
        self.left = Files::default();
        self.free_before = 0;
        self.open.values_mut().for_each(|open| open.segment = 0);
    }

    /// Begins the next file; the attempts that are not over come with it when the one before is freed.
    fn turn_over(&mut self) -> io::Result<()> {
        if self.file.is_some() && self.syncer.is_none() {
            self.sync()?;
        }
        let number = self.written.segment + 1;
        let (file, size) = segment::create(&self.folder, number, self.options.sync)?;
        let before = self.file.replace(file);
        if self.syncer.is_some() {
            self.left.files.extend(before);
            self.left.folder = Some(self.folder.clone());
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        self.written = Position { segment: number, offset: size };
        Ok(())
    }

    /// Deletes files that are kept elsewhere, after what is still open in them was written once more.
    fn free(&mut self, before: u64) {
        let before = before.min(self.written.segment);
        if before == 0 {
            return;
        }
        let carried: Vec<u128> =
            self.open.iter().filter(|(_, open)| open.segment < before).map(|(attempt, _)| *attempt).collect();
        let bytes: Vec<u8> = carried
            .iter()
            .filter_map(|attempt| self.open.get(attempt))
            .flat_map(|open| open.frame.clone())
            .collect();
        if !bytes.is_empty() {
            let sync = |own: &mut Self| if own.syncer.is_none() { own.sync() } else { Ok(()) };
            if let Err(error) = self.append(&bytes).and_then(|()| sync(self)) {
                tracing::warn!(%error, "files of the journal stay until it can be written again");
                return;
            }
            let segment = self.written.segment;
            for attempt in carried {
                if let Some(open) = self.open.get_mut(&attempt) {
                    open.segment = segment;
                }
            }
        }
        if self.syncer.is_some() && self.unsynced_since.is_some() {
            // What they are kept by may be what was written last.
            self.free_before = self.free_before.max(before);
        } else {
            self.deleter.delete(&self.folder, before);
        }
    }
}

/// What is committed together.
#[derive(Default)]
struct Group {
    appends: usize,
    waited_for: Vec<(u128, Vec<u8>, Waiter)>,
    flushes: Vec<Waiter>,
    must_sync: bool,
    free_before: u64,
}

impl Group {
    /// Whether anything is to be written of the end of an attempt that was not sent. Not where its intent is about to be
    /// written: then neither is.
    fn is_to_be_ended(&mut self, attempt: u128, open: &Open) -> bool {
        if !open.is_waited_for {
            return true;
        }
        self.waited_for.retain(|(waiting, ..)| *waiting != attempt);
        false
    }
}
