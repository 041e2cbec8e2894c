//! Requests that wait for a place at a deployment.
//!
//! Owns turns: who is next may look for a place. Leaves the order to `policy::queue`. **Invariant:** whoever waits ends:
//! with a turn, at its deadline, or pushed out by a more urgent one; and a turn that is not used is passed on.

use super::fleet::lock;
use std::collections::HashMap;
use std::sync::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tollgate_policy::queue::{Pushed, WaitQueue};

/// What a wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It is this one's turn to look for a place.
    Turn,
    /// Nothing came in time.
    Late,
    /// There was no room to wait, or a more urgent request took it.
    Shed,
}

/// How urgent a waiting request is, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Urgency {
    /// 0 is the most urgent.
    pub(crate) priority: u8,
    /// Teams take turns.
    pub(crate) team: u64,
}

#[derive(Debug)]
struct Inner {
    queue: WaitQueue<u64>,
    calls: HashMap<u64, oneshot::Sender<Waited>>,
    next_id: u64,
}

impl Default for WaitingRoom {
    /// Nobody may wait before it has a size.
    fn default() -> Self {
        Self(Mutex::new(Inner { queue: WaitQueue::new(0), calls: HashMap::new(), next_id: 0 }))
    }
}

/// The room of one group.
#[derive(Debug)]
pub(crate) struct WaitingRoom(Mutex<Inner>);

impl WaitingRoom {
    /// So many may wait at a time; whoever waits already stays.
    pub(crate) fn resize(&self, waiting_max: usize) {
        lock(&self.0).queue.set_capacity(waiting_max);
    }

    /// Whether someone was here first.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).calls.is_empty()
    }

    /// A place may be free: the next one looks.
    pub(crate) fn call_next(&self) {
        loop {
            let mut inner = lock(&self.0);
            let Some(id) = inner.queue.pop() else { return };
            let Some(call) = inner.calls.remove(&id) else { continue };
            drop(inner);
            if call.send(Waited::Turn).is_ok() {
                return;
            }
        }
    }

    /// Waits for a turn. `free_at`: when a place is known to be free again; then whoever is next gets a turn, not
    /// necessarily this one.
    pub(crate) async fn wait(&self, urgency: Urgency, free_at: Option<Instant>, deadline: Instant) -> Waited {
        let Some((leaving, mut turn)) = self.enter(urgency) else { return Waited::Shed };
        if let Some(free_at) = free_at.filter(|free_at| *free_at < deadline) {
            match timeout_at(free_at, &mut turn).await {
                Ok(waited) => return leaving.over(waited),
                Err(_) => self.call_next(),
            }
        }
        match timeout_at(deadline, &mut turn).await {
            Ok(waited) => leaving.over(waited),
            Err(_) => Waited::Late,
        }
    }

    /// Waits behind those who are here, where there may be a place at once.
    pub(crate) async fn line_up(&self, urgency: Urgency, deadline: Instant) -> Waited {
        let Some((leaving, mut turn)) = self.enter(urgency) else { return Waited::Shed };
        self.call_next();
        match timeout_at(deadline, &mut turn).await {
            Ok(waited) => leaving.over(waited),
            Err(_) => Waited::Late,
        }
    }

    fn enter(&self, urgency: Urgency) -> Option<(Leaving<'_>, oneshot::Receiver<Waited>)> {
        let mut inner = lock(&self.0);
        let id = inner.next_id;
        inner.next_id += 1;
        match inner.queue.push(urgency.priority, urgency.team, id) {
            Pushed::Waiting => {}
            Pushed::Shed(other) => {
                if let Some(call) = inner.calls.remove(&other) {
                    let _ = call.send(Waited::Shed);
                }
            }
            Pushed::Refused(_) => return None,
        }
        let (call, turn) = oneshot::channel();
        inner.calls.insert(id, call);
        Some((Leaving { room: self, id }, turn))
    }
}

/// Leaves the room when it is dropped; a turn that came too late is passed on.
struct Leaving<'a> {
    room: &'a WaitingRoom,
    id: u64,
}

impl Leaving<'_> {
    fn over(self, waited: Result<Waited, oneshot::error::RecvError>) -> Waited {
        std::mem::forget(self);
        waited.unwrap_or(Waited::Late)
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut inner = lock(&self.room.0);
        if inner.calls.remove(&self.id).is_some() {
            inner.queue.remove(self.id);
            return;
        }
        drop(inner);
        // The turn was on its way to one who no longer waits.
        self.room.call_next();
    }
}
