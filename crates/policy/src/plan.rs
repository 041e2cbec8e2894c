//! The attempts of one request within one model group: whether to try again, where, and after which wait.
//!
//! Owns what the request has tried there. Leaves the choice among fresh deployments to [`crate::choice`]. A retry goes to
//! a deployment that has not failed this request yet where there is one, at once; only when none is left does it come
//! back to one that may recover, after a wait. **Invariant:** no wait is planned that is not followed by an attempt, and
//! none that ends after the deadline.

use crate::failure::{FailureKind, Verdict};
use std::time::Duration;

/// Most sends of one request, whatever is configured (retries, fallbacks, hedges and rescues counted together).
pub const SENDS_PER_REQUEST_MAX: u32 = 6;
/// First step of the backoff; doubled with every further wait ("full jitter", AWS Architecture Blog, 2015).
pub const BACKOFF_BASE: Duration = Duration::from_millis(100);
/// Longest step of the backoff.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Longest Retry-After that is waited for in place; a longer one is passed on to the caller (LiteLLM's bound).
pub const RETRY_AFTER_WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest wait for the same group where another one can take the request.
pub const WAIT_BESIDE_OTHERS_MAX: Duration = Duration::from_secs(1);

/// How often each kind of failure is retried; `None` where `num_retries` decides (LiteLLM's `retry_policy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the kinds")]
pub struct RetriesByKind {
    pub bad_request: Option<u32>,
    pub authentication: Option<u32>,
    pub timeout: Option<u32>,
    pub rate_limit: Option<u32>,
    pub content_policy: Option<u32>,
    pub internal_server: Option<u32>,
    pub service_unavailable: Option<u32>,
    pub not_found: Option<u32>,
    pub default: Option<u32>,
}

impl RetriesByKind {
    /// The number for a kind, where one is written.
    pub fn of(&self, kind: FailureKind) -> Option<u32> {
        let own = match kind {
            FailureKind::BadRequest | FailureKind::TooLarge | FailureKind::ContextWindow => self.bad_request,
            FailureKind::Authentication | FailureKind::Permission => self.authentication,
            FailureKind::Timeout => self.timeout,
            FailureKind::RateLimit => self.rate_limit,
            FailureKind::ContentPolicy => self.content_policy,
            FailureKind::Server | FailureKind::Connection | FailureKind::BadGateway => self.internal_server,
            FailureKind::Unavailable => self.service_unavailable,
            FailureKind::NotFound => self.not_found,
            FailureKind::NotExpressible | FailureKind::Quality => None,
        };
        own.or(self.default)
    }
}

/// How often and how patiently to retry.
#[derive(Debug, Clone, Copy, Default)]
pub struct RetryRules {
    /// Further attempts after the first.
    pub num_retries: u32,
    /// The same by kind of failure; none where the request itself says how often.
    pub by_kind: RetriesByKind,
    /// The least wait before going back to a deployment that failed (LiteLLM's `retry_after`).
    pub wait_min: Duration,
}

/// A deployment that failed this request.
#[derive(Debug, Clone, Copy)]
struct Tried {
    position: usize,
    may_recover: bool,
    /// The provider's word on when to come back.
    retry_after: Option<Duration>,
}

/// Back to a deployment that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// Which one.
    pub position: usize,
    /// How long to wait first.
    pub wait: Duration,
}

/// What surrounds a wait.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// What is left of the request's time.
    pub time_left: Duration,
    /// Another group can take the request.
    pub has_others: bool,
}

/// The attempts of one request within one model group.
#[derive(Debug, Clone, Default)]
pub struct AttemptPlan {
    tried: Vec<Tried>,
    rules: RetryRules,
    sends: u32,
    failures: u32,
    waits: u32,
}

impl AttemptPlan {
    /// Nothing was tried yet.
    pub fn new(rules: RetryRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Whether the deployment at a position has failed this request.
    pub fn has_failed(&self, position: usize) -> bool {
        self.tried.iter().any(|tried| tried.position == position)
    }

    /// A request goes out.
    pub fn note_send(&mut self) {
        self.sends += 1;
    }

    /// Sends so far.
    pub fn sends(&self) -> u32 {
        self.sends
    }

    /// Attempts that have failed so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Most attempts after the first.
    pub fn retries_max(&self) -> u32 {
        self.rules.num_retries
    }

    /// An attempt failed. Whether there may be another within the group.
    ///
    /// A caller's own fault never is, whatever the operator's policy says of its kind.
    pub fn after_failure(
        &mut self,
        position: usize,
        kind: FailureKind,
        retry_after: Option<Duration>,
    ) -> bool {
        self.failures += 1;
        let may_recover = kind.verdict() == Verdict::Anywhere;
        match self.tried.iter_mut().find(|tried| tried.position == position) {
            Some(tried) => *tried = Tried { position, may_recover, retry_after },
            None => self.tried.push(Tried { position, may_recover, retry_after }),
        }
        let retries = self.rules.by_kind.of(kind).unwrap_or(self.rules.num_retries);
        kind.verdict() != Verdict::Never && self.sends <= retries
    }

    /// Where no fresh deployment is left: the one to come back to. The shortest wait goes first; `draw` is uniform in
    /// `0..1`. `is_usable` says whether a position may be sent to at all.
    pub fn come_back(
        &mut self,
        around: Surroundings,
        draw: f64,
        is_usable: impl Fn(usize) -> bool,
    ) -> Option<Return> {
        let backoff = BACKOFF_BASE
            .saturating_mul(1 << self.waits.min(16))
            .min(BACKOFF_MAX)
            .mul_f64(draw.clamp(0.0, 1.0));
        let usable = self.tried.iter().filter(|tried| tried.may_recover && is_usable(tried.position));
        let returns = usable.map(|tried| Return {
            position: tried.position,
            wait: tried.retry_after.unwrap_or(backoff).max(self.rules.wait_min),
        });
        let best = returns.min_by_key(|back| back.wait)?;
        let longest = if around.has_others { WAIT_BESIDE_OTHERS_MAX } else { RETRY_AFTER_WAIT_MAX };
        if best.wait > longest.max(self.rules.wait_min) || best.wait >= around.time_left {
            return None;
        }
        self.waits += 1;
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Surroundings = Surroundings { time_left: Duration::from_secs(600), has_others: false };

    fn plan(num_retries: u32) -> AttemptPlan {
        AttemptPlan::new(RetryRules { num_retries, ..RetryRules::default() })
    }

    /// Sends to `position` and fails.
    fn fail(plan: &mut AttemptPlan, position: usize, kind: FailureKind) -> bool {
        plan.note_send();
        plan.after_failure(position, kind, None)
    }

    #[test]
    fn the_callers_fault_is_never_tried_again() {
        let by_kind = RetriesByKind {
            bad_request: Some(3),
            content_policy: Some(3),
            default: Some(3),
            ..RetriesByKind::default()
        };
        for kind in [
            FailureKind::BadRequest,
            FailureKind::TooLarge,
            FailureKind::ContextWindow,
            FailureKind::ContentPolicy,
        ] {
            assert!(!fail(&mut plan(5), 0, kind), "{kind:?}");
            let rules = RetryRules { num_retries: 5, by_kind, ..RetryRules::default() };
            assert!(!fail(&mut AttemptPlan::new(rules), 0, kind), "{kind:?}");
        }
    }

    #[test]
    fn what_would_fail_again_is_not_come_back_to() {
        for kind in [FailureKind::Authentication, FailureKind::NotFound, FailureKind::Timeout] {
            let mut plan = plan(5);
            assert!(fail(&mut plan, 0, kind), "{kind:?}");
            assert!(plan.has_failed(0) && !plan.has_failed(1));
            assert_eq!(plan.come_back(ALONE, 0.5, |_| true), None, "{kind:?}");
        }
    }

    #[test]
    fn sends_are_one_and_as_many_as_there_may_be_retries() {
        for num_retries in [0, 2, 3] {
            let mut plan = plan(num_retries);
            let mut sends = 1;
            while fail(&mut plan, 0, FailureKind::Server) {
                sends += 1;
            }
            assert_eq!((sends, plan.failures()), (num_retries + 1, num_retries + 1));
        }
    }

    #[test]
    fn a_kinds_own_number_comes_before_the_general_one() {
        let by_kind = RetriesByKind { timeout: Some(0), rate_limit: Some(4), ..RetriesByKind::default() };
        let rules = RetryRules { num_retries: 1, by_kind, ..RetryRules::default() };
        assert!(!fail(&mut AttemptPlan::new(rules), 0, FailureKind::Timeout));
        assert!(fail(&mut AttemptPlan::new(rules), 0, FailureKind::Server));
        let mut plan = AttemptPlan::new(rules);
        let sends = (0..9).take_while(|_| fail(&mut plan, 0, FailureKind::RateLimit)).count();
        assert_eq!(sends, 4);
    }

    #[test]
    fn waits_grow_from_the_base_to_the_cap_with_full_jitter() {
        let mut plan = plan(9);
        let mut waits = Vec::new();
        for _ in 0..8 {
            fail(&mut plan, 0, FailureKind::Server);
            waits.push(plan.come_back(ALONE, 1.0, |_| true).unwrap().wait.as_millis());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        fail(&mut plan, 0, FailureKind::Server);
        assert_eq!(plan.come_back(ALONE, 0.0, |_| true).unwrap().wait, Duration::ZERO);
    }

    #[test]
    fn retry_after_is_honoured_where_it_fits_and_else_ends_the_attempts() {
        let check = |retry_after: u64, time_left: u64, has_others: bool, expect: Option<u64>| {
            let mut plan = plan(3);
            plan.note_send();
            assert!(plan.after_failure(0, FailureKind::RateLimit, Some(Duration::from_secs(retry_after))));
            let around = Surroundings { time_left: Duration::from_secs(time_left), has_others };
            let back = plan.come_back(around, 0.5, |_| true);
            let wait = back.map(|back| back.wait.as_secs());
            assert_eq!(wait, expect, "retry-after {retry_after}, {time_left} left, others {has_others}");
        };
        check(2, 600, false, Some(2));
        check(60, 600, false, Some(60));
        check(61, 600, false, None);
        check(5, 5, false, None);
        check(5, 1, false, None);
        check(1, 600, true, Some(1));
        check(2, 600, true, None);
    }

    #[test]
    fn the_shortest_wait_goes_first_and_the_configured_least_wait_holds() {
        let rules = RetryRules { num_retries: 5, wait_min: Duration::from_secs(2), ..RetryRules::default() };
        let mut plan = AttemptPlan::new(rules);
        for (position, seconds) in [(0, 9), (1, 3), (2, 1)] {
            plan.note_send();
            plan.after_failure(position, FailureKind::RateLimit, Some(Duration::from_secs(seconds)));
        }
        let back = |plan: &mut AttemptPlan, bad: usize| plan.come_back(ALONE, 0.5, |at| at != bad).unwrap();
        assert_eq!(back(&mut plan, 9), Return { position: 2, wait: Duration::from_secs(2) });
        assert_eq!(back(&mut plan, 2), Return { position: 1, wait: Duration::from_secs(3) });
    }
}
