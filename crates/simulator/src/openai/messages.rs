//! The order of a chat's messages at OpenAI: every tool call is answered at once, and nothing else is.
//!
//! Owns: rules between messages, and rules inside one that no table can say. Leaves to others: the fields (`tables`).
//!
//! **Invariant:** the messages have passed the tables.

use crate::ask::{items_at, text_at};
use crate::error::ApiError;
use serde_json::Value;

/// Checks the messages of a chat.
pub(super) fn check(messages: &[Value]) -> Result<(), ApiError> {
    // Calls of the last assistant message that no tool message has answered.
    let mut open: Vec<&str> = Vec::new();
    let mut in_turn = false;
    for (index, message) in messages.iter().enumerate() {
        let role = text_at(message, "role");
        if role == "tool" {
            answer(&mut open, in_turn, message, index)?;
            continue;
        }
        all_answered(&open, index)?;
        in_turn = role == "assistant" && message.get("tool_calls").is_some();
        open = items_at(message, "tool_calls").iter().map(|call| text_at(call, "id")).collect();
        content(message, role, index)?;
    }
    all_answered(&open, messages.len())
}

fn answer(open: &mut Vec<&str>, in_turn: bool, message: &Value, index: usize) -> Result<(), ApiError> {
    if !in_turn {
        return Err(ApiError::bad_request(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with \
             'tool_calls'.",
        )
        .param(format!("messages.[{index}].role")));
    }
    let id = text_at(message, "tool_call_id");
    match open.iter().position(|call| *call == id) {
        Some(position) => {
            open.swap_remove(position);
            Ok(())
        }
        None => Err(ApiError::bad_request(format!(
            "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."
        ))
        .param(format!("messages.[{index}].tool_call_id"))),
    }
}

fn all_answered(open: &[&str], index: usize) -> Result<(), ApiError> {
    if open.is_empty() {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    ))
    .param(format!("messages.[{index}].role")))
}

fn content(message: &Value, role: &str, index: usize) -> Result<(), ApiError> {
    if role == "assistant" {
        let has = |key: &str| message.get(key).is_some_and(|value| !value.is_null());
        if !["content", "tool_calls", "function_call", "refusal", "audio"].into_iter().any(has) {
            return Err(ApiError::bad_request("Invalid value for 'content': expected a string, got null.")
                .param(format!("messages.[{index}].content")));
        }
    }
    for (part_index, part) in items_at(message, "content").iter().enumerate() {
        if text_at(part, "type") == "image_url" {
            let url = part.pointer("/image_url/url").and_then(Value::as_str).unwrap_or_default();
            image_url(url, &format!("messages[{index}].content[{part_index}].image_url.url"))?;
        }
        if let Some(data) = part.pointer("/file/file_data").and_then(Value::as_str) {
            pdf(data, &format!("messages[{index}].content[{part_index}].file.file_data"))?;
        }
    }
    Ok(())
}

/// Checks a file: chat completions read PDFs alone (OpenAI's guide to file inputs).
fn pdf(data: &str, param: &str) -> Result<(), ApiError> {
    let kind = data.strip_prefix("data:").and_then(|rest| rest.split(';').next());
    if kind.is_none_or(|kind| kind == "application/pdf") {
        return Ok(());
    }
    let message = format!(
        "Invalid file data: '{param}'. Expected a base64-encoded data URL with an application/pdf MIME type."
    );
    Err(ApiError::bad_request(message).param(param).code("invalid_value"))
}

/// Checks where an image is.
pub(crate) fn image_url(url: &str, param: &str) -> Result<(), ApiError> {
    if let Some(data) = url.strip_prefix("data:") {
        let (kind, encoded) = data.split_once(";base64,").unwrap_or_default();
        let supported = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&kind);
        let clean = !encoded.is_empty()
            && encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        if supported && clean {
            return Ok(());
        }
        let message = "You uploaded an unsupported image. Please make sure your image has of one the following \
                       formats: ['png', 'jpeg', 'gif', 'webp'].";
        return Err(ApiError::bad_request(message).param(param).code("invalid_image_format"));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(());
    }
    let message = format!("Invalid '{param}'. Expected a valid URL, but got a value with an invalid format.");
    Err(ApiError::bad_request(message).param(param).code("invalid_value"))
}
