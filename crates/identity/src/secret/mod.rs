//! What must not be known: virtual keys, passwords, and providers' credentials that are kept.
//!
//! Owns how they are made, recognised and kept. Leaves drawing random numbers to others: they are arguments.
//! **Invariant:** nothing here prints a secret; what is kept of a key or a password does not give it back. **Invariant:**
//! what is kept of one secret is refused as any other: a hash is no key, a sealed text is no token.

mod common;
mod key;
mod password;
mod seal;
mod words;

pub use common::{WeakKey, refuse_weak};
pub use key::{KeyText, Token};
pub use password::{BadPassword, hash_password, is_password};
pub use seal::{Place, SealError, Sealer, Vault};
