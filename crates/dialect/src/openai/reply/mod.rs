//! Replies of OpenAI's surface: chat, legacy completions, embeddings.
//!
//! Owns the form of whole answers and the words of `finish_reason`. Leaves chunks to [`super::stream`].

mod completion;
mod decode;
mod embeddings;
mod encode;

pub use completion::decode_completion;
pub use decode::decode_reply;
pub use embeddings::{VectorForm, decode_embedding_reply, encode_embeddings};
pub use encode::{encode_completion, encode_reply};

pub(super) use decode::{Said, read_annotations, read_content, read_detail, read_image, read_reasoning};
pub(super) use encode::{
    audio_id, legacy_finish_reason, legacy_logprobs, native_kind, write_annotation, write_image,
    write_signature_fields,
};

use crate::conversation::StopReason;
use crate::json::write::Object;
use crate::wire::ReplyFacts;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The id of a chat reply: the provider's where it is one of this API, else one made up for it.
pub(super) fn reply_id<'a>(facts: &ReplyFacts, provider_id: &'a str) -> Cow<'a, str> {
    if ["chatcmpl", "cmpl-"].iter().any(|prefix| provider_id.starts_with(prefix)) {
        Cow::Borrowed(provider_id)
    } else {
        Cow::Owned(format!("chatcmpl-{}", facts.fallback_id))
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
        "length" | "max_tokens" | "max_output_tokens" => StopReason::Length,
        "model_length" | "model_context_window_exceeded" => StopReason::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => StopReason::ToolCalls,
        "content_filter" | "content_filtered" | "safety" | "sensitive" => StopReason::ContentFilter,
        "recitation" => StopReason::Recitation,
        "refusal" => StopReason::Refusal,
        "stop_sequence" => StopReason::StopSequence,
        "pause_turn" => StopReason::Pause,
        "malformed_function_call" => StopReason::MalformedToolCall,
        _ => StopReason::Stop,
    }
}

/// The stop text that ended an answer: vLLM's and Together's `stop_reason`, or where [`write_stop_sequence`] put it.
pub(super) fn stop_sequence(choice: &Map<String, Value>) -> Option<String> {
    let own = choice.get("provider_specific_fields").and_then(|fields| fields.get("stop_sequence"));
    own.or_else(|| choice.get("stop_reason"))?.as_str().map(str::to_owned)
}

/// Why an answer ended that names its stop text.
pub(super) fn stop_with(stop: StopReason, sequence: Option<&str>) -> StopReason {
    if stop == StopReason::Stop && sequence.is_some() { StopReason::StopSequence } else { stop }
}

/// OpenAI's form has no place for the stop text; it stands where LiteLLM puts what is a provider's own.
pub(super) fn write_stop_sequence(sequence: Option<&str>, choice: &mut Object<'_>) {
    if let Some(sequence) = sequence {
        choice.object("provider_specific_fields", |fields| fields.string("stop_sequence", sequence));
    }
}
