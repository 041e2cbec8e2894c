//! Events as a Converse stream for a caller: binary messages, one block after the other.
//!
//! Calls that overlap wait for one another as at [Anthropic](crate::anthropic), whose blocks follow the same rule.
//!
//! **Invariant:** nothing is written before there is something to show: `messageStart` goes out with the first content,
//! so that a stream which fails before its first word has not begun. **Invariant:** every block that is opened is
//! closed before the next one, `messageStop` comes after the last block and `metadata` last.

use super::answer::{stop_sequence_field, write_tier};
use super::members::{items, object};
use super::reasoning_blocks::{self, HOME};
use super::{citations, errors, media, stop, usage};
use crate::anthropic::answer::calls::{Call, Calls, Step};
use crate::conversation::{ChatReply, MediaSource, Native, Signature, StopReason, StreamEvent, Usage};
use crate::framing::event_stream::{write_event, write_exception};
use crate::json::write::Object;
use crate::wire::{CallerError, Dialect, EventEncoder, Losses, ReplyFacts};
use serde_json::{Map, Value};

/// Writes one stream. Of several answers the first is written, since this wire has one.
#[derive(Debug, Default)]
pub struct StreamEncoder {
    is_started: bool,
    is_stopped: bool,
    /// The next block's number.
    next_block: u64,
    open: Option<Open>,
    calls: Calls,
    usage: Usage,
    service_tier: Option<String>,
    /// The block of text that is open has a source.
    is_cited: bool,
}

/// The block that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    index: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Call {
        /// A piece of its input was written.
        has_input: bool,
    },
}

impl StreamEncoder {
    /// An encoder at the beginning of a stream. Converse names neither the model nor the reply.
    pub fn new(_facts: ReplyFacts) -> Self {
        Self::default()
    }

    fn write(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::ServiceTier(tier) => self.service_tier = Some(tier.clone()),
            // Nothing has a place after `messageStop`.
            _ if self.is_stopped => {}
            StreamEvent::Text { delta, .. } | StreamEvent::Refusal { delta, .. } => self.text(delta, out),
            // The words of what is said aloud are what this wire has of it.
            StreamEvent::Audio { transcript, .. } => self.text(transcript, out),
            StreamEvent::Reasoning { delta, .. } if !delta.is_empty() => {
                let block = self.block(Kind::Reasoning, out);
                write_delta(block, out, |delta_object| {
                    delta_object.object("reasoningContent", |reasoning| reasoning.string("text", delta));
                });
            }
            StreamEvent::ReasoningSignature { signature, .. } => {
                let block = self.block(Kind::Reasoning, out);
                write_delta(block, out, |delta| {
                    let written = signature.written(HOME);
                    delta.object("reasoningContent", |reasoning| reasoning.string("signature", &written));
                });
                self.close(out);
            }
            StreamEvent::RedactedReasoning { data, .. } => self.redacted(data, out),
            StreamEvent::ToolCallStart { index, id, name, is_custom, signature, .. } => {
                if !self.open.is_some_and(|open| matches!(open.kind, Kind::Call { .. })) {
                    self.close(out);
                }
                let steps = self.calls.begin(Call {
                    number: *index,
                    id: id.clone(),
                    name: name.clone(),
                    is_custom: *is_custom,
                    signature: signature.clone(),
                    arguments: String::new(),
                });
                self.take_steps(steps, out);
            }
            StreamEvent::ToolCallArguments { index, delta, .. } => {
                let steps = self.calls.push(*index, delta);
                self.take_steps(steps, out);
            }
            StreamEvent::Citation { citation, .. } => {
                let block = self.block(Kind::Text, out);
                self.is_cited = true;
                let written = citations::write(citation);
                write_delta(block, out, |delta| delta.value("citation", &written));
            }
            StreamEvent::Image { source, .. } => self.image(source, out),
            StreamEvent::Native { native, .. } => self.native(native, out),
            StreamEvent::Finish { stop, stop_sequence, .. } => {
                self.stop(*stop, stop_sequence.as_deref(), out);
            }
            StreamEvent::Start { .. } | StreamEvent::Logprobs { .. } | StreamEvent::Reasoning { .. } => {}
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_started, true) {
            write_event("messageStart", br#"{"role":"assistant"}"#, out);
        }
    }

    /// The number of the open block of this kind; another one is closed before. Blocks of text and of reasoning begin
    /// with their first piece.
    fn block(&mut self, kind: Kind, out: &mut Vec<u8>) -> u64 {
        if let Some(open) = self.open.filter(|open| open.kind == kind) {
            return open.index;
        }
        self.close(out);
        self.open_block(kind, out)
    }

    /// Opens a block where none is open.
    fn open_block(&mut self, kind: Kind, out: &mut Vec<u8>) -> u64 {
        self.is_cited = false;
        self.start(out);
        let index = self.next_block;
        self.next_block += 1;
        self.open = Some(Open { index, kind });
        index
    }

    /// Closes the block that is open; calls that waited for it are written whole.
    fn close(&mut self, out: &mut Vec<u8>) {
        let steps = self.calls.flush();
        self.take_steps(steps, out);
        self.stop_block(out);
    }

    fn stop_block(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        if open.kind == (Kind::Call { has_input: false }) {
            write_input(open.index, "{}", out);
        }
        write_numbered("contentBlockStop", open.index, out, |_| {});
    }

    fn take_steps(&mut self, steps: Vec<Step>, out: &mut Vec<u8>) {
        for step in steps {
            match step {
                Step::Start { id, name, signature } => {
                    if let Some(signature) = &signature {
                        self.redacted_block(signature, out);
                    }
                    self.open_call(&id, &name, out);
                }
                Step::Arguments(piece) => {
                    if let Some(open) = &mut self.open {
                        open.kind = Kind::Call { has_input: true };
                        write_input(open.index, &piece, out);
                    }
                }
                Step::Stop => self.stop_block(out),
            }
        }
    }

    fn text(&mut self, piece: &str, out: &mut Vec<u8>) {
        let follows_text = self.open.is_some_and(|open| open.kind == Kind::Text);
        if follows_text && (piece.is_empty() || std::mem::take(&mut self.is_cited)) {
            // Sources are of whole blocks, so that what is said after one, or begins another, stands in the next.
            self.close(out);
        }
        if piece.is_empty() {
            return;
        }
        let block = self.block(Kind::Text, out);
        write_delta(block, out, |delta| delta.string("text", piece));
    }

    fn redacted(&mut self, data: &Signature, out: &mut Vec<u8>) {
        self.close(out);
        self.redacted_block(data, out);
    }

    /// A block of its own where none is open.
    fn redacted_block(&mut self, data: &Signature, out: &mut Vec<u8>) {
        let block = self.open_block(Kind::Reasoning, out);
        let data = reasoning_blocks::redacted_text(data);
        write_delta(block, out, |delta| {
            delta.object("reasoningContent", |reasoning| reasoning.string("redactedContent", &data));
        });
        self.stop_block(out);
    }

    fn open_call(&mut self, id: &str, name: &str, out: &mut Vec<u8>) {
        let block = self.open_block(Kind::Call { has_input: false }, out);
        write_numbered("contentBlockStart", block, out, |event| {
            event.object("start", |start| {
                start.object("toolUse", |call| {
                    call.string("toolUseId", id);
                    call.string("name", name);
                });
            });
        });
    }

    fn image(&mut self, source: &MediaSource, out: &mut Vec<u8>) {
        let Ok(image) = media::image(source) else { return };
        let start =
            object([("image", object([("format", image.get("format").cloned().unwrap_or_default())]))]);
        let source = image.get("source").cloned().unwrap_or_default();
        let delta = object([("image", object([("source", source)]))]);
        self.whole(&start, &[delta], out);
    }

    /// A block of Amazon's own tools.
    fn native(&mut self, native: &Native, out: &mut Vec<u8>) {
        if native.dialect != Dialect::Bedrock {
            return;
        }
        if let Some(call) = native.value.get("toolUse") {
            let input = call.get("input").map(Value::to_string).unwrap_or_default();
            let delta = object([("toolUse", object([("input", input.into())]))]);
            self.whole(&object([("toolUse", without(call, "input"))]), &[delta], out);
        } else if let Some(result) = native.value.get("toolResult") {
            let piece = |content: &Value| object([("toolResult", Value::Array(vec![content.clone()]))]);
            let deltas: Vec<Value> = items(result, "content").iter().map(piece).collect();
            self.whole(&object([("toolResult", without(result, "content"))]), &deltas, out);
        }
    }

    /// A block that is there whole.
    fn whole(&mut self, start: &Value, deltas: &[Value], out: &mut Vec<u8>) {
        self.close(out);
        self.start(out);
        let block = self.next_block;
        self.next_block += 1;
        write_numbered("contentBlockStart", block, out, |event| event.value("start", start));
        for delta in deltas {
            write_numbered("contentBlockDelta", block, out, |event| event.value("delta", delta));
        }
        write_numbered("contentBlockStop", block, out, |_| {});
    }

    fn stop(&mut self, reason: StopReason, stop_sequence: Option<&str>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_stopped, true) {
            return;
        }
        self.start(out);
        self.close(out);
        let mut payload = Vec::new();
        let mut event = Object::open(&mut payload);
        event.string("stopReason", stop::write(reason));
        if let Some(text) = stop_sequence {
            event.value("additionalModelResponseFields", &stop_sequence_field(text));
        }
        event.close();
        write_event("messageStop", &payload, out);
    }
}

impl EventEncoder for StreamEncoder {
    fn encode(&mut self, events: &[StreamEvent], out: &mut Vec<u8>) {
        for event in events.iter().filter(|event| choice_of(event) == 0) {
            self.write(event, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.stop(StopReason::Stop, None, out);
        let mut metadata = Map::new();
        metadata.insert("usage".to_owned(), usage::write(&self.usage));
        metadata.insert("metrics".to_owned(), object([("latencyMs", 0.into())]));
        let tier = self.service_tier.as_deref().and_then(|tier| write_tier(tier, &mut Losses::default()));
        super::members::insert_some(&mut metadata, "serviceTier", tier);
        write_event("metadata", Value::Object(metadata).to_string().as_bytes(), out);
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>) {
        let mut payload = Vec::new();
        let mut body = Object::open(&mut payload);
        body.string("message", error.message);
        let kind = errors::stream_exception(error.status);
        if kind == "modelStreamErrorException" {
            body.integer("originalStatusCode", error.status.into());
        }
        body.close();
        write_exception(kind, &payload, out);
    }

    fn note_lost(&self, reply: &ChatReply, lost: &mut Losses) {
        super::answer::encode_reply(reply, &ReplyFacts::default(), lost);
    }
}

/// Which answer an event belongs to.
fn choice_of(event: &StreamEvent) -> u64 {
    match event {
        StreamEvent::Text { choice, .. }
        | StreamEvent::Reasoning { choice, .. }
        | StreamEvent::ReasoningSignature { choice, .. }
        | StreamEvent::RedactedReasoning { choice, .. }
        | StreamEvent::Refusal { choice, .. }
        | StreamEvent::ToolCallStart { choice, .. }
        | StreamEvent::ToolCallArguments { choice, .. }
        | StreamEvent::Logprobs { choice, .. }
        | StreamEvent::Citation { choice, .. }
        | StreamEvent::Image { choice, .. }
        | StreamEvent::Audio { choice, .. }
        | StreamEvent::Native { choice, .. }
        | StreamEvent::Finish { choice, .. } => *choice,
        StreamEvent::Start { .. } | StreamEvent::ServiceTier(_) | StreamEvent::Usage(_) => 0,
    }
}

fn without(value: &Value, name: &str) -> Value {
    let mut value = value.clone();
    if let Some(members) = value.as_object_mut() {
        members.shift_remove(name);
    }
    value
}

/// An event of a block.
fn write_numbered(kind: &str, block: u64, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    let mut payload = Vec::new();
    let mut event = Object::open(&mut payload);
    event.integer("contentBlockIndex", block);
    fill(&mut event);
    event.close();
    write_event(kind, &payload, out);
}

fn write_delta(block: u64, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    write_numbered("contentBlockDelta", block, out, |event| event.object("delta", fill));
}

fn write_input(block: u64, piece: &str, out: &mut Vec<u8>) {
    write_delta(block, out, |delta| delta.object("toolUse", |call| call.string("input", piece)));
}
