//! The configuration made ready for requests, swapped as a whole when it changes.
//!
//! A request takes the snapshot once and lives with it to its end, so a reload never changes a request half-way.
//! **Invariant:** nothing in a snapshot changes but what it remembers of work that was done: names that wildcards have
//! answered to, access groups as of the records, tokens that were verified.

mod callers;

use crate::access::AccessRules;
use crate::auth::Keys;
use crate::build::{BuildError, Builder};
use crate::caching::Answers;
use crate::passthrough::Accounts;
use crate::pipeline::attempt::CallLimits;
use crate::pipeline::media::MediaRules;
use crate::pipeline::overrides::Overrides;
use crate::pipeline::receive::{ReceiveLimits, Received};

use crate::routing::{Chains, Fleet, Group, GroupRules, Journey, Sensitive, Wish};
use crate::target::Target;
use crate::team_models::TeamModels;
use crate::telemetry::Metrics;
use crate::tokens::Tokens;
use crate::toll::TollRules;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_catalog::Overlay;
use tollgate_config::{Config, Deployment, REQUEST_TIMEOUT_DEFAULT, RoutingGroup};
use tollgate_identity::grant::AccessGroups;
use tollgate_policy::ask::Requirements;
use tollgate_policy::plan::{RetriesByKind, RetryRules};
use tollgate_upstream::Client;

/// Most names that wildcards have answered to and that are remembered; beyond it a name is worked out each time and
/// counted under its pattern, so that callers cannot grow memory or metrics with invented names.
const WILDCARD_NAMES_MAX: usize = 1_024;
/// The priority of a request that names none: the middle of LiteLLM's span.
const PRIORITY_DEFAULT: u8 = 128;
/// Longest model name that a wildcard answers to, in bytes.
const MODEL_NAME_BYTES_MAX: usize = 256;

/// A group whose name has a star.
#[derive(Debug)]
struct Pattern {
    name: String,
    before: String,
    after: String,
    deployments: Vec<Deployment>,
    rules: Arc<GroupRules>,
}

impl Pattern {
    /// What the star stands for in `name`.
    fn captured<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.before.as_str())?
            .strip_suffix(self.after.as_str())
            .filter(|star| !star.is_empty())
    }
}

/// The configuration made ready.
pub(crate) struct Snapshot {
    config: Config,
    keys: Keys,
    tokens: Option<Arc<Tokens>>,
    rules: AccessRules,
    groups: HashMap<String, Arc<Group>>,
    by_id: HashMap<String, Arc<Group>>,
    /// Longest fixed part first: the most specific pattern answers.
    patterns: Vec<Pattern>,
    matched: RwLock<HashMap<String, Arc<Group>>>,
    aliases: HashMap<String, String>,
    builder: Builder,
    accounts: Accounts,
    chains: Arc<Chains>,
    sensitive: Sensitive,
    toll_rules: TollRules,
    answers: Option<Arc<Answers>>,
    /// Made of the configuration and of the records, as of so many changes of those.
    access_groups: ArcSwapOption<(u64, Arc<AccessGroups>)>,
    team_models: TeamModels,
    fleet: Arc<Fleet>,
}

/// Makes the groups of the routing groups that callers ask for by name, each with the deployments of all its members. What
/// is known of a deployment is the same by either name.
fn call_together(
    config: &Config,
    groups: &mut HashMap<String, Group>,
    (builder, metrics, fleet): (&Builder, &Metrics, &Arc<Fleet>),
) -> Result<(), BuildError> {
    let called: Vec<&RoutingGroup> =
        config.router.routing_groups.iter().filter(|group| group.is_callable).collect();
    fleet.let_in(called.iter().map(|group| (group.name.as_str(), group.models.as_slice())));
    for called in called {
        let rules = Arc::new(GroupRules::of(config, &called.name));
        let mut group = Group::new(called.name.clone(), rules, fleet);
        for model in called.models.iter().filter(|model| !model.contains('*')) {
            for deployment in config.deployments.iter().filter(|deployment| deployment.model_name == *model) {
                let mut target = builder.target(deployment, &called.name, &deployment.model, metrics)?;
                if let Some(priority) = called.priority_of(model) {
                    target.profile.order = Some(priority);
                }
                group.add(Arc::new(target));
            }
        }
        groups.insert(called.name.clone(), group);
    }
    Ok(())
}

impl Snapshot {
    /// Makes a configuration ready. `previous` lends what can live on: tokens of Entra, and the keys of identity providers.
    pub(crate) fn build(
        config: Config,
        overlay: Option<Overlay>,
        (metrics, fleet): (&Metrics, &Arc<Fleet>),
        previous: Option<&Snapshot>,
    ) -> Result<Self, BuildError> {
        let builder = Builder::new(&config, overlay, fleet, previous.map(|snapshot| &snapshot.builder))?;
        let mut groups: HashMap<String, Group> = HashMap::new();
        let mut by_id = HashMap::new();
        let mut patterns: Vec<Pattern> = Vec::new();
        for deployment in &config.deployments {
            if let Some((before, after)) = deployment.model_name.split_once('*') {
                builder.check(deployment)?;
                match patterns.iter_mut().find(|pattern| pattern.name == deployment.model_name) {
                    Some(pattern) => pattern.deployments.push(deployment.clone()),
                    None => patterns.push(Pattern {
                        name: deployment.model_name.clone(),
                        before: before.to_owned(),
                        after: after.to_owned(),
                        deployments: vec![deployment.clone()],
                        rules: Arc::new(GroupRules::of(&config, &deployment.model_name)),
                    }),
                }
                continue;
            }
            let name = deployment.model_name.clone();
            let group = groups.entry(name.clone()).or_insert_with(|| {
                let rules = Arc::new(GroupRules::of(&config, &name));
                Group::new(name.clone(), rules, fleet)
            });
            let target = Arc::new(builder.target(deployment, &name, &deployment.model, metrics)?);
            let alone = group.alone(Arc::clone(&target));
            by_id.entry(deployment.id.clone()).or_insert_with(|| Arc::new(alone));
            group.add(target);
        }
        call_together(&config, &mut groups, (&builder, metrics, fleet))?;
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.before.len() + pattern.after.len()));
        let accounts = Accounts::new(&config, &builder)?;
        let tokens = Tokens::of(&config, previous.and_then(|snapshot| snapshot.tokens.as_ref()))?;
        let aliases =
            config.router.model_group_alias.iter().map(|alias| (alias.name.clone(), alias.group.clone()));
        Ok(Self {
            keys: Keys::new(config.general.master_key.as_ref().map(tollgate_config::Secret::expose))
                .in_header(config.access.key_header.as_deref()),
            rules: AccessRules::of(&config.access),
            tokens,
            groups: groups.into_iter().map(|(name, group)| (name, Arc::new(group))).collect(),
            by_id,
            patterns,
            matched: RwLock::new(HashMap::new()),
            aliases: aliases.collect(),
            builder,
            accounts,
            chains: Arc::new(Chains::of(&config)),
            sensitive: Sensitive::of(&config),
            toll_rules: TollRules::of(&config),
            answers: Answers::of(&config, previous.and_then(|snapshot| snapshot.answers.as_ref()), metrics),
            access_groups: ArcSwapOption::empty(),
            team_models: TeamModels::of(&config),
            fleet: Arc::clone(fleet),
            config,
        })
    }

    /// Begins to fetch tokens and keys, beside the requests; once per configuration.
    pub(crate) fn start_authorizations(&self, client: &Arc<Client>) {
        self.builder.authorizations().start(client);
        if let Some(tokens) = &self.tokens {
            tokens.start(client);
        }
    }

    /// Makes targets ready.
    pub(crate) fn builder(&self) -> &Builder {
        &self.builder
    }

    /// The accounts of requests that pass through.
    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The configuration as it was read.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The master key's digest, where there is one.
    pub(crate) fn master_digest(&self) -> Option<&[u8; 32]> {
        self.keys.master()
    }

    /// What the configuration says of limits and budgets.
    pub(crate) fn toll_rules(&self) -> &TollRules {
        &self.toll_rules
    }

    /// Answers that are kept; `None` where none are.
    pub(crate) fn answers(&self) -> Option<&Arc<Answers>> {
        self.answers.as_ref()
    }

    /// The group that answers to a name: an alias, a group, a deployment's id, or the most specific wildcard.
    pub(crate) fn group(&self, metrics: &Metrics, asked: &str) -> Option<Arc<Group>> {
        let name = self.aliases.get(asked).map_or(asked, String::as_str);
        if let Some(group) = self.groups.get(name).or_else(|| self.by_id.get(name)) {
            return Some(Arc::clone(group));
        }
        if let Some(first) = self.chains.first_group(name).filter(|first| *first != name) {
            return self.group(metrics, first);
        }
        if self.patterns.is_empty() || name.len() > MODEL_NAME_BYTES_MAX {
            return None;
        }
        let matched = self.matched.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        matched.or_else(|| self.match_pattern(metrics, name))
    }

    fn match_pattern(&self, metrics: &Metrics, name: &str) -> Option<Arc<Group>> {
        let (pattern, star) =
            self.patterns.iter().find_map(|pattern| Some((pattern, pattern.captured(name)?)))?;
        let has_room = self.matched.read().unwrap_or_else(PoisonError::into_inner).len() < WILDCARD_NAMES_MAX;
        let label = if has_room { name } else { &pattern.name };
        // All names of a pattern share its state.
        let of = Group::new(pattern.name.clone(), Arc::clone(&pattern.rules), &self.fleet);
        let mut group = of.named(name);
        for deployment in &pattern.deployments {
            let model = deployment.model.replacen('*', star, 1);
            if let Ok(target) = self.builder.target(deployment, label, &model, metrics) {
                group.add(Arc::new(target));
            }
        }
        let group = Arc::new(group);
        if has_room {
            let mut matched = self.matched.write().unwrap_or_else(PoisonError::into_inner);
            matched.insert(name.to_owned(), Arc::clone(&group));
        }
        Some(group)
    }

    /// The names of the groups in the order in which the configuration first names them, visible aliases last.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let written = self.config.deployments.iter().map(|deployment| deployment.model_name.as_str());
        let aliases = self
            .config
            .router
            .model_group_alias
            .iter()
            .filter(|alias| !alias.hidden)
            .map(|alias| alias.name.as_str());
        let lists = self.config.tollgate.tiers.by_name.iter().map(|(name, _)| name.as_str());
        let called = self.config.router.routing_groups.iter().filter(|group| group.is_callable);
        let called = called.map(|group| group.name.as_str());
        for name in written.chain(called).chain(lists).chain(aliases) {
            if seen.insert(name) {
                names.push(name);
            }
        }
        names
    }

    /// The deployments that a name is described by: a group's, those of all members of a routing group, an alias's, or
    /// those of the first group of a list of tiers.
    pub(crate) fn described_by(&self, name: &str) -> Vec<&Deployment> {
        let name = self.resolve_alias(name);
        let of = |name: &str| -> Vec<&Deployment> {
            let router = &self.config.router;
            let deployments = self.config.deployments.iter();
            deployments.filter(|deployment| router.covers(name, &deployment.model_name)).collect()
        };
        let own = of(name);
        if own.is_empty() { self.chains.first_group(name).map(of).unwrap_or_default() } else { own }
    }

    /// The group behind a visible alias.
    pub(crate) fn resolve_alias<'n>(&'n self, name: &'n str) -> &'n str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    /// What is known of a deployment's model.
    pub(crate) fn model_facts(&self, deployment: &Deployment) -> Option<tollgate_catalog::Model> {
        self.builder.facts(deployment, &deployment.model)
    }

    /// A deployment's prices, its own in place of the catalogue's.
    pub(crate) fn prices(&self, deployment: &Deployment) -> tollgate_catalog::Prices {
        let facts = self.model_facts(deployment);
        self.builder.prices(deployment, &deployment.model, facts.as_ref()).unwrap_or_default()
    }

    /// The limits of a caller's body.
    pub(crate) fn receive_limits(&self) -> ReceiveLimits {
        let own = self.config.tollgate.body_bytes_max;
        let bytes_max = self.config.general.request_bytes_max.unwrap_or(own);
        ReceiveLimits { bytes_max, idle: self.config.tollgate.body_timeout }
    }

    /// What may be fetched for providers that take no addresses.
    pub(crate) fn media_rules(&self) -> MediaRules<'_> {
        MediaRules {
            bytes_max: self.config.tollgate.media_bytes_max,
            allowed_hosts: &self.config.general.user_url_allowed_hosts,
        }
    }

    /// Whether streams that break off within an answer go on from another deployment.
    pub(crate) fn rescues_streams(&self) -> bool {
        self.config.tollgate.rescue
    }

    /// How often and how patiently a request is retried: by its own word, a deployment's, the group's policy.
    pub(crate) fn retry_rules(&self, group: &Group, received: &Received<'_>) -> RetryRules {
        let rules = group.rules().retries;
        if let Some(num_retries) = received.overrides.num_retries {
            return RetryRules { num_retries, by_kind: RetriesByKind::default(), ..rules };
        }
        let own = group.targets().iter().filter_map(|target| target.num_retries).max();
        RetryRules { num_retries: own.unwrap_or(rules.num_retries), ..rules }
    }

    /// A request's way through the groups, at its beginning.
    pub(crate) fn journey(&self, received: &Received<'_>) -> Journey {
        Journey::new(&self.chains, &received.wish, self.resolve_alias(&received.model))
    }

    /// What a request's deployments must fulfil.
    pub(crate) fn requirements(&self, wish: &Wish) -> Requirements {
        self.sensitive.requirements(&wish.requirements, &wish.tags)
    }

    /// Prompts are counted before they are sent.
    pub(crate) fn counts_prompts(&self) -> bool {
        self.config.router.enable_pre_call_checks
    }

    /// The smallest context window of any deployment, in tokens.
    pub(crate) fn smallest_window(&self) -> Option<u64> {
        let groups = self.groups.values().flat_map(|group| group.targets());
        groups.filter_map(|target| target.profile.context_window).min()
    }

    /// The priority of requests that do not say theirs.
    pub(crate) fn default_priority(&self) -> u8 {
        self.config.router.default_priority.unwrap_or(PRIORITY_DEFAULT)
    }

    /// Those of a request's tags that choose deployments: all, or those with the operator's prefix, without it.
    pub(crate) fn routing_tags(&self, tags: &[String]) -> Vec<String> {
        let prefix = self.config.router.tag_routing_prefix.as_str();
        if prefix.is_empty() {
            return tags.to_vec();
        }
        let routing = |tag: &String| {
            let mark = if tag.starts_with(['!', '&']) { 1 } else { 0 };
            let (mark, name) = tag.split_at(mark);
            let name = name.strip_prefix(prefix).filter(|name| !name.is_empty())?;
            Some(format!("{mark}{name}"))
        };
        tags.iter().filter_map(routing).collect()
    }

    /// When all attempts of a request must have ended.
    pub(crate) fn deadline(&self, overrides: &Overrides) -> Instant {
        Instant::now() + self.whole_time(overrides)
    }

    /// The time of all attempts of a request together.
    pub(crate) fn whole_time(&self, overrides: &Overrides) -> Duration {
        overrides.timeout.unwrap_or(self.config.tollgate.total_timeout)
    }

    fn request_timeout(&self) -> Option<Duration> {
        self.config.litellm.request_timeout.or(self.config.router.timeout)
    }

    /// The time limits of one attempt. For a stream they bound the wait for its first content.
    pub(crate) fn call_limits(
        &self,
        received: &Received<'_>,
        target: &Target,
        deadline: Instant,
    ) -> CallLimits {
        let own = &self.config.tollgate;
        let whole = received.overrides.timeout.or(target.timeout).or(self.request_timeout());
        let attempt = if received.stream {
            let first = received
                .overrides
                .stream_timeout
                .or(target.stream_timeout)
                .or(self.config.router.stream_timeout);
            let longest = whole.unwrap_or(REQUEST_TIMEOUT_DEFAULT);
            first.unwrap_or(own.first_token_timeout).min(longest)
        } else {
            whole.unwrap_or(REQUEST_TIMEOUT_DEFAULT)
        };
        CallLimits {
            deadline,
            connect: own.connect_timeout,
            attempt,
            idle: own.chunk_timeout,
            stream: received.stream,
            is_fallback: false,
            checks_quality: false,
        }
    }
}
