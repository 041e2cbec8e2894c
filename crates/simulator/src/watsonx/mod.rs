//! The watsonx surface: chats, embeddings, and the tokens of IBM's cloud.
//!
//! Owns: its routes, rules, words and shapes. Leaves to others: the fields (`tables`), messages and deltas (`deltas`).
//!
//! **Invariant:** an API key is good for a token and for nothing else: what has not the form of a token and was not
//! given out here is refused.

mod iam;
mod tables;

use crate::admission;
use crate::ask::{Ask, Thinking, ToolChoice, flag_at, items_at, text_at};
use crate::deltas::{self, Manner};
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::limits::timestamp;
use crate::openai::{self, embedding};
use crate::reply::{Event, Making, Reply, Role};
use crate::server::Shared;
use crate::shape::{self, Keys, Step, Violation, Wrong};
use crate::surface::{Operation, Route, Surface, percent_decode, query_value};
use crate::wire::{Found, Trouble, Turn, Wire};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

/// Where the reference is, as errors say.
const MORE_INFO: &str = "https://cloud.ibm.com/apidocs/watsonx-ai";

const MANNER: Manner = Manner {
    thought: |text| json!({"reasoning_content": text}),
    said: |text| json!({"content": text}),
    both: |thought, text| json!({"reasoning_content": thought, "content": text}),
};

/// IBM watsonx.
#[derive(Debug)]
pub(crate) struct Watsonx;

impl Wire for Watsonx {
    fn surface(&self) -> Surface {
        Surface::Watsonx
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        if path == "/identity/token" {
            return Some((Operation::Token, None));
        }
        let tail = path.strip_prefix("/ml/v1/")?;
        if let Some(deployment) = tail.strip_prefix("deployments/") {
            let (name, tail) = deployment.split_once('/')?;
            return Some((text_operation(tail)?, Some(percent_decode(name))));
        }
        Some((text_operation(tail)?, None))
    }

    fn owns(&self, path: &str) -> bool {
        path.starts_with("/ml/v1/") || path == "/identity/token"
    }

    fn credential(&self, headers: &HeaderMap) -> Option<String> {
        let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, key) = value.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("zenapikey");
        known.then(|| key.trim().to_owned()).filter(|key| !key.is_empty())
    }

    fn model(&self, _shared: &Shared, route: &Route, body: &Value) -> String {
        route.subject.clone().unwrap_or_else(|| text_at(body, "model_id").to_owned())
    }

    fn check_credential(&self, shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
        if asked.route.operation == Some(Operation::Token) {
            return Ok(());
        }
        let Some(key) = asked.credential.as_deref() else { return Err(self.error(Trouble::MissingKey)) };
        let header =
            asked.head.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let on_premises = header.is_some_and(|value| value.to_ascii_lowercase().starts_with("zenapikey"));
        let listed = shared.script.read(|script| script.keys.is_some());
        let formed = key.starts_with("eyJ") || on_premises || listed;
        if shared.issued.is_good(key) || (formed && !iam::is_ours(key) && admission::is_good(shared, key)) {
            return Ok(());
        }
        Err(self.error(Trouble::WrongKey))
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        if operation == Operation::Token {
            return Ok(());
        }
        if query_value(asked.query(), "version").is_none_or(|version| !is_date(&version)) {
            let message = "The query parameter version is required and has the form YYYY-MM-DD";
            return Err(refusal(400, "invalid_request_entity", message));
        }
        let body = &asked.json;
        let Some(object) = body.as_object() else {
            return Err(refusal(400, "json_type_error", "Json field type error: an object is wanted"));
        };
        let fields = if operation == Operation::Embedding { tables::EMBEDDINGS } else { tables::CHAT };
        if let Some(violation) = shape::check(object, fields, Keys::Exact).first() {
            return Err(spell(violation));
        }
        place(body, asked.route.subject.is_some())?;
        if operation == Operation::Embedding { Ok(()) } else { chat(body) }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let body = &asked.json;
        match asked.route.operation {
            Some(Operation::Chat | Operation::StreamChat) => {
                let stream = asked.route.operation == Some(Operation::StreamChat);
                read_chat(body, &asked.model, stream)
            }
            Some(Operation::Embedding) => {
                Ask { prompt_tokens: embedding::prompt_tokens(&input(body)), ..Ask::default() }
            }
            _ => Ask::default(),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        Ok(match turn.operation() {
            Operation::Token => {
                let fresh = iam::fresh(making.ids);
                let form = String::from_utf8_lossy(&turn.asked.body);
                Reply::json(&iam::answer(&form, turn.shared, &fresh, making.created)?)
            }
            Operation::Embedding => Reply::json(&embeddings(turn.body(), making)),
            Operation::StreamChat => Reply::events(events(turn.ask, making)),
            _ => Reply::json(&whole(turn.ask, making)),
        })
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let (status, code, message) = match trouble {
            Trouble::MissingKey | Trouble::WrongKey | Trouble::Status { code: 401, .. } => (
                401,
                "authentication_token_not_valid",
                "Failed to authenticate the request due to invalid token".to_owned(),
            ),
            Trouble::NoRoute { .. } => (404, "not_found", "The requested resource was not found".to_owned()),
            Trouble::NotJson { reason } => (400, "json_syntax_error", format!("Json syntax error: {reason}")),
            Trouble::ContextWindow { tokens, window } => (
                400,
                "invalid_input_argument",
                format!(
                    "the number of input tokens {tokens} cannot exceed the total tokens limit {window} for this model"
                ),
            ),
            Trouble::Quota => {
                (403, "token_quota_reached", "The token quota of this account is reached".to_owned())
            }
            Trouble::RateLimited | Trouble::Status { code: 429, .. } => (
                429,
                "rate_limit_reached_requests",
                "Too many requests: the rate limit is reached".to_owned(),
            ),
            Trouble::Status { code: 404, model } => (
                404,
                "model_not_supported",
                format!("Model '{model}' is not supported for this environment."),
            ),
            Trouble::Status { code: code @ 503, .. } => (code, "service_unavailable", trouble.sentence()),
            Trouble::Status { code: code @ 500.., .. } => {
                (code, "downstream_request_failed", "Downstream request failed".to_owned())
            }
            other => (other.status(), "invalid_request_entity", other.sentence()),
        };
        refusal(status, code, &message)
    }

    fn error_body(&self, error: &ApiError, request_id: &str) -> Value {
        if let Some(body) = error.details.as_deref() {
            return body.clone();
        }
        let code = error.kind.unwrap_or("invalid_request_entity");
        json!({
            "errors": [{"code": code, "message": error.message, "more_info": MORE_INFO}],
            "trace": request_id,
            "status_code": error.status,
        })
    }

    fn error_event(&self, error: &ApiError) -> Event {
        let data = self.error_body(error, "00000000000000000000000000000000");
        Event { bytes: format!("id: 0\nevent: error\ndata: {data}\n\n").into(), role: Role::End }
    }

    fn headers(&self, reply: Reply, request_id: &str) -> Reply {
        reply.header("x-global-transaction-id", request_id)
    }
}

fn text_operation(tail: &str) -> Option<Operation> {
    match tail {
        "text/chat" => Some(Operation::Chat),
        "text/chat_stream" => Some(Operation::StreamChat),
        "text/embeddings" => Some(Operation::Embedding),
        _ => None,
    }
}

fn is_date(text: &str) -> bool {
    let form =
        |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(form)
}

fn refusal(status: u16, code: &'static str, message: &str) -> ApiError {
    ApiError::new(status, message).kind(code)
}

/// A model runs in one project or one space; a deployment has its own.
fn place(body: &Value, deployment: bool) -> Result<(), ApiError> {
    let given = ["project_id", "space_id"].into_iter().filter(|key| body.get(key).is_some()).count();
    if deployment {
        let named = ["model_id", "project_id", "space_id"].into_iter().find(|key| body.get(key).is_some());
        return named.map_or(Ok(()), |name| {
            let message =
                format!("Json document validation error: {name} should not be present for a deployment");
            Err(refusal(400, "json_validation_error", &message))
        });
    }
    if text_at(body, "model_id").is_empty() {
        return Err(refusal(400, "invalid_request_entity", "Missing json field model_id in request entity"));
    }
    match given {
        1 => Ok(()),
        0 => Err(refusal(
            400,
            "invalid_request_entity",
            "Missing either space_id or project_id in request entity",
        )),
        _ => Err(refusal(400, "invalid_request_entity", "Only one of space_id and project_id can be given")),
    }
}

fn spell(violation: &Violation) -> ApiError {
    let mut path = String::new();
    for step in &violation.path {
        match step {
            Step::Key(key) if path.is_empty() => path.push_str(key),
            Step::Key(key) => path.extend([".", key]),
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Case(_) => {}
        }
    }
    let invalid = |reason: String| {
        refusal(400, "json_validation_error", &format!("Json document validation error: {path} {reason}"))
    };
    match &violation.wrong {
        Wrong::Missing => {
            refusal(400, "invalid_request_entity", &format!("Missing json field {path} in request entity"))
        }
        Wrong::Unknown => invalid("is not a known field".to_owned()),
        Wrong::Type { expected, .. } => {
            refusal(400, "json_type_error", &format!("Json field type error: {path} should be {expected}"))
        }
        Wrong::Word { given, allowed } => {
            invalid(format!("should be one of {}, not {given}", allowed.join(", ")))
        }
        Wrong::Below { min, .. } => invalid(format!("should be greater than or equal to {min}")),
        Wrong::Above { max, .. } => invalid(format!("should be less than or equal to {max}")),
        Wrong::TooMany { max, .. } => invalid(format!("should have at most {max} items")),
        _ => invalid("should not be empty".to_owned()),
    }
}

fn chat(body: &Value) -> Result<(), ApiError> {
    let invalid = |message: &str| Err(refusal(400, "invalid_input_argument", message));
    let tools = items_at(body, "tools");
    if (body.get("tool_choice").is_some() || body.get("tool_choice_option").is_some()) && tools.is_empty() {
        return invalid("tool_choice and tool_choice_option need tools");
    }
    if body.get("tool_choice").is_some() && body.get("tool_choice_option").is_some() {
        return invalid("only one of tool_choice and tool_choice_option can be given");
    }
    if body.get("top_logprobs").is_some() && !flag_at(body, "logprobs") {
        return invalid("top_logprobs needs logprobs");
    }
    Ok(())
}

fn read_chat(body: &Value, model: &str, stream: bool) -> Ask {
    let mut ask = openai::read_chat(body, model);
    ask.stream = stream;
    match text_at(body, "tool_choice_option") {
        "none" => ask.tool_choice = ToolChoice::Never,
        "required" => ask.tool_choice = ToolChoice::Any,
        _ => {}
    }
    let hides = body.get("include_reasoning") == Some(&Value::Bool(false));
    let thinks = !text_at(body, "reasoning_effort").is_empty() || flag_at(body, "include_reasoning");
    ask.thinking = match (thinks, hides) {
        (_, true) => Thinking::Hidden,
        (true, _) => Thinking::Shown,
        _ => Thinking::Off,
    };
    ask
}

fn head(ask: &Ask, making: &mut Making<'_>) -> Value {
    json!({
        "id": making.ids.next("chatcmpl-", 32), "model_id": ask.model, "model": ask.model, "created": making.created,
        "model_version": "1.0.0", "created_at": timestamp(making.created),
    })
}

fn framed(mut head: Value, choices: Value, usage: Option<Value>) -> Value {
    if let Some(fields) = head.as_object_mut() {
        fields.insert("choices".to_owned(), choices);
        fields.extend(usage.map(|usage| ("usage".to_owned(), usage)));
    }
    head
}

fn whole(ask: &Ask, making: &mut Making<'_>) -> Value {
    let choices = deltas::choices(ask, MANNER, making);
    let head = head(ask, making);
    framed(head, choices, making.usage(deltas::usage(&making.composed.counts)))
}

/// The events, each with a number; there is no mark of the end but the event with the counts.
fn events(ask: &Ask, making: &mut Making<'_>) -> Vec<Event> {
    let head = head(ask, making);
    let mut events: Vec<Event> = Vec::new();
    let mut push = |role, choices: Value, usage: Option<Value>| {
        let frame = framed(head.clone(), choices, usage);
        let number = events.len() + 1;
        events.push(Event { bytes: format!("id: {number}\nevent: message\ndata: {frame}\n\n").into(), role });
    };
    for step in deltas::steps(ask, MANNER, making) {
        push(step.role, json!([{"index": step.index, "finish_reason": null, "delta": step.delta}]), None);
    }
    let word = making.word(deltas::finish_word(making.finish()));
    for index in 0..ask.choices {
        push(Role::Closing, json!([{"index": index, "finish_reason": word, "delta": {"content": ""}}]), None);
    }
    let counts = deltas::usage(&making.composed.counts);
    if let Some(first) = making.first_usage(&counts) {
        push(Role::Closing, json!([]), Some(first));
    }
    push(Role::End, json!([]), making.usage(counts));
    events
}

fn input(body: &Value) -> Value {
    json!({"input": body.get("inputs")})
}

fn embeddings(body: &Value, making: &Making<'_>) -> Value {
    let made = embedding::reply(&input(body), "");
    let vectors = made.get("data").and_then(Value::as_array).into_iter().flatten();
    let shown = body.pointer("/parameters/return_options/input_text") == Some(&Value::Bool(true));
    let result = |(one, text): (&Value, &Value)| {
        let mut result = json!({"embedding": one.get("embedding")});
        if let (true, Some(fields)) = (shown, result.as_object_mut()) {
            fields.insert("input".to_owned(), text.clone());
        }
        result
    };
    let results: Vec<Value> = vectors.zip(items_at(body, "inputs")).map(result).collect();
    let mut reply = json!({
        "model_id": body.get("model_id"), "results": results, "created_at": timestamp(making.created),
    });
    let counts = making.usage(json!({"input_token_count": making.composed.counts.prompt}));
    if let (Some(fields), Some(Value::Object(counts))) = (reply.as_object_mut(), counts) {
        fields.extend(counts);
    }
    reply
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
