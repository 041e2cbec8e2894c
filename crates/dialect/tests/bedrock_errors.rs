//! Bedrock's errors, read from a provider and written for a caller.
#![allow(clippy::unwrap_used, clippy::panic)]

use tollgate_dialect::bedrock::{decode_error, encode_error, error_type};
use tollgate_dialect::failure::{FailureClass, MESSAGE_BYTES_MAX};
use tollgate_dialect::wire::CallerError;

#[test]
fn errors_are_classed_by_exception_status_and_sentence() {
    let check = |status: u16, body: &str, class: FailureClass, message: &str| {
        let error = decode_error(status, body.as_bytes());
        assert_eq!((error.status, error.class, error.message.as_str()), (status, class, message), "{body}");
    };
    let said = |message: &str| format!(r#"{{"message":"{message}"}}"#);
    for (status, message, class) in [
        (400, "The provided model identifier is invalid.", FailureClass::BadRequest),
        (400, "Input is too long for requested model.", FailureClass::ContextWindow),
        (
            400,
            "The model returned the following errors: prompt is too long: 9 tokens > 8 maximum",
            FailureClass::ContextWindow,
        ),
        (400, "400 Bad Request: Too many input tokens. Max input tokens: 8192", FailureClass::ContextWindow),
        (400, "Output blocked by content filtering policy", FailureClass::ContentPolicy),
        (403, "You don't have access to the model with the specified model ID.", FailureClass::Permission),
        (403, "The security token included in the request is expired", FailureClass::Authentication),
        (
            403,
            "The request signature we calculated does not match the signature",
            FailureClass::Authentication,
        ),
        (403, "Authentication failed: Please make sure your API Key is valid.", FailureClass::Authentication),
        (404, "Could not resolve the foundation model", FailureClass::NotFound),
        (408, "Model has timed out", FailureClass::Timeout),
        (424, "The model returned the following errors: Internal server error", FailureClass::Server),
        (429, "Too many tokens per day, please wait before trying again.", FailureClass::RateLimit),
        (500, "The system encountered an unexpected error", FailureClass::Server),
        (503, "Bedrock is unable to process your request.", FailureClass::Overloaded),
    ] {
        check(status, &said(message), class, message);
    }
    check(
        403,
        r#"{"Message":"no identity-based policy"}"#,
        FailureClass::Permission,
        "no identity-based policy",
    );
    check(
        403,
        r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"bad key"}"#,
        FailureClass::Authentication,
        "bad key",
    );
    check(
        429,
        r#"{"__type":"ModelNotReadyException:http://internal.amazon.com/","message":"wait"}"#,
        FailureClass::Overloaded,
        "wait",
    );
    check(
        400,
        r#"{"__type":"ServiceQuotaExceededException"}"#,
        FailureClass::RateLimit,
        "ServiceQuotaExceededException",
    );
    for body in ["", "<html>", "[]", "{}", r#"{"message":1}"#] {
        check(502, body, FailureClass::Server, "the provider answered 502 without a readable error");
    }
}

#[test]
fn a_long_sentence_is_cut_at_a_character() {
    let body = format!(r#"{{"message":"{}"}}"#, "é".repeat(MESSAGE_BYTES_MAX));
    let message = decode_error(400, body.as_bytes()).message;
    assert_eq!(message.len(), MESSAGE_BYTES_MAX);
    assert!(message.chars().all(|character| character == 'é'));
}

#[test]
fn a_caller_gets_the_services_body_and_its_exception() {
    let error = CallerError {
        status: 429,
        kind: Some("x"),
        message: "slow \"down\"",
        param: None,
        code: None,
        request_id: None,
    };
    assert_eq!(encode_error(&error), br#"{"message":"slow \"down\""}"#);
    for (status, expect) in [
        (400, "ValidationException"),
        (401, "UnrecognizedClientException"),
        (402, "AccessDeniedException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (405, "ValidationException"),
        (408, "ModelTimeoutException"),
        (413, "RequestEntityTooLargeException"),
        (422, "ValidationException"),
        (424, "ModelErrorException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (501, "InternalServerException"),
        (502, "InternalServerException"),
        (503, "ServiceUnavailableException"),
        (504, "ModelTimeoutException"),
        (529, "ServiceUnavailableException"),
    ] {
        assert_eq!(error_type(status), expect, "{status}");
    }
}
