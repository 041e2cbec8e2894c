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
use crate::wire::ReplyFacts;
use std::borrow::Cow;

/// The id of a chat reply: the provider's, or one made up for it.
pub(super) fn reply_id<'a>(facts: &ReplyFacts, provider_id: &'a str) -> Cow<'a, str> {
    if provider_id.is_empty() {
        Cow::Owned(format!("chatcmpl-{}", facts.fallback_id))
    } else {
        Cow::Borrowed(provider_id)
    }
}

/// OpenAI's word for why an answer ended.
pub(super) fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Stop
        | StopReason::StopSequence
        | StopReason::Pause
        // The model's attempt at a call is nothing that a client could run.
        | StopReason::MalformedToolCall => "stop",
        StopReason::Length | StopReason::ContextWindow => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::ContentFilter | StopReason::Recitation | StopReason::Refusal => "content_filter",
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
