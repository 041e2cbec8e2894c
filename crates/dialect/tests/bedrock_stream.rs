//! Converse streams of a provider, read.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod bedrock_support;

use bedrock_support::*;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    Citation, Issuer, MediaSource, Native, Signature, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::framing::event_stream::{write_event, write_exception, write_message};
use tollgate_dialect::wire::{Dialect, Reading, ReplyFault};

/// The events of a whole stream, the same for every cutting; start and usage apart.
fn events(parts: &[(&str, Value)], reading: &Reading) -> Vec<StreamEvent> {
    let mut all = vec![start()];
    all.extend(parts.iter().cloned());
    all.push(metadata());
    let bytes = stream(&all);
    let (found, ended) = read(&bytes, reading, bytes.len());
    assert_eq!(ended, Ok(true));
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(read(&bytes, reading, size), (found.clone(), Ok(true)), "{size}");
    }
    let (first, rest) = found.split_first().unwrap();
    assert_eq!(*first, StreamEvent::Start { id: String::new(), model: reading.model.clone() });
    let (last, rest) = rest.split_last().unwrap();
    assert_eq!(*last, StreamEvent::Usage(usage()));
    rest.to_vec()
}

#[test]
fn text_is_read_and_usage_counts_once() {
    let found = events(
        &[
            delta(0, json!({"text": "hé"})),
            delta(0, json!({"text": ""})),
            delta(0, json!({"text": "llo"})),
            end(0),
            stop("end_turn"),
        ],
        &of(CLAUDE),
    );
    assert_eq!(found, [text("hé"), text("llo"), finish(StopReason::Stop)]);
}

#[test]
fn reasoning_comes_with_its_whole_signature() {
    let found = events(
        &[
            delta(0, json!({"reasoningContent": {"text": "so"}})),
            delta(0, json!({"reasoningContent": {"signature": "Eq"}})),
            delta(0, json!({"reasoningContent": {"signature": "QB"}})),
            end(0),
            delta(1, json!({"reasoningContent": {"redactedContent": "aGk="}})),
            end(1),
            delta(2, json!({"reasoningContent": {"redactedContent": "aGk="}})),
            delta(2, json!({"reasoningContent": {"redactedContent": "aG8="}})),
            end(2),
            delta(3, json!({"text": "hi"})),
            end(3),
            stop("end_turn"),
        ],
        &of(CLAUDE),
    );
    let signed = |text: &str| Signature::new(Issuer::Anthropic, text);
    assert_eq!(
        found,
        [
            StreamEvent::Reasoning { choice: 0, delta: "so".to_owned() },
            StreamEvent::ReasoningSignature { choice: 0, signature: signed("EqQB") },
            StreamEvent::RedactedReasoning { choice: 0, data: signed("aGk=") },
            StreamEvent::RedactedReasoning { choice: 0, data: signed("aGlobw==") },
            text("hi"),
            finish(StopReason::Stop),
        ]
    );
}

#[test]
fn calls_are_numbered_without_gaps() {
    let tool = |id: &str| json!({"toolUse": {"toolUseId": id, "name": "f"}});
    let input = |piece: &str| json!({"toolUse": {"input": piece}});
    let found = events(
        &[
            delta(0, json!({"text": "I call"})),
            end(0),
            block(1, tool("a")),
            delta(1, input("")),
            delta(1, input("{\"x\":")),
            delta(1, input("1}")),
            end(1),
            block(3, tool("b")),
            delta(3, input("")),
            end(3),
            stop("tool_use"),
        ],
        &of(CLAUDE),
    );
    assert_eq!(
        found,
        [
            text("I call"),
            call(0, "a"),
            arguments(0, "{\"x\":"),
            arguments(0, "1}"),
            call(1, "b"),
            arguments(1, "{}"),
            finish(StopReason::ToolCalls),
        ]
    );
}

#[test]
fn amazons_own_tools_come_whole_and_are_no_calls() {
    let found = events(
        &[
            block(
                0,
                json!({"toolUse": {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use"}}),
            ),
            delta(0, json!({"toolUse": {"input": "{\"q\":"}})),
            delta(0, json!({"toolUse": {"input": "1}"}})),
            end(0),
            block(1, json!({"toolResult": {"toolUseId": "t", "status": "success"}})),
            delta(1, json!({"toolResult": [{"text": "a"}]})),
            delta(1, json!({"toolResult": [{"json": {}}]})),
            end(1),
            delta(2, json!({"text": "so"})),
            delta(2, json!({"citation": {"title": "T"}})),
            end(2),
            stop("end_turn"),
        ],
        &of("amazon.nova-2-lite-v1:0"),
    );
    let native =
        |value| StreamEvent::Native { choice: 0, native: Native { dialect: Dialect::Bedrock, value } };
    let citation = Citation {
        span: Some((0, 2)),
        title: Some("T".to_owned()),
        native: Some(Native { dialect: Dialect::Bedrock, value: json!({"title": "T"}) }),
        ..Citation::default()
    };
    assert_eq!(
        found,
        [
            native(
                json!({"toolUse": {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use", "input": {"q": 1}}})
            ),
            native(
                json!({"toolResult": {"toolUseId": "t", "status": "success", "content": [{"text": "a"}, {"json": {}}]}})
            ),
            text("so"),
            StreamEvent::Citation { choice: 0, citation: Box::new(citation) },
            finish(StopReason::Stop),
        ]
    );
}

#[test]
fn pictures_come_whole() {
    let piece = |bytes: &str| json!({"image": {"source": {"bytes": bytes}}});
    let found = events(
        &[
            block(0, json!({"image": {"format": "jpeg"}})),
            delta(0, piece("aGk=")),
            delta(0, piece("aG8=")),
            end(0),
            stop("end_turn"),
        ],
        &of("amazon.nova-2-omni-v1:0"),
    );
    let source = MediaSource::Base64 { media_type: "image/jpeg".to_owned(), data: "aGlobw==".to_owned() };
    assert_eq!(found, [StreamEvent::Image { choice: 0, source }, finish(StopReason::Stop)]);
}

#[test]
fn the_answer_tools_input_streams_as_the_answer() {
    let reading = Reading { answer_tool: Some("json_tool_call".to_owned()), ..of(CLAUDE) };
    let answer = |id: u64| block(id, json!({"toolUse": {"toolUseId": "t", "name": "json_tool_call"}}));
    let input = |index, piece: &str| delta(index, json!({"toolUse": {"input": piece}}));
    let found = events(
        &[
            delta(0, json!({"text": "here it is"})),
            end(0),
            answer(1),
            input(1, "{\"a\""),
            input(1, ":1}"),
            end(1),
            answer(2),
            input(2, "{}"),
            end(2),
            stop("tool_use"),
        ],
        &reading,
    );
    assert_eq!(found, [text("{\"a\""), text(":1}"), finish(StopReason::Stop)]);
    let found = events(
        &[delta(0, json!({"text": "no "})), delta(0, json!({"text": "tool"})), end(0), stop("end_turn")],
        &reading,
    );
    assert_eq!(found, [text("no tool"), finish(StopReason::Stop)]);
}

#[test]
fn which_stop_text_hit_and_which_tier_served_are_told() {
    let stopped =
        json!({"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}});
    let bytes = stream(&[
        start(),
        ("messageStop", stopped),
        (
            "metadata",
            json!({"usage": {"inputTokens": 1, "outputTokens": 0}, "serviceTier": {"type": "flex"}}),
        ),
    ]);
    let (found, _) = read(&bytes, &of(CLAUDE), 9);
    let counts = Usage { input_tokens: 1, ..Usage::default() };
    let ended = StreamEvent::Finish {
        choice: 0,
        stop: StopReason::StopSequence,
        stop_sequence: Some("END".to_owned()),
    };
    assert_eq!(found[1..], [ended, StreamEvent::ServiceTier("flex".to_owned()), StreamEvent::Usage(counts)]);
}

#[test]
fn exceptions_are_errors_of_their_class() {
    let check = |name: &str, class: FailureClass, status: u16| {
        let mut bytes = stream(&[start(), delta(0, json!({"text": "a"}))]);
        write_exception(name, br#"{"message":"why"}"#, &mut bytes);
        let (found, ended) = read(&bytes, &of(CLAUDE), 5);
        assert_eq!(found.len(), 2);
        match ended {
            Err(ReplyFault::Error(error)) => {
                assert_eq!(
                    (error.class, error.status, error.message.as_str()),
                    (class, status, "why"),
                    "{name}"
                );
            }
            other => panic!("{name}: {other:?}"),
        }
    };
    check("internalServerException", FailureClass::Server, 500);
    check("modelStreamErrorException", FailureClass::Server, 424);
    check("validationException", FailureClass::BadRequest, 400);
    check("throttlingException", FailureClass::RateLimit, 429);
    check("serviceUnavailableException", FailureClass::Overloaded, 503);
    check("modelTimeoutException", FailureClass::Timeout, 408);
    check("tomorrowsException", FailureClass::Server, 500);
    let mut bytes = Vec::new();
    let headers =
        [(":message-type", "error"), (":error-code", "ThrottlingException"), (":error-message", "why")];
    write_message(&headers, b"", &mut bytes);
    let (_, ended) = read(&bytes, &of(CLAUDE), 5);
    assert!(matches!(ended, Err(ReplyFault::Error(error)) if error.class == FailureClass::RateLimit));
}

#[test]
fn a_stream_that_breaks_its_rules_is_malformed() {
    let check = |event: (&str, Value)| {
        let (_, ended) = read(&stream(&[start(), event.clone()]), &of(CLAUDE), 64);
        assert!(matches!(ended, Err(ReplyFault::Malformed(_))), "{event:?}");
    };
    check(("contentBlockDelta", json!({"delta": {"text": "a"}})));
    check(("contentBlockDelta", json!({"contentBlockIndex": 0})));
    check(delta(0, json!({"toolUse": {"input": "{}"}})));
    check(block(0, json!({"toolUse": {"name": "f"}})));
    let mut bytes = Vec::new();
    write_event("contentBlockDelta", b"not json", &mut bytes);
    assert!(read(&bytes, &of(CLAUDE), 64).1.is_err());
}

#[test]
fn what_is_not_known_yet_is_passed_over() {
    let found = events(
        &[
            ("tomorrow", json!({})),
            block(0, json!({"newKind": {}})),
            delta(0, json!({"newKind": "x"})),
            end(0),
            block(1, json!({})),
            delta(1, json!({"text": "a"})),
            delta(1, json!({"new": 1})),
            end(1),
            stop("new_reason"),
        ],
        &of(CLAUDE),
    );
    assert_eq!(found, [text("a"), finish(StopReason::Stop)]);
}

#[test]
fn a_stream_without_its_metadata_is_not_complete() {
    let bytes = stream(&[start(), delta(0, json!({"text": "a"})), end(0), stop("end_turn")]);
    assert_eq!(read(&bytes, &of(CLAUDE), 64).1, Ok(false));
}
