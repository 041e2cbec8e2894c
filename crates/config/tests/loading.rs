//! Files, defaults, resolved values and reloads.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use tollgate_config::{
    AddressRange, Config, Deployment, Loaded, LogFormat, LogLevel, Strategy, check_summary, diff, load,
    matches_pattern,
};

#[cfg(test)]
fn load_files(files: &[(&str, &str)]) -> Loaded {
    let files: HashMap<&Path, &str> = files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
    let mut reads: Vec<String> = Vec::new();
    let loaded = load(
        Path::new("etc/main.yaml"),
        &mut |path| {
            reads.push(path.display().to_string());
            files.get(path).map(|text| (*text).to_owned()).ok_or(io::Error::from(io::ErrorKind::NotFound))
        },
        &|_| None,
    );
    reads.sort();
    let count = reads.len();
    reads.dedup();
    assert_eq!(reads.len(), count, "a file was read twice");
    loaded
}

#[cfg(test)]
fn config(yaml: &str) -> Config {
    with_environment(yaml, &[])
}

#[cfg(test)]
fn with_environment(yaml: &str, variables: &[(&str, &str)]) -> Config {
    let loaded = Config::from_yaml_text(yaml, &|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    });
    let report = loaded.report.to_string();
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

#[cfg(test)]
fn one(params: &str) -> Deployment {
    let mut config = config(&format!("model_list: [{{model_name: a, litellm_params: {params}}}]"));
    config.deployments.remove(0)
}

const MODEL: &str = "{model_name: NAME, litellm_params: {model: openai/NAME, api_key: k}}";

#[cfg(test)]
fn entry(name: &str) -> String {
    MODEL.replace("NAME", name)
}

#[test]
fn included_files_extend_lists_and_merge_maps_and_their_values_win() {
    let main = format!(
        "include: [models/a.yaml]\nmodel_list: [{}]\nrouter_settings: {{num_retries: 1, timeout: 5}}\n",
        entry("main")
    );
    let a =
        format!("include: [../b.yaml]\nmodel_list: [{}]\nrouter_settings: {{num_retries: 7}}\n", entry("a"));
    let b = format!("model_list: [{}]\ngeneral_settings: {{master_key: sk-b}}\n", entry("b"));
    let loaded =
        load_files(&[("etc/main.yaml", &main), ("etc/models/a.yaml", &a), ("etc/models/../b.yaml", &b)]);
    let config = loaded.config.as_ref().expect("a configuration");
    assert_eq!(config.groups(), ["main", "a", "b"]);
    assert_eq!((config.router.num_retries, config.router.timeout), (7, Some(Duration::from_secs(5))));
    assert!(config.general.master_key.is_some());
    assert_eq!(config.files.len(), 3);
    assert_eq!(config.deployments[2].place.file, Path::new("etc/models/../b.yaml"));
    assert_eq!(
        loaded.report.to_string(),
        "etc/models/a.yaml:3: warning: router_settings.num_retries: takes the place of the value in etc/main.yaml:3\n"
    );
}

#[test]
fn a_file_is_merged_once_however_many_files_include_it() {
    let shared = format!("model_list: [{}]", entry("shared"));
    let loaded = load_files(&[
        ("etc/main.yaml", "include: [a.yaml, b.yaml, ./a.yaml]"),
        ("etc/a.yaml", "include: [shared.yaml]"),
        ("etc/b.yaml", "include: [shared.yaml]"),
        ("etc/shared.yaml", &shared),
    ]);
    assert_eq!(loaded.config.expect("a configuration").groups(), ["shared"]);
}

#[test]
fn a_missing_file_a_cycle_and_a_wrong_include_are_errors_at_their_line() {
    let check = |files: &[(&str, &str)], expect: &str| {
        let loaded = load_files(files);
        assert!(loaded.config.is_none());
        let first = loaded.report.findings.iter().find(|finding| !finding.message.contains("no deployments"));
        assert_eq!(first.map(ToString::to_string).as_deref(), Some(expect));
    };
    check(&[], "etc/main.yaml: error: cannot be read: entity not found");
    check(
        &[("etc/main.yaml", "include:\n- gone.yaml\n")],
        "etc/main.yaml:2: error: include: etc/gone.yaml: cannot be read: entity not found",
    );
    check(
        &[("etc/main.yaml", "include: [a.yaml]"), ("etc/a.yaml", "\ninclude: [main.yaml]")],
        "etc/a.yaml:2: error: include: etc/main.yaml: a file that includes itself",
    );
    check(&[("etc/main.yaml", "include: a.yaml")], "etc/main.yaml:1: error: include: wants a list of files");
    check(
        &[("etc/main.yaml", "include: [[a]]")],
        "etc/main.yaml:1: error: include: wants the name of a file",
    );
    check(
        &[("etc/main.yaml", "include: [a.yaml]"), ("etc/a.yaml", "a: [")],
        "etc/a.yaml:2:1: error: not YAML: while parsing a node, did not find expected node content",
    );
    check(
        &[("etc/main.yaml", "include: [a.yaml]"), ("etc/a.yaml", "")],
        "etc/a.yaml:1:1: error: the file is empty",
    );
}

#[test]
fn the_number_of_files_has_an_end() {
    let mut reads = 0;
    let loaded = load(
        Path::new("0"),
        &mut |_| {
            reads += 1;
            Ok(format!("include: ['{reads}']"))
        },
        &|_| None,
    );
    assert_eq!(reads, 64);
    assert!(loaded.report.to_string().contains("more than 64 files"), "{}", loaded.report);
}

#[test]
fn anchors_and_merge_keys_work_as_in_pyyaml() {
    let config = config(
        "common: &common {api_key: k, rpm: 5, timeout: 9}
model_list:
- {model_name: a, litellm_params: {<<: *common, model: openai/a, rpm: 7}}
- {model_name: b, litellm_params: {<<: [{tpm: 1}, *common, {tpm: 2}], model: openai/b}}
",
    );
    let shown = |d: &Deployment| (d.rpm, d.tpm, d.timeout, d.api_key.is_some());
    let nine = Some(Duration::from_secs(9));
    assert_eq!(shown(&config.deployments[0]), (Some(7), None, nine, true));
    assert_eq!(shown(&config.deployments[1]), (Some(5), Some(1), nine, true));
}

#[test]
fn an_empty_configuration_has_the_documented_defaults() {
    let config = config("router_settings: {}\n");
    assert_eq!((config.router.num_retries, config.router.retry_after), (2, Duration::ZERO));
    assert_eq!((config.router.strategy, config.router.max_fallbacks), (Strategy::SimpleShuffle, 5));
    assert_eq!((config.router.allowed_fails, config.router.cooldown_time), (None, Duration::from_secs(5)));
    let settings = &config.tollgate;
    let seconds = [
        settings.header_timeout,
        settings.body_timeout,
        settings.connect_timeout,
        settings.first_token_timeout,
        settings.chunk_timeout,
        settings.client_stall_timeout,
        settings.drain_timeout,
    ];
    assert_eq!(seconds.map(|timeout| timeout.as_secs()), [10, 30, 3, 60, 30, 60, 120]);
    assert_eq!((settings.body_bytes_max, settings.workers, settings.connections_max), (32 << 20, None, None));
    assert_eq!((settings.log_level, settings.log_format), (LogLevel::Info, LogFormat::Text));
    assert_eq!(settings.wrong_keys_per_minute, 100);
    assert_eq!(format!("{:?}", Config::default().tollgate), format!("{settings:?}"));
    assert_eq!(Config::default().router, config.router);
}

#[test]
fn the_settings_of_tollgate_reach_their_fields() {
    let loaded = load_files(&[
        ("etc/main.yaml", "include: [sub/t.yaml]\ngeneral_settings: {max_request_size_mb: 4, max_response_size_mb: 8}"),
        (
            "etc/sub/t.yaml",
            "tollgate_settings: {body_bytes_max: 9000000, workers: 3, connections_max: 100, memory_bytes_max: 500000000, trusted_proxies: [10.0.0.0/8],
             model_prices_file: prices.json, log: {level: debug, format: json}, drain_timeout_seconds: 1.5,
             wrong_keys_per_minute: 7}",
        ),
    ]);
    let config = loaded.config.expect("a configuration");
    let settings = &config.tollgate;
    assert_eq!((settings.workers, settings.connections_max), (Some(3), Some(100)));
    assert_eq!(settings.memory_bytes_max, Some(500_000_000));
    assert_eq!(settings.trusted_proxies, [AddressRange::parse("10.0.0.0/8").expect("a range")]);
    assert_eq!(settings.model_prices_file.as_deref(), Some(Path::new("etc/sub/prices.json")));
    assert_eq!((settings.log_level, settings.log_format), (LogLevel::Debug, LogFormat::Json));
    assert_eq!(settings.drain_timeout, Duration::from_millis(1500));
    assert_eq!((settings.body_bytes_max, settings.wrong_keys_per_minute), (9_000_000, 7));
    assert_eq!(
        (config.general.request_bytes_max, config.general.response_bytes_max),
        (Some(4 << 20), Some(8 << 20))
    );
}

#[test]
fn parameters_reach_the_deployment_in_their_types() {
    let deployment = one(
        "{model: gpt-4o, custom_llm_provider: openai, api_key: k, base_url: 'http://localhost:8080/v1', organization: 12,
          rpm: '500', weight: 1.5, timeout: '30', stream_timeout: 2.5, max_retries: 4, drop_params: 'yes',
          additional_drop_params: [seed], extra_headers: {X-Team: red}, extra_body: {top_k: 5, on: on},
          temperature: 1e-1, max_tokens: '100', stop: [a, 'b'], parallel_tool_calls: off, tool_choice: auto,
          response_format: {type: json_object}, logprobs: 3, seed: -7}",
    );
    assert_eq!((deployment.provider.name, deployment.model.as_str()), ("openai", "gpt-4o"));
    assert_eq!(deployment.api_base.as_deref(), Some("http://localhost:8080/v1"));
    assert_eq!((deployment.organization.as_deref(), deployment.rpm), (Some("12"), Some(500)));
    assert_eq!((deployment.weight, deployment.num_retries), (Some(1.5), Some(4)));
    assert_eq!(deployment.timeout, Some(Duration::from_secs(30)));
    assert_eq!(deployment.stream_timeout, Some(Duration::from_millis(2500)));
    assert_eq!(
        (deployment.drop_params, deployment.additional_drop_params),
        (Some(true), vec!["seed".to_owned()])
    );
    let headers: Vec<_> =
        deployment.extra_headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("x-team", "red")]);
    assert_eq!(serde_json::to_string(&deployment.extra_body).expect("JSON"), r#"{"top_k":5,"on":true}"#);
    let params: serde_json::Value = deployment.default_params.into();
    assert_eq!(
        params,
        serde_json::json!({
            "temperature": 0.1, "max_tokens": 100, "stop": ["a", "b"], "parallel_tool_calls": false,
            "tool_choice": "auto", "response_format": {"type": "json_object"}, "logprobs": 3, "seed": -7
        })
    );
}

#[test]
fn prices_are_carried_as_written_and_those_of_the_parameters_win() {
    let config = config(
        "model_list:
- model_name: a
  litellm_params: {model: openai/a, api_key: k, input_cost_per_token: 1e-6, output_cost_per_token: '0.0000020'}
  model_info:
    base_model: gpt-4o
    input_cost_per_token: 5
    cache_read_input_token_cost: .5e-6
    search_context_cost_per_query: {search_context_size_low: 0.01}
    max_input_tokens: '1000'
    note: mine
",
    );
    let deployment = &config.deployments[0];
    let prices: Vec<_> =
        deployment.prices.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(
        prices,
        [
            ("cache_read_input_token_cost", "0.5e-6"),
            ("input_cost_per_token", "1e-6"),
            ("output_cost_per_token", "0.0000020"),
            ("search_context_cost_per_query", r#"{"search_context_size_low":0.01}"#),
        ]
    );
    assert_eq!(deployment.base_model.as_deref(), Some("gpt-4o"));
    assert_eq!(
        (&deployment.model_info["max_input_tokens"], &deployment.model_info["note"]),
        (&1000.into(), &"mine".into())
    );
}

#[test]
fn the_environment_gives_keys_and_addresses_that_are_not_written() {
    let yaml = "model_list:
- {model_name: a, litellm_params: {model: openai/a}}
- {model_name: b, litellm_params: {model: azure/b}}
- {model_name: c, litellm_params: {model: openai/c, api_key: own, api_base: 'http://own'}}
";
    let config = with_environment(
        yaml,
        &[
            ("OPENAI_API_KEY", "k1"),
            ("OPENAI_BASE_URL", "http://proxy/v1"),
            ("OPENAI_ORGANIZATION", "org"),
            ("AZURE_API_KEY", "k2"),
            ("AZURE_OPENAI_API_KEY", ""),
            ("AZURE_API_BASE", "https://azure"),
            ("AZURE_API_VERSION", "2024-10-21"),
            ("LITELLM_MASTER_KEY", "sk-m"),
        ],
    );
    let shown = |d: &Deployment| {
        let key = d.api_key.as_ref().map(|key| key.expose().to_owned());
        (
            key.unwrap_or_default(),
            d.api_base.clone().unwrap_or_default(),
            d.api_version.clone(),
            d.organization.clone(),
        )
    };
    let text = |text: &str| text.to_owned();
    let all: Vec<_> = config.deployments.iter().map(shown).collect();
    assert_eq!(all[0], (text("k1"), text("http://proxy/v1"), None, Some(text("org"))));
    assert_eq!(all[1], (text("k2"), text("https://azure"), Some(text("2024-10-21")), None));
    assert_eq!(all[2], (text("own"), text("http://own"), None, Some(text("org"))));
    assert_eq!(config.general.master_key.as_ref().map(|key| key.expose()), Some("sk-m"));
}

#[test]
fn a_catch_all_opens_every_provider_whose_key_is_there() {
    let yaml = "model_list: [{model_name: '*', litellm_params: {model: '*'}}]";
    let config = with_environment(yaml, &[("OPENAI_API_KEY", "k1"), ("ANTHROPIC_API_KEY", "k2")]);
    let shown = |d: &Deployment| format!("{} {} {}", d.model_name, d.provider.name, d.model);
    let all: Vec<_> = config.deployments.iter().map(shown).collect();
    for expect in ["* openai *", "anthropic/* anthropic *", "openai/* openai *"] {
        assert_eq!(all.iter().filter(|row| *row == expect).count(), 1, "{all:?}");
    }
    assert!(!all.iter().any(|row| row.starts_with("groq")), "{all:?}");
    let own = "model_list: [{model_name: '*', litellm_params: {model: 'openai/*', api_key: k}}]";
    assert_eq!(with_environment(own, &[("ANTHROPIC_API_KEY", "k2")]).deployments.len(), 1);
}

#[test]
fn keys_of_the_router_are_taken_from_litellm_settings_too() {
    let config = config(
        "litellm_settings: {request_timeout: 30, drop_params: true, stream_timeout: 4, num_retries: 1}
router_settings: {timeout: 60, num_retries: 9}
",
    );
    assert_eq!(
        (config.litellm.request_timeout, config.litellm.drop_params),
        (Some(Duration::from_secs(30)), true)
    );
    assert_eq!(config.router.timeout, Some(Duration::from_secs(60)));
    assert_eq!((config.router.stream_timeout, config.router.num_retries), (Some(Duration::from_secs(4)), 9));
}

#[test]
fn a_written_credential_comes_before_those_of_the_environment() {
    let principal = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "s")];
    let check = |params: &str,
                 key: Option<&str>,
                 has_principal: bool,
                 has_token: bool,
                 more: &[(&str, &str)]| {
        let yaml = format!(
            "model_list: [{{model_name: a, litellm_params: {{model: azure/a, api_base: 'https://a'{params}}}}}]"
        );
        let deployment = with_environment(&yaml, &[&principal, more].concat()).deployments.remove(0);
        assert_eq!(deployment.api_key.as_ref().map(|key| key.expose()), key, "{params}");
        let azure = deployment.azure.unwrap_or_default();
        assert_eq!(
            (azure.tenant_id.is_some(), azure.ad_token.is_some()),
            (has_principal, has_token),
            "{params}"
        );
    };
    check("", None, true, false, &[]);
    check("", Some("k"), false, false, &[("AZURE_API_KEY", "k")]);
    check("", None, false, true, &[("AZURE_AD_TOKEN", "token")]);
    check(", api_key: own", Some("own"), false, false, &[("AZURE_AD_TOKEN", "token")]);
    check(", tenant_id: t, client_id: c, client_secret: s", None, true, false, &[("AZURE_API_KEY", "k")]);
    check(", tenant_id: mine", None, true, false, &[("AZURE_API_KEY", "k")]);
    check(", azure_ad_token: mine", None, false, true, &[("AZURE_API_KEY", "k")]);
}

#[test]
fn an_id_depends_on_group_and_parameters_alone() {
    let id = |yaml: &str| config(&format!("model_list: [{yaml}]")).deployments.remove(0).id;
    let base = id("{model_name: a, litellm_params: {model: openai/a, api_key: k, rpm: 5}}");
    assert_eq!(base.len(), 64);
    assert!(base.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(
        base,
        id(
            "{litellm_params: {rpm: 5, api_key: k, model: openai/a}, model_info: {mode: chat}, model_name: a}"
        )
    );
    for other in [
        "{model_name: b, litellm_params: {model: openai/a, api_key: k, rpm: 5}}",
        "{model_name: a, litellm_params: {model: openai/a, api_key: k2, rpm: 5}}",
        "{model_name: a, litellm_params: {model: openai/a, api_key: k, rpm: 6}}",
        "{model_name: a, litellm_params: {model: openai/a, api_key: k, rpm: 5, tags: []}}",
    ] {
        assert_ne!(base, id(other), "{other}");
    }
    assert_eq!(
        id("{model_name: a, litellm_params: {model: openai/a, api_key: k}, model_info: {id: mine}}"),
        "mine"
    );
}

#[test]
fn a_reload_tells_kept_changed_added_and_removed_apart() {
    let with_id = |id: &str, rpm: u32| {
        format!(
            "{{model_name: {id}, litellm_params: {{model: openai/a, api_key: k, rpm: {rpm}}}, model_info: {{id: {id}}}}}"
        )
    };
    let list = |entries: &[String]| format!("model_list: [{}]\n", entries.join(", "));
    let old = config(&list(&[with_id("kept", 1), with_id("changed", 1), with_id("gone", 1)]));
    let new = config(&format!(
        "{}general_settings: {{master_key: sk-new}}\ntollgate_settings: {{workers: 2, chunk_timeout_seconds: 3}}\n",
        list(&[with_id("new", 1), with_id("changed", 2), with_id("kept", 1)])
    ));
    let diff = diff(&old, &new);
    assert_eq!(
        (diff.added.as_slice(), diff.removed.as_slice()),
        (&["new".to_owned()][..], &["gone".to_owned()][..])
    );
    assert_eq!(
        (diff.changed.as_slice(), diff.kept.as_slice()),
        (&["changed".to_owned()][..], &["kept".to_owned()][..])
    );
    assert_eq!(diff.restart, ["tollgate_settings.workers"]);
    assert!(!diff.keeps_deployments());
    let same = tollgate_config::diff(&old, &old);
    assert!(same.keeps_deployments() && same.restart.is_empty() && same.kept.len() == 3);
}

#[test]
fn a_new_key_in_the_environment_changes_the_deployment() {
    let yaml = "model_list: [{model_name: a, litellm_params: {model: openai/a}}]";
    let old = with_environment(yaml, &[("OPENAI_API_KEY", "k1")]);
    let new = with_environment(yaml, &[("OPENAI_API_KEY", "k2")]);
    assert_eq!(tollgate_config::diff(&old, &new).changed, [old.deployments[0].id.clone()]);
}

#[test]
fn the_summary_of_a_broken_configuration_says_so() {
    let loaded = Config::from_yaml_text("model_list: 5\nrouter_settings: {num_retrys: 1}\n", &|_| None);
    assert_eq!(check_summary(&loaded), "The configuration cannot be used: 1 error, 2 warnings in 1 file.\n");
}

#[test]
fn a_star_in_a_pattern_stands_for_any_text() {
    let check = |pattern: &str, name: &str, expect: bool| {
        assert_eq!(matches_pattern(pattern, name), expect, "{pattern} {name}");
    };
    check("a", "a", true);
    check("a", "ab", false);
    check("*", "", true);
    check("openai/*", "openai/gpt-4o", true);
    check("openai/*", "openai", false);
    check("*-latest", "claude-latest", true);
    check("a*b*c", "axxbyyc", true);
    check("a*b*c", "axxcyyb", false);
    check("a*a", "a", false);
    check("", "", true);
}
