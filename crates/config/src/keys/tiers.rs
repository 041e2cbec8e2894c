//! The keys of `tollgate_settings` that say where a request goes when its first deployment does not answer.
//!
//! Owns: tiers, canned answers, hedging, waiting, the retry budget, sensitive requests. Leaves to others: the
//! settings of the gateway as a process (tollgate), a deployment's own keys (model).
//!
//! **Invariant:** every table here is reached from `tollgate_settings`, but for that of FAQ files.

use super::{Kind, TEXTS, Table, active};

/// What moves a request on by a word.
pub(crate) const MOVE_ON_WORDS: &[&str] = &["rate_limit", "server_error", "context_window", "quality"];

static TIER_SECTION: Kind = Kind::Section(TIER);
static TIER_VALUE: Kind = Kind::Either(&Kind::Text, &TIER_SECTION);
static TIER_LIST: Kind = Kind::List(&TIER_VALUE);
static TIERS_BY_NAME: Kind = Kind::Map(&TIER_LIST);
/// A list for every group in it, or lists by name.
pub(crate) static TIERS: Kind = Kind::Either(&TIER_LIST, &TIERS_BY_NAME);

static MOVE_ON_WORD: Kind = Kind::Choice(MOVE_ON_WORDS);
static MOVE_ON_SECTION: Kind = Kind::Section(MOVE_ON);
static MOVE_ON_VALUE: Kind = Kind::Either(&MOVE_ON_WORD, &MOVE_ON_SECTION);

static HEDGE_SECTION: Kind = Kind::Section(HEDGE);
/// `false` for none, `true` for the defaults, or a map.
pub(crate) static HEDGE_VALUE: Kind = Kind::Either(&Kind::Bool, &HEDGE_SECTION);

static GROUP_SECTION: Kind = Kind::Section(GROUP);
/// Settings of single model groups.
pub(crate) static GROUPS: Kind = Kind::Map(&GROUP_SECTION);

static SENSITIVE_SECTION: Kind = Kind::Section(SENSITIVE);
/// Rules for sensitive requests.
pub(crate) static SENSITIVE_RULES: Kind = Kind::List(&SENSITIVE_SECTION);

static FAQ_ENTRY_SECTION: Kind = Kind::Section(FAQ_ENTRY);
/// A whole FAQ file.
pub(crate) static FAQ: Kind = Kind::List(&FAQ_ENTRY_SECTION);

/// One tier.
pub(crate) static TIER: Table = &[&[
    active(
        "name",
        Kind::Text,
        "the group, or `canned`",
        "How the tier is called in headers, logs and metrics.",
    ),
    active(
        "model",
        Kind::Text,
        "required, or `canned`",
        "The model group that serves the tier: one model, no pattern.",
    ),
    active(
        "canned",
        Kind::Section(CANNED),
        "",
        "Answers that were written down, in place of a model; the last tier alone may have it.",
    ),
    active(
        "move_on",
        Kind::List(&MOVE_ON_VALUE),
        "rate_limit, server_error, context_window",
        "What moves a request on to the next tier: these, `quality`, and `first_token: 3`.",
    ),
    active(
        "alert_share",
        Kind::Share,
        "1% for the last of several, none for the others",
        "An alert is raised when the tier serves more than this share of the requests.",
    ),
]];

/// What moves a request on, where a word does not say enough.
pub(crate) static MOVE_ON: Table = &[&[active(
    "first_token",
    Kind::DurationPositive,
    "",
    "The tier has this long for the first token, or for the whole answer where nothing is streamed.",
)]];

/// A canned-answer tier.
pub(crate) static CANNED: Table = &[&[
    active(
        "faq",
        Kind::Text,
        "required, or `answer_when_nothing_matches`",
        "YAML file, relative to this one, with a list of `{questions: [...], answer: ...}`.",
    ),
    active(
        "threshold",
        Kind::Share,
        "0.6",
        "How much the caller's question must resemble one of the file's, from 0 to 1.",
    ),
    active(
        "answer_when_nothing_matches",
        Kind::Text,
        "",
        "The answer where no question resembles the caller's, and without `faq` the answer to all; where it is not written the last tier's error goes out.",
    ),
]];

/// One entry of an FAQ file.
pub(crate) static FAQ_ENTRY: Table = &[&[
    active("questions", TEXTS, "required", "The ways in which callers ask it."),
    active("answer", Kind::Text, "required", "What they are answered."),
]];

/// `hedge`.
pub(crate) static HEDGE: Table = &[&[
    active(
        "after",
        Kind::HedgeAfter,
        "p95",
        "How long the first deployment is waited for: a bare number is milliseconds, `p95` is learned.",
    ),
    active("max", Kind::Count, "1", "Hedges of one request at most; 0 for none."),
    active("budget", Kind::Share, "5%", "Hedges per request at most, over the last 10 seconds of the group."),
]];

/// `model_groups.<name>`.
pub(crate) static GROUP: Table = &[&[
    active("tiers", TIER_LIST, "`tollgate_settings.tiers`", "The tiers of requests for this group."),
    active("hedge", HEDGE_VALUE, "`tollgate_settings.hedge`", "Hedging of requests for this group."),
]];

/// `queue`.
pub(crate) static QUEUE: Table = &[&[
    active(
        "enabled",
        Kind::Bool,
        "true",
        "Wait for a place where every deployment is at its limits; else go elsewhere at once.",
    ),
    active("max_wait_seconds", Kind::Duration, "1", "How long a request waits at most."),
    active("size", Kind::Positive, "1000", "Requests of one group that wait at one time."),
]];

/// `retry_budget`.
pub(crate) static RETRY_BUDGET: Table = &[&[
    active(
        "ratio",
        Kind::Share,
        "0.1",
        "Retries per request at most, over the last 10 seconds of the group.",
    ),
    active("floor_per_second", Kind::Price, "3", "Retries per second that are always granted."),
]];

/// `sensitive[]`.
pub(crate) static SENSITIVE: Table = &[&[
    active("tags", TEXTS, "required", "A request with any of these tags falls under the rule."),
    active("region", Kind::Text, "", "It goes only to deployments with this `region_name`."),
    active("data_residency", Kind::Text, "", "It goes only to deployments with this `data_residency`."),
    active(
        "zero_data_retention",
        Kind::Bool,
        "false",
        "It goes only to deployments with `zero_data_retention: true`.",
    ),
]];
