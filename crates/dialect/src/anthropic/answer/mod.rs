//! Answers for callers: whole messages and streams of events.
//!
//! Owns what a `message` says of an answer: its blocks, why it ended, its usage. Leaves citations and counts to their
//! own modules.
//!
//! **Invariant:** `stop_reason` is `tool_use` if and only if the caller has tools to run and nothing cut the answer
//! short. **Invariant:** `model` is the caller's name for it.

mod arguments;
pub(crate) mod calls;
mod stream;

pub use stream::StreamEncoder;

use super::members::{object, text};
use super::{citations, usage};
use crate::cited::cut;
use crate::conversation::{ChatReply, Citation, Issuer, Part, Signature, StopReason, custom};
use crate::told::{Places, note_reply};
use crate::wire::{Dialect, Losses, ReplyFacts};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What Anthropic's ids of messages begin with.
const ID_PREFIX: &str = "msg_";

/// What a message says beside its content.
const PLACES: Places = Places {
    counts: &[
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "reasoning_tokens",
        "web_search_requests",
        "web_fetch_requests",
    ],
    stops: &[
        StopReason::Stop,
        StopReason::StopSequence,
        StopReason::Length,
        StopReason::ContextWindow,
        StopReason::ToolCalls,
        StopReason::ContentFilter,
        StopReason::Refusal,
        StopReason::Pause,
    ],
};

/// Writes a whole message.
///
/// Reasoning without a signature has an empty one; another maker's signature carries its maker's name. Words of a
/// refusal are text and explanation at once. What a message cannot hold (further answers, pictures, sounds, log
/// probabilities) is noted in `lost`.
pub fn encode_reply(reply: &ChatReply, facts: &ReplyFacts, lost: &mut Losses) -> Vec<u8> {
    note_reply(reply, &PLACES, lost);
    if reply.choices.len() > 1 {
        lost.note("n");
    }
    let choice = reply.choices.first();
    if choice.is_some_and(|choice| choice.logprobs.is_some()) {
        lost.note("logprobs");
    }
    let parts = choice.map_or(&[][..], |choice| choice.parts.as_slice());
    let mut content = Vec::with_capacity(parts.len());
    let mut refusal = String::new();
    for part in parts {
        write_part(part, &mut content, lost);
        if let Part::Refusal(words) = part {
            refusal.push_str(words);
        }
    }
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let ending = Ending {
        stop: choice.and_then(|choice| choice.stop),
        stop_sequence: choice.and_then(|choice| choice.stop_sequence.as_deref()),
        refusal: (!refusal.is_empty()).then_some(refusal.as_str()),
        calls_tools,
    };
    let tier = reply.service_tier.as_deref();
    if tier.is_some_and(|tier| usage::own_tier(tier).is_none()) {
        lost.note("service_tier");
    }
    let mut message = head(&message_id(&reply.id, facts), &facts.client_model, content);
    message.extend(ending.members());
    message.insert("usage".to_owned(), Value::Object(usage::write(&reply.usage, tier)));
    Value::Object(message).to_string().into_bytes()
}

/// The id of a message: the provider's, if it is one of Anthropic's.
fn message_id<'r>(provider_id: &'r str, facts: &ReplyFacts) -> Cow<'r, str> {
    if provider_id.starts_with(ID_PREFIX) {
        return Cow::Borrowed(provider_id);
    }
    let letters = facts.fallback_id.chars().filter(char::is_ascii_alphanumeric);
    Cow::Owned(ID_PREFIX.chars().chain(letters).collect())
}

/// What a message begins with, in `message_start` as in a whole reply.
fn head(id: &str, model: &str, content: Vec<Value>) -> Map<String, Value> {
    object([
        ("id", id.into()),
        ("type", "message".into()),
        ("role", "assistant".into()),
        ("model", model.into()),
        ("content", Value::Array(content)),
    ])
}

/// Why an answer ended, and what goes with it.
#[derive(Debug, Clone, Copy)]
struct Ending<'a> {
    stop: Option<StopReason>,
    stop_sequence: Option<&'a str>,
    refusal: Option<&'a str>,
    calls_tools: bool,
}

impl Ending<'_> {
    /// Anthropic's word. Providers say `stop` beside tool calls, and `tool_calls` where none is left.
    fn stop_reason(&self) -> &'static str {
        match self.stop {
            Some(StopReason::Length) => "max_tokens",
            Some(StopReason::ContextWindow) => "model_context_window_exceeded",
            Some(StopReason::Pause) => "pause_turn",
            Some(StopReason::ContentFilter | StopReason::Recitation | StopReason::Refusal) => "refusal",
            _ if self.refusal.is_some() => "refusal",
            _ if self.calls_tools => "tool_use",
            Some(StopReason::StopSequence) => "stop_sequence",
            // A text that ended it is known although the provider calls it an ordinary end.
            _ if self.stop_sequence.is_some() => "stop_sequence",
            None | Some(StopReason::Stop | StopReason::ToolCalls | StopReason::MalformedToolCall) => {
                "end_turn"
            }
        }
    }

    /// `stop_reason` and its companions.
    fn members(&self) -> Map<String, Value> {
        let reason = self.stop_reason();
        let sequence = self.stop_sequence.filter(|_| reason == "stop_sequence");
        let mut members = object([
            ("stop_reason", reason.into()),
            ("stop_sequence", sequence.map_or(Value::Null, Value::from)),
        ]);
        if reason == "refusal" {
            let details = object([
                ("type", "refusal".into()),
                ("category", Value::Null),
                ("explanation", self.refusal.map_or(Value::Null, Value::from)),
            ]);
            members.insert("stop_details".to_owned(), Value::Object(details));
        }
        members
    }
}

fn write_part(part: &Part, content: &mut Vec<Value>, lost: &mut Losses) {
    match part {
        Part::Text { text, citations, .. } => {
            if !citations.iter().all(citations::is_whole) {
                lost.note("citations");
            }
            if !text.is_empty() || !citations.is_empty() {
                content
                    .extend(cut(text, citations).into_iter().map(|(text, cited)| text_block(text, &cited)));
            }
        }
        Part::Refusal(words) => content.push(text_block(words, &[])),
        Part::Reasoning { text, signature } => content.push(thinking_block(text, signature.as_ref())),
        Part::RedactedReasoning { data } => content.push(redacted_block(data)),
        Part::ToolCall { id, name, arguments, is_custom, signature } => {
            content.extend(signature.as_ref().map(redacted_block));
            let input = whole_input(arguments, *is_custom, lost);
            content.push(tool_use_block(id, name, input));
        }
        Part::Native(native) if native.dialect == Dialect::Anthropic => content.push(native.value.clone()),
        Part::Native(native) => lost.note(text(&native.value, "type").unwrap_or("content").to_owned()),
        Part::Audio { transcript, .. } => {
            lost.note("audio");
            content.extend(transcript.as_deref().map(|words| text_block(words, &[])));
        }
        Part::Image { .. } => lost.note("image"),
        Part::File { .. } | Part::ToolResult { .. } => lost.note("file"),
    }
}

fn text_block(text: &str, cited: &[&Citation]) -> Value {
    let citations = match cited {
        [] => Value::Null,
        cited => cited.iter().map(|citation| citations::write(citation)).collect(),
    };
    Value::Object(object([("type", "text".into()), ("text", text.into()), ("citations", citations)]))
}

fn thinking_block(text: &str, signature: Option<&Signature>) -> Value {
    let signature = signature.map(|signature| signature.written(Issuer::Anthropic)).unwrap_or_default();
    Value::Object(object([
        ("type", "thinking".into()),
        ("thinking", text.into()),
        ("signature", signature.as_ref().into()),
    ]))
}

/// Reasoning that nobody here can read. Before a call, it is the signature that Google put on that call.
fn redacted_block(data: &Signature) -> Value {
    let data = data.written(Issuer::Anthropic);
    Value::Object(object([("type", "redacted_thinking".into()), ("data", data.as_ref().into())]))
}

fn tool_use_block(id: &str, name: &str, input: Map<String, Value>) -> Value {
    Value::Object(object([
        ("type", "tool_use".into()),
        ("id", id.into()),
        ("name", name.into()),
        ("input", Value::Object(input)),
    ]))
}

/// Arguments as the object that a block holds; what the model wrote wrong is kept as one text.
fn whole_input(arguments: &str, is_custom: bool, lost: &mut Losses) -> Map<String, Value> {
    if !is_custom {
        if arguments.trim().is_empty() {
            return Map::new();
        }
        if let Ok(Value::Object(input)) = serde_json::from_str(arguments) {
            return input;
        }
        lost.note("arguments");
    }
    object([(custom::INPUT, arguments.into())])
}
