//! A whole Messages reply as the conversation model has it.

use super::blocks::decode_block;
use super::errors;
use super::members::{filled_text, owned_text, text};
use super::usage::WireUsage;
use crate::conversation::{ChatReply, Choice, Part, StopReason, Usage};
use crate::wire::{Reading, ReplyFault};
use serde_json::Value;

/// Reads the body of a successful reply. Blocks of the provider's own tools and citations have no part in the model
/// and are passed over; what they cost is in the usage.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer, [`ReplyFault::Malformed`] for what is no reply.
pub fn decode_reply(body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = errors::in_reply(&reply) {
        return Err(ReplyFault::Error(error));
    }
    let blocks = reply
        .get("content")
        .and_then(Value::as_array)
        .ok_or(ReplyFault::Malformed("a message has no list of content"))?;
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        parts.extend(decode_block(block)?);
    }
    if let Some(answer_tool) = &reading.answer_tool {
        parts = with_answer(parts, answer_tool);
    }
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    parts.extend(explanation(&reply).map(|text| Part::Refusal(text.to_owned())));
    let stop = text(&reply, "stop_reason")
        .map(|reason| without_answer_call(stop_reason(reason), reading, calls_tools));
    Ok(ChatReply {
        id: owned_text(&reply, "id"),
        model: owned_text(&reply, "model"),
        choices: vec![Choice { index: 0, parts, stop, stop_sequence: None, logprobs: None }],
        usage: usage(&reply),
        service_tier: reply
            .get("usage")
            .and_then(|usage| filled_text(usage, "service_tier"))
            .map(str::to_owned),
        ..ChatReply::default()
    })
}

fn usage(reply: &Value) -> Usage {
    let mut usage = WireUsage::default();
    if let Some(found) = reply.get("usage") {
        usage.merge(found);
    }
    usage.total()
}

/// Puts the first call of the answer tool in its place as text. Text around it and further calls of it would spoil
/// the JSON that the caller asked for.
fn with_answer(parts: Vec<Part>, answer_tool: &str) -> Vec<Part> {
    let is_answer = |part: &Part| matches!(part, Part::ToolCall { name, .. } if name == answer_tool);
    if !parts.iter().any(is_answer) {
        return parts;
    }
    let mut is_answered = false;
    parts
        .into_iter()
        .filter_map(|part| match part {
            Part::Text { .. } => None,
            Part::ToolCall { name, arguments, .. } if name == answer_tool => {
                let is_first = !std::mem::replace(&mut is_answered, true);
                is_first.then(|| Part::text(arguments))
            }
            other => Some(other),
        })
        .collect()
}

/// Why an answer ended. A paused turn of the provider's own tools is an end for callers that cannot resume it; words
/// that are not known yet count as a plain end.
pub(super) fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::ContentFilter,
        // end_turn, stop_sequence, pause_turn.
        _ => StopReason::Stop,
    }
}

/// The call of the answer tool is no call to the caller.
pub(super) fn without_answer_call(stop: StopReason, reading: &Reading, calls_tools: bool) -> StopReason {
    let is_answer = reading.answer_tool.is_some() && !calls_tools;
    if stop == StopReason::ToolCalls && is_answer { StopReason::Stop } else { stop }
}

/// Why the model refused, in the provider's words, from a message or a `message_delta`'s `delta`.
pub(super) fn explanation(message: &Value) -> Option<&str> {
    message.get("stop_details").and_then(|details| filled_text(details, "explanation"))
}
