//! OpenAI streams: the bytes that the caller gets for events, and the events that providers' chunks give.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    Citation, Issuer, MediaSource, Signature, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai::{ChunkDecoder, ChunkEncoder, StreamPlan, StreamShape};
use tollgate_dialect::sse::Frame;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{
    EventDecoder, EventEncoder, Losses, Progress, ReplyFacts, ReplyFault, Transducer,
};

fn plan() -> StreamPlan {
    let facts = ReplyFacts {
        client_model: "smart".to_owned(),
        created: 7,
        fallback_id: "made-up".to_owned(),
        ..ReplyFacts::default()
    };
    StreamPlan { facts, shape: StreamShape::Chat }
}

/// The plan of a caller who wants the usage.
fn usage_plan() -> StreamPlan {
    let facts = ReplyFacts { include_usage: true, ..plan().facts };
    StreamPlan { facts, ..plan() }
}

fn start() -> StreamEvent {
    StreamEvent::Start { id: "chatcmpl-1".to_owned(), model: "provider-model".to_owned() }
}

fn text(delta: &str) -> StreamEvent {
    StreamEvent::Text { choice: 0, delta: delta.to_owned() }
}

fn thought(delta: &str) -> StreamEvent {
    StreamEvent::Reasoning { choice: 0, delta: delta.to_owned() }
}

fn signature(signature: &str) -> StreamEvent {
    StreamEvent::ReasoningSignature { choice: 0, signature: Signature::new(Issuer::Anthropic, signature) }
}

fn call_start(index: u64, id: &str, name: &str) -> StreamEvent {
    StreamEvent::ToolCallStart {
        choice: 0,
        index,
        id: id.to_owned(),
        name: name.to_owned(),
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
    StreamEvent::Usage(Usage { input_tokens: 12, output_tokens: 5, ..Usage::default() })
}

/// All bytes of a stream of these events, its end included.
fn written(plan: StreamPlan, events: &[StreamEvent]) -> String {
    let mut encoder = ChunkEncoder::new(plan);
    let mut out = Vec::new();
    encoder.encode(events, &mut out);
    encoder.finish(&mut out);
    String::from_utf8(out).unwrap()
}

/// The chunks of a stream of these events, without `[DONE]`.
fn chunks(plan: StreamPlan, events: &[StreamEvent]) -> Vec<Value> {
    let written = written(plan, events);
    let body = written.strip_suffix("data: [DONE]\n\n").unwrap();
    body.split_terminator("\n\n")
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

/// The deltas of the only choice.
fn deltas(events: &[StreamEvent]) -> Vec<Value> {
    chunks(plan(), events).into_iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect()
}

#[test]
fn a_plain_stream_is_written_byte_for_byte_so() {
    let events = [start(), text("Hel"), text("lo\n"), finish(StopReason::Stop), usage()];
    let head = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"smart","choices":["#;
    let expect = [
        r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}"#,
        r#"{"index":0,"delta":{"content":"Hel"},"finish_reason":null}"#,
        r#"{"index":0,"delta":{"content":"lo\n"},"finish_reason":null}"#,
        r#"{"index":0,"delta":{},"finish_reason":"stop"}"#,
    ];
    let mut bytes: String = expect.iter().map(|choice| format!("{head}{choice}]}}\n\n")).collect();
    bytes.push_str("data: [DONE]\n\n");
    assert_eq!(written(plan(), &events), bytes);
}

#[test]
fn usage_ends_the_stream_only_where_the_caller_asked() {
    let plan = usage_plan();
    let chunks = chunks(plan.clone(), &[start(), text("a"), usage(), finish(StopReason::Stop), usage()]);
    assert_eq!(chunks.len(), 4);
    assert!(chunks[..3].iter().all(|chunk| chunk["usage"] == Value::Null && chunk.get("usage").is_some()));
    assert_eq!(chunks[3]["choices"], json!([]));
    assert_eq!(chunks[3]["usage"]["total_tokens"], 17);
    assert_eq!(chunks[3]["id"], "chatcmpl-1");
    let unknown = written(plan, &[start(), text("a"), finish(StopReason::Stop)]);
    assert!(!unknown.contains("\"choices\":[]"), "an unknown usage is not made up");
}

#[test]
fn id_time_and_model_stay_the_same_through_the_stream() {
    let plan = usage_plan();
    for (events, id) in [
        (vec![start(), text("a"), start(), text("b"), finish(StopReason::Stop), usage()], "chatcmpl-1"),
        (vec![text("a"), start(), text("b"), finish(StopReason::Stop), usage()], "chatcmpl-made-up"),
        (
            vec![StreamEvent::Start { id: String::new(), model: String::new() }, text("a"), usage()],
            "chatcmpl-made-up",
        ),
        (vec![usage()], "chatcmpl-made-up"),
    ] {
        for chunk in chunks(plan.clone(), &events) {
            assert_eq!(
                [&chunk["id"], &chunk["created"], &chunk["model"]],
                [&json!(id), &json!(7), &json!("smart")]
            );
        }
    }
}

#[test]
fn every_event_has_its_delta() {
    let check = |events: &[StreamEvent], expect: &[Value]| {
        let deltas = deltas(events);
        assert_eq!(
            deltas.first(),
            Some(&json!({"role": "assistant", "content": ""})),
            "the role comes first"
        );
        assert_eq!(&deltas[1..], expect);
    };
    check(&[text("a")], &[json!({"content": "a"})]);
    check(&[thought("a")], &[json!({"reasoning_content": "a"})]);
    check(&[StreamEvent::Refusal { choice: 0, delta: "no".to_owned() }], &[json!({"refusal": "no"})]);
    check(
        &[StreamEvent::RedactedReasoning { choice: 0, data: Signature::new(Issuer::Anthropic, "d") }],
        &[json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "d"}]})],
    );
    check(
        &[call_start(0, "c", "f"), arguments(0, "{\"a"), arguments(0, "\":1}"), arguments(0, "")],
        &[
            json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a"}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "\":1}"}}]}),
        ],
    );
    let signed = StreamEvent::ToolCallStart {
        choice: 0,
        index: 1,
        id: "c".to_owned(),
        name: "f".to_owned(),
        is_custom: false,
        signature: Some(Signature::new(Issuer::Google, "sig")),
    };
    check(
        &[signed],
        &[
            json!({"tool_calls": [{"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""},
            "provider_specific_fields": {"thought_signature": "sig"}}]}),
        ],
    );
    check(&[finish(StopReason::Length)], &[json!({})]);
}

#[test]
fn a_signature_comes_with_the_whole_text_that_it_signs() {
    let events =
        [thought("a"), thought("b"), signature("s1"), thought("c"), signature("s2"), signature("s3")];
    let block = |text: &str, signature: &str| json!({"thinking_blocks": [{"type": "thinking", "thinking": text, "signature": signature}]});
    let expect = [
        json!({"role": "assistant", "content": ""}),
        json!({"reasoning_content": "a"}),
        json!({"reasoning_content": "b"}),
        block("ab", "s1"),
        json!({"reasoning_content": "c"}),
        block("c", "s2"),
        block("", "s3"),
    ];
    assert_eq!(deltas(&events), expect);
}

#[test]
fn a_thought_beyond_every_limit_goes_without_its_signed_form() {
    let piece = "x".repeat(1 << 20);
    let mut events: Vec<StreamEvent> = (0..5).map(|_| thought(&piece)).collect();
    events.extend([signature("s"), thought("short"), signature("t")]);
    let blocks: Vec<Value> =
        deltas(&events).into_iter().filter(|delta| delta.get("thinking_blocks").is_some()).collect();
    let expect = json!({"thinking_blocks": [{"type": "thinking", "thinking": "short", "signature": "t"}]});
    assert_eq!(blocks, [expect]);
}

#[test]
fn log_probabilities_share_the_chunk_of_their_text() {
    let logprobs = |choice| StreamEvent::Logprobs { choice, logprobs: json!({"content": [{"token": "a"}]}) };
    let written = chunks(plan(), &[text("a"), logprobs(0), logprobs(0), text("b"), logprobs(1)]);
    let expect = [
        json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}),
        json!({"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}, "finish_reason": null}),
        json!({"index": 0, "delta": {}, "logprobs": {"content": [{"token": "a"}]}, "finish_reason": null}),
        json!({"index": 0, "delta": {"content": "b"}, "finish_reason": null}),
        json!({"index": 1, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}),
        json!({"index": 1, "delta": {}, "logprobs": {"content": [{"token": "a"}]}, "finish_reason": null}),
    ];
    let choices: Vec<Value> = written.iter().map(|chunk| chunk["choices"][0].clone()).collect();
    assert_eq!(choices, expect);
}

#[test]
fn nothing_is_written_before_there_is_something_to_show() {
    let mut encoder = ChunkEncoder::new(plan());
    let mut out = Vec::new();
    encoder.encode(&[start(), usage(), text(""), thought(""), arguments(0, "")], &mut out);
    assert_eq!(out, b"");
}

#[test]
fn a_legacy_stream_has_text_and_finish_only() {
    let plan = StreamPlan { shape: StreamShape::Completion, ..usage_plan() };
    let logprobs = json!({"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]});
    let events = [
        start(),
        thought("r"),
        text("a"),
        StreamEvent::Logprobs { choice: 0, logprobs },
        call_start(0, "c", "f"),
        finish(StopReason::ToolCalls),
        usage(),
    ];
    let written = chunks(plan, &events);
    assert!(written.iter().all(|chunk| chunk["object"] == "text_completion"));
    let choices: Vec<Value> = written.iter().map(|chunk| chunk["choices"].clone()).collect();
    let expect = [
        json!([{"text": "a", "index": 0, "finish_reason": null,
            "logprobs": {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{}], "text_offset": [0]}}]),
        json!([{"text": "", "index": 0, "logprobs": null, "finish_reason": "stop"}]),
        json!([]),
    ];
    assert_eq!(choices, expect);
}

/// Reads chunks given as JSON (or as raw text) and gives the events and whether the stream is complete.
fn read(chunks: &[Value]) -> (Result<Vec<StreamEvent>, ReplyFault>, bool) {
    let mut decoder = ChunkDecoder::new();
    let mut events = Vec::new();
    let mut outcome = Ok(());
    for chunk in chunks {
        let data = chunk.as_str().map_or_else(|| chunk.to_string(), str::to_owned);
        outcome = decoder.read(&Frame::new(None, data.as_bytes()), &mut events);
        if outcome.is_err() {
            break;
        }
    }
    (outcome.map(|()| events), decoder.is_complete())
}

fn chunk(delta: Value) -> Value {
    json!({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

/// The deltas of one answer give these events after the start.
#[track_caller]
fn check_deltas(deltas: &[Value], expect: &[StreamEvent]) {
    let chunks: Vec<Value> = deltas.iter().cloned().map(chunk).collect();
    let events = read(&chunks).0.unwrap();
    assert_eq!(events[0], StreamEvent::Start { id: "c1".to_owned(), model: "m".to_owned() });
    assert_eq!(&events[1..], expect, "{deltas:?}");
}

#[test]
fn an_openai_stream_is_read_whole() {
    let chunks = [
        chunk(json!({"role": "assistant", "content": "", "refusal": null})),
        chunk(json!({"content": "Hi"})),
        json!({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": null}),
        json!({"id": "c1", "model": "m", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5}}),
        json!("[DONE]"),
    ];
    let begun = StreamEvent::Start { id: "c1".to_owned(), model: "m".to_owned() };
    let (events, is_complete) = read(&chunks);
    assert_eq!(events.unwrap(), [begun, text("Hi"), finish(StopReason::Stop), usage()]);
    assert!(is_complete);
}

#[test]
fn a_stream_is_complete_with_its_end_mark_or_with_the_last_finish() {
    let finished = |index: u64| json!({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]});
    let speaks = |index: u64| json!({"choices": [{"index": index, "delta": {"content": "a"}}]});
    let check = |chunks: &[Value], expect: bool| assert_eq!(read(chunks).1, expect, "{chunks:?}");
    check(&[], false);
    check(&[speaks(0)], false);
    check(&[speaks(0), json!("[DONE]")], true);
    check(&[speaks(0), finished(0)], true);
    check(&[speaks(0), speaks(1), finished(0)], false);
    check(&[speaks(0), speaks(1), finished(1), finished(0)], true);
    check(&[speaks(1), finished(1)], true);
    check(&[json!("[DONE]"), json!("rubbish after the end")], true);
    let (events, _) = read(&[finished(0), finished(0)]);
    assert_eq!(events.unwrap().len(), 2, "an answer ends once");
}

#[test]
fn the_liberties_of_compatible_providers_are_understood() {
    // Groq, OpenRouter, vLLM; LiteLLM, which says everything twice; Mistral.
    check_deltas(&[json!({"reasoning": "r"})], &[thought("r")]);
    let block =
        |text: &str, signature: &str| json!([{"type": "thinking", "thinking": text, "signature": signature}]);
    check_deltas(
        &[
            json!({"reasoning_content": "a", "thinking_blocks": block("a", "")}),
            json!({"reasoning_content": "b", "thinking_blocks": block("b", "")}),
            json!({"thinking_blocks": block("", "s")}),
        ],
        &[thought("a"), thought("b"), signature("s")],
    );
    check_deltas(&[json!({"thinking_blocks": block("a", "s")})], &[thought("a"), signature("s")]);
    check_deltas(
        &[
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}, {"type": "text", "text": "a"}]}),
        ],
        &[thought("r"), text("a")],
    );
    // Azure: a first chunk of nothing but the verdict on the prompt.
    let azure = json!({"id": "", "model": "", "choices": [], "prompt_filter_results": []});
    let (events, _) = read(&[azure, chunk(json!({"content": "a"}))]);
    let begun = StreamEvent::Start { id: "c1".to_owned(), model: "m".to_owned() };
    assert_eq!(events.unwrap(), [begun.clone(), text("a")]);
    // Groq: usage beside the choices under a name of its own.
    let groq = json!({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "x_groq": {"usage": {"prompt_tokens": 12, "completion_tokens": 5}}});
    assert_eq!(read(&[groq]).0.unwrap(), [begun, finish(StopReason::Stop), usage()]);
}

#[test]
fn tool_calls_are_numbered_from_zero_whatever_the_provider_does() {
    let call = |index: Value, id: Value, name: Value, arguments: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]});
    let expect = [
        call_start(0, "c1", "f"),
        arguments(0, "{}"),
        call_start(1, "c2", "g"),
        arguments(1, "{"),
        arguments(1, "}"),
    ];
    // OpenAI.
    check_deltas(
        &[
            call(json!(0), json!("c1"), json!("f"), ""),
            call(json!(0), json!(null), json!(null), "{}"),
            call(json!(1), json!("c2"), json!("g"), ""),
            call(json!(1), json!(null), json!(null), "{"),
            call(json!(1), json!(null), json!(null), "}"),
        ],
        &expect,
    );
    // The id and the name again in every piece; numbers with a gap.
    check_deltas(
        &[
            call(json!(1), json!("c1"), json!("f"), "{}"),
            call(json!(7), json!("c2"), json!("g"), "{"),
            call(json!(7), json!("c2"), json!("g"), "}"),
        ],
        &expect,
    );
    // No numbers.
    check_deltas(
        &[
            call(json!(null), json!("c1"), json!("f"), "{}"),
            call(json!(null), json!("c2"), json!("g"), "{"),
            call(json!(null), json!(null), json!(null), "}"),
        ],
        &expect,
    );
    // Gemini's compatible surface: the number 0 for all.
    check_deltas(
        &[
            call(json!(0), json!("c1"), json!("f"), "{}"),
            call(json!(0), json!("c2"), json!("g"), "{"),
            call(json!(0), json!(""), json!(""), "}"),
        ],
        &expect,
    );
    // The older form.
    check_deltas(
        &[
            json!({"function_call": {"name": "f", "arguments": ""}}),
            json!({"function_call": {"arguments": "{}"}}),
        ],
        &[call_start(0, "", "f"), arguments(0, "{}")],
    );
    // Whole arguments as an object; a signature.
    check_deltas(
        &[json!({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"b": 1, "a": 2}},
            "provider_specific_fields": {"thought_signature": "s"}}]})],
        &[
            StreamEvent::ToolCallStart {
                choice: 0,
                index: 0,
                id: "c".to_owned(),
                name: "f".to_owned(),
                is_custom: false,
                signature: Some(Signature::new(Issuer::Google, "s")),
            },
            arguments(0, "{\"b\":1,\"a\":2}"),
        ],
    );
}

#[test]
fn an_error_in_the_place_of_a_chunk_ends_the_stream() {
    let check =
        |value: Value, class: FailureClass, status: u16| match read(&[chunk(json!({"content": "a"})), value])
            .0
        {
            Err(ReplyFault::Error(error)) => assert_eq!((error.class, error.status), (class, status)),
            other => panic!("{other:?}"),
        };
    check(
        json!({"error": {"message": "mid-stream server error", "type": "server_error"}}),
        FailureClass::Server,
        500,
    );
    check(
        json!({"error": {"message": "slow down", "code": 429}, "choices": null}),
        FailureClass::RateLimit,
        429,
    );
    check(
        json!({"object": "error", "message": "prompt is too long", "code": 400}),
        FailureClass::ContextWindow,
        400,
    );
    let mut decoder = ChunkDecoder::new();
    let fault = decoder.read(
        &Frame::new(Some("error"), b"{\"message\":\"Overloaded\",\"type\":\"overloaded_error\"}"),
        &mut Vec::new(),
    );
    assert!(matches!(fault, Err(ReplyFault::Error(error)) if error.class == FailureClass::Overloaded));
}

#[test]
fn a_chunk_that_is_none_is_a_fault() {
    let malformed = [
        json!("nonsense"),
        json!("{\"choices\":["),
        json!("[1]"),
        json!({"choices": [1]}),
        json!({"choices": [{"index": 128, "delta": {}}]}),
        json!({"choices": [{"index": u64::MAX, "delta": {}}]}),
        json!({"choices": [{"delta": {"tool_calls": [1]}}]}),
    ];
    for value in malformed {
        let fault = read(std::slice::from_ref(&value)).0.unwrap_err();
        assert!(matches!(fault, ReplyFault::Malformed(_)), "{value}: {fault:?}");
    }
    let calls: Vec<Value> = (0..1_025)
        .map(|index| json!({"index": index, "id": index.to_string(), "function": {"name": "f"}}))
        .collect();
    let fault = read(&[chunk(json!({"tool_calls": calls}))]).0.unwrap_err();
    assert_eq!(fault, ReplyFault::Malformed("an answer calls more tools than any limit allows"));
    assert_eq!(read(&[json!("")]).0, Ok(vec![]), "an empty frame says nothing");
}

/// A provider's stream: every kind of event, two answers, usage, end mark.
const PROVIDER_STREAM: &str = concat!(
    ": a comment\n\n",
    "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\r\n\r\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\u{fc}\u{df}e \u{1f600}\"}},{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17}}\n\n",
    "data: [DONE]\n\n",
);

/// Puts a stream through the translator in these pieces.
fn translate(pieces: &[&[u8]]) -> (Vec<u8>, Progress, Result<(), ReplyFault>) {
    let plan = usage_plan();
    let mut translator = Translator::new(Framing::events(), ChunkDecoder::new(), ChunkEncoder::new(plan));
    let mut out = Vec::new();
    let mut outcome = Ok(());
    for piece in pieces {
        outcome = translator.push(Bytes::copy_from_slice(piece), &mut out);
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = translator.finish(&mut out);
    }
    (out.concat(), translator.progress().clone(), outcome)
}

#[test]
fn a_stream_cut_at_any_byte_gives_the_same_bytes() {
    let input = PROVIDER_STREAM.as_bytes();
    let (whole, progress, outcome) = translate(&[input]);
    assert_eq!(outcome, Ok(()));
    let expect = Progress {
        service_tier: None,
        lost: Losses::default(),
        usage: Some(Usage { input_tokens: 12, output_tokens: 5, ..Usage::default() }),
        usage_is_last: true,
        content_started: true,
        complete: true,
        finished: true,
        frames: PROVIDER_STREAM.matches("data:").count() as u64,
        content_bytes: ("hm".len() + "Gr\u{fc}\u{df}e \u{1f600}".len() + "b".len() + "{}".len()) as u64,
        sound_ms: None,
    };
    assert_eq!(progress, expect);
    let text = String::from_utf8(whole.clone()).unwrap();
    assert_eq!(text.matches("\"role\":\"assistant\"").count(), 2, "each answer says its role once");
    assert_eq!(text.matches("data: [DONE]\n\n").count(), 1);
    assert!(text.ends_with("data: [DONE]\n\n"));
    for cut in 0..=input.len() {
        let (head, tail) = input.split_at(cut);
        assert_eq!(translate(&[head, tail]), (whole.clone(), progress.clone(), Ok(())), "cut at {cut}");
    }
    let single: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(translate(&single), (whole, progress, Ok(())), "byte by byte");
}

#[test]
fn a_cut_stream_gives_what_came_and_then_a_fault() {
    let input = PROVIDER_STREAM.as_bytes();
    let whole = translate(&[input]).0;
    let first_finish = PROVIDER_STREAM.find("\"finish_reason\":\"tool_calls\"").unwrap();
    for end in 0..first_finish {
        let (out, progress, outcome) = translate(&[&input[..end]]);
        assert_eq!(
            outcome,
            Err(ReplyFault::Malformed("the stream ended without its end mark")),
            "cut at {end}"
        );
        assert!(whole.starts_with(&out), "what came is good");
        assert!(!progress.complete);
        assert_eq!(progress.content_started, !out.is_empty());
    }
}

#[test]
fn an_end_mark_without_its_blank_line_still_ends_the_stream() {
    let whole = translate(&[PROVIDER_STREAM.as_bytes()]).0;
    for cut in ["\n", "\n\n"] {
        let input = PROVIDER_STREAM.strip_suffix(cut).unwrap();
        assert_eq!(
            translate(&[input.as_bytes()]),
            (whole.clone(), translate(&[PROVIDER_STREAM.as_bytes()]).1, Ok(()))
        );
    }
}

#[test]
fn what_came_before_an_error_is_passed_on_and_the_stream_has_no_end() {
    let begun = "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let error = "data: {\"error\":{\"message\":\"broke\",\"type\":\"server_error\"}}\n\n";
    let (out, progress, outcome) = translate(&[format!("{begun}{error}").as_bytes()]);
    assert!(matches!(outcome, Err(ReplyFault::Error(error)) if error.message == "broke"));
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("\"content\":\"a\"") && !out.contains("[DONE]"));
    assert!(progress.content_started && !progress.complete);
    let (out, progress, outcome) = translate(&[error.as_bytes()]);
    assert!(
        outcome.is_err() && out.is_empty() && !progress.content_started,
        "such an attempt can be repeated"
    );
}

#[test]
fn each_chunk_of_the_provider_gives_at_most_one_of_ours() {
    let mut translator = Translator::new(Framing::events(), ChunkDecoder::new(), ChunkEncoder::new(plan()));
    let mut out = Vec::new();
    translator.push(Bytes::from_static(b": ping\n\n"), &mut out).unwrap();
    assert_eq!(out.len(), 0, "nothing to show, nothing sent");
    translator.push(Bytes::from_static(PROVIDER_STREAM.as_bytes()), &mut out).unwrap();
    assert_eq!(out.len(), 1);
    translator.finish(&mut out).unwrap();
    assert_eq!(out.len(), 2);
    assert_eq!(out[1], "data: [DONE]\n\n", "without being asked, usage is not sent");
}

#[test]
fn sources_count_from_the_beginning_of_the_whole_content() {
    let cite = |span| {
        let citation = Citation { url: Some("https://a".to_owned()), span, ..Citation::default() };
        StreamEvent::Citation { choice: 0, citation: Box::new(citation) }
    };
    let nameless = StreamEvent::Citation { choice: 0, citation: Box::default() };
    let events = [
        text("gr\u{fc}n"),
        cite(None),
        text(" und"),
        cite(None),
        thought("hm"),
        text(" blau"),
        cite(Some((9, 13))),
        nameless,
    ];
    let spans: Vec<Value> = deltas(&events)
        .into_iter()
        .filter_map(|delta| Some(delta.get("annotations")?[0]["url_citation"].clone()))
        .map(|source| json!([source["start_index"], source["end_index"], source["url"]]))
        .collect();
    assert_eq!(json!(spans), json!([[0, 4, "https://a"], [4, 8, "https://a"], [9, 13, "https://a"]]));
    check_deltas(
        &[json!({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://a", "title": "",
            "start_index": 1, "end_index": 2}}]})],
        &[cite(Some((1, 2)))],
    );
}

#[test]
fn a_custom_tools_call_streams_as_one_also_where_a_function_stands_in_for_it() {
    let facts = ReplyFacts { custom_tools: vec!["shell".to_owned()], ..plan().facts };
    let plan = StreamPlan { facts, ..plan() };
    let events = [
        call_start(0, "c", "shell"),
        arguments(0, "{\"inp"),
        arguments(0, "ut\":\"l"),
        arguments(0, "s\"}"),
        call_start(1, "d", "shell"),
        arguments(1, "no json"),
        finish(StopReason::ToolCalls),
    ];
    let calls: Vec<Value> = chunks(plan, &events)
        .into_iter()
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"].get("tool_calls")?[0].clone()))
        .collect();
    let start = |index: u64, id: &str| json!({"index": index, "id": id, "type": "custom", "custom": {"name": "shell", "input": ""}});
    let piece = |index: u64, input: &str| json!({"index": index, "custom": {"input": input}});
    assert_eq!(calls, [start(0, "c"), piece(0, "l"), piece(0, "s"), start(1, "d"), piece(1, "no json")]);
    check_deltas(
        &[json!({"tool_calls": [start(0, "c")]}), json!({"tool_calls": [piece(0, "ls")]})],
        &[
            StreamEvent::ToolCallStart {
                choice: 0,
                index: 0,
                id: "c".to_owned(),
                name: "shell".to_owned(),
                is_custom: true,
                signature: None,
            },
            arguments(0, "ls"),
        ],
    );
}

#[test]
fn sounds_pictures_and_the_tier_stream_both_ways() {
    let sound = |id: &str, data: &str, transcript: &str| StreamEvent::Audio {
        choice: 0,
        id: id.to_owned(),
        data: data.to_owned(),
        transcript: transcript.to_owned(),
    };
    let picture = StreamEvent::Image {
        choice: 0,
        source: MediaSource::Base64 { media_type: "image/png".to_owned(), data: "iVBO".to_owned() },
    };
    let image = |index: u64| json!({"images": [{"index": index, "type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]});
    let written =
        deltas(&[sound("", "UklG", ""), sound("audio_1", "", "hi"), picture.clone(), picture.clone()]);
    let expect = [
        json!({"audio": {"id": "audio_made-up", "data": "UklG"}}),
        json!({"audio": {"id": "audio_1", "transcript": "hi"}}),
        image(0),
        image(1),
    ];
    assert_eq!(written[1..], expect);
    check_deltas(
        &[expect[1].clone(), image(0), json!({"audio": {"expires_at": 7}})],
        &[sound("audio_1", "", "hi"), picture],
    );
    let tier = StreamEvent::ServiceTier("flex".to_owned());
    let written = chunks(
        usage_plan(),
        &[start(), text("a"), tier.clone(), text("b"), finish(StopReason::Stop), usage()],
    );
    let tiers: Vec<Option<&str>> = written.iter().map(|chunk| chunk.get("service_tier")?.as_str()).collect();
    assert_eq!(tiers, [None, None, Some("flex"), Some("flex"), Some("flex")]);
    let chunk = json!({"id": "c1", "model": "m", "service_tier": "flex", "choices": [{"index": 0, "delta": {"content": "a"}}]});
    let events = read(&[chunk.clone(), chunk]).0.unwrap();
    assert_eq!(events[1..], [tier, text("a"), text("a")], "the tier is told once");
}

#[test]
fn which_stop_text_came_is_told_in_the_last_chunk() {
    let end = StreamEvent::Finish {
        choice: 0,
        stop: StopReason::StopSequence,
        stop_sequence: Some("END".to_owned()),
    };
    let written = chunks(plan(), &[text("a"), end.clone()]);
    let last = &written.last().unwrap()["choices"][0];
    assert_eq!(last["provider_specific_fields"], json!({"stop_sequence": "END"}));
    let events = read(&written).0.unwrap();
    assert_eq!(events.last(), Some(&end));
}
