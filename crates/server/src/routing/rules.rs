//! A group's rules of routing: the configuration's words, turned into `policy`'s.
//!
//! Owns what applies where several settings speak of one group. **Invariant:** made once per configuration; a request
//! reads it.

use super::fleet::GroupBudgets;
use std::time::Duration;
use tollgate_config::{Config, Deployment, HedgeAfter, RetryPolicy};
use tollgate_policy::ask::Leaning;
use tollgate_policy::budget::BudgetRules;
use tollgate_policy::choice::ChoiceRules;
use tollgate_policy::health::{AllowedFails, HealthRules};
use tollgate_policy::latency::LatencyRules;
use tollgate_policy::plan::{RetriesByKind, RetryRules};
use tollgate_policy::strategy::Strategy;
use tollgate_policy::tags::TagRules;

/// When a second deployment is asked beside the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum HedgeDelay {
    /// After so long.
    Fixed(Duration),
    /// After what the group's streams took to their first token in this share of cases.
    Quantile(f64),
}

/// A group's hedging.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hedging {
    pub(crate) after: HedgeDelay,
    /// Most further deployments of one request.
    pub(crate) max: u32,
}

/// How long a request may wait for a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) is_enabled: bool,
    pub(crate) longest: Duration,
}

/// What of an earlier request's deployment is remembered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Affinities {
    pub(crate) session: bool,
    pub(crate) caller: bool,
    pub(crate) prompt_cache: bool,
}

/// The rules of one group.
#[derive(Debug, Clone)]
pub(crate) struct GroupRules {
    pub(crate) strategy: Strategy,
    /// As the operator writes it.
    pub(crate) strategy_name: &'static str,
    pub(crate) latency: LatencyRules,
    pub(crate) retries: RetryRules,
    pub(crate) hedging: Option<Hedging>,
    pub(crate) choice: ChoiceRules,
    pub(crate) waiting: Waiting,
    pub(crate) affinities: Affinities,
    pub(crate) budgets: GroupBudgets,
}

impl GroupRules {
    /// From the configuration.
    pub(crate) fn of(config: &Config, group: &str) -> Self {
        let (router, own) = (&config.router, &config.tollgate);
        let (named, latency) = router.strategy_of(group);
        let has_tags =
            |deployment: &Deployment| deployment.enable_tag_filtering.unwrap_or(router.enable_tag_filtering);
        let mut deployments =
            config.deployments.iter().filter(|deployment| router.covers(group, &deployment.model_name));
        let hedge = own.hedge_of(group);
        let hedging = hedge.map(|hedge| Hedging {
            after: match hedge.after {
                HedgeAfter::Delay(delay) => HedgeDelay::Fixed(delay),
                HedgeAfter::Quantile(quantile) => HedgeDelay::Quantile(quantile),
            },
            max: hedge.max,
        });
        let ten_seconds = Duration::from_secs(10);
        Self {
            strategy: Strategy::from_name(named.name()).unwrap_or_default(),
            strategy_name: named.name(),
            latency: LatencyRules {
                ttl: latency.ttl,
                samples_max: latency.samples_max,
                buffer: latency.buffer,
                percentile: latency.percentile,
            },
            retries: RetryRules {
                num_retries: router.num_retries,
                by_kind: router.retry_policy_of(group).map(by_kind).unwrap_or_default(),
                wait_min: router.retry_after,
            },
            hedging,
            choice: ChoiceRules {
                tags: deployments
                    .any(has_tags)
                    .then_some(TagRules { matches_any: router.tag_filtering_match_any }),
                checks_context_window: router.enable_pre_call_checks,
                latency_buffer: latency.buffer,
            },
            waiting: Waiting { is_enabled: own.queue.enabled, longest: own.queue.max_wait },
            affinities: Affinities {
                session: router.checks.session_affinity,
                caller: router.checks.deployment_affinity,
                prompt_cache: router.checks.prompt_caching,
            },
            budgets: GroupBudgets {
                retries: BudgetRules {
                    ratio: own.retry_budget.ratio,
                    floor_per_second: own.retry_budget.floor_per_second,
                    window: ten_seconds,
                },
                hedges: BudgetRules {
                    ratio: hedge.map_or(0.0, |hedge| hedge.budget),
                    floor_per_second: 0.0,
                    window: ten_seconds,
                },
                waiting_max: own.queue.size,
                session_ttl: router.deployment_affinity_ttl,
            },
        }
    }

    /// Whether choices look at what deployments are doing, limits apart.
    pub(crate) fn reads_load(&self, leaning: Leaning) -> bool {
        matches!(self.strategy, Strategy::LeastBusy | Strategy::Usage) || self.reads_latency(leaning)
    }

    /// Whether choices look at whom deployments keep waiting.
    pub(crate) fn reads_silence(&self, leaning: Leaning) -> bool {
        self.strategy == Strategy::LeastBusy || self.reads_latency(leaning)
    }

    /// Whether choices look at how fast deployments were.
    pub(crate) fn reads_latency(&self, leaning: Leaning) -> bool {
        self.strategy == Strategy::Latency || leaning == Leaning::Latency
    }
}

fn by_kind(policy: &RetryPolicy) -> RetriesByKind {
    RetriesByKind {
        bad_request: policy.bad_request,
        authentication: policy.authentication,
        timeout: policy.timeout,
        rate_limit: policy.rate_limit,
        content_policy: policy.content_policy_violation,
        internal_server: policy.internal_server,
        service_unavailable: policy.service_unavailable,
        not_found: policy.not_found,
        default: policy.default,
    }
}

/// When a deployment's failures take it out: its own word, else the router's.
pub(crate) fn health_rules(config: &Config, deployment: &Deployment) -> HealthRules {
    let router = &config.router;
    let policy = deployment.allowed_fails_policy.as_ref().or(router.allowed_fails_policy.as_ref());
    let by_kind = policy.map(|policy| AllowedFails {
        bad_request: policy.bad_request,
        authentication: policy.authentication,
        timeout: policy.timeout,
        rate_limit: policy.rate_limit,
        content_policy_violation: policy.content_policy_violation,
        internal_server: policy.internal_server,
        service_unavailable: policy.service_unavailable,
        bad_gateway: policy.bad_gateway,
        not_found: policy.not_found,
    });
    HealthRules {
        allowed_fails: deployment.allowed_fails.or(router.allowed_fails),
        by_kind: by_kind.unwrap_or_default(),
        cooldown: deployment.cooldown_time.unwrap_or(router.cooldown_time),
        cooldowns_disabled: router.disable_cooldowns,
    }
}
