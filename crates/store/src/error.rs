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
    /// The database cannot be reached, does not answer in time, or refuses for now. A change may have been carried out all
    /// the same, where it broke off at its end.
    #[error("{database}: {detail}")]
    Unavailable {
        /// Which database, without user and password.
        database: String,
        /// What is the matter.
        detail: String,
    },
    /// A record is not as the change expects it: somebody else has changed it meanwhile. Nothing was written.
    #[error("the {kind} was changed by somebody else meanwhile")]
    Conflict {
        /// The kind of the record.
        kind: String,
        /// Its id, which may be the hash of a key: not in the error's text.
        id: String,
    },
    /// What was asked cannot be done, now or later.
    #[error("{0}")]
    Invalid(String),
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

/// What an error means to the caller on whose behalf the store was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody's fault but the database's: it may work later. HTTP's 503.
    Unavailable,
    /// The record was changed by somebody else meanwhile. HTTP's 409.
    Conflict,
    /// What was asked is wrong. HTTP's 400.
    Bad,
    /// A defect of this program. HTTP's 500.
    Defect,
}

impl StoreError {
    /// What the error means to a caller.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Conflict { .. } => Trouble::Conflict,
            Self::Invalid(_) | Self::TooLarge { .. } => Trouble::Bad,
            Self::ChainTooLong { .. } | Self::ChainTooLarge { .. } => Trouble::Bad,
            Self::Other { .. } => Trouble::Defect,
            Self::DirectoryMissing(_)
            | Self::Unusable { .. }
            | Self::Corrupt { .. }
            | Self::Foreign(_)
            | Self::NoWriteAheadLog(_)
            | Self::SchemaNewer { .. }
            | Self::Migration { .. }
            | Self::Busy(_)
            | Self::Full(_)
            | Self::Unavailable { .. }
            | Self::Closed
            | Self::Interrupted => Trouble::Unavailable,
        }
    }

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
    /// A column does not hold what the schema says: somebody else has changed it.
    Shape,
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
            Self::Shape => shape(location.to_string()),
        }
    }

    /// Whether another connection's lock is the reason.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Busy(_)),
            Self::Sql(error) => is_busy(error.sqlite_error_code()),
            Self::Shape => false,
        }
    }
}

/// A value that the schema does not allow.
pub(crate) fn shape(database: String) -> StoreError {
    StoreError::Corrupt { file: database, detail: "a column is not what the schema says".to_owned() }
}

fn is_busy(code: Option<ErrorCode>) -> bool {
    matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn from_sql(location: &Location, error: &rusqlite::Error) -> StoreError {
    let (file, detail) = (location.to_string(), detail(error));
    match error.sqlite_error_code() {
        code if is_busy(code) => StoreError::Busy(file),
        Some(ErrorCode::DiskFull) => StoreError::Full(file),
        Some(ErrorCode::OperationInterrupted) => {
            StoreError::Unavailable { database: file, detail: "a search took too long".to_owned() }
        }
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
