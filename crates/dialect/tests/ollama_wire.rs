//! Ollama: what goes out, what comes back, whole and in lines.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    ChatReply, ChatRequest, Embedding, Part, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::ollama::{
    CHAT_PATH, EMBED_PATH, StreamDecoder, decode_embeddings, decode_error, decode_reply, encode_chat,
    encode_embeddings,
};
use tollgate_dialect::openai;
use tollgate_dialect::wire::{EncodeError, EncodeOptions, EventDecoder, Outbound, Reading, ReplyFault};

fn request(members: Value) -> ChatRequest {
    let mut body = json!({"model": "qwen3:8b", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    openai::decode_chat(body.to_string().as_bytes()).unwrap()
}

fn encode(members: Value) -> Outbound {
    encode_chat(&request(members), &EncodeOptions::default()).unwrap()
}

fn body(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.body).unwrap()
}

fn lost(outbound: &Outbound) -> Vec<&str> {
    outbound.lost.names().collect()
}

/// The members that come out for those that went in, beside model, messages and stream.
fn check(members: Value, expect: Value) {
    let mut written = body(&encode(members.clone()));
    for name in ["model", "messages", "stream"] {
        written.as_object_mut().unwrap().shift_remove(name);
    }
    assert_eq!(written, expect, "{members}");
}

fn check_messages(messages: Value, expect: Value, expect_lost: &[&str]) {
    let outbound = encode(json!({ "messages": messages }));
    assert_eq!(body(&outbound)["messages"], expect);
    assert_eq!(lost(&outbound), expect_lost);
}

fn refused(members: Value) -> EncodeError {
    encode_chat(&request(members), &EncodeOptions::default()).unwrap_err()
}

#[test]
fn a_request_always_says_whether_it_streams() {
    let outbound = encode(json!({}));
    assert_eq!(outbound.path, CHAT_PATH);
    let expect =
        json!({"model": "qwen3:8b", "messages": [{"role": "user", "content": "hi"}], "stream": false});
    assert_eq!(body(&outbound), expect);
    assert_eq!(body(&encode(json!({"stream": true})))["stream"], true);
}

#[test]
fn parameters_are_options_by_ollama_s_names() {
    check(
        json!({"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop": "x", "seed": -3,
            "presence_penalty": 0.5, "frequency_penalty": -0.5}),
        json!({"options": {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "num_predict": 5, "stop": ["x"], "seed": -3,
            "presence_penalty": 0.5, "frequency_penalty": -0.5}}),
    );
    check(
        json!({"num_ctx": 8192, "options": {"num_gpu": 1}, "keep_alive": "5m", "repeat_penalty": 1.1}),
        json!({"keep_alive": "5m", "options": {"num_ctx": 8192, "num_gpu": 1, "repeat_penalty": 1.1}}),
    );
    check(json!({"user": "u", "store": true, "n": 1}), json!({}));
    check(json!({"logprobs": true, "top_logprobs": 3}), json!({"logprobs": true, "top_logprobs": 3}));
}

#[test]
fn reasoning_is_a_switch_or_a_level_where_the_model_has_levels() {
    check(json!({"reasoning_effort": "none"}), json!({"think": false}));
    check(json!({"reasoning_effort": "low"}), json!({"think": true}));
    check(json!({"reasoning_effort": "low", "model": "gpt-oss:20b"}), json!({"think": "low"}));
    check(json!({"reasoning_effort": "xhigh", "model": "gpt-oss:20b"}), json!({"think": "high"}));
    check(json!({"think": "max", "reasoning_effort": "low"}), json!({"think": "max"}));
}

#[test]
fn the_form_of_the_answer_is_a_word_or_a_schema() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    check(json!({"response_format": {"type": "json_object"}}), json!({"format": "json"}));
    check(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}}),
        json!({ "format": schema }),
    );
}

#[test]
fn messages_are_one_text_each_with_pictures_beside_it() {
    check_messages(
        json!([
            {"role": "developer", "content": "be kind"},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA\nAA"}},
                {"type": "file", "file": {"filename": "t.txt", "file_data": "data:text/plain;base64,dGFsbA=="}},
                {"type": "text", "text": "b"},
            ]},
        ]),
        json!([
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "a\nt.txt\ntall\nb", "images": ["AAAA"]},
        ]),
        &["name"],
    );
}

#[test]
fn calls_have_objects_and_results_the_name_of_their_function() {
    check_messages(
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "wait", "reasoning_content": "hm", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"q\":1}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "b", "content": "B"},
            {"role": "tool", "tool_call_id": "a", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        ]),
        json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "wait", "thinking": "hm", "tool_calls": [
                {"id": "a", "function": {"index": 0, "name": "f", "arguments": {"q": 1}}},
                {"id": "b", "function": {"index": 1, "name": "g", "arguments": {}}}]},
            {"role": "tool", "content": "B", "tool_name": "g", "tool_call_id": "b"},
            {"role": "tool", "content": "", "images": ["AAAA"], "tool_name": "f", "tool_call_id": "a"},
        ]),
        &[],
    );
}

#[test]
fn what_cannot_be_written_names_its_place() {
    let check = |messages: Value, expect: &str| {
        let EncodeError::Invalid { param, .. } = refused(json!({ "messages": messages })) else {
            panic!("{messages} is not invalid")
        };
        assert_eq!(param, expect);
    };
    let user = |part: Value| json!([{"role": "user", "content": [part]}]);
    check(
        user(json!({"type": "image_url", "image_url": {"url": "https://a.example/x.png"}})),
        "messages[0].content[0].image_url",
    );
    check(
        user(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
        "messages[0].content[0].input_audio",
    );
    check(
        user(json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}})),
        "messages[0].content[0].file",
    );
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"q\":"}});
    check(
        json!([{"role": "assistant", "content": null, "tool_calls": [call]}]),
        "messages[0].content[0].function.arguments",
    );
}

#[test]
fn tools_that_may_not_be_called_are_not_declared_and_none_can_be_forced() {
    let tool = json!({"type": "function", "function": {"name": "f", "description": "d", "strict": true}});
    let written = json!({"tools": [{"type": "function", "function": {
        "name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}]});
    check(json!({"tools": [tool]}), written.clone());
    check(json!({"tools": [tool], "tool_choice": "auto"}), written);
    check(json!({"tools": [tool], "tool_choice": "none"}), json!({}));
    assert_eq!(lost(&encode(json!({"tools": [tool]}))), ["strict"]);
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "f"}})] {
        let EncodeError::Unsupported { params } = refused(json!({"tools": [tool], "tool_choice": choice}))
        else {
            panic!("{choice} is taken")
        };
        assert_eq!(params, ["tool_choice"]);
    }
    let EncodeError::Unsupported { params } =
        refused(json!({"n": 2, "logit_bias": {"1": 2}, "verbosity": "low"}))
    else {
        panic!("taken")
    };
    assert_eq!(params, ["logit_bias", "n", "verbosity"]);
}

fn reading() -> Reading {
    Reading { id_seed: 7, ..Reading::default() }
}

fn reply(message: Value, members: Value) -> Value {
    let mut reply = json!({"model": "qwen3:8b", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": true,
        "done_reason": "stop", "prompt_eval_count": 11, "eval_count": 5});
    reply.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    reply
}

fn decode(reply: Value) -> ChatReply {
    decode_reply(reply.to_string().as_bytes(), &reading()).unwrap()
}

#[test]
fn a_reply_has_thought_text_calls_and_counts() {
    let decoded = decode(reply(
        json!({"role": "assistant", "content": "hi", "thinking": "hm", "tool_calls": [
            {"function": {"name": "f", "arguments": {"q": 1}}},
            {"id": "call_x", "function": {"name": "g", "arguments": {}}}]}),
        json!({}),
    ));
    let [
        Part::Reasoning { text: thought, .. },
        Part::Text { text, .. },
        Part::ToolCall { id: made, arguments, .. },
        Part::ToolCall { id, .. },
    ] = decoded.choices[0].parts.as_slice()
    else {
        panic!("{:?}", decoded.choices)
    };
    assert_eq!((thought.as_str(), text.as_str(), arguments.as_str()), ("hm", "hi", "{\"q\":1}"));
    assert!(made.starts_with("call_") && made.len() > 10);
    assert_eq!(id, "call_x");
    assert_eq!(decoded.choices[0].stop, Some(StopReason::ToolCalls));
    assert_eq!(decoded.usage, Usage { input_tokens: 11, output_tokens: 5, ..Usage::default() });
    assert_eq!(decoded.model, "qwen3:8b");
}

#[test]
fn reasons_and_counts_may_be_missing() {
    let said = json!({"role": "assistant", "content": "hi"});
    let stop = |reason: Value| decode(reply(said.clone(), json!({"done_reason": reason}))).choices[0].stop;
    assert_eq!(stop(json!("stop")), Some(StopReason::Stop));
    assert_eq!(stop(json!("length")), Some(StopReason::Length));
    assert_eq!(stop(json!(null)), Some(StopReason::Stop));
    let uncounted = decode(reply(said, json!({"prompt_eval_count": null})));
    assert_eq!(uncounted.usage, Usage { output_tokens: 5, ..Usage::default() });
}

#[test]
fn log_probabilities_are_openai_s() {
    let list = json!([{"token": "h", "logprob": -0.5, "bytes": [104]}, {"token": "i", "logprob": -1, "top_logprobs": []}]);
    let decoded = decode(reply(json!({"role": "assistant", "content": "hi"}), json!({ "logprobs": list })));
    let expect = json!([{"token": "h", "logprob": -0.5, "bytes": [104], "top_logprobs": []},
        {"token": "i", "logprob": -1, "top_logprobs": [], "bytes": null}]);
    assert_eq!(decoded.choices[0].logprobs.as_ref().unwrap()["content"], expect);
}

#[test]
fn what_is_no_reply_is_a_fault() {
    let fault = |body: &str| decode_reply(body.as_bytes(), &reading()).unwrap_err();
    for body in ["", "{}", r#"{"message":{"tool_calls":[{}]}}"#] {
        assert!(matches!(fault(body), ReplyFault::Malformed(_)), "{body}");
    }
    assert!(matches!(fault(r#"{"error":"out of memory"}"#), ReplyFault::Error(_)));
}

#[test]
fn errors_are_a_sentence() {
    let check = |status: u16, sentence: &str, class: FailureClass| {
        let error = decode_error(status, json!({ "error": sentence }).to_string().as_bytes());
        assert_eq!((error.class, error.message.as_str()), (class, sentence));
    };
    check(404, "model 'x' not found", FailureClass::NotFound);
    check(400, "\"x\" does not support tools", FailureClass::BadRequest);
    check(400, "the input length exceeds the context length", FailureClass::ContextWindow);
    check(503, "server busy, please try again.  maximum pending requests exceeded", FailureClass::Overloaded);
}

const STREAM: &str = concat!(
    r#"{"model":"qwen3:8b","created_at":"x","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
    "\n",
    r#"{"model":"qwen3:8b","created_at":"x","message":{"role":"assistant","content":"é"},"done":false}"#,
    "\n\r\n",
    r#"{"model":"qwen3:8b","created_at":"x","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"q":1}}},{"id":"b","function":{"name":"g","arguments":{}}}]},"done":false}"#,
    "\n",
    r#"{"model":"qwen3:8b","created_at":"x","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":11,"eval_count":5}"#,
);

fn read_cut(stream: &str, size: usize) -> (Vec<StreamEvent>, bool) {
    let (mut framing, mut decoder, mut events) =
        (Framing::lines(), StreamDecoder::new(reading()), Vec::new());
    for chunk in stream.as_bytes().chunks(size) {
        framing.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = framing.next_frame().unwrap() {
            decoder.read(&frame, &mut events).unwrap();
        }
    }
    if let Some(frame) = framing.take_pending() {
        decoder.read(&frame, &mut events).unwrap();
    }
    (events, decoder.is_complete())
}

#[test]
fn a_stream_is_thought_text_whole_calls_counts_and_reason() {
    let (events, is_complete) = read_cut(STREAM, STREAM.len());
    assert!(is_complete);
    let StreamEvent::ToolCallStart { id: made, .. } = &events[3] else { panic!("{events:?}") };
    let call = |index: u64, id: &str, name: &str| StreamEvent::ToolCallStart {
        choice: 0,
        index,
        id: id.to_owned(),
        name: name.to_owned(),
        is_custom: false,
        signature: None,
    };
    let arguments = |index: u64, delta: &str| StreamEvent::ToolCallArguments {
        choice: 0,
        index,
        delta: delta.to_owned(),
    };
    let expect = [
        StreamEvent::Start { id: String::new(), model: "qwen3:8b".to_owned() },
        StreamEvent::Reasoning { choice: 0, delta: "hm".to_owned() },
        StreamEvent::Text { choice: 0, delta: "é".to_owned() },
        call(0, made, "f"),
        arguments(0, "{\"q\":1}"),
        call(1, "b", "g"),
        arguments(1, "{}"),
        StreamEvent::Usage(Usage { input_tokens: 11, output_tokens: 5, ..Usage::default() }),
        StreamEvent::Finish { choice: 0, stop: StopReason::ToolCalls, stop_sequence: None },
    ];
    assert_eq!(events, expect);
    for size in 1..STREAM.len() {
        assert_eq!(read_cut(STREAM, size), (events.clone(), true), "{size}");
    }
}

#[test]
fn a_stream_without_its_last_line_is_not_complete() {
    let cut = STREAM.rsplit_once('\n').unwrap().0;
    assert!(!read_cut(cut, 50).1);
}

#[test]
fn an_error_line_is_a_fault() {
    let mut decoder = StreamDecoder::new(reading());
    let frame = tollgate_dialect::sse::Frame::new(None, br#"{"error":"an error was encountered"}"#);
    let fault = decoder.read(&frame, &mut Vec::new()).unwrap_err();
    let ReplyFault::Error(error) = fault else { panic!("an error") };
    assert_eq!((error.class, error.message.as_str()), (FailureClass::Server, "an error was encountered"));
}

#[test]
fn embeddings_go_out_and_come_back() {
    let asked = |members: Value| {
        let mut body = json!({"model": "nomic", "input": ["a", "b"]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        openai::decode_embeddings(body.to_string().as_bytes()).unwrap()
    };
    let outbound =
        encode_embeddings(&asked(json!({"dimensions": 3, "num_ctx": 512, "truncate": true}))).unwrap();
    assert_eq!(outbound.path, EMBED_PATH);
    let expect = json!({"model": "nomic", "input": ["a", "b"], "dimensions": 3, "truncate": true, "options": {"num_ctx": 512}});
    assert_eq!(body(&outbound), expect);
    assert!(encode_embeddings(&asked(json!({"odd": 1}))).is_err());
    let reply = br#"{"model":"nomic","embeddings":[[0.5,1],[2,3]],"prompt_eval_count":4}"#;
    let decoded = decode_embeddings(reply, &asked(json!({}))).unwrap();
    assert_eq!(decoded.data, [Embedding(vec![0.5, 1.0]), Embedding(vec![2.0, 3.0])]);
    assert_eq!(decoded.usage.input_tokens, 4);
    assert!(decode_embeddings(br#"{"embeddings":[[1]]}"#, &asked(json!({}))).is_err());
    assert!(matches!(decode_embeddings(br#"{"error":"x"}"#, &asked(json!({}))), Err(ReplyFault::Error(_))));
}
