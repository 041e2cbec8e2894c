//! Holds a reply against the recorded one.
//!
//! Ids, keys and hashes are the same where they stand for the same thing throughout the session; times, where they are
//! written alike and lie within a few seconds of one another.

use super::exchange::{Exchange, Reply};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use tollgate_policy::clock::Wall;

/// What two recordings a second apart may differ by: LiteLLM's `date` is kept for a while.
const TIME_MICROS_MAX: i64 = 5_000_000;

/// Written by the connection, not by the gateway's logic.
const OF_THE_CONNECTION: [&str; 4] = ["date", "connection", "content-length", "transfer-encoding"];
/// Headers whose value is part of the interface; of others it is that they are there.
const WITH_VALUES: [&str; 7] = [
    "content-type",
    "x-frame-options",
    "content-security-policy",
    "x-content-type-options",
    "vary",
    "rate_limit_type",
    "retry-after",
];

/// Something that differs: where (`status`, `header x`, or a path into the body; `-` is missing here, `+` is here alone,
/// `~` is of another type,
/// `^` is in another order, `!` differs otherwise), and how.
pub(super) struct Difference {
    pub(super) place: String,
    pub(super) what: String,
}

/// Their ids by what they are here.
#[derive(Default)]
pub(super) struct Names {
    ours: HashMap<String, String>,
    taken: HashSet<String>,
}

impl Names {
    /// Whether two ids have always stood for one another. With keys their hashes and their names do.
    pub(super) fn bind(&mut self, theirs: &str, ours: &str) -> bool {
        let is_known = self.bind_one(theirs, ours);
        if kind(theirs) != Some("key") {
            return is_known;
        }
        let hash = |key: &str| {
            let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
            digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let name = |key: &str| format!("sk-...{}", &key[key.len() - 4..]);
        is_known & self.bind_one(&hash(theirs), &hash(ours)) & self.bind_one(&name(theirs), &name(ours))
    }

    fn bind_one(&mut self, theirs: &str, ours: &str) -> bool {
        match self.ours.get(theirs) {
            Some(known) => known == ours,
            None if self.taken.insert(ours.to_owned()) => {
                self.ours.insert(theirs.to_owned(), ours.to_owned());
                true
            }
            None => false,
        }
    }

    /// Puts another in the place of one that is known.
    pub(super) fn rebind(&mut self, theirs: &str, ours: &str) {
        self.taken.insert(ours.to_owned());
        self.ours.insert(theirs.to_owned(), ours.to_owned());
    }

    /// A text of theirs with our ids.
    pub(super) fn translate(&self, text: &str) -> String {
        let mut all: Vec<_> = self.ours.iter().collect();
        // The longest first, so that no part of one is taken for another.
        all.sort_by_key(|(theirs, _)| std::cmp::Reverse(theirs.len()));
        all.iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs.as_str(), ours))
    }
}

/// Whether a text is like a pattern, in which `*` stands for anything.
pub(super) fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| text.get(at..).is_some_and(|text| is_like(rest, text)))
        }),
    }
}

/// All that two replies differ by.
pub(super) fn exchanges(theirs: &Exchange, ours: &Reply, names: &mut Names) -> Vec<Difference> {
    let mut found = Found { names, list: Vec::new() };
    let status = (theirs.reply.status, ours.status);
    if status.0 != status.1 {
        found.differ("status", format!("{} and not {}", status.1, status.0));
    }
    found.headers(&theirs.reply.headers, &ours.headers);
    found.values("body", &theirs.reply.body, &ours.body);
    found.list
}

struct Found<'a> {
    names: &'a mut Names,
    list: Vec<Difference>,
}

impl Found<'_> {
    fn differ(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.list.push(Difference { place: place.into(), what: what.into() });
    }

    fn headers(&mut self, theirs: &[(String, String)], ours: &[(String, String)]) {
        let counts = |name: &str| !OF_THE_CONNECTION.contains(&name);
        for (name, value) in theirs.iter().filter(|(name, _)| counts(name)) {
            match ours.iter().find(|(other, _)| other == name) {
                None => self.differ(format!("-header {name}"), "is missing"),
                Some((_, other)) if WITH_VALUES.contains(&name.as_str()) && other != value => {
                    self.differ(format!("!header {name}"), format!("{other} and not {value}"));
                }
                Some(_) => {}
            }
        }
        for (name, value) in ours.iter().filter(|(name, _)| counts(name)) {
            if !theirs.iter().any(|(other, _)| other == name) {
                self.differ(format!("+header {name}"), value);
            }
        }
    }

    fn values(&mut self, place: &str, theirs: &Value, ours: &Value) {
        match (theirs, ours) {
            (Value::Object(theirs), Value::Object(ours)) => self.objects(place, theirs, ours),
            (Value::Array(theirs), Value::Array(ours)) => self.lists(place, theirs, ours),
            (Value::String(theirs), Value::String(ours)) => {
                if !self.is_same(theirs, ours) {
                    self.differ(format!("!{place}"), format!("{ours:?} and not {theirs:?}"));
                }
            }
            // 20 and 20.0 are of one type to most readers, and not to all.
            (Value::Number(one), Value::Number(other)) if one.is_f64() == other.is_f64() => {
                let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
                // LiteLLM adds floats; the last of their digits is noise.
                if (one - other).abs() > one.abs() * 1e-11 {
                    self.differ(format!("!{place}"), format!("{other} and not {one}"));
                }
            }
            _ if theirs == ours => {}
            _ if std::mem::discriminant(theirs) == std::mem::discriminant(ours) && !theirs.is_number() => {
                self.differ(format!("!{place}"), format!("{ours} and not {theirs}"));
            }
            _ => self.differ(format!("~{place}"), format!("{ours} and not {theirs}")),
        }
    }

    /// Items that are known by an id are held against one another wherever they are, others by their place.
    fn lists(&mut self, place: &str, theirs: &[Value], ours: &[Value]) {
        let mut left: Vec<usize> = (0..ours.len()).collect();
        let mut order = Vec::new();
        let ids: Vec<_> =
            theirs.iter().map(|item| identity(item).map(|id| self.names.translate(id))).collect();
        let is_anothers = |ours: &Value| identity(ours).is_some_and(|id| ids.contains(&Some(id.to_owned())));
        for (at, theirs) in theirs.iter().enumerate() {
            let id = ids[at].as_deref();
            let known = id.and_then(|id| left.iter().position(|at| identity(&ours[*at]) == Some(id)));
            let same_place = || left.iter().position(|other| *other == at && !is_anothers(&ours[*other]));
            match known.or_else(same_place) {
                Some(found) => {
                    let found = left.remove(found);
                    order.push(found);
                    self.values(&format!("{place}[{at}]"), theirs, &ours[found]);
                }
                None => self.differ(format!("-{place}[{at}]"), theirs.to_string()),
            }
        }
        for at in left {
            self.differ(format!("+{place}[{at}]"), ours[at].to_string());
        }
        if !order.is_sorted() {
            self.differ(format!("^{place}"), format!("another order of items: {order:?}"));
        }
    }

    fn objects(&mut self, place: &str, theirs: &Map<String, Value>, ours: &Map<String, Value>) {
        let named = |name: &str| format!("{place}.{name}");
        let mut shared = Vec::new();
        for (name, value) in theirs {
            let own = self.names.translate(name);
            match ours.get(&own) {
                Some(other) => {
                    shared.push(own);
                    self.values(&named(name), value, other);
                }
                None => self.differ(format!("-{}", named(name)), value.to_string()),
            }
        }
        for (name, value) in ours.iter().filter(|(name, _)| !shared.contains(name)) {
            self.differ(format!("+{}", named(name)), value.to_string());
        }
        let order: Vec<&String> = ours.keys().filter(|name| shared.contains(name)).collect();
        if !order.into_iter().eq(&shared) {
            self.differ(format!("^{place}"), "another order of members");
        }
    }

    fn is_same(&mut self, theirs: &str, ours: &str) -> bool {
        let own = self.names.translate(theirs);
        if theirs == ours || own == ours || (ours.contains(' ') && without_times(&own) == without_times(ours))
        {
            return true;
        }
        if let (Some(one), Some(other)) = (time(theirs), time(ours)) {
            return one.0 == other.0 && (one.1 - other.1).abs() <= TIME_MICROS_MAX;
        }
        kind(theirs).is_some_and(|kind_of_theirs| kind(ours) == Some(kind_of_theirs))
            && self.names.bind(theirs, ours)
    }
}

/// What an item of a list is known by.
fn identity(item: &Value) -> Option<&str> {
    let members = ["token", "api_key", "budget_id", "team_id", "user_id", "model", "team_name"];
    members.iter().find_map(|name| item.get(name)?.as_str())
}

/// A text without the times that are written in it.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| word.contains(':') || word.split('-').count() == 3;
    let blank = |word: &str| word.replace(|letter: char| letter.is_ascii_digit(), "0");
    let words = text.split(' ').map(|word| if is_time(word) { blank(word) } else { word.to_owned() });
    words.collect::<Vec<_>>().join(" ")
}

/// How a time is written, and when it is, in microseconds.
fn time(text: &str) -> Option<(String, i64)> {
    let (date, _) = text.split_once('T')?;
    let wall = (date.len() == 10).then(|| Wall::from_rfc3339(text))??;
    let shape = text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter });
    Some((shape.collect(), wall.micros()))
}

/// What kind of id a text is, if it is one.
fn kind(text: &str) -> Option<&'static str> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.strip_prefix("sk-") {
        Some(rest) if rest.starts_with("...") && rest.len() == 7 => Some("key's name"),
        Some(rest) if rest.len() >= 20 => Some("key"),
        Some(_) => None,
        None if text.len() == 64 && is_hex(text) => Some("hash"),
        None if text.len() == 36 && is_hex(&text.replace('-', "")) => Some("id"),
        None => None,
    }
}
