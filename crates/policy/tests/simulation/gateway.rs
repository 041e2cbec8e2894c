//! The walk of each request through its group, with every decision left to the policy.
//!
//! Owns the order of the steps, as a server has it: choose, take a place, send, learn, try again, wait. Leaves to
//! others: deciding (the policy crate), and what must hold (oracle). **Invariant:** what is told to the oracle is what
//! was really done.

use crate::oracle::{Checked, Oracle, Outcome, Send, Tally, Violation};
use crate::scenario::{Arrival, Draws, MS, Scenario};
use crate::world::{Answer, End, Event, Timeline, answer};
use std::time::Duration;
use tollgate_policy::ask::{Ask, Leaning, Requirements};
use tollgate_policy::budget::{BudgetRules, RatioBudget};
use tollgate_policy::choice::{Candidate, Choice, ChoiceRules, Group, Nobody, Reading, Why, choose};
use tollgate_policy::clock::Moment;
use tollgate_policy::deployment::{DeploymentState, Outcome as Taught, Sent};
use tollgate_policy::failure::Verdict;
use tollgate_policy::health::{Attempt, Change, Failed, Forced, Health, Standing};
use tollgate_policy::latency::{LatencyRules, Measure};
use tollgate_policy::limits::Ticket;
use tollgate_policy::plan::{AttemptPlan, SENDS_PER_REQUEST_MAX, Surroundings};
use tollgate_policy::quantile::Recent;
use tollgate_policy::queue::{Pushed, WaitQueue};
use tollgate_policy::strategy::StrategyState;

/// An attempt under way.
struct Live {
    number: usize,
    request: usize,
    position: usize,
    attempt: Attempt,
    of_credential: Option<(usize, Attempt)>,
    ticket: Ticket,
    sent_at: u64,
    answer: Answer,
}

struct Request {
    plan: AttemptPlan,
    failed: Vec<bool>,
    is_waiting: bool,
}

pub(crate) struct Gateway<'s> {
    scenario: &'s Scenario,
    pub(crate) timeline: Timeline,
    draws: Draws,
    oracle: Oracle<'s>,
    deployments: Vec<DeploymentState>,
    credentials: Vec<Health>,
    strategy: StrategyState,
    retries: RatioBudget,
    hedges: RatioBudget,
    first_tokens: Recent,
    latency: LatencyRules,
    queue: WaitQueue<usize>,
    requests: Vec<Request>,
    live: Vec<Live>,
    attempts: usize,
    pump_at: Option<u64>,
}

impl<'s> Gateway<'s> {
    pub(crate) fn new(scenario: &'s Scenario, timeline: Timeline) -> Self {
        let request = || Request {
            plan: AttemptPlan::new(scenario.retries),
            failed: vec![false; scenario.deployments.len()],
            is_waiting: false,
        };
        Self {
            scenario,
            timeline,
            draws: Draws::new(scenario.draws_seed),
            oracle: Oracle::new(scenario),
            deployments: scenario.deployments.iter().map(|_| DeploymentState::default()).collect(),
            credentials: scenario.credentials.iter().map(|_| Health::default()).collect(),
            strategy: StrategyState::default(),
            retries: RatioBudget::new(BudgetRules::RETRIES),
            hedges: RatioBudget::new(scenario.hedges.unwrap_or(BudgetRules::HEDGES)),
            first_tokens: Recent::default(),
            latency: LatencyRules::default(),
            queue: WaitQueue::new(scenario.queue_size),
            requests: scenario.arrivals.iter().map(|_| request()).collect(),
            live: Vec::new(),
            attempts: 0,
            pump_at: None,
        }
    }

    pub(crate) fn take(&mut self, event: Event) -> Checked {
        match event {
            Event::Arrive(request) => self.arrive(request),
            Event::AttemptEnds(number) => self.attempt_ends(number),
            Event::Wake { request, position } => self.wake(request, position),
            Event::Hedge(number) => self.hedge(number),
            Event::Pump => {
                self.pump_at = None;
                self.pump()
            }
            Event::QueueWaitEnds(request) => self.queue_wait_ends(request),
            Event::Deadline(request) => self.cancel(request, Outcome::DeadlinePassed),
            Event::HangUp(request) => self.cancel(request, Outcome::HungUp),
            Event::Override(number) => self.force(number),
            Event::Jump(_) => Ok(()),
        }
    }

    pub(crate) fn check_step(&mut self) -> Checked {
        let now = self.now();
        let in_flight: Vec<u32> =
            self.deployments.iter_mut().map(|state| state.limiter.used(now).in_flight).collect();
        self.oracle.check_step(self.timeline.now, &in_flight)
    }

    pub(crate) fn check_end(mut self) -> Checked<Tally> {
        self.check_step()?;
        self.oracle.check_end()?;
        let last = self.scenario.arrivals.len() - 1;
        let outcome = self.oracle.outcome(last);
        let has_rates = self.scenario.deployments.iter().any(|spec| spec.profile.rates != Default::default());
        if outcome != Some(Outcome::Reply) && !has_rates {
            let text = format!("the last request, with all well: {outcome:?}");
            return Err(Violation { rule: "a fresh request is answered", text });
        }
        Ok(self.oracle.tally)
    }

    fn now(&self) -> Moment {
        Moment::from_micros(self.timeline.now)
    }

    fn arrival(&self, request: usize) -> &'s Arrival {
        &self.scenario.arrivals[request]
    }

    fn arrive(&mut self, request: usize) -> Checked {
        self.retries.note_request(self.now());
        self.hedges.note_request(self.now());
        self.oracle.arrived(self.timeline.now, request);
        if !self.queue.is_empty() {
            // Nobody overtakes those who wait, save by priority.
            self.line_up(request)?;
            return self.pump();
        }
        match self.pick(request, &[]) {
            Choice::Deployment { position, .. } => self.send(request, position),
            Choice::None(nobody) => self.wait_or_reject(request, nobody),
        }
    }

    /// The choice, and its candidates' readings as of now.
    fn pick(&mut self, request: usize, besides: &[usize]) -> Choice {
        let candidates = self.candidates(request);
        let arrival = self.arrival(request);
        let requirements = Requirements::default();
        let is_retry = self.requests[request].plan.sends() > 0;
        let mut excluded = self.requests[request].failed.clone();
        for &position in besides {
            excluded[position] = true;
        }
        let affinity =
            arrival.affinity.map(|position| self.scenario.deployments[position].profile.id.as_str());
        let ask = Ask {
            prompt_tokens: arrival.estimate,
            is_counted: true,
            output_tokens: None,
            is_stream: arrival.is_stream,
            is_retry,
            tags: &[],
            patterns: None,
            requirements: &requirements,
            sticky_key: arrival.sticky_key,
            affinity,
            leaning: Leaning::None,
            weights: &[],
        };
        let group = Group {
            strategy: self.scenario.strategy,
            rules: ChoiceRules::default(),
            candidates: &candidates,
            excluded: &excluded,
        };
        choose(&group, &ask, &mut self.strategy, self.draws.share())
    }

    fn candidates(&mut self, request: usize) -> Vec<Candidate<'s>> {
        let now = self.now();
        let tokens = self.arrival(request).estimate;
        let mut candidates = Vec::new();
        for (position, spec) in self.scenario.deployments.iter().enumerate() {
            let state = &mut self.deployments[position];
            let room = state.limiter.room(now, spec.profile.rates, tokens);
            if room.is_err() {
                self.oracle.was_full(self.timeline.now, position);
            }
            let credential = spec.credential.map(|credential| self.credentials[credential].standing(now));
            let reading = Reading {
                standing: state.health.standing(now),
                credential: credential.unwrap_or(Standing::Up),
                forced: state.health.forced(now),
                consecutive_failures: state.health.consecutive_failures(),
                room,
                used: state.limiter.used(now),
                first_token: state.latency.score(now, Measure::FirstToken, &self.latency),
                per_token: state.latency.score(now, Measure::PerToken, &self.latency),
                silent: state.latency.silence.read(now),
            };
            candidates.push(Candidate { profile: &spec.profile, now: reading });
        }
        candidates
    }

    fn has_room(&mut self, request: usize) -> Vec<bool> {
        self.candidates(request).iter().map(|candidate| candidate.now.room.is_ok()).collect()
    }

    fn send(&mut self, request: usize, position: usize) -> Checked {
        let (now, arrival) = (self.now(), self.arrival(request));
        let spec = &self.scenario.deployments[position];
        let has_room = self.has_room(request);
        let state = &mut self.deployments[position];
        let Ok(Sent { attempt, ticket }) = state.send(now, spec.profile.rates, arrival.estimate) else {
            let text = format!("request {request} to {position}");
            return Err(Violation { rule: "a choice has room", text });
        };
        let credentials = &mut self.credentials;
        let of_credential =
            spec.credential.map(|credential| (credential, credentials[credential].begin(now)));
        state.latency.silence.begin(now);
        self.requests[request].plan.note_send();
        let number = self.attempts;
        self.attempts += 1;
        let is_probe = (attempt.is_probe, of_credential.is_some_and(|(_, attempt)| attempt.is_probe));
        let affinity = arrival.affinity;
        let sent = Send { request, attempt: number, position, tokens: arrival.estimate, is_probe, affinity };
        self.timeline.note(|| format!("  {sent:?}"));
        self.oracle.sent(self.timeline.now, sent, &has_room)?;
        let answer = answer(self.scenario, position, self.timeline.now, arrival.is_bad, &mut self.draws);
        self.timeline.at(self.timeline.now + answer.took, Event::AttemptEnds(number));
        if let Some(after) = self.hedge_after(request) {
            self.timeline.at(self.timeline.now + after, Event::Hedge(number));
        }
        let sent_at = self.timeline.now;
        self.live.push(Live { number, request, position, attempt, of_credential, ticket, sent_at, answer });
        Ok(())
    }

    fn hedge_after(&self, request: usize) -> Option<u64> {
        let is_wanted = self.scenario.hedges.is_some() && self.arrival(request).is_stream;
        let learned = self.first_tokens.quantile(0.95).filter(|_| is_wanted)?;
        Some(learned.as_micros() as u64)
    }

    fn hedge(&mut self, number: usize) -> Checked {
        let Some(slow) = self.live.iter().find(|live| live.number == number) else { return Ok(()) };
        let (request, position) = (slow.request, slow.position);
        let is_alone = self.live.iter().filter(|live| live.request == request).count() == 1;
        if !is_alone || !self.may_send_again(request) {
            return Ok(());
        }
        let Choice::Deployment { position: other, why } = self.pick(request, &[position]) else {
            return Ok(());
        };
        // A second attempt beside one that may well succeed is no reason to trouble a deployment that is out.
        if matches!(why, Why::LeastBad | Why::Probe) || !self.hedges.try_spend(self.now()) {
            return Ok(());
        }
        self.oracle.hedged(self.timeline.now)?;
        self.send(request, other)
    }

    fn may_send_again(&self, request: usize) -> bool {
        let plan = &self.requests[request].plan;
        plan.sends() <= plan.retries_max() && plan.sends() < SENDS_PER_REQUEST_MAX
    }

    fn attempt_ends(&mut self, number: usize) -> Checked {
        let Some(place) = self.live.iter().position(|live| live.number == number) else { return Ok(()) };
        let live = self.live.swap_remove(place);
        let (request, position) = (live.request, live.position);
        match live.answer.end {
            End::Reply { used_up } => {
                let took = Duration::from_micros(self.timeline.now - live.sent_at);
                self.first_tokens.observe(took);
                let now = self.now();
                self.deployments[position].latency.observe(now, Measure::FirstToken, took, &self.latency);
                let real = self.arrival(request).real;
                self.teach(live, Taught::Success, real)?;
                if let Some(for_) = used_up {
                    let until = self.timeline.now + for_;
                    self.deployments[position].health.pause_until(Moment::from_micros(until));
                    self.oracle.told_to_wait(position, until);
                }
                self.finish(request, Outcome::Reply)?;
            }
            End::Failure { kind, retry_after } => {
                let retry_after = retry_after.map(Duration::from_micros);
                let failed = Failed { kind, retry_after, draw: self.draws.share() };
                if let Some(said) = retry_after {
                    self.oracle.told_to_wait(position, self.timeline.now + said.as_micros() as u64);
                }
                self.oracle.failed(self.timeline.now, request, position, kind);
                self.teach(live, Taught::Failure(failed), 0)?;
                self.requests[request].failed[position] = true;
                let may_retry = self.requests[request].plan.after_failure(position, kind, retry_after);
                let is_alone = self.live.iter().all(|live| live.request != request);
                if kind.verdict() == Verdict::Never
                    || (is_alone && !(may_retry && self.may_send_again(request)))
                {
                    self.finish(request, Outcome::Failure)?;
                } else if is_alone {
                    self.try_again(request)?;
                }
            }
        }
        self.pump()
    }

    /// Tells all that can learn from an attempt's end, and gives its place back.
    fn teach(&mut self, live: Live, taught: Taught, tokens: u64) -> Checked {
        let (now, rules) = (self.now(), &self.scenario.rules);
        self.oracle.ended(self.timeline.now, live.number, live.position, tokens)?;
        let state = &mut self.deployments[live.position];
        state.limiter.settle(now, live.ticket, tokens);
        state.penalize(now, taught, &self.latency);
        let silence = &mut state.latency.silence;
        let took = Duration::from_micros(self.timeline.now - live.sent_at);
        match taught {
            Taught::Success => silence.answer(now, took),
            Taught::Failure(failed) if failed.kind.is_silent() => silence.end(),
            Taught::Failure(_) => silence.speak(now),
            Taught::Abandoned => silence.give_up(now, took),
        }
        let of_deployment = taught.for_deployment(live.of_credential.is_some());
        let change = of_deployment.teach(&mut state.health, live.attempt, now, rules);
        let standing = state.health.standing(now);
        self.note_change(live.position, change);
        if matches!(change, Some(Change::Ejected { .. }))
            && let Standing::Paused { until } = standing
        {
            // A counted 429 pauses too; the ejection is what it is told by.
            self.oracle.told_to_wait(live.position, until.micros());
        }
        self.oracle.changed(self.timeline.now, live.position, change)?;
        if let Some((credential, attempt)) = live.of_credential {
            let change =
                taught.for_credential().teach(&mut self.credentials[credential], attempt, now, rules);
            self.oracle.credential_changed(self.timeline.now, credential, change)?;
        }
        Ok(())
    }

    fn note_change(&self, position: usize, change: Option<Change>) {
        if let Some(change) = change {
            self.timeline.note(|| format!("  deployment {position}: {change:?}"));
        }
    }

    /// After a failure: at once to a fresh deployment, else back to one that may recover, after a wait.
    fn try_again(&mut self, request: usize) -> Checked {
        let choice = self.pick(request, &[]);
        let back = match choice {
            Choice::Deployment { .. } => None,
            Choice::None(_) => match self.come_back(request) {
                Some(back) => Some(back),
                None => return self.finish(request, Outcome::Failure),
            },
        };
        if !self.retries.try_spend(self.now()) {
            self.oracle.tally.refused_retries += 1;
            return self.finish(request, Outcome::Failure);
        }
        self.oracle.retried(self.timeline.now)?;
        match (choice, back) {
            (Choice::Deployment { position, .. }, _) => self.send(request, position),
            (_, Some((position, wait))) => self.sleep(request, position, self.timeline.now + wait),
            (Choice::None(_), None) => Ok(()),
        }
    }

    /// Where to come back to, and after which wait: to one that is up where there is one.
    fn come_back(&mut self, request: usize) -> Option<(usize, u64)> {
        let deadline = Moment::from_micros(self.arrival(request).deadline);
        let time_left = self.now().until(deadline);
        let readings: Vec<Reading> = self.candidates(request).iter().map(|candidate| candidate.now).collect();
        let draw = self.draws.share();
        let is_held =
            |position: usize| matches!(readings[position].forced, Some(Forced::Down | Forced::Draining));
        let is_up = |position: usize| {
            matches!(
                readings[position].standing(),
                Standing::Up | Standing::HalfOpen | Standing::Paused { .. }
            )
        };
        let around = Surroundings { time_left, has_others: false };
        let plan = &mut self.requests[request].plan;
        let back = match plan.come_back(around, draw, |position| !is_held(position) && is_up(position)) {
            Some(back) => Some(back),
            None => plan.come_back(around, draw, |position| !is_held(position)),
        };
        back.map(|back| (back.position, back.wait.as_micros() as u64))
    }

    /// No wait is begun that the deadline would cut off.
    fn sleep(&mut self, request: usize, position: usize, until: u64) -> Checked {
        let deadline = self.arrival(request).deadline;
        if until >= deadline {
            let text = format!("request {request} would sleep until {until}, its deadline is {deadline}");
            return Err(Violation { rule: "no wait beyond the deadline", text });
        }
        self.timeline.at(until, Event::Wake { request, position });
        Ok(())
    }

    fn wake(&mut self, request: usize, position: usize) -> Checked {
        if !self.oracle.is_open(request) {
            return Ok(());
        }
        if let Choice::Deployment { position: fresh, .. } = self.pick(request, &[]) {
            return self.send(request, fresh);
        }
        let reading = self.candidates(request)[position].now;
        let ready_at = match (reading.standing(), reading.room, reading.forced) {
            (_, _, Some(Forced::Down | Forced::Draining)) => None,
            (Standing::Paused { until }, _, _) => Some(until),
            (_, Err(full), _) => full.free_at,
            (_, Ok(()), _) => return self.send(request, position),
        };
        let deadline = self.arrival(request).deadline;
        match ready_at.filter(|at| at.micros() < deadline) {
            Some(at) => self.sleep(request, position, at.micros()),
            None => self.finish(request, Outcome::Failure),
        }
    }

    /// Ends a request, and whatever is still under way for it.
    fn finish(&mut self, request: usize, outcome: Outcome) -> Checked {
        self.timeline.note(|| format!("  request {request}: {outcome:?}"));
        while let Some(place) = self.live.iter().position(|live| live.request == request) {
            let live = self.live.swap_remove(place);
            let real = self.arrival(request).real / 2;
            self.teach(live, Taught::Abandoned, real)?;
        }
        self.oracle.finished(self.timeline.now, request, outcome)
    }

    fn cancel(&mut self, request: usize, outcome: Outcome) -> Checked {
        if !self.oracle.is_open(request) {
            return Ok(());
        }
        if self.requests[request].is_waiting {
            self.leave_line(request)?;
        }
        self.finish(request, outcome)?;
        self.pump()
    }

    fn force(&mut self, number: usize) -> Checked {
        let word = self.scenario.overrides[number];
        let until = word.until.map(Moment::from_micros);
        self.deployments[word.position].health.force(word.forced, until);
        self.oracle.forced(word.position, word.forced, word.until);
        self.pump()
    }

    /// Nowhere to send it now: into the queue where waiting may help in time.
    fn wait_or_reject(&mut self, request: usize, nobody: Nobody) -> Checked {
        let has_room = self.has_room(request);
        self.oracle.nowhere(self.timeline.now, request, &has_room)?;
        let waits_until = self.timeline.now + self.scenario.queue_wait;
        let may_help = match nobody {
            Nobody::Full(full) => full.free_at.is_none_or(|at| at.micros() <= waits_until),
            Nobody::Paused { until } => until.micros() <= waits_until,
            _ => false,
        };
        if may_help && self.scenario.queue_wait > 0 {
            self.line_up(request)?;
            return self.pump();
        }
        self.finish(request, Outcome::Rejection)
    }

    fn line_up(&mut self, request: usize) -> Checked {
        let arrival = self.arrival(request);
        match self.queue.push(arrival.priority, arrival.team, request) {
            Pushed::Refused(_) => {
                self.oracle.shed(request, true, request)?;
                return self.finish(request, Outcome::Shed);
            }
            Pushed::Shed(other) => {
                self.oracle.shed(other, false, request)?;
                self.oracle.left_line(other)?;
                self.requests[other].is_waiting = false;
                self.finish(other, Outcome::Shed)?;
            }
            Pushed::Waiting => {}
        }
        self.requests[request].is_waiting = true;
        self.oracle.lined_up(request)?;
        self.timeline.at(self.timeline.now + self.scenario.queue_wait, Event::QueueWaitEnds(request));
        Ok(())
    }

    fn leave_line(&mut self, request: usize) -> Checked {
        self.requests[request].is_waiting = false;
        let was_there = self.queue.remove(request);
        if !was_there {
            return Err(Violation {
                rule: "it waits once",
                text: format!("request {request} was not there"),
            });
        }
        self.oracle.left_line(request)
    }

    /// Lets go whoever's turn it is, as long as there is a place.
    fn pump(&mut self) -> Checked {
        while let Some(request) = self.queue.peek() {
            match self.pick(request, &[]) {
                Choice::Deployment { position, .. } => {
                    self.queue.pop();
                    self.requests[request].is_waiting = false;
                    self.oracle.turn_came(request)?;
                    self.send(request, position)?;
                }
                Choice::None(_) => {
                    self.pump_later(request);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// At the earliest moment at which time alone makes a place.
    fn pump_later(&mut self, request: usize) {
        let candidates = self.candidates(request);
        let ends =
            candidates.iter().filter_map(|candidate| match (candidate.now.standing(), candidate.now.room) {
                (Standing::Paused { until }, _) => Some(until.micros()),
                (_, Err(full)) => full.free_at.map(Moment::micros),
                (_, Ok(())) => None,
            });
        let Some(at) = ends.min().map(|at| at.max(self.timeline.now + MS / 10)) else { return };
        if self.pump_at.is_none_or(|planned| at < planned) {
            self.pump_at = Some(at);
            self.timeline.at(at, Event::Pump);
        }
    }

    /// It has waited long enough: one last look, in case that those before it wait for more than it needs.
    fn queue_wait_ends(&mut self, request: usize) -> Checked {
        if !self.requests[request].is_waiting {
            return Ok(());
        }
        self.leave_line(request)?;
        match self.pick(request, &[]) {
            Choice::Deployment { position, .. } => self.send(request, position)?,
            Choice::None(_) => {
                let has_room = self.has_room(request);
                self.oracle.nowhere(self.timeline.now, request, &has_room)?;
                self.finish(request, Outcome::Rejection)?;
            }
        }
        self.pump()
    }
}
