//! `/customer/*` and `/end_user/*`: the callers' own users.

use super::change::Change;
use super::{Desk, Outcome, Problem, Served, asks, looks, paging};
use serde_json::Value;
use std::sync::Arc;
use tollgate_identity::reply::customer::Shown;
use tollgate_identity::{Kind, Record, form, reply};

/// By both of LiteLLM's names.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/customer/new", |desk| Box::pin(new(desk)), "Make an end user"),
    asks("POST", "/customer/update", |desk| Box::pin(update(desk)), "Change an end user"),
    asks("POST", "/customer/delete", |desk| Box::pin(delete(desk)), "Delete end users"),
    asks("POST", "/customer/block", |desk| Box::pin(block(desk)), "Block end users"),
    asks("POST", "/customer/unblock", |desk| Box::pin(unblock(desk)), "Let blocked end users in again"),
    looks("GET", "/customer/info", info, "An end user"),
    looks("GET", "/customer/list", list, "All end users"),
    asks("POST", "/end_user/new", |desk| Box::pin(new(desk)), "Make an end user"),
    asks("POST", "/end_user/update", |desk| Box::pin(update(desk)), "Change an end user"),
    asks("POST", "/end_user/delete", |desk| Box::pin(delete(desk)), "Delete end users"),
    asks("POST", "/end_user/block", |desk| Box::pin(block(desk)), "Block end users"),
    asks("POST", "/end_user/unblock", |desk| Box::pin(unblock(desk)), "Let blocked end users in again"),
    looks("GET", "/end_user/info", info, "An end user"),
    looks("GET", "/end_user/list", list, "All end users"),
];

fn shown(desk: &Desk<'_>, customer: &Record) -> Value {
    let (amounts, budget) = (desk.amounts(customer), desk.budget_of(customer));
    let shown = Shown { customer, amounts: &amounts, budget: budget.as_deref() };
    reply::customer::row(shown, &desk.clock())
}

fn find(desk: &Desk<'_>, member: &'static str, id: &str) -> Result<Arc<Record>, Problem> {
    desk.find(Kind::Customer, id)
        .map_err(|problem| problem.or_missing(member, || format!("End User Id={id} does not exist in db")))
}

async fn new(desk: &Desk<'_>) -> Outcome {
    let drafts = form::customer::new(&desk.body, &desk.context())?;
    let id = drafts.record.id.as_str();
    if desk.known(Kind::Customer, id).is_some() {
        let message = format!("Customer already exists, passed user_id={id}. Please pass a new user_id.");
        return Err(Problem::Bad("user_id", message));
    }
    let made = desk.commit_one(Change::new("created").put(drafts, None, None)).await?;
    Ok(shown(desk, &made))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let old = find(desk, "user_id", form::customer::subject(&desk.body)?)?;
    let budget = desk.own_budget(&old);
    let limits = budget.as_ref().map(|budget| budget.document());
    let own = budget.as_ref().map(|budget| &*budget.id).zip(limits.as_ref());
    let drafts = form::customer::change(&old.id, &old.document(), own, &desk.body, &desk.context())?;
    let change = Change::new("updated").put(drafts, Some(&old), budget.as_ref());
    let changed = desk.commit_one(change).await?;
    Ok(shown(desk, &changed))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let named = form::customer::several(&desk.body, &desk.context())?;
    let found: Result<Vec<_>, _> = named.iter().map(|id| find(desk, "user_ids", id)).collect();
    let change = found?.iter().fold(Change::new("deleted"), Change::delete);
    desk.commit(change).await?;
    Ok(reply::customer::deleted(&named))
}

async fn block(desk: &Desk<'_>) -> Outcome {
    let mut change = Change::new("blocked");
    let named = form::customer::several(&desk.body, &desk.context())?;
    for (at, id) in named.iter().enumerate() {
        if named.iter().take(at).any(|before| before == id) {
            continue;
        }
        let old = desk.known(Kind::Customer, id);
        let document = old.as_ref().map(|old| old.document());
        let draft = form::customer::block(id, document.as_ref(), true, &desk.context());
        change = match &old {
            Some(old) => change.replace(old, draft),
            None => change.make(draft),
        };
    }
    let blocked = desk.commit(change).await?;
    let rows: Vec<Value> = blocked.iter().map(|customer| shown(desk, customer)).collect();
    Ok(reply::customer::blocked(&rows))
}

async fn unblock(desk: &Desk<'_>) -> Outcome {
    let mut change = Change::new("unblocked");
    let named = form::customer::several(&desk.body, &desk.context())?;
    for id in &named {
        let old = find(desk, "user_ids", id)?;
        let draft = form::customer::block(id, Some(&old.document()), false, &desk.context());
        change = change.replace(&old, draft);
    }
    desk.commit(change).await?;
    let still = all(desk).into_iter().filter(|customer| customer.is_blocked);
    Ok(reply::customer::unblocked(&still.map(|customer| customer.id.to_string()).collect::<Vec<_>>()))
}

fn info(desk: &Desk<'_>) -> Outcome {
    let id = desk.query.get("end_user_id");
    let id = id.ok_or_else(|| Problem::Bad("end_user_id", "'end_user_id' is missing".to_owned()))?;
    let customer = find(desk, "end_user_id", id)?;
    Ok(shown(desk, &customer))
}

fn all(desk: &Desk<'_>) -> Vec<Arc<Record>> {
    let mut customers = desk.all(Kind::Customer);
    paging::oldest_first(&mut customers);
    customers
}

fn list(desk: &Desk<'_>) -> Outcome {
    Ok(all(desk).iter().map(|customer| shown(desk, customer)).collect())
}
