//! Bodies that OpenAI takes and refuses, with the words of the refusal.

use super::*;
use serde_json::json;

fn body(extra: &Value) -> Value {
    let mut body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn verdict(body: &Value, kind: Kind) -> Result<(), ApiError> {
    check(body, kind, ModelIn::Body, text_at(body, "model"))
}

fn taken(extra: Value) {
    assert_eq!(verdict(&body(&extra), Kind::Chat), Ok(()), "{extra}");
}

fn refused(extra: Value, param: &str, message: &str) {
    let error = verdict(&body(&extra), Kind::Chat).unwrap_err();
    let found = (error.param.as_deref().unwrap_or(""), error.message.as_str());
    assert!(found.0 == param && found.1.contains(message), "{extra}: {found:?}");
    assert_eq!(error.status, 400);
}

fn call(id: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
}

fn tool(function: Value) -> Value {
    json!({"tools": [{"type": "function", "function": function}]})
}

#[test]
fn what_the_reference_allows_is_taken() {
    taken(json!({}));
    taken(
        json!({"temperature": 0, "top_p": 1, "n": 2, "stop": ["a", "b"], "seed": -1, "user": "u", "logit_bias": {"5": -100}}),
    );
    taken(json!({"stream": true, "stream_options": {"include_usage": true}}));
    taken(json!({"max_tokens": null, "max_completion_tokens": 5, "logprobs": true, "top_logprobs": 3}));
    taken(
        json!({"reasoning_effort": "xhigh", "verbosity": "low", "service_tier": "flex", "metadata": {"a": "b"}}),
    );
    taken(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}));
    taken(json!({"messages": [
        {"role": "developer", "content": "d"},
        {"role": "user", "content": [
            {"type": "text", "text": "t"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        ]},
        {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "1"}]},
        {"role": "assistant", "content": "done"},
    ]}));
    let mut forced = tool(json!({"name": "f", "parameters": {"type": "object", "properties": {}}}));
    forced["tool_choice"] = json!({"type": "function", "function": {"name": "f"}});
    forced["parallel_tool_calls"] = json!(false);
    taken(forced);
}

#[test]
fn unknown_parameters_are_refused_at_every_depth() {
    refused(json!({"top_k": 3}), "", "Unrecognized request argument supplied: top_k");
    refused(json!({"top_k": 3, "x": 1}), "", "Unrecognized request arguments supplied: top_k, x");
    refused(
        json!({"messages": [{"role": "assistant", "content": "x", "reasoning_content": "y"}]}),
        "messages[0].reasoning_content",
        "Unknown parameter: 'messages[0].reasoning_content'.",
    );
    refused(
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]}),
        "messages[0].content[0].cache_control",
        "Unknown parameter",
    );
}

#[test]
fn what_is_missing_is_named() {
    let error = verdict(&json!({"messages": []}), Kind::Chat).unwrap_err();
    assert_eq!(error.message, "you must provide a model parameter");
    let error = verdict(&json!({"model": "m"}), Kind::Chat).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.code),
        ("Missing required parameter: 'messages'.", Some("missing_required_parameter"))
    );
    refused(json!({"messages": []}), "messages", "empty array");
    refused(json!({"messages": [{"content": "x"}]}), "messages[0].role", "Missing required parameter");
    refused(json!({"messages": [{"role": "user"}]}), "messages[0].content", "Missing required parameter");
}

#[test]
fn types_ranges_and_words_are_checked() {
    refused(json!({"temperature": "hot"}), "temperature", "expected a decimal, but got a string instead");
    refused(
        json!({"temperature": 2.5}),
        "temperature",
        "decimal above maximum value. Expected a value <= 2, but got 2.5",
    );
    refused(json!({"n": 0}), "n", "integer below minimum value. Expected a value >= 1, but got 0");
    refused(json!({"max_tokens": 1.5}), "max_tokens", "expected an integer, but got a decimal");
    refused(json!({"stop": ["a", "b", "c", "d", "e"]}), "stop", "array too long");
    refused(
        json!({"service_tier": "gold"}),
        "service_tier",
        "Supported values are: 'auto', 'default', 'flex'",
    );
    refused(
        json!({"messages": [{"role": "robot", "content": "x"}]}),
        "messages[0].role",
        "Invalid value: 'robot'.",
    );
    refused(
        json!({"messages": [{"role": "user", "content": null}]}),
        "messages[0].content",
        "but got null instead",
    );
    refused(json!({"response_format": {"type": "xml"}}), "response_format.type", "Invalid value: 'xml'");
}

#[test]
fn parameters_that_need_or_exclude_another_are_checked() {
    refused(
        json!({"stream_options": {"include_usage": true}}),
        "stream_options",
        "only allowed when 'stream' is enabled",
    );
    refused(json!({"max_tokens": 1, "max_completion_tokens": 1}), "", "at the same time is not supported");
    refused(json!({"top_logprobs": 2}), "top_logprobs", "only allowed when 'logprobs' is enabled");
    refused(json!({"tool_choice": "auto"}), "tool_choice", "only allowed when 'tools' are specified");
    refused(
        json!({"parallel_tool_calls": true}),
        "parallel_tool_calls",
        "only allowed when 'tools' are specified",
    );
    refused(json!({"response_format": {"type": "json_object"}}), "messages", "must contain the word 'json'");
    refused(
        json!({"model": "o3-mini", "max_tokens": 5}),
        "max_tokens",
        "Use 'max_completion_tokens' instead",
    );
    refused(
        json!({"model": "gpt-5", "temperature": 0.2}),
        "temperature",
        "does not support 0.2 with this model",
    );
    taken(json!({"model": "gpt-5.1", "temperature": 0.2}));
    taken(json!({"model": "gpt-5-2025-08-07", "temperature": 1}));
}

#[test]
fn tools_and_their_schemas_are_checked() {
    refused(
        tool(json!({"name": "a b"})),
        "tools[0].function.name",
        "does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'",
    );
    refused(tool(json!({"name": "x".repeat(65)})), "tools[0].function.name", "string too long");
    refused(
        tool(json!({"name": "f", "parameters": {"type": "array"}})),
        "tools[0].function.parameters",
        "got 'type: \"array\"'",
    );
    let loose = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    refused(
        tool(json!({"name": "f", "strict": true, "parameters": loose})),
        "tools[0].function.parameters",
        "'additionalProperties' is required",
    );
    refused(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema":
            {"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": false}}}}),
        "response_format",
        "Missing 'a'",
    );
    refused(
        json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}),
        "response_format.json_schema.name",
        "Missing",
    );
    let mut unknown = tool(json!({"name": "f"}));
    unknown["tool_choice"] = json!({"type": "function", "function": {"name": "g"}});
    refused(unknown, "tool_choice", "'g' not found");
}

#[test]
fn every_tool_call_is_answered_at_once_and_nothing_else_is() {
    let user = json!({"role": "user", "content": "x"});
    let calls = json!({"role": "assistant", "tool_calls": [call("a"), call("b")]});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "r"});
    refused(
        json!({"messages": [user, result("a")]}),
        "messages.[1].role",
        "must be a response to a preceeding message",
    );
    refused(
        json!({"messages": [user, calls, result("a"), user]}),
        "messages.[3].role",
        "did not have response messages: b",
    );
    refused(json!({"messages": [user, calls]}), "messages.[2].role", "did not have response messages: a, b");
    refused(
        json!({"messages": [user, calls, result("a"), result("c")]}),
        "messages.[3].tool_call_id",
        "'c' not found",
    );
    refused(
        json!({"messages": [{"role": "assistant", "content": null}]}),
        "messages.[0].content",
        "expected a string, got null",
    );
}

#[test]
fn files_are_pdfs() {
    let file = |data: &str| json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": "f", "file_data": data}}]}]});
    taken(file("data:application/pdf;base64,JVBERi0="));
    let param = "messages[0].content[0].file.file_data";
    refused(file("data:text/plain;base64,AAAA"), param, "application/pdf");
}

#[test]
fn images_are_urls_or_base64_of_a_known_kind() {
    let image = |url: &str| json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
    let param = "messages[0].content[0].image_url.url";
    taken(image("https://example.com/a.png"));
    refused(image("file:///etc/passwd"), param, "Expected a valid URL");
    refused(image("data:image/svg+xml;base64,AAAA"), param, "unsupported image");
    refused(image("data:image/png;base64,"), param, "unsupported image");
}

#[test]
fn completions_and_embeddings_have_rules_of_their_own() {
    let cases: [(Kind, Value, &str); 9] = [
        (Kind::Completion, json!({"model": "m", "prompt": "x"}), ""),
        (Kind::Completion, json!({"model": "m", "prompt": [[1, 2]], "best_of": 2, "n": 2}), ""),
        (Kind::Completion, json!({"model": "m"}), "Missing required parameter: 'prompt'."),
        (Kind::Completion, json!({"model": "m", "prompt": "x", "best_of": 1, "n": 2}), "n > best_of"),
        (Kind::Embedding, json!({"model": "m", "input": ["a", "b"], "encoding_format": "base64"}), ""),
        (Kind::Embedding, json!({"model": "m", "input": ["a", ""]}), "Invalid 'input[1]'"),
        (Kind::Embedding, json!({"model": "m", "input": []}), "empty array"),
        (
            Kind::Embedding,
            json!({"model": "text-embedding-ada-002", "input": "x", "dimensions": 5}),
            "does not support",
        ),
        (
            Kind::Embedding,
            json!({"model": "m", "input": "x".repeat(40_000)}),
            "maximum context length is 8192",
        ),
    ];
    for (kind, body, message) in cases {
        let found = verdict(&body, kind).err().map(|error| error.message).unwrap_or_default();
        assert!(found.contains(message) && found.is_empty() == message.is_empty(), "{kind:?}: {found}");
    }
}

#[test]
fn the_model_may_stand_in_the_path() {
    let body = json!({"messages": [{"role": "user", "content": "x"}]});
    assert_eq!(check(&body, Kind::Chat, ModelIn::Path, "gpt-4o"), Ok(()));
    let error = check(&body, Kind::Chat, ModelIn::Body, "gpt-4o").unwrap_err();
    assert_eq!(error.message, "you must provide a model parameter");
}

#[test]
fn what_is_spoken_has_a_voice_and_a_format_that_streams() {
    let audio = json!({"voice": "alloy", "format": "wav"});
    taken(json!({"modalities": ["text", "audio"], "audio": audio}));
    refused(json!({"modalities": ["text", "audio"]}), "audio", "Missing required parameter: 'audio'");
    refused(json!({"audio": audio}), "modalities", "Missing required parameter: 'modalities'");
    refused(
        json!({"modalities": ["text", "audio"], "audio": audio, "stream": true}),
        "audio.format",
        "'pcm16'",
    );
}
