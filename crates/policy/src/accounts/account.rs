//! One account: the rates, the places and the purses of one scope.

use super::purse::Purse;
use super::rules::{AccountRules, RateRule, TierRules};
use crate::clock::{Moment, Wall};
use crate::sliding::Sliding;
use jiff::tz::TimeZone;

#[derive(Debug, Clone)]
pub(super) struct Rate {
    /// Within its account, and never used again.
    pub(super) id: u32,
    pub(super) rule: RateRule,
    pub(super) window: Sliding,
}

#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) rates: Vec<Rate>,
    pub(super) purses: Vec<Purse>,
    pub(super) parallel: Option<u32>,
    pub(super) in_flight: u32,
    pub(super) tiers: TierRules,
    /// It is on the list of those that have changed.
    pub(super) is_noted: bool,
    next_id: u32,
}

impl Account {
    pub(super) fn new(rules: &AccountRules, wall: Wall, zone: &TimeZone) -> Self {
        let mut account = Self {
            rates: Vec::new(),
            purses: Vec::new(),
            parallel: None,
            in_flight: 0,
            tiers: rules.tiers,
            is_noted: false,
            next_id: 0,
        };
        account.configure(rules, wall, zone);
        account
    }

    /// Takes up other rules. What was counted stays where the same thing is still counted over the same time.
    pub(super) fn configure(&mut self, rules: &AccountRules, wall: Wall, zone: &TimeZone) {
        (self.parallel, self.tiers) = (rules.parallel, rules.tiers);
        let (mut rates, mut purses) = (std::mem::take(&mut self.rates), std::mem::take(&mut self.purses));
        // No room for more than there are: there may be very many accounts, and their rules seldom change.
        self.rates.reserve_exact(rules.rates.len());
        self.purses.reserve_exact(rules.budgets.len());
        for rule in &rules.rates {
            let same = |rate: &Rate| rate.rule.unit == rule.unit && rate.rule.length == rule.length;
            let kept = rates.iter().position(same).map(|at| Rate { rule: *rule, ..rates.swap_remove(at) });
            let rate = kept.unwrap_or_else(|| Rate {
                id: self.id(),
                rule: *rule,
                window: Sliding::new(rule.length),
            });
            self.rates.push(rate);
        }
        for rule in &rules.budgets {
            let same = |purse: &Purse| purse.rule.cadence == rule.cadence && purse.rule.anchor == rule.anchor;
            let kept = purses.iter().position(same).map(|at| purses.swap_remove(at));
            let kept = kept.map(|purse| purse.under(*rule, wall, &self.tiers));
            let purse = kept.unwrap_or_else(|| Purse::new(self.id(), *rule, wall, zone));
            self.purses.push(purse);
        }
    }

    fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// Lets what is over be over.
    pub(super) fn roll(&mut self, wall: Wall, zone: &TimeZone) {
        for purse in &mut self.purses {
            purse.roll(wall, &self.tiers, zone);
        }
    }

    pub(super) fn rate(&mut self, id: u32) -> Option<&mut Rate> {
        self.rates.iter_mut().find(|rate| rate.id == id)
    }

    /// The purse of this number, with the tiers of its account.
    pub(super) fn purse(&mut self, id: u32) -> Option<(&mut Purse, &TierRules)> {
        let purse = self.purses.iter_mut().find(|purse| purse.id == id)?;
        Some((purse, &self.tiers))
    }

    /// When a rate that has no room for `asked` has it again, and how much of it is used; none where it has room.
    pub(super) fn lack(rate: &mut Rate, now: Moment, asked: u64) -> Option<(u64, Option<Moment>)> {
        let [used] = rate.window.sums(now);
        let has_room = used.checked_add(asked).is_some_and(|sum| sum <= rate.rule.limit);
        if has_room {
            return None;
        }
        let most = rate.rule.limit.checked_sub(asked);
        Some((used, most.and_then(|most| rate.window.falls_to(most, |[count]| count))))
    }
}
