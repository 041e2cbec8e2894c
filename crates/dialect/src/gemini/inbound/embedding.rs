//! A caller's embedding requests: `embedContent` and `batchEmbedContents`.
//!
//! A batch has settings with each of its inputs, the conversation model has them once. **Invariant:** a batch whose inputs
//! differ in them is refused, never flattened.

use super::members;
use crate::conversation::{EmbeddingInput, EmbeddingRequest};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// Reads the body of `embedContent`. Google's task and title are in `extra` by their own names in snake case, as other
/// callers write them.
///
/// # Errors
/// [`RequestError`] names the first member that is missing or of the wrong type, and parts that are no text.
pub fn decode_embed_request(body: &[u8]) -> Result<EmbeddingRequest, RequestError> {
    let at = &Place::Top("request_body");
    read_one(Value::Object(read::body(body)?), None, at)
}

/// Reads the body of `batchEmbedContents`, all of whose requests must ask for the same but for their content.
///
/// # Errors
/// As [`decode_embed_request`]; also where two requests differ in more than their content.
pub fn decode_batch_embed_request(body: &[u8]) -> Result<EmbeddingRequest, RequestError> {
    let at = &Place::Top("requests");
    let mut members = members::read(Value::Object(read::body(body)?), &Place::Top("request_body"))?;
    let requests = members::one_or_many(read::take(&mut members, "requests").ok_or_else(|| at.missing())?);
    let mut whole: Option<EmbeddingRequest> = None;
    for (index, request) in requests.into_iter().enumerate() {
        let at = &at.item(index);
        let mut request = read_one(request, Some(at), at)?;
        match &mut whole {
            None => whole = Some(request),
            Some(whole) => {
                let is_alike = whole.model == request.model
                    && whole.dimensions == request.dimensions
                    && whole.extra == request.extra;
                if !is_alike {
                    return Err(at.error("must ask for the same as the first request but for its content"));
                }
                whole.input.append(&mut request.input);
            }
        }
    }
    whole.ok_or_else(|| at.error("must have at least one request"))
}

/// `within` is the place that the members are named by; they stand at the top of the body where it is `None`.
fn read_one(
    value: Value,
    within: Option<&Place<'_>>,
    at: &Place<'_>,
) -> Result<EmbeddingRequest, RequestError> {
    let mut members = members::read(value, at)?;
    let mut request = EmbeddingRequest::default();
    let place = |name| match within {
        Some(at) => format!("{at}.{name}"),
        None => name,
    };
    // Vertex has the settings in an object of their own.
    if let Some(config) = read::take(&mut members, "embedContentConfig") {
        members.extend(members::read(config, &Place::Top(&place("embedContentConfig".to_owned())))?);
    }
    let mut content = None;
    for (name, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
        let named = place(name.clone());
        let at = &Place::Top(&named);
        match name.as_str() {
            "model" => {
                let model = read::filled_string(value, at)?;
                request.model = model.strip_prefix("models/").unwrap_or(&model).to_owned();
            }
            "content" => content = Some(read_content(value, at)?),
            "outputDimensionality" => request.dimensions = Some(members::natural(&value, at)?),
            "taskType" => {
                let task = members::word(value, at)?;
                if task != "TASK_TYPE_UNSPECIFIED" {
                    request.extra.insert("task_type".to_owned(), task.into());
                }
            }
            _ => {
                request.extra.insert(name, value);
            }
        }
    }
    let text = content.ok_or_else(|| Place::Top(&place("content".to_owned())).missing())?;
    request.input.push(EmbeddingInput::Text(text));
    Ok(request)
}

/// The text of a content; its parts are one input.
fn read_content(value: Value, at: &Place<'_>) -> Result<String, RequestError> {
    if let Value::String(text) = value {
        return Ok(text);
    }
    let mut content = members::read(value, at)?;
    let place = at.member("parts");
    let parts = members::one_or_many(read::require(&mut content, "parts", at)?);
    let mut texts = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        let at = &place.item(index);
        let mut part: Map<String, Value> = members::read(part, at)?;
        texts.push(read::require_string(&mut part, "text", at)?);
    }
    if texts.is_empty() {
        return Err(place.error("must have at least one part"));
    }
    Ok(texts.concat())
}
