//! The model's reasoning in LiteLLM's two forms: `reasoning_content` for people, `thinking_blocks` for sending back.
//!
//! **Invariant:** the readable text is written once, as clients show it; blocks are written only where they say more
//! than the text alone: a signature, an encrypted block, or more than one block.

use super::write::Object;
use crate::conversation::{Issuer, Part, Signature};
use serde_json::{Value, json};
use std::borrow::Cow;

/// One block of reasoning.
#[derive(Clone, Copy)]
pub(super) enum Thought<'a> {
    /// Readable, and signed where there is a signature.
    Open { text: &'a str, signature: Option<&'a Signature> },
    /// Encrypted.
    Sealed(&'a Signature),
}

impl<'a> Thought<'a> {
    /// The block that a part is, where it is one.
    pub(super) fn of(part: &'a Part) -> Option<Self> {
        match part {
            Part::Reasoning { text, signature } => Some(Self::Open { text, signature: signature.as_ref() }),
            Part::RedactedReasoning { data } => Some(Self::Sealed(data)),
            Part::Text { .. }
            | Part::Image { .. }
            | Part::Audio { .. }
            | Part::File { .. }
            | Part::ToolCall { .. }
            | Part::ToolResult { .. }
            | Part::Refusal(_)
            | Part::Native(_) => None,
        }
    }

    /// Appends the block as an entry of `thinking_blocks`; the provider wants it back letter by letter.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let mut block = Object::open(out);
        match self {
            Self::Open { text, signature } => {
                block.string("type", "thinking");
                block.string("thinking", text);
                block.string("signature", &written(signature));
            }
            Self::Sealed(data) => {
                block.string("type", "redacted_thinking");
                block.string("data", &data.written(Issuer::Anthropic));
            }
        }
        block.close();
    }

    /// The same entry as a value.
    pub(super) fn to_value(self) -> Value {
        match self {
            Self::Open { text, signature } => {
                json!({"type": "thinking", "thinking": text, "signature": written(signature)})
            }
            Self::Sealed(data) => {
                json!({"type": "redacted_thinking", "data": data.written(Issuer::Anthropic)})
            }
        }
    }
}

/// The signature's text; LiteLLM writes an empty one where there is none.
fn written(signature: Option<&Signature>) -> Cow<'_, str> {
    signature.map_or(Cow::Borrowed(""), |signature| signature.written(Issuer::Anthropic))
}

/// All readable text.
pub(super) fn readable(thoughts: &[Thought<'_>]) -> String {
    let texts = thoughts.iter().filter_map(|thought| match thought {
        Thought::Open { text, .. } => Some(*text),
        Thought::Sealed(_) => None,
    });
    texts.collect()
}

/// Whether the blocks say more than the readable text does.
pub(super) fn needs_blocks(thoughts: &[Thought<'_>]) -> bool {
    !matches!(thoughts, [] | [Thought::Open { signature: None, .. }])
}
