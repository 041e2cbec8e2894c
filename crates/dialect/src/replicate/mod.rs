//! Replicate: predictions of models that take a prompt.
//!
//! Owns the request that makes a prediction, what a prediction says, its stream and its errors. What the server has to
//! do, since a prediction is a thing that is made and then looked at:
//!
//! - Plain: send what [`encode_chat`] wrote (it has the header `Prefer: wait`, so that most predictions are over when the
//!   answer comes), and read the answer with [`Prediction::read`]. While it [is not over](Prediction::is_over), `GET`
//!   its [`get_url`](Prediction::get_url) and read that, with growing pauses. Then [`Prediction::into_reply`].
//! - Streamed: send the same (it has `stream: true` and does not wait), take [`stream_url`](Prediction::stream_url) of
//!   the answer, `GET` it with `Accept: text/event-stream`, and read server-sent events with [`StreamDecoder`]. Tokens
//!   are counted by the prediction alone: once the stream has ended, look at its `get_url` and give the decoder
//!   [`Prediction::last_look`]. A model without a `stream_url` does not stream: poll as above, and give the decoder the
//!   last look alone.
//! - A caller who leaves: `POST` [`cancel_url`](Prediction::cancel_url).
//!
//! Making, looking and cancelling are at the API's own host and take its credential.
//!
//! **Invariant:** a prediction that failed is an error, never an empty answer.

mod prediction;
mod request;
mod stream;

pub use prediction::Prediction;
pub use request::{CAPABILITIES, NATIVE_PARAMS, encode_chat};
pub use stream::{FRAME_BYTES_MAX, StreamDecoder, ends};

use crate::failure::{FailureClass, ProviderError};

/// Reads the body of an error reply: `{"title", "detail", "status"}`.
pub fn decode_error(status: u16, body: &[u8]) -> ProviderError {
    let mut error = crate::openai::decode_error(status, body);
    // Wrong input is 422 whatever is wrong with it.
    if status == 422 && is_too_long(&error.message) {
        error.class = FailureClass::ContextWindow;
    }
    error
}

/// The words in which models say that a prompt is too long, at the making and in a failed prediction.
fn is_too_long(message: &str) -> bool {
    const WORDS: [&str; 4] =
        ["tokens are more than", "maximum context length", "prompt length exceeds", "context window"];
    let message = message.to_ascii_lowercase();
    WORDS.iter().any(|said| message.contains(said))
}
