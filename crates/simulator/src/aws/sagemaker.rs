//! SageMaker's runtime: endpoints that serve a model behind the messages API of OpenAI, or in TGI's form.
//!
//! Owns: its routes, the two forms of a body, replies in frames. Leaves to others: who may call (`aws`), OpenAI's rules
//! and replies (`openai`).
//!
//! **Invariant:** a frame of a stream may end anywhere in the text that it carries, as the service has it.

use super::eventstream;
use crate::ask::{Ask, PromptCount, flag_at, number_at, text_at, texts_at};
use crate::behaviour::Finish;
use crate::clouds::Op;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::openai::check::{Kind, ModelIn};
use crate::openai::{self, reply::Wanted};
use crate::reply::{Event, Making, Reply, Role};
use crate::server::Shared;
use crate::shape::Shape::{Bool, Closed, Int, Num, Text};
use crate::shape::{self, Field, Keys, list, may, must};
use crate::surface::{Operation, Surface, percent_decode};
use crate::wire::{Found, Trouble, Turn, Wire};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

/// SageMaker's runtime.
#[derive(Debug)]
pub(crate) struct SageMaker;

/// A body of the text-generation server.
static GENERATE: &[Field] = &[
    must("inputs", Text),
    may(
        "parameters",
        Closed(&[
            may("best_of", Int(1, i64::MAX)),
            may("decoder_input_details", Bool),
            may("details", Bool),
            may("do_sample", Bool),
            may("frequency_penalty", Num(-2.0, 2.0)),
            may("max_new_tokens", Int(1, i64::MAX)),
            may("repetition_penalty", Num(0.0, f64::MAX)),
            may("return_full_text", Bool),
            may("seed", Int(0, i64::MAX)),
            may("stop", list(&Text)),
            may("temperature", Num(0.0, f64::MAX)),
            may("top_k", Int(1, i64::MAX)),
            may("top_n_tokens", Int(0, i64::MAX)),
            may("top_p", Num(0.0, 1.0)),
            may("truncate", Int(0, i64::MAX)),
            may("typical_p", Num(0.0, 1.0)),
            may("watermark", Bool),
        ]),
    ),
    may("stream", Bool),
];

fn is_messages(body: &Value) -> bool {
    body.get("messages").is_some()
}

impl Wire for SageMaker {
    fn surface(&self) -> Surface {
        Surface::SageMaker
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        let (endpoint, action) = path.strip_prefix("/endpoints/")?.split_once('/')?;
        let op = match action {
            "invocations" => Op::InvokeEndpoint,
            "invocations-response-stream" => Op::InvokeEndpointStream,
            _ => return None,
        };
        Some((Operation::Cloud(op), Some(percent_decode(endpoint))))
    }

    fn owns(&self, path: &str) -> bool {
        path.starts_with("/endpoints/")
    }

    fn credential(&self, headers: &HeaderMap) -> Option<String> {
        super::credential(headers)
    }

    fn check_credential(&self, shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
        super::admit(shared, asked)
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        let body = &asked.json;
        let streams = operation == Operation::Cloud(Op::InvokeEndpointStream);
        if flag_at(body, "stream") != streams {
            return Err(model_error("the member `stream` does not go with this route"));
        }
        if is_messages(body) {
            let model_in = if body.get("model").is_some() { ModelIn::Body } else { ModelIn::Path };
            let checked = openai::check::check(body, Kind::Chat, model_in, &asked.model);
            return checked.map_err(|error| model_error(&error.message));
        }
        let Some(object) = body.as_object() else { return Err(model_error("expected an object")) };
        match shape::check(object, GENERATE, Keys::Exact).first() {
            Some(violation) => Err(model_error(&format!("{:?}", violation.wrong))),
            None => Ok(()),
        }
    }

    fn read(&self, asked: &Asked) -> Ask {
        let body = &asked.json;
        if is_messages(body) {
            return openai::read_chat(body, &asked.model);
        }
        let none = Value::Null;
        let parameters = body.get("parameters").unwrap_or(&none);
        let mut count = PromptCount::default();
        count.text(text_at(body, "inputs"));
        Ask {
            model: asked.model.clone(),
            last_user: text_at(body, "inputs").to_owned(),
            prompt_tokens: count.tokens,
            choices: 1,
            max_tokens: number_at(parameters, "max_new_tokens"),
            stop: texts_at(parameters, "stop"),
            stream: flag_at(body, "stream"),
            ..Ask::default()
        }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let body = turn.body();
        let reply = match (is_messages(body), turn.ask.stream) {
            (true, false) => Reply::json(&openai::reply::chat(Wanted::new(turn.ask, body), making)),
            (true, true) => framed(openai::reply::chat_events(Wanted::new(turn.ask, body), making)),
            (false, false) => Reply::json(&json!([generated(turn, making)])),
            (false, true) => framed(tokens(making)),
        };
        Ok(reply.header("x-amzn-invoked-production-variant", "AllTraffic"))
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        match trouble {
            Trouble::Status { code: code @ (424 | 500..), .. } => ApiError {
                kind: Some(super::sagemaker_kind(code)),
                ..ApiError::new(code, trouble.sentence())
            },
            Trouble::ContextWindow { .. } | Trouble::ContentPolicy => model_error(&trouble.sentence()),
            _ => ApiError::new(trouble.status(), trouble.sentence()),
        }
    }

    /// The container's own error comes wrapped: the service answers 424 and quotes it.
    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        if error.kind != Some("ModelError") {
            return json!({"message": error.message});
        }
        let original = json!({"error": error.message, "error_type": "validation"}).to_string();
        json!({
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL",
            "LogStreamArn": "",
            "Message": format!("Received client error (422) from primary with message \"{original}\"."),
            "OriginalMessage": original,
            "OriginalStatusCode": 422,
        })
    }

    fn error_reply(&self, _asked: &Asked, error: &ApiError, request_id: &str) -> Option<Reply> {
        let reply = Reply::json(&self.error_body(error, request_id));
        let reply = reply.header("x-amzn-errortype", super::kind(Surface::SageMaker, error));
        Some(super::error_reply(reply, error, request_id))
    }

    fn error_event(&self, error: &ApiError) -> Event {
        match error.status {
            500.. => eventstream::exception("InternalStreamFailure", &json!({"Message": error.message})),
            _ => {
                let payload = json!({"ErrorCode": "ModelInvocationTimeExceeded", "Message": error.message});
                eventstream::exception("ModelStreamError", &payload)
            }
        }
    }

    fn headers(&self, reply: Reply, request_id: &str) -> Reply {
        super::headers(reply, request_id)
    }
}

fn model_error(message: &str) -> ApiError {
    ApiError::new(424, message).kind("ModelError")
}

/// The reason to stop in the words of the text-generation server.
fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::StopSequence => "stop_sequence",
        _ => "eos_token",
    }
}

fn generated(turn: Turn<'_>, making: &Making<'_>) -> Value {
    let text = &making.composed.text;
    let full = turn.body().pointer("/parameters/return_full_text").and_then(Value::as_bool).unwrap_or(false);
    let prompt = if full { text_at(turn.body(), "inputs") } else { "" };
    let mut reply = json!({"generated_text": format!("{prompt}{text}")});
    let details = turn.body().pointer("/parameters/details").and_then(Value::as_bool).unwrap_or(false);
    if let Some(fields) = reply.as_object_mut().filter(|_| details) {
        fields.insert("details".to_owned(), self::details(making));
    }
    reply
}

fn details(making: &Making<'_>) -> Value {
    json!({
        "finish_reason": finish_reason(making.finish()),
        "generated_tokens": making.composed.counts.completion,
        "seed": null,
    })
}

/// The text-generation server's stream: a token an event, the whole text in the last.
fn tokens(making: &Making<'_>) -> Vec<Event> {
    let pieces = crate::ask::pieces(&making.composed.text);
    let last = pieces.len().saturating_sub(1);
    let event = |(index, piece): (usize, &&str)| {
        let ends = index == last;
        let data = json!({
            "index": index + 1,
            "token": {"id": index, "text": piece, "logprob": -0.1, "special": false},
            "generated_text": ends.then_some(&making.composed.text),
            "details": ends.then(|| details(making)),
        });
        Event { bytes: format!("data:{data}\n\n").into(), role: Role::Content }
    };
    pieces.iter().enumerate().map(event).collect()
}

/// Events as the service carries them: bytes in frames, here cut in two.
fn framed(events: Vec<Event>) -> Reply {
    let part =
        |bytes: &[u8], role| eventstream::part(role, "PayloadPart", "application/octet-stream", bytes).bytes;
    let framed = events.into_iter().map(|event| {
        let (head, tail) = event.bytes.split_at(event.bytes.len() / 2);
        let bytes = [part(head, event.role), part(tail, event.role)].concat();
        Event { bytes: bytes.into(), role: event.role }
    });
    let reply = Reply::events(framed.collect());
    Reply { content_type: eventstream::CONTENT_TYPE, headers: Vec::new(), ..reply }
        .header("x-amzn-sagemaker-content-type", "text/event-stream")
}
