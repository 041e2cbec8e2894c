//! A prediction as it is made: events `output`, `error` and `done`.

use super::prediction::failed;
use crate::conversation::{StopReason, StreamEvent};
use crate::json::value::filled_text;
use crate::sse::Frame;
use crate::wire::{EventDecoder, Reading, ReplyFault};
use serde_json::Value;

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

    fn done(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let end: Value = serde_json::from_slice(&frame.data).unwrap_or_default();
        match filled_text(&end, "reason") {
            None => {
                self.is_complete = true;
                out.push(StreamEvent::Finish { choice: 0, stop: StopReason::Stop, stop_sequence: None });
                Ok(())
            }
            Some("canceled") => Err(ReplyFault::Error(failed("the prediction was canceled"))),
            Some(_) => Err(ReplyFault::Error(failed("the prediction failed"))),
        }
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if self.is_complete {
            return Ok(());
        }
        if !std::mem::replace(&mut self.has_started, true) {
            let model = self.reading.model.clone();
            out.push(StreamEvent::Start { id: String::new(), model });
        }
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
