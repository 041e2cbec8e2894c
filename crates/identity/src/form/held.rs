//! What whose key it is may not take off it.
//!
//! Leaves budgets, rates and what is kept in `metadata` to [`Filled::hold`]. **Invariant:** a key is let use less by its
//! owner, and more by an administrator alone.

use super::values::is_empty;
use super::{BadForm, Context, Filled};
use crate::document::Document;
use serde_json::{Map, Value};

/// What restricts a key where it says something: null would take it away.
const RESTRICTIONS: &[&str] = &["allowed_ips", "allowed_routes", "permissions", "budget_id"];

/// Refuses to take away, by null, what restricts a key.
///
/// # Errors
/// The first restriction that would be gone.
pub(super) fn hold_restrictions(
    body: &Map<String, Value>,
    before: &Document,
    context: &Context<'_>,
) -> Result<(), BadForm> {
    let is_lifted = |name: &&&str| {
        body.get(**name).is_some_and(Value::is_null) && before.get(name).is_some_and(|was| !is_empty(was))
    };
    match RESTRICTIONS.iter().find(is_lifted) {
        Some(name) if !context.is_admin => Err(BadForm::forbidden(*name)),
        _ => Ok(()),
    }
}

/// Refuses to let a key use more than it may, other than by who administers it. It may be let use less.
///
/// # Errors
/// The list that would have more.
pub(super) fn hold_models(filled: &Filled, before: &Document, context: &Context<'_>) -> Result<(), BadForm> {
    if context.is_admin {
        return Ok(());
    }
    let had_models = before.texts("models").next().is_some();
    for name in ["models", "access_group_ids"] {
        let was: Vec<&str> = before.texts(name).collect();
        // Those are held by what the key belongs to.
        let is_free = (was.is_empty() && !(name == "access_group_ids" && had_models))
            || was.iter().any(|model| matches!(*model, "all-team-models" | "all-proxy-models"));
        let Some(given) = filled.get(name).filter(|_| !is_free) else { continue };
        let given: Vec<&str> = given.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let is_within = |model: &&str| {
            let takes = |held: &&str| {
                held == model || held.strip_suffix('*').is_some_and(|start| model.starts_with(start))
            };
            was.iter().any(takes)
        };
        // None at all would be every one, unless the other list holds the key.
        let is_opened = given.is_empty() && !was.is_empty() && (name == "models" || !had_models);
        if is_opened || !given.iter().all(is_within) {
            return Err(BadForm::forbidden(name));
        }
    }
    Ok(())
}
