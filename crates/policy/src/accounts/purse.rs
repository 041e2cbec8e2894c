//! One budget of an account: what is spent of it in this period, and what is held for requests under way.
//!
//! **Invariant:** what is settled and what is held together never pass the limit (and its overflow, for critical requests)
//! by a hold; only a provider that charges more than the highest possible cost could take them further.

use super::rules::{BudgetRule, Part, Tier, TierRules};
use super::{Crossing, Threshold};
use crate::clock::Wall;
use crate::period::Period;
use jiff::tz::TimeZone;
use tollgate_catalog::PicoDollars;

/// The period before this one, for what was under way when it ended.
#[derive(Debug, Clone, Copy)]
struct Past {
    period: Period,
    settled: PicoDollars,
    /// The limit that it had.
    limit: Option<PicoDollars>,
}

/// Which thresholds were told in this period.
#[derive(Debug, Clone, Copy, Default)]
struct Told(u8);

impl Told {
    /// Notes it; whether it is news.
    fn note(&mut self, threshold: Threshold) -> bool {
        let is_news = self.0 & threshold.bit() == 0;
        self.0 |= threshold.bit();
        is_news
    }
}

#[derive(Debug, Clone)]
pub(super) struct Purse {
    /// Within its account, and never used again.
    pub(super) id: u32,
    pub(super) rule: BudgetRule,
    pub(super) period: Period,
    pub(super) settled: PicoDollars,
    pub(super) held: PicoDollars,
    past: Option<Past>,
    told: Told,
}

/// What a purse has for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// The most that this request may spend; below zero where the purse is overdrawn.
    pub(super) available: PicoDollars,
    pub(super) limit: PicoDollars,
}

impl Purse {
    pub(super) fn new(id: u32, rule: BudgetRule, wall: Wall, zone: &TimeZone) -> Self {
        Self {
            id,
            rule,
            period: period(&rule, wall, zone),
            settled: PicoDollars::ZERO,
            held: PicoDollars::ZERO,
            past: None,
            told: Told::default(),
        }
    }

    /// The same under another rule of the same cadence. What is no longer passed is news when it is passed again.
    pub(super) fn under(self, rule: BudgetRule, wall: Wall, tiers: &TierRules) -> Self {
        let mut purse = Self { rule, ..self };
        purse.forget_marks(wall, tiers);
        purse
    }

    /// Sets what was spent. What is no longer passed is news when it is passed again.
    pub(super) fn set(&mut self, settled: PicoDollars, wall: Wall, tiers: &TierRules) {
        self.settled = settled;
        self.forget_marks(wall, tiers);
    }

    fn forget_marks(&mut self, wall: Wall, tiers: &TierRules) {
        for (threshold, mark) in self.marks(wall, tiers) {
            if mark.is_none_or(|mark| self.settled < mark) {
                self.told.0 &= !threshold.bit();
            }
        }
    }

    /// Goes on to the period of this moment. Never back: a clock that is set back ends no period twice.
    pub(super) fn roll(&mut self, wall: Wall, tiers: &TierRules, zone: &TimeZone) {
        if wall < self.period.end {
            return;
        }
        let next = period(&self.rule, wall, zone);
        let past =
            Past { period: self.period, settled: self.settled, limit: self.rule.limit_at(self.period.start) };
        let follows = next.start == self.period.end;
        self.settled = if follows { debt(&past, tiers) } else { PicoDollars::ZERO };
        (self.held, self.period, self.told) = (PicoDollars::ZERO, next, Told::default());
        self.past = Some(past);
    }

    /// What is left for a request; none where there is no limit.
    pub(super) fn room(&self, wall: Wall, tiers: &TierRules, is_critical: bool) -> Option<Room> {
        let limit = self.rule.limit_at(wall)?;
        let cap = if is_critical { limit.saturating_add(tiers.overflow.of(limit)) } else { limit };
        Some(Room { available: cap.saturating_sub(self.settled).saturating_sub(self.held), limit })
    }

    pub(super) fn hold(&mut self, amount: PicoDollars) {
        self.held = self.held.saturating_add(amount);
    }

    /// Takes a hold of the period that began at `start` away again.
    pub(super) fn let_go(&mut self, start: Wall, amount: PicoDollars) {
        if start == self.period.start {
            self.held = self.held.saturating_sub(amount);
        }
    }

    /// Books what was spent by a request of the period that began at `start`.
    pub(super) fn settle(&mut self, start: Wall, cost: PicoDollars, tiers: &TierRules) {
        if start == self.period.start {
            self.settled = self.settled.saturating_add(cost);
            return;
        }
        let Some(past) = self.past.as_mut().filter(|past| past.period.start == start) else { return };
        let before = debt(past, tiers);
        past.settled = past.settled.saturating_add(cost);
        if past.period.end == self.period.start {
            self.settled = self.settled.saturating_add(debt(past, tiers)).saturating_sub(before);
        }
    }

    /// What is known of a period from before this process began.
    pub(super) fn restore(&mut self, start: Wall, settled: PicoDollars, tiers: &TierRules, zone: &TimeZone) {
        if start == self.period.start {
            self.settled = self.settled.saturating_add(settled);
            // Whoever was to be told was told by the process before.
            self.crossings(start, tiers, &mut |_| {});
        } else if self.past.is_none() && start < self.period.start {
            let period = period(&self.rule, start, zone);
            self.past = Some(Past { period, settled: PicoDollars::ZERO, limit: self.rule.limit });
            self.settle(period.start, settled, tiers);
        }
    }

    /// The thresholds that are passed and were not told in this period.
    pub(super) fn crossings(&mut self, wall: Wall, tiers: &TierRules, found: &mut impl FnMut(Crossing)) {
        let limit = self.rule.limit_at(wall);
        for (threshold, mark) in self.marks(wall, tiers) {
            let Some(mark) = mark.filter(|mark| self.settled >= *mark) else { continue };
            if self.settled > PicoDollars::ZERO && self.told.note(threshold) {
                found(Crossing {
                    threshold,
                    cadence: self.rule.cadence,
                    period: self.period,
                    settled: self.settled,
                    mark,
                    limit,
                });
            }
        }
    }

    fn marks(&self, wall: Wall, tiers: &TierRules) -> [(Threshold, Option<PicoDollars>); 4] {
        let limit = self.rule.limit_at(wall);
        let part = |part: Option<Part>| limit.and_then(|limit| Some(part?.of(limit)));
        [
            (Threshold::Soft, self.rule.soft),
            (Threshold::Warn, part(tiers.warn)),
            (Threshold::Downgrade, part(tiers.downgrade)),
            (Threshold::Spent, limit),
        ]
    }

    /// How far it has run down.
    pub(super) fn tier(&self, wall: Wall, tiers: &TierRules) -> Tier {
        let Some(limit) = self.rule.limit_at(wall) else { return Tier::Ok };
        let is_from = |part: Option<Part>| part.is_some_and(|part| self.settled >= part.of(limit));
        if self.settled >= limit {
            Tier::Overflow
        } else if is_from(tiers.downgrade) {
            Tier::Downgrade
        } else if is_from(tiers.warn) {
            Tier::Warn
        } else {
            Tier::Ok
        }
    }
}

fn period(rule: &BudgetRule, wall: Wall, zone: &TimeZone) -> Period {
    rule.cadence.map_or(Period::FOREVER, |cadence| cadence.period(wall, rule.anchor, zone))
}

/// What a period owes the next: what went beyond its limit, as far as critical requests may go.
fn debt(past: &Past, tiers: &TierRules) -> PicoDollars {
    let Some(limit) = past.limit else { return PicoDollars::ZERO };
    let beyond = past.settled.saturating_sub(limit).max(PicoDollars::ZERO);
    beyond.min(tiers.overflow.of(limit))
}
