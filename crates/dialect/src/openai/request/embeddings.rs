//! Embedding requests.

use super::Place;
use crate::conversation::{EmbeddingInput, EmbeddingRequest};
use crate::openai::read;
use crate::wire::RequestError;
use serde_json::{Map, Value, json};

/// Reads an `embeddings` body. `input` is a text, a list of texts, a list of token ids, or a list of such lists.
///
/// # Errors
/// [`RequestError`] names the first member that is missing, of the wrong type or not a known word.
pub fn decode_embeddings(body: &[u8]) -> Result<EmbeddingRequest, RequestError> {
    let mut request = EmbeddingRequest::default();
    let mut has_model = false;
    for (name, value) in read::body(body)? {
        if value.is_null() {
            continue;
        }
        let at = &Place::Top(&name);
        match name.as_str() {
            "model" => {
                request.model = read::filled_string(value, at)?;
                has_model = true;
            }
            "input" => request.input = read_input(value, at)?,
            "dimensions" => request.dimensions = Some(read::natural(&value, at)?),
            "encoding_format" => {
                let word = read::string(value, at)?;
                request.base64 = match word.as_str() {
                    "float" => false,
                    "base64" => true,
                    _ => return Err(at.unknown_word(&word, &["float", "base64"])),
                };
            }
            "user" => request.user = Some(read::string(value, at)?),
            _ => {
                request.extra.insert(name, value);
            }
        }
    }
    if !has_model {
        return Err(Place::Top("model").missing());
    }
    if request.input.is_empty() {
        return Err(Place::Top("input").missing());
    }
    Ok(request)
}

fn read_input(value: Value, at: &Place<'_>) -> Result<Vec<EmbeddingInput>, RequestError> {
    let items = match value {
        Value::String(text) => return Ok(vec![EmbeddingInput::Text(text)]),
        Value::Array(items) => items,
        other => return Err(read::neither_string_nor_list(&other, "strings or of token ids", at)),
    };
    if items.is_empty() {
        return Err(at.error("must not be an empty list"));
    }
    if items.iter().all(Value::is_number) {
        return Ok(vec![read_tokens(&items, at)?]);
    }
    let items = items.into_iter().enumerate();
    items
        .map(|(index, item)| match item {
            Value::String(text) => Ok(EmbeddingInput::Text(text)),
            Value::Array(tokens) => read_tokens(&tokens, &at.item(index)),
            other => Err(read::neither_string_nor_list(&other, "token ids", &at.item(index))),
        })
        .collect()
}

fn read_tokens(items: &[Value], at: &Place<'_>) -> Result<EmbeddingInput, RequestError> {
    if items.is_empty() {
        return Err(at.error("must not be an empty list"));
    }
    let tokens = items.iter().enumerate().map(|(index, item)| read::natural(item, &at.item(index)));
    Ok(EmbeddingInput::Tokens(tokens.collect::<Result<_, _>>()?))
}

/// Writes an `embeddings` body; `input` is always a list.
pub fn encode_embedding_request(request: &EmbeddingRequest) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(request.model));
    let input = request.input.iter().map(|input| match input {
        EmbeddingInput::Text(text) => json!(text),
        EmbeddingInput::Tokens(tokens) => json!(tokens),
    });
    body.insert("input".to_owned(), Value::Array(input.collect()));
    if let Some(dimensions) = request.dimensions {
        body.insert("dimensions".to_owned(), json!(dimensions));
    }
    if request.base64 {
        body.insert("encoding_format".to_owned(), json!("base64"));
    }
    if let Some(user) = &request.user {
        body.insert("user".to_owned(), json!(user));
    }
    body.extend(request.extra.clone());
    Value::Object(body).to_string().into_bytes()
}
