//! Which tier serves a request, as operators count it.
//!
//! Owns the names and thresholds of the lists, and what each has served. Leaves the window to `policy::share`, and which
//! tier is next to `policy::chain`. **Invariant:** what was counted outlives a reload that leaves a list as it is.

use super::fleet::lock;
use std::collections::HashMap;
use std::sync::Mutex;
use tollgate_config::Tier;
use tollgate_policy::clock::Moment;
use tollgate_policy::share::{Crossing, Shares};

/// What the list without a name is called.
const UNNAMED: &str = "default";

/// A list of tiers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TierList {
    label: String,
    names: Vec<String>,
    thresholds: Vec<Option<f64>>,
}

impl TierList {
    /// From the configuration.
    pub(crate) fn of(name: Option<&str>, tiers: &[Tier]) -> Self {
        Self {
            label: name.unwrap_or(UNNAMED).to_owned(),
            names: tiers.iter().map(|tier| tier.name.clone()).collect(),
            thresholds: tiers.iter().map(|tier| tier.alert_share).collect(),
        }
    }

    /// Its name in logs and metrics.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The name of a tier.
    pub(crate) fn name_of(&self, tier: usize) -> &str {
        self.names.get(tier).map_or("", String::as_str)
    }

    /// The shares above which tiers are told.
    pub(crate) fn thresholds(&self) -> &[Option<f64>] {
        &self.thresholds
    }
}

/// What the tiers of all lists have served.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<HashMap<String, (Vec<String>, Shares)>>);

impl Tally {
    /// A tier has served a request. Says which shares have crossed their thresholds with it.
    pub(crate) fn note(&self, list: &TierList, tier: usize, now: Moment) -> Vec<Crossing> {
        let mut lists = lock(&self.0);
        let fresh = || (list.names.clone(), Shares::new(list.thresholds.clone()));
        let known = lists.entry(list.label.clone()).or_insert_with(fresh);
        if known.0 != list.names || known.1.thresholds() != list.thresholds {
            *known = fresh();
        }
        known.1.note(tier, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str], share: f64) -> TierList {
        TierList {
            label: "chat".to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            thresholds: names.iter().map(|_| Some(share)).collect(),
        }
    }

    #[test]
    fn a_list_that_changes_begins_anew_and_one_that_does_not_goes_on() {
        let (tally, now) = (Tally::default(), Moment::ZERO);
        let one = list(&["a", "b"], 0.1);
        let noted = |list: &TierList, times: usize| {
            (0..times).flat_map(|_| tally.note(list, 1, now)).filter(|crossing| crossing.is_above).count()
        };
        assert_eq!(noted(&one, 49), 0);
        assert_eq!(noted(&one, 1), 1);
        assert_eq!(noted(&list(&["a", "c"], 0.1), 49), 0);
        assert_eq!(noted(&list(&["a", "c"], 0.2), 49), 0);
        assert_eq!(noted(&list(&["a", "c"], 0.2), 1), 1);
    }
}
