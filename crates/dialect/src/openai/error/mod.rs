//! Errors of OpenAI and of those who imitate it.
//!
//! Owns which body means what, whatever shape it has, and the caller's errors in OpenAI's own form: the body, and the
//! frame that ends a stream which has begun. Leaves statuses towards the caller to the server crate.
//!
//! **Invariant:** the message is a sentence that the provider wrote for people: never markup, never a whole body.

mod fields;
mod words;

use crate::failure::{FailureClass, ProviderError};
use crate::json::write::Object;
use crate::wire::CallerError;
use fields::Fields;
use serde_json::Value;

/// Reads the error body of an OpenAI-compatible provider. Never fails: what says nothing is classed by its status.
///
/// Known shapes: `{error: {message, type, param, code}}` (OpenAI, most others), the same in a list (Gemini's
/// compatible surface), `{error: "text"}` (xAI, Ollama, Hugging Face), `{message}` (Mistral, Azure's gateway),
/// `{detail}` and FastAPI's list of `{loc, msg}`, `{errors: [..]}` (Cloudflare), plain text. HTML says nothing.
/// A `status` below 400 is an error inside a reply or stream: the status that it stands for is read from the body.
pub fn decode_error(status: u16, body: &[u8]) -> ProviderError {
    let fields = match serde_json::from_slice::<Value>(body) {
        Ok(value) => Fields::of_json(&value),
        Err(_) => Fields::of_text(body),
    };
    finish(status, fields)
}

/// The error that stands in the place of an answer or of a chunk: a 200 that is none. `None` when it is no error.
pub(crate) fn in_place_of_answer(value: &Value) -> Option<ProviderError> {
    let members = value.as_object()?;
    let has_error = members.get("error").is_some_and(|error| !error.is_null());
    // vLLM's older form, and Mistral's: `{"object": "error", "message": ...}`.
    let is_error = members.get("object").and_then(Value::as_str) == Some("error")
        || members.get("type").and_then(Value::as_str) == Some("error");
    (has_error || is_error).then(|| finish(200, Fields::of_json(value)))
}

fn finish(status: u16, fields: Fields) -> ProviderError {
    let status = if status < 400 { stands_for(&fields) } else { status };
    let class = classify(status, &fields.words());
    ProviderError {
        class,
        status,
        message: fields.message,
        kind: fields.kind,
        param: fields.param,
        code: fields.code,
        ..ProviderError::default()
    }
}

/// The status that an error without one of its own stands for: a number in its code, or its type's usual status.
fn stands_for(fields: &Fields) -> u16 {
    let number = fields.code.as_deref().and_then(|code| code.parse::<u16>().ok());
    if let Some(number) = number.filter(|number| (400..600).contains(number)) {
        return number;
    }
    let words = fields.words();
    words::STATUS_WORDS.iter().find(|(word, _)| words.contains(word)).map_or(500, |(_, status)| *status)
}

/// What a status and the lower-cased words of its body mean together.
fn classify(status: u16, words: &str) -> FailureClass {
    let says = |list: &[&str]| list.iter().any(|word| words.contains(word));
    match status {
        // A wrong key is a wrong key, whatever else the body says.
        401 => FailureClass::Authentication,
        402 | 403 if says(words::CONTENT_POLICY) => FailureClass::ContentPolicy,
        402 | 403 => FailureClass::Permission,
        // 504 and Cloudflare's 522 and 524: somebody on the provider's side waited in vain.
        408 | 504 | 522 | 524 => FailureClass::Timeout,
        // Quotas that are used up (`insufficient_quota`) come as 429 as well.
        429 => FailureClass::RateLimit,
        // 498 is Groq's for a full flex tier; 529 is Anthropic's for overload.
        498 | 503 | 529 => FailureClass::Overloaded,
        // Groq answers 413 to a request that is larger than a minute's tokens.
        413 if says(words::RATE_LIMIT) => FailureClass::RateLimit,
        _ if says(words::CONTEXT_WINDOW) => FailureClass::ContextWindow,
        _ if says(words::CONTENT_POLICY) => FailureClass::ContentPolicy,
        404 | 410 => FailureClass::NotFound,
        413 => FailureClass::TooLarge,
        500.. => FailureClass::Server,
        _ if says(words::AUTHENTICATION) => FailureClass::Authentication,
        _ if says(words::NOT_FOUND) => FailureClass::NotFound,
        _ => FailureClass::BadRequest,
    }
}

/// The body of an error, as OpenAI and LiteLLM give it. `code` is the error's own, else its status.
pub fn encode_error(error: &CallerError<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut body = Object::open(&mut out);
    body.object("error", |object| {
        object.string("message", error.message);
        write_word("type", error.kind, object);
        write_word("param", error.param, object);
        match error.code {
            Some(code) => object.string("code", code),
            None => object.string("code", &error.status.to_string()),
        }
    });
    body.close();
    out
}

fn write_word(name: &str, word: Option<&str>, object: &mut Object<'_>) {
    match word {
        Some(word) => object.string(name, word),
        None => object.raw(name, "null"),
    }
}

/// The frame that ends a stream which cannot go on, letter by letter as LiteLLM writes it. No `[DONE]` follows.
pub fn error_frame(error: &CallerError<'_>) -> Vec<u8> {
    let mut out = b"data: {\"error\": {\"message\": ".to_vec();
    super::write::string(error.message, &mut out);
    out.extend_from_slice(b", \"type\": ");
    match error.kind {
        Some(kind) => super::write::string(kind, &mut out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b", \"param\": null, \"code\": ");
    match error.code {
        Some(code) => super::write::string(code, &mut out),
        None => super::write::string(&error.status.to_string(), &mut out),
    }
    out.extend_from_slice(b"}}\n\n");
    out
}
