//! What a request costs its caller that was answered from the cache.
//!
//! **Invariant:** a hit counts as a request of all its limits, takes no tokens of them, and is in the ledger with what it
//! would have used and what it is charged: nothing, or the share that the operator asks.

use super::stake::{Spent, Stake};
use super::{Toll, TollRules};
use crate::target::Target;
use std::fmt;
use std::sync::Arc;
use tollgate_catalog::PicoDollars;
use tollgate_dialect::conversation::Usage;
use tollgate_ledger::Refused;

/// A request that is answered from the cache.
pub(crate) struct Hit(Stake);

impl fmt::Debug for Hit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Hit({:?})", self.0)
    }
}

impl Toll {
    /// Holds what a hit is charged.
    ///
    /// # Errors
    /// The budget that stands in the way.
    pub(crate) async fn hit(
        self: &Arc<Self>,
        rules: &TollRules,
        target: &Arc<Target>,
        charge: PicoDollars,
    ) -> Result<Hit, Box<Refused>> {
        if charge == PicoDollars::ZERO
            && let Some(hit) = self.free_hit(rules, target)
        {
            return Ok(hit);
        }
        let stake = self.stake_most(rules, target, (charge, 0))?.confirmed().await?;
        Ok(Hit(stake.begun()))
    }

    /// A hit that is charged nothing.
    pub(crate) fn free_hit(self: &Arc<Self>, rules: &TollRules, target: &Arc<Target>) -> Option<Hit> {
        self.beside(rules, target).map(Hit)
    }
}

impl Hit {
    /// Books it: what the answer used when it was made, and what is charged for it.
    pub(crate) fn settle(self, usage: &Usage, charge: PicoDollars, key: String) {
        let spent = Spent {
            usage: *usage,
            cost: Some(charge),
            is_free: charge == PicoDollars::ZERO,
            cache_key: Some(key),
            ..Spent::default()
        };
        self.0.settle(&spent);
    }
}
