//! Google's errors, as they are recorded and documented, and what they mean.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::failure::{FailureClass, MESSAGE_BYTES_MAX, ProviderError};
use tollgate_dialect::gemini::decode_error;

fn error(code: u16, status: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "status": status}})
}

fn decode(status: u16, body: &Value) -> ProviderError {
    decode_error(status, body.to_string().as_bytes())
}

#[test]
fn every_status_word_has_its_class() {
    use FailureClass as Class;
    let table = [
        (400, "INVALID_ARGUMENT", "Invalid value at 'contents[0].role'", Class::BadRequest),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Class::Authentication),
        (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", Class::Authentication),
        (400, "INVALID_ARGUMENT", "API Key not found. Please pass a valid API key.", Class::Authentication),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            Class::ContextWindow,
        ),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count exceeds the maximum number of tokens allowed 1048576.",
            Class::ContextWindow,
        ),
        (400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes.", Class::TooLarge),
        (400, "INVALID_ARGUMENT", "The request was refused under our content policy.", Class::ContentPolicy),
        (
            400,
            "INVALID_ARGUMENT",
            "Invalid JSON payload received. Unknown name \"tokens\"",
            Class::BadRequest,
        ),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", Class::Permission),
        (
            400,
            "FAILED_PRECONDITION",
            "Please enable billing on your project in Google AI Studio.",
            Class::Permission,
        ),
        (400, "FAILED_PRECONDITION", "Precondition check failed.", Class::BadRequest),
        (400, "OUT_OF_RANGE", "Out of range", Class::BadRequest),
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", Class::Authentication),
        (403, "PERMISSION_DENIED", "Your API key was reported as leaked.", Class::Permission),
        (404, "NOT_FOUND", "models/gemini-x is not found for API version v1beta", Class::NotFound),
        (409, "ALREADY_EXISTS", "exists", Class::BadRequest),
        (409, "ABORTED", "aborted", Class::Server),
        (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", Class::RateLimit),
        (499, "CANCELLED", "The operation was cancelled.", Class::Timeout),
        (500, "INTERNAL", "An internal error has occurred.", Class::Server),
        (500, "UNKNOWN", "Unknown", Class::Server),
        (500, "DATA_LOSS", "Data loss", Class::Server),
        (501, "UNIMPLEMENTED", "Operation is not implemented.", Class::NotFound),
        (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", Class::Overloaded),
        (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", Class::Timeout),
    ];
    for (status, word, message, class) in table {
        let expect = ProviderError {
            class,
            status,
            message: message.to_owned(),
            kind: Some(word.to_owned()),
            ..ProviderError::default()
        };
        let body = error(status, word, message);
        assert_eq!(decode(status, &body), expect);
        assert_eq!(decode(status, &json!([body])), expect, "in an array");
    }
}

#[test]
fn without_a_known_word_the_status_decides() {
    use FailureClass as Class;
    let table = [
        (400, Class::BadRequest),
        (401, Class::Authentication),
        (403, Class::Permission),
        (404, Class::NotFound),
        (408, Class::Timeout),
        (413, Class::TooLarge),
        (422, Class::BadRequest),
        (429, Class::RateLimit),
        (499, Class::Timeout),
        (500, Class::Server),
        (502, Class::Server),
        (503, Class::Overloaded),
        (504, Class::Timeout),
        (529, Class::Overloaded),
        (302, Class::Server),
    ];
    for (status, class) in table {
        assert_eq!(decode(status, &error(status, "NEWER_WORD", "x")).class, class, "{status}");
        assert_eq!(decode_error(status, b"<html>").class, class, "{status}");
    }
}

#[test]
fn a_body_that_is_no_error_is_not_quoted() {
    for body in [
        &b"<html><b>secret</b></html>"[..],
        b"",
        b"\xff\xfe",
        b"secret",
        b"[]",
        b"{\"secret\":1}",
        b"{\"error\":\"secret\"}",
    ] {
        let error = decode_error(502, body);
        assert_eq!(error.message, "the provider answered with status 502 and no readable error");
        assert_eq!((error.kind, error.code, error.retry_delay_ms), (None, None, None));
    }
}

#[test]
fn the_reason_in_the_details_counts_and_is_the_code() {
    let mut body = error(400, "INVALID_ARGUMENT", "Something about the key");
    body["error"]["details"] = json!([
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"},
        {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": "API key not valid."},
    ]);
    let error = decode(400, &body);
    assert_eq!((error.class, error.code.as_deref()), (FailureClass::Authentication, Some("API_KEY_INVALID")));
}

#[test]
fn a_full_quota_says_how_long_to_wait() {
    let table = [
        (json!("39s"), Some(39_000)),
        (json!("0s"), Some(0)),
        (json!("3.5s"), Some(3_500)),
        (json!("0.001s"), Some(1)),
        (json!("0.000000001s"), Some(1)),
        (json!("54.123456789s"), Some(54_124)),
        (json!("54.123000000s"), Some(54_123)),
        (json!("18446744073709551615s"), None),
        (json!("99999999999999999999s"), None),
        (json!("-3s"), None),
        (json!("s"), None),
        (json!(".5s"), None),
        (json!("3"), None),
        (json!("3m"), None),
        (json!("1e3s"), None),
        (json!(39), None),
        (json!(null), None),
    ];
    for (delay, expect) in table {
        let mut body = error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.");
        body["error"]["details"] = json!([
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerMinute"}]},
            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]);
        assert_eq!(decode(429, &body).retry_delay_ms, expect, "{delay}");
    }
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    for (letter, kept) in
        [("a", MESSAGE_BYTES_MAX), ("é", MESSAGE_BYTES_MAX), ("\u{20ac}", 2_046), ("\u{1f600}", 2_048)]
    {
        let message = decode(400, &error(400, "INVALID_ARGUMENT", &letter.repeat(5_000))).message;
        assert_eq!(message.len(), kept, "{letter}");
        assert_eq!(message, letter.repeat(kept / letter.len()));
    }
}
