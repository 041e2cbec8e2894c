//! Which deployment gets a request: the state that `policy` decides by, and what requests hold of it.
//!
//! Owns the life of that state over requests and configurations. Leaves every rule to `policy` and the road of a request
//! to `pipeline`. **Invariant:** a request holds a place at every deployment that it is sent to, and gives it back once.

mod admission;
mod alerts;
mod asking;
mod check_place;
#[cfg(test)]
mod cost;
mod explain;
mod fleet;
mod group;
mod journey;
mod learned;
mod memory;
mod place;
mod rehearsal;
mod route;
mod rules;
mod sensitive;
mod tiers;
mod waiting;
mod watched;
mod wish;
mod words;

pub(crate) use admission::{Admission, Admitted};
pub(crate) use alerts::Alerts;
pub(crate) use asking::Asking;
pub(crate) use check_place::{CheckPlace, NotAsked};
pub(crate) use explain::{
    candidates, forced_named, forced_word, limits_json, seconds, standing_seconds, standing_word,
};
pub(crate) use fleet::{Clock, Fleet, Live, LiveKey, LiveReading};
pub(crate) use group::Group;
pub(crate) use journey::{CannedAnswers, Chains, Journey, Leg};
pub(crate) use learned::exhausted_for;
pub(crate) use place::Place;
pub(crate) use rehearsal::{RehearsedLeg, rehearse};
pub(crate) use route::Route;
pub(crate) use rules::{GroupRules, HedgeDelay, health_rules};
pub(crate) use sensitive::Sensitive;
pub(crate) use tiers::Tally;
pub(crate) use waiting::{Urgency, Waited};
pub(crate) use wish::Wish;
pub(crate) use words::{EXPIRY_MAX, Word, Words, recall};
