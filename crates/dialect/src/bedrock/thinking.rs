//! How much the model reasons, in the words of its maker, and what that does to sampling.
//!
//! The rules for Claude are those of Anthropic's guides to extended and adaptive thinking: a budget of at least 1,024
//! tokens and less than the limit on the answer; while the model reasons, `temperature` is 1 or unset, `top_p` at least
//! 0.95, `top_k` unset. Those for Nova are of its guide to extended thinking: at the highest effort neither a limit nor
//! sampling may be given.

use super::members::{object, text};
use super::model::{Maker, Model};
use super::own::Own;
use super::params::Refusals;
use crate::anthropic::one_of_both;
use crate::conversation::{ChatRequest, Effort, Reasoning};
use crate::wire::{EncodeError, EncodeOptions};
use serde_json::{Map, Value};

/// The least budget that Claude takes, in tokens.
const BUDGET_MIN: u64 = 1_024;

/// What is asked of the model past the common parameters.
#[derive(Debug, Default)]
pub(super) struct Thinking {
    /// Members of `additionalModelRequestFields`.
    pub(super) fields: Map<String, Value>,
    /// The model will reason.
    pub(super) is_on: bool,
}

/// Decides on reasoning. `is_loop_without_thinking`: the conversation goes on from a tool call that was made without,
/// where Claude refuses a budget; the turn then goes without.
///
/// # Errors
/// [`EncodeError::Invalid`] for a budget that the model cannot take, unless parameters may be dropped.
pub(super) fn plan(
    (request, options): (&ChatRequest, &EncodeOptions),
    model: Model<'_>,
    own: &Own<'_>,
    is_loop_without_thinking: bool,
    refusals: &mut Refusals<'_>,
) -> Result<Thinking, EncodeError> {
    let own_thinking = own_thinking(request, own).filter(|_| model.is_anthropic());
    if let Some(thinking) = own_thinking {
        let is_on = text(thinking, "type") != Some("disabled");
        let fields = Map::from_iter([("thinking".to_owned(), thinking.clone())]);
        return Ok(Thinking { fields, is_on });
    }
    let is_off = matches!(
        request.reasoning,
        None | Some(Reasoning::Disabled | Reasoning::Budget(0) | Reasoning::Effort(Effort::None))
    );
    let Some(reasoning) = &request.reasoning else { return Ok(Thinking::default()) };
    if model.is_anthropic() {
        return match is_off {
            true => Ok(without_thinking(reasoning, options)),
            false => claude(reasoning, request, options, is_loop_without_thinking, refusals),
        };
    }
    if is_off {
        return Ok(Thinking::default());
    }
    if model.is_reasoning_nova() {
        return Ok(nova(reasoning, request, refusals));
    }
    if model.maker == Maker::OpenAi {
        let word = three_levels(level(reasoning));
        let fields = Map::from_iter([("reasoning_effort".to_owned(), word.into())]);
        return Ok(Thinking { fields, is_on: true });
    }
    refusals.refuse("reasoning_effort");
    Ok(Thinking::default())
}

/// Anthropic's own `thinking` as the caller wrote it, where it says more than the fields do.
fn own_thinking<'r>(request: &'r ChatRequest, own: &Own<'r>) -> Option<&'r Value> {
    let in_own = own.fields.iter().find(|(name, _)| *name == "thinking").map(|(_, value)| *value);
    let rest = own.rest_of("additionalModelRequestFields").find(|(name, _)| *name == "thinking");
    let found = request.extra.get("thinking").or(in_own).or(rest.map(|(_, value)| value));
    found.filter(|value| value.is_object())
}

fn without_thinking(reasoning: &Reasoning, options: &EncodeOptions) -> Thinking {
    // Models that reason by tokens do not think unless asked, and older ones do not know the word.
    if matches!(reasoning, Reasoning::Effort(_)) && !options.reasoning_by_level {
        return Thinking::default();
    }
    let disabled = object([("type", "disabled".into())]);
    Thinking { fields: Map::from_iter([("thinking".to_owned(), disabled)]), is_on: false }
}

fn claude(
    reasoning: &Reasoning,
    request: &ChatRequest,
    options: &EncodeOptions,
    is_loop_without_thinking: bool,
    refusals: &mut Refusals<'_>,
) -> Result<Thinking, EncodeError> {
    let mut fields = Map::new();
    if options.reasoning_by_level {
        let mut thinking = object([("type", "adaptive".into())]);
        if let (Some(members), Some(is_shown)) = (thinking.as_object_mut(), request.show_reasoning) {
            members.insert("display".to_owned(), if is_shown { "summarized" } else { "omitted" }.into());
        }
        fields.insert("thinking".to_owned(), thinking);
        if *reasoning != Reasoning::Adaptive {
            fields.insert("output_config".to_owned(), object([("effort", level(reasoning).into())]));
        }
        return Ok(Thinking { fields, is_on: true });
    }
    if is_loop_without_thinking {
        refusals.lost.note("reasoning_effort");
        return Ok(Thinking::default());
    }
    let (tokens, is_level) = match reasoning {
        Reasoning::Budget(tokens) => (*tokens, false),
        Reasoning::Effort(effort) => (budget_of(*effort), true),
        Reasoning::Adaptive | Reasoning::Disabled => (budget_of(Effort::Medium), true),
    };
    let Some(budget) = admitted_budget(tokens, is_level, request.sampling.max_tokens, options, refusals)?
    else {
        return Ok(Thinking::default());
    };
    let thinking = object([("type", "enabled".into()), ("budget_tokens", budget.into())]);
    fields.insert("thinking".to_owned(), thinking);
    Ok(Thinking { fields, is_on: true })
}

/// A budget below the limit on the answer. The caller's limit is never raised, since it is what the caller is willing to
/// pay for: a budget that stands for a level shrinks to half of it, and so does the caller's own budget if parameters
/// may be dropped; with no room for the least budget there is no reasoning.
fn admitted_budget(
    tokens: u64,
    is_level: bool,
    limit: Option<u64>,
    options: &EncodeOptions,
    refusals: &mut Refusals<'_>,
) -> Result<Option<u64>, EncodeError> {
    let may_change = options.drop_unsupported;
    if tokens < BUDGET_MIN && !may_change {
        return Err(invalid("thinking.budget_tokens", format!("must be at least {BUDGET_MIN}")));
    }
    if tokens < BUDGET_MIN {
        refusals.lost.note("thinking.budget_tokens");
    }
    let budget = tokens.max(BUDGET_MIN);
    let Some(limit) = limit.filter(|limit| *limit <= budget) else { return Ok(Some(budget)) };
    if limit <= BUDGET_MIN {
        if may_change {
            refusals.lost.note("reasoning_effort");
            return Ok(None);
        }
        return Err(invalid(
            "max_tokens",
            format!("must be above {BUDGET_MIN}, the least that thinking takes"),
        ));
    }
    if !is_level && !may_change {
        return Err(invalid("max_tokens", "must be above thinking.budget_tokens".to_owned()));
    }
    if !is_level {
        refusals.lost.note("thinking.budget_tokens");
    }
    Ok(Some(BUDGET_MIN.max(limit / 2)))
}

/// At its highest effort Nova takes no limit and no sampling; a caller who gives them has the effort below it, which is
/// noted, since a limit is what it is willing to pay for.
fn nova(reasoning: &Reasoning, request: &ChatRequest, refusals: &mut Refusals<'_>) -> Thinking {
    let sampling = &request.sampling;
    let is_limited = sampling.max_tokens.is_some()
        || sampling.temperature.is_some()
        || sampling.top_p.is_some()
        || sampling.top_k.is_some();
    let mut word = three_levels(level(reasoning));
    if word == "high" && is_limited {
        refusals.lost.note("reasoning_effort");
        word = "medium";
    }
    let config = object([("type", "enabled".into()), ("maxReasoningEffort", word.into())]);
    Thinking { fields: Map::from_iter([("reasoningConfig".to_owned(), config)]), is_on: true }
}

/// Tokens for a level: LiteLLM's up to `high`, doubled on above it.
fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 2_048,
        Effort::High => 4_096,
        Effort::XHigh => 8_192,
        Effort::Max => 16_384,
    }
}

/// The level in Anthropic's words; a budget becomes the level whose budget it reaches.
fn level(reasoning: &Reasoning) -> &'static str {
    match reasoning {
        Reasoning::Effort(Effort::None | Effort::Minimal | Effort::Low)
        | Reasoning::Budget(..2_048)
        | Reasoning::Disabled => "low",
        Reasoning::Effort(Effort::Medium) | Reasoning::Budget(..4_096) | Reasoning::Adaptive => "medium",
        Reasoning::Effort(Effort::High) | Reasoning::Budget(_) => "high",
        Reasoning::Effort(Effort::XHigh) => "xhigh",
        Reasoning::Effort(Effort::Max) => "max",
    }
}

/// The word where three levels are all there are.
fn three_levels(word: &'static str) -> &'static str {
    if matches!(word, "xhigh" | "max") { "high" } else { word }
}

/// Temperature, `topP` and what stands for `top_k`, as far as model and reasoning admit them.
///
/// A value out of range is an error that names it, or the nearest value in range if parameters may be dropped (OpenAI's
/// temperatures from 1 to 2 become 1). Values that Claude's thinking forbids: the same error, or left out.
///
/// # Errors
/// [`EncodeError`] as said.
pub(super) fn add_sampling(
    (request, options): (&ChatRequest, &EncodeOptions),
    model: Model<'_>,
    thinking: &mut Thinking,
    inference: &mut Map<String, Value>,
    refusals: &mut Refusals<'_>,
) -> Result<(), EncodeError> {
    let sampling = &request.sampling;
    if options.rejects_sampling {
        let is_steered = |value: Option<f64>| value.is_some_and(|value| value != 1.0);
        let steered = [
            ("temperature", is_steered(sampling.temperature)),
            ("top_p", is_steered(sampling.top_p)),
            ("top_k", sampling.top_k.is_some()),
        ];
        steered.iter().filter(|(_, is_set)| *is_set).for_each(|(name, _)| refusals.refuse(name));
        return Ok(());
    }
    let is_restricted = thinking.is_on && model.is_anthropic();
    let (temperature, top_p) = match model.is_anthropic() {
        true => one_of_both(request, options, thinking.is_on, &mut refusals.lost),
        false => (sampling.temperature, sampling.top_p),
    };
    for (name, own_name, value, least) in
        [("temperature", "temperature", temperature, 1.0), ("top_p", "topP", top_p, 0.95)]
    {
        let Some(value) = value else { continue };
        if !(0.0..=1.0).contains(&value) {
            if !options.drop_unsupported {
                return Err(invalid(name, "must be from 0 to 1 for this provider".to_owned()));
            }
            refusals.lost.note(name);
        }
        let value = value.clamp(0.0, 1.0);
        if is_restricted && value < least {
            if !options.drop_unsupported {
                let message = format!("must be unset or at least {least} while the model reasons");
                return Err(invalid(name, message));
            }
            refusals.lost.note(name);
            continue;
        }
        inference.insert(own_name.to_owned(), value.into());
    }
    if let Some(top_k) = sampling.top_k {
        if is_restricted && !options.drop_unsupported {
            return Err(invalid("top_k", "must be unset while the model reasons".to_owned()));
        }
        add_top_k(top_k, model, is_restricted, &mut thinking.fields, refusals);
    }
    Ok(())
}

fn add_top_k(
    top_k: u64,
    model: Model<'_>,
    is_restricted: bool,
    fields: &mut Map<String, Value>,
    refusals: &mut Refusals<'_>,
) {
    match model.maker {
        _ if is_restricted => refusals.lost.note("top_k"),
        Maker::Anthropic | Maker::Unknown | Maker::Mistral => {
            fields.insert("top_k".to_owned(), top_k.into());
        }
        Maker::Amazon if model.is_nova() => {
            fields.insert("inferenceConfig".to_owned(), object([("topK", top_k.into())]));
        }
        Maker::Cohere => {
            fields.insert("k".to_owned(), top_k.into());
        }
        Maker::Amazon | Maker::OpenAi | Maker::Other => refusals.refuse("top_k"),
    }
}

fn invalid(param: &str, message: String) -> EncodeError {
    EncodeError::Invalid { param: param.to_owned(), message }
}
