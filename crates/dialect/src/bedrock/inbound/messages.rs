//! Messages and instructions: who speaks, and what becomes of a user's message that holds results of tools.
//!
//! Leaves blocks to [`super::blocks`]. **Invariant:** a message of results holds nothing else, as the model wants it;
//! results and words of one message of the caller's stay next to each other, in their order.

use super::blocks::BlockReader;
use crate::conversation::{Issuer, Message, Part, Role};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::Value;

/// `ConversationRole` of the service model.
const ROLES: [&str; 3] = ["user", "assistant", "system"];

/// Reads `system`.
pub(super) fn read_system(value: Value, reader: &mut BlockReader) -> Result<Option<Message>, RequestError> {
    let at = &Place::Top("system");
    let parts = reader.read_blocks(read::list(value, at)?, at)?;
    Ok((!parts.is_empty()).then_some(Message { role: Role::System, parts, name: None }))
}

/// Reads `messages`.
pub(super) fn read_messages(value: Value, reader: &mut BlockReader) -> Result<Vec<Message>, RequestError> {
    let at = &Place::Top("messages");
    let items = read::list(value, at)?;
    if items.is_empty() {
        return Err(at.error("must have at least one message"));
    }
    let mut messages = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let at = &at.item(index);
        let mut members = read::object(item, at)?;
        let role = read::require_string(&mut members, "role", at)?;
        let place = at.member("content");
        let blocks = read::list(read::require(&mut members, "content", at)?, &place)?;
        let parts = reader.read_blocks(blocks, &place)?;
        match role.as_str() {
            "user" => push_user(parts, &mut messages),
            "assistant" => {
                let parts = with_call_signatures(parts);
                messages.push(Message { role: Role::Assistant, parts, name: None });
            }
            "system" => messages.push(Message { role: Role::System, parts, name: None }),
            other => return Err(at.member("role").unknown_word(other, &ROLES)),
        }
    }
    Ok(messages)
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
pub(in crate::bedrock) fn with_call_signatures(parts: Vec<Part>) -> Vec<Part> {
    let is_of_call =
        |part: &mut Part| matches!(part, Part::RedactedReasoning { data } if data.issuer == Issuer::Google);
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    for mut part in parts {
        if let Part::ToolCall { signature, .. } = &mut part
            && let Some(Part::RedactedReasoning { data }) = joined.pop_if(is_of_call)
        {
            *signature = Some(data);
        }
        joined.push(part);
    }
    joined
}
