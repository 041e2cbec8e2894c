//! Settings that were changed while the gateway runs, laid over those of the files.
//!
//! Owns: which settings may be changed so, reading the files again with them, which texts of a setting are secret. Leaves
//! to others: keeping them, and sealing those texts (server).
//!
//! **Invariant:** a changed setting is read as if it stood in the file in the place of the file's, key by key.
//! **Invariant:** what is changed over the admin API names no variable of the environment, and reads no further file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};
use tollgate_catalog::providers;

use crate::config::{Config, Input, Loaded, read_config};
use crate::environment::PREFIX;
use crate::include::read_all;
use crate::keys::{self, Key, Kind, State, Table, active, general, litellm, nearest, router, rows, tollgate};
use crate::made::node;
use crate::report::{Collector, printable};
use crate::scalar::to_json;
use crate::secret::MASK;
use crate::section::entries_of;
use crate::written::{sounds_secret, typed};
use crate::yaml::{Data, Entry, Node, Place};

/// The sections whose keys may be changed.
pub const CHANGEABLE: [&str; 5] =
    ["general_settings", "litellm_settings", "router_settings", "tollgate_settings", VARIABLES];

const VARIABLES: &str = "environment_variables";

/// Where a changed setting was written, in findings.
const WRITTEN_AT: &str = "admin API";

/// Keys that only the file says: what holds them is made once, when the process starts, or is above the admin API.
const OF_THE_FILE: &[(&str, &str)] = &[
    ("general_settings", "master_key"),
    ("tollgate_settings", "model_prices_file"),
    ("tollgate_settings", "responses_retention_days"),
];

/// Variables that alerts have their addresses and keys from.
const OF_ALERTS: &[&str] = &[
    "SLACK_WEBHOOK_URL",
    "ALERTING_WEBHOOK_URL",
    "MS_TEAMS_WEBHOOK_URL",
    "DISCORD_WEBHOOK_URL",
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "PAGERDUTY_API_KEY",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_USERNAME",
    "SMTP_PASSWORD",
    "SMTP_SENDER_EMAIL",
    "SMTP_TLS",
    "SMTP_USE_SSL",
];

/// The texts that a configuration was read from, to read it again. Printing them shows none.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    entry: PathBuf,
    texts: Arc<Vec<(PathBuf, String)>>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} files", self.texts.len())
    }
}

impl Sources {
    pub(crate) fn new(entry: &Path, texts: Vec<(PathBuf, String)>) -> Self {
        Self { entry: entry.to_owned(), texts: Arc::new(texts) }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let known = self.texts.iter().find(|(known, _)| known == path);
        known.map(|(_, text)| text.clone()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// Why a setting cannot be changed while the gateway runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unchangeable {
    /// There is none of this name; the nearest name that there is.
    Unknown(Option<&'static str>),
    /// Nothing acts on it yet.
    NotYetActive,
    /// Nothing ever will, and why.
    Unsupported(&'static str),
    /// It is the file's alone.
    OfTheFile,
}

impl fmt::Display for Unchangeable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(None) => out.write_str("is unknown"),
            Self::Unknown(Some(near)) => write!(out, "is unknown (nearest: {near})"),
            Self::NotYetActive => out.write_str("is not yet active in Tollgate"),
            Self::Unsupported(why) => write!(out, "is not supported: {why}"),
            Self::OfTheFile => out.write_str("is read when the process starts: it is changed in the file"),
        }
    }
}

/// The keys of a section that may be changed; none of another.
pub fn keys_of(section: &str) -> impl Iterator<Item = Key> {
    table_of(section).into_iter().flat_map(rows)
}

fn table_of(section: &str) -> Option<Table> {
    match section {
        "general_settings" => Some(general::TABLE),
        "litellm_settings" => Some(litellm::TABLE),
        "router_settings" => Some(router::TABLE),
        "tollgate_settings" => Some(tollgate::TABLE),
        _ => None,
    }
}

fn variables() -> impl Iterator<Item = &'static str> {
    let of_providers =
        providers().iter().flat_map(|provider| provider.key_env.iter().chain(provider.base_env));
    of_providers.chain(OF_ALERTS).copied()
}

/// The key of a setting that may be changed.
///
/// # Errors
/// Why it cannot be.
pub fn changeable(section: &str, name: &str) -> Result<Key, Unchangeable> {
    if section == VARIABLES {
        let row = |known: &'static str| active(known, Kind::Secret, "", "A variable of the environment.");
        return variables().find(|known| *known == name).map(row).ok_or(Unchangeable::OfTheFile);
    }
    let table = table_of(section).ok_or(Unchangeable::OfTheFile)?;
    let Some(key) = keys::find(table, name) else {
        return Err(Unchangeable::Unknown(nearest(name, rows(table).map(|key| key.name))));
    };
    match key.state {
        State::Active if OF_THE_FILE.contains(&(section, key.name)) => Err(Unchangeable::OfTheFile),
        State::Active => Ok(key),
        State::NotYetActive => Err(Unchangeable::NotYetActive),
        State::Unsupported => Err(Unchangeable::Unsupported(key.doc)),
    }
}

/// A setting with each of its secret texts replaced by what `replace` makes of it; it is told where the text lies.
///
/// # Errors
/// The first of `replace`.
pub fn map_secrets<E>(
    section: &str,
    name: &str,
    value: &Value,
    replace: &mut dyn FnMut(&str, &str) -> Result<String, E>,
) -> Result<Value, E> {
    let kind = match table_of(section) {
        Some(table) => keys::find(table, name).map_or(Kind::Any, |key| key.kind),
        None => Kind::Secret,
    };
    mapped(value, kind, name, replace)
}

/// A setting as it may be shown.
pub fn masked(section: &str, name: &str, value: &Value) -> Value {
    let shown = map_secrets(section, name, value, &mut |_, _| Ok::<_, ()>(MASK.to_owned()));
    shown.unwrap_or_default()
}

fn mapped<E>(
    value: &Value,
    kind: Kind,
    path: &str,
    replace: &mut dyn FnMut(&str, &str) -> Result<String, E>,
) -> Result<Value, E> {
    let kind = chosen(value, kind);
    match value {
        Value::Null | Value::Bool(_) => Ok(value.clone()),
        Value::Object(members) => {
            let mut kept = Map::with_capacity(members.len());
            for (member, value) in members {
                let at = format!("{path}.{member}");
                kept.insert(member.clone(), mapped(value, below(member, kind), &at, replace)?);
            }
            Ok(Value::Object(kept))
        }
        Value::Array(items) => {
            let of = if let Kind::List(of) = kind { *of } else { kind };
            let items = items.iter().enumerate();
            items.map(|(at, item)| mapped(item, of, &format!("{path}[{at}]"), replace)).collect()
        }
        Value::String(text) if is_secret(path, kind) && !text.is_empty() => {
            replace(path, text).map(Value::String)
        }
        Value::Number(number) if is_secret(path, kind) => {
            replace(path, &number.to_string()).map(Value::String)
        }
        Value::String(_) | Value::Number(_) => Ok(value.clone()),
    }
}

/// Whether a text of this kind is one that must not be shown: the address of a webhook is as good as a key.
fn is_secret(path: &str, kind: Kind) -> bool {
    matches!(kind, Kind::Secret) || (matches!(kind, Kind::Url) && path.contains("webhook"))
}

/// The kind of a member of a map.
fn below(member: &str, kind: Kind) -> Kind {
    let kind = match kind {
        Kind::Section(table) | Kind::OpenSection(table) => {
            keys::find(table, member).map_or(Kind::Any, |key| key.kind)
        }
        Kind::Map(of) => *of,
        other => other,
    };
    if matches!(kind, Kind::Any) && sounds_secret(member) { Kind::Secret } else { kind }
}

/// Of two kinds the one that has the value's shape.
fn chosen(value: &Value, kind: Kind) -> Kind {
    let Kind::Either(first, second) = kind else { return kind };
    let fits = |kind: &Kind| match kind {
        Kind::Section(_) | Kind::OpenSection(_) | Kind::Map(_) => value.is_object(),
        Kind::List(_) => value.is_array(),
        Kind::Either(..) | Kind::Any => true,
        _ => !value.is_object() && !value.is_array(),
    };
    let kind = if fits(first) { first } else { second };
    chosen(value, *kind)
}

impl Config {
    /// The configuration of the same files with these settings in the place of theirs: objects by the names of sections.
    /// A setting that is null is as if it were not written. `groups` are model groups that are in no file.
    pub fn with_settings(
        &self,
        changed: &Map<String, Value>,
        groups: &[String],
        process: &dyn Fn(&str) -> Option<String>,
    ) -> Loaded {
        let mut found = Collector::default();
        let mut read = |path: &Path| self.sources.read(path);
        let input = Input { entry: &self.sources.entry, process, changed, groups };
        let config = read_config(&input, &mut read, &mut found);
        let config = config.filter(|_| !found.has_errors()).map(|read| self.as_started(read));
        Loaded { config, report: found.into_report(), files: self.files.clone() }
    }

    /// With what is made once for the process.
    fn as_started(&self, mut read: Config) -> Config {
        read.files.clone_from(&self.files);
        read.sources = self.sources.clone();
        read.tollgate.database_file.clone_from(&self.tollgate.database_file);
        read.ledger.journal.clone_from(&self.ledger.journal);
        read
    }

    /// A section as the files have it, secrets masked.
    pub fn written(&self, section: &str) -> Map<String, Value> {
        let shown = |(name, value): (String, Value)| {
            let is_stranger = table_of(section).is_some_and(|table| keys::find(table, &name).is_none());
            let is_secret = is_stranger && sounds_secret(&name);
            let value = if is_secret { Value::from(MASK) } else { masked(section, &name, &value) };
            (name, value)
        };
        self.entries(section).into_iter().map(shown).collect()
    }

    /// A setting as the files have it, its secrets open: for changing a part of it.
    pub fn written_in_full(&self, section: &str, name: &str) -> Option<Value> {
        self.entries(section).into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    fn entries(&self, section: &str) -> Vec<(String, Value)> {
        let mut found = Collector::default();
        let root = read_all(&self.sources.entry, &mut |path| self.sources.read(path), &mut found);
        let written = root.as_ref().and_then(|root| root.get(section)).map(entries_of).unwrap_or_default();
        let read = |entry: &Entry| {
            let key = table_of(section).and_then(|table| keys::find(table, &entry.key));
            let value = key.map_or_else(|| to_json(&entry.value), |key| typed(&entry.value, key.kind));
            (entry.key.to_string(), value)
        };
        written.iter().map(read).collect()
    }
}

/// Where the same is said so that what is said in a section has no effect: sections and names.
pub fn stands_before(section: &str, name: &str) -> Option<(&'static str, &'static str)> {
    let is_of_router = |name: &str| keys::find(router::TABLE, name).map(|key| ("router_settings", key.name));
    match (section, name) {
        ("litellm_settings", "block_requests_for_models_without_pricing") => {
            Some(("tollgate_settings", "unpriced"))
        }
        ("litellm_settings" | "general_settings", name) => is_of_router(name),
        _ => None,
    }
}

/// The tree with changed settings in the place of the files'.
pub(crate) fn laid_over(root: Node, changed: &Map<String, Value>, found: &mut Collector) -> Node {
    if changed.is_empty() {
        return root;
    }
    let file = found.add_file(WRITTEN_AT.into());
    let place = Place { file, line: 0, column: 0 };
    let Data::Map(entries) = &root.data else { return root };
    let mut entries: Vec<Entry> = entries.to_vec();
    for (section, settings) in changed {
        let Some(settings) = settings.as_object() else { continue };
        let written = entries.iter().position(|entry| &*entry.key == section);
        let mut own: Vec<Entry> = written
            .and_then(|at| entries.get(at))
            .map(|entry| entries_of(&entry.value).to_vec())
            .unwrap_or_default();
        for (name, value) in settings {
            if names_variable(value) {
                let path = format!("{section}.{}", printable(name));
                found.error(place, &path, "names a variable of the environment, as only the file may");
                continue;
            }
            own.retain(|entry| &*entry.key != name);
            own.push(Entry { key: name.as_str().into(), place, value: node(value, place) });
        }
        let value = Node { place, data: Data::Map(Rc::from(own)) };
        match written.and_then(|at| entries.get_mut(at)) {
            Some(entry) => entry.value = Node { place: entry.value.place, ..value },
            None => entries.push(Entry { key: section.as_str().into(), place, value }),
        }
    }
    Node { place: root.place, data: Data::Map(entries.into()) }
}

/// Whether a setting refers to variables: whoever may change a setting is not to read the environment by it.
fn names_variable(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(PREFIX),
        Value::Array(items) => items.iter().any(names_variable),
        Value::Object(members) => members.values().any(names_variable),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
