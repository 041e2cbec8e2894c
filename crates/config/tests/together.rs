//! Settings that are right one by one, and of which one takes another's effect away: what is said of them.

use tollgate_config::Config;

/// The findings in `settings` below the model groups `models`, each of one deployment; a group may bring parameters of
/// its own along (`a=region_name: eu`). The settings begin in line 1.
fn check(models: &str, settings: &str, expect: &[&str]) {
    let entry = |model: &str| {
        let (name, more) = model.split_once('=').unwrap_or((model, "rpm: 1"));
        let star = if name.contains('*') { "*" } else { "m" };
        format!(
            "- {{model_name: '{name}', litellm_params: {{model: 'openai/{star}', api_key: k, {more}}}}}\n"
        )
    };
    let models: String = models.split_whitespace().map(|model| entry(&model.replace('~', " "))).collect();
    let loaded = Config::from_yaml_text(&format!("{settings}model_list:\n{models}"), &|_| None);
    let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{settings}");
    assert!(loaded.config.is_some(), "none of it is an error");
}

#[test]
fn fallbacks_under_a_name_that_some_group_goes_by_are_no_mistake() {
    let fallbacks = |key: &str| format!("router_settings: {{fallbacks: [{{'{key}': [third]}}]}}\n");
    let nobody = |key: &str| {
        format!("config.yaml:1: warning: router_settings.fallbacks: no model group is named {key}")
    };
    check("openai/* third", &fallbacks("gpt-4o"), &[]);
    check("openai/gpt-4o third", &fallbacks("gpt-4o"), &[]);
    check("gpt-4o third", &fallbacks("openai/gpt-4o"), &[]);
    check("openai/* third", &fallbacks("openai/*"), &[]);
    check("openai/* third", &fallbacks("openai/gpt-*"), &[]);
    check("openai/gpt-4o third", &fallbacks("openai/*"), &[]);
    check("openai/* third", &fallbacks("*"), &[]);
    check("openai/gpt-4o third", &fallbacks("mistral-large"), &[&nobody("mistral-large")]);
    check("openai/* third", &fallbacks("azure/*"), &[&nobody("azure/*")]);
    check("openai/* third", &fallbacks("azure/gpt-4o"), &[&nobody("azure/gpt-4o")]);
}

#[test]
fn a_fallback_that_is_a_pattern_is_told() {
    check(
        "a w/*",
        "router_settings:\n  fallbacks: [{a: ['w/*']}]\n  default_fallbacks: [w/x, '*']\n",
        &[
            "config.yaml:2: warning: router_settings.fallbacks: w/* is a pattern: name one model that it matches",
            "config.yaml:3: warning: router_settings.default_fallbacks: * is a pattern: name one model that it matches",
        ],
    );
}

#[test]
fn fallbacks_of_a_group_in_tiers_are_told() {
    let settings = |tiers: &str| {
        format!(
            "router_settings:\n  fallbacks:\n  - a: [c]\n  - chat: [c]\n  context_window_fallbacks: [{{a: [c]}}]\n\
             tollgate_settings: {{tiers: {tiers}}}\n"
        )
    };
    let told = |line: usize, index: usize, name: &str| {
        format!(
            "config.yaml:{line}: warning: router_settings.fallbacks[{index}].{name}: {name} is in tiers, which take the \
             place of its fallbacks"
        )
    };
    check("a b c", &settings("{chat: [a, b]}"), &[&told(3, 0, "a"), &told(4, 1, "chat")]);
    check("b c a chat", &settings("[b, c]"), &[]);
    let defaults = |tiers: &str| {
        format!("litellm_settings: {{default_fallbacks: [b]}}\ntollgate_settings: {{tiers: [{tiers}]}}\n")
    };
    check("a b", &defaults("a"), &[]);
    check(
        "a b",
        &defaults("a, b"),
        &[
            "config.yaml:1: warning: litellm_settings.default_fallbacks: every model group is in tiers, which take the \
           place of fallbacks",
        ],
    );
}

#[test]
fn fallbacks_of_an_alias_are_told() {
    check(
        "a b",
        "router_settings:\n  model_group_alias: {best: a}\n  fallbacks: [{best: [b]}]\n",
        &[
            "config.yaml:3: warning: router_settings.fallbacks[0].best: best is an alias: its requests go on as those of a \
           do, so name that",
        ],
    );
}

#[test]
fn a_chain_that_no_request_can_go_to_the_end_is_told() {
    let models = "a b c d e f g h";
    let follows = |path: &str, key: &str, why: &str| {
        format!(
            "config.yaml:1: warning: {path}: more than 5 groups follow {key}, and a request goes to 5 of them at most: {why}"
        )
    };
    let bound = "max_fallbacks is 5";
    let path = "router_settings.fallbacks[0].a";
    let router = |settings: &str| format!("router_settings: {{{settings}}}\n");
    check(models, &router("fallbacks: [{a: [b, c, d, e, f]}]"), &[]);
    check(models, &router("fallbacks: [{a: [b, c, d, e, f, a, b]}]"), &[]);
    check(models, &router("fallbacks: [{a: [b, c, d, e, f, g]}]"), &[&follows(path, "a", bound)]);
    check(
        models,
        &router("fallbacks: [{a: [b, c, d]}, {d: [e, f]}, {f: [g]}]"),
        &[&follows(path, "a", bound)],
    );
    check(
        models,
        &router("fallbacks: [{a: [b]}], default_fallbacks: [c, d, e, f, g]"),
        &[&follows(path, "a", bound)],
    );
    check(
        models,
        &router("default_fallbacks: [b, c, d, e, f, g]"),
        &[&follows("router_settings.default_fallbacks", "a group", bound)],
    );
    check(
        models,
        &router("max_fallbacks: 9, fallbacks: [{a: [b, c, d, e, f, g]}]"),
        &[&follows(path, "a", "it is sent 6 times in all")],
    );
    check(
        models,
        &router("max_fallbacks: 1, content_policy_fallbacks: [{a: [b, c]}]"),
        &[
            "config.yaml:1: warning: router_settings.content_policy_fallbacks[0].a: more than 1 groups follow a, and a \
           request goes to 1 of them at most: max_fallbacks is 1",
        ],
    );
}

#[test]
fn more_tiers_than_sends_are_told() {
    let tiers = |tiers: &str| format!("tollgate_settings: {{tiers: [{tiers}]}}\n");
    check("a b c d e f g", &tiers("a, b, c, d, e, f, {canned: {answer_when_nothing_matches: hi}}"), &[]);
    check(
        "a b c d e f g",
        &tiers("a, b, c, d, e, f, g"),
        &[
            "config.yaml:1: warning: tollgate_settings.tiers: has 7 model groups, and a request is sent 6 times in all: not \
           each can be asked",
        ],
    );
}

#[test]
fn a_hedge_without_a_retry_is_told() {
    let settings = |own: &str| format!("router_settings: {{num_retries: 0}}\ntollgate_settings: {{{own}}}\n");
    let needs = "a hedge is one of a request's retries, and num_retries is 0";
    let at = "config.yaml:2: warning: tollgate_settings";
    check("a b", "tollgate_settings: {hedge: true}\n", &[]);
    check("a b", &settings("hedge: {max: 0}"), &[]);
    check("a b", &settings("hedge: true"), &[&format!("{at}.hedge: has no effect: {needs}")]);
    check(
        "a=num_retries:~1 b",
        &settings("hedge: true"),
        &[&format!("{at}.hedge: has no effect for b: {needs}")],
    );
    check(
        "a=num_retries:~1 b",
        &settings("model_groups: {a: {hedge: true}, b: {hedge: true}}"),
        &[&format!("{at}.model_groups.b.hedge: has no effect: {needs}")],
    );
}

#[test]
fn hedging_is_said_of_groups_alone() {
    let none = "has no effect: hedging is said of a model group by the model_name of its entries";
    check(
        "a w/*",
        "tollgate_settings: {tiers: {chat: [a]}, model_groups: {chat: {hedge: true}, w/x: {hedge: true}, 'w/*': {hedge: true}}}\n",
        &[
            &format!("config.yaml:1: warning: tollgate_settings.model_groups.chat.hedge: {none}"),
            &format!("config.yaml:1: warning: tollgate_settings.model_groups.w/x.hedge: {none}"),
        ],
    );
    let yaml = "model_list: [{model_name: a, litellm_params: {model: openai/m, api_key: k}}]\n\
                router_settings: {model_group_alias: {best: a}}\n\
                tollgate_settings: {model_groups: {best: {hedge: true}}}\n";
    let config = Config::from_yaml_text(yaml, &|_| None).config.unwrap_or_default();
    assert!(config.tollgate.hedge_of("a").is_some(), "an alias is its group");
}

#[test]
fn a_rule_for_sensitive_requests_that_nobody_fulfils_is_told() {
    let rule = |asks: &str| format!("tollgate_settings: {{sensitive: [{{tags: [pii], {asks}}}]}}\n");
    let told = "config.yaml:1: warning: tollgate_settings.sensitive[0]: no deployment fulfils it: requests with its tags \
                reach no provider";
    check("a b=region_name:~eu", &rule("region: eu"), &[]);
    check("a=region_name:~West_Europe", &rule("region: eu"), &[]);
    check("a=region_name:~West_Europe", &rule("region: westeurope"), &[]);
    check("a=zero_data_retention:~true", &rule("zero_data_retention: true"), &[]);
    check("a b", &rule("region: eu"), &[told]);
    check("a=region_name:~us", &rule("region: europe"), &[told]);
    check("a=region_name:~eu", &rule("region: eu-west-1"), &[told]);
    check("a=region_name:~eu,~blocked:~true", &rule("region: eu"), &[told]);
    check(
        "a=region_name:~eu b=zero_data_retention:~true",
        &rule("region: eu, zero_data_retention: true"),
        &[told],
    );
    check("a=region_name:~eu", &rule("data_residency: eu"), &[told]);
}
