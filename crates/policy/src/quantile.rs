//! The first-token times of a model group, and their quantiles: what hedging learns its delay from.
//!
//! Owns the last [`SAMPLES_MAX`] times. Leaves to others: when to hedge, and its budget. **Invariant:** a quantile is
//! that of exactly the times that are kept; observing and asking cost no more with many groups or a long life.

use std::collections::VecDeque;
use std::time::Duration;

/// How many times are kept.
pub const SAMPLES_MAX: usize = 256;
/// The fewest that a quantile is taken of.
pub const SAMPLES_MIN: usize = 20;

/// The latest times, in microseconds, by arrival and by size. Allocates with the first.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    arrived: VecDeque<u64>,
    sorted: Vec<u64>,
}

impl Recent {
    /// Adds a time; the oldest makes room for it.
    pub fn observe(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if self.arrived.len() >= SAMPLES_MAX
            && let Some(oldest) = self.arrived.pop_front()
            && let Ok(position) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(position);
        }
        self.arrived.push_back(micros);
        let position = self.sorted.partition_point(|&kept| kept <= micros);
        self.sorted.insert(position, micros);
    }

    /// The least kept time that at least a share of `quantile` (`0..=1`) of all do not exceed; `None` below
    /// [`SAMPLES_MIN`].
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        if self.sorted.len() < SAMPLES_MIN {
            return None;
        }
        self.sorted.get(rank(quantile, self.sorted.len())?).copied().map(Duration::from_micros)
    }
}

/// The position of a quantile in a sorted list (nearest rank); `None` for an empty one.
pub(crate) fn rank(quantile: f64, count: usize) -> Option<usize> {
    let last = count.checked_sub(1)?;
    // A hair less, so that 0.95 of 20 is the 19th and not what rounding makes of it.
    let rank = (quantile * count as f64 - 1e-9).ceil() as usize;
    Some(rank.saturating_sub(1).min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Recent {
        let mut recent = Recent::default();
        for each in milliseconds {
            recent.observe(Duration::from_millis(each));
        }
        recent
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let check = |count: usize, quantile: f64, expect: Option<usize>| {
            assert_eq!(rank(quantile, count), expect, "{quantile} of {count}");
        };
        check(0, 0.5, None);
        check(1, 0.0, Some(0));
        check(1, 1.0, Some(0));
        check(20, 0.95, Some(18));
        check(21, 0.95, Some(19));
        check(100, 0.95, Some(94));
        check(100, 0.5, Some(49));
        check(100, 7.0, Some(99));
        check(100, -1.0, Some(0));
        check(100, f64::NAN, Some(0));
    }

    #[test]
    fn below_twenty_times_nothing_is_known() {
        assert_eq!(of(1..=19).quantile(0.95), None);
        assert_eq!(of(1..=20).quantile(0.95), Some(Duration::from_millis(19)));
    }

    #[test]
    fn only_the_latest_count() {
        let recent = of((0..SAMPLES_MAX as u64).map(|_| 5_000).chain((0..SAMPLES_MAX as u64).map(|_| 10)));
        assert_eq!(recent.quantile(1.0), Some(Duration::from_millis(10)));
        assert_eq!((recent.arrived.len(), recent.sorted.len()), (SAMPLES_MAX, SAMPLES_MAX));
    }

    #[test]
    fn at_every_step_it_is_the_quantile_of_a_plain_sort() {
        for seed in 1..20_u64 {
            let mut state = seed;
            let mut all = Vec::new();
            let mut recent = Recent::default();
            for _ in 0..700 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let micros = state % 50;
                all.push(micros);
                recent.observe(Duration::from_micros(micros));
                let mut sorted = all[all.len().saturating_sub(SAMPLES_MAX)..].to_vec();
                sorted.sort_unstable();
                for quantile in [0.0, 0.5, 0.95, 0.99, 1.0] {
                    let expect = (all.len() >= SAMPLES_MIN)
                        .then(|| Duration::from_micros(sorted[rank(quantile, sorted.len()).unwrap()]));
                    assert_eq!(recent.quantile(quantile), expect, "seed {seed}, {} times", all.len());
                }
            }
        }
    }
}
