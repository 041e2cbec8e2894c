//! Answers for callers of this dialect, whoever gave them.
//!
//! Owns whole replies and those of embeddings. Leaves single choices to `choice` and streams to `stream`.
//! **Invariant:** the model is the caller's name for it, and a call's arguments are an object.

mod choice;
mod stream;

pub use stream::StreamEncoder;

use super::usage::write_usage;
use crate::conversation::{ChatReply, EmbeddingReply, StopReason};
use crate::told::{Places, note_reply};
use crate::wire::{Losses, ReplyFacts};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// What a `GenerateContentResponse` says beside its content.
const PLACES: Places = Places {
    counts: &[
        "cached_tokens",
        "tool_prompt_tokens",
        "input_audio_tokens",
        "input_image_tokens",
        "reasoning_tokens",
        "output_audio_tokens",
        "output_image_tokens",
    ],
    stops: &[
        StopReason::Stop,
        StopReason::StopSequence,
        StopReason::Length,
        StopReason::ToolCalls,
        StopReason::ContentFilter,
        StopReason::Refusal,
        StopReason::Recitation,
        StopReason::MalformedToolCall,
    ],
};

/// Writes a `GenerateContentResponse`. What Google has no form for (which stop text came, the fingerprint, tokens written
/// to a cache) is noted in `lost`.
pub fn encode_reply(reply: &ChatReply, facts: &ReplyFacts, lost: &mut Losses) -> Vec<u8> {
    note_reply(reply, &PLACES, lost);
    let candidates: Vec<Value> = reply.choices.iter().map(|choice| choice::write(choice, lost)).collect();
    let mut body = Map::new();
    body.insert("candidates".to_owned(), Value::Array(candidates));
    let usage = write_usage(&reply.usage, reply.service_tier.as_deref(), lost);
    body.insert("usageMetadata".to_owned(), usage);
    body.insert("modelVersion".to_owned(), json!(facts.client_model));
    body.insert("responseId".to_owned(), json!(response_id(&reply.id, facts)));
    if reply.system_fingerprint.is_some() {
        lost.note("system_fingerprint");
    }
    Value::Object(body).to_string().into_bytes()
}

/// Google's ids are base64 without a prefix; what another provider calls its answer looks otherwise, and then the answer
/// has an id of the gateway's.
fn response_id<'a>(id: &'a str, facts: &'a ReplyFacts) -> Cow<'a, str> {
    let is_digits = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let prefix = id.split(['-', '_']).next().unwrap_or_default();
    let has_prefix = prefix.len() < id.len() && prefix.bytes().all(|byte| byte.is_ascii_lowercase());
    if (16..=64).contains(&id.len()) && is_digits && !has_prefix {
        Cow::Borrowed(id)
    } else {
        Cow::Borrowed(&facts.fallback_id)
    }
}

/// Writes the reply of `embedContent`: the first vector.
pub fn encode_embed_reply(reply: &EmbeddingReply) -> Vec<u8> {
    let first = reply.data.first().map(|vector| vector.0.as_slice()).unwrap_or_default();
    embedding_body(reply, "embedding", json!({ "values": first }))
}

/// Writes the reply of `batchEmbedContents`: all vectors, in order.
pub fn encode_batch_embed_reply(reply: &EmbeddingReply) -> Vec<u8> {
    let vectors: Vec<Value> = reply.data.iter().map(|vector| json!({ "values": vector.0 })).collect();
    embedding_body(reply, "embeddings", Value::Array(vectors))
}

fn embedding_body(reply: &EmbeddingReply, name: &str, vectors: Value) -> Vec<u8> {
    let mut body = Map::new();
    body.insert(name.to_owned(), vectors);
    let tokens = reply.usage.input_tokens;
    if tokens > 0 {
        let usage = json!({ "promptTokenCount": tokens, "totalTokenCount": reply.usage.total_tokens() });
        body.insert("usageMetadata".to_owned(), usage);
    }
    Value::Object(body).to_string().into_bytes()
}
