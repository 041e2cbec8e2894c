//! What an answer leans on: Google's `groundingMetadata` and `citationMetadata`, and the model's citations.
//!
//! Google counts bytes of UTF-8 within a part, the model characters within a text. Owns both directions of that.
//! **Invariant:** a span is given only where it lies within its text, at the boundaries of characters.

use crate::conversation::{Citation, Native, PlaceUnit, SourcePlace};
use crate::wire::Dialect;
use serde_json::{Map, Value, json};

/// Kinds of source that a `groundingChunk` may be.
const CHUNK_KINDS: [&str; 4] = ["web", "retrievedContext", "maps", "image"];

/// Most citations that are taken from one answer.
const CITATIONS_MAX: usize = 4_096;

/// A citation as Google places it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The number of the part among the content's.
    pub(super) part: usize,
    start: usize,
    /// `None` is the end of the part.
    end: Option<usize>,
    /// The answer's words that are supported.
    segment: Option<String>,
    citation: Citation,
}

/// Takes the citations of a candidate, in the order in which Google gives them.
pub(super) fn find(candidate: &Map<String, Value>) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(grounding) = candidate.get("groundingMetadata") {
        find_grounding(grounding, &mut found);
    }
    let cited = candidate.get("citationMetadata");
    // `citationSources` is the list's name in the first version of the API.
    let cited = cited.and_then(|cited| cited.get("citations").or_else(|| cited.get("citationSources")));
    found.extend(cited.and_then(Value::as_array).into_iter().flatten().map(|entry| Found {
        part: 0,
        start: index(entry, "startIndex").unwrap_or(0),
        end: index(entry, "endIndex"),
        segment: None,
        citation: Citation {
            title: text(entry, "title"),
            url: text(entry, "uri"),
            native: Some(Native { dialect: Dialect::Gemini, value: entry.clone() }),
            ..Citation::default()
        },
    }));
    found.truncate(CITATIONS_MAX);
    found
}

fn find_grounding(grounding: &Value, found: &mut Vec<Found>) {
    let list = |name: &str| grounding.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let chunks = list("groundingChunks");
    for support in list("groundingSupports") {
        let empty = Value::Null;
        let segment = support.get("segment").unwrap_or(&empty);
        let numbers = support.get("groundingChunkIndices").and_then(Value::as_array).into_iter().flatten();
        for number in numbers {
            let number = number.as_u64().and_then(|number| usize::try_from(number).ok());
            let Some(chunk) = number.and_then(|number| chunks.get(number)) else { continue };
            if found.len() == CITATIONS_MAX {
                return;
            }
            found.push(Found {
                part: index(segment, "partIndex").unwrap_or(0),
                start: index(segment, "startIndex").unwrap_or(0),
                end: index(segment, "endIndex"),
                segment: text(segment, "text").filter(|text| !text.is_empty()),
                citation: read_chunk(chunk),
            });
        }
    }
}

fn read_chunk(chunk: &Value) -> Citation {
    let native = Some(Native { dialect: Dialect::Gemini, value: chunk.clone() });
    let source = CHUNK_KINDS.iter().find_map(|kind| Some((*kind, chunk.get(*kind)?)));
    let Some((kind, source)) = source else { return Citation { native, ..Citation::default() } };
    let uri = text(source, "uri").or_else(|| text(source, "sourceUri"));
    let is_web = kind != "retrievedContext" || uri.as_deref().is_some_and(|uri| uri.starts_with("http"));
    let page = source.get("pageNumber").and_then(Value::as_u64);
    Citation {
        span: None,
        quote: text(source, "text"),
        title: text(source, "title"),
        source_id: text(source, "documentName")
            .or_else(|| text(source, "placeId"))
            .or_else(|| uri.clone().filter(|_| !is_web)),
        url: uri.filter(|_| is_web),
        document: None,
        place: page.map(|page| SourcePlace { unit: PlaceUnit::Pages, start: page, end: page + 1 }),
        native,
    }
}

impl Found {
    /// The citation with its span in `whole`, in which the part that it speaks of begins at byte `base`. Google's own
    /// words for the segment decide where its numbers do not fit them.
    pub(super) fn placed(self, whole: &str, base: usize) -> Citation {
        let start = base + self.start;
        let end = self.end.map_or(whole.len(), |end| base + end);
        let counted = whole.get(start..end).filter(|counted| !counted.is_empty());
        let span = match (&self.segment, counted) {
            (Some(segment), Some(counted)) if counted == segment => Some((start, end)),
            (Some(segment), _) => whole.find(segment.as_str()).map(|start| (start, start + segment.len())),
            (None, Some(_)) => Some((start, end)),
            (None, None) => None,
        };
        let characters = |end: usize| whole.get(..end).map_or(0, |text| text.chars().count() as u64);
        let span = span.filter(|span| *span != (0, whole.len()) || self.segment.is_some());
        Citation { span: span.map(|(start, end)| (characters(start), characters(end))), ..self.citation }
    }
}

/// A text that was written as a part, with what it leans on.
#[derive(Debug)]
pub(super) struct Cited<'a> {
    /// The number of the part among the content's.
    pub(super) part: usize,
    /// The part's text.
    pub(super) text: &'a str,
    /// Its citations.
    pub(super) citations: &'a [Citation],
}

/// Writes `groundingMetadata` and `citationMetadata` into a candidate, each where there is something to say.
pub(super) fn write(texts: &[Cited<'_>], candidate: &mut Map<String, Value>) {
    let (mut chunks, mut supports, mut entries) = (Vec::new(), Vec::<Value>::new(), Vec::new());
    for cited in texts {
        for citation in cited.citations {
            let (start, end) = bytes_of(citation.span, cited.text);
            let own = citation.native.as_ref().filter(|native| native.dialect == Dialect::Gemini);
            match own.map(|native| &native.value) {
                Some(Value::Object(own)) if !CHUNK_KINDS.iter().any(|kind| own.contains_key(*kind)) => {
                    let mut entry = own.clone();
                    entry.insert("startIndex".to_owned(), json!(start));
                    entry.insert("endIndex".to_owned(), json!(end));
                    entries.push(Value::Object(entry));
                }
                own => {
                    let chunk = own.cloned().unwrap_or_else(|| chunk(citation));
                    let number = chunks.iter().position(|known| *known == chunk).unwrap_or_else(|| {
                        chunks.push(chunk);
                        chunks.len() - 1
                    });
                    add_support(&segment(cited, start, end), number, &mut supports);
                }
            }
        }
    }
    if !chunks.is_empty() {
        let grounding = json!({ "groundingChunks": chunks, "groundingSupports": supports });
        candidate.insert("groundingMetadata".to_owned(), grounding);
    }
    if !entries.is_empty() {
        candidate.insert("citationMetadata".to_owned(), json!({ "citations": entries }));
    }
}

/// Several sources of one segment are one support.
fn add_support(segment: &Value, number: usize, supports: &mut Vec<Value>) {
    if let Some(last) = supports.last_mut()
        && last.get("segment") == Some(segment)
        && let Some(Value::Array(numbers)) = last.get_mut("groundingChunkIndices")
    {
        numbers.push(json!(number));
        return;
    }
    supports.push(json!({ "segment": segment, "groundingChunkIndices": [number] }));
}

fn segment(cited: &Cited<'_>, start: usize, end: usize) -> Value {
    let mut segment = Map::new();
    if cited.part > 0 {
        segment.insert("partIndex".to_owned(), json!(cited.part));
    }
    segment.insert("startIndex".to_owned(), json!(start));
    segment.insert("endIndex".to_owned(), json!(end));
    segment.insert("text".to_owned(), json!(cited.text.get(start..end).unwrap_or_default()));
    Value::Object(segment)
}

/// Whether what is written says all of a citation: an address has nothing beside its title.
pub(super) fn is_whole(citation: &Citation) -> bool {
    if citation.native.as_ref().is_some_and(|native| native.dialect == Dialect::Gemini) {
        return true;
    }
    let is_page = citation.place.is_none_or(|place| place.unit == PlaceUnit::Pages);
    match citation.url {
        Some(_) => citation.quote.is_none() && citation.source_id.is_none() && citation.place.is_none(),
        None => citation.document.is_none() && is_page,
    }
}

/// A source of another dialect: what has an address is from the web, everything else a document.
fn chunk(citation: &Citation) -> Value {
    let mut source = Map::new();
    let members = [("uri", &citation.url), ("title", &citation.title)];
    for (name, value) in members {
        if let Some(value) = value {
            source.insert(name.to_owned(), json!(value));
        }
    }
    if citation.url.is_some() {
        return json!({ "web": source });
    }
    if let Some(quote) = &citation.quote {
        source.insert("text".to_owned(), json!(quote));
    }
    let name = citation.source_id.clone().or_else(|| citation.document.map(|number| number.to_string()));
    if let Some(name) = name {
        source.insert("documentName".to_owned(), json!(name));
    }
    if let Some(SourcePlace { unit: PlaceUnit::Pages, start, .. }) = citation.place {
        source.insert("pageNumber".to_owned(), json!(start));
    }
    json!({ "retrievedContext": source })
}

/// A span of characters in bytes; the whole text where there is none.
fn bytes_of(span: Option<(u64, u64)>, text: &str) -> (usize, usize) {
    let Some((start, end)) = span else { return (0, text.len()) };
    let byte = |count: u64| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        text.char_indices().nth(count).map_or(text.len(), |(byte, _)| byte)
    };
    (byte(start), byte(end.max(start)))
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn index(value: &Value, name: &str) -> Option<usize> {
    value.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
}
