//! The paths below which requests pass through: to a provider's own API, or to one of OpenAI's resources at a provider.
//!
//! Owns the prefixes and what is below them. Leaves which account they go to, and with which path, to `passthrough`.
//! **Invariant:** every row wants a caller's key.

use http::Method;

/// A way through the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passage {
    /// `/openai/*`.
    OpenAi,
    /// `/anthropic/*`.
    Anthropic,
    /// `/gemini/*`.
    Gemini,
    /// `/vertex_ai/*`.
    Vertex,
    /// `/bedrock/*`.
    Bedrock,
    /// `/azure/*`.
    Azure,
    /// `/cohere/*`.
    Cohere,
    /// `/mistral/*`.
    Mistral,
    /// `/vllm/*`.
    Vllm,
    /// `/v1/files`.
    Files,
    /// `/v1/batches`.
    Batches,
    /// `/v1/fine_tuning/jobs`.
    FineTuning,
    /// `/v1/vector_stores`.
    VectorStores,
    /// `/v1/messages/batches`.
    MessageBatches,
    /// An endpoint of the operator's own (`pass_through_endpoints`).
    Own,
}

impl Passage {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 15] = [
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Vertex,
        Self::Bedrock,
        Self::Azure,
        Self::Cohere,
        Self::Mistral,
        Self::Vllm,
        Self::Files,
        Self::Batches,
        Self::FineTuning,
        Self::VectorStores,
        Self::MessageBatches,
        Self::Own,
    ];

    /// Its pattern, for metrics and messages.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::OpenAi => "/openai/{endpoint}",
            Self::Anthropic => "/anthropic/{endpoint}",
            Self::Gemini => "/gemini/{endpoint}",
            Self::Vertex => "/vertex_ai/{endpoint}",
            Self::Bedrock => "/bedrock/{endpoint}",
            Self::Azure => "/azure/{endpoint}",
            Self::Cohere => "/cohere/{endpoint}",
            Self::Mistral => "/mistral/{endpoint}",
            Self::Vllm => "/vllm/{endpoint}",
            Self::Files => "/v1/files",
            Self::Batches => "/v1/batches",
            Self::FineTuning => "/v1/fine_tuning/jobs",
            Self::VectorStores => "/v1/vector_stores",
            Self::MessageBatches => "/v1/messages/batches",
            Self::Own => "/pass_through_endpoints",
        }
    }
}

/// One prefix.
#[derive(Debug, Clone, Copy)]
pub struct Prefix {
    /// What stands before the part that passes; no slash at its end.
    pub path: &'static str,
    /// Where it leads.
    pub passage: Passage,
    /// The path by itself is served too, not only what is below it.
    pub is_resource: bool,
    /// One line for the OpenAPI description.
    pub summary: &'static str,
}

const fn provider(path: &'static str, passage: Passage, summary: &'static str) -> Prefix {
    Prefix { path, passage, is_resource: false, summary }
}

const fn resource(path: &'static str, passage: Passage, summary: &'static str) -> Prefix {
    Prefix { path, passage, is_resource: true, summary }
}

const FILES: &str = "Files at OpenAI or Azure: upload, list, get, content, delete";
const BATCHES: &str = "Batches at OpenAI or Azure: create, list, get, cancel";
const TUNING: &str = "Fine-tuning jobs at OpenAI or Azure";
const STORES: &str = "Vector stores at OpenAI or Azure: their files, searches";

/// Every prefix. A row of [`super::TABLE`] goes before them.
pub const PREFIXES: &[Prefix] = &[
    provider("/openai", Passage::OpenAi, "OpenAI's own API"),
    provider("/openai_passthrough", Passage::OpenAi, "OpenAI's own API"),
    provider("/anthropic", Passage::Anthropic, "Anthropic's own API"),
    provider("/gemini", Passage::Gemini, "Google's own Gemini API"),
    provider("/vertex_ai", Passage::Vertex, "Vertex AI's own API"),
    provider("/vertex-ai", Passage::Vertex, "Vertex AI's own API"),
    provider("/bedrock", Passage::Bedrock, "Amazon Bedrock's own API"),
    provider("/azure", Passage::Azure, "Azure OpenAI's own API"),
    provider("/cohere", Passage::Cohere, "Cohere's own API"),
    provider("/mistral", Passage::Mistral, "Mistral's own API"),
    provider("/vllm", Passage::Vllm, "vLLM's own API"),
    resource("/v1/files", Passage::Files, FILES),
    resource("/files", Passage::Files, FILES),
    resource("/v1/batches", Passage::Batches, BATCHES),
    resource("/batches", Passage::Batches, BATCHES),
    resource("/v1/fine_tuning/jobs", Passage::FineTuning, TUNING),
    resource("/fine_tuning/jobs", Passage::FineTuning, TUNING),
    resource("/v1/vector_stores", Passage::VectorStores, STORES),
    resource("/vector_stores", Passage::VectorStores, STORES),
    resource("/v1/messages/batches", Passage::MessageBatches, "Anthropic's message batches"),
];

/// The methods that pass.
pub(crate) const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The prefix that a path is below, and the rest of the path: empty, or from its slash on.
pub(crate) fn find(path: &str) -> Option<(&'static Prefix, &str)> {
    PREFIXES.iter().find_map(|prefix| {
        let rest = path.strip_prefix(prefix.path)?;
        let is_below = rest.starts_with('/') && rest.len() > 1;
        (is_below || (prefix.is_resource && rest.is_empty())).then_some((prefix, rest))
    })
}

/// LiteLLM's spelling of a resource with its provider (`/azure/v1/files/...`): provider, passage, rest.
pub(crate) fn find_at_provider(path: &str) -> Option<(&str, Passage, &str)> {
    let (provider, rest) = path.strip_prefix('/')?.split_once('/')?;
    let rest = rest.strip_prefix("v1/")?;
    let (passage, rest) = match () {
        () if rest.starts_with("files") => (Passage::Files, rest.strip_prefix("files")?),
        () => (Passage::Batches, rest.strip_prefix("batches")?),
    };
    let row = tollgate_catalog::provider(provider)?;
    let has_resources = matches!(row.wire, tollgate_catalog::Wire::OpenAi | tollgate_catalog::Wire::Azure);
    (has_resources && (rest.is_empty() || rest.starts_with('/'))).then_some((provider, passage, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_one_prefix_and_the_rest_is_what_passes() {
        let check = |path: &str, expect: Option<(Passage, &str)>| {
            let found = find(path).map(|(prefix, rest)| (prefix.passage, rest));
            assert_eq!(found, expect, "{path}");
        };
        check("/anthropic/v1/messages", Some((Passage::Anthropic, "/v1/messages")));
        check("/vertex-ai/v1/x", Some((Passage::Vertex, "/v1/x")));
        check("/openai_passthrough/v1/x", Some((Passage::OpenAi, "/v1/x")));
        check("/anthropic", None);
        check("/anthropic/", None);
        check("/anthropics/v1", None);
        check("/v1/files", Some((Passage::Files, "")));
        check("/v1/files/file-1/content", Some((Passage::Files, "/file-1/content")));
        check("/v1/files/", None);
        check("/v1/filesystem", None);
        check("/v1/messages/batches/b/results", Some((Passage::MessageBatches, "/b/results")));
    }

    #[test]
    fn a_resource_may_be_spelt_with_its_provider() {
        let check = |path: &str, expect: Option<(&str, Passage, &str)>| {
            assert_eq!(find_at_provider(path), expect, "{path}");
        };
        check("/azure/v1/files", Some(("azure", Passage::Files, "")));
        check("/openai/v1/batches/b/cancel", Some(("openai", Passage::Batches, "/b/cancel")));
        check("/anthropic/v1/files", None);
        check("/nobody/v1/files", None);
        check("/azure/v1/filesystem", None);
        check("/azure/openai/files", None);
    }
}
