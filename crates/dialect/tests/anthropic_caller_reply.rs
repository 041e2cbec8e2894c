//! Answers for Anthropic's callers, whole and streamed: golden files, which the official types accept as well.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use std::path::Path;
use tollgate_dialect::anthropic::{StreamEncoder, encode_count_reply, encode_error, encode_reply};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Issuer, MediaSource, Native, Part, PlaceUnit, Signature, SourcePlace,
    StopReason, StreamEvent, Usage,
};
use tollgate_dialect::wire::{CallerError, Dialect, EventEncoder, Losses, ReplyFacts};

fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "gemini/gemini-2.5-pro".to_owned(),
        created: 1_700_000_000,
        fallback_id: "0b51-7f".to_owned(),
        ..ReplyFacts::default()
    }
}

fn usage() -> Usage {
    Usage {
        input_tokens: 1_000,
        cached_tokens: 400,
        cache_write_tokens: 100,
        cache_write_1h_tokens: 50,
        output_tokens: 80,
        reasoning_tokens: 30,
        web_search_requests: 2,
        web_fetch_requests: 1,
        ..Usage::default()
    }
}

fn reply(parts: Vec<Part>, stop: Option<StopReason>) -> ChatReply {
    ChatReply { choices: vec![Choice { parts, stop, ..Choice::default() }], ..ChatReply::default() }
}

/// The message as JSON, and what it could not say.
fn write(reply: &ChatReply) -> (Value, Vec<String>) {
    let mut lost = Losses::default();
    let bytes = encode_reply(reply, &facts(), &mut lost);
    (serde_json::from_slice(&bytes).unwrap(), lost.names().map(str::to_owned).collect())
}

fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/anthropic").join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The message must be the golden file's JSON, member for member and in its order.
fn check(name: &str, reply: &ChatReply) {
    let (message, _) = write(reply);
    let expect: Value = serde_json::from_str(&golden(name)).unwrap_or_default();
    assert_eq!(message.to_string(), expect.to_string(), "{name}: wrote\n{message:#}");
}

fn call(id: &str, arguments: &str, signature: Option<Signature>) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: "weather".to_owned(),
        arguments: arguments.to_owned(),
        is_custom: false,
        signature,
    }
}

fn native(value: Value) -> Native {
    Native { dialect: Dialect::Anthropic, value }
}

fn from_the_web() -> Citation {
    Citation {
        title: Some("Weather".to_owned()),
        url: Some("https://example.org/oslo".to_owned()),
        ..Citation::default()
    }
}

fn from_a_document() -> Citation {
    Citation {
        quote: Some("It rains.".to_owned()),
        title: Some("Almanac".to_owned()),
        document: Some(1),
        place: Some(SourcePlace { unit: PlaceUnit::Pages, start: 3, end: 4 }),
        ..Citation::default()
    }
}

fn search() -> Value {
    json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "oslo"}})
}

#[test]
fn a_whole_message_has_its_blocks_its_reason_and_its_usage() {
    let reply = ChatReply {
        id: "chatcmpl-1".to_owned(),
        model: "gemini-2.5-pro-002".to_owned(),
        usage: usage(),
        service_tier: Some("priority".to_owned()),
        ..reply(
            vec![
                Part::Reasoning {
                    text: "Two cities.".to_owned(),
                    signature: Some(Signature::new(Issuer::Google, "c2ln")),
                },
                Part::Reasoning { text: "Unsigned.".to_owned(), signature: None },
                Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "opaque") },
                Part::Native(native(search())),
                Part::Text {
                    text: "Rain.".to_owned(),
                    cache_control: None,
                    citations: vec![from_the_web(), from_a_document()],
                },
                call("call_1", "{\"city\":\"Oslo\"}", Some(Signature::new(Issuer::Google, "Y2FsbA"))),
                call("call_2", "", None),
            ],
            Some(StopReason::Stop),
        )
    };
    check("caller_reply.json", &reply);
}

#[test]
fn a_refusal_is_text_and_explanation() {
    let reply = reply(vec![Part::Refusal("I won't.".to_owned())], Some(StopReason::Stop));
    check("caller_refusal.json", &reply);
}

#[test]
fn ids_are_anthropics_or_made() {
    let check = |id: &str, expect: &str| {
        let (message, _) = write(&ChatReply { id: id.to_owned(), ..reply(Vec::new(), None) });
        assert_eq!(message["id"], expect);
    };
    check("msg_01XF", "msg_01XF");
    check("chatcmpl-7", "msg_0b517f");
    check("", "msg_0b517f");
}

#[test]
fn every_reason_has_its_word() {
    let check = |stop: Option<StopReason>, parts: Vec<Part>, expect: &str| {
        let (message, _) = write(&reply(parts, stop));
        assert_eq!(message["stop_reason"], expect, "{stop:?}");
        assert_eq!(message.get("stop_details").is_some(), expect == "refusal", "{stop:?}");
    };
    let tools = || vec![call("a", "{}", None)];
    check(None, Vec::new(), "end_turn");
    check(None, tools(), "tool_use");
    check(Some(StopReason::Stop), Vec::new(), "end_turn");
    check(Some(StopReason::Stop), tools(), "tool_use");
    check(Some(StopReason::StopSequence), Vec::new(), "stop_sequence");
    check(Some(StopReason::Length), tools(), "max_tokens");
    check(Some(StopReason::ContextWindow), Vec::new(), "model_context_window_exceeded");
    check(Some(StopReason::ToolCalls), tools(), "tool_use");
    check(Some(StopReason::ToolCalls), Vec::new(), "end_turn");
    check(Some(StopReason::ContentFilter), Vec::new(), "refusal");
    check(Some(StopReason::Recitation), Vec::new(), "refusal");
    check(Some(StopReason::Refusal), Vec::new(), "refusal");
    check(Some(StopReason::Pause), Vec::new(), "pause_turn");
    check(Some(StopReason::MalformedToolCall), Vec::new(), "end_turn");
}

#[test]
fn the_stop_text_that_hit_is_told() {
    let mut reply = reply(Vec::new(), Some(StopReason::Stop));
    reply.choices[0].stop_sequence = Some("END".to_owned());
    let (message, _) = write(&reply);
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("END"))
    );
}

#[test]
fn usage_is_in_disjoint_parts() {
    let (message, _) = write(&ChatReply { usage: usage(), ..reply(Vec::new(), None) });
    let expect = json!({
        "input_tokens": 450, "cache_creation_input_tokens": 150, "cache_read_input_tokens": 400,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 50},
        "output_tokens": 80, "output_tokens_details": {"thinking_tokens": 30},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    });
    assert_eq!(message["usage"], expect);
    let (message, _) = write(&reply(Vec::new(), None));
    let expect = json!({
        "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens": 0,
    });
    assert_eq!(message["usage"], expect);
}

#[test]
fn a_text_is_cut_where_its_support_changes() {
    let check = |spans: &[Option<(u64, u64)>], expect: &[(&str, usize)]| {
        let citations = spans.iter().map(|span| Citation { span: *span, ..from_the_web() }).collect();
        let text = Part::Text { text: "Grüß Gott!".to_owned(), cache_control: None, citations };
        let (message, _) = write(&reply(vec![text], None));
        let blocks = message["content"].as_array().unwrap().iter();
        let found: Vec<(&str, usize)> = blocks
            .map(|block| (block["text"].as_str().unwrap(), block["citations"].as_array().map_or(0, Vec::len)))
            .collect();
        assert_eq!(found, expect, "{spans:?}");
    };
    check(&[], &[("Grüß Gott!", 0)]);
    check(&[None], &[("Grüß Gott!", 1)]);
    check(&[Some((0, 10))], &[("Grüß Gott!", 1)]);
    check(&[Some((0, 99))], &[("Grüß Gott!", 1)]);
    check(&[Some((5, 5))], &[("Grüß ", 1), ("Gott!", 1)]);
    check(&[Some((0, 4)), Some((5, 9))], &[("Grüß", 1), (" ", 0), ("Gott", 1), ("!", 0)]);
    check(&[Some((0, 9)), Some((5, 9)), None], &[("Grüß ", 2), ("Gott", 3), ("!", 1)]);
    check(&[Some((7, 3))], &[("Grü", 1), ("ß Go", 1), ("tt!", 1)]);
}

#[test]
fn what_a_message_cannot_say_is_noted() {
    let check = |reply: ChatReply, expect: &[&str]| assert_eq!(write(&reply).1, expect);
    let picture =
        Part::Image { source: MediaSource::Url("https://a".to_owned()), detail: None, cache_control: None };
    let sound = Part::Audio {
        source: MediaSource::FileId("a".to_owned()),
        format: "wav".to_owned(),
        transcript: Some("Hello".to_owned()),
    };
    let foreign = Native { dialect: Dialect::Gemini, value: json!({"executableCode": {}}) };
    check(reply(vec![Part::text("x")], None), &[]);
    check(reply(vec![picture, sound, Part::Native(foreign)], None), &["image", "audio", "content"]);
    check(reply(vec![call("a", "{\"x\":", None)], None), &["arguments"]);
    check(reply(Vec::new(), Some(StopReason::MalformedToolCall)), &["finish_reason"]);
    check(ChatReply { service_tier: Some("flex".to_owned()), ..reply(Vec::new(), None) }, &["service_tier"]);
    let mut several = reply(Vec::new(), None);
    several.choices.push(Choice { index: 1, ..Choice::default() });
    several.choices[0].logprobs = Some(json!({}));
    check(several, &["n", "logprobs"]);
}

#[test]
fn arguments_that_are_no_object_are_kept_as_text() {
    let input = |arguments: &str| {
        write(&reply(vec![call("a", arguments, None)], None)).0["content"][0]["input"].clone()
    };
    assert_eq!(input("{\"x\":"), json!({"input": "{\"x\":"}));
    assert_eq!(input("[1]"), json!({"input": "[1]"}));
    assert_eq!(input(" "), json!({}));
}

#[test]
fn errors_have_the_type_of_their_status() {
    let check = |status: u16, expect: &str| {
        let error = CallerError {
            status,
            kind: Some("x"),
            message: "Sorry.",
            param: Some("p"),
            code: None,
            request_id: None,
        };
        let body: Value = serde_json::from_slice(&encode_error(&error)).unwrap();
        assert_eq!(
            body,
            json!({"type": "error", "error": {"type": expect, "message": "Sorry."}}),
            "{status}"
        );
        let named = encode_error(&CallerError { request_id: Some("req_1"), ..error });
        let named: Value = serde_json::from_slice(&named).unwrap();
        assert_eq!((&named["request_id"], &named["error"]), (&json!("req_1"), &body["error"]));
    };
    check(400, "invalid_request_error");
    check(401, "authentication_error");
    check(402, "billing_error");
    check(403, "permission_error");
    check(404, "not_found_error");
    check(405, "invalid_request_error");
    check(408, "timeout_error");
    check(409, "conflict_error");
    check(413, "request_too_large");
    check(422, "invalid_request_error");
    check(429, "rate_limit_error");
    check(500, "api_error");
    check(501, "api_error");
    check(502, "api_error");
    check(503, "overloaded_error");
    check(504, "timeout_error");
    check(529, "overloaded_error");
}

#[test]
fn a_count_is_one_number() {
    assert_eq!(encode_count_reply(2_095), b"{\"input_tokens\":2095}");
}

/// What the caller gets for events that come one by one, up to the end.
fn stream(events: &[StreamEvent]) -> String {
    let mut encoder = StreamEncoder::new(facts());
    let mut out = Vec::new();
    for event in events {
        encoder.encode(std::slice::from_ref(event), &mut out);
    }
    encoder.finish(&mut out);
    String::from_utf8(out).unwrap()
}

fn check_stream(name: &str, events: &[StreamEvent]) {
    let (written, mut at_once) = (stream(events), Vec::new());
    assert_eq!(written, golden(name), "{name}: wrote\n{written}");
    let mut encoder = StreamEncoder::new(facts());
    encoder.encode(events, &mut at_once);
    encoder.finish(&mut at_once);
    assert_eq!(String::from_utf8(at_once).unwrap(), written);
}

/// The data of the stream's events.
fn data(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Types of the events, with the number of the block: `content_block_delta 0`.
fn outline(stream: &str) -> Vec<String> {
    let named = |event: Value| match event.get("index") {
        Some(index) => format!("{} {index}", event["type"].as_str().unwrap().replace("content_block_", "")),
        None => event["type"].as_str().unwrap().to_owned(),
    };
    data(stream).into_iter().map(named).collect()
}

fn start() -> StreamEvent {
    StreamEvent::Start { id: "msg_7".to_owned(), model: "m".to_owned() }
}

fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

fn reasoning(delta: &str) -> StreamEvent {
    StreamEvent::Reasoning { choice: 0, delta: delta.to_owned() }
}

fn begin_call(index: u64, signature: Option<Signature>) -> StreamEvent {
    let (id, name) = (format!("call_{index}"), "weather".to_owned());
    StreamEvent::ToolCallStart { choice: 0, index, id, name, is_custom: false, signature }
}

fn arguments(index: u64, delta: &str) -> StreamEvent {
    StreamEvent::ToolCallArguments { choice: 0, index, delta: delta.to_owned() }
}

fn cite(citation: Citation) -> StreamEvent {
    StreamEvent::Citation { choice: 0, citation: Box::new(citation) }
}

fn finish(stop: StopReason) -> StreamEvent {
    StreamEvent::Finish { choice: 0, stop, stop_sequence: None }
}

#[test]
fn an_empty_piece_begins_another_block_of_text_and_says_nothing_elsewhere() {
    let check = |events: &[StreamEvent], expect: &[&str]| {
        let outline = outline(&stream(events));
        let blocks: Vec<&str> =
            outline.iter().map(String::as_str).filter(|name| name.starts_with("start")).collect();
        assert_eq!(blocks, expect);
    };
    check(&[text("a"), text(""), text("b"), finish(StopReason::Stop)], &["start 0", "start 1"]);
    check(&[text(""), text("a"), text(""), finish(StopReason::Stop)], &["start 0"]);
    check(&[reasoning("a"), text(""), reasoning("b"), finish(StopReason::Stop)], &["start 0"]);
}

#[test]
fn a_stream_has_its_blocks_in_order_and_the_whole_usage_at_its_end() {
    let compaction = json!({"type": "compaction", "content": "So far.", "encrypted_content": null});
    let signature = Signature::new(Issuer::Anthropic, "EqQB");
    let events = [
        start(),
        StreamEvent::ServiceTier("default".to_owned()),
        StreamEvent::Usage(Usage {
            input_tokens: 1_000,
            cached_tokens: 400,
            output_tokens: 1,
            ..Usage::default()
        }),
        reasoning("Two "),
        reasoning("cities."),
        StreamEvent::ReasoningSignature { choice: 0, signature },
        StreamEvent::RedactedReasoning { choice: 0, data: Signature::new(Issuer::Anthropic, "opaque") },
        StreamEvent::Native { choice: 0, native: native(compaction) },
        StreamEvent::Native { choice: 0, native: native(search()) },
        text("Rain"),
        text(" – \"wet\"."),
        cite(from_the_web()),
        cite(from_a_document()),
        text("And?"),
        begin_call(0, Some(Signature::new(Issuer::Google, "Y2FsbA"))),
        arguments(0, "{\"city\":"),
        arguments(0, ""),
        arguments(0, "\"Oslo\"}"),
        begin_call(1, None),
        finish(StopReason::ToolCalls),
        StreamEvent::Usage(usage()),
    ];
    check_stream("caller_stream.sse", &events);
}

#[test]
fn a_refusal_streams_as_text_and_is_explained_at_the_end() {
    let refusal = |delta: &str| StreamEvent::Refusal { choice: 0, delta: delta.to_owned() };
    check_stream(
        "caller_stream_refusal.sse",
        &[start(), refusal("I "), refusal("won't."), finish(StopReason::Stop)],
    );
}

#[test]
fn nothing_is_written_before_the_first_content() {
    let mut encoder = StreamEncoder::new(facts());
    let mut out = Vec::new();
    let silent = [start(), StreamEvent::Usage(usage()), text(""), reasoning(""), finish(StopReason::Stop)];
    encoder.encode(&silent, &mut out);
    assert!(out.is_empty());
    encoder.finish(&mut out);
    let written = String::from_utf8(out).unwrap();
    assert_eq!(outline(&written), ["message_start", "message_delta", "message_stop"]);
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error_event() {
    let mut encoder = StreamEncoder::new(facts());
    let mut out = Vec::new();
    encoder.encode(&[start(), text("Half")], &mut out);
    let begun = out.len();
    let error = CallerError {
        status: 529,
        kind: None,
        message: "Overloaded",
        param: None,
        code: None,
        request_id: None,
    };
    encoder.fail(&error, &mut out);
    let expect = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
                  \"message\":\"Overloaded\"}}\n\n";
    assert_eq!(std::str::from_utf8(&out[begun..]).unwrap(), expect);
}

#[test]
fn calls_that_overlap_become_blocks_in_a_row() {
    let events = [
        start(),
        begin_call(0, None),
        begin_call(1, None),
        arguments(1, "{\"b\":"),
        arguments(0, "{\"a\":1}"),
        arguments(1, "2}"),
        finish(StopReason::Stop),
    ];
    let written = stream(&events);
    let expect = [
        "message_start",
        "start 0",
        "delta 0",
        "stop 0",
        "start 1",
        "delta 1",
        "delta 1",
        "stop 1",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(outline(&written), expect);
    let last = &data(&written)[8];
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
}

#[test]
fn a_signature_without_shown_thoughts_is_a_block_of_its_own() {
    let signature = Signature::new(Issuer::Google, "c2ln");
    let signed = StreamEvent::ReasoningSignature { choice: 0, signature };
    let written = stream(&[start(), text("Yes."), signed, text("No."), finish(StopReason::Length)]);
    let expect = [
        "message_start",
        "start 0",
        "delta 0",
        "stop 0",
        "start 1",
        "delta 1",
        "stop 1",
        "start 2",
        "delta 2",
        "stop 2",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(outline(&written), expect);
    let events = data(&written);
    assert_eq!(events[5]["delta"], json!({"type": "signature_delta", "signature": "tollgate.google.c2ln"}));
    assert_eq!(events[10]["delta"]["stop_reason"], "max_tokens");
}

#[test]
fn further_answers_and_foreign_blocks_have_no_place_in_a_stream() {
    let other = StreamEvent::Text { choice: 1, delta: "Other.".to_owned() };
    let foreign = Native { dialect: Dialect::Gemini, value: json!({"executableCode": {}}) };
    let foreign = StreamEvent::Native { choice: 0, native: foreign };
    let ended = StreamEvent::Finish { choice: 1, stop: StopReason::Length, stop_sequence: None };
    let with = stream(&[start(), text("One."), other, foreign, finish(StopReason::Stop), ended]);
    assert_eq!(with, stream(&[start(), text("One."), finish(StopReason::Stop)]));
}
