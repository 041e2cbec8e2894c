//! A record as it is kept: a JSON object under LiteLLM's names, which holds what differs from the default.
//!
//! Owns reading members as what they mean. **Invariant:** money is read from its decimal digits, never reckoned with as
//! a binary float.

use crate::models::Models;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use tollgate_catalog::PicoDollars;
use tollgate_policy::clock::Wall;

/// A member that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{member}' {reason}")]
pub struct BadMember {
    /// Its name, with the names of those that it lies in.
    pub member: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BadMember {
    /// A member, and what is wrong with it.
    pub fn new(member: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { member: member.into(), reason: reason.into() }
    }
}

/// A record's members.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document(pub Map<String, Value>);

impl Document {
    /// The value of a member; none where it is not there or null.
    pub fn get(&self, member: &str) -> Option<&Value> {
        self.0.get(member).filter(|value| !value.is_null())
    }

    /// A member, or the member of `metadata` of this name: where LiteLLM keeps what has no column.
    pub fn get_anywhere(&self, member: &str) -> Option<&Value> {
        self.get(member).or_else(|| self.metadata(member))
    }

    /// A member of `metadata`.
    pub fn metadata(&self, member: &str) -> Option<&Value> {
        self.get("metadata")?.get(member).filter(|value| !value.is_null())
    }

    /// A text; none where it is empty.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.get(member)?.as_str().filter(|text| !text.is_empty())
    }

    /// Whether a member is true.
    pub fn flag(&self, member: &str) -> bool {
        self.get(member).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The texts of a list.
    pub fn texts(&self, member: &str) -> impl Iterator<Item = &str> {
        self.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// A list of models.
    pub fn models(&self, member: &str) -> Models {
        Models::new(self.texts(member))
    }

    /// A point in time.
    ///
    /// # Errors
    /// Where it is there and no point in time.
    pub fn wall(&self, member: &str) -> Result<Option<Wall>, BadMember> {
        let Some(value) = self.get(member) else { return Ok(None) };
        let wall = value.as_str().and_then(Wall::from_rfc3339);
        wall.map(Some)
            .ok_or_else(|| BadMember::new(member, "is no date and time such as 2026-12-01T00:00:00Z"))
    }

    /// A count.
    ///
    /// # Errors
    /// Where it is there and no count.
    pub fn count(&self, member: &str) -> Result<Option<u64>, BadMember> {
        self.get(member).map(|value| count(member, value)).transpose()
    }

    /// An amount of US dollars.
    ///
    /// # Errors
    /// Where it is there and no amount.
    pub fn money(&self, member: &str) -> Result<Option<PicoDollars>, BadMember> {
        self.get(member).map(|value| money(member, value)).transpose()
    }

    /// Counts by name, here or in `metadata`.
    ///
    /// # Errors
    /// Where one is no count.
    pub fn counts(&self, member: &str) -> Result<BTreeMap<Box<str>, u64>, BadMember> {
        let Some(value) = self.get_anywhere(member) else { return Ok(BTreeMap::new()) };
        let Some(rows) = value.as_object() else {
            return Err(BadMember::new(member, "is no object of numbers by name"));
        };
        rows.iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| Ok((name.as_str().into(), count(&format!("{member}.{name}"), value)?)))
            .collect()
    }
}

/// A document as a record keeps it: its text, which takes a tenth of what its members take once they are read. It is read
/// when somebody asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Kept(Box<str>);

/// Without what is in it, which may be secret.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} bytes)", self.0.len())
    }
}

impl Kept {
    /// All members.
    pub(crate) fn document(&self) -> Document {
        // It was written from a document, or has been read as one: it is always one.
        Document(serde_json::from_str(&self.0).unwrap_or_default())
    }

    /// One member, without making anything of the others; none where it is not there or null.
    pub(crate) fn member(&self, name: &str) -> Option<Value> {
        // Most records say nothing of most members. A name without anything to escape stands in the text as it is.
        let is_plain = !name.contains(|letter: char| letter.is_control() || matches!(letter, '"' | '\\'));
        if is_plain && !self.0.contains(name) {
            return None;
        }
        let found =
            serde_json::Deserializer::from_str(&self.0).deserialize_map(One(name)).unwrap_or_default();
        found.filter(|value| !value.is_null())
    }
}

impl From<&Document> for Kept {
    fn from(document: &Document) -> Self {
        // Names are texts, and there are no floats without digits in it: it can be written.
        Self(serde_json::to_string(&document.0).unwrap_or_default().into())
    }
}

/// Looks for the member of a name, the last where there are several.
struct One<'a>(&'a str);

impl<'de> Visitor<'de> for One<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A whole number from zero; also one that is written as a float.
pub(crate) fn count(member: &str, value: &Value) -> Result<u64, BadMember> {
    let whole = |float: f64| (float >= 0.0 && float.fract() == 0.0 && float < 9e15).then_some(float as u64);
    let number = value.as_u64().or_else(|| whole(value.as_f64()?));
    number.ok_or_else(|| BadMember::new(member, "is no whole number from 0"))
}

/// An amount of US dollars, as a number.
pub(crate) fn money(member: &str, value: &Value) -> Result<PicoDollars, BadMember> {
    let amount = match value {
        Value::Number(number) => PicoDollars::parse_dollars(&number.to_string()).ok(),
        _ => None,
    };
    amount.ok_or_else(|| BadMember::new(member, "is no amount of US dollars from 0"))
}

/// An amount as a JSON number.
pub fn dollars(amount: PicoDollars) -> Value {
    let float = amount.as_litellm_number().parse().ok().and_then(Number::from_f64);
    float.map_or(Value::Null, Value::Number)
}
