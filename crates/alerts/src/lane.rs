//! One channel's queue, and the errand that empties it.
//!
//! Owns: who waits, the pace, what is told in one message instead of many, and retries. Leaves to others: one call
//! ([`crate::channel`]).
//!
//! **Invariant:** whoever puts an alert in never waits, and what waits is bounded. **Invariant:** of a lane there is one
//! errand at most; one that is stopped in the middle leaves its alert to the next. **Invariant:** an alert that is put in
//! is told, told as one of several in one message, or counted as dropped.

use crate::alert::{Alert, Event, Quiet, Severity};
use crate::alerts::{Observe, Surroundings};
use crate::channel::{Call, Channel, Refusal};
use crate::pace::Bucket;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tollgate_upstream::{Client, Shared};

/// Most tries of one alert.
const TRIES_MAX: u32 = 8;
/// The wait before the second try; it doubles with each.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest such wait.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Locks what no panic can leave in an odd state.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An alert on its way.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) alert: Arc<Alert>,
    /// The same at every try.
    pub(crate) id: Arc<str>,
    /// How many alerts it is.
    pub(crate) stands_for: u64,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Queued>,
    /// What is being told.
    current: Option<Queued>,
    /// What came when there was no more room, by event.
    folded: BTreeMap<Event, u64>,
    bucket: Bucket,
    /// The bucket was empty when somebody wanted to go.
    is_pressed: bool,
    is_sending: bool,
}

/// What an errand does next.
#[derive(Debug)]
enum Step {
    Tell(Queued),
    Wait(Duration),
    Done,
}

/// One channel's queue.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) channel: Channel,
    state: Mutex<State>,
    /// An errand has ended.
    ended: Notify,
}

impl Lane {
    /// Nobody waits.
    pub(crate) fn new(channel: Channel, now: Instant) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            current: None,
            folded: BTreeMap::new(),
            bucket: Bucket::new(channel.pace(), now),
            is_pressed: false,
            is_sending: false,
        };
        Self { channel, state: Mutex::new(state), ended: Notify::new() }
    }

    /// Takes an alert along; the number of those that are dropped for it.
    pub(crate) fn put(&self, queued: Queued) -> u64 {
        let mut state = lock(&self.state);
        let is_full = state.waiting.len() >= self.channel.waiting_max();
        if is_full && self.channel.is_for_people() {
            *state.folded.entry(queued.alert.event).or_default() += 1;
            return 0;
        }
        state.waiting.push_back(queued);
        if is_full { state.waiting.pop_front().map_or(0, |oldest| oldest.stands_for) } else { 0 }
    }

    /// Whether an errand is wanted; if so the caller has to send it.
    pub(crate) fn claim(&self) -> bool {
        let mut state = lock(&self.state);
        let is_wanted = !state.is_sending && !state.is_empty();
        state.is_sending |= is_wanted;
        is_wanted
    }

    /// Whether nothing waits and nothing is being told.
    pub(crate) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.is_empty() && !state.is_sending
    }

    /// Forgets what waits; says how many that were.
    pub(crate) fn forget(&self) -> u64 {
        let mut state = lock(&self.state);
        let waiting: u64 = state.waiting.drain(..).map(|queued| queued.stands_for).sum();
        let current = state.current.take().map_or(0, |queued| queued.stands_for);
        waiting + current + std::mem::take(&mut state.folded).values().sum::<u64>()
    }

    /// Waits until an errand has ended.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Puts away what may be told now; under a drain nobody waits for the pace.
    fn step(&self, now: Instant, is_draining: bool) -> Step {
        let mut state = lock(&self.state);
        if let Some(current) = &state.current {
            return Step::Tell(current.clone());
        }
        if state.is_empty() {
            state.is_sending = false;
            return Step::Done;
        }
        if let Err(wait) = state.bucket.take(now) {
            state.is_pressed = true;
            if !is_draining {
                return Step::Wait(wait);
            }
        }
        let was_pressed = std::mem::take(&mut state.is_pressed);
        let are_many = state.waiting.len() > 1 || !state.folded.is_empty();
        let is_one = self.channel.is_for_people() && was_pressed && are_many;
        let next = if is_one || state.waiting.is_empty() { state.fold() } else { state.waiting.pop_front() };
        state.current = next.clone();
        next.map_or(Step::Done, Step::Tell)
    }

    fn finished(&self) {
        lock(&self.state).current = None;
    }

    /// An errand was stopped.
    fn let_go(&self) {
        let mut state = lock(&self.state);
        if let Some(current) = state.current.take() {
            state.waiting.push_front(current);
        }
        state.is_sending = false;
        drop(state);
        self.ended.notify_one();
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.current.is_none() && self.folded.is_empty()
    }

    /// All that waits, as one.
    fn fold(&mut self) -> Option<Queued> {
        let mut counts = std::mem::take(&mut self.folded);
        let mut last: Option<Queued> = None;
        let mut severity = Severity::Info;
        for queued in self.waiting.drain(..) {
            *counts.entry(queued.alert.event).or_default() += queued.stands_for;
            severity = severity.max(queued.alert.severity);
            last = Some(queued);
        }
        let all: u64 = counts.values().sum();
        let each: Vec<String> =
            counts.iter().map(|(event, count)| format!("{count} {}", event.word())).collect();
        let latest =
            last.as_ref().map(|last| format!(" The latest: {}", last.alert.sentence)).unwrap_or_default();
        let sentence =
            format!("{all} more alerts, too many to be told one by one: {}.{latest}", each.join(", "));
        let mut alert = Alert::new(Event::HeldBack, severity, "", sentence).quiet(Quiet::Never);
        alert = counts.iter().fold(alert, |alert, (event, count)| alert.fact(event.word(), *count));
        alert.at = last.as_ref().map_or(0, |last| last.alert.at);
        let id = last.map_or_else(|| Arc::from("held-back"), |last| last.id);
        Some(Queued { alert: Arc::new(alert), id, stands_for: all })
    }
}

/// What an errand is sent with.
#[derive(Clone)]
pub(crate) struct Kit {
    pub(crate) shared: Arc<Shared>,
    pub(crate) surroundings: Surroundings,
    pub(crate) observer: Arc<dyn Observe>,
    pub(crate) draining: watch::Receiver<bool>,
}

/// Somebody who empties a lane, which was claimed for it.
pub(crate) struct Errand {
    lane: Arc<Lane>,
    kit: Kit,
    /// Nothing was left; the lane may be another's already.
    is_done: bool,
}

impl Errand {
    /// Not under way yet.
    pub(crate) fn new(lane: Arc<Lane>, kit: Kit) -> Self {
        Self { lane, kit, is_done: false }
    }

    /// Tells all that waits.
    pub(crate) async fn run(mut self) {
        // Its connections are its own: those of a worker belong to that worker's thread.
        let client = Client::new(Arc::clone(&self.kit.shared));
        loop {
            let is_draining = *self.kit.draining.borrow();
            match self.lane.step(Instant::now(), is_draining) {
                Step::Done => {
                    self.is_done = true;
                    return self.lane.ended.notify_one();
                }
                Step::Wait(wait) => self.pause(wait).await,
                Step::Tell(queued) => {
                    self.deliver(&client, &queued).await;
                    self.lane.finished();
                }
            }
        }
    }

    async fn deliver(&mut self, client: &Client, queued: &Queued) {
        let channel = self.lane.channel.word();
        let mut tries = 0;
        loop {
            tries += 1;
            let seconds = (self.kit.surroundings.wall)().div_euclid(1_000_000);
            let call = Call { client, shared: &self.kit.shared, seconds };
            let refusal = match self.lane.channel.tell(&call, &queued.alert, &queued.id).await {
                Ok(()) => return self.kit.observer.delivered(channel, queued.stands_for),
                Err(refusal) => refusal,
            };
            let event = queued.alert.event.word();
            let is_last = refusal.is_for_good() || tries >= TRIES_MAX || *self.kit.draining.borrow();
            if is_last {
                let reason = refusal.reason;
                tracing::warn!(alert = event, channel, reason, tries, "an alert was not delivered");
                return self.kit.observer.dropped(channel, queued.stands_for);
            }
            let wait = backoff(tries, refusal, (self.kit.surroundings.draw)());
            tracing::debug!(alert = event, channel, reason = refusal.reason, tries, ?wait, "told again");
            self.pause(wait).await;
        }
    }

    /// Waits, but not under a drain.
    async fn pause(&mut self, wait: Duration) {
        let drained = self.kit.draining.wait_for(|is_draining| *is_draining);
        // Where nobody can begin a drain any more, nobody waits for this errand either.
        let _ = tokio::time::timeout(wait, drained).await;
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if !self.is_done {
            self.lane.let_go();
        }
    }
}

/// The wait after so many tries: between half of it and all of it, so that many do not come back at once.
fn backoff(tries: u32, refusal: Refusal, draw: f64) -> Duration {
    let doubled = BACKOFF.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(BACKOFF_MAX);
    let share = if draw.is_finite() { draw.clamp(0.0, 1.0) } else { 1.0 };
    doubled.mul_f64(f64::midpoint(share, 1.0)).max(refusal.after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_config::{AlertWay, Secret};

    fn lane(is_for_people: bool) -> Lane {
        let url = Secret::new("https://hooks.example/x");
        let way =
            if is_for_people { AlertWay::Slack { url } } else { AlertWay::Webhook { url, secret: None } };
        Lane::new(Channel::new(&way).unwrap(), Instant::now())
    }

    fn queued(number: usize) -> Queued {
        let event = if number.is_multiple_of(3) { Event::Outage } else { Event::Cooldown };
        let alert = Alert::new(event, Severity::Warning, "x", format!("Number {number}."));
        Queued { alert: Arc::new(alert), id: Arc::from("id"), stands_for: 1 }
    }

    /// All that is told without a pause, by its sentence, until there is a wait.
    fn told(lane: &Lane, now: Instant, is_draining: bool) -> Vec<String> {
        let mut told = Vec::new();
        while let Step::Tell(queued) = lane.step(now, is_draining) {
            told.push(queued.alert.sentence.clone());
            lane.finished();
        }
        told
    }

    #[test]
    fn a_storm_is_a_burst_and_then_one_message_with_the_rest() {
        let lane = lane(true);
        let dropped: u64 = (0..10_000).map(|number| lane.put(queued(number))).sum();
        assert_eq!((dropped, lock(&lane.state).waiting.len()), (0, 100));
        let now = Instant::now();
        let first = told(&lane, now, false);
        assert_eq!((first.len(), first[0].as_str()), (10, "Number 0."));
        let rest = told(&lane, now + Duration::from_secs(1), false);
        assert_eq!(
            rest,
            [
                "9990 more alerts, too many to be told one by one: 6660 cooldown_deployment, 3330 outage. The latest: Number 99."
            ]
        );
        assert!(lane.is_idle());
    }

    #[test]
    fn machines_get_each_and_the_oldest_are_dropped_beyond_the_bound() {
        let lane = lane(false);
        let dropped: u64 = (0..10_050).map(|number| lane.put(queued(number))).sum();
        assert_eq!(dropped, 50);
        assert!(lane.claim() && !lane.claim());
        let now = Instant::now();
        let first = told(&lane, now, false);
        assert_eq!((first.len(), first[0].as_str()), (100, "Number 50."));
        assert_eq!(told(&lane, now + Duration::from_millis(100), false).len(), 2);
        assert_eq!(told(&lane, now, true).len(), 10_000 - 102, "under a drain nobody waits");
        assert!(lane.is_idle());
    }

    #[test]
    fn under_a_drain_people_get_the_rest_in_one_at_once() {
        let lane = lane(true);
        assert_eq!((0..50).map(|number| lane.put(queued(number))).sum::<u64>(), 0);
        assert_eq!(told(&lane, Instant::now(), true).len(), 11);
    }

    #[test]
    fn an_errand_that_is_stopped_leaves_its_alert_to_the_next() {
        let lane = lane(true);
        lane.put(queued(1));
        lane.put(queued(2));
        assert!(lane.claim());
        assert!(matches!(lane.step(Instant::now(), false), Step::Tell(_)));
        lane.let_go();
        assert!(lane.claim());
        assert_eq!(told(&lane, Instant::now(), false), ["Number 1.", "Number 2."]);
        lane.put(queued(3));
        assert_eq!(lane.forget(), 1);
    }

    #[test]
    fn waits_double_and_a_receiver_may_ask_for_more() {
        let check = |tries: u32, draw: f64, after: u64, millis: u128| {
            let refusal = Refusal::again("x").after(Some(Duration::from_secs(after)));
            assert_eq!(backoff(tries, refusal, draw).as_millis(), millis, "{tries} {draw}");
        };
        check(1, 1.0, 0, 1_000);
        check(1, 0.0, 0, 500);
        check(4, 1.0, 0, 8_000);
        check(7, 0.5, 0, 45_000);
        check(40, 1.0, 0, 60_000);
        check(1, 1.0, 30, 30_000);
        check(7, 1.0, 30, 60_000);
        check(1, f64::NAN, 0, 1_000);
    }
}
