//! Providers: who can be called, at which address, with which key, and how a model's name leads to one.
//!
//! Owns: the provider table's columns, looking a provider up, LiteLLM's `provider/model` rule. Leaves to others:
//! reading the environment variables named here, building URLs for a wire, sending anything.
//!
//! **Invariant:** a provider's name and aliases are unique in the table, and a name is either a row here or "known
//! elsewhere", never both.

mod resolve;
mod table;

use std::borrow::Cow;

pub use resolve::{ResolveError, resolve_model};

/// The protocol that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI's HTTP API below a base URL that ends before `/chat/completions`.
    OpenAi,
    /// Azure OpenAI: deployments below a resource's endpoint, an `api-version`, an `api-key` or Entra token.
    Azure,
    /// Anthropic's Messages API below a base URL that ends before `/v1/messages`.
    Anthropic,
    /// Google's Gemini API below a base URL that ends before `/v1beta/models/...`.
    Gemini,
    /// Google's Vertex AI: Gemini's form for Google's models, Anthropic's for Claude, OpenAI's for the rest, below a
    /// base URL that ends before `/v1/projects/...`.
    Vertex,
    /// Amazon Bedrock's runtime below a base URL that ends before `/model/...`.
    Bedrock,
    /// Cohere's API, version 2, below a base URL that ends before `/v2/chat`.
    Cohere,
    /// Ollama's own API below a base URL that ends before `/api/chat`.
    Ollama,
    /// IBM watsonx.ai below a base URL that ends before `/ml/v1/...`.
    Watsonx,
    /// Replicate below a base URL that ends before `/predictions`.
    Replicate,
    /// Amazon SageMaker's runtime below a base URL that ends before `/endpoints/...`.
    SageMaker,
}

/// Where the key goes in an upstream request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyPlacement {
    /// `Authorization: Bearer <key>`; the provider refuses requests without one.
    Bearer,
    /// `Authorization: Bearer <key>` when there is a key; servers that people run themselves often want none.
    OptionalBearer,
    /// The key alone in the header of this name.
    Header(&'static str),
}

/// One provider: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// LiteLLM's name of the provider, the prefix of `provider/model`.
    pub name: &'static str,
    /// Other prefixes that mean this provider.
    pub aliases: &'static [&'static str],
    /// The protocol it speaks.
    pub wire: Wire,
    /// Its public base URL, without a slash at the end (see [`Wire`] for where it ends); `None` when only the
    /// operator can know it.
    pub base_url: Option<&'static str>,
    /// Environment variables that override the base URL, the first one set wins.
    pub base_env: &'static [&'static str],
    /// The path that the base URL must end with; [`Provider::complete_base`] adds it where an operator left it out,
    /// as LiteLLM's spelling of that provider's base does (`http://localhost:11434` for Ollama). Often empty.
    pub base_path: &'static str,
    /// Environment variables that hold the key, the first one set wins.
    pub key_env: &'static [&'static str],
    /// Where the key goes.
    pub key: KeyPlacement,
    /// Request parameters that have another name there: (OpenAI's name, the provider's name).
    pub renames: &'static [(&'static str, &'static str)],
    /// OpenAI request parameters that the provider is known to refuse with an error.
    pub unsupported: &'static [&'static str],
    /// The prefix of LiteLLM's error texts for this provider, such as `OpenAIException`.
    pub exception: &'static str,
}

impl Provider {
    /// The base URL that `written` (an `api_base` or a `base_env` value) means: no slash at the end, without an
    /// endpoint path that people paste along with it, and with [`Provider::base_path`] present.
    pub fn complete_base<'a>(&self, written: &'a str) -> Cow<'a, str> {
        let endpoint = match self.wire {
            Wire::OpenAi | Wire::Azure => "/chat/completions",
            Wire::Anthropic => "/v1/messages",
            Wire::Gemini => "/v1beta",
            Wire::Vertex => "/v1",
            Wire::Bedrock => "/model",
            Wire::Cohere => "/v2/chat",
            Wire::Ollama => "/api/chat",
            Wire::Watsonx => "/ml/v1",
            Wire::Replicate => "/predictions",
            Wire::SageMaker => "/endpoints",
        };
        let trimmed = written.trim_end_matches('/');
        let base = trimmed.strip_suffix(endpoint).unwrap_or(trimmed).trim_end_matches('/');
        // Ollama serves OpenAI's form below the same address, and people write that one down.
        let base = if self.wire == Wire::Ollama { base.strip_suffix("/v1").unwrap_or(base) } else { base };
        if self.base_path.is_empty() || base.ends_with(self.base_path) {
            return Cow::Borrowed(base);
        }
        Cow::Owned(format!("{base}{}", self.base_path))
    }

    /// Whether `name` is this provider's name or one of its aliases.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// The provider of that name or alias.
pub fn provider(name: &str) -> Option<&'static Provider> {
    let by_name = table::PROVIDERS.binary_search_by(|row| row.name.cmp(name));
    match by_name {
        Ok(row) => table::PROVIDERS.get(row),
        Err(_) => table::PROVIDERS.iter().find(|row| row.aliases.contains(&name)),
    }
}

/// Every provider, sorted by name.
pub fn providers() -> &'static [Provider] {
    table::PROVIDERS
}

/// Whether `name` is a provider of LiteLLM's that has no row here, so that a configuration which names it can be
/// told "not yet active" instead of "unknown". The catalogue's finer names of the same services
/// (`vertex_ai-language-models`) count too.
pub fn is_known_elsewhere(name: &str) -> bool {
    table::KNOWN_ELSEWHERE.binary_search(&name).is_ok()
        || (provider(name).is_none() && crate::model::models_of_provider(name).next().is_some())
}

/// The provider name or alias that `name` most likely meant: the one with the fewest single-letter edits, as long
/// as those are at most a third of its letters (and at least one is allowed).
pub fn nearest_provider(name: &str) -> Option<&'static str> {
    let edits_max = (name.chars().count() / 3).max(1);
    let served = table::PROVIDERS.iter().flat_map(|row| row.aliases.iter().chain([&row.name]).copied());
    served
        .chain(table::KNOWN_ELSEWHERE.iter().copied())
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_ascii_lowercase(), candidate), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
