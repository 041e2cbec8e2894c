//! The whole gateway over real sockets, between a raw caller and simulated providers.
//!
//! Owns: what a caller and a provider see of each other. Leaves to others: each crate's own rules, the process.
//!
//! **Invariant:** tests assert counts, bytes and order, never times: whoever waits for a limit does so with the
//! runtime's clock paused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../store/tests/store/folder.rs"]
#[allow(dead_code, reason = "the store's tests use all of it")]
mod folder;
#[path = "../../../store/tests/store/books/server.rs"]
#[allow(dead_code, reason = "the store's tests use all of it")]
mod server;

mod notices;
mod office;
mod support;

mod access;
mod access_groups;
mod admission;
mod alerts;
mod allowed;
mod azure;
mod bodies;
mod budgets;
mod cached;
mod cached_crossed;
mod cached_far;
mod callbacks;
mod called_groups;
mod choosing;
mod clock;
mod clouds;
mod counting;
mod customers;
mod explain;
mod fallbacks;
mod forged_tokens;
mod generate_content;
mod health;
mod hedging;
mod held;
mod hostile;
mod keys;
mod limits;
mod management;
mod mapped_tokens;
mod media;
mod mended;
mod mended_admin;
mod messages;
mod models;
mod money;
mod month;
mod organizations;
mod outages;
mod panics;
mod parity;
mod passthrough;
mod platform;
mod projection;
mod projects;
mod promised_alerts;
mod promised_reach;
mod promised_scopes;
mod promises;
mod realtime;
mod realtime_money;
mod recorded;
mod reload;
mod replicate;
mod replies;
mod reported;
mod rescue;
mod resealing;
mod resources;
mod responses;
mod retries;
mod rotation;
mod routing;
mod secrets;
mod security;
mod sensitive;
mod set_back;
mod settings;
mod smuggling;
mod spend;
mod staged;
mod streams;
mod tags;
mod teams;
mod tiers;
mod tokens;
mod told;
mod told_teams;
mod traps;
mod units;
mod unsaid;
mod users;
mod waiting;
mod withheld;
