//! Who decides among the deployments that are left.
//!
//! Two kinds of strategies: those by weight (`weights`: simple-shuffle, round robin, consistent hash) and those by rank
//! (`ranks`: the lowest wins, ties at random). The candidate table shows what these two compute. A deployment that is
//! back from an ejection gets its probe with the first request that the strategy could give it.
//!
//! **Invariant:** a deployment without a part in the strategy (weight 0, too dear) gets no probe by it either.

mod ranks;
mod seats;
mod shares;
#[cfg(test)]
mod tests;
mod weights;

pub use shares::Unit;
pub(crate) use shares::scores;

use crate::ask::{Ask, Leaning};
use crate::choice::{Group, Why};
use crate::health::Standing;
use seats::Seats;

/// How a group chooses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// At random, by weight, else rpm, else tpm: see [`crate::shuffle`].
    #[default]
    SimpleShuffle,
    /// In turn, by weight, as evenly spread as can be (nginx's smooth weighted round robin).
    RoundRobin,
    /// The one with the fewest requests in flight, those included that were given up unanswered since its last answer.
    LeastBusy,
    /// One of the fastest: time to the first token for streams, time per token otherwise.
    Latency,
    /// The one that has used the smallest part of its limit in the last minute.
    Usage,
    /// The one that is cheapest for this very request.
    Cost,
    /// Always the same one for the same key, with as few changes as can be when deployments come and go (rendezvous
    /// hashing, Thaler and Ravishankar, 1998).
    ConsistentHash,
}

impl Strategy {
    /// The strategy of that name in a configuration.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "simple-shuffle" => Self::SimpleShuffle,
            "round-robin" => Self::RoundRobin,
            "least-busy" => Self::LeastBusy,
            "latency-based-routing" => Self::Latency,
            "usage-based-routing" | "usage-based-routing-v2" => Self::Usage,
            "cost-based-routing" => Self::Cost,
            "consistent-hash" => Self::ConsistentHash,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SimpleShuffle => "simple-shuffle",
            Self::RoundRobin => "round-robin",
            Self::LeastBusy => "least-busy",
            Self::Latency => "latency-based-routing",
            Self::Usage => "usage-based-routing",
            Self::Cost => "cost-based-routing",
            Self::ConsistentHash => "consistent-hash",
        }
    }

    /// The strategy that decides about `ask`: what the request says of itself goes first, and a request without a key
    /// is not hashed.
    pub fn for_ask(self, ask: &Ask<'_>) -> Self {
        match (ask.leaning, self) {
            (Leaning::Latency, _) => Self::Latency,
            (Leaning::Cost, _) => Self::Cost,
            (Leaning::None, Self::ConsistentHash) if ask.sticky_key.is_none() => Self::SimpleShuffle,
            (Leaning::None, strategy) => strategy,
        }
    }

    fn why(self) -> Why {
        match self {
            Self::SimpleShuffle => Why::Weight,
            Self::RoundRobin => Why::RoundRobin,
            Self::LeastBusy => Why::LeastBusy,
            Self::Latency => Why::Latency,
            Self::Usage => Why::Usage,
            Self::Cost => Why::Cost,
            Self::ConsistentHash => Why::Hash,
        }
    }
}

/// What a group remembers between two choices: whose turn it is. It survives changes of the group, by deployment id.
/// It also keeps the working memory of a choice, so that none is allocated.
#[derive(Debug, Clone, Default)]
pub struct StrategyState {
    pub(crate) kept: Vec<u32>,
    weights: Vec<f64>,
    ranks: Vec<ranks::Rank>,
    seats: Seats,
}

/// Decides among `state.kept`, in which no one is passed over any more; `None` where it is empty. `has_half_open`:
/// whether any of them waits to be probed.
pub(crate) fn pick(
    group: &Group<'_>,
    ask: &Ask<'_>,
    state: &mut StrategyState,
    has_half_open: bool,
    draw: f64,
) -> Option<(u32, Why)> {
    let strategy = group.strategy.for_ask(ask);
    let StrategyState { kept, weights, ranks, seats } = state;
    let is_half_open = |index: usize| {
        let candidate = kept.get(index).and_then(|&position| group.at(position));
        has_half_open && candidate.is_some_and(|candidate| candidate.now.standing() == Standing::HalfOpen)
    };
    let probe = |has_part: &dyn Fn(usize) -> bool| {
        let count = if has_half_open { kept.len() } else { 0 };
        (0..count).find(|&index| is_half_open(index) && has_part(index))
    };
    let (probe, index) = match strategy {
        Strategy::SimpleShuffle => {
            weights::of_shuffle(group, ask, kept, weights);
            let probe = probe(&|index| weights::has_part(weights, index));
            (probe, probe.or_else(|| weights::at_random(weights, draw)))
        }
        Strategy::RoundRobin => {
            weights::by_weight(group, kept, weights);
            let probe = probe(&|index| weights::has_part(weights, index));
            (probe, probe.or_else(|| seats.next(group, kept, weights)))
        }
        Strategy::ConsistentHash => {
            weights::by_weight(group, kept, weights);
            let index = seats.by_key(group, kept, weights, ask.sticky_key.unwrap_or_default());
            (index.filter(|&index| is_half_open(index)), index)
        }
        Strategy::LeastBusy | Strategy::Latency | Strategy::Usage | Strategy::Cost => {
            ranks::of(strategy, group, ask, kept, ranks);
            let limit = ranks::limit(strategy, group, ranks);
            // Prices do not change with time; the other figures do, and a deployment out of traffic looks its best.
            let is_lasting = strategy == Strategy::Cost;
            let probe = probe(&|index| !is_lasting || ranks::is_within(ranks, index, limit));
            (probe, probe.or_else(|| ranks::at_random(ranks, limit, draw)))
        }
    };
    let why = if probe.is_some() { Why::Probe } else { strategy.why() };
    Some((*kept.get(index?)?, why))
}
