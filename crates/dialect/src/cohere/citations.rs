//! Citations: Cohere's, with several sources each, and the model's, with one.
//!
//! **Invariant:** a citation of Cohere's becomes one of the model for each source, each with its own words kept, and
//! those that stand next to each other with one span become one of Cohere's again.

use crate::conversation::{Citation, Native};
use crate::json::value::{count, filled_text, insert, insert_some, items, text};
use crate::wire::Dialect;
use serde_json::{Map, Value, json};

/// What the ids of documents without one of their own begin with; their number in the request follows.
const NUMBERED: &str = "doc:";

/// Where a citation of Cohere's stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cited {
    /// The content block of this number.
    Content(u64),
    /// What was said before the calls.
    Plan,
}

/// Which text a citation is of.
pub(super) fn cited(value: &Value) -> Cited {
    match text(value, "type") {
        Some("PLAN") => Cited::Plan,
        _ => Cited::Content(count(value, "content_index").unwrap_or(0)),
    }
}

/// Reads a citation: one of the model for each source. `offset` characters stand before the text that it counts from.
pub(super) fn read(value: &Value, offset: u64) -> Vec<Citation> {
    let span = count(value, "start")
        .zip(count(value, "end"))
        .map(|(start, end)| (start.saturating_add(offset), end.saturating_add(offset)));
    let of_source = |source: Option<&Value>| {
        let mut own = value.as_object().cloned().unwrap_or_default();
        insert(&mut own, "sources", source.into_iter().cloned().collect::<Vec<_>>());
        let native = Some(Native { dialect: Dialect::Cohere, value: Value::Object(own) });
        Citation { span, native, ..source.map(read_source).unwrap_or_default() }
    };
    match items(value, "sources") {
        [] => vec![of_source(None)],
        sources => sources.iter().map(|source| of_source(Some(source))).collect(),
    }
}

fn read_source(source: &Value) -> Citation {
    let id = filled_text(source, "id");
    let said = source.get("document").or_else(|| source.get("tool_output"));
    let of_said = |name: &str| said.and_then(|said| filled_text(said, name)).map(str::to_owned);
    Citation {
        title: of_said("title"),
        url: of_said("url"),
        document: id.and_then(|id| id.strip_prefix(NUMBERED)).and_then(|number| number.parse().ok()),
        source_id: id.map(str::to_owned),
        ..Citation::default()
    }
}

/// Writes the citations of a text. `cited` is where the text stands.
pub(super) fn write_all(words: &str, citations: &[Citation], cited: Cited) -> Vec<Value> {
    let mut written: Vec<Value> = Vec::with_capacity(citations.len());
    for citation in citations {
        let next = write(words, citation, cited);
        let is_same = |last: &&mut Value| {
            ["start", "end", "text", "content_index", "type"]
                .iter()
                .all(|name| last.get(name) == next.get(name))
        };
        match written.last_mut().filter(is_same).and_then(|last| last.get_mut("sources")) {
            Some(Value::Array(sources)) => sources.extend(items(&next, "sources").iter().cloned()),
            _ => written.push(next),
        }
    }
    written
}

/// Writes one citation of a text.
pub(super) fn write(words: &str, citation: &Citation, cited: Cited) -> Value {
    let (start, end) = citation.span.unwrap_or_else(|| (0, words.chars().count() as u64));
    let own = citation.native.as_ref().filter(|native| native.dialect == Dialect::Cohere);
    let sources = match own {
        Some(native) => items(&native.value, "sources").to_vec(),
        None => vec![write_source(citation)],
    };
    let quoted = own.and_then(|native| text(&native.value, "text")).map(str::to_owned);
    let mut value = Map::new();
    insert(&mut value, "start", start);
    insert(&mut value, "end", end);
    insert(&mut value, "text", quoted.unwrap_or_else(|| slice(words, start, end)));
    insert(&mut value, "sources", sources);
    match cited {
        Cited::Content(index) => {
            insert(&mut value, "content_index", index);
            insert(&mut value, "type", "TEXT_CONTENT");
        }
        Cited::Plan => insert(&mut value, "type", "PLAN"),
    }
    Value::Object(value)
}

/// Whether what is written says all of a citation: Cohere's documents have one name, and are cited as a whole.
pub(super) fn is_whole(citation: &Citation) -> bool {
    let is_own = citation.native.as_ref().is_some_and(|native| native.dialect == Dialect::Cohere);
    let has_one_name = citation.document.is_none() || citation.source_id.is_none();
    is_own || (citation.quote.is_none() && citation.place.is_none() && has_one_name)
}

/// A source of another maker's as a document.
fn write_source(citation: &Citation) -> Value {
    let numbered = || format!("{NUMBERED}{}", citation.document.unwrap_or(0));
    let id = citation.source_id.clone().or_else(|| citation.url.clone()).unwrap_or_else(numbered);
    let mut document = Map::new();
    insert(&mut document, "id", id.as_str());
    insert_some(&mut document, "title", citation.title.as_deref());
    insert_some(&mut document, "url", citation.url.as_deref());
    insert_some(&mut document, "text", citation.quote.as_deref());
    json!({"type": "document", "id": id, "document": document})
}

/// The characters from `start` to `end`, end excluded.
fn slice(words: &str, start: u64, end: u64) -> String {
    let place = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let length = place(end.saturating_sub(start));
    words.chars().skip(place(start)).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_of_several_sources_comes_out_as_one_again() {
        let cited_words = json!({
            "start": 0, "end": 4, "text": "tall", "content_index": 1, "type": "TEXT_CONTENT",
            "sources": [
                {"type": "document", "id": "doc:3", "document": {"id": "doc:3", "title": "A", "url": "https://a.example"}},
                {"type": "tool", "id": "call:0", "tool_output": {"temperature": "20"}},
            ],
        });
        let read = read(&cited_words, 0);
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].document, read[0].source_id.as_deref()), (Some(3), Some("doc:3")));
        assert_eq!(
            (read[0].title.as_deref(), read[0].url.as_deref()),
            (Some("A"), Some("https://a.example"))
        );
        assert_eq!(read[1].source_id.as_deref(), Some("call:0"));
        assert_eq!(write_all("tall penguins", &read, Cited::Content(1)), [cited_words]);
    }

    #[test]
    fn spans_count_characters_from_the_text_they_are_of() {
        let citation = json!({"start": 1, "end": 3, "text": "éa"});
        assert_eq!(read(&citation, 10)[0].span, Some((11, 13)));
        let other = Citation { span: Some((1, 3)), quote: Some("q".to_owned()), ..Citation::default() };
        let written = write("aéab", &other, Cited::Plan);
        let expect = json!({
            "start": 1, "end": 3, "text": "éa", "type": "PLAN",
            "sources": [{"type": "document", "id": "doc:0", "document": {"id": "doc:0", "text": "q"}}],
        });
        assert_eq!(written, expect);
        let whole = Citation { url: Some("https://a.example".to_owned()), ..Citation::default() };
        let written = write("aé", &whole, Cited::Content(0));
        assert_eq!(
            (&written["start"], &written["end"], &written["text"]),
            (&json!(0), &json!(2), &json!("aé"))
        );
        assert_eq!(written["sources"][0]["id"], "https://a.example");
    }
}
