//! How accounts stand, for whoever only looks.
//!
//! **Invariant:** a look lets what is over be over, and changes nothing else.

use super::account::Rate;
use super::purse::Purse;
use super::{AccountId, BudgetStanding, Kernel, RateStanding, Standing, Tightest};
use crate::clock::{Moment, Wall};
use smallvec::SmallVec;
use tollgate_catalog::PicoDollars;

impl Kernel {
    /// How the accounts of a request stand.
    pub fn standing(&mut self, accounts: &[AccountId], wall: Wall) -> Standing {
        self.roll(accounts, wall);
        let mut standing = Standing::default();
        for &id in accounts {
            let Some(account) = self.seen(id) else { continue };
            for purse in &account.purses {
                let tier = purse.tier(wall, &account.tiers);
                standing.tier = standing.tier.max(tier);
                let Some(room) = purse.room(wall, &account.tiers, false) else { continue };
                let remaining = room.available.max(PicoDollars::ZERO);
                if standing.tightest.is_none_or(|tightest| remaining < tightest.remaining) {
                    let (cadence, limit) = (purse.rule.cadence, room.limit);
                    standing.tightest = Some(Tightest { account: id, cadence, remaining, limit, tier });
                }
            }
        }
        standing
    }

    /// Whether one of these accounts has a budget with a limit.
    pub fn are_bound(&self, accounts: &[AccountId]) -> bool {
        accounts
            .iter()
            .filter_map(|&id| self.seen(id))
            .any(|account| account.purses.iter().any(|purse| purse.rule.limit.is_some()))
    }

    /// The budgets of one account.
    pub fn budgets(&mut self, id: AccountId, wall: Wall) -> SmallVec<[BudgetStanding; 2]> {
        self.roll(&[id], wall);
        let purses = self.seen(id).map(|account| account.purses.as_slice()).unwrap_or_default();
        let standing = |purse: &Purse| BudgetStanding {
            cadence: purse.rule.cadence,
            period: purse.period,
            limit: purse.rule.limit_at(wall),
            settled: purse.settled,
            held: purse.held,
            held_elsewhere: purse.shared.elsewhere,
        };
        purses.iter().map(standing).collect()
    }

    /// The rates of one account.
    pub fn rates(&mut self, id: AccountId, now: Moment) -> SmallVec<[RateStanding; 4]> {
        let rates = self.account(id).map(|account| account.rates.as_mut_slice()).unwrap_or_default();
        let standing = |rate: &mut Rate| {
            let [used] = rate.window.sums(now);
            let (remaining, full_at) =
                (rate.rule.limit.saturating_sub(used), rate.window.falls_to(0, |[count]| count));
            RateStanding { rule: rate.rule, remaining, full_at }
        };
        rates.iter_mut().map(standing).collect()
    }

    /// The places of one account: those that are taken, of how many.
    pub fn places(&self, id: AccountId) -> Option<(u32, Option<u32>)> {
        self.seen(id).map(|account| (account.in_flight, account.parallel))
    }
}
