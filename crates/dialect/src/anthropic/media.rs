//! Pictures and documents as blocks. Owns which media types and sources the wire takes; never fetches anything.
//!
//! Sources of the lists: `Base64ImageSourceParam`, `Base64PDFSourceParam`, `PlainTextSourceParam` and
//! `FileDocumentSourceParam` of Anthropic's published request types.

use super::blocks::Place;
use super::members::object;
use crate::base64;
use crate::conversation::MediaSource;
use crate::wire::EncodeError;
use serde_json::{Map, Value};

/// Types of a picture sent as base64.
const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// An `image` block.
pub(super) fn image(source: &MediaSource, place: Place) -> Result<Map<String, Value>, EncodeError> {
    let encoded = match source {
        MediaSource::Url(url) => url_source(url, place, "image_url")?,
        MediaSource::FileId(id) => file_source(id),
        MediaSource::Text(_) => return Err(place.invalid("image_url", "a text is no picture")),
        MediaSource::Base64 { media_type, data } => {
            let media_type = essence(media_type);
            // Clients write `image/jpg`, which is no registered type.
            let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type.as_str() };
            if !IMAGE_TYPES.contains(&media_type) {
                let message = format!("must be one of {}", IMAGE_TYPES.join(", "));
                return Err(place.invalid("image_url", message));
            }
            base64_source(media_type, data)
        }
    };
    Ok(object([("type", "image".into()), ("source", Value::Object(encoded))]))
}

/// A `document` block, or an `image` block for a file that is a picture.
pub(super) fn document(
    source: &MediaSource,
    title: Option<&str>,
    place: Place,
) -> Result<Map<String, Value>, EncodeError> {
    let encoded = match source {
        MediaSource::Url(url) => url_source(url, place, "file")?,
        MediaSource::FileId(id) => file_source(id),
        MediaSource::Text(text) => plain_source(text),
        MediaSource::Base64 { media_type, data } => match essence(media_type).as_str() {
            "application/pdf" => base64_source("application/pdf", data),
            kind if kind.starts_with("image/") => return image(source, place),
            kind if kind.starts_with("text/") || kind == "application/json" => text_source(data, place)?,
            _ => {
                return Err(place.invalid("file", "must be application/pdf, a text type or a picture"));
            }
        },
    };
    let mut block = object([("type", "document".into()), ("source", Value::Object(encoded))]);
    if let Some(title) = title.filter(|title| !title.is_empty()) {
        block.insert("title".to_owned(), title.into());
    }
    Ok(block)
}

/// The media type without parameters, in lower case.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn base64_source(media_type: &str, data: &str) -> Map<String, Value> {
    object([("type", "base64".into()), ("media_type", media_type.into()), ("data", data.into())])
}

/// An address that the provider fetches; it takes https only.
fn url_source(url: &str, place: Place, member: &str) -> Result<Map<String, Value>, EncodeError> {
    let is_https = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    if !is_https {
        return Err(place.invalid(member, "must be an https address or a base64 data URL"));
    }
    Ok(object([("type", "url".into()), ("url", url.into())]))
}

fn file_source(id: &str) -> Map<String, Value> {
    object([("type", "file".into()), ("file_id", id.into())])
}

/// A text document goes out as text, so its base64 is undone here.
fn text_source(data: &str, place: Place) -> Result<Map<String, Value>, EncodeError> {
    let bytes = base64::decode(data).ok_or_else(|| place.invalid("file", "is not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| place.invalid("file", "is a text that is not UTF-8"))?;
    Ok(plain_source(&text))
}

fn plain_source(text: &str) -> Map<String, Value> {
    object([("type", "text".into()), ("media_type", "text/plain".into()), ("data", text.into())])
}
