//! Pictures, sounds and documents as Gemini's `inlineData` and `fileData`.
//!
//! Owns the guess of a media type from a name. Leaves fetching to the provider: an address is passed on, never read.

use super::host::Host;
use crate::base64;
use crate::conversation::MediaSource;
use crate::wire::EncodeError;
use serde_json::{Map, Value, json};

/// Where files uploaded to Google live; a bare `files/...` name is one of them.
pub(super) const FILES_BASE: &str = "https://generativelanguage.googleapis.com/v1beta/";

/// Media types by extension, of the kinds that Google's guides list as input.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("bmp", "image/bmp"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("xml", "text/xml"),
    ("rtf", "text/rtf"),
    ("json", "application/json"),
    ("js", "text/javascript"),
    ("py", "text/x-python"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mp3"),
    ("aiff", "audio/aiff"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("m4a", "audio/m4a"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("mov", "video/mov"),
    ("avi", "video/avi"),
    ("webm", "video/webm"),
    ("wmv", "video/wmv"),
    ("3gp", "video/3gpp"),
];

/// The media type that the extension of a URL's path or of a file's name stands for.
pub(super) fn guess_media_type(name: &str) -> Option<&'static str> {
    let path = name.split(['?', '#']).next().unwrap_or(name);
    let file = path.rsplit('/').next().unwrap_or(path);
    let (_, extension) = file.rsplit_once('.')?;
    let row = MEDIA_TYPES.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known));
    row.map(|(_, media_type)| *media_type)
}

/// A part that holds or points to `source`. `fallback` is the media type where the source itself tells none; `at` is
/// the part's place in the request.
///
/// # Errors
/// [`EncodeError::Invalid`] for a file id that is no file of Google's, or one of AI Studio's at Vertex.
pub(super) fn media_part(
    host: Host,
    source: &MediaSource,
    fallback: Option<&str>,
    at: &str,
) -> Result<Value, EncodeError> {
    if let (Host::Vertex, MediaSource::FileId(id)) = (host, source)
        && (id.starts_with("files/") || id.starts_with(FILES_BASE))
    {
        return Err(EncodeError::Invalid {
            param: at.to_owned(),
            message: "Vertex does not know files of AI Studio; name one by its gs:// address".to_owned(),
        });
    }
    match source {
        MediaSource::Base64 { media_type, data } => Ok(inline_part(media_type, data, fallback)),
        MediaSource::Url(url) => Ok(file_part(url, guess_media_type(url).or(fallback))),
        MediaSource::Text(text) => Ok(text_document(text)),
        MediaSource::FileId(id) if id.starts_with("files/") => {
            Ok(file_part(&format!("{FILES_BASE}{id}"), fallback))
        }
        MediaSource::FileId(id) if id.contains("://") => Ok(file_part(id, guess_media_type(id).or(fallback))),
        MediaSource::FileId(_) => Err(EncodeError::Invalid {
            param: at.to_owned(),
            message: "Gemini knows files by their URI or as 'files/...'".to_owned(),
        }),
    }
}

/// A document's plain text, as the document that it is.
pub(super) fn text_document(text: &str) -> Value {
    json!({ "inlineData": { "mimeType": "text/plain", "data": base64::encode(text) } })
}

pub(super) fn inline_part(media_type: &str, data: &str, fallback: Option<&str>) -> Value {
    let media_type =
        if media_type.is_empty() { fallback.unwrap_or("application/octet-stream") } else { media_type };
    json!({ "inlineData": { "mimeType": media_type, "data": data } })
}

pub(super) fn file_part(uri: &str, media_type: Option<&str>) -> Value {
    let mut file = Map::new();
    if let Some(media_type) = media_type {
        file.insert("mimeType".to_owned(), json!(media_type));
    }
    file.insert("fileUri".to_owned(), json!(uri));
    json!({ "fileData": file })
}

/// Whether text is base64, strictly: one alphabet throughout, padding right or absent, no stray bits at the end.
/// Google refuses a whole request over one signature that is not.
pub(super) fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_padded_right = padding == 0 || (padding <= 2 && text.len().is_multiple_of(4));
    let is_mixed = digits.contains(['+', '/']) && digits.contains(['-', '_']);
    if digits.is_empty()
        || !is_padded_right
        || is_mixed
        || !digits.bytes().all(|byte| digit_value(byte).is_some())
    {
        return false;
    }
    let last = digits.bytes().next_back().and_then(digit_value).unwrap_or_default();
    match digits.len() % 4 {
        0 => true,
        2 => last & 0x0f == 0,
        3 => last & 0x03 == 0,
        _ => false,
    }
}

/// The six bits of a base64 digit of either alphabet (RFC 4648, tables 1 and 2).
fn digit_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
