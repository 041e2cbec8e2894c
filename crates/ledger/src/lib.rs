//! What was spent and by whom.
//!
//! Owns: the journal in which every attempt that may cost money stands before it is sent, and what follows when the
//! process is killed between the two. Leaves to others: how much may be spent (policy), what it is called (identity),
//! the rows (store).
//!
//! **Invariant:** what was journalled is settled exactly once, whenever the process ends.

mod accounts;
mod attempt;
mod charge;
mod clock;
mod confirming;
mod feeder;
mod following;
pub mod journal;
mod ledger;
pub mod reconcile;
pub mod reprice;
mod rows;
mod sharing;
mod sync;
#[cfg(test)]
mod tests;
mod uses;

pub use accounts::{Accounts, Defaults, Refused, Throttle, Touched};
pub use attempt::{Admission, Attempt, LedgerUnavailable};
pub use charge::{Booked, Charge, Past, scope_of};
pub use clock::Clock;
pub use ledger::{CommitError, Ledger, Listener, Observer, Recovery, StartError};
