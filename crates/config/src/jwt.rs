//! Whose bearer tokens are taken, and what their claims stand for.
//!
//! Owns: `enable_jwt_auth`, `litellm_jwtauth` and LiteLLM's three variables. Leaves to others: fetching keys (oidc),
//! checking tokens and reading claims (identity).
//!
//! **Invariant:** a token's audience is looked at, unless it is written that it is not, or said that nothing says which.

use std::time::Duration;

use crate::access::routes;
use crate::environment::Environment;
use crate::keys::{general, jwt};
use crate::report::{Collector, printable};
use crate::section::{Section, texts_of};
use crate::yaml::{Node, Place};

/// LiteLLM's time that keys are used.
const PUBLIC_KEY_TTL: Duration = Duration::from_secs(600);
/// LiteLLM's time that they are used beyond it.
const PUBLIC_KEY_STALE_TTL: Duration = Duration::from_secs(3_600);
/// Where the keys are of tokens whose issuer is not among `issuers`; several with commas between.
const PUBLIC_KEY_URL: &str = "JWT_PUBLIC_KEY_URL";
/// For whom such tokens are.
const AUDIENCE: &str = "JWT_AUDIENCE";
/// Whose they are.
const ISSUER: &str = "JWT_ISSUER";

/// All about bearer tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// Whose tokens are taken.
    pub issuers: Vec<JwtIssuer>,
    /// Time that keys are used before they are fetched anew.
    pub public_key_ttl: Duration,
    /// Time that they are used beyond it while that fails.
    pub public_key_stale_ttl: Duration,
    /// The scope of administrators.
    pub admin_jwt_scope: String,
    /// Routes and groups of them for administrators.
    pub admin_allowed_routes: Vec<String>,
    /// The same for those that call within a team.
    pub team_allowed_routes: Vec<String>,
    /// The team of who names none.
    pub team_id_default: Option<String>,
    /// Teams that are not there are made.
    pub team_id_upsert: bool,
    /// Users that are not there are made.
    pub user_id_upsert: bool,
    /// The domain of e-mail addresses.
    pub user_allowed_email_domain: Option<String>,
    /// The claim that the following is held against.
    pub user_roles_jwt_field: Option<String>,
    /// Roles of which a token has one.
    pub user_allowed_roles: Vec<String>,
    /// The claim of roles that are mapped.
    pub roles_jwt_field: Option<String>,
    /// Their role, and LiteLLM's word for ours.
    pub role_mappings: Vec<(String, String)>,
    /// The same, `*` in theirs for any text.
    pub jwt_litellm_role_map: Vec<(String, String)>,
    /// The claim that is the user or the team, by the role.
    pub object_id_jwt_field: Option<String>,
    /// Whoever's roles are not mapped is refused.
    pub enforce_rbac: bool,
    /// What scopes give.
    pub scope_mappings: Vec<JwtScope>,
    /// Whoever has none of these scopes is refused.
    pub enforce_scope_based_access: bool,
    /// Whoever has no team is refused.
    pub enforce_team_based_model_access: bool,
    /// Whose teams are not there calls within the only one of its user's.
    pub team_claim_fallback: bool,
    /// Who says no team may call within any of its user's.
    pub fallback_to_db_teams: bool,
}

/// One whose tokens are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwtIssuer {
    /// `iss`; not looked at where there is none.
    pub issuer: Option<String>,
    /// Where its keys are; by the issuer's discovery document where there is none.
    pub key_urls: Vec<String>,
    /// `aud` is one of these; not looked at where there is none.
    pub audiences: Vec<String>,
    /// Where in its tokens what stands.
    pub fields: JwtFields,
    /// What becomes of tokens whose claim stands for no key.
    pub unregistered: Unregistered,
    /// Whether it is for tokens that no other is for.
    pub is_fallback: bool,
}

/// What becomes of a token whose claim stands for no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unregistered {
    /// It goes by its user and team.
    #[default]
    Fallback,
    /// It is refused.
    Reject,
    /// A key is made for it.
    AutoRegister,
}

impl Unregistered {
    fn read(section: &Section<'_>, other: Self) -> Self {
        match section.text("unregistered_jwt_client_behavior").as_deref() {
            Some("fallback_team_mapping") => Self::Fallback,
            Some("reject") => Self::Reject,
            Some("auto_register") => Self::AutoRegister,
            _ => other,
        }
    }
}

/// The claims of a token, each a path with dots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwtFields {
    /// The user.
    pub user_id: Option<String>,
    /// Its e-mail address.
    pub user_email: Option<String>,
    /// The team.
    pub team_id: Option<String>,
    /// The teams.
    pub team_ids: Option<String>,
    /// The organization.
    pub org_id: Option<String>,
    /// The end user.
    pub end_user_id: Option<String>,
    /// The alias of the team.
    pub team_alias: Option<String>,
    /// The alias of the organization.
    pub org_alias: Option<String>,
    /// What stands for a key.
    pub virtual_key: Option<String>,
}

/// What a scope gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwtScope {
    /// The scope.
    pub scope: String,
    /// The models; all where there is none.
    pub models: Vec<String>,
    /// The routes; all where there is none.
    pub routes: Vec<String>,
}

impl JwtFields {
    /// The fields of a section, and where it says nothing, others.
    fn read(section: &Section<'_>, others: &Self) -> Self {
        let field = |name: &'static str, other: &Option<String>| section.text(name).or_else(|| other.clone());
        Self {
            user_id: field("user_id_jwt_field", &others.user_id),
            user_email: field("user_email_jwt_field", &others.user_email),
            team_id: field("team_id_jwt_field", &others.team_id),
            team_ids: field("team_ids_jwt_field", &others.team_ids),
            org_id: field("org_id_jwt_field", &others.org_id),
            end_user_id: field("end_user_id_jwt_field", &others.end_user_id),
            team_alias: field("team_alias_jwt_field", &others.team_alias),
            org_alias: field("org_alias_jwt_field", &others.org_alias),
            virtual_key: field("virtual_key_claim_field", &others.virtual_key),
        }
    }

    fn names_somebody(&self) -> bool {
        // Where no claim is the user, the address is.
        let users = [&self.user_id, &self.user_email, &self.virtual_key];
        let teams = [&self.team_id, &self.team_ids, &self.team_alias];
        users.iter().chain(&teams).any(|field| field.is_some())
    }
}

impl JwtSettings {
    /// Resolves a checked configuration; none where no tokens are taken.
    pub(crate) fn resolve(
        root: &Node,
        has_master_key: bool,
        environment: &Environment<'_>,
        found: &mut Collector,
    ) -> Option<Self> {
        let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
        let section = general.section("litellm_jwtauth", jwt::AUTH);
        let is_on = general.flag("enable_jwt_auth").unwrap_or(false);
        let place = general.place("enable_jwt_auth").unwrap_or(root.place);
        let settings = Self::read(&section, environment, place, found);
        if !is_on {
            if let Some(place) = general.place("litellm_jwtauth") {
                let message = "has no effect without general_settings.enable_jwt_auth";
                found.warning(place, &general.path_of("litellm_jwtauth"), message);
            }
            return None;
        }
        let path = general.path_of("enable_jwt_auth");
        if !has_master_key {
            let message =
                "needs general_settings.master_key: without one nobody is asked for a key or a token";
            found.error(place, &path, message);
        }
        if settings.issuers.is_empty() {
            let message = "needs JWT_PUBLIC_KEY_URL in the environment, or litellm_jwtauth.issuers";
            found.error(place, &path, message);
        }
        settings.warn_of_what_is_open(place, &path, found);
        Some(settings)
    }

    fn read(
        section: &Section<'_>,
        environment: &Environment<'_>,
        place: Place,
        found: &mut Collector,
    ) -> Self {
        let fields = JwtFields::read(section, &JwtFields::default());
        let unregistered = Unregistered::read(section, Unregistered::Fallback);
        let mut issuers = issuers(section, (&fields, unregistered), found);
        let other = fallback(fields, environment, place, found);
        issuers.extend(other.map(|issuer| JwtIssuer { unregistered, ..issuer }));
        let pairs = |name: &'static str, theirs: &'static str, ours: &'static str, found: &mut Collector| {
            let table = if name == "role_mappings" { jwt::ROLE } else { jwt::ROLE_PATTERN };
            let row = |node| Section::new(Some(node), table, &section.path_of(name));
            let rows = section.items(name).iter().map(|node| (row(node), node.place));
            rows.filter_map(|(row, place)| pair(&row, place, [theirs, ours], found)).collect::<Vec<_>>()
        };
        // Known at once, whatever it says.
        let _ = section.seconds("virtual_key_mapping_cache_ttl");
        Self {
            public_key_ttl: section.seconds("public_key_ttl").unwrap_or(PUBLIC_KEY_TTL),
            public_key_stale_ttl: section.seconds("public_key_stale_ttl").unwrap_or(PUBLIC_KEY_STALE_TTL),
            admin_jwt_scope: section
                .text("admin_jwt_scope")
                .unwrap_or_else(|| "litellm_proxy_admin".to_owned()),
            admin_allowed_routes: routes_or(section, "admin_allowed_routes", ADMIN_ROUTES, found),
            team_allowed_routes: routes_or(section, "team_allowed_routes", TEAM_ROUTES, found),
            team_id_default: section.text("team_id_default"),
            team_id_upsert: section.flag("team_id_upsert").unwrap_or(false),
            user_id_upsert: section.flag("user_id_upsert").unwrap_or(false),
            user_allowed_email_domain: section.text("user_allowed_email_domain"),
            user_roles_jwt_field: section.text("user_roles_jwt_field"),
            user_allowed_roles: section.texts("user_allowed_roles"),
            roles_jwt_field: section.text("roles_jwt_field"),
            role_mappings: pairs("role_mappings", "role", "internal_role", found),
            jwt_litellm_role_map: pairs("jwt_litellm_role_map", "jwt_role", "litellm_role", found),
            object_id_jwt_field: section.text("object_id_jwt_field"),
            enforce_rbac: section.flag("enforce_rbac").unwrap_or(false),
            scope_mappings: scopes(section, found),
            enforce_scope_based_access: section.flag("enforce_scope_based_access").unwrap_or(false),
            enforce_team_based_model_access: section.flag("enforce_team_based_model_access").unwrap_or(false),
            team_claim_fallback: section.flag("team_claim_fallback").unwrap_or(false),
            fallback_to_db_teams: section.flag("fallback_to_db_teams").unwrap_or(false),
            issuers,
        }
    }

    /// What lets in more than may be meant, or nobody.
    fn warn_of_what_is_open(&self, place: Place, path: &str, found: &mut Collector) {
        let is_open = |issuer: &&JwtIssuer| issuer.is_fallback && issuer.audiences.is_empty();
        if self.issuers.iter().any(|issuer| is_open(&issuer)) {
            let message =
                "without JWT_AUDIENCE, tokens that the provider made for other applications are taken too";
            found.warning(place, path, message);
        }
        let by_role = self.roles_jwt_field.is_some() || !self.user_allowed_roles.is_empty();
        let names_somebody = self.issuers.iter().any(|issuer| issuer.fields.names_somebody());
        if !names_somebody && !by_role && self.team_id_default.is_none() && !self.issuers.is_empty() {
            let message = "no claim is the user or the team, so that administrators' tokens alone are taken: \
                           set litellm_jwtauth.user_id_jwt_field or team_id_jwt_field";
            found.warning(place, path, message);
        }
    }
}

const ADMIN_ROUTES: &[&str] =
    &["management_routes", "spend_tracking_routes", "global_spend_tracking_routes", "info_routes"];
const TEAM_ROUTES: &[&str] =
    &["openai_routes", "info_routes", "mcp_routes", "/v1/messages", "/v1/messages/count_tokens"];

fn routes_or(
    section: &Section<'_>,
    name: &'static str,
    default: &[&str],
    found: &mut Collector,
) -> Vec<String> {
    if section.place(name).is_none() {
        return default.iter().map(|route| (*route).to_owned()).collect();
    }
    routes(section, name, found)
}

/// Two words of a row, both of which are needed.
fn pair(
    row: &Section<'_>,
    place: Place,
    [theirs, ours]: [&'static str; 2],
    found: &mut Collector,
) -> Option<(String, String)> {
    let mut needed = |name: &'static str| {
        let text = row.text(name).filter(|text| !text.is_empty());
        if text.is_none() {
            found.error(place, &row.path_of(name), "is missing");
        }
        text
    };
    let (theirs, ours) = (needed(theirs), needed(ours));
    Some((theirs?, ours?))
}

fn scopes(section: &Section<'_>, found: &mut Collector) -> Vec<JwtScope> {
    const NAME: &str = "scope_mappings";
    let mut all = Vec::new();
    for node in section.items(NAME) {
        let row = Section::new(Some(node), jwt::SCOPE, &section.path_of(NAME));
        let routes = routes(&row, "routes", found);
        match row.text("scope").filter(|scope| !scope.is_empty()) {
            Some(scope) => all.push(JwtScope { scope, models: row.texts("models"), routes }),
            None => found.error(node.place, &row.path_of("scope"), "is missing"),
        }
    }
    all
}

fn issuers(
    section: &Section<'_>,
    (fields, unregistered): (&JwtFields, Unregistered),
    found: &mut Collector,
) -> Vec<JwtIssuer> {
    const NAME: &str = "issuers";
    let mut all: Vec<JwtIssuer> = Vec::new();
    for node in section.items(NAME) {
        let row = Section::new(Some(node), jwt::ISSUER, &section.path_of(NAME));
        let fields = JwtFields::read(&row, fields);
        let audiences = row.node("audience").map(|node| match node.text() {
            Some(text) => vec![text.to_owned()],
            None => texts_of(node),
        });
        let is_open = row.flag("disable_audience_validation").unwrap_or(false);
        let audiences = audiences.unwrap_or_default();
        let key_urls: Vec<String> = row.text("jwks_url").into_iter().collect();
        let Some(issuer) = row.text("issuer").filter(|issuer| !issuer.is_empty()) else {
            found.error(node.place, &row.path_of("issuer"), "is missing");
            continue;
        };
        if audiences.is_empty() != is_open {
            let message = "needs either an audience or disable_audience_validation: true";
            found.error(node.place, &row.path_of("audience"), message);
        }
        if key_urls.is_empty() && !is_address(&issuer) {
            found.error(node.place, &row.path_of("jwks_url"), "is missing, and the issuer is no address");
        }
        if all.iter().any(|other| other.issuer.as_ref() == Some(&issuer)) {
            found.error(node.place, &row.path_of("issuer"), "is written twice");
        }
        let unregistered = Unregistered::read(&row, unregistered);
        let issuer = Some(issuer);
        all.push(JwtIssuer { issuer, key_urls, audiences, fields, unregistered, is_fallback: false });
    }
    all
}

/// The issuer of `JWT_PUBLIC_KEY_URL`.
fn fallback(
    fields: JwtFields,
    environment: &Environment<'_>,
    place: Place,
    found: &mut Collector,
) -> Option<JwtIssuer> {
    let urls = environment.first_of(&[PUBLIC_KEY_URL])?;
    let key_urls: Vec<String> =
        urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect();
    for url in key_urls.iter().filter(|url| !is_address(url)) {
        let message = format!("{} is no http(s) address", printable(url));
        found.error(place, PUBLIC_KEY_URL, message);
    }
    let audience = environment.first_of(&[AUDIENCE]);
    let issuer = environment.first_of(&[ISSUER]);
    let audiences = audience.into_iter().collect();
    Some(JwtIssuer { issuer, key_urls, audiences, fields, is_fallback: true, ..JwtIssuer::default() })
}

fn is_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}
