//! Messages requests of callers: what each member becomes, and what is refused by its place.
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Map, Value, json};
use tollgate_dialect::anthropic::{decode_count_request, decode_request};
use tollgate_dialect::conversation::{
    CacheControl, ChatRequest, Effort, Issuer, MediaSource, Message, Native, Part, Reasoning, ResponseFormat,
    Role, Sampling, Signature, Tool, ToolChoice,
};
use tollgate_dialect::wire::Dialect;

/// A body of these members on top of a model, a limit and one message.
fn with(members: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn decode(body: &Value) -> ChatRequest {
    decode_request(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

/// The messages and the native members of a body with these messages.
fn converse(messages: Value) -> (Vec<Message>, Map<String, Value>) {
    let request = decode(&with(json!({"messages": messages})));
    (request.messages, request.native)
}

/// The parts of a user's message of these blocks.
fn parts(blocks: Value) -> Vec<Part> {
    let (mut messages, _) = converse(json!([{"role": "user", "content": blocks}]));
    assert_eq!(messages.len(), 1);
    messages.remove(0).parts
}

fn native(value: Value) -> Part {
    Part::Native(Native { dialect: Dialect::Anthropic, value })
}

fn marked(ttl: Option<&str>) -> Option<CacheControl> {
    Some(CacheControl { ttl: ttl.map(str::to_owned) })
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn result(call_id: &str, content: Vec<Part>) -> Part {
    Part::ToolResult { call_id: call_id.to_owned(), content, is_error: false, cache_control: None }
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

#[test]
fn the_smallest_request_has_a_model_a_limit_and_a_message() {
    let expect = ChatRequest {
        model: "m".to_owned(),
        messages: vec![message(Role::User, vec![Part::text("hi")])],
        sampling: Sampling { max_tokens: Some(9), ..Sampling::default() },
        dialect: Dialect::Anthropic,
        ..ChatRequest::default()
    };
    assert_eq!(decode(&with(json!({}))), expect);
    assert_eq!(decode(&with(json!({"system": "", "tools": [], "metadata": {}, "thinking": null}))), expect);
}

#[test]
fn what_shapes_the_answer_is_read_as_it_is() {
    let request = decode(&with(json!({
        "temperature": 0.7, "top_p": 1, "top_k": 40, "stop_sequences": ["END", "\n"], "stream": true,
        "metadata": {"user_id": "u"}, "service_tier": "standard_only", "max_tokens": 0,
    })));
    let expect = Sampling {
        temperature: Some(0.7),
        top_p: Some(1.0),
        top_k: Some(40),
        max_tokens: Some(0),
        stop: vec!["END".to_owned(), "\n".to_owned()],
        ..Sampling::default()
    };
    assert_eq!((request.sampling, request.stream, request.user.as_deref()), (expect, true, Some("u")));
    assert_eq!(request.extra, members(json!({"service_tier": "default"})));
    assert_eq!(
        decode(&with(json!({"service_tier": "auto"}))).extra,
        members(json!({"service_tier": "auto"}))
    );
}

#[test]
fn instructions_stand_first_and_in_their_place() {
    let request = decode(&with(json!({
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                   {"type": "text", "text": "b"}],
        "messages": [{"role": "user", "content": "c"}, {"role": "system", "content": "d"},
                     {"role": "system", "content": [{"type": "text", "text": "e"}], "clear_at": "never"}],
    })));
    let first = Part::Text { text: "a".to_owned(), cache_control: marked(Some("1h")), citations: Vec::new() };
    let expect = [
        message(Role::System, vec![first, Part::text("b")]),
        message(Role::User, vec![Part::text("c")]),
        message(Role::System, vec![Part::text("d")]),
        message(Role::System, vec![Part::text("e")]),
    ];
    assert_eq!(request.messages, expect);
    assert_eq!(request.native, members(json!({"system.clear_at": ["never"]})));
    let plain = decode(&with(json!({"system": "s"}))).messages.remove(0);
    assert_eq!(plain, message(Role::System, vec![Part::text("s")]));
}

#[test]
fn pictures_come_from_everywhere() {
    let check = |source: Value, expect: MediaSource| {
        let block = json!([{"type": "image", "source": source, "cache_control": {"type": "ephemeral"}}]);
        let expect = Part::Image { source: expect, detail: None, cache_control: marked(None) };
        assert_eq!(parts(block), [expect]);
    };
    check(
        json!({"type": "base64", "media_type": "image/png", "data": "aW1n"}),
        MediaSource::Base64 { media_type: "image/png".to_owned(), data: "aW1n".to_owned() },
    );
    check(json!({"type": "url", "url": "https://a/b.png"}), MediaSource::Url("https://a/b.png".to_owned()));
    check(json!({"type": "file", "file_id": "file_1"}), MediaSource::FileId("file_1".to_owned()));
}

#[test]
fn documents_have_title_context_and_citations() {
    let check = |source: Value, expect: MediaSource| {
        let block = json!([{"type": "document", "source": source, "title": "T", "context": "C",
                            "citations": {"enabled": true}, "cache_control": {"type": "ephemeral", "ttl": "5m"}}]);
        let expect = Part::File {
            source: expect,
            filename: Some("T".to_owned()),
            context: Some("C".to_owned()),
            citations: true,
            cache_control: marked(Some("5m")),
        };
        assert_eq!(parts(block), [expect]);
    };
    check(
        json!({"type": "base64", "media_type": "application/pdf", "data": "cGRm"}),
        MediaSource::Base64 { media_type: "application/pdf".to_owned(), data: "cGRm".to_owned() },
    );
    check(
        json!({"type": "text", "media_type": "text/plain", "data": "x"}),
        MediaSource::Text("x".to_owned()),
    );
    check(json!({"type": "url", "url": "https://a/b.pdf"}), MediaSource::Url("https://a/b.pdf".to_owned()));
    check(json!({"type": "file", "file_id": "file_1"}), MediaSource::FileId("file_1".to_owned()));
    check(json!({"type": "content", "content": "x"}), MediaSource::Text("x".to_owned()));
    let blocks = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    check(json!({"type": "content", "content": blocks}), MediaSource::Text("a\nb".to_owned()));
}

#[test]
fn a_documents_own_pictures_follow_it() {
    let picture = json!({"type": "image", "source": {"type": "file", "file_id": "p"}});
    let source = json!({"type": "content", "content": [{"type": "text", "text": "a"}, picture]});
    let found = parts(json!([{"type": "document", "source": source}]));
    assert!(matches!(&found[..], [Part::File { .. }, Part::Image { .. }]), "{found:?}");
}

#[test]
fn a_search_result_is_a_document_and_keeps_its_own_form() {
    let block = json!({"type": "search_result", "source": "https://a", "title": "T",
                       "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
    let (messages, native) = converse(json!([{"role": "user", "content": [block]}]));
    let expect = Part::File {
        source: MediaSource::Text("a\nb".to_owned()),
        filename: Some("T".to_owned()),
        context: Some("https://a".to_owned()),
        citations: false,
        cache_control: None,
    };
    assert_eq!(messages, [message(Role::User, vec![expect])]);
    assert_eq!(native, members(json!({"search_result": [block]})));
}

#[test]
fn results_of_tools_are_messages_of_their_own() {
    let (messages, native) = converse(json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1.0}, "caller": {"type": "direct"}},
            {"type": "tool_use", "id": "b", "name": "f", "input": {},
             "cache_control": {"type": "ephemeral"}, "caller": {"type": "code_execution_20260120", "tool_id": "s"}}]},
        {"role": "user", "content": [
            {"tool_use_id": "a", "type": "tool_result", "content": "1", "is_error": true,
             "cache_control": {"type": "ephemeral"}},
            {"tool_use_id": "b", "type": "tool_result", "toolset_name": "t", "content": [
                {"type": "text", "text": "2"}, {"type": "image", "source": {"type": "file", "file_id": "p"}},
                {"type": "tool_reference", "tool_name": "g"}]},
            {"type": "text", "text": "and?"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
    ]));
    let picture =
        Part::Image { source: MediaSource::FileId("p".to_owned()), detail: None, cache_control: None };
    let failed = Part::ToolResult {
        call_id: "a".to_owned(),
        content: vec![Part::text("1")],
        is_error: true,
        cache_control: marked(None),
    };
    let reference = native_part(json!({"type": "tool_reference", "tool_name": "g"}));
    let expect = [
        message(Role::User, vec![Part::text("go")]),
        message(Role::Assistant, vec![Part::text("Looking."), call("a", "{\"x\":1.0}"), call("b", "{}")]),
        message(Role::Tool, vec![failed, result("b", vec![Part::text("2"), picture, reference])]),
        message(Role::User, vec![Part::text("and?")]),
        message(Role::Tool, vec![result("c", Vec::new())]),
    ];
    assert_eq!(messages, expect);
    let expect = json!({
        "tool_use.cache_control": {"b": {"type": "ephemeral"}},
        "tool_use.caller": {"b": {"type": "code_execution_20260120", "tool_id": "s"}},
        "tool_result.toolset_name": {"b": "t"},
    });
    assert_eq!(Value::Object(native), expect);
}

fn native_part(value: Value) -> Part {
    native(value)
}

#[test]
fn reasoning_comes_back_to_its_issuer() {
    let (mut messages, _) = converse(json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
            {"type": "thinking", "thinking": "So.", "signature": "tollgate.openai.rs_1.x"},
            {"type": "thinking", "thinking": "Or.", "signature": ""},
            {"type": "redacted_thinking", "data": "opaque"},
            {"type": "redacted_thinking", "data": "tollgate.google.sig"},
            {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            {"type": "redacted_thinking", "data": "last"},
            {"type": "tool_use", "id": "b", "name": "f", "input": {}}]},
    ]));
    let thought =
        |text: &str, signature: Option<Signature>| Part::Reasoning { text: text.to_owned(), signature };
    let redacted = |text: &str| Part::RedactedReasoning { data: Signature::new(Issuer::Anthropic, text) };
    let signed = Part::ToolCall {
        id: "a".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        is_custom: false,
        signature: Some(Signature::new(Issuer::Google, "sig")),
    };
    let expect = [
        thought("Hm.", Some(Signature::new(Issuer::Anthropic, "EqQB"))),
        thought("So.", Some(Signature::new(Issuer::OpenAi, "rs_1.x"))),
        thought("Or.", None),
        redacted("opaque"),
        signed,
        redacted("last"),
        call("b", "{}"),
    ];
    assert_eq!(messages.remove(1).parts, expect);
}

#[test]
fn blocks_without_a_part_stay_whole() {
    for block in [
        json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}),
        json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": []}),
        json!({"type": "container_upload", "file_id": "f"}),
        json!({"type": "compaction", "content": "So far.", "signature": "x"}),
        json!({"type": "of_tomorrow"}),
    ] {
        assert_eq!(parts(json!([block])), [native(block)]);
    }
}

#[test]
fn thinking_and_effort_are_one_wish() {
    let check = |asked: Value, reasoning: Option<Reasoning>, shown: Option<bool>, native: Value| {
        let request = decode(&with(asked.clone()));
        assert_eq!((request.reasoning, request.show_reasoning), (reasoning, shown), "{asked}");
        assert_eq!(Value::Object(request.native), native, "{asked}");
    };
    let none = || json!({});
    let high = || Some(Reasoning::Effort(Effort::High));
    check(none(), None, None, none());
    check(json!({"thinking": {"type": "disabled"}}), Some(Reasoning::Disabled), None, none());
    check(json!({"thinking": {"type": "adaptive"}}), Some(Reasoning::Adaptive), None, none());
    let enabled = json!({"thinking": {"type": "enabled", "budget_tokens": 31_999, "display": "omitted"}});
    check(enabled, Some(Reasoning::Budget(31_999)), Some(false), none());
    check(json!({"output_config": {"effort": "high"}}), high(), None, none());
    let both = json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}});
    check(both, high(), Some(true), none());
    let beside = json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "max", "task_budget": {"total": 1}}});
    let kept = json!({"output_config": {"task_budget": {"total": 1}, "effort": "max"}});
    check(beside, Some(Reasoning::Disabled), None, kept);
    for unknown in [json!({"type": "between_tools"}), json!({"type": "of_tomorrow", "x": 1})] {
        let asked = json!({"thinking": unknown});
        check(asked.clone(), None, None, asked);
    }
    let updates = json!({"thinking": {"type": "adaptive", "display": "updates"}});
    check(updates.clone(), Some(Reasoning::Adaptive), None, updates);
}

#[test]
fn the_form_of_the_answer_has_two_names() {
    let format = |schema: &Value| json!({"type": "json_schema", "schema": schema});
    let check = |schema: Value, strict: Option<bool>| {
        let expect = ResponseFormat::JsonSchema {
            name: "response".to_owned(),
            description: None,
            schema: schema.clone(),
            strict,
        };
        for asked in
            [json!({"output_config": {"format": format(&schema)}}), json!({"output_format": format(&schema)})]
        {
            assert_eq!(decode(&with(asked)).response_format, Some(expect.clone()), "{schema}");
        }
    };
    let closed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
                        "additionalProperties": false});
    check(closed.clone(), Some(true));
    check(json!({"type": "array", "items": closed}), Some(true));
    check(json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false}), None);
    check(json!({"type": "object", "properties": {"a": {}}, "required": ["a"]}), None);
    check(json!({"anyOf": [{"type": "object"}]}), None);
}

#[test]
fn tools_are_functions_search_or_anthropics_own() {
    let request = decode(&with(json!({"tools": [
        {"name": "f", "description": "", "input_schema": {"type": "object", "properties": {}}, "strict": true,
         "cache_control": {"type": "ephemeral"}, "eager_input_streaming": true, "defer_loading": true},
        {"type": "custom", "name": "g", "input_schema": {}, "input_examples": null},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 5,
         "user_location": {"type": "approximate", "city": "Oslo", "country": "NO", "region": null}},
        {"type": "code_execution_20260120", "name": "code_execution"},
        {"type": "mcp_toolset", "mcp_server_name": "m"},
    ]})));
    let f = Tool {
        name: "f".to_owned(),
        description: Some(String::new()),
        parameters: Some(json!({"type": "object", "properties": {}})),
        strict: Some(true),
        cache_control: marked(None),
        ..Tool::default()
    };
    let g = Tool { name: "g".to_owned(), parameters: Some(json!({})), ..Tool::default() };
    assert_eq!(request.tools, [f, g]);
    let expect = json!({
        "web_search_options": {"search_context_size": "medium", "user_location": {
            "type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}}},
        "tools": [{"type": "code_execution_20260120", "name": "code_execution"},
                  {"type": "mcp_toolset", "mcp_server_name": "m"}],
    });
    assert_eq!(Value::Object(request.extra), expect);
    let expect = json!({"tools.eager_input_streaming": {"f": true}, "tools.defer_loading": {"f": true}});
    assert_eq!(Value::Object(request.native), expect);
}

#[test]
fn what_only_anthropics_search_has_is_kept_beside_it() {
    let search = json!({"type": "web_search_20260209", "name": "web_search", "max_uses": 3,
                        "allowed_domains": ["example.org"]});
    let request = decode(&with(json!({"tools": [search]})));
    assert_eq!(Value::Object(request.extra), json!({"web_search_options": {}}));
    let expect = json!({"tools.max_uses": {"(web_search)": 3}, "tools.allowed_domains": {"(web_search)": ["example.org"]},
                        "tools.type": {"(web_search)": "web_search_20260209"}});
    assert_eq!(Value::Object(request.native), expect);
}

#[test]
fn choices_have_the_models_words() {
    let check = |choice: Value, expect: ToolChoice, parallel: Option<bool>| {
        let request = decode(&with(json!({"tool_choice": choice})));
        assert_eq!((request.tool_choice, request.parallel_tool_calls), (Some(expect), parallel), "{choice}");
    };
    check(json!({"type": "auto"}), ToolChoice::Auto, None);
    check(json!({"type": "auto", "disable_parallel_tool_use": true}), ToolChoice::Auto, Some(false));
    check(json!({"type": "any", "disable_parallel_tool_use": false}), ToolChoice::Required, Some(true));
    check(json!({"type": "tool", "name": "f"}), ToolChoice::Function("f".to_owned()), None);
    check(json!({"type": "none"}), ToolChoice::None, None);
}

#[test]
fn members_without_a_field_stay_by_their_names() {
    let own = json!({
        "container": "c", "context_management": {"edits": []}, "mcp_servers": [], "cache_control": {"type": "ephemeral"},
        "speed": "fast", "metadata": {"of_tomorrow": 1}, "of_tomorrow": {},
    });
    let request = decode(&with(own.clone()));
    assert_eq!(Value::Object(request.native), own);
    assert!(request.extra.is_empty());
}

#[test]
fn the_wrong_member_is_named_by_its_place() {
    let refused = |body: Value| decode_request(body.to_string().as_bytes()).unwrap_err();
    let check = |members: Value, place: &str| {
        let error = refused(with(members.clone()));
        assert_eq!(error.param, place, "{members}: {}", error.message);
        assert!(!error.message.is_empty());
    };
    let check_block = |block: Value, place: &str| {
        let place = format!("messages[0].content[0]{place}");
        check(json!({"messages": [{"role": "user", "content": [block]}]}), &place);
    };
    check(json!({"model": ""}), "model");
    check(json!({"model": null}), "model");
    check(json!({"max_tokens": null}), "max_tokens");
    check(json!({"max_tokens": -1}), "max_tokens");
    check(json!({"max_tokens": "9"}), "max_tokens");
    check(json!({"messages": null}), "messages");
    check(json!({"messages": []}), "messages");
    check(json!({"messages": [{"content": "x"}]}), "messages[0].role");
    check(json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].role");
    check(json!({"messages": [{"role": "user"}]}), "messages[0].content");
    check(json!({"messages": [{"role": "user", "content": 1}]}), "messages[0].content");
    check(json!({"temperature": "hot"}), "temperature");
    check(json!({"stop_sequences": "END"}), "stop_sequences");
    check(json!({"stop_sequences": [1]}), "stop_sequences[0]");
    check(json!({"system": [{"type": "image", "source": {"type": "url", "url": "x"}}]}), "system[0].type");
    check(json!({"system": 1}), "system");
    check(json!({"tools": [{"name": "f"}]}), "tools[0].input_schema");
    check(json!({"tools": [{"input_schema": {}}]}), "tools[0].name");
    check(json!({"tools": [{"name": "f", "input_schema": []}]}), "tools[0].input_schema");
    check(json!({"tool_choice": "auto"}), "tool_choice");
    check(json!({"tool_choice": {"type": "required"}}), "tool_choice.type");
    check(json!({"tool_choice": {"type": "tool"}}), "tool_choice.name");
    check(json!({"thinking": {"type": "enabled"}}), "thinking.budget_tokens");
    check(json!({"output_config": {"effort": "maximal"}}), "output_config.effort");
    check(json!({"output_config": {"format": {"type": "text"}}}), "output_config.format.type");
    check(json!({"metadata": {"user_id": 7}}), "metadata.user_id");
    check_block(json!("x"), "");
    check_block(json!({}), ".type");
    check_block(json!({"type": "text"}), ".text");
    check_block(
        json!({"type": "text", "text": "x", "cache_control": {"type": "forever"}}),
        ".cache_control.type",
    );
    let ttl = json!({"type": "ephemeral", "ttl": "2h"});
    check_block(json!({"type": "text", "text": "x", "cache_control": ttl}), ".cache_control.ttl");
    check_block(json!({"type": "image"}), ".source");
    check_block(json!({"type": "image", "source": {"type": "text"}}), ".source.type");
    check_block(json!({"type": "image", "source": {"type": "base64", "data": "x"}}), ".source.media_type");
    check_block(json!({"type": "document", "source": {"type": "blob"}}), ".source.type");
    check_block(json!({"type": "search_result", "content": [], "title": "t"}), ".source");
    check_block(json!({"type": "tool_use", "id": "a", "name": "f", "input": "x"}), ".input");
    check_block(json!({"type": "tool_result", "content": "x"}), ".tool_use_id");
    let nested = json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image"}]});
    check_block(nested, ".content[0].source");
    for body in ["", "[]", "{", "\"x\""] {
        assert_eq!(decode_request(body.as_bytes()).unwrap_err().param, "request_body", "{body}");
    }
}

#[test]
fn counting_needs_no_limit() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    assert_eq!(decode_request(body.as_bytes()).unwrap_err().param, "max_tokens");
    let request = decode_count_request(body.as_bytes()).unwrap();
    assert_eq!((request.model.as_str(), request.sampling.max_tokens), ("m", None));
}
