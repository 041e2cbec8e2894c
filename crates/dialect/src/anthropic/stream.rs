//! A streamed Messages reply as events.
//!
//! Owns the order of the wire's events and the state between them. Leaves framing to [`sse`](crate::sse). Events and
//! deltas of unknown type are passed over, as Anthropic's versioning policy asks of clients; blocks of unknown type are
//! native.
//! **Invariant:** tool calls are numbered from 0 without gaps, whatever stands between them; one `Finish` comes, after
//! all content.

use super::citations;
use super::errors;
use super::host;
use super::members::{filled_text, owned_text, text};
use super::reply::{explanation, stop_reason, without_answer_call};
use super::reply_blocks::{citations_of, input_text, signature, tool_use_head};
use super::usage::{WireUsage, service_tier};
use crate::conversation::{Citation, Native, StopReason, StreamEvent};
use crate::sse::Frame;
use crate::wire::{Dialect, EventDecoder, Reading, ReplyFault};
use serde_json::Value;

/// Most blocks that may be open at one time; the API opens one after the other.
const OPEN_BLOCKS_MAX: usize = 64;

/// Most text that is held back until it is known whether the answer comes by its tool, or until the input of one of the
/// provider's own tools is whole, in bytes.
const HELD_BYTES_MAX: usize = 1 << 20;

/// Most citations of one text block; they are held back until it is known how far the text reaches.
const CITATIONS_MAX: usize = 4_096;

/// The event that ends a stream, behind the one with the reason to stop (Messages API, "Streaming messages").
pub const END_MARK: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Events that say something of the answer, so that it has begun by then.
const CONTENT_EVENTS: [&str; 5] =
    ["content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"];

/// Reads one stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    reading: Reading,
    open: Vec<OpenBlock>,
    tool_count: u64,
    usage: WireUsage,
    /// Characters of answer text so far.
    text_chars: u64,
    tier: Option<String>,
    /// Text while an answer tool is awaited; it is the answer only if the tool is not called.
    held: String,
    is_started: bool,
    is_answered: bool,
    /// What was said last is text.
    is_text: bool,
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
    /// Where its text begins among the answer's characters, and its sources.
    Text {
        start: u64,
        citations: Vec<Citation>,
    },
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
    /// A block of the provider's own, which goes on whole; its input may come in pieces.
    Native {
        block: Value,
        input: String,
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
        // Nothing comes before it: of one that is late, or the second, the counts are all that is news.
        if !std::mem::replace(&mut self.is_started, true) {
            out.push(StreamEvent::Start {
                id: owned_text(message, "id"),
                model: owned_text(message, "model"),
            });
        }
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
                if self.is_text && self.reading.answer_tool.is_none() {
                    out.push(StreamEvent::Text { choice: 0, delta: String::new() });
                }
                let kind =
                    BlockKind::Text { start: self.text_chars, citations: citations_of(block).collect() };
                self.push_text(text(block, "text").unwrap_or_default(), out)?;
                kind
            }
            Some("thinking") => {
                push_thinking(block, "thinking", out);
                push_signature(block, out);
                BlockKind::Thinking
            }
            Some("redacted_thinking") => {
                let data = signature(text(block, "data").unwrap_or_default());
                out.push(StreamEvent::RedactedReasoning { choice: 0, data });
                BlockKind::Passed
            }
            Some("tool_use") => self.open_call(block, out)?,
            _ => BlockKind::Native { block: block.clone(), input: String::new() },
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
        out.push(StreamEvent::ToolCallStart {
            choice: 0,
            index: number,
            id,
            name,
            is_custom: false,
            signature: None,
        });
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
            (BlockKind::Text { .. }, Some("text_delta")) => {
                self.push_text(text(delta, "text").unwrap_or_default(), out)?;
            }
            (BlockKind::Text { citations, .. }, Some("citations_delta")) => {
                if citations.len() >= CITATIONS_MAX {
                    return Err(ReplyFault::Malformed("too many citations of one text"));
                }
                citations.extend(delta.get("citation").map(citations::read));
            }
            (BlockKind::Native { block, input }, Some(kind)) => native_delta(block, input, kind, delta)?,
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
            // Deltas of passed blocks, and types that are not known yet.
            _ => {}
        }
        Ok(())
    }

    fn close_block(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let index = block_index(event)?;
        if let Some(position) = self.open.iter().position(|block| block.index == index) {
            let kind = self.open.remove(position).kind;
            self.close(kind, out);
        }
        Ok(())
    }

    fn message_delta(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if let Some(delta) = event.get("delta")
            && let Some(reason) = text(delta, "stop_reason")
        {
            let sequence = filled_text(delta, "stop_sequence").map(str::to_owned);
            self.finish(stop_reason(reason), explanation(delta), sequence, out);
        }
        self.take_usage(event, out);
        Ok(())
    }

    /// Ends the answer, once: text that turned out to be the answer goes first.
    fn finish(
        &mut self,
        stop: StopReason,
        refusal: Option<&str>,
        stop_sequence: Option<String>,
        out: &mut Vec<StreamEvent>,
    ) {
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        for block in std::mem::take(&mut self.open) {
            self.close(block.kind, out);
        }
        if !self.held.is_empty() {
            out.push(StreamEvent::Text { choice: 0, delta: std::mem::take(&mut self.held) });
        }
        if let Some(explanation) = refusal {
            out.push(StreamEvent::Refusal { choice: 0, delta: explanation.to_owned() });
        }
        let stop = without_answer_call(stop, &self.reading, self.tool_count > 0);
        out.push(StreamEvent::Finish { choice: 0, stop, stop_sequence });
    }

    /// A call without a single delta has the input that it began with, `{}` as a rule. Citations know only now how far
    /// their text reaches.
    fn close(&mut self, kind: BlockKind, out: &mut Vec<StreamEvent>) {
        match kind {
            BlockKind::Call { number, input: Some(input) } => out.push(arguments(number, input)),
            BlockKind::Answer { input: Some(input) } => {
                out.push(StreamEvent::Text { choice: 0, delta: input });
            }
            BlockKind::Text { start, citations } if self.reading.answer_tool.is_none() => {
                let span = Some((start, self.text_chars));
                out.extend(citations.into_iter().map(|citation| StreamEvent::Citation {
                    choice: 0,
                    citation: Box::new(Citation { span, ..citation }),
                }));
            }
            BlockKind::Native { mut block, input } => {
                if let (Ok(input), Value::Object(members)) = (serde_json::from_str(&input), &mut block) {
                    members.insert("input".to_owned(), input);
                }
                let native = Native { dialect: Dialect::Anthropic, value: block };
                out.push(StreamEvent::Native { choice: 0, native });
            }
            _ => {}
        }
    }

    fn take_usage(&mut self, holder: &Value, out: &mut Vec<StreamEvent>) {
        let Some(usage) = holder.get("usage").filter(|usage| usage.is_object()) else { return };
        self.usage.merge(usage);
        out.push(StreamEvent::Usage(self.usage.total()));
        if let Some(tier) = service_tier(usage).filter(|tier| self.tier.as_ref() != Some(tier)) {
            out.push(StreamEvent::ServiceTier(tier.clone()));
            self.tier = Some(tier);
        }
    }

    /// Passes text on, or holds it back while an answer tool may still be called.
    fn push_text(&mut self, piece: &str, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        if self.reading.answer_tool.is_none() {
            if !piece.is_empty() {
                self.text_chars += piece.chars().count() as u64;
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
        let before = out.len();
        self.read_frame(frame, out)?;
        self.is_text =
            out.iter().skip(before).fold(self.is_text, |was_text, event| event.leaves_text(was_text));
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl StreamDecoder {
    fn read_frame(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let is_end_of_others = frame.data.as_ref() == b"[DONE]";
        if self.is_complete || is_end_of_others || frame.data.is_empty() {
            return Ok(());
        }
        let data = host::event(frame)?;
        let event: Value =
            serde_json::from_slice(&data).map_err(|_| ReplyFault::Malformed("an event is not JSON"))?;
        let kind = text(&event, "type").or(frame.event);
        self.is_started |= kind.is_some_and(|kind| CONTENT_EVENTS.contains(&kind));
        match kind {
            Some("message_start") => self.start(&event, out),
            Some("content_block_start") => self.open_block(&event, out),
            Some("content_block_delta") => self.delta(&event, out),
            Some("content_block_stop") => self.close_block(&event, out),
            Some("message_delta") => self.message_delta(&event, out),
            Some("message_stop") => {
                // A server that names no reason still ends here.
                let stop = if self.tool_count > 0 { StopReason::ToolCalls } else { StopReason::Stop };
                self.finish(stop, None, None, out);
                self.is_complete = true;
                Ok(())
            }
            Some("error") => Err(errors::in_reply(&event)
                .map_or(ReplyFault::Malformed("an error event without an error"), ReplyFault::Error)),
            Some(_) => Ok(()),
            None => Err(ReplyFault::Malformed("an event has no type")),
        }
    }
}

fn block_index(event: &Value) -> Result<u64, ReplyFault> {
    event.get("index").and_then(Value::as_u64).ok_or(ReplyFault::Malformed("a content block has no index"))
}

/// Adds to a block of the provider's own: pieces of its input, or the members that a compaction brings later.
fn native_delta(block: &mut Value, input: &mut String, kind: &str, delta: &Value) -> Result<(), ReplyFault> {
    match (kind, block) {
        ("input_json_delta", _) => {
            let piece = text(delta, "partial_json").unwrap_or_default();
            if input.len() + piece.len() > HELD_BYTES_MAX {
                return Err(ReplyFault::Malformed("too much input for a tool of the provider"));
            }
            input.push_str(piece);
        }
        ("compaction_delta", Value::Object(members)) => {
            let brought = delta.as_object().into_iter().flatten();
            let brought = brought.filter(|(name, value)| *name != "type" && !value.is_null());
            members.extend(brought.map(|(name, value)| (name.clone(), value.clone())));
        }
        _ => {}
    }
    Ok(())
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
    if let Some(text) = filled_text(holder, "signature") {
        out.push(StreamEvent::ReasoningSignature { choice: 0, signature: signature(text) });
    }
}
