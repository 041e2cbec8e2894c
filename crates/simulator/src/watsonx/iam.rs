//! The token endpoint of IBM's cloud, for API keys.
//!
//! Owns: the grant for API keys with IBM's errors, and what a token given out here looks like. Leaves to others: when
//! a token ends (`entra::Issued`).
//!
//! **Invariant:** a token is told from an API key by its form alone, and one given out here is good until it ends.

use crate::admission;
use crate::compose::Ids;
use crate::error::ApiError;
use crate::server::Shared;
use crate::surface::query_value;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a token is good for (IAM reference).
const LIFETIME: Duration = Duration::from_secs(3_600);
const GRANT: &str = "urn:ibm:params:oauth:grant-type:apikey";
/// What every token given out here begins with.
const MARK: &str = "eyJzaW11bGF0ZWQiOiJpYW0i";

/// A new token.
pub(super) fn fresh(ids: &mut Ids) -> String {
    ids.next(MARK, 40)
}

/// Whether a token has the form of those given out here.
pub(super) fn is_ours(token: &str) -> bool {
    token.starts_with(MARK)
}

/// Answers a request for a token; `fresh` is the token to give, `now` seconds since 1970.
pub(super) fn answer(form: &str, shared: &Shared, fresh: &str, now: u64) -> Result<Value, ApiError> {
    let grant = query_value(form, "grant_type").unwrap_or_default();
    if grant != GRANT {
        return Err(refusal("BXNIM0137E", &format!("The provided grant_type '{grant}' is not supported.")));
    }
    let Some(key) = query_value(form, "apikey").filter(|key| !key.is_empty()) else {
        return Err(refusal("BXNIM0109E", "Property missing or empty: 'apikey'."));
    };
    if !admission::is_good(shared, &key) {
        return Err(refusal("BXNIM0415E", "Provided API key could not be found."));
    }
    shared.issued.issue(fresh, LIFETIME);
    Ok(json!({
        "access_token": fresh, "refresh_token": "not_supported", "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(), "expiration": now + LIFETIME.as_secs(), "scope": "ibm openid",
    }))
}

fn refusal(code: &'static str, message: &str) -> ApiError {
    let mut error = ApiError::new(400, message).kind(code);
    error.details = Some(Box::new(json!({"errorCode": code, "errorMessage": message, "context": {}})));
    error
}
