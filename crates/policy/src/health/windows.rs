//! Counting over sliding windows.
//!
//! Owns the ring of attempts that the share of failures is taken of, and the tallies of `allowed_fails`. Leaves to
//! others: what a count means. **Invariant:** fixed memory, however much is counted.

use super::rules::{CLASSES, Class};
use crate::clock::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// The window that the share of failures is taken over, in buckets of a second: what counts is never older than 30 s,
/// and never less than the last 29 s.
const SECONDS: usize = 30;
/// The fewest attempts that a share of failures is taken of.
const ATTEMPTS_MIN: u32 = 20;
/// The most entries of a tally. Failures that are closer together than this part of the window share an entry.
const TALLY_ENTRIES_MAX: u32 = 256;

/// The attempts of the last 30 s, and how many of them failed. Kept in place, without an allocation.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares {
    buckets: [Bucket; SECONDS],
    /// The second that was counted last.
    newest: u64,
    attempts: u32,
    failures: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    attempts: u32,
    failures: u32,
}

impl Shares {
    /// Counts one attempt.
    pub(super) fn count(&mut self, now: Moment, has_failed: bool) {
        self.forget(now);
        let failures = u32::from(has_failed);
        self.attempts = self.attempts.saturating_add(1);
        self.failures = self.failures.saturating_add(failures);
        if let Some(bucket) = self.buckets.get_mut(position(self.newest)) {
            bucket.attempts = bucket.attempts.saturating_add(1);
            bucket.failures = bucket.failures.saturating_add(failures);
        }
    }

    /// Failures in the window, as of the last count.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether at least half of enough attempts have failed, as of the last count.
    pub(super) fn are_bad(&self) -> bool {
        self.attempts >= ATTEMPTS_MIN && self.failures >= self.attempts - self.failures.min(self.attempts)
    }

    /// Moves on to `now`, emptying what lies 30 s back.
    fn forget(&mut self, now: Moment) {
        let second = now.micros() / 1_000_000;
        let steps = second.saturating_sub(self.newest).min(SECONDS as u64);
        self.newest = self.newest.max(second);
        for back in 0..steps {
            if let Some(bucket) = self.buckets.get_mut(position(self.newest - back)) {
                self.attempts = self.attempts.saturating_sub(bucket.attempts);
                self.failures = self.failures.saturating_sub(bucket.failures);
                *bucket = Bucket::default();
            }
        }
    }
}

fn position(second: u64) -> usize {
    (second % SECONDS as u64) as usize
}

/// The tallies of `allowed_fails`: one of all failures, and one for each class.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// Failures of classes without an entry of their own.
    pub(super) all: Tally,
    classes: [Tally; CLASSES],
}

impl Tallies {
    /// The tally of a class.
    pub(super) fn class(&mut self, class: Class) -> &mut Tally {
        let Self { all, classes } = self;
        classes.get_mut(class as usize).unwrap_or(all)
    }
}

/// How many failures there were within a window that each call names.
#[derive(Debug, Default)]
pub(super) struct Tally {
    entries: VecDeque<(Moment, u32)>,
    sum: u32,
}

impl Tally {
    /// Counts one failure, and says how many there are in the window that ends now. Exact for failures that are further
    /// apart than a 256th of the window; closer ones leave together with the first of them.
    pub(super) fn count(&mut self, now: Moment, window: Duration) -> u32 {
        while let Some(&(_, failures)) = self.entries.front().filter(|(at, _)| now.since(*at) >= window) {
            self.sum = self.sum.saturating_sub(failures);
            self.entries.pop_front();
        }
        self.sum = self.sum.saturating_add(1);
        match self.entries.back_mut() {
            Some((at, failures)) if now.since(*at) < window / TALLY_ENTRIES_MAX => {
                *failures = failures.saturating_add(1);
            }
            _ => self.entries.push_back((now, 1)),
        }
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_micros(milliseconds * 1_000)
    }

    #[test]
    fn attempts_count_for_thirty_seconds() {
        let mut shares = Shares::default();
        shares.count(at(500), true);
        shares.count(at(29_999), false);
        assert_eq!((shares.attempts, shares.failures()), (2, 1));
        shares.count(at(30_000), false);
        assert_eq!((shares.attempts, shares.failures()), (2, 0));
        shares.count(at(4_000_000), true);
        assert_eq!((shares.attempts, shares.failures()), (1, 1));
    }

    #[test]
    fn half_of_twenty_is_bad_and_less_is_not() {
        let check = |failures: u32, successes: u32, expect: bool| {
            let mut shares = Shares::default();
            for place in 0..failures + successes {
                shares.count(at(0), place < failures);
            }
            assert_eq!(shares.are_bad(), expect, "{failures} of {}", failures + successes);
        };
        check(19, 0, false);
        check(20, 0, true);
        check(10, 10, true);
        check(9, 11, false);
        check(10, 11, false);
        check(11, 10, true);
        check(0, 20, false);
    }

    #[test]
    fn the_ring_holds_what_a_plain_list_holds() {
        let mut state = 7_u64;
        let mut shares = Shares::default();
        let (mut now, mut all) = (0, vec![]);
        for _ in 0..5_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            now += if state.is_multiple_of(50) { state % 40_000 } else { state % 700 };
            let has_failed = state.is_multiple_of(3);
            all.push((now / 1_000, has_failed));
            shares.count(at(now), has_failed);
            let kept = || all.iter().filter(|(second, _)| second + 30 > now / 1_000);
            assert_eq!(shares.attempts as usize, kept().count());
            assert_eq!(shares.failures() as usize, kept().filter(|(_, has_failed)| *has_failed).count());
        }
    }

    #[test]
    fn a_tally_is_exact_for_spaced_failures_and_bounded_for_crowded_ones() {
        let window = Duration::from_secs(5);
        let mut tally = Tally::default();
        assert_eq!(tally.count(at(0), window), 1);
        assert_eq!(tally.count(at(20), window), 2);
        assert_eq!(tally.count(at(4_999), window), 3);
        assert_eq!(tally.count(at(5_000), window), 3);
        assert_eq!(tally.count(at(5_019), window), 4);
        assert_eq!(tally.count(at(5_020), window), 4);
        for microseconds in 0..2_000_000 {
            tally.count(Moment::from_micros(10_000_000 + microseconds * 5), window);
        }
        assert!(tally.entries.len() <= TALLY_ENTRIES_MAX as usize + 1, "{} entries", tally.entries.len());
    }

    #[test]
    fn the_tallies_of_classes_are_apart() {
        let window = Duration::from_secs(5);
        let mut tallies = Tallies::default();
        assert_eq!(tallies.class(Class::Timeout).count(at(0), window), 1);
        assert_eq!(tallies.class(Class::NotFound).count(at(0), window), 1);
        assert_eq!(tallies.all.count(at(0), window), 1);
        assert_eq!(tallies.class(Class::Timeout).count(at(0), window), 2);
    }
}
