//! One budget of an account: what is spent of it in this period, and what is held for requests under way.
//!
//! **Invariant:** what is settled and what is held, here and as far as it is known at other gateways, together never pass the
//! limit (and its overflow, for critical requests) by a hold; only a provider that charges more than the highest possible cost could take them further.

use super::rules::{BudgetRule, Part, Tier, TierRules};
use super::sharing::Shared;
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
    /// What of it is not in the books yet.
    unposted: PicoDollars,
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
    /// What of it is not in the books yet.
    pub(super) unposted: PicoDollars,
    pub(super) held: PicoDollars,
    /// What is known of other gateways, and they of this one.
    pub(super) shared: Shared,
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
            unposted: PicoDollars::ZERO,
            held: PicoDollars::ZERO,
            shared: Shared::default(),
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

    /// Sets what was spent, as far as it is in the books, and forgets what the period before owes. What is no longer passed is
    /// news when it is passed again.
    pub(super) fn set(&mut self, settled: PicoDollars, wall: Wall, tiers: &TierRules) {
        (self.settled, self.past) = (settled.saturating_add(self.unposted), None);
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
        let limit = self.rule.limit_at(self.period.start);
        let Self { period, settled, unposted, .. } = *self;
        self.past = Some(Past { period, settled, unposted, limit });
        (self.held, self.period, self.told) = (PicoDollars::ZERO, next, Told::default());
        (self.settled, self.unposted) = (self.debt(tiers), PicoDollars::ZERO);
        self.shared = Shared::default();
    }

    /// What the period before this one owes it.
    pub(super) fn debt(&self, tiers: &TierRules) -> PicoDollars {
        let before = self.past.as_ref().filter(|past| past.period.end == self.period.start);
        before.map_or(PicoDollars::ZERO, |past| debt(past, tiers))
    }

    /// What is left for a request; none where there is no limit.
    pub(super) fn room(&self, wall: Wall, tiers: &TierRules, is_critical: bool) -> Option<Room> {
        let (limit, cap) = (self.rule.limit_at(wall)?, self.cap(wall, tiers, is_critical)?);
        Some(Room { available: cap.saturating_sub(self.settled).saturating_sub(self.held_by_all()), limit })
    }

    /// What may be spent of it; none where there is no limit.
    pub(super) fn cap(&self, wall: Wall, tiers: &TierRules, is_critical: bool) -> Option<PicoDollars> {
        let limit = self.rule.limit_at(wall)?;
        Some(if is_critical { limit.saturating_add(tiers.overflow.of(limit)) } else { limit })
    }

    /// What is held of it, here and at other gateways.
    pub(super) fn held_by_all(&self) -> PicoDollars {
        self.held.saturating_add(self.shared.elsewhere)
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

    /// Books what was spent by a request of the period that began at `start`. The books do not have it yet.
    pub(super) fn settle(&mut self, start: Wall, cost: PicoDollars, tiers: &TierRules) {
        self.add(start, cost, tiers);
        self.expect(start, cost);
    }

    fn add(&mut self, start: Wall, amount: PicoDollars, tiers: &TierRules) {
        if start == self.period.start {
            self.settled = self.settled.saturating_add(amount);
            return;
        }
        let before = self.debt(tiers);
        let Some(past) = self.past.as_mut().filter(|past| past.period.start == start) else { return };
        past.settled = past.settled.saturating_add(amount);
        self.settled = self.settled.saturating_add(self.debt(tiers)).saturating_sub(before);
    }

    fn unposted_of(&mut self, start: Wall) -> Option<&mut PicoDollars> {
        if start == self.period.start {
            return Some(&mut self.unposted);
        }
        let past = self.past.as_mut().filter(|past| past.period.start == start)?;
        Some(&mut past.unposted)
    }

    /// So much of what is booked comes into the books later.
    pub(super) fn expect(&mut self, start: Wall, amount: PicoDollars) {
        if let Some(unposted) = self.unposted_of(start) {
            *unposted = unposted.saturating_add(amount);
        }
    }

    /// So much of it has come into the books.
    pub(super) fn posted(&mut self, start: Wall, amount: PicoDollars) {
        let is_present = start == self.period.start;
        let Some(unposted) = self.unposted_of(start) else { return };
        let before = *unposted;
        *unposted = unposted.saturating_sub(amount).max(PicoDollars::ZERO);
        let arrived = before.saturating_sub(*unposted);
        if is_present {
            self.shared.posted = self.shared.posted.saturating_add(arrived);
        }
    }

    /// What is spent is what the books have, whoever brought it there, and what is on its way to them. What is no longer passed
    /// is news when it is passed again.
    pub(super) fn follow(
        &mut self,
        (start, wall): (Wall, Wall),
        in_books: PicoDollars,
        tiers: &TierRules,
        zone: &TimeZone,
    ) {
        let start = if start < self.period.start { self.look_back(start, zone) } else { start };
        let before = self.debt(tiers);
        if start == self.period.start {
            self.settled = in_books.saturating_add(self.unposted).saturating_add(before);
        } else if let Some(past) = self.past.as_mut().filter(|past| past.period.start == start) {
            past.settled = in_books.saturating_add(past.unposted);
            self.settled = self.settled.saturating_add(self.debt(tiers)).saturating_sub(before);
        }
        self.forget_marks(wall, tiers);
    }

    /// What is known of a period from before this process began.
    pub(super) fn restore(&mut self, start: Wall, settled: PicoDollars, tiers: &TierRules, zone: &TimeZone) {
        self.book(start, settled, tiers, zone);
        if start == self.period.start {
            // Whoever was to be told was told by the process before.
            self.crossings(start, tiers, &mut |_| {});
        }
    }

    /// Adds to what was spent in the period that began at `start`, or takes from it. What is no longer passed is news when it
    /// is passed again.
    pub(super) fn correct(
        &mut self,
        (start, wall): (Wall, Wall),
        difference: PicoDollars,
        tiers: &TierRules,
        zone: &TimeZone,
    ) {
        self.book(start, difference, tiers, zone);
        self.forget_marks(wall, tiers);
    }

    /// Books in the present period, or in the last one of which anything is known; older ones are of no account.
    fn book(&mut self, start: Wall, amount: PicoDollars, tiers: &TierRules, zone: &TimeZone) {
        let start = if start < self.period.start { self.look_back(start, zone) } else { start };
        self.add(start, amount, tiers);
    }

    /// The beginning of the period, before this one, that has this moment in it; it is the past from now on if nothing is known
    /// of a later one.
    fn look_back(&mut self, moment: Wall, zone: &TimeZone) -> Wall {
        let period = period(&self.rule, moment, zone);
        if self.past.is_none_or(|past| past.period.start < period.start) {
            let nothing = PicoDollars::ZERO;
            self.past = Some(Past { period, settled: nothing, unposted: nothing, limit: self.rule.limit });
        }
        period.start
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
