//! Who changed what: added to, never changed, each row bound to the one before it.
//!
//! Owns the table `audit`, the canonical form of a row and its hash. What is worth a row is for those who change things.
//!
//! **Invariant**: a row is written in the transaction of its change. **Invariant**: whoever changes, removes, adds or moves
//! a row by other ways is found, unless all hashes after it and the head are written anew too; the hash of the last row,
//! kept elsewhere, finds that as well.

use sha2::{Digest as _, Sha256};

use super::columns::hex;
use super::session::{Insert, Session, Value};
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

const MOVE_HEAD: &str = "UPDATE heads SET audit_seq = $1, audit_hash = $2 WHERE only = 1";

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
    if entries.iter().any(has_zero) {
        return Err(StoreError::Invalid("a text has a character that it cannot have".to_owned()));
    }
    Ok(())
}
