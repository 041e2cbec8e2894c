//! OpenAI request bodies: what each member becomes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Effort, Issuer, MediaSource, Message, Part, Reasoning, ResponseFormat, Role,
    Signature, Tool, ToolChoice, ToolKind,
};
use tollgate_dialect::openai::decode_chat;

/// A body of these members on top of a model and one user message.
fn with(members: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn decode(body: &Value) -> ChatRequest {
    decode_chat(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// The one message of a body.
fn decode_message(message: Value) -> Message {
    let mut messages = decode(&json!({"model": "m", "messages": [message]})).messages;
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

fn marked(ttl: Option<&str>) -> Option<CacheControl> {
    Some(CacheControl { ttl: ttl.map(str::to_owned) })
}

fn base64(media_type: &str, data: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

#[test]
fn the_smallest_request_has_a_model_and_a_message() {
    let expect = ChatRequest {
        model: "m".to_owned(),
        messages: vec![Message { role: Role::User, parts: vec![Part::text("hi")], name: None }],
        ..ChatRequest::default()
    };
    assert_eq!(decode(&with(json!({}))), expect);
}

#[test]
fn numbers_that_shape_the_answer_are_read_as_they_are() {
    let request = decode(&with(json!({
        "temperature": 0.7, "top_p": 1, "top_k": 40, "max_completion_tokens": 100, "max_tokens": 50, "stop": "END",
        "seed": -7, "presence_penalty": -0.5, "frequency_penalty": 2, "n": 3, "logprobs": true, "top_logprobs": 5,
        "logit_bias": {"50256": -100}, "user": "u", "stream": true, "stream_options": {"include_usage": true},
        "parallel_tool_calls": false,
    })));
    let sampling = &request.sampling;
    assert_eq!(sampling.temperature, Some(0.7));
    assert_eq!(sampling.top_p, Some(1.0));
    assert_eq!(sampling.top_k, Some(40));
    assert_eq!(sampling.max_tokens, Some(100), "the newer name wins over the deprecated one");
    assert_eq!(sampling.stop, ["END"]);
    assert_eq!(sampling.seed, Some(-7));
    assert_eq!(sampling.presence_penalty, Some(-0.5));
    assert_eq!(sampling.frequency_penalty, Some(2.0));
    assert_eq!(sampling.n, Some(3));
    assert_eq!(sampling.logprobs, Some(true));
    assert_eq!(sampling.top_logprobs, Some(5));
    assert_eq!(sampling.logit_bias.as_ref().unwrap()["50256"], json!(-100));
    assert_eq!(request.user.as_deref(), Some("u"));
    assert!(request.stream && request.include_usage);
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert!(request.extra.is_empty());
    let request = decode(&with(json!({"max_tokens": 50, "stop": ["a", "b"]})));
    assert_eq!(request.sampling.max_tokens, Some(50));
    assert_eq!(request.sampling.stop, ["a", "b"]);
}

#[test]
fn null_is_the_same_as_absent() {
    let names = [
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "seed",
        "n",
        "logprobs",
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "response_format",
        "reasoning_effort",
        "thinking",
        "user",
        "stream",
        "stream_options",
        "parallel_tool_calls",
        "logit_bias",
        "metadata",
        "store",
        "unheard_of",
    ];
    for name in names {
        assert_eq!(decode(&with(json!({name: null}))), decode(&with(json!({}))), "{name}");
    }
}

#[test]
fn members_that_the_model_has_no_field_for_travel_in_extra() {
    let members = json!({
        "metadata": {"tags": ["a"]}, "service_tier": "flex", "store": true, "verbosity": "low",
        "modalities": ["text"], "prediction": {"type": "content", "content": "x"}, "unheard_of": [1, 2.5],
        "stream_options": {"include_usage": false, "include_obfuscation": false},
    });
    let request = decode(&with(members.clone()));
    let mut expect = members;
    expect["stream_options"] = json!({"include_obfuscation": false});
    assert_eq!(Value::Object(request.extra), expect);
    assert!(!request.include_usage);
}

#[test]
fn every_role_is_read() {
    let check = |message: Value, role: Role, parts: &[Part], name: Option<&str>| {
        let expect = Message { role, parts: parts.to_vec(), name: name.map(str::to_owned) };
        assert_eq!(decode_message(message), expect);
    };
    let text = [Part::text("x")];
    check(json!({"role": "system", "content": "x"}), Role::System, &text, None);
    check(
        json!({"role": "developer", "content": [{"type": "text", "text": "x"}]}),
        Role::Developer,
        &text,
        None,
    );
    check(json!({"role": "user", "content": "x", "name": "ann"}), Role::User, &text, Some("ann"));
    check(json!({"role": "user", "content": ""}), Role::User, &[Part::text("")], None);
    check(json!({"role": "assistant", "content": "x"}), Role::Assistant, &text, None);
    check(json!({"role": "assistant", "content": null}), Role::Assistant, &[], None);
    check(json!({"role": "assistant", "content": ""}), Role::Assistant, &[], None);
    check(json!({"role": "assistant"}), Role::Assistant, &[], None);
    let answer = |content: &[Part]| Part::ToolResult {
        call_id: "c1".to_owned(),
        content: content.to_vec(),
        is_error: false,
        cache_control: None,
    };
    check(json!({"role": "tool", "tool_call_id": "c1", "content": "x"}), Role::Tool, &[answer(&text)], None);
    check(json!({"role": "tool", "tool_call_id": "c1", "content": []}), Role::Tool, &[answer(&[])], None);
    let picture =
        Part::Image { source: MediaSource::Url("https://x/y".into()), detail: None, cache_control: None };
    check(
        json!({"role": "tool", "tool_call_id": "c1", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}),
        Role::Tool,
        &[answer(&[picture])],
        None,
    );
}

#[test]
fn every_part_of_a_users_message_is_read() {
    let check = |part: Value, expect: Part| {
        let message = decode_message(json!({"role": "user", "content": [part]}));
        assert_eq!(message.parts, [expect]);
    };
    let image = |source, detail: Option<&str>, cache_control| Part::Image {
        source,
        detail: detail.map(str::to_owned),
        cache_control,
    };
    let url = MediaSource::Url("https://x/y.png".to_owned());
    check(
        json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        Part::Text { text: "x".to_owned(), cache_control: marked(Some("1h")), citations: Vec::new() },
    );
    check(
        json!({"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}),
        image(url.clone(), Some("low"), None),
    );
    check(json!({"type": "image_url", "image_url": "https://x/y.png"}), image(url, None, None));
    check(
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"},
            "cache_control": {"type": "ephemeral"}}),
        image(base64("image/png", "iVBO"), None, marked(None)),
    );
    check(
        json!({"type": "image_url", "image_url": {"url": "data:image/png;charset=x;base64,iVBO"}}),
        image(base64("image/png", "iVBO"), None, None),
    );
    let sound = |media_type, format: &str| Part::Audio {
        source: base64(media_type, "UklG"),
        format: format.to_owned(),
        transcript: None,
    };
    check(
        json!({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}),
        sound("audio/wav", "wav"),
    );
    check(
        json!({"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}}),
        sound("audio/mpeg", "mp3"),
    );
    let file = |source, filename: Option<&str>| Part::File {
        source,
        filename: filename.map(str::to_owned),
        context: None,
        citations: false,
        cache_control: None,
    };
    let pdf = base64("application/pdf", "JVBE");
    check(
        json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}}),
        file(pdf.clone(), Some("a.pdf")),
    );
    check(
        json!({"type": "file", "file": {"file_data": "JVBE", "format": "application/pdf"}}),
        file(pdf, None),
    );
    check(
        json!({"type": "file", "file": {"file_id": "file-1"}}),
        file(MediaSource::FileId("file-1".into()), None),
    );
    check(
        json!({"type": "file", "file": {"file_id": "https://x/a.pdf"}}),
        file(MediaSource::Url("https://x/a.pdf".into()), None),
    );
}

#[test]
fn an_assistants_message_gives_reasoning_then_text_then_refusal_then_calls() {
    let message = decode_message(json!({
        "role": "assistant",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"},
                "provider_specific_fields": {"thought_signature": "sig"}},
            {"id": "c2", "function": {"name": "g", "arguments": ""}},
            {"id": "c3__thought__sig3", "type": "function", "index": 2, "function": {"name": "h", "arguments": "not json"}},
        ],
        "refusal": "no",
        "content": [{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "not that"}],
        "reasoning_content": "because",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "because", "signature": "s"},
            {"type": "redacted_thinking", "data": "opaque"},
        ],
        "annotations": [],
    }));
    let call = |id: &str, name: &str, arguments: &str, signature: Option<&str>| Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        is_custom: false,
        signature: signature.map(|text| Signature::new(Issuer::Google, text)),
    };
    let expect = [
        Part::Reasoning {
            text: "because".to_owned(),
            signature: Some(Signature::new(Issuer::Anthropic, "s")),
        },
        Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "opaque") },
        Part::text("x"),
        Part::Refusal("not that".to_owned()),
        Part::Refusal("no".to_owned()),
        call("c1", "f", "{\"a\":1}", Some("sig")),
        call("c2", "g", "", None),
        call("c3", "h", "not json", Some("sig3")),
    ];
    assert_eq!(message.parts, expect);
}

#[test]
fn reasoning_is_read_from_whichever_form_a_client_sends_back() {
    let check = |members: Value, expect: &[Part]| {
        let mut message = json!({"role": "assistant", "content": null});
        for (name, value) in members.as_object().unwrap() {
            message[name] = value.clone();
        }
        assert_eq!(decode_message(message).parts, expect, "{members}");
    };
    let thought = |text: &str, signature: Option<&str>| Part::Reasoning {
        text: text.to_owned(),
        signature: signature.map(|text| Signature::new(Issuer::Anthropic, text)),
    };
    let sealed = Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "d") };
    check(json!({"reasoning_content": "a"}), &[thought("a", None)]);
    check(json!({"reasoning": "a"}), &[thought("a", None)]);
    check(json!({"reasoning_content": "a", "reasoning": "a"}), &[thought("a", None)]);
    check(json!({"reasoning_content": "a", "thinking_blocks": null}), &[thought("a", None)]);
    check(json!({"reasoning_content": "", "thinking_blocks": []}), &[]);
    check(
        json!({"reasoning_content": "a", "thinking_blocks": [{"type": "redacted_thinking", "data": "d"}]}),
        &[thought("a", None), sealed.clone()],
    );
    check(
        json!({"thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": ""}]}),
        &[thought("a", None)],
    );
    check(
        json!({"content": [
            {"type": "thinking", "thinking": "a", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
        ]}),
        &[thought("a", Some("s")), sealed],
    );
}

#[test]
fn calls_of_the_older_form_get_ids_of_their_own() {
    let request = decode(&json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": null},
        ],
        "functions": [{"name": "f", "description": "d", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"},
    }));
    let ids: Vec<&str> = request
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| match part {
            Part::ToolCall { id, .. } => Some(id.as_str()),
            Part::ToolResult { call_id, .. } => Some(call_id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["call_function_1", "call_function_1", "call_function_3", "call_function_3"]);
    assert_eq!(request.messages[2].role, Role::Tool);
    assert_eq!(request.messages[2].name.as_deref(), Some("f"));
    assert_eq!(request.tools[0].name, "f");
    assert_eq!(request.tool_choice, Some(ToolChoice::Function("f".to_owned())));
    let choice = |value: Value| decode(&with(json!({"function_call": value}))).tool_choice;
    assert_eq!(choice(json!("none")), Some(ToolChoice::None));
    assert_eq!(choice(json!("auto")), Some(ToolChoice::Auto));
}

#[test]
fn a_cache_mark_is_read_wherever_litellm_lets_it_stand() {
    let mark = json!({"type": "ephemeral"});
    let message = decode_message(json!({"role": "system", "content": "x", "cache_control": mark}));
    assert_eq!(
        message.parts,
        [Part::Text { text: "x".to_owned(), cache_control: marked(None), citations: Vec::new() }]
    );
    let message = decode_message(json!({
        "role": "user", "cache_control": mark,
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    }));
    let text = |text: &str, cache_control| Part::Text {
        text: text.to_owned(),
        cache_control,
        citations: Vec::new(),
    };
    assert_eq!(message.parts, [text("a", None), text("b", marked(None))]);
    let message =
        decode_message(json!({"role": "tool", "tool_call_id": "c", "content": "x", "cache_control": mark}));
    assert!(matches!(&message.parts[..], [Part::ToolResult { cache_control: Some(_), .. }]));
    for tool in [
        json!({"type": "function", "function": {"name": "f"}, "cache_control": mark}),
        json!({"type": "function", "function": {"name": "f", "cache_control": mark}}),
    ] {
        assert_eq!(decode(&with(json!({"tools": [tool]}))).tools[0].cache_control, marked(None));
    }
}

#[test]
fn tools_and_the_choice_among_them_are_read() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "number", "maximum": 0.1}}});
    let request = decode(&with(json!({"tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": true}},
        {"type": "function", "function": {"name": "g"}},
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "custom", "custom": {"name": "shell",
            "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}},
        {"type": "custom", "name": "f", "input_schema": {}},
    ]})));
    let full = Tool {
        name: "f".to_owned(),
        description: Some("d".to_owned()),
        parameters: Some(schema),
        strict: Some(true),
        ..Tool::default()
    };
    let bare = Tool { name: "g".to_owned(), ..Tool::default() };
    let grammar = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}});
    let shell = Tool {
        name: "shell".to_owned(),
        kind: ToolKind::Custom { format: Some(grammar) },
        ..Tool::default()
    };
    assert_eq!(request.tools, [full, bare, shell]);
    let foreign = json!([
        {"type": "web_search_20250305", "name": "web_search"}, {"type": "custom", "name": "f", "input_schema": {}},
    ]);
    assert_eq!(request.extra["tools"], foreign, "tools in others' words stay as they came");
    let choice = |value: Value| decode(&with(json!({"tool_choice": value}))).tool_choice;
    assert_eq!(choice(json!("none")), Some(ToolChoice::None));
    assert_eq!(choice(json!("auto")), Some(ToolChoice::Auto));
    assert_eq!(choice(json!("required")), Some(ToolChoice::Required));
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(choice(named), Some(ToolChoice::Function("f".to_owned())));
    let custom = json!({"type": "custom", "custom": {"name": "shell"}});
    assert_eq!(choice(custom), Some(ToolChoice::Function("shell".to_owned())));
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}});
    let request = decode(&with(json!({"tool_choice": allowed})));
    assert_eq!((request.tool_choice, &request.extra["tool_choice"]), (None, &allowed));
}

#[test]
fn the_form_of_the_answer_is_read() {
    let format = |value: Value| decode(&with(json!({"response_format": value}))).response_format.unwrap();
    assert_eq!(format(json!({"type": "text"})), ResponseFormat::Text);
    assert_eq!(format(json!({"type": "json_object"})), ResponseFormat::JsonObject);
    let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}});
    assert_eq!(
        format(
            json!({"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": schema, "strict": true}})
        ),
        ResponseFormat::JsonSchema {
            name: "n".to_owned(),
            description: Some("d".to_owned()),
            schema: schema.clone(),
            strict: Some(true)
        }
    );
    let any =
        ResponseFormat::JsonSchema { name: "n".into(), description: None, schema: json!({}), strict: None };
    assert_eq!(format(json!({"type": "json_schema", "json_schema": {"name": "n"}})), any);
    assert!(matches!(
        format(json!({"type": "json_object", "response_schema": schema})),
        ResponseFormat::JsonSchema { schema: read, .. } if read == schema
    ));
}

#[test]
fn reasoning_is_asked_for_by_effort_or_by_budget() {
    let reasoning = |members: Value| decode(&with(members)).reasoning;
    let efforts = [
        ("none", Effort::None),
        ("minimal", Effort::Minimal),
        ("low", Effort::Low),
        ("medium", Effort::Medium),
        ("high", Effort::High),
        ("xhigh", Effort::XHigh),
        ("max", Effort::Max),
    ];
    for (word, effort) in efforts {
        assert_eq!(reasoning(json!({"reasoning_effort": word})), Some(Reasoning::Effort(effort)));
    }
    let enabled = json!({"type": "enabled", "budget_tokens": 2048});
    assert_eq!(reasoning(json!({"thinking": enabled})), Some(Reasoning::Budget(2048)));
    assert_eq!(
        reasoning(json!({"thinking": enabled, "reasoning_effort": "low"})),
        Some(Reasoning::Budget(2048))
    );
    assert_eq!(reasoning(json!({"thinking": {"type": "disabled"}})), Some(Reasoning::Disabled));
    assert_eq!(reasoning(json!({"thinking": {"type": "adaptive"}})), Some(Reasoning::Adaptive));
    let unheard = decode(&with(json!({"thinking": {"type": "of_tomorrow"}})));
    assert_eq!((unheard.reasoning, &unheard.extra["thinking"]), (None, &json!({"type": "of_tomorrow"})));
}

#[test]
fn a_call_of_a_custom_tool_and_an_earlier_sound_are_read() {
    let message = decode_message(json!({
        "role": "assistant", "content": null, "audio": {"id": "audio_1"},
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}}],
    }));
    let sound = Part::Audio {
        source: MediaSource::FileId("audio_1".to_owned()),
        format: String::new(),
        transcript: None,
    };
    let call = Part::ToolCall {
        id: "c".to_owned(),
        name: "shell".to_owned(),
        arguments: "ls -l".to_owned(),
        is_custom: true,
        signature: None,
    };
    assert_eq!(message.parts, [sound, call]);
}

#[test]
fn every_parameter_can_be_left_out_by_its_name() {
    const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"temperature":0.5,"top_p":0.5,"max_tokens":9,
        "stop":["x"],"seed":1,"presence_penalty":0.5,"frequency_penalty":0.5,"n":2,"logprobs":true,"top_logprobs":2,
        "logit_bias":{"1":5},"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required",
        "parallel_tool_calls":false,"response_format":{"type":"json_object"},"reasoning_effort":"low","user":"ann",
        "store":true,"verbosity":"low"}"#;
    let read = |body: &str| tollgate_dialect::openai::decode_chat(body.as_bytes()).unwrap();
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(BODY).unwrap();
    for name in members.keys().filter(|name| !matches!(name.as_str(), "model" | "messages")) {
        let mut without = members.clone();
        without.shift_remove(name);
        let mut request = read(BODY);
        request.leave_out(name);
        assert_eq!(request, read(&serde_json::Value::Object(without).to_string()), "{name}");
    }
}
