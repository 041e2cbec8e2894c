//! Alerts on their way, over real sockets, to receivers that are as strict as the real ones say they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod closing;
mod conversation;
mod mail;
mod often;
mod receiver;
mod refusals;
mod rules;
mod shapes;
mod support;
