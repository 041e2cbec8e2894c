//! What Cohere's errors mean, and errors in its words for callers.
//!
//! Source: Cohere's page on errors (statuses and sentences). A body is `{"id", "message"}`.

use crate::failure::{FailureClass, MESSAGE_BYTES_MAX, ProviderError};
use crate::json::value::{filled_text, insert, insert_some};
use crate::wire::CallerError;
use serde_json::{Map, Value};

/// What a sentence holds, in lower case, where it says more than its status.
const SENTENCES: [(&str, FailureClass); 9] = [
    ("too many tokens", FailureClass::ContextWindow),
    ("context length", FailureClass::ContextWindow),
    ("maximum context", FailureClass::ContextWindow),
    ("exceeds the token limit", FailureClass::ContextWindow),
    ("size limit exceeded", FailureClass::ContextWindow),
    ("usage guidelines", FailureClass::ContentPolicy),
    ("usage policy", FailureClass::ContentPolicy),
    ("was blocked", FailureClass::ContentPolicy),
    ("billing limit", FailureClass::Permission),
];

/// Reads the body of an error reply. A body that is not Cohere's is judged by its status, and not quoted.
pub fn decode_error(status: u16, body: &[u8]) -> ProviderError {
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let message = filled_text(&body, "message")
        .or_else(|| filled_text(&body, "detail"))
        .map_or_else(|| format!("the provider answered {status} without a readable error"), capped);
    let class = class(status, &message);
    ProviderError { class, status, message, ..ProviderError::default() }
}

/// An error that a stream or a reply tells in a sentence; the status is the one that the sentence stands for.
pub(super) fn of_stream(sentence: &str, known: Option<FailureClass>) -> ProviderError {
    let words = sentence.to_ascii_lowercase();
    let class = known.or_else(|| by_sentence(&words)).unwrap_or(FailureClass::Server);
    let status = match class {
        FailureClass::ContextWindow => 400,
        FailureClass::ContentPolicy => 498,
        FailureClass::Permission => 402,
        FailureClass::Timeout => 504,
        _ => 500,
    };
    ProviderError { class, status, message: capped(sentence), ..ProviderError::default() }
}

fn by_sentence(words: &str) -> Option<FailureClass> {
    SENTENCES.iter().find(|(said, _)| words.contains(said)).map(|(_, class)| *class)
}

fn class(status: u16, message: &str) -> FailureClass {
    match status {
        401 => FailureClass::Authentication,
        402 | 403 => FailureClass::Permission,
        404 => FailureClass::NotFound,
        // 499: the request was given up on Cohere's side.
        408 | 499 | 504 => FailureClass::Timeout,
        413 => FailureClass::TooLarge,
        429 => FailureClass::RateLimit,
        498 => FailureClass::ContentPolicy,
        503 | 529 => FailureClass::Overloaded,
        400..=497 => by_sentence(&message.to_ascii_lowercase()).unwrap_or(FailureClass::BadRequest),
        _ => FailureClass::Server,
    }
}

/// Writes an error for a caller. Cohere tells the kind by the status alone.
pub fn encode_error(error: &CallerError<'_>) -> Vec<u8> {
    let mut body = Map::new();
    insert_some(&mut body, "id", error.request_id);
    insert(&mut body, "message", error.message);
    Value::Object(body).to_string().into_bytes()
}

/// The sentence, cut at a character's end.
fn capped(message: &str) -> String {
    let is_end = |end: &usize| message.is_char_boundary(*end);
    let end = (0..=message.len().min(MESSAGE_BYTES_MAX)).rev().find(is_end).unwrap_or(0);
    message.get(..end).unwrap_or_default().to_owned()
}
