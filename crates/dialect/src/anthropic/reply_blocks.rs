//! Content blocks of a reply, read into parts.
//!
//! **Invariant:** a block of a type that the model has no part for (the provider's own tools and their results,
//! uploads, and every type that is not known yet: the API may add some at any time) is a native part, whole.

use super::citations;
use super::members::{filled_text, owned_text, text};
use crate::conversation::{Citation, Issuer, Native, Part, Signature};
use crate::wire::{Dialect, ReplyFault};
use serde_json::Value;

/// Reads one block.
///
/// # Errors
/// [`ReplyFault::Malformed`] when a block lacks what makes it usable.
pub(super) fn decode_block(block: &Value) -> Result<Part, ReplyFault> {
    Ok(match text(block, "type") {
        Some("text") => Part::Text {
            text: owned_text(block, "text"),
            cache_control: None,
            citations: citations_of(block).collect(),
        },
        Some("thinking") => Part::Reasoning {
            text: owned_text(block, "thinking"),
            signature: filled_text(block, "signature").map(signature),
        },
        Some("redacted_thinking") => {
            Part::RedactedReasoning { data: signature(text(block, "data").unwrap_or_default()) }
        }
        Some("tool_use") => {
            let (id, name) = tool_use_head(block)?;
            Part::ToolCall { id, name, arguments: input_text(block), is_custom: false, signature: None }
        }
        Some(_) => Part::Native(Native { dialect: Dialect::Anthropic, value: block.clone() }),
        None => return Err(ReplyFault::Malformed("a content block has no type")),
    })
}

/// The sources of a text block.
pub(super) fn citations_of(block: &Value) -> impl Iterator<Item = Citation> {
    block.get("citations").and_then(Value::as_array).into_iter().flatten().map(citations::read)
}

/// A signature in a reply, which may be another maker's if the provider is a gateway like this one.
pub(super) fn signature(text: &str) -> Signature {
    Signature::read(text, Issuer::Anthropic)
}

/// The id and the name of a `tool_use` block.
pub(super) fn tool_use_head(block: &Value) -> Result<(String, String), ReplyFault> {
    match (text(block, "id"), filled_text(block, "name")) {
        (Some(id), Some(name)) => Ok((id.to_owned(), name.to_owned())),
        _ => Err(ReplyFault::Malformed("a tool_use block has no id or no name")),
    }
}

/// The input of a `tool_use` block as JSON text; `{}` where there is none.
pub(super) fn input_text(block: &Value) -> String {
    match block.get("input") {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(input) => input.to_string(),
    }
}
