//! The bodies of LiteLLM's admin API, read by tables.
//!
//! Owns which members a body may have, what each is and what follows from it, and the records that come of it. Leaves to
//! others who may ask at all, whether a child stays within its parent, and what is said over HTTP.
//!
//! **Invariant:** a member that no row names is an error, and a document that comes of a form is one that
//! [`Record::read`](crate::Record::read) reads.

pub mod access_group;
pub mod bounds;
pub mod budget;
pub mod callback;
pub mod credential;
pub mod customer;
mod filled;
mod held;
pub mod invitation;
pub mod key;
pub mod key_mapping;
pub(crate) mod lifetime;
pub mod member;
pub mod model;
pub mod organization;
pub mod project;
mod row;
mod sealed;
pub mod setting;
pub mod tag;
pub mod team;
pub mod user;
mod values;

pub use filled::Filled;
pub(crate) use filled::set as put;
pub use row::{Effect, Form, On, Place, Row, Want};
pub use sealed::{Seal, is_secret, open_within};

use crate::document::{BadMember, Document, money};
use crate::kind::Kind;
use crate::record::Record;
use serde_json::{Map, Value};
use tollgate_catalog::PicoDollars;
use tollgate_policy::clock::Wall;

/// Letters of a text of one line, at most: an id, an alias, a model's name.
pub const TEXT_LETTERS_MAX: usize = 1_024;

/// What a form needs to know beside its body.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The time.
    pub now: Wall,
    /// The id of the user who asks: `created_by` and `updated_by`.
    pub actor: &'a str,
    /// Whether who asks may set what only administrators may: those of everything, and of the team or the organization that
    /// the record is of.
    pub is_admin: bool,
    /// Whether who asks administers everything.
    pub is_operator: bool,
    /// A source of ids that nobody had before: UUIDs.
    pub fresh: &'a (dyn Fn() -> String + Sync),
}

impl Context<'_> {
    /// The same where it counts alone who administers everything.
    pub(crate) fn of_operator(self) -> Self {
        Self { is_admin: self.is_operator, ..self }
    }

    /// The time as it is written.
    pub fn stamp(&self) -> Value {
        Value::from(self.now.rfc3339())
    }
}

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no such member.
    Unknown,
    /// It is needed.
    Missing,
    /// Its value is not what it should be.
    Wrong,
    /// Who asks may not set it.
    Forbidden,
    /// What it asks for cannot be had here.
    Unsupported,
}

/// A form that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{member}' {reason}")]
pub struct BadForm {
    /// The member, with the names of those that it lies in.
    pub member: String,
    /// What is wrong with it, for people. It never repeats a value.
    pub reason: String,
    /// What is wrong with it.
    pub fault: Fault,
}

impl BadForm {
    fn of(member: impl Into<String>, reason: impl Into<String>, fault: Fault) -> Self {
        Self { member: member.into(), reason: reason.into(), fault }
    }

    /// The same of a member that is within another.
    fn within(mut self, outer: &str) -> Self {
        self.member = format!("{outer}.{}", self.member);
        self
    }

    /// A member that there is not.
    pub fn unknown(member: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::of(member, reason, Fault::Unknown)
    }

    /// A member that is needed.
    pub fn missing(member: impl Into<String>) -> Self {
        Self::of(member, "is missing", Fault::Missing)
    }

    /// A member with a wrong value.
    pub fn wrong(member: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::of(member, reason, Fault::Wrong)
    }

    /// A member that who asks may not set.
    pub fn forbidden(member: impl Into<String>) -> Self {
        Self::of(member, "can be set by administrators only", Fault::Forbidden)
    }

    /// A member that cannot be had here.
    pub fn unsupported(member: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::of(member, reason, Fault::Unsupported)
    }
}

impl From<BadMember> for BadForm {
    fn from(bad: BadMember) -> Self {
        Self::wrong(bad.member, bad.reason)
    }
}

/// A record to be kept: new, or in place of the one of this kind and id.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Its members.
    pub document: Document,
}

impl Draft {
    /// A draft that can be read as a record.
    ///
    /// # Errors
    /// The first member that is not what it should be.
    pub(crate) fn checked(kind: Kind, id: &str, document: Document) -> Result<Self, BadForm> {
        Record::read(kind, id, 1, &document)?;
        Ok(Self { kind, id: id.to_owned(), document })
    }
}

/// A record to be kept, and those that are to be kept with it: its budget, its members.
#[derive(Debug, Clone, PartialEq)]
pub struct Drafts {
    /// The record.
    pub record: Draft,
    /// The others.
    pub others: Vec<Draft>,
}

/// Every form there is, for the page that documents them.
pub fn tables() -> Vec<&'static Form> {
    let nouns: &[&[&'static Form]] = &[
        key::FORMS,
        team::FORMS,
        member::FORMS,
        user::FORMS,
        organization::FORMS,
        project::FORMS,
        customer::FORMS,
        budget::FORMS,
        tag::FORMS,
        access_group::FORMS,
        model::FORMS,
        credential::FORMS,
        invitation::FORMS,
        setting::FORMS,
        callback::FORMS,
        key_mapping::FORMS,
    ];
    nouns.iter().flat_map(|forms| forms.iter().copied()).collect()
}

/// What a change says was spent from now on; none where it says nothing.
///
/// # Errors
/// Where it is no amount.
pub fn spend(body: &Map<String, Value>) -> Result<Option<PicoDollars>, BadForm> {
    match values::normal(Want::Money, "spend", body.get("spend").unwrap_or(&Value::Null))? {
        Value::Null => Ok(None),
        amount => Ok(Some(money("spend", &amount)?)),
    }
}

/// The record that a body is about, by the member that is its id.
fn named<'a>(body: &'a Map<String, Value>, member: &str) -> Result<&'a str, BadForm> {
    let id = body.get(member).and_then(Value::as_str).filter(|id| !id.is_empty());
    id.ok_or_else(|| BadForm::missing(member))
}

/// Says in a document that someone is let through no longer, or again.
pub fn block(document: &Document, is_blocked: bool, context: &Context<'_>) -> Document {
    let mut document = document.clone();
    document.0.insert("blocked".to_owned(), Value::Bool(is_blocked));
    touch(&mut document, context);
    document
}

/// Says in a document who made it, and when.
pub(crate) fn sign(document: &mut Document, context: &Context<'_>) {
    document.0.insert("created_at".to_owned(), context.stamp());
    document.0.insert("created_by".to_owned(), Value::from(context.actor));
    document.0.insert("updated_at".to_owned(), context.stamp());
    document.0.insert("updated_by".to_owned(), Value::from(context.actor));
}

/// Says in a document who changed it, and when.
pub(crate) fn touch(document: &mut Document, context: &Context<'_>) {
    document.0.insert("updated_at".to_owned(), context.stamp());
    document.0.insert("updated_by".to_owned(), Value::from(context.actor));
}
