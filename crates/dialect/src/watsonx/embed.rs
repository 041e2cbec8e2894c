//! Embeddings at watsonx.

use super::{Place, error_in_place_of_answer};
use crate::conversation::{Embedding, EmbeddingInput, EmbeddingReply, EmbeddingRequest, Usage};
use crate::json::value::{count, insert, items};
use crate::wire::{EncodeError, Losses, Outbound, Reading, ReplyFault};
use serde_json::{Map, Value, json};

/// OpenAI's members without which the vectors are the same.
const IGNORED_PARAMS: &[&str] = &["encoding_format", "metadata"];

/// Writes an embedding request.
///
/// # Errors
/// [`EncodeError::Invalid`] for token ids, which only OpenAI's models read, and for what is missing of `place`;
/// [`EncodeError::Unsupported`] for members that watsonx has no word for, `dimensions` among them.
pub fn encode_embeddings(request: &EmbeddingRequest, place: &Place) -> Result<Outbound, EncodeError> {
    let mut inputs = Vec::with_capacity(request.input.len());
    for (index, input) in request.input.iter().enumerate() {
        match input {
            EmbeddingInput::Text(text) => inputs.push(text.as_str()),
            EmbeddingInput::Tokens(_) => {
                return Err(EncodeError::Invalid {
                    param: format!("input[{index}]"),
                    message: "this provider embeds text, not token ids".to_owned(),
                });
            }
        }
    }
    let mut body = Map::new();
    insert(&mut body, "inputs", inputs);
    let mut params: Vec<String> = request.dimensions.iter().map(|_| "dimensions".to_owned()).collect();
    for (name, value) in request.extra.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "truncate_input_tokens" => {
                insert(&mut body, "parameters", json!({"truncate_input_tokens": value}));
            }
            "parameters" => insert(&mut body, "parameters", value.clone()),
            name if IGNORED_PARAMS.contains(&name) => {}
            _ => params.push(name.clone()),
        }
    }
    if !params.is_empty() {
        return Err(EncodeError::Unsupported { params });
    }
    let path = place.address(&request.model, "embeddings", &mut body)?;
    let mut lost = Losses::default();
    request.native.keys().for_each(|name| lost.note(name.clone()));
    Ok(Outbound {
        path,
        body: Value::Object(body).to_string().into_bytes(),
        reading: Reading { model: request.model.clone(), ..Reading::default() },
        lost,
        ..Outbound::default()
    })
}

/// Reads the vectors.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of an answer, [`ReplyFault::Malformed`] for anything but one vector
/// of numbers per input.
pub fn decode_embeddings(body: &[u8], request: &EmbeddingRequest) -> Result<EmbeddingReply, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = error_in_place_of_answer(body) {
        return Err(ReplyFault::Error(error));
    }
    let results = items(&reply, "results");
    if results.len() != request.input.len() {
        return Err(ReplyFault::Malformed("not one embedding per input"));
    }
    let vectors = results.iter().map(|result| result.get("embedding").and_then(Embedding::of_numbers));
    Ok(EmbeddingReply {
        model: request.model.clone(),
        data: vectors
            .collect::<Option<Vec<_>>>()
            .ok_or(ReplyFault::Malformed("an embedding is not a list of numbers"))?,
        usage: Usage { input_tokens: count(&reply, "input_token_count").unwrap_or(0), ..Usage::default() },
    })
}
