//! The keys of what new keys, users and teams get, and of what they may have at most.
//!
//! Owns: their names and types in `litellm_settings`. Leaves to others: the forms that they complete (server).
//!
//! **Invariant:** every name is LiteLLM's.

use super::{ANY_LIST, ANY_MAP, Key, Kind, TEXTS, Table, active, later};

/// The rows of `litellm_settings`.
pub(crate) const LITELLM: &[Key] = &[
    active(
        "default_key_generate_params",
        Kind::Section(KEY),
        "",
        "What a new key has that does not say it itself.",
    ),
    active(
        "upperbound_key_generate_params",
        Kind::Section(KEY_BOUNDS),
        "",
        "The most that a key may have; one that says nothing of it gets it.",
    ),
    active(
        "default_internal_user_params",
        Kind::Section(USER),
        "",
        "What a new user has that does not say it itself and is no administrator.",
    ),
    active("max_internal_user_budget", Kind::Price, "", "USD of a new user with the role `internal_user`."),
    active("internal_user_budget_duration", Kind::Span, "", "How often that budget begins anew."),
    active(
        "default_team_params",
        Kind::Section(TEAM),
        "",
        "What a new team has that does not say it itself.",
    ),
    active(
        "default_team_settings",
        Kind::List(&TEAM_SETTINGS_SECTION),
        "",
        "The first entry's `max_budget` is that of new teams, where `default_team_params` has none.",
    ),
    active(
        "key_generation_settings",
        Kind::Section(KEY_GENERATION),
        "",
        "Who may make keys, besides administrators.",
    ),
    active(
        "key_alias_pattern",
        Kind::Text,
        "",
        "A regular expression that the whole alias of a key must match, 255 characters at most.",
    ),
    active(
        "enable_key_alias_format_validation",
        Kind::Bool,
        "false",
        "Without a pattern: 2 to 255 of `a-zA-Z0-9_-/.@`, letters or digits at both ends.",
    ),
];

/// The rows of `general_settings`.
pub(crate) const GENERAL: &[Key] = &[
    active("disable_custom_api_keys", Kind::Bool, "false", "Nobody chooses the text of a key (403)."),
    active(
        "disable_key_generate_for_org_admin",
        Kind::Bool,
        "false",
        "Administrators of organizations, who are nothing more, make no keys (403).",
    ),
    active(
        "default_team_disabled",
        Kind::Bool,
        "false",
        "Administrators alone make keys that are no team's.",
    ),
];

static TEAM_SETTINGS_SECTION: Kind = Kind::Section(TEAM_SETTINGS);

const RATES: &[Key] = &[
    active("max_budget", Kind::Price, "", "USD that may be spent."),
    active("budget_duration", Kind::Span, "", "How often the budget begins anew."),
    active("tpm_limit", Kind::Count, "", "Tokens a minute."),
    active("rpm_limit", Kind::Count, "", "Requests a minute."),
];

const PARALLEL: &[Key] = &[active("max_parallel_requests", Kind::Count, "", "Requests at the same time.")];

/// `default_key_generate_params`.
pub(crate) static KEY: Table = &[
    RATES,
    PARALLEL,
    &[
        active("duration", Kind::Span, "", "How long the key is valid."),
        active("models", TEXTS, "", "Models that it may call."),
        active("user_id", Kind::Text, "", "Whose it is."),
        active("team_id", Kind::Text, "", "Whose team's it is."),
        active("metadata", ANY_MAP, "", "Metadata of a key that has none."),
        active("allowed_routes", TEXTS, "", "Routes that it may call."),
        active("object_permission", ANY_MAP, "", "What objects it may use, member by member."),
    ],
];

/// `upperbound_key_generate_params`.
pub(crate) static KEY_BOUNDS: Table =
    &[RATES, PARALLEL, &[active("duration", Kind::Span, "", "How long a key is valid.")]];

/// `default_internal_user_params`.
pub(crate) static USER: Table = &[
    RATES,
    PARALLEL,
    &[
        active("user_role", Kind::Choice(USER_ROLES), "internal_user_viewer", "The role."),
        active("models", TEXTS, "", "Models that the user may call."),
        active("available_teams", TEXTS, "", "Teams that users may join by themselves, by id."),
        active(
            "teams",
            ANY_LIST,
            "",
            "Teams that the user becomes a member of: ids, or objects with `team_id`.",
        ),
    ],
];

/// The roles of a user.
pub(crate) const USER_ROLES: &[&str] =
    &["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer"];

/// `default_team_params`.
pub(crate) static TEAM: Table = &[
    RATES,
    &[
        active("models", TEXTS, "", "Models of teams that come with a token's groups."),
        active("team_member_permissions", TEXTS, "", "Routes of keys that members may call."),
        active("organization_id", Kind::Text, "", "The organization."),
    ],
];

/// `default_team_settings[]`, with what LiteLLM's loggers take beside it.
pub(crate) static TEAM_SETTINGS: Table = &[&[
    active(
        "max_budget",
        Kind::Price,
        "",
        "USD that a new team may spend; only that of the first entry counts.",
    ),
    later("team_id", Kind::Text, ""),
    later("success_callback", ANY_LIST, ""),
    later("failure_callback", ANY_LIST, ""),
    later("langfuse_host", Kind::Text, ""),
    later("langfuse_public_key", Kind::Text, ""),
    later("langfuse_secret", Kind::Secret, ""),
    later("langfuse_secret_key", Kind::Secret, ""),
    later("langsmith_api_key", Kind::Secret, ""),
    later("langsmith_project", Kind::Text, ""),
]];

/// `key_generation_settings`.
pub(crate) static KEY_GENERATION: Table = &[&[
    active("team_key_generation", Kind::Section(TEAM_KEYS), "", "Keys of teams."),
    active("personal_key_generation", Kind::Section(PERSONAL_KEYS), "", "Keys of nobody's team."),
]];

const REQUIRED: &[Key] = &[active("required_params", TEXTS, "", "What the request for a key must have.")];

/// `team_key_generation`.
pub(crate) static TEAM_KEYS: Table = &[
    &[active(
        "allowed_team_member_roles",
        Kind::List(&Kind::Choice(&["admin", "user"])),
        "admin, user",
        "Members with one of these roles may make them.",
    )],
    REQUIRED,
];

/// `personal_key_generation`.
pub(crate) static PERSONAL_KEYS: Table = &[
    &[active(
        "allowed_user_roles",
        Kind::List(&Kind::Choice(USER_ROLES)),
        "every role that may write",
        "Users with one of these roles may make them.",
    )],
    REQUIRED,
];
