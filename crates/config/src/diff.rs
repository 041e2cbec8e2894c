//! What a reload changes.
//!
//! Owns: comparing two configurations. Leaves to others: swapping them, restarting.
//!
//! **Invariant:** each deployment of either configuration is in exactly one of the four lists.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::access::AccessSettings;
use crate::budgets::BudgetSettings;
use crate::config::Config;
use crate::ledger::Durability;
use crate::model::Deployment;
use crate::settings::General;

/// The difference of two configurations. Deployments are named by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadDiff {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// The same id with other parameters: pools and statistics start anew.
    pub changed: Vec<String>,
    /// Untouched: pools, cooldowns and statistics stay.
    pub kept: Vec<String>,
    /// Settings that have changed and that only a restart applies.
    pub restart: Vec<&'static str>,
    /// Settings of routing and failover that have changed and that the reload applies.
    pub applied: Vec<&'static str>,
}

impl ReloadDiff {
    /// Whether every deployment stays as it is.
    pub fn keeps_deployments(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares `old` with `new`.
pub fn diff(old: &Config, new: &Config) -> ReloadDiff {
    let mut gone: HashMap<&str, &Deployment> = old.deployments.iter().map(|d| (d.id.as_str(), d)).collect();
    let mut diff =
        ReloadDiff { restart: restart(old, new), applied: applied(old, new), ..ReloadDiff::default() };
    for deployment in &new.deployments {
        let list = match gone.remove(deployment.id.as_str()) {
            None => &mut diff.added,
            Some(before) if is_same(before, deployment) => &mut diff.kept,
            Some(_) => &mut diff.changed,
        };
        list.push(deployment.id.clone());
    }
    let removed = old.deployments.iter().filter(|deployment| gone.contains_key(deployment.id.as_str()));
    diff.removed = removed.map(|deployment| deployment.id.clone()).collect();
    diff
}

fn is_same(before: &Deployment, after: &Deployment) -> bool {
    before.fingerprint == after.fingerprint
        && before.provider.name == after.provider.name
        && before.api_key == after.api_key
        && before.api_base == after.api_base
}

/// What is bound, sized or opened once, when the process starts.
fn restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (a, b) = (&old.tollgate, &new.tollgate);
    let settings = [
        ("tollgate_settings.workers", a.workers != b.workers),
        ("tollgate_settings.connections_max", a.connections_max != b.connections_max),
        ("tollgate_settings.memory_bytes_max", a.memory_bytes_max != b.memory_bytes_max),
        ("tollgate_settings.log", (a.log_level, a.log_format) != (b.log_level, b.log_format)),
        ("tollgate_settings.header_timeout_seconds", a.header_timeout != b.header_timeout),
        ("tollgate_settings.client_stall_timeout_seconds", a.client_stall_timeout != b.client_stall_timeout),
        ("tollgate_settings.drain_timeout_seconds", a.drain_timeout != b.drain_timeout),
        (
            "general_settings.max_response_size_mb",
            old.general.response_bytes_max != new.general.response_bytes_max,
        ),
        ("general_settings.database_url", old.general.database_url != new.general.database_url),
        ("tollgate_settings.database_file", a.database_file != b.database_file),
        ("tollgate_settings.journal", journal(old) != journal(new)),
        ("general_settings.database_connection_pool_limit", pool(old) != pool(new)),
        ("general_settings.salt_key", old.ledger.salt_key != new.ledger.salt_key),
        ("tollgate_settings.admin_listen", old.access.admin_listen != new.access.admin_listen),
        // The periods of every account are aligned to it.
        ("litellm_settings.timezone", old.budgets.zone != new.budgets.zone),
        ("environment_variables", old.environment != new.environment),
    ];
    changed(&settings)
}

/// What requests are routed by, which the next request sees.
fn applied(old: &Config, new: &Config) -> Vec<&'static str> {
    let (a, b) = (&old.tollgate, &new.tollgate);
    let (x, y) = (&old.general, &new.general);
    let is_admitted = |general: &General| {
        (general.max_in_flight_requests, general.max_queued_requests, general.admission_queue_timeout)
    };
    let is_checked = |general: &General| {
        (general.background_health_checks, general.health_check_interval, general.health_check_details)
    };
    let mut all = changed(&[
        ("router_settings", old.router != new.router),
        ("tollgate_settings.tiers", a.tiers != b.tiers),
        ("tollgate_settings.hedge", (a.hedge, &a.group_hedges) != (b.hedge, &b.group_hedges)),
        ("tollgate_settings.rescue", a.rescue != b.rescue),
        ("tollgate_settings.queue", a.queue != b.queue),
        ("tollgate_settings.retry_budget", a.retry_budget != b.retry_budget),
        ("tollgate_settings.sensitive", a.sensitive != b.sensitive),
        ("general_settings.background_health_checks", is_checked(x) != is_checked(y)),
        ("general_settings.max_in_flight_requests_per_worker", is_admitted(x) != is_admitted(y)),
        ("general_settings.alerting", x.alerts != y.alerts),
    ]);
    all.extend(applied_limits(old, new));
    all
}

/// What requests are limited by, which the next request sees too.
fn applied_limits(old: &Config, new: &Config) -> Vec<&'static str> {
    let (a, b) = (&old.budgets, &new.budgets);
    let (x, y) = (&old.ledger, &new.ledger);
    let maximum = |own: &BudgetSettings| (own.maximum, own.maximum_floor);
    let exceeded = |own: &BudgetSettings| (own.exceeded_status, own.throttle_percentage);
    let user_budget = |own: &BudgetSettings| own.apply_user_budget_to_team_keys;
    let access = |own: &Config| AccessSettings { admin_listen: None, ..own.access.clone() };
    changed(&[
        ("general_settings.max_budget", a.global != b.global),
        ("router_settings.provider_budget_config", a.providers != b.providers),
        ("router_settings.tag_budget_config", a.tags != b.tags),
        ("tollgate_settings.model_budgets", a.models != b.models),
        ("litellm_settings.max_end_user_budget", a.end_users != b.end_users),
        ("tollgate_settings.budget_tiers", a.tiers != b.tiers),
        ("tollgate_settings.anomaly", a.anomaly != b.anomaly),
        ("tollgate_settings.budget_maximum", maximum(a) != maximum(b)),
        ("litellm_settings.budget_exceeded_status_code", exceeded(a) != exceeded(b)),
        ("general_settings.token_rate_limit_type", a.token_unit != b.token_unit),
        ("general_settings.apply_user_budget_to_team_keys", user_budget(a) != user_budget(b)),
        ("general_settings.disable_spend_logs", x.keeps_rows != y.keeps_rows),
        ("general_settings.maximum_spend_logs_retention_period", x.rows_kept_for != y.rows_kept_for),
        ("litellm_settings.default_key_generate_params", old.new_records != new.new_records),
        ("tollgate_settings.key_rotation", old.key_rotation != new.key_rotation),
        ("general_settings.allowed_ips", access(old) != access(new)),
        ("general_settings.litellm_jwtauth", old.jwt != new.jwt),
    ])
}

/// Where the journal is, and what is waited for.
fn journal(config: &Config) -> (&Option<PathBuf>, Durability) {
    (&config.ledger.journal, config.ledger.durability)
}

/// How many connections, and how long one is waited for.
fn pool(config: &Config) -> (u32, Duration) {
    (config.ledger.database_connections_max, config.ledger.database_timeout)
}

fn changed(settings: &[(&'static str, bool)]) -> Vec<&'static str> {
    settings.iter().filter(|(_, has_changed)| *has_changed).map(|(name, _)| *name).collect()
}
