//! Where a program on AWS finds its keys: an instance's metadata (version 2), a container's and a pod's endpoint.
//!
//! Owns: their paths, tokens and replies (EC2 user guide, "Use IMDS"; ECS "Task IAM role"; EKS "Pod Identity"). Leaves
//! to others: the keys given out (`keys`).
//!
//! **Invariant:** metadata is read only with a token of version 2, as on an instance that demands it.

use super::{date, now, text};
use crate::clouds::{AWS_ACCOUNT, AWS_ROLE, Op};
use crate::compose::Ids;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::reply::Reply;
use crate::server::Shared;
use crate::surface::Operation;
use crate::tokens::Standing;
use http::HeaderMap;
use serde_json::{Value, json};
use std::time::Duration;

/// What the paths of a container's endpoint begin with.
const CONTAINER_PREFIX: &str = "/v2/credentials/";
/// The path of a pod's endpoint.
const POD_PATH: &str = "/v1/credentials";
pub(super) const TOKEN_PATH: &str = "/latest/api/token";
const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials";
/// How long a metadata token may be asked for (seconds).
const TOKEN_SECONDS: std::ops::RangeInclusive<u64> = 1..=21_600;
const PLAIN: &str = "text/plain";

/// Whether a path is one of these.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with("/latest/") || path.starts_with(CONTAINER_PREFIX) || path == POD_PATH
}

/// Answers a request.
pub(super) fn answer(shared: &Shared, asked: &Asked, ids: &mut Ids) -> Result<Reply, ApiError> {
    let path = asked.head.uri.path();
    let headers = &asked.head.headers;
    if asked.route.operation == Some(Operation::Cloud(Op::MetadataToken)) {
        return token(shared, headers, ids);
    }
    if path.contains("/latest/") {
        return instance(shared, path, headers, ids);
    }
    if path.ends_with(POD_PATH)
        && value(headers, "authorization").is_none_or(|token| token.contains("invalid"))
    {
        return Err(ApiError::bad_request("Service account token cannot be empty"));
    }
    let mut keys = keys(shared, ids);
    if let Some(fields) = keys.as_object_mut() {
        let arn = format!("arn:aws:iam::{AWS_ACCOUNT}:role/{AWS_ROLE}");
        fields.insert("RoleArn".to_owned(), json!(arn));
    }
    Ok(Reply::json(&keys))
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

fn token(shared: &Shared, headers: &HeaderMap, ids: &mut Ids) -> Result<Reply, ApiError> {
    if headers.contains_key("x-forwarded-for") {
        return Err(ApiError::new(403, "Forbidden"));
    }
    let seconds =
        value(headers, "x-aws-ec2-metadata-token-ttl-seconds").and_then(|text| text.parse::<u64>().ok());
    let Some(seconds) = seconds.filter(|seconds| TOKEN_SECONDS.contains(seconds)) else {
        return Err(ApiError::bad_request("Bad Request"));
    };
    let token = ids.next("AQAEA", 51);
    shared.clouds.aws_keys.metadata_tokens.issue(&token, Duration::from_secs(seconds));
    Ok(text(PLAIN, token).header("x-aws-ec2-metadata-token-ttl-seconds", seconds.to_string()))
}

fn instance(shared: &Shared, path: &str, headers: &HeaderMap, ids: &mut Ids) -> Result<Reply, ApiError> {
    let token = value(headers, "x-aws-ec2-metadata-token");
    let tokens = &shared.clouds.aws_keys.metadata_tokens;
    if token.is_none_or(|token| tokens.standing(token) != Standing::Good) {
        return Err(ApiError::new(401, "Unauthorized"));
    }
    let at = path.find("/latest/").unwrap_or_default();
    let path = path.get(at..).unwrap_or_default();
    match path {
        "/latest/meta-data/placement/region" => return Ok(text(PLAIN, "us-east-1")),
        "/latest/meta-data/placement/availability-zone" => return Ok(text(PLAIN, "us-east-1a")),
        _ => {}
    }
    match path.strip_prefix(ROLES_PATH).map(|rest| rest.trim_matches('/')) {
        Some("") => Ok(text(PLAIN, AWS_ROLE)),
        Some(role) if role == AWS_ROLE => {
            let mut keys = keys(shared, ids);
            if let Some(fields) = keys.as_object_mut() {
                fields.insert("Code".to_owned(), json!("Success"));
                fields.insert("Type".to_owned(), json!("AWS-HMAC"));
                fields.insert("LastUpdated".to_owned(), json!(date::extended(now())));
            }
            // The service says text, though it is JSON.
            Ok(text(PLAIN, keys.to_string()))
        }
        _ => Err(ApiError::new(404, "Not Found")),
    }
}

fn keys(shared: &Shared, ids: &mut Ids) -> Value {
    let lifetime =
        shared.script.read(|script| script.clouds.aws_lifetime).unwrap_or(Duration::from_secs(21_600));
    let made = shared.clouds.aws_keys.issue(lifetime, ids);
    json!({
        "AccessKeyId": made.access_key,
        "SecretAccessKey": made.secret,
        "Token": made.token,
        "Expiration": date::extended(now() + lifetime.as_secs()),
    })
}

/// An error as these services write it: a page.
pub(super) fn error_reply(error: &ApiError) -> Reply {
    let title = format!("{} - {}", error.status, error.message);
    text(
        "text/html",
        format!(
            "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\">\n\
             <head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
        ),
    )
}
