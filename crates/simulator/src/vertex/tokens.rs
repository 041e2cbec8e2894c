//! Google's token services: OAuth's token endpoint, the exchange of foreign tokens, impersonation, an instance's
//! metadata.
//!
//! Owns: their rules, errors and replies (RFC 7523 and RFC 8693 as Google has them; IAM Credentials reference; "About VM
//! metadata"). Leaves to others: signed web tokens (`jwt`), what an access token is good for (`vertex`).
//!
//! **Invariant:** an access token is given out to a signed assertion, a known refresh token, a good access token, or on
//! the instance itself, and to nothing else.

use crate::ask::{Ask, items_at, text_at};
use crate::aws::{date, now};
use crate::clouds::{
    GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, GOOGLE_PROJECT, GOOGLE_REFRESH_TOKEN, GOOGLE_SERVICE_ACCOUNT, Op,
};
use crate::compose::Ids;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::jwt;
use crate::openai::bearer;
use crate::reply::{Content, Event, Making, Reply, Role};
use crate::server::Shared;
use crate::surface::{Operation, Route, Surface, percent_decode, query_value};
use crate::tokens::Standing;
use crate::wire::{Found, Turn, Wire};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::time::Duration;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECTS: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
/// The scope that Vertex AI wants.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Longest time from an assertion's issue to its end (seconds).
const ASSERTION_SECONDS_MAX: u64 = 3_600;
const METADATA: &str = "/computeMetadata/v1/";
const ACCOUNTS: &str = "/v1/projects/-/serviceAccounts/";

/// Google's token services.
#[derive(Debug)]
pub(crate) struct GoogleTokens;

/// The account that the simulator knows.
pub(super) fn account_email() -> String {
    let account: Value = serde_json::from_str(GOOGLE_SERVICE_ACCOUNT).unwrap_or_default();
    text_at(&account, "client_email").to_owned()
}

impl Wire for GoogleTokens {
    fn surface(&self) -> Surface {
        Surface::GoogleTokens
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        if path == "/token" || path == "/v1/token" {
            return Some((Operation::Token, None));
        }
        if path.starts_with(METADATA) {
            return Some((Operation::Cloud(Op::Metadata), None));
        }
        let email = path.strip_prefix(ACCOUNTS)?.strip_suffix(":generateAccessToken")?;
        Some((Operation::Token, Some(percent_decode(email))))
    }

    fn owns(&self, path: &str) -> bool {
        matches!(path, "/token" | "/v1/token") || path.starts_with(METADATA) || path.starts_with(ACCOUNTS)
    }

    fn model(&self, _shared: &Shared, _route: &Route, _body: &Value) -> String {
        String::new()
    }

    /// Each service has a rule of its own.
    fn check_credential(&self, _shared: &Shared, _asked: &Asked) -> Result<(), ApiError> {
        Ok(())
    }

    fn check(&self, _asked: &Asked, _operation: Operation) -> Result<(), ApiError> {
        Ok(())
    }

    fn read(&self, _asked: &Asked) -> Ask {
        Ask::default()
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let (shared, asked, ids) = (turn.shared, turn.asked, &mut *making.ids);
        let path = asked.head.uri.path();
        match (turn.operation(), &asked.route.subject) {
            (Operation::Token, Some(email)) => impersonate(shared, asked, email, ids),
            (Operation::Token, None) if path.ends_with("/v1/token") => exchange(shared, asked, ids),
            (Operation::Token, None) => grant(shared, asked, ids),
            _ => metadata(shared, asked, ids),
        }
    }

    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        json!({"error": error.kind.unwrap_or("invalid_request"), "error_description": error.message})
    }

    fn error_reply(&self, asked: &Asked, error: &ApiError, request_id: &str) -> Option<Reply> {
        let reply = match (asked.route.operation, &asked.route.subject) {
            (Some(Operation::Token), Some(_)) => Reply::json(&error.google_body()),
            (Some(Operation::Token), None) => Reply::json(&self.error_body(error, request_id)),
            _ => text(format!("{}\n", error.message)),
        };
        Some(Reply { status: error.status, ..reply })
    }

    fn error_event(&self, error: &ApiError) -> Event {
        Event::data(Role::Closing, &self.error_body(error, ""))
    }

    fn headers(&self, reply: Reply, _request_id: &str) -> Reply {
        reply.header("cache-control", "no-cache, no-store, max-age=0, must-revalidate")
    }
}

/// Plain text, with the header that says that it comes from the metadata server.
fn text(text: impl Into<String>) -> Reply {
    let text: String = text.into();
    let reply = Reply { content: Content::Whole(text.into()), ..Reply::json(&Value::Null) };
    Reply { content_type: "application/text", ..reply }.header("metadata-flavor", "Google")
}

fn refusal(status: u16, kind: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(status, message).kind(kind)
}

/// Gives out an access token; how many seconds it is good for.
fn issue(shared: &Shared, ids: &mut Ids, at_most: Option<Duration>) -> (String, u64) {
    let set = shared.script.read(|script| script.clouds.google_lifetime);
    let lifetime = at_most.map_or(set, |most| most.min(set));
    let token = ids.next("ya29.simulated-", 60);
    shared.clouds.google_tokens.issue(&token, lifetime);
    (token, lifetime.as_secs())
}

/// OAuth's token endpoint.
fn grant(shared: &Shared, asked: &Asked, ids: &mut Ids) -> Result<Reply, ApiError> {
    let form = String::from_utf8_lossy(&asked.body).into_owned();
    let field = |name: &str| query_value(&form, name).unwrap_or_default();
    let kind = field("grant_type");
    match kind.as_str() {
        JWT_BEARER => assertion(&field("assertion"), &asked.head.headers)?,
        "refresh_token" => {
            if field("client_id") != GOOGLE_CLIENT_ID {
                return Err(refusal(401, "invalid_client", "The OAuth client was not found."));
            }
            if field("client_secret") != GOOGLE_CLIENT_SECRET {
                return Err(refusal(401, "invalid_client", "The provided client secret is invalid."));
            }
            if field("refresh_token") != GOOGLE_REFRESH_TOKEN {
                return Err(refusal(400, "invalid_grant", "Token has been expired or revoked."));
            }
        }
        "" => return Err(refusal(400, "invalid_request", "Missing required parameter: grant_type")),
        other => {
            let message = format!("Invalid grant_type: {other}");
            return Err(refusal(400, "unsupported_grant_type", message));
        }
    }
    let (token, seconds) = issue(shared, ids, None);
    let mut reply = json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"});
    if let Some(fields) = reply.as_object_mut().filter(|_| kind == "refresh_token") {
        fields.insert("scope".to_owned(), json!(SCOPE));
    }
    Ok(Reply::json(&reply))
}

/// Checks a service account's assertion.
fn assertion(assertion: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    let grant = |message: &str| refusal(400, "invalid_grant", message);
    let timely = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your \
                  iat and exp values in the JWT claim.";
    let claims = jwt::verify(assertion, now()).map_err(|refused| match refused {
        jwt::Refusal::Malformed => grant("Bad Request"),
        jwt::Refusal::Signature => grant("Invalid JWT Signature."),
        jwt::Refusal::Ended | jwt::Refusal::Early => grant(timely),
    })?;
    if text_at(&claims, "iss") != account_email() {
        return Err(grant("Invalid grant: account not found"));
    }
    let time = |name: &str| claims.get(name).and_then(Value::as_u64);
    let (Some(start), Some(end)) = (time("iat"), time("exp")) else { return Err(grant(timely)) };
    if end.saturating_sub(start) > ASSERTION_SECONDS_MAX {
        return Err(grant(timely));
    }
    let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let audience = text_at(&claims, "aud");
    let known = ["https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token"];
    let here = audience.split_once("://").is_some_and(|(_, rest)| {
        rest.strip_prefix(host).is_some_and(|path| path.starts_with('/') && path.ends_with("/token"))
    });
    if !known.contains(&audience) && !here {
        return Err(grant("Invalid JWT: Failed audience check."));
    }
    if !text_at(&claims, "scope").split(' ').any(|scope| scope == SCOPE) {
        let message = "Invalid OAuth scope or ID token audience provided.";
        return Err(refusal(400, "invalid_scope", message));
    }
    Ok(())
}

/// The exchange of a foreign token for one of Google's (workload identity federation).
fn exchange(shared: &Shared, asked: &Asked, ids: &mut Ids) -> Result<Reply, ApiError> {
    let form = String::from_utf8_lossy(&asked.body).into_owned();
    let field = |name: &str| {
        let camel = crate::shape::camel(name);
        let json = asked.json.get(&camel).and_then(Value::as_str).map(str::to_owned);
        json.or_else(|| query_value(&form, name)).unwrap_or_default()
    };
    let wrong = |name: &str| refusal(400, "invalid_request", format!("Invalid value for \"{name}\"."));
    if field("grant_type") != EXCHANGE {
        return Err(refusal(400, "unsupported_grant_type", "Invalid value for \"grant_type\"."));
    }
    let audience = field("audience");
    let pool = audience
        .strip_prefix("//iam.googleapis.com/")
        .is_some_and(|rest| rest.contains("/workloadIdentityPools/") || rest.contains("/workforcePools/"));
    if !pool || !audience.contains("/providers/") {
        return Err(wrong("audience"));
    }
    if field("requested_token_type") != ACCESS_TOKEN {
        return Err(wrong("requested_token_type"));
    }
    if !SUBJECTS.contains(&field("subject_token_type").as_str()) {
        return Err(wrong("subject_token_type"));
    }
    if !field("scope").split(' ').any(|scope| scope == SCOPE) {
        return Err(refusal(400, "invalid_scope", "Invalid value for \"scope\"."));
    }
    let grant = |message: &str| refusal(400, "invalid_grant", message);
    jwt::verify(&field("subject_token"), now()).map_err(|refused| match refused {
        jwt::Refusal::Ended => grant("ID Token is stale to sign-in."),
        _ => grant("Error connecting to the given credential's issuer, or the signature is invalid."),
    })?;
    let (token, seconds) = issue(shared, ids, None);
    Ok(Reply::json(&json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": seconds,
    })))
}

/// A token of a service account, for one who may act as it.
fn impersonate(shared: &Shared, asked: &Asked, email: &str, ids: &mut Ids) -> Result<Reply, ApiError> {
    let good = bearer(&asked.head.headers)
        .is_some_and(|token| shared.clouds.google_tokens.standing(token) == Standing::Good);
    if !good {
        return Err(super::bad_token(Standing::Unknown));
    }
    if email != account_email() {
        return Err(ApiError::new(404, "Not found; Gaia id not found for email ".to_owned() + email));
    }
    let scopes = items_at(&asked.json, "scope");
    if scopes.is_empty() {
        return Err(ApiError::bad_request("Request contains an invalid argument: scope is required."));
    }
    let lifetime = asked.json.get("lifetime").map(|text| {
        let seconds =
            text.as_str().and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse().ok());
        seconds.filter(|seconds| (1..=3_600).contains(seconds)).map(Duration::from_secs)
    });
    if lifetime == Some(None) {
        return Err(ApiError::bad_request("Request contains an invalid argument: lifetime."));
    }
    let (token, seconds) = issue(shared, ids, lifetime.flatten());
    Ok(Reply::json(&json!({"accessToken": token, "expireTime": date::extended(now() + seconds)})))
}

/// What an instance is told about itself.
fn metadata(shared: &Shared, asked: &Asked, ids: &mut Ids) -> Result<Reply, ApiError> {
    let flavor = asked.head.headers.get("metadata-flavor").and_then(|value| value.to_str().ok());
    if flavor != Some("Google") {
        return Err(ApiError::new(403, "Missing required header \"Metadata-Flavor\": \"Google\""));
    }
    let path = asked.head.uri.path();
    let tail = path.split_once(METADATA).map_or("", |(_, tail)| tail);
    let email = account_email();
    let of_account = tail.strip_prefix("instance/service-accounts/").and_then(|rest| {
        rest.strip_prefix("default/").or_else(|| rest.strip_prefix(&email)?.strip_prefix('/'))
    });
    if let Some(what) = of_account {
        let described = json!({"aliases": ["default"], "email": email, "scopes": [SCOPE]});
        return match what {
            "token" => {
                let (token, seconds) = issue(shared, ids, None);
                let reply = Reply::json(
                    &json!({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}),
                );
                Ok(reply.header("metadata-flavor", "Google"))
            }
            "email" => Ok(text(email)),
            "scopes" => Ok(text(SCOPE)),
            "" => Ok(Reply::json(&described).header("metadata-flavor", "Google")),
            _ => Err(ApiError::new(404, "Not Found")),
        };
    }
    match tail {
        "project/project-id" => Ok(text(GOOGLE_PROJECT)),
        "project/numeric-project-id" => Ok(text("1")),
        "universe/universe-domain" | "universe/universe_domain" => Ok(text("googleapis.com")),
        "instance/zone" => Ok(text("projects/1/zones/us-central1-a")),
        _ => Err(ApiError::new(404, "Not Found")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claims: Value, expect: Option<(&str, &str)>) {
        let mut headers = HeaderMap::new();
        headers.insert("host", http::HeaderValue::from_static("localhost:1"));
        let found = assertion(&jwt::signed(&claims), &headers).err();
        let found = found.as_ref().map(|error| (error.kind.unwrap_or_default(), error.message.as_str()));
        match expect {
            None => assert_eq!(found, None, "{claims}"),
            Some((kind, words)) => {
                let (found_kind, message) = found.unwrap();
                assert!(found_kind == kind && message.contains(words), "{claims}: {found_kind} {message}");
            }
        }
    }

    fn claims(extra: &Value) -> Value {
        let now = now();
        let mut claims = json!({
            "iss": account_email(),
            "scope": SCOPE,
            "aud": "https://oauth2.googleapis.com/token",
            "iat": now,
            "exp": now + 3_600,
        });
        for (key, value) in extra.as_object().unwrap() {
            claims[key] = value.clone();
        }
        claims
    }

    #[test]
    fn an_assertion_says_who_for_what_to_whom_and_until_when() {
        check(claims(&json!({})), None);
        check(claims(&json!({"aud": "http://localhost:1/token"})), None);
        check(claims(&json!({"aud": "http://localhost:1/d/west/token"})), None);
        for (extra, kind, words) in [
            (json!({"iss": "other@x"}), "invalid_grant", "account not found"),
            (json!({"aud": "https://example.com/token"}), "invalid_grant", "Failed audience check"),
            (json!({"scope": "email"}), "invalid_scope", "Invalid OAuth scope"),
            (json!({"exp": 5}), "invalid_grant", "short-lived token"),
            (json!({"exp": now() + 9_000}), "invalid_grant", "short-lived token"),
            (json!({"iat": null}), "invalid_grant", "short-lived token"),
        ] {
            check(claims(&extra), Some((kind, words)));
        }
    }

    #[test]
    fn an_assertion_of_another_key_is_refused() {
        let token = jwt::signed(&claims(&json!({})));
        let error = assertion(&token.replace('.', ".x"), &HeaderMap::new()).unwrap_err();
        assert_eq!((error.status, error.kind), (400, Some("invalid_grant")));
    }
}
