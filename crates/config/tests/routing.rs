//! What the keys of routing, health and waiting resolve to, and what is said of those that make no sense.

use std::time::Duration;

use tollgate_config::{
    AllowedFailsPolicy, Config, General, Hedge, HedgeAfter, LatencyArgs, Loaded, Queue, RetryBudget,
    RetryPolicy, Router, SensitiveRule, Strategy, TollgateSettings, check_summary, diff,
};

/// Two groups, `a` and `b`, of one deployment each; the first line of what follows is line 6.
const GROUPS: &str = "\
model_list:
- model_name: a
  litellm_params: {model: openai/a, api_key: k}
- model_name: b
  litellm_params: {model: openai/b, api_key: k}
";

const VARIABLES: &[(&str, &str)] = &[("SLACK_WEBHOOK_URL", "https://hooks.slack.test/T0/secret")];

fn read(yaml: &str) -> Loaded {
    Config::from_yaml_text(yaml, &|name| {
        VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[cfg(test)]
fn config(settings: &str) -> Config {
    let loaded = read(&format!("{GROUPS}{settings}"));
    let report = loaded.report.to_string();
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

/// What is found in `settings`, which stand below [`GROUPS`].
#[cfg(test)]
fn check(settings: &str, expect: &[&str]) {
    let loaded = read(&format!("{GROUPS}{settings}"));
    let found: Vec<String> = loaded.report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expect, "{settings}");
}

#[test]
fn every_strategy_is_known_by_its_name_and_all_but_one_act() {
    let check = |name: &str, expect: Strategy| {
        let strategy = config(&format!("router_settings: {{routing_strategy: {name}}}")).router.strategy;
        assert_eq!((strategy, strategy.name()), (expect, name));
        assert_eq!(strategy.is_active(), name != "lar1");
    };
    check("simple-shuffle", Strategy::SimpleShuffle);
    check("least-busy", Strategy::LeastBusy);
    check("usage-based-routing", Strategy::UsageBased);
    check("usage-based-routing-v2", Strategy::UsageBasedV2);
    check("latency-based-routing", Strategy::LatencyBased);
    check("cost-based-routing", Strategy::CostBased);
    check("round-robin", Strategy::RoundRobin);
    check("consistent-hash", Strategy::ConsistentHash);
    check("lar1", Strategy::Lar1);
}

#[test]
fn a_strategy_that_does_not_act_is_named_wherever_it_is_written() {
    check(
        "router_settings:\n  routing_strategy: lar1\n  routing_groups:\n  \
         - {group_name: g, models: [a], routing_strategy: lar1}\n",
        &[
            "config.yaml:7: note: router_settings.routing_strategy: lar1 is not yet active: simple-shuffle takes its place",
            "config.yaml:9: note: router_settings.routing_groups[0].routing_strategy: lar1 is not yet active: simple-shuffle takes its place",
        ],
    );
}

#[test]
fn the_latency_strategy_has_its_arguments_and_the_others_have_none() {
    let args = "{ttl: 60, lowest_latency_buffer: 0.5, max_latency_list_size: 20, ttft_percentile: 95%}";
    let router = config(&format!(
        "router_settings: {{routing_strategy: latency-based-routing, routing_strategy_args: {args}}}"
    ))
    .router;
    assert_eq!(
        router.latency,
        LatencyArgs { ttl: Duration::from_secs(60), buffer: 0.5, samples_max: 20, percentile: Some(0.95) }
    );
    let default =
        LatencyArgs { ttl: Duration::from_secs(3600), buffer: 0.0, samples_max: 10, percentile: None };
    assert_eq!((Router::default().latency, LatencyArgs::default()), (default.clone(), default));
    check(
        "router_settings: {routing_strategy: least-busy, routing_strategy_args: {ttl: 60}}\n",
        &["config.yaml:6: warning: router_settings.routing_strategy_args: has no effect with least-busy"],
    );
    check(
        "router_settings: {routing_strategy: latency-based-routing, routing_strategy_args: {lowest_latency_bufer: 1, ttft_percentile: 5}}\n",
        &[
            "config.yaml:6: warning: router_settings.routing_strategy_args.lowest_latency_bufer: unknown key (nearest: lowest_latency_buffer)",
            "config.yaml:6: error: router_settings.routing_strategy_args.ttft_percentile: wants share from 0 to 1, or percent such as 5%, found another number",
        ],
    );
}

#[test]
fn a_routing_group_gives_its_models_a_strategy_of_their_own() {
    let router = config(
        "router_settings:\n  routing_strategy: least-busy\n  routing_groups:\n  \
         - group_name: fast\n    models: [b]\n    routing_strategy: latency-based-routing\n    \
         routing_strategy_args: {ttl: 9}\n",
    )
    .router;
    let [group] = router.routing_groups.as_slice() else { panic!("{router:?}") };
    assert_eq!((group.name.as_str(), group.models.as_slice()), ("fast", ["b".to_owned()].as_slice()));
    let of = |group: &str| (router.strategy_of(group).0, router.strategy_of(group).1.ttl.as_secs());
    assert_eq!(of("a"), (Strategy::LeastBusy, 3600));
    assert_eq!(of("b"), (Strategy::LatencyBased, 9));
    assert_eq!(of("fast"), (Strategy::LatencyBased, 9), "all of them together too");
    assert!(router.covers("fast", "b") && router.covers("b", "b"));
    assert!(!router.covers("fast", "a") && !router.covers("b", "fast"));
}

#[test]
fn priorities_order_the_models_of_requests_for_the_routing_group_alone() {
    let router = config(
        "router_settings:\n  routing_strategy: least-busy\n  routing_groups:\n  \
         - {group_name: first-b, models: [a, b], routing_strategy: priority, model_priorities: {a: 2, b: 1}}\n  \
         - {group_name: first-a, models: [a, b], routing_strategy: priority, model_priorities: {a: 1, b: 1}}\n  \
         - {group_name: own, models: [b], routing_strategy: round-robin}\n  \
         fallbacks: [{first-b: [first-a]}]\n",
    )
    .router;
    let strategy = |group: &str| router.strategy_of(group).0;
    assert_eq!((strategy("first-b"), strategy("first-a")), (Strategy::Priority, Strategy::Priority));
    assert_eq!((strategy("a"), strategy("b")), (Strategy::LeastBusy, Strategy::RoundRobin));
    let priorities = |group: &str| {
        let group = router.called(group).unwrap();
        ["a", "b", "c"].map(|model| group.priority_of(model))
    };
    assert_eq!(priorities("first-b"), [Some(2), Some(1), None]);
    assert_eq!(priorities("first-a"), [Some(1), Some(1), None]);
    assert_eq!(priorities("own"), [None, None, None]);
}

#[test]
fn priorities_that_make_no_sense_are_told() {
    let path = "router_settings.routing_groups";
    check(
        "router_settings:\n  routing_groups:\n  \
         - {group_name: x, models: [a, b], routing_strategy: priority, model_priorities: {a: 1, c: 2}}\n  \
         - {group_name: y, models: [b], routing_strategy: priority}\n  \
         - {group_name: z, models: [a], routing_strategy: least-busy, model_priorities: {a: 1}}\n",
        &[
            &format!("config.yaml:8: error: {path}[0].model_priorities: b has no priority"),
            &format!(
                "config.yaml:8: warning: {path}[0].model_priorities: c is not among the models of the group"
            ),
            &format!("config.yaml:9: error: {path}[1].model_priorities: b has no priority"),
            &format!("config.yaml:10: warning: {path}[2].model_priorities: has no effect with least-busy"),
        ],
    );
    check(
        "router_settings:\n  model_group_alias: {y: a}\n  routing_groups:\n  \
         - {group_name: a, models: [a], routing_strategy: least-busy}\n  \
         - {group_name: y, models: [b, z], routing_strategy: priority, model_priorities: {b: 1, z: 1}}\n  \
         - {group_name: z, models: [b], routing_strategy: least-busy}\n",
        &[
            &format!(
                "config.yaml:9: warning: {path}: a model group or an alias has the name a already: callers cannot ask for \
                 the routing group"
            ),
            &format!("config.yaml:9: error: {path}: a model group or an alias has the name y already"),
            &format!("config.yaml:9: warning: {path}: no model group is named z"),
        ],
    );
    check(
        "router_settings: {routing_strategy: priority}\n",
        &[
            "config.yaml:6: error: router_settings.routing_strategy: unknown value; wants one of simple-shuffle, least-busy, \
           usage-based-routing, usage-based-routing-v2, latency-based-routing, cost-based-routing, round-robin, \
           consistent-hash, lar1",
        ],
    );
}

#[test]
fn a_routing_group_that_makes_no_sense_is_told() {
    let path = "router_settings.routing_groups";
    check(
        "router_settings:\n  routing_groups:\n  - {models: [a], routing_strategy: least-busy}\n  \
         - {group_name: x, routing_strategy: least-busy}\n  - {group_name: y, models: [b]}\n",
        &[
            &format!("config.yaml:8: error: {path}[0].group_name: is required"),
            &format!("config.yaml:9: error: {path}[1].models: is required"),
            &format!("config.yaml:10: error: {path}[2].routing_strategy: is required"),
        ],
    );
    check(
        "router_settings:\n  routing_groups:\n  - {group_name: x, models: [a], routing_strategy: least-busy}\n  \
         - {group_name: x, models: [a, c], routing_strategy: round-robbin, model_priorities: {b: 0}}\n  \
         - {group_name: default, models: [b], routing_strategy: round-robin, model_priorities: {a: 1}}\n",
        &[
            &format!("config.yaml:8: warning: {path}: no model group is named c"),
            &format!("config.yaml:9: error: {path}[1]: the name x is taken"),
            &format!("config.yaml:9: error: {path}[1].models: a is in the routing group x too"),
            &format!(
                "config.yaml:9: error: {path}[1].routing_strategy: unknown value `round-robbin` (nearest: round-robin)"
            ),
            &format!(
                "config.yaml:9: error: {path}[1].model_priorities.b: wants whole number, 1 or more, found another number"
            ),
            &format!("config.yaml:10: error: {path}[2]: the name default is taken"),
            &format!("config.yaml:10: warning: {path}[2].model_priorities: has no effect with round-robin"),
        ],
    );
}

#[test]
fn policies_by_class_are_read_for_all_groups_and_for_one() {
    let router = config(
        "router_settings:
  retry_policy: {RateLimitErrorRetries: 3, DefaultRetries: 1}
  model_group_retry_policy: {b: {TimeoutErrorRetries: 0}}
  allowed_fails: 4
  allowed_fails_policy: {RateLimitErrorAllowedFails: 5, BadGatewayErrorAllowedFails: 0}
",
    )
    .router;
    let general = RetryPolicy { rate_limit: Some(3), default: Some(1), ..RetryPolicy::default() };
    let own = RetryPolicy { timeout: Some(0), ..RetryPolicy::default() };
    assert_eq!(router.retry_policy_of("a"), Some(&general));
    assert_eq!(router.retry_policy_of("b"), Some(&own));
    assert_eq!(Router::default().retry_policy_of("a"), None);
    let fails =
        AllowedFailsPolicy { rate_limit: Some(5), bad_gateway: Some(0), ..AllowedFailsPolicy::default() };
    assert_eq!((router.allowed_fails, router.allowed_fails_policy), (Some(4), Some(fails)));
    check(
        "router_settings:\n  retry_policy: {BadRequestErrorRetries: 2}\n  \
         model_group_retry_policy: {b: {ContentPolicyViolationErrorRetries: 1, BadRequestErrorRetries: 0}}\n",
        &[
            "config.yaml:7: warning: router_settings.retry_policy.BadRequestErrorRetries: has no effect: no retry mends the caller's request",
            "config.yaml:8: warning: router_settings.model_group_retry_policy.b.ContentPolicyViolationErrorRetries: has no effect: no retry mends the caller's request",
        ],
    );
    check(
        "router_settings: {model_group_retry_policy: {bb: {DefaultRetries: 1}}}\n",
        &[
            "config.yaml:6: warning: router_settings.model_group_retry_policy: no model group is named bb (nearest: b)",
        ],
    );
}

#[test]
fn keys_of_routing_act_below_litellm_settings_too() {
    let router = config(
        "litellm_settings:
  num_retries: 1
  fallbacks: [{a: [b]}]
  default_fallbacks: [b]
  allowed_fails: 0
  cooldown_time: 0.5
  context_window_fallbacks: [{a: [{model: b, temperature: 0}]}]
",
    )
    .router;
    assert_eq!((router.num_retries, router.allowed_fails), (1, Some(0)));
    assert_eq!(router.cooldown_time, Duration::from_millis(500));
    assert_eq!(router.fallbacks[0].1[0].model, "b");
    assert_eq!(router.context_window_fallbacks[0].1[0].overrides["temperature"], 0);
    assert_eq!(router.default_fallbacks, ["b"]);
}

#[test]
fn checks_that_act_are_flags_and_the_others_are_named() {
    let settings = "router_settings: {optional_pre_call_checks: [prompt_caching, session_affinity, \
                    enforce_model_rate_limits, router_budget_limiting, responses_api_deployment_check]}\n";
    let router = config(settings).router;
    assert!(router.checks.prompt_caching && router.checks.session_affinity);
    assert!(router.checks.enforce_model_rate_limits && !router.checks.deployment_affinity);
    assert_eq!(router.optional_pre_call_checks.len(), 5);
    check(
        settings,
        &[
            "config.yaml:6: note: router_settings.optional_pre_call_checks[4]: responses_api_deployment_check is not yet active",
        ],
    );
}

#[test]
fn what_a_file_leaves_out_has_its_default() {
    let config = config("");
    let router = &config.router;
    assert_eq!(*router, Router::default());
    assert!(router.tag_filtering_match_any && !router.enable_tag_filtering && !router.disable_cooldowns);
    assert!(!router.enable_pre_call_checks && !router.enable_health_check_routing);
    assert_eq!(router.deployment_affinity_ttl, Duration::from_secs(3600));
    assert_eq!(router.health_check_staleness, Duration::from_secs(600));
    assert_eq!((router.default_priority, router.allowed_fails), (None, None));
    let general = &config.general;
    assert_eq!(*general, General::default());
    assert!(!general.background_health_checks && general.health_check_details);
    assert_eq!(general.health_check_interval, Duration::from_secs(300));
    assert_eq!((general.max_in_flight_requests, general.max_queued_requests), (None, 0));
    assert_eq!(general.admission_queue_timeout, Duration::from_secs(1));
    let tollgate = &config.tollgate;
    assert_eq!(*tollgate, TollgateSettings::default());
    assert!(tollgate.rescue && tollgate.hedge.is_none() && tollgate.sensitive.is_empty());
    assert_eq!(tollgate.queue, Queue { enabled: true, max_wait: Duration::from_secs(1), size: 1000 });
    assert_eq!(tollgate.retry_budget, RetryBudget { ratio: 0.1, floor_per_second: 3.0 });
    assert_eq!(tollgate.tiers.lists().count(), 0);
    let deployment = &config.deployments[0];
    assert!(!deployment.is_blocked && !deployment.zero_data_retention && deployment.fault.is_none());
    assert_eq!((deployment.cooldown_time, deployment.allowed_fails), (None, None));
}

#[test]
fn the_router_gives_its_deployments_what_they_leave_out() {
    let config = config(
        "router_settings:\n  default_max_parallel_requests: 5\n  weights: {openai/b: 3, c: 1}\n  \
         default_priority: 999\n  tag_filtering_match_any: false\n  tag_routing_prefix: 'route:'\n",
    );
    let shown: Vec<_> = config.deployments.iter().map(|d| (d.max_parallel_requests, d.weight)).collect();
    assert_eq!(shown, [(Some(5), None), (Some(5), Some(3.0))]);
    assert_eq!(config.router.default_priority, Some(255));
    assert!(!config.router.tag_filtering_match_any);
    assert_eq!(config.router.tag_routing_prefix, "route:");
    check(
        "router_settings: {weights: {c: 1}}\n",
        &["config.yaml:6: warning: router_settings.weights: no deployment has the id or the model c"],
    );
}

#[test]
fn a_hedge_is_off_unless_it_is_written_and_is_said_for_all_groups_or_for_one() {
    let hedge = |text: &str| config(&format!("tollgate_settings: {{hedge: {text}}}")).tollgate.hedge;
    let plain = Hedge { after: HedgeAfter::Quantile(0.95), max: 1, budget: 0.05 };
    let after = |milliseconds| HedgeAfter::Delay(Duration::from_millis(milliseconds));
    assert_eq!(hedge("true"), Some(plain));
    assert_eq!(hedge("{}"), Some(plain));
    assert_eq!(hedge("false"), None);
    assert_eq!(hedge("{max: 0}"), None);
    assert_eq!(hedge("{after: 150}"), Some(Hedge { after: after(150), ..plain }));
    assert_eq!(hedge("{after: 150ms}"), Some(Hedge { after: after(150), ..plain }));
    assert_eq!(
        hedge("{after: p90, max: 2, budget: 5%}"),
        Some(Hedge { after: HedgeAfter::Quantile(0.9), max: 2, budget: 0.05 })
    );
    let tollgate = config(
        "tollgate_settings: {hedge: {after: 1s}, model_groups: {a: {hedge: false}, b: {hedge: {max: 3}}}}",
    )
    .tollgate;
    assert_eq!(tollgate.hedge_of("a"), None);
    assert_eq!(tollgate.hedge_of("b").map(|hedge| hedge.max), Some(3));
    assert_eq!(tollgate.hedge_of("c").map(|hedge| hedge.after), Some(after(1000)));
    check(
        "tollgate_settings: {hedge: {after: p20, budget: 7}}\n",
        &[
            "config.yaml:6: error: tollgate_settings.hedge.after: wants milliseconds, a time such as 150ms or 2s, or p50 to p99, found a text",
            "config.yaml:6: error: tollgate_settings.hedge.budget: wants share from 0 to 1, or percent such as 5%, found another number",
        ],
    );
}

#[test]
fn waiting_and_retrying_have_limits_of_their_own() {
    let tollgate = config(
        "tollgate_settings: {rescue: false, queue: {enabled: false, max_wait_seconds: 250ms, size: 5}, \
         retry_budget: {ratio: 20%, floor_per_second: 0.5}}",
    )
    .tollgate;
    assert!(!tollgate.rescue);
    assert_eq!(tollgate.queue, Queue { enabled: false, max_wait: Duration::from_millis(250), size: 5 });
    assert_eq!(tollgate.retry_budget, RetryBudget { ratio: 0.2, floor_per_second: 0.5 });
}

#[test]
fn a_rule_for_sensitive_requests_binds_somebody_to_something() {
    let rules = config(
        "tollgate_settings: {sensitive: [{tags: [pii, client], region: eu, zero_data_retention: true}]}",
    )
    .tollgate
    .sensitive;
    let expect = SensitiveRule {
        tags: vec!["pii".to_owned(), "client".to_owned()],
        region: Some("eu".to_owned()),
        data_residency: None,
        zero_data_retention: true,
    };
    assert_eq!(rules, [expect]);
    check(
        "tollgate_settings:\n  sensitive:\n  - {region: eu}\n  - {tags: [pii], zero_data_retention: false}\n",
        &[
            "config.yaml:8: error: tollgate_settings.sensitive[0]: names no tags: no request falls under it",
            "config.yaml:9: error: tollgate_settings.sensitive[1]: asks for nothing: write region, data_residency or zero_data_retention",
        ],
    );
}

#[test]
fn health_checks_are_read_from_both_places_and_the_routers_go_before() {
    let config = config(
        "general_settings:
  background_health_checks: true
  health_check_interval: 60
  health_check_details: false
  enable_health_check_routing: true
  health_check_ignore_transient_errors: true
router_settings: {health_check_ignore_transient_errors: false}
",
    );
    assert!(config.general.background_health_checks && !config.general.health_check_details);
    assert_eq!(config.general.health_check_interval, Duration::from_secs(60));
    assert!(config.router.enable_health_check_routing);
    assert!(!config.router.health_check_ignore_transient_errors);
    assert_eq!(config.router.health_check_staleness, Duration::from_secs(120));
    check(
        "general_settings: {enable_health_check_routing: true}\n",
        &[
            "config.yaml:6: warning: general_settings.enable_health_check_routing: has no effect without general_settings.background_health_checks",
        ],
    );
}

#[test]
fn requests_beyond_those_in_flight_may_wait() {
    let general = config(
        "general_settings: {max_in_flight_requests_per_worker: 100, max_queued_requests_per_worker: 20, \
         admission_queue_timeout_seconds: 0.5}",
    )
    .general;
    assert_eq!((general.max_in_flight_requests, general.max_queued_requests), (Some(100), 20));
    assert_eq!(general.admission_queue_timeout, Duration::from_millis(500));
    check(
        "general_settings: {max_queued_requests_per_worker: 20}\n",
        &[
            "config.yaml:6: warning: general_settings.max_queued_requests_per_worker: has no effect without max_in_flight_requests_per_worker",
        ],
    );
}

#[test]
fn keys_without_effect_say_so() {
    check(
        "router_settings:\n  polling_interval: 0.01\n  enable_weighted_failover: false\n",
        &[
            "config.yaml:7: note: router_settings.polling_interval: has no effect: a request that waits is woken, nothing is polled",
            "config.yaml:8: warning: router_settings.enable_weighted_failover: has no effect: a retry always chooses by weight among the deployments that are left",
        ],
    );
    check("router_settings: {enable_weighted_failover: true}\n", &[]);
}

#[test]
fn a_reload_names_what_it_changes_about_routing() {
    let before = config("");
    let check = |settings: &str, expect: &[&str]| {
        let difference = diff(&before, &config(settings));
        assert_eq!(difference.applied, expect, "{settings}");
        assert!(difference.restart.is_empty() && difference.keeps_deployments(), "{settings}");
    };
    check("", &[]);
    check("router_settings: {cooldown_time: 5}", &[]);
    check("router_settings: {cooldown_time: 6}", &["router_settings"]);
    check("tollgate_settings: {tiers: [a, b]}", &["tollgate_settings.tiers"]);
    check("tollgate_settings: {model_groups: {a: {hedge: true}}}", &["tollgate_settings.hedge"]);
    check("tollgate_settings: {rescue: false}", &["tollgate_settings.rescue"]);
    check("tollgate_settings: {queue: {size: 1}}", &["tollgate_settings.queue"]);
    check("tollgate_settings: {retry_budget: {ratio: 0}}", &["tollgate_settings.retry_budget"]);
    check("tollgate_settings: {sensitive: [{tags: [x], region: eu}]}", &["tollgate_settings.sensitive"]);
    check(
        "general_settings: {background_health_checks: true}",
        &["general_settings.background_health_checks"],
    );
    check(
        "general_settings: {max_in_flight_requests_per_worker: 9}",
        &["general_settings.max_in_flight_requests_per_worker"],
    );
    check("general_settings: {alerting: [slack]}", &["general_settings.alerting"]);
}

#[test]
fn the_summary_says_where_requests_go() {
    let loaded = read(&format!(
        "{GROUPS}- model_name: c
  litellm_params: {{model: openai/c, api_key: k, blocked: true, tollgate_fault: {{kind: cut}}}}
tollgate_settings:
  tiers: {{chat: [{{name: best, model: a}}, b]}}
  hedge: true
  sensitive: [{{tags: [pii], region: eu}}]
"
    ));
    assert_eq!(
        check_summary(&loaded),
        "The configuration can be used: 0 errors, 1 warning in 1 file.\n\
         It has 3 deployments in 3 model groups, 0 aliases, no master key: loopback only.\n\
         Tiers of chat: best (a), then b.\n\
         Late answers are hedged.\n\
         Sensitive requests fall under 1 rule.\n\
         On purpose, by tollgate_fault, 1 deployment will fail.\n\
         Blocked, and so without requests: 1 deployment.\n"
    );
}
