//! The gateway's HTTP side: routes, the road of a request, error replies, metrics.
//!
//! Owns: what a caller sees. Leaves to others: wire formats (dialect), which deployment and when again (policy), prices
//! (catalog), sockets to providers (upstream), what the operator wrote (config), the process (the binary).
//!
//! **Invariant:** a status and an error body are written in [`error`] alone. **Invariant:** no request reaches a handler
//! but through the table in [`routes`], which says who may call it.

mod accept;
mod access;
mod address;
mod admin;
mod auth;
mod authorization;
mod build;
mod caching;
mod chance;
mod checks;
mod counting;
mod drain;
mod error;
mod gateway;
mod guesses;
mod info;
mod made;
mod passthrough;
mod percent;
mod pipeline;
mod realtime;
mod reply;
mod rotation;
pub mod routes;
mod routing;
mod settings;
mod snapshot;
mod stall;
mod surface;
mod target;
mod team_models;
mod telemetry;
mod tokens;
mod toll;
mod vitals;
mod worker;

pub use accept::{ConnectionLimits, Listener, serve};
pub use build::BuildError;
pub use checks::check_deployments;
pub use drain::{Drain, Stage};
pub use gateway::{Gateway, GatewayError};
pub use reply::GatewayBody;
pub use rotation::{rotate_keys, rotate_keys_once};
pub use vitals::Vitals;
pub use worker::{Door, Worker};
