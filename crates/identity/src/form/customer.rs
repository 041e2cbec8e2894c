//! The bodies of `/customer/*` and `/end_user/*`: who the caller's own users are.

use super::budget::{self, Own, TERMS, settle};
use super::filled::set;
use super::row::{Form, On, Row, Want, shared};
use super::{BadForm, Context, Draft, Drafts, named, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of customers.
pub(super) const FORMS: &[&Form] = &[&CUSTOMER, &SEVERAL];

static CUSTOMER: Form = Form {
    title: "customer",
    new_routes: &["POST /customer/new"],
    change_routes: &["POST /customer/update"],
    groups: &[
        &[
            Row::apart("user_id", Want::Text),
            Row::acts("alias", Want::Text),
            Row::acts("blocked", Want::Flag).by_admins(),
            Row::acts("models", Want::Texts),
            Row::acts("budget_id", Want::Text),
            Row::acts("default_model", Want::Text),
            Row::unsupported(
                "allowed_model_region",
                "is not supported: models says which models an end user may use",
            ),
            Row::unsupported("spend", "is counted, not set"),
            Row::unsupported("object_permission", shared::NO_MCP),
        ],
        TERMS,
    ],
};

static SEVERAL: Form = Form {
    title: "which customers",
    new_routes: &[],
    change_routes: &["POST /customer/block", "POST /customer/unblock", "POST /customer/delete"],
    groups: &[&[Row::apart("user_ids", Want::Texts)]],
};

/// A new customer (`/customer/new`), and its budget where it has one of its own.
///
/// # Errors
/// The first member that is unknown, missing, wrong or unsupported.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<Drafts, BadForm> {
    let mut filled = CUSTOMER.read(On::New, body, context)?;
    let id = filled.take_needed("user_id")?;
    let mut document = Document::default();
    set(&mut document, "user_id", Value::from(id.as_str()));
    let budget = settle(&mut document, None, &mut filled, context)?;
    filled.fill(&mut document, context)?;
    sign(&mut document, context);
    budget::together((Kind::Customer, &id, document), budget)
}

/// The customer that a body asks to be changed.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<&str, BadForm> {
    named(body, "user_id")
}

/// A customer, changed (`/customer/update`).
///
/// # Errors
/// The first member that is unknown, wrong or unsupported.
pub fn change(
    id: &str,
    document: &Document,
    own_budget: Own<'_>,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let mut filled = CUSTOMER.read(On::Change, body, context)?;
    filled.take("user_id");
    let mut document = document.clone();
    let budget = settle(&mut document, own_budget, &mut filled, context)?;
    filled.fill(&mut document, context)?;
    touch(&mut document, context);
    budget::together((Kind::Customer, id, document), budget)
}

/// A customer, blocked or let through again. One that nobody has made yet is made by that, as LiteLLM does.
pub fn block(id: &str, document: Option<&Document>, is_blocked: bool, context: &Context<'_>) -> Draft {
    let mut document = document.cloned().unwrap_or_else(|| {
        let mut document = Document::default();
        set(&mut document, "user_id", Value::from(id));
        sign(&mut document, context);
        document
    });
    document = super::block(&document, is_blocked, context);
    Draft { kind: Kind::Customer, id: id.to_owned(), document }
}

/// Reads `/customer/block`, `/customer/unblock` and `/customer/delete`.
///
/// # Errors
/// Where it names no customers.
pub fn several(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<String>, BadForm> {
    SEVERAL.read(On::Change, body, context)?.take_some("user_ids")
}
