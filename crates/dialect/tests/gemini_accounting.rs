//! The traps of Gemini's accounting, each by its name, plain and streamed, read and written.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{ChatReply, Choice, Part, StreamEvent, Usage};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::gemini::{StreamDecoder, StreamEncoder, decode_reply, encode_reply};
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{EventEncoder, Losses, Reading, ReplyFacts, Transducer};

fn chunk(text: &str, finish: Option<&str>, usage: Value) -> Value {
    json!({
        "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": finish, "index": 0}],
        "usageMetadata": usage,
    })
}

fn counts(prompt: u64, answer: u64, thoughts: u64) -> Value {
    json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + answer + thoughts,
    })
}

/// Drives a body of Google's through to a Gemini caller; tells the last usage and what the caller got.
fn translate(body: &str, size: usize) -> (Option<Usage>, String) {
    let encoder = StreamEncoder::new(ReplyFacts::default(), false);
    let mut translator = Translator::new(Framing::events(), StreamDecoder::new(&Reading::default()), encoder);
    let mut out = Vec::new();
    for piece in body.as_bytes().chunks(size) {
        translator.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
    }
    translator.finish(&mut out).unwrap();
    (translator.progress().usage, String::from_utf8(out.concat()).unwrap())
}

/// The last usage, for every cut, and how often the caller was told one.
fn check(body: &str, expect: Usage) {
    for size in [1, 2, 3, 7, 64, body.len()] {
        let (usage, written) = translate(body, size);
        assert_eq!(usage, Some(expect), "{size}");
        assert_eq!(written.matches("usageMetadata").count(), 1);
    }
}

fn events(frames: &[Value]) -> String {
    frames.iter().map(|frame| format!("data: {frame}\r\n\r\n")).collect()
}

#[test]
fn cumulative_usage_of_each_chunk_is_not_summed() {
    let frames = [
        chunk("a", None, counts(10, 1, 0)),
        chunk("b", None, counts(10, 2, 0)),
        chunk("c", Some("STOP"), counts(10, 3, 0)),
    ];
    check(&events(&frames), Usage { input_tokens: 10, output_tokens: 3, ..Usage::default() });
}

#[test]
fn thinking_tokens_are_output_and_are_not_dropped() {
    let frames = [chunk("a", Some("STOP"), counts(10, 3, 40))];
    let expect = Usage { input_tokens: 10, output_tokens: 43, reasoning_tokens: 40, ..Usage::default() };
    check(&events(&frames), expect);
}

#[test]
fn cached_tokens_are_part_of_the_prompt_and_counted_once() {
    let mut usage = counts(1_000, 3, 0);
    usage["cachedContentTokenCount"] = json!(900);
    let frames = [chunk("a", Some("STOP"), usage)];
    let expect = Usage { input_tokens: 1_000, cached_tokens: 900, output_tokens: 3, ..Usage::default() };
    check(&events(&frames), expect);
}

#[test]
fn what_googles_tools_put_into_the_prompt_is_input() {
    let mut usage = counts(10, 3, 0);
    usage["toolUsePromptTokenCount"] = json!(500);
    usage["totalTokenCount"] = json!(513);
    let frames = [chunk("a", Some("STOP"), usage)];
    let expect = Usage { input_tokens: 510, tool_prompt_tokens: 500, output_tokens: 3, ..Usage::default() };
    check(&events(&frames), expect);
}

#[test]
fn usage_in_a_last_chunk_without_candidates_counts() {
    let frames = [
        chunk("a", Some("STOP"), json!(null)),
        json!({"candidates": [], "usageMetadata": counts(10, 3, 2)}),
        json!({"usageMetadata": counts(10, 4, 2)}),
    ];
    let expect = Usage { input_tokens: 10, output_tokens: 6, reasoning_tokens: 2, ..Usage::default() };
    check(&events(&frames), expect);
}

#[test]
fn usage_that_is_sent_twice_is_told_once() {
    let frames = [
        chunk("a", None, counts(10, 3, 0)),
        chunk("", Some("STOP"), counts(10, 3, 0)),
        json!({"usageMetadata": counts(10, 3, 0)}),
    ];
    let mut decoder = StreamDecoder::new(&Reading::default());
    let mut told = Vec::new();
    for frame in &frames {
        use tollgate_dialect::wire::EventDecoder;
        decoder
            .read(&tollgate_dialect::sse::Frame::new(None, frame.to_string().as_bytes()), &mut told)
            .unwrap();
    }
    assert_eq!(told.iter().filter(|event| matches!(event, StreamEvent::Usage(_))).count(), 1);
    check(&events(&frames), Usage { input_tokens: 10, output_tokens: 3, ..Usage::default() });
}

#[test]
fn an_explicit_zero_is_a_zero() {
    let frames = [chunk("", Some("STOP"), counts(10, 0, 0))];
    check(&events(&frames), Usage { input_tokens: 10, ..Usage::default() });
    let zero = [chunk("", Some("STOP"), json!({"promptTokenCount": 0}))];
    check(&events(&zero), Usage::default());
}

#[test]
fn comments_event_lines_and_other_line_ends_change_nothing() {
    let frames = [chunk("Grü\u{1f600}", None, counts(10, 1, 0)), chunk("ße", Some("STOP"), counts(10, 2, 0))];
    let [first, last] = &frames;
    let expect = Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() };
    check(&format!(": hello\n\ndata: {first}\n\nevent: message\ndata: {last}\n\n"), expect);
    check(&format!("data:{first}\r\rdata:{last}\r\r"), expect);
    check(&format!("data: {first}\r\n\r\n: ping\r\n\r\ndata: {last}"), expect);
}

#[test]
fn every_call_is_read_and_ends_the_turn_though_google_says_stop() {
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let body =
        json!({"candidates": [{"content": {"parts": [call("a"), call("b")]}, "finishReason": "STOP"}]});
    let reply = decode_reply(body.to_string().as_bytes(), &Reading::default()).unwrap();
    let calls = reply.choices[0].parts.iter().filter(|part| matches!(part, Part::ToolCall { .. }));
    assert_eq!(calls.count(), 2);
    assert_eq!(reply.choices[0].stop, Some(tollgate_dialect::conversation::StopReason::ToolCalls));
}

#[test]
fn searches_that_are_told_in_several_chunks_are_counted_once() {
    let mut first = chunk("a", None, counts(10, 1, 0));
    first["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["q", "r"]});
    let mut last = chunk("b", Some("STOP"), counts(10, 2, 0));
    last["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["q", "r"]});
    let expect = Usage { input_tokens: 10, output_tokens: 2, web_search_requests: 2, ..Usage::default() };
    check(&events(&[first, last]), expect);
}

#[test]
fn a_callers_usage_is_in_googles_terms() {
    let usage = Usage {
        input_tokens: 1_000,
        cached_tokens: 600,
        tool_prompt_tokens: 100,
        input_audio_tokens: 30,
        input_image_tokens: 20,
        output_tokens: 70,
        reasoning_tokens: 50,
        output_audio_tokens: 5,
        ..Usage::default()
    };
    let reply = ChatReply { choices: vec![Choice::default()], usage, ..ChatReply::default() };
    let body = encode_reply(&reply, &ReplyFacts::default(), &mut Losses::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    let detail = |modality: &str, count: u64| json!({"modality": modality, "tokenCount": count});
    let expect = json!({
        "promptTokenCount": 900,
        "candidatesTokenCount": 20,
        "totalTokenCount": 1_070,
        "cachedContentTokenCount": 600,
        "toolUsePromptTokenCount": 100,
        "thoughtsTokenCount": 50,
        "promptTokensDetails": [detail("TEXT", 850), detail("IMAGE", 20), detail("AUDIO", 30)],
        "candidatesTokensDetails": [detail("TEXT", 15), detail("AUDIO", 5)],
    });
    assert_eq!(body["usageMetadata"], expect);
    let none = ChatReply { choices: vec![Choice::default()], ..ChatReply::default() };
    let body = encode_reply(&none, &ReplyFacts::default(), &mut Losses::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    let zero = json!({"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0});
    assert_eq!(body["usageMetadata"], zero);
}

#[test]
fn a_stream_of_unknown_usage_tells_none() {
    let mut encoder = StreamEncoder::new(ReplyFacts::default(), false);
    let mut out = Vec::new();
    encoder.encode(&[StreamEvent::Text { choice: 0, delta: "a".to_owned() }], &mut out);
    encoder.finish(&mut out);
    assert!(!String::from_utf8(out).unwrap().contains("usageMetadata"));
}
