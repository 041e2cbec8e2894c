//! The caller's side of the handshake: what it asks for, and whether it may be answered (RFC 6455, 4.2).
//!
//! Owns reading the request's head. Leaves who the caller is to `auth`, apart from finding the key that browsers send
//! as a subprotocol. **Invariant:** nothing of the caller's head but the two words of [`Offer`] reaches a provider, its
//! key least of all.

use crate::error::Rejection;
use crate::percent;
use crate::surface::Surface;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{Request, Version};
use tollgate_upstream::websocket::{accept_key, has_token};

/// What a browser's subprotocol with a key in it begins with; pages cannot set headers on a WebSocket (OpenAI's
/// Realtime guide).
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";
/// The subprotocol that asks for the API as it was in its beta.
const BETA_PROTOCOL: &str = "openai-beta.realtime-v1";
/// The subprotocol that is spoken.
const PROTOCOL: &str = "realtime";

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// The group.
    pub(super) model: String,
    /// `transcription` or another word of OpenAI's for the kind of session.
    pub(super) intent: Option<String>,
    /// The API as it was in its beta.
    pub(super) is_beta: bool,
    /// The answer to the handshake's key.
    pub(super) accept: HeaderValue,
    /// The subprotocol that is chosen.
    pub(super) protocol: Option<HeaderValue>,
}

/// The key in a subprotocol.
pub(crate) fn protocol_key(headers: &HeaderMap) -> Option<&[u8]> {
    let key = protocols(headers).find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL.as_bytes()));
    key.filter(|key| !key.is_empty())
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// Reads a handshake.
pub(super) fn read<B>(request: &Request<B>) -> Result<Offer, Rejection> {
    let headers = request.headers();
    let is_upgrade = request.version() == Version::HTTP_11
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket");
    if !is_upgrade {
        return Err(Rejection::not_a_websocket());
    }
    let mut versions = headers.get_all(SEC_WEBSOCKET_VERSION).iter();
    let (version, second) = (versions.next(), versions.next());
    if version.is_none_or(|version| version != "13") || second.is_some() {
        return Err(Rejection::wrong_websocket_version());
    }
    let path = Surface::Realtime.path();
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (key, second) = (keys.next(), keys.next());
    // 16 bytes in base64 (RFC 6455, 4.1).
    let key = key.filter(|key| second.is_none() && key.len() == 24 && key.as_bytes().ends_with(b"=="));
    let key =
        key.ok_or_else(|| Rejection::invalid(path, "sec-websocket-key", "expected one key of 16 bytes"))?;
    let accept = accept_key(key.as_bytes()).ok_or_else(Rejection::internal)?;
    let query = request.uri().query().unwrap_or_default();
    if parameter(query, "call_id").is_some() {
        return Err(Rejection::realtime_over_http("call_id"));
    }
    // OpenAI's name for it, then Azure's.
    let model = parameter(query, "model").or_else(|| parameter(query, "deployment"));
    let model = model.ok_or_else(|| Rejection::missing(path, "model"))?;
    let intent = parameter(query, "intent").filter(|word| is_word(word));
    Ok(Offer { model, intent, is_beta: asks_beta(headers), accept, protocol: chosen(headers) })
}

fn asks_beta(headers: &HeaderMap) -> bool {
    headers.get("openai-beta").is_some_and(|value| value == "realtime=v1")
        || protocols(headers).any(|protocol| protocol == BETA_PROTOCOL.as_bytes())
}

/// The subprotocol that is spoken: browsers break off where they offered some and none is chosen. Never the one with
/// the key, which would be said back.
fn chosen(headers: &HeaderMap) -> Option<HeaderValue> {
    if protocols(headers).any(|protocol| protocol == PROTOCOL.as_bytes()) {
        return Some(HeaderValue::from_static(PROTOCOL));
    }
    // What else carries an account's or a key's name begins so too (`openai-organization.`, `openai-project.`).
    let is_plain = |protocol: &&[u8]| !protocol.is_empty() && !protocol.starts_with(b"openai-");
    protocols(headers).find(is_plain).and_then(|protocol| HeaderValue::from_bytes(protocol).ok())
}

fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// One parameter of a query, percent-decoded; empty is none.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        if key != name || value.is_empty() {
            return None;
        }
        percent::decode(&value.replace('+', " "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn request(uri: &str, rows: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().uri(uri);
        for (name, value) in rows {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn a_handshake_says_model_intent_and_age_of_the_api() {
        let check = |uri: &str, more: &[(&str, &str)], expect: (&str, Option<&str>, bool, Option<&str>)| {
            let offer = read(&request(uri, &[&RIGHT, more].concat())).unwrap();
            let protocol = offer.protocol.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(
                (offer.model.as_str(), offer.intent.as_deref(), offer.is_beta, protocol),
                expect,
                "{uri}"
            );
            assert_eq!(offer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        };
        check("/v1/realtime?model=m", &[], ("m", None, false, None));
        check("/v1/realtime?x=1&model=a%2Fb", &[], ("a/b", None, false, None));
        check("/openai/realtime?api-version=1&deployment=d", &[], ("d", None, false, None));
        check("/v1/realtime?model=m&intent=transcription", &[], ("m", Some("transcription"), false, None));
        check("/v1/realtime?model=m&intent=a%26b", &[], ("m", None, false, None));
        check("/v1/realtime?model=m", &[("openai-beta", "realtime=v1")], ("m", None, true, None));
        let offered = "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1";
        check(
            "/v1/realtime?model=m",
            &[("sec-websocket-protocol", offered)],
            ("m", None, true, Some("realtime")),
        );
        let offered = "openai-insecure-api-key.sk-1, mine";
        check(
            "/v1/realtime?model=m",
            &[("sec-websocket-protocol", offered)],
            ("m", None, false, Some("mine")),
        );
        let offered = "openai-insecure-api-key.sk-1";
        check("/v1/realtime?model=m", &[("sec-websocket-protocol", offered)], ("m", None, false, None));
    }

    #[test]
    fn what_is_no_handshake_is_refused_with_the_status_that_says_why() {
        let check = |uri: &str, without: &str, with: &[(&str, &str)], status: u16| {
            let rows: Vec<_> =
                RIGHT.iter().filter(|(name, _)| *name != without).chain(with).copied().collect();
            let refused = read(&request(uri, &rows)).map_err(|rejection| rejection.status().as_u16());
            assert_eq!(refused.map(|_| ()), Err(status), "{uri} {without} {with:?}");
        };
        let uri = "/v1/realtime?model=m";
        check(uri, "connection", &[], 426);
        check(uri, "upgrade", &[("upgrade", "h2c")], 426);
        check(uri, "sec-websocket-version", &[], 426);
        check(uri, "sec-websocket-version", &[("sec-websocket-version", "8")], 426);
        check(uri, "", &[("sec-websocket-version", "13")], 426);
        check(uri, "sec-websocket-key", &[], 400);
        check(uri, "sec-websocket-key", &[("sec-websocket-key", "short")], 400);
        check(uri, "", &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")], 400);
        check("/v1/realtime", "", &[], 400);
        check("/v1/realtime?model=", "", &[], 400);
        check("/v1/realtime?call_id=rtc_1&model=m", "", &[], 501);
    }

    #[test]
    fn a_browsers_key_is_found_among_its_subprotocols() {
        let check = |value: &'static str, expect: Option<&[u8]>| {
            let mut headers = HeaderMap::new();
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value));
            assert_eq!(protocol_key(&headers), expect, "{value}");
        };
        check("realtime, openai-insecure-api-key.sk-1", Some(b"sk-1"));
        check("realtime,openai-insecure-api-key.sk-1,x", Some(b"sk-1"));
        check("realtime, openai-insecure-api-key.", None);
        check("realtime", None);
    }
}
