//! Chat requests on the Gemini wire, byte for byte against `fixtures/gemini/*.json`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Citation, Effort, Issuer, MediaSource, Message, Native, Part, Reasoning,
    ResponseFormat, Role, Sampling, Signature, Tool, ToolChoice, ToolKind,
};
use tollgate_dialect::gemini::encode_chat;
use tollgate_dialect::wire::{Dialect, EncodeError, EncodeOptions, Outbound};

const PIXEL: &str = "iVBORw0KGgo=";

fn says(role: Role, text: &str) -> Message {
    has(role, vec![Part::text(text)])
}

fn has(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn asks(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { model: "gemini-2.5-flash".to_owned(), messages, ..ChatRequest::default() }
}

fn call(id: &str, name: &str, arguments: &str, signature: Option<&str>) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        is_custom: false,
        signature: signature.map(google),
    }
}

fn google(text: &str) -> Signature {
    Signature::new(Issuer::Google, text)
}

fn result(call_id: &str, content: Vec<Part>, is_error: bool) -> Part {
    Part::ToolResult { call_id: call_id.to_owned(), content, is_error, cache_control: None }
}

fn image(source: MediaSource) -> Part {
    Part::Image { source, detail: Some("high".to_owned()), cache_control: None }
}

fn bytes(media_type: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.to_owned(), data: PIXEL.to_owned() }
}

fn weather_tool() -> Tool {
    Tool {
        name: "get_weather".to_owned(),
        description: Some("Weather of a city".to_owned()),
        parameters: Some(json!({
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city"},
                "unit": {"type": "string", "enum": ["C", "F"]},
            },
            "required": ["city"],
            "additionalProperties": false,
        })),
        strict: Some(true),
        ..Tool::default()
    }
}

fn by_level() -> EncodeOptions {
    EncodeOptions { reasoning_by_level: true, ..EncodeOptions::default() }
}

fn dropping() -> EncodeOptions {
    EncodeOptions { drop_unsupported: true, ..EncodeOptions::default() }
}

fn encoded(request: &ChatRequest, options: &EncodeOptions) -> Outbound {
    encode_chat(request, options).unwrap()
}

fn body(request: &ChatRequest, options: &EncodeOptions) -> Value {
    serde_json::from_slice(&encoded(request, options).body).unwrap()
}

/// Holds a request to its fixture, member order included. `TOLLGATE_BLESS=1` rewrites the fixture.
fn check(name: &str, request: &ChatRequest, options: &EncodeOptions) {
    let path = format!("{}/tests/fixtures/gemini/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let written = serde_json::to_string_pretty(&body(request, options)).unwrap() + "\n";
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    assert_eq!(written, std::fs::read_to_string(&path).unwrap(), "{name}");
}

#[test]
fn a_plain_question_is_one_user_content() {
    let request = asks(vec![says(Role::User, "Hello")]);
    let out = encoded(&request, &EncodeOptions::default());
    assert_eq!(out.path, "/models/gemini-2.5-flash:generateContent");
    assert_eq!(out.headers, []);
    assert_eq!(out.body, br#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#);
}

#[test]
fn a_stream_is_asked_for_by_the_path_alone() {
    let plain = asks(vec![says(Role::User, "Hello")]);
    let streamed = ChatRequest { stream: true, include_usage: true, ..plain.clone() };
    let out = encoded(&streamed, &EncodeOptions::default());
    assert_eq!(out.path, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(out.body, encoded(&plain, &EncodeOptions::default()).body);
}

#[test]
fn all_system_and_developer_messages_are_the_system_instruction() {
    let request = asks(vec![
        says(Role::System, "Be brief."),
        says(Role::User, "One"),
        says(Role::User, "Two"),
        says(Role::Assistant, "Three"),
        says(Role::Developer, "Count."),
        says(Role::User, "Four"),
    ]);
    check("turns", &request, &EncodeOptions::default());
}

#[test]
fn a_conversation_that_the_model_opens_gets_a_blank_word_of_the_user() {
    check("model_first", &asks(vec![says(Role::Assistant, "Yes?")]), &EncodeOptions::default());
    check("system_only", &asks(vec![says(Role::System, "Speak.")]), &EncodeOptions::default());
}

#[test]
fn empty_texts_are_left_out_where_something_else_is_said() {
    let request = asks(vec![
        says(Role::User, ""),
        says(Role::Assistant, ""),
        has(Role::User, vec![Part::text(""), Part::text("So?")]),
        has(Role::Assistant, vec![Part::Refusal("I would rather not.".to_owned())]),
    ]);
    let parts = json!([
        {"role": "user", "parts": [{"text": " "}, {"text": "So?"}]},
        {"role": "model", "parts": [{"text": "I would rather not."}]},
    ]);
    assert_eq!(body(&request, &EncodeOptions::default())["contents"], parts);
}

#[test]
fn media_go_inline_or_by_address() {
    let url = |url: &str| MediaSource::Url(url.to_owned());
    let file = |source, filename: Option<&str>| Part::File {
        source,
        filename: filename.map(str::to_owned),
        context: None,
        citations: false,
        cache_control: None,
    };
    let parts = vec![
        Part::text("What is this?"),
        image(bytes("image/png")),
        image(url("https://example.com/a/Photo.JPG?size=1.png#top")),
        image(url("https://example.com/picture")),
        image(url("gs://bucket/cat.webp")),
        Part::Audio { source: bytes("audio/mpeg"), format: "mp3".to_owned(), transcript: None },
        Part::Audio { source: url("https://example.com/a.wav"), format: "wav".to_owned(), transcript: None },
        file(bytes("application/pdf"), Some("report.pdf")),
        file(bytes(""), Some("table.csv")),
        file(MediaSource::FileId("files/abc-123".to_owned()), Some("film.mp4")),
        file(
            MediaSource::FileId("https://generativelanguage.googleapis.com/v1beta/files/x".to_owned()),
            None,
        ),
    ];
    check("media", &asks(vec![has(Role::User, parts)]), &EncodeOptions::default());
}

fn tool_turns() -> Vec<Message> {
    vec![
        says(Role::User, "Weather in Rome and Oslo?"),
        has(
            Role::Assistant,
            vec![
                Part::Reasoning { text: "Two calls.".to_owned(), signature: None },
                call("call_1", "get_weather", r#"{"city": "Rome", "unit": "C"}"#, Some("c2lnbmVk")),
                call("call_2", "get_weather", r#"{"city": "Oslo"}"#, None),
                call("call_3", "get_time", "", None),
            ],
        ),
        has(Role::Tool, vec![result("call_1", vec![Part::text(r#"{"degrees": 31}"#)], false)]),
        has(Role::Tool, vec![result("call_2", vec![Part::text("minus "), Part::text("four")], false)]),
        has(Role::Tool, vec![result("call_3", vec![Part::text("[12, 30]")], true)]),
        says(Role::User, "And tomorrow?"),
    ]
}

#[test]
fn calls_and_their_results_go_by_name_and_id() {
    let request = ChatRequest {
        tools: vec![weather_tool(), Tool { name: "get_time".to_owned(), parameters: None, ..weather_tool() }],
        tool_choice: Some(ToolChoice::Auto),
        ..asks(tool_turns())
    };
    check("tools", &request, &EncodeOptions::default());
}

#[test]
fn the_first_call_of_a_step_has_a_signature_at_a_model_that_demands_one() {
    let mut turns = tool_turns();
    turns.push(has(
        Role::Assistant,
        vec![
            call("toolu_9", "get_weather", "{}", Some("not base64!")),
            call("toolu_10", "get_weather", "{}", None),
        ],
    ));
    check("tools_by_level", &asks(turns), &by_level());
}

#[test]
fn a_picture_in_a_result_stands_beside_it_or_in_it() {
    let turns = vec![
        has(Role::Assistant, vec![call("c1", "draw", "{}", None)]),
        has(
            Role::User,
            vec![
                Part::text("Look."),
                result("c1", vec![Part::text("done"), image(bytes("image/png"))], false),
            ],
        ),
    ];
    check("result_media", &asks(turns.clone()), &EncodeOptions::default());
    check("result_media_by_level", &asks(turns), &by_level());
}

#[test]
fn reasoning_goes_back_as_thoughts_with_their_signatures() {
    let turns = vec![
        says(Role::User, "Why?"),
        has(
            Role::Assistant,
            vec![
                Part::Reasoning { text: "Hm.".to_owned(), signature: Some(google("YWJj")) },
                Part::Reasoning { text: String::new(), signature: Some(google("ZGVm")) },
                Part::Reasoning { text: String::new(), signature: Some(google("foreign signature")) },
                Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "opaque") },
                Part::text("Because."),
            ],
        ),
    ];
    let parts = json!([
        {"text": "Hm.", "thought": true, "thoughtSignature": "YWJj"},
        {"text": "", "thoughtSignature": "ZGVm"},
        {"text": "Because."},
    ]);
    assert_eq!(body(&asks(turns), &EncodeOptions::default())["contents"][1]["parts"], parts);
}

#[test]
fn only_strict_base64_counts_as_a_signature() {
    let table = [
        ("YWJj", true),
        ("YWI=", true),
        ("YWI", true),
        ("YQ==", true),
        ("a-_b", true),
        ("a+/b", true),
        ("skip_thought_signature_validator", true),
        ("YWJ", false),
        ("YWJjZ", false),
        ("YWJj=", false),
        ("a+_b", false),
        ("Y===", false),
        ("====", false),
        ("", false),
    ];
    for (signature, is_sent) in table {
        let turn = has(Role::Assistant, vec![call("c", "f", "{}", Some(signature))]);
        let body = body(&asks(vec![says(Role::User, "x"), turn]), &EncodeOptions::default());
        let sent = body["contents"][1]["parts"][0].get("thoughtSignature").is_some();
        assert_eq!(sent, is_sent, "{signature}");
    }
}

#[test]
fn every_sampling_parameter_has_its_place() {
    let request = ChatRequest {
        sampling: Sampling {
            temperature: Some(0.7),
            top_p: Some(0.95),
            top_k: Some(40),
            max_tokens: Some(256),
            stop: vec!["END".to_owned(), "\n\n".to_owned()],
            seed: Some(42),
            presence_penalty: Some(0.5),
            frequency_penalty: Some(-0.5),
            n: Some(2),
            logprobs: Some(true),
            top_logprobs: Some(3),
            logit_bias: None,
        },
        response_format: Some(ResponseFormat::JsonSchema {
            name: "answer".to_owned(),
            description: None,
            schema: json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {"steps": {"type": "array", "items": {"$ref": "#/definitions/step"}}},
                "required": ["steps"],
                "additionalProperties": false,
                "definitions": {"step": {"type": "string"}},
            }),
            strict: Some(true),
        }),
        reasoning: Some(Reasoning::Effort(Effort::Medium)),
        user: Some("someone".to_owned()),
        ..asks(vec![says(Role::User, "Plan.")])
    };
    check("sampling", &request, &EncodeOptions::default());
}

#[test]
fn what_has_no_meaning_here_is_named_with_its_place() {
    let table = [
        (
            vec![has(Role::Tool, vec![result("gone", vec![Part::text("x")], false)])],
            "messages[0].tool_call_id",
        ),
        (
            vec![
                says(Role::User, "x"),
                has(Role::Assistant, vec![call("a", "f", "{}", None), call("c", "f", "{oops", None)]),
            ],
            "messages[1].tool_calls[1].function.arguments",
        ),
        (
            vec![has(Role::Assistant, vec![call("c", "f", "[1]", None)])],
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            vec![has(Role::User, vec![Part::text("x"), image(MediaSource::FileId("file-abc".to_owned()))])],
            "messages[0].content[1]",
        ),
        (vec![has(Role::System, vec![image(bytes("image/png"))])], "messages[0].content[0]"),
        (vec![has(Role::User, vec![call("c", "f", "{}", None)])], "messages[0].content[0]"),
        (vec![has(Role::Assistant, vec![result("c", Vec::new(), false)])], "messages[0].content[0]"),
    ];
    for (messages, place) in table {
        for options in [EncodeOptions::default(), dropping()] {
            let Err(EncodeError::Invalid { param, .. }) = encode_chat(&asks(messages.clone()), &options)
            else {
                panic!("{place} passed")
            };
            assert_eq!(param, place);
        }
    }
}

#[test]
fn a_result_without_its_call_goes_by_the_messages_own_name() {
    let message =
        Message { name: Some("lookup".to_owned()), ..has(Role::Tool, vec![result("", Vec::new(), false)]) };
    let expect = json!([{"functionResponse": {"name": "lookup", "response": {"result": ""}}}]);
    assert_eq!(body(&asks(vec![message]), &EncodeOptions::default())["contents"][0]["parts"], expect);
}

/// The parts of a model's turn as they go out, and what is lost of them.
fn check_turn(parts: Vec<Part>, expect: Value, lost: &[&str]) {
    let request = asks(vec![says(Role::User, "x"), has(Role::Assistant, parts)]);
    let out = encoded(&request, &EncodeOptions::default());
    let written: Value = serde_json::from_slice(&out.body).unwrap();
    assert_eq!(written["contents"][1]["parts"], expect);
    assert_eq!(out.lost.names().collect::<Vec<_>>(), lost);
}

fn thought(text: &str, signature: Option<Signature>) -> Part {
    Part::Reasoning { text: text.to_owned(), signature }
}

#[test]
fn a_signature_goes_back_onto_what_it_signed() {
    check_turn(
        vec![Part::text("a"), thought("", Some(google("QQ=="))), Part::text("b")],
        json!([{"text": "a", "thoughtSignature": "QQ=="}, {"text": "b"}]),
        &[],
    );
    check_turn(
        vec![image(bytes("image/png")), thought("", Some(google("QQ==")))],
        json!([{"inlineData": {"mimeType": "image/png", "data": PIXEL}, "thoughtSignature": "QQ=="}]),
        &["detail"],
    );
    check_turn(
        vec![thought("", Some(google("QQ=="))), Part::text("a")],
        json!([{"text": "", "thoughtSignature": "QQ=="}, {"text": "a"}]),
        &[],
    );
}

#[test]
fn anothers_signed_thoughts_are_left_out_and_told_to_be_lost() {
    let foreign = || Some(Signature::new(Issuer::Anthropic, "EqQB"));
    let kept = json!([{"text": "plain", "thought": true}, {"text": "a"}]);
    check_turn(
        vec![thought("Hm", foreign()), thought("plain", None), thought("", foreign()), Part::text("a")],
        kept,
        &["reasoning"],
    );
    let sealed = Part::RedactedReasoning { data: Signature::new(Issuer::OpenAi, "x") };
    check_turn(vec![sealed, Part::text("a")], json!([{"text": "a"}]), &["reasoning"]);
}

#[test]
fn native_parts_go_back_to_google_alone() {
    let native = |dialect, value: Value| Part::Native(Native { dialect, value });
    let code = json!({"executableCode": {"language": "PYTHON", "code": "1"}});
    check_turn(
        vec![
            native(Dialect::Gemini, code.clone()),
            native(Dialect::Anthropic, json!({"type": "server_tool_use"})),
            native(Dialect::Bedrock, json!({"searchResult": {}})),
        ],
        json!([code]),
        &["server_tool_use", "searchResult"],
    );
}

#[test]
fn a_sound_of_an_earlier_answer_is_its_words() {
    let sound = Part::Audio {
        source: MediaSource::FileId("audio_1".to_owned()),
        format: String::new(),
        transcript: Some("Hello".to_owned()),
    };
    check_turn(vec![sound], json!([{"text": "Hello"}]), &["audio"]);
}

#[test]
fn a_document_of_text_is_a_document() {
    let file = Part::File {
        source: MediaSource::Text("h\u{e9}".to_owned()),
        filename: Some("note.txt".to_owned()),
        context: Some("about".to_owned()),
        citations: true,
        cache_control: Some(CacheControl { ttl: None }),
    };
    let out = encoded(&asks(vec![has(Role::User, vec![file])]), &EncodeOptions::default());
    let written: Value = serde_json::from_slice(&out.body).unwrap();
    let expect = json!([{"inlineData": {"mimeType": "text/plain", "data": "aMOp"}}]);
    assert_eq!(written["contents"][0]["parts"], expect);
    let lost: Vec<&str> = out.lost.names().collect();
    assert_eq!(lost, ["context", "citations", "cache_control", "filename"]);
}

#[test]
fn annotations_without_a_place_are_told_to_be_lost() {
    let cited = Part::Text {
        text: "a".to_owned(),
        cache_control: Some(CacheControl { ttl: Some("1h".to_owned()) }),
        citations: vec![Citation::default()],
    };
    let mut messages = vec![has(Role::System, vec![cited])];
    messages.push(Message { name: Some("ann".to_owned()), ..says(Role::User, "x") });
    let strict = Tool { strict: Some(true), ..weather_tool() };
    let marked = Tool {
        name: "other".to_owned(),
        strict: None,
        cache_control: Some(CacheControl { ttl: None }),
        ..weather_tool()
    };
    let request = ChatRequest { tools: vec![strict, marked], ..asks(messages) };
    let lost = encoded(&request, &EncodeOptions::default()).lost;
    assert_eq!(lost.names().collect::<Vec<_>>(), ["citations", "cache_control", "name", "strict"]);
}

#[test]
fn a_custom_tool_is_a_function_of_one_text() {
    let tool = Tool { name: "patch".to_owned(), kind: ToolKind::Custom { format: None }, ..Tool::default() };
    let call = Part::ToolCall {
        id: "c".to_owned(),
        name: "patch".to_owned(),
        arguments: "*** Begin".to_owned(),
        is_custom: true,
        signature: None,
    };
    let messages = vec![says(Role::User, "x"), has(Role::Assistant, vec![call])];
    let body = body(&ChatRequest { tools: vec![tool], ..asks(messages) }, &EncodeOptions::default());
    let declared = &body["tools"][0]["functionDeclarations"][0];
    assert_eq!(declared["parameters"]["properties"]["input"]["type"], "STRING");
    let called = &body["contents"][1]["parts"][0]["functionCall"]["args"];
    assert_eq!(*called, json!({"input": "*** Begin"}));
}
