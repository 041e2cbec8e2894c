//! Bodies that Anthropic takes and refuses, with the words of the refusal.

use super::*;
use serde_json::json;

fn body(extra: &Value) -> Value {
    let mut body = json!({"model": "claude-haiku-4-5", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn taken(extra: Value) {
    assert_eq!(check(&body(&extra), Version::V2023), Ok(()), "{extra}");
}

fn refused(extra: Value, message: &str) {
    let error = check(&body(&extra), Version::V2023).unwrap_err();
    assert!(error.message.contains(message), "{extra}: {}", error.message);
    assert_eq!(error.status, 400);
}

fn tool_use(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "f", "input": {}})
}

fn tool_result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "r"})
}

fn user(content: Value) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(content: Value) -> Value {
    json!({"role": "assistant", "content": content})
}

fn tools(extra: Value) -> Value {
    let mut body = json!({"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn what_the_reference_allows_is_taken() {
    taken(
        json!({"temperature": 1, "top_k": 5, "stop_sequences": ["x"], "metadata": {"user_id": "u"}, "stream": true}),
    );
    taken(
        json!({"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}),
    );
    taken(json!({"messages": [
        user(json!([
            {"type": "text", "text": "look"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}, "title": "t"},
        ])),
        assistant(json!([{"type": "thinking", "thinking": "t", "signature": crate::signature::sign("t", &mut crate::compose::Ids::new(1))}, tool_use("a"), tool_use("b")])),
        user(json!([tool_result("b"), tool_result("a"), {"type": "text", "text": "go on"}])),
        assistant(json!("prefilled")),
    ]}));
    taken(json!({"messages": [user(json!("a")), user(json!("b")), assistant(json!("c")), user(json!("d"))]}));
    taken(tools(json!({"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}})));
    taken(json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}));
    taken(json!({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}));
    taken(
        json!({"model": "claude-opus-4-8", "thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}),
    );
}

#[test]
fn unknown_and_missing_fields_are_named_by_their_place() {
    refused(json!({"n": 2}), "n: Extra inputs are not permitted");
    refused(
        json!({"messages": [user(json!([{"type": "text", "text": "x", "name": "y"}]))]}),
        "messages.0.content.0.text.name: Extra inputs are not permitted",
    );
    refused(
        json!({"tools": [{"name": "f", "input_schema": {"type": "object"}, "x": 1}]}),
        "tools.0.custom.x: Extra inputs",
    );
    refused(json!({"tools": [{"name": "f"}]}), "tools.0.custom.input_schema: Field required");
    refused(
        json!({"tools": [{"name": "f", "input_schema": {}}]}),
        "tools.0.custom.input_schema.type: Field required",
    );
    let error = check(&json!({"model": "m", "messages": []}), Version::V2023).unwrap_err();
    assert_eq!(error.message, "max_tokens: Field required");
    refused(json!({"messages": []}), "messages: at least one message is required");
    refused(json!({"metadata": {"team": "x"}}), "metadata.team: Extra inputs");
}

#[test]
fn types_ranges_and_words_are_checked() {
    refused(json!({"temperature": 1.5}), "temperature: Input should be less than or equal to 1");
    refused(json!({"max_tokens": 0}), "max_tokens: Input should be greater than or equal to 1");
    refused(json!({"max_tokens": "9"}), "max_tokens: Input should be a valid integer");
    refused(json!({"system": null}), "system: Input should be a valid string or list");
    refused(json!({"service_tier": "gold"}), "service_tier: Input should be 'auto' or 'standard_only'");
    refused(json!({"stop_sequences": ["\n"]}), "must contain non-whitespace");
    refused(
        json!({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}),
        "tools.0.custom.name: String should match pattern",
    );
    refused(
        json!({"messages": [user(json!([{"type": "image", "source": {"type": "base64", "media_type": "image/svg", "data": ""}}]))]}),
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg'",
    );
}

#[test]
fn turns_begin_with_the_user_and_are_not_empty() {
    refused(json!({"messages": [assistant(json!("x"))]}), "first message must use the \"user\" role");
    refused(
        json!({"messages": [user(json!("x")), {"role": "system", "content": "s"}]}),
        "Unexpected role \"system\"",
    );
    taken(
        json!({"model": "claude-opus-5", "messages": [user(json!("x")), {"role": "system", "content": "s"}, user(json!("y"))]}),
    );
    refused(json!({"messages": [user(json!(""))]}), "messages.0: all messages must have non-empty content");
    refused(
        json!({"messages": [user(json!([{"type": "text", "text": ""}]))]}),
        "text content blocks must be non-empty",
    );
    refused(
        json!({"messages": [user(json!("x")), assistant(json!("y "))]}),
        "cannot end with trailing whitespace",
    );
    refused(
        json!({"model": "claude-opus-4-7", "messages": [user(json!("x")), assistant(json!("y"))]}),
        "does not support assistant message prefill",
    );
}

#[test]
fn each_tool_use_is_answered_in_the_next_turn_and_nothing_else_is() {
    let uses = assistant(json!([tool_use("a"), tool_use("b")]));
    refused(
        json!({"messages": [user(json!("x")), uses]}),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a, b",
    );
    refused(
        json!({"messages": [user(json!("x")), uses, user(json!([tool_result("a")]))]}),
        "immediately after: b",
    );
    refused(
        json!({"messages": [user(json!([tool_result("a")]))]}),
        "messages.0.content.0: unexpected `tool_use_id`",
    );
    refused(
        json!({"messages": [user(json!("x")), uses, user(json!([{"type": "text", "text": "t"}, tool_result("a"), tool_result("b")]))]}),
        "must come first in the content",
    );
    refused(
        json!({"messages": [user(json!("x")), assistant(json!([tool_use("a"), tool_use("a")]))]}),
        "ids must be unique",
    );
    refused(json!({"messages": [user(json!([tool_use("a")]))]}), "can only be in `assistant` messages");
    // Two messages of one role in a row are one turn.
    taken(
        json!({"messages": [user(json!("x")), uses, user(json!([tool_result("a")])), user(json!([tool_result("b")]))]}),
    );
}

#[test]
fn thinking_has_its_own_rules() {
    let thinking = |extra: Value| {
        let mut body = json!({"thinking": {"type": "enabled", "budget_tokens": 2048}});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    refused(
        json!({"thinking": {"type": "enabled", "budget_tokens": 100}}),
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    );
    refused(json!({"thinking": {"type": "enabled"}}), "thinking.enabled.budget_tokens: Field required");
    refused(thinking(json!({"max_tokens": 2048})), "must be greater than `thinking.budget_tokens`");
    refused(thinking(json!({"temperature": 0.5})), "may only be set to 1 when thinking is enabled");
    refused(thinking(json!({"top_k": 5})), "`top_k` must be unset");
    refused(thinking(json!({"top_p": 0.5})), "`top_p` must be greater than or equal to 0.95");
    refused(thinking(tools(json!({"tool_choice": {"type": "any"}}))), "when tool_choice forces tool use");
    let going_on =
        json!([user(json!("x")), assistant(json!([tool_use("a")])), user(json!([tool_result("a")]))]);
    refused(
        thinking(json!({"messages": going_on})),
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    );
    refused(thinking(json!({"model": "claude-opus-4-7"})), "is not supported for this model");
    refused(json!({"thinking": {"type": "adaptive"}}), "adaptive thinking is not supported");
}

#[test]
fn what_the_model_does_not_take_is_refused() {
    refused(
        json!({"model": "claude-opus-4-7", "temperature": 0.5}),
        "`temperature` is not supported for this model",
    );
    refused(json!({"model": "claude-sonnet-5", "top_k": 5}), "`top_k` is not supported for this model");
    taken(json!({"model": "claude-opus-4-7", "temperature": 1}));
    refused(json!({"temperature": 0.5, "top_p": 0.5}), "cannot both be specified");
    taken(json!({"model": "claude-3-5-sonnet-latest", "temperature": 0.5, "top_p": 0.5}));
}

#[test]
fn tools_choices_schemas_and_cache_marks_are_checked() {
    refused(tools(json!({"tool_choice": {"type": "tool", "name": "g"}})), "Tool 'g' not found");
    refused(json!({"tool_choice": {"type": "auto"}}), "may only be specified while providing tools");
    let twice = json!({"name": "f", "input_schema": {"type": "object"}});
    refused(json!({"tools": [twice, twice]}), "Tool names must be unique");
    refused(
        json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}}}),
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
    );
    let marked = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    refused(json!({"messages": [user(json!([marked, marked, marked, marked, marked]))]}), "Found 5.");
    refused(
        tools(json!({"model": "claude-sonnet-5-5", "tool_choice": {"type": "any"}})),
        "forcing tool use is not supported",
    );
}

#[test]
fn counting_tokens_takes_what_it_needs_and_no_more() {
    let ask = json!({"model": "m", "messages": [user(json!("x"))]});
    assert_eq!(check_count(&ask, Version::V2023), Ok(()));
    let error = check_count(&body(&json!({})), Version::V2023).unwrap_err();
    assert_eq!(error.message, "max_tokens: Extra inputs are not permitted");
}

#[test]
fn the_newest_version_takes_neither_sampling_nor_some_blocks() {
    let new = |extra: Value| check(&body(&extra), Version::V2026).err().map(|error| error.message);
    assert_eq!(new(json!({})), None);
    for name in ["temperature", "top_p", "top_k"] {
        assert_eq!(new(json!({ name: 1 })), Some(format!("{name}: Extra inputs are not permitted")));
    }
    let document =
        json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}});
    let cited = json!({"type": "text", "text": "t", "citations": [{"type": "char_location"}]});
    let said = json!({"messages": [user(json!("x")), assistant(json!([document])), user(json!("y"))]});
    taken(said.clone());
    assert!(new(said).unwrap().starts_with("messages.1.content.0: `document` blocks"));
    assert!(
        new(json!({"messages": [user(json!([cited]))]})).unwrap().contains("citations are not permitted")
    );
    let result = json!({"type": "search_result", "source": "s", "title": "t", "content": [cited]});
    assert!(
        new(json!({"messages": [user(json!([result]))]})).unwrap().contains("citations are not permitted")
    );
}

#[test]
fn thoughts_come_back_as_they_were_given_out() {
    let back = |block: Value| json!({"messages": [user(json!("a")), assistant(json!([block, {"type": "text", "text": "b"}])), user(json!("c"))]});
    let mut ids = crate::compose::Ids::new(1);
    let signature = crate::signature::sign("t", &mut ids);
    let data = crate::signature::sign(super::super::blocks::REDACTED, &mut ids);
    taken(back(json!({"type": "thinking", "thinking": "t", "signature": signature})));
    taken(back(json!({"type": "redacted_thinking", "data": data})));
    refused(
        back(json!({"type": "thinking", "thinking": "changed", "signature": signature})),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    );
    refused(
        back(json!({"type": "redacted_thinking", "data": signature})),
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
    );
}

#[test]
fn tools_of_the_server_are_known_by_their_types() {
    taken(json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}));
    refused(
        json!({"tools": [{"type": "function", "name": "f"}]}),
        "tools.0: Input tag 'function' found using 'type'",
    );
    let used = assistant(json!([
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "x"},
    ]));
    taken(json!({"messages": [user(json!("a")), used, user(json!("b"))]}));
}
