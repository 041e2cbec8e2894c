//! Secrets as they are shown.

use crate::form::is_secret;
use serde_json::{Map, Value};

/// A text of which nothing is shown.
pub(crate) const HIDDEN: &str = "*****";
/// Letters at both ends that are shown of a longer one.
const SHOWN: usize = 2;

/// The first and the last letters of a secret; of one that is as short as these, nothing.
pub(crate) fn masked(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    if letters.len() <= 2 * SHOWN {
        return HIDDEN.to_owned();
    }
    let first = letters.iter().take(SHOWN);
    let last = letters.iter().skip(letters.len() - SHOWN);
    first.chain("****".chars().collect::<Vec<_>>().iter()).chain(last).collect()
}

/// An object with the texts of members that hold secrets shown by `show`.
pub(crate) fn within(members: &Map<String, Value>, show: &dyn Fn(&str) -> String) -> Map<String, Value> {
    let shown = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) if is_secret(name) => Value::String(show(text)),
            Value::Object(inner) => Value::Object(within(inner, show)),
            other => other.clone(),
        };
        (name.clone(), value)
    };
    members.iter().map(shown).collect()
}
