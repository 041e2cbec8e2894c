//! `/user/*`: users, with the keys that are made with them.
//!
//! **Invariant:** nobody gives a role, or takes an account over, who does not administer the gateway. **Invariant:** what is
//! kept of a password is its hash, and who sets their own says the one that there is.

use super::change::Change;
use super::desk::random_bits;
use super::seats::{check_new_user, children, in_order, own_budget, team_shown, user_named, user_shown};
use super::{Desk, Outcome, Problem, Served, asks, keys, looks, paging, spent};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tollgate_identity::access::{Right, may_see};
use tollgate_identity::form::key::Secret;
use tollgate_identity::form::member::Who;
use tollgate_identity::form::user::Bulk;
use tollgate_identity::form::{self, Context, Draft};
use tollgate_identity::reply::user::BulkChanged;
use tollgate_identity::reply::{self};
use tollgate_identity::role::Role;
use tollgate_identity::secret::{KeyText, hash_password, is_password};
use tollgate_identity::{Document, Kind, Record, member_id};

/// The routes of users.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/user/new", |desk| Box::pin(create(desk)), "Make a user, with a key"),
    asks("POST", "/user/update", |desk| Box::pin(update(desk)), "Change a user"),
    asks("POST", "/user/bulk_update", |desk| Box::pin(update_in_bulk(desk)), "Change several users"),
    asks("POST", "/user/delete", |desk| Box::pin(delete(desk)), "Delete users with their keys"),
    asks("POST", "/user/password/change", |desk| Box::pin(change_password(desk)), "Change one's password"),
    looks("GET", "/user/info", info, "A user, with keys and teams"),
    looks("GET", "/v2/user/info", info_v2, "A user"),
    looks("GET", "/user/list", list, "All users, in pages"),
    looks("GET", "/user/available_roles", |_| Ok(reply::user::available_roles()), "The roles of users"),
    looks("GET", "/user/available_users", available_users, "How many users there are and may be"),
];

/// The most users of one page, as LiteLLM has it.
const PAGE_MAX: usize = 100;
/// What a list of users may be ordered by, as LiteLLM has it.
const SORTED_BY: [&str; 6] = ["user_id", "user_email", "created_at", "spend", "user_alias", "user_role"];
/// What of a user the gateway's administrators alone set.
const ADMINISTRATORS: [&str; 2] = ["user_role", "sso_user_id"];

/// Refuses an e-mail that another user has.
fn check_email(desk: &Desk<'_>, draft: &Draft) -> Result<(), Problem> {
    let Some(email) = draft.document.text("user_email") else { return Ok(()) };
    let who = Who { id: None, email: Some(email.to_owned()) };
    match user_named(desk, &who) {
        Some(user) if *user.id != *draft.id => {
            Err(Problem::Conflict(format!("User with email {email} already exists in the database.")))
        }
        _ => Ok(()),
    }
}

async fn create(desk: &Desk<'_>) -> Outcome {
    let (made, kept) = make(desk, &desk.body).await?;
    let key = kept.as_ref().map(|(key, text)| (&**key, text.as_str()));
    Ok(user_shown(desk, &made, |shown| reply::user::generated(shown, key, &desk.clock())))
}

/// A user that was made, and the key that was made with it.
pub(super) type Made = (Arc<Record>, Option<(Arc<Record>, KeyText)>);

/// Makes the user that a body asks for.
pub(super) async fn make(desk: &Desk<'_>, body: &Map<String, Value>) -> Result<Made, Problem> {
    let new = desk.new_records();
    let made = form::user::new_with_defaults(body, &new.users, &new.internal_users, &desk.context())?;
    let user = made.user;
    if desk.known(Kind::User, &user.id).is_some() {
        return Err(Problem::Conflict(format!("User with id {} already exists", user.id)));
    }
    check_new_user(desk, &user.id)?;
    let _naming = desk.naming().await;
    check_email(desk, &user)?;
    let mut change = placed(desk, &made.organizations, user.clone())?;
    // What the operator's defaults say is not held to what who asks may do.
    let says_teams = body.get("teams").and_then(Value::as_array).is_some_and(|teams| !teams.is_empty());
    let mut teams = made.teams;
    let mut seen: Vec<String> = Vec::new();
    teams.retain(|(id, ..)| {
        !seen.contains(id) && {
            seen.push(id.clone());
            true
        }
    });
    for (id, seat, terms) in &teams {
        let usual = desk.known(Kind::Team, id).filter(|_| !says_teams);
        let team = usual.map_or_else(|| desk.in_right(Right::TeamMembers, (Kind::Team, id)), Ok)?;
        let place = (&*team.id, &team.document());
        let drafts = form::member::new(place, &user.id, (seat, 0), terms, &desk.context())?;
        change = drafts.others.into_iter().fold(change.beside(drafts.record), Change::beside);
    }
    let key = made.key.map(|body| new_key(desk, &body)).transpose()?;
    let key = match key {
        Some((draft, text)) => {
            let token = draft.id.clone();
            change = change.beside(draft);
            Some((token, text))
        }
        None => None,
    };
    let made = desk.commit_one(change).await?;
    let kept = key.and_then(|(token, text)| Some((desk.known(Kind::Key, &token)?, text)));
    Ok((made, kept))
}

/// The change that makes a user in organizations. Who administers organizations makes users in these alone.
fn placed(desk: &Desk<'_>, organizations: &[String], user: Draft) -> Result<Change, Problem> {
    let own = |id: &String| desk.actor.administers_organization(id);
    if !desk.actor.is_admin() && (organizations.is_empty() || !organizations.iter().all(own)) {
        return Err(Problem::not_allowed(&desk.actor, desk.row.path));
    }
    let id = user.id.clone();
    let mut change = Change::new("created").beside(user);
    let mut seen: Vec<&String> = Vec::new();
    for organization in organizations {
        if desk.known(Kind::Organization, organization).is_none() {
            let message = format!("Organization={organization} not found");
            return Err(Problem::Missing("organizations", message));
        }
        if !seen.contains(&organization) {
            seen.push(organization);
            let role = Role::InternalUser.word();
            let drafts =
                form::organization::seat(organization, &id, role, &Default::default(), &desk.context())?;
            change = drafts.others.into_iter().fold(change.beside(drafts.record), Change::beside);
        }
    }
    Ok(change)
}

/// The key that is made with a user, and its text. Whoever may make the user may make it, in a team that it may make keys in.
fn new_key(desk: &Desk<'_>, body: &Map<String, Value>) -> Result<(Draft, KeyText), Problem> {
    if !desk.actor.is_admin() && body.get("permissions").is_some_and(|value| !value.is_null()) {
        return Err(form::BadForm::forbidden("permissions").into());
    }
    if let Some(team) = body.get("team_id").and_then(Value::as_str) {
        desk.in_right(Right::TeamMembers, (Kind::Team, team))?;
    }
    let text = KeyText::minted(random_bits()?);
    let (token, name) = (text.token(), text.name());
    let secret = Secret { token: token.as_str(), name: &name };
    let context = Context { is_admin: true, is_operator: true, ..desk.context() };
    let draft = form::key::new(body, None, secret, &context)?;
    let draft = keys::bounds(desk).of_new(draft, &context)?;
    keys::check_alias(desk, &draft, None)?;
    Ok((draft, text))
}

/// The user that is named, if the right of the route reaches it.
pub(super) fn find(desk: &Desk<'_>, who: &Who) -> Result<Arc<Record>, Problem> {
    let named = who.id.as_deref().or(who.email.as_deref()).unwrap_or_default();
    let missing = || format!("User={named} not found");
    match user_named(desk, who) {
        Some(user) => {
            desk.find(Kind::User, &user.id).map_err(|problem| problem.or_missing("user_id", missing))
        }
        None => Err(Problem::Missing("user_id", missing())),
    }
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let user = find(desk, &form::user::subject(&desk.body)?)?;
    let changed = change(desk, &user, &desk.body).await?;
    Ok(user_shown(desk, &changed, |shown| reply::user::updated(shown, &desk.clock())))
}

async fn change(
    desk: &Desk<'_>,
    user: &Arc<Record>,
    body: &Map<String, Value>,
) -> Result<Arc<Record>, Problem> {
    let is_self = desk.actor.user.as_ref() == Some(&user.id);
    // Who reaches another than oneself administers the gateway, or all the organizations that the user is in.
    let context = Context { is_admin: desk.actor.is_admin() || !is_self, ..desk.context() };
    let changed = form::user::change(&user.id, &user.document(), body, &context)?;
    let mut draft = changed.user;
    let spend = spent::asked(desk, body)?;
    if !desk.actor.is_admin() {
        let kept = user.document();
        let differs = |name: &&&str| draft.document.get(name) != kept.get(name);
        if let Some(name) = ADMINISTRATORS.iter().find(differs) {
            return Err(form::BadForm::forbidden(*name).into());
        }
        // A password is changed by who says the one that there is: `/user/password/change`.
        if changed.password.is_some() && (!is_self || user.text("password").is_some()) {
            return Err(form::BadForm::forbidden("password").into());
        }
    }
    if let Some(password) = changed.password {
        set_password(&mut draft.document, hashed(password).await?);
    }
    let _naming = desk.naming().await;
    check_email(desk, &draft)?;
    let changed = desk.commit_one(Change::new("updated").replace(user, draft)).await?;
    spent::set_if_asked(desk, changed, spend).await
}

fn set_password(document: &mut Document, hash: String) {
    document.0.insert("password".to_owned(), Value::from(hash));
}

/// The hash of a password, made where nobody waits for it.
async fn hashed(password: String) -> Result<String, Problem> {
    let mut salt = [0; 16];
    salt.iter_mut().zip(random_bits()?).for_each(|(to, from)| *to = from);
    let made = tokio::task::spawn_blocking(move || hash_password(&password, salt)).await;
    made.map_err(|_| Problem::Internal)?.map_err(|bad| Problem::Bad("password", bad.to_string()))
}

async fn change_password(desk: &Desk<'_>) -> Outcome {
    let (current, new) = form::user::password(&desk.body, &desk.context())?;
    let missing = || Problem::Missing("user_id", "The key that asks belongs to no user".to_owned());
    let id = desk.actor.user.clone().ok_or_else(missing)?;
    let user = desk.find(Kind::User, &id)?;
    let wrong = || Problem::Bad("current_password", "Current password is incorrect".to_owned());
    let kept = user.text("password").ok_or_else(wrong)?;
    let is_right = tokio::task::spawn_blocking(move || is_password(&current, &kept)).await;
    if !is_right.map_err(|_| Problem::Internal)? {
        return Err(wrong());
    }
    let mut document = user.document();
    set_password(&mut document, hashed(new).await?);
    let draft = Draft { kind: Kind::User, id: id.as_ref().to_owned(), document };
    desk.commit_one(Change::new("updated").replace(&user, draft)).await?;
    Ok(reply::user::password_changed(&id))
}

async fn update_in_bulk(desk: &Desk<'_>) -> Outcome {
    let who = |body: &Map<String, Value>| {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Who { id: text("user_id"), email: text("user_email") }
    };
    let asked: Vec<(Who, Map<String, Value>)> = match form::user::bulk(&desk.body, &desk.context())? {
        Bulk::Each(bodies) => bodies.into_iter().map(|body| (who(&body), body)).collect(),
        Bulk::All(body) => in_order(desk.all(Kind::User))
            .iter()
            .map(|user| (Who { id: Some(user.id.as_ref().to_owned()), email: None }, body.clone()))
            .collect(),
    };
    let mut outcomes = Vec::with_capacity(asked.len());
    for (who, body) in &asked {
        let outcome = change_one_of_many(desk, who, body).await;
        outcomes.push(outcome.map_err(|problem| problem.into_rejection().message().to_owned()));
    }
    let rows = asked.iter().zip(outcomes).map(|((who, _), outcome)| BulkChanged {
        user_id: who.id.as_deref(),
        user_email: who.email.as_deref(),
        outcome,
    });
    Ok(reply::user::bulk_updated(&rows.collect::<Vec<_>>()))
}

async fn change_one_of_many(desk: &Desk<'_>, who: &Who, body: &Map<String, Value>) -> Outcome {
    if *who == Who::default() {
        return Err(form::BadForm::missing("user_id").into());
    }
    let user = find(desk, who)?;
    let changed = change(desk, &user, body).await?;
    Ok(user_shown(desk, &changed, |shown| Value::Object(reply::user::model(shown, &desk.clock()))))
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let mut asked = form::user::deletion(&desk.body, &desk.context())?;
    asked.sort_unstable();
    asked.dedup();
    let mut change = Change::new("deleted");
    for id in &asked {
        let user = find(desk, &Who { id: Some(id.clone()), email: None })?;
        change = without(desk, change, user);
    }
    desk.commit(change).await?;
    Ok(reply::user::deleted(asked.len()))
}

/// A change by which a user goes, with keys, invitations and places.
pub(super) fn without(desk: &Desk<'_>, change: Change, user: Arc<Record>) -> Change {
    let of = (Kind::User, &*user.id);
    let mut gone = children(desk, of, Kind::Key);
    gone.extend(children(desk, of, Kind::Invitation));
    for place in [Kind::Member, Kind::OrganizationMember] {
        for member in children(desk, of, place) {
            gone.extend(own_budget(desk, &member));
            gone.push(member);
        }
    }
    gone.push(user);
    gone.iter().fold(change, Change::delete)
}

/// The user that a query names; else the one whose key asks.
fn asked_for(desk: &Desk<'_>) -> Result<Arc<Record>, Problem> {
    let own = desk.actor.user.as_deref();
    let id = desk.query.get("user_id").or(own);
    let id = id.ok_or_else(|| Problem::Bad("user_id", "'user_id' is missing".to_owned()))?;
    find(desk, &Who { id: Some(id.to_owned()), email: None })
}

fn info(desk: &Desk<'_>) -> Outcome {
    if desk.actor.is_admin() && desk.query.get("user_id").is_none() && desk.actor.user.is_none() {
        // The master key is nobody's, and sees all.
        let (keys, teams) = (desk.all(Kind::Key), desk.all(Kind::Team));
        let (keys, teams) = (key_rows(desk, keys), team_models(desk, teams));
        return Ok(json!({"user_id": null, "user_info": null, "keys": keys, "teams": teams}));
    }
    let user = asked_for(desk)?;
    let of = (Kind::User, &*user.id);
    let keys = key_rows(desk, children(desk, of, Kind::Key));
    let places = in_order(children(desk, of, Kind::Member));
    let teams = places.iter().filter_map(|place| desk.known(Kind::Team, place.parents.team.as_deref()?));
    let teams = team_models(desk, teams.collect());
    let memberships: Vec<Value> = in_order(children(desk, of, Kind::OrganizationMember))
        .into_iter()
        .map(|member| organization_membership(desk, &member, &user))
        .collect();
    let clock = desk.clock();
    Ok(user_shown(desk, &user, |shown| reply::user::info(shown, &keys, &teams, &memberships, &clock)))
}

fn key_rows(desk: &Desk<'_>, keys: Vec<Arc<Record>>) -> Vec<Value> {
    let row = |key: &Arc<Record>| {
        let team = key.parents.team.as_ref().and_then(|id| desk.known(Kind::Team, id));
        keys::shown(desk, key, |shown| reply::user::info_key(shown, team.as_deref(), &desk.clock()))
    };
    in_order(keys).iter().map(row).collect()
}

/// Of the teams those that whoever asks may see.
fn team_models(desk: &Desk<'_>, teams: Vec<Arc<Record>>) -> Vec<Value> {
    let mut teams = in_order(teams);
    {
        let directory = desk.ledger().directory();
        teams.retain(|team| may_see(&desk.actor, team, &directory));
    }
    let model = |team: &Arc<Record>| {
        team_shown(desk, team, |shown| Value::Object(reply::team::model(shown, &desk.clock())))
    };
    teams.iter().map(model).collect()
}

fn organization_membership(desk: &Desk<'_>, member: &Record, user: &Record) -> Value {
    let (budget, amounts) = (desk.budget_of(member), desk.amounts(member));
    let seat = reply::organization::Membership {
        member,
        user: Some(user),
        amounts: &amounts,
        budget: budget.as_deref(),
    };
    reply::organization::membership(seat, None, &desk.clock())
}

fn info_v2(desk: &Desk<'_>) -> Outcome {
    let user = asked_for(desk)?;
    Ok(user_shown(desk, &user, |shown| reply::user::info_v2(shown, &desk.clock())))
}

/// The users that a list asks for.
fn listed(desk: &Desk<'_>) -> Result<Vec<Arc<Record>>, Problem> {
    let query = &desk.query;
    query.check_order(&SORTED_BY, Problem::query)?;
    let contains = |text: Option<&str>, part: &str| {
        text.is_some_and(|text| text.to_lowercase().contains(&part.to_lowercase()))
    };
    let is_one_of = |list: Option<&str>, id: Option<&str>| {
        list.is_none_or(|list| list.split(',').any(|one| Some(one.trim()) == id))
    };
    let mut users = desk.all(Kind::User);
    users.retain(|user| {
        let document = &user.document();
        let (id, email) = (Some(&*user.id), document.text("user_email"));
        let is_in = |kind: Kind, group: &str| desk.known(kind, &member_id(group, &user.id)).is_some();
        query.get("role").is_none_or(|role| document.text("user_role") == Some(role))
            // An id in part finds it too, where one is asked for.
            && query.get("user_ids").is_none_or(|ids| {
                is_one_of(Some(ids), id) || (!ids.contains(',') && contains(id, ids))
            })
            && is_one_of(query.get("sso_user_ids"), document.text("sso_user_id"))
            && query.get("user_email").is_none_or(|part| contains(email, part))
            && query.get("search").is_none_or(|part| {
                [id, email, user.alias()].into_iter().any(|text| contains(text, part))
            })
            && query.get("team").is_none_or(|team| is_in(Kind::Member, team))
            && query.get("organization_ids").is_none_or(|ids| {
                ids.split(',').any(|id| is_in(Kind::OrganizationMember, id.trim()))
            })
    });
    paging::sort(&mut users, query, |user, by| match by {
        "spend" => paging::SortKey::Money(desk.amounts(user).spend),
        name => paging::SortKey::of_member(user, name),
    });
    Ok(users)
}

fn list(desk: &Desk<'_>) -> Outcome {
    let (page, users) =
        paging::page(&desk.query, ("page", "page_size"), (25, Some(PAGE_MAX)), listed(desk)?)?;
    let shown = |user: &Arc<Record>| {
        let keys_count = children(desk, (Kind::User, &user.id), Kind::Key).len();
        user_shown(desk, user, |shown| reply::user::listed(shown, keys_count, &desk.clock()))
    };
    Ok(reply::user::pages(&users.iter().map(shown).collect::<Vec<_>>(), page))
}

/// How many there are; of no licence, so there may be any number.
fn available_users(desk: &Desk<'_>) -> Outcome {
    Ok(json!({
        "total_users": null,
        "total_teams": null,
        "total_users_used": desk.all(Kind::User).len(),
        "total_teams_used": desk.all(Kind::Team).len(),
        "total_users_remaining": null,
        "total_teams_remaining": null,
    }))
}
