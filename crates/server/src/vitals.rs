//! How the process is: whether its workers' threads go on, and whether its memory suffices.
//!
//! Whoever watches from a thread of its own says what it sees; leaves reading the machine to it. **Invariant:** a worker
//! that stands still is counted once, however long it does. **Invariant:** a request reads one flag.

use crate::telemetry::Metrics;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often a worker shows that it goes on.
const BEAT_EVERY: Duration = Duration::from_millis(100);
/// A worker that has not shown so for this long stands still. Nothing on its thread takes a thousandth of it.
const STALL: Duration = Duration::from_millis(500);
/// Standing workers are told of no more often than this.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// From this part of the memory on it is short, in hundredths.
const SHORT: u64 = 85;
/// Below this part it suffices again.
const ENOUGH: u64 = 80;

/// The beats of one worker.
#[derive(Debug, Default)]
struct Pulse(AtomicU64);

/// One worker, as it was seen last.
struct Seen {
    name: Box<str>,
    pulse: Weak<Pulse>,
    beats: u64,
    /// When a beat was seen that was not there before.
    at: Instant,
    stands: bool,
}

#[derive(Default)]
struct Workers {
    seen: Vec<Seen>,
    looked: Option<Instant>,
    told: Option<Instant>,
}

/// How the process is.
#[derive(Default)]
pub struct Vitals {
    workers: Mutex<Workers>,
    is_short: AtomicBool,
}

impl Vitals {
    fn join(&self, name: &str, now: Instant) -> Arc<Pulse> {
        let pulse = Arc::<Pulse>::default();
        let seen =
            Seen { name: name.into(), pulse: Arc::downgrade(&pulse), beats: 0, at: now, stands: false };
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).seen.push(seen);
        pulse
    }

    /// Shows that the thread on which it is polled goes on, for as long as it is.
    pub async fn beat(&self, name: &str) {
        let pulse = self.join(name, Instant::now());
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            pulse.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Looks whether all workers go on. To be called several times a second, from a thread of none of them.
    pub(crate) fn look(&self, now: Instant, metrics: &Metrics) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let Workers { seen, looked, told } = &mut *workers;
        // Where it was long itself, the whole process stood, and none of the workers alone.
        let all_stood =
            looked.replace(now).is_none_or(|looked| now.saturating_duration_since(looked) > STALL / 2);
        seen.retain(|worker| worker.pulse.strong_count() > 0);
        for worker in seen {
            let beats = worker.pulse.upgrade().map_or(0, |pulse| pulse.0.load(Ordering::Relaxed));
            if beats != worker.beats || all_stood {
                (worker.beats, worker.at, worker.stands) =
                    (beats, now, worker.stands && beats == worker.beats);
                continue;
            }
            if worker.stands || now.saturating_duration_since(worker.at) < STALL {
                continue;
            }
            worker.stands = true;
            metrics.worker_stalls.inc();
            if told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY) {
                *told = Some(now);
                tracing::warn!(worker = &*worker.name, "a worker stands still: something blocks its thread");
            }
        }
    }

    /// Takes note of the memory that the process uses, of so much that it may.
    pub(crate) fn note_memory(&self, used: u64, most: u64, metrics: &Metrics) {
        let part = |hundredths: u64| most / 100 * hundredths;
        let was_short = self.is_short.load(Ordering::Relaxed);
        let is_short = used >= part(if was_short { ENOUGH } else { SHORT });
        metrics.memory_short.set(i64::from(is_short));
        if is_short == was_short {
            return;
        }
        self.is_short.store(is_short, Ordering::Relaxed);
        if is_short {
            tracing::warn!(used, most, "memory is short: only critical requests are let in");
        } else {
            tracing::info!(used, most, "memory suffices again");
        }
    }

    /// Whether memory is short: what is not critical is refused then.
    pub(crate) fn is_memory_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stalls(metrics: &Metrics) -> u64 {
        metrics.worker_stalls.get()
    }

    #[test]
    fn a_worker_that_stands_still_is_counted_once_each_time() {
        let (vitals, metrics, start) = (Vitals::default(), Metrics::new(), Instant::now());
        let (one, other) = (vitals.join("one", start), vitals.join("other", start));
        let mut now = start;
        let mut look = |ticks: u32, beating: &[&Pulse]| {
            for _ in 0..ticks {
                now += BEAT_EVERY;
                for pulse in beating {
                    pulse.0.fetch_add(1, Ordering::Relaxed);
                }
                vitals.look(now, &metrics);
            }
            stalls(&metrics)
        };
        assert_eq!(look(20, &[&one, &other]), 0);
        assert_eq!(look(4, &[&one]), 0);
        assert_eq!(look(30, &[&one]), 1, "once, however long");
        assert_eq!(look(10, &[&one, &other]), 1);
        assert_eq!(look(10, &[]), 3);
        drop(other);
        assert_eq!(look(10, &[&one]), 3);
        assert_eq!(look(10, &[]), 4, "who has ended does not stand");
    }

    #[test]
    fn a_process_that_stood_as_a_whole_is_nobodys_stall() {
        let (vitals, metrics, start) = (Vitals::default(), Metrics::new(), Instant::now());
        let _pulse = vitals.join("one", start);
        for second in 1..20 {
            vitals.look(start + Duration::from_secs(second), &metrics);
        }
        assert_eq!(stalls(&metrics), 0);
    }

    #[test]
    fn r36_a_blocked_worker_is_counted_and_one_that_goes_on_again_can_be_blocked_again() {
        let (vitals, metrics) = (Arc::new(Vitals::default()), Metrics::new());
        let (block, blocking) = std::sync::mpsc::channel::<std::sync::mpsc::Receiver<()>>();
        let of_worker = Arc::clone(&vitals);
        let worker = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = of_worker.beat("worker-0") => {}
                    () = async {
                        loop {
                            tokio::time::sleep(BEAT_EVERY).await;
                            match blocking.try_recv() {
                                // What no task may do: it waits on its thread.
                                Ok(until) => drop(until.recv()),
                                Err(std::sync::mpsc::TryRecvError::Empty) => {}
                                Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                            }
                        }
                    } => {}
                }
            });
        });
        let look_until = |wanted: u64| {
            while stalls(&metrics) < wanted {
                std::thread::sleep(BEAT_EVERY);
                vitals.look(Instant::now(), &metrics);
            }
        };
        // A machine that is busy may stand by itself, so that there may be more of them.
        for _ in 0..2 {
            let (release, until) = std::sync::mpsc::channel();
            block.send(until).unwrap();
            look_until(stalls(&metrics) + 1);
            drop(release);
            let beats =
                |workers: &Workers| workers.seen[0].pulse.upgrade().unwrap().0.load(Ordering::Relaxed);
            let before = beats(&vitals.workers.lock().unwrap());
            while beats(&vitals.workers.lock().unwrap()) == before {
                std::thread::sleep(BEAT_EVERY);
            }
            vitals.look(Instant::now(), &metrics);
        }
        drop(block);
        worker.join().unwrap();
        assert!(stalls(&metrics) >= 2);
    }

    #[test]
    fn memory_is_short_from_85_hundredths_until_it_is_below_80() {
        let (vitals, metrics) = (Vitals::default(), Metrics::new());
        let check = |used: u64, is_short: bool| {
            vitals.note_memory(used, 10_000, &metrics);
            let found = (vitals.is_memory_short(), metrics.memory_short.get());
            assert_eq!(found, (is_short, i64::from(is_short)), "{used}");
        };
        check(8_499, false);
        check(8_500, true);
        check(8_000, true);
        check(7_999, false);
        check(8_499, false);
        check(20_000, true);
        check(0, false);
    }
}
