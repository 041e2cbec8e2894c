//! `docs/failover.md`, run: its configurations as they stand, its providers failing, its replies compared.
//!
//! Owns: reading the page (`page`), its configurations before simulated providers (`stand`), one test a claim. Leaves to
//! others: each rule in all its cases (policy, `faults`, `scenarios`).
//!
//! **Invariant:** nothing of a configuration is changed but where its deployments are, its secrets, and the folder of
//! its canned answers. **Invariant:** counts, bytes and order are asserted, never times.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

#[path = "../support/mod.rs"]
mod support;

mod page;
mod rehearsals;
mod sensitive;
mod stand;
mod support_bot;
mod wealth;
