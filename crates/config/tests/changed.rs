//! Settings that go before those of the files: how they are read, what is refused, and what of them is secret.

#![allow(clippy::expect_used)]

use serde_json::{Map, Value, json};
use std::convert::Infallible;
use tollgate_config::{
    CHANGEABLE, Config, Loaded, Severity, Unchangeable, changeable, diff, keys_of, map_secrets, masked,
    stands_before,
};

const FILE: &str = "
model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: k}}]
router_settings: {num_retries: 1, timeout: 9}
litellm_settings: {cooldown_time: 7}
general_settings: {master_key: sk-of-the-file, alerting: [slack]}
environment_variables: {SLACK_WEBHOOK_URL: 'https://a'}
";

fn config() -> Config {
    Config::from_yaml_text(FILE, &|_| None).config.expect("a good configuration")
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn with(changed: &Value) -> Loaded {
    config().with_settings(&object(changed), &["made".to_owned()], &|_| None)
}

#[test]
fn a_changed_setting_stands_in_the_place_of_the_files_and_the_others_stay() {
    let loaded = with(&json!({
        "router_settings": {"num_retries": 5, "fallbacks": [{"a": ["made"]}]},
        "litellm_settings": {"cooldown_time": null},
        "tollgate_settings": {"rescue": false},
    }));
    assert_eq!(loaded.report.to_string(), "");
    let (old, new) = (config(), loaded.config.expect("a good configuration"));
    assert_eq!((new.router.num_retries, new.router.timeout), (5, old.router.timeout));
    assert_eq!((old.router.cooldown_time.as_secs(), new.router.cooldown_time.as_secs()), (7, 5));
    assert_eq!((new.router.fallbacks.len(), new.tollgate.rescue), (1, false));
    assert_eq!((&new.files, new.deployments.len()), (&old.files, 1));
    assert!(diff(&old, &new).restart.is_empty());
    // What was read again can be read again.
    let again = new.with_settings(&Map::new(), &[], &|_| None).config.expect("a good configuration");
    assert_eq!(again.router, old.router);
}

#[test]
fn what_is_wrong_is_said_with_the_path_of_the_setting() {
    let check = |changed: Value, severity: Severity, expect: &str| {
        let loaded = with(&changed);
        let said =
            loaded.report.findings.iter().map(|one| (one.severity, format!("{}: {}", one.key, one.message)));
        let said: Vec<_> = said.collect();
        assert_eq!(said, [(severity, expect.to_owned())]);
        assert_eq!(loaded.config.is_none(), severity == Severity::Error);
    };
    check(
        json!({"router_settings": {"timeout": -1}}),
        Severity::Error,
        "router_settings.timeout: wants seconds, more than 0, found another number",
    );
    check(
        json!({"general_settings": {"max_budget": "os.environ/HOME"}}),
        Severity::Error,
        "general_settings.max_budget: names a variable of the environment, as only the file may",
    );
    check(
        json!({"router_settings": {"fallbacks": [{"a": ["nobody"]}]}}),
        Severity::Warning,
        "router_settings.fallbacks: no model group is named nobody",
    );
}

#[test]
fn a_setting_may_be_changed_if_something_acts_on_it_and_it_is_not_the_files_alone() {
    let check = |section: &str, name: &str, expect: Result<&str, Unchangeable>| {
        assert_eq!(changeable(section, name).map(|key| key.name), expect, "{section}.{name}");
    };
    check("router_settings", "fallbacks", Ok("fallbacks"));
    check("router_settings", "fallback", Err(Unchangeable::Unknown(Some("fallbacks"))));
    check("router_settings", "redis_host", Err(Unchangeable::NotYetActive));
    check("general_settings", "master_key", Err(Unchangeable::OfTheFile));
    check("environment_variables", "SLACK_WEBHOOK_URL", Ok("SLACK_WEBHOOK_URL"));
    check("environment_variables", "OPENAI_API_KEY", Ok("OPENAI_API_KEY"));
    check("environment_variables", "PATH", Err(Unchangeable::OfTheFile));
    check("model_list", "a", Err(Unchangeable::OfTheFile));
    assert!(matches!(changeable("general_settings", "custom_auth"), Err(Unchangeable::Unsupported(_))));
    for section in CHANGEABLE.into_iter().filter(|section| *section != "environment_variables") {
        assert!(keys_of(section).any(|key| changeable(section, key.name).is_ok()), "{section}");
    }
    assert_eq!(stands_before("litellm_settings", "num_retries"), Some(("router_settings", "num_retries")));
    assert_eq!(stands_before("router_settings", "num_retries"), None);
}

#[test]
fn every_secret_of_a_setting_is_found_with_its_place() {
    let check = |section: &str, name: &str, value: Value, expect: &[&str], shown: Value| {
        let mut places = Vec::new();
        let found = map_secrets(section, name, &value, &mut |place, text| {
            places.push(place.to_owned());
            Ok::<_, Infallible>(text.to_owned())
        });
        assert_eq!(found, Ok(value.clone()), "{name}");
        assert_eq!(places, expect, "{name}");
        assert_eq!(masked(section, name, &value), shown, "{name}");
    };
    check(
        "general_settings",
        "pass_through_endpoints",
        json!([{"path": "/a", "target": "https://a", "headers": {"authorization": "x"}}]),
        &["pass_through_endpoints[0].headers.authorization"],
        json!([{"path": "/a", "target": "https://a", "headers": {"authorization": "****"}}]),
    );
    check(
        "general_settings",
        "alert_to_webhook_url",
        json!({"budget_alerts": ["https://a/b"], "outage_alerts": "https://c"}),
        &["alert_to_webhook_url.budget_alerts[0]", "alert_to_webhook_url.outage_alerts"],
        json!({"budget_alerts": ["****"], "outage_alerts": "****"}),
    );
    check("environment_variables", "SMTP_PORT", json!("25"), &["SMTP_PORT"], json!("****"));
    check(
        "router_settings",
        "fallbacks",
        json!([{"a": ["b", {"model": "c", "api_key": "x", "max_tokens": 5}]}]),
        &["fallbacks[0].a[1].api_key"],
        json!([{"a": ["b", {"model": "c", "api_key": "****", "max_tokens": 5}]}]),
    );
    // A typed name is what its table says, whatever it sounds like.
    let generation = json!({"team_key_generation": {"allowed_team_member_roles": ["admin"]}});
    check("litellm_settings", "key_generation_settings", generation.clone(), &[], generation);
}

#[test]
fn the_files_settings_are_shown_without_their_secrets_and_printing_shows_no_text() {
    let config = config();
    assert_eq!(
        Value::Object(config.written("general_settings")),
        json!({"master_key": "****", "alerting": ["slack"]})
    );
    assert_eq!(Value::Object(config.written("environment_variables")), json!({"SLACK_WEBHOOK_URL": "****"}));
    assert_eq!(config.written_in_full("router_settings", "timeout"), Some(json!(9)));
    assert_eq!(config.written_in_full("router_settings", "fallbacks"), None);
    assert!(!format!("{config:?}").contains("sk-of-the-file"));
}
