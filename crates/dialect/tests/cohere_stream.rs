//! Cohere's streams: read for every way of cutting them, and written for its callers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::cohere::{StreamDecoder, StreamEncoder};
use tollgate_dialect::conversation::{Citation, Issuer, Signature, StopReason, StreamEvent, Usage};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::sse::Frame;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{
    CallerError, EventDecoder, EventEncoder, Reading, ReplyFacts, ReplyFault, Transducer,
};

const TEXT: &str = include_str!("fixtures/cohere/stream_text.sse");
const TOOLS: &str = include_str!("fixtures/cohere/stream_tools.sse");

fn reading() -> Reading {
    Reading { model: "command-a-03-2025".to_owned(), ..Reading::default() }
}

/// All events of a stream that comes in chunks of this size, and whether it was complete.
fn read_cut(stream: &[u8], size: usize) -> (Vec<StreamEvent>, bool) {
    let (mut framing, mut decoder, mut events) =
        (Framing::events(), StreamDecoder::new(reading()), Vec::new());
    for chunk in stream.chunks(size) {
        framing.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = framing.next_frame().unwrap() {
            decoder.read(&frame, &mut events).unwrap();
        }
    }
    (events, decoder.is_complete())
}

/// The events of a stream given as its frames' data, up to a fault if there is one.
fn read_events(reading: Reading, frames: &[Value]) -> (Vec<StreamEvent>, Result<bool, ReplyFault>) {
    let (mut decoder, mut events) = (StreamDecoder::new(reading), Vec::new());
    for frame in frames {
        let data = frame.to_string();
        if let Err(fault) = decoder.read(&Frame::new(None, data.as_bytes()), &mut events) {
            return (events, Err(fault));
        }
    }
    let is_complete = decoder.is_complete();
    (events, Ok(is_complete))
}

fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

fn thought(delta: &str) -> StreamEvent {
    StreamEvent::Reasoning { choice: 0, delta: delta.to_owned() }
}

fn call(index: u64, id: &str, name: &str) -> StreamEvent {
    let (id, name) = (id.to_owned(), name.to_owned());
    StreamEvent::ToolCallStart { choice: 0, index, id, name, is_custom: false, signature: None }
}

fn arguments(index: u64, delta: &str) -> StreamEvent {
    StreamEvent::ToolCallArguments { choice: 0, index, delta: delta.to_owned() }
}

fn finish(stop: StopReason) -> StreamEvent {
    StreamEvent::Finish { choice: 0, stop, stop_sequence: None }
}

fn start(id: &str) -> StreamEvent {
    StreamEvent::Start { id: id.to_owned(), model: "command-a-03-2025".to_owned() }
}

fn content(kind: &str, index: u64, content: Value) -> Value {
    json!({"type": kind, "index": index, "delta": {"message": {"content": content}}})
}

fn end(finish_reason: &str) -> Value {
    json!({"type": "message-end", "delta": {"finish_reason": finish_reason}})
}

#[test]
fn a_text_stream_is_thought_text_sources_usage_and_reason() {
    let (events, is_complete) = read_cut(TEXT.as_bytes(), TEXT.len());
    assert!(is_complete);
    let StreamEvent::Citation { citation, .. } = &events[5] else { panic!("{events:?}") };
    assert_eq!((citation.span, citation.document), (Some((0, 4)), Some(1)));
    let usage = Usage {
        input_tokens: 10,
        output_tokens: 4,
        cached_tokens: 2,
        unbilled_input_tokens: 490,
        unbilled_output_tokens: 1,
        ..Usage::default()
    };
    let expect = [
        start("29f14a5a-11de-4cae-9800-25e4747408ea"),
        thought("Let me"),
        thought(" see"),
        text("Tall"),
        text(" penguinsé"),
        events[5].clone(),
        StreamEvent::Usage(usage),
        finish(StopReason::Stop),
    ];
    assert_eq!(events, expect);
}

#[test]
fn a_plan_is_text_and_calls_are_numbered() {
    let (events, is_complete) = read_cut(TOOLS.as_bytes(), TOOLS.len());
    assert!(is_complete);
    let usage = Usage { input_tokens: 30, output_tokens: 20, ..Usage::default() };
    let expect = [
        start("29f14a5a-11de-4cae-9800-25e4747408ea"),
        text("I will"),
        text(" look."),
        call(0, "weather_a", "weather"),
        arguments(0, "{\"city\":"),
        arguments(0, "\"Oslo\"}"),
        call(1, "now_b", "now"),
        arguments(1, "{}"),
        StreamEvent::Usage(usage),
        finish(StopReason::ToolCalls),
    ];
    assert_eq!(events, expect);
}

#[test]
fn every_cut_gives_the_same_events() {
    for stream in [TEXT, TOOLS] {
        let crlf = stream.replace('\n', "\r\n");
        let whole = read_cut(stream.as_bytes(), stream.len());
        for size in 1..=stream.len() {
            assert_eq!(read_cut(stream.as_bytes(), size), whole, "{size}");
        }
        assert_eq!(read_cut(crlf.as_bytes(), 7), whole);
    }
}

#[test]
fn spans_count_from_the_begin_of_all_text() {
    let cite = |more: Value| {
        let mut citation =
            json!({"start": 1, "end": 2, "text": "x", "sources": [{"type": "document", "id": "d"}]});
        citation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation}}})
    };
    let frames = [
        content("content-start", 0, json!({"type": "text", "text": "é"})),
        content("content-delta", 0, json!({"text": "bc"})),
        content("content-start", 1, json!({"type": "text", "text": ""})),
        content("content-delta", 1, json!({"text": "def"})),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "plan"}}}),
        cite(json!({"content_index": 0})),
        cite(json!({"content_index": 1})),
        cite(json!({"type": "PLAN"})),
        cite(json!({"type": "THINKING_CONTENT"})),
        end("COMPLETE"),
    ];
    let (events, _) = read_events(reading(), &frames);
    let spans: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            StreamEvent::Citation { citation, .. } => citation.span,
            _ => None,
        })
        .collect();
    assert_eq!(spans, [(1, 2), (4, 5), (7, 8)]);
}

#[test]
fn the_last_usage_stands_and_is_not_summed() {
    let report = |tokens: u64| json!({"billed_units": {"input_tokens": tokens, "output_tokens": tokens}});
    let frames = [
        content("content-delta", 0, json!({"text": "x"})),
        json!({"type": "message-end", "delta": {"usage": report(2)}}),
        json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": report(4)}}),
    ];
    let (events, complete) = read_events(reading(), &frames);
    assert_eq!(complete, Ok(true));
    let counts: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            StreamEvent::Usage(usage) => Some(usage.input_tokens),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [2, 4]);
}

#[test]
fn content_behind_the_end_does_not_count_and_usage_does() {
    let called = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let frames = [
        content("content-delta", 0, json!({"thinking": "x"})),
        end("COMPLETE"),
        content("content-start", 1, json!({"text": "y"})),
        content("content-delta", 1, json!({"thinking": "y"})),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "y"}}}),
        json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": called}}}),
        json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage":
            {"tokens": {"input_tokens": 3, "output_tokens": 1}}}}),
    ];
    let (events, complete) = read_events(reading(), &frames);
    let usage = StreamEvent::Usage(Usage { input_tokens: 3, output_tokens: 1, ..Usage::default() });
    assert_eq!((events, complete), (vec![thought("x"), finish(StopReason::Stop), usage], Ok(true)));
}

#[test]
fn a_stream_without_its_end_is_not_complete() {
    let frames = [content("content-delta", 0, json!({"text": "x"}))];
    assert_eq!(read_events(reading(), &frames).1, Ok(false));
}

#[test]
fn errors_in_a_stream_are_faults() {
    let check = |frames: &[Value], class: FailureClass, status: u16| {
        let Err(ReplyFault::Error(error)) = read_events(reading(), frames).1 else { panic!("{frames:?}") };
        assert_eq!((error.class, error.status), (class, status));
    };
    let begun = content("content-delta", 0, json!({"text": "x"}));
    let failed = |sentence: &str| json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": sentence}});
    check(&[begun.clone(), failed("internal error")], FailureClass::Server, 500);
    check(&[failed("too many tokens")], FailureClass::ContextWindow, 400);
    check(&[failed("the prompt was blocked")], FailureClass::ContentPolicy, 498);
    check(&[json!({"type": "message-end", "delta": {"error": "broke"}})], FailureClass::Server, 500);
    check(&[json!({"message": "slow down"})], FailureClass::Server, 500);
    check(&[begun.clone(), end("TIMEOUT")], FailureClass::Timeout, 504);
    // An answer that had begun and is blocked ends as one.
    let blocked = failed("the response was blocked because it may violate the usage guidelines");
    let (events, complete) = read_events(reading(), &[begun, blocked]);
    assert_eq!((events.last(), complete), (Some(&finish(StopReason::ContentFilter)), Ok(true)));
}

#[test]
fn a_call_without_a_name_is_malformed() {
    for call in [json!({"id": "c"}), json!({"id": "c", "function": {"name": ""}})] {
        let start =
            json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}});
        let fault = read_events(reading(), &[start]).1;
        assert_eq!(fault, Err(ReplyFault::Malformed("a tool call has no id or no name")));
    }
}

#[test]
fn the_answer_of_the_stand_in_is_text() {
    let reading = Reading { answer_tool: Some("json_tool_call".to_owned()), ..reading() };
    let open = |index: u64, name: &str| {
        let call = json!({"id": format!("c{index}"), "type": "function", "function": {"name": name, "arguments": ""}});
        json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": call}}})
    };
    let piece = |index: u64, piece: &str| {
        let call = json!({"function": {"arguments": piece}});
        json!({"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": call}}})
    };
    let plan = json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will answer."}}});
    let frames = [
        plan.clone(),
        open(0, "json_tool_call"),
        piece(0, "{\"a\""),
        piece(0, ":1}"),
        open(1, "json_tool_call"),
        piece(1, "{}"),
        end("TOOL_CALL"),
    ];
    let (events, _) = read_events(reading.clone(), &frames);
    assert_eq!(events, [text("{\"a\""), text(":1}"), finish(StopReason::Stop)]);
    let frames = [plan.clone(), open(0, "other"), piece(0, "{}"), end("TOOL_CALL")];
    let (events, _) = read_events(reading.clone(), &frames);
    assert_eq!(
        events,
        [call(0, "c0", "other"), arguments(0, "{}"), text("I will answer."), finish(StopReason::ToolCalls)]
    );
    let (events, _) = read_events(reading, &[plan, end("COMPLETE")]);
    assert_eq!(events, [text("I will answer."), finish(StopReason::Stop)]);
}

fn facts() -> ReplyFacts {
    ReplyFacts { fallback_id: "7f000000-0000-4000-8000-000000000001".to_owned(), ..ReplyFacts::default() }
}

/// The names and data of the events that a caller gets.
fn write(events: &[StreamEvent]) -> Vec<(String, Value)> {
    let mut encoder = StreamEncoder::new(facts());
    let mut out = Vec::new();
    encoder.encode(events, &mut out);
    encoder.finish(&mut out);
    frames(&out)
}

fn frames(bytes: &[u8]) -> Vec<(String, Value)> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.split_terminator("\n\n")
        .map(|frame| match frame.split_once('\n') {
            Some((event, data)) => (
                event.strip_prefix("event: ").unwrap().to_owned(),
                serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap(),
            ),
            None => (frame.strip_prefix("data: ").unwrap().to_owned(), Value::Null),
        })
        .collect()
}

fn names(frames: &[(String, Value)]) -> Vec<&str> {
    frames.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_caller_gets_cohere_s_events_in_cohere_s_order() {
    let usage = Usage { input_tokens: 3, output_tokens: 2, ..Usage::default() };
    let written = write(&[
        start("chatcmpl-1"),
        thought("hm"),
        text("a"),
        text("b"),
        call(0, "x", "f"),
        arguments(0, "{\"q\":"),
        arguments(0, "1}"),
        call(1, "y", "g"),
        finish(StopReason::Stop),
        StreamEvent::Usage(usage),
    ]);
    let expect = [
        "message-start",
        "content-start",
        "content-delta",
        "content-end",
        "content-start",
        "content-delta",
        "content-delta",
        "content-end",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-delta",
        "tool-call-end",
        "tool-call-start",
        "tool-call-end",
        "message-end",
        "[DONE]",
    ];
    assert_eq!(names(&written), expect);
    let data: Vec<&Value> = written.iter().map(|(_, data)| data).collect();
    let message =
        json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
    assert_eq!(
        data[0],
        &json!({"type": "message-start", "id": facts().fallback_id, "delta": {"message": message}})
    );
    assert_eq!(data[1], &content("content-start", 0, json!({"type": "thinking", "thinking": ""})));
    assert_eq!(data[2], &content("content-delta", 0, json!({"thinking": "hm"})));
    assert_eq!(data[3], &json!({"type": "content-end", "index": 0}));
    assert_eq!(data[4], &content("content-start", 1, json!({"type": "text", "text": ""})));
    assert_eq!(data[6], &content("content-delta", 1, json!({"text": "b"})));
    let opened = json!({"id": "x", "type": "function", "function": {"name": "f", "arguments": ""}});
    assert_eq!(
        data[8],
        &json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": opened}}})
    );
    let piece = json!({"function": {"arguments": "1}"}});
    assert_eq!(
        data[10],
        &json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": piece}}})
    );
    assert_eq!(data[12]["index"], 1);
    assert_eq!(data[14]["delta"]["finish_reason"], "TOOL_CALL");
    assert_eq!(data[14]["delta"]["usage"]["billed_units"], json!({"input_tokens": 3, "output_tokens": 2}));
}

#[test]
fn nothing_is_written_before_there_is_something_to_show() {
    let mut encoder = StreamEncoder::new(facts());
    let mut out = Vec::new();
    encoder.encode(&[start("x"), StreamEvent::Usage(Usage::default()), text(""), thought("")], &mut out);
    assert!(out.is_empty());
    encoder.encode(&[text("a")], &mut out);
    assert!(!out.is_empty());
}

#[test]
fn an_empty_answer_still_has_begin_and_end() {
    assert_eq!(names(&write(&[finish(StopReason::Length)])), ["message-start", "message-end", "[DONE]"]);
}

#[test]
fn a_stream_that_broke_ends_with_the_error_in_its_end() {
    let mut encoder = StreamEncoder::new(facts());
    let mut out = Vec::new();
    encoder.encode(&[text("a")], &mut out);
    out.clear();
    let error = CallerError {
        status: 502,
        kind: None,
        message: "it broke",
        param: None,
        code: None,
        request_id: None,
    };
    encoder.fail(&error, &mut out);
    let written = frames(&out);
    assert_eq!(names(&written), ["message-end", "[DONE]"]);
    assert_eq!(written[0].1["delta"], json!({"finish_reason": "ERROR", "error": "it broke"}));
}

#[test]
fn sources_are_counted_from_their_block() {
    let cited = |span| StreamEvent::Citation {
        choice: 0,
        citation: Box::new(Citation {
            span,
            url: Some("https://a.example".to_owned()),
            ..Citation::default()
        }),
    };
    let written = write(&[
        text("aé"),
        thought("hm"),
        text("cdef"),
        cited(Some((3, 5))),
        cited(Some((0, 2))),
        cited(None),
    ]);
    let citations: Vec<_> = written
        .iter()
        .filter(|(name, _)| name == "citation-start")
        .map(|(_, data)| {
            let citation = &data["delta"]["message"]["citations"];
            (
                data["index"].clone(),
                citation["content_index"].clone(),
                citation["start"].clone(),
                citation["end"].clone(),
                citation["text"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expect = [
        (json!(0), json!(2), json!(1), json!(3), "de".to_owned()),
        (json!(1), json!(0), json!(0), json!(2), "aé".to_owned()),
        (json!(2), json!(0), json!(0), json!(6), "aécdef".to_owned()),
    ];
    assert_eq!(citations, expect);
}

#[test]
fn signatures_go_through_and_come_back() {
    let signature = Signature::new(Issuer::Google, "abc");
    let events = [
        thought("hm"),
        StreamEvent::ReasoningSignature { choice: 0, signature: signature.clone() },
        StreamEvent::RedactedReasoning { choice: 0, data: signature },
        text("hi"),
        finish(StopReason::Stop),
    ];
    let data: Vec<Value> =
        write(&events).into_iter().map(|(_, data)| data).filter(|data| !data.is_null()).collect();
    let (read, _) = read_events(reading(), &data);
    let shown: Vec<&StreamEvent> = read
        .iter()
        .filter(|event| !matches!(event, StreamEvent::Start { .. } | StreamEvent::Usage(_)))
        .collect();
    assert_eq!(shown, events.iter().collect::<Vec<_>>());
}

#[test]
fn a_stream_of_cohere_s_comes_out_as_one_of_cohere_s() {
    for stream in [TEXT, TOOLS] {
        let translate = |size: usize| {
            let (decoder, encoder) = (StreamDecoder::new(reading()), StreamEncoder::new(facts()));
            let mut translator = Translator::new(Framing::events(), decoder, encoder);
            let mut out = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                translator.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
            }
            translator.finish(&mut out).unwrap();
            assert!(translator.progress().complete && translator.progress().content_started);
            out.concat()
        };
        let whole = translate(stream.len());
        for size in [1, 2, 3, 7, 64, 1_000] {
            assert_eq!(translate(size), whole, "{size}");
        }
        let (before, after) = (read_cut(stream.as_bytes(), 64).0, read_cut(&whole, 64).0);
        assert_eq!(after, before);
    }
}

fn step() -> impl Strategy<Value = StreamEvent> {
    let piece = prop_oneof![Just(String::new()), "[a-zé]{1,4}"];
    prop_oneof![
        piece.clone().prop_map(|delta| StreamEvent::Text { choice: 0, delta }),
        piece.clone().prop_map(|delta| StreamEvent::Reasoning { choice: 0, delta }),
        (0_u64..3).prop_map(|index| call(index, &format!("c{index}"), "f")),
        (0_u64..3, piece).prop_map(|(index, delta)| StreamEvent::ToolCallArguments {
            choice: 0,
            index,
            delta
        }),
        (0_u64..9, 0_u64..9).prop_map(|(start, end)| StreamEvent::Citation {
            choice: 0,
            citation: Box::new(Citation { span: Some((start, end)), ..Citation::default() }),
        }),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_blocks_are_ended_before_the_next_begins(events in prop::collection::vec(step(), 0..20)) {
        let written = write(&events);
        let (mut open, mut blocks, mut calls) = (None, 0, 0);
        for (name, data) in &written {
            match name.as_str() {
                "content-start" | "tool-call-start" => {
                    prop_assert!(open.is_none());
                    let count = if name == "content-start" { &mut blocks } else { &mut calls };
                    prop_assert_eq!(&data["index"], &json!(*count));
                    *count += 1;
                    open = Some((name.split_once("-start").unwrap().0.to_owned(), data["index"].clone()));
                }
                "content-delta" | "tool-call-delta" | "content-end" | "tool-call-end" => {
                    let (kind, index) = open.clone().unwrap();
                    prop_assert!(name.starts_with(&kind));
                    prop_assert_eq!(&index, &data["index"]);
                    if name.ends_with("-end") {
                        open = None;
                    }
                }
                _ => {}
            }
        }
        prop_assert!(open.is_none());
        let ends: Vec<&str> = names(&written).into_iter().rev().take(2).collect();
        prop_assert_eq!(ends, ["[DONE]", "message-end"]);
    }
}
