//! Days and moments that a report is asked for.

use super::{Desk, Problem};
use tollgate_policy::clock::Wall;
use tollgate_store::books::day_of;

/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000;
/// How far back a report goes that is asked for without dates, in days, today included: LiteLLM's views of the last 30 days.
const LAST_DAYS: i64 = 30;

/// Days (UTC) of a report, both of them included, as `2026-11-22`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) from: String,
    pub(super) to: String,
}

impl Days {
    /// The last so many days, today included.
    pub(super) fn last(now: Wall, days: i64) -> Self {
        let first = now.micros().saturating_sub(DAY.saturating_mul(days.saturating_sub(1)));
        Self { from: day_of(first), to: day_of(now.micros()) }
    }

    /// The last 30 days.
    pub(super) fn recent(desk: &Desk<'_>) -> Self {
        Self::last(desk.now(), LAST_DAYS)
    }

    /// What the query asks for: nothing where it says neither day.
    pub(super) fn asked(desk: &Desk<'_>) -> Result<Option<Self>, Problem> {
        let (from, to) = (bound(desk, "start_date", Edge::First)?, bound(desk, "end_date", Edge::Last)?);
        if from.is_none() && to.is_none() {
            return Ok(None);
        }
        let to = to.unwrap_or_else(|| desk.now().micros());
        let from = from.unwrap_or_else(|| to.saturating_sub(DAY * (LAST_DAYS - 1)));
        Ok(Some(Self { from: day_of(from), to: day_of(to) }))
    }

    /// The same, of a report that has to be asked for by days.
    pub(super) fn needed(desk: &Desk<'_>) -> Result<Self, Problem> {
        let is_said = desk.query.get("start_date").is_some() && desk.query.get("end_date").is_some();
        let asked = if is_said { Self::asked(desk)? } else { None };
        asked.ok_or_else(|| Problem::said(400, "bad_request", "Please provide start_date and end_date"))
    }

    /// The same, of the last 30 days where the query says nothing.
    pub(super) fn asked_or_recent(desk: &Desk<'_>) -> Result<Self, Problem> {
        Ok(Self::asked(desk)?.unwrap_or_else(|| Self::recent(desk)))
    }
}

/// Which moment a day stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Its first.
    First,
    /// Its last.
    Last,
}

/// A moment that the query names, in microseconds since 1970; `2026-11-22`, with a time, or with a time and an offset.
pub(super) fn bound(desk: &Desk<'_>, name: &'static str, edge: Edge) -> Result<Option<i64>, Problem> {
    let Some(text) = desk.query.get(name) else { return Ok(None) };
    moment(text, edge).map(Some).ok_or_else(|| {
        let message = format!("'{name}' has to be a date (YYYY-MM-DD) or a date and time (UTC): {text}");
        Problem::Bad(name, message)
    })
}

pub(super) fn moment(text: &str, edge: Edge) -> Option<i64> {
    let at = Wall::from_rfc3339(text)?.micros();
    let is_day = text.len() <= "2026-11-22".len();
    Some(if is_day && edge == Edge::Last { at.saturating_add(DAY - 1) } else { at })
}

/// A day as LiteLLM's charts write it: `Nov 22`.
pub(super) fn spoken_day(day: &str) -> String {
    day.parse::<jiff::civil::Date>()
        .map_or_else(|_| day.to_owned(), |date| date.strftime("%b %d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_time_and_an_offset_are_read() {
        let check = |text: &str, edge, day: Option<&str>| {
            assert_eq!(moment(text, edge).map(day_of).as_deref(), day, "{text}");
        };
        check("2026-11-22", Edge::First, Some("2026-11-22"));
        check("2026-11-22", Edge::Last, Some("2026-11-22"));
        check("2026-11-22 23:59:59", Edge::First, Some("2026-11-22"));
        check("2026-11-22T23:30:00-01:00", Edge::First, Some("2026-11-23"));
        check("2026-11-22T00:30:00Z", Edge::First, Some("2026-11-22"));
        for bad in ["", "yesterday", "2026-13-01", "22.11.2026"] {
            check(bad, Edge::First, None);
        }
        assert_eq!(
            moment("2026-11-22", Edge::Last).unwrap() - moment("2026-11-22", Edge::First).unwrap(),
            DAY - 1
        );
    }

    #[test]
    fn the_last_days_have_today_in_them() {
        let days = Days::last(Wall::from_rfc3339("2026-03-01T12:00:00Z").unwrap(), 2);
        assert_eq!((days.from.as_str(), days.to.as_str()), ("2026-02-28", "2026-03-01"));
        assert_eq!((spoken_day("2026-11-02").as_str(), spoken_day("?").as_str()), ("Nov 02", "?"));
    }
}
