//! `router_settings`: how a deployment is chosen, retried and replaced.
//!
//! Owns: the resolved settings, those included that do not act yet. Leaves to others: strategies and their arguments
//! (strategy), policies by class of error (classes), whether a named group exists (targets), acting on them (policy).
//!
//! **Invariant:** what was written is kept whole, whether it acts or not.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::classes::{AllowedFailsPolicy, RetryPolicy};
use crate::keys::router::{ALIAS, PRE_CALL_CHECKS, PRE_CALL_CHECKS_ACTIVE, TABLE};
use crate::keys::{general, nearest, rows};
use crate::model::Deployment;
use crate::report::{Collector, Message, printable};
use crate::scalar::to_json_map;
use crate::section::{NOT_YET_ACTIVE, Section, entries_of, items_of};
use crate::settings::HEALTH_CHECK_INTERVAL_DEFAULT;
use crate::strategy::{LatencyArgs, RoutingGroup, Strategy, routing_groups};
use crate::targets;
use crate::yaml::{Data, Entry, Node};

/// LiteLLM's default of `num_retries`.
pub const NUM_RETRIES_DEFAULT: u32 = 2;
/// LiteLLM's default of `allowed_fails`. Here nothing is counted against it unless it is written.
pub const ALLOWED_FAILS_DEFAULT: u32 = 3;
/// LiteLLM's default of `max_fallbacks`.
pub const MAX_FALLBACKS_DEFAULT: u32 = 5;
/// LiteLLM's default of `cooldown_time`.
pub const COOLDOWN_DEFAULT: Duration = Duration::from_secs(5);

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name that callers may use.
    pub name: String,
    /// The model group behind it.
    pub group: String,
    /// Whether the alias is left out of the list of models.
    pub hidden: bool,
}

/// One step of a fallback chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackTarget {
    /// The model group.
    pub model: String,
    /// Request fields that take the place of the caller's.
    pub overrides: Map<String, Value>,
}

/// Fallbacks of the groups, in the order of the file: group (`*` for all) and its chain.
pub type Fallbacks = Vec<(String, Vec<FallbackTarget>)>;

/// The checks of `optional_pre_call_checks` that act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreCallChecks {
    /// A prompt goes where its beginning is cached, while that saves more than another deployment would.
    pub prompt_caching: bool,
    /// A caller stays with its deployment.
    pub deployment_affinity: bool,
    /// A session stays with its deployment.
    pub session_affinity: bool,
    /// `rpm` and `tpm` hold; here they always do.
    pub enforce_model_rate_limits: bool,
}

impl PreCallChecks {
    fn named(names: &[String]) -> Self {
        let has = |name: &str| names.iter().any(|written| written == name);
        Self {
            prompt_caching: has("prompt_caching"),
            deployment_affinity: has("deployment_affinity"),
            session_affinity: has("session_affinity"),
            enforce_model_rate_limits: has("enforce_model_rate_limits"),
        }
    }
}

/// The resolved `router_settings`.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// As written; see [`Strategy::is_active`].
    pub strategy: Strategy,
    /// Arguments of the strategy, as written.
    pub strategy_args: Map<String, Value>,
    /// Arguments of [`Strategy::LatencyBased`].
    pub latency: LatencyArgs,
    /// Model groups with strategies of their own.
    pub routing_groups: Vec<RoutingGroup>,
    /// Retries after a failure.
    pub num_retries: u32,
    /// Time for a whole reply.
    pub timeout: Option<Duration>,
    /// Time to the first part of a stream.
    pub stream_timeout: Option<Duration>,
    /// Least wait before a retry on the deployment that has just failed.
    pub retry_after: Duration,
    /// Retries by kind of error.
    pub retry_policy: Option<RetryPolicy>,
    /// The same for single groups.
    pub model_group_retry_policy: Vec<(String, RetryPolicy)>,
    /// Further names of groups.
    pub model_group_alias: Vec<Alias>,
    /// Failures within [`Router::cooldown_time`] before a cooldown; `None` if it was not written.
    pub allowed_fails: Option<u32>,
    /// The same by kind of error.
    pub allowed_fails_policy: Option<AllowedFailsPolicy>,
    /// How long a first cooldown lasts.
    pub cooldown_time: Duration,
    /// No cooldowns at all.
    pub disable_cooldowns: bool,
    /// Groups to try after any failure.
    pub fallbacks: Fallbacks,
    /// Groups to try after a prompt that was too long.
    pub context_window_fallbacks: Fallbacks,
    /// Groups to try after a refusal by a content filter.
    pub content_policy_fallbacks: Fallbacks,
    /// Groups to try for every model.
    pub default_fallbacks: Vec<String>,
    /// Fallbacks of one request at most.
    pub max_fallbacks: u32,
    /// Leave out deployments that cannot take the request, before it is sent.
    pub enable_pre_call_checks: bool,
    /// Further checks by name, as written.
    pub optional_pre_call_checks: Vec<String>,
    /// Those of them that act.
    pub checks: PreCallChecks,
    /// How long a session stays with its deployment after its last request.
    pub deployment_affinity_ttl: Duration,
    /// Choose by tags.
    pub enable_tag_filtering: bool,
    /// One shared tag is enough; else all tags of the request are needed.
    pub tag_filtering_match_any: bool,
    /// What the tags that choose begin with; empty for all tags.
    pub tag_routing_prefix: String,
    /// Priority of requests that name none, 0 first.
    pub default_priority: Option<u8>,
    /// Shares by deployment id or by `litellm_params.model`; they are in [`crate::Deployment::weight`] already.
    pub weights: Vec<(String, f64)>,
    /// Background health checks count as requests do; from here or from `general_settings`.
    pub enable_health_check_routing: bool,
    /// How long a health check counts; from here or from `general_settings`.
    pub health_check_staleness: Duration,
    /// A 408, a 429 or a timeout of a health check counts for nothing; from here or from `general_settings`.
    pub health_check_ignore_transient_errors: bool,
    /// Requests in flight per deployment, where it sets no limit of its own.
    pub default_max_parallel_requests: Option<u32>,
}

impl Default for Router {
    fn default() -> Self {
        Self::read(&Section::new(None, TABLE, "router_settings"))
    }
}

impl Router {
    /// Reads a checked section.
    fn read(section: &Section<'_>) -> Self {
        let policies = section.entries("model_group_retry_policy").iter();
        let checks = section.texts("optional_pre_call_checks");
        let priority = section.count("default_priority");
        Self {
            strategy: Strategy::read(section),
            latency: LatencyArgs::default(),
            routing_groups: Vec::new(),
            strategy_args: section.node("routing_strategy_args").map(to_json_map).unwrap_or_default(),
            num_retries: section.count32("num_retries").unwrap_or(NUM_RETRIES_DEFAULT),
            timeout: section.seconds("timeout"),
            stream_timeout: section.seconds("stream_timeout"),
            retry_after: section.seconds("retry_after").unwrap_or_default(),
            retry_policy: section.node("retry_policy").map(RetryPolicy::read),
            model_group_retry_policy: policies
                .map(|entry| (entry.key.to_string(), RetryPolicy::read(&entry.value)))
                .collect(),
            model_group_alias: section.entries("model_group_alias").iter().filter_map(alias).collect(),
            allowed_fails: section.count32("allowed_fails"),
            allowed_fails_policy: section.node("allowed_fails_policy").map(AllowedFailsPolicy::read),
            cooldown_time: section.seconds("cooldown_time").unwrap_or(COOLDOWN_DEFAULT),
            disable_cooldowns: section.flag("disable_cooldowns").unwrap_or(false),
            fallbacks: fallbacks(section.items("fallbacks")),
            context_window_fallbacks: fallbacks(section.items("context_window_fallbacks")),
            content_policy_fallbacks: fallbacks(section.items("content_policy_fallbacks")),
            default_fallbacks: section.texts("default_fallbacks"),
            max_fallbacks: section.count32("max_fallbacks").unwrap_or(MAX_FALLBACKS_DEFAULT),
            enable_pre_call_checks: section.flag("enable_pre_call_checks").unwrap_or(false),
            checks: PreCallChecks::named(&checks),
            optional_pre_call_checks: checks,
            deployment_affinity_ttl: section
                .seconds("deployment_affinity_ttl_seconds")
                .unwrap_or(AFFINITY_TTL_DEFAULT),
            enable_tag_filtering: section.flag("enable_tag_filtering").unwrap_or(false),
            tag_filtering_match_any: section.flag("tag_filtering_match_any").unwrap_or(true),
            tag_routing_prefix: section.text("tag_routing_prefix").unwrap_or_default(),
            default_priority: priority.map(|priority| u8::try_from(priority).unwrap_or(u8::MAX)),
            weights: section
                .entries("weights")
                .iter()
                .filter_map(|entry| Some((entry.key.to_string(), entry.value.number()?)))
                .collect(),
            enable_health_check_routing: section.flag("enable_health_check_routing").unwrap_or(false),
            health_check_staleness: section
                .seconds("health_check_staleness_threshold")
                .unwrap_or(HEALTH_CHECK_INTERVAL_DEFAULT * 2),
            health_check_ignore_transient_errors: section
                .flag("health_check_ignore_transient_errors")
                .unwrap_or(false),
            default_max_parallel_requests: section.count32("default_max_parallel_requests"),
        }
    }
}

/// LiteLLM's default of `deployment_affinity_ttl_seconds`.
const AFFINITY_TTL_DEFAULT: Duration = Duration::from_secs(3600);

/// Resolves `router_settings` and the same keys in `litellm_settings`.
pub(crate) fn resolve(root: &Node, found: &mut Collector) -> Router {
    let merged = with_litellm_settings(root, found);
    let section = Section::new(Some(&merged), TABLE, "router_settings");
    let mut router = Router::read(&section);
    router.strategy.note_inactive(&section, found);
    router.latency = LatencyArgs::of(&section, router.strategy, found);
    router.routing_groups = routing_groups(&section, found);
    health_checks(&mut router, &section, root);
    check_health_checks(&router, &section, root, found);
    say_what_has_no_effect(&section, found);
    router
}

/// LiteLLM reads what health checks mean for routing from `general_settings`; `router_settings` goes before it.
fn health_checks(router: &mut Router, section: &Section<'_>, root: &Node) {
    let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
    let flag = |name| section.flag(name).or_else(|| general.flag(name)).unwrap_or(false);
    router.enable_health_check_routing = flag("enable_health_check_routing");
    router.health_check_ignore_transient_errors = flag("health_check_ignore_transient_errors");
    let interval = general.seconds("health_check_interval").unwrap_or(HEALTH_CHECK_INTERVAL_DEFAULT);
    router.health_check_staleness = section
        .seconds("health_check_staleness_threshold")
        .or_else(|| general.seconds("health_check_staleness_threshold"))
        .unwrap_or(interval * 2);
}

/// Health checks are asked to count, but there are none.
fn check_health_checks(router: &Router, section: &Section<'_>, root: &Node, found: &mut Collector) {
    let general = Section::new(root.get("general_settings"), general::TABLE, "general_settings");
    if !router.enable_health_check_routing || general.flag("background_health_checks") == Some(true) {
        return;
    }
    for section in [section, &general] {
        if let Some(place) = section.place("enable_health_check_routing") {
            let message = "has no effect without general_settings.background_health_checks";
            found.warning(place, &section.path_of("enable_health_check_routing"), message);
        }
    }
}

/// Values that are accepted for LiteLLM's sake alone.
fn say_what_has_no_effect(section: &Section<'_>, found: &mut Collector) {
    if let Some(place) = section.place("polling_interval") {
        let message = "has no effect: a request that waits is woken, nothing is polled";
        found.note(place, &section.path_of("polling_interval"), message);
    }
    if section.flag("enable_weighted_failover") == Some(false)
        && let Some(place) = section.place("enable_weighted_failover")
    {
        let message = "has no effect: a retry always chooses by weight among the deployments that are left";
        found.warning(place, &section.path_of("enable_weighted_failover"), message);
    }
    let path = section.path_of("optional_pre_call_checks");
    for (index, item) in section.items("optional_pre_call_checks").iter().enumerate() {
        let Some(name) = item.text() else { continue };
        // A word that is no check at all has been refused already.
        if !PRE_CALL_CHECKS_ACTIVE.contains(&name) && PRE_CALL_CHECKS.contains(&name) {
            found.note(item.place, &format!("{path}[{index}]"), format!("{name} is {NOT_YET_ACTIVE}"));
        }
    }
    if let Some(policy) = section.node("retry_policy") {
        RetryPolicy::note_callers(policy, &section.path_of("retry_policy"), found);
    }
    for entry in section.entries("model_group_retry_policy") {
        let path = format!("{}.{}", section.path_of("model_group_retry_policy"), printable(&entry.key));
        RetryPolicy::note_callers(&entry.value, &path, found);
    }
}

impl Router {
    /// Gives the deployments what the router says of them: their shares and their places where they name none.
    pub(crate) fn complete(&self, deployments: &mut [Deployment], root: &Node, found: &mut Collector) {
        for deployment in deployments.iter_mut() {
            self.complete_one(deployment);
        }
        for (name, _) in &self.weights {
            if !deployments.iter().any(|deployment| means(name, deployment)) {
                let (place, path) = targets::place_of(root, "weights");
                let near = nearest(name, deployments.iter().map(|deployment| deployment.id.as_str()));
                let message = format!("no deployment has the id or the model {}", printable(name));
                found.warning(place, &path, Message::with_nearest(message, near));
            }
        }
    }

    /// Gives a deployment what the router says of it.
    pub(crate) fn complete_one(&self, deployment: &mut Deployment) {
        deployment.max_parallel_requests =
            deployment.max_parallel_requests.or(self.default_max_parallel_requests);
        if let Some((_, weight)) = self.weights.iter().rfind(|(name, _)| means(name, deployment)) {
            deployment.weight = Some(*weight);
        }
    }

    /// Finds out which routing groups callers can ask for by name, and says of those that they cannot.
    pub(crate) fn name_groups(&mut self, deployments: &[Deployment], root: &Node, found: &mut Collector) {
        let aliases = &self.model_group_alias;
        for group in &mut self.routing_groups {
            let is_taken = deployments.iter().any(|deployment| deployment.model_name == group.name)
                || aliases.iter().any(|alias| alias.name == group.name);
            group.is_callable = !is_taken;
            if !is_taken {
                continue;
            }
            let (place, path) = targets::place_of(root, "routing_groups");
            let name = printable(&group.name);
            if group.strategy == Strategy::Priority {
                found.error(place, &path, format!("a model group or an alias has the name {name} already"));
            } else {
                let message = format!(
                    "a model group or an alias has the name {name} already: callers cannot ask for the routing group"
                );
                found.warning(place, &path, message);
            }
        }
    }

    /// The lists of chains by their keys; `default_fallbacks` apart.
    pub(crate) fn chains(&self) -> impl Iterator<Item = (&'static str, &Fallbacks)> {
        [
            ("fallbacks", &self.fallbacks),
            ("context_window_fallbacks", &self.context_window_fallbacks),
            ("content_policy_fallbacks", &self.content_policy_fallbacks),
        ]
        .into_iter()
    }

    /// The routing group that callers ask for by this name.
    pub fn called(&self, name: &str) -> Option<&RoutingGroup> {
        self.routing_groups.iter().find(|group| group.is_callable && group.name == name)
    }

    /// Whether the deployments of the model group `model_name` answer to `group`, which may be a routing group.
    pub fn covers(&self, group: &str, model_name: &str) -> bool {
        let is_member = |own: &RoutingGroup| own.models.iter().any(|model| model == model_name);
        group == model_name || self.called(group).is_some_and(is_member)
    }

    /// How a deployment of the group is chosen, with the arguments of [`Strategy::LatencyBased`]. Requests for a member of
    /// a routing group by [`Strategy::Priority`] are chosen as if there were none.
    pub fn strategy_of(&self, group: &str) -> (Strategy, &LatencyArgs) {
        let is_member =
            |own: &&RoutingGroup| own.is_of_members() && own.models.iter().any(|model| model == group);
        let own = self.called(group).or_else(|| self.routing_groups.iter().find(is_member));
        own.map_or((self.strategy, &self.latency), |own| (own.strategy, &own.latency))
    }

    /// Retries by kind of error for the model group.
    pub fn retry_policy_of(&self, group: &str) -> Option<&RetryPolicy> {
        let own = self.model_group_retry_policy.iter().find(|(name, _)| name == group);
        own.map(|(_, policy)| policy).or(self.retry_policy.as_ref())
    }
}

/// The entries of `router_settings`, then those of its keys that only `litellm_settings` has.
fn with_litellm_settings(root: &Node, found: &mut Collector) -> Node {
    let mut entries: Vec<Entry> = root.get("router_settings").map(entries_of).unwrap_or_default().to_vec();
    for entry in root.get("litellm_settings").map(entries_of).unwrap_or_default() {
        if rows(TABLE).all(|key| key.name != &*entry.key) {
            continue;
        }
        match entries.iter().find(|known| known.key == entry.key) {
            None => entries.push(entry.clone()),
            Some(known) => {
                let message = format!("router_settings sets it too, in line {}, and wins", known.place.line);
                found.warning(entry.place, &format!("litellm_settings.{}", entry.key), message);
            }
        }
    }
    Node { place: root.place, data: Data::Map(entries.into()) }
}

fn alias(entry: &Entry) -> Option<Alias> {
    let section = Section::new(Some(&entry.value), ALIAS, "");
    let group = entry.value.text().map(str::to_owned).or_else(|| section.text("model"))?;
    Some(Alias { name: entry.key.to_string(), group, hidden: section.flag("hidden").unwrap_or(false) })
}

fn fallbacks(items: &[Node]) -> Fallbacks {
    let entries = items.iter().flat_map(entries_of);
    entries
        .map(|entry| (entry.key.to_string(), items_of(&entry.value).iter().filter_map(target).collect()))
        .collect()
}

/// `name`, or `{model: name, ...overrides}`.
fn target(node: &Node) -> Option<FallbackTarget> {
    if let Some(model) = node.text() {
        return Some(FallbackTarget { model: model.to_owned(), overrides: Map::new() });
    }
    let model = node.get("model")?.text()?.to_owned();
    let mut overrides = to_json_map(node);
    overrides.remove("model");
    Some(FallbackTarget { model, overrides })
}

/// Whether a name of `weights` is a deployment's.
fn means(name: &str, deployment: &Deployment) -> bool {
    deployment.id == name || deployment.params_written.get("model").and_then(Value::as_str) == Some(name)
}
