//! `/management/v1/*`: LiteLLM's newer routes for many users and members at once, and lists for its pages.
//!
//! Leaves what a user or a member is to `users` and `members`. **Invariant:** of many, each is answered in its place; what is
//! wrong with one is none of the others' business.

use super::change::Change;
use super::paging::SortKey;
use super::seats::find_team;
use super::sight::books;
use super::span::{Edge, moment};
use super::{Desk, Outcome, Problem, Served, asks, looks, members, paging, users};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::sync::Arc;
use tollgate_identity::form::BadForm;
use tollgate_identity::form::member::{Place, Who};
use tollgate_identity::{Kind, Record, reply};
use tollgate_store::books::{DailyFilter, EntityKind, Group, SumQuery, day_of};

/// The routes of many.
pub(super) const ROUTES: &[Served] = &[
    looks("GET", "/management/v1/budgets", budgets, "All budgets, in pages"),
    asks(
        "GET",
        "/management/v1/spend_logs/users",
        |desk| Box::pin(seen(desk, USERS)),
        "Users that spent in some days",
    ),
    asks(
        "GET",
        "/management/v1/spend_logs/end_users",
        |desk| Box::pin(seen(desk, END_USERS)),
        "End users that spent in some days",
    ),
    asks("POST", "/management/v1/users/bulk", |desk| Box::pin(make_users(desk)), "Make several users"),
    asks(
        "POST",
        "/management/v1/users/bulk_delete",
        |desk| Box::pin(delete_users(desk)),
        "Delete several users",
    ),
    asks(
        "POST",
        "/management/v1/teams/{team_id}/members/bulk_update",
        |desk| Box::pin(change_members(desk)),
        "Change what several members of a team may spend",
    ),
    asks(
        "POST",
        "/management/v1/teams/{team_id}/members/bulk_delete",
        |desk| Box::pin(delete_members(desk)),
        "Take several users out of a team",
    ),
];

/// The most rows of one request, as LiteLLM has it.
const ROWS_MAX: usize = 500;
/// Rows of a page where none are asked for, and the most.
const PAGE: (usize, Option<usize>) = (50, Some(100));
const USERS: EntityKind = EntityKind::User;
const END_USERS: EntityKind = EntityKind::EndUser;
/// What a member's row may say besides who it is.
const TERMS: [&str; 5] =
    ["max_budget_in_team", "budget_duration", "tpm_limit", "rpm_limit", "allowed_models"];
/// What budgets are ordered by.
const SORTABLE: [&str; 5] = ["budget_id", "max_budget", "tpm_limit", "rpm_limit", "created_at"];

/// The one list that a body has.
fn rows<'a>(desk: &'a Desk<'_>, name: &str) -> Result<&'a [Value], BadForm> {
    if let Some(other) = desk.body.keys().find(|other| *other != name) {
        return Err(BadForm::unknown(other.as_str(), format!("is unknown (nearest: {name})")));
    }
    let rows = desk.body.get(name).and_then(Value::as_array).filter(|rows| !rows.is_empty());
    let rows = rows.ok_or_else(|| BadForm::missing(name))?;
    if rows.len() > ROWS_MAX {
        return Err(BadForm::wrong(name, format!("has {ROWS_MAX} rows at most")));
    }
    Ok(rows)
}

fn words(problem: Problem) -> String {
    problem.into_rejection().message().to_owned()
}

async fn make_users(desk: &Desk<'_>) -> Outcome {
    let rows = rows(desk, "users")?;
    let mut told = Vec::with_capacity(rows.len());
    let mut created = 0;
    for row in rows {
        let mut body = row.as_object().cloned().unwrap_or_default();
        // A key is made for who asks for one.
        body.entry("auto_create_key").or_insert(Value::Bool(false));
        let made = users::make(desk, &body).await;
        created += usize::from(made.is_ok());
        let named = |name: &str| row.get(name).cloned().unwrap_or_default();
        told.push(match made {
            Ok((user, key)) => json!({
                "user_id": &*user.id,
                "user_email": user.text("user_email"),
                "success": true,
                "teams": teams(desk, &user),
                "key": key.map(|(_, text)| text.as_str().to_owned()),
                "error": null,
            }),
            Err(problem) => json!({
                "user_id": named("user_id"),
                "user_email": named("user_email"),
                "success": false,
                "teams": null,
                "key": null,
                "error": words(problem),
            }),
        });
    }
    let meta = json!({"total_requested": rows.len(), "created": created, "failed": rows.len() - created});
    Ok(json!({"data": told, "meta": meta}))
}

fn teams(desk: &Desk<'_>, user: &Record) -> Vec<String> {
    let directory = desk.ledger().directory();
    let places = directory.children(Kind::User, &user.id, Kind::Member);
    places.filter_map(|place| place.parents.team.as_deref().map(str::to_owned)).collect()
}

/// Those that may go go together, or none of them.
async fn delete_users(desk: &Desk<'_>) -> Outcome {
    let rows = rows(desk, "user_ids")?;
    let mut change = Change::new("deleted");
    let mut seen: Vec<&str> = Vec::new();
    let mut told = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row
            .as_str()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| BadForm::wrong("user_ids", "has texts"))?;
        let who = Who { id: Some(id.to_owned()), email: None };
        let error = match users::find(desk, &who) {
            _ if seen.contains(&id) => Some("is named twice".to_owned()),
            Ok(user) => {
                change = users::without(desk, change, user);
                None
            }
            Err(problem) => Some(words(problem)),
        };
        seen.push(id);
        told.push(json!({"user_id": id, "success": error.is_none(), "error": error}));
    }
    desk.commit(change).await?;
    Ok(json!({"data": told}))
}

/// Who a row names: by one of the two.
fn who(row: &Map<String, Value>) -> Result<Who, BadForm> {
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("user_id"), text("user_email")) {
        (id @ Some(_), None) => Ok(Who { id, email: None }),
        (None, email @ Some(_)) => Ok(Who { id: None, email }),
        _ => Err(BadForm::wrong("members", "name each member by user_id or by user_email")),
    }
}

async fn change_members(desk: &Desk<'_>) -> Outcome {
    let team = find_team(desk, desk.param("team_id"))?;
    let mut told = Vec::new();
    let mut seen: Vec<Arc<str>> = Vec::new();
    for row in rows(desk, "members")? {
        let row = row.as_object().cloned().unwrap_or_default();
        let who = who(&row)?;
        let changed = change_member(desk, &team, &row, &mut seen).await;
        let mut row =
            json!({"user_id": who.id, "user_email": who.email, "success": changed.is_ok(), "error": null});
        match changed {
            Ok(member) => put_terms(desk, &member, &mut row),
            Err(problem) => {
                row["error"] = Value::from(words(problem));
            }
        }
        told.push(row);
    }
    Ok(json!({"data": told}))
}

async fn change_member(
    desk: &Desk<'_>,
    team: &Record,
    row: &Map<String, Value>,
    seen: &mut Vec<Arc<str>>,
) -> Result<Arc<Record>, Problem> {
    if let Some(other) = row.keys().find(|name| !TERMS.contains(&name.as_str()) && !name.starts_with("user_"))
    {
        return Err(BadForm::unknown(other.as_str(), "is unknown").into());
    }
    let place = Place { group: team.id.to_string(), who: who(row)? };
    let (_, member) = members::find(desk, &place)?;
    if seen.contains(&member.id) {
        return Err(BadForm::wrong("members", "names a member twice").into());
    }
    seen.push(Arc::clone(&member.id));
    let mut body = row.clone();
    body.insert("team_id".to_owned(), Value::from(&*team.id));
    members::change(desk, &body).await
}

/// The limits that hold for a member.
fn put_terms(desk: &Desk<'_>, member: &Record, row: &mut Value) {
    let budget = desk.budget_of(member);
    let of = |name: &str| budget.as_ref().and_then(|budget| budget.member(name)).unwrap_or_default();
    row["budget_id"] = budget.as_ref().map(|budget| Value::from(&*budget.id)).unwrap_or_default();
    for name in ["max_budget", "tpm_limit", "rpm_limit", "budget_duration", "allowed_models"] {
        row[name] = of(name);
    }
}

/// Those that may go go together, or none of them.
async fn delete_members(desk: &Desk<'_>) -> Outcome {
    let team = find_team(desk, desk.param("team_id"))?;
    let mut change = Change::new("deleted");
    let mut seen: Vec<Arc<str>> = Vec::new();
    let mut told = Vec::new();
    for row in rows(desk, "members")? {
        let who = who(row.as_object().unwrap_or(&Map::new()))?;
        let found = members::find(desk, &Place { group: team.id.to_string(), who: who.clone() });
        let error = match found {
            Ok((_, member)) if seen.contains(&member.id) => Some("is named twice".to_owned()),
            Ok((team, member)) => {
                seen.push(Arc::clone(&member.id));
                change = members::without(desk, change, (&team, &member));
                None
            }
            Err(problem) => Some(words(problem)),
        };
        told.push(
            json!({"user_id": who.id, "user_email": who.email, "success": error.is_none(), "error": error}),
        );
    }
    desk.commit(change).await?;
    Ok(json!({"data": told}))
}

/// Where a page of the same query is.
fn link(desk: &Desk<'_>, page: usize) -> String {
    let others: String = desk
        .query
        .pairs()
        .filter(|(name, _)| *name != "page")
        .map(|(name, value)| format!("{}={}&", crate::percent::encode(name), crate::percent::encode(value)))
        .collect();
    format!("{}?{others}page={page}", desk.row.path)
}

/// Refuses parameters that the route does not have: what is not understood would show more than is asked for.
fn refuse_others(desk: &Desk<'_>, known: &[&str]) -> Result<(), Problem> {
    match desk.query.pairs().find(|(name, _)| !known.contains(name)) {
        Some((name, _)) => Err(Problem::Bad("query", format!("Unrecognized query parameter(s): {name}."))),
        None => Ok(()),
    }
}

fn budgets(desk: &Desk<'_>) -> Outcome {
    const DURATION: &str = "filter[budget_duration][in]";
    refuse_others(desk, &["page", "page_size", "sort", "q", DURATION])?;
    let query = &desk.query;
    let part = query.get("q").map(str::to_lowercase);
    let durations: Option<Vec<&str>> = query.get(DURATION).map(|all| all.split(',').collect());
    let mut budgets = desk.all(Kind::Budget);
    budgets.retain(|budget| {
        part.as_ref().is_none_or(|part| budget.id.to_lowercase().contains(part))
            && durations.as_ref().is_none_or(|all| {
                budget.text("budget_duration").is_some_and(|own| all.contains(&own.as_str()))
            })
    });
    let order: Vec<(&str, bool)> = query
        .get("sort")
        .unwrap_or("-created_at")
        .split(',')
        .map(|name| name.strip_prefix('-').map_or((name, false), |name| (name, true)))
        .collect();
    if let Some((name, _)) = order.iter().find(|(name, _)| !SORTABLE.contains(name)) {
        return Err(Problem::Bad("sort", format!("'{name}' is none of {}", SORTABLE.join(", "))));
    }
    let keys_of = |budget: &Record| -> Vec<SortKey> {
        order.iter().map(|(name, _)| SortKey::of_member(budget, name)).collect()
    };
    let mut keyed: Vec<_> = budgets.into_iter().map(|budget| (keys_of(&budget), budget)).collect();
    keyed.sort_by(|(one, a), (other, b)| {
        let by = |((one, other), (_, is_falling)): ((&SortKey, &SortKey), &(&str, bool))| {
            let order = one.order(other);
            if *is_falling { order.reverse() } else { order }
        };
        let first = one.iter().zip(other).zip(&order).map(by).find(|order| *order != Ordering::Equal);
        first.unwrap_or_else(|| a.id.cmp(&b.id))
    });
    let budgets = keyed.into_iter().map(|(_, budget)| budget).collect();
    let (page, rows) = paging::page(query, ("page", "page_size"), PAGE, budgets)?;
    let rows: Vec<Value> = rows.iter().map(|budget| budget_row(desk, budget)).collect();
    let last = page.total.div_ceil(page.size.max(1)).max(1);
    Ok(json!({
        "data": rows,
        "meta": {"total_count": page.total, "page": page.number, "page_size": page.size,
            "total_pages": page.total.div_ceil(page.size.max(1))},
        "links": {
            "self": link(desk, page.number),
            "first": link(desk, 1),
            "prev": (page.number > 1).then(|| link(desk, page.number - 1)),
            "next": (page.number < last).then(|| link(desk, page.number + 1)),
            "last": link(desk, last),
        },
    }))
}

fn budget_row(desk: &Desk<'_>, budget: &Record) -> Value {
    const MEMBERS: [&str; 9] = [
        "budget_id",
        "max_budget",
        "soft_budget",
        "tpm_limit",
        "rpm_limit",
        "budget_duration",
        "budget_reset_at",
        "created_at",
        "updated_at",
    ];
    let whole = reply::budget::row(budget, &desk.clock());
    let member = |name: &str| (name.to_owned(), whole.get(name).cloned().unwrap_or_default());
    Value::Object(MEMBERS.into_iter().map(member).collect())
}

/// Who spent in some days, as far as whoever asks sees everything: others see nobody but themselves.
async fn seen(desk: &Desk<'_>, entity: EntityKind) -> Outcome {
    const FROM: &str = "filter[startTime][gte]";
    const TO: &str = "filter[startTime][lte]";
    refuse_others(desk, &[FROM, TO, "q", "page", "page_size"])?;
    let day = |name: &'static str, edge: Edge| {
        let text = desk.query.get(name).ok_or_else(|| BadForm::missing(name))?;
        let wrong = || BadForm::wrong(name, "has to be a date and time (UTC)");
        moment(text, edge).map(day_of).ok_or_else(wrong)
    };
    let (from, to) = (day(FROM, Edge::First)?, day(TO, Edge::Last)?);
    let mut names: Vec<String> = if super::sight::sees_all(desk) {
        let filter = DailyFilter { entity, from_day: Some(from), to_day: Some(to), ..DailyFilter::default() };
        let query = SumQuery { filter, group_by: vec![Group::Entity], by_spend: false, limit: None };
        let sums = books(desk)?.sums(query).await?;
        sums.into_iter().filter_map(|sum| sum.keys.into_iter().next()).collect()
    } else {
        let own = desk.actor.user.as_ref().filter(|_| entity == USERS);
        own.map(ToString::to_string).into_iter().collect()
    };
    let part = desk.query.get("q").map(str::to_lowercase);
    names.retain(|name| {
        !name.is_empty() && part.as_ref().is_none_or(|part| name.to_lowercase().contains(part))
    });
    names.sort_unstable();
    let (page, names) = paging::page(&desk.query, ("page", "page_size"), PAGE, names)?;
    let has_more = page.number.saturating_mul(page.size) < page.total;
    Ok(json!({
        "data": names,
        "meta": {"page": page.number, "page_size": page.size, "has_more": has_more},
        "links": {
            "self": link(desk, page.number),
            "prev": (page.number > 1).then(|| link(desk, page.number - 1)),
            "next": has_more.then(|| link(desk, page.number + 1)),
        },
    }))
}
