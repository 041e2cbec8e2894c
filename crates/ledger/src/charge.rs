//! What is booked, and in what: in words of the accounts, and of the books.
//!
//! **Invariant:** what the books have is read as it was written.

use crate::sync::Arc;
use smallvec::SmallVec;
use tollgate_catalog::PicoDollars;
use tollgate_identity::{Record, Scope, ScopeKind};
use tollgate_policy::accounts::Crossing;
use tollgate_policy::clock::Wall;
use tollgate_policy::period::Cadence;
use tollgate_store::books::Account;

/// What was spent in a period before this process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// How often the budget begins anew.
    pub cadence: Option<Cadence>,
    /// When the period began.
    pub start: Wall,
    /// How much.
    pub settled: PicoDollars,
}

/// What a reservation is booked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Whose account.
    pub scope: Scope,
    /// Which of its budgets.
    pub cadence: Option<Cadence>,
    /// Of which period.
    pub start: Wall,
}

impl Charge {
    /// As it is written in rows and in the books; a period without an end begins at 0 there.
    pub fn into_account(self) -> Account {
        let Scope { kind, id, model } = self.scope;
        Account {
            kind: kind.word().to_owned(),
            id: id.as_ref().to_owned(),
            model: model.as_deref().unwrap_or_default().to_owned(),
            cadence: self.cadence.map(|cadence| cadence.to_string()).unwrap_or_default(),
            start: if self.start == Wall::BEGINNING { 0 } else { self.start.micros() },
        }
    }

    /// Reads what [`into_account`](Self::into_account) wrote; none of a kind or a cadence that there is not.
    pub fn from_account(account: &Account) -> Option<Self> {
        let scope = Scope::new(ScopeKind::from_word(&account.kind)?, account.id.as_str());
        let scope = if account.model.is_empty() { scope } else { scope.with_model(account.model.as_str()) };
        if account.cadence.is_empty() {
            return Some(Self { scope, cadence: None, start: Wall::BEGINNING });
        }
        let cadence = Cadence::parse(&account.cadence).ok()?;
        Some(Self { scope, cadence: Some(cadence), start: Wall::from_micros(account.start) })
    }
}

/// Marks that were passed, and whose they are.
pub(crate) type Crossings = SmallVec<[(Scope, Crossing); 1]>;

/// What was booked.
#[derive(Debug)]
pub struct Booked {
    /// What it is booked in; none where that is what was reserved.
    pub charges: Option<Vec<Charge>>,
    /// Whose budgets have passed a mark by it.
    pub crossings: Crossings,
}

/// The scope of a record whose spend is counted; none of those that have none. A key that another has taken the place of
/// spends what that may spend, so that a budget is not there twice while both are let through.
pub fn scope_of(record: &Record) -> Option<Scope> {
    let kind = record.kind.scope()?;
    let id = record.successor().map_or_else(|| Arc::clone(&record.id), Arc::from);
    Some(Scope { kind, id, model: None })
}
