//! The calls that fetch a credential: small requests, small replies, one time limit for all that a renewal takes.
//!
//! Owns: where a call goes ([`Place`]), how it is sent ([`Courier`]) and how a refusal is worded. Leaves to others: what
//! a reply means.
//!
//! **Invariant:** a refusal names who refused, the status and at most a code out of a fixed list; a reply's own text,
//! which may repeat the credential, goes nowhere.

use crate::encoding::{base64, form};
use crate::error::CredentialError;
use crate::secret::Secret;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_upstream::{
    Client, Endpoint, Failure, Kind, Outgoing, Phase, Reply, SegmentBody, Timeouts, Trust,
};

/// Longest time that one renewal takes, however many calls it needs.
pub(crate) const RENEWAL_MAX: Duration = Duration::from_secs(10);
/// Longest time until a connection stands. Metadata services are on the same host or do not exist.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Most bytes of a reply; the largest, an STS reply or an identity token, has a few kilobytes.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// The errors of RFC 6749, 5.2 and RFC 8693, 2.2.2, which say what is wrong without repeating anything.
const OAUTH_ERRORS: [&str; 8] = [
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// Where a call goes: a host and a request target.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    endpoint: Endpoint,
    target: Uri,
}

impl Place {
    /// From a URL. `named` is what the operator calls it: a key, a variable, a member of a file.
    pub(crate) fn parse(named: &str, url: &str, trust: Trust) -> Result<Self, CredentialError> {
        Self::below(named, url, "", trust)
    }

    /// From a base URL and a path below it.
    pub(crate) fn below(named: &str, base: &str, path: &str, trust: Trust) -> Result<Self, CredentialError> {
        let wrong = |error| CredentialError::new(format!("{named}: {error}"));
        let endpoint = Endpoint::parse(base, trust).map_err(wrong)?;
        let target = endpoint.target(path).map_err(wrong)?;
        Ok(Self { endpoint, target })
    }

    /// Another path on the same host; `None` when it is no path.
    pub(crate) fn at(&self, path: &str) -> Option<Self> {
        let target = self.endpoint.target(path).ok()?;
        Some(Self { endpoint: self.endpoint.clone(), target })
    }

    /// The host's name or address.
    pub(crate) fn host(&self) -> &str {
        self.endpoint.host()
    }

    /// The `Host` header, for signatures.
    pub(crate) fn authority(&self) -> &HeaderValue {
        self.endpoint.authority()
    }

    /// Path and query.
    pub(crate) fn target(&self) -> String {
        self.target.to_string()
    }
}

/// A reply, read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON where the call succeeded.
    pub(crate) fn json(&self) -> Option<Value> {
        if self.status.is_success() { serde_json::from_slice(&self.body).ok() } else { None }
    }

    /// The body as text where the call succeeded.
    pub(crate) fn text(&self) -> Option<&str> {
        if self.status.is_success() { std::str::from_utf8(&self.body).ok() } else { None }
    }

    /// What is to be said of a reply without a credential in it: `Google gave no token (status 400, invalid_grant)`.
    pub(crate) fn refusal(&self, what: &str) -> Failure {
        let error = serde_json::from_slice(&self.body).ok().and_then(|body: Value| {
            let given = body.get("error")?.as_str()?;
            OAUTH_ERRORS.into_iter().find(|known| *known == given)
        });
        self.refusal_saying(what, error)
    }

    /// As [`Answer::refusal`], with a code that the caller has found in the body.
    pub(crate) fn refusal_saying(&self, what: &str, code: Option<&'static str>) -> Failure {
        let code = code.map_or_else(String::new, |code| format!(", {code}"));
        refused(format!("{what} (status {}{code})", self.status.as_u16()))
    }
}

/// The provider of a credential has answered, but not with one.
pub(crate) fn refused(detail: impl Into<String>) -> Failure {
    Failure::new(Kind::Protocol, Phase::Connecting, detail)
}

/// Carries the calls of one renewal.
#[derive(Clone, Copy)]
pub(crate) struct Courier<'a> {
    client: &'a Client,
    by: Instant,
}

impl<'a> Courier<'a> {
    /// For a renewal that begins now.
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client, by: Instant::now() + RENEWAL_MAX }
    }

    /// When the renewal must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        self.by
    }

    /// Asks for something with these headers.
    pub(crate) async fn get(&self, place: &Place, headers: HeaderMap) -> Result<Answer, Failure> {
        self.send(Method::GET, place, headers, Bytes::new()).await
    }

    /// Sends a form.
    pub(crate) async fn post_form(
        &self,
        place: &Place,
        pairs: &[(&str, &str)],
        mut headers: HeaderMap,
    ) -> Result<Answer, Failure> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        self.send(Method::POST, place, headers, Bytes::from(form(pairs))).await
    }

    /// Sends a request and reads the reply whole.
    pub(crate) async fn send(
        &self,
        method: Method,
        place: &Place,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let timeouts =
            Timeouts { connect: CONNECT_MAX, head_by: self.by, idle: RENEWAL_MAX, whole_by: self.by };
        let body = SegmentBody::from(body);
        let outgoing = Outgoing { method, target: place.target.clone(), headers, body, timeouts };
        let reply = self.client.send(&place.endpoint, outgoing).await?;
        read(reply).await
    }
}

async fn read(mut reply: Reply) -> Result<Answer, Failure> {
    let mut body = BytesMut::new();
    while let Some(piece) = reply.body.next().await.transpose()? {
        if body.len() + piece.len() > REPLY_BYTES_MAX {
            let detail = format!("a credential's reply has more than {REPLY_BYTES_MAX} bytes");
            return Err(Failure::new(Kind::TooLarge, Phase::Reading, detail));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer { status: reply.status, headers: reply.headers, body: body.freeze() })
}

/// `Authorization: Bearer`; `None` when the token has characters that no header takes.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Headers with `Authorization: Basic` (RFC 7617), as OAuth clients prove who they are (RFC 6749, 2.3.1).
pub(crate) fn basic(id: &str, secret: &Secret) -> HeaderMap {
    let pair = base64(format!("{id}:{}", secret.expose()).as_bytes());
    let value = HeaderValue::from_str(&format!("Basic {pair}"));
    let mut headers = HeaderMap::new();
    if let Ok(mut value) = value {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers
}

/// Headers of one line.
pub(crate) fn header(name: http::HeaderName, value: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(name, value)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_repeats_nothing_but_a_known_code() {
        let check = |body: &str, expected: &str| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let answer = Answer { status: StatusCode::UNAUTHORIZED, headers: HeaderMap::new(), body };
            assert_eq!(answer.refusal("Entra gave no token").detail, expected);
        };
        check(
            r#"{"error":"invalid_client","error_description":"sk-secret"}"#,
            "Entra gave no token (status 401, invalid_client)",
        );
        check(r#"{"error":"sk-secret"}"#, "Entra gave no token (status 401)");
        check(r#"{"error":{"message":"sk-secret"}}"#, "Entra gave no token (status 401)");
        check("sk-secret", "Entra gave no token (status 401)");
    }

    #[test]
    fn a_place_is_a_url_or_a_base_and_a_path() {
        let place = Place::parse("token_uri", "https://x.test/token?a=b", Trust::Catalogue).unwrap();
        assert_eq!((place.host(), place.target().as_str()), ("x.test", "/token?a=b"));
        let place = Place::below("base", "https://x.test/", "/oidc/v1/token", Trust::Catalogue).unwrap();
        assert_eq!(place.target(), "/oidc/v1/token");
        assert_eq!(place.at("/other").unwrap().target(), "/other");
        assert!(place.at("/../up").is_none());
        let error = Place::parse("token_uri", "sk-secret", Trust::Catalogue).unwrap_err();
        assert_eq!(error.to_string(), "token_uri: the scheme must be http or https");
    }

    #[test]
    fn what_proves_a_client_is_never_printed() {
        let headers = basic("id", &Secret::new("secret"));
        assert_eq!(headers[AUTHORIZATION].to_str().unwrap(), "Basic aWQ6c2VjcmV0");
        assert!(headers[AUTHORIZATION].is_sensitive() && bearer("abc").unwrap().is_sensitive());
        assert!(bearer("a\nb").is_none());
    }
}
