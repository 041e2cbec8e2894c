//! A streamed answer as Anthropic's events.
//!
//! Owns the order: `message_start` with the first content, blocks one after the other, `message_delta` with the reason
//! and the whole usage once the provider has said it, `message_stop`. Leaves the calls that overlap to
//! [`calls`](super::calls).
//!
//! **Invariant:** blocks are numbered from 0 without gaps, and each is closed before the next begins. **Invariant:**
//! nothing is written before there is something to show, so that a stream that fails before its first word has not
//! begun for the caller.

use super::calls::{Call, Calls, Step};
use super::{Ending, head, message_id, redacted_block, text_block, thinking_block, tool_use_block};
use crate::anthropic::{citations, errors, members, usage};
use crate::conversation::{ChatReply, Citation, Issuer, Native, Signature, StopReason, StreamEvent, Usage};
use crate::json::write::Object;
use crate::wire::{CallerError, Dialect, EventEncoder, Losses, ReplyFacts};
use serde_json::{Map, Value, json};

/// Longest refusal that is repeated as the explanation at the end, in bytes.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// The block that is being written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    Text {
        /// Its sources were named, so that further text is another block's.
        is_cited: bool,
    },
    Thinking,
    Call,
}

/// Writes one stream. Answers beside the first (`n` above 1) have no place in it.
#[derive(Debug, Default)]
pub struct StreamEncoder {
    facts: ReplyFacts,
    id: String,
    has_begun: bool,
    /// The number of the block that is open, or of the next one.
    index: u64,
    open: Open,
    calls: Calls,
    calls_tools: bool,
    refusal: String,
    stop: Option<StopReason>,
    stop_sequence: Option<String>,
    usage: Usage,
    tier: Option<String>,
}

impl StreamEncoder {
    /// An encoder at the beginning of a stream.
    pub fn new(facts: ReplyFacts) -> Self {
        Self { facts, ..Self::default() }
    }

    fn encode_event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, .. } => self.id.clone_from(id),
            StreamEvent::Usage(usage) => self.usage = *usage,
            StreamEvent::ServiceTier(tier) => self.tier = Some(tier.clone()),
            StreamEvent::Text { delta, .. } => self.text(delta, out),
            StreamEvent::Refusal { delta, .. } => {
                if self.refusal.len() + delta.len() <= REFUSAL_BYTES_MAX {
                    self.refusal.push_str(delta);
                }
                self.text(delta, out);
            }
            StreamEvent::Audio { transcript, .. } => self.text(transcript, out),
            StreamEvent::Reasoning { delta, .. } => self.thinking(delta, out),
            StreamEvent::ReasoningSignature { signature, .. } => self.sign(signature, out),
            StreamEvent::RedactedReasoning { data, .. } => self.whole_block(&redacted_block(data), &[], out),
            StreamEvent::ToolCallStart { index, id, name, is_custom, signature, .. } => {
                self.calls_tools = true;
                if self.open != Open::Call {
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
            StreamEvent::Citation { citation, .. } => self.cite(citation, out),
            StreamEvent::Native { native, .. } => self.native(native, out),
            StreamEvent::Finish { stop, stop_sequence, .. } => {
                self.close(out);
                self.stop = Some(*stop);
                self.stop_sequence.clone_from(stop_sequence);
            }
            StreamEvent::Logprobs { .. } | StreamEvent::Image { .. } => {}
        }
    }

    /// Writes `message_start` if it has not been, with what is known of the usage.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let id = message_id(&self.id, &self.facts);
        let mut message = head(&id, &self.facts.client_model, Vec::new());
        message.insert("stop_reason".to_owned(), Value::Null);
        message.insert("stop_sequence".to_owned(), Value::Null);
        message.insert("usage".to_owned(), usage::write(&self.usage, self.tier.as_deref()).into());
        write_event("message_start", members::object([("message", message.into())]), out);
    }

    fn start_block(&mut self, open: Open, block: &Value, out: &mut Vec<u8>) {
        self.begin(out);
        self.open = open;
        let members = members::object([("index", self.index.into()), ("content_block", block.clone())]);
        write_event("content_block_start", members, out);
    }

    /// Closes the block that is open; calls that waited for it are written whole.
    fn close(&mut self, out: &mut Vec<u8>) {
        let steps = self.calls.flush();
        self.take_steps(steps, out);
        self.stop_block(out);
    }

    fn stop_block(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.open) != Open::Nothing {
            write_event("content_block_stop", members::object([("index", self.index.into())]), out);
            self.index += 1;
        }
    }

    /// A delta of the open block: its type, the name of its one member, its text.
    fn delta(&self, kind: &str, member: &str, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_delta\ndata: ");
        let mut event = Object::open(out);
        event.string("type", "content_block_delta");
        event.integer("index", self.index);
        event.object("delta", |delta| {
            delta.string("type", kind);
            delta.string(member, text);
        });
        event.close();
        out.extend_from_slice(b"\n\n");
    }

    fn text(&mut self, delta: &str, out: &mut Vec<u8>) {
        if delta.is_empty() {
            // Another block begins, if there was text before.
            if matches!(self.open, Open::Text { .. }) {
                self.close(out);
            }
            return;
        }
        if self.open != (Open::Text { is_cited: false }) {
            self.close(out);
            self.start_block(Open::Text { is_cited: false }, &text_block("", &[]), out);
        }
        self.delta("text_delta", "text", delta, out);
    }

    fn thinking(&mut self, delta: &str, out: &mut Vec<u8>) {
        if delta.is_empty() {
            return;
        }
        self.open_thinking(out);
        self.delta("thinking_delta", "thinking", delta, out);
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if self.open != Open::Thinking {
            self.close(out);
            self.start_block(Open::Thinking, &thinking_block("", None), out);
        }
    }

    /// The signature that closes a block of thinking, or stands for one that is not shown.
    fn sign(&mut self, signature: &Signature, out: &mut Vec<u8>) {
        self.open_thinking(out);
        self.delta("signature_delta", "signature", &signature.written(Issuer::Anthropic), out);
        self.close(out);
    }

    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Text { .. }) {
            self.close(out);
            self.start_block(Open::Text { is_cited: false }, &text_block("", &[]), out);
        }
        self.open = Open::Text { is_cited: true };
        self.value_delta(json!({"type": "citations_delta", "citation": citations::write(citation)}), out);
    }

    fn value_delta(&self, delta: Value, out: &mut Vec<u8>) {
        let members = members::object([("index", self.index.into()), ("delta", delta)]);
        write_event("content_block_delta", members, out);
    }

    /// A block that comes at once: what it begins with, its deltas, its end.
    fn whole_block(&mut self, block: &Value, deltas: &[Value], out: &mut Vec<u8>) {
        self.close(out);
        self.start_block(Open::Nothing, block, out);
        for delta in deltas {
            self.value_delta(delta.clone(), out);
        }
        write_event("content_block_stop", members::object([("index", self.index.into())]), out);
        self.index += 1;
    }

    /// A block of Anthropic's own: its input comes as a delta, and so does what was compacted, as Anthropic sends them.
    fn native(&mut self, native: &Native, out: &mut Vec<u8>) {
        let Value::Object(members) = &native.value else { return };
        if native.dialect != Dialect::Anthropic {
            return;
        }
        let mut block = members.clone();
        let mut deltas = Vec::new();
        if let Some(input) = block.get_mut("input") {
            let piece = std::mem::replace(input, Value::Object(Map::new())).to_string();
            deltas.push(json!({"type": "input_json_delta", "partial_json": piece}));
        }
        if block.get("type").is_some_and(|kind| kind == "compaction") {
            let mut delta = members::object([("type", "compaction_delta".into())]);
            for name in ["content", "encrypted_content"] {
                if let Some(value) = block.get_mut(name) {
                    delta.insert(name.to_owned(), std::mem::take(value));
                }
            }
            deltas.push(Value::Object(delta));
        }
        self.whole_block(&Value::Object(block), &deltas, out);
    }

    fn take_steps(&mut self, steps: Vec<Step>, out: &mut Vec<u8>) {
        for step in steps {
            match step {
                Step::Start { id, name, signature } => {
                    if let Some(signature) = &signature {
                        self.start_block(Open::Call, &redacted_block(signature), out);
                        self.stop_block(out);
                    }
                    self.start_block(Open::Call, &tool_use_block(&id, &name, Map::new()), out);
                }
                Step::Arguments(piece) => self.delta("input_json_delta", "partial_json", &piece, out),
                Step::Stop => self.stop_block(out),
            }
        }
    }
}

impl EventEncoder for StreamEncoder {
    fn encode(&mut self, events: &[StreamEvent], out: &mut Vec<u8>) {
        for event in events.iter().filter(|event| choice(event) == 0) {
            self.encode_event(event, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out);
        let ending = Ending {
            stop: self.stop,
            stop_sequence: self.stop_sequence.as_deref(),
            refusal: (!self.refusal.is_empty()).then_some(self.refusal.as_str()),
            calls_tools: self.calls_tools,
        };
        let usage = usage::write(&self.usage, None);
        let members = members::object([("delta", ending.members().into()), ("usage", usage.into())]);
        write_event("message_delta", members, out);
        write_event("message_stop", Map::new(), out);
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&errors::encode_error(error));
        out.extend_from_slice(b"\n\n");
    }

    fn note_lost(&self, reply: &ChatReply, lost: &mut Losses) {
        super::encode_reply(reply, &self.facts, lost);
    }
}

fn choice(event: &StreamEvent) -> u64 {
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

/// One event of the stream; its name is its type as well.
fn write_event(kind: &str, members: Map<String, Value>, out: &mut Vec<u8>) {
    let mut event = members::object([("type", kind.into())]);
    event.extend(members);
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(Value::Object(event).to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}
