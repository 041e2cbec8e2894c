//! A whole Messages reply as the conversation model has it.

use super::errors;
use super::members::{filled_text, owned_text, text};
use super::reply_blocks::decode_block;
use super::usage::{WireUsage, service_tier};
use crate::conversation::{ChatReply, Choice, Part, StopReason, Usage};
use crate::wire::{Reading, ReplyFault};
use serde_json::Value;

/// Reads the body of a successful reply. Blocks of the provider's own tools are native parts.
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
    let mut parts = blocks.iter().map(decode_block).collect::<Result<Vec<Part>, ReplyFault>>()?;
    if let Some(answer_tool) = &reading.answer_tool {
        parts = with_answer(parts, answer_tool);
    }
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    if let Some(explanation) = explanation(&reply) {
        // A gateway like this one gives the words of a refusal as text as well, for those who show nothing else.
        parts.pop_if(|last| matches!(last, Part::Text { text, .. } if text == explanation));
        parts.push(Part::Refusal(explanation.to_owned()));
    }
    let stop = text(&reply, "stop_reason")
        .map(|reason| without_answer_call(stop_reason(reason), reading, calls_tools));
    let stop_sequence = filled_text(&reply, "stop_sequence").map(str::to_owned);
    Ok(ChatReply {
        id: owned_text(&reply, "id"),
        model: owned_text(&reply, "model"),
        choices: vec![Choice { index: 0, parts, stop, stop_sequence, logprobs: None }],
        usage: usage(&reply),
        service_tier: reply.get("usage").and_then(service_tier),
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

/// Why an answer ended. Words that are not known yet count as a plain end.
pub(super) fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "max_tokens" => StopReason::Length,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolCalls,
        // After a compaction that the caller wants to see, as after a long turn, sending the answer back goes on.
        "pause_turn" | "compaction" => StopReason::Pause,
        "refusal" => StopReason::Refusal,
        "model_context_window_exceeded" => StopReason::ContextWindow,
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
