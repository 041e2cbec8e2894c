//! Google's error body: `{"error": {"code", "message", "status", "details"}}`.
//!
//! Owns what each status word means, which word a caller gets, and the delay that `RetryInfo` asks for. Leaves the
//! `retry-after` header and the caller's status to others. **Invariant:** a body that is no error object is never quoted.

use crate::failure::{FailureClass, MESSAGE_BYTES_MAX, ProviderError};
use crate::wire::CallerError;
use serde_json::{Map, Value, json};

/// Google's status words (`google.rpc.Code`), the HTTP status that stands for each, and what each means.
const STATUS_WORDS: &[(&str, u16, FailureClass)] = &[
    ("INVALID_ARGUMENT", 400, FailureClass::BadRequest),
    ("FAILED_PRECONDITION", 400, FailureClass::BadRequest),
    ("OUT_OF_RANGE", 400, FailureClass::BadRequest),
    ("UNAUTHENTICATED", 401, FailureClass::Authentication),
    ("PERMISSION_DENIED", 403, FailureClass::Permission),
    ("NOT_FOUND", 404, FailureClass::NotFound),
    ("ALREADY_EXISTS", 409, FailureClass::BadRequest),
    ("ABORTED", 409, FailureClass::Server),
    ("RESOURCE_EXHAUSTED", 429, FailureClass::RateLimit),
    ("CANCELLED", 499, FailureClass::Timeout),
    ("INTERNAL", 500, FailureClass::Server),
    ("UNKNOWN", 500, FailureClass::Server),
    ("DATA_LOSS", 500, FailureClass::Server),
    ("UNIMPLEMENTED", 501, FailureClass::NotFound),
    ("UNAVAILABLE", 503, FailureClass::Overloaded),
    ("DEADLINE_EXCEEDED", 504, FailureClass::Timeout),
];

/// Reads an error reply. Google also sends it as the only element of an array.
pub fn decode_error(status: u16, body: &[u8]) -> ProviderError {
    let root: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    match find_error(&root) {
        Some(error) => read_error(error, Some(status)),
        None => ProviderError {
            class: class_of_status(status),
            status,
            message: format!("the provider answered with status {status} and no readable error"),
            ..ProviderError::default()
        },
    }
}

/// Writes an error for a caller. The status word is the one that Google gives with the status; the parameter at fault is
/// told as its API tells it, in a `BadRequest` detail.
pub fn encode_error(error: &CallerError<'_>) -> Vec<u8> {
    Value::Object(error_object(error)).to_string().into_bytes()
}

/// The members of an error body.
pub(super) fn error_object(error: &CallerError<'_>) -> Map<String, Value> {
    let mut inner = Map::new();
    inner.insert("code".to_owned(), json!(error.status));
    inner.insert("message".to_owned(), json!(error.message));
    inner.insert("status".to_owned(), json!(status_word(error.status)));
    let mut details = Vec::new();
    if let Some(param) = error.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": param, "description": error.message }],
        }));
    }
    if let Some(reason) = error.code.or(error.kind) {
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason }));
    }
    if let Some(id) = error.request_id {
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": id }));
    }
    if !details.is_empty() {
        inner.insert("details".to_owned(), Value::Array(details));
    }
    let mut body = Map::new();
    body.insert("error".to_owned(), Value::Object(inner));
    body
}

/// Google's word for a status: the table's first, or the nearest for one that Google does not give.
fn status_word(status: u16) -> &'static str {
    let listed = STATUS_WORDS.iter().find(|(_, known, _)| *known == status);
    let nearest = match status {
        402 => "PERMISSION_DENIED",
        405 => "UNIMPLEMENTED",
        408 => "DEADLINE_EXCEEDED",
        502 | 529 => "UNAVAILABLE",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    listed.map_or(nearest, |(word, ..)| word)
}

/// The error object of a body, bare or in an array.
pub(super) fn find_error(root: &Value) -> Option<&Value> {
    let holder = match root {
        Value::Array(elements) => elements.first()?,
        other => other,
    };
    holder.get("error").filter(|error| error.is_object())
}

/// Reads an error object. Without an HTTP status (in a stream, in a 200) its own code is the status.
pub(super) fn read_error(error: &Value, status: Option<u16>) -> ProviderError {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let message = text("message").unwrap_or_default();
    let word = text("status");
    let row = STATUS_WORDS.iter().find(|(known, _, _)| Some(*known) == word);
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (400..600).contains(code));
    let status = status.or(code).or(row.map(|(_, status, _)| *status)).unwrap_or(500);
    let details = error.get("details").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let reason = details.iter().find_map(|detail| detail.get("reason").and_then(Value::as_str));
    let class = row.map_or_else(|| class_of_status(status), |(_, _, class)| *class);
    ProviderError {
        class: refine(class, message, reason),
        status,
        message: capped(message),
        kind: word.map(str::to_owned),
        param: None,
        code: reason.map(str::to_owned),
        retry_delay_ms: details.iter().find_map(retry_delay_ms),
    }
}

fn class_of_status(status: u16) -> FailureClass {
    match status {
        401 => FailureClass::Authentication,
        403 => FailureClass::Permission,
        404 => FailureClass::NotFound,
        408 | 499 | 504 => FailureClass::Timeout,
        413 => FailureClass::TooLarge,
        429 => FailureClass::RateLimit,
        503 | 529 => FailureClass::Overloaded,
        400..=498 => FailureClass::BadRequest,
        _ => FailureClass::Server,
    }
}

/// What Google files under a bad request although it is none of the caller's making, or of a kind of its own. The
/// sentences are those of the public API.
fn refine(class: FailureClass, message: &str, reason: Option<&str>) -> FailureClass {
    if class != FailureClass::BadRequest {
        return class;
    }
    let message = message.to_ascii_lowercase();
    let says = |piece: &str| message.contains(piece);
    if matches!(reason, Some("API_KEY_INVALID" | "API_KEY_EXPIRED"))
        || says("api key not valid")
        || says("api key not found")
        || says("api key expired")
    {
        FailureClass::Authentication
    } else if says("location is not supported") || says("billing") {
        FailureClass::Permission
    } else if says("token") && (says("exceeds the maximum") || says("exceed the maximum") || says("too long"))
    {
        FailureClass::ContextWindow
    } else if says("payload size exceeds") || says("request size exceeds") {
        FailureClass::TooLarge
    } else if says("safety polic")
        || says("content polic")
        || says("prohibited content")
        || says("usage polic")
    {
        FailureClass::ContentPolicy
    } else {
        class
    }
}

/// The message, cut at a character's boundary.
fn capped(message: &str) -> String {
    let cut = (0..=MESSAGE_BYTES_MAX).rev().find_map(|end| message.get(..end));
    if message.len() <= MESSAGE_BYTES_MAX { message.to_owned() } else { cut.unwrap_or_default().to_owned() }
}

/// The delay of a `google.rpc.RetryInfo`: a protobuf duration, seconds with up to nine decimals and an `s`. Parts of a
/// millisecond count as a whole one: to come back too early would be refused again.
fn retry_delay_ms(detail: &Value) -> Option<u64> {
    let seconds = detail.get("retryDelay")?.as_str()?.strip_suffix('s')?;
    let (whole, decimals) = seconds.split_once('.').unwrap_or((seconds, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(decimals) {
        return None;
    }
    let millis =
        decimals.bytes().chain(*b"000").take(3).fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
    let has_rest = decimals.bytes().skip(3).any(|byte| byte != b'0');
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(millis + u64::from(has_rest))
}
