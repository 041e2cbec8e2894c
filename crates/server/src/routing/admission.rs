//! Admission: how many requests are served at one time, and who waits or is sent away beyond that.
//!
//! Owns the places and who is next for one. Leaves the order to `policy::queue`. Off unless the configuration has a limit.
//! **Invariant:** never more requests hold a place than the limit says. **Invariant:** a place that is freed goes to the
//! one who is next and to nobody who came later; one that its heir no longer wants goes on to the next.

use super::fleet::lock;
use super::waiting::Urgency;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tollgate_config::Config;
use tollgate_policy::queue::{Pushed, WaitQueue};

#[derive(Debug)]
struct Inner {
    places: u64,
    taken: u64,
    longest: Duration,
    queue: WaitQueue<u64>,
    heirs: HashMap<u64, oneshot::Sender<Admitted>>,
    next_id: u64,
}

/// The places of a gateway.
#[derive(Debug)]
pub(crate) struct Admission {
    is_on: AtomicBool,
    inner: Mutex<Inner>,
}

/// A place, held until it is dropped. Where there is no limit it is no place at all.
#[derive(Debug)]
pub(crate) struct Admitted(Option<Arc<Admission>>);

/// There is no place, and none came free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TurnedAway;

impl Default for Admission {
    fn default() -> Self {
        let inner = Inner {
            places: u64::MAX,
            taken: 0,
            longest: Duration::ZERO,
            queue: WaitQueue::new(0),
            heirs: HashMap::new(),
            next_id: 0,
        };
        Self { is_on: AtomicBool::new(false), inner: Mutex::new(inner) }
    }
}

impl Admission {
    /// As the configuration has it from now on. Whoever has a place keeps it.
    pub(crate) fn configure(self: &Arc<Self>, config: &Config) {
        let general = &config.general;
        {
            let mut inner = lock(&self.inner);
            inner.places = general.max_in_flight_requests.unwrap_or(u64::MAX);
            inner.longest = general.admission_queue_timeout;
            inner.queue.set_capacity(usize::try_from(general.max_queued_requests).unwrap_or(usize::MAX));
        }
        self.is_on.store(general.max_in_flight_requests.is_some(), Ordering::Relaxed);
        while let Some(heir) = self.next_heir(false) {
            self.give(heir);
        }
    }

    /// A place; waits for one where all are taken.
    pub(crate) async fn enter(self: &Arc<Self>, urgency: Urgency) -> Result<Admitted, TurnedAway> {
        if !self.is_on.load(Ordering::Relaxed) {
            return Ok(Admitted(None));
        }
        let (place, leaving, deadline) = {
            let mut inner = lock(&self.inner);
            if inner.taken < inner.places && inner.queue.is_empty() {
                inner.taken += 1;
                return Ok(Admitted(Some(Arc::clone(self))));
            }
            let id = inner.next_id;
            inner.next_id += 1;
            match inner.queue.push(urgency.priority, urgency.team, id) {
                Pushed::Waiting => {}
                // Whoever is pushed out hears of it by the end of its line.
                Pushed::Shed(other) => drop(inner.heirs.remove(&other)),
                Pushed::Refused(_) => return Err(TurnedAway),
            }
            let (heir, place) = oneshot::channel();
            inner.heirs.insert(id, heir);
            (place, Leaving { admission: self, id }, Instant::now() + inner.longest)
        };
        let came = timeout_at(deadline, place).await;
        drop(leaving);
        came.ok().and_then(Result::ok).ok_or(TurnedAway)
    }

    /// Who gets a place: one that is handed over, or one that is free.
    fn next_heir(&self, is_handed_over: bool) -> Option<oneshot::Sender<Admitted>> {
        let mut inner = lock(&self.inner);
        let held_by_others = inner.taken - u64::from(is_handed_over && inner.taken > 0);
        while held_by_others < inner.places
            && let Some(id) = inner.queue.pop()
        {
            if let Some(heir) = inner.heirs.remove(&id) {
                inner.taken = held_by_others + 1;
                return Some(heir);
            }
        }
        inner.taken = held_by_others;
        None
    }

    /// Hands over a place that is counted. Where the heir has gone, it comes back by being dropped.
    fn give(self: &Arc<Self>, heir: oneshot::Sender<Admitted>) {
        drop(heir.send(Admitted(Some(Arc::clone(self)))));
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(admission) = self.0.take() else { return };
        if let Some(heir) = admission.next_heir(true) {
            admission.give(heir);
        }
    }
}

/// Leaves the queue when it is dropped.
struct Leaving<'a> {
    admission: &'a Admission,
    id: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut inner = lock(&self.admission.inner);
        if inner.heirs.remove(&self.id).is_some() {
            inner.queue.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn admission(places: u64, queued: usize) -> Arc<Admission> {
        let admission = Arc::new(Admission::default());
        {
            let mut inner = lock(&admission.inner);
            inner.places = places;
            inner.longest = Duration::from_secs(1);
            inner.queue.set_capacity(queued);
        }
        admission.is_on.store(true, Ordering::Relaxed);
        admission
    }

    fn urgency(priority: u8) -> Urgency {
        Urgency { priority, team: 0 }
    }

    fn taken(admission: &Admission) -> u64 {
        lock(&admission.inner).taken
    }

    fn poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_everybody_is_let_in_and_nobody_is_counted() {
        let admission = Arc::new(Admission::default());
        let places: Vec<_> = (0..100).map(|_| poll(&mut Box::pin(admission.enter(urgency(9))))).collect();
        assert!(places.iter().all(|place| matches!(place, Poll::Ready(Ok(_)))));
        assert_eq!(taken(&admission), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_goes_to_the_most_urgent_and_then_to_who_waits_longest() {
        let admission = admission(1, 10);
        let first = admission.enter(urgency(5)).await.unwrap();
        let mut waiting: Vec<_> =
            [9, 1, 5, 1].map(|priority| Box::pin(admission.enter(urgency(priority)))).into_iter().collect();
        assert!(waiting.iter_mut().all(|waits| poll(waits).is_pending()));
        let mut place = first;
        for expect in [1, 3, 2, 0] {
            drop(place);
            place = match poll(&mut waiting[expect]) {
                Poll::Ready(Ok(place)) => place,
                other => panic!("{other:?}"),
            };
            assert_eq!(taken(&admission), 1);
        }
        drop(place);
        assert_eq!(taken(&admission), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_urgent_is_shed_and_its_equal_is_refused() {
        let admission = admission(1, 1);
        let _held = admission.enter(urgency(5)).await.unwrap();
        let mut batch = Box::pin(admission.enter(urgency(200)));
        assert!(poll(&mut batch).is_pending());
        assert_eq!(admission.enter(urgency(200)).await.unwrap_err(), TurnedAway);
        let mut urgent = Box::pin(admission.enter(urgency(1)));
        assert!(poll(&mut urgent).is_pending());
        assert!(matches!(poll(&mut batch), Poll::Ready(Err(TurnedAway))));
        assert!(urgent.await.is_err(), "the wait has an end");
        assert_eq!((taken(&admission), lock(&admission.inner).heirs.len()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_on_its_way_to_one_who_has_gone_goes_on_to_the_next() {
        let admission = admission(1, 10);
        let held = admission.enter(urgency(5)).await.unwrap();
        let mut gone = Box::pin(admission.enter(urgency(1)));
        let mut next = Box::pin(admission.enter(urgency(2)));
        assert!(poll(&mut gone).is_pending() && poll(&mut next).is_pending());
        drop(held);
        // It has the place, and has not looked yet.
        drop(gone);
        let place = next.await.unwrap();
        assert_eq!(taken(&admission), 1);
        drop(place);
        assert_eq!(taken(&admission), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn newcomers_do_not_overtake_and_a_lower_limit_lets_places_lapse() {
        let admission = admission(2, 10);
        let (one, two) =
            (admission.enter(urgency(5)).await.unwrap(), admission.enter(urgency(5)).await.unwrap());
        lock(&admission.inner).places = 1;
        let mut waits = Box::pin(admission.enter(urgency(5)));
        assert!(poll(&mut waits).is_pending());
        drop(one);
        assert!(poll(&mut waits).is_pending(), "two were too many");
        drop(two);
        let place = waits.await.unwrap();
        assert_eq!(taken(&admission), 1);
        drop(place);
        assert_eq!(taken(&admission), 0);
    }
}
