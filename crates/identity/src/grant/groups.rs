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
    /// Names with a star, the most specific first.
    patterns: Vec<Pattern>,
}

/// A name with a star.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    name: Box<str>,
    before: Box<str>,
    after: Box<str>,
}

impl Pattern {
    fn of(name: &str) -> Option<Self> {
        let (before, after) = name.split_once('*')?;
        Some(Self { name: name.into(), before: before.into(), after: after.into() })
    }

    fn covers(&self, model: &str) -> bool {
        let rest = model.strip_prefix(&*self.before).and_then(|rest| rest.strip_suffix(&*self.after));
        rest.is_some_and(|star| !star.is_empty())
    }
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
        let (by_model, by_group): (HashMap<Box<str>, _>, _) = (boxed(by_model), boxed(by_group));
        Self { patterns: patterns(by_model.keys()), by_model, by_group }
    }

    /// The same where there are these models too: a name with a star stands for what no other name stands for better.
    #[must_use]
    pub fn among<'a>(mut self, models: impl IntoIterator<Item = &'a str>) -> Self {
        for model in models {
            self.by_model.entry(model.into()).or_default();
        }
        self.patterns = patterns(self.by_model.keys());
        self
    }

    /// The groups that a model is in: by its name, else by the pattern that stands for it.
    pub fn of(&self, model: &str) -> impl Iterator<Item = &str> {
        let by_pattern = || {
            let pattern = self.patterns.iter().find(|pattern| pattern.covers(model))?;
            self.by_model.get(&pattern.name)
        };
        self.by_model.get(model).or_else(by_pattern).into_iter().flatten().map(AsRef::as_ref)
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

fn patterns<'a>(names: impl Iterator<Item = &'a Box<str>>) -> Vec<Pattern> {
    let mut patterns: Vec<Pattern> = names.filter_map(|name| Pattern::of(name)).collect();
    // In an order of their own where they are as specific.
    patterns.sort_by(|one, other| {
        let fixed = |it: &Pattern| it.before.len() + it.after.len();
        fixed(other).cmp(&fixed(one)).then_with(|| one.cmp(other))
    });
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_what_no_other_name_stands_for_better() {
        let pairs = [("all", "openai/*"), ("small", "openai/*-mini"), ("one", "chat")];
        let groups = AccessGroups::new(pairs).among(["openai/o1-pro", "openai/gpt-4*", "chat"]);
        let check = |model: &str, wants: &[&str]| {
            assert_eq!(groups.of(model).collect::<Vec<_>>(), wants, "{model}");
        };
        check("chat", &["one"]);
        check("openai/other", &["all"]);
        check("openai/o3-mini", &["small"]);
        // There is a name for them that is in no group.
        check("openai/o1-pro", &[]);
        check("openai/gpt-4o", &[]);
        check("openai/", &[]);
        check("anthropic/claude", &[]);
        assert_eq!(groups.models_of("all").collect::<Vec<_>>(), ["openai/*"]);
    }
}
