//! Streams for callers of `streamGenerateContent`, as events and as an array. `fixtures/gemini/answer_stream.*` are held
//! against Google's own package.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    Citation, Issuer, MediaSource, Native, Signature, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::gemini::{StreamDecoder, StreamEncoder, decode_request};
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{CallerError, Dialect, EventEncoder, Reading, ReplyFacts, Transducer};

fn encoder(array: bool) -> StreamEncoder {
    let facts = ReplyFacts {
        client_model: "my-model".to_owned(),
        fallback_id: "fallback".to_owned(),
        ..ReplyFacts::default()
    };
    StreamEncoder::new(facts, array)
}

fn stream(events: &[StreamEvent], array: bool) -> String {
    let mut encoder = encoder(array);
    let mut out = Vec::new();
    encoder.encode(events, &mut out);
    encoder.finish(&mut out);
    String::from_utf8(out).unwrap()
}

/// The chunks of a stream of events, and those of the array are the same.
fn chunks(events: &[StreamEvent]) -> Vec<Value> {
    let body = stream(events, false);
    let chunks: Vec<Value> = body
        .split_terminator("\r\n\r\n")
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let array: Vec<Value> = serde_json::from_str(&stream(events, true)).unwrap();
    assert_eq!(array, chunks);
    chunks
}

/// All parts, in order.
fn parts(events: &[StreamEvent]) -> Vec<Value> {
    let candidates =
        chunks(events).into_iter().flat_map(|chunk| chunk["candidates"].as_array().unwrap().clone());
    candidates.flat_map(|candidate| candidate["content"]["parts"].as_array().unwrap().clone()).collect()
}

/// Parts without the empty text of the last chunk.
fn check(events: Vec<StreamEvent>, expect: Value) {
    let mut parts = parts(&events);
    assert_eq!(parts.pop(), Some(json!({"text": ""})));
    assert_eq!(Value::Array(parts), expect);
}

fn start() -> StreamEvent {
    StreamEvent::Start { id: "chatcmpl-1".to_owned(), model: "gpt".to_owned() }
}

fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

fn reasoning(delta: &str) -> StreamEvent {
    StreamEvent::Reasoning { choice: 0, delta: delta.to_owned() }
}

fn signature(issuer: Issuer, text: &str) -> StreamEvent {
    StreamEvent::ReasoningSignature { choice: 0, signature: Signature::new(issuer, text) }
}

fn call(index: u64, id: &str) -> StreamEvent {
    StreamEvent::ToolCallStart {
        choice: 0,
        index,
        id: id.to_owned(),
        name: format!("f{index}"),
        is_custom: false,
        signature: None,
    }
}

fn arguments(index: u64, delta: &str) -> StreamEvent {
    StreamEvent::ToolCallArguments { choice: 0, index, delta: delta.to_owned() }
}

fn finish(stop: StopReason) -> StreamEvent {
    StreamEvent::Finish { choice: 0, stop, stop_sequence: None }
}

fn usage() -> StreamEvent {
    StreamEvent::Usage(Usage { input_tokens: 9, output_tokens: 5, reasoning_tokens: 2, ..Usage::default() })
}

fn full_stream() -> Vec<StreamEvent> {
    let citation = Citation {
        span: Some((0, 5)),
        url: Some("https://a.example".to_owned()),
        title: Some("A".to_owned()),
        ..Citation::default()
    };
    vec![
        start(),
        reasoning("Hm"),
        reasoning("."),
        signature(Issuer::Anthropic, "EqQB"),
        text("Grüße"),
        text(" \"Rom\"\n"),
        StreamEvent::Citation { choice: 0, citation: Box::new(citation) },
        StreamEvent::Image {
            choice: 0,
            source: MediaSource::Base64 { media_type: "image/png".to_owned(), data: "QUJD".to_owned() },
        },
        call(0, "toolu_1"),
        arguments(0, "{\"city\""),
        arguments(0, ":\"Rome\"}"),
        call(1, "toolu_2"),
        finish(StopReason::ToolCalls),
        StreamEvent::ServiceTier("default".to_owned()),
        usage(),
    ]
}

#[test]
fn a_full_stream_is_written_byte_for_byte_in_both_framings() {
    for (name, array) in [("answer_stream.sse", false), ("answer_stream.json", true)] {
        let written = stream(&full_stream(), array);
        let path = format!("{}/tests/fixtures/gemini/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("TOLLGATE_BLESS").is_some() {
            std::fs::write(&path, &written).unwrap();
        }
        assert_eq!(written, std::fs::read_to_string(&path).unwrap());
    }
}

#[test]
fn a_text_is_one_chunk_a_piece_and_the_last_has_the_end() {
    let events = [start(), text("Hel"), text("lo"), finish(StopReason::Stop), usage()];
    let chunk = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}], "modelVersion": "my-model", "responseId": "fallback"});
    let mut last = chunk("");
    last["candidates"][0]["finishReason"] = json!("STOP");
    last["usageMetadata"] = json!({"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 14, "thoughtsTokenCount": 2});
    assert_eq!(chunks(&events), [chunk("Hel"), chunk("lo"), last]);
}

#[test]
fn the_array_is_cut_as_google_cuts_it() {
    let body = stream(&[start(), text("a"), finish(StopReason::Stop)], true);
    assert!(body.starts_with("[{") && body.ends_with("}\n]"));
    assert_eq!(body.matches("}\n,\r\n{").count(), 1);
}

#[test]
fn calls_come_whole_whatever_their_pieces() {
    let whole =
        |id: &str, name: &str, args: Value| json!({"functionCall": {"id": id, "name": name, "args": args}});
    check(
        vec![
            call(0, "a"),
            arguments(0, ""),
            arguments(0, "{\"x\":"),
            call(1, "b"),
            arguments(1, "{}"),
            arguments(0, "[1,\"\u{1f600}\"]}"),
            call(2, "c"),
            finish(StopReason::ToolCalls),
        ],
        json!([
            whole("a", "f0", json!({"x": [1, "\u{1f600}"]})),
            whole("b", "f1", json!({})),
            whole("c", "f2", json!({}))
        ]),
    );
    check(
        vec![call(0, "a"), arguments(0, "{\"x\":1}"), text("and"), finish(StopReason::ToolCalls)],
        json!([whole("a", "f0", json!({"x": 1})), {"text": "and"}]),
    );
}

#[test]
fn a_cut_call_is_no_call() {
    for (stop, expect) in
        [(StopReason::ToolCalls, "MALFORMED_FUNCTION_CALL"), (StopReason::Length, "MAX_TOKENS")]
    {
        let events = [call(0, "a"), arguments(0, "{\"x\":"), finish(stop)];
        let chunks = chunks(&events);
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0]["candidates"][0]["finishReason"], expect);
        assert_eq!(chunks[0]["candidates"][0]["finishMessage"], "Malformed function call: f0({\"x\":)");
    }
}

#[test]
fn googles_signatures_stay_where_they_were() {
    check(
        vec![
            reasoning("Hm"),
            signature(Issuer::Google, "QQ=="),
            text("a"),
            signature(Issuer::Google, "Qg=="),
            finish(StopReason::Stop),
        ],
        json!([
            {"text": "Hm", "thought": true},
            {"text": "", "thought": true, "thoughtSignature": "QQ=="},
            {"text": "a"},
            {"text": "", "thoughtSignature": "Qg=="},
        ]),
    );
}

/// A history as clients keep it: each chunk a content, or without thoughts as Google's command-line agent keeps it.
fn history(events: &[StreamEvent], keeps_thoughts: bool) -> Value {
    let parts = parts(events).into_iter().filter(|part| keeps_thoughts || part.get("thought").is_none());
    let contents: Vec<Value> = parts.map(|part| json!({"role": "model", "parts": [part]})).collect();
    json!({"contents": contents})
}

#[test]
fn anothers_thoughts_come_back_with_the_call_even_from_clients_that_drop_them() {
    use tollgate_dialect::conversation::Part;
    let sealed = Signature::new(Issuer::Anthropic, "opaque");
    let events = [
        reasoning("Two"),
        reasoning(" calls."),
        signature(Issuer::Anthropic, "EqQB"),
        StreamEvent::RedactedReasoning { choice: 0, data: sealed.clone() },
        text("So:"),
        call(0, "toolu_1"),
        arguments(0, "{}"),
        call(1, "toolu_2"),
        finish(StopReason::ToolCalls),
    ];
    let call = |id: &str, name: &str| Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: "{}".to_owned(),
        is_custom: false,
        signature: None,
    };
    let signature = Some(Signature::new(Issuer::Anthropic, "EqQB"));
    let expect = vec![
        Part::Reasoning { text: "Two calls.".to_owned(), signature },
        Part::RedactedReasoning { data: sealed },
        Part::text("So:"),
        call("toolu_1", "f0"),
        call("toolu_2", "f1"),
    ];
    for keeps_thoughts in [true, false] {
        let body = history(&events, keeps_thoughts).to_string();
        let request = decode_request(body.as_bytes()).unwrap();
        assert_eq!(request.messages.len(), 1);
        assert_eq!(request.messages[0].parts, expect, "{keeps_thoughts}");
    }
}

#[test]
fn answers_side_by_side_end_together() {
    let of = |choice| {
        [
            StreamEvent::Text { choice, delta: format!("t{choice}") },
            StreamEvent::Finish { choice, stop: StopReason::Stop, stop_sequence: None },
        ]
    };
    let chunks = chunks(&[of(0), of(1)].concat());
    assert_eq!(chunks.len(), 3);
    let ends: Vec<u64> = chunks[2]["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|end| end["index"].as_u64().unwrap())
        .collect();
    assert_eq!(ends, [0, 1]);
}

#[test]
fn log_probabilities_share_the_chunk_of_their_text() {
    let logprobs = json!({"content": [{"token": "H", "logprob": -0.5, "bytes": [72], "top_logprobs": []}], "refusal": null});
    let events = [text("H"), StreamEvent::Logprobs { choice: 0, logprobs }, finish(StopReason::Stop)];
    let chunks = chunks(&events);
    assert_eq!(chunks.len(), 2);
    let expect = json!({
        "chosenCandidates": [{"token": "H", "logProbability": -0.5}],
        "topCandidates": [{"candidates": []}],
    });
    assert_eq!(chunks[0]["candidates"][0]["logprobsResult"], expect);
}

#[test]
fn sounds_and_native_blocks_are_written() {
    let code = json!({"executableCode": {"language": "PYTHON", "code": "1"}});
    let native = |dialect, value: &Value| StreamEvent::Native {
        choice: 0,
        native: Native { dialect, value: value.clone() },
    };
    check(
        vec![
            StreamEvent::Audio {
                choice: 0,
                id: "a".to_owned(),
                data: "QUJD".to_owned(),
                transcript: "hi".to_owned(),
            },
            native(Dialect::Gemini, &code),
            native(Dialect::Anthropic, &json!({"type": "x"})),
            finish(StopReason::Stop),
        ],
        json!([{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "QUJD"}}, {"text": "hi"}, code]),
    );
}

#[test]
fn sources_count_bytes_of_the_whole_text() {
    let cite = |span, url: &str| {
        let citation = Citation { span, url: Some(url.to_owned()), ..Citation::default() };
        StreamEvent::Citation { choice: 0, citation: Box::new(citation) }
    };
    let events = [
        reasoning("Hm"),
        text("Grü"),
        text("ße aus Rom"),
        cite(Some((0, 5)), "https://a.example"),
        cite(Some((0, 5)), "https://b.example"),
        cite(Some((6, 9)), "https://a.example"),
        finish(StopReason::Stop),
    ];
    let chunks = chunks(&events);
    let grounding = &chunks.last().unwrap()["candidates"][0]["groundingMetadata"];
    assert_eq!(grounding["groundingChunks"].as_array().unwrap().len(), 2);
    let segment = |start: u64, end: u64, text: &str| json!({"partIndex": 1, "startIndex": start, "endIndex": end, "text": text});
    let expect = json!([
        {"segment": segment(0, 7, "Grüße"), "groundingChunkIndices": [0, 1]},
        {"segment": segment(8, 11, "aus"), "groundingChunkIndices": [0]},
    ]);
    assert_eq!(grounding["groundingSupports"], expect);
}

#[test]
fn nothing_is_written_before_there_is_something_to_show() {
    for array in [false, true] {
        let mut encoder = encoder(array);
        let mut out = Vec::new();
        encoder.encode(&[start(), text(""), reasoning(""), usage(), call(0, "a")], &mut out);
        assert_eq!(out, b"");
    }
}

#[test]
fn a_broken_stream_ends_with_an_error_in_its_own_form() {
    let error =
        CallerError { status: 503, kind: None, message: "gone", param: None, code: None, request_id: None };
    let body = r#"{"error":{"code":503,"message":"gone","status":"UNAVAILABLE"}}"#;
    let broken = |array, events: &[StreamEvent]| {
        let mut encoder = encoder(array);
        let mut out = Vec::new();
        encoder.encode(events, &mut out);
        encoder.fail(&error, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert!(broken(false, &[start(), text("a")]).ends_with(&format!("\r\n\r\ndata: {body}\r\n\r\n")));
    let array: Vec<Value> = serde_json::from_str(&broken(true, &[start(), text("a")])).unwrap();
    assert_eq!(array.len(), 2);
    assert_eq!(array[1].to_string(), body);
    assert_eq!(broken(true, &[start()]), format!("[{body}\n]"));
}

/// What a caller gets for Google's stream in pieces of this size.
fn translated(body: &[u8], size: usize, array: bool) -> Vec<u8> {
    let decoder = StreamDecoder::new(&Reading::default());
    let mut translator = Translator::new(Framing::events(), decoder, encoder(array));
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        translator.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
    }
    translator.finish(&mut out).unwrap();
    out.concat()
}

#[test]
fn the_callers_bytes_are_the_same_however_the_providers_were_cut() {
    let body = stream(&full_stream(), false).into_bytes();
    for array in [false, true] {
        let whole = translated(&body, body.len(), array);
        for size in 1..200 {
            assert_eq!(translated(&body, size, array), whole, "{size}");
        }
    }
}

#[test]
fn a_stream_that_passes_twice_stays_the_same() {
    let body = stream(&full_stream(), false).into_bytes();
    let once = translated(&body, 64, false);
    assert_eq!(String::from_utf8(translated(&once, 64, false)).unwrap(), String::from_utf8(once).unwrap());
}
