//! What must hold of every play, judged from the record alone.
//!
//! Owns the rules and the tally of what a play came near. Leaves to others how the record came about.
//! **Invariant:** a rule never asks the gateway what it did.

use crate::ledger::{Ledger, Outcome, Record, Seen, Send};
use crate::scenario::{Call, LATENCY_MAX, Scenario};
use std::collections::BTreeSet;
use std::time::Duration;

/// Most sends of one request.
const SENDS_MAX: usize = 6;
/// The window of requests per minute.
const MINUTE: Duration = Duration::from_secs(60);
/// The window of the retry budget.
const TEN_SECONDS: Duration = Duration::from_secs(10);
/// Between the grant of a retry and its going out lie at most a wait and a connection.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(8);
/// Two hosts are never further apart in time, and what is written is counted a moment after it was decided.
const MOMENT: Duration = Duration::from_millis(40);

/// What happened in one play or many.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) busy: u64,
    pub(crate) broken_off: u64,
    pub(crate) left: u64,
    pub(crate) cut_off: u64,
    pub(crate) rescued: u64,
    pub(crate) rescued_twice: u64,
    pub(crate) sends: u64,
    pub(crate) retries: u64,
    pub(crate) fallbacks: u64,
    pub(crate) six_sends: u64,
    pub(crate) beside: u64,
    pub(crate) stale: u64,
    pub(crate) unanswered: u64,
    pub(crate) pauses: u64,
    pub(crate) at_rpm: u64,
    pub(crate) at_parallel: u64,
}

impl Tally {
    fn fields(&mut self) -> [(&'static str, &mut u64); 19] {
        [
            ("calls", &mut self.calls),
            ("answered", &mut self.answered),
            ("refused", &mut self.refused),
            ("busy", &mut self.busy),
            ("broken_off", &mut self.broken_off),
            ("left", &mut self.left),
            ("cut_off", &mut self.cut_off),
            ("rescued", &mut self.rescued),
            ("rescued_twice", &mut self.rescued_twice),
            ("sends", &mut self.sends),
            ("retries", &mut self.retries),
            ("fallbacks", &mut self.fallbacks),
            ("six_sends", &mut self.six_sends),
            ("beside", &mut self.beside),
            ("stale", &mut self.stale),
            ("unanswered", &mut self.unanswered),
            ("pauses", &mut self.pauses),
            ("at_rpm", &mut self.at_rpm),
            ("at_parallel", &mut self.at_parallel),
        ]
    }

    pub(crate) fn plus(mut self, mut other: Self) -> Self {
        for ((_, mine), (_, theirs)) in self.fields().into_iter().zip(other.fields()) {
            *mine += *theirs;
        }
        self
    }

    /// What happened in fewer than one of a hundred plays.
    pub(crate) fn rare(mut self, seeds: u64) -> Vec<&'static str> {
        let rare = self.fields().into_iter().filter(|(_, count)| **count < (seeds / 100).max(1));
        rare.map(|(name, _)| name).collect()
    }
}

/// Holds a play's record to the rules; what is broken is noted there.
pub(crate) fn judge(scenario: &Scenario, ledger: &Ledger) -> Tally {
    let mut judge = Judge { scenario, tally: Tally::default(), broken: Vec::new() };
    {
        let record = ledger.record();
        for call in &scenario.calls {
            judge.call(call, &record);
        }
        judge.limits(&record);
        judge.pauses(&record);
        judge.budget(&record);
        judge.tally.sends = record.sends.len() as u64;
        judge.tally.stale = record.sends.iter().filter(|send| send.is_stale).count() as u64;
        judge.tally.unanswered = record.sends.iter().filter(|send| send.status.is_none()).count() as u64;
    }
    for broken in judge.broken {
        ledger.broken(broken);
    }
    judge.tally
}

struct Judge<'s> {
    scenario: &'s Scenario,
    tally: Tally,
    broken: Vec<String>,
}

impl Judge<'_> {
    fn hold(&mut self, is_so: bool, what: impl FnOnce() -> String) {
        if !is_so {
            self.broken.push(what());
        }
    }

    fn group(&self, deployment: &str) -> &'static str {
        self.scenario.spec(deployment).map_or("", |spec| spec.group)
    }

    /// Every request has one end, in time, and what its caller has is the beginning of the one right answer.
    fn call(&mut self, call: &Call, record: &Record) {
        let number = call.number;
        let ends = record.seen.get(&number).map(Vec::as_slice).unwrap_or_default();
        let [seen] = ends else {
            self.broken.push(format!("call {number} has {} ends", ends.len()));
            return;
        };
        let excused = self.is_cut_off(call);
        self.tally.calls += 1;
        let whole = call.text();
        self.hold(whole.starts_with(&seen.text), || {
            format!("call {number} has {:?} of {whole:?}", seen.text)
        });
        match &seen.outcome {
            Outcome::Answered => {
                self.tally.answered += 1;
                self.hold(seen.text == whole, || {
                    format!("call {number} ends whole with {:?} of {whole:?}", seen.text)
                });
            }
            Outcome::Refused(status) => {
                self.tally.refused += 1;
                self.tally.busy += u64::from(*status == 429);
                self.hold(matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 529), || {
                    format!("call {number} is refused with {status}")
                });
            }
            Outcome::BrokenOff => self.tally.broken_off += 1,
            Outcome::Left => self.tally.left += 1,
            Outcome::Lost(_) | Outcome::Overdue if excused => self.tally.cut_off += 1,
            Outcome::Lost(why) => self.broken.push(format!("call {number} loses its connection: {why}")),
            Outcome::Overdue => self.broken.push(format!("call {number} has no end")),
        }
        self.timely(call, seen, excused);
        self.tally.rescued += u64::from(seen.rescues > 0);
        self.tally.rescued_twice += u64::from(seen.rescues > 1);
        self.sends_of(call, record);
    }

    /// Whether its caller was out of reach while it ran.
    fn is_cut_off(&self, call: &Call) -> bool {
        let cuts = self.scenario.faults.iter().filter(|fault| fault.cuts_off(call.host));
        cuts.into_iter().any(|fault| fault.from <= call.at + call.longest() && call.at <= fault.to + MOMENT)
    }

    fn timely(&mut self, call: &Call, seen: &Seen, excused: bool) {
        let latest = self.scenario.request_max + Duration::from_secs(1) + 2 * LATENCY_MAX;
        if let Some(head_after) = seen.head_after.filter(|_| !excused) {
            self.hold(head_after <= latest, || {
                format!("call {} has its head after {head_after:?}", call.number)
            });
        }
    }

    /// No more sends than there may be, all of a request together and before its first content in each group.
    fn sends_of(&mut self, call: &Call, record: &Record) {
        let sends: Vec<&Send> =
            record.sends.iter().filter(|send| send.call == call.number && !send.is_stale).collect();
        self.hold(sends.len() <= SENDS_MAX, || format!("call {} is sent {} times", call.number, sends.len()));
        self.tally.six_sends += u64::from(sends.len() == SENDS_MAX);
        let groups: BTreeSet<&str> = sends.iter().map(|send| self.group(&send.deployment)).collect();
        self.tally.retries += (sends.len().saturating_sub(groups.len())) as u64;
        self.tally.fallbacks += u64::from(groups.len() > 1);
        let is_beside = |send: &&&Send| {
            sends
                .iter()
                .any(|other| other.at < send.at && other.ended.is_none_or(|end| send.at + MOMENT < end))
        };
        self.tally.beside += sends.iter().filter(is_beside).count() as u64;
        let begins = sends.iter().position(|send| send.has_content && call.is_stream).unwrap_or(sends.len());
        let before = &sends[..(begins + 1).min(sends.len())];
        for group in groups {
            let count = before.iter().filter(|send| self.group(&send.deployment) == group).count();
            self.hold(count <= 1 + self.scenario.num_retries as usize, || {
                format!("call {} is sent {count} times to {group}", call.number)
            });
        }
    }

    /// A deployment's own limits, whatever happened.
    fn limits(&mut self, record: &Record) {
        for spec in &self.scenario.deployments {
            let sends = record.sends.iter().filter(|send| send.deployment == spec.id && !send.is_stale);
            let sends: Vec<&Send> = sends.collect();
            if let Some(rpm) = spec.rpm {
                let within = |first: &Send, last: &Send| {
                    first.decided <= last.decided && last.decided < first.decided + MINUTE - MOMENT
                };
                let most =
                    sends.iter().map(|last| sends.iter().filter(|send| within(send, last)).count() as u64);
                let most = most.max().unwrap_or_default();
                self.tally.at_rpm += u64::from(most == rpm);
                self.hold(most <= rpm, || format!("{} has {most} requests in a minute, of {rpm}", spec.id));
            }
            if let Some(parallel) = spec.parallel {
                let runs = |send: &Send, at: Duration| send.at <= at && send.ended.is_none_or(|end| at < end);
                let most =
                    sends.iter().map(|last| sends.iter().filter(|send| runs(send, last.at)).count() as u32);
                let most = most.max().unwrap_or_default();
                self.tally.at_parallel += u64::from(most == parallel);
                self.hold(most <= parallel, || {
                    format!("{} has {most} requests at a time, of {parallel}", spec.id)
                });
            }
        }
    }

    /// Who has asked for a pause is left alone until its end.
    fn pauses(&mut self, record: &Record) {
        self.tally.pauses = record.pauses.len() as u64;
        for (deployment, from, to) in &record.pauses {
            let during = |send: &&Send| {
                send.deployment == *deployment
                    && *from + MOMENT < send.decided
                    && send.decided + MOMENT < *to
                    && !send.is_stale
            };
            if let Some(send) = record.sends.iter().find(during) {
                self.broken.push(format!(
                    "call {} is sent to {deployment} at {:?}, which is paused until {to:?}",
                    send.call, send.at
                ));
            }
        }
    }

    /// The retries of a group are within its budget, as far as they can be told from hedges and rescues.
    fn budget(&mut self, record: &Record) {
        if self.scenario.hedges {
            return;
        }
        let budget = self.scenario.retry_budget;
        for group in crate::scenario::GROUPS {
            let (mut firsts, mut retries) = (Vec::new(), Vec::new());
            let mut known: BTreeSet<u64> = BTreeSet::new();
            let mut rescued: BTreeSet<u64> = BTreeSet::new();
            for (at, send) in record.sends.iter().enumerate() {
                if self.group(&send.deployment) != group || send.is_stale {
                    continue;
                }
                let broke =
                    |before: &Send| before.call == send.call && before.has_content && !before.is_whole;
                // The first send of a rescue is free.
                let is_rescue = record.sends[..at].iter().any(broke) && rescued.insert(send.call);
                if known.insert(send.call) {
                    firsts.push(send.at);
                } else if !is_rescue {
                    retries.push(send.at);
                }
            }
            for &last in &retries {
                let count = retries.iter().filter(|at| **at <= last && last < **at + TEN_SECONDS).count();
                let asked = firsts
                    .iter()
                    .filter(|at| **at <= last && last < **at + TEN_SECONDS * 2 + RETRY_DELAY_MAX);
                let allowed = budget.ratio * asked.count() as f64 + budget.floor_per_second * 10.0;
                // The window of the grants is longer than that of the sends by the wait between them.
                self.hold(count as f64 <= 2.0 * allowed, || {
                    format!("{group} is retried {count} times in ten seconds")
                });
            }
        }
    }
}
