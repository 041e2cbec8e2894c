//! The keys of `router_settings`, which `litellm_settings` accepts too.
//!
//! Owns: their names, types and defaults. Leaves to others: their effect (router).
//!
//! **Invariant:** every argument of LiteLLM's router that a file can give has a row.

use super::{ANY_LIST, ANY_MAP, Key, Kind, TEXTS, Table, active, budgets, later, never};

/// `router_settings`.
pub(crate) static TABLE: Table = &[ROWS, budgets::ROUTER];

/// The names of the routing strategies: LiteLLM's, `round-robin` and `consistent-hash`.
pub(crate) const STRATEGIES: &[&str] = match GROUP_STRATEGIES.split_last() {
    Some((_, everywhere)) => everywhere,
    None => &[],
};

/// `routing_strategy` of a routing group: those of [`STRATEGIES`], and `priority` as the last.
pub(crate) const GROUP_STRATEGIES: &[&str] = &[
    "simple-shuffle",
    "least-busy",
    "usage-based-routing",
    "usage-based-routing-v2",
    "latency-based-routing",
    "cost-based-routing",
    "round-robin",
    "consistent-hash",
    "lar1",
    "priority",
];

/// `optional_pre_call_checks`; those of [`PRE_CALL_CHECKS_ACTIVE`] act.
pub(crate) const PRE_CALL_CHECKS: &[&str] = &[
    "prompt_caching",
    "router_budget_limiting",
    "responses_api_deployment_check",
    "deployment_affinity",
    "session_affinity",
    "forward_client_headers_by_model_group",
    "enforce_model_rate_limits",
    "encrypted_content_affinity",
];

/// The checks that act.
pub(crate) const PRE_CALL_CHECKS_ACTIVE: &[&str] = &[
    "prompt_caching",
    "router_budget_limiting",
    "deployment_affinity",
    "session_affinity",
    "enforce_model_rate_limits",
];

/// What is said of a policy's row for errors that are the caller's own.
const CALLERS: &str = "No effect: the request is the caller's to mend, and no retry helps it.";

/// `retry_policy`: how often each kind of error is retried.
pub(crate) static RETRY_POLICY: Table = &[&[
    active("BadRequestErrorRetries", Kind::Count, "0", CALLERS),
    active(
        "AuthenticationErrorRetries",
        Kind::Count,
        NUM_RETRIES,
        "Retries after a 401 or 403, each on another deployment.",
    ),
    active(
        "TimeoutErrorRetries",
        Kind::Count,
        NUM_RETRIES,
        "Retries after no answer in time, each on another deployment.",
    ),
    active("RateLimitErrorRetries", Kind::Count, NUM_RETRIES, "Retries after a 429."),
    active("ContentPolicyViolationErrorRetries", Kind::Count, "0", CALLERS),
    active(
        "InternalServerErrorRetries",
        Kind::Count,
        NUM_RETRIES,
        "Retries after a 500 or a broken connection.",
    ),
    active("ServiceUnavailableErrorRetries", Kind::Count, NUM_RETRIES, "Retries after a 502, 503 or 529."),
    active(
        "NotFoundErrorRetries",
        Kind::Count,
        NUM_RETRIES,
        "Retries after a 404, each on another deployment.",
    ),
    active(
        "DefaultRetries",
        Kind::Count,
        NUM_RETRIES,
        "Retries after the errors that have no line of their own.",
    ),
]];

const NUM_RETRIES: &str = "`num_retries`";

/// `allowed_fails_policy`: how many errors of each kind a deployment may make.
pub(crate) static ALLOWED_FAILS_POLICY: Table = &[&[
    active(
        "BadRequestErrorAllowedFails",
        Kind::Count,
        NEVER_COUNTED,
        "Refused requests (400, 413, 422) within `cooldown_time`.",
    ),
    active(
        "AuthenticationErrorAllowedFails",
        Kind::Count,
        ALLOWED_FAILS,
        "Refused credentials (401, 403) within `cooldown_time`.",
    ),
    active("TimeoutErrorAllowedFails", Kind::Count, ALLOWED_FAILS, "Missing answers within `cooldown_time`."),
    active(
        "RateLimitErrorAllowedFails",
        Kind::Count,
        NEVER_COUNTED,
        "429s within `cooldown_time`; whatever is written, a 429 pauses its deployment until Retry-After.",
    ),
    active(
        "ContentPolicyViolationErrorAllowedFails",
        Kind::Count,
        NEVER_COUNTED,
        "Refusals by a content filter within `cooldown_time`.",
    ),
    active(
        "InternalServerErrorAllowedFails",
        Kind::Count,
        ALLOWED_FAILS,
        "500s and broken connections within `cooldown_time`.",
    ),
    active(
        "ServiceUnavailableErrorAllowedFails",
        Kind::Count,
        ALLOWED_FAILS,
        "503s and 529s within `cooldown_time`.",
    ),
    active(
        "BadGatewayErrorAllowedFails",
        Kind::Count,
        ALLOWED_FAILS,
        "502s and answers that are none within `cooldown_time`.",
    ),
    active("NotFoundErrorAllowedFails", Kind::Count, ALLOWED_FAILS, "404s within `cooldown_time`."),
]];

const ALLOWED_FAILS: &str = "`allowed_fails`";
const NEVER_COUNTED: &str = "never counted";

/// `routing_strategy_args`; only `latency-based-routing` has any.
pub(crate) static STRATEGY_ARGS: Table = &[&[
    active("ttl", Kind::Duration, "3600", "How long a measured time counts."),
    active(
        "lowest_latency_buffer",
        Kind::Price,
        "0",
        "Deployments that are slower than the fastest by at most this share of its time count as equally fast.",
    ),
    active("max_latency_list_size", Kind::Positive, "10", "Measured times that are kept per deployment."),
    active(
        "ttft_percentile",
        Kind::Share,
        "the mean",
        "For streams, compare this percentile of the times to the first token (`0.95` or `95%`).",
    ),
]];

/// An alias that is not listed among the models.
pub(crate) static ALIAS: Table = &[&[
    active("model", Kind::Text, "required", "The group that the alias stands for."),
    active("hidden", Kind::Bool, "false", "Leave the alias out of the list of models."),
]];

static ALIAS_SECTION: Kind = Kind::Section(ALIAS);
static ALIAS_VALUE: Kind = Kind::Either(&Kind::Text, &ALIAS_SECTION);
static RETRY_POLICY_VALUE: Kind = Kind::Section(RETRY_POLICY);
static ROUTING_GROUP_VALUE: Kind = Kind::Section(ROUTING_GROUP);

/// `routing_groups[]`.
pub(crate) static ROUTING_GROUP: Table = &[&[
    active(
        "group_name",
        Kind::Text,
        "required",
        "Name of the routing group, by which callers ask for all of its models together; `default` is taken.",
    ),
    active(
        "models",
        TEXTS,
        "required",
        "The model groups in it; each belongs to one routing group at most, those of `priority` apart.",
    ),
    active(
        "routing_strategy",
        Kind::Choice(GROUP_STRATEGIES),
        "required",
        "How a deployment of these model groups is chosen; `priority`: by `model_priorities`, of requests that ask for \
         the routing group by its name.",
    ),
    active("routing_strategy_args", Kind::Section(STRATEGY_ARGS), "", "Arguments of that strategy."),
    active(
        "model_priorities",
        Kind::Map(&Kind::Positive),
        "required with `priority`",
        "With `priority`, every model group's: lower numbers are tried first, equal ones share.",
    ),
]];

/// `alerting_config`.
pub(crate) static ALERTING: Table = &[&[
    active("webhook_url", Kind::Url, "", "Slack-compatible address that alerts are posted to."),
    later("alerting_threshold", Kind::Seconds, "300"),
]];

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
    active("alerting_config", Kind::Section(ALERTING), "", "Who is told when something needs an operator."),
    active(
        "allowed_fails",
        Kind::Count,
        "3 in a row, or half of 20 within 30 seconds",
        "A deployment with more failures than this within `cooldown_time` is left alone for a while.",
    ),
    active(
        "allowed_fails_policy",
        Kind::Section(ALLOWED_FAILS_POLICY),
        "",
        "The same by kind of error; a kind with a number of its own is counted by it alone.",
    ),
    active(
        "content_policy_fallbacks",
        FALLBACKS,
        "",
        "Groups to try after a refusal by a content filter; without it a refusal is the answer.",
    ),
    active(
        "context_window_fallbacks",
        FALLBACKS,
        "`fallbacks`",
        "Groups to try when the prompt is too long for the group that was asked.",
    ),
    active(
        "cooldown_time",
        Kind::Seconds,
        "5",
        "How long a failing deployment is left alone at first; longer each time it fails again after that.",
    ),
    active(
        "default_fallbacks",
        TEXTS,
        "",
        "Groups to try for every group that has no `fallbacks` of its own.",
    ),
    active(
        "default_max_parallel_requests",
        Kind::Count,
        "",
        "Requests in flight at one time, for deployments without `max_parallel_requests`.",
    ),
    active(
        "default_priority",
        Kind::Count,
        "",
        "Priority of requests that name none, from 0 (first) to 255.",
    ),
    active(
        "deployment_affinity_ttl_seconds",
        Kind::Seconds,
        "3600",
        "How long a session stays with its deployment after its last request.",
    ),
    active("disable_cooldowns", Kind::Bool, "false", "Never leave a deployment alone because it fails."),
    active(
        "enable_health_check_routing",
        Kind::Bool,
        "false",
        "Background health checks count as much as requests do.",
    ),
    active(
        "enable_pre_call_checks",
        Kind::Bool,
        "false",
        "Leave out deployments whose context window is too small for the prompt, before anything is sent.",
    ),
    active(
        "enable_tag_filtering",
        Kind::Bool,
        "false",
        "Requests with tags go to deployments with these tags.",
    ),
    active(
        "enable_weighted_failover",
        Kind::Bool,
        "true",
        "A retry chooses by weight among the deployments that are left, always.",
    ),
    active(
        "fallbacks",
        FALLBACKS,
        "",
        "Groups to try, in order, when the group that was asked does not answer.",
    ),
    active(
        "health_check_ignore_transient_errors",
        Kind::Bool,
        "false",
        "A health check that ends in a 408, a 429 or a timeout counts for nothing.",
    ),
    active(
        "health_check_staleness_threshold",
        Kind::Seconds,
        "twice `health_check_interval`",
        "A health check counts for this long.",
    ),
    active("max_fallbacks", Kind::Count, "5", "Groups that one request may move on to."),
    active(
        "model_group_retry_policy",
        Kind::Map(&RETRY_POLICY_VALUE),
        "",
        "`retry_policy` of single model groups.",
    ),
    active(
        "optional_pre_call_checks",
        Kind::List(&Kind::Choice(PRE_CALL_CHECKS)),
        "",
        "Of these, `prompt_caching`, `deployment_affinity` and `session_affinity` keep requests with their deployment; `enforce_model_rate_limits` and `router_budget_limiting` always hold.",
    ),
    active(
        "polling_interval",
        Kind::Seconds,
        "",
        "No effect: a request that waits is woken, nothing is polled.",
    ),
    active("retry_policy", Kind::Section(RETRY_POLICY), "", "Retries by kind of error."),
    active("routing_groups", Kind::List(&ROUTING_GROUP_VALUE), "", "Strategies of single model groups."),
    active("routing_strategy_args", Kind::Section(STRATEGY_ARGS), "", "Arguments of the strategy."),
    active(
        "tag_filtering_match_any",
        Kind::Bool,
        "true",
        "One shared tag is enough; else a deployment needs all tags of the request.",
    ),
    active("tag_routing_prefix", Kind::Text, "", "Only tags that begin with this choose deployments."),
    active(
        "weights",
        Kind::Map(&Kind::Price),
        "",
        "Shares in place of `weight`, by the deployment's id or its `model`.",
    ),
    later("assistants_config", ANY_MAP, ""),
    later("background_health_check_model_groups", TEXTS, ""),
    later("cache_kwargs", ANY_MAP, ""),
    later("cache_responses", Kind::Bool, "false"),
    later("caching_groups", ANY_LIST, ""),
    later("client_ttl", Kind::Seconds, "3600"),
    later("debug_level", Kind::Choice(&["DEBUG", "INFO"]), "INFO"),
    later("default_litellm_params", ANY_MAP, ""),
    later("guardrail_list", ANY_LIST, ""),
    later("ignore_invalid_deployments", Kind::Bool, "false"),
    later("max_retries", Kind::Count, ""),
    later("model_group_affinity_config", Kind::Map(&TEXTS), ""),
    later("redis_db", Kind::Count, ""),
    later("redis_host", Kind::Text, ""),
    later("redis_password", Kind::Secret, ""),
    later("redis_port", Kind::Count, ""),
    later("redis_url", Kind::Secret, ""),
    later("router_general_settings", ANY_MAP, ""),
    later("search_tools", ANY_LIST, ""),
    later("set_verbose", Kind::Bool, "false"),
    never("fallback_access_check", "A Python function; Tollgate runs no code from a configuration."),
    never("fallback_budget_check", "A Python function; Tollgate runs no code from a configuration."),
    never("model_list", "The deployments belong to `model_list` at the top of the file."),
    never("plugins", "Python objects; Tollgate runs no code from a configuration."),
];
