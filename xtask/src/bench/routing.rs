//! What it costs to choose: by itself, and as part of a request.
//!
//! By itself it is timed where it is private: by a test of the server's crate that prints its figures. As part of a
//! request it is the processor time of the gateway with groups of one, ten and a hundred deployments. The words are
//! `routed.rs`'s.
//!
//! **Invariant**: the groups take turns within each round, all before the same stand-in.

use std::path::Path;
use std::time::Duration;

use super::CONNECTIONS;
use super::contender::{Contender, deployment, general_settings};
use super::process::Server;
use super::{load, printed};
use crate::shell::Workspace;

/// Deployments of the groups.
pub(crate) const SIZES: [usize; 3] = [1, 10, 100];
/// The test that prints the figures.
const TEST: &str = "routing::cost::of_a_step";

/// What a group of so many deployments costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RoutingRow {
    /// Deployments.
    pub(crate) size: usize,
    /// Nanoseconds of a choice.
    pub(crate) choice_ns: Option<f64>,
    /// Nanoseconds of a choice, of taking the place and of giving it back.
    pub(crate) step_ns: Option<f64>,
    /// Microseconds of processor time of a plain request, one value a round.
    pub(crate) cpu_us: Vec<f64>,
}

/// Times the step, then the requests.
///
/// # Errors
/// When the test cannot be built, the gateway does not start, or an exchange fails.
pub(crate) async fn measure(
    (workspace, folder): (&Workspace, &Path),
    upstream_port: u16,
    rounds: usize,
    (warm, window): (Duration, Duration),
) -> Result<Vec<RoutingRow>, String> {
    let printed = printed::by_test(workspace, TEST)?;
    let gateway = Contender::gateway(workspace, folder, ("routing", &config(upstream_port)))?;
    let figure = |what: &str, size: usize| {
        printed::figure(&printed, &format!("routing {what}, {size} deployments: "), " ns")
    };
    let mut rows = SIZES.map(|size| RoutingRow {
        size,
        choice_ns: figure("choice", size),
        step_ns: figure("step", size),
        cpu_us: vec![],
    });
    for round in 1..=rounds {
        eprintln!("deployments of a group: round {round} of {rounds}");
        for row in &mut rows {
            let target = gateway.chat(&group(row.size), false);
            let sample = || gateway.server.as_ref().map_or(0.0, Server::cpu_seconds);
            let burst = load::saturate(&[target], CONNECTIONS, warm, window, sample)
                .await
                .map_err(|error| format!("a group of {}: {error}", row.size))?;
            row.cpu_us.push((burst.after - burst.before) * 1e6 / burst.requests.max(1) as f64);
        }
    }
    Ok(rows.into())
}

fn group(size: usize) -> String {
    format!("group-of-{size}")
}

fn config(upstream_port: u16) -> String {
    let rows = SIZES.iter().flat_map(|&size| (0..size).map(move |number| (size, number)));
    let rows: String =
        rows.map(|(size, number)| deployment(&group(size), "bench", number, upstream_port, &[])).collect();
    format!("model_list:\n{rows}{}", general_settings())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_knows_groups_of_every_size() {
        let text = config(7);
        for size in SIZES {
            assert_eq!(text.matches(&format!("model_name: \"{}\"", group(size))).count(), size);
        }
    }
}
