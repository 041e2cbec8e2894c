//! Which candidates are left for the strategy, and why the others are not.
//!
//! Owns the filters and their order, the never-empty rule for ejections, affinity and the lowest `order`.
//! **Invariant:** a requirement is never relaxed, and nothing is sent into a pause.

use super::region::Wanted;
use super::{Candidate, Group, Reason, Why};
use crate::ask::{Ask, Requirements};
use crate::clock::Moment;
use crate::health::{Forced, Standing};
use crate::profile::Profile;
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

/// What the filters leave to do.
pub(super) enum Sifted {
    /// Nothing: this one serves.
    Settled(u32, Why),
    /// The strategy decides.
    Open {
        /// Whether one of those that are left waits to be probed.
        has_half_open: bool,
    },
    /// Nobody is left.
    Nobody,
}

/// Leaves in `kept` the positions that the strategy is to decide among; some choices are settled here.
pub(super) fn sift(
    group: &Group<'_>,
    ask: &Ask<'_>,
    kept: &mut Vec<u32>,
    note: &mut impl FnMut(usize, Reason),
) -> Sifted {
    let found = pass(group, ask, kept, note);
    let refuses_probes = ask.is_retry && found.has_up;
    if let Some((holder, standing)) = found.holder {
        if refuses_probes && standing == Standing::HalfOpen {
            note(holder as usize, Reason::NotForRetries);
        } else {
            return Sifted::Settled(holder, Why::Affinity);
        }
    }
    if kept.is_empty() {
        let Some(least_bad) = found.least_bad.filter(|_| !found.has_usable_failed) else {
            return Sifted::Nobody;
        };
        kept.push(least_bad.position);
        return Sifted::Settled(least_bad.position, Why::LeastBad);
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
        [only] if is_half_open(*only) => Sifted::Settled(*only, Why::Probe),
        [only] => Sifted::Settled(*only, Why::Only),
        _ => Sifted::Open { has_half_open: found.has_half_open && !refuses_probes },
    }
}

fn pass(
    group: &Group<'_>,
    ask: &Ask<'_>,
    kept: &mut Vec<u32>,
    note: &mut impl FnMut(usize, Reason),
) -> Found {
    keep_allowed(group, ask, kept, note);
    let tags = group.rules.tags.and_then(|rules| {
        let pool = kept.iter().filter_map(|&position| group.at(position));
        TagFilter::new(rules, ask, &pool.map(|candidate| candidate.profile))
    });
    let mut found = Found::default();
    kept.retain(|&position| {
        let Some(candidate) = group.at(position) else { return false };
        let standing = candidate.now.standing();
        let is_draining = candidate.now.forced == Some(Forced::Draining);
        let is_holder = ask.affinity == Some(candidate.profile.id.as_str());
        let is_excluded = group.excluded.get(position as usize).is_some_and(|&is_excluded| is_excluded);
        let reason = if tags.as_ref().is_some_and(|tags| !tags.admits(candidate.profile)) {
            Some(Reason::Tags)
        } else if is_too_long(group, candidate, ask) {
            Some(Reason::ContextWindow)
        } else if is_excluded {
            found.has_usable_failed |= standing == Standing::Up && !is_draining;
            Some(Reason::Failed)
        } else if is_draining && !is_holder {
            Some(Reason::Draining)
        } else {
            passing(candidate, standing)
        };
        if let Some(reason) = reason {
            found.consider(position, candidate, reason);
            note(position as usize, reason);
            return false;
        }
        found.has_up |= standing == Standing::Up;
        found.has_half_open |= standing == Standing::HalfOpen;
        found.has_order |= candidate.profile.order.is_some();
        if is_holder {
            found.holder = Some((position, standing));
        }
        !is_draining
    });
    found
}

/// Leaves in `kept` whom neither an operator's word nor a requirement shuts out: what no time mends.
fn keep_allowed(group: &Group<'_>, ask: &Ask<'_>, kept: &mut Vec<u32>, note: &mut impl FnMut(usize, Reason)) {
    let mut required = Some(ask.requirements).filter(|required| !required.is_empty()).map(Required::new);
    kept.clear();
    // A position beyond 32 bits is of no group of this world.
    kept.extend((0u32..).zip(group.candidates).filter_map(|(position, candidate)| {
        let is_down = candidate.now.forced == Some(Forced::Down);
        let is_blocked = candidate.profile.is_blocked;
        let reason = is_blocked.then_some(Reason::Blocked).or(is_down.then_some(Reason::ForcedDown));
        let reason = reason.or_else(|| required.as_mut()?.unmet_by(candidate.profile));
        match reason {
            Some(reason) => {
                note(position as usize, reason);
                None
            }
            None => Some(position),
        }
    }));
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

/// The first requirement that a deployment does not fulfil, or does not say that it does: for whoever uses one without
/// choosing it.
pub fn unmet(requirements: &Requirements, profile: &Profile) -> Option<Reason> {
    Required::new(requirements).unmet_by(profile)
}

/// The requirements of a request, held against one deployment after the other.
struct Required<'a> {
    all: &'a Requirements,
    region: Option<Wanted<'a>>,
    data_residency: Option<Wanted<'a>>,
}

impl<'a> Required<'a> {
    fn new(all: &'a Requirements) -> Self {
        let wanted = |place: &'a Option<String>| place.as_deref().map(Wanted::new);
        Self { all, region: wanted(&all.region), data_residency: wanted(&all.data_residency) }
    }

    /// The first requirement that a deployment does not fulfil, or does not say that it does.
    fn unmet_by(&mut self, profile: &'a Profile) -> Option<Reason> {
        let lies_in = |wanted: &mut Option<Wanted<'a>>, place: &'a Option<String>| {
            wanted.as_mut().is_none_or(|wanted| place.as_ref().is_some_and(|place| wanted.admits(place)))
        };
        if self.all.is_contradictory {
            return Some(Reason::Contradiction);
        }
        if !lies_in(&mut self.region, &profile.region) {
            return Some(Reason::Region);
        }
        if !lies_in(&mut self.data_residency, &profile.data_residency) {
            return Some(Reason::DataResidency);
        }
        if self.all.zero_data_retention && !profile.zero_data_retention {
            return Some(Reason::DataRetention);
        }
        let mut capabilities = self.all.capabilities.iter();
        if let Some(missing) = capabilities.position(|name| !profile.capabilities.contains(name)) {
            return Some(Reason::Capability(u16::try_from(missing).unwrap_or(u16::MAX)));
        }
        let is_good = |least: f64| profile.quality.is_some_and(|quality| quality >= least);
        (!self.all.min_quality.is_none_or(is_good)).then_some(Reason::Quality)
    }
}

fn is_too_long(group: &Group<'_>, candidate: &Candidate<'_>, ask: &Ask<'_>) -> bool {
    let is_checked = group.rules.checks_context_window && ask.is_counted;
    is_checked && candidate.profile.context_window.is_some_and(|window| ask.prompt_tokens > window)
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
