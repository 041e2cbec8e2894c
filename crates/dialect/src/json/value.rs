//! Small doors to members of JSON values. Owns no rule of any wire.

use serde_json::{Map, Value};

/// The string member of an object; `None` when it is absent or of another type.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

/// The string member, or nothing when it is empty as well.
pub(crate) fn filled_text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    text(value, name).filter(|found| !found.is_empty())
}

/// The string member as an own string; empty when it is absent.
pub(crate) fn owned_text(value: &Value, name: &str) -> String {
    text(value, name).unwrap_or_default().to_owned()
}

/// The count in a member, also where it is written as a decimal (`12.0`); `None` when it is no whole number from 0.
pub(crate) fn count(value: &Value, name: &str) -> Option<u64> {
    /// Up to here every whole number has a place of its own among the decimals (2^53).
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let found = value.get(name)?;
    found.as_u64().or_else(|| {
        let number = found.as_f64().filter(|number| number.fract() == 0.0)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number within the bounds"
        )]
        (0.0..=EXACT_MAX).contains(&number).then_some(number as u64)
    })
}

/// The items of a list member; none when it is absent or of another type.
pub(crate) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Sets a member.
pub(crate) fn insert(members: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    members.insert(name.to_owned(), value.into());
}

/// Sets a member for a value that is there.
pub(crate) fn insert_some(members: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        insert(members, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::count;
    use serde_json::json;

    #[test]
    fn whole_numbers_from_zero_are_counts_however_they_are_written() {
        let check = |value: serde_json::Value, expect: Option<u64>| {
            assert_eq!(count(&json!({"n": value}), "n"), expect);
        };
        check(json!(0), Some(0));
        check(json!(u64::MAX), Some(u64::MAX));
        check(json!(12.0), Some(12));
        check(json!(12.5), None);
        check(json!(-1), None);
        check(json!(-1.0), None);
        check(json!(1e300), None);
        check(json!("3"), None);
        check(json!(null), None);
    }
}
