//! Conversations, content and tools as Converse requests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::bedrock::{encode_chat, encode_count};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Citation, Issuer, MediaSource, Message, Native, Part, Role, Signature, Tool,
    ToolKind,
};
use tollgate_dialect::wire::{Dialect, EncodeError, EncodeOptions, Outbound};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-lite-v1:0";
const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";

fn say(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn user(text: &str) -> Message {
    say(Role::User, vec![Part::text(text)])
}

fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        is_custom: false,
        signature: None,
    }
}

fn result(id: &str, content: Vec<Part>) -> Part {
    Part::ToolResult { call_id: id.to_owned(), content, is_error: false, cache_control: None }
}

fn mark(ttl: Option<&str>) -> Option<CacheControl> {
    Some(CacheControl { ttl: ttl.map(str::to_owned) })
}

fn marked(text: &str, ttl: Option<&str>) -> Part {
    Part::Text { text: text.to_owned(), cache_control: mark(ttl), citations: Vec::new() }
}

fn base64(media_type: &str, data: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

fn file(source: MediaSource, name: Option<&str>) -> Part {
    Part::File {
        source,
        filename: name.map(str::to_owned),
        context: None,
        citations: false,
        cache_control: None,
    }
}

fn try_encode(model: &str, messages: Vec<Message>) -> Result<Outbound, EncodeError> {
    let request = ChatRequest { model: model.to_owned(), messages, ..ChatRequest::default() };
    encode_chat(&request, &EncodeOptions::default())
}

fn body(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.body).unwrap()
}

fn lost(outbound: &Outbound) -> Vec<&str> {
    outbound.lost.names().collect()
}

/// The messages that go out for a conversation, and what is lost of it.
fn check(model: &str, messages: Vec<Message>, expect: Value, expect_lost: &[&str]) {
    let outbound = try_encode(model, messages).unwrap();
    assert_eq!(body(&outbound)["messages"], expect);
    assert_eq!(lost(&outbound), expect_lost);
}

/// The content that goes out for one user's message to Claude.
fn check_content(parts: Vec<Part>, expect: Value) {
    check(CLAUDE, vec![say(Role::User, parts)], json!([{"role": "user", "content": expect}]), &[]);
}

fn check_invalid(model: &str, messages: Vec<Message>, place: &str) {
    match try_encode(model, messages) {
        Err(EncodeError::Invalid { param, .. }) => assert_eq!(param, place),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_model_and_the_stream_stand_in_the_path() {
    for (stream, action) in [(false, "converse"), (true, "converse-stream")] {
        let request = ChatRequest {
            model: CLAUDE.to_owned(),
            messages: vec![user("hi")],
            stream,
            ..ChatRequest::default()
        };
        let outbound = encode_chat(&request, &EncodeOptions::default()).unwrap();
        assert_eq!(outbound.path, format!("/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/{action}"));
        assert_eq!(outbound.reading.model, CLAUDE);
        assert!(outbound.headers.is_empty());
        assert_eq!(body(&outbound), json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}));
    }
}

#[test]
fn instructions_are_lifted_and_turns_alternate() {
    let messages = vec![
        say(Role::System, vec![Part::text("a")]),
        say(Role::Developer, vec![Part::text("b"), Part::text(" ")]),
        user("one"),
        user("two"),
        say(Role::Assistant, vec![Part::text("three")]),
        say(Role::Assistant, vec![Part::text(" ")]),
        say(Role::System, vec![Part::text("c")]),
        user("four"),
    ];
    let outbound = try_encode(CLAUDE, messages).unwrap();
    let sent = body(&outbound);
    assert_eq!(sent["system"], json!([{"text": "a"}, {"text": "b"}, {"text": "c"}]));
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": [{"text": "one"}, {"text": "two"}]},
            {"role": "assistant", "content": [{"text": "three"}]},
            {"role": "user", "content": [{"text": "four"}]},
        ])
    );
    assert_eq!(lost(&outbound), ["system_position"]);
}

#[test]
fn a_conversation_begins_with_a_user_and_does_not_end_in_white_space() {
    check(
        CLAUDE,
        vec![say(Role::Assistant, vec![Part::text("I begin \n")])],
        json!([
            {"role": "user", "content": [{"text": "."}]},
            {"role": "assistant", "content": [{"text": "I begin"}]},
        ]),
        &[],
    );
    check(
        CLAUDE,
        vec![say(Role::System, vec![Part::text("only")])],
        json!([{"role": "user", "content": [{"text": "."}]}]),
        &[],
    );
    check_invalid(CLAUDE, Vec::new(), "messages");
}

#[test]
fn results_stand_first_and_answer_the_calls_before_them() {
    check(
        CLAUDE,
        vec![
            user("go"),
            say(
                Role::Assistant,
                vec![Part::text("I look"), call("c/1", r#"{"a": [1.50, null]}"#), call("c2", "")],
            ),
            say(Role::Tool, vec![result("c2", vec![Part::text("two")])]),
            user("and?"),
            say(Role::Tool, vec![result("c/1", Vec::new())]),
        ],
        json!([
            {"role": "user", "content": [{"text": "go"}]},
            {"role": "assistant", "content": [
                {"text": "I look"},
                {"toolUse": {"toolUseId": "c_1", "name": "f", "input": {"a": [1.50, null]}}},
                {"toolUse": {"toolUseId": "c2", "name": "f", "input": {}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "c2", "content": [{"text": "two"}]}},
                {"toolResult": {"toolUseId": "c_1", "content": [{"text": ""}]}},
                {"text": "and?"},
            ]},
        ]),
        &[],
    );
}

#[test]
fn a_result_may_be_a_picture_or_a_failure() {
    let image = Part::Image { source: base64("image/jpg", "aGk="), detail: None, cache_control: None };
    let failed = Part::ToolResult {
        call_id: "c".to_owned(),
        content: vec![Part::text("no"), image],
        is_error: true,
        cache_control: None,
    };
    let messages = || {
        vec![user("go"), say(Role::Assistant, vec![call("c", "{}")]), say(Role::Tool, vec![failed.clone()])]
    };
    let sent = |model| {
        let outbound = try_encode(model, messages()).unwrap();
        let result = body(&outbound)["messages"][2]["content"][0]["toolResult"].clone();
        (result, outbound.lost.names().map(str::to_owned).collect::<Vec<_>>())
    };
    let content = json!([{"text": "no"}, {"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}]);
    for model in [CLAUDE, NOVA] {
        let (found, lost) = sent(model);
        assert_eq!(found, json!({"toolUseId": "c", "content": content, "status": "error"}));
        assert!(lost.is_empty());
    }
    assert_eq!(sent(LLAMA), (json!({"toolUseId": "c", "content": content}), vec!["is_error".to_owned()]));
}

#[test]
fn media_are_bytes_in_the_services_formats() {
    let image = |source| Part::Image { source, detail: None, cache_control: None };
    check_content(
        vec![image(base64("IMAGE/PNG; x=1", "aGk")), image(MediaSource::Url("s3://b/a.JPG".to_owned()))],
        json!([
            {"image": {"format": "png", "source": {"bytes": "aGk="}}},
            {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/a.JPG"}}}},
        ]),
    );
    check_content(
        vec![
            file(base64("image/webp", "aGk="), Some("a.webp")),
            file(base64("video/quicktime", "aGk="), None),
        ],
        json!([
            {"image": {"format": "webp", "source": {"bytes": "aGk="}}},
            {"video": {"format": "mov", "source": {"bytes": "aGk="}}},
        ]),
    );
    let sound =
        Part::Audio { source: base64("audio/wav", "aGk="), format: "wav".to_owned(), transcript: None };
    check(
        NOVA,
        vec![say(Role::User, vec![sound.clone()])],
        json!([{"role": "user", "content": [{"audio": {"format": "wav", "source": {"bytes": "aGk="}}}]}]),
        &[],
    );
    check_invalid(CLAUDE, vec![say(Role::User, vec![sound])], "messages[0].content[0].input_audio");
}

#[test]
fn documents_have_names_and_a_text_beside_them() {
    let pdf = || file(base64("application/pdf", "aGk="), Some("a_b.pdf"));
    check_content(
        vec![pdf(), pdf(), file(MediaSource::Text("words".to_owned()), None)],
        json!([
            {"text": "."},
            {"document": {"format": "pdf", "name": "a-b", "source": {"bytes": "aGk="}}},
            {"document": {"format": "pdf", "name": "a-b (2)", "source": {"bytes": "aGk="}}},
            {"document": {"format": "txt", "name": "document", "source": {"text": "words"}}},
        ]),
    );
    let cited = Part::File {
        source: base64("application/json", "e30="),
        filename: Some("data.json".to_owned()),
        context: Some("about".to_owned()),
        citations: true,
        cache_control: mark(None),
    };
    check_content(
        vec![Part::text("read"), cited],
        json!([
            {"text": "read"},
            {"document": {
                "format": "txt", "name": "data-json", "source": {"bytes": "e30="}, "context": "about",
                "citations": {"enabled": true},
            }},
            {"cachePoint": {"type": "default"}},
        ]),
    );
}

#[test]
fn what_the_gateway_would_have_to_fetch_is_refused() {
    let image =
        |source| vec![say(Role::User, vec![Part::Image { source, detail: None, cache_control: None }])];
    let place = "messages[0].content[0].image_url";
    check_invalid(CLAUDE, image(MediaSource::Url("https://example.org/a.png".to_owned())), place);
    check_invalid(CLAUDE, image(MediaSource::Url("s3://bucket/noextension".to_owned())), place);
    check_invalid(CLAUDE, image(MediaSource::FileId("file_1".to_owned())), place);
    check_invalid(CLAUDE, image(base64("image/bmp", "aGk=")), place);
    check_invalid(CLAUDE, image(base64("image/png", "!")), place);
    check_invalid(CLAUDE, image(base64("image/png", "")), place);
    let document = |source| vec![say(Role::User, vec![file(source, Some("a"))])];
    let place = "messages[0].content[0].file";
    check_invalid(CLAUDE, document(MediaSource::Url("https://example.org/a.pdf".to_owned())), place);
    check_invalid(CLAUDE, document(base64("application/zip", "aGk=")), place);
    check_invalid(CLAUDE, document(MediaSource::Text(" ".to_owned())), place);
}

#[test]
fn cache_marks_become_points_where_the_model_has_them() {
    let nested = Part::ToolResult {
        call_id: "c".to_owned(),
        content: vec![marked("r", Some("1h"))],
        is_error: false,
        cache_control: None,
    };
    let request = |model: &str| ChatRequest {
        model: model.to_owned(),
        messages: vec![
            say(Role::System, vec![marked("s", Some("1h"))]),
            user("go"),
            say(Role::Assistant, vec![call("c", "{}")]),
            say(Role::Tool, vec![nested.clone()]),
            say(Role::User, vec![marked("q", None), marked(" ", None)]),
        ],
        tools: vec![Tool { name: "f".to_owned(), cache_control: mark(Some("5m")), ..Tool::default() }],
        ..ChatRequest::default()
    };
    let sent = |model| {
        let outbound = encode_chat(&request(model), &EncodeOptions::default()).unwrap();
        let body = body(&outbound);
        let points = |value: &Value| -> Vec<Value> {
            value.as_array().unwrap().iter().filter_map(|block| block.get("cachePoint").cloned()).collect()
        };
        let messages: Vec<_> =
            body["messages"].as_array().unwrap().iter().map(|turn| points(&turn["content"])).collect();
        let lost: Vec<String> = outbound.lost.names().map(str::to_owned).collect();
        (points(&body["toolConfig"]["tools"]), points(&body["system"]), messages, lost)
    };
    let point = |ttl: &str| json!({"type": "default", "ttl": ttl});
    let plain = || json!({"type": "default"});
    assert_eq!(
        sent(CLAUDE),
        (vec![point("5m")], vec![point("1h")], vec![vec![], vec![], vec![point("1h"), plain()]], vec![])
    );
    assert_eq!(
        sent(NOVA),
        (
            vec![],
            vec![plain()],
            vec![vec![], vec![], vec![plain(), plain()]],
            vec!["cache_control.ttl".to_owned(), "cache_control".to_owned()]
        )
    );
    assert_eq!(sent(LLAMA), (vec![], vec![], vec![vec![], vec![], vec![]], vec!["cache_control".to_owned()]));
    check_invalid(
        CLAUDE,
        vec![say(Role::User, vec![marked("x", Some("2h"))])],
        "messages[0].content[0].cache_control.ttl",
    );
}

#[test]
fn only_the_makers_own_reasoning_goes_back() {
    let reasoning =
        |issuer| Part::Reasoning { text: "so".to_owned(), signature: Some(Signature::new(issuer, "EqQB")) };
    let redacted = |issuer, text: &str| Part::RedactedReasoning { data: Signature::new(issuer, text) };
    let answer = |parts: Vec<Part>| {
        let mut said = parts;
        said.push(Part::text("hm"));
        vec![user("go"), say(Role::Assistant, said), user("on")]
    };
    let text = json!({"reasoningContent": {"reasoningText": {"text": "so", "signature": "EqQB"}}});
    let hidden = json!({"reasoningContent": {"redactedContent": "EqQB"}});
    let check = |model: &str, parts: Vec<Part>, expect: &[&Value], expect_lost: &[&str]| {
        let outbound = try_encode(model, answer(parts)).unwrap();
        let said = body(&outbound)["messages"][1]["content"].as_array().unwrap().clone();
        assert_eq!(said[..said.len() - 1].iter().collect::<Vec<_>>(), expect, "{model}");
        assert_eq!(lost(&outbound), expect_lost, "{model}");
    };
    let both = |issuer| vec![reasoning(issuer), redacted(issuer, "EqQB")];
    check(CLAUDE, both(Issuer::Anthropic), &[&text, &hidden], &[]);
    check(NOVA, both(Issuer::Amazon), &[&text, &hidden], &[]);
    for issuer in [Issuer::Amazon, Issuer::Google, Issuer::OpenAi] {
        check(CLAUDE, both(issuer), &[], &["reasoning"]);
    }
    check(NOVA, both(Issuer::Anthropic), &[], &["reasoning"]);
    let unsigned = Part::Reasoning { text: "so".to_owned(), signature: None };
    check(CLAUDE, vec![unsigned], &[], &["reasoning"]);
    check(
        CLAUDE,
        vec![redacted(Issuer::Anthropic, "EqQ")],
        &[&json!({"reasoningContent": {"redactedContent": "EqQ="}})],
        &[],
    );
    check(CLAUDE, vec![redacted(Issuer::Anthropic, "no base64!")], &[], &["reasoning"]);
}

#[test]
fn only_bedrocks_own_citations_go_back() {
    let own = json!({"title": "T", "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}});
    let native = Some(Native { dialect: Dialect::Bedrock, value: own.clone() });
    let cited = |citations| Part::Text { text: "so".to_owned(), cache_control: None, citations };
    let answer = |part| vec![user("go"), say(Role::Assistant, vec![part]), user("on")];
    let said = |block: Value| {
        json!([
            {"role": "user", "content": [{"text": "go"}]},
            {"role": "assistant", "content": [block]},
            {"role": "user", "content": [{"text": "on"}]},
        ])
    };
    check(
        CLAUDE,
        answer(cited(vec![Citation { native, ..Citation::default() }])),
        said(json!({"citationsContent": {"content": [{"text": "so"}], "citations": [own]}})),
        &[],
    );
    check(CLAUDE, answer(cited(vec![Citation::default()])), said(json!({"text": "so"})), &["citations"]);
}

#[test]
fn custom_tools_are_functions_of_one_text() {
    let custom = Tool {
        name: "patch".to_owned(),
        description: Some("Edits.".to_owned()),
        kind: ToolKind::Custom { format: None },
        ..Tool::default()
    };
    let used = Part::ToolCall {
        id: "c".to_owned(),
        name: "patch".to_owned(),
        arguments: "free \"text\"".to_owned(),
        is_custom: true,
        signature: None,
    };
    let request = ChatRequest {
        model: CLAUDE.to_owned(),
        messages: vec![
            user("go"),
            say(Role::Assistant, vec![used]),
            say(Role::Tool, vec![result("c", vec![Part::text("done")])]),
        ],
        tools: vec![custom],
        ..ChatRequest::default()
    };
    let sent = body(&encode_chat(&request, &EncodeOptions::default()).unwrap());
    let spec = &sent["toolConfig"]["tools"][0]["toolSpec"];
    assert_eq!(spec["inputSchema"]["json"]["required"], json!(["input"]));
    assert_eq!(sent["messages"][1]["content"][0]["toolUse"]["input"], json!({"input": "free \"text\""}));
}

#[test]
fn what_another_dialect_alone_can_say_is_named() {
    let request = ChatRequest {
        model: CLAUDE.to_owned(),
        messages: vec![Message {
            role: Role::User,
            parts: vec![
                Part::text("hi"),
                Part::Native(Native {
                    dialect: Dialect::Anthropic,
                    value: json!({"type": "container_upload"}),
                }),
            ],
            name: Some("ann".to_owned()),
        }],
        dialect: Dialect::Gemini,
        native: json!({"safetySettings": []}).as_object().unwrap().clone(),
        ..ChatRequest::default()
    };
    let outbound = encode_chat(&request, &EncodeOptions::default()).unwrap();
    assert_eq!(lost(&outbound), ["safetySettings", "name", "container_upload"]);
}

#[test]
fn what_cannot_be_written_is_named_with_its_place() {
    let ask = |arguments: &str| say(Role::Assistant, vec![call("c", arguments)]);
    let answer = || say(Role::Tool, vec![result("c", vec![Part::text("r")])]);
    check_invalid(CLAUDE, vec![user("a"), ask("{}"), user("b")], "messages[1].tool_calls");
    check_invalid(CLAUDE, vec![user("a"), answer()], "messages[1].tool_call_id");
    check_invalid(CLAUDE, vec![user("a"), ask("{}"), answer(), answer()], "messages[3].tool_call_id");
    let place = "messages[1].content[0].function.arguments";
    check_invalid(CLAUDE, vec![user("a"), ask("[1]"), answer()], place);
    check_invalid(CLAUDE, vec![user("a"), ask("{"), answer()], place);
    let image = Part::Image { source: base64("image/png", "aGk="), detail: None, cache_control: None };
    check_invalid(CLAUDE, vec![say(Role::System, vec![image.clone()])], "messages[0].content[0]");
    check_invalid(CLAUDE, vec![user("a"), say(Role::Assistant, vec![image])], "messages[1].content[0]");
    check_invalid(CLAUDE, vec![say(Role::Tool, vec![Part::text("x")])], "messages[0].content[0]");
    check_invalid(CLAUDE, vec![say(Role::User, vec![call("c", "{}")])], "messages[0].content[0]");
}

#[test]
fn a_request_to_be_counted_leaves_out_what_shapes_the_answer() {
    let mut request = ChatRequest {
        model: NOVA.to_owned(),
        messages: vec![say(Role::System, vec![Part::text("s")]), user("hi")],
        tools: vec![Tool { name: "f".to_owned(), ..Tool::default() }],
        ..ChatRequest::default()
    };
    request.sampling.max_tokens = Some(9);
    request.sampling.top_k = Some(3);
    let outbound = encode_count(&request, &EncodeOptions::default()).unwrap();
    assert_eq!(outbound.path, "/model/amazon.nova-lite-v1%3A0/count-tokens");
    let sent = body(&outbound);
    let names: Vec<&String> = sent["input"]["converse"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["messages", "system", "toolConfig", "additionalModelRequestFields"]);
}
