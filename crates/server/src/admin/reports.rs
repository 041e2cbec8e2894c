//! Reports of what keys, users, teams, organizations, customers and tags have spent, and how providers' budgets stand.
//!
//! **Invariant:** every figure is a sum over days; no attempt is looked at. **Invariant:** whoever does not see everything
//! gets reports of one's own, or of what the right of the route reaches.

use super::sight::{books, listed, own_days, reached, sees_all, token_of};
use super::span::{DAY, Days};
use super::spend_row::{model_name, spent};
use super::{Desk, Outcome, Problem, Served, asks, looks};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Kind, Scope, ScopeKind, dollars};
use tollgate_policy::clock::Wall;
use tollgate_store::books::{DailyFilter, EntityKind, Group, Sum, SumQuery, Totals, day_of};

/// Reports.
pub(super) const ROUTES: &[Served] = &[
    asks(
        "GET",
        "/global/spend/report",
        |desk| Box::pin(global(desk)),
        "What was spent by team, customer or key",
    ),
    asks("GET", "/key/spend/report", |desk| Box::pin(of_key(desk)), "What a key has spent, by model"),
    asks(
        "GET",
        "/user/spend/report",
        |desk| Box::pin(of_user(desk)),
        "What a user has spent, by key and model",
    ),
    asks("GET", "/team/spend/report", |desk| Box::pin(of_team(desk)), "What teams have spent, by day"),
    asks(
        "GET",
        "/organization/spend/report",
        |desk| Box::pin(of_organization(desk)),
        "What an organization has spent, by key and model",
    ),
    asks(
        "GET",
        "/team/spend/by_user",
        |desk| Box::pin(by_user(desk)),
        "What the members of teams have spent",
    ),
    looks("GET", "/provider/budgets", provider_budgets, "How the budgets of providers stand"),
    asks("GET", "/tag/distinct", |desk| Box::pin(tags(desk)), "Every tag that was used"),
    asks("GET", "/tag/summary", |desk| Box::pin(tag_summary(desk)), "What was done and spent by tag"),
    asks("GET", "/tag/dau", |desk| Box::pin(active(desk, 1)), "Users by tag, of each of the last 7 days"),
    asks("GET", "/tag/wau", |desk| Box::pin(active(desk, 7)), "Users by tag, of each of the last 7 weeks"),
    asks("GET", "/tag/mau", |desk| Box::pin(active(desk, 30)), "Users by tag, of each of the last 7 months"),
];

/// Stretches of time that are told of, in a report of who is active.
const STRETCHES: i64 = 7;
/// Tags that are listed at most.
const TAGS_MAX: u32 = 1_000;

fn over(days: &Days, base: DailyFilter) -> DailyFilter {
    DailyFilter { from_day: Some(days.from.clone()), to_day: Some(days.to.clone()), ..base }
}

async fn sums(desk: &Desk<'_>, filter: DailyFilter, group_by: &[Group]) -> Result<Vec<Sum>, Problem> {
    let query = SumQuery { filter, group_by: group_by.to_vec(), ..SumQuery::default() };
    Ok(books(desk)?.sums(query).await?)
}

fn name(sum: &Sum, place: usize) -> &str {
    sum.keys.get(place).map_or("", String::as_str)
}

fn asked(desk: &Desk<'_>, member: &str) -> Vec<String> {
    listed(desk, member).collect()
}

fn of(entity: EntityKind, ids: Vec<String>) -> DailyFilter {
    DailyFilter { entity, entity_ids: ids, ..DailyFilter::default() }
}

/// What keys have spent, by model; the dearest key first. `with_team` says each key's team too.
async fn keys_by_model(desk: &Desk<'_>, filter: DailyFilter, with_team: bool) -> Outcome {
    let rows = sums(desk, filter, &[Group::ApiKey, Group::Provider, Group::Model]).await?;
    let mut keys: BTreeMap<&str, (Totals, Vec<Value>)> = BTreeMap::new();
    for sum in &rows {
        let key = name(sum, 0);
        let (totals, details) = keys.entry(key).or_default();
        totals.add(&sum.totals);
        let mut detail = Map::new();
        if with_team {
            let found = desk.known(Kind::Key, key);
            let team = found.as_ref().and_then(|key| key.parents.team.as_deref());
            detail.insert("team_id".to_owned(), team.into());
        }
        detail.insert("model".to_owned(), Value::from(model_name(name(sum, 1), name(sum, 2))));
        detail.insert("total_cost".to_owned(), spent(sum.totals.spend));
        detail.insert("total_input_tokens".to_owned(), Value::from(sum.totals.prompt_tokens));
        detail.insert("total_output_tokens".to_owned(), Value::from(sum.totals.completion_tokens));
        details.push(Value::Object(detail));
    }
    let mut keys: Vec<(&str, (Totals, Vec<Value>))> = keys.into_iter().collect();
    keys.sort_by(|one, other| other.1.0.spend.cmp(&one.1.0.spend).then_with(|| one.0.cmp(other.0)));
    let rows = keys.into_iter().map(|(key, (totals, details))| {
        json!({
            "api_key": key,
            "total_cost": spent(totals.spend),
            "total_input_tokens": totals.prompt_tokens,
            "total_output_tokens": totals.completion_tokens,
            "model_details": details,
        })
    });
    Ok(rows.collect())
}

/// What teams or customers have spent by day, by model and key. `words` are the names of the list and of one of it.
async fn by_day(desk: &Desk<'_>, filter: DailyFilter, words: (&str, &str)) -> Outcome {
    let entity = filter.entity;
    let group_by = [Group::Day, Group::Entity, Group::Provider, Group::Model, Group::ApiKey];
    let rows = sums(desk, filter, &group_by).await?;
    let mut days: BTreeMap<&str, BTreeMap<&str, (i128, Vec<Value>)>> = BTreeMap::new();
    for sum in &rows {
        let (spend, details) = days.entry(name(sum, 0)).or_default().entry(name(sum, 1)).or_default();
        *spend = spend.saturating_add(sum.totals.spend);
        details.push(json!({
            "model": model_name(name(sum, 2), name(sum, 3)),
            "spend": spent(sum.totals.spend),
            "total_tokens": sum.totals.total_tokens,
            "api_key": name(sum, 4),
        }));
    }
    let rows = days.into_iter().map(|(day, of)| {
        let of = of.into_iter().map(|(id, (spend, details))| {
            let alias = super::activity::alias(desk, entity, id).filter(|_| entity == EntityKind::Team);
            json!({
                words.1: alias.unwrap_or_else(|| id.to_owned()),
                "total_spend": spent(spend),
                "metadata": details,
            })
        });
        json!({"group_by_day": format!("{day}T00:00:00+00:00"), words.0: of.collect::<Vec<_>>()})
    });
    Ok(rows.collect())
}

const TEAMS: (&str, &str) = ("teams", "team_name");
const CUSTOMERS: (&str, &str) = ("customers", "customer");

async fn global(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let all = |name: &str| listed(desk, name).collect::<Vec<_>>();
    let keys: Vec<String> = all("api_key").iter().map(|key| token_of(key)).collect();
    if !keys.is_empty() {
        return keys_by_model(
            desk,
            over(&days, DailyFilter { api_keys: keys, ..DailyFilter::default() }),
            false,
        )
        .await;
    }
    let (users, teams, customers) = (all("internal_user_id"), all("team_id"), all("customer_id"));
    if !users.is_empty() {
        return keys_by_model(desk, over(&days, of(EntityKind::User, users)), false).await;
    }
    match desk.query.get("group_by").unwrap_or(if customers.is_empty() { "team" } else { "customer" }) {
        "team" => by_day(desk, over(&days, of(EntityKind::Team, teams)), TEAMS).await,
        "customer" => by_day(desk, over(&days, of(EntityKind::EndUser, customers)), CUSTOMERS).await,
        "api_key" => keys_by_model(desk, over(&days, DailyFilter::default()), false).await,
        other => Err(Problem::Bad(
            "group_by",
            format!("'group_by' has to be team, customer or api_key, not {other}"),
        )),
    }
}

async fn of_key(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let own = desk.actor.key.as_ref().map(|key| key.id.to_string());
    let asked = desk.query.get("api_key").map(token_of);
    let key = match (asked, own) {
        (Some(asked), _) if sees_all(desk) => Some(asked),
        (Some(asked), own) if own.as_ref() != Some(&asked) => {
            Some(desk.find(Kind::Key, &asked)?.id.to_string())
        }
        (_, Some(own)) => Some(own),
        (_, None) if sees_all(desk) => None,
        (_, None) => return Err(Problem::Bad("api_key", "'api_key' is missing".to_owned())),
    };
    let filter = DailyFilter { api_keys: key.into_iter().collect(), ..DailyFilter::default() };
    keys_by_model(desk, over(&days, filter), false).await
}

async fn of_user(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let filter = own_days(desk, desk.query.get("internal_user_id").or(desk.query.get("user_id")))?;
    keys_by_model(desk, over(&days, filter), false).await
}

async fn of_team(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let Some(ids) = reached(desk, Kind::Team, &asked(desk, "team_id"))? else { return Ok(json!([])) };
    by_day(desk, over(&days, of(EntityKind::Team, ids)), TEAMS).await
}

async fn of_organization(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let Some(ids) = reached(desk, Kind::Organization, &asked(desk, "organization_id"))? else {
        return Ok(json!([]));
    };
    keys_by_model(desk, over(&days, of(EntityKind::Organization, ids)), true).await
}

async fn by_user(desk: &Desk<'_>) -> Outcome {
    let days = Days::asked_or_recent(desk)?;
    let mut rows = Vec::new();
    if let Some(teams) = reached(desk, Kind::Team, &asked(desk, "team_ids"))? {
        rows = sums(desk, over(&days, of(EntityKind::Member, Vec::new())), &[Group::Entity]).await?;
        rows.retain(|sum| {
            let team = name(sum, 0).split_once('/').map_or("", |(team, _)| team);
            teams.is_empty() || teams.iter().any(|id| id == team)
        });
    }
    rows.sort_by(|one, other| {
        other.totals.spend.cmp(&one.totals.spend).then_with(|| one.keys.cmp(&other.keys))
    });
    let rows = rows.iter().map(|sum| {
        let (team, user) = name(sum, 0).split_once('/').unwrap_or((name(sum, 0), ""));
        let record = desk.known(Kind::User, user);
        let text = |member: &str| record.as_ref().and_then(|user| user.text(member));
        let totals = &sum.totals;
        json!({
            "team_id": team,
            "team_alias": super::activity::alias(desk, EntityKind::Team, team),
            "user_id": user,
            "user_email": text("user_email"),
            "user_alias": text("user_alias"),
            "spend": spent(totals.spend),
            "prompt_tokens": totals.prompt_tokens,
            "completion_tokens": totals.completion_tokens,
            "total_tokens": totals.total_tokens,
            "api_requests": totals.requests,
            "successful_requests": totals.successes,
            "failed_requests": totals.failures,
        })
    });
    Ok(json!({"start_date": days.from, "end_date": days.to, "results": rows.collect::<Vec<_>>()}))
}

const NO_PROVIDER_BUDGETS: &str = "No provider budget config found. Please set a provider budget config in the router \
     settings. https://docs.litellm.ai/docs/proxy/provider_budget_routing";

fn provider_budgets(desk: &Desk<'_>) -> Outcome {
    let mut budgets: Vec<_> = desk.snapshot.toll_rules().providers().collect();
    budgets.sort_by_key(|(name, _)| *name);
    if budgets.is_empty() {
        return Err(Problem::said(404, "not_found_error", NO_PROVIDER_BUDGETS));
    }
    let rows = budgets.into_iter().map(|(name, limits)| {
        let scope = Scope::new(ScopeKind::Provider, name);
        let standing = desk.ledger().accounts().budgets(&scope, limits, desk.now());
        let own = standing.iter().find(|budget| budget.cadence == limits.cadence);
        let resets = own.filter(|budget| budget.cadence.is_some()).map(|budget| budget.period.end.rfc3339());
        let row = json!({
            "budget_limit": limits.budget.map(dollars),
            "time_period": limits.cadence.map(|cadence| cadence.to_string()),
            "spend": dollars(own.map_or(PicoDollars::ZERO, |budget| budget.settled)),
            "budget_reset_at": resets,
        });
        (name.to_owned(), row)
    });
    Ok(json!({"providers": rows.collect::<Map<_, _>>()}))
}

/// The tags that a query asks for; all where it asks for none.
fn wanted_tags(desk: &Desk<'_>) -> DailyFilter {
    let mut tags: Vec<String> = listed(desk, "tag_filters").collect();
    tags.extend(listed(desk, "tag_filter"));
    of(EntityKind::Tag, tags)
}

async fn tags(desk: &Desk<'_>) -> Outcome {
    let query = SumQuery {
        filter: of(EntityKind::Tag, Vec::new()),
        group_by: vec![Group::Entity],
        by_spend: true,
        limit: Some(TAGS_MAX),
    };
    let rows = books(desk)?.sums(query).await?;
    Ok(json!({"results": rows.iter().map(|sum| json!({"tag": name(sum, 0)})).collect::<Vec<_>>()}))
}

/// Who a key is used by: its user, or else the key itself.
fn user_of(desk: &Desk<'_>, key: &str) -> String {
    let user = desk.known(Kind::Key, key).and_then(|key| key.parents.user.clone());
    user.map_or_else(|| key.to_owned(), |user| user.to_string())
}

async fn tag_summary(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let rows = sums(desk, over(&days, wanted_tags(desk)), &[Group::Entity, Group::ApiKey]).await?;
    let mut tags: BTreeMap<&str, (Totals, BTreeSet<String>)> = BTreeMap::new();
    for sum in &rows {
        let (totals, users) = tags.entry(name(sum, 0)).or_default();
        totals.add(&sum.totals);
        users.insert(user_of(desk, name(sum, 1)));
    }
    let mut tags: Vec<_> = tags.into_iter().collect();
    tags.sort_by(|one, other| other.1.0.requests.cmp(&one.1.0.requests).then_with(|| one.0.cmp(other.0)));
    let rows = tags.into_iter().map(|(tag, (totals, users))| {
        json!({
            "tag": tag,
            "unique_users": users.len(),
            "total_requests": totals.requests,
            "successful_requests": totals.successes,
            "failed_requests": totals.failures,
            "total_tokens": totals.total_tokens,
            "total_spend": spent(totals.spend),
        })
    });
    Ok(json!({"results": rows.collect::<Vec<_>>()}))
}

/// Users by tag in each of the last stretches of so many days, the last one first.
async fn active(desk: &Desk<'_>, length: i64) -> Outcome {
    let days = Days::last(desk.now(), STRETCHES.saturating_mul(length));
    let filter = over(&days, wanted_tags(desk));
    let rows = sums(desk, filter, &[Group::Entity, Group::Day, Group::ApiKey]).await?;
    let mut results = Vec::new();
    for stretch in 0..STRETCHES {
        let (first, last) = stretch_days(desk.now(), length, stretch);
        let mut tags: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for sum in rows.iter().filter(|sum| (first.as_str()..=last.as_str()).contains(&name(sum, 1))) {
            tags.entry(name(sum, 0)).or_default().insert(user_of(desk, name(sum, 2)));
        }
        results.extend(tags.into_iter().map(|(tag, users)| {
            let period = (length > 1).then_some((&first, &last));
            json!({
                "tag": tag,
                "active_users": users.len(),
                "date": last,
                "period_start": period.map(|(first, _)| first),
                "period_end": period.map(|(_, last)| last),
            })
        }));
    }
    Ok(json!({"results": results}))
}

/// The first and the last day of a stretch; 0 is the one that ends today.
fn stretch_days(now: Wall, length: i64, back: i64) -> (String, String) {
    let last = now.micros().saturating_sub(DAY * length * back);
    (day_of(last.saturating_sub(DAY * (length - 1))), day_of(last))
}
