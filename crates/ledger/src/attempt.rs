//! What a request holds while it is under way: its passage through the limits, and for each attempt the money and the
//! record in the journal.
//!
//! Both are given back by whoever drops them, so that a request that is abandoned at any point leaves nothing behind.
//!
//! **Invariant:** an attempt is settled or released exactly once. **Invariant:** what is under a budget is not sent
//! before its intent is on the disk.

use crate::accounts::{Refused, Touched};
use crate::charge::Charge;
use crate::ledger::Ledger;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, PoisonError};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Limits, Scope};
use tollgate_policy::accounts::{Ask, Money, Passage, Reservation, Tokens};
use tollgate_store::books::{Account, SpendRow};

/// How often it is asked for what was free each time when it was not yet asked for.
const ASKED_MAX: usize = 4;

/// The journal cannot be written: what is under a budget must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be written")]
pub struct LedgerUnavailable;

/// A request that was let in. Dropped, it frees its places, and puts the tokens that were noted in place of those that
/// were reserved.
pub struct Admission {
    ledger: Arc<Ledger>,
    accounts: Touched,
    /// Charged, and not asked.
    also: Touched,
    is_bound: bool,
    is_critical: bool,
    passage: Mutex<Option<Passage>>,
    /// Of a session: its first answer has taken what it held of rates.
    has_answered: AtomicBool,
    was_sent: AtomicBool,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

impl Admission {
    /// Lets a request in by all its accounts, or by none. No money is held yet; a budget of which nothing is left refuses.
    /// What it costs is booked in `also` too, whatever these allow.
    ///
    /// # Errors
    /// The limit that stands in the way.
    pub fn enter(
        ledger: &Arc<Ledger>,
        (accounts, also): (Touched, Touched),
        (input_tokens, output_tokens): (u64, Option<u64>),
        money: Money,
    ) -> Result<Self, Box<Refused>> {
        let times = ledger.clock().times();
        let money = Money { most: PicoDollars::ZERO, ..money };
        let ask = Ask { accounts: &accounts, input_tokens, output_tokens, money };
        let (passage, nothing) = ledger.accounts().admit(times, &ask)?;
        ledger.accounts().release(nothing);
        Ok(Self {
            is_bound: ledger.accounts().are_bound(&accounts),
            ledger: Arc::clone(ledger),
            accounts,
            also,
            is_critical: money.is_critical,
            passage: Mutex::new(Some(passage)),
            has_answered: AtomicBool::new(false),
            was_sent: AtomicBool::new(false),
            input_tokens: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
        })
    }

    /// The ledger that it is booked in.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The accounts that it touches, whoever answers it.
    pub fn accounts(&self) -> &Touched {
        &self.accounts
    }

    /// Whether any budget limits it.
    pub fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// Whether it may go into the overflow.
    pub fn is_critical(&self) -> bool {
        self.is_critical
    }

    /// Notes real tokens, of an attempt that answered or of one more answer of a session.
    pub fn note_tokens(&self, tokens: Tokens) {
        self.input_tokens.fetch_add(tokens.input, Ordering::Relaxed);
        self.output_tokens.fetch_add(tokens.output, Ordering::Relaxed);
    }

    /// Lets one answer of a session in, by the rates: the first is the request itself, and each that follows counts as
    /// one more. What it really used is noted at what this returns, and takes the place of what it reserved when that is
    /// dropped.
    ///
    /// # Errors
    /// The limit that stands in the way.
    pub fn answer(&self, input_tokens: u64, output_tokens: Option<u64>) -> Result<Self, Box<Refused>> {
        let passage = if self.has_answered.swap(true, Ordering::Relaxed) {
            let money = Money { most: PicoDollars::ZERO, is_free: true, is_critical: self.is_critical };
            let ask = Ask { accounts: &self.accounts, input_tokens, output_tokens, money };
            self.ledger.accounts().admit_again(self.ledger.clock().now(), &ask)?
        } else {
            let mut own = self.passage.lock().unwrap_or_else(PoisonError::into_inner);
            own.as_mut().map(Passage::take_rates).unwrap_or_default()
        };
        Ok(Self {
            ledger: Arc::clone(&self.ledger),
            accounts: self.accounts.clone(),
            also: Touched::new(),
            is_bound: self.is_bound,
            is_critical: self.is_critical,
            passage: Mutex::new(Some(passage)),
            has_answered: AtomicBool::new(true),
            was_sent: AtomicBool::new(true),
            input_tokens: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
        })
    }

    /// It was answered without having been sent: it counts as a request of every rate, and takes no tokens.
    pub fn note_served(&self) {
        self.was_sent.store(true, Ordering::Relaxed);
    }

    /// An attempt that is booked in the same accounts, and holds nothing: what it costs was held for another.
    ///
    /// # Errors
    /// None is known: what holds nothing is refused by nobody.
    pub fn beside<'a>(
        self: &Arc<Self>,
        id: u128,
        more: impl Iterator<Item = (Scope, &'a Limits)>,
    ) -> Result<Attempt, Box<Refused>> {
        self.reserve(id, more, Money { most: PicoDollars::ZERO, is_free: true, is_critical: true })
    }

    /// Holds money for an attempt, in the request's accounts and in those that only this attempt touches: its provider's,
    /// its deployment's.
    ///
    /// # Errors
    /// The budget that stands in the way.
    pub fn attempt<'a>(
        self: &Arc<Self>,
        id: u128,
        more: impl Iterator<Item = (Scope, &'a Limits)>,
        most: PicoDollars,
    ) -> Result<Attempt, Box<Refused>> {
        self.reserve(id, more, Money { most, is_free: false, is_critical: self.is_critical })
    }

    fn reserve<'a>(
        self: &Arc<Self>,
        id: u128,
        more: impl Iterator<Item = (Scope, &'a Limits)>,
        money: Money,
    ) -> Result<Attempt, Box<Refused>> {
        let wall = self.ledger.clock().wall();
        let ledger = &self.ledger;
        let more = ledger.accounts().touch_all(more, wall);
        let is_bound = self.is_bound || (!more.is_empty() && ledger.accounts().are_bound(&more));
        let reservation = Some(self.hold(&more, money)?);
        let admission = Arc::clone(self);
        Ok(Attempt { admission, id, is_bound, more, reservation, accounts: Vec::new(), stage: Stage::Held })
    }

    fn hold(&self, more: &Touched, money: Money) -> Result<Reservation, Box<Refused>> {
        let (accounts, wall) = (self.ledger.accounts(), self.ledger.clock().wall());
        if more.is_empty() {
            return accounts.reserve(wall, &self.accounts, money);
        }
        let all: Touched = self.accounts.iter().chain(more).copied().collect();
        accounts.reserve(wall, &all, money)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let passage = self.passage.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(passage) = passage else { return };
        let now = self.ledger.clock().now();
        if *self.was_sent.get_mut() {
            let (input, output) = (*self.input_tokens.get_mut(), *self.output_tokens.get_mut());
            self.ledger.accounts().finish(passage, now, Tokens { input, output });
        } else {
            self.ledger.accounts().withdraw(passage, now);
        }
    }
}

/// How far an attempt has come.
enum Stage {
    /// Nothing is in the journal.
    Held,
    /// Something may be in the journal, and nothing was sent.
    Intending,
    /// It may have been sent; what it is booked as if nothing more is heard of it.
    Intended(Box<SpendRow>),
    /// It is over.
    Over,
}

/// Money that is held for an attempt, and its record in the journal. Dropped before it is settled or released, it is
/// settled as its intent says: it may have cost that.
pub struct Attempt {
    admission: Arc<Admission>,
    id: u128,
    is_bound: bool,
    /// The accounts that it touches beside its request's.
    more: Touched,
    reservation: Option<Reservation>,
    /// What it was reserved in; empty before its intent is written.
    accounts: Vec<Account>,
    stage: Stage,
}

impl Attempt {
    /// Its number.
    pub fn id(&self) -> u128 {
        self.id
    }

    /// Whether any budget limits it.
    pub fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// The request that it is of.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// What is held.
    pub fn held(&self) -> PicoDollars {
        self.reservation.as_ref().map_or(PicoDollars::ZERO, Reservation::amount)
    }

    /// Holds another amount in place of what it holds: for an answer that has not begun, and of which more is known now.
    ///
    /// # Errors
    /// The budget that stands in the way; what was held is held still.
    pub fn rebook<'a>(
        &mut self,
        more: impl Iterator<Item = (Scope, &'a Limits)>,
        most: PicoDollars,
    ) -> Result<(), Box<Refused>> {
        let admission = &self.admission;
        let (ledger, wall) = (&admission.ledger, admission.ledger.clock().wall());
        let more = ledger.accounts().touch_all(more, wall);
        let all: Touched = admission.accounts.iter().chain(&more).copied().collect();
        let money = Money { most, is_free: false, is_critical: admission.is_critical };
        let Some(reservation) = &mut self.reservation else { return Ok(()) };
        ledger.accounts().rebook(reservation, wall, &all, money)?;
        self.more = more;
        if !self.accounts.is_empty() {
            // It is held in the periods of this moment, and booked in them.
            self.accounts = self.reserved();
        }
        Ok(())
    }

    /// The same, once it is known to fit beside what other gateways hold: where it would be more than they may not know of, it is
    /// asked for.
    ///
    /// # Errors
    /// The budget that stands in the way.
    pub async fn confirmed(mut self) -> Result<Self, Box<Refused>> {
        for _ in 0..ASKED_MAX {
            let Some(held) = self.reservation.take() else { return Ok(self) };
            let most = held.amount();
            self.reservation = self.admission.ledger.confirm(held).await;
            if self.reservation.is_some() {
                return Ok(self);
            }
            // It is known now what stands in the way, unless that has gone meanwhile.
            self.reserve_again(most)?;
        }
        // Others are faster each time: for this one there is no room.
        let most = self.held();
        if let Some(held) = self.reservation.take() {
            self.admission.ledger.accounts().release(held);
        }
        self.reserve_again(PicoDollars(i128::MAX))?;
        // Whatever stood in the way is gone with its limit.
        if let Some(held) = self.reservation.take() {
            self.admission.ledger.accounts().release(held);
        }
        self.reserve_again(most)?;
        Ok(self)
    }

    /// Holds so much where nothing is held any more; where there is no room for it nothing of it is charged.
    fn reserve_again(&mut self, most: PicoDollars) -> Result<(), Box<Refused>> {
        let money = Money { most, is_free: false, is_critical: self.admission.is_critical };
        match self.admission.hold(&self.more, money) {
            Ok(held) => self.reservation = Some(held),
            Err(refused) => {
                self.let_go();
                return Err(refused);
            }
        }
        if !self.accounts.is_empty() {
            // It is held in the periods of this moment, and booked in them.
            self.accounts = self.reserved();
        }
        Ok(())
    }

    /// Whether it is to be [confirmed](Self::confirmed) before it is sent.
    pub fn is_unconfirmed(&self) -> bool {
        self.reservation.as_ref().is_some_and(|held| !held.beyond().is_empty())
    }

    /// Writes into the journal that it is about to be sent, and that it is booked as `killed` if the process ends before
    /// more is heard of it. Under a budget this returns when it is on the disk. From then on it is booked as `row` if it is
    /// dropped.
    ///
    /// # Errors
    /// [`LedgerUnavailable`]: it must not be sent.
    pub async fn intend(&mut self, mut row: SpendRow, killed: PicoDollars) -> Result<(), LedgerUnavailable> {
        row.attempt_id = self.id;
        let own = std::mem::take(&mut row.accounts);
        row.accounts = self.reserved();
        let reserved = row.accounts.len();
        let also = &self.admission.also;
        if !also.is_empty() {
            let also = self.admission.ledger.accounts().periods(also, self.admission.ledger.clock().wall());
            row.accounts.extend(booked_in(also));
        }
        row.accounts.extend(own.iter().cloned());
        let dropped = std::mem::replace(&mut row.cost, killed.0);
        let ledger = Arc::clone(&self.admission.ledger);
        self.stage = Stage::Intending;
        ledger.intend(&row, self.is_bound).await?;
        self.admission.was_sent.store(true, Ordering::Relaxed);
        self.accounts = std::mem::replace(&mut row.accounts, own);
        self.accounts.truncate(reserved);
        row.cost = dropped;
        self.stage = Stage::Intended(Box::new(row));
        Ok(())
    }

    /// Nothing of it is charged.
    pub fn release(mut self) {
        self.let_go();
    }

    /// It cost this much, and is booked as this row.
    pub fn settle(mut self, row: SpendRow, cost: PicoDollars) {
        self.stage = Stage::Over;
        self.book(row, cost);
    }

    fn let_go(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.admission.ledger.accounts().release(reservation);
        }
        if !matches!(std::mem::replace(&mut self.stage, Stage::Over), Stage::Held) {
            self.admission.ledger.drop_intent(self.id);
        }
    }

    fn book(&mut self, mut row: SpendRow, cost: PicoDollars) {
        row.attempt_id = self.id;
        row.cost = cost.0;
        let charge = PicoDollars(row.charge());
        let own = std::mem::take(&mut row.accounts);
        let ledger = &self.admission.ledger;
        let wall = ledger.clock().wall();
        row.accounts = std::mem::take(&mut self.accounts);
        if row.accounts.is_empty() {
            row.accounts = self.reserved();
        }
        let held = self.reservation.take().map(|held| ledger.accounts().settle(held, wall, charge));
        // Whoever got other limits meanwhile has spent it under these.
        if let Some(moved) = held.as_ref().and_then(|booked| booked.charges.as_ref()) {
            row.accounts = booked_in(moved.iter().cloned()).collect();
        }
        let also = Some(&self.admission.also).filter(|also| !also.is_empty());
        // What is charged without having been asked is charged in the period of this moment.
        let also = also.map(|also| ledger.accounts().charge(also, wall, charge));
        row.accounts
            .extend(booked_in(also.iter().flat_map(|booked| booked.charges.iter().flatten().cloned())));
        row.accounts.extend(own);
        for (scope, crossing) in held.iter().chain(&also).flat_map(|booked| &booked.crossings) {
            ledger.tell(scope, crossing);
        }
        ledger.settled(&row);
    }

    /// What it was reserved in.
    fn reserved(&self) -> Vec<Account> {
        let accounts = self.admission.ledger.accounts();
        let charges = self.reservation.as_ref().map(|held| accounts.charges(held)).unwrap_or_default();
        booked_in(charges).collect()
    }
}

fn booked_in(charges: impl IntoIterator<Item = Charge>) -> impl Iterator<Item = Account> {
    charges.into_iter().map(Charge::into_account)
}

impl Drop for Attempt {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Intended(row) => {
                let cost = PicoDollars(row.cost);
                self.book(*row, cost);
            }
            stage => {
                self.stage = stage;
                if !matches!(self.stage, Stage::Over) {
                    self.let_go();
                }
            }
        }
    }
}
