//! The bodies of `/access_group/*` (groups of models by their own name) and of `/v1/access_group` (groups by id, which keys and
//! teams refer to).
//!
//! Both are one kind of record: `models` are the names that it stands for, `model_ids` the deployments. One of
//! `/v1/access_group` has an `access_group_name`.

use super::budget::{Own, TERMS, together};
use super::filled::set;
use super::row::{Form, On, Row, Want, shared};
use super::{BadForm, Context, Draft, Drafts, Filled, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use crate::record::Record;
use serde_json::{Map, Value};

/// Every form of access groups.
pub(super) const FORMS: &[&Form] = &[&GROUP, &BUDGET, &NAMED];

static GROUP: Form = Form {
    title: "group of models",
    new_routes: &["POST /access_group/new"],
    change_routes: &["PUT /access_group/{access_group}/update"],
    groups: &[&[
        Row::apart("access_group", Want::Text).new_only(),
        Row::apart("model_names", Want::Texts),
        Row::apart("model_ids", Want::Texts),
    ]],
};

static BUDGET: Form = Form {
    title: "budget of a group of models",
    new_routes: &[],
    change_routes: &["PUT /access_group/{access_group}/budget"],
    groups: &[&[
        Row::acts("budget_id", Want::Text),
        Row::acts("max_budget", Want::Money),
        Row::acts("soft_budget", Want::Money),
        Row::apart("budget_duration", Want::Cadence),
    ]],
};

static NAMED: Form = Form {
    title: "access group",
    new_routes: &["POST /v1/access_group"],
    change_routes: &["PUT /v1/access_group/{access_group_id}"],
    groups: &[&[
        Row::acts("access_group_name", Want::Text),
        Row::stored("description", Want::Lines),
        Row::apart("access_model_names", Want::Texts),
        Row::acts("assigned_team_ids", Want::Texts),
        Row::acts("assigned_key_ids", Want::Texts),
        Row::unsupported("access_mcp_server_ids", shared::NO_MCP),
        Row::unsupported("access_agent_ids", "is not supported: there are no agents here"),
    ]],
};

/// A new group of models (`/access_group/new`).
///
/// # Errors
/// Where it has no name or no models.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<Draft, BadForm> {
    let mut filled = GROUP.read(On::New, body, context)?;
    let name = filled.take_needed("access_group")?;
    let mut document = Document::default();
    set(&mut document, "access_group", Value::from(name.as_str()));
    models(&mut document, &mut filled)?;
    sign(&mut document, context);
    Draft::checked(Kind::AccessGroup, &name, document)
}

/// A group with other models (`/access_group/{access_group}/update`).
///
/// # Errors
/// Where it has no models.
pub fn change(
    name: &str,
    document: &Document,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut filled = GROUP.read(On::Change, body, context)?;
    let mut document = document.clone();
    models(&mut document, &mut filled)?;
    touch(&mut document, context);
    Draft::checked(Kind::AccessGroup, name, document)
}

fn models(document: &mut Document, filled: &mut Filled) -> Result<(), BadForm> {
    let (names, ids) = (filled.take_texts("model_names"), filled.take_texts("model_ids"));
    if names.is_empty() && ids.is_empty() {
        return Err(BadForm::missing("model_names"));
    }
    set(document, "models", Value::from(names));
    set(document, "model_ids", Value::from(ids));
    Ok(())
}

/// A group, with the budget of those who use its models (`/access_group/{access_group}/budget`).
///
/// # Errors
/// The first member that is unknown or wrong, and where it says nothing.
pub fn change_budget(
    name: &str,
    document: &Document,
    own_budget: Own<'_>,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let mut filled = BUDGET.read(On::Change, body, context)?;
    if filled.is_empty() {
        return Err(BadForm::missing("max_budget"));
    }
    let mut document = document.clone();
    let budget = super::budget::settle(&mut document, own_budget, &mut filled, context)?;
    touch(&mut document, context);
    together((Kind::AccessGroup, name, document), budget)
}

/// A group without a budget (`DELETE /access_group/{access_group}/budget`).
pub fn without_budget(name: &str, document: &Document, context: &Context<'_>) -> Draft {
    let mut document = document.clone();
    document.0.shift_remove("budget_id");
    for row in TERMS {
        document.0.shift_remove(row.name);
    }
    touch(&mut document, context);
    Draft { kind: Kind::AccessGroup, id: name.to_owned(), document }
}

/// A new access group (`POST /v1/access_group`).
///
/// # Errors
/// The first member that is unknown, missing, wrong or unsupported.
pub fn new_named(body: &Map<String, Value>, context: &Context<'_>) -> Result<Draft, BadForm> {
    let filled = NAMED.read(On::New, body, context)?;
    if filled.get("access_group_name").is_none_or(Value::is_null) {
        return Err(BadForm::missing("access_group_name"));
    }
    let id = (context.fresh)();
    let mut document = Document::default();
    set(&mut document, "access_group", Value::from(id.as_str()));
    fill(&mut document, filled, context)?;
    sign(&mut document, context);
    Draft::checked(Kind::AccessGroup, &id, document)
}

/// An access group, changed (`PUT /v1/access_group/{access_group_id}`).
///
/// # Errors
/// The first member that is unknown, wrong or unsupported.
pub fn change_named(
    id: &str,
    document: &Document,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut filled = NAMED.read(On::Change, body, context)?;
    if filled.get("access_group_name").is_some_and(Value::is_null) {
        filled.take("access_group_name");
    }
    let mut document = document.clone();
    fill(&mut document, filled, context)?;
    touch(&mut document, context);
    Draft::checked(Kind::AccessGroup, id, document)
}

/// A team or a key that has an access group, or has it no longer.
pub fn assigned(record: &Record, group: &str, is_assigned: bool, context: &Context<'_>) -> Draft {
    let mut document = record.document();
    let others = record.reach.groups.iter().filter(|own| ***own != *group);
    let mut groups: Vec<&str> = others.map(AsRef::as_ref).collect();
    if is_assigned {
        groups.push(group);
    }
    set(&mut document, "access_group_ids", Value::from(groups));
    touch(&mut document, context);
    Draft { kind: record.kind, id: record.id.as_ref().to_owned(), document }
}

fn fill(document: &mut Document, mut filled: Filled, context: &Context<'_>) -> Result<(), BadForm> {
    if let Some(models) = filled.take("access_model_names") {
        // A group that stands for no model stands for none: an empty list would be all of them.
        let is_none = models.as_array().is_none_or(Vec::is_empty);
        set(document, "models", if is_none { Value::from(vec!["no-default-models"]) } else { models });
    } else if document.get("models").is_none() {
        set(document, "models", Value::from(vec!["no-default-models"]));
    }
    filled.fill(document, context)
}
