//! Databricks' liberties.
//!
//! Source: its reference of foundation model requests, and its guide to reasoning models: reasoning is a block of a
//! content list, signed by whoever made the model, and every event of a stream has the counts up to there.

use super::Body;
use super::prepare::{Manner, Media, Thoughts};
use crate::json::value::{insert, items, text};
use crate::wire::{Capabilities, EncodeError, Support};
use serde_json::{Map, Value, json};

/// What Databricks does with each of OpenAI's chat parameters.
pub(super) const CAPABILITIES: Capabilities = &[
    ("function_call", Support::Translates),
    ("functions", Support::Translates),
    ("logprobs", Support::Takes),
    ("max_completion_tokens", Support::Translates),
    ("max_tokens", Support::Takes),
    ("n", Support::Takes),
    ("reasoning_effort", Support::Takes),
    ("response_format", Support::Takes),
    ("stop", Support::Takes),
    ("stream", Support::Takes),
    ("temperature", Support::Takes),
    ("thinking", Support::Takes),
    ("tool_choice", Support::Takes),
    ("tools", Support::Takes),
    ("top_k", Support::Takes),
    ("top_logprobs", Support::Takes),
    ("top_p", Support::Takes),
    // Plain text only.
    ("modalities", Support::Ignores),
    // Labels, hints, and a switch that is always on (usage in a stream).
    ("metadata", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("service_tier", Support::Ignores),
    ("store", Support::Ignores),
    ("stream_options", Support::Ignores),
    ("user", Support::Ignores),
    ("audio", Support::Refuses),
    ("frequency_penalty", Support::Refuses),
    ("logit_bias", Support::Refuses),
    ("parallel_tool_calls", Support::Refuses),
    ("prediction", Support::Refuses),
    ("presence_penalty", Support::Refuses),
    ("seed", Support::Refuses),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// Databricks' own members.
pub(super) const NATIVE_PARAMS: &[&str] = &["client_request_id", "extra_params", "usage_context"];

pub(super) const MANNER: Manner = Manner {
    names: true,
    cache_marks: true,
    thoughts: Thoughts::Anthropic,
    media: Media::Nothing,
    is_orderly: false,
};

pub(super) fn fit(body: &mut Body<'_>) -> Result<(), EncodeError> {
    body.bound("n", (1.0, 5.0))?;
    for message in body.messages_of("assistant") {
        fit_thoughts(message);
    }
    for message in body.messages_of("tool") {
        message.shift_remove("cache_control");
    }
    // A choice without tools is refused.
    if !body.members.contains_key("tools") {
        body.members.shift_remove("tool_choice");
    }
    Ok(())
}

fn fit_thoughts(message: &mut Map<String, Value>) {
    // What people read is in the blocks as well.
    message.shift_remove("reasoning_content");
    let blocks = match message.shift_remove("thinking_blocks") {
        Some(Value::Array(blocks)) => blocks,
        // One block without a signature is not repeated; there is none, since only signed ones are kept.
        _ => return,
    };
    let summary = |block: &Value| match text(block, "data") {
        Some(data) => json!({"type": "summary_encrypted_text", "data": data}),
        None => json!({
            "type": "summary_text",
            "text": text(block, "thinking").unwrap_or_default(),
            "signature": text(block, "signature").unwrap_or_default(),
        }),
    };
    let mut content: Vec<Value> =
        blocks.iter().map(|block| json!({"type": "reasoning", "summary": [summary(block)]})).collect();
    match message.shift_remove("content") {
        Some(Value::String(words)) if !words.is_empty() => {
            content.push(json!({"type": "text", "text": words}));
        }
        Some(Value::Array(parts)) => content.extend(parts),
        _ => {}
    }
    insert(message, "content", content);
}

/// Takes reasoning out of the content of a message, or of a delta, into the members that LiteLLM has for it.
/// `is_piece`: more of the same thought may follow.
pub(super) fn fit_reply(message: &mut Map<String, Value>, is_piece: bool) {
    let Some(Value::Array(parts)) = message.get_mut("content") else { return };
    let (thoughts, said): (Vec<Value>, Vec<Value>) =
        std::mem::take(parts).into_iter().partition(|part| text(part, "type") == Some("reasoning"));
    *parts = said;
    let mut readable = String::new();
    let mut blocks = Vec::new();
    for summary in thoughts.iter().flat_map(|thought| items(thought, "summary")) {
        let words = text(summary, "text").unwrap_or_default();
        let signature = text(summary, "signature").filter(|signature| !signature.is_empty());
        readable.push_str(words);
        if let Some(data) = text(summary, "data") {
            blocks.push(json!({"type": "redacted_thinking", "data": data}));
        } else if is_piece {
            blocks.extend(signature.map(|signature| json!({"type": "thinking", "signature": signature})));
        } else {
            let signature = signature.unwrap_or_default();
            blocks.push(json!({"type": "thinking", "thinking": words, "signature": signature}));
        }
    }
    if !readable.is_empty() {
        insert(message, "reasoning_content", readable);
    }
    if !blocks.is_empty() {
        insert(message, "thinking_blocks", blocks);
    }
}
