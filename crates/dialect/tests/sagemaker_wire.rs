//! SageMaker: what containers get, and what comes out of their bytes within Amazon's events.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{ChatRequest, Part, StopReason, StreamEvent, Usage};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::framing::event_stream::{write_exception, write_message};
use tollgate_dialect::openai;
use tollgate_dialect::sagemaker::{
    Container, StreamDecoder, decode_error, decode_reply, decode_text_reply, encode_chat, encode_text,
};
use tollgate_dialect::wire::{EncodeError, EncodeOptions, EventDecoder, Outbound, Reading, ReplyFault};

fn request(members: Value) -> ChatRequest {
    let mut body = json!({"model": "my-endpoint", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    openai::decode_chat(body.to_string().as_bytes()).unwrap()
}

fn body(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.body).unwrap()
}

fn reading() -> Reading {
    Reading { model: "my-endpoint".to_owned(), ..Reading::default() }
}

#[test]
fn a_container_of_messages_gets_openai_s_body_without_a_model() {
    let asked = request(json!({"max_completion_tokens": 5, "top_k": 3, "seed": 1}));
    let outbound = encode_chat(&asked, &EncodeOptions::default()).unwrap();
    assert_eq!(outbound.path, "/endpoints/my-endpoint/invocations");
    let messages = json!([{"role": "user", "content": "hi"}]);
    assert_eq!(body(&outbound), json!({"messages": messages, "seed": 1, "top_k": 3, "max_tokens": 5}));
    let outbound = encode_chat(&request(json!({"stream": true})), &EncodeOptions::default()).unwrap();
    assert_eq!(outbound.path, "/endpoints/my-endpoint/invocations-response-stream");
    assert_eq!(
        body(&outbound),
        json!({"messages": messages, "stream": true, "stream_options": {"include_usage": true}})
    );
}

#[test]
fn an_endpoint_s_name_holds_nothing_that_means_something_in_a_path() {
    for model in ["", "a/b", "a%2f", "..", "é", &"a".repeat(64)] {
        let asked = ChatRequest { model: model.to_owned(), ..request(json!({})) };
        for refused in
            [encode_chat(&asked, &EncodeOptions::default()), encode_text(&asked, &EncodeOptions::default())]
        {
            assert!(
                matches!(refused, Err(EncodeError::Invalid { param, .. }) if param == "model"),
                "{model}"
            );
        }
    }
}

#[test]
fn the_text_server_gets_a_prompt_and_parameters() {
    let asked = request(json!({
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Who?"}],
        "max_tokens": 5, "temperature": 0.5, "top_p": 1, "top_k": 3, "seed": 1, "stop": "x", "repetition_penalty": 1.1,
    }));
    let outbound = encode_text(&asked, &EncodeOptions::default()).unwrap();
    let expect = json!({
        "inputs": "Be kind.\n\nWho?",
        "parameters": {"max_new_tokens": 5, "temperature": 0.5, "do_sample": true, "top_k": 3, "seed": 1, "stop": ["x"],
            "return_full_text": false, "details": true, "repetition_penalty": 1.1},
    });
    assert_eq!(body(&outbound), expect);
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let refused = encode_text(&request(json!({"tools": [tool], "n": 2})), &EncodeOptions::default());
    assert_eq!(refused, Err(EncodeError::Unsupported { params: vec!["n".to_owned(), "tools".to_owned()] }));
}

#[test]
fn replies_of_both_containers_are_read() {
    let chat = br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let decoded = decode_reply(chat, &reading()).unwrap();
    assert_eq!((decoded.model.as_str(), decoded.usage.input_tokens), ("my-endpoint", 3));
    let check = |body: Value, stop: StopReason, usage: Usage| {
        let decoded = decode_text_reply(body.to_string().as_bytes(), &reading()).unwrap();
        assert_eq!(decoded.choices[0].parts, [Part::text("b")]);
        assert_eq!((decoded.choices[0].stop, decoded.usage), (Some(stop), usage));
    };
    check(json!([{"generated_text": "b"}]), StopReason::Stop, Usage::default());
    check(
        json!({"generated_text": "b", "details": {"finish_reason": "length", "generated_tokens": 4, "prefill": [{}, {}]}}),
        StopReason::Length,
        Usage { input_tokens: 2, output_tokens: 4, ..Usage::default() },
    );
    assert!(matches!(decode_text_reply(b"[]", &reading()), Err(ReplyFault::Malformed(_))));
    assert!(matches!(decode_text_reply(br#"{"error":"x"}"#, &reading()), Err(ReplyFault::Error(_))));
}

/// A container's stream within Amazon's events, cut into payloads of this many bytes.
fn wrapped(stream: &str, size: usize) -> Vec<u8> {
    let headers = [
        (":event-type", "PayloadPart"),
        (":content-type", "application/octet-stream"),
        (":message-type", "event"),
    ];
    let mut out = Vec::new();
    for payload in stream.as_bytes().chunks(size) {
        write_message(&headers, payload, &mut out);
    }
    out
}

fn read(container: Container, bytes: &[u8], size: usize) -> (Vec<StreamEvent>, Result<bool, ReplyFault>) {
    let (mut framing, mut events) = (Framing::event_stream(), Vec::new());
    let mut decoder = StreamDecoder::new(container, reading());
    for chunk in bytes.chunks(size) {
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

const CHUNKS: &str = concat!(
    "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é\"}}]}\n\n",
    "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
    "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n",
    "data: [DONE]\n\n",
);

const TOKENS: &str = concat!(
    "data:{\"index\":1,\"token\":{\"id\":5,\"text\":\" a\",\"special\":false},\"generated_text\":null,\"details\":null}\n\n",
    "data:{\"index\":2,\"token\":{\"id\":6,\"text\":\"é\",\"special\":false},\"generated_text\":null,\"details\":null}\n\n",
    "data:{\"index\":3,\"token\":{\"id\":2,\"text\":\"</s>\",\"special\":true},\"generated_text\":\" aé\",",
    "\"details\":{\"finish_reason\":\"eos_token\",\"generated_tokens\":3,\"input_length\":7}}\n\n",
);

#[test]
fn a_stream_is_the_same_however_its_payloads_and_their_events_are_cut() {
    let text = |delta: &str| StreamEvent::Text { choice: 0, delta: delta.to_owned() };
    let finish = StreamEvent::Finish { choice: 0, stop: StopReason::Stop, stop_sequence: None };
    let start = |id: &str, model: &str| StreamEvent::Start { id: id.to_owned(), model: model.to_owned() };
    let usage = |input_tokens, output_tokens| {
        StreamEvent::Usage(Usage { input_tokens, output_tokens, ..Usage::default() })
    };
    let chunks = vec![start("x", "m"), text("é"), finish.clone(), usage(3, 2)];
    let tokens = vec![start("", "my-endpoint"), text(" a"), text("é"), usage(7, 3), finish];
    for (container, stream, expect) in
        [(Container::Messages, CHUNKS, chunks), (Container::Text, TOKENS, tokens)]
    {
        for payload in [1, 2, 7, 50, stream.len()] {
            let bytes = wrapped(stream, payload);
            for size in [1, 3, 100, bytes.len()] {
                assert_eq!(read(container, &bytes, size), (expect.clone(), Ok(true)), "{payload} {size}");
            }
        }
    }
}

#[test]
fn a_stream_that_was_cut_is_not_complete_and_one_that_broke_is_a_fault() {
    let cut = wrapped(CHUNKS.split_once("\r\n").unwrap().0, 30);
    assert_eq!(read(Container::Messages, &cut, 64).1, Ok(false));
    let mut broken = wrapped("data: {}\n\n", 4);
    write_exception("ModelStreamError", br#"{"Message":"the container broke","ErrorCode":"x"}"#, &mut broken);
    let (_, fault) = read(Container::Messages, &broken, 64);
    assert!(matches!(fault, Err(ReplyFault::Error(error)) if error.message == "the container broke"));
    let inside = wrapped("data: {\"error\":\"out of memory\"}\n\n", 9);
    assert!(matches!(read(Container::Text, &inside, 64).1, Err(ReplyFault::Error(_))));
}

#[test]
fn a_model_s_error_is_what_the_container_said() {
    let check = |status: u16, body: Value, class: FailureClass, message: &str| {
        let error = decode_error(status, body.to_string().as_bytes());
        assert_eq!((error.class, error.message.as_str()), (class, message));
    };
    check(
        400,
        json!({"Message": "Endpoint x of account 1 not found."}),
        FailureClass::BadRequest,
        "Endpoint x of account 1 not found.",
    );
    check(
        424,
        json!({"ErrorCode": "CLIENT_ERROR_FROM_MODEL", "Message": "Received client error (422) from primary",
            "OriginalMessage": "{\"error\":\"`inputs` must have less than 8 tokens\"}", "OriginalStatusCode": 422}),
        FailureClass::ContextWindow,
        "`inputs` must have less than 8 tokens",
    );
    check(
        424,
        json!({"Message": "Received server error (0) from primary"}),
        FailureClass::Server,
        "Received server error (0) from primary",
    );
    check(
        400,
        json!({"Message": "ThrottlingException: Rate exceeded"}),
        FailureClass::RateLimit,
        "ThrottlingException: Rate exceeded",
    );
}
