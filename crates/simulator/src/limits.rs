//! The rate limits that a simulated provider has of its own.
//!
//! Owns: the windows and their counts; the headers that tell of them. Leaves to others: which limit applies (`script`).
//!
//! **Invariant:** a window of one minute begins with the first request that finds none open; within it, never more
//! than the limit is let through. A request that is turned away counts for nothing.

use crate::behaviour::RateLimit;
use crate::error::ApiError;
use crate::surface::Surface;
use crate::wire::{self, Trouble};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(60);
/// Most windows open at once; closed ones go first, and beyond them nothing is limited.
const WINDOWS_MAX: usize = 10_000;
/// What the headers say where nothing is limited.
const UNLIMITED: RateLimit = RateLimit { requests: Some(10_000), tokens: Some(30_000_000) };

/// Whose window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub(crate) surface: Surface,
    pub(crate) credential: String,
    pub(crate) model: String,
    pub(crate) limit: RateLimit,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    ends: Instant,
    requests: u64,
    tokens: u64,
}

/// What is left of a limit after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    limit: RateLimit,
    requests_left: u64,
    tokens_left: u64,
    resets_in: Duration,
}

impl Standing {
    /// The standing where nothing is limited.
    pub(crate) fn unlimited() -> Standing {
        Standing {
            limit: UNLIMITED,
            requests_left: 9_999,
            tokens_left: 29_999_000,
            resets_in: Duration::from_millis(6),
        }
    }

    /// Seconds to wait, whole and at least one.
    pub(crate) fn retry_after(&self) -> u64 {
        self.resets_in.as_secs() + 1
    }

    /// The headers that tell of it; `now` is seconds since 1970.
    pub(crate) fn headers(&self, surface: Surface, now: u64) -> Vec<(String, String)> {
        let kinds = [
            ("requests", self.limit.requests, self.requests_left),
            ("tokens", self.limit.tokens, self.tokens_left),
        ];
        let mut headers = Vec::new();
        for (kind, limit, left) in kinds {
            let Some(limit) = limit else { continue };
            match surface {
                Surface::OpenAi | Surface::Azure => {
                    headers.push((format!("x-ratelimit-limit-{kind}"), limit.to_string()));
                    headers.push((format!("x-ratelimit-remaining-{kind}"), left.to_string()));
                    headers.push((format!("x-ratelimit-reset-{kind}"), in_words(self.resets_in)));
                }
                Surface::Anthropic => {
                    headers.push((format!("anthropic-ratelimit-{kind}-limit"), limit.to_string()));
                    headers.push((format!("anthropic-ratelimit-{kind}-remaining"), left.to_string()));
                    let at = timestamp(now + self.resets_in.as_secs());
                    headers.push((format!("anthropic-ratelimit-{kind}-reset"), at));
                }
                _ => {}
            }
        }
        headers
    }
}

/// The windows.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    windows: Mutex<HashMap<Holder, Window>>,
}

impl Limits {
    /// Lets a request of so many tokens through, or says how things stand.
    pub(crate) fn admit(&self, holder: Holder, tokens: u64) -> Result<Standing, Standing> {
        let now = Instant::now();
        let limit = holder.limit;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= WINDOWS_MAX {
            windows.retain(|_, window| now < window.ends);
            if windows.len() >= WINDOWS_MAX {
                return Ok(Standing::unlimited());
            }
        }
        let fresh = Window { ends: now + WINDOW, requests: 0, tokens: 0 };
        let window = windows.entry(holder).or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        let fits = limit.requests.is_none_or(|most| window.requests < most)
            && limit.tokens.is_none_or(|most| window.tokens + tokens <= most);
        if fits {
            window.requests += 1;
            window.tokens += tokens;
        }
        let left = |most: Option<u64>, used: u64| most.map_or(0, |most| most.saturating_sub(used));
        let standing = Standing {
            limit,
            requests_left: left(limit.requests, window.requests),
            tokens_left: left(limit.tokens, window.tokens),
            resets_in: window.ends - now,
        };
        if fits { Ok(standing) } else { Err(standing) }
    }
}

/// The refusal of a request over the limit.
pub(crate) fn refusal(surface: Surface, model: &str, standing: &Standing) -> ApiError {
    let seconds = standing.retry_after().to_string();
    if let Some(wire) = wire::of(surface) {
        let mut error = wire.error(Trouble::RateLimited);
        error.retry_after = Some(seconds);
        return error;
    }
    let over_requests = standing.limit.requests.is_some() && standing.requests_left == 0;
    let kind = if over_requests { "requests" } else { "tokens" };
    let message = match surface {
        Surface::Anthropic => {
            format!("This request would exceed your organization's rate limit of {kind} per minute.")
        }
        Surface::Azure => format!(
            "Requests have exceeded the {kind} rate limit of your current pricing tier. Please retry after {seconds} \
             seconds."
        ),
        Surface::Gemini => format!("You exceeded your current quota of {kind}. Please retry in {seconds}s."),
        _ => format!("Rate limit reached for {model} on {kind} per min. Please try again in {seconds}s."),
    };
    let mut error = ApiError::new(429, message);
    match surface {
        Surface::Azure => error = error.of_gateway(),
        Surface::OpenAi => error = error.kind(kind),
        _ => {}
    }
    error.retry_after = Some(seconds);
    error
}

/// `6ms`, `1.2s` or `1m0s`
fn in_words(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}s", duration.as_secs_f64()),
        _ => format!("{}m{}s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// A time in the form of RFC 3339, after Howard Hinnant's calendar algorithm for days since 1970.
pub(crate) fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(requests: Option<u64>, tokens: Option<u64>) -> Holder {
        let limit = RateLimit { requests, tokens };
        Holder { surface: Surface::OpenAi, credential: "k".to_owned(), model: "m".to_owned(), limit }
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_lets_just_its_limit_through_and_opens_anew_after_a_minute() {
        let limits = Limits::default();
        let ask = || limits.admit(holder(Some(2), None), 5).is_ok();
        assert_eq!([ask(), ask(), ask()], [true, true, false]);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(ask());
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_limited_and_a_refused_request_counts_for_nothing() {
        let limits = Limits::default();
        let ask = |tokens| limits.admit(holder(None, Some(10)), tokens).is_ok();
        assert_eq!([ask(6), ask(6), ask(4), ask(1)], [true, false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_refusal_says_when_to_come_back() {
        let limits = Limits::default();
        let _ = limits.admit(holder(Some(1), None), 5);
        tokio::time::advance(Duration::from_millis(10_500)).await;
        let standing = limits.admit(holder(Some(1), None), 5).unwrap_err();
        let error = refusal(Surface::OpenAi, "m", &standing);
        assert_eq!((error.status, error.retry_after.as_deref()), (429, Some("50")));
        let headers = standing.headers(Surface::OpenAi, 0);
        assert_eq!(headers[1], ("x-ratelimit-remaining-requests".to_owned(), "0".to_owned()));
        assert_eq!(headers[2].1, "49.5s");
        let headers = standing.headers(Surface::Anthropic, 1_700_000_000);
        assert_eq!(headers[2].1, "2023-11-14T22:14:09Z");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, expect) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(seconds), expect);
        }
        for (ms, expect) in [(6, "6ms"), (1_200, "1.2s"), (61_000, "1m1s")] {
            assert_eq!(in_words(Duration::from_millis(ms)), expect);
        }
    }
}
