//! The keys at the top of a configuration file.
//!
//! Owns: their names and tables. Leaves to others: what is below them (model, router, litellm, general, tollgate).
//!
//! **Invariant:** every other table of keys is reached from here.

use super::{
    ANY_LIST, ANY_MAP, Key, Kind, TEXTS, Table, active, credential, general, later, litellm, model,
    passthrough, router, tollgate,
};

pub(crate) static TABLE: Table = &[ROWS];

static ENTRY: Kind = Kind::Section(model::ENTRY);

static CREDENTIAL: Kind = Kind::Section(credential::TABLE);

static ACCOUNT: Kind = Kind::Section(passthrough::ACCOUNT);

const ROWS: &[Key] = &[
    active("model_list", Kind::List(&ENTRY), "", "The deployments, grouped by `model_name`."),
    active(
        "litellm_settings",
        Kind::OpenSection(litellm::TABLE),
        "",
        "Defaults for every request; keys of `router_settings` are accepted here too.",
    ),
    active(
        "router_settings",
        Kind::Section(router::TABLE),
        "",
        "Choice of deployment, retries, timeouts, aliases.",
    ),
    active(
        "general_settings",
        Kind::Section(general::TABLE),
        "",
        "The gateway as a server: master key, size limits.",
    ),
    active("tollgate_settings", Kind::Section(tollgate::TABLE), "", "What only Tollgate has."),
    active(
        "environment_variables",
        Kind::Map(&Kind::Secret),
        "",
        "Variables that `os.environ/NAME` and the providers' key variables see before the process environment.",
    ),
    active(
        "credential_list",
        Kind::List(&CREDENTIAL),
        "",
        "Credentials that `litellm_credential_name` refers to; those of the admin API go before them.",
    ),
    active(
        "include",
        TEXTS,
        "",
        "Further files, relative to this one; lists are extended, maps are merged key by key.",
    ),
    active(
        "default_vertex_config",
        Kind::Section(passthrough::VERTEX),
        "",
        "The project and credentials of requests that pass through to Vertex AI.",
    ),
    active(
        "files_settings",
        Kind::List(&ACCOUNT),
        "",
        "Accounts for files, batches and vector stores, by `custom_llm_provider`.",
    ),
    active(
        "finetune_settings",
        Kind::List(&ACCOUNT),
        "",
        "Accounts for fine-tuning jobs, by `custom_llm_provider`.",
    ),
    later("agent_list", ANY_LIST, ""),
    later("agents", ANY_LIST, ""),
    later("assistant_settings", ANY_MAP, ""),
    later("callback_settings", ANY_MAP, ""),
    later("guardrails", ANY_LIST, ""),
    later("mcp_aliases", ANY_MAP, ""),
    later("mcp_servers", ANY_MAP, ""),
    later("mcp_tools", ANY_LIST, ""),
    later("policies", Kind::Any, ""),
    later("policy_attachments", Kind::Any, ""),
    later("prompts", ANY_LIST, ""),
    later("sandbox_tools", ANY_LIST, ""),
    later("search_tools", ANY_LIST, ""),
    later("vector_store_registry", ANY_LIST, ""),
    later("worker_registry", ANY_LIST, ""),
];
