//! The suites of `cargo xtask test`, in the order in which they run: cheap checks first.
//!
//! What the suites assert lives with the crates and in `tests/`; how a runner's output becomes numbers lives in
//! `counts.rs`.
//!
//! **Invariant**: a runner that ended with another status than 0 never counts as "nothing failed".

use std::path::{Path, PathBuf};
use std::process::Command;

use super::counts::{self, Counts};
use crate::postgres::{self, Postgres};
use crate::services;
use crate::setup;
use crate::shell::{self, Workspace};

/// One suite: a name for `--only`, a line about it and the way to run it.
pub(crate) struct Suite {
    /// The name in the table and for `--only`.
    pub(crate) name: &'static str,
    /// What it checks, in a few words.
    pub(crate) about: &'static str,
    /// Prepares and runs it; the flag asks for the long version.
    pub(crate) run: fn(&Workspace, bool) -> Result<Counts, String>,
}

impl Suite {
    /// Whether the suite was named.
    pub(crate) fn is_among(&self, names: &[String]) -> bool {
        names.iter().any(|name| name == self.name)
    }
}

/// Every suite, in order.
pub(crate) const SUITES: &[Suite] = &[
    Suite { name: "fmt", about: "rustfmt has nothing to change", run: fmt },
    Suite { name: "clippy", about: "no warning in any target", run: clippy },
    Suite { name: "rust", about: "unit, integration and tidiness tests of every crate", run: rust },
    Suite { name: "doc", about: "examples in documentation", run: doc },
    Suite { name: "python", about: "official Python clients and curl against the binary", run: python },
    Suite {
        name: "litellm",
        about: "the LiteLLM SDK, LangChain, LlamaIndex, Instructor, older clients",
        run: litellm,
    },
    Suite {
        name: "node",
        about: "the official npm packages and the Vercel AI SDK against the binary",
        run: node,
    },
    Suite { name: "agents", about: "Claude Code, Codex and Gemini CLI against the binary", run: agents },
];

fn fmt(workspace: &Workspace, _long: bool) -> Result<Counts, String> {
    let transcript = shell::tee(&mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    Ok(Counts::check(transcript.ok))
}

fn clippy(workspace: &Workspace, _long: bool) -> Result<Counts, String> {
    let args = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    let transcript = shell::tee(&mut workspace.cargo(&args))?;
    Ok(Counts::check(transcript.ok))
}

fn rust(workspace: &Workspace, long: bool) -> Result<Counts, String> {
    let nextest = shell::which("cargo-nextest").is_some();
    let mut args: Vec<&str> = if nextest { vec!["nextest", "run"] } else { vec!["test", "--all-targets"] };
    args.extend(["--workspace", "--locked", "--no-fail-fast"]);
    if nextest {
        args.extend(["--status-level", "slow", "--final-status-level", "fail", "--failure-output", "final"]);
    }
    setup::programs(workspace, services::FOR_CRATES)?;
    let postgres = Postgres::start(workspace)?;
    let mut command = workspace.cargo(&args);
    command.env("NEXTEST_HIDE_PROGRESS_BAR", "1").env(postgres::VARIABLE, postgres.url());
    counted(long_env(&mut command, long), if nextest { counts::of_nextest } else { counts::of_cargo_test })
}

fn doc(workspace: &Workspace, _long: bool) -> Result<Counts, String> {
    let args = ["test", "--doc", "--workspace", "--locked", "--no-fail-fast", "--quiet"];
    let transcript = shell::tee(&mut workspace.cargo(&args))?;
    // A workspace without a single example passes: the check is that those which are there compile and run.
    let counts = counts::of_cargo_test(&transcript.lines);
    Ok(if counts.is_empty() { Counts::check(transcript.ok) } else { honest(counts, transcript.ok) })
}

fn python(workspace: &Workspace, long: bool) -> Result<Counts, String> {
    let python = environment(workspace, "python", "tests/python/requirements.txt")?;
    pytest(workspace, &python, "not litellm and not agents", None, long)
}

/// The tests marked `both` run again here, with the older major versions of the official clients that LiteLLM and the
/// frameworks bring.
fn litellm(workspace: &Workspace, long: bool) -> Result<Counts, String> {
    let python = environment(workspace, "litellm", "tests/python/requirements-litellm.txt")?;
    pytest(workspace, &python, "litellm or both", None, long)
}

/// The agents are npm packages; what drives them is Python, like the other black-box tests.
fn agents(workspace: &Workspace, long: bool) -> Result<Counts, String> {
    let packages = setup::node(workspace, "agents", "tests/node/agents")?;
    let python = environment(workspace, "python", "tests/python/requirements.txt")?;
    pytest(workspace, &python, "agents", Some(("TOLLGATE_AGENT_PACKAGES", &packages)), long)
}

fn environment(workspace: &Workspace, name: &str, requirements: &str) -> Result<PathBuf, String> {
    setup::programs(workspace, services::FOR_TESTS)?;
    let python = setup::python(workspace, name, requirements)?;
    build(workspace)?;
    Ok(python)
}

/// The tests of the chosen marks; `packages` is a variable that names a folder.
fn pytest(
    workspace: &Workspace,
    python: &Path,
    marks: &str,
    packages: Option<(&str, &Path)>,
    long: bool,
) -> Result<Counts, String> {
    let program = python.to_string_lossy();
    let args = ["-m", "pytest", "tests/python", "-c", "tests/python/pytest.ini", "-m", marks];
    let mut command = workspace.command(&program, &args);
    command.envs(packages);
    with_binary(workspace, &mut command);
    counted(long_env(&mut command, long), counts::of_pytest)
}

fn node(workspace: &Workspace, long: bool) -> Result<Counts, String> {
    setup::programs(workspace, services::FOR_TESTS)?;
    let packages = setup::node(workspace, "node", "tests/node")?;
    build(workspace)?;
    // Node takes a folder or files, depending on its version; files work everywhere.
    let mut command = workspace.command("node", &["--test", "--test-reporter=tap"]);
    command.args(test_files(&workspace.root.join("tests/node"))?);
    command.env("TOLLGATE_NODE_PACKAGES", packages);
    with_binary(workspace, &mut command);
    counted(long_env(&mut command, long), counts::of_node)
}

fn test_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    files.sort();
    Ok(files)
}

/// The debug binary that the black-box suites start.
fn build(workspace: &Workspace) -> Result<(), String> {
    shell::run(&mut workspace.cargo(&["build", "--locked", "--quiet", "--package", "tollgate"]))
}

fn with_binary(workspace: &Workspace, command: &mut Command) {
    command.env("TOLLGATE_BIN", workspace.target.join("debug/tollgate"));
}

fn long_env(command: &mut Command, long: bool) -> &mut Command {
    if long { command.env("TOLLGATE_TEST_LONG", "1") } else { command.env_remove("TOLLGATE_TEST_LONG") }
}

fn counted(command: &mut Command, read: fn(&[String]) -> Counts) -> Result<Counts, String> {
    let line = shell::shown(command);
    let transcript = shell::tee(command)?;
    let counts = read(&transcript.lines);
    if counts.is_empty() && !transcript.ok {
        return Err(format!("`{line}` failed before any test ran"));
    }
    Ok(honest(counts, transcript.ok))
}

/// A runner that failed without a failed test (a crash, an error at the session's end) is one failure.
fn honest(counts: Counts, ok: bool) -> Counts {
    if !ok && counts.failed == 0 { counts + Counts::failure() } else { counts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_that_fails_without_a_failed_test_is_one_failure() {
        let passed = Counts { passed: 4, failed: 0, skipped: 0 };
        assert_eq!(honest(passed, true), passed);
        assert_eq!(honest(passed, false).failed, 1);
        let failed = Counts { passed: 4, failed: 2, skipped: 0 };
        assert_eq!(honest(failed, false), failed);
    }

    #[test]
    fn a_runner_that_dies_before_its_first_test_is_an_error() {
        let workspace = Workspace::find();
        let error = counted(&mut workspace.command("false", &[]), counts::of_pytest).unwrap_err();
        assert!(error.contains("before any test ran"), "{error}");
    }

    #[test]
    fn suites_have_names_of_their_own() {
        let mut names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        names.dedup();
        assert_eq!(names.len(), SUITES.len());
    }
}
