//! `/key/*`.

use crate::support::{admin, document, holder, object, said};
use serde_json::{Value, json};
use tollgate_catalog::PicoDollars;
use tollgate_identity::form::key::{self, Deletion, Secret};
use tollgate_identity::form::{BadForm, Draft, Fault};
use tollgate_identity::{Document, Kind, Record};

const SECRET: Secret<'static> = Secret { token: "t0", name: "sk-...0000" };

fn new(body: Value) -> Result<Draft, BadForm> {
    admin(|context| key::new(&object(body), None, SECRET, context))
}

fn change(before: Value, body: Value) -> Result<Draft, BadForm> {
    admin(|context| key::change("t0", &document(before), &object(body), context))
}

fn changed_by_holder(before: Value, body: Value) -> Result<Draft, BadForm> {
    holder(|context| key::change("t0", &document(before), &object(body), context))
}

fn get(draft: &Draft, name: &str) -> Value {
    draft.document.0.get(name).cloned().unwrap_or_default()
}

#[test]
fn a_key_holds_what_was_said_and_nothing_that_was_not() {
    let draft = new(json!({
        "key_alias": "a", "models": ["m", "m", "n"], "max_budget": "10.5", "rpm_limit": "7", "user_id": "",
        "tags": ["x"], "model_rpm_limit": {"m": 3, "n": null}, "team_id": null, "duration": "1h", "aliases": {},
        "budget_duration": "30d", "guardrails": ["g"], "spend": 0, "object_permission": {"vector_stores": []},
        "budget_limits": [{"budget_duration": "1d", "max_budget": 2, "reset_at": "2026-11-23T00:00:00+00:00"}],
        "model_max_budget": {"m": {"max_budget": "0.5", "budget_duration": "1d", "rpm_limit": null}, "n": 3},
    }))
    .unwrap();
    assert_eq!((draft.kind, draft.id.as_str()), (Kind::Key, "t0"));
    let wants = json!({
        "token": "t0", "key_name": "sk-...0000", "expires": "2026-11-22T12:00:00.000000Z", "duration": "1h",
        "budget_began_at": "2026-11-22T11:00:00.000000Z", "budget_duration": "30d", "key_alias": "a",
        "models": ["m", "n"], "max_budget": 10.5, "rpm_limit": 7,
        "metadata": {"tags": ["x"], "model_rpm_limit": {"m": 3}, "guardrails": ["g"]},
        "budget_limits": [{"budget_duration": "1d", "max_budget": 2}],
        "model_max_budget": {"m": {"max_budget": 0.5, "budget_duration": "1d"}, "n": 3},
        "key_type": "default",
        "created_at": "2026-11-22T11:00:00.000000Z", "created_by": "ada",
        "updated_at": "2026-11-22T11:00:00.000000Z", "updated_by": "ada",
    });
    assert_eq!(Value::Object(draft.document.0.clone()), wants);
    let record = Record::read(Kind::Key, "t0", 1, &draft.document).unwrap();
    assert_eq!(record.limits.budget, Some(PicoDollars(10_500_000_000_000)));
    assert_eq!(record.limits.windows.len(), 1);
    assert_eq!(record.limits.models.budgets.len(), 2);
    assert_eq!(record.limits.models.requests.get("m"), Some(&3));
}

#[test]
fn what_is_wrong_with_a_body_is_said_without_its_values() {
    let check = |body: Value, wants: &str| {
        let said = said(new(body.clone()));
        assert_eq!(said, wants, "{body}");
        assert!(!said.contains("sEcReT"));
    };
    check(json!({"max_bugdet": 1}), "'max_bugdet' is unknown: the nearest known is 'max_budget'");
    check(json!({"token": "sEcReT"}), "'token' is unknown: the nearest known is 'key'");
    check(
        json!({"budget_reset_at": null}),
        "'budget_reset_at' is unknown: the nearest known is 'budget_limits'",
    );
    check(json!({"max_budget": "sEcReT"}), "'max_budget' is wrong: it is an amount of US dollars from 0");
    check(json!({"max_budget": -1}), "'max_budget' is wrong: it is an amount of US dollars from 0");
    check(json!({"rpm_limit": 1.5}), "'rpm_limit' is wrong: it is a whole number from 0");
    check(json!({"models": "sEcReT"}), "'models' is wrong: it is a list of texts");
    check(json!({"models": ["a", 1]}), "'models' is wrong: it is a list of texts");
    check(json!({"key_alias": "a\nb"}), "'key_alias' is wrong: it is a text");
    check(json!({"blocked": "sEcReT"}), "'blocked' is wrong: it is true or false");
    check(
        json!({"duration": "sEcReT"}),
        "'duration' is wrong: it is a duration such as 30s, 5m, 12h, 30d, 1w or 1mo, or -1 for ever",
    );
    check(
        json!({"budget_duration": "0d"}),
        "'budget_duration' is wrong: it is a duration such as 30s, 5m, 12h, 30d, 1w or 1mo",
    );
    check(
        json!({"key_type": "sEcReT"}),
        "'key_type' is wrong: it is one of default, llm_api, management, read_only",
    );
    check(json!({"aliases": {"a": 1}}), "'aliases' is wrong: it is an object of texts by name");
    check(json!({"spend": 5}), "'spend' is counted, not set: a change may set it");
    check(
        json!({"mcp_rpm_limit": {"s": 1}}),
        "'mcp_rpm_limit' is not supported: there are no MCP servers here",
    );
    check(json!({"budget_limits": [{"budget_duration": "1d"}]}), "'budget_limits[0].max_budget' is missing");
    check(
        json!({"budget_limits": [{"limit": 1}]}),
        "'budget_limits[0].limit' is unknown: there are budget_duration and max_budget",
    );
    check(json!({"model_max_budget": {"m": {}}}), "'model_max_budget.m.budget_limit' is missing");
    check(
        json!({"model_max_budget": {"m": {"budget_limit": 1, "rpm_limit": 5}}}),
        "'model_max_budget.m.rpm_limit' is not supported: model_rpm_limit holds a model to a rate",
    );
    check(json!({"metadata": {"budget_tiers": {"warn": 2}}}), "'budget_tiers.warn' is no share from 0 to 1");
    check(json!({"temp_budget_increase": 5}), "'temp_budget_expiry' is no date and time");
    check(json!({"auto_rotate": true}), "'rotation_interval' is missing");
}

#[test]
fn null_resets_and_what_is_absent_stays() {
    let before = json!({
        "max_budget": 5, "models": ["m"], "rpm_limit": 3, "budget_duration": "1d",
        "budget_began_at": "2026-01-01T00:00:00Z", "expires": "2027-01-01T00:00:00Z",
        "metadata": {"model_rpm_limit": {"m": 1}, "note": "n"},
    });
    let draft = change(before.clone(), json!({"key": "sk-x", "rpm_limit": 4})).unwrap();
    assert_eq!(get(&draft, "max_budget"), 5);
    assert_eq!(get(&draft, "rpm_limit"), 4);
    assert_eq!(get(&draft, "budget_began_at"), "2026-01-01T00:00:00Z");
    assert_eq!(get(&draft, "settings_updated_at"), "2026-11-22T11:00:00.000000Z");
    assert_eq!(get(&draft, "key"), Value::Null);

    let nulls = json!({
        "max_budget": null, "models": null, "duration": null, "budget_duration": null, "model_rpm_limit": null,
    });
    let draft = change(before.clone(), nulls).unwrap();
    for name in ["max_budget", "models", "expires", "budget_duration", "budget_began_at"] {
        assert_eq!(get(&draft, name), Value::Null, "{name}");
    }
    assert_eq!(get(&draft, "metadata"), json!({"note": "n"}));

    let anew = change(before.clone(), json!({"budget_duration": "1w", "metadata": {}})).unwrap();
    assert_eq!(get(&anew, "budget_began_at"), "2026-11-22T11:00:00.000000Z");
    assert_eq!(get(&anew, "metadata"), Value::Null);
    let same = change(before, json!({"budget_duration": "1d"})).unwrap();
    assert_eq!(get(&same, "budget_began_at"), "2026-01-01T00:00:00Z");
}

#[test]
fn no_column_of_the_database_is_set_by_its_name() {
    let columns = [
        "token",
        "key_name",
        "spend",
        "total_spend",
        "expires",
        "budget_reset_at",
        "budget_began_at",
        "created_at",
        "created_by",
        "updated_at",
        "updated_by",
        "settings_updated_at",
        "last_active",
        "rotation_count",
        "last_rotation_at",
        "key_rotation_at",
        "superseded_by",
        "soft_budget_cooldown",
        "model_spend",
        "org_id",
        "object_permission_id",
        "user_role",
        "litellm_budget_table",
        "version",
        "id",
        "kind",
        "token_id",
        "api_key",
    ];
    for column in columns {
        let bad = change(json!({}), json!({column: "2030-01-01T00:00:00Z"})).unwrap_err();
        let faults = [Fault::Unknown, Fault::Unsupported, Fault::Wrong];
        assert!(faults.contains(&bad.fault), "{column}: {bad}");
        assert_eq!(bad.member, column);
    }
}

#[test]
fn what_only_administrators_may_set_nobody_else_sets_by_any_name() {
    let until = "2026-12-01T00:00:00Z";
    let check = |before: Value, body: Value, member: &str| {
        let bad = changed_by_holder(before.clone(), body.clone()).unwrap_err();
        assert_eq!((bad.fault, bad.member.as_str()), (Fault::Forbidden, member), "{body}");
        assert!(change(before, body).is_ok());
    };
    let both = json!({"temp_budget_increase": 5, "temp_budget_expiry": until});
    check(json!({}), both.clone(), "temp_budget_increase");
    check(json!({}), json!({"metadata": both}), "metadata.temp_budget_increase");
    check(json!({}), json!({"metadata": {"critical": true}}), "metadata.critical");
    check(json!({}), json!({"metadata": {"budget_tiers": {"overflow": 1}}}), "metadata.budget_tiers");
    check(json!({"blocked": true}), json!({"blocked": false}), "blocked");
    check(json!({"user_id": "ada"}), json!({"user_id": "bob"}), "user_id");
    check(json!({}), json!({"organization_id": "o"}), "organization_id");
    check(json!({}), json!({"budget_id": "b"}), "budget_id");
    check(json!({"allowed_routes": ["llm_api_routes"]}), json!({"allowed_routes": []}), "allowed_routes");
    check(json!({"allowed_ips": ["10.0.0.1"]}), json!({"allowed_ips": ["10.0.0.2"]}), "allowed_ips");
    check(json!({}), json!({"permissions": {"get_spend_routes": true}}), "permissions");

    // A page that sends everything that it knows changes nothing by that.
    let before = json!({"metadata": {"critical": true, "note": "old"}, "blocked": true});
    let body = json!({"metadata": {"note": "new"}, "blocked": null, "temp_budget_increase": null});
    let draft = changed_by_holder(before, body).unwrap();
    let before = json!({"user_id": "ada", "allowed_routes": ["r"]});
    let body = json!({
        "token": "t0", "user_id": "ada", "allowed_routes": ["r"], "allowed_ips": [], "permissions": {}, "budget_id": "",
        "disabled_callbacks": [], "enable_prompt_caching": false, "object_permission": {"vector_stores": []},
    });
    assert_eq!(get(&changed_by_holder(before.clone(), body).unwrap(), "allowed_routes"), json!(["r"]));
    assert_eq!(said(changed_by_holder(before, json!({"token": "t1"}))), "'token' cannot be changed");
    assert_eq!(get(&draft, "metadata"), json!({"note": "new", "critical": true}));
    assert_eq!(get(&draft, "blocked"), true);
}

#[test]
fn whose_a_service_account_is_stays() {
    let secret = || SECRET;
    let made = admin(|context| {
        key::of_service_account(&object(json!({"team_id": "t", "key_alias": "bot"})), secret(), context)
    })
    .unwrap();
    assert_eq!(get(&made, "metadata"), json!({"service_account_id": "bot"}));
    let Document(members) = made.document;
    let draft = change(Value::Object(members.clone()), json!({"metadata": {"x": 1}})).unwrap();
    assert_eq!(get(&draft, "metadata"), json!({"x": 1, "service_account_id": "bot"}));
    let other = change(Value::Object(members), json!({"metadata": {"service_account_id": "other"}}));
    assert_eq!(said(other), "'metadata.service_account_id' cannot be changed");
    let without = admin(|context| key::of_service_account(&object(json!({})), secret(), context));
    assert_eq!(said(without), "'team_id' is missing");
    let owned = json!({"team_id": "t", "user_id": "u"});
    let owned = admin(|context| key::of_service_account(&object(owned), secret(), context));
    assert_eq!(said(owned), "'user_id' cannot be given: a service account's key belongs to no user");
}

#[test]
fn a_kind_of_key_is_a_list_of_routes_and_a_key_belongs_to_who_makes_it() {
    let draft = new(json!({"key_type": "llm_api", "allowed_routes": ["/x"]})).unwrap();
    assert_eq!(get(&draft, "allowed_routes"), json!(["llm_api_routes"]));
    let owned = |body: Value| {
        let draft = holder(|context| key::new(&object(body), Some("ada"), SECRET, context)).unwrap();
        get(&draft, "user_id")
    };
    assert_eq!(owned(json!({})), "ada");
    assert_eq!(owned(json!({"user_id": null})), "ada");
    assert_eq!(owned(json!({"user_id": "ada"})), "ada");
    let others = holder(|context| key::new(&object(json!({"user_id": "bob"})), Some("ada"), SECRET, context));
    assert_eq!(said(others), "'user_id' can be set by administrators only");
    assert_eq!(get(&new(json!({"user_id": "bob"})).unwrap(), "user_id"), "bob");
    let managing =
        holder(|context| key::new(&object(json!({"key_type": "management"})), None, SECRET, context));
    assert_eq!(said(managing), "'key_type' can be set by administrators only");
}

#[test]
fn a_lifetime_in_months_ends_on_the_same_day_of_the_month() {
    let expires = |duration: &str| get(&new(json!({"duration": duration})).unwrap(), "expires");
    assert_eq!(expires("3mo"), "2027-02-22T11:00:00.000000Z");
    assert_eq!(expires("90s"), "2026-11-22T11:01:30.000000Z");
    assert_eq!(expires("-1"), Value::Null);
    assert_eq!(said(new(json!({"duration": "90000000mo"}))), "'duration' is longer than can be written");
    assert_eq!(said(new(json!({"duration": "99999999d"}))), "'duration' is longer than can be written");
}

#[test]
fn a_key_in_place_of_another_leaves_it_a_while() {
    let before = json!({"token": "old", "key_alias": "a", "max_budget": 3, "rotation_count": 1, "auto_rotate": true,
        "rotation_interval": "30d"});
    let regenerate = |body: Value| {
        admin(|context| key::regenerate("old", &document(before.clone()), &object(body), SECRET, context))
    };
    let at_once = regenerate(json!({"max_budget": 4})).unwrap();
    assert_eq!((at_once.new.id.as_str(), at_once.old.is_none()), ("t0", true));
    assert_eq!(get(&at_once.new, "max_budget"), 4);
    assert_eq!(get(&at_once.new, "rotation_count"), 2);
    assert_eq!(get(&at_once.new, "token"), "t0");
    assert_eq!(get(&at_once.new, "key_rotation_at"), "2026-12-22T11:00:00.000000Z");
    let later = regenerate(json!({"grace_period": "24h", "new_key": "sk-chosen"})).unwrap();
    let old = later.old.unwrap();
    assert_eq!(get(&old, "expires"), "2026-11-23T11:00:00.000000Z");
    assert_eq!(get(&old, "superseded_by"), "t0");
    assert_eq!(get(&old, "key_alias"), Value::Null);
    assert_eq!(get(&later.new, "expires"), Value::Null);
    assert_eq!(said(regenerate(json!({"grace_period": "-1"}))), "'grace_period' has no end");
    assert_eq!(
        said(regenerate(json!({"new_master_key": "sk-sEcReT"}))),
        "'new_master_key' is not supported: the master key is in the configuration"
    );
}

#[test]
fn keys_are_deleted_by_key_or_by_alias_and_spend_is_set_back_only() {
    let deletion = |body: Value| admin(|context| key::deletion(&object(body), context));
    assert_eq!(deletion(json!({"keys": ["a"], "key_aliases": null})), Ok(Deletion::Keys(vec!["a".into()])));
    assert_eq!(deletion(json!({"key_aliases": ["a"]})), Ok(Deletion::Aliases(vec!["a".into()])));
    assert_eq!(said(deletion(json!({}))), "'keys' is missing");
    let both = deletion(json!({"keys": ["a"], "key_aliases": ["b"]}));
    assert_eq!(said(both), "'key_aliases' cannot be given beside keys");
    let reset = |body: Value| {
        admin(|context| key::reset_spend(&object(body), PicoDollars(2_000_000_000_000), context))
    };
    assert_eq!(reset(json!({"reset_to": 0})), Ok(PicoDollars(0)));
    assert_eq!(reset(json!({"reset_to": 2.0})), Ok(PicoDollars(2_000_000_000_000)));
    assert_eq!(said(reset(json!({"reset_to": 3}))), "'reset_to' is more than was spent");
    assert_eq!(said(reset(json!({}))), "'reset_to' is missing");
}

#[test]
fn several_keys_are_changed_each_by_a_body_of_its_own() {
    let bulk = |body: Value| admin(|context| key::bulk(&object(body), context));
    let changes =
        bulk(json!({"keys": [{"key": "a", "max_budget": 1}, {"key": "b", "tags": ["x"]}]})).unwrap();
    assert_eq!(changes.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    for (_, body) in changes {
        assert!(change(json!({}), Value::Object(body)).is_ok());
    }
    let unknown = bulk(json!({"keys": [{"key": "a", "models": []}]}));
    assert_eq!(said(unknown), "'keys[0].models' is unknown: the nearest known is 'key'");
    assert_eq!(said(bulk(json!({"keys": [{"tags": []}]}))), "'keys[0].key' is missing");
    let team = |body: Value| admin(|context| key::team_bulk(&object(body), context));
    let all =
        team(json!({"team_id": "t", "all_keys_in_team": true, "update_fields": {"rpm_limit": 1}})).unwrap();
    assert_eq!((all.team.as_str(), all.keys), ("t", None));
    assert_eq!(said(team(json!({"team_id": "t", "update_fields": {}}))), "'key_ids' is missing");
    let unknown = team(json!({"team_id": "t", "all_keys_in_team": true, "update_fields": {"user_id": "u"}}));
    assert!(said(unknown).starts_with("'update_fields.user_id' is unknown"));
}
