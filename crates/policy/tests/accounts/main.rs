//! Thousands of seeded plays of the accounts: requests, retries, hedges, resets, changed and closed budgets, clocks that
//! are set forward and back, against an oracle that keeps every cost by itself and adds it all up again.
//!
//! A seed that fails is printed; `TOLLGATE_SIM_SEED=n` replays it. `TOLLGATE_TEST_LONG=1` plays twenty-five times as many.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]
#![expect(clippy::print_stderr, reason = "a failing seed is printed")]

mod world;

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Seeds of a default run.
const SEEDS: u64 = 2_000;

/// Plays all of them, on all cores, and says which one fails.
fn play_all(seeds: RangeInclusive<u64>) -> world::Tally {
    let (next, total) = (AtomicU64::new(*seeds.start()), Mutex::new(world::Tally::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > *seeds.end() {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| world::play(seed))) {
                        Ok(tally) => total.lock().unwrap().add(&tally),
                        Err(panic) => {
                            // The others end with what they are playing.
                            next.store(seeds.end().saturating_add(1), Ordering::Relaxed);
                            eprintln!("seed {seed} fails: TOLLGATE_SIM_SEED={seed} replays it");
                            std::panic::resume_unwind(panic);
                        }
                    }
                }
            });
        }
    });
    total.into_inner().unwrap()
}

#[test]
fn whatever_happens_no_account_is_overspent_and_every_hold_is_given_back_once() {
    if let Ok(seed) = std::env::var("TOLLGATE_SIM_SEED") {
        let seed = seed.parse().expect("TOLLGATE_SIM_SEED is a number");
        eprintln!("{:?}", play_all(seed..=seed));
        return;
    }
    let is_long = std::env::var_os("TOLLGATE_TEST_LONG").is_some();
    let seeds = if is_long { 25 * SEEDS } else { SEEDS };
    let total = play_all(1..=seeds);
    eprintln!("{seeds} seeds: {total:?}");
    // A play in which nothing happens proves nothing.
    let each = [
        total.admitted,
        total.refused_money,
        total.refused_rates,
        total.rebooked,
        total.resets,
        total.closed,
    ];
    assert!(each.iter().all(|count| *count > seeds), "{total:?}");
}
