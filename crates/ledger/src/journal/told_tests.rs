//! Those who wait, and who wakes whom.

use super::Unwritten;
use super::told::*;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

/// How often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn woken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn places() -> [ThreadId; 2] {
    let of_another = || thread::spawn(|| thread::current().id()).join().unwrap();
    [of_another(), of_another()]
}

/// Waits at these places, and has looked once.
fn waiting(places: &[ThreadId]) -> Vec<(Waiter, Written, Arc<Count>)> {
    let wait = |place: &ThreadId| {
        let ((waiter, mut written), count) = (pair(*place), Arc::new(Count::default()));
        assert!(look(&mut written, &count).is_none());
        (waiter, written, count)
    };
    places.iter().map(wait).collect()
}

fn look(written: &mut Written, count: &Arc<Count>) -> Option<Outcome> {
    let waker = Waker::from(Arc::clone(count));
    match Pin::new(written).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

type Waiting = (Waiter, Written, Arc<Count>);

fn split(waiting: Vec<Waiting>) -> (Vec<Waiter>, Vec<(Written, Arc<Count>)>) {
    waiting.into_iter().map(|(waiter, written, count)| (waiter, (written, count))).unzip()
}

#[test]
fn one_of_each_thread_is_woken_and_wakes_the_others() {
    let [a, b] = places();
    let (waiters, mut waiting) = split(waiting(&[a, b, a, a, b]));
    let mut leaders = Leaders::default();
    leaders.tell(waiters, Ok(()));
    let woken = |waiting: &[(Written, Arc<Count>)]| -> Vec<usize> {
        waiting.iter().map(|(_, count)| count.woken()).collect()
    };
    assert_eq!(woken(&waiting), [0, 0, 0, 1, 1]);
    let (written, count) = &mut waiting[3];
    assert_eq!(look(written, count), Some(Ok(())));
    assert_eq!(woken(&waiting), [1, 0, 1, 1, 1]);
    // One that leaves wakes them as well, and nobody is woken twice.
    drop(waiting.remove(4));
    assert_eq!(woken(&waiting), [1, 1, 1, 1]);
    assert!(leaders.is_any());
    leaders.relieve();
    assert_eq!(woken(&waiting), [1, 1, 1, 1]);
    for (written, count) in &mut waiting[..3] {
        assert_eq!(look(written, count), Some(Ok(())));
    }
}

#[test]
fn whoever_does_not_look_keeps_nobody_waiting() {
    let [a, _] = places();
    let (waiters, waiting) = split(waiting(&[a, a]));
    let mut leaders = Leaders::default();
    leaders.tell(waiters, Err(Unwritten));
    assert_eq!(waiting[0].1.woken(), 0);
    leaders.relieve();
    assert_eq!((waiting[0].1.woken(), leaders.is_any()), (1, false));
}

#[test]
fn one_that_has_looked_meanwhile_wakes_nobody_and_another_does() {
    let [a, _] = places();
    let (waiters, mut waiting) = split(waiting(&[a, a, a]));
    let sleepers: Vec<Sleeper> = waiters.iter().filter_map(|waiter| waiter.settle(Ok(()))).collect();
    let (written, count) = &mut waiting[2];
    assert_eq!(look(written, count), Some(Ok(())));
    let mut led = 0;
    ring(sleepers, |_| led += 1);
    let woken: Vec<usize> = waiting.iter().map(|(_, count)| count.woken()).collect();
    assert_eq!((woken, led), (vec![0, 1, 0], 1));
}

#[test]
fn a_writer_that_is_gone_has_written_nothing() {
    let [a, _] = places();
    let (waiters, mut waiting) = split(waiting(&[a, a]));
    drop(waiters);
    for (written, count) in &mut waiting {
        assert_eq!((count.woken(), look(written, count)), (1, Some(Err(Unwritten))));
    }
}
