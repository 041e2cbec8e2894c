//! The bodies of `/team/*`, other than those of its members.

use super::filled::{MEMBERS_BUDGET, set, set_metadata};
use super::member::{self, Seat, Terms, Who};
use super::row::{Form, On, Row, Want, shared};
use super::{BadForm, Context, Draft, named, sign, touch};
use crate::document::Document;
use crate::kind::Kind;
use serde_json::{Map, Value};

/// Every form of teams.
pub(super) const FORMS: &[&Form] = &[&TEAM, &MODELS, &PERMISSIONS_FORM, &BULK_PERMISSIONS, &BLOCK, &DELETE];

/// What members of a team may be allowed to do beside what everyone may (LiteLLM's routes, in its order).
pub const PERMISSIONS: &[&str] = &[
    "/key/generate",
    "/key/update",
    "/key/delete",
    "/key/info",
    "/key/regenerate",
    "/key/service-account/generate",
    "/key/{key_id}/regenerate",
    "/key/list",
    "/key/block",
    "/key/unblock",
    "/key/bulk_update",
    "/team/key/bulk_update",
    "/team/daily/activity",
    "/team/daily/activity/aggregated",
    "/team/daily/activity/aggregated/keys",
    "/team/daily/activity/aggregated/search",
    "/team/daily/activity/aggregated/model_top_keys",
    "/team/daily/activity/export",
    "/spend/logs",
    "/spend/logs/v2",
    "/key/{key_id}/reset_spend",
    "/key/aliases",
    "/key/access_group_assignment",
    "/auto_router/manage",
];

/// What who administers a team may change of it (`caller_edit_access` of LiteLLM's replies): what it is, and how it shares
/// among its members what it was given. What it was given is changed by those who gave it.
pub const ADMIN_FIELDS: &[&str] = &[
    "team_alias",
    "metadata",
    "default_team_member_models",
    "team_member_budget",
    "team_member_budget_duration",
    "team_member_rpm_limit",
    "team_member_tpm_limit",
];

const RATE_TYPES: Want = Want::Words(&["guaranteed_throughput", "best_effort_throughput"]);

const OWN: &[Row] = &[
    Row::apart("team_id", Want::Text),
    Row::acts("team_alias", Want::Text),
    Row::acts("organization_id", Want::Text),
    Row::apart("members_with_roles", Want::Objects).new_only(),
    Row::apart("admins", Want::Texts).new_only(),
    Row::apart("members", Want::Texts).new_only(),
    Row::apart("team_member_permissions", Want::Texts).new_only(),
    Row::acts("models", Want::Texts),
    Row::acts("model_aliases", Want::Names),
    Row::acts("default_team_member_models", Want::Texts),
    Row::acts("access_group_ids", Want::Texts),
    Row::acts("blocked", Want::Flag).by_admins(),
    Row::acts("budget_limits", Want::Windows),
    Row::acts("metadata", Want::Object),
    Row::acts("tags", Want::Texts).in_metadata(),
    Row::apart("team_member_budget", Want::Money),
    Row::apart("team_member_budget_duration", Want::Cadence),
    Row::apart("team_member_rpm_limit", Want::Count),
    Row::apart("team_member_tpm_limit", Want::Count),
    shared::SPEND,
    Row::stored("router_settings", Want::Object),
    Row::stored("rpm_limit_type", RATE_TYPES).in_metadata(),
    Row::stored("tpm_limit_type", RATE_TYPES).in_metadata(),
    Row::acts("team_member_key_duration", Want::Lifetime).in_metadata(),
    Row::unsupported("secret_manager_settings", "is not supported: keys are kept here and nowhere else"),
    Row::unsupported("enforced_batch_output_expires_after", NO_FILES),
    Row::unsupported("enforced_file_expires_after", NO_FILES),
];
const NO_FILES: &str = "is not supported: files are the provider's";

static TEAM: Form = Form {
    title: "team",
    new_routes: &["POST /team/new"],
    change_routes: &["POST /team/update", "PATCH /team/{team_id}"],
    groups: &[
        OWN,
        shared::BUDGET,
        shared::RATES,
        shared::MODEL_RATES,
        shared::INCREASE,
        shared::KEPT,
        shared::UNHELD,
    ],
};

static MODELS: Form = Form {
    title: "models of a team",
    new_routes: &[],
    change_routes: &["POST /team/model/add", "POST /team/model/delete"],
    groups: &[&[Row::apart("team_id", Want::Text), Row::apart("models", Want::Texts)]],
};

static PERMISSIONS_FORM: Form = Form {
    title: "what members of a team may do",
    new_routes: &[],
    change_routes: &["POST /team/permissions_update"],
    groups: &[&[Row::apart("team_id", Want::Text), Row::apart("team_member_permissions", Want::Texts)]],
};

static BULK_PERMISSIONS: Form = Form {
    title: "what members of several teams may do beside what they may",
    new_routes: &[],
    change_routes: &["POST /team/permissions_bulk_update"],
    groups: &[&[
        Row::apart("permissions", Want::Texts),
        Row::apart("team_ids", Want::Texts),
        Row::apart("apply_to_all_teams", Want::Flag),
    ]],
};

static BLOCK: Form = Form {
    title: "blocking of a team",
    new_routes: &[],
    change_routes: &["POST /team/block", "POST /team/unblock"],
    groups: &[&[Row::apart("team_id", Want::Text)]],
};

static DELETE: Form = Form {
    title: "deletion of teams",
    new_routes: &[],
    change_routes: &["POST /team/delete"],
    groups: &[&[Row::apart("team_ids", Want::Texts)]],
};

/// A team, with what comes with it.
#[derive(Debug, Clone)]
pub struct Team {
    /// The team.
    pub team: Draft,
    /// The budget that its members share, where the body says something of it.
    pub budget: Option<Draft>,
    /// Who are its members from the start. Who made it is its admin.
    pub seats: Vec<Seat>,
}

/// A new team (`/team/new`).
///
/// # Errors
/// The first member that is unknown, wrong, forbidden or unsupported.
pub fn new(body: &Map<String, Value>, context: &Context<'_>) -> Result<Team, BadForm> {
    new_with_defaults(body, &Map::new(), context)
}

/// The same, which has of the operator's defaults what the body does not say.
///
/// # Errors
/// As for [`new`].
pub fn new_with_defaults(
    body: &Map<String, Value>,
    defaults: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Team, BadForm> {
    let mut filled = TEAM.read_with_defaults(body, defaults, context)?;
    let id = filled.take_text("team_id").unwrap_or_else(|| (context.fresh)());
    let mut seats = member::seats(
        &member::SEAT,
        "members_with_roles",
        filled.take("members_with_roles").as_ref(),
        context,
    )?;
    for (list, role) in [("admins", "admin"), ("members", "user")] {
        for user in filled.take_texts(list) {
            seat(&mut seats, user, role);
        }
    }
    seat(&mut seats, context.actor.to_owned(), "admin");
    let mut document = Document::default();
    set(&mut document, "team_id", Value::from(id.as_str()));
    let permissions = filled.take_texts("team_member_permissions");
    permit(&mut document, &permissions, "team_member_permissions")?;
    let terms = Terms::take_of_members(&mut filled);
    filled.fill(&mut document, context)?;
    let budget = if terms.is_empty() { None } else { Some(terms.budget(context)?) };
    if let Some(budget) = &budget {
        set_metadata(&mut document, MEMBERS_BUDGET, Value::from(budget.id.as_str()));
    }
    sign(&mut document, context);
    Ok(Team { team: Draft::checked(Kind::Team, &id, document)?, budget, seats })
}

fn seat(seats: &mut Vec<Seat>, user: String, role: &str) {
    if !seats.iter().any(|seat| seat.who.id.as_ref() == Some(&user)) {
        seats.push(Seat { who: Who { id: Some(user), email: None }, role: role.to_owned() });
    }
}

/// The team that a body asks to be changed.
///
/// # Errors
/// Where it names none.
pub fn subject(body: &Map<String, Value>) -> Result<&str, BadForm> {
    named(body, "team_id")
}

/// A team, changed (`/team/update`, `PATCH /team/{team_id}`). `members_budget` is the budget that its members share, where
/// there is one. The seats are none.
///
/// # Errors
/// The first member that is unknown, wrong, forbidden or unsupported.
pub fn change(
    id: &str,
    document: &Document,
    members_budget: Option<(&str, &Document)>,
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<Team, BadForm> {
    let mut filled = TEAM.read_over(On::Change, body, document, context)?;
    if filled.take_text("team_id").is_some_and(|named| named != id) {
        return Err(BadForm::wrong("team_id", "is not the team that the path names"));
    }
    filled.hold(&[&["tags"]], document, context)?;
    let terms = Terms::take_of_members(&mut filled);
    let mut document = document.clone();
    filled.fill(&mut document, context)?;
    let budget = match members_budget {
        _ if terms.is_absent() => None,
        Some((id, budget)) => Some(terms.change(id, budget, context)?),
        None if terms.is_empty() => None,
        None => Some(terms.budget(context)?),
    };
    if let Some(budget) = &budget {
        set_metadata(&mut document, MEMBERS_BUDGET, Value::from(budget.id.as_str()));
    }
    touch(&mut document, context);
    Ok(Team { team: Draft::checked(Kind::Team, id, document)?, budget, seats: Vec::new() })
}

/// Refuses a change of a team that is not its administrators' to make.
///
/// # Errors
/// The first member that they may not change.
pub fn hold_to_admin_fields(before: &Document, after: &Document) -> Result<(), BadForm> {
    const SIGNED: &[&str] = &["updated_at", "updated_by", "budget_began_at"];
    let differs = |before: &Document, after: &Document, may: &dyn Fn(&str) -> bool| {
        let mut names = before.0.keys().chain(after.0.keys());
        names.find(|name| before.0.get(*name) != after.0.get(*name) && !may(name)).cloned()
    };
    let may = |name: &str| ADMIN_FIELDS.contains(&name) || SIGNED.contains(&name);
    if let Some(name) = differs(before, after, &may) {
        return Err(BadForm::forbidden(name));
    }
    // What has a row acts within metadata too, or is read there.
    let own = |document: &Document| match document.get("metadata") {
        Some(Value::Object(members)) => Document(members.clone()),
        _ => Document::default(),
    };
    let is_plain = |name: &str| ADMIN_FIELDS.contains(&name) || TEAM.rows().all(|row| row.name != name);
    differs(&own(before), &own(after), &is_plain).map_or(Ok(()), |name| Err(BadForm::forbidden(name)))
}

/// A list of a team that changes: its models, or what its members may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The team.
    pub team: String,
    /// What is listed.
    pub items: Vec<String>,
}

/// Reads `/team/model/add` and `/team/model/delete`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn models(body: &Map<String, Value>, context: &Context<'_>) -> Result<Listed, BadForm> {
    let mut filled = MODELS.read(On::Change, body, context)?;
    let team = filled.take_needed("team_id")?;
    if filled.get("models").is_none_or(Value::is_null) {
        return Err(BadForm::missing("models"));
    }
    Ok(Listed { team, items: filled.take_texts("models") })
}

/// A team with more models.
///
/// # Errors
/// Where its document cannot be read.
pub fn with_models(
    id: &str,
    document: &Document,
    models: &[String],
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut list: Vec<&str> =
        document.texts("models").filter(|model| *model != "no-default-models").collect();
    for model in models {
        if !list.contains(&model.as_str()) {
            list.push(model);
        }
    }
    listed(id, document, "models", Value::from(list), context)
}

/// A team with fewer models. One that had some and has none left may use none: no list at all would be every model.
///
/// # Errors
/// Where its document cannot be read.
pub fn without_models(
    id: &str,
    document: &Document,
    models: &[String],
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let had_some = document.texts("models").next().is_some();
    let mut list: Vec<&str> =
        document.texts("models").filter(|model| !models.iter().any(|gone| gone == model)).collect();
    if list.is_empty() && had_some {
        list.push("no-default-models");
    }
    listed(id, document, "models", Value::from(list), context)
}

fn listed(
    id: &str,
    document: &Document,
    name: &str,
    list: Value,
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut document = document.clone();
    set(&mut document, name, list);
    touch(&mut document, context);
    Draft::checked(Kind::Team, id, document)
}

/// Reads `/team/permissions_update`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn permissions(body: &Map<String, Value>, context: &Context<'_>) -> Result<Listed, BadForm> {
    let mut filled = PERMISSIONS_FORM.read(On::Change, body, context)?;
    let team = filled.take_needed("team_id")?;
    if filled.get("team_member_permissions").is_none_or(Value::is_null) {
        return Err(BadForm::missing("team_member_permissions"));
    }
    Ok(Listed { team, items: filled.take_texts("team_member_permissions") })
}

/// A team whose members may do this.
///
/// # Errors
/// Where something is listed that nobody can be allowed.
pub fn with_permissions(
    id: &str,
    document: &Document,
    permissions: &[String],
    context: &Context<'_>,
) -> Result<Draft, BadForm> {
    let mut document = document.clone();
    permit(&mut document, permissions, "team_member_permissions")?;
    touch(&mut document, context);
    Draft::checked(Kind::Team, id, document)
}

fn permit(document: &mut Document, permissions: &[String], member: &str) -> Result<(), BadForm> {
    if permissions.iter().any(|permission| !PERMISSIONS.contains(&permission.as_str())) {
        return Err(BadForm::wrong(
            member,
            "has one that there is not: GET /team/permissions_list lists them",
        ));
    }
    set(document, "team_member_permissions", Value::from(permissions));
    Ok(())
}

/// What is added to what members of several teams may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkPermissions {
    /// What.
    pub permissions: Vec<String>,
    /// The teams; none for all.
    pub teams: Option<Vec<String>>,
}

/// Reads `/team/permissions_bulk_update`.
///
/// # Errors
/// The first member that is unknown, missing or wrong.
pub fn bulk_permissions(
    body: &Map<String, Value>,
    context: &Context<'_>,
) -> Result<BulkPermissions, BadForm> {
    let mut filled = BULK_PERMISSIONS.read(On::Change, body, context)?;
    let permissions = filled.take_texts("permissions");
    permit(&mut Document::default(), &permissions, "permissions")?;
    let teams = filled.take_texts("team_ids");
    match (permissions.is_empty(), teams.is_empty(), filled.take_flag("apply_to_all_teams").unwrap_or(false))
    {
        (true, ..) => Err(BadForm::missing("permissions")),
        (_, true, false) => Err(BadForm::missing("team_ids")),
        (_, false, true) => Err(BadForm::wrong("team_ids", "cannot be given beside apply_to_all_teams")),
        (_, _, are_all) => Ok(BulkPermissions { permissions, teams: (!are_all).then_some(teams) }),
    }
}

/// Reads `/team/block` and `/team/unblock`.
///
/// # Errors
/// Where it names no team.
pub fn blocking(body: &Map<String, Value>, context: &Context<'_>) -> Result<String, BadForm> {
    BLOCK.read(On::Change, body, context)?.take_needed("team_id")
}

/// A team, blocked or let through again (`/team/block`, `/team/unblock`).
pub fn block(id: &str, document: &Document, is_blocked: bool, context: &Context<'_>) -> Draft {
    Draft { kind: Kind::Team, id: id.to_owned(), document: super::block(document, is_blocked, context) }
}

/// Reads `/team/delete`.
///
/// # Errors
/// Where it names no teams.
pub fn deletion(body: &Map<String, Value>, context: &Context<'_>) -> Result<Vec<String>, BadForm> {
    DELETE.read(On::Change, body, context)?.take_some("team_ids")
}
