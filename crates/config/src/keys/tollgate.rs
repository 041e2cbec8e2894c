//! The keys of `tollgate_settings`, which LiteLLM does not have.
//!
//! Owns: their names, types and defaults. Leaves to others: what lies below the keys of routing (tiers).
//!
//! **Invariant:** a duration says its unit in its name.

use super::model::UNSUPPORTED_PARAM;
use super::{Key, Kind, TEXTS, Table, active, costs};
use super::{access, alerts, budgets, caching, ledger, tiers};

/// `tollgate_settings`.
pub(crate) static TABLE: Table =
    &[OWN, caching::TOLLGATE, costs::TOLLGATE, budgets::TOLLGATE, ledger::TOLLGATE, access::TOLLGATE];

const OWN: &[Key] = &[
    active("body_bytes_max", Kind::Positive, "33554432", "Largest request body, in bytes."),
    active(
        "header_timeout_seconds",
        Kind::Timeout,
        "10",
        "A caller has this long for the head of a request, and may keep a connection without one.",
    ),
    active("body_timeout_seconds", Kind::Timeout, "30", "A request body may pause this long."),
    active(
        "connect_timeout_seconds",
        Kind::Timeout,
        "3",
        "Connecting to a provider, TLS included, may take this long.",
    ),
    active(
        "total_timeout_seconds",
        Kind::Timeout,
        "6000",
        "All attempts of a request together have this long, where it names no time itself.",
    ),
    active("first_token_timeout_seconds", Kind::Timeout, "60", "A stream has this long for its first part."),
    active("chunk_timeout_seconds", Kind::Timeout, "30", "A stream may pause this long between two parts."),
    active(
        "client_stall_timeout_seconds",
        Kind::Timeout,
        "60",
        "A caller who reads nothing for this long is dropped.",
    ),
    active("drain_timeout_seconds", Kind::Timeout, "120", "Requests in flight at shutdown have this long."),
    active(
        "connections_max",
        Kind::Positive,
        "from the limit of open files",
        "Callers' connections at one time.",
    ),
    active(
        "memory_bytes_max",
        Kind::Positive,
        "what its control group allows",
        "Memory of the process; from 85% of it on only critical requests are let in. Less where its control group (version 2) allows less.",
    ),
    active("log", Kind::Section(LOG), "", "What is logged, and how."),
    active(
        "model_prices_file",
        Kind::Text,
        "",
        "JSON file in LiteLLM's format that overrides the catalogue's models.",
    ),
    active(
        "media_bytes_max",
        Kind::Count,
        "20971520",
        "Most bytes of a picture or document that is fetched for a provider which takes no addresses; 0 fetches none.",
    ),
    active(
        "responses_retention_days",
        Kind::Positive,
        "30",
        "How long a stored response of `/v1/responses` is kept.",
    ),
    active(
        "on_unsupported_param",
        Kind::Choice(UNSUPPORTED_PARAM),
        "`reject` for OpenAI's dialect, `warn` for the others",
        "What is done with a parameter that a provider cannot express; `drop_params: true` is `drop`.",
    ),
    active("workers", Kind::Positive, "one per core", "Threads that serve requests."),
    active(
        "tiers",
        tiers::TIERS,
        "",
        "Model groups in the order in which a request tries them: a list, or lists by the names that callers ask for. A request for a group of a list enters it at that group.",
    ),
    active(
        "hedge",
        tiers::HEDGE_VALUE,
        "false",
        "A second deployment is asked when the first is late; the first answer wins. It is one of the retries: `num_retries` of 1 or more.",
    ),
    active("model_groups", tiers::GROUPS, "", "Tiers and hedging of single model groups, by name."),
    active(
        "rescue",
        Kind::Bool,
        "true",
        "A stream that breaks off goes on from another deployment, where that is possible.",
    ),
    active("queue", Kind::Section(tiers::QUEUE), "", "Waiting for a deployment that is at its limits."),
    active(
        "retry_budget",
        Kind::Section(tiers::RETRY_BUDGET),
        "",
        "How many retries a model group may cause beyond its requests.",
    ),
    active(
        "sensitive",
        tiers::SENSITIVE_RULES,
        "",
        "Where requests with certain tags may go, fallbacks included.",
    ),
    active("alerts", Kind::Section(alerts::OWN), "", "Who is told when something needs an operator."),
    active(
        "wrong_keys_per_minute",
        Kind::Count,
        "100",
        "Wrong keys that an address may send in a minute before each further one is a 429 in place of a 401; of all addresses together a hundred times as many; 0 for no limit.",
    ),
    active("trusted_proxies", TEXTS, "", "Networks of balancers whose `x-forwarded-for` is believed."),
];

/// `tollgate_settings.log`.
pub(crate) static LOG: Table = &[&[
    active(
        "level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "Least important line shown.",
    ),
    active("format", Kind::Choice(&["text", "json"]), "text", "Lines for people or for machines."),
]];
