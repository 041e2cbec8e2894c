//! Streamed answers of Gemini, in the shapes of Google's reference, cut in every way.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, Issuer, MediaSource, Native, Part, Signature, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::gemini::{StreamDecoder, decode_reply};
use tollgate_dialect::sse::{Frame, Framer};
use tollgate_dialect::wire::{Dialect, EventDecoder, Reading, ReplyFault};

fn reading() -> Reading {
    Reading { id_seed: 7, ..Reading::default() }
}

/// Reads frames and tells the events and whether the stream is complete.
fn decode(frames: &[Value]) -> Result<(Vec<StreamEvent>, bool), ReplyFault> {
    let mut decoder = StreamDecoder::new(&reading());
    let mut events = Vec::new();
    for frame in frames {
        decoder.read(&Frame::new(None, frame.to_string().as_bytes()), &mut events)?;
    }
    Ok((events, decoder.is_complete()))
}

/// The events after `Start` of a stream that is complete.
fn check(frames: &[Value], expect: Vec<StreamEvent>) {
    let (mut events, is_complete) = decode(frames).unwrap();
    assert!(matches!(events.remove(0), StreamEvent::Start { .. }));
    assert_eq!(events, expect);
    assert!(is_complete);
}

fn chunk(parts: Value) -> Value {
    json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
        "modelVersion": "gemini-2.5-flash",
        "responseId": "resp-1",
    })
}

fn last(parts: Value, finish: &str) -> Value {
    let mut chunk = chunk(parts);
    chunk["candidates"][0]["finishReason"] = json!(finish);
    chunk
}

fn with_usage(mut chunk: Value, prompt: u64, candidates: u64) -> Value {
    let total = prompt + candidates;
    chunk["usageMetadata"] =
        json!({"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": total});
    chunk
}

fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

fn reasoning(delta: &str) -> StreamEvent {
    StreamEvent::Reasoning { choice: 0, delta: delta.to_owned() }
}

fn signature(signature: &str) -> StreamEvent {
    StreamEvent::ReasoningSignature { choice: 0, signature: Signature::new(Issuer::Google, signature) }
}

fn finish(stop: StopReason) -> StreamEvent {
    StreamEvent::Finish { choice: 0, stop, stop_sequence: None }
}

fn usage(input_tokens: u64, output_tokens: u64) -> StreamEvent {
    StreamEvent::Usage(Usage { input_tokens, output_tokens, ..Usage::default() })
}

#[test]
fn a_text_comes_piece_by_piece_with_usage_that_replaces() {
    let frames = [
        with_usage(chunk(json!([{"text": "Hel"}])), 5, 1),
        with_usage(chunk(json!([{"text": "lo"}])), 5, 2),
        with_usage(last(json!([{"text": "!"}]), "STOP"), 5, 3),
    ];
    check(
        &frames,
        vec![
            text("Hel"),
            usage(5, 1),
            text("lo"),
            usage(5, 2),
            text("!"),
            finish(StopReason::Stop),
            usage(5, 3),
        ],
    );
    let start = StreamEvent::Start { id: "resp-1".to_owned(), model: "gemini-2.5-flash".to_owned() };
    assert_eq!(decode(&frames).unwrap().0[0], start);
}

#[test]
fn the_same_usage_is_not_told_twice() {
    let frames = [with_usage(chunk(json!([{"text": "a"}])), 5, 1), with_usage(last(json!([]), "STOP"), 5, 1)];
    check(&frames, vec![text("a"), usage(5, 1), finish(StopReason::Stop)]);
}

#[test]
fn thoughts_and_their_signatures_come_in_their_order() {
    let frames = [
        chunk(json!([{"text": "Hm", "thought": true}])),
        chunk(json!([{"text": ".", "thought": true, "thoughtSignature": "QQ=="}])),
        chunk(json!([{"text": "So"}])),
        last(json!([{"text": "", "thoughtSignature": "Qg=="}]), "STOP"),
    ];
    check(
        &frames,
        vec![
            reasoning("Hm"),
            reasoning("."),
            signature("QQ=="),
            text("So"),
            signature("Qg=="),
            finish(StopReason::Stop),
        ],
    );
}

#[test]
fn calls_come_whole_and_are_numbered_over_the_whole_stream() {
    let frames = [
        chunk(
            json!([{"functionCall": {"name": "a", "args": {"x": 1}}, "thoughtSignature": "QQ=="}, {"text": "and"}]),
        ),
        chunk(json!([{"functionCall": {"name": "b", "id": "google-1"}}])),
        chunk(json!([{"functionCall": {"name": "c", "args": {}}}])),
        last(json!([{"text": ""}]), "STOP"),
    ];
    let (events, is_complete) = decode(&frames).unwrap();
    assert!(is_complete);
    let mut starts = Vec::new();
    let mut arguments = Vec::new();
    for event in &events {
        match event {
            StreamEvent::ToolCallStart { choice: 0, index, id, name, is_custom: false, signature } => {
                starts.push((
                    *index,
                    id.as_str(),
                    name.as_str(),
                    signature.as_ref().and_then(|signature| signature.of(Issuer::Google)),
                ));
            }
            StreamEvent::ToolCallArguments { choice: 0, index, delta } => {
                arguments.push((*index, delta.as_str()));
            }
            _ => {}
        }
    }
    assert_eq!(arguments, [(0, r#"{"x":1}"#), (1, "{}"), (2, "{}")]);
    let named: Vec<_> =
        starts.iter().map(|(index, _, name, signature)| (*index, *name, *signature)).collect();
    assert_eq!(named, [(0, "a", Some("QQ==")), (1, "b", None), (2, "c", None)]);
    assert_eq!(starts[1].1, "google-1");
    assert!(starts[0].1.starts_with("call_") && starts[0].1 != starts[2].1);
    assert_eq!(events.last(), Some(&finish(StopReason::ToolCalls)));
    assert_eq!(decode(&frames).unwrap().0, events);
}

#[test]
fn an_answer_has_the_same_ids_streamed_and_whole() {
    let call = |name: &str| json!({"functionCall": {"name": name, "args": {}}});
    let whole = last(json!([call("a"), call("b")]), "STOP");
    let reply = decode_reply(whole.to_string().as_bytes(), &reading()).unwrap();
    let whole: Vec<String> = reply.choices[0]
        .parts
        .iter()
        .map(|part| {
            let Part::ToolCall { id, .. } = part else { panic!("no call") };
            id.clone()
        })
        .collect();
    let (events, _) = decode(&[chunk(json!([call("a")])), last(json!([call("b")]), "STOP")]).unwrap();
    let streamed: Vec<String> = events
        .into_iter()
        .filter_map(|event| if let StreamEvent::ToolCallStart { id, .. } = event { Some(id) } else { None })
        .collect();
    assert_eq!(streamed, whole);
}

#[test]
fn a_stream_is_complete_when_every_answer_that_began_has_ended() {
    let candidate = |index: u64, finish: Option<&str>| json!({"candidates": [{"content": {"parts": [{"text": "x"}]}, "index": index, "finishReason": finish}]});
    let table = [
        (vec![], false),
        (vec![json!({"usageMetadata": {"promptTokenCount": 1}})], false),
        (vec![candidate(0, None)], false),
        (vec![candidate(0, Some("STOP"))], true),
        (vec![candidate(0, None), candidate(1, Some("STOP"))], false),
        (vec![candidate(0, None), candidate(1, Some("STOP")), candidate(0, Some("STOP"))], true),
        (vec![candidate(0, Some("STOP")), candidate(1, None)], false),
    ];
    for (frames, is_complete) in table {
        assert_eq!(decode(&frames).unwrap().1, is_complete, "{frames:?}");
    }
}

#[test]
fn an_answer_finishes_once_and_nothing_of_it_follows() {
    let frames = [
        last(json!([{"text": "a"}]), "MAX_TOKENS"),
        last(json!([{"text": "b"}]), "STOP"),
        with_usage(json!({}), 3, 1),
    ];
    check(&frames, vec![text("a"), finish(StopReason::Length), usage(3, 1)]);
}

#[test]
fn answers_side_by_side_keep_their_own_count_of_calls() {
    let call = |index: u64, finish: Option<&str>| {
        let parts = json!([{"functionCall": {"name": "f", "args": {}}}]);
        json!({"candidates": [{"content": {"parts": parts}, "index": index, "finishReason": finish}]})
    };
    let (events, _) =
        decode(&[call(0, None), call(1, None), call(0, Some("STOP")), call(1, Some("STOP"))]).unwrap();
    let numbers: Vec<(u64, u64)> = events
        .iter()
        .filter_map(|event| {
            if let StreamEvent::ToolCallStart { choice, index, .. } = event {
                Some((*choice, *index))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(numbers, [(0, 0), (1, 0), (0, 1), (1, 1)]);
}

#[test]
fn a_blocked_prompt_ends_the_stream_as_filtered() {
    let blocked =
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}});
    check(&[blocked.clone(), blocked], vec![finish(StopReason::ContentFilter), usage(4, 0)]);
}

#[test]
fn searches_that_an_early_frame_tells_stay_in_the_usage() {
    let mut searched = chunk(json!([{"text": "a"}]));
    searched["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["q", "r"]});
    let (events, _) = decode(&[searched, with_usage(last(json!([]), "STOP"), 3, 1)]).unwrap();
    let expect = Usage { input_tokens: 3, output_tokens: 1, web_search_requests: 2, ..Usage::default() };
    assert_eq!(events.last(), Some(&StreamEvent::Usage(expect)));
}

#[test]
fn log_probabilities_follow_the_text_that_they_belong_to() {
    let mut frame = last(json!([{"text": "H"}]), "STOP");
    frame["candidates"][0]["logprobsResult"] =
        json!({"chosenCandidates": [{"token": "H", "logProbability": -1.0}]});
    let token = json!({"token": "H", "logprob": -1.0, "bytes": [72], "top_logprobs": []});
    let logprobs =
        StreamEvent::Logprobs { choice: 0, logprobs: json!({"content": [token], "refusal": null}) };
    check(&[frame], vec![text("H"), logprobs, finish(StopReason::Stop)]);
}

#[test]
fn pictures_sounds_and_what_ran_at_google_come_as_they_are() {
    let code = json!({"executableCode": {"language": "PYTHON", "code": "1"}});
    let inline = |kind: &str| json!({"inlineData": {"mimeType": kind, "data": "QUJD"}});
    let source = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "QUJD".to_owned() };
    let native = Native { dialect: Dialect::Gemini, value: code.clone() };
    check(
        &[last(json!([inline("image/png"), inline("audio/L16;rate=24000"), code]), "STOP")],
        vec![
            StreamEvent::Image { choice: 0, source },
            StreamEvent::Audio {
                choice: 0,
                id: String::new(),
                data: "QUJD".to_owned(),
                transcript: String::new(),
            },
            StreamEvent::Native { choice: 0, native },
            finish(StopReason::Stop),
        ],
    );
}

#[test]
fn sources_come_once_with_spans_in_the_whole_text() {
    let grounding = json!({
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 8, "endIndex": 11, "text": "aus"}, "groundingChunkIndices": [0, 7]},
            {"segment": {"startIndex": 900, "endIndex": 901, "text": "Rom"}, "groundingChunkIndices": [0]},
            {"segment": {"text": "nowhere"}, "groundingChunkIndices": [0]},
        ],
    });
    let mut second = chunk(json!([{"text": "\u{df}e aus Rom"}]));
    second["candidates"][0]["groundingMetadata"] = grounding.clone();
    let mut third = last(json!([]), "STOP");
    third["candidates"][0]["groundingMetadata"] = grounding;
    let (events, _) = decode(&[chunk(json!([{"text": "Gr\u{fc}"}])), second, third]).unwrap();
    let spans: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            StreamEvent::Citation { choice: 0, citation } => Some((citation.span, citation.url.as_deref())),
            _ => None,
        })
        .collect();
    let url = Some("https://a.example");
    assert_eq!(spans, [(Some((6, 9)), url), (Some((10, 13)), url), (None, url)]);
    assert!(matches!(events.last(), Some(StreamEvent::Finish { .. })));
}

#[test]
fn the_tier_that_serves_is_told_once() {
    let mut first = with_usage(chunk(json!([{"text": "a"}])), 5, 1);
    first["usageMetadata"]["trafficType"] = json!("ON_DEMAND_FLEX");
    let mut end = with_usage(last(json!([]), "STOP"), 5, 1);
    end["usageMetadata"]["trafficType"] = json!("ON_DEMAND_FLEX");
    let tier = StreamEvent::ServiceTier("flex".to_owned());
    check(&[first, end], vec![text("a"), tier, usage(5, 1), finish(StopReason::Stop)]);
}

#[test]
fn an_error_in_a_stream_ends_it() {
    let error =
        json!({"error": {"code": 500, "message": "An internal error has occurred.", "status": "INTERNAL"}});
    let Err(ReplyFault::Error(error)) = decode(&[chunk(json!([{"text": "a"}])), error]) else {
        panic!("it passed")
    };
    assert_eq!((error.class, error.status), (FailureClass::Server, 500));
    assert_eq!(error.kind.as_deref(), Some("INTERNAL"));
}

#[test]
fn a_frame_that_is_no_answer_is_malformed() {
    let mut decoder = StreamDecoder::new(&reading());
    let mut events = Vec::new();
    for data in [&b"{oops"[..], b"<html>", b"7", b"", b"{\"candidates\":3}"] {
        let fault = decoder.read(&Frame::new(None, data), &mut events);
        assert!(matches!(fault, Err(ReplyFault::Malformed(_))), "{data:?}");
    }
    assert_eq!(events, []);
    assert!(!decoder.is_complete());
}

#[test]
fn candidates_without_end_are_malformed() {
    let candidate =
        |index: u64| json!({"candidates": [{"content": {"parts": [{"text": "x"}]}, "index": index}]});
    let frames: Vec<Value> = (0..200).map(candidate).collect();
    assert!(matches!(decode(&frames), Err(ReplyFault::Malformed(_))));
}

/// A body as Google sends it: CRLF line ends, one `data:` line per frame.
fn body(frames: &[Value]) -> Vec<u8> {
    frames.iter().flat_map(|frame| format!("data: {frame}\r\n\r\n").into_bytes()).collect()
}

fn decode_chunks<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<StreamEvent>, bool) {
    let mut framer = Framer::new();
    let mut decoder = StreamDecoder::new(&reading());
    let mut events = Vec::new();
    for chunk in chunks {
        framer.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = framer.next_frame().unwrap() {
            decoder.read(&frame, &mut events).unwrap();
        }
    }
    (events, decoder.is_complete())
}

fn documented_stream() -> Vec<Value> {
    vec![
        with_usage(chunk(json!([{"text": "Überlegt: ", "thought": true}])), 11, 0),
        with_usage(chunk(json!([{"text": "Grüße, \"Welt\" \u{1f600}\n"}])), 11, 4),
        with_usage(chunk(json!([{"functionCall": {"name": "wetter", "args": {"ort": "Köln"}}}])), 11, 9),
        with_usage(last(json!([{"text": "", "thoughtSignature": "QQ=="}]), "STOP"), 11, 9),
    ]
}

#[test]
fn a_stream_gives_the_same_events_however_it_is_cut() {
    let frames = documented_stream();
    let expect = decode(&frames).unwrap();
    let body = body(&frames);
    assert_eq!(decode_chunks([body.as_slice()]), expect);
    assert_eq!(decode_chunks(body.chunks(1)), expect);
    for cut in 0..=body.len() {
        let (head, tail) = body.split_at(cut);
        assert_eq!(decode_chunks([head, tail]), expect, "cut at {cut}");
    }
}

/// What a caller sees of a whole answer, for comparison with its stream: per choice the thoughts, the text, the calls.
fn seen(reply: &ChatReply) -> Vec<String> {
    let mut seen = vec![String::new(), String::new()];
    for part in reply.choices.iter().flat_map(|choice| &choice.parts) {
        match part {
            Part::Text { text, .. } => seen[0].push_str(text),
            Part::Reasoning { text, .. } => seen[1].push_str(text),
            Part::ToolCall { id, name, arguments, .. } => seen.push(format!("{id} {name} {arguments}")),
            _ => {}
        }
    }
    seen
}

fn seen_streamed(events: &[StreamEvent]) -> Vec<String> {
    let mut seen = vec![String::new(), String::new()];
    for event in events {
        match event {
            StreamEvent::Text { delta, .. } => seen[0].push_str(delta),
            StreamEvent::Reasoning { delta, .. } => seen[1].push_str(delta),
            StreamEvent::ToolCallStart { id, name, .. } => seen.push(format!("{id} {name} ")),
            StreamEvent::ToolCallArguments { delta, .. } => seen.last_mut().unwrap().push_str(delta),
            _ => {}
        }
    }
    seen
}

fn any_part() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,12}".prop_map(|text| json!({"text": text})),
        "\\PC{0,12}".prop_map(|text| json!({"text": text, "thought": true})),
        ("[a-z]{1,5}", "\\PC{0,6}")
            .prop_map(|(name, x)| json!({"functionCall": {"name": name, "args": {"x": x}}})),
        Just(json!({"executableCode": {"code": "1"}})),
    ]
}

proptest! {
    #[test]
    fn a_stream_says_what_the_whole_answer_says(parts in prop::collection::vec(any_part(), 0..8), cuts in prop::collection::vec(1usize..40, 1..20)) {
        let mut frames: Vec<Value> = parts.iter().map(|part| chunk(json!([part]))).collect();
        frames.push(last(json!([]), "STOP"));
        let body = body(&frames);
        let mut rest = body.as_slice();
        let mut chunks = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at((*cut).min(rest.len()));
            chunks.push(head);
            rest = tail;
        }
        let (events, is_complete) = decode_chunks(chunks);
        let whole = last(Value::Array(parts), "STOP");
        let reply = decode_reply(whole.to_string().as_bytes(), &reading()).unwrap();
        prop_assert!(is_complete);
        prop_assert_eq!(seen_streamed(&events), seen(&reply));
        let stops = events.iter().filter(|event| matches!(event, StreamEvent::Finish { .. })).count();
        prop_assert_eq!(stops, 1);
        prop_assert_eq!(events.last(), Some(&StreamEvent::Finish { choice: 0, stop: reply.choices[0].stop.unwrap(), stop_sequence: None }));
    }
}
