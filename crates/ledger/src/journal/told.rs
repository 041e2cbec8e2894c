//! Who waits for a record, and how all who wait for the same piece are told.
//!
//! To wake a task of another thread is a call into the system, and under load a dozen requests wait for one sync. So the writer
//! wakes one of each thread, and that one wakes the others of its thread, which costs next to nothing there.
//!
//! **Invariant:** whoever waits is told once: also where the writer ends, where whoever is to wake others leaves first, and
//! within a moment where it does not look.

use super::Unwritten;
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;

/// What becomes of a record.
pub(super) type Outcome = Result<(), Unwritten>;

#[derive(Debug, Default)]
struct State {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
    /// Others of the same thread, to be woken by this one.
    others: Vec<Waker>,
    /// It has been told, or has left.
    is_over: bool,
}

/// What both sides share.
#[derive(Debug)]
pub(super) struct Slot {
    /// The thread that it is waited on.
    place: ThreadId,
    state: Mutex<State>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's side. Dropped, it says that the record was not written.
#[derive(Debug)]
pub(super) struct Waiter(Arc<Slot>);

/// The side of whoever waits.
#[derive(Debug)]
pub(super) struct Written(Arc<Slot>);

/// Both sides, for whoever waits on this thread.
pub(super) fn pair(place: ThreadId) -> (Waiter, Written) {
    let slot = Arc::new(Slot { place, state: Mutex::new(State::default()) });
    (Waiter(Arc::clone(&slot)), Written(slot))
}

/// One of each thread, who is to wake others.
#[derive(Debug, Default)]
pub(super) struct Leaders(Vec<Arc<Slot>>);

impl Leaders {
    /// Tells all of these the same.
    pub(super) fn tell(&mut self, waiters: impl IntoIterator<Item = Waiter>, outcome: Outcome) {
        let sleepers = waiters.into_iter().filter_map(|waiter| waiter.settle(outcome)).collect();
        ring(sleepers, |leader| self.0.push(leader));
    }

    /// There is one who may not have woken others yet.
    pub(super) fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Wakes whom they have not woken up to now: one may be held by a task that does not look at it.
    pub(super) fn relieve(&mut self) {
        for leader in self.0.drain(..) {
            let others = std::mem::take(&mut leader.lock().others);
            others.into_iter().for_each(Waker::wake);
        }
    }
}

/// Wakes one of each thread, and has it wake the others of it.
pub(super) fn ring(mut sleepers: Vec<Sleeper>, mut lead: impl FnMut(Arc<Slot>)) {
    while let Some(Sleeper { slot, waker }) = sleepers.pop() {
        let mut state = slot.lock();
        if state.is_over {
            // It has looked by itself meanwhile: another has to wake the rest.
            continue;
        }
        let others = sleepers.extract_if(.., |other| other.slot.place == slot.place);
        state.others.extend(others.map(|other| other.waker));
        let is_leader = !state.others.is_empty();
        drop(state);
        if is_leader {
            lead(slot);
        }
        waker.wake();
    }
}

/// Somebody who is to be woken.
pub(super) struct Sleeper {
    slot: Arc<Slot>,
    waker: Waker,
}

impl Waiter {
    /// Says what became of it, and does not wake whoever waits.
    pub(super) fn settle(&self, outcome: Outcome) -> Option<Sleeper> {
        let mut state = self.0.lock();
        state.outcome.get_or_insert(outcome);
        let waker = state.waker.take()?;
        Some(Sleeper { slot: Arc::clone(&self.0), waker })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let sleeper = self.settle(Err(Unwritten));
        sleeper.into_iter().for_each(|sleeper| sleeper.waker.wake());
    }
}

impl Written {
    /// Takes those along whom it is to wake.
    fn end(&self) {
        let mut state = self.0.lock();
        state.is_over = true;
        let (waker, others) = (state.waker.take(), std::mem::take(&mut state.others));
        drop(state);
        drop(waker);
        others.into_iter().for_each(Waker::wake);
    }
}

impl Future for Written {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = self.0.lock();
        let Some(outcome) = state.outcome else {
            match &mut state.waker {
                Some(waker) => waker.clone_from(context.waker()),
                waker => *waker = Some(context.waker().clone()),
            }
            return Poll::Pending;
        };
        drop(state);
        self.end();
        Poll::Ready(outcome)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.end();
    }
}
