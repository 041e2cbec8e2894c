//! One connection to a provider: the right to send on it, and what has been heard on it.
//!
//! Owns when a connection lives and how its breaks are named. Leaves to others: opening it, keeping it.
//! **Invariant:** the socket is closed as soon as its [`Connection`] is dropped, whatever the provider is doing.
//! **Invariant:** between a request and the head of its reply no more than [`Meter::head_bytes_max`] bytes are read, so
//! that interim replies without end do not keep a core busy.

use crate::body::SegmentBody;
use crate::failure::Kind;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

/// A connection that is ours to send on.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<SegmentBody>,
    pub(crate) meter: Arc<Meter>,
    /// The task that moves the bytes.
    pub(crate) driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Waiting for a provider that has stalled, the driver would not notice that nobody wants its reply any more.
        self.driver.abort();
    }
}

impl Connection {
    /// The last reply was read to its end, the last request was written to its end, and the peer has not closed.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its reply.
    pub(crate) async fn send(
        &mut self,
        request: Request<SegmentBody>,
    ) -> Result<Response<Incoming>, Unanswered> {
        self.meter.request_begins();
        let mut reply = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let outcome = poll_fn(|context| {
            if let Poll::Ready(outcome) = reply.as_mut().poll(context) {
                return Poll::Ready(Some(outcome));
            }
            ready!(Pin::new(&mut *driver).poll(context)).ok();
            // A request that is handed over in the very moment in which the driver ends stays where it is: nobody takes
            // it, and nobody says so.
            match reply.as_mut().poll(context) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => Poll::Ready(None),
            }
        })
        .await;
        match outcome {
            Some(Ok(response)) => {
                self.meter.head_came();
                Ok(response)
            }
            Some(Err(error)) => {
                let was_sent = error.message().is_none();
                let error = error.into_error();
                Err(Unanswered { kind: kind_of(&error), was_sent, detail: error.to_string() })
            }
            None => Err(Unanswered {
                kind: Kind::Reset,
                was_sent: false,
                detail: "closed while the request was handed over".to_owned(),
            }),
        }
    }

    /// Waits until it is ready; `false` when it never will be.
    pub(crate) async fn becomes_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }
}

/// Why a request has no reply.
pub(crate) struct Unanswered {
    pub(crate) kind: Kind,
    /// A part of the request may have gone out.
    pub(crate) was_sent: bool,
    /// For the log.
    pub(crate) detail: String,
}

/// What has been heard since the last request.
#[derive(Debug)]
pub(crate) struct Meter {
    heard: AtomicU64,
    awaits_head: AtomicBool,
    head_bytes_max: u64,
}

impl Meter {
    pub(crate) fn new(head_bytes_max: u64) -> Self {
        Self { heard: AtomicU64::new(0), awaits_head: AtomicBool::new(false), head_bytes_max }
    }

    /// A request is about to be sent.
    fn request_begins(&self) {
        self.heard.store(0, Ordering::Relaxed);
        self.awaits_head.store(true, Ordering::Relaxed);
    }

    /// The head of its reply is here.
    fn head_came(&self) {
        self.awaits_head.store(false, Ordering::Relaxed);
    }

    /// Whether the provider has said anything to the request that is under way.
    pub(crate) fn is_silent(&self) -> bool {
        self.heard.load(Ordering::Relaxed) == 0
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        if !self.awaits_head.load(Ordering::Relaxed) {
            return Ok(());
        }
        let heard = self.heard.fetch_add(bytes as u64, Ordering::Relaxed).saturating_add(bytes as u64);
        if heard > self.head_bytes_max {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a head without end"))
        } else {
            Ok(())
        }
    }
}

/// A stream whose bytes are counted as they are read.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        Poll::Ready(this.meter.count(buffer.filled().len().saturating_sub(before)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// What a break of an open connection is: not HTTP, an alert of TLS (a certificate of ours is wanted, say), or a break.
pub(crate) fn kind_of(error: &hyper::Error) -> Kind {
    if error.is_parse() {
        return Kind::Protocol;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return match io.kind() {
                _ if io.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) => Kind::Tls,
                // Chunk sizes that are no numbers, lines without end, and our own cap.
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Kind::Protocol,
                _ => Kind::Reset,
            };
        }
        cause = inner.source();
    }
    Kind::Reset
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn only_what_comes_before_the_head_is_counted_and_capped() {
        let meter = Arc::new(Meter::new(10));
        let text: &[u8] = &[b'x'; 100];
        let mut stream = Metered::new(text, Arc::clone(&meter));
        let mut piece = [0; 8];
        stream.read_exact(&mut piece).await.unwrap();
        assert!(meter.is_silent(), "nobody asked for it");
        meter.request_begins();
        stream.read_exact(&mut piece).await.unwrap();
        assert!(!meter.is_silent());
        assert_eq!(stream.read_exact(&mut piece).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        meter.head_came();
        stream.read_exact(&mut piece).await.unwrap();
        meter.request_begins();
        assert!(meter.is_silent());
    }
}
