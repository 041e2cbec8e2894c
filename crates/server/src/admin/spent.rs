//! What a record has spent of its budget, set by an administrator or carried over to another record.
//!
//! **Invariant:** only the gateway's administrators set it, and the audit says what it was and what it is.

use super::change::Change;
use super::{Desk, Problem};
use serde_json::{Map, Value};
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::Record;
use tollgate_identity::form::{self, BadForm};
use tollgate_ledger::{Charge, scope_of};
use tollgate_policy::clock::Wall;
use tollgate_store::books::Settled;

/// What the body of a change says was spent from now on.
pub(super) fn asked(desk: &Desk<'_>, body: &Map<String, Value>) -> Result<Option<PicoDollars>, Problem> {
    let spend = form::spend(body)?;
    match spend {
        Some(_) if !desk.actor.is_admin() => Err(BadForm::forbidden("spend").into()),
        spend => Ok(spend),
    }
}

/// Sets what a record has spent, where that is asked for; the record as it is then.
pub(super) async fn set_if_asked(
    desk: &Desk<'_>,
    record: Arc<Record>,
    spend: Option<PicoDollars>,
) -> Result<Arc<Record>, Problem> {
    match spend {
        Some(to) => set(desk, record, to).await,
        None => Ok(record),
    }
}

/// Sets what a record has spent of the budget that it shows, in its present period; the record as it is then.
pub(super) async fn set(
    desk: &Desk<'_>,
    record: Arc<Record>,
    to: PicoDollars,
) -> Result<Arc<Record>, Problem> {
    let Some(scope) = scope_of(&record) else { return Ok(record) };
    let budgets = desk.ledger().accounts().budgets(&scope, &record.limits, desk.now());
    let mut change = Change::new("spend reset").note(&record, desk.amounts(&record).spend, to);
    for budget in budgets.iter().filter(|budget| budget.cadence == record.limits.cadence) {
        let start = if budget.cadence.is_none() { Wall::BEGINNING } else { budget.period.start };
        let account = Charge { scope: scope.clone(), cadence: budget.cadence, start }.into_account();
        change = change.set(Settled { account, amount: to.0 });
    }
    desk.commit(change).await?;
    Ok(desk.known(record.kind, &record.id).unwrap_or(record))
}

/// What a key has spent, as what another has: with what is held, which will be booked to nobody else.
pub(super) fn carried_over(desk: &Desk<'_>, old: &Record, token: &str) -> Vec<Settled> {
    let Some(scope) = scope_of(old) else { return Vec::new() };
    let models = old.limits.models.budgets.keys().map(|model| scope.clone().with_model(model.as_ref()));
    let scopes: Vec<_> = std::iter::once(scope.clone()).chain(models).collect();
    let mut settled = Vec::new();
    for scope in scopes {
        for budget in desk.ledger().accounts().budgets(&scope, &old.limits, desk.now()) {
            let mut scope = scope.clone();
            scope.id = token.into();
            let start = if budget.cadence.is_none() { Wall::BEGINNING } else { budget.period.start };
            let account = Charge { scope, cadence: budget.cadence, start }.into_account();
            settled.push(Settled { account, amount: budget.settled.saturating_add(budget.held).0 });
        }
    }
    settled
}
