//! Whether what a gateway wants to let in fits into budgets beside what all gateways have spent and hold.
//!
//! Owns the order in which gateways ask. What is held is `holds.rs`'s; how much may be, and what follows a refusal, is for
//! those who ask.
//!
//! **Invariant**: of an account one gateway asks at a time, and sees what everyone who asked before it was granted.
//! **Invariant**: whoever asks takes the locks in one order, so that nobody waits in a circle.

use std::collections::BTreeSet;

use super::accounts::{Settled, keepable};
use super::holds::{self, Holds};
use super::row::Account;
use super::session::{Dialect, Session, Value};
use crate::error::Fault;

/// Accounts share so many locks: a transaction never needs more than the server has for it.
const LOCKS: u64 = 64;
/// `TLGT`, and what follows are the locks.
const FIRST_LOCK: i64 = 0x544C_4754_0001_0000;

/// An account, and what the gateway holds of it already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Which one.
    pub account: Account,
    /// What was let in, without what is asked for.
    pub held: i128,
}

/// What somebody wants to hold of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// The place of the account in the question.
    pub place: usize,
    /// How much.
    pub amount: i128,
    /// What may be spent and held by all gateways together.
    pub most: i128,
}

/// What is let in whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of which accounts.
    pub needs: Vec<Need>,
}

/// What a gateway wants to let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Its journal's id.
    pub gateway: String,
    /// The accounts.
    pub accounts: Vec<Claimed>,
    /// In the order in which they came.
    pub asked: Vec<Asked>,
}

/// How an account stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What is in it; none where it is not there.
    pub settled: Option<i128>,
    /// What other gateways hold.
    pub elsewhere: i128,
    /// What this one holds now, with what was granted.
    pub held: i128,
}

/// What became of a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether each may be let in.
    pub granted: Vec<bool>,
    /// How each of the accounts stands.
    pub accounts: Vec<Found>,
}

/// In the order of the locks: what is in a sorted subquery is taken in its order.
const LOCK: &str = "SELECT CAST(pg_advisory_xact_lock(s.k) AS TEXT) FROM \
     (SELECT CAST(k AS BIGINT) AS k FROM json_array_elements_text($1::json) AS e (k) ORDER BY 1) AS s";

/// One statement: what has gone from what is held into the accounts is in one of them.
const FOUND: &str = "SELECT CAST(a.settled AS TEXT), CAST((SELECT coalesce(sum(h.held), 0) FROM holds AS h \
     JOIN gateways AS g USING (gateway) WHERE (h.kind, h.id, h.model, h.cadence, h.start) = \
     (k.kind, k.id, k.model, k.cadence, k.start) AND h.gateway <> $2 \
     AND g.seen_at >= CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) - $3) AS TEXT) \
     FROM json_to_recordset($1::json) AS k (n BIGINT, kind TEXT, id TEXT, model TEXT, cadence TEXT, start BIGINT) \
     LEFT JOIN accounts AS a ON (a.kind, a.id, a.model, a.cadence, a.start) = \
     (k.kind, k.id, k.model, k.cadence, k.start) ORDER BY k.n";

/// Decides, and shows the others what was let in. In an embedded database there is nobody who could be asked.
pub(super) fn confirm(session: &mut dyn Session, question: &Question) -> Result<Answer, Fault> {
    let Question { gateway, accounts, asked } = question;
    if session.dialect() == Dialect::Sqlite {
        return Ok(Answer { granted: vec![true; asked.len()], accounts: Vec::new() });
    }
    let keys: Vec<Account> = accounts.iter().map(|claimed| keepable(claimed.account.clone())).collect();
    let locks: BTreeSet<i64> = keys.iter().map(lock).collect();
    session.query(LOCK, &[text(locks.into_iter().map(serde_json::Value::from).collect())])?;
    let numbered = keys.into_iter().enumerate().map(|(place, account)| {
        let mut key = holds::key(account);
        key["n"] = place.into();
        key
    });
    let values = [text(numbered.collect()), gateway.as_str().into(), holds::HOLDS_FOR.into()];
    let rows = session.query(FOUND, &values)?;
    let read = rows.into_iter().zip(accounts).map(|(mut row, claimed)| {
        let settled = row.text_or_none()?.map(|text| text.parse().map_err(|_| Fault::Shape)).transpose()?;
        Ok(Found { settled, elsewhere: row.amount()?, held: claimed.held })
    });
    let mut found: Vec<Found> = read.collect::<Result<_, Fault>>()?;
    let granted = asked.iter().map(|asked| grant(&mut found, asked)).collect();
    let held = accounts.iter().zip(&found);
    let held = held.map(|(claimed, found)| Settled { account: claimed.account.clone(), amount: found.held });
    holds::put(session, &Holds { gateway: gateway.clone(), held: held.collect() })?;
    Ok(Answer { granted, accounts: found })
}

/// Holds all of it, if all of it fits.
fn grant(found: &mut [Found], asked: &Asked) -> bool {
    let fits = |need: &Need| {
        found.get(need.place).is_some_and(|found| {
            let sum = found.settled.unwrap_or_default().saturating_add(found.elsewhere);
            sum.saturating_add(found.held).saturating_add(need.amount) <= need.most
        })
    };
    if !asked.needs.iter().all(fits) {
        return false;
    }
    for need in &asked.needs {
        if let Some(found) = found.get_mut(need.place) {
            found.held = found.held.saturating_add(need.amount);
        }
    }
    true
}

fn text(values: Vec<serde_json::Value>) -> Value {
    Value::Text(serde_json::Value::Array(values).to_string())
}

/// The same of an account at every gateway, of whichever release (FNV-1a, 64 bits).
fn lock(account: &Account) -> i64 {
    let Account { kind, id, model, cadence, start } = account;
    let start = start.to_string();
    let parts = [kind.as_str(), id, model, cadence, start.as_str()];
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
    FIRST_LOCK + i64::try_from(hash % LOCKS).unwrap_or_default()
}
