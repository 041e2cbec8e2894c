//! The Mistral surface: chat, fill-in-the-middle, embeddings, OCR, models.
//!
//! Owns: its routes, its words for a refusal, reading a body into an [`Ask`]. Leaves to others: `check` the rules of a
//! body, `reply` the shapes of replies.
//!
//! **Invariant:** ids of tool calls have nine letters and digits, in what is taken and in what is given.

mod check;
mod reply;
mod tables;

use crate::ask::{Ask, PromptCount, Thinking, ToolChoice, flag_at, number_at, text_at, texts_at};
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::openai;
use crate::reply::{Event, Making, Reply, Role};
use crate::surface::{Operation, Surface};
use crate::wire::{Found, Trouble, Turn, Wire};
use http::Method;
use serde_json::{Value, json};

/// Mistral.
#[derive(Debug)]
pub(crate) struct Mistral;

impl Wire for Mistral {
    fn surface(&self) -> Surface {
        Surface::Mistral
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        let operation = match path.strip_prefix("/v1/")? {
            "chat/completions" => Operation::Chat,
            "fim/completions" => Operation::Completion,
            "embeddings" => Operation::Embedding,
            "ocr" => Operation::Ocr,
            "models" => Operation::ListModels,
            other => {
                return other
                    .strip_prefix("models/")
                    .map(|model| (Operation::GetModel, Some(model.to_owned())));
            }
        };
        Some((operation, None))
    }

    fn owns(&self, path: &str) -> bool {
        matches!(path, "/v1/fim/completions" | "/v1/ocr")
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        match operation {
            Operation::ListModels | Operation::GetModel => Ok(()),
            other => check::check(&asked.json, other),
        }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let body = &asked.json;
        match asked.route.operation {
            Some(Operation::Chat) => read_chat(body),
            Some(Operation::Completion) => read_fim(body),
            Some(Operation::Embedding) => {
                Ask { prompt_tokens: openai::embedding::prompt_tokens(body), ..Ask::default() }
            }
            _ => Ask::default(),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let body = turn.body();
        Ok(match turn.operation() {
            Operation::Chat | Operation::Completion if turn.ask.stream => {
                Reply::events(reply::events(turn.ask, making))
            }
            Operation::Chat | Operation::Completion => Reply::json(&reply::chat(turn.ask, making)),
            Operation::Embedding => Reply::json(&reply::embeddings(body, making)),
            Operation::Ocr => Reply::json(&reply::pages(body)),
            Operation::GetModel => Reply::json(&reply::model(&turn.asked.model)),
            _ => Reply::json(&reply::models(&turn.shared.script.read(|script| script.models.clone()))),
        })
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let status = trouble.status();
        let (kind, code, message) = match trouble {
            Trouble::MissingKey | Trouble::WrongKey | Trouble::Status { code: 401, .. } => {
                return ApiError::new(401, "Unauthorized");
            }
            Trouble::NoRoute { .. } => return ApiError::new(404, "no Route matched with those values"),
            Trouble::Status { code: 404, model } => {
                let message = format!("Invalid model: {model}");
                return ApiError::bad_request(message).kind("invalid_model").code("1500");
            }
            Trouble::ContextWindow { tokens, window } => (
                "invalid_request_prompt",
                "3051",
                format!(
                    "Prompt contains {tokens} tokens and 0 draft tokens, too large for model with {window} maximum \
                     context length"
                ),
            ),
            Trouble::RateLimited | Trouble::Status { code: 429, .. } => {
                ("rate_limited", "1300", "Rate limit exceeded".to_owned())
            }
            Trouble::Quota => ("rate_limited", "1300", "The monthly token limit was reached.".to_owned()),
            Trouble::ContentPolicy => {
                return ApiError::new(403, "The request was blocked by a guardrail.")
                    .kind("guardrail_violation");
            }
            Trouble::Status { code: 503, .. } => (
                "service_tier_capacity_exceeded",
                "3505",
                "Service tier capacity exceeded for this model.".to_owned(),
            ),
            Trouble::Status { code: 500.., .. } => {
                ("internal_server_error", "1000", "Service unavailable.".to_owned())
            }
            other => return ApiError::new(status, other.sentence()),
        };
        ApiError::new(status, message).kind(kind).code(code)
    }

    fn error_body(&self, error: &ApiError, request_id: &str) -> Value {
        match error.status {
            401 => json!({"detail": error.message}),
            404 => json!({"message": error.message, "request_id": request_id}),
            _ => json!({
                "object": "error",
                "message": match &error.details {
                    Some(details) => json!({"detail": details}),
                    None => json!(error.message),
                },
                "type": error.kind.unwrap_or("invalid_request_error"),
                "param": null,
                "code": error.code,
                "raw_status_code": error.status,
            }),
        }
    }

    fn error_event(&self, error: &ApiError) -> Event {
        Event::data(Role::End, &self.error_body(error, ""))
    }

    fn headers(&self, reply: Reply, request_id: &str) -> Reply {
        reply.header("mistral-correlation-id", request_id).header("x-kong-request-id", request_id)
    }
}

fn read_chat(body: &Value) -> Ask {
    let model = text_at(body, "model");
    let mut ask = openai::read_chat(body, model);
    // An answer that was begun (`prefix`) is told from its beginning all the same.
    ask.begun = None;
    if text_at(body, "tool_choice") == "any" {
        ask.tool_choice = ToolChoice::Any;
    }
    // Reasoning is shown wherever there is some: by the model's name, its mode or its effort.
    let reasons = model.starts_with("magistral")
        || text_at(body, "prompt_mode") == "reasoning"
        || !matches!(text_at(body, "reasoning_effort"), "" | "none");
    ask.thinking = if reasons { Thinking::Shown } else { Thinking::Off };
    ask
}

fn read_fim(body: &Value) -> Ask {
    let mut count = PromptCount::default();
    count.text(text_at(body, "prompt"));
    count.text(text_at(body, "suffix"));
    Ask {
        model: text_at(body, "model").to_owned(),
        last_user: text_at(body, "prompt").to_owned(),
        prompt_tokens: count.tokens,
        choices: 1,
        max_tokens: number_at(body, "max_tokens"),
        stop: texts_at(body, "stop"),
        stream: flag_at(body, "stream"),
        ..Ask::default()
    }
}
