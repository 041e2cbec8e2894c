//! watsonx: what goes out, what comes back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{ChatRequest, Embedding, Part, StopReason, StreamEvent};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::openai;
use tollgate_dialect::sse::Frame;
use tollgate_dialect::watsonx::{
    Place, StreamDecoder, decode_embeddings, decode_error, decode_reply, encode_chat, encode_embeddings,
};
use tollgate_dialect::wire::{EncodeError, EncodeOptions, EventDecoder, Outbound, ReplyFault};

fn place() -> Place {
    Place { project_id: Some("p1".to_owned()), ..Place::default() }
}

fn request(members: Value) -> ChatRequest {
    let mut body = json!({"model": "ibm/granite-4", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    openai::decode_chat(body.to_string().as_bytes()).unwrap()
}

fn encode(members: Value) -> Outbound {
    encode_chat(&request(members), &place(), &EncodeOptions::default()).unwrap()
}

fn body(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.body).unwrap()
}

fn check(members: Value, expect: Value, expect_lost: &[&str]) {
    let outbound = encode(members.clone());
    let mut written = body(&outbound);
    for name in ["model_id", "project_id", "messages"] {
        written.as_object_mut().unwrap().shift_remove(name);
    }
    assert_eq!(written, expect, "{members}");
    assert_eq!(outbound.lost.names().collect::<Vec<_>>(), expect_lost, "{members}");
}

#[test]
fn a_model_runs_in_a_project_or_a_space_and_a_deployment_in_its_own() {
    let outbound = encode(json!({}));
    assert_eq!(outbound.path, "/ml/v1/text/chat?version=2024-03-13");
    let messages = json!([{"role": "user", "content": "hi"}]);
    assert_eq!(
        body(&outbound),
        json!({"messages": messages, "model_id": "ibm/granite-4", "project_id": "p1"})
    );
    let options = EncodeOptions::default();
    let space = Place { space_id: Some("s1".to_owned()), version: "2025-10-01".to_owned(), project_id: None };
    let outbound = encode_chat(&request(json!({"stream": true})), &space, &options).unwrap();
    assert_eq!(outbound.path, "/ml/v1/text/chat_stream?version=2025-10-01");
    assert_eq!(body(&outbound), json!({"messages": messages, "model_id": "ibm/granite-4", "space_id": "s1"}));
    let deployed = request(json!({"model": "deployment/d-1"}));
    let outbound = encode_chat(&deployed, &Place::default(), &options).unwrap();
    assert_eq!(outbound.path, "/ml/v1/deployments/d-1/text/chat?version=2024-03-13");
    assert_eq!(body(&outbound), json!({ "messages": messages }));
}

#[test]
fn what_is_missing_or_no_name_of_a_place_is_said() {
    let check = |place: Place, model: &str, param: &str| {
        let error =
            encode_chat(&request(json!({ "model": model })), &place, &EncodeOptions::default()).unwrap_err();
        assert!(matches!(&error, EncodeError::Invalid { param: found, .. } if found == param), "{error:?}");
    };
    check(Place::default(), "m", "project_id");
    check(Place { version: "tomorrow".to_owned(), ..place() }, "m", "version");
    check(place(), "deployment/../x", "model");
}

#[test]
fn members_have_watsonx_s_names() {
    check(
        json!({"max_completion_tokens": 5, "stop": "a", "seed": 2}),
        json!({"max_tokens": 5, "seed": 2, "stop": ["a"]}),
        &[],
    );
    check(
        json!({"time_limit": 100, "repetition_penalty": 1.1}),
        json!({"time_limit": 100, "repetition_penalty": 1.1}),
        &[],
    );
    check(json!({"reasoning_effort": "minimal"}), json!({"reasoning_effort": "low"}), &[]);
    check(json!({"reasoning_effort": "xhigh"}), json!({"reasoning_effort": "high"}), &[]);
    check(json!({"reasoning_effort": "none"}), json!({}), &["reasoning_effort"]);
    check(json!({"user": "u", "store": true}), json!({}), &["user", "store"]);
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}});
    let written = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    check(
        json!({"tools": [tool], "tool_choice": "required"}),
        json!({"tools": [written], "tool_choice_option": "required"}),
        &["strict"],
    );
    let choice = json!({"type": "function", "function": {"name": "f"}});
    check(
        json!({"tools": [written], "tool_choice": choice}),
        json!({"tools": [written], "tool_choice": choice}),
        &[],
    );
}

#[test]
fn only_a_user_speaks_in_parts() {
    let part = |text: &str| json!({"type": "text", "text": text});
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let written = body(&encode(json!({"messages": [
        {"role": "developer", "content": [part("a"), part("b")]},
        {"role": "user", "content": [part("c"), {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}]},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "d"},
        {"role": "assistant", "content": "e", "reasoning_content": "hm"},
    ]})));
    let expect = json!([
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": [part("c"), {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}]},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "d"},
        {"role": "assistant", "content": "e", "reasoning_content": "hm"},
    ]);
    assert_eq!(written["messages"], expect);
}

#[test]
fn what_watsonx_has_no_word_for_is_refused() {
    let error =
        encode_chat(&request(json!({"top_k": 3, "verbosity": "low"})), &place(), &EncodeOptions::default());
    assert_eq!(
        error,
        Err(EncodeError::Unsupported { params: vec!["top_k".to_owned(), "verbosity".to_owned()] })
    );
}

#[test]
fn a_reply_is_openai_s() {
    let reply = br#"{"id":"x","model_id":"m","choices":[{"index":0,"message":{"role":"assistant","content":"b","reasoning_content":"hm"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let decoded = decode_reply(reply).unwrap();
    assert_eq!(
        decoded.choices[0].parts,
        [Part::Reasoning { text: "hm".to_owned(), signature: None }, Part::text("b")]
    );
    assert_eq!(decoded.usage.input_tokens, 3);
    let error =
        br#"{"errors":[{"code":"downstream_request_failed","message":"it broke"}],"status_code":503}"#;
    assert!(matches!(decode_reply(error), Err(ReplyFault::Error(error))
        if error.class == FailureClass::Overloaded && error.message == "it broke"));
    assert!(matches!(decode_reply(b"{}"), Err(ReplyFault::Malformed(_))));
}

#[test]
fn a_stream_ends_without_a_mark_and_breaks_with_an_event() {
    let mut decoder = StreamDecoder::new();
    let mut events = Vec::new();
    let mut read = |decoder: &mut StreamDecoder, event: &str, data: Value| {
        let data = data.to_string();
        decoder.read(&Frame::new(Some(event), data.as_bytes()), &mut events)
    };
    let chunk = |delta: Value, finish: Value| json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    read(&mut decoder, "message", chunk(json!({"content": "my \"errors\" \"are\" text"}), json!(null)))
        .unwrap();
    assert!(!decoder.is_complete());
    read(&mut decoder, "message", chunk(json!({}), json!("stop"))).unwrap();
    assert!(decoder.is_complete());
    let error =
        json!({"errors": [{"code": "rate_limit_reached_requests", "message": "slow"}], "status_code": 429});
    let Err(ReplyFault::Error(error)) = read(&mut decoder, "error", error) else { panic!("no error") };
    assert_eq!((error.class, error.status), (FailureClass::RateLimit, 429));
    assert!(matches!(events.last(), Some(StreamEvent::Finish { stop: StopReason::Stop, .. })));
}

#[test]
fn errors_have_codes() {
    let check = |status: u16, code: &str, message: &str, class: FailureClass| {
        let body =
            json!({"errors": [{"code": code, "message": message}], "trace": "t", "status_code": status});
        let error = decode_error(status, body.to_string().as_bytes());
        assert_eq!(
            (error.class, error.code.as_deref(), error.message.as_str()),
            (class, Some(code), message)
        );
    };
    check(401, "authentication_token_not_valid", "no token", FailureClass::Authentication);
    check(403, "token_quota_reached", "no tokens left", FailureClass::RateLimit);
    check(404, "model_not_supported", "no model", FailureClass::NotFound);
    check(
        400,
        "invalid_input_argument",
        "the number of input tokens 9 cannot exceed the total tokens limit 8 for this model",
        FailureClass::ContextWindow,
    );
}

#[test]
fn embeddings_go_out_and_come_back() {
    let asked = |members: Value| {
        let mut body = json!({"model": "ibm/slate", "input": ["a", "b"]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        openai::decode_embeddings(body.to_string().as_bytes()).unwrap()
    };
    let outbound = encode_embeddings(&asked(json!({"truncate_input_tokens": 5})), &place()).unwrap();
    assert_eq!(outbound.path, "/ml/v1/text/embeddings?version=2024-03-13");
    let expect = json!({"inputs": ["a", "b"], "parameters": {"truncate_input_tokens": 5}, "model_id": "ibm/slate",
        "project_id": "p1"});
    assert_eq!(body(&outbound), expect);
    assert_eq!(
        encode_embeddings(&asked(json!({"dimensions": 5})), &place()),
        Err(EncodeError::Unsupported { params: vec!["dimensions".to_owned()] })
    );
    let reply =
        br#"{"model_id":"m","results":[{"embedding":[1,0.5]},{"embedding":[2,3]}],"input_token_count":4}"#;
    let decoded = decode_embeddings(reply, &asked(json!({}))).unwrap();
    assert_eq!(decoded.data, [Embedding(vec![1.0, 0.5]), Embedding(vec![2.0, 3.0])]);
    assert_eq!(decoded.usage.input_tokens, 4);
    assert!(matches!(
        decode_embeddings(br#"{"results":[]}"#, &asked(json!({}))),
        Err(ReplyFault::Malformed(_))
    ));
}
