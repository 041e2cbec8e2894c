//! What the gateway tells about itself. This stage: Prometheus metrics, under LiteLLM's names where it has them.

mod cache;
mod ledger;
mod metrics;

pub(crate) use ledger::{BudgetGauge, LedgerGauges};
pub(crate) use metrics::{
    AlertMetrics, DeploymentGauges, FallbackFacts, Metrics, TargetLabels, TargetMetrics,
};
