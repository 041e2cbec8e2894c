//! A new key in place of each that is due for one.
//!
//! **Invariant:** it is what `/key/{key}/regenerate` does, audited under a name of its own; a key whose new text cannot be
//! put anywhere stays as it is, and somebody is told.

use super::{Desk, Problem, keys};
use crate::rotation::{Folder, Pending, Unsure, on_disk};
use crate::snapshot::Snapshot;
use crate::toll::named;
use crate::worker::Worker;
use serde_json::{Map, Value};
use std::sync::Arc;
use tollgate_alerts::{Alert, ScopeKind};
use tollgate_identity::access::right_of;
use tollgate_identity::form::key::is_rotation_due;
use tollgate_identity::{Kind, Record};

/// Who replaces them, in the audit and in what is told.
const NAME: &str = "key_rotation";

/// Replaces the keys that are due, one after the other.
pub(crate) async fn rotate_due(worker: &Worker, snapshot: &Snapshot, folder: &Folder, unsure: &mut Unsure) {
    let Some(row) = right_of("POST", "/key/{key}/regenerate") else { return };
    let grace = snapshot.config().key_rotation.grace_period.clone();
    let body: Map<String, Value> =
        grace.map(|grace| ("grace_period".to_owned(), Value::from(grace))).into_iter().collect();
    let desk = Desk::of_gateway((worker, snapshot), row, NAME, body);
    let due: Vec<Arc<Record>> = {
        let directory = desk.ledger().directory();
        let is_due = |key: &&Arc<Record>| is_rotation_due(key, desk.now());
        directory.all(Kind::Key).filter(is_due).map(Arc::clone).collect()
    };
    for key in due {
        match rotate(&desk, &key, (folder, unsure)).await {
            Ok(Some(token)) => {
                tracing::info!(key = key.name(), token, "a key was replaced, its time had come");
            }
            Ok(None) => tracing::debug!(key = key.name(), "a key that is due was changed meanwhile"),
            Err(why) => {
                tracing::error!(key = key.name(), why, "a key that is due for a new text keeps the old one");
                let scope = named(&key, ScopeKind::Key, &desk.ledger().directory());
                worker.gateway.alerts().tell(Alert::rotation_failed(scope, &why));
            }
        }
    }
}

/// Puts a new key in place of one, and returns its token; none where somebody else was there before, such as another
/// gateway that does the same. Else says why not.
async fn rotate(
    desk: &Desk<'_>,
    old: &Arc<Record>,
    (folder, unsure): (&Folder, &mut Unsure),
) -> Result<Option<String>, String> {
    let said = |problem: Problem| problem.into_rejection().message().to_owned();
    let (key, pending) = match unsure.take(&old.id, folder, old.name()) {
        Some(again) => again,
        None => {
            let key = keys::secret(desk, None).map_err(said)?;
            let (to, name, text) = (folder.clone(), old.name().to_owned(), key.clone());
            let written = on_disk(move || to.write(&name, &text)).await;
            let pending = written
                .map_err(|error| format!("its text cannot be put into the folder of new keys: {error}"))?;
            (key, pending)
        }
    };
    match keys::replace(desk, old, &key).await {
        Ok(made) => {
            keep(pending, old).await;
            Ok(Some(made.id.as_ref().to_owned()))
        }
        Err(problem) => {
            let is_unsure = matches!(problem, Problem::Unavailable | Problem::Internal);
            // Where nobody knows whether the change was made, the next turn does.
            if is_unsure {
                unsure.keep(&old.id, key);
            } else if let Err(error) = on_disk(move || pending.drop()).await {
                tracing::warn!(%error, key = old.name(), "the text of a key that was not made is still there");
            }
            if matches!(problem, Problem::Conflict(_)) { Ok(None) } else { Err(said(problem)) }
        }
    }
}

async fn keep(pending: Pending, old: &Record) {
    if let Err(error) = on_disk(move || pending.keep()).await {
        tracing::error!(%error, key = old.name(), "the text of a new key has no name yet; it is tried again");
    }
}
