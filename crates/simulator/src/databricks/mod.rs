//! Databricks' serving endpoints: chats, embeddings, and the tokens of service principals.
//!
//! Owns: its routes, rules, words and shapes. Leaves to others: the fields (`tables`), messages and deltas (`deltas`).
//!
//! **Invariant:** reasoning is a block of a content list, as the endpoints of Claude and of open models have it, and
//! every event of a stream has the counts up to there.

mod tables;
mod token;

use crate::ask::{Ask, Thinking, items_at, text_at};
use crate::deltas::{self, Manner};
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::openai::{self, embedding};
use crate::reply::{Event, Making, Reply, Role};
use crate::shape::{self, Keys, Step, Violation, Wrong};
use crate::surface::{Operation, Surface, percent_decode};
use crate::wire::{Found, Trouble, Turn, Wire};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

const MANNER: Manner = Manner {
    thought: |text| json!({"content": [reasoning(text, "")]}),
    said: |text| json!({"content": text}),
    both: |thought, text| json!({"content": [reasoning(thought, SIGNATURE), {"type": "text", "text": text}]}),
};

/// What signs reasoning.
const SIGNATURE: &str = "c2ltdWxhdGVkLXNpZ25hdHVyZQ==";

fn reasoning(text: &str, signature: &str) -> Value {
    json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text, "signature": signature}]})
}

/// Databricks.
#[derive(Debug)]
pub(crate) struct Databricks;

impl Wire for Databricks {
    fn surface(&self) -> Surface {
        Surface::Databricks
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        if path == "/oidc/v1/token" || (path.starts_with("/oidc/accounts/") && path.ends_with("/v1/token")) {
            return Some((Operation::Token, None));
        }
        match path.strip_prefix("/serving-endpoints/")? {
            "chat/completions" => Some((Operation::Chat, None)),
            "embeddings" => Some((Operation::Embedding, None)),
            other => {
                let name = other.strip_suffix("/invocations")?;
                Some((Operation::Chat, Some(percent_decode(name))))
            }
        }
    }

    fn owns(&self, path: &str) -> bool {
        path.starts_with("/serving-endpoints/") || path.starts_with("/oidc/")
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        if operation == Operation::Token {
            return Ok(());
        }
        let body = &asked.json;
        let Some(object) = body.as_object() else {
            return Err(bad("Bad request: json: cannot unmarshal the body into an object"));
        };
        if asked.route.subject.is_none() && asked.model.is_empty() {
            return Err(ApiError::new(400, "INVALID_PARAMETER_VALUE: Missing required parameter: 'model'")
                .kind("INVALID_PARAMETER_VALUE"));
        }
        let fields = if embeds(asked, operation) { tables::EMBEDDING } else { tables::CHAT };
        match shape::check(object, fields, Keys::Exact).first() {
            Some(violation) => Err(spell(violation)),
            None => chat(body),
        }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let body = &asked.json;
        match asked.route.operation {
            Some(operation) if embeds(asked, operation) => {
                Ask { prompt_tokens: embedding::prompt_tokens(body), ..Ask::default() }
            }
            Some(Operation::Chat) => read_chat(body, &asked.model),
            _ => Ask::default(),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let operation = turn.operation();
        Ok(match operation {
            Operation::Token => {
                let fresh = making.ids.next("eyJ", 60);
                Reply::json(&token::answer(turn.asked, &turn.shared.issued, &fresh)?)
            }
            operation if embeds(turn.asked, operation) => {
                Reply::json(&embedding::reply(turn.body(), &turn.asked.model))
            }
            _ if turn.ask.stream => Reply::events(events(turn.ask, making)),
            _ => Reply::json(&whole(turn.ask, making)),
        })
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let (status, kind, message) = match trouble {
            Trouble::MissingKey => {
                let message = "Credential was not sent or was of an unsupported type for this API.";
                (401, "401", message.to_owned())
            }
            Trouble::WrongKey => (403, "403", "Invalid access token.".to_owned()),
            Trouble::NoRoute { path } => (404, "ENDPOINT_NOT_FOUND", format!("No API found for '{path}'")),
            Trouble::NotJson { reason } => (400, "MALFORMED_REQUEST", format!("Invalid JSON given in the body: {reason}")),
            Trouble::ContextWindow { tokens, window } => (
                400,
                "BAD_REQUEST",
                format!("Requested token count exceeds model maximum context length: {tokens} tokens of {window}."),
            ),
            Trouble::RateLimited | Trouble::Quota | Trouble::Status { code: 429, .. } => (
                429,
                "REQUEST_LIMIT_EXCEEDED",
                "REQUEST_LIMIT_EXCEEDED: Exceeded workspace input tokens per minute rate limit.".to_owned(),
            ),
            Trouble::Status { code: 404, .. } => (
                404,
                "RESOURCE_DOES_NOT_EXIST",
                "The given endpoint does not exist, please retry after checking the specified model and version \
                 deployment exists."
                    .to_owned(),
            ),
            Trouble::Status { code: code @ 401, .. } => (code, "401", "Invalid access token.".to_owned()),
            Trouble::Status { code: code @ 403, .. } => (code, "PERMISSION_DENIED", trouble.sentence()),
            Trouble::Status { code: code @ 503, .. } => (code, "TEMPORARILY_UNAVAILABLE", trouble.sentence()),
            Trouble::Status { code: code @ 504, .. } => (code, "DEADLINE_EXCEEDED", trouble.sentence()),
            Trouble::Status { code: code @ 500.., .. } => (code, "INTERNAL_ERROR", trouble.sentence()),
            other => (other.status(), "BAD_REQUEST", other.sentence()),
        };
        ApiError::new(status, message).kind(kind)
    }

    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        match error.details.as_deref() {
            Some(body) => body.clone(),
            None => json!({"error_code": error.kind.unwrap_or("BAD_REQUEST"), "message": error.message}),
        }
    }

    fn error_event(&self, error: &ApiError) -> Event {
        Event::data(Role::End, &self.error_body(error, ""))
    }

    fn headers(&self, reply: Reply, request_id: &str) -> Reply {
        reply.header("x-request-id", request_id).header("x-databricks-org-id", "1234567890123456")
    }
}

/// An endpoint's own route is for whatever the endpoint does.
fn embeds(asked: &Asked, operation: Operation) -> bool {
    operation == Operation::Embedding || (operation == Operation::Chat && asked.json.get("input").is_some())
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new(400, message).kind("BAD_REQUEST")
}

fn spell(violation: &Violation) -> ApiError {
    let keys = violation.path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        _ => None,
    });
    let keys: Vec<&str> = keys.collect();
    let (last, path) = (keys.last().copied().unwrap_or_default(), keys.join("."));
    match &violation.wrong {
        Wrong::Unknown => bad(format!("Bad request: json: unknown field {last:?}")),
        Wrong::Missing => {
            ApiError::new(400, format!("INVALID_PARAMETER_VALUE: Missing required Chat parameter: '{path}'"))
                .kind("INVALID_PARAMETER_VALUE")
        }
        Wrong::Type { expected, .. } => bad(format!("Bad request: json: {path} must be {expected}")),
        Wrong::Word { given, allowed } => {
            bad(format!("Bad request: {path} must be one of {}, not '{given}'", allowed.join(", ")))
        }
        Wrong::Below { min, .. } => bad(format!("Bad request: {path} must be at least {min}")),
        Wrong::Above { max, .. } => bad(format!("Bad request: {path} must be at most {max}")),
        Wrong::TooMany { max, .. } => bad(format!("Bad request: {path} must have at most {max} items")),
        _ => bad(format!("Bad request: {path} must not be empty")),
    }
}

fn chat(body: &Value) -> Result<(), ApiError> {
    let set = |key: &str| body.get(key).is_some_and(|value| !value.is_null());
    if set("tool_choice") && !set("tools") {
        return Err(bad("Bad request: tool_choice requires tools"));
    }
    if set("top_logprobs") && body.get("logprobs") != Some(&Value::Bool(true)) {
        return Err(bad("Bad request: top_logprobs requires logprobs"));
    }
    // Calls of the last assistant message that no tool message has answered.
    let mut open: Vec<&str> = Vec::new();
    for message in items_at(body, "messages") {
        if text_at(message, "role") == "tool" {
            let id = text_at(message, "tool_call_id");
            let Some(at) = open.iter().position(|call| *call == id) else {
                return Err(bad(format!("Bad request: tool_call_id '{id}' answers no tool call before it")));
            };
            open.swap_remove(at);
            continue;
        }
        if !open.is_empty() {
            break;
        }
        open = items_at(message, "tool_calls").iter().map(|call| text_at(call, "id")).collect();
    }
    if open.is_empty() {
        return Ok(());
    }
    Err(bad(format!("Bad request: tool calls without a result: {}", open.join(", "))))
}

fn read_chat(body: &Value, model: &str) -> Ask {
    let ask = openai::read_chat(body, model);
    let thinks =
        body.pointer("/thinking/type").and_then(Value::as_str).is_some_and(|kind| kind != "disabled");
    let shown = thinks || !matches!(text_at(body, "reasoning_effort"), "" | "none");
    Ask { thinking: if shown { Thinking::Shown } else { Thinking::Off }, ..ask }
}

fn usage(ask: &Ask, completion: u64, making: &Making<'_>) -> Option<Value> {
    let counts = making.composed.counts;
    let mut usage = deltas::usage(&crate::compose::Counts { completion, ..counts });
    if let (true, Some(fields)) = (ask.model.contains("claude") || counts.cached > 0, usage.as_object_mut()) {
        fields.insert("cache_read_input_tokens".to_owned(), json!(counts.cached));
        fields.insert("cache_creation_input_tokens".to_owned(), json!(counts.cache_written));
    }
    making.usage(usage)
}

fn framed(mut head: Value, choices: Value, usage: Option<Value>) -> Value {
    if let Some(fields) = head.as_object_mut() {
        fields.insert("choices".to_owned(), choices);
        fields.extend(usage.map(|usage| ("usage".to_owned(), usage)));
    }
    head
}

fn head(ask: &Ask, object: &str, making: &mut Making<'_>) -> Value {
    json!({"id": making.ids.next("chatcmpl_", 24), "object": object, "created": making.created, "model": ask.model})
}

fn whole(ask: &Ask, making: &mut Making<'_>) -> Value {
    let choices = deltas::choices(ask, MANNER, making);
    let head = head(ask, "chat.completion", making);
    framed(head, choices, usage(ask, making.composed.counts.completion, making))
}

fn events(ask: &Ask, making: &mut Making<'_>) -> Vec<Event> {
    let head = head(ask, "chat.completion.chunk", making);
    let mut events = Vec::new();
    let mut push = |role, index: usize, delta: &Value, finish: Option<&str>, usage| {
        let choice = json!({"index": index, "delta": delta, "finish_reason": finish});
        events.push(Event::data(role, &framed(head.clone(), json!([choice]), usage)));
    };
    let mut thinking = false;
    let completion = making.composed.counts.completion;
    for step in deltas::steps(ask, MANNER, making) {
        let thinks = step.delta.get("content").is_some_and(Value::is_array);
        let so_far = usage(ask, step.tokens.min(completion), making);
        if thinking && !thinks {
            push(
                Role::Opening,
                step.index,
                &json!({"content": [reasoning("", SIGNATURE)]}),
                None,
                so_far.clone(),
            );
        }
        thinking = thinks;
        push(step.role, step.index, &step.delta, None, so_far);
    }
    let word = making.word(deltas::finish_word(making.finish()));
    for index in 0..ask.choices {
        push(Role::Closing, index, &json!({"content": ""}), Some(word), usage(ask, completion, making));
    }
    events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), role: Role::End });
    events
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
