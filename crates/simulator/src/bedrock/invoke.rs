//! Invoked models: bodies of each maker's own.
//!
//! Owns: which maker's rules a body is held against, Anthropic's messages as Bedrock takes them, their stream. Leaves to
//! others: Anthropic's rules and replies (`anthropic`), embeddings (`embedding`).
//!
//! **Invariant:** the model stands in the path alone, and a stream is asked for by the path alone.

use super::embedding::{self, Maker};
use super::{model, stream};
use crate::anthropic::{self, Version};
use crate::ask::{Ask, text_at};
use crate::aws::eventstream;
use crate::compose::Counts;
use crate::error::ApiError;
use crate::openai::embedding::base64;
use crate::reply::{Event, Making, Reply, Role};
use crate::wire::Turn;
use serde_json::{Value, json};

/// Whose body it is.
enum Body {
    Anthropic,
    Embedding(Maker),
}

/// Told by the model's id, and where that says nothing by the body.
fn body_of(body: &Value, id: &str) -> Option<Body> {
    let (maker, name) = model::maker(id);
    let embeds = name.contains("embed");
    match maker {
        "anthropic" => Some(Body::Anthropic),
        "amazon" if embeds => Some(Body::Embedding(Maker::of_titan(name))),
        "cohere" if embeds => Some(Body::Embedding(Maker::Cohere)),
        "" if body.get("anthropic_version").is_some() => Some(Body::Anthropic),
        "" if body.get("inputText").is_some() => Some(Body::Embedding(Maker::of_titan(name))),
        "" if body.get("input_type").is_some() => Some(Body::Embedding(Maker::Cohere)),
        _ => None,
    }
}

/// Checks the body of an invocation.
pub(super) fn check(body: &Value, id: &str, streams: bool) -> Result<(), ApiError> {
    match body_of(body, id) {
        Some(Body::Anthropic) => {
            let (inner, version) = messages(body, id)?;
            anthropic::check::check(&inner, version)
        }
        Some(Body::Embedding(_)) if streams => Err(ApiError::bad_request(
            "The model is unsupported for streaming. See the documentation for more information.",
        )),
        Some(Body::Embedding(maker)) => embedding::check(body, maker),
        None => Err(ApiError::bad_request(
            "Malformed input request: the simulated service invokes models of Anthropic, and embeddings of Amazon and \
             Cohere; use the Converse API for others.",
        )),
    }
}

/// The members that stand for headers and the path.
const BESIDE: [&str; 2] = ["anthropic_version", "anthropic_beta"];

/// The body as Anthropic's own API has it, and the version that it names.
fn messages(body: &Value, id: &str) -> Result<(Value, Version), ApiError> {
    let version = match body.get("anthropic_version").map(|version| version.as_str().unwrap_or_default()) {
        None => return Err(ApiError::bad_request("anthropic_version: Field required")),
        Some("bedrock-2023-05-31") => Version::V2023,
        // The official package sends the API's own version since its major of that day.
        Some("2026-10-21") => Version::V2026,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "Malformed input request: #/anthropic_version: \"{other}\" is not a valid enum value, please reformat \
                 your input and try again."
            )));
        }
    };
    if let Some(wrong) = ["model", "stream"].into_iter().find(|name| body.get(name).is_some()) {
        return Err(ApiError::bad_request(format!("{wrong}: Extra inputs are not permitted")));
    }
    if body.get("anthropic_beta").is_some_and(|beta| !beta.is_array()) {
        return Err(ApiError::bad_request("anthropic_beta: Input should be a valid list"));
    }
    let mut inner = body.clone();
    if let Some(fields) = inner.as_object_mut() {
        for name in BESIDE {
            fields.shift_remove(name);
        }
        fields.insert("model".to_owned(), json!(model::maker(id).1));
    }
    Ok((inner, version))
}

/// Reads what an invocation asks for.
pub(super) fn read(body: &Value, id: &str) -> Ask {
    match body_of(body, id) {
        Some(Body::Embedding(maker)) => {
            Ask { prompt_tokens: embedding::prompt_tokens(body, maker), ..Ask::default() }
        }
        _ => Ask { model: claude(id), ..anthropic::read(body) },
    }
}

/// The name under which Anthropic's replies tell the model.
fn claude(id: &str) -> String {
    let name = model::maker(id).1;
    let end = name.find("-v").filter(|at| name.get(at + 2..).is_some_and(|rest| rest.contains(':')));
    name.get(..end.unwrap_or(name.len())).unwrap_or(name).to_owned()
}

/// The reply.
pub(super) fn reply(turn: Turn<'_>, streams: bool, making: &mut Making<'_>) -> Reply {
    let (body, id) = (turn.body(), turn.asked.route.subject.as_deref().unwrap_or_default());
    if let Some(Body::Embedding(maker)) = body_of(body, id) {
        let tokens = embedding::prompt_tokens(body, maker);
        let counts = Counts { prompt: tokens, ..Counts::default() };
        return counted(Reply::json(&embedding::reply(body, maker, making.ids)), &counts);
    }
    let latency = super::reply::latency(making);
    if !streams {
        let message = anthropic::reply::message(&turn.ask.model, making);
        return counted(Reply::json(&message), &making.composed.counts);
    }
    let events = anthropic::reply::events(&turn.ask.model, making);
    let metrics = json!({
        "inputTokenCount": making.composed.counts.prompt.saturating_sub(making.composed.counts.cached),
        "outputTokenCount": making.composed.counts.completion,
        "invocationLatency": latency,
        "firstByteLatency": latency,
    });
    let chunks = events.into_iter().filter_map(|event| chunk(&event, &metrics)).collect();
    stream(chunks).header("x-amzn-bedrock-content-type", "application/json")
}

/// The counts of an invocation stand in headers too.
fn counted(reply: Reply, counts: &Counts) -> Reply {
    let input = counts.prompt.saturating_sub(counts.cached).saturating_sub(counts.cache_written);
    reply
        .header("x-amzn-bedrock-invocation-latency", "1")
        .header("x-amzn-bedrock-input-token-count", input.to_string())
        .header("x-amzn-bedrock-output-token-count", counts.completion.to_string())
        .header("x-amzn-bedrock-cache-read-input-token-count", counts.cached.to_string())
        .header("x-amzn-bedrock-cache-write-input-token-count", counts.cache_written.to_string())
}

/// One of Anthropic's events in a frame of Bedrock's; pings do not come through.
fn chunk(event: &Event, metrics: &Value) -> Option<Event> {
    let text = std::str::from_utf8(&event.bytes).ok()?;
    let data = text.split_once("\ndata: ")?.1.trim_end();
    let mut data: Value = serde_json::from_str(data).ok()?;
    match text_at(&data, "type") {
        "ping" => return None,
        "message_stop" => {
            data.as_object_mut()?.insert("amazon-bedrock-invocationMetrics".to_owned(), metrics.clone());
        }
        _ => {}
    }
    let role = if event.role == Role::End { Role::End } else { event.role };
    let payload = json!({"bytes": base64(data.to_string().as_bytes()), "p": "abcdefghijkl"});
    Some(eventstream::event(role, "chunk", &payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(extra: &Value) -> Value {
        let mut body = json!({
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 5,
            "messages": [{"role": "user", "content": "hi"}],
        });
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

    #[test]
    fn anthropics_body_has_its_version_and_no_model() {
        assert_eq!(check(&body(&json!({"anthropic_beta": ["x"]})), CLAUDE, true), Ok(()));
        assert_eq!(check(&body(&json!({"anthropic_version": "2026-10-21"})), CLAUDE, false), Ok(()));
        for (extra, words) in [
            (json!({"anthropic_version": "2023-06-01"}), "not a valid enum value"),
            (json!({"model": "claude"}), "model: Extra inputs are not permitted"),
            (json!({"stream": true}), "stream: Extra inputs are not permitted"),
            (json!({"anthropic_beta": "x"}), "anthropic_beta: Input should be a valid list"),
            (json!({"max_tokens": 0}), "max_tokens: Input should be greater"),
            (json!({"anthropic_version": "2026-10-21", "temperature": 1}), "temperature: Extra inputs"),
        ] {
            let error = check(&body(&extra), CLAUDE, false).unwrap_err();
            assert!(error.message.contains(words), "{extra}: {}", error.message);
        }
        let mut without = body(&json!({}));
        without.as_object_mut().unwrap().remove("anthropic_version");
        let error = check(&without, CLAUDE, false).unwrap_err();
        assert_eq!(error.message, "anthropic_version: Field required");
    }

    #[test]
    fn a_reply_names_the_model_as_anthropic_does() {
        for (id, name) in [
            (CLAUDE, "claude-haiku-4-5-20251001"),
            ("anthropic.claude-3-haiku-20240307-v1:0", "claude-3-haiku-20240307"),
            ("anthropic.claude-opus-4-7", "claude-opus-4-7"),
        ] {
            assert_eq!(claude(id), name);
        }
    }

    #[test]
    fn a_model_of_another_maker_is_not_invoked() {
        let error = check(&json!({"prompt": "x"}), "meta.llama3-8b-instruct-v1:0", false).unwrap_err();
        assert_eq!(error.status, 400);
    }
}
