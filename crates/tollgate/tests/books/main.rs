//! What holds of keys, budgets and records whatever happens to the database, to the disk and to the clock, and however many
//! there are: the rows of faults from R39 on.
//!
//! Owns: the running binary before a real PostgreSQL that is taken away from it. Leaves to others: kills (`kills`), the
//! store's and the ledger's own promises.
//!
//! **Invariant:** counts and amounts are asserted, never times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../../../store/tests/store/folder.rs"]
#[allow(dead_code, reason = "the store's tests use all of it")]
mod folder;
#[path = "../../../store/tests/store/books/proxy.rs"]
mod proxy;
#[path = "../../../store/tests/store/books/server.rs"]
#[allow(dead_code, reason = "the store's tests use all of it")]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod away;
mod changes;
mod closed;
mod disk;
mod exact;
mod hostile;
mod many;
mod stand;
mod together;
