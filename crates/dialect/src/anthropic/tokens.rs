//! The reply of token counting, both ways.

use super::errors;
use super::members::count;
use crate::wire::ReplyFault;
use serde_json::{Value, json};

/// Reads a provider's `{"input_tokens": n}`.
///
/// # Errors
/// [`ReplyFault::Error`] for an error in the place of a count, [`ReplyFault::Malformed`] for what is no count.
pub fn decode_count_reply(body: &[u8]) -> Result<u64, ReplyFault> {
    let reply: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = errors::in_reply(&reply) {
        return Err(ReplyFault::Error(error));
    }
    count(&reply, "input_tokens").ok_or(ReplyFault::Malformed("a count has no input_tokens"))
}

/// Writes a caller's `{"input_tokens": n}`.
pub fn encode_count_reply(input_tokens: u64) -> Vec<u8> {
    json!({ "input_tokens": input_tokens }).to_string().into_bytes()
}
