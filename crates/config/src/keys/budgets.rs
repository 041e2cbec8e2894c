//! The keys of limits and budgets: of everything, of providers, deployments, tags and model groups, and what follows as
//! one of them runs low.
//!
//! Owns: their names and types, in every section. Leaves to others: the limits of records (records).
//!
//! **Invariant:** names outside `tollgate_settings` are LiteLLM's.

use super::{Key, Kind, Table, active, later, never};

const GLOBAL: &str = "USD that all requests together may cost, as long as `budget_duration`; 0 for no limit.";
const GLOBAL_SPAN: &str =
    "How often it begins anew, by the calendar of `timezone`; never where nothing is written.";

/// The rows of `general_settings`.
pub(crate) const GENERAL: &[Key] = &[
    active("max_budget", Kind::Price, "`litellm_settings.max_budget`", GLOBAL),
    active("budget_duration", Kind::Span, "`litellm_settings.budget_duration`", GLOBAL_SPAN),
    active(
        "token_rate_limit_type",
        Kind::Choice(&["total", "input", "output"]),
        "total",
        "Which tokens a `tpm_limit` counts.",
    ),
    active(
        "apply_user_budget_to_team_keys",
        Kind::Bool,
        "false",
        "A user's own budget holds for the keys of teams too that the user calls with.",
    ),
    active(
        "fail_closed_budget_enforcement",
        Kind::Bool,
        "true",
        "A request under a budget that cannot be booked gets a 503, always.",
    ),
    active(
        "global_max_parallel_requests",
        Kind::Count,
        "",
        "Requests of all callers together at the same time, of this gateway; others get a 429.",
    ),
    active(
        "max_parallel_requests",
        Kind::Count,
        "",
        "Requests at the same time of a key that says nothing of it itself.",
    ),
    never(
        "budget_fallbacks",
        "Use `tollgate_settings.budget_tiers`: a cheaper model answers from a share of any budget on.",
    ),
    never(
        "disable_budget_reservation",
        "What a request can cost is reserved before it is sent, always: without it requests at the same time overspend.",
    ),
    never("disable_reset_budget", "A period ends at its time; no job ends it."),
    never("disable_spend_updates", "What is spent is counted always: budgets rest on it."),
    never("proxy_budget_rescheduler_max_time", EXACT),
    never("proxy_budget_rescheduler_min_time", EXACT),
];

const EXACT: &str = "Not needed: a period ends at its very moment, no job looks for those that are over.";

/// The rows of `litellm_settings`.
pub(crate) const LITELLM: &[Key] = &[
    active("max_budget", Kind::Price, "0", GLOBAL),
    active("budget_duration", Kind::Span, "", GLOBAL_SPAN),
    active(
        "timezone",
        Kind::Text,
        "UTC",
        "Whose midnight, Mondays and firsts of the month budgets begin at: a name such as `Europe/Berlin`.",
    ),
    active(
        "budget_exceeded_status_code",
        Kind::Positive,
        "422",
        "Status of a refusal because a budget is spent: 400, 402, 422 or 429.",
    ),
    later("budget_exceeded_throttle_percentage", Kind::Share, ""),
    active("max_end_user_budget", Kind::Price, "", "USD that an end user without a budget may cost."),
    active(
        "max_end_user_budget_id",
        Kind::Text,
        "",
        "The budget of end users that have none of their own; goes before `max_end_user_budget`.",
    ),
    never(
        "budget_rollover",
        "Nothing is spent beyond a budget but what critical requests take, and that is always charged to the next period.",
    ),
    never(
        "default_max_internal_user_budget",
        "LiteLLM does not read it either; use `max_internal_user_budget`.",
    ),
    never("max_user_budget", "LiteLLM does not read it either; use `max_internal_user_budget`."),
];

/// The rows of `router_settings`, which `litellm_settings` may have too.
pub(crate) const ROUTER: &[Key] = &[
    active(
        "provider_budget_config",
        Kind::Map(&PROVIDER_SECTION),
        "",
        "Budgets by the provider's name; one that has spent its own gets no requests.",
    ),
    active("tag_budget_config", Kind::Map(&TAG_SECTION), "", "Budgets and rates by the request's tag."),
];

static PROVIDER_SECTION: Kind = Kind::Section(PROVIDER);
static TAG_SECTION: Kind = Kind::Section(TAG);
static GROUP_SECTION: Kind = Kind::Section(GROUP);

const MONEY: &[Key] = &[
    active("max_budget", Kind::Price, "", "USD that may be spent; 0 for no limit."),
    active(
        "budget_duration",
        Kind::Span,
        "",
        "How often the budget begins anew; never where nothing is written.",
    ),
];

const OTHER_NAMES: &[Key] = &[
    active("budget_limit", Kind::Price, "", "Another name of `max_budget`."),
    active("time_period", Kind::Span, "", "Another name of `budget_duration`."),
];

const RATES: &[Key] = &[
    active("rpm_limit", Kind::Count, "", "Requests a minute."),
    active(
        "tpm_limit",
        Kind::Count,
        "",
        "Tokens a minute, as `general_settings.token_rate_limit_type` counts them.",
    ),
    active("max_parallel_requests", Kind::Count, "", "Requests at the same time."),
];

const OF_DEPLOYMENTS: &str = "A provider has no rates of its own: use `rpm` and `tpm` of its deployments.";

/// `provider_budget_config.<provider>`.
pub(crate) static PROVIDER: Table =
    &[MONEY, OTHER_NAMES, &[never("rpm_limit", OF_DEPLOYMENTS), never("tpm_limit", OF_DEPLOYMENTS)]];

/// `tag_budget_config.<tag>`.
pub(crate) static TAG: Table = &[MONEY, OTHER_NAMES, RATES];

/// `model_budgets.<group>`.
pub(crate) static GROUP: Table = &[MONEY, RATES];

/// The rows of `litellm_params`.
pub(crate) const DEPLOYMENT: &[Key] = &[
    active(
        "max_budget",
        Kind::Price,
        "",
        "USD that the deployment may cost; then it gets no requests. 0 for no limit.",
    ),
    active(
        "budget_duration",
        Kind::Span,
        "",
        "How often that budget begins anew; never where nothing is written.",
    ),
];

/// The rows of `tollgate_settings`.
pub(crate) const TOLLGATE: &[Key] = &[
    active(
        "model_budgets",
        Kind::Map(&GROUP_SECTION),
        "",
        "Budgets and rates of model groups, all callers together.",
    ),
    active(
        "budget_tiers",
        Kind::Section(TIERS),
        "",
        "What follows as a budget runs low. A key's or team's metadata may say it otherwise.",
    ),
    active(
        "anomaly",
        Kind::Section(ANOMALY),
        "",
        "When the spend of a key or a user on one day is told as an anomaly, and what follows.",
    ),
    active(
        "budget_maximum",
        Kind::Choice(&["lower", "refuse"]),
        "lower",
        "What is done with a maximum of tokens that the budget does not cover.",
    ),
    active(
        "budget_maximum_floor",
        Kind::Positive,
        "16",
        "A request whose maximum would have to be lowered below this is refused.",
    ),
];

static SHARE_OR_OFF: Kind = Kind::Either(&Kind::Share, &Kind::Bool);

/// `budget_tiers`.
pub(crate) static TIERS: Table = &[&[
    active("warn", SHARE_OR_OFF, "0.75", "From this share of a budget on it is told; `false` for never."),
    active(
        "downgrade",
        SHARE_OR_OFF,
        "0.9",
        "From this share on a model of `budget_fallback_model` answers; `false` for never.",
    ),
    active(
        "overflow",
        SHARE_OR_OFF,
        "0.1",
        "Critical requests may use this share beyond the budget, charged to the next period; `false` for none.",
    ),
    active(
        "budget_fallback_model",
        Kind::Map(&Kind::Text),
        "",
        "The model group that answers in place of another, by that one's name.",
    ),
]];

/// `anomaly`.
pub(crate) static ANOMALY: Table = &[&[
    active(
        "factor",
        Kind::Positive,
        "10",
        "Above so many times what is usual, for itself and for the others of its organization.",
    ),
    active("floor_usd", Kind::Price, "1", "USD below which nobody's spend is an anomaly, whatever is usual."),
    active(
        "throttle_rpm",
        Kind::Positive,
        "",
        "Requests a minute that such a key is held to up to the next midnight; it is told alone where nothing is written.",
    ),
]];
