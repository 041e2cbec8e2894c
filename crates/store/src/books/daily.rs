//! What was spent, by day: sums from which reports are made without looking at single attempts.
//!
//! Owns the table `daily`, and for whom an attempt counts.
//!
//! **Invariant**: for every kind of entity, the sums of its rows are the sums of the attempts that have such an entity.

use std::collections::{BTreeMap, HashMap};

use super::columns::day_of;
use super::row::{SpendRow, Status};
use super::session::{Insert, Row, Session, Value};
use crate::error::Fault;

/// For whom sums are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKind {
    /// Everybody together; its id is empty.
    #[default]
    Global,
    /// Users.
    User,
    /// Teams.
    Team,
    /// Users within teams: `team/user`.
    Member,
    /// Organizations.
    Organization,
    /// Projects.
    Project,
    /// Customers.
    EndUser,
    /// Tags of requests. A request with two tags counts for both.
    Tag,
}

impl EntityKind {
    /// Its word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::User => "user",
            Self::Team => "team",
            Self::Member => "member",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::EndUser => "end_user",
            Self::Tag => "tag",
        }
    }
}

/// Sums over attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Picodollars.
    pub spend: i128,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// All tokens.
    pub total_tokens: u64,
    /// Tokens that were read from caches.
    pub cache_read_tokens: u64,
    /// Tokens that were written to caches.
    pub cache_write_tokens: u64,
    /// Attempts, without those that are overhead.
    pub requests: u64,
    /// Of those: answered.
    pub successes: u64,
    /// Of those: failed.
    pub failures: u64,
    /// Of the failures: with status 429.
    pub rate_limited: u64,
    /// How long the successes took, together, in milliseconds.
    pub response_ms: u64,
}

impl Totals {
    /// One attempt.
    pub fn of(row: &SpendRow) -> Self {
        let counts = u64::from(!row.overhead);
        let is_success = row.status == Status::Success;
        let successes = if is_success { counts } else { 0 };
        let failures = counts - successes;
        Self {
            spend: row.cost,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            total_tokens: row.total_tokens,
            cache_read_tokens: row.cache_read_tokens,
            cache_write_tokens: row.cache_write_tokens,
            requests: counts,
            successes,
            failures,
            rate_limited: if row.status_code == 429 { failures } else { 0 },
            // A day at most, so that a clock that was set cannot spoil a sum.
            response_ms: u64::try_from(row.duration_ms()).unwrap_or(0).min(86_400_000) * successes,
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.spend = self.spend.saturating_add(other.spend);
        for (sum, more) in [
            (&mut self.prompt_tokens, other.prompt_tokens),
            (&mut self.completion_tokens, other.completion_tokens),
            (&mut self.total_tokens, other.total_tokens),
            (&mut self.cache_read_tokens, other.cache_read_tokens),
            (&mut self.cache_write_tokens, other.cache_write_tokens),
            (&mut self.requests, other.requests),
            (&mut self.successes, other.successes),
            (&mut self.failures, other.failures),
            (&mut self.rate_limited, other.rate_limited),
            (&mut self.response_ms, other.response_ms),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    pub(super) fn read(row: &mut Row) -> Result<Self, Fault> {
        Ok(Self {
            spend: row.amount()?,
            prompt_tokens: row.count()?,
            completion_tokens: row.count()?,
            total_tokens: row.count()?,
            cache_read_tokens: row.count()?,
            cache_write_tokens: row.count()?,
            requests: row.count()?,
            successes: row.count()?,
            failures: row.count()?,
            rate_limited: row.count()?,
            response_ms: row.count()?,
        })
    }

    fn cells(&self) -> impl Iterator<Item = Value> {
        let counts = [
            self.prompt_tokens,
            self.completion_tokens,
            self.total_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.requests,
            self.successes,
            self.failures,
            self.rate_limited,
            self.response_ms,
        ];
        let counts = counts.map(|count| Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
        std::iter::once(Value::from(self.spend.to_string())).chain(counts)
    }
}

/// A row of the table is one of these and its sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Slot<'a> {
    kind: EntityKind,
    id: String,
    day: &'a str,
    api_key: &'a str,
    model: &'a str,
    model_group: &'a str,
    provider: &'a str,
}

const ADD: Insert = Insert {
    table: "daily",
    columns: &[
        "entity_kind",
        "entity_id",
        "day",
        "api_key",
        "model",
        "model_group",
        "provider",
        "spend",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "requests",
        "successes",
        "failures",
        "rate_limited",
        "response_ms",
    ],
    sqlite: "ON CONFLICT (entity_kind, entity_id, day, api_key, model, model_group, provider) DO UPDATE SET \
             spend = pico_add(daily.spend, excluded.spend), \
             prompt_tokens = daily.prompt_tokens + excluded.prompt_tokens, \
             completion_tokens = daily.completion_tokens + excluded.completion_tokens, \
             total_tokens = daily.total_tokens + excluded.total_tokens, \
             cache_read_tokens = daily.cache_read_tokens + excluded.cache_read_tokens, \
             cache_write_tokens = daily.cache_write_tokens + excluded.cache_write_tokens, \
             requests = daily.requests + excluded.requests, \
             successes = daily.successes + excluded.successes, \
             failures = daily.failures + excluded.failures, \
             rate_limited = daily.rate_limited + excluded.rate_limited, \
             response_ms = daily.response_ms + excluded.response_ms",
    postgres: "ON CONFLICT (entity_kind, entity_id, day, api_key, model, model_group, provider) DO UPDATE SET \
             spend = daily.spend + excluded.spend, \
             prompt_tokens = daily.prompt_tokens + excluded.prompt_tokens, \
             completion_tokens = daily.completion_tokens + excluded.completion_tokens, \
             total_tokens = daily.total_tokens + excluded.total_tokens, \
             cache_read_tokens = daily.cache_read_tokens + excluded.cache_read_tokens, \
             cache_write_tokens = daily.cache_write_tokens + excluded.cache_write_tokens, \
             requests = daily.requests + excluded.requests, \
             successes = daily.successes + excluded.successes, \
             failures = daily.failures + excluded.failures, \
             rate_limited = daily.rate_limited + excluded.rate_limited, \
             response_ms = daily.response_ms + excluded.response_ms",
};

/// For whom an attempt counts.
pub(super) fn entities(row: &SpendRow) -> Vec<(EntityKind, String)> {
    let mut entities = vec![(EntityKind::Global, String::new())];
    let mut name = |kind: EntityKind, id: &str| {
        if !id.is_empty() {
            entities.push((kind, id.to_owned()));
        }
    };
    name(EntityKind::User, &row.user_id);
    name(EntityKind::Team, &row.team_id);
    name(EntityKind::Organization, &row.organization_id);
    name(EntityKind::Project, &row.project_id);
    name(EntityKind::EndUser, &row.end_user);
    for tag in &row.tags {
        name(EntityKind::Tag, tag);
    }
    if !row.team_id.is_empty() && !row.user_id.is_empty() {
        name(EntityKind::Member, &format!("{}/{}", row.team_id, row.user_id));
    }
    entities
}

/// What two rows have in common that count for the same slots.
#[derive(PartialEq, Eq, Hash)]
struct Kind<'a> {
    /// Days since 1970.
    day: i64,
    texts: [&'a str; 9],
    tags: &'a [String],
}

impl<'a> Kind<'a> {
    fn of(row: &'a SpendRow) -> Self {
        let texts = [
            &row.user_id,
            &row.team_id,
            &row.organization_id,
            &row.project_id,
            &row.end_user,
            &row.api_key,
            &row.model,
            &row.model_group,
            &row.provider,
        ];
        let day = row.started_at.div_euclid(86_400_000_000);
        Self { day, texts: texts.map(String::as_str), tags: &row.tags }
    }
}

/// Adds rows to the sums.
pub(super) fn add<'a>(
    session: &mut dyn Session,
    rows: impl Iterator<Item = &'a SpendRow>,
) -> Result<(), Fault> {
    // Those that count for the same are added up first: a batch has few kinds of rows.
    let mut alike: HashMap<Kind<'_>, (&SpendRow, Totals)> = HashMap::new();
    for row in rows {
        let same = alike.entry(Kind::of(row)).or_insert_with(|| (row, Totals::default()));
        same.1.add(&Totals::of(row));
    }
    let alike: Vec<_> =
        alike.into_values().map(|(row, totals)| (day_of(row.started_at), row, totals)).collect();
    let mut sums: BTreeMap<Slot<'_>, Totals> = BTreeMap::new();
    for (day, row, totals) in &alike {
        for (kind, id) in entities(row) {
            let (api_key, model) = (row.api_key.as_str(), row.model.as_str());
            let (model_group, provider) = (row.model_group.as_str(), row.provider.as_str());
            let slot = Slot { kind, id, day, api_key, model, model_group, provider };
            sums.entry(slot).or_default().add(totals);
        }
    }
    // In the order of the key, as `accounts.rs` does it.
    let cells: Vec<Vec<Value>> = sums.iter().map(|(slot, totals)| cells(slot, totals)).collect();
    session.insert(&ADD, &cells).map(|_| ())
}

fn cells(slot: &Slot<'_>, totals: &Totals) -> Vec<Value> {
    let texts =
        [slot.kind.as_str(), &slot.id, slot.day, slot.api_key, slot.model, slot.model_group, slot.provider];
    texts.into_iter().map(Value::from).chain(totals.cells()).collect()
}
