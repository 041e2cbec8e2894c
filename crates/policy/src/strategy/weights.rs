//! Strategies by weight: how big a part each deployment has.
//!
//! **Invariant:** weights are finite and not below zero, and where all would be zero, all are alike.

use crate::ask::Ask;
use crate::choice::Group;
use crate::profile::Profile;
use crate::shuffle::Share;

/// The weights of `simple-shuffle`: the first of the request's own weights, `weight`, `rpm`, `tpm` that any of the
/// deployments has with a value above zero, by the rule of [`crate::shuffle`].
pub(super) fn of_shuffle(group: &Group<'_>, ask: &Ask<'_>, kept: &[u32], weights: &mut Vec<f64>) {
    if !ask.weights.is_empty() {
        let own = |profile: &Profile| {
            ask.weights.iter().find(|(id, _)| *id == profile.id).map_or(0.0, |&(_, weight)| weight)
        };
        if fill(group, kept, weights, own) {
            return;
        }
    }
    let figures: [fn(&Share) -> f64; 3] = [
        |share| share.weight.unwrap_or(0.0),
        |share| share.rpm.unwrap_or(0) as f64,
        |share| share.tpm.unwrap_or(0) as f64,
    ];
    if !figures.into_iter().any(|figure| fill(group, kept, weights, |profile| figure(&profile.share))) {
        weights.fill(1.0);
    }
}

/// By `weight`, 1 where it is absent.
pub(super) fn by_weight(group: &Group<'_>, kept: &[u32], weights: &mut Vec<f64>) {
    if !fill(group, kept, weights, |profile| profile.share.weight.unwrap_or(1.0)) {
        weights.fill(1.0);
    }
}

/// Whether the deployment at `index` of the list has a part at all.
pub(super) fn has_part(weights: &[f64], index: usize) -> bool {
    weights.get(index).is_some_and(|&weight| weight > 0.0)
}

/// The index at the point `draw` of all parts laid end to end.
pub(super) fn at_random(weights: &[f64], draw: f64) -> Option<usize> {
    let mut left = draw * weights.iter().sum::<f64>();
    let mut last = None;
    for (index, &weight) in weights.iter().enumerate().filter(|&(_, &weight)| weight > 0.0) {
        if left < weight {
            return Some(index);
        }
        left -= weight;
        last = Some(index);
    }
    // Rounding can leave a hair beyond the last part.
    last
}

/// Writes one figure of each deployment; whether any is above zero.
fn fill(group: &Group<'_>, kept: &[u32], weights: &mut Vec<f64>, figure: impl Fn(&Profile) -> f64) -> bool {
    weights.clear();
    let mut is_any = false;
    weights.extend(kept.iter().map(|&position| {
        let figure = group.at(position).map_or(0.0, |candidate| figure(candidate.profile));
        let weight = if figure.is_finite() { figure.max(0.0) } else { 0.0 };
        is_any |= weight > 0.0;
        weight
    }));
    is_any
}
