//! Citations of a text: Bedrock's five kinds of location to the model's one type, and back.
//!
//! **Invariant:** a citation of Bedrock's own comes out as the very object that came in; one of another origin becomes
//! the nearest kind: an address is a web location, everything else a place in a document.

use super::members::{count, items, object, text};
use crate::conversation::{Citation, Native, PlaceUnit, SourcePlace};
use crate::wire::Dialect;
use serde_json::{Map, Value};

/// Reads a citation of a `citationsContent` or of a delta.
pub(super) fn read(value: &Value) -> Citation {
    let location = value.get("location").unwrap_or(&Value::Null);
    let source = text(value, "source").map(str::to_owned);
    let url = location.get("web").and_then(|web| text(web, "url")).map(str::to_owned);
    let url = url.or_else(|| source.clone().filter(|source| is_address(source)));
    let (document, place) = read_place(location);
    let quotes: String =
        items(value, "sourceContent").iter().filter_map(|content| text(content, "text")).collect();
    Citation {
        quote: (!quotes.is_empty()).then_some(quotes),
        title: text(value, "title").map(str::to_owned),
        source_id: source.filter(|source| !is_address(source)),
        url,
        document,
        place,
        span: None,
        native: Some(Native { dialect: Dialect::Bedrock, value: value.clone() }),
    }
}

/// Which document, and where in it. The number of a search result is no number of a document.
fn read_place(location: &Value) -> (Option<u64>, Option<SourcePlace>) {
    const UNITS: [(&str, PlaceUnit); 4] = [
        ("documentChar", PlaceUnit::Characters),
        ("documentPage", PlaceUnit::Pages),
        ("documentChunk", PlaceUnit::Blocks),
        ("searchResultLocation", PlaceUnit::Blocks),
    ];
    let found = UNITS.iter().find_map(|(name, unit)| Some((location.get(*name)?, *unit)));
    let Some((location, unit)) = found else { return (None, None) };
    let ends = count(location, "start").zip(count(location, "end"));
    (count(location, "documentIndex"), ends.map(|(start, end)| SourcePlace { unit, start, end }))
}

fn is_address(source: &str) -> bool {
    source.starts_with("https://") || source.starts_with("http://")
}

/// A citation as Bedrock's own words, if they are; what goes back to a provider must be what it said.
pub(super) fn own_words(citation: &Citation) -> Option<&Value> {
    let native = citation.native.as_ref()?;
    (native.dialect == Dialect::Bedrock).then_some(&native.value)
}

/// Whether what is written for a caller says all of it: an address takes the place of a place in a document, and a
/// document has its number beside its place only.
pub(super) fn is_whole(citation: &Citation) -> bool {
    if own_words(citation).is_some() {
        return true;
    }
    match (&citation.url, citation.place) {
        (Some(_), place) => place.is_none() && citation.document.is_none(),
        (None, Some(_)) => true,
        (None, None) => citation.document.is_none(),
    }
}

/// Writes a citation for a caller.
pub(super) fn write(citation: &Citation) -> Value {
    if let Some(own) = own_words(citation) {
        return own.clone();
    }
    let mut members = Map::new();
    let mut insert =
        |name: &str, value: Option<Value>| super::members::insert_some(&mut members, name, value);
    insert("title", citation.title.as_deref().map(Value::from));
    let source = citation.source_id.as_deref().or(citation.url.as_deref());
    insert("source", source.map(Value::from));
    let quote = citation.quote.as_deref().map(|quote| object([("text", quote.into())]));
    insert("sourceContent", quote.map(|quote| Value::Array(vec![quote])));
    insert("location", write_place(citation));
    Value::Object(members)
}

fn write_place(citation: &Citation) -> Option<Value> {
    if let Some(url) = &citation.url {
        let host = url.split("//").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        return Some(object([("web", object([("url", url.as_str().into()), ("domain", host.into())]))]));
    }
    let place = citation.place?;
    let name = match place.unit {
        PlaceUnit::Characters => "documentChar",
        PlaceUnit::Pages => "documentPage",
        PlaceUnit::Blocks => "documentChunk",
    };
    let ends = [("start", place.start.into()), ("end", place.end.into())];
    let mut location = object(ends);
    if let (Some(members), Some(document)) = (location.as_object_mut(), citation.document) {
        members.insert("documentIndex".to_owned(), document.into());
    }
    Some(object([(name, location)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn locations_are_read_and_written() {
        let check = |value: Value, expect: Citation| {
            let found = read(&value);
            assert_eq!(write(&found), value, "its own words come out again");
            let foreign = Citation { native: None, ..found };
            assert_eq!(foreign, expect, "{value}");
            assert_eq!(Citation { native: None, ..read(&write(&foreign)) }, foreign, "{value}");
        };
        let place = |unit, start, end| Some(SourcePlace { unit, start, end });
        let place_of = |name: &str| json!({name: {"documentIndex": 2, "start": 3, "end": 9}});
        for (name, unit) in [
            ("documentChar", PlaceUnit::Characters),
            ("documentPage", PlaceUnit::Pages),
            ("documentChunk", PlaceUnit::Blocks),
        ] {
            let value = json!({"title": "T", "sourceContent": [{"text": "a"}, {"text": "b"}], "location": place_of(name)});
            let expect = Citation {
                title: Some("T".to_owned()),
                quote: Some("ab".to_owned()),
                document: Some(2),
                place: place(unit, 3, 9),
                ..Citation::default()
            };
            check(value, expect);
        }
        check(
            json!({"source": "kb-1", "location": {"searchResultLocation": {"searchResultIndex": 4, "start": 0, "end": 1}}}),
            Citation {
                source_id: Some("kb-1".to_owned()),
                place: place(PlaceUnit::Blocks, 0, 1),
                ..Citation::default()
            },
        );
        check(
            json!({"location": {"web": {"url": "https://example.org/x", "domain": "example.org"}}}),
            Citation { url: Some("https://example.org/x".to_owned()), ..Citation::default() },
        );
    }
}
