//! A streamed reply as events.
//!
//! Owns the order of the wire's events and the state between them. Leaves framing to [`sse`](crate::sse). Events of
//! unknown type are passed over, and so is content behind the end: the caller's answer has ended there. **Invariant:** tool
//! calls are numbered from 0 without gaps, one `Finish` comes, after all content, and usage is what the last report said.

use super::citations::{self, Cited};
use super::reply::{HOME, without_answer_call};
use super::{errors, finish, logprobs, usage};
use crate::conversation::{Signature, StopReason, StreamEvent};
use crate::json::value::{count, filled_text, items, owned_text, text};
use crate::sse::Frame;
use crate::wire::{EventDecoder, Reading, ReplyFault};
use serde_json::Value;
use std::collections::HashMap;

/// Most text that is held back until it is known whether the answer comes by its tool, in bytes.
const HELD_BYTES_MAX: usize = 1 << 20;

/// Most content blocks and calls whose numbers are kept.
const NUMBERS_MAX: usize = 4_096;

/// Reads one stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    reading: Reading,
    has_started: bool,
    /// Where the text of each content block begins among the answer's characters.
    begins: HashMap<u64, u64>,
    /// The same of what was said before the calls.
    plan_begin: Option<u64>,
    /// Characters of answer text so far.
    text_chars: u64,
    /// What became of the call of each number.
    calls: HashMap<u64, Call>,
    call_count: u64,
    has_content: bool,
    /// Text while an answer tool is awaited; it is the answer only if the tool is not called.
    held: String,
    is_answered: bool,
    is_finished: bool,
    is_complete: bool,
}

/// Events of what the answer says. They have a start behind them and the end before them.
const CONTENT: [&str; 6] = [
    "content-start",
    "content-delta",
    "tool-plan-delta",
    "tool-call-start",
    "tool-call-delta",
    "citation-start",
];

#[derive(Debug, Clone, Copy)]
enum Call {
    /// A call to the caller, by its number there.
    Caller(u64),
    /// Its arguments are the answer.
    Answer,
    /// A further call of the answer tool.
    Passed,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream that answers the request which `reading` came from.
    pub fn new(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    fn start(&mut self, event: &Value, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let model = self.reading.model.clone();
            out.push(StreamEvent::Start { id: owned_text(event, "id"), model });
        }
    }

    /// A block begins or goes on; both may hold text.
    fn content(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let index = count(event, "index").unwrap_or(0);
        if self.begins.len() < NUMBERS_MAX {
            self.begins.entry(index).or_insert(self.text_chars);
        }
        let Some(content) = message_of(event).and_then(|message| message.get("content")) else {
            return Ok(());
        };
        let signature = |name: &str| filled_text(content, name).map(|text| Signature::read(text, HOME));
        if let Some(piece) = filled_text(content, "thinking") {
            self.has_content = true;
            out.push(StreamEvent::Reasoning { choice: 0, delta: piece.to_owned() });
        }
        if let Some(data) = signature("data") {
            out.push(StreamEvent::RedactedReasoning { choice: 0, data });
        }
        if let Some(signature) = signature("signature") {
            out.push(StreamEvent::ReasoningSignature { choice: 0, signature });
        }
        self.push_text(text(content, "text").unwrap_or_default(), out)?;
        let pieces = match event.get("logprobs") {
            Some(Value::Array(pieces)) => logprobs::read(pieces),
            Some(piece @ Value::Object(_)) => logprobs::read(std::slice::from_ref(piece)),
            _ => None,
        };
        if let Some(logprobs) = pieces.filter(|_| self.reading.answer_tool.is_none()) {
            out.push(StreamEvent::Logprobs { choice: 0, logprobs });
        }
        Ok(())
    }

    fn plan(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        self.plan_begin.get_or_insert(self.text_chars);
        let piece = message_of(event).and_then(|message| text(message, "tool_plan"));
        self.push_text(piece.unwrap_or_default(), out)
    }

    /// Passes text on, or holds it back while an answer tool may still be called.
    fn push_text(&mut self, piece: &str, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if piece.is_empty() {
            return Ok(());
        }
        self.has_content = true;
        if self.reading.answer_tool.is_none() {
            self.text_chars += piece.chars().count() as u64;
            out.push(StreamEvent::Text { choice: 0, delta: piece.to_owned() });
        } else if !self.is_answered {
            if self.held.len() + piece.len() > HELD_BYTES_MAX {
                return Err(ReplyFault::Malformed("too much text before the answer"));
            }
            self.held.push_str(piece);
        }
        Ok(())
    }

    fn open_call(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let call = call_of(event).ok_or(ReplyFault::Malformed("tool-call-start has no call"))?;
        let function = call.get("function").unwrap_or(&Value::Null);
        let (Some(id), Some(name)) = (text(call, "id"), filled_text(function, "name")) else {
            return Err(ReplyFault::Malformed("a tool call has no id or no name"));
        };
        if self.calls.len() >= NUMBERS_MAX {
            return Err(ReplyFault::Malformed("too many tool calls"));
        }
        self.has_content = true;
        let wire_number = count(event, "index").unwrap_or(self.calls.len() as u64);
        let kind = if self.reading.answer_tool.as_deref() == Some(name) {
            self.held.clear();
            if std::mem::replace(&mut self.is_answered, true) { Call::Passed } else { Call::Answer }
        } else {
            let index = self.call_count;
            self.call_count += 1;
            out.push(StreamEvent::ToolCallStart {
                choice: 0,
                index,
                id: id.to_owned(),
                name: name.to_owned(),
                is_custom: false,
                signature: filled_text(call, "signature").map(|text| Signature::read(text, HOME)),
            });
            Call::Caller(index)
        };
        self.calls.insert(wire_number, kind);
        self.arguments(event, out);
        Ok(())
    }

    fn arguments(&self, event: &Value, out: &mut Vec<StreamEvent>) {
        let function = call_of(event).and_then(|call| call.get("function"));
        let Some(piece) = function.and_then(|function| filled_text(function, "arguments")) else { return };
        let delta = piece.to_owned();
        match count(event, "index").and_then(|index| self.calls.get(&index)) {
            Some(Call::Caller(index)) => {
                out.push(StreamEvent::ToolCallArguments { choice: 0, index: *index, delta });
            }
            Some(Call::Answer) => out.push(StreamEvent::Text { choice: 0, delta }),
            Some(Call::Passed) | None => {}
        }
    }

    fn cite(&self, event: &Value, out: &mut Vec<StreamEvent>) {
        let Some(citation) = message_of(event).and_then(|message| message.get("citations")) else { return };
        let begin = match citations::cited(citation) {
            Cited::Plan => self.plan_begin,
            Cited::Content(index) => self.begins.get(&index).copied(),
        };
        if self.reading.answer_tool.is_some() || text(citation, "type") == Some("THINKING_CONTENT") {
            return;
        }
        out.extend(
            citations::read(citation, begin.unwrap_or(0))
                .into_iter()
                .map(|citation| StreamEvent::Citation { choice: 0, citation: Box::new(citation) }),
        );
    }

    fn end(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let delta = event.get("delta").unwrap_or(&Value::Null);
        let error = filled_text(delta, "error");
        if let Some(counted) = delta.get("usage").and_then(usage::read) {
            out.push(StreamEvent::Usage(counted));
        }
        match (text(delta, "finish_reason"), error) {
            (Some(reason), error) => {
                let stop = finish::read(reason, error, self.has_content)?;
                self.finish(stop, out);
            }
            (None, Some(sentence)) => return Err(ReplyFault::Error(errors::of_stream(sentence, None))),
            // A report of the usage before the end.
            (None, None) => {}
        }
        Ok(())
    }

    /// Ends the answer, once: text that turned out to be the answer goes first.
    fn finish(&mut self, stop: StopReason, out: &mut Vec<StreamEvent>) {
        self.is_complete = true;
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        if !self.held.is_empty() {
            out.push(StreamEvent::Text { choice: 0, delta: std::mem::take(&mut self.held) });
        }
        let stop = without_answer_call(stop, &self.reading, self.call_count > 0);
        out.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: None });
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if frame.data.is_empty() || frame.data.as_ref() == b"[DONE]" {
            return Ok(());
        }
        let event: Value =
            serde_json::from_slice(&frame.data).map_err(|_| ReplyFault::Malformed("an event is not JSON"))?;
        let kind = text(&event, "type").or(frame.event);
        let is_content = kind.is_some_and(|kind| CONTENT.contains(&kind));
        // A start behind what it should begin begins nothing.
        self.has_started |= is_content || kind == Some("message-end");
        if is_content && self.is_finished {
            return Ok(());
        }
        match kind {
            Some("message-start") => self.start(&event, out),
            Some("content-start" | "content-delta") => self.content(&event, out)?,
            Some("tool-plan-delta") => self.plan(&event, out)?,
            Some("tool-call-start") => self.open_call(&event, out)?,
            Some("tool-call-delta") => self.arguments(&event, out),
            Some("citation-start") => self.cite(&event, out),
            Some("message-end") => self.end(&event, out)?,
            Some(_) => {}
            None => {
                return Err(match filled_text(&event, "message") {
                    Some(sentence) => ReplyFault::Error(errors::of_stream(sentence, None)),
                    None => ReplyFault::Malformed("an event has no type"),
                });
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

fn message_of(event: &Value) -> Option<&Value> {
    event.get("delta")?.get("message")
}

/// The call of an event, which is an object, or a list of one in older streams.
fn call_of(event: &Value) -> Option<&Value> {
    let calls = message_of(event)?.get("tool_calls")?;
    if calls.is_array() { items(message_of(event)?, "tool_calls").first() } else { Some(calls) }
}
