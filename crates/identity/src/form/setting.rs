//! The bodies of `/config/*` and `/fallback`: settings that are changed while the gateway runs, one record for each section
//! of the configuration.
//!
//! Leaves what a setting may be to the configuration, which reads it as it reads one of the file.

use super::filled::set;
use super::row::{Form, On, Row, Want};
use super::{BadForm, Context, Draft, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of settings.
pub(super) const FORMS: &[&Form] = &[&UPDATE, &FIELD, &FIELD_DELETE, &BLOCK_UNPRICED, &FALLBACK, &ALLOWED_IP];

const MADE_APART: &str = "is not supported: deployments are made with POST /model/new";

static UPDATE: Form = Form {
    title: "settings",
    new_routes: &[],
    change_routes: &["POST /config/update"],
    groups: &[&[
        Row::apart("general_settings", Want::Object),
        Row::apart("litellm_settings", Want::Object),
        Row::apart("router_settings", Want::Object),
        Row::apart("tollgate_settings", Want::Object),
        Row::apart("environment_variables", Want::Object),
        Row::unsupported("model_list", MADE_APART),
    ]],
};

static FIELD: Form = Form {
    title: "setting",
    new_routes: &[],
    change_routes: &["POST /config/field/update"],
    groups: &[FIELD_NAMES, &[Row::apart("field_value", Want::Any)]],
};

const FIELD_NAMES: &[Row] = &[Row::apart("field_name", Want::Text), Row::apart("config_type", Want::Text)];

static FIELD_DELETE: Form = Form {
    title: "deletion of a setting",
    new_routes: &[],
    change_routes: &["POST /config/field/delete"],
    groups: &[FIELD_NAMES],
};

static BLOCK_UNPRICED: Form = Form {
    title: "whether models without a price are refused",
    new_routes: &[],
    change_routes: &["PATCH /config/block_requests_for_models_without_pricing"],
    groups: &[&[Row::apart("enabled", Want::Flag)]],
};

static FALLBACK: Form = Form {
    title: "fallbacks of a model",
    new_routes: &["POST /fallback"],
    change_routes: &[],
    groups: &[&[
        Row::apart("model", Want::Text),
        Row::apart("fallback_models", Want::Texts),
        Row::apart("fallback_type", Want::Words(&FALLBACK_TYPES)),
    ]],
};

static ALLOWED_IP: Form = Form {
    title: "address that may call",
    new_routes: &["POST /add/allowed_ip"],
    change_routes: &["POST /delete/allowed_ip"],
    groups: &[&[Row::apart("ip", Want::Text)]],
};

/// `fallback_type`; the first is meant where none is said.
pub const FALLBACK_TYPES: [&str; 3] = ["general", "context_window", "content_policy"];

/// The section of a setting, where a body names none.
const SECTION: &str = "general_settings";

/// A section of the configuration, and settings of it.
pub type OfSection = (&'static str, Map<String, Value>);

/// The settings of `/config/update`, by section.
///
/// # Errors
/// The first member that is unknown, wrong or unsupported.
pub fn update(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<OfSection>, BadForm> {
    let mut filled = UPDATE.read(On::Change, body, context)?;
    let names = UPDATE.rows().map(|row| row.name);
    let sections = names.filter_map(|name| match filled.take(name) {
        Some(Value::Object(settings)) => Some((name, settings)),
        _ => None,
    });
    Ok(sections.collect())
}

/// A setting: its section and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The section of the configuration.
    pub section: String,
    /// The key.
    pub name: String,
}

/// A setting that is to have this value (`/config/field/update`).
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn field(body: &Map<String, Value>, context: &Context<'_>) -> Result<(Field, Value), BadForm> {
    let mut filled = FIELD.read(On::Change, body, context)?;
    let value = filled.take("field_value").ok_or_else(|| BadForm::missing("field_value"))?;
    Ok((of_field(&mut filled)?, value))
}

/// A setting that is to be as the file says (`/config/field/delete`).
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn field_deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<Field, BadForm> {
    of_field(&mut FIELD_DELETE.read(On::Change, body, context)?)
}

fn of_field(filled: &mut super::Filled) -> Result<Field, BadForm> {
    let section = filled.take_text("config_type").unwrap_or_else(|| SECTION.to_owned());
    Ok(Field { section, name: filled.take_needed("field_name")? })
}

/// Whether models without a price are to be refused.
///
/// # Errors
/// Where the body does not say, or says something else.
pub fn blocks_unpriced(body: &Map<String, Value>, context: &Context<'_>) -> Result<bool, BadForm> {
    let mut filled = BLOCK_UNPRICED.read(On::Change, body, context)?;
    filled.take_flag("enabled").ok_or_else(|| BadForm::missing("enabled"))
}

/// What follows a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The model.
    pub model: String,
    /// The models that follow it, in their order.
    pub models: Vec<String>,
    /// After what: one of [`FALLBACK_TYPES`].
    pub after: String,
}

/// The body of `/fallback`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn fallback(body: &Map<String, Value>, context: &Context<'_>) -> Result<Chain, BadForm> {
    let mut filled = FALLBACK.read(On::New, body, context)?;
    let [general, ..] = FALLBACK_TYPES;
    let after = filled.take_text("fallback_type").unwrap_or_else(|| general.to_owned());
    Ok(Chain { model: filled.take_needed("model")?, models: filled.take_some("fallback_models")?, after })
}

/// The address that `/add/allowed_ip` and `/delete/allowed_ip` name.
///
/// # Errors
/// Where they name none.
pub fn allowed_ip(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    ALLOWED_IP.read(On::Change, body, context)?.take_needed("ip")
}

/// A section with these values, in place of what it had.
///
/// # Errors
/// Where the name of the section is none.
pub fn section(
    name: &str,
    old: Option<&Document>,
    values: Map<String, Value>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut document = old.cloned().unwrap_or_default();
    set(&mut document, Kind::Setting.id_member(), Value::from(name));
    set(&mut document, VALUES, Value::Object(values));
    match old {
        Some(_) => touch(&mut document, context),
        None => sign(&mut document, context),
    }
    Draft::checked(Kind::Setting, name, document)
}

/// The member that has a section's settings.
const VALUES: &str = "values";

/// The settings of a section, as they are kept.
pub fn values(document: &Document) -> Option<&Map<String, Value>> {
    document.get(VALUES)?.as_object()
}
