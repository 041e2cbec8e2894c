//! The gateway's database: one SQLite file, opened when it is first needed; for the [`books`] PostgreSQL, if wanted.
//!
//! Owns: the file and its rights, the schema and its migrations, the threads that touch it, and every line of SQL.
//! Leaves to others: what the bytes of a row mean, who an [`Owner`] is, what time it is, when to purge.
//!
//! One thread writes and gathers what waits into one transaction; a few others read, each from a snapshot. Callers
//! await bounded channels, so a slow disk slows them down and never fills the memory.
//!
//! **Invariant:** a write that was answered with `Ok` is committed: it outlives the kill of the process, and with
//! [`Durability::Full`] the loss of power. **Invariant:** no runtime thread ever waits for the disk. **Invariant:** no
//! error's text has SQL, bodies or keys in it.

mod background;
mod batch;
pub mod books;
mod error;
mod lazy;
mod migrate;
mod open;
mod options;
mod overrides;
mod responses;
mod store;
mod threads;

pub use background::{Turns, give_way};
pub use error::{StoreError, Trouble};
pub use lazy::LazyStore;
pub use options::{Durability, Location, StoreOptions};
pub use overrides::{Overrides, StoredOverride};
pub use responses::{
    Chain, ChainLimits, Owner, RESPONSE_BYTES_MAX, RETENTION_DEFAULT_SECONDS, Responses, StoredResponse,
};
pub use store::Store;

#[cfg(test)]
mod tests;
