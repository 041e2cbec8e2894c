//! The token endpoint for Databricks' service principals.
//!
//! Owns: the client-credentials grant (RFC 6749, section 4.4) with the client in the header or in the form. Leaves to
//! others: when a token ends (`entra::Issued`).
//!
//! **Invariant:** a client whose id or secret contains `invalid` gets no token.

use crate::base64;
use crate::entra::Issued;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::surface::query_value;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a token is good for (OAuth guide).
const LIFETIME: Duration = Duration::from_secs(3_600);

/// Answers a request for a token; `fresh` is the token to give.
pub(super) fn answer(asked: &Asked, issued: &Issued, fresh: &str) -> Result<Value, ApiError> {
    let form = String::from_utf8_lossy(&asked.body);
    let field = |name: &str| query_value(&form, name).unwrap_or_default();
    let header = asked.head.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (id, secret) = client(header).unwrap_or_else(|| (field("client_id"), field("client_secret")));
    if field("grant_type") != "client_credentials" {
        return Err(refusal(400, "unsupported_grant_type", "The grant type is not supported"));
    }
    if field("scope") != "all-apis" {
        return Err(refusal(400, "invalid_scope", "The scope must be all-apis"));
    }
    let good = |text: &str| !text.is_empty() && !text.contains("invalid");
    if !good(&id) || !good(&secret) {
        return Err(refusal(401, "invalid_client", "Client authentication failed"));
    }
    issued.issue(fresh, LIFETIME);
    Ok(json!({
        "access_token": fresh, "scope": "all-apis", "token_type": "Bearer", "expires_in": LIFETIME.as_secs(),
    }))
}

/// The client of `Authorization: Basic`.
fn client(header: Option<&str>) -> Option<(String, String)> {
    let (scheme, encoded) = header?.split_once(' ')?;
    let bytes = scheme.eq_ignore_ascii_case("basic").then(|| base64::decode(encoded.trim()))??;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn refusal(status: u16, kind: &'static str, message: &str) -> ApiError {
    let mut error = ApiError::new(status, message).kind(kind);
    error.details = Some(Box::new(json!({"error": kind, "error_description": message})));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_read_from_the_header() {
        assert_eq!(client(Some("Basic YXBwOnM6dA==")), Some(("app".to_owned(), "s:t".to_owned())));
        assert_eq!(client(Some("Bearer YXBwOnM6dA==")), None);
        assert_eq!(client(None), None);
    }
}
