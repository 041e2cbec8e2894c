//! The bodies of `/team/{team_id}/callback`: who is told of a team's requests. They are kept as LiteLLM keeps them, in the
//! team's `metadata.logging`, with their secrets sealed; nothing calls them yet.

use super::filled::set_metadata;
use super::row::{Form, On, Row, Want};
use super::sealed::{Scope, Seal, seal_within};
use super::{BadForm, Context, Draft, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value, json};

/// Every form of callbacks.
pub(super) const FORMS: &[&Form] = &[&ADD];

static ADD: Form = Form {
    title: "callback of a team",
    new_routes: &["POST /team/{team_id}/callback"],
    change_routes: &[],
    groups: &[&[
        Row::apart("callback_name", Want::Text),
        Row::apart("callback_type", Want::Words(&["success", "failure", "success_and_failure"])),
        Row::apart("callback_vars", Want::Object),
    ]],
};

/// Callbacks of one team at most.
const CALLBACKS_MAX: usize = 50;
/// What a callback is of where a body does not say.
const USUAL_TYPE: &str = "success_and_failure";

/// The callbacks that a team's document has.
pub fn of_team(document: &Document) -> Vec<Value> {
    document.metadata("logging").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn name_of(callback: &Value) -> Option<&str> {
    callback.get("callback_name").and_then(Value::as_str)
}

fn type_of(callback: &Value) -> &str {
    callback.get("callback_type").and_then(Value::as_str).unwrap_or(USUAL_TYPE)
}

/// Whether a callback is told of requests that ended so: `success`, `failure`.
pub fn is_told_of(callback: &Value, ending: &str) -> bool {
    let of = type_of(callback);
    of == ending || of == USUAL_TYPE
}

/// A team with a callback more.
///
/// # Errors
/// The first member that is unknown, missing or wrong; a callback that the team has already.
pub fn with(
    id: &str,
    document: &Document,
    body: &Map<String, Value>,
    seal: Seal<'_>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut filled = ADD.read(On::New, body, context)?;
    let name = filled.take_needed("callback_name")?;
    let of = filled.take_text("callback_type").unwrap_or_else(|| USUAL_TYPE.to_owned());
    let Some(Value::Object(vars)) = filled.take("callback_vars") else {
        return Err(BadForm::missing("callback_vars"));
    };
    let mut all = of_team(document);
    let overlaps = |other: &Value| {
        name_of(other) == Some(&name)
            && ["success", "failure"]
                .into_iter()
                .any(|ending| is_told_of(other, ending) && (of == ending || of == USUAL_TYPE))
    };
    if all.iter().any(overlaps) {
        return Err(BadForm::wrong("callback_name", "is a callback of the team already"));
    }
    if all.len() >= CALLBACKS_MAX {
        return Err(BadForm::wrong("callback_name", format!("is one more than {CALLBACKS_MAX} callbacks")));
    }
    let vars = seal_within(&vars, &format!("metadata.logging.{name}.{of}"), Scope::Secrets, seal)?;
    all.push(json!({"callback_name": name, "callback_type": of, "callback_vars": vars}));
    kept(id, document, all, context)
}

/// A team without the callbacks of a name; none where it has none.
///
/// # Errors
/// Where the rest of the document is wrong.
pub fn without(
    id: &str,
    document: &Document,
    name: &str,
    context: &Context<'_>,
) -> Result<Option<Draft>, BadForm> {
    let mut all = of_team(document);
    let before = all.len();
    all.retain(|callback| name_of(callback) != Some(name));
    if all.len() == before {
        return Ok(None);
    }
    kept(id, document, all, context).map(Some)
}

fn kept(id: &str, document: &Document, all: Vec<Value>, context: &Context<'_>) -> Result<Draft, BadForm> {
    let mut document = document.clone();
    set_metadata(&mut document, "logging", Value::Array(all));
    touch(&mut document, context);
    Draft::checked(Kind::Team, id, document)
}
