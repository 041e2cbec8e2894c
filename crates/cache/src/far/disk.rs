//! Answers in a folder of the disk: one file of SQLite's, which a kill tears nothing in and which several gateways may share.
//!
//! Owns the file's schema, its size and what goes when it is full: what is too old, then what was written first. What is asked
//! for often stays in memory before it. One thread reads, another one writes behind the requests.
//!
//! **Invariant**: the pages that answers take are no more than `bytes_max` when a write has ended. **Invariant**: a file that
//! is damaged is moved aside and made anew, by one process at a time. **Invariant**: files here are this user's alone.

use super::{Ask, Event, Far, FarError, FarRules, Put, Work, Write};
use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc;

/// The file; its number is that of the schema, so that gateways of different versions share a folder and no file.
const FILE: &str = "answers-1.sqlite3";
/// What a damaged file is called until the next one.
const ASIDE: &str = "answers-1.damaged";
/// Held while the file is opened.
const LOCK: &str = "answers-1.lock";

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS entries
    (key BLOB PRIMARY KEY NOT NULL, expires_at INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS entries_by_end ON entries (expires_at);";

/// Answers that become one transaction.
const BATCH_MAX: usize = 64;
/// Bytes after which a transaction takes no further answer.
const BATCH_BYTES: usize = 4 << 20;
/// Answers that go at once when there is no room.
const EVICTED_AT_ONCE: i64 = 16;
/// Time between two looks for what is too old, in microseconds.
const SWEEP_EVERY: i64 = 60_000_000;
/// Answers too old that go with one transaction.
const SWEPT_AT_ONCE: i64 = 1_000;
/// How long one process waits for another one's transaction.
const BUSY: Duration = Duration::from_secs(5);
/// What the log shrinks to after a checkpoint, in bytes.
const LOG_BYTES_KEPT: i64 = 8 << 20;

/// Where on the disk, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskPlace {
    /// The folder; made where there is none.
    pub folder: PathBuf,
    /// Bytes that answers may take, together with what it takes to find them.
    pub bytes_max: u64,
}

impl Far {
    /// Answers on the disk. The file is opened when it is first needed; where it cannot be, the place is one that fails.
    #[must_use]
    pub fn disk(place: &DiskPlace, rules: &FarRules) -> Self {
        let (far, work) = Self::new("disk", rules);
        let Work { asks, writes, writing, told } = work;
        let reader = Reader { file: Opened::new(&place.folder) };
        let writer = Writer {
            file: Opened::new(&place.folder),
            bytes_max: place.bytes_max,
            swept_at: 0,
            writing,
            told,
        };
        let give_way = rules.give_way;
        let read = thread::Builder::new().name("cache-read".to_owned()).spawn(move || reader.run(asks));
        let written = thread::Builder::new().name("cache-write".to_owned()).spawn(move || {
            give_way();
            writer.run(writes);
        });
        if let Some(error) = read.err().or(written.err()) {
            tracing::warn!(error = %error, "no thread for answers on the disk: they are kept in memory alone");
        }
        far
    }
}

/// The file, opened when it is needed, and anew when it is not the one that its name stands for any more.
struct Opened {
    folder: PathBuf,
    open: Option<(Connection, Identity)>,
    /// It was found damaged: it is gone over before it is used again.
    is_suspect: bool,
}

/// The device and the number of a file; nothing where the system has no such thing.
type Identity = Option<(u64, u64)>;

impl Opened {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), open: None, is_suspect: false }
    }

    /// Does something with it.
    fn with<T>(&mut self, run: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, FarError> {
        let path = self.folder.join(FILE);
        let is_same = self.open.as_ref().is_some_and(|(_, identity)| *identity == identify(&path));
        let mut connection = match self.open.take().filter(|_| is_same) {
            Some((connection, _)) => connection,
            None => open(&self.folder, self.is_suspect)?,
        };
        self.is_suspect = false;
        match run(&mut connection) {
            Ok(done) => {
                self.open = Some((connection, identify(&path)));
                Ok(done)
            }
            Err(error) => {
                // What else is wrong may be wrong with the connection: the next one is a new one.
                self.is_suspect = is_damage(&error);
                Err(said(&error))
            }
        }
    }
}

#[cfg(unix)]
fn identify(path: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|known| (known.dev(), known.ino()))
}

#[cfg(not(unix))]
fn identify(_: &Path) -> Identity {
    None
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn said(error: &rusqlite::Error) -> FarError {
    FarError(error.to_string())
}

/// A connection to the folder's file. One that is damaged is moved aside, and made anew.
fn open(folder: &Path, is_suspect: bool) -> Result<Connection, FarError> {
    let failed = |error: std::io::Error| FarError(format!("{}: {error}", folder.display()));
    make_folder(folder).map_err(failed)?;
    let lock =
        File::options().create(true).truncate(false).write(true).open(folder.join(LOCK)).map_err(failed)?;
    lock.lock().map_err(failed)?;
    match connect(folder, is_suspect) {
        Err(error) if is_damage(&error) => {
            // Its log first: a new file would take it for its own.
            for log in ["-wal", "-shm"] {
                let _ = fs::remove_file(folder.join(format!("{FILE}{log}")));
            }
            fs::rename(folder.join(FILE), folder.join(ASIDE)).map_err(failed)?;
            let folder_name = folder.display();
            tracing::warn!(folder = %folder_name, error = %error, "kept answers on the disk are damaged: they are moved aside as {ASIDE}, and the file is made anew");
            connect(folder, false).map_err(|error| said(&error))
        }
        done => done.map_err(|error| said(&error)),
    }
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // SQLite gives its logs the rights of its file.
    let made = File::options().write(true).create_new(true).mode(0o600).open(folder.join(FILE));
    made.map(drop).or_else(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    })
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}

fn connect(folder: &Path, is_suspect: bool) -> rusqlite::Result<Connection> {
    let connection = Connection::open(folder.join(FILE))?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // With a log it loses power without damage, and at most the last answers.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    // What is forgotten is overwritten, not only unlinked.
    connection.pragma_update(None, "secure_delete", true)?;
    if is_suspect {
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)));
        }
    }
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

/// Looks things up.
struct Reader {
    file: Opened,
}

impl Reader {
    fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        while let Some(ask) = asks.blocking_recv() {
            match ask {
                // Whoever asked has gone on without it.
                Ask::Get(.., answer) if answer.is_closed() => {}
                Ask::Get(key, now, answer) => {
                    let found = self.file.with(|file| {
                        let sql = "SELECT bytes FROM entries WHERE key = ?1 AND expires_at > ?2";
                        let mut look = file.prepare_cached(sql)?;
                        let found =
                            look.query_row(params![key.as_bytes(), now], |row| row.get::<_, Vec<u8>>(0));
                        found.optional()
                    });
                    let _ = answer.send(found.map(|found| found.map(Bytes::from)));
                }
                Ask::Ping(answer) => {
                    let ping = self.file.with(|file| {
                        file.query_row("SELECT count(*) FROM (SELECT 1 FROM entries LIMIT 1)", [], |_| Ok(()))
                    });
                    let _ = answer.send(ping);
                }
                Ask::Info(answer) => {
                    let _ = answer.send(Ok(None));
                }
            }
        }
    }
}

/// Writes, and makes room.
struct Writer {
    file: Opened,
    bytes_max: u64,
    /// When what is too old was last looked for, in microseconds since 1970.
    swept_at: i64,
    writing: std::sync::Arc<super::Health>,
    told: super::Told,
}

impl Writer {
    fn run(mut self, mut writes: mpsc::Receiver<Write>) {
        let mut next = writes.blocking_recv();
        while let Some(write) = next.take() {
            match write {
                Write::Put(put) => next = self.gather(put, &mut writes),
                Write::Remove(keys, answer) => {
                    let _ = answer.send(self.file.with(|file| {
                        let transaction = file.transaction()?;
                        let mut removed = 0;
                        for key in &keys {
                            let mut remove =
                                transaction.prepare_cached("DELETE FROM entries WHERE key = ?1")?;
                            removed += remove.execute([key.as_bytes()])? as u64;
                        }
                        transaction.commit()?;
                        Ok(removed)
                    }));
                }
                Write::Clear(answer) => {
                    let _ = answer.send(self.file.with(|file| {
                        file.execute("DELETE FROM entries", [])?;
                        // The log has them too until it is taken over.
                        file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                    }));
                }
                Write::Mark(answer) => {
                    let _ = answer.send(Ok(()));
                }
            }
            if next.is_none() {
                next = writes.blocking_recv();
            }
        }
    }

    /// Writes an answer, and those that wait behind it; what comes next is none.
    fn gather(&mut self, first: Put, writes: &mut mpsc::Receiver<Write>) -> Option<Write> {
        let mut bytes = first.bytes.len();
        let mut batch = vec![first];
        let mut next = None;
        while batch.len() < BATCH_MAX && bytes < BATCH_BYTES {
            match writes.try_recv() {
                Ok(Write::Put(put)) => {
                    bytes += put.bytes.len();
                    batch.push(put);
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        let event = match self.keep(&batch) {
            Ok(()) => {
                self.writing.was_well();
                Event::Written
            }
            Err(error) => {
                self.writing.has_failed(&error);
                Event::WriteFailed
            }
        };
        batch.iter().for_each(|_| (self.told)(event));
        next
    }

    fn keep(&mut self, batch: &[Put]) -> Result<(), FarError> {
        let now = batch.iter().map(|put| put.now).max().unwrap_or_default();
        let sweeps = now.saturating_sub(self.swept_at) >= SWEEP_EVERY;
        let bytes_max = self.bytes_max;
        self.file.with(|file| {
            let transaction = file.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            if sweeps {
                let sql = "DELETE FROM entries WHERE rowid IN
                           (SELECT rowid FROM entries WHERE expires_at <= ?1 LIMIT ?2)";
                transaction.prepare_cached(sql)?.execute(params![now, SWEPT_AT_ONCE])?;
            }
            for put in batch.iter().filter(|put| put.bytes.len() as u64 <= bytes_max / 2) {
                let sql = "INSERT OR REPLACE INTO entries (key, expires_at, bytes) VALUES (?1, ?2, ?3)";
                let row = params![put.key.as_bytes(), put.expires_at, &*put.bytes];
                transaction.prepare_cached(sql)?.execute(row)?;
            }
            while used(&transaction)? > bytes_max {
                let sql =
                    "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries ORDER BY rowid LIMIT ?1)";
                if transaction.prepare_cached(sql)?.execute([EVICTED_AT_ONCE])? == 0 {
                    break;
                }
            }
            transaction.commit()
        })?;
        if sweeps {
            self.swept_at = now;
        }
        Ok(())
    }
}

/// Bytes of the pages that are in use, by whichever process.
fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
    Ok(u64::try_from(pages.saturating_mul(number("PRAGMA page_size")?)).unwrap_or(0))
}
