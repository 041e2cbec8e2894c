//! What a verified token says.

use serde_json::{Map, Value};
use tollgate_policy::clock::Wall;

/// What a verified token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    pub(super) members: Map<String, Value>,
    pub(super) issuer: Option<Box<str>>,
    pub(super) until: Wall,
    pub(super) token: [u8; 32],
}

impl Claims {
    /// The configured issuer that it was held against; none where issuers are not told apart.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// From when on it is no longer valid, the time by which clocks may differ included.
    pub fn until(&self) -> Wall {
        self.until
    }

    /// SHA-256 of the whole token that says it.
    pub fn token(&self) -> &[u8; 32] {
        &self.token
    }

    /// A claim by its path: `sub`, `resource_access.gateway.roles`. A name that has dots itself comes first, as providers
    /// write claims of their own (`https://example.com/team`).
    pub fn get(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.members.get(path) {
            return Some(value).filter(|value| !value.is_null());
        }
        let mut parts = path.split('.');
        let first = self.members.get(parts.next()?)?;
        let value = parts.try_fold(first, |value, part| match value {
            Value::Object(members) => members.get(part),
            Value::Array(rows) => rows.get(part.parse::<usize>().ok()?),
            _ => None,
        });
        value.filter(|value| !value.is_null())
    }

    /// A claim that is one text: also a number, and the first of a list, as LiteLLM reads them.
    pub fn text(&self, path: &str) -> Option<String> {
        let value = self.get(path)?;
        let one = value.as_array().map_or(Some(value), |rows| rows.first())?;
        text(one)
    }

    /// A claim that is a list of texts, or one text.
    pub fn texts(&self, path: &str) -> Vec<String> {
        match self.get(path) {
            Some(Value::Array(rows)) => rows.iter().filter_map(text).collect(),
            Some(value) => text(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// `scope` (RFC 8693, 4.2): a text with spaces between, or a list.
    pub fn scopes(&self) -> Vec<String> {
        self.texts("scope").iter().flat_map(|text| text.split_ascii_whitespace()).map(str::to_owned).collect()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
