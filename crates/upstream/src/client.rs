//! Runs one attempt: a connection from the pool or a new one, the request, the reply's head.
//!
//! Owns what goes out beside the caller's headers, what of a reply's head is refused, and the one second try on a kept
//! connection. Leaves whether to try elsewhere to others. **Invariant:** the framing of a request is ours alone, and a
//! reply whose framing is in doubt is a failure. **Invariant:** a request that a provider may have worked on is never
//! sent twice here.

use crate::body::{Lease, ReadLimits, ReplyBody, SegmentBody};
use crate::connect;
use crate::connection::{Connection, Unanswered};
use crate::endpoint::Endpoint;
use crate::failure::{Failure, Kind, Phase};
use crate::inflate::Inflate;
use crate::pool::{Pool, PoolKey};
use crate::resolve::Resolver;
use crate::socket::Dial;
use crate::tls;
use crate::websocket;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How soon a kept connection must turn out to be closed for the request to be sent again. The peer's close was on its
/// way when the request went out, so the news takes no longer than one round trip; a close that comes later is the
/// provider's answer to the request, which it may have worked on.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// Headers that speak of one connection (RFC 9110, 7.6.1) or of the body's framing; whoever made the request, they are
/// decided here.
const OURS: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Caps on what a provider may make the gateway hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of a reply, as they come and decompressed (64 MiB).
    pub reply_bytes_max: u64,
    /// Most header lines of a reply (100).
    pub headers_max: usize,
    /// Most bytes of a reply's head, and of one read (64 KiB; less than 8 KiB counts as 8 KiB).
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
    /// Opens sockets in place of the machine's TCP.
    pub(crate) dialer: Option<Arc<dyn Dial>>,
}

impl Shared {
    /// The Mozilla root certificates, plus `extra_roots` (DER) that the operator trusts.
    ///
    /// # Errors
    /// The TLS library's own text when it has no usable protocol version.
    pub fn new(
        resolver: Resolver,
        limits: Limits,
        extra_roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, String> {
        Ok(Self { resolver, tls: Arc::new(tls::client_config(extra_roots)?), limits, dialer: None })
    }

    /// Connects in this way in place of the machine's TCP.
    #[must_use]
    pub fn with_dialer(self, dialer: Arc<dyn Dial>) -> Self {
        Self { dialer: Some(dialer), ..self }
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
pub struct Outgoing {
    /// Usually POST.
    pub method: Method,
    /// From [`Endpoint::target`].
    pub target: Uri,
    /// All headers but those of the connection and the body's framing, which are not taken from here; credentials
    /// included.
    pub headers: HeaderMap,
    /// The body.
    pub body: SegmentBody,
    /// The time limits.
    pub timeouts: Timeouts,
}

impl fmt::Debug for Outgoing {
    /// Without headers, query and body: credentials and prompts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printed = f.debug_struct("Outgoing");
        printed.field("method", &self.method).field("path", &self.target.path());
        printed
            .field("body_bytes", &self.body.length())
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// The head of a provider's reply, and its body to be read.
#[derive(Debug)]
pub struct Reply {
    /// The status; 3xx come as they are and are never followed.
    pub status: StatusCode,
    /// The headers; those that spoke of an encoding that was undone are gone.
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

    /// Sends a request and waits for the reply's head. Dropped before that, it closes the connection.
    ///
    /// A kept connection that turns out to be closed before a byte of the reply came is replaced by a new one, once:
    /// providers close idle connections at any moment (RFC 9112, 9.3.1).
    ///
    /// # Errors
    /// [`Failure`] with kind and phase.
    pub async fn send(&self, endpoint: &Endpoint, outgoing: Outgoing) -> Result<Reply, Failure> {
        let timeouts = outgoing.timeouts;
        let mut request = request(endpoint, outgoing);
        if let Some(kept) = self.pool.take(&endpoint.key) {
            let spare = clone_request(&request);
            match self.exchange(kept, request, &endpoint.key, timeouts).await {
                Ok(reply) => return Ok(reply),
                Err(broken) if broken.was_stale => {
                    self.pool.forget(&endpoint.key);
                    request = spare;
                }
                Err(broken) => return Err(broken.failure),
            }
        }
        let limit = timeouts.connect.min(timeouts.head_by.saturating_duration_since(Instant::now()));
        // Boxed: connecting is rare, and its state would be part of every request's.
        let fresh = Box::pin(connect::open(&self.shared, endpoint, limit)).await?;
        self.exchange(fresh, request, &endpoint.key, timeouts).await.map_err(|broken| broken.failure)
    }

    /// Lets go at once of idle connections that are too old; it happens now and then without being asked for, too.
    pub fn prune(&self) {
        self.pool.prune();
    }

    /// Idle connections kept.
    pub fn idle_connections(&self) -> usize {
        self.pool.len()
    }

    /// Asks for a WebSocket on a new connection and waits for the head of the answer.
    pub(crate) async fn ask_upgrade(
        &self,
        endpoint: &Endpoint,
        outgoing: Outgoing,
        key: &str,
    ) -> Result<Answered, Failure> {
        let timeouts = outgoing.timeouts;
        let mut request = request(endpoint, Outgoing { body: SegmentBody::default(), ..outgoing });
        *request.method_mut() = Method::GET;
        request.headers_mut().remove(CONTENT_LENGTH);
        websocket::put_handshake(request.headers_mut(), key)?;
        let limit = timeouts.connect.min(timeouts.head_by.saturating_duration_since(Instant::now()));
        let fresh = Box::pin(connect::open(&self.shared, endpoint, limit)).await?;
        let asked = self.ask(fresh, request, &endpoint.key, timeouts).await;
        let (response, lease) = asked.map_err(|broken| broken.failure)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Answered::Upgrade(Box::new((response, lease))));
        }
        self.reply(response, lease, timeouts).map(|reply| Answered::Reply(Box::new(reply)))
    }

    async fn exchange(
        &self,
        connection: Connection,
        request: Request<SegmentBody>,
        key: &Arc<PoolKey>,
        timeouts: Timeouts,
    ) -> Result<Reply, Broken> {
        let (response, lease) = self.ask(connection, request, key, timeouts).await?;
        Ok(self.reply(response, lease, timeouts)?)
    }

    async fn ask(
        &self,
        mut connection: Connection,
        request: Request<SegmentBody>,
        key: &Arc<PoolKey>,
        timeouts: Timeouts,
    ) -> Result<(Response<Incoming>, Lease), Broken> {
        let sent = Instant::now();
        let response = match timeout_at(timeouts.head_by, connection.send(request)).await {
            Err(_) => return Err(Failure::new(Kind::Timeout, Phase::AwaitingHead, "no reply in time").into()),
            Ok(Err(Unanswered { kind, was_sent, detail })) => {
                let phase = if was_sent { Phase::AwaitingHead } else { Phase::Connecting };
                let is_idle_race = connection.meter.is_silent() && sent.elapsed() < STALE_WITHIN;
                let failure = Failure::new(kind, phase, detail);
                return Err(Broken { failure, was_stale: !was_sent || is_idle_race });
            }
            Ok(Ok(response)) => response,
        };
        let is_reusable = leaves_open(&response);
        let lease = Lease { connection, pool: Arc::clone(&self.pool), key: Arc::clone(key), is_reusable };
        Ok((response, lease))
    }

    fn reply(
        &self,
        response: Response<Incoming>,
        lease: Lease,
        timeouts: Timeouts,
    ) -> Result<Reply, Failure> {
        let refuse = |kind, detail: &str| Err(Failure::new(kind, Phase::Reading, detail));
        let bytes_max = self.shared.limits.reply_bytes_max;
        let (parts, incoming) = response.into_parts();
        let mut headers = parts.headers;
        if parts.status.is_informational() {
            return refuse(Kind::Protocol, "switched to a protocol that was not asked for");
        }
        if has_doubtful_framing(&headers) {
            return refuse(Kind::Protocol, "the reply's framing is in doubt");
        }
        if incoming.size_hint().lower() > bytes_max {
            return refuse(Kind::TooLarge, "the reply's declared length is larger than the cap");
        }
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
        let encoding = encodings.next();
        if encodings.next().is_some() {
            return refuse(Kind::Protocol, "more than one content-encoding");
        }
        let inflate = Inflate::for_encoding(encoding, bytes_max)?;
        if inflate.is_some() {
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
        }
        let limits = ReadLimits { idle: timeouts.idle, deadline: timeouts.whole_by, bytes_max };
        let body = ReplyBody::new(incoming, lease, inflate, limits);
        Ok(Reply { status: parts.status, headers, body })
    }
}

/// The answer to a request for another protocol.
pub(crate) enum Answered {
    /// The provider switches.
    Upgrade(Box<(Response<Incoming>, Lease)>),
    /// It does not.
    Reply(Box<Reply>),
}

/// An exchange without a reply.
struct Broken {
    failure: Failure,
    /// On a kept connection: it was closed while it was idle, and the provider has not seen the request.
    was_stale: bool,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self { failure, was_stale: false }
    }
}

fn request(endpoint: &Endpoint, outgoing: Outgoing) -> Request<SegmentBody> {
    let mut request = Request::new(outgoing.body);
    *request.method_mut() = outgoing.method;
    *request.uri_mut() = outgoing.target;
    *request.headers_mut() = outgoing.headers;
    let is_empty = request.body().is_end_stream();
    let is_bodiless =
        matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
    let headers = request.headers_mut();
    for name in OURS {
        headers.remove(name);
    }
    headers.insert(HOST, endpoint.authority().clone());
    if is_empty && !is_bodiless {
        // Some servers answer 411 to a POST that does not say that it is empty (RFC 9110, 8.6).
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    request
}

/// The peer keeps the connection for another request (RFC 9112, 9.3).
fn leaves_open(response: &Response<Incoming>) -> bool {
    let mut options = response
        .headers()
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    response.version() == Version::HTTP_11
        && !options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Two lengths at once, or an encoding of the transfer that was not asked for (RFC 9112, 6.1): what one reader takes
/// for the end another takes for the middle.
fn has_doubtful_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return false };
    let is_plain =
        coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    !is_plain || headers.contains_key(CONTENT_LENGTH)
}

/// The library takes the request apart as it writes it, so the second try needs one of its own.
fn clone_request(request: &Request<SegmentBody>) -> Request<SegmentBody> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
