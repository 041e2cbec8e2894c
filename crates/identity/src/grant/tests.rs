//! Grants and standings, by table.

use super::*;
use crate::document::Document;
use crate::role::{Call, Groups};
use serde_json::{Value, json};
use tollgate_policy::clock::Wall;

pub(super) fn record(kind: Kind, id: &str, value: Value) -> Record {
    let Value::Object(members) = value else { panic!("an object") };
    Record::read(kind, id, 1, &Document(members)).unwrap()
}

fn directory(rows: impl IntoIterator<Item = (Kind, &'static str, Value)>) -> Directory {
    let mut directory = Directory::default();
    for (kind, id, value) in rows {
        directory.put(record(kind, id, value)).unwrap();
    }
    directory
}

fn verdict(child: Value, parent: &Parent) -> Option<String> {
    let groups = AccessGroups::new([("fast", "mini"), ("fast", "nano")]);
    let child = record(Kind::Key, "k", child);
    Grant::of(&child).within(std::slice::from_ref(parent), &groups).err().map(|error| error.to_string())
}

/// `wants` is the member that exceeds, or nothing.
fn check(parent: &Value, child: Value, above: Option<&str>, creator: Option<&str>) {
    let team = Arc::new(record(Kind::Team, "t", parent.clone()));
    let key = Arc::new(record(Kind::Key, "t", parent.clone()));
    let member = |verdict: Option<String>| verdict.map(|text| text.split('\'').nth(1).unwrap().to_owned());
    let case = format!("{child} within {parent}");
    assert_eq!(member(verdict(child.clone(), &Parent::above(&team))).as_deref(), above, "{case}");
    assert_eq!(member(verdict(child, &Parent::creator(&key))).as_deref(), creator, "{case}");
}

#[test]
fn lists_lie_within_their_parents() {
    let parent = json!({"models": ["gpt-4o", "openai/*", "fast"]});
    check(&parent, json!({"models": ["gpt-4o", "openai/o1", "mini", "fast"]}), None, None);
    check(&parent, json!({"models": ["gpt-4"]}), Some("models"), Some("models"));
    check(&parent, json!({"models": ["*"]}), Some("models"), Some("models"));
    check(&parent, json!({"models": ["all-proxy-models"]}), Some("models"), Some("models"));
    check(&parent, json!({}), None, Some("models"));
    check(&parent, json!({"models": ["all-team-models"]}), None, Some("models"));
    let aliased = json!({"models": ["gpt-4o"], "aliases": {"gpt-4o": "dear"}});
    check(&parent, aliased, Some("aliases"), Some("aliases"));
    let grouped = json!({"models": ["gpt-4o"], "access_group_ids": ["other"]});
    check(&parent, grouped, None, None);
    let grouped = json!({"models": ["gpt-4o"], "access_group_ids": ["fast"]});
    check(&parent, grouped.clone(), None, None);
    check(&json!({"models": ["gpt-4o"]}), grouped, Some("access_group_ids"), Some("access_group_ids"));
    let routes = json!({"allowed_routes": ["llm_api_routes"]});
    check(&routes, json!({"allowed_routes": ["/*"]}), Some("allowed_routes"), Some("allowed_routes"));
    check(&routes, json!({"allowed_routes": ["/v1/messages"]}), None, None);
    check(&routes, json!({}), None, Some("allowed_routes"));
    let networks = json!({"allowed_ips": ["10.0.0.0/8"]});
    check(&networks, json!({"allowed_ips": ["0.0.0.0/0"]}), Some("allowed_ips"), Some("allowed_ips"));
    check(&networks, json!({"allowed_ips": ["10.1.0.0/16"]}), None, None);
    check(&networks, json!({}), None, Some("allowed_ips"));
}

#[test]
fn what_the_team_has_is_the_same_only_within_one_team() {
    let creator = Arc::new(record(Kind::Key, "c", json!({"models": ["all-team-models"], "team_id": "t"})));
    let within = |child: Value| verdict(child, &Parent::creator(&creator)).is_none();
    assert!(within(json!({"models": ["all-team-models"], "team_id": "t"})));
    assert!(within(json!({"models": ["gpt-4o"], "team_id": "t"})));
    assert!(!within(json!({"models": ["gpt-4o"], "team_id": "u"})));
    assert!(!within(json!({"models": ["gpt-4o"]})));
    assert!(!within(json!({"models": ["all-team-models"]})));
}

#[test]
fn budgets_are_compared_over_the_shorter_time() {
    let parent = json!({"max_budget": 50, "budget_duration": "30d"});
    check(&parent, json!({"max_budget": 50, "budget_duration": "30d"}), None, None);
    check(
        &parent,
        json!({"max_budget": 50.01, "budget_duration": "30d"}),
        Some("max_budget"),
        Some("max_budget"),
    );
    check(
        &parent,
        json!({"max_budget": 60, "budget_duration": "1d"}),
        Some("max_budget"),
        Some("max_budget"),
    );
    check(&parent, json!({"max_budget": 40, "budget_duration": "1d"}), None, Some("max_budget"));
    check(&parent, json!({"max_budget": 60}), None, Some("max_budget"));
    check(&parent, json!({"max_budget": 40}), None, None);
    check(&parent, json!({"max_budget": 50, "budget_duration": "1mo"}), None, None);
    check(&parent, json!({}), None, Some("max_budget"));
    let windows = json!({"max_budget": 40, "budget_limits": [{"budget_duration": "1d", "max_budget": 51}]});
    check(&parent, windows, Some("budget_limits"), Some("budget_limits"));
    let more = json!({"max_budget": 45, "budget_duration": "30d", "temp_budget_increase": 10,
        "temp_budget_expiry": "2027-01-01T00:00:00Z"});
    check(&parent, more, Some("max_budget"), Some("max_budget"));
    let model = json!({"model_max_budget": {"o1": {"budget_limit": 5, "time_period": "1d"}}});
    check(
        &model,
        json!({"model_max_budget": {"o1": {"budget_limit": 6, "time_period": "1d"}}}),
        Some("model_max_budget.o1"),
        Some("model_max_budget.o1"),
    );
    check(&model, json!({}), None, Some("model_max_budget.o1"));
}

#[test]
fn rates_places_and_ends_are_compared() {
    let parent = json!({"rpm_limit": 10, "tpm_limit": 1000, "max_parallel_requests": 3,
        "model_rpm_limit": {"o1": 2}, "expires": "2027-01-01T00:00:00Z"});
    let same = parent.clone();
    check(&parent, same.clone(), None, None);
    let other = |member: &str, value: Value| {
        let mut other = same.clone();
        other[member] = value;
        other
    };
    check(&parent, other("rpm_limit", json!(11)), Some("rpm_limit"), Some("rpm_limit"));
    check(&parent, other("tpm_limit", json!(1001)), Some("tpm_limit"), Some("tpm_limit"));
    check(
        &parent,
        other("max_parallel_requests", json!(4)),
        Some("max_parallel_requests"),
        Some("max_parallel_requests"),
    );
    check(
        &parent,
        other("model_rpm_limit", json!({"o1": 3})),
        Some("model_rpm_limit.o1"),
        Some("model_rpm_limit.o1"),
    );
    check(&parent, other("expires", json!("2027-01-01T00:00:01Z")), Some("expires"), Some("expires"));
    check(&parent, other("expires", Value::Null), None, Some("expires"));
    check(&parent, other("rpm_limit", Value::Null), None, Some("rpm_limit"));
    check(&parent, other("max_parallel_requests", Value::Null), None, Some("max_parallel_requests"));
    let daily = json!({"rpd_limit": 100});
    check(&daily, json!({"rpm_limit": 101}), Some("rpm_limit"), Some("rpm_limit"));
    check(&daily, json!({"rpm_limit": 99}), None, Some("rpd_limit"));
}

#[test]
fn what_only_some_have_is_handed_on_by_those_who_have_it() {
    for (given, member) in [
        (json!({"permissions": {"get_spend_routes": true}}), "permissions"),
        (json!({"disable_global_guardrails": true}), "disable_global_guardrails"),
        (json!({"metadata": {"critical": true}}), "metadata.critical"),
        (json!({"metadata": {"budget_tiers": {"overflow": 5}}}), "metadata.budget_tiers"),
    ] {
        check(&json!({}), given.clone(), None, Some(member));
        check(&given, given.clone(), None, None);
    }
    check(&json!({"key_type": "llm_api"}), json!({}), None, Some("key_type"));
    check(&json!({"key_type": "llm_api"}), json!({"key_type": "llm_api"}), None, None);
    let every = json!({"metadata": {"critical": true}});
    check(&every, json!({"metadata": {"critical": "per_request"}}), None, None);
}

#[test]
fn an_excess_names_its_parent_and_the_limit() {
    let team = Arc::new(record(Kind::Team, "t", json!({"team_alias": "research", "max_budget": 50})));
    assert_eq!(
        verdict(json!({"max_budget": 60}), &Parent::above(&team)).as_deref(),
        Some("'max_budget' exceeds that of the team 'research': 50.0")
    );
}

#[test]
fn those_above_a_record_are_found() {
    let directory = directory([
        (Kind::Organization, "o", json!({})),
        (Kind::Team, "t", json!({"organization_id": "o"})),
        (Kind::User, "u", json!({"models": ["no-default-models"]})),
        (Kind::Member, "t/u", json!({"team_id": "t", "user_id": "u"})),
        (Kind::Project, "p", json!({"team_id": "t"})),
    ]);
    let kinds = |kind, value| {
        let record = record(kind, "x", value);
        let parents = Grant::of(&record).parents(&directory);
        parents.iter().map(|parent| parent.record.kind).collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(Kind::Key, json!({"team_id": "t", "user_id": "u", "project_id": "p"})),
        [Kind::Member, Kind::User, Kind::Project, Kind::Team, Kind::Organization]
    );
    assert_eq!(kinds(Kind::Team, json!({"organization_id": "o"})), [Kind::Organization]);
    assert_eq!(kinds(Kind::Project, json!({"team_id": "t"})), [Kind::Team, Kind::Organization]);
    assert_eq!(kinds(Kind::User, json!({})), []);
    // The user's list is for keys without a team.
    let within = |value| {
        let key = record(Kind::Key, "k", value);
        let grant = Grant::of(&key);
        grant.within(&grant.parents(&directory), &AccessGroups::default()).is_ok()
    };
    assert!(within(json!({"user_id": "u", "team_id": "t", "models": ["gpt-4o"]})));
    assert!(!within(json!({"user_id": "u", "models": ["gpt-4o"]})));
}

/// The chain of a key whose records say these things.
fn chain(rows: &[(Kind, Value); 6]) -> Directory {
    let links = [
        (Kind::Organization, "o", json!({})),
        (Kind::Team, "t", json!({"organization_id": "o"})),
        (Kind::User, "u", json!({})),
        (Kind::Member, "t/u", json!({"team_id": "t", "user_id": "u"})),
        (Kind::Project, "p", json!({"team_id": "t"})),
        (Kind::Key, "k0123456789", json!({"team_id": "t", "user_id": "u", "project_id": "p"})),
    ];
    directory(links.into_iter().map(|(kind, id, mut value)| {
        let (_, said) = rows.iter().find(|(other, _)| *other == kind).unwrap();
        value.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        (kind, id, value)
    }))
}

fn said(kind: Kind, value: &Value) -> Directory {
    let kinds = [Kind::Organization, Kind::Team, Kind::User, Kind::Member, Kind::Project, Kind::Key];
    chain(&kinds.map(|it| (it, if it == kind { value.clone() } else { json!({}) })))
}

fn now() -> Wall {
    Wall::from_rfc3339("2026-12-01T00:00:00Z").unwrap()
}

fn denied(directory: &Directory) -> Option<(u16, &'static str, String, String)> {
    let holder = directory.holder("k0123456789").unwrap();
    let denied = Standing::of(&holder, now()).err()?;
    Some((denied.status(), denied.error_type(), denied.param().to_owned(), denied.to_string()))
}

#[test]
fn a_block_anywhere_in_the_chain_blocks_the_key() {
    assert_eq!(denied(&said(Kind::Key, &json!({}))), None);
    for (kind, wants) in [
        (Kind::Key, "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin."),
        (
            Kind::Team,
            "Authentication Error, Team=t is blocked. Update via `/team/unblock` if you're an admin.",
        ),
        (
            Kind::Project,
            "Authentication Error, Project=p is blocked. Update via `/project/update` if you're an admin.",
        ),
        (
            Kind::User,
            "Authentication Error, User=u is blocked. Update via `/user/update` if you're an admin.",
        ),
        (
            Kind::Organization,
            "Authentication Error, Organization=o is blocked. Update via `/organization/update` if you're an admin.",
        ),
        (
            Kind::Member,
            "Authentication Error, Team member=t/u is blocked. Update via `/team/member_update` if you're an admin.",
        ),
    ] {
        let (status, error_type, param, text) = denied(&said(kind, &json!({"blocked": true}))).unwrap();
        assert_eq!((status, error_type, param.as_str(), text.as_str()), (401, "auth_error", "None", wants));
    }
}

#[test]
fn a_key_is_valid_up_to_its_end_and_that_of_all_above_it() {
    for kind in [Kind::Key, Kind::Team, Kind::User, Kind::Organization] {
        assert_eq!(denied(&said(kind, &json!({"expires": "2026-12-01T00:00:00.000001Z"}))), None);
        let (status, error_type, param, text) =
            denied(&said(kind, &json!({"expires": "2026-11-22T11:00:37.737Z"}))).unwrap();
        assert_eq!((status, error_type, param.as_str()), (401, "expired_key", "sk-...6789"));
        assert_eq!(
            text,
            "Authentication Error - Expired Key. Key Expiry time 2026-11-22 11:00:37.737000+00:00 and current time \
             2026-12-01 00:00:00.000000+00:00"
        );
        assert!(denied(&said(kind, &json!({"expires": "2026-12-01T00:00:00Z"}))).is_some());
    }
}

#[test]
fn a_key_of_who_is_gone_is_not_let_in() {
    for (kind, id) in [(Kind::Team, "t"), (Kind::Project, "p"), (Kind::Organization, "o")] {
        let mut directory = said(Kind::Key, &json!({}));
        directory.remove(kind, id);
        assert_eq!(denied(&directory).map(|it| it.0), Some(401), "{kind:?}");
    }
    // LiteLLM takes any user id, also of users that it does not know.
    let mut directory = said(Kind::Key, &json!({}));
    directory.remove(Kind::User, "u");
    assert_eq!(denied(&directory), None);
}

fn model(directory: &Directory, asked: &str) -> Result<String, (&'static str, u16)> {
    let groups = AccessGroups::new([("fast", "mini")]);
    let holder = directory.holder("k0123456789").unwrap();
    let standing = Standing::of(&holder, now()).unwrap();
    let answer = standing.model(asked, &groups);
    assert_eq!(answer.is_ok(), standing.has_model(asked, &groups));
    answer.map(str::to_owned).map_err(|denied| (denied.error_type(), denied.status()))
}

#[test]
fn a_model_is_allowed_by_each_of_the_chain() {
    let limited = json!({"models": ["gpt-4o", "openai/*", "fast"]});
    for (kind, error_type) in [
        (Kind::Key, "key_model_access_denied"),
        (Kind::Member, "team_model_access_denied"),
        (Kind::Team, "team_model_access_denied"),
        (Kind::Project, "project_model_access_denied"),
        (Kind::Organization, "org_model_access_denied"),
    ] {
        let directory = said(kind, &limited);
        for model_name in ["gpt-4o", "openai/o1", "mini"] {
            assert_eq!(model(&directory, model_name).as_deref(), Ok(model_name));
        }
        assert_eq!(model(&directory, "gpt-4"), Err((error_type, 403)), "{kind:?}");
    }
    assert_eq!(model(&said(Kind::User, &limited), "gpt-4").as_deref(), Ok("gpt-4"));
    let mut alone = said(Kind::User, &limited);
    alone.put(record(Kind::Key, "k0123456789", json!({"user_id": "u"}))).unwrap();
    assert_eq!(model(&alone, "gpt-4"), Err(("user_model_access_denied", 403)));
    assert_eq!(model(&alone, "gpt-4o").as_deref(), Ok("gpt-4o"));
}

#[test]
fn an_end_user_stands_beside_the_chain() {
    let groups = AccessGroups::new([("fast", "mini")]);
    let customer = |value: Value| record(Kind::Customer, "c", value);
    assert_eq!(customer_may(&customer(json!({})), "large", &groups), Ok(()));
    let limited = customer(json!({"models": ["fast"]}));
    assert_eq!(customer_may(&limited, "mini", &groups), Ok(()));
    let denied = customer_may(&limited, "large", &groups).unwrap_err();
    assert_eq!((denied.status(), denied.error_type()), (403, "customer_model_access_denied"));
    assert!(denied.to_string().contains("not in the allowed models for this customer"));
    let denied = customer_may(&customer(json!({"blocked": true})), "mini", &groups).unwrap_err();
    assert!(denied.to_string().contains("Customer=c is blocked. Update via `/customer/unblock`"));
}

#[test]
fn groups_beside_the_list_allow_their_models() {
    let directory = said(Kind::Key, &json!({"models": ["gpt-4o"], "access_group_ids": ["fast"]}));
    assert_eq!(model(&directory, "mini").as_deref(), Ok("mini"));
    assert!(model(&directory, "nano").is_err());
}

#[test]
fn an_alias_opens_nothing_above_whoever_made_it() {
    let key = json!({"models": ["cheap"], "aliases": {"cheap": "dear"}});
    assert_eq!(model(&said(Kind::Key, &key), "cheap").as_deref(), Ok("dear"));
    let with = |kind: Kind, value: Value| {
        let kinds = [Kind::Organization, Kind::Team, Kind::User, Kind::Member, Kind::Project, Kind::Key];
        chain(&kinds.map(|it| match it {
            Kind::Key => (it, key.clone()),
            it if it == kind => (it, value.clone()),
            it => (it, json!({})),
        }))
    };
    for kind in [Kind::Team, Kind::Project, Kind::Organization, Kind::Member] {
        assert!(model(&with(kind, json!({"models": ["cheap"]})), "cheap").is_err(), "{kind:?}");
        assert!(model(&with(kind, json!({"models": ["dear"]})), "cheap").is_ok(), "{kind:?}");
    }
    let team = json!({"models": ["cheap"], "model_aliases": {"cheap": "dear"}});
    assert_eq!(model(&said(Kind::Team, &team), "cheap").as_deref(), Ok("dear"));
}

#[test]
fn routes_and_addresses_are_allowed_by_each_of_the_chain() {
    let directory =
        said(Kind::Key, &json!({"allowed_routes": ["/v1/messages"], "allowed_ips": ["10.0.0.0/8"]}));
    let holder = directory.holder("k0123456789").unwrap();
    let standing = Standing::of(&holder, now()).unwrap();
    let call = |path| Call { pattern: path, path, groups: Groups::of_route(path) };
    assert_eq!(standing.route(&call("/v1/messages")), Ok(()));
    let denied = standing.route(&call("/v1/models")).unwrap_err();
    assert_eq!(denied.status(), 403);
    assert_eq!(
        denied.to_string(),
        "Virtual key is not allowed to call this route. Only allowed to call routes: ['/v1/messages']. Tried to call \
         route: /v1/models"
    );
    assert_eq!(standing.address([10, 1, 1, 1].into()), Ok(()));
    let denied = standing.address([192, 0, 2, 1].into()).unwrap_err();
    assert_eq!(
        (denied.status(), denied.to_string().as_str()),
        (403, "Access forbidden: IP address 192.0.2.1 not allowed.")
    );
    let directory = said(Kind::Key, &json!({"key_type": "read_only"}));
    let holder = directory.holder("k0123456789").unwrap();
    let standing = Standing::of(&holder, now()).unwrap();
    assert!(standing.route(&call("/v1/models")).is_ok());
    let text = standing.route(&call("/v1/messages")).unwrap_err().to_string();
    assert!(text.contains("['read_only']"), "{text}");
}
