//! What is said about a configuration: place, key, nearest name, and no word of the values.

use tollgate_config::Config;

/// The findings of `yaml`, notes left out, one per line. Variables: `SET` is `7`, `EMPTY` is empty, `KEY` is a key.
fn findings(yaml: &str) -> Vec<String> {
    let loaded = Config::from_yaml_text(yaml, &|name| match name {
        "SET" => Some("7".to_owned()),
        "EMPTY" => Some(String::new()),
        "KEY" => Some("sk-from-the-environment".to_owned()),
        _ => None,
    });
    assert_eq!(loaded.config.is_none(), loaded.report.has_errors());
    let shown = loaded.report.findings.iter().map(ToString::to_string);
    shown.filter(|finding| !finding.contains(": note: ") && !finding.contains("no deployments")).collect()
}

#[cfg(test)]
fn check(yaml: &str, expect: &[&str]) {
    assert_eq!(findings(yaml), expect, "{yaml}");
}

/// Checks one entry of `model_list` whose `litellm_params` are `params` and start in line 3.
fn check_params(params: &str, expect: &[&str]) {
    check(&format!("model_list:\n- model_name: a\n  litellm_params: {params}\n"), expect);
}

#[test]
fn a_misspelt_key_is_a_warning_with_its_line_and_the_nearest_key() {
    check(
        "router_settings:\n  routing_stratgy: simple-shuffle\n",
        &["config.yaml:2: warning: router_settings.routing_stratgy: unknown key (nearest: routing_strategy)"],
    );
    check("modle_list: []\n", &["config.yaml:1: warning: modle_list: unknown key (nearest: model_list)"]);
    check("zzz: 1\n", &["config.yaml:1: warning: zzz: unknown key"]);
    check_params(
        "{model: openai/a, api_key: k, temprature: 1}",
        &[
            "config.yaml:3: warning: model_list[0].litellm_params.temprature: unknown key (nearest: temperature)",
        ],
    );
    check(
        "litellm_settings: {request_timout: 5, num_retrys: 2}\n",
        &[
            "config.yaml:1: warning: litellm_settings.request_timout: unknown key (nearest: request_timeout)",
            "config.yaml:1: warning: litellm_settings.num_retrys: unknown key (nearest: num_retries)",
        ],
    );
    check(
        "tollgate_settings:\n  log:\n    levle: info\n",
        &["config.yaml:3: warning: tollgate_settings.log.levle: unknown key (nearest: level)"],
    );
}

#[test]
fn model_info_takes_keys_of_its_own_and_points_out_near_misses_only() {
    let with_info = |info: &str| {
        format!(
            "model_list:\n- model_name: a\n  litellm_params: {{model: openai/a, api_key: k}}\n  model_info: {info}\n"
        )
    };
    check(&with_info("{team: red, supports_vision: true, cost_center: 12}"), &[]);
    check(
        &with_info("{base_modle: gpt-4o}"),
        &["config.yaml:4: warning: model_list[0].model_info.base_modle: unknown key (nearest: base_model)"],
    );
}

#[test]
fn a_wrong_value_of_a_closed_set_is_an_error_with_the_nearest_value() {
    check(
        "router_settings:\n\n  routing_strategy: latency-based-ruting\n",
        &[
            "config.yaml:3: error: router_settings.routing_strategy: unknown value `latency-based-ruting` (nearest: latency-based-routing)",
        ],
    );
    check(
        "tollgate_settings: {log: {format: sk-not-a-format}}\n",
        &["config.yaml:1: error: tollgate_settings.log.format: unknown value; wants one of text, json"],
    );
    check(
        "router_settings: {routing_strategy: [a]}\n",
        &[
            "config.yaml:1: error: router_settings.routing_strategy: wants one of simple-shuffle, least-busy, \
           usage-based-routing, usage-based-routing-v2, latency-based-routing, cost-based-routing, round-robin, \
           consistent-hash, lar1, found a list",
        ],
    );
    check(
        "router_settings: {optional_pre_call_checks: [prompt_cashing]}\n",
        &[
            "config.yaml:1: error: router_settings.optional_pre_call_checks[0]: unknown value `prompt_cashing` (nearest: prompt_caching)",
        ],
    );
}

#[test]
fn a_wrong_type_is_an_error_that_says_what_is_wanted_and_not_what_is_there() {
    let key = "config.yaml:3: error: model_list[0].litellm_params";
    check_params(
        "{model: openai/a, api_key: k, rpm: many}",
        &[&format!("{key}.rpm: wants whole number, 0 or more, found a text")],
    );
    check_params(
        "{model: openai/a, api_key: k, rpm: -1}",
        &[&format!("{key}.rpm: wants whole number, 0 or more, found another number")],
    );
    check_params(
        "{model: openai/a, api_key: k, rpm: 1.5}",
        &[&format!("{key}.rpm: wants whole number, 0 or more, found another number")],
    );
    check_params(
        "{model: openai/a, api_key: k, timeout: 0}",
        &[&format!("{key}.timeout: wants seconds, more than 0, found another number")],
    );
    check_params(
        "{model: openai/a, api_key: k, timeout: 1e30}",
        &[&format!("{key}.timeout: wants seconds, more than 0, found another number")],
    );
    check_params(
        "{model: openai/a, api_key: [k]}",
        &[&format!("{key}.api_key: wants secret text, found a list")],
    );
    check_params(
        "{model: openai/a, api_key: \"a\\nb\"}",
        &[&format!("{key}.api_key: holds a line break or another control character")],
    );
    check_params(
        "{model: openai/a, api_key: k, input_cost_per_token: -1e-6}",
        &[&format!("{key}.input_cost_per_token: wants number, 0 or more, found another number")],
    );
    check_params(
        "{model: openai/a, api_key: k, extra_body: 5}",
        &[&format!("{key}.extra_body: wants map, found another number")],
    );
    check_params(
        "{model: openai/a, api_key: k, drop_params: maybe}",
        &[&format!("{key}.drop_params: wants boolean, found a text")],
    );
    check_params(
        "{model: openai/a, api_key: k, temperature: {}}",
        &[&format!("{key}.temperature: wants number, found a map")],
    );
    check("model_list: 5\n", &["config.yaml:1: error: model_list: wants list of map, found another number"]);
    check("general_settings: [a]\n", &["config.yaml:1: error: general_settings: wants map, found a list"]);
    check(
        "general_settings: {budget_duration: month}\n",
        &[
            "config.yaml:1: error: general_settings.budget_duration: wants time span such as 30d, found a text",
        ],
    );
}

#[test]
fn values_that_litellm_coerces_are_taken() {
    check_params(
        "{model: openai/a, api_key: k, rpm: '500', tpm: 1_000, weight: .5, timeout: '30', max_tokens: 0x10}",
        &[],
    );
    check_params(
        "{model: openai/a, api_key: k, drop_params: 'True', input_cost_per_token: 1e-6, stream_timeout: 1e2}",
        &[],
    );
    check_params(
        "{model: openai/a, api_key: k, rpm: os.environ/SET, rpm_: ~}",
        &["config.yaml:3: warning: model_list[0].litellm_params.rpm_: unknown key (nearest: rpm)"],
    );
    check_params("{model: openai/a, api_key: k, rpm: , tpm: ~, timeout: null}", &[]);
    check("litellm_settings:\nrouter_settings: ~\n", &[]);
}

#[test]
fn a_provider_that_nobody_has_is_an_error_with_the_nearest_one() {
    let key = "config.yaml:3: error: model_list[0].litellm_params.model";
    check_params("{model: opnai/gpt-4o}", &[&format!("{key}: unknown provider opnai (nearest: openai)")]);
    check_params(
        "{model: 'my-own-model'}",
        &[&format!("{key}: no provider: write provider/model, such as openai/my-own-model")],
    );
    check_params("{model: 'sk-secret key/x'}", &[&format!("{key}: unknown provider (not a name)")]);
    check_params("{model: openai/}", &[&format!("{key}: the name of the model is empty")]);
    check_params(
        "{model: a, custom_llm_provider: antropic}",
        &[&format!("{key}: unknown provider antropic (nearest: anthropic)")],
    );
    check_params("{api_key: k}", &[&format!("{key}: is required")]);
    check(
        "model_list:\n- litellm_params: {model: openai/a, api_key: k}\n",
        &["config.yaml:2: error: model_list[0].model_name: is required"],
    );
    check(
        "model_list:\n- model_name: a\n",
        &["config.yaml:2: error: model_list[0].litellm_params.model: is required"],
    );
}

#[test]
fn a_missing_key_is_a_warning_that_names_the_variables() {
    let key = "config.yaml:3: warning: model_list[0].litellm_params.api_key";
    check_params("{model: openai/a}", &[&format!("{key}: no api_key, and OPENAI_API_KEY is not set")]);
    check_params("{model: anthropic/a, api_key: ''}", &[&format!("{key}: is empty")]);
    check_params("{model: anthropic/a, api_key: os.environ/EMPTY}", &[&format!("{key}: is empty")]);
    check_params("{model: ollama/a}", &[]);
}

#[test]
fn azure_needs_an_address_and_a_whole_service_principal() {
    let key = "config.yaml:3: error: model_list[0].litellm_params";
    check_params(
        "{model: azure/a, api_key: k}",
        &[&format!("{key}.api_base: azure needs an api_base, or the variable AZURE_API_BASE")],
    );
    check_params(
        "{model: azure/a, api_base: 'https://a', tenant_id: t, client_id: c, client_secret: s}",
        &[],
    );
    check_params("{model: azure/a, api_base: 'https://a', azure_ad_token: t}", &[]);
    check_params(
        "{model: azure/a, api_base: 'https://a', api_key: k, tenant_id: t}",
        &[&format!("{key}.tenant_id: a service principal needs client_id and client_secret too")],
    );
}

#[test]
fn an_address_is_http_and_carries_no_password() {
    let key = "config.yaml:3: error: model_list[0].litellm_params.api_base: wants an http(s) address";
    check_params(
        "{model: openai/a, api_key: k, api_base: api.openai.com}",
        &[&format!("{key}: it must begin with http:// or https://")],
    );
    check_params(
        "{model: openai/a, api_key: k, api_base: 'https://me:sk-x@a/v1'}",
        &[&format!("{key}: a user name or password does not belong in it")],
    );
    check_params(
        "{model: openai/a, api_key: k, api_base: 'file:///etc/passwd'}",
        &[&format!("{key}: it must begin with http:// or https://")],
    );
    check_params(
        "{model: openai/a, api_key: k, api_base: 'http://a', base_url: 'http://b'}",
        &[
            "config.yaml:3: warning: model_list[0].litellm_params.base_url: has no effect: api_base is written too",
        ],
    );
}

#[test]
fn a_header_that_frames_a_request_cannot_be_added() {
    let key = "model_list[0].litellm_params.extra_headers";
    let params = |headers: &str| format!("{{model: openai/a, api_key: k, extra_headers: {headers}}}");
    check_params(&params("{X-Team: red}"), &[]);
    check_params(
        &params("{Content-Length: 5}"),
        &[&format!("config.yaml:3: error: {key}.Content-Length: is set by the gateway alone")],
    );
    check_params(
        &params("{'a b': c}"),
        &[&format!("config.yaml:3: error: {key}.a b: is no name of a header")],
    );
    check_params(
        &params("{a: \"b\\r\\nc: d\"}"),
        &[&format!("config.yaml:3: error: {key}.a: holds a line break or another control character")],
    );
}

#[test]
fn a_variable_that_is_not_set_is_an_error_at_the_line_that_names_it() {
    check_params(
        "{model: openai/a, api_key: os.environ/NOT_SET}",
        &[
            "config.yaml:3: error: model_list[0].litellm_params.api_key: the environment variable NOT_SET is not set",
        ],
    );
    check_params(
        "{model: os.environ/NOT_SET, api_base: os.environ/ALSO_NOT}",
        &[
            "config.yaml:3: error: model_list[0].litellm_params.model: the environment variable NOT_SET is not set",
            "config.yaml:3: error: model_list[0].litellm_params.api_base: the environment variable ALSO_NOT is not set",
        ],
    );
    check(
        "litellm_settings:\n  callbacks: [os.environ/NOT_SET]\n",
        &["config.yaml:2: error: litellm_settings.callbacks[0]: the environment variable NOT_SET is not set"],
    );
    check(
        "general_settings: {master_key: os.environ/sk-pasted in the wrong place}\n",
        &["config.yaml:1: error: general_settings.master_key: os.environ/ wants the name of a variable"],
    );
}

#[test]
fn the_own_variables_of_a_configuration_come_before_those_of_the_process() {
    check(
        "environment_variables: {NOT_SET: sk-a, B: os.environ/NOT_SET}\n\
         general_settings: {master_key: os.environ/B}\n",
        &[],
    );
    check(
        "environment_variables:\n  A: os.environ/NOT_SET\n",
        &["config.yaml:2: error: environment_variables.A: the environment variable NOT_SET is not set"],
    );
}

#[test]
fn an_empty_master_key_is_refused_wherever_it_comes_from() {
    let refused = "general_settings.master_key: is empty: write a key, or leave the line out to run without keys on loopback";
    for value in ["", "''", "' '", "~", "os.environ/EMPTY"] {
        check(
            &format!("general_settings:\n  master_key: {value}\n"),
            &[&format!("config.yaml:2: error: {refused}")],
        );
    }
    let loaded = Config::from_yaml_text("router_settings: {}\n", &|name| {
        (name == "LITELLM_MASTER_KEY").then(String::new)
    });
    assert!(
        loaded.report.to_string().contains(&format!("config.yaml:1: error: {refused}")),
        "{}",
        loaded.report
    );
    check(
        "general_settings: {master_key: 1234}\n",
        &[
            "config.yaml:1: warning: general_settings.master_key: does not begin with sk-, as LiteLLM's clients expect",
        ],
    );
    check(
        "general_settings: {master_key: sk-1234}\n",
        &[
            "config.yaml:1: warning: general_settings.master_key: is the key of LiteLLM's examples: everybody knows it",
        ],
    );
    check("general_settings: {master_key: os.environ/KEY}\n", &[]);
}

#[test]
fn a_key_of_both_sections_is_taken_from_router_settings() {
    check(
        "router_settings:\n  num_retries: 1\nlitellm_settings:\n  num_retries: 2\n",
        &[
            "config.yaml:4: warning: litellm_settings.num_retries: router_settings sets it too, in line 2, and wins",
        ],
    );
}

#[test]
fn a_chain_that_leads_nowhere_is_a_warning_with_the_nearest_group() {
    check(
        "model_list:\n- model_name: claude\n  litellm_params: {model: anthropic/c, api_key: k}\n\
         router_settings:\n  fallbacks: [{claude: [cluade, claude]}]\n  model_group_alias: {x: nowhere, y: {model: claude}}\n",
        &[
            "config.yaml:5: warning: router_settings.fallbacks: no model group is named cluade (nearest: claude)",
            "config.yaml:6: warning: router_settings.model_group_alias: no model group is named nowhere",
        ],
    );
}

#[test]
fn python_code_is_named_as_unsupported() {
    check(
        "litellm_settings:\n  callbacks: [prometheus, custom_callbacks.proxy_handler]\n  pre_call_rules: my.rule\n",
        &[
            "config.yaml:2: warning: litellm_settings.callbacks: unsupported: Python code; Tollgate runs none from a configuration",
            "config.yaml:3: warning: litellm_settings.pre_call_rules: unsupported: A Python object or function; Tollgate runs no code from a configuration.",
        ],
    );
}

#[test]
fn entries_that_are_the_same_stay_apart_and_written_ids_must_differ() {
    let entry = "- model_name: a\n  litellm_params: {model: openai/a, api_key: k}\n";
    check(
        &format!("model_list:\n{entry}{entry}"),
        &["config.yaml:4: warning: model_list[1]: is the same as the entry at config.yaml:2"],
    );
    let entry = "- {model_name: a, litellm_params: {model: openai/a, api_key: k}, model_info: {id: one}}\n";
    check(
        &format!("model_list:\n{entry}{entry}"),
        &["config.yaml:3: error: model_list[1].model_info.id: is the id of the entry at config.yaml:2 too"],
    );
}

#[test]
fn the_settings_of_tollgate_are_checked_like_the_others() {
    check("tollgate_settings: {trusted_proxies: [10.0.0.0/8, '::1']}\n", &[]);
    check(
        "tollgate_settings: {trusted_proxies: [10.0.0.0/99], workers: 0, drain_timeout_seconds: -1}\n",
        &[
            "config.yaml:1: error: tollgate_settings.trusted_proxies: wants an address or a range such as 10.0.0.0/8",
            "config.yaml:1: error: tollgate_settings.workers: wants whole number, 1 or more, found another number",
            "config.yaml:1: error: tollgate_settings.drain_timeout_seconds: wants seconds, more than 0, found another number",
        ],
    );
}
