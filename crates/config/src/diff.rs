//! What a reload changes.
//!
//! Owns: comparing two configurations. Leaves to others: swapping them, restarting.
//!
//! **Invariant:** each deployment of either configuration is in exactly one of the four lists.

use std::collections::HashMap;

use crate::config::Config;
use crate::model::Deployment;

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
    let mut diff = ReloadDiff { restart: restart(old, new), ..ReloadDiff::default() };
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
        ("tollgate_settings.log", (a.log_level, a.log_format) != (b.log_level, b.log_format)),
        ("tollgate_settings.header_timeout_seconds", a.header_timeout != b.header_timeout),
        ("tollgate_settings.client_stall_timeout_seconds", a.client_stall_timeout != b.client_stall_timeout),
        ("tollgate_settings.drain_timeout_seconds", a.drain_timeout != b.drain_timeout),
        (
            "general_settings.max_response_size_mb",
            old.general.response_bytes_max != new.general.response_bytes_max,
        ),
        ("general_settings.database_url", old.general.database_url != new.general.database_url),
        ("environment_variables", old.environment != new.environment),
    ];
    settings.into_iter().filter(|(_, has_changed)| *has_changed).map(|(name, _)| name).collect()
}
