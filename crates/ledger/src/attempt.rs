//! What a request holds while it is under way: its passage through the limits, and for each attempt the money and the
//! record in the journal.
//!
//! Both are given back by whoever drops them, so that a request that is abandoned at any point leaves nothing behind.
//!
//! **Invariant:** an attempt is settled or released exactly once. **Invariant:** what is under a budget is not sent
//! before its intent is on the disk.

use crate::accounts::{Refused, Touched};
use crate::ledger::Ledger;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Limits, Scope};
use tollgate_policy::accounts::{Ask, Money, Passage, Reservation, Tokens};
use tollgate_store::books::{Account, SpendRow};

/// The journal cannot be written: what is under a budget must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be written")]
pub struct LedgerUnavailable;

/// A request that was let in. Dropped, it frees its places, and puts the tokens that were noted in place of those that
/// were reserved.
pub struct Admission {
    ledger: Arc<Ledger>,
    accounts: Touched,
    is_bound: bool,
    is_critical: bool,
    passage: Mutex<Option<Passage>>,
    was_sent: AtomicBool,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
}

impl Admission {
    /// Lets a request in by all its accounts, or by none. No money is held yet; a budget of which nothing is left refuses.
    ///
    /// # Errors
    /// The limit that stands in the way.
    pub fn enter(
        ledger: &Arc<Ledger>,
        accounts: Touched,
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
            is_critical: money.is_critical,
            passage: Mutex::new(Some(passage)),
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
        let wall = self.ledger.clock().wall();
        let ledger = &self.ledger;
        let more = ledger.accounts().touch_all(more, wall);
        let is_bound = self.is_bound || (!more.is_empty() && ledger.accounts().are_bound(&more));
        let money = Money { most, is_free: false, is_critical: self.is_critical };
        let reservation = if more.is_empty() {
            ledger.accounts().reserve(wall, &self.accounts, money)?
        } else {
            let all: Touched = self.accounts.iter().chain(&more).copied().collect();
            ledger.accounts().reserve(wall, &all, money)?
        };
        let admission = Arc::clone(self);
        Ok(Attempt { admission, id, is_bound, reservation: Some(reservation), intended: None })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let passage = self.passage.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(passage) = passage else { return };
        let now = self.ledger.clock().times().now;
        if *self.was_sent.get_mut() {
            let (input, output) = (*self.input_tokens.get_mut(), *self.output_tokens.get_mut());
            self.ledger.accounts().finish(passage, now, Tokens { input, output });
        } else {
            self.ledger.accounts().withdraw(passage, now);
        }
    }
}

/// Money that is held for an attempt, and its record in the journal. Dropped before it is settled or released, it is
/// settled as its intent says: it may have cost that.
pub struct Attempt {
    admission: Arc<Admission>,
    id: u128,
    is_bound: bool,
    reservation: Option<Reservation>,
    intended: Option<Box<SpendRow>>,
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

    /// Writes into the journal that it is about to be sent, and what it is booked as if nothing more is heard of it.
    /// Under a budget this returns when it is on the disk.
    ///
    /// # Errors
    /// [`LedgerUnavailable`]: it must not be sent.
    pub async fn intend(&mut self, mut row: SpendRow) -> Result<(), LedgerUnavailable> {
        row.attempt_id = self.id;
        row.accounts = self.charged();
        let ledger = Arc::clone(&self.admission.ledger);
        let written = ledger.intend(&row, self.is_bound).await;
        if written.is_ok() {
            self.admission.was_sent.store(true, Ordering::Relaxed);
            self.intended = Some(Box::new(row));
        }
        written
    }

    /// Nothing of it is charged.
    pub fn release(mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.admission.ledger.accounts().release(reservation);
        }
        if self.intended.take().is_some() {
            self.admission.ledger.drop_intent(self.id);
        }
    }

    /// It cost this much, and is booked as this row.
    pub fn settle(mut self, row: SpendRow, cost: PicoDollars) {
        self.book(row, cost);
    }

    fn book(&mut self, mut row: SpendRow, cost: PicoDollars) {
        row.attempt_id = self.id;
        row.accounts = self.charged();
        row.cost = cost.0;
        let ledger = &self.admission.ledger;
        if let Some(reservation) = self.reservation.take() {
            let wall = ledger.clock().wall();
            for (scope, crossing) in ledger.accounts().settle(reservation, wall, cost) {
                ledger.tell(&scope, &crossing);
            }
        }
        self.intended = None;
        ledger.settled(&row);
    }

    fn charged(&self) -> Vec<Account> {
        let Some(reservation) = &self.reservation else { return Vec::new() };
        let charges = self.admission.ledger.accounts().charges(reservation);
        charges.into_iter().map(|charge| charge.into_account()).collect()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        match self.intended.take() {
            Some(row) => {
                let cost = PicoDollars(row.cost);
                self.book(*row, cost);
            }
            None => {
                if let Some(reservation) = self.reservation.take() {
                    self.admission.ledger.accounts().release(reservation);
                }
            }
        }
    }
}
