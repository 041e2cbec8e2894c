//! Conversations of other dialects, written for the Responses API: what goes out and what is named as lost.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Effort, Issuer, MediaSource, Message, Native, Part, Reasoning, Role, Sampling,
    Signature, Tool, ToolChoice,
};
use tollgate_dialect::responses::encode_chat;
use tollgate_dialect::wire::{Dialect, EncodeError, EncodeOptions};

fn request(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "gpt-5".to_owned(), messages, ..ChatRequest::default() }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn user(text: &str) -> Message {
    message(Role::User, vec![Part::text(text)])
}

fn written(request: &ChatRequest) -> (Value, Vec<String>) {
    let outbound = encode_chat(request, &EncodeOptions::default()).unwrap();
    let lost = outbound.lost.names().map(str::to_owned).collect();
    (serde_json::from_slice(&outbound.body).unwrap(), lost)
}

/// The items of messages, and what is lost.
fn items(messages: Vec<Message>) -> (Value, Vec<String>) {
    let (body, lost) = written(&request(messages));
    (body["input"].clone(), lost)
}

#[test]
fn a_plain_chat_is_written_so() {
    let mut chat = request(vec![message(Role::System, vec![Part::text("s")]), user("hi")]);
    chat.sampling = Sampling { temperature: Some(1.0), max_tokens: Some(100), ..Sampling::default() };
    chat.reasoning = Some(Reasoning::Effort(Effort::Low));
    chat.stream = true;
    let expect = json!({
        "model": "gpt-5", "instructions": "s", "input": [{"type": "message", "role": "user", "content": "hi"}],
        "temperature": 1, "max_output_tokens": 100, "stream": true, "reasoning": {"effort": "low"}, "store": false,
        "include": ["reasoning.encrypted_content"],
    });
    assert_eq!(written(&chat), (expect, vec![]));
}

#[test]
fn models_that_do_not_reason_are_not_asked_for_their_reasoning() {
    for (model, asks) in
        [("gpt-4o", false), ("gpt-4.1-mini", false), ("gpt-5", true), ("o3", true), ("mine", true)]
    {
        let chat =
            ChatRequest { model: model.to_owned(), show_reasoning: Some(true), ..request(vec![user("x")]) };
        let (body, _) = written(&chat);
        assert_eq!((body.get("include").is_some(), body.get("reasoning").is_some()), (asks, asks), "{model}");
    }
}

#[test]
fn a_tool_loop_is_written_with_its_pictures() {
    let call = Part::ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        is_custom: false,
        signature: Some(Signature::new(Issuer::Google, "sig")),
    };
    let picture = Part::Image {
        source: MediaSource::Base64 { media_type: "image/png".to_owned(), data: "iVBO".to_owned() },
        detail: None,
        cache_control: None,
    };
    let result = Part::ToolResult {
        call_id: "c".to_owned(),
        content: vec![Part::text("t"), picture],
        is_error: true,
        cache_control: Some(CacheControl { ttl: None }),
    };
    let (items, lost) = items(vec![
        user("go"),
        message(Role::Assistant, vec![Part::text("look"), call]),
        message(Role::Tool, vec![result]),
    ]);
    let expect = json!([
        {"type": "message", "role": "user", "content": "go"},
        {"type": "message", "role": "assistant", "content": "look"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [
            {"type": "input_text", "text": "t"},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"}]},
    ]);
    assert_eq!(items, expect);
    assert_eq!(lost, ["reasoning", "is_error", "cache_control"]);
}

#[test]
fn a_tools_documents_of_words_are_its_answers_text() {
    let document = Part::File {
        source: MediaSource::Text("tall".to_owned()),
        filename: Some("Tower".to_owned()),
        context: None,
        citations: true,
        cache_control: None,
    };
    let call = Part::ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        is_custom: false,
        signature: None,
    };
    let result = Part::ToolResult {
        call_id: "c".to_owned(),
        content: vec![document],
        is_error: false,
        cache_control: None,
    };
    let (items, lost) =
        items(vec![user("go"), message(Role::Assistant, vec![call]), message(Role::Tool, vec![result])]);
    let answer = json!({"type": "function_call_output", "call_id": "c", "output": "Tower\ntall"});
    assert_eq!((&items[2], lost), (&answer, vec!["citations".to_owned()]));
}

#[test]
fn only_reasoning_that_openai_signed_goes_out_and_never_last() {
    let thought = |issuer, text: &str| Part::Reasoning {
        text: "because".to_owned(),
        signature: Some(Signature::new(issuer, text)),
    };
    let own = thought(Issuer::OpenAi, "rs_1.gAAA");
    let item = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
        "summary": [{"type": "summary_text", "text": "because"}]});
    let check = |parts: Vec<Part>, reasoning: Option<&Value>, is_lost: bool| {
        let (items, lost) = items(vec![message(Role::Assistant, parts)]);
        let found = items.as_array().unwrap().iter().find(|item| item["type"] == "reasoning");
        assert_eq!((found, !lost.is_empty()), (reasoning, is_lost), "{items}");
    };
    check(vec![own.clone(), Part::text("x")], Some(&item), false);
    check(vec![own.clone()], None, true);
    check(vec![Part::text("x"), own], None, true);
    check(vec![thought(Issuer::Anthropic, "EqQB"), Part::text("x")], None, true);
    check(vec![thought(Issuer::OpenAi, "rs_1."), Part::text("x")], None, true);
    check(vec![Part::Reasoning { text: "r".to_owned(), signature: None }, Part::text("x")], None, true);
    let redacted = Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "d") };
    check(vec![redacted, Part::text("x")], None, true);
}

#[test]
fn what_the_api_lacks_is_refused_or_named() {
    let mut chat = request(vec![user("x")]);
    chat.sampling = Sampling {
        stop: vec!["s".to_owned()],
        seed: Some(1),
        presence_penalty: Some(0.1),
        frequency_penalty: Some(0.1),
        n: Some(2),
        logit_bias: Some(serde_json::Map::new()),
        top_k: Some(3),
        ..Sampling::default()
    };
    chat.extra.insert("prediction".to_owned(), json!({}));
    chat.extra.insert("modalities".to_owned(), json!(["text", "audio"]));
    chat.extra.insert("verbosity".to_owned(), json!("low"));
    let names = [
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "n",
        "logit_bias",
        "top_k",
        "prediction",
        "modalities",
    ];
    let params: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let refused = encode_chat(&chat, &EncodeOptions::default());
    assert_eq!(refused, Err(EncodeError::Unsupported { params: params.clone() }));
    let drop = EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() };
    let outbound = encode_chat(&chat, &drop).unwrap();
    assert_eq!(outbound.lost.names().collect::<Vec<_>>(), names);
    let body: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert!(names.iter().all(|name| body.get(name).is_none()), "{body}");
    assert_eq!(body["text"], json!({"verbosity": "low"}));
    let allowed = EncodeOptions { allowed_params: params, ..EncodeOptions::default() };
    assert!(encode_chat(&chat, &allowed).unwrap().lost.is_empty(), "the operator adds them");
    chat.sampling = Sampling { n: Some(1), ..Sampling::default() };
    chat.extra.clear();
    assert!(
        encode_chat(&chat, &EncodeOptions::default()).unwrap().lost.is_empty(),
        "one answer is what there is"
    );
}

#[test]
fn a_limit_below_the_least_that_openai_takes_is_raised_and_said() {
    let mut chat = request(vec![user("x")]);
    chat.sampling.max_tokens = Some(5);
    let (body, lost) = written(&chat);
    assert_eq!((&body["max_output_tokens"], lost), (&json!(16), vec!["max_tokens".to_owned()]));
}

#[test]
fn functions_of_other_dialects_are_not_made_strict() {
    let mut chat = request(vec![user("x")]);
    chat.tools = vec![
        Tool { name: "f".to_owned(), ..Tool::default() },
        Tool { name: "g".to_owned(), strict: Some(true), parameters: Some(json!({})), ..Tool::default() },
    ];
    chat.tool_choice = Some(ToolChoice::Function("f".to_owned()));
    let (body, _) = written(&chat);
    let expect = json!([
        {"type": "function", "name": "f", "parameters": null, "strict": false},
        {"type": "function", "name": "g", "parameters": {}, "strict": true},
    ]);
    assert_eq!(body["tools"], expect);
    assert_eq!(body["tool_choice"], json!({"type": "function", "name": "f"}));
}

#[test]
fn every_makers_search_is_openais() {
    let check = |name: &str, value: Value, expect: Value| {
        let mut chat = request(vec![user("x")]);
        chat.extra.insert(name.to_owned(), value);
        assert_eq!(written(&chat).0["tools"], json!([expect]));
    };
    check("web_search_options", json!({}), json!({"type": "web_search"}));
    check(
        "web_search_options",
        json!({"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}}}),
        json!({"type": "web_search", "search_context_size": "low",
            "user_location": {"type": "approximate", "city": "Oslo"}}),
    );
    check(
        "tools",
        json!([{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.example"]}]),
        json!({"type": "web_search", "filters": {"allowed_domains": ["a.example"]}}),
    );
    let mut chat = request(vec![user("x")]);
    chat.extra.insert("tools".to_owned(), json!([{"type": "bash_20250124", "name": "bash"}]));
    let refused = encode_chat(&chat, &EncodeOptions::default());
    assert_eq!(refused, Err(EncodeError::Unsupported { params: vec!["tools".to_owned()] }));
}

#[test]
fn what_belongs_to_another_dialect_is_named_as_lost() {
    let native =
        |dialect| Part::Native(Native { dialect, value: json!({"type": "server_tool_use", "id": "s"}) });
    let mut chat = request(vec![message(Role::Assistant, vec![native(Dialect::Anthropic), Part::text("x")])]);
    chat.dialect = Dialect::Anthropic;
    chat.native.insert("container".to_owned(), json!("c"));
    let (body, lost) = written(&chat);
    assert_eq!(lost, ["server_tool_use", "container"]);
    assert!(body.get("container").is_none());
    chat.messages = vec![message(Role::Assistant, vec![native(Dialect::Responses), Part::text("x")])];
    assert_eq!(written(&chat).0["input"][0], json!({"type": "server_tool_use", "id": "s"}));
}

#[test]
fn a_part_without_a_form_is_refused_by_its_place() {
    let check = |message: Message, expect: &str| match encode_chat(
        &request(vec![user("x"), message]),
        &EncodeOptions::default(),
    ) {
        Err(EncodeError::Invalid { param, .. }) => assert_eq!(param, expect),
        other => panic!("{other:?}"),
    };
    let sound = Part::Audio {
        source: MediaSource::Url("https://x".to_owned()),
        format: "wav".to_owned(),
        transcript: None,
    };
    check(message(Role::User, vec![Part::text("a"), sound]), "messages[1].content[1]");
    check(message(Role::Tool, vec![Part::text("a")]), "messages[1].content[0]");
    let file = Part::File {
        source: MediaSource::FileId("f".to_owned()),
        filename: None,
        context: None,
        citations: false,
        cache_control: None,
    };
    check(message(Role::Assistant, vec![file]), "messages[1].content[0]");
}

#[test]
fn files_have_a_name() {
    let file =
        |source| Part::File { source, filename: None, context: None, citations: true, cache_control: None };
    let pdf = MediaSource::Base64 { media_type: "application/pdf".to_owned(), data: "JVBE".to_owned() };
    let (items, lost) =
        items(vec![message(Role::User, vec![file(pdf), file(MediaSource::Text("hé".to_owned()))])]);
    let expect = json!([
        {"type": "input_file", "file_data": "data:application/pdf;base64,JVBE", "filename": "document.pdf"},
        {"type": "input_file", "file_data": "data:text/plain;base64,aMOp", "filename": "document.txt"},
    ]);
    assert_eq!(items[0]["content"], expect);
    assert_eq!(lost, ["citations"]);
}
