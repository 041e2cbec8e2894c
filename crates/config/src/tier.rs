//! Tiers: the order in which a request tries model groups, and what moves it on.
//!
//! Owns: the resolved lists and their rules. Leaves to others: FAQ files (canned), walking (policy).
//!
//! **Invariant:** every group of a tier exists and is no pattern, aliases are resolved, and no list has a group or a name
//! twice. **Invariant:** a list that has the name of a group contains the group.
//! **Invariant:** only the last tier of a list is canned.

use std::time::Duration;

use crate::canned::{Canned, FaqFiles};
use crate::keys::tiers::{GROUP, MOVE_ON, TIER};
use crate::report::{Collector, Message, printable};
use crate::routing::Hedge;
use crate::section::{Section, entries_of, items_of};
use crate::targets::{Groups, is_pattern};
use crate::together::check_tiers;
use crate::yaml::{Data, Node, Place};

/// The share of requests above which the last tier raises an alert.
pub const LAST_TIER_ALERT_SHARE: f64 = 0.01;

/// Longest name of a tier, in bytes: it stands in a header and in the labels of metrics.
const NAME_BYTES_MAX: usize = 128;

/// The lists of tiers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tiers {
    /// Lists by the name that a caller asks for: a model group, an alias, or a name that only stands here. None is
    /// empty.
    pub by_name: Vec<(String, Vec<Tier>)>,
    /// The list without a name, reached by its groups alone; empty if there is none.
    pub default: Vec<Tier>,
}

impl Tiers {
    fn add(&mut self, name: &str, list: Vec<Tier>) {
        if !list.is_empty() {
            self.by_name.push((name.to_owned(), list));
        }
    }

    /// Every list with the name that it goes by; the default list has none.
    pub fn lists(&self) -> impl Iterator<Item = (Option<&str>, &[Tier])> {
        let named = self.by_name.iter().map(|(name, tiers)| (Some(name.as_str()), tiers.as_slice()));
        let default = (!self.default.is_empty()).then_some((None, self.default.as_slice()));
        default.into_iter().chain(named)
    }
}

/// One tier.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    /// Its name in headers, logs and metrics: printable ASCII.
    pub name: String,
    /// What serves it.
    pub target: TierTarget,
    /// What moves a request on to the next tier.
    pub move_on: MoveOn,
    /// The share of the requests, 0 to 1, above which an alert is raised; `None` for never.
    pub alert_share: Option<f64>,
}

/// What serves a tier.
#[derive(Clone, Debug, PartialEq)]
pub enum TierTarget {
    /// A model group.
    Group(String),
    /// Answers from a file.
    Canned(Canned),
}

impl TierTarget {
    /// The model group, if it is one.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Group(group) => Some(group),
            Self::Canned(_) => None,
        }
    }
}

/// What moves a request on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveOn {
    /// A 429, and every deployment at its limits.
    pub rate_limit: bool,
    /// 5xx, timeouts, broken connections, and every deployment ejected.
    pub server_error: bool,
    /// A prompt that is too long.
    pub context_window: bool,
    /// An answer that does not do.
    pub quality: bool,
    /// No first token within this time, or no answer where nothing is streamed.
    pub first_token: Option<Duration>,
}

impl Default for MoveOn {
    fn default() -> Self {
        Self { rate_limit: true, server_error: true, context_window: true, quality: false, first_token: None }
    }
}

impl MoveOn {
    fn read(node: &Node, path: &str) -> Self {
        let mut read = Self {
            rate_limit: false,
            server_error: false,
            context_window: false,
            quality: false,
            first_token: None,
        };
        for item in items_of(node) {
            match item.text() {
                Some("rate_limit") => read.rate_limit = true,
                Some("server_error") => read.server_error = true,
                Some("context_window") => read.context_window = true,
                Some("quality") => read.quality = true,
                // Any other word has been refused already.
                Some(_) => {}
                None => {
                    let first_token = Section::new(Some(item), MOVE_ON, path).duration("first_token");
                    read.first_token = read.first_token.or(first_token);
                }
            }
        }
        read
    }
}

/// What tiers are read with.
pub(crate) struct TierReading<'a, 'r> {
    pub(crate) groups: &'a Groups<'a>,
    pub(crate) faqs: FaqFiles<'r>,
}

impl TierReading<'_, '_> {
    /// Reads `tiers` of `tollgate_settings`.
    pub(crate) fn tiers(&mut self, section: &Section<'_>, found: &mut Collector) -> Tiers {
        let path = section.path_of("tiers");
        let mut tiers = Tiers::default();
        let Some(node) = section.node("tiers") else { return tiers };
        tiers.default = self.list(node, &path, found);
        for entry in entries_of(node) {
            let path = format!("{path}.{}", printable(&entry.key));
            let list = self.list(&entry.value, &path, found);
            self.check_name((entry.place, &path), &entry.key, &list, found);
            tiers.add(&entry.key, list);
        }
        tiers
    }

    /// Reads `model_groups`: their tiers go to `tiers`, their hedging comes back.
    pub(crate) fn model_groups(
        &mut self,
        section: &Section<'_>,
        tiers: &mut Tiers,
        found: &mut Collector,
    ) -> Vec<(String, Option<Hedge>)> {
        let mut hedges = Vec::new();
        for entry in section.entries("model_groups") {
            let path = format!("{}.{}", section.path_of("model_groups"), printable(&entry.key));
            let group = Section::new(Some(&entry.value), GROUP, &path);
            let has_tiers = tiers.by_name.iter().any(|(name, _)| **name == *entry.key);
            if !has_tiers && !self.groups.is_known(&entry.key) {
                found.error(entry.place, &path, self.groups.unknown(&entry.key));
            }
            if let Some(node) = group.node("tiers") {
                let path = group.path_of("tiers");
                let list = self.list(node, &path, found);
                if has_tiers {
                    found.error(node.place, &path, "tollgate_settings.tiers has them too");
                } else {
                    self.check_name((node.place, &path), &entry.key, &list, found);
                }
                tiers.add(&entry.key, list);
            }
            if let Some(node) = group.node("hedge") {
                let name = self.groups.behind(&entry.key).to_owned();
                hedges.push((name, Hedge::read(node, &group.path_of("hedge"))));
            }
        }
        hedges
    }

    /// A list by the name of a group is the group's own: a request for it enters there, at the group itself.
    fn check_name(&self, at: (Place, &str), name: &str, list: &[Tier], found: &mut Collector) {
        let shown = printable(name);
        if is_pattern(name) {
            let message = format!(
                "{shown} is a pattern, and a list of tiers has one name; router_settings.fallbacks may follow a pattern"
            );
            found.error(at.0, at.1, message);
            return;
        }
        let group = self.groups.behind(name);
        match list.iter().position(|tier| tier.target.group() == Some(group)) {
            Some(0) => {}
            Some(_) => {
                let message = format!(
                    "a request for {shown} enters at {shown}: the tiers before it serve only who asks for their groups"
                );
                found.warning(at.0, at.1, message);
            }
            None if self.groups.is_exact(name) && !list.is_empty() => {
                let message = format!(
                    "{shown} is a model group, and its own tiers have to contain it: name the list otherwise, or the \
                     group among its tiers"
                );
                found.error(at.0, at.1, message);
            }
            None => {}
        }
    }

    /// Reads one list.
    fn list(&mut self, node: &Node, path: &str, found: &mut Collector) -> Vec<Tier> {
        let items = items_of(node);
        let mut tiers: Vec<Tier> = Vec::new();
        if items.is_empty() && matches!(node.data, Data::List(_)) {
            found.warning(node.place, path, "names no tiers");
        }
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let is_last = index + 1 == items.len();
            let Some(mut tier) = self.tier(item, &path, found) else { continue };
            let is_canned = matches!(tier.target, TierTarget::Canned(_));
            if is_canned && !is_last {
                found.error(
                    item.place,
                    &path,
                    "answers everything that comes to it: it must be the last tier",
                );
            }
            if let Some(moves) = item.get("move_on").filter(|_| is_last) {
                found.note(
                    moves.place,
                    &format!("{path}.move_on"),
                    "has no effect: no tier comes after the last",
                );
            }
            if is_last && index > 0 {
                tier.alert_share = tier.alert_share.or(Some(LAST_TIER_ALERT_SHARE));
            }
            let group = tier.target.group();
            if group.is_some() && tiers.iter().any(|other| other.target.group() == group) {
                let message =
                    format!("the group {} is in an earlier tier", group.map(printable).unwrap_or_default());
                found.error(item.place, &path, message);
            } else if tiers.iter().any(|other| other.name == tier.name) {
                found.error(item.place, &path, format!("the name {} is taken", printable(&tier.name)));
            }
            tiers.push(tier);
        }
        check_tiers((node.place, path), &tiers, found);
        tiers
    }

    /// Reads one tier: the name of a group, or a map.
    fn tier(&mut self, node: &Node, path: &str, found: &mut Collector) -> Option<Tier> {
        if matches!(node.data, Data::Unset) || node.is_null() {
            return None;
        }
        let section = Section::new(node.text().is_none().then_some(node), TIER, path);
        let target = self.target(node, &section, found)?;
        let default_name = target.group().unwrap_or("canned").to_owned();
        let name = section.text("name").unwrap_or(default_name);
        if !is_name(&name) {
            let place = section.place("name").unwrap_or(node.place);
            let message = format!("a tier's name is printable ASCII, {NAME_BYTES_MAX} bytes at most");
            found.error(place, &section.path_of("name"), message);
        }
        let move_on = section.node("move_on").map(|node| MoveOn::read(node, &section.path_of("move_on")));
        Some(Tier {
            name,
            target,
            move_on: move_on.unwrap_or_default(),
            alert_share: section.share("alert_share"),
        })
    }

    fn target(&mut self, node: &Node, section: &Section<'_>, found: &mut Collector) -> Option<TierTarget> {
        let model = node.text().map(str::to_owned).or_else(|| section.text("model"));
        let canned = section.node("canned");
        match (model, canned) {
            (Some(_), Some(canned)) => {
                found.error(canned.place, &section.path_of("canned"), "a tier has a model or canned answers");
                None
            }
            (None, Some(canned)) => {
                let canned = self.faqs.canned(canned, &section.path_of("canned"), found)?;
                Some(TierTarget::Canned(canned))
            }
            (None, None) => {
                // A value of a wrong type, or a variable that is not set, has been reported already.
                if section.raw("model").is_none_or(Node::is_null) && !section.is_unset("model") {
                    found.error(node.place, &section.path_of("model"), "is required, or canned");
                }
                None
            }
            (Some(model), None) => {
                if !self.groups.is_known(&model) {
                    let place = section.place("model").unwrap_or(node.place);
                    let message: Message = self.groups.unknown(&model);
                    found.error(place, &section.path_of("model"), message);
                }
                let group = self.groups.behind(&model);
                if is_pattern(group) {
                    let place = section.place("model").unwrap_or(node.place);
                    let message =
                        format!("{} is a pattern: name one model that it matches", printable(group));
                    found.error(place, &section.path_of("model"), message);
                }
                Some(TierTarget::Group(group.to_owned()))
            }
        }
    }
}

/// Fit for a header's value.
fn is_name(name: &str) -> bool {
    let is_printable = |byte: u8| (0x20..0x7f).contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_printable) && name.trim() == name
}
