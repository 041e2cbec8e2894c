//! Every key that a configuration may have: name, type, default, state and what it does.
//!
//! Owns: the tables, one file per area, and the search for the nearest name. Leaves to others: reading values (section)
//! and what follows from them (the module of each area).
//!
//! **Invariant:** a key is in exactly one state; one that no table has is unknown and is reported as such.
//! **Invariant:** every active key is read by the code, and every key that the code reads is in a table; a test holds it.

pub(crate) mod access;
pub(crate) mod alerts;
pub(crate) mod budgets;
pub(crate) mod caching;
pub(crate) mod costs;
pub(crate) mod credential;
pub(crate) mod general;
mod general_later;
pub(crate) mod jwt;
pub(crate) mod ledger;
pub(crate) mod litellm;
mod litellm_later;
mod litellm_never;
pub(crate) mod model;
mod model_cloud;
mod model_later;
pub(crate) mod passthrough;
pub(crate) mod prices;
pub(crate) mod records;
pub(crate) mod router;
pub(crate) mod tiers;
pub(crate) mod tollgate;
pub(crate) mod top;

/// Longest name of a variable of the environment.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// What a known key does today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has the effect that its line in the table describes.
    Active,
    /// Its value is checked and accepted; the feature behind it is not there yet.
    NotYetActive,
    /// It will never have an effect here.
    Unsupported,
}

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`, in any of YAML's spellings.
    Bool,
    /// A whole number of at least 0.
    Count,
    /// A whole number of at least 1.
    Positive,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A number of at least 0, kept as it was written.
    Price,
    /// Seconds, 0 or more.
    Seconds,
    /// Seconds, more than 0.
    Timeout,
    /// Seconds, or a number with `ms`, `s`, `m` or `h`; 0 or more.
    Duration,
    /// The same, more than 0.
    DurationPositive,
    /// When a hedge goes out: milliseconds, a duration with its unit, or a percentile from `p50` to `p99`.
    HedgeAfter,
    /// A share from 0 to 1, or a number of percent with its sign.
    Share,
    /// A span of a budget: a number with `s`, `m`, `h`, `d`, `w` or `mo`, or `daily` and the like.
    Span,
    /// A text; a number or date without quotes is taken as written.
    Text,
    /// A text that is never printed.
    Secret,
    /// An `http` or `https` address without a user name or password.
    Url,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A list of one type.
    List(&'static Kind),
    /// A map with names of the operator's choosing.
    Map(&'static Kind),
    /// A map with keys of its own table.
    Section(Table),
    /// A map with keys of a table and others of the operator's choosing.
    OpenSection(Table),
    /// Either of two types.
    Either(&'static Kind, &'static Kind),
    /// Anything.
    Any,
}

/// Any map.
pub(crate) const ANY_MAP: Kind = Kind::Map(&Kind::Any);
/// Any list.
pub(crate) const ANY_LIST: Kind = Kind::List(&Kind::Any);
/// A list of texts.
pub(crate) const TEXTS: Kind = Kind::List(&Kind::Text);

impl Kind {
    /// The type in words, as the configuration page and the messages print it.
    pub fn words(&self) -> String {
        match self {
            Kind::Bool => "boolean".into(),
            Kind::Count => "whole number, 0 or more".into(),
            Kind::Positive => "whole number, 1 or more".into(),
            Kind::Integer => "whole number".into(),
            Kind::Number => "number".into(),
            Kind::Price => "number, 0 or more".into(),
            Kind::Seconds => "seconds, 0 or more".into(),
            Kind::Timeout => "seconds, more than 0".into(),
            Kind::Duration => "seconds or a time such as 150ms or 2s".into(),
            Kind::DurationPositive => "seconds or a time such as 150ms or 2s, more than 0".into(),
            Kind::HedgeAfter => "milliseconds, a time such as 150ms or 2s, or p50 to p99".into(),
            Kind::Share => "share from 0 to 1, or percent such as 5%".into(),
            Kind::Span => "time span such as 30d".into(),
            Kind::Text => "text".into(),
            Kind::Secret => "secret text".into(),
            Kind::Url => "http(s) address".into(),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::List(of) => match of {
                Kind::Any => "list".into(),
                of => format!("list of {}", of.words()),
            },
            Kind::Map(of) => match of {
                Kind::Any => "map".into(),
                of => format!("map of {}", of.words()),
            },
            Kind::Section(_) | Kind::OpenSection(_) => "map".into(),
            Kind::Either(a, b) => format!("{} or {}", a.words(), b.words()),
            Kind::Any => "anything".into(),
        }
    }
}

/// The keys of one map: groups of rows.
pub type Table = &'static [&'static [Key]];

/// One known key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What holds when it is not written, in words; empty for nothing.
    pub default: &'static str,
    /// What it does today.
    pub state: State,
    /// What it does, in one line. Empty only for keys that are not active yet.
    pub doc: &'static str,
}

pub(crate) const fn active(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, state: State::Active, doc }
}

pub(crate) const fn later(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { name, kind, default, state: State::NotYetActive, doc: "" }
}

/// `doc` says why, and what to use instead.
pub(crate) const fn never(name: &'static str, doc: &'static str) -> Key {
    Key { name, kind: Kind::Any, default: "", state: State::Unsupported, doc }
}

/// The row of `name`, if the table has one.
pub(crate) fn find(table: Table, name: &str) -> Option<Key> {
    rows(table).find(|key| key.name == name)
}

pub(crate) fn rows(table: Table) -> impl Iterator<Item = Key> {
    table.iter().flat_map(|group| group.iter().copied())
}

/// The name in `names` that is nearest to `name`, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.6;
    let likeness = |candidate: &str| {
        // Jaro-Winkler alone favours a common beginning; the edit distance keeps it honest.
        f64::midpoint(
            strsim::normalized_damerau_levenshtein(name, candidate),
            strsim::jaro_winkler(name, candidate),
        )
    };
    let best = names.map(|n| (likeness(n), n)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= NEAR_ENOUGH && best.1 != name).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Every table with its name, those inside sections included.
    fn tables() -> Vec<(String, Table)> {
        fn collect(name: &str, table: Table, out: &mut Vec<(String, Table)>) {
            out.push((name.to_owned(), table));
            for key in rows(table) {
                sections(&format!("{name}.{}", key.name), key.kind, out);
            }
        }
        fn sections(name: &str, kind: Kind, out: &mut Vec<(String, Table)>) {
            match kind {
                Kind::Section(table) | Kind::OpenSection(table) => collect(name, table, out),
                Kind::List(of) | Kind::Map(of) => sections(name, *of, out),
                Kind::Either(a, b) => {
                    sections(name, *a, out);
                    sections(name, *b, out);
                }
                _ => {}
            }
        }
        let mut out = Vec::new();
        collect("", top::TABLE, &mut out);
        out
    }

    #[test]
    fn no_table_has_a_key_twice() {
        for (name, table) in tables() {
            let mut seen = HashSet::new();
            for key in rows(table) {
                assert!(seen.insert(key.name), "{name} has {} twice", key.name);
            }
        }
    }

    #[test]
    fn every_key_that_acts_or_never_will_says_so_in_one_line() {
        for (name, table) in tables() {
            for key in rows(table).filter(|key| key.state != State::NotYetActive) {
                assert!(!key.doc.is_empty() && !key.doc.contains('\n'), "{name}.{} has no line", key.name);
                assert!(key.doc.ends_with('.'), "{name}.{}: a line ends with a full stop", key.name);
            }
        }
    }

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant_or_none() {
        let check = |name: &str, names: &[&'static str], expect: Option<&str>| {
            assert_eq!(nearest(name, names.iter().copied()), expect, "{name}");
        };
        check(
            "routing_stratgy",
            &["retry_policy", "routing_strategy", "routing_groups"],
            Some("routing_strategy"),
        );
        check("num_retrys", &["num_retries", "max_retries"], Some("num_retries"));
        check("colour", &["timeout", "rpm"], None);
        check("rpm", &["rpm"], None);
    }
}
