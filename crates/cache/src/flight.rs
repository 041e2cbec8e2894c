//! Requests for the same answer that are under way at the same time: one of them asks, the others wait for it.
//!
//! Owns who leads and how the others hear of it. Leaves to others what is told.
//!
//! **Invariant**: of those who join under one key while a lead is held, exactly one holds it. **Invariant**: whoever
//! follows hears of every end of the lead: what was told last, or that the lead is gone; then one of those who join again
//! leads. **Invariant**: nothing of a flight stays behind when its lead is gone.

use crate::key::Key;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Flights are told apart by the first byte of their keys, so that few requests meet at one lock.
const SHARDS: usize = 64;

type Shard<T> = HashMap<Key, watch::Receiver<Option<T>>>;

/// All flights of a process.
pub struct Flights<T> {
    shards: Vec<Mutex<Shard<T>>>,
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Flights")
    }
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

/// What becomes of whoever joins.
#[derive(Debug)]
pub enum Joined<T> {
    /// It is to ask.
    Leads(Lead<T>),
    /// Another one asks.
    Follows(Follower<T>),
}

impl<T: Clone> Flights<T> {
    /// Joins the flight of a key, or begins one.
    #[must_use]
    pub fn join(self: &Arc<Self>, key: Key) -> Joined<T> {
        let Some(mut shard) = self.shard(&key) else {
            return Joined::Leads(Lead { flights: Arc::clone(self), key, told: watch::channel(None).0 });
        };
        match shard.entry(key) {
            Slot::Occupied(slot) => Joined::Follows(Follower { heard: slot.get().clone() }),
            Slot::Vacant(slot) => {
                let (told, heard) = watch::channel(None);
                slot.insert(heard);
                Joined::Leads(Lead { flights: Arc::clone(self), key, told })
            }
        }
    }
}

impl<T> Flights<T> {
    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard<T>>> {
        let [first, ..] = key.as_bytes();
        let shard = self.shards.get(usize::from(*first) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many flights there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The lead of a flight. Whoever drops it gives it up.
pub struct Lead<T> {
    flights: Arc<Flights<T>>,
    key: Key,
    told: watch::Sender<Option<T>>,
}

impl<T> fmt::Debug for Lead<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Lead({:?})", self.key)
    }
}

impl<T> Lead<T> {
    /// The key that it leads for.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Tells all who follow, and those who join until the lead is gone. What is told later takes its place.
    pub fn tell(&self, news: T) {
        self.told.send_replace(Some(news));
    }

    /// How many follow at this moment.
    #[must_use]
    pub fn followers(&self) -> usize {
        // One receiver is the flight's own.
        self.told.receiver_count().saturating_sub(1)
    }
}

impl<T> Drop for Lead<T> {
    fn drop(&mut self) {
        if let Some(mut shard) = self.flights.shard(&self.key) {
            let is_own = |heard: &watch::Receiver<Option<T>>| heard.same_channel(&self.told.subscribe());
            if shard.get(&self.key).is_some_and(is_own) {
                shard.remove(&self.key);
            }
        }
    }
}

/// One who waits for what another asked.
#[derive(Debug)]
pub struct Follower<T> {
    heard: watch::Receiver<Option<T>>,
}

impl<T: Clone> Follower<T> {
    /// The next word of whoever leads; `None` when the lead is gone and everything it said was heard.
    pub async fn next(&mut self) -> Option<T> {
        // What was told before the lead was given up is heard first.
        while self.heard.changed().await.is_ok() {
            let news = self.heard.borrow_and_update().clone();
            if news.is_some() {
                return news;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyMaker, Scope};

    fn key(name: &[u8]) -> Key {
        KeyMaker::new(b"secret").key(Scope::Shared, &[name])
    }

    fn leads<T: fmt::Debug>(joined: Joined<T>) -> Lead<T> {
        match joined {
            Joined::Leads(lead) => lead,
            Joined::Follows(_) => panic!("follows"),
        }
    }

    fn follows<T: fmt::Debug>(joined: Joined<T>) -> Follower<T> {
        match joined {
            Joined::Follows(follower) => follower,
            Joined::Leads(_) => panic!("leads"),
        }
    }

    #[tokio::test]
    async fn one_leads_and_all_others_hear_what_it_tells() {
        let flights = Arc::new(Flights::default());
        let lead = leads(flights.join(key(b"a")));
        let mut early = follows(flights.join(key(b"a")));
        let _other = leads(flights.join(key(b"b")));
        assert_eq!((flights.len(), lead.followers()), (2, 1));
        lead.tell(1);
        let mut late = follows(flights.join(key(b"a")));
        assert_eq!(early.next().await, Some(1));
        lead.tell(2);
        drop(lead);
        assert_eq!((early.next().await, early.next().await), (Some(2), None));
        assert_eq!((late.next().await, late.next().await), (Some(2), None));
        assert_eq!(flights.len(), 1);
    }

    #[tokio::test]
    async fn a_lead_that_is_given_up_passes_to_one_who_joins_again() {
        let flights: Arc<Flights<u32>> = Arc::default();
        let lead = leads(flights.join(key(b"a")));
        let waiting: Vec<_> = (0..10).map(|_| follows(flights.join(key(b"a")))).collect();
        drop(lead);
        assert!(flights.is_empty());
        for mut follower in waiting {
            assert_eq!(follower.next().await, None);
        }
        let lead = leads(flights.join(key(b"a")));
        assert_eq!(flights.len(), 1);
        drop(lead);
        assert!(flights.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_thousand_at_once_have_one_lead_at_a_time() {
        let flights: Arc<Flights<u32>> = Arc::default();
        let led = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let (flights, led) = (Arc::clone(&flights), Arc::clone(&led));
            tasks.spawn(async move {
                loop {
                    match flights.join(key(b"a")) {
                        Joined::Leads(lead) => {
                            let before = led.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            // The first ten give up.
                            if before >= 10 {
                                lead.tell(7);
                                // Nobody who comes later leads again.
                                std::mem::forget(lead);
                                return 7;
                            }
                        }
                        Joined::Follows(mut follower) => {
                            if let Some(news) = follower.next().await {
                                return news;
                            }
                        }
                    }
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            assert_eq!(done.unwrap(), 7);
        }
        assert_eq!(led.load(std::sync::atomic::Ordering::SeqCst), 11);
    }
}
