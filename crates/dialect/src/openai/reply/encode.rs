//! Writes whole answers: `chat.completion` and `text_completion`.
//!
//! **Invariant:** `model` is the caller's name for it, and the id and the time are always there.

use super::{finish_reason, reply_id};
use crate::conversation::{ChatReply, Choice, Issuer, MediaSource, Part, Signature, StopReason};
use crate::openai::thought::{self, Thought};
use crate::openai::usage::write_usage;
use crate::openai::write::{self, Object};
use crate::wire::ReplyFacts;
use serde_json::{Value, json};

/// Writes a `chat.completion`.
///
/// Reasoning is `reasoning_content`, with what the provider wants back in `thinking_blocks`; pictures are `images`
/// (all three LiteLLM's names). Parts that no answer holds (files, tool results, sounds) are not written.
pub fn encode_reply(reply: &ChatReply, facts: &ReplyFacts) -> Vec<u8> {
    encode(reply, facts, "chat.completion", write_choice)
}

/// Writes a legacy `text_completion`: the text of each answer and nothing else of it.
pub fn encode_completion(reply: &ChatReply, facts: &ReplyFacts) -> Vec<u8> {
    encode(reply, facts, "text_completion", write_text_choice)
}

fn encode(
    reply: &ChatReply,
    facts: &ReplyFacts,
    object: &str,
    write_choice: fn(&Choice, &mut Vec<u8>),
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_024);
    let mut out = Object::open(&mut bytes);
    out.string("id", &reply_id(facts, &reply.id));
    out.string("object", object);
    out.integer("created", reply.created.unwrap_or(facts.created));
    out.string("model", &facts.client_model);
    if let Some(fingerprint) = &reply.system_fingerprint {
        out.string("system_fingerprint", fingerprint);
    }
    if let Some(tier) = &reply.service_tier {
        out.string("service_tier", tier);
    }
    out.list("choices", &reply.choices, write_choice);
    write_usage(&reply.usage, out.member("usage"));
    out.close();
    bytes
}

fn write_choice(choice: &Choice, out: &mut Vec<u8>) {
    let calls_tools = choice.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let natural_end = if calls_tools { StopReason::ToolCalls } else { StopReason::Stop };
    let mut object = Object::open(out);
    object.integer("index", choice.index);
    object.object("message", |message| write_message(&choice.parts, message));
    if let Some(logprobs) = &choice.logprobs {
        object.value("logprobs", logprobs);
    }
    object.string("finish_reason", finish_reason(choice.stop.unwrap_or(natural_end)));
    object.close();
}

fn write_message(parts: &[Part], message: &mut Object<'_>) {
    let (mut text, mut refusal) = (None::<String>, None::<String>);
    let (mut calls, mut images, mut thoughts) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text { text: piece, .. } => text.get_or_insert_default().push_str(piece),
            Part::Refusal(piece) => refusal.get_or_insert_default().push_str(piece),
            Part::Reasoning { .. } | Part::RedactedReasoning { .. } => thoughts.extend(Thought::of(part)),
            Part::ToolCall { .. } => calls.push(part),
            Part::Image { source, .. } => images.push(source),
            Part::Audio { .. } | Part::File { .. } | Part::ToolResult { .. } | Part::Native(_) => {}
        }
    }
    message.string("role", "assistant");
    match &text {
        Some(text) => message.string("content", text),
        None if calls.is_empty() && refusal.is_none() => message.string("content", ""),
        None => message.raw("content", "null"),
    }
    write_reasoning(&thoughts, message);
    if let Some(refusal) = &refusal {
        message.string("refusal", refusal);
    }
    if !images.is_empty() {
        message.list("images", images.iter().enumerate(), |(index, source), out| {
            write_image(index, source, out);
        });
    }
    if !calls.is_empty() {
        message.list("tool_calls", calls, write_tool_call);
    }
}

fn write_reasoning(thoughts: &[Thought<'_>], message: &mut Object<'_>) {
    let readable = thought::readable(thoughts);
    if !readable.is_empty() {
        message.string("reasoning_content", &readable);
    }
    if thought::needs_blocks(thoughts) {
        message.list("thinking_blocks", thoughts, |thought, out| thought.write(out));
    }
}

/// Gemini's thought signature on a tool call, under LiteLLM's name.
pub(in crate::openai) fn write_signature_fields(signature: Option<&Signature>, call: &mut Object<'_>) {
    if let Some(signature) = signature {
        call.object("provider_specific_fields", |fields| {
            fields.string("thought_signature", &signature.written(Issuer::Google));
        });
    }
}

fn write_tool_call(part: &Part, out: &mut Vec<u8>) {
    if let Part::ToolCall { id, name, arguments, is_custom: _, signature } = part {
        let mut call = Object::open(out);
        call.string("id", id);
        call.string("type", "function");
        call.object("function", |function| {
            function.string("name", name);
            function.string("arguments", arguments);
        });
        write_signature_fields(signature.as_ref(), &mut call);
        call.close();
    }
}

fn write_image(index: usize, source: &MediaSource, out: &mut Vec<u8>) {
    let url = match source {
        MediaSource::Url(url) | MediaSource::FileId(url) | MediaSource::Text(url) => url.clone(),
        MediaSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
    };
    write::value(&json!({"index": index, "type": "image_url", "image_url": {"url": url}}), out);
}

fn write_text_choice(choice: &Choice, out: &mut Vec<u8>) {
    let text: String = choice
        .parts
        .iter()
        .filter_map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None })
        .collect();
    let mut object = Object::open(out);
    object.string("text", &text);
    object.integer("index", choice.index);
    object.value("logprobs", &choice.logprobs.as_ref().map_or(Value::Null, legacy_logprobs));
    object.string("finish_reason", legacy_finish_reason(choice.stop));
    object.close();
}

/// Legacy completions know no tool calls.
pub(in crate::openai) fn legacy_finish_reason(stop: Option<StopReason>) -> &'static str {
    match stop {
        None | Some(StopReason::Stop | StopReason::ToolCalls) => finish_reason(StopReason::Stop),
        Some(stop) => finish_reason(stop),
    }
}

/// Turns chat's log probabilities into the four parallel lists of the legacy form; `text_offset` counts characters
/// from the beginning of what is given.
pub(in crate::openai) fn legacy_logprobs(logprobs: &Value) -> Value {
    let (mut tokens, mut values, mut tops, mut offsets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut offset = 0;
    for entry in logprobs.get("content").and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        let token = entry.get("token").and_then(Value::as_str).unwrap_or_default();
        tokens.push(json!(token));
        values.push(entry.get("logprob").cloned().unwrap_or_default());
        let alternatives = entry.get("top_logprobs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let top = alternatives
            .iter()
            .filter_map(|top| Some((top.get("token")?.as_str()?.to_owned(), top.get("logprob")?.clone())));
        tops.push(Value::Object(top.collect()));
        offsets.push(json!(offset));
        offset += token.chars().count();
    }
    json!({"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets})
}
