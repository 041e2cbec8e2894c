//! What records have spent, as accounts here have it.
//!
//! LiteLLM counts the running period alone in `spend`, and sets it back when the period is over, or when somebody asks for
//! it; newer releases have `total_spend` beside it. **Invariant:** a budget counts what it counted there.

use super::{row::Row, wall};
use crate::document::Document;
use crate::kind::Kind;
use crate::record::Record;
use crate::scope::{Scope, ScopeKind};
use jiff::tz::TimeZone;
use serde_json::Value;
use tollgate_catalog::PicoDollars;
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;

/// What stands in one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Whose.
    pub scope: Scope,
    /// Of which budget; none for all time.
    pub cadence: Option<Cadence>,
    /// When its period began; [`Wall::BEGINNING`] for all time.
    pub start: Wall,
    /// So much.
    pub amount: PicoDollars,
}

/// What a record has spent: for all time, and in the running period of its budget, or of the one that it refers to.
pub(super) fn of(
    record: &Record,
    row: &Row,
    shared: Option<&(Record, &Row)>,
    (now, zone): (Wall, &TimeZone),
) -> Vec<Spent> {
    let Some(kind) = scope_kind(record.kind) else { return Vec::new() };
    let scope = Scope::new(kind, record.id.as_ref());
    let current = amount(row, "spend");
    let total = amount(row, "total_spend").max(current);
    let (cadence, reset) = match shared {
        Some((budget, budget_row)) if record.limits.cadence.is_none() => {
            (budget.limits.cadence, budget_row.text("budget_reset_at"))
        }
        _ => (record.limits.cadence, row.text("budget_reset_at")),
    };
    let mut spent = Vec::new();
    let ever = if cadence.is_none() { current } else { total };
    if ever != PicoDollars::ZERO {
        spent.push(Spent { scope: scope.clone(), cadence: None, start: Wall::BEGINNING, amount: ever });
    }
    let is_over = reset.and_then(wall).is_some_and(|at| at <= now);
    if let Some(cadence) = cadence.filter(|_| !is_over && current != PicoDollars::ZERO) {
        let start = cadence.period(now, record.limits.anchor, zone).start;
        spent.push(Spent { scope, cadence: Some(cadence), start, amount: current });
    }
    spent
}

/// The document of a record that has no period, and of which something was set back.
pub(super) fn set_back(record: &Record, row: &Row, shared: Option<&(Record, &Row)>) -> Option<Document> {
    scope_kind(record.kind)?;
    let has_period =
        record.limits.cadence.is_some() || shared.is_some_and(|(budget, _)| budget.limits.cadence.is_some());
    let current = amount(row, "spend");
    let total = amount(row, "total_spend").max(current);
    (!has_period && total != current).then(|| record.document_set_back(total, current))
}

/// An amount of a column; nothing where it is less than that.
fn amount(row: &Row, column: &str) -> PicoDollars {
    let Some(Value::Number(number)) = row.get(column) else { return PicoDollars::ZERO };
    PicoDollars::parse_dollars(&number.to_string()).unwrap_or_default()
}

fn scope_kind(kind: Kind) -> Option<ScopeKind> {
    match kind {
        Kind::Key => Some(ScopeKind::Key),
        Kind::Team => Some(ScopeKind::Team),
        Kind::Member => Some(ScopeKind::Member),
        Kind::OrganizationMember => Some(ScopeKind::OrganizationMember),
        Kind::User => Some(ScopeKind::User),
        Kind::Organization => Some(ScopeKind::Organization),
        Kind::Project => Some(ScopeKind::Project),
        Kind::Customer => Some(ScopeKind::EndUser),
        Kind::Tag => Some(ScopeKind::Tag),
        _ => None,
    }
}
