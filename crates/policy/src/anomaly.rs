//! Who spends far more than is usual: for itself, and for the organization.
//!
//! Owns the judgement on one spender. Leaves to others what was spent, who is compared with whom, and what follows.
//!
//! Usual is a median, and how far values lie around it the median of their distances from it (MAD): neither is moved by a
//! few wild days, where a mean and a standard deviation are, by the very thing that is looked for. A value is an outlier
//! where its modified z-score, `0.6745 (x - median) / MAD`, is above 3.5: B. Iglewicz and D. C. Hoaglin, "How to Detect and
//! Handle Outliers", ASQC Basic References in Quality Control 16, 1993; see also NIST/SEMATECH, e-Handbook of Statistical
//! Methods, 1.3.5.17. Where most days are alike their MAD is next to nothing and any change would be an outlier: it counts
//! as a tenth of the median at least.
//!
//! **Invariant:** no amount passes through a float. **Invariant:** nobody is judged by fewer than
//! [`AnomalyRule::samples_min`] values, and nobody for less than the floor.

use tollgate_catalog::PicoDollars;

/// 3.5 / 0.6745, as the ratio of two whole numbers.
const SCORE: (i128, i128) = (35_000, 6_745);
/// The least that a MAD counts as, as a part of its median.
const MAD_FLOOR: i128 = 10;

/// When somebody's spend is an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnomalyRule {
    /// Above so many times what is usual.
    pub factor: u32,
    /// And not below this, whatever is usual.
    pub floor: PicoDollars,
    /// So few values say nothing of what is usual.
    pub samples_min: usize,
}

impl Default for AnomalyRule {
    /// Ten times what is usual, from one dollar on; three values at least.
    fn default() -> Self {
        Self { factor: 10, floor: PicoDollars(1_000_000_000_000), samples_min: 3 }
    }
}

/// What is usual, of values of the same kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    /// The middle of the values.
    pub median: PicoDollars,
    /// The middle of their distances from it.
    pub mad: PicoDollars,
    /// How many there were.
    pub samples: usize,
}

impl Usual {
    /// Of these values in any order; none of no values.
    pub fn of(mut values: Vec<PicoDollars>) -> Option<Self> {
        let median = median(&mut values)?;
        let samples = values.len();
        for value in &mut values {
            *value = PicoDollars(value.0.saturating_sub(median.0).saturating_abs());
        }
        Some(Self { median, mad: self::median(&mut values)?, samples })
    }

    /// What is usual in a part of the time: one in so many.
    #[must_use]
    pub fn part(self, of: u32) -> Self {
        let of = i128::from(of.max(1));
        Self { median: PicoDollars(self.median.0 / of), mad: PicoDollars(self.mad.0 / of), ..self }
    }

    /// Whether the modified z-score of a value is above 3.5.
    fn is_outlier(&self, value: PicoDollars) -> bool {
        let mad = self.mad.0.max(self.median.0 / MAD_FLOOR);
        let above = value.0.saturating_sub(self.median.0);
        above.saturating_mul(SCORE.1) > mad.saturating_mul(SCORE.0)
    }
}

/// The middle of some values; of two in the middle the mean, rounded down.
fn median(values: &mut [PicoDollars]) -> Option<PicoDollars> {
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable(middle);
    let upper = *upper;
    let lower = below.iter().max().filter(|_| is_even).copied().unwrap_or(upper);
    // Without a sum, which might not be held.
    Some(PicoDollars(lower.0.saturating_add(upper.0.saturating_sub(lower.0) / 2)))
}

/// What somebody has spent, and what is known to compare it with.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// Spent in the time that is looked at.
    pub spent: PicoDollars,
    /// What is usual in as much time for the same one.
    pub own: Option<Usual>,
    /// What is usual in as much time for the others of its organization.
    pub others: Option<Usual>,
}

impl AnomalyRule {
    /// What would be usual, where this is an anomaly: the larger of what is usual for oneself and for the others.
    ///
    /// It has to be far above both. Somebody who is new is compared with the others alone, and who is alone with itself;
    /// where neither is known, nothing is said.
    pub fn judge(&self, sighting: &Sighting) -> Option<PicoDollars> {
        let is_enough = |usual: &Usual| usual.samples >= self.samples_min.max(1);
        let known = || [sighting.own, sighting.others].into_iter().flatten().filter(is_enough);
        let usual = known().map(|usual| usual.median).max()?;
        let is_far = sighting.spent.0 > usual.0.saturating_mul(i128::from(self.factor.max(1)));
        let is_anomaly =
            sighting.spent >= self.floor && is_far && known().all(|usual| usual.is_outlier(sighting.spent));
        is_anomaly.then_some(usual)
    }
}

/// LiteLLM's rule: a day that is so many times the average of one's own days before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AverageRule {
    /// Above so many times the average, in millionths.
    pub factor_millionths: u64,
    /// And not below this, whatever the average is.
    pub floor: PicoDollars,
    /// So many days before this one are looked at.
    pub days: u32,
}

impl Default for AverageRule {
    /// LiteLLM's: three times the average of a week, from ten dollars on.
    fn default() -> Self {
        Self { factor_millionths: 3_000_000, floor: PicoDollars(10_000_000_000_000), days: 7 }
    }
}

impl AverageRule {
    /// The average, where a day is an anomaly. `days` are those before it on which anything was spent; of somebody who is
    /// new there are none, and nothing is usual.
    pub fn judge(&self, spent: PicoDollars, days: &[PicoDollars]) -> Option<PicoDollars> {
        if spent < self.floor || spent <= PicoDollars::ZERO {
            return None;
        }
        let sum = days.iter().fold(0_i128, |sum, day| sum.saturating_add(day.0));
        let count = i128::try_from(days.len()).unwrap_or(i128::MAX);
        let all = spent.0.saturating_mul(count).saturating_mul(1_000_000);
        let is_far = days.is_empty() || all > sum.saturating_mul(i128::from(self.factor_millionths));
        is_far.then(|| PicoDollars(sum / count.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litellms_rule_holds_a_day_against_the_average_of_the_days_before_it() {
        let dollars = |text: &str| PicoDollars::parse_dollars(text).unwrap();
        let check = |spent: &str, days: &[&str], expect: Option<&str>| {
            let days: Vec<PicoDollars> = days.iter().map(|day| dollars(day)).collect();
            let found = AverageRule::default().judge(dollars(spent), &days);
            assert_eq!(found, expect.map(dollars), "{spent} after {days:?}");
        };
        check("9.99", &["0.1"], None);
        check("10", &[], Some("0"));
        check("30", &["10", "10"], None);
        check("30.000000000001", &["10", "10"], Some("10"));
        // Only days on which anything was spent are days.
        check("31", &["5", "15"], Some("10"));
        check("0", &[], None);
        let half = AverageRule { factor_millionths: 1_500_000, floor: dollars("1"), days: 7 };
        assert_eq!(half.judge(dollars("1.5"), &[dollars("1")]), None);
        assert_eq!(half.judge(dollars("1.51"), &[dollars("1")]), Some(dollars("1")));
    }
    use proptest::prelude::*;

    fn dollars(text: &str) -> PicoDollars {
        PicoDollars::parse_dollars(text).unwrap()
    }

    fn usual(values: &[&str]) -> Option<Usual> {
        Usual::of(values.iter().map(|value| dollars(value)).collect())
    }

    #[test]
    fn usual_is_the_middle_and_the_middle_distance_from_it() {
        let check = |values: &[&str], median: &str, mad: &str| {
            let expected = Usual { median: dollars(median), mad: dollars(mad), samples: values.len() };
            assert_eq!(usual(values), Some(expected), "{values:?}");
        };
        check(&["7"], "7", "0");
        check(&["1", "3"], "2", "1");
        check(&["3", "1", "2"], "2", "1");
        check(&["1", "1", "2", "2", "4", "6", "9"], "2", "1");
        // One wild day among many moves nothing.
        check(&["1", "1.1", "0.9", "1", "1000"], "1", "0.1");
        check(&["0", "0", "0", "5"], "0", "0");
        assert_eq!(usual(&[]), None);
    }

    #[test]
    fn a_part_of_the_time_has_a_part_of_what_is_usual() {
        let day = usual(&["8", "16", "16"]).unwrap();
        let expected = Usual { median: dollars("2"), mad: PicoDollars::ZERO, samples: 3 };
        assert_eq!(day.part(8), expected);
        assert_eq!(day.part(0), day);
    }

    #[test]
    fn an_anomaly_is_far_above_what_is_usual_for_oneself_and_for_the_others() {
        const STEADY: &[&str] = &["0.9", "1", "1.1", "1", "1"];
        const DEAR: &[&str] = &["30", "25", "40", "35", "30"];
        const IDLE: &[&str] = &["0", "0", "0", "0", "0"];
        const WILD: &[&str] = &["0.1", "1", "1", "9", "14"];
        let check = |spent: &str, own: &[&str], others: &[&str], expected: Option<&str>| {
            let sighting = Sighting { spent: dollars(spent), own: usual(own), others: usual(others) };
            let found = AnomalyRule::default().judge(&sighting);
            assert_eq!(found, expected.map(dollars), "{spent} {own:?} {others:?}");
        };
        // The homework tutor: one user at 25 times.
        check("25", STEADY, STEADY, Some("1"));
        check("10.01", STEADY, STEADY, Some("1"));
        check("10", STEADY, STEADY, None);
        // Usual for itself, or for the others.
        check("300", DEAR, STEADY, None);
        check("300.01", DEAR, STEADY, Some("30"));
        check("25", STEADY, DEAR, None);
        // Days on which it was wild before do not make it usual, ten times the middle does.
        check("10.01", WILD, IDLE, Some("1"));
        check("41.52", &["0.1", "0.1", "1", "40", "70"], IDLE, Some("1"));
        check("41.51", &["0.1", "0.1", "4", "11.8", "70"], IDLE, Some("4"));
        check("40", &["0.1", "0.1", "4", "11.8", "70"], IDLE, None);
        // Below the floor nothing is.
        check("0.99", IDLE, IDLE, None);
        check("1", IDLE, IDLE, Some("0"));
    }

    #[test]
    fn few_values_say_nothing() {
        let check = |own: &[&str], others: &[&str], expected: Option<&str>| {
            let sighting = Sighting { spent: dollars("25"), own: usual(own), others: usual(others) };
            let found = AnomalyRule::default().judge(&sighting);
            assert_eq!(found, expected.map(dollars), "{own:?} {others:?}");
        };
        // New: the others alone are compared with; alone: oneself.
        check(&[], &["1", "1", "2"], Some("1"));
        check(&["30", "30"], &["1", "1", "2"], Some("1"));
        check(&["1", "1", "2"], &[], Some("1"));
        check(&["1", "1", "2"], &["40", "40"], Some("1"));
        check(&["1", "1"], &["1", "1"], None);
        check(&[], &[], None);
    }

    #[test]
    fn spread_keeps_what_a_factor_alone_would_not() {
        // The median is 1, the MAD 3: 16.6 are 3.5 of it.
        let wild = Usual { median: dollars("1"), mad: dollars("3"), samples: 9 };
        let rule = AnomalyRule::default();
        let judge = |spent: &str| {
            rule.judge(&Sighting { spent: dollars(spent), own: Some(wild), others: None }).is_some()
        };
        assert_eq!([judge("11"), judge("16.5"), judge("16.6")], [false, false, true]);
    }

    fn any_values() -> impl Strategy<Value = Vec<PicoDollars>> {
        prop::collection::vec((0..i128::from(u64::MAX)).prop_map(PicoDollars), 0..40)
    }

    proptest! {
        #[test]
        fn a_median_has_half_of_the_values_on_each_side(values in any_values()) {
            let Some(usual) = Usual::of(values.clone()) else {
                prop_assert!(values.is_empty());
                return Ok(());
            };
            let below = values.iter().filter(|value| **value < usual.median).count();
            let above = values.iter().filter(|value| **value > usual.median).count();
            prop_assert!(2 * below <= values.len() && 2 * above <= values.len());
            prop_assert!(usual.mad >= PicoDollars::ZERO);
        }

        #[test]
        fn whoever_spends_more_is_judged_no_milder(
            own in any_values(), others in any_values(), spent in 0..i128::MAX / 2, more in 0..i128::MAX / 2,
        ) {
            let (own, others, rule) = (Usual::of(own), Usual::of(others), AnomalyRule::default());
            let judged = |spent: i128| rule.judge(&Sighting { spent: PicoDollars(spent), own, others });
            let (less, greater) = (judged(spent), judged(spent + more));
            prop_assert!(less.is_none() || greater == less);
            if let Some(usual) = greater {
                prop_assert!(spent + more >= rule.floor.0 && spent + more > 10 * usual.0);
            }
        }

        #[test]
        fn one_wild_value_among_many_moves_a_median_no_further_than_its_neighbours(
            mut values in prop::collection::vec(0..1_000_000_i128, 5..30), wild in 0..i128::MAX / 2,
        ) {
            values.sort_unstable();
            let all = |more: Option<i128>| {
                Usual::of(values.iter().copied().chain(more).map(PicoDollars).collect()).unwrap()
            };
            let moved = all(Some(wild)).median.0;
            let middle = values.len() / 2;
            prop_assert!((values[middle - 1]..=values[middle + 1]).contains(&moved));
        }
    }
}
