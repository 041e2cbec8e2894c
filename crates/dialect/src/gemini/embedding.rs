//! Embeddings through `batchEmbedContents`.
//!
//! Owns that request and its reply. Leaves the count of tokens, which Google seldom reports here, to the server.

use super::error::{find_error, read_error};
use super::host::Host;
use super::ident::model_resource;
use super::params::{CAPABILITIES, camel_case};
use super::usage::read_usage;
use crate::conversation::{Embedding, EmbeddingInput, EmbeddingReply, EmbeddingRequest};
use crate::wire::{EncodeError, Losses, Outbound, Reading, ReplyFault, Support, support};
use serde_json::{Map, Value, json};

/// Members of Google's `EmbedContentRequest` that a caller may give by their own names.
const NATIVE_MEMBERS: &[&str] = &["taskType", "title", "autoTruncate"];

/// How the members of an embedding request are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NativeForm {
    /// As everywhere at Google.
    Camel,
    /// As Vertex's `:predict` takes them: the task in snake case.
    Predict,
}

/// Writes an embedding request: `/models/{model}:batchEmbedContents`, one entry per input.
///
/// # Errors
/// [`EncodeError::Invalid`] for token ids, which only OpenAI's models read, for no input at all and for a model name
/// that is none; [`EncodeError::Unsupported`] for members that Gemini has no word for.
pub fn encode_embeddings(request: &EmbeddingRequest) -> Result<Outbound, EncodeError> {
    let resource = model_resource(Host::AiStudio, &request.model)?;
    let natives = native_members(&request.extra, NativeForm::Camel)?;
    if request.input.is_empty() {
        return Err(invalid("input".to_owned(), "there is nothing to embed"));
    }
    let mut requests = Vec::with_capacity(request.input.len());
    for (place, input) in request.input.iter().enumerate() {
        let text = text_of(input, place)?;
        let mut entry = Map::new();
        entry.insert("model".to_owned(), json!(resource));
        entry.insert("content".to_owned(), json!({ "parts": [{ "text": text }] }));
        if let Some(dimensions) = request.dimensions {
            entry.insert("outputDimensionality".to_owned(), json!(dimensions));
        }
        entry.extend(natives.clone());
        requests.push(Value::Object(entry));
    }
    Ok(Outbound {
        lost: Losses::default(),
        path: format!("/{resource}:batchEmbedContents"),
        headers: Vec::new(),
        body: json!({ "requests": requests }).to_string().into_bytes(),
        reading: Reading::default(),
    })
}

/// The text of one input.
pub(super) fn text_of(input: &EmbeddingInput, place: usize) -> Result<&str, EncodeError> {
    match input {
        EmbeddingInput::Text(text) => Ok(text),
        EmbeddingInput::Tokens(_) => {
            Err(invalid(format!("input[{place}]"), "Gemini embeds text, not token ids"))
        }
    }
}

pub(super) fn native_members(
    extra: &Map<String, Value>,
    form: NativeForm,
) -> Result<Map<String, Value>, EncodeError> {
    let mut natives = Map::new();
    let mut unsupported = Vec::new();
    for (name, value) in extra.iter().filter(|(_, value)| !value.is_null()) {
        let native = camel_case(name);
        if NATIVE_MEMBERS.contains(&native.as_str()) {
            let is_task = form == NativeForm::Predict && native == "taskType";
            natives.insert(if is_task { "task_type".to_owned() } else { native }, value.clone());
        } else if support(CAPABILITIES, name) != Support::Ignores {
            unsupported.push(name.clone());
        }
    }
    if unsupported.is_empty() { Ok(natives) } else { Err(EncodeError::Unsupported { params: unsupported }) }
}

/// Reads the vectors. Usage is what Google reports, and 0 where it reports none.
///
/// # Errors
/// [`ReplyFault::Error`] for an error object, [`ReplyFault::Malformed`] for anything but one vector of numbers per
/// input.
pub fn decode_embeddings(body: &[u8], request: &EmbeddingRequest) -> Result<EmbeddingReply, ReplyFault> {
    let root: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = find_error(&root) {
        return Err(ReplyFault::Error(read_error(error, None)));
    }
    let embeddings = root.get("embeddings").and_then(Value::as_array);
    let embeddings = embeddings.ok_or(ReplyFault::Malformed("no embeddings"))?;
    if embeddings.len() != request.input.len() {
        return Err(ReplyFault::Malformed("not one embedding per input"));
    }
    let data: Option<Vec<Embedding>> = embeddings.iter().map(read_vector).collect();
    Ok(EmbeddingReply {
        model: request.model.clone(),
        data: data.ok_or(ReplyFault::Malformed("an embedding is not a list of numbers"))?,
        usage: root.get("usageMetadata").map(read_usage).unwrap_or_default(),
    })
}

pub(super) fn read_vector(embedding: &Value) -> Option<Embedding> {
    let values = embedding.get("values")?.as_array().filter(|values| !values.is_empty())?;
    let numbers: Option<Vec<f32>> =
        values.iter().map(|value| value.as_f64().map(|number| number as f32)).collect();
    // JSON has no word for infinity, so a number beyond f32 could not be passed on.
    numbers.filter(|numbers| numbers.iter().all(|number| number.is_finite())).map(Embedding)
}

pub(super) fn invalid(param: String, message: &str) -> EncodeError {
    EncodeError::Invalid { param, message: message.to_owned() }
}
