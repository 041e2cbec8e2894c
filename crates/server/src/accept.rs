//! The accept loop and what every connection is held to.
//!
//! Owns sockets of callers: how many, their time limits, the panic fence around a request. Leaves the requests to the
//! pipeline. Takes its listener and its stop signal as arguments, so that a test owns both, and the network between.

use crate::drain::Stage;
use crate::error::Rejection;
use crate::pipeline;
use crate::realtime::Slot;
use crate::reply::GatewayBody;
use crate::worker::Worker;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// After `accept` failed (usually: no file descriptor left) it is not tried again for so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection may take to write its last error event once the grace time is over.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Most header lines that the HTTP library takes without being told a number.
const LIBRARY_HEADERS_MAX: usize = 100;

/// What every connection of a caller is held to.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Most connections at a time, over all workers.
    pub connections: Arc<Semaphore>,
    /// Longest wait for a request's head, and for the next request on a kept connection.
    pub head_timeout: Duration,
    /// Most bytes of a head (64 KiB).
    pub head_bytes_max: usize,
    /// Most header lines (100).
    pub headers_max: usize,
    /// A caller that takes no byte for so long is let go.
    pub write_stall_max: Duration,
}

/// Where callers' connections come from.
pub trait Listener: Send {
    /// A connected socket.
    type Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Where a caller is, if that is known.
    fn peer(&self, _socket: &Self::Socket) -> Option<IpAddr> {
        None
    }

    /// Waits for the next caller. Dropped before that, it lets nobody in.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Socket>> + Send;
}

impl Listener for TcpListener {
    type Socket = TcpStream;

    fn peer(&self, socket: &TcpStream) -> Option<IpAddr> {
        socket.peer_addr().ok().map(|peer| peer.ip())
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Without this, every frame of a stream waits up to 40 ms for the caller's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        Ok(stream)
    }
}

/// Accepts and serves connections until the drain begins, then waits until those that run have ended.
pub async fn serve(listener: impl Listener, worker: Arc<Worker>, limits: ConnectionLimits) {
    let mut stage = worker.gateway.drain().subscribe();
    let mut connections = tokio::task::JoinSet::new();
    worker.gateway.snapshot().start_authorizations(&worker.client);
    while *stage.borrow_and_update() == Stage::Running {
        let accepted = tokio::select! {
            // The stage first: a connection whose turn comes as the drain begins is not let in.
            biased;
            _ = stage.changed() => continue,
            accepted = accept(&listener, &limits.connections) => accepted,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                note_end(&worker, &ended);
                continue;
            }
        };
        let Some((stream, permit)) = accepted else { continue };
        let peer = listener.peer(&stream);
        let (worker, limits) = (Arc::clone(&worker), limits.clone());
        connections.spawn(async move {
            connection((stream, peer), worker, &limits).await;
            drop(permit);
        });
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        note_end(&worker, &ended);
    }
}

/// Counts a connection that a panic ended: one beyond the fence around its requests, in writing a body.
fn note_end(worker: &Worker, ended: &Result<(), JoinError>) {
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        worker.gateway.metrics().bugs.inc();
        tracing::error!("a connection's code panicked");
    }
}

async fn accept<L: Listener>(
    listener: &L,
    connections: &Arc<Semaphore>,
) -> Option<(L::Socket, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok(stream) => Some((stream, permit)),
        Err(error) => {
            tracing::warn!(%error, "accept failed");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection<S>((stream, peer): (S, Option<IpAddr>), worker: Arc<Worker>, limits: &ConnectionLimits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stage = worker.gateway.drain().subscribe();
    if *stage.borrow() != Stage::Running {
        // The drain began between the accept and this line.
        stage.mark_changed();
    }
    let slot = Slot::default();
    let becomes = slot.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (worker, slot) = (Arc::clone(&worker), slot.clone());
        async move { Ok::<_, Infallible>(fenced(&worker, (request, peer), slot).await) }
    });
    let stream = TokioIo::new(crate::stall::StallGuard::new(stream, limits.write_stall_max));
    let mut connection = pin!(builder(limits).serve_connection(stream, service).with_upgrades());
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "caller's connection ended");
                }
                break;
            }
            _ = stage.changed() => {
                connection.as_mut().graceful_shutdown();
                if *stage.borrow_and_update() == Stage::Over {
                    // The streams see the stage when they are polled, say so to the caller, and end.
                    let _ = tokio::time::timeout(LAST_WORDS, connection.as_mut()).await;
                    break;
                }
            }
        }
    }
    // What the connection has become, it is in this task, so that it ends with it and is waited for at the end.
    if let Some(session) = becomes.take() {
        Box::pin(session.run()).await;
    }
}

fn builder(limits: &ConnectionLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        // The buffer alone would take a head of twice its size that comes in one piece.
        .max_buf_size(limits.head_bytes_max)
        .max_header_size(limits.head_bytes_max);
    if limits.headers_max != LIBRARY_HEADERS_MAX {
        // The library takes memory for every request once it is told a number, be it its own.
        builder.max_headers(limits.headers_max);
    }
    builder
}

/// Whether bytes that follow the head may be meant for something that is not HTTP (RFC 9110, 7.8 and 9.3.6). Where such
/// a request is not granted, whoever sent them before the answer must not see them read as requests.
fn may_be_followed_by_others(request: &Request<Incoming>) -> bool {
    *request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE)
}

/// A defect in one request's code ends that request with a 500 and nothing else.
async fn fenced(
    worker: &Worker,
    (mut request, peer): (Request<Incoming>, Option<IpAddr>),
    slot: Slot,
) -> Response<GatewayBody> {
    let closes = may_be_followed_by_others(&request);
    if request.headers().contains_key(UPGRADE) {
        request.extensions_mut().insert(slot);
    }
    let answered = PanicFence { inner: Box::pin(pipeline::answer(worker, request, peer)) }.await;
    let mut response = answered.unwrap_or_else(|()| {
        worker.gateway.metrics().bugs.inc();
        tracing::error!("a request's code panicked");
        pipeline::finish_headers(Rejection::internal().into_response())
    });
    if closes && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

struct PanicFence<F> {
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for PanicFence<F> {
    type Output = Result<F::Output, ()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.inner.as_mut();
        match catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_fenced_and_the_next_future_runs() {
        let fenced = |panics: bool| PanicFence {
            inner: Box::pin(async move {
                tokio::task::yield_now().await;
                assert!(!panics, "on purpose");
                7
            }),
        };
        assert_eq!(fenced(true).await, Err(()));
        assert_eq!(fenced(false).await, Ok(7));
    }
}
