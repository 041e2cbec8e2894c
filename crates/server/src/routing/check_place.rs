//! A place at a deployment for a health check.
//!
//! Owns when a deployment is not to be asked, and what an answer teaches: all of it where checks count as requests do, else
//! nothing. Leaves the rest to [`Place`]. **Invariant:** a check is within the deployment's limits like any request, and no
//! second probe.

use super::fleet::lock;
use super::place::{Lesson, Place};
use crate::target::Target;
use std::sync::Arc;
use std::time::Duration;
use tollgate_policy::choice::Why;
use tollgate_policy::failure::FailureKind;
use tollgate_policy::health::{Forced, Standing};
use tollgate_policy::latency::LatencyRules;
use tollgate_policy::limits::Ticket;

/// Why a deployment is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAsked {
    /// An operator has taken it out.
    Forced,
    /// It, or its credential, is paused.
    Paused,
    /// It is being probed already.
    Probed,
    /// Its limits have no room.
    Full,
}

/// A place that is held for a check.
#[derive(Debug)]
pub(crate) struct CheckPlace {
    target: Arc<Target>,
    tokens: u64,
    /// Where what the check finds counts.
    counted: Option<Place>,
    /// Where it does not.
    ticket: Option<Ticket>,
}

impl CheckPlace {
    /// Takes a place for so many tokens. `counts`: what the check finds is learned.
    pub(crate) fn take(target: &Arc<Target>, tokens: u64, counts: bool) -> Result<Self, NotAsked> {
        let live = &target.live;
        let now = live.clock.now();
        let known = live.read();
        if matches!(known.forced, Some(Forced::Down | Forced::Draining)) {
            return Err(NotAsked::Forced);
        }
        let standings = [known.standing, known.credential];
        if standings.iter().any(|standing| matches!(standing, Standing::Paused { .. })) {
            return Err(NotAsked::Paused);
        }
        if counts && standings.contains(&Standing::Probing) {
            return Err(NotAsked::Probed);
        }
        let mut place = Self { target: Arc::clone(target), tokens, counted: None, ticket: None };
        if counts {
            // An ejection does not stand in its way: that it may be over is what the check is for.
            let counted = Place::take(target, Why::LeastBad, tokens, LatencyRules::default());
            place.counted = Some(counted.ok_or(NotAsked::Full)?);
        } else {
            let ticket = lock(&live.limiter).take(now, target.profile.rates, tokens);
            place.ticket = Some(ticket.map_err(|_| NotAsked::Full)?);
        }
        Ok(place)
    }

    /// It answers: that ends an ejection, and changes nothing else.
    pub(crate) fn answered(mut self) -> Lesson {
        self.counted.take().map(Place::checked).unwrap_or_default()
    }

    /// It failed.
    pub(crate) fn failed(mut self, kind: FailureKind, retry_after: Option<Duration>) -> Lesson {
        let rules = self.target.health_rules;
        self.counted.take().map(|place| place.failed(kind, retry_after, &rules)).unwrap_or_default()
    }
}

impl Drop for CheckPlace {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let live = &self.target.live;
        lock(&live.limiter).settle(live.clock.now(), ticket, self.tokens);
        live.room.note_freed();
    }
}
