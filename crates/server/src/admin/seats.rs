//! Who sits in a team: users by the names that bodies give them, their places with budgets, and all of it as replies show
//! it.
//!
//! **Invariant:** a place is made with the user that it names, and goes with the budget that is its alone. **Invariant:**
//! the lock of the directory is let go of before anything else is asked.

use super::change::Change;
use super::desk::DEFAULT_USER;
use super::{Desk, Problem, paging};
use serde_json::{Map, Value};
use std::sync::Arc;
use tollgate_identity::access::may_see;
use tollgate_identity::form::member::{Seat, Terms, Who};
use tollgate_identity::form::{self, Context};
use tollgate_identity::reply::{self, Amounts};
use tollgate_identity::{Document, Kind, Record, member_id};

/// A user's place in a team, with what a reply says of it.
pub(super) struct Seated {
    pub(super) member: Arc<Record>,
    user: Option<Arc<Record>>,
    budget: Option<Arc<Record>>,
    amounts: Amounts,
}

impl Seated {
    pub(super) fn of(desk: &Desk<'_>, member: Arc<Record>) -> Self {
        let user = member.parents.user.as_ref().and_then(|id| desk.known(Kind::User, id));
        let (budget, amounts) = (desk.budget_of(&member), desk.amounts(&member));
        Self { member, user, budget, amounts }
    }

    pub(super) fn shown(&self) -> reply::team::Membership<'_> {
        reply::team::Membership {
            member: &self.member,
            user: self.user.as_deref(),
            budget: self.budget.as_deref(),
            amounts: &self.amounts,
        }
    }

    /// The user; none of one that is no record, such as the master key's.
    pub(super) fn user(&self) -> Option<&Arc<Record>> {
        self.user.as_ref()
    }
}

/// The team of this id, if the right of the route reaches it.
pub(super) fn find_team(desk: &Desk<'_>, id: &str) -> Result<Arc<Record>, Problem> {
    let missing = || format!("Team not found, passed team_id={id}");
    desk.find(Kind::Team, id).map_err(|problem| problem.or_missing("team_id", missing))
}

/// What belongs to someone, of one kind.
pub(super) fn children(desk: &Desk<'_>, (kind, id): (Kind, &str), wanted: Kind) -> Vec<Arc<Record>> {
    desk.ledger().directory().children(kind, id, wanted).map(Arc::clone).collect()
}

/// The same, as far as whoever asks may see it.
pub(super) fn seen(desk: &Desk<'_>, (kind, id): (Kind, &str), wanted: Kind) -> Vec<Arc<Record>> {
    let directory = desk.ledger().directory();
    let children = directory.children(kind, id, wanted);
    children.filter(|record| may_see(&desk.actor, record, &directory)).map(Arc::clone).collect()
}

/// A team as it is shown: with those of its members that whoever asks may see.
pub(super) fn team_shown<T>(
    desk: &Desk<'_>,
    team: &Record,
    write: impl FnOnce(reply::team::Shown<'_>) -> T,
) -> T {
    let members = seen(desk, (Kind::Team, &team.id), Kind::Member);
    let seated: Vec<Seated> = members.into_iter().map(|member| Seated::of(desk, member)).collect();
    let members: Vec<_> = seated.iter().map(Seated::shown).collect();
    write(reply::team::Shown { team, amounts: &desk.amounts(team), members: &members })
}

/// A user as it is shown: with those of its teams that whoever asks may see.
pub(super) fn user_shown<T>(
    desk: &Desk<'_>,
    user: &Record,
    write: impl FnOnce(reply::user::Shown<'_>) -> T,
) -> T {
    let places = in_order(children(desk, (Kind::User, &user.id), Kind::Member));
    let teams: Vec<&str> = places.iter().filter_map(|place| place.parents.team.as_deref()).collect();
    write(reply::user::Shown { user, amounts: &desk.amounts(user), teams: &teams })
}

/// Records in the order in which they were made.
pub(super) fn in_order(mut records: Vec<Arc<Record>>) -> Vec<Arc<Record>> {
    paging::oldest_first(&mut records);
    records
}

/// The user that is named, whether the right of the route reaches it or not: its id counts before its e-mail.
pub(super) fn user_named(desk: &Desk<'_>, who: &Who) -> Option<Arc<Record>> {
    if let Some(id) = &who.id {
        return desk.known(Kind::User, id);
    }
    let email = who.email.as_deref()?;
    let directory = desk.ledger().directory();
    let same = |text: String| text.eq_ignore_ascii_case(email);
    directory.all(Kind::User).find(|user| user.text("user_email").is_some_and(same)).map(Arc::clone)
}

/// The id that somebody is named by or has; none where the e-mail is nobody's.
pub(super) fn id_named(desk: &Desk<'_>, who: &Who) -> Option<String> {
    who.id.clone().or_else(|| user_named(desk, who).map(|user| user.id.as_ref().to_owned()))
}

/// Refuses a new user whose id already stands for somebody: who makes it would act for them.
pub(super) fn check_new_user(desk: &Desk<'_>, id: &str) -> Result<(), Problem> {
    if desk.actor.is_admin() {
        return Ok(());
    }
    let directory = desk.ledger().directory();
    let has_any = |wanted| directory.children(Kind::User, id, wanted).next().is_some();
    if id == DEFAULT_USER || has_any(Kind::Key) || has_any(Kind::Member) || has_any(Kind::OrganizationMember)
    {
        return Err(Problem::Conflict(format!("User with id {id} already exists")));
    }
    Ok(())
}

/// Refuses to put a user of other organizations in a team or an organization: who does would see the user. Whoever sees the
/// user may, and who is in no organization is taken in by whoever knows the id, as in LiteLLM.
pub(super) fn check_neighbor(
    desk: &Desk<'_>,
    user: &Record,
    organization: Option<&str>,
) -> Result<(), Problem> {
    let directory = desk.ledger().directory();
    if may_see(&desk.actor, user, &directory) {
        return Ok(());
    }
    let places = directory.children(Kind::User, &user.id, Kind::OrganizationMember);
    let of: Vec<_> = places.filter_map(|place| place.parents.organization.clone()).collect();
    if of.is_empty() || of.iter().any(|id| Some(&**id) == organization) {
        return Ok(());
    }
    Err(Problem::Conflict("The user already exists, and is not yours to add".to_owned()))
}

/// The budget of a place, where nothing else refers to it.
pub(super) fn own_budget(desk: &Desk<'_>, member: &Record) -> Option<Arc<Record>> {
    let id = member.parents.budget.as_deref()?;
    let team = member.parents.team.as_deref().and_then(|team| desk.known(Kind::Team, team));
    let is_shared = team.is_some_and(|team| shared_budget_id(&team.document()) == Some(id));
    desk.own_budget(member).filter(|_| !is_shared)
}

/// The id of the budget that the members of a team share.
pub(super) fn shared_budget_id(team: &Document) -> Option<&str> {
    team.metadata("team_member_budget_id").and_then(Value::as_str)
}

/// A change by which a place goes, with the budget that is its alone.
pub(super) fn without_place(desk: &Desk<'_>, change: Change, member: &Arc<Record>) -> Change {
    let change = change.delete(member);
    match own_budget(desk, member) {
        Some(budget) => change.delete(&budget),
        None => change,
    }
}

/// Places that are made in one change.
pub(super) struct Seating {
    change: Change,
    /// By which name each new user is known.
    users: Vec<(Who, String)>,
    /// The ids of the places.
    seats: Vec<String>,
}

impl Seating {
    pub(super) fn new(change: Change) -> Self {
        Self { change, users: Vec::new(), seats: Vec::new() }
    }

    /// The change, and the ids of the places.
    pub(super) fn into_change(self) -> (Change, Vec<String>) {
        (self.change, self.seats)
    }

    /// With another record of the change.
    pub(super) fn with(mut self, add: impl FnOnce(Change) -> Change) -> Self {
        self.change = add(self.change);
        self
    }

    /// The user that a seat is of, made where there is none.
    fn user(&mut self, desk: &Desk<'_>, who: &Who, organization: Option<&str>) -> Result<String, Problem> {
        if let Some(user) = user_named(desk, who) {
            check_neighbor(desk, &user, organization)?;
            return Ok(user.id.as_ref().to_owned());
        }
        if let Some(id) = who.id.as_ref().filter(|id| *id == DEFAULT_USER && desk.actor.is_master) {
            return Ok(id.clone());
        }
        let is_same = |other: &Who| match &who.id {
            Some(_) => other.id == who.id,
            None => other.email == who.email,
        };
        if let Some((_, id)) = self.users.iter().find(|(other, _)| is_same(other)) {
            return Ok(id.clone());
        }
        if let Some(id) = &who.id {
            check_new_user(desk, id)?;
        }
        let new = desk.new_records();
        let mut usual = new.users.clone();
        // Who is put in one team is not put in others for that.
        usual.retain(|name, _| name != "teams" && name != "organizations");
        let mut body = Map::new();
        body.extend(who.id.clone().map(|id| ("user_id".to_owned(), Value::from(id))));
        body.extend(who.email.clone().map(|email| ("user_email".to_owned(), Value::from(email))));
        let draft = form::user::new_with_defaults(&body, &usual, &new.internal_users, &desk.context())?.user;
        let id = draft.id.clone();
        self.users.push((who.clone(), id.clone()));
        self.change = std::mem::take(&mut self.change).beside(draft);
        Ok(id)
    }

    /// Takes a seat in a team that is made in the same change.
    pub(super) fn seat_beside(
        mut self,
        desk: &Desk<'_>,
        team: (&str, &Document),
        seat: (&Seat, usize),
    ) -> Result<Self, Problem> {
        let user = self.user(desk, &seat.0.who, team.1.text("organization_id"))?;
        let drafts = form::member::new(team, &user, seat, &Terms::default(), &desk.context())?;
        if !self.seats.contains(&drafts.record.id) {
            self.seats.push(drafts.record.id.clone());
            self.change = self.change.beside(drafts.record);
        }
        Ok(self)
    }

    /// Takes a seat in a team that is there; none where it is taken already.
    pub(super) fn seat(
        &mut self,
        desk: &Desk<'_>,
        team: &Record,
        (seat, terms): (&Seat, &Terms),
        context: &Context<'_>,
    ) -> Result<Option<String>, Problem> {
        let user = self.user(desk, &seat.who, team.parents.organization.as_deref())?;
        let id = member_id(&team.id, &user);
        if desk.known(Kind::Member, &id).is_some() || self.seats.contains(&id) {
            return Ok(None);
        }
        let place = self.seats.len();
        let drafts = form::member::new((&team.id, &team.document()), &user, (seat, place), terms, context)?;
        self.change = std::mem::take(&mut self.change).put(drafts, None, None);
        self.seats.push(id.clone());
        Ok(Some(id))
    }
}
