//! A sliding window over a count: exact to a six-hundredth of its length, and never early.
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

#[derive(Debug, Clone, Copy)]
struct Entry {
    grain: Grain,
    count: u64,
}

/// What was counted in a window: at most 601 entries, and none until the first count.
#[derive(Debug, Clone)]
pub struct Sliding {
    length: Length,
    entries: VecDeque<Entry>,
    sum: u64,
}

impl Sliding {
    /// An empty window.
    pub fn new(length: Length) -> Self {
        Self { length, entries: VecDeque::new(), sum: 0 }
    }

    /// How long it is.
    pub fn length(&self) -> Length {
        self.length
    }

    /// What it holds now.
    pub fn sum(&mut self, now: Moment) -> u64 {
        while let Some(entry) = self.entries.front().filter(|entry| self.length.leaves_at(entry.grain) <= now)
        {
            self.sum = self.sum.saturating_sub(entry.count);
            self.entries.pop_front();
        }
        self.sum
    }

    /// Counts, and says in which grain that is.
    pub fn add(&mut self, now: Moment, count: u64) -> Grain {
        self.sum = self.sum.saturating_add(count);
        let grain = self.length.grain(now);
        match self.entries.back_mut() {
            // Also where a moment came before the one that was counted last: it leaves with the later one.
            Some(newest) if newest.grain >= grain => {
                newest.count = newest.count.saturating_add(count);
                newest.grain
            }
            _ => {
                self.entries.push_back(Entry { grain, count });
                grain
            }
        }
    }

    /// Puts the real count in place of the one that was reserved, in the grain where it was reserved. Where that has
    /// left already, only what goes beyond the reservation is counted, as of now.
    pub fn settle(&mut self, now: Moment, grain: Grain, reserved: u64, real: u64) {
        self.sum(now);
        let position = self.entries.partition_point(|entry| entry.grain < grain);
        match self.entries.get_mut(position).filter(|entry| entry.grain == grain) {
            Some(entry) => {
                entry.count = entry.count.saturating_sub(reserved).saturating_add(real);
                self.sum = self.sum.saturating_sub(reserved).saturating_add(real);
            }
            None => {
                let beyond = real.saturating_sub(reserved);
                if beyond > 0 {
                    self.add(now, beyond);
                }
            }
        }
    }

    /// When its sum has fallen to `most` if nothing else is counted; `None` where it never does.
    pub fn falls_to(&self, most: u64) -> Option<Moment> {
        let mut left = self.sum;
        for entry in &self.entries {
            left = left.saturating_sub(entry.count);
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
            window.add(at(10), 7);
            assert_eq!(window.sum(at(still)), 7, "{length:?}");
            assert_eq!(window.falls_to(0), Some(at(gone)), "{length:?}");
            assert_eq!(window.sum(at(gone)), 0, "{length:?}");
        };
        check(Duration::from_secs(60), 60_099, 60_100);
        check(Duration::from_secs(600), 600_999, 601_000);
        check(Duration::from_secs(86_400), 86_543_999, 86_544_000);
    }

    #[test]
    fn what_is_settled_stands_where_it_was_reserved_or_counts_from_now_on() {
        let check = |real: u64, settled_at: u64, sum: u64| {
            let mut window = Sliding::new(Length::MINUTE);
            let grain = window.add(at(10_000), 100);
            window.settle(at(settled_at), grain, 100, real);
            assert_eq!(window.sum(at(settled_at)), sum, "{real} at {settled_at}");
        };
        check(20, 30_000, 20);
        check(900, 30_000, 900);
        check(20, 75_000, 0);
        check(130, 75_000, 30);
    }

    #[test]
    fn an_empty_window_takes_no_memory_and_a_full_one_keeps_601_entries() {
        let mut window = Sliding::new(Length::MINUTE);
        assert_eq!((window.sum(at(0)), window.entries.capacity()), (0, 0));
        for millisecond in 0..200_000 {
            window.sum(at(millisecond));
            window.add(at(millisecond), 1);
        }
        assert_eq!(window.entries(), 601);
    }
}
