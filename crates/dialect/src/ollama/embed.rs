//! Embeddings through `/api/embed`.

use super::EMBED_PATH;
use super::params::NATIVE_PARAMS;
use crate::conversation::{Embedding, EmbeddingInput, EmbeddingReply, EmbeddingRequest, Usage};
use crate::json::value::{count, insert, insert_some, items};
use crate::openai::in_place_of_answer;
use crate::wire::{EncodeError, Losses, Outbound, Reading, ReplyFault};
use serde_json::{Map, Value};

/// OpenAI's members without which the vectors are the same.
const IGNORED_PARAMS: &[&str] = &["encoding_format", "metadata"];

/// Writes an embedding request.
///
/// # Errors
/// [`EncodeError::Invalid`] for token ids, which only OpenAI's models read; [`EncodeError::Unsupported`] for members
/// that Ollama has no word for.
pub fn encode_embeddings(request: &EmbeddingRequest) -> Result<Outbound, EncodeError> {
    let mut input = Vec::with_capacity(request.input.len());
    for (index, item) in request.input.iter().enumerate() {
        match item {
            EmbeddingInput::Text(text) => input.push(text.as_str()),
            EmbeddingInput::Tokens(_) => {
                return Err(EncodeError::Invalid {
                    param: format!("input[{index}]"),
                    message: "this provider embeds text, not token ids".to_owned(),
                });
            }
        }
    }
    let mut body = Map::new();
    insert(&mut body, "model", request.model.as_str());
    insert(&mut body, "input", input);
    insert_some(&mut body, "dimensions", request.dimensions);
    let (mut options, mut params) = (Map::new(), Vec::new());
    for (name, value) in request.extra.iter().filter(|(_, value)| !value.is_null()) {
        match (name.as_str(), value) {
            ("keep_alive" | "truncate", value) => insert(&mut body, name, value.clone()),
            ("options", Value::Object(own)) => options.extend(own.clone()),
            (name, value) if NATIVE_PARAMS.contains(&name) => insert(&mut options, name, value.clone()),
            (name, _) if IGNORED_PARAMS.contains(&name) => {}
            (name, _) => params.push(name.to_owned()),
        }
    }
    if !params.is_empty() {
        return Err(EncodeError::Unsupported { params });
    }
    if !options.is_empty() {
        insert(&mut body, "options", options);
    }
    let mut lost = Losses::default();
    request.native.keys().for_each(|name| lost.note(name.clone()));
    Ok(Outbound {
        path: EMBED_PATH.to_owned(),
        headers: Vec::new(),
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost,
    })
}

/// Reads the vectors.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer, [`ReplyFault::Malformed`] for anything but one vector
/// of numbers per input.
pub fn decode_embeddings(body: &[u8], request: &EmbeddingRequest) -> Result<EmbeddingReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = in_place_of_answer(&reply) {
        return Err(ReplyFault::Error(error));
    }
    let vectors = items(&reply, "embeddings");
    if vectors.len() != request.input.len() {
        return Err(ReplyFault::Malformed("not one embedding per input"));
    }
    let data = vectors.iter().map(Embedding::of_numbers).collect::<Option<Vec<_>>>();
    Ok(EmbeddingReply {
        model: request.model.clone(),
        data: data.ok_or(ReplyFault::Malformed("an embedding is not a list of numbers"))?,
        usage: Usage { input_tokens: count(&reply, "prompt_eval_count").unwrap_or(0), ..Usage::default() },
    })
}
