//! What a body may say, and what is said of one that may not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod budgets;
mod defaults;
mod keys;
mod organizations;
mod others;
mod page;
mod properties;
mod support;
mod tables;
mod teams;
mod users;
