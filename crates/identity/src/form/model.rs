//! The bodies of `/model/*`: deployments that are made over the admin API.
//!
//! Leaves what `litellm_params` and `model_info` may say to the configuration, which reads those of the file too.

use super::filled::set;
use super::row::{Form, On, Row, Want};
use super::sealed::{Scope, Seal, is_masked, seal_within};
use super::{BadForm, Context, Draft, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of deployments.
pub(super) const FORMS: &[&Form] = &[&MODEL, &DELETE, &BLOCK];

static MODEL: Form = Form {
    title: "deployment",
    new_routes: &["POST /model/new"],
    change_routes: &["POST /model/update", "PATCH /model/{model_id}/update"],
    groups: &[&[
        Row::acts("model_name", Want::Text),
        Row::apart("litellm_params", Want::Object),
        Row::apart("model_info", Want::Object),
        Row::acts("blocked", Want::Flag),
        // Where LiteLLM's own client library names the deployment that it changes.
        Row::apart("id", Want::Text).change_only(),
    ]],
};

static DELETE: Form = Form {
    title: "deletion of a deployment",
    new_routes: &[],
    change_routes: &["POST /model/delete"],
    groups: &[&[Row::apart("id", Want::Text)]],
};

static BLOCK: Form = Form {
    title: "blocking of a deployment",
    new_routes: &[],
    change_routes: &["POST /model/block", "POST /model/unblock"],
    groups: &[&[Row::apart("model_id", Want::Text)]],
};

/// The id that the body chooses itself for a new deployment; none where it names none.
pub fn id_of(body: &Map<String, Value>) -> Option<&str> {
    body.get("model_info")?.get("id")?.as_str().filter(|id| !id.is_empty())
}

/// The id of the deployment that the body changes: `model_info.id`, else `id`.
pub fn changed_id_of(body: &Map<String, Value>) -> Option<&str> {
    id_of(body).or_else(|| body.get("id")?.as_str().filter(|id| !id.is_empty()))
}

/// A new deployment (`/model/new`). `id` is its id: the body's own, else a fresh one.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn new(
    id: &str,
    body: &Map<String, Value>,
    seal: Seal<'_>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut filled = MODEL.read(On::New, body, context)?;
    if filled.get("model_name").is_none_or(Value::is_null) {
        return Err(BadForm::missing("model_name"));
    }
    let Some(Value::Object(params)) = filled.take("litellm_params") else {
        return Err(BadForm::missing("litellm_params"));
    };
    if params.get("model").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(BadForm::missing("litellm_params.model"));
    }
    if let Some((name, _)) =
        params.iter().find(|(name, value)| super::sealed::is_secret(name) && is_masked(value))
    {
        return Err(BadForm::wrong(format!("litellm_params.{name}"), "is masked: it is to be given in full"));
    }
    let mut info = match filled.take("model_info") {
        Some(Value::Object(info)) => info,
        _ => Map::new(),
    };
    info.insert("id".to_owned(), Value::from(id));
    let mut document = Document::default();
    set(&mut document, "model_id", Value::from(id));
    filled.fill(&mut document, context)?;
    put(&mut document, "litellm_params", &Map::new(), &params, Some(seal))?;
    put(&mut document, "model_info", &Map::new(), &info, None)?;
    sign(&mut document, context);
    Draft::checked(Kind::Model, id, document)
}

/// A deployment, changed (`/model/update`, `PATCH /model/{model_id}/update`): what the body does not say stays, null takes
/// out, and a secret that is sent masked is the one that is there.
///
/// # Errors
/// The first member that is unknown or wrong.
pub fn change(
    id: &str,
    document: &Document,
    body: &Map<String, Value>,
    seal: Seal<'_>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    if id_of(body).is_some_and(|named| named != id) {
        return Err(BadForm::wrong("model_info.id", "cannot be changed"));
    }
    if changed_id_of(body).is_some_and(|named| named != id) {
        return Err(BadForm::wrong("id", "cannot be changed"));
    }
    let mut filled = MODEL.read(On::Change, body, context)?;
    filled.take("id");
    if filled.get("model_name").is_some_and(Value::is_null) {
        filled.take("model_name");
    }
    let mut document = document.clone();
    for (name, seal) in [("litellm_params", Some(seal)), ("model_info", None)] {
        let Some(Value::Object(more)) = filled.take(name) else { continue };
        let old = document.0.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        put(&mut document, name, &old, &more, seal)?;
    }
    let of_params = document.get("litellm_params").and_then(|params| params.get("model"));
    if of_params.and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(BadForm::missing("litellm_params.model"));
    }
    filled.fill(&mut document, context)?;
    touch(&mut document, context);
    Draft::checked(Kind::Model, id, document)
}

/// Puts an object into a document: what was there, with what is new over it.
fn put(
    document: &mut Document,
    name: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    seal: Option<Seal<'_>>,
) -> Result<(), BadForm> {
    let mut members = old.clone();
    let told: Map<String, Value> = new
        .iter()
        .filter(|(name, value)| !(super::sealed::is_secret(name) && is_masked(value)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let told = match seal {
        Some(seal) => seal_within(&told, name, Scope::Secrets, seal)?,
        None => told,
    };
    for (name, value) in told {
        if value.is_null() {
            members.shift_remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    set(document, name, Value::Object(members));
    Ok(())
}

/// Reads `/model/delete`.
///
/// # Errors
/// Where it names none.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    DELETE.read(On::Change, body, context)?.take_needed("id")
}

/// Reads `/model/block` and `/model/unblock`.
///
/// # Errors
/// Where it names none.
pub fn blocking(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    BLOCK.read(On::Change, body, context)?.take_needed("model_id")
}

/// A deployment, blocked or let through again.
pub fn block(id: &str, document: &Document, is_blocked: bool, context: &Context<'_>) -> Draft {
    Draft { kind: Kind::Model, id: id.to_owned(), document: super::block(document, is_blocked, context) }
}
