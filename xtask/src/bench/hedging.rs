//! A second deployment beside a slow first one: what that does to the slowest requests, and what it costs.
//!
//! Two groups of three deployments, the same but for `hedge`, before one stand-in with a slow tail. The words are
//! `routed.rs`'s.
//!
//! **Invariant**: the groups take turns at the same rate, and the one that hedges has learned its times before the first
//! round.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::arrivals::{Arrivals, Reply};
use super::contender::{Contender, deployment, general_settings};
use super::stats::percentile;
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
    /// Median time, milliseconds.
    pub(crate) p50: Vec<f64>,
    /// 99th percentile.
    pub(crate) p99: Vec<f64>,
    /// Share of the requests that a second deployment was asked for.
    pub(crate) extra: Vec<f64>,
    /// Callers that got an error.
    pub(crate) errors: usize,
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
    let empty = |hedging| HedgeRow { hedging, p50: vec![], p99: vec![], extra: vec![], errors: 0 };
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
    let arrivals = Arrivals::new();
    let clock = async {
        tokio::time::sleep(window).await;
        Arc::clone(&arrivals).stop();
    };
    tokio::join!(arrivals.send(&targets, RATE), clock);
    arrivals.replies()
}

impl HedgeRow {
    fn note(&mut self, replies: &[Reply]) {
        let took: Vec<f64> = replies.iter().map(|reply| reply.took_ms).collect();
        self.p50.push(percentile(&took, 50.0));
        self.p99.push(percentile(&took, 99.0));
        let hedged = replies.iter().filter(|reply| reply.was_hedged).count();
        self.extra.push(hedged as f64 / replies.len().max(1) as f64);
        self.errors += replies.iter().filter(|reply| reply.error.is_some()).count();
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
    fn a_round_is_summed_up() {
        let reply = |took_ms, was_hedged| Reply { took_ms, was_hedged, ..Reply::default() };
        let mut row = HedgeRow { hedging: Hedging::On, p50: vec![], p99: vec![], extra: vec![], errors: 0 };
        let failed = Reply { error: Some("500".to_owned()), ..reply(9.0, false) };
        row.note(&[reply(1.0, false), reply(2.0, true), reply(3.0, false), failed]);
        assert_eq!((row.p50, row.p99, row.extra, row.errors), (vec![2.0], vec![9.0], vec![0.25], 1));
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
