//! Looking at single attempts: filtered, sorted, page by page.
//!
//! Owns the reads of the table `attempts`. Who may see which, and LiteLLM's JSON of them, is the server's.
//!
//! **Invariant**: a page costs at most a scan of the time that it asks for; the count ends at [`TOTAL_MAX`].

use std::collections::BTreeSet;

use super::clauses::{Clauses, ESCAPE, Page, containing, searchable};
use super::columns;
use super::daily::Totals;
use super::row::{SpendRow, Status};
use super::session::{Dialect, Session, Value, one};
use crate::error::Fault;

/// From here on rows are not counted any more.
pub const TOTAL_MAX: u64 = 10_000;

/// Which attempts: those for which everything that is set holds. Lists that are empty hold for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Begun at this moment (microseconds since 1970) or later.
    pub from: Option<i64>,
    /// Begun before this moment.
    pub to: Option<i64>,
    /// Ids that callers were given.
    pub request_ids: Vec<String>,
    /// The gateway's own ids of calls.
    pub call_ids: Vec<String>,
    /// Sessions.
    pub session_ids: Vec<String>,
    /// Hashes of keys.
    pub api_keys: Vec<String>,
    /// Users; an empty text means: of none.
    pub user_ids: Vec<String>,
    /// Teams; an empty text means: of none.
    pub team_ids: Vec<String>,
    /// Organizations; an empty text means: of none.
    pub organization_ids: Vec<String>,
    /// Projects; an empty text means: of none.
    pub project_ids: Vec<String>,
    /// Customers; an empty text means: of none.
    pub end_users: Vec<String>,
    /// Providers' models.
    pub models: Vec<String>,
    /// Deployments.
    pub model_ids: Vec<String>,
    /// Groups.
    pub model_groups: Vec<String>,
    /// Providers.
    pub providers: Vec<String>,
    /// Tags, of which one is enough.
    pub tags: Vec<String>,
    /// How they ended.
    pub status: Option<Status>,
    /// The HTTP status.
    pub status_code: Option<u16>,
    /// Whether they were answered from the gateway's cache.
    pub cache_hit: Option<bool>,
    /// Whether they were beside the attempt that the caller got.
    pub overhead: Option<bool>,
    /// Cost this much or more, in picodollars.
    pub cost_min: Option<i128>,
    /// Cost this much or less, in picodollars.
    pub cost_max: Option<i128>,
    /// A text in the request's id, a model's name, the customer or the metadata, in whatever case.
    pub search: Option<String>,
    /// What may be seen at all.
    pub visible: Option<Visible>,
    /// Begun later than an attempt, by its `started_at` and `attempt_id`; of those that began in the same microsecond, those
    /// with a larger id. For going through all of them.
    pub after: Option<(i64, u128)>,
}

/// What somebody may see: what is of one of these. Nothing where all are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visible {
    /// Users.
    pub user_ids: Vec<String>,
    /// Teams.
    pub team_ids: Vec<String>,
    /// Organizations.
    pub organization_ids: Vec<String>,
    /// Hashes of keys.
    pub api_keys: Vec<String>,
}

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogOrder {
    /// When they began.
    #[default]
    Started,
    /// When they were over.
    Ended,
    /// What they cost.
    Cost,
    /// All their tokens.
    TotalTokens,
    /// How long they took.
    Duration,
    /// How long they took to their first content; those without come first.
    FirstToken,
    /// The group.
    ModelGroup,
    /// The model.
    Model,
}

/// Which rows, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Which.
    pub filter: LogFilter,
    /// By what.
    pub order: LogOrder,
    /// The smallest first; otherwise the largest.
    pub ascending: bool,
    /// Which part of them.
    pub page: Page,
    /// Read conversations too.
    pub with_bodies: bool,
}

/// A part of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// In the order that was asked for.
    pub rows: Vec<SpendRow>,
    /// How many rows the filter finds; [`TOTAL_MAX`] at most.
    pub total: u64,
    /// There are more than [`TOTAL_MAX`].
    pub is_capped: bool,
}

/// What one session cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSum {
    /// Which.
    pub session_id: String,
    /// Sums over its attempts.
    pub totals: Totals,
    /// How long all its attempts took, in milliseconds.
    pub duration_ms: u64,
    /// Attempts that were answered from the gateway's cache.
    pub cache_hits: u64,
    /// The models that it used.
    pub models: BTreeSet<String>,
}

/// The rows of a page, and how many there are.
pub(super) fn page(session: &mut dyn Session, query: &LogQuery) -> Result<LogPage, Fault> {
    let counting = counting(session.dialect(), &query.filter);
    let found = one(session.query(&counting.sql, &counting.values)?)?.count()?;
    let reading = reading(session.dialect(), query);
    let rows = session.query(&reading.sql, &reading.values)?;
    let rows = rows.into_iter().map(|mut row| columns::read(&mut row)).collect::<Result<_, _>>()?;
    Ok(LogPage { rows, total: found.min(TOTAL_MAX), is_capped: found > TOTAL_MAX })
}

fn counting(dialect: Dialect, filter: &LogFilter) -> Clauses {
    let mut clauses = Clauses::new(dialect);
    clauses.text("SELECT count(*) FROM (SELECT 1 FROM attempts");
    narrow(&mut clauses, filter);
    clauses.text(" LIMIT ").bind(Value::Int(TOTAL_MAX as i64 + 1)).text(") AS counted");
    clauses
}

pub(super) fn reading(dialect: Dialect, query: &LogQuery) -> Clauses {
    let mut clauses = Clauses::new(dialect);
    let is_body = |column: &str| matches!(column, "messages" | "response" | "proxy_request");
    let wanted = columns::COLUMNS.iter().map(|column| match query.with_bodies || !is_body(column) {
        true => *column,
        false => "''",
    });
    // What is sorted is the ids: rows are wide.
    clauses.text("SELECT ").columns(&wanted.collect::<Vec<_>>());
    clauses.text(" FROM attempts WHERE attempt_id IN (SELECT attempt_id FROM attempts");
    narrow(&mut clauses, &query.filter);
    sort(&mut clauses, query);
    clauses.page(query.page).text(")");
    sort(&mut clauses, query);
    clauses
}

/// Rows in the order in which they began, from [`LogFilter::after`] on; without conversations and without a count.
pub(super) fn scan(
    session: &mut dyn Session,
    filter: &LogFilter,
    limit: u32,
) -> Result<Vec<SpendRow>, Fault> {
    let page = Page { offset: 0, limit };
    let query = LogQuery { filter: filter.clone(), ascending: true, page, ..LogQuery::default() };
    let reading = reading(session.dialect(), &query);
    let rows = session.query(&reading.sql, &reading.values)?;
    rows.into_iter().map(|mut row| columns::read(&mut row)).collect()
}

fn sort(clauses: &mut Clauses, query: &LogQuery) {
    let (up, down) = match query.order {
        LogOrder::Started => ("started_at, attempt_id", "started_at DESC, attempt_id DESC"),
        LogOrder::Ended => ("ended_at, attempt_id", "ended_at DESC, attempt_id DESC"),
        LogOrder::Cost => ("cost, attempt_id", "cost DESC, attempt_id DESC"),
        LogOrder::TotalTokens => ("total_tokens, attempt_id", "total_tokens DESC, attempt_id DESC"),
        LogOrder::Duration => {
            ("ended_at - started_at, attempt_id", "ended_at - started_at DESC, attempt_id DESC")
        }
        LogOrder::FirstToken => {
            ("first_token_at - started_at, attempt_id", "first_token_at - started_at DESC, attempt_id DESC")
        }
        LogOrder::ModelGroup => ("model_group, attempt_id", "model_group DESC, attempt_id DESC"),
        LogOrder::Model => ("model, attempt_id", "model DESC, attempt_id DESC"),
    };
    clauses.text(" ORDER BY ").text(if query.ascending { up } else { down });
}

fn narrow(clauses: &mut Clauses, filter: &LogFilter) {
    let cost = |amount: i128| {
        Value::Int(i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX }))
    };
    clauses
        .hold("started_at >= ", filter.from.map(Value::Int))
        .hold("started_at < ", filter.to.map(Value::Int))
        .hold("status = ", filter.status.map(|status| status.as_str().into()))
        .hold("status_code = ", filter.status_code.map(|code| i64::from(code).into()))
        .hold("cache_hit = ", filter.cache_hit.map(Value::from))
        .hold("overhead = ", filter.overhead.map(Value::from))
        .hold("cost >= ", filter.cost_min.map(cost))
        .hold("cost <= ", filter.cost_max.map(cost));
    if !filter.request_ids.is_empty() {
        // As the indexes are: those whose id is their call's, and the others.
        let ids = searchable(&filter.request_ids);
        clauses.condition().text("(request_id = call_id AND ").is_among("call_id", &ids);
        clauses.text(" OR request_id <> call_id AND ").is_among("request_id", &ids).text(")");
    }
    for (column, texts) in [
        ("call_id", &filter.call_ids),
        ("session_id", &filter.session_ids),
        ("api_key", &filter.api_keys),
        ("model", &filter.models),
        ("model_id", &filter.model_ids),
        ("model_group", &filter.model_groups),
        ("provider", &filter.providers),
    ] {
        clauses.among(column, &searchable(texts));
    }
    for (column, texts) in [
        ("user_id", &filter.user_ids),
        ("team_id", &filter.team_ids),
        ("organization_id", &filter.organization_ids),
        ("project_id", &filter.project_ids),
        ("end_user", &filter.end_users),
    ] {
        clauses.among_optional(column, &searchable(texts));
    }
    if let Some((started_at, attempt_id)) = filter.after {
        clauses.condition().text("(started_at, attempt_id) > (").bind(started_at.into()).text(", ");
        clauses.bind(columns::attempt_text(attempt_id).into()).text(")");
    }
    if !filter.tags.is_empty() {
        clauses.condition().text("attempt_id IN (SELECT attempt_id FROM attempt_tags WHERE ");
        clauses.is_among("tag", &searchable(&filter.tags)).text(")");
    }
    if let Some(text) = filter.search.as_deref().filter(|text| !text.is_empty()) {
        search(clauses, text);
    }
    if let Some(visible) = &filter.visible {
        see(clauses, visible);
    }
}

fn search(clauses: &mut Clauses, text: &str) {
    let like = clauses.like();
    clauses.condition().text("(");
    for (place, column) in
        ["request_id", "call_id", "model", "model_group", "end_user", "metadata"].into_iter().enumerate()
    {
        clauses.text(if place == 0 { "" } else { " OR " }).text(column).text(like);
        clauses.bind(containing(text).into()).text(ESCAPE);
    }
    clauses.text(")");
}

fn see(clauses: &mut Clauses, visible: &Visible) {
    clauses.condition().text("(");
    let lists = [
        ("user_id", &visible.user_ids),
        ("team_id", &visible.team_ids),
        ("organization_id", &visible.organization_ids),
        ("api_key", &visible.api_keys),
    ];
    let mut is_first = true;
    for (column, texts) in lists.into_iter().filter(|(_, texts)| !texts.is_empty()) {
        clauses.text(if is_first { "" } else { " OR " }).is_among(column, &searchable(texts));
        is_first = false;
    }
    clauses.text(if is_first { "1 = 0)" } else { ")" });
}

/// What these sessions cost, by their ids.
pub(super) fn sessions(session: &mut dyn Session, ids: &[String]) -> Result<Vec<SessionSum>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut clauses = Clauses::new(session.dialect());
    let spend = session.dialect().pick("pico_sum(cost)", "CAST(sum(cost) AS TEXT)");
    clauses.text("SELECT session_id, model, ").text(spend).text(
        ", CAST(sum(prompt_tokens) AS BIGINT), CAST(sum(completion_tokens) AS BIGINT), \
         CAST(sum(total_tokens) AS BIGINT), CAST(sum(cache_read_tokens) AS BIGINT), \
         CAST(sum(cache_write_tokens) AS BIGINT), CAST(sum(1 - overhead) AS BIGINT), \
         CAST(sum(CASE WHEN status = 'success' THEN 1 - overhead ELSE 0 END) AS BIGINT), \
         CAST(sum(CASE WHEN status = 'success' THEN 0 ELSE 1 - overhead END) AS BIGINT), \
         CAST(sum(CASE WHEN status <> 'success' AND status_code = 429 THEN 1 - overhead ELSE 0 END) AS BIGINT), \
         CAST(sum(CASE WHEN status = 'success' THEN (1 - overhead) * ((ended_at - started_at) / 1000) ELSE 0 END) \
         AS BIGINT), CAST(sum((ended_at - started_at) / 1000) AS BIGINT), CAST(sum(cache_hit) AS BIGINT) \
         FROM attempts",
    );
    clauses.among("session_id", &searchable(ids));
    clauses.text(" GROUP BY session_id, model ORDER BY session_id, model");
    let mut sums: Vec<SessionSum> = Vec::new();
    for mut row in session.query(&clauses.sql, &clauses.values)? {
        let (id, model) = (row.text()?, row.text()?);
        if sums.last().is_none_or(|sum| sum.session_id != id) {
            sums.push(SessionSum { session_id: id, ..SessionSum::default() });
        }
        let totals = Totals::read(&mut row)?;
        let (duration_ms, cache_hits) = (row.count()?, row.count()?);
        if let Some(sum) = sums.last_mut() {
            sum.totals.add(&totals);
            sum.duration_ms = sum.duration_ms.saturating_add(duration_ms);
            sum.cache_hits = sum.cache_hits.saturating_add(cache_hits);
            sum.models.insert(model);
        }
    }
    Ok(sums)
}

const OLD: &str =
    "SELECT attempt_id FROM attempts WHERE started_at < $1 ORDER BY started_at, attempt_id LIMIT $2";

/// Removes attempts that began before a moment, oldest first and at most so many. Their sums stay.
pub(super) fn purge(session: &mut dyn Session, before: i64, limit: u32) -> Result<u64, Fault> {
    let old = session.query(OLD, &[before.into(), i64::from(limit).into()])?;
    let ids: Vec<String> = old.into_iter().map(|mut row| row.text()).collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut removed = 0;
    for table in ["DELETE FROM attempt_tags", "DELETE FROM attempts"] {
        let mut clauses = Clauses::new(session.dialect());
        clauses.text(table).among("attempt_id", &ids);
        removed = session.execute(&clauses.sql, &clauses.values)?;
    }
    Ok(removed)
}
