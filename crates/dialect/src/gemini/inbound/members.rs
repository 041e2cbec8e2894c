//! Google's JSON: names in two spellings, one thing for a list of one, numbers as text, words in any case.
//!
//! Owns what is forgiven, which is what Google's own parser forgives (protobuf's JSON mapping). **Invariant:** nothing
//! else is coerced.

use crate::gemini::params::camel_case;
use crate::json::read::{self, Place};
use crate::wire::RequestError;
use serde_json::{Map, Value};

/// The members of an object under their names in camel case.
pub(super) fn read(value: Value, at: &Place<'_>) -> Result<Map<String, Value>, RequestError> {
    let members = read::object(value, at)?;
    if members.keys().any(|name| name.contains('_')) {
        return Ok(members.into_iter().map(|(name, value)| (camel_case(&name), value)).collect());
    }
    Ok(members)
}

/// The items of a list, or the one thing that stands for it.
pub(super) fn one_or_many(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        one => vec![one],
    }
}

/// An integer from 0 up: also as text, and as a number with a fraction of nothing (`topK: 40.0`), which Google's package
/// sends.
pub(super) fn natural(value: &Value, at: &Place<'_>) -> Result<u64, RequestError> {
    whole(value).and_then(|number| u64::try_from(number).ok()).map_or_else(|| read::natural(value, at), Ok)
}

/// An integer, likewise.
pub(super) fn integer(value: &Value, at: &Place<'_>) -> Result<i64, RequestError> {
    whole(value).map_or_else(|| read::integer(value, at), Ok)
}

/// A number, also as text.
pub(super) fn number(value: &Value, at: &Place<'_>) -> Result<f64, RequestError> {
    let spelled =
        value.as_str().and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
    spelled.map_or_else(|| read::number(value, at), Ok)
}

/// A number without a fraction, however it is spelled.
pub(super) fn whole(value: &Value) -> Option<i64> {
    // Up to here every whole double is an exact integer (2^53).
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let number =
                number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT_MAX)?;
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within +-2^53")]
            Some(number as i64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A word of one of Google's enumerations, in upper case.
pub(super) fn word(value: Value, at: &Place<'_>) -> Result<String, RequestError> {
    Ok(read::filled_string(value, at)?.to_ascii_uppercase())
}

/// Takes a member that is a word.
pub(super) fn take_word(
    members: &mut Map<String, Value>,
    name: &str,
    at: &Place<'_>,
) -> Result<Option<String>, RequestError> {
    read::take(members, name).map(|value| word(value, &at.member(name))).transpose()
}
