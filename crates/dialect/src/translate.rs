//! The transducer between any provider's stream and any caller's.
//!
//! Owns the order of the steps: frame, read, note, write. Leaves framing to [`crate::framing`], a provider's events to
//! its decoder and the caller's bytes to its encoder.

use crate::conversation::{ChatReply, StreamEvent};
use crate::framing::Framing;
use crate::told::Teller;
use crate::wire::{CallerError, EventDecoder, EventEncoder, Losses, Progress, ReplyFault, Transducer};
use bytes::Bytes;

/// Frames a provider's bytes, reads them with `D` and writes them with `E`. One chunk out at most per chunk in.
#[derive(Debug)]
pub struct Translator<D, E> {
    framing: Framing,
    decoder: D,
    encoder: E,
    events: Vec<StreamEvent>,
    progress: Progress,
    teller: Teller,
    has_several: bool,
}

impl<D: EventDecoder, E: EventEncoder> Translator<D, E> {
    /// A transducer at the beginning of a stream.
    pub fn new(framing: Framing, decoder: D, encoder: E) -> Self {
        let (events, progress, teller) = (Vec::new(), Progress::default(), Teller::default());
        Self { framing, decoder, encoder, events, progress, teller, has_several: false }
    }

    /// Reads every whole frame into `events`, up to the first fault.
    fn read_frames(&mut self) -> Result<(), ReplyFault> {
        while let Some(frame) = self.framing.next_frame()? {
            self.progress.frames += 1;
            self.decoder.read(&frame, &mut self.events)?;
        }
        Ok(())
    }

    /// The end mark was read, or the only answer has its reason to stop: nothing of it is missing then.
    fn is_whole(&self) -> bool {
        self.decoder.is_complete() || (self.progress.finished && !self.has_several)
    }

    /// Writes the events read so far and notes what they mean for the attempt.
    fn write_events(&mut self, bytes: &mut Vec<u8>) {
        for event in &self.events {
            self.progress.note(event);
            self.has_several |= event.choice() > 0;
        }
        self.progress.complete = self.decoder.is_complete();
        self.encoder.encode(&self.events, bytes);
        self.teller.hear(&self.events, &self.encoder, &mut self.progress.lost);
        self.events.clear();
    }
}

/// Hands over what was written, if anything was.
fn hand_over(bytes: Vec<u8>, out: &mut Vec<Bytes>) {
    if !bytes.is_empty() {
        out.push(Bytes::from(bytes));
    }
}

impl<D: EventDecoder, E: EventEncoder> Transducer for Translator<D, E> {
    fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        self.framing.push(chunk);
        let read = self.read_frames();
        let mut bytes = Vec::new();
        self.write_events(&mut bytes);
        hand_over(bytes, out);
        read
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), ReplyFault> {
        let read = match self.framing.take_pending() {
            Some(frame) => {
                self.progress.frames += 1;
                self.decoder.read(&frame, &mut self.events)
            }
            None => Ok(()),
        };
        let mut bytes = Vec::new();
        self.write_events(&mut bytes);
        let ending = match read {
            // A frame that was cut in the middle is the same as a stream that was cut: the end mark tells.
            Ok(()) | Err(ReplyFault::Malformed(_)) if self.is_whole() => {
                self.encoder.finish(&mut bytes);
                self.teller.end(&self.encoder, &mut self.progress.lost);
                Ok(())
            }
            Err(fault @ (ReplyFault::Error(_) | ReplyFault::Disagrees)) => Err(fault),
            Ok(()) | Err(ReplyFault::Malformed(_)) => {
                Err(ReplyFault::Malformed("the stream ended without its end mark"))
            }
        };
        hand_over(bytes, out);
        ending
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<Bytes>) {
        let mut bytes = Vec::new();
        self.encoder.fail(error, &mut bytes);
        self.teller.end(&self.encoder, &mut self.progress.lost);
        hand_over(bytes, out);
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl EventEncoder for Box<dyn EventEncoder> {
    fn encode(&mut self, events: &[StreamEvent], out: &mut Vec<u8>) {
        (**self).encode(events, out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        (**self).finish(out);
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>) {
        (**self).fail(error, out);
    }

    fn note_lost(&self, reply: &ChatReply, lost: &mut Losses) {
        (**self).note_lost(reply, lost);
    }
}

impl EventDecoder for Box<dyn EventDecoder> {
    fn read(&mut self, frame: &crate::sse::Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        (**self).read(frame, out)
    }

    fn is_complete(&self) -> bool {
        (**self).is_complete()
    }
}
