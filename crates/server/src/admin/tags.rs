//! `/tag/*`: marks that requests carry, with budgets and limits of their own.

use super::change::Change;
use super::{Desk, Outcome, Problem, Served, asks, looks, paging};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_identity::{Kind, Record, form, reply};
use tollgate_policy::clock::Wall;
use tollgate_store::books::{DailyFilter, EntityKind, Group, SumQuery};

/// What belongs to nobody is an administrator's.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/tag/new", |desk| Box::pin(new(desk)), "Make a tag"),
    asks("POST", "/tag/update", |desk| Box::pin(update(desk)), "Change a tag"),
    asks("POST", "/tag/delete", |desk| Box::pin(delete(desk)), "Delete a tag"),
    looks("POST", "/tag/info", info, "Tags by name"),
    asks("GET", "/tag/list", |desk| Box::pin(list(desk)), "All tags, also those that requests alone have"),
];

fn find(desk: &Desk<'_>, name: &str) -> Result<Arc<Record>, Problem> {
    desk.find(Kind::Tag, name)
        .map_err(|problem| problem.or_missing("name", || format!("Tag {name} not found")))
}

async fn new(desk: &Desk<'_>) -> Outcome {
    let drafts = form::tag::new(&desk.body, &desk.context())?;
    let name = drafts.record.id.as_str();
    if desk.known(Kind::Tag, name).is_some() {
        return Err(Problem::Bad("name", format!("Tag {name} already exists")));
    }
    let made = desk.commit_one(Change::new("created").put(drafts, None, None)).await?;
    Ok(reply::tag::created(&made, &desk.clock()))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let old = find(desk, form::tag::subject(&desk.body)?)?;
    let budget = desk.own_budget(&old);
    let limits = budget.as_ref().map(|budget| budget.document());
    let own = budget.as_ref().map(|budget| &*budget.id).zip(limits.as_ref());
    let drafts = form::tag::change(&old.id, &old.document(), own, &desk.body, &desk.context())?;
    let change = Change::new("updated").put(drafts, Some(&old), budget.as_ref());
    let changed = desk.commit_one(change).await?;
    Ok(reply::tag::updated(&changed, &desk.clock()))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let tag = find(desk, &form::tag::deletion(&desk.body, &desk.context())?)?;
    desk.commit(Change::new("deleted").delete(&tag)).await?;
    Ok(reply::tag::deleted(&tag.id))
}

fn row(desk: &Desk<'_>, tag: &Record) -> Value {
    reply::tag::row(tag, desk.budget_of(tag).as_deref(), &desk.clock())
}

fn info(desk: &Desk<'_>) -> Outcome {
    let mut tags = Vec::new();
    for name in form::tag::asked(&desk.body, &desk.context())? {
        let tag = find(desk, &name)?;
        tags.push((name, row(desk, &tag)));
    }
    Ok(reply::tag::info(tags))
}

/// Tags that nobody made and requests had, each with the beginning of its first day and of its last one.
async fn dynamic(desk: &Desk<'_>) -> Result<BTreeMap<String, (Wall, Wall)>, Problem> {
    let mut found = BTreeMap::new();
    let Some(books) = desk.ledger().books() else { return Ok(found) };
    let filter = DailyFilter { entity: EntityKind::Tag, ..DailyFilter::default() };
    let group_by = vec![Group::Entity, Group::Day];
    let sums = books.sums(SumQuery { filter, group_by, by_spend: false, limit: None }).await?;
    for sum in sums {
        let [tag, day] = sum.keys.as_slice() else { continue };
        let Some(day) = Wall::from_rfc3339(&format!("{day}T00:00:00Z")) else { continue };
        if tag.is_empty() || desk.known(Kind::Tag, tag).is_some() {
            continue;
        }
        let span = found.entry(tag.clone()).or_insert((day, day));
        *span = (span.0.min(day), span.1.max(day));
    }
    Ok(found)
}

async fn list(desk: &Desk<'_>) -> Outcome {
    let mut tags = desk.all(Kind::Tag);
    paging::oldest_first(&mut tags);
    let mut rows: Vec<Value> = tags.iter().map(|tag| row(desk, tag)).collect();
    let dynamic = dynamic(desk).await?;
    rows.extend(dynamic.iter().map(|(name, (first, last))| reply::tag::dynamic(name, *first, *last)));
    Ok(Value::from(rows))
}
