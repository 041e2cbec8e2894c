//! A streamed Messages reply as events.
//!
//! Owns the order of the wire's events and the state between them. Leaves framing to [`sse`](crate::sse). Events,
//! blocks and deltas of unknown type are passed over, as Anthropic's versioning policy asks of clients.
//! **Invariant:** tool calls are numbered from 0 without gaps, whatever stands between them; one `Finish` comes, after
//! all content.

use super::blocks::{input_text, tool_use_head};
use super::errors;
use super::members::{filled_text, owned_text, text};
use super::reply::{explanation, stop_reason, without_answer_call};
use super::usage::WireUsage;
use crate::conversation::{Issuer, Signature, StopReason, StreamEvent};
use crate::sse::Frame;
use crate::wire::{EventDecoder, Reading, ReplyFault};
use serde_json::Value;

/// Most blocks that may be open at one time; the API opens one after the other.
const OPEN_BLOCKS_MAX: usize = 64;

/// Most text that is held back until it is known whether the answer comes by its tool, in bytes.
const HELD_BYTES_MAX: usize = 1 << 20;

/// Reads one stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    reading: Reading,
    open: Vec<OpenBlock>,
    tool_count: u64,
    usage: WireUsage,
    /// Text while an answer tool is awaited; it is the answer only if the tool is not called.
    held: String,
    is_answered: bool,
    is_finished: bool,
    is_complete: bool,
}

#[derive(Debug)]
struct OpenBlock {
    index: u64,
    kind: BlockKind,
}

#[derive(Debug)]
enum BlockKind {
    Text,
    Thinking,
    /// A call to the caller; the input that came with the block's start stands if no delta follows.
    Call {
        number: u64,
        input: Option<String>,
    },
    /// The call whose input is the answer.
    Answer {
        input: Option<String>,
    },
    /// Nothing of it is passed on.
    Passed,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream that answers the request which `reading` came from.
    pub fn new(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    fn start(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let message = event.get("message").ok_or(ReplyFault::Malformed("message_start has no message"))?;
        out.push(StreamEvent::Start { id: owned_text(message, "id"), model: owned_text(message, "model") });
        self.take_usage(message, out);
        Ok(())
    }

    fn open_block(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let index = block_index(event)?;
        let block =
            event.get("content_block").ok_or(ReplyFault::Malformed("content_block_start has no block"))?;
        if self.open.len() >= OPEN_BLOCKS_MAX {
            return Err(ReplyFault::Malformed("too many open content blocks"));
        }
        let kind = match text(block, "type") {
            Some("text") => {
                self.push_text(text(block, "text").unwrap_or_default(), out)?;
                BlockKind::Text
            }
            Some("thinking") => {
                push_thinking(block, "thinking", out);
                push_signature(block, out);
                BlockKind::Thinking
            }
            Some("redacted_thinking") => {
                out.push(StreamEvent::RedactedReasoning {
                    choice: 0,
                    data: Signature::new(Issuer::Anthropic, owned_text(block, "data")),
                });
                BlockKind::Passed
            }
            Some("tool_use") => self.open_call(block, out)?,
            _ => BlockKind::Passed,
        };
        self.open.retain(|open| open.index != index);
        self.open.push(OpenBlock { index, kind });
        Ok(())
    }

    fn open_call(&mut self, block: &Value, out: &mut Vec<StreamEvent>) -> Result<BlockKind, ReplyFault> {
        let (id, name) = tool_use_head(block)?;
        let input = Some(input_text(block));
        if self.reading.answer_tool.as_deref() == Some(&name) {
            self.held.clear();
            let is_first = !std::mem::replace(&mut self.is_answered, true);
            return Ok(if is_first { BlockKind::Answer { input } } else { BlockKind::Passed });
        }
        let number = self.tool_count;
        self.tool_count += 1;
        out.push(StreamEvent::ToolCallStart { choice: 0, index: number, id, name, is_custom: false, signature: None });
        Ok(BlockKind::Call { number, input })
    }

    fn delta(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let index = block_index(event)?;
        let delta = event.get("delta").ok_or(ReplyFault::Malformed("content_block_delta has no delta"))?;
        let block = self
            .open
            .iter_mut()
            .find(|block| block.index == index)
            .ok_or(ReplyFault::Malformed("a delta for a content block that is not open"))?;
        match (&mut block.kind, text(delta, "type")) {
            (BlockKind::Text, Some("text_delta")) => {
                self.push_text(text(delta, "text").unwrap_or_default(), out)?;
            }
            (BlockKind::Thinking, Some("thinking_delta")) => push_thinking(delta, "thinking", out),
            (BlockKind::Thinking, Some("signature_delta")) => push_signature(delta, out),
            (BlockKind::Call { number, input }, Some("input_json_delta")) => {
                if let Some(piece) = filled_text(delta, "partial_json") {
                    *input = None;
                    out.push(arguments(*number, piece.to_owned()));
                }
            }
            (BlockKind::Answer { input }, Some("input_json_delta")) => {
                if let Some(piece) = filled_text(delta, "partial_json") {
                    *input = None;
                    out.push(StreamEvent::Text { choice: 0, delta: piece.to_owned() });
                }
            }
            // Citations, deltas of passed blocks, and types that are not known yet.
            _ => {}
        }
        Ok(())
    }

    fn close_block(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let index = block_index(event)?;
        if let Some(position) = self.open.iter().position(|block| block.index == index) {
            close(self.open.remove(position).kind, out);
        }
        Ok(())
    }

    fn message_delta(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if let Some(delta) = event.get("delta")
            && let Some(reason) = text(delta, "stop_reason")
        {
            self.finish(stop_reason(reason), explanation(delta), out);
        }
        self.take_usage(event, out);
        Ok(())
    }

    /// Ends the answer, once: text that turned out to be the answer goes first.
    fn finish(&mut self, stop: StopReason, refusal: Option<&str>, out: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        for block in self.open.drain(..) {
            close(block.kind, out);
        }
        if !self.held.is_empty() {
            out.push(StreamEvent::Text { choice: 0, delta: std::mem::take(&mut self.held) });
        }
        if let Some(explanation) = refusal {
            out.push(StreamEvent::Refusal { choice: 0, delta: explanation.to_owned() });
        }
        let stop = without_answer_call(stop, &self.reading, self.tool_count > 0);
        out.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: None });
    }

    fn take_usage(&mut self, holder: &Value, out: &mut Vec<StreamEvent>) {
        if let Some(usage) = holder.get("usage").filter(|usage| usage.is_object()) {
            self.usage.merge(usage);
            out.push(StreamEvent::Usage(self.usage.total()));
        }
    }

    /// Passes text on, or holds it back while an answer tool may still be called.
    fn push_text(&mut self, piece: &str, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if self.reading.answer_tool.is_none() {
            if !piece.is_empty() {
                out.push(StreamEvent::Text { choice: 0, delta: piece.to_owned() });
            }
            return Ok(());
        }
        if !self.is_answered {
            if self.held.len() + piece.len() > HELD_BYTES_MAX {
                return Err(ReplyFault::Malformed("too much text before the answer"));
            }
            self.held.push_str(piece);
        }
        Ok(())
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let is_end_of_others = frame.data.as_ref() == b"[DONE]";
        if self.is_complete || is_end_of_others || frame.data.is_empty() {
            return Ok(());
        }
        let event: Value =
            serde_json::from_slice(&frame.data).map_err(|_| ReplyFault::Malformed("an event is not JSON"))?;
        match text(&event, "type").or(frame.event) {
            Some("message_start") => self.start(&event, out),
            Some("content_block_start") => self.open_block(&event, out),
            Some("content_block_delta") => self.delta(&event, out),
            Some("content_block_stop") => self.close_block(&event, out),
            Some("message_delta") => self.message_delta(&event, out),
            Some("message_stop") => {
                // A server that names no reason still ends here.
                let stop = if self.tool_count > 0 { StopReason::ToolCalls } else { StopReason::Stop };
                self.finish(stop, None, out);
                self.is_complete = true;
                Ok(())
            }
            Some("error") => Err(errors::in_reply(&event)
                .map_or(ReplyFault::Malformed("an error event without an error"), ReplyFault::Error)),
            Some(_) => Ok(()),
            None => Err(ReplyFault::Malformed("an event has no type")),
        }
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

fn block_index(event: &Value) -> Result<u64, ReplyFault> {
    event.get("index").and_then(Value::as_u64).ok_or(ReplyFault::Malformed("a content block has no index"))
}

/// A call without a single delta has the input that it began with, `{}` as a rule.
fn close(kind: BlockKind, out: &mut Vec<StreamEvent>) {
    match kind {
        BlockKind::Call { number, input: Some(input) } => out.push(arguments(number, input)),
        BlockKind::Answer { input: Some(input) } => out.push(StreamEvent::Text { choice: 0, delta: input }),
        _ => {}
    }
}

fn arguments(number: u64, delta: String) -> StreamEvent {
    StreamEvent::ToolCallArguments { choice: 0, index: number, delta }
}

fn push_thinking(holder: &Value, name: &str, out: &mut Vec<StreamEvent>) {
    if let Some(piece) = filled_text(holder, name) {
        out.push(StreamEvent::Reasoning { choice: 0, delta: piece.to_owned() });
    }
}

fn push_signature(holder: &Value, out: &mut Vec<StreamEvent>) {
    if let Some(signature) = filled_text(holder, "signature") {
        out.push(StreamEvent::ReasoningSignature { choice: 0, signature: Signature::new(Issuer::Anthropic, signature) });
    }
}
