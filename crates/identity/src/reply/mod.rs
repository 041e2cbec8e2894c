//! The replies of LiteLLM's admin API, written by tables.
//!
//! Owns which members a reply has, in LiteLLM's order, and from where each comes. Leaves the envelope of errors to others.
//!
//! **Invariant:** a reply has every member of its table whatever the record holds, and no other: what a document keeps for
//! itself is not shown.

pub mod access_group;
pub mod audit;
pub mod budget;
pub mod credential;
pub mod customer;
pub mod invitation;
pub mod key;
pub mod key_mapping;
mod masked;
pub mod model;
pub mod organization;
pub mod project;
pub mod spend;
pub mod tag;
pub mod team;
pub mod user;

use crate::document::{Document, dollars, money};
use crate::record::Record;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tollgate_catalog::PicoDollars;
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;

/// What a record has spent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts {
    /// In its current period.
    pub spend: PicoDollars,
    /// Ever.
    pub total_spend: PicoDollars,
    /// In its current period, by model.
    pub model_spend: BTreeMap<Box<str>, PicoDollars>,
    /// When it was last used; of keys.
    pub last_use: Option<Wall>,
}

/// The time, and where it is told.
#[derive(Debug, Clone, Copy)]
pub struct Clock<'a> {
    /// The time.
    pub now: Wall,
    /// The time zone that budgets begin anew in.
    pub zone: &'a TimeZone,
}

/// What stands where a document says nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Or {
    /// Null.
    Null,
    /// An object without members.
    Object,
    /// A list without items.
    List,
    /// False.
    False,
    /// Zero.
    Zero,
}

impl Or {
    fn value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Object => Value::Object(Map::new()),
            Self::List => Value::Array(Vec::new()),
            Self::False => Value::Bool(false),
            Self::Zero => Value::from(0),
        }
    }
}

/// Where a member of a reply comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    /// The document's member of the same name.
    Member(Or),
    /// The document's member of another name.
    Named(&'static str, Or),
    /// The document's member, or that of its `metadata`.
    Anywhere(Or),
    /// An amount, as a number with a fraction.
    Money,
    /// A date and time.
    Date,
    /// The record's id.
    Id,
    /// What was spent in this period.
    Spend,
    /// What was ever spent.
    TotalSpend,
    /// What was spent in this period, by model.
    ModelSpend,
    /// When it was last used.
    LastUse,
    /// When the budget begins anew.
    ResetAt,
    /// `budget_limits`, each with when it begins anew.
    Windows,
    /// Always the same.
    Always(Or),
    /// What the noun's own code gives; else this.
    Given(Or),
}

/// The members of a reply, in their order.
pub(crate) type Table = [(&'static str, From)];

/// How LiteLLM writes dates: four ways, each in its own replies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Dates {
    /// With a `Z`.
    #[default]
    Zulu,
    /// With `+00:00`.
    Offset,
    /// To the millisecond, with a `Z`.
    Millis,
    /// To the millisecond, with `+00:00`.
    OffsetMillis,
}

/// What a reply is written from.
pub(crate) struct Source<'a> {
    record: &'a Record,
    document: Document,
    amounts: &'a Amounts,
    clock: &'a Clock<'a>,
    dates: Dates,
    given: &'a [(&'static str, Value)],
}

impl<'a> Source<'a> {
    pub(crate) fn new(record: &'a Record, amounts: &'a Amounts, clock: &'a Clock<'a>) -> Self {
        Self { record, document: record.document(), amounts, clock, dates: Dates::Zulu, given: &[] }
    }

    pub(crate) fn dated(mut self, dates: Dates) -> Self {
        self.dates = dates;
        self
    }

    pub(crate) fn given(mut self, given: &'a [(&'static str, Value)]) -> Self {
        self.given = given;
        self
    }

    /// Writes a table's members after what is there.
    pub(crate) fn write(&self, table: &Table, reply: &mut Map<String, Value>) {
        for (name, from) in table {
            reply.insert((*name).to_owned(), self.value(name, *from));
        }
    }

    /// The object of a table.
    pub(crate) fn object(&self, table: &Table) -> Map<String, Value> {
        let mut reply = Map::with_capacity(table.len());
        self.write(table, &mut reply);
        reply
    }

    fn value(&self, name: &str, from: From) -> Value {
        let document = &self.document;
        let or = |value: Option<&Value>, or: Or| value.cloned().unwrap_or_else(|| or.value());
        match from {
            From::Member(default) => or(document.get(name), default),
            From::Named(name, default) => or(document.get(name), default),
            From::Anywhere(default) => or(document.get_anywhere(name), default),
            From::Money => amount(document, name),
            From::Date => {
                let wall = document.wall(name).ok().flatten();
                wall.map_or(Value::Null, |wall| date(wall, self.dates))
            }
            From::Id => Value::from(&*self.record.id),
            From::Spend => dollars(self.amounts.spend),
            From::TotalSpend => dollars(self.amounts.total_spend),
            From::ModelSpend => {
                let rows = self.amounts.model_spend.iter();
                Value::Object(rows.map(|(model, spent)| (model.to_string(), dollars(*spent))).collect())
            }
            From::LastUse => {
                let before = || document.wall(name).ok().flatten();
                let wall = self.amounts.last_use.or_else(before);
                wall.map_or(Value::Null, |wall| date(wall, self.dates))
            }
            From::ResetAt => {
                let at = document.text("budget_duration").and_then(|text| self.reset_at(text));
                at.map_or(Value::Null, |at| date(at, self.dates))
            }
            From::Windows => self.windows(),
            From::Always(default) => default.value(),
            From::Given(default) => {
                or(self.given.iter().find(|row| row.0 == name).map(|row| &row.1), default)
            }
        }
    }

    fn reset_at(&self, duration: &str) -> Option<Wall> {
        let cadence = Cadence::parse(duration).ok()?;
        let anchor = self.record.limits.anchor;
        Some(cadence.period(self.clock.now, anchor, self.clock.zone).end)
    }

    fn windows(&self) -> Value {
        let Some(windows) = self.document.get("budget_limits").and_then(Value::as_array) else {
            return Value::Null;
        };
        let window = |window: &Value| {
            let duration = window.get("budget_duration").and_then(Value::as_str).unwrap_or_default();
            let at = self.reset_at(duration).map_or(Value::Null, |at| date(at, Dates::Offset));
            let most = window.get("max_budget").and_then(|value| money("max_budget", value).ok());
            json!({"budget_duration": duration, "max_budget": most.map_or(Value::Null, dollars), "reset_at": at})
        };
        windows.iter().map(window).collect()
    }
}

/// An amount of a document, as a number with a fraction.
pub(crate) fn amount(document: &Document, name: &str) -> Value {
    let amount = document.get_anywhere(name).and_then(|value| money(name, value).ok());
    amount.map_or(Value::Null, dollars)
}

/// A date as LiteLLM writes it: to the millisecond, and without a fraction where there is none.
pub(crate) fn date(wall: Wall, dates: Dates) -> Value {
    let written = wall.rfc3339();
    let bare = written.trim_end_matches('Z').trim_end_matches(".000000");
    match dates {
        _ if written.is_empty() => Value::Null,
        Dates::Millis => Value::from(written.replace("000Z", "Z")),
        Dates::OffsetMillis => Value::from(written.replace("000Z", "+00:00")),
        Dates::Zulu => Value::from(format!("{bare}Z")),
        Dates::Offset => Value::from(format!("{bare}+00:00")),
    }
}

/// A page of a list: which one, of how many items each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1 on.
    pub number: usize,
    /// Items on a page, from 1 on.
    pub size: usize,
    /// Items on all pages.
    pub total: usize,
}

impl Page {
    /// How many pages there are; none without items.
    pub fn count(self) -> usize {
        self.total.div_ceil(self.size.max(1))
    }
}
