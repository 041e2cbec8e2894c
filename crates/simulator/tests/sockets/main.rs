//! The simulator and the fault proxy over sockets, as a caller sees them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bench;
mod clouds;
mod common;
mod faults;
mod providers;
mod proxy;
mod surfaces;
