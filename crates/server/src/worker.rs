//! One worker thread's share of the gateway: the common state, and a way out of its own.

use crate::gateway::Gateway;
use std::sync::Arc;
use tollgate_upstream::{Client, Shared};

/// Which routes a listener serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Door {
    /// All: there is one door.
    #[default]
    Only,
    /// Those of callers; the operator's have a door of their own.
    Callers,
    /// The operator's, and all others.
    Operator,
}

/// What the requests of one worker thread use.
#[derive(Clone)]
pub struct Worker {
    /// What all workers share.
    pub gateway: Arc<Gateway>,
    /// This worker's connections to providers.
    pub client: Arc<Client>,
    /// What those who come in by its listener may reach.
    pub door: Door,
}

impl Worker {
    /// A worker of the gateway; make one per thread.
    pub fn new(gateway: Arc<Gateway>, shared: Arc<Shared>) -> Arc<Self> {
        Self::behind(Door::Only, gateway, shared)
    }

    /// The same, of a listener that is not the only one.
    pub fn behind(door: Door, gateway: Arc<Gateway>, shared: Arc<Shared>) -> Arc<Self> {
        gateway.alerts().attach(&shared);
        Arc::new(Self { gateway, client: Arc::new(Client::new(shared)), door })
    }
}
