//! What limits and budgets resolve to, and what is said of those that make no sense.

use std::collections::BTreeMap;

use tollgate_catalog::PicoDollars;
use tollgate_config::{
    AnomalySettings, BudgetLimit, BudgetMaximum, BudgetSettings, Config, EndUserLimit, Loaded, ScopeLimit,
    check_summary,
};
use tollgate_policy::accounts::{Part, TierRules, Unit};
use tollgate_policy::anomaly::AnomalyRule;
use tollgate_policy::period::Cadence;

const MODELS: &str = "model_list:\n\
    - {model_name: dear, litellm_params: {model: openai/a, api_key: k}}\n\
    - {model_name: cheap, litellm_params: {model: openai/b, api_key: k}}\n\
    - {model_name: 'any/*', litellm_params: {model: openai/*, api_key: k}}\n";

fn read(text: &str) -> Loaded {
    Config::from_yaml_text(&format!("{text}{MODELS}"), &|_| None)
}

#[cfg(test)]
fn budgets(text: &str) -> BudgetSettings {
    let loaded = read(text);
    assert_eq!(loaded.report.to_string(), "", "{text}");
    loaded.config.map(|config| config.budgets).unwrap_or_else(|| panic!("{text}"))
}

#[cfg(test)]
fn findings(text: &str, expect: &[&str]) {
    let found: Vec<String> = read(text).report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{text}");
}

#[cfg(test)]
fn limit(dollars: &str, cadence: Option<Cadence>) -> BudgetLimit {
    BudgetLimit { max: Some(PicoDollars::parse_dollars(dollars).expect(dollars)), cadence }
}

#[test]
fn nothing_written_limits_nothing() {
    let budgets = budgets("");
    assert_eq!(budgets, BudgetSettings::default());
    assert_eq!(budgets.global, BudgetLimit::default());
    assert_eq!((budgets.maximum, budgets.maximum_floor), (BudgetMaximum::Lower, 16));
    assert_eq!((budgets.exceeded_status, budgets.throttle_percentage), (422, None));
    assert_eq!((budgets.token_unit, budgets.apply_user_budget_to_team_keys), (Unit::Tokens, false));
    assert_eq!(budgets.zone.iana_name(), Some("UTC"));
    assert_eq!(budgets.tiers.rules, TierRules::default());
    assert!(budgets.tiers.fallbacks.is_empty() && budgets.end_users == EndUserLimit::default());
}

#[test]
fn the_global_budget_is_exact_and_general_settings_go_first() {
    let check = |text: &str, expect: BudgetLimit| assert_eq!(budgets(text).global, expect, "{text}");
    check(
        "litellm_settings: {max_budget: 100, budget_duration: 30d}\n",
        limit("100", Some(Cadence::Days(30))),
    );
    check(
        "general_settings: {max_budget: 0.1, budget_duration: 1mo}\n",
        limit("0.1", Some(Cadence::Months(1))),
    );
    check("general_settings: {max_budget: '1e-12'}\n", limit("0.000000000001", None));
    check(
        "litellm_settings: {max_budget: 5, budget_duration: Monthly}\n",
        limit("5", Some(Cadence::Days(30))),
    );
    check(
        "litellm_settings: {budget_duration: 1d}\ngeneral_settings: {max_budget: 5}\n",
        limit("5", Some(Cadence::Days(1))),
    );
    let both = "general_settings: {max_budget: 5}\nlitellm_settings: {max_budget: 6, budget_duration: 1d}\n";
    findings(
        both,
        &["config.yaml:2: warning: litellm_settings.max_budget: general_settings sets it too, and wins"],
    );
    let config = read(both).config.expect("a configuration");
    assert_eq!(config.budgets.global, limit("5", Some(Cadence::Days(1))));
}

#[test]
fn amounts_and_spans_that_are_none_are_refused_where_they_stand() {
    let check = |line: &str, expect: &[&str]| findings(&format!("litellm_settings:\n  {line}\n"), expect);
    let path = "config.yaml:2: error: litellm_settings";
    check("max_budget: -1", &[&format!("{path}.max_budget: wants number, 0 or more, found another number")]);
    check("max_budget: much", &[&format!("{path}.max_budget: wants number, 0 or more, found a text")]);
    check(
        "max_budget: 1e-13",
        &[&format!("{path}.max_budget: is less than can be counted: 0.000000000001 USD is the least")],
    );
    check("max_budget: 1e40", &[&format!("{path}.max_budget: is no amount of dollars that can be counted")]);
    check(
        "max_budget: 0",
        &["config.yaml:2: warning: litellm_settings.max_budget: 0 is no limit, as LiteLLM has it"],
    );
    let wants = "wants time span such as 30d, found";
    check("{max_budget: 1, budget_duration: 30x}", &[&format!("{path}.budget_duration: {wants} a text")]);
    check("{max_budget: 1, budget_duration: 0d}", &[&format!("{path}.budget_duration: {wants} a text")]);
    check(
        "{max_budget: 1, budget_duration: 30}",
        &[&format!("{path}.budget_duration: {wants} another number")],
    );
    check(
        "budget_duration: 30d",
        &["config.yaml:2: warning: litellm_settings.budget_duration: has no effect without max_budget"],
    );
}

#[test]
fn providers_have_budgets_in_both_of_litellms_spellings() {
    let of_openai =
        "{openai: {budget_limit: 100, time_period: 1d}, google: {max_budget: 0.5, budget_duration: 7d}}";
    let expect = vec![
        ("openai".to_owned(), limit("100", Some(Cadence::Days(1)))),
        ("gemini".to_owned(), limit("0.5", Some(Cadence::Days(7)))),
    ];
    for section in ["router_settings", "litellm_settings"] {
        let text = format!("{section}: {{provider_budget_config: {of_openai}}}\n");
        assert_eq!(budgets(&text).providers, expect, "{section}");
    }
    let path = "config.yaml:2: warning: router_settings.provider_budget_config";
    let check = |value: &str, expect: &[&str]| {
        findings(&format!("router_settings:\n  provider_budget_config: {value}\n"), expect);
    };
    check(
        "{opnai: {budget_limit: 1}}",
        &[&format!("{path}.opnai: is the name of no provider (nearest: openai)")],
    );
    check(
        "{openai: {budget_limit: 1, max_budget: 2}}",
        &[&format!("{path}.openai.max_budget: has no effect: budget_limit is written too")],
    );
    check(
        "{openai: {max_budget: 1, rpm_limit: 2}}",
        &[&format!(
            "{path}.openai.rpm_limit: unsupported: A provider has no rates of its own: use `rpm` and `tpm` of its \
             deployments."
        )],
    );
    check(
        "{openai: {time_period: 1d}}",
        &[&format!("{path}.openai.time_period: has no effect without max_budget")],
    );
    check(
        "{gemini: {max_budget: 1}, google: {max_budget: 2}}",
        &[
            "config.yaml:2: error: router_settings.provider_budget_config.google: is another name of gemini, which \
           has a budget already",
        ],
    );
    check(
        "{openai: 5}",
        &[
            "config.yaml:2: error: router_settings.provider_budget_config.openai: wants map, found another number",
        ],
    );
}

#[test]
fn tags_and_model_groups_have_rates_beside_their_budgets() {
    let all = ScopeLimit {
        rpm: Some(60),
        tpm: Some(9_000),
        parallel: Some(3),
        budget: limit("2", Some(Cadence::Days(1))),
    };
    let rates = "rpm_limit: 60, tpm_limit: 9000, max_parallel_requests: 3";
    let tagged = budgets(&format!(
        "litellm_settings:\n  tag_budget_config:\n    'product:chat': {{budget_limit: 2, time_period: 1d, {rates}}}\n    \
         other: {{rpm_limit: 0}}\n"
    ));
    let none = ScopeLimit { rpm: Some(0), ..ScopeLimit::default() };
    assert_eq!(tagged.tags, [("product:chat".to_owned(), all), ("other".to_owned(), none)]);
    let models = budgets(&format!(
        "tollgate_settings:\n  model_budgets:\n    dear: {{max_budget: 2, budget_duration: 1d, {rates}}}\n    any/x: {{}}\n"
    ));
    let expect = [("dear".to_owned(), all), ("any/x".to_owned(), ScopeLimit::default())];
    assert_eq!(models.models, expect);
    findings(
        "tollgate_settings:\n  model_budgets: {dera: {rpm_limit: -1}}\n",
        &[
            "config.yaml:2: warning: tollgate_settings.model_budgets.dera: no model group is named dera (nearest: dear)",
            "config.yaml:2: error: tollgate_settings.model_budgets.dera.rpm_limit: wants whole number, 0 or more, found another number",
        ],
    );
}

#[test]
fn a_deployment_has_a_budget_of_its_own() {
    let check = |params: &str, expect: Option<BudgetLimit>, said: &[&str]| {
        let text = format!(
            "model_list:\n- model_name: a\n  litellm_params: {{model: openai/a, api_key: k{params}}}\n"
        );
        let loaded = Config::from_yaml_text(&text, &|_| None);
        let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(found, said, "{params}");
        let config = loaded.config.expect(params);
        assert_eq!(config.deployments[0].budget, expect, "{params}");
    };
    check("", None, &[]);
    check(", max_budget: 0.001, budget_duration: 12h", Some(limit("0.001", Some(Cadence::Hours(12)))), &[]);
    check(", max_budget: 3", Some(limit("3", None)), &[]);
    let path = "config.yaml:3: warning: model_list[0].litellm_params";
    check(", max_budget: 0", None, &[&format!("{path}.max_budget: 0 is no limit, as LiteLLM has it")]);
    check(
        ", budget_duration: 1d",
        None,
        &[&format!("{path}.budget_duration: has no effect without max_budget")],
    );
}

#[test]
fn a_budget_of_a_catch_all_is_one_for_each_provider_and_that_is_said() {
    let text = "model_list: [{model_name: '*', litellm_params: {model: '*', max_budget: 1}}]\n";
    let keys = |name: &str| matches!(name, "OPENAI_API_KEY" | "ANTHROPIC_API_KEY").then(|| "k".to_owned());
    let loaded = Config::from_yaml_text(text, &keys);
    let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
    let path = "config.yaml:1: warning: model_list[0].litellm_params.max_budget";
    let expect = "holds for each provider that the catch-all opens by itself, not for all together";
    assert_eq!(found, [format!("{path}: {expect}")]);
    let deployments = loaded.config.map(|config| config.deployments).unwrap_or_default();
    // Itself, and one for each provider that takes one of the two keys.
    assert_eq!(deployments.len(), 4);
    assert!(deployments.iter().all(|deployment| deployment.budget == Some(limit("1", None))));
}

#[test]
fn tiers_are_shares_and_each_can_be_switched_off() {
    let part = |millionths| Some(Part::millionths(millionths));
    let check = |tiers: &str, warn: Option<Part>, downgrade: Option<Part>, overflow: u32| {
        let rules = budgets(&format!("tollgate_settings:\n  budget_tiers: {tiers}\n")).tiers.rules;
        assert_eq!(rules, TierRules { warn, downgrade, overflow: Part::millionths(overflow) }, "{tiers}");
    };
    check("{}", part(750_000), part(900_000), 100_000);
    check("{warn: 0.5, downgrade: 80%, overflow: 0.25}", part(500_000), part(800_000), 250_000);
    check("{warn: false, downgrade: no, overflow: off}", None, None, 0);
    check("{warn: null, downgrade: ~, overflow: }", None, None, 0);
    check("{warn: true, downgrade: 1, overflow: 0}", part(750_000), part(1_000_000), 0);
    check("{warn: 0.123456}", part(123_456), part(900_000), 100_000);
    findings(
        "tollgate_settings:\n  budget_tiers: {warn: 1.5, overflow: lots}\n",
        &[
            "config.yaml:2: error: tollgate_settings.budget_tiers.warn: wants share from 0 to 1, or percent such as 5% or boolean, found another number",
            "config.yaml:2: error: tollgate_settings.budget_tiers.overflow: wants share from 0 to 1, or percent such as 5% or boolean, found a text",
        ],
    );
    findings(
        "tollgate_settings:\n  budget_tiers: {warn: 0.9, downgrade: 0.5}\n",
        &[
            "config.yaml:2: warning: tollgate_settings.budget_tiers.warn: comes after downgrade, which tells it too",
        ],
    );
}

#[test]
fn an_anomaly_has_a_factor_a_floor_and_what_follows() {
    let check = |anomaly: &str, factor: u32, floor: &str, throttle_rpm: Option<u64>| {
        let found = budgets(&format!("tollgate_settings:\n  anomaly: {anomaly}\n")).anomaly;
        let floor = PicoDollars::parse_dollars(floor).expect(floor);
        let rule = AnomalyRule { factor, floor, ..AnomalyRule::default() };
        assert_eq!(found, AnomalySettings { rule, throttle_rpm }, "{anomaly}");
    };
    check("{}", 10, "1", None);
    check("{factor: 25, floor_usd: 0.5, throttle_rpm: 6}", 25, "0.5", Some(6));
    check("{floor_usd: 0}", 10, "0", None);
    findings(
        "tollgate_settings:\n  anomaly: {factor: 0, floor_usd: lots, throttle_rpm: 0.5, until: tomorrow}\n",
        &[
            "config.yaml:2: error: tollgate_settings.anomaly.factor: wants whole number, 1 or more, found another number",
            "config.yaml:2: error: tollgate_settings.anomaly.floor_usd: wants number, 0 or more, found a text",
            "config.yaml:2: error: tollgate_settings.anomaly.throttle_rpm: wants whole number, 1 or more, found another number",
            "config.yaml:2: warning: tollgate_settings.anomaly.until: unknown key",
        ],
    );
}

#[test]
fn fallbacks_of_tiers_are_model_groups() {
    let fallbacks = |text: &str| {
        let loaded =
            read(&format!("tollgate_settings:\n  budget_tiers: {{budget_fallback_model: {text}}}\n"));
        let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
        (loaded.config.map(|config| config.budgets.tiers.fallbacks), found)
    };
    let expect: BTreeMap<Box<str>, Box<str>> =
        [("dear".into(), "cheap".into()), ("any/x".into(), "any/y".into())].into();
    assert_eq!(fallbacks("{dear: cheap, any/x: any/y}"), (Some(expect), Vec::new()));
    let check = |text: &str, name: &str, message: &str| {
        let path = "tollgate_settings.budget_tiers.budget_fallback_model";
        assert_eq!(
            fallbacks(text).1,
            [format!("config.yaml:2: warning: {path}.{name}: {message}")],
            "{text}"
        );
    };
    check("{dear: chaep}", "dear", "no model group is named chaep (nearest: cheap)");
    check("{daer: cheap}", "daer", "no model group is named daer (nearest: dear)");
    check("{dear: dear}", "dear", "has no effect: it is the model itself");
    check("{dear: 'any/*'}", "dear", "any/* is a pattern: name one model that it matches");
}

#[test]
fn a_maximum_is_lowered_to_a_floor_or_refused() {
    let check = |line: &str, expect: (BudgetMaximum, u64)| {
        let budgets = budgets(&format!("tollgate_settings:\n  {line}\n"));
        assert_eq!((budgets.maximum, budgets.maximum_floor), expect, "{line}");
    };
    check("budget_maximum: lower", (BudgetMaximum::Lower, 16));
    check("{budget_maximum: refuse, budget_maximum_floor: 100}", (BudgetMaximum::Refuse, 100));
    let path = "config.yaml:2: error: tollgate_settings";
    findings(
        "tollgate_settings:\n  {budget_maximum: lowr, budget_maximum_floor: 0}\n",
        &[
            &format!("{path}.budget_maximum: unknown value `lowr` (nearest: lower)"),
            &format!("{path}.budget_maximum_floor: wants whole number, 1 or more, found another number"),
        ],
    );
}

#[test]
fn the_status_of_a_spent_budget_is_one_that_clients_know() {
    for status in [400, 402, 422, 429] {
        let text = format!("litellm_settings: {{budget_exceeded_status_code: {status}}}\n");
        assert_eq!(budgets(&text).exceeded_status, status);
    }
    findings(
        "litellm_settings: {budget_exceeded_status_code: 500}\n",
        &[
            "config.yaml:1: error: litellm_settings.budget_exceeded_status_code: wants one of 400, 402, 422 and 429",
        ],
    );
}

#[test]
fn a_throttle_is_a_share_that_is_not_nothing() {
    let text = |share: &str| format!("litellm_settings: {{budget_exceeded_throttle_percentage: {share}}}\n");
    let path = "litellm_settings.budget_exceeded_throttle_percentage";
    let unacted = format!("config.yaml:1: note: {path}: not yet active");
    for (share, read_as) in [("0.25", 0.25), ("1", 1.0)] {
        let config = read(&text(share)).config.unwrap();
        assert_eq!(config.budgets.throttle_percentage, Some(read_as));
        findings(&text(share), &[&unacted]);
    }
    let nothing = format!(
        "config.yaml:1: warning: {path}: has no effect: at 0 a key is refused when its budget is spent, as without it"
    );
    findings(&text("0"), &[&unacted, &nothing]);
    findings(
        &text("25"),
        &[&format!(
            "config.yaml:1: error: {path}: wants share from 0 to 1, or percent such as 5%, found another number"
        )],
    );
}

#[test]
fn time_zones_go_by_their_iana_names() {
    let zone = |name: &str| budgets(&format!("litellm_settings: {{timezone: {name}}}\n")).zone;
    for name in ["Europe/Berlin", "America/Santiago", "UTC"] {
        assert_eq!(zone(name).iana_name(), Some(name));
    }
    let path = "config.yaml:1: error: litellm_settings.timezone";
    findings(
        "litellm_settings: {timezone: Europe/Berln}\n",
        &[&format!(
            "{path}: is no time zone: write a name such as Europe/Berlin, or UTC (nearest: Europe/Berlin)"
        )],
    );
    findings(
        "litellm_settings: {timezone: ''}\n",
        &[&format!("{path}: is no time zone: write a name such as Europe/Berlin, or UTC")],
    );
}

#[test]
fn what_a_token_limit_counts_and_whose_budgets_hold_can_be_said() {
    let check = |word: &str, unit: Unit| {
        let text = format!("general_settings: {{token_rate_limit_type: {word}}}\n");
        assert_eq!(budgets(&text).token_unit, unit, "{word}");
    };
    check("total", Unit::Tokens);
    check("input", Unit::InputTokens);
    check("output", Unit::OutputTokens);
    findings(
        "general_settings: {token_rate_limit_type: inputs}\n",
        &[
            "config.yaml:1: error: general_settings.token_rate_limit_type: unknown value `inputs` (nearest: input)",
        ],
    );
    assert!(
        budgets("general_settings: {apply_user_budget_to_team_keys: true}\n").apply_user_budget_to_team_keys
    );
    let users =
        budgets("litellm_settings: {max_end_user_budget: 0.01, max_end_user_budget_id: free}\n").end_users;
    let expect = EndUserLimit { max: Some(PicoDollars(10_000_000_000)), budget_id: Some("free".to_owned()) };
    assert_eq!(users, expect);
}

#[test]
fn what_would_make_budgets_leak_is_never_done() {
    let check = |line: &str, expect: &str| {
        findings(
            &format!("general_settings:\n  {line}\n"),
            &[&format!("config.yaml:2: warning: general_settings.{expect}")],
        );
    };
    check(
        "disable_budget_reservation: true",
        "disable_budget_reservation: unsupported: What a request can cost is reserved before it is sent, always: \
         without it requests at the same time overspend.",
    );
    check(
        "fail_closed_budget_enforcement: false",
        "fail_closed_budget_enforcement: has no effect: a request under a budget that cannot be booked is always refused",
    );
    check(
        "proxy_budget_rescheduler_min_time: 5",
        "proxy_budget_rescheduler_min_time: unsupported: Not needed: a period ends at its very moment, no job looks for \
         those that are over.",
    );
    findings("general_settings: {fail_closed_budget_enforcement: true}\n", &[]);
}

#[test]
fn the_summary_counts_the_budgets() {
    let loaded = Config::from_yaml_text(
        "general_settings: {max_budget: 12.5}\nrouter_settings: {provider_budget_config: {openai: {max_budget: 1}}}\n\
         tollgate_settings: {model_budgets: {a: {rpm_limit: 1}}}\n\
         model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: k, max_budget: 1}}]\n",
        &|_| None,
    );
    let line = "Budgets: 12.5 USD for all requests, 1 provider, 1 model group, 1 deployment.";
    let summary = check_summary(&loaded);
    assert!(summary.lines().any(|own| own == line), "{summary}");
}
