//! Which parameters this wire has, and what becomes of those that it, or the model behind it, does not.
//!
//! Owns the table by OpenAI's names and the list of Converse's own members. **Invariant:** a parameter that does not go
//! out is refused, or named among what was lost.

use super::members::text;
use crate::conversation::{ChatRequest, Sampling, ToolChoice};
use crate::wire::{Capabilities, EncodeError, EncodeOptions, Losses, Support, support};
use serde_json::Value;

/// What Converse does with each of OpenAI's chat parameters. Some depend on the model: a forced `tool_choice` is for
/// Claude, Nova and Mistral, `parallel_tool_calls: false` for Claude, `reasoning_effort` for Claude, Nova 2 and OpenAI's
/// open models, `top_k` for Claude, Nova, Mistral and Cohere, `web_search_options` for Nova; elsewhere they are refused.
pub const CAPABILITIES: Capabilities = &[
    ("max_tokens", Support::Takes),
    ("max_completion_tokens", Support::Takes),
    ("temperature", Support::Takes),
    ("top_p", Support::Takes),
    ("stop", Support::Takes),
    ("stream", Support::Takes),
    ("top_k", Support::Translates),
    ("tools", Support::Translates),
    ("tool_choice", Support::Translates),
    ("functions", Support::Translates),
    ("function_call", Support::Translates),
    ("parallel_tool_calls", Support::Translates),
    ("response_format", Support::Translates),
    ("reasoning_effort", Support::Translates),
    ("thinking", Support::Translates),
    ("modalities", Support::Translates),
    ("service_tier", Support::Translates),
    ("web_search_options", Support::Translates),
    // Usage comes with every stream.
    ("stream_options", Support::Ignores),
    ("user", Support::Ignores),
    ("store", Support::Ignores),
    ("metadata", Support::Ignores),
    ("safety_identifier", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("seed", Support::Refuses),
    ("n", Support::Refuses),
    ("logprobs", Support::Refuses),
    ("top_logprobs", Support::Refuses),
    ("logit_bias", Support::Refuses),
    ("presence_penalty", Support::Refuses),
    ("frequency_penalty", Support::Refuses),
    ("audio", Support::Refuses),
    ("prediction", Support::Refuses),
    ("verbosity", Support::Refuses),
];

/// Converse's own members that any caller may give by their names.
pub(super) const OWN_MEMBERS: &[&str] = &[
    "guardrailConfig",
    "promptVariables",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
];

/// What the request asks for and does not get.
#[derive(Debug)]
pub(super) struct Refusals<'o> {
    options: &'o EncodeOptions,
    params: Vec<String>,
    /// What is left out and may be.
    pub(super) lost: Losses,
}

impl<'o> Refusals<'o> {
    /// Nothing yet.
    pub(super) fn new(options: &'o EncodeOptions) -> Self {
        Self { options, params: Vec::new(), lost: Losses::default() }
    }

    /// A parameter that cannot go out: a reason to refuse, unless it may be dropped. What the operator lets through
    /// is added by whoever called the encoder.
    pub(super) fn refuse(&mut self, param: &str) {
        if self.options.allowed_params.iter().any(|allowed| allowed == param) {
            return;
        }
        if self.options.drop_unsupported {
            self.lost.note(param.to_owned());
        } else if !self.params.iter().any(|known| known == param) {
            self.params.push(param.to_owned());
        }
    }

    /// All that was refused as one error.
    pub(super) fn finish(self) -> Result<Losses, EncodeError> {
        if self.params.is_empty() {
            return Ok(self.lost);
        }
        Err(EncodeError::Unsupported { params: self.params })
    }
}

/// Refuses what no model behind this wire takes, and notes what the answer is the same without.
pub(super) fn refuse_unsupported(request: &ChatRequest, refusals: &mut Refusals<'_>) {
    for param in unsupported_sampling(&request.sampling) {
        refusals.refuse(param);
    }
    if request.user.is_some() {
        refusals.lost.note("user");
    }
    for (name, value) in request.extra.iter().filter(|(_, value)| !value.is_null()) {
        let is_expressed = match name.as_str() {
            "modalities" => value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
            // Functions are fields of the request; these are tools that another provider runs.
            "tools" => value.as_array().is_some_and(Vec::is_empty),
            "tool_choice" => allowed_tools(request).is_some(),
            // The tier's and the model's own rules are seen to where they are written; usage always comes.
            "service_tier" | "web_search_options" | "thinking" | "anthropic_beta" | "stream_options" => true,
            "additionalModelRequestFields" => true,
            name if OWN_MEMBERS.contains(&name) => true,
            name if support(CAPABILITIES, name) == Support::Ignores => {
                if *value != Value::Bool(false) {
                    refusals.lost.note(name.to_owned());
                }
                true
            }
            // What has a field and is here all the same is in a form that nobody here knows.
            _ => false,
        };
        if !is_expressed {
            refusals.refuse(name);
        }
    }
}

/// OpenAI's `allowed_tools`: how some of the declared functions are to be used, and their names.
pub(super) fn allowed_tools(request: &ChatRequest) -> Option<(ToolChoice, Vec<&str>)> {
    let allowed = request.extra.get("tool_choice")?.get("allowed_tools")?;
    let choice = match text(allowed, "mode")? {
        "auto" => ToolChoice::Auto,
        "required" => ToolChoice::Required,
        _ => return None,
    };
    let name =
        |tool| text(tool, "name").or_else(|| text(tool.get("function").or(tool.get("custom"))?, "name"));
    let names = allowed.get("tools")?.as_array()?.iter().map(name).collect::<Option<Vec<&str>>>()?;
    Some((choice, names))
}

/// Values that ask for nothing (`n: 1`, a penalty of 0) are no reason to refuse.
fn unsupported_sampling(sampling: &Sampling) -> impl Iterator<Item = &'static str> {
    let is_penalty = |penalty: Option<f64>| penalty.is_some_and(|value| value != 0.0);
    [
        ("seed", sampling.seed.is_some()),
        ("n", sampling.n.is_some_and(|n| n != 1)),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|count| count > 0)),
        ("logit_bias", sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
        ("presence_penalty", is_penalty(sampling.presence_penalty)),
        ("frequency_penalty", is_penalty(sampling.frequency_penalty)),
    ]
    .into_iter()
    .filter_map(|(name, is_asked)| is_asked.then_some(name))
}

/// The tier in this wire's word; `None` for the usual choice, which has none here. An unknown one is noted as lost.
pub(super) fn service_tier<'r>(request: &'r ChatRequest, lost: &mut Losses) -> Option<&'r str> {
    match request.extra.get("service_tier").filter(|tier| !tier.is_null()).map(Value::as_str) {
        None | Some(Some("auto")) => None,
        Some(Some(tier @ ("default" | "flex" | "priority" | "reserved"))) => Some(tier),
        Some(Some("standard" | "standard_only")) => Some("default"),
        Some(_) => {
            lost.note("service_tier");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_openais_is_listed_once() {
        for param in crate::openai::CHAT_PARAMS.iter().chain(&["thinking", "top_k"]) {
            let rows = CAPABILITIES.iter().filter(|(name, _)| name == param).count();
            assert_eq!(rows, 1, "{param}");
        }
    }
}
