//! `/credentials`: what deployments refer to by `litellm_credential_name`, those of the files among them.
//!
//! Leaves filling deployments in to the snapshot, which is made anew when a credential changes. **Invariant:** a value is
//! sealed before it is kept, and masked before it is shown.

use super::models::try_out;
use super::sealing::Sealing;
use super::{Change, Desk, Outcome, Problem, Served, asks, looks};
use crate::made;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tollgate_identity::form::{BadForm, credential as form};
use tollgate_identity::reply::credential::{Done, done, list as listed, view};
use tollgate_identity::{Document, Kind, Record};

/// The routes of credentials.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/credentials", |desk| Box::pin(new(desk)), "Keep a provider's credential"),
    looks("GET", "/credentials", list, "All credentials, masked"),
    looks("GET", "/credentials/by_name/{credential_name}", by_name, "A credential, masked"),
    looks(
        "GET",
        "/credentials/by_model/{model_id}",
        by_model,
        "What a deployment has of a credential, masked",
    ),
    asks("PATCH", "/credentials/{credential_name}", |desk| Box::pin(change(desk)), "Change a credential"),
    asks("DELETE", "/credentials/{credential_name}", |desk| Box::pin(delete(desk)), "Delete a credential"),
];

/// The members of `litellm_params` that are a credential's, beside those of clouds.
const OF_CREDENTIALS: [&str; 6] =
    ["api_key", "api_base", "api_version", "region_name", "organization", "custom_llm_provider"];
/// What the names of clouds' own begin with.
const OF_CLOUDS: [&str; 4] = ["aws_", "azure_", "vertex_", "watsonx_"];

async fn new(desk: &Desk<'_>) -> Outcome {
    let name = desk.body.get("credential_name").and_then(Value::as_str).unwrap_or_default();
    if desk.known(Kind::Credential, name).is_some() {
        return Err(Problem::Conflict(format!("Credential '{name}' already exists")));
    }
    let sealing = Sealing::of(desk, name);
    let draft = form::new(&desk.body, &|member, text| sealing.seal(member, text), &desk.context())?;
    if draft.id != name {
        return Err(BadForm::wrong("credential_name", "has no spaces at its ends").into());
    }
    try_out(desk, &draft)?;
    desk.commit_one(Change::new("created").make(draft)).await?;
    Ok(done(Done::Created))
}

async fn change(desk: &Desk<'_>) -> Outcome {
    let old = find(desk)?;
    let sealing = Sealing::of(desk, &old.id);
    let seal = |member: &str, text: &str| sealing.seal(member, text);
    let draft = form::change(&old.id, &old.document(), &desk.body, &seal, &desk.context())?;
    try_out(desk, &draft)?;
    desk.commit_one(Change::new("updated").replace(&old, draft)).await?;
    Ok(done(Done::Updated))
}

/// Deployments that refer to it are left out from then on: without it they have no key.
async fn delete(desk: &Desk<'_>) -> Outcome {
    let old = find(desk)?;
    desk.commit(Change::new("deleted").delete(&old)).await?;
    Ok(done(Done::Deleted))
}

/// The record that the path names; of one of the files it is said so.
fn find(desk: &Desk<'_>) -> Result<Arc<Record>, Problem> {
    let name = desk.param("credential_name");
    if let Some(record) = desk.known(Kind::Credential, name) {
        return desk.find(Kind::Credential, &record.id);
    }
    if desk.snapshot.config().credentials.iter().any(|other| other.name == name) {
        let message = format!("Credential '{name}' is in the configuration's file: it is changed there");
        return Err(Problem::Bad("credential_name", message));
    }
    Err(missing(name))
}

fn missing(name: &str) -> Problem {
    Problem::Missing("credential_name", format!("Credential not found. Got credential name: {name}"))
}

/// A credential as it is shown. What does not open is shown without values.
fn shown(desk: &Desk<'_>, record: &Record) -> Value {
    let values = made::opened(desk.snapshot.config(), record, "credential_values").unwrap_or_default();
    view(record, &values)
}

/// A credential that is no record, as it is shown.
fn shown_from(source: &str, name: &str, values: &Map<String, Value>, info: &Map<String, Value>) -> Outcome {
    let mut document = Document::default();
    document.0.insert("credential_info".to_owned(), Value::Object(info.clone()));
    let record =
        Record::read(Kind::Credential, name, 1, &document).map_err(|bad| Problem::Form(bad.into()))?;
    let mut shown = view(&record, values);
    if let Some(members) = shown.as_object_mut() {
        members.insert("source".to_owned(), json!(source));
    }
    Ok(shown)
}

/// The credentials of the files that no record stands before.
fn of_files(desk: &Desk<'_>, wanted: Option<&str>) -> Result<Vec<Value>, Problem> {
    let all = desk.snapshot.config().credentials.iter();
    let fits = all.filter(|one| wanted.is_none_or(|name| one.name == name));
    let own = fits.filter(|one| desk.known(Kind::Credential, &one.name).is_none());
    own.map(|one| shown_from("config", &one.name, &one.values, &one.info)).collect()
}

fn list(desk: &Desk<'_>) -> Outcome {
    let mut records = desk.all(Kind::Credential);
    records.sort_by(|one, other| one.id.cmp(&other.id));
    let mut all: Vec<Value> = records.iter().map(|record| shown(desk, record)).collect();
    all.extend(of_files(desk, None)?);
    Ok(listed(&all))
}

fn by_name(desk: &Desk<'_>) -> Outcome {
    named(desk, desk.param("credential_name"))
}

fn named(desk: &Desk<'_>, name: &str) -> Outcome {
    if let Ok(record) = desk.find(Kind::Credential, name) {
        return Ok(shown(desk, &record));
    }
    of_files(desk, Some(name))?.pop().ok_or_else(|| missing(name))
}

fn by_model(desk: &Desk<'_>) -> Outcome {
    let id = desk.param("model_id");
    let deployment = desk.snapshot.config().deployments.iter().find(|one| one.id == id);
    let record = desk.known(Kind::Model, id);
    let params = match (&record, deployment) {
        (Some(record), _) => {
            made::opened(desk.snapshot.config(), record, "litellm_params").unwrap_or_default()
        }
        (None, Some(deployment)) => deployment.params_written.clone(),
        (None, None) => {
            return Err(Problem::Missing("model_id", format!("Model not found. Got model_id: {id}")));
        }
    };
    if let Some(name) = params.get("litellm_credential_name").and_then(Value::as_str) {
        return named(desk, name);
    }
    let is_credentials = |name: &str| {
        OF_CREDENTIALS.contains(&name) || OF_CLOUDS.iter().any(|prefix| name.starts_with(prefix))
    };
    let values: Map<String, Value> =
        params.into_iter().filter(|(name, value)| is_credentials(name) && !value.is_null()).collect();
    let source = if record.is_some() { "db" } else { "config" };
    let group = deployment.map_or("", |deployment| deployment.public_name());
    shown_from(source, &format!("{group}-credential-{id}"), &values, &Map::new())
}
