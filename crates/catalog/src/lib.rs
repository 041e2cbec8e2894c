//! The catalogue: which providers there are, which models they sell, and what a usage costs.
//!
//! Owns: the provider table, the built-in facts about models (prices, windows, capabilities), exact money, the cost of
//! a usage. Leaves to others: which deployments an operator has, what a usage was, who pays.
//!
//! **Invariant:** pure. Nothing here does I/O, reads a clock or an environment variable, or keeps state; money is an
//! integer; nothing is parsed or allocated before it is asked for.

pub mod adjustment;
pub mod ceiling;
pub mod cost;
pub mod model;
pub mod money;
pub mod prices;
pub mod provider;

pub use adjustment::{Adjustment, Bill, Share};
pub use ceiling::{Bounds, CacheWrites, Served, Terms, ceiling, lower};
pub use cost::{Cost, Usage, cost};
pub use model::{Mode, Model, Overlay, OverlayError, model};
pub use money::{PicoDollars, Price};
pub use prices::{PRICE_KEYS, PriceError, Prices, SearchContextSize, ServiceTier};
pub use provider::{
    KeyPlacement, Provider, ResolveError, Wire, is_known_elsewhere, nearest_provider, provider, providers,
    resolve_model,
};
