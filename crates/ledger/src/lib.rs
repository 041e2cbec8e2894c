//! What was spent and by whom.
//!
//! Owns: the journal in which every attempt that may cost money stands before it is sent, and what follows when the
//! process is killed between the two. Leaves to others: how much may be spent (policy), what it is called (identity),
//! the rows (store).
//!
//! **Invariant:** what was journalled is settled exactly once, whenever the process ends.

mod accounts;
pub mod journal;

pub use accounts::{Accounts, Charge, Defaults, Past, Refused, Touched, scope_of};
