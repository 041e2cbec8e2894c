//! `generationConfig`: sampling, the form of the answer and how much is thought before it.
//!
//! Owns the translation of reasoning effort into Gemini's budgets and levels. Leaves schemas to `schema`.

use super::request::STOP_SEQUENCES_MAX;
use super::schema;
use crate::conversation::{ChatRequest, Effort, Reasoning, ResponseFormat, Sampling};
use crate::wire::{EncodeError, EncodeOptions};
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
) -> Result<Map<String, Value>, EncodeError> {
    let mut config = Map::new();
    write_sampling(&request.sampling, &mut config);
    write_stop(&request.sampling.stop, options, &mut config)?;
    if let Some(format) = &request.response_format {
        write_format(format, &mut config);
    }
    if let Some(reasoning) = &request.reasoning {
        config.insert("thinkingConfig".to_owned(), thinking_config(reasoning, &request.model, options));
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
) -> Result<(), EncodeError> {
    if stop.len() > STOP_SEQUENCES_MAX && !options.drop_unsupported {
        return Err(EncodeError::Invalid {
            param: "stop".to_owned(),
            message: format!("Gemini takes at most {STOP_SEQUENCES_MAX} stop sequences"),
        });
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

fn thinking_config(reasoning: &Reasoning, model: &str, options: &EncodeOptions) -> Value {
    let effort = match reasoning {
        Reasoning::Budget(tokens) => {
            return json!({ "includeThoughts": *tokens > 0, "thinkingBudget": tokens });
        }
        Reasoning::Adaptive => return json!({ "includeThoughts": true }),
        Reasoning::Disabled => Effort::None,
        Reasoning::Effort(effort) => *effort,
    };
    let is_wanted = effort != Effort::None;
    if options.reasoning_by_level {
        json!({ "includeThoughts": is_wanted, "thinkingLevel": thinking_level(effort, model) })
    } else {
        json!({ "includeThoughts": is_wanted, "thinkingBudget": thinking_budget(effort, model) })
    }
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
