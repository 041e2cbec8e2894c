//! `tollgate_fault`: a deployment that fails on purpose, for staging.
//!
//! Owns what each kind of fault does where an attempt meets its provider. Leaves to others all that follows from it:
//! retries, fallbacks, rescue, health and metrics are those of real failures. **Invariant:** a fault comes out as the
//! provider's own failure would: through the same reading of errors, connections and streams. **Invariant:** a
//! deployment without a fault costs one look at an option.

mod stream;

pub(crate) use stream::StagedStream;

use super::attempt::{
    AttemptFailure, CallLimits, Order, attempt_once, from_failure, from_fault, from_refusal,
};
use super::outbound::ReadPlan;
use super::respond::Answer;
use super::speech::Speech;
use crate::reply::Upstream;
use crate::target::Target;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tollgate_config::{Fault, FaultKind};
use tollgate_dialect::wire::ReplyFault;
use tollgate_upstream::{Failure, Kind, Phase};

/// Which fault a request has met.
pub(crate) const X_TOLLGATE_FAULT: HeaderName = HeaderName::from_static("x-tollgate-fault");

/// A fault that an attempt is going to meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Staged {
    fault: Fault,
    /// How long a stream that falls silent is listened to.
    idle: Duration,
}

impl Staged {
    /// Whether an attempt at a deployment meets its fault, and which.
    pub(crate) fn draw(target: &Target, limits: CallLimits) -> Option<Self> {
        let fault = target.fault?;
        (crate::chance::draw() < fault.rate).then_some(Self { fault, idle: limits.idle })
    }

    /// Its name, for a reply's head.
    fn name(self) -> HeaderValue {
        HeaderValue::from_static(self.fault.kind.name())
    }

    /// An attempt that meets the fault.
    pub(super) async fn attempt(self, order: Order<'_>) -> Result<Answer, AttemptFailure> {
        let Order { call, target, limits, .. } = order;
        let met = match self.instead(target, target.speech_for(call.surface), limits) {
            Some(failure) => {
                target.metrics.attempts.inc();
                Err(failure)
            }
            None if self.fault.kind == FaultKind::Latency => {
                let late = self.delayed((target, limits), attempt_once(order)).await;
                late.map(Answer::late)
            }
            // What is not read event by event breaks half way like a plain reply.
            None if !order.received.stream || call.surface.resource().is_some() => {
                Err(self.halfway((target, limits), attempt_once(order)).await)
            }
            None => attempt_once(Order { staged: Some(self), ..order }).await,
        };
        met.map(|answer| answer.met(self.name())).map_err(|failure| self.marked(failure))
    }

    /// Before a session is opened: fails, or waits. What breaks streams has no effect on sessions.
    pub(crate) async fn open(target: &Target, limits: CallLimits) -> Result<(), AttemptFailure> {
        let Some(staged) = Self::draw(target, limits) else { return Ok(()) };
        if let Some(failure) = staged.instead(target, Speech::OpenAi, limits) {
            return Err(staged.marked(failure));
        }
        if staged.fault.kind == FaultKind::Latency {
            let (now, by) = (Instant::now(), end_of(limits));
            sleep_until((now + staged.fault.delay).min(by)).await;
            if Instant::now() >= by {
                return Err(staged.marked(from_failure(&timeout(Phase::AwaitingHead), target, limits)));
            }
        }
        Ok(())
    }

    /// A health check that meets the fault: as a plain request does.
    pub(super) async fn check<T>(
        self,
        (target, speech, limits): (&Target, Speech, CallLimits),
        asking: impl Future<Output = Result<T, AttemptFailure>>,
    ) -> Result<T, AttemptFailure> {
        let met = match self.instead(target, speech, limits) {
            Some(failure) => Err(failure),
            None if self.fault.kind == FaultKind::Latency => self.delayed((target, limits), asking).await,
            None => Err(self.halfway((target, limits), asking).await),
        };
        met.map_err(|failure| self.marked(failure))
    }

    /// The failure that takes the place of the provider's answer; nothing is sent.
    fn instead(self, target: &Target, speech: Speech, limits: CallLimits) -> Option<AttemptFailure> {
        let Fault { kind, status, retry_after, after, .. } = self.fault;
        match kind {
            FaultKind::Error | FaultKind::RateLimit => {
                let mut error = speech.decode_error(status, b"");
                error.message =
                    format!("This deployment fails on purpose (tollgate_fault: {}).", kind.name());
                Some(from_refusal(&error, retry_after, target))
            }
            FaultKind::Reset if after == 0 => Some(from_failure(&reset(Phase::AwaitingHead), target, limits)),
            FaultKind::Latency
            | FaultKind::Stall
            | FaultKind::Cut
            | FaultKind::Malformed
            | FaultKind::Reset => None,
        }
    }

    /// The answer is the provider's, but comes late; or too late.
    async fn delayed<T>(
        self,
        (target, limits): (&Target, CallLimits),
        asking: impl Future<Output = Result<T, AttemptFailure>>,
    ) -> Result<T, AttemptFailure> {
        let (now, by) = (Instant::now(), end_of(limits));
        let outcome = asking.await;
        let until = now + self.fault.delay;
        sleep_until(until.min(by)).await;
        if until >= by {
            return Err(from_failure(&timeout(Phase::AwaitingHead), target, limits));
        }
        outcome
    }

    /// The provider answers, and the answer is lost on its way.
    async fn halfway<T>(
        self,
        (target, limits): (&Target, CallLimits),
        asking: impl Future<Output = Result<T, AttemptFailure>>,
    ) -> AttemptFailure {
        let by = end_of(limits);
        if let Err(failure) = asking.await {
            return failure;
        }
        match self.fault.kind {
            FaultKind::Malformed => from_fault(&ReplyFault::Malformed("it is not JSON"), target),
            FaultKind::Stall => {
                sleep_until(by).await;
                from_failure(&timeout(Phase::Reading), target, limits)
            }
            _ => from_failure(&reset(Phase::Reading), target, limits),
        }
    }

    /// A stream that breaks off as the fault says.
    pub(super) fn stream(self, upstream: Upstream, plan: &ReadPlan) -> Upstream {
        Upstream::Staged(Box::new(StagedStream::new(self, upstream, plan)))
    }

    fn marked(self, mut failure: AttemptFailure) -> AttemptFailure {
        failure.detail = format!("tollgate_fault: {}", failure.detail);
        failure.rejection.headers_mut().insert(X_TOLLGATE_FAULT, self.name());
        failure
    }
}

/// The fault that a failed attempt has met.
pub(super) fn met_by(failure: &mut AttemptFailure) -> Option<HeaderValue> {
    failure.rejection.headers_mut().get(X_TOLLGATE_FAULT).cloned()
}

/// Says in a reply's head which fault its request has met, where it does not say one yet.
pub(super) fn tell(headers: &mut HeaderMap, met: Option<&HeaderValue>) {
    if let Some(name) = met {
        headers.entry(X_TOLLGATE_FAULT).or_insert_with(|| name.clone());
    }
}

/// When the provider's time is over.
fn end_of(limits: CallLimits) -> Instant {
    (Instant::now() + limits.attempt).min(limits.deadline)
}

fn timeout(phase: Phase) -> Failure {
    Failure::new(Kind::Timeout, phase, "silent on purpose")
}

fn reset(phase: Phase) -> Failure {
    Failure::new(Kind::Reset, phase, "reset on purpose")
}
