//! Idle connections, one pool per worker thread, so that its lock is never waited for.
//!
//! Owns how many wait and for how long; while any wait, a task lets go of those that have grown old.
//! **Invariant:** a connection is here only when it is ready for a request: its last reply was read to its end, its last
//! request written to its end. **Invariant:** nobody is given a connection that was opened under another trust.

use crate::connection::Connection;
use crate::guard::Trust;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Shortest time between two sweeps.
const SWEEP_EVERY_MIN: Duration = Duration::from_millis(100);

/// What two requests must have in common to share a connection.
///
/// The trust is part of it: a person's URL must not find the connection that the operator's URL has opened to the same
/// inner host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) tls: bool,
    /// In lower case, without brackets.
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    pub(crate) trust: Trust,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

#[derive(Default)]
struct Kept {
    hosts: HashMap<Arc<PoolKey>, Vec<Idle>>,
    is_swept: bool,
}

/// The idle connections of one worker.
pub(crate) struct Pool {
    kept: Mutex<Kept>,
    idle_per_host_max: usize,
    idle_for_max: Duration,
}

impl Pool {
    pub(crate) fn new(idle_per_host_max: usize, idle_for_max: Duration) -> Self {
        Self { kept: Mutex::default(), idle_per_host_max, idle_for_max }
    }

    /// The most recently used connection that is still good.
    pub(crate) fn take(&self, key: &PoolKey) -> Option<Connection> {
        let mut kept = self.lock();
        let waiting = kept.hosts.get_mut(key)?;
        while let Some(candidate) = waiting.pop() {
            if self.is_good(&candidate) {
                return Some(candidate.connection);
            }
        }
        None
    }

    /// Lets go of every connection of a host. One that was found closed has siblings of its age; without them a request
    /// meets that once and not at every attempt.
    pub(crate) fn forget(&self, key: &PoolKey) {
        self.lock().hosts.remove(key);
    }

    /// Keeps a connection for the next request, if it is ready for one.
    pub(crate) fn put(self: &Arc<Self>, key: &Arc<PoolKey>, connection: Connection) {
        if !connection.is_ready() || self.idle_per_host_max == 0 {
            return;
        }
        let mut kept = self.lock();
        let waiting = kept.hosts.entry(Arc::clone(key)).or_default();
        if waiting.len() >= self.idle_per_host_max {
            // The one that has waited longest goes.
            waiting.remove(0);
        }
        waiting.push(Idle { connection, since: Instant::now() });
        if !kept.is_swept
            && let Ok(runtime) = Handle::try_current()
        {
            kept.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(self), (self.idle_for_max / 4).max(SWEEP_EVERY_MIN)));
        }
    }

    /// Lets go of what has been idle too long or was closed by the peer.
    pub(crate) fn prune(&self) {
        self.prune_kept(&mut self.lock());
    }

    /// How many connections wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().hosts.values().map(Vec::len).sum()
    }

    fn prune_kept(&self, kept: &mut Kept) {
        kept.hosts.retain(|_, waiting| {
            waiting.retain(|idle| self.is_good(idle));
            !waiting.is_empty()
        });
    }

    fn is_good(&self, idle: &Idle) -> bool {
        idle.connection.is_ready() && idle.since.elapsed() < self.idle_for_max
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prunes until nothing waits any more, or the pool is gone.
async fn sweep(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut kept = pool.lock();
        pool.prune_kept(&mut kept);
        if kept.hosts.is_empty() {
            kept.is_swept = false;
            return;
        }
    }
}
