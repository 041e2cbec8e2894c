//! What was said, so that it is not said again.
//!
//! Owns: the keys of alerts and until when each is remembered. Leaves to others: what a key is made of.
//!
//! **Invariant:** of one key there is one alert in its time. **Invariant:** at most [`KEYS_MAX`] keys are remembered;
//! beyond that the one that was said the longest ago is forgotten, and may be said again.

use crate::alert::Quiet;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Most keys that are remembered.
pub(crate) const KEYS_MAX: usize = 20_000;

/// Until when a key is remembered.
#[derive(Debug, Clone, Copy)]
enum Until {
    At(Instant),
    Wall(i64),
    Forever,
}

/// How long the two kinds are quiet that an operator sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ttls {
    pub(crate) budget: Duration,
    pub(crate) outage: Duration,
}

/// The two clocks: one that only goes forward, and microseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) steady: Instant,
    pub(crate) wall: i64,
}

/// What was said.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// By key: until when, and the number of the saying.
    said: HashMap<Box<str>, (Until, u64)>,
    /// In the order of the sayings; those that were forgotten or said again since are still in it.
    order: VecDeque<(u64, Box<str>)>,
    sayings: u64,
}

impl Memory {
    /// Whether it may be said now; if so it is remembered.
    pub(crate) fn may_say(&mut self, key: &str, quiet: Quiet, ttls: Ttls, now: Now) -> bool {
        let for_ = |time: Duration| now.steady.checked_add(time).map_or(Until::Forever, Until::At);
        let until = match quiet {
            Quiet::Never => return true,
            Quiet::For(time) => for_(time),
            Quiet::Outage => for_(ttls.outage),
            Quiet::Budget => for_(ttls.budget),
            Quiet::Until(wall) => Until::Wall(wall),
            Quiet::Forever => Until::Forever,
        };
        if self.said.get(key).is_some_and(|(until, _)| is_quiet(*until, now)) {
            return false;
        }
        self.sayings += 1;
        self.said.insert(key.into(), (until, self.sayings));
        self.order.push_back((self.sayings, key.into()));
        self.shrink(now);
        true
    }

    fn shrink(&mut self, now: Now) {
        if self.said.len() > KEYS_MAX {
            self.said.retain(|_, (until, _)| is_quiet(*until, now));
        }
        while self.said.len() > KEYS_MAX {
            let Some((saying, key)) = self.order.pop_front() else { break };
            if self.said.get(&key).is_some_and(|(_, last)| *last == saying) {
                self.said.remove(&key);
            }
        }
        if self.order.len() > 2 * KEYS_MAX {
            let Self { said, order, .. } = self;
            order.retain(|(saying, key)| said.get(key).is_some_and(|(_, last)| last == saying));
        }
    }
}

fn is_quiet(until: Until, now: Now) -> bool {
    match until {
        Until::At(at) => now.steady < at,
        Until::Wall(wall) => now.wall < wall,
        Until::Forever => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTLS: Ttls = Ttls { budget: Duration::from_secs(86_400), outage: Duration::from_secs(60) };

    struct Clock(Instant);

    impl Clock {
        fn at(&self, seconds: u64) -> Now {
            let wall = i64::try_from(seconds * 1_000_000).unwrap();
            Now { steady: self.0 + Duration::from_secs(seconds), wall }
        }
    }

    #[test]
    fn the_same_is_said_again_when_its_time_is_over() {
        let clock = Clock(Instant::now());
        let check = |quiet: Quiet, expect: &[(u64, bool)]| {
            let mut memory = Memory::default();
            for (seconds, may) in expect {
                assert_eq!(
                    memory.may_say("k", quiet, TTLS, clock.at(*seconds)),
                    *may,
                    "{quiet:?} at {seconds}"
                );
            }
        };
        check(Quiet::Never, &[(0, true), (0, true)]);
        check(Quiet::For(Duration::from_secs(5)), &[(0, true), (4, false), (5, true), (9, false)]);
        check(Quiet::Outage, &[(0, true), (59, false), (60, true)]);
        check(Quiet::Budget, &[(0, true), (86_399, false), (86_400, true)]);
        check(Quiet::Until(10_000_000), &[(0, true), (9, false), (10, true)]);
        check(Quiet::Forever, &[(0, true), (1_000_000_000, false)]);
    }

    #[test]
    fn keys_are_apart() {
        let (clock, mut memory) = (Clock(Instant::now()), Memory::default());
        assert!(memory.may_say("a", Quiet::Forever, TTLS, clock.at(0)));
        assert!(memory.may_say("b", Quiet::Forever, TTLS, clock.at(0)));
    }

    #[test]
    fn it_is_bounded_and_what_is_over_goes_first() {
        let (clock, mut memory) = (Clock(Instant::now()), Memory::default());
        for number in 0..KEYS_MAX {
            assert!(memory.may_say(&format!("short {number}"), Quiet::Outage, TTLS, clock.at(0)));
        }
        assert!(memory.may_say("for ever", Quiet::Forever, TTLS, clock.at(61)));
        assert_eq!(memory.said.len(), 1);
        for number in 0..KEYS_MAX {
            assert!(memory.may_say(&format!("long {number}"), Quiet::Forever, TTLS, clock.at(61)));
        }
        assert_eq!(memory.said.len(), KEYS_MAX);
        assert!(memory.order.len() <= 2 * KEYS_MAX);
        assert!(memory.may_say("for ever", Quiet::Forever, TTLS, clock.at(61)), "the oldest was forgotten");
        assert!(!memory.may_say("long 5", Quiet::Forever, TTLS, clock.at(61)));
        let mut memory = Memory::default();
        assert!(memory.may_say("for ever", Quiet::Forever, TTLS, clock.at(0)));
        for number in 0..100_000 {
            memory.may_say("again", Quiet::For(Duration::ZERO), TTLS, clock.at(number));
        }
        assert!(memory.order.len() <= 2 * KEYS_MAX && memory.said.len() == 2);
        assert!(!memory.may_say("for ever", Quiet::Forever, TTLS, clock.at(0)), "it was not pushed out");
    }
}
