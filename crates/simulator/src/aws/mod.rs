//! What the simulated AWS services share: routes, credentials, errors, request ids; and the services that give out keys.
//!
//! Owns: which path is whose, who may call, the shape of an error. Leaves to others: Bedrock's models (`bedrock`),
//! SageMaker's endpoints (`sagemaker`), signatures (`sigv4`).
//!
//! **Invariant:** a request of Bedrock or SageMaker passes with a good signature or, at Bedrock, a good API key, and
//! with nothing else.

pub(crate) mod date;
pub(crate) mod eventstream;
pub(crate) mod keys;
mod metadata;
pub(crate) mod sagemaker;
mod sigv4;
mod sts;

use crate::admission;
use crate::ask::Ask;
use crate::clouds::Op;
use crate::compose::Ids;
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::openai::bearer;
use crate::reply::{Content, Event, Making, Reply};
use crate::server::Shared;
use crate::surface::{Operation, Route, Surface};
use crate::wire::{Found, Turn, Wire};
use http::{HeaderMap, Method};
use keys::BadKey;
use serde_json::{Value, json};
use sigv4::Refusal;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What a request shows of who it is from: an access key or a bearer token.
pub(crate) fn credential(headers: &HeaderMap) -> Option<String> {
    let signed = sigv4::read(headers).ok().map(|signature| signature.access_key.to_owned());
    signed.or_else(|| bearer(headers).map(str::to_owned))
}

/// Checks who a request of Bedrock or SageMaker is from.
pub(crate) fn admit(shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
    let bedrock = asked.surface() == Surface::Bedrock;
    if let Some(key) = bearer(&asked.head.headers).filter(|_| bedrock) {
        let refusal = "Authentication failed: Please make sure your API Key is valid.";
        return if admission::is_good(shared, key) {
            Ok(())
        } else {
            Err(ApiError::new(403, refusal).kind("AccessDeniedException"))
        };
    }
    let service = if bedrock { "bedrock" } else { "sagemaker" };
    signed(shared, asked, service).map_err(|refusal| {
        let (kind, message) = match refusal {
            Unsigned::Signature(Refusal::Missing) => {
                ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
            }
            Unsigned::Signature(Refusal::Incomplete(message)) => ("IncompleteSignatureException", message),
            Unsigned::Signature(Refusal::Invalid(message)) => ("InvalidSignatureException", message),
            Unsigned::Key(BadKey::Unknown) => ("UnrecognizedClientException", UNKNOWN_KEY.to_owned()),
            Unsigned::Key(BadKey::Ended) => ("ExpiredTokenException", ENDED_KEY.to_owned()),
        };
        ApiError::new(403, message).kind(kind)
    })
}

const UNKNOWN_KEY: &str = "The security token included in the request is invalid.";
const ENDED_KEY: &str = "The security token included in the request is expired";

/// Why a request does not count as signed.
enum Unsigned {
    Signature(Refusal),
    Key(BadKey),
}

/// Checks a request's signature for a service.
fn signed(shared: &Shared, asked: &Asked, service: &str) -> Result<(), Unsigned> {
    let headers = &asked.head.headers;
    let signature = sigv4::read(headers).map_err(Unsigned::Signature)?;
    let token = headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
    let secret = shared.clouds.aws_keys.secret(signature.access_key, token).map_err(Unsigned::Key)?;
    sigv4::verify(&signature, &secret, service, (&asked.head, &asked.body), now())
        .map_err(Unsigned::Signature)
}

/// The name of an error at Bedrock, by its status.
fn bedrock_kind(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    }
}

/// The name of an error at SageMaker's runtime, by its status.
fn sagemaker_kind(status: u16) -> &'static str {
    match status {
        403 => "AccessDeniedException",
        424 => "ModelError",
        429 => "ThrottlingException",
        503 => "ServiceUnavailable",
        530 => "InternalDependencyException",
        500.. => "InternalFailure",
        _ => "ValidationError",
    }
}

/// The name of an error.
pub(crate) fn kind(surface: Surface, error: &ApiError) -> &'static str {
    error.kind.unwrap_or_else(|| match surface {
        Surface::SageMaker => sagemaker_kind(error.status),
        _ => bedrock_kind(error.status),
    })
}

/// A reply made into that of an error.
pub(crate) fn error_reply(reply: Reply, error: &ApiError, request_id: &str) -> Reply {
    let reply = Reply { status: error.status, ..headers(reply, request_id) };
    match &error.retry_after {
        Some(retry_after) => reply.header("retry-after", retry_after.clone()),
        None => reply,
    }
}

/// The headers that every reply of AWS has.
pub(crate) fn headers(reply: Reply, request_id: &str) -> Reply {
    reply.header("x-amzn-requestid", uuid(request_id))
}

/// A request id as AWS writes it.
fn uuid(request_id: &str) -> String {
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| request_id.get(range));
    match groups {
        [Some(a), Some(b), Some(c), Some(d), Some(e)] => [a, b, c, d, e].join("-"),
        _ => "00000000-0000-4000-8000-000000000000".to_owned(),
    }
}

/// A fresh id of that form.
pub(crate) fn request_id(ids: &mut Ids) -> String {
    uuid(&ids.hex("", 32))
}

/// A whole reply of this type and text.
fn text(content_type: &'static str, text: impl Into<String>) -> Reply {
    let text: String = text.into();
    Reply { status: 200, content_type, headers: Vec::new(), content: Content::Whole(text.into()) }
}

/// The services that give out keys: STS at `/`, an instance's metadata, a container's and a pod's endpoint.
#[derive(Debug)]
pub(crate) struct AwsKeys;

impl Wire for AwsKeys {
    fn surface(&self) -> Surface {
        Surface::AwsKeys
    }

    fn route(&self, method: &Method, path: &str) -> Option<Found> {
        if path == "/" {
            return Some((Operation::Token, None));
        }
        metadata::is_path(path).then(|| {
            let gives = path == metadata::TOKEN_PATH && method == Method::PUT;
            (Operation::Cloud(if gives { Op::MetadataToken } else { Op::Metadata }), None)
        })
    }

    fn owns(&self, path: &str) -> bool {
        path == "/" || metadata::is_path(path)
    }

    fn credential(&self, headers: &HeaderMap) -> Option<String> {
        credential(headers)
    }

    fn model(&self, _shared: &Shared, _route: &Route, _body: &Value) -> String {
        String::new()
    }

    /// Each action has a rule of its own.
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
        match turn.operation() {
            Operation::Token => sts::answer(turn.shared, turn.asked, making.ids),
            _ => metadata::answer(turn.shared, turn.asked, making.ids),
        }
    }

    fn error_body(&self, error: &ApiError, _request_id: &str) -> Value {
        json!({"message": error.message})
    }

    fn error_reply(&self, asked: &Asked, error: &ApiError, request_id: &str) -> Option<Reply> {
        let page = match asked.route.operation {
            Some(Operation::Token) => sts::error_reply(error, &uuid(request_id)),
            _ => metadata::error_reply(error),
        };
        Some(error_reply(page, error, request_id))
    }

    fn error_event(&self, error: &ApiError) -> Event {
        eventstream::exception("internalServerException", &self.error_body(error, ""))
    }

    fn headers(&self, reply: Reply, request_id: &str) -> Reply {
        headers(reply, request_id)
    }
}
