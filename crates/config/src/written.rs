//! `litellm_params` for showing, and values in the type that their key wants.
//!
//! Owns: what of a deployment's parameters may be shown. Leaves to others: who may see it (server).
//!
//! **Invariant:** a value that may be a secret is shown as [`MASK`].

use serde_json::{Map, Value};

use crate::keys::{self, Kind, model};
use crate::scalar::to_json;
use crate::secret::MASK;
use crate::section::entries_of;
use crate::yaml::{Data, Node};

/// A value in the type that its key wants, so that `"0.5"` and `1e-1` reach the provider as numbers.
pub(crate) fn typed(node: &Node, kind: Kind) -> Value {
    let value = match kind {
        Kind::Bool => node.flag().map(Value::Bool),
        Kind::Integer | Kind::Count | Kind::Positive => node.integer().map(Value::from),
        Kind::Number => match node.integer() {
            Some(whole) => Some(Value::from(whole)),
            None => node.number().map(Value::from),
        },
        Kind::Text => node.text().map(Value::from),
        Kind::Either(Kind::Bool, other) => {
            node.flag().map_or_else(|| Some(typed(node, *other)), |f| Some(f.into()))
        }
        _ => None,
    };
    value.unwrap_or_else(|| to_json(node))
}

/// `litellm_params` for showing: secrets masked, and everything that may be one.
pub(crate) fn params_written(node: &Node) -> Map<String, Value> {
    let shown = |name: &str, node: &Node| match keys::find(model::PARAMS, name).map(|key| key.kind) {
        Some(Kind::Secret) => masked(node),
        Some(Kind::Map(Kind::Secret)) => masked(node),
        Some(Kind::Url) => Value::from(node.text().map(crate::address::without_query)),
        _ if sounds_secret(name) => masked(node),
        Some(kind) if !matches!(kind, Kind::Any | Kind::Map(_) | Kind::List(_)) => typed(node, kind),
        _ => shown_below(node),
    };
    entries_of(node).iter().map(|entry| (entry.key.to_string(), shown(&entry.key, &entry.value))).collect()
}

/// A value without a type of its own: shown, but for what came from the environment or is named like a secret.
fn shown_below(node: &Node) -> Value {
    match &node.data {
        Data::Map(entries) => {
            let shown = entries.iter().map(|entry| {
                let value =
                    if sounds_secret(&entry.key) { masked(&entry.value) } else { shown_below(&entry.value) };
                (entry.key.to_string(), value)
            });
            Value::Object(shown.collect())
        }
        Data::List(items) => Value::Array(items.iter().map(shown_below).collect()),
        Data::Scalar(scalar) if scalar.is_from_environment => Value::from(MASK),
        Data::Scalar(_) | Data::Unset => to_json(node),
    }
}

fn masked(node: &Node) -> Value {
    match &node.data {
        Data::Map(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.to_string(), masked(&entry.value))).collect())
        }
        Data::List(items) => Value::Array(items.iter().map(masked).collect()),
        Data::Scalar(_) if node.is_null() => Value::Null,
        Data::Scalar(_) | Data::Unset => Value::from(MASK),
    }
}

/// Whether a name is that of a secret, by the words that LiteLLM's own masking goes by.
pub(crate) fn sounds_secret(name: &str) -> bool {
    const WORDS: &[&str] = &["key", "secret", "password", "passphrase", "credential", "auth", "private"];
    let name = name.to_ascii_lowercase();
    let is_token = name == "token" || name.ends_with("_token") || name.ends_with("-token");
    let is_price = name.contains("cost_per");
    // The name of a credential is none.
    let is_name = name == "litellm_credential_name";
    !is_price && !is_name && (is_token || WORDS.iter().any(|word| name.contains(word)))
}
