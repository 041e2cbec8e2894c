//! OpenAI's API beside chat, completions, embeddings and models: what all of its routes share.
//!
//! Owns: reading a body that is JSON or a form, the order of checks, which module serves an operation, the objects
//! that are kept. Leaves to others: each resource (`responses`, `media`, `realtime`, and the modules here).
//!
//! **Invariant:** everything that is kept is in memory and bounded; the oldest goes first.

mod routes;

use crate::admission;
use crate::ask::Ask;
use crate::behaviour::Behaviour;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::reply::{Event, Making, Reply};
use crate::server::Shared;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

pub(crate) use routes::{Op, find, ids};

/// What is kept between requests.
#[derive(Debug, Default)]
pub(crate) struct State {}

/// The body of an operation as JSON: a form as an object of its fields; null when it is neither.
pub(crate) fn read_body(_op: Op, _headers: &HeaderMap, body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Whether the API would take the request.
pub(crate) fn check(_: &Shared, asked: &Asked, _op: Op, _: &Behaviour) -> Result<(), ApiError> {
    Err(admission::no_route(asked))
}

/// What a request asks of a model, where it asks one.
pub(crate) fn read(_: &Asked, _op: Op) -> Ask {
    Ask::default()
}

/// The reply.
pub(crate) fn make(_: &Shared, asked: &Asked, _: &Ask, _: &mut Making<'_>) -> Result<Reply, ApiError> {
    Err(admission::no_route(asked))
}

/// The error event of a stream that fails after it began.
pub(crate) fn error_event(_op: Op, body: &Value) -> Event {
    crate::openai::reply::error_event(body)
}
