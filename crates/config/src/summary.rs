//! What `tollgate check` says after its findings.
//!
//! Owns: the counts, the tiers, what fails on purpose, and the list of keys that do not act yet. Leaves to others: printing and exit statuses.
//!
//! **Invariant:** a key that does not act yet is in the list with every place that writes it.

use std::fmt::Write as _;

use crate::config::{Config, Loaded};
use crate::report::{Finding, Severity, printable};
use crate::section::NOT_YET_ACTIVE;
use crate::tier::{Tier, TierTarget};

/// A few lines about `loaded`: counts, what the gateway would serve, and the keys that are not active yet.
pub fn check_summary(loaded: &Loaded) -> String {
    let mut out = String::new();
    let count = |severity| loaded.report.count(severity);
    let errors = plural(count(Severity::Error), "error");
    let warnings = plural(count(Severity::Warning), "warning");
    let files = plural(loaded.files.len(), "file");
    let verdict = if loaded.config.is_some() { "can be used" } else { "cannot be used" };
    // Writing to a text cannot fail.
    let _ = writeln!(out, "The configuration {verdict}: {errors}, {warnings} in {files}.");
    if let Some(config) = &loaded.config {
        let deployments = plural(config.deployments.len(), "deployment");
        let groups = plural(config.groups().len(), "model group");
        let aliases = plural(config.router.model_group_alias.len(), "alias");
        let key =
            if config.general.master_key.is_some() { "a master key" } else { "no master key: loopback only" };
        let _ = writeln!(out, "It has {deployments} in {groups}, {aliases}, {key}.");
        routes(config, &mut out);
        money(config, &mut out);
    }
    let waiting = not_yet_active(&loaded.report.findings);
    if !waiting.is_empty() {
        let _ = writeln!(out, "Accepted and checked, but not yet active:");
    }
    for (key, places) in waiting {
        let _ = writeln!(out, "  {key}  {}", places.join(", "));
    }
    out
}

/// Where requests go beyond their first deployment: a line for each thing that is configured.
fn routes(config: &Config, out: &mut String) {
    for (name, tiers) in config.tollgate.tiers.lists() {
        let steps: Vec<String> = tiers.iter().map(step).collect();
        let of = name.map(|name| format!(" of {}", printable(name))).unwrap_or_default();
        let _ = writeln!(out, "Tiers{of}: {}.", steps.join(", then "));
    }
    let hedged = config.tollgate.group_hedges.iter().filter(|(_, hedge)| hedge.is_some());
    match (config.tollgate.hedge.is_some(), hedged.count()) {
        (true, _) => out.push_str("Late answers are hedged.\n"),
        (false, 0) => {}
        (false, groups) => {
            let _ = writeln!(out, "Late answers of {} are hedged.", plural(groups, "model group"));
        }
    }
    if !config.tollgate.sensitive.is_empty() {
        let rules = plural(config.tollgate.sensitive.len(), "rule");
        let _ = writeln!(out, "Sensitive requests fall under {rules}.");
    }
    let at_fault = config.deployments.iter().filter(|deployment| deployment.fault.is_some()).count();
    if at_fault > 0 {
        let _ = writeln!(out, "On purpose, by tollgate_fault, {} will fail.", plural(at_fault, "deployment"));
    }
    let blocked = config.deployments.iter().filter(|deployment| deployment.is_blocked).count();
    if blocked > 0 {
        let _ = writeln!(out, "Blocked, and so without requests: {}.", plural(blocked, "deployment"));
    }
}

/// What may be spent beside the budgets of keys, and where it is kept.
fn money(config: &Config, out: &mut String) {
    let own = &config.budgets;
    let global = own.global.max.map(|max| {
        let span = own.global.cadence.map(|span| format!(" in {span}")).unwrap_or_default();
        format!("{} USD{span} for all requests", max.as_litellm_number())
    });
    let deployments = config.deployments.iter().filter(|deployment| deployment.budget.is_some()).count();
    let counts = [
        (own.providers.len(), "provider"),
        (own.tags.len(), "tag"),
        (own.models.len(), "model group"),
        (deployments, "deployment"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| plural(count, word));
    let all: Vec<String> = global.into_iter().chain(counts).collect();
    if !all.is_empty() {
        let _ = writeln!(out, "Budgets: {}.", all.join(", "));
    }
    if config.general.database_url.is_some() {
        out.push_str("Keys and spend are kept in PostgreSQL.\n");
    }
}

/// A tier by its name, and its answers where it is canned.
fn step(tier: &Tier) -> String {
    let name = printable(&tier.name);
    match &tier.target {
        TierTarget::Group(group) if *group == tier.name => name,
        TierTarget::Group(group) => format!("{name} ({})", printable(group)),
        TierTarget::Canned(canned) => {
            let any = usize::from(canned.answer_when_nothing_matches.is_some());
            format!("{name} ({})", plural(canned.entries.len() + any, "answer"))
        }
    }
}

/// Keys with the indices of lists left out, in the order of first appearance, and where each is written.
fn not_yet_active(findings: &[Finding]) -> Vec<(String, Vec<String>)> {
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    let waiting = findings.iter().filter(|finding| finding.message.contains(NOT_YET_ACTIVE));
    for finding in waiting {
        let name = without_indices(&finding.key);
        let place = format!("{}:{}", printable(&finding.file.to_string_lossy()), finding.line);
        match keys.iter_mut().find(|(known, _)| *known == name) {
            Some((_, places)) => places.push(place),
            None => keys.push((name, vec![place])),
        }
    }
    keys
}

/// `model_list[3].litellm_params.tags` as `model_list[].litellm_params.tags`.
fn without_indices(key: &str) -> String {
    let mut out = String::new();
    let mut is_index = false;
    for c in key.chars() {
        is_index = (is_index || c == '[') && c != ']';
        if !is_index || c == '[' {
            out.push(c);
        }
    }
    out
}

fn plural(count: usize, word: &str) -> String {
    let ending = match (count, word.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {word}{ending}")
}
