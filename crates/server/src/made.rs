//! The configuration with what the admin API has made beside it: deployments, and the credentials that these and those of
//! the files refer to.
//!
//! Owns opening what is sealed, and leaving out what cannot be served without leaving out the rest. Leaves reading a
//! deployment to the configuration, and keeping records to the ledger.
//!
//! **Invariant:** a record that cannot be served is left out and named; it takes nothing else with it. **Invariant:** what
//! does not open as it was sealed, for its own record and member, is not used.

use crate::authorization::surroundings;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_config::{Config, Deployment, Finding, Incomplete, Made, Secret};
use tollgate_identity::form::open_within;
use tollgate_identity::secret::{Place, SealError, Sealer, Vault};
use tollgate_identity::{Directory, Kind, Record};

/// A JSON object.
type Members = serde_json::Map<String, serde_json::Value>;

/// Records that the configuration is made with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    models: Vec<Arc<Record>>,
    credentials: Vec<Arc<Record>>,
    settings: Vec<Arc<Record>>,
}

/// Something that cannot be served, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// The deployment's id.
    pub(crate) id: String,
    /// The member that is wrong; empty where it is none of it.
    pub(crate) member: String,
    /// Why.
    pub(crate) reason: String,
}

impl Stored {
    /// Those that are there now, in the order in which they were made.
    pub(crate) fn of(directory: &Directory) -> Self {
        let of = |kind| {
            let mut records: Vec<_> = directory.all(kind).map(Arc::clone).collect();
            records.sort_by_cached_key(|record| (record.created_at(), Arc::clone(&record.id)));
            records
        };
        Self { models: of(Kind::Model), credentials: of(Kind::Credential), settings: of(Kind::Setting) }
    }

    /// With this record in place of the one of its id.
    pub(crate) fn with(mut self, record: Record) -> Self {
        let records = match record.kind {
            Kind::Model => &mut self.models,
            Kind::Credential => &mut self.credentials,
            Kind::Setting => &mut self.settings,
            _ => return self,
        };
        records.retain(|other| other.id != record.id);
        records.push(Arc::new(record));
        self
    }

    /// Settings that were changed, by section.
    pub(crate) fn settings(&self) -> &[Arc<Record>] {
        &self.settings
    }

    /// The names of the groups that deployments were made in.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.models.iter().filter_map(|record| record.text("model_name")).collect()
    }

    /// Whether there is nothing to make deployments of.
    fn is_empty(&self) -> bool {
        self.models.is_empty() && self.credentials.is_empty()
    }
}

/// What seals and opens: the salt key, else the master key, which also opens what it sealed before there was a salt key, as
/// former salt keys do.
///
/// # Errors
/// Where there is neither.
pub(crate) fn vault(config: &Config) -> Result<Vault, SealError> {
    let sealer = |secret: Option<&Secret>| Sealer::new(secret.map(Secret::expose).unwrap_or_default());
    let by_master = sealer(config.general.master_key.as_ref());
    let former = config.ledger.former_salt_keys.iter().filter_map(|salt| sealer(Some(salt)).ok());
    match &config.ledger.salt_key {
        Some(salt) => Ok(Vault::new(sealer(Some(salt))?, former.chain(by_master).collect())),
        None => Ok(Vault::new(by_master?, former.collect())),
    }
}

/// The members of an object of a record, opened.
///
/// # Errors
/// The first member that does not open.
pub(crate) fn opened(config: &Config, record: &Record, name: &str) -> Result<Members, (String, SealError)> {
    let members = match record.member(name) {
        Some(serde_json::Value::Object(members)) => members,
        _ => Members::new(),
    };
    let vault = vault(config);
    let failed = RefCell::new(None);
    let opened = open_within(&members, name, &|member, text| {
        if !Vault::is_sealed(text) {
            return None;
        }
        let place = Place { record: &record.id, member };
        let opened = vault.as_ref().map_err(|error| *error).and_then(|vault| vault.open(place, text));
        opened.map_err(|error| failed.borrow_mut().get_or_insert((member.to_owned(), error)).1).ok()
    });
    failed.into_inner().map_or(Ok(opened), Err)
}

/// The configuration with what is stored, and what of that had to be left out.
pub(crate) fn complete(origin: &Config, stored: &Stored) -> (Config, Vec<Unfit>) {
    let mut unfit = Vec::new();
    let is_complete = origin.deployments.iter().all(|deployment| deployment.incomplete.is_none());
    if stored.is_empty() && is_complete {
        return (origin.clone(), unfit);
    }
    let variables = surroundings(origin).variables;
    let read = Reading { origin, credentials: credentials(origin, stored, &mut unfit), process: &*variables };
    let mut config = origin.clone();
    config.deployments.clear();
    for deployment in &origin.deployments {
        let completed = match &deployment.incomplete {
            None => Ok(deployment.clone()),
            Some(incomplete) => read.completed(deployment, incomplete),
        };
        keep(completed, &mut config, &mut unfit);
    }
    for record in &stored.models {
        let read = match config.deployments.iter().any(|deployment| *deployment.id == *record.id) {
            true => Err(bad(&record.id, "model_info.id", "is the id of a deployment of the files too")),
            false => read.made(record),
        };
        keep(read, &mut config, &mut unfit);
    }
    (config, unfit)
}

fn keep(read: Result<Deployment, Unfit>, config: &mut Config, unfit: &mut Vec<Unfit>) {
    match read {
        Ok(deployment) => config.deployments.push(deployment),
        Err(why) => unfit.push(why),
    }
}

fn bad(id: &str, member: &str, reason: impl Into<String>) -> Unfit {
    Unfit { id: id.to_owned(), member: member.to_owned(), reason: reason.into() }
}

/// The values of every credential by its name; those of records go before those of the files.
fn credentials(origin: &Config, stored: &Stored, unfit: &mut Vec<Unfit>) -> HashMap<String, Members> {
    let of_files = origin.credentials.iter();
    let mut all: HashMap<String, Members> =
        of_files.map(|credential| (credential.name.clone(), credential.values.clone())).collect();
    for record in &stored.credentials {
        match opened(origin, record, "credential_values") {
            Ok(values) => {
                all.insert(record.id.to_string(), values);
            }
            Err((member, error)) => {
                all.remove(&*record.id);
                unfit.push(bad(&record.id, &member, error.to_string()));
            }
        }
    }
    all
}

/// What deployments are read with.
struct Reading<'a> {
    origin: &'a Config,
    credentials: HashMap<String, Members>,
    process: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
}

impl Reading<'_> {
    fn credential(&self, id: &str, name: &str) -> Result<&Members, Unfit> {
        let missing = || bad(id, "litellm_params.litellm_credential_name", "there is no such credential");
        self.credentials.get(name).ok_or_else(missing)
    }

    fn completed(&self, deployment: &Deployment, incomplete: &Incomplete) -> Result<Deployment, Unfit> {
        let values = self.credential(&deployment.id, &incomplete.credential)?;
        let completed = self.origin.completed(deployment, values, &|name| (self.process)(name));
        completed.map_err(|findings| first(&deployment.id, &findings))
    }

    fn made(&self, record: &Record) -> Result<Deployment, Unfit> {
        let document = &record.document();
        let params = opened(self.origin, record, "litellm_params")
            .map_err(|(member, error)| bad(&record.id, &member, error.to_string()))?;
        let none = Members::new();
        let info = document.get("model_info").and_then(serde_json::Value::as_object).unwrap_or(&none);
        let named = params.get("litellm_credential_name").and_then(serde_json::Value::as_str);
        let credential = named.filter(|name| !name.is_empty()).map(|name| self.credential(&record.id, name));
        let made = Made {
            id: &record.id,
            model_name: document.text("model_name").unwrap_or_default(),
            params: &params,
            info,
            credential: credential.transpose()?,
            is_guarded: document.flag(GUARDED),
        };
        let mut read = self
            .origin
            .read_deployment(made, &|name| (self.process)(name))
            .map_err(|findings| first(&record.id, &findings))?;
        read.is_blocked |= record.is_blocked;
        Ok(read)
    }
}

/// The member of a deployment's document that says that somebody changed it who does not administer the gateway.
pub(crate) const GUARDED: &str = "guarded";

/// The first thing that was found, in words for whoever made it.
fn first(id: &str, findings: &[Finding]) -> Unfit {
    let Some(finding) = findings.first() else { return bad(id, "", "cannot be read") };
    let near = finding.nearest.as_ref().map(|near| format!(" (nearest: {near})")).unwrap_or_default();
    bad(id, &finding.key, format!("{}{near}", finding.message))
}
