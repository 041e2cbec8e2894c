//! Streams of the Responses API: the events that the caller gets, and what a provider's events become.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    Citation, Issuer, MediaSource, Native, Signature, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::responses::{Echo, StreamDecoder, StreamEncoder};
use tollgate_dialect::sse::Frame;
use tollgate_dialect::wire::{CallerError, Dialect, EventDecoder, EventEncoder, ReplyFacts, ReplyFault};

fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "smart".to_owned(),
        created: 7,
        fallback_id: "u".to_owned(),
        custom_tools: vec!["patch".to_owned()],
        ..ReplyFacts::default()
    }
}

fn encoder() -> StreamEncoder {
    StreamEncoder::new(facts(), Echo::default())
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

fn call_start(index: u64, name: &str) -> StreamEvent {
    StreamEvent::ToolCallStart {
        choice: 0,
        index,
        id: format!("c{index}"),
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

/// The events of written bytes. Checks the frames, the names and the numbers.
fn parsed(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    let frames = text.split_terminator("\n\n").enumerate();
    let events = frames.map(|(number, frame)| {
        let (name, data) = frame.split_once('\n').unwrap();
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), event["type"].as_str().unwrap());
        assert_eq!(event["sequence_number"], number as u64);
        event
    });
    events.collect()
}

/// The events of a whole stream.
fn written(events: &[StreamEvent]) -> Vec<Value> {
    let (mut encoder, mut out) = (encoder(), Vec::new());
    encoder.encode(events, &mut out);
    encoder.finish(&mut out);
    let written = parsed(&out);
    let last = serde_json::from_slice::<Value>(encoder.final_response().unwrap()).unwrap();
    assert_eq!(written.last().unwrap()["response"], last, "what is kept is what was sent");
    written
}

/// Their types, without `response.`.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

/// What a provider's frames become.
fn read(frames: &[Value]) -> (Result<(), ReplyFault>, Vec<StreamEvent>, bool) {
    let (mut decoder, mut events) = (StreamDecoder::new(), Vec::new());
    for frame in frames {
        let data = frame.to_string();
        let read = decoder.read(&Frame::new(frame["type"].as_str(), data.as_bytes()), &mut events);
        if read.is_err() {
            return (read, events, decoder.is_complete());
        }
    }
    (Ok(()), events, decoder.is_complete())
}

#[test]
fn a_text_has_the_whole_sequence_of_events() {
    let events = written(&[start(), text("Hel"), text("lo"), finish(StopReason::Stop), usage()]);
    let expect = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expect);
    let begun = &events[0]["response"];
    assert_eq!(
        (&begun["status"], &begun["output"], &begun["usage"]),
        (&json!("in_progress"), &json!([]), &Value::Null)
    );
    assert_eq!(
        (&begun["id"], &begun["model"], &begun["created_at"]),
        (&json!("resp_u"), &json!("smart"), &json!(7))
    );
    let added = json!({"id": "msg_u_0", "type": "message", "status": "in_progress", "content": [], "role": "assistant"});
    assert_eq!(events[2]["item"], added);
    let delta = json!({"type": "response.output_text.delta", "sequence_number": 5, "item_id": "msg_u_0",
        "output_index": 0, "content_index": 0, "delta": "lo", "logprobs": []});
    assert_eq!(events[5], delta);
    assert_eq!(events[6]["text"], "Hello");
    assert_eq!(events[7]["part"]["text"], "Hello");
    let response = &events[9]["response"];
    assert_eq!((&response["status"], &response["usage"]["total_tokens"]), (&json!("completed"), &json!(17)));
    assert_eq!(response["output"][0], events[8]["item"]);
}

#[test]
fn reasoning_then_text_then_calls_are_items_in_that_order() {
    let signature = Signature::new(Issuer::Anthropic, "EqQB");
    let events = written(&[
        start(),
        thought("be"),
        thought("cause"),
        StreamEvent::ReasoningSignature { choice: 0, signature },
        text("look"),
        call_start(0, "f"),
        arguments(0, "{}"),
        call_start(1, "patch"),
        arguments(1, "{\"inp"),
        arguments(1, "ut\":\"a\\nb\"}"),
        finish(StopReason::ToolCalls),
        usage(),
    ]);
    let expect = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "custom_tool_call_input.delta",
        "function_call_arguments.done",
        "output_item.done",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expect);
    assert_eq!(events[8]["item"]["encrypted_content"], "tollgate.anthropic.EqQB");
    assert_eq!(events[8]["item"]["summary"], json!([{"type": "summary_text", "text": "because"}]));
    assert_eq!((&events[18]["delta"], &events[18]["output_index"]), (&json!("a\nb"), &json!(3)));
    let items = events[23]["response"]["output"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    assert_eq!((&items[2]["arguments"], &items[3]["input"]), (&json!("{}"), &json!("a\nb")));
}

#[test]
fn calls_that_take_turns_lose_nothing() {
    let events = written(&[
        call_start(0, "f"),
        call_start(1, "g"),
        arguments(0, "{\"a\""),
        arguments(1, "{}"),
        arguments(0, ":1}"),
        finish(StopReason::ToolCalls),
    ]);
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!((&output[0]["arguments"], &output[1]["arguments"]), (&json!("{\"a\":1}"), &json!("{}")));
}

#[test]
fn sources_pictures_refusals_and_hosted_items_have_their_events() {
    let citation = Citation { url: Some("https://a".to_owned()), ..Citation::default() };
    let cite =
        |citation: &Citation| StreamEvent::Citation { choice: 0, citation: Box::new(citation.clone()) };
    let events = written(&[
        text("one"),
        cite(&citation),
        cite(&citation),
        text(" two"),
        cite(&citation),
        StreamEvent::Refusal { choice: 0, delta: "no".to_owned() },
        finish(StopReason::Stop),
    ]);
    let spans: Vec<(u64, u64)> = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.annotation.added")
        .map(|event| &event["annotation"])
        .map(|annotation| {
            (annotation["start_index"].as_u64().unwrap(), annotation["end_index"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(spans, [(0, 3), (0, 3), (3, 7)], "a source without a span is of the text since the last");
    assert!(kinds(&events).contains(&"refusal.done"));
    let item = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    let source = MediaSource::Base64 { media_type: "image/png".to_owned(), data: "iVBO".to_owned() };
    let events = written(&[
        StreamEvent::Native {
            choice: 0,
            native: Native { dialect: Dialect::Responses, value: item.clone() },
        },
        StreamEvent::Image { choice: 0, source },
        finish(StopReason::Stop),
    ]);
    let expect = [
        "created",
        "in_progress",
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&events), expect);
    assert_eq!((&events[2]["item"]["status"], &events[3]["item"]), (&json!("in_progress"), &item));
    assert_eq!((&events[4]["item"]["result"], &events[5]["item"]["result"]), (&Value::Null, &json!("iVBO")));
}

#[test]
fn log_probabilities_stand_with_their_text() {
    let entry = json!({"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []});
    let logprobs =
        |entries: Value| StreamEvent::Logprobs { choice: 0, logprobs: json!({"content": entries}) };
    let events = written(&[text("a"), logprobs(json!([entry])), finish(StopReason::Stop)]);
    assert_eq!(events[4]["logprobs"], json!([entry]));
    assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["logprobs"], json!([entry]));
}

#[test]
fn a_cut_answer_is_incomplete() {
    let events = written(&[text("x"), finish(StopReason::Length), usage()]);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}

#[test]
fn nothing_is_written_before_there_is_something_to_show() {
    let (mut encoder, mut out) = (encoder(), Vec::new());
    let tier = StreamEvent::ServiceTier("flex".to_owned());
    encoder.encode(&[start(), usage(), tier, text(""), thought(""), arguments(0, "")], &mut out);
    assert_eq!((out.as_slice(), encoder.final_response()), (&b""[..], None));
    encoder.finish(&mut out);
    let events = parsed(&out);
    assert_eq!(kinds(&events), ["created", "in_progress", "completed"], "an empty answer is one");
    assert_eq!(events[2]["response"]["service_tier"], "flex");
}

#[test]
fn answers_beside_the_first_are_left_out() {
    let events = written(&[
        text("a"),
        StreamEvent::Text { choice: 1, delta: "b".to_owned() },
        finish(StopReason::Stop),
        StreamEvent::Finish { choice: 1, stop: StopReason::Length, stop_sequence: None },
    ]);
    let response = &events.last().unwrap()["response"];
    assert_eq!(
        (&response["output"][0]["content"][0]["text"], &response["status"]),
        (&json!("a"), &json!("completed"))
    );
}

#[test]
fn a_stream_that_breaks_ends_with_the_error_and_the_failed_response() {
    let (mut encoder, mut out) = (encoder(), Vec::new());
    let slot = encoder.final_slot();
    encoder.encode(&[start(), text("a")], &mut out);
    let error = CallerError {
        status: 429,
        kind: Some("rate_limit_error"),
        message: "slow down",
        param: None,
        code: Some("429"),
        request_id: None,
    };
    encoder.fail(&error, &mut out);
    let events = parsed(&out);
    let tail = &events[events.len() - 2..];
    let expect =
        json!({"type": "error", "sequence_number": 5, "code": "429", "message": "slow down", "param": null});
    assert_eq!((kinds(tail), &tail[0]), (vec!["error", "failed"], &expect));
    let response = &tail[1]["response"];
    assert_eq!(response["error"], json!({"code": "rate_limit_exceeded", "message": "slow down"}));
    assert_eq!(response["output"][0]["content"][0]["text"], "a");
    assert_eq!(&serde_json::from_slice::<Value>(slot.get().unwrap()).unwrap(), response);
}

/// A response as OpenAI ends with it.
fn response(status: &str, output: Value) -> Value {
    json!({"id": "resp_1", "model": "gpt-5", "status": status, "output": output, "service_tier": "default",
        "usage": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}})
}

fn begun() -> StreamEvent {
    StreamEvent::Start { id: "resp_1".to_owned(), model: "gpt-5".to_owned() }
}

fn ending(stop: StopReason) -> [StreamEvent; 3] {
    [StreamEvent::ServiceTier("default".to_owned()), finish(stop), usage()]
}

#[test]
fn what_is_said_several_times_is_told_once() {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": [
        {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]});
    let call = |arguments: &str| json!({"id": "fc_1", "type": "function_call", "call_id": "c0", "name": "f", "arguments": arguments});
    let at = |index: u64, kind: &str, more: Value| {
        let mut event = json!({"type": kind, "output_index": index, "content_index": 0, "item_id": "i"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let full = [
        json!({"type": "response.created", "response": response("in_progress", json!([]))}),
        at(
            0,
            "response.output_item.added",
            json!({"item": {"id": "msg_1", "type": "message", "content": []}}),
        ),
        at(0, "response.output_text.delta", json!({"delta": "Hel"})),
        at(0, "response.output_text.delta", json!({"delta": "lo"})),
        at(0, "response.output_text.done", json!({"text": "Hello"})),
        at(0, "response.content_part.done", json!({})),
        at(0, "response.output_item.done", json!({"item": message})),
        at(1, "response.output_item.added", json!({"item": call("")})),
        at(1, "response.function_call_arguments.delta", json!({"delta": "{"})),
        at(1, "response.function_call_arguments.delta", json!({"delta": "}"})),
        at(1, "response.function_call_arguments.done", json!({"arguments": "{}"})),
        at(1, "response.output_item.done", json!({"item": call("{}")})),
        json!({"type": "response.completed", "response": response("completed", json!([message, call("{}")]))}),
    ];
    let mut expect =
        vec![begun(), text("Hel"), text("lo"), call_start(0, "f"), arguments(0, "{"), arguments(0, "}")];
    expect.extend(ending(StopReason::ToolCalls));
    assert_eq!(read(&full), (Ok(()), expect, true));
    let whole = |left_out: &[usize]| {
        let kept = full.iter().enumerate().filter(|(index, _)| !left_out.contains(index));
        let (outcome, events, is_complete) = read(&kept.map(|(_, event)| event.clone()).collect::<Vec<_>>());
        assert_eq!((outcome, is_complete), (Ok(()), true));
        let mut said = (String::new(), String::new());
        for event in &events {
            match event {
                StreamEvent::Text { delta, .. } => said.0.push_str(delta),
                StreamEvent::ToolCallArguments { delta, .. } => said.1.push_str(delta),
                _ => {}
            }
        }
        assert_eq!((said.0.as_str(), said.1.as_str()), ("Hello", "{}"), "without {left_out:?}");
    };
    whole(&[2, 3, 8, 9]);
    whole(&[3, 4, 9, 10]);
    whole(&[1, 7]);
    whole(&[4, 5, 6, 10, 11]);
    whole(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
}

#[test]
fn reasoning_is_read_by_paragraphs_and_signed_at_its_end() {
    let item = json!({"id": "rs_1", "type": "reasoning", "encrypted_content": "gAAA",
        "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]});
    let delta = |index: u64, delta: &str| json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": index, "delta": delta});
    let frames = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning", "summary": []}}),
        delta(0, "on"),
        delta(0, "e"),
        delta(1, "two"),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
    ];
    let signature = Signature::new(Issuer::OpenAi, "rs_1.gAAA");
    let expect = [
        StreamEvent::Start { id: String::new(), model: String::new() },
        thought("on"),
        thought("e"),
        thought("\n\ntwo"),
        StreamEvent::ReasoningSignature { choice: 0, signature },
    ];
    assert_eq!(read(&frames).1, expect);
}

#[test]
fn sources_of_a_second_text_count_from_the_beginning_of_the_message() {
    let annotation =
        json!({"type": "url_citation", "url": "u", "title": "", "start_index": 1, "end_index": 2});
    let frames = [
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "größe"}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 1, "delta": "ab"}),
        json!({"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 1, "annotation": annotation}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": [
            {"type": "output_text", "text": "größe", "annotations": []},
            {"type": "output_text", "text": "ab", "annotations": [annotation, annotation]}]}}),
    ];
    let spans: Vec<_> = read(&frames)
        .1
        .into_iter()
        .filter_map(
            |event| if let StreamEvent::Citation { citation, .. } = event { citation.span } else { None },
        )
        .collect();
    assert_eq!(spans, [(6, 7), (6, 7)], "the one that had no event of its own comes with its item");
}

#[test]
fn a_source_that_comes_behind_a_refusal_keeps_its_place_when_it_is_read_back() {
    let cite = |span| {
        let citation = Citation { span, url: Some("u".to_owned()), ..Citation::default() };
        StreamEvent::Citation { choice: 0, citation: Box::new(citation) }
    };
    let refusal = StreamEvent::Refusal { choice: 0, delta: "no".to_owned() };
    let spans = |events: &[StreamEvent]| {
        let spans = events.iter().filter_map(|event| match event {
            StreamEvent::Citation { citation, .. } => citation.span,
            _ => None,
        });
        spans.collect::<Vec<_>>()
    };
    let once = read(&written(&[text("abc"), refusal, cite(None), cite(Some((3, 3)))])).1;
    assert_eq!(spans(&once), [(3, 3), (3, 3)]);
    assert_eq!(spans(&read(&written(&once)).1), [(3, 3), (3, 3)]);
}

#[test]
fn a_stream_that_fails_is_an_error() {
    let check = |frame: Value, class: FailureClass| match read(&[frame]).0 {
        Err(ReplyFault::Error(error)) => assert_eq!(error.class, class),
        other => panic!("{other:?}"),
    };
    check(
        json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "m"}}}),
        FailureClass::RateLimit,
    );
    check(
        json!({"type": "error", "code": "server_error", "message": "m", "param": null}),
        FailureClass::Server,
    );
    check(
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "context_length_exceeded", "message": "m"}}),
        FailureClass::ContextWindow,
    );
    assert!(matches!(read(&[json!({"type": "response.failed"})]).0, Err(ReplyFault::Error(_))));
    let mut decoder = StreamDecoder::new();
    assert!(matches!(decoder.read(&Frame::new(None, b"x"), &mut Vec::new()), Err(ReplyFault::Malformed(_))));
    let many: Vec<Value> = (0..5_000)
        .map(|index| json!({"type": "response.output_item.added", "output_index": index, "item": {"type": "message"}}))
        .collect();
    assert!(matches!(read(&many).0, Err(ReplyFault::Malformed(_))), "items have a limit");
}

#[test]
fn a_stream_is_complete_with_its_last_event_only() {
    let created = json!({"type": "response.created", "response": response("in_progress", json!([]))});
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "delta": "a"});
    assert!(!read(&[created.clone(), delta.clone()]).2);
    let mut last = response("incomplete", json!([]));
    last["incomplete_details"] = json!({"reason": "max_output_tokens"});
    let (_, events, is_complete) =
        read(&[created, delta, json!({"type": "response.incomplete", "response": last})]);
    let mut expect = vec![begun(), text("a")];
    expect.extend(ending(StopReason::Length));
    assert_eq!((events, is_complete), (expect, true));
}

#[test]
fn usage_counts_at_the_end_only_and_is_never_summed() {
    let begun = |kind: &str| json!({"type": kind, "response": response("in_progress", json!([]))});
    let frames = [
        begun("response.created"),
        begun("response.in_progress"),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "a"}),
        json!({"type": "response.completed", "response": response("completed", json!([]))}),
        json!({"type": "response.completed", "response": response("completed", json!([]))}),
        json!("[DONE]"),
    ];
    let usages = read(&frames).1.into_iter().filter(|event| matches!(event, StreamEvent::Usage(_)));
    assert_eq!(usages.collect::<Vec<_>>(), [usage()]);
}

#[test]
fn searches_are_counted_also_where_the_last_event_does_not_repeat_them() {
    let done = |index: u64, action: &str| {
        json!({"type": "response.output_item.done", "output_index": index, "item":
            {"id": format!("ws_{index}"), "type": "web_search_call", "action": {"type": action}}})
    };
    let items = [done(0, "search"), done(1, "open_page"), done(2, "search")];
    let repeated = items.iter().map(|event| event["item"].clone()).collect();
    for output in [json!([]), repeated] {
        let last = json!({"type": "response.completed", "response": response("completed", output)});
        let events = read(&[&items[..], &items[..1], &[last]].concat()).1;
        let Some(StreamEvent::Usage(usage)) = events.last() else { panic!("{events:?}") };
        assert_eq!(usage.web_search_requests, 2);
    }
}

#[test]
fn a_call_that_comes_whole_has_its_arguments_once_also_where_two_share_a_chunk() {
    let call = |index: u64| {
        json!({"type": "response.output_item.done", "output_index": index, "item":
            {"id": format!("fc_{index}"), "type": "function_call", "call_id": format!("c{index}"), "name": "f", "arguments": "{}"}})
    };
    let events = read(&[call(0), call(1), call(0)]).1;
    let expect = [
        StreamEvent::Start { id: String::new(), model: String::new() },
        call_start(0, "f"),
        arguments(0, "{}"),
        call_start(1, "f"),
        arguments(1, "{}"),
    ];
    assert_eq!(events, expect);
}
