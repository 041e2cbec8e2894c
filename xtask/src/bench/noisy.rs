//! One that floods beside twenty that do their work.
//!
//! The one asks as often as all the others together, and is refused by its own limit nearly always. The words are
//! `accounted.rs`'s.
//!
//! **Invariant**: the twenty ask at the same rate with and without it, in turns; every request of theirs is counted.

use std::path::Path;
use std::time::Duration;

use super::arrivals::{self, Seen};
use super::load::Target;
use super::people::{self, Budgets};
use super::stats::median;
use crate::shell::Workspace;

/// Those that do their work.
pub(crate) const NORMAL: usize = 20;
/// What the one may ask in a minute.
pub(crate) const A_MINUTE: usize = 60;
/// Of what the machine can do, this much is asked for by the twenty.
const SHARE: f64 = 0.3;
const WARM: Duration = Duration::from_millis(500);

/// What was seen of the twenty, one value a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noisy {
    /// Requests a second of theirs, and of the one's.
    pub(crate) rate: u32,
    /// By themselves.
    pub(crate) alone: Seen,
    /// Beside the one.
    pub(crate) beside: Seen,
    /// The one's requests that were refused, of all rounds, and those that were answered.
    pub(crate) refused: usize,
    pub(crate) answered: usize,
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
) -> Result<Noisy, String> {
    let config = people::config(upstream_port, Budgets::All, ("", ""));
    let gateway = people::gateway(place, ("noisy", &config), Budgets::All, NORMAL + 1).await?;
    let limit = format!("{{\"key\":\"{}\",\"rpm_limit\":{A_MINUTE}}}", people::key(NORMAL));
    people::call(&gateway, "/key/update", &limit).await?;
    let target = |number| gateway.chat_as(Some(&people::key(number)), people::GROUP);
    let normal: Vec<Target> = (0..NORMAL).map(target).collect();
    let flood = [target(NORMAL)];
    let most = people::sustained(&gateway, &normal).await?;
    let mut noisy = Noisy { rate: (most * SHARE) as u32, ..Noisy::default() };
    for round in 1..=rounds {
        eprintln!("one that floods: round {round} of {rounds}, {} requests/s", noisy.rate);
        arrivals::within(&normal, noisy.rate, WARM).await;
        let (alone, _) = arrivals::within(&normal, noisy.rate, window).await;
        noisy.alone.note(&alone);
        let both = |window| {
            let normal = arrivals::within(&normal, noisy.rate, window);
            let flood = arrivals::within(&flood, noisy.rate, window);
            async { tokio::join!(normal, flood) }
        };
        both(WARM).await;
        let ((beside, _), (flood, _)) = both(window).await;
        noisy.beside.note(&beside);
        let refused = flood.iter().filter(|reply| reply.error.is_some()).count();
        noisy.refused += refused;
        noisy.answered += flood.len() - refused;
    }
    Ok(noisy)
}

impl Noisy {
    /// What a time of the twenty is beside the one to what it is by themselves, round by round, and of that the median.
    pub(crate) fn ratio(&self, pick: fn(&Seen) -> &Vec<f64>) -> Option<f64> {
        let (alone, beside) = (pick(&self.alone), pick(&self.beside));
        let ratios: Vec<f64> = beside.iter().zip(alone).map(|(beside, alone)| beside / alone).collect();
        Some(median(&ratios)).filter(|_| !ratios.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_held_against_one_another() {
        let seen = |p99: [f64; 3]| Seen { p99: p99.into(), ..Seen::default() };
        let noisy = Noisy { alone: seen([1.0, 2.0, 4.0]), beside: seen([2.0, 2.0, 5.0]), ..Noisy::default() };
        assert_eq!(noisy.ratio(|seen| &seen.p99), Some(1.25));
        assert_eq!(noisy.ratio(|seen| &seen.p50), None);
    }
}
