//! Settings of routing that are right one by one, and of which one takes another's effect away.
//!
//! Owns: saying so. Leaves to others: each setting (router, tier, routing), names that lead nowhere (targets).
//!
//! **Invariant:** nothing here is an error: all of it can be used, but not all of it acts.

use std::collections::{HashMap, HashSet};

use crate::model::Deployment;
use crate::report::{Collector, printable};
use crate::router::{Fallbacks, Router};
use crate::routing::SensitiveRule;
use crate::section::{entries_of, items_of};
use crate::settings::TollgateSettings;
use crate::targets::{Groups, place_of};
use crate::tier::Tier;
use crate::yaml::{Node, Place};

/// Most requests to providers for one of a caller's; each group that is asked takes one at least.
pub(crate) const SENDS_MAX: usize = 6;

/// Names that are told of a longer list.
const NAMES_MAX: usize = 3;

/// A resolved configuration, as far as routing goes.
pub(crate) struct Together<'a> {
    pub(crate) root: &'a Node,
    pub(crate) groups: &'a Groups<'a>,
    pub(crate) deployments: &'a [Deployment],
    pub(crate) router: &'a Router,
    pub(crate) tollgate: &'a TollgateSettings,
    /// Whether any group may have no retries at all.
    pub(crate) may_lack_retries: bool,
}

/// Where something is written: its place, and the path of its key.
type Written = (Place, String);

impl Together<'_> {
    /// Warns of what cannot act.
    pub(crate) fn check(&self, found: &mut Collector) {
        self.check_fallbacks(found);
        for (name, chains) in self.router.chains() {
            self.check_lengths(name, chains, found);
        }
        self.check_hedges(found);
        self.check_sensitive(found);
    }

    /// Fallbacks that nobody follows: of groups in tiers, and of aliases.
    fn check_fallbacks(&self, found: &mut Collector) {
        let lists = || self.tollgate.tiers.lists();
        let groups = lists().flat_map(|(_, tiers)| tiers).filter_map(|tier| tier.target.group());
        let tiered: HashSet<&str> = groups.chain(lists().filter_map(|(name, _)| name)).collect();
        for (key, at) in self.written("fallbacks") {
            if tiered.contains(self.groups.behind(key)) || tiered.contains(key) {
                let message =
                    format!("{} is in tiers, which take the place of its fallbacks", printable(key));
                found.warning(at.0, &at.1, message);
            }
        }
        for name in self.router.chains().map(|(name, _)| name) {
            for (key, at) in self.written(name) {
                let group = self.groups.behind(key);
                if group != key {
                    let message = format!(
                        "{} is an alias: its requests go on as those of {} do, so name that",
                        printable(key),
                        printable(group)
                    );
                    found.warning(at.0, &at.1, message);
                }
            }
        }
        let mut names = self.names();
        if !self.router.default_fallbacks.is_empty() && names.all(|name| tiered.contains(name)) {
            let (place, path) = place_of(self.root, "default_fallbacks");
            found.warning(place, &path, "every model group is in tiers, which take the place of fallbacks");
        }
    }

    /// Chains that are longer than a request's way can be.
    fn check_lengths(&self, name: &'static str, chains: &Fallbacks, found: &mut Collector) {
        let by_key: HashMap<&str, Vec<&str>> = chains
            .iter()
            .map(|(key, chain)| (key.as_str(), first_of(chain.iter().map(|target| target.model.as_str()))))
            .collect();
        let defaults = || first_of(self.router.default_fallbacks.iter().map(String::as_str));
        let for_all =
            by_key.get("*").cloned().or_else(|| (name == "fallbacks").then(defaults)).unwrap_or_default();
        let max = usize::try_from(self.router.max_fallbacks).unwrap_or(usize::MAX);
        let limit = max.min(SENDS_MAX - 1);
        let is_too_long = |start: Option<&str>| {
            let own = |model: &str| by_key.get(model).unwrap_or(&for_all);
            let mut seen: HashSet<&str> = start.into_iter().collect();
            let mut next: Vec<&str> = start.map_or(&for_all, own).clone();
            while let Some(model) = next.pop() {
                if seen.insert(model) {
                    next.extend(own(model));
                }
                if seen.len() - usize::from(start.is_some()) > limit {
                    return true;
                }
            }
            false
        };
        let why = if max < SENDS_MAX {
            format!("max_fallbacks is {max}")
        } else {
            format!("it is sent {SENDS_MAX} times in all")
        };
        let message = |key: &str| {
            let key = printable(key);
            format!(
                "more than {limit} groups follow {key}, and a request goes to {limit} of them at most: {why}"
            )
        };
        let keys =
            self.written(name).into_iter().filter(|(key, _)| is_too_long((*key != "*").then_some(*key)));
        for (key, at) in keys {
            found.warning(at.0, &at.1, message(key));
        }
        let has_defaults = name == "fallbacks" && !by_key.contains_key("*");
        if has_defaults && !self.router.default_fallbacks.is_empty() && is_too_long(None) {
            let (place, path) = place_of(self.root, "default_fallbacks");
            found.warning(place, &path, message("a group"));
        }
    }

    /// Hedges that never go out.
    fn check_hedges(&self, found: &mut Collector) {
        let Some(own) = self.root.get("tollgate_settings") else { return };
        const NEEDS: &str = "a hedge is one of a request's retries, and num_retries is 0";
        let single = own.get("model_groups").map(entries_of).unwrap_or_default();
        for entry in single {
            let Some(hedge) = entry.value.get("hedge") else { continue };
            let name = self.groups.behind(&entry.key);
            let path = format!("tollgate_settings.model_groups.{}.hedge", printable(&entry.key));
            if !self.groups.is_exact(name) {
                let message =
                    "has no effect: hedging is said of a model group by the model_name of its entries";
                found.warning(hedge.place, &path, message);
            } else if self.tollgate.hedge_of(name).is_some() && self.retries_of(name) == 0 {
                found.warning(hedge.place, &path, format!("has no effect: {NEEDS}"));
            }
        }
        let singles = self.tollgate.group_hedges.iter();
        let singles: HashSet<&str> = singles.map(|(group, _)| group.as_str()).collect();
        let Some(hedge) = own.get("hedge").filter(|_| self.tollgate.hedge.is_some()) else { return };
        let hedged: Vec<&str> = self.names().filter(|name| !singles.contains(name)).collect();
        let without: Vec<&str> = hedged.iter().copied().filter(|name| self.retries_of(name) == 0).collect();
        if without.is_empty() {
            return;
        }
        let whose = if without.len() == hedged.len() {
            String::new()
        } else {
            let more = if without.len() > NAMES_MAX { " and others" } else { "" };
            let names: Vec<String> = without.iter().take(NAMES_MAX).map(|name| printable(name)).collect();
            format!(" for {}{more}", names.join(", "))
        };
        found.warning(hedge.place, "tollgate_settings.hedge", format!("has no effect{whose}: {NEEDS}"));
    }

    /// Rules that let a request go nowhere.
    fn check_sensitive(&self, found: &mut Collector) {
        let written = self.root.get("tollgate_settings").and_then(|own| own.get("sensitive"));
        let nodes = written.map(items_of).unwrap_or_default();
        let rules = &self.tollgate.sensitive;
        // Where a rule was left out, the numbers are no longer those of the file, and there is an error already.
        if nodes.len() != rules.len() || self.deployments.is_empty() {
            return;
        }
        for (index, (rule, node)) in rules.iter().zip(nodes).enumerate() {
            if found.is_full() {
                break;
            }
            let is_fulfilled = self.deployments.iter().any(|deployment| may_fulfil(deployment, rule));
            if !is_fulfilled && !rule.tags.is_empty() {
                let path = format!("tollgate_settings.sensitive[{index}]");
                let message = "no deployment fulfils it: requests with its tags reach no provider";
                found.warning(node.place, &path, message);
            }
        }
    }

    /// The names of the groups, each once.
    fn names(&self) -> impl Iterator<Item = &str> {
        let mut seen = HashSet::new();
        let called = self.router.routing_groups.iter().filter(|group| group.is_callable);
        let names = self.deployments.iter().map(|deployment| deployment.model_name.as_str());
        names.chain(called.map(|group| group.name.as_str())).filter(move |name| seen.insert(*name))
    }

    /// The retries of a request for the group that says nothing of them.
    fn retries_of(&self, group: &str) -> u32 {
        if !self.may_lack_retries {
            return self.router.num_retries;
        }
        let covered =
            self.deployments.iter().filter(|deployment| self.router.covers(group, &deployment.model_name));
        let own = covered.filter_map(|deployment| deployment.num_retries).max();
        own.unwrap_or(self.router.num_retries)
    }

    /// The keys of a list of chains, and where each stands.
    fn written(&self, name: &'static str) -> Vec<(&str, Written)> {
        let (_, path) = place_of(self.root, name);
        let section = path.split('.').next().unwrap_or_default();
        let node = self.root.get(section).and_then(|section| section.get(name));
        let items = node.map(items_of).unwrap_or_default().iter().enumerate();
        let entries =
            items.flat_map(|(index, item)| entries_of(item).iter().map(move |entry| (index, entry)));
        entries
            .map(|(index, entry)| {
                let path = format!("{path}[{index}].{}", printable(&entry.key));
                (&*entry.key, (entry.place, path))
            })
            .collect()
    }
}

/// Warns of a list with more groups than a request can be sent to.
pub(crate) fn check_tiers(at: (Place, &str), tiers: &[Tier], found: &mut Collector) {
    let groups = tiers.iter().filter(|tier| tier.target.group().is_some()).count();
    if groups > SENDS_MAX {
        let message = format!(
            "has {groups} model groups, and a request is sent {SENDS_MAX} times in all: not each can be asked"
        );
        found.warning(at.0, at.1, message);
    }
}

/// The first of a chain's groups, each once: as many as a request's way has, and one more.
fn first_of<'n>(chain: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen = HashSet::new();
    chain.filter(|name| seen.insert(*name)).take(SENDS_MAX + 1).collect()
}

/// Whether a deployment may be one for such requests; which regions lie in a family is not looked at.
fn may_fulfil(deployment: &Deployment, rule: &SensitiveRule) -> bool {
    let lies_in = |wanted: &Option<String>, place: &Option<String>| match (wanted, place) {
        (Some(wanted), Some(place)) => may_lie_in(wanted, place),
        (wanted, None) => wanted.is_none(),
        (None, _) => true,
    };
    !deployment.is_blocked
        && lies_in(&rule.region, &deployment.region_name)
        && lies_in(&rule.data_residency, &deployment.data_residency)
        && (deployment.zero_data_retention || !rule.zero_data_retention)
}

/// False where two names are surely of different places.
fn may_lie_in(wanted: &str, place: &str) -> bool {
    let letters = |name: &str| {
        let letters = name.chars().filter(|letter| !matches!(letter, ' ' | '_'));
        let name: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
        if name == "europe" { "eu".to_owned() } else { name }
    };
    let (wanted, place) = (letters(wanted), letters(place));
    let is_family = |name: &str| matches!(name, "eu" | "us");
    wanted == place || (is_family(&wanted) && !is_family(&place))
}
