//! What new keys, users and teams get, who makes keys, and who is let in.

use serde_json::{Value, json};
use tollgate_catalog::PicoDollars;
use tollgate_config::{AccessSettings, AddressRange, Config, KeyBounds, KeyMakers, Loaded, NewRecords};
use tollgate_policy::period::Cadence;

/// A deployment, without which there is a warning.
const MODELS: &str = "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: k}}]\n";

fn read(text: &str) -> Loaded {
    Config::from_yaml_text(&format!("{text}{MODELS}"), &|_| None)
}

#[cfg(test)]
fn config(text: &str) -> Config {
    let loaded = read(text);
    assert_eq!(loaded.report.to_string(), "", "{text}");
    loaded.config.unwrap_or_else(|| panic!("{text}"))
}

#[cfg(test)]
fn findings(text: &str, expect: &[&str]) {
    let found: Vec<String> = read(text).report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn nothing_written_gives_nothing_and_lets_everybody_in() {
    let config = config("");
    assert_eq!(config.new_records, NewRecords::default());
    assert_eq!(config.access, AccessSettings::default());
    assert_eq!((config.access.allowed_ips, config.access.allowed_routes), (None, None));
}

#[test]
fn defaults_of_a_new_key_have_the_types_that_its_form_wants() {
    let keys = |text: &str| {
        let text = format!("litellm_settings:\n  default_key_generate_params: {text}\n");
        Value::Object(config(&text).new_records.keys)
    };
    let check = |text: &str, expect: Value| assert_eq!(keys(text), expect, "{text}");
    check("{}", json!({}));
    check(
        "{max_budget: '1.50', budget_duration: daily}",
        json!({"max_budget": 1.5, "budget_duration": "24h"}),
    );
    check(
        "{tpm_limit: '100', rpm_limit: 5, max_parallel_requests: 0, duration: 30d}",
        json!({"tpm_limit": 100, "rpm_limit": 5, "max_parallel_requests": 0, "duration": "30d"}),
    );
    check(
        "{models: [a, 4], team_id: 7, metadata: {x: [1, yes]}, allowed_routes: [llm_api_routes]}",
        json!({
            "models": ["a", "4"], "team_id": "7", "metadata": {"x": [1, true]}, "allowed_routes": ["llm_api_routes"]
        }),
    );
    // Money is never a float on its way, and the digits that come out are those that went in.
    assert_eq!(keys("{max_budget: 0.000000000123}").to_string(), r#"{"max_budget":1.23e-10}"#);
    findings(
        "litellm_settings:\n  default_key_generate_params: {max_buget: 1, rpm_limit: fast}\n",
        &[
            "config.yaml:2: warning: litellm_settings.default_key_generate_params.max_buget: unknown key (nearest: max_budget)",
            "config.yaml:2: error: litellm_settings.default_key_generate_params.rpm_limit: wants whole number, 0 or more, found a text",
        ],
    );
}

#[test]
fn printing_the_defaults_shows_no_values() {
    let loaded = Config::from_yaml_text(
        &format!(
            "litellm_settings: {{default_key_generate_params: {{metadata: {{x: os.environ/X}}}}}}\n{MODELS}"
        ),
        &|name| (name == "X").then(|| "planted".to_owned()),
    );
    let config = loaded.config.expect("a configuration");
    assert_eq!(config.new_records.keys["metadata"]["x"], "planted");
    let shown = format!("{config:?}");
    assert!(shown.contains("metadata") && !shown.contains("planted"), "{shown}");
}

#[test]
fn a_key_has_bounds() {
    let bounds = config(
        "litellm_settings:\n  upperbound_key_generate_params: {max_budget: 100, budget_duration: 10d, duration: 30d, \
         max_parallel_requests: 1000, tpm_limit: 1000, rpm_limit: 10}\n",
    );
    let expect = KeyBounds {
        max_budget: Some(PicoDollars(100_000_000_000_000)),
        budget_duration: Some(Cadence::Days(10)),
        duration: Some(Cadence::Days(30)),
        max_parallel_requests: Some(1000),
        tpm_limit: Some(1000),
        rpm_limit: Some(10),
    };
    assert_eq!(bounds.new_records.key_bounds, expect);
    // A bound of 0 is one.
    let none = config("litellm_settings: {upperbound_key_generate_params: {max_budget: 0}}\n");
    assert_eq!(none.new_records.key_bounds.max_budget, Some(PicoDollars::ZERO));
    findings(
        "litellm_settings: {upperbound_key_generate_params: {duration: forever}}\n",
        &[
            "config.yaml:1: error: litellm_settings.upperbound_key_generate_params.duration: wants time span such as 30d, found a text",
        ],
    );
}

#[test]
fn defaults_of_a_new_user_and_of_one_by_role_are_two_things() {
    let records = config(
        "litellm_settings:\n  default_internal_user_params: {user_role: internal_user, max_budget: 5, models: [a], \
         available_teams: [t], teams: [u, {team_id: v}]}\n  max_internal_user_budget: 2.5\n  \
         internal_user_budget_duration: 1mo\n",
    )
    .new_records;
    assert_eq!(
        Value::Object(records.users),
        json!({"user_role": "internal_user", "max_budget": 5.0, "models": ["a"], "teams": ["u", {"team_id": "v"}]})
    );
    assert_eq!(records.available_teams, ["t"]);
    assert_eq!(Value::Object(records.internal_users), json!({"max_budget": 2.5, "budget_duration": "1mo"}));
    findings(
        "litellm_settings: {default_internal_user_params: {user_role: proxy_admn}}\n",
        &[
            "config.yaml:1: error: litellm_settings.default_internal_user_params.user_role: unknown value `proxy_admn` (nearest: proxy_admin)",
        ],
    );
}

#[test]
fn a_new_team_takes_its_defaults_and_the_first_of_the_old_ones() {
    let check = |text: &str, expect: Value| {
        let records = config(&format!("litellm_settings:\n{text}")).new_records;
        assert_eq!(Value::Object(records.teams), expect, "{text}");
    };
    check("  default_team_settings: [{max_budget: 7}]\n", json!({"max_budget": 7.0}));
    check("  default_team_settings: [{}]\n", json!({}));
    check(
        "  default_team_settings: [{max_budget: 7}]\n  default_team_params: {max_budget: 8, tpm_limit: 9}\n",
        json!({"max_budget": 8.0, "tpm_limit": 9}),
    );
    check(
        "  default_team_params: {team_member_permissions: [/key/generate], organization_id: o}\n",
        json!({"team_member_permissions": ["/key/generate"], "organization_id": "o"}),
    );
    assert_eq!(
        config("litellm_settings: {default_team_params: {models: [m]}}\n").new_records.team_models,
        ["m"]
    );
    findings(
        "litellm_settings:\n  default_team_settings: [{team_id: t}, {max_budget: 1}]\n",
        &[
            "config.yaml:2: note: litellm_settings.default_team_settings[0].team_id: not yet active",
            "config.yaml:2: warning: litellm_settings.default_team_settings[1].max_budget: has no effect: only that of the first entry counts",
        ],
    );
}

#[test]
fn who_makes_keys_is_said_by_role() {
    let records = config(
        "litellm_settings:\n  key_generation_settings:\n    team_key_generation: {allowed_team_member_roles: [admin], \
         required_params: [tags]}\n    personal_key_generation: {allowed_user_roles: []}\n",
    )
    .new_records;
    let teams = KeyMakers { roles: Some(vec!["admin".to_owned()]), required_params: vec!["tags".to_owned()] };
    assert_eq!(records.team_keys, teams);
    assert_eq!(records.personal_keys, KeyMakers { roles: Some(Vec::new()), ..KeyMakers::default() });
    findings(
        "litellm_settings: {key_generation_settings: {personal_key_generation: {allowed_user_roles: [internal_usr]}}}\n",
        &[
            "config.yaml:1: error: litellm_settings.key_generation_settings.personal_key_generation.allowed_user_roles[0]: unknown value `internal_usr` (nearest: internal_user)",
        ],
    );
}

#[test]
fn addresses_and_routes_that_are_let_in_are_read_or_refused() {
    let access = config(
        "general_settings:\n  allowed_ips: [10.0.0.0/8, '::1']\n  allowed_routes: [/v1/*, LiteLLMRoutes.info_routes]\n  \
         admin_only_routes: [/model/info]\n  public_routes: [LiteLLMRoutes.public_routes, /spend/calculate]\n  \
         enforced_params: [user, metadata.team]\n  service_account_settings: {enforced_params: [tags]}\n\
         tollgate_settings: {admin_listen: '[::1]:4001'}\n",
    )
    .access;
    let ranges: Vec<AddressRange> =
        ["10.0.0.0/8", "::1"].into_iter().filter_map(AddressRange::parse).collect();
    assert_eq!(access.allowed_ips, Some(ranges));
    assert_eq!(access.allowed_routes, Some(vec!["/v1/*".to_owned(), "info_routes".to_owned()]));
    assert_eq!(
        (access.admin_only_routes, access.public_routes),
        (vec!["/model/info".to_owned()], vec!["public_routes".to_owned(), "/spend/calculate".to_owned()])
    );
    assert_eq!(
        (access.enforced_params, access.service_account_params),
        (vec!["user".to_owned(), "metadata.team".to_owned()], vec!["tags".to_owned()])
    );
    assert_eq!(access.admin_listen, "[::1]:4001".parse().ok());
    // An empty list lets nobody in: it was written.
    let nobody = config("general_settings: {allowed_ips: [], allowed_routes: []}\n").access;
    assert_eq!((nobody.allowed_ips, nobody.allowed_routes), (Some(Vec::new()), Some(Vec::new())));
}

#[test]
fn a_rule_that_cannot_be_read_is_an_error_and_never_left_out() {
    let check = |line: &str, expect: &str| {
        findings(
            &format!("general_settings:\n  {line}\n"),
            &[&format!("config.yaml:2: error: general_settings.{expect}")],
        );
    };
    check("allowed_ips: [10.0.0]", "allowed_ips: wants an address or a range such as 10.0.0.0/8");
    check("allowed_ips: 10.0.0.1", "allowed_ips: wants list of text, found a text");
    let wants = "wants a path that begins with /, or the name of a group of routes";
    check("allowed_routes: [v1/models]", &format!("allowed_routes: {wants}"));
    let star = "may have one * at its end, and no other";
    check("admin_only_routes: ['/team/*/callback']", &format!("admin_only_routes: {star}"));
    check("public_routes: ['/health**']", &format!("public_routes: {star}"));
    check(
        "admin_only_routes: [LiteLLMRoutes.info_rotes]",
        &format!("admin_only_routes: {wants} (nearest: info_routes)"),
    );
    check(
        "enforced_params: [metadata.]",
        "enforced_params: wants the name of a member, such as user or metadata.team",
    );
    for address in ["localhost:4001", "4001", "127.0.0.1", "':4001'"] {
        findings(
            &format!("tollgate_settings: {{admin_listen: {address}}}\n"),
            &[
                "config.yaml:1: error: tollgate_settings.admin_listen: wants an address and a port, such as 127.0.0.1:4001",
            ],
        );
    }
    findings(
        "general_settings: {allow_requests_on_db_unavailable: true}\n",
        &[
            "config.yaml:1: warning: general_settings.allow_requests_on_db_unavailable: unsupported: Keys that the gateway knows go on without the database, always; an unknown key is never let in.",
        ],
    );
}
