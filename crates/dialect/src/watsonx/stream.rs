//! A streamed chat: OpenAI's chunks without an end mark, errors as events of their own.

use super::error_in_place_of_answer;
use crate::conversation::StreamEvent;
use crate::openai::ChunkDecoder;
use crate::sse::Frame;
use crate::wire::{EventDecoder, ReplyFault};

/// Reads one stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    chunks: ChunkDecoder,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        // An event of this name, or the body of one where a chunk should be.
        if let Some(error) = may_be_error(frame).then(|| error_in_place_of_answer(&frame.data)).flatten() {
            return Err(ReplyFault::Error(error));
        }
        self.chunks.read(frame, out)
    }

    fn is_complete(&self) -> bool {
        self.chunks.is_complete()
    }
}

fn may_be_error(frame: &Frame<'_>) -> bool {
    frame.event == Some("error") || memchr::memmem::find(&frame.data, b"\"errors\"").is_some()
}
