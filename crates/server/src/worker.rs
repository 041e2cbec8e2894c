//! One worker thread's share of the gateway: the common state, and a way out of its own.

use crate::gateway::Gateway;
use std::sync::Arc;
use tollgate_upstream::{Client, Shared};

/// What the requests of one worker thread use.
#[derive(Clone)]
pub struct Worker {
    /// What all workers share.
    pub gateway: Arc<Gateway>,
    /// This worker's connections to providers.
    pub client: Arc<Client>,
}

impl Worker {
    /// A worker of the gateway; make one per thread.
    pub fn new(gateway: Arc<Gateway>, shared: Arc<Shared>) -> Arc<Self> {
        gateway.alerts().attach(&shared);
        Arc::new(Self { gateway, client: Arc::new(Client::new(shared)) })
    }
}
