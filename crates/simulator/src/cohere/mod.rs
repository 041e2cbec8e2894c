//! The Cohere surface: chat (version 2), embeddings and ranking (versions 1 and 2), models.
//!
//! Owns: its routes, its words for a refusal, reading a body into an [`Ask`]. Leaves to others: `check` the rules of a
//! body, `reply` and `vectors` the shapes of replies.
//!
//! **Invariant:** a body that `check` lets through is one that the official Python package can write.

mod check;
mod reply;
mod tables;
mod vectors;

pub(crate) use vectors::{document_text, quantized, rank};

use crate::ask::{
    Ask, PromptCount, Thinking, Tool, ToolChoice, flag_at, items_at, number_at, text_at, texts_at,
};
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::reply::{Event, Making, Reply, Role};
use crate::surface::{Operation, Surface};
use crate::wire::{Found, Trouble, Turn, Wire};
use http::Method;
use serde_json::{Value, json};

/// Cohere.
#[derive(Debug)]
pub(crate) struct Cohere;

fn version(asked: &Asked) -> u8 {
    if asked.head.uri.path().contains("/v1/") { 1 } else { 2 }
}

impl Wire for Cohere {
    fn surface(&self) -> Surface {
        Surface::Cohere
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        let operation = match path {
            "/v2/chat" => Operation::Chat,
            "/v1/embed" | "/v2/embed" => Operation::Embedding,
            "/v1/rerank" | "/v2/rerank" => Operation::Rerank,
            "/v1/models" => Operation::ListModels,
            _ => return None,
        };
        Some((operation, None))
    }

    fn owns(&self, path: &str) -> bool {
        path.starts_with("/v2/") || matches!(path, "/v1/embed" | "/v1/rerank")
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        match operation {
            Operation::Chat => check::chat(&asked.json),
            Operation::Embedding => check::embed(&asked.json, version(asked)),
            Operation::Rerank => check::rerank(&asked.json, version(asked)),
            _ => Ok(()),
        }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let body = &asked.json;
        match asked.route.operation {
            Some(Operation::Chat) => read_chat(body),
            Some(Operation::Embedding) => {
                Ask { prompt_tokens: vectors::tokens_to_embed(body), ..Ask::default() }
            }
            Some(Operation::Rerank) => Ask { prompt_tokens: vectors::tokens_to_rank(body), ..Ask::default() },
            _ => Ask::default(),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let body = turn.body();
        Ok(match turn.operation() {
            Operation::Chat if turn.ask.stream => Reply::events(reply::events(body, making)),
            Operation::Chat => Reply::json(&reply::chat(body, making)),
            Operation::Embedding => Reply::json(&vectors::embeddings(body, version(turn.asked), making)),
            Operation::Rerank => Reply::json(&vectors::ranking(body, version(turn.asked), making)),
            _ => Reply::json(&reply::models(&turn.shared.script.read(|script| script.models.clone()))),
        })
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let message = match trouble {
            Trouble::MissingKey => "no api key supplied".to_owned(),
            Trouble::WrongKey => "invalid api token".to_owned(),
            Trouble::NotJson { reason } => {
                format!("invalid request: the request body is not valid JSON: {reason}")
            }
            Trouble::ContextWindow { tokens, window } => format!(
                "too many tokens: size limit exceeded by {} tokens. Try using shorter or fewer inputs. The limit for \
                 this model is {window} tokens.",
                tokens.saturating_sub(window)
            ),
            Trouble::ContentPolicy => {
                return ApiError::new(
                    498,
                    "the request was blocked because it may violate the usage guidelines",
                );
            }
            Trouble::Quota => {
                return ApiError::new(
                    402,
                    "this API key has reached its billing limit, see the billing dashboard",
                );
            }
            Trouble::RateLimited => {
                "You are past the per minute request limit, please wait and try again later.".to_owned()
            }
            Trouble::Status { code: 401, .. } => "invalid api token".to_owned(),
            Trouble::Status { code: 404, model } => format!(
                "model '{model}' not found, make sure the correct model ID was used and that you have access to the \
                 model."
            ),
            Trouble::Status { code: 429, .. } => return self.error(Trouble::RateLimited),
            Trouble::Status { code: 498, .. } => return self.error(Trouble::ContentPolicy),
            other => other.sentence(),
        };
        ApiError::new(trouble.status(), message)
    }

    fn error_body(&self, error: &ApiError, request_id: &str) -> Value {
        json!({"id": uuid(request_id), "message": error.message})
    }

    fn error_event(&self, error: &ApiError) -> Event {
        let delta = json!({"finish_reason": "ERROR", "error": error.message});
        Event::named(Role::End, "message-end", &json!({"type": "message-end", "delta": delta}))
    }

    fn headers(&self, reply: Reply, request_id: &str) -> Reply {
        reply.header("x-debug-trace-id", request_id).header("x-endpoint-monthly-call-limit", "1000")
    }
}

/// 32 digits in the form of a UUID (RFC 9562); other text as it is.
pub(crate) fn uuid(digits: &str) -> String {
    let parts =
        [digits.get(..8), digits.get(8..12), digits.get(12..16), digits.get(16..20), digits.get(20..32)];
    match parts.into_iter().collect::<Option<Vec<&str>>>() {
        Some(parts) if digits.len() == 32 => parts.join("-"),
        _ => digits.to_owned(),
    }
}

fn read_chat(body: &Value) -> Ask {
    let mut count = PromptCount { tokens: 3 };
    let mut ask = Ask {
        model: text_at(body, "model").to_owned(),
        choices: 1,
        parallel: true,
        stream: flag_at(body, "stream"),
        stop: texts_at(body, "stop_sequences"),
        max_tokens: number_at(body, "max_tokens"),
        ..Ask::default()
    };
    for message in items_at(body, "messages") {
        count.message();
        let text = content_text(message, &mut count);
        count.text(text_at(message, "tool_plan"));
        for call in items_at(message, "tool_calls") {
            count.json(call);
        }
        match text_at(message, "role") {
            "user" => (ask.last_user, ask.tool_result) = (text, None),
            "tool" => ask.tool_result.get_or_insert_default().push_str(&text),
            "assistant" => ask.tool_result = None,
            _ => {}
        }
    }
    for document in items_at(body, "documents") {
        count.json(document);
    }
    for tool in items_at(body, "tools") {
        count.json(tool);
        let function = tool.get("function").unwrap_or(&Value::Null);
        let schema = function.get("parameters").cloned().unwrap_or_default();
        ask.tools.push(Tool { name: text_at(function, "name").to_owned(), schema });
    }
    ask.prompt_tokens = count.tokens;
    ask.tool_choice = match text_at(body, "tool_choice") {
        "REQUIRED" => ToolChoice::Any,
        "NONE" => ToolChoice::Never,
        _ => ToolChoice::Free,
    };
    let format = body.get("response_format").unwrap_or(&Value::Null);
    ask.schema = check::schema(format).cloned();
    ask.json = text_at(format, "type") == "json_object";
    let thinking = body.pointer("/thinking/type").and_then(Value::as_str);
    ask.thinking = if thinking == Some("enabled") { Thinking::Shown } else { Thinking::Off };
    ask
}

fn content_text(message: &Value, count: &mut PromptCount) -> String {
    if let Some(text) = message.get("content").and_then(Value::as_str) {
        count.text(text);
        return text.to_owned();
    }
    let mut all = String::new();
    for block in items_at(message, "content") {
        match text_at(block, "type") {
            "text" => {
                count.text(text_at(block, "text"));
                all.push_str(text_at(block, "text"));
            }
            "thinking" => count.text(text_at(block, "thinking")),
            "document" => {
                let data = block.pointer("/document/data").unwrap_or(&Value::Null);
                count.json(data);
                all.push_str(&document_text(data));
            }
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
            "model": "command-a-03-2025",
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": [
                    {"type": "text", "text": "look: "},
                    {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}},
                ]},
                {"role": "assistant", "tool_plan": "plan", "tool_calls": [{"id": "c"}]},
                {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": {"text": "rain"}}}]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            "tool_choice": "REQUIRED",
            "thinking": {"type": "enabled"},
            "stop_sequences": ["x"],
            "max_tokens": 7,
            "stream": true,
        });
        let ask = read_chat(&body);
        assert_eq!((ask.last_user.as_str(), ask.tool_result.as_deref()), ("look: ", Some("rain")));
        assert_eq!((ask.tool_choice, ask.thinking), (ToolChoice::Any, Thinking::Shown));
        assert_eq!((ask.max_tokens, ask.stream, ask.stop), (Some(7), true, vec!["x".to_owned()]));
        let tool = body["tools"][0].to_string().len().div_ceil(4) as u64;
        let (call, document) = (3, 4);
        assert_eq!(ask.prompt_tokens, 3 + 4 * 4 + 2 + 2 + 85 + 1 + call + document + tool);
    }

    #[test]
    fn a_uuid_is_made_of_its_digits() {
        assert_eq!(uuid("00112233445566778899aabbccddeeff"), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(uuid("req_simulated"), "req_simulated");
    }
}
