//! Configurations that nobody should send: bombs, broken syntax, secrets in every place, arbitrary text.

use proptest::prelude::*;
use tollgate_config::{Config, DEPTH_MAX, FILE_BYTES_MAX, FINDINGS_MAX, Loaded};

fn read(text: &str) -> Loaded {
    Config::from_yaml_text(text, &|_| None)
}

fn check_error(text: &str, expect: &str) {
    let loaded = read(text);
    assert!(loaded.config.is_none());
    let shown: String = text.chars().take(200).collect();
    assert_eq!(
        loaded.report.findings.iter().map(ToString::to_string).next().as_deref(),
        Some(expect),
        "{shown}"
    );
}

#[test]
fn an_alias_bomb_is_refused_before_it_is_expanded() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ('b'..='i').zip('a'..) {
        let aliases = [format!("*{of}").as_str()].repeat(10).join(", ");
        bomb.push_str(&format!("{name}: &{name} [{aliases}]\n"));
    }
    check_error(&bomb, "config.yaml:6:8: error: more than 200000 values or 16777216 bytes, aliases counted");
}

#[test]
fn a_long_text_cannot_be_multiplied_by_aliases() {
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), ["*a"; 500].join(", "));
    check_error(
        &text,
        "config.yaml:2:669: error: more than 200000 values or 16777216 bytes, aliases counted",
    );
}

#[test]
fn a_merge_key_bomb_is_refused() {
    let mut bomb =
        "a: &a {k0: x, k1: x, k2: x, k3: x, k4: x, k5: x, k6: x, k7: x, k8: x, k9: x}\n".to_owned();
    for (name, of) in ('b'..='h').zip('a'..) {
        let inner: Vec<String> = (0..10).map(|i| format!("k{i}: {{<<: *{of}, y: *{of}}}")).collect();
        bomb.push_str(&format!("{name}: &{name} {{{}}}\n", inner.join(", ")));
    }
    let loaded = read(&bomb);
    assert!(loaded.config.is_none());
    assert!(loaded.report.to_string().contains("aliases counted"), "{}", loaded.report);
}

#[test]
fn nesting_has_an_end_in_every_style() {
    let flow = format!("a: {}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
    check_error(&flow, &format!("config.yaml:1:{}: error: nested deeper than 64 levels", DEPTH_MAX + 3));
    let block: String = (0..=DEPTH_MAX).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    check_error(
        &format!("{block}{}x: 1", " ".repeat(DEPTH_MAX + 1)),
        "config.yaml:65:65: error: nested deeper than 64 levels",
    );
    let by_alias =
        format!("a: &a {}x{}\nb: {}*a{}", "[".repeat(40), "]".repeat(40), "[".repeat(40), "]".repeat(40));
    check_error(&by_alias, "config.yaml:2:44: error: nested deeper than 64 levels");
    let fits = format!("zzz: {}x{}", "[".repeat(DEPTH_MAX - 1), "]".repeat(DEPTH_MAX - 1));
    assert!(!read(&fits).report.has_errors());
}

#[test]
fn a_file_has_a_largest_size_and_the_worst_of_that_size_ends() {
    check_error(&"#".repeat(FILE_BYTES_MAX + 1), "config.yaml:1:1: error: larger than 1048576 bytes");
    for unit in [
        "[", "{", "- ", "a: ", "? ", "&a ", "*a ", "!x ", "\"", "'", "|\n", "#\n", "[],", "a\n", "- - ",
        "%\n", "\t",
    ] {
        let text = unit.repeat(FILE_BYTES_MAX / unit.len());
        assert!(read(&text).config.is_none(), "{unit}");
    }
}

#[test]
fn many_findings_are_counted_and_not_kept() {
    let unknown: String = (0..40_000).map(|n| format!("router_setting{n}:\n")).collect();
    let loaded = read(&unknown);
    assert_eq!(loaded.report.findings.len(), FINDINGS_MAX + 1);
    let last = loaded.report.findings.last().map(ToString::to_string);
    assert_eq!(last.as_deref(), Some("config.yaml: warning: 39001 more findings are not shown"));
    let entries: String =
        (0..10_000).map(|_| "- {model_name: '*', litellm_params: {model: '*'}}\n").collect();
    let loaded = Config::from_yaml_text(&format!("model_list:\n{entries}"), &|_| None);
    assert!(loaded.report.findings.len() > FINDINGS_MAX);
}

#[test]
fn syntax_errors_say_line_and_column() {
    let check = |text: &str, expect: &str| {
        let loaded = read(text);
        let first = loaded.report.findings.first().map(ToString::to_string).unwrap_or_default();
        assert!(first.starts_with(expect), "{text:?}: {first}");
    };
    check("a: [1\nb: 2", "config.yaml:2:");
    check("a: 'x", "config.yaml:1:4: error: not YAML: ");
    check("a: b: c", "config.yaml:1:5: error: not YAML: ");
    check("a:\n\t- b", "config.yaml:2:1: error: a tab in the indentation: YAML allows spaces only");
    check("a: *nobody", "config.yaml:1:4: error: not YAML: ");
    check("a: &x [*x]", "config.yaml:1:8: error: an alias inside the value that it names");
    check("a: 1\nb: 2\na: 3", "config.yaml:3:1: error: the key a is written twice, first in line 1");
    check("a: {b: 1, b: 2}", "config.yaml:1:11: error: the key b is written twice, first in line 1");
    check("[a]: b", "config.yaml:1:1: error: a list or map as a key");
    check("a: 1\n---\nb: 2", "config.yaml:2:1: error: a second document");
    check(
        "a: !!python/object:os.system x",
        "config.yaml:1:4: error: a tag that a configuration does not know",
    );
    check("a: {<<: 5}", "config.yaml:1:9: error: the merge key << takes a map or a list of maps");
    check("- a", "config.yaml:1:1: error: a configuration is a map of sections");
    check("text", "config.yaml:1:1: error: a configuration is a map of sections");
    for empty in ["", "\n\n", "# nothing\n", "---\n", "~", "\u{feff}"] {
        check(empty, "config.yaml:1:1: error: the file is empty");
    }
    check("a: 1\n\u{feff}b: 2", "config.yaml:");
    check("a: \u{0}", "config.yaml:1:");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_taken_as_pyyaml_takes_them() {
    let loaded = read("\u{feff}router_settings:\r\n  num_retries: 5\r\n");
    assert_eq!(loaded.config.map(|config| config.router.num_retries), Some(5), "{}", loaded.report);
}

/// A secret for the place of that name.
fn planted(place: &str) -> String {
    format!("sk-planted-{place}-5f3a")
}

#[test]
fn no_secret_is_shown_wherever_it_is_written() {
    let yaml = format!(
        "model_list:
- model_name: a
  litellm_params:
    model: azure/a
    api_base: https://a/v1?key={0}
    api_key: {1}
    azure_ad_token: {2}
    client_secret: {3}
    tenant_id: t
    client_id: c
    aws_secret_access_key: {4}
    vertex_credentials: {{private_key: {5}}}
    extra_headers: {{Authorization: {6}}}
    extra_body: {{auth: {{token: {7}}}}}
    unknown_api_key: {8}
    rpm: {9}
- model_name: b
  litellm_params: {{model: openai/b, api_key: os.environ/PLANTED, extra_body: {{x: os.environ/PLANTED}}}}
general_settings: {{master_key: {10}, database_url: 'postgres://u:{11}@h/d'}}
environment_variables: {{A: {12}}}
router_settings: {{redis_password: {13}, routing_strategy: {14}}}
litellm_settings: {{cache_params: {{password: {15}}}}}
{16}: 1
",
        planted("query"),
        planted("api-key"),
        planted("ad-token"),
        planted("client"),
        planted("aws"),
        planted("vertex"),
        planted("header"),
        planted("body"),
        planted("unknown"),
        planted("rpm"),
        planted("master"),
        planted("database"),
        planted("environment"),
        planted("redis"),
        planted("strategy"),
        planted("cache"),
        planted("as-a-key"),
    );
    let process = |name: &str| (name == "PLANTED").then(|| planted("process"));
    let with_errors = Config::from_yaml_text(&yaml, &process);
    let wrong_lines = ["    rpm: ", "router_settings"];
    let without = yaml.lines().filter(|line| !wrong_lines.iter().any(|wrong| line.starts_with(wrong)));
    let usable = Config::from_yaml_text(&without.collect::<Vec<_>>().join("\n"), &process);
    assert!(with_errors.config.is_none());
    assert!(usable.config.is_some(), "{}", usable.report);
    for loaded in [with_errors, usable] {
        let summary = tollgate_config::check_summary(&loaded);
        let params: String = loaded
            .config
            .iter()
            .flat_map(|c| &c.deployments)
            .map(|d| format!("{:?}", d.params_written))
            .collect();
        let shown = format!("{} {loaded:?} {loaded:#?} {summary} {params}", loaded.report);
        assert!(
            !shown.contains("planted"),
            "{}",
            &shown[shown.find("planted").unwrap_or(0).saturating_sub(80)..]
        );
        for secret in loaded.config.iter().flat_map(Config::secrets) {
            assert!(secret.expose().contains("planted"));
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused_or_read_but_never_a_panic(text in any::<String>()) {
        let loaded = read(&text);
        prop_assert_eq!(loaded.config.is_none(), loaded.report.has_errors());
    }

    #[test]
    fn text_made_of_the_pieces_of_yaml_is_never_a_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        let loaded = read(&pieces.concat());
        prop_assert_eq!(loaded.config.is_none(), loaded.report.has_errors());
    }

    #[test]
    fn any_value_at_any_known_key_is_refused_or_read(section in section(), key in known_key(), value in value()) {
        let loaded = read(&format!("{section}{key}: {value}\n"));
        prop_assert_eq!(loaded.config.is_none(), loaded.report.has_errors());
        prop_assert!(!loaded.report.findings.iter().any(|f| f.to_string().contains("planted")), "{}", loaded.report);
    }
}

#[cfg(test)]
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "model_list:",
        "\n",
        "  ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        ", ",
        "&a ",
        "*a",
        "<<: *a",
        "!!str ",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "#",
        "---\n",
        "...\n",
        "a",
        "b: c\n",
        "os.environ/A",
        "~",
        "? ",
        "\t",
        "%YAML 1.1\n",
        "é",
        "\u{feff}",
        "\r\n",
        "litellm_params",
        "model",
        "openai/a",
        "include: [config.yaml]\n",
        "0x",
        "1e9999",
        "-",
        "\\u0000",
    ])
}

#[cfg(test)]
fn section() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "router_settings:\n  ",
        "litellm_settings:\n  ",
        "general_settings:\n  ",
        "tollgate_settings:\n  ",
        "model_list:\n- model_name: a\n  litellm_params:\n    model: openai/a\n    ",
        "model_list:\n- model_name: a\n  litellm_params: {model: openai/a}\n  model_info:\n    ",
    ])
}

#[cfg(test)]
fn known_key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "model_list",
        "include",
        "environment_variables",
        "fallbacks",
        "model_group_alias",
        "retry_policy",
        "timeout",
        "num_retries",
        "api_key",
        "api_base",
        "extra_headers",
        "rpm",
        "weight",
        "tags",
        "id",
        "input_cost_per_token",
        "tiered_pricing",
        "search_context_cost_per_query",
        "master_key",
        "max_budget",
        "budget_duration",
        "budget_tiers",
        "anomaly",
        "warn",
        "budget_fallback_model",
        "provider_budget_config",
        "tag_budget_config",
        "openai",
        "budget_limit",
        "model_budgets",
        "timezone",
        "database_url",
        "tollgate_database",
        "journal",
        "salt_key",
        "allowed_ips",
        "public_routes",
        "admin_listen",
        "default_key_generate_params",
        "upperbound_key_generate_params",
        "default_team_settings",
        "key_generation_settings",
        "cache_params",
        "callbacks",
        "routing_strategy",
        "trusted_proxies",
        "log",
        "workers",
        "model_prices_file",
        "temperature",
        "stop",
        "max_request_size_mb",
        "body_bytes_max",
        "mock_response",
        "custom_llm_provider",
        "default_fallbacks",
    ])
}

#[cfg(test)]
fn value() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "",
        "~",
        "-1",
        "0",
        "1e400",
        "-0.0",
        "9223372036854775808",
        "18446744073709551615",
        "0b2",
        "0x",
        ".",
        "[]",
        "{}",
        "[[[]]]",
        "{a: {b: c}}",
        "[{a: [b]}]",
        "[{a: b}]",
        "{a: [{model: ~}]}",
        "sk-planted",
        "[sk-planted]",
        "{a: sk-planted}",
        "'planted\\n'",
        "\"planted\\r\\n\"",
        "os.environ/X",
        "os.environ/",
        "[os.environ/X]",
        "{range: [0, 1e9]}",
        "[{range: [0, 128000], input_cost_per_token: 1e-6}]",
        "yes",
        "!!str 5",
        "1_000",
        "999999999999mo",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "[a-z0-9{}\\[\\],: '\"-]{0,20}"]
}
