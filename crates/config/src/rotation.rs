//! When keys are replaced by themselves, and where their new texts are put.
//!
//! Owns: its resolution from `tollgate_settings.key_rotation` and LiteLLM's variables. Leaves to others: which keys are due
//! (identity), replacing them (server).
//!
//! **Invariant:** without a place for the new text no key is replaced: nobody would have it.

use std::path::PathBuf;
use std::time::Duration;

use crate::environment::Environment;
use crate::keys::{ledger, tollgate};
use crate::report::Collector;
use crate::section::Section;
use crate::span::cadence;
use crate::yaml::Node;

/// How often it is looked for keys that are due. LiteLLM looks once a day.
pub const ROTATION_CHECK_DEFAULT: Duration = Duration::from_secs(300);

/// The replacing of keys whose `key_rotation_at` has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRotation {
    /// Whether it is done at all.
    pub is_on: bool,
    /// The folder with a file for the text of each new key, relative to the working directory.
    pub folder: Option<PathBuf>,
    /// How long the old key is let through beside the new one, as it was written; `None` for not at all.
    pub grace_period: Option<String>,
    /// How often it is looked for keys that are due.
    pub check_interval: Duration,
}

impl Default for KeyRotation {
    fn default() -> Self {
        Self { is_on: false, folder: None, grace_period: None, check_interval: ROTATION_CHECK_DEFAULT }
    }
}

impl KeyRotation {
    /// Resolves the settings of a checked configuration.
    pub(crate) fn resolve(root: &Node, environment: &Environment<'_>, found: &mut Collector) -> Self {
        let own = Section::new(root.get("tollgate_settings"), tollgate::TABLE, "tollgate_settings");
        let section = own.section("key_rotation", ledger::ROTATION);
        let variable = |name: &str| environment.first_of(&[name]).map(|value| value.trim().to_owned());
        let mut warn = |name: &str, message: &str| found.warning(root.place, name, message);
        let folder = section.text("folder").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let switch = variable("LITELLM_KEY_ROTATION_ENABLED");
        let is_yes = |word: &String| word == "1" || word.eq_ignore_ascii_case("true");
        let is_on = switch.as_ref().map_or(folder.is_some(), is_yes);
        if is_on && folder.is_none() {
            let message = "has no effect: nothing says where the texts of new keys are put, and no key is replaced \
                           before somebody can have it: name a tollgate_settings.key_rotation.folder";
            warn("LITELLM_KEY_ROTATION_ENABLED", message);
        }
        let grace_period = section.text("grace_period").or_else(|| {
            let written = variable("LITELLM_KEY_ROTATION_GRACE_PERIOD").filter(|text| !text.is_empty())?;
            if cadence(&written).is_none() {
                warn("LITELLM_KEY_ROTATION_GRACE_PERIOD", "is no span: write 48h, 2d or the like");
                return None;
            }
            Some(written)
        });
        let check_interval = section.seconds("check_interval_seconds").or_else(|| {
            let written = variable("LITELLM_KEY_ROTATION_CHECK_INTERVAL_SECONDS")?;
            let seconds = written.parse().ok().filter(|seconds| *seconds > 0);
            if seconds.is_none() {
                warn("LITELLM_KEY_ROTATION_CHECK_INTERVAL_SECONDS", "is no number of seconds above 0");
            }
            seconds.map(Duration::from_secs)
        });
        Self { is_on, folder, grace_period, check_interval: check_interval.unwrap_or(ROTATION_CHECK_DEFAULT) }
    }
}
