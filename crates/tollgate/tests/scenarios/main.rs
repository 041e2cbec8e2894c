//! Sixteen failover scenarios, all of them streamed, over the running binary: a primary deployment, a second one of
//! the same group, and a group to fall back on.
//!
//! Owns: one test a scenario, named after its number. Leaves to others: the rows of faults (`faults`).
//!
//! **Invariant:** the caller reads every byte, and the simulator's record of every attempt is the oracle; counts, bytes
//! and order are asserted. The only time that is looked at is that a provider's `Retry-After` was waited for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod broken;
mod errors;
mod late;
mod refused;
mod settled;

use support::{Site, deployment, open_ai};
use tollgate_simulator::{Behaviour, Rule, Script};

/// Tokens of an answer.
const TOKENS: usize = 60;
/// After so many of them a stream breaks.
const BREAK: usize = 40;

/// The group `m` of the primary `p`, which is always asked first, and the second `s`; the group `other` of `f`, a
/// cheaper model, on which `m` falls back. `more` is put behind.
fn sites_config(more: &str) -> String {
    let p = open_ai("m", "p", ", weight: 1");
    let s = open_ai("m", "s", ", weight: 0");
    let f = deployment("other", "f", "openai/gpt-4o-mini", ", api_base: \"http://{sim}/d/f/v1\"");
    format!("model_list:\n{p}{s}{f}{more}")
}

/// Where `m` falls back on `other`.
const FALLBACKS: &str = "router_settings: {fallbacks: [{m: [other]}]}\n";

/// An answer of so many tokens, no two of which are alike.
fn answering() -> Behaviour {
    Behaviour::new().text(support::words(TOKENS))
}

/// Providers that all answer, but for the first rules.
fn script(rules: impl IntoIterator<Item = Rule>) -> Script {
    rules.into_iter().fold(Script::new(), Script::rule).rule(Rule::any(answering()))
}

/// What a whole answer says.
async fn whole(site: &Site) -> String {
    site.simulator.script().push_first(Rule::any(answering()).times(1));
    let told = site.hello_stream("m").await;
    assert_eq!(told.pieces().len(), TOKENS);
    site.simulator.forget_received();
    told.complete("m")
}
