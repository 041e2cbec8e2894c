//! A whole reply as the conversation model has it.

use super::inbound::messages::cite;
use super::{errors, finish, logprobs, usage};
use crate::conversation::{ChatReply, Choice, Issuer, Part, Signature, StopReason};
use crate::json::value::{filled_text, items, owned_text, text};
use crate::wire::{Reading, ReplyFault};
use serde_json::Value;

/// Whose signatures go unmarked through this dialect. Cohere signs nothing, so that any choice would do.
pub(super) const HOME: Issuer = Issuer::Anthropic;

/// Reads the body of a successful reply. Cohere does not name the model; it is the one that was asked.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer and for a generation that broke,
/// [`ReplyFault::Malformed`] for what is no reply.
pub fn decode_reply(body: &[u8], reading: &Reading) -> Result<ChatReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    let Some(message) = reply.get("message").filter(|message| message.is_object()) else {
        return Err(match filled_text(&reply, "message") {
            Some(sentence) => ReplyFault::Error(errors::of_stream(sentence, None)),
            None => ReplyFault::Malformed("a reply has no message"),
        });
    };
    let mut parts = read_parts(message)?;
    let has_content = !parts.is_empty();
    if let Some(answer_tool) = &reading.answer_tool {
        parts = with_answer(parts, answer_tool);
    }
    let stop = text(&reply, "finish_reason")
        .map(|reason| finish::read(reason, filled_text(&reply, "error"), has_content))
        .transpose()?;
    let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let stop = stop.map(|stop| without_answer_call(stop, reading, calls_tools));
    Ok(ChatReply {
        id: owned_text(&reply, "id"),
        model: reading.model.clone(),
        choices: vec![Choice {
            parts,
            stop,
            logprobs: logprobs::read(items(&reply, "logprobs")),
            ..Choice::default()
        }],
        usage: reply.get("usage").and_then(usage::read).unwrap_or_default(),
        ..ChatReply::default()
    })
}

/// Thoughts and texts, what was said before the calls, the calls.
fn read_parts(message: &Value) -> Result<Vec<Part>, ReplyFault> {
    let mut parts = match message.get("content") {
        // The first version's form.
        Some(Value::String(words)) => vec![Part::text(words)],
        _ => items(message, "content").iter().map(read_block).collect(),
    };
    let plan = filled_text(message, "tool_plan");
    let plan_index = plan.map(|_| parts.len());
    parts.extend(plan.map(Part::text));
    for citation in items(message, "citations") {
        cite(&mut parts, plan_index, citation);
    }
    let is_blank = |part: &Part| match part {
        Part::Text { text, .. } | Part::Reasoning { text, signature: None } => text.is_empty(),
        _ => false,
    };
    parts.retain(|part| !is_blank(part));
    for call in items(message, "tool_calls") {
        parts.push(read_call(call)?);
    }
    Ok(parts)
}

fn read_block(block: &Value) -> Part {
    if text(block, "type") != Some("thinking") {
        return Part::text(owned_text(block, "text"));
    }
    let signature = |name: &str| filled_text(block, name).map(|text| Signature::read(text, HOME));
    match signature("data") {
        Some(data) => Part::RedactedReasoning { data },
        None => Part::Reasoning { text: owned_text(block, "thinking"), signature: signature("signature") },
    }
}

fn read_call(call: &Value) -> Result<Part, ReplyFault> {
    let function = call.get("function").unwrap_or(&Value::Null);
    let (Some(id), Some(name)) = (text(call, "id"), filled_text(function, "name")) else {
        return Err(ReplyFault::Malformed("a tool call has no id or no name"));
    };
    Ok(Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: owned_text(function, "arguments"),
        is_custom: false,
        signature: filled_text(call, "signature").map(|text| Signature::read(text, HOME)),
    })
}

/// Puts the first call of the answer tool in the place of all text, which would spoil the JSON that the caller asked
/// for.
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

/// The call of the answer tool is no call to the caller.
pub(super) fn without_answer_call(stop: StopReason, reading: &Reading, calls_tools: bool) -> StopReason {
    let is_answer = reading.answer_tool.is_some() && !calls_tools;
    if stop == StopReason::ToolCalls && is_answer { StopReason::Stop } else { stop }
}
