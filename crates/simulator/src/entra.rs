//! Microsoft Entra's token endpoint, for Azure.
//!
//! Owns: the client-credentials grant (RFC 6749, section 4.4, with Entra's errors), the tokens given out and when they
//! end. Leaves to others: what a token is good for (`azure`).
//!
//! **Invariant:** a token is good from its issue until its end, and no text but an issued one is.

use crate::error::ApiError;
use crate::surface::query_value;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The scope that Azure OpenAI's tokens have.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Most tokens remembered; the ones that ended go first.
const TOKENS_MAX: usize = 10_000;

/// The client that the token endpoint knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntraClient {
    /// The tenant, as it stands in the path.
    pub tenant: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// How long a token is good for.
    pub lifetime: Duration,
}

/// The tokens given out.
#[derive(Debug, Default)]
pub(crate) struct Issued {
    ends: Mutex<HashMap<String, Instant>>,
}

impl Issued {
    /// Whether a token was given out and has not ended.
    pub(crate) fn is_good(&self, token: &str) -> bool {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(token).is_some_and(|end| Instant::now() < *end)
    }

    /// Remembers a token for so long.
    pub(crate) fn issue(&self, token: &str, lifetime: Duration) {
        let now = Instant::now();
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() >= TOKENS_MAX {
            ends.retain(|_, end| now < *end);
        }
        if ends.len() < TOKENS_MAX {
            ends.insert(token.to_owned(), now + lifetime);
        }
    }
}

/// Answers a request for a token; `fresh` is the token to give.
pub(crate) fn answer(
    form: &str,
    tenant: &str,
    client: Option<&EntraClient>,
    issued: &Issued,
    fresh: &str,
) -> Result<Value, ApiError> {
    let field = |name: &str| query_value(form, name).unwrap_or_default();
    if let Some(missing) = ["grant_type", "client_id", "client_secret", "scope"]
        .into_iter()
        .find(|name| query_value(form, name).is_none())
    {
        return Err(refusal(
            400,
            900_144,
            "invalid_request",
            &format!("The request body must contain the following parameter: '{missing}'."),
        ));
    }
    if field("grant_type") != "client_credentials" {
        return Err(refusal(
            400,
            70_003,
            "unsupported_grant_type",
            "The app requested an unsupported grant type.",
        ));
    }
    if field("scope") != SCOPE {
        return Err(refusal(
            400,
            70_011,
            "invalid_scope",
            "The provided value for the input parameter 'scope' is not valid.",
        ));
    }
    let any = EntraClient {
        tenant: tenant.to_owned(),
        client_id: field("client_id"),
        client_secret: field("client_secret"),
        lifetime: Duration::from_secs(3_599),
    };
    let client = client.unwrap_or(&any);
    if client.tenant != tenant {
        return Err(refusal(400, 90_002, "invalid_request", &format!("Tenant '{tenant}' not found.")));
    }
    if client.client_id != field("client_id") {
        return Err(refusal(
            400,
            700_016,
            "unauthorized_client",
            "Application was not found in the directory.",
        ));
    }
    if client.client_secret != field("client_secret") {
        return Err(refusal(401, 7_000_215, "invalid_client", "Invalid client secret provided."));
    }
    issued.issue(fresh, client.lifetime);
    let seconds = client.lifetime.as_secs();
    Ok(
        json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": fresh}),
    )
}

fn refusal(status: u16, code: u32, kind: &'static str, message: &str) -> ApiError {
    let mut error = ApiError::new(status, format!("AADSTS{code}: {message}")).kind(kind);
    error.details = Some(Box::new(json!([code])));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "grant_type=client_credentials&client_id=app&client_secret=s%20t&scope=https%3A%2F%2F\
                        cognitiveservices.azure.com%2F.default";

    fn client() -> EntraClient {
        EntraClient {
            tenant: "t".to_owned(),
            client_id: "app".to_owned(),
            client_secret: "s t".to_owned(),
            lifetime: Duration::from_secs(60),
        }
    }

    fn refused(form: &str, tenant: &str, code: u32) {
        let error = answer(form, tenant, Some(&client()), &Issued::default(), "tok").unwrap_err();
        assert_eq!(error.details.as_deref(), Some(&json!([code])), "{form}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_good_until_it_ends() {
        let issued = Issued::default();
        let made = answer(GOOD, "t", Some(&client()), &issued, "tok").unwrap();
        assert_eq!((&made["access_token"], &made["expires_in"]), (&json!("tok"), &json!(60)));
        assert!(issued.is_good("tok") && !issued.is_good("other"));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!issued.is_good("tok"));
    }

    #[test]
    fn each_wrong_request_has_entras_code() {
        refused(&GOOD.replace("client_secret=s%20t", "client_secret=x"), "t", 7_000_215);
        refused(&GOOD.replace("client_id=app", "client_id=x"), "t", 700_016);
        refused(&GOOD.replace("client_credentials", "password"), "t", 70_003);
        refused(&GOOD.replace("cognitiveservices", "x"), "t", 70_011);
        refused("grant_type=client_credentials", "t", 900_144);
        refused(GOOD, "elsewhere", 90_002);
    }
}
