//! Mistral, Databricks and Hugging Face: what each gets and gives beside OpenAI's form.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_dialect::compat::{Flavor, StreamDecoder, decode_error, decode_reply, encode_chat};
use tollgate_dialect::conversation::{
    ChatRequest, Issuer, Message, Part, Role, Signature, StopReason, StreamEvent, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::framing::Framing;
use tollgate_dialect::openai;
use tollgate_dialect::wire::{Dialect, EncodeError, EncodeOptions, EventDecoder, Outbound, ReplyFault};

const ALL: [Flavor; 3] = [Flavor::Mistral, Flavor::Databricks, Flavor::HuggingFace];

fn request(members: Value) -> ChatRequest {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    openai::decode_chat(body.to_string().as_bytes()).unwrap()
}

fn encode(flavor: Flavor, members: Value) -> Outbound {
    encode_chat(flavor, &request(members), &EncodeOptions::default()).unwrap()
}

fn body(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.body).unwrap()
}

fn lost(outbound: &Outbound) -> Vec<&str> {
    outbound.lost.names().collect()
}

/// The members that come out for those that went in, beside model and messages.
fn check(flavor: Flavor, members: Value, expect: Value) {
    let mut written = body(&encode(flavor, members.clone()));
    for name in ["model", "messages"] {
        written.as_object_mut().unwrap().shift_remove(name);
    }
    assert_eq!(written, expect, "{flavor:?} {members}");
}

fn check_messages(flavor: Flavor, messages: Value, expect: Value, expect_lost: &[&str]) {
    let outbound = encode(flavor, json!({ "messages": messages }));
    assert_eq!(body(&outbound)["messages"], expect, "{flavor:?}");
    assert_eq!(lost(&outbound), expect_lost, "{flavor:?}");
}

fn refused(flavor: Flavor, members: Value) -> EncodeError {
    encode_chat(flavor, &request(members), &EncodeOptions::default()).unwrap_err()
}

fn call(id: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
}

fn tool() -> Value {
    json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}})
}

#[test]
fn providers_are_known_by_their_names() {
    assert_eq!(Flavor::of_provider("mistral"), Some(Flavor::Mistral));
    assert_eq!(Flavor::of_provider("databricks"), Some(Flavor::Databricks));
    assert_eq!(Flavor::of_provider("huggingface"), Some(Flavor::HuggingFace));
    assert_eq!(Flavor::of_provider("groq"), None);
}

#[test]
fn every_parameter_of_openai_is_in_every_table() {
    for flavor in ALL {
        for param in openai::CHAT_PARAMS.iter().chain(&["thinking", "top_k"]) {
            let is_named = flavor.capabilities().iter().any(|(name, _)| name == param);
            assert!(is_named || *param == "top_k", "{flavor:?} {param}");
        }
    }
}

#[test]
fn mistral_gets_its_own_names() {
    let check = |members: Value, expect: Value| check(Flavor::Mistral, members, expect);
    check(json!({"max_completion_tokens": 5, "seed": 3}), json!({"max_tokens": 5, "random_seed": 3}));
    check(json!({"stream": true, "stream_options": {"include_usage": true}}), json!({"stream": true}));
    check(
        json!({"tools": [tool()], "tool_choice": "required"}),
        json!({"tools": [tool()], "tool_choice": "any"}),
    );
    check(json!({"temperature": 0, "top_p": 0.5}), json!({"temperature": 0}));
    check(json!({"temperature": 1, "top_p": 0.5}), json!({"temperature": 1, "top_p": 0.5}));
    check(
        json!({"safe_prompt": true, "prompt_mode": "reasoning"}),
        json!({"safe_prompt": true, "prompt_mode": "reasoning"}),
    );
    check(json!({"reasoning_effort": "high"}), json!({"reasoning_effort": "high"}));
    check(
        json!({"thinking": {"type": "enabled", "budget_tokens": 1_500}}),
        json!({"reasoning_effort": "medium"}),
    );
    check(json!({"thinking": {"type": "disabled"}}), json!({"reasoning_effort": "none"}));
    check(
        json!({"parallel_tool_calls": false, "n": 2, "logprobs": true, "top_k": 5}),
        json!({"parallel_tool_calls": false, "n": 2, "logprobs": true, "top_k": 5}),
    );
}

#[test]
fn what_mistral_has_no_word_for_is_refused_or_dropped_and_told() {
    let EncodeError::Unsupported { params } =
        refused(Flavor::Mistral, json!({"logit_bias": {"1": 2}, "verbosity": "low"}))
    else {
        panic!("taken")
    };
    assert_eq!(params, ["logit_bias", "verbosity"]);
    assert!(
        matches!(refused(Flavor::Mistral, json!({"temperature": 1.8})), EncodeError::Invalid { param, .. } if param == "temperature")
    );
    let options = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    let asked = request(json!({"temperature": 1.8, "seed": -1, "user": "u", "verbosity": "low"}));
    let outbound = encode_chat(Flavor::Mistral, &asked, &options).unwrap();
    assert_eq!(lost(&outbound), ["verbosity", "user", "temperature", "seed"]);
    assert_eq!(body(&outbound).as_object().unwrap().len(), 2);
}

#[test]
fn what_the_operator_lets_through_goes_through() {
    let options = EncodeOptions { allowed_params: vec!["verbosity".to_owned()], ..EncodeOptions::default() };
    let outbound = encode_chat(Flavor::Mistral, &request(json!({"verbosity": "low"})), &options).unwrap();
    assert_eq!(body(&outbound)["verbosity"], "low");
}

#[test]
fn mistral_s_ids_have_nine_letters_and_digits() {
    let outbound = encode(
        Flavor::Mistral,
        json!({"messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": null, "tool_calls": [call("call_0fypS1hVX"), call("abcDEF123")]},
            {"role": "tool", "tool_call_id": "abcDEF123", "content": "B"},
            {"role": "tool", "tool_call_id": "call_0fypS1hVX", "content": "A", "name": "f"},
        ]}),
    );
    let written = body(&outbound);
    let first = written["messages"][1]["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    assert!(first.len() == 9 && first.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{first}");
    assert_eq!(written["messages"][1]["tool_calls"][1]["id"], "abcDEF123");
    assert_eq!(written["messages"][2]["tool_call_id"], "abcDEF123");
    assert_eq!(written["messages"][3], json!({"role": "tool", "tool_call_id": first, "content": "A"}));
}

#[test]
fn mistral_s_messages_stand_in_its_order() {
    check_messages(
        Flavor::Mistral,
        json!([
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": "go", "name": "ann"},
            {"role": "assistant", "content": "", "tool_calls": [call("abcDEF123")]},
            {"role": "user", "content": "hurry"},
            {"role": "tool", "tool_call_id": "abcDEF123", "content": "A"},
        ]),
        json!([
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": null, "tool_calls": [call("abcDEF123")]},
            {"role": "tool", "tool_call_id": "abcDEF123", "content": "A"},
            {"role": "assistant", "content": "."},
            {"role": "user", "content": "hurry"},
        ]),
        &["name"],
    );
    // An answer that has begun goes on.
    check_messages(
        Flavor::Mistral,
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]),
        json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "prefix": true}]),
        &[],
    );
    check_messages(
        Flavor::Mistral,
        json!([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]),
        json!([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]),
        &["system_position"],
    );
    let unanswered = json!({"messages": [{"role": "assistant", "content": null, "tool_calls": [call("a")]}]});
    assert!(matches!(refused(Flavor::Mistral, unanswered), EncodeError::Invalid { .. }));
}

#[test]
fn mistral_s_chunks_are_thoughts_documents_and_sounds() {
    check_messages(
        Flavor::Mistral,
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "read"},
                {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
                {"type": "file", "file": {"file_id": "f-1"}},
                {"type": "file", "file": {"filename": "t.txt", "file_data": "data:text/plain;base64,dGFsbA=="}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            ]},
            {"role": "assistant", "content": "b", "reasoning_content": "hm"},
            {"role": "assistant", "content": "c", "thinking_blocks": [{"type": "thinking", "thinking": "x", "signature": "s"}]},
            {"role": "user", "content": "d"},
        ]),
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "read"},
                {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
                {"type": "document_url", "document_url": "data:application/pdf;base64,AAAA", "document_name": "a.pdf"},
                {"type": "file", "file_id": "f-1"},
                {"type": "text", "text": "t.txt\ntall"},
                {"type": "input_audio", "input_audio": "AAAA"},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "user", "content": "d"},
        ]),
        &["reasoning"],
    );
}

#[test]
fn databricks_gets_what_it_knows() {
    let check = |members: Value, expect: Value| check(Flavor::Databricks, members, expect);
    check(
        json!({"max_completion_tokens": 5, "stream": true, "stream_options": {"include_usage": true}}),
        json!({"stream": true, "max_tokens": 5}),
    );
    check(
        json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}, "top_k": 4}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}, "top_k": 4}),
    );
    check(json!({"tool_choice": "auto"}), json!({}));
    let EncodeError::Unsupported { params } =
        refused(Flavor::Databricks, json!({"seed": 1, "frequency_penalty": 1, "presence_penalty": 0}))
    else {
        panic!("taken")
    };
    assert_eq!(params, ["frequency_penalty", "seed"]);
}

fn spoken(parts: Vec<Part>) -> ChatRequest {
    let mut asked = request(json!({}));
    asked.messages.push(Message { role: Role::Assistant, parts, name: None });
    asked.dialect = Dialect::Anthropic;
    asked
}

fn thought(text: &str, issuer: Issuer) -> Part {
    Part::Reasoning { text: text.to_owned(), signature: Some(Signature::new(issuer, "sig")) }
}

#[test]
fn databricks_gets_the_thoughts_that_anthropic_signed() {
    let asked = spoken(vec![
        thought("hm", Issuer::Anthropic),
        thought("no", Issuer::Google),
        Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "opaque") },
        Part::text("b"),
    ]);
    let outbound = encode_chat(Flavor::Databricks, &asked, &EncodeOptions::default()).unwrap();
    let expect = json!({"role": "assistant", "content": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm", "signature": "sig"}]},
        {"type": "reasoning", "summary": [{"type": "summary_encrypted_text", "data": "opaque"}]},
        {"type": "text", "text": "b"},
    ]});
    assert_eq!(body(&outbound)["messages"][1], expect);
    assert_eq!(lost(&outbound), ["reasoning"]);
}

#[test]
fn marks_for_the_cache_go_where_they_are_known() {
    let messages = json!([{"role": "user", "content": [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}]);
    let outbound = encode(Flavor::Databricks, json!({ "messages": messages }));
    assert_eq!(body(&outbound)["messages"][0]["content"][0]["cache_control"], json!({"type": "ephemeral"}));
    for flavor in [Flavor::Mistral, Flavor::HuggingFace] {
        check_messages(
            flavor,
            messages.clone(),
            json!([{"role": "user", "content": "a"}]),
            &["cache_control"],
        );
    }
}

#[test]
fn hugging_face_gets_what_lies_in_its_ranges() {
    let check = |members: Value, expect: Value| check(Flavor::HuggingFace, members, expect);
    check(json!({"stop": "a", "top_p": 1, "max_tokens": 3}), json!({"max_tokens": 3, "stop": ["a"]}));
    check(json!({"top_p": 0.9}), json!({"top_p": 0.9}));
    check(json!({"stream": true}), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let bare = json!({"type": "function", "function": {"name": "f"}});
    check(
        json!({"tools": [bare]}),
        json!({"tools": [{"type": "function", "function": {
        "name": "f", "parameters": {"type": "object", "properties": {}}}}]}),
    );
    let both = json!({"tools": [tool()], "response_format": {"type": "json_object"}});
    assert!(
        matches!(refused(Flavor::HuggingFace, both.clone()), EncodeError::Invalid { param, .. } if param == "response_format")
    );
    let options = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    let outbound = encode_chat(Flavor::HuggingFace, &request(both), &options).unwrap();
    assert_eq!(lost(&outbound), ["response_format"]);
}

#[test]
fn files_that_are_no_text_name_their_place() {
    let file = json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}});
    let messages = json!({"messages": [{"role": "user", "content": [file]}]});
    for flavor in [Flavor::Databricks, Flavor::HuggingFace] {
        assert!(matches!(refused(flavor, messages.clone()), EncodeError::Invalid { param, .. }
            if param == "messages[0].content[0].file"));
    }
}

fn answer(message: Value, finish: &str) -> Vec<u8> {
    json!({"id": "x", "model": "m", "object": "chat.completion", "created": 1, "choices": [
        {"index": 0, "message": message, "finish_reason": finish}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    .to_string()
    .into_bytes()
}

#[test]
fn thoughts_come_out_of_content_lists() {
    let mistral = answer(
        json!({"role": "assistant", "tool_calls": null, "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]},
            {"type": "text", "text": "b"}]}),
        "stop",
    );
    let reply = decode_reply(Flavor::Mistral, &mistral).unwrap();
    assert_eq!(
        reply.choices[0].parts,
        [Part::Reasoning { text: "hm".to_owned(), signature: None }, Part::text("b")]
    );
    let databricks = answer(
        json!({"role": "assistant", "content": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm", "signature": "sig"}]},
            {"type": "reasoning", "summary": [{"type": "summary_encrypted_text", "data": "opaque"}]},
            {"type": "text", "text": "b"}]}),
        "stop",
    );
    let reply = decode_reply(Flavor::Databricks, &databricks).unwrap();
    let expect = [
        thought("hm", Issuer::Anthropic),
        Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "opaque") },
        Part::text("b"),
    ];
    assert_eq!(reply.choices[0].parts, expect);
}

#[test]
fn mistral_s_broken_and_overlong_answers_are_no_ordinary_ends() {
    let stop = |word: &str| {
        let bytes = answer(json!({"role": "assistant", "content": "b"}), word);
        decode_reply(Flavor::Mistral, &bytes).unwrap().choices[0].stop
    };
    assert_eq!(stop("stop"), Some(StopReason::Stop));
    assert_eq!(stop("length"), Some(StopReason::Length));
    assert_eq!(stop("model_length"), Some(StopReason::ContextWindow));
    assert_eq!(stop("error"), Some(StopReason::ContentFilter));
}

fn read(flavor: Flavor, stream: &str, size: usize) -> (Vec<StreamEvent>, Result<bool, ReplyFault>) {
    let (mut framing, mut decoder, mut events) = (Framing::events(), StreamDecoder::new(flavor), Vec::new());
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

fn stream(deltas: &[Value]) -> String {
    let count = deltas.len();
    let chunk = |(index, delta): (usize, &Value)| {
        let finish = if index + 1 == count { json!("stop") } else { json!(null) };
        let usage = json!({"prompt_tokens": 3, "completion_tokens": index, "total_tokens": 3 + index});
        let chunk = json!({"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": usage});
        format!("data: {chunk}\n\n")
    };
    deltas.iter().enumerate().map(chunk).chain(["data: [DONE]\n\n".to_owned()]).collect()
}

#[test]
fn databricks_streams_thoughts_in_pieces_and_counts_as_it_goes() {
    let thought = |text: &str, signature: &str| json!({"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": text, "signature": signature}]}]});
    let stream = stream(&[
        json!({"role": "assistant", "content": ""}),
        thought("h", ""),
        thought("m\u{e9}", ""),
        thought("", "sig"),
        json!({"content": "a \"reasoning\" word"}),
        json!({"content": ""}),
    ]);
    let (events, complete) = read(Flavor::Databricks, &stream, stream.len());
    assert_eq!(complete, Ok(true));
    let usage =
        |output_tokens: u64| StreamEvent::Usage(Usage { input_tokens: 3, output_tokens, ..Usage::default() });
    let said = |delta: &str| StreamEvent::Reasoning { choice: 0, delta: delta.to_owned() };
    let expect = [
        StreamEvent::Start { id: "x".to_owned(), model: "m".to_owned() },
        usage(0),
        said("h"),
        usage(1),
        said("m\u{e9}"),
        usage(2),
        StreamEvent::ReasoningSignature { choice: 0, signature: Signature::new(Issuer::Anthropic, "sig") },
        usage(3),
        StreamEvent::Text { choice: 0, delta: "a \"reasoning\" word".to_owned() },
        usage(4),
        StreamEvent::Finish { choice: 0, stop: StopReason::Stop, stop_sequence: None },
        usage(5),
    ];
    assert_eq!(events, expect);
    for size in 1..60 {
        assert_eq!(read(Flavor::Databricks, &stream, size).0, events, "{size}");
    }
}

#[test]
fn mistral_streams_thoughts_as_chunks() {
    let stream = stream(&[
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
        json!({"content": [{"type": "text", "text": "b"}]}),
        json!({"content": ""}),
    ]);
    let (events, _) = read(Flavor::Mistral, &stream, 17);
    let shown: Vec<&StreamEvent> = events
        .iter()
        .filter(|event| matches!(event, StreamEvent::Reasoning { .. } | StreamEvent::Text { .. }))
        .collect();
    let expect = [
        StreamEvent::Reasoning { choice: 0, delta: "hm".to_owned() },
        StreamEvent::Text { choice: 0, delta: "b".to_owned() },
    ];
    assert_eq!(shown, expect.iter().collect::<Vec<_>>());
}

#[test]
fn errors_are_read_wherever_they_stand() {
    let check = |flavor: Flavor, status: u16, body: Value, class: FailureClass, message: &str| {
        let error = decode_error(flavor, status, body.to_string().as_bytes());
        assert_eq!((error.class, error.message.as_str()), (class, message), "{flavor:?}");
    };
    check(
        Flavor::Mistral,
        401,
        json!({"detail": "Unauthorized"}),
        FailureClass::Authentication,
        "Unauthorized",
    );
    check(
        Flavor::Mistral,
        400,
        json!({"object": "error", "message": "Prompt contains 9 tokens, too large for model with 8 maximum context length",
            "type": "invalid_request_prompt", "code": "3051"}),
        FailureClass::ContextWindow,
        "Prompt contains 9 tokens, too large for model with 8 maximum context length",
    );
    check(
        Flavor::Databricks,
        429,
        json!({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slow down"}),
        FailureClass::RateLimit,
        "slow down",
    );
    check(
        Flavor::HuggingFace,
        424,
        json!({"error": "Request failed during generation", "error_type": "generation"}),
        FailureClass::Server,
        "Request failed during generation",
    );
    check(
        Flavor::HuggingFace,
        422,
        json!({"error": "Input validation error: x", "error_type": "validation"}),
        FailureClass::BadRequest,
        "Input validation error: x",
    );
    let loading = json!({"error": "Model m is currently loading", "estimated_time": 20.5}).to_string();
    let error = decode_error(Flavor::HuggingFace, 503, loading.as_bytes());
    assert_eq!((error.class, error.retry_delay_ms), (FailureClass::Overloaded, Some(20_500)));

    let inside = br#"{"error_code":"INTERNAL_ERROR","message":"it broke"}"#;
    assert!(
        matches!(decode_reply(Flavor::Databricks, inside), Err(ReplyFault::Error(error)) if error.message == "it broke")
    );
    let (_, fault) = read(Flavor::Databricks, "data: {\"error_code\":\"X\",\"message\":\"it broke\"}\n\n", 9);
    assert!(matches!(fault, Err(ReplyFault::Error(error)) if error.message == "it broke"));
    let (_, fault) =
        read(Flavor::HuggingFace, "data: {\"error\":\"it broke\",\"error_type\":\"generation\"}\n\n", 9);
    assert!(matches!(fault, Err(ReplyFault::Error(error)) if error.message == "it broke"));
}
