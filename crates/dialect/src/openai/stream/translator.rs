//! The transducer between any provider's stream and OpenAI's.

use super::{ChunkEncoder, StreamPlan};
use crate::conversation::StreamEvent;
use crate::sse::Framer;
use crate::wire::{EventDecoder, Progress, ReplyFault, Transducer};
use bytes::Bytes;

/// Frames a provider's bytes, reads them with `D` and writes OpenAI's chunks. One chunk out at most per chunk in.
#[derive(Debug)]
pub struct Translator<D> {
    framer: Framer,
    decoder: D,
    encoder: ChunkEncoder,
    events: Vec<StreamEvent>,
    progress: Progress,
}

impl<D: EventDecoder> Translator<D> {
    /// A transducer at the beginning of a stream.
    pub fn new(decoder: D, plan: StreamPlan) -> Self {
        Self {
            framer: Framer::new(),
            decoder,
            encoder: ChunkEncoder::new(plan),
            events: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Reads every whole frame into `events`, up to the first fault.
    fn read_frames(&mut self) -> Result<(), ReplyFault> {
        while let Some(frame) = self.framer.next_frame()? {
            self.decoder.read(&frame, &mut self.events)?;
        }
        Ok(())
    }

    /// Writes the events read so far and notes what they mean for the attempt.
    fn write_events(&mut self, bytes: &mut Vec<u8>) {
        for event in &self.events {
            self.progress.note(event);
        }
        self.progress.complete = self.decoder.is_complete();
        self.encoder.encode(&self.events, bytes);
        self.events.clear();
    }
}

/// Hands over what was written, if anything was.
fn hand_over(bytes: Vec<u8>, out: &mut Vec<Bytes>) {
    if !bytes.is_empty() {
        out.push(Bytes::from(bytes));
    }
}

impl<D: EventDecoder> Transducer for Translator<D> {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        self.framer.push(chunk);
        let read = self.read_frames();
        let mut bytes = Vec::new();
        self.write_events(&mut bytes);
        hand_over(bytes, out);
        read
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        let read = match self.framer.take_pending() {
            Some(frame) => self.decoder.read(&frame, &mut self.events),
            None => Ok(()),
        };
        let mut bytes = Vec::new();
        self.write_events(&mut bytes);
        let ending = match read {
            // A frame that was cut in the middle is the same as a stream that was cut: the end mark tells.
            Ok(()) | Err(ReplyFault::Malformed(_)) if self.decoder.is_complete() => {
                self.encoder.finish(&mut bytes);
                Ok(())
            }
            Err(fault @ ReplyFault::Error(_)) => Err(fault),
            Ok(()) | Err(ReplyFault::Malformed(_)) => {
                Err(ReplyFault::Malformed("the stream ended without its end mark"))
            }
        };
        hand_over(bytes, out);
        ending
    }

    fn progress(&self) -> Progress {
        self.progress
    }
}

impl Progress {
    /// Counts what an event adds to what is known.
    fn note(&mut self, event: &StreamEvent) {
        let is_content = match event {
            StreamEvent::Text { delta, .. }
            | StreamEvent::Reasoning { delta, .. }
            | StreamEvent::Refusal { delta, .. }
            | StreamEvent::ToolCallArguments { delta, .. } => {
                self.content_bytes += delta.len() as u64;
                !delta.is_empty()
            }
            StreamEvent::Usage(usage) => {
                self.usage = Some(*usage);
                false
            }
            StreamEvent::ReasoningSignature { .. }
            | StreamEvent::RedactedReasoning { .. }
            | StreamEvent::ToolCallStart { .. } => true,
            StreamEvent::Start { .. } | StreamEvent::Logprobs { .. } | StreamEvent::Finish { .. } => false,
        };
        self.content_started |= is_content;
    }
}
