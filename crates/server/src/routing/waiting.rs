//! Requests that wait for a place at a deployment.
//!
//! Owns turns: who is next may look for a place. Leaves the order to `policy::queue`. **Invariant:** whoever waits ends:
//! with a turn, at its deadline, or pushed out by a more urgent one; and a turn that is not used is passed on.

use super::fleet::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
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
    /// The rooms of routing groups to which this one's group belongs: a place of the one is a place of the other.
    beside: Vec<Arc<WaitingRoom>>,
    /// Counts calls, so that the rooms take turns.
    called: usize,
    /// Counts places that came free: who looked before the last of them looks again before it waits.
    freed: u64,
}

impl Default for WaitingRoom {
    /// Nobody may wait before it has a size.
    fn default() -> Self {
        Self(Mutex::new(Inner {
            queue: WaitQueue::new(0),
            calls: HashMap::new(),
            next_id: 0,
            beside: Vec::new(),
            called: 0,
            freed: 0,
        }))
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

    /// The rooms of routing groups that this one's group belongs to; they have none beside them.
    pub(super) fn set_beside(&self, rooms: Vec<Arc<WaitingRoom>>) {
        lock(&self.0).beside = rooms;
    }

    /// Whether someone was here first.
    pub(crate) fn has_line(&self) -> bool {
        !lock(&self.0).calls.is_empty()
    }

    /// Whether nobody waits here, nor in a room beside this one.
    pub(crate) fn is_empty(&self) -> bool {
        let inner = lock(&self.0);
        inner.calls.is_empty() && inner.beside.iter().all(|room| room.is_empty())
    }

    /// How many places have come free so far. To be read before one looks for a place, and given to [`Self::wait`].
    pub(crate) fn freed(&self) -> u64 {
        lock(&self.0).freed
    }

    /// A place has come free, of a deployment or by an operator's word.
    pub(crate) fn note_freed(&self) {
        let mut inner = lock(&self.0);
        inner.freed = inner.freed.wrapping_add(1);
        if inner.calls.is_empty() && inner.beside.is_empty() {
            return;
        }
        let beside = inner.beside.clone();
        drop(inner);
        for room in &beside {
            let mut inner = lock(&room.0);
            inner.freed = inner.freed.wrapping_add(1);
        }
        self.call_next();
    }

    /// A place may be free: the next one looks, here or in a room beside this one, by turns.
    pub(crate) fn call_next(&self) {
        let mut inner = lock(&self.0);
        if inner.beside.is_empty() {
            drop(inner);
            self.call_own();
            return;
        }
        let beside = inner.beside.clone();
        inner.called = inner.called.wrapping_add(1);
        let first = inner.called;
        drop(inner);
        let rooms = beside.len() + 1;
        for turn in (0..rooms).map(|number| first.wrapping_add(number) % rooms) {
            let is_called = match beside.get(turn) {
                Some(room) => room.call_own(),
                None => self.call_own(),
            };
            if is_called {
                return;
            }
        }
    }

    /// Calls the next one of this room; whether there was one.
    fn call_own(&self) -> bool {
        loop {
            let mut inner = lock(&self.0);
            let Some(id) = inner.queue.pop() else { return false };
            let Some(call) = inner.calls.remove(&id) else { continue };
            drop(inner);
            if call.send(Waited::Turn).is_ok() {
                return true;
            }
        }
    }

    /// Waits for a turn. `free_at`: when a place is known to be free again; then whoever is next gets a turn, not
    /// necessarily this one. `seen`: what [`Self::freed`] was before this one looked: a place that came free since then
    /// called nobody, and is looked for at once.
    pub(crate) async fn wait(
        &self,
        urgency: Urgency,
        seen: u64,
        (free_at, deadline): (Option<Instant>, Instant),
    ) -> Waited {
        let Some((leaving, mut turn)) = self.enter(urgency) else { return Waited::Shed };
        if self.freed() != seen {
            self.call_own();
        }
        if let Some(free_at) = free_at.filter(|free_at| *free_at < deadline) {
            match timeout_at(free_at, &mut turn).await {
                Ok(waited) => return leaving.over(waited),
                Err(_) => {
                    self.call_own();
                }
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
        self.call_own();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const URGENCY: Urgency = Urgency { priority: 1, team: 0 };

    #[tokio::test(start_paused = true)]
    async fn a_place_that_comes_free_between_the_look_and_the_wait_is_looked_for_at_once() {
        let wait = async |freed_between: bool, beside: bool| {
            let (room, member) = (Arc::new(WaitingRoom::default()), WaitingRoom::default());
            room.resize(8);
            member.set_beside(vec![Arc::clone(&room)]);
            let seen = room.freed();
            if freed_between {
                if beside { member.note_freed() } else { room.note_freed() }
            }
            let (start, deadline) = (Instant::now(), Instant::now() + Duration::from_secs(60));
            (room.wait(URGENCY, seen, (None, deadline)).await, start.elapsed().as_secs())
        };
        assert_eq!(wait(true, false).await, (Waited::Turn, 0));
        assert_eq!(wait(true, true).await, (Waited::Turn, 0));
        assert_eq!(wait(false, false).await, (Waited::Late, 60));
    }
}
