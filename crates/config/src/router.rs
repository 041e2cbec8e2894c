//! `router_settings`: how a deployment is chosen, retried and replaced.
//!
//! Owns: the resolved settings, those included that do not act yet. Leaves to others: acting on them (policy).
//!
//! **Invariant:** what was written is kept whole, whether it acts or not.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::keys::router::{ALIAS, ALLOWED_FAILS_POLICY, RETRY_POLICY, ROWS, STRATEGIES, TABLE};
use crate::report::{Collector, Message, printable};
use crate::scalar::to_json_map;
use crate::section::{NOT_YET_ACTIVE, Section, entries_of, items_of};
use crate::yaml::{Data, Entry, Node, Place};

/// LiteLLM's default of `num_retries`.
pub const NUM_RETRIES_DEFAULT: u32 = 2;
/// LiteLLM's default of `allowed_fails`.
pub const ALLOWED_FAILS_DEFAULT: u32 = 3;
/// LiteLLM's default of `max_fallbacks`.
pub const MAX_FALLBACKS_DEFAULT: u32 = 5;
/// LiteLLM's default of `cooldown_time`.
pub const COOLDOWN_DEFAULT: Duration = Duration::from_secs(5);

/// LiteLLM's routing strategies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// By weight; else by `rpm`, else by `tpm`, else evenly.
    #[default]
    SimpleShuffle,
    /// Fewest requests in flight.
    LeastBusy,
    /// Fewest tokens used in this minute.
    UsageBased,
    /// The same with shared counters.
    UsageBasedV2,
    /// Shortest replies.
    LatencyBased,
    /// Lowest price.
    CostBased,
    /// LiteLLM's preview of a learned one.
    Lar1,
}

impl Strategy {
    const ALL: [Strategy; 7] = [
        Strategy::SimpleShuffle,
        Strategy::LeastBusy,
        Strategy::UsageBased,
        Strategy::UsageBasedV2,
        Strategy::LatencyBased,
        Strategy::CostBased,
        Strategy::Lar1,
    ];

    /// LiteLLM's name.
    pub fn name(self) -> &'static str {
        let at = Self::ALL.iter().position(|strategy| *strategy == self);
        at.and_then(|at| STRATEGIES.get(at)).copied().unwrap_or_default()
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// Whether deployments are chosen by it today; else [`Strategy::SimpleShuffle`] takes its place.
    pub fn is_active(self) -> bool {
        self == Strategy::SimpleShuffle
    }
}

/// How often each kind of error is retried; `None` where `num_retries` decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are LiteLLM's without their ending")]
pub struct RetryPolicy {
    pub bad_request: Option<u32>,
    pub authentication: Option<u32>,
    pub timeout: Option<u32>,
    pub rate_limit: Option<u32>,
    pub content_policy_violation: Option<u32>,
    pub internal_server: Option<u32>,
    pub service_unavailable: Option<u32>,
    pub not_found: Option<u32>,
    pub default: Option<u32>,
}

/// How many errors of each kind a deployment may make before it is cooled down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are LiteLLM's without their ending")]
pub struct AllowedFailsPolicy {
    pub bad_request: Option<u32>,
    pub authentication: Option<u32>,
    pub timeout: Option<u32>,
    pub rate_limit: Option<u32>,
    pub content_policy_violation: Option<u32>,
    pub internal_server: Option<u32>,
    pub service_unavailable: Option<u32>,
    pub bad_gateway: Option<u32>,
    pub not_found: Option<u32>,
}

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

/// The resolved `router_settings`.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// As written; see [`Strategy::is_active`].
    pub strategy: Strategy,
    /// Arguments of the strategy.
    pub strategy_args: Map<String, Value>,
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
    /// Failures before a cooldown; `None` if it was not written (LiteLLM's default is [`ALLOWED_FAILS_DEFAULT`]).
    pub allowed_fails: Option<u32>,
    /// The same by kind of error.
    pub allowed_fails_policy: Option<AllowedFailsPolicy>,
    /// How long a cooldown lasts.
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
    /// Further checks by name.
    pub optional_pre_call_checks: Vec<String>,
    /// Choose by tags.
    pub enable_tag_filtering: bool,
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
        let strategy = section.text("routing_strategy").and_then(|name| Strategy::from_name(&name));
        let policies = section.entries("model_group_retry_policy").iter();
        Self {
            strategy: strategy.unwrap_or_default(),
            strategy_args: section.node("routing_strategy_args").map(to_json_map).unwrap_or_default(),
            num_retries: section.count32("num_retries").unwrap_or(NUM_RETRIES_DEFAULT),
            timeout: section.seconds("timeout"),
            stream_timeout: section.seconds("stream_timeout"),
            retry_after: section.seconds("retry_after").unwrap_or_default(),
            retry_policy: section.node("retry_policy").map(|node| retry_policy(Some(node))),
            model_group_retry_policy: policies
                .map(|entry| (entry.key.to_string(), retry_policy(Some(&entry.value))))
                .collect(),
            model_group_alias: section.entries("model_group_alias").iter().filter_map(alias).collect(),
            allowed_fails: section.count32("allowed_fails"),
            allowed_fails_policy: section
                .node("allowed_fails_policy")
                .map(|node| allowed_fails_policy(Some(node))),
            cooldown_time: section.seconds("cooldown_time").unwrap_or(COOLDOWN_DEFAULT),
            disable_cooldowns: section.flag("disable_cooldowns").unwrap_or(false),
            fallbacks: fallbacks(section.items("fallbacks")),
            context_window_fallbacks: fallbacks(section.items("context_window_fallbacks")),
            content_policy_fallbacks: fallbacks(section.items("content_policy_fallbacks")),
            default_fallbacks: section.texts("default_fallbacks"),
            max_fallbacks: section.count32("max_fallbacks").unwrap_or(MAX_FALLBACKS_DEFAULT),
            enable_pre_call_checks: section.flag("enable_pre_call_checks").unwrap_or(false),
            optional_pre_call_checks: section.texts("optional_pre_call_checks"),
            enable_tag_filtering: section.flag("enable_tag_filtering").unwrap_or(false),
            default_max_parallel_requests: section.count32("default_max_parallel_requests"),
        }
    }
}

/// Resolves `router_settings` and the same keys in `litellm_settings`.
pub(crate) fn resolve(root: &Node, found: &mut Collector) -> Router {
    let merged = with_litellm_settings(root, found);
    let section = Section::new(Some(&merged), TABLE, "router_settings");
    let router = Router::read(&section);
    if !router.strategy.is_active()
        && let Some(place) = section.place("routing_strategy")
    {
        let message =
            format!("{} is {NOT_YET_ACTIVE}: simple-shuffle takes its place", router.strategy.name());
        found.note(place, &section.path_of("routing_strategy"), message);
    }
    router
}

/// The entries of `router_settings`, then those of its keys that only `litellm_settings` has.
fn with_litellm_settings(root: &Node, found: &mut Collector) -> Node {
    let mut entries: Vec<Entry> = root.get("router_settings").map(entries_of).unwrap_or_default().to_vec();
    for entry in root.get("litellm_settings").map(entries_of).unwrap_or_default() {
        if !ROWS.iter().any(|key| key.name == &*entry.key) {
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

fn retry_policy(node: Option<&Node>) -> RetryPolicy {
    let section = Section::new(node, RETRY_POLICY, "");
    RetryPolicy {
        bad_request: section.count32("BadRequestErrorRetries"),
        authentication: section.count32("AuthenticationErrorRetries"),
        timeout: section.count32("TimeoutErrorRetries"),
        rate_limit: section.count32("RateLimitErrorRetries"),
        content_policy_violation: section.count32("ContentPolicyViolationErrorRetries"),
        internal_server: section.count32("InternalServerErrorRetries"),
        service_unavailable: section.count32("ServiceUnavailableErrorRetries"),
        not_found: section.count32("NotFoundErrorRetries"),
        default: section.count32("DefaultRetries"),
    }
}

fn allowed_fails_policy(node: Option<&Node>) -> AllowedFailsPolicy {
    let section = Section::new(node, ALLOWED_FAILS_POLICY, "");
    AllowedFailsPolicy {
        bad_request: section.count32("BadRequestErrorAllowedFails"),
        authentication: section.count32("AuthenticationErrorAllowedFails"),
        timeout: section.count32("TimeoutErrorAllowedFails"),
        rate_limit: section.count32("RateLimitErrorAllowedFails"),
        content_policy_violation: section.count32("ContentPolicyViolationErrorAllowedFails"),
        internal_server: section.count32("InternalServerErrorAllowedFails"),
        service_unavailable: section.count32("ServiceUnavailableErrorAllowedFails"),
        bad_gateway: section.count32("BadGatewayErrorAllowedFails"),
        not_found: section.count32("NotFoundErrorAllowedFails"),
    }
}

/// Warns of aliases and fallbacks that lead to no group of `groups`.
pub(crate) fn check_targets(router: &Router, root: &Node, groups: &[&str], found: &mut Collector) {
    let aliases = router.model_group_alias.iter();
    let known: Vec<&str> = groups.iter().copied().chain(aliases.clone().map(|a| a.name.as_str())).collect();
    let exact: HashSet<&str> = known.iter().copied().collect();
    let patterns: HashSet<&str> = exact.iter().copied().filter(|name| name.contains('*')).collect();
    let is_known = |name: &str| {
        name == "*" || exact.contains(name) || patterns.iter().any(|pattern| matches_pattern(pattern, name))
    };
    let mut targets: Vec<(&'static str, &str)> = Vec::new();
    targets.extend(aliases.map(|alias| ("model_group_alias", alias.group.as_str())));
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
    for (name, target) in targets.into_iter().filter(|(_, target)| !is_known(target)) {
        let (place, path) = place_of(root, name);
        if found.is_full() {
            break;
        }
        let near = crate::keys::nearest(target, exact.iter().copied());
        let message = format!("no model group is named {}", printable(target));
        found.warning(place, &path, Message::with_nearest(message, near));
    }
}

fn place_of(root: &Node, name: &str) -> (Place, String) {
    let in_section =
        |section: &str| root.get(section)?.get(name).map(|node| (node.place, format!("{section}.{name}")));
    in_section("router_settings")
        .or_else(|| in_section("litellm_settings"))
        .unwrap_or((root.place, name.to_owned()))
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
