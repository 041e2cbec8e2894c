//! `/budget/*`: limits that several may refer to, each with a purse of its own.

use super::change::Change;
use super::seats::shared_budget_id;
use super::{Desk, Outcome, Problem, Served, asks, looks, paging};
use serde_json::Value;
use std::sync::Arc;
use tollgate_identity::{Kind, Record, form, reply};

/// Those who refer to a budget, that are named where it cannot be deleted.
const NAMED_MAX: usize = 10;

/// All of an administrator's.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/budget/new", |desk| Box::pin(new(desk)), "Make a budget"),
    asks("POST", "/budget/update", |desk| Box::pin(update(desk)), "Change a budget"),
    asks("POST", "/budget/delete", |desk| Box::pin(delete(desk)), "Delete a budget"),
    looks("POST", "/budget/info", info, "Budgets by id"),
    looks("GET", "/budget/list", list, "All budgets"),
    looks("GET", "/budget/settings", settings, "The settings of a budget"),
];

fn find(desk: &Desk<'_>, member: &'static str, id: &str) -> Result<Arc<Record>, Problem> {
    desk.find(Kind::Budget, id)
        .map_err(|problem| problem.or_missing(member, || format!("Budget={id} not found")))
}

async fn new(desk: &Desk<'_>) -> Outcome {
    let draft = form::budget::new(&desk.body, &desk.context())?;
    if desk.known(Kind::Budget, &draft.id).is_some() {
        return Err(Problem::Conflict(format!("Budget={} already exists", draft.id)));
    }
    let made = desk.commit_one(Change::new("created").make(draft)).await?;
    Ok(reply::budget::row(&made, &desk.clock()))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let old = find(desk, "budget_id", form::budget::subject(&desk.body)?)?;
    let draft = form::budget::change(&old.id, &old.document(), &desk.body, &desk.context())?;
    let changed = desk.commit_one(Change::new("updated").replace(&old, draft)).await?;
    Ok(reply::budget::row(&changed, &desk.clock()))
}

/// A budget that somebody refers to stays: they would be without what holds them.
async fn delete(desk: &Desk<'_>) -> Outcome {
    let budget = find(desk, "id", &form::budget::deletion(&desk.body, &desk.context())?)?;
    let users = users(desk, &budget);
    if !users.is_empty() {
        let named: Vec<&str> = users.iter().take(NAMED_MAX).map(String::as_str).collect();
        let rest = users.len().saturating_sub(named.len());
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let message = format!(
            "Cannot delete budget {}. {} refer(s) to it: {}{more}. Please give them another budget first.",
            budget.id,
            users.len(),
            named.join(", ")
        );
        return Err(Problem::Bad("id", message));
    }
    desk.commit(Change::new("deleted").delete(&budget)).await?;
    Ok(reply::budget::row(&budget, &desk.clock()))
}

/// Who refers to a budget, each by its kind and id; a team by what it gives its members.
fn users(desk: &Desk<'_>, budget: &Record) -> Vec<String> {
    let directory = desk.ledger().directory();
    let gives = |team: &&Arc<Record>| shared_budget_id(&team.document()) == Some(&*budget.id);
    let teams = directory.all(Kind::Team).filter(gives);
    let named = |user: &Arc<Record>| {
        let place = || {
            Some((
                user.parents.team.as_ref().or(user.parents.organization.as_ref())?,
                user.parents.user.as_ref()?,
            ))
        };
        match user.kind {
            Kind::Member | Kind::OrganizationMember => match place() {
                Some((group, member)) => format!("member {member} of {group}"),
                None => format!("member {}", user.id),
            },
            kind => format!("{} {}", kind.word(), user.id),
        }
    };
    let mut users: Vec<String> = directory.users_of_budget(&budget.id).chain(teams).map(named).collect();
    users.sort_unstable();
    users
}

fn info(desk: &Desk<'_>) -> Outcome {
    let named = form::budget::asked(&desk.body, &desk.context())?;
    let mut budgets = desk.all(Kind::Budget);
    budgets.retain(|budget| named.iter().any(|id| **id == *budget.id));
    Ok(rows(desk, budgets))
}

fn list(desk: &Desk<'_>) -> Outcome {
    Ok(rows(desk, desk.all(Kind::Budget)))
}

fn rows(desk: &Desk<'_>, mut budgets: Vec<Arc<Record>>) -> Value {
    paging::oldest_first(&mut budgets);
    budgets.iter().map(|budget| reply::budget::row(budget, &desk.clock())).collect()
}

fn settings(desk: &Desk<'_>) -> Outcome {
    let id = desk.query.get("budget_id");
    let id = id.ok_or_else(|| Problem::Bad("budget_id", "'budget_id' is missing".to_owned()))?;
    let budget = find(desk, "budget_id", id)?;
    Ok(reply::budget::settings(&budget, &desk.clock()))
}
