//! What a step of routing costs, printed on demand; `cargo xtask bench` reads it:
//! `cargo test --release -p tollgate-server --lib routing::cost -- --ignored --nocapture`.
//!
//! A test of this crate rather than a program beside it: the functions that are timed stay private.

#![allow(clippy::print_stdout, reason = "figures are printed")]

use super::{Group, Place};
use crate::gateway::Gateway;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate_policy::ask::{Ask, Requirements};
use tollgate_policy::choice::Choice;

/// Tokens that a request reserves.
const TOKENS: u64 = 300;

/// Nanoseconds of one call: the best of several batches, which is what undisturbed work takes.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let mut calls = 1_u32;
    let batch = |calls: u32, call: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed()
    };
    while batch(calls, &mut call) < Duration::from_millis(5) {
        calls *= 2;
    }
    (0..25).map(|_| batch(calls, &mut call).as_nanos() as f64 / f64::from(calls)).fold(f64::MAX, f64::min)
}

/// A gateway with one group `m` of so many deployments, and further lines of each one's parameters.
fn gateway(size: usize, params: &str) -> Arc<Gateway> {
    let row = |number: usize| {
        format!(
            "  - {{model_name: m, model_info: {{id: m-{number}}}, litellm_params: {{model: openai/m, \
             api_base: \"http://127.0.0.1:9/v1\", api_key: sk-{number}{params}}}}}\n"
        )
    };
    let rows: String = (0..size).map(row).collect();
    let text = format!("model_list:\n{rows}");
    let loaded = tollgate_config::load(Path::new("config.yaml"), &mut |_| Ok(text.clone()), &|_| None);
    Gateway::new(loaded.config.unwrap(), None).unwrap()
}

/// The place of the deployment that is chosen.
fn board(group: &Group, ask: &Ask<'_>) -> Option<Place> {
    let Choice::Deployment { position, why } = group.choose(ask, TOKENS, &[]) else { return None };
    Place::take(group.targets().get(position)?, why, TOKENS, group.rules().latency)
}

#[test]
fn a_step_holds_a_place_at_one_of_the_deployments() {
    let gateway = gateway(3, ", max_parallel_requests: 1");
    let group = gateway.snapshot().group(gateway.metrics(), "m").unwrap();
    let requirements = Requirements::default();
    let ask = Ask::new(&requirements);
    let held: Vec<Place> = std::iter::from_fn(|| board(&group, &ask)).take(4).collect();
    assert_eq!(held.len(), 3, "each has room for one");
}

#[test]
#[ignore = "prints figures; means something in release mode only"]
fn of_a_step() {
    let requirements = Requirements::default();
    let ask = Ask::new(&requirements);
    for (kind, params) in [("", ""), (" with limits", ", rpm: 1000000000, tpm: 1000000000000")] {
        for size in [1, 10, 100] {
            let gateway = gateway(size, params);
            let group = gateway.snapshot().group(gateway.metrics(), "m").unwrap();
            let choice = nanoseconds(|| {
                black_box(group.choose(black_box(&ask), TOKENS, &[]));
            });
            let step = nanoseconds(|| {
                if let Some(mut place) = board(&group, black_box(&ask)) {
                    place.answered(None);
                    place.finish(TOKENS, None);
                }
            });
            println!("routing choice{kind}, {size} deployments: {choice:.0} ns");
            println!("routing step{kind}, {size} deployments: {step:.0} ns");
        }
    }
}
