//! The walk over the groups of a request and their deployments: which one is tried next, and with which limits.
//!
//! Owns the state between attempts: the leg of the chain, what was tried, what is left of time and sends. Leaves every
//! decision to `policy`, and what an attempt is to whoever walks: a request and its reply, or the opening of a session.
//! **Invariant:** nothing is sent without a place at its deployment, and after a failure nothing is tried that `policy`
//! did not name.

use super::Call;
use super::arrival::Arrival;
use super::attempt::{AttemptFailure, CallLimits, note_failure};
use super::boarding::{Boarding, Means, Opened};
use super::receive::Received;
use super::respond::Answer;
use super::staged;
use super::successors::Rest;
use super::trail::{Trail, X_LITELLM_FALLBACK_ERRORS};
use super::wasted::{book_overhead, book_unanswered};
use crate::error::{Rejection, X_LITELLM_TIMEOUT};
use crate::reply::header_text;
use crate::routing::{Asking, Group, Journey, Leg, Place, Route, Urgency, Waited, exhausted_for};
use crate::snapshot::Snapshot;
use crate::target::Target;
use crate::telemetry::FallbackFacts;
use crate::toll::Stake;
use crate::worker::Worker;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tollgate_policy::chain::Setback;
use tollgate_policy::choice::{Choice, Nobody, Why};
use tollgate_policy::failure::{Blame, FailureKind};
use tollgate_policy::limits::{Full, LimitKind};
use tollgate_policy::plan::{AttemptPlan, SENDS_PER_REQUEST_MAX, Surroundings};

/// Longest wait for a deployment that has refused for its limits without a word on when to come back.
const OWN_PAUSE_WAIT_MAX: Duration = Duration::from_secs(2);
/// Places that a request may miss in a row before it is told that there is none.
const TAKES_MISSED_MAX: u32 = 100;
/// The name of the tier without a model, where a group's would stand.
const CANNED: &str = "canned";

/// Who walks, and for what.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) call: &'a Call,
    pub(crate) received: &'a Received<'a>,
}

/// Why a leg is over.
pub(crate) struct Over {
    pub(super) setback: Setback,
    pub(super) kind: Option<FailureKind>,
    pub(super) rejection: Box<Rejection>,
    /// Nobody was asked, for another group follows.
    pub(super) is_passed_by: bool,
}

/// A walk that is under way.
pub(crate) struct Walk<'a> {
    pub(super) errand: Errand<'a>,
    pub(super) journey: Journey,
    pub(super) group: Arc<Group>,
    asking: Asking,
    plan: AttemptPlan,
    pub(super) deadline: Instant,
    /// The last failure of this leg.
    failed: Option<Over>,
    /// The deployment to come back to.
    back: Option<usize>,
    /// What the caller gets if nobody answers: the first failure, of the group that it asked for where that was asked.
    first: Option<Rejection>,
    /// The same where no group was asked.
    passed_by: Option<Rejection>,
    /// Groups that were left for another.
    fallbacks: u32,
    soonest_retry: Option<Duration>,
    /// What the caller's budgets reach to in this group.
    pub(super) means: Means,
    /// Until when this request may wait for a place.
    wait_until: Option<Instant>,
    /// Places of the group that had come free when it looked last.
    seen: u64,
    sends: u32,
    /// The `order` of the first deployment of the leg.
    first_order: Option<i64>,
    was_hedged: bool,
    /// The last fault that it has met on purpose.
    met: Option<HeaderValue>,
    /// The status and the class of the failure that led to the leg.
    fell: Option<(u16, &'static str)>,
    /// What was tried in vain, for a caller who asks for it.
    trail: Trail,
}

impl<'a> Walk<'a> {
    /// Nothing was sent yet.
    pub(crate) async fn begin(errand: Errand<'a>, group: &Arc<Group>) -> Result<Self, Rejection> {
        let Errand { snapshot, received, .. } = errand;
        let asking = Asking::of(errand, group).await;
        Ok(Self {
            errand,
            journey: snapshot.journey(received),
            asking,
            plan: AttemptPlan::new(snapshot.retry_rules(group, received)),
            group: Arc::clone(group),
            deadline: snapshot.deadline(&received.overrides),
            failed: None,
            back: None,
            first: None,
            passed_by: None,
            fallbacks: 0,
            soonest_retry: None,
            means: Means::default(),
            wait_until: None,
            seen: 0,
            sends: 0,
            first_order: None,
            was_hedged: false,
            met: None,
            fell: None,
            trail: Trail::default(),
        })
    }

    /// The leg of the chain that it is on.
    pub(crate) fn leg(&self) -> &Leg {
        self.journey.leg()
    }

    /// The group that it is in.
    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// A place at the deployment that the policy names next; waits for one where all are taken.
    pub(crate) async fn board(&mut self) -> Result<Boarding, Over> {
        if let Some((kind, rejection)) = self.journey.take_mock() {
            return Err(Over::failed(kind, rejection));
        }
        self.line_up().await?;
        let mut misses = 0;
        loop {
            self.seen = self.group.room().freed();
            match self.choose() {
                Choice::Deployment { why: Why::LeastBad, .. } if self.journey.passes_by() => {
                    return Err(self.failed.take().unwrap_or_else(|| self.passed()));
                }
                Choice::Deployment { position, why } => {
                    let Some(stake) = self.stake(position).await else { continue };
                    if let Some(mut boarding) = self.take(position, why, stake) {
                        boarding.intend().await?;
                        return Ok(boarding);
                    }
                    // Another request was faster; whoever is always too late does not try for ever.
                    misses += 1;
                    if misses > TAKES_MISSED_MAX {
                        let full = Full { by: LimitKind::Parallel, free_at: None };
                        return Err(self.nobody(Nobody::Full(full), false));
                    }
                }
                Choice::None(_) if self.failed.is_none() && self.means.too_dear.is_some() => {
                    return Err(self.means.too_dear.take().unwrap_or_else(|| self.unanswered()));
                }
                Choice::None(nobody) => self.wait(nobody).await?,
            }
        }
    }

    /// A second place beside those that are held already, for a hedge; none where the policy or a budget says no.
    pub(super) async fn board_beside<'b>(
        &mut self,
        held: impl Iterator<Item = &'b Boarding>,
    ) -> Option<Boarding> {
        if !self.has_send_to_spare(Setback::Down) || self.plan.sends() > self.plan.retries_max() {
            return None;
        }
        let mut excluded = self.excluded();
        excluded.resize(self.group.targets().len(), false);
        for boarding in held {
            if let Some(place) = excluded.get_mut(boarding.position) {
                *place = true;
            }
        }
        let choice = self.group.choose(&self.asking.ask(true), self.asking.tokens(), &excluded);
        let Choice::Deployment { position, why } = choice else { return None };
        // Nobody who is being tried out, or is out, is worth a second request.
        let is_sound = !matches!(why, Why::LeastBad | Why::Probe);
        if !is_sound || !self.group.may_hedge() {
            return None;
        }
        // Where money is as short as that, one answer is enough.
        let stake = self.stake(position).await?;
        if stake.as_ref().is_some_and(|stake| stake.lowered().is_some()) {
            return None;
        }
        let mut boarding = self.take(position, why, stake)?;
        // A hedge is no reason to fail.
        boarding.intend().await.ok()?;
        boarding.route.is_hedge = true;
        self.was_hedged = true;
        Some(boarding)
    }

    /// Who has failed this request; nobody is the empty list.
    fn excluded(&self) -> Vec<bool> {
        if self.failed.is_none() && self.plan.sends() == 0 && self.means.dear.is_empty() {
            return Vec::new();
        }
        let is_out = |at: usize| self.plan.has_failed(at) || self.means.dear.contains(&at);
        (0..self.group.targets().len()).map(is_out).collect()
    }

    fn choose(&self) -> Choice {
        let ask = self.asking.ask(self.failed.is_some());
        let fresh = self.group.choose(&ask, self.asking.tokens(), &self.excluded());
        let Some(back) = self.back else { return fresh };
        // Whoever has come free during the wait, and has not failed this request, goes first.
        if matches!(fresh, Choice::Deployment { why, .. } if why != Why::LeastBad) {
            return fresh;
        }
        let others: Vec<bool> = (0..self.group.targets().len()).map(|at| at != back).collect();
        self.group.choose(&ask, self.asking.tokens(), &others)
    }

    /// Whether there is a send that no group which follows such a setback needs.
    fn has_send_to_spare(&self, setback: Setback) -> bool {
        self.sends < SENDS_PER_REQUEST_MAX
            && self.sends.saturating_add(self.journey.groups_after(setback)) < SENDS_PER_REQUEST_MAX
    }

    /// Takes a place; none where another request was faster.
    fn take(&mut self, position: usize, why: Why, stake: Option<Stake>) -> Option<Boarding> {
        let target = self.group.targets().get(position)?;
        let place = Place::take(target, why, self.asking.tokens(), self.group.rules().latency)?;
        if self.plan.sends() == 0 {
            self.group.note_request();
            self.first_order = target.profile.order;
        }
        self.plan.note_send();
        self.sends += 1;
        self.back = None;
        let Errand { snapshot, received, .. } = self.errand;
        let mut limits = limits_of(snapshot, received, (target, self.journey.leg()), self.deadline);
        // Where nobody follows, any answer is better than none.
        limits.checks_quality &= self.journey.has_next(Setback::Failed(FailureKind::Quality));
        let route = Route::new(&self.group, why);
        // Whoever waits behind may find room too.
        self.group.call_next();
        Some(Boarding { target: Arc::clone(target), limits, place, route, stake, position })
    }

    /// Whoever waits already goes first.
    async fn line_up(&mut self) -> Result<(), Over> {
        let is_new = self.plan.sends() == 0 && self.wait_until.is_none();
        if !is_new || !self.group.room().has_line() || !self.group.rules().waiting.is_enabled {
            return Ok(());
        }
        let full = Nobody::Full(Full { by: LimitKind::Parallel, free_at: None });
        if self.journey.has_next_group(Setback::NoPlace) {
            return Ok(());
        }
        let until = self.waits_until();
        match self.group.room().line_up(self.errand.urgency(), until).await {
            Waited::Turn => Ok(()),
            Waited::Late => Err(self.nobody(full, false)),
            Waited::Shed => Err(self.nobody(full, true)),
        }
    }

    /// Until when this request may wait for a place in its group.
    fn waits_until(&mut self) -> Instant {
        let longest = self.group.rules().waiting.longest;
        let deadline = self.deadline;
        *self.wait_until.get_or_insert_with(|| (Instant::now() + longest).min(deadline))
    }

    /// Nobody can be had now: waits where that helps, and else ends the leg.
    async fn wait(&mut self, nobody: Nobody) -> Result<(), Over> {
        if let Some(failed) = self.failed.take() {
            // Somebody has not failed it, and only has no place yet: that is worth more than whoever has failed.
            let is_full = matches!(nobody, Nobody::Full(_)) && self.back.is_none();
            if is_full && !self.journey.has_next_group(failed.setback) {
                let waited = self.wait_for_place(nobody).await;
                if waited == Some(Waited::Turn) {
                    self.failed = Some(failed);
                    return Ok(());
                }
            }
            return self.come_back(failed).await;
        }
        if self.journey.has_next_group(setback(nobody)) {
            return Err(self.nobody(nobody, false));
        }
        match self.wait_for_place(nobody).await {
            Some(Waited::Turn) => Ok(()),
            Some(Waited::Late) | None => Err(self.nobody(nobody, false)),
            Some(Waited::Shed) => Err(self.nobody(nobody, true)),
        }
    }

    /// Waits until there may be a place; `None` where it is not waited for.
    async fn wait_for_place(&mut self, nobody: Nobody) -> Option<Waited> {
        let may_wait = setback(nobody) == Setback::NoPlace && self.group.rules().waiting.is_enabled;
        if !may_wait {
            return None;
        }
        let until = self.waits_until();
        let free_at = nobody.until().map(|moment| self.group.clock().instant(moment));
        // A place that is free again only after the wait is not waited for.
        if free_at.is_some_and(|free_at| free_at > until) || until <= Instant::now() {
            return None;
        }
        Some(self.group.room().wait(self.errand.urgency(), self.seen, (free_at, until)).await)
    }

    /// Every deployment that could be asked has failed this request: back to one that may recover, after a wait.
    async fn come_back(&mut self, failed: Over) -> Result<(), Over> {
        let around = Surroundings {
            time_left: self.deadline.saturating_duration_since(Instant::now()),
            has_others: self.journey.has_next(failed.setback),
        };
        let group = Arc::clone(&self.group);
        let (asking, count) = (self.asking.clone(), group.targets().len());
        let is_usable = |at: usize| {
            let excluded: Vec<bool> = (0..count).map(|other| other != at).collect();
            let choice = group.choose(&asking.ask(true), asking.tokens(), &excluded);
            matches!(choice, Choice::Deployment { .. } | Choice::None(Nobody::Paused { .. }))
        };
        let Some(back) = self.plan.come_back(around, crate::chance::draw(), is_usable) else {
            return Err(failed);
        };
        // Whoever finds its deployment taken meanwhile does not wait twice.
        if self.back == Some(back.position) {
            return Err(failed);
        }
        self.back = Some(back.position);
        self.failed = Some(failed);
        if !back.wait.is_zero() {
            tokio::time::sleep(back.wait).await;
        }
        Ok(())
    }

    /// Notes a failure. `Ok`: there may be another attempt within the group.
    pub(crate) fn note(&mut self, boarding: Boarding, failure: AttemptFailure) -> Result<(), Over> {
        let Boarding { target, limits, place, position, stake, .. } = boarding;
        book_unanswered((&target, stake), &failure.wasted, self.asking.prompt_tokens());
        let mut failure = failure;
        self.met = staged::met_by(&mut failure).or(self.met.take());
        note_failure(self.errand.worker, self.errand.call, &target, &failure);
        let kind = failure.kind;
        let lesson = place.failed(kind, failure.retry_after, &target.health_rules);
        let alerts = self.errand.worker.gateway.alerts();
        alerts.learned(&target, &lesson);
        if kind == FailureKind::NotFound {
            alerts.model_not_found(&target);
        }
        if lesson.is_ejection() && self.group.is_out() {
            alerts.outage(self.group.label(), self.group.targets().len());
        }
        let asked = failure.retry_after.or(lesson.pause).filter(|_| kind == FailureKind::RateLimit);
        // The provider's own word is waited for; a pause that the gateway has set itself only while it is short.
        let own = |pause: Duration| if pause > OWN_PAUSE_WAIT_MAX { Duration::MAX } else { pause };
        let wait = failure.retry_after.or(lesson.pause.map(own)).filter(|_| kind == FailureKind::RateLimit);
        self.soonest_retry = [self.soonest_retry, failure.retry_after, asked].into_iter().flatten().min();
        let mut rejection = failure.rejection;
        let seconds = header_text(&format!("{:?}", limits.attempt.as_secs_f64()));
        rejection.headers_mut().insert(X_LITELLM_TIMEOUT, seconds);
        let over = Over::failed(kind, rejection);
        let goes_on = self.plan.after_failure(position, kind, wait)
            && self.has_send_to_spare(over.setback)
            && self.deadline > Instant::now()
            && self.group.may_retry();
        if !goes_on {
            return Err(over);
        }
        self.failed = Some(over);
        Ok(())
    }

    /// Goes on to the next group of the chain, or says what the caller gets where none follows.
    pub(crate) fn next_leg(&mut self, over: Over) -> Result<(), Rejection> {
        let Over { setback, kind, rejection, is_passed_by } = over;
        self.count_fallback(false);
        if self.errand.received.wish.tells_fallback_errors {
            self.trail.add(self.group.name(), &rejection);
        }
        self.fell = Some((rejection.status().as_u16(), kind.map_or("no_place", FailureKind::word)));
        let is_limit = kind == Some(FailureKind::RateLimit);
        let is_passing = |kind: FailureKind| matches!(kind.blame(), Blame::Deployment | Blame::Limit);
        let back = if kind.is_none_or(is_passing) { self.group.soonest_return() } else { None };
        let rejection =
            rejection.with_retry_after(self.soonest_retry.filter(|_| is_limit)).or_retry_after(back);
        let kept = if is_passed_by { &mut self.passed_by } else { &mut self.first };
        kept.get_or_insert(rejection);
        let Errand { worker, snapshot, received, call } = self.errand;
        let is_over = self.sends >= SENDS_PER_REQUEST_MAX || self.deadline <= Instant::now();
        loop {
            let again = || snapshot.journey(received);
            if !self.journey.advance(setback) && !self.journey.turn_back(self.sends, again) {
                break;
            }
            let Some(name) = self.journey.leg().group.clone() else {
                self.fall();
                return Ok(());
            };
            // Answers that were written down take no send, and may still follow.
            let found = if is_over { None } else { snapshot.group(worker.gateway.metrics(), &name) };
            let Some(group) = found else { continue };
            tracing::info!(
                call_id = %call.id.to_str().unwrap_or_default(),
                group = %name,
                after = kind.map_or("no_place", FailureKind::word),
                "falling back"
            );
            self.asking.turn_to(self.errand, &group);
            self.plan = AttemptPlan::new(snapshot.retry_rules(&group, received));
            self.group = group;
            (self.failed, self.back, self.wait_until) = (None, None, None);
            self.means = Means::default();
            self.fall();
            return Ok(());
        }
        Err(self.first.take().or(self.passed_by.take()).unwrap_or_else(Rejection::internal))
    }

    /// Counts the groups that were left for another: those that are there, whatever else the chain names.
    fn fall(&mut self) {
        if self.journey.leg().depth == 0 {
            self.fallbacks = 0;
            return;
        }
        self.fallbacks += 1;
        self.journey.note_depth(self.fallbacks);
    }

    /// Says in a reply's head which fault the request has met on purpose, and what was tried in vain.
    pub(super) fn tell_met(&self, headers: &mut HeaderMap) {
        staged::tell(headers, self.met.as_ref());
        headers.extend(self.trail.header().map(|value| (X_LITELLM_FALLBACK_ERRORS, value)));
    }

    /// The leg has answered the request: by a deployment, or by words of the operator's.
    pub(super) fn served(&self) {
        let Errand { worker, call, .. } = self.errand;
        let leg = self.journey.leg();
        worker.gateway.served(leg);
        self.count_fallback(true);
        if leg.depth > 0 {
            tracing::info!(
                call_id = %call.id.to_str().unwrap_or_default(),
                group = leg.group.as_deref().unwrap_or(CANNED),
                tier = leg.tier.as_ref().and_then(|tier| tier.to_str().ok()).unwrap_or_default(),
                fallbacks = leg.depth,
                "answered by a fallback"
            );
        }
    }

    fn count_fallback(&self, was_answered: bool) {
        let Errand { worker, call, .. } = self.errand;
        let Some(after) = self.fell else { return };
        let requested = call.group.get().map(|group| group.label()).unwrap_or_default();
        let is_canned = self.journey.leg().group.is_none();
        let fallback = if is_canned { CANNED } else { self.group.label() };
        worker.gateway.metrics().fell_back(FallbackFacts { requested, fallback, after }, was_answered);
    }

    /// The leg has no answer.
    pub(crate) fn unanswered(&self) -> Over {
        let rejection = Rejection::internal();
        Over { setback: Setback::NotAllowed, kind: None, rejection: Box::new(rejection), is_passed_by: false }
    }

    /// A deployment answered.
    pub(super) fn arrived(&mut self, answer: Answer, boarding: Boarding) -> Answer {
        let Boarding { target, mut place, route, position, stake, .. } = boarding;
        let took = answer.took();
        let answer_is_stream = answer.is_stream();
        let first_token = answer_is_stream.then_some(took);
        let lesson = place.answered(first_token);
        if let Some(pause) = exhausted_for(answer.provider_headers(), SystemTime::now()) {
            place.pause(pause);
        }
        self.errand.worker.gateway.alerts().learned(&target, &lesson);
        // Hedging is about whoever has nothing to show yet, plain answers too.
        self.group.note_first_token(took);
        self.asking.hold(&self.group, &target.id);
        self.served();
        // A higher `order` is LiteLLM's fallback within the group.
        let is_next_order = target.profile.order != self.first_order;
        let leg = self.journey.leg();
        answer.met_before(self.met.clone()).by(Arrival {
            place,
            stake,
            route,
            retries: self.plan.failures().saturating_sub(u32::from(is_next_order)),
            retries_max: self.plan.retries_max(),
            fallbacks: leg.depth + u32::from(is_next_order),
            tier: leg.tier.clone(),
            was_hedged: self.was_hedged,
            trail: self.trail.header(),
            rest: self.rest(answer_is_stream, position),
        })
    }

    /// What is left, for a stream that may have to go on from elsewhere, and can.
    fn rest(&self, is_stream: bool, position: usize) -> Option<Rest> {
        (is_stream && self.errand.received.keeps_past).then(|| Rest {
            journey: self.journey.clone(),
            group: Arc::clone(&self.group),
            asking: self.asking.clone(),
            plan: self.plan.clone(),
            position,
            sends: self.sends,
        })
    }

    /// A deployment has opened a session.
    pub(crate) fn opened(&mut self, boarding: Boarding) -> Opened {
        let Boarding { target, mut place, stake, .. } = boarding;
        let lesson = place.answered(None);
        self.errand.worker.gateway.alerts().learned(&target, &lesson);
        self.served();
        Opened { target, place, stake, counts: (self.plan.failures(), self.plan.retries_max()) }
    }

    /// A hedge lost, and what it may have cost is the gateway's own.
    pub(super) fn lost(&self, boarding: Boarding) {
        book_overhead(&boarding.target, boarding.stake, self.asking.prompt_tokens());
    }

    fn nobody(&self, nobody: Nobody, was_shed: bool) -> Over {
        let now = self.group.clock().now();
        let rejection = Rejection::nobody(&self.group, nobody, (now, was_shed));
        Over { setback: setback(nobody), kind: None, rejection: Box::new(rejection), is_passed_by: false }
    }

    /// Every deployment is ejected, and nobody is asked, since another group follows.
    fn passed(&self) -> Over {
        let now = self.group.clock().now();
        let until = now.after(self.group.soonest_return().unwrap_or_default());
        Over { is_passed_by: true, ..self.nobody(Nobody::Ejected { until }, false) }
    }
}

impl Over {
    pub(super) fn failed(kind: FailureKind, rejection: Rejection) -> Self {
        Self { setback: kind.into(), kind: Some(kind), rejection: Box::new(rejection), is_passed_by: false }
    }
}

/// The time limits of an attempt on this leg.
pub(crate) fn limits_of(
    snapshot: &Snapshot,
    received: &Received<'_>,
    (target, leg): (&Target, &Leg),
    deadline: Instant,
) -> CallLimits {
    let mut limits = snapshot.call_limits(received, target, deadline);
    limits.is_fallback = leg.depth > 0;
    limits.checks_quality = leg.checks_quality;
    if let Some(first_token) = leg.first_token {
        limits.attempt = limits.attempt.min(first_token);
    }
    limits
}

impl Errand<'_> {
    /// How urgent it is to get a place, and whose it is.
    pub(crate) fn urgency(&self) -> Urgency {
        let default = self.snapshot.default_priority();
        Urgency { priority: self.received.wish.priority.unwrap_or(default), team: self.call.caller.hash() }
    }
}

/// What it is to the chain that nobody could be asked.
pub(crate) fn setback(nobody: Nobody) -> Setback {
    match nobody {
        Nobody::ContextWindow => Setback::Failed(FailureKind::ContextWindow),
        Nobody::Paused { .. } | Nobody::Full(_) => Setback::NoPlace,
        Nobody::NotAllowed(_) | Nobody::NoTags => Setback::NotAllowed,
        Nobody::Empty | Nobody::ForcedDown | Nobody::Ejected { .. } | Nobody::Failed => Setback::Down,
    }
}
