//! Bodies that Cohere takes and refuses, with the words of the refusal.

use super::*;
use serde_json::json;

fn body(extra: &Value) -> Value {
    let mut body = json!({"model": "command-a-03-2025", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

fn taken(extra: Value) {
    assert_eq!(chat(&body(&extra)), Ok(()), "{extra}");
}

fn refused(extra: Value, status: u16, message: &str) {
    let error = chat(&body(&extra)).unwrap_err();
    assert!(error.message.contains(message), "{extra}: {}", error.message);
    assert_eq!(error.status, status, "{extra}");
}

fn tool() -> Value {
    json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}})
}

fn call(id: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
}

#[test]
fn what_the_package_can_write_is_taken() {
    taken(json!({}));
    taken(
        json!({"temperature": 0, "p": 0.99, "k": 500, "seed": 7, "stop_sequences": ["a"], "max_tokens": null,
        "frequency_penalty": 1, "presence_penalty": 0.5, "logprobs": true, "priority": 3, "safety_mode": "STRICT"}),
    );
    taken(json!({"tools": [tool()], "strict_tools": true, "tool_choice": "REQUIRED", "stream": true}));
    taken(
        json!({"documents": ["text", {"data": {"title": "t"}, "id": "1"}], "citation_options": {"mode": "FAST"}}),
    );
    taken(json!({"thinking": {"type": "enabled", "token_budget": 100}}));
    taken(json!({"response_format": {"type": "json_object", "json_schema": {"type": "object"}}}));
    taken(json!({"response_format": {"type": "json_object", "schema": {"type": "object"}}}));
    taken(json!({"messages": [
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        ]},
        {"role": "assistant", "tool_plan": "p", "tool_calls": [call("a"), call("b")],
            "content": [{"type": "thinking", "thinking": "t"}]},
        {"role": "tool", "tool_call_id": "b", "content": "r"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "document", "document": {"data": {"x": "y"}}}]},
    ]}));
}

#[test]
fn what_it_cannot_write_is_refused_with_coheres_status() {
    refused(json!({"top_p": 1}), 422, "unknown field: parameter 'top_p' is not a valid field.");
    let strict = json!({"type": "function", "function": {"name": "f", "parameters": {}, "strict": true}});
    refused(json!({"tools": [strict]}), 422, "unknown field: parameter 'strict'");
    refused(
        json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
        400,
        "parameters is required",
    );
    refused(
        json!({"messages": "hi"}),
        422,
        "parameter 'messages' is of type string but should be of type array",
    );
    refused(json!({"messages": []}), 400, "at least one message");
    refused(json!({"messages": [{"role": "developer", "content": "x"}]}), 400, "role must be one of");
    refused(json!({"messages": [{"role": "user", "content": ""}]}), 400, "must have non-empty content");
    refused(json!({"p": 1}), 400, "p must be at most 0.99");
    refused(json!({"presence_penalty": -1}), 400, "presence_penalty must be at least 0");
    refused(json!({"stop_sequences": ["a", "b", "c", "d", "e", "f"]}), 400, "at most 5 elements, got 6");
    refused(json!({"tool_choice": "REQUIRED"}), 400, "tool_choice can only be specified if tools");
    refused(
        json!({"tools": [tool()], "tool_choice": "AUTO"}),
        400,
        "tool_choice must be one of REQUIRED, NONE",
    );
    refused(json!({"thinking": {"type": "adaptive"}}), 400, "type must be one of enabled, disabled");
    refused(
        json!({"response_format": {"type": "json_object"}, "tools": [tool()]}),
        400,
        "not supported with tools or documents",
    );
    refused(
        json!({"response_format": {"type": "json_schema"}}),
        400,
        "type must be one of text, json_object",
    );
}

#[test]
fn every_call_is_answered_at_once_and_nothing_else_is() {
    let user = json!({"role": "user", "content": "x"});
    let calls = json!({"role": "assistant", "tool_calls": [call("a")]});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "r"});
    taken(json!({"messages": [user, calls, result("a"), user]}));
    refused(json!({"messages": [user, calls, result("b")]}), 400, "tool_call_id b of the message at index 2");
    refused(
        json!({"messages": [user, calls, user]}),
        400,
        "must be followed by a tool message, missing for: a",
    );
    refused(json!({"messages": [user, result("a")]}), 400, "does not match a preceding tool call");
}

#[test]
fn an_embedding_is_of_one_kind_of_input() {
    let verdict = |extra: Value, version| {
        let mut body = json!({"model": "embed-v4.0", "input_type": "search_query", "texts": ["x"]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        embed(&body, version).map_err(|error| error.message)
    };
    assert_eq!(verdict(json!({"embedding_types": ["float", "int8"], "output_dimension": 256}), 2), Ok(()));
    assert_eq!(verdict(json!({"input_type": null}), 1), Ok(()));
    for (extra, version, words) in [
        (json!({"images": ["data:image/png;base64,AA"]}), 2, "exactly one of"),
        (json!({"texts": null}), 2, "exactly one of"),
        (json!({"input_type": "query"}), 2, "input_type must be one of"),
        (json!({"output_dimension": 100}), 2, "output_dimension must be one of"),
        (json!({"output_dimension": 256}), 1, "unknown field"),
        (json!({"model": "embed-english-v3.0", "input_type": null}), 1, "input_type must be specified"),
        (json!({"encoding_format": "float"}), 2, "unknown field"),
    ] {
        let message = verdict(extra.clone(), version).unwrap_err();
        assert!(message.contains(words), "{extra}: {message}");
    }
}

#[test]
fn a_ranking_has_a_query_and_documents() {
    let good = json!({"model": "rerank-v3.5", "query": "q", "documents": ["a"], "top_n": 1});
    assert_eq!(rerank(&good, 2), Ok(()));
    assert_eq!(
        rerank(&json!({"query": "q", "documents": [{"text": "a"}], "return_documents": true}), 1),
        Ok(())
    );
    for (body, version, words) in [
        (json!({"model": "m", "query": " ", "documents": ["a"]}), 2, "query must not be empty"),
        (json!({"model": "m", "query": "q", "documents": []}), 2, "documents must have at least 1"),
        (json!({"model": "m", "query": "q", "documents": [{"text": "a"}]}), 2, "invalid type"),
        (
            json!({"model": "m", "query": "q", "documents": ["a"], "return_documents": true}),
            2,
            "unknown field",
        ),
        (json!({"query": "q", "documents": [{"body": "a"}]}), 1, "have a text field"),
    ] {
        let message = rerank(&body, version).unwrap_err().message;
        assert!(message.contains(words), "{body}: {message}");
    }
}
