//! Who serves Anthropic's models: Anthropic itself, Google's Vertex, Amazon's Bedrock.
//!
//! Owns what the body, the headers and the stream's frames say differently there. Leaves addresses, and the model's name in them, to the
//! caller. Source: the clients for Vertex and Bedrock in Anthropic's published package, and the providers' references.

use super::API_VERSION;
use super::members::text;
use crate::base64;
use crate::failure::{FailureClass, MESSAGE_BYTES_MAX, ProviderError};
use crate::sse::Frame;
use crate::wire::ReplyFault;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Where a Messages request goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Host {
    /// Anthropic's own API, and whoever imitates it.
    #[default]
    Anthropic,
    /// `rawPredict` and `streamRawPredict` of Vertex: the model stands in the path, the version in the body.
    Vertex,
    /// `invoke` and `invoke-with-response-stream` of Bedrock: model and streaming stand in the path, version and betas
    /// in the body.
    BedrockInvoke,
}

/// The version that Vertex takes.
const VERTEX_VERSION: &str = "vertex-2023-10-16";
/// The version that Bedrock takes.
const BEDROCK_VERSION: &str = "bedrock-2023-05-31";

impl Host {
    /// Puts version and betas where the host wants them, takes out of the body what the host has in the path, and gives
    /// the headers.
    pub(super) fn fit(self, body: &mut Map<String, Value>, betas: &[&str]) -> Vec<(&'static str, String)> {
        let beta_header = (!betas.is_empty()).then(|| ("anthropic-beta", betas.join(",")));
        match self {
            Self::Anthropic => {
                let version = ("anthropic-version", API_VERSION.to_owned());
                std::iter::once(version).chain(beta_header).collect()
            }
            Self::Vertex => {
                body.shift_remove("model");
                body.insert("anthropic_version".to_owned(), VERTEX_VERSION.into());
                beta_header.into_iter().collect()
            }
            Self::BedrockInvoke => {
                body.shift_remove("model");
                body.shift_remove("stream");
                body.insert("anthropic_version".to_owned(), BEDROCK_VERSION.into());
                if !betas.is_empty() {
                    body.insert("anthropic_beta".to_owned(), betas.into());
                }
                Vec::new()
            }
        }
    }
}

/// Exceptions within Bedrock's stream (`ResponseStream` of its service model), their status and class.
const EXCEPTIONS: [(&str, u16, FailureClass); 6] = [
    ("internalServerException", 500, FailureClass::Server),
    ("modelStreamErrorException", 424, FailureClass::Server),
    ("modelTimeoutException", 408, FailureClass::Timeout),
    ("serviceUnavailableException", 503, FailureClass::Overloaded),
    ("throttlingException", 429, FailureClass::RateLimit),
    ("validationException", 400, FailureClass::BadRequest),
];

/// The event in a frame: its data, or what Bedrock wraps in base64.
///
/// # Errors
/// [`ReplyFault::Error`] for an exception of Bedrock's, [`ReplyFault::Malformed`] for a chunk without an event.
pub(super) fn event<'f>(frame: &'f Frame<'_>) -> Result<Cow<'f, [u8]>, ReplyFault> {
    let kind = frame.event.unwrap_or_default();
    if kind != "chunk" && !kind.ends_with("Exception") {
        return Ok(Cow::Borrowed(&frame.data));
    }
    let payload: Value =
        serde_json::from_slice(&frame.data).map_err(|_| ReplyFault::Malformed("a chunk is not JSON"))?;
    if kind == "chunk" {
        let event = text(&payload, "bytes").and_then(base64::decode);
        return event.map(Cow::Owned).ok_or(ReplyFault::Malformed("a chunk has no event"));
    }
    let (_, status, class) = EXCEPTIONS.iter().find(|(known, _, _)| *known == kind).copied().unwrap_or((
        kind,
        500,
        FailureClass::Server,
    ));
    Err(ReplyFault::Error(ProviderError {
        class,
        status,
        message: text(&payload, "message").unwrap_or(kind).chars().take(MESSAGE_BYTES_MAX / 4).collect(),
        kind: Some(kind.to_owned()),
        ..ProviderError::default()
    }))
}
