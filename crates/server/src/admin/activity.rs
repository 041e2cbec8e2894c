//! `/user|team|organization|customer|tag/daily/activity` and their forms: what was done by day, taken apart by model,
//! provider and key.
//!
//! Owns whose days are asked for. Leaves the sums to `activity_sums`.
//!
//! **Invariant:** a caller who may not see everybody's days gets those of its own user, key, teams or organizations.

use super::activity_sums::{Breakdown, key_metadata, key_metrics, metrics, whole};
use super::sight::{books, listed, own_days, reached, with_keys};
use super::span::Days;
use super::spend::page;
use super::spend_row::{model_name, spent};
use super::{Desk, Outcome, Problem, Served, asks};
use serde_json::{Value, json};
use tollgate_identity::Kind;
use tollgate_store::books::{DailyFilter, DailyRow, EntityKind, Group, Page, Sum, SumQuery};

macro_rules! routes {
    ($($of:literal)*) => { &[$(
        asks("GET", concat!("/", $of, "/daily/activity"), |desk| Box::pin(paged(desk)), "Days, page by page"),
        asks("GET", concat!("/", $of, "/daily/activity/aggregated"), |desk| Box::pin(aggregated(desk)), "Days"),
        asks(
            "GET",
            concat!("/", $of, "/daily/activity/aggregated/keys"),
            |desk| Box::pin(keys(desk)),
            "The keys of these days, the dearest first",
        ),
        asks(
            "GET",
            concat!("/", $of, "/daily/activity/aggregated/model_top_keys"),
            |desk| Box::pin(top_keys(desk)),
            "The keys that spent most on a model",
        ),
        asks(
            "GET",
            concat!("/", $of, "/daily/activity/aggregated/search"),
            |desk| Box::pin(search(desk)),
            "Keys by their alias or id",
        ),
        asks("GET", concat!("/", $of, "/daily/activity/export"), |desk| Box::pin(export(desk)), "Days, as rows"),
    )*] };
}

/// What was done by day.
pub(super) const ROUTES: &[Served] = routes!("user" "team" "organization" "customer" "tag");

/// Rows that are read at once.
const ROWS: u32 = 5_000;
/// Rows of days that a report without pages is made of, at most.
const ROWS_MAX: u64 = 500_000;
/// Keys of a list, where nothing is said, and at most.
const KEYS: usize = 50;
const KEYS_MAX: usize = 1_000;

/// Whose days a route is about.
fn entity(desk: &Desk<'_>) -> EntityKind {
    match desk.row.path.trim_start_matches('/').split('/').next() {
        Some("team") => EntityKind::Team,
        Some("organization") => EntityKind::Organization,
        Some("customer") => EntityKind::EndUser,
        Some("tag") => EntityKind::Tag,
        _ => EntityKind::User,
    }
}

/// Whose days they are; none where nobody's are.
fn filter(desk: &Desk<'_>) -> Result<Option<DailyFilter>, Problem> {
    let days = Days::needed(desk)?;
    let all = |name: &str| listed(desk, name).collect::<Vec<_>>();
    let (ids, without) = match entity(desk) {
        EntityKind::Team => ("team_ids", "exclude_team_ids"),
        EntityKind::Organization => ("organization_ids", "exclude_organization_ids"),
        EntityKind::EndUser => ("end_user_ids", "exclude_end_user_ids"),
        EntityKind::Tag => ("tags", "exclude_tags"),
        _ => ("user_id", "exclude_user_ids"),
    };
    let base = match entity(desk) {
        EntityKind::User => own_days(desk, desk.query.get(ids))?,
        entity @ (EntityKind::Team | EntityKind::Organization) => {
            let kind = if entity == EntityKind::Team { Kind::Team } else { Kind::Organization };
            let Some(entity_ids) = reached(desk, kind, &all(ids))? else { return Ok(None) };
            DailyFilter { entity, entity_ids, ..DailyFilter::default() }
        }
        entity => DailyFilter { entity, entity_ids: all(ids), ..DailyFilter::default() },
    };
    let mut filter =
        DailyFilter { without_ids: all(without), from_day: Some(days.from), to_day: Some(days.to), ..base };
    for model in all("model") {
        match model.split_once('/').filter(|(name, _)| tollgate_catalog::provider(name).is_some()) {
            Some((provider, model)) => {
                filter.providers.push(provider.to_owned());
                filter.models.push(model.to_owned());
            }
            None => filter.models.push(model),
        }
    }
    Ok(with_keys(desk, filter))
}

/// The same days by user, where they are those of everybody.
fn by_user(desk: &Desk<'_>, filter: &DailyFilter) -> Option<DailyFilter> {
    let is_whole = entity(desk) == EntityKind::User && filter.entity == EntityKind::Global;
    is_whole.then(|| DailyFilter { entity: EntityKind::User, ..filter.clone() })
}

async fn paged(desk: &Desk<'_>) -> Outcome {
    let (number, page) = page(desk)?;
    let mut breakdown = Breakdown::default();
    let mut total = 0;
    if let Some(filter) = filter(desk)? {
        if let Some(by_user) = by_user(desk, &filter) {
            let found = books(desk)?.daily(by_user, page).await?;
            found.rows.iter().for_each(|row| breakdown.add_entity(row));
            total = found.total;
        }
        let found = books(desk)?.daily(filter, page).await?;
        found.rows.iter().for_each(|row| breakdown.add(row));
        total = total.max(found.total);
    }
    let pages = total.div_ceil(u64::from(page.limit));
    let told = json!({"page": number, "total_pages": pages, "has_more": number < pages});
    Ok(whole(desk, &breakdown, entity(desk), &told))
}

/// Every row of the days.
async fn read(desk: &Desk<'_>, filter: &DailyFilter) -> Result<Breakdown, Problem> {
    let mut breakdown = Breakdown::default();
    each_row(desk, filter, |row| breakdown.add(row)).await?;
    if let Some(by_user) = by_user(desk, filter) {
        each_row(desk, &by_user, |row| breakdown.add_entity(row)).await?;
    }
    Ok(breakdown)
}

async fn each_row(
    desk: &Desk<'_>,
    filter: &DailyFilter,
    mut take: impl FnMut(&DailyRow),
) -> Result<(), Problem> {
    let mut offset = 0;
    loop {
        let found = books(desk)?.daily(filter.clone(), Page { offset, limit: ROWS }).await?;
        found.rows.iter().for_each(&mut take);
        offset += u64::from(ROWS);
        if offset >= found.total {
            return Ok(());
        }
        if offset >= ROWS_MAX {
            let words = "there are too many rows: ask for fewer days, or for days page by page";
            return Err(Problem::Bad("start_date", words.to_owned()));
        }
    }
}

async fn aggregated(desk: &Desk<'_>) -> Outcome {
    let mut breakdown = match filter(desk)? {
        Some(filter) => read(desk, &filter).await?,
        None => Breakdown::default(),
    };
    let limit = desk.query.number("api_key_limit").and_then(|limit| usize::try_from(limit).ok());
    let mut told = json!({"page": 1, "total_pages": 1, "has_more": false});
    if let Some(limit) = limit {
        told["api_key_limit"] = Value::from(limit);
        told["total_api_keys"] = Value::from(breakdown.keep_keys(limit));
    }
    Ok(whole(desk, &breakdown, entity(desk), &told))
}

/// Sums by key, the dearest first.
async fn by_key(desk: &Desk<'_>, filter: Option<DailyFilter>) -> Result<Vec<Sum>, Problem> {
    let Some(filter) = filter else { return Ok(Vec::new()) };
    let query = SumQuery { filter, group_by: vec![Group::ApiKey], by_spend: true, limit: None };
    Ok(books(desk)?.sums(query).await?)
}

fn key_of(sum: &Sum) -> &str {
    sum.keys.first().map_or("", String::as_str)
}

fn key_row(desk: &Desk<'_>, sum: &Sum) -> Value {
    let key = key_of(sum);
    json!({"api_key": key, "metrics": key_metrics(&sum.totals), "metadata": key_metadata(desk, key)})
}

fn limit(desk: &Desk<'_>) -> usize {
    let asked = desk.query.number("limit").and_then(|limit| usize::try_from(limit).ok());
    asked.unwrap_or(KEYS).clamp(1, KEYS_MAX)
}

async fn keys(desk: &Desk<'_>) -> Outcome {
    let found = by_key(desk, filter(desk)?).await?;
    let offset = desk.query.number("offset").and_then(|offset| usize::try_from(offset).ok()).unwrap_or(0);
    let limit = limit(desk);
    let rows: Vec<Value> = found.iter().skip(offset).take(limit).map(|sum| key_row(desk, sum)).collect();
    Ok(json!({"api_keys": rows, "total_api_keys": found.len(), "offset": offset, "limit": limit}))
}

async fn top_keys(desk: &Desk<'_>) -> Outcome {
    let missing = || Problem::Bad("model_group", "'model_group' is missing".to_owned());
    let model = desk.query.get("model_group").ok_or_else(missing)?;
    let is_group = desk.query.flag("by_model_group")?.unwrap_or(true);
    let filter = filter(desk)?.map(|filter| match (is_group, model.split_once('/')) {
        (true, _) => DailyFilter { model_groups: vec![model.to_owned()], ..filter },
        (false, Some((provider, model))) if tollgate_catalog::provider(provider).is_some() => {
            DailyFilter { models: vec![model.to_owned()], providers: vec![provider.to_owned()], ..filter }
        }
        (false, _) => DailyFilter { models: vec![model.to_owned()], ..filter },
    });
    let found = by_key(desk, filter).await?;
    let rows: Vec<Value> = found.iter().take(limit(desk)).map(|sum| key_row(desk, sum)).collect();
    Ok(json!({"model": model, "by_model_group": is_group, "api_keys": rows}))
}

async fn search(desk: &Desk<'_>) -> Outcome {
    let missing = || Problem::Bad("search", "'search' is missing".to_owned());
    let text = desk.query.get("search").ok_or_else(missing)?.to_lowercase();
    let found = by_key(desk, filter(desk)?).await?;
    let fits = |sum: &&Sum| {
        let key = desk.known(Kind::Key, key_of(sum));
        let alias = key.as_ref().and_then(|key| key.alias());
        key_of(sum).starts_with(&text) || alias.is_some_and(|alias| alias.to_lowercase().contains(&text))
    };
    let rows = found.iter().filter(fits).take(limit(desk)).map(|sum| {
        let key = key_of(sum);
        json!({"api_key": key, "metrics": metrics(&sum.totals), "metadata": key_metadata(desk, key)})
    });
    Ok(json!({"api_keys": rows.collect::<Vec<_>>()}))
}

/// Rows as LiteLLM exports them, by day and whose they are; with `export_type` also by key, by model or by user.
async fn export(desk: &Desk<'_>) -> Outcome {
    if desk.query.get("format").is_some_and(|format| format != "json") {
        return Err(Problem::Bad("format", "rows are exported as json".to_owned()));
    }
    let kind = desk.query.get("export_type").unwrap_or("daily");
    let more: &[Group] = match kind {
        "daily" => &[],
        "daily_with_keys" | "daily_with_users" => &[Group::ApiKey],
        "daily_with_models" => &[Group::Provider, Group::Model],
        other => return Err(Problem::Bad("export_type", format!("there is no export_type {other}"))),
    };
    let Some(filter) = filter(desk)? else { return Ok(json!([])) };
    let group_by = [&[Group::Day, Group::Entity], more].concat();
    let rows = books(desk)?.sums(SumQuery { filter, group_by, ..SumQuery::default() }).await?;
    Ok(rows.iter().map(|sum| exported(desk, kind, sum)).collect())
}

fn exported(desk: &Desk<'_>, kind: &str, sum: &Sum) -> Value {
    let name = |place: usize| sum.keys.get(place).map_or("", String::as_str);
    let (with_key, with_user) = (kind == "daily_with_keys", kind == "daily_with_users");
    let key = (with_key || with_user).then(|| key_metadata(desk, name(2)));
    let of_key = |member: &str| key.as_ref().map(|key| key[member].clone()).unwrap_or_default();
    let model = (kind == "daily_with_models").then(|| model_name(name(2), name(3)));
    let totals = &sum.totals;
    json!({
        "date": name(0),
        "entity_id": name(1),
        "entity_alias": alias(desk, entity(desk), name(1)),
        "api_key": with_key.then(|| name(2)),
        "key_alias": if with_key { of_key("key_alias") } else { Value::Null },
        "user_id": of_key("user_id"),
        "user_email": of_key("user_email"),
        "model": model,
        "spend": spent(totals.spend),
        "flat_cost": 0.0,
        "prompt_tokens": totals.prompt_tokens,
        "completion_tokens": totals.completion_tokens,
        "api_requests": totals.requests,
        "successful_requests": totals.successes,
        "failed_requests": totals.failures,
        "cache_read_input_tokens": totals.cache_read_tokens,
        "cache_creation_input_tokens": totals.cache_write_tokens,
    })
}

/// What people call somebody.
pub(super) fn alias(desk: &Desk<'_>, entity: EntityKind, id: &str) -> Option<String> {
    let (kind, member) = match entity {
        EntityKind::Team => (Kind::Team, "team_alias"),
        EntityKind::Organization => (Kind::Organization, "organization_alias"),
        EntityKind::User => (Kind::User, "user_alias"),
        EntityKind::EndUser => (Kind::Customer, "alias"),
        _ => return None,
    };
    desk.known(kind, id)?.text(member)
}
