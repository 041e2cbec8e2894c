//! One key that everybody uses, beside the same load spread over many keys.
//!
//! The words are `accounted.rs`'s.
//!
//! **Invariant**: one gateway, one rate, in turns; every request is counted, and its time is from the moment at which it
//! was due.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::arrivals::{Arrivals, Reply};
use super::contender::Contender;
use super::load::Target;
use super::people::{self, Budgets};
use super::stats::percentile;
use super::threads::Threads;
use crate::shell::Workspace;

/// Requests a second.
pub(crate) const RATE: u32 = 5_000;
/// Keys of the load that is spread.
pub(crate) const KEYS: usize = 1_000;
/// Before what is measured: connections are opened.
const WARM: Duration = Duration::from_millis(500);

/// Whose requests they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// All of one key.
    Hot,
    /// Of all keys in turns.
    Even,
}

/// What was seen, one value a round.
#[derive(Clone, Debug)]
pub(crate) struct HotRow {
    /// Whose requests.
    pub(crate) spread: Spread,
    /// Median time, milliseconds.
    pub(crate) p50: Vec<f64>,
    /// 99th percentile.
    pub(crate) p99: Vec<f64>,
    /// Answers a second.
    pub(crate) per_second: Vec<f64>,
    /// Microseconds of processor time a request.
    pub(crate) cpu_us: Vec<f64>,
    /// Requests that were not answered with 200.
    pub(crate) errors: usize,
}

/// Measures both in turns.
///
/// # Errors
/// When the gateway does not start.
pub(crate) async fn measure(
    place: (&Workspace, &Path),
    upstream_port: u16,
    rounds: usize,
    window: Duration,
) -> Result<Vec<HotRow>, String> {
    let config = people::config(upstream_port, Budgets::All, ("", ""));
    let gateway = people::gateway(place, ("hot", &config), Budgets::All, KEYS).await?;
    let empty =
        |spread| HotRow { spread, p50: vec![], p99: vec![], per_second: vec![], cpu_us: vec![], errors: 0 };
    let mut rows = [Spread::Hot, Spread::Even].map(empty);
    let of = |spread| {
        let keys = if spread == Spread::Hot { 1 } else { KEYS };
        (0..keys).map(|number| gateway.chat_as(Some(&people::key(number)), people::GROUP)).collect()
    };
    let targets: [Vec<Target>; 2] = [of(Spread::Hot), of(Spread::Even)];
    for round in 1..=rounds {
        eprintln!("one hot key: round {round} of {rounds}");
        for (row, targets) in rows.iter_mut().zip(&targets) {
            run(&gateway, targets, WARM).await;
            let (replies, spent, seconds) = run(&gateway, targets, window).await;
            row.note(&replies, spent, seconds);
        }
    }
    Ok(rows.into())
}

/// Sends for the length of a window: the replies, the processor time that they took, and how long it was until the last.
async fn run(gateway: &Contender, targets: &[Target], window: Duration) -> (Vec<Reply>, Threads, f64) {
    let before = Threads::of(gateway.server.as_ref());
    let arrivals = Arrivals::new();
    let clock = async {
        tokio::time::sleep(window).await;
        Arc::clone(&arrivals).stop();
    };
    tokio::join!(arrivals.send(targets, RATE), clock);
    let seconds = arrivals.elapsed().as_secs_f64();
    (arrivals.replies(), Threads::of(gateway.server.as_ref()) - before, seconds)
}

impl HotRow {
    fn note(&mut self, replies: &[Reply], spent: Threads, seconds: f64) {
        let took: Vec<f64> = replies.iter().map(|reply| reply.took_ms).collect();
        self.p50.push(percentile(&took, 50.0));
        self.p99.push(percentile(&took, 99.0));
        let errors = replies.iter().filter(|reply| reply.error.is_some()).count();
        self.per_second.push((replies.len() - errors) as f64 / seconds);
        self.cpu_us.push(spent.per_request(replies.len() as u64).all());
        self.errors += errors;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_summed_up() {
        let reply = |took_ms| Reply { took_ms, ..Reply::default() };
        let failed = Reply { error: Some("429".to_owned()), ..reply(9.0) };
        let empty = (vec![], vec![]);
        let mut row = HotRow {
            spread: Spread::Hot,
            p50: vec![],
            p99: vec![],
            per_second: empty.0,
            cpu_us: empty.1,
            errors: 0,
        };
        let spent = Threads { road: 3e-6, journal: 1e-6, database: 0.0 };
        row.note(&[reply(1.0), reply(2.0), reply(3.0), failed], spent, 2.0);
        assert_eq!((row.p50, row.p99, row.errors), (vec![2.0], vec![9.0], 1));
        assert_eq!((row.per_second, row.cpu_us), (vec![1.5], vec![1.0]));
    }
}
