//! An answer as a stream of `GenerateContentResponse`s, as events or as one JSON array.
//!
//! Owns the chunks: their frame, what is held until it is whole (calls, which come in one chunk here), and the last chunk
//! with the ends, the sources and the usage. **Invariant:** nothing is written before there is something to show, so that
//! a stream that fails before its first word has not begun for the caller. **Invariant:** the bytes are the same however
//! the provider's stream was cut.

use super::choice::{call_part, media_part, write_end};
use super::response_id;
use crate::conversation::{
    ChatReply, Citation, Issuer, MediaSource, Part, Signature, StopReason, StreamEvent, Usage,
};
use crate::gemini::citations::{self, Cited};
use crate::gemini::error::error_object;
use crate::gemini::usage::write_usage;
use crate::gemini::{logprobs, part, seal};
use crate::json::write;
use crate::wire::{CallerError, Dialect, EventEncoder, Losses, ReplyFacts};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Most text of one answer that is kept to place citations in, and of one block of reasoning that is kept to be given
/// back with a call, in bytes. No model writes as much.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Writes events as chunks.
#[derive(Debug)]
pub struct StreamEncoder {
    facts: ReplyFacts,
    /// `alt=sse` was not asked for: the chunks are the items of an array.
    array: bool,
    has_begun: bool,
    /// What follows the candidates of every chunk: model and id.
    tail: Vec<u8>,
    answers: BTreeMap<u64, Answer>,
    usage: Option<Usage>,
    service_tier: Option<String>,
}

/// One answer while it streams.
#[derive(Debug, Default)]
struct Answer {
    text: String,
    /// Parts that were written; runs of text are one.
    parts: usize,
    /// The number of the part that `text` begins at.
    text_part: usize,
    is_in_text: bool,
    citations: Vec<Citation>,
    thought: String,
    thoughts: Vec<Part>,
    calls: VecDeque<Call>,
    unreadable: Option<String>,
    stop: Option<StopReason>,
}

/// A call whose arguments are coming in.
#[derive(Debug)]
struct Call {
    index: u64,
    id: String,
    name: String,
    arguments: String,
    is_custom: bool,
    signature: Option<String>,
}

impl StreamEncoder {
    /// An encoder at the beginning of a stream: server-sent events, or with `array` the items of one JSON array.
    pub fn new(facts: ReplyFacts, array: bool) -> Self {
        Self {
            facts,
            array,
            has_begun: false,
            tail: Vec::new(),
            answers: BTreeMap::new(),
            usage: None,
            service_tier: None,
        }
    }

    fn encode_event(&mut self, event: &StreamEvent, logprobs: Option<&Value>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, .. } => self.fix_tail(id),
            StreamEvent::Text { choice, delta } | StreamEvent::Refusal { choice, delta } => {
                if !delta.is_empty() {
                    self.say_text(*choice, delta, logprobs, out);
                }
            }
            StreamEvent::Reasoning { choice, delta } => {
                if !delta.is_empty() {
                    self.answer(*choice).remember_thought(delta);
                    self.say(*choice, &part::thought(delta, None), out);
                }
            }
            StreamEvent::ReasoningSignature { choice, signature } => self.sign(*choice, signature, out),
            StreamEvent::RedactedReasoning { choice, data } => {
                self.answer(*choice).thoughts.push(Part::RedactedReasoning { data: data.clone() });
                self.say(*choice, &part::thought("", Some(&seal::redacted(data))), out);
            }
            StreamEvent::ToolCallStart { .. } => self.begin_call(event, out),
            StreamEvent::ToolCallArguments { choice, index, delta } => {
                let calls = &mut self.answer(*choice).calls;
                if let Some(call) = calls.iter_mut().rev().find(|call| call.index == *index) {
                    call.arguments.push_str(delta);
                }
            }
            StreamEvent::Logprobs { choice, logprobs } => {
                if let Some(logprobs) = logprobs::write(logprobs) {
                    self.chunk(*choice, b"{\"text\":\"\"}", Some(&logprobs), out);
                }
            }
            StreamEvent::Citation { choice, citation } => {
                self.answer(*choice).citations.push((**citation).clone());
            }
            StreamEvent::Image { choice, source } => {
                let image = Part::Image { source: source.clone(), detail: None, cache_control: None };
                if let Some(part) = media_part(&image) {
                    self.say(*choice, &part, out);
                }
            }
            StreamEvent::Audio { choice, data, transcript, .. } => {
                self.say_sound(*choice, data, transcript, out);
            }
            StreamEvent::Native { choice, native } => {
                if native.dialect == Dialect::Gemini {
                    self.say(*choice, &native.value, out);
                }
            }
            StreamEvent::Finish { choice, stop, .. } => {
                self.flush_calls(*choice, true, out);
                self.answer(*choice).stop = Some(*stop);
            }
            StreamEvent::ServiceTier(tier) => self.service_tier = Some(tier.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
        }
    }

    fn answer(&mut self, choice: u64) -> &mut Answer {
        self.answers.entry(choice).or_default()
    }

    /// A signature of Google's on what came before it, or the end of another's block of reasoning.
    fn sign(&mut self, choice: u64, signature: &Signature, out: &mut Vec<u8>) {
        let answer = self.answer(choice);
        let text = std::mem::take(&mut answer.thought);
        let is_own = signature.issuer == Issuer::Google;
        let ends_thought = !text.is_empty();
        if !is_own {
            answer.thoughts.push(Part::Reasoning { text, signature: Some(signature.clone()) });
        }
        let written = seal::written(signature);
        let part = if is_own && !ends_thought {
            json!({ "text": "", "thoughtSignature": written })
        } else {
            part::thought("", Some(&written))
        };
        self.say(choice, &part, out);
    }

    fn begin_call(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        let StreamEvent::ToolCallStart { choice, index, id, name, is_custom, signature } = event else {
            return;
        };
        self.flush_calls(*choice, false, out);
        let is_custom = *is_custom;
        let answer = self.answer(*choice);
        let brought = seal::thoughts(&std::mem::take(&mut answer.thoughts));
        answer.calls.push_back(Call {
            index: *index,
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            is_custom,
            signature: signature.as_ref().map(seal::written).or(brought),
        });
    }

    /// Writes the calls that are whole, in their order; at the end of the answer all of them. A custom tool's input tells
    /// its end by nothing.
    fn flush_calls(&mut self, choice: u64, is_end: bool, out: &mut Vec<u8>) {
        while let Some(call) = self.answer(choice).calls.pop_front() {
            let is_whole = !call.is_custom
                && !call.arguments.trim().is_empty()
                && part::arguments(&call.arguments).is_some();
            if !is_end && !is_whole {
                self.answer(choice).calls.push_front(call);
                return;
            }
            match call_part((&call.id, &call.name), &call.arguments, call.is_custom, call.signature) {
                Ok(part) => self.write_part(choice, &part, out),
                Err(text) => {
                    self.answer(choice).unreadable.get_or_insert(text);
                }
            }
        }
    }

    fn say_text(&mut self, choice: u64, delta: &str, logprobs: Option<&Value>, out: &mut Vec<u8>) {
        self.flush_calls(choice, false, out);
        let answer = self.answer(choice);
        if !answer.is_in_text {
            answer.is_in_text = true;
            if answer.text.is_empty() {
                answer.text_part = answer.parts;
            }
            answer.parts += 1;
        }
        if answer.text.len() + delta.len() <= KEPT_BYTES_MAX {
            answer.text.push_str(delta);
        }
        let mut part = Vec::with_capacity(delta.len() + 16);
        let mut object = write::Object::open(&mut part);
        object.string("text", delta);
        object.close();
        let logprobs = logprobs.and_then(logprobs::write);
        self.chunk(choice, &part, logprobs.as_ref(), out);
    }

    /// Sounds are raw samples here, as they are in OpenAI's streams; the words come as text.
    fn say_sound(&mut self, choice: u64, data: &str, transcript: &str, out: &mut Vec<u8>) {
        if !data.is_empty() {
            let source = MediaSource::Base64 { media_type: String::new(), data: data.to_owned() };
            let sound = Part::Audio { source, format: "pcm16".to_owned(), transcript: None };
            if let Some(part) = media_part(&sound) {
                self.say(choice, &part, out);
            }
        }
        if !transcript.is_empty() {
            self.say_text(choice, transcript, None, out);
        }
    }

    fn say(&mut self, choice: u64, part: &Value, out: &mut Vec<u8>) {
        self.flush_calls(choice, false, out);
        self.write_part(choice, part, out);
    }

    fn write_part(&mut self, choice: u64, part: &Value, out: &mut Vec<u8>) {
        let answer = self.answer(choice);
        answer.parts += 1;
        answer.is_in_text = false;
        let mut written = Vec::new();
        write::value(part, &mut written);
        self.chunk(choice, &written, None, out);
    }

    /// Writes a chunk with one part.
    fn chunk(&mut self, choice: u64, part: &[u8], logprobs: Option<&Value>, out: &mut Vec<u8>) {
        self.open_chunk(out);
        out.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
        out.extend_from_slice(part);
        out.extend_from_slice(b"],\"role\":\"model\"},\"index\":");
        write::integer(choice, out);
        if let Some(logprobs) = logprobs {
            out.extend_from_slice(b",\"logprobsResult\":");
            write::value(logprobs, out);
        }
        out.extend_from_slice(b"}]");
        out.extend_from_slice(&self.tail);
        self.close_chunk(out);
    }

    fn open_chunk(&mut self, out: &mut Vec<u8>) {
        self.fix_tail("");
        let opening: &[u8] = match (self.array, self.has_begun) {
            (false, _) => b"data: ",
            (true, false) => b"[",
            (true, true) => b",\r\n",
        };
        self.has_begun = true;
        out.extend_from_slice(opening);
    }

    fn close_chunk(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.array { b"\n" } else { b"\r\n\r\n" });
    }

    /// Fixes model and id at the first that is heard of them.
    fn fix_tail(&mut self, provider_id: &str) {
        if !self.tail.is_empty() {
            return;
        }
        self.tail.extend_from_slice(b",\"modelVersion\":");
        write::string(&self.facts.client_model, &mut self.tail);
        self.tail.extend_from_slice(b",\"responseId\":");
        write::string(&response_id(provider_id, &self.facts), &mut self.tail);
        self.tail.push(b'}');
    }
}

impl Answer {
    fn remember_thought(&mut self, delta: &str) {
        if self.thought.len() + delta.len() <= KEPT_BYTES_MAX {
            self.thought.push_str(delta);
        }
    }

    /// The last that is said of this answer.
    fn last_candidate(&self, index: u64) -> Value {
        let mut candidate = Map::new();
        // Clients look for parts in every chunk.
        candidate.insert("content".to_owned(), json!({ "parts": [{ "text": "" }], "role": "model" }));
        write_end(self.stop.unwrap_or(StopReason::Stop), self.unreadable.as_deref(), &mut candidate);
        candidate.insert("index".to_owned(), json!(index));
        let cited = Cited { part: self.text_part, text: &self.text, citations: &self.citations };
        citations::write(&[cited], &mut candidate);
        Value::Object(candidate)
    }
}

impl EventEncoder for StreamEncoder {
    /// Log probabilities share the chunk of the text before them where both are among `events`.
    fn encode(&mut self, events: &[StreamEvent], out: &mut Vec<u8>) {
        let mut rest = events.iter().peekable();
        while let Some(event) = rest.next() {
            let logprobs = match (event, rest.peek()) {
                (
                    StreamEvent::Text { choice, delta } | StreamEvent::Refusal { choice, delta },
                    Some(StreamEvent::Logprobs { choice: other, logprobs }),
                ) if choice == other && !delta.is_empty() => {
                    rest.next();
                    Some(logprobs)
                }
                _ => None,
            };
            self.encode_event(event, logprobs, out);
        }
    }

    /// The last chunk: why each answer ended, its sources, and the usage.
    fn finish(&mut self, out: &mut Vec<u8>) {
        let choices: Vec<u64> = self.answers.keys().copied().collect();
        for choice in choices {
            self.flush_calls(choice, true, out);
        }
        let candidates: Vec<Value> =
            self.answers.iter().map(|(index, answer)| answer.last_candidate(*index)).collect();
        self.open_chunk(out);
        out.extend_from_slice(b"{\"candidates\":");
        write::value(&Value::Array(candidates), out);
        if let Some(usage) = &self.usage {
            out.extend_from_slice(b",\"usageMetadata\":");
            // What is lost of it is told apart from the bytes.
            let usage = write_usage(usage, self.service_tier.as_deref(), &mut Losses::default());
            write::value(&usage, out);
        }
        out.extend_from_slice(&self.tail);
        self.close_chunk(out);
        if self.array {
            out.push(b']');
        }
    }

    /// An error body in the place of a chunk, as Google sends it.
    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>) {
        self.open_chunk(out);
        write::value(&Value::Object(error_object(error)), out);
        self.close_chunk(out);
        if self.array {
            out.push(b']');
        }
    }

    fn note_lost(&self, reply: &ChatReply, lost: &mut Losses) {
        super::encode_reply(reply, &self.facts, lost);
    }
}
