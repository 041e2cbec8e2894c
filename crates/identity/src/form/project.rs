//! The bodies of `/project/*`.

use super::budget::{self, Own, settle};
use super::filled::set;
use super::row::{Form, On, Row, Want, shared};
use super::{BadForm, Context, Drafts, named, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of projects.
pub(super) const FORMS: &[&Form] = &[&PROJECT, &DELETE];

static PROJECT: Form = Form {
    title: "project",
    new_routes: &["POST /project/new"],
    change_routes: &["POST /project/update"],
    groups: &[
        &[
            Row::apart("project_id", Want::Text),
            Row::acts("project_alias", Want::Text),
            Row::stored("description", Want::Lines),
            Row::acts("team_id", Want::Text),
            Row::acts("models", Want::Texts),
            Row::acts("blocked", Want::Flag).by_admins(),
            Row::acts("metadata", Want::Object),
            Row::acts("tags", Want::Texts).in_metadata(),
            Row::acts("budget_id", Want::Text),
            Row::unsupported("spend", "is counted, not set"),
        ],
        budget::TERMS,
        shared::MODEL_RATES,
        shared::KEPT,
        shared::UNHELD,
    ],
};

static DELETE: Form = Form {
    title: "deletion of projects",
    new_routes: &[],
    change_routes: &["DELETE /project/delete"],
    groups: &[&[Row::apart("project_ids", Want::Texts)]],
};

/// A new project (`/project/new`), and its budget where it has one of its own.
///
/// # Errors
/// The first member that is unknown, missing, wrong, forbidden or unsupported.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<Drafts, BadForm> {
    let mut filled = PROJECT.read(On::New, body, context)?;
    let id = filled.take_text("project_id").unwrap_or_else(|| (context.fresh)());
    if filled.get("team_id").is_none_or(Value::is_null) {
        return Err(BadForm::missing("team_id"));
    }
    let mut document = Document::default();
    set(&mut document, "project_id", Value::from(id.as_str()));
    let budget = settle(&mut document, None, &mut filled, context)?;
    filled.fill(&mut document, context)?;
    sign(&mut document, context);
    budget::together((Kind::Project, &id, document), budget)
}

/// The project that a body asks to be changed.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<&str, BadForm> {
    named(body, "project_id")
}

/// A project, changed (`/project/update`). It stays a team's.
///
/// # Errors
/// The first member that is unknown, wrong, forbidden or unsupported.
pub fn change(
    id: &str,
    document: &Document,
    own_budget: Own<'_>,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let mut filled = PROJECT.read_over(On::Change, body, document, context)?;
    filled.take("project_id");
    if filled.get("team_id").is_some_and(Value::is_null) {
        filled.take("team_id");
    }
    let mut document = document.clone();
    let budget = settle(&mut document, own_budget, &mut filled, context)?;
    filled.fill(&mut document, context)?;
    touch(&mut document, context);
    budget::together((Kind::Project, id, document), budget)
}

/// Reads `/project/delete`.
///
/// # Errors
/// Where it names no projects.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<String>, BadForm> {
    DELETE.read(On::Change, body, context)?.take_some("project_ids")
}
