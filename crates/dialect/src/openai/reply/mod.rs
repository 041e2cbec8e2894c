//! Replies of OpenAI's surface: chat, legacy completions, embeddings.
//!
//! Owns the form of whole answers and the words of `finish_reason`. Leaves chunks to [`super::stream`].

mod decode;
mod embeddings;
mod encode;

pub use decode::decode_reply;
pub use embeddings::{VectorForm, decode_embedding_reply, encode_embeddings};
pub use encode::{encode_completion, encode_reply};

pub(super) use decode::{Said, read_content, read_reasoning};
pub(super) use encode::{legacy_finish_reason, legacy_logprobs, write_signature_fields};

use crate::conversation::StopReason;

/// What the caller's reply says beside the answer itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyFacts {
    /// The model as the caller named it; every reply names it so, whoever answered.
    pub client_model: String,
    /// The caller's clock in seconds since 1970, for a provider that gives no time.
    pub created: u64,
    /// The id for a provider that gives none.
    pub fallback_id: String,
}

impl ReplyFacts {
    /// The provider's id, or the one made up for it.
    pub(super) fn id<'a>(&'a self, provider_id: &'a str) -> &'a str {
        if provider_id.is_empty() { &self.fallback_id } else { provider_id }
    }
}

/// OpenAI's word for why an answer ended.
pub(super) fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Stop => "stop",
        StopReason::Length => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::ContentFilter => "content_filter",
    }
}

/// What a provider's `finish_reason` means. Beside OpenAI's words: Mistral's `model_length`, Zhipu's `sensitive`,
/// Cohere's and Together's upper-case and model-vendor words. A word that nobody has heard of is an ordinary end.
pub(super) fn stop_reason(word: &str) -> StopReason {
    match word.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => StopReason::Length,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => StopReason::ToolCalls,
        "content_filter" | "content_filtered" | "safety" | "sensitive" | "refusal" | "recitation" => {
            StopReason::ContentFilter
        }
        _ => StopReason::Stop,
    }
}
