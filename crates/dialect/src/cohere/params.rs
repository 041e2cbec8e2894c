//! Which parameters this wire has: the table, and the request's members that it admits, bounds, ignores or refuses.
//!
//! Names are OpenAI's for what the conversation model has a field for, and the caller's own for what comes in `extra`.
//! Bounds are those of Cohere's reference of `/v2/chat`.

use super::documents::{DOCUMENT_IDS, TOOL_DOCUMENT_IDS};
use crate::admit::{Admission, Bounds};
use crate::conversation::{ChatRequest, Effort, Reasoning, Sampling};
use crate::json::value::{insert, insert_some};
use crate::wire::{Capabilities, Dialect, EncodeError, Support};
use serde_json::{Map, Value, json};

/// What this wire does with each of OpenAI's chat parameters. Values that ask for nothing (`n: 1`,
/// `parallel_tool_calls: true`) are no reason to refuse.
pub const CAPABILITIES: Capabilities = &[
    ("max_tokens", Support::Takes),
    ("max_completion_tokens", Support::Takes),
    ("stream", Support::Takes),
    ("temperature", Support::Takes),
    ("top_p", Support::Takes),
    ("top_k", Support::Takes),
    ("stop", Support::Takes),
    ("seed", Support::Takes),
    ("presence_penalty", Support::Takes),
    ("frequency_penalty", Support::Takes),
    ("logprobs", Support::Takes),
    ("tools", Support::Takes),
    ("functions", Support::Translates),
    ("function_call", Support::Translates),
    // One function is chosen by declaring no other.
    ("tool_choice", Support::Translates),
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
    ("parallel_tool_calls", Support::Refuses),
    ("n", Support::Refuses),
    ("top_logprobs", Support::Refuses),
    ("logit_bias", Support::Refuses),
    ("audio", Support::Refuses),
    ("prediction", Support::Refuses),
    ("verbosity", Support::Refuses),
    ("web_search_options", Support::Refuses),
];

/// Cohere's own members that a caller of OpenAI's dialect may write beside OpenAI's; they go out as they are.
pub const NATIVE_PARAMS: &[&str] =
    &["citation_options", "documents", "priority", "safety_mode", "strict_tools"];

/// Bounds of `p`. Other makers have 1 for "all of them", which is a hair above the upper one.
const P: (f64, f64) = (0.01, 0.99);
/// The most of `k`.
const K_MAX: u64 = 500;
/// Bounds of the penalties.
const PENALTY: (f64, f64) = (0.0, 1.0);
/// Most texts in `stop_sequences`.
const STOP_MAX: usize = 5;

/// What of a request this wire takes.
pub(super) const ADMISSION: Admission =
    Admission { capabilities: CAPABILITIES, native: NATIVE_PARAMS, dialect: Some(Dialect::Cohere) };

/// Adds the numbers that shape the answer, within Cohere's bounds.
///
/// # Errors
/// [`EncodeError::Invalid`] for a value that has no equal here, unless it may be dropped.
pub(super) fn add_sampling(
    body: &mut Map<String, Value>,
    sampling: &Sampling,
    bounds: &mut Bounds<'_>,
) -> Result<(), EncodeError> {
    insert_some(body, "max_tokens", sampling.max_tokens);
    let temperature = bounds.within("temperature", sampling.temperature, (0.0, f64::MAX))?;
    insert_some(body, "temperature", temperature);
    insert_some(body, "p", sampling.top_p.map(|p| p.clamp(P.0, P.1)));
    insert_some(body, "k", sampling.top_k.map(|k| k.min(K_MAX)));
    let seed =
        bounds.keep("seed", sampling.seed, |seed| *seed >= 0, "must not be negative for this provider")?;
    insert_some(body, "seed", seed);
    let frequency = bounds.within("frequency_penalty", sampling.frequency_penalty, PENALTY)?;
    insert_some(body, "frequency_penalty", frequency);
    let presence = bounds.within("presence_penalty", sampling.presence_penalty, PENALTY)?;
    insert_some(body, "presence_penalty", presence);
    let stop = bounds.texts("stop", &sampling.stop, STOP_MAX)?;
    if !stop.is_empty() {
        insert(body, "stop_sequences", stop);
    }
    insert_some(body, "logprobs", sampling.logprobs);
    Ok(())
}

/// `thinking`. A level has no word here but a number of tokens, LiteLLM's up to `high`; above it, no limit is the most
/// that can be asked for.
pub(super) fn thinking(reasoning: Option<&Reasoning>) -> Option<Value> {
    let enabled = |budget: u64| json!({"type": "enabled", "token_budget": budget});
    Some(match reasoning? {
        Reasoning::Disabled | Reasoning::Budget(0) | Reasoning::Effort(Effort::None) => {
            json!({"type": "disabled"})
        }
        Reasoning::Budget(tokens) => enabled(*tokens),
        Reasoning::Effort(Effort::Minimal | Effort::Low) => enabled(1_024),
        Reasoning::Effort(Effort::Medium) => enabled(2_048),
        Reasoning::Effort(Effort::High) => enabled(4_096),
        Reasoning::Effort(Effort::XHigh | Effort::Max) | Reasoning::Adaptive => json!({"type": "enabled"}),
    })
}

/// Adds the members in Cohere's own words: a Cohere caller's, and what another wrote beside OpenAI's. They stand before
/// what was translated; documents are added to those of the conversation.
pub(super) fn add_native_members(body: &mut Map<String, Value>, request: &ChatRequest) {
    for (name, value) in ADMISSION.native_members(request) {
        match (name.as_str(), value) {
            (DOCUMENT_IDS | TOOL_DOCUMENT_IDS, _) => {}
            ("documents", Value::Array(more)) => match body.get_mut("documents") {
                Some(Value::Array(documents)) => documents.extend(more.iter().cloned()),
                _ => insert(body, "documents", more.clone()),
            },
            (name, value) => insert(body, name, value.clone()),
        }
    }
}
