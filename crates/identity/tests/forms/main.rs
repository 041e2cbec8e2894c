//! What a body may say, and what is said of one that may not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod budgets;
mod keys;
mod organizations;
mod support;
mod teams;
mod users;
