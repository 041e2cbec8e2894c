//! LiteLLM's YAML in, a validated configuration out, every key accounted for.
//!
//! The road is: text -> what was written, with its places ([`load`]) -> held against the
//! tables of keys -> [`Config`], in which every default is filled in and every name is resolved.
//!
//! Owns: LiteLLM's names and their meaning, `include`, `os.environ/`, findings, what a reload changes. Leaves to others:
//! reading files and variables (closures of the caller), acting on the settings.
//!
//! **Invariant:** no I/O, no clock, no randomness. **Invariant:** no key is silently ignored: it acts, or it is said that
//! it does not act yet, never will, or is unknown. **Invariant:** no finding and no `Debug` output shows a secret.

mod address;
mod cloud;
mod config;
mod diff;
mod environment;
mod identity;
mod include;
mod keys;
mod model;
mod page;
mod passthrough;
mod providers;
mod report;
mod router;
mod scalar;
mod secret;
mod section;
mod settings;
mod summary;
mod yaml;

pub use address::AddressRange;
pub use cloud::CloudParams;
pub use config::{Config, Loaded, load};
pub use diff::{ReloadDiff, diff};
pub use keys::{Key, Kind, State, Table};
pub use model::{AzureAuth, Deployment, SourcePlace};
pub use page::reference;
pub use passthrough::{PASS_THROUGH_TIMEOUT_DEFAULT, PASSING_METHODS, PassThrough, PassThroughEndpoint};
pub use report::{FINDINGS_MAX, Finding, Report, Severity};
pub use router::{
    ALLOWED_FAILS_DEFAULT, Alias, AllowedFailsPolicy, COOLDOWN_DEFAULT, FallbackTarget, Fallbacks,
    MAX_FALLBACKS_DEFAULT, NUM_RETRIES_DEFAULT, RetryPolicy, Router, Strategy, matches_pattern,
};
pub use secret::{MASK, Secret};
pub use settings::{
    General, LitellmSettings, LogFormat, LogLevel, OnUnsupported, REQUEST_TIMEOUT_DEFAULT, TollgateSettings,
};
pub use summary::check_summary;
pub use yaml::{DEPTH_MAX, FILE_BYTES_MAX, FILES_MAX, NODES_MAX, TEXT_BYTES_MAX};

#[cfg(test)]
mod tests;
