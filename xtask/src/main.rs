//! The workspace's own commands: `cargo xtask test`, `cargo xtask bench`, `cargo xtask setup`.
//!
//! Owns what a developer or CI runs around the gateway. It leaves the gateway itself, and everything that a test
//! asserts, to the crates and to `tests/`.
//!
//! **Invariant**: a missing tool, a failed install or a suite that ran no test is a failure with a message that
//! says what to do; nothing here is skipped in silence.

// A command for people and CI logs: printing is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod postgres;
mod services;
mod setup;
mod shell;
mod test;
mod weights;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  test [--long] [--only SUITE]...   install what the tests need, run every suite, end with the counts
                                    suites: fmt, clippy, rust, doc, python, litellm, node, agents
  setup                             only install what the tests need
  bench [--quick] [--peers]         measure the gateway beside nginx and no proxy at all; writes docs/benchmarks.md
        [--only ROW]...               rows: plain, stream, large, crossed, latency, pace, loss, hedge, routing, toll,
                                      instructions, hot, noisy, keys, journal, memory, start
        [--no-write]                  print only; a quick run never writes, one of some rows their sections alone
        [--without-gateway]           nginx and the load alone: what the harness itself costs
  weights [--write]                 make the embedder's model again and compare it with the committed one
  upstream --port N                 the provider stand-in that the benchmark measures against
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let outcome = match args.first().map(String::as_str) {
        Some("test") => test::run(rest),
        Some("setup") => setup::everything(&shell::Workspace::find()).map(|_| true),
        Some("bench") => bench::run(rest),
        Some("weights") => weights::run(rest),
        Some("upstream") => bench::upstream::run(rest),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(true)
        }
        Some(other) => Err(format!("unknown command {other:?}\n\n{HELP}")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
