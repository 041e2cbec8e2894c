//! Who changed what: added to, never changed, each row bound to the one before it.
//!
//! Owns the table `audit`, the canonical form of a row and its hash. What is worth a row is for those who change things.
//!
//! **Invariant**: a row is written in the transaction of its change. **Invariant**: whoever changes, removes, adds or moves
//! a row by other ways is found, unless all hashes after it and the head are written anew too; the hash of the last row,
//! kept elsewhere, finds that as well.

use sha2::{Digest as _, Sha256};
use std::fmt;

use super::clauses::{Clauses, Page};
use super::columns::hex;
use super::records::RECORD_ID_BYTES_MAX;
use super::session::{Insert, Row, Session, Value, one};
use crate::error::{Fault, StoreError};

/// What is to be written of one change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Who: a user's id, or what else names them.
    pub actor: String,
    /// Hash of the key that was used.
    pub actor_key: String,
    /// What was done: `created`, `updated`, `deleted`, `blocked`, ...
    pub action: String,
    /// The kind of the object.
    pub kind: String,
    /// Which one.
    pub object_id: String,
    /// The object before, JSON.
    pub before: Option<String>,
    /// The object after, JSON.
    pub after: Option<String>,
}

const APPEND: Insert = Insert {
    table: "audit",
    columns: &[
        "seq",
        "at",
        "actor",
        "actor_key",
        "action",
        "kind",
        "object_id",
        "before",
        "after",
        "previous_hash",
        "hash",
    ],
    sqlite: "",
    postgres: "",
};

const MOVE_HEAD: &str = "UPDATE heads SET audit_seq = $1, audit_hash = $2 WHERE id = 1";

/// Adds rows after the one that is last. The head is locked by whoever calls.
pub(super) fn append(
    session: &mut dyn Session,
    entries: &[AuditEntry],
    last_seq: i64,
    last_hash: String,
) -> Result<(), Fault> {
    if entries.is_empty() {
        return Ok(());
    }
    let (mut seq, mut hash) = (last_seq, last_hash);
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        seq += 1;
        let next = hash_of(seq, entry, &hash);
        rows.push(cells(seq, entry, hash, next.clone()));
        hash = next;
    }
    session.insert(&APPEND, &rows)?;
    session.execute(MOVE_HEAD, &[seq.into(), hash.into()]).map(|_| ())
}

fn cells(seq: i64, entry: &AuditEntry, previous: String, hash: String) -> Vec<Value> {
    let optional = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    vec![
        seq.into(),
        entry.at.into(),
        entry.actor.as_str().into(),
        entry.actor_key.as_str().into(),
        entry.action.as_str().into(),
        entry.kind.as_str().into(),
        entry.object_id.as_str().into(),
        optional(&entry.before),
        optional(&entry.after),
        previous.into(),
        hash.into(),
    ]
}

/// SHA-256 over every column but itself: numbers as 8 bytes, the highest first, texts with their length before them, and
/// before a text that may be missing a byte that says whether it is there. No two rows have the same form.
fn hash_of(seq: i64, entry: &AuditEntry, previous: &str) -> String {
    let mut digest = Sha256::new();
    let mut text = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    };
    text(previous);
    for field in [&entry.actor, &entry.actor_key, &entry.action, &entry.kind, &entry.object_id] {
        text(field);
    }
    digest.update(seq.to_be_bytes());
    digest.update(entry.at.to_be_bytes());
    for field in [&entry.before, &entry.after] {
        digest.update([u8::from(field.is_some())]);
        let field = field.as_deref().unwrap_or_default();
        digest.update((field.len() as u64).to_be_bytes());
        digest.update(field.as_bytes());
    }
    hex(&digest.finalize())
}

/// Whether both engines can keep them.
pub(super) fn check(entries: &[AuditEntry]) -> Result<(), StoreError> {
    let has_zero = |entry: &AuditEntry| {
        let texts = [&entry.actor, &entry.actor_key, &entry.action, &entry.kind, &entry.object_id];
        let bodies = [&entry.before, &entry.after];
        let mut all = texts.into_iter().chain(bodies.into_iter().flatten());
        all.any(|text| text.contains('\0'))
    };
    let is_long = |entry: &AuditEntry| {
        let ids = [&entry.actor, &entry.actor_key, &entry.action, &entry.kind, &entry.object_id];
        ids.into_iter().any(|id| id.len() > RECORD_ID_BYTES_MAX)
    };
    if entries.iter().any(is_long) {
        return Err(StoreError::Invalid(format!("an id has more than {RECORD_ID_BYTES_MAX} bytes")));
    }
    if entries.iter().any(has_zero) {
        return Err(StoreError::Invalid("a text has a character that it cannot have".to_owned()));
    }
    Ok(())
}

/// A row of the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: 1, 2, 3, ...
    pub seq: i64,
    /// What it says.
    pub entry: AuditEntry,
    /// The hash of the row before it; empty for the first.
    pub previous_hash: String,
    /// Its own.
    pub hash: String,
}

/// Which rows: those for which everything that is set holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The row of this number.
    pub seq: Option<i64>,
    /// Of this moment (microseconds since 1970) or later.
    pub from: Option<i64>,
    /// Of before this moment.
    pub to: Option<i64>,
    /// Who.
    pub actor: Option<String>,
    /// By which key's hash.
    pub actor_key: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// The kind of the object.
    pub kind: Option<String>,
    /// Which object.
    pub object_id: Option<String>,
    /// The oldest first; otherwise the newest.
    pub ascending: bool,
}

/// A part of the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The rows.
    pub rows: Vec<AuditRow>,
    /// How many there are.
    pub total: u64,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tampering {
    /// It is not there.
    Missing,
    /// It does not say what it said when it was written.
    Changed,
    /// It does not follow the row before it.
    Unlinked,
    /// It is there, and nobody has written it.
    Added,
}

impl fmt::Display for Tampering {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Missing => "it is not there",
            Self::Changed => "it does not say what it said when it was written",
            Self::Unlinked => "it does not follow the row before it",
            Self::Added => "it is there, and the gateway has not written it",
        })
    }
}

/// What [`verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditCheck {
    /// Rows that are as they were written, from the first on.
    pub rows: u64,
    /// The hash of the last of them. Kept elsewhere, it proves later that none of them was written anew.
    pub last_hash: String,
    /// The first row that is not, by its number.
    pub broken: Option<(i64, Tampering)>,
}

/// Rows that are verified at a time, so that others get their turn in between.
const VERIFIED_AT_ONCE: i64 = 1_000;

const SELECT: &str = "SELECT seq, at, actor, actor_key, action, kind, object_id, before, after, previous_hash, hash \
     FROM audit";

const AFTER: &str = "SELECT seq, at, actor, actor_key, action, kind, object_id, before, after, previous_hash, hash \
     FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";

const HEAD: &str = "SELECT audit_seq, audit_hash FROM heads WHERE id = 1";

fn read(mut row: Row) -> Result<AuditRow, Fault> {
    Ok(AuditRow {
        seq: row.int()?,
        entry: AuditEntry {
            at: row.int()?,
            actor: row.text()?,
            actor_key: row.text()?,
            action: row.text()?,
            kind: row.text()?,
            object_id: row.text()?,
            before: row.text_or_none()?,
            after: row.text_or_none()?,
        },
        previous_hash: row.text()?,
        hash: row.text()?,
    })
}

/// The rows of a page, and how many there are.
pub(super) fn page(session: &mut dyn Session, filter: &AuditFilter, page: Page) -> Result<AuditPage, Fault> {
    let mut counted = Clauses::new(session.dialect());
    counted.text("SELECT count(*) FROM audit");
    narrow(&mut counted, filter);
    let total = one(session.query(&counted.sql, &counted.values)?)?.count()?;
    let mut clauses = Clauses::new(session.dialect());
    clauses.text(SELECT);
    narrow(&mut clauses, filter);
    clauses.text(if filter.ascending { " ORDER BY seq" } else { " ORDER BY seq DESC" }).page(page);
    let rows = session.query(&clauses.sql, &clauses.values)?;
    Ok(AuditPage { rows: rows.into_iter().map(read).collect::<Result<_, _>>()?, total })
}

fn narrow(clauses: &mut Clauses, filter: &AuditFilter) {
    let text = |text: &Option<String>| text.as_deref().map(|text| text.replace('\0', "").into());
    clauses
        .hold("seq = ", filter.seq.map(Value::Int))
        .hold("at >= ", filter.from.map(Value::Int))
        .hold("at < ", filter.to.map(Value::Int))
        .hold("actor = ", text(&filter.actor))
        .hold("actor_key = ", text(&filter.actor_key))
        .hold("action = ", text(&filter.action))
        .hold("kind = ", text(&filter.kind))
        .hold("object_id = ", text(&filter.object_id));
}

/// Goes on from what was verified so far, and says whether there is more. The transaction has to see one state.
pub(super) fn verify(session: &mut dyn Session, mut check: AuditCheck) -> Result<(AuditCheck, bool), Fault> {
    let mut head = one(session.query(HEAD, &[])?)?;
    let (head_seq, head_hash) = (head.int()?, head.text()?);
    let last = i64::try_from(check.rows).unwrap_or(i64::MAX);
    let rows = session.query(AFTER, &[last.into(), VERIFIED_AT_ONCE.into()])?;
    let is_full = rows.len() as i64 == VERIFIED_AT_ONCE;
    let mut next = last;
    for row in rows {
        let row = read(row)?;
        next += 1;
        let found = if row.seq != next {
            Some(Tampering::Missing)
        } else if next > head_seq {
            Some(Tampering::Added)
        } else if row.previous_hash != check.last_hash {
            Some(Tampering::Unlinked)
        } else if row.hash != hash_of(row.seq, &row.entry, &row.previous_hash) {
            Some(Tampering::Changed)
        } else if next == head_seq && row.hash != head_hash {
            // Whoever wrote it anew has left the head as it was.
            Some(Tampering::Changed)
        } else {
            None
        };
        if let Some(found) = found {
            check.broken = Some((next, found));
            return Ok((check, false));
        }
        check.rows += 1;
        check.last_hash = row.hash;
    }
    if !is_full && next < head_seq {
        check.broken = Some((next + 1, Tampering::Missing));
    }
    Ok((check, is_full))
}
