//! Which tier answers how many of a list's requests, and when one answers too many.
//!
//! Owns the window and the thresholds. Leaves to others: who is told (server). The window is the last
//! [`WINDOW_REQUESTS_MAX`] requests or the last [`WINDOW`], whichever is shorter. **Invariant:** nothing is said before
//! [`REQUESTS_MIN`] requests are in the window. **Invariant:** a tier that is above its share is told once, and again only
//! after it has fallen to half of it: a share that hovers about its threshold does not ring with every request.

use crate::clock::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Most requests that are looked at.
pub const WINDOW_REQUESTS_MAX: usize = 1_000;
/// How far back is looked.
pub const WINDOW: Duration = Duration::from_secs(600);
/// Fewer requests than this say nothing of a share.
pub const REQUESTS_MIN: usize = 50;
/// Below this part of its threshold a tier's share is over.
const CALM: f64 = 0.5;

/// A tier's share has crossed its threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossing {
    /// Position of the tier in its list.
    pub tier: usize,
    /// Its share of the window's requests, in `0..=1`.
    pub share: f64,
    /// Whether it answers too many now; else it no longer does.
    pub is_above: bool,
}

/// What the tiers of one list have answered lately.
#[derive(Debug, Clone)]
pub struct Shares {
    /// Shares above which a tier is told, in `0..=1`.
    thresholds: Vec<Option<f64>>,
    answered: VecDeque<(Moment, usize)>,
    counts: Vec<usize>,
    above: Vec<bool>,
}

impl Shares {
    /// A list of tiers with these thresholds, of which nothing is known yet.
    pub fn new(thresholds: Vec<Option<f64>>) -> Self {
        let count = thresholds.len();
        Self { thresholds, answered: VecDeque::new(), counts: vec![0; count], above: vec![false; count] }
    }

    /// The thresholds.
    pub fn thresholds(&self) -> &[Option<f64>] {
        &self.thresholds
    }

    /// A tier's share of the window's requests; none while the window says nothing.
    pub fn share(&self, tier: usize) -> Option<f64> {
        let count = self.counts.get(tier).filter(|_| self.answered.len() >= REQUESTS_MIN)?;
        Some(*count as f64 / self.answered.len() as f64)
    }

    /// A tier has answered a request. Says which tiers' shares have crossed their thresholds with it.
    pub fn note(&mut self, tier: usize, now: Moment) -> Vec<Crossing> {
        let Some(count) = self.counts.get_mut(tier) else { return Vec::new() };
        *count += 1;
        self.answered.push_back((now, tier));
        while self.is_too_much(now) {
            let Some((_, oldest)) = self.answered.pop_front() else { break };
            if let Some(count) = self.counts.get_mut(oldest) {
                *count = count.saturating_sub(1);
            }
        }
        (0..self.counts.len()).filter_map(|tier| self.cross(tier)).collect()
    }

    fn is_too_much(&self, now: Moment) -> bool {
        let is_old = |(at, _): &(Moment, usize)| at.until(now) >= WINDOW;
        self.answered.len() > WINDOW_REQUESTS_MAX || self.answered.front().is_some_and(is_old)
    }

    fn cross(&mut self, tier: usize) -> Option<Crossing> {
        let share = self.share(tier)?;
        let threshold = self.thresholds.get(tier).copied().flatten()?;
        let above = self.above.get_mut(tier)?;
        let is_above = if *above { share > threshold * CALM } else { share > threshold };
        if *above == is_above {
            return None;
        }
        *above = is_above;
        Some(Crossing { tier, share, is_above })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    /// Three tiers, of which the last may answer one request of a hundred.
    fn shares() -> Shares {
        Shares::new(vec![None, None, Some(0.01)])
    }

    fn play(shares: &mut Shares, requests: &[(usize, usize)], now: Moment) -> Vec<(usize, bool)> {
        let all = requests.iter().flat_map(|&(tier, times)| std::iter::repeat_n(tier, times));
        all.flat_map(|tier| shares.note(tier, now))
            .map(|crossing| (crossing.tier, crossing.is_above))
            .collect()
    }

    #[test]
    fn nothing_is_said_of_few_requests() {
        let mut shares = shares();
        assert_eq!(play(&mut shares, &[(2, 49)], at(1)), []);
        assert_eq!(shares.share(2), None);
        assert_eq!(play(&mut shares, &[(0, 1)], at(1)), [(2, true)]);
        assert_eq!(shares.share(2), Some(0.98));
    }

    #[test]
    fn a_share_is_told_when_it_passes_the_threshold_and_not_at_it() {
        let mut shares = shares();
        assert_eq!(play(&mut shares, &[(0, 99), (2, 1)], at(1)), []);
        assert_eq!(play(&mut shares, &[(2, 1)], at(1)), [(2, true)]);
        // However long it stays there.
        assert_eq!(play(&mut shares, &[(2, 500)], at(2)), []);
    }

    #[test]
    fn it_is_over_at_half_of_it_and_then_may_be_told_again() {
        let mut shares = shares();
        assert_eq!(play(&mut shares, &[(0, 98), (2, 2), (0, 99)], at(1)), [(2, true)]);
        assert_eq!(play(&mut shares, &[(0, 200)], at(1)), []);
        assert_eq!(play(&mut shares, &[(0, 1)], at(1)), [(2, false)]);
        assert_eq!(play(&mut shares, &[(2, 2)], at(1)), []);
        assert_eq!(play(&mut shares, &[(2, 2)], at(1)), [(2, true)]);
    }

    #[test]
    fn what_is_older_than_the_window_or_beyond_its_size_is_forgotten() {
        let mut shares = shares();
        play(&mut shares, &[(2, 100)], at(0));
        assert_eq!(play(&mut shares, &[(0, 49)], at(599)), []);
        assert_eq!(play(&mut shares, &[(0, 1)], at(600)), [(2, false)]);
        assert_eq!(shares.share(2), Some(0.0));
        assert_eq!(play(&mut shares, &[(1, 1_000)], at(601)), []);
        assert_eq!((shares.share(0), shares.share(1)), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn tiers_without_a_threshold_and_those_that_are_not_there_are_never_told() {
        let mut shares = shares();
        assert_eq!(play(&mut shares, &[(1, 200), (0, 200), (7, 200)], at(1)), []);
        assert_eq!(shares.share(7), None);
    }

    #[test]
    fn the_window_is_what_its_counts_say_after_any_history() {
        let mut shares = shares();
        let mut seed = 7_u64;
        for step in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shares.note((seed >> 33) as usize % 3, at(step / 3));
            let counted: Vec<usize> =
                (0..3).map(|tier| shares.answered.iter().filter(|(_, of)| *of == tier).count()).collect();
            assert_eq!(shares.counts, counted);
            assert!(shares.answered.len() <= WINDOW_REQUESTS_MAX);
        }
    }
}
