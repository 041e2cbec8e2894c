//! Annotations of an answer's text, and the citations that they are.
//!
//! Owns the four kinds of OpenAI's published types; a kind without a field in the conversation model is kept in its own
//! words. **Invariant:** what [`write`] wrote of a citation that [`is_whole`], [`read`] reads back with the same span.

use crate::conversation::{Citation, Native};
use crate::wire::Dialect;
use serde_json::{Map, Value, json};

/// Reads an annotation. `offset` characters stand before the text that it counts from.
pub(super) fn read(value: &Value, offset: u64) -> Option<Citation> {
    let text = |name: &str| {
        value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let count = |name: &str| value.get(name).and_then(Value::as_u64);
    let span = count("start_index")
        .zip(count("end_index"))
        .map(|(start, end)| (start.saturating_add(offset), end.saturating_add(offset)));
    let own_words = || Some(Native { dialect: Dialect::Responses, value: value.clone() });
    match value.get("type")?.as_str()? {
        "url_citation" => {
            Some(Citation { span, title: text("title"), url: text("url"), ..Citation::default() })
        }
        "file_citation" => Some(Citation {
            title: text("filename"),
            source_id: text("file_id"),
            document: count("index"),
            ..Citation::default()
        }),
        _ => Some(Citation {
            span,
            title: text("filename"),
            source_id: text("file_id"),
            native: own_words(),
            ..Citation::default()
        }),
    }
}

/// Writes a citation of this span of the text as an annotation.
pub(super) fn write(citation: &Citation, (start, end): (u64, u64)) -> Value {
    if let Some(native) = citation.native.as_ref().filter(|native| native.dialect == Dialect::Responses) {
        let mut value = native.value.clone();
        // The text before it may have grown by what stood in other parts.
        if let Some(members) = value.as_object_mut().filter(|members| members.contains_key("start_index")) {
            members.insert("start_index".to_owned(), json!(start));
            members.insert("end_index".to_owned(), json!(end));
        }
        return value;
    }
    let title = citation.title.as_deref().unwrap_or_default();
    let mut out = Map::new();
    let mut insert = |name: &str, value: Value| out.insert(name.to_owned(), value);
    if let Some(url) = &citation.url {
        insert("type", json!("url_citation"));
        insert("start_index", json!(start));
        insert("end_index", json!(end));
        insert("url", json!(url));
        insert("title", json!(title));
    } else {
        insert("type", json!("file_citation"));
        insert("file_id", json!(citation.source_id.as_deref().unwrap_or_default()));
        insert("filename", json!(title));
        insert("index", json!(citation.document.unwrap_or(0)));
    }
    Value::Object(out)
}

/// Whether an annotation says all that the citation does.
pub(super) fn is_whole(citation: &Citation) -> bool {
    match &citation.native {
        Some(native) => native.dialect == Dialect::Responses,
        None if citation.quote.is_some() || citation.place.is_some() => false,
        None if citation.url.is_some() => citation.source_id.is_none() && citation.document.is_none(),
        None => citation.span.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_annotation_is_written_as_it_was_read() {
        for annotation in [
            json!({"type": "url_citation", "start_index": 3, "end_index": 9, "url": "https://a.example", "title": "A"}),
            json!({"type": "file_citation", "file_id": "file_1", "filename": "a.pdf", "index": 2}),
            json!({"type": "container_file_citation", "container_id": "c", "file_id": "f", "filename": "n",
                "start_index": 0, "end_index": 4}),
            json!({"type": "file_path", "file_id": "f", "index": 1}),
            json!({"type": "of_tomorrow", "x": [1]}),
        ] {
            let citation = read(&annotation, 0).unwrap();
            assert!(is_whole(&citation));
            assert_eq!(write(&citation, citation.span.unwrap_or_default()), annotation);
        }
    }

    #[test]
    fn a_span_counts_from_the_beginning_of_the_whole_text() {
        let annotation =
            json!({"type": "url_citation", "start_index": 3, "end_index": 9, "url": "u", "title": ""});
        assert_eq!(read(&annotation, 10).unwrap().span, Some((13, 19)));
        let citation = read(&annotation, 0).unwrap();
        assert_eq!(write(&citation, (13, 19))["start_index"], 13);
        assert_eq!(write(&citation, (13, 19))["end_index"], 19);
    }

    #[test]
    fn what_an_annotation_cannot_say_is_known() {
        let quoted =
            Citation { quote: Some("q".to_owned()), url: Some("u".to_owned()), ..Citation::default() };
        assert!(!is_whole(&quoted));
        let spoken = Native { dialect: Dialect::Anthropic, value: json!({}) };
        assert!(!is_whole(&Citation { native: Some(spoken), ..Citation::default() }));
    }
}
