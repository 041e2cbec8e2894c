//! Endpoints of one's own at SageMaker: containers that read OpenAI's messages, and those of Hugging Face's text server.
//!
//! Owns the paths, both bodies, the events around a stream's bytes, and the errors of the runtime. Leaves signatures to
//! others. A streamed reply comes in Amazon's event stream
//! ([`Framing::event_stream`](crate::framing::Framing::event_stream)): the payloads of its events, one after the other,
//! are the bytes of the container's own stream of server-sent events, cut anywhere.
//!
//! **Invariant:** the events are the same for every way in which the container's stream is cut into payloads.

mod chat;
mod errors;
mod stream;
mod text;

pub use chat::{CAPABILITIES, decode_reply, encode_chat};
pub use errors::decode_error;
pub use stream::StreamDecoder;
pub use text::{TEXT_CAPABILITIES, decode_text_reply, encode_text};

use crate::wire::EncodeError;

/// The form of body that a container reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Container {
    /// OpenAI's chat completions (LiteLLM's `sagemaker_chat/`).
    Messages,
    /// A prompt and parameters, as Hugging Face's text server has them (LiteLLM's `sagemaker/`).
    Text,
}

/// The path of an invocation of this endpoint.
///
/// # Errors
/// [`EncodeError::Invalid`] for a name that is none: letters, digits and `-`, at most 63 (Amazon's reference).
fn path(endpoint: &str, is_streamed: bool) -> Result<String, EncodeError> {
    const NAME_BYTES_MAX: usize = 63;
    let is_name = (1..=NAME_BYTES_MAX).contains(&endpoint.len())
        && endpoint.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_name {
        let message = "an endpoint is named by letters, digits and '-'".to_owned();
        return Err(EncodeError::Invalid { param: "model".to_owned(), message });
    }
    let operation = if is_streamed { "invocations-response-stream" } else { "invocations" };
    Ok(format!("/endpoints/{endpoint}/{operation}"))
}
