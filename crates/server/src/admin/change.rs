//! What a change puts and deletes, and how it is written with its audit.
//!
//! Leaves to others: whether it may be made (desk, tokens), and keeping it (ledger).
//!
//! **Invariant:** nothing is put or deleted without a line in the audit.

use serde_json::Value;
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_identity::form::{Draft, Drafts};
use tollgate_identity::{Document, Kind, Record, dollars};
use tollgate_policy::clock::Wall;
use tollgate_store::books::{AuditEntry, Delete, Expected, Put, RecordChange, Settled};

/// Who makes a change, and when.
pub(crate) struct Author {
    pub(crate) at: Wall,
    /// The user, or whatever acts of itself.
    pub(crate) actor: String,
    /// The token of the key, or the digest of the bearer token, by which it does.
    pub(crate) key: String,
}

impl Author {
    /// A line of the audit.
    pub(super) fn audit(
        &self,
        action: &'static str,
        (kind, id): (Kind, &str),
        before: Option<&Record>,
        after: Option<String>,
    ) -> AuditEntry {
        AuditEntry {
            at: self.at.micros(),
            actor: self.actor.clone(),
            actor_key: self.key.clone(),
            action: action.to_owned(),
            kind: kind.word().to_owned(),
            object_id: id.to_owned(),
            before: before.map(|record| told(&record.document())),
            after,
        }
    }
}

/// A record that is to be put.
pub(super) struct Putting {
    pub(super) draft: Draft,
    /// What it replaces.
    pub(super) old: Option<Arc<Record>>,
    /// It is part of another one of the change, which is what whoever asks has the right to.
    pub(super) is_beside: bool,
}

/// What a record has spent, before it was set and after: a word in the audit, and nothing that it may or may not do.
struct Note {
    record: Arc<Record>,
    before: PicoDollars,
    after: PicoDollars,
}

impl Note {
    /// The record, with what it has spent.
    fn told(&self, spent: PicoDollars) -> String {
        let mut document = self.record.document();
        document.0.insert("spend".to_owned(), dollars(spent));
        told(&document)
    }
}

/// What is put, with what it replaces.
#[derive(Default)]
pub(crate) struct Change {
    action: &'static str,
    pub(super) puts: Vec<Putting>,
    deletes: Vec<Arc<Record>>,
    notes: Vec<Note>,
    accounts: Vec<Settled>,
}

impl Change {
    /// Nothing yet; `action` is the word of the audit.
    pub(crate) fn new(action: &'static str) -> Self {
        Self { action, ..Self::default() }
    }

    /// With a record that is new.
    pub(crate) fn make(mut self, draft: Draft) -> Self {
        self.puts.push(Putting { draft, old: None, is_beside: false });
        self
    }

    /// With a record that is part of another one of this change: a budget of its own, the user of a place.
    pub(crate) fn beside(mut self, draft: Draft) -> Self {
        self.puts.push(Putting { draft, old: None, is_beside: true });
        self
    }

    /// With a record, new or in place of `old`, and its budget, new or in place of the one that it had for itself alone.
    pub(crate) fn put(
        self,
        drafts: Drafts,
        old: Option<&Arc<Record>>,
        own_budget: Option<&Arc<Record>>,
    ) -> Self {
        let with_record = match old {
            Some(old) => self.replace(old, drafts.record),
            None => self.make(drafts.record),
        };
        drafts.others.into_iter().fold(with_record, |change, draft| {
            let own = own_budget.filter(|own| (own.kind, &*own.id) == (draft.kind, draft.id.as_str()));
            match own {
                Some(own) => change.replace(own, draft),
                None => change.beside(draft),
            }
        })
    }

    /// Whether it has a budget of this id.
    pub(super) fn puts_budget(&self, id: &str) -> bool {
        self.puts.iter().any(|put| put.draft.kind == Kind::Budget && put.draft.id == id)
    }

    /// With a record in place of this one.
    pub(crate) fn replace(mut self, old: &Arc<Record>, draft: Draft) -> Self {
        self.puts.push(Putting { draft, old: Some(Arc::clone(old)), is_beside: false });
        self
    }

    /// Without a record.
    pub(crate) fn delete(mut self, record: &Arc<Record>) -> Self {
        self.deletes.push(Arc::clone(record));
        self
    }

    /// With what a record has spent, before it is set and after. Without a period that begins anew the account has what was
    /// spent of all time, so that the record keeps what was taken off.
    pub(crate) fn note(mut self, record: &Arc<Record>, before: PicoDollars, after: PicoDollars) -> Self {
        self.notes.push(Note { record: Arc::clone(record), before, after });
        self
    }

    /// The word of the audit.
    pub(super) fn action(&self) -> &'static str {
        self.action
    }

    /// What is put: its kind, its id, and whether it is new.
    pub(super) fn put_records(&self) -> impl Iterator<Item = (Kind, &str, bool)> {
        self.puts.iter().map(|put| (put.draft.kind, put.draft.id.as_str(), put.old.is_none()))
    }

    /// What goes.
    pub(super) fn deleted(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.deletes.iter()
    }

    /// With an account set.
    pub(crate) fn set(mut self, settled: Settled) -> Self {
        self.accounts.push(settled);
        self
    }

    /// What is asked of the books, with the audit of all of it.
    pub(crate) fn written(self, author: &Author) -> RecordChange {
        let change = self;
        let mut written =
            RecordChange { at: author.at.micros(), accounts: change.accounts, ..RecordChange::default() };
        for Putting { draft, old, .. } in change.puts {
            let after = text(&draft.document);
            let action = action_on(change.action, old.is_some());
            written.audits.push(author.audit(
                action,
                (draft.kind, &draft.id),
                old.as_deref(),
                Some(told(&draft.document)),
            ));
            written.puts.push(Put {
                kind: draft.kind.word().to_owned(),
                id: draft.id,
                doc: after,
                expected: old.map_or(Expected::Absent, |old| Expected::Version(old.version)),
            });
        }
        for note in change.notes {
            let what = (note.record.kind, &*note.record.id);
            if note.record.limits.cadence.is_none() && note.before != note.after {
                written.puts.push(Put {
                    kind: what.0.word().to_owned(),
                    id: what.1.to_owned(),
                    doc: text(&note.record.document_set_back(note.before, note.after)),
                    expected: Expected::Version(note.record.version),
                });
            }
            let mut audit = author.audit(change.action, what, None, Some(note.told(note.after)));
            audit.before = Some(note.told(note.before));
            written.audits.push(audit);
        }
        for record in change.deletes {
            written.audits.push(author.audit(change.action, (record.kind, &record.id), Some(&record), None));
            written.deletes.push(Delete {
                kind: record.kind.word().to_owned(),
                id: record.id.as_ref().to_owned(),
                // Of two who regenerate one key, one comes too late.
                expected: Expected::Version(record.version),
            });
        }
        written
    }
}

/// What a change does to a record that it puts: what goes with the change of another is not changed as that is.
fn action_on(action: &'static str, is_there: bool) -> &'static str {
    match (action, is_there) {
        ("updated", false) => "created",
        ("created" | "deleted", true) => "updated",
        _ => action,
    }
}

fn text(document: &Document) -> String {
    Value::Object(document.0.clone()).to_string()
}

/// A document as the audit tells it: who reads it has no use for what is kept of a password.
fn told(document: &Document) -> String {
    if document.get("password").is_none() {
        return text(document);
    }
    let mut document = document.clone();
    document.0.shift_remove("password");
    text(&document)
}
