//! One member of a request's body: its name, what it holds, where it is kept, who may set it and what follows from it.
//!
//! Owns the vocabulary of the tables. Leaves the tables to the nouns. **Invariant:** a row is all that there is to know of
//! a member, so that reading a body and the page that documents it cannot differ.

/// What a member's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// A text of at most [`super::TEXT_LETTERS_MAX`] letters, without control characters.
    Text,
    /// A text that may have lines.
    Lines,
    /// A list of texts.
    Texts,
    /// An amount of US dollars from 0, as a number or its text.
    Money,
    /// A whole number from 0, or its text.
    Count,
    /// True or false.
    Flag,
    /// A duration such as `30d`.
    Cadence,
    /// A duration, or `-1` for ever.
    Lifetime,
    /// A date and time by RFC 3339.
    Time,
    /// An object.
    Object,
    /// An object of texts by name.
    Names,
    /// An object of whole numbers by name.
    Counts,
    /// `budget_limits`: a list of `{budget_duration, max_budget}`.
    Windows,
    /// `model_max_budget`: an object of `{budget_limit, time_period}`, or of amounts, by model.
    ModelBudgets,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list of objects, or one of them.
    Objects,
    /// Anything.
    Any,
}

impl Want {
    /// What it is, for people.
    pub fn phrase(self) -> String {
        let phrase = match self {
            Self::Text | Self::Lines => "text",
            Self::Texts => "list of texts",
            Self::Money => "amount of US dollars from 0",
            Self::Count => "whole number from 0",
            Self::Flag => "true or false",
            Self::Cadence => "duration such as 30s, 5m, 12h, 30d, 1w or 1mo",
            Self::Lifetime => "duration such as 30s, 5m, 12h, 30d, 1w or 1mo, or -1 for ever",
            Self::Time => "date and time such as 2026-12-01T00:00:00Z",
            Self::Object => "object",
            Self::Names => "object of texts by name",
            Self::Counts => "object of whole numbers by name",
            Self::Windows => "list of objects with budget_duration and max_budget",
            Self::ModelBudgets => "object of objects with budget_limit and time_period by model",
            Self::Words(words) => return format!("one of {}", words.join(", ")),
            Self::Objects => "list of objects",
            Self::Any => "any value",
        };
        phrase.to_owned()
    }
}

/// What follows from a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// What it says happens.
    Acts,
    /// It is kept and shown again; nothing follows from it.
    Stored,
    /// It cannot be given, and why. An empty value is taken and counts for nothing.
    Unsupported(&'static str),
}

/// Where a member is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the document, under its own name.
    Column,
    /// In the document's `metadata`, where LiteLLM keeps what has no column.
    Metadata,
    /// Where the noun's own code puts it.
    Apart,
}

/// What a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Something new.
    New,
    /// A change of what is there.
    Change,
}

/// A member of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub want: Want,
    /// What follows from it.
    pub effect: Effect,
    /// Where it is kept.
    pub place: Place,
    /// Whether only an administrator may set it.
    pub is_for_admins: bool,
    /// Whether it may be given for something new.
    pub is_for_new: bool,
    /// Whether it may be given in a change.
    pub is_for_change: bool,
}

impl Row {
    const fn of(name: &'static str, want: Want, effect: Effect, place: Place) -> Self {
        Self { name, want, effect, place, is_for_admins: false, is_for_new: true, is_for_change: true }
    }

    pub(super) const fn acts(name: &'static str, want: Want) -> Self {
        Self::of(name, want, Effect::Acts, Place::Column)
    }

    pub(super) const fn stored(name: &'static str, want: Want) -> Self {
        Self::of(name, want, Effect::Stored, Place::Column)
    }

    /// A member that the noun's own code puts where it belongs.
    pub(super) const fn apart(name: &'static str, want: Want) -> Self {
        Self::of(name, want, Effect::Acts, Place::Apart)
    }

    /// A member that cannot be given.
    pub(super) const fn unsupported(name: &'static str, why: &'static str) -> Self {
        Self::of(name, Want::Any, Effect::Unsupported(why), Place::Apart)
    }

    /// Nothing follows from it: it is kept and shown.
    pub(super) const fn without_effect(mut self) -> Self {
        self.effect = Effect::Stored;
        self
    }

    pub(super) const fn in_metadata(mut self) -> Self {
        self.place = Place::Metadata;
        self
    }

    pub(super) const fn by_admins(mut self) -> Self {
        self.is_for_admins = true;
        self
    }

    pub(super) const fn new_only(mut self) -> Self {
        self.is_for_change = false;
        self
    }

    pub(super) const fn change_only(mut self) -> Self {
        self.is_for_new = false;
        self
    }

    /// Whether a body for this may have it.
    pub const fn is_on(&self, on: On) -> bool {
        match on {
            On::New => self.is_for_new,
            On::Change => self.is_for_change,
        }
    }
}

/// The body of one or more routes.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// What it is of: `key`, `team`, `deletion of keys`.
    pub title: &'static str,
    /// The routes that make something new with it.
    pub new_routes: &'static [&'static str],
    /// The routes that change something with it.
    pub change_routes: &'static [&'static str],
    /// Its members, in groups that forms share.
    pub groups: &'static [&'static [Row]],
}

impl Form {
    /// Its members.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> + use<> {
        self.groups.iter().flat_map(|rows| rows.iter())
    }
}

/// The rows that several nouns share.
pub(super) mod shared {
    use super::{Row, Want};

    pub(in crate::form) const NO_MCP: &str = "is not supported: there are no MCP servers here";
    pub(in crate::form) const NO_VECTORS: &str =
        "is not supported: there are no vector stores of LiteLLM here";
    pub(in crate::form) const NO_MAIL: &str =
        "is not supported: no invitations are mailed; POST /key/generate gives a key";
    pub(in crate::form) const COUNTED: &str = "is counted, not set: a change may set it";

    /// What was spent of the budget that is shown, set.
    pub(in crate::form) const SPEND: Row = Row::apart("spend", Want::Money).change_only().by_admins();

    /// The budget of whoever has one, and when it begins anew.
    pub(in crate::form) const BUDGET: &[Row] = &[
        Row::acts("max_budget", Want::Money),
        Row::acts("soft_budget", Want::Money),
        Row::apart("budget_duration", Want::Cadence),
        Row::acts("model_max_budget", Want::ModelBudgets),
    ];

    /// LiteLLM's rates, and requests at the same time.
    pub(in crate::form) const RATES: &[Row] = &[
        Row::acts("rpm_limit", Want::Count),
        Row::acts("tpm_limit", Want::Count),
        Row::acts("rpd_limit", Want::Count),
        Row::acts("tpd_limit", Want::Count),
        Row::acts("max_parallel_requests", Want::Count),
    ];

    /// Rates by model.
    pub(in crate::form) const MODEL_RATES: &[Row] = &[
        Row::acts("model_rpm_limit", Want::Counts).in_metadata(),
        Row::acts("model_tpm_limit", Want::Counts).in_metadata(),
        Row::acts("model_itpm_limit", Want::Counts).in_metadata(),
        Row::acts("model_otpm_limit", Want::Counts).in_metadata(),
    ];

    /// More money for a while.
    pub(in crate::form) const INCREASE: &[Row] = &[
        Row::acts("temp_budget_increase", Want::Money).in_metadata().by_admins(),
        Row::acts("temp_budget_expiry", Want::Time).in_metadata().by_admins(),
    ];

    /// What LiteLLM's clients keep and nothing here acts on yet.
    pub(in crate::form) const KEPT: &[Row] = &[
        Row::stored("guardrails", Want::Texts).in_metadata(),
        Row::stored("policies", Want::Texts).in_metadata(),
        Row::stored("prompts", Want::Texts).in_metadata(),
        Row::stored("disable_global_guardrails", Want::Flag).in_metadata(),
        Row::stored("default_estimated_output_tokens", Want::Count).in_metadata(),
        Row::stored("default_estimated_output_tokens_per_model", Want::Counts).in_metadata(),
        Row::stored("logging", Want::Any).in_metadata(),
    ];

    /// What would hold a caller back, and does not here.
    pub(in crate::form) const UNHELD: &[Row] = &[
        Row::unsupported("mcp_rpm_limit", NO_MCP),
        Row::unsupported("object_permission", NO_MCP),
        Row::unsupported("allowed_vector_store_indexes", NO_VECTORS),
        Row::unsupported(
            "allowed_passthrough_routes",
            "is not supported: allowed_routes says which routes may be asked",
        ),
        Row::unsupported(
            "denied_passthrough_routes",
            "is not supported: allowed_routes says which routes may be asked",
        ),
    ];
}
