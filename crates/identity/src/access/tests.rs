//! Every route against every kind of caller, every right against what belongs to others.

use super::*;
use crate::directory::Directory;
use crate::document::Document;
use crate::grant::{Denied, Standing};
use crate::kind::Kind;
use crate::record::Record;
use crate::role::{Actor, Call, Groups, Role, Routes};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tollgate_policy::clock::Wall;

fn record(kind: Kind, id: &str, value: Value) -> Record {
    let Value::Object(members) = value else { panic!("an object") };
    Record::read(kind, id, 1, &Document(members)).unwrap()
}

/// One organization with all that may belong to it; everything is named by its letter.
fn side(letter: &str) -> Vec<(Kind, String, Value)> {
    let id = |name: &str| format!("{name}-{letter}");
    let (org, team, project) = (id("org"), id("team"), id("project"));
    let (boss, chief, member, alone) = (id("boss"), id("chief"), id("member"), id("alone"));
    let in_team = |user: &str| json!({"team_id": team, "user_id": user});
    vec![
        (Kind::Organization, org.clone(), json!({})),
        (Kind::User, boss.clone(), json!({"user_role": "internal_user"})),
        (Kind::User, chief.clone(), json!({"user_role": "internal_user"})),
        (Kind::User, member.clone(), json!({"user_role": "internal_user"})),
        (Kind::User, alone.clone(), json!({"user_role": "internal_user"})),
        (
            Kind::OrganizationMember,
            format!("{org}/{boss}"),
            json!({"organization_id": org, "user_id": boss, "user_role": "org_admin"}),
        ),
        (
            Kind::OrganizationMember,
            format!("{org}/{member}"),
            json!({"organization_id": org, "user_id": member, "user_role": "internal_user"}),
        ),
        (
            Kind::Team,
            team.clone(),
            json!({"organization_id": org, "members_with_roles": [
            {"user_id": chief, "role": "admin"}, {"user_id": member, "role": "user"}]}),
        ),
        (Kind::Member, format!("{team}/{member}"), in_team(&member)),
        (Kind::Member, format!("{team}/{chief}"), in_team(&chief)),
        (Kind::Project, project.clone(), json!({"team_id": team})),
        (Kind::Key, id("k-team"), json!({"team_id": team})),
        (Kind::Key, id("k-project"), json!({"project_id": project, "team_id": team})),
        (Kind::Key, id("k-org"), json!({"organization_id": org})),
        (Kind::Key, id("k-boss"), json!({"user_id": boss})),
        (Kind::Key, id("k-chief"), json!({"user_id": chief})),
        (Kind::Key, id("k-member"), json!({"user_id": member})),
        (Kind::Key, id("k-member-team"), json!({"user_id": member, "team_id": team})),
        (Kind::Key, id("k-chief-team"), json!({"user_id": chief, "team_id": team})),
        (Kind::Key, id("k-alone"), json!({"user_id": alone})),
        (Kind::Key, id("k-nobody"), json!({})),
        (Kind::Model, id("model"), json!({"model_info": {"team_id": team}})),
        (Kind::Invitation, id("invitation"), json!({"user_id": member})),
        (Kind::Customer, id("customer"), json!({"user_id": id("customer")})),
        (Kind::Tag, id("tag"), json!({})),
        (Kind::Budget, id("budget"), json!({})),
        (Kind::AccessGroup, id("group"), json!({})),
        (Kind::Credential, id("credential"), json!({})),
        (Kind::Setting, id("setting"), json!({})),
        (Kind::KeyMapping, id("mapping"), json!({})),
    ]
}

/// Two organizations, and those who belong to none.
fn directory() -> Directory {
    let mut directory = Directory::default();
    let apart = [
        (Kind::User, "admin", json!({"user_role": "proxy_admin"})),
        (Kind::User, "viewer", json!({"user_role": "proxy_admin_viewer"})),
        (Kind::User, "reader", json!({"user_role": "internal_user_viewer"})),
        (Kind::User, "customer", json!({"user_role": "customer"})),
        (
            Kind::User,
            "permitted",
            json!({"user_role": "internal_user", "teams": ["open-team", "team-b", "gone"]}),
        ),
        (
            Kind::Team,
            "open-team",
            json!({
                "members_with_roles": [{"user_id": "permitted", "role": "user"}, {"user_id": "admin", "role": "user"}],
                "team_member_permissions": ["/key/generate", "/key/list", "/key/{key_id}/reset_spend"],
            }),
        ),
        (Kind::Key, "k-open", json!({"team_id": "open-team"})),
        (Kind::Key, "k-permitted", json!({"user_id": "permitted"})),
        (Kind::Key, "k-admin", json!({"user_id": "admin"})),
        (Kind::Key, "k-admin-open", json!({"user_id": "admin", "team_id": "open-team"})),
        (Kind::Key, "k-admin-llm", json!({"user_id": "admin", "key_type": "llm_api"})),
        (Kind::Key, "k-admin-info", json!({"user_id": "admin", "allowed_routes": ["info_routes"]})),
        (Kind::Key, "k-viewer", json!({"user_id": "viewer"})),
        (Kind::Key, "k-reader", json!({"user_id": "reader"})),
        (Kind::Key, "k-customer", json!({"user_id": "customer"})),
        (Kind::Key, "k-ghost", json!({"user_id": "never-made"})),
        (Kind::Key, "k-expired", json!({"user_id": "admin", "expires": "2026-01-01T00:00:00Z"})),
        (Kind::Key, "k-blocked", json!({"user_id": "admin", "blocked": true})),
    ];
    let apart = apart.map(|(kind, id, value)| (kind, id.to_owned(), value));
    for (kind, id, value) in side("a").into_iter().chain(side("b")).chain(apart) {
        directory.put(record(kind, &id, value)).unwrap();
    }
    directory
}

/// Whoever has a key; nobody where it is not let in.
fn by_key(directory: &Directory, key: &str) -> Option<Actor> {
    let holder = directory.holder(key)?;
    let now = Wall::from_rfc3339("2026-12-01T00:00:00Z").unwrap();
    Standing::of(&holder, now).ok()?;
    Some(Actor::of_holder(&holder, directory))
}

/// The callers of the table, by its columns.
fn callers(directory: &Directory) -> Vec<(&'static str, Option<Actor>)> {
    let by_key = |key| by_key(directory, key);
    let team_token = Actor::of_role(Role::Team, Some("team-a".into()), Routes::default(), directory);
    vec![
        ("anonymous", by_key("no such key")),
        ("expired", by_key("k-expired")),
        ("blocked", by_key("k-blocked")),
        ("bare key", by_key("k-nobody-a")),
        ("ghost", by_key("k-ghost")),
        ("customer", by_key("k-customer")),
        ("team key", by_key("k-team-a")),
        ("team token", Some(team_token)),
        ("reader", by_key("k-reader")),
        ("user", by_key("k-alone-a")),
        ("member", by_key("k-member-a")),
        ("permitted", by_key("k-permitted")),
        ("team admin", by_key("k-chief-a")),
        ("org admin", by_key("k-boss-a")),
        ("viewer", by_key("k-viewer")),
        ("llm key", by_key("k-admin-llm")),
        ("info key", by_key("k-admin-info")),
        ("admin", by_key("k-admin")),
        ("master", Some(Actor::master())),
    ]
}

/// `-` not let in, `r` not a route of the key, `.` nobody like this may, else the extent: self, member, team,
/// organization, everything.
fn letters(right: Right, actor: Option<&Actor>, call: &Call<'_>) -> String {
    let Some(actor) = actor else { return "-".to_owned() };
    match right.verdict(actor, call) {
        Err(Denied::Route { .. }) => "r".to_owned(),
        Err(_) => ".".to_owned(),
        Ok(extent) => {
            let letters = [
                (Extent::OWN, 's'),
                (Extent::MEMBER, 'm'),
                (Extent::TEAM, 't'),
                (Extent::ORGANIZATION, 'o'),
                (Extent::EVERYTHING, 'E'),
            ];
            letters.iter().filter(|(part, _)| extent.has(*part)).map(|(_, letter)| letter).collect()
        }
    }
}

#[test]
fn every_route_gives_every_caller_what_the_table_says() {
    let directory = directory();
    let callers = callers(&directory);
    let mut lines = Vec::new();
    let head: Vec<&str> = callers.iter().map(|(name, _)| *name).collect();
    lines.push(format!("# {}", head.join(", ")));
    for row in ROUTES {
        let call = Call { pattern: row.path, path: row.path, groups: row.groups };
        let verdicts: Vec<String> =
            callers.iter().map(|(_, actor)| letters(row.right, actor.as_ref(), &call)).collect();
        lines.push(format!("{} {} {}", row.method, row.path, verdicts.join(" ")));
    }
    let expected: Vec<&str> = include_str!("expected.txt").lines().collect();
    for (line, expected) in lines.iter().zip(&expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len(), "{}", lines.join("\n"));
}

#[test]
fn a_route_stands_in_the_table_once_and_is_found_by_its_pattern() {
    let mut seen = BTreeSet::new();
    for row in ROUTES {
        assert!(seen.insert((row.method, row.path)), "{} {}", row.method, row.path);
        let found = right_of(row.method, row.path).unwrap();
        assert_eq!((found.path, found.right), (row.path, row.right));
        assert_ne!(row.groups, Groups::NONE, "{}", row.path);
    }
    assert_eq!(right_of("POST", "/key/{id}/regenerate").map(|row| row.right), Some(Right::KeyRegenerate));
    for (method, path) in
        [("GET", "/key/generate"), ("POST", "/key/generate/"), ("POST", "/key"), ("GET", "")]
    {
        assert!(right_of(method, path).is_none(), "{method} {path}");
    }
}

#[test]
fn what_changes_something_is_no_right_to_look_and_the_other_way_round() {
    // POSTs that read, and GETs that show what only those who may change it see.
    let apart = [
        "/v2/key/info",
        "/key/health",
        "/organization/info",
        "/budget/info",
        "/tag/info",
        "/spend/calculate",
        "/cost/estimate",
        "/global/spend/end_users",
        "/tollgate/spend/reconcile",
        "/global/predict/spend/logs",
        "/team/{team_id}/callback",
        "/invitation/info",
        "/model/cost_map/reload",
    ];
    for row in ROUTES.iter().filter(|row| !apart.contains(&row.path)) {
        assert_eq!(row.right.changes(), row.method != "GET", "{} {}", row.method, row.path);
    }
}

#[test]
fn whoever_sees_everything_changes_nothing_but_its_own_password() {
    let directory = directory();
    let viewer = by_key(&directory, "k-viewer").unwrap();
    for right in Right::ALL.into_iter().filter(|right| right.changes() && *right != Right::UserSelf) {
        assert!(right.extent(&viewer).is_nothing(), "{right:?}");
    }
    for kind in Kind::ALL {
        for record in directory.all(kind) {
            assert!(
                kind == Kind::Invitation || may_see(&viewer, record, &directory),
                "{:?} {}",
                kind,
                record.id
            );
            assert!(!may_change(&viewer, record, &directory), "{:?} {}", kind, record.id);
        }
    }
}

#[test]
fn nobody_reaches_what_belongs_to_another_organization() {
    let directory = directory();
    let keys = directory.all(Kind::Key).map(|key| key.id.to_string());
    let strangers: Vec<String> = keys.filter(|key| key.ends_with("-a") || *key == "k-permitted").collect();
    assert!(strangers.len() > 10);
    let mut asked = 0;
    for key in strangers {
        let actor = by_key(&directory, &key).unwrap();
        for (kind, id, _) in side("b") {
            let record = directory.get(kind, &id).unwrap();
            for right in Right::ALL {
                asked += 1;
                assert!(!actor.may(right, record, &directory), "{key} {right:?} {id}");
                let found = actor.find(right, (kind, &id), &directory);
                assert_eq!(found.unwrap_err(), Denied::NotFound { kind, id: id.clone() }, "{key} {right:?}");
            }
        }
    }
    assert!(asked > 10_000, "{asked}");
}

#[test]
fn everybody_reaches_what_the_list_says_and_nothing_else() {
    let directory = directory();
    let check = |key: &str, sees: &[&str], changes: &[&str]| {
        let actor = by_key(&directory, key).unwrap();
        let ids = |may: &dyn Fn(&Record) -> bool| {
            let all = Kind::ALL.into_iter().flat_map(|kind| directory.all(kind));
            all.filter(|record| may(record)).map(|record| record.id.to_string()).collect::<BTreeSet<_>>()
        };
        let wanted = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(ids(&|record| may_see(&actor, record, &directory)), wanted(sees), "{key} sees");
        assert_eq!(ids(&|record| may_change(&actor, record, &directory)), wanted(changes), "{key} changes");
    };
    check("k-nobody-a", &["k-nobody-a"], &[]);
    check("k-ghost", &["k-ghost"], &[]);
    check("k-customer", &["k-customer", "customer"], &[]);
    check("k-team-a", &["k-team-a", "team-a", "project-a"], &[]);
    check("k-reader", &["k-reader", "reader"], &[]);
    check("k-alone-a", &["k-alone-a", "alone-a"], &["k-alone-a", "alone-a"]);
    let member = [
        "member-a",
        "k-member-a",
        "k-member-team-a",
        "team-a",
        "project-a",
        "org-a",
        "team-a/member-a",
        "org-a/member-a",
    ];
    check("k-member-a", &member, &["member-a", "k-member-a", "k-member-team-a"]);
    // Within a team there is the team alone.
    check(
        "k-member-team-a",
        &["member-a", "k-member-team-a", "team-a", "project-a", "team-a/member-a"],
        &["k-member-team-a"],
    );
    let of_team = ["k-team-a", "k-project-a", "k-member-team-a", "k-chief-team-a"];
    let team = ["team-a", "project-a", "team-a/member-a", "team-a/chief-a"];
    let chief: Vec<&str> = of_team.iter().chain(&team).copied().chain(["model-a"]).collect();
    let with = |list: &[&'static str], more: &[&'static str]| -> Vec<&'static str> {
        list.iter().chain(more).copied().collect()
    };
    let base: Vec<&'static str> = with(&of_team, &team);
    check(
        "k-chief-a",
        &with(&base, &["chief-a", "k-chief-a"]),
        &with(&base, &["chief-a", "k-chief-a", "model-a"]),
    );
    check("k-chief-team-a", &with(&base, &["chief-a"]), &chief);
    let org = [
        "org-a",
        "org-a/boss-a",
        "org-a/member-a",
        "k-org-a",
        "boss-a",
        "member-a",
        "k-boss-a",
        "invitation-a",
    ];
    check("k-boss-a", &with(&base, &org), &with(&with(&base, &org), &["model-a"]));
    check(
        "k-permitted",
        &["permitted", "k-permitted", "k-open", "k-admin-open", "open-team"],
        &["permitted", "k-permitted"],
    );
}

/// Whether a key of these members may be made.
fn may_make(directory: &Directory, key: &str, right: Right, value: Value) -> bool {
    by_key(directory, key).unwrap().may(right, &record(Kind::Key, "new", value), directory)
}

#[test]
fn keys_are_made_where_and_for_whom_it_is_allowed() {
    let directory = directory();
    let check = |key: &str, value: Value, is_allowed: bool| {
        assert_eq!(may_make(&directory, key, Right::KeyCreate, value.clone()), is_allowed, "{key} {value}");
    };
    check("k-alone-a", json!({"user_id": "alone-a"}), true);
    check("k-alone-a", json!({"user_id": "member-a"}), false);
    check("k-alone-a", json!({}), false);
    check("k-alone-a", json!({"user_id": "alone-a", "team_id": "team-a"}), false);
    check("k-alone-a", json!({"user_id": "alone-a", "project_id": "project-a"}), false);
    check("k-alone-a", json!({"user_id": "alone-a", "organization_id": "org-a"}), false);
    check("k-reader", json!({"user_id": "reader"}), false);
    check("k-nobody-a", json!({}), false);
    check("k-team-a", json!({"team_id": "team-a"}), false);
    check("k-member-a", json!({"user_id": "member-a", "organization_id": "org-a"}), true);
    check("k-member-a", json!({"user_id": "member-a", "organization_id": "org-b"}), false);
    check("k-member-a", json!({"user_id": "member-a", "team_id": "team-a"}), false);
    check("k-permitted", json!({"user_id": "permitted", "team_id": "open-team"}), true);
    check("k-permitted", json!({"user_id": "permitted", "team_id": "team-b"}), false);
    check("k-permitted", json!({"user_id": "admin", "team_id": "open-team"}), false);
    check("k-chief-a", json!({"team_id": "team-a"}), true);
    check("k-chief-a", json!({"team_id": "team-a", "user_id": "member-a"}), true);
    check("k-chief-a", json!({"team_id": "team-a", "user_id": "alone-a"}), false);
    check("k-chief-a", json!({"team_id": "team-a", "user_id": "admin"}), false);
    check("k-chief-a", json!({"team_id": "team-a", "user_id": "boss-a"}), false);
    check("k-chief-a", json!({"team_id": "team-b"}), false);
    check("k-chief-team-a", json!({"user_id": "chief-a"}), false);
    check("k-chief-team-a", json!({"user_id": "chief-a", "team_id": "team-a"}), true);
    check("k-boss-a", json!({"organization_id": "org-a"}), true);
    check("k-boss-a", json!({"organization_id": "org-a", "user_id": "member-a"}), true);
    check("k-boss-a", json!({"organization_id": "org-a", "user_id": "alone-a"}), false);
    check("k-boss-a", json!({"organization_id": "org-a", "team_id": "team-b"}), false);
    check("k-boss-a", json!({"organization_id": "org-b"}), false);
    check("k-admin", json!({"user_id": "alone-a", "team_id": "team-b"}), true);
    check("k-viewer", json!({"user_id": "viewer"}), false);
    let service = |key, value| may_make(&directory, key, Right::ServiceKeyCreate, value);
    assert!(service("k-chief-a", json!({"team_id": "team-a"})));
    assert!(!service("k-permitted", json!({"team_id": "open-team"})));
    assert!(!service("k-alone-a", json!({})));
}

#[test]
fn teams_and_projects_are_made_where_it_is_allowed() {
    let directory = directory();
    let check = |key: &str, kind: Kind, value: Value, is_allowed: bool| {
        let right = if kind == Kind::Team { Right::TeamCreate } else { Right::ProjectChange };
        let new = record(kind, "new", value.clone());
        assert_eq!(
            by_key(&directory, key).unwrap().may(right, &new, &directory),
            is_allowed,
            "{key} {value}"
        );
    };
    check("k-boss-a", Kind::Team, json!({"organization_id": "org-a"}), true);
    check("k-boss-a", Kind::Team, json!({"organization_id": "org-b"}), false);
    check("k-boss-a", Kind::Team, json!({}), false);
    check("k-chief-a", Kind::Team, json!({}), false);
    check("k-alone-a", Kind::Team, json!({}), false);
    check("k-chief-a", Kind::Project, json!({"team_id": "team-a"}), true);
    check("k-chief-a", Kind::Project, json!({"team_id": "team-b"}), false);
    check("k-member-a", Kind::Project, json!({"team_id": "team-a"}), false);
}

#[test]
fn nobody_takes_over_an_administrator() {
    let mut directory = directory();
    // An administrator who is in team and organization, with a key there.
    for (kind, id, value) in [
        (Kind::OrganizationMember, "org-a/admin", json!({"organization_id": "org-a", "user_id": "admin"})),
        (Kind::Member, "team-a/admin", json!({"team_id": "team-a", "user_id": "admin"})),
        (Kind::Key, "k-admin-team", json!({"user_id": "admin", "team_id": "team-a"})),
        (Kind::Invitation, "invitation-admin", json!({"user_id": "admin"})),
    ] {
        directory.put(record(kind, id, value)).unwrap();
    }
    let targets = [
        (Kind::User, "admin"),
        (Kind::Key, "k-admin-team"),
        (Kind::Key, "k-admin-open"),
        (Kind::Key, "k-admin"),
        (Kind::Invitation, "invitation-admin"),
    ];
    for key in ["k-boss-a", "k-chief-a", "k-member-a", "k-permitted", "k-viewer"] {
        let actor = by_key(&directory, key).unwrap();
        for (kind, id) in targets {
            let target = directory.get(kind, id).unwrap();
            for right in Right::ALL.into_iter().filter(|right| right.changes()) {
                assert!(!actor.may(right, target, &directory), "{key} {right:?} {id}");
            }
        }
    }
    let chief = by_key(&directory, "k-chief-a").unwrap();
    let found = chief.find(Right::KeyRegenerate, (Kind::Key, "k-admin-team"), &directory).unwrap_err();
    assert_eq!(found, Denied::Forbidden { kind: Kind::Key, id: "k-admin-team".to_owned() });
    let team_key = by_key(&directory, "k-admin-team").unwrap();
    assert!(team_key.may(Right::UserChange, directory.get(Kind::User, "alone-a").unwrap(), &directory));
}

#[test]
fn who_is_in_two_organizations_is_changed_by_both_alone() {
    let mut directory = directory();
    let shared = json!({"organization_id": "org-b", "user_id": "member-a"});
    directory.put(record(Kind::OrganizationMember, "org-b/member-a", shared)).unwrap();
    let boss = by_key(&directory, "k-boss-a").unwrap();
    let user = directory.get(Kind::User, "member-a").unwrap();
    assert!(may_see(&boss, user, &directory));
    assert!(!may_change(&boss, user, &directory));
}

#[test]
fn a_key_that_says_another_organization_than_its_teams_is_its_teams() {
    let mut directory = directory();
    let key = json!({"team_id": "team-b", "organization_id": "org-a"});
    directory.put(record(Kind::Key, "k-crossed", key)).unwrap();
    let boss = by_key(&directory, "k-boss-a").unwrap();
    assert!(!may_see(&boss, directory.get(Kind::Key, "k-crossed").unwrap(), &directory));
}

#[test]
fn a_user_who_says_a_team_is_not_the_teams() {
    let mut directory = directory();
    directory
        .put(record(Kind::User, "alone-a", json!({"user_role": "internal_user", "team_id": "team-a"})))
        .unwrap();
    let chief = by_key(&directory, "k-chief-a").unwrap();
    let user = directory.get(Kind::User, "alone-a").unwrap();
    assert!(!may_see(&chief, user, &directory) && !may_change(&chief, user, &directory));
    let claimed = json!({"user_role": "internal_user", "teams": ["team-a", "team-b"]});
    directory.put(record(Kind::User, "alone-a", claimed)).unwrap();
    assert!(by_key(&directory, "k-alone-a").unwrap().teams.is_empty());
}

#[test]
fn within_a_team_there_are_no_other_teams_and_no_organizations() {
    let mut directory = directory();
    for (kind, id, value) in [
        (Kind::Key, "k-boss-team", json!({"user_id": "boss-a", "team_id": "team-a"})),
        (Kind::Member, "open-team/boss-a", json!({"team_id": "open-team", "user_id": "boss-a"})),
        (Kind::Member, "team-a/boss-a", json!({"team_id": "team-a", "user_id": "boss-a"})),
    ] {
        directory.put(record(kind, id, value)).unwrap();
    }
    let teams = |actor: &Actor| actor.teams.iter().map(|team| team.team.to_string()).collect::<Vec<_>>();
    let free = by_key(&directory, "k-boss-a").unwrap();
    assert_eq!((teams(&free).len(), free.organizations.len()), (2, 1));
    let bound = by_key(&directory, "k-boss-team").unwrap();
    assert_eq!((teams(&bound), bound.organizations.len()), (vec!["team-a".to_owned()], 0));
    assert!(Right::TeamCreate.extent(&bound).is_nothing());
}

#[test]
fn only_the_master_key_resets_what_all_have_spent() {
    let directory = directory();
    assert_eq!(Right::Master.extent(&Actor::master()), Extent::EVERYTHING);
    for (name, actor) in callers(&directory).into_iter().filter(|(name, _)| *name != "master") {
        assert!(actor.is_none_or(|actor| Right::Master.extent(&actor).is_nothing()), "{name}");
    }
}

#[test]
fn a_refusal_is_litellms() {
    let directory = directory();
    let actor = by_key(&directory, "k-nobody-a").unwrap();
    let path = "/key/generate";
    let call = Call { pattern: path, path, groups: Groups::of_route(path) };
    let denied = Right::KeyCreate.verdict(&actor, &call).unwrap_err();
    assert_eq!((denied.status(), denied.error_type(), denied.param()), (401, "auth_error", "None"));
    assert_eq!(
        denied.to_string(),
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for new \
         keys/users/teams. Route=/key/generate. Your role=unknown. Your user_id=*******"
    );
    let denied = Denied::NotFound { kind: Kind::Key, id: "x".to_owned() };
    assert_eq!((denied.status(), denied.error_type()), (404, "not_found_error"));
}
