//! A health that every choice reads and few attempts change.
//!
//! Owns a flag beside the lock: a choice among a hundred deployments reads a hundred flags and takes no lock where
//! nothing is wrong. **Invariant:** while the flag is down the health is sound: whoever may change it holds the lock, and
//! leaves the flag up unless it is.

use super::fleet::lock;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use tollgate_policy::clock::Moment;
use tollgate_policy::health::{Forced, Health, Standing};

/// A health behind a lock, and whether it is worth to look.
#[derive(Debug, Default)]
pub(crate) struct WatchedHealth {
    health: Mutex<Health>,
    may_be_unsound: AtomicBool,
}

/// What a choice reads of a health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) standing: Standing,
    pub(crate) forced: Option<Forced>,
    pub(crate) consecutive_failures: u32,
}

impl Condition {
    const SOUND: Self = Self { standing: Standing::Up, forced: None, consecutive_failures: 0 };
}

impl WatchedHealth {
    /// One that was known before.
    pub(crate) fn new(health: Health) -> Self {
        Self { may_be_unsound: AtomicBool::new(!health.is_sound()), health: Mutex::new(health) }
    }

    /// How it is now.
    pub(crate) fn condition(&self, now: Moment) -> Condition {
        if !self.may_be_unsound.load(Ordering::Acquire) {
            return Condition::SOUND;
        }
        let health = lock(&self.health);
        let condition = Condition {
            standing: health.standing(now),
            forced: health.forced(now),
            consecutive_failures: health.consecutive_failures(),
        };
        if condition == Condition::SOUND {
            // What is past does not come back by itself.
            self.may_be_unsound.store(false, Ordering::Release);
        }
        condition
    }

    /// For everything else.
    pub(crate) fn lock(&self) -> Watching<'_> {
        Watching { health: lock(&self.health), may_be_unsound: &self.may_be_unsound }
    }
}

/// The health while it is locked.
pub(crate) struct Watching<'a> {
    health: MutexGuard<'a, Health>,
    may_be_unsound: &'a AtomicBool,
}

impl Deref for Watching<'_> {
    type Target = Health;

    fn deref(&self) -> &Health {
        &self.health
    }
}

impl DerefMut for Watching<'_> {
    fn deref_mut(&mut self) -> &mut Health {
        &mut self.health
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.may_be_unsound.store(!self.health.is_sound(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_policy::failure::FailureKind;
    use tollgate_policy::health::{Failed, HealthRules};

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    /// What a choice reads is what the lock says, whatever was done.
    fn check(watched: &WatchedHealth, seconds: u64) -> Condition {
        let read = watched.condition(at(seconds));
        let health = watched.lock();
        assert_eq!(read.standing, health.standing(at(seconds)), "at {seconds} s");
        assert_eq!(read.forced, health.forced(at(seconds)), "at {seconds} s");
        assert_eq!(read.consecutive_failures, health.consecutive_failures(), "at {seconds} s");
        read
    }

    #[test]
    fn a_choice_reads_what_the_lock_says_through_failures_pauses_and_words() {
        let watched = WatchedHealth::default();
        assert_eq!(check(&watched, 0), Condition::SOUND);
        let failed = Failed { kind: FailureKind::Server, retry_after: None, draw: 0.5 };
        for failures in 1..=3 {
            let attempt = watched.lock().begin(at(1));
            let _ = watched.lock().fail(attempt, at(1), failed, &HealthRules::default());
            assert_eq!(check(&watched, 1).consecutive_failures, failures);
        }
        assert!(matches!(check(&watched, 2).standing, Standing::Ejected { .. }));
        assert_eq!(check(&watched, 10).standing, Standing::HalfOpen);
        let probe = watched.lock().begin(at(10));
        assert_eq!(check(&watched, 10).standing, Standing::Probing);
        let _ = watched.lock().succeed(probe, at(11));
        assert_eq!(check(&watched, 11), Condition::SOUND);
        watched.lock().pause_until(at(20));
        assert!(matches!(check(&watched, 12).standing, Standing::Paused { .. }));
        assert_eq!(check(&watched, 20), Condition::SOUND);
        watched.lock().force(Some(Forced::Down), Some(at(30)));
        assert_eq!(check(&watched, 21).forced, Some(Forced::Down));
        assert_eq!(check(&watched, 30), Condition::SOUND);
    }

    #[test]
    fn what_is_past_is_looked_at_once_more_and_then_not_again() {
        let mut health = Health::default();
        health.pause_until(at(5));
        let watched = WatchedHealth::new(health);
        let is_up = || watched.may_be_unsound.load(Ordering::Acquire);
        assert!(is_up());
        assert_eq!(watched.condition(at(5)), Condition::SOUND);
        assert!(!is_up());
        watched.lock().pause_until(at(6));
        assert!(is_up(), "a change is always looked at");
    }
}
