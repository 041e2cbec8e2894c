//! The configuration files that LiteLLM users bring, as they stand.

use std::path::Path;
use std::time::Duration;

use tollgate_catalog::PicoDollars;
use tollgate_config::{BudgetLimit, Config, Loaded, Severity, Strategy, check_summary, load};
use tollgate_policy::period::Cadence;

const KEYS: &[(&str, &str)] = &[
    ("OPENAI_API_KEY", "sk-openai"),
    ("AZURE_API_KEY", "azure-key"),
    ("ANTHROPIC_API_KEY", "sk-ant"),
    ("GEMINI_API_KEY", "gemini-key"),
    ("GATEWAY_MASTER_KEY", "sk-master"),
];

fn example(name: &str) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples").join(name);
    load(&path, &mut |path| std::fs::read_to_string(path), &|name| {
        KEYS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[cfg(test)]
fn usable(loaded: &Loaded) -> &Config {
    assert_eq!(loaded.report.count(Severity::Error), 0, "{}", loaded.report);
    loaded.config.as_ref().expect("a configuration without errors")
}

/// group, provider, model, rpm, tpm
type Row<'a> = (&'a str, &'a str, &'a str, Option<u64>, Option<u64>);

fn rows(config: &Config) -> Vec<Row<'_>> {
    let row = |d| {
        let d: &tollgate_config::Deployment = d;
        (d.model_name.as_str(), d.provider.name, d.model.as_str(), d.rpm, d.tpm)
    };
    config.deployments.iter().map(row).collect()
}

#[test]
fn the_founding_proxy_file_loads_unchanged() {
    let loaded = example("seed_proxy.yaml");
    let config = usable(&loaded);
    assert_eq!(
        rows(config),
        [
            ("gpt-4o", "openai", "gpt-4o", Some(500), Some(200_000)),
            ("gpt-4o", "azure", "gpt-4o-eastus", Some(300), None),
            ("gpt-4o-mini", "openai", "gpt-4o-mini", None, None),
            ("claude-sonnet", "anthropic", "claude-sonnet-4-20250514", None, None),
        ]
    );
    let azure = &config.deployments[1];
    assert_eq!(azure.api_base.as_deref(), Some("https://my-eastus.openai.azure.com"));
    assert_eq!(azure.api_key.as_ref().map(|key| key.expose()), Some("azure-key"));
    assert_eq!((config.router.strategy, config.router.num_retries), (Strategy::LatencyBased, 3));
    assert_eq!(config.router.retry_after, Duration::from_secs(5));
    assert_eq!(
        (config.router.allowed_fails, config.router.cooldown_time),
        (Some(2), Duration::from_secs(60))
    );
    assert_eq!(config.general.master_key.as_ref().map(|key| key.expose()), Some("sk-gateway-master-key"));
    let month =
        BudgetLimit { max: Some(PicoDollars(1_000_000_000_000_000)), cadence: Some(Cadence::Days(30)) };
    assert_eq!(config.budgets.global, month);
    let database = config.general.database_url.as_ref().map(|url| url.expose());
    assert_eq!(database, Some("postgresql://user:pass@db:5432/litellm"));
    assert_eq!(loaded.report.count(Severity::Warning), 0, "{}", loaded.report);
}

#[test]
fn the_founding_proxy_file_acts_whole() {
    let loaded = example("seed_proxy.yaml");
    assert_eq!(
        check_summary(&loaded),
        "The configuration can be used: 0 errors, 0 warnings in 1 file.\n\
         It has 4 deployments in 3 model groups, 0 aliases, a master key.\n\
         Budgets: 1000.0 USD in 30d for all requests.\n\
         Keys and spend are kept in PostgreSQL.\n"
    );
}

#[test]
fn what_does_not_act_yet_is_listed_with_its_line() {
    let all_acts = "The configuration can be used: 0 errors, 0 warnings in 1 file.\n\
                    It has 4 deployments in 3 model groups, 1 alias, a master key.\n";
    assert_eq!(check_summary(&example("teams.yaml")), all_acts);
    let yaml =
        "model_list: []\nlitellm_settings:\n  callbacks: [a]\nrouter_settings: {cache_responses: true}\n";
    let told = check_summary(&Config::from_yaml_text(yaml, &|_| None));
    assert!(
        told.ends_with(
            "Accepted and checked, but not yet active:\n\
             \x20 litellm_settings.callbacks  config.yaml:3\n\
             \x20 router_settings.cache_responses  config.yaml:4\n"
        ),
        "{told}"
    );
}

#[test]
fn the_founding_router_file_loads_and_google_is_gemini() {
    let loaded = example("seed_router.yaml");
    let config = usable(&loaded);
    assert_eq!(
        rows(config),
        [
            ("primary-chat", "openai", "gpt-4o", None, None),
            ("primary-chat", "anthropic", "claude-sonnet-4-20250514", None, None),
            ("primary-chat", "gemini", "gemini-2.5-pro", None, None),
            ("fallback-chat", "openai", "gpt-4o-mini", None, None),
            ("long-context-chat", "gemini", "gemini-2.5-flash", None, None),
        ]
    );
    let chain = |fallbacks: &tollgate_config::Fallbacks| {
        let flat = fallbacks.iter().map(|(group, to)| (group.clone(), to[0].model.clone()));
        flat.collect::<Vec<_>>()
    };
    assert_eq!(chain(&config.router.fallbacks), [("primary-chat".into(), "fallback-chat".into())]);
    assert_eq!(
        chain(&config.router.context_window_fallbacks),
        [("primary-chat".into(), "long-context-chat".into())]
    );
    assert_eq!(config.groups(), ["primary-chat", "fallback-chat", "long-context-chat"]);
}

#[test]
fn the_shape_that_most_users_run_loads_whole() {
    let loaded = example("teams.yaml");
    let config = usable(&loaded);
    assert_eq!(
        rows(config),
        [
            ("openai/*", "openai", "*", None, None),
            ("claude", "anthropic", "claude-sonnet-4-20250514", None, None),
            ("claude", "bedrock", "anthropic.claude-3-7-sonnet-20250219-v1:0", None, None),
            ("embed", "openai", "text-embedding-3-small", None, None),
        ]
    );
    let claude = &config.deployments[1];
    assert_eq!((claude.id.as_str(), claude.weight, claude.order), ("claude-a", Some(3.0), Some(1)));
    assert_eq!(claude.tags, ["paid"]);
    assert_eq!(claude.access_groups, ["premium"]);
    assert_eq!(claude.model_info["access_groups"], serde_json::json!(["premium"]));
    assert_eq!(claude.params_written["api_key"], "****");
    assert_eq!(claude.params_written["weight"], 3);
    assert_eq!(config.router.model_group_alias[0].name, "gpt-4");
    assert_eq!(config.router.model_group_alias[0].group, "openai/gpt-4o");
    assert_eq!(config.router.retry_policy.as_ref().and_then(|policy| policy.rate_limit), Some(3));
    assert!(config.litellm.drop_params && config.cache.is_some() && config.router.enable_pre_call_checks);
    assert_eq!(config.litellm.request_timeout, Some(Duration::from_secs(600)));
    assert_eq!(config.general.master_key.as_ref().map(|key| key.expose()), Some("sk-master"));
    assert_eq!(config.environment[0].0, "SLACK_WEBHOOK_URL");
    let bedrock = &config.deployments[2];
    assert_eq!(
        (bedrock.cloud.get("aws_region_name"), bedrock.api_key.is_none()),
        (Some("eu-central-1"), true)
    );
    assert_eq!(loaded.report.count(Severity::Warning), 0, "{}", loaded.report);
}
