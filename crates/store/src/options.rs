//! How a store is opened, and how durable a write is to be.
//!
//! Owns the settings and their defaults; what they lead to is in `open.rs` and `threads.rs`.
//!
//! **Invariant**: every queue and every wait of the store has its limit here.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Whoever looks for something among rows gets it by an index, a page at a time; what takes longer looks at all of them.
pub(crate) const SEARCH_TIMEOUT: Duration = Duration::from_millis(500);

/// Where the rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a file, which is created with the rights 0600 if it is not there. Its directory has to exist.
    File(PathBuf),
    /// In memory, gone with the store. Reads and writes share one thread.
    Memory,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Memory => f.write_str("the store in memory"),
        }
    }
}

/// What a write outlives once it was answered with `Ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The end of the process, also by SIGKILL. A loss of power may take the last moments; the file stays sound
    /// (SQLite's `synchronous=NORMAL` with a write-ahead log).
    Process,
    /// The loss of power too: the log is synced to the disk first (`synchronous=FULL`). For money.
    Full,
}

/// The limits of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Connections that only read, each with a thread; at least 1. Without meaning in memory.
    pub readers: usize,
    /// Requests that may wait for the writer, and as many for the readers; at least 1. Whoever comes then waits to be
    /// let in.
    pub queue_max: usize,
    /// Writes that share one transaction at most, and so one sync of the disk; at least 1.
    pub batch_max: usize,
    /// How long a write waits for another process that is writing.
    pub busy_timeout: Duration,
    /// How long a search in the books may take, among rows or in the audit: it holds up others who read.
    pub search_timeout: Duration,
    /// How long a report may take, which is made of sums, and whatever else is asked for and is not much.
    pub report_timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            readers: 2,
            queue_max: 256,
            batch_max: 64,
            busy_timeout: Duration::from_secs(5),
            search_timeout: SEARCH_TIMEOUT,
            report_timeout: Duration::from_secs(5),
        }
    }
}
