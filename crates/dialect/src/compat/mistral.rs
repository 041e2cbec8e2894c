//! Mistral's liberties.
//!
//! Source: the request and response types of its Python package (`ChatCompletionRequest`, `ContentChunk`), and what its
//! API answers to others.

use super::prepare::{Manner, Media, Thoughts};
use super::{Body, effort_of_thinking, rename};
use crate::json::value::{insert, text};
use crate::wire::{Capabilities, EncodeError, Support};
use serde_json::{Map, Value, json};

/// What Mistral does with each of OpenAI's chat parameters.
pub(super) const CAPABILITIES: Capabilities = &[
    ("frequency_penalty", Support::Takes),
    ("function_call", Support::Translates),
    ("functions", Support::Translates),
    ("logprobs", Support::Takes),
    ("max_completion_tokens", Support::Translates),
    ("max_tokens", Support::Takes),
    ("metadata", Support::Takes),
    ("n", Support::Takes),
    ("parallel_tool_calls", Support::Takes),
    ("prediction", Support::Takes),
    ("presence_penalty", Support::Takes),
    ("reasoning_effort", Support::Takes),
    ("response_format", Support::Takes),
    ("seed", Support::Translates),
    ("stop", Support::Takes),
    ("stream", Support::Takes),
    ("temperature", Support::Takes),
    ("thinking", Support::Translates),
    ("tool_choice", Support::Translates),
    ("tools", Support::Takes),
    ("top_k", Support::Takes),
    ("top_logprobs", Support::Takes),
    ("top_p", Support::Takes),
    // Plain text only.
    ("modalities", Support::Ignores),
    // Labels, hints, and a switch that is always on (usage in a stream).
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("service_tier", Support::Ignores),
    ("store", Support::Ignores),
    ("stream_options", Support::Ignores),
    ("user", Support::Ignores),
    ("audio", Support::Refuses),
    ("logit_bias", Support::Refuses),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// Mistral's own members.
pub(super) const NATIVE_PARAMS: &[&str] = &[
    "guardrails",
    "min_tokens",
    "prompt_logprobs",
    "prompt_mode",
    "random_seed",
    "repetition_penalty",
    "safe_prompt",
    "top_prompt_logprobs",
];

pub(super) const MANNER: Manner = Manner {
    names: false,
    cache_marks: false,
    thoughts: Thoughts::Unsigned,
    media: Media::Documents,
    is_orderly: true,
};

/// The most of `temperature`.
const TEMPERATURE_MAX: f64 = 1.5;

pub(super) fn fit(body: &mut Body<'_>) -> Result<(), EncodeError> {
    body.bound("temperature", (0.0, TEMPERATURE_MAX))?;
    body.bound("seed", (0.0, f64::MAX))?;
    rename(body.members, "seed", "random_seed");
    // Where nothing is drawn, nothing is drawn from, and Mistral insists on that being said.
    let is_greedy = body.members.get("temperature").and_then(Value::as_f64) == Some(0.0);
    if is_greedy {
        body.members.shift_remove("top_p");
    }
    if body.members.get("tool_choice").is_some_and(|choice| choice == "required") {
        insert(body.members, "tool_choice", "any");
    }
    effort_of_thinking(body, Some("none"));
    for message in body.messages() {
        fit_message(message);
    }
    let last = body.messages().last();
    if let Some(last) = last.filter(|last| last.get("role").is_some_and(|role| role == "assistant")) {
        // The answer goes on from here.
        insert(last, "prefix", true);
    }
    Ok(())
}

fn fit_message(message: &mut Map<String, Value>) {
    message.shift_remove("thinking_blocks");
    if message.get("role").is_some_and(|role| role == "tool") {
        message.shift_remove("name");
    }
    if let Some(Value::Array(parts)) = message.get_mut("content") {
        parts.iter_mut().for_each(fit_part);
    }
    let Some(Value::String(thought)) = message.shift_remove("reasoning_content") else { return };
    let thinking = json!({"type": "thinking", "thinking": [{"type": "text", "text": thought}]});
    let mut chunks = vec![thinking];
    match message.shift_remove("content") {
        Some(Value::String(words)) if !words.is_empty() => {
            chunks.push(json!({"type": "text", "text": words}));
        }
        Some(Value::Array(parts)) => chunks.extend(parts),
        _ => {}
    }
    insert(message, "content", chunks);
}

/// Documents are addresses, files of the platform by their ids, sounds their bare bytes.
fn fit_part(part: &mut Value) {
    let chunk = match text(part, "type") {
        Some("file") => {
            let file = part.get("file").unwrap_or(&Value::Null);
            match (text(file, "file_id"), text(file, "file_data"), text(file, "filename")) {
                (Some(id), _, _) => json!({"type": "file", "file_id": id}),
                (None, Some(data), Some(name)) => {
                    json!({"type": "document_url", "document_url": data, "document_name": name})
                }
                (None, Some(data), None) => json!({"type": "document_url", "document_url": data}),
                _ => return,
            }
        }
        Some("input_audio") => {
            let Some(data) = part.get("input_audio").and_then(|audio| text(audio, "data")) else { return };
            json!({"type": "input_audio", "input_audio": data})
        }
        _ => return,
    };
    *part = chunk;
}

/// Mistral's only word for an answer that it broke off is `error`, which is no ordinary end.
pub(super) fn fit_choice(choice: &mut Map<String, Value>) {
    if choice.get("finish_reason").is_some_and(|word| word == "error") {
        insert(choice, "finish_reason", "content_filter");
    }
}
