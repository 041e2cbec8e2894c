//! The client against providers that are scripted byte by byte over real sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

mod body;
mod connecting;
mod framing;
mod guard;
mod head;
mod idle_race;
mod pooling;
mod request;
mod support;
mod tls;
mod websocket;
