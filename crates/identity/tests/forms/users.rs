//! `/user/*`.

use crate::support::{admin, document, get, holder, object, said};
use serde_json::{Value, json};
use tollgate_identity::form::user::{self, Bulk, Changed, User};
use tollgate_identity::form::{BadForm, Fault};

fn new(body: Value) -> Result<User, BadForm> {
    admin(|context| user::new(&object(body), context))
}

fn change(before: Value, body: Value) -> Result<Changed, BadForm> {
    admin(|context| user::change("u", &document(before), &object(body), context))
}

fn change_oneself(before: Value, body: Value) -> Result<Changed, BadForm> {
    holder(|context| user::change("u", &document(before), &object(body), context))
}

#[test]
fn of_a_new_user_some_is_its_key_and_some_its_teams() {
    let made = new(json!({
        "user_id": "u", "user_email": "e@x.org", "max_budget": 3, "models": ["m"], "key_alias": "k", "duration": "1d",
        "teams": ["t1", {"team_id": "t2", "max_budget_in_team": 1, "user_role": "admin"}], "organizations": ["o"],
        "user_role": null, "password": null, "send_invite_email": false,
    }))
    .unwrap();
    let document = &made.user.document;
    assert_eq!(get(document, "user_role"), "internal_user");
    assert_eq!(get(document, "max_budget"), 3);
    assert_eq!(get(document, "key_alias"), Value::Null);
    assert_eq!(Value::Object(made.key.unwrap()), json!({"user_id": "u", "key_alias": "k", "duration": "1d"}));
    let teams: Vec<_> = made
        .teams
        .iter()
        .map(|(team, seat, terms)| (team.as_str(), seat.role.as_str(), terms.is_empty()))
        .collect();
    assert_eq!(teams, [("t1", "user", true), ("t2", "admin", false)]);
    assert_eq!(made.organizations, ["o"]);
    assert!(new(json!({"auto_create_key": false})).unwrap().key.is_none());

    let check = |body: Value, wants: &str| assert_eq!(said(new(body)), wants);
    check(
        json!({"password": "sEcReT"}),
        "'password' is not taken with a new user: POST /user/update sets it",
    );
    check(
        json!({"user_role": "root"}),
        "'user_role' is wrong: it is one of proxy_admin, proxy_admin_viewer, internal_user, internal_user_viewer",
    );
    check(json!({"teams": [1]}), "'teams' is wrong: it is a list of team ids, or of objects with team_id");
    check(
        json!({"teams": [{"role": "admin"}]}),
        "'teams[0].role' is unknown: the nearest known is 'user_role'",
    );
    check(
        json!({"send_invite_email": true}),
        "'send_invite_email' is not supported: no invitations are mailed; POST /key/generate gives a key",
    );
    let escalated = holder(|context| user::new(&object(json!({"user_role": "proxy_admin"})), context));
    assert_eq!(said(escalated), "'user_role' can be set by administrators only");
}

#[test]
fn null_resets_the_limits_of_a_user_and_nothing_else() {
    let before = json!({"user_role": "proxy_admin", "max_budget": 3, "models": ["m"], "user_alias": "a"});
    let nulls =
        json!({"user_id": "u", "user_role": null, "max_budget": null, "models": null, "user_alias": null});
    let changed = change(before.clone(), nulls).unwrap().user.document;
    assert_eq!(get(&changed, "user_role"), "proxy_admin");
    assert_eq!(get(&changed, "models"), json!(["m"]));
    assert_eq!(get(&changed, "user_alias"), "a");
    assert_eq!(get(&changed, "max_budget"), Value::Null);
    let password = change(before, json!({"password": "long enough"})).unwrap();
    assert_eq!(password.password.as_deref(), Some("long enough"));
    assert_eq!(get(&password.user.document, "password"), Value::Null);
}

#[test]
fn somebody_changes_of_themselves_nothing_that_they_are_held_by() {
    let before = json!({"user_role": "internal_user", "user_email": "e@x.org", "max_budget": 3});
    let fine = json!({"user_id": "u", "user_alias": "b", "user_email": "e@x.org", "user_role": null, "rpm_limit": null});
    let changed = change_oneself(before.clone(), fine).unwrap().user.document;
    assert_eq!(get(&changed, "user_alias"), "b");
    let barred = [
        ("user_role", json!("proxy_admin")),
        ("max_budget", json!(100)),
        ("max_budget", json!(null)),
        ("rpm_limit", json!(5)),
        ("models", json!([])),
        ("metadata", json!({"critical": true})),
        ("user_email", json!("boss@x.org")),
        ("sso_user_id", json!("boss")),
        ("blocked", json!(true)),
        ("budget_duration", json!("1s")),
        ("soft_budget", json!(1)),
        ("model_rpm_limit", json!({"m": 9})),
        ("budget_limits", json!([])),
        ("guardrails", json!([])),
    ];
    for (name, value) in barred {
        let bad = change_oneself(before.clone(), json!({name: value})).unwrap_err();
        assert_eq!((bad.fault, bad.member.as_str()), (Fault::Forbidden, name));
    }
    for column in [
        "teams",
        "organizations",
        "budget_reset_at",
        "created_at",
        "updated_at",
        "model_spend",
        "password_reset_required",
        "organization_id",
        "token",
        "verified_subjects",
        "version",
    ] {
        let bad = change(before.clone(), json!({column: "x"})).unwrap_err();
        assert!(matches!(bad.fault, Fault::Unknown | Fault::Unsupported), "{column}");
    }
    assert_eq!(said(change(before, json!({"user_id": "v"}))), "'user_id' is another user's");
}

#[test]
fn several_users_change_each_or_all() {
    let bulk = |body: Value| admin(|context| user::bulk(&object(body), context));
    let each = bulk(json!({"users": [{"user_id": "u", "max_budget": 1}]})).unwrap();
    assert_eq!(each, Bulk::Each(vec![object(json!({"user_id": "u", "max_budget": 1}))]));
    let all = bulk(json!({"all_users": true, "user_updates": {"max_budget": 1}})).unwrap();
    assert_eq!(all, Bulk::All(object(json!({"max_budget": 1}))));
    assert_eq!(said(bulk(json!({}))), "'users' is missing");
    assert_eq!(said(bulk(json!({"all_users": true}))), "'user_updates' is missing");
    assert_eq!(
        said(bulk(json!({"all_users": true, "user_updates": {"user_email": "e"}}))),
        "'user_updates.user_email' cannot be the same of all users"
    );
    assert_eq!(
        said(bulk(json!({"users": [{}], "all_users": true}))),
        "'users' cannot be given beside all_users and user_updates"
    );
    let password = admin(|context| user::password(&object(json!({"current_password": "a"})), context));
    assert_eq!(said(password), "'new_password' is missing");
    assert_eq!(user::subject(&object(json!({}))).unwrap_err().to_string(), "'user_id' is missing");
}
