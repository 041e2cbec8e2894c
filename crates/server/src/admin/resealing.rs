//! `/credentials/migrate-encryption`: what was sealed by a former secret, sealed by the one that seals now.
//!
//! A salt key is changed so: the new one in `LITELLM_SALT_KEY`, those before it in `LITELLM_SALT_KEY_PREVIOUS`, a restart, and
//! one request here; then the former ones may go. **Invariant:** what does not open stays as it is, and is counted.

use super::change::Change;
use super::desk::random_bits;
use super::{Desk, Outcome, Problem, Served, asks, looks};
use crate::made;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use tollgate_config::map_secrets;
use tollgate_identity::form::{Draft, open_within};
use tollgate_identity::secret::{Place, Vault};
use tollgate_identity::{Document, Kind, Record};

/// The routes of sealed texts.
pub(super) const ROUTES: &[Served] = &[
    looks(
        "GET",
        "/credentials/migrate-encryption/check",
        check,
        "How many secrets a former salt key has sealed, and how many do not open",
    ),
    asks(
        "POST",
        "/credentials/migrate-encryption",
        |desk| Box::pin(migrate(desk)),
        "Seal what a former salt key has sealed by the one that there is",
    ),
];

/// Where sealed texts are, under the names of the report.
const PLACES: [(Kind, &str); 4] = [
    (Kind::Model, "litellm_params"),
    (Kind::Credential, "credential_values"),
    (Kind::Setting, "settings"),
    (Kind::Team, "team.callback_vars"),
];

/// What was found in one place, and what became of it.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    scanned: u64,
    migrated: u64,
    current: u64,
    undecryptable: u64,
    legacy: u64,
}

impl Count {
    fn told(self) -> Value {
        json!({
            "scanned": self.scanned,
            "migrated": self.migrated,
            "already_v2": self.current,
            "plaintext": 0,
            "undecryptable": self.undecryptable,
            "legacy": self.legacy,
        })
    }
}

/// A record looked through: what was found, and the document with what could be sealed anew.
struct Looked {
    count: Count,
    document: Document,
}

/// Looks through a record. `vault` opens and seals.
fn look(vault: &Vault, record: &Record) -> Looked {
    let count = Cell::new(Count::default());
    let resealed = |member: &str, text: &str| -> Option<String> {
        if !Vault::is_sealed(text) {
            return None;
        }
        let mut found = count.get();
        found.scanned += 1;
        let place = Place { record: &record.id, member };
        let sealed = match vault.open(place, text) {
            Ok(_) if vault.is_current(text) => {
                found.current += 1;
                None
            }
            Ok(open) => {
                found.legacy += 1;
                let bits = random_bits().ok();
                let nonce = bits.as_ref().and_then(|bits| bits.first_chunk().copied());
                nonce.and_then(|nonce| vault.seal(place, nonce, &open).ok())
            }
            Err(_) => {
                found.undecryptable += 1;
                None
            }
        };
        count.set(found);
        sealed
    };
    let mut document = record.document();
    match record.kind {
        Kind::Model => within(&mut document, "litellm_params", &resealed),
        Kind::Credential => within(&mut document, "credential_values", &resealed),
        Kind::Setting => settings(&mut document, &record.id, &resealed),
        Kind::Team => callbacks(&mut document, &resealed),
        _ => {}
    }
    Looked { count: count.get(), document }
}

type Reseal<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

fn within(document: &mut Document, name: &str, reseal: Reseal<'_>) {
    if let Some(Value::Object(members)) = document.0.get_mut(name) {
        *members = open_within(members, name, reseal);
    }
}

fn settings(document: &mut Document, section: &str, reseal: Reseal<'_>) {
    let Some(Value::Object(values)) = document.0.get_mut("values") else { return };
    for (name, value) in values.iter_mut() {
        let mapped = map_secrets(section, name, value, &mut |member, text| {
            Ok::<_, Infallible>(reseal(member, text).unwrap_or_else(|| text.to_owned()))
        });
        let Ok(mapped) = mapped;
        *value = mapped;
    }
}

fn callbacks(document: &mut Document, reseal: Reseal<'_>) {
    let metadata = document.0.get_mut("metadata").and_then(Value::as_object_mut);
    let all = metadata.and_then(|metadata| metadata.get_mut("logging")).and_then(Value::as_array_mut);
    for callback in all.into_iter().flatten() {
        let text = |name: &str| callback.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let path = format!("metadata.logging.{}.{}", text("callback_name"), text("callback_type"));
        if let Some(Value::Object(vars)) = callback.get_mut("callback_vars") {
            *vars = open_within(vars, &path, reseal);
        }
    }
}

fn vault(desk: &Desk<'_>) -> Result<Vault, Problem> {
    let vault = made::vault(desk.snapshot.config());
    vault.map_err(|error| Problem::Bad("salt_key", error.to_string()))
}

fn records(desk: &Desk<'_>, kind: Kind) -> Vec<Arc<Record>> {
    desk.ledger().directory().all(kind).map(Arc::clone).collect()
}

fn report(counts: &[(&'static str, Count)]) -> Value {
    let sum = |of: fn(&Count) -> u64| counts.iter().map(|(_, count)| of(count)).sum::<u64>();
    let locations: Map<String, Value> =
        counts.iter().map(|(name, count)| ((*name).to_owned(), count.told())).collect();
    json!({
        "residual_legacy": sum(|count| count.legacy),
        "total_undecryptable": sum(|count| count.undecryptable),
        "locations": locations,
    })
}

fn add(sum: &mut Count, more: Count) {
    sum.scanned += more.scanned;
    sum.migrated += more.migrated;
    sum.current += more.current;
    sum.undecryptable += more.undecryptable;
    sum.legacy += more.legacy;
}

fn checked(desk: &Desk<'_>) -> Result<Value, Problem> {
    let vault = vault(desk)?;
    let counts = PLACES.map(|(kind, name)| {
        let mut sum = Count::default();
        records(desk, kind).iter().for_each(|record| add(&mut sum, look(&vault, record).count));
        (name, sum)
    });
    Ok(report(&counts))
}

fn check(desk: &Desk<'_>) -> Outcome {
    Ok(json!({"status": "success", "report": checked(desk)?}))
}

async fn migrate(desk: &Desk<'_>) -> Outcome {
    if desk.query.flag("dry_run")?.unwrap_or(false) {
        return Ok(json!({"status": "success", "dry_run": true, "report": checked(desk)?}));
    }
    let mut counts = Vec::with_capacity(PLACES.len());
    for (kind, name) in PLACES {
        let mut sum = Count::default();
        for record in records(desk, kind) {
            let Looked { mut count, document } = look(&vault(desk)?, &record);
            if document != record.document() {
                let draft = Draft { kind, id: record.id.to_string(), document };
                match desk.commit(Change::new("resealed").replace(&record, draft)).await {
                    Ok(_) => (count.migrated, count.legacy) = (count.legacy, 0),
                    Err(unavailable @ Problem::Unavailable) => return Err(unavailable),
                    Err(problem) => tracing::warn!(id = %record.id, ?problem, "not sealed anew"),
                }
            }
            add(&mut sum, count);
        }
        counts.push((name, sum));
    }
    Ok(json!({"status": "success", "dry_run": false, "report": report(&counts)}))
}
