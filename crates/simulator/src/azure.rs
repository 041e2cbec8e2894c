//! What Azure OpenAI does differently from OpenAI.
//!
//! Owns: the API version, credentials, content-filter results, headers. Leaves to others: everything that is OpenAI's
//! (`openai`), the token endpoint (`entra`).
//!
//! **Invariant:** what is added to OpenAI's reply takes nothing of it away, so that a client of either reads it.

use crate::error::{ApiError, INVALID_SUBSCRIPTION};
use crate::openai;
use crate::reply::{Event, Reply, Role};
use http::HeaderMap;
use serde_json::{Value, json};

/// How a caller of Azure shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential<'a> {
    /// The header `api-key`.
    Key(&'a str),
    /// A bearer token of Entra, or on the v1 routes a key sent like one.
    Bearer(&'a str),
}

impl<'a> Credential<'a> {
    /// The credential of a request.
    pub(crate) fn of(headers: &'a HeaderMap) -> Option<Credential<'a>> {
        let key = headers.get("api-key").and_then(|value| value.to_str().ok()).filter(|key| !key.is_empty());
        key.map(Credential::Key).or_else(|| openai::bearer(headers).map(Credential::Bearer))
    }

    /// The text of it.
    pub(crate) fn text(self) -> &'a str {
        match self {
            Credential::Key(text) | Credential::Bearer(text) => text,
        }
    }
}

/// The refusal of a request without a good credential.
pub(crate) fn denied() -> ApiError {
    ApiError::new(401, INVALID_SUBSCRIPTION).of_gateway()
}

/// The refusal of a bad bearer token.
pub(crate) fn bad_token() -> ApiError {
    ApiError::new(401, "The access token is missing, invalid, audience is incorrect, or have expired.")
        .of_gateway()
        .code("Unauthorized")
}

/// Checks `api-version`, which the deployment routes demand and the v1 routes take.
pub(crate) fn check_version(version: Option<&str>, on_v1: bool) -> Result<(), ApiError> {
    match version {
        None if on_v1 => Ok(()),
        None => Err(ApiError::new(404, "Resource not found").of_gateway()),
        Some("preview" | "latest" | "v1") if on_v1 => Ok(()),
        Some(version) if is_version(version) => Ok(()),
        Some(_) => Err(ApiError::bad_request("API version not supported").of_gateway().code("BadRequest")),
    }
}

/// `2024-10-21` or `2025-04-01-preview`
fn is_version(version: &str) -> bool {
    let date = version.strip_suffix("-preview").unwrap_or(version);
    let form =
        |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    date.len() == 10 && date.bytes().enumerate().all(form)
}

fn safe() -> Value {
    let one = json!({"filtered": false, "severity": "safe"});
    json!({"hate": one, "self_harm": one, "sexual": one, "violence": one})
}

fn prompt_results() -> Value {
    let mut results = safe();
    if let Some(fields) = results.as_object_mut() {
        fields.insert("jailbreak".to_owned(), json!({"filtered": false, "detected": false}));
    }
    json!([{"prompt_index": 0, "content_filter_results": results}])
}

/// Adds the filter's results to a plain reply.
pub(crate) fn annotate(reply: &mut Value) {
    let Some(fields) = reply.as_object_mut() else { return };
    for choice in fields.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(choice) = choice.as_object_mut() {
            choice.insert("content_filter_results".to_owned(), safe());
        }
    }
    fields.insert("prompt_filter_results".to_owned(), prompt_results());
}

/// Adds the filter's results to a stream: a first chunk of its own that has no choices, and a field in each choice.
pub(crate) fn annotate_events(events: Vec<Event>) -> Vec<Event> {
    let first = json!({
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": prompt_results(),
    });
    let mut out = vec![Event::data(Role::Opening, &first)];
    out.extend(events.into_iter().map(annotate_event));
    out
}

fn annotate_event(event: Event) -> Event {
    let data =
        event.bytes.strip_prefix(b"data: ").and_then(|data| serde_json::from_slice::<Value>(data).ok());
    let Some(mut chunk) = data else { return event };
    let results = if event.role == Role::Content { safe() } else { json!({}) };
    for choice in chunk.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(choice) = choice.as_object_mut() {
            choice.insert("content_filter_results".to_owned(), results.clone());
        }
    }
    Event::data(event.role, &chunk)
}

/// The headers that every reply of Azure has.
pub(crate) fn headers(reply: Reply, request_id: &str) -> Reply {
    reply
        .header("apim-request-id", request_id)
        .header("x-request-id", request_id)
        .header("x-ms-region", "Simulated Central")
        .header("x-ms-rai-invoked", "true")
        .header("azureml-model-session", "simulated-1")
        .header("strict-transport-security", "max-age=31536000; includeSubDomains; preload")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_version_is_demanded_on_deployment_routes() {
        for (version, on_v1, status) in [
            (Some("2024-10-21"), false, 0),
            (Some("2025-04-01-preview"), false, 0),
            (None, false, 404),
            (Some("latest"), false, 400),
            (Some("2024-1-1"), false, 400),
            (None, true, 0),
            (Some("preview"), true, 0),
            (Some("odd"), true, 400),
        ] {
            let found = check_version(version, on_v1).err().map_or(0, |error| error.status);
            assert_eq!(found, status, "{version:?} {on_v1}");
        }
    }

    #[test]
    fn a_stream_begins_with_a_chunk_without_choices() {
        let chunk = json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "x"}}]});
        let end = Event { bytes: "data: [DONE]\n\n".into(), role: Role::End };
        let events = annotate_events(vec![Event::data(Role::Content, &chunk), end.clone()]);
        let read = |event: &Event| serde_json::from_slice::<Value>(&event.bytes[6..]).unwrap();
        assert_eq!(read(&events[0])["choices"], json!([]));
        assert!(
            read(&events[0])["prompt_filter_results"][0]["content_filter_results"]["jailbreak"].is_object()
        );
        assert_eq!(read(&events[1])["choices"][0]["content_filter_results"]["hate"]["severity"], "safe");
        assert_eq!(read(&events[1])["choices"][0]["delta"], json!({"content": "x"}));
        assert_eq!(events[2], end);
    }
}
