//! Asking the books whether an attempt fits into budgets that other gateways spend too, where more would be let in than these
//! may not know of.
//!
//! Owns who waits for an answer, and that those who wait at the same time ask together. Leaves the arithmetic to `accounts`,
//! and the order of gateways to the books.
//!
//! **Invariant:** what waits for an answer is held, by whoever asks for it: it is given back to those who wait, or let go.
//! **Invariant:** nobody waits longer than for two rounds; without an answer everyone goes on alone until there is one.

use crate::charge::Charge;
use crate::following::Order;
use crate::ledger::Ledger;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;
use tollgate_catalog::PicoDollars;
use tollgate_policy::accounts::{Beyond, Reservation, Shown};
use tollgate_policy::clock::Wall;
use tollgate_store::books::{Account, Answer, Asked, Books, Claimed, Need, Question, Settled};

/// How long it is waited for an answer of the books.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Attempts that ask together.
const TOGETHER_MAX: usize = 1_000;
/// How often whoever asks looks whether the ledger is still there.
const IDLE_MAX: Duration = Duration::from_millis(500);

/// An attempt that waits.
struct Waiting {
    reservation: Reservation,
    /// What it holds goes on being held; none: it does not fit, and was let go.
    reply: oneshot::Sender<Option<Reservation>>,
}

/// Those who wait.
#[derive(Default)]
pub(crate) struct Confirming {
    waiting: Mutex<Vec<Waiting>>,
    has_more: Notify,
    /// There was no answer; until the books are heard of again nobody is asked.
    is_alone: AtomicBool,
    /// Attempts that went on without an answer.
    unconfirmed: AtomicU64,
    /// Questions to the books.
    asked: AtomicU64,
    /// Nobody asks any more.
    is_closed: AtomicBool,
}

impl Confirming {
    /// The books are heard of.
    pub(crate) fn heard(&self) {
        if self.is_alone.swap(false, Ordering::AcqRel) {
            tracing::info!("what is let in of shared budgets is confirmed again");
        }
    }

    /// Attempts that were let in without an answer, since the start.
    pub(crate) fn unconfirmed(&self) -> u64 {
        self.unconfirmed.load(Ordering::Relaxed)
    }

    /// Questions that the books were asked, since the start.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Lets those who wait go on, and nobody wait any more.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        for Waiting { reservation, reply } in self.take(usize::MAX) {
            let _ = reply.send(Some(reservation));
        }
    }

    fn go_alone(&self, reason: &dyn std::fmt::Display) {
        if !self.is_alone.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                %reason,
                "what is let in of shared budgets is not confirmed: until it is, each gateway counts for itself"
            );
        }
    }

    fn take(&self, most: usize) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let most = waiting.len().min(most);
        waiting.drain(..most).collect()
    }

    /// Waits for an answer, where one is needed.
    pub(crate) async fn confirm(&self, ledger: &Ledger, mut reservation: Reservation) -> Option<Reservation> {
        if reservation.beyond().is_empty() {
            return Some(reservation);
        }
        if self.is_alone.load(Ordering::Acquire) || self.is_closed.load(Ordering::Acquire) {
            self.unconfirmed.fetch_add(1, Ordering::Relaxed);
            ledger.accounts().answered(std::iter::once(&mut reservation));
            return Some(reservation);
        }
        let (reply, answer) = oneshot::channel();
        let mut patient = Patient { ledger, answer };
        let waiting = Waiting { reservation, reply };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        self.has_more.notify_one();
        if self.is_closed.load(Ordering::Acquire) {
            // Whoever asked has gone meanwhile.
            self.close();
        }
        (&mut patient.answer).await.ok().flatten()
    }
}

/// Whoever waits for an answer, and may leave before it has read what came.
struct Patient<'a> {
    ledger: &'a Ledger,
    answer: oneshot::Receiver<Option<Reservation>>,
}

impl Drop for Patient<'_> {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(Some(held)) = self.answer.try_recv() {
            self.ledger.accounts().release(held);
        }
    }
}

/// Asks for all who wait, as long as the ledger is there.
pub(crate) async fn confirm_all(ledger: &Weak<Ledger>, books: &Books) {
    if !books.are_shared() {
        return std::future::pending().await;
    }
    loop {
        let Some(strong) = ledger.upgrade() else { return };
        let _ = timeout(IDLE_MAX, strong.confirming().has_more.notified()).await;
        loop {
            let waiting = strong.confirming().take(TOGETHER_MAX);
            if waiting.is_empty() {
                break;
            }
            ask(&strong, books, waiting).await;
        }
    }
}

async fn ask(ledger: &Ledger, books: &Books, mut waiting: Vec<Waiting>) {
    let wall = ledger.clock().wall();
    let mut round = None;
    let asked = timeout(ANSWER_MAX, async {
        let order = ledger.following().order().lock_owned().await;
        if order.is_in_doubt() {
            return Err("nobody knows what has arrived in the books".to_owned());
        }
        let made = round.insert(Round::of(ledger, &waiting));
        ledger.confirming().asked.fetch_add(1, Ordering::Relaxed);
        let answer = books.confirm(made.question.clone()).await.map_err(|error| error.to_string())?;
        Ok((order, answer))
    })
    .await
    .unwrap_or_else(|_| Err("the books do not answer in time".to_owned()));
    match (asked, round) {
        (Ok((order, answer)), Some(round)) => {
            // Before it is vouched for: nothing else may be let in by what was granted to these.
            let granted = waiting.iter_mut().zip(&answer.granted).filter(|(_, is_granted)| **is_granted);
            ledger.accounts().answered(granted.map(|(waiting, _)| &mut waiting.reservation));
            round.take_over(ledger, wall, &answer);
            tell(ledger, waiting, &answer.granted);
            drop::<tokio::sync::OwnedMutexGuard<Order>>(order);
        }
        (asked, round) => {
            if let Some(round) = round {
                // It may have been answered all the same.
                ledger.accounts().shown(round.settled().iter(), false);
            }
            let reason = asked.err().unwrap_or_default();
            ledger.confirming().go_alone(&reason);
            ledger.accounts().answered(waiting.iter_mut().map(|waiting| &mut waiting.reservation));
            let count = waiting.len() as u64;
            ledger.confirming().unconfirmed.fetch_add(count, Ordering::Relaxed);
            tell(ledger, waiting, &[]);
        }
    }
}

/// Tells each whether it may go on; without a word it may.
fn tell(ledger: &Ledger, waiting: Vec<Waiting>, granted: &[bool]) {
    for (place, Waiting { reservation, reply }) in waiting.into_iter().enumerate() {
        if granted.get(place).copied().unwrap_or(true) {
            // Whoever has gone holds nothing any more.
            if let Err(Some(reservation)) = reply.send(Some(reservation)) {
                ledger.accounts().release(reservation);
            }
        } else {
            ledger.accounts().release(reservation);
            let _ = reply.send(None);
        }
    }
}

/// What is asked together.
struct Round {
    question: Question,
    shown: Vec<(Charge, Shown)>,
}

impl Round {
    fn of(ledger: &Ledger, waiting: &[Waiting]) -> Self {
        // Whoever is critical may take more of the same.
        let budget = |beyond: &Beyond| Beyond { most: PicoDollars::ZERO, ..*beyond };
        let beyond = || waiting.iter().flat_map(|waiting| waiting.reservation.beyond());
        let budgets: HashSet<Beyond> = beyond().map(budget).collect();
        let shown = ledger.accounts().show_present(budgets.iter());
        // Those of periods that are over, and of accounts that are gone, are nobody's any more.
        let mut there = HashMap::new();
        for (place, (_, found)) in shown.iter().enumerate() {
            there.insert((found.account, found.cadence, found.start), place);
        }
        let needs = |it: &Waiting| {
            let need = |beyond: &Beyond| {
                let place = *there.get(&(beyond.account, beyond.cadence, beyond.start))?;
                Some(Need { place, amount: it.reservation.amount().0, most: beyond.most.0 })
            };
            Asked { needs: it.reservation.beyond().iter().filter_map(need).collect() }
        };
        let claimed = |(charge, shown): &(Charge, Shown)| Claimed {
            account: charge.clone().into_account(),
            held: shown.amount.0,
        };
        let question = Question {
            gateway: ledger.following().gateway().to_owned(),
            accounts: shown.iter().map(claimed).collect(),
            asked: waiting.iter().map(needs).collect(),
        };
        Self { question, shown }
    }

    fn settled(&self) -> Vec<Settled> {
        let settled = |(charge, shown): &(Charge, Shown)| {
            let account: Account = charge.clone().into_account();
            Settled { account, amount: shown.amount.0 }
        };
        self.shown.iter().map(settled).collect()
    }

    /// What is known now: how the accounts stand, and what the others see.
    fn take_over(self, ledger: &Ledger, wall: Wall, answer: &Answer) {
        for ((charge, shown), found) in self.shown.into_iter().zip(&answer.accounts) {
            let shown = shown.as_seen(PicoDollars(found.held));
            ledger.accounts().confirmed(&charge, &shown, PicoDollars(found.elsewhere));
            let Some(settled) = found.settled else { continue };
            for (scope, crossing) in ledger.accounts().follow(charge, wall, PicoDollars(settled)) {
                ledger.tell(&scope, &crossing);
            }
        }
    }
}
