//! From a model's name in a configuration to the provider that serves it.
//!
//! Owns LiteLLM's rule for `provider/model`, `custom_llm_provider` and bare names. Leaves wildcards, aliases and
//! groups to the configuration.
//!
//! **Invariant:** the model that comes back is a part of the name that went in; nothing is rewritten.

use super::{Provider, is_known_elsewhere, nearest_provider, provider};
use crate::model;

/// Why a model's name leads to no provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The provider is one of LiteLLM's that has no row in the table. `instead` is a name of the same model at a
    /// provider that has one.
    #[error("provider `{provider}` is not yet active{}", hint(.instead.as_deref()))]
    NotYetActive {
        /// The provider's name.
        provider: String,
        /// The same model at a provider that is active, such as `gemini/gemini-2.5-pro`.
        instead: Option<String>,
    },
    /// The given provider is nobody's name.
    #[error("unknown provider `{provider}`{}", hint(*.nearest))]
    UnknownProvider {
        /// The name as given.
        provider: String,
        /// The provider that was likely meant.
        nearest: Option<&'static str>,
    },
    /// A name without a provider, which the catalogue does not know or knows from more than one.
    #[error("no provider in model name `{model}`: write it as `provider/model`, such as `openai/{model}`")]
    NoProvider {
        /// The name as given.
        model: String,
    },
    /// The name is empty, or nothing follows the provider.
    #[error("the model name is empty")]
    Empty,
}

/// ", did you mean ...?" for the end of a message, or nothing.
fn hint(candidate: Option<&str>) -> String {
    candidate.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

/// The provider that serves `model` and the model's name there, by LiteLLM's rule: `custom_llm_provider` decides if
/// it is given (the model may repeat it as a prefix); else what stands before the first slash; else, for a bare
/// name, whom the catalogue says the model belongs to. What follows the first slash is kept as it is, slashes
/// included (`openrouter/a/b` is `a/b`).
pub fn resolve_model<'a>(
    model: &'a str,
    custom_llm_provider: Option<&str>,
) -> Result<(&'static Provider, &'a str), ResolveError> {
    if model.is_empty() {
        return Err(ResolveError::Empty);
    }
    if let Some(name) = custom_llm_provider.filter(|name| !name.is_empty()) {
        let row = provider(name).ok_or_else(|| not_served(name))?;
        return not_empty(row, without_prefix(row, model));
    }
    let Some((prefix, rest)) = model.split_once('/') else {
        return bare(model);
    };
    if let Some(row) = provider(prefix) {
        return not_empty(row, rest);
    }
    if is_known_elsewhere(prefix) {
        return Err(not_served(prefix));
    }
    bare(model).map_err(|error| match error {
        ResolveError::NoProvider { .. } => not_served(prefix),
        other => other,
    })
}

/// `model` without a prefix that names `row`. OpenRouter has models of its own below its own name
/// (`openrouter/auto`), which keep it.
fn without_prefix<'a>(row: &Provider, model: &'a str) -> &'a str {
    match model.split_once('/') {
        Some((prefix, rest)) if row.is_named(prefix) && (row.name != "openrouter" || rest.contains('/')) => {
            rest
        }
        _ => model,
    }
}

fn not_empty<'a>(
    row: &'static Provider,
    model: &'a str,
) -> Result<(&'static Provider, &'a str), ResolveError> {
    if model.is_empty() { Err(ResolveError::Empty) } else { Ok((row, model)) }
}

fn not_served(name: &str) -> ResolveError {
    if is_known_elsewhere(name) {
        return ResolveError::NotYetActive { provider: name.to_owned(), instead: None };
    }
    ResolveError::UnknownProvider { provider: name.to_owned(), nearest: nearest_provider(name) }
}

/// A name without a provider in front of it.
fn bare(model: &str) -> Result<(&'static Provider, &str), ResolveError> {
    let owner = model::model_by_key(model).map(|known| known.provider);
    let Some(name) = owner.as_deref().or_else(|| owner_by_shape(model)) else {
        return Err(ResolveError::NoProvider { model: model.to_owned() });
    };
    if let Some(row) = provider(name).or_else(|| provider(model::family(name))) {
        return Ok((row, model));
    }
    let name = model::family(name);
    let gemini = format!("gemini/{model}");
    let instead = model::model_by_key(&gemini).is_some().then_some(gemini);
    Err(ResolveError::NotYetActive { provider: name.to_owned(), instead })
}

/// Names that tell their owner by their shape, for models newer than the catalogue: OpenAI's fine-tunes and image
/// models, Claude, and the catch-all `*`. LiteLLM resolves these too.
fn owner_by_shape(model: &str) -> Option<&'static str> {
    let is_openai = model == "*" || model.starts_with("ft:gpt-") || model.starts_with("gpt-image");
    if is_openai {
        return Some("openai");
    }
    is_claude_id(model).then_some("anthropic")
}

/// `claude-<family>-<major>`, then perhaps `-<minor>` or `.<minor>`, then perhaps `-<eight digits of a date>`.
fn is_claude_id(model: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((family, version)) = model.strip_prefix("claude-").and_then(|rest| rest.split_once('-')) else {
        return false;
    };
    let family_is_a_word = !family.is_empty() && family.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut parts = version.split(['-', '.']);
    let has_major = parts.next().is_some_and(digits);
    let rest: Vec<&str> = parts.collect();
    let tail_fits = match rest.as_slice() {
        [] => true,
        [one] => digits(one),
        [minor, date] => {
            digits(minor) && digits(date) && date.len() == 8 && version.ends_with(&format!("-{date}"))
        }
        _ => false,
    };
    family_is_a_word && has_major && tail_fits
}
