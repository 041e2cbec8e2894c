//! The keys of bearer tokens of an identity provider.
//!
//! Owns: their names and types in `general_settings`. Leaves to others: where in a token what stands (jwt), checking it
//! (identity, oidc).
//!
//! **Invariant:** the names are LiteLLM's.

use super::{ANY_LIST, Key, Kind, TEXTS, Table, active, later, never};

/// LiteLLM's roles.
pub(crate) const ROLES: &[&str] = &[
    "proxy_admin",
    "proxy_admin_viewer",
    "org_admin",
    "internal_user",
    "internal_user_viewer",
    "team",
    "customer",
];

/// The rows of `general_settings`.
pub(crate) const GENERAL: &[Key] = &[
    active(
        "enable_jwt_auth",
        Kind::Bool,
        "false",
        "Take bearer tokens of an identity provider beside keys; its keys are at `JWT_PUBLIC_KEY_URL`.",
    ),
    active("litellm_jwtauth", Kind::Section(AUTH), "", "Whose tokens, and what their claims stand for."),
];

const UNREGISTERED: Kind = Kind::Choice(&["fallback_team_mapping", "reject", "auto_register"]);

static ISSUER_ROW: Kind = Kind::Section(ISSUER);
static ROLE_ROW: Kind = Kind::Section(ROLE);
static ROLE_PATTERN_ROW: Kind = Kind::Section(ROLE_PATTERN);
static SCOPE_ROW: Kind = Kind::Section(SCOPE);

/// `general_settings.litellm_jwtauth`.
pub(crate) static AUTH: Table = &[CLAIMS, RULES, KEYS, LATER, NEVER];

/// Where in a token what stands, of every issuer.
const CLAIMS: &[Key] = &[
    active(
        "user_id_jwt_field",
        Kind::Text,
        "",
        "The claim that is the user, `.` between the names of one inside another.",
    ),
    active("user_email_jwt_field", Kind::Text, "", "The claim that is the user's e-mail address."),
    active("team_id_jwt_field", Kind::Text, "", "The claim that is the team."),
    active("team_ids_jwt_field", Kind::Text, "", "The claim that lists the teams."),
    active("org_id_jwt_field", Kind::Text, "", "The claim that is the organization."),
    active("end_user_id_jwt_field", Kind::Text, "", "The claim that is the end user."),
    active(
        "team_alias_jwt_field",
        Kind::Text,
        "",
        "The claim that is the alias of the team, where no claim is its id; an alias of two teams is none.",
    ),
    active(
        "org_alias_jwt_field",
        Kind::Text,
        "",
        "The claim that is the alias of the organization, where no claim is its id.",
    ),
    active("user_roles_jwt_field", Kind::Text, "", "The claim that `user_allowed_roles` is held against."),
    active("roles_jwt_field", Kind::Text, "", "The claim that lists the roles of `role_mappings`."),
    active(
        "virtual_key_claim_field",
        Kind::Text,
        "",
        "The claim that stands for a key, by `/jwt/key/mapping/new`.",
    ),
    active(
        "object_id_jwt_field",
        Kind::Text,
        "",
        "The claim that is the user or the team, by what `role_mappings` makes of the token.",
    ),
];

const RULES: &[Key] = &[
    active("admin_jwt_scope", Kind::Text, "litellm_proxy_admin", "The scope of administrators."),
    active(
        "admin_allowed_routes",
        TEXTS,
        "management_routes, spend_tracking_routes, global_spend_tracking_routes, info_routes",
        "Routes, or groups of them, for administrators' tokens.",
    ),
    active(
        "team_allowed_routes",
        TEXTS,
        "openai_routes, info_routes, mcp_routes, /v1/messages, /v1/messages/count_tokens",
        "The same for tokens that call within a team.",
    ),
    active(
        "unregistered_jwt_client_behavior",
        UNREGISTERED,
        "fallback_team_mapping",
        "What becomes of tokens whose claim stands for no key: they go by their user and team, are refused, or have one made.",
    ),
    active("team_id_default", Kind::Text, "", "The team of tokens that name none."),
    active("team_id_upsert", Kind::Bool, "false", "Make teams that are not there yet."),
    active("user_id_upsert", Kind::Bool, "false", "Make users that are not there yet."),
    active("user_allowed_email_domain", Kind::Text, "", "The domain that e-mail addresses must be of."),
    active("user_allowed_roles", TEXTS, "", "Roles of the provider's, of which a token must have one."),
    active(
        "role_mappings",
        Kind::List(&ROLE_ROW),
        "",
        "What roles of the provider's are here; the first that fits.",
    ),
    active("jwt_litellm_role_map", Kind::List(&ROLE_PATTERN_ROW), "", "The same, with `*` for any text."),
    active(
        "enforce_rbac",
        Kind::Bool,
        "false",
        "Refuse tokens whose roles are in no row of `role_mappings`.",
    ),
    active("scope_mappings", Kind::List(&SCOPE_ROW), "", "What scopes give."),
    active(
        "enforce_scope_based_access",
        Kind::Bool,
        "false",
        "Refuse tokens without a scope of `scope_mappings`.",
    ),
    active("enforce_team_based_model_access", Kind::Bool, "false", "Refuse tokens without a team."),
];

const KEYS: &[Key] = &[
    active(
        "public_key_ttl",
        Kind::Timeout,
        "600",
        "Time that the provider's keys are used before they are fetched anew.",
    ),
    active(
        "team_claim_fallback",
        Kind::Bool,
        "false",
        "A token whose teams are not there calls within its user's only team.",
    ),
    active(
        "fallback_to_db_teams",
        Kind::Bool,
        "false",
        "A token that says no team may call within any team of its user's, and `x-litellm-team-id` chooses.",
    ),
    active(
        "virtual_key_mapping_cache_ttl",
        Kind::Seconds,
        "",
        "No effect: which claim stands for a key is known at once, nothing is kept for a time.",
    ),
    active(
        "public_key_stale_ttl",
        Kind::Seconds,
        "3600",
        "Time that they are used beyond it while that fails.",
    ),
    active(
        "issuers",
        Kind::List(&ISSUER_ROW),
        "",
        "Issuers with keys and claims of their own; a token that names another is held against `JWT_PUBLIC_KEY_URL`.",
    ),
];

const LATER: &[Key] = &[
    later("agent_id_jwt_field", Kind::Text, ""),
    later("mcp_client_id_jwt_field", Kind::Text, ""),
    later("public_allowed_routes", TEXTS, "public_routes"),
    later("upsert_sso_user_to_team", Kind::Bool, "false"),
    later("sync_user_role_and_teams", Kind::Bool, "false"),
    later("oidc_userinfo_endpoint", Kind::Url, ""),
    later("oidc_userinfo_enabled", Kind::Bool, "false"),
    later("oidc_userinfo_cache_ttl", Kind::Seconds, "300"),
    later("auto_register_map_existing_key", Kind::Bool, "false"),
    later("routing_overrides", ANY_LIST, ""),
];

const NEVER: &[Key] = &[never(
    "custom_validate",
    "No code of yours runs in the gateway; `user_allowed_roles` and scopes are checked.",
)];

/// `litellm_jwtauth.issuers[]`.
pub(crate) static ISSUER: Table = &[&[
    active("issuer", Kind::Text, "", "What `iss` says, to the letter."),
    active(
        "jwks_url",
        Kind::Url,
        "",
        "Where its keys are; by its discovery document where nothing is written.",
    ),
    active("audience", Kind::Either(&Kind::Text, &TEXTS), "", "What `aud` says, or one of these."),
    active("disable_audience_validation", Kind::Bool, "false", "Do not look at `aud`."),
    active("user_id_jwt_field", Kind::Text, "", SAME),
    active("user_email_jwt_field", Kind::Text, "", SAME),
    active("team_id_jwt_field", Kind::Text, "", SAME),
    active("team_ids_jwt_field", Kind::Text, "", SAME),
    active("org_id_jwt_field", Kind::Text, "", SAME),
    active("end_user_id_jwt_field", Kind::Text, "", SAME),
    active("team_alias_jwt_field", Kind::Text, "", SAME),
    active("org_alias_jwt_field", Kind::Text, "", SAME),
    active("virtual_key_claim_field", Kind::Text, "", SAME),
    active("unregistered_jwt_client_behavior", UNREGISTERED, "", SAME),
]];

const SAME: &str = "As in `litellm_jwtauth`, and before it.";

/// `litellm_jwtauth.role_mappings[]`.
pub(crate) static ROLE: Table = &[&[
    active("role", Kind::Text, "", "The provider's role."),
    active("internal_role", Kind::Choice(ROLES), "", "What it is here."),
]];

/// `litellm_jwtauth.jwt_litellm_role_map[]`.
pub(crate) static ROLE_PATTERN: Table = &[&[
    active("jwt_role", Kind::Text, "", "The provider's role, `*` in it for any text."),
    active("litellm_role", Kind::Choice(ROLES), "", "What it is here."),
]];

/// `litellm_jwtauth.scope_mappings[]`.
pub(crate) static SCOPE: Table = &[&[
    active("scope", Kind::Text, "", "The scope."),
    active("models", TEXTS, "all", "The models that it gives."),
    active("routes", TEXTS, "all", "The routes that it gives."),
]];
