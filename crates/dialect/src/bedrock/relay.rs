//! A stream between two ends of this dialect: its messages are passed on as they came, and read on the way past.
//!
//! Converse names no model in a stream, so no byte changes. **Invariant:** the bytes that come out, put together, are
//! the same for every way of cutting the stream into chunks, and end before a message that is an exception or broken:
//! its place is the caller's error's.

use super::stream::StreamDecoder;
use super::stream_encoder::StreamEncoder;
use crate::conversation::StreamEvent;
use crate::framing::EventStreamFramer;
use crate::sse::Frame;
use crate::wire::{
    CallerError, EventDecoder, EventEncoder, Progress, Reading, ReplyFacts, ReplyFault, Transducer,
};
use bytes::Bytes;

/// Passes a Converse stream on.
#[derive(Debug)]
pub struct StreamRelay {
    framer: EventStreamFramer,
    decoder: StreamDecoder,
    events: Vec<StreamEvent>,
    progress: Progress,
}

impl StreamRelay {
    /// A relay at the beginning of a stream.
    pub fn new(reading: Reading) -> Self {
        let (framer, decoder) = (EventStreamFramer::default(), StreamDecoder::new(reading));
        Self { framer, decoder, events: Vec::new(), progress: Progress::default() }
    }

    /// Reads every whole message; gives the bytes of those that were put together from several chunks, and where in the
    /// present chunk the others end.
    fn read_messages(
        &mut self,
        kept: &mut Vec<u8>,
        end: &mut Option<(usize, usize)>,
    ) -> Result<(), ReplyFault> {
        while let Some(message) = self.framer.next_message()? {
            self.decoder.read(&Frame::new(message.name, message.payload), &mut self.events)?;
            self.progress.frames += 1;
            match message.chunk_offset {
                Some(start) => {
                    let begin = end.map_or(start, |(begin, _)| begin);
                    *end = Some((begin, start + message.raw.len()));
                }
                None => kept.extend_from_slice(message.raw),
            }
        }
        Ok(())
    }

    fn note(&mut self) {
        for event in &self.events {
            self.progress.note(event);
        }
        self.events.clear();
        self.progress.complete = self.decoder.is_complete();
    }
}

impl Transducer for StreamRelay {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        self.framer.push(chunk.clone());
        let (mut kept, mut end) = (Vec::new(), None);
        let read = self.read_messages(&mut kept, &mut end);
        // A message from several chunks can only be the first of those that a chunk ends.
        let whole = end.map_or_else(Bytes::new, |(begin, end)| chunk.slice(begin..end));
        if kept.is_empty() {
            out.extend((!whole.is_empty()).then_some(whole));
        } else {
            kept.extend_from_slice(&whole);
            out.push(Bytes::from(kept));
        }
        self.note();
        read
    }

    fn finish(&mut self, _out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        // Behind the reason to stop comes what was used, and no end mark.
        if self.progress.complete || self.progress.finished {
            return Ok(());
        }
        Err(ReplyFault::Malformed("the stream ended without its end mark"))
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<Bytes>) {
        let mut bytes = Vec::new();
        StreamEncoder::new(ReplyFacts::default()).fail(error, &mut bytes);
        out.push(Bytes::from(bytes));
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}
