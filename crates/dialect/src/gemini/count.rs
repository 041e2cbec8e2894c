//! Counts of tokens: `countTokens`, asked of Google and answered to callers.
//!
//! Leaves the reading of a caller's body to `inbound`.

use super::error::{find_error, read_error};
use super::host::Host;
use super::ident::model_resource;
use super::request::body;
use crate::conversation::ChatRequest;
use crate::wire::{EncodeError, EncodeOptions, Outbound, Reading, ReplyFault};
use serde_json::{Map, Value, json};

/// Asks AI Studio for the tokens of a chat request: `/models/{model}:countTokens`.
///
/// # Errors
/// As [`super::encode_chat`].
pub fn encode_count_request(request: &ChatRequest, options: &EncodeOptions) -> Result<Outbound, EncodeError> {
    encode_count_request_for(Host::AiStudio, request, options)
}

/// As [`encode_count_request`], for one of Google's two hosts. AI Studio takes a whole request under one name, Vertex the
/// members that count.
///
/// # Errors
/// As [`super::encode_chat`]; at Vertex also for a file of AI Studio's.
pub fn encode_count_request_for(
    host: Host,
    request: &ChatRequest,
    options: &EncodeOptions,
) -> Result<Outbound, EncodeError> {
    const COUNTED: [&str; 4] = ["contents", "systemInstruction", "tools", "generationConfig"];
    let resource = model_resource(host, &request.model)?;
    let (members, lost) = body(host, request, options)?;
    let body = match host {
        Host::AiStudio => {
            let mut whole = Map::new();
            whole.insert("model".to_owned(), json!(resource));
            whole.extend(members);
            json!({ "generateContentRequest": whole })
        }
        Host::Vertex => members.into_iter().filter(|(name, _)| COUNTED.contains(&name.as_str())).collect(),
    };
    Ok(Outbound {
        path: format!("/{resource}:countTokens"),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        reading: Reading::default(),
        lost,
    })
}

/// Reads the number of tokens.
///
/// # Errors
/// [`ReplyFault::Error`] for an error object in the place of a count, [`ReplyFault::Malformed`] where there is no count.
pub fn decode_count(body: &[u8]) -> Result<u64, ReplyFault> {
    let root: Value = serde_json::from_slice(body).map_err(|_| ReplyFault::Malformed("not JSON"))?;
    if let Some(error) = find_error(&root) {
        return Err(ReplyFault::Error(read_error(error, None)));
    }
    let fault = ReplyFault::Malformed("no count of tokens");
    match root.get("totalTokens") {
        // Google leaves out a zero.
        None if root.is_object() => Ok(0),
        Some(count) => count.as_u64().ok_or(fault),
        None => Err(fault),
    }
}

/// Writes a `CountTokensResponse` for a caller.
pub fn encode_count(total_tokens: u64) -> Vec<u8> {
    json!({ "totalTokens": total_tokens }).to_string().into_bytes()
}
