//! IBM watsonx: chats of models and of deployments, and embeddings.
//!
//! Owns its paths, its members and its errors. Leaves tokens of IBM's cloud to others; what is not said here is as at
//! OpenAI ([`compat`](crate::compat)).
//!
//! **Invariant:** a body names its model and the one project or space that pays for it, and a deployment's body neither.

mod embed;
mod request;
mod stream;

pub use embed::{decode_embeddings, encode_embeddings};
pub use request::{CAPABILITIES, NATIVE_PARAMS, encode_chat};
pub use stream::StreamDecoder;

use crate::conversation::ChatReply;
use crate::failure::{FailureClass, ProviderError};
use crate::json::value::{count, insert, items, text};
use crate::openai;
use crate::wire::{EncodeError, ReplyFault};
use serde_json::{Map, Value};

/// The version of the API that goes out when the operator names none (LiteLLM's default).
pub const VERSION_DEFAULT: &str = "2024-03-13";

/// Where a request runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The API's version, `YYYY-MM-DD`; empty is [`VERSION_DEFAULT`].
    pub version: String,
    /// The project that pays.
    pub project_id: Option<String>,
    /// The deployment space that pays; only where there is no project.
    pub space_id: Option<String>,
}

/// What a model's name begins with when it names a deployment (LiteLLM's prefix).
const DEPLOYMENT_PREFIX: &str = "deployment/";

impl Place {
    /// The path of an operation on a model or deployment, and whatever of the body says where it runs.
    fn address(
        &self,
        model: &str,
        operation: &str,
        body: &mut Map<String, Value>,
    ) -> Result<String, EncodeError> {
        let version = if self.version.is_empty() { VERSION_DEFAULT } else { &self.version };
        if !is_date(version) {
            let message = "the API's version must have the form YYYY-MM-DD".to_owned();
            return Err(EncodeError::Invalid { param: "version".to_owned(), message });
        }
        if let Some(deployment) = model.strip_prefix(DEPLOYMENT_PREFIX) {
            if !is_name(deployment) {
                let message = "a deployment is named by letters, digits, '_' and '-'".to_owned();
                return Err(EncodeError::Invalid { param: "model".to_owned(), message });
            }
            return Ok(format!("/ml/v1/deployments/{deployment}/text/{operation}?version={version}"));
        }
        insert(body, "model_id", model);
        match (&self.project_id, &self.space_id) {
            (Some(project), _) => insert(body, "project_id", project.as_str()),
            (None, Some(space)) => insert(body, "space_id", space.as_str()),
            (None, None) => {
                let message = "watsonx needs a project_id or a space_id for its models".to_owned();
                return Err(EncodeError::Invalid { param: "project_id".to_owned(), message });
            }
        }
        Ok(format!("/ml/v1/text/{operation}?version={version}"))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_date(text: &str) -> bool {
    let has_form = |(place, byte): (usize, u8)| {
        if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() }
    };
    text.len() == 10 && text.bytes().enumerate().all(has_form)
}

/// Reads the body of a successful chat.
///
/// # Errors
/// As [`openai::decode_reply`].
pub fn decode_reply(body: &[u8]) -> Result<ChatReply, ReplyFault> {
    openai::decode_reply(body).map_err(|fault| match fault {
        ReplyFault::Malformed(_) => error_in_place_of_answer(body).map_or(fault, ReplyFault::Error),
        ReplyFault::Error(_) | ReplyFault::Disagrees => fault,
    })
}

/// The error that stands where an answer should; its status is the one that it names.
fn error_in_place_of_answer(body: &[u8]) -> Option<ProviderError> {
    let reply: Value = serde_json::from_slice(body).ok()?;
    reply.get("errors")?;
    let status = count(&reply, "status_code").and_then(|status| u16::try_from(status).ok());
    Some(decode_error(status.filter(|status| *status >= 400).unwrap_or(500), body))
}

/// Reads the body of an error reply: `{"errors": [{"code", "message"}], "trace", "status_code"}`.
pub fn decode_error(status: u16, body: &[u8]) -> ProviderError {
    const TOO_LONG: [&str; 2] = ["total tokens limit", "number of input tokens"];
    let mut error = openai::decode_error(status, body);
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let first = items(&body, "errors").first();
    error.code = first.and_then(|first| text(first, "code")).map(str::to_owned).or(error.code);
    let words = error.message.to_ascii_lowercase();
    if error.class == FailureClass::BadRequest && TOO_LONG.iter().any(|said| words.contains(said)) {
        error.class = FailureClass::ContextWindow;
    }
    if error.code.as_deref() == Some("token_quota_reached") {
        error.class = FailureClass::RateLimit;
    }
    error
}
