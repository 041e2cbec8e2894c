//! Whole answers for callers.
//!
//! **Invariant:** `finish_reason` is `TOOL_CALL` if and only if the caller has tools to run and nothing cut the answer
//! short. Cohere's replies do not name the model.

use super::citations::{self, Cited};
use super::reply::HOME;
use super::{finish, logprobs, usage};
use crate::conversation::{ChatReply, Choice, Citation, Part, Signature, StopReason, custom};
use crate::json::value::{insert, insert_some, text as text_of};
use crate::told::{Places, note_reply};
use crate::wire::{Losses, ReplyFacts};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// What a reply says beside its content.
const PLACES: Places = Places {
    counts: &["cached_tokens", "search_units", "unbilled_input_tokens", "unbilled_output_tokens"],
    stops: &[
        StopReason::Stop,
        StopReason::StopSequence,
        StopReason::Length,
        StopReason::ToolCalls,
        StopReason::ContentFilter,
    ],
};

/// Writes a whole reply.
///
/// Text right before calls is `tool_plan`. Signatures of other makers' thoughts and calls stand in members of ours
/// (`signature`, `data`), which clients that send a message back as it came send back as well. What a reply cannot hold
/// (further answers, pictures, sounds, another dialect's blocks) is noted in `lost`.
pub fn encode_reply(reply: &ChatReply, facts: &ReplyFacts, lost: &mut Losses) -> Vec<u8> {
    note_reply(reply, &PLACES, lost);
    if reply.choices.len() > 1 {
        lost.note("n");
    }
    let nothing = Choice::default();
    let choice = reply.choices.first().unwrap_or(&nothing);
    let calls_tools = choice.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    if choice.stop_sequence.is_some() {
        lost.note("stop_sequence");
    }
    if choice.logprobs.as_ref().is_some_and(logprobs::has_rivals) {
        lost.note("top_logprobs");
    }
    if reply.service_tier.as_deref().is_some_and(|tier| tier != "auto") {
        lost.note("service_tier");
    }
    let mut out = Map::new();
    insert(&mut out, "id", reply_id(&reply.id, facts).as_ref());
    insert(&mut out, "finish_reason", finish::write(choice.stop, calls_tools));
    insert(&mut out, "message", message(&choice.parts, calls_tools, lost));
    insert(&mut out, "usage", usage::write(&reply.usage));
    insert_some(&mut out, "logprobs", choice.logprobs.as_ref().map(logprobs::write));
    Value::Object(out).to_string().into_bytes()
}

/// The id of a reply: the provider's, if it is a UUID as Cohere's are.
pub(super) fn reply_id<'r>(provider_id: &'r str, facts: &'r ReplyFacts) -> Cow<'r, str> {
    let groups = provider_id.split('-').map(str::len);
    let is_hexadecimal =
        provider_id.chars().all(|character| character == '-' || character.is_ascii_hexdigit());
    if is_hexadecimal && groups.eq([8, 4, 4, 4, 12]) {
        return Cow::Borrowed(provider_id);
    }
    Cow::Borrowed(&facts.fallback_id)
}

/// The parts with texts that follow each other as one, as Cohere writes them; spans move along.
fn joined(parts: &[Part]) -> Vec<Cow<'_, Part>> {
    let mut out: Vec<Cow<'_, Part>> = Vec::with_capacity(parts.len());
    for part in parts {
        let (Part::Text { text, citations, .. }, Some(last)) = (part, out.last_mut()) else {
            out.push(Cow::Borrowed(part));
            continue;
        };
        if !matches!(**last, Part::Text { .. }) {
            out.push(Cow::Borrowed(part));
            continue;
        }
        if let Part::Text { text: before, citations: sources, .. } = last.to_mut() {
            let offset = before.chars().count() as u64;
            whole_spans(before, sources);
            before.push_str(text);
            let mut moved = citations.clone();
            whole_spans(text, &mut moved);
            for (start, end) in moved.iter_mut().filter_map(|citation| citation.span.as_mut()) {
                *start = start.saturating_add(offset);
                *end = end.saturating_add(offset);
            }
            sources.append(&mut moved);
        }
    }
    out
}

/// Says of citations of a whole text which characters those are.
fn whole_spans(text: &str, citations: &mut [Citation]) {
    let whole = (0, text.chars().count() as u64);
    for citation in citations {
        citation.span.get_or_insert(whole);
    }
}

fn message(parts: &[Part], calls_tools: bool, lost: &mut Losses) -> Map<String, Value> {
    let parts: Vec<Cow<'_, Part>> = joined(parts);
    let parts = || parts.iter().map(Cow::as_ref);
    let plan = parts().rposition(|part| calls_tools && matches!(part, Part::Text { .. }));
    let mut content = Vec::new();
    let mut calls = Vec::new();
    let mut cited = Vec::new();
    let mut said_first = None;
    for (position, part) in parts().enumerate() {
        match part {
            Part::Text { text, citations, .. } if plan == Some(position) => {
                cited.extend(citations::write_all(text, citations, Cited::Plan));
                said_first = Some(text.as_str()).filter(|text| !text.is_empty());
            }
            Part::Text { text, citations, .. } => {
                let place = Cited::Content(content.len() as u64);
                cited.extend(citations::write_all(text, citations, place));
                content.push(text_block(text));
            }
            Part::Refusal(words) => content.push(text_block(words)),
            Part::Reasoning { text, signature } => content.push(thinking_block(text, signature.as_ref())),
            Part::RedactedReasoning { data } => content.push(redacted_block(data)),
            Part::ToolCall { .. } => calls.extend(tool_call(part)),
            Part::Audio { transcript, .. } => {
                lost.note("audio");
                content.extend(transcript.as_deref().map(text_block));
            }
            Part::Native(native) => lost.note(text_of(&native.value, "type").unwrap_or("content").to_owned()),
            Part::Image { .. } => lost.note("image"),
            Part::File { .. } | Part::ToolResult { .. } => lost.note("file"),
        }
    }
    let texts = parts().filter_map(|part| match part {
        Part::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if !texts.flatten().all(citations::is_whole) {
        lost.note("citations");
    }
    let mut message = Map::new();
    insert(&mut message, "role", "assistant");
    if !content.is_empty() {
        insert(&mut message, "content", content);
    }
    insert_some(&mut message, "tool_plan", said_first);
    if !calls.is_empty() {
        insert(&mut message, "tool_calls", calls);
    }
    if !cited.is_empty() {
        insert(&mut message, "citations", cited);
    }
    message
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

pub(super) fn thinking_block(text: &str, signature: Option<&Signature>) -> Value {
    let mut block = Map::new();
    insert(&mut block, "type", "thinking");
    insert(&mut block, "thinking", text);
    insert_some(&mut block, "signature", signature.map(|signature| signature.written(HOME).into_owned()));
    Value::Object(block)
}

/// Thoughts that nobody here can read.
pub(super) fn redacted_block(data: &Signature) -> Value {
    json!({"type": "thinking", "thinking": "", "data": data.written(HOME)})
}

fn tool_call(part: &Part) -> Option<Value> {
    let Part::ToolCall { id, name, arguments, is_custom, signature } = part else { return None };
    let arguments = if *is_custom { custom::wrap_input(arguments) } else { arguments.clone() };
    Some(call(id, name, &arguments, signature.as_ref()))
}

pub(super) fn call(id: &str, name: &str, arguments: &str, signature: Option<&Signature>) -> Value {
    let mut call = Map::new();
    insert(&mut call, "id", id);
    insert(&mut call, "type", "function");
    insert(&mut call, "function", json!({"name": name, "arguments": arguments}));
    insert_some(&mut call, "signature", signature.map(|signature| signature.written(HOME).into_owned()));
    Value::Object(call)
}
