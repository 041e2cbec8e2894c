//! `/global/*`: what everybody has spent together, and how much there was to do.
//!
//! **Invariant:** every figure is a sum over days, as `books` keeps them; no attempt is looked at.

use super::change::Change;
use super::sight::{books, listed, token_of};
use super::span::{Days, Edge, moment, spoken_day};
use super::spend_row::{model_name, spent};
use super::{Desk, Outcome, Problem, Served, asks};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Kind, Scope, dollars};
use tollgate_ledger::{Charge, scope_of};
use tollgate_policy::clock::Wall;
use tollgate_store::books::{DailyFilter, EntityKind, Group, Settled, Sum, SumQuery, Totals, day_of};

/// Sums over everybody.
pub(super) const ROUTES: &[Served] = &[
    asks("GET", "/global/spend", |desk| Box::pin(spend(desk)), "What was ever spent"),
    asks(
        "GET",
        "/global/spend/logs",
        |desk| Box::pin(logs(desk)),
        "What was spent in the last 30 days, by day",
    ),
    asks(
        "GET",
        "/global/spend/keys",
        |desk| Box::pin(keys(desk)),
        "Keys that spent most in the last 30 days",
    ),
    asks(
        "GET",
        "/global/spend/models",
        |desk| Box::pin(models(desk)),
        "Models that cost most in the last 30 days",
    ),
    asks(
        "GET",
        "/global/spend/teams",
        |desk| Box::pin(teams(desk)),
        "What teams spent in the last 30 days, by day",
    ),
    asks("GET", "/global/spend/provider", |desk| Box::pin(providers(desk)), "What was spent by provider"),
    asks("GET", "/global/spend/tags", |desk| Box::pin(tags(desk)), "What was spent by tag"),
    asks("GET", "/global/spend/all_tag_names", |desk| Box::pin(tag_names(desk)), "Every tag that was used"),
    asks("GET", "/global/spend/end_users", |desk| Box::pin(end_users(desk)), "Customers that spent most"),
    asks("POST", "/global/spend/end_users", |desk| Box::pin(end_users(desk)), "Customers that spent most"),
    asks(
        "POST",
        "/global/spend/reset",
        |desk| Box::pin(reset(desk)),
        "Set back what keys and teams have spent",
    ),
    asks("GET", "/global/activity", |desk| Box::pin(activity(desk)), "Requests and tokens by day"),
    asks(
        "GET",
        "/global/activity/model",
        |desk| Box::pin(activity_by_model(desk)),
        "The same by group of models",
    ),
    asks("GET", "/global/activity/exceptions", |desk| Box::pin(exceptions(desk)), "Rate limits met, by day"),
    asks(
        "GET",
        "/global/activity/exceptions/deployment",
        |desk| Box::pin(exceptions_by_deployment(desk)),
        "Rate limits met, by model of a provider",
    ),
];

/// Rows of a list of the dearest, where nothing is said.
const TOP: u32 = 10;
/// Rows of the list of customers, as LiteLLM has it.
const END_USERS_MAX: u32 = 100;
/// Teams of whom the sum over all days is told, as LiteLLM has it.
const TEAMS_SUMMED_MAX: usize = 10;
/// What LiteLLM calls the team of whoever is in none.
const NO_TEAM: &str = "Unassigned";

fn over(days: &Days) -> DailyFilter {
    DailyFilter { from_day: Some(days.from.clone()), to_day: Some(days.to.clone()), ..DailyFilter::default() }
}

async fn sums(desk: &Desk<'_>, filter: DailyFilter, group_by: &[Group]) -> Result<Vec<Sum>, Problem> {
    let query = SumQuery { filter, group_by: group_by.to_vec(), ..SumQuery::default() };
    Ok(books(desk)?.sums(query).await?)
}

/// The dearest first, as many as the query asks for.
async fn dearest(
    desk: &Desk<'_>,
    filter: DailyFilter,
    group_by: &[Group],
    default: Option<u32>,
) -> Result<Vec<Sum>, Problem> {
    let asked = desk.query.number("limit").map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
    let limit = asked.or(default);
    let query = SumQuery { filter, group_by: group_by.to_vec(), by_spend: true, limit };
    Ok(books(desk)?.sums(query).await?)
}

fn name(sum: &Sum, place: usize) -> &str {
    sum.keys.get(place).map_or("", String::as_str)
}

async fn spend(desk: &Desk<'_>) -> Outcome {
    let all = sums(desk, DailyFilter::default(), &[]).await?;
    let spend = all.first().map_or(0, |sum| sum.totals.spend);
    let limit = desk.snapshot.toll_rules().global_budget().unwrap_or(PicoDollars::ZERO);
    Ok(json!({"spend": spent(spend), "max_budget": dollars(limit)}))
}

async fn logs(desk: &Desk<'_>) -> Outcome {
    let mut filter = over(&Days::recent(desk));
    filter.api_keys = desk.query.get("api_key").map(token_of).into_iter().collect();
    let days = sums(desk, filter, &[Group::Day]).await?;
    Ok(days.iter().map(|sum| json!({"date": name(sum, 0), "spend": spent(sum.totals.spend)})).collect())
}

async fn keys(desk: &Desk<'_>) -> Outcome {
    let rows = dearest(desk, over(&Days::recent(desk)), &[Group::ApiKey], Some(TOP)).await?;
    let rows = rows.iter().map(|sum| {
        let key = desk.known(Kind::Key, name(sum, 0));
        json!({
            "api_key": name(sum, 0),
            "key_alias": key.as_ref().and_then(|key| key.alias()),
            "key_name": key.as_ref().and_then(|key| key.text("key_name")),
            "total_spend": spent(sum.totals.spend),
        })
    });
    Ok(rows.collect())
}

async fn models(desk: &Desk<'_>) -> Outcome {
    let filter = over(&Days::recent(desk));
    let rows = dearest(desk, filter, &[Group::Provider, Group::Model], Some(TOP)).await?;
    let row = |sum: &Sum| {
        let model = model_name(name(sum, 0), name(sum, 1));
        json!({"model": model, "total_spend": spent(sum.totals.spend)})
    };
    Ok(rows.iter().map(row).collect())
}

/// What teams spent by day. What is nobody's is the rest of everything.
async fn teams(desk: &Desk<'_>) -> Outcome {
    let days = Days::recent(desk);
    let everything = sums(desk, over(&days), &[Group::Day]).await?;
    let filter = DailyFilter { entity: EntityKind::Team, ..over(&days) };
    let of_teams = sums(desk, filter, &[Group::Day, Group::Entity]).await?;
    let mut by_day: BTreeMap<&str, Vec<(String, Totals)>> = BTreeMap::new();
    for sum in &of_teams {
        let id = name(sum, 1);
        let team = desk.known(Kind::Team, id);
        let alias = team.as_ref().and_then(|team| team.alias()).unwrap_or(id).to_owned();
        by_day.entry(name(sum, 0)).or_default().push((alias, sum.totals));
    }
    for sum in &everything {
        let day = by_day.entry(name(sum, 0)).or_default();
        let mut named = Totals::default();
        day.iter().for_each(|(_, totals)| named.add(totals));
        if named.requests < sum.totals.requests || named.spend != sum.totals.spend {
            let spend = sum.totals.spend - named.spend;
            day.push((NO_TEAM.to_owned(), Totals { spend, ..Totals::default() }));
        }
    }
    let mut totals: Vec<(String, i128)> = Vec::new();
    let mut daily = Vec::with_capacity(by_day.len());
    for (day, teams) in &by_day {
        let mut amounts: Vec<(&str, i128)> = Vec::with_capacity(teams.len());
        for (alias, sum) in teams {
            add(&mut amounts, alias.as_str(), sum.spend);
            add(&mut totals, alias.clone(), sum.spend);
        }
        let mut written = Map::new();
        written.insert("date".to_owned(), Value::from(*day));
        written.extend(amounts.iter().map(|(alias, amount)| ((*alias).to_owned(), spent(*amount))));
        daily.push(Value::Object(written));
    }
    let names: Vec<&str> = totals.iter().map(|(alias, _)| alias.as_str()).collect();
    let mut ranked: Vec<&(String, i128)> = totals.iter().collect();
    ranked.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let ranked = ranked.iter().take(TEAMS_SUMMED_MAX);
    let summed = ranked.map(|(alias, amount)| json!({"team_id": alias, "total_spend": spent(*amount)}));
    Ok(json!({
        "daily_spend": daily,
        "teams": names,
        "total_spend_per_team": summed.collect::<Vec<_>>(),
    }))
}

fn add<N: PartialEq>(amounts: &mut Vec<(N, i128)>, name: N, amount: i128) {
    match amounts.iter_mut().find(|(other, _)| *other == name) {
        Some((_, sum)) => *sum = sum.saturating_add(amount),
        None => amounts.push((name, amount)),
    }
}

async fn providers(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let rows = dearest(desk, over(&days), &[Group::Provider], None).await?;
    // What was refused before it was sent had no provider.
    let rows = rows.iter().filter(|sum| !name(sum, 0).is_empty() || sum.totals.spend != 0);
    let rows = rows.map(|sum| json!({"provider": name(sum, 0), "spend": spent(sum.totals.spend)}));
    Ok(rows.collect())
}

async fn tags(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let mut wanted: Vec<String> = listed(desk, "tags").collect();
    if wanted.iter().any(|tag| tag == "all-tags") {
        wanted.clear();
    }
    let filter = DailyFilter { entity: EntityKind::Tag, entity_ids: wanted, ..over(&days) };
    let rows = dearest(desk, filter, &[Group::Entity], None).await?;
    let row = |sum: &Sum| {
        json!({
            "name": name(sum, 0),
            "spend": spent(sum.totals.spend),
            "log_count": sum.totals.requests,
        })
    };
    Ok(json!({"spend_per_tag": rows.iter().map(row).collect::<Vec<_>>()}))
}

async fn tag_names(desk: &Desk<'_>) -> Outcome {
    let filter = DailyFilter { entity: EntityKind::Tag, ..DailyFilter::default() };
    let rows = sums(desk, filter, &[Group::Entity]).await?;
    Ok(json!({"tag_names": rows.iter().map(|sum| name(sum, 0)).collect::<Vec<_>>()}))
}

/// A day that the body or the query names; dates stand in the body with a time.
fn end_users_day(desk: &Desk<'_>, member: &'static str, edge: Edge) -> Result<Option<String>, Problem> {
    let text = desk.body.get(member).and_then(Value::as_str).or_else(|| desk.query.get(member));
    let Some(text) = text else { return Ok(None) };
    let at =
        moment(text, edge).ok_or_else(|| Problem::Bad(member, format!("'{member}' has to be a date")))?;
    Ok(Some(day_of(at)))
}

async fn end_users(desk: &Desk<'_>) -> Outcome {
    let text = |name: &str| desk.body.get(name).and_then(Value::as_str).or_else(|| desk.query.get(name));
    let recent = Days::recent(desk);
    let from = end_users_day(desk, "startTime", Edge::First)?.unwrap_or(recent.from);
    let to = end_users_day(desk, "endTime", Edge::Last)?.unwrap_or(recent.to);
    let all = DailyFilter {
        api_keys: text("api_key").map(token_of).into_iter().collect(),
        ..over(&Days { from, to })
    };
    let named = DailyFilter { entity: EntityKind::EndUser, ..all.clone() };
    let mut rows = dearest(desk, named.clone(), &[Group::Entity], Some(END_USERS_MAX)).await?;
    // What no customer was named for is the rest.
    let (everything, of_named) = (sums(desk, all, &[]).await?, sums(desk, named, &[]).await?);
    if let (Some(everything), Some(named)) = (everything.first(), of_named.first()) {
        let (all, named) = (everything.totals, named.totals);
        let rest = Totals {
            spend: all.spend - named.spend,
            requests: all.requests.saturating_sub(named.requests),
            ..Totals::default()
        };
        if rest.requests > 0 || rest.spend != 0 {
            rows.push(Sum { keys: vec![String::new()], totals: rest });
        }
    }
    rows.sort_by(|one, other| {
        other.totals.spend.cmp(&one.totals.spend).then_with(|| one.keys.cmp(&other.keys))
    });
    let row = |sum: &Sum| {
        json!({
            "end_user": name(sum, 0),
            "total_count": sum.totals.requests,
            "total_spend": spent(sum.totals.spend),
        })
    };
    Ok(rows.iter().map(row).collect())
}

/// Sets back what keys and teams have spent of the budgets that they show. What was spent stays in the reports.
async fn reset(desk: &Desk<'_>) -> Outcome {
    let mut change = Change::new("spend reset");
    for record in [Kind::Key, Kind::Team].into_iter().flat_map(|kind| desk.all(kind)) {
        let Some(scope) = scope_of(&record) else { continue };
        let budgets = desk.ledger().accounts().budgets(&scope, &record.limits, desk.now());
        let own = budgets.iter().filter(|budget| budget.cadence == record.limits.cadence);
        let own: Vec<_> = own.filter(|budget| budget.settled != PicoDollars::ZERO).collect();
        if own.is_empty() {
            continue;
        }
        let before = own.first().map_or(PicoDollars::ZERO, |budget| budget.settled);
        change = change.note(&record, before, PicoDollars::ZERO);
        for budget in own {
            let start = if budget.cadence.is_none() { Wall::BEGINNING } else { budget.period.start };
            let scope: Scope = scope.clone();
            let account = Charge { scope, cadence: budget.cadence, start }.into_account();
            change = change.set(Settled { account, amount: 0 });
        }
    }
    desk.commit(change).await?;
    Ok(json!({"message": "Spend for all API Keys and Teams reset successfully", "status": "success"}))
}

async fn activity(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let rows = sums(desk, over(&days), &[Group::Day]).await?;
    let daily = rows.iter().map(|sum| {
        json!({
            "date": spoken_day(name(sum, 0)),
            "api_requests": sum.totals.requests,
            "total_tokens": sum.totals.total_tokens,
        })
    });
    Ok(json!({
        "daily_data": daily.collect::<Vec<_>>(),
        "sum_api_requests": rows.iter().map(|sum| sum.totals.requests).sum::<u64>(),
        "sum_total_tokens": rows.iter().map(|sum| sum.totals.total_tokens).sum::<u64>(),
    }))
}

async fn activity_by_model(desk: &Desk<'_>) -> Outcome {
    let days = Days::needed(desk)?;
    let rows = sums(desk, over(&days), &[Group::ModelGroup, Group::Day]).await?;
    let mut groups: Vec<(&str, Vec<Value>, Totals)> = Vec::new();
    for sum in &rows {
        let group = name(sum, 0);
        if groups.last().is_none_or(|(last, ..)| *last != group) {
            groups.push((group, Vec::new(), Totals::default()));
        }
        let Some((_, daily, totals)) = groups.last_mut() else { continue };
        totals.add(&sum.totals);
        daily.push(json!({
            "model_group": group,
            "date": spoken_day(name(sum, 1)),
            "api_requests": sum.totals.requests,
            "total_tokens": sum.totals.total_tokens,
        }));
    }
    groups.sort_by(|one, other| other.2.requests.cmp(&one.2.requests).then_with(|| one.0.cmp(other.0)));
    let groups = groups.into_iter().take(TOP as usize).map(|(model, daily, totals)| {
        json!({
            "model": model,
            "daily_data": daily,
            "sum_api_requests": totals.requests,
            "sum_total_tokens": totals.total_tokens,
        })
    });
    Ok(groups.collect())
}

/// Rate limits that were met, as far as the query asks for them.
async fn limited(desk: &Desk<'_>, group_by: &[Group]) -> Result<Vec<Sum>, Problem> {
    let days = Days::needed(desk)?;
    let filter = DailyFilter { model_groups: listed(desk, "model_group").collect(), ..over(&days) };
    let mut rows = sums(desk, filter, group_by).await?;
    rows.retain(|sum| sum.totals.rate_limited > 0);
    Ok(rows)
}

fn limited_on(day: &str, count: u64) -> Value {
    json!({"date": spoken_day(day), "num_rate_limit_exceptions": count})
}

async fn exceptions(desk: &Desk<'_>) -> Outcome {
    let rows = limited(desk, &[Group::Day]).await?;
    let daily = rows.iter().map(|sum| limited_on(name(sum, 0), sum.totals.rate_limited));
    Ok(json!({
        "daily_data": daily.collect::<Vec<_>>(),
        "sum_num_rate_limit_exceptions": rows.iter().map(|sum| sum.totals.rate_limited).sum::<u64>(),
    }))
}

/// The same by the provider's model: days are not summed by deployment.
async fn exceptions_by_deployment(desk: &Desk<'_>) -> Outcome {
    let rows = limited(desk, &[Group::Provider, Group::Model, Group::Day]).await?;
    let mut found: BTreeMap<String, (Vec<Value>, u64)> = BTreeMap::new();
    for sum in &rows {
        let (daily, total) = found.entry(model_name(name(sum, 0), name(sum, 1))).or_default();
        daily.push(limited_on(name(sum, 2), sum.totals.rate_limited));
        *total += sum.totals.rate_limited;
    }
    let rows = found.into_iter().map(|(deployment, (daily, total))| {
        json!({
            "deployment": deployment,
            "daily_data": daily,
            "sum_num_rate_limit_exceptions": total,
        })
    });
    Ok(rows.collect())
}
