//! Settings that the admin API has changed, laid over those of the configuration's files.
//!
//! Owns opening what is sealed in them, and leaving out what can no longer be read without leaving out the rest. Leaves
//! reading a setting to the configuration, and keeping records to the ledger.
//!
//! **Invariant:** a setting that cannot be read is left out and named; the file's holds in its place.

use crate::authorization::surroundings;
use crate::made::{Stored, Unfit, vault};
use serde_json::{Map, Value};
use tollgate_config::{Config, Finding, Loaded, Severity, changeable, map_secrets};
use tollgate_identity::Record;
use tollgate_identity::form::setting::values;
use tollgate_identity::secret::{Place, SealError, Vault};

/// Settings by section.
type Sections = Map<String, Value>;

/// The configuration with the settings that are stored, and which of them had to be left out.
pub(crate) fn laid(origin: &Config, stored: &Stored) -> (Config, Vec<Unfit>) {
    if stored.settings().is_empty() {
        return (origin.clone(), Vec::new());
    }
    let (sections, mut unfit) = opened(origin, stored);
    let config = read(origin, stored, &sections).config;
    let config = config.unwrap_or_else(|| one_by_one(origin, stored, &sections, &mut unfit));
    (config, unfit)
}

/// What comes of reading the configuration with the settings that are stored.
pub(crate) fn tried(origin: &Config, stored: &Stored) -> Loaded {
    read(origin, stored, &opened(origin, stored).0)
}

fn read(origin: &Config, stored: &Stored, sections: &Sections) -> Loaded {
    let process = surroundings(origin).variables;
    origin.with_settings(sections, &stored.groups(), &|name| process(name))
}

/// Every setting that can still be read with those before it.
fn one_by_one(origin: &Config, stored: &Stored, sections: &Sections, unfit: &mut Vec<Unfit>) -> Config {
    let mut config = origin.clone();
    let mut kept = Sections::new();
    for (section, settings) in sections {
        for (name, value) in settings.as_object().into_iter().flatten() {
            let mut with = kept.clone();
            let of_section = with.entry(section.as_str()).or_insert_with(|| Value::Object(Map::new()));
            if let Some(members) = of_section.as_object_mut() {
                members.insert(name.clone(), value.clone());
            }
            let loaded = read(origin, stored, &with);
            match loaded.config {
                Some(good) => (config, kept) = (good, with),
                None => unfit.push(bad(section, name, first_error(&loaded.report.findings))),
            }
        }
    }
    config
}

fn first_error(findings: &[Finding]) -> String {
    let first = findings.iter().find(|finding| finding.severity == Severity::Error);
    first.map_or_else(|| "cannot be read".to_owned(), |finding| finding.message.clone())
}

fn bad(section: &str, name: &str, reason: impl Into<String>) -> Unfit {
    Unfit { id: section.to_owned(), member: name.to_owned(), reason: reason.into() }
}

/// The settings that are stored, opened, and those that do not open or are none any more.
fn opened(origin: &Config, stored: &Stored) -> (Sections, Vec<Unfit>) {
    let mut unfit = Vec::new();
    let mut sections = Sections::new();
    for record in stored.settings() {
        let mut settings = Map::new();
        for (name, value) in values(&record.document()).into_iter().flatten() {
            let read = match changeable(&record.id, name) {
                Ok(_) => open(origin, record, name, value).map_err(|error| error.to_string()),
                Err(why) => Err(why.to_string()),
            };
            match read {
                Ok(value) => drop(settings.insert(name.clone(), value)),
                Err(reason) => unfit.push(bad(&record.id, name, reason)),
            }
        }
        sections.insert(record.id.to_string(), Value::Object(settings));
    }
    (sections, unfit)
}

/// A setting with its secrets open.
///
/// # Errors
/// Where one does not open.
pub(crate) fn open(origin: &Config, record: &Record, name: &str, value: &Value) -> Result<Value, SealError> {
    let vault = vault(origin);
    map_secrets(&record.id, name, value, &mut |member, text| {
        if !Vault::is_sealed(text) {
            return Ok(text.to_owned());
        }
        vault.as_ref().map_err(|error| *error)?.open(Place { record: &record.id, member }, text)
    })
}
