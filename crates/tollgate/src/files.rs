//! The process's doors to files and environment, and where a configuration is looked for.

use std::path::{Path, PathBuf};
use tollgate_catalog::Overlay;
use tollgate_config::{Config, Loaded, load};

/// Where a configuration is looked for when none is named.
const USUAL_PLACES: [&str; 2] = ["config.yaml", "/app/config.yaml"];

/// The configuration to use: the one named, else the first of the usual places that exists.
pub(crate) fn find_config(named: Option<&Path>) -> Option<PathBuf> {
    named
        .map(Path::to_path_buf)
        .or_else(|| USUAL_PLACES.iter().map(PathBuf::from).find(|place| place.is_file()))
}

/// Reads a configuration and everything it includes.
pub(crate) fn read_config(entry: &Path) -> Loaded {
    load(entry, &mut |path| std::fs::read_to_string(path), &variable)
}

/// Reads a configuration from a text that the process made itself.
pub(crate) fn read_builtin(text: &str) -> Loaded {
    load(Path::new("(built in)"), &mut |_| Ok(text.to_owned()), &variable)
}

/// An environment variable; one that is not UTF-8 is none.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The operator's own facts about models, from the file that the configuration names.
pub(crate) fn read_overlay(config: &Config) -> Result<Option<Overlay>, String> {
    let Some(path) = &config.tollgate.model_prices_file else { return Ok(None) };
    let say = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| say(error.to_string()))?;
    Overlay::from_json(&text).map(Some).map_err(|error| say(error.to_string()))
}

/// Further root certificates that the operator trusts (`SSL_CERT_FILE`, PEM).
pub(crate) fn extra_roots() -> Result<Option<Vec<u8>>, String> {
    let path = variable("SSL_CERT_FILE").filter(|path| !path.is_empty());
    path.map(|path| std::fs::read(&path).map_err(|error| format!("SSL_CERT_FILE {path}: {error}")))
        .transpose()
}
