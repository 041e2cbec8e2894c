//! The candidate table of a request: the choice, told in full.
//!
//! **Invariant:** it runs the code that chooses, on a copy of the state: asking changes nothing.

use super::{Choice, Group, Nearest, Nobody, Reason, decide};
use crate::ask::Ask;
use crate::strategy::{Strategy, StrategyState, Unit, scores};

/// One candidate of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Its position in [`Group::candidates`].
    pub position: usize,
    /// Why it was passed over; `None` where it was eligible.
    pub passed: Option<Reason>,
    /// Whether it is the one that was chosen.
    pub is_chosen: bool,
    /// What the strategy reckons for it, where the strategy got to see it.
    pub score: Option<f64>,
    /// What the score is measured in.
    pub unit: Option<Unit>,
    /// Its part of the requests that are like this one, in `0..=1`: 1 where nothing is left to chance.
    pub share: f64,
}

/// The candidates in their order, and what came of the choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// One row per candidate.
    pub rows: Vec<Row>,
    /// The choice that [`super::choose`] makes with the same arguments.
    pub choice: Choice,
    /// The strategy that decides about this request.
    pub strategy: Strategy,
}

/// What [`super::choose`] would do, and why. `draw` is uniform in `0..1`.
pub fn table(group: &Group<'_>, ask: &Ask<'_>, state: &StrategyState, draw: f64) -> Table {
    let mut passed = vec![None; group.candidates.len()];
    let mut nearest = Nearest::default();
    let mut after = state.clone();
    let choice = decide(group, ask, &mut after, draw, &mut |position, reason| {
        nearest.note(reason);
        if let Some(passed) = passed.get_mut(position) {
            *passed = Some(reason);
        }
    });
    let mut before = state.clone();
    before.kept = after.kept;
    let scores = scores(group, ask, &mut before);
    let choice = choice.unwrap_or(Choice::None(Nobody::from_reason(nearest.0)));
    let (chosen, is_by_chance) = match choice {
        Choice::Deployment { position, why } => (Some(position), why.is_strategy()),
        Choice::None(_) => (None, false),
    };
    let rows = passed.into_iter().enumerate().map(|(position, passed)| {
        let score = scores.iter().find(|score| score.position as usize == position);
        let is_chosen = chosen == Some(position);
        let share = score.filter(|_| is_by_chance).map(|score| score.share);
        Row {
            position,
            passed: passed.filter(|_| !is_chosen),
            is_chosen,
            score: score.map(|score| score.figure),
            unit: score.map(|score| score.unit),
            share: share.unwrap_or(if is_chosen { 1.0 } else { 0.0 }),
        }
    });
    Table { rows: rows.collect(), choice, strategy: group.strategy.for_ask(ask) }
}
