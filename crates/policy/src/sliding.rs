//! A sliding window over one count, or over several that are counted together: exact to a six-hundredth of its length, and
//! never early.
//!
//! Owns what was counted and when it leaves. Leaves to others what is counted and what the limit is. **Invariant:** an
//! entry counts for the whole length of the window at least, so that no stretch of time of that length ever holds more
//! than was let in while the sum was below a limit.

use crate::clock::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Grains of a window: what was counted within one leaves with its last instant.
const GRAINS: u64 = 600;

/// The length of a window, with its grain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Length {
    micros: u64,
    grain_micros: u64,
}

impl Length {
    /// 60 s, in grains of 100 ms.
    pub const MINUTE: Self = Self { micros: 60_000_000, grain_micros: 100_000 };

    /// A window of this length; nothing shorter than 600 microseconds.
    pub fn new(length: Duration) -> Self {
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX).max(GRAINS);
        Self { micros, grain_micros: micros.div_ceil(GRAINS) }
    }

    /// How long it is.
    pub fn duration(self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// When what was counted in this grain no longer counts.
    fn leaves_at(self, grain: Grain) -> Moment {
        Moment::from_micros(
            grain.0.saturating_add(1).saturating_mul(self.grain_micros).saturating_add(self.micros),
        )
    }

    fn grain(self, now: Moment) -> Grain {
        Grain(now.micros() / self.grain_micros)
    }
}

/// When something was counted: the number of the grain since the start of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grain(u64);

/// Several counts, each in its place.
pub type Counts<const N: usize> = [u64; N];

#[derive(Debug, Clone, Copy)]
struct Entry<const N: usize> {
    grain: Grain,
    counts: Counts<N>,
}

/// What was counted in a window: at most 601 entries, and none until the first count.
#[derive(Debug, Clone)]
pub struct Sliding<const N: usize = 1> {
    length: Length,
    entries: VecDeque<Entry<N>>,
    sums: Counts<N>,
}

impl<const N: usize> Sliding<N> {
    /// An empty window.
    pub fn new(length: Length) -> Self {
        Self { length, entries: VecDeque::new(), sums: [0; N] }
    }

    /// How long it is.
    pub fn length(&self) -> Length {
        self.length
    }

    /// What it holds now.
    pub fn sums(&mut self, now: Moment) -> Counts<N> {
        while let Some(entry) = self.entries.front().filter(|entry| self.length.leaves_at(entry.grain) <= now)
        {
            self.sums = each(self.sums, entry.counts, u64::saturating_sub);
            self.entries.pop_front();
        }
        self.sums
    }

    /// Counts, and says in which grain that is.
    pub fn add(&mut self, now: Moment, counts: Counts<N>) -> Grain {
        self.sums = each(self.sums, counts, u64::saturating_add);
        let grain = self.length.grain(now);
        match self.entries.back_mut() {
            // Also where a moment came before the one that was counted last: it leaves with the later one.
            Some(newest) if newest.grain >= grain => {
                newest.counts = each(newest.counts, counts, u64::saturating_add);
                newest.grain
            }
            _ => {
                self.entries.push_back(Entry { grain, counts });
                grain
            }
        }
    }

    /// Puts the real counts in place of those that were reserved, in the grain where they were reserved. Where that has
    /// left already, only what goes beyond the reservation is counted, as of now.
    pub fn settle(&mut self, now: Moment, grain: Grain, reserved: Counts<N>, real: Counts<N>) {
        self.sums(now);
        let position = self.entries.partition_point(|entry| entry.grain < grain);
        match self.entries.get_mut(position).filter(|entry| entry.grain == grain) {
            Some(entry) => {
                let replaced =
                    |counts| each(each(counts, reserved, u64::saturating_sub), real, u64::saturating_add);
                (entry.counts, self.sums) = (replaced(entry.counts), replaced(self.sums));
            }
            None => {
                let beyond = each(real, reserved, u64::saturating_sub);
                if beyond != [0; N] {
                    self.add(now, beyond);
                }
            }
        }
    }

    /// When one of its sums has fallen to `most` if nothing else is counted; `None` where it never does.
    pub fn falls_to(&self, most: u64, which: impl Fn(Counts<N>) -> u64) -> Option<Moment> {
        let mut left = which(self.sums);
        for entry in &self.entries {
            left = left.saturating_sub(which(entry.counts));
            if left <= most {
                return Some(self.length.leaves_at(entry.grain));
            }
        }
        None
    }

    /// Entries that are kept.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// What the entries come to.
    #[cfg(test)]
    pub(crate) fn counted_again(&self) -> Counts<N> {
        self.entries.iter().fold([0; N], |sums, entry| each(sums, entry.counts, u64::saturating_add))
    }
}

fn each<const N: usize>(ones: Counts<N>, others: Counts<N>, of: impl Fn(u64, u64) -> u64) -> Counts<N> {
    let mut ones = ones;
    for (one, other) in ones.iter_mut().zip(others) {
        *one = of(*one, other);
    }
    ones
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_micros(milliseconds * 1_000)
    }

    #[test]
    fn a_count_stays_for_the_whole_window_and_leaves_within_a_grain_of_it() {
        let check = |length: Duration, still: u64, gone: u64| {
            let mut window = Sliding::new(Length::new(length));
            window.add(at(10), [7]);
            assert_eq!(window.sums(at(still)), [7], "{length:?}");
            assert_eq!(window.falls_to(0, |[count]| count), Some(at(gone)), "{length:?}");
            assert_eq!(window.sums(at(gone)), [0], "{length:?}");
        };
        check(Duration::from_secs(60), 60_099, 60_100);
        check(Duration::from_secs(600), 600_999, 601_000);
        check(Duration::from_secs(86_400), 86_543_999, 86_544_000);
    }

    #[test]
    fn what_is_settled_stands_where_it_was_reserved_or_counts_from_now_on() {
        let check = |real: u64, settled_at: u64, sum: u64| {
            let mut window = Sliding::new(Length::MINUTE);
            let grain = window.add(at(10_000), [100]);
            window.settle(at(settled_at), grain, [100], [real]);
            assert_eq!(window.sums(at(settled_at)), [sum], "{real} at {settled_at}");
        };
        check(20, 30_000, 20);
        check(900, 30_000, 900);
        check(20, 75_000, 0);
        check(130, 75_000, 30);
    }

    #[test]
    fn an_empty_window_takes_no_memory_and_a_full_one_keeps_601_entries() {
        let mut window = Sliding::new(Length::MINUTE);
        assert_eq!((window.sums(at(0)), window.entries.capacity()), ([0], 0));
        for millisecond in 0..200_000 {
            window.sums(at(millisecond));
            window.add(at(millisecond), [1]);
        }
        assert_eq!(window.entries(), 601);
    }

    #[test]
    fn counts_that_are_counted_together_leave_together_and_each_by_itself_falls() {
        let mut window = Sliding::new(Length::MINUTE);
        window.add(at(10), [1, 100]);
        let grain = window.add(at(20_000), [1, 40]);
        assert_eq!(window.sums(at(30_000)), [2, 140]);
        let fall = |window: &Sliding<2>, most| {
            (window.falls_to(1, |[requests, _]| requests), window.falls_to(most, |[_, tokens]| tokens))
        };
        assert_eq!(fall(&window, 30), (Some(at(60_100)), Some(at(80_100))));
        window.settle(at(30_000), grain, [0, 40], [0, 30]);
        assert_eq!(fall(&window, 30), (Some(at(60_100)), Some(at(60_100))));
        assert_eq!(window.sums(at(70_000)), [1, 30]);
    }
}
