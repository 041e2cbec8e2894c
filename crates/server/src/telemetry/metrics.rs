//! Prometheus metrics.
//!
//! Handles are resolved once per deployment and model, when it is first used; a request adds to them without a look-up.
//! **Invariant:** label values come from the configuration, never from a request's free text, so their number is bounded.

use super::cache::CacheMetrics;
use super::ledger::{LedgerGauges, LedgerMetrics};
use crate::surface::Surface;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock, PoisonError};
use tollgate_policy::health::Forced;

type DollarCounter = Counter<f64, AtomicU64>;

/// Seconds; LiteLLM's span of buckets.
const LATENCY_BUCKETS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Seconds; the gateway's own share is far below a millisecond.
const OVERHEAD_BUCKETS: [f64; 12] =
    [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.025, 0.1, 1.0];

/// The labels of everything that one deployment answers under one group's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TargetLabels {
    /// The group.
    pub(crate) requested_model: String,
    /// The provider's model.
    pub(crate) model: String,
    /// The deployment's id.
    pub(crate) model_id: String,
    /// The provider.
    pub(crate) api_provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    requested_model: String,
    status_code: u16,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    requested_model: String,
    model: String,
    model_id: String,
    api_provider: String,
    exception_status: u16,
    exception_class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ForcedLabels {
    model_id: String,
    state: &'static str,
}

/// How a deployment stands when the metrics are read.
#[derive(Debug, Clone)]
pub(crate) struct DeploymentGauges {
    pub(crate) labels: TargetLabels,
    /// LiteLLM's figure: 0 healthy, 1 partial outage, 2 complete outage.
    pub(crate) state: i64,
    /// An operator's word.
    pub(crate) forced: Option<Forced>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RescueLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierLabels {
    list: String,
    tier: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FallbackLabels {
    requested_model: String,
    fallback_model: String,
    exception_status: u16,
    exception_class: &'static str,
}

/// A move to another group, as it is counted. The names are configured ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FallbackFacts<'a> {
    /// The group that was asked for.
    pub(crate) requested: &'a str,
    /// The group that was gone to.
    pub(crate) fallback: &'a str,
    /// The status and the class of the failure that led there.
    pub(crate) after: (u16, &'static str),
}

/// What counts alerts.
#[derive(Debug, Clone)]
pub(crate) struct AlertMetrics {
    raised: Family<AlertLabels, Counter>,
    dropped: Counter,
}

impl AlertMetrics {
    /// An alert was raised.
    pub(crate) fn raised(&self, kind: &'static str) {
        self.raised.get_or_create(&AlertLabels { kind }).inc();
    }

    /// Counts those that were not delivered.
    pub(crate) fn dropped(&self) -> Counter {
        self.dropped.clone()
    }
}

/// What can come of a stream that broke.
const RESCUE_OUTCOMES: [&str; 4] = ["prefill", "replay", "impossible", "failed"];

/// All metrics of the process.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    failed_requests: Family<RequestLabels, Counter>,
    spend: Family<TargetLabels, DollarCounter>,
    input_tokens: Family<TargetLabels, Counter>,
    output_tokens: Family<TargetLabels, Counter>,
    total_tokens: Family<TargetLabels, Counter>,
    total_latency: Family<TargetLabels, Histogram>,
    api_latency: Family<TargetLabels, Histogram>,
    first_token: Family<TargetLabels, Histogram>,
    overhead: Family<TargetLabels, Histogram>,
    deployment_requests: Family<TargetLabels, Counter>,
    deployment_successes: Family<TargetLabels, Counter>,
    deployment_cooldowns: Family<TargetLabels, Counter>,
    overhead_spend: Family<TargetLabels, DollarCounter>,
    deployment_failures: Family<FailureLabels, Counter>,
    unpriced: Family<TargetLabels, Counter>,
    estimated: Family<TargetLabels, Counter>,
    rescues: Family<RescueLabels, Counter>,
    hedges: Family<RescueLabels, Counter>,
    alerts: AlertMetrics,
    tiers: Family<TierLabels, Counter>,
    fallback_successes: Family<FallbackLabels, Counter>,
    fallback_failures: Family<FallbackLabels, Counter>,
    deployment_state: Family<TargetLabels, Gauge>,
    deployment_forced: Family<ForcedLabels, Gauge>,
    ledger: LedgerMetrics,
    /// What is counted of the cache.
    pub(crate) cache: CacheMetrics,
    /// Gauges that are set when they are read are read by one at a time.
    reading: Mutex<()>,
    /// Requests that are being answered.
    pub(crate) in_flight: Gauge,
    /// Callers that went away before their answer was complete.
    pub(crate) disconnects: Counter,
    /// Panics that were fenced.
    pub(crate) bugs: Counter,
    /// Configurations taken over while running.
    pub(crate) reloads: Counter,
    /// Configurations refused while running.
    pub(crate) reload_failures: Counter,
    /// Workers that stood still.
    pub(crate) worker_stalls: Counter,
    /// 1 while memory is short.
    pub(crate) memory_short: Gauge,
    /// Requests that were refused since memory was short.
    pub(crate) shed: Counter,
}

/// One deployment's handles.
#[derive(Debug, Clone)]
pub(crate) struct TargetMetrics {
    labels: TargetLabels,
    pub(crate) spend: DollarCounter,
    pub(crate) input_tokens: Counter,
    pub(crate) output_tokens: Counter,
    pub(crate) total_tokens: Counter,
    pub(crate) total_latency: Histogram,
    pub(crate) api_latency: Histogram,
    pub(crate) first_token: Histogram,
    pub(crate) overhead: Histogram,
    pub(crate) attempts: Counter,
    pub(crate) cooldowns: Counter,
    pub(crate) overhead_spend: DollarCounter,
    pub(crate) successes: Counter,
    pub(crate) unpriced: Counter,
    pub(crate) estimated: Counter,
    /// Requests answered with 200, by surface; those that are asked for rarely are there from the first on.
    answered: [OnceLock<Counter>; Surface::COUNT],
}

impl TargetMetrics {
    /// The group under which it is counted.
    pub(crate) fn group(&self) -> &str {
        &self.labels.requested_model
    }
}

fn latency() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}

fn overhead() -> Histogram {
    Histogram::new(OVERHEAD_BUCKETS)
}

impl Metrics {
    /// An empty set.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            failed_requests: Family::default(),
            spend: Family::default(),
            input_tokens: Family::default(),
            output_tokens: Family::default(),
            total_tokens: Family::default(),
            total_latency: Family::new_with_constructor(latency),
            api_latency: Family::new_with_constructor(latency),
            first_token: Family::new_with_constructor(latency),
            overhead: Family::new_with_constructor(overhead),
            deployment_requests: Family::default(),
            deployment_successes: Family::default(),
            deployment_cooldowns: Family::default(),
            overhead_spend: Family::default(),
            deployment_failures: Family::default(),
            unpriced: Family::default(),
            estimated: Family::default(),
            rescues: Family::default(),
            hedges: Family::default(),
            alerts: AlertMetrics { raised: Family::default(), dropped: Counter::default() },
            tiers: Family::default(),
            fallback_successes: Family::default(),
            fallback_failures: Family::default(),
            deployment_state: Family::default(),
            deployment_forced: Family::default(),
            ledger: LedgerMetrics::default(),
            cache: CacheMetrics::default(),
            reading: Mutex::default(),
            in_flight: Gauge::default(),
            disconnects: Counter::default(),
            bugs: Counter::default(),
            reloads: Counter::default(),
            reload_failures: Counter::default(),
            worker_stalls: Counter::default(),
            memory_short: Gauge::default(),
            shed: Counter::default(),
        };
        metrics.register_litellm();
        metrics.register_own();
        for outcome in RESCUE_OUTCOMES {
            drop(metrics.rescues.get_or_create(&RescueLabels { outcome }));
        }
        for outcome in ["won", "lost"] {
            drop(metrics.hedges.get_or_create(&RescueLabels { outcome }));
        }
        metrics
    }

    fn register_litellm(&mut self) {
        let r = &mut self.registry;
        r.register("litellm_proxy_total_requests_metric", "Requests for models", self.requests.clone());
        r.register(
            "litellm_proxy_failed_requests_metric",
            "Requests that failed",
            self.failed_requests.clone(),
        );
        r.register("litellm_spend_metric", "Spend in USD", self.spend.clone());
        r.register("litellm_input_tokens_metric", "Tokens of prompts", self.input_tokens.clone());
        r.register("litellm_output_tokens_metric", "Tokens of answers", self.output_tokens.clone());
        r.register("litellm_total_tokens_metric", "Tokens of prompts and answers", self.total_tokens.clone());
        r.register("litellm_request_total_latency_metric", "Seconds in all", self.total_latency.clone());
        r.register("litellm_llm_api_latency_metric", "Seconds at the provider", self.api_latency.clone());
        let help = "Seconds to the first token of a stream";
        r.register("litellm_llm_api_time_to_first_token_metric", help, self.first_token.clone());
        r.register("litellm_overhead_latency_metric", "Seconds added by the gateway", self.overhead.clone());
        r.register("litellm_deployment_total_requests", "Attempts", self.deployment_requests.clone());
        let help = "Attempts that were answered";
        r.register("litellm_deployment_success_responses", help, self.deployment_successes.clone());
        r.register(
            "litellm_deployment_failure_responses",
            "Attempts that failed",
            self.deployment_failures.clone(),
        );
        let help = "Times that a deployment was taken out for its failures";
        r.register("litellm_deployment_cooled_down", help, self.deployment_cooldowns.clone());
        let help = "Requests that a fallback answered";
        r.register("litellm_deployment_successful_fallbacks", help, self.fallback_successes.clone());
        let help = "Fallbacks that did not answer";
        r.register("litellm_deployment_failed_fallbacks", help, self.fallback_failures.clone());
        let help = "How deployments stand: 0 healthy, 1 partial outage, 2 complete outage";
        r.register("litellm_deployment_state", help, self.deployment_state.clone());
        r.register("litellm_in_flight_requests", "Requests being answered", self.in_flight.clone());
    }

    fn register_own(&mut self) {
        let r = &mut self.registry;
        let help = "Answers of models without a known price";
        r.register("tollgate_unpriced_requests", help, self.unpriced.clone());
        let help = "Answers whose tokens were estimated since the provider did not report them";
        r.register("tollgate_estimated_usage", help, self.estimated.clone());
        let help = "Streams that broke off within an answer, by what became of them";
        r.register("tollgate_rescues", help, self.rescues.clone());
        let help = "Requests that a second deployment was asked for beside a slow first one";
        r.register("tollgate_hedges", help, self.hedges.clone());
        r.register("tollgate_alerts", "Alerts that were raised", self.alerts.raised.clone());
        let help = "Alerts that a webhook was not told";
        r.register("tollgate_alerts_dropped", help, self.alerts.dropped.clone());
        let help = "Requests that were answered, by the tier that answered";
        r.register("tollgate_tier_requests", help, self.tiers.clone());
        let help = "Deployments that an operator forces up, down or draining";
        r.register("tollgate_deployment_forced", help, self.deployment_forced.clone());
        let help = "Callers that went away before their answer was complete";
        r.register("tollgate_client_disconnects", help, self.disconnects.clone());
        let help =
            "Estimated spend in USD on attempts that no caller is charged for, such as hedges that lost";
        r.register("tollgate_overhead_spend", help, self.overhead_spend.clone());
        r.register("tollgate_bugs", "Panics that were fenced", self.bugs.clone());
        r.register("tollgate_config_reloads", "Configurations taken over", self.reloads.clone());
        r.register("tollgate_config_reload_failures", "Configurations refused", self.reload_failures.clone());
        let help = "Times that a worker's thread stood still for half a second";
        r.register("tollgate_worker_stalls", help, self.worker_stalls.clone());
        r.register("tollgate_memory_short", "1 while memory is short", self.memory_short.clone());
        r.register("tollgate_requests_shed", "Requests refused since memory was short", self.shed.clone());
        self.ledger.register(&mut self.registry);
        self.cache.register(&mut self.registry);
    }

    /// The handles of one deployment.
    pub(crate) fn target(&self, labels: TargetLabels) -> TargetMetrics {
        TargetMetrics {
            spend: self.spend.get_or_create_owned(&labels),
            input_tokens: self.input_tokens.get_or_create_owned(&labels),
            output_tokens: self.output_tokens.get_or_create_owned(&labels),
            total_tokens: self.total_tokens.get_or_create_owned(&labels),
            total_latency: self.total_latency.get_or_create_owned(&labels),
            api_latency: self.api_latency.get_or_create_owned(&labels),
            first_token: self.first_token.get_or_create_owned(&labels),
            overhead: self.overhead.get_or_create_owned(&labels),
            attempts: self.deployment_requests.get_or_create_owned(&labels),
            cooldowns: self.deployment_cooldowns.get_or_create_owned(&labels),
            overhead_spend: self.overhead_spend.get_or_create_owned(&labels),
            successes: self.deployment_successes.get_or_create_owned(&labels),
            unpriced: self.unpriced.get_or_create_owned(&labels),
            estimated: self.estimated.get_or_create_owned(&labels),
            answered: std::array::from_fn(|_| OnceLock::new()),
            labels,
        }
    }

    /// A request was answered with 200.
    pub(crate) fn answered(&self, target: &TargetMetrics, surface: Surface) {
        let Some(counter) = target.answered.get(surface.index()) else { return };
        let counter = counter.get_or_init(|| {
            self.requests.get_or_create_owned(&RequestLabels {
                requested_model: target.labels.requested_model.clone(),
                status_code: 200,
                route: surface.path(),
            })
        });
        counter.inc();
    }

    /// An attempt failed.
    pub(crate) fn attempt_failed(&self, target: &TargetMetrics, status: u16, class: &'static str) {
        let TargetLabels { requested_model, model, model_id, api_provider } = target.labels.clone();
        let labels = FailureLabels {
            requested_model,
            model,
            model_id,
            api_provider,
            exception_status: status,
            exception_class: class,
        };
        self.deployment_failures.get_or_create(&labels).inc();
    }

    /// A stream broke off within its answer: it went on by `prefill` or `replay`, could not (`impossible`), or nobody went
    /// on with it (`failed`); or behind it, and was ended here (`mended`).
    pub(crate) fn rescued(&self, outcome: &'static str) {
        self.rescues.get_or_create(&RescueLabels { outcome }).inc();
    }

    /// A request was hedged: the second deployment answered first (`won`), or the first one did (`lost`).
    pub(crate) fn hedged(&self, outcome: &'static str) {
        self.hedges.get_or_create(&RescueLabels { outcome }).inc();
    }

    /// What counts alerts.
    pub(crate) fn alerts(&self) -> AlertMetrics {
        self.alerts.clone()
    }

    /// A tier of a list has answered a request.
    pub(crate) fn served_by_tier(&self, list: &str, tier: &str) {
        let labels = TierLabels { list: list.to_owned(), tier: tier.to_owned() };
        self.tiers.get_or_create(&labels).inc();
    }

    /// A request that had gone on to another group was answered there, or not.
    pub(crate) fn fell_back(&self, facts: FallbackFacts<'_>, was_answered: bool) {
        let labels = FallbackLabels {
            requested_model: facts.requested.to_owned(),
            fallback_model: facts.fallback.to_owned(),
            exception_status: facts.after.0,
            exception_class: facts.after.1,
        };
        let family = if was_answered { &self.fallback_successes } else { &self.fallback_failures };
        family.get_or_create(&labels).inc();
    }

    /// A request ended without an answer. `requested_model` is a configured group's name, or empty.
    pub(crate) fn request_failed(&self, requested_model: &str, status: u16, route: &'static str) {
        let labels =
            RequestLabels { requested_model: requested_model.to_owned(), status_code: status, route };
        self.requests.get_or_create(&labels).inc();
        self.failed_requests.get_or_create(&labels).inc();
    }

    /// The text that Prometheus scrapes (OpenMetrics 1.0), with the deployments and the ledger as they stand.
    pub(crate) fn text(&self, deployments: Vec<DeploymentGauges>, ledger: &LedgerGauges) -> String {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.deployment_state.clear();
        self.deployment_forced.clear();
        for DeploymentGauges { labels, state, forced } in deployments {
            for (word, is_meant) in
                [("up", Forced::Up), ("draining", Forced::Draining), ("down", Forced::Down)]
            {
                let labels = ForcedLabels { model_id: labels.model_id.clone(), state: word };
                let is_forced = i64::from(forced == Some(is_meant));
                self.deployment_forced.get_or_create(&labels).set(is_forced);
            }
            self.deployment_state.get_or_create(&labels).set(state);
        }
        self.ledger.set(ledger);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_text_under_litellms_names() {
        let metrics = Metrics::new();
        let target = metrics.target(TargetLabels {
            requested_model: "gpt-4o".into(),
            model: "gpt-4o".into(),
            model_id: "a".into(),
            api_provider: "openai".into(),
        });
        target.spend.inc_by(0.25);
        metrics.answered(&target, Surface::Chat);
        metrics.request_failed("gpt-4o", 429, "/chat/completions");
        metrics.attempt_failed(&target, 500, "server");
        let text = metrics.text(Vec::new(), &LedgerGauges::default());
        for line in [
            "litellm_spend_metric_total{requested_model=\"gpt-4o\",model=\"gpt-4o\",model_id=\"a\",api_provider=\"openai\"} 0.25",
            "litellm_proxy_total_requests_metric_total{requested_model=\"gpt-4o\",status_code=\"200\",route=\"/chat/completions\"} 1",
            "litellm_proxy_failed_requests_metric_total{requested_model=\"gpt-4o\",status_code=\"429\",route=\"/chat/completions\"} 1",
            "exception_status=\"500\",exception_class=\"server\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
