//! AWS's Security Token Service: the query API, with replies in XML.
//!
//! Owns: `AssumeRole`, `AssumeRoleWithWebIdentity`, `GetCallerIdentity`, and the rules of their parameters (STS API
//! reference, 2011-06-15). Leaves to others: signatures (`sigv4`), the keys given out (`keys`), web tokens (`jwt`).
//!
//! **Invariant:** keys are given out to a signed request, or to one with a web token that the simulated issuer signed.

use super::keys::{BadKey, Temporary};
use super::sigv4::Refusal;
use super::{ENDED_KEY, UNKNOWN_KEY, Unsigned, date, now, signed, text};
use crate::clouds::AWS_ACCOUNT;
use crate::compose::Ids;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::jwt;
use crate::reply::Reply;
use crate::server::Shared;
use crate::surface::query_value;
use std::time::Duration;

const VERSION: &str = "2011-06-15";
const XML: &str = "text/xml";
/// Shortest and longest session (`DurationSeconds`).
const SECONDS: std::ops::RangeInclusive<u64> = 900..=43_200;
/// A role whose name has this word in it may not be assumed.
const DENIED: &str = "denied";

/// Answers a request.
pub(super) fn answer(shared: &Shared, asked: &Asked, ids: &mut Ids) -> Result<Reply, ApiError> {
    let form = String::from_utf8_lossy(&asked.body).into_owned();
    let field = |name: &str| query_value(&form, name).unwrap_or_default();
    let action = field("Action");
    if action.is_empty() {
        // What the service's front door does with a visitor.
        return Err(ApiError::new(302, "https://aws.amazon.com/iam").kind("MissingAction"));
    }
    if field("Version") != VERSION {
        let message = format!("Could not find operation {action} for version {}", field("Version"));
        return Err(ApiError::bad_request(message).kind("InvalidAction"));
    }
    let body = match action.as_str() {
        "AssumeRole" => {
            admit(shared, asked)?;
            let (role, session) = role_and_session(&field)?;
            let lifetime = lifetime(shared, &field("DurationSeconds"))?;
            allowed(&role, &format!("arn:aws:iam::{AWS_ACCOUNT}:user/simulated"), "sts:AssumeRole")?;
            assumed(&role, &session, &shared.clouds.aws_keys.issue(lifetime, ids))
        }
        "AssumeRoleWithWebIdentity" => {
            let (role, session) = role_and_session(&field)?;
            let lifetime = lifetime(shared, &field("DurationSeconds"))?;
            let claims = web_identity(&field("WebIdentityToken"))?;
            allowed(&role, "the web identity", "sts:AssumeRoleWithWebIdentity")?;
            let made = shared.clouds.aws_keys.issue(lifetime, ids);
            let claim =
                |name: &str| claims.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            format!(
                "<SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken><Audience>{}</Audience>\
                 <Provider>{}</Provider>{}",
                escape(&claim("sub")),
                escape(&claim("aud")),
                escape(&claim("iss")),
                assumed(&role, &session, &made)
            )
        }
        "GetCallerIdentity" => {
            admit(shared, asked)?;
            format!(
                "<Arn>arn:aws:iam::{AWS_ACCOUNT}:user/simulated</Arn><UserId>AIDASIMULATED</UserId>\
                 <Account>{AWS_ACCOUNT}</Account>"
            )
        }
        _ => {
            let message = format!("Could not find operation {action} for version {VERSION}");
            return Err(ApiError::bad_request(message).kind("InvalidAction"));
        }
    };
    let id = super::request_id(ids);
    Ok(text(
        XML,
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\"><{action}Result>{body}\
             </{action}Result><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
        ),
    ))
}

/// STS has names of its own for what is wrong with a signature.
fn admit(shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
    signed(shared, asked, "sts").map_err(|refusal| {
        let (status, kind, message) = match refusal {
            Unsigned::Signature(Refusal::Missing) => {
                (403, "MissingAuthenticationToken", "Request is missing Authentication Token".to_owned())
            }
            Unsigned::Signature(Refusal::Incomplete(message)) => (400, "IncompleteSignature", message),
            Unsigned::Signature(Refusal::Invalid(message)) => (403, "SignatureDoesNotMatch", message),
            Unsigned::Key(BadKey::Unknown) => (403, "InvalidClientTokenId", UNKNOWN_KEY.to_owned()),
            Unsigned::Key(BadKey::Ended) => (403, "ExpiredToken", ENDED_KEY.to_owned()),
        };
        ApiError::new(status, message).kind(kind)
    })
}

fn violation(value: &str, name: &str, constraint: &str) -> ApiError {
    ApiError::bad_request(format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {constraint}"
    ))
    .kind("ValidationError")
}

fn role_and_session(field: &impl Fn(&str) -> String) -> Result<(String, String), ApiError> {
    let (role, session) = (field("RoleArn"), field("RoleSessionName"));
    if role.len() < 20 {
        return Err(violation(&role, "roleArn", "Member must have length greater than or equal to 20"));
    }
    if !(role.starts_with("arn:aws") && role.contains(":iam::") && role.contains(":role/")) {
        return Err(ApiError::bad_request(format!("{role} is invalid")).kind("ValidationError"));
    }
    if session.len() < 2 {
        return Err(violation(
            &session,
            "roleSessionName",
            "Member must have length greater than or equal to 2",
        ));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if session.len() > 64 || !session.chars().all(good) {
        let constraint = "Member must satisfy regular expression pattern: [\\w+=,.@-]*";
        return Err(violation(&session, "roleSessionName", constraint));
    }
    Ok((role, session))
}

fn lifetime(shared: &Shared, asked: &str) -> Result<Duration, ApiError> {
    let seconds = if asked.is_empty() { Some(3_600) } else { asked.parse().ok() };
    let Some(seconds) = seconds.filter(|seconds| SECONDS.contains(seconds)) else {
        let constraint = "Member must have value between 900 and 43200";
        return Err(violation(asked, "durationSeconds", constraint));
    };
    let set = shared.script.read(|script| script.clouds.aws_lifetime);
    Ok(set.unwrap_or(Duration::from_secs(seconds)))
}

fn allowed(role: &str, caller: &str, action: &str) -> Result<(), ApiError> {
    if !role.contains(DENIED) {
        return Ok(());
    }
    let message = format!("User: {caller} is not authorized to perform: {action} on resource: {role}");
    Err(ApiError::new(403, message).kind("AccessDenied"))
}

fn web_identity(token: &str) -> Result<serde_json::Value, ApiError> {
    if token.len() < 4 {
        return Err(violation(
            token,
            "webIdentityToken",
            "Member must have length greater than or equal to 4",
        ));
    }
    jwt::verify(token, now()).map_err(|refusal| match refusal {
        jwt::Refusal::Ended => {
            ApiError::bad_request("Token expired: current date/time must be before the expiration date/time")
                .kind("ExpiredTokenException")
        }
        _ => ApiError::bad_request("Couldn't retrieve verification key from your identity provider, or the token's signature is invalid")
            .kind("InvalidIdentityToken"),
    })
}

fn assumed(role: &str, session: &str, made: &Temporary) -> String {
    let name = role.rsplit('/').next().unwrap_or_default();
    let account = role.split(':').nth(4).unwrap_or(AWS_ACCOUNT);
    format!(
        "<AssumedRoleUser><Arn>arn:aws:sts::{account}:assumed-role/{name}/{session}</Arn>\
         <AssumedRoleId>AROASIMULATED:{session}</AssumedRoleId></AssumedRoleUser>\
         <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>",
        made.access_key,
        escape(&made.secret),
        escape(&made.token),
        date::extended(now() + made.lifetime.as_secs())
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An error of the service.
pub(super) fn error_reply(error: &ApiError, request_id: &str) -> Reply {
    let kind = error.kind.unwrap_or("ValidationError");
    if kind == "MissingAction" {
        return text("text/html", "").header("location", error.message.clone());
    }
    let who = if error.status >= 500 { "Receiver" } else { "Sender" };
    text(
        XML,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\"><Error><Type>{who}</Type>\
             <Code>{kind}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
            escape(&error.message)
        ),
    )
}
