//! Deployments that are in no file: made over the admin API, or completed by a credential that was.
//!
//! Owns: reading them as an entry of `model_list` is read, credentials' values among their parameters, what of the
//! environment they may have, whose alone they are. Leaves to others: keeping them, and opening what is sealed (server).
//!
//! **Invariant:** what a caller of the API writes names no variable but those that hold providers' keys and addresses, and
//! a team's deployment takes nothing of the environment: it has what the team gave it.

use serde_json::{Map, Value};
use std::fmt;
use std::rc::Rc;
use tollgate_catalog::providers;

use crate::config::Config;
use crate::environment::{self, Environment, PREFIX};
use crate::keys::{Kind, credential, model as table, top};
use crate::model::{self, Deployment};
use crate::report::{Collector, Finding, Severity};
use crate::scalar::to_json_map;
use crate::secret::Secret;
use crate::section::{Section, check};
use crate::yaml::{Data, Entry, Node, Place, Scalar};

/// The path of the one entry that is read here, which nobody wrote.
const PATH: &str = "model_list[0].";

/// A deployment as it was made, its secrets open.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// Its id.
    pub id: &'a str,
    /// The model group.
    pub model_name: &'a str,
    /// `litellm_params`.
    pub params: &'a Map<String, Value>,
    /// `model_info`.
    pub info: &'a Map<String, Value>,
    /// The values of its credential: what it does not say itself.
    pub credential: Option<&'a Map<String, Value>>,
    /// Whoever made it does not administer the gateway: it may go to public addresses alone.
    pub is_guarded: bool,
}

/// Credentials that deployments refer to by `litellm_credential_name`. Printing them shows no secret.
#[derive(Clone, PartialEq)]
pub struct NamedCredential {
    /// Its name.
    pub name: String,
    /// What stands among the parameters of whoever refers to it.
    pub values: Map<String, Value>,
    /// What is known of it.
    pub info: Map<String, Value>,
    /// The texts among its values.
    pub(crate) secrets: Vec<Secret>,
}

impl NamedCredential {
    /// A credential of these values.
    pub fn new(name: &str, values: Map<String, Value>, info: Map<String, Value>) -> Self {
        let texts = values.values().filter_map(Value::as_str).filter(|text| !text.is_empty());
        Self { name: name.to_owned(), secrets: texts.map(Secret::new).collect(), values, info }
    }
}

/// Reads `credential_list`; the first of a name counts.
pub(crate) fn credentials(root: &Node, found: &mut Collector) -> Vec<NamedCredential> {
    let top = Section::new(Some(root), top::TABLE, "");
    let mut all: Vec<NamedCredential> = Vec::new();
    for (index, node) in top.items("credential_list").iter().enumerate() {
        let path = format!("credential_list[{index}]");
        let entry = Section::new(Some(node), credential::TABLE, &path);
        let map = |name| entry.node(name).map(to_json_map).unwrap_or_default();
        let (values, info) = (map("credential_values"), map("credential_info"));
        let Some(name) = model::required(&entry, "credential_name", node.place, found) else { continue };
        if values.is_empty() && entry.place("credential_values").is_none() {
            found.error(node.place, &entry.path_of("credential_values"), "is required");
        }
        if all.iter().any(|other| other.name == name) {
            found.error(node.place, &entry.path_of("credential_name"), "another credential has this name");
            continue;
        }
        all.push(NamedCredential::new(&name, values, info));
    }
    all
}

impl fmt::Debug for NamedCredential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&String> = self.values.keys().collect();
        out.debug_struct("NamedCredential").field("name", &self.name).field("values", &values).finish()
    }
}

/// What an entry that refers to a credential was read from, its secrets open. Printing it shows none of it.
#[derive(Clone, PartialEq)]
pub struct Incomplete {
    /// The credential.
    pub credential: String,
    pub(crate) params: Map<String, Value>,
    pub(crate) info: Map<String, Value>,
}

impl fmt::Debug for Incomplete {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Incomplete({:?})", self.credential)
    }
}

impl Config {
    /// Reads a deployment that is in no file, with the router's defaults. `process` looks a variable of the process up.
    ///
    /// # Errors
    /// What `check` would say of it: the errors, or why it is left out.
    pub fn read_deployment(
        &self,
        made: Made<'_>,
        process: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Deployment, Vec<Finding>> {
        let mut found = Collector::default();
        let deployment = self.read_made(made, process, &mut found);
        let findings = found.into_report().findings.into_iter().map(|finding| {
            let key = finding.key.strip_prefix(PATH).unwrap_or(&finding.key).to_owned();
            Finding { key, ..finding }
        });
        let (errors, others): (Vec<Finding>, Vec<Finding>) =
            findings.partition(|finding| finding.severity == Severity::Error);
        match deployment {
            _ if !errors.is_empty() => Err(errors),
            Some(deployment) => Ok(deployment),
            None => Err(others),
        }
    }

    fn read_made(
        &self,
        made: Made<'_>,
        process: &dyn Fn(&str) -> Option<String>,
        found: &mut Collector,
    ) -> Option<Deployment> {
        let mut params = made.params.clone();
        // A credential's values name no variables: whoever keeps one gives it in full.
        let told = made.credential.into_iter().flatten();
        let missing: Vec<_> = told.filter(|(name, _)| params.get(*name).is_none_or(Value::is_null)).collect();
        for (name, value) in missing {
            params.insert(name.clone(), value.clone());
        }
        let mut info = made.info.clone();
        info.insert("id".to_owned(), Value::from(made.id));
        let place = Place { file: 0, line: 0, column: 0 };
        let entry = [
            ("model_name", Value::from(made.model_name)),
            ("litellm_params", Value::Object(params)),
            ("model_info", Value::Object(info)),
        ];
        let node = map(entry.iter().map(|(name, value)| (*name, value)), place);
        let path = PATH.trim_end_matches('.');
        refuse_variables(&node, path, found);
        if found.has_errors() {
            return None;
        }
        let is_teams = made.info.get("team_id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
        let nothing: &dyn Fn(&str) -> Option<String> = &|_| None;
        let environment = if is_teams {
            Environment::new(&[], nothing)
        } else {
            Environment::new(&self.environment, process)
        };
        let node = environment::follow(&node, path, &environment, found);
        check(&node, Kind::Section(table::ENTRY), path, found);
        let mut deployment = model::resolve(&node, 0, &environment, found)?;
        // Its credential is among its parameters by now.
        deployment.incomplete = None;
        deployment.is_made = true;
        deployment.is_guarded = made.is_guarded;
        self.router.complete_one(&mut deployment);
        Some(deployment)
    }

    /// A deployment of the files with the values of the credential that it refers to.
    ///
    /// # Errors
    /// As of [`Config::read_deployment`].
    pub fn completed(
        &self,
        deployment: &Deployment,
        credential: &Map<String, Value>,
        process: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Deployment, Vec<Finding>> {
        let Some(incomplete) = &deployment.incomplete else { return Ok(deployment.clone()) };
        let made = Made {
            id: &deployment.id,
            model_name: deployment.public_name(),
            params: &incomplete.params,
            info: &incomplete.info,
            credential: Some(credential),
            is_guarded: false,
        };
        let completed = self.read_deployment(made, process)?;
        let (weight, model_info) = (deployment.weight, deployment.model_info.clone());
        Ok(Deployment {
            place: deployment.place.clone(),
            weight,
            model_info,
            is_made: false,
            max_parallel_requests: deployment.max_parallel_requests,
            ..completed
        })
    }
}

/// The name of the group that a team's deployments make: no other team's, and nobody's else, whatever they are called.
pub(crate) fn group_of_team(team: &str, public_name: &str) -> String {
    let mut name = String::from("model_name_");
    for byte in team.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => name.push(char::from(byte)),
            // Neither the slash that ends it nor a star, which would make a pattern of it.
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name.push('/');
    name.push_str(public_name);
    name
}

/// Refuses references to variables of the environment that are not for whoever makes deployments.
fn refuse_variables(node: &Node, path: &str, found: &mut Collector) {
    match &node.data {
        Data::List(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_variables(item, &format!("{path}[{index}]"), found);
            }
        }
        Data::Map(entries) => {
            for entry in entries.iter() {
                let name = crate::report::printable(&entry.key);
                refuse_variables(&entry.value, &format!("{path}.{name}"), found);
            }
        }
        Data::Scalar(scalar) => {
            let Some(name) = scalar.text.strip_prefix(PREFIX) else { return };
            let mut known =
                providers().iter().flat_map(|provider| provider.key_env.iter().chain(provider.base_env));
            if !known.any(|known| *known == name) {
                let message = "may name no variable but those of providers' keys and addresses";
                found.error(node.place, path, message);
            }
        }
        Data::Unset => {}
    }
}

/// JSON as if it had been written in a file, texts in quotes.
pub(crate) fn node(value: &Value, place: Place) -> Node {
    let scalar =
        |text: Rc<str>, is_plain| Data::Scalar(Scalar { text, is_plain, is_from_environment: false });
    let data = match value {
        Value::Null => scalar("null".into(), true),
        Value::Bool(flag) => scalar(flag.to_string().into(), true),
        Value::Number(number) => scalar(number.to_string().into(), true),
        Value::String(text) => scalar(text.as_str().into(), false),
        Value::Array(items) => Data::List(items.iter().map(|item| node(item, place)).collect()),
        Value::Object(members) => {
            return map(members.iter().map(|(name, value)| (name.as_str(), value)), place);
        }
    };
    Node { place, data }
}

fn map<'v>(members: impl Iterator<Item = (&'v str, &'v Value)>, place: Place) -> Node {
    let entries = members.map(|(name, value)| Entry { key: name.into(), place, value: node(value, place) });
    Node { place, data: Data::Map(entries.collect()) }
}
