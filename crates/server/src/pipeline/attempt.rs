//! The attempts of a call: choose a deployment, send, read what came, and try again where the plan says so.
//!
//! A stream counts as answered only when something the caller sees as content is there, so that a provider that breaks
//! before its first token costs the caller nothing. **Invariant:** every attempt ends in one [`Answer`] or one
//! [`AttemptFailure`], and the plan in `policy` alone decides what follows a failure.

use super::Call;
use super::boarding::Boarding;
use super::media;
use super::outbound::{self, Prepared, ReadPlan};
use super::prediction;
use super::receive::{self, Received};
use super::respond::{self, Answer};
use super::speech::Speech;
use super::staged::Staged;
use super::walk::{Errand, Over, Walk};
use super::wasted::Wasted;
use super::{canned, hedge, lowered};
use crate::error::Rejection;
use crate::reply::{GatewayBody, ReplyHeaders};
use crate::routing::{Group, exhausted_for};
use crate::snapshot::Snapshot;
use crate::target::Target;
use crate::toll::Stake;
use crate::worker::Worker;
use bytes::Bytes;
use http::Response;
use http::header::{HeaderMap, RETRY_AFTER};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tollgate_dialect::failure::{FailureClass, ProviderError};
use tollgate_dialect::wire::ReplyFault;
use tollgate_policy::failure::{FailureKind, Verdict};
use tollgate_upstream::{Failure, Kind, Phase, Reply, Timeouts};

/// Longest provider error body that is read, in bytes.
const ERROR_BYTES_MAX: usize = 256 << 10;
/// Longest Retry-After that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Longest life of a stream.
const STREAM_LIFE_MAX: Duration = Duration::from_secs(6_000);

/// One attempt that did not answer.
#[derive(Debug)]
pub(crate) struct AttemptFailure {
    /// What it is, and with it what may follow.
    pub(crate) kind: FailureKind,
    /// The provider's word on when to come back.
    pub(crate) retry_after: Option<Duration>,
    /// What the caller gets if nothing follows.
    pub(crate) rejection: Rejection,
    /// One word for metrics and logs.
    pub(crate) class: &'static str,
    /// For the log only.
    pub(crate) detail: String,
    /// The provider does not know the model.
    pub(crate) names_model: bool,
    /// What the provider may bill of it all the same.
    pub(crate) wasted: Wasted,
}

impl AttemptFailure {
    /// The same deployment may do better in a moment.
    pub(super) fn is_passing(&self) -> bool {
        self.kind.verdict() == Verdict::Anywhere || self.kind == FailureKind::Timeout
    }

    /// A provider that knows no Responses: the path is not there, as opposed to the model.
    fn means_no_responses(&self) -> bool {
        let is_missing = matches!(self.rejection.status().as_u16(), 404 | 405 | 501);
        is_missing && !self.names_model
    }
}

/// The time limits of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimits {
    /// When all attempts must have ended.
    pub(crate) deadline: Instant,
    /// Longest wait for a connection.
    pub(crate) connect: Duration,
    /// Longest attempt (plain), or wait for the first content (stream).
    pub(crate) attempt: Duration,
    /// Longest silence within a stream.
    pub(crate) idle: Duration,
    /// The reply is a stream.
    pub(crate) stream: bool,
    /// Another group answers than the one that was asked for.
    pub(crate) is_fallback: bool,
    /// An answer that does not do moves the request on.
    pub(crate) checks_quality: bool,
}

impl CallLimits {
    pub(crate) fn timeouts(&self) -> Timeouts {
        let now = Instant::now();
        let by = (now + self.attempt).min(self.deadline);
        if self.stream {
            let whole_by = now + STREAM_LIFE_MAX;
            return Timeouts { connect: self.connect, head_by: by, idle: self.idle, whole_by };
        }
        Timeouts { connect: self.connect, head_by: by, idle: self.attempt, whole_by: by }
    }
}

/// What came of a walk.
pub(crate) enum Walked {
    /// A deployment answered.
    Answer(Box<Answer>),
    /// The operator's own words answer, in the reply as it is.
    Canned(Box<Response<GatewayBody>>),
}

/// Walks the groups of a request until a deployment answers or nothing follows.
pub(crate) async fn walk(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &Call,
    received: &Received<'_>,
    group: &Arc<Group>,
) -> Result<Walked, Rejection> {
    let errand = Errand { worker, snapshot, call, received };
    let mut walk = Walk::begin(errand, group).await?;
    loop {
        let over = if let Some(canned) = &walk.leg().canned {
            if let Some(text) = canned::answer(errand, canned) {
                let mut response = canned::respond(errand, walk.leg(), &text);
                walk.tell_met(response.headers_mut());
                walk.served();
                return Ok(Walked::Canned(Box::new(response)));
            }
            walk.unanswered()
        } else {
            let walked = match walk.leg().body(received)? {
                None => walk_leg(&mut walk, errand).await,
                Some(body) => {
                    // Boxed: rare, and its state would be part of every request's.
                    let own = receive::read(&body, call, received.headers)?;
                    walk.weigh(Some(&own));
                    Box::pin(walk_leg(&mut walk, Errand { received: &own, ..errand })).await
                }
            };
            match walked {
                Ok(answer) => return Ok(Walked::Answer(Box::new(answer))),
                Err(over) => over,
            }
        };
        walk.weigh(None);
        walk.next_leg(over)?;
    }
}

/// Tries the deployments of one group.
async fn walk_leg(walk: &mut Walk<'_>, errand: Errand<'_>) -> Result<Answer, Over> {
    loop {
        let boarding = walk.board().await?;
        if let Some(most) = boarding.stake.as_ref().and_then(Stake::lowered) {
            // Boxed: only where a budget runs out.
            match Box::pin(send_lowered(errand, &boarding, most)).await {
                Ok(answer) => return Ok(walk.arrived(answer, boarding)),
                Err(failure) => walk.note(boarding, failure)?,
            }
            continue;
        }
        if let Some(delay) = hedge::delay(walk, errand) {
            // Boxed: only where hedging is on.
            match Box::pin(hedge::race(walk, errand, boarding, delay)).await? {
                Some(answer) => return Ok(answer),
                None => continue,
            }
        }
        match fetch_and_send(errand, &boarding.target, boarding.limits).await {
            Ok(answer) => return Ok(walk.arrived(answer, boarding)),
            Err(failure) => walk.note(boarding, failure)?,
        }
    }
}

/// One attempt with a lower maximum than the request's own.
async fn send_lowered(errand: Errand<'_>, boarding: &Boarding, most: u64) -> Result<Answer, AttemptFailure> {
    let Errand { call, received, .. } = errand;
    let failed = |rejection: Rejection| AttemptFailure {
        kind: FailureKind::BadRequest,
        retry_after: None,
        rejection,
        class: "budget",
        detail: "the maximum could not be lowered".to_owned(),
        names_model: false,
        wasted: Wasted::Nothing,
    };
    let whole = received.extended.as_deref().unwrap_or(received);
    let body = lowered::body(whole, call.surface, &boarding.target, most)
        .ok_or_else(|| failed(Rejection::not_lowered(call.surface.path(), most)))?;
    let own = receive::read(&body, call, received.headers).map_err(failed)?;
    fetch_and_send(Errand { received: &own, ..errand }, &boarding.target, boarding.limits).await
}

/// One attempt, with what it has to fetch first.
pub(super) async fn fetch_and_send(
    errand: Errand<'_>,
    target: &Arc<Target>,
    limits: CallLimits,
) -> Result<Answer, AttemptFailure> {
    let Errand { worker, snapshot, call, received } = errand;
    if media::is_needed(received, call, target) {
        // Boxed: rare, and its state would be part of every request's.
        Box::pin(media::fetch(errand, (target, snapshot.media_rules()), limits)).await?;
    }
    attempt(worker, call, received, target, limits).await
}

pub(super) fn note_failure(worker: &Worker, call: &Call, target: &Target, failure: &AttemptFailure) {
    let status = failure.rejection.status().as_u16();
    worker.gateway.metrics().attempt_failed(&target.metrics, status, failure.class);
    tracing::warn!(
        call_id = %call.id.to_str().unwrap_or_default(),
        deployment = %target.id,
        provider = target.provider.name,
        model = %target.model,
        class = failure.class,
        status,
        detail = %failure.detail,
        "attempt failed"
    );
}

/// One attempt at one deployment.
#[derive(Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) worker: &'a Worker,
    pub(super) call: &'a Call,
    pub(super) received: &'a Received<'a>,
    pub(super) target: &'a Arc<Target>,
    pub(super) limits: CallLimits,
    /// What the stream of its answer meets on purpose.
    pub(super) staged: Option<Staged>,
}

impl<'a> Order<'a> {
    /// What reading the reply takes, to a request that was sent at this moment within these limits.
    pub(super) fn reading(self, plan: ReadPlan, sent: Instant, timeouts: Timeouts) -> ReadReply<'a> {
        let Self { call, received, target, limits, staged, .. } = self;
        ReadReply {
            call,
            received,
            target,
            plan,
            sent,
            head_by: timeouts.head_by,
            is_fallback: limits.is_fallback,
            checks_quality: limits.checks_quality,
            staged,
        }
    }
}

/// Sends once and reads what came as far as it has to be read before the caller's head can be sent.
pub(crate) async fn attempt(
    worker: &Worker,
    call: &Call,
    received: &Received<'_>,
    target: &Arc<Target>,
    limits: CallLimits,
) -> Result<Answer, AttemptFailure> {
    let order = Order { worker, call, received, target, limits, staged: None };
    match Staged::draw(target, limits) {
        None => attempt_once(order).await,
        // Boxed: for staging alone.
        Some(staged) => Box::pin(staged.attempt(order)).await,
    }
}

pub(super) async fn attempt_once(order: Order<'_>) -> Result<Answer, AttemptFailure> {
    let Order { worker, call, received, target, limits, .. } = order;
    target.metrics.attempts.inc();
    let received = received.for_deployment(&target.id, target.speech_for(call.surface));
    let mut prepared =
        outbound::prepare(received, call.surface, target).map_err(|rejection| AttemptFailure {
            kind: FailureKind::NotExpressible,
            retry_after: None,
            rejection,
            class: "bad_request",
            detail: "the request cannot be written for this deployment".to_owned(),
            names_model: false,
            wasted: Wasted::Nothing,
        })?;
    let authorized = target.authorization.put_on(&mut prepared, &target.endpoint, &worker.client).await;
    authorized.map_err(|failure| from_credential(&failure, target, limits))?;
    if prepared.plan.speech == Speech::Replicate {
        return Box::pin(prediction::attempt(Order { received, ..order }, prepared)).await;
    }
    let sent = Instant::now();
    let timeouts = limits.timeouts();
    if !prepared.more.is_empty() {
        let bodies = Box::pin(send_all(worker, target, limits, prepared)).await?;
        let (plan, headers, bodies) = bodies;
        let reading = Order { received, ..order }.reading(plan, sent, timeouts);
        return respond::read_several(reading, headers, &bodies).map_err(|fault| from_fault(&fault, target));
    }
    let (outgoing, plan) = prepared.outgoing(timeouts);
    let reply = worker
        .client
        .send(&target.endpoint, outgoing)
        .await
        .map_err(|failure| from_failure(&failure, target, limits))?;
    if !reply.status.is_success() {
        let failure = from_error_reply(reply, plan.speech, target, timeouts).await;
        if plan.speech == Speech::Responses && failure.means_no_responses() && target.forgo_responses() {
            // The same provider answers in chat completions; what was learned serves every later request.
            return Box::pin(attempt_once(order)).await;
        }
        return Err(failure);
    }
    let reading = Order { received, ..order }.reading(plan, sent, timeouts);
    respond::read_reply(reading, reply).await.map_err(|fault| match fault {
        Unread::Failure(failure) => from_failure(&failure, target, limits),
        Unread::Fault(fault) => from_fault(&fault, target),
        Unread::Quality(rule, wasted) => from_quality((rule, wasted), target),
    })
}

/// Sends every call of a request that takes several, one after the other; the first failure is the attempt's.
async fn send_all(
    worker: &Worker,
    target: &Arc<Target>,
    limits: CallLimits,
    mut first: Prepared,
) -> Result<(ReadPlan, HeaderMap, Vec<Bytes>), AttemptFailure> {
    let timeouts = limits.timeouts();
    let more = std::mem::take(&mut first.more);
    let mut bodies = Vec::with_capacity(more.len() + 1);
    let mut answered: Option<(ReadPlan, HeaderMap)> = None;
    for (number, mut prepared) in std::iter::once(first).chain(more).enumerate() {
        if number > 0 {
            let authorized =
                target.authorization.put_on(&mut prepared, &target.endpoint, &worker.client).await;
            authorized.map_err(|failure| from_credential(&failure, target, limits))?;
        }
        let (outgoing, plan) = prepared.outgoing(timeouts);
        let sent = worker.client.send(&target.endpoint, outgoing).await;
        let reply = sent.map_err(|failure| from_failure(&failure, target, limits))?;
        if !reply.status.is_success() {
            return Err(from_error_reply(reply, plan.speech, target, timeouts).await);
        }
        let headers = reply.headers;
        let body = reply.body.collect().await.map_err(|failure| from_failure(&failure, target, limits))?;
        bodies.push(body);
        answered.get_or_insert((plan, headers));
    }
    let nothing = || from_fault(&ReplyFault::Malformed("nothing was sent"), target);
    let (plan, headers) = answered.ok_or_else(nothing)?;
    Ok((plan, headers, bodies))
}

/// What reading a reply takes.
pub(crate) struct ReadReply<'a> {
    pub(crate) call: &'a Call,
    pub(crate) received: &'a Received<'a>,
    pub(crate) target: &'a Arc<Target>,
    pub(crate) plan: ReadPlan,
    pub(crate) sent: Instant,
    pub(crate) head_by: Instant,
    /// What the stream of the reply meets on purpose.
    pub(crate) staged: Option<Staged>,
    /// Another group answers than the one that was asked for.
    pub(crate) is_fallback: bool,
    /// An answer that does not do is a failure.
    pub(crate) checks_quality: bool,
}

impl<'a> ReadReply<'a> {
    /// The model that the reply names: the caller's word for it, or the model itself where another group answers, as at
    /// LiteLLM.
    pub(super) fn shown_model(&self) -> &'a str {
        if self.is_fallback { &self.target.model } else { &self.received.model }
    }
}

/// Why a reply that began well could not be used.
pub(crate) enum Unread {
    /// The connection or a limit.
    Failure(Failure),
    /// The bytes.
    Fault(ReplyFault),
    /// It could be read, and does not do.
    Quality(&'static str, Wasted),
}

/// No proof of who sends: where the service that gives it answered and refused, the deployment's credential is wrong;
/// else that service was not reached.
pub(crate) fn from_credential(failure: &Failure, target: &Target, limits: CallLimits) -> AttemptFailure {
    if failure.kind != Kind::Protocol {
        return from_failure(failure, target, limits);
    }
    let error = ProviderError {
        class: FailureClass::Authentication,
        status: 401,
        message: target.authorization.refusal().to_owned(),
        ..ProviderError::default()
    };
    AttemptFailure { detail: failure.to_string(), ..from_provider_error(&error, None, target) }
}

pub(crate) fn from_failure(failure: &Failure, target: &Target, limits: CallLimits) -> AttemptFailure {
    let exception = target.provider.exception;
    let rejection = match (failure.kind, failure.phase) {
        (Kind::Timeout, Phase::Connecting) if Instant::now() < limits.deadline => {
            Rejection::connection_error(exception)
        }
        (Kind::Timeout, _) => Rejection::timed_out(limits.attempt, limits.attempt),
        (Kind::Protocol, _) => Rejection::bad_gateway(exception, "it is not valid HTTP"),
        (Kind::TooLarge, _) => Rejection::bad_gateway(exception, "it is larger than the cap"),
        (Kind::Dns | Kind::Blocked | Kind::Connect | Kind::Tls | Kind::Reset, _) => {
            Rejection::connection_error(exception)
        }
    };
    let kind = match failure.kind {
        // An address that may not be connected to will not become one that may.
        Kind::Blocked => FailureKind::NotFound,
        Kind::Timeout => FailureKind::Timeout,
        Kind::Protocol | Kind::TooLarge => FailureKind::BadGateway,
        Kind::Dns | Kind::Connect | Kind::Tls | Kind::Reset => FailureKind::Connection,
    };
    let detail = failure.to_string();
    let class = failure.kind.word();
    let is_working = failure.kind == Kind::Timeout && failure.phase != Phase::Connecting;
    let wasted = if is_working { Wasted::Prompt } else { Wasted::Nothing };
    AttemptFailure { kind, retry_after: None, rejection, class, detail, names_model: false, wasted }
}

/// An answer that does not do.
pub(crate) fn from_quality((rule, wasted): (&'static str, Wasted), target: &Target) -> AttemptFailure {
    AttemptFailure {
        kind: FailureKind::Quality,
        retry_after: None,
        rejection: Rejection::bad_gateway(target.provider.exception, rule),
        class: "quality",
        detail: rule.to_owned(),
        names_model: false,
        wasted,
    }
}

pub(crate) fn from_fault(fault: &ReplyFault, target: &Target) -> AttemptFailure {
    match fault {
        ReplyFault::Malformed(rule) => AttemptFailure {
            kind: FailureKind::BadGateway,
            retry_after: None,
            rejection: Rejection::bad_gateway(target.provider.exception, rule),
            class: "malformed_reply",
            detail: (*rule).to_owned(),
            names_model: false,
            wasted: Wasted::Nothing,
        },
        ReplyFault::Error(error) => from_provider_error(error, None, target),
        ReplyFault::Disagrees => AttemptFailure {
            kind: FailureKind::Quality,
            retry_after: None,
            rejection: Rejection::bad_gateway(target.provider.exception, "it is another answer"),
            class: "disagrees",
            detail: "the answer asked for anew is not the one that was begun".to_owned(),
            names_model: false,
            wasted: Wasted::Prompt,
        },
    }
}

/// Reads a provider's error reply.
pub(crate) async fn from_error_reply(
    reply: Reply,
    speech: Speech,
    target: &Target,
    timeouts: Timeouts,
) -> AttemptFailure {
    let status = reply.status;
    if status.is_redirection() || status.is_informational() {
        return from_fault(&ReplyFault::Malformed("a redirect, which is never followed"), target);
    }
    let mut body = reply.body;
    let mut bytes = Vec::new();
    // Whatever part of the error's body comes in time is read; the status alone says enough otherwise.
    let collected = tokio::time::timeout_at(timeouts.head_by, async {
        while let Some(Ok(piece)) = body.next().await {
            bytes.extend_from_slice(
                piece.get(..ERROR_BYTES_MAX.saturating_sub(bytes.len()).min(piece.len())).unwrap_or_default(),
            );
            if bytes.len() >= ERROR_BYTES_MAX {
                break;
            }
        }
    });
    let _ = collected.await;
    let error = speech.decode_error(status.as_u16(), &bytes);
    let mut failure = from_provider_error(&error, Some(&reply.headers), target);
    let mut headers = ReplyHeaders::empty();
    headers.provider(&reply.headers, target.credential());
    failure.rejection.headers_mut().extend(headers.into_map());
    failure
}

/// An error that a deployment answers with on purpose.
pub(super) fn from_refusal(
    error: &ProviderError,
    retry_after: Option<Duration>,
    target: &Target,
) -> AttemptFailure {
    let failure = from_provider_error(error, None, target);
    AttemptFailure { retry_after, rejection: failure.rejection.with_retry_after(retry_after), ..failure }
}

fn from_provider_error(
    error: &ProviderError,
    headers: Option<&HeaderMap>,
    target: &Target,
) -> AttemptFailure {
    let (kind, class) = disposition(error);
    let limit = (kind == FailureKind::RateLimit).then_some(headers).flatten();
    let learned = || limit.and_then(|headers| exhausted_for(headers, SystemTime::now()));
    let said =
        headers.and_then(retry_after).or(error.retry_delay_ms.map(Duration::from_millis)).or_else(learned);
    let rejection = Rejection::from_provider(target.provider.exception, error, target.credential());
    // Retry-After reaches the caller from any status that has one; waiting for it is the plan's business.
    let rejection = rejection.with_retry_after(said);
    AttemptFailure {
        kind,
        retry_after: said,
        rejection,
        class,
        detail: format!("status {}", error.status),
        names_model: error.code.as_deref() == Some("model_not_found"),
        wasted: Wasted::Nothing,
    }
}

/// What each class of a provider's error is to the policy, and its word for metrics.
pub(crate) fn disposition(error: &ProviderError) -> (FailureKind, &'static str) {
    match error.class {
        FailureClass::BadRequest => (FailureKind::BadRequest, "bad_request"),
        FailureClass::ContextWindow => (FailureKind::ContextWindow, "context_window"),
        FailureClass::ContentPolicy => (FailureKind::ContentPolicy, "content_policy"),
        FailureClass::TooLarge => (FailureKind::TooLarge, "too_large"),
        FailureClass::Authentication => (FailureKind::Authentication, "authentication"),
        FailureClass::Permission => (FailureKind::Permission, "permission"),
        FailureClass::NotFound => (FailureKind::NotFound, "not_found"),
        FailureClass::RateLimit => (FailureKind::RateLimit, "rate_limit"),
        // It answered, if only that its own provider did not.
        FailureClass::Timeout => (FailureKind::Timeout, "provider_timeout"),
        FailureClass::Overloaded => (FailureKind::Unavailable, "overloaded"),
        FailureClass::Server if error.status == 502 => (FailureKind::BadGateway, "server"),
        FailureClass::Server => (FailureKind::Server, "server"),
    }
}

/// `retry-after-ms` (OpenAI, Azure), or `Retry-After` as seconds or as a date (RFC 9110, 10.2.3). Garbage is none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let milliseconds = text("retry-after-ms").and_then(number).map(|number| number / 1_000.0);
    let seconds = milliseconds.or_else(|| text(RETRY_AFTER.as_str()).and_then(number));
    let duration = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => text(RETRY_AFTER.as_str())
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .and_then(|date| date.duration_since(SystemTime::now()).ok()),
    };
    duration.map(|duration| duration.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn retry_after_is_read_in_every_form_and_garbage_is_none() {
        let check = |rows: &[(&'static str, &str)], expect: Option<Duration>| {
            let headers: HeaderMap = rows
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
                .collect();
            assert_eq!(retry_after(&headers), expect, "{rows:?}");
        };
        check(&[], None);
        check(&[("retry-after", "2")], Some(Duration::from_secs(2)));
        check(&[("retry-after", "0")], Some(Duration::ZERO));
        check(&[("retry-after", "1.5")], Some(Duration::from_millis(1_500)));
        check(&[("retry-after", "99999")], Some(Duration::from_secs(3_600)));
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "-1")], None);
        check(&[("retry-after", "NaN")], None);
        check(&[("retry-after-ms", "250"), ("retry-after", "9")], Some(Duration::from_millis(250)));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], None);
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let headers: HeaderMap = [(RETRY_AFTER, HeaderValue::from_str(&soon).unwrap())].into_iter().collect();
        let read = retry_after(&headers).unwrap();
        assert!(read > Duration::from_secs(90) && read <= Duration::from_secs(100), "{read:?}");
    }
}
