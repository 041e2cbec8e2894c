//! The rules of Cohere's request bodies, and its words for a broken one.
//!
//! Owns: rules that relate fields and messages; the translation of a [`Violation`] into Cohere's error. Leaves to
//! others: the fields (`tables`).
//!
//! **Invariant:** a field that does not exist or has the wrong type is a 422, a value that is not allowed a 400, as
//! Cohere's error guide has it. Of several faults the first is reported.

use super::tables::{CHAT, EMBED, EMBED_V1, RERANK, RERANK_V1};
use crate::ask::{items_at, number_at, text_at};
use crate::error::ApiError;
use crate::shape::{self, Field, Keys, Step, Violation, Wrong};
use serde_json::Value;

/// What ends a sentence about a field that is wrong.
const SEE: &str = "For proper usage, please refer to https://docs.cohere.com/reference/about";

fn invalid(message: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(format!("invalid request: {message}"))
}

fn fields(body: &Value, fields: &'static [Field]) -> Result<(), ApiError> {
    let Some(object) = body.as_object() else {
        return Err(invalid("the body must be a JSON object"));
    };
    shape::check(object, fields, Keys::Exact).first().map_or(Ok(()), |violation| Err(spell(violation)))
}

fn is_set(body: &Value, key: &str) -> bool {
    body.get(key).is_some_and(|value| !value.is_null())
}

/// Checks a chat.
pub(super) fn chat(body: &Value) -> Result<(), ApiError> {
    fields(body, CHAT)?;
    let tools = items_at(body, "tools");
    if is_set(body, "tool_choice") && tools.is_empty() {
        return Err(invalid("tool_choice can only be specified if tools are also specified"));
    }
    if body.get("strict_tools") == Some(&Value::Bool(true)) && tools.is_empty() {
        return Err(invalid("strict_tools can only be specified if tools are also specified"));
    }
    for tool in tools {
        let parameters = tool.pointer("/function/parameters").unwrap_or(&Value::Null);
        let empty = parameters.as_object().is_none_or(serde_json::Map::is_empty);
        if !empty && text_at(parameters, "type") != "object" {
            let name = tool.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
            return Err(invalid(format!(
                "the parameters of tool {name} must be a JSON schema of type object"
            )));
        }
    }
    response_format(body)?;
    messages(items_at(body, "messages"))
}

fn response_format(body: &Value) -> Result<(), ApiError> {
    let Some(format) = body.get("response_format").filter(|format| text_at(format, "type") == "json_object")
    else {
        return Ok(());
    };
    if !items_at(body, "tools").is_empty() || !items_at(body, "documents").is_empty() {
        return Err(invalid("response_format of type json_object is not supported with tools or documents"));
    }
    match schema(format) {
        Some(schema) if text_at(schema, "type") != "object" => {
            Err(invalid("the top-level type of response_format.json_schema must be object"))
        }
        _ => Ok(()),
    }
}

/// The schema of a format: the reference's `json_schema`, or `schema`, which the guide to structured outputs writes.
pub(super) fn schema(format: &Value) -> Option<&Value> {
    ["json_schema", "schema"].into_iter().find_map(|name| format.get(name).filter(|schema| !schema.is_null()))
}

/// Every call of an assistant message is answered by tool messages before anything else comes.
fn messages(messages: &[Value]) -> Result<(), ApiError> {
    if messages.is_empty() {
        return Err(invalid("messages must contain at least one message"));
    }
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = text_at(message, "role");
        if role == "tool" {
            let id = text_at(message, "tool_call_id");
            let Some(at) = open.iter().position(|call| *call == id) else {
                return Err(invalid(format!(
                    "tool_call_id {id} of the message at index {index} does not match a preceding tool call"
                )));
            };
            open.swap_remove(at);
            continue;
        }
        answered(&open)?;
        if role == "assistant" {
            open = items_at(message, "tool_calls").iter().map(|call| text_at(call, "id")).collect();
        }
        content(message, index)?;
    }
    answered(&open)
}

fn answered(open: &[&str]) -> Result<(), ApiError> {
    if open.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "every tool call must be followed by a tool message, missing for: {}",
        open.join(", ")
    )))
}

fn content(message: &Value, index: usize) -> Result<(), ApiError> {
    let empty = match message.get("content") {
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(blocks)) => blocks.is_empty(),
        _ => true,
    };
    let role = text_at(message, "role");
    let calls = role == "assistant" && !items_at(message, "tool_calls").is_empty();
    if empty && !calls {
        return Err(invalid(format!(
            "the {role} message at index {index} must have non-empty content or tool_calls"
        )));
    }
    for block in items_at(message, "content").iter().filter(|block| text_at(block, "type") == "image_url") {
        let url = block.pointer("/image_url/url").and_then(Value::as_str).unwrap_or_default();
        if !is_image(url) {
            return Err(invalid("image_url.url must be a base64 data URI or a valid web URL"));
        }
    }
    Ok(())
}

/// Whether text is a web address or a data URI of an image in base64.
fn is_image(url: &str) -> bool {
    if let Some(data) = url.strip_prefix("data:image/") {
        let (_, encoded) = data.split_once(";base64,").unwrap_or_default();
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        return !encoded.is_empty() && encoded.bytes().all(is_letter);
    }
    url.starts_with("https://") || url.starts_with("http://")
}

/// Checks a request for embeddings.
pub(super) fn embed(body: &Value, version: u8) -> Result<(), ApiError> {
    fields(body, if version == 1 { EMBED_V1 } else { EMBED })?;
    let given: Vec<&str> =
        ["texts", "images", "inputs"].into_iter().filter(|key| !items_at(body, key).is_empty()).collect();
    let [given] = given.as_slice() else {
        return Err(invalid(
            "exactly one of texts, images and inputs must be specified and must not be empty",
        ));
    };
    let model = text_at(body, "model");
    if version == 1 && model.contains("-v3") && !is_set(body, "input_type") {
        return Err(invalid("input_type must be specified for models of version 3"));
    }
    if items_at(body, "images")
        .iter()
        .any(|image| !image.as_str().is_some_and(|uri| uri.starts_with("data:image/")))
    {
        return Err(invalid("images must be data URIs"));
    }
    if *given == "texts" && items_at(body, "texts").iter().any(|text| text.as_str() == Some("")) {
        return Err(invalid("texts must not contain empty strings"));
    }
    let Some(dimension) = number_at(body, "output_dimension") else { return Ok(()) };
    if model.contains("-v3") || model.contains("-v2") {
        return Err(invalid(format!("output_dimension is not supported by model {model}")));
    }
    if ![256, 512, 1024, 1536].contains(&dimension) {
        return Err(invalid("output_dimension must be one of 256, 512, 1024, 1536"));
    }
    Ok(())
}

/// Checks a request to rank.
pub(super) fn rerank(body: &Value, version: u8) -> Result<(), ApiError> {
    fields(body, if version == 1 { RERANK_V1 } else { RERANK })?;
    if text_at(body, "query").trim().is_empty() {
        return Err(invalid("query must not be empty or be only whitespace"));
    }
    let named = !items_at(body, "rank_fields").is_empty();
    let readable = |document: &Value| {
        document.is_string() || named || document.get("text").is_some_and(Value::is_string)
    };
    if !items_at(body, "documents").iter().all(readable) {
        return Err(invalid("each document must be a string or have a text field"));
    }
    Ok(())
}

fn spell(violation: &Violation) -> ApiError {
    let name = violation.path.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) | Step::Case(_) => None,
    });
    let name = name.unwrap_or_default();
    let wrong_type = |message: String| ApiError::new(422, format!("{message} {SEE}"));
    match &violation.wrong {
        Wrong::Unknown => wrong_type(format!("unknown field: parameter '{name}' is not a valid field.")),
        Wrong::Missing => invalid(format!("{name} is required")),
        Wrong::Type { expected, got } => {
            let expected = expected.trim_start_matches("an ").trim_start_matches("a ");
            wrong_type(format!(
                "invalid type: parameter '{name}' is of type {} but should be of type {expected}.",
                kind_of(got)
            ))
        }
        Wrong::Word { given, allowed } => {
            invalid(format!("{name} must be one of {}, got '{given}'", allowed.join(", ")))
        }
        Wrong::Below { min, .. } => invalid(format!("{name} must be at least {min}")),
        Wrong::Above { max, .. } => invalid(format!("{name} must be at most {max}")),
        Wrong::Pattern => invalid(format!("{name} has characters that are not allowed")),
        Wrong::TooLong { max, .. } => invalid(format!("{name} must have at most {max} characters")),
        Wrong::TooFew { min } => invalid(format!("{name} must have at least {min} element")),
        Wrong::TooMany { max, len } => invalid(format!("{name} must have at most {max} elements, got {len}")),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
