//! The names of model groups, and what refers to one that is not there.
//!
//! Owns: which names are known, the nearest of them, patterns. Leaves to others: what follows from a reference (router,
//! tiers).
//!
//! **Invariant:** an alias and a name that a pattern matches are known; a group that was left out is no mistake of whoever
//! refers to it.

use std::collections::HashSet;

use crate::keys::nearest;
use crate::report::{Collector, Message, printable};
use crate::router::{Alias, Router};
use crate::section::entries_of;
use crate::yaml::{Node, Place};

/// The names that may be referred to.
pub(crate) struct Groups<'a> {
    /// Of groups and aliases.
    exact: HashSet<&'a str>,
    /// Of lists of tiers, which callers and fallbacks may name, but no tier.
    lists: HashSet<&'a str>,
    patterns: Vec<&'a str>,
    aliases: &'a [Alias],
}

impl<'a> Groups<'a> {
    /// The groups by name, the aliases, and the lists of tiers of the tree.
    pub(crate) fn new(names: &[&'a str], aliases: &'a [Alias], root: &'a Node) -> Self {
        let lists = root.get("tollgate_settings").and_then(|settings| settings.get("tiers"));
        let lists = lists.map(entries_of).unwrap_or_default().iter().map(|entry| &*entry.key).collect();
        let all = names.iter().copied().chain(aliases.iter().map(|alias| alias.name.as_str()));
        let exact: HashSet<&str> = all.collect();
        let patterns = exact.iter().copied().filter(|name| name.contains('*')).collect();
        Self { exact, lists, patterns, aliases }
    }

    /// Whether a group or an alias has this very name.
    pub(crate) fn is_exact(&self, name: &str) -> bool {
        self.exact.contains(name)
    }

    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.exact.contains(name) || self.patterns.iter().any(|pattern| matches_pattern(pattern, name))
    }

    /// Whether a request may be sent on to `name`: a group, an alias or a list of tiers.
    fn is_reachable(&self, name: &str) -> bool {
        self.is_known(name) || self.lists.contains(name)
    }

    /// The group that `name` stands for: itself, or the one behind an alias.
    pub(crate) fn behind<'n>(&'n self, name: &'n str) -> &'n str {
        let alias = self.aliases.iter().find(|alias| alias.name == name);
        alias.map_or(name, |alias| alias.group.as_str())
    }

    /// What is said of a name that is not known.
    pub(crate) fn unknown(&self, name: &str) -> Message {
        let message = format!("no model group is named {}", printable(name));
        Message::with_nearest(message, nearest(name, self.exact.iter().copied()))
    }
}

/// Warns of aliases, fallbacks and other settings of the router that lead to no group.
pub(crate) fn check(router: &Router, root: &Node, groups: &Groups<'_>, found: &mut Collector) {
    let mut targets: Vec<(&'static str, &str)> = Vec::new();
    targets.extend(router.model_group_alias.iter().map(|alias| ("model_group_alias", alias.group.as_str())));
    let chains = [
        ("fallbacks", &router.fallbacks),
        ("context_window_fallbacks", &router.context_window_fallbacks),
        ("content_policy_fallbacks", &router.content_policy_fallbacks),
    ];
    for (name, fallbacks) in chains {
        for (group, chain) in fallbacks {
            targets.push((name, group));
            targets.extend(chain.iter().map(|target| (name, target.model.as_str())));
        }
    }
    targets.extend(router.default_fallbacks.iter().map(|group| ("default_fallbacks", group.as_str())));
    let policies = router.model_group_retry_policy.iter();
    targets.extend(policies.map(|(group, _)| ("model_group_retry_policy", group.as_str())));
    let models = router.routing_groups.iter().flat_map(|group| &group.models);
    targets.extend(models.map(|model| ("routing_groups", model.as_str())));
    // A routing group is made of model groups, not of others of its kind.
    let is_nested = |name: &str, target: &str| name == "routing_groups" && router.called(target).is_some();
    let unknown = targets
        .into_iter()
        .filter(|(name, target)| *target != "*" && (!groups.is_reachable(target) || is_nested(name, target)));
    for (name, target) in unknown {
        let (place, path) = place_of(root, name);
        if found.is_full() {
            break;
        }
        found.warning(place, &path, groups.unknown(target));
    }
}

/// Where the router's key `name` is written.
pub(crate) fn place_of(root: &Node, name: &str) -> (Place, String) {
    let in_section =
        |section: &str| root.get(section)?.get(name).map(|node| (node.place, format!("{section}.{name}")));
    in_section("router_settings")
        .or_else(|| in_section("litellm_settings"))
        .unwrap_or((root.place, name.to_owned()))
}

/// Whether the name stands for whatever matches it.
pub(crate) fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// Whether `name` is `pattern`, in which each `*` stands for any text.
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    let mut rest = rest;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}
