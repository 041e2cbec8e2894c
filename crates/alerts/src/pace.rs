//! How fast a channel is told: a burst, then so many a second.
//!
//! Owns: the bucket. Leaves to others: what happens to those who come too fast.
//!
//! **Invariant:** in any stretch of time there are at most the burst and what the rate gives in it.

use std::time::Duration;
use tokio::time::Instant;

/// A channel's pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Messages at once.
    pub(crate) burst: u32,
    /// Time between messages after that.
    pub(crate) every: Duration,
}

/// What is left of a burst.
#[derive(Debug)]
pub(crate) struct Bucket {
    pace: Pace,
    left: u32,
    /// Up to when what is left is counted.
    counted: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, left: pace.burst, counted: now }
    }

    /// Takes one; where there is none, says how long to wait.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        if self.left == 0 {
            return Err((self.counted + self.pace.every).saturating_duration_since(now));
        }
        self.left -= 1;
        Ok(())
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted);
        let every = self.pace.every.as_nanos().max(1);
        let more = u32::try_from(passed.as_nanos() / every).unwrap_or(u32::MAX);
        let room = self.pace.burst.saturating_sub(self.left);
        if more >= room {
            // Full: time does not gather.
            self.left = self.pace.burst;
            self.counted = now;
        } else {
            self.left += more;
            self.counted += self.pace.every * more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { burst: 3, every: Duration::from_secs(2) };

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut bucket = Bucket::new(PACE, start);
        let mut check = |millis: u64, expect: Result<(), u64>| {
            assert_eq!(bucket.take(at(millis)), expect.map_err(Duration::from_millis), "at {millis} ms");
        };
        check(0, Ok(()));
        check(0, Ok(()));
        check(500, Ok(()));
        // Full at the first, so the time of the others counts from there.
        check(500, Err(1_500));
        check(1_999, Err(1));
        check(2_000, Ok(()));
        check(2_000, Err(2_000));
        check(7_000, Ok(()));
        check(7_000, Ok(()));
        check(7_000, Err(1_000));
        check(1_000_000, Ok(()));
        check(1_000_000, Ok(()));
        check(1_000_000, Ok(()));
        check(1_000_000, Err(2_000));
    }
}
