//! Small doors to JSON members. Owns no rule of the wire.

use serde_json::{Map, Value};

/// An object of the given members, in their order.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The string member of an object; `None` when it is absent or of another type.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

/// The string member, or nothing when it is empty as well.
pub(super) fn filled_text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    text(value, name).filter(|found| !found.is_empty())
}

/// The count in a member; `None` when it is absent, `null` or not a whole number from 0.
pub(super) fn count(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

/// The items of a list member; none when it is absent or of another type.
pub(super) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Adds a member that is there.
pub(super) fn insert_some(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value);
    }
}
