//! The bodies of `/tag/*`.

use super::budget::{self, Own, TERMS, settle};
use super::filled::set;
use super::row::{Form, On, Row, Want};
use super::{BadForm, Context, Drafts, named, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of tags.
pub(super) const FORMS: &[&Form] = &[&TAG, &INFO, &DELETE];

static TAG: Form = Form {
    title: "tag",
    new_routes: &["POST /tag/new"],
    change_routes: &["POST /tag/update"],
    groups: &[
        &[
            Row::apart("name", Want::Text),
            Row::stored("description", Want::Lines),
            Row::acts("budget_id", Want::Text),
            Row::stored("model_info", Want::Names),
            Row::unsupported(
                "models",
                "is not supported: litellm_params.tags of a deployment says which tags it is for",
            ),
        ],
        TERMS,
    ],
};

static INFO: Form = Form {
    title: "which tags",
    new_routes: &[],
    change_routes: &["POST /tag/info"],
    groups: &[&[Row::apart("names", Want::Texts)]],
};

static DELETE: Form = Form {
    title: "deletion of a tag",
    new_routes: &[],
    change_routes: &["POST /tag/delete"],
    groups: &[&[Row::apart("name", Want::Text)]],
};

/// A new tag (`/tag/new`), and its budget where it has one of its own.
///
/// # Errors
/// The first member that is unknown, missing, wrong or unsupported.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<Drafts, BadForm> {
    let mut filled = TAG.read(On::New, body, context)?;
    let name = filled.take_needed("name")?;
    let mut document = Document::default();
    set(&mut document, "name", Value::from(name.as_str()));
    let budget = settle(&mut document, None, &mut filled, context)?;
    filled.fill(&mut document, context)?;
    sign(&mut document, context);
    budget::together((Kind::Tag, &name, document), budget)
}

/// The tag that a body asks to be changed.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<&str, BadForm> {
    named(body, "name")
}

/// A tag, changed (`/tag/update`).
///
/// # Errors
/// The first member that is unknown, wrong or unsupported.
pub fn change(
    name: &str,
    document: &Document,
    own_budget: Own<'_>,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let mut filled = TAG.read(On::Change, body, context)?;
    filled.take("name");
    let mut document = document.clone();
    let budget = settle(&mut document, own_budget, &mut filled, context)?;
    filled.fill(&mut document, context)?;
    touch(&mut document, context);
    budget::together((Kind::Tag, name, document), budget)
}

/// Reads `/tag/info`.
///
/// # Errors
/// Where it names no tags.
pub fn asked(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<String>, BadForm> {
    INFO.read(On::Change, body, context)?.take_some("names")
}

/// Reads `/tag/delete`.
///
/// # Errors
/// Where it names none.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    DELETE.read(On::Change, body, context)?.take_needed("name")
}
