//! Tests that hold the tables of keys to the code that reads them.

use std::fmt::Write as _;

use std::io;
use std::path::Path;

use crate::keys::{
    Key, Kind, State, Table, access, alerts, budgets, caching, costs, credential, general, jwt, ledger,
    litellm, model, passthrough, prices, records, router, rows, tiers, tollgate, top,
};
use crate::section::asked;
use crate::{Config, Severity, load};

/// Every section of a configuration, so that every reader runs.
const WHOLE: &str = "
model_list:
  - model_name: a
    litellm_params: {model: azure/a, api_base: 'https://a', api_key: k, extra_headers: {x: y}}
    model_info: {id: a, team_id: t}
  - model_name: b
    litellm_params: {model: openai/b, api_key: k, tollgate_fault: {kind: cut}}
router_settings:
  provider_budget_config: {openai: {budget_limit: 1, time_period: 1d}, azure: {max_budget: 1}}
  tag_budget_config: {x: {budget_limit: 1, time_period: 1d}, y: {max_budget: 1}}
  model_group_alias: {c: {model: a}}
  retry_policy: {DefaultRetries: 1}
  routing_groups: [{group_name: g, models: [a], routing_strategy: round-robin}]
  allowed_fails_policy: {NotFoundErrorAllowedFails: 1}
general_settings:
  master_key: sk-x
  pass_through_endpoints: [{path: /a, target: 'https://a'}]
  alerting: [slack, webhook, pagerduty, email]
  enable_jwt_auth: true
  litellm_jwtauth:
    issuers: [{issuer: 'https://id', audience: a}]
    role_mappings: [{role: r, internal_role: team}]
    jwt_litellm_role_map: [{jwt_role: r, litellm_role: team}]
    scope_mappings: [{scope: s}]
environment_variables:
  {SLACK_WEBHOOK_URL: 'https://a', WEBHOOK_URL: 'https://b', PAGERDUTY_API_KEY: k, SMTP_HOST: a, SMTP_SENDER_EMAIL: a@b}
default_vertex_config: {vertex_project: p}
files_settings: [{custom_llm_provider: openai, api_key: k}]
credential_list: [{credential_name: c, credential_values: {api_key: k}, credential_info: {}}]
litellm_settings:
  cost_margin_config: {openai: {percentage: 0.1}}
  default_team_settings: [{max_budget: 1}]
tollgate_settings:
  model_budgets: {a: {rpm_limit: 1}}
  unpriced: {charge: {input_cost_per_token: 1, output_cost_per_token: 1}}
  log: {level: info}
  tiers: [{model: a, move_on: [{first_token: 3}]}, {canned: {faq: faq.yaml}}]
  hedge: {max: 1}
  model_groups: {b: {hedge: true}}
  sensitive: [{tags: [x], region: eu}]
";

/// Every table of keys, as the test below names it.
fn tables() -> [(&'static str, Table); 58] {
    [
        ("credential_list[]", credential::TABLE),
        ("model_list[]", model::ENTRY),
        ("litellm_params", model::PARAMS),
        ("router_settings", router::TABLE),
        ("alias", router::ALIAS),
        ("general_settings", general::TABLE),
        ("litellm_settings", litellm::TABLE),
        ("tollgate_settings", tollgate::TABLE),
        ("log", tollgate::LOG),
        ("pass_through_endpoints[]", passthrough::ENDPOINT),
        ("default_vertex_config", passthrough::VERTEX),
        ("files_settings[]", passthrough::ACCOUNT),
        ("model_info", model::INFO),
        ("tollgate_fault", model::FAULT),
        ("retry_policy", router::RETRY_POLICY),
        ("allowed_fails_policy", router::ALLOWED_FAILS_POLICY),
        ("routing_strategy_args", router::STRATEGY_ARGS),
        ("routing_groups[]", router::ROUTING_GROUP),
        ("alerting_config", router::ALERTING),
        ("tiers[]", tiers::TIER),
        ("move_on[]", tiers::MOVE_ON),
        ("canned", tiers::CANNED),
        ("an FAQ file", tiers::FAQ_ENTRY),
        ("hedge", tiers::HEDGE),
        ("model_groups", tiers::GROUP),
        ("queue", tiers::QUEUE),
        ("retry_budget", tiers::RETRY_BUDGET),
        ("sensitive[]", tiers::SENSITIVE),
        ("alerts", alerts::OWN),
        ("alerting_args", alerts::ARGS),
        ("cost_margin_config", costs::MARGIN),
        ("unpriced", costs::UNPRICED),
        ("charge", costs::CHARGE),
        ("provider_budget_config", budgets::PROVIDER),
        ("tag_budget_config", budgets::TAG),
        ("model_budgets", budgets::GROUP),
        ("budget_tiers", budgets::TIERS),
        ("anomaly", budgets::ANOMALY),
        ("journal", ledger::JOURNAL),
        ("key_rotation", ledger::ROTATION),
        ("service_account_settings", access::SERVICE_ACCOUNT),
        ("litellm_jwtauth", jwt::AUTH),
        ("issuers[]", jwt::ISSUER),
        ("role_mappings[]", jwt::ROLE),
        ("jwt_litellm_role_map[]", jwt::ROLE_PATTERN),
        ("scope_mappings[]", jwt::SCOPE),
        ("default_key_generate_params", records::KEY),
        ("upperbound_key_generate_params", records::KEY_BOUNDS),
        ("default_internal_user_params", records::USER),
        ("default_team_params", records::TEAM),
        ("default_team_settings[]", records::TEAM_SETTINGS),
        ("key_generation_settings", records::KEY_GENERATION),
        ("team_key_generation", records::TEAM_KEYS),
        ("personal_key_generation", records::PERSONAL_KEYS),
        ("cache_params", caching::PARAMS),
        ("cache", caching::OWN),
        ("only", caching::WHICH),
        ("the file", top::TABLE),
    ]
}

#[test]
fn every_active_key_is_read_by_the_code() {
    let mut read = |path: &Path| match path.to_str() {
        Some("whole.yaml") => Ok(WHOLE.to_owned()),
        Some("faq.yaml") => Ok("[{questions: [q], answer: a}]".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let loaded = load(Path::new("whole.yaml"), &mut read, &|_| None);
    assert_eq!(loaded.report.count(Severity::Error), 0, "{}", loaded.report);
    let mut unread = String::new();
    for (name, table) in tables() {
        for key in rows(table).filter(|key| key.state == State::Active) {
            let is_elsewhere = match name {
                // Read from the router's table, after the two sections have been merged.
                "litellm_settings" => rows(router::TABLE).any(|other| other.name == key.name),
                // The sections themselves, which are opened by name, and `include`, which goes before all.
                "the file" => !matches!(
                    key.name,
                    "model_list" | "default_vertex_config" | "files_settings" | "finetune_settings"
                ),
                // Prices and defaults are read as they are written; the next test is theirs.
                "model_info" => prices::billed(key.name).is_some(),
                "litellm_params" => prices::billed(key.name).is_some() || default(key.name).is_some(),
                _ => false,
            };
            if !is_elsewhere && !asked::was_read(table, key.name) {
                let _ = writeln!(unread, "{name}.{}", key.name);
            }
        }
    }
    assert_eq!(unread, "");
}

fn default(name: &str) -> Option<Key> {
    model::DEFAULTS.iter().find(|key| key.name == name).copied()
}

#[test]
fn every_price_and_every_default_reaches_the_deployment() {
    let value = |key: &Key| match (key.name, key.kind) {
        ("search_context_cost_per_query", _) => "{search_context_size_low: 0.5}".to_owned(),
        ("tiered_pricing", _) => "[{range: [0, 5], input_cost_per_token: 1}]".to_owned(),
        ("web_search_billing_unit", _) => "query".to_owned(),
        (_, Kind::Map(_)) => "{}".to_owned(),
        (_, Kind::List(_)) => "[]".to_owned(),
        (_, Kind::Bool) => "true".to_owned(),
        _ => "1".to_owned(),
    };
    let line = |key: &Key| format!("    {}: {}\n", key.name, value(key));
    let prices: String = prices::BILLED.iter().map(line).collect();
    let defaults: String = model::DEFAULTS.iter().map(line).collect();
    for (params, info) in [(&prices, ""), (&defaults, prices.as_str())] {
        let loaded = Config::from_yaml_text(
            &format!(
                "model_list:\n- model_name: a\n  litellm_params:\n    model: openai/a\n    api_key: k\n{params}  \
                 model_info:\n    id: a\n{info}"
            ),
            &|_| None,
        );
        assert_eq!(loaded.report.to_string(), "");
        let deployments = loaded.config.map(|config| config.deployments).unwrap_or_default();
        let counts: Vec<_> = deployments.iter().map(|d| (d.prices.len(), d.default_params.len())).collect();
        let defaults = if info.is_empty() { 0 } else { model::DEFAULTS.len() };
        assert_eq!(counts, [(prices::BILLED.len(), defaults)]);
    }
}

#[test]
fn a_key_is_in_one_state_and_each_state_says_something_else() {
    let check = |line: &str, expect: &str| {
        let loaded = Config::from_yaml_text(&format!("general_settings:\n  {line}\n"), &|_| None);
        let first = loaded.report.findings.iter().find(|finding| finding.line == 2);
        assert_eq!(first.map(ToString::to_string).unwrap_or_default(), expect);
    };
    check("max_request_size_mb: 5", "");
    check(
        "user_api_key_cache_ttl: 5",
        "config.yaml:2: note: general_settings.user_api_key_cache_ttl: not yet active",
    );
    check(
        "custom_auth: my.auth",
        "config.yaml:2: warning: general_settings.custom_auth: unsupported: Names Python code; Tollgate runs no code from a configuration.",
    );
    check(
        "master_kay: sk-secret",
        "config.yaml:2: warning: general_settings.master_kay: unknown key (nearest: master_key)",
    );
}
