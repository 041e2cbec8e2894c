//! Whom a token stands for, among the records as they are: the keys that it would be, one for each of its teams.
//!
//! **Invariant:** a user or a team that a token says and that is not there gives nobody anything: the token is refused.

use super::bearer::Bearer;
use super::rules::Rules;
use crate::auth::Visit;
use crate::error::Rejection;
use std::sync::Arc;
use tollgate_identity::jwt::{BadIdentity, Identity, user_named};
use tollgate_identity::role::{Groups, Role};
use tollgate_identity::{Directory, Kind, Record};

/// The header that says within which of its teams a token calls: by its id, or by its alias where that is one team's.
const TEAM_HEADER: &str = "x-litellm-team-id";

/// Whom a token stands for.
#[derive(Debug)]
pub(super) struct Passport {
    pub(super) rules: Arc<Rules>,
    pub(super) identity: Identity,
    /// What it would be as a key of each team that it says and that is there, the preferred one first.
    pub(super) within: Vec<Arc<Record>>,
    /// Why there is none of those, where it says some.
    gone: Option<BadIdentity>,
    /// What it would be outside of those.
    pub(super) alone: Arc<Record>,
    /// The change of the records up to which this is so.
    pub(super) as_of: i64,
}

impl Passport {
    /// Whom a token stands for, where all whom it names are there.
    ///
    /// # Errors
    /// Who is not.
    pub(super) fn new(
        rules: &Arc<Rules>,
        mut identity: Identity,
        directory: &Directory,
        as_of: i64,
    ) -> Result<Self, BadIdentity> {
        let is_admin = identity.role == Some(Role::ProxyAdmin);
        if let Some(id) = identity.user.take() {
            match user_named(directory, &id) {
                Some(user) => identity.user = Some(user.id.as_ref().to_owned()),
                // An administrator is one by its scope alone.
                None if is_admin => identity.user = Some(id),
                None => return Err(BadIdentity::NoSuchUser(id)),
            }
        }
        let (teams, gone) = match identity.known_teams(directory) {
            _ if is_admin => (Vec::new(), None),
            Ok(teams) => (teams, None),
            Err(gone @ BadIdentity::Teams(_)) => (Vec::new(), Some(gone)),
            Err(bad) => return Err(bad),
        };
        let key = |team: Option<&Record>| {
            let key = rules.mapping.key(&identity, team);
            key.map(Arc::new).map_err(|_| BadIdentity::Id("subject"))
        };
        let within = teams.iter().map(|team| key(Some(team))).collect::<Result<Vec<_>, _>>()?;
        let own = only_team(rules, &identity, directory).filter(|_| identity.teams.is_empty() && !is_admin);
        let alone = key(own.map(AsRef::as_ref))?;
        Ok(Self { rules: Arc::clone(rules), within, gone, alone, as_of, identity })
    }

    /// Who calls with it on this visit.
    ///
    /// # Errors
    /// Where none of its teams is there, or not the one that the visit names.
    pub(super) fn bearer(
        self: &Arc<Self>,
        directory: &Directory,
        visit: &Visit<'_>,
    ) -> Result<Bearer, Rejection> {
        let (key, is_open) = self.key(directory, visit).map_err(|bad| Rejection::token_is_nobodys(&bad))?;
        Ok(Bearer::new(self, directory.above(&key), is_open))
    }

    /// As which key it calls on this visit, and whether another of its teams may come into its place.
    fn key(&self, directory: &Directory, visit: &Visit<'_>) -> Result<(Arc<Record>, bool), BadIdentity> {
        let call = visit.call();
        let is_model_call = call.groups.meet(Groups::LLM_API);
        let named = visit.headers.get(TEAM_HEADER).map(|name| name.to_str().unwrap_or_default());
        if self.identity.role == Some(Role::ProxyAdmin) {
            let team = named.filter(|_| is_model_call).and_then(|name| team(directory, name));
            let key = team.and_then(|team| self.rules.mapping.key(&self.identity, Some(team)).ok());
            return Ok((key.map_or_else(|| Arc::clone(&self.alone), Arc::new), false));
        }
        if let Some(name) = named.filter(|name| !name.is_empty()) {
            let id = team(directory, name).map(|team| &team.id);
            let key = self.within.iter().find(|key| id.is_some() && key.parents.team.as_ref() == id);
            let bad = || BadIdentity::NotItsTeam(name.chars().take(256).collect());
            return key.map(|key| (Arc::clone(key), false)).ok_or_else(bad);
        }
        let has_one_team = self.identity.has_one_team;
        let is_teams = has_one_team || is_model_call || self.rules.team_routes.allow(&call);
        match (self.within.first(), &self.gone) {
            (Some(first), _) if is_teams => Ok((Arc::clone(first), self.within.len() > 1 && !has_one_team)),
            (None, Some(gone)) if is_model_call => Err(gone.clone()),
            // What is no affair of teams its user does by itself.
            _ => Ok((Arc::clone(&self.alone), false)),
        }
    }
}

/// The team of this id, else the only one of this alias.
fn team<'a>(directory: &'a Directory, name: &str) -> Option<&'a Arc<Record>> {
    directory.get(Kind::Team, name).or_else(|| {
        let mut of_alias = directory.all(Kind::Team).filter(|team| team.alias() == Some(name));
        of_alias.next().filter(|_| of_alias.next().is_none())
    })
}

/// The team of a user who is in no other: its calls are the team's where the token says none.
fn only_team<'a>(rules: &Rules, identity: &Identity, directory: &'a Directory) -> Option<&'a Arc<Record>> {
    let actor = rules.mapping.actor(identity, None, directory);
    match actor.teams.as_slice() {
        [only] => directory.get(Kind::Team, &only.team),
        _ => None,
    }
}
