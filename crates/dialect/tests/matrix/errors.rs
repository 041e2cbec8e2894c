//! Errors of every provider, told to every caller: in the place of an answer, and within a stream.

use crate::cell;
use crate::feed::{self, Event};
use crate::surface::{self, SURFACES, Surface};
use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::conversation::StreamEvent;
use tollgate_dialect::failure::{FailureClass, ProviderError};
use tollgate_dialect::framing::event_stream;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{CallerError, Dialect, EventDecoder, ReplyFault, Transducer};

/// Error bodies as the providers document them, with what they mean.
fn bodies(dialect: Dialect) -> Vec<(u16, Value, FailureClass)> {
    use FailureClass::{
        Authentication, BadRequest, ContextWindow, NotFound, Overloaded, Permission, RateLimit, Server,
    };
    match dialect {
        Dialect::OpenAi | Dialect::Responses => {
            let body = |kind: &str, code: Value, message: &str| json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
            vec![
                (400, body("invalid_request_error", Value::Null, "Bad."), BadRequest),
                (
                    400,
                    body("invalid_request_error", json!("context_length_exceeded"), "Too long."),
                    ContextWindow,
                ),
                (401, body("invalid_request_error", json!("invalid_api_key"), "Key."), Authentication),
                (403, body("permission_error", Value::Null, "No."), Permission),
                (404, body("invalid_request_error", json!("model_not_found"), "Gone."), NotFound),
                (429, body("tokens", json!("rate_limit_exceeded"), "Slow."), RateLimit),
                (500, body("server_error", Value::Null, "Broke."), Server),
                (503, body("server_error", Value::Null, "Busy."), Overloaded),
            ]
        }
        Dialect::Anthropic => {
            let body = |kind: &str, message: &str| json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"});
            vec![
                (400, body("invalid_request_error", "Bad."), BadRequest),
                (
                    400,
                    body("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
                    ContextWindow,
                ),
                (401, body("authentication_error", "Key."), Authentication),
                (403, body("permission_error", "No."), Permission),
                (404, body("not_found_error", "Gone."), NotFound),
                (429, body("rate_limit_error", "Slow."), RateLimit),
                (500, body("api_error", "Broke."), Server),
                (529, body("overloaded_error", "Busy."), Overloaded),
            ]
        }
        Dialect::Gemini => {
            let body = |code: u16, status: &str, message: &str| json!({"error": {"code": code, "message": message, "status": status}});
            vec![
                (400, body(400, "INVALID_ARGUMENT", "Bad."), BadRequest),
                (401, body(401, "UNAUTHENTICATED", "Key."), Authentication),
                (403, body(403, "PERMISSION_DENIED", "No."), Permission),
                (404, body(404, "NOT_FOUND", "Gone."), NotFound),
                (429, body(429, "RESOURCE_EXHAUSTED", "Slow."), RateLimit),
                (500, body(500, "INTERNAL", "Broke."), Server),
                (503, body(503, "UNAVAILABLE", "Busy."), Overloaded),
            ]
        }
        Dialect::Bedrock | Dialect::Cohere => {
            let body = |message: &str| json!({"message": message});
            vec![
                (400, body("Bad."), BadRequest),
                (404, body("Gone."), NotFound),
                (429, body("Slow."), RateLimit),
                (500, body("Broke."), Server),
                (503, body("Busy."), Overloaded),
            ]
        }
    }
}

/// The status that a failure has for a caller, as the server gives it.
fn status_of(class: FailureClass) -> u16 {
    match class {
        FailureClass::BadRequest | FailureClass::ContextWindow | FailureClass::ContentPolicy => 400,
        FailureClass::Authentication => 401,
        FailureClass::Permission => 403,
        FailureClass::NotFound => 404,
        FailureClass::Timeout => 408,
        FailureClass::TooLarge => 413,
        FailureClass::RateLimit => 429,
        FailureClass::Server => 500,
        FailureClass::Overloaded => 503,
    }
}

fn caller_error(error: &ProviderError) -> CallerError<'_> {
    CallerError {
        status: status_of(error.class),
        kind: None,
        message: &error.message,
        param: error.param.as_deref(),
        code: error.code.as_deref(),
        request_id: None,
    }
}

/// The word for a status in the caller's body, where its dialect has one.
fn word(caller: &Surface, status: u16) -> Option<&'static str> {
    const WORDS: [(u16, &str, &str); 7] = [
        (400, "invalid_request_error", "INVALID_ARGUMENT"),
        (401, "authentication_error", "UNAUTHENTICATED"),
        (403, "permission_error", "PERMISSION_DENIED"),
        (404, "not_found_error", "NOT_FOUND"),
        (429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "api_error", "INTERNAL"),
        (503, "overloaded_error", "UNAVAILABLE"),
    ];
    let (_, anthropic, google) = WORDS.iter().find(|(known, _, _)| *known == status)?;
    match caller.dialect {
        Dialect::Anthropic => Some(anthropic),
        Dialect::Gemini => Some(google),
        _ => None,
    }
}

#[test]
fn a_providers_error_has_the_callers_form_and_meaning() {
    for (_, caller, provider) in cell::pairs() {
        for (status, body, class) in bodies(provider.dialect) {
            let at = format!("{} -> {}: {status} {body}", provider.title, caller.title);
            let error = (provider.decode_error)(status, body.to_string().as_bytes());
            assert_eq!(error.class, class, "{at}");
            let told = caller_error(&error);
            let written = (caller.encode_error)(&told);
            let heard = (caller.decode_error)(told.status, &written);
            assert_eq!(heard.message, error.message, "{at}");
            assert_eq!(heard.status, told.status, "{at}");
            // That a prompt is too long, some say in words alone.
            let expect = if class == FailureClass::ContextWindow { heard.class } else { class };
            assert_eq!(heard.class, expect, "{at}");
            assert_eq!(status_of(heard.class), told.status, "{at}");
            let written = String::from_utf8(written).unwrap();
            let word = word(caller, told.status).unwrap_or_default();
            assert!(written.contains(word), "{at}: {written}");
        }
    }
}

/// The beginning of a provider's stream, and the error in the middle of it.
fn broken_stream(provider: &Surface) -> Vec<u8> {
    let begun = |events: Vec<Event>| feed::bytes(provider.dialect, &events);
    let named = |name: &str, data: Value| vec![Event { name: Some(name.to_owned()), data }];
    let plain = |data: Value| vec![Event { name: None, data }];
    match provider.dialect {
        Dialect::OpenAi => {
            let delta = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": {"role": "assistant", "content": "He"}, "finish_reason": null}]});
            let mut bytes = format!("data: {delta}\n\n").into_bytes();
            bytes.extend_from_slice(
                b"data: {\"error\": {\"message\": \"Busy.\", \"type\": \"server_error\", \"code\": 503}}\n\n",
            );
            bytes
        }
        Dialect::Responses => {
            let response = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "in_progress", "output": []});
            let mut events =
                named("response.created", json!({"type": "response.created", "response": response}));
            events.extend(named(
                "response.output_text.delta",
                json!({"type": "response.output_text.delta",
                "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": "He"}),
            ));
            let mut failed = response;
            failed["status"] = json!("failed");
            failed["error"] = json!({"code": "server_error", "message": "Busy."});
            events.extend(named("response.failed", json!({"type": "response.failed", "response": failed})));
            begun(events)
        }
        Dialect::Anthropic => {
            let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
            let mut events = named("message_start", json!({"type": "message_start", "message": message}));
            events.extend(named(
                "content_block_start",
                json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "text", "text": ""}}),
            ));
            events.extend(named(
                "content_block_delta",
                json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": "He"}}),
            ));
            events.extend(named(
                "error",
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}),
            ));
            begun(events)
        }
        Dialect::Gemini => {
            let mut events = plain(
                json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "He"}]}, "index": 0}],
                "modelVersion": "m", "responseId": "r"}),
            );
            events
                .extend(plain(json!({"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}})));
            begun(events)
        }
        Dialect::Bedrock => {
            let mut events = named("messageStart", json!({"role": "assistant"}));
            events
                .extend(named("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "He"}})));
            let mut bytes = begun(events);
            event_stream::write_exception(
                "serviceUnavailableException",
                b"{\"message\":\"Busy.\"}",
                &mut bytes,
            );
            bytes
        }
        Dialect::Cohere => {
            let mut events = named(
                "message-start",
                json!({"type": "message-start", "id": "r", "delta": {"message": {"role": "assistant"}}}),
            );
            events.extend(named("content-delta", json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "He"}}}})));
            events.extend(named(
                "message-end",
                json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "Busy."}}),
            ));
            begun(events)
        }
    }
}

#[test]
fn an_error_within_a_stream_ends_it_in_the_callers_form() {
    for (_, caller, provider) in cell::pairs() {
        let at = format!("{} -> {}", provider.title, caller.title);
        let bytes = broken_stream(provider);
        let whole = told(caller, provider, &bytes, bytes.len());
        for cut in [1, 9] {
            assert_eq!(told(caller, provider, &bytes, cut), whole, "{at}: cut every {cut}");
        }
        let (events, error) = heard(caller, &whole);
        let said: String = events
            .iter()
            .filter_map(|event| match event {
                StreamEvent::Text { delta, .. } => Some(delta.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(said, "He", "{at}");
        assert_eq!(error.message, "Busy.", "{at}");
        // An event of these two has words and no status.
        let is_silent = matches!(caller.dialect, Dialect::Responses | Dialect::Cohere);
        let expect = if is_silent { FailureClass::Server } else { FailureClass::Overloaded };
        assert_eq!(error.class, expect, "{at}");
    }
}

/// What the caller gets of a stream that breaks: what was said, then the error.
fn told(caller: &Surface, provider: &Surface, bytes: &[u8], cut: usize) -> Vec<u8> {
    let decoder = (provider.decoder)(surface::reading(provider));
    let encoder = (caller.encoder)(surface::facts());
    let mut translator = Translator::new((provider.framing)(), decoder, encoder);
    let mut out = Vec::new();
    for chunk in bytes.chunks(cut) {
        match translator.push(Bytes::copy_from_slice(chunk), &mut out) {
            Ok(()) => {}
            Err(ReplyFault::Error(error)) => {
                assert_eq!(error.message, "Busy.", "{}", provider.title);
                let told = CallerError {
                    status: 503,
                    kind: None,
                    message: &error.message,
                    param: None,
                    code: None,
                    request_id: None,
                };
                translator.fail(&told, &mut out);
                return out.concat();
            }
            Err(fault) => panic!("{}: {fault:?}", provider.title),
        }
    }
    panic!("{}: no error in the stream", provider.title)
}

/// What a client of the caller's dialect reads: events, and the error at the end.
fn heard(caller: &Surface, bytes: &[u8]) -> (Vec<StreamEvent>, ProviderError) {
    let mut decoder = (caller.decoder)(surface::reading(caller));
    let mut framing = (caller.framing)();
    let mut events = Vec::new();
    framing.push(Bytes::copy_from_slice(bytes));
    while let Some(frame) = framing.next_frame().unwrap() {
        match decoder.read(&frame, &mut events) {
            Ok(()) => {}
            Err(ReplyFault::Error(error)) => return (events, error),
            Err(fault) => panic!("{}: {fault:?}", caller.title),
        }
    }
    panic!("{}: the error is not read as one: {}", caller.title, String::from_utf8_lossy(bytes))
}

#[test]
fn a_stream_that_is_cut_is_no_whole_one() {
    for provider in SURFACES {
        let decoder = (provider.decoder)(surface::reading(provider));
        let encoder = (provider.encoder)(surface::facts());
        let mut translator = Translator::new((provider.framing)(), decoder, encoder);
        let bytes = broken_stream(provider);
        let mut out = Vec::new();
        let _ = translator.push(Bytes::copy_from_slice(&bytes[..bytes.len() / 2]), &mut out);
        let end = translator.finish(&mut Vec::new());
        assert!(matches!(end, Err(ReplyFault::Malformed(_))), "{}: {end:?}", provider.title);
    }
}
