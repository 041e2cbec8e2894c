//! The Replicate surface: predictions made, looked at, streamed and cancelled.
//!
//! Owns: its routes, rules, words and shapes. Leaves to others: what became of a prediction (`store`), the answer
//! itself (`compose`).
//!
//! **Invariant:** a prediction is made once, when it is asked for; whoever looks at it later sees more of it each time,
//! and the behaviour of its model holds for its making and its stream alone.

mod store;

pub(crate) use store::Store;

use crate::ask::{Ask, PromptCount, flag_at, number_at, pieces, text_at};
use crate::behaviour::{Behaviour, Finish};
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::fault::Fault;
use crate::limits::timestamp;
use crate::reply::{Event, Making, Reply, Role};
use crate::server::Shared;
use crate::shape::Shape::{Bool, List, Object, Text, Word};
use crate::shape::{self, Field, Keys, Step, Wrong, must, null};
use crate::surface::{Operation, Route, Surface, percent_decode};
use crate::wire::{Found, Trouble, Turn, Wire};
use http::Method;
use serde_json::{Map, Value, json};
use store::Prediction;

/// What a prediction of a language model takes, after the HTTP reference.
static FIELDS: &[Field] = &[
    must("input", Object),
    null("version", Text),
    null("stream", Bool),
    null("webhook", Text),
    null(
        "webhook_events_filter",
        List { of: &Word(&["start", "output", "logs", "completed"]), min: 0, max: 4 },
    ),
];
/// The inputs that have to be text where there are any, as the language models' schemas have them.
const TEXT_INPUTS: [&str; 4] = ["prompt", "system_prompt", "prompt_template", "stop_sequences"];
/// The inputs that have to be numbers.
const NUMBER_INPUTS: [&str; 9] = [
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_new_tokens",
    "min_tokens",
    "seed",
    "presence_penalty",
    "frequency_penalty",
];

/// Replicate.
#[derive(Debug)]
pub(crate) struct Replicate;

impl Wire for Replicate {
    fn surface(&self) -> Surface {
        Surface::Replicate
    }

    fn route(&self, method: &Method, path: &str) -> Option<Found> {
        let tail = path.strip_prefix("/v1/")?;
        for holder in ["models/", "deployments/"] {
            if let Some(model) = tail.strip_prefix(holder).and_then(|rest| rest.strip_suffix("/predictions"))
            {
                return Some((Operation::Predict, Some(percent_decode(model))));
            }
        }
        if tail == "predictions" {
            return (method == Method::POST).then_some((Operation::Predict, None));
        }
        if let Some(id) = tail.strip_prefix("streams/") {
            return Some((Operation::StreamPrediction, Some(id.to_owned())));
        }
        let id = tail.strip_prefix("predictions/")?;
        Some(match id.strip_suffix("/cancel") {
            Some(id) => (Operation::CancelPrediction, Some(id.to_owned())),
            None => (Operation::GetPrediction, Some(id.to_owned())),
        })
    }

    fn owns(&self, path: &str) -> bool {
        let Some(tail) = path.strip_prefix("/v1/") else { return false };
        let made = ["models/", "deployments/"].iter().any(|holder| tail.starts_with(holder));
        tail == "predictions"
            || tail.starts_with("predictions/")
            || tail.starts_with("streams/")
            || (made && tail.ends_with("/predictions"))
    }

    fn model(&self, shared: &Shared, route: &Route, body: &Value) -> String {
        match (route.operation, &route.subject) {
            (Some(Operation::Predict), Some(model)) => model.clone(),
            (Some(Operation::Predict), None) => {
                let version = text_at(body, "version");
                version.split_once(':').map_or(version, |(model, _)| model).to_owned()
            }
            (_, Some(id)) => shared.predictions.look(id).map(|one| one.model).unwrap_or_default(),
            _ => String::new(),
        }
    }

    fn settled(&self, shared: &Shared, asked: &Asked) -> Option<Behaviour> {
        match asked.route.operation {
            None | Some(Operation::Predict) => None,
            Some(Operation::StreamPrediction) => {
                let id = asked.route.subject.as_deref().unwrap_or_default();
                let made = shared.predictions.look(id).map(|one| one.behaviour);
                Some(made.unwrap_or_default())
            }
            Some(_) => Some(Behaviour::new()),
        }
    }

    fn spares(&self, asked: &Asked) -> bool {
        asked.route.operation == Some(Operation::Predict) && flag_at(&asked.json, "stream")
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        if operation == Operation::Predict {
            check(&asked.json, asked.route.subject.is_some())
        } else {
            Ok(())
        }
    }

    fn read(&self, asked: &Asked) -> Ask {
        match asked.route.operation {
            Some(Operation::Predict) => read(&asked.json, &asked.model),
            _ => Ask::default(),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let store = &turn.shared.predictions;
        let id = turn.asked.route.subject.clone().unwrap_or_default();
        let missing = || self.error(Trouble::NoRoute { path: "" });
        match turn.operation() {
            Operation::Predict => Ok(create(turn, making)),
            Operation::GetPrediction => store.poll(&id).map(|shown| Reply::json(&shown)).ok_or_else(missing),
            Operation::CancelPrediction => {
                store.cancel(&id).map(|shown| Reply::json(&shown)).ok_or_else(missing)
            }
            _ => store.stream(&id).map(|made| Reply::events(events(&made))).ok_or_else(missing),
        }
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let (status, message) = match trouble {
            Trouble::MissingKey | Trouble::WrongKey | Trouble::Status { code: 401, .. } => {
                (401, "You did not pass a valid authentication token".to_owned())
            }
            Trouble::NoRoute { .. } | Trouble::Status { code: 404, .. } => {
                (404, "The requested resource could not be found.".to_owned())
            }
            Trouble::Quota => (402, "You have insufficient credit to run this model.".to_owned()),
            Trouble::RateLimited | Trouble::Status { code: 429, .. } => {
                (429, "Request was throttled. Expected available in 1 second.".to_owned())
            }
            Trouble::ContextWindow { tokens, window } => {
                (422, format!("- input.prompt: {tokens} tokens are more than the model's {window}"))
            }
            other => (other.status(), other.sentence()),
        };
        ApiError::new(status, message)
    }

    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        let title = match error.status {
            401 => "Unauthenticated",
            402 => "Insufficient credit",
            404 => "Not found",
            422 => "Input validation failed",
            429 => "Too many requests",
            500.. => "Internal server error",
            _ => "Invalid request",
        };
        let mut body = json!({"title": title, "detail": error.message, "status": error.status});
        if let (Some(fields), Some(invalid)) = (body.as_object_mut(), &error.details) {
            fields.insert("invalid_fields".to_owned(), Value::clone(invalid));
        }
        body
    }

    fn error_event(&self, error: &ApiError) -> Event {
        Event { bytes: failure(&error.message).into(), role: Role::End }
    }
}

fn failure(message: &str) -> String {
    format!(
        "event: error\ndata: {}\n\nevent: done\ndata: {{\"reason\": \"error\"}}\n\n",
        json!({"detail": message})
    )
}

fn invalid(field: &str, description: &str) -> ApiError {
    let mut error = ApiError::new(422, format!("- {field}: {description}"));
    error.details = Some(Box::new(json!([{"type": "invalid", "field": field, "description": description}])));
    error
}

fn check(body: &Value, model_in_path: bool) -> Result<(), ApiError> {
    let Some(object) = body.as_object() else { return Err(invalid("body", "Expected: object")) };
    let found = shape::check(object, FIELDS, Keys::Exact);
    // Members that the service does not know are passed over.
    if let Some(violation) = found.iter().find(|found| found.wrong != Wrong::Unknown) {
        let name = violation.path.iter().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            _ => None,
        });
        let description = match &violation.wrong {
            Wrong::Missing => "is required",
            _ => "Invalid type or value",
        };
        return Err(invalid(name.unwrap_or_default(), description));
    }
    if !model_in_path && text_at(body, "version").is_empty() {
        return Err(invalid("version", "is required"));
    }
    let input = body.get("input").unwrap_or(&Value::Null);
    let set = |name: &&str| input.get(name).is_some_and(|value| !value.is_null());
    if let Some(name) =
        TEXT_INPUTS.into_iter().filter(set).find(|name| !input.get(name).is_some_and(Value::is_string))
    {
        return Err(invalid(&format!("input.{name}"), "Invalid type. Expected: string"));
    }
    if let Some(name) =
        NUMBER_INPUTS.into_iter().filter(set).find(|name| !input.get(name).is_some_and(Value::is_number))
    {
        return Err(invalid(&format!("input.{name}"), "Invalid type. Expected: number"));
    }
    Ok(())
}

fn read(body: &Value, model: &str) -> Ask {
    let input = body.get("input").unwrap_or(&Value::Null);
    let mut count = PromptCount::default();
    count.text(text_at(input, "prompt"));
    count.text(text_at(input, "system_prompt"));
    let stop = text_at(input, "stop_sequences").split(',').map(str::trim).filter(|stop| !stop.is_empty());
    Ask {
        model: model.to_owned(),
        prompt_tokens: count.tokens,
        last_user: text_at(input, "prompt").to_owned(),
        choices: 1,
        max_tokens: number_at(input, "max_tokens").or_else(|| number_at(input, "max_new_tokens")),
        stop: stop.map(str::to_owned).collect(),
        ..Ask::default()
    }
}

/// The tokens of the output: text alone, with reasoning in tags as open models write it.
fn output(making: &Making<'_>) -> Vec<String> {
    let composed = making.composed;
    let mut tokens: Vec<String> = Vec::new();
    if let Some(reasoning) = &composed.reasoning {
        tokens.push("<think>\n".to_owned());
        tokens.extend(pieces(reasoning).into_iter().map(str::to_owned));
        tokens.push("\n</think>\n\n".to_owned());
    }
    tokens.extend(pieces(&composed.text).into_iter().map(str::to_owned));
    tokens
}

fn create(turn: Turn<'_>, making: &mut Making<'_>) -> Reply {
    let id = making.ids.next("", 26).to_ascii_lowercase();
    let now = timestamp(making.created);
    let body = turn.body();
    let failed = match turn.behaviour.fault {
        Some(Fault::ErrorEvent { after, .. } | Fault::Failed { after }) => {
            Some((after, "Prediction failed: the model raised an error"))
        }
        _ if making.finish() == Finish::Filtered => Some((0, "The output was flagged as sensitive (E005)")),
        _ => None,
    };
    let mut output = output(making);
    output.truncate(failed.map_or(usize::MAX, |(after, _)| after));
    let counts = making.composed.counts;
    let tokens = json!({"input_token_count": counts.prompt, "output_token_count": counts.completion});
    let mut metrics =
        Map::from_iter([("predict_time".to_owned(), json!(0.5)), ("total_time".to_owned(), json!(0.6))]);
    if let Some(Value::Object(tokens)) = making.usage(tokens) {
        metrics.extend(tokens);
    }
    let address = address(turn.asked);
    let version = body.get("version").and_then(Value::as_str).unwrap_or("hidden");
    let extras = &turn.behaviour.extras;
    let mut urls = json!({
        "get": format!("{address}/v1/predictions/{id}"),
        "cancel": format!("{address}/v1/predictions/{id}/cancel"),
        "web": format!("{address}/p/{id}"),
    });
    if let (Some(urls), false) = (urls.as_object_mut(), extras.no_stream) {
        urls.insert("stream".to_owned(), json!(format!("{address}/v1/streams/{id}")));
    }
    let head = json!({
        "id": id, "model": turn.asked.model, "version": version, "input": body.get("input"), "logs": "",
        "data_removed": false, "source": "api", "created_at": now, "urls": urls,
    });
    let made = Prediction {
        model: turn.asked.model.clone(),
        behaviour: of_stream(turn.behaviour),
        head,
        output,
        error: failed.map(|(_, message)| message.to_owned()),
        metrics: Value::Object(metrics),
        time: now,
        looks_to_end: extras.looks.unwrap_or(store::LOOKS_TO_END),
        outlasts_waiting: extras.looks.is_some(),
        looked: 0,
        canceled: false,
    };
    let prefer =
        turn.asked.head.headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let waits = prefer.split(',').any(|word| word.trim() == "wait" || word.trim().starts_with("wait="));
    let shown = turn.shared.predictions.put(id, made, waits);
    Reply { status: 201, ..Reply::json(&shown) }
}

/// What is left of a behaviour for the stream of a prediction: its making has met the rest.
fn of_stream(behaviour: &Behaviour) -> Behaviour {
    let told =
        |fault: &Fault| matches!(fault, Fault::ErrorEvent { .. } | Fault::Failed { .. } | Fault::Usage(_));
    let fault = behaviour.fault.clone().filter(|fault| !told(fault));
    Behaviour { pace: behaviour.pace, fault, ..Behaviour::new() }
}

/// Where the caller reached the service, with whatever path stands before the version.
fn address(asked: &Asked) -> String {
    let host = asked.head.headers.get(http::header::HOST).and_then(|value| value.to_str().ok());
    let path = asked.head.uri.path();
    let base = path.find("/v1/").and_then(|at| path.get(..at)).unwrap_or_default();
    format!("http://{}{base}", host.unwrap_or("localhost"))
}

/// The events of a stream: an output for each token, then why it is done.
fn events(made: &Prediction) -> Vec<Event> {
    let mut events = Vec::new();
    for (index, piece) in made.output.iter().enumerate() {
        let lines: String = piece.split('\n').map(|line| format!("data: {line}\n")).collect();
        let bytes = format!("event: output\nid: {index}:0\n{lines}\n").into();
        events.push(Event { bytes, role: Role::Content });
    }
    let end = match &made.error {
        Some(message) => failure(message),
        None if made.canceled => "event: done\ndata: {\"reason\": \"canceled\"}\n\n".to_owned(),
        None => "event: done\ndata: {}\n\n".to_owned(),
    };
    events.push(Event { bytes: end.into(), role: Role::End });
    events
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
