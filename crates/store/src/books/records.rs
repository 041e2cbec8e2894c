//! What the admin API keeps: documents by kind and id, changed in one transaction with the audit of the change.
//!
//! Owns the tables `records`, `deletions` and the revisions. What is in a document, and who may change it, is for others.
//!
//! **Invariant**: a change is carried out whole or not at all, and has a revision that is larger than those of all changes
//! before it, in the order of their commits: whoever has seen revision n has missed nothing before it.
//! **Invariant**: a change that expects another state of a record than it finds is refused.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::accounts::{self, Settled};
use super::audit::{self, AuditEntry};
use super::postgres::CHANNEL;
use super::session::{Dialect, Insert, Row, Session, Value, one};
use crate::error::{Fault, StoreError};

/// The longest id of a record, in bytes: two ids and the stroke between them.
pub const RECORD_ID_BYTES_MAX: usize = 2 * super::columns::ID_BYTES_MAX + 1;

/// The largest document, in bytes.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One object of the admin API.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is: `key`, `team`, ...
    pub kind: String,
    /// Which one.
    pub id: String,
    /// The document, JSON.
    pub doc: String,
    /// The revision of the change that wrote it last. It serves as its version: no two states of a record have the same,
    /// not even if it was deleted in between.
    pub version: i64,
}

/// Without the document, which may hold sealed credentials, and without the id, which may be a key's hash.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("kind", &self.kind)
            .field("version", &self.version)
            .field("doc_bytes", &self.doc.len())
            .finish_non_exhaustive()
    }
}

/// All records, as they were at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Every record, by kind and id.
    pub records: Vec<Record>,
    /// The revision of the last change.
    pub revision: i64,
}

/// What has changed since a revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Records that were written, as they are now, by revision.
    pub written: Vec<Record>,
    /// Kind and id of those that were deleted and have not been written again.
    pub deleted: Vec<(String, String)>,
    /// The revision of the last change.
    pub revision: i64,
}

/// The state in which a change expects a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any, or none.
    #[default]
    Any,
    /// Not there.
    Absent,
    /// There, in this version.
    Version(i64),
}

/// A record to be written.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Put {
    /// What it is.
    pub kind: String,
    /// Which one; at most [`RECORD_ID_BYTES_MAX`] bytes.
    pub id: String,
    /// Its document, JSON; at most [`RECORD_BYTES_MAX`] bytes.
    pub doc: String,
    /// What it replaces.
    pub expected: Expected,
}

/// A record to be deleted. One that is not there is deleted already.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Delete {
    /// What it is.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// What is deleted.
    pub expected: Expected,
}

/// What is done in one transaction.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecordChange {
    /// When, in microseconds since 1970.
    pub at: i64,
    /// What is written. No record is named twice in a change.
    pub puts: Vec<Put>,
    /// What is deleted.
    pub deletes: Vec<Delete>,
    /// What the audit says of it, in this order.
    pub audits: Vec<AuditEntry>,
    /// What accounts are set to, whatever stands in them.
    pub accounts: Vec<Settled>,
}

const ALL: &str = "SELECT kind, id, doc, revision FROM records ORDER BY kind, id";

/// One page of them, from the first on.
const FIRST: &str = "SELECT kind, id, doc, revision FROM records ORDER BY kind, id LIMIT $1";

/// The page that follows a record.
const AFTER: &str = "SELECT kind, id, doc, revision FROM records WHERE (kind, id) > ($2, $3) \
                     ORDER BY kind, id LIMIT $1";

const WRITTEN: &str =
    "SELECT kind, id, doc, revision FROM records WHERE revision > $1 ORDER BY revision, kind, id";

const DELETED: &str = "SELECT kind, id FROM deletions WHERE revision > $1 ORDER BY revision, kind, id";

const REVISION: &str = "SELECT revision FROM heads WHERE id = 1";

/// Whoever changes records comes through here one by one, so that revisions have the order of commits.
const ADVANCE: &str =
    "UPDATE heads SET revision = revision + 1 WHERE id = 1 RETURNING revision, audit_seq, audit_hash";

const NOTIFY: &str = "SELECT CAST(pg_notify($1, current_schema() || ' ' || $2) AS TEXT)";

const PUT: Insert = Insert {
    table: "records",
    columns: &["kind", "id", "doc", "revision", "updated_at"],
    sqlite: "ON CONFLICT (kind, id) DO UPDATE SET doc = excluded.doc, revision = excluded.revision, \
             updated_at = excluded.updated_at",
    postgres: "ON CONFLICT (kind, id) DO UPDATE SET doc = excluded.doc, revision = excluded.revision, \
               updated_at = excluded.updated_at",
};

const MARK_DELETED: Insert = Insert {
    table: "deletions",
    columns: &["kind", "id", "revision"],
    sqlite: "ON CONFLICT (kind, id) DO UPDATE SET revision = excluded.revision",
    postgres: "ON CONFLICT (kind, id) DO UPDATE SET revision = excluded.revision",
};

/// Records by a JSON array of `{"kind": ..., "id": ...}`.
fn found(dialect: Dialect) -> &'static str {
    dialect.pick(
        "SELECT r.kind, r.id, r.revision FROM json_each($1) AS k \
         JOIN records AS r ON r.kind = k.value ->> 'kind' AND r.id = k.value ->> 'id'",
        "SELECT r.kind, r.id, r.revision FROM json_to_recordset($1::json) AS k (kind TEXT, id TEXT) \
         JOIN records AS r ON r.kind = k.kind AND r.id = k.id",
    )
}

fn delete(dialect: Dialect) -> &'static str {
    dialect.pick(
        "DELETE FROM records WHERE (kind, id) IN \
         (SELECT k.value ->> 'kind', k.value ->> 'id' FROM json_each($1) AS k)",
        "DELETE FROM records WHERE (kind, id) IN \
         (SELECT k.kind, k.id FROM json_to_recordset($1::json) AS k (kind TEXT, id TEXT))",
    )
}

fn unmark_deleted(dialect: Dialect) -> &'static str {
    dialect.pick(
        "DELETE FROM deletions WHERE (kind, id) IN \
         (SELECT k.value ->> 'kind', k.value ->> 'id' FROM json_each($1) AS k)",
        "DELETE FROM deletions WHERE (kind, id) IN \
         (SELECT k.kind, k.id FROM json_to_recordset($1::json) AS k (kind TEXT, id TEXT))",
    )
}

/// Everything, with the revision at which it is so.
pub(super) fn all(session: &mut dyn Session) -> Result<Records, Fault> {
    let revision = revision(session)?;
    let records = session.query(ALL, &[])?.into_iter().map(record).collect::<Result<_, _>>()?;
    Ok(Records { records, revision })
}

/// So many records after one, with the revision at which they are so.
pub(super) fn page(
    session: &mut dyn Session,
    after: Option<&(String, String)>,
    limit: u32,
) -> Result<Records, Fault> {
    let revision = revision(session)?;
    let limit = Value::Int(limit.into());
    let rows = match after {
        None => session.query(FIRST, &[limit])?,
        Some((kind, id)) => session.query(AFTER, &[limit, kind.as_str().into(), id.as_str().into()])?,
    };
    Ok(Records { records: rows.into_iter().map(record).collect::<Result<_, _>>()?, revision })
}

/// What is not as it was at a revision.
pub(super) fn since(session: &mut dyn Session, revision: i64) -> Result<Changes, Fault> {
    let written = session.query(WRITTEN, &[revision.into()])?;
    let deleted = session.query(DELETED, &[revision.into()])?;
    Ok(Changes {
        written: written.into_iter().map(record).collect::<Result<_, _>>()?,
        deleted: deleted
            .into_iter()
            .map(|mut row| Ok((row.text()?, row.text()?)))
            .collect::<Result<_, Fault>>()?,
        revision: self::revision(session)?,
    })
}

/// The revision of the last change.
pub(super) fn revision(session: &mut dyn Session) -> Result<i64, Fault> {
    one(session.query(REVISION, &[])?)?.int()
}

fn record(mut row: Row) -> Result<Record, Fault> {
    Ok(Record { kind: row.text()?, id: row.text()?, doc: row.text()?, version: row.int()? })
}

/// Carries a change out and returns its revision, which is the version of every record that it wrote.
pub(super) fn commit(session: &mut dyn Session, change: &RecordChange) -> Result<i64, Fault> {
    let dialect = session.dialect();
    let mut head = one(session.query(ADVANCE, &[])?)?;
    let revision = head.int()?;
    hold(session, change)?;
    let puts: Vec<Vec<Value>> = change.puts.iter().map(|put| cells(put, revision, change.at)).collect();
    session.insert(&PUT, &puts)?;
    if !change.puts.is_empty() {
        let keys = keys(change.puts.iter().map(|put| (put.kind.as_str(), put.id.as_str())));
        session.execute(unmark_deleted(dialect), &[keys])?;
    }
    if !change.deletes.is_empty() {
        let keys = keys(change.deletes.iter().map(|gone| (gone.kind.as_str(), gone.id.as_str())));
        session.execute(delete(dialect), &[keys])?;
        let marks = change.deletes.iter();
        let marks =
            marks.map(|gone| vec![gone.kind.as_str().into(), gone.id.as_str().into(), revision.into()]);
        session.insert(&MARK_DELETED, &marks.collect::<Vec<_>>())?;
    }
    accounts::set(session, &change.accounts)?;
    audit::append(session, &change.audits, head.int()?, head.text()?)?;
    if dialect == Dialect::Postgres {
        // Told with the commit, to those who listen.
        let values = [CHANNEL.into(), revision.to_string().into()];
        session.query(NOTIFY, &values)?;
    }
    Ok(revision)
}

fn cells(put: &Put, revision: i64, at: i64) -> Vec<Value> {
    vec![
        put.kind.as_str().into(),
        put.id.as_str().into(),
        put.doc.as_str().into(),
        revision.into(),
        at.into(),
    ]
}

fn keys<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let keys: Vec<_> = pairs.map(|(kind, id)| json!({ "kind": kind, "id": id })).collect();
    Value::Text(serde_json::Value::Array(keys).to_string())
}

/// Finds what the change expects, or refuses it.
fn hold(session: &mut dyn Session, change: &RecordChange) -> Result<(), Fault> {
    let puts = change.puts.iter().map(|put| (put.kind.as_str(), put.id.as_str(), put.expected));
    let deletes = change.deletes.iter().map(|gone| (gone.kind.as_str(), gone.id.as_str(), gone.expected));
    let expecting: Vec<_> =
        puts.chain(deletes).filter(|(_, _, expected)| *expected != Expected::Any).collect();
    if expecting.is_empty() {
        return Ok(());
    }
    let keys = keys(expecting.iter().map(|(kind, id, _)| (*kind, *id)));
    let mut versions = HashMap::new();
    for mut row in session.query(found(session.dialect()), &[keys])? {
        versions.insert((row.text()?, row.text()?), row.int()?);
    }
    for (kind, id, expected) in expecting {
        let found = versions.get(&(kind.to_owned(), id.to_owned())).copied();
        let is_met = match expected {
            Expected::Any => true,
            Expected::Absent => found.is_none(),
            Expected::Version(version) => found == Some(version),
        };
        if !is_met {
            return Err(StoreError::Conflict { kind: kind.to_owned(), id: id.to_owned() }.into());
        }
    }
    Ok(())
}

/// Whether both engines can keep it.
pub(super) fn check(change: &RecordChange) -> Result<(), StoreError> {
    let puts = change.puts.iter().map(|put| (put.kind.as_str(), put.id.as_str()));
    let deletes = change.deletes.iter().map(|gone| (gone.kind.as_str(), gone.id.as_str()));
    let mut seen = HashSet::new();
    for (kind, id) in puts.chain(deletes) {
        if kind.is_empty() || kind.len() > 64 || kind.contains('\0') || id.contains('\0') {
            return Err(StoreError::Invalid("a kind or an id has characters that it cannot have".to_owned()));
        }
        if id.len() > RECORD_ID_BYTES_MAX {
            return Err(StoreError::Invalid(format!("an id has more than {RECORD_ID_BYTES_MAX} bytes")));
        }
        if !seen.insert((kind, id)) {
            return Err(StoreError::Invalid(format!("a change names one {kind} twice")));
        }
    }
    for put in &change.puts {
        if put.doc.len() > RECORD_BYTES_MAX {
            return Err(StoreError::TooLarge { bytes: put.doc.len(), bytes_max: RECORD_BYTES_MAX });
        }
        if put.doc.contains('\0') {
            return Err(StoreError::Invalid("a document is no JSON".to_owned()));
        }
    }
    accounts::check(&change.accounts)?;
    audit::check(&change.audits)
}
