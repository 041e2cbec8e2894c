//! Server-sent-event framing: chunks of bytes in, frames out.
//!
//! Owns the line and field grammar of the WHATWG event stream and the cap on one frame. Leaves what the data means to
//! each wire. **Invariant:** the frames are the same for every way of cutting the input into chunks.

use crate::wire::ReplyFault;
use bytes::Bytes;
use std::borrow::Cow;

/// Longest frame that is accepted, in bytes, its line ends included.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// One event of a stream, borrowed from the framer.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// The `event:` field.
    pub event: Option<&'a str>,
    /// The `data:` fields, joined by LF.
    pub data: Cow<'a, [u8]>,
    raw: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame made of its parts, for tests and for callers that frame by other means.
    pub fn new(event: Option<&'a str>, data: &'a [u8]) -> Self {
        Self { event, data: Cow::Borrowed(data), raw: data }
    }

    /// The frame as it came, with its line ends.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }
}

/// Cuts chunks into frames.
#[derive(Debug, Default)]
pub struct Framer {
    chunk: Bytes,
}

impl Framer {
    /// A framer at the beginning of a stream, with [`FRAME_BYTES_MAX`] as its cap.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk of the body. Call [`Framer::next_frame`] until it gives `None` before the next push.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// The next whole frame that has data; comments and frames without a `data:` field are passed over.
    ///
    /// # Errors
    /// [`ReplyFault::Malformed`] when a frame is longer than the cap.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplyFault> {
        Ok(None)
    }

    /// The bytes of a frame whose end has not come. WHATWG discards them at the end of the input.
    pub fn pending(&self) -> &[u8] {
        &[]
    }

    /// At the end of the input: what is pending, read as if its blank line had come (`data: [DONE]` is often cut so).
    pub fn take_pending(&mut self) -> Option<Frame<'_>> {
        None
    }
}
