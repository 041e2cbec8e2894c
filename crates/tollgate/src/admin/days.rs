//! Days on the command line: so long ago, or a date.
//!
//! **Invariant:** days are those of UTC, as sums of spend are.

use std::str::FromStr;
use std::time::Duration;
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A month ago, where a duration says months: long enough for each.
const MONTH_DAYS: u32 = 31;

/// A day, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Day {
    /// So long ago.
    Ago(Duration),
    /// This one, `2026-12-01`.
    On(String),
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_date = text.len() == 10 && Wall::from_rfc3339(&format!("{text}T00:00:00Z")).is_some();
        if is_date {
            return Ok(Self::On(text.to_owned()));
        }
        let cadence = Cadence::parse(text).map_err(|_| {
            format!("'{text}' is neither so long ago, such as 7d, nor a day, such as 2026-12-01")
        })?;
        Ok(Self::Ago(match cadence {
            Cadence::Months(count) => DAY.saturating_mul(count.saturating_mul(MONTH_DAYS)),
            other => other.seconds().unwrap_or(DAY),
        }))
    }
}

impl Day {
    /// The day's date, given the time.
    pub(super) fn date(&self, now: Wall) -> String {
        match self {
            Self::On(date) => date.clone(),
            Self::Ago(ago) => {
                let micros = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
                today(Wall::from_micros(now.micros().saturating_sub(micros).max(0)))
            }
        }
    }
}

/// The date of a time.
pub(super) fn today(now: Wall) -> String {
    now.rfc3339().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_so_long_ago_or_a_date() {
        let now = Wall::from_rfc3339("2026-12-08T00:30:00Z").unwrap();
        let check = |text: &str, expect: &str| {
            let got = text.parse::<Day>().map_or_else(|error| error, |day| day.date(now));
            assert_eq!(got, expect, "{text}");
        };
        check("7d", "2026-12-01");
        check("1h", "2026-12-07");
        check("2w", "2026-11-24");
        check("1mo", "2026-11-07");
        check("2026-02-28", "2026-02-28");
        check("99999999w", "1970-01-01");
        for wrong in ["2026-02-30", "yesterday", "7", "-1d", ""] {
            let message =
                format!("'{wrong}' is neither so long ago, such as 7d, nor a day, such as 2026-12-01");
            check(wrong, &message);
        }
        assert_eq!(today(now), "2026-12-08");
    }
}
