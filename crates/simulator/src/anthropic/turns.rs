//! The order of a conversation at Anthropic: who speaks, and that each tool use is answered in the next turn.
//!
//! Owns: rules between messages and between the blocks of one. Leaves to others: the fields (`tables`).
//!
//! **Invariant:** the messages have passed the tables. Messages of one role in a row are one turn, as the API joins
//! them.

use super::blocks::is_redacted;
use super::model::Abilities;
use crate::ask::{items_at, text_at};
use crate::error::ApiError;
use crate::signature;
use serde_json::Value;
use std::collections::HashSet;

/// Checks the messages of a request.
pub(super) fn check(body: &Value, abilities: Abilities) -> Result<(), ApiError> {
    let messages = items_at(body, "messages");
    let Some(first) = messages.first() else {
        return Err(ApiError::bad_request("messages: at least one message is required"));
    };
    if text_at(first, "role") != "user" {
        return Err(ApiError::bad_request("messages: first message must use the \"user\" role"));
    }
    if !abilities.system_messages && messages.iter().any(|message| text_at(message, "role") == "system") {
        return Err(ApiError::bad_request(
            "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \
             \"system\" as an input message role.",
        ));
    }
    texts(messages, abilities)?;
    tool_uses(messages)?;
    signatures(messages)
}

fn texts(messages: &[Value], abilities: Abilities) -> Result<(), ApiError> {
    for (index, message) in messages.iter().enumerate() {
        let last = index + 1 == messages.len();
        let assistant = text_at(message, "role") == "assistant";
        let content = message.get("content").unwrap_or(&Value::Null);
        let empty = content.as_str() == Some("") || content.as_array().is_some_and(Vec::is_empty);
        if empty && !(last && assistant) {
            return Err(ApiError::bad_request(format!(
                "messages.{index}: all messages must have non-empty content except for the optional final assistant \
                 message"
            )));
        }
        for block in content.as_array().into_iter().flatten().filter(|block| text_at(block, "type") == "text")
        {
            if text_at(block, "text").trim().is_empty() {
                let what = if text_at(block, "text").is_empty() {
                    "non-empty"
                } else {
                    "contain non-whitespace text"
                };
                return Err(ApiError::bad_request(format!("messages: text content blocks must be {what}")));
            }
        }
        if last && assistant {
            prefill(content, abilities)?;
        }
    }
    Ok(())
}

fn prefill(content: &Value, abilities: Abilities) -> Result<(), ApiError> {
    if !abilities.prefill {
        return Err(ApiError::bad_request(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    let last = content.as_array().and_then(|blocks| blocks.last());
    let text = content.as_str().or_else(|| last.map(|block| text_at(block, "text"))).unwrap_or_default();
    if text.ends_with(char::is_whitespace) {
        return Err(ApiError::bad_request(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    Ok(())
}

/// A turn: the messages of one role in a row.
struct Turn<'a> {
    /// Position of its first message.
    index: usize,
    assistant: bool,
    /// Its blocks, each with its position in its message.
    blocks: Vec<(usize, usize, &'a Value)>,
}

fn turns(messages: &[Value]) -> Vec<Turn<'_>> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for (index, message) in
        messages.iter().enumerate().filter(|(_, message)| text_at(message, "role") != "system")
    {
        let assistant = text_at(message, "role") == "assistant";
        let blocks = items_at(message, "content").iter().enumerate().map(|(at, block)| (index, at, block));
        match turns.last_mut().filter(|turn| turn.assistant == assistant) {
            Some(turn) => turn.blocks.extend(blocks),
            None => turns.push(Turn { index, assistant, blocks: blocks.collect() }),
        }
    }
    turns
}

fn tool_uses(messages: &[Value]) -> Result<(), ApiError> {
    let mut seen = HashSet::new();
    // Tool uses of the turn before, still to be answered.
    let mut open: Vec<&str> = Vec::new();
    let mut asked_at = 0;
    for turn in turns(messages) {
        if turn.assistant {
            for (_, _, block) in
                turn.blocks.iter().filter(|(_, _, block)| text_at(block, "type") == "tool_use")
            {
                if !seen.insert(text_at(block, "id")) {
                    return Err(ApiError::bad_request("messages: `tool_use` ids must be unique"));
                }
                open.push(text_at(block, "id"));
            }
            if let Some((message, at, _)) = find(&turn, "tool_result") {
                return Err(ApiError::bad_request(format!(
                    "messages.{message}.content.{at}: `tool_result` blocks can only be in `user` messages"
                )));
            }
            asked_at = turn.index;
            continue;
        }
        if let Some((message, at, _)) = find(&turn, "tool_use") {
            return Err(ApiError::bad_request(format!(
                "messages.{message}.content.{at}: `tool_use` blocks can only be in `assistant` messages"
            )));
        }
        results(&turn, &mut open)?;
        unanswered(&open, asked_at)?;
    }
    unanswered(&open, asked_at)
}

/// Thoughts come back as they were given out.
fn signatures(messages: &[Value]) -> Result<(), ApiError> {
    for (index, message) in messages.iter().enumerate() {
        for (at, block) in items_at(message, "content").iter().enumerate() {
            let (good, what) = match text_at(block, "type") {
                "thinking" => {
                    (signature::is_good(text_at(block, "signature"), text_at(block, "thinking")), "signature")
                }
                "redacted_thinking" => (is_redacted(text_at(block, "data")), "data"),
                _ => continue,
            };
            if !good {
                return Err(ApiError::bad_request(format!(
                    "messages.{index}.content.{at}: Invalid `{what}` in `{}` block",
                    text_at(block, "type")
                )));
            }
        }
    }
    Ok(())
}

fn find<'a>(turn: &Turn<'a>, kind: &str) -> Option<(usize, usize, &'a Value)> {
    turn.blocks.iter().copied().find(|(_, _, block)| text_at(block, "type") == kind)
}

fn results(turn: &Turn<'_>, open: &mut Vec<&str>) -> Result<(), ApiError> {
    let asked = !open.is_empty();
    let mut other_before = false;
    for (message, at, block) in &turn.blocks {
        if text_at(block, "type") != "tool_result" {
            other_before = true;
            continue;
        }
        let id = text_at(block, "tool_use_id");
        let Some(position) = open.iter().position(|use_id| *use_id == id) else {
            return Err(ApiError::bad_request(format!(
                "messages.{message}.content.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )));
        };
        if asked && other_before {
            return Err(ApiError::bad_request(format!(
                "messages.{message}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. \
                 The `tool_result` blocks must come first in the content."
            )));
        }
        open.swap_remove(position);
    }
    Ok(())
}

fn unanswered(open: &[&str], asked_at: usize) -> Result<(), ApiError> {
    if open.is_empty() {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "messages.{asked_at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
         `tool_use` block must have a corresponding `tool_result` block in the next message.",
        open.join(", ")
    )))
}

/// With thinking on, a turn of the assistant that used tools and is still going on begins with its thinking.
pub(super) fn check_thinking(messages: &[Value]) -> Result<(), ApiError> {
    let turns = turns(messages);
    let Some(turn) = turns.iter().rfind(|turn| turn.assistant) else { return Ok(()) };
    let used_tools = find(turn, "tool_use").is_some();
    let Some((message, at, block)) = turn.blocks.first().filter(|_| used_tools) else { return Ok(()) };
    let kind = text_at(block, "type");
    let over = turns.last().is_some_and(|last| find(last, "tool_result").is_none());
    if over || matches!(kind, "thinking" | "redacted_thinking") {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "messages.{message}.content.{at}.type: Expected `thinking` or `redacted_thinking`, but found `{kind}`. When \
         `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost \
         set of `tool_use` and `tool_result` blocks)."
    )))
}
