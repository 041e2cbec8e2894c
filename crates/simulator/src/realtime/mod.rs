//! OpenAI's Realtime API over WebSockets.
//!
//! Owns: the handshake, how a caller shows who it is there, client secrets. Leaves to others: a session (`session`),
//! its answers (`respond`), the messages on the wire (`talk`).
//!
//! **Invariant:** a session lives in its connection's own task and ends with it.

mod base64;
mod respond;
mod session;
mod tables;
mod talk;

use crate::ask::number_at;
use crate::behaviour::Behaviour;
use crate::body::{Exchange, PacedBody};
use crate::compose::Ids;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::fault::{Fault, ResetPoint};
use crate::openai::check::spell;
use crate::reply::Making;
use crate::shape::{self, Keys};
use crate::surface::query_value;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub(crate) use session::Session;
pub(crate) use talk::talk;

/// What a browser's subprotocol with a key in it begins with.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";
/// The subprotocol that is spoken.
const PROTOCOL: &str = "realtime";
/// Seconds that a client secret is good for unless it was made for longer or less.
const SECRET_SECONDS: u64 = 600;

/// A session that begins when its connection has left HTTP.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) session: Session,
    pub(crate) upgrade: OnUpgrade,
    pub(crate) exchange: Exchange,
}

/// Where a connection finds the session that it is to become.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Option<Opened>>);

impl Slot {
    fn put(&self, opened: Opened) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
    }

    /// The session, once.
    pub(crate) fn take(&self) -> Option<Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// The key in a subprotocol, as browsers send it.
pub(crate) fn protocol_key(headers: &HeaderMap) -> Option<&str> {
    protocols(headers).find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL)).filter(|key| !key.is_empty())
}

/// The model in a query: OpenAI's `model`, Azure's `deployment`.
pub(crate) fn model(query: &str) -> String {
    query_value(query, "model").or_else(|| query_value(query, "deployment")).unwrap_or_default()
}

/// Whether a fault happens within a session; any other happens to the handshake.
pub(crate) fn is_within(fault: Option<&Fault>) -> bool {
    matches!(
        fault,
        None | Some(
            Fault::ErrorEvent { .. }
                | Fault::Failed { .. }
                | Fault::Cut { .. }
                | Fault::Stall { .. }
                | Fault::Close { .. }
                | Fault::MalformedEvent { .. }
                | Fault::SlowFirstEvent(_)
                | Fault::Usage(_)
                | Fault::Reset(ResetPoint::AfterEvents(_))
        )
    )
}

/// The refusal of a request that is no WebSocket handshake (RFC 6455, section 4.2).
pub(crate) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    let has = |name: header::HeaderName, wanted: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.to_ascii_lowercase().split(',').any(|word| word.trim() == wanted)
    };
    let whole = has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13")
        && headers.contains_key(header::SEC_WEBSOCKET_KEY);
    if whole {
        return Ok(());
    }
    Err(ApiError::new(426, "This endpoint only accepts WebSocket connections.").code("websocket_required"))
}

/// Begins a session: the reply to the handshake, the rest to the slot.
pub(crate) fn open(
    asked: &Asked,
    (behaviour, ids): (Behaviour, Ids),
    upgrade: OnUpgrade,
    exchange: Exchange,
    slot: &Slot,
) -> Response<PacedBody> {
    let headers = &asked.head.headers;
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut response = Response::new(PacedBody::at_once(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let map = response.headers_mut();
    map.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    map.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(derive_accept_key(key)) {
        map.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if protocols(headers).any(|protocol| protocol == PROTOCOL) {
        map.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    }
    exchange.set_status(101);
    let early = headers.get("openai-beta").is_some_and(|value| value == "realtime=v1")
        || protocols(headers).any(|protocol| protocol == "openai-beta.realtime-v1");
    let session = Session::new(&asked.model, early, behaviour, ids);
    slot.put(Opened { session, upgrade, exchange });
    response
}

/// Checks a body that asks for a client secret.
pub(crate) fn check_secret(body: &Value) -> Result<(), ApiError> {
    let object = body.as_object().cloned().unwrap_or_default();
    match shape::check(&object, tables::SECRET, Keys::Exact).first() {
        Some(violation) => Err(spell(violation)),
        None => Ok(()),
    }
}

/// A client secret: its value, and the object that tells of it.
pub(crate) fn secret(body: &Value, making: &mut Making<'_>) -> (String, Value) {
    let value = making.ids.hex("ek_", 32);
    let seconds = body.pointer("/expires_after").and_then(|after| number_at(after, "seconds"));
    let expires = making.created + seconds.unwrap_or(SECRET_SECONDS);
    let model = body.pointer("/session/model").and_then(Value::as_str).unwrap_or("gpt-realtime");
    let mut session = session::config(&making.ids.next("sess_", 21), model);
    if let Some(given) = body.get("session") {
        session::merge(&mut session, given);
    }
    (value.clone(), json!({"value": value, "expires_at": expires, "session": session}))
}

#[cfg(test)]
mod tests;
