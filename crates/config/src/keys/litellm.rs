//! The keys of `litellm_settings`.
//!
//! Owns: those that act. Leaves to others: the keys that it shares with
//! `router_settings`.
//!
//! **Invariant:** the keys that act are here, the others in `litellm_later` and `litellm_never`.

use super::litellm_later::LATER;
use super::litellm_never::NEVER;
use super::{
    ANY_LIST, Key, Kind, TEXTS, Table, access, active, budgets, caching, costs, later, passthrough, records,
    router,
};

/// `litellm_settings`.
pub(crate) static TABLE: Table = &[
    ACTIVE,
    costs::LITELLM,
    budgets::LITELLM,
    records::LITELLM,
    access::LITELLM,
    caching::LITELLM,
    CALLBACKS,
    LATER,
    NEVER,
    router::ROWS,
    budgets::ROUTER,
];

/// The rows that the configuration page prints whole.
pub(crate) static OWN: Table = &[
    ACTIVE,
    costs::LITELLM,
    budgets::LITELLM,
    records::LITELLM,
    access::LITELLM,
    caching::LITELLM,
    CALLBACKS,
    LATER,
];

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
