//! A request's whole way, gone through without sending anything: who would be asked if everyone failed in one way.
//!
//! Owns the order of the steps, which is the walk's. Leaves each of them to the code that serves: the choice to the group,
//! retries to `policy::plan`, what follows a group to the journey. **Invariant:** nothing is sent, reserved or learned; turns
//! are taken in a copy.

use super::asking::Asking;
use super::group::{Explained, Group};
use super::journey::{Journey, Leg};
use crate::chance::draw;
use crate::pipeline::canned;
use crate::pipeline::walk::{Errand, setback};
use std::sync::Arc;
use std::time::Duration;
use tollgate_policy::chain::Setback;
use tollgate_policy::choice::{Choice, Nobody, Why};
use tollgate_policy::failure::FailureKind;
use tollgate_policy::health::PAUSE_BASE;
use tollgate_policy::plan::{AttemptPlan, SENDS_PER_REQUEST_MAX, Surroundings};

/// One send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// The deployment, by its position in the group.
    pub(crate) position: usize,
    /// Why it.
    pub(crate) why: Why,
    /// The longest wait before it.
    pub(crate) wait: Duration,
}

/// One group, or tier of canned answers, of the way.
#[derive(Debug)]
pub(crate) struct RehearsedLeg {
    /// What the chain says of it.
    pub(crate) leg: Leg,
    /// The group and the choice among its deployments; none is the tier of canned answers.
    pub(crate) group: Option<(Arc<Group>, Explained)>,
    /// What the request asks of this group.
    pub(crate) asking: Asking,
    /// The sends, in their order.
    pub(crate) steps: Vec<Step>,
    /// What stands in the way, where nobody could be asked at all.
    pub(crate) nobody: Option<Nobody>,
    /// The request asks to see this failure here, and nobody is asked.
    pub(crate) mocked: Option<FailureKind>,
    /// The words of the tier without a model answer the request.
    pub(crate) is_answered: bool,
}

/// The whole way of a request if every attempt failed like this.
pub(crate) fn rehearse(
    errand: Errand<'_>,
    group: &Arc<Group>,
    asking: &Asking,
    kind: FailureKind,
) -> Vec<RehearsedLeg> {
    let Errand { worker, snapshot, received, .. } = errand;
    let journey = snapshot.journey(received);
    let mut rehearsal =
        Rehearsal { errand, journey, group: Arc::clone(group), asking: asking.clone(), kind, sends: 0 };
    let mut legs: Vec<RehearsedLeg> = Vec::new();
    loop {
        let leg = rehearsal.leg();
        let setback =
            leg.nobody.map_or_else(|| leg.mocked.map_or(Setback::Failed(kind), Setback::Failed), setback);
        let setback = if leg.group.is_none() { Setback::NotAllowed } else { setback };
        let is_over = leg.is_answered || rehearsal.sends >= SENDS_PER_REQUEST_MAX;
        legs.push(leg);
        loop {
            let again = || snapshot.journey(received);
            if is_over
                || !(rehearsal.journey.advance(setback)
                    || rehearsal.journey.turn_back(rehearsal.sends, again))
            {
                return legs;
            }
            let Some(name) = rehearsal.journey.leg().group.clone() else { break };
            let Some(next) = snapshot.group(worker.gateway.metrics(), &name) else { continue };
            rehearsal.asking.turn_to(errand, &next);
            rehearsal.group = next;
            break;
        }
    }
}

struct Rehearsal<'a> {
    errand: Errand<'a>,
    journey: Journey,
    group: Arc<Group>,
    asking: Asking,
    kind: FailureKind,
    sends: u32,
}

impl Rehearsal<'_> {
    /// The leg that it is on, gone through.
    fn leg(&mut self) -> RehearsedLeg {
        let leg = self.journey.leg().clone();
        let asking = self.asking.clone();
        let is_answered =
            leg.canned.as_ref().is_some_and(|answers| canned::answer(self.errand, answers).is_some());
        let mut told = RehearsedLeg {
            group: None,
            steps: Vec::new(),
            nobody: None,
            mocked: None,
            is_answered,
            leg,
            asking,
        };
        if told.leg.canned.is_none() {
            // The table and the first step are one choice.
            let first_draw = draw();
            let explained = self.group.explain(&self.asking.ask(false), self.asking.tokens(), first_draw);
            told.group = Some((Arc::clone(&self.group), explained));
            told.mocked = self.journey.take_mock().map(|(kind, _)| kind);
            if told.mocked.is_none() {
                (told.steps, told.nobody) = self.steps(first_draw);
            }
        }
        told
    }

    /// The sends within the group, or what stands in the way of the first.
    fn steps(&mut self, first_draw: f64) -> (Vec<Step>, Option<Nobody>) {
        let Errand { snapshot, received, .. } = self.errand;
        let mut plan = AttemptPlan::new(snapshot.retry_rules(&self.group, received));
        let mut turns = self.group.turns();
        let mut budget = self.group.retries_left();
        let mut steps: Vec<Step> = Vec::new();
        // A provider that does not say how long is left alone for the first of the policy's own pauses.
        let pause = (self.kind == FailureKind::RateLimit).then_some(PAUSE_BASE);
        loop {
            let is_retry = !steps.is_empty();
            let ask = self.asking.ask(is_retry);
            let tokens = self.asking.tokens();
            let failed: Vec<bool> = (0..self.group.targets().len()).map(|at| plan.has_failed(at)).collect();
            let draw = if is_retry { draw() } else { first_draw };
            let step = match self.group.rehearse((&ask, tokens), &failed, &mut turns, draw) {
                Choice::Deployment { why: Why::LeastBad, .. } if self.journey.passes_by() => {
                    let soonest = self.group.soonest_return().unwrap_or_default();
                    let nobody = Nobody::Ejected { until: self.group.clock().now().after(soonest) };
                    return (steps, Some(nobody).filter(|_| !is_retry));
                }
                Choice::Deployment { position, why } => Step { position, why, wait: Duration::ZERO },
                Choice::None(nobody) if !is_retry => return (steps, Some(nobody)),
                Choice::None(_) => match self.come_back(&mut plan) {
                    Some(step) => step,
                    None => return (steps, None),
                },
            };
            steps.push(step);
            plan.note_send();
            self.sends += 1;
            let kept = self.journey.groups_after(Setback::Failed(self.kind));
            let goes_on = plan.after_failure(step.position, self.kind, pause)
                && self.sends.saturating_add(kept) < SENDS_PER_REQUEST_MAX;
            if !goes_on || budget == 0 {
                return (steps, None);
            }
            budget -= 1;
        }
    }

    /// Back to a deployment that has failed, after the longest wait that there may be.
    fn come_back(&self, plan: &mut AttemptPlan) -> Option<Step> {
        let Errand { snapshot, received, .. } = self.errand;
        let around = Surroundings {
            time_left: snapshot.whole_time(&received.overrides),
            has_others: self.journey.has_next(Setback::Failed(self.kind)),
        };
        let alone = |at: usize| {
            let others: Vec<bool> = (0..self.group.targets().len()).map(|other| other != at).collect();
            let ask = self.asking.ask(true);
            self.group.rehearse((&ask, self.asking.tokens()), &others, &mut self.group.turns(), draw())
        };
        let is_usable =
            |at: usize| matches!(alone(at), Choice::Deployment { .. } | Choice::None(Nobody::Paused { .. }));
        let back = plan.come_back(around, 1.0, is_usable)?;
        match alone(back.position) {
            Choice::Deployment { position, why } => Some(Step { position, why, wait: back.wait }),
            Choice::None(_) => None,
        }
    }
}
