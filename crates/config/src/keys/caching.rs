//! The keys of the cache: `cache` and `cache_params` of `litellm_settings`, `cache` of `tollgate_settings`.
//!
//! Owns: their names, types and defaults. Leaves to others: what they come to ([`crate::caching`]).
//!
//! **Invariant:** a duration says its unit in its name, or in its value.

use super::{ANY_LIST, Key, Kind, TEXTS, Table, active, later};

/// The keys of `litellm_settings`.
pub(crate) const LITELLM: &[Key] = &[
    active("cache", Kind::Bool, "false", "Answers are kept and given again to the same request."),
    active(
        "cache_params",
        Kind::OpenSection(PARAMS),
        "",
        "Where they are kept, for how long, and for which requests.",
    ),
];

/// The key of `tollgate_settings`.
pub(crate) const TOLLGATE: &[Key] = &[active(
    "cache",
    Kind::Section(OWN),
    "",
    "Who shares kept answers, how much room they have, and which requests they are for.",
)];

/// Who may share an answer.
pub(crate) const SCOPES: &[&str] = &["team", "organization", "user", "key", "end_user", "shared"];

/// Which requests with tools may be answered from the cache.
pub(crate) const TOOLS: &[&str] = &["any", "functions", "none"];

/// `tollgate_settings.cache`.
pub(crate) static OWN: Table = &[&[
    active(
        "scope",
        Kind::Choice(SCOPES),
        "team",
        "Who shares answers: `team` those of a team (a key without one: its user, or itself alone), `organization`, `user`, `key`, `end_user` each alone, within that; `shared` everybody.",
    ),
    active("memory_bytes_max", Kind::Positive, "67108864", "Memory for kept answers, in bytes."),
    active(
        "disk_bytes_max",
        Kind::Positive,
        "1073741824",
        "Room for answers on the disk (`cache_params.type: disk`), in bytes; what was written first goes first.",
    ),
    active(
        "lookup_timeout",
        Kind::Timeout,
        "0.1",
        "The longest that a request waits for a look outside of the process.",
    ),
    active("entry_bytes_max", Kind::Positive, "1048576", "A longer answer is not kept, in bytes."),
    active(
        "single_flight",
        Kind::Bool,
        "true",
        "Of the same requests at the same time one is sent, and its answer is everybody's.",
    ),
    active(
        "hit_cost_share",
        Kind::Share,
        "0",
        "Of what an answer has cost, the caller who gets it again is charged this share.",
    ),
    active(
        "temperature_max",
        Kind::Number,
        "",
        "A request with a higher `temperature` has nothing to do with the cache.",
    ),
    active(
        "tools",
        Kind::Choice(TOOLS),
        "functions",
        "Requests with tools: `any`; `functions` those whose tools the caller runs itself; `none` those without.",
    ),
    active(
        "only",
        Kind::Section(WHICH),
        "",
        "The requests that the cache is for; one that meets any of these.",
    ),
    active("never", Kind::Section(WHICH), "", "Those that it is not for, whatever `only` says."),
]];

/// `only` and `never`.
pub(crate) static WHICH: Table = &[&[
    active("models", TEXTS, "", "Model groups; `*` stands for any text."),
    active("tags", TEXTS, "", "Tags of the request."),
    active(
        "metadata",
        Kind::Map(&Kind::Text),
        "",
        "Members of the request's `metadata` with their values; `*` for any.",
    ),
]];

const CALL_TYPES: &[&str] = &[
    "completion",
    "acompletion",
    "embedding",
    "aembedding",
    "atranscription",
    "transcription",
    "atext_completion",
    "text_completion",
    "arerank",
    "rerank",
    "responses",
    "aresponses",
    "anthropic_messages",
    "aimage_generation",
    "image_generation",
];

const CACHES: &[&str] = &[
    "local",
    "redis",
    "redis-semantic",
    "valkey-semantic",
    "s3",
    "disk",
    "qdrant-semantic",
    "azure-blob",
    "gcs",
];

/// `cache_params`; what else is there goes to the cache's own client.
pub(crate) static PARAMS: Table = &[&[
    active(
        "type",
        Kind::Choice(CACHES),
        "local",
        "Where answers are kept. `local`: in memory. `disk`: in a folder too, from where they come after a restart. Others are kept in memory until their place is active.",
    ),
    active(
        "mode",
        Kind::Choice(&["default_on", "default_off"]),
        "default_on",
        "`default_off`: only requests that say `cache: {use-cache: true}`.",
    ),
    later("host", Kind::Text, ""),
    later("port", Kind::Integer, ""),
    later("password", Kind::Secret, ""),
    later("url", Kind::Secret, ""),
    active(
        "namespace",
        Kind::Text,
        "",
        "Answers of another namespace are not seen; a request may name its own.",
    ),
    active("ttl", Kind::Timeout, "", "How long an answer is kept; a request may name its own."),
    active("default_in_memory_ttl", Kind::Timeout, "600", "The same in memory, where `ttl` says nothing."),
    later("default_in_redis_ttl", Kind::Seconds, ""),
    later("similarity_threshold", Kind::Number, ""),
    active(
        "supported_call_types",
        Kind::List(&Kind::Choice(CALL_TYPES)),
        "all",
        "The kinds of calls that are kept; `completion` stands for conversations in every dialect that has no word of its own.",
    ),
    later("azure_account_url", Kind::Text, ""),
    later("azure_blob_container", Kind::Text, ""),
    later("s3_bucket_name", Kind::Text, ""),
    later("s3_region_name", Kind::Text, ""),
    later("s3_api_version", Kind::Text, ""),
    later("s3_use_ssl", Kind::Bool, "true"),
    later("s3_verify", Kind::Any, ""),
    later("s3_endpoint_url", Kind::Text, ""),
    later("s3_aws_access_key_id", Kind::Secret, ""),
    later("s3_aws_secret_access_key", Kind::Secret, ""),
    later("s3_aws_session_token", Kind::Secret, ""),
    later("s3_config", Kind::Any, ""),
    later("s3_path", Kind::Text, ""),
    later("gcs_bucket_name", Kind::Text, ""),
    later("gcs_path_service_account", Kind::Text, ""),
    later("gcs_path", Kind::Text, ""),
    later("redis_semantic_cache_embedding_model", Kind::Text, "text-embedding-ada-002"),
    later("redis_semantic_cache_index_name", Kind::Text, ""),
    later("valkey_semantic_cache_embedding_model", Kind::Text, "text-embedding-ada-002"),
    later("valkey_semantic_cache_index_name", Kind::Text, ""),
    later("redis_flush_size", Kind::Count, ""),
    later("redis_startup_nodes", ANY_LIST, ""),
    later("sentinel_nodes", ANY_LIST, ""),
    later("sentinel_password", Kind::Secret, ""),
    later("service_name", Kind::Text, ""),
    later("ssl", Kind::Bool, ""),
    active("disk_cache_dir", Kind::Text, "tollgate_cache", "The folder of `type: disk`."),
    later("qdrant_api_base", Kind::Text, ""),
    later("qdrant_api_key", Kind::Secret, ""),
    later("qdrant_collection_name", Kind::Text, ""),
    later("qdrant_quantization_config", Kind::Text, ""),
    later("qdrant_semantic_cache_embedding_model", Kind::Text, "text-embedding-ada-002"),
    later("qdrant_semantic_cache_vector_size", Kind::Count, ""),
    later("semantic_cache_embedding_max_input_tokens", Kind::Count, ""),
    later("semantic_cache_embedding_timeout", Kind::Seconds, ""),
    later("semantic_cache_scope", Kind::Choice(&["key", "end_user"]), "key"),
    later("max_messages", Kind::Count, "4"),
    later("gcp_service_account", Kind::Text, ""),
    later("gcp_ssl_ca_certs", Kind::Text, ""),
    later("socket_timeout", Kind::Seconds, ""),
    later("max_connections", Kind::Count, ""),
]];
