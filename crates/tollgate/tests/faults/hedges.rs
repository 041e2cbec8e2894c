//! R9, the second half: another deployment is asked before the first has run out of its time.

use crate::support::{Load, Site, count, hello, open_ai};
use std::time::Duration;
use tollgate_simulator::{Behaviour, Rule, Script, TokenCounts};

/// The group `m` of `a`, which is asked first, and `b`; hedged after 100 ms within this budget.
fn hedged(budget: &str) -> String {
    let [a, b] = [open_ai("m", "a", ", weight: 1"), open_ai("m", "b", ", weight: 0")];
    format!("model_list:\n{a}{b}tollgate_settings: {{hedge: {{after: 100ms, max: 1, budget: {budget}}}}}\n")
}

/// What answers report.
fn counted() -> Behaviour {
    Behaviour::new().tokens(TokenCounts { prompt: Some(100), completion: Some(10), ..TokenCounts::default() })
}

/// `a` takes ten minutes for so many requests.
fn slow(times: u64) -> Script {
    let slow = Rule::deployment("a", counted().latency(Duration::from_secs(600))).times(times);
    Script::new().rule(slow).rule(Rule::any(counted()))
}
