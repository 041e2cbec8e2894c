//! The secrets within a body: what is sealed before it is kept, and how it is found again.
//!
//! Leaves sealing itself, which needs randomness and a secret, to the caller. **Invariant:** no draft has a provider's secret
//! in the clear.

use super::BadForm;
use serde_json::{Map, Value};

/// Words that make a member's name that of a secret (LiteLLM's list).
const SECRET_WORDS: &[&str] =
    &["authorization", "token", "key", "secret", "vertex_credentials", "credentials", "password", "passwd"];
/// How deep objects lie in one another where secrets are looked for.
const DEPTH_MAX: usize = 8;
/// What a client sends back that was shown a masked secret: in most replies, and in those of callbacks.
const MASKS: [&str; 2] = ["****", "***REDACTED***"];

/// Seals a text of a record. It is told the member, with the names of those that it lies in, and the text.
pub type Seal<'a> = &'a dyn Fn(&str, &str) -> Result<String, BadForm>;

/// Whether a member of this name holds a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Whether this is how a secret is shown, rather than one.
pub(super) fn is_masked(value: &Value) -> bool {
    value.as_str().is_some_and(has_mask)
}

fn has_mask(text: &str) -> bool {
    MASKS.iter().any(|mask| text.contains(mask))
}

fn sealed_text(place: &str, text: &str, seal: Seal<'_>) -> Result<String, BadForm> {
    if has_mask(text) {
        return Err(BadForm::wrong(place, "is masked: it is to be given in full"));
    }
    seal(place, text)
}

/// Which members are sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those whose names say so, however deep.
    Secrets,
    /// All.
    All,
}

/// The members of an object, sealed. `path` is where it lies.
///
/// # Errors
/// A secret that is masked: sealed, it would be lost.
pub(super) fn seal_within(
    members: &Map<String, Value>,
    path: &str,
    scope: Scope,
    seal: Seal<'_>,
) -> Result<Map<String, Value>, BadForm> {
    sealed(members, path, scope, (seal, 0))
}

fn sealed(
    members: &Map<String, Value>,
    path: &str,
    scope: Scope,
    (seal, depth): (Seal<'_>, usize),
) -> Result<Map<String, Value>, BadForm> {
    let mut kept = Map::with_capacity(members.len());
    for (name, value) in members {
        let place = format!("{path}.{name}");
        let value = match value {
            _ if depth > DEPTH_MAX => return Err(BadForm::wrong(place, "lies too deep")),
            Value::String(text) if scope == Scope::All || is_secret(name) => {
                Value::String(sealed_text(&place, text, seal)?)
            }
            // LiteLLM takes a key file as an object too, and as its text.
            Value::Object(_) if is_secret(name) => {
                Value::String(sealed_text(&place, &value.to_string(), seal)?)
            }
            Value::Object(inner) => Value::Object(sealed(inner, &place, scope, (seal, depth + 1))?),
            other => other.clone(),
        };
        kept.insert(name.clone(), value);
    }
    Ok(kept)
}

/// The members of an object with every sealed text opened: `open` is told the member and the text, and answers none where the
/// text is not sealed. `path` is where the object lies: `litellm_params`, `credential_values`.
pub fn open_within(
    members: &Map<String, Value>,
    path: &str,
    open: &dyn Fn(&str, &str) -> Option<String>,
) -> Map<String, Value> {
    let opened = |(name, value): (&String, &Value)| {
        let place = format!("{path}.{name}");
        let value = match value {
            Value::String(text) => open(&place, text).map_or_else(|| value.clone(), Value::String),
            Value::Object(inner) => Value::Object(open_within(inner, &place, open)),
            other => other.clone(),
        };
        (name.clone(), value)
    };
    members.iter().map(opened).collect()
}
