//! The keys of `router_settings`, which `litellm_settings` accepts too.
//!
//! Owns: their names, types and defaults. Leaves to others: their effect (router).
//!
//! **Invariant:** every argument of LiteLLM's router that a file can give has a row.

use super::{ANY_LIST, ANY_MAP, Key, Kind, TEXTS, Table, active, later, never};

/// `router_settings`.
pub(crate) static TABLE: Table = &[ROWS];

/// LiteLLM's names of the routing strategies.
pub(crate) const STRATEGIES: &[&str] = &[
    "simple-shuffle",
    "least-busy",
    "usage-based-routing",
    "usage-based-routing-v2",
    "latency-based-routing",
    "cost-based-routing",
    "lar1",
];

const PRE_CALL_CHECKS: &[&str] = &[
    "prompt_caching",
    "router_budget_limiting",
    "responses_api_deployment_check",
    "deployment_affinity",
    "session_affinity",
    "forward_client_headers_by_model_group",
    "enforce_model_rate_limits",
    "encrypted_content_affinity",
];

/// `retry_policy`: how often each kind of error is retried.
pub(crate) static RETRY_POLICY: Table = &[&[
    later("BadRequestErrorRetries", Kind::Count, ""),
    later("AuthenticationErrorRetries", Kind::Count, ""),
    later("TimeoutErrorRetries", Kind::Count, ""),
    later("RateLimitErrorRetries", Kind::Count, ""),
    later("ContentPolicyViolationErrorRetries", Kind::Count, ""),
    later("InternalServerErrorRetries", Kind::Count, ""),
    later("ServiceUnavailableErrorRetries", Kind::Count, ""),
    later("NotFoundErrorRetries", Kind::Count, ""),
    later("DefaultRetries", Kind::Count, ""),
]];

/// `allowed_fails_policy`: how many errors of each kind a deployment may make.
pub(crate) static ALLOWED_FAILS_POLICY: Table = &[&[
    later("BadRequestErrorAllowedFails", Kind::Count, ""),
    later("AuthenticationErrorAllowedFails", Kind::Count, ""),
    later("TimeoutErrorAllowedFails", Kind::Count, ""),
    later("RateLimitErrorAllowedFails", Kind::Count, ""),
    later("ContentPolicyViolationErrorAllowedFails", Kind::Count, ""),
    later("InternalServerErrorAllowedFails", Kind::Count, ""),
    later("ServiceUnavailableErrorAllowedFails", Kind::Count, ""),
    later("BadGatewayErrorAllowedFails", Kind::Count, ""),
    later("NotFoundErrorAllowedFails", Kind::Count, ""),
]];

/// An alias that is not listed among the models.
pub(crate) static ALIAS: Table = &[&[
    active("model", Kind::Text, "", "The group that the alias stands for."),
    active("hidden", Kind::Bool, "false", "Leave the alias out of the list of models."),
]];

static ALIAS_SECTION: Kind = Kind::Section(ALIAS);
static ALIAS_VALUE: Kind = Kind::Either(&Kind::Text, &ALIAS_SECTION);
static RETRY_POLICY_VALUE: Kind = Kind::Section(RETRY_POLICY);
static ROUTING_GROUP_VALUE: Kind = Kind::Section(ROUTING_GROUP);

static ROUTING_GROUP: Table = &[&[
    later("group_name", Kind::Text, ""),
    later("models", TEXTS, ""),
    later("routing_strategy", Kind::Choice(STRATEGIES), ""),
    later("routing_strategy_args", ANY_MAP, ""),
    later("model_priorities", Kind::Map(&Kind::Positive), ""),
]];

static ALERTING: Table =
    &[&[later("webhook_url", Kind::Secret, ""), later("alerting_threshold", Kind::Seconds, "300")]];

const FALLBACKS: Kind = Kind::List(&Kind::Map(&Kind::List(&Kind::Either(&Kind::Text, &ANY_MAP))));

pub(crate) const ROWS: &[Key] = &[
    active(
        "routing_strategy",
        Kind::Choice(STRATEGIES),
        "simple-shuffle",
        "How a deployment of the group is chosen.",
    ),
    active("num_retries", Kind::Count, "2", "Retries after a failure that another attempt may survive."),
    active(
        "timeout",
        Kind::Timeout,
        "",
        "Time for a whole reply, where nothing nearer to the deployment says so.",
    ),
    active("stream_timeout", Kind::Timeout, "", "Time to the first part of a streamed reply."),
    active(
        "retry_after",
        Kind::Seconds,
        "0",
        "Least wait before a retry on the deployment that has just failed.",
    ),
    active("model_group_alias", Kind::Map(&ALIAS_VALUE), "", "Further names of model groups."),
    later("alerting_config", Kind::Section(ALERTING), ""),
    later("allowed_fails", Kind::Count, "3"),
    later("allowed_fails_policy", Kind::Section(ALLOWED_FAILS_POLICY), ""),
    later("assistants_config", ANY_MAP, ""),
    later("background_health_check_model_groups", TEXTS, ""),
    later("cache_kwargs", ANY_MAP, ""),
    later("cache_responses", Kind::Bool, "false"),
    later("caching_groups", ANY_LIST, ""),
    later("client_ttl", Kind::Seconds, "3600"),
    later("content_policy_fallbacks", FALLBACKS, ""),
    later("context_window_fallbacks", FALLBACKS, ""),
    later("cooldown_time", Kind::Seconds, "5"),
    later("debug_level", Kind::Choice(&["DEBUG", "INFO"]), "INFO"),
    later("default_fallbacks", TEXTS, ""),
    later("default_litellm_params", ANY_MAP, ""),
    later("default_max_parallel_requests", Kind::Count, ""),
    later("default_priority", Kind::Count, ""),
    later("deployment_affinity_ttl_seconds", Kind::Seconds, "3600"),
    later("disable_cooldowns", Kind::Bool, "false"),
    later("enable_health_check_routing", Kind::Bool, "false"),
    later("enable_pre_call_checks", Kind::Bool, "false"),
    later("enable_tag_filtering", Kind::Bool, "false"),
    later("enable_weighted_failover", Kind::Bool, "false"),
    later("fallbacks", FALLBACKS, ""),
    later("guardrail_list", ANY_LIST, ""),
    later("health_check_ignore_transient_errors", Kind::Bool, "false"),
    later("health_check_staleness_threshold", Kind::Seconds, ""),
    later("ignore_invalid_deployments", Kind::Bool, "false"),
    later("max_fallbacks", Kind::Count, "5"),
    later("max_retries", Kind::Count, ""),
    later("model_group_affinity_config", Kind::Map(&TEXTS), ""),
    later("model_group_retry_policy", Kind::Map(&RETRY_POLICY_VALUE), ""),
    later("optional_pre_call_checks", Kind::List(&Kind::Choice(PRE_CALL_CHECKS)), ""),
    later("polling_interval", Kind::Seconds, "0.03"),
    later("provider_budget_config", ANY_MAP, ""),
    later("redis_db", Kind::Count, ""),
    later("redis_host", Kind::Text, ""),
    later("redis_password", Kind::Secret, ""),
    later("redis_port", Kind::Count, ""),
    later("redis_url", Kind::Secret, ""),
    later("retry_policy", Kind::Section(RETRY_POLICY), ""),
    later("router_general_settings", ANY_MAP, ""),
    later("routing_groups", Kind::List(&ROUTING_GROUP_VALUE), ""),
    later("routing_strategy_args", ANY_MAP, ""),
    later("search_tools", ANY_LIST, ""),
    later("set_verbose", Kind::Bool, "false"),
    later("tag_filtering_match_any", Kind::Bool, "true"),
    later("tag_routing_prefix", Kind::Text, ""),
    later("weights", Kind::Map(&Kind::Number), ""),
    never("fallback_access_check", "A Python function; Tollgate runs no code from a configuration."),
    never("fallback_budget_check", "A Python function; Tollgate runs no code from a configuration."),
    never("model_list", "The deployments belong to `model_list` at the top of the file."),
    never("plugins", "Python objects; Tollgate runs no code from a configuration."),
];
