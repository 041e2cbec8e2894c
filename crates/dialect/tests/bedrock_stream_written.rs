//! Converse streams, written for a caller.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod bedrock_support;

use bedrock_support::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::bedrock::StreamEncoder;
use tollgate_dialect::conversation::{Issuer, Signature, StopReason, StreamEvent, Usage};
use tollgate_dialect::wire::{CallerError, EventEncoder, ReplyFacts, ReplyFault};

/// What a caller gets for some events, as names and payloads.
fn written(events: &[StreamEvent]) -> Vec<(String, Value)> {
    let mut encoder = StreamEncoder::new(ReplyFacts::default());
    let mut bytes = Vec::new();
    encoder.encode(events, &mut bytes);
    encoder.finish(&mut bytes);
    messages(&bytes)
}

fn named(events: &[(&str, Value)]) -> Vec<(String, Value)> {
    events.iter().map(|(name, payload)| ((*name).to_owned(), payload.clone())).collect()
}

fn plain_delta(index: u64, delta: Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}))
}

#[test]
fn a_caller_gets_blocks_one_after_the_other() {
    let signature = Signature::new(Issuer::Anthropic, "EqQB");
    let found = written(&[
        StreamEvent::Start { id: "x".to_owned(), model: "m".to_owned() },
        StreamEvent::Reasoning { choice: 0, delta: "so".to_owned() },
        StreamEvent::ReasoningSignature { choice: 0, signature: signature.clone() },
        StreamEvent::RedactedReasoning { choice: 0, data: signature },
        text("hi"),
        StreamEvent::Text { choice: 1, delta: "another answer".to_owned() },
        StreamEvent::Usage(Usage { output_tokens: 1, ..Usage::default() }),
        call(0, "a"),
        arguments(0, "{\"x\":1}"),
        call(1, "b"),
        StreamEvent::Usage(usage()),
        StreamEvent::Finish { choice: 0, stop: StopReason::ToolCalls, stop_sequence: None },
        StreamEvent::ServiceTier("priority".to_owned()),
    ]);
    let tool = |id: &str| json!({"toolUse": {"toolUseId": id, "name": "f"}});
    let input = |piece: &str| json!({"toolUse": {"input": piece}});
    let counts = json!({
        "inputTokens": 3, "outputTokens": 4, "totalTokens": 37, "cacheReadInputTokens": 10,
        "cacheWriteInputTokens": 20, "cacheDetails": [{"ttl": "5m", "inputTokens": 20}],
    });
    let expect = named(&[
        ("messageStart", json!({"role": "assistant"})),
        plain_delta(0, json!({"reasoningContent": {"text": "so"}})),
        plain_delta(0, json!({"reasoningContent": {"signature": "EqQB"}})),
        end(0),
        plain_delta(1, json!({"reasoningContent": {"redactedContent": "EqQB"}})),
        end(1),
        plain_delta(2, json!({"text": "hi"})),
        end(2),
        block(3, tool("a")),
        plain_delta(3, input("{\"x\":1}")),
        end(3),
        block(4, tool("b")),
        plain_delta(4, input("{}")),
        end(4),
        stop("tool_use"),
        (
            "metadata",
            json!({"usage": counts, "metrics": {"latencyMs": 0}, "serviceTier": {"type": "priority"}}),
        ),
    ]);
    assert_eq!(found, expect);
}

#[test]
fn a_custom_tools_text_is_the_one_argument_of_a_function() {
    let custom = StreamEvent::ToolCallStart {
        choice: 0,
        index: 0,
        id: "a".to_owned(),
        name: "f".to_owned(),
        is_custom: true,
        signature: None,
    };
    let input = |events: &[StreamEvent]| -> String {
        let pieces = written(events).into_iter().filter_map(|(_, payload)| {
            payload.pointer("/delta/toolUse/input").and_then(Value::as_str).map(str::to_owned)
        });
        pieces.collect()
    };
    let found = input(&[custom.clone(), arguments(0, "a \"q\"\n"), arguments(0, "é")]);
    assert_eq!(found, json!({"input": "a \"q\"\né"}).to_string());
    assert_eq!(input(&[custom]), r#"{"input":""}"#);
}

#[test]
fn nothing_is_written_before_there_is_something_to_show() {
    let mut encoder = StreamEncoder::new(ReplyFacts::default());
    let mut bytes = Vec::new();
    let quiet = [
        StreamEvent::Start { id: String::new(), model: "m".to_owned() },
        StreamEvent::Usage(usage()),
        StreamEvent::Reasoning { choice: 0, delta: String::new() },
        text(""),
    ];
    encoder.encode(&quiet, &mut bytes);
    assert!(bytes.is_empty());
    encoder.finish(&mut bytes);
    let names: Vec<String> = messages(&bytes).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["messageStart", "messageStop", "metadata"]);
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_exception() {
    let check = |status: u16, expect: &str, payload: Value| {
        let error =
            CallerError { status, kind: None, message: "why", param: None, code: None, request_id: None };
        let mut bytes = Vec::new();
        StreamEncoder::new(ReplyFacts::default()).fail(&error, &mut bytes);
        assert_eq!(messages(&bytes), [(expect.to_owned(), payload)], "{status}");
        assert!(matches!(read(&bytes, &of(CLAUDE), 3).1, Err(ReplyFault::Error(_))));
    };
    let why = || json!({"message": "why"});
    check(400, "validationException", why());
    check(429, "throttlingException", why());
    check(503, "serviceUnavailableException", why());
    check(502, "internalServerException", why());
    check(504, "modelStreamErrorException", json!({"message": "why", "originalStatusCode": 504}));
}

#[test]
fn calls_that_overlap_are_written_one_after_the_other() {
    let events = [
        call(0, "a"),
        call(1, "b"),
        arguments(1, "{\"y\":"),
        arguments(0, "{\"x\":1}"),
        arguments(1, "2}"),
        finish(StopReason::ToolCalls),
        arguments(1, "late"),
    ];
    let mut encoder = StreamEncoder::new(ReplyFacts::default());
    let mut bytes = Vec::new();
    encoder.encode(&events, &mut bytes);
    encoder.finish(&mut bytes);
    let (found, ended) = read(&bytes, &of(CLAUDE), usize::MAX);
    assert_eq!(ended, Ok(true));
    let expect = [
        call(0, "a"),
        arguments(0, "{\"x\":1}"),
        call(1, "b"),
        arguments(1, "{\"y\":"),
        arguments(1, "2}"),
        finish(StopReason::ToolCalls),
    ];
    assert_eq!(found[1..=expect.len()], expect);
}

fn any_event() -> impl Strategy<Value = Vec<StreamEvent>> {
    let signature = || {
        ("[a-zA-Z0-9+/]{1,9}", 0..3_usize).prop_map(|(text, issuer)| {
            Signature::new([Issuer::Anthropic, Issuer::OpenAi, Issuer::Amazon][issuer], text)
        })
    };
    let piece = || "\\PC{1,6}";
    prop_oneof![
        prop::collection::vec(piece(), 1..4)
            .prop_map(|pieces| pieces.iter().map(|piece| text(piece)).collect()),
        (prop::collection::vec(piece(), 1..3), signature()).prop_map(|(pieces, signature)| {
            let reasoning = |delta| StreamEvent::Reasoning { choice: 0, delta };
            let mut events: Vec<StreamEvent> = pieces.into_iter().map(reasoning).collect();
            events.push(StreamEvent::ReasoningSignature { choice: 0, signature });
            events
        }),
        signature().prop_map(|data| vec![StreamEvent::RedactedReasoning { choice: 0, data }]),
        ("[a-z]{1,4}", piece(), 1..9_usize).prop_map(|(id, said, size)| {
            let mut events = vec![call(u64::MAX, &id)];
            let whole: Vec<char> = json!({ "q": said }).to_string().chars().collect();
            let pieces = whole.chunks(size).map(|piece| piece.iter().collect::<String>());
            events.extend(pieces.map(|piece| arguments(u64::MAX, &piece)));
            events
        }),
    ]
}

/// Gives calls their numbers, and puts texts next to each other together, as blocks do.
fn numbered(groups: Vec<Vec<StreamEvent>>) -> Vec<StreamEvent> {
    let mut count = 0_u64;
    let mut events = groups.concat();
    for event in &mut events {
        match event {
            StreamEvent::ToolCallStart { index, .. } => {
                *index = count;
                count += 1;
            }
            StreamEvent::ToolCallArguments { index, .. } => *index = count - 1,
            _ => {}
        }
    }
    events
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same_for_every_cutting(
        groups in prop::collection::vec(any_event(), 0..6),
        size in 1..90_usize,
    ) {
        let said = numbered(groups);
        let calls_tools = said.iter().any(|event| matches!(event, StreamEvent::ToolCallStart { .. }));
        let stop = if calls_tools { StopReason::ToolCalls } else { StopReason::Length };
        let mut all = said;
        all.extend([finish(stop), StreamEvent::Usage(usage())]);
        let mut encoder = StreamEncoder::new(ReplyFacts::default());
        let mut bytes = Vec::new();
        for event in &all {
            encoder.encode(std::slice::from_ref(event), &mut bytes);
        }
        encoder.finish(&mut bytes);
        let (found, ended) = read(&bytes, &of(CLAUDE), size);
        prop_assert_eq!(ended, Ok(true));
        prop_assert_eq!(&found[1..], &all[..]);
    }
}
