//! The bodies of `/organization/*`, and of the places of users in organizations.

use super::budget::{self, Own, settle};
use super::filled::{GIVEN, set};
use super::member::{self, Place, Seat, Terms, Who};
use super::row::{Form, On, Row, Want, shared};
use super::{BadForm, Context, Draft, Drafts, named, sign, touch};
use crate::directory::member_id;
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of organizations.
pub(super) const FORMS: &[&Form] = &[&ORGANIZATION, &INFO, &DELETE, &ADD, &SEAT, &UPDATE, &REMOVE];

const ROLES: Want = Want::Words(&["org_admin", "internal_user", "internal_user_viewer"]);

static ORGANIZATION: Form = Form {
    title: "organization",
    new_routes: &["POST /organization/new"],
    change_routes: &["PATCH /organization/update"],
    groups: &[
        &[
            Row::apart("organization_id", Want::Text),
            Row::acts("organization_alias", Want::Text),
            Row::acts("models", Want::Texts),
            Row::acts("metadata", Want::Object),
            Row::acts("blocked", Want::Flag).by_admins(),
            Row::acts("budget_id", Want::Text),
            Row::acts("tags", Want::Texts).in_metadata(),
            Row::unsupported("spend", "is counted, not set"),
            Row::unsupported("updated_by", "is who asks").change_only(),
        ],
        budget::TERMS,
        shared::MODEL_RATES,
        shared::KEPT,
        shared::UNHELD,
    ],
};

static INFO: Form = Form {
    title: "which organizations",
    new_routes: &[],
    change_routes: &["POST /organization/info"],
    groups: &[&[Row::apart("organizations", Want::Texts)]],
};

static DELETE: Form = Form {
    title: "deletion of organizations",
    new_routes: &[],
    change_routes: &["DELETE /organization/delete"],
    groups: &[&[Row::apart("organization_ids", Want::Texts)]],
};

static ADD: Form = Form {
    title: "member of an organization",
    new_routes: &["POST /organization/member_add"],
    change_routes: &[],
    groups: &[&[
        Row::apart("organization_id", Want::Text),
        Row::apart("member", Want::Objects),
        Row::apart("max_budget_in_organization", Want::Money),
    ]],
};

static SEAT: Form = Form {
    title: "each member of an organization",
    new_routes: &["POST /organization/member_add"],
    change_routes: &[],
    groups: &[&[
        Row::apart("user_id", Want::Text),
        Row::apart("user_email", Want::Text),
        Row::apart("role", ROLES),
    ]],
};

static UPDATE: Form = Form {
    title: "member of an organization",
    new_routes: &[],
    change_routes: &["PATCH /organization/member_update"],
    groups: &[&[
        Row::apart("organization_id", Want::Text),
        Row::apart("user_id", Want::Text),
        Row::apart("user_email", Want::Text),
        Row::apart("role", ROLES),
        Row::apart("max_budget_in_organization", Want::Money),
    ]],
};

static REMOVE: Form = Form {
    title: "removal of a member of an organization",
    new_routes: &[],
    change_routes: &["DELETE /organization/member_delete"],
    groups: &[&[
        Row::apart("organization_id", Want::Text),
        Row::apart("user_id", Want::Text),
        Row::apart("user_email", Want::Text),
    ]],
};

/// A new organization (`/organization/new`), and its budget where it has one of its own.
///
/// # Errors
/// The first member that is unknown, missing, wrong, forbidden or unsupported.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<Drafts, BadForm> {
    let mut filled = ORGANIZATION.read(On::New, body, context)?;
    let id = filled.take_text("organization_id").unwrap_or_else(|| (context.fresh)());
    if filled.get("organization_alias").is_none_or(Value::is_null) {
        return Err(BadForm::missing("organization_alias"));
    }
    let mut document = Document::default();
    set(&mut document, "organization_id", Value::from(id.as_str()));
    let budget = settle(&mut document, None, &mut filled, context)?;
    filled.fill(&mut document, context)?;
    sign(&mut document, context);
    budget::together((Kind::Organization, &id, document), budget)
}

/// The organization that a body asks to be changed.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<&str, BadForm> {
    named(body, "organization_id")
}

/// An organization, changed (`/organization/update`). Who administers it alone does not set what it was given.
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
    let mut filled = ORGANIZATION.read_over(On::Change, body, document, context)?;
    filled.take("organization_id");
    let mut before = document.clone();
    for (name, value) in own_budget.iter().flat_map(|(_, budget)| &budget.0) {
        before.0.entry(name.clone()).or_insert_with(|| value.clone());
    }
    filled.hold(&GIVEN, &before, context)?;
    let mut document = document.clone();
    let budget = settle(&mut document, own_budget, &mut filled, context)?;
    filled.fill(&mut document, context)?;
    touch(&mut document, context);
    budget::together((Kind::Organization, id, document), budget)
}

/// Reads `POST /organization/info`.
///
/// # Errors
/// Where it names no organizations.
pub fn asked(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<String>, BadForm> {
    INFO.read(On::Change, body, context)?.take_some("organizations")
}

/// Reads `/organization/delete`.
///
/// # Errors
/// Where it names no organizations.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<String>, BadForm> {
    DELETE.read(On::Change, body, context)?.take_some("organization_ids")
}

/// Members that are to be added.
#[derive(Debug, Clone)]
pub struct Addition {
    /// To which organization.
    pub organization: String,
    /// Who.
    pub seats: Vec<Seat>,
    /// What each may spend there.
    pub terms: Terms,
}

/// Reads `/organization/member_add`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn addition(body: &Map<String, Value>, context: &Context<'_>) -> Result<Addition, BadForm> {
    let mut filled = ADD.read(On::New, body, context)?;
    let organization = filled.take_needed("organization_id")?;
    let seats = member::seats(&SEAT, "member", filled.take("member").as_ref(), context)?;
    if seats.is_empty() {
        return Err(BadForm::missing("member"));
    }
    Ok(Addition { organization, seats, terms: Terms::take(&mut filled) })
}

/// A user's place in an organization, and its budget there where the terms say something of it. `role` is one of an
/// organization's.
///
/// # Errors
/// Where the terms cannot be read.
pub fn seat(
    organization: &str,
    user: &str,
    role: &str,
    terms: &Terms,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let id = member_id(organization, user);
    let mut document = Document::default();
    set(&mut document, "id", Value::from(id.as_str()));
    set(&mut document, "organization_id", Value::from(organization));
    set(&mut document, "user_id", Value::from(user));
    set(&mut document, "user_role", Value::from(role));
    let budget: Option<Draft> = if terms.is_empty() { None } else { Some(terms.clone().budget(context)?) };
    if let Some(budget) = &budget {
        set(&mut document, "budget_id", Value::from(budget.id.as_str()));
    }
    sign(&mut document, context);
    budget::together((Kind::OrganizationMember, &id, document), budget)
}

/// Reads whom `/organization/member_update` is about.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn member_subject(body: &Map<String, Value>, context: &Context<'_>) -> Result<Place, BadForm> {
    let mut filled = UPDATE.read(On::Change, body, context)?;
    Ok(Place { group: filled.take_needed("organization_id")?, who: Who::take(&mut filled)? })
}

/// Reads `/organization/member_delete`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn removal(body: &Map<String, Value>, context: &Context<'_>) -> Result<Place, BadForm> {
    let mut filled = REMOVE.read(On::Change, body, context)?;
    Ok(Place { group: filled.take_needed("organization_id")?, who: Who::take(&mut filled)? })
}

/// A place in an organization, changed (`/organization/member_update`).
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn change_member(
    id: &str,
    document: &Document,
    own_budget: Own<'_>,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let mut filled = UPDATE.read(On::Change, body, context)?;
    member::changed((Kind::OrganizationMember, id, document), own_budget, &mut filled, context)
}
