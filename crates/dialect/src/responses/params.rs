//! What the Responses API does with each parameter of chat completions.

use crate::wire::{Capabilities, Support};

/// Source: OpenAI's published types (`openai` package, `ResponseCreateParams`). `n` is taken when it is 1, `modalities`
/// when it is text alone.
pub const CAPABILITIES: Capabilities = &[
    ("audio", Support::Refuses),
    ("frequency_penalty", Support::Refuses),
    ("function_call", Support::Translates),
    ("functions", Support::Translates),
    ("logit_bias", Support::Refuses),
    ("logprobs", Support::Translates),
    ("max_completion_tokens", Support::Translates),
    ("max_tokens", Support::Translates),
    ("metadata", Support::Takes),
    ("modalities", Support::Translates),
    ("n", Support::Refuses),
    ("parallel_tool_calls", Support::Takes),
    ("prediction", Support::Refuses),
    ("presence_penalty", Support::Refuses),
    ("prompt_cache_key", Support::Takes),
    ("prompt_cache_retention", Support::Takes),
    ("reasoning_effort", Support::Translates),
    ("response_format", Support::Translates),
    ("safety_identifier", Support::Takes),
    ("seed", Support::Refuses),
    ("service_tier", Support::Takes),
    ("stop", Support::Refuses),
    ("store", Support::Takes),
    ("stream", Support::Takes),
    ("stream_options", Support::Translates),
    ("temperature", Support::Takes),
    ("thinking", Support::Translates),
    ("tool_choice", Support::Translates),
    ("tools", Support::Translates),
    ("top_k", Support::Refuses),
    ("top_logprobs", Support::Takes),
    ("top_p", Support::Takes),
    ("user", Support::Takes),
    ("verbosity", Support::Translates),
    ("web_search_options", Support::Translates),
];
