//! Cohere's whole replies and errors, read, and answers for its callers, written.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::cohere::{decode_error, decode_reply, decode_request, encode_error, encode_reply};
use tollgate_dialect::conversation::{
    ChatReply, Choice, Citation, Issuer, MediaSource, Native, Part, Signature, StopReason, Usage,
};
use tollgate_dialect::failure::FailureClass;
use tollgate_dialect::wire::{CallerError, Dialect, Losses, Reading, ReplyFacts, ReplyFault};

const ID: &str = "00112233-4455-6677-8899-aabbccddeeff";

fn reading() -> Reading {
    Reading { model: "command-a-03-2025".to_owned(), ..Reading::default() }
}

fn reply(message: Value, finish_reason: &str) -> Value {
    json!({
        "id": ID, "message": message, "finish_reason": finish_reason,
        "usage": {"billed_units": {"input_tokens": 10, "output_tokens": 4},
            "tokens": {"input_tokens": 500, "output_tokens": 6}, "cached_tokens": 8},
    })
}

fn decode(reply: &Value) -> ChatReply {
    decode_reply(reply.to_string().as_bytes(), &reading()).unwrap()
}

fn fault(reply: Value) -> ReplyFault {
    decode_reply(reply.to_string().as_bytes(), &reading()).unwrap_err()
}

fn facts() -> ReplyFacts {
    ReplyFacts {
        client_model: "mine".to_owned(),
        fallback_id: "7f000000-0000-4000-8000-000000000001".to_owned(),
        ..ReplyFacts::default()
    }
}

fn write(reply: &ChatReply) -> (Value, Vec<String>) {
    let mut lost = Losses::default();
    let bytes = encode_reply(reply, &facts(), &mut lost);
    (serde_json::from_slice(&bytes).unwrap(), lost.names().map(str::to_owned).collect())
}

fn answer(parts: Vec<Part>, stop: Option<StopReason>) -> ChatReply {
    ChatReply { choices: vec![Choice { parts, stop, ..Choice::default() }], ..ChatReply::default() }
}

fn call(id: &str, signature: Option<Signature>) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: "{\"q\":1}".to_owned(),
        is_custom: false,
        signature,
    }
}

fn text(content: &str) -> Value {
    json!({"type": "text", "text": content})
}

#[test]
fn a_reply_has_its_text_reason_and_what_is_billed() {
    let decoded = decode(&reply(json!({"role": "assistant", "content": [text("hi")]}), "COMPLETE"));
    assert_eq!((decoded.id.as_str(), decoded.model.as_str()), (ID, "command-a-03-2025"));
    assert_eq!(decoded.choices[0].parts, [Part::text("hi")]);
    assert_eq!(decoded.choices[0].stop, Some(StopReason::Stop));
    let expect = Usage {
        input_tokens: 10,
        cached_tokens: 8,
        output_tokens: 4,
        unbilled_input_tokens: 490,
        unbilled_output_tokens: 2,
        ..Usage::default()
    };
    assert_eq!(decoded.usage, expect);
}

#[test]
fn reasons_have_their_meaning() {
    let check = |word: &str, expect: StopReason| {
        let decoded = decode(&reply(json!({"role": "assistant", "content": [text("hi")]}), word));
        assert_eq!(decoded.choices[0].stop, Some(expect), "{word}");
    };
    check("COMPLETE", StopReason::Stop);
    check("STOP_SEQUENCE", StopReason::StopSequence);
    check("MAX_TOKENS", StopReason::Length);
    check("TOOL_CALL", StopReason::ToolCalls);
    // An answer that had begun and broke without a word was blocked.
    check("ERROR", StopReason::ContentFilter);
    check("ERROR_TOXIC", StopReason::ContentFilter);
    check("ERROR_LIMIT", StopReason::ContextWindow);
    check("OF_TOMORROW", StopReason::Stop);
}

#[test]
fn a_generation_that_broke_is_a_fault() {
    let check = |reply: Value, class: FailureClass, status: u16| {
        let ReplyFault::Error(error) = fault(reply.clone()) else { panic!("{reply} is no error") };
        assert_eq!((error.class, error.status), (class, status), "{reply}");
    };
    let nothing = json!({"role": "assistant"});
    check(reply(nothing.clone(), "ERROR"), FailureClass::Server, 500);
    check(reply(nothing.clone(), "TIMEOUT"), FailureClass::Timeout, 504);
    let mut blocked = reply(nothing, "ERROR");
    blocked["error"] = json!("the response was blocked because it may violate the usage guidelines");
    check(blocked, FailureClass::ContentPolicy, 498);
    check(
        json!({"id": ID, "message": "too many tokens: size limit exceeded"}),
        FailureClass::ContextWindow,
        400,
    );
}

#[test]
fn what_is_no_reply_is_malformed() {
    for body in ["", "[]", "{}", "{\"message\":5}"] {
        let fault = decode_reply(body.as_bytes(), &reading()).unwrap_err();
        assert!(matches!(fault, ReplyFault::Malformed(_)), "{body}");
    }
    for call in [json!({"type": "function"}), json!({"id": "c", "function": {"name": ""}})] {
        let message = json!({"role": "assistant", "tool_calls": [call]});
        assert!(matches!(fault(reply(message, "TOOL_CALL")), ReplyFault::Malformed(_)));
    }
}

#[test]
fn thoughts_text_plan_and_calls_come_in_their_order() {
    let decoded = decode(&reply(
        json!({
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, text("well")],
            "tool_plan": "I will look.",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"q\":1}"}}],
        }),
        "TOOL_CALL",
    ));
    let thought = Part::Reasoning { text: "hm".to_owned(), signature: None };
    assert_eq!(
        decoded.choices[0].parts,
        [thought, Part::text("well"), Part::text("I will look."), call("a", None)]
    );
}

#[test]
fn citations_belong_to_the_text_that_they_are_of() {
    let source = |id: &str| json!({"type": "document", "id": id, "document": {"title": "T"}});
    let decoded = decode(&reply(
        json!({
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, text("tall")],
            "citations": [
                {"start": 0, "end": 4, "text": "tall", "sources": [source("doc:1"), source("x")], "content_index": 1,
                    "type": "TEXT_CONTENT"},
                {"start": 0, "end": 2, "text": "hm", "sources": [source("y")], "content_index": 0, "type": "THINKING_CONTENT"},
            ],
        }),
        "COMPLETE",
    ));
    let Part::Text { citations, .. } = &decoded.choices[0].parts[1] else { panic!("a text") };
    let facts: Vec<_> =
        citations.iter().map(|cited| (cited.span, cited.document, cited.source_id.as_deref())).collect();
    assert_eq!(facts, [(Some((0, 4)), Some(1), Some("doc:1")), (Some((0, 4)), None, Some("x"))]);
}

#[test]
fn the_call_of_the_stand_in_is_the_answer() {
    let message = json!({
        "role": "assistant", "tool_plan": "I will answer.",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "json_tool_call", "arguments": "{\"a\":1}"}},
            {"id": "b", "type": "function", "function": {"name": "json_tool_call", "arguments": "{\"a\":2}"}},
        ],
    });
    let reading = Reading { answer_tool: Some("json_tool_call".to_owned()), ..reading() };
    let decoded = decode_reply(reply(message, "TOOL_CALL").to_string().as_bytes(), &reading).unwrap();
    assert_eq!(decoded.choices[0].parts, [Part::text("{\"a\":1}")]);
    assert_eq!(decoded.choices[0].stop, Some(StopReason::Stop));
}

#[test]
fn log_probabilities_are_openai_s_and_come_back() {
    let mut body = reply(json!({"role": "assistant", "content": [text("hi")]}), "COMPLETE");
    body["logprobs"] = json!([
        {"text": "h", "token_ids": [1], "logprobs": [-0.5]},
        {"text": "é", "token_ids": [2, 3], "logprobs": [-0.25, -0.25]},
    ]);
    let decoded = decode(&body);
    let logprobs = decoded.choices[0].logprobs.clone().unwrap();
    assert_eq!(logprobs["content"][0]["token"], "h");
    assert_eq!(
        logprobs["content"][1],
        json!({"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": []})
    );
    let (written, _) = write(&decoded);
    assert_eq!(written["logprobs"][1], json!({"text": "é", "token_ids": [], "logprobs": [-0.5]}));
}

#[test]
fn errors_are_classed_by_status_and_sentence() {
    let check = |status: u16, body: &str, class: FailureClass, message: &str| {
        let error = decode_error(status, body.as_bytes());
        assert_eq!((error.class, error.status, error.message.as_str()), (class, status, message), "{body}");
    };
    check(
        400,
        r#"{"id":"x","message":"invalid request: p must be at most 0.99"}"#,
        FailureClass::BadRequest,
        "invalid request: p must be at most 0.99",
    );
    check(
        400,
        r#"{"message":"too many tokens: size limit exceeded by 5 tokens."}"#,
        FailureClass::ContextWindow,
        "too many tokens: size limit exceeded by 5 tokens.",
    );
    check(401, r#"{"message":"invalid api token"}"#, FailureClass::Authentication, "invalid api token");
    check(402, r#"{"message":"billing limit"}"#, FailureClass::Permission, "billing limit");
    check(404, r#"{"message":"model 'x' not found"}"#, FailureClass::NotFound, "model 'x' not found");
    check(422, r#"{"message":"unknown field"}"#, FailureClass::BadRequest, "unknown field");
    check(429, r#"{"message":"slow down"}"#, FailureClass::RateLimit, "slow down");
    check(498, r#"{"message":"blocked"}"#, FailureClass::ContentPolicy, "blocked");
    check(499, r#"{"message":"cancelled"}"#, FailureClass::Timeout, "cancelled");
    check(500, "<html>", FailureClass::Server, "the provider answered 500 without a readable error");
    check(503, "", FailureClass::Overloaded, "the provider answered 503 without a readable error");
    check(504, "", FailureClass::Timeout, "the provider answered 504 without a readable error");
    let long = format!("{{\"message\":\"{}\"}}", "é".repeat(2_000));
    assert_eq!(decode_error(400, long.as_bytes()).message.len(), 2_048);
}

#[test]
fn an_error_for_a_caller_is_a_message() {
    let error = CallerError {
        status: 400,
        kind: None,
        message: "no \"such\" thing",
        param: Some("p"),
        code: None,
        request_id: None,
    };
    assert_eq!(encode_error(&error), br#"{"message":"no \"such\" thing"}"#);
    let named = CallerError { request_id: Some("r"), ..error };
    assert_eq!(encode_error(&named), br#"{"id":"r","message":"no \"such\" thing"}"#);
}

#[test]
fn an_answer_is_written_in_cohere_s_form() {
    let reply = ChatReply {
        id: "chatcmpl-1".to_owned(),
        usage: Usage { input_tokens: 9, cached_tokens: 2, output_tokens: 3, ..Usage::default() },
        ..answer(vec![Part::text("hi")], Some(StopReason::Stop))
    };
    let (written, lost) = write(&reply);
    let tokens = json!({"input_tokens": 9, "output_tokens": 3});
    let expect = json!({
        "id": facts().fallback_id,
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [text("hi")]},
        "usage": {"billed_units": tokens, "tokens": tokens, "cached_tokens": 2},
    });
    assert_eq!(written.to_string(), expect.to_string());
    assert!(lost.is_empty());
}

#[test]
fn words_right_before_calls_are_the_plan() {
    let (written, _) = write(&answer(
        vec![Part::text("first"), thought("hm"), Part::text("the"), Part::text("n"), call("a", None)],
        // What some providers say beside calls.
        Some(StopReason::Stop),
    ));
    let expect = json!({
        "role": "assistant",
        "content": [text("first"), {"type": "thinking", "thinking": "hm"}],
        "tool_plan": "then",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"q\":1}"}}],
    });
    assert_eq!(written["message"].to_string(), expect.to_string());
    assert_eq!(written["finish_reason"], "TOOL_CALL");
}

fn thought(text: &str) -> Part {
    Part::Reasoning { text: text.to_owned(), signature: None }
}

#[test]
fn texts_that_other_makers_cut_at_their_sources_are_one() {
    let cited = |text: &str, document: u64| Part::Text {
        text: text.to_owned(),
        citations: vec![Citation { document: Some(document), ..Citation::default() }],
        cache_control: None,
    };
    let parts = vec![Part::text("It is "), cited("t\u{e4}ll", 0), Part::text(" and "), cited("old", 1)];
    let (written, _) = write(&answer(parts, Some(StopReason::Stop)));
    assert_eq!(written["message"]["content"], json!([text("It is t\u{e4}ll and old")]));
    let places: Vec<Value> = written["message"]["citations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|citation| {
            json!([citation["start"], citation["end"], citation["text"], citation["sources"][0]["id"]])
        })
        .collect();
    assert_eq!(places, [json!([6, 10, "t\u{e4}ll", "doc:0"]), json!([15, 18, "old", "doc:1"])]);
}

#[test]
fn reasons_have_cohere_s_words() {
    let check = |stop: Option<StopReason>, word: &str, expect_lost: &[&str]| {
        let (written, lost) = write(&answer(vec![Part::text("x")], stop));
        assert_eq!(written["finish_reason"], word, "{stop:?}");
        assert_eq!(lost, expect_lost, "{stop:?}");
    };
    check(None, "COMPLETE", &[]);
    check(Some(StopReason::Stop), "COMPLETE", &[]);
    // No calls are left, whatever the provider says.
    check(Some(StopReason::ToolCalls), "COMPLETE", &[]);
    check(Some(StopReason::StopSequence), "STOP_SEQUENCE", &[]);
    check(Some(StopReason::Length), "MAX_TOKENS", &[]);
    check(Some(StopReason::ContextWindow), "MAX_TOKENS", &["finish_reason"]);
    check(Some(StopReason::ContentFilter), "ERROR", &[]);
    check(Some(StopReason::Refusal), "ERROR", &["finish_reason"]);
    check(Some(StopReason::Recitation), "ERROR", &["finish_reason"]);
    check(Some(StopReason::Pause), "COMPLETE", &["finish_reason"]);
}

#[test]
fn what_a_reply_cannot_hold_is_told() {
    let picture = Part::Image {
        source: MediaSource::Url("https://a.example".to_owned()),
        detail: None,
        cache_control: None,
    };
    let sound = Part::Audio {
        source: MediaSource::FileId("a".to_owned()),
        format: "wav".to_owned(),
        transcript: Some("said".to_owned()),
    };
    let search = Native { dialect: Dialect::Anthropic, value: json!({"type": "server_tool_use"}) };
    let mut reply = answer(vec![picture, sound, Part::Native(search)], Some(StopReason::Stop));
    reply.choices.push(Choice::default());
    reply.choices[0].stop_sequence = Some("x".to_owned());
    reply.service_tier = Some("flex".to_owned());
    let (written, lost) = write(&reply);
    assert_eq!(lost, ["n", "stop_sequence", "service_tier", "image", "audio", "server_tool_use"]);
    assert_eq!(written["message"]["content"], json!([text("said")]));
}

#[test]
fn sources_of_other_makers_are_documents() {
    let cited = Part::Text {
        text: "It is 20 degrees.".to_owned(),
        cache_control: None,
        citations: vec![
            Citation {
                span: Some((6, 8)),
                title: Some("Weather".to_owned()),
                url: Some("https://w.example".to_owned()),
                ..Citation::default()
            },
            Citation {
                span: Some((6, 8)),
                document: Some(2),
                quote: Some("20 C".to_owned()),
                ..Citation::default()
            },
        ],
    };
    let (written, _) = write(&answer(vec![cited], Some(StopReason::Stop)));
    let expect = json!([{
        "start": 6, "end": 8, "text": "20",
        "sources": [
            {"type": "document", "id": "https://w.example",
                "document": {"id": "https://w.example", "title": "Weather", "url": "https://w.example"}},
            {"type": "document", "id": "doc:2", "document": {"id": "doc:2", "text": "20 C"}},
        ],
        "content_index": 0, "type": "TEXT_CONTENT",
    }]);
    assert_eq!(written["message"]["citations"], expect);
}

#[test]
fn an_answer_comes_back_as_it_was_written() {
    let signature = |issuer| Some(Signature::new(issuer, "abc"));
    let thought = |signature| Part::Reasoning { text: "hm".to_owned(), signature };
    for parts in [
        vec![Part::text("hi")],
        vec![thought(None), Part::text("hi")],
        vec![thought(signature(Issuer::Anthropic)), thought(signature(Issuer::Google)), Part::text("hi")],
        vec![Part::RedactedReasoning { data: Signature::new(Issuer::OpenAi, "rs_1.x") }, Part::text("hi")],
        vec![Part::text("plan"), call("a", signature(Issuer::Google)), call("b", None)],
    ] {
        let calls_tools = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
        let stop = if calls_tools { StopReason::ToolCalls } else { StopReason::Stop };
        let reply = ChatReply {
            id: ID.to_owned(),
            model: reading().model,
            usage: Usage { input_tokens: 5, output_tokens: 2, unbilled_input_tokens: 9, ..Usage::default() },
            ..answer(parts.clone(), Some(stop))
        };
        let (written, lost) = write(&reply);
        assert_eq!(decode(&written), reply);
        assert!(lost.is_empty());
        // A client that sends the message back as it came sends all of it.
        let body = json!({"model": "m", "messages": [written["message"]]});
        assert_eq!(decode_request(body.to_string().as_bytes()).unwrap().messages[0].parts, parts);
    }
}

#[test]
fn a_custom_tool_s_text_is_the_argument_of_a_function() {
    let part = Part::ToolCall {
        id: "a".to_owned(),
        name: "patch".to_owned(),
        arguments: "*** Begin".to_owned(),
        is_custom: true,
        signature: None,
    };
    let (written, _) = write(&answer(vec![part], Some(StopReason::ToolCalls)));
    let arguments = &written["message"]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(arguments, "{\"input\":\"*** Begin\"}");
}
