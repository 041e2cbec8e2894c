//! The names of model groups, and what refers to one that is not there.
//!
//! Owns: which names are known, the nearest of them, patterns. Leaves to others: what follows from a reference (router,
//! tiers).
//!
//! **Invariant:** an alias and a name that a pattern matches are known; a group that was left out is no mistake of whoever
//! refers to it.

use std::collections::{HashMap, HashSet};

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
    /// Of the names with a provider what comes after it.
    bare: Vec<&'a str>,
    /// The groups behind aliases.
    aliases: HashMap<&'a str, &'a str>,
}

impl<'a> Groups<'a> {
    /// The groups by name, the aliases, and the lists of tiers of the tree.
    pub(crate) fn new(names: &[&'a str], aliases: &'a [Alias], root: &'a Node) -> Self {
        let lists = root.get("tollgate_settings").and_then(|settings| settings.get("tiers"));
        let lists = lists.map(entries_of).unwrap_or_default().iter().map(|entry| &*entry.key).collect();
        let all = names.iter().copied().chain(aliases.iter().map(|alias| alias.name.as_str()));
        let exact: HashSet<&str> = all.collect();
        let patterns = exact.iter().copied().filter(|name| name.contains('*')).collect();
        let bare = exact.iter().filter_map(|name| Some(name.split_once('/')?.1)).collect();
        let aliases = aliases.iter().map(|alias| (alias.name.as_str(), alias.group.as_str())).collect();
        Self { exact, lists, patterns, bare, aliases }
    }

    /// Whether a group or an alias has this very name.
    pub(crate) fn is_exact(&self, name: &str) -> bool {
        self.exact.contains(name)
    }

    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.exact.contains(name) || self.patterns.iter().any(|pattern| matches_pattern(pattern, name))
    }

    /// Whether requests for some group go by a chain under `key`: its own, one without or with the provider, or a pattern's.
    fn may_follow(&self, key: &str) -> bool {
        if is_pattern(key) {
            return self.exact.iter().any(|name| matches_pattern(key, name) || matches_pattern(name, key));
        }
        // With a further slash it is another provider's model, though a pattern would take it for a name.
        let is_bare = |bare: &str| {
            bare == key || (!key.contains('/') && is_pattern(bare) && matches_pattern(bare, key))
        };
        let has_provider = || key.split_once('/').is_some_and(|(_, bare)| self.is_known(bare));
        self.is_reachable(key) || self.bare.iter().any(|bare| is_bare(bare)) || has_provider()
    }

    /// Whether a request may be sent on to `name`: a group, an alias or a list of tiers.
    fn is_reachable(&self, name: &str) -> bool {
        self.is_known(name) || self.lists.contains(name)
    }

    /// The group that `name` stands for: itself, or the one behind an alias.
    pub(crate) fn behind<'n>(&'n self, name: &'n str) -> &'n str {
        self.aliases.get(name).copied().unwrap_or(name)
    }

    /// What is said of a name that is not known.
    pub(crate) fn unknown(&self, name: &str) -> Message {
        let message = format!("no model group is named {}", printable(name));
        Message::with_nearest(message, nearest(name, self.exact.iter().copied()))
    }
}

/// What a name in the router's settings refers to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A group, or what stands for one.
    Group,
    /// The groups that a chain follows.
    Key,
    /// A group that a request goes on to.
    Target,
    /// A member of a routing group.
    Member,
}

/// Warns of aliases, fallbacks and other settings of the router that lead to no group.
pub(crate) fn check(router: &Router, root: &Node, groups: &Groups<'_>, found: &mut Collector) {
    let mut names: Vec<(&'static str, &str, Role)> = Vec::new();
    let aliases = router.model_group_alias.iter();
    names.extend(aliases.map(|alias| ("model_group_alias", alias.group.as_str(), Role::Group)));
    for (name, fallbacks) in router.chains() {
        for (group, chain) in fallbacks {
            names.push((name, group, Role::Key));
            names.extend(chain.iter().map(|target| (name, target.model.as_str(), Role::Target)));
        }
    }
    let defaults = router.default_fallbacks.iter();
    names.extend(defaults.map(|group| ("default_fallbacks", group.as_str(), Role::Target)));
    let policies = router.model_group_retry_policy.iter();
    names.extend(policies.map(|(group, _)| ("model_group_retry_policy", group.as_str(), Role::Group)));
    let models = router.routing_groups.iter().flat_map(|group| &group.models);
    names.extend(models.map(|model| ("routing_groups", model.as_str(), Role::Member)));
    let wrong = names.into_iter().filter_map(|(name, group, role)| {
        let is_right = match role {
            Role::Group => group == "*" || groups.is_reachable(group),
            Role::Key => group == "*" || groups.may_follow(group),
            Role::Target if is_pattern(group) => {
                let message = format!("{} is a pattern: name one model that it matches", printable(group));
                return Some((name, Message::from(message)));
            }
            Role::Target => groups.is_reachable(group),
            // A routing group is made of model groups, not of others of its kind.
            Role::Member => group == "*" || (groups.is_reachable(group) && router.called(group).is_none()),
        };
        (!is_right).then(|| (name, groups.unknown(group)))
    });
    for (name, message) in wrong {
        if found.is_full() {
            break;
        }
        let (place, path) = place_of(root, name);
        found.warning(place, &path, message);
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
