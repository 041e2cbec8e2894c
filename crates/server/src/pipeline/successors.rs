//! Which deployment a stream that broke goes on from.
//!
//! Owns what the walk left behind: who was asked, how many sends are left, which groups follow. Leaves to others what goes
//! out and what came back. **Invariant:** nobody is asked twice for one request here, and the sends of a request stay
//! within their limit.

use super::boarding::Boarding;
use super::receive::Received;
use super::walk::{Errand, limits_of};
use crate::routing::{Asking, Group, Journey, Place, Route, Waited};
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_policy::chain::Setback;
use tollgate_policy::choice::{Choice, Nobody, Why};
use tollgate_policy::failure::{FailureKind, Verdict};
use tollgate_policy::plan::{AttemptPlan, SENDS_PER_REQUEST_MAX};

/// Longest that a stream stands still for a place at whoever goes on with it: what most clients wait for in silence.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where a walk ended: at the deployment that answers.
#[derive(Debug)]
pub(crate) struct Rest {
    pub(super) journey: Journey,
    pub(super) group: Arc<Group>,
    pub(super) asking: Asking,
    pub(super) plan: AttemptPlan,
    pub(super) position: usize,
    pub(super) sends: u32,
}

/// The deployments that may still go on with a request.
#[derive(Debug)]
pub(crate) struct Successors {
    rest: Rest,
    /// The first send of a rescue is what the caller is owed, and no part of a storm: a provider that goes away breaks all
    /// its streams at once. Those after it are within the group's budget of retries.
    has_begun: bool,
    /// Bytes of text that the caller has, which whoever goes on is sent.
    sent_bytes: u64,
}

impl Successors {
    /// Those that follow where a walk ended.
    pub(crate) fn new(rest: Rest) -> Self {
        Self { rest, has_begun: false, sent_bytes: 0 }
    }

    /// Whether there may be any beside the one that will answer.
    pub(crate) fn may_exist(snapshot: &Snapshot, received: &Received<'_>, group: &Group) -> bool {
        let broken = Setback::Failed(FailureKind::Connection);
        group.targets().len() > 1 || snapshot.journey(received).has_next(broken)
    }

    /// There can be nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.sends >= SENDS_PER_REQUEST_MAX
    }

    /// Whoever goes on is sent so many bytes of text beside the request.
    pub(crate) fn note_sent(&mut self, bytes: usize) {
        self.sent_bytes = bytes as u64;
    }

    /// A place at the next one, after a failure of this kind; a send is counted for it.
    pub(crate) async fn next(&mut self, errand: Errand<'_>, kind: FailureKind) -> Option<Boarding> {
        let Errand { worker, snapshot, .. } = errand;
        if kind.verdict() == Verdict::Never || self.is_empty() {
            return None;
        }
        self.rest.plan.after_failure(self.rest.position, kind, None);
        loop {
            if let Some((position, why)) = self.fresh(errand).await
                && (!std::mem::replace(&mut self.has_begun, true) || self.rest.group.may_retry())
                && let Some(mut boarding) = self.board(errand, (position, why)).await
                && boarding.intend().await.is_ok()
            {
                return Some(boarding);
            }
            self.next_group((worker, snapshot), kind)?;
        }
    }

    /// Counts a further send to the one that was asked last; false where none is left.
    pub(crate) fn again(&mut self) -> bool {
        let is_left = !self.is_empty();
        self.rest.sends += 1;
        is_left
    }

    /// Whoever has not failed the request; waits for a place where all are taken and no other group follows.
    async fn fresh(&self, errand: Errand<'_>) -> Option<(usize, Why)> {
        let Rest { group, asking, plan, journey, .. } = &self.rest;
        let failed: Vec<bool> = (0..group.targets().len()).map(|at| plan.has_failed(at)).collect();
        let waiting = group.rules().waiting;
        let until = Instant::now() + waiting.longest.min(PLACE_WAIT_MAX);
        loop {
            let seen = group.room().freed();
            let nobody = match group.choose(&asking.ask(true), asking.tokens(), &failed) {
                Choice::Deployment { position, why } => return Some((position, why)),
                Choice::None(nobody) => nobody,
            };
            let is_worth_it = matches!(nobody, Nobody::Full(_))
                && waiting.is_enabled
                && !journey.has_next_group(Setback::NoPlace);
            let free_at = nobody.until().map(|moment| group.clock().instant(moment));
            if !is_worth_it || free_at.is_some_and(|free_at| free_at > until) {
                return None;
            }
            if group.room().wait(errand.urgency(), seen, (free_at, until)).await != Waited::Turn {
                return None;
            }
        }
    }

    async fn board(&mut self, errand: Errand<'_>, (position, why): (usize, Why)) -> Option<Boarding> {
        let Errand { snapshot, received, call, .. } = errand;
        let Rest { group, asking, journey, .. } = &self.rest;
        let target = Arc::clone(group.targets().get(position)?);
        let limits = limits_of(snapshot, received, (&target, journey.leg()), Instant::now());
        let mut stake = None;
        if let Some(toll) = call.toll.get() {
            let (rules, whole) = (snapshot.toll_rules(), toll.bounds().clone().and_text(self.sent_bytes));
            // Never with a lower maximum: what goes on would be cut in the middle.
            let staked = toll.stake(rules, (&target, limits.attempt), Some(&whole), false).await;
            stake = Some(staked.ok()?);
        }
        let place = Place::take(&target, why, asking.tokens(), group.rules().latency)?;
        // The request's own time was for its beginning, which the caller has.
        let limits = super::attempt::CallLimits {
            deadline: Instant::now() + limits.connect + limits.attempt,
            ..limits
        };
        let route = Route::new(group, why);
        self.rest.plan.note_send();
        (self.rest.position, self.rest.sends) = (position, self.rest.sends + 1);
        Some(Boarding { target, limits, place, route, stake, position })
    }

    /// Goes on to the next group that is sent the request as the caller sent it: the answer to another one would not agree.
    fn next_group(&mut self, (worker, snapshot): (&Worker, &Snapshot), kind: FailureKind) -> Option<()> {
        loop {
            if !self.rest.journey.advance(Setback::Failed(kind)) {
                return None;
            }
            let leg = self.rest.journey.leg();
            let Some(name) = leg.group.as_deref().filter(|_| !leg.changes_request()) else { continue };
            let Some(group) = snapshot.group(worker.gateway.metrics(), name) else { continue };
            self.rest.group = group;
            self.rest.plan = AttemptPlan::default();
            return Some(());
        }
    }
}
