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

mod access;
mod address;
mod alert_type;
mod alerts;
mod budgets;
mod caching;
mod canned;
mod changed;
mod classes;
mod cloud;
mod config;
mod costs;
mod diff;
mod environment;
mod fault;
mod headers;
mod identity;
mod include;
mod jwt;
mod keys;
mod ledger;
mod made;
mod model;
mod page;
mod passthrough;
mod providers;
mod records;
mod report;
mod rotation;
mod router;
mod routing;
mod scalar;
mod secret;
mod section;
mod settings;
mod span;
mod strategy;
mod summary;
mod targets;
mod tier;
mod together;
mod written;
mod yaml;

pub use access::AccessSettings;
pub use address::AddressRange;
pub use alert_type::{AlertType, AlertTypes};
pub use alerts::{AlertChannel, AlertWay, Alerting, Mail, MailTls, UserSpendSettings, is_mailbox};
pub use budgets::{
    AnomalySettings, BUDGET_EXCEEDED_STATUS_DEFAULT, BUDGET_MAXIMUM_FLOOR_DEFAULT, BudgetLimit,
    BudgetMaximum, BudgetSettings, BudgetTiers, EndUserLimit, KeyRates, ScopeLimit,
};
pub use caching::{Caching, FarCaching, FarPlace, Sharing, TTL_DEFAULT, ToolRule, Which};
pub use canned::{Canned, FaqEntry};
pub use changed::{CHANGEABLE, Unchangeable, changeable, keys_of, map_secrets, masked, stands_before};
pub use classes::{AllowedFailsPolicy, RetryPolicy};
pub use cloud::CloudParams;
pub use config::{Config, Loaded, load};
pub use costs::{Costs, Unpriced};
pub use diff::{ReloadDiff, diff};
pub use fault::{Fault, FaultKind};
pub use jwt::{JwtFields, JwtIssuer, JwtScope, JwtSettings, Unregistered};
pub use keys::{Key, Kind, State, Table};
pub use ledger::{DATABASE_CONNECTIONS_DEFAULT, DATABASE_TIMEOUT_DEFAULT, Durability, LedgerSettings};
pub use made::{Incomplete, Made, NamedCredential};
pub use model::{AzureAuth, Deployment, HealthCheck, REGEX_BYTES_MAX, SourcePlace};
pub use page::reference;
pub use passthrough::{PASS_THROUGH_TIMEOUT_DEFAULT, PASSING_METHODS, PassThrough, PassThroughEndpoint};
pub use records::{AliasRule, KeyBounds, KeyMakers, NewRecords};
pub use report::{FINDINGS_MAX, Finding, Report, Severity};
pub use rotation::{KeyRotation, ROTATION_CHECK_DEFAULT};
pub use router::{
    ALLOWED_FAILS_DEFAULT, Alias, COOLDOWN_DEFAULT, FallbackTarget, Fallbacks, MAX_FALLBACKS_DEFAULT,
    NUM_RETRIES_DEFAULT, PreCallChecks, Router,
};
pub use routing::{Hedge, HedgeAfter, Queue, RetryBudget, SensitiveRule};
pub use secret::{MASK, Secret};
pub use settings::{
    ADMISSION_TIMEOUT_DEFAULT, General, HEALTH_CHECK_INTERVAL_DEFAULT, LitellmSettings, LogFormat, LogLevel,
    OnUnsupported, REQUEST_TIMEOUT_DEFAULT, TollgateSettings,
};
pub use strategy::{LatencyArgs, RoutingGroup, Strategy};
pub use summary::check_summary;
pub use targets::matches_pattern;
pub use tier::{LAST_TIER_ALERT_SHARE, MoveOn, Tier, TierTarget, Tiers};
pub use yaml::{DEPTH_MAX, FILE_BYTES_MAX, FILES_MAX, NODES_MAX, TEXT_BYTES_MAX};

#[cfg(test)]
mod tests;
