//! The rules of Mistral's request bodies, and its words for a broken one.
//!
//! Owns: rules that relate fields and messages. Leaves to others: the fields (`tables`), the list of wrong ones
//! (`pydantic`).
//!
//! **Invariant:** a wrong field is a 422 with every fault in a list; a conversation in the wrong order is a 400 with
//! Mistral's own code.

use super::tables::{CHAT, EMBEDDING, FIM, OCR};
use crate::ask::{items_at, text_at};
use crate::error::ApiError;
use crate::pydantic;
use crate::shape::{self, Keys, is_name};
use crate::surface::Operation;
use serde_json::Value;

/// Characters of a tool call's id.
const ID_CHARS: usize = 9;
/// Longest name of a function.
const NAME_CHARS_MAX: usize = 64;

/// Checks a body.
pub(super) fn check(body: &Value, operation: Operation) -> Result<(), ApiError> {
    let fields = match operation {
        Operation::Chat => CHAT,
        Operation::Completion => FIM,
        Operation::Embedding => EMBEDDING,
        _ => OCR,
    };
    let Some(object) = body.as_object() else {
        return Err(ApiError::new(422, "Input should be a valid dictionary"));
    };
    let violations = shape::check(object, fields, Keys::Exact);
    if !violations.is_empty() {
        let mut error = ApiError::new(422, "the request has wrong fields").kind("invalid_request_error");
        error.details = Some(Box::new(pydantic::details(&violations, body)));
        return Err(error);
    }
    let number = |key: &str| body.get(key).and_then(Value::as_f64);
    if number("temperature") == Some(0.0) && number("top_p").is_some_and(|top| top != 1.0) {
        return Err(ApiError::bad_request("top_p must be 1 when using greedy sampling.")
            .kind("invalid_request_error"));
    }
    if operation == Operation::Chat { chat(body) } else { Ok(()) }
}

fn chat(body: &Value) -> Result<(), ApiError> {
    for tool in items_at(body, "tools") {
        let name = tool.pointer("/function/name").and_then(Value::as_str);
        if let Some(name) = name.filter(|name| !is_name(name) || name.len() > NAME_CHARS_MAX) {
            return Err(ApiError::bad_request(format!(
                "Function name was {name} but must be a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum \
                 length of {NAME_CHARS_MAX}."
            ))
            .kind("invalid_request_error"));
        }
    }
    let format = body.get("response_format").unwrap_or(&Value::Null);
    if text_at(format, "type") == "json_schema" && format.get("json_schema").is_none_or(Value::is_null) {
        return Err(ApiError::bad_request(
            "json_schema must be provided with response_format of type json_schema.",
        )
        .kind("invalid_request_error"));
    }
    messages(items_at(body, "messages"))
}

fn order(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(message).kind("invalid_request_message_order").code("3230")
}

fn messages(messages: &[Value]) -> Result<(), ApiError> {
    let mut before = "";
    // Calls of the last assistant message that no tool message has answered.
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        let role = text_at(message, "role");
        follows(before, role, &open)?;
        match role {
            "tool" => answer(message, &mut open)?,
            "assistant" => open = assistant(message)?,
            _ => {}
        }
        before = role;
    }
    let prefixed = messages.last().is_some_and(|last| last.get("prefix") == Some(&Value::Bool(true)));
    match before {
        "user" => Ok(()),
        "tool" if open.is_empty() => Ok(()),
        "tool" => Err(order("Not the same number of function calls and responses")),
        "assistant" if prefixed => Ok(()),
        "" => Err(ApiError::bad_request("Conversation must have at least one message")
            .kind("invalid_request_error")),
        last => Err(order(format!(
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got {last}"
        ))),
    }
}

fn follows(before: &str, role: &str, open: &[&str]) -> Result<(), ApiError> {
    let allowed: &[&str] = match before {
        "" | "system" | "user" => &["system", "user", "assistant"],
        "assistant" if !open.is_empty() => &["tool"],
        "assistant" => &["user", "assistant", "system"],
        _ => &["tool", "assistant"],
    };
    if before == "tool" && role == "assistant" && !open.is_empty() {
        return Err(order("Not the same number of function calls and responses"));
    }
    if allowed.contains(&role) {
        return Ok(());
    }
    if before == "assistant" && !open.is_empty() {
        return Err(order("Not the same number of function calls and responses"));
    }
    let after = if before.is_empty() { "the start" } else { before };
    Err(order(format!("Unexpected role '{role}' after role '{after}'")))
}

fn check_id(id: &str) -> Result<(), ApiError> {
    if id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let message = format!("Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of {ID_CHARS}.");
    Err(ApiError::bad_request(message).kind("invalid_function_call").code("3280"))
}

fn answer(message: &Value, open: &mut Vec<&str>) -> Result<(), ApiError> {
    let id = text_at(message, "tool_call_id");
    check_id(id)?;
    match open.iter().position(|call| *call == id) {
        Some(at) => {
            open.swap_remove(at);
            Ok(())
        }
        None => Err(ApiError::bad_request(format!("Unexpected tool call id {id} in tool results"))
            .kind("invalid_function_call")
            .code("3280")),
    }
}

fn assistant(message: &Value) -> Result<Vec<&str>, ApiError> {
    let calls = items_at(message, "tool_calls");
    for call in calls {
        check_id(text_at(call, "id"))?;
    }
    let empty = match message.get("content") {
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(chunks)) => chunks.is_empty(),
        _ => true,
    };
    if empty && calls.is_empty() {
        return Err(ApiError::bad_request(
            "Assistant message must have either content or tool_calls, but not none.",
        )
        .kind("invalid_request_assistant_message")
        .code("3240"));
    }
    Ok(calls.iter().map(|call| text_at(call, "id")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(extra: &Value) -> Value {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    fn taken(extra: Value) {
        assert_eq!(check(&body(&extra), Operation::Chat), Ok(()), "{extra}");
    }

    fn refused(extra: Value, code: &str, message: &str) {
        let error = check(&body(&extra), Operation::Chat).unwrap_err();
        assert_eq!((error.status, error.code.unwrap_or("")), (400, code), "{extra}: {error:?}");
        assert!(error.message.contains(message), "{extra}: {error:?}");
    }

    fn wrong(extra: Value, kind: &str, location: Value) {
        let error = check(&body(&extra), Operation::Chat).unwrap_err();
        let detail = error.details.unwrap_or_default();
        let found = (error.status, &detail[0]["type"], &detail[0]["loc"]);
        assert_eq!(found, (422, &json!(kind), &location), "{extra}");
    }

    fn call(id: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
    }

    #[test]
    fn what_the_package_can_write_is_taken() {
        taken(
            json!({"random_seed": 1, "safe_prompt": true, "stop": "x", "n": 2, "temperature": 1.5, "top_p": 0.5}),
        );
        taken(json!({"prediction": {"type": "content", "content": "x"}, "parallel_tool_calls": false}));
        taken(
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": true}}],
            "tool_choice": "any"}),
        );
        taken(
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}),
        );
        taken(json!({"messages": [
            {"role": "system", "content": [{"type": "text", "text": "s"}]},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": "https://example.com/x.png"},
                {"type": "image_url", "image_url": {"url": "https://example.com/x.png", "detail": "low"}},
                {"type": "document_url", "document_url": "https://example.com/x.pdf"},
            ]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}],
                "tool_calls": [call("abcdefghi"), call("ABCDEF123")]},
            {"role": "tool", "tool_call_id": "ABCDEF123", "name": "f", "content": "r"},
            {"role": "tool", "tool_call_id": "abcdefghi", "content": [{"type": "reference", "reference_ids": [1]}]},
        ]}));
        taken(
            json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "prefix": true}]}),
        );
    }

    #[test]
    fn a_wrong_field_is_listed_with_its_place() {
        for name in ["seed", "user", "stream_options", "max_completion_tokens", "logit_bias", "store"] {
            let mut extra = json!({});
            extra[name] = json!(1);
            wrong(extra, "extra_forbidden", json!(["body", name]));
        }
        let named = json!([{"role": "user", "content": "x", "name": "n"}]);
        wrong(json!({"messages": named}), "extra_forbidden", json!(["body", "messages", 0, "user", "name"]));
        let thinking = json!([{"role": "assistant", "content": "x", "reasoning_content": "t"}]);
        let location = json!(["body", "messages", 0, "assistant", "reasoning_content"]);
        wrong(json!({"messages": thinking}), "extra_forbidden", location);
        let tool = json!([{"type": "function", "function": {"name": "f"}}]);
        let location = json!(["body", "tools", 0, "function", "function", "parameters"]);
        wrong(json!({"tools": tool}), "missing", location);
        wrong(json!({"temperature": 2}), "less_than_equal", json!(["body", "temperature"]));
        wrong(
            json!({"messages": [{"role": "developer", "content": "x"}]}),
            "literal_error",
            json!(["body", "messages", 0, "role"]),
        );
    }

    #[test]
    fn a_conversation_in_the_wrong_order_has_its_code() {
        let user = json!({"role": "user", "content": "x"});
        let said = json!({"role": "assistant", "content": "y"});
        let calls = json!({"role": "assistant", "tool_calls": [call("abcdefghi")]});
        let result = json!({"role": "tool", "tool_call_id": "abcdefghi", "content": "r"});
        refused(json!({"messages": [user, said]}), "3230", "Expected last role User or Tool");
        refused(
            json!({"messages": [user, calls, result, user]}),
            "3230",
            "Unexpected role 'user' after role 'tool'",
        );
        refused(json!({"messages": [user, calls, user]}), "3230", "Not the same number of function calls");
        refused(json!({"messages": [user, result]}), "3230", "Unexpected role 'tool' after role 'user'");
        let openai = json!({"role": "assistant", "tool_calls": [call("call_0fypS1hVX")]});
        refused(
            json!({"messages": [user, openai]}),
            "3280",
            "Tool call id was call_0fypS1hVX but must be a-z",
        );
        refused(
            json!({"messages": [user, {"role": "assistant", "content": ""}]}),
            "3240",
            "either content or tool_calls",
        );
        refused(json!({"temperature": 0, "top_p": 0.9}), "", "greedy sampling");
    }
}
