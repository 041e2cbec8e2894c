//! Writes events as the caller's chunks.
//!
//! Owns the order: the role before anything else of an answer, the finish last, then usage, then `[DONE]`.
//! **Invariant:** id, time and model are the same in every chunk. **Invariant:** nothing is written before there is
//! something to show, so that a stream that fails before its first word has not begun for the caller.

use crate::conversation::custom::InputReader;
use crate::conversation::{ChatReply, Citation, MediaSource, Signature, StopReason, StreamEvent, Usage};
use crate::openai::error_frame;
use crate::openai::reply::{
    audio_id, finish_reason, legacy_finish_reason, legacy_logprobs, reply_id, write_annotation, write_image,
    write_signature_fields, write_stop_sequence,
};
use crate::openai::thought::Thought;
use crate::openai::usage::write_usage;
use crate::openai::write::{self, Object};
use crate::wire::{CallerError, EventEncoder, Losses, ReplyFacts};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Longest text of one block of reasoning that is kept to be given back whole with its signature, in bytes. No model
/// writes as much (it is a million tokens and more); a longer block goes without its signed form.
const THOUGHT_BYTES_MAX: usize = 4 << 20;

/// Which kind of chunks the caller asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamShape {
    /// `chat.completion.chunk`.
    #[default]
    Chat,
    /// `text_completion`: text and finish only.
    Completion,
}

/// What the caller's stream looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamPlan {
    /// Id, time and model; with `include_usage`, a chunk with the usage and no choices ends the stream, and every other
    /// one says `usage: null`.
    pub facts: ReplyFacts,
    /// Which kind of chunks.
    pub shape: StreamShape,
}

/// Writes events as chunks.
#[derive(Debug)]
pub struct ChunkEncoder {
    plan: StreamPlan,
    /// `data: {..., "choices":[`: what every chunk begins with.
    head: Vec<u8>,
    /// `], ...}`: what every chunk ends with.
    tail: Vec<u8>,
    answers: BTreeMap<u64, Answer>,
    usage: Option<Usage>,
    service_tier: Option<String>,
}

/// One answer while it streams.
#[derive(Debug, Default)]
struct Answer {
    role_is_sent: bool,
    thought: String,
    thought_is_whole: bool,
    images: u64,
    text: TextPlace,
    /// The calls of custom tools by their number, with what takes their text out of a function's arguments.
    custom_calls: BTreeMap<u64, Option<InputReader>>,
}

/// How far the text of an answer is, in characters of its whole content.
#[derive(Debug, Default)]
struct TextPlace {
    end: u64,
    part_is_open: bool,
    /// The stretch that sources without a span belong to.
    cited_from: u64,
    cited_to: u64,
}

impl TextPlace {
    fn say(&mut self, delta: &str) {
        if !std::mem::replace(&mut self.part_is_open, true) {
            self.cited_to = self.end;
        }
        self.end += delta.chars().count() as u64;
    }

    /// Where a source's text stands in the whole content.
    fn cite(&mut self, span: Option<(u64, u64)>) -> (u64, u64) {
        if self.end > self.cited_to {
            (self.cited_from, self.cited_to) = (self.cited_to, self.end);
        }
        span.unwrap_or((self.cited_from, self.cited_to))
    }
}

/// The part of a chunk that an event decides.
enum Delta<'a> {
    Role,
    Content(&'a str),
    Reasoning(&'a str),
    Thought(Thought<'a>),
    Refusal(&'a str),
    CallStart { index: u64, id: &'a str, name: &'a str, is_custom: bool, signature: Option<&'a Signature> },
    CallArguments { index: u64, delta: &'a str, is_custom: bool },
    Citation { citation: &'a Citation, span: (u64, u64) },
    Image { index: u64, source: &'a MediaSource },
    Audio { id: &'a str, data: &'a str, transcript: &'a str },
    Nothing,
}

impl ChunkEncoder {
    /// An encoder at the beginning of a stream.
    pub fn new(plan: StreamPlan) -> Self {
        let mut encoder = Self {
            plan,
            head: Vec::new(),
            tail: Vec::new(),
            answers: BTreeMap::new(),
            usage: None,
            service_tier: None,
        };
        encoder.fix_tail();
        encoder
    }

    /// An encoder whose chunks have this id, whatever a provider says.
    pub fn with_id(plan: StreamPlan, id: &str) -> Self {
        let mut encoder = Self::new(plan);
        encoder.write_head(id);
        encoder
    }
}

impl EventEncoder for ChunkEncoder {
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

    /// The usage where it is wanted and known, and `[DONE]`.
    fn finish(&mut self, out: &mut Vec<u8>) {
        if let (true, Some(usage)) = (self.plan.facts.include_usage, self.usage) {
            self.fix_head("");
            out.extend_from_slice(&self.head);
            out.push(b']');
            self.write_service_tier(out);
            out.extend_from_slice(b",\"usage\":");
            write_usage(&usage, out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error_frame(error));
    }

    fn note_lost(&self, reply: &ChatReply, lost: &mut Losses) {
        // The legacy form is text, and nobody who asks for it expects more.
        if self.plan.shape == StreamShape::Chat {
            crate::openai::encode_reply(reply, &self.plan.facts, lost);
        }
    }
}

impl ChunkEncoder {
    fn encode_event(&mut self, event: &StreamEvent, logprobs: Option<&Value>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, .. } => self.fix_head(id),
            StreamEvent::Text { choice, delta } => {
                self.answers.entry(*choice).or_default().text.say(delta);
                self.say(*choice, &Delta::Content(delta), logprobs, out);
            }
            StreamEvent::Reasoning { choice, delta } => {
                self.remember_thought(*choice, delta);
                self.say(*choice, &Delta::Reasoning(delta), None, out);
            }
            StreamEvent::ReasoningSignature { choice, signature } => {
                self.sign_thought(*choice, signature, out);
            }
            StreamEvent::RedactedReasoning { choice, data } => {
                self.say(*choice, &Delta::Thought(Thought::Sealed(data)), None, out);
            }
            StreamEvent::Refusal { choice, delta } => {
                self.say(*choice, &Delta::Refusal(delta), logprobs, out);
            }
            StreamEvent::ToolCallStart { choice, index, id, name, is_custom, signature } => {
                let is_custom = self.begin_call(*choice, *index, name, *is_custom);
                let signature = signature.as_ref();
                let start = Delta::CallStart { index: *index, id, name, is_custom, signature };
                self.say(*choice, &start, None, out);
            }
            StreamEvent::ToolCallArguments { choice, index, delta } => {
                self.say_arguments(*choice, *index, delta, out);
            }
            StreamEvent::Logprobs { choice, logprobs } => {
                self.say(*choice, &Delta::Nothing, Some(logprobs), out);
            }
            StreamEvent::Finish { choice, stop, stop_sequence } => {
                self.end_calls(*choice, out);
                self.begin_answer(*choice, out);
                let stop_sequence = stop_sequence.as_deref();
                self.chunk(
                    *choice,
                    &Delta::Nothing,
                    Ending { logprobs: None, stop: Some(*stop), stop_sequence },
                    out,
                );
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::ServiceTier(tier) => {
                self.service_tier = Some(tier.clone());
                self.fix_tail();
            }
            StreamEvent::Citation { choice, citation } => self.cite(*choice, citation, out),
            StreamEvent::Image { choice, source } => {
                let answer = self.answers.entry(*choice).or_default();
                let index = answer.images;
                answer.images += 1;
                self.say(*choice, &Delta::Image { index, source }, None, out);
            }
            StreamEvent::Audio { choice, id, data, transcript } => {
                let id = if id.is_empty() && data.is_empty() && transcript.is_empty() {
                    Cow::Borrowed("")
                } else {
                    audio_id(id, &self.plan.facts)
                };
                self.say(*choice, &Delta::Audio { id: &id, data, transcript }, None, out);
            }
            // Blocks that another dialect alone has.
            StreamEvent::Native { .. } => {}
        }
        self.end_text(event);
    }

    /// A source that has no address has no form here.
    fn cite(&mut self, choice: u64, citation: &Citation, out: &mut Vec<u8>) {
        let span = self.answers.entry(choice).or_default().text.cite(citation.span);
        if citation.url.is_some() {
            self.say(choice, &Delta::Citation { citation, span }, None, out);
        }
    }

    /// Notes a call of a custom tool; gives whether it is one.
    fn begin_call(&mut self, choice: u64, index: u64, name: &str, is_custom: bool) -> bool {
        let stands_in = !is_custom && self.plan.facts.custom_tools.iter().any(|tool| tool == name);
        if is_custom || stands_in {
            let reader = stands_in.then(InputReader::default);
            self.answers.entry(choice).or_default().custom_calls.insert(index, reader);
        }
        is_custom || stands_in
    }

    fn say_arguments(&mut self, choice: u64, index: u64, delta: &str, out: &mut Vec<u8>) {
        match self.answers.entry(choice).or_default().custom_calls.get_mut(&index) {
            None => self.say(choice, &Delta::CallArguments { index, delta, is_custom: false }, None, out),
            Some(None) => {
                self.say(choice, &Delta::CallArguments { index, delta, is_custom: true }, None, out);
            }
            Some(Some(reader)) => {
                let input = reader.push(delta);
                self.say(choice, &Delta::CallArguments { index, delta: &input, is_custom: true }, None, out);
            }
        }
    }

    /// What the readers of custom tools' calls have held back.
    fn end_calls(&mut self, choice: u64, out: &mut Vec<u8>) {
        let calls = std::mem::take(&mut self.answers.entry(choice).or_default().custom_calls);
        for (index, reader) in calls {
            let rest = reader.map(|mut reader| reader.finish()).unwrap_or_default();
            self.say(choice, &Delta::CallArguments { index, delta: &rest, is_custom: true }, None, out);
        }
    }

    /// Something else than text came: what text comes next is another part.
    fn end_text(&mut self, event: &StreamEvent) {
        if let StreamEvent::Reasoning { choice, .. }
        | StreamEvent::RedactedReasoning { choice, .. }
        | StreamEvent::ToolCallStart { choice, .. }
        | StreamEvent::Native { choice, .. } = event
            && let Some(answer) = self.answers.get_mut(choice)
        {
            answer.text.part_is_open = false;
        }
    }

    /// `],` and what stands behind the choices of every chunk.
    fn fix_tail(&mut self) {
        let mut tail = b"]".to_vec();
        self.write_service_tier(&mut tail);
        let end: &[u8] = if self.plan.facts.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" };
        tail.extend_from_slice(end);
        self.tail = tail;
    }

    fn write_service_tier(&self, out: &mut Vec<u8>) {
        if let Some(tier) = &self.service_tier {
            out.extend_from_slice(b",\"service_tier\":");
            write::string(tier, out);
        }
    }

    /// Fixes id, time and model at the first that is heard of them.
    fn fix_head(&mut self, provider_id: &str) {
        if !self.head.is_empty() {
            return;
        }
        let id = reply_id(&self.plan.facts, provider_id).into_owned();
        self.write_head(&id);
    }

    fn write_head(&mut self, id: &str) {
        let facts = &self.plan.facts;
        self.head.extend_from_slice(b"data: ");
        let mut head = Object::open(&mut self.head);
        head.string("id", id);
        head.string(
            "object",
            match self.plan.shape {
                StreamShape::Chat => "chat.completion.chunk",
                StreamShape::Completion => "text_completion",
            },
        );
        head.integer("created", facts.created);
        head.string("model", &facts.client_model);
        head.raw("choices", "[");
    }

    fn remember_thought(&mut self, choice: u64, delta: &str) {
        let answer = self.answers.entry(choice).or_default();
        if answer.thought.is_empty() {
            answer.thought_is_whole = true;
        }
        if answer.thought.len() + delta.len() > THOUGHT_BYTES_MAX {
            answer.thought_is_whole = false;
        } else {
            answer.thought.push_str(delta);
        }
    }

    /// A signature comes with the whole text that it signs, so that a client can send the block back as it is.
    fn sign_thought(&mut self, choice: u64, signature: &Signature, out: &mut Vec<u8>) {
        let answer = self.answers.entry(choice).or_default();
        let text = std::mem::take(&mut answer.thought);
        if text.is_empty() || answer.thought_is_whole {
            self.say(
                choice,
                &Delta::Thought(Thought::Open { text: &text, signature: Some(signature) }),
                None,
                out,
            );
        }
    }

    /// Writes the role of an answer that has not spoken yet.
    fn begin_answer(&mut self, choice: u64, out: &mut Vec<u8>) {
        let answer = self.answers.entry(choice).or_default();
        let speaks_first = !std::mem::replace(&mut answer.role_is_sent, true);
        if speaks_first && self.plan.shape == StreamShape::Chat {
            self.chunk(choice, &Delta::Role, Ending::default(), out);
        }
    }

    fn say(&mut self, choice: u64, delta: &Delta<'_>, logprobs: Option<&Value>, out: &mut Vec<u8>) {
        let is_said = match self.plan.shape {
            StreamShape::Chat => !delta.is_empty() || logprobs.is_some(),
            StreamShape::Completion => matches!(delta, Delta::Content(text) if !text.is_empty()),
        };
        if is_said {
            self.begin_answer(choice, out);
            self.chunk(choice, delta, Ending { logprobs, ..Ending::default() }, out);
        }
    }

    fn chunk(&mut self, choice: u64, delta: &Delta<'_>, ending: Ending<'_>, out: &mut Vec<u8>) {
        self.fix_head("");
        out.extend_from_slice(&self.head);
        let mut object = Object::open(out);
        match self.plan.shape {
            StreamShape::Chat => write_chat_choice(choice, delta, ending, &mut object),
            StreamShape::Completion => write_text_choice(choice, delta, ending, &mut object),
        }
        object.close();
        out.extend_from_slice(&self.tail);
    }
}

/// What stands beside the delta of a chunk.
#[derive(Default, Clone, Copy)]
struct Ending<'a> {
    logprobs: Option<&'a Value>,
    stop: Option<StopReason>,
    stop_sequence: Option<&'a str>,
}

impl Delta<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Content(text) | Self::Reasoning(text) | Self::Refusal(text) => text.is_empty(),
            Self::CallArguments { delta, .. } => delta.is_empty(),
            Self::Audio { id, data, transcript, .. } => {
                id.is_empty() && data.is_empty() && transcript.is_empty()
            }
            Self::Role
            | Self::Thought(_)
            | Self::CallStart { .. }
            | Self::Citation { .. }
            | Self::Image { .. } => false,
            Self::Nothing => true,
        }
    }

    fn write(&self, out: &mut Object<'_>) {
        match self {
            Self::Role => {
                out.string("role", "assistant");
                out.string("content", "");
            }
            Self::Content(text) => out.string("content", text),
            Self::Reasoning(text) => out.string("reasoning_content", text),
            Self::Thought(thought) => {
                out.list("thinking_blocks", [thought], |thought, out| thought.write(out));
            }
            Self::Refusal(text) => out.string("refusal", text),
            Self::CallStart { index, id, name, is_custom, signature } => {
                out.list("tool_calls", [()], |(), out| {
                    let (kind, said) = call_words(*is_custom);
                    let mut call = Object::open(out);
                    call.integer("index", *index);
                    call.string("id", id);
                    call.string("type", kind);
                    call.object(kind, |called| {
                        called.string("name", name);
                        called.string(said, "");
                    });
                    write_signature_fields(*signature, &mut call);
                    call.close();
                });
            }
            Self::CallArguments { index, delta, is_custom } => out.list("tool_calls", [()], |(), out| {
                let (kind, said) = call_words(*is_custom);
                let mut call = Object::open(out);
                call.integer("index", *index);
                call.object(kind, |called| called.string(said, delta));
                call.close();
            }),
            Self::Citation { citation, span } => out.list("annotations", [()], |(), out| {
                write_annotation(citation, *span, out);
            }),
            Self::Image { index, source } => {
                out.list("images", [()], |(), out| write_image(*index, source, out));
            }
            Self::Audio { id, data, transcript } => out.object("audio", |audio| {
                audio.string("id", id);
                if !data.is_empty() {
                    audio.string("data", data);
                }
                if !transcript.is_empty() {
                    audio.string("transcript", transcript);
                }
            }),
            Self::Nothing => {}
        }
    }
}

/// A call's type, which is its member too, and the member of what it is called with.
fn call_words(is_custom: bool) -> (&'static str, &'static str) {
    if is_custom { ("custom", "input") } else { ("function", "arguments") }
}

fn write_chat_choice(choice: u64, delta: &Delta<'_>, ending: Ending<'_>, out: &mut Object<'_>) {
    out.integer("index", choice);
    out.object("delta", |out| delta.write(out));
    if let Some(logprobs) = ending.logprobs {
        out.value("logprobs", logprobs);
    }
    match ending.stop {
        Some(stop) => out.string("finish_reason", finish_reason(stop)),
        None => out.raw("finish_reason", "null"),
    }
    write_stop_sequence(ending.stop_sequence, out);
}

fn write_text_choice(choice: u64, delta: &Delta<'_>, ending: Ending<'_>, out: &mut Object<'_>) {
    let text = if let Delta::Content(text) = delta { text } else { "" };
    out.string("text", text);
    out.integer("index", choice);
    write::value(&ending.logprobs.map_or(Value::Null, legacy_logprobs), out.member("logprobs"));
    match ending.stop {
        Some(stop) => out.string("finish_reason", legacy_finish_reason(Some(stop))),
        None => out.raw("finish_reason", "null"),
    }
}
