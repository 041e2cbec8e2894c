//! Which parameters this wire has: the table, and the request's members that it admits, bounds, ignores or refuses.
//!
//! Names are OpenAI's for what the conversation model has a field for, and the caller's own for what comes in `extra`.
//! Bounds are those of Cohere's reference of `/v2/chat`.

use super::documents::{DOCUMENT_IDS, TOOL_DOCUMENT_IDS};
use crate::conversation::{ChatRequest, Effort, Reasoning, Sampling};
use crate::json::value::{insert, insert_some};
use crate::wire::{
    Capabilities, Dialect, EncodeError, EncodeOptions, Losses, Support, note_ignored, support,
};
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

/// Refuses a request with parameters that this wire cannot express, naming them all, unless they may be dropped.
///
/// # Errors
/// [`EncodeError::Unsupported`].
pub(super) fn require_supported(
    request: &ChatRequest,
    options: &EncodeOptions,
    lost: &mut Losses,
) -> Result<(), EncodeError> {
    let in_extra = request.extra.iter().filter(|(name, value)| !is_expressed(name, value));
    let params: Vec<String> = asked(request)
        .chain(in_extra.map(|(name, _)| name.as_str()))
        .filter(|name| !options.allowed_params.iter().any(|allowed| allowed == name))
        .map(str::to_owned)
        .collect();
    if !params.is_empty() && !options.drop_unsupported {
        return Err(EncodeError::Unsupported { params });
    }
    for name in params {
        lost.note(name);
    }
    note_ignored(
        CAPABILITIES,
        request,
        |name| options.allowed_params.iter().any(|allowed| allowed == name),
        lost,
    );
    // With one function only, LiteLLM lets it pass, and so do we: agents set it as a matter of course.
    if request.parallel_tool_calls == Some(false) && request.tools.len() == 1 {
        lost.note("parallel_tool_calls");
    }
    // A tier is a wish about the price, not about the answer; the usual one is what there is.
    let tier = request.extra.get("service_tier").and_then(Value::as_str);
    if tier.is_some_and(|tier| !matches!(tier, "auto" | "default")) {
        lost.note("service_tier");
    }
    Ok(())
}

/// Parameters with a field of their own that ask for what this wire does not have.
fn asked(request: &ChatRequest) -> impl Iterator<Item = &str> {
    let sampling = &request.sampling;
    [
        // The model calls as many as it likes; there is no word for one.
        ("parallel_tool_calls", request.parallel_tool_calls == Some(false) && request.tools.len() > 1),
        ("n", sampling.n.is_some_and(|n| n != 1)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|count| count > 0)),
        ("logit_bias", sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
    ]
    .into_iter()
    .filter_map(|(name, is_asked)| is_asked.then_some(name))
}

fn is_expressed(name: &str, value: &Value) -> bool {
    if value.is_null() || NATIVE_PARAMS.contains(&name) {
        return true;
    }
    match name {
        // Of tools and their choice, only what has no field: hosted tools, `allowed_tools`.
        "tools" | "tool_choice" => false,
        "modalities" => value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
        _ => support(CAPABILITIES, name) != Support::Refuses,
    }
}

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
    let stop: Vec<&String> = sampling.stop.iter().filter(|text| !text.is_empty()).collect();
    if stop.len() > STOP_MAX {
        bounds.refuse("stop", format!("must have at most {STOP_MAX} texts for this provider"))?;
    }
    if !stop.is_empty() {
        insert(body, "stop_sequences", json!(stop.get(..STOP_MAX).unwrap_or(&stop)));
    }
    insert_some(body, "logprobs", sampling.logprobs);
    Ok(())
}

/// Values that are out of bounds are refused, or left out and noted.
pub(super) struct Bounds<'a> {
    /// Whether they may be left out.
    pub(super) options: &'a EncodeOptions,
    /// What was.
    pub(super) lost: &'a mut Losses,
}

impl Bounds<'_> {
    fn within(
        &mut self,
        param: &'static str,
        value: Option<f64>,
        (least, most): (f64, f64),
    ) -> Result<Option<f64>, EncodeError> {
        let message = if most < f64::MAX {
            format!("must be from {least} to {most} for this provider")
        } else {
            format!("must be at least {least} for this provider")
        };
        self.keep(param, value, |value| (least..=most).contains(value), &message)
    }

    fn keep<T>(
        &mut self,
        param: &'static str,
        value: Option<T>,
        is_kept: impl FnOnce(&T) -> bool,
        message: &str,
    ) -> Result<Option<T>, EncodeError> {
        match value {
            Some(value) if !is_kept(&value) => self.refuse(param, message.to_owned()).map(|()| None),
            other => Ok(other),
        }
    }

    fn refuse(&mut self, param: &'static str, message: String) -> Result<(), EncodeError> {
        if !self.options.drop_unsupported {
            return Err(EncodeError::Invalid { param: param.to_owned(), message });
        }
        self.lost.note(param);
        Ok(())
    }
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
pub(super) fn add_native_members(body: &mut Map<String, Value>, request: &ChatRequest, lost: &mut Losses) {
    let beside = request.extra.iter().filter(|(name, _)| NATIVE_PARAMS.contains(&name.as_str()));
    let is_own = request.dialect == Dialect::Cohere;
    for (name, value) in beside.chain(&request.native) {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            (DOCUMENT_IDS | TOOL_DOCUMENT_IDS, _) if is_own => {}
            (name, _) if !is_own && request.native.contains_key(name) => lost.note(name.to_owned()),
            ("documents", Value::Array(more)) => match body.get_mut("documents") {
                Some(Value::Array(documents)) => documents.extend(more.iter().cloned()),
                _ => insert(body, "documents", more.clone()),
            },
            (name, value) => insert(body, name, value.clone()),
        }
    }
}
