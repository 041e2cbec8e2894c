//! The attempts of one request within one model group: which deployment first, which next, how long to wait, when to
//! stop.
//!
//! `AttemptPlan::first` and `AttemptPlan::after_failure` are the whole of it. A retry goes to a deployment that has not
//! failed this request yet where there is one, at once; only when none is left does it come back to one that may
//! recover, after a wait. **Invariant:** no wait is planned that is not followed by an attempt, and none that ends
//! after the deadline.

use crate::shuffle::{Share, choose};
use std::time::Duration;

/// Most attempts of one request, whatever is configured (retries, fallbacks and hedges counted together).
pub const SENDS_PER_REQUEST_MAX: u32 = 6;
/// First step of the backoff; doubled with every further wait ("full jitter", AWS Architecture Blog, 2015).
pub const BACKOFF_BASE: Duration = Duration::from_millis(100);
/// Longest step of the backoff.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Longest Retry-After that is waited for in place; a longer one is passed on to the caller (LiteLLM's bound).
pub const RETRY_AFTER_WAIT_MAX: Duration = Duration::from_secs(60);

/// What a failed attempt allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryVerdict {
    /// The caller's fault, or nothing another attempt could mend.
    Never,
    /// This deployment will not recover within the request (401, 403, 404): another may answer.
    Elsewhere,
    /// Another deployment at once, or this one again after a wait (5xx, timeouts, resets, 429).
    Anywhere,
}

/// A deployment as the plan sees it: only its share of the choice.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    share: Share,
    failures: u32,
    may_recover: bool,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Send to the deployment at `position` after waiting `wait`.
    Retry {
        /// Position in the list that the plan was made from.
        position: usize,
        /// How long to wait first; zero when going to a fresh deployment.
        wait: Duration,
    },
    /// Give the failure to the caller (or to a fallback group).
    Stop,
}

/// How often and how patiently to retry.
#[derive(Debug, Clone, Copy)]
pub struct RetryRules {
    /// Further attempts after the first.
    pub num_retries: u32,
    /// The least wait before going back to a deployment that failed (LiteLLM's `retry_after`).
    pub wait_min: Duration,
}

/// What is known when an attempt has failed.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt {
    /// Which deployment it was.
    pub position: usize,
    /// What it allows.
    pub verdict: RetryVerdict,
    /// The provider's own word on when to come back.
    pub retry_after: Option<Duration>,
    /// What is left of the request's time.
    pub time_left: Duration,
}

/// The attempts of one request within one model group.
#[derive(Debug, Clone)]
pub struct AttemptPlan {
    candidates: Vec<Candidate>,
    rules: RetryRules,
    sends: u32,
    waits: u32,
}

impl AttemptPlan {
    /// A plan over the deployments whose shares are given, in their order.
    pub fn new(shares: impl IntoIterator<Item = Share>, rules: RetryRules) -> Self {
        let candidates =
            shares.into_iter().map(|share| Candidate { share, failures: 0, may_recover: true }).collect();
        Self { candidates, rules, sends: 0, waits: 0 }
    }

    /// The first deployment to send to; `None` when the group has none. `draw` is uniform in `0..1`.
    pub fn first(&mut self, draw: f64) -> Option<usize> {
        let position = self.choose_among(draw, |candidate| candidate.failures == 0)?;
        self.sends += 1;
        Some(position)
    }

    /// As [`Self::first`], but at a deployment that has what the request continues; another one follows its failure.
    pub fn first_at(&mut self, position: usize) -> Option<usize> {
        self.candidates.get(position)?;
        self.sends += 1;
        Some(position)
    }

    /// What follows a failed attempt. `draw` is uniform in `0..1`.
    pub fn after_failure(&mut self, failed: FailedAttempt, draw: f64) -> NextStep {
        if let Some(candidate) = self.candidates.get_mut(failed.position) {
            candidate.failures += 1;
            candidate.may_recover = failed.verdict == RetryVerdict::Anywhere;
        }
        let sends_max = self.rules.num_retries.saturating_add(1).min(SENDS_PER_REQUEST_MAX);
        if failed.verdict == RetryVerdict::Never || self.sends >= sends_max {
            return NextStep::Stop;
        }
        let step = match self.choose_among(draw, |candidate| candidate.failures == 0) {
            Some(position) => NextStep::Retry { position, wait: Duration::ZERO },
            None => self.return_to_one(failed, draw),
        };
        if let NextStep::Retry { .. } = step {
            self.sends += 1;
        }
        step
    }

    /// Attempts after the first so far.
    pub fn retries(&self) -> u32 {
        self.sends.saturating_sub(1)
    }

    /// Every deployment has failed this request: back to one that may recover, after a wait.
    fn return_to_one(&mut self, failed: FailedAttempt, draw: f64) -> NextStep {
        let Some(position) = self.choose_among(draw, |candidate| candidate.may_recover) else {
            return NextStep::Stop;
        };
        let backoff = BACKOFF_BASE
            .saturating_mul(1 << self.waits.min(16))
            .min(BACKOFF_MAX)
            .mul_f64(draw.clamp(0.0, 1.0));
        let asked = if position == failed.position { failed.retry_after } else { None };
        let wait = asked.unwrap_or(backoff).max(self.rules.wait_min);
        if asked.is_some_and(|asked| asked > RETRY_AFTER_WAIT_MAX) || wait >= failed.time_left {
            return NextStep::Stop;
        }
        self.waits += 1;
        NextStep::Retry { position, wait }
    }

    fn choose_among(&self, draw: f64, wanted: impl Fn(&Candidate) -> bool) -> Option<usize> {
        if let [only] = self.candidates.as_slice() {
            return wanted(only).then_some(0);
        }
        let positions: Vec<usize> = (0..self.candidates.len())
            .filter(|&position| self.candidates.get(position).is_some_and(&wanted))
            .collect();
        let shares: Vec<Share> =
            positions.iter().filter_map(|&position| Some(self.candidates.get(position)?.share)).collect();
        positions.get(choose(&shares, draw)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn plan(deployments: usize, num_retries: u32) -> AttemptPlan {
        let rules = RetryRules { num_retries, wait_min: Duration::ZERO };
        AttemptPlan::new(vec![Share::default(); deployments], rules)
    }

    fn failed(position: usize, verdict: RetryVerdict) -> FailedAttempt {
        FailedAttempt { position, verdict, retry_after: None, time_left: LONG }
    }

    fn position_of(step: NextStep) -> usize {
        match step {
            NextStep::Retry { position, .. } => position,
            NextStep::Stop => panic!("stopped"),
        }
    }

    #[test]
    fn a_retry_goes_at_once_to_a_deployment_that_has_not_failed() {
        for draw in [0.0, 0.4, 0.99] {
            let mut plan = plan(3, 5);
            let first = plan.first(draw).unwrap();
            let NextStep::Retry { position: second, wait } =
                plan.after_failure(failed(first, RetryVerdict::Anywhere), draw)
            else {
                panic!("stopped");
            };
            assert_eq!(wait, Duration::ZERO);
            let third = position_of(plan.after_failure(failed(second, RetryVerdict::Anywhere), draw));
            let mut seen = [first, second, third];
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2]);
        }
    }

    #[test]
    fn the_callers_fault_is_never_retried() {
        let mut plan = plan(3, 5);
        let first = plan.first(0.0).unwrap();
        assert_eq!(plan.after_failure(failed(first, RetryVerdict::Never), 0.5), NextStep::Stop);
    }

    #[test]
    fn a_refused_credential_goes_elsewhere_and_never_comes_back() {
        let mut plan = plan(2, 5);
        assert_eq!(plan.first(0.0), Some(0));
        assert_eq!(position_of(plan.after_failure(failed(0, RetryVerdict::Elsewhere), 0.0)), 1);
        for _ in 0..3 {
            assert_eq!(position_of(plan.after_failure(failed(1, RetryVerdict::Anywhere), 0.0)), 1);
        }
        let mut alone = self::plan(1, 5);
        assert_eq!(alone.first(0.0), Some(0));
        assert_eq!(alone.after_failure(failed(0, RetryVerdict::Elsewhere), 0.0), NextStep::Stop);
    }

    #[test]
    fn sends_are_one_plus_retries_and_never_more_than_six() {
        for (num_retries, expected) in [(0, 1), (2, 3), (3, 4), (5, 6), (50, 6)] {
            let mut plan = plan(2, num_retries);
            let mut position = plan.first(0.3).unwrap();
            let mut sends = 1;
            while let NextStep::Retry { position: next, .. } =
                plan.after_failure(failed(position, RetryVerdict::Anywhere), 0.3)
            {
                position = next;
                sends += 1;
            }
            assert_eq!(sends, expected, "num_retries {num_retries}");
            assert_eq!(plan.retries(), expected - 1);
        }
    }

    #[test]
    fn waits_grow_from_the_base_to_the_cap_with_full_jitter() {
        let mut plan = plan(1, 5);
        plan.first(0.0).unwrap();
        let mut waits = Vec::new();
        while let NextStep::Retry { wait, .. } = plan.after_failure(failed(0, RetryVerdict::Anywhere), 1.0) {
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_600]);
        let mut still = self::plan(1, 1);
        still.first(0.0).unwrap();
        let none = still.after_failure(failed(0, RetryVerdict::Anywhere), 0.0);
        assert_eq!(none, NextStep::Retry { position: 0, wait: Duration::ZERO });
    }

    #[test]
    fn retry_after_is_honoured_where_it_fits_and_else_ends_the_attempts() {
        let check = |retry_after: u64, time_left: u64, expect: Option<u64>| {
            let mut plan = plan(1, 3);
            plan.first(0.0).unwrap();
            let step = plan.after_failure(
                FailedAttempt {
                    position: 0,
                    verdict: RetryVerdict::Anywhere,
                    retry_after: Some(Duration::from_secs(retry_after)),
                    time_left: Duration::from_secs(time_left),
                },
                0.5,
            );
            let expected = match expect {
                Some(seconds) => NextStep::Retry { position: 0, wait: Duration::from_secs(seconds) },
                None => NextStep::Stop,
            };
            assert_eq!(step, expected, "retry-after {retry_after}, {time_left} left");
        };
        check(2, 600, Some(2));
        check(60, 600, Some(60));
        check(61, 600, None);
        check(5, 5, None);
        check(5, 1, None);
    }

    #[test]
    fn the_configured_least_wait_holds_for_a_return_but_not_for_a_fresh_deployment() {
        let rules = RetryRules { num_retries: 5, wait_min: Duration::from_secs(5) };
        let mut plan = AttemptPlan::new(vec![Share::default(); 2], rules);
        let first = plan.first(0.0).unwrap();
        let NextStep::Retry { position, wait } =
            plan.after_failure(failed(first, RetryVerdict::Anywhere), 0.0)
        else {
            panic!("stopped")
        };
        assert_eq!(wait, Duration::ZERO);
        let NextStep::Retry { wait, .. } = plan.after_failure(failed(position, RetryVerdict::Anywhere), 0.0)
        else {
            panic!("stopped")
        };
        assert_eq!(wait, Duration::from_secs(5));
    }

    #[test]
    fn a_group_without_deployments_has_no_first() {
        assert_eq!(plan(0, 3).first(0.5), None);
    }
}
