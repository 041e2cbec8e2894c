//! The fidelity matrix: what a caller of any dialect keeps when a provider of any other one answers.
//!
//! Owns one golden body per feature and dialect (`requests/*.json`, `replies/*.json`), and the rule that they are held
//! to: what the caller said, or the provider, arrives on the other side, or the loss is told by name. Never is anything
//! dropped in silence. A dialect is a row of [`surface::SURFACES`]; a feature is an entry of a file. The outcome of every
//! cell is written to `docs/dialects.md` (`UPDATE_DOCS=1`), which is held to be up to date.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cell;
mod collect;
mod errors;
mod feed;
mod forms;
mod goldens;
mod page;
mod replays;
mod replies;
mod requests;
mod surface;
mod view;
