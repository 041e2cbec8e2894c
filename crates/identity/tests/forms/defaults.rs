//! What the operator says of new records, and of the most that a key may have.

use crate::support::{admin, get, holder, object, said};
use serde_json::{Map, Value, json};
use tollgate_catalog::PicoDollars;
use tollgate_identity::form::bounds::{Bounds, require};
use tollgate_identity::form::key::{self, Secret};
use tollgate_identity::form::{BadForm, Draft, team, user};
use tollgate_policy::period::Cadence;

const SECRET: Secret<'static> = Secret { token: "t0", name: "sk-...0000" };

fn key(body: Value, defaults: Value) -> Result<Draft, BadForm> {
    holder(|context| key::new_with_defaults(&object(body), &object(defaults), None, SECRET, context))
}

#[test]
fn a_key_has_of_the_defaults_what_it_does_not_say() {
    let defaults = json!({
        "max_budget": 5, "budget_duration": "1d", "models": ["m"], "metadata": {"by": "default"}, "rpm_limit": 9,
        "allowed_routes": ["llm_api_routes"], "user_id": "shared", "team_id": "t", "duration": "30d",
    });
    let made =
        key(json!({"models": [], "metadata": {}, "rpm_limit": 3, "budget_duration": null}), defaults.clone());
    let document = made.unwrap().document;
    assert_eq!(get(&document, "max_budget"), 5);
    assert_eq!(get(&document, "models"), json!(["m"]));
    assert_eq!(get(&document, "metadata"), json!({"by": "default"}));
    assert_eq!(get(&document, "rpm_limit"), 3);
    assert_eq!(get(&document, "budget_duration"), Value::Null);
    // The operator may say what whoever asks may not.
    assert_eq!(get(&document, "allowed_routes"), json!(["llm_api_routes"]));
    assert_eq!(get(&document, "user_id"), "shared");
    assert_eq!(get(&document, "expires"), "2026-12-22T11:00:00.000000Z");
    let asked = key(json!({"user_id": "bob"}), defaults.clone());
    assert_eq!(said(asked), "'user_id' can be set by administrators only");
    let owned = holder(|context| {
        key::new_with_defaults(&Map::new(), &object(defaults), Some("ada"), SECRET, context).unwrap()
    });
    assert_eq!(get(&owned.document, "user_id"), "ada");
}

#[test]
fn a_user_has_the_defaults_of_its_role() {
    let defaults = object(json!({"user_role": "internal_user", "max_budget": 5, "teams": ["t"]}));
    let internal = object(json!({"max_budget": 9, "budget_duration": "30d"}));
    let new = |body: Value, defaults: &Map<String, Value>| {
        admin(|context| user::new_with_defaults(&object(body), defaults, &internal, context)).unwrap()
    };
    let usual = new(json!({}), &defaults);
    assert_eq!(get(&usual.user.document, "max_budget"), 5);
    assert_eq!(get(&usual.user.document, "budget_duration"), "30d");
    assert_eq!(usual.teams.len(), 1);
    let admin = new(json!({"user_role": "proxy_admin"}), &defaults);
    assert_eq!(get(&admin.user.document, "max_budget"), Value::Null);
    let viewer = new(json!({"user_role": "internal_user_viewer"}), &defaults);
    assert_eq!(get(&viewer.user.document, "budget_duration"), Value::Null);
    let alone = new(json!({"user_role": "internal_user"}), &Map::new());
    assert_eq!(get(&alone.user.document, "max_budget"), 9);
}

#[test]
fn a_team_has_the_defaults_too() {
    let defaults = object(json!({"max_budget": 5, "team_member_permissions": ["/key/list"]}));
    let made = admin(|context| {
        team::new_with_defaults(&object(json!({"max_budget": 1})), &defaults, context).unwrap()
    });
    assert_eq!(get(&made.team.document, "max_budget"), 1);
    assert_eq!(get(&made.team.document, "team_member_permissions"), json!(["/key/list"]));
}

#[test]
fn no_key_has_more_than_it_may() {
    let bounds = Bounds {
        max_budget: Some(PicoDollars(10_000_000_000_000)),
        budget_duration: Some(Cadence::Days(30)),
        duration: Some(Cadence::Days(30)),
        max_parallel_requests: Some(5),
        tpm_limit: Some(100),
        rpm_limit: Some(10),
    };
    let new = |body: Value| {
        admin(|context| bounds.of_new(key::new(&object(body), None, SECRET, context).unwrap(), context))
    };
    let filled = new(json!({"max_budget": 10, "rpm_limit": 2})).unwrap().document;
    assert_eq!((get(&filled, "max_budget"), get(&filled, "rpm_limit")), (json!(10), json!(2)));
    assert_eq!((get(&filled, "tpm_limit"), get(&filled, "max_parallel_requests")), (json!(100), json!(5)));
    assert_eq!((get(&filled, "budget_duration"), get(&filled, "duration")), (json!("30d"), json!("30d")));
    assert_eq!(get(&filled, "expires"), "2026-12-22T11:00:00.000000Z");
    let over = [
        ("max_budget", json!(10.01)),
        ("budget_duration", json!("1mo")),
        ("duration", json!("31d")),
        ("duration", json!("-1")),
        ("max_parallel_requests", json!(6)),
        ("tpm_limit", json!(101)),
        ("rpm_limit", json!(11)),
    ];
    for (name, value) in over {
        let said = said(new(json!({name: value})));
        assert_eq!(said, format!("'{name}' is over the most that the configuration allows a key"));
    }
    let change = |body: Value| {
        let body = object(body);
        let draft = admin(|context| key::change("t0", &filled, &body, context)).unwrap();
        bounds.of_change(&draft, &body)
    };
    assert_eq!(change(json!({"max_budget": 9, "key_alias": "a"})), Ok(()));
    for (name, value) in [
        ("max_budget", json!(11)),
        ("rpm_limit", json!(null)),
        ("duration", json!("-1")),
        ("duration", json!(null)),
    ] {
        assert!(said(change(json!({name: value}))).starts_with(&format!("'{name}' is over")));
    }
    let nothing = Bounds::default();
    let free =
        admin(|context| nothing.of_new(key::new(&Map::new(), None, SECRET, context).unwrap(), context));
    assert_eq!(get(&free.unwrap().document, "max_budget"), Value::Null);
}

#[test]
fn what_the_operator_wants_said_is_asked_for() {
    let required = ["tags".to_owned(), "key_alias".to_owned()];
    assert_eq!(require(&object(json!({"tags": ["t"], "key_alias": "a"})), &required), Ok(()));
    assert_eq!(
        said(require(&object(json!({"tags": ["t"], "key_alias": null})), &required)),
        "'key_alias' is missing"
    );
    assert_eq!(require(&Map::new(), &[]), Ok(()));
}
