//! Tokens that were checked, so that a caller's many requests cost one signature.
//!
//! **Invariant:** a token is known by the SHA-256 of all of it, never by a part. **Invariant:** it is known as long as it is
//! valid and the keys by which it was checked are those that are held.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tollgate_identity::jwt::Claims;
use tollgate_policy::clock::Wall;

/// The most tokens that are known.
const TOKENS_MAX: usize = 8_192;

#[derive(Debug)]
struct Row {
    claims: Arc<Claims>,
    /// Which keys it was checked by: of which source, and which change of them.
    by: (usize, u64),
}

/// Tokens that were checked.
#[derive(Debug, Default)]
pub(crate) struct Verified(Mutex<HashMap<[u8; 32], Row>>);

impl Verified {
    /// What a token says that was checked and is still valid, and by which keys it was.
    pub(crate) fn find(&self, digest: &[u8; 32], now: Wall) -> Option<(Arc<Claims>, (usize, u64))> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.get(digest).filter(|row| row.claims.until() > now)?;
        Some((Arc::clone(&row.claims), row.by))
    }

    /// Keeps what a token says that was checked by these keys.
    pub(crate) fn keep(&self, digest: [u8; 32], by: (usize, u64), claims: &Arc<Claims>, now: Wall) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() >= TOKENS_MAX {
            rows.retain(|_, row| row.claims.until() > now);
        }
        if rows.len() >= TOKENS_MAX {
            // All of them are valid: to check each once more costs less than to know which matter.
            rows.clear();
        }
        rows.insert(digest, Row { claims: Arc::clone(claims), by });
    }

    /// How many are known.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// What a token is known by.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
