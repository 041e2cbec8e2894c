//! Recordings, and the comparison of ours with them.
//!
//! **Invariant:** a difference that a test does not name fails, and so does a difference that it names and that is none.

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tollgate_identity::form::{Context, Draft};
use tollgate_identity::reply::Clock;
use tollgate_identity::{Document, Kind, Record};
use tollgate_policy::clock::Wall;

/// Who asked in every recording.
pub(crate) const ACTOR: &str = "default_user_id";

/// A recorded request and its reply.
pub(crate) struct Recording {
    pub(crate) name: &'static str,
    pub(crate) request: Map<String, Value>,
    pub(crate) reply: Value,
}

/// Reads a recording: two lines with the request, then the reply as it came.
pub(crate) fn recording(name: &'static str) -> Recording {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/litellm_wire/{name}.txt"));
    let text = std::fs::read_to_string(path).unwrap();
    let body = text.lines().find_map(|line| line.strip_prefix("### body: ")).unwrap_or_default();
    let (_, reply) = text.split_once("\nHTTP").unwrap();
    let (_, reply) = reply.split_once("\n\n").unwrap();
    let request = if body.trim().is_empty() { Map::new() } else { object(body) };
    Recording { name, request, reply: serde_json::from_str(reply).unwrap() }
}

/// An object of a text.
pub(crate) fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

/// What a request needs beside its body, at a time.
pub(crate) fn at<T>(time: &str, run: impl FnOnce(&Context<'_>) -> T) -> T {
    let count = AtomicU32::new(1);
    let fresh = || format!("fresh-{}", count.fetch_add(1, Ordering::Relaxed));
    run(&Context { now: wall(time), actor: ACTOR, is_admin: true, is_operator: true, fresh: &fresh })
}

/// The same, where fresh ids are known.
pub(crate) fn at_with<T>(time: &str, id: &str, run: impl FnOnce(&Context<'_>) -> T) -> T {
    at(time, |context| run(&Context { fresh: &|| id.to_owned(), ..*context }))
}

/// A point in time.
pub(crate) fn wall(text: &str) -> Wall {
    Wall::from_rfc3339(text).unwrap()
}

/// The recordings' clock: budgets began anew in UTC.
pub(crate) fn clock(time: &str) -> Clock<'static> {
    static UTC: TimeZone = TimeZone::UTC;
    Clock { now: wall(time), zone: &UTC }
}

/// A draft as it is kept.
pub(crate) fn kept(draft: &Draft) -> Arc<Record> {
    Arc::new(Record::read(draft.kind, &draft.id, 1, &draft.document).unwrap())
}

/// Compares a reply with the recorded one. `differences` are the places that are meant to differ, and why.
pub(crate) fn check(recording: &Recording, reply: &Value, differences: &[(&str, &str)]) {
    let mut found = Vec::new();
    compare("", &recording.reply, reply, &mut found);
    let named: BTreeSet<&str> = differences.iter().map(|row| row.0).collect();
    let unnamed: Vec<_> = found.iter().filter(|(place, _)| !named.contains(place.as_str())).collect();
    assert!(unnamed.is_empty(), "{}: {unnamed:#?}", recording.name);
    let places: BTreeSet<&str> = found.iter().map(|row| row.0.as_str()).collect();
    assert_eq!(named, places, "{}: differences that are none", recording.name);
}

fn compare(place: &str, theirs: &Value, ours: &Value, found: &mut Vec<(String, String)>) {
    let mut differ = |what: String| found.push((place.to_owned(), what));
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            let names = |members: &Map<String, Value>| members.keys().cloned().collect::<Vec<_>>();
            if names(theirs) != names(ours) {
                differ(format!("members {:?} and not {:?}", names(ours), names(theirs)));
            }
            for (name, theirs) in theirs {
                let Some(ours) = ours.get(name) else { continue };
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                compare(&place, theirs, ours, found);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            if theirs.len() != ours.len() {
                differ(format!("{} items and not {}", ours.len(), theirs.len()));
            }
            for (at, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
                compare(&format!("{place}[{at}]"), theirs, ours, found);
            }
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() == other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            // LiteLLM adds floats; the last of their digits is noise.
            if (one - other).abs() > one.abs() * 1e-12 {
                differ(format!("{other} and not {one}"));
            }
        }
        _ if theirs != ours => differ(format!("{ours} and not {theirs}")),
        _ => {}
    }
}

/// A record of a document.
pub(crate) fn record(kind: Kind, id: &str, document: &str) -> Arc<Record> {
    Arc::new(Record::read(kind, id, 1, &Document(object(document))).unwrap())
}
