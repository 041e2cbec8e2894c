//! Messages: who speaks, and what becomes of a user's message that holds results of tools.
//!
//! Leaves blocks to [`super::blocks`]. **Invariant:** a message of results holds nothing else, as the model wants it;
//! results and words of one message of the caller's stay next to each other, in their order.

use super::asides::Asides;
use super::blocks;
use crate::conversation::{Issuer, Message, Part, Role};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::Value;

/// Roles of Anthropic's published types; a system message within the conversation is for its newer models.
const ROLES: [&str; 3] = ["user", "assistant", "system"];

/// Reads `messages`.
pub(super) fn read_messages(
    value: Value,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Vec<Message>, RequestError> {
    let items = read::list(value, at)?;
    if items.is_empty() {
        return Err(at.error("must have at least one message"));
    }
    let mut messages = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        read_message(item, &at.item(index), asides, &mut messages)?;
    }
    Ok(messages)
}

fn read_message(
    value: Value,
    at: &Place<'_>,
    asides: &mut Asides,
    messages: &mut Vec<Message>,
) -> Result<(), RequestError> {
    let mut members = read::object(value, at)?;
    let role = read::require_string(&mut members, "role", at)?;
    let place = at.member("content");
    let parts = match read::take(&mut members, "content") {
        Some(Value::String(text)) => vec![Part::text(text)],
        Some(Value::Array(items)) => blocks::read_blocks(items, &place, asides)?,
        Some(other) => return Err(read::neither_string_nor_list(&other, "blocks", &place)),
        // A system message may be there for its `output_config` alone.
        None if role == "system" => Vec::new(),
        None => return Err(place.missing()),
    };
    match role.as_str() {
        "user" => push_user(parts, messages),
        "assistant" => {
            let parts = with_call_signatures(parts);
            messages.push(Message { role: Role::Assistant, parts, name: None });
        }
        "system" => {
            require_text(&parts, &place)?;
            messages.push(Message { role: Role::System, parts, name: None });
        }
        other => return Err(at.member("role").unknown_word(other, &ROLES)),
    }
    for (name, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
        asides.push(&format!("{role}.{name}"), value);
    }
    Ok(())
}

/// Instructions are text, apart from what Anthropic alone has (changes of the tools).
pub(super) fn require_text(parts: &[Part], at: &Place<'_>) -> Result<(), RequestError> {
    let is_admitted = |part: &Part| matches!(part, Part::Text { .. } | Part::Native(_));
    match parts.iter().position(|part| !is_admitted(part)) {
        Some(index) => Err(at.item(index).member("type").error("must be 'text' in instructions")),
        None => Ok(()),
    }
}

fn push_user(parts: Vec<Part>, messages: &mut Vec<Message>) {
    if parts.is_empty() {
        messages.push(Message { role: Role::User, parts, name: None });
        return;
    }
    let mut is_first = true;
    for part in parts {
        let role = if matches!(part, Part::ToolResult { .. }) { Role::Tool } else { Role::User };
        match messages.last_mut().filter(|last| !is_first && last.role == role) {
            Some(last) => last.parts.push(part),
            None => messages.push(Message { role, parts: vec![part], name: None }),
        }
        is_first = false;
    }
}

/// Gives a call the signature of Google's that travelled before it as a redacted block (Google issues no other).
fn with_call_signatures(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    for mut part in parts {
        if let Part::ToolCall { signature, .. } = &mut part
            && let Some(Part::RedactedReasoning { data }) = joined.pop_if(
                |last| matches!(last, Part::RedactedReasoning { data } if data.issuer == Issuer::Google),
            )
        {
            *signature = Some(data);
        }
        joined.push(part);
    }
    joined
}
