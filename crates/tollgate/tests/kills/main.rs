//! Ends of the running binary in the midst of requests under a budget, and what its books say afterwards: kills, damage to
//! what a kill leaves, ends that were asked for.
//!
//! The callers and the providers are the oracle: what a caller has been answered stands in the books once, at the cost
//! that it was told or, where the kill came before that was on the disk, as a row that says so; what a provider has
//! received stands there at all. A few kills by default, 100 with `TOLLGATE_TEST_LONG=1`.
//!
//! **Invariant:** counts and amounts are asserted, never times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod damage;
mod ends;
mod ground;
mod rolling;
