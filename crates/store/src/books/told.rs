//! What was told, so that of several gateways that find it a single one tells it, and none tells it again after a restart.
//!
//! Owns the table `told`. Marks of budgets are there in PostgreSQL alone: over an embedded database one process tells each
//! as it is passed.
//!
//! **Invariant**: of those who claim the same mark in the same period one gets it, until what is spent is below it again.
//! **Invariant**: of those who claim what is told once in a time one gets it, ever.

use serde_json::json;

use super::accounts::keepable;
use super::row::Account;
use super::session::{Dialect, Session, Value};
use crate::error::Fault;

/// A mark that was passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// Of which account.
    pub account: Account,
    /// Its name.
    pub threshold: String,
    /// Where it lies, in picodollars.
    pub mark: i128,
}

/// A mark that was moved is another one.
const CLAIM: &str = "INSERT INTO told AS t (kind, id, model, cadence, start, threshold, mark) \
     VALUES ($1, $2, $3, $4, $5, $6, CAST($7 AS NUMERIC)) \
     ON CONFLICT (kind, id, model, cadence, start, threshold) DO UPDATE SET mark = excluded.mark \
     WHERE t.mark <> excluded.mark RETURNING threshold";

const FORGET: &str = "DELETE FROM told AS t USING accounts AS a, \
     json_to_recordset($1::json) AS k (kind TEXT, id TEXT, model TEXT, cadence TEXT, start BIGINT) \
     WHERE (t.kind, t.id, t.model, t.cadence, t.start) = (k.kind, k.id, k.model, k.cadence, k.start) \
     AND (a.kind, a.id, a.model, a.cadence, a.start) = (k.kind, k.id, k.model, k.cadence, k.start) \
     AND t.mark > a.settled";

const ONCE: &str = "INSERT INTO told (kind, id, model, cadence, start, threshold, mark) \
     VALUES ($1, $2, $3, $4, $5, $6, 0) ON CONFLICT DO NOTHING RETURNING threshold";

const PURGE: &str = "DELETE FROM told WHERE start > 0 AND start < $1";

/// Says of each mark whether it is for whoever asks to tell it.
pub(super) fn claim(session: &mut dyn Session, claims: &[Claim]) -> Result<Vec<bool>, Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(vec![true; claims.len()]);
    }
    let mut mine = Vec::with_capacity(claims.len());
    for claim in claims {
        let Account { kind, id, model, cadence, start } = keepable(claim.account.clone());
        let threshold = claim.threshold.as_str().into();
        let mark = claim.mark.to_string().into();
        let values = [kind.into(), id.into(), model.into(), cadence.into(), start.into(), threshold, mark];
        mine.push(!session.query(CLAIM, &values)?.is_empty());
    }
    Ok(mine)
}

/// Says of each of these whether nobody was told it before. What is claimed so is never below its mark again.
pub(super) fn once(session: &mut dyn Session, claims: &[Claim]) -> Result<Vec<bool>, Fault> {
    let mut mine = Vec::with_capacity(claims.len());
    for claim in claims {
        let Account { kind, id, model, cadence, start } = keepable(claim.account.clone());
        let threshold = claim.threshold.as_str().into();
        let values = [kind.into(), id.into(), model.into(), cadence.into(), start.into(), threshold];
        mine.push(!session.query(ONCE, &values)?.is_empty());
    }
    Ok(mine)
}

/// Forgets that marks of accounts were told which are not passed any more.
pub(super) fn forget<'a>(
    session: &mut dyn Session,
    accounts: impl Iterator<Item = &'a Account>,
) -> Result<(), Fault> {
    let keys: Vec<_> = accounts
        .map(|Account { kind, id, model, cadence, start }| {
            json!({"kind": kind, "id": id, "model": model, "cadence": cadence, "start": start})
        })
        .collect();
    if keys.is_empty() || session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    session.execute(FORGET, &[Value::Text(serde_json::Value::Array(keys).to_string())]).map(|_| ())
}

/// Forgets periods that began before a moment.
pub(super) fn purge(session: &mut dyn Session, before: i64) -> Result<(), Fault> {
    session.execute(PURGE, &[before.into()]).map(|_| ())
}
