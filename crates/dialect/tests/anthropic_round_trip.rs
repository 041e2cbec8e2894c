//! What Anthropic's dialect writes, it reads back: requests, replies and streams.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use tollgate_dialect::anthropic::{
    Host, StreamDecoder, StreamEncoder, decode_count_request, decode_reply, decode_request, encode_chat,
    encode_chat_for, encode_count, encode_reply,
};
use tollgate_dialect::conversation::{
    CacheControl, ChatReply, ChatRequest, Choice, Issuer, MediaSource, Message, Native, Part, Reasoning,
    Role, Sampling, Signature, StopReason, StreamEvent, Tool, ToolChoice, ToolKind, Usage,
};
use tollgate_dialect::framing::Framing;
use tollgate_dialect::translate::Translator;
use tollgate_dialect::wire::{
    Dialect, EncodeOptions, EventDecoder, EventEncoder, Losses, Reading, ReplyFacts, Transducer,
};

/// A model that has everything.
fn newest() -> EncodeOptions {
    EncodeOptions { native_structured_output: true, reasoning_by_level: true, ..EncodeOptions::default() }
}

/// An Anthropic caller's body, read and written for Anthropic again.
fn there_and_back(body: &Value) -> Value {
    let request = decode_request(body.to_string().as_bytes()).unwrap();
    let outbound = encode_chat(&request, &newest()).unwrap();
    assert!(outbound.lost.is_empty(), "{:?}", outbound.lost);
    serde_json::from_slice(&outbound.body).unwrap()
}

fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/anthropic/{name}.json"));
    let body: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(there_and_back(&body), body);
}

#[test]
fn an_agents_request_comes_through_whole() {
    check("own_agent");
}

#[test]
fn what_only_anthropic_says_comes_through_whole() {
    check("own_everything");
}

#[test]
fn another_dialect_hears_what_it_cannot_say() {
    let body = json!({
        "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "container": "c",
        "tools": [{"name": "f", "input_schema": {}, "defer_loading": true}],
    });
    let mut request = decode_request(body.to_string().as_bytes()).unwrap();
    request.dialect = Dialect::Gemini;
    let outbound = encode_chat(&request, &newest()).unwrap();
    let names: Vec<&str> = outbound.lost.names().collect();
    assert_eq!(names, ["container", "tools.defer_loading"]);
    let body: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!((body.get("container"), body["tools"][0].get("defer_loading")), (None, None));
}

#[test]
fn instructions_within_the_conversation_are_lifted_for_others_and_noted() {
    let said = |role, text: &str| Message { role, parts: vec![Part::text(text)], name: None };
    let messages = vec![said(Role::System, "a"), said(Role::User, "b"), said(Role::Developer, "c")];
    let request = ChatRequest { model: "m".to_owned(), messages, ..ChatRequest::default() };
    let outbound = encode_chat(&request, &newest()).unwrap();
    let body: Value = serde_json::from_slice(&outbound.body).unwrap();
    assert_eq!(body["system"][1]["text"], "c");
    assert_eq!(outbound.lost.names().collect::<Vec<_>>(), ["system_position"]);
}

#[test]
fn instructions_wait_until_calls_are_answered() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "system", "content": "now"},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]}]});
    let roles: Vec<Value> = there_and_back(&body)["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|turn| turn["role"].clone())
        .collect();
    assert_eq!(roles, ["user", "assistant", "user", "system"]);
}

#[test]
fn hosts_have_their_own_form_of_the_body() {
    let request = ChatRequest {
        model: "claude-x".to_owned(),
        messages: vec![Message { role: Role::User, parts: vec![Part::text("hi")], name: None }],
        stream: true,
        extra: json!({"context_management": {"edits": []}}).as_object().unwrap().clone(),
        ..ChatRequest::default()
    };
    let check = |host, path: &str, headers: Value, members: Value| {
        let outbound = encode_chat_for(host, &request, &newest()).unwrap();
        let body: Value = serde_json::from_slice(&outbound.body).unwrap();
        let named = ["model", "stream", "anthropic_version", "anthropic_beta"];
        let found: serde_json::Map<String, Value> =
            named.into_iter().filter_map(|name| Some((name.to_owned(), body.get(name)?.clone()))).collect();
        assert_eq!((outbound.path.as_str(), Value::Object(found)), (path, members), "{host:?}");
        assert_eq!(json!(outbound.headers), headers, "{host:?}");
    };
    let beta = "context-management-2025-06-27";
    check(
        Host::Anthropic,
        "/v1/messages",
        json!([["anthropic-version", "2023-06-01"], ["anthropic-beta", beta]]),
        json!({"model": "claude-x", "stream": true}),
    );
    check(
        Host::Vertex,
        "",
        json!([["anthropic-beta", beta]]),
        json!({"stream": true, "anthropic_version": "vertex-2023-10-16"}),
    );
    check(
        Host::BedrockInvoke,
        "",
        json!([]),
        json!({"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": [beta]}),
    );
}

#[test]
fn counting_asks_for_the_prompt_alone() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "system": "s",
        "tools": [{"name": "f", "input_schema": {"type": "object"}}], "thinking": {"type": "adaptive"},
        "context_management": {"edits": []},
    });
    let mut request = decode_count_request(body.to_string().as_bytes()).unwrap();
    request.sampling = Sampling { temperature: Some(1.7), seed: Some(1), ..Sampling::default() };
    request.stream = true;
    request.user = Some("u".to_owned());
    request.extra.insert("verbosity".to_owned(), json!("low"));
    let outbound = encode_count(&request, &newest()).unwrap();
    assert_eq!(outbound.path, "/v1/messages/count_tokens");
    assert_eq!(serde_json::from_slice::<Value>(&outbound.body).unwrap(), body);
}

#[test]
fn custom_tools_are_functions_of_one_text() {
    let custom = Tool {
        name: "patch".to_owned(),
        description: Some("Edits.".to_owned()),
        kind: ToolKind::Custom { format: None },
        ..Tool::default()
    };
    let call = Part::ToolCall {
        id: "a".to_owned(),
        name: "patch".to_owned(),
        arguments: "*** Begin \"x\"".to_owned(),
        is_custom: true,
        signature: None,
    };
    let result = Part::ToolResult {
        call_id: "a".to_owned(),
        content: Vec::new(),
        is_error: false,
        cache_control: None,
    };
    let said = |role, part| Message { role, parts: vec![part], name: None };
    let messages =
        vec![said(Role::User, Part::text("go")), said(Role::Assistant, call), said(Role::Tool, result)];
    let request = ChatRequest { tools: vec![custom], messages, ..ChatRequest::default() };
    let body: Value = serde_json::from_slice(&encode_chat(&request, &newest()).unwrap().body).unwrap();
    assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"input": "*** Begin \"x\""}));
}

fn words() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\{}]{1,8}"
}

fn mark() -> impl Strategy<Value = Option<CacheControl>> {
    let ttl = prop::option::of(prop_oneof![Just("5m".to_owned()), Just("1h".to_owned())]);
    prop::option::of(ttl.prop_map(|ttl| CacheControl { ttl }))
}

fn said() -> impl Strategy<Value = Part> {
    (words(), mark()).prop_map(|(text, cache_control)| Part::Text {
        text,
        cache_control,
        citations: Vec::new(),
    })
}

fn source() -> impl Strategy<Value = MediaSource> {
    prop_oneof![
        words().prop_map(|path| MediaSource::Url(format!("https://{path}"))),
        words().prop_map(MediaSource::FileId),
    ]
}

fn shown() -> impl Strategy<Value = Part> {
    let data =
        |media_type: &str| MediaSource::Base64 { media_type: media_type.to_owned(), data: "aW1n".to_owned() };
    let picture = (prop_oneof![source(), Just(data("image/png"))], mark())
        .prop_map(|(source, cache_control)| Part::Image { source, detail: None, cache_control });
    let document = prop_oneof![source(), Just(data("application/pdf")), words().prop_map(MediaSource::Text)];
    let document = (document, prop::option::of(words()), prop::option::of(words()), any::<bool>(), mark());
    let document = document.prop_map(|(source, filename, context, citations, cache_control)| Part::File {
        source,
        filename,
        context,
        citations,
        cache_control,
    });
    prop_oneof![2 => said(), 1 => picture, 1 => document]
}

fn thought() -> impl Strategy<Value = Part> {
    prop_oneof![
        (words(), words()).prop_map(|(text, signature)| Part::Reasoning {
            text,
            signature: Some(Signature::new(Issuer::Anthropic, signature)),
        }),
        words().prop_map(|data| Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, data) }),
    ]
}

fn search() -> Part {
    let value = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}});
    Part::Native(Native { dialect: Dialect::Anthropic, value })
}

/// A round of the conversation: a question, an answer, maybe calls and their results.
#[derive(Debug, Clone)]
struct Round {
    asked: Vec<Part>,
    answered: Vec<Part>,
    results: Vec<(Vec<Part>, bool, Option<CacheControl>)>,
}

fn round() -> impl Strategy<Value = Round> {
    let answered = prop::collection::vec(prop_oneof![said(), thought(), Just(search())], 1..4);
    let result = (prop::collection::vec(shown(), 0..3), any::<bool>(), mark());
    (prop::collection::vec(shown(), 1..4), answered, prop::collection::vec(result, 0..3))
        .prop_map(|(asked, answered, results)| Round { asked, answered, results })
}

fn messages(rounds: Vec<Round>) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut message = |role, parts| messages.push(Message { role, parts, name: None });
    let mut next_id = 0;
    for round in rounds {
        message(Role::User, round.asked);
        let (mut answered, mut results) = (round.answered, Vec::new());
        for (content, is_error, cache_control) in round.results {
            next_id += 1;
            let id = format!("toolu_{next_id}");
            let arguments = format!("{{\"n\":{next_id}}}");
            let (name, signature) = ("f".to_owned(), None);
            answered.push(Part::ToolCall { id: id.clone(), name, arguments, is_custom: false, signature });
            results.push(Part::ToolResult { call_id: id, content, is_error, cache_control });
        }
        message(Role::Assistant, answered);
        if !results.is_empty() {
            message(Role::Tool, results);
        }
    }
    messages
}

fn request() -> impl Strategy<Value = ChatRequest> {
    let choice = prop::option::of(prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::Required),
        Just(ToolChoice::Function("f".to_owned()))
    ]);
    let thinking = prop::option::of(prop_oneof![Just(Reasoning::Disabled), Just(Reasoning::Adaptive)]);
    let system = prop::option::of(prop::collection::vec(said(), 1..3));
    (prop::collection::vec(round(), 1..4), system, choice, thinking, prop::option::of(0..100_u64)).prop_map(
        |(rounds, system, choice, thinking, top_k)| {
            let mut all = messages(rounds);
            if let Some(parts) = system {
                all.insert(0, Message { role: Role::System, parts, name: None });
            }
            let is_thinking = thinking == Some(Reasoning::Adaptive);
            ChatRequest {
                model: "m".to_owned(),
                messages: all,
                tools: vec![Tool {
                    name: "f".to_owned(),
                    parameters: Some(json!({"type": "object"})),
                    ..Tool::default()
                }],
                tool_choice: choice.filter(|choice| !is_thinking || *choice == ToolChoice::Auto),
                reasoning: thinking,
                sampling: Sampling {
                    max_tokens: Some(99),
                    top_k: top_k.filter(|_| !is_thinking),
                    ..Sampling::default()
                },
                dialect: Dialect::Anthropic,
                ..ChatRequest::default()
            }
        },
    )
}

fn answer() -> impl Strategy<Value = Vec<Part>> {
    let text = words().prop_map(Part::text);
    let foreign = (words(), words()).prop_map(|(text, signature)| Part::Reasoning {
        text,
        signature: Some(Signature::new(Issuer::OpenAi, signature)),
    });
    prop::collection::vec(prop_oneof![2 => text, 1 => thought(), 1 => foreign, 1 => Just(search())], 0..5)
}

fn facts() -> ReplyFacts {
    ReplyFacts { client_model: "m".to_owned(), fallback_id: "1".to_owned(), ..ReplyFacts::default() }
}

/// An answer as the events of a provider, each text in two pieces.
fn events(parts: &[Part]) -> Vec<StreamEvent> {
    let mut events = vec![StreamEvent::Start { id: "msg_1".to_owned(), model: "m".to_owned() }];
    for part in parts {
        match part {
            Part::Text { text, .. } => {
                let middle = text.char_indices().nth(1).map_or(text.len(), |(middle, _)| middle);
                for delta in [&text[..middle], &text[middle..]] {
                    events.push(StreamEvent::Text { choice: 0, delta: delta.to_owned() });
                }
            }
            Part::Reasoning { text, signature } => {
                events.push(StreamEvent::Reasoning { choice: 0, delta: text.clone() });
                let signature = signature.clone().unwrap();
                events.push(StreamEvent::ReasoningSignature { choice: 0, signature });
            }
            Part::RedactedReasoning { data } => {
                events.push(StreamEvent::RedactedReasoning { choice: 0, data: data.clone() });
            }
            Part::Native(native) => events.push(StreamEvent::Native { choice: 0, native: native.clone() }),
            other => panic!("{other:?}"),
        }
    }
    let stop = StopReason::Stop;
    events.push(StreamEvent::Finish { choice: 0, stop, stop_sequence: None });
    events
}

/// Text pieces joined, usage and the head left out.
fn joined(events: Vec<StreamEvent>) -> Vec<StreamEvent> {
    let mut joined: Vec<StreamEvent> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(StreamEvent::Text { delta, .. }), StreamEvent::Text { delta: more, .. }) => {
                delta.push_str(&more);
            }
            (_, StreamEvent::Text { delta, .. }) if delta.is_empty() => {}
            (_, StreamEvent::Usage(_)) => {}
            (_, event) => joined.push(event),
        }
    }
    joined
}

/// What the dialect's own decoder reads of what its encoder writes.
fn streamed(events: &[StreamEvent]) -> Vec<StreamEvent> {
    let mut encoder = StreamEncoder::new(facts());
    let mut bytes = Vec::new();
    encoder.encode(events, &mut bytes);
    encoder.finish(&mut bytes);
    let (mut framer, mut decoder) = (tollgate_dialect::sse::Framer::new(), StreamDecoder::default());
    let mut read = Vec::new();
    framer.push(Bytes::from(bytes));
    while let Some(frame) = framer.next_frame().unwrap() {
        decoder.read(&frame, &mut read).unwrap();
    }
    assert!(decoder.is_complete());
    read
}

proptest! {
    #[test]
    fn requests_read_back_the_same(request in request()) {
        let outbound = encode_chat(&request, &newest()).unwrap();
        prop_assert!(outbound.lost.is_empty());
        prop_assert_eq!(decode_request(&outbound.body).unwrap(), request);
    }

    #[test]
    fn replies_read_back_the_same(parts in answer(), input in 0..9_u64, cached in 0..9_u64, output in 0..9_u64) {
        let usage = Usage {
            input_tokens: input + cached + output,
            cached_tokens: cached,
            cache_write_1h_tokens: output,
            output_tokens: output,
            ..Usage::default()
        };
        let reply = ChatReply {
            id: "msg_1".to_owned(),
            model: "m".to_owned(),
            choices: vec![Choice { parts, stop: Some(StopReason::Length), ..Choice::default() }],
            usage,
            service_tier: Some("default".to_owned()),
            ..ChatReply::default()
        };
        let mut lost = Losses::default();
        let bytes = encode_reply(&reply, &facts(), &mut lost);
        prop_assert!(lost.is_empty());
        prop_assert_eq!(decode_reply(&bytes, &Reading::default()).unwrap(), reply);
    }

    #[test]
    fn streams_read_back_the_same(parts in answer()) {
        let events = events(&parts);
        prop_assert_eq!(joined(streamed(&events)), joined(events));
    }

    #[test]
    fn every_cutting_of_a_translated_stream_gives_the_same_bytes(parts in answer(), size in 1..40_usize) {
        let translated = |chunks: &[&[u8]]| {
            let mut translator =
                Translator::new(Framing::events(), StreamDecoder::default(), StreamEncoder::new(facts()));
            let mut out = Vec::new();
            for chunk in chunks {
                translator.push(Bytes::copy_from_slice(chunk), &mut out).unwrap();
            }
            translator.finish(&mut out).unwrap();
            out.concat()
        };
        let mut encoder = StreamEncoder::new(facts());
        let mut stream = Vec::new();
        encoder.encode(&events(&parts), &mut stream);
        encoder.finish(&mut stream);
        let cut: Vec<&[u8]> = stream.chunks(size).collect();
        prop_assert_eq!(translated(&cut), translated(&[&stream]));
    }
}
