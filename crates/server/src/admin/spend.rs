//! `/spend/*`: single attempts, and what keys, users and tags have spent.
//!
//! Owns which attempts a query asks for. Leaves how a row is written to `spend_row`, whose it may be to `sight`.
//!
//! **Invariant:** whoever does not see everything sees what is of one's own, whatever the query asks for.

use super::sight::{Sight, books, listed, own_days, token_of, with_keys};
use super::span::{Days, Edge, bound};
use super::spend_row::{self, Form, spent};
use super::{Desk, Outcome, Problem, Served, asks, looks};
use crate::counting::count_here;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_catalog::{PicoDollars, Prices, Usage, cost};
use tollgate_identity::Kind;
use tollgate_identity::reply;
use tollgate_store::books::{
    DailyFilter, EntityKind, Group, LogFilter, LogOrder, LogPage, LogQuery, Page, Status, SumQuery, Totals,
};

/// What was spent, attempt by attempt and by whom.
pub(super) const ROUTES: &[Served] = &[
    asks("GET", "/spend/logs", |desk| Box::pin(logs(desk)), "What was spent, by day or attempt by attempt"),
    asks("GET", "/spend/logs/v2", |desk| Box::pin(listing(desk, false)), "Attempts, page by page"),
    asks(
        "GET",
        "/spend/logs/ui",
        |desk| Box::pin(listing(desk, true)),
        "Attempts and their sessions, by page",
    ),
    asks("GET", "/spend/logs/ui/{request_id}", |desk| Box::pin(said(desk)), "What was said in an attempt"),
    asks("GET", "/spend/logs/session/ui", |desk| Box::pin(session(desk)), "The attempts of a session"),
    looks("GET", "/spend/keys", keys, "Keys, the one that has spent most first"),
    looks("GET", "/spend/users", users, "Users, the one that has spent most first"),
    asks("POST", "/spend/calculate", |desk| Box::pin(calculate(desk)), "What a request costs, or has cost"),
    asks("GET", "/spend/tags", |desk| Box::pin(tags(desk)), "What was spent by tag"),
];

/// Most attempts of an answer without pages.
const ROWS_MAX: u32 = 10_000;
/// Most attempts of a page, and how many are on it where nothing is said.
const PAGE_MAX: u32 = 1_000;
const PAGE: u32 = 50;

/// The attempts that a query asks for; none where it asks for what cannot be there.
fn filter(desk: &Desk<'_>) -> Result<Option<LogFilter>, Problem> {
    let query = &desk.query;
    let all = |name: &str| listed(desk, name).collect::<Vec<_>>();
    let cost = |name: &'static str| -> Result<Option<i128>, Problem> {
        let Some(text) = query.get(name) else { return Ok(None) };
        PicoDollars::parse_dollars(text)
            .map(|amount| Some(amount.0))
            .map_err(|_| Problem::Bad(name, format!("'{name}' has to be an amount of US dollars")))
    };
    let (provider, model) = match query.get("model").map(|name| (name, name.split_once('/'))) {
        Some((_, Some((provider, model)))) if tollgate_catalog::provider(provider).is_some() => {
            (Some(provider), Some(model))
        }
        Some((name, _)) => (None, Some(name)),
        None => (None, None),
    };
    let texts = |text: Option<&str>| text.map(str::to_owned).into_iter().collect::<Vec<_>>();
    let mut filter = LogFilter {
        from: bound(desk, "start_date", Edge::First)?,
        to: bound(desk, "end_date", Edge::Last)?.map(|last| last.saturating_add(1)),
        session_ids: all("session_id"),
        api_keys: all("api_key").iter().map(|key| token_of(key)).collect(),
        user_ids: all("user_id"),
        team_ids: all("team_id"),
        end_users: all("end_user"),
        models: texts(model),
        providers: texts(provider),
        model_ids: all("model_id"),
        model_groups: all("model_group"),
        tags: all("tags"),
        status: match query.get("status_filter") {
            Some("success") => Some(Status::Success),
            Some("failure") => Some(Status::Failure),
            Some(other) => {
                let message = format!("'status_filter' has to be success or failure, not {other}");
                return Err(Problem::Bad("status_filter", message));
            }
            None => None,
        },
        status_code: query.number("error_code").and_then(|code| u16::try_from(code).ok()),
        cache_hit: match query.get("cache_hit_filter") {
            Some("hit") => Some(true),
            Some("miss") => Some(false),
            Some(other) => return Err(invalid("cache_hit_filter", other, "hit, miss")),
            None => None,
        },
        cost_min: cost("min_spend")?,
        cost_max: cost("max_spend")?,
        search: query.get("search").or(query.get("error_message")).map(str::to_owned),
        ..LogFilter::default()
    };
    if let Some(alias) = query.get("key_alias") {
        let named = desk.all(Kind::Key).into_iter().filter(|key| key.alias() == Some(alias));
        let named: Vec<String> = named.map(|key| key.id.to_string()).collect();
        if named.is_empty() {
            return Ok(None);
        }
        filter.api_keys.extend(named);
    }
    Ok(Sight::of(desk).narrow(&mut filter).then_some(filter))
}

/// The attempts of a query, by the id that a caller was given, or else by the gateway's own.
async fn read(desk: &Desk<'_>, mut query: LogQuery) -> Result<LogPage, Problem> {
    let Some(id) = desk.query.get("request_id") else { return kept(desk, query).await };
    query.filter.request_ids = vec![id.to_owned()];
    let found = kept(desk, query.clone()).await?;
    if found.total > 0 {
        return Ok(found);
    }
    query.filter.call_ids = std::mem::take(&mut query.filter.request_ids);
    kept(desk, query).await
}

/// The attempts of a query, where rows of requests are kept.
async fn kept(desk: &Desk<'_>, query: LogQuery) -> Result<LogPage, Problem> {
    if !desk.snapshot.config().ledger.keeps_rows {
        return Ok(LogPage::default());
    }
    Ok(books(desk)?.spend_logs(query).await?)
}

async fn logs(desk: &Desk<'_>) -> Outcome {
    let has_days = desk.query.get("start_date").is_some() && desk.query.get("end_date").is_some();
    let is_one = desk.query.get("request_id").is_some();
    if has_days && !is_one && desk.query.flag("summarize")?.unwrap_or(true) {
        return summary(desk).await;
    }
    let Some(filter) = filter(desk)? else { return Ok(json!([])) };
    let page = Page { offset: 0, limit: ROWS_MAX };
    let found = read(desk, LogQuery { filter, page, with_bodies: true, ..LogQuery::default() }).await?;
    Ok(found.rows.iter().map(|row| Value::Object(spend_row::write(row, Form::Whole))).collect())
}

/// One day of the summary.
#[derive(Default)]
struct Day {
    all: Totals,
    keys: BTreeMap<String, i128>,
    users: BTreeMap<String, Totals>,
    models: BTreeMap<String, i128>,
}

/// What was spent by day: by key, by user and by model.
async fn summary(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let base = own_days(desk, desk.query.get("user_id"))?;
    let Some(base) = with_keys(desk, base) else { return Ok(json!([])) };
    let base = DailyFilter { from_day: Some(days.from), to_day: Some(days.to.clone()), ..base };
    let group_by = vec![Group::Day, Group::ApiKey, Group::Provider, Group::Model];
    let sums = books(desk)?.sums(SumQuery { filter: base.clone(), group_by, ..SumQuery::default() }).await?;
    let mut found: BTreeMap<String, Day> = BTreeMap::new();
    for sum in &sums {
        let [day, key, provider, model] = sum.keys.as_slice() else { continue };
        let day = found.entry(day.clone()).or_default();
        day.all.add(&sum.totals);
        *day.keys.entry(key.clone()).or_default() += sum.totals.spend;
        *day.models.entry(spend_row::model_name(provider, model)).or_default() += sum.totals.spend;
    }
    let of_users = match base.entity {
        EntityKind::Global => DailyFilter { entity: EntityKind::User, ..base },
        _ => base,
    };
    let group_by = vec![Group::Day, Group::Entity];
    for sum in books(desk)?.sums(SumQuery { filter: of_users, group_by, ..SumQuery::default() }).await? {
        let [day, user] = sum.keys.as_slice() else { continue };
        let user = user.rsplit_once('/').map_or(user.as_str(), |(_, user)| user);
        if let Some(day) = found.get_mut(day) {
            day.users.entry(user.to_owned()).or_default().add(&sum.totals);
        }
    }
    let mut written: Vec<Value> = found.iter().map(|(day, of)| of.write(day)).collect();
    if found.last_key_value().is_some_and(|(last, _)| *last < days.to) {
        written.push(json!({"startTime": days.to, "spend": 0, "users": {}, "models": {}}));
    }
    Ok(Value::Array(written))
}

impl Day {
    fn write(&self, day: &str) -> Value {
        let amounts = |of: &BTreeMap<String, i128>| -> Map<String, Value> {
            of.iter().map(|(name, amount)| (name.clone(), spent(*amount))).collect()
        };
        let mut named = Totals::default();
        let mut users = Map::new();
        self.users.values().for_each(|totals| named.add(totals));
        // What is nobody's is the rest.
        if named.requests < self.all.requests || named.spend != self.all.spend {
            users.insert(String::new(), spent(self.all.spend - named.spend));
        }
        users.extend(self.users.iter().map(|(user, totals)| (user.clone(), spent(totals.spend))));
        let mut written = amounts(&self.keys);
        written.insert("startTime".to_owned(), Value::from(day));
        written.insert("spend".to_owned(), spent(self.all.spend));
        written.insert("users".to_owned(), Value::Object(users));
        written.insert("models".to_owned(), Value::Object(amounts(&self.models)));
        Value::Object(written)
    }
}

/// LiteLLM's words for a value that a parameter may not have.
fn invalid(name: &'static str, value: &str, known: &str) -> Problem {
    let shown: String = value.chars().filter(|letter| !letter.is_control()).take(100).collect();
    Problem::Bad(name, format!("Invalid {name}: {shown}. Must be one of: {known}"))
}

/// What the attempts are ordered by, and whether the least comes first.
fn order(desk: &Desk<'_>) -> Result<(LogOrder, bool), Problem> {
    let by = match desk.query.get("sort_by") {
        Some("endTime") => LogOrder::Ended,
        Some("spend") => LogOrder::Cost,
        Some("total_tokens") => LogOrder::TotalTokens,
        Some("request_duration_ms" | "duration") => LogOrder::Duration,
        Some("ttft_ms" | "completionStartTime") => LogOrder::FirstToken,
        Some("model_group") => LogOrder::ModelGroup,
        Some("model") => LogOrder::Model,
        Some("startTime") | None => LogOrder::Started,
        Some(other) => {
            let known = "endTime, model, request_duration_ms, spend, startTime, total_tokens, ttft_ms";
            return Err(invalid("sort_by", other, known));
        }
    };
    match desk.query.get("sort_order").map(str::to_ascii_lowercase).as_deref() {
        Some("asc") => Ok((by, true)),
        Some("desc") | None => Ok((by, false)),
        Some(other) => Err(invalid("sort_order", other, "asc, desc")),
    }
}

/// The page that is asked for: its number, and what is on it.
pub(super) fn page(desk: &Desk<'_>) -> Result<(u64, Page), Problem> {
    let number = desk.query.count("page", None)?.unwrap_or(1);
    let size = desk.query.count("page_size", Some(PAGE_MAX.into()))?;
    let size = size.and_then(|size| u32::try_from(size).ok()).unwrap_or(PAGE);
    Ok((number, Page { offset: (number - 1).saturating_mul(size.into()), limit: size }))
}

async fn listing(desk: &Desk<'_>, with_sessions: bool) -> Outcome {
    let (number, page) = page(desk)?;
    let (order, ascending) = order(desk)?;
    let found = match filter(desk)? {
        Some(filter) => {
            let query = LogQuery { filter, order, ascending, page, with_bodies: false };
            read(desk, query).await?
        }
        None => LogPage::default(),
    };
    let rows = if with_sessions {
        with_session_sums(desk, &found).await?
    } else {
        found.rows.iter().map(|row| Value::Object(spend_row::write(row, Form::Listed))).collect()
    };
    Ok(json!({
        "data": rows,
        "total": found.total,
        "page": number,
        "page_size": page.limit,
        "total_pages": found.total.div_ceil(u64::from(page.limit)),
        "total_is_capped": found.is_capped,
    }))
}

async fn with_session_sums(desk: &Desk<'_>, found: &LogPage) -> Result<Vec<Value>, Problem> {
    let mut ids: Vec<String> = found.rows.iter().map(|row| row.session_id.clone()).collect();
    ids.retain(|id| !id.is_empty());
    ids.sort_unstable();
    ids.dedup();
    // The sums of a session are of all who took part in it.
    let sums =
        if Sight::of(desk).is_everything() { books(desk)?.session_sums(ids).await? } else { Vec::new() };
    let rows = found.rows.iter().map(|row| {
        let mut written = spend_row::write(row, Form::Listed);
        spend_row::add_session(&mut written, row, sums.iter().find(|sum| sum.session_id == row.session_id));
        Value::Object(written)
    });
    Ok(rows.collect())
}

/// The attempts of a session, the first one first.
async fn session(desk: &Desk<'_>) -> Outcome {
    if desk.query.get("session_id").is_none() {
        return Err(Problem::Bad("session_id", "'session_id' is missing".to_owned()));
    }
    let (number, page) = page(desk)?;
    let found = match filter(desk)? {
        Some(filter) => kept(desk, LogQuery { filter, page, ascending: true, ..LogQuery::default() }).await?,
        None => LogPage::default(),
    };
    let rows = found.rows.iter().map(|row| Value::Object(spend_row::write(row, Form::Listed)));
    Ok(json!({
        "data": rows.collect::<Vec<_>>(),
        "total": found.total,
        "page": number,
        "page_size": page.limit,
        "total_pages": found.total.div_ceil(u64::from(page.limit)),
    }))
}

/// What was said in an attempt, where conversations are kept.
async fn said(desk: &Desk<'_>) -> Outcome {
    let id = desk.param("request_id").to_owned();
    let mut filter = LogFilter { request_ids: vec![id], ..LogFilter::default() };
    if !Sight::of(desk).narrow(&mut filter) {
        return Ok(Value::Null);
    }
    let page = Page { offset: 0, limit: 1 };
    let found = kept(desk, LogQuery { filter, page, with_bodies: true, ..LogQuery::default() }).await?;
    let Some(row) = found.rows.first() else { return Ok(Value::Null) };
    let mut written = spend_row::write(row, Form::Whole);
    let mut take = |name: &str| written.shift_remove(name).unwrap_or_default();
    Ok(json!({
        "messages": take("messages"),
        "response": take("response"),
        "proxy_server_request": take("proxy_server_request"),
        "metadata": take("metadata"),
    }))
}

fn keys(desk: &Desk<'_>) -> Outcome {
    let mut keys: Vec<_> = desk.all(Kind::Key).into_iter().map(|key| (desk.amounts(&key), key)).collect();
    keys.sort_by(|(one, a), (other, b)| other.spend.cmp(&one.spend).then_with(|| a.id.cmp(&b.id)));
    let limit = desk.query.number("limit").and_then(|limit| usize::try_from(limit).ok());
    let rows = keys
        .iter()
        .take(limit.unwrap_or(usize::MAX))
        .map(|(amounts, key)| reply::spend::key(key, amounts, &desk.clock()));
    Ok(rows.collect())
}

fn users(desk: &Desk<'_>) -> Outcome {
    let wanted = desk.query.get("user_id");
    let mut users: Vec<_> = desk.all(Kind::User);
    users.retain(|user| wanted.is_none_or(|wanted| &*user.id == wanted));
    let mut users: Vec<_> = users.into_iter().map(|user| (desk.amounts(&user), user)).collect();
    users.sort_by(|(one, a), (other, b)| other.spend.cmp(&one.spend).then_with(|| a.id.cmp(&b.id)));
    let directory = desk.ledger().directory();
    let rows = users.iter().map(|(amounts, user)| {
        let joined = directory.children(Kind::User, &user.id, Kind::Member);
        let teams = joined.filter_map(|member| member.parents.team.as_deref().map(Value::from)).collect();
        let keys = directory.children(Kind::User, &user.id, Kind::Key);
        let aliases: Vec<Value> = keys.map(|key| key.alias().map_or(Value::Null, Value::from)).collect();
        reply::spend::user(user, amounts, (teams, aliases), &desk.clock())
    });
    Ok(rows.collect())
}

async fn tags(desk: &Desk<'_>) -> Outcome {
    let days = Days::asked(desk)?;
    let filter = DailyFilter {
        entity: EntityKind::Tag,
        from_day: days.as_ref().map(|days| days.from.clone()),
        to_day: days.map(|days| days.to),
        ..DailyFilter::default()
    };
    let query = SumQuery { filter, group_by: vec![Group::Entity], by_spend: true, ..SumQuery::default() };
    let rows = books(desk)?.sums(query).await?;
    let rows = rows.iter().map(|sum| {
        let tag = sum.keys.first().map(String::as_str);
        json!({
            "individual_request_tag": tag,
            "log_count": sum.totals.requests,
            "total_spend": spent(sum.totals.spend),
        })
    });
    Ok(rows.collect())
}

/// By which prices a name is billed, and the model as its provider names it: those of a deployment of ours, else the
/// catalogue's.
fn prices_of(desk: &Desk<'_>, model: &str) -> Option<(Prices, String)> {
    let group = desk.snapshot.group(desk.worker.gateway.metrics(), model);
    let target = group.as_ref().and_then(|group| group.targets().first().map(Arc::clone));
    if let Some(target) = target {
        return Some((target.prices.clone(), target.model.clone()));
    }
    let found = match model.split_once('/') {
        Some((provider, model)) => tollgate_catalog::model(provider, model),
        None => tollgate_catalog::model("openai", model),
    };
    let found = found.or_else(|| tollgate_catalog::model::model_by_key(model))?;
    Some((found.prices, model.to_owned()))
}

/// What a reply says that it used.
fn usage_of(reply: &Value) -> Usage {
    let count = |path: &str| reply.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let either = |one: &str, other: &str| count(one).max(count(other));
    Usage {
        input_tokens: either("/usage/prompt_tokens", "/usage/input_tokens"),
        cached_tokens: either(
            "/usage/prompt_tokens_details/cached_tokens",
            "/usage/input_tokens_details/cached_tokens",
        ),
        output_tokens: either("/usage/completion_tokens", "/usage/output_tokens"),
        reasoning_tokens: either(
            "/usage/completion_tokens_details/reasoning_tokens",
            "/usage/output_tokens_details/reasoning_tokens",
        ),
        ..Usage::default()
    }
}

async fn calculate(desk: &Desk<'_>) -> Outcome {
    let reply = desk.body.get("completion_response").filter(|reply| reply.is_object());
    let named = desk.body.get("model").and_then(Value::as_str);
    let named = named.or_else(|| reply?.get("model").and_then(Value::as_str));
    let missing = "Bad Request - Either 'model' or 'completion_response' must be provided";
    let named = named.ok_or_else(|| Problem::Bad("model", missing.to_owned()))?;
    let unpriced = || Problem::Bad("model", format!("This model isn't mapped yet. model={named}"));
    let (prices, model) = prices_of(desk, named).ok_or_else(unpriced)?;
    let usage = match (reply, desk.body.get("messages")) {
        (Some(reply), _) => usage_of(reply),
        (None, Some(messages)) => {
            let body = json!({"model": named, "messages": messages}).to_string();
            let request = tollgate_dialect::openai::decode_chat(body.as_bytes())
                .map_err(|error| Problem::Bad("messages", error.message))?;
            Usage { input_tokens: count_here(&request, &model).await, ..Usage::default() }
        }
        (None, None) => {
            let words = "Bad Request - Either 'messages' or 'completion_response' must be provided";
            return Err(Problem::Bad("messages", words.to_owned()));
        }
    };
    let cost = cost(&prices, &usage, None).ok_or_else(unpriced)?;
    Ok(json!({"cost": spent(cost.total.0)}))
}
