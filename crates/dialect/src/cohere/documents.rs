//! Documents: of a request, and of a tool's result.
//!
//! Cohere's documents are texts with a name, or any JSON object. **Invariant:** what [`read`] makes of a document's
//! data, [`data`] makes the same data of; a document that is a text alone comes out in the shorter of its two forms.

use crate::base64;
use crate::conversation::{MediaSource, Part};
use crate::json::read::{self, Place};
use crate::json::value::{insert, insert_some, text};
use crate::wire::RequestError;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Ids of the documents of a request, as the caller named them, under this name in `native`: a list in their order,
/// `null` where there was none.
pub(super) const DOCUMENT_IDS: &str = "documents.id";

/// The same of the documents in tools' results.
pub(super) const TOOL_DOCUMENT_IDS: &str = "tool.documents.id";

/// Reads a document (a text, or an object with `data`) and its id.
pub(super) fn read(
    value: Value,
    citations: bool,
    at: &Place<'_>,
) -> Result<(Part, Option<String>), RequestError> {
    let mut members = match value {
        Value::String(words) => return Ok((file(words, None, None, citations), None)),
        other => read::object(other, at)?,
    };
    let id = read::take_string(&mut members, "id", at)?;
    let part = match read::require(&mut members, "data", at)? {
        // The reference wants an object; the guides write text.
        Value::String(words) => file(words, None, None, citations),
        Value::Object(data) => of_data(data, citations),
        other => return Err(read::neither_string_nor_list(&other, "members", &at.member("data"))),
    };
    Ok((part, id))
}

fn file(words: String, filename: Option<String>, context: Option<String>, citations: bool) -> Part {
    Part::File { source: MediaSource::Text(words), filename, context, citations, cache_control: None }
}

/// `text`, `title` and `context` are what the model has fields for; data with anything else is shown as the JSON that
/// it is.
fn of_data(data: Map<String, Value>, citations: bool) -> Part {
    let title = data.get("title").and_then(Value::as_str).map(str::to_owned);
    let is_plain = data.contains_key("text")
        && data
            .iter()
            .all(|(name, value)| value.is_string() && matches!(name.as_str(), "text" | "title" | "context"));
    if !is_plain {
        return file(Value::Object(data).to_string(), title, None, citations);
    }
    let data = Value::Object(data);
    let owned = |name: &str| text(&data, name).map(str::to_owned);
    let words = owned("text").unwrap_or_default();
    // A text that is an object itself would be taken for the data.
    if object_in(&words).is_some() {
        return file(data.to_string(), title, None, citations);
    }
    file(words, title, owned("context"), citations)
}

fn object_in(words: &str) -> Option<Map<String, Value>> {
    if !words.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(words).ok()
}

/// The `data` of a document.
pub(super) fn data(words: &str, filename: Option<&str>, context: Option<&str>) -> Map<String, Value> {
    let filename = filename.filter(|name| !name.is_empty());
    if let Some(data) = object_in(words) {
        let names_itself = data.get("title").and_then(Value::as_str) == filename;
        if context.is_none() && (filename.is_none() || names_itself) && !data.is_empty() {
            return data;
        }
    }
    let mut data = Map::new();
    insert_some(&mut data, "title", filename);
    insert(&mut data, "text", words);
    insert_some(&mut data, "context", context.filter(|context| !context.is_empty()));
    data
}

/// A document of the request: a bare text where it is nothing else.
pub(super) fn write(data: Map<String, Value>, id: Option<&str>) -> Value {
    let is_bare = id.is_none() && data.len() == 1;
    match data.get("text") {
        Some(Value::String(words)) if is_bare && object_in(words).is_none() => words.as_str().into(),
        _ => write_object(data, id),
    }
}

/// A document as an object.
pub(super) fn write_object(data: Map<String, Value>, id: Option<&str>) -> Value {
    let mut document = Map::new();
    insert(&mut document, "data", data);
    insert_some(&mut document, "id", id);
    Value::Object(document)
}

/// The words of a document that has words; `None` for one that would have to be read first.
pub(crate) fn words(source: &MediaSource) -> Option<Cow<'_, str>> {
    match source {
        MediaSource::Text(words) => Some(Cow::Borrowed(words)),
        MediaSource::Base64 { media_type, data } => {
            let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let is_text = essence.starts_with("text/") || essence == "application/json";
            let bytes = if is_text { base64::decode(data)? } else { return None };
            String::from_utf8(bytes).ok().map(Cow::Owned)
        }
        MediaSource::Url(_) | MediaSource::FileId(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn again(document: Value) -> Value {
        let (part, id) = read(document, true, &Place::Top("documents")).unwrap();
        let Part::File { source, filename, context, .. } = part else { return Value::Null };
        let words = words(&source).unwrap();
        write(data(&words, filename.as_deref(), context.as_deref()), id.as_deref())
    }

    #[test]
    fn every_document_comes_out_as_it_went_in() {
        for document in [
            json!("tall"),
            json!(""),
            json!({"data": {"title": "A", "text": "tall"}}),
            json!({"data": {"title": "A", "text": "tall", "context": "from 1990"}, "id": "d1"}),
            json!({"data": {"title": "A", "snippet": "tall", "n": 3}, "id": "d1"}),
            json!({"data": {"text": "{\"a\":1}"}}),
            json!({"data": {"text": "{\"a\":1}", "title": "A"}}),
            json!({"data": {"temperature": 20}}),
            json!({"data": {"text": 5}}),
            json!({"data": {}}),
        ] {
            if document == json!({"data": {}}) {
                // Nothing is a text of two brackets, which says as much.
                assert_eq!(again(document), json!({"data": {"text": "{}"}}));
            } else {
                assert_eq!(again(document.clone()), document);
            }
        }
        assert_eq!(again(json!({"data": {"text": "tall"}})), json!("tall"));
        assert_eq!(again(json!({"data": "tall", "id": "x"})), json!({"data": {"text": "tall"}, "id": "x"}));
    }

    #[test]
    fn texts_in_base64_are_words_and_nothing_else_is() {
        let check = |source: MediaSource, expect: Option<&str>| assert_eq!(words(&source).as_deref(), expect);
        let base64 = |media_type: &str, data: &str| MediaSource::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        };
        check(base64("text/plain; charset=utf-8", "dGFsbA=="), Some("tall"));
        check(base64("application/json", "e30="), Some("{}"));
        check(base64("text/plain", "/w=="), None);
        check(base64("application/pdf", "dGFsbA=="), None);
        check(MediaSource::Url("https://a.example".to_owned()), None);
        check(MediaSource::FileId("f".to_owned()), None);
    }
}
