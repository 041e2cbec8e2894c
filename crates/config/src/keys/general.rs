//! The keys of `general_settings`.
//!
//! Owns: those that act, and those that never will. Leaves to others: their effect (general).
//!
//! **Invariant:** the keys that act are here, the others in `general_later`.

use super::general_later::LATER;
use super::{
    Key, Kind, TEXTS, Table, access, active, alerts, budgets, jwt, ledger, never, passthrough, records,
};

/// `general_settings`.
pub(crate) static TABLE: Table = &[
    ACTIVE,
    HEALTH,
    ADMISSION,
    alerts::GENERAL,
    budgets::GENERAL,
    ledger::GENERAL,
    access::GENERAL,
    records::GENERAL,
    jwt::GENERAL,
    LATER,
    NEVER,
];

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

const HEALTH: &[Key] = &[
    active(
        "background_health_checks",
        Kind::Bool,
        "false",
        "Ask every deployment from time to time whether it answers.",
    ),
    active("health_check_interval", Kind::Timeout, "300", "Time between two background health checks."),
    active(
        "health_check_details",
        Kind::Bool,
        "true",
        "`/health` says why a deployment is unhealthy, and its parameters.",
    ),
    active("enable_health_check_routing", Kind::Bool, "false", SAME),
    active("health_check_ignore_transient_errors", Kind::Bool, "false", SAME),
    active("health_check_staleness_threshold", Kind::Seconds, "twice `health_check_interval`", SAME),
];

const SAME: &str = "The same as in `router_settings`, which goes before it.";

const ADMISSION: &[Key] = &[
    active(
        "max_in_flight_requests_per_worker",
        Kind::Positive,
        "",
        "Requests that the gateway serves at one time; it is one worker, whatever its threads.",
    ),
    active(
        "max_queued_requests_per_worker",
        Kind::Count,
        "0",
        "Requests beyond these that wait; the others get a 503 with Retry-After.",
    ),
    active("admission_queue_timeout_seconds", Kind::Seconds, "1", "How long such a request waits at most."),
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
