//! `additionalModelRequestFields`: parameters in a model's own words.
//!
//! Owns which of them other dialects know as well: Anthropic's `thinking`, `top_k`, `tool_choice` and effort, Nova's
//! `reasoningConfig` and `topK`, Cohere's `k`, the effort of OpenAI's open models. **Invariant:** what is not wholly
//! understood stays among the members that are left, as it came.

use crate::bedrock::members::{count, text};
use crate::conversation::{ChatRequest, Effort, Reasoning, ToolChoice};
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// The members while they are sorted.
#[derive(Debug, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Takes the object.
    ///
    /// # Errors
    /// [`RequestError`] when it is none.
    pub(super) fn read(&mut self, value: Value) -> Result<(), RequestError> {
        self.0 = read::object(value, &Place::Top("additionalModelRequestFields"))?;
        Ok(())
    }

    /// Fills the request's fields and gives what is left. What the common parameters said already stands.
    pub(super) fn fill(mut self, request: &mut ChatRequest) -> Map<String, Value> {
        self.fill_reasoning(request);
        self.fill_top_k(request);
        self.fill_choice(request);
        self.0
    }

    /// Removes a member that `read` understands.
    fn take<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let found = read(self.0.get(name)?)?;
        self.0.shift_remove(name);
        Some(found)
    }

    fn fill_reasoning(&mut self, request: &mut ChatRequest) {
        let thinking = self.take("thinking", thinking).or_else(|| self.take("reasoning_config", thinking));
        if let Some((reasoning, is_shown)) = thinking {
            request.reasoning = Some(reasoning);
            request.show_reasoning = is_shown;
        } else if let Some(reasoning) = self.take("reasoningConfig", nova_reasoning) {
            request.reasoning = Some(reasoning);
        } else if let Some(effort) = self.take("reasoning_effort", |word| effort(word.as_str()?)) {
            request.reasoning = Some(Reasoning::Effort(effort));
        }
        let is_free = matches!(request.reasoning, None | Some(Reasoning::Adaptive));
        if is_free && let Some(effort) = self.take("output_config", alone_effort) {
            request.reasoning = Some(Reasoning::Effort(effort));
        }
    }

    fn fill_top_k(&mut self, request: &mut ChatRequest) {
        let nova = |config: &Value| {
            let is_alone = config.as_object().is_some_and(|config| config.len() == 1);
            count(config, "topK").filter(|_| is_alone)
        };
        let found = self.take("top_k", Value::as_u64).or_else(|| self.take("k", Value::as_u64));
        request.sampling.top_k = found.or_else(|| self.take("inferenceConfig", nova));
    }

    /// Anthropic's choice says what `toolChoice` has no word for: none, and one call at a time.
    fn fill_choice(&mut self, request: &mut ChatRequest) {
        let Some((choice, is_single)) = self.take("tool_choice", anthropic_choice) else { return };
        request.tool_choice = choice.or(request.tool_choice.take());
        request.parallel_tool_calls = is_single.map(|is_single| !is_single);
    }
}

fn has_only(value: &Value, known: &[&str]) -> bool {
    value.as_object().is_some_and(|members| members.keys().all(|name| known.contains(&name.as_str())))
}

/// Anthropic's `thinking`, and whether it is to be shown.
fn thinking(value: &Value) -> Option<(Reasoning, Option<bool>)> {
    if !has_only(value, &["type", "budget_tokens", "display"]) {
        return None;
    }
    let is_shown = match value.get("display").map(Value::as_str) {
        None => None,
        Some(Some("summarized")) => Some(true),
        Some(Some("omitted")) => Some(false),
        Some(_) => return None,
    };
    let reasoning = match text(value, "type")? {
        "enabled" => Reasoning::Budget(count(value, "budget_tokens")?),
        "disabled" => Reasoning::Disabled,
        "adaptive" => Reasoning::Adaptive,
        _ => return None,
    };
    Some((reasoning, is_shown))
}

/// Nova's `reasoningConfig`.
fn nova_reasoning(value: &Value) -> Option<Reasoning> {
    match (text(value, "type")?, text(value, "maxReasoningEffort")) {
        ("disabled", None) => Some(Reasoning::Disabled),
        ("enabled", Some(word)) => effort(word).map(Reasoning::Effort),
        _ => None,
    }
}

fn effort(word: &str) -> Option<Effort> {
    super::EFFORTS.iter().find(|(known, _)| *known == word).map(|(_, effort)| *effort)
}

/// Anthropic's `output_config` that has an effort and nothing else.
fn alone_effort(value: &Value) -> Option<Effort> {
    let word = text(value, "effort").filter(|_| has_only(value, &["effort"]))?;
    effort(word)
}

/// The choice, and whether one call at a time is wanted. Beside a `toolChoice` the first is left out.
fn anthropic_choice(value: &Value) -> Option<(Option<ToolChoice>, Option<bool>)> {
    if !has_only(value, &["type", "name", "disable_parallel_tool_use"]) {
        return None;
    }
    let is_single = value.get("disable_parallel_tool_use").and_then(Value::as_bool);
    if value.get("type").is_none() {
        return is_single.filter(|_| value.get("name").is_none()).map(|is_single| (None, Some(is_single)));
    }
    let choice = match text(value, "type")? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Function(text(value, "name")?.to_owned()),
        _ => return None,
    };
    Some((Some(choice), is_single))
}
