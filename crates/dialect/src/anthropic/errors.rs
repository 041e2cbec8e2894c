//! What Anthropic's errors mean, and errors in its words for callers. Owns the table of its error types and the
//! sentences that say more than the type.
//!
//! Source: Anthropic's page on errors (types and statuses), and the sentences that its API answers with.

use super::members::{filled_text, object, text};
use crate::failure::{FailureClass, MESSAGE_BYTES_MAX, ProviderError};
use crate::wire::CallerError;
use serde_json::Value;

/// Error type, the status that it comes with, its class.
const TYPES: [(&str, u16, FailureClass); 11] = [
    ("invalid_request_error", 400, FailureClass::BadRequest),
    ("authentication_error", 401, FailureClass::Authentication),
    ("billing_error", 402, FailureClass::Permission),
    ("permission_error", 403, FailureClass::Permission),
    ("not_found_error", 404, FailureClass::NotFound),
    ("conflict_error", 409, FailureClass::BadRequest),
    ("request_too_large", 413, FailureClass::TooLarge),
    ("rate_limit_error", 429, FailureClass::RateLimit),
    ("api_error", 500, FailureClass::Server),
    ("timeout_error", 504, FailureClass::Timeout),
    ("overloaded_error", 529, FailureClass::Overloaded),
];

/// What a refused request's sentence begins with or holds, in lower case, where it says more than its type.
const SENTENCES: [(&str, FailureClass); 6] = [
    ("prompt is too long", FailureClass::ContextWindow),
    ("exceed context limit", FailureClass::ContextWindow),
    ("exceeds the context window", FailureClass::ContextWindow),
    ("content filtering policy", FailureClass::ContentPolicy),
    ("usage policy", FailureClass::ContentPolicy),
    // The account behind the gateway's key is empty; the caller's request is sound.
    ("credit balance is too low", FailureClass::Permission),
];

/// Writes an error for a caller: the type is that of the status.
pub fn encode_error(error: &CallerError<'_>) -> Vec<u8> {
    body(error).to_string().into_bytes()
}

/// The body of an error, which is also what an error event of a stream holds.
pub(super) fn body(error: &CallerError<'_>) -> Value {
    let inner = object([("type", kind(error.status).into()), ("message", error.message.into())]);
    let mut body = object([("type", "error".into()), ("error", Value::Object(inner))]);
    if let Some(id) = error.request_id {
        body.insert("request_id".to_owned(), id.into());
    }
    Value::Object(body)
}

/// The type that goes with a status; 408 and 503 are others' statuses for what Anthropic says with 504 and 529.
fn kind(status: u16) -> &'static str {
    let own = TYPES.iter().find(|(_, own, _)| *own == status).map(|(kind, _, _)| *kind);
    own.unwrap_or(match status {
        408 => "timeout_error",
        503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    })
}

/// Reads the body of an error reply. A body that is not Anthropic's is judged by its status, and not quoted.
pub fn decode_error(status: u16, body: &[u8]) -> ProviderError {
    let error = serde_json::from_slice::<Value>(body).ok().and_then(|body| read(&body));
    match error {
        Some(error) => ProviderError { status, class: class(&error, status), ..error },
        None => ProviderError {
            status,
            class: class_of_status(status),
            message: format!("the provider answered {status} without a readable error"),
            ..ProviderError::default()
        },
    }
}

/// The error in a reply or event that should have been an answer; its status is the one that its type stands for.
pub(super) fn in_reply(reply: &Value) -> Option<ProviderError> {
    if text(reply, "type") != Some("error") {
        return None;
    }
    let error = read(reply).unwrap_or_default();
    let known = error.kind.as_deref().and_then(of_type);
    let status = known.map_or(500, |(status, _)| status);
    Some(ProviderError { status, class: class(&error, status), ..error })
}

/// The facts of an error object, not yet classed.
fn read(body: &Value) -> Option<ProviderError> {
    let error = body.get("error")?;
    // Some compatible servers answer with a bare sentence.
    let message = error.as_str().or_else(|| text(error, "message"))?;
    let code = error.get("details").and_then(|details| filled_text(details, "error_code"));
    Some(ProviderError {
        message: capped(message),
        kind: filled_text(error, "type").map(str::to_owned),
        code: code.map(str::to_owned),
        ..ProviderError::default()
    })
}

fn class(error: &ProviderError, status: u16) -> FailureClass {
    // Whoever says 429 wants to be left alone, also where what stands before the provider words it in a type of its own.
    if status == 429 {
        return FailureClass::RateLimit;
    }
    let class =
        error.kind.as_deref().and_then(of_type).map_or_else(|| class_of_status(status), |(_, class)| class);
    if !matches!(class, FailureClass::BadRequest | FailureClass::TooLarge) {
        return class;
    }
    let sentence = error.message.to_ascii_lowercase();
    SENTENCES.iter().find(|(said, _)| sentence.contains(said)).map_or(class, |(_, class)| *class)
}

fn of_type(kind: &str) -> Option<(u16, FailureClass)> {
    TYPES.iter().find(|(name, _, _)| *name == kind).map(|(_, status, class)| (*status, *class))
}

fn class_of_status(status: u16) -> FailureClass {
    match status {
        401 => FailureClass::Authentication,
        402 | 403 => FailureClass::Permission,
        404 => FailureClass::NotFound,
        408 | 504 => FailureClass::Timeout,
        413 => FailureClass::TooLarge,
        429 => FailureClass::RateLimit,
        503 | 529 => FailureClass::Overloaded,
        400..=499 => FailureClass::BadRequest,
        _ => FailureClass::Server,
    }
}

/// The sentence, cut at a character's end.
fn capped(message: &str) -> String {
    let is_end = |end: &usize| message.is_char_boundary(*end);
    let end = (0..=message.len().min(MESSAGE_BYTES_MAX)).rev().find(is_end).unwrap_or(0);
    message.get(..end).unwrap_or_default().to_owned()
}
