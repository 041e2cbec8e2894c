//! The OpenAI surface: what it accepts, what a request asks for, what it replies.
//!
//! Owns: reading a body into an [`Ask`]; credentials; headers. Leaves to others: `check` the rules of a body, `reply`
//! the shapes of replies, `azure` what Azure does differently.
//!
//! **Invariant:** a body that `check` lets through is one that the official API reference allows.

pub(crate) mod check;
pub(crate) mod embedding;
pub(crate) mod messages;
pub(crate) mod reply;
pub(crate) mod schema;
mod tables;

use crate::ask::{
    Ask, PromptCount, Thinking, Tool, ToolChoice, flag_at, items_at, number_at, text_at, texts_at,
};
use crate::error::ApiError;
use http::HeaderMap;
use serde_json::{Value, json};

/// The key of `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
}

/// The refusal of a request without a key.
pub(crate) fn missing_key() -> ApiError {
    // The code is null here, unlike that for a wrong key.
    ApiError::new(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth \
         (i.e. Authorization: Bearer YOUR_KEY).",
    )
    .code("")
}

/// The refusal of a wrong key.
pub(crate) fn wrong_key(key: &str) -> ApiError {
    let head: String = key.chars().take(8).collect();
    ApiError::new(
        401,
        format!("Incorrect API key provided: {head}***. Check the key in your account's settings."),
    )
}

/// Reads what a chat asks for.
pub(crate) fn read_chat(body: &Value, model: &str) -> Ask {
    let mut count = PromptCount { tokens: 3 };
    let mut ask = Ask { model: model.to_owned(), choices: choices(body), ..Ask::default() };
    for message in items_at(body, "messages") {
        count.message();
        let text = content_text(message, &mut count);
        for call in items_at(message, "tool_calls") {
            count.json(call);
        }
        match text_at(message, "role") {
            "user" => (ask.last_user, ask.tool_result) = (text, None),
            "tool" | "function" => ask.tool_result.get_or_insert_default().push_str(&text),
            "assistant" => {
                ask.tool_result = None;
                ask.begun = (message.get("prefix") == Some(&Value::Bool(true))).then_some(text);
            }
            _ => {}
        }
    }
    for tool in items_at(body, "tools") {
        count.json(tool);
        let function = tool.get("function").or_else(|| tool.get("custom")).unwrap_or(&Value::Null);
        let schema = match tool.get("custom") {
            Some(_) => json!({"type": "object", "properties": {"input": {"type": "string"}}}),
            None => function.get("parameters").cloned().unwrap_or_else(|| json!({"type": "object"})),
        };
        ask.tools.push(Tool { name: text_at(function, "name").to_owned(), schema });
    }
    ask.prompt_tokens = count.tokens;
    ask.tool_choice = tool_choice(body);
    ask.parallel = body.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true);
    ask.schema = body.pointer("/response_format/json_schema/schema").cloned();
    ask.json = body.pointer("/response_format/type").and_then(Value::as_str) == Some("json_object");
    ask.max_tokens = number_at(body, "max_completion_tokens").or_else(|| number_at(body, "max_tokens"));
    read_stream(body, &mut ask);
    let effort = text_at(body, "reasoning_effort");
    ask.thinking = if matches!(effort, "" | "none") { Thinking::Off } else { Thinking::Hidden };
    ask
}

fn choices(body: &Value) -> usize {
    number_at(body, "n").and_then(|n| usize::try_from(n).ok()).unwrap_or(1).clamp(1, 128)
}

fn read_stream(body: &Value, ask: &mut Ask) {
    ask.stop = texts_at(body, "stop");
    ask.stream = flag_at(body, "stream");
    ask.include_usage = body.get("stream_options").is_some_and(|options| flag_at(options, "include_usage"));
}

/// Reads what a legacy completion asks for.
pub(crate) fn read_completion(body: &Value, model: &str) -> Ask {
    let mut count = PromptCount::default();
    let mut ask = Ask { model: model.to_owned(), choices: choices(body), ..Ask::default() };
    match body.get("prompt") {
        Some(Value::String(text)) => {
            count.text(text);
            ask.last_user.clone_from(text);
        }
        Some(Value::Array(items)) => {
            for item in items {
                match item {
                    Value::String(text) => {
                        count.text(text);
                        ask.last_user.clone_from(text);
                    }
                    Value::Array(tokens) => count.tokens += tokens.len() as u64,
                    _ => count.tokens += 1,
                }
            }
        }
        _ => {}
    }
    ask.prompt_tokens = count.tokens;
    // The legacy API's own default.
    ask.max_tokens = Some(number_at(body, "max_tokens").unwrap_or(16));
    read_stream(body, &mut ask);
    ask
}

fn tool_choice(body: &Value) -> ToolChoice {
    match body.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => ToolChoice::Never,
        Some(Value::String(word)) if word == "required" => ToolChoice::Any,
        Some(choice @ Value::Object(_)) => {
            if choice.pointer("/allowed_tools/mode").and_then(Value::as_str) == Some("required") {
                return ToolChoice::Any;
            }
            let named = choice.pointer("/function/name").or_else(|| choice.pointer("/custom/name"));
            named.and_then(Value::as_str).map_or(ToolChoice::Free, |name| ToolChoice::Named(name.to_owned()))
        }
        _ => ToolChoice::Free,
    }
}

fn content_text(message: &Value, count: &mut PromptCount) -> String {
    if let Some(text) = message.get("content").and_then(Value::as_str) {
        count.text(text);
        return text.to_owned();
    }
    let mut all = String::new();
    for part in items_at(message, "content") {
        match text_at(part, "type") {
            "text" => {
                count.text(text_at(part, "text"));
                all.push_str(text_at(part, "text"));
            }
            "refusal" => count.text(text_at(part, "refusal")),
            _ => count.attachment(),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_read_for_what_it_asks() {
        let body = json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": [
                    {"type": "text", "text": "look: "},
                    {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}},
                ]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": false,
            "max_tokens": 7,
            "stop": "x",
            "stream": true,
            "stream_options": {"include_usage": true},
            "reasoning_effort": "low",
        });
        let ask = read_chat(&body, "m");
        assert_eq!(ask.last_user, "look: ");
        assert_eq!(ask.tool_choice, ToolChoice::Named("f".to_owned()));
        assert_eq!(
            (ask.max_tokens, ask.parallel, ask.stream, ask.include_usage),
            (Some(7), false, true, true)
        );
        assert_eq!((ask.stop, ask.thinking), (vec!["x".to_owned()], Thinking::Hidden));
        let tool = body["tools"][0].to_string().len().div_ceil(4) as u64;
        assert_eq!(ask.prompt_tokens, 3 + 4 + 2 + 4 + 2 + 85 + tool);
    }

    #[test]
    fn tool_results_at_the_end_are_what_the_answer_is_about() {
        let body = json!({"messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "tool_calls": [{"id": "c"}]},
            {"role": "tool", "tool_call_id": "c", "content": "rain"},
        ]});
        assert_eq!(read_chat(&body, "m").tool_result.as_deref(), Some("rain"));
    }

    #[test]
    fn a_legacy_completion_has_a_small_limit_of_its_own() {
        let ask = read_completion(&json!({"prompt": ["abcd", [1, 2]]}), "m");
        assert_eq!((ask.max_tokens, ask.prompt_tokens, ask.last_user.as_str()), (Some(16), 3, "abcd"));
    }
}
