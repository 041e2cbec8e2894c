//! Reads JSON values of the caller and says where the wrong ones stand.
//!
//! Owns the sentences for wrong types and missing members. Leaves the meaning of each member to its reader.
//! **Invariant:** no value is coerced: a reader gives the type that it is named after or an error.

use crate::wire::RequestError;
use serde_json::{Map, Value};
use std::fmt;

/// Where a value stands in the body; written as OpenAI writes it (`messages[2].content[0].text`).
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A top-level member.
    Top(&'a str),
    /// A member of the object at a place.
    Member(&'a Place<'a>, &'a str),
    /// An item of the list at a place.
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'a> Place<'a> {
    /// The place of a member.
    pub(crate) fn member(&'a self, name: &'a str) -> Place<'a> {
        Place::Member(self, name)
    }

    /// The place of an item.
    pub(crate) fn item(&'a self, index: usize) -> Place<'a> {
        Place::Item(self, index)
    }

    /// An error at this place.
    pub(crate) fn error(&self, message: impl Into<String>) -> RequestError {
        RequestError { param: self.to_string(), message: message.into() }
    }

    /// The error for a member that has to be there; the opening is OpenAI's and LiteLLM's.
    pub(crate) fn missing(&self) -> RequestError {
        self.error(format!("Missing required parameter: '{self}'."))
    }

    fn wrong_type(&self, expected: &str, value: &Value) -> RequestError {
        self.error(format!("must be {expected}, not {}", type_name(value)))
    }

    /// The error for a word that is not one of those that are known.
    pub(crate) fn unknown_word(&self, word: &str, known: &[&str]) -> RequestError {
        const SHOWN_CHARS_MAX: usize = 64;
        let shown: String = word.chars().take(SHOWN_CHARS_MAX).collect();
        self.error(format!("must be one of '{}', not '{shown}'", known.join("', '")))
    }
}

/// The value's JSON type, for sentences.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The top-level members of a body.
pub(crate) fn body(body: &[u8]) -> Result<Map<String, Value>, RequestError> {
    // LiteLLM's `param` and opening for a body that is no JSON.
    const PLACE: Place<'static> = Place::Top("request_body");
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => {
            Err(PLACE.error(format!("Invalid JSON payload: expected an object, not {}", type_name(&other))))
        }
        Err(error) => Err(PLACE.error(format!("Invalid JSON payload: {error}"))),
    }
}

pub(crate) fn string(value: Value, at: &Place<'_>) -> Result<String, RequestError> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(at.wrong_type("a string", &other)),
    }
}

/// A string that is not empty.
pub(crate) fn filled_string(value: Value, at: &Place<'_>) -> Result<String, RequestError> {
    let text = string(value, at)?;
    if text.is_empty() { Err(at.error("must not be empty")) } else { Ok(text) }
}

pub(crate) fn boolean(value: &Value, at: &Place<'_>) -> Result<bool, RequestError> {
    value.as_bool().ok_or_else(|| at.wrong_type("a boolean", value))
}

/// An integer from 0 up.
pub(crate) fn natural(value: &Value, at: &Place<'_>) -> Result<u64, RequestError> {
    if let Some(number) = value.as_u64() {
        return Ok(number);
    }
    Err(match value.as_i64() {
        Some(negative) => at.error(format!("must be an integer of at least 0, not {negative}")),
        None => at.wrong_type("an integer of at least 0", value),
    })
}

pub(crate) fn integer(value: &Value, at: &Place<'_>) -> Result<i64, RequestError> {
    value.as_i64().ok_or_else(|| match value.as_u64() {
        Some(_) => at.error("must fit in 64 bits with a sign"),
        None => at.wrong_type("an integer", value),
    })
}

pub(crate) fn number(value: &Value, at: &Place<'_>) -> Result<f64, RequestError> {
    value.as_f64().ok_or_else(|| at.wrong_type("a number", value))
}

pub(crate) fn object(value: Value, at: &Place<'_>) -> Result<Map<String, Value>, RequestError> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(at.wrong_type("an object", &other)),
    }
}

pub(crate) fn list(value: Value, at: &Place<'_>) -> Result<Vec<Value>, RequestError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(at.wrong_type("a list", &other)),
    }
}

/// The error for a value that is neither a string nor a list.
pub(crate) fn neither_string_nor_list(value: &Value, of: &str, at: &Place<'_>) -> RequestError {
    at.wrong_type(&format!("a string or a list of {of}"), value)
}

/// Takes a member out; `null` is the same as absent, as at OpenAI. The others stay in their order, which a provider's
/// prompt cache sees.
pub(crate) fn take(members: &mut Map<String, Value>, name: &str) -> Option<Value> {
    members.shift_remove(name).filter(|value| !value.is_null())
}

/// Takes a member that has to be there.
pub(crate) fn require(
    members: &mut Map<String, Value>,
    name: &str,
    at: &Place<'_>,
) -> Result<Value, RequestError> {
    take(members, name).ok_or_else(|| at.member(name).missing())
}

/// Takes a string member that has to be there.
pub(crate) fn require_string(
    members: &mut Map<String, Value>,
    name: &str,
    at: &Place<'_>,
) -> Result<String, RequestError> {
    string(require(members, name, at)?, &at.member(name))
}

/// Takes a string member that may be there.
pub(crate) fn take_string(
    members: &mut Map<String, Value>,
    name: &str,
    at: &Place<'_>,
) -> Result<Option<String>, RequestError> {
    take(members, name).map(|value| string(value, &at.member(name))).transpose()
}

/// Takes a boolean member that may be there.
pub(crate) fn take_boolean(
    members: &mut Map<String, Value>,
    name: &str,
    at: &Place<'_>,
) -> Result<Option<bool>, RequestError> {
    take(members, name).map(|value| boolean(&value, &at.member(name))).transpose()
}
