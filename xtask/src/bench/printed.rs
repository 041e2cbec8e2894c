//! Figures that a test of another crate prints: what is private there is timed there.
//!
//! **Invariant**: the test runs alone, in a release build, on the contenders' core.

use super::contender::CORE;
use crate::shell::{self, Workspace};

/// What an ignored test of the server's crate prints. It is built before, with all cores.
///
/// # Errors
/// When it cannot be built, or fails.
pub(crate) fn by_test(workspace: &Workspace, name: &str) -> Result<String, String> {
    let test = ["test", "--release", "--locked", "--package", "tollgate-server", "--lib"];
    shell::run(workspace.cargo(&test).arg("--no-run"))?;
    let mut command = workspace.cargo_on(CORE, &test);
    command.args(["--", "--ignored", "--exact", "--nocapture", name]);
    shell::output(&mut command)
}

/// The end of a line of it, as a number: `routing choice, 100 deployments: 1234 ns`. The first line has the test's name
/// before it.
pub(crate) fn figure(printed: &str, start: &str, unit: &str) -> Option<f64> {
    let (_, figure) = printed.lines().find_map(|line| line.split_once(start))?;
    figure.strip_suffix(unit)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_among_what_a_test_prints() {
        let printed = "running 1 test\ntest of_a_step ... routing choice, 1 deployments: 99 ns\n\
                       routing choice, 100 deployments: 1234 ns\nrouting step, 100 deployments: 1500 ns\ntest ... ok\n";
        let check =
            |start: &str, expect: Option<f64>| assert_eq!(figure(printed, start, " ns"), expect, "{start}");
        check("routing choice, 100 deployments: ", Some(1234.0));
        check("routing choice, 1 deployments: ", Some(99.0));
        check("routing step, 100 deployments: ", Some(1500.0));
        check("routing step, 10 deployments: ", None);
    }
}
