//! The rows of faults: the running binary, its providers and the network between them failing in every way that is
//! promised to be survived.
//!
//! Owns: one test a row or more, named after it; [`rows`], the table of them, from which `docs/faults.md` is made.
//! Leaves to others: the failover of one streamed request in sixteen ways (`scenarios`), each crate's own rules.
//!
//! **Invariant:** counts, bytes and order are asserted, never times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod callers;
mod connect;
mod hedges;
mod pressure;
mod replies;
mod rows;
mod streams;
