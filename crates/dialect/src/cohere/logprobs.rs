//! Log probabilities: Cohere's pieces of text with their tokens, and OpenAI's tokens.

use crate::json::value::items;
use serde_json::{Value, json};

/// Reads Cohere's list as OpenAI's `logprobs` object. A piece of several tokens is one entry with their joint
/// probability, since nobody says which token is which of its letters.
pub(super) fn read(pieces: &[Value]) -> Option<Value> {
    let content: Vec<Value> = pieces.iter().filter_map(read_piece).collect();
    (!content.is_empty()).then(|| json!({"content": content, "refusal": null}))
}

fn read_piece(piece: &Value) -> Option<Value> {
    let text = piece.get("text")?.as_str()?;
    let numbers = items(piece, "logprobs");
    if numbers.is_empty() {
        return None;
    }
    let logprob: f64 = numbers.iter().filter_map(Value::as_f64).sum();
    Some(json!({"token": text, "logprob": logprob, "bytes": text.as_bytes(), "top_logprobs": []}))
}

/// Whether alternatives stand beside the tokens, which Cohere has no place for.
pub(super) fn has_rivals(logprobs: &Value) -> bool {
    let tokens = items(logprobs, "content").iter().chain(items(logprobs, "refusal"));
    tokens.into_iter().any(|token| !items(token, "top_logprobs").is_empty())
}

/// Writes OpenAI's `logprobs` object as Cohere's list. Other makers' token ids are not known.
pub(super) fn write(logprobs: &Value) -> Vec<Value> {
    let tokens = items(logprobs, "content").iter().chain(items(logprobs, "refusal"));
    tokens
        .map(|token| {
            json!({
                "text": token.get("token").cloned().unwrap_or_default(),
                "token_ids": [],
                "logprobs": [token.get("logprob").cloned().unwrap_or_default()],
            })
        })
        .collect()
}
