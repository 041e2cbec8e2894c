//! Forms and replies against what LiteLLM Proxy was seen to answer: the recorded body makes the record, and the reply to it
//! has the recorded members, in the recorded order, with the recorded values.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod budgets;
mod customers;
mod keys;
mod models;
mod others;
mod support;
mod tags;
mod teams;
mod users;
