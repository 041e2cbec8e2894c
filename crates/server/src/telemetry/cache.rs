//! What is counted of the cache, by model group; and of the place outside of this process, by its kind.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tollgate_cache::{Event, Told};
use tollgate_catalog::PicoDollars;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabels {
    requested_model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabels {
    place: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    place: &'static str,
    outcome: &'static str,
}

/// What is counted of the cache; the first three by LiteLLM's names.
#[derive(Debug, Default)]
pub(crate) struct CacheMetrics {
    hits: Family<GroupLabels, Counter>,
    misses: Family<GroupLabels, Counter>,
    tokens: Family<GroupLabels, Counter>,
    saved: Family<GroupLabels, Counter<f64, AtomicU64>>,
    looks: Family<OutcomeLabels, Counter>,
    writes: Family<OutcomeLabels, Counter>,
    damaged: Counter,
    up: Family<PlaceLabels, Gauge>,
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
        let help = "Looks for kept answers outside of this process";
        registry.register("tollgate_cache_place_looks", help, self.looks.clone());
        let help = "Answers for the place outside of this process";
        registry.register("tollgate_cache_place_writes", help, self.writes.clone());
        let help = "What came from the place outside of this process and was no answer of ours";
        registry.register("tollgate_cache_place_damaged", help, self.damaged.clone());
        let help = "Whether the place outside of this process is used: 0 while it is left alone";
        registry.register("tollgate_cache_place_up", help, self.up.clone());
    }

    /// Whoever tells of a place of this kind.
    pub(crate) fn hears_of(&self, place: &'static str) -> Told {
        let (looks, writes, up) = (self.looks.clone(), self.writes.clone(), self.up.clone());
        up.get_or_create(&PlaceLabels { place }).set(1);
        Arc::new(move |event| {
            let look = |outcome| looks.get_or_create(&OutcomeLabels { place, outcome }).inc();
            let write = |outcome| writes.get_or_create(&OutcomeLabels { place, outcome }).inc();
            let set_up =
                |is_up: bool| up.get_or_create(&PlaceLabels { place }).set(i64::from(is_up)).unsigned_abs();
            let _before = match event {
                Event::Found => look("found"),
                Event::Absent => look("absent"),
                Event::LookFailed => look("failed"),
                Event::Passed => look("passed"),
                Event::Written => write("written"),
                Event::WriteFailed => write("failed"),
                Event::Dropped => write("dropped"),
                Event::Down => set_up(false),
                Event::Up => set_up(true),
            };
        })
    }

    /// Counts what came from a place and was no answer.
    pub(crate) fn counts_damaged(&self) -> Box<dyn Fn() + Send + Sync> {
        let damaged = self.damaged.clone();
        Box::new(move || {
            damaged.inc();
        })
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
