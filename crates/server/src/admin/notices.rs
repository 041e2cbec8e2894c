//! What is told of keys, teams, users and models that are made, changed or deleted here.
//!
//! Leaves the words to the alerts, and whether anybody is told to the operator's `alert_types`. **Invariant:** what was not
//! kept is not told, and what another gateway changed is told there.

use super::change::Change;
use super::desk::Desk;
use crate::toll::named;
use std::sync::Arc;
use tollgate_alerts::{Alert, Event, Quiet, Scope, ScopeKind, Severity};
use tollgate_identity::{Directory, Kind, Record};

/// What is to be told once a change is kept.
pub(super) struct Notices {
    /// Of what goes: told as it was.
    gone: Vec<(Event, Scope)>,
    /// Of what is there then.
    there: Vec<(Event, Kind, String)>,
}

impl Notices {
    /// Of a change that is about to be made.
    pub(super) fn of(change: &Change, directory: &Directory) -> Self {
        let is_rotation = change.action() == "regenerated";
        let gone = change.deleted().filter(|record| !is_rotation || record.kind != Kind::Key);
        let gone = gone.filter_map(|record| Some((deleted(record.kind)?, scope(record, directory)?)));
        let there = change.put_records().filter_map(|(kind, id, is_new)| {
            let event = match (kind, is_new) {
                (Kind::Key, true) if is_rotation => Event::KeyRotated,
                // What a key was regenerated from goes on for a while: nothing new.
                (Kind::Key, false) if is_rotation => return None,
                (_, true) => made(kind)?,
                (_, false) => changed(kind)?,
            };
            Some((event, kind, id.to_owned()))
        });
        Self { gone: gone.collect(), there: there.collect() }
    }

    /// Tells it; the change is kept.
    pub(super) fn tell(self, desk: &Desk<'_>, actor: &str) {
        let alerts = desk.worker.gateway.alerts();
        for (event, scope) in self.gone {
            alerts.tell(Alert::record(event, scope, actor));
        }
        for (event, kind, id) in self.there {
            let found = {
                let directory = desk.ledger().directory();
                directory.get(kind, &id).and_then(|record| scope(record, &directory))
            };
            match (event, found) {
                (Event::ModelAdded, _) => alerts.tell(model_added(desk, &id, actor)),
                (event, Some(scope)) => alerts.tell(Alert::record(event, scope, actor)),
                (_, None) => {}
            }
        }
    }
}

fn made(kind: Kind) -> Option<Event> {
    match kind {
        Kind::Key => Some(Event::KeyCreated),
        Kind::Team => Some(Event::TeamCreated),
        Kind::User => Some(Event::UserCreated),
        Kind::Model => Some(Event::ModelAdded),
        _ => None,
    }
}

fn changed(kind: Kind) -> Option<Event> {
    match kind {
        Kind::Key => Some(Event::KeyUpdated),
        Kind::Team => Some(Event::TeamUpdated),
        Kind::User => Some(Event::UserUpdated),
        _ => None,
    }
}

fn deleted(kind: Kind) -> Option<Event> {
    match kind {
        Kind::Key => Some(Event::KeyDeleted),
        Kind::Team => Some(Event::TeamDeleted),
        Kind::User => Some(Event::UserDeleted),
        _ => None,
    }
}

fn scope(record: &Arc<Record>, directory: &Directory) -> Option<Scope> {
    let whom = match record.kind {
        Kind::Key => ScopeKind::Key,
        Kind::Team => ScopeKind::Team,
        Kind::User => ScopeKind::User,
        _ => return None,
    };
    Some(named(record, whom, directory))
}

fn model_added(desk: &Desk<'_>, id: &str, actor: &str) -> Alert {
    let record = desk.known(Kind::Model, id);
    let name = record.and_then(|record| record.text("model_name"));
    let name = name.unwrap_or_default();
    let sentence = format!("Model {} was added by {}.", plain(&name), plain(actor));
    let alert = Alert::new(Event::ModelAdded, Severity::Info, id, sentence).quiet(Quiet::Never);
    alert.fact("model_group", name).fact("deployment", id).fact("actor", actor)
}

/// A name that somebody chose, as a part of a sentence: one line, and not a long one.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(100).collect()
}
