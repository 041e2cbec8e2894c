//! Answers that are kept, and given again where they are right.
//!
//! Owns: keys that say whose an answer is and to what, entries and their bytes, the places where they are kept, and flights
//! of requests for the same answer, and vectors of kept questions. Leaves to others: which parts of a request change its answer, who may see which
//! answer, what an answer says, and what time it is.
//!
//! **Invariant**: nothing is looked up or kept without a key, and no key is made without a [`Scope`].

mod entry;
mod far;
mod flight;
mod key;
mod memory;
pub mod vectors;

pub use entry::{Entry, Form};
pub use far::{DiskPlace, Event, Far, FarError, FarRules, Info, Told};
pub use flight::{Flights, Follower, Joined, Lead};
pub use key::{KEY_BYTES, Key, KeyMaker, Scope};
pub use memory::Memory;
