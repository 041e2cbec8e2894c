//! Time as an argument.
//!
//! **Invariant:** nothing here reads a clock. A moment comes from whoever calls, and it never goes back.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// A point in time: microseconds since a start that its maker chose. Monotonic: steps of the wall clock do not move it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The start.
    pub const ZERO: Self = Self(0);

    /// So many microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// This much later; the end of time where there is no such moment.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero where it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// How long it is until `later`; zero where it has come.
    pub fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

/// A point of wall time: microseconds since the Unix epoch, UTC. It may go back, when the machine's clock is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(i64);

impl Wall {
    /// Before everything.
    pub const BEGINNING: Self = Self(i64::MIN);
    /// After everything.
    pub const END: Self = Self(i64::MAX);

    /// So many microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339, with any offset; a time without one is UTC, as LiteLLM writes them.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let text = text.trim();
        let at = text.parse::<Timestamp>().ok().or_else(|| {
            text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
        })?;
        Some(Self(at.as_microsecond()))
    }

    /// Writes RFC 3339 to the millisecond, in UTC, as LiteLLM writes it: `2026-11-22T11:00:33.437000Z`. Empty beyond the
    /// years that can be written.
    pub fn rfc3339(self) -> String {
        let millis = self.0.div_euclid(1_000).saturating_mul(1_000);
        let Ok(at) = Timestamp::from_microsecond(millis) else { return String::new() };
        at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    }

    /// How long it is until `later`; zero where it has come.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_micros(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_read_and_written_as_rfc_3339() {
        let check = |text: &str, written: &str| {
            assert_eq!(Wall::from_rfc3339(text).map(Wall::rfc3339).as_deref(), Some(written), "{text}");
        };
        check("2026-11-22T12:00:33.429240Z", "2026-11-22T12:00:33.429000Z");
        check("2026-11-22T12:00:33+01:00", "2026-11-22T11:00:33.000000Z");
        check("2026-11-22T12:00:33", "2026-11-22T12:00:33.000000Z");
        assert_eq!(Wall::from_rfc3339("tomorrow"), None);
        assert_eq!((Wall::END.rfc3339(), Wall::BEGINNING.rfc3339()), (String::new(), String::new()));
    }

    #[test]
    fn moments_are_apart_by_what_was_added_and_never_by_less_than_nothing() {
        let start = Moment::from_micros(5);
        let later = start.after(Duration::from_millis(2));
        assert_eq!(later.micros(), 2_005);
        assert_eq!(later.since(start), Duration::from_millis(2));
        assert_eq!(start.since(later), Duration::ZERO);
        assert_eq!(start.until(later), Duration::from_millis(2));
        assert_eq!(start.after(Duration::MAX).micros(), u64::MAX);
    }
}
