//! The keys of the databases and of the journal.
//!
//! Owns: their names and types, in `general_settings` and in `tollgate_settings`. Leaves to others: what is kept in them.
//!
//! **Invariant:** names outside `tollgate_settings` are LiteLLM's, but for `tollgate_database`.

use super::{Key, Kind, Table, active, never};

/// The rows of `general_settings`.
pub(crate) const GENERAL: &[Key] = &[
    active(
        "database_url",
        Kind::Secret,
        "DATABASE_URL, or DATABASE_HOST and the like",
        "The PostgreSQL database of keys, teams and spend; without one they are in the file of `tollgate_database`.",
    ),
    active(
        "tollgate_database",
        Kind::Text,
        "tollgate.db",
        "File of the embedded database; the same as `tollgate_settings.database_file`.",
    ),
    active(
        "database_connection_pool_limit",
        Kind::Positive,
        "10",
        "Connections to PostgreSQL at the same time.",
    ),
    active(
        "database_connection_timeout",
        Kind::Timeout,
        "60",
        "How long a connection to PostgreSQL, or a free one, is waited for.",
    ),
    active(
        "disable_spend_logs",
        Kind::Bool,
        "false",
        "Show no row for each request, only what keys, teams and days have spent. Rows are deleted after a day; until \
         then they keep what reaches the database twice from being counted twice.",
    ),
    active(
        "maximum_spend_logs_retention_period",
        Kind::Span,
        "",
        "The rows of requests are deleted after this time, their sums stay; a month is 30 days here.",
    ),
    active(
        "salt_key",
        Kind::Secret,
        "LITELLM_SALT_KEY, else made from the master key",
        "What providers' keys that are stored by the API are sealed with; LITELLM_SALT_KEY_PREVIOUS has those before it, with commas.",
    ),
    never("database_args", DYNAMO),
    never("database_type", DYNAMO),
    active(
        "store_model_in_db",
        Kind::Bool,
        "true",
        "Always on: models, credentials and settings made by the admin API are kept in the database, and served at once.",
    ),
    never(
        "disable_prisma_schema_update",
        "There is no Prisma: the gateway brings its tables up to date itself.",
    ),
    never(
        "proxy_batch_write_at",
        "Not needed: what was spent is in the journal at once, and goes to the database in batches as it comes.",
    ),
    never(
        "use_redis_transaction_buffer",
        "Not needed: the journal takes what the database cannot, and batches make the writes few.",
    ),
];

const DYNAMO: &str =
    "PostgreSQL and SQLite are the databases here; use `database_url` or `tollgate_database`.";

/// The rows of `tollgate_settings`.
pub(crate) const TOLLGATE: &[Key] = &[
    active(
        "database_file",
        Kind::Text,
        "tollgate.db",
        "File of the embedded database, made when it is first needed; `:memory:` keeps nothing over a restart.",
    ),
    active("journal", Kind::Section(JOURNAL), "", "What is spent stands here before it is in the database."),
    active(
        "key_rotation",
        Kind::Section(ROTATION),
        "",
        "Keys with `auto_rotate` are replaced by themselves when their `rotation_interval` is over.",
    ),
];

/// `tollgate_settings.key_rotation`.
pub(crate) static ROTATION: Table = &[&[
    active(
        "folder",
        Kind::Text,
        "",
        "A file for the text of each new key is put here, named as the key's alias, else as the token of the key that it \
         replaces. Without it no key is replaced; with it all that are due, unless LITELLM_KEY_ROTATION_ENABLED is false.",
    ),
    active(
        "grace_period",
        Kind::Span,
        "LITELLM_KEY_ROTATION_GRACE_PERIOD, else none",
        "How long the old key is let through beside the new one.",
    ),
    active(
        "check_interval_seconds",
        Kind::Timeout,
        "LITELLM_KEY_ROTATION_CHECK_INTERVAL_SECONDS, else 300",
        "How often it is looked for keys that are due.",
    ),
]];

/// `tollgate_settings.journal`.
pub(crate) static JOURNAL: Table = &[&[
    active(
        "folder",
        Kind::Text,
        "the database's file with `.journal` after it; none for `:memory:`",
        "Where its files are, relative to the working directory; each gateway has its own.",
    ),
    active(
        "durability",
        Kind::Choice(&["strict", "relaxed"]),
        "strict",
        "What a request under a budget waits for: `strict` outlives the loss of power, `relaxed` the end of the process.",
    ),
]];
