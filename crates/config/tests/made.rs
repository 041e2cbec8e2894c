//! Deployments that are in no file: read as an entry of the file would be.

use serde_json::{Map, Value, json};
use tollgate_config::{Config, Deployment, Finding, Made};

#[cfg(test)]
fn config(more: &str) -> Config {
    let text =
        format!("model_list: [{{model_name: a, litellm_params: {{model: openai/a, api_key: k}}}}]\n{more}");
    let loaded = Config::from_yaml_text(&text, &|_| None);
    loaded.config.unwrap_or_else(|| panic!("{}", loaded.report))
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn variable(name: &str) -> Option<String> {
    (name == "OPENAI_API_KEY").then(|| "sk-of-the-environment".to_owned())
}

fn read(config: &Config, params: &Value, info: &Value) -> Result<Deployment, Vec<Finding>> {
    let (params, info) = (map(params), map(info));
    let made =
        Made { id: "x", model_name: "m", params: &params, info: &info, credential: None, is_guarded: false };
    config.read_deployment(made, &variable)
}

#[test]
fn what_is_wrong_is_said_with_its_member_and_never_with_its_value() {
    let check = |params: Value, member: &str, words: &str| {
        let findings = read(&config(""), &params, &json!({})).unwrap_err();
        let first = &findings[0];
        assert_eq!((first.key.as_str(), first.message.contains(words)), (member, true), "{first}");
        assert!(!first.message.contains("secret"), "{first}");
    };
    check(json!({"model": "openai/a", "rpm": "many"}), "litellm_params.rpm", "wants whole number");
    check(json!({"model": "a-model-of-nobody"}), "litellm_params.model", "no provider");
    check(json!({"model": "nobody/secret", "api_key": "k"}), "litellm_params.model", "");
    check(json!({"model": "openai/a", "api_base": "secret"}), "litellm_params.api_base", "http(s) address");
    check(json!({"model": "azure/a", "api_key": "k"}), "litellm_params.api_base", "needs an api_base");
    check(
        json!({"model": "openai/a", "api_key": "os.environ/LITELLM_MASTER_KEY"}),
        "litellm_params.api_key",
        "no variable",
    );
    check(
        json!({"model": "openai/a", "extra_body": {"a": ["os.environ/HOME"]}}),
        "litellm_params.extra_body.a[0]",
        "no variable",
    );
}

#[test]
fn a_key_may_come_of_the_environment_but_not_to_a_team() {
    let check = |params: Value, info: Value, expect: Option<&str>| {
        let read = read(&config(""), &params, &info).ok();
        assert_eq!(
            read.and_then(|read| read.api_key).as_ref().map(|key| key.expose()),
            expect,
            "{params} {info}"
        );
    };
    let key = Some("sk-of-the-environment");
    check(json!({"model": "openai/a"}), json!({}), key);
    check(json!({"model": "openai/a", "api_key": "os.environ/OPENAI_API_KEY"}), json!({}), key);
    check(json!({"model": "openai/a"}), json!({"team_id": "t"}), None);
    check(
        json!({"model": "openai/a", "api_key": "os.environ/OPENAI_API_KEY"}),
        json!({"team_id": "t"}),
        None,
    );
    check(json!({"model": "openai/a", "api_key": "own"}), json!({"team_id": "t"}), Some("own"));
}

#[test]
fn no_two_teams_share_a_group_whatever_they_are_called() {
    let group = |team: &str, name: &str| {
        let info = json!({"team_id": team, "team_public_model_name": name});
        let read = read(&config(""), &json!({"model": "openai/a", "api_key": "k"}), &info).unwrap();
        assert_eq!(read.public_name(), name);
        read.model_name
    };
    let groups =
        [group("a", "b/c"), group("a/b", "c"), group("a%2Fb", "c"), group("a*", "c"), group("a", "c")];
    for (at, one) in groups.iter().enumerate() {
        assert!(groups.iter().skip(at + 1).all(|other| other != one), "{groups:?}");
        assert!(!one.contains('*'), "{one}");
    }
    assert_eq!(group("a*", "openai/*").matches('*').count(), 1);
}

#[test]
fn a_credential_fills_in_what_a_deployment_does_not_say() {
    let values = "{api_base: 'https://azure', api_key: sk-of-list, api_version: v1}";
    let text = format!(
        "credential_list: [{{credential_name: c, credential_values: {values}}}]\n\
         model_list:\n- model_name: a\n  litellm_params: {{model: azure/a, litellm_credential_name: c, api_version: v2}}\n"
    );
    let loaded = Config::from_yaml_text(&text, &|_| None);
    assert_eq!(loaded.report.to_string(), "");
    let config = loaded.config.unwrap();
    let [incomplete] = config.deployments.as_slice() else { panic!("{:?}", config.deployments) };
    assert_eq!(incomplete.incomplete.as_ref().map(|of| of.credential.as_str()), Some("c"));
    let whole = config.completed(incomplete, &config.credentials[0].values, &|_| None).unwrap();
    assert_eq!((whole.id.as_str(), whole.is_made), (incomplete.id.as_str(), false));
    assert_eq!(whole.api_base.as_deref(), Some("https://azure"));
    assert_eq!(whole.api_key.as_ref().map(|key| key.expose()), Some("sk-of-list"));
    assert_eq!(whole.api_version.as_deref(), Some("v2"));
    assert!(!format!("{config:?}").contains("sk-of-list"));
    assert!(config.secrets().iter().any(|secret| secret.expose() == "sk-of-list"));
}

#[test]
fn the_routers_words_hold_for_what_is_made_too() {
    let config = config("router_settings: {default_max_parallel_requests: 3, weights: {x: 2}}");
    let read = read(&config, &json!({"model": "openai/a", "api_key": "k"}), &json!({})).unwrap();
    assert_eq!((read.max_parallel_requests, read.weight), (Some(3), Some(2.0)));
    assert_eq!(read.model_info.get("id"), Some(&json!("x")));
}
