//! The keys of who may call what, beside the limits of each key.
//!
//! Owns: their names and types in `general_settings`, and `tollgate_settings.admin_listen`. Leaves to others: the routes
//! themselves (server).
//!
//! **Invariant:** the names of `general_settings` are LiteLLM's.

use super::{Key, Kind, TEXTS, Table, active, never};

/// LiteLLM's names of groups of routes.
pub(crate) const ROUTE_GROUPS: &[&str] = &[
    "openai_routes",
    "anthropic_routes",
    "google_routes",
    "mapped_pass_through_routes",
    "passthrough_routes_wildcard",
    "litellm_native_routes",
    "llm_api_routes",
    "info_routes",
    "key_management_routes",
    "management_routes",
    "spend_tracking_routes",
    "global_spend_tracking_routes",
    "public_routes",
    "master_key_only_routes",
    "internal_user_routes",
    "internal_user_view_only_routes",
    "self_managed_routes",
    "ui_routes",
    "mcp_routes",
    "agent_routes",
    "apply_guardrail_routes",
];

/// The rows of `general_settings`.
pub(crate) const GENERAL: &[Key] = &[
    active("allowed_ips", TEXTS, "", "Addresses, or ranges of them, that may call; others get a 403."),
    active(
        "allowed_routes",
        TEXTS,
        "",
        "Routes that are served, or LiteLLM's names of groups of them, `*` at the end for any text; others get a 403.",
    ),
    active("admin_only_routes", TEXTS, "", "Routes, or groups of them, that only administrators may call."),
    active(
        "public_routes",
        TEXTS,
        "",
        "Routes, or groups of them, that need no key, beside those that never do.",
    ),
    active(
        "enforced_params",
        TEXTS,
        "",
        "What every request of a model must have, such as `user` or `metadata.generation_name`.",
    ),
    active(
        "user_header_name",
        Kind::Text,
        "",
        "The header in which a request names its end user, beside `x-litellm-customer-id` and `x-litellm-end-user-id`, which go before it.",
    ),
    active(
        "user_header_mappings",
        Kind::List(&MAPPING),
        "",
        "Headers in which a request names its end user, or the user to whom it is charged in place of the key's.",
    ),
    active(
        "enforce_user_param",
        Kind::Bool,
        "false",
        "Every request of a model must have `user`; others get a 401.",
    ),
    active(
        "reject_clientside_metadata_tags",
        Kind::Bool,
        "false",
        "Refuse requests that name tags themselves; those of their keys and teams remain.",
    ),
    active(
        "litellm_key_header_name",
        Kind::Text,
        "",
        "The one header in which keys come, in place of all others.",
    ),
    active(
        "use_x_forwarded_for",
        Kind::Bool,
        "false",
        "Believe `x-forwarded-for` of whom `trusted_proxy_ranges` names, and of nobody else.",
    ),
    active(
        "trusted_proxy_ranges",
        TEXTS,
        "",
        "With `use_x_forwarded_for`, the same as `tollgate_settings.trusted_proxies`: both count.",
    ),
    active("disable_master_key_return", Kind::Bool, "true", "The master key is never returned, always."),
    active(
        "service_account_settings",
        Kind::Section(SERVICE_ACCOUNT),
        "",
        "What holds for keys of service accounts.",
    ),
    never(
        "allow_requests_on_db_unavailable",
        "Keys that the gateway knows go on without the database, always; an unknown key is never let in.",
    ),
];

/// The rows of `litellm_settings`: what of end users is believed, and kept.
pub(crate) const LITELLM: &[Key] = &[
    active(
        "blocked_user_list",
        TEXTS,
        "",
        "End users that are refused with a 400, beside those that `/customer/block` blocks.",
    ),
    active(
        "validate_end_user_id_in_db",
        Kind::Bool,
        "false",
        "An end user that is no customer, and no user by id or e-mail address, is none.",
    ),
    active(
        "disable_end_user_cost_tracking",
        Kind::Bool,
        "false",
        "Nothing is counted for end users: neither what they spend nor their limits.",
    ),
];

static MAPPING: Kind = Kind::Section(HEADER);

/// `general_settings.user_header_mappings[]`.
pub(crate) static HEADER: Table = &[&[
    active("header_name", Kind::Text, "required", "The header."),
    active(
        "litellm_user_role",
        Kind::Choice(&["customer", "internal_user"]),
        "required",
        "Whom it names: the end user, or the user.",
    ),
]];

/// `general_settings.service_account_settings`.
pub(crate) static SERVICE_ACCOUNT: Table =
    &[&[active("enforced_params", TEXTS, "", "What their requests must have besides.")]];

/// The row of `tollgate_settings`.
pub(crate) const TOLLGATE: &[Key] = &[active(
    "admin_listen",
    Kind::Text,
    "",
    "Address such as `127.0.0.1:4001` of a listener of its own for the admin API, which the other then does not serve.",
)];
