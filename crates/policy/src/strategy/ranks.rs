//! Strategies by rank: the lowest wins, ties at random.
//!
//! **Invariant:** a figure that is not known never passes for a good one, save that an untried deployment that is idle
//! is tried first: one request at a time finds out how fast it is.

use super::Strategy;
use crate::ask::Ask;
use crate::choice::{Candidate, Group};

/// A class goes before the next one whatever the figures in it.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Rank {
    pub(super) class: Class,
    pub(super) figure: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// To be tried; the figure is 0.
    Untried,
    /// The figure is the strategy's.
    Known,
    /// The figure is a makeshift: requests in flight, or tokens.
    Unknown,
}

/// The ranks of the deployments in `kept`, in their order.
pub(super) fn of(strategy: Strategy, group: &Group<'_>, ask: &Ask<'_>, kept: &[u32], ranks: &mut Vec<Rank>) {
    let candidates = || kept.iter().filter_map(|&position| group.at(position));
    let known = |figure: f64| Rank { class: Class::Known, figure };
    ranks.clear();
    match strategy {
        Strategy::Latency => ranks.extend(candidates().map(|candidate| latency(candidate, ask))),
        Strategy::Cost => ranks.extend(candidates().map(|candidate| cost(candidate, ask))),
        Strategy::Usage => {
            // Parts of limits and plain tokens cannot be compared: one deployment without limits makes it tokens.
            let has_limits = have_limits(group, kept);
            ranks.extend(candidates().map(|candidate| {
                let part = if has_limits { part_used(candidate) } else { None };
                known(part.unwrap_or(candidate.now.used.tokens as f64))
            }));
        }
        _ => ranks.extend(candidates().map(|candidate| known(busy(candidate)))),
    }
}

/// Whether usage is told in parts of limits.
pub(super) fn have_limits(group: &Group<'_>, kept: &[u32]) -> bool {
    kept.iter().filter_map(|&position| group.at(position)).all(|candidate| part_used(candidate).is_some())
}

/// The highest rank that counts as lowest: by latency, that is `1 + latency_buffer` times the lowest.
pub(super) fn limit(strategy: Strategy, group: &Group<'_>, ranks: &[Rank]) -> Option<Rank> {
    let lowest = ranks.iter().copied().reduce(|one, two| if two < one { two } else { one })?;
    let buffer = group.rules.latency_buffer;
    if strategy == Strategy::Latency && lowest.class == Class::Known && buffer > 0.0 {
        return Some(Rank { figure: lowest.figure * (1.0 + buffer), ..lowest });
    }
    Some(lowest)
}

pub(super) fn is_within(ranks: &[Rank], index: usize, limit: Option<Rank>) -> bool {
    ranks.get(index).zip(limit).is_some_and(|(&rank, limit)| rank <= limit)
}

/// One of those within the limit, all alike.
pub(super) fn at_random(ranks: &[Rank], limit: Option<Rank>, draw: f64) -> Option<usize> {
    let within = || (0..ranks.len()).filter(|&index| is_within(ranks, index, limit));
    let count = within().count();
    let nth = ((draw * count as f64) as usize).min(count.checked_sub(1)?);
    within().nth(nth)
}

fn latency(candidate: &Candidate<'_>, ask: &Ask<'_>) -> Rank {
    let measured = if ask.is_stream { candidate.now.first_token } else { candidate.now.per_token };
    let silent = candidate.now.silent;
    match measured {
        // It takes at least as long as it has been silent. Where a token is the measure, that is as if it were one.
        Some(time) => {
            let time = silent.map_or(time, |silent| silent.lasted.max(time));
            Rank { class: Class::Known, figure: time.as_secs_f64() }
        }
        None if silent.is_none() && candidate.now.used.in_flight == 0 => {
            Rank { class: Class::Untried, figure: 0.0 }
        }
        None => Rank { class: Class::Unknown, figure: busy(candidate) },
    }
}

/// Requests in flight, and those that were given up unanswered: a provider that hangs gets no idler by that.
fn busy(candidate: &Candidate<'_>) -> f64 {
    let given_up = candidate.now.silent.map_or(0, |silent| silent.given_up);
    f64::from(candidate.now.used.in_flight) + f64::from(given_up)
}

/// The cost of this very request, in the unit of the prices. What has no price comes last (LiteLLM reckons with 5.0
/// dollars per token), fewer tokens first, which are the same for all.
fn cost(candidate: &Candidate<'_>, ask: &Ask<'_>) -> Rank {
    let (input, output) = (ask.prompt_tokens as f64, ask.output_tokens_expected() as f64);
    match (candidate.profile.input_price, candidate.profile.output_price) {
        (Some(input_price), Some(output_price)) => {
            let figure = input * float(input_price) + output * float(output_price);
            Rank { class: Class::Known, figure }
        }
        _ => Rank { class: Class::Unknown, figure: input + output },
    }
}

/// A price as a float: by way of 64 bits, which is five times as fast, where it fits.
fn float(price: u128) -> f64 {
    u64::try_from(price).map_or(price as f64, |price| price as f64)
}

/// Which part of its tpm, else of its rpm, a deployment has used in the last minute; `None` where it has neither.
fn part_used(candidate: &Candidate<'_>) -> Option<f64> {
    let used = candidate.now.used;
    let part = |used: u64, limit: u64| used as f64 / limit.max(1) as f64;
    let rates = candidate.profile.rates;
    let by_requests = rates.rpm.map(|rpm| part(used.requests, rpm));
    rates.tpm.map(|tpm| part(used.tokens, tpm)).or(by_requests)
}
