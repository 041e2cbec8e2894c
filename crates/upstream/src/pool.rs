//! Idle connections, one pool per worker thread, so that its lock is never waited for.
//!
//! **Invariant:** a connection is here only between a reply read to its end and the next request.

use crate::body::SegmentBody;
use hyper::client::conn::http1::SendRequest;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What two requests must have in common to share a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) tls: bool,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

struct Idle {
    sender: SendRequest<SegmentBody>,
    since: Instant,
}

/// The idle connections of one worker.
pub(crate) struct Pool {
    idle: Mutex<HashMap<PoolKey, Vec<Idle>>>,
    idle_per_host_max: usize,
    idle_for_max: Duration,
}

impl Pool {
    pub(crate) fn new(idle_per_host_max: usize, idle_for_max: Duration) -> Self {
        Self { idle: Mutex::new(HashMap::new()), idle_per_host_max, idle_for_max }
    }

    /// The most recently used connection that is still good.
    pub(crate) fn take(&self, key: &PoolKey) -> Option<SendRequest<SegmentBody>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle.get_mut(key)?;
        while let Some(candidate) = waiting.pop() {
            if !candidate.sender.is_closed() && candidate.since.elapsed() < self.idle_for_max {
                return Some(candidate.sender);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put(&self, key: &PoolKey, sender: SendRequest<SegmentBody>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = idle.get_mut(key) {
            Self::add(waiting, sender, self.idle_per_host_max);
        } else {
            idle.insert(key.clone(), vec![Idle { sender, since: Instant::now() }]);
        }
    }

    fn add(waiting: &mut Vec<Idle>, sender: SendRequest<SegmentBody>, most: usize) {
        if waiting.len() >= most {
            // The one that has waited longest goes.
            waiting.remove(0);
        }
        waiting.push(Idle { sender, since: Instant::now() });
    }

    /// Lets go of what has been idle too long or was closed by the peer.
    pub(crate) fn prune(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, waiting| {
            waiting.retain(|one| !one.sender.is_closed() && one.since.elapsed() < self.idle_for_max);
            !waiting.is_empty()
        });
    }

    /// How many connections wait.
    pub(crate) fn len(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum()
    }
}
