//! Who may spend and send how much: the accounts of every scope that a request touches, changed in one step.
//!
//! A request touches the accounts of its key, team, user, organization and so on. It is admitted by all of them or by
//! none, and what it may cost at most is held in all of them until what it did cost is booked ("reserve, then settle").
//! Owns the counts. Leaves to others: which accounts a request touches, what it may cost, how a refusal is worded, the
//! lock around it all, and keeping any of it over a restart.
//!
//! **Invariant:** in no account is more held and settled than its limit allows, whatever happens at the same time.
//! **Invariant:** a refusal changes nothing. **Invariant:** whatever was taken is given back exactly once: the tickets
//! cannot be copied, and a ticket of an account that is gone is no harm.

mod account;
mod looks;
mod purse;
mod rules;
mod sharing;
mod terms;
#[cfg(test)]
mod tests;

pub use rules::{
    AccountRules, BudgetRule, Increase, OUTPUT_TOKENS_RESERVED, Part, RateRule, Tier, TierRules, Unit,
};
pub use sharing::{Beyond, Extent, LEASE_PARTS, Shown};
pub use terms::{
    AccountId, Ask, BudgetStanding, Crossing, Money, RateStanding, Reason, Refusal, Standing, Threshold,
    Tightest, Times, Tokens,
};

use crate::clock::{Moment, Wall};
use crate::period::Cadence;
use crate::sliding::Grain;
use account::Account;
use jiff::tz::TimeZone;
use smallvec::SmallVec;
use tollgate_catalog::PicoDollars;

#[derive(Debug)]
struct RateHold {
    account: AccountId,
    rate: u32,
    grain: Grain,
    reserved: u64,
}

/// A request that was let in: what it holds of rates and places. To be given back by [`Kernel::finish`] or
/// [`Kernel::withdraw`].
#[derive(Debug, Default)]
#[must_use = "a passage that is not finished holds its places for ever"]
pub struct Passage {
    rates: SmallVec<[RateHold; 6]>,
    places: SmallVec<[AccountId; 6]>,
}

impl Passage {
    /// Takes what it holds of rates, and leaves it its places.
    pub fn take_rates(&mut self) -> Self {
        Self { rates: std::mem::take(&mut self.rates), places: SmallVec::new() }
    }
}

/// Budgets that something is booked in: whose, how often they begin anew, and when their period began.
pub type Charged = SmallVec<[(AccountId, Option<Cadence>, Wall); 6]>;

#[derive(Debug)]
struct MoneyHold {
    account: AccountId,
    purse: u32,
    start: Wall,
}

/// Money that is held for an attempt. To be given back by [`Kernel::settle`] or [`Kernel::release`].
#[derive(Debug)]
#[must_use = "a reservation that is not settled holds its money for ever"]
pub struct Reservation {
    holds: SmallVec<[MoneyHold; 6]>,
    amount: PicoDollars,
    /// Where others may not know of it, and it is not asked for yet.
    beyond: Vec<Beyond>,
}

impl Reservation {
    /// What is held in each account.
    pub fn amount(&self) -> PicoDollars {
        self.amount
    }

    /// Whether any budget holds it.
    pub fn is_bound(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Its holds, those of one account together.
    fn by_account(&self) -> impl Iterator<Item = &[MoneyHold]> {
        self.holds.chunk_by(|one, next| one.account == next.account)
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    account: Option<Account>,
}

/// All accounts.
#[derive(Debug)]
pub struct Kernel {
    slots: Vec<Slot>,
    free: Vec<u32>,
    zone: TimeZone,
    watch: sharing::Watch,
}

impl Kernel {
    /// No accounts; calendars are those of this time zone.
    pub fn new(zone: TimeZone) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), zone, watch: sharing::Watch::default() }
    }

    /// A time zone without rules, for those who name none.
    pub fn utc() -> TimeZone {
        TimeZone::UTC
    }

    /// The budgets that a reservation is booked in: whose, how often they begin anew, and when this period began.
    pub fn charges<'a>(
        &'a self,
        reservation: &'a Reservation,
    ) -> impl Iterator<Item = (AccountId, Option<Cadence>, Wall)> + 'a {
        reservation.holds.iter().filter_map(|hold| {
            let purse = self.seen(hold.account)?.purses.iter().find(|purse| purse.id == hold.purse)?;
            Some((hold.account, purse.rule.cadence, hold.start))
        })
    }

    /// What a reservation is booked in at this moment, where that is not what was reserved: accounts have got other budgets
    /// since, or are gone.
    pub fn moved(&mut self, reservation: &Reservation, wall: Wall) -> Option<Charged> {
        let of_account = |holds: &[MoneyHold]| {
            let account = holds.first().and_then(|hold| self.seen(hold.account));
            let purses = account.map(|account| account.purses.as_slice()).unwrap_or_default();
            purses.len() == holds.len()
                && holds.iter().all(|hold| purses.iter().any(|it| it.id == hold.purse))
        };
        if reservation.by_account().all(of_account) {
            return None;
        }
        let mut charged: Charged = self.charges(reservation).collect();
        for holds in reservation.by_account() {
            let Some(id) = holds.first().map(|hold| hold.account) else { continue };
            self.roll(&[id], wall);
            let purses = self.seen(id).map(|account| account.purses.as_slice()).unwrap_or_default();
            let later = purses.iter().filter(|purse| is_later(holds, purse));
            charged.extend(later.map(|purse| (id, purse.rule.cadence, purse.period.start)));
        }
        Some(charged)
    }

    /// Opens an account of which nothing is used.
    pub fn open(&mut self, rules: &AccountRules, wall: Wall) -> AccountId {
        let account = Some(Account::new(rules, wall, &self.zone));
        let reused = self.free.pop();
        if let Some((place, slot)) =
            reused.and_then(|place| Some((place, self.slots.get_mut(place as usize)?)))
        {
            slot.account = account;
            return AccountId { place, generation: slot.generation };
        }
        let place = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: 0, account });
        AccountId { place, generation: 0 }
    }

    /// Takes up other rules. What was counted stays where the same thing is still counted over the same time.
    pub fn configure(&mut self, id: AccountId, rules: &AccountRules, wall: Wall) {
        let zone = self.zone.clone();
        if let Some(account) = self.account(id) {
            account.configure(rules, wall, &zone);
        }
    }

    /// Closes an account. Tickets that name it still work, and change nothing of it.
    pub fn close(&mut self, id: AccountId) {
        if self.account(id).is_none() {
            return;
        }
        if let Some(slot) = self.slots.get_mut(id.place as usize) {
            slot.account = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(id.place);
        }
    }

    /// What was spent in a period that began at `start` before this process did: added to the account's budget of this
    /// cadence, or to what it owes from the period before. Anything older is of no account.
    pub fn restore(&mut self, id: AccountId, cadence: Option<Cadence>, start: Wall, settled: PicoDollars) {
        let zone = self.zone.clone();
        let Some(account) = self.account(id) else { return };
        let tiers = account.tiers;
        for purse in account.purses.iter_mut().filter(|purse| purse.rule.cadence == cadence) {
            purse.restore(start, settled, &tiers, &zone);
        }
    }

    /// Adds to what was spent in the period that began at `start`, or takes from it, as [`restore`](Self::restore) does, and
    /// says which marks were passed by it.
    pub fn correct(
        &mut self,
        id: AccountId,
        (cadence, start): (Option<Cadence>, Wall),
        wall: Wall,
        difference: PicoDollars,
    ) -> SmallVec<[Crossing; 2]> {
        self.told(id, cadence, wall, |purse, tiers, zone| {
            purse.correct((start, wall), difference, tiers, zone);
        })
    }

    /// Changes the budget of a cadence, and says which marks were passed by it.
    fn told(
        &mut self,
        id: AccountId,
        cadence: Option<Cadence>,
        wall: Wall,
        change: impl Fn(&mut purse::Purse, &TierRules, &TimeZone),
    ) -> SmallVec<[Crossing; 2]> {
        let zone = self.zone.clone();
        let mut crossings = SmallVec::new();
        let Some(account) = self.account(id) else { return crossings };
        account.roll(wall, &zone);
        let tiers = account.tiers;
        for purse in account.purses.iter_mut().filter(|purse| purse.rule.cadence == cadence) {
            change(purse, &tiers, &zone);
            purse.crossings(wall, &tiers, &mut |crossing| crossings.push(crossing));
        }
        crossings
    }

    /// What the books have of the period that began at `start`, whoever brought it there: together with what is on its way to
    /// them that is what was spent in it. Says which marks were passed by it.
    pub fn follow(
        &mut self,
        id: AccountId,
        (cadence, start): (Option<Cadence>, Wall),
        wall: Wall,
        in_books: PicoDollars,
    ) -> SmallVec<[Crossing; 2]> {
        self.told(id, cadence, wall, |purse, tiers, zone| {
            purse.follow((start, wall), in_books, tiers, zone);
        })
    }

    /// So much of what was booked in the period that began at `start` has come into the books.
    pub fn posted(&mut self, id: AccountId, (cadence, start): (Option<Cadence>, Wall), amount: PicoDollars) {
        let purses = self.account(id).map(|account| account.purses.as_mut_slice()).unwrap_or_default();
        for purse in purses.iter_mut().filter(|purse| purse.rule.cadence == cadence) {
            purse.posted(start, amount);
        }
        self.note(id);
    }

    /// What was booked in the period that began at `start`, where that is the present one, and is not in the books yet.
    pub fn unposted(&self, id: AccountId, (cadence, start): (Option<Cadence>, Wall)) -> PicoDollars {
        let purses = self.seen(id).map(|account| account.purses.as_slice()).unwrap_or_default();
        let purse = purses.iter().find(|purse| purse.rule.cadence == cadence && purse.period.start == start);
        purse.map_or(PicoDollars::ZERO, |purse| purse.unposted)
    }

    /// So much of what was [restored](Self::restore) comes into the books only now.
    pub fn expect(&mut self, id: AccountId, (cadence, start): (Option<Cadence>, Wall), amount: PicoDollars) {
        let purses = self.account(id).map(|account| account.purses.as_mut_slice()).unwrap_or_default();
        for purse in purses.iter_mut().filter(|purse| purse.rule.cadence == cadence) {
            purse.expect(start, amount);
        }
    }

    /// Sets what was spent of the budget of this cadence in the period that began at `start`, where that is the present
    /// one (LiteLLM's `reset_spend`): what is on its way to the books is spent beside it, what is held stays held, and marks
    /// above it can be passed again.
    pub fn set(&mut self, id: AccountId, cadence: Option<Cadence>, start: Wall, settled: PicoDollars) {
        let Some(account) = self.account(id) else { return };
        let tiers = account.tiers;
        let purse = account.purses.iter_mut().find(|purse| purse.rule.cadence == cadence);
        if let Some(purse) = purse.filter(|purse| purse.period.start == start) {
            purse.set(settled, start, &tiers);
        }
    }

    /// Lets a request in by all its accounts, and holds what it takes in all of them.
    ///
    /// # Errors
    /// The [`Refusal`] of the budget with the least left, else of the rate that stands in the way longest. Nothing is
    /// held then.
    pub fn admit(&mut self, times: Times, ask: &Ask<'_>) -> Result<(Passage, Reservation), Refusal> {
        self.roll(ask.accounts, times.wall);
        self.check_money(ask.accounts, times.wall, ask.money)?;
        self.check_places(ask.accounts)?;
        self.check_rates(times.now, ask)?;
        let mut passage = Passage { rates: SmallVec::new(), places: SmallVec::new() };
        for (position, &id) in ask.accounts.iter().enumerate() {
            if is_repeated(ask.accounts, position) {
                continue;
            }
            let Some(account) = self.account(id) else { continue };
            account.in_flight = account.in_flight.saturating_add(1);
            passage.places.push(id);
        }
        passage.rates = self.take_rates(times.now, ask);
        Ok((passage, self.hold(ask.accounts, ask.money.most)))
    }

    /// Lets one more answer of a request in that has its places, by all the rates of its accounts: it counts as a request,
    /// and holds no money.
    ///
    /// # Errors
    /// The [`Refusal`] of the rate that stands in the way longest. Nothing is held then.
    pub fn admit_again(&mut self, now: Moment, ask: &Ask<'_>) -> Result<Passage, Refusal> {
        self.check_rates(now, ask)?;
        Ok(Passage { rates: self.take_rates(now, ask), places: SmallVec::new() })
    }

    /// Holds money for one more attempt of a request that was let in.
    ///
    /// # Errors
    /// The [`Refusal`] of the budget with the least left.
    pub fn reserve(
        &mut self,
        wall: Wall,
        accounts: &[AccountId],
        money: Money,
    ) -> Result<Reservation, Refusal> {
        self.roll(accounts, wall);
        self.check_money(accounts, wall, money)?;
        let mut reservation = self.hold(accounts, money.most);
        self.mark_beyond(&mut reservation, wall, money.is_critical);
        Ok(reservation)
    }

    /// Puts another hold in place of one, for an attempt that follows one that cost nothing: other accounts, or another
    /// amount.
    ///
    /// # Errors
    /// The [`Refusal`] of the budget with the least left; the hold is then as it was.
    pub fn rebook(
        &mut self,
        reservation: &mut Reservation,
        wall: Wall,
        accounts: &[AccountId],
        money: Money,
    ) -> Result<(), Refusal> {
        self.roll(accounts, wall);
        self.answered(reservation);
        self.move_holds(reservation, false);
        let checked = self.check_money(accounts, wall, money);
        if checked.is_ok() {
            *reservation = self.hold(accounts, money.most);
            self.mark_beyond(reservation, wall, money.is_critical);
        } else {
            self.move_holds(reservation, true);
        }
        checked
    }

    /// Books what an attempt has cost, in the periods in which it was reserved, and in what budgets its accounts have got
    /// since, and says which marks were passed.
    pub fn settle(
        &mut self,
        mut reservation: Reservation,
        wall: Wall,
        cost: PicoDollars,
    ) -> SmallVec<[(AccountId, Crossing); 2]> {
        self.answered(&mut reservation);
        let (zone, mut crossings) = (self.zone.clone(), SmallVec::new());
        for holds in reservation.by_account() {
            let Some(id) = holds.first().map(|hold| hold.account) else { continue };
            let Some(account) = self.account(id) else { continue };
            account.roll(wall, &zone);
            let tiers = account.tiers;
            for purse in &mut account.purses {
                let hold = holds.iter().find(|hold| hold.purse == purse.id);
                if let Some(hold) = hold {
                    purse.let_go(hold.start, reservation.amount);
                }
                purse.settle(hold.map_or(purse.period.start, |hold| hold.start), cost, &tiers);
                purse.crossings(wall, &tiers, &mut |crossing| crossings.push((id, crossing)));
            }
            self.note(id);
        }
        crossings
    }

    /// Books what was spent in accounts that were not asked, in their present periods, and says which marks were passed.
    pub fn charge(
        &mut self,
        accounts: &[AccountId],
        wall: Wall,
        cost: PicoDollars,
    ) -> SmallVec<[(AccountId, Crossing); 2]> {
        self.roll(accounts, wall);
        let nothing = self.hold(accounts, PicoDollars::ZERO);
        self.settle(nothing, wall, cost)
    }

    /// The budgets of accounts in their present periods: whose, how often they begin anew, when this period began.
    pub fn periods(
        &mut self,
        accounts: &[AccountId],
        wall: Wall,
    ) -> SmallVec<[(AccountId, Option<Cadence>, Wall); 4]> {
        self.roll(accounts, wall);
        let mut periods = SmallVec::new();
        for &id in accounts {
            let purses = self.seen(id).map(|account| account.purses.as_slice()).unwrap_or_default();
            periods.extend(purses.iter().map(|purse| (id, purse.rule.cadence, purse.period.start)));
        }
        periods
    }

    /// Gives money back that was not spent: nothing was sent, or nothing of it is charged.
    pub fn release(&mut self, mut reservation: Reservation) {
        self.answered(&mut reservation);
        self.move_holds(&reservation, false);
    }

    /// Ends a request that was sent: frees its places, and puts the real tokens in place of the reserved ones.
    #[expect(clippy::needless_pass_by_value, reason = "a passage is used up")]
    pub fn finish(&mut self, passage: Passage, now: Moment, tokens: Tokens) {
        self.leave(&passage, now, Some(tokens));
    }

    /// Ends a request of which nothing was sent: it is as if it had not come.
    #[expect(clippy::needless_pass_by_value, reason = "a passage is used up")]
    pub fn withdraw(&mut self, passage: Passage, now: Moment) {
        self.leave(&passage, now, None);
    }

    fn account(&mut self, id: AccountId) -> Option<&mut Account> {
        self.slots
            .get_mut(id.place as usize)
            .filter(|slot| slot.generation == id.generation)?
            .account
            .as_mut()
    }

    fn seen(&self, id: AccountId) -> Option<&Account> {
        self.slots.get(id.place as usize).filter(|slot| slot.generation == id.generation)?.account.as_ref()
    }

    fn roll(&mut self, accounts: &[AccountId], wall: Wall) {
        for id in accounts {
            let slot = self.slots.get_mut(id.place as usize).filter(|slot| slot.generation == id.generation);
            if let Some(account) = slot.and_then(|slot| slot.account.as_mut()) {
                account.roll(wall, &self.zone);
            }
        }
    }

    fn check_money(&self, accounts: &[AccountId], wall: Wall, money: Money) -> Result<(), Refusal> {
        if money.is_free {
            return Ok(());
        }
        let mut least: Option<(PicoDollars, Refusal)> = None;
        for &id in accounts {
            let Some(account) = self.seen(id) else { continue };
            for purse in &account.purses {
                let Some(room) = purse.room(wall, &account.tiers, money.is_critical) else { continue };
                let is_enough = room.available > PicoDollars::ZERO && money.most <= room.available;
                if is_enough || least.is_some_and(|(least, _)| least <= room.available) {
                    continue;
                }
                let reason = Reason::Budget {
                    cadence: purse.rule.cadence,
                    limit: room.limit,
                    settled: purse.settled,
                    held: purse.held_by_all(),
                    available: room.available,
                    resets_at: purse.rule.cadence.map(|_| purse.period.end),
                };
                least = Some((room.available, Refusal { account: id, reason }));
            }
        }
        least.map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    fn take_rates(&mut self, now: Moment, ask: &Ask<'_>) -> SmallVec<[RateHold; 6]> {
        let mut holds = SmallVec::new();
        for (position, &id) in ask.accounts.iter().enumerate() {
            if is_repeated(ask.accounts, position) {
                continue;
            }
            for rate in self.account(id).into_iter().flat_map(|account| &mut account.rates) {
                let reserved = rate.rule.asked(ask.input_tokens, ask.output_tokens);
                let grain = rate.window.add(now, [reserved]);
                holds.push(RateHold { account: id, rate: rate.id, grain, reserved });
            }
        }
        holds
    }

    fn check_places(&self, accounts: &[AccountId]) -> Result<(), Refusal> {
        let full = accounts.iter().find_map(|&id| {
            let account = self.seen(id)?;
            let limit = account.parallel.filter(|&limit| account.in_flight >= limit)?;
            Some(Refusal { account: id, reason: Reason::Parallel { limit } })
        });
        full.map_or(Ok(()), Err)
    }

    fn check_rates(&mut self, now: Moment, ask: &Ask<'_>) -> Result<(), Refusal> {
        let mut longest: Option<(Option<Moment>, Refusal)> = None;
        for &id in ask.accounts {
            let Some(account) = self.account(id) else { continue };
            for rate in &mut account.rates {
                let asked = rate.rule.asked(ask.input_tokens, ask.output_tokens);
                let Some((used, free_at)) = Account::lack(rate, now, asked) else { continue };
                let refusal =
                    Refusal { account: id, reason: Reason::Rate { rule: rate.rule, used, free_at } };
                // For ever is longest.
                let is_longer = longest.is_none_or(|(longest, _)| match (longest, free_at) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(longest), Some(free_at)) => free_at > longest,
                });
                if is_longer {
                    longest = Some((free_at, refusal));
                }
            }
        }
        longest.map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    fn hold(&mut self, accounts: &[AccountId], amount: PicoDollars) -> Reservation {
        let mut reservation = Reservation { holds: SmallVec::new(), amount, beyond: Vec::new() };
        for (position, &id) in accounts.iter().enumerate() {
            if is_repeated(accounts, position) {
                continue;
            }
            for purse in self.account(id).into_iter().flat_map(|account| &mut account.purses) {
                purse.hold(amount);
                reservation.holds.push(MoneyHold { account: id, purse: purse.id, start: purse.period.start });
            }
            self.note(id);
        }
        reservation
    }

    /// Takes a reservation's holds away, or puts them back.
    fn move_holds(&mut self, reservation: &Reservation, is_back: bool) {
        let amount = if is_back { PicoDollars(-reservation.amount.0) } else { reservation.amount };
        for hold in &reservation.holds {
            let Some(account) = self.account(hold.account) else { continue };
            if let Some((purse, _)) = account.purse(hold.purse) {
                purse.let_go(hold.start, amount);
            }
            self.note(hold.account);
        }
    }

    fn leave(&mut self, passage: &Passage, now: Moment, tokens: Option<Tokens>) {
        for &id in &passage.places {
            if let Some(account) = self.account(id) {
                account.in_flight = account.in_flight.saturating_sub(1);
            }
        }
        for hold in &passage.rates {
            let rate = self.account(hold.account).and_then(|account| account.rate(hold.rate));
            let Some(rate) = rate else { continue };
            let real = match (tokens, rate.rule.unit) {
                (None, _) => 0,
                (Some(_), Unit::Requests) => 1,
                (Some(tokens), Unit::Tokens) => tokens.input.saturating_add(tokens.output),
                (Some(tokens), Unit::InputTokens) => tokens.input,
                (Some(tokens), Unit::OutputTokens) => tokens.output,
            };
            rate.window.settle(now, hold.grain, [hold.reserved], [real]);
        }
    }
}

/// Whether an account has got this budget only after these holds.
fn is_later(holds: &[MoneyHold], purse: &purse::Purse) -> bool {
    holds.iter().all(|hold| hold.purse != purse.id)
}

/// Whether an account stands in the list already before this position.
fn is_repeated(accounts: &[AccountId], position: usize) -> bool {
    let (before, rest) = accounts.split_at(position.min(accounts.len()));
    rest.first().is_some_and(|id| before.contains(id))
}
