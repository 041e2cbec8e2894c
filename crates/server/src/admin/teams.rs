//! `/team/*`: teams, what they may use, and who sees them.
//!
//! Leaves their members to `members`. **Invariant:** who administers a team changes nothing of what it was given: its
//! budget, its limits, its models.

use super::change::Change;
use super::seats::{Seating, children, find_team, in_order, own_budget, seen, shared_budget_id, team_shown};
use super::{Desk, Outcome, Problem, Served, asks, keys, looks, paging, spent};
use serde_json::Value;
use std::sync::Arc;
use tollgate_identity::form::{self, Context, Draft};
use tollgate_identity::reply::team::{About, Edit};
use tollgate_identity::reply::{self};
use tollgate_identity::{Kind, Record, member_id};

/// The routes of teams, but those of their members.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/team/new", |desk| Box::pin(create(desk)), "Make a team"),
    asks("POST", "/team/update", |desk| Box::pin(update(desk)), "Change a team"),
    asks("PATCH", "/team/{team_id}", |desk| Box::pin(patch(desk)), "Change a team"),
    asks("POST", "/team/delete", |desk| Box::pin(delete(desk)), "Delete teams with their keys"),
    asks("POST", "/team/block", |desk| Box::pin(block(desk, true)), "Block a team"),
    asks("POST", "/team/unblock", |desk| Box::pin(block(desk, false)), "Let a blocked team through again"),
    asks("POST", "/team/model/add", |desk| Box::pin(add_models(desk)), "Let a team use more models"),
    asks("POST", "/team/model/delete", |desk| Box::pin(remove_models(desk)), "Let a team use fewer models"),
    asks(
        "POST",
        "/team/permissions_update",
        |desk| Box::pin(permit(desk)),
        "Say what members of a team may do",
    ),
    asks(
        "POST",
        "/team/permissions_bulk_update",
        |desk| Box::pin(permit_in_bulk(desk)),
        "Let members of teams do more",
    ),
    looks("GET", "/team/permissions_list", permissions, "What members of a team may do"),
    looks("GET", "/team/info", info, "A team"),
    looks("GET", "/team/list", list, "All teams"),
    looks("GET", "/v2/team/list", list_in_pages, "All teams, in pages"),
    looks("GET", "/team/available", available, "Teams that one may join"),
];

/// The most teams of one page, as LiteLLM has it.
const PAGE_MAX: usize = 100;

/// What forms need to know of a team in this organization: who administers a team is no administrator of what it has.
fn context<'a>(desk: &'a Desk<'_>, organization: Option<&str>) -> Context<'a> {
    Context { is_admin: gives(desk, organization), ..desk.context() }
}

/// Whether who asks gives teams of this organization what they have.
fn gives(desk: &Desk<'_>, organization: Option<&str>) -> bool {
    desk.actor.is_admin() || organization.is_some_and(|id| desk.actor.administers_organization(id))
}

/// Refuses an organization that is not there, or not for who asks to put a team in, or to take one out to nowhere.
fn check_organization(desk: &Desk<'_>, draft: &Draft) -> Result<(), Problem> {
    let organization = draft.document.text("organization_id");
    if !gives(desk, organization) {
        return Err(Problem::not_allowed(&desk.actor, desk.row.path));
    }
    match organization.filter(|id| desk.known(Kind::Organization, id).is_none()) {
        Some(id) => Err(Problem::Missing("organization_id", format!("Organization={id} not found"))),
        None => Ok(()),
    }
}

async fn create(desk: &Desk<'_>) -> Outcome {
    let usual = &desk.new_records().teams;
    let of = |body: &serde_json::Map<String, Value>| {
        body.get("organization_id").and_then(Value::as_str).map(str::to_owned)
    };
    let organization = of(&desk.body).or_else(|| of(usual));
    let context = context(desk, organization.as_deref());
    let made = form::team::new_with_defaults(&desk.body, usual, &context)?;
    let team = made.team;
    if desk.known(Kind::Team, &team.id).is_some() {
        let message = format!("Team id = {} already exists. Please use a different team id.", team.id);
        return Err(Problem::Bad("team_id", message));
    }
    check_organization(desk, &team)?;
    let mut seating = Seating::new(Change::new("created").make(team.clone()));
    if let Some(budget) = made.budget {
        seating = seating.with(|change| change.beside(budget));
    }
    for (place, seat) in made.seats.iter().enumerate() {
        seating = seating.seat_beside(desk, (&team.id, &team.document), (seat, place))?;
    }
    let made = desk.commit_one(seating.into_change().0).await?;
    Ok(model(desk, &made))
}

fn model(desk: &Desk<'_>, team: &Record) -> Value {
    team_shown(desk, team, |shown| Value::Object(reply::team::model(shown, &desk.clock())))
}

fn row(desk: &Desk<'_>, team: &Record) -> Value {
    team_shown(desk, team, |shown| reply::team::row(shown, &desk.clock()))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let changed = change(desk, form::team::subject(&desk.body)?).await?;
    Ok(team_shown(desk, &changed, |shown| reply::team::updated(shown, &desk.clock())))
}

async fn patch(desk: &Desk<'_>) -> Outcome {
    Ok(model(desk, &*change(desk, desk.param("team_id")).await?))
}

async fn change(desk: &Desk<'_>, id: &str) -> Result<Arc<Record>, Problem> {
    let old = find_team(desk, id)?;
    let gives = gives(desk, old.parents.organization.as_deref());
    let context = Context { is_admin: gives, ..desk.context() };
    let shared = shared_budget_id(&old.document()).and_then(|id| desk.known(Kind::Budget, id));
    let limits = shared.as_ref().map(|budget| budget.document());
    let of_members = shared.as_ref().map(|budget| &*budget.id).zip(limits.as_ref());
    let made = form::team::change(&old.id, &old.document(), of_members, &desk.body, &context)?;
    let spend = spent::asked(desk, &desk.body)?;
    if !gives {
        form::team::hold_to_admin_fields(&old.document(), &made.team.document)?;
    }
    if made.team.document.text("organization_id") != old.parents.organization.as_deref() {
        check_organization(desk, &made.team)?;
    }
    let mut change = Change::new("updated").replace(&old, made.team.clone());
    match (made.budget, shared) {
        (Some(budget), Some(shared)) if *shared.id == *budget.id => change = change.replace(&shared, budget),
        (Some(budget), _) => {
            change = change.beside(budget);
            // Those who had none have it from now on.
            for member in children(desk, (Kind::Team, &old.id), Kind::Member) {
                if member.parents.budget.is_none() {
                    let document = &made.team.document;
                    let draft =
                        form::member::with_shared_budget(&member.id, &member.document(), document, &context)?;
                    change = change.replace(&member, draft);
                }
            }
        }
        (None, _) => {}
    }
    let changed = desk.commit_one(change).await?;
    spent::set_if_asked(desk, changed, spend).await
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let mut asked = form::team::deletion(&desk.body, &desk.context())?;
    let mut seen = Vec::new();
    asked.retain(|id| {
        !seen.contains(id) && {
            seen.push(id.clone());
            true
        }
    });
    let mut gone: Vec<Arc<Record>> = Vec::new();
    for id in &asked {
        let team = find_team(desk, id)?;
        belongings(desk, &team, &mut gone);
        gone.push(team);
    }
    desk.commit(gone.iter().fold(Change::new("deleted"), Change::delete)).await?;
    Ok(reply::team::deleted(&asked))
}

/// What goes with a team: its keys, its members with their budgets, its projects with their keys.
pub(super) fn belongings(desk: &Desk<'_>, team: &Record, gone: &mut Vec<Arc<Record>>) {
    let of = (Kind::Team, &*team.id);
    let mut all = children(desk, of, Kind::Key);
    for project in children(desk, of, Kind::Project) {
        all.extend(children(desk, (Kind::Project, &project.id), Kind::Key));
        all.push(project);
    }
    for member in children(desk, of, Kind::Member) {
        all.extend(own_budget(desk, &member));
        all.push(member);
    }
    all.extend(shared_budget_id(&team.document()).and_then(|id| desk.known(Kind::Budget, id)));
    for record in all {
        if !gone.iter().any(|other| other.kind == record.kind && other.id == record.id) {
            gone.push(record);
        }
    }
}

async fn block(desk: &Desk<'_>, is_blocked: bool) -> Outcome {
    let team = find_team(desk, &form::team::blocking(&desk.body, &desk.context())?)?;
    let draft = form::team::block(&team.id, &team.document(), is_blocked, &desk.context());
    let action = if is_blocked { "blocked" } else { "unblocked" };
    let changed = desk.commit_one(Change::new(action).replace(&team, draft)).await?;
    Ok(row(desk, &changed))
}

async fn add_models(desk: &Desk<'_>) -> Outcome {
    let asked = form::team::models(&desk.body, &desk.context())?;
    let team = find_team(desk, &asked.team)?;
    let draft = form::team::with_models(&team.id, &team.document(), &asked.items, &desk.context())?;
    let changed = desk.commit_one(Change::new("updated").replace(&team, draft)).await?;
    Ok(row(desk, &changed))
}

async fn remove_models(desk: &Desk<'_>) -> Outcome {
    let asked = form::team::models(&desk.body, &desk.context())?;
    let team = find_team(desk, &asked.team)?;
    let draft = form::team::without_models(&team.id, &team.document(), &asked.items, &desk.context())?;
    let changed = desk.commit_one(Change::new("updated").replace(&team, draft)).await?;
    Ok(row(desk, &changed))
}

async fn permit(desk: &Desk<'_>) -> Outcome {
    let asked = form::team::permissions(&desk.body, &desk.context())?;
    let team = find_team(desk, &asked.team)?;
    let draft = form::team::with_permissions(&team.id, &team.document(), &asked.items, &desk.context())?;
    let changed = desk.commit_one(Change::new("updated").replace(&team, draft)).await?;
    Ok(model(desk, &changed))
}

async fn permit_in_bulk(desk: &Desk<'_>) -> Outcome {
    let asked = form::team::bulk_permissions(&desk.body, &desk.context())?;
    let teams = match &asked.teams {
        None => desk.all(Kind::Team),
        Some(ids) => {
            let mut ids: Vec<&String> = ids.iter().collect();
            ids.sort_unstable();
            ids.dedup();
            ids.iter().map(|id| find_team(desk, id)).collect::<Result<_, _>>()?
        }
    };
    let mut change = Change::new("updated");
    for team in &teams {
        let mut list: Vec<String> =
            team.document().texts("team_member_permissions").map(str::to_owned).collect();
        for permission in &asked.permissions {
            if !list.contains(permission) {
                list.push(permission.clone());
            }
        }
        let draft = form::team::with_permissions(&team.id, &team.document(), &list, &desk.context())?;
        change = change.replace(team, draft);
    }
    desk.commit(change).await?;
    Ok(reply::team::permissions_added(&asked.permissions, teams.len()))
}

/// The team that a query names.
fn named(desk: &Desk<'_>) -> Result<Arc<Record>, Problem> {
    let id = desk.query.get("team_id");
    find_team(desk, id.ok_or_else(|| Problem::Bad("team_id", "'team_id' is missing".to_owned()))?)
}

fn permissions(desk: &Desk<'_>) -> Outcome {
    Ok(reply::team::permissions(&*named(desk)?))
}

/// The keys of a team that whoever asks may see, as LiteLLM's rows.
fn key_rows(desk: &Desk<'_>, team: &Record) -> Vec<Value> {
    let keys = in_order(seen(desk, (Kind::Team, &team.id), Kind::Key));
    let row = |key: &Arc<Record>| {
        keys::shown(desk, key, |shown| Value::Object(reply::key::row(shown, &desk.clock())))
    };
    keys.iter().map(row).collect()
}

fn info(desk: &Desk<'_>) -> Outcome {
    let team = named(desk)?;
    let organization = team.parents.organization.as_deref();
    let members_budget = shared_budget_id(&team.document()).and_then(|id| desk.known(Kind::Budget, id));
    let of_organization = organization.and_then(|id| desk.known(Kind::Organization, id));
    let models = of_organization
        .map(|organization| organization.document().texts("models").map(str::to_owned).collect::<Vec<_>>());
    let edit = if gives(desk, organization) {
        Edit::Unrestricted
    } else if desk.actor.administers_team(&team.id) {
        Edit::Fields(form::team::ADMIN_FIELDS)
    } else {
        Edit::None
    };
    let about = About {
        keys: &key_rows(desk, &team),
        members_budget: members_budget.as_deref(),
        organization_models: models.as_deref(),
        edit,
    };
    Ok(team_shown(desk, &team, |shown| reply::team::info(shown, about, &desk.clock())))
}

/// The teams that a list asks for.
fn listed(desk: &Desk<'_>) -> Result<Vec<Arc<Record>>, Problem> {
    let query = &desk.query;
    if query.get("status").is_some_and(|status| status != "deleted") {
        let words = "Invalid status value. Currently only 'deleted' is supported.";
        return Err(Problem::query(words));
    }
    let contains = |text: Option<&str>, part: &str| {
        text.is_some_and(|text| text.to_lowercase().contains(&part.to_lowercase()))
    };
    let is_exact = query.flag("search_team_id_match")?.unwrap_or(false);
    let mut teams = desk.all(Kind::Team);
    teams.retain(|team| {
        let has_user =
            |user: &str| user.is_empty() || desk.known(Kind::Member, &member_id(&team.id, user)).is_some();
        let is_found = |text: &str| {
            let by_id = if is_exact { *team.id == *text } else { contains(Some(&team.id), text) };
            by_id || contains(team.alias(), text)
        };
        query.get("user_id").is_none_or(has_user)
            && query.get("organization_id").is_none_or(|id| team.parents.organization.as_deref() == Some(id))
            && query.get("team_id").is_none_or(|id| *team.id == *id)
            && query.get("team_alias").is_none_or(|part| contains(team.alias(), part))
            && query.get("search").is_none_or(is_found)
            // Those that are deleted are not kept.
            && query.get("status").is_none()
    });
    Ok(teams)
}

fn list(desk: &Desk<'_>) -> Outcome {
    let teams = in_order(listed(desk)?);
    let shown = |team: &Arc<Record>| {
        let keys = key_rows(desk, team);
        team_shown(desk, team, |shown| reply::team::listed(shown, &keys, &desk.clock()))
    };
    Ok(teams.iter().map(shown).collect())
}

fn list_in_pages(desk: &Desk<'_>) -> Outcome {
    let mut teams = listed(desk)?;
    paging::sort(&mut teams, &desk.query, |team, by| match by {
        "spend" => paging::SortKey::Money(desk.amounts(team).spend),
        name => paging::SortKey::of_member(team, name),
    });
    let (page, teams) = paging::page(&desk.query, ("page", "page_size"), (10, Some(PAGE_MAX)), teams)?;
    let shown = |team: &Arc<Record>| {
        let keys_count = seen(desk, (Kind::Team, &team.id), Kind::Key).len();
        team_shown(desk, team, |shown| reply::team::paged(shown, keys_count, &desk.clock()))
    };
    Ok(reply::team::pages(&teams.iter().map(shown).collect::<Vec<_>>(), page))
}

/// The teams that the operator lets users join, without those that who asks is in.
fn available(desk: &Desk<'_>) -> Outcome {
    let own = |team: &str| desk.actor.membership(team).is_some();
    let ids = desk.new_records().available_teams.iter().filter(|id| !own(id));
    let teams = ids.filter_map(|id| desk.known(Kind::Team, id));
    Ok(teams.map(|team| model(desk, &team)).collect())
}
