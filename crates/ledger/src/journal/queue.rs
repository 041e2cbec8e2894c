//! The queue before the writer: who waits for what it gives wakes the writer, who does not leaves it lying until the writer
//! looks.
//!
//! A record that nobody waits for is most of what comes under load, and to wake a thread costs more than all else that is done
//! to hand it over. So the writer, when it has nothing to do, looks once more after [`LINGER`] by itself, and is to be woken
//! by anything only if it has found nothing then: a gateway at rest sleeps.
//!
//! **Invariant:** what is given is taken in the order in which it came. **Invariant:** what lies in the queue is taken within
//! [`LINGER`] of a writer that has nothing else to do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest that something lies that nobody waits for, where the writer has nothing else to do.
pub(super) const LINGER: Duration = Duration::from_millis(1);

/// What the writer is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// It will look by itself.
    Busy,
    /// It looks again in a moment, or is woken by whoever waits.
    Lingering,
    /// It is woken by anything.
    Asleep,
    /// It takes nothing any more.
    Gone,
}

#[derive(Debug)]
struct State<T> {
    items: Vec<T>,
    writer: Writer,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
}

/// Takes from a queue, as the only one who does. Dropped, it leaves nothing in it.
#[derive(Debug)]
pub(super) struct Taker<'q, T>(&'q Queue<T>);

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { items: Vec::new(), writer: Writer::Busy }), wake: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives something that somebody waits for. False where nobody takes it any more.
    pub(super) fn give(&self, item: T) -> bool {
        self.put(item, true)
    }

    /// Gives something that nobody waits for.
    pub(super) fn leave(&self, item: T) -> bool {
        self.put(item, false)
    }

    fn put(&self, item: T, is_waited_for: bool) -> bool {
        let mut state = self.lock();
        let must_wake = match state.writer {
            Writer::Gone => return false,
            Writer::Busy => false,
            Writer::Lingering => is_waited_for,
            Writer::Asleep => true,
        };
        state.items.push(item);
        if must_wake {
            state.writer = Writer::Busy;
            drop(state);
            self.wake.notify_one();
        }
        true
    }

    /// The one who takes.
    pub(super) fn taker(&self) -> Taker<'_, T> {
        Taker(self)
    }
}

impl<T> Taker<'_, T> {
    /// Everything that lies there, put behind what `items` has; waits until there is something, or until `patience` is over,
    /// and then may bring nothing.
    pub(super) fn take(&self, items: &mut Vec<T>, patience: Option<Duration>) {
        let mut state = self.0.lock();
        if state.items.is_empty() {
            let pause = patience.map_or(LINGER, |patience| patience.min(LINGER));
            state = self.wait(state, Writer::Lingering, Some(pause));
        }
        if state.items.is_empty() {
            let rest = patience.map(|patience| patience.saturating_sub(LINGER));
            state = self.wait(state, Writer::Asleep, rest);
        }
        state.writer = Writer::Busy;
        drop(state);
        // Whoever woke it has more to give as a rule, of other requests: on the same core it is let go on, so that one sync is
        // for all of them.
        std::thread::yield_now();
        items.append(&mut self.0.lock().items);
    }

    /// Waits until it is woken, or so long.
    fn wait<'q>(
        &'q self,
        mut state: MutexGuard<'q, State<T>>,
        writer: Writer,
        patience: Option<Duration>,
    ) -> MutexGuard<'q, State<T>> {
        state.writer = writer;
        let is_left = |state: &mut State<T>| state.writer == writer;
        match patience {
            None => self.0.wake.wait_while(state, is_left).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let waited = self.0.wake.wait_timeout_while(state, patience, is_left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

impl<T> Drop for Taker<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.writer = Writer::Gone;
        let left = std::mem::take(&mut state.items);
        drop(state);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread::{self, JoinHandle};

    /// A thread that hands on what it takes, each time as one piece, until it takes a zero.
    fn started(queue: &Arc<Queue<u32>>) -> (Receiver<Vec<u32>>, JoinHandle<()>) {
        let (pieces, taken) = channel();
        let queue = Arc::clone(queue);
        let run = move || {
            let taker = queue.taker();
            loop {
                let mut items = Vec::new();
                taker.take(&mut items, None);
                let is_over = items.contains(&0);
                if pieces.send(items).is_err() || is_over {
                    break;
                }
            }
        };
        (taken, thread::spawn(run))
    }

    fn until(queue: &Queue<u32>, writer: Writer) {
        while queue.lock().writer != writer {
            thread::yield_now();
        }
    }

    #[test]
    fn what_is_given_is_taken_in_its_order_whoever_waits() {
        let queue = Arc::new(Queue::new());
        let (taken, thread) = started(&queue);
        for number in 1..=1_000 {
            assert!(if number % 3 == 0 { queue.give(number) } else { queue.leave(number) });
            if number % 100 == 0 {
                until(&queue, Writer::Asleep);
            }
        }
        assert!(queue.give(0));
        thread.join().unwrap();
        let all: Vec<u32> = taken.into_iter().flatten().collect();
        assert_eq!(all, (1..=1_000).chain([0]).collect::<Vec<u32>>());
    }

    #[test]
    fn a_writer_at_rest_is_woken_by_what_nobody_waits_for() {
        let queue = Arc::new(Queue::new());
        let (taken, thread) = started(&queue);
        until(&queue, Writer::Asleep);
        assert!(queue.leave(7));
        assert_eq!(taken.recv().unwrap(), [7]);
        assert!(queue.give(0));
        thread.join().unwrap();
    }

    #[test]
    fn what_nobody_waits_for_wakes_no_writer_that_looks_by_itself() {
        let queue = Queue::new();
        for writer in [Writer::Busy, Writer::Lingering] {
            queue.lock().writer = writer;
            assert!(queue.leave(1));
            assert_eq!(queue.lock().writer, writer, "it goes on as it was");
        }
        assert!(queue.give(2));
        assert_eq!(queue.lock().writer, Writer::Busy, "it was woken");
        let (taker, mut items) = (queue.taker(), Vec::new());
        taker.take(&mut items, None);
        assert_eq!(items, [1, 1, 2]);
        taker.take(&mut items, Some(Duration::ZERO));
        assert_eq!(items, [1, 1, 2], "patience is over");
    }

    #[test]
    fn nothing_is_given_to_a_writer_that_has_gone() {
        let queue = Queue::new();
        let item = Arc::new(());
        drop({
            let taker = queue.taker();
            assert!(queue.give(Arc::clone(&item)));
            taker
        });
        assert_eq!(Arc::strong_count(&item), 1, "what was left is let go");
        assert!(!queue.give(Arc::clone(&item)) && !queue.leave(Arc::clone(&item)));
        assert_eq!(Arc::strong_count(&item), 1);
    }
}
