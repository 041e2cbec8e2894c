//! A map of the file, held against its table of keys, and typed access to its values.
//!
//! Owns: unknown keys, wrong types, and what is said about keys that do not act. Leaves to others: what the values mean
//! together.
//!
//! **Invariant:** a value is checked once, when its section is opened; a getter never reports and never guesses.

use std::time::Duration;

use crate::keys::{Key, Kind, State, Table, find, nearest, rows};
use crate::report::{Collector, Message, printable};
use crate::scalar::SECONDS_MAX;
use crate::secret::Secret;
use crate::yaml::{Data, Entry, Node, Place};

/// A checked map.
#[derive(Clone)]
pub(crate) struct Section<'a> {
    node: Option<&'a Node>,
    table: Table,
    path: String,
}

impl<'a> Section<'a> {
    /// The section `node` (absent, or empty, or a map that [`check`] has seen) with the keys of `table`.
    pub(crate) fn new(node: Option<&'a Node>, table: Table, path: &str) -> Self {
        Self { node: node.filter(|n| !n.is_null()), table, path: path.to_owned() }
    }

    /// The path of a key for a finding.
    pub(crate) fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// The node of `name` if something was written there.
    pub(crate) fn node(&self, name: &'static str) -> Option<&'a Node> {
        #[cfg(test)]
        asked::note(self.table, name);
        debug_assert!(find(self.table, name).is_some(), "{} is read but in no table", self.path_of(name));
        self.node?.get(name).filter(|value| !value.is_null())
    }

    /// Where `name` is written.
    pub(crate) fn place(&self, name: &'static str) -> Option<Place> {
        self.node(name).map(|node| node.place)
    }

    /// The node of `name` as it stands, empty ones included.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a Node> {
        self.node?.get(name)
    }

    /// Whether `name` refers to a variable that is not set; the error is already reported.
    pub(crate) fn is_unset(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|value| matches!(value.data, Data::Unset))
    }

    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        self.node(name)?.text().map(str::to_owned)
    }

    pub(crate) fn secret(&self, name: &'static str) -> Option<Secret> {
        self.node(name)?.text().map(Secret::new)
    }

    pub(crate) fn flag(&self, name: &'static str) -> Option<bool> {
        self.node(name)?.flag()
    }

    pub(crate) fn count(&self, name: &'static str) -> Option<u64> {
        self.node(name)?.integer().and_then(|n| u64::try_from(n).ok())
    }

    /// A count for a field of 32 bits; a larger one is as good as the largest.
    pub(crate) fn count32(&self, name: &'static str) -> Option<u32> {
        self.count(name).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }

    pub(crate) fn integer(&self, name: &'static str) -> Option<i64> {
        self.node(name)?.integer()
    }

    pub(crate) fn number(&self, name: &'static str) -> Option<f64> {
        self.node(name)?.number()
    }

    pub(crate) fn seconds(&self, name: &'static str) -> Option<Duration> {
        self.number(name).and_then(|s| Duration::try_from_secs_f64(s).ok())
    }

    pub(crate) fn duration(&self, name: &'static str) -> Option<Duration> {
        self.node(name)?.duration()
    }

    /// A share from 0 to 1.
    pub(crate) fn share(&self, name: &'static str) -> Option<f64> {
        self.node(name)?.share()
    }

    pub(crate) fn texts(&self, name: &'static str) -> Vec<String> {
        self.node(name).map(texts_of).unwrap_or_default()
    }

    /// The entries of a map with names of the operator's choosing.
    pub(crate) fn entries(&self, name: &'static str) -> &'a [Entry] {
        self.node(name).map(entries_of).unwrap_or_default()
    }

    /// Every entry of the section itself.
    pub(crate) fn written(&self) -> &'a [Entry] {
        self.node.map(entries_of).unwrap_or_default()
    }

    /// The items of a list.
    pub(crate) fn items(&self, name: &'static str) -> &'a [Node] {
        self.node(name).map(items_of).unwrap_or_default()
    }

    /// A section inside this one.
    pub(crate) fn section(&self, name: &'static str, table: Table) -> Section<'a> {
        Section::new(self.node(name), table, &self.path_of(name))
    }
}

pub(crate) fn texts_of(node: &Node) -> Vec<String> {
    items_of(node).iter().filter_map(|item| item.text().map(str::to_owned)).collect()
}

pub(crate) fn entries_of(node: &Node) -> &[Entry] {
    match &node.data {
        Data::Map(entries) => entries,
        Data::Scalar(_) | Data::List(_) | Data::Unset => &[],
    }
}

pub(crate) fn items_of(node: &Node) -> &[Node] {
    match &node.data {
        Data::List(items) => items,
        Data::Scalar(_) | Data::Map(_) | Data::Unset => &[],
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { printable(name) } else { format!("{path}.{}", printable(name)) }
}

/// Checks `node`, which has the type `kind`, and everything below it.
pub(crate) fn check(node: &Node, kind: Kind, path: &str, found: &mut Collector) {
    if node.is_null() {
        return;
    }
    match kind {
        Kind::Any => {}
        Kind::Section(table) => check_map(node, table, path, found, Strangers::AreUnknown),
        Kind::OpenSection(table) => check_map(node, table, path, found, Strangers::AreWelcome),
        Kind::List(of) => match &node.data {
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    check(item, *of, &format!("{path}[{index}]"), found);
                }
            }
            Data::Scalar(_) | Data::Map(_) | Data::Unset => wrong(node, kind, path, found),
        },
        Kind::Map(of) => match &node.data {
            Data::Map(entries) => {
                for entry in entries.iter() {
                    check(&entry.value, *of, &join(path, &entry.key), found);
                }
            }
            Data::Scalar(_) | Data::List(_) | Data::Unset => wrong(node, kind, path, found),
        },
        Kind::Either(first, second) => {
            let fitting = [*first, *second].into_iter().find(|kind| has_shape(node, *kind));
            match fitting {
                Some(kind) => check(node, kind, path, found),
                None => match [*first, *second].into_iter().find(|kind| matches!(kind, Kind::Choice(_))) {
                    // A word that is none of the choices is most likely a misspelt one.
                    Some(words) if node.text().is_some() => check(node, words, path, found),
                    _ => wrong(node, kind, path, found),
                },
            }
        }
        Kind::Choice(words) => check_choice(node, words, path, found),
        _ if has_shape(node, kind) => {}
        _ => wrong(node, kind, path, found),
    }
}

/// What a key that no table has means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strangers {
    AreUnknown,
    /// The operator may add keys; only one that is nearly a known name is pointed out.
    AreWelcome,
}

fn check_map(node: &Node, table: Table, path: &str, found: &mut Collector, strangers: Strangers) {
    let Data::Map(entries) = &node.data else {
        return wrong(node, Kind::Section(table), path, found);
    };
    for entry in entries.iter() {
        let at = join(path, &entry.key);
        match find(table, &entry.key) {
            Some(key) => check_key(key, entry, &at, found),
            None => report_stranger(entry, table, &at, found, strangers),
        }
    }
}

fn check_key(key: Key, entry: &Entry, at: &str, found: &mut Collector) {
    match key.state {
        State::Active => check(&entry.value, key.kind, at, found),
        State::NotYetActive => {
            let before = found.len();
            check(&entry.value, key.kind, at, found);
            // The keys below have been noted one by one.
            if found.len() == before {
                found.note(entry.place, at, NOT_YET_ACTIVE);
            }
        }
        State::Unsupported => found.warning(entry.place, at, format!("unsupported: {}", key.doc)),
    }
}

/// What is said about a key whose feature is not there yet.
pub(crate) const NOT_YET_ACTIVE: &str = "not yet active";

fn report_stranger(entry: &Entry, table: Table, at: &str, found: &mut Collector, strangers: Strangers) {
    if found.is_full() {
        return found.warning(entry.place, at, "unknown key");
    }
    let known = rows(table).filter(|key| key.state != State::Unsupported);
    let near = nearest(&entry.key, known.map(|key| key.name));
    match strangers {
        Strangers::AreWelcome
            if near.is_none_or(|name| strsim::damerau_levenshtein(&entry.key, name) > 2) => {}
        Strangers::AreWelcome | Strangers::AreUnknown => {
            found.warning(entry.place, at, Message::with_nearest("unknown key", near));
        }
    }
}

/// Whether `node` can be read as `kind`, without looking below it.
fn has_shape(node: &Node, kind: Kind) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Bool => node.flag().is_some(),
        Kind::Integer => node.integer().is_some(),
        Kind::Count => node.integer().is_some_and(|n| n >= 0),
        Kind::Positive => node.integer().is_some_and(|n| n >= 1),
        Kind::Number => node.number().is_some(),
        Kind::Price => node.price().is_some(),
        Kind::Seconds => node.number().is_some_and(|s| (0.0..=SECONDS_MAX).contains(&s)),
        Kind::Timeout => node.number().is_some_and(|s| s > 0.0 && s <= SECONDS_MAX),
        Kind::Duration => node.duration().is_some(),
        Kind::DurationPositive => node.duration().is_some_and(|time| !time.is_zero()),
        Kind::HedgeAfter => node.hedge_after().is_some(),
        Kind::Share => node.share().is_some(),
        Kind::Span => node.text().is_some_and(|text| crate::span::cadence(text).is_some()),
        Kind::Text => node.text().is_some(),
        Kind::Secret => node.text().is_some_and(|text| !text.chars().any(char::is_control)),
        Kind::Url => node.text().is_some_and(|text| crate::address::why_not(text).is_none()),
        Kind::Choice(words) => node.text().is_some_and(|text| words.contains(&text)),
        Kind::List(_) => matches!(node.data, Data::List(_)),
        Kind::Map(_) | Kind::Section(_) | Kind::OpenSection(_) => matches!(node.data, Data::Map(_)),
        Kind::Either(first, second) => has_shape(node, *first) || has_shape(node, *second),
    }
}

/// Says what was wanted and what is there, never the value itself.
fn wrong(node: &Node, kind: Kind, path: &str, found: &mut Collector) {
    let text = node.text().unwrap_or_default();
    let message = match kind {
        Kind::Secret if text.chars().any(char::is_control) => {
            "holds a line break or another control character".to_owned()
        }
        Kind::Url if !text.is_empty() => {
            format!("wants an http(s) address: {}", crate::address::why_not(text).unwrap_or("not one"))
        }
        _ => format!("wants {}, found {}", kind.words(), shape(node)),
    };
    found.error(node.place, path, message);
}

fn shape(node: &Node) -> &'static str {
    match &node.data {
        Data::List(_) => "a list",
        Data::Map(_) => "a map",
        Data::Unset => "nothing",
        Data::Scalar(_) if node.number().is_some() => "another number",
        Data::Scalar(s) if s.text.is_empty() => "an empty text",
        Data::Scalar(_) => "a text",
    }
}

fn check_choice(node: &Node, words: &[&'static str], path: &str, found: &mut Collector) {
    let Some(text) = node.text() else {
        return found.error(
            node.place,
            path,
            format!("wants one of {}, found {}", words.join(", "), shape(node)),
        );
    };
    if words.contains(&text) {
        return;
    }
    // A misspelt word of a closed set is no secret; anything that resembles none of the words may be one.
    let near = nearest(text, words.iter().copied());
    let message = match near {
        Some(_) => format!("unknown value `{}`", printable(text)),
        None => format!("unknown value; wants one of {}", words.join(", ")),
    };
    found.error(node.place, path, Message::with_nearest(message, near));
}

/// Which keys the code has read; the test that holds code and tables together asks.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use crate::keys::Table;

    thread_local! {
        static ASKED: RefCell<HashSet<(usize, &'static str)>> = RefCell::default();
    }

    pub(crate) fn note(table: Table, name: &'static str) {
        ASKED.with_borrow_mut(|asked| asked.insert((table.as_ptr() as usize, name)));
    }

    pub(crate) fn was_read(table: Table, name: &'static str) -> bool {
        ASKED.with_borrow(|asked| asked.contains(&(table.as_ptr() as usize, name)))
    }
}
