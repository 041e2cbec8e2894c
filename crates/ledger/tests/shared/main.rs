//! Several ledgers on one PostgreSQL: what one spends the others know, and a budget is one budget.
//!
//! Owns: money over gateways. Leaves to others: what one ledger promises, records that others change, the running binary.
//!
//! **Invariant:** counts and amounts are asserted, never times.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../../store/tests/store/folder.rs"]
#[allow(dead_code, reason = "the store's tests use all of it")]
mod folder;
#[path = "../../../store/tests/store/books/proxy.rs"]
mod proxy;
#[path = "../../../store/tests/store/books/server.rs"]
#[allow(dead_code, reason = "the store's tests use all of it")]
mod server;

mod away;
mod confirming;
mod gateway;
mod holding;
mod spending;
