//! A store that is opened by whoever needs it first.
//!
//! Leaves what is done with it to `store.rs`.
//!
//! **Invariant**: until somebody asks, there is no file, no thread and no connection. **Invariant**: those who ask at the
//! same time share one attempt and its error; whoever asks after it has failed makes the next.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::StoreError;
use crate::options::{Location, StoreOptions};
use crate::store::Store;

/// A place for a [`Store`], empty at first.
pub struct LazyStore {
    location: Location,
    options: StoreOptions,
    store: OnceLock<Store>,
    /// Attempts that have ended.
    attempts: AtomicU64,
    /// How the last one failed; held while an attempt runs.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failed: Option<StoreError>,
    is_closed: bool,
}

impl LazyStore {
    /// Remembers where the store is to be, and nothing else.
    pub fn new(location: Location, options: StoreOptions) -> Self {
        Self {
            location,
            options,
            store: OnceLock::new(),
            attempts: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Where the store is, or will be.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Whether there is something to open, or it is open already: a file that nobody has written to yet is not made by
    /// looking. Touches the disk.
    pub fn exists(&self) -> bool {
        let is_there = |location: &Location| match location {
            Location::File(path) => path.exists(),
            Location::Memory => false,
        };
        self.store.get().is_some() || is_there(&self.location)
    }

    /// The store, opened now if it is not yet.
    ///
    /// # Errors
    /// Those of [`Store::open`], and [`StoreError::Closed`].
    pub async fn get(&self) -> Result<&Store, StoreError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let seen = self.attempts.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        if state.is_closed {
            return Err(StoreError::Closed);
        }
        // Another's attempt has ended while this call waited.
        if let Some(error) = state.failed.as_ref().filter(|_| self.attempts.load(Ordering::Acquire) != seen) {
            return Err(error.clone());
        }
        let opened = Store::open(self.location.clone(), &self.options).await;
        self.attempts.fetch_add(1, Ordering::Release);
        match opened {
            Ok(store) => {
                state.failed = None;
                Ok(self.store.get_or_init(|| store))
            }
            Err(error) => {
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The store, if it is open already.
    pub fn opened(&self) -> Option<&Store> {
        self.store.get()
    }

    /// Why the last attempt to open it failed; `None` when none was made, or it is open. For readiness and the log.
    pub async fn last_error(&self) -> Option<StoreError> {
        self.state.lock().await.failed.clone()
    }

    /// Closes the store if it is open, and keeps it from being opened otherwise.
    pub async fn close(&self) {
        let mut state = self.state.lock().await;
        state.is_closed = true;
        if let Some(store) = self.store.get() {
            store.close().await;
        }
    }
}
