//! Bearer tokens of an identity provider: what is written, and what is said of it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;
use tollgate_config::{Config, JwtIssuer, JwtSettings};

/// `settings` below `general_settings`, with these variables.
fn load(settings: &str, variables: &[(&str, &str)]) -> (Option<JwtSettings>, Vec<String>) {
    let text = format!("general_settings:\n  master_key: sk-x\n{settings}model_list: []\n");
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let loaded = Config::from_yaml_text(&text, &variable);
    let found = loaded.report.findings.iter().map(ToString::to_string);
    let found = found.filter(|line| line.contains("jwt") || line.contains("JWT")).collect();
    (loaded.config.and_then(|config| config.jwt), found)
}

const URL: (&str, &str) = ("JWT_PUBLIC_KEY_URL", "https://id.example.com/keys");
const AUDIENCE: (&str, &str) = ("JWT_AUDIENCE", "gateway");

#[test]
fn nothing_is_taken_unless_it_is_asked_for() {
    assert_eq!(load("", &[URL, AUDIENCE]), (None, Vec::new()));
    assert_eq!(load("  enable_jwt_auth: false\n", &[URL, AUDIENCE]), (None, Vec::new()));
    let (jwt, found) = load("  litellm_jwtauth: {user_id_jwt_field: sub}\n", &[URL]);
    assert_eq!(jwt, None);
    assert_eq!(
        found,
        [
            "config.yaml:3: warning: general_settings.litellm_jwtauth: has no effect without general_settings.enable_jwt_auth"
        ]
    );
}

#[test]
fn the_variables_of_litellm_are_read() {
    let variables = [
        ("JWT_PUBLIC_KEY_URL", "https://a.example.com/keys, https://b.example.com/keys"),
        AUDIENCE,
        ("JWT_ISSUER", "i"),
    ];
    let settings =
        "  enable_jwt_auth: true\n  litellm_jwtauth: {user_id_jwt_field: sub, team_ids_jwt_field: groups}\n";
    let (jwt, found) = load(settings, &variables);
    assert_eq!(found, [""; 0]);
    let jwt = jwt.unwrap();
    let [issuer] = &jwt.issuers[..] else { panic!("one issuer") };
    assert_eq!(issuer.key_urls, ["https://a.example.com/keys", "https://b.example.com/keys"]);
    assert_eq!(
        (issuer.issuer.as_deref(), issuer.audiences.as_slice()),
        (Some("i"), ["gateway".to_owned()].as_slice())
    );
    assert!(issuer.is_fallback);
    assert_eq!(issuer.fields.team_ids.as_deref(), Some("groups"));
    assert_eq!(
        (jwt.public_key_ttl, jwt.public_key_stale_ttl),
        (Duration::from_secs(600), Duration::from_secs(3_600))
    );
    assert_eq!(jwt.admin_jwt_scope, "litellm_proxy_admin");
    assert_eq!(jwt.admin_allowed_routes.len(), 4);
    assert_eq!(jwt.team_allowed_routes.len(), 5);
}

#[test]
fn issuers_have_fields_of_their_own_before_those_of_all() {
    let settings = "  enable_jwt_auth: true
  litellm_jwtauth:
    user_id_jwt_field: sub
    team_id_jwt_field: team
    issuers:
      - {issuer: 'https://a', audience: x, user_id_jwt_field: oid}
      - {issuer: b, jwks_url: 'https://b/keys', audience: [x, y]}
      - {issuer: 'https://c', disable_audience_validation: true}
    role_mappings: [{role: lead, internal_role: team}]
    jwt_litellm_role_map: [{jwt_role: 'admin-*', litellm_role: proxy_admin_viewer}]
    scope_mappings: [{scope: s, models: [m], routes: [llm_api_routes, /key/info]}]
";
    let (jwt, found) = load(settings, &[]);
    assert_eq!(found, [""; 0]);
    let jwt = jwt.unwrap();
    let [a, b, c]: [JwtIssuer; 3] = jwt.issuers.try_into().unwrap();
    assert_eq!((a.fields.user_id.as_deref(), a.fields.team_id.as_deref()), (Some("oid"), Some("team")));
    assert_eq!((a.key_urls.len(), a.audiences.as_slice()), (0, ["x".to_owned()].as_slice()));
    assert_eq!((b.fields.user_id.as_deref(), b.audiences.len()), (Some("sub"), 2));
    assert!(c.audiences.is_empty() && !c.is_fallback);
    assert_eq!(jwt.role_mappings, [("lead".to_owned(), "team".to_owned())]);
    assert_eq!(jwt.jwt_litellm_role_map, [("admin-*".to_owned(), "proxy_admin_viewer".to_owned())]);
    assert_eq!(jwt.scope_mappings[0].routes, ["llm_api_routes", "/key/info"]);
}

fn check(settings: &str, variables: &[(&str, &str)], wants: &[&str]) {
    let (_, found) = load(settings, variables);
    assert_eq!(found, wants, "{settings}");
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    check(
        "  enable_jwt_auth: true\n",
        &[],
        &[
            "config.yaml:3: error: general_settings.enable_jwt_auth: needs JWT_PUBLIC_KEY_URL in the environment, or \
           litellm_jwtauth.issuers",
        ],
    );
    let one = |row: &str| {
        format!(
            "  enable_jwt_auth: true\n  litellm_jwtauth:\n    user_id_jwt_field: sub\n    issuers: [{row}]\n"
        )
    };
    let path = "config.yaml:6: error: general_settings.litellm_jwtauth.issuers";
    let audience = format!("{path}.audience: needs either an audience or disable_audience_validation: true");
    check(&one("{issuer: 'https://a'}"), &[], &[&audience]);
    check(&one("{issuer: 'https://a', audience: x, disable_audience_validation: true}"), &[], &[&audience]);
    check(&one("{audience: x}"), &[URL, AUDIENCE], &[&format!("{path}.issuer: is missing")]);
    check(
        &one("{issuer: a, audience: x}"),
        &[],
        &[&format!("{path}.jwks_url: is missing, and the issuer is no address")],
    );
    check(
        &one("{issuer: 'https://a', audience: x}, {issuer: 'https://a', audience: y}"),
        &[],
        &[&format!("{path}.issuer: is written twice")],
    );
    let mapped =
        "  enable_jwt_auth: true\n  litellm_jwtauth: {roles_jwt_field: r, role_mappings: [{role: x}]}\n";
    check(
        mapped,
        &[URL, AUDIENCE],
        &["config.yaml:4: error: general_settings.litellm_jwtauth.role_mappings.internal_role: is missing"],
    );
    let routes = "  enable_jwt_auth: true\n  litellm_jwtauth: {user_id_jwt_field: s, team_allowed_routes: [openai_route]}\n";
    let (_, found) = load(routes, &[URL, AUDIENCE]);
    assert!(found[0].contains("team_allowed_routes: wants a path"), "{found:?}");
    let (_, found) = load("  enable_jwt_auth: true\n", &[("JWT_PUBLIC_KEY_URL", "id.example.com"), AUDIENCE]);
    assert!(found[0].contains("JWT_PUBLIC_KEY_URL: id.example.com is no http(s) address"), "{found:?}");
}

#[test]
fn tokens_need_a_master_key_beside_them() {
    let text = "general_settings: {enable_jwt_auth: true}\nmodel_list: []\n";
    let loaded =
        Config::from_yaml_text(text, &|name| (name == "JWT_PUBLIC_KEY_URL").then(|| URL.1.to_owned()));
    let found = loaded.report.to_string();
    assert!(found.contains("needs general_settings.master_key"), "{found}");
}

#[test]
fn what_is_open_is_told() {
    let settings = "  enable_jwt_auth: true\n  litellm_jwtauth: {user_id_jwt_field: sub}\n";
    check(
        settings,
        &[URL],
        &[
            "config.yaml:3: warning: general_settings.enable_jwt_auth: without JWT_AUDIENCE, tokens that the provider made \
           for other applications are taken too",
        ],
    );
    let (jwt, found) = load("  enable_jwt_auth: true\n", &[URL, AUDIENCE]);
    assert!(jwt.is_some());
    assert!(found[0].contains("administrators' tokens alone are taken"), "{found:?}");
}
