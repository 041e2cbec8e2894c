//! Replies, streams and errors of the providers with liberties: fitted to OpenAI's form, then read as OpenAI's.

use super::{Flavor, databricks, mistral};
use crate::conversation::{ChatReply, StreamEvent};
use crate::failure::{FailureClass, ProviderError};
use crate::openai::{self, ChunkDecoder};
use crate::sse::Frame;
use crate::wire::{EventDecoder, ReplyFault};
use serde_json::{Map, Value};

/// The status of the text server for a generation that broke.
const GENERATION_FAILED: u16 = 424;

/// Reads the body of a successful reply.
///
/// # Errors
/// As [`openai::decode_reply`].
pub fn decode_reply(flavor: Flavor, body: &[u8]) -> Result<ChatReply, ReplyFault> {
    if flavor == Flavor::HuggingFace {
        return openai::decode_reply(body);
    }
    let mut reply: Value =
        serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("the body is not JSON"))?;
    // Databricks' errors have a word that nobody else's have.
    if reply.get("error_code").is_some_and(Value::is_string) && reply.get("choices").is_none() {
        return Err(ReplyFault::Error(decode_error(flavor, 500, body)));
    }
    fit(flavor, &mut reply, "message");
    openai::decode_reply(reply.to_string().as_bytes())
}

/// Fits every choice of a reply, or of a chunk.
fn fit(flavor: Flavor, reply: &mut Value, holder: &str) {
    let choices = reply.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
        match flavor {
            Flavor::Mistral => mistral::fit_choice(choice),
            Flavor::Databricks => {
                let message: Option<&mut Map<String, Value>> =
                    choice.get_mut(holder).and_then(Value::as_object_mut);
                if let Some(message) = message {
                    databricks::fit_reply(message, holder == "delta");
                }
            }
            Flavor::HuggingFace => {}
        }
    }
}

/// Reads one provider's chunks.
#[derive(Debug)]
pub struct StreamDecoder {
    flavor: Flavor,
    chunks: ChunkDecoder,
}

impl StreamDecoder {
    /// A decoder at the beginning of a stream.
    pub fn new(flavor: Flavor) -> Self {
        Self { flavor, chunks: ChunkDecoder::new() }
    }

    /// Words of which a chunk that is to be fitted has one.
    fn signs(&self) -> &'static [&'static [u8]] {
        match self.flavor {
            Flavor::Mistral => &[b"\"error\""],
            Flavor::Databricks => &[b"\"reasoning\"", b"\"error_code\""],
            Flavor::HuggingFace => &[],
        }
    }
}

impl EventDecoder for StreamDecoder {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        let is_odd = self.signs().iter().any(|sign| memchr::memmem::find(&frame.data, sign).is_some());
        if !is_odd {
            return self.chunks.read(frame, out);
        }
        let Ok(mut chunk) = serde_json::from_slice::<Value>(&frame.data) else {
            return Err(ReplyFault::Malformed("a chunk is not a JSON object"));
        };
        if chunk.get("error_code").is_some_and(Value::is_string) {
            return Err(ReplyFault::Error(decode_error(self.flavor, 500, &frame.data)));
        }
        fit(self.flavor, &mut chunk, "delta");
        let data = chunk.to_string();
        self.chunks.read(&Frame::new(frame.event, data.as_bytes()), out)
    }

    fn is_complete(&self) -> bool {
        self.chunks.is_complete()
    }
}

/// Reads the body of an error reply.
pub fn decode_error(flavor: Flavor, status: u16, body: &[u8]) -> ProviderError {
    let mut error = openai::decode_error(status, body);
    if flavor == Flavor::HuggingFace {
        if status == GENERATION_FAILED {
            error.class = FailureClass::Server;
        }
        // A model that is being loaded says how long that takes, in seconds.
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let seconds = body.get("estimated_time").and_then(Value::as_f64);
        error.retry_delay_ms = error.retry_delay_ms.or_else(|| seconds.and_then(milliseconds));
    }
    error
}

fn milliseconds(seconds: f64) -> Option<u64> {
    const SECONDS_MAX: f64 = 86_400.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a day")]
    (0.0..=SECONDS_MAX).contains(&seconds).then(|| (seconds * 1_000.0).ceil() as u64)
}
