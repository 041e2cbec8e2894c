//! Whether a right reaches one object.
//!
//! **Invariant:** nobody changes what acts for somebody who administers the gateway, but that somebody and other
//! administrators: a key that is given another text would hand on its user's powers.

use super::right::{Extent, Right};
use crate::directory::{Directory, member_id};
use crate::grant::Denied;
use crate::kind::Kind;
use crate::record::Record;
use crate::role::{Actor, Role, role_in_team};
use std::sync::Arc;

/// Whether an actor may know that an object is there.
pub fn may_see(actor: &Actor, record: &Record, directory: &Directory) -> bool {
    actor.may(Right::over(record.kind).0, record, directory)
}

/// Whether an actor may change an object.
pub fn may_change(actor: &Actor, record: &Record, directory: &Directory) -> bool {
    actor.may(Right::over(record.kind).1, record, directory)
}

/// Whose an object is.
#[derive(Debug, Default)]
struct Owners {
    user: Option<Arc<str>>,
    team: Option<Arc<str>>,
    /// Of a user there may be many.
    organizations: Vec<Arc<str>>,
}

impl Owners {
    fn of(record: &Record, directory: &Directory) -> Self {
        let own = || Arc::clone(&record.id);
        let parents = &record.parents;
        let project = parents.project.as_ref().and_then(|id| directory.get(Kind::Project, id));
        let of_project = project.and_then(|project| project.parents.team.clone());
        let team = match record.kind {
            Kind::Team => Some(own()),
            Kind::Model => team_of_model(record),
            _ => parents.team.clone().or(of_project),
        };
        let user = match record.kind {
            Kind::User => Some(own()),
            Kind::Customer => None,
            _ => parents.user.clone(),
        };
        let of_team = || directory.get(Kind::Team, team.as_deref()?)?.parents.organization.clone();
        let organizations = match (record.kind, &user) {
            (Kind::User | Kind::Invitation, Some(user)) => {
                let memberships = directory.children(Kind::User, user, Kind::OrganizationMember);
                memberships.filter_map(|member| member.parents.organization.clone()).collect()
            }
            (Kind::Organization, _) => vec![own()],
            _ if record.kind == Kind::Team => parents.organization.clone().into_iter().collect(),
            // What is in a team is in the team's organization, whatever it says itself.
            _ if team.is_some() => of_team().into_iter().collect(),
            _ => parents.organization.clone().into_iter().collect(),
        };
        Self { user, team, organizations }
    }
}

/// `model_info.team_id` of a deployment.
fn team_of_model(record: &Record) -> Option<Arc<str>> {
    record.member("model_info")?.get("team_id")?.as_str().map(Into::into)
}

impl Actor {
    /// Whether a right reaches an object: one that is there, or one that is to be made so.
    pub fn may(&self, right: Right, record: &Record, directory: &Directory) -> bool {
        let extent = right.extent(self);
        if extent.is_nothing() || extent == Extent::EVERYTHING {
            return !extent.is_nothing();
        }
        let row = right.row();
        let owners = Owners::of(record, directory);
        let is_self = self.is_self(record);
        let is_own = self.user.is_some() && owners.user == self.user;
        if row.changes && !is_own && acts_for_administrator(&owners, directory) {
            return false;
        }
        if let Some(within) = &self.within
            && owners.team.as_ref() != Some(within)
            && (!is_self || row.changes)
        {
            return false;
        }
        let organizations = &owners.organizations;
        let administers = |id: &Arc<str>| self.administers_organization(id);
        // Of somebody in several organizations each has to agree to a change, and any may look.
        let organization = extent.has(Extent::ORGANIZATION)
            && if row.changes {
                !organizations.is_empty() && organizations.iter().all(administers)
            } else {
                organizations.iter().any(administers)
            };
        let membership = owners.team.as_ref().and_then(|team| self.membership(team));
        let team = extent.has(Extent::TEAM)
            && record.kind != Kind::User
            && membership.is_some_and(|membership| membership.is_admin || row.permits(membership));
        let member = extent.has(Extent::MEMBER) && self.sees_as_member(record, &owners);
        let own = extent.has(Extent::OWN) && (is_own || (is_self && !row.changes));
        if !is_creation(right) {
            return organization || team || member || own;
        }
        // What is made has to lie where it is allowed, not only to be one's own.
        let is_placed = organization || team || (own && self.may_place_own(&owners));
        is_placed && (is_own || owners.user.as_ref().is_none_or(|user| belongs(user, &owners, directory)))
    }

    /// Whether a right reaches the object of this id, as an answer.
    ///
    /// # Errors
    /// [`Denied::NotFound`] where there is none, or it may not be seen; [`Denied::Forbidden`] where it may be seen only.
    pub fn find<'a>(
        &self,
        right: Right,
        (kind, id): (Kind, &str),
        directory: &'a Directory,
    ) -> Result<&'a Arc<Record>, Denied> {
        let not_found = || Denied::NotFound { kind, id: id.to_owned() };
        let record = directory.get(kind, id).ok_or_else(not_found)?;
        if self.may(right, record, directory) {
            return Ok(record);
        }
        if may_see(self, record, directory) {
            return Err(Denied::Forbidden { kind, id: id.to_owned() });
        }
        Err(not_found())
    }

    /// Whether the object is the actor's own key or user.
    fn is_self(&self, record: &Record) -> bool {
        match record.kind {
            Kind::Key => self.key.as_ref().is_some_and(|key| key.id == record.id),
            Kind::User => self.user.as_ref() == Some(&record.id),
            _ => false,
        }
    }

    /// A member sees its team and organization, and of the other members nothing.
    fn sees_as_member(&self, record: &Record, owners: &Owners) -> bool {
        let is_in_team = || owners.team.as_ref().is_some_and(|team| self.membership(team).is_some());
        match record.kind {
            Kind::Team | Kind::Project => is_in_team(),
            Kind::Organization => self.is_in_organization(&record.id),
            Kind::Member | Kind::OrganizationMember => self.user.is_some() && owners.user == self.user,
            _ => false,
        }
    }

    /// What is one's own lies in no team and no organization, or in an organization that one is in: a team says itself who
    /// makes keys in it.
    fn may_place_own(&self, owners: &Owners) -> bool {
        owners.team.is_none() && owners.organizations.iter().all(|id| self.is_in_organization(id))
    }
}

const fn is_creation(right: Right) -> bool {
    matches!(right, Right::KeyCreate | Right::ServiceKeyCreate)
}

/// Whether an object acts for somebody who administers the gateway, or sees all of it.
fn acts_for_administrator(owners: &Owners, directory: &Directory) -> bool {
    let user = owners.user.as_ref().and_then(|user| directory.get(Kind::User, user));
    let role = user.and_then(|user| user.text("user_role")).and_then(|role| Role::from_word(&role));
    role.is_some_and(Role::is_global)
}

/// Whether a user is in the team or in one of the organizations.
fn belongs(user: &str, owners: &Owners, directory: &Directory) -> bool {
    let team = owners.team.as_ref().and_then(|team| directory.get(Kind::Team, team));
    let in_team = team.is_some_and(|team| {
        role_in_team(team, user).is_some()
            || directory.get(Kind::Member, &member_id(&team.id, user)).is_some()
    });
    let in_organization =
        |id: &Arc<str>| directory.get(Kind::OrganizationMember, &member_id(id, user)).is_some();
    in_team || (owners.team.is_none() && owners.organizations.iter().any(in_organization))
}
