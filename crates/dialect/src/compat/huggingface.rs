//! Hugging Face's liberties: those of its text server, which the router passes on.
//!
//! Source: the server's published schema. **Invariant:** what the server has a range for is within it.

use super::prepare::{Manner, Media, Thoughts};
use super::{Body, effort_of_thinking, list_stop};
use crate::wire::{Capabilities, EncodeError, Support};
use serde_json::Value;

/// What Hugging Face does with each of OpenAI's chat parameters.
pub(super) const CAPABILITIES: Capabilities = &[
    ("frequency_penalty", Support::Takes),
    ("function_call", Support::Translates),
    ("functions", Support::Translates),
    ("logit_bias", Support::Takes),
    ("logprobs", Support::Takes),
    ("max_completion_tokens", Support::Translates),
    ("max_tokens", Support::Takes),
    ("n", Support::Takes),
    ("presence_penalty", Support::Takes),
    ("reasoning_effort", Support::Takes),
    ("response_format", Support::Takes),
    ("seed", Support::Takes),
    ("stop", Support::Translates),
    ("stream", Support::Takes),
    ("stream_options", Support::Takes),
    ("temperature", Support::Takes),
    ("tool_choice", Support::Takes),
    ("tools", Support::Takes),
    ("top_logprobs", Support::Takes),
    ("top_p", Support::Takes),
    // The providers behind the router have them, and the server passes over what it does not know.
    ("parallel_tool_calls", Support::Takes),
    ("top_k", Support::Takes),
    ("user", Support::Takes),
    // Plain text only.
    ("modalities", Support::Ignores),
    ("metadata", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("service_tier", Support::Ignores),
    ("store", Support::Ignores),
    ("audio", Support::Refuses),
    ("prediction", Support::Refuses),
    ("thinking", Support::Translates),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// Hugging Face's own members.
pub(super) const NATIVE_PARAMS: &[&str] = &["tool_prompt", "chat_template_kwargs", "repetition_penalty"];

pub(super) const MANNER: Manner = Manner {
    names: true,
    cache_marks: false,
    thoughts: Thoughts::Nothing,
    media: Media::Nothing,
    is_orderly: false,
};

/// Most texts in `stop`.
const STOP_MAX: usize = 4;

pub(super) fn fit(body: &mut Body<'_>) -> Result<(), EncodeError> {
    effort_of_thinking(body, None);
    list_stop(body, STOP_MAX)?;
    body.bound("temperature", (0.0, f64::MAX))?;
    body.bound("seed", (0.0, f64::MAX))?;
    // All of them is what the server takes unasked; the word for it is out of its range.
    if body.members.get("top_p").and_then(Value::as_f64).is_some_and(|p| p >= 1.0) {
        body.members.shift_remove("top_p");
    }
    for message in body.messages_of("tool") {
        message.shift_remove("name");
    }
    if body.members.contains_key("tools") && body.members.contains_key("response_format") {
        if !body.options.drop_unsupported {
            return Err(EncodeError::Invalid {
                param: "response_format".to_owned(),
                message: "cannot go with tools at this provider".to_owned(),
            });
        }
        body.lost.note("response_format");
        body.members.shift_remove("response_format");
    }
    if body.members.get("stream") == Some(&Value::Bool(true)) {
        // Its usage comes for the asking only.
        body.members.insert("stream_options".to_owned(), serde_json::json!({"include_usage": true}));
    }
    Ok(())
}
