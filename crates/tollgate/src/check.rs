//! `tollgate check`: everything that is wrong or of note in a configuration.

use crate::cli::{CheckArguments, complain, say};
use crate::files;
use std::process::ExitCode;
use tollgate_config::check_summary;
use tollgate_server::Gateway;

/// Prints every finding; the status is 1 when there is an error.
pub(crate) fn run(arguments: &CheckArguments) -> ExitCode {
    let Some(path) = files::find_config(arguments.config.as_deref()) else {
        complain("no configuration: name one with --config, or put config.yaml here");
        return ExitCode::FAILURE;
    };
    let loaded = files::read_config(&path);
    for finding in &loaded.report.findings {
        say(&finding.to_string());
    }
    // What only building shows: an address or a header that cannot be used, a price file that is not there.
    let built = loaded.config.clone().map(|config| {
        let overlay = files::read_overlay(&config)?;
        Gateway::new(config, overlay).map(|_| ()).map_err(|error| error.to_string())
    });
    let unbuildable = built.and_then(Result::err);
    if let Some(error) = &unbuildable {
        say(&format!("{}: error: {error}", path.display()));
    }
    if unbuildable.is_none() {
        say(check_summary(&loaded).trim_end());
    } else {
        say("The configuration cannot be used.");
    }
    if loaded.config.is_some() && unbuildable.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
