//! Request bodies out and reply bodies in.

use crate::failure::{Failure, Kind, Phase};
use crate::inflate::Inflate;
use crate::pool::{Pool, PoolKey};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

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

    /// Bytes in all.
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

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
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
    pub(crate) sender: SendRequest<SegmentBody>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) key: PoolKey,
}

/// The time limits of reading a reply.
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
    last_chunk: Option<Instant>,
    ended: bool,
}

impl ReplyBody {
    pub(crate) fn new(incoming: Incoming, lease: Lease, inflate: Option<Inflate>, limits: ReadLimits) -> Self {
        Self {
            incoming,
            lease: Some(lease),
            inflate,
            limits,
            bytes: 0,
            timer: None,
            last_chunk: None,
            ended: false,
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Failure`] when the connection broke, a limit was reached, or the encoding is false.
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
            match self.accept(outcome) {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                outcome => return Poll::Ready(outcome.transpose()),
            }
        }
    }

    /// What an outcome of the connection means: bytes to pass on (none when they wait for more), or the end.
    fn accept(&mut self, outcome: Option<Result<Frame<Bytes>, hyper::Error>>) -> Result<Option<Bytes>, Failure> {
        match outcome {
            Some(Ok(frame)) => {
                self.last_chunk = Some(Instant::now());
                let Ok(chunk) = frame.into_data() else { return Ok(Some(Bytes::new())) };
                self.bytes += chunk.len() as u64;
                if self.bytes > self.limits.bytes_max {
                    return Err(self.fail(Kind::TooLarge, "the reply is larger than the cap"));
                }
                match &mut self.inflate {
                    Some(inflate) => inflate.push(&chunk).map(Some).inspect_err(|_| self.ended = true),
                    None => Ok(Some(chunk)),
                }
            }
            Some(Err(error)) => {
                let kind = if error.is_parse() { Kind::Protocol } else { Kind::Reset };
                Err(self.fail(kind, &error.to_string()))
            }
            None => self.end(),
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>, Failure> {
        self.ended = true;
        if let Some(lease) = self.lease.take() {
            lease.pool.put(&lease.key, lease.sender);
        }
        match self.inflate.take() {
            Some(mut inflate) => {
                let rest = inflate.finish()?;
                Ok(if rest.is_empty() { None } else { Some(rest) })
            }
            None => Ok(None),
        }
    }

    fn fail(&mut self, kind: Kind, detail: &str) -> Failure {
        self.ended = true;
        self.lease = None;
        Failure::new(kind, Phase::Reading, detail)
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Failure> {
        loop {
            let idle_until = self.last_chunk.map_or(self.limits.deadline, |last| last + self.limits.idle);
            let due = idle_until.min(self.limits.deadline);
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            ready!(timer.as_mut().poll(context));
            // The timer is not moved at every chunk; it looks again when it fires.
            if Instant::now() >= due {
                return Poll::Ready(self.fail(Kind::Timeout, "the reply stalled"));
            }
            timer.as_mut().reset(due);
        }
    }
}
