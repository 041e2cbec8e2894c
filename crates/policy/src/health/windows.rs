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
