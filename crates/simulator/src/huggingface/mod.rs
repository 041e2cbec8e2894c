//! Hugging Face: chats as its router and its text server answer them, embeddings and ranking as its embedding server
//! does.
//!
//! Owns: its routes, rules, words and shapes. Leaves to others: the fields (`tables`), messages and deltas (`deltas`).
//!
//! **Invariant:** a member that the servers do not know is passed over, as they do; one that they know has the right
//! type and range.

mod tables;

use crate::ask::{Ask, Thinking, flag_at, items_at, text_at, tokens_of};
use crate::cohere::rank;
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

/// The version of the text server, as replies have it.
const FINGERPRINT: &str = "3.3.4-native";
/// Most texts of one request to the embedding server (`--max-client-batch-size`).
const TEXTS_MAX: usize = 32;

const MANNER: Manner = Manner {
    thought: |text| json!({"reasoning": text}),
    said: |text| json!({"content": text}),
    both: |thought, text| json!({"reasoning": thought, "content": text}),
};

/// Hugging Face.
#[derive(Debug)]
pub(crate) struct HuggingFace;

impl Wire for HuggingFace {
    fn surface(&self) -> Surface {
        Surface::HuggingFace
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        let operation = match path {
            "/v1/chat/completions" => Operation::Chat,
            "/v1/embeddings" => Operation::Embedding,
            "/embed" => Operation::Features,
            "/rerank" => Operation::Rerank,
            "/v1/models" => Operation::ListModels,
            other => {
                let model = other
                    .strip_prefix("/hf-inference/models/")?
                    .strip_suffix("/pipeline/feature-extraction")?;
                return Some((Operation::Features, Some(percent_decode(model))));
            }
        };
        Some((operation, None))
    }

    fn owns(&self, path: &str) -> bool {
        path == "/embed" || path.starts_with("/hf-inference/")
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        let body = &asked.json;
        let fields = match operation {
            Operation::Chat => tables::CHAT,
            Operation::Embedding => tables::EMBEDDING,
            Operation::Features => tables::FEATURES,
            Operation::Rerank => tables::RERANK,
            _ => return Ok(()),
        };
        let Some(object) = body.as_object() else { return Err(invalid("the body is no JSON object")) };
        let found = shape::check(object, fields, Keys::Exact);
        if let Some(violation) = found.iter().find(|found| found.wrong != Wrong::Unknown) {
            return Err(spell(violation));
        }
        if operation == Operation::Chat { chat(body) } else { batch(body) }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let body = &asked.json;
        let of = |prompt_tokens| Ask { prompt_tokens, ..Ask::default() };
        match asked.route.operation {
            Some(Operation::Chat) => {
                let ask = openai::read_chat(body, &asked.model);
                // The server has no parameter for reasoning.
                Ask { thinking: Thinking::Off, ..ask }
            }
            Some(Operation::Embedding) => of(embedding::prompt_tokens(body)),
            Some(Operation::Features) => of(embedding::prompt_tokens(&features_input(body))),
            Some(Operation::Rerank) => {
                of(items_at(body, "texts").iter().filter_map(Value::as_str).map(tokens_of).sum())
            }
            _ => Ask::default(),
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let body = turn.body();
        Ok(match turn.operation() {
            Operation::Chat if turn.ask.stream => Reply::events(events(turn.ask, making)),
            Operation::Chat => Reply::json(&whole(turn.ask, making)),
            Operation::Embedding => Reply::json(&embedding::reply(body, &turn.asked.model)),
            Operation::Features => Reply::json(&features(body, turn.asked.route.subject.is_some())),
            Operation::Rerank => Reply::json(&ranking(body)),
            _ => {
                Reply::json(&openai::reply::models(&turn.shared.script.read(|script| script.models.clone())))
            }
        })
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let (kind, message) = match trouble {
            Trouble::MissingKey | Trouble::WrongKey => {
                return ApiError::new(401, "Invalid username or password.");
            }
            Trouble::ContextWindow { tokens, window } => {
                return invalid(&format!(
                    "`inputs` tokens + `max_new_tokens` must be <= {window}. Given: {tokens} `inputs` tokens and 0 \
                     `max_new_tokens`"
                ));
            }
            Trouble::Quota => {
                let message = "You have exceeded your monthly included credits for Inference Providers.";
                return ApiError::new(402, message);
            }
            Trouble::RateLimited | Trouble::Status { code: 429, .. } => {
                ("overloaded", "Model is overloaded".to_owned())
            }
            Trouble::NotJson { reason } => {
                ("validation", format!("Failed to parse the request body as JSON: {reason}"))
            }
            Trouble::Status { code: 424, .. } => {
                ("generation", "Request failed during generation".to_owned())
            }
            Trouble::Status { code: 500.., .. } => {
                ("incomplete_generation", "Incomplete generation".to_owned())
            }
            other => ("validation", other.sentence()),
        };
        ApiError::new(trouble.status(), message).kind(kind)
    }

    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        match error.kind {
            Some(kind) => json!({"error": error.message, "error_type": kind}),
            None => json!({"error": error.message}),
        }
    }

    fn error_event(&self, error: &ApiError) -> Event {
        Event::data(Role::End, &self.error_body(error, ""))
    }

    fn headers(&self, reply: Reply, request_id: &str) -> Reply {
        reply.header("x-request-id", request_id).header("x-inference-provider", "simulated")
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(422, format!("Input validation error: {message}")).kind("validation")
}

fn spell(violation: &Violation) -> ApiError {
    let keys = violation.path.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        _ => None,
    });
    let path = keys.collect::<Vec<_>>().join(".");
    let reason = match &violation.wrong {
        Wrong::Missing => format!("missing field `{path}`"),
        Wrong::Type { expected, .. } => format!("{path}: invalid type, expected {expected}"),
        Wrong::Word { given, allowed } => {
            format!("{path}: unknown variant `{given}`, expected one of {}", allowed.join(", "))
        }
        Wrong::Below { min, .. } => format!("`{path}` must be >= {min}"),
        Wrong::Above { max, .. } => format!("`{path}` must be <= {max}"),
        Wrong::TooFew { .. } => format!("`{path}` cannot be empty"),
        _ => format!("`{path}` is not valid"),
    };
    let message = format!("Failed to deserialize the JSON body into the target type: {reason}");
    ApiError::new(422, message).kind("validation")
}

fn chat(body: &Value) -> Result<(), ApiError> {
    let number = |key: &str| body.get(key).and_then(Value::as_f64);
    if number("temperature").is_some_and(|heat| heat < 0.0) {
        return Err(invalid("`temperature` must be strictly positive"));
    }
    if number("top_p").is_some_and(|top| top <= 0.0 || top > 1.0) {
        return Err(invalid("`top_p` must be > 0.0 and <= 1.0"));
    }
    if items_at(body, "stop").len() > 4 {
        return Err(invalid("`stop` supports up to 4 stop sequences"));
    }
    let schema = body.pointer("/response_format/type").is_some_and(|kind| kind != "text");
    if schema && !items_at(body, "tools").is_empty() {
        return Err(invalid("Grammar and tools are mutually exclusive"));
    }
    Ok(())
}

fn batch(body: &Value) -> Result<(), ApiError> {
    for key in ["inputs", "input"] {
        let texts = items_at(body, key).len();
        if texts > TEXTS_MAX {
            let message = format!("batch size {texts} > maximum allowed batch size {TEXTS_MAX}");
            return Err(ApiError::new(413, message).kind("validation"));
        }
        if body.get(key).is_some_and(|input| *input == json!([]) || *input == json!("")) {
            return Err(ApiError::new(422, "`inputs` cannot be empty").kind("empty"));
        }
    }
    Ok(())
}

fn head(ask: &Ask, object: &str, making: &mut Making<'_>) -> Value {
    json!({
        "object": object, "id": making.ids.next("chatcmpl-", 16), "created": making.created, "model": ask.model,
        "system_fingerprint": FINGERPRINT,
    })
}

fn with(mut head: Value, name: &str, value: Option<Value>) -> Value {
    if let (Some(fields), Some(value)) = (head.as_object_mut(), value) {
        fields.insert(name.to_owned(), value);
    }
    head
}

fn whole(ask: &Ask, making: &mut Making<'_>) -> Value {
    let choices = deltas::choices(ask, MANNER, making);
    let head = head(ask, "chat.completion", making);
    let usage = making.usage(deltas::usage(&making.composed.counts));
    with(with(head, "choices", Some(choices)), "usage", usage)
}

fn events(ask: &Ask, making: &mut Making<'_>) -> Vec<Event> {
    let head = head(ask, "chat.completion.chunk", making);
    let mut events = Vec::new();
    let mut push = |role, choices: Value, usage: Option<Value>| {
        let frame = with(with(head.clone(), "choices", Some(choices)), "usage", usage);
        events.push(Event::data(role, &frame));
    };
    for step in deltas::steps(ask, MANNER, making) {
        let choice =
            json!({"index": step.index, "delta": step.delta, "logprobs": null, "finish_reason": null});
        push(step.role, json!([choice]), None);
    }
    let word = making.word(deltas::finish_word(making.finish()));
    for index in 0..ask.choices {
        let delta = json!({"role": "assistant", "content": ""});
        let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": word});
        push(Role::Closing, json!([choice]), None);
    }
    if ask.include_usage {
        let counts = deltas::usage(&making.composed.counts);
        for usage in [making.first_usage(&counts), making.usage(counts.clone())].into_iter().flatten() {
            push(Role::Closing, json!([]), Some(usage));
        }
    }
    events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), role: Role::End });
    events
}

fn features_input(body: &Value) -> Value {
    with(
        json!({"input": body.get("inputs")}),
        "dimensions",
        body.get("dimensions").filter(|n| !n.is_null()).cloned(),
    )
}

/// Vectors alone. The hosted pipeline answers one text with one vector, the server with a list of one.
fn features(body: &Value, pipeline: bool) -> Value {
    let made = embedding::reply(&features_input(body), "");
    let vectors = made.get("data").and_then(Value::as_array).into_iter().flatten();
    let mut vectors: Vec<Value> = vectors.filter_map(|one| one.get("embedding").cloned()).collect();
    if pipeline && body.get("inputs").is_some_and(Value::is_string) {
        return vectors.pop().unwrap_or_default();
    }
    Value::Array(vectors)
}

fn ranking(body: &Value) -> Value {
    let texts: Vec<String> =
        items_at(body, "texts").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let shown = flag_at(body, "return_text");
    let ranked = rank(text_at(body, "query"), &texts, None).into_iter();
    let one = |(index, score): (usize, f64)| {
        let text = texts.get(index).filter(|_| shown).map(|text| json!(text));
        with(json!({"index": index, "score": score}), "text", text)
    };
    ranked.map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::Behaviour;
    use crate::compose::{Ids, compose};

    fn refused(extra: Value, message: &str) {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        let found = shape::check(body.as_object().unwrap(), tables::CHAT, Keys::Exact);
        let wrong = found.iter().find(|found| found.wrong != Wrong::Unknown);
        let error = wrong.map_or_else(|| chat(&body).unwrap_err(), spell);
        assert_eq!((error.status, error.kind), (422, Some("validation")), "{extra}");
        assert!(error.message.contains(message), "{extra}: {error:?}");
    }

    #[test]
    fn what_the_server_cannot_read_is_refused() {
        refused(json!({"messages": []}), "`messages` cannot be empty");
        refused(json!({"stop": "x"}), "stop: invalid type");
        refused(json!({"top_p": 0}), "`top_p` must be > 0.0");
        refused(json!({"temperature": -1}), "strictly positive");
        refused(json!({"tool_choice": "any"}), "unknown variant `any`");
        refused(json!({"tools": [{"type": "function", "function": {"name": "f"}}]}), "missing field");
        let tool = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
        refused(json!({"tools": [tool], "response_format": {"type": "json_object"}}), "mutually exclusive");
    }

    #[test]
    fn a_stream_says_what_the_plain_reply_says() {
        let body = json!({"messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": true}});
        let ask = openai::read_chat(&body, "m");
        let composed = compose(&ask, &Behaviour::new().reasoning("why not"));
        let mut making = Making { composed: &composed, ids: &mut Ids::new(1), created: 0, usage_fault: None };
        let plain = whole(&ask, &mut making);
        let events = events(&ask, &mut making);
        let frames = events
            .iter()
            .filter_map(|event| serde_json::from_slice::<Value>(event.bytes.strip_prefix(b"data: ")?).ok());
        let frames: Vec<Value> = frames.collect();
        let joined = |pointer: &str| -> String {
            frames.iter().filter_map(|frame| frame.pointer(pointer).and_then(Value::as_str)).collect()
        };
        assert_eq!(joined("/choices/0/delta/content"), plain["choices"][0]["message"]["content"]);
        assert_eq!(joined("/choices/0/delta/reasoning"), "why not");
        assert_eq!(frames.last().unwrap()["usage"], plain["usage"]);
    }

    #[test]
    fn vectors_come_as_the_pipeline_and_as_the_server_send_them() {
        let one = json!({"inputs": "a", "dimensions": 3});
        assert_eq!(features(&one, true).as_array().unwrap().len(), 3);
        assert_eq!(features(&one, false).as_array().unwrap().len(), 1);
        assert_eq!(features(&json!({"inputs": ["a", "b"]}), true).as_array().unwrap().len(), 2);
        let ranked = ranking(&json!({"query": "gate", "texts": ["tea", "gate"], "return_text": true}));
        assert_eq!((&ranked[0]["index"], &ranked[0]["text"]), (&json!(1), &json!("gate")));
        assert_eq!(batch(&json!({"inputs": vec!["x"; 33]})).unwrap_err().status, 413);
    }
}
