//! Reports over days: sums by whatever a caller groups by, and the rows of which they are made.
//!
//! Owns the reads of the table `daily`. LiteLLM's JSON of reports is the server's.
//!
//! **Invariant**: no report looks at single attempts.

use super::clauses::{Clauses, Page, searchable};
use super::columns::scope_id_of;
use super::daily::{EntityKind, Totals};
use super::session::{Dialect, Session, one};
use crate::error::Fault;

/// Which of the days' rows: those for which everything that is set holds. Lists that are empty hold for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DailyFilter {
    /// For whom: everybody together, every user, every team, ...
    pub entity: EntityKind,
    /// Of those: only these.
    pub entity_ids: Vec<String>,
    /// Of those: not these.
    pub without_ids: Vec<String>,
    /// The first day (UTC), as `2026-11-22`.
    pub from_day: Option<String>,
    /// The last day.
    pub to_day: Option<String>,
    /// Hashes of keys.
    pub api_keys: Vec<String>,
    /// Providers' models.
    pub models: Vec<String>,
    /// Groups.
    pub model_groups: Vec<String>,
    /// Providers.
    pub providers: Vec<String>,
}

/// By what sums are taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The day.
    Day,
    /// The one for whom it counts: the user, the team, ..., as [`DailyFilter::entity`] says.
    Entity,
    /// The key, by its hash.
    ApiKey,
    /// The provider's model.
    Model,
    /// The group.
    ModelGroup,
    /// The provider.
    Provider,
}

impl Group {
    fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Entity => "entity_id",
            Self::ApiKey => "api_key",
            Self::Model => "model",
            Self::ModelGroup => "model_group",
            Self::Provider => "provider",
        }
    }
}

/// Which sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SumQuery {
    /// Over which rows.
    pub filter: DailyFilter,
    /// By what; nothing is one sum over all.
    pub group_by: Vec<Group>,
    /// The dearest first, instead of by what they are grouped by.
    pub by_spend: bool,
    /// How many, at most; `None` for all.
    pub limit: Option<u32>,
}

/// Sums of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// What the group is, one text for each of [`SumQuery::group_by`].
    pub keys: Vec<String>,
    /// Its sums.
    pub totals: Totals,
}

/// One row of the days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DailyRow {
    /// As `2026-11-22`, UTC.
    pub day: String,
    /// For whom; empty for everybody.
    pub entity_id: String,
    /// Hash of the key.
    pub api_key: String,
    /// The provider's model.
    pub model: String,
    /// The group.
    pub model_group: String,
    /// The provider.
    pub provider: String,
    /// Their sums.
    pub totals: Totals,
}

/// A part of the rows, the newest day first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DailyPage {
    /// The rows.
    pub rows: Vec<DailyRow>,
    /// How many there are.
    pub total: u64,
}

const COUNTS: &str = ", prompt_tokens, completion_tokens, total_tokens, cache_read_tokens, cache_write_tokens, \
     requests, successes, failures, rate_limited, response_ms";

const COUNTS_SUMMED: &str = ", CAST(sum(prompt_tokens) AS BIGINT), CAST(sum(completion_tokens) AS BIGINT), \
     CAST(sum(total_tokens) AS BIGINT), CAST(sum(cache_read_tokens) AS BIGINT), \
     CAST(sum(cache_write_tokens) AS BIGINT), CAST(sum(requests) AS BIGINT), CAST(sum(successes) AS BIGINT), \
     CAST(sum(failures) AS BIGINT), CAST(sum(rate_limited) AS BIGINT), CAST(sum(response_ms) AS BIGINT)";

/// Sums over days, group by group.
pub(super) fn sums(session: &mut dyn Session, query: &SumQuery) -> Result<Vec<Sum>, Fault> {
    let summing = summing(session.dialect(), query);
    let rows = session.query(&summing.sql, &summing.values)?;
    let read = rows.into_iter().map(|mut row| {
        let keys = query.group_by.iter().map(|_| row.text()).collect::<Result<_, _>>()?;
        Ok(Sum { keys, totals: Totals::read(&mut row)? })
    });
    read.collect()
}

pub(super) fn summing(dialect: Dialect, query: &SumQuery) -> Clauses {
    let mut clauses = Clauses::new(dialect);
    clauses.text("SELECT ");
    for group in &query.group_by {
        clauses.text(group.column()).text(", ");
    }
    clauses.text(spend_summed(dialect)).text(COUNTS_SUMMED).text(" FROM daily");
    narrow(&mut clauses, &query.filter);
    list(&mut clauses, " GROUP BY ", &query.group_by);
    if query.by_spend {
        // SQLite's floats are enough for an order; the key decides between equals.
        let order = (" ORDER BY CAST(pico_sum(spend) AS REAL) DESC", " ORDER BY sum(spend) DESC");
        clauses.text(dialect.pick(order.0, order.1));
        for group in &query.group_by {
            clauses.text(", ").text(group.column());
        }
    } else {
        list(&mut clauses, " ORDER BY ", &query.group_by);
    }
    if let Some(limit) = query.limit {
        clauses.text(" LIMIT ").bind(i64::from(limit).into());
    }
    clauses
}

fn list(clauses: &mut Clauses, word: &'static str, groups: &[Group]) {
    for (place, group) in groups.iter().enumerate() {
        clauses.text(if place == 0 { word } else { ", " }).text(group.column());
    }
}

fn spend_summed(dialect: Dialect) -> &'static str {
    dialect.pick("pico_sum(spend)", "CAST(sum(spend) AS TEXT)")
}

/// The rows themselves.
pub(super) fn rows(session: &mut dyn Session, filter: &DailyFilter, page: Page) -> Result<DailyPage, Fault> {
    let mut counted = Clauses::new(session.dialect());
    counted.text("SELECT count(*) FROM daily");
    narrow(&mut counted, filter);
    let total = one(session.query(&counted.sql, &counted.values)?)?.count()?;
    let mut clauses = Clauses::new(session.dialect());
    clauses
        .text("SELECT day, entity_id, api_key, model, model_group, provider, CAST(spend AS TEXT)")
        .text(COUNTS);
    clauses.text(" FROM daily");
    narrow(&mut clauses, filter);
    clauses.text(" ORDER BY day DESC, entity_id, api_key, model, model_group, provider").page(page);
    let rows = session.query(&clauses.sql, &clauses.values)?;
    let rows = rows.into_iter().map(|mut row| {
        Ok(DailyRow {
            day: row.text()?,
            entity_id: row.text()?,
            api_key: row.text()?,
            model: row.text()?,
            model_group: row.text()?,
            provider: row.text()?,
            totals: Totals::read(&mut row)?,
        })
    });
    Ok(DailyPage { rows: rows.collect::<Result<_, Fault>>()?, total })
}

fn narrow(clauses: &mut Clauses, filter: &DailyFilter) {
    let scopes = |ids: &[String]| ids.iter().cloned().map(scope_id_of).collect::<Vec<_>>();
    clauses.hold("entity_kind = ", Some(filter.entity.as_str().into()));
    clauses.among("entity_id", &scopes(&filter.entity_ids));
    if !filter.without_ids.is_empty() {
        clauses.condition().text("NOT (").is_among("entity_id", &scopes(&filter.without_ids)).text(")");
    }
    clauses
        .hold("day >= ", filter.from_day.as_deref().map(Into::into))
        .hold("day <= ", filter.to_day.as_deref().map(Into::into))
        .among("api_key", &searchable(&filter.api_keys))
        .among("model", &searchable(&filter.models))
        .among("model_group", &searchable(&filter.model_groups))
        .among("provider", &searchable(&filter.providers));
}
