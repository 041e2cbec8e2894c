//! Bodies of the Responses API: what each member and each item becomes, and what is written from it again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Citation, Effort, Issuer, MediaSource, Message, Native, Part, Reasoning,
    ResponseFormat, Role, Signature, Tool, ToolChoice, ToolKind,
};
use tollgate_dialect::responses::{decode_request, encode_chat};
use tollgate_dialect::wire::{Dialect, EncodeOptions};

/// A body of these members on top of a model and an input.
fn with(members: Value) -> Value {
    let mut body = json!({"model": "m", "input": "hi"});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn decode(body: &Value) -> ChatRequest {
    decode_request(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// The messages that a list of items becomes.
fn messages(items: Value) -> Vec<Message> {
    decode(&with(json!({"input": items}))).messages
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn call(id: &str, name: &str, arguments: &str, is_custom: bool) -> Part {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
    Part::ToolCall { id, name, arguments, is_custom, signature: None }
}

fn result(id: &str, content: Vec<Part>) -> Part {
    Part::ToolResult { call_id: id.to_owned(), content, is_error: false, cache_control: None }
}

fn thought(text: &str, signature: Option<Signature>) -> Part {
    Part::Reasoning { text: text.to_owned(), signature }
}

fn native(value: Value) -> Part {
    Part::Native(Native { dialect: Dialect::Responses, value })
}

/// What is written for OpenAI of a request in this dialect.
fn written(request: &ChatRequest) -> Value {
    let outbound = encode_chat(request, &EncodeOptions::default()).unwrap();
    assert_eq!(
        (outbound.path.as_str(), outbound.lost.is_empty()),
        ("/responses", true),
        "{:?}",
        outbound.lost
    );
    serde_json::from_slice(&outbound.body).unwrap()
}

#[test]
fn an_input_of_text_is_the_users_message_and_instructions_stand_before_it() {
    let request = decode(&json!({"model": "m", "input": "hi", "instructions": "be brief"}));
    let expect =
        [message(Role::System, vec![Part::text("be brief")]), message(Role::User, vec![Part::text("hi")])];
    assert_eq!(request.messages, expect);
    assert_eq!((request.dialect, request.stream), (Dialect::Responses, false));
}

#[test]
fn every_part_of_content_is_read() {
    let check = |part: Value, expect: Part| {
        let items = json!([{"role": "user", "content": [part]}]);
        assert_eq!(messages(items), [message(Role::User, vec![expect])]);
    };
    let image = |source, detail: Option<&str>| Part::Image {
        source,
        detail: detail.map(str::to_owned),
        cache_control: None,
    };
    let file = |source, filename: Option<&str>| Part::File {
        source,
        filename: filename.map(str::to_owned),
        context: None,
        citations: false,
        cache_control: None,
    };
    let base64 = |media_type: &str, data: &str| MediaSource::Base64 {
        media_type: media_type.to_owned(),
        data: data.to_owned(),
    };
    check(json!({"type": "input_text", "text": "x"}), Part::text("x"));
    check(
        json!({"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}),
        image(MediaSource::Url("https://x/y.png".to_owned()), Some("low")),
    );
    check(
        json!({"type": "input_image", "image_url": "data:image/png;base64,iVBO", "file_id": null}),
        image(base64("image/png", "iVBO"), None),
    );
    check(
        json!({"type": "input_image", "file_id": "file-1"}),
        image(MediaSource::FileId("file-1".to_owned()), None),
    );
    check(
        json!({"type": "input_file", "file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}),
        file(base64("application/pdf", "JVBE"), Some("a.pdf")),
    );
    check(
        json!({"type": "input_file", "file_id": "file-1"}),
        file(MediaSource::FileId("file-1".to_owned()), None),
    );
    check(
        json!({"type": "input_file", "file_url": "https://x/y.pdf"}),
        file(MediaSource::Url("https://x/y.pdf".to_owned()), None),
    );
    check(
        json!({"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}}),
        Part::Audio { source: base64("audio/mpeg", "SUQz"), format: "mp3".to_owned(), transcript: None },
    );
    check(
        json!({"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}),
        Part::Text {
            text: "x".to_owned(),
            cache_control: Some(CacheControl { ttl: Some("1h".to_owned()) }),
            citations: Vec::new(),
        },
    );
}

#[test]
fn what_the_assistant_did_in_a_row_is_one_message() {
    let items = json!([
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]},
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": [
            {"type": "output_text", "text": "look", "annotations": [
                {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 4}]},
            {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [
            {"type": "input_text", "text": "done"}, {"type": "input_image", "image_url": "https://x/y.png"}]},
        {"role": "assistant", "content": "there"},
    ]);
    let cited = Part::Text {
        text: "look".to_owned(),
        cache_control: None,
        citations: vec![Citation {
            span: Some((0, 4)),
            url: Some("https://a".to_owned()),
            title: Some("A".to_owned()),
            ..Citation::default()
        }],
    };
    let picture = Part::Image {
        source: MediaSource::Url("https://x/y.png".to_owned()),
        detail: None,
        cache_control: None,
    };
    let expect = [
        message(Role::User, vec![Part::text("go")]),
        message(
            Role::Assistant,
            vec![
                thought("a\n\nb", Some(Signature::new(Issuer::OpenAi, "rs_1.gAAA"))),
                cited,
                Part::Refusal("no".to_owned()),
                call("c1", "f", "{}", false),
                call("c2", "patch", "*** Begin", true),
            ],
        ),
        message(
            Role::Tool,
            vec![result("c1", vec![Part::text("1")]), result("c2", vec![Part::text("done"), picture])],
        ),
        message(Role::Assistant, vec![Part::text("there")]),
    ];
    assert_eq!(messages(items), expect);
}

#[test]
fn two_messages_of_the_assistant_stay_two() {
    let items = json!([
        {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "assistant", "content": ""},
    ]);
    let said = |text| message(Role::Assistant, vec![Part::text(text)]);
    assert_eq!(messages(items), [said("a"), said("b")]);
}

#[test]
fn roles_stay_where_they_are() {
    let items = json!([
        {"role": "developer", "content": "d"}, {"role": "user", "content": "u"},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "s"}]},
    ]);
    let expect = [
        message(Role::Developer, vec![Part::text("d")]),
        message(Role::User, vec![Part::text("u")]),
        message(Role::System, vec![Part::text("s")]),
    ];
    assert_eq!(messages(items), expect);
}

#[test]
fn items_that_only_this_api_has_are_kept_where_they_stand() {
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed",
        "action": {"type": "search", "query": "q"}});
    let shell = json!({"type": "local_shell_call_output", "id": "l1", "output": "x"});
    let items = json!([{"role": "user", "content": "u"}, search, shell, {"id": "msg_1"}]);
    let expect = [
        message(Role::User, vec![Part::text("u")]),
        message(Role::Assistant, vec![native(search)]),
        message(Role::Tool, vec![native(shell)]),
        message(Role::Assistant, vec![native(json!({"id": "msg_1"}))]),
    ];
    assert_eq!(messages(items), expect);
}

#[test]
fn signatures_of_others_come_back_to_what_they_sign() {
    let item = |encrypted: &str, text: &str| {
        let summary =
            if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
        json!({"type": "reasoning", "id": "rs_x", "summary": summary, "encrypted_content": encrypted})
    };
    let items = json!([
        item("tollgate.anthropic.EqQB", "because"),
        item("tollgate.redacted.tollgate.anthropic.opaque", ""),
        item("tollgate.call.tollgate.google.sig", ""),
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]);
    let parts = vec![
        thought("because", Some(Signature::new(Issuer::Anthropic, "EqQB"))),
        Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, "opaque") },
        Part::ToolCall {
            id: "c".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
            is_custom: false,
            signature: Some(Signature::new(Issuer::Google, "sig")),
        },
    ];
    assert_eq!(messages(items), [message(Role::Assistant, parts)]);
}

#[test]
fn tools_are_read_and_hosted_ones_kept() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let request = decode(&with(json!({"tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": true},
        {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "web_search", "search_context_size": "low", "user_location": {"type": "approximate", "city": "Oslo"}},
        {"type": "file_search", "vector_store_ids": ["vs"]},
    ]})));
    let function = Tool {
        name: "f".to_owned(),
        description: Some("d".to_owned()),
        parameters: Some(schema),
        strict: Some(true),
        ..Tool::default()
    };
    let grammar = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}});
    let custom = Tool {
        name: "patch".to_owned(),
        kind: ToolKind::Custom { format: Some(grammar) },
        ..Tool::default()
    };
    assert_eq!(request.tools, [function, custom]);
    assert_eq!(request.extra["tools"], json!([{"type": "file_search", "vector_store_ids": ["vs"]}]));
    let options = json!({
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
    });
    assert_eq!(request.extra["web_search_options"], options);
}

#[test]
fn every_tool_choice_is_read_and_written() {
    let tools = json!([
        {"type": "function", "name": "f", "parameters": {}, "strict": false}, {"type": "custom", "name": "p"},
        {"type": "mcp", "server_label": "s", "server_url": "https://s"},
    ]);
    let check = |choice: Value, known: Option<ToolChoice>| {
        let request = decode(&with(json!({"tools": tools, "tool_choice": choice})));
        assert_eq!(request.tool_choice, known, "{choice}");
        assert_eq!(written(&request)["tool_choice"], choice);
    };
    check(json!("auto"), Some(ToolChoice::Auto));
    check(json!("none"), Some(ToolChoice::None));
    check(json!("required"), Some(ToolChoice::Required));
    check(json!({"type": "function", "name": "f"}), Some(ToolChoice::Function("f".to_owned())));
    check(json!({"type": "custom", "name": "p"}), Some(ToolChoice::Function("p".to_owned())));
    check(json!({"type": "mcp", "server_label": "s"}), None);
    let allowed = [json!({"type": "function", "name": "f"}), json!({"type": "mcp", "server_label": "s"})];
    check(json!({"type": "allowed_tools", "mode": "required", "tools": allowed}), None);
    let request = decode(&with(
        json!({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [allowed[0]]}}),
    ));
    let nested = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto",
        "tools": [{"type": "function", "function": {"name": "f"}}]}});
    assert_eq!(request.extra["tool_choice"], nested, "as chat completions say it, which every wire reads");
}

#[test]
fn settings_are_read_by_their_meaning() {
    let schema = json!({"type": "object"});
    let request = decode(&with(json!({
        "temperature": 0.5, "top_p": 0.9, "max_output_tokens": 100, "parallel_tool_calls": false, "stream": true,
        "user": "u", "top_logprobs": 3, "metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k",
        "safety_identifier": "s", "truncation": "auto", "store": false, "previous_response_id": "resp_1",
        "include": ["reasoning.encrypted_content", "file_search_call.results"], "max_tool_calls": null,
        "reasoning": {"effort": "xhigh", "summary": "detailed"},
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}},
    })));
    let sampling = &request.sampling;
    assert_eq!(
        (sampling.temperature, sampling.top_p, sampling.max_tokens),
        (Some(0.5), Some(0.9), Some(100))
    );
    assert_eq!((sampling.logprobs, sampling.top_logprobs), (Some(true), Some(3)));
    assert_eq!(
        (request.parallel_tool_calls, request.stream, request.include_usage),
        (Some(false), true, true)
    );
    assert_eq!(request.reasoning, Some(Reasoning::Effort(Effort::XHigh)));
    assert_eq!(request.show_reasoning, Some(true));
    assert_eq!(
        request.response_format,
        Some(ResponseFormat::JsonSchema {
            name: "n".to_owned(),
            description: None,
            schema,
            strict: Some(true)
        })
    );
    let extra = json!({"metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k",
        "safety_identifier": "s", "verbosity": "low"});
    assert_eq!(Value::Object(request.extra.clone()), extra);
    let native = json!({"truncation": "auto", "store": false, "previous_response_id": "resp_1",
        "include": ["file_search_call.results"], "reasoning": {"summary": "detailed"}});
    assert_eq!(Value::Object(request.native.clone()), native);
    let body = written(&request);
    assert_eq!(body["reasoning"], json!({"effort": "xhigh", "summary": "detailed"}));
    assert_eq!(
        body["include"],
        json!(["reasoning.encrypted_content", "message.output_text.logprobs", "file_search_call.results"])
    );
    assert_eq!((&body["previous_response_id"], &body["store"]), (&json!("resp_1"), &json!(false)));
}

#[test]
fn what_asks_for_nothing_is_not_kept() {
    let request = decode(&with(json!({
        "truncation": "disabled", "background": false, "reasoning": {"effort": null, "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    })));
    assert_eq!((request.native, request.extra), (Map::new(), Map::new()));
    assert_eq!(request.show_reasoning, Some(true));
}

#[test]
fn a_request_that_goes_on_with_another_needs_no_input() {
    for members in [json!({"previous_response_id": "resp_1"}), json!({"conversation": "conv_1"})] {
        let mut body = members;
        body["model"] = json!("m");
        assert_eq!(decode(&body).messages, []);
    }
}

#[test]
fn a_wrong_body_is_refused_by_its_place() {
    let check = |body: Value, param: &str| {
        let error = decode_request(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.param, param, "{}", error.message);
    };
    check(json!([]), "request_body");
    check(json!({"input": "x"}), "model");
    check(json!({"model": "m"}), "input");
    check(json!({"model": "m", "input": []}), "input");
    check(json!({"model": "m", "input": 3}), "input");
    let item = |item: Value| with(json!({"input": [{"role": "user", "content": "x"}, item]}));
    check(item(json!("x")), "input[1]");
    check(item(json!({})), "input[1].type");
    check(item(json!({"role": "robot", "content": "x"})), "input[1].role");
    check(item(json!({"role": "user"})), "input[1].content");
    check(
        item(json!({"role": "user", "content": [{"type": "output_text", "text": "x"}]})),
        "input[1].content[0].type",
    );
    check(item(json!({"role": "user", "content": [{"type": "input_image"}]})), "input[1].content[0]");
    check(
        item(json!({"role": "user", "content": [{"type": "input_image", "image_url": "ftp://x"}]})),
        "input[1].content[0].image_url",
    );
    check(
        item(
            json!({"role": "user", "content": [{"type": "input_file", "file_id": "f", "file_url": "https://x"}]}),
        ),
        "input[1].content[0]",
    );
    check(item(json!({"type": "function_call", "call_id": "c", "name": "f"})), "input[1].arguments");
    check(item(json!({"type": "function_call_output", "output": "x"})), "input[1].call_id");
    check(item(json!({"type": "reasoning", "summary": [{"text": 1}]})), "input[1].summary[0].text");
    check(with(json!({"tools": [{"name": "f"}]})), "tools[0].type");
    check(with(json!({"tools": [{"type": "function", "function": {"name": "f"}}]})), "tools[0].name");
    check(with(json!({"tool_choice": "always"})), "tool_choice");
    check(with(json!({"reasoning": {"effort": "huge"}})), "reasoning.effort");
    check(with(json!({"text": {"format": {"type": "json_schema", "name": "n"}}})), "text.format.schema");
    check(with(json!({"max_output_tokens": -1})), "max_output_tokens");
    check(with(json!({"store": "yes"})), "store");
    check(with(json!({"include": ["a", 1]})), "include[1]");
}

#[test]
fn a_request_is_written_for_openai_as_it_was_read() {
    let body = json!({
        "model": "gpt-5", "instructions": "be brief",
        "input": [
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "https://x/y.png"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "a"}],
                "encrypted_content": "gAAA"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "go"},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [
                {"type": "input_text", "text": "t"}, {"type": "input_image", "image_url": "data:image/png;base64,iVBO"}]},
            {"type": "message", "role": "assistant", "content": "done"},
            {"type": "message", "role": "user", "content": "more"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true},
            {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
            {"type": "web_search_preview", "search_context_size": "high"},
        ],
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "store": true, "metadata": {"a": "b"}, "truncation": "auto", "max_output_tokens": 16,
    });
    let mut out = written(&decode(&body));
    assert_eq!(
        out.as_object_mut().unwrap().shift_remove("include"),
        None,
        "what is stored needs no encryption"
    );
    assert_eq!(out, body);
}
