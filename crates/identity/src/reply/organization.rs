//! The replies of `/organization/*`. LiteLLM has them behind a licence: they are as its response models say.

use super::From::{Always, Date, Given, Id, Member, ModelSpend, Spend};
use super::Or::{List, Null, Object};
use super::{Amounts, Clock, Source, Table, budget};
use crate::record::Record;
use serde_json::{Value, json};

/// `LiteLLM_OrganizationTable`, up to where its members are told.
const ORGANIZATION: &Table = &[
    ("organization_id", Id),
    ("organization_alias", Member(Null)),
    ("budget_id", Member(Null)),
    ("spend", Spend),
    ("metadata", Member(Object)),
    ("models", Member(List)),
    ("model_spend", ModelSpend),
    ("created_by", Member(Null)),
    ("updated_by", Member(Null)),
    ("users", Given(Null)),
    ("litellm_budget_table", Given(Null)),
    ("object_permission", Always(Null)),
    ("object_permission_id", Always(Null)),
];
const BELONGINGS: &Table = &[("members", Given(List)), ("teams", Given(List))];
const DATES: &Table = &[("created_at", Date), ("updated_at", Date)];

/// `LiteLLM_OrganizationMembershipTable`.
const MEMBERSHIP: &Table = &[
    ("user_id", Member(Null)),
    ("organization_id", Member(Null)),
    ("user_role", Member(Null)),
    ("spend", Spend),
    ("budget_id", Member(Null)),
    ("created_at", Date),
    ("updated_at", Date),
    ("user", Given(Null)),
    ("litellm_budget_table", Given(Null)),
    ("user_email", Given(Null)),
];

/// An organization, with what it has spent and the budget that it refers to.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The organization.
    pub organization: &'a Record,
    /// What it has spent.
    pub amounts: &'a Amounts,
    /// The budget of its `budget_id`.
    pub budget: Option<&'a Record>,
}

/// `/organization/new`.
pub fn created(shown: Shown<'_>, clock: &Clock<'_>) -> Value {
    let given = [("litellm_budget_table", shown.budget.map_or(Value::Null, |it| budget::short(it, clock)))];
    let source = Source::new(shown.organization, shown.amounts, clock).given(&given);
    let mut reply = source.object(ORGANIZATION);
    source.write(DATES, &mut reply);
    Value::Object(reply)
}

/// `/organization/update`, `/organization/info`, and each of `/organization/list` and `/organization/delete`: with its members
/// as [`membership`] writes them, and its teams as [`super::team::model`] does.
pub fn row(shown: Shown<'_>, members: &[Value], teams: &[Value], clock: &Clock<'_>) -> Value {
    let given = [
        ("litellm_budget_table", shown.budget.map_or(Value::Null, |it| budget::short(it, clock))),
        ("members", Value::from(members)),
        ("teams", Value::from(teams)),
    ];
    let source = Source::new(shown.organization, shown.amounts, clock).given(&given);
    let mut reply = source.object(ORGANIZATION);
    source.write(BELONGINGS, &mut reply);
    source.write(DATES, &mut reply);
    Value::Object(reply)
}

/// A user's place in an organization.
#[derive(Clone, Copy)]
pub struct Membership<'a> {
    /// The place.
    pub member: &'a Record,
    /// The user.
    pub user: Option<&'a Record>,
    /// What it has spent there.
    pub amounts: &'a Amounts,
    /// The budget of the place's `budget_id`.
    pub budget: Option<&'a Record>,
}

/// `/organization/member_update`, `/organization/member_delete`, and a place within another reply. `user` is the user as [`super::user::model`] writes it,
/// where it is asked for.
pub fn membership(seat: Membership<'_>, user: Option<Value>, clock: &Clock<'_>) -> Value {
    let email = seat.user.and_then(|user| user.text("user_email"));
    let given = [
        ("user", user.unwrap_or_default()),
        ("litellm_budget_table", seat.budget.map_or(Value::Null, |it| budget::short(it, clock))),
        ("user_email", email.map_or(Value::Null, Value::from)),
    ];
    Value::Object(Source::new(seat.member, seat.amounts, clock).given(&given).object(MEMBERSHIP))
}

/// `/organization/member_add`: users as [`super::user::model`] writes them, and places as [`membership`] does.
pub fn members_added(organization: &str, users: &[Value], memberships: &[Value]) -> Value {
    json!({
        "organization_id": organization,
        "updated_users": users,
        "updated_organization_memberships": memberships,
    })
}
