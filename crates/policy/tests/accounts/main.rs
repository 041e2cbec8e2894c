//! Thousands of seeded plays of the accounts: requests, retries, hedges, resets, changed and closed budgets, clocks that
//! are set forward and back, against an oracle that keeps every cost by itself and adds it all up again.
//!
//! A seed that fails is printed; `TOLLGATE_SIM_SEED=n` replays it. `TOLLGATE_TEST_LONG=1` plays a hundred times as many.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]
#![expect(clippy::print_stderr, reason = "a failing seed is printed")]

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Seeds of a default run.
const SEEDS: u64 = 500;

fn play_all(seeds: impl Iterator<Item = u64>) -> world::Tally {
    let mut total = world::Tally::default();
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| world::play(seed))) {
            Ok(tally) => total.add(&tally),
            Err(panic) => {
                eprintln!("seed {seed} fails: TOLLGATE_SIM_SEED={seed} replays it");
                std::panic::resume_unwind(panic);
            }
        }
    }
    total
}

#[test]
fn whatever_happens_no_account_is_overspent_and_every_hold_is_given_back_once() {
    if let Ok(seed) = std::env::var("TOLLGATE_SIM_SEED") {
        let seed = seed.parse().expect("TOLLGATE_SIM_SEED is a number");
        eprintln!("{:?}", play_all(std::iter::once(seed)));
        return;
    }
    let is_long = std::env::var_os("TOLLGATE_TEST_LONG").is_some();
    let seeds = if is_long { 100 * SEEDS } else { SEEDS };
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
