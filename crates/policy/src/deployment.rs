//! What is known of one deployment while it serves.
//!
//! Owns the three states side by side, and the steps of an attempt that touch more than one of them. Leaves to others:
//! the key that it is kept under and the lock around it (server). **Invariant:** an attempt that begins here has taken
//! its place in the window; one that was refused has begun nothing.

use crate::clock::Moment;
use crate::failure::Blame;
use crate::health::{Attempt, Change, Failed, Health, HealthRules};
use crate::latency::{Latency, LatencyRules};
use crate::limits::{Full, Limiter, Rates, Ticket};

/// What is known of one deployment while it serves.
#[derive(Debug, Default)]
pub struct DeploymentState {
    /// Whether it may be sent to.
    pub health: Health,
    /// How much it may be sent.
    pub limiter: Limiter,
    /// How quick it is.
    pub latency: Latency,
}

/// An attempt that may go: its health's side and its place in the window.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an attempt that began must end"]
pub struct Sent {
    /// For [`Outcome::teach`].
    pub attempt: Attempt,
    /// For [`Limiter::settle`].
    pub ticket: Ticket,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// With an answer.
    Success,
    /// With a failure.
    Failure(Failed),
    /// Without a verdict: the caller hung up, or a hedge lost.
    Abandoned,
}

impl DeploymentState {
    /// Takes a place in the window for a request of so many tokens, and begins its attempt.
    ///
    /// # Errors
    /// [`Full`]; nothing has begun then.
    pub fn send(&mut self, now: Moment, rates: Rates, tokens: u64) -> Result<Sent, Full> {
        let ticket = self.limiter.take(now, rates, tokens)?;
        Ok(Sent { attempt: self.health.begin(now), ticket })
    }

    /// Holds a failed attempt against its latency where it is the deployment's own fault.
    pub fn penalize(&mut self, now: Moment, outcome: Outcome, rules: &LatencyRules) {
        if let Outcome::Failure(failed) = outcome
            && failed.kind.blame() == Blame::Deployment
        {
            self.latency.penalize(now, rules);
        }
    }
}

impl Outcome {
    /// What the deployment's health is to learn of it. A failure of the credential is nothing that the deployment did,
    /// unless it shows none of its own (`has_credential` is false).
    #[must_use]
    pub fn for_deployment(self, has_credential: bool) -> Self {
        match self {
            Self::Failure(failed) if has_credential && failed.kind.blame() == Blame::Credential => {
                Self::Abandoned
            }
            other => other,
        }
    }

    /// What the credential's health is to learn of it: of failures only its own.
    #[must_use]
    pub fn for_credential(self) -> Self {
        match self {
            Self::Failure(failed) if failed.kind.blame() != Blame::Credential => Self::Abandoned,
            other => other,
        }
    }

    /// Tells a health how its attempt ended.
    pub fn teach(
        self,
        health: &mut Health,
        attempt: Attempt,
        now: Moment,
        rules: &HealthRules,
    ) -> Option<Change> {
        match self {
            Self::Success => health.succeed(attempt, now),
            Self::Failure(failed) => health.fail(attempt, now, failed, rules),
            Self::Abandoned => {
                health.abandon(attempt, now);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::health::Standing;
    use crate::latency::Measure;

    fn failure(kind: FailureKind) -> Outcome {
        Outcome::Failure(Failed { kind, retry_after: None, draw: 0.5 })
    }

    #[test]
    fn a_refused_send_begins_nothing() {
        let mut state = DeploymentState::default();
        let now = Moment::ZERO;
        let rates = Rates { parallel: Some(1), ..Rates::default() };
        let rules = HealthRules::default();
        let sent = state.send(now, rates, 0).unwrap();
        let _ = failure(FailureKind::NotFound).teach(&mut state.health, sent.attempt, now, &rules);
        let later = Moment::from_micros(6_000_000);
        assert_eq!(state.health.standing(later), Standing::HalfOpen);
        assert!(state.send(later, rates, 0).is_err());
        assert_eq!(state.health.standing(later), Standing::HalfOpen, "the probe's place is still free");
        state.limiter.settle(later, sent.ticket, 0);
        assert!(state.send(later, rates, 0).unwrap().attempt.is_probe);
        assert_eq!(state.health.standing(later), Standing::Probing);
    }

    #[test]
    fn a_failure_is_learned_by_whom_it_concerns() {
        use FailureKind::*;
        let check = |kind: FailureKind, deployment: bool, credential: bool| {
            let outcome = failure(kind);
            let learned = |of: Outcome| if of == Outcome::Abandoned { None } else { Some(of) };
            assert_eq!(learned(outcome.for_deployment(true)), deployment.then_some(outcome), "{kind:?}");
            assert_eq!(learned(outcome.for_credential()), credential.then_some(outcome), "{kind:?}");
            assert_eq!(outcome.for_deployment(false), outcome, "{kind:?} without a credential");
        };
        check(Authentication, false, true);
        check(Permission, false, true);
        for kind in [NotFound, RateLimit, Server, Timeout, Connection, BadRequest] {
            check(kind, true, false);
        }
        assert_eq!(Outcome::Success.for_deployment(true), Outcome::Success);
        assert_eq!(Outcome::Success.for_credential(), Outcome::Success);
    }

    #[test]
    fn each_end_is_told_to_the_health() {
        let rules = HealthRules::default();
        let mut health = Health::default();
        let now = Moment::ZERO;
        let attempt = health.begin(now);
        let change = failure(FailureKind::NotFound).teach(&mut health, attempt, now, &rules);
        assert!(matches!(change, Some(Change::Ejected { failures: 1, .. })), "{change:?}");
        let later = Moment::from_micros(5_000_000);
        let probe = health.begin(later);
        assert_eq!(Outcome::Abandoned.teach(&mut health, probe, later, &rules), None);
        let probe = health.begin(later);
        assert_eq!(Outcome::Success.teach(&mut health, probe, later, &rules), Some(Change::Recovered));
    }

    #[test]
    fn only_the_deployments_own_failures_make_it_slow() {
        let rules = LatencyRules::default();
        let score = |outcome: Outcome| {
            let mut state = DeploymentState::default();
            state.penalize(Moment::ZERO, outcome, &rules);
            state.latency.score(Moment::ZERO, Measure::FirstToken, &rules)
        };
        assert!(score(failure(FailureKind::Server)).is_some());
        assert!(score(failure(FailureKind::Timeout)).is_some());
        for outcome in [
            failure(FailureKind::BadRequest),
            failure(FailureKind::RateLimit),
            failure(FailureKind::Authentication),
            Outcome::Success,
            Outcome::Abandoned,
        ] {
            assert_eq!(score(outcome), None, "{outcome:?}");
        }
    }
}
