//! What must hold, written down without the policy's own books.
//!
//! Owns a record of what was really sent, said and answered, and the checks over it. It is told facts by the world and
//! believes nothing that the policy says of itself, save whether a limiter has room. **Invariant:** every check names
//! the rule that it holds.

use crate::scenario::{PROBE_INTERVAL_MAX, SECOND, Scenario};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tollgate_policy::failure::FailureKind;
use tollgate_policy::health::{Change, Forced};
use tollgate_policy::plan::SENDS_PER_REQUEST_MAX;

const MINUTE: u64 = 60 * SECOND;
const BUDGET_WINDOW: u64 = 10 * SECOND;
/// What it then takes to be probed with a request a second, each of which may probe another one.
const PROBED_WITHIN: u64 = 10 * SECOND;
/// A probe that has said nothing for so long keeps no other from going.
const PROBE_PATIENCE: u64 = 10 * SECOND;

/// What was broken.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

pub(crate) type Checked<T = ()> = Result<T, Violation>;

fn require(holds: bool, rule: &'static str, text: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation { rule, text: text() }) }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Reply,
    Failure,
    /// 429 or 503: nowhere to send it to.
    Rejection,
    /// 503: something more urgent took its place in the queue, or the queue was full of such.
    Shed,
    DeadlinePassed,
    HungUp,
}

/// Whether something may be sent to, as its attempts' ends tell.
#[derive(Debug, Default)]
struct Ward {
    /// Set while it is out.
    out_until: Option<u64>,
    /// Attempt and begin of those that are under way.
    probes: BTreeMap<usize, u64>,
    /// The begin of the attempt that ended last, where it was its probe and had not been silent for too long.
    was_probed: Option<u64>,
    last_failure: u64,
}

impl Ward {
    fn is_usable(&self, now: u64) -> bool {
        self.out_until.is_none_or(|until| until <= now && self.probes_awaited(now) == 0)
    }

    /// Probes that have not been silent for too long.
    fn probes_awaited(&self, now: u64) -> usize {
        self.probes.values().filter(|&&since| now < since + PROBE_PATIENCE).count()
    }

    fn ended(&mut self, now: u64, attempt: usize) {
        self.was_probed = self.probes.remove(&attempt).filter(|since| now < since + PROBE_PATIENCE);
    }

    /// `interval`: the longest from the begin of a probe that fails to the next one.
    fn change(&mut self, now: u64, change: Option<Change>, interval: u64) -> Checked {
        if matches!(change, Some(Change::Ejected { .. } | Change::Recovered)) {
            // What was sent as a probe before is none any more, however long its answer takes.
            self.probes.clear();
        }
        match change {
            Some(Change::Ejected { for_, .. }) => {
                let until = now + for_.as_micros() as u64;
                let is_first = self.out_until.replace(until).is_none();
                let probed = self.was_probed;
                require(is_first || probed.is_some(), "only a probe lengthens an ejection", || {
                    format!("at {now}")
                })?;
                // It may have been well again right after the probe was sent.
                let latest = probed.filter(|_| !is_first).map(|since| since + interval);
                require(latest.is_none_or(|latest| until <= latest), "traffic back in time", || {
                    format!("until {until}, probed at {probed:?}")
                })
            }
            Some(Change::Recovered) => {
                self.out_until = None;
                Ok(())
            }
            Some(Change::Paused { .. }) | None => Ok(()),
        }
    }
}

/// A deployment as it really was used.
#[derive(Debug, Default)]
struct Record {
    health: Ward,
    /// Attempt and request.
    in_flight: BTreeMap<usize, usize>,
    /// Attempt, moment and tokens of what was sent in the last 60 s.
    window: VecDeque<(usize, u64, u64)>,
    window_tokens: u64,
    paused_until: u64,
    forced: Option<(Forced, Option<u64>)>,
    forced_until: u64,
    full_at: u64,
}

impl Record {
    fn forced(&self, now: u64) -> Option<Forced> {
        self.forced.filter(|(_, until)| until.is_none_or(|until| until > now)).map(|(forced, _)| forced)
    }
}

#[derive(Debug, Default)]
struct Ask {
    sends: u32,
    failed_at: BTreeSet<usize>,
    outcome: Option<Outcome>,
}

/// One send, as the world does it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Send {
    pub(crate) request: usize,
    pub(crate) attempt: usize,
    pub(crate) position: usize,
    pub(crate) tokens: u64,
    /// The one probe of its deployment, or of its credential.
    pub(crate) is_probe: (bool, bool),
    pub(crate) affinity: Option<usize>,
}

/// Line of a team within a priority: who waits, and since which turn.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<usize>,
    turn: u64,
}

/// How often what happened, so that a run can be seen to have tried something.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) replies: u64,
    pub(crate) sends: u64,
    pub(crate) retries: u64,
    pub(crate) refused_retries: u64,
    pub(crate) hedges: u64,
    pub(crate) probes: u64,
    pub(crate) ejections: u64,
    pub(crate) pauses: u64,
    pub(crate) least_bad: u64,
    pub(crate) waited: u64,
    pub(crate) shed: u64,
    pub(crate) rejected: u64,
    pub(crate) deadlines: u64,
    pub(crate) benched: u64,
    pub(crate) second_probes: u64,
}

impl Tally {
    fn fields(&mut self) -> [(&'static str, &mut u64); 16] {
        [
            ("requests", &mut self.requests),
            ("replies", &mut self.replies),
            ("sends", &mut self.sends),
            ("retries", &mut self.retries),
            ("refused_retries", &mut self.refused_retries),
            ("hedges", &mut self.hedges),
            ("probes", &mut self.probes),
            ("ejections", &mut self.ejections),
            ("pauses", &mut self.pauses),
            ("least_bad", &mut self.least_bad),
            ("waited", &mut self.waited),
            ("shed", &mut self.shed),
            ("rejected", &mut self.rejected),
            ("deadlines", &mut self.deadlines),
            ("benched", &mut self.benched),
            ("second_probes", &mut self.second_probes),
        ]
    }

    pub(crate) fn plus(mut self, mut other: Self) -> Self {
        for ((_, mine), (_, theirs)) in self.fields().into_iter().zip(other.fields()) {
            *mine += *theirs;
        }
        self
    }

    /// What happened less than once in fifty seeds.
    pub(crate) fn rare(mut self, seeds: u64) -> Vec<&'static str> {
        let rare = self.fields().into_iter().filter(|(_, count)| **count < seeds / 50);
        rare.map(|(name, _)| name).collect()
    }
}

pub(crate) struct Oracle<'s> {
    scenario: &'s Scenario,
    records: Vec<Record>,
    credentials: Vec<Ward>,
    asks: Vec<Ask>,
    /// Requests without an outcome, by deadline.
    open: BTreeSet<(u64, usize)>,
    requested: VecDeque<u64>,
    retried: VecDeque<u64>,
    hedged: VecDeque<u64>,
    lines: BTreeMap<(u8, u64), Line>,
    waiting: usize,
    turns: u64,
    pub(crate) tally: Tally,
}

impl<'s> Oracle<'s> {
    pub(crate) fn new(scenario: &'s Scenario) -> Self {
        let records = scenario.deployments.iter().map(|_| Record::default()).collect();
        let credentials = scenario.credentials.iter().map(|_| Ward::default()).collect();
        let asks = scenario.arrivals.iter().map(|_| Ask::default()).collect();
        Self {
            scenario,
            records,
            credentials,
            asks,
            open: BTreeSet::new(),
            requested: VecDeque::new(),
            retried: VecDeque::new(),
            hedged: VecDeque::new(),
            lines: BTreeMap::new(),
            waiting: 0,
            turns: 0,
            tally: Tally::default(),
        }
    }

    pub(crate) fn arrived(&mut self, now: u64, request: usize) {
        self.open.insert((self.scenario.arrivals[request].deadline, request));
        self.requested.push_back(now);
        self.tally.requests += 1;
    }

    pub(crate) fn is_open(&self, request: usize) -> bool {
        self.asks[request].outcome.is_none()
    }

    pub(crate) fn outcome(&self, request: usize) -> Option<Outcome> {
        self.asks[request].outcome
    }

    pub(crate) fn finished(&mut self, now: u64, request: usize, outcome: Outcome) -> Checked {
        let before = self.asks[request].outcome.replace(outcome);
        require(before.is_none(), "one outcome", || {
            format!("request {request}: {before:?}, then {outcome:?}")
        })?;
        let is_known = self.open.remove(&(self.scenario.arrivals[request].deadline, request));
        require(is_known, "one outcome", || format!("request {request} had not arrived"))?;
        let under_way = self.records.iter().any(|record| record.in_flight.values().any(|&of| of == request));
        require(!under_way, "cancelled with its request", || format!("request {request} at {now}"))?;
        match outcome {
            Outcome::Reply => self.tally.replies += 1,
            Outcome::Rejection => self.tally.rejected += 1,
            Outcome::Shed => self.tally.shed += 1,
            Outcome::DeadlinePassed => self.tally.deadlines += 1,
            Outcome::Failure | Outcome::HungUp => {}
        }
        Ok(())
    }

    /// A request goes out. `has_room` says for each deployment whether its limiter would take this request.
    pub(crate) fn sent(&mut self, now: u64, send: Send, has_room: &[bool]) -> Checked {
        let ask = &mut self.asks[send.request];
        ask.sends += 1;
        let sends_max = (self.scenario.retries.num_retries + 1).min(SENDS_PER_REQUEST_MAX);
        let sends = ask.sends;
        require(sends <= sends_max, "sends per request", || format!("{sends}, at most {sends_max}"))?;
        require(ask.outcome.is_none(), "one outcome", || format!("{send:?} after it"))?;
        self.check_standing(now, send, has_room)?;
        self.check_window(now, send)?;
        let record = &mut self.records[send.position];
        record.in_flight.insert(send.attempt, send.request);
        record.window.push_back((send.attempt, now, send.tokens));
        record.window_tokens += send.tokens;
        self.tally.sends += 1;
        self.begin_probes(now, send)
    }

    fn begin_probes(&mut self, now: u64, send: Send) -> Checked {
        let credential = self.scenario.deployments[send.position].credential;
        let of_credential =
            credential.filter(|_| send.is_probe.1).map(|credential| &mut self.credentials[credential]);
        let of_deployment = Some(&mut self.records[send.position].health).filter(|_| send.is_probe.0);
        for ward in of_deployment.into_iter().chain(of_credential) {
            self.tally.probes += 1;
            self.tally.second_probes += u64::from(!ward.probes.is_empty());
            ward.probes.insert(send.attempt, now);
            let probes = ward.probes_awaited(now);
            require(probes == 1, "one probe at a time", || format!("{probes} at {}", send.position))?;
        }
        Ok(())
    }

    fn check_standing(&mut self, now: u64, send: Send, has_room: &[bool]) -> Checked {
        let record = &self.records[send.position];
        let paused = record.paused_until;
        require(paused <= now, "nothing before a pause's end", || {
            format!("{send:?}, paused until {paused}")
        })?;
        let is_allowed = match record.forced(now) {
            Some(Forced::Down) => false,
            Some(Forced::Draining) => send.affinity == Some(send.position),
            Some(Forced::Up) => return Ok(()),
            None => true,
        };
        require(is_allowed, "the operator's word", || format!("{send:?}, {:?}", record.forced))?;
        if !self.is_healthy(now, send.position) {
            self.tally.least_bad += 1;
            let better =
                (0..self.records.len()).find(|&other| self.could_take(now, other, send.request, has_room));
            require(better.is_none(), "an ejected one only where none is usable", || {
                format!("{send:?}, but {better:?} is usable")
            })?;
        }
        Ok(())
    }

    /// Neither it nor its credential is out, or there is a probe to be had.
    fn is_healthy(&self, now: u64, position: usize) -> bool {
        let credential = self.scenario.deployments[position].credential;
        self.records[position].health.is_usable(now)
            && credential.is_none_or(|credential| self.credentials[credential].is_usable(now))
    }

    /// A request that has not failed there could go there, and no ejection would be overlooked by that.
    fn could_take(&self, now: u64, position: usize, request: usize, has_room: &[bool]) -> bool {
        let is_forced_up = self.records[position].forced(now) == Some(Forced::Up);
        self.is_open_to(now, position, request, has_room) && (is_forced_up || self.is_healthy(now, position))
    }

    /// Nothing but an ejection can be in the way.
    fn is_open_to(&self, now: u64, position: usize, request: usize, has_room: &[bool]) -> bool {
        let record = &self.records[position];
        record.paused_until <= now
            && !matches!(record.forced(now), Some(Forced::Down | Forced::Draining))
            && has_room[position]
            && !self.asks[request].failed_at.contains(&position)
    }

    fn check_window(&mut self, now: u64, send: Send) -> Checked {
        let rates = self.scenario.deployments[send.position].profile.rates;
        let record = &mut self.records[send.position];
        while let Some(&(_, at, tokens)) = record.window.front().filter(|(_, at, _)| at + MINUTE <= now) {
            debug_assert!(at <= now);
            record.window_tokens -= tokens;
            record.window.pop_front();
        }
        let (requests, tokens) = (record.window.len() as u64, record.window_tokens);
        require(rates.rpm.is_none_or(|rpm| requests < rpm), "rpm in any 60 s", || {
            format!("{send:?}: {requests}")
        })?;
        let is_within = rates.tpm.is_none_or(|tpm| tokens == 0 || tokens + send.tokens <= tpm);
        require(is_within, "tpm in any 60 s", || format!("{send:?}: {tokens} before it"))?;
        let parallel = record.in_flight.len() as u32;
        let is_within = rates.parallel.is_none_or(|most| parallel < most);
        require(is_within, "parallel requests", || format!("{send:?}: {parallel} before it"))
    }

    /// An attempt ended; `tokens` are the real ones.
    pub(crate) fn ended(&mut self, now: u64, attempt: usize, position: usize, tokens: u64) -> Checked {
        let record = &mut self.records[position];
        let was_there = record.in_flight.remove(&attempt).is_some();
        require(was_there, "one end per attempt", || format!("attempt {attempt} at {position}, {now}"))?;
        record.health.ended(now, attempt);
        if let Some(credential) = self.scenario.deployments[position].credential {
            self.credentials[credential].ended(now, attempt);
        }
        if let Some(entry) = record.window.iter_mut().rev().find(|entry| entry.0 == attempt) {
            record.window_tokens = record.window_tokens - entry.2 + tokens;
            entry.2 = tokens;
        }
        Ok(())
    }

    /// A provider failed: its credential where it was refused, the deployment itself otherwise.
    pub(crate) fn failed(&mut self, now: u64, request: usize, position: usize, kind: FailureKind) {
        self.asks[request].failed_at.insert(position);
        let credential = self.scenario.deployments[position].credential;
        match credential.filter(|_| kind == FailureKind::Authentication) {
            Some(credential) => self.credentials[credential].last_failure = now,
            None => self.records[position].health.last_failure = now,
        }
    }

    /// What the policy says has changed.
    pub(crate) fn changed(&mut self, now: u64, position: usize, change: Option<Change>) -> Checked {
        let interval = self.scenario.probe_interval();
        let record = &mut self.records[position];
        record.health.change(now, change, interval)?;
        match change {
            Some(Change::Paused { for_ }) => {
                self.tally.pauses += 1;
                let until = now + for_.as_micros() as u64;
                let told = record.paused_until;
                require(until <= told.max(now + PROBE_INTERVAL_MAX), "a pause as long as asked", || {
                    format!("{position}: paused until {until}, told {told}")
                })?;
                record.paused_until = told.max(until);
            }
            Some(Change::Ejected { .. }) => self.tally.ejections += 1,
            Some(Change::Recovered) | None => {}
        }
        Ok(())
    }

    pub(crate) fn credential_changed(
        &mut self,
        now: u64,
        credential: usize,
        change: Option<Change>,
    ) -> Checked {
        self.tally.benched += u64::from(matches!(change, Some(Change::Ejected { .. })));
        self.credentials[credential].change(now, change, self.scenario.probe_interval())
    }

    /// The provider said when to come back.
    pub(crate) fn told_to_wait(&mut self, position: usize, until: u64) {
        let record = &mut self.records[position];
        record.paused_until = record.paused_until.max(until);
    }

    pub(crate) fn forced(&mut self, position: usize, forced: Option<Forced>, until: Option<u64>) {
        let record = &mut self.records[position];
        record.forced = forced.map(|forced| (forced, until));
        record.forced_until = record.forced_until.max(until.unwrap_or(0));
    }

    pub(crate) fn was_full(&mut self, now: u64, position: usize) {
        self.records[position].full_at = now;
    }

    pub(crate) fn retried(&mut self, now: u64) -> Checked {
        self.tally.retries += 1;
        self.retried.push_back(now);
        let (retries, requests) = (recent(&mut self.retried, now), recent(&mut self.requested, now));
        let allowed = requests as f64 * 0.1 + 30.0;
        require(retries as f64 <= allowed + 1e-9, "retry budget", || {
            format!("{retries} for {requests} requests")
        })
    }

    pub(crate) fn hedged(&mut self, now: u64) -> Checked {
        self.tally.hedges += 1;
        self.hedged.push_back(now);
        let (hedges, requests) = (recent(&mut self.hedged, now), recent(&mut self.requested, now));
        let allowed = requests as f64 * 0.05;
        require(hedges as f64 <= allowed + 1e-9, "hedge budget", || {
            format!("{hedges} for {requests} requests")
        })
    }

    /// A request is about to be turned away, or left to wait: there is really nowhere to send it.
    pub(crate) fn nowhere(&self, now: u64, request: usize, has_room: &[bool]) -> Checked {
        let ask = &self.asks[request];
        let place =
            (0..self.records.len()).find(|&position| self.is_open_to(now, position, request, has_room));
        let is_first = ask.sends == 0;
        require(!is_first || place.is_none(), "no refusal while one has room", || {
            format!("request {request}, but {place:?} would take it")
        })
    }

    pub(crate) fn lined_up(&mut self, request: usize) -> Checked {
        let arrival = &self.scenario.arrivals[request];
        let line = self.lines.entry((arrival.priority, arrival.team)).or_default();
        if line.waiting.is_empty() {
            self.turns += 1;
            line.turn = self.turns;
        }
        line.waiting.push_back(request);
        self.waiting += 1;
        self.tally.waited += 1;
        let (waiting, most) = (self.waiting, self.scenario.queue_size);
        require(waiting <= most, "a bounded queue", || format!("{waiting} wait, at most {most}"))
    }

    /// It goes: it is of the most urgent, its team's turn is the longest ago, and it is the first of its team.
    pub(crate) fn turn_came(&mut self, request: usize) -> Checked {
        let arrival = &self.scenario.arrivals[request];
        let waiting = || self.lines.iter().filter(|(_, line)| !line.waiting.is_empty());
        let most_urgent = waiting().map(|(&(priority, _), _)| priority).min();
        require(most_urgent == Some(arrival.priority), "the most urgent first", || {
            format!("request {request}")
        })?;
        let of_level = waiting().filter(|((priority, _), _)| *priority == arrival.priority);
        let next =
            of_level.min_by_key(|(_, line)| line.turn).map(|((_, team), line)| (*team, line.waiting[0]));
        let expect = Some((arrival.team, request));
        require(next == expect, "turns between teams", || format!("{expect:?} went, {next:?} was next"))?;
        self.turns += 1;
        let turn = self.turns;
        let line = self.lines.entry((arrival.priority, arrival.team)).or_default();
        line.waiting.pop_front();
        line.turn = turn;
        self.waiting -= 1;
        Ok(())
    }

    /// It waits no longer, without having had its turn.
    pub(crate) fn left_line(&mut self, request: usize) -> Checked {
        let arrival = &self.scenario.arrivals[request];
        let line = self.lines.entry((arrival.priority, arrival.team)).or_default();
        let before = line.waiting.len();
        line.waiting.retain(|&waits| waits != request);
        self.waiting -= 1;
        require(line.waiting.len() + 1 == before, "it waits once", || format!("request {request}"))
    }

    /// Something was pushed out of the queue, or not let into it, for what is at least as urgent.
    pub(crate) fn shed(&self, request: usize, is_new: bool, by: usize) -> Checked {
        let priority = |request: usize| self.scenario.arrivals[request].priority;
        let is_full = self.waiting >= self.scenario.queue_size;
        let waiting = self.lines.iter().filter(|(_, line)| !line.waiting.is_empty());
        let least_urgent = waiting.map(|(&(priority, _), _)| priority).max().unwrap_or(0);
        let is_right = match is_new {
            true => least_urgent <= priority(request),
            false => priority(request) == least_urgent && priority(by) < least_urgent,
        };
        require(is_full && is_right, "the least urgent is shed", || format!("request {request}, by {by}"))
    }

    /// After every step, with no event left for this moment.
    pub(crate) fn check_step(&mut self, now: u64, in_flight: &[u32]) -> Checked {
        if let Some(&(deadline, request)) = self.open.first() {
            require(deadline > now, "no request beyond its deadline", || {
                format!("request {request}: {deadline}")
            })?;
        }
        for (position, (record, &counted)) in self.records.iter().zip(in_flight).enumerate() {
            let real = record.in_flight.len() as u32;
            require(real == counted, "in flight", || format!("{real} at {position}, counted {counted}"))?;
        }
        self.check_recovery(now)
    }

    /// Whoever is well again is half-open within the probe's interval, and up as soon as traffic can have shown it.
    fn check_recovery(&mut self, now: u64) -> Checked {
        let interval = self.scenario.probe_interval();
        let traffic_ends = self.scenario.arrivals.last().map_or(0, |arrival| arrival.at);
        for position in 0..self.records.len() {
            let record = &self.records[position];
            let credential = self.scenario.deployments[position].credential;
            let refused = credential.map_or(0, |credential| self.credentials[credential].last_failure);
            let last_failure = record.health.last_failure.max(refused);
            let half_open_by = last_failure + interval;
            let wards = std::iter::once(&record.health)
                .chain(credential.map(|credential| &self.credentials[credential]));
            let until = wards.filter_map(|ward| ward.out_until).max();
            if now >= half_open_by {
                require(until.is_none_or(|until| until <= now), "half-open within the interval", || {
                    format!("{position}: out until {until:?}, last failure at {last_failure}")
                })?;
            }
            // A probe that was sent into the trouble may still hang.
            let quiet_from = self.scenario.quiet_from + PROBE_PATIENCE;
            let in_the_way = [record.paused_until, record.forced_until, record.full_at, quiet_from];
            let from = in_the_way.into_iter().chain([half_open_by]).max().unwrap_or(0);
            let is_shown =
                (from + PROBED_WITHIN..=traffic_ends).contains(&now) && self.scenario.gives_all_a_part();
            require(!is_shown || until.is_none(), "probed as soon as it may be", || {
                format!("{position}: still out, last failure at {last_failure}")
            })?;
        }
        Ok(())
    }

    /// Nothing is left over.
    pub(crate) fn check_end(&self) -> Checked {
        let left = self.open.len();
        require(left == 0, "every request has an outcome", || format!("{left} have none"))?;
        let all_arrived = self.tally.requests == self.asks.len() as u64;
        require(all_arrived, "every request has an outcome", || "some never arrived".to_owned())?;
        let in_flight: usize = self.records.iter().map(|record| record.in_flight.len()).sum();
        require(in_flight == 0 && self.waiting == 0, "nothing is left over", || {
            format!("{in_flight} in flight, {} waiting", self.waiting)
        })
    }
}

/// How many lie within the budgets' window.
fn recent(times: &mut VecDeque<u64>, now: u64) -> usize {
    while times.front().is_some_and(|at| at + BUDGET_WINDOW <= now) {
        times.pop_front();
    }
    times.len()
}
