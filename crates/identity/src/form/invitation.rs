//! The bodies of `/invitation/*`: links by which users set their own passwords.

use super::filled::set;
use super::row::{Form, On, Row, Want};
use super::{BadForm, Context, Draft, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};
use tollgate_policy::clock::Wall;

/// Every form of invitations.
pub(super) const FORMS: &[&Form] = &[&NEW, &UPDATE, &DELETE, &CLAIM];

/// How long an invitation can be taken up (LiteLLM's seven days), in microseconds.
const LIFETIME: i64 = 7 * 24 * 60 * 60 * 1_000_000;

static NEW: Form = Form {
    title: "invitation",
    new_routes: &["POST /invitation/new"],
    change_routes: &[],
    groups: &[&[Row::apart("user_id", Want::Text)]],
};

static UPDATE: Form = Form {
    title: "invitation",
    new_routes: &[],
    change_routes: &["POST /invitation/update"],
    groups: &[&[Row::apart("invitation_id", Want::Text), Row::apart("is_accepted", Want::Flag)]],
};

static DELETE: Form = Form {
    title: "deletion of an invitation",
    new_routes: &[],
    change_routes: &["POST /invitation/delete"],
    groups: &[&[Row::apart("invitation_id", Want::Text)]],
};

static CLAIM: Form = Form {
    title: "taking up of an invitation",
    new_routes: &[],
    change_routes: &["POST /onboarding/claim_token"],
    groups: &[&[
        Row::apart("invitation_link", Want::Text),
        Row::apart("user_id", Want::Text),
        Row::apart("password", Want::Text),
    ]],
};

/// A new invitation (`/invitation/new`). Its id is the link, so a fresh id is to be one that nobody guesses.
///
/// # Errors
/// Where it names no user.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<Draft, BadForm> {
    let user = NEW.read(On::New, body, context)?.take_needed("user_id")?;
    let id = (context.fresh)();
    let mut document = Document::default();
    set(&mut document, "id", Value::from(id.as_str()));
    set(&mut document, "user_id", Value::from(user));
    let expires = Wall::from_micros(context.now.micros().saturating_add(LIFETIME));
    set(&mut document, "expires_at", Value::from(expires.rfc3339()));
    sign(&mut document, context);
    Draft::checked(Kind::Invitation, &id, document)
}

/// Reads `/invitation/update`: which invitation, and whether it is accepted.
///
/// # Errors
/// Where one of both is missing.
pub fn acceptance(body: &Map<String, Value>, context: &Context<'_>) -> Result<(String, bool), BadForm> {
    let mut filled = UPDATE.read(On::Change, body, context)?;
    let id = filled.take_needed("invitation_id")?;
    let is_accepted = filled.take_flag("is_accepted").ok_or_else(|| BadForm::missing("is_accepted"))?;
    Ok((id, is_accepted))
}

/// An invitation that is accepted, or no longer.
pub fn accept(id: &str, document: &Document, is_accepted: bool, context: &Context<'_>) -> Draft {
    let mut document = document.clone();
    set(&mut document, "is_accepted", Value::Bool(is_accepted));
    set(&mut document, "accepted_at", if is_accepted { context.stamp() } else { Value::Null });
    touch(&mut document, context);
    Draft { kind: Kind::Invitation, id: id.to_owned(), document }
}

/// Reads `/invitation/delete`.
///
/// # Errors
/// Where it names none.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    DELETE.read(On::Change, body, context)?.take_needed("invitation_id")
}

/// An invitation that somebody takes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The invitation's id.
    pub invitation: String,
    /// Who says that it is theirs.
    pub user: String,
    /// The password that they choose.
    pub password: String,
}

/// Reads `/onboarding/claim_token`.
///
/// # Errors
/// Where something is missing.
pub fn claim(body: &Map<String, Value>, context: &Context<'_>) -> Result<Claim, BadForm> {
    let mut filled = CLAIM.read(On::Change, body, context)?;
    Ok(Claim {
        invitation: filled.take_needed("invitation_link")?,
        user: filled.take_needed("user_id")?,
        password: filled.take_needed("password")?,
    })
}
