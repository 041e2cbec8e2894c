//! Messages: who speaks, what the assistant called, what the tools answered.
//!
//! Owns the roles, tool calls and the older `function_call`. Leaves content to [`super::part`].
//! **Invariant:** a message that answers a call names an id; calls of the older form, which have none, get one made of
//! the message's position, the same whenever the same body is read.

use super::part;
use crate::conversation::{CacheControl, Issuer, MediaSource, Message, Part, Role, Signature};
use crate::openai::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// Roles of OpenAI's published types.
const ROLES: [&str; 6] = ["system", "developer", "user", "assistant", "tool", "function"];

/// What LiteLLM puts between a Gemini call's id and its thought signature when a client keeps nothing but ids.
const SIGNATURE_SEPARATOR: &str = "__thought__";

/// Reads `messages`.
pub(super) fn read_messages(value: Value, at: &Place<'_>) -> Result<Vec<Message>, RequestError> {
    let items = read::list(value, at)?;
    if items.is_empty() {
        return Err(at.error("must have at least one message"));
    }
    let mut pending = PendingFunctions::default();
    let items = items.into_iter().enumerate();
    items.map(|(index, item)| read_message(item, &at.item(index), index, &mut pending)).collect()
}

/// Calls in the older form that have no answer yet, as (name, made-up id).
#[derive(Default)]
struct PendingFunctions(Vec<(String, String)>);

impl PendingFunctions {
    fn call(&mut self, name: &str, index: usize) -> String {
        let id = format!("call_function_{index}");
        self.0.push((name.to_owned(), id.clone()));
        id
    }

    /// The id of the oldest call of that name without an answer.
    fn answer(&mut self, name: &str) -> Option<String> {
        let position = self.0.iter().position(|(called, _)| called == name)?;
        Some(self.0.remove(position).1)
    }
}

fn read_message(
    value: Value,
    at: &Place<'_>,
    index: usize,
    pending: &mut PendingFunctions,
) -> Result<Message, RequestError> {
    let mut members = read::object(value, at)?;
    let role = read::require_string(&mut members, "role", at)?;
    let name = read::take_string(&mut members, "name", at)?;
    let mark = part::take_cache_control(&mut members, at)?;
    let (role, mut parts) = match role.as_str() {
        "system" => (Role::System, require_content(Role::System, &mut members, at)?),
        "developer" => (Role::Developer, require_content(Role::Developer, &mut members, at)?),
        "user" => (Role::User, require_content(Role::User, &mut members, at)?),
        "assistant" => (Role::Assistant, read_assistant(&mut members, at, index, pending)?),
        "tool" => {
            let call_id = read::require_string(&mut members, "tool_call_id", at)?;
            let call_id = split_signature(call_id).0;
            (Role::Tool, vec![tool_result(call_id, require_content(Role::Tool, &mut members, at)?)])
        }
        "function" => {
            let call = name.as_deref().ok_or_else(|| at.member("name").missing())?;
            let call_id = pending
                .answer(call)
                .ok_or_else(|| at.member("name").error("answers no earlier 'function_call' of that name"))?;
            // Published as "string or null", unlike every other content.
            let content = read::take(&mut members, "content")
                .map(|value| part::read_content(Role::Tool, value, &at.member("content")))
                .transpose()?;
            (Role::Tool, vec![tool_result(call_id, content.unwrap_or_default())])
        }
        other => return Err(at.member("role").unknown_word(other, &ROLES)),
    };
    if let Some(mark) = mark {
        mark_last(&mut parts, mark);
    }
    Ok(Message { role, parts, name })
}

fn require_content(
    role: Role,
    members: &mut Map<String, Value>,
    at: &Place<'_>,
) -> Result<Vec<Part>, RequestError> {
    let place = at.member("content");
    match members.remove("content") {
        None => Err(place.missing()),
        Some(value) => part::read_content(role, value, &place),
    }
}

fn tool_result(call_id: String, content: Vec<Part>) -> Part {
    Part::ToolResult { call_id, content, is_error: false, cache_control: None }
}

/// Reasoning first, then text and refusals, then calls: the order in which every provider wants them back.
fn read_assistant(
    members: &mut Map<String, Value>,
    at: &Place<'_>,
    index: usize,
    pending: &mut PendingFunctions,
) -> Result<Vec<Part>, RequestError> {
    let mut parts = read_reasoning(members, at)?;
    if let Some(content) = read::take(members, "content") {
        let content = part::read_content(Role::Assistant, content, &at.member("content"))?;
        // Clients write "" where the answer was calls only; an empty text says nothing and some providers refuse it.
        parts.extend(content.into_iter().filter(|part| !is_empty_text(part)));
    }
    let refusal = read::take_string(members, "refusal", at)?;
    parts.extend(refusal.filter(|text| !text.is_empty()).map(Part::Refusal));
    if let Some(audio) = read::take(members, "audio") {
        let place = at.member("audio");
        let mut audio = read::object(audio, &place)?;
        // An earlier answer's sound is kept by OpenAI under its id.
        let source = MediaSource::FileId(read::require_string(&mut audio, "id", &place)?);
        parts.push(Part::Audio { source, format: String::new(), transcript: None });
    }
    if let Some(call) = read::take(members, "function_call") {
        let place = at.member("function_call");
        let mut call = read::object(call, &place)?;
        let name = read::require_string(&mut call, "name", &place)?;
        let arguments = read::require_string(&mut call, "arguments", &place)?;
        let id = pending.call(&name, index);
        parts.push(Part::ToolCall { id, name, arguments, is_custom: false, signature: None });
    }
    if let Some(calls) = read::take(members, "tool_calls") {
        let place = at.member("tool_calls");
        for (position, call) in read::list(calls, &place)?.into_iter().enumerate() {
            parts.push(read_tool_call(call, &place.item(position))?);
        }
    }
    Ok(parts)
}

fn is_empty_text(part: &Part) -> bool {
    matches!(part, Part::Text { text, cache_control: None, .. } if text.is_empty())
}

/// LiteLLM gives a provider's reasoning twice: as plain `reasoning_content`, and, where the provider wants it back
/// with its signature, as `thinking_blocks`. The blocks win; the plain text counts where no block has a text.
fn read_reasoning(members: &mut Map<String, Value>, at: &Place<'_>) -> Result<Vec<Part>, RequestError> {
    let plain = read::take_string(members, "reasoning_content", at)?.filter(|text| !text.is_empty());
    // The name that OpenRouter, Groq and newer vLLM give it; an object there is nobody's reasoning.
    let alias = members.get("reasoning").and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = plain.or_else(|| alias.map(str::to_owned));
    let mut parts = Vec::new();
    if let Some(blocks) = read::take(members, "thinking_blocks") {
        let place = at.member("thinking_blocks");
        for (position, block) in read::list(blocks, &place)?.into_iter().enumerate() {
            parts.push(part::read_thinking_block(block, &place.item(position))?);
        }
    }
    let has_readable_block = parts.iter().any(|part| matches!(part, Part::Reasoning { .. }));
    if let Some(text) = text.filter(|_| !has_readable_block) {
        parts.insert(0, Part::Reasoning { text, signature: None });
    }
    Ok(parts)
}

fn read_tool_call(value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let mut call = read::object(value, at)?;
    let kind = read::take_string(&mut call, "type", at)?;
    match kind.as_deref() {
        None | Some("function") => {}
        Some("custom") => return read_custom_call(&mut call, at),
        Some(other) => return Err(at.member("type").unknown_word(other, &["function", "custom"])),
    }
    let (id, id_signature) = split_signature(read::require_string(&mut call, "id", at)?);
    let place = at.member("function");
    let mut function = read::object(read::require(&mut call, "function", at)?, &place)?;
    let signature = thought_signature(&call).or_else(|| thought_signature(&function)).or(id_signature);
    Ok(Part::ToolCall {
        id,
        name: read::require_string(&mut function, "name", &place)?,
        arguments: read::require_string(&mut function, "arguments", &place)?,
        is_custom: false,
        signature: signature.map(|text| Signature::read(&text, Issuer::Google)),
    })
}

fn read_custom_call(call: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    let (id, id_signature) = split_signature(read::require_string(call, "id", at)?);
    let place = at.member("custom");
    let mut custom = read::object(read::require(call, "custom", at)?, &place)?;
    let signature = thought_signature(call).or(id_signature);
    Ok(Part::ToolCall {
        id,
        name: read::require_string(&mut custom, "name", &place)?,
        arguments: read::require_string(&mut custom, "input", &place)?,
        is_custom: true,
        signature: signature.map(|text| Signature::read(&text, Issuer::Google)),
    })
}

/// Gemini's signature under LiteLLM's name for it.
fn thought_signature(members: &Map<String, Value>) -> Option<String> {
    let signature = members.get("provider_specific_fields")?.get("thought_signature")?.as_str()?;
    Some(signature.to_owned())
}

/// An id of LiteLLM's making may carry Gemini's signature behind a separator.
fn split_signature(id: String) -> (String, Option<String>) {
    match id.split_once(SIGNATURE_SEPARATOR) {
        Some((id, signature)) if !signature.is_empty() => (id.to_owned(), Some(signature.to_owned())),
        _ => (id, None),
    }
}

/// Puts a message's cache mark on its last part that can hold one and has none of its own.
fn mark_last(parts: &mut [Part], mark: CacheControl) {
    let markable = parts.iter_mut().rev().find_map(|part| match part {
        Part::Text { cache_control, .. }
        | Part::Image { cache_control, .. }
        | Part::File { cache_control, .. }
        | Part::ToolResult { cache_control, .. } => Some(cache_control),
        Part::Audio { .. }
        | Part::ToolCall { .. }
        | Part::Reasoning { .. }
        | Part::RedactedReasoning { .. }
        | Part::Refusal(_)
        | Part::Native(_) => None,
    });
    if let Some(slot) = markable {
        slot.get_or_insert(mark);
    }
}
