//! A group of deployments to choose from, for tests.

use super::{Candidate, Choice, ChoiceRules, Group, Nobody, Reading, Table, Why, choose, table};
use crate::ask::{Ask, Requirements};
use crate::clock::Moment;
use crate::health::Standing;
use crate::limits::{Full, LimitKind};
use crate::profile::Profile;
use crate::strategy::{Strategy, StrategyState};
use std::time::Duration;

/// A moment so many seconds after the start.
pub(crate) fn at(seconds: u64) -> Moment {
    Moment::ZERO.after(Duration::from_secs(seconds))
}

pub(crate) fn ejected(seconds: u64) -> Standing {
    Standing::Ejected { until: at(seconds) }
}

pub(crate) fn paused(seconds: u64) -> Standing {
    Standing::Paused { until: at(seconds) }
}

pub(crate) fn full(by: LimitKind, free_at: Option<u64>) -> Full {
    Full { by, free_at: free_at.map(at) }
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A group, and what its strategy remembers.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) strategy: Strategy,
    pub(crate) rules: ChoiceRules,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) readings: Vec<Reading>,
    pub(crate) excluded: Vec<bool>,
    pub(crate) state: StrategyState,
}

impl Scene {
    /// So many deployments `d0`, `d1`, ... that are up.
    pub(crate) fn new(strategy: Strategy, count: usize) -> Self {
        let profiles =
            (0..count).map(|number| Profile { id: format!("d{number}"), ..Profile::default() }).collect();
        Self {
            strategy,
            rules: ChoiceRules::default(),
            profiles,
            readings: vec![Reading::default(); count],
            excluded: vec![false; count],
            state: StrategyState::default(),
        }
    }

    /// The same with this standing of each.
    pub(crate) fn standing(mut self, standings: &[Standing]) -> Self {
        for (reading, &standing) in self.readings.iter_mut().zip(standings) {
            reading.standing = standing;
        }
        self
    }

    /// The same with these weights; `None` is none.
    pub(crate) fn weights(mut self, weights: &[Option<f64>]) -> Self {
        for (profile, &weight) in self.profiles.iter_mut().zip(weights) {
            profile.share.weight = weight;
        }
        self
    }

    /// The same with these orders.
    pub(crate) fn orders(mut self, orders: &[Option<i64>]) -> Self {
        for (profile, &order) in self.profiles.iter_mut().zip(orders) {
            profile.order = order;
        }
        self
    }

    /// The choice, and the table beside it, which must agree.
    pub(crate) fn both(&mut self, ask: &Ask<'_>, draw: f64) -> (Choice, Table) {
        let candidates: Vec<Candidate<'_>> = self
            .profiles
            .iter()
            .zip(&self.readings)
            .map(|(profile, &now)| Candidate { profile, now })
            .collect();
        let group = Group {
            strategy: self.strategy,
            rules: self.rules,
            candidates: &candidates,
            excluded: &self.excluded,
        };
        let table = table(&group, ask, &self.state, draw);
        let choice = choose(&group, ask, &mut self.state, draw);
        assert_eq!(table.choice, choice, "the table tells what is chosen");
        assert_agreement(&table, choice);
        (choice, table)
    }

    pub(crate) fn choose(&mut self, ask: &Ask<'_>, draw: f64) -> Choice {
        self.both(ask, draw).0
    }

    /// The position chosen for a request that asks for nothing.
    pub(crate) fn plain(&mut self, draw: f64) -> usize {
        self.position(&Ask::new(&Requirements::default()), draw)
    }

    pub(crate) fn position(&mut self, ask: &Ask<'_>, draw: f64) -> usize {
        match self.choose(ask, draw) {
            Choice::Deployment { position, .. } => position,
            Choice::None(nobody) => panic!("nobody: {nobody:?}"),
        }
    }

    pub(crate) fn why(&mut self, ask: &Ask<'_>) -> Why {
        match self.choose(ask, 0.0) {
            Choice::Deployment { why, .. } => why,
            Choice::None(nobody) => panic!("nobody: {nobody:?}"),
        }
    }

    pub(crate) fn nobody(&mut self, ask: &Ask<'_>) -> Nobody {
        match self.choose(ask, 0.0) {
            Choice::None(nobody) => nobody,
            Choice::Deployment { position, why } => panic!("{position} was chosen: {why:?}"),
        }
    }

    /// How often each is chosen over a thousand even steps of the draw.
    pub(crate) fn tally(&mut self, ask: &Ask<'_>) -> Vec<usize> {
        let mut counts = vec![0; self.profiles.len()];
        for step in 0..1_000 {
            counts[self.position(ask, f64::from(step) / 1_000.0)] += 1;
        }
        counts
    }
}

/// What holds for every table.
fn assert_agreement(table: &Table, choice: Choice) {
    let chosen: Vec<usize> = table.rows.iter().filter(|row| row.is_chosen).map(|row| row.position).collect();
    match choice {
        Choice::Deployment { position, .. } => {
            assert_eq!(chosen, [position]);
            let shares: f64 = table.rows.iter().map(|row| row.share).sum();
            assert!((shares - 1.0).abs() < 1e-9, "shares come to {shares}");
            assert!(table.rows[position].share > 0.0, "who is chosen has a share");
        }
        Choice::None(_) => {
            assert!(chosen.is_empty());
            assert!(table.rows.iter().all(|row| row.passed.is_some() && row.score.is_none()));
        }
    }
    assert!(table.rows.iter().all(|row| row.passed.is_none() || row.share == 0.0));
}
