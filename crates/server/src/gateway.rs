//! What all workers share: the routes, the metrics, the snapshot and the drain.

use crate::build::BuildError;
use crate::drain::{Drain, Stage};
use crate::routes::Routes;
use crate::snapshot::Snapshot;
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tollgate_catalog::Overlay;
use tollgate_config::Config;

/// Why a gateway could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The configuration cannot be served.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The table of routes contradicts itself.
    #[error("routes: {0}")]
    Routes(String),
}

/// The gateway.
pub struct Gateway {
    routes: Routes,
    metrics: Metrics,
    snapshot: ArcSwap<Snapshot>,
    drain: Arc<Drain>,
}

impl Gateway {
    /// A gateway that serves this configuration. `overlay` has the operator's own facts about models.
    ///
    /// # Errors
    /// [`GatewayError::Build`] names the entry that cannot be served.
    pub fn new(config: Config, overlay: Option<Overlay>) -> Result<Arc<Self>, GatewayError> {
        let metrics = Metrics::new();
        let snapshot = Snapshot::build(config, overlay, &metrics, None)?;
        let routes = Routes::new().map_err(GatewayError::Routes)?;
        Ok(Arc::new(Self {
            routes,
            metrics,
            snapshot: ArcSwap::from_pointee(snapshot),
            drain: Arc::default(),
        }))
    }

    /// Takes a new configuration over as a whole. Requests that run keep the old one to their end.
    ///
    /// # Errors
    /// [`BuildError`]; the old configuration stays.
    pub fn reload(&self, config: Config, overlay: Option<Overlay>) -> Result<(), BuildError> {
        let snapshot = Snapshot::build(config, overlay, &self.metrics, Some(&self.snapshot.load()))?;
        self.snapshot.store(Arc::new(snapshot));
        self.metrics.reloads.inc();
        Ok(())
    }

    /// Counts a configuration that was refused, here or before it came here.
    pub fn note_refused_reload(&self) {
        self.metrics.reload_failures.inc();
    }

    /// Goes forward to a stage of the process's end.
    pub fn advance(&self, stage: Stage) {
        self.drain.advance(stage);
    }

    /// Requests that are being answered.
    pub fn in_flight(&self) -> i64 {
        self.metrics.in_flight.get()
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn drain(&self) -> &Drain {
        &self.drain
    }

    pub(crate) fn drain_handle(&self) -> Arc<Drain> {
        Arc::clone(&self.drain)
    }
}
