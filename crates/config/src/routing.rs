//! What `tollgate_settings` says of hedging, waiting, retrying and sensitive requests.
//!
//! Owns: the resolved settings and their defaults. Leaves to others: tiers, acting on them (policy, server).
//!
//! **Invariant:** hedging is off unless it is written; a rule for sensitive requests asks for something.

use std::time::Duration;

use crate::keys::tiers::{HEDGE, QUEUE, RETRY_BUDGET, SENSITIVE};
use crate::report::Collector;
use crate::section::Section;
use crate::yaml::Node;

/// How long the first deployment is waited for before a second one is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HedgeAfter {
    /// The learned quantile of the group's times to the first token, 0.5 to 0.99.
    Quantile(f64),
    /// A fixed time.
    Delay(Duration),
}

/// Asking a second deployment when the first is late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedge {
    /// When.
    pub after: HedgeAfter,
    /// Hedges of one request at most; 1 or more.
    pub max: u32,
    /// Hedges per request of the group at most, 0 to 1.
    pub budget: f64,
}

impl Default for Hedge {
    fn default() -> Self {
        Self { after: HedgeAfter::Quantile(0.95), max: 1, budget: 0.05 }
    }
}

impl Hedge {
    /// Reads `hedge`: `None` for `false` and `max: 0`, the defaults for `true`.
    pub(crate) fn read(node: &Node, path: &str) -> Option<Self> {
        let defaults = Self::default();
        if let Some(is_on) = node.flag() {
            return is_on.then_some(defaults);
        }
        let section = Section::new(Some(node), HEDGE, path);
        let hedge = Self {
            after: section.node("after").and_then(Node::hedge_after).unwrap_or(defaults.after),
            max: section.count32("max").unwrap_or(defaults.max),
            budget: section.share("budget").unwrap_or(defaults.budget),
        };
        (hedge.max > 0).then_some(hedge)
    }
}

/// Waiting for a place where every deployment of a group is at its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Whether requests wait at all.
    pub enabled: bool,
    /// How long at most.
    pub max_wait: Duration,
    /// How many of one group at one time.
    pub size: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self::read(&Section::new(None, QUEUE, "queue"))
    }
}

impl Queue {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let size = section.count("size").and_then(|size| usize::try_from(size).ok());
        Self {
            enabled: section.flag("enabled").unwrap_or(true),
            max_wait: section.duration("max_wait_seconds").unwrap_or(Duration::from_secs(1)),
            size: size.unwrap_or(1000),
        }
    }
}

/// How many retries a group may cause beyond its requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Retries per request, 0 to 1.
    pub ratio: f64,
    /// Retries per second that are always granted.
    pub floor_per_second: f64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::read(&Section::new(None, RETRY_BUDGET, "retry_budget"))
    }
}

impl RetryBudget {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        Self {
            ratio: section.share("ratio").unwrap_or(0.1),
            floor_per_second: section.number("floor_per_second").unwrap_or(3.0),
        }
    }
}

/// Where requests with certain tags may go, fallbacks included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SensitiveRule {
    /// A request with any of them falls under the rule; one at least.
    pub tags: Vec<String>,
    /// The `region_name` that a deployment must have.
    pub region: Option<String>,
    /// The `data_residency` that a deployment must have.
    pub data_residency: Option<String>,
    /// Whether a deployment must keep nothing.
    pub zero_data_retention: bool,
}

/// Reads `sensitive`.
pub(crate) fn sensitive(section: &Section<'_>, found: &mut Collector) -> Vec<SensitiveRule> {
    let path = section.path_of("sensitive");
    let mut rules = Vec::new();
    for (index, node) in section.items("sensitive").iter().enumerate() {
        let path = format!("{path}[{index}]");
        let section = Section::new(Some(node), SENSITIVE, &path);
        let rule = SensitiveRule {
            tags: section.texts("tags"),
            region: section.text("region"),
            data_residency: section.text("data_residency"),
            zero_data_retention: section.flag("zero_data_retention").unwrap_or(false),
        };
        let asks = rule.region.is_some() || rule.data_residency.is_some() || rule.zero_data_retention;
        let has_unset = ["tags", "region", "data_residency", "zero_data_retention"];
        if has_unset.into_iter().any(|name| section.is_unset(name)) {
            continue;
        }
        // A rule that binds nobody or to nothing would leave its author in the belief of being safe.
        if rule.tags.is_empty() {
            found.error(node.place, &path, "names no tags: no request falls under it");
        } else if !asks {
            let message = "asks for nothing: write region, data_residency or zero_data_retention";
            found.error(node.place, &path, message);
        }
        rules.push(rule);
    }
    rules
}
