//! Content blocks, read into parts: a caller's and, since they are the same shapes, those of a reply.
//!
//! Owns the shape of every block that the model has a part for. **Invariant:** a block of a kind that is not known here
//! is a native part, whole; one whose part says less than it does is kept whole beside the part, so that nothing is
//! lost between two ends of this dialect.

use crate::bedrock::media::{self, Source};
use crate::bedrock::members::{filled_text, items, text};
use crate::bedrock::{citations, reasoning_blocks};
use crate::conversation::{CacheControl, Issuer, MediaSource, Native, Part};
use crate::json::read::{self, Place};
use crate::wire::{Dialect, RequestError};
use serde_json::{Map, Value};

/// Under which names whole blocks are kept in `native`: this, then the kind of the block.
pub(in crate::bedrock) const KEPT: &str = "content.";

/// Reads the blocks of one body.
#[derive(Debug)]
pub(in crate::bedrock) struct BlockReader {
    /// Who issued signatures without a mark.
    home: Issuer,
    /// Whole blocks by [`KEPT`] and their kind, in order.
    kept: Map<String, Value>,
}

impl BlockReader {
    /// A reader for a body whose unmarked signatures `home` issued.
    pub(in crate::bedrock) fn new(home: Issuer) -> Self {
        Self { home, kept: Map::new() }
    }

    /// The blocks that say more than their parts.
    pub(in crate::bedrock) fn into_kept(self) -> Map<String, Value> {
        self.kept
    }

    /// Reads a list of blocks. A cache point becomes the mark of the part before it.
    ///
    /// # Errors
    /// [`RequestError`] names the first block that is none.
    pub(in crate::bedrock) fn read_blocks(
        &mut self,
        blocks: Vec<Value>,
        at: &Place<'_>,
    ) -> Result<Vec<Part>, RequestError> {
        let mut parts = Vec::with_capacity(blocks.len());
        for (index, block) in blocks.into_iter().enumerate() {
            let at = &at.item(index);
            let (kind, value) = union(block, at)?;
            let at = &at.member(&kind);
            if kind == "cachePoint" {
                let mark = read_cache_point(&value, at)?;
                if !mark_last(&mut parts, mark) {
                    parts.push(native(kind.clone(), value));
                }
                continue;
            }
            if says_more(&kind, &value) {
                self.keep(&kind, &value);
            }
            parts.push(self.read_part(kind.clone(), value, at)?);
        }
        Ok(parts)
    }

    fn keep(&mut self, kind: &str, value: &Value) {
        let mut block = Map::new();
        block.insert(kind.to_owned(), value.clone());
        let list = self.kept.entry(format!("{KEPT}{kind}")).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(Value::Object(block));
        }
    }

    /// Reads one block, told by its kind and its value.
    ///
    /// # Errors
    /// [`RequestError`] names what is missing or wrong.
    pub(in crate::bedrock) fn read_part(
        &mut self,
        kind: String,
        value: Value,
        at: &Place<'_>,
    ) -> Result<Part, RequestError> {
        match kind.as_str() {
            "text" => Ok(Part::text(read::string(value, at)?)),
            "image" => read_image(&value, at),
            "document" => read_document(value, at),
            "video" => read_video(value, at),
            "audio" => read_audio(&value, at),
            // What a tool of the service's own was asked and gave back is no business of the caller's tools.
            "toolUse" | "toolResult" if filled_text(&value, "type").is_some() => Ok(native(kind, value)),
            "toolUse" => read_tool_use(value, at),
            "toolResult" => self.read_tool_result(value, at),
            "guardContent" => read_guarded(value, at),
            "reasoningContent" => reasoning_blocks::read(&value, self.home)
                .ok_or_else(|| at.error("must have a reasoningText with a text, or a redactedContent")),
            "citationsContent" => read_cited(&value, at),
            "searchResult" => read_search_result(value, at),
            _ => Ok(native(kind, value)),
        }
    }

    fn read_tool_result(&mut self, value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
        const STATUSES: [&str; 2] = ["success", "error"];
        let mut members = read::object(value, at)?;
        let call_id = read::require_string(&mut members, "toolUseId", at)?;
        let place = at.member("content");
        let mut content = Vec::new();
        let blocks = read::list(read::require(&mut members, "content", at)?, &place)?;
        for (index, block) in blocks.into_iter().enumerate() {
            let at = &place.item(index);
            let (kind, value) = union(block, at)?;
            content.push(match kind.as_str() {
                "json" => Part::text(value.to_string()),
                _ => self.read_part(kind.clone(), value, &at.member(&kind))?,
            });
        }
        let is_error = match read::take_string(&mut members, "status", at)?.as_deref() {
            None | Some("success") => false,
            Some("error") => true,
            Some(other) => return Err(at.member("status").unknown_word(other, &STATUSES)),
        };
        Ok(Part::ToolResult { call_id, content, is_error, cache_control: None })
    }
}

/// The one member of a union: its name and its value. Members of `null` are absent.
pub(super) fn union(value: Value, at: &Place<'_>) -> Result<(String, Value), RequestError> {
    let mut members = read::object(value, at)?.into_iter().filter(|(_, value)| !value.is_null());
    match (members.next(), members.next()) {
        (Some(member), None) => Ok(member),
        _ => Err(at.error("must have exactly one member, which says what it is")),
    }
}

/// A block that only this dialect has a form for.
pub(in crate::bedrock) fn native(kind: String, value: Value) -> Part {
    let block = Map::from_iter([(kind, value)]);
    Part::Native(Native { dialect: Dialect::Bedrock, value: Value::Object(block) })
}

/// Whether a block says more than the part that is made of it.
fn says_more(kind: &str, value: &Value) -> bool {
    let has = |value: &Value, name: &str| value.get(name).is_some_and(|member| !member.is_null());
    let is_odd_source = |value: &Value| {
        // A place in S3 has its format and its owner beside it.
        value.get("source").is_some_and(|source| has(source, "s3Location")) || has(value, "error")
    };
    match kind {
        "guardContent" | "searchResult" => true,
        "image" | "audio" | "video" => is_odd_source(value),
        "document" => {
            let source = value.get("source").unwrap_or(&Value::Null);
            is_odd_source(value) || has(source, "content") || !has(value, "format")
        }
        "toolResult" => items(value, "content")
            .iter()
            .filter_map(Value::as_object)
            .flatten()
            .any(|(kind, value)| !value.is_null() && (kind == "json" || says_more(kind, value))),
        _ => false,
    }
}

/// Marks the last part for the prompt cache; `false` when there is none, or it takes no mark.
fn mark_last(parts: &mut [Part], mark: CacheControl) -> bool {
    let place = match parts.last_mut() {
        Some(
            Part::Text { cache_control, .. }
            | Part::Image { cache_control, .. }
            | Part::File { cache_control, .. }
            | Part::ToolResult { cache_control, .. },
        ) => cache_control,
        _ => return false,
    };
    if place.is_some() {
        return false;
    }
    *place = Some(mark);
    true
}

/// Reads the value of a `cachePoint`.
pub(super) fn read_cache_point(value: &Value, at: &Place<'_>) -> Result<CacheControl, RequestError> {
    let mut members = read::object(value.clone(), at)?;
    let kind = read::require_string(&mut members, "type", at)?;
    if kind != "default" {
        return Err(at.member("type").unknown_word(&kind, &["default"]));
    }
    let ttl = read::take_string(&mut members, "ttl", at)?;
    if let Some(other) = ttl.as_deref().filter(|ttl| !["5m", "1h"].contains(ttl)) {
        return Err(at.member("ttl").unknown_word(other, &["5m", "1h"]));
    }
    Ok(CacheControl { ttl })
}

fn source_at(value: &Value, at: &Place<'_>) -> Result<Source, RequestError> {
    let place = at.member("source");
    let source = value.get("source").filter(|source| !source.is_null()).ok_or_else(|| place.missing())?;
    media::read_source(source)
        .ok_or_else(|| place.error("must have exactly one of 'bytes', 's3Location', 'text', 'content'"))
}

fn format_at<'v>(value: &'v Value, at: &Place<'_>) -> Result<&'v str, RequestError> {
    text(value, "format").ok_or_else(|| at.member("format").missing())
}

fn read_image(value: &Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let format = format_at(value, at)?;
    let media_type = media::image_type(format)
        .ok_or_else(|| at.member("format").unknown_word(format, &["png", "jpeg", "gif", "webp"]))?;
    let source = match source_at(value, at)? {
        Source::Bytes(data) => MediaSource::Base64 { media_type: media_type.to_owned(), data },
        Source::S3 { uri, .. } => MediaSource::Url(uri),
        Source::Text(_) | Source::Blocks(_) => {
            return Err(at.member("source").error("must have 'bytes' or 's3Location'"));
        }
    };
    Ok(Part::Image { source, detail: None, cache_control: None })
}

fn read_audio(value: &Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let format = format_at(value, at)?;
    let source = match source_at(value, at)? {
        Source::Bytes(data) => MediaSource::Base64 { media_type: format!("audio/{format}"), data },
        Source::S3 { uri, .. } => MediaSource::Url(uri),
        Source::Text(_) | Source::Blocks(_) => {
            return Err(at.member("source").error("must have 'bytes' or 's3Location'"));
        }
    };
    Ok(Part::Audio { source, format: format.to_owned(), transcript: None })
}

/// A video is a file to other wires; in S3 it is one that they cannot have.
fn read_video(value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let format = format_at(&value, at)?;
    let media_type =
        media::video_type(format).ok_or_else(|| at.member("format").error("is no format of videos"))?;
    match source_at(&value, at)? {
        Source::Bytes(data) => Ok(Part::File {
            source: MediaSource::Base64 { media_type: media_type.to_owned(), data },
            filename: None,
            context: None,
            citations: false,
            cache_control: None,
        }),
        Source::S3 { .. } => Ok(native("video".to_owned(), value)),
        Source::Text(_) | Source::Blocks(_) => {
            Err(at.member("source").error("must have 'bytes' or 's3Location'"))
        }
    }
}

fn read_document(value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let source = source_at(&value, at)?;
    let mut members = read::object(value, at)?;
    let name = read::filled_string(read::require(&mut members, "name", at)?, &at.member("name"))?;
    let format = read::take_string(&mut members, "format", at)?;
    let media_type = match format.as_deref() {
        None => None,
        Some(format) => Some(media::document_type(format).ok_or_else(|| {
            at.member("format").error("must be one of pdf, csv, doc, docx, xls, xlsx, html, txt, md")
        })?),
    };
    let source = match source {
        Source::Bytes(data) => {
            let media_type = media_type.unwrap_or("text/plain").to_owned();
            MediaSource::Base64 { media_type, data }
        }
        Source::S3 { uri, .. } => MediaSource::Url(uri),
        // A text in a format of its own keeps it as bytes would.
        Source::Text(words) => match media_type.filter(|kind| *kind != "text/plain") {
            Some(kind) => {
                MediaSource::Base64 { media_type: kind.to_owned(), data: crate::base64::encode(words) }
            }
            None => MediaSource::Text(words),
        },
        Source::Blocks(texts) => MediaSource::Text(texts.join("\n")),
    };
    Ok(Part::File {
        source,
        filename: Some(name),
        context: read::take_string(&mut members, "context", at)?,
        citations: read_switch(&mut members, at)?,
        cache_control: None,
    })
}

/// Whether the answer is to cite a document.
fn read_switch(members: &mut Map<String, Value>, at: &Place<'_>) -> Result<bool, RequestError> {
    let Some(value) = read::take(members, "citations") else { return Ok(false) };
    let place = at.member("citations");
    let mut members = read::object(value, &place)?;
    let enabled = read::require(&mut members, "enabled", &place)?;
    read::boolean(&enabled, &place.member("enabled"))
}

/// A found text is a document to every other wire: its title, its source beside it, its words.
fn read_search_result(value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let mut members = read::object(value, at)?;
    let place = at.member("content");
    let blocks = read::list(read::require(&mut members, "content", at)?, &place)?.into_iter().enumerate();
    let texts = blocks.map(|(index, block)| {
        let at = &place.item(index);
        read::require_string(&mut read::object(block, at)?, "text", at)
    });
    let texts: Vec<String> = texts.collect::<Result<_, RequestError>>()?;
    Ok(Part::File {
        source: MediaSource::Text(texts.join("\n")),
        filename: Some(read::require_string(&mut members, "title", at)?),
        context: Some(read::require_string(&mut members, "source", at)?),
        citations: read_switch(&mut members, at)?,
        cache_control: None,
    })
}

/// What a guardrail is to judge is part of the prompt all the same.
fn read_guarded(value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let (kind, value) = union(value, at)?;
    let at = &at.member(&kind);
    match kind.as_str() {
        "text" => Ok(Part::text(read::require_string(&mut read::object(value, at)?, "text", at)?)),
        "image" => read_image(&value, at),
        other => Err(at.unknown_word(other, &["text", "image"])),
    }
}

fn read_tool_use(value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let mut members = read::object(value, at)?;
    Ok(Part::ToolCall {
        id: read::require_string(&mut members, "toolUseId", at)?,
        name: read::filled_string(read::require(&mut members, "name", at)?, &at.member("name"))?,
        arguments: read::require(&mut members, "input", at)?.to_string(),
        is_custom: false,
        signature: None,
    })
}

fn read_cited(value: &Value, at: &Place<'_>) -> Result<Part, RequestError> {
    if !value.is_object() {
        return Err(at.error("must be an object"));
    }
    let text: String = items(value, "content").iter().filter_map(|content| text(content, "text")).collect();
    let citations = items(value, "citations").iter().map(citations::read).collect();
    Ok(Part::Text { text, cache_control: None, citations })
}
