//! Single parts of a content, as requests and answers both write them.
//!
//! Owns the shape of texts, thoughts, calls, results and media. Leaves to its callers what is noted as lost and which
//! signatures go out.

use super::candidate::audio_format;
use super::host::Host;
use super::media::{guess_media_type, media_part};
use crate::conversation::MediaSource;
use crate::wire::EncodeError;
use serde_json::{Map, Value, json};

/// A thought, with its signature where there is one.
pub(super) fn thought(text: &str, signature: Option<&str>) -> Value {
    let mut written = Map::new();
    written.insert("text".to_owned(), json!(text));
    written.insert("thought".to_owned(), json!(true));
    if let Some(signature) = signature {
        written.insert("thoughtSignature".to_owned(), json!(signature));
    }
    Value::Object(written)
}

/// Puts a signature of Google's on the part before it, where that is a text, a picture or the like without one. Else it
/// gets an empty text of its own: so Google sends it at the end of a stream, and so it wants it back.
pub(super) fn sign_last(parts: &mut Vec<Value>, signature: &str) {
    if let Some(Value::Object(last)) = parts.last_mut()
        && !["thought", "thoughtSignature", "functionCall"].iter().any(|name| last.contains_key(*name))
    {
        last.insert("thoughtSignature".to_owned(), json!(signature));
        return;
    }
    parts.push(json!({ "text": "", "thoughtSignature": signature }));
}

/// A `functionCall`.
pub(super) fn call(id: &str, name: &str, args: Value) -> Map<String, Value> {
    let mut call = Map::new();
    if !id.is_empty() {
        call.insert("id".to_owned(), json!(id));
    }
    call.insert("name".to_owned(), json!(name));
    call.insert("args".to_owned(), args);
    call
}

/// The arguments of a call as the object that Google takes: nothing at all and null are none. `None` where they are
/// anything else.
pub(super) fn arguments(arguments: &str) -> Option<Value> {
    if arguments.trim().is_empty() {
        return Some(json!({}));
    }
    match serde_json::from_str(arguments) {
        Ok(value @ Value::Object(_)) => Some(value),
        Ok(Value::Null) => Some(json!({})),
        _ => None,
    }
}

/// Google takes an object: one passes as it is, anything else goes under `result`, a failure under `error`.
pub(super) fn result_object(text: &str, is_error: bool) -> Value {
    let value = match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[') => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    };
    match value {
        value if is_error => json!({ "error": value }),
        Value::Object(_) => value,
        value => json!({ "result": value }),
    }
}

/// A picture. Bytes need a media type; of an address Google can find it out by itself.
///
/// # Errors
/// As [`media_part`].
pub(super) fn image(host: Host, source: &MediaSource, at: &str) -> Result<Value, EncodeError> {
    let fallback = matches!(source, MediaSource::Base64 { .. }).then_some("image/jpeg");
    media_part(host, source, fallback, at)
}

/// A sound. Google names the types of sounds by their formats (`audio/mp3`, where the register says `audio/mpeg`), and
/// raw samples by their rate.
///
/// # Errors
/// As [`media_part`].
pub(super) fn audio(host: Host, source: &MediaSource, format: &str, at: &str) -> Result<Value, EncodeError> {
    let named = match format {
        "" => None,
        // OpenAI's raw samples: 16 bits, 24,000 a second.
        "pcm16" => Some("audio/L16;rate=24000".to_owned()),
        _ => Some(format!("audio/{format}")),
    };
    match (source, &named) {
        // What says the same with more detail stays.
        (MediaSource::Base64 { media_type, .. }, Some(_))
            if media_type.contains(';') && audio_format(media_type) == format =>
        {
            media_part(host, source, None, at)
        }
        (MediaSource::Base64 { data, .. }, Some(named)) => {
            Ok(json!({ "inlineData": { "mimeType": named, "data": data } }))
        }
        _ => media_part(host, source, named.as_deref(), at),
    }
}

/// A document, with its name where `is_named`.
///
/// # Errors
/// As [`media_part`].
pub(super) fn file(
    host: Host,
    source: &MediaSource,
    filename: Option<&str>,
    is_named: bool,
    at: &str,
) -> Result<Value, EncodeError> {
    let mut part = media_part(host, source, filename.and_then(guess_media_type), at)?;
    if let Some(filename) = filename.filter(|_| is_named) {
        for name in ["inlineData", "fileData"] {
            if let Some(Value::Object(held)) = part.get_mut(name) {
                held.insert("displayName".to_owned(), json!(filename));
            }
        }
    }
    Ok(part)
}

/// Whether a part in Google's own words means something at `host`.
pub(super) fn is_taken(host: Host, part: &Value) -> bool {
    part.as_object().is_some_and(|members| members.keys().all(|name| host.takes(name)))
}

/// What a part of another dialect is called among what was lost: its type, else what it holds.
pub(super) fn native_name(value: &Value) -> String {
    let kind = value.get("type").and_then(Value::as_str);
    let first = || value.as_object().and_then(|members| members.keys().next()).map(String::as_str);
    kind.or_else(first).unwrap_or("content").to_owned()
}

/// A request that is wrong at a place.
pub(super) fn invalid(param: impl Into<String>, message: &str) -> EncodeError {
    EncodeError::Invalid { param: param.into(), message: message.to_owned() }
}
