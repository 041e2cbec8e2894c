//! What the configuration says of tokens, in the words of those who check and read them.

use crate::build::BuildError;
use std::sync::Arc;
use tollgate_config::{JwtIssuer, JwtSettings, Unregistered};
use tollgate_identity::jwt::{Issuer, JwtMapping, RoleRow, ScopeRow};
use tollgate_identity::role::{Role, Routes};
use tollgate_oidc::{Address, Source};

/// Where the settings stand.
const PLACE: &str = "general_settings.litellm_jwtauth";

/// How one issuer's tokens are read.
#[derive(Debug)]
pub(super) struct Rules {
    /// Whose tokens; none where issuers are not told apart.
    pub(super) issuer: Option<String>,
    /// Whether they are for tokens that no others are for.
    pub(super) is_fallback: bool,
    /// What their claims mean.
    pub(super) mapping: JwtMapping,
    /// What may be called within a team that a token says.
    pub(super) team_routes: Routes,
    /// The claim that stands for a key.
    pub(super) virtual_key: Option<String>,
    /// What becomes of tokens whose claim stands for none.
    pub(super) unregistered: Unregistered,
}

/// Whose tokens are taken, and where their keys are.
///
/// # Errors
/// Where an address cannot be used.
pub(super) fn sources(settings: &JwtSettings) -> Result<Vec<Source>, BuildError> {
    let address = |issuer: &JwtIssuer| -> Result<Vec<Address>, _> {
        let named = issuer.issuer.as_deref().filter(|_| !issuer.is_fallback);
        match named.filter(|_| issuer.key_urls.is_empty()) {
            Some(named) => Ok(vec![Address::of_issuer(named)?]),
            None => issuer.key_urls.iter().map(|url| Address::parse(url, None)).collect(),
        }
    };
    let source = |issuer: &JwtIssuer| {
        let addresses = address(issuer)
            .map_err(|bad: tollgate_oidc::BadSource| BuildError::of_endpoint(PLACE, bad.to_string()))?;
        let checked = Issuer { issuer: issuer.issuer.clone(), audiences: issuer.audiences.clone() };
        Ok(Source { issuer: checked, addresses, is_fallback: issuer.is_fallback })
    };
    settings.issuers.iter().map(source).collect()
}

/// How the tokens of each issuer are read.
pub(super) fn rules(settings: &JwtSettings) -> Vec<Arc<Rules>> {
    let rules = |issuer: &JwtIssuer| {
        let mapping = mapping(settings, issuer);
        let team_routes = Routes::new(mapping.team_allowed_routes.iter().map(String::as_str));
        let (virtual_key, unregistered) = (issuer.fields.virtual_key.clone(), issuer.unregistered);
        let (issuer, is_fallback) = (issuer.issuer.clone(), issuer.is_fallback);
        Arc::new(Rules { issuer, is_fallback, mapping, team_routes, virtual_key, unregistered })
    };
    settings.issuers.iter().map(rules).collect()
}

fn mapping(settings: &JwtSettings, issuer: &JwtIssuer) -> JwtMapping {
    let fields = issuer.fields.clone();
    let roles = |rows: &[(String, String)]| {
        // The words were checked when the configuration was read.
        let row = |(theirs, ours): &(String, String)| {
            Some(RoleRow { theirs: theirs.clone(), ours: Role::from_word(ours)? })
        };
        rows.iter().filter_map(row).collect()
    };
    let scopes = settings.scope_mappings.iter().map(|row| ScopeRow {
        scope: row.scope.clone(),
        models: row.models.clone(),
        routes: row.routes.clone(),
    });
    JwtMapping {
        admin_jwt_scope: settings.admin_jwt_scope.clone(),
        admin_allowed_routes: settings.admin_allowed_routes.clone(),
        team_allowed_routes: settings.team_allowed_routes.clone(),
        team_id_jwt_field: fields.team_id,
        team_ids_jwt_field: fields.team_ids,
        team_id_default: settings.team_id_default.clone(),
        team_id_upsert: settings.team_id_upsert,
        org_id_jwt_field: fields.org_id,
        user_id_jwt_field: fields.user_id,
        user_email_jwt_field: fields.user_email,
        user_allowed_email_domain: settings.user_allowed_email_domain.clone(),
        user_roles_jwt_field: settings.user_roles_jwt_field.clone(),
        user_allowed_roles: settings.user_allowed_roles.clone(),
        user_id_upsert: settings.user_id_upsert,
        end_user_id_jwt_field: fields.end_user_id,
        roles_jwt_field: settings.roles_jwt_field.clone(),
        role_mappings: roles(&settings.role_mappings),
        object_id_jwt_field: settings.object_id_jwt_field.clone(),
        jwt_litellm_role_map: roles(&settings.jwt_litellm_role_map),
        scope_mappings: scopes.collect(),
        enforce_scope_based_access: settings.enforce_scope_based_access,
        enforce_rbac: settings.enforce_rbac,
        enforce_team_based_model_access: settings.enforce_team_based_model_access,
        team_alias_jwt_field: fields.team_alias,
        org_alias_jwt_field: fields.org_alias,
        team_claim_fallback: settings.team_claim_fallback,
        fallback_to_db_teams: settings.fallback_to_db_teams,
    }
}
