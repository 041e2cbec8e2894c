//! Citations of a text: Anthropic's five kinds of location to the model's one type, and back.
//!
//! **Invariant:** a citation of Anthropic's own comes out as the very object that came in; one of another origin
//! becomes the nearest kind: an address is a web result, everything else a place in a document.

use super::members::{count, object, text};
use crate::conversation::{Citation, Native, PlaceUnit, SourcePlace};
use crate::wire::Dialect;
use serde_json::{Map, Value};

/// Reads a citation of a text block or of a `citations_delta`. A kind that is not known yet keeps its words alone.
pub(super) fn read(value: &Value) -> Citation {
    let owned = |name: &str| text(value, name).map(str::to_owned);
    let place = |unit, start: &str, end: &str| {
        Some(SourcePlace { unit, start: count(value, start)?, end: count(value, end)? })
    };
    let of_document = |place| Citation {
        title: owned("document_title"),
        document: count(value, "document_index"),
        source_id: owned("file_id"),
        place,
        ..Citation::default()
    };
    let citation = match text(value, "type") {
        Some("char_location") => {
            of_document(place(PlaceUnit::Characters, "start_char_index", "end_char_index"))
        }
        Some("page_location") => of_document(place(PlaceUnit::Pages, "start_page_number", "end_page_number")),
        Some("content_block_location") => {
            of_document(place(PlaceUnit::Blocks, "start_block_index", "end_block_index"))
        }
        Some("web_search_result_location") => {
            Citation { title: owned("title"), url: owned("url"), ..Citation::default() }
        }
        Some("search_result_location") => {
            let source = owned("source");
            let is_address = source.as_deref().is_some_and(is_address);
            Citation {
                title: owned("title"),
                url: source.clone().filter(|_| is_address),
                source_id: source.filter(|_| !is_address),
                place: place(PlaceUnit::Blocks, "start_block_index", "end_block_index"),
                ..Citation::default()
            }
        }
        _ => Citation::default(),
    };
    Citation {
        quote: owned("cited_text"),
        native: Some(Native { dialect: Dialect::Anthropic, value: value.clone() }),
        ..citation
    }
}

fn is_address(source: &str) -> bool {
    source.starts_with("https://") || source.starts_with("http://")
}

/// A citation as Anthropic's own words, if they are; what goes back to Anthropic must be what it said.
pub(super) fn own_words(citation: &Citation) -> Option<&Value> {
    let native = citation.native.as_ref()?;
    (native.dialect == Dialect::Anthropic).then_some(&native.value)
}

/// Whether what is written for a caller says all of it: an address has nothing beside its title and its words.
pub(super) fn is_whole(citation: &Citation) -> bool {
    let is_bare = citation.source_id.is_none() && citation.place.is_none() && citation.document.is_none();
    own_words(citation).is_some() || citation.url.is_none() || is_bare
}

/// Writes a citation for a caller.
pub(super) fn write(citation: &Citation) -> Value {
    if let Some(own) = own_words(citation) {
        return own.clone();
    }
    let quote = citation.quote.as_deref().unwrap_or_default();
    let title = || citation.title.as_deref().map_or(Value::Null, Value::from);
    if let Some(url) = &citation.url {
        return Value::Object(object([
            ("type", "web_search_result_location".into()),
            ("cited_text", quote.into()),
            // The provider's own handle on the result, which no other has.
            ("encrypted_index", "".into()),
            ("title", title()),
            ("url", url.as_str().into()),
        ]));
    }
    let (kind, start_name, end_name) = match citation.place.map(|place| place.unit) {
        None | Some(PlaceUnit::Characters) => ("char_location", "start_char_index", "end_char_index"),
        Some(PlaceUnit::Pages) => ("page_location", "start_page_number", "end_page_number"),
        Some(PlaceUnit::Blocks) => ("content_block_location", "start_block_index", "end_block_index"),
    };
    let (start, end) =
        citation.place.map_or((0, quote.chars().count() as u64), |place| (place.start, place.end));
    let mut location: Map<String, Value> = object([
        ("type", kind.into()),
        ("cited_text", quote.into()),
        ("document_index", citation.document.unwrap_or(0).into()),
        ("document_title", title()),
    ]);
    location.insert(start_name.to_owned(), start.into());
    location.insert(end_name.to_owned(), end.into());
    if let Some(id) = &citation.source_id {
        location.insert("file_id".to_owned(), id.as_str().into());
    }
    Value::Object(location)
}
