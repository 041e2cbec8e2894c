//! What is counted of the cache, by model group.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use tollgate_catalog::PicoDollars;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabels {
    requested_model: String,
}

/// What is counted of the cache; the first three by LiteLLM's names.
#[derive(Debug, Default)]
pub(crate) struct CacheMetrics {
    hits: Family<GroupLabels, Counter>,
    misses: Family<GroupLabels, Counter>,
    tokens: Family<GroupLabels, Counter>,
    saved: Family<GroupLabels, Counter<f64, AtomicU64>>,
}

impl CacheMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests that were answered from the cache";
        registry.register("litellm_cache_hits_metric", help, self.hits.clone());
        let help = "Requests for the cache that were not in it";
        registry.register("litellm_cache_misses_metric", help, self.misses.clone());
        let help = "Tokens of answers from the cache";
        registry.register("litellm_cached_tokens_metric", help, self.tokens.clone());
        let help = "Spend in USD that answers from the cache have saved";
        registry.register("tollgate_cache_saved_spend", help, self.saved.clone());
    }

    /// A request was answered from the cache.
    pub(crate) fn hit(&self, group: &str, tokens: u64, saved: Option<PicoDollars>) {
        let labels = GroupLabels { requested_model: group.to_owned() };
        self.hits.get_or_create(&labels).inc();
        self.tokens.get_or_create(&labels).inc_by(tokens);
        if let Some(saved) = saved {
            // A display of money: Prometheus knows only doubles.
            self.saved.get_or_create(&labels).inc_by(saved.0 as f64 / 1e12);
        }
    }

    /// A request for the cache was not in it.
    pub(crate) fn missed(&self, group: &str) {
        self.misses.get_or_create(&GroupLabels { requested_model: group.to_owned() }).inc();
    }
}
