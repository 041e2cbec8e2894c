//! Bodies, and who sends them.

use serde_json::{Map, Value};
use std::sync::atomic::{AtomicU32, Ordering};
use tollgate_identity::Document;
use tollgate_identity::form::{BadForm, Context};
use tollgate_policy::clock::Wall;

/// When every body is sent.
pub(crate) const NOW: &str = "2026-11-22T11:00:00.000000Z";

/// An object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("an object") };
    members
}

/// A document.
pub(crate) fn document(value: Value) -> Document {
    Document(object(value))
}

/// As an administrator.
pub(crate) fn admin<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    asked(true, run)
}

/// As somebody else.
pub(crate) fn holder<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    asked(false, run)
}

fn asked<T>(is_admin: bool, run: impl FnOnce(&Context<'_>) -> T) -> T {
    let count = AtomicU32::new(1);
    let fresh = || format!("fresh-{}", count.fetch_add(1, Ordering::Relaxed));
    run(&Context {
        now: Wall::from_rfc3339(NOW).unwrap(),
        actor: "ada",
        is_admin,
        is_operator: is_admin,
        fresh: &fresh,
    })
}

/// What is said of a body.
pub(crate) fn said<T: std::fmt::Debug>(outcome: Result<T, BadForm>) -> String {
    outcome.unwrap_err().to_string()
}

/// A member of a document; null where there is none.
pub(crate) fn get(document: &Document, name: &str) -> Value {
    document.0.get(name).cloned().unwrap_or_default()
}
