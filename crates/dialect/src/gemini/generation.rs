//! `generationConfig`: sampling, the form of the answer and how much is thought before it.
//!
//! Owns the translation of reasoning effort into Gemini's budgets and levels. Leaves schemas to `schema`.

use super::request::STOP_SEQUENCES_MAX;
use super::schema;
use crate::conversation::{ChatRequest, Effort, Reasoning, ResponseFormat, Sampling};
use crate::wire::{EncodeError, EncodeOptions, Losses};
use serde_json::{Map, Value, json};

/// Thinking budgets in tokens by effort, as LiteLLM sends them.
const BUDGET_LOW: u64 = 1_024;
/// See [`BUDGET_LOW`].
const BUDGET_MEDIUM: u64 = 2_048;
/// See [`BUDGET_LOW`].
const BUDGET_HIGH: u64 = 4_096;

/// The least budgets that the 2.5 models take (Google's thinking guide), by a piece of the model's name; the first
/// that fits counts.
const BUDGETS_MINIMAL: &[(&str, u64)] = &[("2.5-flash-lite", 512), ("2.5-pro", 128), ("2.5-flash", 1)];

/// The least budget of any other model, as LiteLLM sends it.
const BUDGET_MINIMAL: u64 = 128;

/// Writes `generationConfig` without the caller's native members.
///
/// # Errors
/// [`EncodeError::Invalid`] for more stop sequences than Google takes, unless parameters may be dropped.
pub(super) fn generation_config(
    request: &ChatRequest,
    options: &EncodeOptions,
    lost: &mut Losses,
) -> Result<Map<String, Value>, EncodeError> {
    let mut config = Map::new();
    write_sampling(&request.sampling, &mut config);
    write_stop(&request.sampling.stop, options, &mut config, lost)?;
    if let Some(format) = &request.response_format {
        write_format(format, &mut config);
    }
    let mut thinking = match &request.reasoning {
        Some(reasoning) => thinking_config(reasoning, &request.model, options),
        None => Map::new(),
    };
    let is_off = matches!(request.reasoning, Some(Reasoning::Disabled | Reasoning::Effort(Effort::None)));
    if is_off && options.reasoning_by_level {
        // The least that these models think goes out in its place.
        lost.note("reasoning_effort");
    }
    if let Some(is_shown) = request.show_reasoning {
        thinking.insert("includeThoughts".to_owned(), json!(is_shown));
    }
    if !thinking.is_empty() {
        config.insert("thinkingConfig".to_owned(), Value::Object(thinking));
    }
    Ok(config)
}

fn write_sampling(sampling: &Sampling, config: &mut Map<String, Value>) {
    let members = [
        ("temperature", sampling.temperature.map(Value::from)),
        ("topP", sampling.top_p.map(Value::from)),
        ("topK", sampling.top_k.map(Value::from)),
        ("candidateCount", sampling.n.map(Value::from)),
        ("maxOutputTokens", sampling.max_tokens.map(Value::from)),
        ("presencePenalty", sampling.presence_penalty.map(Value::from)),
        ("frequencyPenalty", sampling.frequency_penalty.map(Value::from)),
        ("seed", sampling.seed.map(|seed| Value::from(fold_seed(seed)))),
        ("responseLogprobs", sampling.logprobs.map(Value::from)),
        ("logprobs", sampling.top_logprobs.filter(|_| sampling.logprobs == Some(true)).map(Value::from)),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            config.insert(name.to_owned(), value);
        }
    }
}

/// Google's seed has 32 bits. A wider one is folded: the answer stays as repeatable as the caller's seed.
fn fold_seed(seed: i64) -> i32 {
    i32::try_from(seed).unwrap_or((seed ^ (seed >> 32)) as i32)
}

fn write_stop(
    stop: &[String],
    options: &EncodeOptions,
    config: &mut Map<String, Value>,
    lost: &mut Losses,
) -> Result<(), EncodeError> {
    if stop.len() > STOP_SEQUENCES_MAX {
        if !options.drop_unsupported {
            return Err(EncodeError::Invalid {
                param: "stop".to_owned(),
                message: format!("Gemini takes at most {STOP_SEQUENCES_MAX} stop sequences"),
            });
        }
        lost.note("stop");
    }
    if !stop.is_empty() {
        let kept: Vec<&String> = stop.iter().take(STOP_SEQUENCES_MAX).collect();
        config.insert("stopSequences".to_owned(), json!(kept));
    }
    Ok(())
}

fn write_format(format: &ResponseFormat, config: &mut Map<String, Value>) {
    match format {
        ResponseFormat::Text => {}
        ResponseFormat::JsonObject => {
            config.insert("responseMimeType".to_owned(), json!("application/json"));
        }
        ResponseFormat::JsonSchema { schema, .. } => {
            config.insert("responseMimeType".to_owned(), json!("application/json"));
            config.insert("responseJsonSchema".to_owned(), schema::normalise(schema));
        }
    }
}

/// The budget by which Gemini finds its own measure (Google's thinking guide).
const BUDGET_DYNAMIC: i64 = -1;

fn thinking_config(reasoning: &Reasoning, model: &str, options: &EncodeOptions) -> Map<String, Value> {
    let by_level = options.reasoning_by_level;
    let effort = match reasoning {
        Reasoning::Budget(tokens) => {
            return config(*tokens > 0, Some(("thinkingBudget", json!(tokens))));
        }
        // By level, to say nothing is to leave it to the model.
        Reasoning::Adaptive => {
            return config(true, (!by_level).then(|| ("thinkingBudget", json!(BUDGET_DYNAMIC))));
        }
        Reasoning::Disabled => Effort::None,
        Reasoning::Effort(effort) => *effort,
    };
    let amount = if by_level {
        ("thinkingLevel", json!(thinking_level(effort, model)))
    } else {
        ("thinkingBudget", json!(thinking_budget(effort, model)))
    };
    config(effort != Effort::None, Some(amount))
}

fn config(is_shown: bool, amount: Option<(&str, Value)>) -> Map<String, Value> {
    let mut config = Map::new();
    config.insert("includeThoughts".to_owned(), json!(is_shown));
    config.extend(amount.map(|(name, value)| (name.to_owned(), value)));
    config
}

fn thinking_budget(effort: Effort, model: &str) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Minimal => {
            let row = BUDGETS_MINIMAL.iter().find(|(piece, _)| model.contains(piece));
            row.map_or(BUDGET_MINIMAL, |(_, budget)| *budget)
        }
        Effort::Low => BUDGET_LOW,
        Effort::Medium => BUDGET_MEDIUM,
        Effort::High | Effort::XHigh | Effort::Max => BUDGET_HIGH,
    }
}

/// The level nearest to the effort that the model has (Google's table of thinking levels): only the flash models go
/// down to `MINIMAL`, and the first Gemini 3 Pro has no `MEDIUM`. None of them can be told not to think.
fn thinking_level(effort: Effort, model: &str) -> &'static str {
    let is_flash = model.contains("flash");
    let is_first_pro = model.contains("gemini-3-pro");
    match effort {
        Effort::None | Effort::Minimal if is_flash => "MINIMAL",
        Effort::None | Effort::Minimal | Effort::Low => "LOW",
        Effort::Medium if is_first_pro => "HIGH",
        Effort::Medium => "MEDIUM",
        Effort::High | Effort::XHigh | Effort::Max => "HIGH",
    }
}
