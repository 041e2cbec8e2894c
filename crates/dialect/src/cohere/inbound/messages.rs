//! Messages: who speaks, and the blocks of what is said.
//!
//! Thoughts and calls of other makers' models have their signatures in members that Cohere does not have (`signature`,
//! `data`), which its clients send back with the rest of a message; they are read here again.

use super::Ids;
use crate::cohere::citations::{self, Cited};
use crate::cohere::documents;
use crate::cohere::reply::HOME;
use crate::conversation::{Citation, MediaSource, Message, Part, Role, Signature};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];

/// Reads `messages`. `is_cited`: the answer is to say which documents it leans on. Ids of tools' documents are added to
/// `ids`.
pub(super) fn read_messages(
    value: Value,
    at: &Place<'_>,
    is_cited: bool,
    ids: &mut Ids,
) -> Result<Vec<Message>, RequestError> {
    let items = read::list(value, at)?;
    if items.is_empty() {
        return Err(at.error("must have at least one message"));
    }
    let items = items.into_iter().enumerate();
    items.map(|(index, item)| read_message(item, &at.item(index), is_cited, ids)).collect()
}

fn read_message(
    value: Value,
    at: &Place<'_>,
    is_cited: bool,
    ids: &mut Ids,
) -> Result<Message, RequestError> {
    let mut members = read::object(value, at)?;
    let role = read::require_string(&mut members, "role", at)?;
    let content = read::take(&mut members, "content");
    let place = &at.member("content");
    // `ASSISTANT` and the like are the spellings of the first version.
    let (role, parts) = match role.to_ascii_lowercase().as_str() {
        "system" => (Role::System, read_content(content, place, read_text_block)?),
        "user" => (Role::User, read_content(content, place, read_user_block)?),
        "assistant" => (Role::Assistant, read_assistant(content, members, at)?),
        "tool" => {
            let call_id = read::require_string(&mut members, "tool_call_id", at)?;
            let content = read_content(content, place, |kind, block, at| {
                read_tool_block(kind, block, at, is_cited, ids)
            })?;
            let result = Part::ToolResult { call_id, content, is_error: false, cache_control: None };
            (Role::Tool, vec![result])
        }
        _ => return Err(at.member("role").unknown_word(&role, &ROLES)),
    };
    Ok(Message { role, parts, name: None })
}

/// Reads `content`: a string, or blocks that `each` reads by their type.
fn read_content(
    content: Option<Value>,
    at: &Place<'_>,
    mut each: impl FnMut(&str, Map<String, Value>, &Place<'_>) -> Result<Part, RequestError>,
) -> Result<Vec<Part>, RequestError> {
    let items = match content.ok_or_else(|| at.missing())? {
        Value::String(text) => return Ok(vec![Part::text(text)]),
        Value::Array(items) => items,
        other => return Err(read::neither_string_nor_list(&other, "blocks", at)),
    };
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| {
            let at = &at.item(index);
            let mut block = read::object(item, at)?;
            let kind = read::require_string(&mut block, "type", at)?;
            each(&kind, block, at)
        })
        .collect()
}

fn read_text_block(kind: &str, mut block: Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    match kind {
        "text" => Ok(Part::text(read::require_string(&mut block, "text", at)?)),
        _ => Err(at.member("type").unknown_word(kind, &["text"])),
    }
}

fn read_user_block(kind: &str, mut block: Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    match kind {
        "text" => read_text_block(kind, block, at),
        "image_url" => {
            let place = &at.member("image_url");
            let mut image = match read::require(&mut block, "image_url", at)? {
                Value::String(url) => Map::from_iter([("url".to_owned(), url.into())]),
                other => read::object(other, place)?,
            };
            let url = read::require_string(&mut image, "url", place)?;
            let detail = read::take_string(&mut image, "detail", place)?;
            Ok(Part::Image { source: image_source(url), detail, cache_control: None })
        }
        _ => Err(at.member("type").unknown_word(kind, &["text", "image_url"])),
    }
}

/// A picture's address, or its bytes where the address is a data URI.
pub(in crate::cohere) fn image_source(url: String) -> MediaSource {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((media_type, data)) => {
            MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        None => MediaSource::Url(url),
    }
}

fn read_tool_block(
    kind: &str,
    mut block: Map<String, Value>,
    at: &Place<'_>,
    is_cited: bool,
    ids: &mut Ids,
) -> Result<Part, RequestError> {
    match kind {
        "text" => read_text_block(kind, block, at),
        "document" => {
            let document = read::require(&mut block, "document", at)?;
            let (part, id) = documents::read(document, is_cited, &at.member("document"))?;
            ids.push(id);
            Ok(part)
        }
        _ => Err(at.member("type").unknown_word(kind, &["text", "document"])),
    }
}

/// Thoughts and texts, then what was said before the calls, then the calls.
fn read_assistant(
    content: Option<Value>,
    mut members: Map<String, Value>,
    at: &Place<'_>,
) -> Result<Vec<Part>, RequestError> {
    let mut parts = match content {
        None => Vec::new(),
        content => read_content(content, &at.member("content"), read_assistant_block)?,
    };
    let plan = read::take_string(&mut members, "tool_plan", at)?.filter(|plan| !plan.is_empty());
    let plan_index = plan.as_ref().map(|_| parts.len());
    parts.extend(plan.map(Part::text));
    if let Some(cited) = read::take(&mut members, "citations") {
        let place = &at.member("citations");
        for (index, citation) in read::list(cited, place)?.into_iter().enumerate() {
            let citation = Value::Object(read::object(citation, &place.item(index))?);
            cite(&mut parts, plan_index, &citation);
        }
    }
    parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
    if let Some(calls) = read::take(&mut members, "tool_calls") {
        let place = &at.member("tool_calls");
        for (index, call) in read::list(calls, place)?.into_iter().enumerate() {
            parts.push(read_call(call, &place.item(index))?);
        }
    }
    Ok(parts)
}

/// Adds a citation to the text that it is of; one of a thought has no place.
pub(in crate::cohere) fn cite(parts: &mut [Part], plan: Option<usize>, citation: &Value) {
    let index = match citations::cited(citation) {
        Cited::Plan => plan,
        Cited::Content(index) => usize::try_from(index).ok(),
    };
    if let Some(Part::Text { citations: cited, .. }) = index.and_then(|index| parts.get_mut(index)) {
        let read: Vec<Citation> = citations::read(citation, 0);
        cited.extend(read);
    }
}

fn read_assistant_block(
    kind: &str,
    mut block: Map<String, Value>,
    at: &Place<'_>,
) -> Result<Part, RequestError> {
    if kind != "thinking" {
        return match kind {
            "text" => read_text_block(kind, block, at),
            _ => Err(at.member("type").unknown_word(kind, &["text", "thinking"])),
        };
    }
    if let Some(data) = read::take_string(&mut block, "data", at)? {
        return Ok(Part::RedactedReasoning { data: Signature::read(&data, HOME) });
    }
    let text = read::require_string(&mut block, "thinking", at)?;
    Ok(Part::Reasoning { text, signature: read_signature(&mut block, at)? })
}

fn read_signature(
    members: &mut Map<String, Value>,
    at: &Place<'_>,
) -> Result<Option<Signature>, RequestError> {
    let text = read::take_string(members, "signature", at)?.filter(|text| !text.is_empty());
    Ok(text.map(|text| Signature::read(&text, HOME)))
}

fn read_call(value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let mut call = read::object(value, at)?;
    let place = &at.member("function");
    let mut function = read::object(read::require(&mut call, "function", at)?, place)?;
    Ok(Part::ToolCall {
        id: read::require_string(&mut call, "id", at)?,
        name: read::require_string(&mut function, "name", place)?,
        arguments: read::take_string(&mut function, "arguments", place)?.unwrap_or_default(),
        is_custom: false,
        signature: read_signature(&mut call, at)?,
    })
}
