//! Where records and spend are kept: what the keys of databases and of the journal resolve to.

use std::path::Path;
use std::time::Duration;

use tollgate_config::{Config, Durability, LedgerSettings, Loaded, check_summary, diff};

/// A deployment, without which there is a warning.
const MODELS: &str = "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: k}}]\n";

fn read(text: &str, variables: &[(&str, &str)]) -> Loaded {
    Config::from_yaml_text(&format!("{text}{MODELS}"), &|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

#[cfg(test)]
fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    let loaded = read(text, variables);
    assert_eq!(loaded.report.to_string(), "", "{text}");
    loaded.config.unwrap_or_else(|| panic!("{text}"))
}

#[cfg(test)]
fn findings(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    read(text, variables).report.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_written_is_a_file_and_a_journal_beside_it() {
    let config = config("", &[]);
    assert_eq!(config.ledger, LedgerSettings::default());
    assert_eq!(config.ledger.database_connections_max, 10);
    assert_eq!(config.ledger.database_timeout, Duration::from_secs(60));
    assert_eq!(config.ledger.journal.as_deref(), Some(Path::new("tollgate.db.journal")));
    assert_eq!((config.ledger.durability, config.ledger.keeps_rows), (Durability::Strict, true));
    assert_eq!((config.ledger.rows_kept_for, config.ledger.salt_key), (None, None));
    assert_eq!(config.general.database_url, None);
}

#[test]
fn the_embedded_database_has_two_names_and_its_journal_follows_it() {
    let check = |text: &str, file: Option<&str>, journal: Option<&str>| {
        let config = config(text, &[]);
        assert_eq!(config.tollgate.database_file.as_deref(), file.map(Path::new), "{text}");
        assert_eq!(config.ledger.journal.as_deref(), journal.map(Path::new), "{text}");
    };
    let file = Some("/data/state.db");
    check("general_settings: {tollgate_database: /data/state.db}\n", file, Some("/data/state.db.journal"));
    check("tollgate_settings: {database_file: /data/state.db}\n", file, Some("/data/state.db.journal"));
    check("tollgate_settings: {journal: {folder: /fast/j}}\n", Some("tollgate.db"), Some("/fast/j"));
    check("general_settings: {tollgate_database: ':memory:'}\n", None, None);
    check("tollgate_settings: {database_file: ':memory:', journal: {folder: j}}\n", None, Some("j"));
    assert_eq!(
        findings(
            "general_settings: {tollgate_database: a.db}\ntollgate_settings: {database_file: a.db}\n",
            &[]
        ),
        [
            "config.yaml:1: error: general_settings.tollgate_database: means the same as tollgate_settings.database_file: write one of the two"
        ]
    );
    assert_eq!(
        findings("general_settings: {tollgate_database: ''}\n", &[]),
        ["config.yaml:1: error: general_settings.tollgate_database: is empty: write a file, or :memory:"]
    );
}

#[test]
fn postgresql_is_the_one_database_that_has_an_address() {
    for url in [
        "postgres://u:p@h/d",
        "postgresql://h",
        "PostgreSQL://u@h:5432/d?sslmode=require",
        "postgresql:///d?host=/run/postgresql",
        "postgres://u:p@[::1]:5432/d",
    ] {
        let config = config(&format!("general_settings: {{database_url: '{url}'}}\n"), &[]);
        assert_eq!(config.general.database_url.as_ref().map(|url| url.expose()), Some(url));
        assert!(config.secrets().iter().any(|secret| secret.expose() == url));
        assert!(!format!("{config:?}").contains(url), "{url}");
    }
    let path = "config.yaml:1: error: general_settings.database_url";
    let supported = "wants postgresql://user:password@host:5432/database; without it the state is in the SQLite file of \
                     tollgate_database";
    for url in ["mysql://u:secret@h/d", "sqlite:///secret.db", "secret", "postgres:secret", "://secret", "''"]
    {
        let found = findings(&format!("general_settings: {{database_url: {url}}}\n"), &[]);
        assert_eq!(found, [format!("{path}: {supported}")], "{url}");
    }
    let check = |url: &str, why: &str| {
        let found = findings(&format!("general_settings: {{database_url: '{url}'}}\n"), &[]);
        assert_eq!(found, [format!("{path}: {why}")], "{url}");
    };
    check("postgres://", "names no host");
    check("postgres://u:secret@/d", "names no host");
    check("postgres://u:sec ret@h/d", "has white space or a control character: write it as %20 and the like");
}

#[test]
fn the_environment_has_the_address_whole_or_in_parts() {
    let check = |variables: &[(&str, &str)], expect: Option<&str>| {
        let config = config("", variables);
        assert_eq!(config.general.database_url.as_ref().map(|url| url.expose()), expect, "{variables:?}");
    };
    check(&[("DATABASE_URL", "postgres://h/d")], Some("postgres://h/d"));
    check(&[("DATABASE_URL", " ")], None);
    let parts = [
        ("DATABASE_HOST", "db:5432"),
        ("DATABASE_USERNAME", "me@x"),
        ("DATABASE_NAME", "d"),
        ("DATABASE_PASSWORD", "p/ö"),
    ];
    check(&parts, Some("postgresql://me%40x:p%2F%C3%B6@db:5432/d"));
    check(&parts[..3], Some("postgresql://me%40x@db:5432/d"));
    check(&parts[..2], None);
    check(&[&parts[..], &[("DATABASE_URL", "postgres://h/d")]].concat(), Some("postgres://h/d"));
    let written = "general_settings: {database_url: 'postgres://w/d'}\n";
    let own = config(written, &[("DATABASE_URL", "mysql://h")]);
    assert_eq!(own.general.database_url.as_ref().map(|url| url.expose()), Some("postgres://w/d"));
    let found = findings("", &[("DATABASE_URL", "mysql://u:secret@h/d")]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("general_settings.database_url: the variable DATABASE_URL: wants postgresql://"),
        "{found:?}"
    );
    assert!(!found[0].contains("secret"));
}

#[test]
fn the_pool_and_the_journal_take_what_makes_sense() {
    let own = config(
        "general_settings: {database_connection_pool_limit: 3, database_connection_timeout: 0.5, disable_spend_logs: yes}\n\
         tollgate_settings: {journal: {durability: relaxed}}\n",
        &[],
    );
    assert_eq!(
        (own.ledger.database_connections_max, own.ledger.database_timeout),
        (3, Duration::from_millis(500))
    );
    assert_eq!((own.ledger.durability, own.ledger.keeps_rows), (Durability::Relaxed, false));
    let check = |text: &str, expect: &str| assert_eq!(findings(text, &[]), [expect], "{text}");
    check(
        "general_settings: {database_connection_pool_limit: 0}\n",
        "config.yaml:1: error: general_settings.database_connection_pool_limit: wants whole number, 1 or more, found another number",
    );
    check(
        "tollgate_settings: {journal: {durability: strickt}}\n",
        "config.yaml:1: error: tollgate_settings.journal.durability: unknown value `strickt` (nearest: strict)",
    );
    check(
        "tollgate_settings: {journal: {foldr: x}}\n",
        "config.yaml:1: warning: tollgate_settings.journal.foldr: unknown key (nearest: folder)",
    );
    check(
        "general_settings: {database_type: dynamo_db}\n",
        "config.yaml:1: warning: general_settings.database_type: unsupported: PostgreSQL and SQLite are the databases here; use `database_url` or `tollgate_database`.",
    );
}

#[test]
fn rows_are_kept_for_a_span() {
    let check = |span: &str, days: u64| {
        let text = format!("general_settings: {{maximum_spend_logs_retention_period: {span}}}\n");
        let expect = Some(Duration::from_secs(days * 24 * 60 * 60));
        assert_eq!(config(&text, &[]).ledger.rows_kept_for, expect, "{span}");
    };
    check("7d", 7);
    check("48h", 2);
    check("2mo", 60);
    assert_eq!(
        findings(
            "general_settings: {disable_spend_logs: true, maximum_spend_logs_retention_period: 7d}\n",
            &[]
        ),
        [
            "config.yaml:1: warning: general_settings.maximum_spend_logs_retention_period: has no effect: with disable_spend_logs there are no rows"
        ]
    );
}

#[test]
fn the_salt_key_is_written_or_in_the_environment_and_never_empty() {
    let check = |text: &str, variables: &[(&str, &str)], expect: Option<&str>| {
        let config = config(text, variables);
        assert_eq!(config.ledger.salt_key.as_ref().map(|key| key.expose()), expect, "{text}");
        assert_eq!(config.secrets().len(), 1 + usize::from(expect.is_some()), "{text}");
        assert!(expect.is_none_or(|key| !format!("{config:?}").contains(key)));
    };
    check("", &[], None);
    check("", &[("LITELLM_SALT_KEY", "salt-of-env")], Some("salt-of-env"));
    check("", &[("LITELLM_SALT_KEY", "")], None);
    check(
        "general_settings: {salt_key: salt-of-file}\n",
        &[("LITELLM_SALT_KEY", "salt")],
        Some("salt-of-file"),
    );
    assert_eq!(
        findings("general_settings: {salt_key: ' '}\n", &[]),
        ["config.yaml:1: error: general_settings.salt_key: is empty: write a key, or leave the line out"]
    );
}

#[test]
fn the_summary_says_which_database_it_is() {
    let summary = |text: &str| check_summary(&read(text, &[]));
    assert!(summary("general_settings: {database_url: 'postgres://h/d'}\n").contains("kept in PostgreSQL"));
    assert!(!summary("").contains("PostgreSQL"));
}

#[test]
fn what_is_opened_once_needs_a_restart_and_limits_do_not() {
    let before = config("", &[]);
    let check = |text: &str, restart: &[&str], applied: &[&str]| {
        let difference = diff(&before, &config(text, &[]));
        assert_eq!(
            (difference.restart.as_slice(), difference.applied.as_slice()),
            (restart, applied),
            "{text}"
        );
    };
    check("", &[], &[]);
    check(
        "general_settings: {tollgate_database: a.db}\n",
        &["tollgate_settings.database_file", "tollgate_settings.journal"],
        &[],
    );
    check("general_settings: {database_url: 'postgres://h/d'}\n", &["general_settings.database_url"], &[]);
    check(
        "general_settings: {database_connection_timeout: 1}\n",
        &["general_settings.database_connection_pool_limit"],
        &[],
    );
    check("tollgate_settings: {journal: {durability: relaxed}}\n", &["tollgate_settings.journal"], &[]);
    check("general_settings: {salt_key: x}\n", &["general_settings.salt_key"], &[]);
    check("tollgate_settings: {admin_listen: '127.0.0.1:1'}\n", &["tollgate_settings.admin_listen"], &[]);
    check("litellm_settings: {timezone: Europe/Berlin}\n", &["litellm_settings.timezone"], &[]);
    for (text, name) in [
        ("litellm_settings: {max_budget: 1}\n", "general_settings.max_budget"),
        (
            "router_settings: {provider_budget_config: {openai: {max_budget: 1}}}\n",
            "router_settings.provider_budget_config",
        ),
        ("router_settings: {tag_budget_config: {x: {max_budget: 1}}}\n", "router_settings.tag_budget_config"),
        ("litellm_settings: {max_end_user_budget: 1}\n", "litellm_settings.max_end_user_budget"),
        ("tollgate_settings: {budget_tiers: {warn: 0.5}}\n", "tollgate_settings.budget_tiers"),
        ("tollgate_settings: {anomaly: {factor: 5}}\n", "tollgate_settings.anomaly"),
        ("tollgate_settings: {budget_maximum: refuse}\n", "tollgate_settings.budget_maximum"),
        ("tollgate_settings: {budget_maximum_floor: 1}\n", "tollgate_settings.budget_maximum"),
        (
            "litellm_settings: {budget_exceeded_status_code: 429}\n",
            "litellm_settings.budget_exceeded_status_code",
        ),
        ("general_settings: {token_rate_limit_type: input}\n", "general_settings.token_rate_limit_type"),
        (
            "general_settings: {apply_user_budget_to_team_keys: true}\n",
            "general_settings.apply_user_budget_to_team_keys",
        ),
        ("general_settings: {disable_spend_logs: true}\n", "general_settings.disable_spend_logs"),
        (
            "general_settings: {maximum_spend_logs_retention_period: 1d}\n",
            "general_settings.maximum_spend_logs_retention_period",
        ),
        ("litellm_settings: {max_internal_user_budget: 1}\n", "litellm_settings.default_key_generate_params"),
        ("general_settings: {allowed_ips: [127.0.0.1]}\n", "general_settings.allowed_ips"),
    ] {
        check(text, &[], &[name]);
    }
}
