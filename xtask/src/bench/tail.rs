//! How long the stand-in takes before it answers: a provider's usual time, and the tail of slow answers that it has.
//!
//! A model called `tail-LOW-HIGH-PERCENT-SLOW` takes LOW to HIGH milliseconds, evenly spread, and SLOW in PERCENT of
//! all requests. `upstream.rs` sleeps.
//!
//! **Invariant**: the same request number takes the same time in every run.

use std::time::Duration;

use memchr::memmem;

/// The times of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Fewest milliseconds of a usual answer.
    pub(crate) low_ms: u64,
    /// Most milliseconds of a usual answer.
    pub(crate) high_ms: u64,
    /// Percent of the requests that are slow.
    pub(crate) slow_percent: u64,
    /// Milliseconds of a slow answer.
    pub(crate) slow_ms: u64,
}

impl Tail {
    /// The model's name.
    pub(crate) fn model(self) -> String {
        format!("tail-{}-{}-{}-{}", self.low_ms, self.high_ms, self.slow_percent, self.slow_ms)
    }

    /// The times that a request's model asks for.
    pub(crate) fn of_request(request: &[u8]) -> Option<Self> {
        let at = memmem::find(request, b"\"tail-")?;
        let name = request.get(at + 6..)?;
        let name = std::str::from_utf8(name.get(..memchr::memchr(b'"', name)?)?).ok()?;
        let mut numbers = name.split('-').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { low_ms: next()?, high_ms: next()?, slow_percent: next()?, slow_ms: next()? })
    }

    /// How long request number `number` takes.
    pub(crate) fn delay(self, number: u64) -> Duration {
        let draw = mixed(number);
        if draw % 100 < self.slow_percent {
            return Duration::from_millis(self.slow_ms);
        }
        let spread_us = (self.high_ms.saturating_sub(self.low_ms)) * 1_000 + 1;
        Duration::from_micros(self.low_ms * 1_000 + (draw >> 32) % spread_us)
    }
}

/// SplitMix64's output function (Steele, Lea and Flood, 2014): neighbouring numbers have nothing in common.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: Tail = Tail { low_ms: 20, high_ms: 40, slow_percent: 3, slow_ms: 300 };

    #[test]
    fn a_request_names_the_times() {
        let check = |body: &str, expect: Option<Tail>| {
            assert_eq!(Tail::of_request(body.as_bytes()), expect, "{body}");
        };
        check(&format!("{{\"model\":\"{}\"}}", TAIL.model()), Some(TAIL));
        check("{\"model\":\"tail-1-2-3\"}", None);
        check("{\"model\":\"tail-1-2-3-x\"}", None);
        check("{\"model\":\"bench\"}", None);
    }

    #[test]
    fn as_many_are_slow_as_should_be_and_the_others_are_spread() {
        let delays: Vec<Duration> = (0..10_000).map(|number| TAIL.delay(number)).collect();
        let slow = delays.iter().filter(|delay| **delay == Duration::from_millis(300)).count();
        assert!((250..350).contains(&slow), "{slow} of 10000");
        let usual = || delays.iter().filter(|delay| **delay <= Duration::from_millis(40));
        assert_eq!(usual().count() + slow, 10_000);
        assert!(usual().min() < Some(&Duration::from_millis(21)));
        assert!(usual().max() > Some(&Duration::from_millis(39)));
    }

    #[test]
    fn without_a_spread_all_take_the_same() {
        let tail = Tail { low_ms: 5, high_ms: 5, slow_percent: 0, slow_ms: 0 };
        assert!((0..100).all(|number| tail.delay(number) == Duration::from_millis(5)));
    }
}
