//! What discounts, margins and models without a price resolve to, and what is said of those that make no sense.

use tollgate_catalog::{Adjustment, PicoDollars, Share};
use tollgate_config::{Config, Costs, Loaded, Unpriced};

fn read(text: &str) -> Loaded {
    let models = "model_list:\n- {model_name: a, litellm_params: {model: openai/a, api_key: k}}\n";
    Config::from_yaml_text(&format!("{text}{models}"), &|_| None)
}

#[cfg(test)]
fn costs(text: &str) -> Costs {
    let loaded = read(text);
    assert_eq!(loaded.report.to_string(), "", "{text}");
    loaded.config.map(|config| config.costs).unwrap_or_else(|| panic!("{text}"))
}

#[cfg(test)]
fn findings(text: &str) -> Vec<String> {
    read(text).report.findings.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
fn adjustment(discount: &str, margin: &str, fixed: &str) -> Adjustment {
    Adjustment {
        discount: Share::parse(discount).expect(discount),
        margin: Share::parse(margin).expect(margin),
        fixed: PicoDollars::parse_dollars(fixed).expect(fixed),
    }
}

#[test]
fn a_discount_is_a_providers_and_a_margin_its_own_before_the_global_one() {
    let costs = costs(
        "litellm_settings:\n  cost_discount_config: {openai: 0.05, vertex_ai: '0.1'}\n  cost_margin_config:\n    \
         global: 0.02\n    openai: {percentage: 0.08, fixed_amount: 5e-4}\n    azure: {fixed_amount: 0.001}\n    \
         gemini: {}\n",
    );
    let check =
        |provider: &str, expect: Adjustment| assert_eq!(costs.adjustment(provider), expect, "{provider}");
    check("openai", adjustment("0.05", "0.08", "0.0005"));
    check("vertex_ai", adjustment("0.1", "0.02", "0"));
    check("azure", adjustment("0", "0", "0.001"));
    check("gemini", adjustment("0", "0", "0"));
    check("anthropic", adjustment("0", "0.02", "0"));
}

#[test]
fn nothing_written_changes_nothing() {
    let costs = costs("");
    assert_eq!(costs.adjustment("openai"), Adjustment::default());
    assert_eq!(costs.unpriced, Unpriced::Flag);
}

#[test]
fn a_provider_goes_by_its_aliases_too() {
    let costs = costs("litellm_settings: {cost_discount_config: {google: 0.5}}\n");
    let row = tollgate_catalog::provider("google").expect("a provider");
    assert_eq!(costs.adjustment(row.name), adjustment("0.5", "0", "0"));
}

#[test]
fn shares_that_make_no_sense_are_errors_and_unknown_providers_warnings() {
    let check = |line: &str, expect: &[&str]| {
        assert_eq!(findings(&format!("litellm_settings:\n  {line}\n")), expect, "{line}");
    };
    let path = "config.yaml:2: error: litellm_settings";
    check(
        "cost_discount_config: {openai: 1.5}",
        &[&format!("{path}.cost_discount_config.openai: wants a share from 0 to 1: 0.05 is 5%")],
    );
    check(
        "cost_discount_config: {openai: -0.5}",
        &[&format!("{path}.cost_discount_config.openai: wants number, 0 or more, found another number")],
    );
    check(
        "cost_margin_config: {openai: 11}",
        &[&format!("{path}.cost_margin_config.openai: wants a share from 0 to 10: 0.05 is 5%")],
    );
    check(
        "cost_margin_config: {openai: {percentage: 99}}",
        &[&format!("{path}.cost_margin_config.openai.percentage: wants a share from 0 to 10: 0.05 is 5%")],
    );
    check(
        "cost_discount_config: {opnai: 0.5}",
        &["config.yaml:2: warning: litellm_settings.cost_discount_config.opnai: is the name of no provider \
           (nearest: openai)"],
    );
    check(
        "cost_discount_config: {global: 0.5}",
        &["config.yaml:2: warning: litellm_settings.cost_discount_config.global: is the name of no provider"],
    );
}

#[test]
fn a_model_without_a_price_is_refused_flagged_or_charged() {
    let check = |text: &str, expect: &Unpriced| assert_eq!(&costs(text).unpriced, expect, "{text}");
    check("tollgate_settings: {unpriced: deny}\n", &Unpriced::Deny);
    check("tollgate_settings: {unpriced: flag}\n", &Unpriced::Flag);
    check("litellm_settings: {block_requests_for_models_without_pricing: true}\n", &Unpriced::Deny);
    check(
        "litellm_settings: {block_requests_for_models_without_pricing: true}\ntollgate_settings: {unpriced: flag}\n",
        &Unpriced::Flag,
    );
    let charged = costs(
        "tollgate_settings:\n  unpriced: {charge: {input_cost_per_token: 1e-6, output_cost_per_token: 0.000002}}\n",
    );
    let Unpriced::Charge(prices) = charged.unpriced else { panic!("{:?}", charged.unpriced) };
    let rates = [prices.input(), prices.output()].map(|rate| rate.map(|rate| rate.to_string()));
    assert_eq!(rates, [Some("0.000001".to_owned()), Some("0.000002".to_owned())]);
}

#[test]
fn a_charge_that_says_too_little_is_an_error() {
    let check = |value: &str, expect: &[&str]| {
        assert_eq!(findings(&format!("tollgate_settings:\n  unpriced: {value}\n")), expect, "{value}");
    };
    let path = "config.yaml:2: error: tollgate_settings.unpriced";
    check("{}", &[&format!("{path}.charge: is required, or deny or flag in its place")]);
    check(
        "{charge: {input_cost_per_token: 1}}",
        &[&format!("{path}.charge.output_cost_per_token: is required")],
    );
    check(
        "{charge: {input_cost_per_token: 1e99, output_cost_per_token: 1}}",
        &[&format!("{path}.charge.input_cost_per_token: `1e99` is not a price in dollars: too large")],
    );
    check("dny", &[&format!("{path}: unknown value `dny` (nearest: deny)")]);
}
