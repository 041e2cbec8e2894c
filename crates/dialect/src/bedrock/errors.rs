//! What Bedrock's errors mean, and the caller's errors in its form.
//!
//! Owns the table of its exceptions (names and statuses of AWS's service model, and the common errors of all of AWS's
//! services) and the sentences that say more than the exception. An exception's name stands in the header
//! `x-amzn-ErrorType`, which whoever has the headers may read; some bodies have it as `__type`.

use super::members::{filled_text, object, text};
use crate::failure::{FailureClass, MESSAGE_BYTES_MAX, ProviderError};
use crate::wire::CallerError;
use serde_json::Value;

/// Exception, the status that it comes with, its class. Of several with one status the first is the one that is written
/// for it.
const EXCEPTIONS: [(&str, u16, FailureClass); 23] = [
    ("ValidationException", 400, FailureClass::BadRequest),
    ("SerializationException", 400, FailureClass::BadRequest),
    ("ConflictException", 400, FailureClass::BadRequest),
    ("ServiceQuotaExceededException", 400, FailureClass::RateLimit),
    ("ExpiredTokenException", 403, FailureClass::Authentication),
    ("UnrecognizedClientException", 401, FailureClass::Authentication),
    ("InvalidSignatureException", 403, FailureClass::Authentication),
    ("IncompleteSignatureException", 403, FailureClass::Authentication),
    ("InvalidClientTokenId", 403, FailureClass::Authentication),
    ("MissingAuthenticationTokenException", 403, FailureClass::Authentication),
    ("AccessDeniedException", 403, FailureClass::Permission),
    ("ResourceNotFoundException", 404, FailureClass::NotFound),
    ("UnknownOperationException", 404, FailureClass::NotFound),
    ("ModelTimeoutException", 408, FailureClass::Timeout),
    ("RequestEntityTooLargeException", 413, FailureClass::TooLarge),
    ("ModelErrorException", 424, FailureClass::Server),
    ("ModelStreamErrorException", 424, FailureClass::Server),
    ("ThrottlingException", 429, FailureClass::RateLimit),
    ("TooManyRequestsException", 429, FailureClass::RateLimit),
    ("ModelNotReadyException", 429, FailureClass::Overloaded),
    ("InternalServerException", 500, FailureClass::Server),
    ("InternalFailure", 500, FailureClass::Server),
    ("ServiceUnavailableException", 503, FailureClass::Overloaded),
];

/// What a sentence holds, in lower case, where it says more than its exception.
const SENTENCES: [(&str, FailureClass); 15] = [
    ("input is too long", FailureClass::ContextWindow),
    ("prompt is too long", FailureClass::ContextWindow),
    ("too many input tokens", FailureClass::ContextWindow),
    ("exceed context limit", FailureClass::ContextWindow),
    ("exceeds the context window", FailureClass::ContextWindow),
    ("maximum context length", FailureClass::ContextWindow),
    ("exceeds the maximum number of input tokens", FailureClass::ContextWindow),
    ("content filtering policy", FailureClass::ContentPolicy),
    ("blocked by our content filters", FailureClass::ContentPolicy),
    ("content filter", FailureClass::ContentPolicy),
    ("usage policy", FailureClass::ContentPolicy),
    // With a status of its own each, but all say that the key is wrong.
    ("security token", FailureClass::Authentication),
    ("the request signature we calculated does not match", FailureClass::Authentication),
    ("authentication failed", FailureClass::Authentication),
    ("api key", FailureClass::Authentication),
];

/// Reads the body of an error reply. A body that is not the service's is judged by its status, and not quoted.
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

/// The error of an exception in a stream, or of a body that should have been an answer: its status is the one that its
/// exception stands for.
pub(super) fn of_exception(name: Option<&str>, body: &Value) -> ProviderError {
    let mut error = read(body).unwrap_or_default();
    error.kind = name.map(pascal_case).or(error.kind);
    let known = error.kind.as_deref().and_then(of_kind);
    let status = known.map_or(500, |(status, _)| status);
    ProviderError { status, class: class(&error, status), ..error }
}

/// The error in a reply that should have been an answer.
pub(super) fn in_reply(reply: &Value) -> Option<ProviderError> {
    let is_error = reply.get("output").is_none() && read(reply).is_some();
    is_error.then(|| of_exception(None, reply))
}

/// The facts of an error's body, not yet classed.
fn read(body: &Value) -> Option<ProviderError> {
    let message = ["message", "Message", "originalMessage"].iter().find_map(|name| filled_text(body, name));
    // `com.amazonaws.bedrock#ValidationException`, with a colon and an address behind it at times.
    let kind = text(body, "__type").map(|kind| {
        let kind = kind.rsplit('#').next().unwrap_or(kind);
        kind.split(':').next().unwrap_or(kind).to_owned()
    });
    if message.is_none() && kind.is_none() {
        return None;
    }
    Some(ProviderError {
        message: capped(message.or(kind.as_deref()).unwrap_or_default()),
        kind,
        ..ProviderError::default()
    })
}

fn class(error: &ProviderError, status: u16) -> FailureClass {
    let known = error.kind.as_deref().and_then(of_kind);
    let class = known.map_or_else(|| class_of_status(status), |(_, class)| class);
    let is_told = |class: FailureClass| match class {
        FailureClass::BadRequest | FailureClass::TooLarge => true,
        FailureClass::Permission => error.kind.is_none(),
        _ => false,
    };
    if !is_told(class) {
        return class;
    }
    let sentence = error.message.to_ascii_lowercase();
    SENTENCES.iter().find(|(said, _)| sentence.contains(said)).map_or(class, |(_, class)| *class)
}

fn of_kind(kind: &str) -> Option<(u16, FailureClass)> {
    EXCEPTIONS.iter().find(|(name, _, _)| *name == kind).map(|(_, status, class)| (*status, *class))
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
        // The model failed, not the request (`ModelErrorException`).
        424 => FailureClass::Server,
        400..=499 => FailureClass::BadRequest,
        _ => FailureClass::Server,
    }
}

/// `throttlingException`, as streams have it, is `ThrottlingException` elsewhere.
fn pascal_case(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The sentence, cut at a character's end.
fn capped(message: &str) -> String {
    let is_end = |end: &usize| message.is_char_boundary(*end);
    let end = (0..=message.len().min(MESSAGE_BYTES_MAX)).rev().find(is_end).unwrap_or(0);
    message.get(..end).unwrap_or_default().to_owned()
}

/// The body of an error to a caller: `{"message": ...}`. Its kind goes into a header ([`error_type`]).
pub fn encode_error(error: &CallerError<'_>) -> Vec<u8> {
    object([("message", error.message.into())]).to_string().into_bytes()
}

/// The value of the header `x-amzn-ErrorType` for a status; AWS's clients take the class of the exception from it.
pub fn error_type(status: u16) -> &'static str {
    let status = match status {
        // Keys that are wrong or have run out are 401 to callers; 403 is for who may not.
        402 | 403 => return "AccessDeniedException",
        504 => 408,
        529 => 503,
        other => other,
    };
    let known = EXCEPTIONS.iter().find(|(_, known, _)| *known == status).map(|(name, _, _)| *name);
    known.unwrap_or(if status < 500 { "ValidationException" } else { "InternalServerException" })
}

/// The exception that ends a stream for a status: one of the five that the service model has there.
pub(super) fn stream_exception(status: u16) -> &'static str {
    match status {
        429 => "throttlingException",
        503 | 529 => "serviceUnavailableException",
        408 | 424 | 504 => "modelStreamErrorException",
        400..=499 => "validationException",
        _ => "internalServerException",
    }
}
