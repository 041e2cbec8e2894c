//! How a deployment of a model group is chosen: strategies, their arguments, routing groups.
//!
//! Owns: names, resolved arguments, what is said of arguments without effect. Leaves to others: choosing (policy).
//!
//! **Invariant:** a model group is in one routing group at most, those of `priority` apart.

use std::collections::HashMap;
use std::time::Duration;

use crate::keys::router::{GROUP_STRATEGIES, ROUTING_GROUP, STRATEGY_ARGS};
use crate::report::{Collector, printable};
use crate::section::{NOT_YET_ACTIVE, Section, items_of};
use crate::yaml::Place;

/// The routing strategies: LiteLLM's, and two of Tollgate's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// By weight; else by `rpm`, else by `tpm`, else evenly.
    #[default]
    SimpleShuffle,
    /// Fewest requests in flight.
    LeastBusy,
    /// Fewest tokens used in the last minute, against each deployment's limit.
    UsageBased,
    /// The same; LiteLLM's second version shares its counters.
    UsageBasedV2,
    /// Shortest time to the first token, or per token of the answer.
    LatencyBased,
    /// Lowest price.
    CostBased,
    /// In turn, smoothly by weight.
    RoundRobin,
    /// The same caller or session to the same deployment.
    ConsistentHash,
    /// LiteLLM's preview of a learned one.
    Lar1,
    /// By the priorities of a routing group's models; of routing groups alone.
    Priority,
}

impl Strategy {
    const ALL: [Strategy; 10] = [
        Strategy::SimpleShuffle,
        Strategy::LeastBusy,
        Strategy::UsageBased,
        Strategy::UsageBasedV2,
        Strategy::LatencyBased,
        Strategy::CostBased,
        Strategy::RoundRobin,
        Strategy::ConsistentHash,
        Strategy::Lar1,
        Strategy::Priority,
    ];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        let at = Self::ALL.iter().position(|strategy| *strategy == self);
        at.and_then(|at| GROUP_STRATEGIES.get(at)).copied().unwrap_or_default()
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// Whether deployments are chosen by it today; else [`Strategy::SimpleShuffle`] takes its place.
    pub fn is_active(self) -> bool {
        self != Strategy::Lar1
    }

    /// The strategy that `routing_strategy` of a checked section names.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let named = section.text("routing_strategy").and_then(|name| Self::from_name(&name));
        named.unwrap_or_default()
    }

    /// Says where a strategy that does not act is written.
    pub(crate) fn note_inactive(self, section: &Section<'_>, found: &mut Collector) {
        let place = section.place("routing_strategy").filter(|_| !self.is_active());
        let Some(place) = place else { return };
        let message = format!("{} is {NOT_YET_ACTIVE}: simple-shuffle takes its place", self.name());
        found.note(place, &section.path_of("routing_strategy"), message);
    }
}

/// Arguments of [`Strategy::LatencyBased`].
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyArgs {
    /// How long a measured time counts.
    pub ttl: Duration,
    /// The share of the shortest time by which another may be longer and count as equally short.
    pub buffer: f64,
    /// Measured times that are kept per deployment.
    pub samples_max: usize,
    /// For streams, the percentile of the times to the first token, 0 to 1; `None` for their mean.
    pub percentile: Option<f64>,
}

impl Default for LatencyArgs {
    fn default() -> Self {
        Self::read(&Section::new(None, STRATEGY_ARGS, "routing_strategy_args"))
    }
}

impl LatencyArgs {
    /// Times that are kept per deployment at most, whatever is written.
    const SAMPLES_MAX: u64 = 1_000;

    fn read(section: &Section<'_>) -> Self {
        let samples = section.count("max_latency_list_size").unwrap_or(10).min(Self::SAMPLES_MAX);
        Self {
            ttl: section.duration("ttl").unwrap_or(Duration::from_secs(3600)),
            buffer: section.number("lowest_latency_buffer").unwrap_or(0.0),
            samples_max: usize::try_from(samples).unwrap_or(10),
            percentile: section.share("ttft_percentile"),
        }
    }

    /// `routing_strategy_args` of `section`, in which `strategy` is named.
    pub(crate) fn of(section: &Section<'_>, strategy: Strategy, found: &mut Collector) -> Self {
        let args = section.section("routing_strategy_args", STRATEGY_ARGS);
        if strategy != Strategy::LatencyBased
            && let Some(place) = section.place("routing_strategy_args")
            && !args.written().is_empty()
        {
            let message = format!("has no effect with {}", strategy.name());
            found.warning(place, &section.path_of("routing_strategy_args"), message);
        }
        Self::read(&args)
    }
}

/// Model groups whose deployments are chosen by a strategy of their own; by its name, all of them together.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutingGroup {
    /// Its name.
    pub name: String,
    /// The model groups in it.
    pub models: Vec<String>,
    /// How a deployment of these model groups is chosen.
    pub strategy: Strategy,
    /// Arguments of the strategy.
    pub latency: LatencyArgs,
    /// Priorities of the model groups, lower ones first; of [`Strategy::Priority`] alone.
    pub priorities: Vec<(String, u64)>,
    /// Callers can ask for it by its name: no model group and no alias has it.
    pub is_callable: bool,
}

impl RoutingGroup {
    /// The place of one of its model groups in the order in which they are tried, where there is one.
    pub fn priority_of(&self, model: &str) -> Option<i64> {
        let own = self.priorities.iter().find(|(name, _)| name == model)?;
        i64::try_from(own.1).ok()
    }

    /// Whether requests for its model groups by their own names are chosen by its strategy.
    pub(crate) fn is_of_members(&self) -> bool {
        self.strategy != Strategy::Priority
    }
}

/// Reads `routing_groups` of the router's section.
pub(crate) fn routing_groups(router: &Section<'_>, found: &mut Collector) -> Vec<RoutingGroup> {
    let mut groups: Vec<RoutingGroup> = Vec::new();
    let mut owners: HashMap<String, String> = HashMap::new();
    for (index, node) in router.items("routing_groups").iter().enumerate() {
        let path = format!("{}[{index}]", router.path_of("routing_groups"));
        let section = Section::new(Some(node), ROUTING_GROUP, &path);
        let Some(group) = routing_group(&section, node.place, found) else { continue };
        if groups.iter().any(|other| other.name == group.name) || group.name == "default" {
            let message = format!("the name {} is taken", printable(&group.name));
            found.error(section.place("group_name").unwrap_or(node.place), &path, message);
        }
        let items = section.node("models").map(items_of).unwrap_or_default();
        for (item, model) in items.iter().zip(&group.models).filter(|_| group.is_of_members()) {
            if let Some(owner) = owners.insert(model.clone(), group.name.clone()) {
                let message =
                    format!("{} is in the routing group {} too", printable(model), printable(&owner));
                found.error(item.place, &section.path_of("models"), message);
            }
        }
        check_priorities(&group, &section, node.place, found);
        groups.push(group);
    }
    groups
}

/// Says which priorities are missing, are nobody's, or mean nothing.
fn check_priorities(group: &RoutingGroup, section: &Section<'_>, place: Place, found: &mut Collector) {
    let path = section.path_of("model_priorities");
    let entries = section.entries("model_priorities");
    let place = section.place("model_priorities").unwrap_or(place);
    if group.is_of_members() {
        // A strategy that is no name has been refused already.
        let is_named = section.text("routing_strategy").as_deref() == Some(group.strategy.name());
        if is_named && !entries.is_empty() {
            found.warning(place, &path, format!("has no effect with {}", group.strategy.name()));
        }
        return;
    }
    for entry in entries.iter().filter(|entry| !group.models.iter().any(|model| **model == *entry.key)) {
        let message = format!("{} is not among the models of the group", printable(&entry.key));
        found.warning(entry.place, &path, message);
    }
    for model in group.models.iter().filter(|model| !entries.iter().any(|entry| *entry.key == ***model)) {
        found.error(place, &path, format!("{} has no priority", printable(model)));
    }
}

fn routing_group(section: &Section<'_>, place: Place, found: &mut Collector) -> Option<RoutingGroup> {
    let name = crate::model::required(section, "group_name", place, found);
    let strategy = crate::model::required(section, "routing_strategy", place, found);
    let models = section.texts("models");
    if models.is_empty() && !section.is_unset("models") {
        found.error(section.place("models").unwrap_or(place), &section.path_of("models"), "is required");
    }
    let (name, _) = (name?, strategy?);
    let strategy = Strategy::read(section);
    strategy.note_inactive(section, found);
    let has_priorities = strategy == Strategy::Priority;
    let priorities = section.entries("model_priorities").iter().filter(|_| has_priorities);
    Some(RoutingGroup {
        name,
        models,
        latency: LatencyArgs::of(section, strategy, found),
        strategy,
        priorities: priorities
            .filter_map(|entry| Some((entry.key.to_string(), u64::try_from(entry.value.integer()?).ok()?)))
            .collect(),
        is_callable: false,
    })
}
