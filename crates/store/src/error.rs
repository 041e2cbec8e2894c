//! What can go wrong with the store, and what SQLite's codes mean here.
//!
//! Owns the one error enum of the crate; statuses and words for callers are the server's.
//!
//! **Invariant**: an error names the file that it is about, and never SQL, bodies or keys.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::options::Location;

/// Why the store could not be opened, or a request not be met. The text is for the log: it has the file's path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The directory in which the file shall be is not there.
    #[error("{}: its directory does not exist", .0.display())]
    DirectoryMissing(PathBuf),
    /// The file cannot be opened, read or written: rights, a read-only file system, an I/O error.
    #[error("{file}: {detail}")]
    Unusable {
        /// The file.
        file: String,
        /// What the system says.
        detail: String,
    },
    /// The file is no SQLite database, or a damaged one.
    #[error("{file}: damaged, or not a database: {detail}")]
    Corrupt {
        /// The file.
        file: String,
        /// What SQLite says.
        detail: String,
    },
    /// The file is a database of another program.
    #[error("{0}: a database, but of another program")]
    Foreign(String),
    /// The file system cannot share memory between processes, which a write-ahead log needs (a network share, mostly).
    #[error("{0}: its file system cannot hold a write-ahead log; a local one is needed")]
    NoWriteAheadLog(String),
    /// A newer release has written the file.
    #[error("{file}: has schema version {found}, and this release knows versions up to {known}")]
    SchemaNewer {
        /// The file.
        file: String,
        /// The version of the file.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// A step from one schema version to the next failed; the file is as it was before that step.
    #[error("{file}: the step to schema version {version} failed: {detail}")]
    Migration {
        /// The file.
        file: String,
        /// The version that was not reached.
        version: i64,
        /// What SQLite says.
        detail: String,
    },
    /// Another process has kept the file locked for longer than [`busy_timeout`](crate::StoreOptions::busy_timeout).
    /// Nothing was written; it may be tried again.
    #[error("{0}: locked by another process")]
    Busy(String),
    /// The disk is full. Nothing was written; it may be tried again.
    #[error("{0}: the disk is full")]
    Full(String),
    /// A row is larger than one may be.
    #[error("{bytes} bytes are more than the {bytes_max} of one row")]
    TooLarge {
        /// What was to be kept.
        bytes: usize,
        /// What may be.
        bytes_max: usize,
    },
    /// A conversation has more turns than were asked for at most, or runs in a circle.
    #[error("the conversation has more than {turns_max} turns")]
    ChainTooLong {
        /// The limit that was given.
        turns_max: usize,
    },
    /// A conversation has more bytes than were asked for at most.
    #[error("the conversation has more than {bytes_max} bytes")]
    ChainTooLarge {
        /// The limit that was given.
        bytes_max: usize,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The request was dropped by a defect in this crate; whether it was carried out is not known.
    #[error("the request to the store was interrupted")]
    Interrupted,
    /// Anything else that SQLite says.
    #[error("{file}: {detail}")]
    Other {
        /// The file.
        file: String,
        /// What SQLite says.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same request may succeed a little later, nothing having been done so far.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Full(_))
    }
}

/// A failure inside a closure that runs on one of the store's threads, where the file is not at hand.
pub(crate) enum Fault {
    /// SQLite's.
    Sql(rusqlite::Error),
    /// Ours, complete.
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// The error, with the file that it is about.
    pub(crate) fn at(self, location: &Location) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => from_sql(location, &error),
        }
    }

    /// Whether another connection's lock is the reason.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Busy(_)),
            Self::Sql(error) => is_busy(error.sqlite_error_code()),
        }
    }
}

fn is_busy(code: Option<ErrorCode>) -> bool {
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn from_sql(location: &Location, error: &rusqlite::Error) -> StoreError {
    let (file, detail) = (location.to_string(), detail(error));
    match error.sqlite_error_code() {
        code if is_busy(code) => StoreError::Busy(file),
        Some(ErrorCode::DiskFull) => StoreError::Full(file),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { file, detail },
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Unusable { file, detail },
        _ => StoreError::Other { file, detail },
    }
}

/// What SQLite says, without the statement that rusqlite's text may have.
pub(crate) fn detail(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, Some(message)) => format!("{message} ({})", code.extended_code),
        rusqlite::Error::SqliteFailure(code, None) => code.to_string(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
