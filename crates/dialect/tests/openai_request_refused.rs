//! OpenAI request bodies that are wrong: the place that is named and the sentence that is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::needless_pass_by_value)]

use serde_json::{Value, json};
use tollgate_dialect::openai::decode_chat;

/// A body of these members on top of a model and one user message.
fn with(members: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The body is refused, and the error names this place and says this.
#[track_caller]
fn check_refused(body: &Value, param: &str, message: &str) {
    let error = decode_chat(body.to_string().as_bytes()).expect_err("the body is wrong");
    assert_eq!((error.param.as_str(), error.message.as_str()), (param, message), "{body}");
}

#[test]
fn a_body_that_is_no_json_object_is_refused_as_litellm_refuses_it() {
    for body in ["", "{", "{\"model\":}", "\u{0}", "nonsense"] {
        let error = decode_chat(body.as_bytes()).unwrap_err();
        assert_eq!(error.param, "request_body");
        assert!(error.message.starts_with("Invalid JSON payload: "), "{}", error.message);
    }
    let error = decode_chat(b"[]").unwrap_err();
    assert_eq!(error.message, "Invalid JSON payload: expected an object, not a list");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode_chat(deep.as_bytes()).unwrap_err().message.contains("recursion limit"));
    assert_eq!(decode_chat(b"{\"model\":\"\xff\"}").unwrap_err().param, "request_body");
}

#[test]
fn a_missing_member_is_named_as_openai_names_it() {
    let missing = |name: &str| format!("Missing required parameter: '{name}'.");
    let check = |body: Value, name: &str| check_refused(&body, name, &missing(name));
    check(json!({}), "model");
    check(json!({"model": "m"}), "messages");
    check(json!({"model": "m", "messages": null}), "messages");
    check(json!({"model": "m", "messages": [{}]}), "messages[0].role");
    check(json!({"model": "m", "messages": [{"role": "user"}]}), "messages[0].content");
    check(json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]}), "messages[0].tool_call_id");
    check(json!({"model": "m", "messages": [{"role": "function", "content": "x"}]}), "messages[0].name");
    for (part, place) in [
        (json!({"type": "image_url"}), "image_url"),
        (json!({"type": "image_url", "image_url": {}}), "image_url.url"),
        (json!({"type": "text"}), "text"),
        (json!({"type": "input_audio", "input_audio": {"data": "x"}}), "input_audio.format"),
        (json!({"text": "x"}), "type"),
    ] {
        let content = json!([{"type": "text", "text": "a"}, part]);
        let messages = json!([{"role": "user", "content": "a"}, {"role": "user", "content": content}]);
        check(json!({"model": "m", "messages": messages}), &format!("messages[1].content[1].{place}"));
    }
    let call = |call: Value| json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]});
    check(call(json!({"function": {}})), "messages[0].tool_calls[0].id");
    check(call(json!({"id": "c"})), "messages[0].tool_calls[0].function");
    check(call(json!({"id": "c", "function": {"arguments": ""}})), "messages[0].tool_calls[0].function.name");
    check(
        call(json!({"id": "c", "function": {"name": "f"}})),
        "messages[0].tool_calls[0].function.arguments",
    );
    check(with(json!({"tools": [{"function": {"name": "f"}}]})), "tools[0].type");
    check(with(json!({"tools": [{"type": "function"}]})), "tools[0].function");
    check(with(json!({"tools": [{"type": "function", "function": {}}]})), "tools[0].function.name");
    check(with(json!({"tool_choice": {"type": "function"}})), "tool_choice.function");
    check(with(json!({"response_format": {"type": "json_schema"}})), "response_format.json_schema");
    check(
        with(json!({"response_format": {"type": "json_schema", "json_schema": {}}})),
        "response_format.json_schema.name",
    );
    check(with(json!({"thinking": {"type": "enabled"}})), "thinking.budget_tokens");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_and_not_coerced() {
    let check = |members: Value, place: &str, message: &str| check_refused(&with(members), place, message);
    check(json!({"model": 4}), "model", "must be a string, not an integer");
    check(json!({"model": ""}), "model", "must not be empty");
    check(json!({"messages": {}}), "messages", "must be a list, not an object");
    check(json!({"messages": []}), "messages", "must have at least one message");
    check(json!({"messages": ["hi"]}), "messages[0]", "must be an object, not a string");
    check(json!({"temperature": "0.7"}), "temperature", "must be a number, not a string");
    check(json!({"temperature": true}), "temperature", "must be a number, not a boolean");
    check(json!({"max_tokens": 1.5}), "max_tokens", "must be an integer of at least 0, not a decimal number");
    check(json!({"max_tokens": 1.0}), "max_tokens", "must be an integer of at least 0, not a decimal number");
    check(json!({"max_tokens": -1}), "max_tokens", "must be an integer of at least 0, not -1");
    check(
        json!({"max_completion_tokens": "5"}),
        "max_completion_tokens",
        "must be an integer of at least 0, not a string",
    );
    check(json!({"seed": 18_446_744_073_709_551_615_u64}), "seed", "must fit in 64 bits with a sign");
    check(json!({"seed": 0.5}), "seed", "must be an integer, not a decimal number");
    check(json!({"stream": "true"}), "stream", "must be a boolean, not a string");
    check(json!({"stream": 1}), "stream", "must be a boolean, not an integer");
    check(json!({"stream_options": true}), "stream_options", "must be an object, not a boolean");
    check(
        json!({"stream_options": {"include_usage": 1}}),
        "stream_options.include_usage",
        "must be a boolean, not an integer",
    );
    check(json!({"stop": 5}), "stop", "must be a string or a list of strings, not an integer");
    check(json!({"stop": ["a", 5]}), "stop[1]", "must be a string, not an integer");
    check(json!({"user": 5}), "user", "must be a string, not an integer");
    check(json!({"logit_bias": {"1": "x"}}), "logit_bias.1", "must be a number, not a string");
    check(json!({"logprobs": 2}), "logprobs", "must be a boolean, not an integer");
    check(json!({"tools": {}}), "tools", "must be a list, not an object");
    check(json!({"tools": [{"type": 1}]}), "tools[0].type", "must be a string, not an integer");
    check(
        json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": "{}"}}]}),
        "tools[0].function.parameters",
        "must be an object, not a string",
    );
    check(json!({"tool_choice": 1}), "tool_choice", "must be a string or an object, not an integer");
    check(json!({"response_format": "json"}), "response_format", "must be an object, not a string");
}

#[test]
fn a_word_that_is_not_known_is_refused_with_those_that_are() {
    let check = |members: Value, place: &str, message: &str| check_refused(&with(members), place, message);
    check(
        json!({"reasoning_effort": "extreme"}),
        "reasoning_effort",
        "must be one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max', not 'extreme'",
    );
    check(
        json!({"tool_choice": "any"}),
        "tool_choice",
        "must be one of 'none', 'auto', 'required', not 'any'",
    );
    check(
        json!({"tool_choice": {"type": "tool"}}),
        "tool_choice.type",
        "must be one of 'function', 'allowed_tools', 'custom', not 'tool'",
    );
    check(
        json!({"response_format": {"type": "xml"}}),
        "response_format.type",
        "must be one of 'text', 'json_object', 'json_schema', not 'xml'",
    );
    check(
        json!({"messages": [{"role": "narrator", "content": "x"}]}),
        "messages[0].role",
        "must be one of 'system', 'developer', 'user', 'assistant', 'tool', 'function', not 'narrator'",
    );
    let long = "x".repeat(10_000);
    let error = decode_chat(with(json!({"tool_choice": long})).to_string().as_bytes()).unwrap_err();
    assert!(error.message.len() < 200, "what the caller sent is shown in part only");
}

#[test]
fn a_wrong_message_is_refused_where_it_is_wrong() {
    let check = |message: Value, place: &str, expect: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}, message]});
        check_refused(&body, &format!("messages[1]{place}"), expect);
    };
    check(
        json!({"role": "user", "content": 5}),
        ".content",
        "must be a string or a list of parts, not an integer",
    );
    check(
        json!({"role": "user", "content": null}),
        ".content",
        "must be a string or a list of parts, not null",
    );
    check(json!({"role": "user", "content": []}), ".content", "must not be an empty list");
    check(json!({"role": "user", "content": ["x"]}), ".content[0]", "must be an object, not a string");
    check(
        json!({"role": "user", "content": [{"type": "video_url", "video_url": {}}]}),
        ".content[0].type",
        "must be one of 'text', 'image_url', 'input_audio', 'file', not 'video_url'",
    );
    check(
        json!({"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}),
        ".content[0].type",
        "must be one of 'text', not 'image_url'",
    );
    let image =
        |url: &str| json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]});
    let place = ".content[0].image_url.url";
    check(image("x.png"), place, "must be an http(s) address or a data: URL with base64 content");
    check(
        image("file:///etc/passwd"),
        place,
        "must be an http(s) address or a data: URL with base64 content",
    );
    check(image("data:image/png,abc"), place, "is a data: URL whose content is not marked as base64");
    check(image("data:image/png;base64"), place, "is a data: URL without a comma before its content");
    check(image("data:;base64,abc"), place, "is a data: URL without a media type, such as 'image/png'");
    check(image("data:image/png;base64,"), place, "is a data: URL without content");
    let file = |file: Value| json!({"role": "user", "content": [{"type": "file", "file": file}]});
    check(file(json!({})), ".content[0].file", "must have either 'file_data' or 'file_id'");
    check(
        file(json!({"file_data": "data:a/b;base64,x", "file_id": "f"})),
        ".content[0].file",
        "must have either 'file_data' or 'file_id', not both",
    );
    check(
        file(json!({"file_data": "JVBE", "filename": "a.pdf"})),
        ".content[0].file.file_data",
        "must be a data: URL, such as 'data:application/pdf;base64,...'",
    );
    check(
        json!({"role": "user", "content": "x", "cache_control": {"type": "forever"}}),
        ".cache_control.type",
        "must be one of 'ephemeral', not 'forever'",
    );
    check(
        json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "hosted", "hosted": {}}]}),
        ".tool_calls[0].type",
        "must be one of 'function', 'custom', not 'hosted'",
    );
    check(
        json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}),
        ".tool_calls[0].function.arguments",
        "must be a string, not an object",
    );
    check(
        json!({"role": "assistant", "thinking_blocks": [{"type": "musing"}]}),
        ".thinking_blocks[0].type",
        "must be one of 'thinking', 'redacted_thinking', not 'musing'",
    );
    check(
        json!({"role": "function", "name": "f", "content": "x"}),
        ".name",
        "answers no earlier 'function_call' of that name",
    );
    check(
        json!({"role": "assistant", "audio": {"data": "UklG"}}),
        ".audio.id",
        "Missing required parameter: 'messages[1].audio.id'.",
    );
}
