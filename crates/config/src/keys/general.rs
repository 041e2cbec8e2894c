//! The keys of `general_settings`.
//!
//! Owns: those that act, and those that never will. Leaves to others: their effect (general).
//!
//! **Invariant:** the keys that act are here, the others in `general_later`.

use super::general_later::LATER;
use super::{Key, Kind, TEXTS, Table, active, never, passthrough};

/// `general_settings`.
pub(crate) static TABLE: Table = &[ACTIVE, LATER, NEVER];

static ENDPOINT: Kind = Kind::Section(passthrough::ENDPOINT);

const ACTIVE: &[Key] = &[
    active(
        "master_key",
        Kind::Secret,
        "LITELLM_MASTER_KEY",
        "The key of the operator. Without one no key is asked and only loopback is bound.",
    ),
    active("max_request_size_mb", Kind::Positive, "`body_bytes_max`", "Largest request body, in MiB."),
    active("max_response_size_mb", Kind::Positive, "64", "Largest reply of a provider, in MiB."),
    active(
        "pass_through_endpoints",
        Kind::List(&ENDPOINT),
        "",
        "Paths of your own that lead to addresses of your choosing.",
    ),
    active(
        "pass_through_request_timeout",
        Kind::Timeout,
        "600",
        "Time until the reply begins, for requests that pass through.",
    ),
    active(
        "cancel_on_disconnect",
        Kind::Bool,
        "true",
        "A caller who hangs up ends the upstream request, always.",
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

const PYTHON: &str = "Names Python code; Tollgate runs no code from a configuration.";

const NEVER: &[Key] = &[
    never("custom_auth", PYTHON),
    never("custom_key_generate", PYTHON),
    never("custom_key_policy", PYTHON),
    never("custom_key_update", PYTHON),
    never("custom_sso", PYTHON),
    never("custom_team_metadata_validate", PYTHON),
    never("custom_ui_sso_sign_in_handler", PYTHON),
    never(
        "dangerously_permit_weak_or_unset_master_key",
        "Without a master key only loopback is bound; an empty one is refused.",
    ),
];
