//! How the ledger is: what its journal and the books say of themselves, for metrics and alerts.

use super::Ledger;
use tollgate_store::books::Books;

impl Ledger {
    /// Whether the books took what was brought last, and are heard of.
    pub fn are_books_there(&self) -> bool {
        !self.feeder.is_away() && !self.books.get().is_some_and(Books::are_silent)
    }

    /// Attempts that were let in without its being known whether other gateways leave room for them, since the start.
    pub fn unconfirmed(&self) -> u64 {
        self.confirming.unconfirmed()
    }

    /// How often the books were asked whether attempts may be let in, since the start.
    pub fn asked(&self) -> u64 {
        self.confirming.asked()
    }

    /// Rows that wait for the books.
    pub fn backlog(&self) -> usize {
        self.feeder.backlog()
    }

    /// Whether the journal's disk refuses, and how many records wait in memory for it.
    pub fn journal_trouble(&self) -> (bool, usize) {
        self.journal.get().map_or((false, 0), |journal| journal.trouble())
    }

    /// Records in the journal that a loss of power may take, as they are not yet synced.
    pub fn journal_unsynced(&self) -> usize {
        self.journal.get().map_or(0, |journal| journal.unsynced())
    }

    /// Attempts whose intent is in the journal and whose end is not.
    pub fn open_attempts(&self) -> usize {
        self.journal.get().map_or(0, |journal| journal.open_attempts())
    }
}
