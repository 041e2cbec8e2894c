//! What of a caller's request passes: its body with another model's name, and the headers that mean something to a provider.
//!
//! Owns the list of those headers and the finding of the model. Leaves the path to `address`. **Invariant:** no header
//! that can carry the gateway's key is passed on, and the model that routes is the only one that the body names.

use crate::error::Rejection;
use crate::pipeline::receive;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;
use tollgate_dialect::json::{Limits, Object, scan};
use tollgate_dialect::multipart::{self, Form};
use tollgate_dialect::relay::{RequestEdits, plan_request};
use tollgate_upstream::SegmentBody;

/// Headers of a caller's that mean something to a provider.
const PASSED: [&str; 7] = [
    "anthropic-version",
    "anthropic-beta",
    "openai-beta",
    "idempotency-key",
    "x-goog-fieldmask",
    "x-client-request-id",
    "accept-language",
];
/// Families of such headers.
const PASSED_FAMILIES: [&str; 2] = ["x-goog-upload-", "x-amzn-bedrock-"];
/// Before a header's name, LiteLLM's way to say that it is for the provider.
const FOR_PROVIDER: &str = "x-pass-";
/// Headers that may carry a key of the gateway, whatever else they are for.
const KEYS: [&str; 8] = [
    "x-litellm-api-key",
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "cookie",
    "x-amz-security-token",
];
/// Headers that choose who pays at the provider, which is the account's to say.
const PAYERS: [&str; 3] = ["openai-organization", "openai-project", "x-goog-user-project"];
/// Headers of the connection, or of one side of the gateway alone.
const OURS: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "accept-encoding",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "origin",
];

/// A body, as far as it was looked into.
pub(super) enum Sent<'b> {
    /// A JSON object; boxed, since it is large.
    Json(Box<Object<'b>>),
    /// A form.
    Form(Form<'b>),
    /// Nothing, or bytes of another kind.
    Other,
}

impl<'b> Sent<'b> {
    /// Looks into a body. What says that it is JSON or a form must be one.
    pub(super) fn read(headers: &HeaderMap, body: &'b Bytes) -> Result<Self, Rejection> {
        let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
            return Err(Rejection::wrong_content_type());
        }
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some(boundary) = multipart::boundary(kind) {
            let form = Form::read(body, boundary).map_err(|error| Rejection::bad_form(&error.to_string()))?;
            return Ok(Self::Form(form));
        }
        let says_json = receive::is_json(kind.as_bytes());
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Ok(Self::Other);
        }
        match scan(body, &Limits::REQUEST) {
            Ok(object) => Ok(Self::Json(Box::new(object))),
            Err(error) if says_json => Err(Rejection::bad_json(&error.to_string())),
            Err(_) => Ok(Self::Other),
        }
    }

    /// A text of the body.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'b, str>> {
        match self {
            Self::Json(object) => object.get(name)?.as_str(),
            Self::Form(form) => form.text(name).map(Cow::Borrowed),
            Self::Other => None,
        }
    }

    /// It asks for a stream.
    pub(super) fn asks_stream(&self) -> bool {
        match self {
            Self::Json(object) => object.get("stream").and_then(|value| value.as_bool()).unwrap_or(false),
            Self::Form(form) => form.text("stream").is_some_and(|text| text.eq_ignore_ascii_case("true")),
            Self::Other => false,
        }
    }

    /// The body as it goes out: with another model's name where it names one, and without some members or fields.
    pub(super) fn rewrite(
        &self,
        body: &Bytes,
        model: Option<&str>,
        remove: &[&str],
    ) -> Result<SegmentBody, Rejection> {
        match self {
            Self::Json(object) => {
                let model = model.filter(|_| object.get("model").is_some());
                let edits = RequestEdits { remove, model, ..RequestEdits::default() };
                let segments = plan_request(object, &edits, body)
                    .map_err(|error| Rejection::bad_json(&error.to_string()))?;
                Ok(SegmentBody::new(segments.iter().cloned()))
            }
            Self::Form(form) => Ok(SegmentBody::new(form.edit(body, model, remove))),
            Self::Other => Ok(SegmentBody::from(body.clone())),
        }
    }
}

/// Adds the caller's headers that go along. `all` is an operator's `forward_headers`, `key` the operator's name of the
/// header in which keys come.
pub(super) fn forward(caller: &HeaderMap, (all, key): (bool, Option<&str>), headers: &mut HeaderMap) {
    for (name, value) in caller {
        let text = name.as_str();
        let for_provider = text.strip_prefix(FOR_PROVIDER).and_then(|name| HeaderName::try_from(name).ok());
        let is_passed = all
            || [CONTENT_TYPE, ACCEPT, RANGE].contains(name)
            || PASSED.contains(&text)
            || PASSED_FAMILIES.iter().any(|family| text.starts_with(family));
        let name = match for_provider {
            Some(meant) => meant,
            None if is_passed => name.clone(),
            None => continue,
        };
        let is_held_back = [&KEYS[..], &PAYERS, &OURS].iter().any(|names| names.contains(&name.as_str()))
            || key.is_some_and(|key| name.as_str() == key);
        if !is_held_back && !is_forged(&name) {
            headers.insert(name, value.clone());
        }
    }
}

/// Headers by which proxies speak to each other, and the gateway's own.
fn is_forged(name: &HeaderName) -> bool {
    ["x-forwarded-", "x-litellm-", "x-tollgate-", "x-amz-", "sec-", "proxy-", "forwarded"]
        .iter()
        .any(|family| name.as_str().starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(rows: &[(&'static str, &'static str)], all: bool) -> Vec<String> {
        let caller: HeaderMap = rows
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let mut headers = HeaderMap::new();
        forward(&caller, (all, None), &mut headers);
        let mut names: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        names.sort();
        names
    }

    #[test]
    fn only_headers_with_a_meaning_go_along_and_never_a_key() {
        let rows = [
            ("authorization", "Bearer sk-1"),
            ("x-api-key", "sk-1"),
            ("api-key", "sk-1"),
            ("x-goog-api-key", "sk-1"),
            ("x-litellm-api-key", "sk-1"),
            ("x-pass-authorization", "Bearer sk-1"),
            ("x-pass-host", "evil.example"),
            ("x-pass-openai-organization", "org-2"),
            ("x-amz-date", "20261122T000000Z"),
            ("x-pass-x-mine", "1"),
            ("cookie", "a=b"),
            ("host", "gateway"),
            ("content-type", "application/json"),
            ("anthropic-beta", "a"),
            ("x-amzn-bedrock-trace", "ENABLED"),
            ("x-goog-upload-command", "start"),
            ("x-custom", "1"),
            ("x-forwarded-for", "10.0.0.1"),
        ];
        let few = [
            "anthropic-beta: a",
            "content-type: application/json",
            "x-amzn-bedrock-trace: ENABLED",
            "x-goog-upload-command: start",
            "x-mine: 1",
        ];
        assert_eq!(forwarded(&rows, false), few);
        let mut all: Vec<&str> = few.to_vec();
        all.insert(3, "x-custom: 1");
        assert_eq!(forwarded(&rows, true), all);
    }

    #[test]
    fn a_body_is_looked_into_where_it_can_be() {
        let check = |kind: &'static str, body: &'static str, expect: Result<Option<&str>, u16>| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            let body = Bytes::from_static(body.as_bytes());
            let sent = Sent::read(&headers, &body);
            let model = sent.map(|sent| sent.text("model").map(Cow::into_owned));
            let model = model.map_err(|rejection| rejection.status().as_u16());
            assert_eq!(model, expect.map(|model| model.map(str::to_owned)), "{kind} {body:?}");
        };
        check("application/json", r#"{"model":"m"}"#, Ok(Some("m")));
        check("application/json", r#"{"mod\u0065l":"m"}"#, Ok(Some("m")));
        check("application/json", r#"{"model":"m","model":"n"}"#, Err(400));
        check("application/json", "{", Err(400));
        check("application/json", "", Ok(None));
        check("application/json", "[1]", Ok(None));
        check("text/plain", r#"{"model":"m"}"#, Ok(Some("m")));
        check("text/plain", "{", Ok(None));
        let form = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--";
        check("multipart/form-data; boundary=x", form, Ok(Some("m")));
        check("multipart/form-data; boundary=y", form, Err(400));
    }

    #[test]
    fn a_body_is_not_touched_but_for_the_models_name() {
        let check = |kind: &'static str, body: &'static str, expect: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            let body = Bytes::from_static(body.as_bytes());
            let sent = Sent::read(&headers, &body).unwrap();
            let out = sent.rewrite(&body, Some("new"), &["provider"]).unwrap();
            let bytes: Vec<u8> = out.segments().flat_map(|piece| piece.to_vec()).collect();
            assert_eq!(String::from_utf8(bytes).unwrap(), expect, "{body:?}");
        };
        check("application/json", r#"{ "model" : "m", "x":1.0}"#, r#"{ "model" : "new", "x":1.0}"#);
        check("application/json", r#"{"x":[ ]}"#, r#"{"x":[ ]}"#);
        check("application/json", "[1, 2]", "[1, 2]");
        check("audio/wav", "RIFF", "RIFF");
        let form = "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--x--";
        check("multipart/form-data; boundary=x", form, form);
    }
}
