//! Ollama's own API: chat, generate, embed, models.
//!
//! Owns: its routes, its words for a refusal, reading a body into an [`Ask`]. Leaves to others: `check` the rules of a
//! body, `reply` the shapes of replies.
//!
//! **Invariant:** without `stream: false` the answer is a stream of lines of JSON.

mod check;
mod reply;

use crate::ask::{Ask, PromptCount, Thinking, Tool, items_at, text_at, texts_at};
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::openai::embedding;
use crate::reply::{Event, Making, Reply, Role};
use crate::server::Shared;
use crate::surface::{Operation, Route, Surface};
use crate::wire::{Found, Trouble, Turn, Wire};
use http::Method;
use serde_json::{Value, json};

/// Ollama.
#[derive(Debug)]
pub(crate) struct Ollama;

impl Wire for Ollama {
    fn surface(&self) -> Surface {
        Surface::Ollama
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        let operation = match path.strip_prefix("/api/")? {
            "chat" => Operation::Chat,
            "generate" => Operation::Completion,
            "embed" | "embeddings" => Operation::Embedding,
            "tags" | "ps" | "version" => Operation::ListModels,
            "show" => Operation::ShowModel,
            _ => return None,
        };
        Some((operation, None))
    }

    fn owns(&self, path: &str) -> bool {
        path.starts_with("/api/")
    }

    fn model(&self, _shared: &Shared, _route: &Route, body: &Value) -> String {
        let name = if body.get("model").is_some() { "model" } else { "name" };
        // A tag, as a rule `:latest`, is no part of a name that spells a behaviour.
        text_at(body, name).trim_end_matches(":latest").to_owned()
    }

    fn check_credential(&self, shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
        match asked.credential.as_deref() {
            Some(key) if !crate::admission::is_good(shared, key) => Err(self.error(Trouble::WrongKey)),
            // The server itself has no keys; one before it may.
            _ => Ok(()),
        }
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        match operation {
            Operation::ListModels => Ok(()),
            other => check::check(&asked.json, other),
        }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let body = &asked.json;
        match asked.route.operation {
            Some(Operation::Chat) => read_chat(body),
            Some(Operation::Completion) => read_generate(body),
            Some(Operation::Embedding) => {
                Ask { prompt_tokens: embedding::prompt_tokens(&reply::embed_input(body)), ..Ask::default() }
            }
            _ => Ask::default(),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let body = turn.body();
        let path = turn.asked.head.uri.path();
        let models = || turn.shared.script.read(|script| script.models.clone());
        Ok(match turn.operation() {
            Operation::Chat | Operation::Completion if turn.ask.stream => {
                reply::lines(reply::events(body, turn.operation(), making))
            }
            Operation::Chat | Operation::Completion => {
                Reply::json(&reply::whole(body, turn.operation(), making))
            }
            Operation::Embedding => {
                Reply::json(&reply::embeddings(body, path.ends_with("/embeddings"), making))
            }
            Operation::ShowModel => Reply::json(&reply::model(&turn.asked.model, making.created)),
            _ if path.ends_with("/version") => Reply::json(&json!({"version": "0.13.0"})),
            _ if path.ends_with("/ps") => Reply::json(&json!({"models": []})),
            _ => Reply::json(&reply::models(&models(), making.created)),
        })
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let message = match trouble {
            Trouble::MissingKey | Trouble::WrongKey => "unauthorized".to_owned(),
            Trouble::NoRoute { .. } => "404 page not found".to_owned(),
            Trouble::WrongMethod { .. } => "405 method not allowed".to_owned(),
            Trouble::NotJson { reason } => reason.to_owned(),
            Trouble::ContextWindow { .. } => "the input length exceeds the context length".to_owned(),
            Trouble::Status { code: 503, .. } => {
                "server busy, please try again.  maximum pending requests exceeded".to_owned()
            }
            other => other.sentence(),
        };
        ApiError::new(trouble.status(), message)
    }

    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        json!({"error": error.message})
    }

    fn error_event(&self, error: &ApiError) -> Event {
        reply::line(Role::End, &self.error_body(error, ""))
    }
}

fn common(body: &Value, count: &PromptCount) -> Ask {
    let options = body.get("options").unwrap_or(&Value::Null);
    let format = body.get("format").unwrap_or(&Value::Null);
    let think = match body.get("think") {
        Some(Value::Bool(think)) => *think,
        Some(Value::String(_)) => true,
        _ => false,
    };
    // A number below one means no limit.
    let limit = options.get("num_predict").and_then(Value::as_i64).filter(|limit| *limit > 0);
    Ask {
        model: text_at(body, "model").to_owned(),
        prompt_tokens: count.tokens,
        choices: 1,
        parallel: true,
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(true),
        stop: texts_at(options, "stop"),
        max_tokens: limit.and_then(|limit| u64::try_from(limit).ok()),
        schema: format.is_object().then(|| format.clone()),
        json: format == "json",
        thinking: if think { Thinking::Shown } else { Thinking::Off },
        ..Ask::default()
    }
}

fn read_chat(body: &Value) -> Ask {
    let mut count = PromptCount { tokens: 3 };
    let (mut last_user, mut tool_result) = (String::new(), None::<String>);
    for message in items_at(body, "messages") {
        count.message();
        let text = text_at(message, "content");
        count.text(text);
        count.text(text_at(message, "thinking"));
        items_at(message, "images").iter().for_each(|_| count.attachment());
        items_at(message, "tool_calls").iter().for_each(|call| count.json(call));
        match text_at(message, "role") {
            "user" => (last_user, tool_result) = (text.to_owned(), None),
            "tool" => tool_result.get_or_insert_default().push_str(text),
            "assistant" => tool_result = None,
            _ => {}
        }
    }
    let mut tools = Vec::new();
    for tool in items_at(body, "tools") {
        count.json(tool);
        let function = tool.get("function").unwrap_or(&Value::Null);
        let schema = function.get("parameters").cloned().unwrap_or_else(|| json!({"type": "object"}));
        tools.push(Tool { name: text_at(function, "name").to_owned(), schema });
    }
    Ask { last_user, tool_result, tools, ..common(body, &count) }
}

fn read_generate(body: &Value) -> Ask {
    let mut count = PromptCount::default();
    for key in ["system", "prompt", "suffix"] {
        count.text(text_at(body, key));
    }
    count.tokens += items_at(body, "context").len() as u64;
    items_at(body, "images").iter().for_each(|_| count.attachment());
    Ask { last_user: text_at(body, "prompt").to_owned(), ..common(body, &count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_read_for_what_it_asks() {
        let body = json!({
            "model": "m",
            "messages": [
                {"role": "user", "content": "look", "images": ["AAAA"]},
                {"role": "assistant", "content": "", "tool_calls": [{"function": {}}]},
                {"role": "tool", "content": "rain"},
            ],
            "tools": [{"function": {"name": "f"}}],
            "options": {"num_predict": 7, "stop": ["x"]},
            "format": {"type": "object"},
            "think": "low",
        });
        let ask = read_chat(&body);
        assert_eq!((ask.last_user.as_str(), ask.tool_result.as_deref()), ("look", Some("rain")));
        assert_eq!((ask.max_tokens, ask.stream, ask.stop), (Some(7), true, vec!["x".to_owned()]));
        assert_eq!((ask.schema, ask.thinking), (Some(json!({"type": "object"})), Thinking::Shown));
        assert_eq!(ask.prompt_tokens, 3 + 3 * 4 + 1 + 85 + 4 + 1 + 7);
    }

    #[test]
    fn no_limit_is_a_number_below_one() {
        assert_eq!(read_generate(&json!({"prompt": "x", "options": {"num_predict": -1}})).max_tokens, None);
    }
}
