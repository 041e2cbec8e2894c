//! Where the spend of a period is going: the rate of its days, what it comes to at the end, and when the budget is spent.
//!
//! Owns the arithmetic, in whole picodollars, and the rule by which an operator is told. Leaves to others what was spent,
//! and telling it.
//!
//! The rate is that of the last seven whole days of the period up to now, so that working days and weekends are weighed as
//! they come, and a scope that has changed its ways is projected by its new ones; until a whole day lies in the period, and
//! since the account began, that of what there is.
//!
//! **Invariant:** no amount passes through a float. **Invariant:** more spend never makes a projection smaller, and the
//! budget is said to be spent within the period exactly where the projection comes up to it.

use crate::accounts::Part;
use crate::clock::Wall;
use crate::period::Period;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tollgate_catalog::PicoDollars;

/// Microseconds of a day of 24 hours.
pub const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
/// How much of its own history an account needs before it is projected: an hour, or this part of a short period.
const YOUNG_MICROS: i64 = DAY_MICROS / 24;
const YOUNG_PART: i64 = 20;
/// A whole week, so that every weekday counts once.
const RATE_DAYS: i64 = 7;

/// What was spent on one day of 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySpend {
    /// When the day began.
    pub start: Wall,
    /// What was spent in it, up to now where it is not over.
    pub spent: PicoDollars,
}

/// How the spend of a period has gone so far.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    /// The period.
    pub period: Period,
    /// When its account began, which may be within it.
    pub began: Wall,
    /// Within it.
    pub now: Wall,
    /// What is spent in it.
    pub spent: PicoDollars,
    /// What may be spent in it.
    pub budget: Option<PicoDollars>,
    /// Its days in any order; a day of which nothing is said had no spend.
    pub days: &'a [DaySpend],
}

/// Where it is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Projection {
    /// What is spent in 24 hours at the present rate.
    pub daily_rate: PicoDollars,
    /// What is spent when the period ends; none where it has no end.
    pub at_end: Option<PicoDollars>,
    /// When the budget is spent, if that comes before the period ends; now where it is spent already.
    pub exhausted_at: Option<Wall>,
}

/// An amount in a stretch of time.
#[derive(Clone, Copy)]
struct Rate {
    amount: i128,
    micros: i64,
}

impl Rate {
    /// What comes of it in so long, rounded down.
    fn over(self, micros: i64) -> i128 {
        scaled(self.amount, micros, self.micros)
    }

    /// How long it takes to come up to an amount, rounded up; none where it never does.
    fn until(self, amount: i128) -> Option<i64> {
        if self.amount <= 0 {
            return None;
        }
        let (whole, rest) = (amount / self.amount, amount % self.amount);
        let micros = i128::from(self.micros);
        let part = match rest.checked_mul(micros) {
            Some(product) => ceiling(product, self.amount),
            // The rate is beyond 1e19 picodollars then: what is lost is less than a microsecond's part of it.
            None => ceiling(rest, self.amount / micros),
        };
        i64::try_from(whole.saturating_mul(micros).saturating_add(part)).ok()
    }
}

/// Of two numbers that are not negative.
fn ceiling(number: i128, by: i128) -> i128 {
    let by = by.max(1);
    number / by + i128::from(number % by != 0)
}

/// `amount * micros / by`, rounded down, or the largest amount; of numbers that are not negative.
fn scaled(amount: i128, micros: i64, by: i64) -> i128 {
    let (micros, by) = (i128::from(micros), i128::from(by.max(1)));
    let (whole, rest) = (amount / by, amount % by);
    whole.saturating_mul(micros).saturating_add(rest.saturating_mul(micros) / by)
}

impl Course<'_> {
    /// Where it is going; none where too little is known of it yet: an account of less than an hour, or of less than a
    /// twentieth of a period that is short, or a budget without an end of whose days none is known.
    pub fn project(&self) -> Option<Projection> {
        let rate = self.rate()?;
        let spent = self.spent.0.max(0);
        let left = self.micros_left();
        let at_end = left.map(|left| PicoDollars(spent.saturating_add(rate.over(left))));
        Some(Projection {
            daily_rate: PicoDollars(rate.over(DAY_MICROS)),
            at_end,
            exhausted_at: self.exhausted_at(rate, left),
        })
    }

    /// How long the period still goes on; none where it has no end.
    fn micros_left(&self) -> Option<i64> {
        let end = Some(self.period.end).filter(|end| *end != Wall::END)?;
        Some(end.micros().saturating_sub(self.now.micros()).max(0))
    }

    /// From when on anything can have been spent in it.
    fn start(&self) -> Wall {
        self.period.start.max(self.began)
    }

    fn rate(&self) -> Option<Rate> {
        self.rate_of_days().or_else(|| {
            let micros = self.now.micros().saturating_sub(self.start().micros());
            let is_known = self.start() != Wall::BEGINNING && micros >= self.least_micros();
            is_known.then_some(Rate { amount: self.spent.0.max(0), micros })
        })
    }

    /// How long it must have been there: the first requests of somebody new are all of the spend of a few seconds.
    fn least_micros(&self) -> i64 {
        let length = self.period.end.micros().saturating_sub(self.period.start.micros());
        (length / YOUNG_PART).clamp(1, YOUNG_MICROS)
    }

    /// The rate of the last days that lie wholly in the period, with what there is of today; none before the first of them
    /// is over.
    fn rate_of_days(&self) -> Option<Rate> {
        let today = self.now.micros().div_euclid(DAY_MICROS);
        let known = self.days.iter().map(|day| day.start);
        let start = if self.start() == Wall::BEGINNING { known.min()? } else { self.start() };
        let whole = start.micros().checked_add(DAY_MICROS - 1)?.div_euclid(DAY_MICROS);
        let first = whole.max(today.saturating_sub(RATE_DAYS)).saturating_mul(DAY_MICROS);
        let micros = self.now.micros().saturating_sub(first);
        if micros < DAY_MICROS {
            return None;
        }
        let counted =
            self.days.iter().filter(|day| (first..=self.now.micros()).contains(&day.start.micros()));
        let amount = counted.fold(0_i128, |sum, day| sum.saturating_add(day.spent.0.max(0)));
        Some(Rate { amount, micros })
    }

    fn exhausted_at(&self, rate: Rate, left: Option<i64>) -> Option<Wall> {
        let lacks = self.budget?.0.saturating_sub(self.spent.0.max(0));
        if lacks <= 0 {
            return Some(self.now);
        }
        let micros = rate.until(lacks)?;
        let at = self.now.micros().checked_add(micros)?;
        match left {
            Some(left) if micros > left => None,
            // The last instant of a period still belongs to it.
            Some(_) => Some(Wall::from_micros(at.min(self.period.end.micros().saturating_sub(1)))),
            None => Some(Wall::from_micros(at)),
        }
    }
}

/// When an operator is told of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectionRule {
    /// Where it passes this part of the budget.
    pub above: Part,
    /// From when the account has been there for this part of the period, and this part of the budget is spent: before, it is
    /// a guess.
    pub from: Part,
    /// Up to when this part of the period is over: after, the budget's own marks say it.
    pub before: Part,
}

impl Default for ProjectionRule {
    /// Above 120% of the budget, from the first 5% of the period up to its middle.
    fn default() -> Self {
        Self {
            above: Part::millionths(1_200_000),
            from: Part::millionths(50_000),
            before: Part::millionths(500_000),
        }
    }
}

impl ProjectionRule {
    /// Whether this is the time to look at a budget, and enough of it is spent: without its days, to know whether they are
    /// worth reading.
    pub fn may_hold(&self, course: &Course<'_>) -> bool {
        let (Some(budget), Period { start, end }) = (course.budget, course.period) else { return false };
        if start == Wall::BEGINNING || end == Wall::END || budget <= PicoDollars::ZERO {
            return false;
        }
        // Time as an amount: a part of it is taken in the same way.
        let length = PicoDollars(i128::from(end.micros()) - i128::from(start.micros()));
        let since = |start: Wall| PicoDollars(i128::from(course.now.micros()) - i128::from(start.micros()));
        let is_old = self.from.of(length) <= since(course.start());
        is_old && since(start) < self.before.of(length) && self.from.of(budget) <= course.spent
    }

    /// Whether it is to be told.
    pub fn holds(&self, course: &Course<'_>, projection: &Projection) -> bool {
        let (Some(budget), Some(at_end)) = (course.budget, projection.at_end) else { return false };
        self.may_hold(course) && at_end > self.above.of(budget)
    }
}

/// The day that this moment is on by the calendar of a time zone, as `2026-11-30`; none beyond the years of calendars.
pub fn day_of(at: Wall, zone: &TimeZone) -> Option<String> {
    let at = Timestamp::from_microsecond(at.micros()).ok()?;
    Some(at.to_zoned(zone.clone()).date().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::Cadence;
    use proptest::prelude::*;

    const DOLLAR: i128 = 1_000_000_000_000;
    const BEGAN: Wall = Wall::BEGINNING;

    fn at(text: &str) -> Wall {
        Wall::from_rfc3339(text).unwrap()
    }

    fn dollars(text: &str) -> PicoDollars {
        PicoDollars::parse_dollars(text).unwrap()
    }

    fn period(cadence: &str, now: Wall) -> Period {
        Cadence::parse(cadence).unwrap().period(now, Wall::default(), &TimeZone::UTC)
    }

    /// The first days of November 2026 with these amounts.
    fn days(amounts: &[&str]) -> Vec<DaySpend> {
        let first = at("2026-11-01T00:00:00Z").micros();
        let day = |(number, amount): (usize, &&str)| DaySpend {
            start: Wall::from_micros(first + number as i64 * DAY_MICROS),
            spent: dollars(amount),
        };
        amounts.iter().enumerate().map(day).collect()
    }

    fn sum(days: &[DaySpend]) -> PicoDollars {
        days.iter().fold(PicoDollars::ZERO, |sum, day| sum.saturating_add(day.spent))
    }

    #[test]
    fn a_month_is_projected_by_its_last_seven_days() {
        let check = |amounts: &[&str], now: &str, budget: &str, expected: (&str, &str, Option<&str>)| {
            let (days, now) = (days(amounts), at(now));
            let spent = sum(&days);
            let course = Course {
                period: period("1mo", now),
                began: BEGAN,
                now,
                spent,
                budget: Some(dollars(budget)),
                days: &days,
            };
            let projection = course.project().unwrap();
            let day = projection.exhausted_at.and_then(|at| day_of(at, &TimeZone::UTC));
            let found = (projection.daily_rate, projection.at_end.unwrap(), day.as_deref());
            assert_eq!(found, (dollars(expected.0), dollars(expected.1), expected.2), "{amounts:?} {now:?}");
        };
        // Ten dollars a day, of 30 days.
        check(&["10"; 5], "2026-11-06T00:00:00Z", "300", ("10", "300", Some("2026-11-30")));
        check(&["10"; 5], "2026-11-06T00:00:00Z", "301", ("10", "300", None));
        check(&["10"; 5], "2026-11-06T00:00:00Z", "100", ("10", "300", Some("2026-11-11")));
        // Half of the sixth day is over, with half of its spend.
        let half = ["10", "10", "10", "10", "10", "5"];
        check(&half, "2026-11-06T12:00:00Z", "200", ("10", "300", Some("2026-11-21")));
        // Before the first day is over: by what there is of the period.
        check(&["5"], "2026-11-01T12:00:00Z", "150", ("10", "300", Some("2026-11-16")));
        // Ten times as much for a week: what was before does not count any more.
        let grown = ["1", "1", "1", "10", "10", "10", "10", "10", "10", "10"];
        check(&grown, "2026-11-11T00:00:00Z", "173", ("10", "273", Some("2026-11-21")));
        // It has stopped.
        let stopped = ["10", "10", "0", "0", "0", "0", "0", "0", "0"];
        check(&stopped, "2026-11-10T00:00:00Z", "30", ("0", "20", None));
        // It is spent.
        check(&["10"; 5], "2026-11-06T00:00:00Z", "50", ("10", "300", Some("2026-11-06")));
        check(&["0"; 5], "2026-11-06T00:00:00Z", "50", ("0", "0", None));
    }

    #[test]
    fn days_before_the_period_do_not_count() {
        let (days, now) = (days(&["90", "90", "90", "4"]), at("2026-11-04T16:00:00Z"));
        // It began at eight on this day: of its days none is whole.
        let period = Period { start: at("2026-11-04T08:00:00Z"), end: at("2026-11-06T08:00:00Z") };
        let spent = dollars("4");
        let projection =
            Course { period, began: BEGAN, now, spent, budget: None, days: &days }.project().unwrap();
        assert_eq!((projection.daily_rate, projection.at_end), (dollars("12"), Some(dollars("24"))));
        assert_eq!(projection.exhausted_at, None);
    }

    #[test]
    fn a_key_that_was_made_within_the_period_is_projected_by_its_own_days() {
        // Nothing before the eleventh, since it was not there.
        let (days, now) = (
            days(&["0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "8", "20", "20"]),
            at("2026-11-14T00:00:00Z"),
        );
        let check = |began: &str, rate: &str| {
            let (period, spent) = (period("1mo", now), sum(&days));
            let course = Course { period, began: at(began), now, spent, budget: None, days: &days };
            assert_eq!(course.project().unwrap().daily_rate, dollars(rate), "{began}");
        };
        check("2026-10-01T00:00:00Z", "6.857142857142");
        check("2026-11-11T00:00:00Z", "16");
        check("2026-11-11T14:00:00Z", "20");
        // Not yet a whole day.
        check("2026-11-13T12:00:00Z", "96");
    }

    #[test]
    fn a_budget_without_an_end_has_a_day_and_no_projection() {
        let (days, now) = (days(&["10"; 10]), at("2026-11-11T00:00:00Z"));
        let course = |days| Course {
            period: Period::FOREVER,
            began: BEGAN,
            now,
            spent: dollars("4000"),
            budget: Some(dollars("5000")),
            days,
        };
        let projection = course(&days).project().unwrap();
        assert_eq!((projection.daily_rate, projection.at_end), (dollars("10"), None));
        assert_eq!(projection.exhausted_at, Some(at("2027-02-19T00:00:00Z")));
        assert_eq!(course(&[]).project(), None);
        assert!(!ProjectionRule::default().holds(&course(&days), &projection));
    }

    #[test]
    fn the_first_instant_of_a_period_says_nothing() {
        let now = at("2026-11-01T00:00:00Z");
        let course = Course {
            period: period("1mo", now),
            began: BEGAN,
            now,
            spent: PicoDollars::ZERO,
            budget: Some(dollars("1")),
            days: &[],
        };
        assert_eq!(course.project(), None);
    }

    #[test]
    fn an_account_that_is_new_is_projected_after_an_hour_or_a_twentieth_of_its_period() {
        let check = |cadence: &str, began: &str, now: &str, expected: Option<&str>| {
            let now = at(now);
            let period = period(cadence, now);
            let (spent, budget) = (dollars("2"), Some(dollars("10")));
            let course = Course { period, began: at(began), now, spent, budget, days: &[] };
            let rate = course.project().map(|projection| projection.daily_rate);
            assert_eq!(rate, expected.map(dollars), "{cadence} {began} {now:?}");
        };
        // Two dollars in five seconds are not $34,560 a day.
        check("7d", "2026-11-04T10:00:00Z", "2026-11-04T10:00:05Z", None);
        check("7d", "2026-11-04T10:00:00Z", "2026-11-04T10:59:59Z", None);
        check("7d", "2026-11-04T10:00:00Z", "2026-11-04T11:00:00Z", Some("48"));
        check("7d", "2026-11-02T00:00:00Z", "2026-11-02T00:30:00Z", None);
        // A short period cannot wait for an hour.
        check("1h", "2026-11-01T00:00:00Z", "2026-11-04T10:02:59Z", None);
        check("1h", "2026-11-01T00:00:00Z", "2026-11-04T10:03:00Z", Some("960"));
    }

    #[test]
    fn who_is_new_is_told_of_after_a_part_of_the_period_of_its_own() {
        let days = days(&["0", "0", "0", "0", "0", "6"]);
        let check = |began: &str, now: &str, expected: bool| {
            let (began, now) = (at(began), at(now));
            let (period, spent) = (period("1mo", now), dollars("6"));
            let course = Course { period, began, now, spent, budget: Some(dollars("10")), days: &days };
            assert_eq!(ProjectionRule::default().may_hold(&course), expected, "{began:?} {now:?}");
        };
        // A twentieth of 30 days are 36 hours.
        check("2026-11-06T10:00:00Z", "2026-11-06T10:00:05Z", false);
        check("2026-11-06T10:00:00Z", "2026-11-07T21:59:59Z", false);
        check("2026-11-06T10:00:00Z", "2026-11-07T22:00:00Z", true);
        check("2026-10-06T10:00:00Z", "2026-11-06T10:00:05Z", true);
    }

    #[test]
    fn it_is_told_above_120_percent_before_the_middle_of_the_period() {
        let check = |amount: &str, number: usize, budget: &str, expected: bool| {
            let days = days(&vec![amount; number]);
            let now = Wall::from_micros(at("2026-11-01T00:00:00Z").micros() + number as i64 * DAY_MICROS);
            let (period, spent) = (period("1mo", now), sum(&days));
            let course =
                Course { period, began: BEGAN, now, spent, budget: Some(dollars(budget)), days: &days };
            let told = ProjectionRule::default().holds(&course, &course.project().unwrap());
            assert_eq!(told, expected, "{amount} on {number} days of {budget}");
        };
        // 300 dollars at the end.
        check("10", 5, "249.99", true);
        check("10", 5, "250", false);
        check("10", 5, "300", false);
        // The middle is the start of the sixteenth day.
        check("10", 14, "200", true);
        check("10", 15, "200", false);
        check("10", 20, "200", false);
        // One day of thirty is less than 5%.
        check("10", 1, "20", false);
        check("10", 2, "20", true);
        // 2% of the budget are not worth a word, whatever comes of them.
        check("0.1", 2, "10", false);
        check("0", 5, "10", false);
    }

    #[test]
    fn another_rule_tells_otherwise() {
        let (days, now) = (days(&["10"; 20]), at("2026-11-21T00:00:00Z"));
        let course = Course {
            period: period("1mo", now),
            began: BEGAN,
            now,
            spent: sum(&days),
            budget: Some(dollars("299")),
            days: &days,
        };
        let part = Part::millionths;
        let rule = ProjectionRule { above: part(1_000_000), from: part(0), before: part(900_000) };
        assert!(rule.holds(&course, &course.project().unwrap()));
        let no_budget = Course { budget: None, ..course };
        assert!(!rule.holds(&no_budget, &no_budget.project().unwrap()));
        let nothing = Course { budget: Some(PicoDollars::ZERO), ..course };
        assert!(!rule.holds(&nothing, &nothing.project().unwrap()));
    }

    #[test]
    fn a_day_is_of_the_calendar_of_its_zone() {
        let at = at("2026-11-30T23:30:00Z");
        assert_eq!(day_of(at, &TimeZone::UTC).as_deref(), Some("2026-11-30"));
        assert_eq!(day_of(at, &TimeZone::get("Asia/Tokyo").unwrap()).as_deref(), Some("2026-12-01"));
        assert_eq!(day_of(Wall::END, &TimeZone::UTC), None);
    }

    fn any_amount() -> impl Strategy<Value = i128> {
        prop_oneof![0..1_000_000_i128, 0..1_000_000 * DOLLAR, 0..i128::MAX / 16]
    }

    fn any_days() -> impl Strategy<Value = Vec<DaySpend>> {
        let day = (0..40_i64, any_amount()).prop_map(|(day, amount)| DaySpend {
            start: Wall::from_micros((20_000 + day) * DAY_MICROS),
            spent: PicoDollars(amount),
        });
        prop::collection::vec(day, 0..12)
    }

    proptest! {
        #[test]
        fn a_projection_is_never_less_than_what_is_spent_and_grows_with_it(
            days in any_days(), spent in any_amount(), more in any_amount(), budget in any_amount(),
            start in 0..30 * DAY_MICROS, length in 1..60 * DAY_MICROS, over in 0..60 * DAY_MICROS,
        ) {
            let start = 20_000 * DAY_MICROS + start;
            let period = Period { start: Wall::from_micros(start), end: Wall::from_micros(start + length) };
            let now = Wall::from_micros(start + over % length);
            let budget = Some(PicoDollars(budget));
            let course = Course { period, began: BEGAN, now, spent: PicoDollars(spent), budget, days: &days };
            let Some(projection) = course.project() else {
                let least = (length / YOUNG_PART).clamp(1, YOUNG_MICROS);
                prop_assert!(now.micros() - period.start.micros() < least);
                return Ok(());
            };
            let at_end = projection.at_end.unwrap();
            prop_assert!(at_end >= course.spent && projection.daily_rate >= PicoDollars::ZERO);
            let grown = Course { spent: PicoDollars(spent + more), ..course }.project().unwrap();
            prop_assert!(grown.at_end.unwrap() >= at_end);
            prop_assert!(grown.daily_rate >= projection.daily_rate);
            if let Some(exhausted) = projection.exhausted_at {
                prop_assert!(now <= exhausted && exhausted < period.end);
            }
        }

        #[test]
        fn the_budget_is_spent_within_the_period_exactly_where_the_projection_comes_up_to_it(
            amounts in prop::collection::vec(0..100_000 * DOLLAR, 2..20), budget in 1..3_000_000 * DOLLAR,
            over in 0..DAY_MICROS,
        ) {
            let first = at("2026-11-01T00:00:00Z").micros();
            let days: Vec<DaySpend> = amounts.iter().enumerate().map(|(number, amount)| DaySpend {
                start: Wall::from_micros(first + number as i64 * DAY_MICROS),
                spent: PicoDollars(*amount),
            }).collect();
            let now = Wall::from_micros(first + (amounts.len() as i64 - 1) * DAY_MICROS + over + 1);
            let (period, spent) = (period("1mo", now), sum(&days));
            let course = Course { period, began: BEGAN, now, spent, budget: Some(PicoDollars(budget)), days: &days };
            let projection = course.project().unwrap();
            prop_assert_eq!(projection.exhausted_at.is_some(), projection.at_end.unwrap().0 >= budget);
        }
    }
}
