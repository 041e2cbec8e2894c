//! What is fixed about a deployment, as far as the choice among deployments asks for it.
//!
//! Owns the type. Leaves to others: reading it from the configuration and the catalog (server), and what changes from
//! moment to moment ([`crate::choice::Reading`]). **Invariant:** nothing here changes between two reloads.

use crate::limits::Rates;
use crate::shuffle::Share;

/// What is fixed about one deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// The deployment's id (LiteLLM's `model_info.id`).
    pub id: String,
    /// The configuration blocks it (LiteLLM's `blocked`): it gets nothing.
    pub is_blocked: bool,
    /// Its part in `simple-shuffle`; its `weight` counts in `round-robin` and `consistent-hash` too.
    pub share: Share,
    /// LiteLLM's `order`: the lowest goes first. A deployment without one comes after all that have one.
    pub order: Option<i64>,
    /// Its tags; `default` makes it part of the default pool.
    pub tags: Vec<String>,
    /// Its patterns for request headers (LiteLLM's `tag_regex`), as written; see [`crate::ask::Ask::patterns`].
    pub tag_regex: Vec<String>,
    /// Where it runs, by its provider's name for it (`region_name`).
    pub region: Option<String>,
    /// Where its provider keeps what it is sent.
    pub data_residency: Option<String>,
    /// Whether its provider keeps nothing of what it is sent.
    pub zero_data_retention: bool,
    /// Most tokens of a prompt.
    pub context_window: Option<u64>,
    /// What it can do, by the names that requests ask for.
    pub capabilities: Vec<String>,
    /// Price of a prompt's token. All prices of a group are in one unit.
    pub input_price: Option<u128>,
    /// Price of an answer's token.
    pub output_price: Option<u128>,
    /// Price of a prompt's token that the provider has in its cache.
    pub cached_price: Option<u128>,
    /// How good its answers are, in `0..=1`, by the operator's judgement.
    pub quality: Option<f64>,
    /// What it may be sent; the limiter keeps to it, usage-based routing measures against it.
    pub rates: Rates,
}
