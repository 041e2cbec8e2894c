//! The bodies of `/credentials`: what deployments refer to by `litellm_credential_name`.

use super::filled::set;
use super::row::{Form, On, Row, Want};
use super::sealed::{Scope, Seal, is_masked, seal_within};
use super::{BadForm, Context, Draft, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of credentials.
pub(super) const FORMS: &[&Form] = &[&CREDENTIAL];

static CREDENTIAL: Form = Form {
    title: "credential",
    new_routes: &["POST /credentials"],
    change_routes: &["PATCH /credentials/{credential_name}"],
    groups: &[&[
        Row::apart("credential_name", Want::Text),
        Row::stored("display_name", Want::Text),
        Row::apart("credential_values", Want::Object),
        Row::apart("credential_info", Want::Object),
        Row::apart("credential_values_to_delete", Want::Texts).change_only(),
        Row::unsupported("model_id", "is not supported: credential_values are to be given in full"),
    ]],
};

/// A new credential (`POST /credentials`). Every text of its values is sealed.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn new(body: &Map<String, Value>, seal: Seal<'_>, context: &Context<'_>) -> Result<Draft, BadForm> {
    let mut filled = CREDENTIAL.read(On::New, body, context)?;
    let name = filled.take_needed("credential_name")?;
    let Some(Value::Object(values)) =
        filled.take("credential_values").filter(|values| !super::values::is_empty(values))
    else {
        return Err(BadForm::missing("credential_values"));
    };
    let mut document = Document::default();
    set(&mut document, "credential_name", Value::from(name.as_str()));
    let info = filled.take("credential_info").unwrap_or_default();
    set(&mut document, "credential_info", info);
    filled.fill(&mut document, context)?;
    put(&mut document, &Map::new(), values, seal)?;
    sign(&mut document, context);
    Draft::checked(Kind::Credential, &name, document)
}

/// A credential, changed (`PATCH /credentials/{credential_name}`): what the body does not say stays, and a value that is sent
/// masked is the one that is there.
///
/// # Errors
/// The first member that is unknown or wrong.
pub fn change(
    name: &str,
    document: &Document,
    body: &Map<String, Value>,
    seal: Seal<'_>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut filled = CREDENTIAL.read(On::Change, body, context)?;
    if filled.take_text("credential_name").is_some_and(|named| named != name) {
        return Err(BadForm::wrong("credential_name", "cannot be changed: display_name is how it is called"));
    }
    let mut document = document.clone();
    let object = |document: &Document, name: &str| {
        document.0.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    if let Some(Value::Object(more)) = filled.take("credential_info") {
        let mut info = object(&document, "credential_info");
        info.extend(more);
        set(&mut document, "credential_info", Value::Object(info));
    }
    let mut values = object(&document, "credential_values");
    let gone = filled.take_texts("credential_values_to_delete");
    values.retain(|name, _| !gone.contains(name));
    let told = match filled.take("credential_values") {
        Some(Value::Object(told)) => told,
        _ => Map::new(),
    };
    if let Some(both) = gone.iter().find(|name| told.contains_key(*name)) {
        let member = format!("credential_values.{both}");
        return Err(BadForm::wrong(member, "cannot be given and deleted at once"));
    }
    put(&mut document, &values, told, seal)?;
    filled.fill(&mut document, context)?;
    touch(&mut document, context);
    Draft::checked(Kind::Credential, name, document)
}

fn put(
    document: &mut Document,
    old: &Map<String, Value>,
    new: Map<String, Value>,
    seal: Seal<'_>,
) -> Result<(), BadForm> {
    let is_told =
        |(name, value): &(String, Value)| !(value.is_null() || is_masked(value) && old.contains_key(name));
    let told: Map<String, Value> = new.into_iter().filter(is_told).collect();
    let mut values = old.clone();
    values.extend(seal_within(&told, "credential_values", Scope::All, seal)?);
    set(document, "credential_values", Value::Object(values));
    Ok(())
}
