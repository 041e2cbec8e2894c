//! Budgets that several gateways spend: what the others hold, what of this one's they can see, and how much may be let in
//! that they cannot.
//!
//! What a gateway holds for requests under way and what of its spending is not in the books yet is shown to the others as one
//! amount. So that this costs nothing where budgets are far from their ends, it is shown only where it has grown by half a
//! lease; it is always shown where it has become less.
//!
//! An attempt that needs more than others may not know of is marked in the step in which its money is held, and counts as
//! let in from when it was answered.
//!
//! **Invariant:** what others can see of this gateway, in the books and beside them, is at least what is vouched for: it is
//! taken back before less is shown, and given only once more was seen to be there.

use super::{AccountId, Kernel, Reservation, purse::Purse};
use crate::clock::Wall;
use crate::period::Cadence;
use tollgate_catalog::PicoDollars;

/// A gateway may let in one of so many parts of a budget that the others cannot see: one percent.
pub const LEASE_PARTS: i128 = 100;

/// Which accounts are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Those of which something has changed since they were looked at last.
    Changed,
    /// Those, and all of which anything is shown.
    Whole,
}

/// What of a budget in a period is to be shown to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Whose.
    pub account: AccountId,
    /// Which of its budgets.
    pub cadence: Option<Cadence>,
    /// The beginning of the period.
    pub start: Wall,
    /// What the others are to see.
    pub amount: PicoDollars,
    /// They see something else now.
    pub is_news: bool,
    /// What of it was in the books when this was said.
    posted: PicoDollars,
}

impl Shown {
    /// The others see another amount than was said.
    #[must_use]
    pub fn as_seen(self, amount: PicoDollars) -> Self {
        Self { amount, ..self }
    }
}

/// A budget of which more is let in than others may not know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Beyond {
    /// Whose.
    pub account: AccountId,
    /// Which of its budgets.
    pub cadence: Option<Cadence>,
    /// The beginning of the period.
    pub start: Wall,
    /// What may be spent of it and held, here and elsewhere.
    pub most: PicoDollars,
}

/// What a purse knows of other gateways, and they of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shared {
    /// What they hold and have not booked, as far as it is known.
    pub(super) elsewhere: PicoDollars,
    /// What of this gateway's spending in the period has come into the books since it began.
    pub(super) posted: PicoDollars,
    /// What they see of this one beside the books.
    shown: PicoDollars,
    /// Nobody knows whether they do.
    is_in_doubt: bool,
    /// What they count in of this one's spending, booked or held: they saw it before this gateway looked last.
    vouched: PicoDollars,
    /// What is held for attempts that are not let in yet: it is asked for.
    asked: PicoDollars,
}

/// What there is to be shown.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// There are other gateways.
    is_shared: bool,
    changed: Vec<AccountId>,
}

impl Reservation {
    /// Where it is to be asked for before it is let in.
    pub fn beyond(&self) -> &[Beyond] {
        &self.beyond
    }
}

impl Purse {
    /// What is held here for what was let in, or booked and not in the books.
    fn own(&self) -> PicoDollars {
        let held = self.held.saturating_sub(self.shared.asked);
        held.saturating_add(self.unposted).max(PicoDollars::ZERO)
    }

    /// What was let in that the others may not know of.
    fn unseen(&self) -> PicoDollars {
        self.own().saturating_add(self.shared.posted).saturating_sub(self.shared.vouched)
    }

    fn lease(&self, wall: Wall) -> Option<PicoDollars> {
        Some(PicoDollars(self.rule.limit_at(wall)?.0 / LEASE_PARTS))
    }

    /// What is to be shown, and takes back what is not to be seen any more.
    fn show(&mut self, account: AccountId, lease: PicoDollars) -> Shown {
        let (own, shared) = (self.own(), &mut self.shared);
        let bound = shared.shown.saturating_add(PicoDollars(lease.0 / 2));
        let may_stay = !shared.is_in_doubt && (shared.shown..=bound).contains(&own);
        let amount = if may_stay { shared.shown } else { own };
        let is_news = shared.is_in_doubt || amount != shared.shown;
        shared.vouched = shared.vouched.min(shared.posted.saturating_add(amount));
        let (cadence, start, posted) = (self.rule.cadence, self.period.start, shared.posted);
        Shown { account, cadence, start, amount, is_news, posted }
    }
}

impl Kernel {
    /// Whether there are other gateways; without, nothing is noted that would be shown to them.
    pub fn share(&mut self, is_shared: bool) {
        self.watch.is_shared = is_shared;
        if !is_shared {
            for id in std::mem::take(&mut self.watch.changed) {
                self.unnote(id);
            }
        }
    }

    pub(super) fn note(&mut self, id: AccountId) {
        if !self.watch.is_shared {
            return;
        }
        let is_new = self.account(id).is_some_and(|account| !std::mem::replace(&mut account.is_noted, true));
        if is_new {
            self.watch.changed.push(id);
        }
    }

    fn unnote(&mut self, id: AccountId) {
        if let Some(account) = self.account(id) {
            account.is_noted = false;
        }
    }

    /// What is to be shown of budgets with a limit: what is news, and what is to be [vouched](Self::vouch) for. Of the whole,
    /// all that is to be seen.
    pub fn show(&mut self, extent: Extent, wall: Wall) -> Vec<Shown> {
        let changed = std::mem::take(&mut self.watch.changed);
        let ids = if extent == Extent::Whole { self.open_accounts() } else { changed };
        let mut all = Vec::new();
        for id in ids {
            self.unnote(id);
            self.roll(&[id], wall);
            for purse in self.account(id).map(|it| it.purses.as_mut_slice()).unwrap_or_default() {
                let Some(lease) = purse.lease(wall) else { continue };
                let shown = purse.show(id, lease);
                let is_nothing = !shown.is_news
                    && shown.amount == PicoDollars::ZERO
                    && purse.shared.vouched == purse.shared.posted;
                if !is_nothing {
                    all.push(shown);
                }
            }
        }
        all
    }

    /// What is to be shown of a budget once so much more of it is in the books; none where nothing is shown of it, or of
    /// another period.
    pub fn show_posted(
        &mut self,
        id: AccountId,
        (cadence, start): (Option<Cadence>, Wall),
        amount: PicoDollars,
    ) -> Option<PicoDollars> {
        let purse = self.present(id, (cadence, start))?;
        let own = purse.own();
        let Purse { shared, .. } = purse;
        shared.vouched = shared.vouched.min(shared.posted.saturating_add(own));
        let is_there = shared.is_in_doubt || shared.shown > PicoDollars::ZERO;
        is_there.then(|| own.saturating_sub(amount).max(PicoDollars::ZERO))
    }

    /// The others see it now; none: it is not known what they see.
    pub fn shown(
        &mut self,
        id: AccountId,
        (cadence, start): (Option<Cadence>, Wall),
        amount: Option<PicoDollars>,
    ) {
        if let Some(Purse { shared, .. }) = self.present(id, (cadence, start)) {
            shared.is_in_doubt = amount.is_none();
            shared.shown = amount.unwrap_or(shared.shown);
        }
        if amount.is_none() {
            self.note(id);
        }
    }

    /// The others saw it, and after that it was looked what there is of theirs.
    pub fn vouch(&mut self, shown: &Shown) {
        let (id, period) = (shown.account, (shown.cadence, shown.start));
        if let Some(Purse { shared, .. }) = self.present(id, period) {
            shared.vouched = shown.posted.saturating_add(shown.amount);
        }
    }

    /// The others may have seen it, and it is not known what there is of theirs: it is to be looked at again.
    pub fn note_again(&mut self, shown: &Shown) {
        self.note(shown.account);
    }

    /// What other gateways hold and have not booked of a budget in a period, where that is the present one.
    pub fn set_elsewhere(
        &mut self,
        id: AccountId,
        (cadence, start): (Option<Cadence>, Wall),
        amount: PicoDollars,
    ) {
        if let Some(purse) = self.present(id, (cadence, start)) {
            purse.shared.elsewhere = amount;
        }
    }

    /// Marks where a reservation is beyond what others may not know of: there it is to be asked for before it is let in.
    pub(super) fn mark_beyond(&mut self, reservation: &mut Reservation, wall: Wall, is_critical: bool) {
        let Reservation { holds, amount, beyond } = reservation;
        if !self.watch.is_shared || *amount <= PicoDollars::ZERO {
            return;
        }
        for hold in holds.iter() {
            let Some(account) = self.account(hold.account) else { continue };
            let tiers = account.tiers;
            let Some((purse, _)) = account.purse(hold.purse) else { continue };
            let (Some(lease), Some(cap)) = (purse.lease(wall), purse.cap(wall, &tiers, is_critical)) else {
                continue;
            };
            if purse.unseen() > lease {
                purse.shared.asked = purse.shared.asked.saturating_add(*amount);
                let (cadence, start) = (purse.rule.cadence, purse.period.start);
                let most = cap.saturating_sub(purse.debt(&tiers));
                beyond.push(Beyond { account: hold.account, cadence, start, most });
            }
        }
    }

    /// Nobody is asked for a reservation any more: it is let in, or is to be given back.
    pub fn answered(&mut self, reservation: &mut Reservation) {
        for Beyond { account, cadence, start, .. } in std::mem::take(&mut reservation.beyond) {
            if let Some(Purse { shared, .. }) = self.present(account, (cadence, start)) {
                shared.asked = shared.asked.saturating_sub(reservation.amount);
            }
            self.note(account);
        }
    }

    /// What is to be shown of a budget before it is known what is let in beside it; none of another period.
    pub fn show_present(
        &mut self,
        id: AccountId,
        (cadence, start): (Option<Cadence>, Wall),
    ) -> Option<Shown> {
        let purse = self.present(id, (cadence, start))?;
        let amount = purse.own();
        let Purse { shared, .. } = purse;
        shared.vouched = shared.vouched.min(shared.posted.saturating_add(amount));
        Some(Shown { account: id, cadence, start, amount, is_news: true, posted: shared.posted })
    }

    fn present(&mut self, id: AccountId, (cadence, start): (Option<Cadence>, Wall)) -> Option<&mut Purse> {
        let purses = self.account(id)?.purses.iter_mut();
        purses.into_iter().find(|purse| purse.rule.cadence == cadence && purse.period.start == start)
    }

    fn open_accounts(&self) -> Vec<AccountId> {
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| slot.account.is_some());
        let id = |(place, slot): (usize, &super::Slot)| {
            Some(AccountId { place: u32::try_from(place).ok()?, generation: slot.generation })
        };
        slots.filter_map(id).collect()
    }
}
