//! From claims to who calls.

use super::tests::{claims, now, rsa_signed, verify};
use super::*;
use crate::directory::Directory;
use crate::document::Document;
use crate::grant::{AccessGroups, Standing};
use crate::kind::Kind;
use crate::record::Record;
use crate::role::{Call, Groups, Role};
use serde_json::{Value, json};

fn identity(mapping: &JwtMapping, said: &Value) -> Result<Identity, BadIdentity> {
    mapping.identity(&verify(&rsa_signed(r#"{"alg":"RS256","kid":"rsa"}"#, &claims(said))).unwrap())
}

fn some(field: &str) -> Option<String> {
    Some(field.to_owned())
}

fn mapping() -> JwtMapping {
    JwtMapping {
        user_id_jwt_field: some("sub"),
        user_email_jwt_field: some("email"),
        team_ids_jwt_field: some("groups"),
        org_id_jwt_field: some("org"),
        end_user_id_jwt_field: some("customer"),
        ..JwtMapping::default()
    }
}

#[test]
fn claims_become_users_teams_and_the_rest() {
    let said = json!({"email": "u@e.com", "groups": ["t", "s", "t"], "org": "o", "customer": "c"});
    let who = identity(&mapping(), &said).unwrap();
    assert_eq!(who.user.as_deref(), Some("u1"));
    assert_eq!(who.teams, ["t", "s"]);
    assert_eq!((who.organization.as_deref(), who.end_user.as_deref()), (Some("o"), Some("c")));
    assert_eq!(who.role, Some(Role::InternalUser));
    assert!(who.digest.starts_with("jwt-") && who.digest.len() == 68);
    let team = JwtMapping { team_id_jwt_field: some("client_id"), ..JwtMapping::default() };
    let who = identity(&team, &json!({"client_id": "t"})).unwrap();
    assert_eq!((who.role, who.teams.as_slice()), (Some(Role::Team), ["t".to_owned()].as_slice()));
    let fallback = JwtMapping { team_id_default: some("d"), ..team };
    assert_eq!(identity(&fallback, &json!({})).unwrap().teams, ["d"]);
}

#[test]
fn two_subjects_have_two_names() {
    let name = |said: Value| identity(&mapping(), &said).unwrap().digest;
    assert_eq!(name(json!({"exp": 1_795_001_005})), name(json!({"exp": 1_795_001_006})));
    assert_ne!(name(json!({"sub": "a"})), name(json!({"sub": "b"})));
    assert_ne!(name(json!({"sub": "a", "azp": "b"})), name(json!({"sub": "ab"})));
    // Who is told apart by another claim has another name.
    let by_email = JwtMapping { user_id_jwt_field: None, user_email_jwt_field: some("email"), ..mapping() };
    let name = |email: &str| identity(&by_email, &json!({"sub": "absent", "email": email})).unwrap();
    assert_eq!(name("a@e.com").user.as_deref(), Some("a@e.com"));
    assert_ne!(name("a@e.com").digest, name("b@e.com").digest);
}

#[test]
fn whom_no_rule_lets_in_is_nobody() {
    let check = |mapping: &JwtMapping, said: Value, wants: BadIdentity| {
        assert_eq!(identity(mapping, &said), Err(wants), "{said}");
    };
    check(&JwtMapping::default(), json!({}), BadIdentity::Nobody);
    check(&mapping(), json!({"sub": "absent"}), BadIdentity::Nobody);
    check(&mapping(), json!({"sub": {"a": 1}}), BadIdentity::Nobody);
    let domain = JwtMapping { user_allowed_email_domain: some("e.com"), ..mapping() };
    for email in [
        json!("u@f.com"),
        json!("u@e.com@f.com"),
        json!("u@sub.e.com"),
        json!("e.com"),
        json!(null),
        json!(1),
    ] {
        check(&domain, json!({"email": email}), BadIdentity::Domain);
    }
    assert!(identity(&domain, &json!({"email": "u@E.com"})).is_ok());
    let roles = JwtMapping {
        user_roles_jwt_field: some("roles"),
        user_allowed_roles: vec!["staff".to_owned()],
        ..mapping()
    };
    check(&roles, json!({"roles": ["guest"]}), BadIdentity::Roles);
    check(&roles, json!({}), BadIdentity::Roles);
    assert!(identity(&roles, &json!({"roles": ["guest", "staff"]})).is_ok());
    let teams = JwtMapping { enforce_team_based_model_access: true, ..mapping() };
    check(&teams, json!({}), BadIdentity::NoTeams);
    let one = JwtMapping { team_id_jwt_field: some("team"), ..mapping() };
    check(&one, json!({}), BadIdentity::NoTeam("team".to_owned()));
    assert!(identity(&one, &json!({"groups": ["t"]})).is_ok());
    check(&mapping(), json!({"groups": ["x".repeat(257)]}), BadIdentity::Id("team"));
    check(&mapping(), json!({"sub": "u\n1"}), BadIdentity::Id("user"));
}

#[test]
fn an_administrators_scope_is_exact() {
    let role = |scope: Value| identity(&mapping(), &json!({"scope": scope})).unwrap().role;
    assert_eq!(role(json!("openid litellm_proxy_admin")), Some(Role::ProxyAdmin));
    assert_eq!(role(json!(["litellm_proxy_admin"])), Some(Role::ProxyAdmin));
    for scope in [
        json!("litellm_proxy_admin2"),
        json!("LITELLM_PROXY_ADMIN"),
        json!({"litellm_proxy_admin": true}),
        json!(""),
    ] {
        assert_eq!(role(scope), Some(Role::InternalUser));
    }
}

#[test]
fn roles_are_mapped_in_order() {
    let row = |theirs: &str, ours| RoleRow { theirs: theirs.to_owned(), ours };
    let mapping = JwtMapping {
        roles_jwt_field: some("resource.roles"),
        role_mappings: vec![row("lead", Role::Team), row("dev", Role::InternalUser)],
        jwt_litellm_role_map: vec![row("admin-*", Role::ProxyAdminViewer)],
        object_id_jwt_field: some("oid"),
        enforce_rbac: true,
        ..JwtMapping::default()
    };
    let who = |roles: Value| identity(&mapping, &json!({"resource": {"roles": roles}, "oid": "x"}));
    let dev = who(json!(["dev"])).unwrap();
    assert_eq!((dev.role, dev.user.as_deref(), dev.teams.len()), (Some(Role::InternalUser), Some("x"), 0));
    let lead = who(json!(["dev", "lead"])).unwrap();
    assert_eq!((lead.role, lead.user, lead.teams), (Some(Role::Team), None, vec!["x".to_owned()]));
    assert_eq!(who(json!("admin-eu")).unwrap().role, Some(Role::ProxyAdminViewer));
    assert_eq!(who(json!(["other"])), Err(BadIdentity::Roles));
}

fn directory() -> Directory {
    let mut directory = Directory::default();
    for (kind, id, value) in [
        (
            Kind::Team,
            "t",
            json!({"models": ["mini"], "members_with_roles": [{"user_id": "u1", "role": "admin"}]}),
        ),
        (Kind::Team, "s", json!({"models": ["large"]})),
        (Kind::User, "u1", json!({"user_role": "internal_user"})),
        (Kind::Member, "t/u1", json!({"team_id": "t", "user_id": "u1"})),
    ] {
        let Value::Object(members) = value else { panic!("an object") };
        directory.put(Record::read(kind, id, 1, &Document(members)).unwrap()).unwrap();
    }
    directory
}

#[test]
fn a_token_calls_within_the_team_that_it_says_or_those_that_are_known() {
    let directory = directory();
    let check = |mapping: &JwtMapping, said: Value, wants: Result<&[&str], BadIdentity>| {
        let who = identity(mapping, &said).unwrap();
        let known = who.known_teams(&directory);
        let known: Result<Vec<&str>, _> = known.map(|teams| teams.iter().map(|team| &*team.id).collect());
        assert_eq!(known, wants.map(<[&str]>::to_vec), "{said}");
    };
    let gone = |teams: &[&str]| BadIdentity::Teams(teams.iter().map(|team| (*team).to_owned()).collect());
    check(&mapping(), json!({"groups": ["gone", "t", "s"]}), Ok(&["t", "s"]));
    check(&mapping(), json!({"groups": ["gone", "away"]}), Err(gone(&["gone", "away"])));
    check(&mapping(), json!({}), Ok(&[]));
    let one = JwtMapping { team_id_jwt_field: some("team"), ..mapping() };
    check(&one, json!({"team": "s", "groups": ["t", "s"]}), Ok(&["s", "t"]));
    check(&one, json!({"team": ["s", "t"]}), Ok(&["s"]));
    check(&one, json!({"team": "gone", "groups": ["t"]}), Err(BadIdentity::NoSuchTeam("gone".to_owned())));
    let usual = JwtMapping { team_id_default: some("t"), ..mapping() };
    check(&usual, json!({}), Ok(&["t"]));
    check(&usual, json!({"groups": ["s"]}), Ok(&["s"]));
}

#[test]
fn a_token_brings_its_organization_where_its_team_has_none() {
    let mut directory = directory();
    for (kind, id, value) in
        [(Kind::Team, "o/t", json!({"organization_id": "theirs"})), (Kind::Organization, "theirs", json!({}))]
    {
        let Value::Object(members) = value else { panic!("an object") };
        directory.put(Record::read(kind, id, 1, &Document(members)).unwrap()).unwrap();
    }
    let check = |within: Option<&str>, wants: &str| {
        let who = identity(&mapping(), &json!({"org": "said", "groups": ["o/t", "t"]})).unwrap();
        let team = within.and_then(|team| directory.get(Kind::Team, team));
        let key = mapping().key(&who, team.map(AsRef::as_ref)).unwrap();
        let holder = directory.above(&std::sync::Arc::new(key));
        let above = holder.organization.as_ref().map(|organization| &*organization.id);
        assert_eq!(above.or(holder.key.parents.organization.as_deref()), Some(wants), "{within:?}");
        // An organization that is named and not there lets nobody in.
        assert_eq!(Standing::of(&holder, now()).is_ok(), wants == "theirs");
    };
    check(Some("o/t"), "theirs");
    check(Some("t"), "said");
    check(None, "said");
}

#[test]
fn a_token_is_held_to_its_team_its_scopes_and_its_routes() {
    let directory = directory();
    let mapping = JwtMapping {
        enforce_scope_based_access: true,
        scope_mappings: vec![
            ScopeRow {
                scope: "read".to_owned(),
                models: vec!["mini".to_owned()],
                routes: vec!["/v1/messages".to_owned()],
            },
            ScopeRow { scope: "manage".to_owned(), models: Vec::new(), routes: vec!["/user/new".to_owned()] },
        ],
        ..mapping()
    };
    assert_eq!(identity(&mapping, &json!({"scope": "other"})), Err(BadIdentity::Scopes));
    let call = |path| Call { pattern: path, path, groups: Groups::of_route(path) };
    let allows = |scope: &str, within: Option<&str>, path: &'static str| {
        let who = identity(&mapping, &json!({"scope": scope, "groups": ["t"]})).unwrap();
        let team = within.and_then(|team| directory.get(Kind::Team, team));
        let key = std::sync::Arc::new(mapping.key(&who, team.map(AsRef::as_ref)).unwrap());
        let holder = directory.above(&key);
        let actor = mapping.actor(&who, within, &directory);
        let standing = Standing::of(&holder, now()).unwrap();
        assert!(standing.model("mini", &AccessGroups::default()).is_ok());
        assert!(standing.model("large", &AccessGroups::default()).is_err());
        assert_eq!(standing.route(&call(path)).is_ok(), actor.is_for(&call(path)));
        actor.is_for(&call(path))
    };
    assert!(allows("read", Some("t"), "/v1/messages"));
    assert!(!allows("read", Some("t"), "/v1/chat/completions"));
    // The scope gives a route that tokens of teams do not have: nothing is left.
    assert!(!allows("manage", Some("t"), "/user/new"));
    assert!(!allows("manage", Some("t"), "/v1/messages"));
}

#[test]
fn two_lists_that_have_nothing_in_common_leave_no_route() {
    let directory = directory();
    let mapping = JwtMapping {
        enforce_scope_based_access: true,
        scope_mappings: vec![ScopeRow {
            scope: "s".to_owned(),
            models: Vec::new(),
            routes: vec!["/user/new".to_owned()],
        }],
        team_allowed_routes: vec!["openai_routes".to_owned()],
        ..mapping()
    };
    let who = identity(&mapping, &json!({"scope": "s", "groups": ["t"]})).unwrap();
    let actor = mapping.actor(&who, Some("t"), &directory);
    let key = mapping.key(&who, directory.get(Kind::Team, "t").map(AsRef::as_ref)).unwrap();
    for path in ["/user/new", "/v1/chat/completions", "/key/info", "/v1/messages"] {
        let call = Call { pattern: path, path, groups: Groups::of_route(path) };
        assert!(!actor.is_for(&call) && !key.reach.allows(&call), "{path}");
    }
}

#[test]
fn a_token_is_the_actor_that_its_claims_make_it() {
    let directory = directory();
    let actor = |said: Value, within| {
        let who = identity(&mapping(), &said).unwrap();
        mapping().actor(&who, within, &directory)
    };
    let admin = actor(json!({"scope": "litellm_proxy_admin"}), None);
    assert!(admin.is_admin() && !admin.is_master);
    let call = |path| Call { pattern: path, path, groups: Groups::of_route(path) };
    assert!(admin.is_for(&call("/key/generate")) && !admin.is_for(&call("/v1/chat/completions")));
    let user = actor(json!({}), None);
    assert!(user.administers_team("t") && !user.is_admin());
    let within = actor(json!({"groups": ["t"]}), Some("t"));
    assert_eq!(within.within.as_deref(), Some("t"));
    assert!(within.is_for(&call("/v1/chat/completions")) && !within.is_for(&call("/key/generate")));
    let stranger = actor(json!({"sub": "never seen", "groups": ["s"]}), Some("s"));
    assert_eq!(stranger.role, Some(Role::InternalUser));
    assert!(!stranger.administers_team("s"));
}
