//! The bodies of `/team/member_*`: a user within a team, and the budget that it has there.
//!
//! A member's limits are in a budget of its own, as LiteLLM keeps them, or in the one that all members of the team share.
//! Leaves finding users by their e-mail to the caller.

use super::filled::{set, set_duration};
use super::row::{Form, On, Row, Want};
use super::{BadForm, Context, Draft, Drafts, Filled, sign, touch};
use crate::directory::member_id;
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of members.
pub(super) const FORMS: &[&Form] = &[&ADD, &BULK_ADD, &UPDATE, &DELETE];

/// Roles of a member.
pub(super) const ROLES: Want = Want::Words(&["admin", "user"]);

static ADD: Form = Form {
    title: "member of a team",
    new_routes: &["POST /team/member_add"],
    change_routes: &[],
    groups: &[&[
        Row::apart("team_id", Want::Text),
        Row::apart("member", Want::Objects),
        Row::apart("max_budget_in_team", Want::Money),
        Row::apart("budget_duration", Want::Cadence),
        Row::apart("allowed_models", Want::Texts),
    ]],
};

static BULK_ADD: Form = Form {
    title: "members of a team",
    new_routes: &["POST /team/bulk_member_add"],
    change_routes: &[],
    groups: &[&[
        Row::apart("team_id", Want::Text),
        Row::apart("members", Want::Objects),
        Row::apart("all_users", Want::Flag),
        Row::apart("max_budget_in_team", Want::Money),
    ]],
};

static UPDATE: Form = Form {
    title: "member of a team",
    new_routes: &[],
    change_routes: &["POST /team/member_update"],
    groups: &[&[
        Row::apart("team_id", Want::Text),
        Row::apart("user_id", Want::Text),
        Row::apart("user_email", Want::Text),
        Row::apart("role", ROLES),
        Row::apart("max_budget_in_team", Want::Money),
        Row::apart("budget_duration", Want::Cadence),
        Row::apart("rpm_limit", Want::Count),
        Row::apart("tpm_limit", Want::Count),
        Row::apart("allowed_models", Want::Texts),
        Row::apart("temp_budget_increase", Want::Money),
        Row::apart("temp_budget_expiry", Want::Time),
    ]],
};

static DELETE: Form = Form {
    title: "removal of a member of a team",
    new_routes: &[],
    change_routes: &["POST /team/member_delete"],
    groups: &[&[
        Row::apart("team_id", Want::Text),
        Row::apart("user_id", Want::Text),
        Row::apart("user_email", Want::Text),
    ]],
};

/// What a member's terms are called in its form, and in the budget that they become.
const TERMS: &[(&str, &str)] = &[
    ("max_budget_in_team", "max_budget"),
    ("max_budget_in_organization", "max_budget"),
    ("budget_duration", "budget_duration"),
    ("rpm_limit", "rpm_limit"),
    ("tpm_limit", "tpm_limit"),
    ("allowed_models", "allowed_models"),
    ("temp_budget_increase", "temp_budget_increase"),
    ("temp_budget_expiry", "temp_budget_expiry"),
];
/// What the terms of all members are called in their team's form.
const MEMBERS_TERMS: &[(&str, &str)] = &[
    ("team_member_budget", "max_budget"),
    ("team_member_budget_duration", "budget_duration"),
    ("team_member_rpm_limit", "rpm_limit"),
    ("team_member_tpm_limit", "tpm_limit"),
];

/// Who someone is: by id, by e-mail, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Who {
    /// `user_id`.
    pub id: Option<String>,
    /// `user_email`.
    pub email: Option<String>,
}

impl Who {
    /// # Errors
    /// Where neither is given.
    pub(super) fn take(filled: &mut Filled) -> Result<Self, BadForm> {
        let who = Self { id: filled.take_text("user_id"), email: filled.take_text("user_email") };
        if who.id.is_none() && who.email.is_none() {
            return Err(BadForm::missing("user_id"));
        }
        Ok(who)
    }
}

/// Somebody's place in a team or an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Whose.
    pub who: Who,
    /// What they are there: of a team `admin` or `user`.
    pub role: String,
}

/// A seat's own members, read by a row's form.
pub(super) static SEAT: Form = Form {
    title: "each member of a team",
    new_routes: &["POST /team/new", "POST /team/member_add", "POST /team/bulk_member_add"],
    change_routes: &[],
    groups: &[&[
        Row::apart("user_id", Want::Text),
        Row::apart("user_email", Want::Text),
        Row::apart("role", ROLES),
        Row::unsupported("user_alias", "is the user's: POST /user/update sets it"),
    ]],
};

/// Reads seats. `place` is the member that they lie in.
pub(super) fn seats(
    form: &'static Form,
    place: &str,
    list: Option<&Value>,
    context: &Context<'_>,
) -> Result<Vec<Seat>, BadForm> {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let seat = |(at, item): (usize, &Value)| {
        let within = |mut bad: BadForm| {
            bad.member = format!("{place}[{at}].{}", bad.member);
            bad
        };
        let item = item.as_object().cloned().unwrap_or_default();
        let mut filled = form.read(On::New, &item, context).map_err(within)?;
        let role = filled.take_needed("role").map_err(within)?;
        Ok(Seat { who: Who::take(&mut filled).map_err(within)?, role })
    };
    items.iter().enumerate().map(seat).collect()
}

/// What of a member's budget a form says.
#[derive(Debug, Clone, Default)]
pub struct Terms(Vec<(&'static str, Value)>);

impl Terms {
    /// What a form says of one member's budget.
    pub(super) fn take(filled: &mut Filled) -> Self {
        Self::take_by(TERMS, filled)
    }

    /// What a team's form says of the budget of all its members.
    pub(super) fn take_of_members(filled: &mut Filled) -> Self {
        Self::take_by(MEMBERS_TERMS, filled)
    }

    fn take_by(rows: &'static [(&'static str, &'static str)], filled: &mut Filled) -> Self {
        let take = |row: &(&'static str, &'static str)| filled.take(row.0).map(|value| (row.1, value));
        Self(rows.iter().filter_map(take).collect())
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, value)| value.is_null())
    }

    /// Whether nothing is said, not even that something is as it was.
    pub fn is_absent(&self) -> bool {
        self.0.is_empty()
    }

    fn write(self, budget: &mut Document, context: &Context<'_>) {
        for (name, value) in self.0 {
            match name {
                "budget_duration" => set_duration(budget, value, context),
                _ => set(budget, name, value),
            }
        }
    }

    /// The models of a member that they give.
    fn models(&self) -> Option<Value> {
        self.0.iter().find(|row| row.0 == "allowed_models").map(|row| row.1.clone())
    }

    /// A new budget.
    pub(super) fn budget(self, context: &Context<'_>) -> Result<Draft, BadForm> {
        let mut document = Document::default();
        let id = (context.fresh)();
        set(&mut document, "budget_id", Value::from(id.as_str()));
        self.write(&mut document, context);
        sign(&mut document, context);
        Draft::checked(Kind::Budget, &id, document)
    }

    /// A budget that is there, with what they change of it.
    pub(super) fn change(self, id: &str, budget: &Document, context: &Context<'_>) -> Result<Draft, BadForm> {
        let mut document = budget.clone();
        self.write(&mut document, context);
        touch(&mut document, context);
        Draft::checked(Kind::Budget, id, document)
    }
}

/// Members that are to be added.
#[derive(Debug, Clone)]
pub struct Addition {
    /// To which team.
    pub team: String,
    /// Who; every user there is where it is none.
    pub seats: Option<Vec<Seat>>,
    /// What each may spend there.
    pub terms: Terms,
}

/// Reads `/team/member_add`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn addition(body: &Map<String, Value>, context: &Context<'_>) -> Result<Addition, BadForm> {
    let mut filled = ADD.read(On::New, body, context)?;
    let team = filled.take_needed("team_id")?;
    let seats = seats(&SEAT, "member", filled.take("member").as_ref(), context)?;
    if seats.is_empty() {
        return Err(BadForm::missing("member"));
    }
    Ok(Addition { team, seats: Some(seats), terms: Terms::take(&mut filled) })
}

/// Reads `/team/bulk_member_add`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn bulk_addition(body: &Map<String, Value>, context: &Context<'_>) -> Result<Addition, BadForm> {
    let mut filled = BULK_ADD.read(On::New, body, context)?;
    let team = filled.take_needed("team_id")?;
    let are_all = filled.take_flag("all_users").unwrap_or(false);
    let seats = seats(&SEAT, "members", filled.take("members").as_ref(), context)?;
    if seats.is_empty() && !are_all {
        return Err(BadForm::missing("members"));
    }
    Ok(Addition { team, seats: (!are_all).then_some(seats), terms: Terms::take(&mut filled) })
}

/// A user's place in a team. `place` is which of those who are added at once it is, from 0 on. `shared` is the budget of the
/// team's members, which it has where the terms say nothing.
///
/// # Errors
/// Where the terms cannot be read.
pub fn new(
    team: (&str, &Document),
    user: &str,
    (seat, place): (&Seat, usize),
    terms: &Terms,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let mut document = Document::default();
    set(&mut document, "id", Value::from(member_id(team.0, user)));
    set(&mut document, "team_id", Value::from(team.0));
    set(&mut document, "user_id", Value::from(user));
    set(&mut document, "role", Value::from(seat.role.as_str()));
    if place > 0 {
        set(&mut document, "place", Value::from(place));
    }
    let usual = || team.1.get("default_team_member_models").cloned().unwrap_or_default();
    set(&mut document, "models", terms.models().unwrap_or_else(usual));
    let budget = if terms.is_empty() {
        let shared = team.1.metadata(super::filled::MEMBERS_BUDGET);
        set(&mut document, "budget_id", shared.cloned().unwrap_or_default());
        None
    } else {
        let budget = terms.clone().budget(context)?;
        set(&mut document, "budget_id", Value::from(budget.id.as_str()));
        Some(budget)
    };
    sign(&mut document, context);
    let record = Draft::checked(Kind::Member, &member_id(team.0, user), document)?;
    Ok(Drafts { record, others: budget.into_iter().collect() })
}

/// A member that is to be changed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Of which team or organization.
    pub group: String,
    /// Who.
    pub who: Who,
}

/// Reads whom `/team/member_update` is about.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn subject(body: &Map<String, Value>, context: &Context<'_>) -> Result<Place, BadForm> {
    let mut filled = UPDATE.read(On::Change, body, context)?;
    Ok(Place { group: filled.take_needed("team_id")?, who: Who::take(&mut filled)? })
}

/// Reads `/team/member_delete`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn removal(body: &Map<String, Value>, context: &Context<'_>) -> Result<Place, BadForm> {
    let mut filled = DELETE.read(On::Change, body, context)?;
    Ok(Place { group: filled.take_needed("team_id")?, who: Who::take(&mut filled)? })
}

/// A member, changed (`/team/member_update`). `own_budget` is its budget where nobody else has the same.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn change(
    id: &str,
    document: &Document,
    own_budget: Option<(&str, &Document)>,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let mut filled = UPDATE.read(On::Change, body, context)?;
    changed((Kind::Member, id, document), own_budget, &mut filled, context)
}

/// A member of a team or an organization, changed.
pub(super) fn changed(
    (kind, id, document): (Kind, &str, &Document),
    own_budget: Option<(&str, &Document)>,
    filled: &mut Filled,
    context: &Context<'_>,
) -> Result<Drafts, BadForm> {
    let mut document = document.clone();
    if let Some(role) = filled.take_text("role") {
        let name = if kind == Kind::Member { "role" } else { "user_role" };
        set(&mut document, name, Value::from(role));
    }
    let terms = Terms::take(filled);
    if let Some(models) = terms.models() {
        set(&mut document, "models", models);
    }
    let budget = match own_budget {
        _ if terms.is_absent() => None,
        Some((id, budget)) => Some(terms.change(id, budget, context)?),
        None if terms.is_empty() => None,
        None => Some(terms.budget(context)?),
    };
    if let Some(budget) = &budget {
        set(&mut document, "budget_id", Value::from(budget.id.as_str()));
    }
    touch(&mut document, context);
    Ok(Drafts { record: Draft::checked(kind, id, document)?, others: budget.into_iter().collect() })
}

/// A member with the budget that all of its team share, or without one (`/team/{team_id}/member/{user_id}/reset_budget`).
///
/// # Errors
/// Where its document cannot be read.
pub fn with_shared_budget(
    id: &str,
    document: &Document,
    team: &Document,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut document = document.clone();
    let shared = team.metadata(super::filled::MEMBERS_BUDGET);
    set(&mut document, "budget_id", shared.cloned().unwrap_or_default());
    touch(&mut document, context);
    Draft::checked(Kind::Member, id, document)
}
