//! What passes through: endpoints of the operator's own, and the accounts of the environment.

use tollgate_config::{Config, Loaded, PassThroughEndpoint};

fn load(yaml: &str, variables: &[(&str, &str)]) -> Loaded {
    Config::from_yaml_text(yaml, &|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[cfg(test)]
fn endpoints(yaml: &str, variables: &[(&str, &str)]) -> Vec<PassThroughEndpoint> {
    let loaded = load(yaml, variables);
    loaded.config.unwrap_or_else(|| panic!("{}", loaded.report)).pass_through.endpoints
}

/// The findings of one endpoint's keys, which stand in line 3.
#[cfg(test)]
fn check(endpoint: &str, expect: &[&str]) {
    let loaded = load(&format!("general_settings:\n  pass_through_endpoints:\n  - {endpoint}\n"), &[]);
    let found = loaded.report.findings.iter().map(ToString::to_string);
    let found: Vec<String> = found.filter(|finding| !finding.contains("no deployments")).collect();
    let expect: Vec<String> = expect.iter().map(|rest| format!("config.yaml:3: {rest}")).collect();
    assert_eq!(found, expect, "{endpoint}");
}

#[test]
fn an_endpoint_is_read_with_its_variables() {
    let yaml = "
general_settings:
  pass_through_request_timeout: 60
  pass_through_endpoints:
    - path: /rerank/
      target: https://api.cohere.com/v1/rerank?x=1
      headers:
        Authorization: bearer os.environ/COHERE_KEY
        content-type: application/json
        x-plain: os.environ/COHERE_KEY
      default_query_params: {version: 2}
      cost_per_request: 0.002
      timeout: 5
      include_subpath: true
      forward_headers: true
      methods: [get, POST]
";
    let variables = [("COHERE_KEY", "co-secret"), ("OPENAI_LIKE_API_KEY", "sk-not-for-them")];
    let [endpoint] = endpoints(yaml, &variables).try_into().unwrap();
    assert_eq!((endpoint.path.as_str(), endpoint.include_subpath), ("/rerank", true));
    let headers: Vec<(&str, &str)> =
        endpoint.account.extra_headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(
        headers,
        [
            ("authorization", "bearer co-secret"),
            ("content-type", "application/json"),
            ("x-plain", "co-secret")
        ]
    );
    assert_eq!(endpoint.methods, ["GET", "POST"]);
    let account = &endpoint.account;
    assert_eq!(account.prices, [("input_cost_per_request".to_owned(), "0.002".to_owned())]);
    assert_eq!((account.timeout.map(|timeout| timeout.as_secs()), &account.api_key), (Some(5), &None));
    assert!(endpoint.needs_key && endpoint.forward_headers);
    assert!(!format!("{endpoint:?}").contains("co-secret"));
    let config = load(yaml, &variables).config.unwrap();
    assert!(config.secrets().iter().any(|secret| secret.expose() == "bearer co-secret"));
    assert_eq!(config.pass_through.timeout.map(|timeout| timeout.as_secs()), Some(60));
}

#[test]
fn what_is_wrong_with_an_endpoint_is_told_with_its_line() {
    const KEY: &str = "general_settings.pass_through_endpoints[0]";
    let check = |endpoint: &str, expect: &[&str]| {
        let expect: Vec<String> = expect.iter().map(|text| text.replace('@', KEY)).collect();
        check(endpoint, &expect.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check("{path: /a, target: 'https://a'}", &[]);
    check("{path: /a}", &["error: @.target: is required"]);
    check("{target: 'https://a'}", &["error: @.path: is required"]);
    check("{path: a, target: 'https://a'}", &["error: @.path: must begin with a slash"]);
    check("{path: /, target: 'https://a'}", &["error: @.path: is the gateway's own page"]);
    check("{path: /a/../b, target: 'https://a'}", &["error: @.path: has a segment of dots"]);
    check(
        "{path: '/a{b}', target: 'https://a'}",
        &["error: @.path: has a character that such a path has not"],
    );
    check(
        "{path: /a, target: 'ftp://a'}",
        &["error: @.target: wants an http(s) address: it must begin with http:// or https://"],
    );
    check(
        "{path: /a, target: 'https://a', methods: [HEAD]}",
        &["error: @.methods: wants methods out of GET, POST, PUT, PATCH, DELETE"],
    );
    check(
        "{path: /a, target: 'https://a', headers: {host: b}}",
        &["error: @.headers.host: is set by the gateway alone"],
    );
    check(
        "{path: /a, target: 'https://a', headers: {x: 'Bearer os.environ/NOT_THERE'}}",
        &["error: @.headers.x: the environment variable NOT_THERE is not set"],
    );
    check(
        "{path: /a, target: 'https://a', auth: false}",
        &["warning: @.auth: anyone may call it, without a key"],
    );
    check("{path: /a, target: 'https://a', guardrails: {}}", &["note: @.guardrails: not yet active"]);
    check("{path: /a, target: 'https://a', custom_body: {}}", &["warning: @.custom_body: unknown key"]);
    check(
        "{path: /a, target: 'https://a', timout: 3}",
        &["warning: @.timout: unknown key (nearest: timeout)"],
    );
}

#[test]
fn one_path_may_lead_to_two_targets_by_its_methods_and_not_otherwise() {
    let yaml = |methods: &str| {
        format!(
            "general_settings:\n  pass_through_endpoints:\n  - {{path: /a, target: 'https://a', methods: [GET]}}\n  - {{path: /a/, target: 'https://b', methods: [{methods}]}}\n"
        )
    };
    assert_eq!(endpoints(&yaml("POST"), &[]).len(), 2);
    let report = load(&yaml("POST, GET"), &[]).report.to_string();
    assert!(
        report.contains(
            "config.yaml:4: error: general_settings.pass_through_endpoints[1].path: is served already by the endpoint of line 3"
        ),
        "{report}"
    );
}

#[test]
fn the_environments_keys_open_accounts() {
    let check = |variables: &[(&str, &str)], expect: &[&str]| {
        let config = load("model_list: []\n", variables).config.unwrap();
        let names: Vec<&str> =
            config.pass_through.from_environment.iter().map(|account| account.provider.name).collect();
        assert_eq!(names, expect, "{variables:?}");
    };
    check(&[], &[]);
    check(&[("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")], &["openai", "anthropic"]);
    check(&[("OPENAI_API_KEY", " ")], &[]);
    check(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "ftp://x")], &[]);
    check(&[("AZURE_API_KEY", "k")], &[]);
    check(&[("AZURE_API_KEY", "k"), ("AZURE_API_BASE", "https://a")], &["azure"]);
    check(&[("HOSTED_VLLM_API_BASE", "http://a:8000/v1")], &["hosted_vllm"]);
    check(&[("DEFAULT_VERTEXAI_PROJECT", "p")], &["vertex_ai"]);
    check(&[("AWS_ACCESS_KEY_ID", "k")], &["bedrock"]);
}

#[test]
fn settings_of_files_and_of_vertex_are_accounts_with_their_own_keys() {
    let yaml = "
default_vertex_config: {vertex_project: p, vertex_credentials: {type: service_account}}
files_settings:
  - {custom_llm_provider: azure, api_base: 'https://a', api_key: os.environ/FILES_KEY, api_version: v}
  - {custom_llm_provider: openai}
finetune_settings:
  - {custom_llm_provider: openai, api_key: tune-key}
";
    let variables = [
        ("FILES_KEY", "files-key"),
        ("OPENAI_API_KEY", "sk-env"),
        ("DEFAULT_VERTEXAI_LOCATION", "europe-west1"),
    ];
    let config = load(yaml, &variables).config.unwrap();
    let passing = &config.pass_through;
    let key = |account: &tollgate_config::Deployment| {
        (account.provider.name, account.api_key.as_ref().map(|key| key.expose().to_owned()))
    };
    assert_eq!(key(&passing.files[0]), ("azure", Some("files-key".to_owned())));
    assert_eq!(key(&passing.files[1]), ("openai", Some("sk-env".to_owned())));
    assert_eq!(key(&passing.finetune[0]), ("openai", Some("tune-key".to_owned())));
    let vertex = &passing.written[0].cloud;
    assert_eq!(
        ["vertex_project", "vertex_location", "vertex_credentials"].map(|name| vertex.get(name)),
        [Some("p"), Some("europe-west1"), Some(r#"{"type":"service_account"}"#)]
    );
    assert!(load("files_settings: [{custom_llm_provider: opnai}]\n", &[]).config.is_none());
}
