//! What a strategy reckons for each deployment, for the candidate table: by the functions that choose.

use super::{Strategy, StrategyState, ranks, weights};
use crate::ask::Ask;
use crate::choice::Group;
use ranks::{Class, Rank};

/// What a score is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A weight of a random choice: more is more often.
    Weight,
    /// How much of a turn has come together: the most goes next.
    Turn,
    /// The score of the hash: the highest gets the key.
    Hash,
    /// Requests in flight: fewest first.
    Requests,
    /// Seconds to the first token, or per token: fewest first.
    Seconds,
    /// The part of its limit that is used: the smallest first.
    Part,
    /// Tokens: fewest first.
    Tokens,
    /// The cost of the request in the unit of the prices: the lowest first.
    Price,
    /// Nothing is known of it.
    Untried,
}

impl Unit {
    /// One word for tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Turn => "turn",
            Self::Hash => "hash",
            Self::Requests => "requests",
            Self::Seconds => "seconds",
            Self::Part => "part",
            Self::Tokens => "tokens",
            Self::Price => "price",
            Self::Untried => "untried",
        }
    }
}

/// What the strategy reckons for one deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Score {
    /// Its position.
    pub(crate) position: u32,
    /// The figure.
    pub(crate) figure: f64,
    /// What the figure is measured in.
    pub(crate) unit: Unit,
    /// Its part of the requests that are like this one, in `0..=1`.
    pub(crate) share: f64,
}

/// The scores of the deployments in `state.kept`, before a choice.
pub(crate) fn scores(group: &Group<'_>, ask: &Ask<'_>, state: &mut StrategyState) -> Vec<Score> {
    let strategy = group.strategy.for_ask(ask);
    let StrategyState { kept, weights, ranks, seats } = state;
    match strategy {
        Strategy::SimpleShuffle => {
            weights::of_shuffle(group, ask, kept, weights);
            weighted(kept, weights, Unit::Weight, |_, weight| weight)
        }
        Strategy::RoundRobin => {
            weights::by_weight(group, kept, weights);
            seats.lay(group);
            weighted(kept, weights, Unit::Turn, |position, weight| seats.turn(position) + weight)
        }
        Strategy::ConsistentHash => {
            weights::by_weight(group, kept, weights);
            seats.lay(group);
            let key = ask.sticky_key.unwrap_or_default();
            let winner = seats.by_key(group, kept, weights, key);
            let mut scores = weighted(kept, weights, Unit::Hash, seats.scorer(weights, key));
            for (index, score) in scores.iter_mut().enumerate() {
                score.share = if Some(index) == winner { 1.0 } else { 0.0 };
            }
            scores
        }
        Strategy::LeastBusy | Strategy::Latency | Strategy::Usage | Strategy::Cost => {
            ranks::of(strategy, group, ask, kept, ranks);
            ranked(strategy, group, kept, ranks)
        }
    }
}

fn weighted(kept: &[u32], weights: &[f64], unit: Unit, figure: impl Fn(u32, f64) -> f64) -> Vec<Score> {
    let total = weights.iter().sum::<f64>();
    kept.iter()
        .zip(weights)
        .map(|(&position, &weight)| Score {
            position,
            figure: figure(position, weight),
            unit,
            share: if total > 0.0 { weight / total } else { 0.0 },
        })
        .collect()
}

fn ranked(strategy: Strategy, group: &Group<'_>, kept: &[u32], ranks: &[Rank]) -> Vec<Score> {
    let limit = ranks::limit(strategy, group, ranks);
    let within = (0..ranks.len()).filter(|&index| ranks::is_within(ranks, index, limit)).count();
    let unit = |rank: &Rank| match (strategy, rank.class) {
        (Strategy::Latency, Class::Untried) => Unit::Untried,
        (Strategy::Latency, Class::Known) => Unit::Seconds,
        (Strategy::Cost, Class::Known) => Unit::Price,
        (Strategy::Cost, _) => Unit::Tokens,
        (Strategy::Usage, _) if ranks::have_limits(group, kept) => Unit::Part,
        (Strategy::Usage, _) => Unit::Tokens,
        _ => Unit::Requests,
    };
    kept.iter()
        .zip(ranks)
        .enumerate()
        .map(|(index, (&position, rank))| Score {
            position,
            figure: rank.figure,
            unit: unit(rank),
            share: if ranks::is_within(ranks, index, limit) { 1.0 / within as f64 } else { 0.0 },
        })
        .collect()
}
