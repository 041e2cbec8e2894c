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
use super::contender::{CORE, Contender, deployment, general_settings};
use super::load;
use super::process::Server;
use crate::shell::{self, Workspace};

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
    let printed = steps(workspace)?;
    let gateway = Contender::gateway(workspace, folder, ("routing", &config(upstream_port)))?;
    let mut rows = SIZES.map(|size| RoutingRow {
        size,
        choice_ns: figure(&printed, "choice", size),
        step_ns: figure(&printed, "step", size),
        cpu_us: vec![],
    });
    for round in 1..=rounds {
        eprintln!("deployments of a group: round {round} of {rounds}");
        for row in &mut rows {
            let target = gateway.chat(&group(row.size), false);
            let sample = || gateway.server.as_ref().map_or(0.0, Server::cpu_seconds);
            let burst = load::saturate(&target, CONNECTIONS, warm, window, sample)
                .await
                .map_err(|error| format!("a group of {}: {error}", row.size))?;
            row.cpu_us.push((burst.after - burst.before) * 1e6 / burst.requests.max(1) as f64);
        }
    }
    Ok(rows.into())
}

/// What the test prints, on the contenders' core. It is built before, with all cores.
fn steps(workspace: &Workspace) -> Result<String, String> {
    let test = ["test", "--release", "--locked", "--package", "tollgate-server", "--lib"];
    shell::run(workspace.cargo(&test).arg("--no-run"))?;
    let core = CORE.to_string();
    let mut command = workspace.command("taskset", &["--cpu-list", &core, "cargo"]);
    command.args(test).args(["--", "--ignored", "--exact", "--nocapture", TEST]);
    shell::output(&mut command)
}

/// The end of a line of it: `routing choice, 100 deployments: 1234 ns`. The first has the test's name before it.
fn figure(printed: &str, what: &str, size: usize) -> Option<f64> {
    let start = format!("routing {what}, {size} deployments: ");
    let (_, figure) = printed.lines().find_map(|line| line.split_once(&start))?;
    figure.strip_suffix(" ns")?.trim().parse().ok()
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
    fn figures_are_found_among_what_a_test_prints() {
        let printed = "running 1 test\ntest of_a_step ... routing choice, 1 deployments: 99 ns\nrouting choice, 100 deployments: 1234 ns\n\
                       routing step, 100 deployments: 1500 ns\ntest ... ok\n";
        assert_eq!(figure(printed, "choice", 100), Some(1234.0));
        assert_eq!(figure(printed, "choice", 1), Some(99.0));
        assert_eq!(figure(printed, "step", 100), Some(1500.0));
        assert_eq!(figure(printed, "step", 10), None);
    }

    #[test]
    fn the_gateway_knows_groups_of_every_size() {
        let text = config(7);
        for size in SIZES {
            assert_eq!(text.matches(&format!("model_name: \"{}\"", group(size))).count(), size);
        }
    }
}
