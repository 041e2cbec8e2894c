//! The typed parts of a message's content.
//!
//! Owns which part may stand in which role's message and where a part's bytes are. Leaves decoding of base64 and
//! fetching of addresses to the provider: the gateway does neither.

use crate::conversation::{CacheControl, Issuer, MediaSource, Part, Role, Signature};
use crate::openai::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// The part types that a role's message may hold. OpenAI lets only the user send media; LiteLLM also lets a tool
/// answer with pictures and files, and the assistant's reasoning come back as parts.
fn allowed_types(role: Role) -> &'static [&'static str] {
    match role {
        Role::System | Role::Developer => &["text"],
        Role::User => &["text", "image_url", "input_audio", "file"],
        Role::Assistant => &["text", "refusal", "thinking", "redacted_thinking"],
        Role::Tool => &["text", "image_url", "file"],
    }
}

/// Reads `content`: a string or a list of parts.
pub(super) fn read_content(role: Role, value: Value, at: &Place<'_>) -> Result<Vec<Part>, RequestError> {
    match value {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(items) => {
            if items.is_empty() && matches!(role, Role::System | Role::Developer | Role::User) {
                return Err(at.error("must not be an empty list"));
            }
            let items = items.into_iter().enumerate();
            items.map(|(index, item)| read_part(role, item, &at.item(index))).collect()
        }
        other => Err(read::neither_string_nor_list(&other, "parts", at)),
    }
}

fn read_part(role: Role, value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let mut part = read::object(value, at)?;
    let kind = read::require_string(&mut part, "type", at)?;
    let allowed = allowed_types(role);
    if !allowed.contains(&kind.as_str()) {
        return Err(at.member("type").unknown_word(&kind, allowed));
    }
    match kind.as_str() {
        "image_url" => read_image(&mut part, at),
        "input_audio" => read_audio(&mut part, at),
        "file" => read_file(&mut part, at),
        "refusal" => Ok(Part::Refusal(read::require_string(&mut part, "refusal", at)?)),
        "thinking" | "redacted_thinking" => read_thinking(&kind, &mut part, at),
        _ => Ok(Part::Text {
            text: read::require_string(&mut part, "text", at)?,
            cache_control: take_cache_control(&mut part, at)?,
            citations: Vec::new(),
        }),
    }
}

/// Reads one entry of LiteLLM's `thinking_blocks` whose type has been read, or a part of the same form.
fn read_thinking(kind: &str, block: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    if kind == "redacted_thinking" {
        let data = read::require_string(block, "data", at)?;
        return Ok(Part::RedactedReasoning { data: Signature::read(&data, Issuer::Anthropic) });
    }
    Ok(Part::Reasoning {
        text: read::require_string(block, "thinking", at)?,
        // LiteLLM writes an empty signature where the provider gave none.
        signature: read::take_string(block, "signature", at)?
            .filter(|signature| !signature.is_empty())
            .map(|signature| Signature::read(&signature, Issuer::Anthropic)),
    })
}

/// Reads one entry of LiteLLM's `thinking_blocks`.
pub(super) fn read_thinking_block(value: Value, at: &Place<'_>) -> Result<Part, RequestError> {
    let mut block = read::object(value, at)?;
    let kind = read::require_string(&mut block, "type", at)?;
    match kind.as_str() {
        "thinking" | "redacted_thinking" => read_thinking(&kind, &mut block, at),
        _ => Err(at.member("type").unknown_word(&kind, &["thinking", "redacted_thinking"])),
    }
}

fn read_image(part: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    let cache_control = take_cache_control(part, at)?;
    let place = at.member("image_url");
    let (url, detail) = match read::require(part, "image_url", at)? {
        // LiteLLM takes the address without its object too.
        Value::String(url) => (read_source(url, &place)?, None),
        value => {
            let mut image = read::object(value, &place)?;
            let url = read::require_string(&mut image, "url", &place)?;
            (read_source(url, &place.member("url"))?, read::take_string(&mut image, "detail", &place)?)
        }
    };
    Ok(Part::Image { source: url, detail, cache_control })
}

fn read_audio(part: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    let place = at.member("input_audio");
    let mut audio = read::object(read::require(part, "input_audio", at)?, &place)?;
    let data = read::filled_string(read::require(&mut audio, "data", &place)?, &place.member("data"))?;
    let format = read::filled_string(read::require(&mut audio, "format", &place)?, &place.member("format"))?;
    let media_type = audio_media_type(&format);
    Ok(Part::Audio { source: MediaSource::Base64 { media_type, data }, format, transcript: None })
}

/// The media type of OpenAI's `format` word: `mp3` is registered as `audio/mpeg` (RFC 3003), the others go by name.
pub(crate) fn audio_media_type(format: &str) -> String {
    match format {
        "mp3" => "audio/mpeg".to_owned(),
        other => format!("audio/{other}"),
    }
}

fn read_file(part: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    let cache_control = take_cache_control(part, at)?;
    let place = at.member("file");
    let mut file = read::object(read::require(part, "file", at)?, &place)?;
    let filename = read::take_string(&mut file, "filename", &place)?;
    // LiteLLM's `format` is the media type of data that does not say its own.
    let format = read::take_string(&mut file, "format", &place)?;
    let data = read::take_string(&mut file, "file_data", &place)?;
    let id = read::take_string(&mut file, "file_id", &place)?;
    let source = match (data, id) {
        (Some(data), None) => read_file_data(data, format, &place.member("file_data"))?,
        // LiteLLM takes an address in the place of an id.
        (None, Some(id)) if is_address(&id) => MediaSource::Url(id),
        (None, Some(id)) => MediaSource::FileId(id),
        (Some(_), Some(_)) => return Err(place.error("must have either 'file_data' or 'file_id', not both")),
        (None, None) => return Err(place.error("must have either 'file_data' or 'file_id'")),
    };
    Ok(Part::File { source, filename, context: None, citations: false, cache_control })
}

fn read_file_data(data: String, format: Option<String>, at: &Place<'_>) -> Result<MediaSource, RequestError> {
    if data.starts_with("data:") || is_address(&data) {
        return read_source(data, at);
    }
    match format {
        Some(media_type) if !data.is_empty() => Ok(MediaSource::Base64 { media_type, data }),
        _ => Err(at.error("must be a data: URL, such as 'data:application/pdf;base64,...'")),
    }
}

/// Reads an address or a `data:` URL (RFC 2397; only its base64 form).
pub(crate) fn read_source(url: String, at: &Place<'_>) -> Result<MediaSource, RequestError> {
    let Some(rest) = url.strip_prefix("data:") else {
        if is_address(&url) {
            return Ok(MediaSource::Url(url));
        }
        return Err(at.error("must be an http(s) address or a data: URL with base64 content"));
    };
    let (head, data) =
        rest.split_once(',').ok_or_else(|| at.error("is a data: URL without a comma before its content"))?;
    let attributes = head
        .strip_suffix(";base64")
        .ok_or_else(|| at.error("is a data: URL whose content is not marked as base64"))?;
    let media_type = attributes.split(';').next().unwrap_or_default();
    if media_type.is_empty() {
        return Err(at.error("is a data: URL without a media type, such as 'image/png'"));
    }
    if data.is_empty() {
        return Err(at.error("is a data: URL without content"));
    }
    Ok(MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
}

/// Addresses that some provider fetches: the web, and Google's storage.
pub(crate) fn is_address(text: &str) -> bool {
    ["https://", "http://", "gs://"].iter().any(|scheme| text.starts_with(scheme))
}

/// Takes Anthropic's `cache_control`, which LiteLLM lets pass on parts, messages and tools.
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
    Ok(Some(CacheControl { ttl: read::take_string(&mut mark, "ttl", &place)? }))
}
