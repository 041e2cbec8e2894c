//! What a provider's headers say of its limits: when nothing is left, and until when.
//!
//! Owns the spellings: OpenAI's `x-ratelimit-*` (documentation, "Rate limits": `1s`, `6m0s`, `20ms`) and Anthropic's
//! `anthropic-ratelimit-*` (API reference, "Rate limits": a time by RFC 3339). **Invariant:** what cannot be read says
//! nothing.

use http::{HeaderMap, HeaderName};
use std::time::{Duration, SystemTime};

/// Longest pause that a header is believed.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// The names of what is left, and of when there is more.
const PAIRS: [(&str, &str); 7] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// How all of them begin.
const PREFIXES: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];

/// How long nothing more is to be had, by the headers of any reply; none where something is left.
pub(crate) fn exhausted_for(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    // Most replies have none of them, and every reply is looked at.
    let speaks = |name: &HeaderName| PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
    if !headers.keys().any(speaks) {
        return None;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let used_up = PAIRS.iter().filter(|(left, _)| text(left) == Some("0"));
    let resets = used_up.filter_map(|(_, reset)| until(text(reset)?, now));
    resets.max().filter(|pause| !pause.is_zero()).map(|pause| pause.min(PAUSE_MAX))
}

fn until(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        // A small number is seconds from now, a large one a time of Unix.
        let since_now = if number > 1e9 { number - unix(now) } else { number };
        return Duration::try_from_secs_f64(since_now.max(0.0)).ok();
    }
    spelled(text).or_else(|| at(text).map(|at| Duration::from_secs_f64((at - unix(now)).clamp(0.0, 1e9))))
}

fn unix(now: SystemTime) -> f64 {
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// `1h2m3.5s`, `20ms`.
fn spelled(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let units = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, more) = after.split_at_checked(units)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = more;
    }
    Duration::try_from_secs_f64(total).ok()
}

/// `2026-11-22T12:00:05Z` in seconds of Unix.
fn at(text: &str) -> Option<f64> {
    let (date, time) = text.split_once('T')?;
    let time = time.strip_suffix('Z').or_else(|| time.strip_suffix("+00:00"))?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':').map(|part| part.parse::<f64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // Days since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil).
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days as f64 * 86_400.0 + hour * 3_600.0 + minute * 60.0 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_begins_as_it_is_looked_for() {
        for name in PAIRS.iter().flat_map(|(left, reset)| [left, reset]) {
            assert!(PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{name}");
        }
    }

    #[test]
    fn what_is_used_up_pauses_until_its_reset_and_what_is_left_does_not() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_348_800);
        let check = |rows: &[(&'static str, &str)], expect: Option<f64>| {
            let headers: HeaderMap =
                rows.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let pause = exhausted_for(&headers, now).map(|pause| pause.as_secs_f64());
            assert_eq!(pause, expect, "{rows:?}");
        };
        check(&[], None);
        let requests =
            |left, reset| [("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", reset)];
        check(&requests("1", "6m0s"), None);
        check(&requests("0", "6m0s"), Some(360.0));
        check(&requests("0", "20ms"), Some(0.02));
        check(&requests("0", "1m1.5s"), Some(61.5));
        check(&requests("0", "7"), Some(7.0));
        check(&requests("0", "0s"), None);
        check(&requests("0", "soon"), None);
        check(&requests("0", "9h"), Some(3_600.0));
        check(&requests("0", "1795348810"), Some(10.0));
        check(
            &[
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-22T12:00:05Z"),
            ],
            Some(5.0),
        );
        check(
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "2s"),
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "5s"),
            ],
            Some(5.0),
        );
    }
}
