//! Small doors to JSON members. Owns no rule of the wire.

use serde_json::{Map, Value};

/// An object of the given members, in their order.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The string member of an object; `None` when it is absent or of another type.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

/// The string member, or nothing when it is empty as well.
pub(super) fn filled_text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    text(value, name).filter(|found| !found.is_empty())
}

/// The string member as an own string; empty when it is absent.
pub(super) fn owned_text(value: &Value, name: &str) -> String {
    text(value, name).unwrap_or_default().to_owned()
}

/// The count in a member; `None` when it is absent, `null` or not a whole number from 0.
pub(super) fn count(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

/// The value's JSON type, for messages.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
