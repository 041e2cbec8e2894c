//! Times and shares in the spellings of an operator: `150ms`, `2s`, `5%`, `p95`, `30d`.
//!
//! Owns: their reading. Leaves to others: which key takes which (keys).
//!
//! **Invariant:** a number without a unit means what its key says: seconds, but for the start of a hedge milliseconds.

use std::time::Duration;

use tollgate_policy::period::Cadence;

use crate::routing::HedgeAfter;
use crate::scalar::SECONDS_MAX;
use crate::yaml::Node;

/// The units of a time and their seconds. The longer names of two that end alike come first.
const UNITS: &[(&str, f64)] = &[("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// The percentiles that a hedge may start at. Below half of the answers it would double the load.
const PERCENTILES: std::ops::RangeInclusive<u32> = 50..=99;

/// LiteLLM's words for spans of budgets.
const SPANS: &[(&str, Cadence)] = &[
    ("hourly", Cadence::Hours(1)),
    ("daily", Cadence::Hours(24)),
    ("weekly", Cadence::Days(7)),
    ("monthly", Cadence::Days(30)),
];

/// The span of a budget: a number with `s`, `m`, `h`, `d`, `w` or `mo`, or one of LiteLLM's words.
pub(crate) fn cadence(text: &str) -> Option<Cadence> {
    let word = SPANS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
    word.map(|(_, span)| *span).or_else(|| Cadence::parse(text).ok())
}

impl Node {
    /// Seconds, or a number with `ms`, `s`, `m` or `h`; at least 0.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.number().map_or_else(|| with_unit(self.text()?), seconds)
    }

    /// A number from 0 to 1, or a number of percent with its sign.
    pub(crate) fn share(&self) -> Option<f64> {
        let share = match self.text()?.strip_suffix('%') {
            Some(percent) => plain_number(percent)? / 100.0,
            None => self.number()?,
        };
        (0.0..=1.0).contains(&share).then_some(share)
    }

    /// Milliseconds, a time with its unit, or `p50` to `p99`.
    pub(crate) fn hedge_after(&self) -> Option<HedgeAfter> {
        if let Some(milliseconds) = self.number() {
            return seconds(milliseconds / 1000.0).map(HedgeAfter::Delay);
        }
        let text = self.text()?;
        match text.strip_prefix('p').and_then(|percent| percent.parse::<u32>().ok()) {
            Some(percent) if PERCENTILES.contains(&percent) => {
                Some(HedgeAfter::Quantile(f64::from(percent) / 100.0))
            }
            Some(_) => None,
            None => with_unit(text).map(HedgeAfter::Delay),
        }
    }
}

fn with_unit(text: &str) -> Option<Duration> {
    let (number, unit) = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    seconds(plain_number(number)? * unit)
}

fn seconds(number: f64) -> Option<Duration> {
    (0.0..=SECONDS_MAX).contains(&number).then(|| Duration::try_from_secs_f64(number).ok()).flatten()
}

/// Digits with at most one point, as they stand before a unit.
fn plain_number(text: &str) -> Option<f64> {
    let text = text.trim_end();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Budget, parse};

    /// The value of `a: text`.
    fn node(text: &str) -> Node {
        let root = parse(&format!("a: {text}\n"), 0, &mut Budget::default()).expect("YAML").expect("a value");
        root.get("a").expect("the key").clone()
    }

    #[test]
    fn a_time_is_seconds_or_has_its_unit() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(node(text).duration(), expect.map(Duration::from_millis), "{text}");
        };
        check("3", Some(3000));
        check("0.25", Some(250));
        check("'3'", Some(3000));
        check("0", Some(0));
        check("150ms", Some(150));
        check("2s", Some(2000));
        check("1.5s", Some(1500));
        check("2 s", Some(2000));
        check("5m", Some(300_000));
        check("1h", Some(3_600_000));
        for text in ["-1", "-1s", "s", "ms", "1d", "2 seconds", "1e3s", "1e10", ".s", "1.2.3s", "", "[]", "~"]
        {
            check(text, None);
        }
    }

    #[test]
    fn a_share_is_a_fraction_or_percent() {
        let check = |text: &str, expect: Option<f64>| assert_eq!(node(text).share(), expect, "{text}");
        check("0.05", Some(0.05));
        check("5%", Some(0.05));
        check("'5 %'", Some(0.05));
        check("0", Some(0.0));
        check("1", Some(1.0));
        check("100%", Some(1.0));
        for text in ["5", "101%", "-1%", "-0.1", "1.01", "'%'", "five", "{}"] {
            check(text, None);
        }
    }

    #[test]
    fn a_hedge_starts_after_milliseconds_a_time_or_a_percentile() {
        let delay = |milliseconds| Some(HedgeAfter::Delay(Duration::from_millis(milliseconds)));
        let check =
            |text: &str, expect: Option<HedgeAfter>| assert_eq!(node(text).hedge_after(), expect, "{text}");
        check("150", delay(150));
        check("'150'", delay(150));
        check("150ms", delay(150));
        check("2s", delay(2000));
        check("0", delay(0));
        check("p95", Some(HedgeAfter::Quantile(0.95)));
        check("p50", Some(HedgeAfter::Quantile(0.5)));
        check("p99", Some(HedgeAfter::Quantile(0.99)));
        for text in ["p49", "p100", "p", "pp95", "95%", "-5", "soon", "[p95]"] {
            check(text, None);
        }
    }
}
