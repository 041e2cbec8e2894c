//! Replies to the caller: bodies, whole or streamed, and headers.

mod headers;
mod shared;
mod stream;

pub(crate) use headers::{
    KEY_SPEND, ReplyHeaders, TargetFacts, TargetHeaders, X_LITELLM_CACHE_KEY, X_TOLLGATE_CACHE,
    X_TOLLGATE_CACHE_AGE, X_TOLLGATE_HEDGED, X_TOLLGATE_MAX_TOKENS_LOWERED, X_TOLLGATE_ROUTE,
    add_security_headers, header_number, header_text,
};
pub(crate) use shared::{Listener, SharedStream};
pub(crate) use stream::{Keep, StreamBody, StreamParts, Upstream};

use crate::drain::Drain;
use crate::routing::Admitted;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of any reply of the gateway.
pub struct GatewayBody(Inner);

enum Inner {
    Whole { segments: VecDeque<Bytes>, left: u64 },
    Stream(Box<StreamBody>),
    Shared(Box<Listener>),
}

impl GatewayBody {
    /// A body that is there already.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::segments([bytes.into()])
    }

    /// A body in a few pieces, not copied together.
    pub(crate) fn segments(segments: impl IntoIterator<Item = Bytes>) -> Self {
        let segments: VecDeque<Bytes> = segments.into_iter().filter(|segment| !segment.is_empty()).collect();
        let left = segments.iter().map(|segment| segment.len() as u64).sum();
        Self(Inner::Whole { segments, left })
    }

    /// Keeps a request's place until a stream is over; a body that is there already needs none.
    pub(crate) fn hold(&mut self, place: Admitted) {
        match &mut self.0 {
            Inner::Stream(stream) => stream.hold(place),
            Inner::Shared(listener) => listener.with_body(|stream| stream.hold(place)),
            Inner::Whole { .. } => {}
        }
    }

    /// A body that comes piece by piece, for others too.
    pub(crate) fn listen(listener: Listener) -> Self {
        Self(Inner::Shared(Box::new(listener)))
    }

    /// A body that comes piece by piece.
    pub(crate) fn stream(stream: StreamBody) -> Self {
        Self(Inner::Stream(Box::new(stream)))
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.0 {
            Inner::Whole { segments, left } => {
                let piece = segments.pop_front();
                *left = left.saturating_sub(piece.as_ref().map_or(0, |piece| piece.len() as u64));
                Poll::Ready(piece)
            }
            Inner::Stream(stream) => stream.poll_piece(context),
            Inner::Shared(listener) => listener.poll_piece(context),
        };
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole { segments, .. } => segments.is_empty(),
            Inner::Stream(_) | Inner::Shared(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole { left, .. } => SizeHint::with_exact(*left),
            Inner::Stream(_) | Inner::Shared(_) => SizeHint::default(),
        }
    }
}

/// What a stream needs to know of the gateway's end.
pub(crate) type DrainHandle = std::sync::Arc<Drain>;
