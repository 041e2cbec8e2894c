//! `/organization/*`: what teams belong to, and who is in it.

use super::change::Change;
use super::seats::{
    check_neighbor, check_new_user, children, in_order, seen, team_shown, user_named, user_shown,
};
use super::{Desk, Outcome, Problem, Served, asks, looks, paging, teams};
use serde_json::{Map, Value};
use std::sync::Arc;
use tollgate_identity::form::member::Who;
use tollgate_identity::reply::organization::{Membership, Shown};
use tollgate_identity::{Kind, Record, form, member_id, reply};

/// LiteLLM has them behind a licence.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/organization/new", |desk| Box::pin(new(desk)), "Make an organization"),
    asks("PATCH", "/organization/update", |desk| Box::pin(update(desk)), "Change an organization"),
    asks(
        "PATCH",
        "/v2/organization/{organization_id}",
        |desk| Box::pin(update_in_path(desk)),
        "Change an organization",
    ),
    asks(
        "DELETE",
        "/organization/delete",
        |desk| Box::pin(delete(desk)),
        "Delete organizations with all that belongs to them",
    ),
    looks("GET", "/organization/info", info, "An organization"),
    looks("POST", "/organization/info", info_of_many, "Organizations by id"),
    looks("GET", "/organization/list", list, "All organizations"),
    asks(
        "POST",
        "/organization/member_add",
        |desk| Box::pin(member_add(desk)),
        "Take users into an organization",
    ),
    asks(
        "PATCH",
        "/organization/member_update",
        |desk| Box::pin(member_update(desk)),
        "Change a user's place in an organization",
    ),
    asks(
        "DELETE",
        "/organization/member_delete",
        |desk| Box::pin(member_delete(desk)),
        "Take a user out of an organization",
    ),
];

fn user_row(desk: &Desk<'_>, user: &Record) -> Value {
    user_shown(desk, user, |shown| Value::Object(reply::user::model(shown, &desk.clock())))
}

fn place_row(desk: &Desk<'_>, place: &Record) -> Value {
    let person = place.parents.user.as_ref().and_then(|id| desk.known(Kind::User, id));
    let (amounts, budget) = (desk.amounts(place), desk.budget_of(place));
    let (user, budget) = (person.as_deref(), budget.as_deref());
    let seat = Membership { member: place, user, amounts: &amounts, budget };
    reply::organization::membership(seat, user.map(|user| user_row(desk, user)), &desk.clock())
}

fn row(desk: &Desk<'_>, organization: &Record) -> Value {
    let of = (Kind::Organization, &*organization.id);
    let places = in_order(seen(desk, of, Kind::OrganizationMember));
    let members: Vec<Value> = places.iter().map(|place| place_row(desk, place)).collect();
    let teams = in_order(seen(desk, of, Kind::Team));
    let written = |team: &Arc<Record>| {
        team_shown(desk, team, |shown| Value::Object(reply::team::model(shown, &desk.clock())))
    };
    let teams: Vec<Value> = teams.iter().map(written).collect();
    let (amounts, budget) = (desk.amounts(organization), desk.budget_of(organization));
    let shown = Shown { organization, amounts: &amounts, budget: budget.as_deref() };
    reply::organization::row(shown, &members, &teams, &desk.clock())
}

fn find(desk: &Desk<'_>, member: &'static str, id: &str) -> Result<Arc<Record>, Problem> {
    let missing = || format!("Organization not found, passed organization_id={id}");
    desk.find(Kind::Organization, id).map_err(|problem| problem.or_missing(member, missing))
}

async fn new(desk: &Desk<'_>) -> Outcome {
    let drafts = form::organization::new(&desk.body, &desk.context())?;
    let id = drafts.record.id.as_str();
    if desk.known(Kind::Organization, id).is_some() {
        return Err(Problem::Bad("organization_id", format!("Organization={id} already exists")));
    }
    let made = desk.commit_one(Change::new("created").put(drafts, None, None)).await?;
    let (amounts, budget) = (desk.amounts(&made), desk.budget_of(&made));
    let shown = Shown { organization: &made, amounts: &amounts, budget: budget.as_deref() };
    Ok(reply::organization::created(shown, &desk.clock()))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    change(desk, form::organization::subject(&desk.body)?, &desk.body).await
}

async fn update_in_path(desk: &Desk<'_>) -> Outcome {
    change(desk, desk.param("organization_id"), &desk.body).await
}

async fn change(desk: &Desk<'_>, id: &str, body: &Map<String, Value>) -> Outcome {
    let old = find(desk, "organization_id", id)?;
    let budget = desk.own_budget(&old);
    let limits = budget.as_ref().map(|budget| budget.document());
    let own = budget.as_ref().map(|budget| &*budget.id).zip(limits.as_ref());
    let drafts = form::organization::change(&old.id, &old.document(), own, body, &desk.context())?;
    let change = Change::new("updated").put(drafts, Some(&old), budget.as_ref());
    let changed = desk.commit_one(change).await?;
    Ok(row(desk, &changed))
}

/// What goes with an organization: its teams with all that goes with them, its keys, its members with their budgets.
fn belongings(desk: &Desk<'_>, organization: &Record, gone: &mut Vec<Arc<Record>>) {
    let of = (Kind::Organization, &*organization.id);
    for team in children(desk, of, Kind::Team) {
        teams::belongings(desk, &team, gone);
        gone.push(team);
    }
    for place in children(desk, of, Kind::OrganizationMember) {
        gone.extend(desk.own_budget(&place));
        gone.push(place);
    }
    for key in children(desk, of, Kind::Key) {
        // One of a team of the organization has gone with it.
        if !gone.iter().any(|other| other.kind == key.kind && other.id == key.id) {
            gone.push(key);
        }
    }
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let named = form::organization::deletion(&desk.body, &desk.context())?;
    let found: Result<Vec<_>, _> = named.iter().map(|id| find(desk, "organization_ids", id)).collect();
    let found = found?;
    let rows = found.iter().map(|organization| row(desk, organization)).collect();
    let mut gone = Vec::new();
    for organization in &found {
        belongings(desk, organization, &mut gone);
        gone.push(Arc::clone(organization));
    }
    desk.commit(gone.iter().fold(Change::new("deleted"), Change::delete)).await?;
    Ok(rows)
}

fn info(desk: &Desk<'_>) -> Outcome {
    let id = desk.query.get("organization_id");
    let id = id.ok_or_else(|| Problem::Bad("organization_id", "'organization_id' is missing".to_owned()))?;
    let organization = find(desk, "organization_id", id)?;
    Ok(row(desk, &organization))
}

fn info_of_many(desk: &Desk<'_>) -> Outcome {
    let named = form::organization::asked(&desk.body, &desk.context())?;
    let found: Result<Vec<_>, _> = named.iter().map(|id| find(desk, "organizations", id)).collect();
    Ok(found?.iter().map(|organization| row(desk, organization)).collect())
}

fn list(desk: &Desk<'_>) -> Outcome {
    let query = &desk.query;
    let mut organizations = desk.all(Kind::Organization);
    organizations.retain(|organization| {
        let has = |text: &str| organization.name().to_lowercase().contains(&text.to_lowercase());
        query.get("org_id").is_none_or(|id| *organization.id == *id) && query.get("org_alias").is_none_or(has)
    });
    paging::oldest_first(&mut organizations);
    Ok(organizations.iter().map(|organization| row(desk, organization)).collect())
}

/// A user whom nobody has made yet is made, as in LiteLLM.
async fn member_add(desk: &Desk<'_>) -> Outcome {
    let asked = form::organization::addition(&desk.body, &desk.context())?;
    let organization = find(desk, "organization_id", &asked.organization)?;
    let (mut change, mut users) = (Change::new("created"), Vec::new());
    for seat in &asked.seats {
        let user = match user_named(desk, &seat.who) {
            Some(user) => {
                check_neighbor(desk, &user, Some(&organization.id))?;
                user.id.to_string()
            }
            None => {
                let draft = form::user::named(&seat.who, &desk.context())?;
                check_new_user(desk, &draft.id)?;
                let id = draft.id.clone();
                change = change.beside(draft);
                id
            }
        };
        let is_there = desk.known(Kind::OrganizationMember, &member_id(&organization.id, &user)).is_some();
        if is_there || users.contains(&user) {
            let message = format!("User={user} is already a member of organization={}", organization.id);
            return Err(Problem::Bad("member", message));
        }
        let drafts =
            form::organization::seat(&organization.id, &user, &seat.role, &asked.terms, &desk.context())?;
        change = change.put(drafts, None, None);
        users.push(user);
    }
    let made = desk.commit(change).await?;
    let places = made.iter().filter(|record| record.kind == Kind::OrganizationMember);
    let places: Vec<Value> = places.map(|place| place_row(desk, place)).collect();
    let users = users.iter().filter_map(|id| desk.known(Kind::User, id));
    let users: Vec<Value> = users.map(|user| user_row(desk, &user)).collect();
    Ok(reply::organization::members_added(&organization.id, &users, &places))
}

fn find_place(desk: &Desk<'_>, organization: &str, who: &Who) -> Result<Arc<Record>, Problem> {
    find(desk, "organization_id", organization)?;
    let missing = || format!("User is not a member of organization={organization}");
    let user = user_named(desk, who).ok_or_else(|| Problem::Missing("user_id", missing()))?;
    desk.find(Kind::OrganizationMember, &member_id(organization, &user.id))
        .map_err(|problem| problem.or_missing("user_id", missing))
}

async fn member_update(desk: &Desk<'_>) -> Outcome {
    let asked = form::organization::member_subject(&desk.body, &desk.context())?;
    let old = find_place(desk, &asked.group, &asked.who)?;
    let budget = desk.own_budget(&old);
    let limits = budget.as_ref().map(|budget| budget.document());
    let own = budget.as_ref().map(|budget| &*budget.id).zip(limits.as_ref());
    let drafts =
        form::organization::change_member(&old.id, &old.document(), own, &desk.body, &desk.context())?;
    let change = Change::new("updated").put(drafts, Some(&old), budget.as_ref());
    let changed = desk.commit_one(change).await?;
    Ok(place_row(desk, &changed))
}

async fn member_delete(desk: &Desk<'_>) -> Outcome {
    let asked = form::organization::removal(&desk.body, &desk.context())?;
    let place = find_place(desk, &asked.group, &asked.who)?;
    let told = place_row(desk, &place);
    let change = Change::new("deleted").delete(&place);
    let change = desk.own_budget(&place).iter().fold(change, Change::delete);
    desk.commit(change).await?;
    Ok(told)
}
