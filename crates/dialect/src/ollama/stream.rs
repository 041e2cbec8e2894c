//! A streamed reply as events: lines, each of which is a reply with a piece of the message.
//!
//! **Invariant:** the last line alone has `done`; a stream without it was cut.

use super::reply::{Call, logprobs, message_of, stop_reason, usage};
use crate::conversation::StreamEvent;
use crate::json::value::{filled_text, items, owned_text};
use crate::sse::Frame;
use crate::wire::{EventDecoder, Reading, ReplyFault};
use serde_json::Value;

/// Reads one stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    reading: Reading,
    has_started: bool,
    call_count: u64,
    is_complete: bool,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream that answers the request which `reading` came from.
    pub fn new(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    fn calls(&mut self, message: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        for call in items(message, "tool_calls") {
            let index = self.call_count;
            let Call { id, name, arguments } = Call::read(call, index, self.reading.id_seed)?;
            self.call_count += 1;
            out.push(StreamEvent::ToolCallStart {
                choice: 0,
                index,
                id,
                name,
                is_custom: false,
                signature: None,
            });
            out.push(StreamEvent::ToolCallArguments { choice: 0, index, delta: arguments });
        }
        Ok(())
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if self.is_complete {
            return Ok(());
        }
        let line: Value =
            serde_json::from_slice(&frame.data).map_err(|_| ReplyFault::Malformed("a line is not JSON"))?;
        let message = message_of(&line)?;
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(StreamEvent::Start { id: String::new(), model: owned_text(&line, "model") });
        }
        if let Some(piece) = filled_text(message, "thinking") {
            out.push(StreamEvent::Reasoning { choice: 0, delta: piece.to_owned() });
        }
        if let Some(piece) = filled_text(message, "content") {
            out.push(StreamEvent::Text { choice: 0, delta: piece.to_owned() });
        }
        if let Some(logprobs) = logprobs(&line) {
            out.push(StreamEvent::Logprobs { choice: 0, logprobs });
        }
        self.calls(message, out)?;
        out.extend(usage(&line).map(StreamEvent::Usage));
        if line.get("done") == Some(&Value::Bool(true)) {
            let stop = stop_reason(&line, self.call_count > 0);
            out.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: None });
            self.is_complete = true;
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}
