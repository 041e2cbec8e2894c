//! Whether a deployment (or a credential) may be sent to: failures, ejections, pauses, probes and the operator's word.
//!
//! Owns what is learned from attempts. Leaves to others: the choice among deployments, and never leaving a request
//! without any (choice). Whose health a failure concerns is the caller's to tell by [`FailureKind::blame`]: a
//! credential's failure is given to the credential's [`Health`], any other to the deployment's, and the other of the
//! two is told [`Health::abandon`].
//!
//! **Invariant:** a pause ends at its moment and never before. **Invariant:** after an ejection at most one probe is
//! under way, and what attempts from before it bring teaches nothing.

use crate::clock::Moment;
use crate::failure::{Blame, FailureKind};
use std::time::Duration;

#[cfg(test)]
mod histories;
mod rules;
#[cfg(test)]
mod tests;
mod windows;

pub use rules::{AllowedFails, HealthRules};
use windows::{Shares, Tallies};

/// Consecutive failures that eject where `allowed_fails` is not configured.
pub const CONSECUTIVE_FAILURES_MAX: u32 = 3;
/// The longest ejection before jitter, save for a configured cooldown that is longer: with its jitter it is over within
/// 30 s.
pub const EJECTION_MAX: Duration = Duration::from_secs(25);
/// An ejection's growth is forgotten after so long without a failure.
pub const GROWTH_MEMORY: Duration = Duration::from_secs(30);
/// The first pause after a 429 that does not say for how long.
pub const PAUSE_BASE: Duration = Duration::from_secs(1);
/// The longest such pause before jitter.
pub const PAUSE_MAX: Duration = Duration::from_secs(25);
/// The longest Retry-After that is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// A probe of which nothing was heard for so long has lost its place, and the next one may go: what hangs must not keep a
/// deployment out that is well again.
pub const PROBE_FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// After a failed probe it is out at most so long from the probe's begin, save for a configured cooldown that is longer:
/// of what came after that begin the failure says nothing.
pub const OUT_AFTER_PROBE_MAX: Duration = Duration::from_secs(30);

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It takes requests.
    Up,
    /// Its ejection is over, and one probe may go.
    HalfOpen,
    /// The probe is under way.
    Probing,
    /// It failed too often.
    Ejected {
        /// When it becomes half-open.
        until: Moment,
    },
    /// It asked to be left alone.
    Paused {
        /// When that ends.
        until: Moment,
    },
}

/// An operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forced {
    /// Its health is ignored; pauses hold.
    Up,
    /// It gets nothing.
    Down,
    /// It gets only what continues something that it holds.
    Draining,
}

/// What an attempt's end changed, for logs, metrics and alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is ejected.
    Ejected {
        /// For how long.
        for_: Duration,
        /// The failures that led to it.
        failures: u32,
    },
    /// It is paused, or paused longer.
    Paused {
        /// For how long from now.
        for_: Duration,
    },
    /// It is up again.
    Recovered,
}

/// An attempt as its health knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Whether it is the one probe of a half-open deployment.
    pub is_probe: bool,
    stamp: u64,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failed {
    /// What it is.
    pub kind: FailureKind,
    /// The provider's word on when to come back; `None` where there is none, or none that can be read.
    pub retry_after: Option<Duration>,
    /// Uniform in `0..1`: the jitter of what it brings about.
    pub draw: f64,
}

/// The one attempt that tries whether an ejection may end.
#[derive(Debug, Clone, Copy)]
struct Probe {
    stamp: u64,
    since: Moment,
}

impl Probe {
    fn is_forgotten(&self, now: Moment) -> bool {
        now.since(self.since) >= PROBE_FORGOTTEN_AFTER
    }
}

/// What is known of the health of a deployment or a credential. It allocates nothing until a failure is counted by
/// `allowed_fails`.
#[derive(Debug, Default)]
pub struct Health {
    paused_until: Moment,
    /// Set from an ejection to the recovery; half-open where it is past.
    ejected_until: Option<Moment>,
    probe: Option<Probe>,
    forced: Option<(Forced, Option<Moment>)>,
    /// The number of turns (ejections, recoveries, pauses, probes) so far. An attempt bears the number that was
    /// current at its begin, which tells what it can still teach at its end.
    turns: u64,
    /// The turn of the last ejection or recovery.
    era: u64,
    /// The turn of the last pause that a 429 brought.
    pause_turn: u64,
    /// How often the pause that follows a silent 429 has doubled.
    pause_growth: u32,
    consecutive_failures: u32,
    /// Since the last success, of classes with an entry of their own.
    class_failures: u32,
    ejections: u32,
    /// How often the ejection has doubled: probes that failed.
    growth: u32,
    /// The last failure or recovery.
    troubled_at: Moment,
    shares: Shares,
    tallies: Option<Box<Tallies>>,
}

impl Health {
    /// Where it stands. A pause goes before an ejection: it is never broken.
    pub fn standing(&self, now: Moment) -> Standing {
        if self.paused_until > now {
            return Standing::Paused { until: self.paused_until };
        }
        match (self.ejected_until, self.probe) {
            (None, _) => Standing::Up,
            (Some(until), _) if until > now => Standing::Ejected { until },
            (Some(_), Some(probe)) if !probe.is_forgotten(now) => Standing::Probing,
            (Some(_), _) => Standing::HalfOpen,
        }
    }

    /// The operator's word, while it holds.
    pub fn forced(&self, now: Moment) -> Option<Forced> {
        let (forced, until) = self.forced?;
        until.is_none_or(|until| until > now).then_some(forced)
    }

    /// Sets the operator's word or takes it back; without an `until` it holds until it is taken back.
    pub fn force(&mut self, forced: Option<Forced>, until: Option<Moment>) {
        self.forced = forced.map(|forced| (forced, until));
    }

    /// When the operator's word ends, while one holds that does.
    pub fn forced_until(&self, now: Moment) -> Option<Moment> {
        self.forced.and_then(|(_, until)| until).filter(|until| *until > now)
    }

    /// Begins anew, save for the operator's word: no pause, no ejection, no growth of either, nothing counted. Of what is
    /// under way, failures count no more; a 429 pauses it again.
    pub fn reset(&mut self) {
        self.paused_until = Moment::ZERO;
        self.pause_growth = 0;
        self.ejected_until = None;
        self.growth = 0;
        (self.consecutive_failures, self.class_failures) = (0, 0);
        self.begin_era();
    }

    /// Whether nothing speaks against it, at any moment from now on, until it is told something.
    pub fn is_sound(&self) -> bool {
        self.ejected_until.is_none()
            && self.paused_until == Moment::ZERO
            && self.forced.is_none()
            && self.consecutive_failures() == 0
    }

    /// Failures since the last success.
    pub fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures.saturating_add(self.class_failures)
    }

    /// Ejections so far.
    pub fn ejections(&self) -> u32 {
        self.ejections
    }

    /// An attempt begins. Where it is half-open, this is its probe.
    pub fn begin(&mut self, now: Moment) -> Attempt {
        let is_probe = self.standing(now) == Standing::HalfOpen;
        if is_probe {
            let stamp = self.turn();
            self.probe = Some(Probe { stamp, since: now });
        }
        Attempt { is_probe, stamp: self.turns }
    }

    /// As [`Self::begin`], where it is open still: between a choice and its send another request may have taken the
    /// probe's place, and a pause or an ejection may have come. Not for the least bad of all that are out.
    pub fn begin_if_open(&mut self, now: Moment) -> Option<Attempt> {
        match self.standing(now) {
            Standing::Up | Standing::HalfOpen => Some(self.begin(now)),
            Standing::Probing | Standing::Ejected { .. } | Standing::Paused { .. } => None,
        }
    }

    /// An attempt succeeded. Any that began after the ejection ends it, the probe or one that was sent because
    /// everything else was out; one that began before it ends nothing. To be told at the first token: that a long answer
    /// ends well says nothing of now.
    pub fn succeed(&mut self, attempt: Attempt, now: Moment) -> Option<Change> {
        self.end_probe(attempt, now);
        if attempt.stamp >= self.pause_turn {
            self.pause_growth = 0;
        }
        if attempt.stamp < self.era {
            return None;
        }
        (self.consecutive_failures, self.class_failures) = (0, 0);
        if self.ejected_until.is_none() {
            self.shares.count(now, false);
            return None;
        }
        self.recover();
        self.troubled_at = now;
        Some(Change::Recovered)
    }

    /// An attempt failed. One that began before the last ejection or recovery counts for nothing but its pause; while
    /// ejected only the probe's failure ejects again, unless it comes so late that the probe is forgotten. May follow [`Self::succeed`] for the same attempt, where a stream
    /// breaks after its first token: by its own attempt, not one that begins then, which could be taken for the probe.
    pub fn fail(
        &mut self,
        attempt: Attempt,
        now: Moment,
        failed: Failed,
        rules: &HealthRules,
    ) -> Option<Change> {
        let probed_since = self.end_probe(attempt, now);
        let pause = match failed.kind.blame() {
            Blame::Limit => self.pause(attempt, now, failed),
            _ => None,
        };
        if rules.cooldowns_disabled || rules.cooldown.is_zero() {
            self.recover_if_ejected();
            return pause;
        }
        if attempt.stamp < self.era {
            return pause;
        }
        let ejection = match self.ejected_until {
            None => self.count(now, failed.kind, rules),
            Some(_) => self.fail_while_ejected(probed_since.is_some(), failed.kind),
        };
        let Some(failures) = ejection else { return pause };
        let length = jittered(grown(rules.cooldown, self.growth, EJECTION_MAX), failed.draw);
        let out_max = OUT_AFTER_PROBE_MAX.max(jittered(rules.cooldown, 1.0));
        let left = probed_since.map(|since| now.until(since.after(out_max)));
        let length = left.map_or(length, |left| length.min(left));
        self.eject(now, length);
        Some(Change::Ejected { for_: length, failures })
    }

    /// An attempt ended without a verdict (the caller hung up, a hedge lost): a probe's place is free again, and
    /// nothing is learned.
    pub fn abandon(&mut self, attempt: Attempt, now: Moment) {
        self.end_probe(attempt, now);
    }

    /// Pauses it until then, as its own headers ask (`x-ratelimit-reset-*` with nothing remaining). A pause that
    /// lasts longer stays.
    pub fn pause_until(&mut self, until: Moment) {
        self.paused_until = self.paused_until.max(until);
    }

    fn turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// Frees the probe's place where this was the probe. Since when it was, where it still counts as the probe.
    fn end_probe(&mut self, attempt: Attempt, now: Moment) -> Option<Moment> {
        let probe = self.probe.filter(|probe| attempt.is_probe && probe.stamp == attempt.stamp)?;
        self.probe = None;
        (!probe.is_forgotten(now)).then_some(probe.since)
    }

    /// What a failure while up counts for; the number of failures where they are enough to eject.
    fn count(&mut self, now: Moment, kind: FailureKind, rules: &HealthRules) -> Option<u32> {
        let entry = rules.by_kind.entry(kind);
        if entry.is_none() && matches!(kind.blame(), Blame::Caller | Blame::Limit) {
            return None;
        }
        if now.since(self.troubled_at) >= GROWTH_MEMORY {
            self.growth = 0;
        }
        self.troubled_at = now;
        if let Some((class, allowed)) = entry {
            self.class_failures = self.class_failures.saturating_add(1);
            let failures = self.tallies.get_or_insert_default().class(class).count(now, rules.cooldown);
            return (failures > allowed).then_some(failures);
        }
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        if matches!(kind.blame(), Blame::Credential | Blame::Model) {
            return Some(self.consecutive_failures);
        }
        self.shares.count(now, true);
        let Some(allowed) = rules.allowed_fails else {
            return (self.consecutive_failures >= CONSECUTIVE_FAILURES_MAX || self.shares.are_bad())
                .then_some(self.consecutive_failures.max(self.shares.failures()));
        };
        let failures = self.tallies.get_or_insert_default().all.count(now, rules.cooldown);
        (failures > allowed).then_some(failures)
    }

    /// A failure after an ejection: only the probe's, and only one that concerns the deployment, ejects again.
    fn fail_while_ejected(&mut self, was_probe: bool, kind: FailureKind) -> Option<u32> {
        if matches!(kind.blame(), Blame::Caller | Blame::Limit) {
            return None;
        }
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        if !was_probe {
            return None;
        }
        self.growth = self.growth.saturating_add(1);
        Some(self.consecutive_failures)
    }

    /// Ejects it for so long.
    fn eject(&mut self, now: Moment, length: Duration) {
        self.ejected_until = Some(now.after(length));
        self.ejections = self.ejections.saturating_add(1);
        self.troubled_at = now;
        self.begin_era();
    }

    fn recover(&mut self) {
        self.ejected_until = None;
        self.begin_era();
    }

    fn recover_if_ejected(&mut self) {
        if self.ejected_until.is_some() {
            self.recover();
        }
    }

    /// Begins anew: what was counted and who is under way matters no more.
    fn begin_era(&mut self) {
        self.probe = None;
        self.shares = Shares::default();
        self.tallies = None;
        self.era = self.turn();
    }

    /// The pause that a 429 brings; `None` where it is paused as long already. A burst's 429s without a word of their
    /// own double it once.
    fn pause(&mut self, attempt: Attempt, now: Moment, failed: Failed) -> Option<Change> {
        let is_late = attempt.stamp < self.pause_turn;
        let length = match failed.retry_after.filter(|said| !said.is_zero()) {
            Some(said) => said.min(RETRY_AFTER_MAX),
            None if is_late && self.paused_until > now => return None,
            None if is_late => {
                jittered(grown(PAUSE_BASE, self.pause_growth.saturating_sub(1), PAUSE_MAX), failed.draw)
            }
            None => {
                self.pause_growth = self.pause_growth.saturating_add(1);
                jittered(grown(PAUSE_BASE, self.pause_growth - 1, PAUSE_MAX), failed.draw)
            }
        };
        let until = now.after(length);
        if until <= self.paused_until {
            return None;
        }
        self.paused_until = until;
        self.pause_turn = self.turn();
        Some(Change::Paused { for_: length })
    }
}

/// `base` doubled so many times, at most `most` unless `base` itself is longer.
fn grown(base: Duration, doublings: u32, most: Duration) -> Duration {
    base.saturating_mul(1_u32 << doublings.min(16)).min(most.max(base))
}

/// Between 80% and 120% of `length`, linear in `draw`; to the microsecond.
fn jittered(length: Duration, draw: f64) -> Duration {
    let draw = if draw.is_finite() { draw.clamp(0.0, 1.0) } else { 0.5 };
    let per_million = 800_000 + (draw * 400_000.0) as u128;
    Duration::from_micros(u64::try_from(length.as_micros() * per_million / 1_000_000).unwrap_or(u64::MAX))
}
