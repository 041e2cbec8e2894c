//! `/budget/*`: limits that several may refer to, each with a purse of its own.

use super::desk::Change;
use super::{Desk, Outcome, Problem, Served, asks, looks, paging};
use serde_json::Value;
use std::sync::Arc;
use tollgate_identity::{Kind, Record, form, reply};

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
    let draft = form::budget::change(&old.id, &old.document, &desk.body, &desk.context())?;
    let changed = desk.commit_one(Change::new("updated").replace(&old, draft)).await?;
    Ok(reply::budget::row(&changed, &desk.clock()))
}

/// Whoever referred to it is released, as LiteLLM's database does.
async fn delete(desk: &Desk<'_>) -> Outcome {
    let budget = find(desk, "id", &form::budget::deletion(&desk.body, &desk.context())?)?;
    let users: Vec<Arc<Record>> =
        desk.ledger().directory().users_of_budget(&budget.id).map(Arc::clone).collect();
    let mut change = Change::new("deleted").delete(&budget);
    for user in &users {
        let draft = form::budget::released(user.kind, &user.id, &user.document, &desk.context());
        change = change.replace(user, draft);
    }
    desk.commit(change).await?;
    Ok(reply::budget::row(&budget, &desk.clock()))
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
