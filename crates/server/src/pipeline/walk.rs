//! The walk over a group's deployments: which one is tried next, and with which limits.
//!
//! Owns the plan's state between attempts. Leaves what an attempt is to whoever walks: a request and its reply, or the
//! opening of a session. **Invariant:** after a failure nothing is tried that the plan in `policy` did not name.

use super::Call;
use super::attempt::{AttemptFailure, CallLimits, note_failure};
use super::receive::Received;
use crate::error::{Rejection, X_LITELLM_TIMEOUT};
use crate::reply::header_text;
use crate::snapshot::{Group, Snapshot};
use crate::target::Target;
use crate::worker::Worker;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_policy::plan::{AttemptPlan, FailedAttempt, NextStep, RetryRules, RetryVerdict};

/// Who walks, and for what.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) call: &'a Call,
    pub(crate) received: &'a Received<'a>,
}

/// A walk that is under way.
pub(crate) struct Walk<'a> {
    errand: Errand<'a>,
    targets: &'a [Arc<Target>],
    plan: AttemptPlan,
    rules: RetryRules,
    deadline: Instant,
    position: usize,
    soonest_retry: Option<Duration>,
}

impl<'a> Walk<'a> {
    /// Chooses the first deployment.
    pub(crate) fn begin(errand: Errand<'a>, group: &'a Group) -> Result<Self, Rejection> {
        let Errand { snapshot, received, .. } = errand;
        let targets = group.targets();
        let rules = RetryRules {
            num_retries: received.overrides.num_retries.unwrap_or_else(|| snapshot.num_retries(group)),
            wait_min: snapshot.retry_wait_min(),
        };
        let mut plan = AttemptPlan::new(targets.iter().map(|target| target.share), rules);
        let holder = received.holder.as_deref();
        let held_at = holder.and_then(|holder| targets.iter().position(|target| target.id == holder));
        let first = match held_at {
            Some(position) => plan.first_at(position),
            None => plan.first(crate::chance::draw()),
        };
        let position = first.ok_or_else(|| Rejection::no_deployments(group.name()))?;
        let deadline = snapshot.deadline(&received.overrides);
        Ok(Self { errand, targets, plan, rules, deadline, position, soonest_retry: None })
    }

    /// The deployment whose turn it is, and the limits of its attempt.
    pub(crate) fn current(&self) -> Result<(&'a Arc<Target>, CallLimits), Rejection> {
        let target = self.targets.get(self.position).ok_or_else(Rejection::internal)?;
        let limits = self.errand.snapshot.call_limits(self.errand.received, target, self.deadline);
        Ok((target, limits))
    }

    /// Goes on to the deployment that follows a failure, or says what the caller gets where none does.
    pub(crate) async fn go_on(
        &mut self,
        failure: AttemptFailure,
        limits: CallLimits,
    ) -> Result<(), Rejection> {
        if let Some(target) = self.targets.get(self.position) {
            note_failure(self.errand.worker, self.errand.call, target, &failure);
        }
        self.soonest_retry = [self.soonest_retry, failure.retry_after].into_iter().flatten().min();
        let time_left = self.deadline.saturating_duration_since(Instant::now());
        // Where the request's own time is over nobody else can answer either.
        let verdict = if time_left.is_zero() { RetryVerdict::Never } else { failure.verdict };
        let position = self.position;
        let failed = FailedAttempt { position, verdict, retry_after: failure.retry_after, time_left };
        match self.plan.after_failure(failed, crate::chance::draw()) {
            NextStep::Retry { position: next, wait } => {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                self.position = next;
                Ok(())
            }
            NextStep::Stop => {
                let is_limit = failure.class == "rate_limit";
                let mut rejection = failure.rejection;
                let seconds = header_text(&format!("{:?}", limits.attempt.as_secs_f64()));
                rejection.headers_mut().insert(X_LITELLM_TIMEOUT, seconds);
                Err(rejection.with_retry_after(self.soonest_retry.filter(|_| is_limit)))
            }
        }
    }

    /// How often it was tried again so far, and the most that was allowed.
    pub(crate) fn retries(&self) -> (u32, u32) {
        (self.plan.retries(), self.rules.num_retries)
    }
}
