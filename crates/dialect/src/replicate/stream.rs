//! A prediction as it is made: events `output`, `error` and `done`.
//!
//! Owns, too, the frame in which the server puts its own last look at the prediction behind the provider's events.
//! **Invariant:** a text is told once, by the events or by the last look.

use super::prediction::{Prediction, failed};
use crate::conversation::{Part, StopReason, StreamEvent};
use crate::json::value::filled_text;
use crate::sse::Frame;
use crate::wire::{EventDecoder, Reading, ReplyFault};
use serde_json::Value;

/// Most bytes of an event: a last look tells the whole answer of a model that does not stream.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// The event that Replicate does not have: a look at the prediction once it is over.
pub(super) const LAST_LOOK: &str = "prediction";

/// Whether nothing more will come of the prediction after this event of its stream.
pub fn ends(frame: &Frame<'_>) -> bool {
    matches!(frame.event, Some("done" | "error"))
}

/// Reads one stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    reading: Reading,
    has_started: bool,
    is_complete: bool,
}

impl StreamDecoder {
    /// A decoder at the beginning of the stream of a prediction.
    pub fn new(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    fn start(&mut self, id: &str, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(StreamEvent::Start { id: id.to_owned(), model: self.reading.model.clone() });
        }
    }

    /// The tokens, which no other event counts; and the answer, where no event has told any of it.
    fn last_look(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let prediction = Prediction::read(&frame.data)?;
        let usage = prediction.usage().map(StreamEvent::Usage);
        if self.has_started {
            out.extend(usage);
            return Ok(());
        }
        let reply = prediction.into_reply(&self.reading)?;
        self.start(&reply.id, out);
        let parts = reply.choices.into_iter().flat_map(|choice| choice.parts);
        out.extend(parts.filter_map(|part| match part {
            Part::Text { text, .. } if !text.is_empty() => Some(StreamEvent::Text { choice: 0, delta: text }),
            _ => None,
        }));
        self.finish(out);
        out.extend(usage);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<StreamEvent>) {
        self.is_complete = true;
        out.push(StreamEvent::Finish { choice: 0, stop: StopReason::Stop, stop_sequence: None });
    }

    fn done(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let end: Value = serde_json::from_slice(&frame.data).unwrap_or_default();
        match filled_text(&end, "reason") {
            None => {
                self.finish(out);
                Ok(())
            }
            Some("canceled") => Err(ReplyFault::Error(failed("the prediction was canceled"))),
            Some(_) => Err(ReplyFault::Error(failed("the prediction failed"))),
        }
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if frame.event == Some(LAST_LOOK) {
            return self.last_look(frame, out);
        }
        if self.is_complete {
            return Ok(());
        }
        self.start("", out);
        match frame.event {
            Some("output") => {
                let delta = std::str::from_utf8(&frame.data)
                    .map_err(|_| ReplyFault::Malformed("an output is no text"))?;
                if !delta.is_empty() {
                    out.push(StreamEvent::Text { choice: 0, delta: delta.to_owned() });
                }
                Ok(())
            }
            Some("error") => {
                let error: Value = serde_json::from_slice(&frame.data).unwrap_or_default();
                let sentence = filled_text(&error, "detail").unwrap_or("the prediction failed");
                Err(ReplyFault::Error(failed(sentence)))
            }
            Some("done") => self.done(frame, out),
            _ => Ok(()),
        }
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}
