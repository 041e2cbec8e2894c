//! The keys of who may call what, beside the limits of each key.
//!
//! Owns: their names and types in `general_settings`, and `tollgate_settings.admin_listen`. Leaves to others: the routes
//! themselves (server).
//!
//! **Invariant:** the names of `general_settings` are LiteLLM's.

use super::{Key, Kind, TEXTS, Table, active, never};

/// The rows of `general_settings`.
pub(crate) const GENERAL: &[Key] = &[
    active("allowed_ips", TEXTS, "", "Addresses, or ranges of them, that may call; others get a 403."),
    active(
        "allowed_routes",
        TEXTS,
        "",
        "Routes that are served, `*` for any text in them; others get a 403.",
    ),
    active("admin_only_routes", TEXTS, "", "Routes that only administrators may call."),
    active(
        "public_routes",
        TEXTS,
        "",
        "Routes that need no key, `*` for any text in them; `LiteLLMRoutes.public_routes` are those that never do.",
    ),
    active(
        "enforced_params",
        TEXTS,
        "",
        "What every request must have, such as `user` or `metadata.generation_name`.",
    ),
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

/// `general_settings.service_account_settings`.
pub(crate) static SERVICE_ACCOUNT: Table =
    &[&[active("enforced_params", TEXTS, "", "What their requests must have besides.")]];

/// The row of `tollgate_settings`.
pub(crate) const TOLLGATE: &[Key] = &[active(
    "admin_listen",
    Kind::Text,
    "",
    "Address such as `127.0.0.1:4001` of a listener of its own for the admin API, which the others then do not serve.",
)];
