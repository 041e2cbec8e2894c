//! A second deployment beside a slow first one: what that does to the slowest requests, and what it costs.
//!
//! Two groups of three deployments, the same but for `hedge`, before one stand-in with a slow tail. The words are
//! `routed.rs`'s.
//!
//! **Invariant**: the groups take turns at the same rate, and the one that hedges has learned its times before the first
//! round.

use std::path::Path;
use std::time::Duration;

use super::arrivals::{self, Reply, Seen};
use super::contender::{Contender, deployment, general_settings};
use super::tail::Tail;
use crate::shell::Workspace;

/// Requests a second, plain and streamed in turns.
pub(crate) const RATE: u32 = 200;
/// The provider's times. Three in a hundred are slow, ten times what is usual: the 95th percentile is a usual time, and
/// the 99th a slow one.
pub(crate) const TAIL: Tail = Tail { low_ms: 20, high_ms: 40, slow_percent: 3, slow_ms: 300 };
/// What the group that hedges is told.
const HEDGE: &str = "{after: p95, budget: 5%}";
/// Enough for the times to be learned, and for the budget to have something to be a share of.
const LEARNING: Duration = Duration::from_secs(2);

/// Whether a group hedges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hedging {
    /// It does not.
    Off,
    /// It does.
    On,
}

impl Hedging {
    /// The word for tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "`hedge: {after: p95, budget: 5%}`",
        }
    }

    fn group(self) -> &'static str {
        match self {
            Self::Off => "tail",
            Self::On => "tail-hedged",
        }
    }
}

/// What a group saw, one value a round.
#[derive(Clone, Debug)]
pub(crate) struct HedgeRow {
    /// Which group.
    pub(crate) hedging: Hedging,
    /// Times and errors of its callers.
    pub(crate) seen: Seen,
    /// Share of the requests that a second deployment was asked for.
    pub(crate) extra: Vec<f64>,
}

/// Measures both groups in turns.
///
/// # Errors
/// When the gateway does not start.
pub(crate) async fn measure(
    (workspace, folder): (&Workspace, &Path),
    upstream_port: u16,
    rounds: usize,
    window: Duration,
) -> Result<Vec<HedgeRow>, String> {
    let gateway = Contender::gateway(workspace, folder, ("hedging", &config(upstream_port)))?;
    let empty = |hedging| HedgeRow { hedging, seen: Seen::default(), extra: vec![] };
    let mut rows = [Hedging::Off, Hedging::On].map(empty);
    for row in &rows {
        run(&gateway, row.hedging, LEARNING).await;
    }
    for round in 1..=rounds {
        eprintln!("hedging: round {round} of {rounds}");
        for row in &mut rows {
            let replies = run(&gateway, row.hedging, window).await;
            row.note(&replies);
        }
    }
    Ok(rows.into())
}

async fn run(gateway: &Contender, hedging: Hedging, window: Duration) -> Vec<Reply> {
    let targets = [false, true].map(|stream| gateway.chat(hedging.group(), stream));
    arrivals::within(&targets, RATE, window).await.0
}

impl HedgeRow {
    fn note(&mut self, replies: &[Reply]) {
        self.seen.note(replies);
        let hedged = replies.iter().filter(|reply| reply.was_hedged).count();
        self.extra.push(hedged as f64 / replies.len().max(1) as f64);
    }
}

fn config(upstream_port: u16) -> String {
    let groups = [Hedging::Off, Hedging::On].map(Hedging::group);
    let rows = groups.iter().flat_map(|group| (0..3).map(move |number| (group, number)));
    let rows: String =
        rows.map(|(group, number)| deployment(group, &TAIL.model(), number, upstream_port, &[])).collect();
    let hedged = Hedging::On.group();
    format!(
        "model_list:\n{rows}{}tollgate_settings:\n  model_groups: {{\"{hedged}\": {{hedge: {HEDGE}}}}}\n",
        general_settings()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hedged_requests_are_told_as_a_share() {
        let reply = |was_hedged| Reply { was_hedged, ..Reply::default() };
        let mut row = HedgeRow { hedging: Hedging::On, seen: Seen::default(), extra: vec![] };
        row.note(&[reply(false), reply(true), reply(false), reply(false)]);
        assert_eq!((row.extra, row.seen.p50.len()), (vec![0.25], 1));
    }

    #[test]
    fn one_of_the_two_groups_hedges() {
        let text = config(7);
        assert_eq!(text.matches("model_name: \"tail\"").count(), 3);
        assert_eq!(text.matches("model_name: \"tail-hedged\"").count(), 3);
        assert!(text.contains(&format!("{{\"tail-hedged\": {{hedge: {}}}}}", HEDGE)), "{text}");
        assert!(Hedging::On.title().contains(HEDGE));
    }
}
