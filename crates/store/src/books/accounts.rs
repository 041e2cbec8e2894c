//! What stands in the accounts that budgets look at.
//!
//! Owns the table `accounts`. Which accounts there are, and when a period begins, is for those who charge them.
//!
//! **Invariant**: an account holds exactly the sum of what was posted to it since it was last set.

use std::collections::BTreeMap;

use super::clauses::Clauses;
use super::columns::{id_of, scope_id_of};
use super::row::{Account, SpendRow};
use super::session::{Dialect, Insert, Row, Session, Value, one};
use super::told;
use crate::error::{Fault, StoreError};

/// Money from here on is more than there is. A column holds ten times as much, so that no row that is added later to what
/// was set is too much for it.
const AMOUNT_END: i128 = 10_000_000_000_000_000_000_000_000_000_000_000_000;

/// An account and what stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Which one.
    pub account: Account,
    /// Picodollars.
    pub amount: i128,
}

/// Accounts that have changed, and how far that was looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChanges {
    /// What stands in them now.
    pub accounts: Vec<Settled>,
    /// What was written by then is among them or was there before; later changes are asked for with it.
    pub seen: i64,
}

const COLUMNS: &[&str] = &["kind", "id", "model", "cadence", "start", "settled"];

const ADD: Insert = Insert {
    table: "accounts",
    columns: COLUMNS,
    sqlite: "ON CONFLICT (kind, id, model, cadence, start) \
             DO UPDATE SET settled = pico_add(accounts.settled, excluded.settled)",
    postgres: "ON CONFLICT (kind, id, model, cadence, start) \
               DO UPDATE SET settled = accounts.settled + excluded.settled",
};

const SET: Insert = Insert {
    table: "accounts",
    columns: COLUMNS,
    sqlite: "ON CONFLICT (kind, id, model, cadence, start) DO UPDATE SET settled = excluded.settled",
    postgres: "ON CONFLICT (kind, id, model, cadence, start) DO UPDATE SET settled = excluded.settled",
};

/// Cast for PostgreSQL, whose numbers of this size travel as text.
const LOAD: &str = "SELECT kind, id, model, cadence, start, CAST(settled AS TEXT) FROM accounts \
     WHERE start >= $1 OR start = 0 ORDER BY kind, id, model, cadence, start";

/// The oldest transaction that is not over yet: all before it are seen, or came to nothing.
const SEEN: &str = "SELECT txid_snapshot_xmin(txid_current_snapshot())";

/// Numbers that no transaction has had yet are those of another server, from which the rows were copied.
const CHANGED: &str = "SELECT kind, id, model, cadence, start, CAST(settled AS TEXT) FROM accounts \
     WHERE changed >= $1 AND changed < txid_snapshot_xmax(txid_current_snapshot())";

/// Periods that are kept of each budget: more than anybody asks of, also where a clock went wrong for a while. How old they
/// are is not asked: a clock that is far ahead would take those of today away.
const PERIODS_KEPT: i64 = 8;

const PURGE: &str = "DELETE FROM accounts WHERE (kind, id, model, cadence, start) IN \
     (SELECT kind, id, model, cadence, start FROM (SELECT kind, id, model, cadence, start, \
     ROW_NUMBER() OVER (PARTITION BY kind, id, model, cadence ORDER BY start DESC) AS place \
     FROM accounts WHERE start > 0) AS periods WHERE place > $1 LIMIT $2)";

/// Each key with when an attempt of it was last answered. Keys are found one after another by the index: that is as many steps
/// as there are keys, not as many as there are attempts.
const LAST_USES: &str = "WITH RECURSIVE keys (api_key) AS (SELECT MIN(api_key) FROM attempts \
     UNION ALL SELECT (SELECT MIN(api_key) FROM attempts WHERE api_key > keys.api_key) FROM keys \
     WHERE keys.api_key IS NOT NULL) \
     SELECT api_key, (SELECT ended_at FROM attempts WHERE attempts.api_key = keys.api_key AND status = 'success' \
     ORDER BY started_at DESC LIMIT 1) FROM keys WHERE api_key IS NOT NULL";

/// When each key was used last, in microseconds since 1970; keys that were never answered are not there.
pub(super) fn last_uses(session: &mut dyn Session) -> Result<Vec<(String, i64)>, Fault> {
    let rows = session.query(LAST_USES, &[])?;
    let read = rows.into_iter().map(|mut row| Ok((row.text()?, row.int()?)));
    let mut read: Vec<(String, i64)> = read.collect::<Result<_, Fault>>()?;
    read.retain(|(_, at)| *at > 0);
    Ok(read)
}

/// The accounts whose period began at this moment or later, and those that never end.
pub(super) fn load(session: &mut dyn Session, since: i64) -> Result<Vec<Settled>, Fault> {
    session.query(LOAD, &[since.into()])?.into_iter().map(settled).collect()
}

/// The accounts of these scopes of a kind, of all periods.
pub(super) fn of(session: &mut dyn Session, kind: &str, ids: &[String]) -> Result<Vec<Settled>, Fault> {
    let ids: Vec<String> = ids.iter().cloned().map(scope_id_of).collect();
    let mut clauses = Clauses::new(session.dialect());
    clauses.text("SELECT kind, id, model, cadence, start, CAST(settled AS TEXT) FROM accounts");
    clauses.among("kind", &[kind.to_owned()]).among("id", &ids);
    session.query(&clauses.sql, &clauses.values)?.into_iter().map(settled).collect()
}

/// An account and an amount, from their columns.
pub(super) fn settled(mut row: Row) -> Result<Settled, Fault> {
    let (kind, id, model) = (row.text()?, row.text()?, row.text()?);
    let account = Account { kind, id, model, cadence: row.text()?, start: row.int()? };
    Ok(Settled { account, amount: row.amount()? })
}

/// From where on changes are to be asked for, so that none is missed from now on. An embedded database has nobody else who
/// changes it.
pub(super) fn seen(session: &mut dyn Session) -> Result<i64, Fault> {
    match session.dialect() {
        Dialect::Sqlite => Ok(0),
        Dialect::Postgres => one(session.query(SEEN, &[])?)?.int(),
    }
}

/// The accounts that were written since.
pub(super) fn changed(session: &mut dyn Session, since: i64) -> Result<AccountChanges, Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(AccountChanges::default());
    }
    let seen = seen(session)?;
    // Numbers that have begun anew are those of another server, to which the database was moved: all of it is news.
    let since = if seen < since { 0 } else { since };
    let accounts =
        session.query(CHANGED, &[since.into()])?.into_iter().map(settled).collect::<Result<_, _>>()?;
    Ok(AccountChanges { accounts, seen })
}

/// Adds what rows charge to their accounts.
pub(super) fn add<'a>(
    session: &mut dyn Session,
    rows: impl Iterator<Item = &'a SpendRow>,
) -> Result<(), Fault> {
    // In the order of the key: two gateways that post at the same time wait for one another, and never in a circle.
    let cells: Vec<_> = sums(rows).into_iter().map(|(account, sum)| cells(account, sum)).collect();
    session.insert(&ADD, &cells).map(|_| ())
}

/// What rows charge, by account.
pub(super) fn sums<'a>(rows: impl Iterator<Item = &'a SpendRow>) -> BTreeMap<&'a Account, i128> {
    let mut sums: BTreeMap<&Account, i128> = BTreeMap::new();
    for row in rows {
        for account in &row.accounts {
            let sum = sums.entry(account).or_default();
            *sum = sum.saturating_add(row.charge());
        }
    }
    sums
}

/// Sets accounts, whatever stands in them.
pub(super) fn set(session: &mut dyn Session, accounts: &[Settled]) -> Result<(), Fault> {
    let sums: BTreeMap<Account, i128> =
        accounts.iter().map(|settled| (keepable(settled.account.clone()), settled.amount)).collect();
    let cells: Vec<_> = sums.iter().map(|(account, amount)| cells(account, *amount)).collect();
    session.insert(&SET, &cells)?;
    told::forget(session, sums.keys())
}

/// Removes accounts of periods that so many later ones of the same budget have followed that nobody asks of them, at most so
/// many of them, and what was told of periods that began before a moment.
pub(super) fn purge(session: &mut dyn Session, told_before: i64, limit: u32) -> Result<u64, Fault> {
    told::purge(session, told_before)?;
    session.execute(PURGE, &[PERIODS_KEPT.into(), i64::from(limit).into()])
}

/// Whether both engines can keep them.
pub(super) fn check(accounts: &[Settled]) -> Result<(), StoreError> {
    if accounts.iter().all(|settled| settled.amount.checked_abs().is_some_and(|amount| amount < AMOUNT_END)) {
        Ok(())
    } else {
        Err(StoreError::Invalid("an amount of money is too large".to_owned()))
    }
}

pub(super) fn keepable(account: Account) -> Account {
    Account {
        kind: id_of(account.kind),
        id: scope_id_of(account.id),
        model: id_of(account.model),
        cadence: id_of(account.cadence),
        start: account.start,
    }
}

fn cells(account: &Account, amount: i128) -> Vec<Value> {
    vec![
        account.kind.as_str().into(),
        account.id.as_str().into(),
        account.model.as_str().into(),
        account.cadence.as_str().into(),
        account.start.into(),
        amount.to_string().into(),
    ]
}
