//! The keys of `general_settings.pass_through_endpoints`, `default_vertex_config`, `files_settings` and
//! `finetune_settings`.
//!
//! Owns: the rows. Leaves to others: their effect (passthrough).
//!
//! **Invariant:** a row of [`ACCOUNT`] and [`VERTEX`] has the type of the same row of `litellm_params`, which reads it.

use super::{ANY_MAP, Kind, TEXTS, Table, active, later, never};

/// One entry of `pass_through_endpoints`.
pub(crate) static ENDPOINT: Table = &[&[
    active("path", Kind::Text, "required", "The path at this gateway; it begins with a slash."),
    active("target", Kind::Url, "required", "Where requests go: an address, path included."),
    active(
        "headers",
        Kind::Map(&Kind::Secret),
        "",
        "Headers that are sent; `os.environ/NAME` may stand at a value's end, behind `Bearer` and the like.",
    ),
    active(
        "forward_headers",
        Kind::Bool,
        "false",
        "The caller's headers go along, but for keys, cookies and those of the connection.",
    ),
    active(
        "include_subpath",
        Kind::Bool,
        "false",
        "Paths below `path` go to the same paths below the target's.",
    ),
    active("methods", TEXTS, "all", "The methods that are served: GET, POST, PUT, PATCH, DELETE."),
    active(
        "default_query_params",
        Kind::Map(&Kind::Secret),
        "",
        "Query parameters that are sent where the caller sends none of their names.",
    ),
    active(
        "merge_query_params",
        Kind::Bool,
        "false",
        "Accepted: the caller's query and the target's are always sent together.",
    ),
    active("cost_per_request", Kind::Price, "", "What one request costs, in USD."),
    active("timeout", Kind::Timeout, "`pass_through_request_timeout`", "Time until the reply begins."),
    active("auth", Kind::Bool, "true", "Whether callers need a key."),
    later("guardrails", ANY_MAP, ""),
    later("id", Kind::Text, ""),
    never("is_from_config", "LiteLLM's own mark; what is written here is from the configuration."),
]];

/// `default_vertex_config`.
pub(crate) static VERTEX: Table = &[&[
    active("vertex_project", Kind::Text, "DEFAULT_VERTEXAI_PROJECT", "Google Cloud project."),
    active("vertex_location", Kind::Text, "DEFAULT_VERTEXAI_LOCATION", "Region of Vertex AI."),
    active(
        "vertex_credentials",
        Kind::Either(&Kind::Secret, &ANY_MAP),
        "DEFAULT_GOOGLE_APPLICATION_CREDENTIALS",
        "Credentials as JSON or YAML, or the path of a file with them.",
    ),
]];

/// One entry of `files_settings` and `finetune_settings`.
pub(crate) static ACCOUNT: Table = &[&[
    active("custom_llm_provider", Kind::Text, "required", "The provider: `openai` or `azure`."),
    active("api_key", Kind::Secret, "the provider's key variable", "The provider's key."),
    active("api_base", Kind::Url, "the provider's own", "Where the provider is; Azure needs it."),
    active("api_version", Kind::Text, "AZURE_API_VERSION", "Azure's `api-version`."),
    active("organization", Kind::Text, "", "OpenAI organization that pays."),
    later("max_retries", Kind::Count, ""),
    later("timeout", Kind::Timeout, ""),
    later("vertex_credentials", Kind::Any, ""),
    later("vertex_location", Kind::Text, ""),
    later("vertex_project", Kind::Text, ""),
]];
