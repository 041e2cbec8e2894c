//! Every source against servers that are scripted reply by reply over real sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

mod aws;
mod google;
mod sigv4;
mod support;
mod tokens;
