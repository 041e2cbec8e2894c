//! Opening connections: the file and its rights, what every connection is set to, what is refused.
//!
//! Leaves the schema to `migrate.rs` and the threads to `threads.rs`.
//!
//! **Invariant**: a file that is created is readable by its user alone from its first moment. **Invariant**: the file
//! is only ever opened through SQLite, but for creating it: closing any other descriptor of it would drop the locks that
//! this process holds on it (POSIX).

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::books;
use crate::error::{Fault, StoreError};
use crate::migrate::{self, MIGRATIONS};
use crate::options::{Location, StoreOptions};

/// The wait between two tries when another process holds the file while it is opened.
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// What the log shrinks to after a checkpoint, in bytes.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// Pages of the log after which they are taken into the file, 4 KiB each. A page that is written a hundred times in between is taken
/// over once.
const LOG_PAGES: i64 = 8_192;

/// The most memory for pages of the connection that writes, in KiB: the pages of the log's indexes to which rows are added
/// stay in it.
const CACHE_KIB: i64 = 32 * 1_024;

/// The connection that writes, with the schema of this release.
pub(crate) fn writer(location: &Location, options: &StoreOptions) -> Result<Connection, StoreError> {
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    if let Location::File(path) = location {
        create(path)?;
    }
    again_while_busy(options.busy_timeout, || {
        let mut connection = connect(location, options)?;
        migrate::inspect(&connection, location, known)?;
        keep_log(&connection, location)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        // Negative: KiB in place of pages.
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // What a caller deletes is overwritten, not only unlinked.
        connection.pragma_update(None, "secure_delete", true)?;
        // Where an ordinary sync leaves the data in the disk's cache (macOS).
        connection.pragma_update(None, "fullfsync", true)?;
        migrate::migrate(&mut connection, location, MIGRATIONS)?;
        Ok(connection)
    })
    .map_err(|fault| fault.at(location))
}

/// A connection that cannot write. The writer's has to be there first.
pub(crate) fn reader(location: &Location, options: &StoreOptions) -> Result<Connection, StoreError> {
    again_while_busy(options.busy_timeout, || {
        let connection = connect(location, options)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    })
    .map_err(|fault| fault.at(location))
}

fn connect(location: &Location, options: &StoreOptions) -> Result<Connection, Fault> {
    let mut connection = match location {
        // No mutex: a connection stays on its thread. No URI: a path is a path, whatever it looks like.
        Location::File(path) => Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?,
        Location::Memory => Connection::open_in_memory_with_flags(
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?,
    };
    connection.busy_timeout(options.busy_timeout)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Functions and tables that a planted schema could call are not.
    connection.pragma_update(None, "trusted_schema", false)?;
    books::sqlite::prepare(&mut connection)?;
    Ok(connection)
}

/// Puts the file into the mode with a write-ahead log, which stays a property of the file.
fn keep_log(connection: &Connection, location: &Location) -> Result<(), Fault> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" && matches!(location, Location::File(_)) {
        return Err(StoreError::NoWriteAheadLog(location.to_string()).into());
    }
    Ok(())
}

/// Creates the file if it is not there. One that is there keeps its rights: they are its operator's.
fn create(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) {
        return Err(StoreError::DirectoryMissing(path.to_path_buf()));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {
            Err(StoreError::Unusable { file: path.display().to_string(), detail: "a directory".to_owned() })
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            Err(StoreError::Unusable { file: path.display().to_string(), detail: error.to_string() })
        }
    }
}

/// Tries until the file is free: turning the log on does not wait for other connections by itself.
fn again_while_busy<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T, Fault>,
) -> Result<T, Fault> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Err(fault) if fault.is_busy() && Instant::now() < deadline => thread::sleep(OPEN_AGAIN_AFTER),
            other => return other,
        }
    }
}
