//! Which candidates are left for the strategy, and why the others are not.
//!
//! Owns the filters and their order, the never-empty rule for ejections, affinity and the lowest `order`.
//! **Invariant:** a requirement is never relaxed, and nothing is sent into a pause.

use super::{Candidate, Group, Reason, Why, region};
use crate::ask::{Ask, Requirements};
use crate::clock::Moment;
use crate::health::{Forced, Standing};
use crate::tags::TagFilter;

/// A candidate that nothing but an ejection speaks against.
#[derive(Clone, Copy)]
struct LeastBad {
    position: u32,
    key: (Moment, u32),
}

/// What one pass over the candidates finds, besides those that are left.
#[derive(Default)]
struct Found {
    has_up: bool,
    has_half_open: bool,
    has_order: bool,
    /// One that failed this request, and is as usable as before for others.
    has_usable_failed: bool,
    holder: Option<(u32, Standing)>,
    least_bad: Option<LeastBad>,
}

/// Leaves in `kept` the positions that the strategy is to decide among; some choices are settled here.
pub(super) fn sift(
    group: &Group<'_>,
    ask: &Ask<'_>,
    kept: &mut Vec<u32>,
    note: &mut impl FnMut(usize, Reason),
) -> Option<(u32, Why)> {
    let found = pass(group, ask, kept, note);
    let refuses_probes = ask.is_retry && found.has_up;
    if let Some((holder, standing)) = found.holder {
        if refuses_probes && standing == Standing::HalfOpen {
            note(holder as usize, Reason::NotForRetries);
        } else {
            return Some((holder, Why::Affinity));
        }
    }
    if kept.is_empty() {
        let least_bad = found.least_bad.filter(|_| !found.has_usable_failed)?;
        kept.push(least_bad.position);
        return Some((least_bad.position, Why::LeastBad));
    }
    let is_half_open = |position: u32| {
        group.at(position).is_some_and(|candidate| candidate.now.standing() == Standing::HalfOpen)
    };
    if refuses_probes && found.has_half_open {
        retain(kept, note, Reason::NotForRetries, |position| !is_half_open(position));
    }
    if found.has_order {
        keep_lowest_order(group, kept, note);
    }
    match kept.as_slice() {
        [only] if is_half_open(*only) => Some((*only, Why::Probe)),
        [only] => Some((*only, Why::Only)),
        _ => None,
    }
}

fn pass(
    group: &Group<'_>,
    ask: &Ask<'_>,
    kept: &mut Vec<u32>,
    note: &mut impl FnMut(usize, Reason),
) -> Found {
    kept.clear();
    let mut found = Found::default();
    let requirements = Some(ask.requirements).filter(|requirements| !requirements.is_empty());
    let tags = group.rules.tags.and_then(|rules| {
        let pool = group.candidates.iter().filter(|candidate| policy(candidate, requirements).is_none());
        TagFilter::new(rules, ask, &pool.map(|candidate| candidate.profile))
    });
    for (position, candidate) in group.candidates.iter().enumerate() {
        let standing = candidate.now.standing();
        let is_excluded = group.excluded.get(position).is_some_and(|&is_excluded| is_excluded);
        let lasting = policy(candidate, requirements)
            .or_else(|| tags.as_ref().filter(|tags| !tags.admits(candidate.profile)).map(|_| Reason::Tags))
            .or_else(|| window(group, candidate, ask));
        let is_draining = candidate.now.forced == Some(Forced::Draining);
        let is_holder = ask.affinity == Some(candidate.profile.id.as_str());
        let reason = match (lasting, is_excluded) {
            (Some(reason), _) => Some(reason),
            (None, true) => {
                found.has_usable_failed |= standing == Standing::Up && !is_draining;
                Some(Reason::Failed)
            }
            (None, false) if is_draining && !is_holder => Some(Reason::Draining),
            (None, false) => passing(candidate, standing),
        };
        // Positions beyond 32 bits are no groups of this world.
        let position_small = u32::try_from(position).unwrap_or(u32::MAX);
        match reason {
            None => {
                found.has_up |= standing == Standing::Up;
                found.has_half_open |= standing == Standing::HalfOpen;
                found.has_order |= candidate.profile.order.is_some();
                if is_holder {
                    found.holder = Some((position_small, standing));
                }
                if !is_draining {
                    kept.push(position_small);
                }
            }
            Some(reason) => {
                found.consider(position_small, candidate, reason);
                note(position, reason);
            }
        }
    }
    found
}

impl Found {
    /// Remembers the least bad of those that an ejection alone speaks against.
    fn consider(&mut self, position: u32, candidate: &Candidate<'_>, reason: Reason) {
        let until = match reason {
            Reason::Ejected { until } => until,
            Reason::ProbeUnderWay => Moment::ZERO,
            _ => return,
        };
        if candidate.now.room.is_err() {
            return;
        }
        let key = (until, candidate.now.consecutive_failures);
        if self.least_bad.is_none_or(|known| key < known.key) {
            self.least_bad = Some(LeastBad { position, key });
        }
    }
}

/// What no time mends: an operator's word and the requirements.
fn policy(candidate: &Candidate<'_>, requirements: Option<&Requirements>) -> Option<Reason> {
    if candidate.now.forced == Some(Forced::Down) {
        return Some(Reason::ForcedDown);
    }
    let required = requirements?;
    let profile = candidate.profile;
    let lies_in = |wanted: &Option<String>, place: &Option<String>| match (wanted, place) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wanted), Some(place)) => region::admits(wanted, place),
    };
    if required.is_contradictory {
        return Some(Reason::Contradiction);
    }
    if !lies_in(&required.region, &profile.region) {
        return Some(Reason::Region);
    }
    if !lies_in(&required.data_residency, &profile.data_residency) {
        return Some(Reason::DataResidency);
    }
    if required.zero_data_retention && !profile.zero_data_retention {
        return Some(Reason::DataRetention);
    }
    if let Some(missing) = required.capabilities.iter().position(|name| !profile.capabilities.contains(name))
    {
        return Some(Reason::Capability(u16::try_from(missing).unwrap_or(u16::MAX)));
    }
    let is_good_enough =
        required.min_quality.is_none_or(|least| profile.quality.is_some_and(|quality| quality >= least));
    (!is_good_enough).then_some(Reason::Quality)
}

fn window(group: &Group<'_>, candidate: &Candidate<'_>, ask: &Ask<'_>) -> Option<Reason> {
    let is_checked = group.rules.checks_context_window && ask.is_counted;
    let is_too_long = candidate.profile.context_window.is_some_and(|window| ask.prompt_tokens > window);
    (is_checked && is_too_long).then_some(Reason::ContextWindow)
}

/// What passes with time: pauses, ejections, limits.
fn passing(candidate: &Candidate<'_>, standing: Standing) -> Option<Reason> {
    match standing {
        Standing::Paused { until } => Some(Reason::Paused { until }),
        Standing::Ejected { until } => Some(Reason::Ejected { until }),
        Standing::Probing => Some(Reason::ProbeUnderWay),
        Standing::Up | Standing::HalfOpen => candidate.now.room.err().map(Reason::Full),
    }
}

fn keep_lowest_order(group: &Group<'_>, kept: &mut Vec<u32>, note: &mut impl FnMut(usize, Reason)) {
    let order = |position: u32| {
        let profile = group.at(position).map(|candidate| candidate.profile);
        profile.and_then(|profile| profile.order).unwrap_or(i64::MAX)
    };
    let lowest = kept.iter().map(|&position| order(position)).min();
    retain(kept, note, Reason::Order, |position| Some(order(position)) == lowest);
}

fn retain(
    kept: &mut Vec<u32>,
    note: &mut impl FnMut(usize, Reason),
    reason: Reason,
    is_left: impl Fn(u32) -> bool,
) {
    kept.retain(|&position| {
        let is_left = is_left(position);
        if !is_left {
            note(position as usize, reason);
        }
        is_left
    });
}
