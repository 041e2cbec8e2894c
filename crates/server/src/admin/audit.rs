//! `/audit`: who changed what.
//!
//! **Invariant:** nothing that is secret is shown, before a change or after it.

use super::sight::{books, token_of};
use super::span::{Edge, bound};
use super::spend::page;
use super::{Desk, Outcome, Problem, Served, asks};
use serde_json::{Value, json};
use tollgate_identity::reply::Page;
use tollgate_identity::reply::audit::{self, Entry, table, values};
use tollgate_identity::{Document, Kind};
use tollgate_policy::clock::Wall;
use tollgate_store::books::{self, AuditFilter, AuditRow};

/// The audit.
pub(super) const ROUTES: &[Served] = &[
    asks("GET", "/audit", |desk| Box::pin(list(desk)), "Who changed what, page by page"),
    asks("GET", "/audit/{id}", |desk| Box::pin(one(desk)), "One change"),
    asks(
        "GET",
        "/tollgate/audit/verify",
        |desk| Box::pin(verify(desk)),
        "Whether the audit is as it was written",
    ),
];

/// Changes on a page where nothing is said, as LiteLLM has it.
const PAGE: u32 = 10;

/// A document as it was, without secrets.
fn shown(text: Option<&str>) -> Option<Value> {
    match serde_json::from_str(text?) {
        Ok(Value::Object(members)) => Some(values(&Document(members))),
        _ => None,
    }
}

fn written(row: &AuditRow) -> Option<Value> {
    let entry = &row.entry;
    let id = row.seq.to_string();
    Some(audit::row(&Entry {
        id: &id,
        at: Wall::from_micros(entry.at),
        actor: &entry.actor,
        key: Some(entry.actor_key.as_str()).filter(|key| !key.is_empty()),
        action: &entry.action,
        kind: Kind::from_word(&entry.kind)?,
        object: &entry.object_id,
        before: shown(entry.before.as_deref()),
        after: shown(entry.after.as_deref()),
    }))
}

/// The kind whose table has this name in LiteLLM's database; or whose word it is.
fn kind_of(name: &str) -> Result<String, Problem> {
    let kinds = Kind::ALL.into_iter();
    let mut found = kinds.filter(|kind| table(*kind) == name || kind.word() == name);
    let unknown = || Problem::Bad("table_name", format!("there is no table {name}"));
    Ok(found.next().ok_or_else(unknown)?.word().to_owned())
}

fn filter(desk: &Desk<'_>) -> Result<AuditFilter, Problem> {
    let text = |name: &str| desk.query.get(name).map(str::to_owned);
    Ok(AuditFilter {
        from: bound(desk, "start_date", Edge::First)?,
        to: bound(desk, "end_date", Edge::Last)?.map(|last| last.saturating_add(1)),
        actor: text("changed_by"),
        actor_key: desk.query.get("changed_by_api_key").map(token_of),
        action: text("action"),
        kind: desk.query.get("table_name").map(kind_of).transpose()?,
        object_id: text("object_id"),
        ascending: desk.query.get("sort_order").is_some_and(|order| order.eq_ignore_ascii_case("asc")),
        ..AuditFilter::default()
    })
}

async fn list(desk: &Desk<'_>) -> Outcome {
    let (number, asked) = page(desk)?;
    let size = if desk.query.get("page_size").is_some() { asked.limit } else { PAGE };
    let offset = (number - 1).saturating_mul(size.into());
    let found = books(desk)?.audit(filter(desk)?, books::Page { offset, limit: size }).await?;
    let rows: Vec<Value> = found.rows.iter().filter_map(written).collect();
    let whole = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(audit::pages(&rows, Page { number: whole(number), size: size as usize, total: whole(found.total) }))
}

async fn one(desk: &Desk<'_>) -> Outcome {
    let id = desk.param("id");
    let missing = || Problem::Missing("id", format!("Audit log with ID {id} not found"));
    let seq = id.parse().map_err(|_| missing())?;
    let filter = AuditFilter { seq: Some(seq), ..AuditFilter::default() };
    let found = books(desk)?.audit(filter, books::Page { offset: 0, limit: 1 }).await?;
    found.rows.first().and_then(written).ok_or_else(missing)
}

async fn verify(desk: &Desk<'_>) -> Outcome {
    let check = books(desk)?.verify_audit().await?;
    let broken =
        check.broken.map(|(seq, tampering)| json!({"id": seq.to_string(), "reason": tampering.to_string()}));
    Ok(json!({
        "is_intact": broken.is_none(),
        "rows": check.rows,
        "last_hash": check.last_hash,
        "broken": broken,
    }))
}
