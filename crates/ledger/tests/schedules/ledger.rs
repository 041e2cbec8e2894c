//! In the place of the ledger: the same accounts, and a list of what would have gone to the journal.

use crate::accounts::Accounts;
use crate::attempt::LedgerUnavailable;
use crate::sync::Mutex;
use std::collections::HashMap;
use tollgate_identity::Scope;
use tollgate_ledger::Clock;
use tollgate_policy::accounts::{Crossing, Reservation, Threshold};
use tollgate_store::books::SpendRow;

/// What was written.
#[derive(Default)]
struct Written {
    /// What each attempt was booked as.
    rows: HashMap<u128, Vec<i128>>,
    /// How often each attempt whose intent was written has ended.
    ends: HashMap<u128, usize>,
    marks: Vec<Threshold>,
}

/// The accounts, and what was written.
pub(crate) struct Ledger {
    clock: Clock,
    accounts: Accounts,
    written: Mutex<Written>,
}

impl Ledger {
    pub(crate) fn new(accounts: Accounts) -> Self {
        Self { clock: Clock::default(), accounts, written: Mutex::default() }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(crate) async fn confirm(&self, held: Reservation) -> Option<Reservation> {
        shuttle::future::yield_now().await;
        Some(held)
    }

    pub(crate) async fn intend(&self, row: &SpendRow, _is_bound: bool) -> Result<(), LedgerUnavailable> {
        // Whoever waits for the disk is overtaken by others.
        shuttle::future::yield_now().await;
        let before = self.written.lock().unwrap().ends.insert(row.attempt_id, 0);
        assert_eq!(before, None, "one intent of each attempt");
        Ok(())
    }

    pub(crate) fn drop_intent(&self, attempt: u128) {
        *self.written.lock().unwrap().ends.get_mut(&attempt).unwrap() += 1;
    }

    pub(crate) fn settled(&self, row: &SpendRow) {
        let mut written = self.written.lock().unwrap();
        *written.ends.get_mut(&row.attempt_id).unwrap() += 1;
        written.rows.entry(row.attempt_id).or_default().push(row.cost);
    }

    pub(crate) fn tell(&self, _scope: &Scope, crossing: &Crossing) {
        self.written.lock().unwrap().marks.push(crossing.threshold);
    }

    /// What each attempt was booked as.
    pub(crate) fn rows(&self) -> HashMap<u128, Vec<i128>> {
        self.written.lock().unwrap().rows.clone()
    }

    /// How often each attempt has ended.
    pub(crate) fn ends(&self) -> HashMap<u128, usize> {
        self.written.lock().unwrap().ends.clone()
    }

    /// The marks that were told.
    pub(crate) fn marks(&self) -> Vec<Threshold> {
        self.written.lock().unwrap().marks.clone()
    }
}
