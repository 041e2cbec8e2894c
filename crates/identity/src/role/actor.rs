//! Whoever calls, with all that follows from it: the user's role, its teams and organizations, what its key is for.
//!
//! **Invariant:** an actor has no more than the meet of what it is made of: a key of a user within a team acts within that
//! team alone, and a key that names no user has no role. **Invariant:** there is no actor for who was not let in.

use super::{Call, KeyType, Role, Routes};
use crate::directory::{Directory, Holder, member_id};
use crate::kind::Kind;
use crate::record::Record;
use serde_json::Value;
use std::sync::Arc;

/// A team that somebody is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its id.
    pub team: Arc<str>,
    /// Whether the team is administered.
    pub is_admin: bool,
    /// What the team allows its members beside (`team_member_permissions`), as paths.
    pub permissions: Box<[Box<str>]>,
}

/// Whoever calls.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Whether it is the master key.
    pub is_master: bool,
    /// The role; none where a key names no user, or the user has none.
    pub role: Option<Role>,
    /// The user.
    pub user: Option<Arc<str>>,
    /// The key; none of the master key and of a token.
    pub key: Option<Arc<Record>>,
    /// The team that it acts within.
    pub within: Option<Arc<str>>,
    /// The teams that it is in.
    pub teams: Vec<Membership>,
    /// The organizations that it is in, and whether it administers them.
    pub organizations: Vec<(Arc<str>, bool)>,
    /// The routes that a token is narrowed to.
    pub routes: Routes,
}

impl Actor {
    /// The master key: everything.
    pub fn master() -> Self {
        Self { is_master: true, role: Some(Role::ProxyAdmin), ..Self::nobody() }
    }

    fn nobody() -> Self {
        Self {
            is_master: false,
            role: None,
            user: None,
            key: None,
            within: None,
            teams: Vec::new(),
            organizations: Vec::new(),
            routes: Routes::default(),
        }
    }

    /// A virtual key with everybody above it. Whether it may be used at all is asked before.
    pub fn of_holder(holder: &Holder, directory: &Directory) -> Self {
        let key = Some(Arc::clone(&holder.key));
        let within = holder.team.as_ref().map(|team| Arc::clone(&team.id));
        // A key that is deleted from its team with the team itself has no place left to act in.
        let within = within.or_else(|| holder.key.parents.team.clone());
        let mut actor = Self { key, within, ..Self::nobody() };
        if let Some(user) = &holder.user {
            actor = actor.with_user(user, directory);
        }
        actor.narrowed(directory)
    }

    /// A user that a verified token names, who calls within one of its teams or by itself.
    pub fn of_user(user: &Record, within: Option<Arc<str>>, routes: Routes, directory: &Directory) -> Self {
        let actor = Self { within, routes, ..Self::nobody() };
        actor.with_user(user, directory).narrowed(directory)
    }

    /// A role that a verified token grants by itself, without a user that is known.
    pub fn of_role(role: Role, within: Option<Arc<str>>, routes: Routes, directory: &Directory) -> Self {
        let actor = Self { role: Some(role), within, routes, ..Self::nobody() };
        if role.is_global() { actor } else { actor.narrowed(directory) }
    }

    fn with_user(mut self, user: &Record, directory: &Directory) -> Self {
        self.role = user.text("user_role").and_then(|role| Role::from_word(&role));
        self.user = Some(Arc::clone(&user.id));
        let document = user.document();
        let listed = document.texts("teams").map(Arc::<str>::from);
        let joined = directory.children(Kind::User, &user.id, Kind::Member);
        let mut teams: Vec<Arc<str>> =
            joined.filter_map(|member| member.parents.team.clone()).chain(listed).collect();
        teams.sort();
        teams.dedup();
        let teams = teams.iter().filter_map(|team| directory.get(Kind::Team, team));
        self.teams = teams.filter_map(|team| membership(team, &user.id, directory)).collect();
        let joined = directory.children(Kind::User, &user.id, Kind::OrganizationMember);
        self.organizations = joined
            .filter_map(|member| {
                let organization = member.parents.organization.clone()?;
                Some((organization, member.text("user_role").as_deref() == Some(Role::OrgAdmin.word())))
            })
            .collect();
        self
    }

    /// Within a team there is only that team. A user who administers the gateway still does.
    fn narrowed(mut self, directory: &Directory) -> Self {
        let Some(within) = self.within.clone() else { return self };
        if self.role.is_some_and(Role::is_global) {
            return self;
        }
        self.organizations.clear();
        self.teams.retain(|team| team.team == within);
        // A key of a team without a user sees the team that it belongs to, as a member without permissions does.
        if self.teams.is_empty() && self.user.is_none() && directory.get(Kind::Team, &within).is_some() {
            self.teams.push(Membership { team: within, is_admin: false, permissions: Box::default() });
        }
        self
    }

    /// Whether it may do everything.
    pub fn is_admin(&self) -> bool {
        self.role == Some(Role::ProxyAdmin)
    }

    /// Whether it may see everything.
    pub fn sees_everything(&self) -> bool {
        self.role.is_some_and(Role::is_global)
    }

    /// Whether it administers a team.
    pub fn administers_team(&self, team: &str) -> bool {
        self.teams.iter().any(|membership| membership.is_admin && *membership.team == *team)
    }

    /// Its membership of a team.
    pub fn membership(&self, team: &str) -> Option<&Membership> {
        self.teams.iter().find(|membership| *membership.team == *team)
    }

    /// Whether it administers an organization.
    pub fn administers_organization(&self, organization: &str) -> bool {
        self.organizations.iter().any(|(id, is_admin)| *is_admin && **id == *organization)
    }

    /// Whether it is in an organization.
    pub fn is_in_organization(&self, organization: &str) -> bool {
        self.organizations.iter().any(|(id, _)| **id == *organization)
    }

    /// Whether its key or token is for a route.
    pub fn is_for(&self, call: &Call<'_>) -> bool {
        let key = self.key.as_ref().is_none_or(|key| key.reach.allows(call));
        key && self.routes.allow(call)
    }

    /// What its key is for.
    pub fn key_type(&self) -> KeyType {
        self.key.as_ref().map_or(KeyType::Default, |key| key.reach.key_type)
    }
}

/// The role of a user in a team by its list of members: `admin` or `user`; none where it is not in it.
pub fn role_in_team(team: &Record, user: &str) -> Option<String> {
    let members = team.member("members_with_roles")?;
    let mut members = members.as_array()?.iter();
    let member = members.find(|row| row.get("user_id").and_then(Value::as_str) == Some(user))?;
    Some(member.get("role").and_then(Value::as_str).unwrap_or("user").to_owned())
}

/// A user who has a place in the team, or is on its list, is in it; one who only says so is not. What the place says of the
/// role counts before the list.
fn membership(team: &Record, user: &str, directory: &Directory) -> Option<Membership> {
    let listed = role_in_team(team, user);
    let place = directory.get(Kind::Member, &member_id(&team.id, user));
    if listed.is_none() && place.is_none() {
        return None;
    }
    let role = place.and_then(|place| place.text("role")).or(listed);
    Some(Membership {
        team: Arc::clone(&team.id),
        is_admin: role.as_deref() == Some("admin"),
        permissions: team.document().texts("team_member_permissions").map(Into::into).collect(),
    })
}
