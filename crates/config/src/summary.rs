//! What `tollgate check` says after its findings.
//!
//! Owns: the counts and the list of keys that do not act yet. Leaves to others: printing and exit statuses.
//!
//! **Invariant:** a key that does not act yet is in the list with every place that writes it.

use std::fmt::Write as _;

use crate::config::Loaded;
use crate::report::{Finding, Severity, printable};
use crate::section::NOT_YET_ACTIVE;

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
