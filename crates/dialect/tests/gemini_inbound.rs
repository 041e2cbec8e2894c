//! What callers of `generateContent` ask, read into the conversation model. `fixtures/gemini/sdk_*.json` are bodies that
//! Google's own Python package sent.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use tollgate_dialect::conversation::{
    ChatRequest, Issuer, MediaSource, Message, Native, Part, Reasoning, ResponseFormat, Role, Signature,
    Tool, ToolChoice,
};
use tollgate_dialect::gemini::{decode_count_request, decode_request};
use tollgate_dialect::wire::Dialect;

fn read(body: Value) -> ChatRequest {
    decode_request(body.to_string().as_bytes()).unwrap()
}

/// A request with one word of the user and these members.
fn with(members: Value) -> ChatRequest {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}]});
    let members = members.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    read(body)
}

/// The messages of some contents.
fn check(contents: Value, expect: Vec<Message>) {
    assert_eq!(read(json!({"contents": contents})).messages, expect, "{contents}");
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/gemini/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn has(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn says(role: Role, text: &str) -> Message {
    has(role, vec![Part::text(text)])
}

fn google(text: &str) -> Signature {
    Signature::new(Issuer::Google, text)
}

fn thought(text: &str, signature: Option<&str>) -> Part {
    Part::Reasoning { text: text.to_owned(), signature: signature.map(google) }
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
    Part::ToolCall { id, name, arguments, is_custom: false, signature: None }
}

fn result(call_id: &str, text: &str, is_error: bool) -> Part {
    let content = if text.is_empty() { Vec::new() } else { vec![Part::text(text)] };
    Part::ToolResult { call_id: call_id.to_owned(), content, is_error, cache_control: None }
}

fn file(source: MediaSource) -> Part {
    Part::File { source, filename: None, context: None, citations: false, cache_control: None }
}

fn base64(media_type: &str, data: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

#[test]
fn everything_that_googles_package_sends_is_read() {
    let request = decode_request(&fixture("sdk_everything")).unwrap();
    assert_eq!(request.dialect, Dialect::Gemini);
    let Part::ToolCall { id, signature, .. } = &request.messages[2].parts[1] else { panic!("no call") };
    assert!(id.starts_with("call_"));
    assert_eq!(signature, &Some(google("-__-c2ln")));
    let image = base64("image/png", "iVBORw0KGgr7//4=");
    let expect = vec![
        says(Role::System, "Be brief."),
        has(
            Role::User,
            vec![
                Part::text("Look."),
                Part::Image { source: image, detail: None, cache_control: None },
                file(MediaSource::Url("gs://b/film.mp4".to_owned())),
            ],
        ),
        has(Role::Assistant, vec![thought("Hm", None), request.messages[2].parts[1].clone()]),
        has(Role::Tool, vec![result(id, "sunny", false)]),
        says(Role::Assistant, "Sun."),
        says(Role::User, "More"),
    ];
    assert_eq!(request.messages, expect);

    let sampling = &request.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (Some(0.5), Some(0.9), Some(40)));
    assert_eq!((sampling.n, sampling.max_tokens, sampling.seed), (Some(2), Some(100), Some(7)));
    assert_eq!((sampling.logprobs, sampling.top_logprobs), (Some(true), Some(3)));
    assert_eq!((sampling.presence_penalty, sampling.frequency_penalty), (Some(0.1), Some(0.2)));
    assert_eq!(sampling.stop, ["END"]);
    assert_eq!(request.reasoning, Some(Reasoning::Budget(1024)));
    assert_eq!(request.show_reasoning, Some(true));
    assert_eq!(request.tool_choice, Some(ToolChoice::Function("weather".to_owned())));
    let extra = json!({
        "web_search_options": {},
        "service_tier": "flex",
        "modalities": ["text"],
        "audio": {"voice": "Kore", "format": "pcm16"},
    });
    assert_eq!(Value::Object(request.extra.clone()), extra);
    let native = json!({
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "labels": {"team": "x"},
        "cachedContent": "cachedContents/1",
        "generationConfig.mediaResolution": "MEDIA_RESOLUTION_LOW",
    });
    assert_eq!(Value::Object(request.native), native);
    let Some(ResponseFormat::JsonSchema { name, schema, strict, .. }) = request.response_format else {
        panic!("no schema")
    };
    assert_eq!((name.as_str(), strict), ("response", None));
    let note = json!({"type": ["string", "null"], "title": "Note"});
    assert_eq!(schema["properties"]["note"], note);
    assert_eq!(schema["type"], "object");
}

#[test]
fn a_function_of_googles_package_is_a_tool_with_json_schema() {
    let request = decode_request(&fixture("sdk_function")).unwrap();
    let tool = Tool {
        name: "weather".to_owned(),
        description: Some("Weather of a city.\n\nArgs:\n    city: which".to_owned()),
        parameters: Some(json!({
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
            "required": ["city"],
        })),
        ..Tool::default()
    };
    assert_eq!(request.tools, [tool]);
    let response = json!({"weather": {"additionalProperties": true, "type": "object"}});
    assert_eq!(request.native["functionDeclarations.responseJsonSchema"], response);
}

#[test]
fn what_the_command_line_agent_sends_is_read() {
    let request = read(json!({
        "contents": [
            {"parts": [{"text": "q"}], "role": "user"},
            {"parts": [{"functionCall": {"id": "f_1_0", "args": {}, "name": "f"}, "thoughtSignature": "skip_thought_signature_validator"}], "role": "model"},
            {"parts": [{"functionResponse": {"name": "f", "response": {"output": "r\n"}, "id": "f_1_0"}}], "role": "user"},
        ],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
        },
        "safetySettings": [],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    }));
    assert_eq!(request.messages[1].parts, [call("f_1_0", "f", "{}")]);
    assert_eq!(request.messages[2].parts, [result("f_1_0", "r\n", false)]);
    let Some(ResponseFormat::JsonSchema { schema, .. }) = request.response_format else {
        panic!("no schema")
    };
    assert_eq!(schema, json!({"type": "object", "properties": {"a": {"type": "integer"}}}));
    assert_eq!(request.tool_choice, None);
    assert_eq!(request.native, Map::new());
}

#[test]
fn a_count_is_asked_of_contents_or_of_a_whole_request() {
    let messages = vec![says(Role::User, "Hi")];
    assert_eq!(decode_count_request(&fixture("sdk_count")).unwrap().messages, messages);
    let whole = json!({"generateContentRequest": {
        "model": "models/gemini-2.5-pro",
        "contents": [{"parts": [{"text": "Hi"}]}],
        "system_instruction": {"parts": [{"text": "S"}]},
    }});
    let request = decode_count_request(whole.to_string().as_bytes()).unwrap();
    assert_eq!(request.model, "gemini-2.5-pro");
    assert_eq!(request.messages, [says(Role::System, "S"), says(Role::User, "Hi")]);
    assert!(decode_count_request(br#"{"generate_content_request":{}}"#).is_err());
}

#[test]
fn one_thing_stands_for_a_list_and_roles_have_any_case() {
    let expect = vec![says(Role::User, "a")];
    for contents in [
        json!([{"role": "user", "parts": [{"text": "a"}]}]),
        json!({"role": "USER", "parts": {"text": "a"}}),
        json!([{"parts": [{"text": "a"}]}]),
        json!("a"),
    ] {
        check(contents, expect.clone());
    }
    for system in [
        json!("s"),
        json!({"parts": [{"text": "s"}]}),
        json!({"role": "system", "parts": {"text": "s"}}),
        json!([{"text": "s"}]),
        json!({"text": "s"}),
    ] {
        for name in ["systemInstruction", "system_instruction"] {
            assert_eq!(with(json!({name: system})).messages[0], says(Role::System, "s"), "{system}");
        }
    }
    assert_eq!(with(json!({"systemInstruction": {"parts": []}})).messages.len(), 1);
}

#[test]
fn results_find_their_calls_by_id_or_by_name_and_order() {
    let named = |name: &str, id: Option<&str>| json!({"functionCall": {"name": name, "id": id}});
    let answer = |name: &str, id: Option<&str>, text: &str| json!({"functionResponse": {"name": name, "id": id, "response": {"output": text}}});
    let request = read(json!({"contents": [
        {"role": "model", "parts": [named("f", None), named("g", None), named("f", None), named("f", Some("x"))]},
        {"role": "function", "parts": [
            answer("f", Some("x"), "fourth"),
            answer("g", None, "second"),
            answer("f", None, "first"),
            answer("f", Some("made by the client"), "third"),
        ]},
    ]}));
    let ids: Vec<&str> = request.messages[0].parts.iter().map(id_of).collect();
    let distinct: std::collections::HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), 4);
    let results = [(ids[3], "fourth"), (ids[1], "second"), (ids[0], "first"), (ids[2], "third")]
        .map(|(id, text)| result(id, text, false));
    assert_eq!(request.messages[1], has(Role::Tool, results.to_vec()));
}

fn id_of(part: &Part) -> &str {
    let Part::ToolCall { id, .. } = part else { panic!("no call") };
    id
}

#[test]
fn made_up_ids_stay_the_same_while_the_history_grows() {
    let call = json!({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]});
    let answer = json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]});
    let ids = |rounds: usize| -> Vec<String> {
        let contents: Vec<Value> = (0..rounds).flat_map(|_| [call.clone(), answer.clone()]).collect();
        let messages = read(json!({"contents": contents})).messages;
        messages.iter().step_by(2).map(|message| id_of(&message.parts[0]).to_owned()).collect()
    };
    let three = ids(3);
    assert_eq!(ids(2), three[..2]);
    assert!(three[0] != three[1] && three[1] != three[2]);
}

#[test]
fn a_result_without_a_call_keeps_its_name() {
    let request = read(json!({"contents": [
        {"role": "user", "parts": [{"text": "a"}, {"functionResponse": {"name": "f", "id": "i", "response": {"result": "r"}}}, {"text": "b"}]},
    ]}));
    let orphan = Message { name: Some("f".to_owned()), ..has(Role::Tool, vec![result("i", "r", false)]) };
    assert_eq!(request.messages, [says(Role::User, "a"), orphan, says(Role::User, "b")]);
}

#[test]
fn what_a_function_gave_is_its_text() {
    for (response, text, is_error) in [
        (json!({"result": "plain"}), "plain", false),
        (json!({"output": "plain"}), "plain", false),
        (json!({"result": [1, 2]}), "[1,2]", false),
        (json!({"error": "broken"}), "broken", true),
        (json!({"error": {"code": 1}}), r#"{"code":1}"#, true),
        (json!({"error": null, "result": 1}), r#"{"error":null,"result":1}"#, false),
        (json!({"degrees": 31}), r#"{"degrees":31}"#, false),
        (json!({"result": {"a": 1}}), r#"{"result":{"a":1}}"#, false),
        (json!({}), "", false),
    ] {
        let request = read(json!({"contents": [
            {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "c"}}]},
            {"parts": [{"functionResponse": {"name": "f", "id": "c", "response": response}}]},
        ]}));
        assert_eq!(request.messages[1].parts, [result("c", text, is_error)], "{response}");
    }
}

#[test]
fn pictures_that_a_function_gave_stand_in_its_result() {
    let request = read(json!({"contents": [
        {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "c"}}]},
        {"parts": [{"function_response": {
            "name": "f", "id": "c", "response": {"result": "see"}, "will_continue": true,
            "parts": [{"inline_data": {"mime_type": "image/png", "data": "QUJD", "display_name": "a.png"}}],
        }}]},
    ]}));
    let image = Part::Image { source: base64("image/png", "QUJD"), detail: None, cache_control: None };
    let content = vec![Part::text("see"), image];
    let expect = Part::ToolResult { call_id: "c".to_owned(), content, is_error: false, cache_control: None };
    assert_eq!(request.messages[1].parts, [expect]);
    assert_eq!(request.native["functionResponse.willContinue"], json!({"c": true}));
    assert_eq!(request.native["media.displayName"].as_object().unwrap().len(), 1);
}

#[test]
fn the_chunks_of_a_streamed_answer_are_one_message_again() {
    let model = |part: Value| json!({"role": "model", "parts": [part]});
    check(
        json!([
            {"role": "user", "parts": [{"text": "q"}]},
            model(json!({"text": "Hm", "thought": true})),
            model(json!({"text": "m.", "thought": true})),
            model(json!({"text": "", "thought": true, "thoughtSignature": "QQ=="})),
            model(json!({"text": "Hel"})),
            model(json!({"text": "lo"})),
            model(json!({"text": ""})),
            model(json!({"text": "", "thoughtSignature": "Qg=="})),
        ]),
        vec![
            says(Role::User, "q"),
            has(
                Role::Assistant,
                vec![thought("Hmm.", Some("QQ==")), Part::text("Hello"), thought("", Some("Qg=="))],
            ),
        ],
    );
    check(
        json!([model(json!({"text": "a"})), {"parts": [{"text": "b"}, {"text": "c"}]}, {"parts": [{"text": "d"}]}]),
        vec![
            says(Role::Assistant, "a"),
            has(Role::User, vec![Part::text("b"), Part::text("c")]),
            says(Role::User, "d"),
        ],
    );
}

#[test]
fn a_signature_stands_after_what_it_signs() {
    let model = |part: Value| json!([{"role": "model", "parts": [part]}]);
    let assistant = |parts: Vec<Part>| vec![has(Role::Assistant, parts)];
    check(
        model(json!({"text": "a", "thought_signature": "QQ=="})),
        assistant(vec![Part::text("a"), thought("", Some("QQ=="))]),
    );
    check(model(json!({"thoughtSignature": "QQ=="})), assistant(vec![thought("", Some("QQ=="))]));
    let mut signed = call("c", "f", r#"{"a":1}"#);
    if let Part::ToolCall { signature, .. } = &mut signed {
        *signature = Some(google("QQ=="));
    }
    check(
        model(
            json!({"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}, "thoughtSignature": "QQ=="}),
        ),
        assistant(vec![signed]),
    );
}

#[test]
fn media_are_pictures_sounds_or_documents() {
    let inline = |kind: &str, data: &str| json!({"inlineData": {"mimeType": kind, "data": data}});
    let audio = |source, format: &str| Part::Audio { source, format: format.to_owned(), transcript: None };
    let stored = "https://generativelanguage.googleapis.com/v1beta/files/x";
    check(
        json!([{"parts": [
            inline("image/webp", "-_8"),
            inline("audio/mpeg", "QUJD"),
            inline("audio/L16;rate=24000", "QUJD"),
            inline("application/pdf", "QUJD"),
            inline("video/mp4", "QUJD"),
            inline("text/plain", "aMOp"),
            inline("text/plain", "/////w=="),
            {"fileData": {"fileUri": stored, "mimeType": "audio/wav"}},
            {"fileData": {"fileUri": "https://example.com/a.png"}},
        ]}]),
        vec![has(
            Role::User,
            vec![
                Part::Image { source: base64("image/webp", "+/8="), detail: None, cache_control: None },
                audio(base64("audio/mpeg", "QUJD"), "mp3"),
                audio(base64("audio/L16;rate=24000", "QUJD"), "pcm16"),
                file(base64("application/pdf", "QUJD")),
                file(base64("video/mp4", "QUJD")),
                file(MediaSource::Text("hé".to_owned())),
                file(base64("text/plain", "/////w==")),
                audio(MediaSource::FileId(stored.to_owned()), "wav"),
                Part::Image {
                    source: MediaSource::Url("https://example.com/a.png".to_owned()),
                    detail: None,
                    cache_control: None,
                },
            ],
        )],
    );
}

#[test]
fn what_ran_at_google_is_native_and_so_is_what_is_newer() {
    let code = json!({"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "QQ=="});
    let newer = json!({"somethingNewer": {"a": 1}});
    let native = |value: &Value| Part::Native(Native { dialect: Dialect::Gemini, value: value.clone() });
    check(
        json!([{"role": "model", "parts": [code, newer]}]),
        vec![has(Role::Assistant, vec![native(&code), native(&newer)])],
    );
}
