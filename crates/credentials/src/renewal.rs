//! Holds what has an end, and renews it beside the requests.
//!
//! One task, the keeper, does all fetching of a source: when somebody first asks, then well before each end, and after a
//! failure again and again with growing waits. It lives on the runtime of the worker that was asked first; if that ends,
//! the next request starts another. Leaves to others: what is fetched ([`Fetch`]).
//!
//! **Invariant:** one fetch runs at a time. **Invariant:** a value that still holds is handed out without a wait, and a
//! failed renewal does not take it away. **Invariant:** everybody who waits for a fetch gets its outcome; nobody starts
//! one of their own.

use crate::call::{Courier, RENEWAL_MAX};
use arc_swap::ArcSwapOption;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tollgate_upstream::{Client, Failure, Kind, Phase};

/// What is renewed is renewed when this much of its life is left, or half of it where that is shorter. Metadata services
/// hand out a new token only within the last minutes of the old one.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// It is used no more when this much is left, or a quarter of its life: it must still hold when the provider reads it.
const LAST_USE: Duration = Duration::from_secs(30);
/// Shortest time between two renewals that succeed, whatever the lives that a server claims.
const RENEW_EVERY_MIN: Duration = Duration::from_secs(5);
/// Longest life that is believed; what claims more is renewed once a day.
const LIFE_MAX: Duration = Duration::from_secs(86_400);
/// The wait after a first failure, which doubles with each further one, and the most that it becomes.
const RETRY_AFTER: Duration = Duration::from_millis(250);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// A caller without a value ends a wait that is longer than this when this much of it has passed; before that, it gets
/// the failure instead of another fetch. So a wrong secret under load costs its server a call every five seconds.
const REPEAT_FAILURE_MAX: Duration = Duration::from_secs(5);
/// How long a caller waits for a fetch: a fetch's own limit, and the scheduling around it.
const WAIT_MAX: Duration = Duration::from_secs(RENEWAL_MAX.as_secs() + 2);

/// Something that can be fetched again and again.
pub(crate) trait Fetch: Send + Sync + 'static {
    /// What is fetched; cheap to clone.
    type Value: Clone + Send + Sync + 'static;

    /// Fetches one, with its life.
    fn fetch(&self, courier: Courier<'_>)
    -> impl Future<Output = Result<Fresh<Self::Value>, Failure>> + Send;
}

/// A value just fetched.
pub(crate) struct Fresh<V> {
    pub(crate) value: V,
    /// From now; `None` for what does not end.
    pub(crate) life: Option<Duration>,
}

struct Held<V> {
    value: V,
    /// Handed out until then.
    usable_until: Option<Instant>,
}

/// How the last fetch ended.
#[derive(Clone, Default)]
struct Outcome {
    /// What went wrong, and until when callers are told so without another fetch.
    failure: Option<(Failure, Instant)>,
}

/// A source's value and its keeper.
pub(crate) struct Renewal<F: Fetch> {
    /// For logs.
    identity: String,
    fetch: F,
    held: ArcSwapOption<Held<F::Value>>,
    outcome: watch::Sender<Outcome>,
    is_kept: AtomicBool,
    wanted: Arc<Notify>,
    keeper: Mutex<Option<AbortHandle>>,
}

impl<F: Fetch> fmt::Debug for Renewal<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl<F: Fetch> Drop for Renewal<F> {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.take() {
            keeper.abort();
        }
    }
}

impl<F: Fetch> Renewal<F> {
    pub(crate) fn new(identity: String, fetch: F) -> Arc<Self> {
        Arc::new(Self {
            identity,
            fetch,
            held: ArcSwapOption::empty(),
            outcome: watch::Sender::default(),
            is_kept: AtomicBool::new(false),
            wanted: Arc::default(),
            keeper: Mutex::default(),
        })
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) fn fetch(&self) -> &F {
        &self.fetch
    }

    /// Sees to it that the keeper runs. Must be called within a runtime.
    pub(crate) fn keep(self: &Arc<Self>, client: &Arc<Client>) {
        let ends = self.held.load().as_ref().is_none_or(|held| held.usable_until.is_some());
        if !ends || self.is_kept.swap(true, Ordering::AcqRel) {
            return;
        }
        // Made before the task, so that a runtime that drops the task unpolled gives the post back, too.
        let post = Post(Arc::downgrade(self));
        let task = tokio::spawn(keeper(post, Arc::clone(&self.wanted), Arc::clone(client)));
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
    }

    /// The value; waits only when none holds.
    pub(crate) async fn current(self: &Arc<Self>, client: &Arc<Client>) -> Result<F::Value, Failure> {
        if let Some(value) = self.usable() {
            self.keep(client);
            return Ok(value);
        }
        let late = || Failure::new(Kind::Timeout, Phase::Connecting, "no credential in time");
        timeout(WAIT_MAX, self.awaited(client)).await.map_err(|_| late())?
    }

    async fn awaited(self: &Arc<Self>, client: &Arc<Client>) -> Result<F::Value, Failure> {
        let mut outcome = self.outcome.subscribe();
        loop {
            let last = outcome.borrow_and_update().clone();
            if let Some(value) = self.usable() {
                return Ok(value);
            }
            if let Some((failure, _)) = last.failure.filter(|(_, until)| Instant::now() < *until) {
                return Err(failure);
            }
            self.keep(client);
            self.wanted.notify_one();
            // The sender is in `self`, so there is always another outcome to wait for.
            if outcome.changed().await.is_err() {
                return Err(Failure::new(Kind::Reset, Phase::Connecting, "the credential's source is gone"));
            }
        }
    }

    fn usable(&self) -> Option<F::Value> {
        let held = self.held.load();
        let held = held.as_ref()?;
        let is_usable = held.usable_until.is_none_or(|until| Instant::now() < until);
        is_usable.then(|| held.value.clone())
    }

    fn failed_just_now(&self) -> bool {
        self.outcome.borrow().failure.as_ref().is_some_and(|(_, until)| Instant::now() < *until)
    }

    /// Fetches once; says how long the value lives, or how long to wait where there is none.
    async fn round(&self, client: &Client, failures_before: u32) -> Result<Option<Duration>, Duration> {
        let courier = Courier::new(client);
        let began = Instant::now();
        let fetched = timeout_at(courier.deadline(), self.fetch.fetch(courier)).await;
        let late = || Failure::new(Kind::Timeout, Phase::AwaitingHead, "no credential in time");
        let fresh = fetched.map_err(|_| late()).and_then(|fetched| fetched).and_then(|fresh| {
            let has_ended = fresh.life.is_some_and(|life| life < Duration::from_secs(1));
            if has_ended { Err(crate::call::refused("the credential has ended already")) } else { Ok(fresh) }
        });
        let (outcome, result) = match fresh {
            Ok(Fresh { value, life }) => {
                let life = life.map(|life| life.min(LIFE_MAX));
                let usable_until = life.map(|life| began + (life - LAST_USE.min(life / 4)));
                self.held.store(Some(Arc::new(Held { value, usable_until })));
                (Outcome::default(), Ok(life))
            }
            Err(failure) => {
                tracing::warn!(source = self.identity, %failure, "fetching a credential failed");
                let wait = RETRY_AFTER.saturating_mul(1 << failures_before.min(8)).min(RETRY_AFTER_MAX);
                let until = Instant::now() + wait.min(REPEAT_FAILURE_MAX);
                (Outcome { failure: Some((failure, until)) }, Err(wait))
            }
        };
        self.outcome.send_replace(outcome);
        result
    }
}

/// The keeper's post: given back however the keeper ends, and whoever waits is told to look again.
struct Post<F: Fetch>(Weak<Renewal<F>>);

impl<F: Fetch> Drop for Post<F> {
    fn drop(&mut self) {
        if let Some(renewal) = self.0.upgrade() {
            renewal.is_kept.store(false, Ordering::Release);
            renewal.outcome.send_modify(|_| {});
        }
    }
}

/// Fetches, sleeps, fetches; ends when the source is gone or its value does not end.
async fn keeper<F: Fetch>(post: Post<F>, wanted: Arc<Notify>, client: Arc<Client>) {
    let mut failures = 0_u32;
    loop {
        let Some(renewal) = post.0.upgrade() else { return };
        let began = Instant::now();
        let due = match renewal.round(&client, failures).await {
            Ok(None) => return,
            Ok(Some(life)) => {
                failures = 0;
                began + (life - RENEW_BEFORE.min(life / 2)).max(RENEW_EVERY_MIN)
            }
            Err(wait) => {
                failures = failures.saturating_add(1);
                Instant::now() + wait
            }
        };
        drop(renewal);
        loop {
            let is_due = tokio::select! {
                () = sleep_until(due) => true,
                () = wanted.notified() => false,
            };
            let Some(renewal) = post.0.upgrade() else { return };
            // A wish may be as old as the fetch that has answered it.
            if is_due || (renewal.usable().is_none() && !renewal.failed_just_now()) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests;
