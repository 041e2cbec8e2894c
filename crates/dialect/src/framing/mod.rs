//! How providers cut their streams into events: server-sent events, lines of JSON, Amazon's binary event stream.
//!
//! Owns the choice between the framings, behind one interface. Leaves what an event means to each wire.
//! **Invariant:** the frames are the same for every way of cutting the input into chunks.

pub mod event_stream;
mod lines;

pub use event_stream::EventStreamFramer;
pub use lines::LineFramer;

use crate::sse::{Frame, Framer};
use crate::wire::ReplyFault;
use bytes::Bytes;

/// One provider's framing, at some place of its stream.
#[derive(Debug)]
pub enum Framing {
    /// Server-sent events.
    Events(Framer),
    /// One JSON value a line (Ollama).
    Lines(LineFramer),
    /// Amazon's binary event stream (Bedrock).
    EventStream(Box<EventStreamFramer>),
}

impl Framing {
    /// Server-sent events with the usual cap on a frame.
    pub fn events() -> Self {
        Self::Events(Framer::new())
    }

    /// Server-sent events of up to this many bytes each.
    pub fn events_with_cap(bytes_max: usize) -> Self {
        Self::Events(Framer::with_cap(bytes_max))
    }

    /// Lines of JSON.
    pub fn lines() -> Self {
        Self::Lines(LineFramer::default())
    }

    /// Amazon's binary event stream.
    pub fn event_stream() -> Self {
        Self::EventStream(Box::default())
    }

    /// Takes the next chunk of the body. Call [`Self::next_frame`] until it gives `None` before the next push.
    pub fn push(&mut self, chunk: Bytes) {
        match self {
            Self::Events(framer) => framer.push(chunk),
            Self::Lines(framer) => framer.push(&chunk),
            Self::EventStream(framer) => framer.push(chunk),
        }
    }

    /// The next whole frame that has data.
    ///
    /// # Errors
    /// [`ReplyFault::Malformed`] when a frame is longer than the cap or breaks its framing's rules.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplyFault> {
        match self {
            Self::Events(framer) => framer.next_frame(),
            Self::Lines(framer) => framer.next_frame(),
            Self::EventStream(framer) => framer.next_frame(),
        }
    }

    /// What has come of a frame that has not ended, once the body has.
    pub fn take_pending(&mut self) -> Option<Frame<'_>> {
        match self {
            Self::Events(framer) => framer.take_pending(),
            Self::Lines(framer) => framer.take_pending(),
            // Half a message has no checksum, so nothing of it counts.
            Self::EventStream(_) => None,
        }
    }
}
