//! The container's stream out of the payloads of Amazon's events.

use super::Container;
use super::errors::decode_error;
use super::text::TextDecoder;
use crate::conversation::StreamEvent;
use crate::framing::event_stream::UNMODELLED_ERROR;
use crate::openai::ChunkDecoder;
use crate::sse::{Frame, Framer};
use crate::wire::{EventDecoder, Reading, ReplyFault};
use bytes::Bytes;

/// The event whose payload is a piece of the container's stream.
const PIECE: &str = "PayloadPart";

/// Reads one stream.
#[derive(Debug)]
pub struct StreamDecoder {
    framer: Framer,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Chunks(ChunkDecoder),
    Text(TextDecoder),
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream that answers the request which `reading` came from.
    pub fn new(container: Container, reading: Reading) -> Self {
        let inner = match container {
            Container::Messages => Inner::Chunks(ChunkDecoder::new()),
            Container::Text => Inner::Text(TextDecoder::new(reading)),
        };
        Self { framer: Framer::new(), inner }
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        match frame.event {
            None | Some(PIECE) => {}
            Some("ModelStreamError" | "InternalStreamFailure" | UNMODELLED_ERROR) => {
                return Err(ReplyFault::Error(decode_error(500, &frame.data)));
            }
            Some(_) => return Ok(()),
        }
        self.framer.push(Bytes::copy_from_slice(&frame.data));
        while let Some(piece) = self.framer.next_frame()? {
            match &mut self.inner {
                Inner::Chunks(chunks) => chunks.read(&piece, out)?,
                Inner::Text(text) => text.read(&piece, out)?,
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        match &self.inner {
            Inner::Chunks(chunks) => chunks.is_complete(),
            Inner::Text(text) => text.is_complete(),
        }
    }
}
