//! A streamed answer as Cohere's events.
//!
//! Owns the order: `message-start` with the first content, blocks and calls one after the other, `message-end` with the
//! reason and the whole usage once the provider has said it. Leaves calls that overlap to
//! [`calls`](crate::anthropic::answer::calls). Text is always content: until the calls come, nobody knows whether it is
//! what is said before them.
//!
//! **Invariant:** blocks and calls are numbered from 0 without gaps, and each is ended before the next begins.
//! **Invariant:** nothing is written before there is something to show, so that a stream that fails before its first
//! word has not begun for the caller.

use super::answer::{call, redacted_block, reply_id, thinking_block};
use super::citations::{self, Cited};
use super::reply::HOME;
use super::{finish, logprobs, usage};
use crate::anthropic::answer::calls::{Call, Calls, Step};
use crate::conversation::{ChatReply, Citation, Signature, StopReason, StreamEvent, Usage};
use crate::json::value::insert;
use crate::json::write::Object;
use crate::wire::{CallerError, EventEncoder, Losses, ReplyFacts};
use serde_json::{Map, Value, json};

/// Longest text that is kept for the words of its citations, in bytes; those of more text quote nothing.
const CITED_BYTES_MAX: usize = 1 << 20;

/// The block that is being written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    Text,
    Thinking,
    Call,
}

/// Writes one stream. Answers beside the first (`n` above 1) have no place in it.
#[derive(Debug, Default)]
pub struct StreamEncoder {
    facts: ReplyFacts,
    id: String,
    has_begun: bool,
    open: Open,
    /// Content blocks so far; the open one is the last.
    block_count: u64,
    call_count: u64,
    citation_count: u64,
    calls: Calls,
    /// All text so far, of which citations are. Where in it each text block begins, with its number.
    text: String,
    is_text_cut: bool,
    text_chars: u64,
    begins: Vec<(u64, u64)>,
    stop: Option<StopReason>,
    usage: Usage,
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
            StreamEvent::Text { delta, .. }
            | StreamEvent::Refusal { delta, .. }
            | StreamEvent::Audio { transcript: delta, .. } => self.text(delta, out),
            StreamEvent::Reasoning { delta, .. } => self.thinking(delta, out),
            StreamEvent::ReasoningSignature { signature, .. } => self.sign(signature, out),
            StreamEvent::RedactedReasoning { data, .. } => {
                self.close(out);
                self.start_block(Open::Thinking, &redacted_block(data), out);
                self.close(out);
            }
            StreamEvent::ToolCallStart { index, id, name, is_custom, signature, .. } => {
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
            StreamEvent::Logprobs { logprobs, .. } => self.logprobs(logprobs, out),
            StreamEvent::Finish { stop, .. } => {
                self.close(out);
                self.stop = Some(*stop);
            }
            StreamEvent::Native { .. } | StreamEvent::Image { .. } | StreamEvent::ServiceTier(_) => {}
        }
    }

    /// Writes `message-start` if it has not been.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let id = reply_id(&self.id, &self.facts);
        let message =
            json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
        write_event("message-start", json!({"id": id, "delta": {"message": message}}), out);
    }

    fn start_block(&mut self, open: Open, block: &Value, out: &mut Vec<u8>) {
        self.begin(out);
        self.open = open;
        let delta = json!({"message": {"content": block}});
        write_event("content-start", json!({"index": self.block_count, "delta": delta}), out);
        self.block_count += 1;
    }

    /// Ends the block or the calls that are open.
    fn close(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.open) {
            Open::Nothing => {}
            Open::Text | Open::Thinking => {
                write_event("content-end", json!({"index": self.block_index()}), out);
            }
            Open::Call => {
                let steps = self.calls.flush();
                self.take_steps(steps, out);
                self.open = Open::Nothing;
            }
        }
    }

    fn block_index(&self) -> u64 {
        self.block_count.saturating_sub(1)
    }

    /// The event that comes by the thousand, written without a tree.
    fn content_delta(&self, member: &str, piece: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content-delta\ndata: ");
        let mut event = Object::open(out);
        event.string("type", "content-delta");
        event.integer("index", self.block_index());
        event.object("delta", |delta| {
            delta.object("message", |message| {
                message.object("content", |content| content.string(member, piece));
            });
        });
        event.close();
        out.extend_from_slice(b"\n\n");
    }

    fn text(&mut self, piece: &str, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        if self.open != Open::Text {
            self.close(out);
            self.begins.push((self.text_chars, self.block_count));
            self.start_block(Open::Text, &json!({"type": "text", "text": ""}), out);
        }
        self.text_chars += piece.chars().count() as u64;
        self.is_text_cut |= self.text.len() + piece.len() > CITED_BYTES_MAX;
        if !self.is_text_cut {
            self.text.push_str(piece);
        }
        self.content_delta("text", piece, out);
    }

    fn thinking(&mut self, piece: &str, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.open_thinking(out);
        self.content_delta("thinking", piece, out);
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if self.open != Open::Thinking {
            self.close(out);
            self.start_block(Open::Thinking, &thinking_block("", None), out);
        }
    }

    /// The signature that closes a thought, or stands for one that is not shown.
    fn sign(&mut self, signature: &Signature, out: &mut Vec<u8>) {
        self.open_thinking(out);
        let content = json!({"thinking": "", "signature": signature.written(HOME)});
        let delta = json!({"message": {"content": content}});
        write_event("content-delta", json!({"index": self.block_index(), "delta": delta}), out);
        self.close(out);
    }

    fn logprobs(&mut self, logprobs: &Value, out: &mut Vec<u8>) {
        if self.open != Open::Text {
            return;
        }
        for piece in logprobs::write(logprobs) {
            let delta = json!({"message": {"content": {"text": ""}}});
            let event = json!({"index": self.block_index(), "delta": delta, "logprobs": piece});
            write_event("content-delta", event, out);
        }
    }

    /// A source of the text so far, counted from the begin of the block that it is in.
    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let start = citation.span.map_or(0, |(start, _)| start);
        let block = self.begins.iter().rfind(|(begin, _)| *begin <= start).copied();
        let (begin, index) = block.unwrap_or((0, 0));
        let mut value = citations::write(&self.text, citation, Cited::Content(index));
        if let Value::Object(members) = &mut value {
            for name in ["start", "end"] {
                let place = members.get(name).and_then(Value::as_u64).unwrap_or(0);
                insert(members, name, place.saturating_sub(begin));
            }
        }
        self.begin(out);
        let delta = json!({"message": {"citations": value}});
        write_event("citation-start", json!({"index": self.citation_count, "delta": delta}), out);
        write_event("citation-end", json!({"index": self.citation_count}), out);
        self.citation_count += 1;
    }

    fn take_steps(&mut self, steps: Vec<Step>, out: &mut Vec<u8>) {
        for step in steps {
            match step {
                Step::Start { id, name, signature } => {
                    self.begin(out);
                    self.open = Open::Call;
                    self.call_count += 1;
                    let call = call(&id, &name, "", signature.as_ref());
                    self.call_event("tool-call-start", &call, out);
                }
                Step::Arguments(piece) => {
                    self.call_event("tool-call-delta", &json!({"function": {"arguments": piece}}), out);
                }
                Step::Stop => write_event("tool-call-end", json!({"index": self.call_index()}), out),
            }
        }
    }

    fn call_index(&self) -> u64 {
        self.call_count.saturating_sub(1)
    }

    fn call_event(&self, kind: &str, call: &Value, out: &mut Vec<u8>) {
        let delta = json!({"message": {"tool_calls": call}});
        write_event(kind, json!({"index": self.call_index(), "delta": delta}), out);
    }

    fn end(&mut self, delta: &Value, out: &mut Vec<u8>) {
        write_event("message-end", json!({"id": reply_id(&self.id, &self.facts), "delta": delta}), out);
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl EventEncoder for StreamEncoder {
    fn encode(&mut self, events: &[StreamEvent], out: &mut Vec<u8>) {
        for event in events.iter().filter(|event| event.choice() == 0) {
            self.encode_event(event, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out);
        let reason = finish::write(self.stop, self.call_count > 0);
        self.end(&json!({"finish_reason": reason, "usage": usage::write(&self.usage)}), out);
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        self.end(&json!({"finish_reason": "ERROR", "error": error.message}), out);
    }

    fn note_lost(&self, reply: &ChatReply, lost: &mut Losses) {
        super::answer::encode_reply(reply, &self.facts, lost);
    }
}

/// One event of the stream; its name is its type as well.
fn write_event(kind: &str, members: Value, out: &mut Vec<u8>) {
    let mut event = Map::new();
    insert(&mut event, "type", kind);
    if let Value::Object(members) = members {
        event.extend(members);
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(Value::Object(event).to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}
