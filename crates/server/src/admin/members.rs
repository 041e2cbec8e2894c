//! `/team/member_*`: users in teams, and what each may spend there.
//!
//! **Invariant:** a place, its budget and the user that is made for it are one change. **Invariant:** who leaves a team
//! leaves no key in it.

use super::change::Change;
use super::desk::DEFAULT_USER;
use super::seats::{
    Seated, Seating, children, find_team, id_named, own_budget, team_shown, user_shown, without_place,
};
use super::{Desk, Outcome, Problem, Served, asks, looks, spent};
use serde_json::{Map, Value};
use std::sync::Arc;
use tollgate_identity::access::may_see;
use tollgate_identity::form::member::{Place, Seat, Who};
use tollgate_identity::form::{self};
use tollgate_identity::reply::team::BulkAdded;
use tollgate_identity::reply::{self, Amounts};
use tollgate_identity::{Kind, Record, member_id};

/// The routes of members.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/team/member_add", |desk| Box::pin(add(desk)), "Put users in a team"),
    asks("POST", "/team/bulk_member_add", |desk| Box::pin(add_in_bulk(desk)), "Put many users in a team"),
    asks("POST", "/team/member_update", |desk| Box::pin(update(desk)), "Change a user's place in a team"),
    asks("POST", "/team/member_delete", |desk| Box::pin(delete(desk)), "Take a user out of a team"),
    asks(
        "POST",
        "/team/{team_id}/member/{user_id}/reset_spend",
        |desk| Box::pin(reset_spend(desk)),
        "Set back what a user has spent in a team",
    ),
    asks(
        "POST",
        "/team/{team_id}/member/{user_id}/reset_budget",
        |desk| Box::pin(reset_budget(desk)),
        "Give a user the budget that all of a team have",
    ),
    looks("GET", "/team/{team_id}/members/me", own, "One's own place in a team"),
];

async fn add(desk: &Desk<'_>) -> Outcome {
    let asked = form::member::addition(&desk.body, &desk.context())?;
    let team = find_team(desk, &asked.team)?;
    let seats = asked.seats.unwrap_or_default();
    let context = desk.context_in(Some(&team.id));
    let mut seating = Seating::new(Change::new("created"));
    let mut is_any = false;
    for seat in &seats {
        is_any |= seating.seat(desk, &team, (seat, &asked.terms), &context)?.is_some();
    }
    if !is_any {
        let Who { id, email } = seats.into_iter().next().map(|seat| seat.who).unwrap_or_default();
        let name = |text: Option<String>| text.unwrap_or_else(|| "None".to_owned());
        let message =
            format!("User already in team. Member: user_id={}, user_email={}", name(id), name(email));
        return Err(Problem::Bad("user_id", message));
    }
    let (change, places) = seating.into_change();
    desk.commit(change).await?;
    let added = seated(desk, &places);
    let users: Vec<Value> =
        added.iter().filter_map(Seated::user).map(|user| user_model(desk, user)).collect();
    let rows: Vec<_> = added.iter().map(Seated::shown).collect();
    Ok(team_shown(desk, &team, |shown| reply::team::members_added(shown, &users, &rows, &desk.clock())))
}

fn seated(desk: &Desk<'_>, places: &[String]) -> Vec<Seated> {
    let members = places.iter().filter_map(|id| desk.known(Kind::Member, id));
    members.map(|member| Seated::of(desk, member)).collect()
}

fn user_model(desk: &Desk<'_>, user: &Record) -> Value {
    if !may_see(&desk.actor, user, &desk.ledger().directory()) {
        // Of whom one does not see, what the list of the team's members says.
        let mut seen = user.document();
        seen.0.retain(|name, _| name == "user_id" || name == "user_email");
        // Two texts are always read.
        let Ok(known) = Record::read(user.kind, &user.id, user.version, &seen) else { return Value::Null };
        let shown = reply::user::Shown { user: &known, amounts: &Amounts::default(), teams: &[] };
        return Value::Object(reply::user::model(shown, &desk.clock()));
    }
    user_shown(desk, user, |shown| Value::Object(reply::user::model(shown, &desk.clock())))
}

async fn add_in_bulk(desk: &Desk<'_>) -> Outcome {
    let asked = form::member::bulk_addition(&desk.body, &desk.context())?;
    let team = find_team(desk, &asked.team)?;
    let seats = match asked.seats {
        Some(seats) => seats,
        None if desk.actor.is_admin() => every_user(desk),
        None => return Err(Problem::not_allowed(&desk.actor, desk.row.path)),
    };
    let context = desk.context_in(Some(&team.id));
    let mut seating = Seating::new(Change::new("created"));
    let mut places = Vec::with_capacity(seats.len());
    for seat in &seats {
        places.push(seating.seat(desk, &team, (seat, &asked.terms), &context)?);
    }
    desk.commit(seating.into_change().0).await?;
    let added: Vec<Option<Seated>> = places
        .iter()
        .map(|place| Some(Seated::of(desk, desk.known(Kind::Member, place.as_deref()?)?)))
        .collect();
    let users: Vec<Value> = added
        .iter()
        .map(|seat| seat.as_ref().and_then(Seated::user).map_or(Value::Null, |user| user_model(desk, user)))
        .collect();
    let rows = seats.iter().zip(&added).zip(users).map(|((seat, added), user)| BulkAdded {
        user_id: seat.who.id.as_deref(),
        user_email: seat.who.email.as_deref(),
        outcome: added
            .as_ref()
            .map(|seat| (user, seat.shown()))
            .ok_or_else(|| "User already in team".to_owned()),
    });
    let rows: Vec<_> = rows.collect();
    Ok(team_shown(desk, &team, |shown| reply::team::members_added_in_bulk(shown, &rows, &desk.clock())))
}

/// Everybody, by id.
fn every_user(desk: &Desk<'_>) -> Vec<Seat> {
    let mut ids: Vec<String> =
        desk.ledger().directory().all(Kind::User).map(|user| user.id.as_ref().to_owned()).collect();
    ids.sort_unstable();
    let seat = |id| Seat { who: Who { id: Some(id), email: None }, role: "user".to_owned() };
    ids.into_iter().map(seat).collect()
}

/// The team and the place in it that somebody is named by.
pub(super) fn find(desk: &Desk<'_>, place: &Place) -> Result<(Arc<Record>, Arc<Record>), Problem> {
    let team = find_team(desk, &place.group)?;
    let missing = || Problem::Missing("user_id", format!("User not found in team. Team id = {}", team.id));
    let user = id_named(desk, &place.who).ok_or_else(missing)?;
    let id = member_id(&team.id, &user);
    if desk.known(Kind::Member, &id).is_none() {
        return Err(missing());
    }
    let member = desk.find(Kind::Member, &id)?;
    Ok((team, member))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let changed = change(desk, &desk.body).await?;
    Ok(reply::team::member_updated(Seated::of(desk, changed).shown(), &desk.body))
}

/// Changes the place that a body names.
pub(super) async fn change(desk: &Desk<'_>, body: &Map<String, Value>) -> Result<Arc<Record>, Problem> {
    let place = form::member::subject(body, &desk.context())?;
    let (team, member) = find(desk, &place)?;
    let budget = own_budget(desk, &member);
    let limits = budget.as_ref().map(|budget| budget.document());
    let own = budget.as_ref().map(|budget| &*budget.id).zip(limits.as_ref());
    let context = desk.context_in(Some(&team.id));
    let drafts = form::member::change(&member.id, &member.document(), own, body, &context)?;
    let change = Change::new("updated").put(drafts, Some(&member), budget.as_ref());
    desk.commit_one(change).await
}

async fn delete(desk: &Desk<'_>) -> Outcome {
    let place = form::member::removal(&desk.body, &desk.context())?;
    let (team, member) = find(desk, &place)?;
    desk.commit(without(desk, Change::new("deleted"), (&team, &member))).await?;
    Ok(team_shown(desk, &team, |shown| Value::Object(reply::team::model(shown, &desk.clock()))))
}

/// A change by which a member leaves a team, with the keys that it has there.
pub(super) fn without(desk: &Desk<'_>, change: Change, (team, member): (&Record, &Arc<Record>)) -> Change {
    let user = member.parents.user.clone();
    let keys = children(desk, (Kind::Team, &team.id), Kind::Key);
    let own = keys.iter().filter(|key| user.is_some() && key.parents.user == user);
    own.fold(without_place(desk, change, member), Change::delete)
}

fn own(desk: &Desk<'_>) -> Outcome {
    let team = find_team(desk, desk.param("team_id"))?;
    let user = desk.actor.user.as_deref().unwrap_or(DEFAULT_USER);
    let member = desk.known(Kind::Member, &member_id(&team.id, user));
    let missing = || Problem::Missing("user_id", format!("User not found in team. Team id = {}", team.id));
    let seat = Seated::of(desk, member.ok_or_else(missing)?);
    Ok(team_shown(desk, &team, |shown| reply::team::own_membership(shown, seat.shown(), &desk.clock())))
}

/// The place that the path names.
fn in_path(desk: &Desk<'_>) -> Result<(Arc<Record>, Arc<Record>), Problem> {
    let who = Who { id: Some(desk.param("user_id").to_owned()), email: None };
    find(desk, &Place { group: desk.param("team_id").to_owned(), who })
}

async fn reset_spend(desk: &Desk<'_>) -> Outcome {
    let (_, member) = in_path(desk)?;
    let before = desk.amounts(&member).spend;
    let to = form::key::reset_spend(&desk.body, before, &desk.context())?;
    let member = spent::set(desk, member, to).await?;
    Ok(reply::team::member_spend_reset(Seated::of(desk, member).shown(), before, &desk.clock()))
}

async fn reset_budget(desk: &Desk<'_>) -> Outcome {
    let (team, member) = in_path(desk)?;
    let draft =
        form::member::with_shared_budget(&member.id, &member.document(), &team.document(), &desk.context())?;
    let mut change = Change::new("updated").replace(&member, draft);
    if let Some(own) = own_budget(desk, &member) {
        change = change.delete(&own);
    }
    let changed = desk.commit_one(change).await?;
    let before = member.parents.budget.as_deref();
    Ok(reply::team::budget_reset(&team, Seated::of(desk, changed).shown(), before))
}
