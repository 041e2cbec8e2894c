//! What the runtime's errors mean.

use crate::failure::{FailureClass, ProviderError};
use crate::json::value::{count, filled_text};
use crate::openai;
use serde_json::Value;

/// The status with which the runtime passes on what the container answered.
const MODEL_ERROR: u16 = 424;

/// Reads the body of an error reply: `{"Message"}`, or of a model's error `{"OriginalStatusCode", "OriginalMessage"}`
/// with the container's own body as text, which is then what is read.
pub fn decode_error(status: u16, body: &[u8]) -> ProviderError {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(original) = filled_text(&error, "OriginalMessage") {
        let original_status =
            count(&error, "OriginalStatusCode").and_then(|status| u16::try_from(status).ok());
        let status = original_status.filter(|status| *status >= 400).unwrap_or(500);
        return openai::decode_error(status, original.as_bytes());
    }
    let mut read = openai::decode_error(status, body);
    if status == MODEL_ERROR {
        read.class = FailureClass::Server;
    }
    if read.message.to_ascii_lowercase().contains("throttl") {
        read.class = FailureClass::RateLimit;
    }
    read
}
