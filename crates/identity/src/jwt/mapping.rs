//! From what a token says to who calls, by LiteLLM's `litellm_jwtauth`.
//!
//! Owns the reading of claims and the choice of role. Leaves making users and teams that are not there yet to others.
//! **Invariant:** a token that a rule does not let in is nobody; no claim that is missing or of another form gives
//! anything.

use super::claims::Claims;
use crate::directory::Directory;
use crate::document::{BadMember, Document};
use crate::kind::Kind;
use crate::models::Models;
use crate::record::Record;
use crate::role::{Actor, Call, Role, Routes};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// An entry that stands for no route.
const NO_ROUTE: &str = "none";
/// The most bytes of an id that a token names.
const ID_MAX: usize = 256;

/// A role of the provider's, and what it is here (`role_mappings`, `jwt_litellm_role_map`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRow {
    /// The provider's; of `jwt_litellm_role_map` with stars.
    pub theirs: String,
    /// Ours.
    pub ours: Role,
}

/// A scope, and what it gives (`scope_mappings`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeRow {
    /// The scope.
    pub scope: String,
    /// The models; none for all.
    pub models: Vec<String>,
    /// The routes; none for all.
    pub routes: Vec<String>,
}

/// `litellm_jwtauth`: where in a token stands what. Every `..._field` is a path with dots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are LiteLLM's, which docs/configuration.md describes")]
pub struct JwtMapping {
    pub admin_jwt_scope: String,
    pub admin_allowed_routes: Vec<String>,
    pub team_allowed_routes: Vec<String>,
    pub team_id_jwt_field: Option<String>,
    pub team_ids_jwt_field: Option<String>,
    pub team_id_default: Option<String>,
    pub team_id_upsert: bool,
    pub org_id_jwt_field: Option<String>,
    pub user_id_jwt_field: Option<String>,
    pub user_email_jwt_field: Option<String>,
    pub user_allowed_email_domain: Option<String>,
    pub user_roles_jwt_field: Option<String>,
    pub user_allowed_roles: Vec<String>,
    pub user_id_upsert: bool,
    pub end_user_id_jwt_field: Option<String>,
    pub roles_jwt_field: Option<String>,
    pub role_mappings: Vec<RoleRow>,
    pub object_id_jwt_field: Option<String>,
    pub jwt_litellm_role_map: Vec<RoleRow>,
    pub scope_mappings: Vec<ScopeRow>,
    pub enforce_scope_based_access: bool,
    pub enforce_rbac: bool,
    pub enforce_team_based_model_access: bool,
    pub team_alias_jwt_field: Option<String>,
    pub org_alias_jwt_field: Option<String>,
    pub team_claim_fallback: bool,
    pub fallback_to_db_teams: bool,
}

impl Default for JwtMapping {
    /// LiteLLM's.
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            admin_jwt_scope: "litellm_proxy_admin".to_owned(),
            admin_allowed_routes: texts(&[
                "management_routes",
                "spend_tracking_routes",
                "global_spend_tracking_routes",
                "info_routes",
            ]),
            team_allowed_routes: texts(&[
                "openai_routes",
                "info_routes",
                "mcp_routes",
                "/v1/messages",
                "/v1/messages/count_tokens",
            ]),
            team_id_jwt_field: None,
            team_ids_jwt_field: None,
            team_id_default: None,
            team_id_upsert: false,
            org_id_jwt_field: None,
            user_id_jwt_field: None,
            user_email_jwt_field: None,
            user_allowed_email_domain: None,
            user_roles_jwt_field: None,
            user_allowed_roles: Vec::new(),
            user_id_upsert: false,
            end_user_id_jwt_field: None,
            roles_jwt_field: None,
            role_mappings: Vec::new(),
            object_id_jwt_field: None,
            jwt_litellm_role_map: Vec::new(),
            scope_mappings: Vec::new(),
            enforce_scope_based_access: false,
            enforce_rbac: false,
            enforce_team_based_model_access: false,
            team_alias_jwt_field: None,
            org_alias_jwt_field: None,
            team_claim_fallback: false,
            fallback_to_db_teams: false,
        }
    }
}

/// Why a verified token is nobody's, in words that begin as LiteLLM's do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// It names no user, no team and no role.
    #[error("Unmatched token passed in: it names no user, no team and no role that the gateway knows.")]
    Nobody,
    /// Its address is of another domain, or none.
    #[error("Email domain not allowed: the token's e-mail address is not of the domain that is let in.")]
    Domain,
    /// None of its roles is allowed.
    #[error("Unmatched token passed in: none of its roles is let in.")]
    Roles,
    /// None of its scopes gives anything.
    #[error("None of the token's scopes gives access.")]
    Scopes,
    /// It has to be of a team and is of none.
    #[error("No teams found in token. `enforce_team_based_model_access` is set to True.")]
    NoTeams,
    /// It has to say its team and does not.
    #[error("No team found in token. Checked team_id field '{0}'.")]
    NoTeam(String),
    /// Its teams are not known.
    #[error(
        "No team has access to the requested model: none of the token's teams is known. Checked teams={0:?}."
    )]
    Teams(Vec<String>),
    /// The team that is named is none of its teams.
    #[error("x-litellm-team-id '{0}' is no team that the token may call within.")]
    NotItsTeam(String),
    /// Its team is not there.
    #[error("Team doesn't exist in db. Team={0}. Create team via `/team/new` call.")]
    NoSuchTeam(String),
    /// Its organization is not there.
    #[error(
        "Organization doesn't exist in db. Organization={0}. Create organization via `/organization/new` call."
    )]
    NoSuchOrganization(String),
    /// Its user is not there.
    #[error("User doesn't exist in db. 'user_id'={0}. Create user via `/user/new` call.")]
    NoSuchUser(String),
    /// An id is too long, or has characters that are not seen.
    #[error("The token's {0} is no id.")]
    Id(&'static str),
}

/// Who calls, by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The role that the token gives by itself; that of a known user comes before it.
    pub role: Option<Role>,
    /// The user.
    pub user: Option<String>,
    /// Its address.
    pub email: Option<String>,
    /// The teams that it may call within, the preferred one first.
    pub teams: Vec<String>,
    /// Whether the first of them is the one, unless the caller names another.
    pub has_one_team: bool,
    /// The alias of the team, where it says none by its id.
    pub team_alias: Option<String>,
    /// The organization.
    pub organization: Option<String>,
    /// The alias of the organization, likewise.
    pub organization_alias: Option<String>,
    /// The end user.
    pub end_user: Option<String>,
    /// The models that its scopes give; none for all.
    pub models: Vec<String>,
    /// The routes that its scopes give; none for all.
    pub routes: Vec<String>,
    /// A name for the token's subject that no key has.
    pub digest: String,
    /// What the name was made of: SHA-256 of whom the token says that it is about.
    pub subject: [u8; 32],
}

impl JwtMapping {
    /// Who a verified token is.
    ///
    /// # Errors
    /// Where a rule does not let it in.
    pub fn identity(&self, claims: &Claims) -> Result<Identity, BadIdentity> {
        let text = |field: &Option<String>| claims.text(field.as_deref()?);
        let is_admin = claims.scopes().contains(&self.admin_jwt_scope);
        let email = text(&self.user_email_jwt_field);
        self.is_let_in(claims, email.as_deref(), is_admin)?;
        let object = text(&self.object_id_jwt_field);
        let mapped = self.mapped_role(claims);
        let of_role = |role: Role| object.clone().filter(|_| mapped == Some(role));
        // Where no claim is the user, the address is, as in LiteLLM.
        let by_email = || email.clone().filter(|_| self.user_id_jwt_field.is_none());
        let user = of_role(Role::InternalUser).or_else(|| text(&self.user_id_jwt_field)).or_else(by_email);
        let (teams, has_one_team) = self.teams(claims, of_role(Role::Team));
        let team_alias = text(&self.team_alias_jwt_field).filter(|_| teams.is_empty());
        let has_team = !teams.is_empty() || team_alias.is_some();
        let (models, routes) = self.scoped(claims, is_admin)?;
        let role = if is_admin {
            Some(Role::ProxyAdmin)
        } else {
            let named = if user.is_some() { Role::InternalUser } else { Role::Team };
            mapped.or_else(|| (user.is_some() || has_team).then_some(named))
        };
        let role = role.or_else(|| self.has_allowed_role(claims).then_some(Role::InternalUser));
        if role.is_none() {
            return Err(BadIdentity::Nobody);
        }
        if !has_team && !is_admin && !self.fallback_to_db_teams {
            if let Some(field) = &self.team_id_jwt_field {
                return Err(BadIdentity::NoTeam(field.clone()));
            }
            if self.enforce_team_based_model_access {
                return Err(BadIdentity::NoTeams);
            }
        }
        let subject = subject(claims, user.as_ref().or(teams.first()));
        let identity = Identity {
            role,
            user,
            email,
            teams,
            has_one_team,
            team_alias,
            organization: text(&self.org_id_jwt_field),
            organization_alias: text(&self.org_alias_jwt_field),
            end_user: text(&self.end_user_id_jwt_field),
            models,
            routes,
            digest: format!("jwt-{}", crate::secret::Token::of_digest(subject)),
            subject,
        };
        identity.checked()
    }

    /// The teams, and whether the first is the one: that of a role, else of the claim that is the team, else the usual one.
    fn teams(&self, claims: &Claims, of_role: Option<String>) -> (Vec<String>, bool) {
        let one = of_role.or_else(|| claims.text(self.team_id_jwt_field.as_deref()?));
        let many = self.team_ids_jwt_field.iter().flat_map(|field| claims.texts(field));
        let mut teams: Vec<String> = one.iter().cloned().chain(many).collect();
        let is_usual = teams.is_empty() && self.team_id_default.is_some();
        if is_usual {
            teams.extend(self.team_id_default.clone());
        }
        let mut seen = std::collections::BTreeSet::new();
        teams.retain(|team| seen.insert(team.clone()));
        (teams, one.is_some() || is_usual)
    }

    /// The first role that the provider's roles stand for.
    fn mapped_role(&self, claims: &Claims) -> Option<Role> {
        let theirs = claims.texts(self.roles_jwt_field.as_deref()?);
        let fixed = self.role_mappings.iter().find(|row| theirs.contains(&row.theirs));
        let is_like =
            |row: &RoleRow, role: &str| Models::new([row.theirs.as_str()]).allow(std::iter::once(role));
        let pattern = |row: &&RoleRow| theirs.iter().any(|role| is_like(row, role));
        fixed.or_else(|| self.jwt_litellm_role_map.iter().find(pattern)).map(|row| row.ours)
    }

    fn has_allowed_role(&self, claims: &Claims) -> bool {
        let roles = self.user_roles_jwt_field.as_deref().map(|field| claims.texts(field)).unwrap_or_default();
        roles.iter().any(|role| self.user_allowed_roles.contains(role))
    }

    /// Domain and roles. An administrator's scope is enough, as in LiteLLM.
    fn is_let_in(&self, claims: &Claims, email: Option<&str>, is_admin: bool) -> Result<(), BadIdentity> {
        if is_admin {
            return Ok(());
        }
        if let Some(domain) = &self.user_allowed_email_domain {
            let theirs = email.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
            if !theirs.is_some_and(|theirs| theirs.eq_ignore_ascii_case(domain)) {
                return Err(BadIdentity::Domain);
            }
        }
        if !self.user_allowed_roles.is_empty() && !self.has_allowed_role(claims) {
            return Err(BadIdentity::Roles);
        }
        if self.enforce_rbac && !self.role_mappings.is_empty() && self.mapped_role(claims).is_none() {
            return Err(BadIdentity::Roles);
        }
        Ok(())
    }

    /// The models and routes of the token's scopes.
    fn scoped(&self, claims: &Claims, is_admin: bool) -> Result<(Vec<String>, Vec<String>), BadIdentity> {
        if !self.enforce_scope_based_access || is_admin {
            return Ok((Vec::new(), Vec::new()));
        }
        let scopes = claims.scopes();
        let rows = || self.scope_mappings.iter().filter(|row| scopes.contains(&row.scope));
        if rows().next().is_none() {
            return Err(BadIdentity::Scopes);
        }
        // One scope that gives all gives all.
        let all = |of: fn(&ScopeRow) -> &Vec<String>| -> Vec<String> {
            if rows().any(|row| of(row).is_empty()) {
                Vec::new()
            } else {
                rows().flat_map(of).cloned().collect()
            }
        };
        Ok((all(|row| &row.models), all(|row| &row.routes)))
    }

    /// The routes that a token is narrowed to, by what it calls as and by its scopes.
    fn routes(&self, identity: &Identity, within: Option<&str>) -> Vec<String> {
        if identity.role == Some(Role::ProxyAdmin) {
            return self.admin_allowed_routes.clone();
        }
        // A team that the token does not name is its user's, and narrows nothing.
        let is_named = within.is_some_and(|within| identity.teams.iter().any(|team| team == within));
        let of_team = if is_named { self.team_allowed_routes.as_slice() } else { &[] };
        both(of_team, &identity.routes)
    }

    /// Who calls over the admin API. `within` is one of the token's teams, of which there has to be a record.
    pub fn actor(&self, identity: &Identity, within: Option<&str>, directory: &Directory) -> Actor {
        let routes = self.routes(identity, within);
        let routes = Routes::new(routes.iter().map(String::as_str));
        if identity.role == Some(Role::ProxyAdmin) {
            let mut actor = Actor::of_role(Role::ProxyAdmin, None, routes, directory);
            actor.user = identity.user.as_deref().map(Into::into);
            return actor;
        }
        let within = within.map(Arc::<str>::from);
        match identity.user.as_deref().and_then(|user| directory.get(Kind::User, user)) {
            Some(user) => Actor::of_user(user, within, routes, directory),
            None => Actor::of_role(identity.role.unwrap_or(Role::Customer), within, routes, directory),
        }
    }

    /// Whether tokens that call within one of their teams may call a route.
    pub fn is_for_teams(&self, call: &Call<'_>) -> bool {
        Routes::new(self.team_allowed_routes.iter().map(String::as_str)).allow(call)
    }

    /// The key that a token stands for while it is valid: it has what follows from the claims, and its user, team and
    /// organization stand above it. It is in no database. A team that is in an organization brings that one along.
    ///
    /// # Errors
    /// Where it cannot be read as one, which its making rules out.
    pub fn key(&self, identity: &Identity, within: Option<&Record>) -> Result<Record, BadMember> {
        let of_team = within.is_some_and(|team| team.parents.organization.is_some());
        let organization = identity.organization.as_deref().filter(|_| !of_team);
        let within = within.map(|team| &*team.id);
        let document = json!({
            "token": identity.digest,
            "user_id": identity.user,
            "team_id": within,
            "organization_id": organization,
            "models": identity.models,
            "allowed_routes": self.routes(identity, within),
        });
        let Value::Object(members) = document else { return Err(BadMember::new("token", "is no object")) };
        let members = members.into_iter().filter(|(_, value)| !value.is_null()).collect();
        Record::read(Kind::Key, &identity.digest, 1, &Document(members))
    }
}

impl Identity {
    fn checked(self) -> Result<Self, BadIdentity> {
        let is_id = |id: &String| id.len() <= ID_MAX && !id.chars().any(char::is_control);
        let texts = [
            ("user", self.user.iter().collect::<Vec<_>>()),
            ("e-mail address", self.email.iter().collect()),
            ("team", self.teams.iter().collect()),
            ("organization", self.organization.iter().chain(&self.organization_alias).collect()),
            ("team's alias", self.team_alias.iter().collect()),
            ("end user", self.end_user.iter().collect()),
        ];
        let bad = texts.iter().find(|(_, ids)| !ids.iter().all(|id| is_id(id))).map(|(name, _)| *name);
        bad.map_or(Ok(self), |name| Err(BadIdentity::Id(name)))
    }

    /// The teams that there are to call within, the preferred one first: the one that the token says, else all of them.
    /// None where the token has no team.
    ///
    /// # Errors
    /// Where it has teams and none of them is known.
    pub fn known_teams<'a>(&self, directory: &'a Directory) -> Result<Vec<&'a Arc<Record>>, BadIdentity> {
        let known: Vec<_> = self.teams.iter().filter_map(|team| directory.get(Kind::Team, team)).collect();
        match self.teams.first() {
            Some(first) if self.has_one_team && known.first().is_none_or(|team| *team.id != **first) => {
                Err(BadIdentity::NoSuchTeam(first.clone()))
            }
            Some(_) if known.is_empty() => Err(BadIdentity::Teams(self.teams.clone())),
            _ => Ok(known),
        }
    }
}

/// The routes that two lists both allow, as far as their entries lie within each other.
fn both(one: &[String], other: &[String]) -> Vec<String> {
    if one.is_empty() || other.is_empty() {
        return one.iter().chain(other).cloned().collect();
    }
    let routes = |list: &[String]| Routes::new(list.iter().map(String::as_str));
    let within = |list: &[String], other: &Routes| -> Vec<String> {
        let inner = list.iter().filter(|entry| Routes::new([entry.as_str()]).are_within(other));
        inner.cloned().collect()
    };
    let mut both = within(one, &routes(other));
    both.extend(within(other, &routes(one)));
    // A list without entries would be all routes.
    if both.is_empty() { vec![NO_ROUTE.to_owned()] } else { both }
}

/// What a token's subject is known by: whom its provider means, and whom the gateway takes it for.
fn subject(claims: &Claims, taken_for: Option<&String>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let said = ["iss", "sub", "azp", "client_id"].map(|name| claims.get(name).map(Value::to_string));
    for value in said.into_iter().chain([taken_for.cloned()]).map(Option::unwrap_or_default) {
        // The length before each, so that no two subjects are written alike.
        hash.update(value.len().to_be_bytes());
        hash.update(value.as_bytes());
    }
    hash.finalize().into()
}
