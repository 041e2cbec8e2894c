//! What gateways hold of budgets for requests under way, and which gateways there are.
//!
//! Owns the tables `gateways` and `holds`. An embedded database has neither: one process is alone there. What is held, and
//! when it is told, is for those who hold it.
//!
//! **Invariant**: a gateway writes its own rows alone, one transaction after another. **Invariant**: what is held is seen
//! together with the accounts, in one state of the database: what has gone from one to the other is in one of them.

use serde_json::json;

use super::accounts::{self, AccountChanges, Settled, keepable};
use super::columns::id_of;
use super::post::{self, Batch};
use super::row::Account;
use super::session::{Dialect, Insert, Session, Value, one};
use crate::error::Fault;

/// How long what a gateway holds counts after it was heard of last, in microseconds.
pub(super) const HOLDS_FOR: i64 = 30_000_000;
/// How long a gateway counts as one that is there after it was heard of last, in microseconds.
const THERE_FOR: i64 = 60_000_000;
/// How long it is remembered at all, in microseconds.
const REMEMBERED_FOR: i64 = 24 * 60 * 60 * 1_000_000;

/// Gateways join one after another: `TLGT`, and what joining is.
const JOIN_LOCK: i64 = 0x544C_4754_0000_0001;

/// What a gateway shows the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// Its journal's id.
    pub gateway: String,
    /// What it holds and has spent without its being in the accounts.
    pub held: Vec<Settled>,
}

/// A gateway that has begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// Its place among all that ever began.
    pub joined: i64,
    /// What is held under its name: by a process before it, which was killed.
    pub left: Vec<Settled>,
}

/// What there is of other gateways.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Accounts that have changed.
    pub changes: AccountChanges,
    /// What the others hold, of each account together.
    pub held: Vec<Settled>,
    /// How many others there are.
    pub others: u64,
    /// The last of all that began.
    pub newest: i64,
    /// Up to which of those that began every other one has shown what it holds.
    pub knows: i64,
}

const COLUMNS: &[&str] = &["kind", "id", "model", "cadence", "start", "gateway", "held"];

const PUT: Insert = Insert {
    table: "holds",
    columns: COLUMNS,
    sqlite: "",
    postgres: "ON CONFLICT (kind, id, model, cadence, start, gateway) DO UPDATE SET held = excluded.held \
               WHERE holds.held <> excluded.held",
};

/// The server's clock, so that those of gateways do not matter.
macro_rules! now {
    () => {
        "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
    };
}

const JOIN: &str = concat!(
    "INSERT INTO gateways (gateway, knows, seen_at) VALUES ($1, 0, ",
    now!(),
    ") ON CONFLICT (gateway) DO UPDATE \
     SET joined = excluded.joined, knows = 0, seen_at = excluded.seen_at RETURNING joined"
);

const LEFT: &str =
    "SELECT kind, id, model, cadence, start, CAST(held AS TEXT) FROM holds WHERE gateway = $1 AND held <> 0";

const RENEW: &str = concat!(
    "INSERT INTO gateways (gateway, knows, seen_at) VALUES ($1, $2, ",
    now!(),
    ") ON CONFLICT (gateway) DO UPDATE SET knows = excluded.knows, seen_at = excluded.seen_at"
);

const KEEP_ONLY: &str = "DELETE FROM holds WHERE gateway = $1 AND (kind, id, model, cadence, start) NOT IN \
     (SELECT k.kind, k.id, k.model, k.cadence, k.start FROM \
     json_to_recordset($2::json) AS k (kind TEXT, id TEXT, model TEXT, cadence TEXT, start BIGINT))";

const HELD: &str = concat!(
    "SELECT h.kind, h.id, h.model, h.cadence, h.start, CAST(sum(h.held) AS TEXT) FROM holds AS h \
     JOIN gateways AS g USING (gateway) WHERE h.gateway <> $1 AND h.held <> 0 AND g.seen_at >= ",
    now!(),
    " - $2 GROUP BY 1, 2, 3, 4, 5"
);

const OTHERS: &str = concat!(
    "SELECT count(*) FILTER (WHERE gateway <> $1 AND is_there), coalesce(max(joined), 0), \
     coalesce(min(knows) FILTER (WHERE gateway <> $1 AND is_there), 9223372036854775807) \
     FROM (SELECT gateway, joined, knows, seen_at >= ",
    now!(),
    " - $2 AS is_there FROM gateways) AS g"
);

const FORGET_HOLDS: &str = concat!(
    "DELETE FROM holds WHERE gateway NOT IN (SELECT gateway FROM gateways WHERE seen_at >= ",
    now!(),
    " - $1) AND gateway <> $2"
);

const FORGET: &str = concat!("DELETE FROM gateways WHERE seen_at < ", now!(), " - $1 AND gateway <> $2");

/// A gateway begins: the others learn of it when they look next.
pub(super) fn join(session: &mut dyn Session, gateway: &str) -> Result<Joined, Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(Joined::default());
    }
    let gateway = id_of(gateway.to_owned());
    // Whoever has seen one that joined has seen all that joined before it.
    session.query("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)", &[JOIN_LOCK.into()])?;
    for forget in [FORGET_HOLDS, FORGET] {
        session.execute(forget, &[REMEMBERED_FOR.into(), gateway.as_str().into()])?;
    }
    let joined = one(session.query(JOIN, &[gateway.as_str().into()])?)?.int()?;
    let left = session.query(LEFT, &[gateway.into()])?.into_iter().map(accounts::settled);
    Ok(Joined { joined, left: left.collect::<Result<_, _>>()? })
}

/// A gateway ends and holds nothing.
pub(super) fn leave(session: &mut dyn Session, gateway: &str) -> Result<(), Fault> {
    if session.dialect() == Dialect::Postgres {
        let gateway = id_of(gateway.to_owned());
        for leave in ["DELETE FROM holds WHERE gateway = $1", "DELETE FROM gateways WHERE gateway = $1"] {
            session.execute(leave, &[gateway.as_str().into()])?;
        }
    }
    Ok(())
}

/// Shows what is news of what a gateway holds.
pub(super) fn show(session: &mut dyn Session, holds: &Holds) -> Result<(), Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    put(session, holds)
}

/// Shows all that a gateway holds, also what a crash of the server has taken, that it is there, and which others it knows.
pub(super) fn renew(session: &mut dyn Session, holds: &Holds, knows: i64) -> Result<(), Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let gateway = id_of(holds.gateway.clone());
    let keys: Vec<_> = holds.held.iter().map(|settled| key(keepable(settled.account.clone()))).collect();
    let keys = Value::Text(serde_json::Value::Array(keys).to_string());
    session.execute(KEEP_ONLY, &[gateway.as_str().into(), keys])?;
    put(session, holds)?;
    session.execute(RENEW, &[gateway.into(), knows.into()]).map(|_| ())
}

/// An account's key for a statement.
pub(super) fn key(Account { kind, id, model, cadence, start }: Account) -> serde_json::Value {
    json!({"kind": kind, "id": id, "model": model, "cadence": cadence, "start": start})
}

/// Sets what a gateway holds of accounts.
pub(super) fn put(session: &mut dyn Session, holds: &Holds) -> Result<(), Fault> {
    let gateway = id_of(holds.gateway.clone());
    let cells = holds.held.iter().map(|settled| {
        let Account { kind, id, model, cadence, start } = keepable(settled.account.clone());
        let held = settled.amount.to_string().into();
        vec![
            kind.into(),
            id.into(),
            model.into(),
            cadence.into(),
            start.into(),
            gateway.as_str().into(),
            held,
        ]
    });
    session.insert(&PUT, &cells.collect::<Vec<_>>()).map(|_| ())
}

/// Rows come into the accounts and are no longer held, in one transaction.
pub(super) fn post(session: &mut dyn Session, batch: &Batch, holds: &Holds) -> Result<u64, Fault> {
    let posted = post::post(session, batch)?;
    if session.dialect() == Dialect::Postgres && !holds.held.is_empty() {
        put(session, holds)?;
    }
    Ok(posted)
}

/// What there is of other gateways.
pub(super) fn look(session: &mut dyn Session, gateway: &str, since: i64) -> Result<Look, Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(Look::default());
    }
    let changes = accounts::changed(session, since)?;
    let gateway = id_of(gateway.to_owned());
    let mut there = one(session.query(OTHERS, &[gateway.as_str().into(), THERE_FOR.into()])?)?;
    let (others, newest, knows) = (there.count()?, there.int()?, there.int()?);
    let mut held = Vec::new();
    if others > 0 {
        let rows = session.query(HELD, &[gateway.into(), HOLDS_FOR.into()])?;
        held = rows.into_iter().map(accounts::settled).collect::<Result<_, _>>()?;
    }
    Ok(Look { changes, held, others, newest, knows })
}
