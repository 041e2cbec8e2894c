//! How much the model thinks, and what that does to `max_tokens` and to sampling.
//!
//! The rules are those of Anthropic's guides to extended and adaptive thinking: a budget of at least 1,024 tokens and
//! less than `max_tokens`; while the model thinks, `temperature` is 1 or unset, `top_p` at least 0.95, `top_k` unset.

use super::MAX_TOKENS_DEFAULT;
use super::members::{count, object, text};
use crate::conversation::{ChatRequest, Effort, Reasoning};
use crate::wire::{EncodeError, EncodeOptions};
use serde_json::{Map, Value};

/// The least budget that the API takes, in tokens.
const BUDGET_MIN: u64 = 1_024;

/// What the request says about thinking.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Thinking {
    /// `thinking`, where the conversation model asks for it. The caller's own `thinking` in `extra` stands before it.
    pub(super) config: Option<Value>,
    /// `output_config.effort`.
    pub(super) effort: Option<&'static str>,
    /// `max_tokens`.
    pub(super) max_tokens: u64,
    /// The model will think.
    pub(super) is_on: bool,
}

/// Decides on thinking and on `max_tokens`. `is_loop_without_thinking`: the conversation goes on from a tool call that
/// was made without thinking (see [`turns`](super::turns)), where the API refuses a budget; the turn then goes without.
///
/// # Errors
/// [`EncodeError::Invalid`] for a budget that the wire cannot take, unless parameters may be dropped.
pub(super) fn plan(
    request: &ChatRequest,
    options: &EncodeOptions,
    is_loop_without_thinking: bool,
) -> Result<Thinking, EncodeError> {
    let off = Thinking { max_tokens: max_tokens(request, options, 0), ..Thinking::default() };
    let effort = request.reasoning.as_ref().filter(|_| options.reasoning_by_level).and_then(level);
    if let Some(native) = request.extra.get("thinking").filter(|native| !native.is_null()) {
        let budget = count(native, "budget_tokens").unwrap_or(0);
        return Ok(Thinking {
            effort,
            max_tokens: max_tokens(request, options, budget),
            is_on: text(native, "type") != Some("disabled"),
            ..off
        });
    }
    let disabled = || Some(Value::Object(object([("type", "disabled".into())])));
    match request.reasoning.as_ref() {
        None => Ok(off),
        Some(Reasoning::Disabled | Reasoning::Budget(0)) => Ok(Thinking { config: disabled(), ..off }),
        // Models that reason by tokens do not think unless asked, and older ones do not know the word.
        Some(Reasoning::Effort(Effort::None)) if options.reasoning_by_level => {
            Ok(Thinking { config: disabled(), ..off })
        }
        Some(Reasoning::Effort(Effort::None)) => Ok(off),
        Some(_) if options.reasoning_by_level => {
            let adaptive = Value::Object(object([("type", "adaptive".into())]));
            Ok(Thinking { config: Some(adaptive), effort, is_on: true, ..off })
        }
        Some(_) if is_loop_without_thinking => Ok(off),
        Some(Reasoning::Adaptive) => budgeted(budget(Effort::Medium), true, request, options),
        Some(Reasoning::Effort(effort)) => budgeted(budget(*effort), true, request, options),
        Some(Reasoning::Budget(tokens)) => budgeted(*tokens, false, request, options),
    }
}

/// The limit to send: the caller's; else the catalogue's, with room for the budget and an answer after it.
fn max_tokens(request: &ChatRequest, options: &EncodeOptions, budget: u64) -> u64 {
    let with_answer = if budget > 0 { budget.saturating_add(MAX_TOKENS_DEFAULT) } else { 0 };
    request
        .sampling
        .max_tokens
        .unwrap_or_else(|| options.default_max_tokens.unwrap_or(MAX_TOKENS_DEFAULT).max(with_answer))
}

/// Thinking with a budget of tokens below `max_tokens`. The caller's `max_tokens` is never raised, since it is what the
/// caller is willing to pay for: a budget that stands for a level shrinks to half of it, and so does the caller's own
/// budget if parameters may be dropped.
fn budgeted(
    tokens: u64,
    is_level: bool,
    request: &ChatRequest,
    options: &EncodeOptions,
) -> Result<Thinking, EncodeError> {
    let may_change = options.drop_unsupported;
    if tokens < BUDGET_MIN && !may_change {
        return Err(invalid("thinking.budget_tokens", format!("must be at least {BUDGET_MIN}")));
    }
    let mut budget = tokens.max(BUDGET_MIN);
    let max_tokens = max_tokens(request, options, budget);
    if max_tokens <= BUDGET_MIN {
        if may_change {
            return Ok(Thinking { max_tokens, ..Thinking::default() });
        }
        return Err(invalid(
            "max_tokens",
            format!("must be above {BUDGET_MIN}, the least that thinking takes"),
        ));
    }
    if budget >= max_tokens {
        if !is_level && !may_change {
            return Err(invalid("max_tokens", "must be above thinking.budget_tokens".to_owned()));
        }
        budget = BUDGET_MIN.max(max_tokens / 2);
    }
    let config = object([("type", "enabled".into()), ("budget_tokens", budget.into())]);
    Ok(Thinking { config: Some(Value::Object(config)), effort: None, max_tokens, is_on: true })
}

/// Tokens for a level: LiteLLM's up to `high`, doubled on above it.
fn budget(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal | Effort::Low => 1_024,
        Effort::Medium => 2_048,
        Effort::High => 4_096,
        Effort::XHigh => 8_192,
        Effort::Max => 16_384,
    }
}

/// `output_config.effort` for a model that reasons by level; a budget becomes the level whose budget it reaches.
fn level(reasoning: &Reasoning) -> Option<&'static str> {
    match reasoning {
        Reasoning::Disabled
        | Reasoning::Adaptive
        | Reasoning::Budget(0)
        | Reasoning::Effort(Effort::None) => None,
        Reasoning::Effort(Effort::Minimal | Effort::Low) | Reasoning::Budget(..2_048) => Some("low"),
        Reasoning::Effort(Effort::Medium) | Reasoning::Budget(..4_096) => Some("medium"),
        Reasoning::Effort(Effort::High) | Reasoning::Budget(_) => Some("high"),
        Reasoning::Effort(Effort::XHigh) => Some("xhigh"),
        Reasoning::Effort(Effort::Max) => Some("max"),
    }
}

/// Adds temperature, `top_p` and `top_k`, as far as model and thinking admit them.
///
/// The rule for a value out of range: an error that names it, or the nearest value in range if parameters may be
/// dropped (OpenAI's temperatures from 1 to 2 become 1). Values that thinking forbids: the same error, or left out.
///
/// # Errors
/// [`EncodeError`] as said.
pub(super) fn add_sampling(
    body: &mut Map<String, Value>,
    request: &ChatRequest,
    options: &EncodeOptions,
    is_thinking: bool,
) -> Result<(), EncodeError> {
    let sampling = &request.sampling;
    if options.rejects_sampling {
        return require_no_sampling(request, options);
    }
    for (name, value, least_thinking) in
        [("temperature", sampling.temperature, 1.0), ("top_p", sampling.top_p, 0.95)]
    {
        let Some(value) = value else { continue };
        let is_in_range = (0.0..=1.0).contains(&value);
        if !is_in_range && !options.drop_unsupported {
            return Err(invalid(name, "must be from 0 to 1 for this provider".to_owned()));
        }
        let value = value.clamp(0.0, 1.0);
        if is_thinking && value < least_thinking {
            if !options.drop_unsupported {
                let message = format!("must be unset or at least {least_thinking} while the model reasons");
                return Err(invalid(name, message));
            }
            continue;
        }
        body.insert(name.to_owned(), value.into());
    }
    if let Some(top_k) = sampling.top_k {
        if !is_thinking {
            body.insert("top_k".to_owned(), top_k.into());
        } else if !options.drop_unsupported {
            return Err(invalid("top_k", "must be unset while the model reasons".to_owned()));
        }
    }
    Ok(())
}

/// For a model that refuses to be steered: the default values are left out, others are unsupported.
fn require_no_sampling(request: &ChatRequest, options: &EncodeOptions) -> Result<(), EncodeError> {
    let sampling = &request.sampling;
    let is_steered = |value: Option<f64>| value.is_some_and(|value| value != 1.0);
    let params: Vec<String> = [
        ("temperature", is_steered(sampling.temperature)),
        ("top_p", is_steered(sampling.top_p)),
        ("top_k", sampling.top_k.is_some()),
    ]
    .into_iter()
    .filter(|(_, is_set)| *is_set)
    .map(|(name, _)| name.to_owned())
    .collect();
    if params.is_empty() || options.drop_unsupported {
        return Ok(());
    }
    Err(EncodeError::Unsupported { params })
}

fn invalid(param: &str, message: String) -> EncodeError {
    EncodeError::Invalid { param: param.to_owned(), message }
}
