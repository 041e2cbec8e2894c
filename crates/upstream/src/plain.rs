//! Connections that something else than HTTP is spoken on: a mail server's.
//!
//! Owns how they are opened and when TLS begins on them. Leaves to others what is said. **Invariant:** they go through
//! the same guard, the same resolver and the same root certificates as every other connection.

use crate::client::Shared;
use crate::connect::{deadline_of, open_stream, secure};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::socket::Socket;
use std::sync::Arc;
use std::time::Duration;

/// Connects to the endpoint's host and port within `limit`; TLS begins at once where the endpoint's scheme says so.
///
/// # Errors
/// [`Failure`] in the phase of connecting.
pub async fn open(shared: &Shared, endpoint: &Endpoint, limit: Duration) -> Result<Box<dyn Socket>, Failure> {
    let stream = open_stream(shared, endpoint, deadline_of(limit)).await?;
    if endpoint.is_tls() {
        upgrade(shared, endpoint, Box::new(stream), limit).await
    } else {
        Ok(Box::new(stream))
    }
}

/// Begins TLS on a connection to the endpoint's host that was opened without, as STARTTLS does (RFC 3207).
///
/// # Errors
/// [`Failure`] of the handshake.
pub async fn upgrade(
    shared: &Shared,
    endpoint: &Endpoint,
    stream: Box<dyn Socket>,
    limit: Duration,
) -> Result<Box<dyn Socket>, Failure> {
    let mut config = (*shared.tls).clone();
    // It is not HTTP that is offered here (RFC 7301).
    config.alpn_protocols.clear();
    Ok(Box::new(secure(&Arc::new(config), endpoint, stream, deadline_of(limit)).await?))
}
