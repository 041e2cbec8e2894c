//! Which parameters this wire has: the table, and its options.
//!
//! Sources: the published API of Ollama, and the types of its Python package (`Options`).

use crate::admit::Admission;
use crate::conversation::{ChatRequest, Effort, Reasoning, ResponseFormat, Sampling};
use crate::json::value::{insert, insert_some};
use crate::wire::{Capabilities, EncodeOptions, Support};
use serde_json::{Map, Value};

/// What this wire does with each of OpenAI's chat parameters.
pub const CAPABILITIES: Capabilities = &[
    ("temperature", Support::Takes),
    ("top_p", Support::Takes),
    ("top_k", Support::Takes),
    ("seed", Support::Takes),
    ("stop", Support::Takes),
    ("stream", Support::Takes),
    ("presence_penalty", Support::Takes),
    ("frequency_penalty", Support::Takes),
    ("logprobs", Support::Takes),
    ("top_logprobs", Support::Takes),
    ("max_tokens", Support::Takes),
    ("max_completion_tokens", Support::Takes),
    ("tools", Support::Takes),
    ("functions", Support::Translates),
    ("response_format", Support::Translates),
    ("reasoning_effort", Support::Translates),
    ("thinking", Support::Translates),
    // Plain text only.
    ("modalities", Support::Translates),
    // Labels, hints, and a switch that this wire has always on (usage in a stream).
    ("user", Support::Ignores),
    ("metadata", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("store", Support::Ignores),
    ("stream_options", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("service_tier", Support::Ignores),
    // The model always chooses; that no tool may be called is said by declaring none.
    ("tool_choice", Support::Refuses),
    ("function_call", Support::Refuses),
    ("parallel_tool_calls", Support::Refuses),
    ("n", Support::Refuses),
    ("logit_bias", Support::Refuses),
    ("audio", Support::Refuses),
    ("prediction", Support::Refuses),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// Ollama's own members that a caller may write beside OpenAI's: three of the request, then its options.
pub const NATIVE_PARAMS: &[&str] = &[
    "keep_alive",
    "options",
    "think",
    "main_gpu",
    "min_p",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_predict",
    "num_thread",
    "penalize_newline",
    "repeat_last_n",
    "repeat_penalty",
    "tfs_z",
    "typical_p",
    "use_mmap",
];

/// What of a request this wire takes.
pub(super) const ADMISSION: Admission =
    Admission { capabilities: CAPABILITIES, native: NATIVE_PARAMS, dialect: None };

/// Adds `options` and the other members that are no messages and no tools.
pub(super) fn add_settings(body: &mut Map<String, Value>, request: &ChatRequest, options: &EncodeOptions) {
    match &request.response_format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => insert(body, "format", "json"),
        Some(ResponseFormat::JsonSchema { schema, .. }) => insert(body, "format", schema.clone()),
    }
    insert_some(body, "think", think(request, options));
    let sampling = &request.sampling;
    if sampling.logprobs == Some(true) {
        insert(body, "logprobs", true);
        insert_some(body, "top_logprobs", sampling.top_logprobs.filter(|count| *count > 0));
    }
    let mut settings = sampling_options(sampling);
    for (name, value) in ADMISSION.native_members(request) {
        match (name.as_str(), value) {
            ("keep_alive" | "think", value) => insert(body, name, value.clone()),
            ("options", Value::Object(own)) => settings.extend(own.clone()),
            (name, value) => insert(&mut settings, name, value.clone()),
        }
    }
    if !settings.is_empty() {
        insert(body, "options", settings);
    }
}

fn sampling_options(sampling: &Sampling) -> Map<String, Value> {
    let mut options = Map::new();
    insert_some(&mut options, "temperature", sampling.temperature);
    insert_some(&mut options, "top_p", sampling.top_p);
    insert_some(&mut options, "top_k", sampling.top_k);
    insert_some(&mut options, "num_predict", sampling.max_tokens);
    if !sampling.stop.is_empty() {
        insert(&mut options, "stop", sampling.stop.clone());
    }
    insert_some(&mut options, "seed", sampling.seed);
    insert_some(&mut options, "presence_penalty", sampling.presence_penalty);
    insert_some(&mut options, "frequency_penalty", sampling.frequency_penalty);
    options
}

/// `think` is a switch; only models that reason by level (gpt-oss is Ollama's) take a word, and refuse others.
fn think(request: &ChatRequest, options: &EncodeOptions) -> Option<Value> {
    let by_level = options.reasoning_by_level || request.model.contains("gpt-oss");
    Some(match request.reasoning.as_ref()? {
        Reasoning::Disabled | Reasoning::Budget(0) | Reasoning::Effort(Effort::None) => false.into(),
        Reasoning::Effort(effort) if by_level => match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low".into(),
            Effort::Medium => "medium".into(),
            Effort::High | Effort::XHigh | Effort::Max => "high".into(),
        },
        Reasoning::Effort(_) | Reasoning::Budget(_) | Reasoning::Adaptive => true.into(),
    })
}
