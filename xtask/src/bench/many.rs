//! A hundred thousand keys, beside one: the start, the memory, the lookup, a request.
//!
//! The lookup is timed where it is private: by a test of the server's crate that prints its figures. The words are
//! `accounted.rs`'s.
//!
//! **Invariant**: both gateways start and serve in turns, before the same stand-in.

use std::path::Path;
use std::time::Duration;

use super::contender::Contender;
use super::people::{self, Budgets};
use super::process::{Memory, Server};
use super::threads::{Paused, Threads};
use super::{CONNECTIONS, load, printed};
use crate::shell::Workspace;

/// Keys of the two databases.
pub(crate) const SIZES: [usize; 2] = [1, 100_000];
/// The test that prints the figures.
const TEST: &str = "pipeline::cost::of_a_lookup";

/// What so many keys cost.
#[derive(Clone, Debug)]
pub(crate) struct ManyRow {
    /// Keys.
    pub(crate) keys: usize,
    /// Milliseconds from start to the first 200, one value a start.
    pub(crate) ready_ms: Vec<f64>,
    /// Memory before the first request.
    pub(crate) idle: Memory,
    /// Memory after the last, when every key had called.
    pub(crate) loaded: Memory,
    /// Microseconds of a lookup.
    pub(crate) lookup_us: Option<f64>,
    /// Microseconds of processor time of a request, one value a round.
    pub(crate) cpu_us: Vec<f64>,
}

/// How often, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManyPlan {
    /// Starts of each.
    pub(crate) starts: usize,
    /// Rounds of requests.
    pub(crate) rounds: usize,
    /// Before what is measured.
    pub(crate) warm: Duration,
    /// What is measured.
    pub(crate) window: Duration,
}

/// Starts both often, then asks with every key in turns.
///
/// # Errors
/// When the test cannot be built, a gateway does not start, or an exchange fails.
pub(crate) async fn measure(
    place: (&Workspace, &Path),
    upstream_port: u16,
    plan: ManyPlan,
) -> Result<Vec<ManyRow>, String> {
    let printed = printed::by_test(place.0, TEST)?;
    let config = people::config(upstream_port, Budgets::KeysAndTeams, ("", ""));
    let (mut rows, mut gateways) = (Vec::new(), Vec::new());
    for keys in SIZES {
        eprintln!("a database with keys: {keys}");
        let name = format!("keys-{keys}");
        gateways.push(people::gateway(place, (&name, &config), Budgets::KeysAndTeams, keys).await?);
        let lookup_us = printed::figure(&printed, &format!("toll lookup, {keys} keys: "), " us");
        let (idle, loaded) = (Memory::default(), Memory::default());
        rows.push(ManyRow { keys, ready_ms: vec![], idle, loaded, lookup_us, cpu_us: vec![] });
    }
    for _ in 0..plan.starts {
        for (gateway, row) in gateways.iter_mut().zip(&mut rows) {
            // The one before ends first: both have the same journal.
            gateway.server = None;
            let name = format!("keys-{}", row.keys);
            *gateway = Contender::gateway(place.0, place.1, (&name, &config))?;
            row.ready_ms.extend(gateway.server.iter().map(|server| server.ready.as_secs_f64() * 1e3));
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    for (gateway, row) in gateways.iter().zip(&mut rows) {
        row.idle = gateway.server.as_ref().map(Server::memory).unwrap_or_default();
    }
    requests(&gateways, &mut rows, plan).await?;
    Ok(rows)
}

async fn requests(gateways: &[Contender], rows: &mut [ManyRow], plan: ManyPlan) -> Result<(), String> {
    let servers: Vec<_> = gateways.iter().map(|gateway| gateway.server.as_ref()).collect();
    for round in 1..=plan.rounds {
        eprintln!("requests of many keys: round {round} of {}", plan.rounds);
        for (at, (gateway, row)) in gateways.iter().zip(rows.iter_mut()).enumerate() {
            let _paused = Paused::but(at, &servers);
            // A stride without a common divisor: keys that follow each other lie nowhere near each other.
            let keys = (0..row.keys).map(|number| people::key(number * 7_919 % row.keys));
            let targets: Vec<_> = keys.map(|key| gateway.chat_as(Some(&key), people::GROUP)).collect();
            let sample = || Threads::of(gateway.server.as_ref());
            let burst = load::saturate(&targets, CONNECTIONS, plan.warm, plan.window, sample)
                .await
                .map_err(|error| format!("{} keys: {error}", row.keys))?;
            row.cpu_us.push((burst.after - burst.before).per_request(burst.requests).all());
            row.loaded = gateway.server.as_ref().map(Server::memory).unwrap_or_default();
        }
    }
    Ok(())
}
