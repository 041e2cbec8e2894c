//! How much the model thinks, and what that does to `max_tokens` and to sampling.
//!
//! The rules are those of Anthropic's guides to extended and adaptive thinking: a budget of at least 1,024 tokens and
//! less than `max_tokens`; while the model thinks, `temperature` is 1 or unset, `top_p` at least 0.95, `top_k` unset.

use super::MAX_TOKENS_DEFAULT;
use super::members::{count, object, text};
use super::params::{is_allowed, native_member, refuse_or_note};
use crate::conversation::{ChatRequest, Effort, Reasoning};
use crate::wire::{Dialect, EncodeError, EncodeOptions, Losses};
use serde_json::{Map, Value};

/// The words of `output_config.effort`, from Anthropic's published types.
pub(super) const EFFORTS: [(&str, Effort); 5] = [
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::XHigh),
    ("max", Effort::Max),
];

/// The wire's word for a level; none for no reasoning.
pub(super) fn effort_word(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal => Some("low"),
        _ => EFFORTS.iter().find(|(_, known)| *known == effort).map(|(word, _)| *word),
    }
}

/// The least budget that the API takes, in tokens.
const BUDGET_MIN: u64 = 1_024;

/// What the request says about thinking.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Thinking {
    /// `thinking`, where the conversation model asks for it. The caller's own `thinking` in `extra` stands before it.
    pub(super) config: Option<Map<String, Value>>,
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
    lost: &mut Losses,
) -> Result<Thinking, EncodeError> {
    let off = Thinking { max_tokens: max_tokens(request, options, 0), ..Thinking::default() };
    let effort = request.reasoning.as_ref().filter(|_| options.reasoning_by_level).and_then(level);
    if let Some(native) = native_member(request, "thinking") {
        let budget = count(native, "budget_tokens").unwrap_or(0);
        return Ok(Thinking {
            effort,
            max_tokens: max_tokens(request, options, budget),
            is_on: text(native, "type") != Some("disabled"),
            ..off
        });
    }
    let mut planned = match request.reasoning.as_ref() {
        None => off,
        Some(Reasoning::Disabled | Reasoning::Budget(0)) => Thinking { config: Some(disabled()), ..off },
        // Models that reason by tokens do not think unless asked, and older ones do not know the word.
        Some(Reasoning::Effort(Effort::None)) if options.reasoning_by_level => {
            Thinking { config: Some(disabled()), ..off }
        }
        Some(Reasoning::Effort(Effort::None)) => off,
        Some(_) if options.reasoning_by_level => {
            Thinking { config: Some(object([("type", "adaptive".into())])), effort, is_on: true, ..off }
        }
        Some(_) if is_loop_without_thinking => {
            lost.note("reasoning_effort");
            off
        }
        Some(Reasoning::Adaptive) => budgeted(budget(Effort::Medium), true, request, options, lost)?,
        Some(Reasoning::Effort(effort)) => budgeted(budget(*effort), true, request, options, lost)?,
        Some(Reasoning::Budget(tokens)) => budgeted(*tokens, false, request, options, lost)?,
    };
    if let (true, Some(config), Some(is_shown)) = (planned.is_on, &mut planned.config, request.show_reasoning)
    {
        let display = if is_shown { "summarized" } else { "omitted" };
        config.insert("display".to_owned(), display.into());
    }
    Ok(planned)
}

fn disabled() -> Map<String, Value> {
    object([("type", "disabled".into())])
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
    lost: &mut Losses,
) -> Result<Thinking, EncodeError> {
    let may_change = options.drop_unsupported;
    if tokens < BUDGET_MIN && !may_change {
        return Err(invalid("thinking.budget_tokens", format!("must be at least {BUDGET_MIN}")));
    }
    let mut budget = tokens.max(BUDGET_MIN);
    let max_tokens = max_tokens(request, options, budget);
    if max_tokens <= BUDGET_MIN {
        if may_change {
            lost.note("reasoning_effort");
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
    Ok(Thinking { config: Some(config), effort: None, max_tokens, is_on: true })
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
        Reasoning::Disabled | Reasoning::Adaptive | Reasoning::Budget(0) => None,
        Reasoning::Effort(effort) => effort_word(*effort),
        Reasoning::Budget(..2_048) => Some("low"),
        Reasoning::Budget(..4_096) => Some("medium"),
        Reasoning::Budget(_) => Some("high"),
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
    lost: &mut Losses,
) -> Result<(), EncodeError> {
    let sampling = &request.sampling;
    if options.rejects_sampling {
        return require_no_sampling(request, options, lost);
    }
    let (temperature, top_p) = one_of_both(request, options, is_thinking, lost);
    for (name, value, least_thinking) in [("temperature", temperature, 1.0), ("top_p", top_p, 0.95)] {
        let Some(value) = value else { continue };
        let nearest = value.clamp(0.0, 1.0);
        let is_forbidden = is_thinking && nearest < least_thinking;
        if (nearest != value || is_forbidden) && !options.drop_unsupported {
            let message = match is_forbidden {
                true => format!("must be unset or at least {least_thinking} while the model reasons"),
                false => "must be from 0 to 1 for this provider".to_owned(),
            };
            return Err(invalid(name, message));
        }
        if nearest != value || is_forbidden {
            lost.note(name);
        }
        if !is_forbidden {
            body.insert(name.to_owned(), nearest.into());
        }
    }
    if let Some(top_k) = sampling.top_k {
        if !is_thinking {
            body.insert("top_k".to_owned(), top_k.into());
        } else if options.drop_unsupported {
            lost.note("top_k");
        } else {
            return Err(invalid("top_k", "must be unset while the model reasons".to_owned()));
        }
    }
    Ok(())
}

/// `temperature` and `top_p` as far as they go together: newer models refuse both in one request. One that has its
/// default value (1) says nothing and stays here; of two others `top_p` does, if parameters may be dropped. While the
/// model reasons there is no other temperature. Callers of a dialect that Claude is at home in say what they mean.
pub(crate) fn one_of_both(
    request: &ChatRequest,
    options: &EncodeOptions,
    is_thinking: bool,
    lost: &mut Losses,
) -> (Option<f64>, Option<f64>) {
    let both = (request.sampling.temperature, request.sampling.top_p);
    if matches!(request.dialect, Dialect::Anthropic | Dialect::Bedrock) || takes_both(&request.model) {
        return both;
    }
    match both {
        (Some(1.0), Some(top_p)) => (None, Some(top_p)),
        (None, _) | (_, None) => both,
        _ if is_thinking => both,
        (temperature, Some(1.0)) => (temperature, None),
        (temperature, _) if options.drop_unsupported => {
            lost.note("top_p");
            (temperature, None)
        }
        both => both,
    }
}

/// Models before Claude 4.5, and Opus before 4.1, take both (Anthropic's migration guides). A name tells it as
/// `claude-opus-4-1`; one that does not is left to the provider.
fn takes_both(model: &str) -> bool {
    let Some((_, rest)) = model.split_once("claude-") else { return true };
    let Some((family, version)) = rest.split_once('-') else { return true };
    if family.bytes().any(|byte| !byte.is_ascii_lowercase()) {
        return true;
    }
    let mut numbers =
        version.split(['-', '@']).map_while(|part| part.parse().ok().filter(|number: &u32| *number < 100));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version < (4, 5) && (family != "opus" || version < (4, 1))
}

/// For a model that refuses to be steered: the default values are left out, others are unsupported.
fn require_no_sampling(
    request: &ChatRequest,
    options: &EncodeOptions,
    lost: &mut Losses,
) -> Result<(), EncodeError> {
    let sampling = &request.sampling;
    let is_steered = |value: Option<f64>| value.is_some_and(|value| value != 1.0);
    let params: Vec<String> = [
        ("temperature", is_steered(sampling.temperature)),
        ("top_p", is_steered(sampling.top_p)),
        ("top_k", sampling.top_k.is_some()),
    ]
    .into_iter()
    .filter(|(name, is_set)| *is_set && !is_allowed(options, name))
    .map(|(name, _)| name.to_owned())
    .collect();
    refuse_or_note(params, options, lost)
}

fn invalid(param: &str, message: String) -> EncodeError {
    EncodeError::Invalid { param: param.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::takes_both;

    #[test]
    fn models_since_claude_4_5_take_one_of_temperature_and_top_p() {
        let check = |model: &str, expect: bool| assert_eq!(takes_both(model), expect, "{model}");
        check("claude-3-7-sonnet-20250219", true);
        check("claude-instant-1.2", true);
        check("claude-sonnet-4-20250514", true);
        check("claude-sonnet-4@20250514", true);
        check("claude-opus-4-0", true);
        check("claude-opus-4-1-20250805", false);
        check("us.anthropic.claude-sonnet-4-5-20250929-v1:0", false);
        check("claude-haiku-4-5@20251001", false);
        check("claude-fable-5", false);
        check("amazon.nova-lite-v1:0", true);
    }
}
