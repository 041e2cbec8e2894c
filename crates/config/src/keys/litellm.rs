//! The keys of `litellm_settings`.
//!
//! Owns: those that act, and the table of `cache_params`. Leaves to others: the keys that it shares with
//! `router_settings`.
//!
//! **Invariant:** the keys that act are here, the others in `litellm_later` and `litellm_never`.

use super::litellm_later::LATER;
use super::litellm_never::NEVER;
use super::{
    ANY_LIST, Key, Kind, TEXTS, Table, access, active, budgets, costs, later, passthrough, records, router,
};

/// `litellm_settings`.
pub(crate) static TABLE: Table = &[
    ACTIVE,
    costs::LITELLM,
    budgets::LITELLM,
    records::LITELLM,
    access::LITELLM,
    CALLBACKS,
    LATER,
    NEVER,
    router::ROWS,
    budgets::ROUTER,
];

/// The rows that the configuration page prints whole.
pub(crate) static OWN: Table =
    &[ACTIVE, costs::LITELLM, budgets::LITELLM, records::LITELLM, access::LITELLM, CALLBACKS, LATER];

const ACTIVE: &[Key] = &[
    active(
        "drop_params",
        Kind::Bool,
        "false",
        "Leave out request parameters that the provider does not take.",
    ),
    active(
        "request_timeout",
        Kind::Timeout,
        "6000",
        "Time for a whole reply, where the deployment sets none.",
    ),
    active(
        "default_vertex_config",
        Kind::Section(passthrough::VERTEX),
        "",
        "The same as at the top of the file, which goes before it.",
    ),
    active(
        "user_url_allowed_hosts",
        TEXTS,
        "",
        "Hosts (`name` or `name:port`) of media whose addresses are not public and may be fetched all the same.",
    ),
    active(
        "user_url_validation",
        Kind::Bool,
        "true",
        "Addresses that a caller names are judged before anything is fetched, always.",
    ),
];

const CALLBACKS: &[Key] = &[
    later("audit_log_callbacks", ANY_LIST, ""),
    later("callbacks", Kind::Either(&ANY_LIST, &Kind::Text), ""),
    later("failure_callback", ANY_LIST, ""),
    later("input_callback", ANY_LIST, ""),
    later("service_callback", ANY_LIST, ""),
    later("success_callback", ANY_LIST, ""),
];

/// The keys that hold names of callbacks.
pub(crate) const CALLBACK_LISTS: &[&str] = &[
    "callbacks",
    "success_callback",
    "failure_callback",
    "input_callback",
    "service_callback",
    "audit_log_callbacks",
];

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
pub(crate) static CACHE_PARAMS: Table = &[&[
    later("type", Kind::Choice(CACHES), "local"),
    later("mode", Kind::Choice(&["default_on", "default_off"]), "default_on"),
    later("host", Kind::Text, ""),
    later("port", Kind::Integer, ""),
    later("password", Kind::Secret, ""),
    later("url", Kind::Secret, ""),
    later("namespace", Kind::Text, ""),
    later("ttl", Kind::Seconds, ""),
    later("default_in_memory_ttl", Kind::Seconds, ""),
    later("default_in_redis_ttl", Kind::Seconds, ""),
    later("similarity_threshold", Kind::Number, ""),
    later("supported_call_types", Kind::List(&Kind::Choice(CALL_TYPES)), ""),
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
    later("disk_cache_dir", Kind::Text, ""),
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
