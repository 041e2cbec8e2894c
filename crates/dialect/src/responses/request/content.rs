//! The typed parts of an item's content: of messages, and of what tools put out.
//!
//! Owns which part may stand where. **Invariant:** the parts come out in the order in which they stood.

use crate::conversation::{CacheControl, MediaSource, Part, Role};
use crate::json::read::{self, Place};
use crate::openai::{audio_media_type, read_source};
use crate::responses::annotation;
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// The part types that a role may send. OpenAI's types let an easy message of the assistant have input parts too.
fn allowed_types(role: Role) -> &'static [&'static str] {
    match role {
        Role::System | Role::Developer | Role::User => {
            &["input_text", "input_image", "input_file", "input_audio"]
        }
        Role::Assistant => &["output_text", "refusal", "input_text"],
        Role::Tool => &["input_text", "input_image", "input_file"],
    }
}

/// Reads content: a string or a list of parts.
pub(super) fn read_content(role: Role, value: Value, at: &Place<'_>) -> Result<Vec<Part>, RequestError> {
    match value {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(items) => {
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
        "output_text" => {
            let annotations = match read::take(&mut part, "annotations") {
                Some(value) => read::list(value, &at.member("annotations"))?,
                None => Vec::new(),
            };
            let citations = annotations.iter().filter_map(|value| annotation::read(value, 0));
            let citations = citations.collect();
            let text = read::require_string(&mut part, "text", at)?;
            Ok(Part::Text { text, cache_control: None, citations })
        }
        "refusal" => Ok(Part::Refusal(read::require_string(&mut part, "refusal", at)?)),
        "input_image" => read_image(&mut part, at),
        "input_file" => read_file(&mut part, at),
        "input_audio" => read_audio(&mut part, at),
        _ => Ok(Part::Text {
            text: read::require_string(&mut part, "text", at)?,
            cache_control: read_mark(&mut part, at)?,
            citations: Vec::new(),
        }),
    }
}

/// OpenAI's mark for the prompt cache. Its two times are the short and the long one of the conversation model.
fn read_mark(part: &mut Map<String, Value>, at: &Place<'_>) -> Result<Option<CacheControl>, RequestError> {
    let Some(value) = read::take(part, "prompt_cache_breakpoint") else { return Ok(None) };
    let place = at.member("prompt_cache_breakpoint");
    let ttl = read::take_string(&mut read::object(value, &place)?, "ttl", &place)?;
    Ok(Some(CacheControl { ttl: ttl.filter(|ttl| ttl == "12h").map(|_| "1h".to_owned()) }))
}

fn read_image(part: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    let url = read::take_string(part, "image_url", at)?;
    let id = read::take_string(part, "file_id", at)?;
    let source = match (url, id) {
        (Some(url), None) => read_source(url, &at.member("image_url"))?,
        (None, Some(id)) => MediaSource::FileId(id),
        _ => return Err(at.error("must have either 'image_url' or 'file_id'")),
    };
    let detail = read::take_string(part, "detail", at)?;
    Ok(Part::Image { source, detail, cache_control: read_mark(part, at)? })
}

fn read_file(part: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    let filename = read::take_string(part, "filename", at)?;
    let data = read::take_string(part, "file_data", at)?;
    let id = read::take_string(part, "file_id", at)?;
    let url = read::take_string(part, "file_url", at)?;
    let source = match (data, id, url) {
        (Some(data), None, None) => read_source(data, &at.member("file_data"))?,
        (None, Some(id), None) => MediaSource::FileId(id),
        (None, None, Some(url)) => read_source(url, &at.member("file_url"))?,
        _ => return Err(at.error("must have one of 'file_data', 'file_id' and 'file_url'")),
    };
    let cache_control = read_mark(part, at)?;
    Ok(Part::File { source, filename, context: None, citations: false, cache_control })
}

fn read_audio(part: &mut Map<String, Value>, at: &Place<'_>) -> Result<Part, RequestError> {
    let place = at.member("input_audio");
    let mut audio = read::object(read::require(part, "input_audio", at)?, &place)?;
    let data = read::filled_string(read::require(&mut audio, "data", &place)?, &place.member("data"))?;
    let format = read::filled_string(read::require(&mut audio, "format", &place)?, &place.member("format"))?;
    let media_type = audio_media_type(&format);
    Ok(Part::Audio { source: MediaSource::Base64 { media_type, data }, format, transcript: None })
}
