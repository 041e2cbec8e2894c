//! Tokens of identity providers, checked by keys that are fetched and kept here.
//!
//! Owns: where keys come from ([`Source`]), how long they are kept, when they are fetched anew, and which of the
//! configured issuers a token is held against ([`Gate`]). Leaves to others: what makes a token good
//! (`tollgate_identity::jwt`), and opening sockets (`tollgate_upstream`).
//!
//! **Invariant:** keys come from configured addresses alone, or from where the document at one says that they are; nothing
//! that a token says is ever fetched. **Invariant:** no caller can make the gateway fetch more often than it would by
//! itself, but for one look at newer keys in [`REFETCH_AFTER`]. **Invariant:** without keys nobody is let in.

mod address;
mod gate;
mod keeper;
mod verified;

pub use address::{Address, BadSource};
pub use gate::{Gate, Refusal, Source, Times};
pub use keeper::{REFETCH_AFTER, RETRY_AFTER};
