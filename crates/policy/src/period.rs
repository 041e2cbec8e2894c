//! The stretches of wall time that a budget is for: rolling seconds, and minutes to months by the calendar.
//!
//! Owns LiteLLM's spelling of a duration (`30s`, `5m`, `12h`, `7d`, `1w`, `1mo`) and how it is aligned: `1d` from
//! midnight, `7d` and `1w` from Monday, `30d` and `1mo` from the first of the month, other days from the midnight of the
//! day on which the budget began, minutes and hours from midnight, seconds from the second on which it began. Leaves
//! the time itself, and the time zone's rules, to others. **Invariant:** the periods of a cadence follow each other
//! without a gap and without an overlap, whatever the calendar or the clock's hands do.

use crate::clock::Wall;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, Zoned};
use std::fmt;
use std::time::Duration;

const MICROS: i64 = 1_000_000;
const DAY_MINUTES: i64 = 24 * 60;

/// How often a budget begins anew. Counts are at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cadence {
    /// So many seconds, from when it began.
    Seconds(u32),
    /// So many minutes of the day.
    Minutes(u32),
    /// So many hours of the day.
    Hours(u32),
    /// So many days.
    Days(u32),
    /// So many weeks, from Monday.
    Weeks(u32),
    /// So many months.
    Months(u32),
}

/// A duration that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCadence(String);

impl fmt::Display for BadCadence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "'{}' is no duration: a whole number from 1 with s, m, h, d, w or mo, such as 30d",
            self.0
        )
    }
}

impl std::error::Error for BadCadence {}

impl Cadence {
    /// Reads LiteLLM's spelling.
    ///
    /// # Errors
    /// [`BadCadence`] where it is none.
    pub fn parse(text: &str) -> Result<Self, BadCadence> {
        let bad = || BadCadence(text.chars().take(40).collect());
        let written = text.trim();
        let digits = written.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = written.split_at(digits);
        let count = number.parse().ok().filter(|count| (1..=100_000_000).contains(count)).ok_or_else(bad)?;
        match unit {
            "s" => Ok(Self::Seconds(count)),
            "m" => Ok(Self::Minutes(count)),
            "h" => Ok(Self::Hours(count)),
            "d" => Ok(Self::Days(count)),
            "w" => Ok(Self::Weeks(count)),
            "mo" => Ok(Self::Months(count)),
            _ => Err(bad()),
        }
    }

    /// How long it is, where that is always the same by the calendar too.
    pub fn seconds(self) -> Option<Duration> {
        let (count, unit) = match self {
            Self::Seconds(count) => (count, 1),
            Self::Minutes(count) => (count, 60),
            Self::Hours(count) => (count, 3_600),
            Self::Days(count) => (count, 86_400),
            Self::Weeks(count) => (count, 7 * 86_400),
            Self::Months(_) => return None,
        };
        Some(Duration::from_secs(u64::from(count) * unit))
    }

    /// The period that holds `at`, of a budget that began at `anchor`. Where `at` comes before the anchor, the period
    /// before it, as if the budget had been there.
    pub fn period(self, at: Wall, anchor: Wall, zone: &TimeZone) -> Period {
        match self {
            Self::Seconds(count) => rolling(i64::from(count) * MICROS, at, anchor),
            Self::Minutes(count) => of_the_day(i64::from(count), at, anchor, zone),
            Self::Hours(count) => of_the_day(i64::from(count) * 60, at, anchor, zone),
            Self::Days(7) => of_weeks(1, at, anchor, zone),
            Self::Days(30) => of_months(1, at, anchor, zone),
            Self::Days(count) => of_days(i64::from(count), local(anchor, zone).date(), at, zone),
            Self::Weeks(count) => of_weeks(i64::from(count), at, anchor, zone),
            Self::Months(count) => of_months(i64::from(count), at, anchor, zone),
        }
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self {
            Self::Seconds(count) => (count, "s"),
            Self::Minutes(count) => (count, "m"),
            Self::Hours(count) => (count, "h"),
            Self::Days(count) => (count, "d"),
            Self::Weeks(count) => (count, "w"),
            Self::Months(count) => (count, "mo"),
        };
        write!(out, "{count}{unit}")
    }
}

/// A stretch of wall time, from its start up to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    /// Its first microsecond.
    pub start: Wall,
    /// The first microsecond that is no longer in it.
    pub end: Wall,
}

impl Period {
    /// All of time: of a budget without a duration.
    pub const FOREVER: Self = Self { start: Wall::BEGINNING, end: Wall::END };

    /// Whether it holds this moment.
    pub fn holds(self, at: Wall) -> bool {
        self.start <= at && at < self.end
    }

    /// How much of it is over at this moment, in `0.0..=1.0`; none where it has no end.
    pub fn share_over(self, at: Wall) -> Option<f64> {
        if self == Self::FOREVER {
            return None;
        }
        let length = self.end.micros().saturating_sub(self.start.micros()).max(1);
        let over = at.micros().saturating_sub(self.start.micros()).clamp(0, length);
        Some(over as f64 / length as f64)
    }
}

fn rolling(length: i64, at: Wall, anchor: Wall) -> Period {
    let number = at.micros().saturating_sub(anchor.micros()).div_euclid(length);
    let start = anchor.micros().saturating_add(number.saturating_mul(length));
    Period { start: Wall::from_micros(start), end: Wall::from_micros(start.saturating_add(length)) }
}

/// Multiples of so many minutes since midnight; the last of a day ends with it. Whole days are days.
fn of_the_day(minutes: i64, at: Wall, anchor: Wall, zone: &TimeZone) -> Period {
    if minutes % DAY_MINUTES == 0 {
        let days = minutes / DAY_MINUTES;
        return of_days(days, local(anchor, zone).date(), at, zone);
    }
    if minutes > DAY_MINUTES {
        return rolling(minutes.saturating_mul(60 * MICROS), at, anchor);
    }
    let now = clock_time(at, zone);
    let minute = i64::from(now.hour()) * 60 + i64::from(now.minute());
    let first = minute.div_euclid(minutes) * minutes;
    let start = minute_of(now.date(), first, zone);
    let next = first + minutes;
    let end = if next >= DAY_MINUTES {
        midnight(after(now.date(), 1), zone)
    } else {
        minute_of(now.date(), next, zone)
    };
    Period { start, end }
}

fn of_days(days: i64, first: Date, at: Wall, zone: &TimeZone) -> Period {
    let today = local(at, zone).date();
    let since = i64::from(first.until(today).map_or(0, |span| span.get_days()));
    let start = after(today, -since.rem_euclid(days));
    Period { start: midnight(start, zone), end: midnight(after(start, days), zone) }
}

fn of_weeks(weeks: i64, at: Wall, anchor: Wall, zone: &TimeZone) -> Period {
    let began = local(anchor, zone).date();
    let back = began.weekday().since(Weekday::Monday);
    of_days(weeks.saturating_mul(7), after(began, -i64::from(back)), at, zone)
}

fn of_months(months: i64, at: Wall, anchor: Wall, zone: &TimeZone) -> Period {
    let number = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
    let (began, today) = (number(local(anchor, zone).date()), number(local(at, zone).date()));
    let start = today - (today - began).rem_euclid(months);
    let first = |month: i64| {
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let date = Date::new(year.clamp(-9_999, 9_999) as i16, month as i8, 1).unwrap_or(Date::MAX);
        midnight(date, zone)
    };
    Period { start: first(start), end: first(start.saturating_add(months)) }
}

/// What the clock on the wall says. An hour that it shows twice is, the second time, all of its last minute: a period that
/// has ended does not come back.
fn clock_time(at: Wall, zone: &TimeZone) -> DateTime {
    let now = local(at, zone);
    let shown = now.datetime();
    let AmbiguousOffset::Fold { before, after } = zone.to_ambiguous_timestamp(shown).offset() else {
        return shown;
    };
    if now.offset() != after {
        return shown;
    }
    let last = change_before(now.timestamp(), zone).map(|change| before.to_datetime(change));
    last.and_then(|last| last.checked_sub(Span::new().minutes(1)).ok()).unwrap_or(shown)
}

/// The last change of the zone's clocks up to this moment.
fn change_before(at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let after = at.checked_add(Span::new().seconds(1)).ok()?;
    zone.preceding(after).next().map(|change| change.timestamp())
}

fn local(at: Wall, zone: &TimeZone) -> Zoned {
    let at = at.micros().clamp(Timestamp::MIN.as_microsecond(), Timestamp::MAX.as_microsecond());
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone())
}

fn after(date: Date, days: i64) -> Date {
    let span = Span::new().try_days(days);
    let otherwise = if days < 0 { Date::MIN } else { Date::MAX };
    span.map_or(otherwise, |span| date.checked_add(span).unwrap_or(otherwise))
}

/// The first moment of a day: midnight, or what comes after it where the clock leaps over it.
fn midnight(date: Date, zone: &TimeZone) -> Wall {
    wall(date.to_zoned(zone.clone()).and_then(|zoned| zoned.start_of_day()))
}

/// So many minutes after midnight by the clock on the wall: of two such moments the earlier, of none the leap itself.
fn minute_of(date: Date, minute: i64, zone: &TimeZone) -> Wall {
    let shown = zone.to_ambiguous_timestamp(date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0));
    let is_leapt_over = matches!(shown.offset(), AmbiguousOffset::Gap { .. });
    let moment = shown.compatible();
    let moment = moment.map(|moment| Some(moment).filter(|_| !is_leapt_over).or(change_before(moment, zone)));
    moment.ok().flatten().map_or(Wall::END, |moment| Wall::from_micros(moment.as_microsecond()))
}

fn wall(zoned: Result<Zoned, jiff::Error>) -> Wall {
    zoned.map_or(Wall::END, |zoned| Wall::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> Wall {
        Wall::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn text(wall: Wall) -> String {
        Timestamp::from_microsecond(wall.micros()).unwrap().to_string()
    }

    #[test]
    fn litellms_spelling_is_read_and_written() {
        for written in ["30s", "5m", "12h", "1d", "30d", "2w", "1mo"] {
            assert_eq!(Cadence::parse(written).unwrap().to_string(), written);
        }
        for bad in ["", "30", "d", "0d", "-1d", "1.5h", "1y", "1 d", "99999999999s", "30D"] {
            let error = Cadence::parse(bad).unwrap_err().to_string();
            assert!(error.contains("such as 30d"), "{bad}: {error}");
        }
    }

    #[test]
    fn periods_are_aligned_as_litellms_are() {
        let check = |cadence: &str, zone_name: &str, moment: &str, start: &str, end: &str| {
            let anchor = at("2026-11-05T10:20:30Z");
            let period = Cadence::parse(cadence).unwrap().period(at(moment), anchor, &zone(zone_name));
            assert_eq!(
                (text(period.start), text(period.end)),
                (start.to_owned(), end.to_owned()),
                "{cadence}"
            );
            assert!(period.holds(at(moment)), "{cadence}");
        };
        // From the second on which it began.
        check("45s", "UTC", "2026-11-05T10:22:00Z", "2026-11-05T10:22:00Z", "2026-11-05T10:22:45Z");
        check("45s", "UTC", "2026-11-05T10:20:29Z", "2026-11-05T10:19:45Z", "2026-11-05T10:20:30Z");
        // From midnight.
        check("5m", "UTC", "2026-11-22T11:04:59Z", "2026-11-22T11:00:00Z", "2026-11-22T11:05:00Z");
        check("7h", "UTC", "2026-11-22T22:00:00Z", "2026-11-22T21:00:00Z", "2026-11-23T00:00:00Z");
        check("1d", "UTC", "2026-11-22T11:04:59Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
        check("24h", "UTC", "2026-11-22T11:04:59Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z");
        check("1d", "Asia/Tokyo", "2026-11-22T20:00:00Z", "2026-11-22T15:00:00Z", "2026-11-23T15:00:00Z");
        // From Monday.
        check("7d", "UTC", "2026-11-22T11:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
        check("1w", "UTC", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z");
        check("2w", "UTC", "2026-11-22T11:00:00Z", "2026-11-16T00:00:00Z", "2026-11-30T00:00:00Z");
        // From the first of the month.
        check("30d", "UTC", "2026-11-22T11:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check("1mo", "UTC", "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
        check("3mo", "UTC", "2027-01-31T11:00:00Z", "2026-11-01T00:00:00Z", "2027-02-01T00:00:00Z");
        // From the midnight of the day on which it began.
        check("3d", "UTC", "2026-11-22T11:00:00Z", "2026-11-20T00:00:00Z", "2026-11-23T00:00:00Z");
        check("3d", "UTC", "2026-11-04T11:00:00Z", "2026-11-02T00:00:00Z", "2026-11-05T00:00:00Z");
        // Longer than a day, and no whole days.
        check("36h", "UTC", "2026-11-06T23:00:00Z", "2026-11-06T22:20:30Z", "2026-11-08T10:20:30Z");
    }

    #[test]
    fn no_period_is_skipped_or_met_twice_when_the_clocks_change() {
        // Berlin leaps from 2:00 to 3:00 and falls back from 3:00 to 2:00; Santiago leaps over midnight; Lord Howe by half
        // an hour.
        let changes = [
            ("Europe/Berlin", "2026-03-28T20:00:00Z"),
            ("Europe/Berlin", "2026-10-24T20:00:00Z"),
            ("America/Santiago", "2026-09-05T20:00:00Z"),
            ("America/Santiago", "2026-04-04T20:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T12:00:00Z"),
        ];
        for (name, from) in changes {
            for cadence in ["30s", "7m", "45m", "1h", "5h", "12h", "1d", "3d", "7d", "30d", "1mo", "2mo"] {
                let cadence = Cadence::parse(cadence).unwrap();
                let (zone, anchor) = (zone(name), at("2026-01-15T07:08:09Z"));
                let mut last: Option<Period> = None;
                for step in 0..(40 * 60) {
                    let moment = Wall::from_micros(at(from).micros() + step * 60 * MICROS);
                    let period = cadence.period(moment, anchor, &zone);
                    assert!(period.holds(moment), "{name} {cadence}: {} in {period:?}", text(moment));
                    let follows = last.is_none_or(|last| last == period || last.end <= period.start);
                    assert!(follows, "{name} {cadence}: {last:?}, then {period:?}");
                    // A period may be empty where a leap swallows it; nothing else lies between.
                    if let Some(last) = last.filter(|last| last.end < period.start) {
                        let between = cadence.period(last.end, anchor, &zone);
                        assert!(between.end <= period.start, "{name} {cadence}: {last:?}, {between:?}");
                    }
                    last = Some(period);
                }
            }
        }
    }

    #[test]
    fn how_much_of_a_period_is_over_is_a_share_of_it() {
        let period =
            Cadence::Days(1).period(at("2026-11-22T06:00:00Z"), Wall::from_micros(0), &TimeZone::UTC);
        assert_eq!(period.share_over(at("2026-11-22T06:00:00Z")), Some(0.25));
        assert_eq!(period.share_over(at("2026-11-21T06:00:00Z")), Some(0.0));
        assert_eq!(period.share_over(at("2026-11-25T06:00:00Z")), Some(1.0));
        assert_eq!(Period::FOREVER.share_over(at("2026-11-25T06:00:00Z")), None);
        assert!(Period::FOREVER.holds(at("2026-11-25T06:00:00Z")));
    }
}
