//! Content blocks of a request, read into parts.
//!
//! Owns the shape of every block that the model has a part for. **Invariant:** a block of a type that is not known
//! here is a native part, whole, so that nothing is lost between two ends of this dialect.

use super::asides::{Asides, DOCUMENT_CONTENT, SEARCH_RESULT, TOOL_RESULT, TOOL_USE};
use crate::anthropic::citations;
use crate::conversation::{CacheControl, Citation, Issuer, MediaSource, Native, Part, Signature};
use crate::json::read::{self, Place};
use crate::wire::{Dialect, RequestError};
use serde_json::{Map, Value};

/// Reads a list of blocks.
pub(super) fn read_blocks(
    blocks: Vec<Value>,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Vec<Part>, RequestError> {
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        read_block(block, &at.item(index), asides, &mut parts)?;
    }
    Ok(parts)
}

fn read_block(
    value: Value,
    at: &Place<'_>,
    asides: &mut Asides,
    parts: &mut Vec<Part>,
) -> Result<(), RequestError> {
    let mut block = read::object(value, at)?;
    let kind = read::string(
        block.get("type").cloned().ok_or_else(|| at.member("type").missing())?,
        &at.member("type"),
    )?;
    let part = match kind.as_str() {
        "text" => read_text(&mut block, at)?,
        "image" => read_image(&mut block, at, asides)?,
        "document" => return read_document(block, at, asides, parts),
        "search_result" => read_search_result(block, at, asides)?,
        "thinking" => Part::Reasoning {
            text: read::require_string(&mut block, "thinking", at)?,
            signature: read::take_string(&mut block, "signature", at)?
                .filter(|text| !text.is_empty())
                .map(|text| Signature::read(&text, Issuer::Anthropic)),
        },
        "redacted_thinking" => {
            let data = read::require_string(&mut block, "data", at)?;
            Part::RedactedReasoning { data: Signature::read(&data, Issuer::Anthropic) }
        }
        "tool_use" => read_tool_use(block, at, asides)?,
        "tool_result" => read_tool_result(block, at, asides)?,
        _ => Part::Native(Native { dialect: Dialect::Anthropic, value: Value::Object(block) }),
    };
    parts.push(part);
    Ok(())
}

fn read_text(block: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    Ok(Part::Text {
        text: read::require_string(block, "text", at)?,
        cache_control: take_cache_control(block, at)?,
        citations: read_citations(block, at)?,
    })
}

fn read_citations(block: &mut Map<String, Value>, at: &Place<'_>) -> Result<Vec<Citation>, RequestError> {
    let Some(value) = read::take(block, "citations") else { return Ok(Vec::new()) };
    let at = at.member("citations");
    let items = read::list(value, &at)?.into_iter().enumerate();
    items
        .map(|(index, item)| {
            let item = Value::Object(read::object(item, &at.item(index))?);
            Ok(citations::read(&item))
        })
        .collect()
}

fn read_image(
    block: &mut Map<String, Value>,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Part, RequestError> {
    if let Some(transformations) = read::take(block, "transformations") {
        asides.push("image.transformations", transformations);
    }
    let cache_control = take_cache_control(block, at)?;
    let place = at.member("source");
    let mut source = read::object(read::require(block, "source", at)?, &place)?;
    let kind = read::require_string(&mut source, "type", &place)?;
    let source = match read_source(&kind, &mut source, &place)? {
        Some(source) => source,
        None => return Err(place.member("type").unknown_word(&kind, &["base64", "url", "file"])),
    };
    Ok(Part::Image { source, detail: None, cache_control })
}

/// The sources that pictures and documents share; `None` for another.
fn read_source(
    kind: &str,
    source: &mut Map<String, Value>,
    at: &Place<'_>,
) -> Result<Option<MediaSource>, RequestError> {
    Ok(Some(match kind {
        "base64" => MediaSource::Base64 {
            media_type: read::require_string(source, "media_type", at)?,
            data: read::filled_string(read::require(source, "data", at)?, &at.member("data"))?,
        },
        "url" => MediaSource::Url(read::require_string(source, "url", at)?),
        "file" => MediaSource::FileId(read::require_string(source, "file_id", at)?),
        _ => return Ok(None),
    }))
}

/// Pictures among a document's own blocks follow the document as pictures.
fn read_document(
    mut block: Map<String, Value>,
    at: &Place<'_>,
    asides: &mut Asides,
    parts: &mut Vec<Part>,
) -> Result<(), RequestError> {
    const KINDS: [&str; 5] = ["base64", "text", "content", "url", "file"];
    let whole = Value::Object(block.clone());
    let place = at.member("source");
    let mut source = read::object(read::require(&mut block, "source", at)?, &place)?;
    let kind = read::require_string(&mut source, "type", &place)?;
    let mut pictures = Vec::new();
    let source = match kind.as_str() {
        "text" => MediaSource::Text(read::require_string(&mut source, "data", &place)?),
        "content" => {
            let (text, others) = read_own_blocks(&mut source, &place, asides)?;
            pictures = others;
            if pictures.is_empty() {
                asides.push(DOCUMENT_CONTENT, whole);
            }
            MediaSource::Text(text)
        }
        _ => match read_source(&kind, &mut source, &place)? {
            Some(source) => source,
            None => return Err(place.member("type").unknown_word(&kind, &KINDS)),
        },
    };
    parts.push(Part::File {
        source,
        filename: read::take_string(&mut block, "title", at)?,
        context: read::take_string(&mut block, "context", at)?,
        citations: read_citations_switch(&mut block, at)?,
        cache_control: take_cache_control(&mut block, at)?,
    });
    parts.extend(pictures);
    Ok(())
}

/// A source's own `content`: its text, one block a line, and its other parts.
fn read_own_blocks(
    holder: &mut Map<String, Value>,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<(String, Vec<Part>), RequestError> {
    let place = at.member("content");
    let items = match read::require(holder, "content", at)? {
        Value::String(text) => return Ok((text, Vec::new())),
        Value::Array(items) => items,
        other => return Err(read::neither_string_nor_list(&other, "blocks", &place)),
    };
    let (mut lines, mut others) = (Vec::new(), Vec::new());
    for part in read_blocks(items, &place, asides)? {
        match part {
            Part::Text { text, .. } => lines.push(text),
            other => others.push(other),
        }
    }
    Ok((lines.join("\n"), others))
}

fn read_citations_switch(block: &mut Map<String, Value>, at: &Place<'_>) -> Result<bool, RequestError> {
    let Some(value) = read::take(block, "citations") else { return Ok(false) };
    let place = at.member("citations");
    let mut members = read::object(value, &place)?;
    Ok(read::take_boolean(&mut members, "enabled", &place)?.unwrap_or(false))
}

/// A found text is a document to every other wire: its title, its source beside it, its words.
fn read_search_result(
    mut block: Map<String, Value>,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Part, RequestError> {
    let whole = Value::Object(block.clone());
    let (text, _) = read_own_blocks(&mut block, at, asides)?;
    let part = Part::File {
        source: MediaSource::Text(text),
        filename: Some(read::require_string(&mut block, "title", at)?),
        context: Some(read::require_string(&mut block, "source", at)?),
        citations: read_citations_switch(&mut block, at)?,
        cache_control: take_cache_control(&mut block, at)?,
    };
    asides.push(SEARCH_RESULT, whole);
    Ok(part)
}

fn read_tool_use(
    mut block: Map<String, Value>,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Part, RequestError> {
    let id = read::require_string(&mut block, "id", at)?;
    let name = read::require_string(&mut block, "name", at)?;
    let input = read::object(read::require(&mut block, "input", at)?, &at.member("input"))?;
    block.shift_remove("type");
    // The model called it itself, which is what every call says that says nothing.
    if block.get("caller").and_then(|caller| caller.get("type")).is_some_and(|kind| kind == "direct") {
        block.shift_remove("caller");
    }
    asides.keep(TOOL_USE, &id, block);
    let arguments = Value::Object(input).to_string();
    Ok(Part::ToolCall { id, name, arguments, is_custom: false, signature: None })
}

fn read_tool_result(
    mut block: Map<String, Value>,
    at: &Place<'_>,
    asides: &mut Asides,
) -> Result<Part, RequestError> {
    let call_id = read::require_string(&mut block, "tool_use_id", at)?;
    let place = at.member("content");
    let content = match read::take(&mut block, "content") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![Part::text(text)],
        Some(Value::Array(items)) => read_blocks(items, &place, asides)?,
        Some(other) => return Err(read::neither_string_nor_list(&other, "blocks", &place)),
    };
    let is_error = read::take_boolean(&mut block, "is_error", at)?.unwrap_or(false);
    let cache_control = take_cache_control(&mut block, at)?;
    block.shift_remove("type");
    asides.keep(TOOL_RESULT, &call_id, block);
    Ok(Part::ToolResult { call_id, content, is_error, cache_control })
}

/// Takes a prompt-cache mark.
pub(super) fn take_cache_control(
    members: &mut Map<String, Value>,
    at: &Place<'_>,
) -> Result<Option<CacheControl>, RequestError> {
    let Some(value) = read::take(members, "cache_control") else { return Ok(None) };
    let place = at.member("cache_control");
    let mut mark = read::object(value, &place)?;
    let kind = read::require_string(&mut mark, "type", &place)?;
    if kind != "ephemeral" {
        return Err(place.member("type").unknown_word(&kind, &["ephemeral"]));
    }
    let ttl = read::take_string(&mut mark, "ttl", &place)?;
    if let Some(other) = ttl.as_deref().filter(|ttl| !["5m", "1h"].contains(ttl)) {
        return Err(place.member("ttl").unknown_word(other, &["5m", "1h"]));
    }
    Ok(Some(CacheControl { ttl }))
}
