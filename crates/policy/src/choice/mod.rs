//! Which deployment of a group serves a request, and why the others do not.
//!
//! [`choose`] filters the candidates (each filter names its reason), then lets the group's strategy decide among those
//! that are left. [`table`] is the same decision told in full: it runs the same code and keeps what [`choose`] drops.
//!
//! The filters, in this order: an operator's word, what the request requires of places, data, capabilities and quality
//! (hard, never relaxed), tags, context window, what has failed this request already, pauses, ejections, the
//! deployment's own limits; then the lowest `order` that has a candidate left. Where ejections alone are in the way,
//! the least bad is chosen: a group never loses its last usable deployment. Leaves to others: the state that readings
//! are taken from (health, limits, latency), and sending.
//!
//! **Invariant:** nothing is chosen that an operator has taken out, that is paused or full, or that does not fulfil a
//! requirement. **Invariant:** a choice allocates nothing once its state has seen the group.

mod filter;
mod reason;
pub mod region;
mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use filter::unmet;
pub use reason::{Nobody, Reason, Why};
pub use table::{Row, Table, table};

use filter::Sifted;

use crate::ask::Ask;
use crate::clock::Moment;
use crate::health::{Forced, Standing};
use crate::limits::{Full, Used};
use crate::profile::Profile;
use crate::silence::Silent;
use crate::strategy::{self, Strategy, StrategyState};
use crate::tags::TagRules;
use std::time::Duration;

/// How a deployment is at the moment of a choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Its own health.
    pub standing: Standing,
    /// The health of the credential that it shows, which others may show too.
    pub credential: Standing,
    /// An operator's word.
    pub forced: Option<Forced>,
    /// Failures in a row, up to now.
    pub consecutive_failures: u32,
    /// Whether its limits have room for this request.
    pub room: Result<(), Full>,
    /// What its limits hold.
    pub used: Used,
    /// Time to a stream's first token; `None` where it has not been tried.
    pub first_token: Option<Duration>,
    /// Time per token of an answer; `None` where it has not been tried.
    pub per_token: Option<Duration>,
    /// Whether it keeps its callers waiting for longer than usual.
    pub silent: Option<Silent>,
}

impl Default for Reading {
    /// Up, idle and untried.
    fn default() -> Self {
        Self {
            standing: Standing::Up,
            credential: Standing::Up,
            forced: None,
            consecutive_failures: 0,
            room: Ok(()),
            used: Used::default(),
            first_token: None,
            per_token: None,
            silent: None,
        }
    }
}

impl Reading {
    /// Its health and its credential's together: whichever is worse.
    pub fn standing(&self) -> Standing {
        if self.forced == Some(Forced::Up) {
            return self.pause().map_or(Standing::Up, |until| Standing::Paused { until });
        }
        match (self.standing, self.credential) {
            (Standing::Up, other) | (other, Standing::Up) => other,
            (one, two) => worse(one, two),
        }
    }

    /// The later end of the pauses.
    fn pause(&self) -> Option<Moment> {
        let end = |standing| match standing {
            Standing::Paused { until } => Some(until),
            _ => None,
        };
        end(self.standing).max(end(self.credential))
    }
}

fn worse(one: Standing, two: Standing) -> Standing {
    let rank = |standing: Standing| match standing {
        Standing::Up => (0, Moment::ZERO),
        Standing::HalfOpen => (1, Moment::ZERO),
        Standing::Probing => (2, Moment::ZERO),
        Standing::Ejected { until } => (3, until),
        Standing::Paused { until } => (4, until),
    };
    if rank(two) > rank(one) { two } else { one }
}

/// A deployment that may be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What is fixed about it.
    pub profile: &'a Profile,
    /// How it is now.
    pub now: Reading,
}

/// What the operator has decided for a group, besides its strategy.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ChoiceRules {
    /// Tag filtering; `None` where it is not enabled.
    pub tags: Option<TagRules>,
    /// Whether deployments are left out whose context window is too small (`enable_pre_call_checks`).
    pub checks_context_window: bool,
    /// How much slower than the fastest still counts as fast: 0.5 is half as slow again (`lowest_latency_buffer`).
    pub latency_buffer: f64,
}

/// The deployments of one group at the moment of a choice. Positions are positions in `candidates`; the same list in
/// the same order from choice to choice is the fast path.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Who decides among those that are left.
    pub strategy: Strategy,
    /// The operator's rules.
    pub rules: ChoiceRules,
    /// All deployments of the group.
    pub candidates: &'a [Candidate<'a>],
    /// Whether each has failed this request already; missing entries have not.
    pub excluded: &'a [bool],
}

impl<'a> Group<'a> {
    /// The candidate at a position that this module itself has written down.
    pub(crate) fn at(&self, position: u32) -> Option<&'a Candidate<'a>> {
        self.candidates.get(position as usize)
    }
}

/// What came of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Deployment {
        /// Its position in [`Group::candidates`].
        position: usize,
        /// Why it.
        why: Why,
    },
    /// None can be had.
    None(Nobody),
}

/// Chooses the deployment for a request. `draw` is uniform in `0..1`.
pub fn choose(group: &Group<'_>, ask: &Ask<'_>, state: &mut StrategyState, draw: f64) -> Choice {
    let mut nearest = Nearest::default();
    let choice = decide(group, ask, state, draw, &mut |_, reason| nearest.note(reason));
    choice.unwrap_or(Choice::None(Nobody::from_reason(nearest.0)))
}

/// The decision itself. Every candidate that is passed over is told to `note`; those that the strategy decided among
/// are left in the state's list. `None` where nobody is left.
fn decide(
    group: &Group<'_>,
    ask: &Ask<'_>,
    state: &mut StrategyState,
    draw: f64,
    note: &mut impl FnMut(usize, Reason),
) -> Option<Choice> {
    let mut kept = std::mem::take(&mut state.kept);
    let sifted = filter::sift(group, ask, &mut kept, note);
    state.kept = kept;
    let (position, why) = match sifted {
        Sifted::Settled(position, why) => (position, why),
        Sifted::Open { has_half_open } => strategy::pick(group, ask, state, has_half_open, draw)?,
        Sifted::Nobody => return None,
    };
    Some(Choice::Deployment { position: position as usize, why })
}

/// The most useful of the reasons noted so far.
#[derive(Default)]
struct Nearest(Option<Reason>);

impl Nearest {
    fn note(&mut self, reason: Reason) {
        let is_nearer = self.0.is_none_or(|known| {
            let (new, old) = (reason.nearness(), known.nearness());
            new > old || (new == old && reason.ends() < known.ends())
        });
        if is_nearer {
            self.0 = Some(reason);
        }
    }
}
