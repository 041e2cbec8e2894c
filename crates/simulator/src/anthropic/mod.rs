//! The Anthropic surface: what it accepts, what a request asks for, what it replies.
//!
//! Owns: reading a body into an [`Ask`]; credentials and versions. Leaves to others: `check` the rules of a body,
//! `turns` the order of its messages, `reply` the shapes of replies.
//!
//! **Invariant:** a body that `check` lets through is one that the official API reference allows.

pub(crate) mod batches;
pub(crate) mod blocks;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod model;
pub(crate) mod reply;
mod tables;
mod turns;
mod usage;

use crate::ask::{
    Ask, PromptCount, Thinking, Tool, ToolChoice, flag_at, items_at, number_at, text_at, texts_at,
};
use crate::error::ApiError;
use crate::extras::{Document, DocumentKind};
use crate::openai::bearer;
use http::HeaderMap;
use serde_json::{Value, json};

/// A version of the API (versions page).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// `2023-01-01` and `2023-06-01`, whose requests are the same.
    V2023,
    /// `2026-10-21`, without sampling parameters; the official packages send it since their majors of that day.
    V2026,
}

/// The key: `x-api-key`, or a bearer token.
pub(crate) fn credential(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get("x-api-key").and_then(|value| value.to_str().ok()).filter(|key| !key.is_empty());
    key.or_else(|| bearer(headers))
}

/// The refusal of a request without a key.
pub(crate) fn missing_key() -> ApiError {
    ApiError::new(401, "x-api-key header is required")
}

/// The refusal of a wrong key.
pub(crate) fn wrong_key() -> ApiError {
    ApiError::new(401, "invalid x-api-key")
}

/// Refuses a member that only a beta feature has, without the header that turns the feature on.
pub(crate) fn check_betas(body: &Value, headers: &HeaderMap) -> Result<(), ApiError> {
    let betas = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    let is_on =
        betas.flat_map(|list| list.split(',')).any(|beta| beta.trim().starts_with("context-management-"));
    if body.get("context_management").is_some() && !is_on {
        return Err(ApiError::bad_request("context_management: Extra inputs are not permitted"));
    }
    Ok(())
}

/// Reads `anthropic-version`.
pub(crate) fn version(headers: &HeaderMap) -> Result<Version, ApiError> {
    match headers.get("anthropic-version").map(|value| value.to_str().unwrap_or_default()) {
        None => Err(ApiError::bad_request("anthropic-version: header is required")),
        Some("2023-01-01" | "2023-06-01") => Ok(Version::V2023),
        Some("2026-10-21") => Ok(Version::V2026),
        Some(version) => {
            Err(ApiError::bad_request(format!("anthropic-version: \"{version}\" is not a valid version")))
        }
    }
}

/// Reads what a request asks for.
pub(crate) fn read(body: &Value) -> Ask {
    let mut count = PromptCount { tokens: 3 };
    let mut ask = Ask { model: text_at(body, "model").to_owned(), choices: 1, ..Ask::default() };
    system(body, &mut count);
    for message in items_at(body, "messages") {
        count.message();
        let (text, result) = content(message, &mut count);
        if text_at(message, "role") == "user" {
            (ask.last_user, ask.tool_result, ask.begun) = (text, result, None);
        } else {
            (ask.tool_result, ask.begun) = (None, Some(text));
        }
    }
    for tool in items_at(body, "tools") {
        count.json(tool);
        let schema = tool.get("input_schema").cloned().unwrap_or_else(|| json!({"type": "object"}));
        ask.tools.push(Tool { name: text_at(tool, "name").to_owned(), schema });
    }
    ask.prompt_tokens = count.tokens;
    ask.documents = documents(body);
    ask.searches = items_at(body, "tools").iter().any(|tool| text_at(tool, "type").starts_with("web_search"));
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    ask.tool_choice = match text_at(choice, "type") {
        "any" => ToolChoice::Any,
        "tool" => ToolChoice::Named(text_at(choice, "name").to_owned()),
        "none" => ToolChoice::Never,
        _ => ToolChoice::Free,
    };
    ask.parallel = !flag_at(choice, "disable_parallel_tool_use");
    ask.schema = body.pointer("/output_config/format/schema").cloned();
    ask.max_tokens = number_at(body, "max_tokens");
    ask.stop = texts_at(body, "stop_sequences");
    ask.stream = flag_at(body, "stream");
    let thinking = body.pointer("/thinking/type").and_then(Value::as_str);
    ask.thinking =
        if matches!(thinking, Some("enabled" | "adaptive")) { Thinking::Shown } else { Thinking::Off };
    ask
}

fn system(body: &Value, count: &mut PromptCount) {
    match body.get("system") {
        Some(Value::String(text)) => count.text(text),
        Some(blocks) => {
            for block in blocks.as_array().into_iter().flatten() {
                count.text(text_at(block, "text"));
            }
        }
        None => {}
    }
}

/// The documents and search results that the answer is to cite.
fn documents(body: &Value) -> Vec<Document> {
    let cites = |block: &Value| block.pointer("/citations/enabled") == Some(&Value::Bool(true));
    let mut found = Vec::new();
    let (mut documents, mut results) = (0, 0);
    for block in items_at(body, "messages").iter().flat_map(|message| items_at(message, "content")) {
        let inner = if text_at(block, "type") == "tool_result" { items_at(block, "content") } else { &[] };
        for block in std::iter::once(block).chain(inner) {
            match text_at(block, "type") {
                "document" => {
                    if cites(block) {
                        found.push(document(block, documents));
                    }
                    documents += 1;
                }
                "search_result" => {
                    let text = items_at(block, "content").first().map_or("", |part| text_at(part, "text"));
                    let kind = DocumentKind::SearchResult(text_at(block, "source").to_owned());
                    if cites(block) {
                        found.push(Document::new(results, Some(text_at(block, "title")), text, kind));
                    }
                    results += 1;
                }
                _ => {}
            }
        }
    }
    found
}

fn document(block: &Value, index: usize) -> Document {
    let source = block.get("source").unwrap_or(&Value::Null);
    let (text, kind) = match text_at(source, "type") {
        "text" => (text_at(source, "data"), DocumentKind::Text),
        "content" => {
            let first = items_at(source, "content").first().map(|part| text_at(part, "text"));
            (first.unwrap_or(text_at(source, "content")), DocumentKind::Blocks)
        }
        _ => ("The first page.", DocumentKind::Pages),
    };
    Document::new(index, block.get("title").and_then(Value::as_str), text, kind)
}

/// The text of a message, and that of its tool results.
fn content(message: &Value, count: &mut PromptCount) -> (String, Option<String>) {
    if let Some(text) = message.get("content").and_then(Value::as_str) {
        count.text(text);
        return (text.to_owned(), None);
    }
    let mut text = String::new();
    let mut result: Option<String> = None;
    for block in items_at(message, "content") {
        match text_at(block, "type") {
            "text" => {
                count.text(text_at(block, "text"));
                text.push_str(text_at(block, "text"));
            }
            "tool_result" => {
                let (said, _) = content(block, count);
                let result = result.get_or_insert_default();
                result.push_str(&said);
                // Of documents, those of words are read; an attachment's tokens are counted already.
                let documents = items_at(block, "content").iter().filter_map(|part| part.get("source"));
                for source in documents.filter(|source| text_at(source, "type") == "text") {
                    result.push_str(text_at(source, "data"));
                }
            }
            "tool_use" => count.json(block),
            "thinking" => count.text(text_at(block, "thinking")),
            _ => count.attachment(),
        }
    }
    (text, result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_request_is_read_for_what_it_asks() {
        let body = json!({
            "model": "claude", "max_tokens": 9, "stream": true, "stop_sequences": ["x"],
            "system": [{"type": "text", "text": "abcd"}],
            "messages": [
                {"role": "user", "content": "weather"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": [
                        {"type": "text", "text": "rain"},
                        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "fall"}},
                    ]},
                    {"type": "text", "text": "and?"},
                ]},
            ],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        });
        let ask = read(&body);
        assert_eq!((ask.last_user.as_str(), ask.tool_result.as_deref()), ("and?", Some("rainfall")));
        assert_eq!((ask.parallel, ask.max_tokens, ask.stream), (false, Some(9), true));
        assert_eq!((ask.thinking, ask.tools.len()), (Thinking::Shown, 1));
    }

    #[test]
    fn the_version_header_is_demanded() {
        let mut headers = HeaderMap::new();
        assert!(version(&headers).unwrap_err().message.contains("header is required"));
        headers.insert("anthropic-version", HeaderValue::from_static("2020-01-01"));
        assert!(version(&headers).unwrap_err().message.contains("not a valid version"));
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        assert_eq!(version(&headers), Ok(Version::V2023));
        let body = json!({"context_management": {"edits": []}});
        assert!(check_betas(&body, &headers).is_err());
        headers.insert("anthropic-beta", "oauth-2025-04-20, context-management-2025-06-27".parse().unwrap());
        assert_eq!(check_betas(&body, &headers), Ok(()));
    }
}
