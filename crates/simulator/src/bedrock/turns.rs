//! The order of a conversation over Converse.
//!
//! Owns: who speaks when, and that each use of a tool is answered in the next turn. Leaves to others: single messages
//! (`check`).
//!
//! **Invariant:** the messages have passed the shapes.

use super::model::maker;
use crate::anthropic::blocks::is_redacted;
use crate::anthropic::model::abilities;
use crate::ask::{items_at, text_at};
use crate::error::ApiError;
use crate::signature;
use serde_json::Value;
use std::collections::HashSet;

/// Checks the messages of a request.
pub(super) fn check(body: &Value, model: &str) -> Result<(), ApiError> {
    let messages = items_at(body, "messages");
    let Some(first) = messages.first() else {
        return refuse(
            "A conversation must have at least one message. Try again with a conversation that has messages.",
        );
    };
    let (maker, name) = maker(model);
    let abilities = abilities(name);
    if messages.iter().any(|message| text_at(message, "role") == "system") && !abilities.system_messages {
        return refuse(
            "This model doesn't support the system role in messages. Use the system field and try again.",
        );
    }
    if text_at(first, "role") != "user" {
        return refuse(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        );
    }
    for (index, message) in messages.iter().enumerate() {
        if items_at(message, "content").is_empty() {
            return refuse(format!(
                "The content field in the Message object at messages.{index} is empty. Add a ContentBlock object to the \
                 content field and try again."
            ));
        }
    }
    let spoken: Vec<&Value> =
        messages.iter().filter(|message| text_at(message, "role") != "system").collect();
    if spoken.windows(2).any(|pair| matches!(pair, [a, b] if text_at(a, "role") == text_at(b, "role"))) {
        return refuse(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates \
             between user and assistant roles and try again.",
        );
    }
    tool_config(body, messages)?;
    tool_turns(messages)?;
    reasoning(messages)?;
    ending(spoken.last().copied(), maker, abilities.prefill)
}

fn refuse(message: impl Into<String>) -> Result<(), ApiError> {
    Err(ApiError::bad_request(message))
}

fn blocks<'a>(message: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    items_at(message, "content").iter().filter_map(move |block| block.get(kind))
}

fn tool_config(body: &Value, messages: &[Value]) -> Result<(), ApiError> {
    let uses =
        |message: &Value| blocks(message, "toolUse").chain(blocks(message, "toolResult")).next().is_some();
    if messages.iter().any(uses) && body.get("toolConfig").is_none_or(Value::is_null) {
        return refuse(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        );
    }
    Ok(())
}

fn tool_turns(messages: &[Value]) -> Result<(), ApiError> {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate().filter(|(_, m)| text_at(m, "role") != "system") {
        let results: Vec<&str> =
            blocks(message, "toolResult").map(|result| text_at(result, "toolUseId")).collect();
        if let Some(id) = duplicate(&results) {
            return refuse(format!(
                "The toolResult blocks at messages.{index}.content contain duplicate Ids: {id}"
            ));
        }
        if results.len() > open.len() {
            return refuse(format!(
                "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of \
                 previous turn."
            ));
        }
        let missing: Vec<&str> = open.iter().copied().filter(|id| !results.contains(id)).collect();
        if !missing.is_empty() {
            return refuse(format!(
                "Expected toolResult blocks at messages.{index}.content for the following Ids: {}",
                missing.join(", ")
            ));
        }
        open = blocks(message, "toolUse").map(|used| text_at(used, "toolUseId")).collect();
        if let Some(id) = duplicate(&open) {
            return refuse(format!(
                "The toolUse blocks at messages.{index}.content contain duplicate Ids: {id}"
            ));
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    refuse(format!(
        "Expected toolResult blocks at messages.{}.content for the following Ids: {}",
        messages.len(),
        open.join(", ")
    ))
}

fn duplicate<'a>(ids: &[&'a str]) -> Option<&'a str> {
    let mut seen = HashSet::new();
    ids.iter().copied().find(|id| !seen.insert(*id))
}

/// Reasoning comes back as it was given out.
fn reasoning(messages: &[Value]) -> Result<(), ApiError> {
    for (index, message) in messages.iter().enumerate() {
        for (at, block) in items_at(message, "content").iter().enumerate() {
            let Some(reasoning) = block.get("reasoningContent") else { continue };
            let good = match reasoning.get("reasoningText") {
                // Other makers' reasoning has no signature.
                Some(text) => text
                    .get("signature")
                    .and_then(Value::as_str)
                    .is_none_or(|signed| signature::is_good(signed, text_at(text, "text"))),
                None => reasoning.get("redactedContent").and_then(Value::as_str).is_none_or(is_redacted),
            };
            if !good {
                return refuse(format!(
                    "The model returned the following errors: messages.{index}.content.{at}: Invalid `signature` in \
                     `thinking` block"
                ));
            }
        }
    }
    Ok(())
}

fn ending(last: Option<&Value>, maker: &str, prefill: bool) -> Result<(), ApiError> {
    let Some(last) = last.filter(|message| text_at(message, "role") == "assistant") else { return Ok(()) };
    if !matches!(maker, "anthropic" | "") || !prefill {
        return refuse(
            "The model does not support assistant message prefill. The conversation must end with a user message.",
        );
    }
    let text = items_at(last, "content").last().map(|block| text_at(block, "text")).unwrap_or_default();
    if text.ends_with(char::is_whitespace) {
        return refuse(
            "The model returned the following errors: messages: final assistant content cannot end with trailing \
             whitespace",
        );
    }
    Ok(())
}
