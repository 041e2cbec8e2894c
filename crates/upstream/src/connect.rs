//! Opens connections: resolve, judge, connect, TLS, HTTP/1.1 handshake.
//!
//! HTTP/1.1 only, one request at a time on a connection: an HTTP/2 client would put every stream of a host behind one
//! connection's flow control and the provider's limit on concurrent streams. Where a host has several addresses they
//! are tried side by side, each a little after the one before (RFC 8305), so that a dead one costs little.
//! **Invariant:** the address that was judged is the address that is connected to, and it is judged every time.

use crate::client::{Limits, Shared};
use crate::connection::{Connection, Meter, Metered};
use crate::endpoint::Endpoint;
use crate::failure::{Failure, Kind, Phase};
use crate::guard::{classify, permits, permits_port};
use crate::socket::{Dial, Stream, dial};
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long an address is tried before the next one is tried beside it (RFC 8305, 8).
const STAGGER: Duration = Duration::from_millis(250);
/// Most addresses of a host that are tried for one connection.
const ADDRESSES_MAX: usize = 16;
/// The smallest read buffer that the HTTP library takes.
const READ_BUFFER_BYTES_MIN: usize = 8 << 10;
/// Bytes that may come before the head of a reply has ended, in read buffers: the head itself, interim replies, and what
/// of the body is read along with it.
const HEAD_BUFFERS_MAX: u64 = 8;

/// Opens a connection to the endpoint within `limit`.
pub(crate) async fn open(
    shared: &Shared,
    endpoint: &Endpoint,
    limit: Duration,
) -> Result<Connection, Failure> {
    let deadline = deadline_of(limit);
    let stream = open_stream(shared, endpoint, deadline).await?;
    if !endpoint.key.tls {
        return handshake(&shared.limits, endpoint, stream).await;
    }
    let tls = secure(&shared.tls, endpoint, stream, deadline).await?;
    handshake(&shared.limits, endpoint, tls).await
}

/// When a limit that begins now has run out.
pub(crate) fn deadline_of(limit: Duration) -> Instant {
    let now = Instant::now();
    // A limit beyond what the clock can say is a day.
    now.checked_add(limit).unwrap_or(now + Duration::from_secs(86_400))
}

/// Connects to an address of the endpoint's host that the guard allows.
pub(crate) async fn open_stream(
    shared: &Shared,
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<Stream, Failure> {
    let addresses =
        timeout_at(deadline, permitted_addresses(shared, endpoint)).await.map_err(|_| late(endpoint))??;
    connect_any(shared.dialer.as_ref(), addresses, endpoint, deadline).await
}

/// Begins TLS on a connection to the endpoint's host.
pub(crate) async fn secure<S>(
    config: &Arc<ClientConfig>,
    endpoint: &Endpoint,
    stream: S,
    deadline: Instant,
) -> Result<TlsStream<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(endpoint.host().to_owned())
        .map_err(|_| Failure::new(Kind::Tls, Phase::Connecting, "the host is no valid TLS name"))?;
    let connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    timeout_at(deadline, connecting).await.map_err(|_| late(endpoint))?.map_err(|error| {
        Failure::new(Kind::Tls, Phase::Connecting, format!("{}: TLS handshake: {error}", endpoint.host()))
    })
}

async fn permitted_addresses(shared: &Shared, endpoint: &Endpoint) -> Result<Vec<IpAddr>, Failure> {
    let (trust, port) = (endpoint.key.trust, endpoint.key.port);
    if !permits_port(trust, port) {
        return Err(blocked(endpoint, "port"));
    }
    let (mut addresses, first_class) = match endpoint.literal {
        Some(address) => (vec![address], classify(address)),
        None => {
            let resolved = shared.resolver.resolve(trust, endpoint.host(), port).await.map_err(|error| {
                Failure::new(Kind::Dns, Phase::Connecting, format!("{}: {error}", endpoint.host()))
            })?;
            (resolved.addresses, resolved.first_class)
        }
    };
    let literal = endpoint.literal.is_some();
    addresses.retain(|&address| permits(trust, literal, first_class, classify(address)));
    if addresses.is_empty() { Err(blocked(endpoint, "address")) } else { Ok(addresses) }
}

/// Connects to the address that answers first.
async fn connect_any(
    dialer: Option<&Arc<dyn Dial>>,
    addresses: Vec<IpAddr>,
    endpoint: &Endpoint,
    deadline: Instant,
) -> Result<Stream, Failure> {
    let port = endpoint.key.port;
    if Instant::now() >= deadline {
        return Err(late(endpoint));
    }
    if let [address] = addresses.as_slice() {
        let connecting = dial(dialer.cloned(), SocketAddr::new(*address, port));
        let connected = timeout_at(deadline, connecting).await.map_err(|_| late(endpoint))?;
        return connected.map_err(|error| refused(endpoint, &error));
    }
    let mut waiting = families_in_turn(addresses).into_iter().take(ADDRESSES_MAX).peekable();
    // The attempts that lose end with it.
    let mut trying = JoinSet::new();
    let mut last = io::Error::other("no address");
    loop {
        if let Some(address) = waiting.next() {
            trying.spawn(dial(dialer.cloned(), SocketAddr::new(address, port)));
        }
        let until = if waiting.peek().is_some() { deadline.min(Instant::now() + STAGGER) } else { deadline };
        match timeout_at(until, trying.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(error))) => last = io::Error::other(error),
            Ok(None) => return Err(refused(endpoint, &last)),
            Err(_) if until >= deadline => return Err(late(endpoint)),
            Err(_) => {}
        }
    }
}

/// The resolver's order, but with IPv6 and IPv4 in turn, so that a family without a road costs one try (RFC 8305, 4).
fn families_in_turn(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let all = addresses.len();
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::with_capacity(all);
    while turns.len() < all {
        turns.extend(first.next().into_iter().chain(second.next()));
    }
    turns
}

fn blocked(endpoint: &Endpoint, what: &str) -> Failure {
    tracing::warn!(host = endpoint.host(), port = endpoint.key.port, what, "refused by the address guard");
    Failure::new(Kind::Blocked, Phase::Connecting, format!("{}: {what} refused", endpoint.host()))
}

fn refused(endpoint: &Endpoint, error: &io::Error) -> Failure {
    Failure::new(
        Kind::Connect,
        Phase::Connecting,
        format!("{}:{}: {error}", endpoint.host(), endpoint.key.port),
    )
}

fn late(endpoint: &Endpoint) -> Failure {
    Failure::new(Kind::Timeout, Phase::Connecting, format!("{}: connect timeout", endpoint.host()))
}

async fn handshake<S>(limits: &Limits, endpoint: &Endpoint, stream: S) -> Result<Connection, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let buffer_bytes = limits.read_buffer_bytes_max.max(READ_BUFFER_BYTES_MIN);
    let meter = Arc::new(Meter::new((buffer_bytes as u64).saturating_mul(HEAD_BUFFERS_MAX)));
    let (sender, connection) = Builder::new()
        .max_buf_size(buffer_bytes)
        .max_headers(limits.headers_max)
        .handshake(TokioIo::new(Metered::new(stream, Arc::clone(&meter))))
        .await
        .map_err(|error| {
            Failure::new(Kind::Protocol, Phase::Connecting, format!("{}: {error}", endpoint.host()))
        })?;
    // Moves the bytes; ends when the peer closes, the connection is dropped, or it leaves HTTP for another protocol.
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Connection { sender, meter, driver })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_tried_in_turn_and_none_is_lost() {
        let check = |given: &[&str], expected: &[&str]| {
            let parse =
                |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
            assert_eq!(families_in_turn(parse(given)), parse(expected));
        };
        check(&[], &[]);
        check(&["1.1.1.1", "1.0.0.1"], &["1.1.1.1", "1.0.0.1"]);
        check(&["2a00::1", "2a00::2", "2a00::3", "1.1.1.1"], &["2a00::1", "1.1.1.1", "2a00::2", "2a00::3"]);
        check(&["1.1.1.1", "1.0.0.1", "2a00::1"], &["1.1.1.1", "2a00::1", "1.0.0.1"]);
    }
}
