//! The keys of one address, kept.
//!
//! A request that finds them too old fetches them, and those beside it use the old ones as long as they may be used. Where
//! the address is away, the old ones go on until they are stale. **Invariant:** one fetch of an address runs at a time.
//! **Invariant:** after one that failed, and after one for a key that was not known, the next waits. **Invariant:** a fetch
//! goes on when the caller that began it has gone, so that nobody can keep the keys away by hanging up.

use crate::address::{Address, Fetch};
use crate::gate::Times;
use arc_swap::ArcSwapOption;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tollgate_identity::jwt::JwkSet;

/// How soon keys are fetched again because a token names one that is not among them.
pub const REFETCH_AFTER: Duration = Duration::from_secs(30);
/// How soon they are fetched again after that failed.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Keys, and when they came.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) keys: JwkSet,
    /// Grows with every change of the keys.
    pub(crate) generation: u64,
    fetched: Instant,
}

/// How the last fetch ended.
#[derive(Debug, Clone, Default)]
struct Last {
    begun: Option<Instant>,
    failure: Option<String>,
}

/// The keys of one address.
#[derive(Debug)]
pub(crate) struct Keeper {
    address: Address,
    held: ArcSwapOption<Held>,
    /// Held by whoever fetches.
    fetching: Arc<tokio::sync::Mutex<()>>,
    last: Mutex<Last>,
}

impl Keeper {
    pub(crate) fn new(address: Address) -> Self {
        Self { address, held: ArcSwapOption::empty(), fetching: Arc::default(), last: Mutex::default() }
    }

    /// Whether it keeps the keys of this address.
    pub(crate) fn is_of(&self, address: &Address) -> bool {
        self.address.is_same(address)
    }

    /// The keys: those that are there where they may still be used, else fetched.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) async fn keys<F: Fetch>(
        self: &Arc<Self>,
        fetch: &Arc<F>,
        times: Times,
    ) -> Result<Arc<Held>, String> {
        let held = self.held.load_full();
        if let Some(held) = held.as_ref().filter(|held| held.fetched.elapsed() < times.fresh) {
            return Ok(Arc::clone(held));
        }
        let usable = held.filter(|held| held.fetched.elapsed() < times.fresh.saturating_add(times.stale));
        if let Some(usable) = usable {
            return match Arc::clone(&self.fetching).try_lock_owned() {
                // Somebody else is at it.
                Err(_) => Ok(usable),
                Ok(guard) => Ok(self.fetched(fetch, RETRY_AFTER, guard).await.unwrap_or(usable)),
            };
        }
        let guard = Arc::clone(&self.fetching).lock_owned().await;
        // It may have come while this waited.
        let held = self.held.load_full();
        match held.filter(|held| held.fetched.elapsed() < times.fresh) {
            Some(held) => Ok(held),
            None => self.fetched(fetch, RETRY_AFTER, guard).await,
        }
    }

    /// Newer keys than these, for a token that names one that is not among them; none where there are none, or where they
    /// were asked for just now.
    ///
    /// # Errors
    /// Why nobody can say.
    pub(crate) async fn newer<F: Fetch>(
        self: &Arc<Self>,
        than: &Held,
        fetch: &Arc<F>,
    ) -> Result<Option<Arc<Held>>, String> {
        let guard = Arc::clone(&self.fetching).lock_owned().await;
        let held = self.held.load_full();
        if let Some(newer) = held.filter(|held| held.generation > than.generation) {
            return Ok(Some(newer));
        }
        match self.fetched(fetch, REFETCH_AFTER, guard).await {
            Ok(held) => Ok(Some(held).filter(|held| held.generation > than.generation)),
            // The last answer was an answer.
            Err(_) if self.last().failure.is_none() => Ok(None),
            Err(reason) => Err(reason),
        }
    }

    /// Fetches, where the last time is long enough ago: `wait` after one that succeeded, [`RETRY_AFTER`] at least after one
    /// that failed.
    async fn fetched<F: Fetch>(
        self: &Arc<Self>,
        fetch: &Arc<F>,
        wait: Duration,
        guard: OwnedMutexGuard<()>,
    ) -> Result<Arc<Held>, String> {
        let last = self.last();
        let is_early = |wait: Duration| last.begun.is_some_and(|begun| begun.elapsed() < wait);
        if let Some(failure) = last.failure.as_ref().filter(|_| is_early(wait.max(RETRY_AFTER))) {
            return Err(failure.clone());
        }
        if wait > RETRY_AFTER && is_early(wait) {
            return Err("the keys were fetched just now".to_owned());
        }
        let (keeper, fetch) = (Arc::clone(self), Arc::clone(fetch));
        let fetching = tokio::spawn(async move {
            let _guard = guard;
            keeper.fetch(&*fetch).await
        });
        fetching.await.unwrap_or_else(|_| Err("the fetch was given up".to_owned()))
    }

    async fn fetch(&self, fetch: &impl Fetch) -> Result<Arc<Held>, String> {
        let fetched = fetch.keys(&self.address).await;
        let failure = fetched.as_ref().err().cloned();
        if let Some(reason) = &failure {
            tracing::warn!(
                address = self.address.as_str(),
                reason,
                "keys of an identity provider not fetched"
            );
        }
        self.set_last(Last { begun: Some(Instant::now()), failure });
        let keys = fetched?;
        let before = self.held.load_full();
        let generation = match &before {
            Some(before) if before.keys == keys => before.generation,
            Some(before) => before.generation + 1,
            None => 1,
        };
        let held = Arc::new(Held { keys, generation, fetched: Instant::now() });
        self.held.store(Some(Arc::clone(&held)));
        Ok(held)
    }

    fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_last(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

#[cfg(test)]
pub(crate) mod tests;
