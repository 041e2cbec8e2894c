//! Asks a running gateway.
//!
//! Owns a request's address, its key and its time; the gateway's sentence of an error. The way out is that of requests to
//! providers: its TLS, its certificates and its caps. **Invariant:** the key goes to the gateway and nowhere else: no
//! redirect is followed.

use super::arguments::Reach;
use crate::files;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_upstream::{
    Client, Endpoint, Limits, Outgoing, Resolver, SegmentBody, Shared, Timeouts, Trust, extra_roots_from_pem,
};

/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For an answer: longer than the gateway waits for its database.
const ANSWER: Duration = Duration::from_secs(60);
/// For an answer that millions of rows are read for.
const LONG_ANSWER: Duration = Duration::from_secs(60 * 60);
/// The most of an answer that is no JSON to be shown, in characters.
const EXCERPT: usize = 200;

/// Why there is no answer to show.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The gateway says no, or what is asked for is not there.
    Refused(String),
    /// The arguments make no sense.
    Arguments(String),
    /// There is no gateway, or it does not answer.
    Unreachable(String),
}

/// A gateway.
pub(super) struct Gateway {
    client: Client,
    endpoint: Endpoint,
    headers: HeaderMap,
    url: String,
}

/// What is asked.
pub(super) struct Question<'a> {
    method: Method,
    path: &'a str,
    query: Vec<(&'a str, String)>,
    body: Option<Value>,
    within: Duration,
}

impl<'a> Question<'a> {
    /// For something.
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: None, within: ANSWER }
    }

    /// For a change.
    pub(super) fn post(path: &'a str, body: Value) -> Self {
        Self { method: Method::POST, path, query: Vec::new(), body: Some(body), within: ANSWER }
    }

    /// Of what takes as long as there are rows.
    #[must_use]
    pub(super) fn patient(self) -> Self {
        Self { within: LONG_ANSWER, ..self }
    }

    /// With a parameter.
    #[must_use]
    pub(super) fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    fn target(&self) -> String {
        let mut target = self.path.to_owned();
        for (place, (name, value)) in self.query.iter().enumerate() {
            target.push(if place == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            target.push_str(&encoded(value));
        }
        target
    }
}

/// Percent-encoded but for what RFC 3986 (2.3) never reserves.
pub(super) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// As it came.
    pub(super) text: String,
    /// What it says.
    pub(super) value: Value,
}

impl Gateway {
    /// The gateway that the arguments name. Nothing is sent yet.
    pub(super) fn at(reach: &Reach) -> Result<Self, Trouble> {
        let wrong = |error: String| Trouble::Arguments(error);
        let endpoint = Endpoint::parse(&reach.url, Trust::Operator)
            .map_err(|error| wrong(format!("--url {}: {error}", reach.url)))?;
        let roots = match files::extra_roots().map_err(wrong)? {
            Some(pem) => {
                extra_roots_from_pem(&pem).map_err(|error| wrong(format!("SSL_CERT_FILE: {error}")))?
            }
            None => Vec::new(),
        };
        let shared = Shared::new(Resolver::default(), Limits::default(), roots).map_err(wrong)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(key) = reach.key.as_ref().map(|key| key.expose().trim()).filter(|key| !key.is_empty()) {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| wrong("--key: it has characters that no key has".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let url = reach.url.clone();
        Ok(Self { client: Client::new(Arc::new(shared)), endpoint, headers, url })
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Answer, Trouble> {
        let target = self
            .endpoint
            .target(&question.target())
            .map_err(|error| Trouble::Arguments(format!("{}: {error}", question.path)))?;
        let now = Instant::now();
        let within = question.within;
        let timeouts =
            Timeouts { connect: CONNECT, head_by: now + within, idle: within, whole_by: now + within };
        let mut headers = self.headers.clone();
        let mut body = SegmentBody::default();
        if let Some(value) = question.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body = SegmentBody::new([Bytes::from(value.to_string())]);
        }
        let outgoing = Outgoing { method: question.method, target, headers, body, timeouts };
        let away = |error: &dyn std::fmt::Display| {
            Trouble::Unreachable(format!("no gateway answers at {}: {error}", self.url))
        };
        let reply = self.client.send(&self.endpoint, outgoing).await.map_err(|error| away(&error))?;
        let status = reply.status;
        let bytes = reply.body.collect().await.map_err(|error| away(&error))?;
        answer(status, &bytes, &self.url)
    }
}

/// What an answer says, or the sentence of its error.
fn answer(status: StatusCode, bytes: &[u8], url: &str) -> Result<Answer, Trouble> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let value = serde_json::from_str::<Value>(&text);
    match value {
        Ok(value) if status.is_success() => Ok(Answer { text, value }),
        Ok(value) => Err(Trouble::Refused(sentence(&value).unwrap_or_else(|| said(status, &text)))),
        Err(_) if status.is_success() => {
            Err(Trouble::Unreachable(format!("what answers at {url} is no gateway: {}", said(status, &text))))
        }
        Err(_) => Err(Trouble::Refused(said(status, &text))),
    }
}

/// The sentence of an error: LiteLLM has it in several places.
fn sentence(value: &Value) -> Option<String> {
    let places = ["/error/message", "/detail/error", "/detail", "/error", "/message"];
    let found = places.iter().find_map(|place| value.pointer(place)?.as_str());
    found.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn said(status: StatusCode, text: &str) -> String {
    let excerpt: String = text.trim().chars().take(EXCERPT).collect();
    let excerpt = super::table::printable(&excerpt);
    if excerpt.is_empty() { format!("status {status}") } else { format!("status {status}: {excerpt}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_gateways_sentence() {
        let check = |status: u16, body: &str, expect: Trouble| {
            let status = StatusCode::from_u16(status).unwrap();
            let got = answer(status, body.as_bytes(), "http://gateway").map(|answer| answer.text);
            assert_eq!(got, Err(expect), "{body}");
        };
        let refused = |text: &str| Trouble::Refused(text.to_owned());
        check(
            404,
            r#"{"error":{"message":"Key not found in database"}}"#,
            refused("Key not found in database"),
        );
        check(400, r#"{"detail":{"error":"no such team"}}"#, refused("no such team"));
        check(403, r#"{"detail":"not yours"}"#, refused("not yours"));
        check(500, "{}", refused("status 500 Internal Server Error: {}"));
        check(502, "", refused("status 502 Bad Gateway"));
        check(302, "<html>\u{1b}", refused("status 302 Found: <html>\u{fffd}"));
        let stranger = "what answers at http://gateway is no gateway: status 200 OK: <html>";
        check(200, "<html>", Trouble::Unreachable(stranger.to_owned()));
        assert_eq!(answer(StatusCode::OK, b"1", "").unwrap().value, 1);
    }

    #[test]
    fn parameters_are_encoded() {
        let question = Question::get("/key/list").with("key_alias", "a b&c=é/").with("size", "100");
        assert_eq!(question.target(), "/key/list?key_alias=a%20b%26c%3D%C3%A9%2F&size=100");
        assert_eq!(Question::get("/audit").target(), "/audit");
    }
}
