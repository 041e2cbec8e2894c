//! Requests: read in the callers' form, written in each provider's.
//!
//! Sources: the references of Cohere (versions 1 and 2), Jina, Voyage and Together, and the published schemas of
//! Infinity and of Hugging Face's server.

use super::RerankWire;
use crate::conversation::{RerankDocument, RerankRequest};
use crate::json::read::{self, Place};
use crate::json::value::{insert, insert_some};
use crate::wire::{EncodeError, EncodeOptions, Losses, Outbound, Reading, RequestError};
use serde_json::{Map, Value};

/// Reads a request to rank in Cohere's form (both versions), which is also LiteLLM's. `top_k` is Voyage's name for
/// `top_n`.
///
/// # Errors
/// [`RequestError`] names the first member that is missing or of the wrong type.
pub fn decode_request(body: &[u8]) -> Result<RerankRequest, RequestError> {
    let mut request = RerankRequest::default();
    for (name, value) in read::body(body)? {
        if value.is_null() {
            continue;
        }
        let at = &Place::Top(&name);
        match name.as_str() {
            "model" => request.model = read::filled_string(value, at)?,
            "query" => request.query = read_query(value, at)?,
            "documents" => request.documents = read_documents(value, at)?,
            "top_n" | "top_k" => request.top_n = Some(read::natural(&value, at)?),
            "return_documents" => request.return_documents = Some(read::boolean(&value, at)?),
            "max_tokens_per_doc" => request.max_tokens_per_doc = Some(read::natural(&value, at)?),
            "max_chunks_per_doc" => request.max_chunks_per_doc = Some(read::natural(&value, at)?),
            "rank_fields" => {
                let fields = read::list(value, at)?.into_iter().enumerate();
                let fields = fields.map(|(index, field)| read::string(field, &at.item(index)));
                request.rank_fields = fields.collect::<Result<_, _>>()?;
            }
            _ => {
                request.extra.insert(name, value);
            }
        }
    }
    let missing = [
        ("model", request.model.is_empty()),
        ("query", request.query.is_empty()),
        ("documents", request.documents.is_empty()),
    ];
    match missing.into_iter().find(|(_, is_missing)| *is_missing) {
        Some((name, _)) => Err(Place::Top(name).missing()),
        None => Ok(request),
    }
}

/// A text, or Jina's object around one.
fn read_query(value: Value, at: &Place<'_>) -> Result<String, RequestError> {
    match value {
        Value::Object(mut members) => read::require_string(&mut members, "text", at),
        other => read::filled_string(other, at),
    }
}

fn read_documents(value: Value, at: &Place<'_>) -> Result<Vec<RerankDocument>, RequestError> {
    let items = read::list(value, at)?;
    if items.is_empty() {
        return Err(at.error("must have at least one document"));
    }
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| match item {
            Value::String(text) => Ok(RerankDocument::Text(text)),
            Value::Object(members) => Ok(RerankDocument::Object(members)),
            other => Err(read::neither_string_nor_list(&other, "members", &at.item(index))),
        })
        .collect()
}

impl RerankWire {
    /// After the deployment's base URL: Cohere's is its host, the others' end in their version.
    fn path(self) -> &'static str {
        match self {
            Self::Cohere => "/v2/rerank",
            Self::CohereV1 => "/v1/rerank",
            Self::Jina | Self::Voyage | Self::Together | Self::Infinity | Self::HuggingFace => "/rerank",
        }
    }

    /// Objects go out as objects, with the names of the members to read.
    fn takes_objects(self) -> bool {
        matches!(self, Self::CohereV1 | Self::Together)
    }

    /// The name for the most results; none is cut here.
    fn top_n(self) -> Option<&'static str> {
        match self {
            Self::Voyage => Some("top_k"),
            Self::HuggingFace => None,
            _ => Some("top_n"),
        }
    }

    fn max_tokens_per_doc(self) -> Option<&'static str> {
        match self {
            Self::Cohere => Some("max_tokens_per_doc"),
            Self::Jina => Some("max_doc_length"),
            _ => None,
        }
    }

    /// What says that documents are not to come back, where the provider sends them unasked.
    fn sends_documents_unasked(self) -> bool {
        self == Self::Jina
    }
}

/// Writes a request for a provider.
///
/// Objects become lines of text where a provider ranks texts only: of the fields that are to be read, else of `text`,
/// else of all that they have.
///
/// # Errors
/// [`EncodeError::Unsupported`] for limits on documents that the provider has no word for, unless they may be dropped.
pub fn encode_request(
    wire: RerankWire,
    request: &RerankRequest,
    options: &EncodeOptions,
) -> Result<Outbound, EncodeError> {
    let mut lost = Losses::default();
    let mut body = Map::new();
    if wire != RerankWire::HuggingFace {
        insert(&mut body, "model", request.model.as_str());
    }
    insert(&mut body, "query", request.query.as_str());
    let documents: Vec<Value> =
        request.documents.iter().map(|document| write_document(wire, document, request)).collect();
    let name = if wire == RerankWire::HuggingFace { "texts" } else { "documents" };
    insert(&mut body, name, documents);
    if let Some(name) = wire.top_n() {
        insert_some(&mut body, name, request.top_n);
    }
    if wire.takes_objects() && !request.rank_fields.is_empty() {
        insert(&mut body, "rank_fields", request.rank_fields.clone());
    }
    if wire.sends_documents_unasked() {
        insert(&mut body, "return_documents", false);
    }
    let chunks = (wire == RerankWire::CohereV1).then_some("max_chunks_per_doc");
    let limits = [
        ("max_tokens_per_doc", wire.max_tokens_per_doc(), request.max_tokens_per_doc),
        ("max_chunks_per_doc", chunks, request.max_chunks_per_doc),
    ];
    let mut params = Vec::new();
    for (param, name, limit) in limits {
        match (name, limit) {
            (_, None) => {}
            (Some(name), limit) => insert_some(&mut body, name, limit),
            (None, Some(_)) if options.drop_unsupported => lost.note(param),
            (None, Some(_)) => params.push(param.to_owned()),
        }
    }
    if !params.is_empty() {
        return Err(EncodeError::Unsupported { params });
    }
    for (name, value) in &request.extra {
        body.entry(name.as_str()).or_insert_with(|| value.clone());
    }
    Ok(Outbound {
        path: wire.path().to_owned(),
        headers: Vec::new(),
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost,
    })
}

fn write_document(wire: RerankWire, document: &RerankDocument, request: &RerankRequest) -> Value {
    let members = match document {
        RerankDocument::Text(text) => return text.as_str().into(),
        RerankDocument::Object(members) => members,
    };
    let is_picture = members.len() == 1 && members.get("image").is_some_and(Value::is_string);
    if wire.takes_objects() || (wire == RerankWire::Jina && is_picture) {
        return Value::Object(members.clone());
    }
    let mut fields: Vec<&str> = request.rank_fields.iter().map(String::as_str).collect();
    if fields.is_empty() {
        if let Some(text) = members.get("text").and_then(Value::as_str) {
            return text.into();
        }
        fields.extend(members.keys().map(String::as_str));
    }
    let line = |field: &&str| match members.get(*field)? {
        Value::Null => None,
        Value::String(text) => Some(format!("{field}: {text}")),
        other => Some(format!("{field}: {other}")),
    };
    fields.iter().filter_map(line).collect::<Vec<_>>().join("\n").into()
}
