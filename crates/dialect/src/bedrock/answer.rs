//! A whole answer as a Converse reply for a caller.
//!
//! Converse names neither the reply nor the model in the body; AWS's clients have the id from the header
//! `x-amzn-RequestId`, which is the server's. **Invariant:** what was written here, [`decode_reply`](super::decode_reply)
//! reads back the same, as far as the wire can say it.

use super::members::{insert_some, object};
use super::reasoning_blocks::{self, HOME};
use super::{citations, media, stop, usage};
use crate::cited::cut;
use crate::conversation::{ChatReply, Citation, Native, Part, StopReason, custom};
use crate::told::{Places, note_reply};
use crate::wire::{Dialect, Losses, ReplyFacts};
use serde_json::{Map, Value};

/// What a Converse reply says beside its content.
const PLACES: Places = Places {
    counts: &["cached_tokens", "cache_write_tokens", "cache_write_1h_tokens"],
    stops: &[
        StopReason::Stop,
        StopReason::StopSequence,
        StopReason::Length,
        StopReason::ContextWindow,
        StopReason::ToolCalls,
        StopReason::ContentFilter,
        StopReason::Refusal,
        StopReason::MalformedToolCall,
    ],
};

/// Writes an answer; what it says and this wire cannot is noted. There is one answer on this wire. `latencyMs`, which
/// the reply has to have, is 0: how long a provider took is not known here.
pub fn encode_reply(reply: &ChatReply, _facts: &ReplyFacts, lost: &mut Losses) -> Vec<u8> {
    note_reply(reply, &PLACES, lost);
    if reply.choices.len() > 1 {
        lost.note("n");
    }
    let choice = reply.choices.first();
    let mut content = Vec::new();
    for part in choice.map_or(&[][..], |choice| choice.parts.as_slice()) {
        write_part(part, &mut content, lost);
    }
    let stop = choice.and_then(|choice| choice.stop).unwrap_or(StopReason::Stop);
    if choice.is_some_and(|choice| choice.logprobs.is_some()) {
        lost.note("logprobs");
    }
    let message = object([("role", "assistant".into()), ("content", Value::Array(content))]);
    let mut body = Map::new();
    body.insert("output".to_owned(), object([("message", message)]));
    body.insert("stopReason".to_owned(), stop::write(stop).into());
    body.insert("usage".to_owned(), usage::write(&reply.usage));
    body.insert("metrics".to_owned(), object([("latencyMs", 0.into())]));
    let stop_sequence = choice.and_then(|choice| choice.stop_sequence.as_deref());
    insert_some(&mut body, "additionalModelResponseFields", stop_sequence.map(stop_sequence_field));
    let tier = reply.service_tier.as_deref().and_then(|tier| write_tier(tier, lost));
    insert_some(&mut body, "serviceTier", tier);
    Value::Object(body).to_string().into_bytes()
}

/// Which stop text ended the answer, where callers of Claude's look for it.
pub(super) fn stop_sequence_field(text: &str) -> Value {
    object([("stop_sequence", text.into())])
}

/// The tier in the service's words.
pub(super) fn write_tier(tier: &str, lost: &mut Losses) -> Option<Value> {
    let word = match tier {
        "default" | "standard" | "on_demand" => "default",
        "flex" | "priority" | "reserved" => tier,
        _ => {
            lost.note("service_tier");
            return None;
        }
    };
    Some(object([("type", word.into())]))
}

fn write_part(part: &Part, content: &mut Vec<Value>, lost: &mut Losses) {
    match part {
        Part::Text { text, citations, .. } => {
            if !citations.iter().all(citations::is_whole) {
                lost.note("citations");
            }
            let pieces = cut(text, citations);
            content.extend(pieces.into_iter().filter_map(|(text, cited)| write_text(text, &cited)));
        }
        Part::Refusal(text) => content.extend(write_text(text, &[])),
        Part::Image { source, .. } => match media::image(source) {
            Ok(image) => content.push(object([("image", image)])),
            Err(_) => lost.note("image"),
        },
        // The words of what is said aloud are left.
        Part::Audio { transcript, .. } => {
            lost.note("audio");
            content.extend(write_text(transcript.as_deref().unwrap_or_default(), &[]));
        }
        Part::Reasoning { text, signature } => {
            let signature = signature.as_ref().map(|signature| signature.written(HOME));
            let reasoning = reasoning_blocks::write_text(text, signature.as_deref());
            content.push(object([("reasoningContent", reasoning)]));
        }
        Part::RedactedReasoning { data } => {
            content.push(object([("reasoningContent", reasoning_blocks::write_redacted(data))]));
        }
        Part::ToolCall { id, name, arguments, is_custom, signature } => {
            if let Some(signature) = signature {
                let data = reasoning_blocks::write_redacted(signature);
                content.push(object([("reasoningContent", data)]));
            }
            let input = match is_custom {
                true => object([(custom::INPUT, arguments.as_str().into())]),
                false => read_arguments(arguments),
            };
            let call = [("toolUseId", id.as_str().into()), ("name", name.as_str().into()), ("input", input)];
            content.push(object([("toolUse", object(call))]));
        }
        Part::Native(Native { dialect: Dialect::Bedrock, value }) => content.push(value.clone()),
        Part::Native(native) => {
            let kind = super::members::text(&native.value, "type").unwrap_or("content");
            lost.note(kind.to_owned());
        }
        Part::File { .. } => lost.note("file"),
        Part::ToolResult { .. } => lost.note("tool_result"),
    }
}

/// A text, with what it leans on; nothing for an empty one.
fn write_text(text: &str, cited: &[&Citation]) -> Option<Value> {
    let words = object([("text", text.into())]);
    if cited.is_empty() {
        return (!text.is_empty()).then_some(words);
    }
    let citations = cited.iter().map(|citation| citations::write(citation)).collect();
    let cited = [("content", Value::Array(vec![words])), ("citations", Value::Array(citations))];
    Some(object([("citationsContent", object(cited))]))
}

/// A call's arguments as the document that the wire has; what is no JSON stays the text that the model wrote.
fn read_arguments(arguments: &str) -> Value {
    if arguments.trim().is_empty() {
        return object([]);
    }
    serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into())
}
