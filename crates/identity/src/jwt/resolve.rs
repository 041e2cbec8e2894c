//! Whom a token names, among the records: teams and organizations by their aliases, and its user's teams where it says none
//! that is there.
//!
//! Owns `team_alias_jwt_field`, `org_alias_jwt_field`, `team_claim_fallback` and `fallback_to_db_teams`. Leaves what the
//! claims say to `mapping`.
//!
//! **Invariant:** an alias that several have is nobody's. **Invariant:** a team that comes of no claim is one that its user
//! is in already.

use super::mapping::{BadIdentity, Identity, JwtMapping};
use crate::directory::Directory;
use crate::kind::Kind;
use crate::record::Record;
use crate::role::Role;
use std::sync::Arc;

impl JwtMapping {
    /// The same identity with the teams and the organization that it has here.
    ///
    /// # Errors
    /// Where an alias is nobody's.
    pub fn resolved(&self, identity: &Identity, directory: &Directory) -> Result<Identity, BadIdentity> {
        let mut identity = identity.clone();
        if identity.role == Some(Role::ProxyAdmin) {
            return Ok(identity);
        }
        if let Some(alias) = identity.organization_alias.take().filter(|_| identity.organization.is_none()) {
            let known = of_alias(directory, Kind::Organization, &alias);
            let id = known.ok_or(BadIdentity::NoSuchOrganization(alias))?.id.as_ref();
            identity.organization = Some(id.to_owned());
        }
        let says_team = !identity.teams.is_empty() || identity.team_alias.is_some();
        if let Some(alias) = identity.team_alias.take() {
            match of_alias(directory, Kind::Team, &alias) {
                Some(team) => (identity.teams, identity.has_one_team) = (vec![team.id.to_string()], true),
                None if self.team_claim_fallback => {}
                None => return Err(BadIdentity::NoSuchTeam(alias)),
            }
        }
        if !says_team && self.fallback_to_db_teams {
            identity.teams = self.teams_of_user(&identity, directory);
        } else if says_team && self.team_claim_fallback && !self.is_there(&identity, directory) {
            let mut own = self.teams_of_user(&identity, directory);
            // Of several nobody knows which is meant; the refusal is that of the claim.
            if own.len() == 1 {
                (identity.teams, identity.has_one_team) = (std::mem::take(&mut own), true);
            } else if identity.teams.is_empty() {
                return Err(BadIdentity::NoTeams);
            }
        }
        Ok(identity)
    }

    /// Whether a team that the token says is there, or will be made.
    fn is_there(&self, identity: &Identity, directory: &Directory) -> bool {
        let is_known = |id: &String| directory.get(Kind::Team, id).is_some();
        match identity.teams.first() {
            Some(first) if identity.has_one_team => self.team_id_upsert || is_known(first),
            _ => identity.teams.iter().any(is_known),
        }
    }

    fn teams_of_user(&self, identity: &Identity, directory: &Directory) -> Vec<String> {
        let Some(user) = identity.user.as_deref().and_then(|id| user_named(directory, id)) else {
            return Vec::new();
        };
        let known = Identity { user: Some(user.id.to_string()), ..identity.clone() };
        let teams = self.actor(&known, None, directory).teams;
        teams.into_iter().map(|membership| membership.team.to_string()).collect()
    }
}

/// The user of this id, else the one whom the provider knows by it.
pub fn user_named<'a>(directory: &'a Directory, id: &str) -> Option<&'a Arc<Record>> {
    let is_its_name = |user: &&Arc<Record>| user.sso_id() == Some(id);
    directory.get(Kind::User, id).or_else(|| directory.all(Kind::User).find(is_its_name))
}

/// The only record of a kind that has this alias.
fn of_alias<'a>(directory: &'a Directory, kind: Kind, alias: &str) -> Option<&'a Arc<Record>> {
    let mut found = directory.all(kind).filter(|record| record.alias() == Some(alias));
    found.next().filter(|_| found.next().is_none())
}
