//! Writes events as the caller's chunks.
//!
//! Owns the order: the role before anything else of an answer, the finish last, then usage, then `[DONE]`.
//! **Invariant:** id, time and model are the same in every chunk. **Invariant:** nothing is written before there is
//! something to show, so that a stream that fails before its first word has not begun for the caller.

use crate::conversation::{Signature, StopReason, StreamEvent, Usage};
use crate::openai::error_frame;
use crate::openai::reply::{
    finish_reason, legacy_finish_reason, legacy_logprobs, reply_id, write_signature_fields,
};
use crate::openai::thought::Thought;
use crate::openai::usage::write_usage;
use crate::openai::write::{self, Object};
use crate::wire::{CallerError, EventEncoder, ReplyFacts};
use serde_json::Value;
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
    answers: BTreeMap<u64, Answer>,
    usage: Option<Usage>,
}

/// One answer while it streams.
#[derive(Debug, Default)]
struct Answer {
    role_is_sent: bool,
    thought: String,
    thought_is_whole: bool,
}

/// The part of a chunk that an event decides.
enum Delta<'a> {
    Role,
    Content(&'a str),
    Reasoning(&'a str),
    Thought(Thought<'a>),
    Refusal(&'a str),
    CallStart { index: u64, id: &'a str, name: &'a str, signature: Option<&'a Signature> },
    CallArguments { index: u64, delta: &'a str },
    Nothing,
}

impl ChunkEncoder {
    /// An encoder at the beginning of a stream.
    pub fn new(plan: StreamPlan) -> Self {
        Self { plan, head: Vec::new(), answers: BTreeMap::new(), usage: None }
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
            out.extend_from_slice(b"],\"usage\":");
            write_usage(&usage, out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, error: &CallerError<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&error_frame(error));
    }
}

impl ChunkEncoder {
    fn encode_event(&mut self, event: &StreamEvent, logprobs: Option<&Value>, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { id, .. } => self.fix_head(id),
            StreamEvent::Text { choice, delta } => {
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
            StreamEvent::ToolCallStart { choice, index, id, name, is_custom: _, signature } => {
                let start = Delta::CallStart { index: *index, id, name, signature: signature.as_ref() };
                self.say(*choice, &start, None, out);
            }
            StreamEvent::ToolCallArguments { choice, index, delta } => {
                self.say(*choice, &Delta::CallArguments { index: *index, delta }, None, out);
            }
            StreamEvent::Logprobs { choice, logprobs } => {
                self.say(*choice, &Delta::Nothing, Some(logprobs), out);
            }
            StreamEvent::Finish { choice, stop, stop_sequence: _ } => {
                self.begin_answer(*choice, out);
                self.chunk(*choice, &Delta::Nothing, Ending { logprobs: None, stop: Some(*stop) }, out);
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Citation { .. }
            | StreamEvent::Image { .. }
            | StreamEvent::Audio { .. }
            | StreamEvent::Native { .. }
            | StreamEvent::ServiceTier(_) => {}
        }
    }

    /// Fixes id, time and model at the first that is heard of them.
    fn fix_head(&mut self, provider_id: &str) {
        if !self.head.is_empty() {
            return;
        }
        let facts = &self.plan.facts;
        self.head.extend_from_slice(b"data: ");
        let mut head = Object::open(&mut self.head);
        head.string("id", &reply_id(facts, provider_id));
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
            self.chunk(choice, delta, Ending { logprobs, stop: None }, out);
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
        let tail: &[u8] = if self.plan.facts.include_usage { b"],\"usage\":null}\n\n" } else { b"]}\n\n" };
        out.extend_from_slice(tail);
    }
}

/// What stands beside the delta of a chunk.
#[derive(Default, Clone, Copy)]
struct Ending<'a> {
    logprobs: Option<&'a Value>,
    stop: Option<StopReason>,
}

impl Delta<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Content(text) | Self::Reasoning(text) | Self::Refusal(text) => text.is_empty(),
            Self::CallArguments { delta, .. } => delta.is_empty(),
            Self::Role | Self::Thought(_) | Self::CallStart { .. } => false,
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
            Self::CallStart { index, id, name, signature } => out.list("tool_calls", [()], |(), out| {
                let mut call = Object::open(out);
                call.integer("index", *index);
                call.string("id", id);
                call.string("type", "function");
                call.object("function", |function| {
                    function.string("name", name);
                    function.string("arguments", "");
                });
                write_signature_fields(*signature, &mut call);
                call.close();
            }),
            Self::CallArguments { index, delta } => out.list("tool_calls", [()], |(), out| {
                let mut call = Object::open(out);
                call.integer("index", *index);
                call.object("function", |function| function.string("arguments", delta));
                call.close();
            }),
            Self::Nothing => {}
        }
    }
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
