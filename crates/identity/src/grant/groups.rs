//! Access groups: names that lists of models have in place of many models.
//!
//! Owns the lookup by model, as a request asks it. Leaves to others which deployments and records name which groups.

use crate::record::Record;
use std::collections::{BTreeMap, HashMap};

/// Access groups by model, and models by access group.
#[derive(Debug, Clone, Default)]
pub struct AccessGroups {
    by_model: HashMap<Box<str>, Box<[Box<str>]>>,
    by_group: HashMap<Box<str>, Box<[Box<str>]>>,
}

impl AccessGroups {
    /// The groups of these pairs of a group's name (or id) and a model.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut by_model: BTreeMap<&str, Vec<Box<str>>> = BTreeMap::new();
        let mut by_group: BTreeMap<&str, Vec<Box<str>>> = BTreeMap::new();
        for (group, model) in pairs {
            by_model.entry(model).or_default().push(group.into());
            by_group.entry(group).or_default().push(model.into());
        }
        let boxed = |map: BTreeMap<&str, Vec<Box<str>>>| {
            map.into_iter().map(|(name, all)| (name.into(), all.into())).collect()
        };
        Self { by_model: boxed(by_model), by_group: boxed(by_group) }
    }

    /// The groups that a model is in.
    pub fn of(&self, model: &str) -> impl Iterator<Item = &str> {
        self.by_model.get(model).into_iter().flatten().map(AsRef::as_ref)
    }

    /// The models that are in a group.
    pub fn models_of(&self, group: &str) -> impl Iterator<Item = &str> {
        self.by_group.get(group).into_iter().flatten().map(AsRef::as_ref)
    }

    /// Whether a record's list of models, or a group that it names beside it, allows a model.
    pub fn allow(&self, record: &Record, model: &str) -> bool {
        let names = std::iter::once(model).chain(self.of(model));
        record.models.allow(names)
            || (!record.reach.groups.is_empty()
                && self.of(model).any(|group| record.reach.groups.iter().any(|own| **own == *group)))
    }
}
