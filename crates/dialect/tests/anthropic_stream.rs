//! Anthropic's streams as events, for every way of cutting them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::anthropic::{ANSWER_TOOL, StreamDecoder};
use tollgate_dialect::conversation::{Citation, Issuer, Native, Signature, StopReason, StreamEvent, Usage};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::sse::{Frame, Framer};
use tollgate_dialect::wire::{Dialect, EventDecoder, Reading, ReplyFault};

const TEXT: &[u8] = include_bytes!("fixtures/anthropic/stream_text.sse");
const TOOLS: &[u8] = include_bytes!("fixtures/anthropic/stream_tools.sse");

fn answering() -> Reading {
    Reading { answer_tool: Some(ANSWER_TOOL.to_owned()), ..Reading::default() }
}

/// All events of a stream that comes in these chunks, and whether it was complete.
fn read_chunks(chunks: &[&[u8]]) -> (Vec<StreamEvent>, bool) {
    let (mut framer, mut decoder, mut events) = (Framer::new(), StreamDecoder::default(), Vec::new());
    for chunk in chunks {
        framer.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = framer.next_frame().unwrap() {
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

fn fault_of(frames: &[Value]) -> ReplyFault {
    read_events(Reading::default(), frames).1.unwrap_err()
}

fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

fn arguments(index: u64, delta: &str) -> StreamEvent {
    StreamEvent::ToolCallArguments { choice: 0, index, delta: delta.to_owned() }
}

fn call(index: u64, id: &str, name: &str) -> StreamEvent {
    let (id, name) = (id.to_owned(), name.to_owned());
    StreamEvent::ToolCallStart { choice: 0, index, id, name, is_custom: false, signature: None }
}

fn finish(stop: StopReason) -> StreamEvent {
    StreamEvent::Finish { choice: 0, stop, stop_sequence: None }
}

fn native(value: Value) -> StreamEvent {
    StreamEvent::Native { choice: 0, native: Native { dialect: Dialect::Anthropic, value } }
}

fn open(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn open_call(index: u64, name: &str) -> Value {
    open(index, json!({"type": "tool_use", "id": format!("t{index}"), "name": name, "input": {}}))
}

fn open_text(index: u64) -> Value {
    open(index, json!({"type": "text", "text": ""}))
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn input(index: u64, piece: &str) -> Value {
    delta(index, json!({"type": "input_json_delta", "partial_json": piece}))
}

fn piece(index: u64, piece: &str) -> Value {
    delta(index, json!({"type": "text_delta", "text": piece}))
}

fn close(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn ended(stop_reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": stop_reason}})
}

fn stop() -> Value {
    json!({"type": "message_stop"})
}

#[test]
fn a_text_stream_is_start_text_finish_and_replaced_usage() {
    let usage = |output_tokens| {
        StreamEvent::Usage(Usage {
            input_tokens: 73,
            cached_tokens: 8,
            cache_write_tokens: 30,
            cache_write_1h_tokens: 10,
            output_tokens,
            ..Usage::default()
        })
    };
    let source = json!({"type": "char_location", "cited_text": "x", "document_index": 0});
    let cited = Citation {
        span: Some((0, 10)),
        quote: Some("x".to_owned()),
        document: Some(0),
        native: Some(Native { dialect: Dialect::Anthropic, value: source }),
        ..Citation::default()
    };
    let expect = vec![
        StreamEvent::Start {
            id: "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY".to_owned(),
            model: "claude-opus-4-6".to_owned(),
        },
        usage(1),
        text("Grüß"),
        text(" Gott!"),
        StreamEvent::Citation { choice: 0, citation: Box::new(cited) },
        finish(StopReason::Stop),
        usage(15),
    ];
    assert_eq!(read_chunks(&[TEXT]), (expect, true));
}

#[test]
fn calls_are_numbered_without_gaps_whatever_stands_between() {
    let usage = |usage: Usage| StreamEvent::Usage(usage);
    let expect = vec![
        StreamEvent::Start {
            id: "msg_014p7gG3wDgGV9EUtLvnow3U".to_owned(),
            model: "claude-sonnet-4-5".to_owned(),
        },
        usage(Usage { input_tokens: 472, output_tokens: 2, ..Usage::default() }),
        StreamEvent::Reasoning { choice: 0, delta: "Two cities.".to_owned() },
        StreamEvent::ReasoningSignature {
            choice: 0,
            signature: Signature::new(Issuer::Anthropic, "EqQBCgIYAhIM1gbc"),
        },
        StreamEvent::RedactedReasoning { choice: 0, data: Signature::new(Issuer::Anthropic, "EmwKAhgB") },
        call(0, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "weather"),
        arguments(0, "{\"city\":"),
        arguments(0, " \"Oslo\"}"),
        native(json!({"type": "server_tool_use", "id": "srvtoolu_01", "name": "web_search",
                      "input": {"query": "x"}})),
        native(json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_01", "content": []})),
        text("And the time."),
        call(1, "toolu_02", "now"),
        arguments(1, "{}"),
        finish(StopReason::ToolCalls),
        usage(Usage {
            input_tokens: 900,
            output_tokens: 89,
            reasoning_tokens: 7,
            web_search_requests: 1,
            ..Usage::default()
        }),
    ];
    assert_eq!(read_chunks(&[TOOLS]), (expect, true));
}

#[test]
fn every_cut_of_a_stream_gives_the_same_events() {
    for stream in [TEXT, TOOLS] {
        let whole = read_chunks(&[stream]);
        for cut in 0..=stream.len() {
            let (before, after) = stream.split_at(cut);
            assert_eq!(read_chunks(&[before, after]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read_chunks(&bytes), whole);
    }
}

#[test]
fn a_stream_that_was_cut_is_not_complete() {
    let end = TEXT.windows(19).position(|window| window == b"event: message_stop").unwrap();
    let (events, is_complete) = read_chunks(&[&TEXT[..end]]);
    assert_eq!((events.len(), is_complete), (7, false));
}

#[test]
fn nothing_after_the_end_is_read() {
    let frames = [ended("end_turn"), stop(), json!({"type": "error"}), piece(0, "x")];
    assert_eq!(read_events(Reading::default(), &frames), (vec![finish(StopReason::Stop)], Ok(true)));
}

#[test]
fn explicit_zeros_replace_and_absent_counts_stay() {
    let start = json!({"type": "message_start", "message": {"usage": {
        "input_tokens": 0, "cache_read_input_tokens": 5, "output_tokens": 3}}});
    let later = |usage: Value| json!({"type": "message_delta", "delta": {}, "usage": usage});
    let frames = [
        start,
        later(json!({"output_tokens": 10})),
        later(json!({"output_tokens": 20, "cache_read_input_tokens": null})),
        later(json!({"output_tokens": 0, "cache_read_input_tokens": 0, "input_tokens": 9})),
    ];
    let (events, _) = read_events(Reading::default(), &frames);
    let counts: Vec<(u64, u64, u64)> = events
        .iter()
        .filter_map(|event| match event {
            StreamEvent::Usage(usage) => Some((usage.input_tokens, usage.cached_tokens, usage.output_tokens)),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [(5, 5, 3), (5, 5, 10), (5, 5, 20), (9, 0, 0)]);
}

#[test]
fn the_answer_tools_input_streams_as_text() {
    let frames = [
        open_text(0),
        piece(0, "Here:"),
        close(0),
        open_call(1, ANSWER_TOOL),
        input(1, "{\"a\":"),
        input(1, "1}"),
        close(1),
        open_text(2),
        piece(2, "Done."),
        close(2),
        open_call(3, ANSWER_TOOL),
        input(3, "{}"),
        close(3),
        ended("tool_use"),
        stop(),
    ];
    let expect = vec![text("{\"a\":"), text("1}"), finish(StopReason::Stop)];
    assert_eq!(read_events(answering(), &frames), (expect, Ok(true)));
}

#[test]
fn text_is_the_answer_if_the_tool_is_not_called() {
    let frames = [open_text(0), piece(0, "I "), piece(0, "can't."), close(0), ended("end_turn"), stop()];
    let expect = vec![text("I can't."), finish(StopReason::Stop)];
    assert_eq!(read_events(answering(), &frames), (expect, Ok(true)));
}

#[test]
fn another_call_beside_the_answer_is_a_call() {
    let frames =
        [open_call(0, ANSWER_TOOL), close(0), open_call(1, "weather"), close(1), ended("tool_use"), stop()];
    let expect =
        vec![text("{}"), call(0, "t1", "weather"), arguments(0, "{}"), finish(StopReason::ToolCalls)];
    assert_eq!(read_events(answering(), &frames), (expect, Ok(true)));
}

#[test]
fn text_held_for_an_answer_has_a_limit() {
    let long = "x".repeat(1 << 20);
    let frames = [open_text(0), piece(0, &long), piece(0, "y")];
    assert!(
        matches!(read_events(answering(), &frames), (events, Err(ReplyFault::Malformed(_))) if events.is_empty())
    );
}

#[test]
fn blocks_that_overlap_keep_their_deltas_apart() {
    let frames = [
        open_call(4, "a"),
        open_call(9, "b"),
        input(9, "{\"b\":1}"),
        input(4, "{\"a\":1}"),
        close(4),
        close(9),
        ended("tool_use"),
    ];
    let expect = vec![
        call(0, "t4", "a"),
        call(1, "t9", "b"),
        arguments(1, "{\"b\":1}"),
        arguments(0, "{\"a\":1}"),
        finish(StopReason::ToolCalls),
    ];
    assert_eq!(read_events(Reading::default(), &frames), (expect, Ok(false)));
}

#[test]
fn input_that_comes_with_the_start_counts_if_no_delta_does() {
    let whole = open(0, json!({"type": "tool_use", "id": "t0", "name": "a", "input": {"x": 1}}));
    let expect = |piece: &str| vec![call(0, "t0", "a"), arguments(0, piece), finish(StopReason::ToolCalls)];
    let (events, _) = read_events(Reading::default(), &[whole.clone(), close(0), ended("tool_use")]);
    assert_eq!(events, expect("{\"x\":1}"));
    let (events, _) = read_events(Reading::default(), &[whole.clone(), ended("tool_use"), close(0)]);
    assert_eq!(events, expect("{\"x\":1}"));
    let (events, _) = read_events(Reading::default(), &[whole, input(0, "{}"), close(0), ended("tool_use")]);
    assert_eq!(events, expect("{}"));
}

#[test]
fn a_stream_without_a_reason_still_finishes_once() {
    assert_eq!(read_events(Reading::default(), &[stop()]), (vec![finish(StopReason::Stop)], Ok(true)));
    let (events, _) = read_events(Reading::default(), &[open_call(0, "a"), close(0), stop()]);
    assert_eq!(events.last(), Some(&finish(StopReason::ToolCalls)));
    let frames = [ended("max_tokens"), ended("end_turn"), stop()];
    assert_eq!(read_events(Reading::default(), &frames), (vec![finish(StopReason::Length)], Ok(true)));
}

#[test]
fn a_refusal_says_why_before_it_ends() {
    let details = json!({"type": "refusal", "category": null, "explanation": "Not this."});
    let frames =
        [json!({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": details}})];
    let refusal = StreamEvent::Refusal { choice: 0, delta: "Not this.".to_owned() };
    let expect = vec![refusal, finish(StopReason::Refusal)];
    assert_eq!(read_events(Reading::default(), &frames), (expect, Ok(false)));
}

#[test]
fn the_stop_text_that_hit_is_told() {
    let ended =
        json!({"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"}});
    let stop = StopReason::StopSequence;
    let expect = vec![StreamEvent::Finish { choice: 0, stop, stop_sequence: Some("END".to_owned()) }];
    assert_eq!(read_events(Reading::default(), &[ended]), (expect, Ok(false)));
}

#[test]
fn citations_come_with_the_reach_of_their_text() {
    let source = |url: &str| json!({"type": "web_search_result_location", "url": url, "cited_text": "q"});
    let cited = |index, url| delta(index, json!({"type": "citations_delta", "citation": source(url)}));
    let expect = |url: &str, span| StreamEvent::Citation {
        choice: 0,
        citation: Box::new(Citation {
            span: Some(span),
            url: Some(url.to_owned()),
            quote: Some("q".to_owned()),
            native: Some(Native { dialect: Dialect::Anthropic, value: source(url) }),
            ..Citation::default()
        }),
    };
    let frames = [
        open_text(0),
        piece(0, "Grüß "),
        close(0),
        open_text(1),
        cited(1, "https://a"),
        piece(1, "Gott"),
        cited(1, "https://b"),
        piece(1, "!"),
        close(1),
    ];
    let events = vec![
        text("Grüß "),
        text(""),
        text("Gott"),
        text("!"),
        expect("https://a", (5, 10)),
        expect("https://b", (5, 10)),
    ];
    assert_eq!(read_events(Reading::default(), &frames), (events, Ok(false)));
}

#[test]
fn blocks_of_the_providers_own_come_whole() {
    let compaction = json!({"type": "compaction", "content": null});
    let brought = json!({"type": "compaction_delta", "content": "So far.", "encrypted_content": null});
    let call = json!({"type": "mcp_tool_use", "id": "m", "name": "f", "server_name": "s", "input": {}});
    let frames = [
        open(0, compaction),
        delta(0, brought),
        close(0),
        open(1, call),
        input(1, "{\"a\":"),
        input(1, "1}"),
        ended("pause_turn"),
    ];
    let expect = vec![
        native(json!({"type": "compaction", "content": "So far."})),
        native(
            json!({"type": "mcp_tool_use", "id": "m", "name": "f", "server_name": "s", "input": {"a": 1}}),
        ),
        finish(StopReason::Pause),
    ];
    assert_eq!(read_events(Reading::default(), &frames), (expect, Ok(false)));
    let long = "x".repeat(1 << 20);
    let endless = [open(0, json!({"type": "server_tool_use"})), input(0, &long), input(0, "y")];
    assert!(matches!(fault_of(&endless), ReplyFault::Malformed(_)));
}

#[test]
fn the_tier_is_told_once() {
    let usage = |tier: &str| json!({"type": "message_delta", "delta": {}, "usage": {"service_tier": tier}});
    let frames = [usage("standard"), usage("standard"), usage("priority")];
    let (events, _) = read_events(Reading::default(), &frames);
    let tiers: Vec<&str> = events
        .iter()
        .filter_map(
            |event| if let StreamEvent::ServiceTier(tier) = event { Some(tier.as_str()) } else { None },
        )
        .collect();
    assert_eq!(tiers, ["default", "priority"]);
}

#[test]
fn an_error_event_ends_the_stream_after_what_was_good() {
    let error = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "Sorry"}});
    let check = |kind: &str, status: u16, class: FailureClass| {
        let (events, fault) = read_events(Reading::default(), &[open_text(0), piece(0, "Half"), error(kind)]);
        assert_eq!(events, [text("Half")]);
        let Err(ReplyFault::Error(error)) = fault else { panic!("{kind}: {fault:?}") };
        assert_eq!((error.status, error.class, error.message.as_str()), (status, class, "Sorry"), "{kind}");
    };
    check("overloaded_error", 529, FailureClass::Overloaded);
    check("rate_limit_error", 429, FailureClass::RateLimit);
    check("api_error", 500, FailureClass::Server);
    check("timeout_error", 504, FailureClass::Timeout);
    check("invalid_request_error", 400, FailureClass::BadRequest);
    check("error_of_tomorrow", 500, FailureClass::Server);
}

#[test]
fn the_events_name_stands_in_for_a_missing_type() {
    let (mut decoder, mut events) = (StreamDecoder::default(), Vec::new());
    let frame = Frame::new(Some("message_stop"), b"{}");
    decoder.read(&frame, &mut events).unwrap();
    assert!(decoder.is_complete());
}

#[test]
fn bedrocks_chunks_hold_the_events_in_base64_and_its_exceptions_are_errors() {
    let read = |kind: &str, data: Value| {
        let (mut decoder, mut events) = (StreamDecoder::default(), Vec::new());
        let data = data.to_string();
        let fault = decoder.read(&Frame::new(Some(kind), data.as_bytes()), &mut events).err();
        (decoder.is_complete(), fault)
    };
    let stop = "eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0=";
    assert_eq!(read("chunk", json!({"bytes": stop, "p": "abcd"})), (true, None));
    assert!(matches!(read("chunk", json!({"bytes": "!"})), (false, Some(ReplyFault::Malformed(_)))));
    let check = |kind: &str, status: u16, class: FailureClass| {
        let (_, Some(ReplyFault::Error(error))) = read(kind, json!({"message": "Slow down"})) else {
            panic!("{kind}");
        };
        assert_eq!(
            (error.status, error.class, error.message.as_str()),
            (status, class, "Slow down"),
            "{kind}"
        );
        assert_eq!(error.kind.as_deref(), Some(kind));
    };
    check("throttlingException", 429, FailureClass::RateLimit);
    check("validationException", 400, FailureClass::BadRequest);
    check("modelTimeoutException", 408, FailureClass::Timeout);
    check("serviceUnavailableException", 503, FailureClass::Overloaded);
    check("modelStreamErrorException", 424, FailureClass::Server);
    check("internalServerException", 500, FailureClass::Server);
    check("someException", 500, FailureClass::Server);
}

#[test]
fn the_end_mark_of_other_wires_and_empty_data_say_nothing() {
    let (mut decoder, mut events) = (StreamDecoder::default(), Vec::new());
    for data in [&b""[..], b"[DONE]"] {
        decoder.read(&Frame::new(None, data), &mut events).unwrap();
    }
    assert_eq!((events.len(), decoder.is_complete()), (0, false));
}

#[test]
fn what_is_no_event_is_malformed() {
    let malformed = |fault: ReplyFault| assert!(matches!(fault, ReplyFault::Malformed(_)), "{fault:?}");
    malformed(fault_of(&[json!({})]));
    malformed(fault_of(&[json!([])]));
    malformed(fault_of(&[json!({"type": "message_start"})]));
    malformed(fault_of(&[json!({"type": "content_block_start", "index": 0})]));
    malformed(fault_of(&[json!({"type": "content_block_start", "content_block": {"type": "text"}})]));
    malformed(fault_of(&[open(0, json!({"type": "tool_use", "id": "a"}))]));
    malformed(fault_of(&[piece(0, "x")]));
    malformed(fault_of(&[open_text(0), json!({"type": "content_block_delta", "index": 0})]));
    malformed(fault_of(&[open_text(0), close(0), piece(0, "x")]));
    let endless: Vec<Value> = (0..100).map(open_text).collect();
    malformed(fault_of(&endless));
    let (mut decoder, mut events) = (StreamDecoder::default(), Vec::new());
    for data in [&b"<html>"[..], b"{", b"\xff"] {
        assert!(decoder.read(&Frame::new(None, data), &mut events).is_err());
    }
}
