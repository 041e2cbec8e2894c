//! Request bodies out and reply bodies in.
//!
//! Owns the reading of a reply: its limits, and what becomes of its connection. Leaves to others what the bytes mean.
//! **Invariant:** a connection goes back to the pool only when its reply was read to its end; in every other case,
//! being dropped included, it is closed.

use crate::connection::{Connection, kind_of};
use crate::failure::{Failure, Kind, Phase};
use crate::inflate::Inflate;
use crate::pool::{Pool, PoolKey};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, timeout};

/// How long a connection whose reply has ended may take until it is ready for another request: its driver may run on
/// another thread and have a step to go. One whose request is still on its way out by then (an early 413, say) is closed.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// A request body of known length in a few pieces that are not copied together.
#[derive(Debug, Clone, Default)]
pub struct SegmentBody {
    segments: VecDeque<Bytes>,
    length: u64,
}

impl SegmentBody {
    /// A body of these pieces, in order.
    pub fn new(segments: impl IntoIterator<Item = Bytes>) -> Self {
        let segments: VecDeque<Bytes> = segments.into_iter().filter(|segment| !segment.is_empty()).collect();
        let length = segments.iter().map(|segment| segment.len() as u64).sum();
        Self { segments, length }
    }

    /// The pieces that are still to be sent, in order.
    pub fn segments(&self) -> impl Iterator<Item = &Bytes> {
        self.segments.iter()
    }

    /// Bytes in all that are still to be sent.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl From<Bytes> for SegmentBody {
    fn from(bytes: Bytes) -> Self {
        Self::new([bytes])
    }
}

impl Body for SegmentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.segments.pop_front().map(|segment| {
            self.length = self.length.saturating_sub(segment.len() as u64);
            Ok(Frame::data(segment))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.segments.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// Gives the connection back to its pool once the reply was read to its end.
pub(crate) struct Lease {
    pub(crate) connection: Connection,
    pub(crate) pool: Arc<Pool>,
    pub(crate) key: Arc<PoolKey>,
    /// The reply leaves the connection open for another request.
    pub(crate) is_reusable: bool,
}

impl Lease {
    fn give_back(mut self) {
        if !self.is_reusable {
            return;
        }
        if self.connection.is_ready() {
            self.pool.put(&self.key, self.connection);
        } else if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if timeout(SETTLE_MAX, self.connection.becomes_ready()).await == Ok(true) {
                    self.pool.put(&self.key, self.connection);
                }
            });
        }
    }
}

/// The limits of reading a reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadLimits {
    /// Longest silence.
    pub(crate) idle: Duration,
    /// When everything must have come.
    pub(crate) deadline: Instant,
    /// Most bytes.
    pub(crate) bytes_max: u64,
}

/// A reply's body. Dropped before its end, it closes the connection, so that the provider stops at once.
pub struct ReplyBody {
    incoming: Incoming,
    lease: Option<Lease>,
    inflate: Option<Inflate>,
    limits: ReadLimits,
    bytes: u64,
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when the reader waits for more; nothing before the first piece, which has the deadline alone.
    waits_since: Option<Instant>,
    has_begun: bool,
    ended: bool,
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyBody")
            .field("bytes", &self.bytes)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl ReplyBody {
    pub(crate) fn new(
        incoming: Incoming,
        lease: Lease,
        inflate: Option<Inflate>,
        limits: ReadLimits,
    ) -> Self {
        let mut body = Self {
            incoming,
            lease: Some(lease),
            inflate,
            limits,
            bytes: 0,
            timer: None,
            waits_since: None,
            has_begun: false,
            ended: false,
        };
        body.release_at_end();
        body
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Failure`] when the connection broke, a limit was reached, or the encoding is false. Nothing follows a failure.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// The whole body in one piece; copies only when it came in several.
    ///
    /// # Errors
    /// As [`ReplyBody::next`].
    pub async fn collect(mut self) -> Result<Bytes, Failure> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut whole = BytesMut::with_capacity((first.len() + second.len()) * 2);
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await.transpose()? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// As [`ReplyBody::next`], for those who poll.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            let outcome = match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => return self.poll_timer(context).map(|failure| Some(Err(failure))),
            };
            self.waits_since = None;
            self.has_begun = true;
            match self.accept(outcome) {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                outcome => return Poll::Ready(outcome.transpose()),
            }
        }
    }

    /// What an outcome of the connection means: bytes to pass on (none when they wait for more), or the end.
    fn accept(
        &mut self,
        outcome: Option<Result<Frame<Bytes>, hyper::Error>>,
    ) -> Result<Option<Bytes>, Failure> {
        match outcome {
            Some(Ok(frame)) => {
                let Ok(chunk) = frame.into_data() else { return Ok(Some(Bytes::new())) };
                self.bytes += chunk.len() as u64;
                if self.bytes > self.limits.bytes_max {
                    return Err(self.fail(Kind::TooLarge, "the reply is larger than the cap"));
                }
                self.release_at_end();
                match &mut self.inflate {
                    Some(inflate) => inflate.push(&chunk).map(Some).inspect_err(|_| self.close()),
                    None => Ok(Some(chunk)),
                }
            }
            Some(Err(error)) => Err(self.fail(kind_of(&error), &error.to_string())),
            None => self.end(),
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>, Failure> {
        self.ended = true;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        match self.inflate.take() {
            Some(mut inflate) => {
                let rest = inflate.finish()?;
                Ok(if rest.is_empty() { None } else { Some(rest) })
            }
            None => Ok(None),
        }
    }

    /// Where the length was declared, the end is known before it is asked for.
    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }

    fn close(&mut self) {
        self.ended = true;
        self.lease = None;
    }

    fn fail(&mut self, kind: Kind, detail: &str) -> Failure {
        self.close();
        Failure::new(kind, Phase::Reading, detail)
    }

    /// Silence counts from when the reader began to wait: a reader that was busy elsewhere says nothing of the provider.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        let deadline = self.limits.deadline;
        let due = if self.has_begun {
            let since = *self.waits_since.get_or_insert_with(Instant::now);
            since.checked_add(self.limits.idle).map_or(deadline, |idle_until| idle_until.min(deadline))
        } else {
            deadline
        };
        loop {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            // It is not moved at every piece: one that fires early looks again, only one that would be late is moved.
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= due {
                return Poll::Ready(self.fail(Kind::Timeout, "the reply stalled"));
            }
            timer.as_mut().reset(due);
        }
    }
}
