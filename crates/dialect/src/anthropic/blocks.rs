//! Content blocks: parts of the conversation model to blocks, and blocks of a reply back to parts.
//!
//! Owns the shape of every block but pictures and documents ([`media`](super::media)). Leaves the order of blocks and
//! the pairing of tool calls with results to [`turns`](super::turns).

use super::media;
use super::members::{object, owned_text, text, type_name};
use crate::conversation::{CacheControl, Issuer, Part, Signature};
use crate::wire::{EncodeError, ReplyFault};
use serde_json::{Map, Value};
use std::fmt;

/// Where a part stands in the caller's request, for error messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Index in `messages`.
    pub(super) message: usize,
    /// Index of the part in the message.
    pub(super) part: usize,
    /// Index within the content of a tool result.
    pub(super) nested: Option<usize>,
}

impl Place {
    /// The same place, `index` parts into a tool result's content.
    fn within(self, index: usize) -> Self {
        Self { nested: Some(index), ..self }
    }

    /// The request is wrong at this place, or at its member `member` (empty for the part itself).
    pub(super) fn invalid(self, member: &str, message: impl Into<String>) -> EncodeError {
        EncodeError::Invalid { param: self.member(member), message: message.into() }
    }

    /// Content of a kind that this wire does not have. Content is never left out, whatever `drop_unsupported` says.
    pub(super) fn unsupported(self, member: &str) -> EncodeError {
        EncodeError::Unsupported { params: vec![self.member(member)] }
    }

    fn member(self, member: &str) -> String {
        if member.is_empty() { self.to_string() } else { format!("{self}.{member}") }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "messages[{}].content[{}]", self.message, self.part)?;
        self.nested.map_or(Ok(()), |index| write!(formatter, ".content[{index}]"))
    }
}

/// Adds the prompt-cache mark to a block or tool. `place` names the block if the time to live is none of the wire's.
pub(super) fn mark_for_cache(
    block: &mut Map<String, Value>,
    mark: Option<&CacheControl>,
    place: &dyn fmt::Display,
) -> Result<(), EncodeError> {
    let Some(mark) = mark else { return Ok(()) };
    let mut encoded = object([("type", "ephemeral".into())]);
    match mark.ttl.as_deref() {
        None => {}
        Some(ttl @ ("5m" | "1h")) => {
            encoded.insert("ttl".to_owned(), ttl.into());
        }
        Some(_) => {
            return Err(EncodeError::Invalid {
                param: format!("{place}.cache_control.ttl"),
                message: "must be 5m or 1h".to_owned(),
            });
        }
    }
    block.insert("cache_control".to_owned(), Value::Object(encoded));
    Ok(())
}

/// A text block, or nothing for text without a visible character, which the API refuses.
pub(super) fn text_block(
    text: &str,
    mark: Option<&CacheControl>,
    place: Place,
) -> Result<Option<Value>, EncodeError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let mut block = object([("type", "text".into()), ("text", text.into())]);
    mark_for_cache(&mut block, mark, &place)?;
    Ok(Some(Value::Object(block)))
}

/// A text, picture or document as a block; `None` for blank text.
///
/// # Errors
/// [`EncodeError`] for parts of other kinds, and for media that the wire does not take.
pub(super) fn content_block(part: &Part, place: Place) -> Result<Option<Value>, EncodeError> {
    match part {
        Part::Text { text, cache_control, citations: _ } => text_block(text, cache_control.as_ref(), place),
        Part::Refusal(text) => text_block(text, None, place),
        Part::Image { source, cache_control, .. } => {
            let mut block = media::image(source, place)?;
            mark_for_cache(&mut block, cache_control.as_ref(), &place)?;
            Ok(Some(Value::Object(block)))
        }
        Part::File { source, filename, cache_control, context: _, citations: _ } => {
            let mut block = media::document(source, filename.as_deref(), place)?;
            mark_for_cache(&mut block, cache_control.as_ref(), &place)?;
            Ok(Some(Value::Object(block)))
        }
        Part::Audio { .. } => Err(place.unsupported("input_audio")),
        Part::ToolCall { .. }
        | Part::ToolResult { .. }
        | Part::Reasoning { .. }
        | Part::RedactedReasoning { .. }
        | Part::Native(_) => {
            Err(place.invalid("", "does not belong in a message of this role"))
        }
    }
}

/// A `tool_use` block under the id that the wire takes.
pub(super) fn tool_use(id: String, name: &str, arguments: &str, place: Place) -> Result<Value, EncodeError> {
    let input = tool_input(arguments, place)?;
    Ok(Value::Object(object([
        ("type", "tool_use".into()),
        ("id", id.into()),
        ("name", name.into()),
        ("input", Value::Object(input)),
    ])))
}

/// The arguments of a call as the object that the wire wants; nothing at all and `null` are a call without arguments.
fn tool_input(arguments: &str, place: Place) -> Result<Map<String, Value>, EncodeError> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(input)) => Ok(input),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(other) => {
            let message = format!("must be a JSON object, not {}", type_name(&other));
            Err(place.invalid("function.arguments", message))
        }
        Err(fault) => {
            let message = format!("is not JSON: {fault}");
            Err(place.invalid("function.arguments", message))
        }
    }
}

/// What a tool returned, apart from the id of its call.
pub(super) struct ToolResult<'p> {
    /// Text, picture and document parts.
    pub(super) content: &'p [Part],
    /// The call failed.
    pub(super) is_error: bool,
    /// The prompt-cache mark of the whole result.
    pub(super) mark: Option<&'p CacheControl>,
}

/// A `tool_result` block under the id that its call went out with. A single plain text goes out as a string.
pub(super) fn tool_result(id: String, result: &ToolResult<'_>, place: Place) -> Result<Value, EncodeError> {
    let mut content = Vec::with_capacity(result.content.len());
    for (index, part) in result.content.iter().enumerate() {
        content.extend(content_block(part, place.within(index))?);
    }
    let mut block = object([("type", "tool_result".into()), ("tool_use_id", id.into())]);
    if !content.is_empty() {
        block.insert("content".to_owned(), collapse(content));
    }
    if result.is_error {
        block.insert("is_error".to_owned(), true.into());
    }
    mark_for_cache(&mut block, result.mark, &place)?;
    Ok(Value::Object(block))
}

/// A thinking block. Without its signature the API refuses it, so it is left out: the text alone proves nothing.
pub(super) fn thinking(text: &str, signature: Option<&str>) -> Option<Value> {
    let signature = signature.filter(|found| !found.is_empty())?;
    Some(Value::Object(object([
        ("type", "thinking".into()),
        ("thinking", text.into()),
        ("signature", signature.into()),
    ])))
}

/// A block of encrypted thinking.
pub(super) fn redacted_thinking(data: &str) -> Value {
    Value::Object(object([("type", "redacted_thinking".into()), ("data", data.into())]))
}

/// Blocks as `content`: one plain text as the string that stands for it, everything else as the list.
pub(super) fn collapse(mut blocks: Vec<Value>) -> Value {
    match blocks.as_mut_slice() {
        [Value::Object(block)] if block.len() == 2 => match block.get_mut("text") {
            Some(Value::String(text)) => Value::String(std::mem::take(text)),
            _ => Value::Array(blocks),
        },
        _ => Value::Array(blocks),
    }
}

/// One block of a reply. `None` for blocks that the model has no part for: the provider's own tools and their results,
/// uploads, and every type that is not known yet (the API may add some at any time).
///
/// # Errors
/// [`ReplyFault::Malformed`] when a block lacks what makes it usable.
pub(super) fn decode_block(block: &Value) -> Result<Option<Part>, ReplyFault> {
    let part = match text(block, "type") {
        Some("text") => Part::text(owned_text(block, "text")),
        Some("thinking") => Part::Reasoning {
            text: owned_text(block, "thinking"),
            signature: text(block, "signature")
                .filter(|found| !found.is_empty())
                .map(|found| Signature::new(Issuer::Anthropic, found)),
        },
        Some("redacted_thinking") => Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, owned_text(block, "data")) },
        Some("tool_use") => {
            let (id, name) = tool_use_head(block)?;
            Part::ToolCall { id, name, arguments: input_text(block), is_custom: false, signature: None }
        }
        Some(_) => return Ok(None),
        None => return Err(ReplyFault::Malformed("a content block has no type")),
    };
    Ok(Some(part))
}

/// The id and the name of a `tool_use` block.
pub(super) fn tool_use_head(block: &Value) -> Result<(String, String), ReplyFault> {
    match (text(block, "id"), text(block, "name")) {
        (Some(id), Some(name)) => Ok((id.to_owned(), name.to_owned())),
        _ => Err(ReplyFault::Malformed("a tool_use block has no id or no name")),
    }
}

/// The input of a `tool_use` block as JSON text; `{}` where there is none.
pub(super) fn input_text(block: &Value) -> String {
    match block.get("input") {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(input) => input.to_string(),
    }
}
