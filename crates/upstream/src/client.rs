//! Runs one attempt: a connection from the pool or a new one, the request, the reply's head.

use crate::body::{Lease, ReadLimits, ReplyBody, SegmentBody};
use crate::connect;
use crate::endpoint::Endpoint;
use crate::failure::{Failure, Kind, Phase};
use crate::inflate::Inflate;
use crate::pool::{Pool, PoolKey};
use crate::resolve::Resolver;
use http::header::{CONTENT_ENCODING, HOST, HeaderMap};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Caps on what a provider may make the gateway hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of a reply, as they come and decompressed (64 MiB).
    pub reply_bytes_max: u64,
    /// Most header lines of a reply (100).
    pub headers_max: usize,
    /// Most bytes of a reply's head, and of one read (64 KiB).
    pub read_buffer_bytes_max: usize,
    /// Most idle connections kept per host and worker.
    pub idle_per_host_max: usize,
    /// How long an idle connection is kept; below the idle limit of the usual load balancers (60 s).
    pub idle_for_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reply_bytes_max: 64 << 20,
            headers_max: 100,
            read_buffer_bytes_max: 64 << 10,
            idle_per_host_max: 1_024,
            idle_for_max: Duration::from_secs(50),
        }
    }
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    pub(crate) resolver: Resolver,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) limits: Limits,
}

impl Shared {
    /// The Mozilla root certificates, plus `extra_roots` (DER) that the operator trusts.
    ///
    /// # Errors
    /// The TLS library's own text when it has no usable protocol version.
    pub fn new(resolver: Resolver, limits: Limits, extra_roots: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(extra_roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { resolver, tls: Arc::new(tls), limits })
    }
}

/// The time limits of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Name, TCP and TLS together.
    pub connect: Duration,
    /// When the head must have come.
    pub head_by: Instant,
    /// Longest silence once the body has begun.
    pub idle: Duration,
    /// When the whole reply must have come.
    pub whole_by: Instant,
}

/// A request to a provider.
#[derive(Debug)]
pub struct Outgoing {
    /// Usually POST.
    pub method: Method,
    /// From [`Endpoint::target`].
    pub target: Uri,
    /// All headers but `Host` and `Content-Length`, credentials included.
    pub headers: HeaderMap,
    /// The body.
    pub body: SegmentBody,
    /// The time limits.
    pub timeouts: Timeouts,
}

/// The head of a provider's reply, and its body to be read.
pub struct Reply {
    /// The status; 3xx come as they are and are never followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

/// One worker's way out.
pub struct Client {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
}

impl Client {
    /// A way out with a pool of its own; make one per worker thread.
    pub fn new(shared: Arc<Shared>) -> Self {
        let pool = Arc::new(Pool::new(shared.limits.idle_per_host_max, shared.limits.idle_for_max));
        Self { shared, pool }
    }

    /// Sends a request and waits for the reply's head.
    ///
    /// A kept connection that turns out to be closed before a byte of the reply came is replaced by a new one, once:
    /// providers close idle connections at any moment (RFC 9112, 9.3.1).
    ///
    /// # Errors
    /// [`Failure`] with kind and phase.
    pub async fn send(&self, endpoint: &Endpoint, outgoing: Outgoing) -> Result<Reply, Failure> {
        let key = PoolKey { tls: endpoint.tls, host: endpoint.host.clone(), port: endpoint.port };
        let timeouts = outgoing.timeouts;
        let mut request = Request::new(outgoing.body);
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = outgoing.target;
        *request.headers_mut() = outgoing.headers;
        request.headers_mut().insert(HOST, endpoint.authority().clone());
        if let Some(sender) = self.kept(&key).await {
            let spare = clone_request(&request);
            match self.exchange(sender, request, &key, timeouts).await {
                Ok(reply) => return Ok(reply),
                Err(Exchange::Stale) => request = spare,
                Err(Exchange::Failed(failure)) => return Err(failure),
            }
        }
        let limit = timeouts.connect.min(timeouts.head_by.saturating_duration_since(Instant::now()));
        let sender = connect::open(&self.shared, endpoint, limit).await?;
        self.exchange(sender, request, &key, timeouts).await.map_err(|outcome| match outcome {
            Exchange::Failed(failure) => failure,
            Exchange::Stale => Failure::new(Kind::Reset, Phase::AwaitingHead, "closed before the reply"),
        })
    }

    /// Lets go of idle connections that are too old; call now and then.
    pub fn prune(&self) {
        self.pool.prune();
    }

    /// Idle connections kept.
    pub fn idle_connections(&self) -> usize {
        self.pool.len()
    }

    async fn kept(&self, key: &PoolKey) -> Option<SendRequest<SegmentBody>> {
        while let Some(mut sender) = self.pool.take(key) {
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
        None
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<SegmentBody>,
        request: Request<SegmentBody>,
        key: &PoolKey,
        timeouts: Timeouts,
    ) -> Result<Reply, Exchange> {
        let response = match timeout_at(timeouts.head_by, sender.send_request(request)).await {
            Err(_) => return Err(failed(Kind::Timeout, "no reply in time")),
            Ok(Err(error)) => return Err(classify(&error)),
            Ok(Ok(response)) => response,
        };
        let lease = Lease { sender, pool: Arc::clone(&self.pool), key: key.clone() };
        self.reply(response, lease, timeouts).map_err(Exchange::Failed)
    }

    fn reply(&self, response: Response<Incoming>, lease: Lease, timeouts: Timeouts) -> Result<Reply, Failure> {
        let (parts, incoming) = response.into_parts();
        let bytes_max = self.shared.limits.reply_bytes_max;
        let encoding = parts.headers.get(CONTENT_ENCODING).map(http::HeaderValue::as_bytes);
        let inflate = Inflate::for_encoding(encoding, bytes_max)?;
        let limits = ReadLimits { idle: timeouts.idle, deadline: timeouts.whole_by, bytes_max };
        let body = ReplyBody::new(incoming, lease, inflate, limits);
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }
}

enum Exchange {
    /// The connection was gone before the provider said anything.
    Stale,
    Failed(Failure),
}

fn failed(kind: Kind, detail: &str) -> Exchange {
    Exchange::Failed(Failure::new(kind, Phase::AwaitingHead, detail))
}

fn classify(error: &hyper::Error) -> Exchange {
    if error.is_parse() {
        failed(Kind::Protocol, &error.to_string())
    } else {
        // Closed, cancelled, incomplete or broken: on a kept connection that is the idle race.
        Exchange::Stale
    }
}

fn clone_request(request: &Request<SegmentBody>) -> Request<SegmentBody> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
