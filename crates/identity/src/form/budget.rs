//! The bodies of `/budget/*`, and the budget within the bodies of those who have one: customers, tags, organizations and
//! projects.
//!
//! **Invariant:** who says something of a budget of its own gets one, and refers to it; who refers to another's says nothing
//! of it.

use super::filled::set;
use super::row::{Form, On, Row, Want};
use super::{BadForm, Context, Draft, Drafts, Filled, named, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of budgets.
pub(super) const FORMS: &[&Form] = &[&BUDGET, &INFO, &DELETE];

/// What a budget says, in its own form and in those of who has one.
pub(super) const TERMS: &[Row] = &[
    Row::acts("max_budget", Want::Money),
    Row::acts("soft_budget", Want::Money),
    Row::apart("budget_duration", Want::Cadence),
    Row::acts("budget_limits", Want::Windows),
    Row::acts("model_max_budget", Want::ModelBudgets),
    Row::acts("rpm_limit", Want::Count),
    Row::acts("tpm_limit", Want::Count),
    Row::acts("rpd_limit", Want::Count),
    Row::acts("tpd_limit", Want::Count),
    Row::acts("max_parallel_requests", Want::Count),
    Row::acts("temp_budget_increase", Want::Money).by_admins(),
    Row::acts("temp_budget_expiry", Want::Time).by_admins(),
    Row::stored("allowed_models", Want::Texts),
    // It follows from the duration: it may be said as it is shown.
    Row::apart("budget_reset_at", Want::Time),
];

static BUDGET: Form = Form {
    title: "budget",
    new_routes: &["POST /budget/new"],
    change_routes: &["POST /budget/update"],
    groups: &[&[Row::apart("budget_id", Want::Text)], TERMS],
};

static INFO: Form = Form {
    title: "which budgets",
    new_routes: &[],
    change_routes: &["POST /budget/info"],
    groups: &[&[Row::apart("budgets", Want::Texts)]],
};

static DELETE: Form = Form {
    title: "deletion of a budget",
    new_routes: &[],
    change_routes: &["POST /budget/delete"],
    groups: &[&[Row::apart("id", Want::Text)]],
};

/// A new budget (`/budget/new`).
///
/// # Errors
/// The first member that is unknown, wrong or unsupported.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<Draft, BadForm> {
    let mut filled = BUDGET.read(On::New, body, context)?;
    let id = filled.take_text("budget_id").unwrap_or_else(|| (context.fresh)());
    made(&id, filled, context)
}

fn made(id: &str, filled: Filled, context: &Context<'_>) -> Result<Draft, BadForm> {
    let mut document = Document::default();
    set(&mut document, "budget_id", Value::from(id));
    filled.fill(&mut document, context)?;
    sign(&mut document, context);
    Draft::checked(Kind::Budget, id, document)
}

/// The budget that a body asks to be changed.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<&str, BadForm> {
    named(body, "budget_id")
}

/// A budget, changed (`/budget/update`).
///
/// # Errors
/// The first member that is unknown, wrong or unsupported.
pub fn change(
    id: &str,
    document: &Document,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut filled = BUDGET.read(On::Change, body, context)?;
    filled.take("budget_id");
    changed(id, document, filled, context)
}

fn changed(id: &str, document: &Document, filled: Filled, context: &Context<'_>) -> Result<Draft, BadForm> {
    let mut document = document.clone();
    filled.fill(&mut document, context)?;
    touch(&mut document, context);
    Draft::checked(Kind::Budget, id, document)
}

/// Reads `/budget/info`.
///
/// # Errors
/// Where it names no budgets.
pub fn asked(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<String>, BadForm> {
    INFO.read(On::Change, body, context)?.take_some("budgets")
}

/// Reads `/budget/delete`.
///
/// # Errors
/// Where it names none.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    DELETE.read(On::Change, body, context)?.take_needed("id")
}

/// A budget that somebody has for itself alone: its id and its members.
pub type Own<'a> = Option<(&'a str, &'a Document)>;

/// Takes what a body says of a budget, and gives the document a budget that says so: the one that it has for itself alone,
/// changed, else a new one.
///
/// # Errors
/// Where the body refers to a budget and says something of it too.
pub(super) fn settle(
    document: &mut Document,
    own: Own<'_>,
    filled: &mut Filled,
    context: &Context<'_>,
) -> Result<Option<Draft>, BadForm> {
    let names: Vec<&str> = TERMS.iter().map(|row| row.name).collect();
    filled.take("budget_reset_at");
    let terms = filled.split(&names);
    let says_something = terms.says_something();
    if let Some(given) = filled.take("budget_id") {
        let is_another = own.is_none_or(|(id, _)| given.as_str() != Some(id));
        if !given.is_null() && is_another && says_something {
            return Err(BadForm::wrong("budget_id", "cannot be given beside the members of a budget"));
        }
        set(document, "budget_id", given);
        if is_another && !says_something {
            return Ok(None);
        }
    }
    let budget = match own {
        _ if terms.is_empty() => return Ok(None),
        Some((id, budget)) => changed(id, budget, terms, context)?,
        None if !says_something => return Ok(None),
        None => made(&(context.fresh)(), terms, context)?,
    };
    set(document, "budget_id", Value::from(budget.id.as_str()));
    Ok(Some(budget))
}

/// A record with its budget.
pub(super) fn together(
    (kind, id, document): (Kind, &str, Document),
    budget: Option<Draft>,
) -> Result<Drafts, BadForm> {
    Ok(Drafts { record: Draft::checked(kind, id, document)?, others: budget.into_iter().collect() })
}
