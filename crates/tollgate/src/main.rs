//! The command line: reads the arguments, runs a command, turns its outcome into an exit status.
//!
//! Owns: the process, its arguments, environment, signals, files, threads and log. Leaves to others: everything that
//! happens to a request. **Invariant:** no port is bound before the configuration is known to be good.

mod admin;
mod builtin;
mod check;
mod cli;
mod demo;
mod files;
mod limits;
mod logging;
mod migrate;
mod serve;
mod simulator;
mod watch;
mod watchdog;

use clap::Parser;
use cli::{Arguments, Command, MigrateFrom};
use std::process::ExitCode;

/// Faster than the system's for the many small, short-lived pieces of a request.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Arguments { command, serve } = Arguments::parse();
    let outcome = match command {
        None => serve::run(&serve),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Check(arguments)) => return check::run(&arguments),
        Some(Command::Demo(arguments)) => demo::run(&arguments),
        Some(Command::Simulator(arguments)) => simulator::run(&arguments),
        Some(Command::Migrate(arguments)) => {
            let MigrateFrom::Litellm(arguments) = arguments.from;
            return migrate::run(&arguments);
        }
        Some(other) => return admin::run(&other).unwrap_or(ExitCode::FAILURE),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}
