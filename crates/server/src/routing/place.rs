//! A place at a deployment: what an attempt holds there while it runs, and what is learned when it ends.
//!
//! Owns the pairing: whatever is taken is given back once. **Invariant:** a place that is dropped without a word (the
//! caller hung up, a hedge lost) frees what it held, keeps the tokens that it had reserved, and teaches health nothing:
//! how long it was waited for in vain is all that is learned.

use super::fleet::{Live, lock};
use super::watched::WatchedHealth;
use crate::target::Target;
use std::sync::Arc;
use std::time::Duration;
use tollgate_policy::choice::Why;
use tollgate_policy::clock::Moment;
use tollgate_policy::deployment::Outcome;
use tollgate_policy::failure::{Blame, FailureKind};
use tollgate_policy::health::{AllowedFails, Attempt, Change, Failed, Forced, Health, HealthRules, Standing};
use tollgate_policy::latency::{LatencyRules, Measure};
use tollgate_policy::limits::Ticket;

/// When refusals bench a credential: at once, whatever the deployments allow themselves.
const CREDENTIAL_RULES: HealthRules = HealthRules {
    allowed_fails: Some(0),
    by_kind: AllowedFails::NONE,
    cooldown: Duration::from_secs(5),
    cooldowns_disabled: false,
};

/// A place that is held.
#[derive(Debug)]
pub(crate) struct Place {
    target: Arc<Target>,
    ticket: Option<Ticket>,
    /// Tokens that were reserved.
    tokens: u64,
    /// As its health knows it, to the end.
    began: Attempt,
    /// The same, until its health has learned of it.
    health: Option<Attempt>,
    credential: Option<Attempt>,
    latency: LatencyRules,
    /// When it was taken, until something is heard.
    awaited_since: Option<Moment>,
}

/// Begins an attempt where it is open. What is chosen as the least bad, or by an operator's word, is not: there a pause
/// alone stands in the way.
fn begin(health: &mut Health, is_past_ejections: bool, now: Moment) -> Option<Attempt> {
    match health.standing(now) {
        Standing::Paused { .. } => None,
        _ if is_past_ejections => Some(health.begin(now)),
        _ => health.begin_if_open(now),
    }
}

/// What an attempt taught, where it changed something.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Lesson {
    /// Of the deployment.
    pub(crate) health: Option<Change>,
    /// Of its credential.
    pub(crate) credential: Option<Change>,
    /// How long nothing is sent to it, where it asked for a pause.
    pub(crate) pause: Option<Duration>,
}

impl Lesson {
    /// Whether the deployment, or its credential, is out from now on.
    pub(crate) fn is_ejection(&self) -> bool {
        [self.health, self.credential]
            .into_iter()
            .flatten()
            .any(|change| matches!(change, Change::Ejected { .. }))
    }
}

impl Place {
    /// Takes a place for so many tokens; none where that is not possible any more: between a choice and this another
    /// request may have taken it, or the probe's, and a pause or an ejection may have come.
    pub(crate) fn take(target: &Arc<Target>, why: Why, tokens: u64, latency: LatencyRules) -> Option<Self> {
        let live = &target.live;
        let now = live.clock.now();
        let (health, is_past_ejections) = {
            let mut health = live.health.lock();
            let is_past_ejections = why == Why::LeastBad || health.forced(now) == Some(Forced::Up);
            (begin(&mut health, is_past_ejections, now)?, is_past_ejections)
        };
        let mut place = Self {
            target: Arc::clone(target),
            ticket: None,
            tokens,
            began: health,
            health: Some(health),
            credential: None,
            latency,
            awaited_since: None,
        };
        place.credential = Some(begin(&mut live.credential.lock(), is_past_ejections, now)?);
        place.ticket = Some(lock(&live.limiter).take(now, target.profile.rates, tokens).ok()?);
        lock(&live.latency).silence.begin(now);
        place.awaited_since = Some(now);
        Some(place)
    }

    /// A health check was answered well: that ends an ejection, and says nothing more than a request's answer would not.
    pub(crate) fn checked(mut self) -> Lesson {
        let now = self.live().clock.now();
        let ends = |health: &WatchedHealth, attempt: Option<Attempt>| {
            let (mut health, attempt) = (health.lock(), attempt?);
            if health.standing(now) == Standing::Up {
                health.abandon(attempt, now);
                return None;
            }
            health.succeed(attempt, now)
        };
        let (health, credential) = (self.health.take(), self.credential.take());
        let lesson = Lesson {
            health: ends(&self.live().health, health),
            credential: ends(&self.live().credential, credential),
            pause: None,
        };
        if self.awaited_since.take().is_some() {
            lock(&self.live().latency).silence.end();
        }
        self.settle(self.tokens);
        lesson
    }

    fn live(&self) -> &Live {
        &self.target.live
    }

    /// It answers: the reply is there, or the first content of a stream, this long after it was sent.
    pub(crate) fn answered(&mut self, first_token: Option<Duration>) -> Lesson {
        let now = self.live().clock.now();
        let mut lesson = Lesson::default();
        if let Some(attempt) = self.health.take() {
            lesson.health = self.live().health.lock().succeed(attempt, now);
        }
        if let Some(attempt) = self.credential.take() {
            lesson.credential = self.live().credential.lock().succeed(attempt, now);
        }
        let since = self.awaited_since.take();
        let mut latency = lock(&self.live().latency);
        if let Some(since) = since {
            latency.silence.answer(now, now.since(since));
        }
        if let Some(first_token) = first_token {
            latency.observe(now, Measure::FirstToken, first_token, &self.latency);
        }
        drop(latency);
        lesson
    }

    /// Its own headers say that nothing more is to be had for so long.
    pub(crate) fn pause(&self, pause: Duration) {
        let live = self.live();
        live.health.lock().pause_until(live.clock.now().after(pause));
    }

    /// It failed. The place is free again.
    pub(crate) fn failed(
        mut self,
        kind: FailureKind,
        retry_after: Option<Duration>,
        rules: &HealthRules,
    ) -> Lesson {
        let lesson = self.learn(kind, retry_after, rules);
        self.settle(0);
        lesson
    }

    /// A stream that had begun broke.
    pub(crate) fn broke(&mut self, kind: FailureKind, rules: &HealthRules) -> Lesson {
        self.health = Some(self.began);
        self.learn(kind, None, rules)
    }

    fn learn(&mut self, kind: FailureKind, retry_after: Option<Duration>, rules: &HealthRules) -> Lesson {
        let now = self.live().clock.now();
        let outcome = Outcome::Failure(Failed { kind, retry_after, draw: crate::chance::draw() });
        let mut lesson = Lesson::default();
        let (health, credential) = (self.health.take(), self.credential.take());
        let was_awaited = self.awaited_since.take().is_some();
        let live = self.live();
        if let Some(attempt) = health {
            let learned = outcome.for_deployment(true).teach(&mut live.health.lock(), attempt, now, rules);
            lesson.health = learned;
            if let Some(Change::Paused { for_ }) = learned {
                lesson.pause = Some(for_);
            }
        }
        if let Some(attempt) = credential {
            lesson.credential =
                outcome.for_credential().teach(&mut live.credential.lock(), attempt, now, &CREDENTIAL_RULES);
        }
        let mut latency = lock(&live.latency);
        if kind.blame() == Blame::Deployment {
            latency.penalize(now, &self.latency);
        }
        match (was_awaited, kind.is_silent()) {
            (true, true) => latency.silence.end(),
            (true, false) => latency.silence.speak(now),
            (false, _) => {}
        }
        drop(latency);
        lesson
    }

    /// It is over, and took so many tokens; of a plain answer also how long a token took.
    pub(crate) fn finish(mut self, tokens: u64, per_token: Option<Duration>) {
        if let Some(per_token) = per_token {
            let now = self.live().clock.now();
            lock(&self.live().latency).observe(now, Measure::PerToken, per_token, &self.latency);
        }
        self.settle(tokens);
    }

    fn settle(&mut self, tokens: u64) {
        let Some(ticket) = self.ticket.take() else { return };
        let live = &self.target.live;
        lock(&live.limiter).settle(live.clock.now(), ticket, tokens);
        live.room.note_freed();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.live().clock.now();
        if let Some(attempt) = self.health.take() {
            self.live().health.lock().abandon(attempt, now);
        }
        if let Some(attempt) = self.credential.take() {
            self.live().credential.lock().abandon(attempt, now);
        }
        if let Some(since) = self.awaited_since.take() {
            lock(&self.live().latency).silence.give_up(now, now.since(since));
        }
        self.settle(self.tokens);
    }
}
