//! A request that ends with the beginning of its answer.
//!
//! Owns whether a request can be written so, and how. Which models go on from such a turn is the catalogue's to know.

use super::Sent;
use crate::conversation::{ChatRequest, Effort, Message, Part, Reasoning, ResponseFormat, Role};
use serde_json::Value;

/// Bytes of text per token, at the least that is usual: so the limit on the rest is never too low by it.
const BYTES_PER_TOKEN: u64 = 4;

/// Whether the answer to a request can be asked for from where it broke off: it is plain text of one answer, no reasoning
/// comes before it, and what was sent can be said as the assistant's turn.
pub fn can_prefill(request: &ChatRequest, sent: &Sent) -> bool {
    let thinks =
        !matches!(request.reasoning, None | Some(Reasoning::Disabled | Reasoning::Effort(Effort::None)));
    let is_free = matches!(request.response_format, None | Some(ResponseFormat::Text));
    let is_alone = request.sampling.n.is_none_or(|count| count <= 1);
    // A caller may have begun the answer itself.
    let has_room = request.messages.last().is_none_or(|last| {
        last.role != Role::Assistant || matches!(last.parts.last(), Some(Part::Text { .. }))
    });
    sent.prefill().is_some() && !thinks && is_free && is_alone && has_room
}

/// Puts what was sent at the end of a request, and takes it off the limit on the answer.
pub fn prefill(request: &mut ChatRequest, sent: &Sent) {
    let Some(text) = sent.prefill() else { return };
    if let Some(most) = &mut request.sampling.max_tokens {
        *most = most.saturating_sub(text.len() as u64 / BYTES_PER_TOKEN).max(1);
    }
    match request.messages.last_mut() {
        Some(Message { role: Role::Assistant, parts, .. }) => match parts.last_mut() {
            Some(Part::Text { text: begun, .. }) => begun.push_str(text),
            _ => parts.push(Part::text(text)),
        },
        _ => request.messages.push(Message {
            role: Role::Assistant,
            parts: vec![Part::text(text)],
            name: None,
        }),
    }
}

/// A body in OpenAI's form whose last message is marked as the beginning of the answer (`prefix`), as DeepSeek's beta
/// wants it. A body that cannot be read stays as it is.
pub fn mark_prefix(body: Vec<u8>) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else { return body };
    let messages = value.get_mut("messages").and_then(Value::as_array_mut);
    let Some(last) = messages.and_then(|messages| messages.last_mut()?.as_object_mut()) else { return body };
    last.insert("prefix".to_owned(), Value::Bool(true));
    value.to_string().into_bytes()
}
