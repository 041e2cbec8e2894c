//! Pictures, sounds, videos and documents as blocks, both ways.
//!
//! Owns the words for formats (`ImageFormat`, `DocumentFormat`, `VideoFormat`, `AudioFormat` of AWS's service model) and
//! what a document may be called. Never fetches anything: bytes, or a place in S3 that AWS itself reads.

use super::members::{object, text};
use crate::base64;
use crate::conversation::{MediaSource, Part};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// What places in S3 begin with.
const S3: &str = "s3://";

/// Longest name of a document, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Media types and formats of pictures.
const IMAGES: [(&str, &str); 5] = [
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    // No registered type, but clients write it.
    ("image/jpg", "jpeg"),
];

/// Media types and formats of documents.
const DOCUMENTS: [(&str, &str); 9] = [
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("application/msword", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/markdown", "md"),
];

/// Media types and formats of videos. Of two formats of one type the first is written.
const VIDEOS: [(&str, &str); 9] = [
    ("video/x-matroska", "mkv"),
    ("video/quicktime", "mov"),
    ("video/mp4", "mp4"),
    ("video/webm", "webm"),
    ("video/x-flv", "flv"),
    ("video/mpeg", "mpeg"),
    ("video/mpeg", "mpg"),
    ("video/x-ms-wmv", "wmv"),
    ("video/3gpp", "three_gp"),
];

fn type_of(table: &'static [(&str, &str)], format: &str) -> Option<&'static str> {
    table.iter().find(|(_, known)| *known == format).map(|(media_type, _)| *media_type)
}

fn format_of(table: &'static [(&str, &str)], media_type: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == media_type).map(|(_, format)| *format)
}

/// The media type without parameters, in lower case.
pub(super) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A source that was read.
#[derive(Debug, PartialEq)]
pub(super) enum Source {
    /// Base64.
    Bytes(String),
    /// A place in S3, and whether it names the bucket's owner.
    S3 { uri: String, has_owner: bool },
    /// A document's text.
    Text(String),
    /// A document's texts, one a block.
    Blocks(Vec<String>),
}

/// Reads the value of a `source`; `None` when it is none.
pub(super) fn read_source(source: &Value) -> Option<Source> {
    if let Some(bytes) = text(source, "bytes") {
        return Some(Source::Bytes(bytes.to_owned()));
    }
    if let Some(words) = text(source, "text") {
        return Some(Source::Text(words.to_owned()));
    }
    if let Some(location) = source.get("s3Location") {
        let has_owner = location.get("bucketOwner").is_some_and(|owner| !owner.is_null());
        return Some(Source::S3 { uri: text(location, "uri")?.to_owned(), has_owner });
    }
    let blocks = source.get("content")?.as_array()?.iter();
    Some(Source::Blocks(
        blocks.map(|block| text(block, "text").map(str::to_owned)).collect::<Option<Vec<_>>>()?,
    ))
}

/// The media type of a picture's format.
pub(super) fn image_type(format: &str) -> Option<&'static str> {
    type_of(&IMAGES, format)
}

/// The media type of a document's format.
pub(super) fn document_type(format: &str) -> Option<&'static str> {
    type_of(&DOCUMENTS, format)
}

/// The media type of a video's format.
pub(super) fn video_type(format: &str) -> Option<&'static str> {
    type_of(&VIDEOS, format)
}

/// Base64 as the service takes it: padded, without line breaks.
///
/// # Errors
/// What is wrong with it.
pub(super) fn plain_base64(data: &str) -> Result<Cow<'_, str>, &'static str> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_plain = data.len().is_multiple_of(4) && data.trim_end_matches('=').bytes().all(is_letter);
    let data = match is_plain {
        true => Cow::Borrowed(data),
        false => Cow::Owned(base64::encode(base64::decode(data).ok_or("is not base64")?)),
    };
    if data.is_empty() { Err("has no bytes") } else { Ok(data) }
}

fn bytes_source(data: &str) -> Result<Value, &'static str> {
    Ok(object([("bytes", plain_base64(data)?.as_ref().into())]))
}

fn s3_source(uri: &str) -> Value {
    object([("s3Location", object([("uri", uri.into())]))])
}

/// What a medium cannot be.
const BYTES_ONLY: &str =
    "must be bytes (a base64 data URL) or a place in S3: this provider fetches no addresses";

/// The value of an `image` block.
///
/// # Errors
/// What is wrong with the picture.
pub(super) fn image(source: &MediaSource) -> Result<Value, String> {
    let (format, source) = match source {
        MediaSource::Base64 { media_type, data } => {
            let format = format_of(&IMAGES, &essence(media_type))
                .ok_or("must be one of image/png, image/jpeg, image/gif, image/webp")?;
            (format, bytes_source(data)?)
        }
        MediaSource::Url(uri) if uri.starts_with(S3) => {
            let format = extension(uri).and_then(|end| format_of(&IMAGES, &format!("image/{end}")));
            (format.ok_or("a picture in S3 must end in .png, .jpeg, .jpg, .gif or .webp")?, s3_source(uri))
        }
        MediaSource::Url(_) | MediaSource::FileId(_) | MediaSource::Text(_) => {
            return Err(BYTES_ONLY.to_owned());
        }
    };
    Ok(object([("format", format.into()), ("source", source)]))
}

/// The value of an `audio` block. `format` is OpenAI's word, which is the service's too.
///
/// # Errors
/// What is wrong with the sound.
pub(super) fn audio(source: &MediaSource, format: &str) -> Result<Value, String> {
    let source = match source {
        MediaSource::Base64 { data, .. } => bytes_source(data)?,
        MediaSource::Url(uri) if uri.starts_with(S3) => s3_source(uri),
        _ => return Err(BYTES_ONLY.to_owned()),
    };
    Ok(object([("format", format.into()), ("source", source)]))
}

/// What a file is written as: the kind of the block, and its value.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn file(part: &Part, names: &mut DocumentNames) -> Result<(&'static str, Value), String> {
    let Part::File { source, filename, context, citations, .. } = part else {
        return Err("is no file".to_owned());
    };
    let (format, source) = match source {
        MediaSource::Base64 { media_type, data } => {
            let media_type = essence(media_type);
            if media_type.starts_with("image/") {
                return Ok(("image", image(source)?));
            }
            if let Some(format) = format_of(&VIDEOS, &media_type) {
                return Ok(("video", object([("format", format.into()), ("source", bytes_source(data)?)])));
            }
            let is_text = media_type.starts_with("text/") || media_type == "application/json";
            let format = format_of(&DOCUMENTS, &media_type).or_else(|| is_text.then_some("txt"));
            (
                format.ok_or("must be a PDF, a text, an Office document, a picture or a video")?,
                bytes_source(data)?,
            )
        }
        MediaSource::Text(words) if words.trim().is_empty() => return Err("is an empty text".to_owned()),
        MediaSource::Text(words) => ("txt", object([("text", words.as_str().into())])),
        MediaSource::Url(uri) if uri.starts_with(S3) => {
            let format = extension(uri).and_then(|end| DOCUMENTS.iter().find(|(_, format)| *format == end));
            (format.ok_or("a document in S3 must end in its format (.pdf, .docx, ...)")?.1, s3_source(uri))
        }
        MediaSource::Url(_) | MediaSource::FileId(_) => return Err(BYTES_ONLY.to_owned()),
    };
    let name = names.take(filename.as_deref().unwrap_or_default(), format);
    let mut members = Map::new();
    members.insert("format".to_owned(), format.into());
    members.insert("name".to_owned(), name.into());
    members.insert("source".to_owned(), source);
    let context = context.as_deref().filter(|context| !context.is_empty());
    super::members::insert_some(&mut members, "context", context.map(Value::from));
    let enabled = citations.then(|| object([("enabled", true.into())]));
    super::members::insert_some(&mut members, "citations", enabled);
    Ok(("document", Value::Object(members)))
}

/// The extension of a path, in lower case.
fn extension(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    file.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase())
}

/// The names of one request's documents: every document needs one, of few characters, and no two the same.
#[derive(Debug, Default)]
pub(super) struct DocumentNames(HashSet<String>);

impl DocumentNames {
    /// A name made from a file's: without its extension, other characters than letters, digits, hyphens, brackets and
    /// single spaces replaced, and a number behind it if it is taken.
    pub(super) fn take(&mut self, filename: &str, format: &str) -> String {
        let stem = match filename.rsplit_once('.') {
            Some((stem, end)) if end.eq_ignore_ascii_case(format) => stem,
            _ => filename,
        };
        let mut name = String::new();
        for character in stem.chars() {
            let character = match character {
                ' ' | '-' | '(' | ')' | '[' | ']' => character,
                _ if character.is_ascii_alphanumeric() => character,
                _ if character.is_whitespace() => ' ',
                _ => '-',
            };
            if character != ' ' || !name.ends_with(' ') {
                name.push(character);
            }
        }
        let name: String = name.trim().chars().take(NAME_CHARS_MAX).collect();
        let name = if name.is_empty() { "document".to_owned() } else { name };
        let mut candidate = name.clone();
        let mut number = 2_u64;
        while !self.0.insert(candidate.clone()) {
            let ending = format!(" ({number})");
            let room = NAME_CHARS_MAX.saturating_sub(ending.len());
            let stem: String = name.chars().take(room).collect();
            candidate = format!("{}{ending}", stem.trim_end());
            number += 1;
        }
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_get_names_that_the_service_takes() {
        let mut names = DocumentNames::default();
        let mut check = |filename: &str, expect: &str| assert_eq!(names.take(filename, "pdf"), expect);
        check("report.pdf", "report");
        check("report.PDF", "report (2)");
        check("report", "report (3)");
        check("Q3_résumé  v1.2 (final).pdf", "Q3-r-sum- v1-2 (final)");
        check("", "document");
        check("\t ", "document (2)");
        check(&"x".repeat(300), &"x".repeat(200));
        check(&"x".repeat(300), &format!("{} (2)", "x".repeat(196)));
    }

    #[test]
    fn formats_have_types_both_ways() {
        for (media_type, format) in IMAGES.iter().take(4) {
            assert_eq!(
                (image_type(format), format_of(&IMAGES, media_type)),
                (Some(*media_type), Some(*format))
            );
        }
        for (media_type, format) in DOCUMENTS {
            assert_eq!(
                (document_type(format), format_of(&DOCUMENTS, media_type)),
                (Some(media_type), Some(format))
            );
        }
        assert_eq!(video_type("mpg"), Some("video/mpeg"));
        assert_eq!(format_of(&VIDEOS, "video/mpeg"), Some("mpeg"));
        assert_eq!(image_type("bmp"), None);
    }

    #[test]
    fn bytes_go_out_padded_and_on_one_line() {
        let bytes = |data: &str| {
            bytes_source(data).map(|source| text(&source, "bytes").unwrap_or_default().to_owned())
        };
        assert_eq!(bytes("Zm9v").unwrap(), "Zm9v");
        assert_eq!(bytes("Zg").unwrap(), "Zg==");
        assert_eq!(bytes("Zm9v\r\nYmFy").unwrap(), "Zm9vYmFy");
        assert!(bytes("").is_err());
        assert!(bytes("!!!").is_err());
    }
}
