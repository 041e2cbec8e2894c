//! One key that everybody uses, beside the same load spread over many keys.
//!
//! How much load that is depends on the machine: a share of what it does at its most, so that no queue grows that would be all
//! that is measured. The words are `accounted.rs`'s.
//!
//! **Invariant**: one gateway, one rate, in turns; every request is counted, and its time is from the moment at which it
//! was due.

use std::path::Path;
use std::time::Duration;

use super::arrivals::{self, Reply, Seen};
use super::load::Target;
use super::people::{self, Budgets};
use super::stats::median;
use super::threads::Threads;
use crate::shell::Workspace;

/// Requests a second, where the machine can do more.
pub(crate) const RATE_MAX: u32 = 5_000;
/// Of what the machine can do: this much is asked for.
const SHARE: f64 = 0.6;
/// Rates are told in steps of so many.
const STEP: u32 = 100;
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

/// What was seen of one of both, one value a round.
#[derive(Clone, Debug)]
pub(crate) struct HotRow {
    /// Whose requests.
    pub(crate) spread: Spread,
    /// Times and errors.
    pub(crate) seen: Seen,
    /// Answers a second.
    pub(crate) per_second: Vec<f64>,
    /// Microseconds of processor time a request.
    pub(crate) cpu_us: Vec<f64>,
}

/// Both, at one rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hot {
    /// What the gateway can do for as long as one likes, requests a second.
    pub(crate) most: f64,
    /// Requests a second.
    pub(crate) rate: u32,
    /// Both.
    pub(crate) rows: Vec<HotRow>,
}

/// Probes, then measures both in turns.
///
/// # Errors
/// When the gateway does not start, or a request of the probe fails.
pub(crate) async fn measure(
    place: (&Workspace, &Path),
    upstream_port: u16,
    rounds: usize,
    window: Duration,
) -> Result<Hot, String> {
    let config = people::config(upstream_port, Budgets::All, ("", ""));
    let gateway = people::gateway(place, ("hot", &config), Budgets::All, KEYS).await?;
    let of = |spread| -> Vec<Target> {
        let keys = if spread == Spread::Hot { 1 } else { KEYS };
        (0..keys).map(|number| gateway.chat_as(Some(&people::key(number)), people::GROUP)).collect()
    };
    let targets = [of(Spread::Hot), of(Spread::Even)];
    let [_, even] = &targets;
    let most = people::sustained(&gateway, even).await?;
    let rate = rate(most);
    eprintln!("one hot key: {most:.0} requests/s at the most, {rate} are asked for");
    let empty = |spread| HotRow { spread, seen: Seen::default(), per_second: vec![], cpu_us: vec![] };
    let mut rows = [Spread::Hot, Spread::Even].map(empty);
    for round in 1..=rounds {
        eprintln!("one hot key: round {round} of {rounds}");
        for (row, targets) in rows.iter_mut().zip(&targets) {
            arrivals::within(targets, rate, WARM).await;
            let before = Threads::of(gateway.server.as_ref());
            let (replies, seconds) = arrivals::within(targets, rate, window).await;
            row.note(&replies, Threads::of(gateway.server.as_ref()) - before, seconds);
        }
    }
    Ok(Hot { most, rate, rows: rows.into() })
}

/// What is asked of a gateway that can do so much.
fn rate(most: f64) -> u32 {
    let share = (most * SHARE) as u32 / STEP * STEP;
    share.clamp(STEP, RATE_MAX)
}

impl Hot {
    /// The row of one of both.
    pub(crate) fn row(&self, spread: Spread) -> Option<&HotRow> {
        self.rows.iter().find(|row| row.spread == spread)
    }

    /// What one key is to many, round by round, and of that the median.
    pub(crate) fn ratio(&self, pick: fn(&HotRow) -> &Vec<f64>) -> Option<f64> {
        let (hot, even) = (pick(self.row(Spread::Hot)?), pick(self.row(Spread::Even)?));
        let ratios: Vec<f64> = hot.iter().zip(even).map(|(hot, even)| hot / even).collect();
        Some(median(&ratios))
    }
}

impl HotRow {
    fn note(&mut self, replies: &[Reply], spent: Threads, seconds: f64) {
        let errors = self.seen.errors;
        self.seen.note(replies);
        let answers = replies.len() - (self.seen.errors - errors);
        self.per_second.push(answers as f64 / seconds);
        self.cpu_us.push(spent.per_request(replies.len() as u64).all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(spread: Spread) -> HotRow {
        HotRow { spread, seen: Seen::default(), per_second: vec![], cpu_us: vec![] }
    }

    #[test]
    fn a_round_is_summed_up() {
        let reply = |took_ms| Reply { took_ms, ..Reply::default() };
        let failed = || Reply { error: Some("429".to_owned()), ..reply(9.0) };
        let mut row = row(Spread::Hot);
        let spent = Threads { road: 3e-6, journal: 1e-6, database: 0.0 };
        row.note(&[reply(1.0), reply(2.0), reply(3.0), failed()], spent, 2.0);
        row.note(&[reply(1.0), failed()], spent, 1.0);
        assert_eq!(row.seen.errors, 2);
        assert_eq!((row.per_second, row.cpu_us), (vec![1.5, 1.0], vec![1.0, 2.0]));
    }

    #[test]
    fn a_machine_is_asked_for_what_it_can_do() {
        let check = |most: f64, expect: u32| assert_eq!(rate(most), expect, "{most}");
        check(20_000.0, 5_000);
        check(8_334.0, 5_000);
        check(3_000.0, 1_800);
        check(2_999.0, 1_700);
        check(12.0, 100);
    }

    #[test]
    fn rounds_are_held_against_one_another() {
        let of = |spread, cpu_us: [f64; 3]| HotRow { cpu_us: cpu_us.into(), ..row(spread) };
        let rows = vec![of(Spread::Hot, [2.0, 30.0, 4.0]), of(Spread::Even, [2.0, 20.0, 5.0])];
        let hot = Hot { rows, ..Hot::default() };
        assert_eq!(hot.ratio(|row| &row.cpu_us), Some(1.0));
        assert_eq!(Hot::default().ratio(|row| &row.cpu_us), None);
    }
}
