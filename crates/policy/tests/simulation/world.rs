//! Virtual time, the providers and the callers.
//!
//! Owns the event queue and what each provider answers. Leaves to others: every decision (gateway), and what must hold
//! (oracle). **Invariant:** no real clock and no draw but those of the seed, so that a seed replays.

use crate::gateway::Gateway;
use crate::oracle::{Checked, Tally};
use crate::scenario::{Draws, Fault, MS, SECOND, Scenario};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use tollgate_policy::failure::FailureKind;

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Arrive(usize),
    AttemptEnds(usize),
    /// Its wait before going back to a deployment is over.
    Wake {
        request: usize,
        position: usize,
    },
    /// The attempt is slow enough for a second one.
    Hedge(usize),
    /// The queue may move.
    Pump,
    QueueWaitEnds(usize),
    Deadline(usize),
    HangUp(usize),
    Override(usize),
    /// The machine sleeps for so long.
    Jump(u64),
}

/// What a provider answers, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Answer {
    pub(crate) took: u64,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// `used_up`: its headers say that nothing remains for so long.
    Reply {
        used_up: Option<u64>,
    },
    Failure {
        kind: FailureKind,
        retry_after: Option<u64>,
    },
}

/// Time and what is to come.
pub(crate) struct Timeline {
    pub(crate) now: u64,
    heap: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    trace: bool,
}

impl Timeline {
    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, event)));
    }

    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>12.6} {}", self.now as f64 / SECOND as f64, text());
        }
    }

    fn next(&mut self) -> Option<Event> {
        let Reverse((at, _, event)) = self.heap.pop()?;
        self.now = self.now.max(at);
        Some(event)
    }

    /// Whether nothing more happens at this moment.
    fn is_settled(&self) -> bool {
        self.heap.peek().is_none_or(|Reverse((at, _, _))| *at > self.now)
    }
}

/// Plays a seed to its end.
pub(crate) fn play(scenario: &Scenario, trace: bool) -> Checked<Tally> {
    let mut timeline = Timeline { now: 0, heap: BinaryHeap::new(), count: 0, trace };
    for (request, arrival) in scenario.arrivals.iter().enumerate() {
        timeline.at(arrival.at, Event::Arrive(request));
        timeline.at(arrival.deadline, Event::Deadline(request));
        if let Some(at) = arrival.hangs_up_at {
            timeline.at(at, Event::HangUp(request));
        }
    }
    for (number, word) in scenario.overrides.iter().enumerate() {
        timeline.at(word.at, Event::Override(number));
        if let Some(until) = word.until {
            timeline.at(until, Event::Pump);
        }
    }
    for &(at, micros) in &scenario.jumps {
        timeline.at(at, Event::Jump(micros));
    }
    let mut gateway = Gateway::new(scenario, timeline);
    while let Some(event) = gateway.timeline.next() {
        gateway.timeline.note(|| format!("{event:?}"));
        match event {
            Event::Jump(micros) => gateway.timeline.now += micros,
            event => gateway.take(event)?,
        }
        if gateway.timeline.is_settled() {
            gateway.check_step()?;
        }
    }
    gateway.check_end()
}

/// What the provider of a deployment answers to what is sent now.
pub(crate) fn answer(
    scenario: &Scenario,
    position: usize,
    now: u64,
    is_bad: bool,
    draws: &mut Draws,
) -> Answer {
    let spec = &scenario.deployments[position];
    let well = spec.latency + draws.below(spec.latency);
    let failure =
        |took: u64, kind: FailureKind| Answer { took, end: End::Failure { kind, retry_after: None } };
    let is_refused = spec.credential.is_some_and(|credential| {
        scenario.credentials[credential].iter().any(|&(from, to)| from <= now && now < to)
    });
    let faults =
        spec.phases.iter().filter(|phase| phase.from <= now && now < phase.to).map(|phase| phase.fault);
    let mut took = well;
    for fault in faults {
        match fault {
            Fault::Slow => took = draws.between(2_000, 30_000) * MS,
            Fault::Refusing => return failure(draws.below(3 * MS), FailureKind::Connection),
            Fault::Flapping { period } if (now / period).is_multiple_of(2) => {
                return failure(draws.below(3 * MS), FailureKind::Connection);
            }
            Fault::Silent => return failure(scenario.attempt_timeout, FailureKind::Timeout),
            Fault::Storm { retry_after } => {
                let end = End::Failure {
                    kind: FailureKind::RateLimit,
                    retry_after: retry_after.map(|s| s * SECOND),
                };
                return Answer { took: draws.below(80 * MS), end };
            }
            Fault::Errors { percent, kind } if draws.chance(percent) => return failure(well / 2, kind),
            Fault::Missing => return failure(20 * MS, FailureKind::NotFound),
            Fault::Flapping { .. } | Fault::Errors { .. } => {}
        }
    }
    if is_refused {
        return failure(15 * MS, FailureKind::Authentication);
    }
    if is_bad {
        return failure(well / 2, FailureKind::BadRequest);
    }
    if took > scenario.attempt_timeout {
        return failure(scenario.attempt_timeout, FailureKind::Timeout);
    }
    let is_troubled = now < scenario.quiet_from;
    let used_up = (spec.tells_resets && is_troubled && draws.chance(10)).then(|| draws.below(8 * SECOND));
    Answer { took, end: End::Reply { used_up } }
}
