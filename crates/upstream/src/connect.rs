//! Opens connections: resolve, judge, connect, TLS, HTTP/1.1 handshake.
//!
//! HTTP/1.1 only, one request at a time on a connection: an HTTP/2 client would put every stream of a host behind one
//! connection's flow control and the provider's limit on concurrent streams.

use crate::body::SegmentBody;
use crate::client::Shared;
use crate::endpoint::Endpoint;
use crate::failure::{Failure, Kind, Phase};
use crate::guard::{classify, permits};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// The least time that one of several addresses is given before the next is tried.
const PER_ADDRESS_MIN: Duration = Duration::from_millis(250);

/// Opens a connection to the endpoint within `limit`.
pub(crate) async fn open(
    shared: &Shared,
    endpoint: &Endpoint,
    limit: Duration,
) -> Result<SendRequest<SegmentBody>, Failure> {
    let deadline = Instant::now() + limit;
    let late = |_| Failure::new(Kind::Timeout, Phase::Connecting, format!("{}: connect timeout", endpoint.host));
    let addresses = timeout_at(deadline, permitted_addresses(shared, endpoint)).await.map_err(late)??;
    let stream = connect_any(&addresses, endpoint, deadline).await?;
    // Without this, a small write waits for the peer's delayed acknowledgement (40 ms).
    stream.set_nodelay(true).map_err(|error| refused(endpoint, &error))?;
    if endpoint.tls {
        let name = ServerName::try_from(endpoint.host.to_string())
            .map_err(|_| Failure::new(Kind::Tls, Phase::Connecting, "the host is no valid TLS name"))?;
        let connector = TlsConnector::from(shared.tls.clone());
        let tls = timeout_at(deadline, connector.connect(name, stream)).await.map_err(late)?.map_err(|error| {
            Failure::new(Kind::Tls, Phase::Connecting, format!("{}: TLS handshake: {error}", endpoint.host))
        })?;
        handshake(shared, endpoint, tls).await
    } else {
        handshake(shared, endpoint, stream).await
    }
}

async fn permitted_addresses(shared: &Shared, endpoint: &Endpoint) -> Result<Vec<IpAddr>, Failure> {
    let (found, first_class) = match endpoint.literal {
        Some(address) => (vec![address], classify(address)),
        None => {
            let resolved = shared.resolver.resolve(&endpoint.host, endpoint.port).await.map_err(|error| {
                Failure::new(Kind::Dns, Phase::Connecting, format!("{}: {error}", endpoint.host))
            })?;
            (resolved.addresses, resolved.first_class)
        }
    };
    let literal = endpoint.literal.is_some();
    let permitted: Vec<IpAddr> =
        found.into_iter().filter(|&ip| permits(endpoint.trust, literal, first_class, classify(ip))).collect();
    if permitted.is_empty() {
        tracing::warn!(host = %endpoint.host, "every address of the host is refused by the address guard");
        return Err(Failure::new(Kind::Blocked, Phase::Connecting, format!("{}: address refused", endpoint.host)));
    }
    Ok(permitted)
}

/// Tries the addresses in turn, each with a fair part of the time that is left.
async fn connect_any(addresses: &[IpAddr], endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, Failure> {
    let mut last = Failure::new(Kind::Connect, Phase::Connecting, format!("{}: no address", endpoint.host));
    for (position, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - position).unwrap_or(u32::MAX);
        let until = (Instant::now() + (left / others).max(PER_ADDRESS_MIN)).min(deadline);
        match timeout_at(until, TcpStream::connect(SocketAddr::new(*address, endpoint.port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = refused(endpoint, &error),
            Err(_) => {
                last = Failure::new(Kind::Timeout, Phase::Connecting, format!("{}: connect timeout", endpoint.host));
            }
        }
    }
    Err(last)
}

fn refused(endpoint: &Endpoint, error: &std::io::Error) -> Failure {
    Failure::new(Kind::Connect, Phase::Connecting, format!("{}:{}: {error}", endpoint.host, endpoint.port))
}

async fn handshake<S>(shared: &Shared, endpoint: &Endpoint, stream: S) -> Result<SendRequest<SegmentBody>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &shared.limits;
    let (sender, connection) = Builder::new()
        .max_buf_size(limits.read_buffer_bytes_max)
        .max_headers(limits.headers_max)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Failure::new(Kind::Protocol, Phase::Connecting, format!("{}: {error}", endpoint.host)))?;
    // Drives the connection; ends when the sender is dropped or the peer closes.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(sender)
}
