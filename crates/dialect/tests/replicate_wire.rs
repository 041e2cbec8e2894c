//! Replicate: how predictions are made, looked at and streamed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{ChatReply, ChatRequest, Part, StopReason, StreamEvent, Usage};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai;
use tollgate_dialect::replicate::{Prediction, StreamDecoder, decode_error, encode_chat};
use tollgate_dialect::wire::{EncodeError, EncodeOptions, EventDecoder, Outbound, Reading, ReplyFault};

fn request(members: Value) -> ChatRequest {
    let mut body = json!({"model": "meta/llama-3", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    openai::decode_chat(body.to_string().as_bytes()).unwrap()
}

fn encode(members: Value) -> Outbound {
    encode_chat(&request(members), &EncodeOptions::default()).unwrap()
}

fn body(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.body).unwrap()
}

#[test]
fn a_model_is_named_in_the_path_or_by_its_version() {
    let version = "02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3";
    let check = |model: &str, path: &str, expect: Option<&str>| {
        let outbound = encode(json!({ "model": model }));
        let written = body(&outbound);
        assert_eq!((outbound.path.as_str(), written.get("version").and_then(Value::as_str)), (path, expect));
    };
    check("meta/llama-3", "/models/meta/llama-3/predictions", None);
    check("deployments/me/mine", "/deployments/me/mine/predictions", None);
    check(version, "/predictions", Some(version));
    check(&format!("meta/llama-2:{version}"), "/predictions", Some(version));
    for model in ["llama", "meta/", "a/b/c", "meta/llama:1", "../x", "meta/..", "a b/c"] {
        let refused = encode_chat(&request(json!({ "model": model })), &EncodeOptions::default());
        assert!(matches!(refused, Err(EncodeError::Invalid { param, .. }) if param == "model"), "{model}");
    }
}

#[test]
fn a_plain_request_waits_and_a_streamed_one_does_not() {
    let outbound = encode(json!({}));
    assert_eq!(outbound.headers, [("prefer", "wait".to_owned())]);
    assert_eq!(body(&outbound), json!({"input": {"prompt": "hi"}}));
    let outbound = encode(json!({"stream": true}));
    assert!(outbound.headers.is_empty());
    assert_eq!(body(&outbound), json!({"input": {"prompt": "hi"}, "stream": true}));
}

#[test]
fn the_conversation_is_a_prompt_and_parameters_are_inputs() {
    let outbound = encode(json!({
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}]},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
        "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 1, "stop": ["x", "y,z"],
        "min_tokens": 2, "input": {"odd": true},
    }));
    let expect = json!({"input": {
        "prompt": "User: a\n\nAssistant: b\n\nUser: c\n\nAssistant:",
        "system_prompt": "Be kind.", "image": "https://a.example/x.png", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9,
        "top_k": 3, "seed": 1, "stop_sequences": "x", "min_tokens": 2, "odd": true,
    }});
    assert_eq!(body(&outbound), expect);
    assert_eq!(outbound.lost.names().collect::<Vec<_>>(), ["stop"]);
}

#[test]
fn what_no_prompt_can_say_is_refused() {
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let refused = |members: Value| encode_chat(&request(members), &EncodeOptions::default()).unwrap_err();
    let EncodeError::Unsupported { params } =
        refused(json!({"tools": [tool], "response_format": {"type": "json_object"}}))
    else {
        panic!("taken")
    };
    assert_eq!(params, ["response_format", "tools"]);
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let messages = json!({"messages": [{"role": "assistant", "content": null, "tool_calls": [call]}]});
    assert!(
        matches!(refused(messages), EncodeError::Invalid { param, .. } if param == "messages[0].content[0]")
    );
}

fn prediction(members: Value) -> Prediction {
    let mut value = json!({"id": "p1", "status": "succeeded", "output": ["a", " b"], "error": null,
        "metrics": {"predict_time": 0.5, "input_token_count": 7, "output_token_count": 2},
        "urls": {"get": "https://r.example/g", "cancel": "https://r.example/c", "stream": "https://r.example/s"}});
    value.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    Prediction::read(value.to_string().as_bytes()).unwrap()
}

fn reply(members: Value) -> Result<ChatReply, ReplyFault> {
    prediction(members).into_reply(&Reading { model: "meta/llama-3".to_owned(), ..Reading::default() })
}

#[test]
fn a_finished_prediction_is_an_answer() {
    let decoded = reply(json!({})).unwrap();
    assert_eq!((decoded.id.as_str(), decoded.model.as_str()), ("p1", "meta/llama-3"));
    assert_eq!(decoded.choices[0].parts, [Part::text("a b")]);
    assert_eq!(decoded.choices[0].stop, Some(StopReason::Stop));
    assert_eq!(decoded.usage, Usage { input_tokens: 7, output_tokens: 2, ..Usage::default() });
    assert_eq!(reply(json!({"output": "whole"})).unwrap().choices[0].parts, [Part::text("whole")]);
    assert_eq!(reply(json!({"metrics": {}})).unwrap().usage, Usage::default());
    assert!(matches!(reply(json!({"output": {"a": 1}})), Err(ReplyFault::Malformed(_))));
}

#[test]
fn a_prediction_says_how_far_it_is_and_where_to_look() {
    let made = prediction(json!({"status": "starting"}));
    assert!(!made.is_over() && !prediction(json!({"status": "processing"})).is_over());
    assert!(prediction(json!({})).is_over() && prediction(json!({"status": "failed"})).is_over());
    assert_eq!(
        (made.get_url(), made.cancel_url(), made.stream_url()),
        (Some("https://r.example/g"), Some("https://r.example/c"), Some("https://r.example/s"))
    );
    assert_eq!(prediction(json!({"urls": {}})).stream_url(), None);
    assert!(matches!(Prediction::read(b"{}"), Err(ReplyFault::Malformed(_))));
}

#[test]
fn a_prediction_that_failed_is_an_error() {
    let check = |members: Value, class: FailureClass| {
        let Err(ReplyFault::Error(error)) = reply(members.clone()) else { panic!("{members}") };
        assert_eq!(error.class, class, "{members}");
    };
    check(json!({"status": "failed", "error": "CUDA out of memory"}), FailureClass::Server);
    check(
        json!({"status": "failed", "error": "The output was flagged as sensitive (E005)"}),
        FailureClass::ContentPolicy,
    );
    check(json!({"status": "failed", "error": "Prompt length exceeds maximum"}), FailureClass::ContextWindow);
    check(json!({"status": "canceled"}), FailureClass::Server);
    check(json!({"status": "processing"}), FailureClass::Timeout);
}

const STREAM: &str = "event: output\nid: 1:0\ndata: The é\n\nevent: output\nid: 2:0\ndata: \ndata: \n\nevent: output\n\
    id: 3:0\ndata:  end\n\nevent: done\ndata: {}\n\n";

fn read(stream: &str, size: usize) -> (Vec<StreamEvent>, Result<bool, ReplyFault>) {
    let (mut framing, mut events) = (Framing::events(), Vec::new());
    let mut decoder = StreamDecoder::new(Reading { model: "m".to_owned(), ..Reading::default() });
    for chunk in stream.as_bytes().chunks(size) {
        framing.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = framing.next_frame().unwrap() {
            if let Err(fault) = decoder.read(&frame, &mut events) {
                return (events, Err(fault));
            }
        }
    }
    let is_complete = decoder.is_complete();
    (events, Ok(is_complete))
}

#[test]
fn a_stream_is_its_outputs_line_ends_included() {
    let text = |delta: &str| StreamEvent::Text { choice: 0, delta: delta.to_owned() };
    let expect = [
        StreamEvent::Start { id: String::new(), model: "m".to_owned() },
        text("The é"),
        text("\n"),
        text(" end"),
        StreamEvent::Finish { choice: 0, stop: StopReason::Stop, stop_sequence: None },
    ];
    for size in 1..=STREAM.len() {
        assert_eq!(read(STREAM, size), (expect.to_vec(), Ok(true)), "{size}");
    }
    assert_eq!(read(STREAM.split_once("event: done").unwrap().0, 9).1, Ok(false));
}

#[test]
fn a_stream_that_fails_says_why() {
    let check = |end: &str, expect: &str| {
        let Err(ReplyFault::Error(error)) = read(end, 11).1 else { panic!("{end}") };
        assert_eq!(error.message, expect);
    };
    check(
        "event: error\ndata: {\"detail\": \"it broke\"}\n\nevent: done\ndata: {\"reason\": \"error\"}\n\n",
        "it broke",
    );
    check("event: done\ndata: {\"reason\": \"error\"}\n\n", "the prediction failed");
    check("event: done\ndata: {\"reason\": \"canceled\"}\n\n", "the prediction was canceled");
}

fn last_look(members: Value) -> String {
    String::from_utf8(prediction(members).last_look()).unwrap()
}

#[test]
fn the_last_look_counts_the_tokens_behind_a_stream() {
    let usage = StreamEvent::Usage(Usage { input_tokens: 7, output_tokens: 2, ..Usage::default() });
    let whole = format!("{STREAM}{}", last_look(json!({})));
    for size in [1, 7, whole.len()] {
        let (events, is_complete) = read(&whole, size);
        assert_eq!((events.len(), events.last(), is_complete), (6, Some(&usage), Ok(true)), "{size}");
    }
    assert_eq!(read(&format!("{STREAM}{}", last_look(json!({"metrics": {}}))), 9).0.len(), 5);
    // A stream that broke is no whole answer, whatever became of the prediction.
    let broken = format!("{}{}", STREAM.split_once("event: done").unwrap().0, last_look(json!({})));
    let (events, is_complete) = read(&broken, 9);
    assert_eq!((events.len(), events.last(), is_complete), (5, Some(&usage), Ok(false)));
}

#[test]
fn the_last_look_is_the_whole_answer_where_nothing_was_streamed() {
    let (events, is_complete) =
        read(&last_look(json!({"output": ["a\n\n", "b"], "input": {"prompt": "hi"}})), 5);
    let expect = [
        StreamEvent::Start { id: "p1".to_owned(), model: "m".to_owned() },
        StreamEvent::Text { choice: 0, delta: "a\n\nb".to_owned() },
        StreamEvent::Finish { choice: 0, stop: StopReason::Stop, stop_sequence: None },
        StreamEvent::Usage(Usage { input_tokens: 7, output_tokens: 2, ..Usage::default() }),
    ];
    assert_eq!((events.as_slice(), is_complete), (&expect[..], Ok(true)));
    let (events, failed) = read(&last_look(json!({"status": "failed", "error": "CUDA out of memory"})), 5);
    let Err(ReplyFault::Error(error)) = failed else { panic!("{events:?}") };
    assert_eq!((events.len(), error.message.as_str()), (0, "CUDA out of memory"));
}

#[test]
fn errors_have_a_detail() {
    let check = |status: u16, detail: &str, class: FailureClass| {
        let error = decode_error(
            status,
            json!({"title": "t", "detail": detail, "status": status}).to_string().as_bytes(),
        );
        assert_eq!((error.class, error.message.as_str()), (class, detail));
    };
    check(401, "You did not pass a valid authentication token", FailureClass::Authentication);
    check(402, "You have insufficient credit to run this model.", FailureClass::Permission);
    check(422, "- input.prompt: 9 tokens are more than the model's 8", FailureClass::ContextWindow);
    check(422, "- input.temperature: must be a number", FailureClass::BadRequest);
    check(429, "Request was throttled.", FailureClass::RateLimit);
}
