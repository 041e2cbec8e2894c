//! A provider whose every byte is scripted, and short ways to call it.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Method, Uri};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tollgate_upstream::{
    Client, Endpoint, Failure, Kind, Limits, Outgoing, Phase, Reply, Resolver, SegmentBody, Shared, Timeouts,
    Trust,
};

/// Longer than anything takes that is going to happen.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// A limit that a test waits for.
pub(crate) const SHORT: Duration = Duration::from_millis(150);
/// What every request carries and no other host may see.
pub(crate) const SECRET: &str = "Bearer sk-secret";
/// A plain good reply.
pub(crate) const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood";

/// What a provider has met with.
#[derive(Debug, Default)]
pub(crate) struct Log {
    accepts: AtomicUsize,
    written: AtomicUsize,
    requests: Mutex<Vec<Vec<u8>>>,
}

/// A provider that listens until it is dropped.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    log: Arc<Log>,
    closed: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    /// A provider whose every connection follows `script`.
    pub(crate) async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Peer<TcpStream>) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    pub(crate) fn on<F, R>(listener: TcpListener, script: F) -> Self
    where
        F: Fn(Peer<TcpStream>) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let (tell, closed) = watch::channel(0);
        let (shared, tell) = (Arc::clone(&log), Arc::new(tell));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = shared.accepts.fetch_add(1, Ordering::SeqCst);
                let done = script(Peer { stream, number, log: Arc::clone(&shared), tell: Arc::clone(&tell) });
                tokio::spawn(done);
            }
        });
        Self { address, log, closed, task }
    }

    /// A provider that answers every request with these bytes and keeps the connection.
    pub(crate) async fn answering(reply: impl Into<Vec<u8>>) -> Self {
        let reply = Arc::new(reply.into());
        Self::start(move |mut peer| {
            let reply = Arc::clone(&reply);
            async move {
                while peer.request().await.is_some() {
                    peer.say(&reply).await;
                }
                peer.is_closed();
            }
        })
        .await
    }

    /// A provider that answers each connection's first request with these bytes, and then waits to be hung up on.
    pub(crate) async fn hanging_after(reply: impl Into<Vec<u8>>) -> Self {
        let reply = Arc::new(reply.into());
        Self::start(move |mut peer| {
            let reply = Arc::clone(&reply);
            async move {
                peer.request().await;
                peer.say(&reply).await;
                peer.until_closed().await;
            }
        })
        .await
    }

    pub(crate) fn accepts(&self) -> usize {
        self.log.accepts.load(Ordering::SeqCst)
    }

    /// The requests in the order of their coming, head and body as they stood on the wire.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.log.requests.lock().unwrap().clone()
    }

    pub(crate) fn request_count(&self) -> usize {
        self.log.requests.lock().unwrap().len()
    }

    /// Bytes that the network took from the provider.
    pub(crate) fn written(&self) -> usize {
        self.log.written.load(Ordering::SeqCst)
    }

    /// Waits until this many connections were seen to be closed by the gateway.
    pub(crate) async fn closes(&self, count: usize) {
        let mut closed = self.closed.clone();
        let waited = timeout(LONG, closed.wait_for(|seen| *seen >= count)).await;
        assert!(waited.is_ok(), "{} of {count} connections were closed", *self.closed.borrow());
    }

    /// Closes seen so far.
    pub(crate) fn close_count(&self) -> usize {
        *self.closed.borrow()
    }

    /// Its address under the operator's trust.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&format!("http://{}/v1", self.address), Trust::Operator).unwrap()
    }
}

/// The provider's end of one connection.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    /// Which connection of the provider's this is, from 0.
    pub(crate) number: usize,
    log: Arc<Log>,
    tell: Arc<watch::Sender<usize>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The next request with its body; `None` when the gateway has closed.
    pub(crate) async fn request(&mut self) -> Option<Vec<u8>> {
        let (mut bytes, mut byte) = (Vec::new(), [0]);
        while !bytes.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut byte).await {
                Ok(1) => bytes.push(byte[0]),
                _ => return None,
            }
        }
        let head = String::from_utf8(bytes.clone()).unwrap().to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).await.ok()?;
        bytes.extend_from_slice(&body);
        self.log.requests.lock().unwrap().push(bytes.clone());
        Some(bytes)
    }

    /// Writes; `false` when the gateway has closed.
    pub(crate) async fn say(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match self.stream.write(bytes).await {
                Ok(count) if count > 0 => {
                    self.log.written.fetch_add(count, Ordering::SeqCst);
                    bytes = &bytes[count..];
                }
                _ => return false,
            }
        }
        self.stream.flush().await.is_ok()
    }

    /// Writes the same again and again until the gateway closes.
    pub(crate) async fn repeat(&mut self, bytes: &[u8]) {
        while self.say(bytes).await {}
        self.is_closed();
    }

    /// Reads until the gateway closes, and says so to the provider.
    pub(crate) async fn until_closed(&mut self) {
        let mut bytes = [0; 1_024];
        while matches!(self.stream.read(&mut bytes).await, Ok(1..)) {}
        self.is_closed();
    }

    /// Whoever waits for the gateway's closes counts one more.
    pub(crate) fn is_closed(&self) {
        self.tell.send_modify(|seen| *seen += 1);
    }
}

/// A connection without its stream, which is on its way into TLS.
pub(crate) struct Unplugged {
    number: usize,
    log: Arc<Log>,
    tell: Arc<watch::Sender<usize>>,
}

impl Unplugged {
    /// The same connection over another stream.
    pub(crate) fn over<S>(self, stream: S) -> Peer<S> {
        Peer { stream, number: self.number, log: self.log, tell: self.tell }
    }
}

impl Peer<TcpStream> {
    pub(crate) fn split(self) -> (TcpStream, Unplugged) {
        (self.stream, Unplugged { number: self.number, log: self.log, tell: self.tell })
    }

    /// Closes with a reset instead of an end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// A client with its own pool and the usual limits.
pub(crate) fn client() -> Client {
    client_with(Limits::default())
}

pub(crate) fn client_with(limits: Limits) -> Client {
    Client::new(Arc::new(Shared::new(Resolver::default(), limits, Vec::new()).unwrap()))
}

pub(crate) fn client_asking(resolver: Resolver) -> Client {
    Client::new(Arc::new(Shared::new(resolver, Limits::default(), Vec::new()).unwrap()))
}

/// Limits that no test reaches by itself.
pub(crate) fn patient() -> Timeouts {
    let by = Instant::now() + LONG;
    Timeouts { connect: LONG, head_by: by, idle: LONG, whole_by: by }
}

/// A POST with credentials and a short body.
pub(crate) fn post() -> Outgoing {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(SECRET))]);
    Outgoing {
        method: Method::POST,
        target: Uri::from_static("/v1/chat"),
        headers,
        body: SegmentBody::from(Bytes::from_static(b"{\"a\":1}")),
        timeouts: patient(),
    }
}

/// Kind and phase of a call that must not succeed.
pub(crate) fn failure(outcome: Result<Reply, Failure>) -> (Kind, Phase) {
    match outcome {
        Ok(reply) => panic!("a reply with status {}", reply.status),
        Err(failure) => (failure.kind, failure.phase),
    }
}

/// Sends a POST and reads the whole body.
pub(crate) async fn call(client: &Client, endpoint: &Endpoint) -> Result<Bytes, Failure> {
    client.send(endpoint, post()).await?.body.collect().await
}
