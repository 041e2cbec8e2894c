//! Prices at certain hours of certain days (`off_peak_pricing`).
//!
//! Owns the hours and what they take the place of: an off-peak price stands for every price of its kind, whatever the
//! prompt's length and the tier, as at LiteLLM. Leaves what time it is to others.
//!
//! **Invariant:** the hours are UTC; a window's start is in it and its end is not.

use serde_json::value::RawValue;

use super::keys::RateKey;
use super::reading::{Draft, Fields, form, number};
use super::{PriceError, Prices, Rare};
use crate::money::Price;

const KEY: &str = "off_peak_pricing";
const FORM: &str = "an object with `hours_utc` or `windows`, and prices per token";
const DAY_MINUTES: i64 = 24 * 60;
/// Every day of the week, a bit each; Monday is the lowest.
const EVERY_DAY: u8 = 0b111_1111;

/// Hours, and the prices that hold then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OffPeak {
    windows: Vec<Window>,
    /// How far the calendar by which weekdays are told is ahead of UTC.
    ahead_minutes: i64,
    /// What was written.
    rates: Vec<(RateKey, Price)>,
    /// All prices at those hours.
    prices: Prices,
}

/// Hours of certain days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// Minutes after midnight; a window that does not end after it began lasts into the next day, or all day.
    from: i64,
    to: i64,
    days: u8,
}

impl OffPeak {
    /// Reads the object; `None` if it has no window or no price.
    pub(super) fn read(json: &str) -> Result<Option<OffPeak>, PriceError> {
        let fields: Fields<'_> = serde_json::from_str(json).map_err(|_| form(KEY, FORM))?;
        let mut windows = Vec::new();
        if let Some(hours) = fields.get("hours_utc") {
            add_windows(&mut windows, hours, EVERY_DAY)?;
        }
        if let Some(rules) = fields.get("windows") {
            let rules: Vec<Fields<'_>> = serde_json::from_str(rules.get()).map_err(|_| form(KEY, FORM))?;
            for rule in rules {
                let days = rule.get("weekdays").map_or(Ok(EVERY_DAY), |days| weekdays(days))?;
                if let Some(hours) = rule.get("hours_utc") {
                    add_windows(&mut windows, hours, days)?;
                }
            }
        }
        let mut rates = Vec::new();
        for (name, value) in &fields {
            if let Some(key) = RateKey::parse(name).filter(|key| !key.dimension.is_unit()) {
                rates.push((key, number(name, value.get())?));
            }
        }
        let zone = fields.get("weekday_timezone").map_or("UTC", |zone| zone.get().trim_matches('"'));
        let off_peak =
            OffPeak { windows, ahead_minutes: ahead_of_utc(zone), rates, prices: Prices::default() };
        let says_something = !off_peak.windows.is_empty() && !off_peak.rates.is_empty();
        Ok(says_something.then_some(off_peak))
    }

    /// Works the prices at those hours out of all others.
    pub(super) fn complete(&mut self, draft: &Draft) {
        let rare = Rare { off_peak: None, ..draft.rare.clone() };
        let mut flat = Draft { rates: draft.rates.clone(), rare };
        flat.flatten(self.rates.iter().copied());
        self.prices = flat.finish();
    }

    /// The same hours at other prices.
    pub(super) fn with(self, change: impl FnOnce(&Prices) -> Prices) -> Self {
        Self { prices: change(&self.prices), ..self }
    }

    /// Whether a moment, in seconds since 1970, lies in one of the windows.
    fn is_open(&self, unix_seconds: i64) -> bool {
        let minutes = unix_seconds.div_euclid(60);
        let minute = minutes.rem_euclid(DAY_MINUTES);
        // 1970 began on a Thursday.
        let day = ((minutes + self.ahead_minutes).div_euclid(DAY_MINUTES) + 3).rem_euclid(7);
        self.windows.iter().any(|window| {
            let is_within = if window.from < window.to {
                (window.from..window.to).contains(&minute)
            } else {
                minute >= window.from || minute < window.to
            };
            is_within && window.days & (1 << day) != 0
        })
    }
}

impl Prices {
    /// The prices at a moment, in seconds since 1970: these, or those of off-peak hours.
    pub fn at(&self, unix_seconds: i64) -> &Prices {
        let off_peak = self.rare.as_deref().and_then(|rare| rare.off_peak.as_ref());
        off_peak.filter(|off_peak| off_peak.is_open(unix_seconds)).map_or(self, |off_peak| &off_peak.prices)
    }

    /// The prices of off-peak hours, where there are any.
    pub(crate) fn off_peak(&self) -> Option<&Prices> {
        self.rare.as_deref()?.off_peak.as_ref().map(|off_peak| &off_peak.prices)
    }
}

/// `"16:30-00:30"`, or a list of such.
fn add_windows(windows: &mut Vec<Window>, json: &RawValue, days: u8) -> Result<(), PriceError> {
    let wrong = || form(KEY, "hours such as `16:30-00:30`, or a list of them");
    let one: Result<String, _> = serde_json::from_str(json.get());
    let texts = match one {
        Ok(text) => vec![text],
        Err(_) => serde_json::from_str(json.get()).map_err(|_| wrong())?,
    };
    for text in texts {
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
        windows.push(Window { from, to, days });
    }
    Ok(())
}

/// Minutes after midnight of `16:30`.
fn minute(text: &str) -> Option<i64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 60 + minutes)
}

/// Numbers from 1 for Monday, or names of days.
fn weekdays(json: &RawValue) -> Result<u8, PriceError> {
    let wrong = || form(KEY, "weekdays as a list of 1 (Monday) to 7, or of their names");
    let days: Vec<serde_json::Value> = serde_json::from_str(json.get()).map_err(|_| wrong())?;
    days.iter().try_fold(0, |all, day| {
        let number = match day {
            serde_json::Value::String(name) => NAMES.iter().position(|known| {
                let name = name.trim().to_ascii_lowercase();
                name.len() >= known.len() && name.starts_with(known)
            }),
            other => other.as_u64().and_then(|day| usize::try_from(day.checked_sub(1)?).ok()),
        };
        number.filter(|number| *number < 7).map(|number| all | 1 << number).ok_or_else(wrong)
    })
}

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// How far a zone is ahead of UTC, of those without summer time that providers tell weekdays by; others count as UTC.
fn ahead_of_utc(zone: &str) -> i64 {
    match zone {
        "Asia/Shanghai" | "Asia/Hong_Kong" | "Asia/Singapore" | "Asia/Taipei" | "PRC" => 8 * 60,
        "Asia/Tokyo" | "Asia/Seoul" => 9 * 60,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_hours_of_days() {
        // 2026-11-23 is a Monday; 1_795_392_000 is its midnight.
        const MONDAY: i64 = 1_795_392_000;
        let check = |json: &str, (day, hour, minute): (i64, i64, i64), expect: bool| {
            let json = format!(r#"{{"input_cost_per_token":1,{json}}}"#);
            let off_peak = OffPeak::read(&json).expect("a form").expect("a window");
            let at = MONDAY + ((day * 24 + hour) * 60 + minute) * 60;
            assert_eq!(off_peak.is_open(at), expect, "{json} {day} {hour}:{minute}");
        };
        let plain = r#""hours_utc":"16:30-20:00""#;
        check(plain, (0, 16, 29), false);
        check(plain, (0, 16, 30), true);
        check(plain, (6, 19, 59), true);
        check(plain, (0, 20, 0), false);
        let wrapped = r#""hours_utc":["23:00-01:30"]"#;
        check(wrapped, (0, 23, 0), true);
        check(wrapped, (0, 1, 29), true);
        check(wrapped, (0, 1, 30), false);
        let weekend = r#""windows":[{"hours_utc":"00:00-00:00","weekdays":[6,"Sunday"]}]"#;
        check(weekend, (4, 23, 59), false);
        check(weekend, (5, 0, 0), true);
        check(weekend, (6, 23, 59), true);
        check(weekend, (7, 0, 0), false);
        // Friday 16:00 UTC is Saturday in Shanghai.
        let there = r#""weekday_timezone":"Asia/Shanghai","windows":[{"hours_utc":"00:00-00:00","weekdays":["sat"]}]"#;
        check(there, (4, 15, 59), false);
        check(there, (4, 16, 0), true);
        check(there, (5, 16, 0), false);
    }

    #[test]
    fn a_wrong_window_is_an_error_and_none_is_none() {
        for wrong in [
            "[]",
            r#"{"hours_utc":"16:30","input_cost_per_token":1}"#,
            r#"{"hours_utc":"25:00-26:00","input_cost_per_token":1}"#,
            r#"{"windows":[{"hours_utc":"00:00-00:00","weekdays":[8]}]}"#,
            r#"{"hours_utc":"00:00-00:00","input_cost_per_token":-1}"#,
        ] {
            assert!(OffPeak::read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(OffPeak::read("{}"), Ok(None));
        assert_eq!(OffPeak::read(r#"{"hours_utc":"00:00-00:00"}"#), Ok(None));
    }
}
