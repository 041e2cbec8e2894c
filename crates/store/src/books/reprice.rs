//! Attempts that are priced again: their cost, and every sum that it is in.
//!
//! Owns the change of rows of `attempts` that are there. What they cost now is worked out by others, from the tokens that
//! the rows have.
//!
//! **Invariant**: sums by day are the sums of the attempts afterwards as before. **Invariant**: pricing twice is pricing
//! once: a cost is set, never added to.

use std::collections::HashMap;

use serde_json::json;

use super::accounts::Settled;
use super::clauses::Clauses;
use super::columns::{self, attempt_text, keepable};
use super::row::SpendRow;
use super::session::{Dialect, Session};
use super::{accounts, daily, told};
use crate::error::Fault;

/// What an attempt costs by other prices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repriced {
    /// Which.
    pub attempt_id: u128,
    /// What it costs, in picodollars.
    pub cost: i128,
    /// What its accounts are charged, where that is not the cost.
    pub charged: Option<i128>,
}

/// Whether what budgets stand at changes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charging {
    /// Accounts stay as they are: what was let in was let in.
    Keep,
    /// Accounts get the difference, each in the period in which it was charged.
    Correct,
}

fn update(dialect: Dialect) -> &'static str {
    dialect.pick(
        "UPDATE attempts SET cost = k.cost, charged = k.charged, unpriced = 0 FROM \
         (SELECT value ->> 'attempt_id' AS attempt_id, value ->> 'cost' AS cost, value ->> 'charged' AS charged \
         FROM json_each($1)) AS k WHERE attempts.attempt_id = k.attempt_id",
        "UPDATE attempts SET cost = k.cost, charged = k.charged, unpriced = 0 FROM \
         json_to_recordset($1::json) AS k (attempt_id TEXT, cost BIGINT, charged BIGINT) \
         WHERE attempts.attempt_id = k.attempt_id",
    )
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Correction {
    /// How many of the attempts there are.
    pub attempts: u64,
    /// What was added to accounts.
    pub differences: Vec<Settled>,
}

/// Sets what attempts cost, and says how many of them there are and what accounts got.
pub(super) fn reprice(
    session: &mut dyn Session,
    priced: &[Repriced],
    charging: Charging,
) -> Result<Correction, Fault> {
    let new: HashMap<u128, &Repriced> = priced.iter().map(|priced| (priced.attempt_id, priced)).collect();
    if new.is_empty() {
        return Ok(Correction::default());
    }
    let found = find(session, &new)?;
    let mut changes = Vec::with_capacity(found.len());
    let mut differences = Vec::with_capacity(found.len());
    for row in found {
        let Some(priced) = new.get(&row.attempt_id) else { continue };
        let (cost, charged) = (priced.cost, priced.charged);
        // As it is kept: what 64 bits do not hold is cut off, here as there.
        let after = keepable(SpendRow { cost, charged, ..row.clone() });
        changes.push(json!({
            "attempt_id": attempt_text(after.attempt_id),
            "cost": i64::try_from(after.cost).unwrap_or(i64::MAX),
            "charged": i64::try_from(after.charge()).unwrap_or(i64::MAX),
        }));
        differences.push(difference(&row, &after));
    }
    let changes = serde_json::Value::Array(changes).to_string();
    let attempts = session.execute(update(session.dialect()), &[changes.into()])?;
    daily::add(session, differences.iter())?;
    if charging == Charging::Keep {
        return Ok(Correction { attempts, differences: Vec::new() });
    }
    accounts::add(session, differences.iter())?;
    let sums = accounts::sums(differences.iter());
    told::forget(session, sums.iter().filter(|(_, amount)| **amount < 0).map(|(account, _)| *account))?;
    let sums = sums.into_iter().filter(|(_, amount)| *amount != 0);
    let differences = sums.map(|(account, amount)| Settled { account: account.clone(), amount }).collect();
    Ok(Correction { attempts, differences })
}

/// The rows as they are, and as they stay until the end of the transaction.
fn find(session: &mut dyn Session, new: &HashMap<u128, &Repriced>) -> Result<Vec<SpendRow>, Fault> {
    let mut ids: Vec<String> = new.keys().copied().map(attempt_text).collect();
    ids.sort_unstable();
    let dialect = session.dialect();
    let mut clauses = Clauses::new(dialect);
    clauses.text("SELECT ").columns(columns::COLUMNS).text(" FROM attempts").among("attempt_id", &ids);
    clauses.text(" ORDER BY attempt_id").text(dialect.pick("", " FOR UPDATE"));
    let rows = session.query(&clauses.sql, &clauses.values)?;
    rows.into_iter().map(|mut row| columns::read(&mut row)).collect()
}

/// A row that adds to sums what the one has more than the other, and counts as nothing.
fn difference(before: &SpendRow, after: &SpendRow) -> SpendRow {
    SpendRow {
        attempt_id: before.attempt_id,
        api_key: before.api_key.clone(),
        user_id: before.user_id.clone(),
        team_id: before.team_id.clone(),
        organization_id: before.organization_id.clone(),
        project_id: before.project_id.clone(),
        end_user: before.end_user.clone(),
        model: before.model.clone(),
        model_group: before.model_group.clone(),
        provider: before.provider.clone(),
        started_at: before.started_at,
        tags: before.tags.clone(),
        accounts: before.accounts.clone(),
        cost: after.cost.saturating_sub(before.cost),
        charged: Some(after.charge().saturating_sub(before.charge())),
        overhead: true,
        ..SpendRow::default()
    }
}
