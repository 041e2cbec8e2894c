//! Tokens that were given out, until they end.
//!
//! Owns: [`Tokens`]. Leaves to others: who gets one, and what it is good for.
//!
//! **Invariant:** a token is good from its issue until its end, and no text but an issued one is. Of too many the ones
//! that ended are let go first.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Most tokens remembered.
const TOKENS_MAX: usize = 10_000;

/// How a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Ended,
    Unknown,
}

/// Tokens with their ends.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    ends: Mutex<HashMap<String, Instant>>,
}

impl Tokens {
    /// Remembers a token that is good for so long.
    pub(crate) fn issue(&self, token: &str, lifetime: Duration) {
        let now = Instant::now();
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() >= TOKENS_MAX {
            ends.retain(|_, end| now < *end);
        }
        if ends.len() < TOKENS_MAX {
            ends.insert(token.to_owned(), now + lifetime);
        }
    }

    /// How a token stands.
    pub(crate) fn standing(&self, token: &str) -> Standing {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        match ends.get(token) {
            Some(end) if Instant::now() < *end => Standing::Good,
            Some(_) => Standing::Ended,
            None => Standing::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_good_until_it_ends() {
        let tokens = Tokens::default();
        tokens.issue("a", Duration::from_secs(5));
        assert_eq!((tokens.standing("a"), tokens.standing("b")), (Standing::Good, Standing::Unknown));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(tokens.standing("a"), Standing::Ended);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_ended_make_room() {
        let tokens = Tokens::default();
        for number in 0..TOKENS_MAX {
            tokens.issue(&number.to_string(), Duration::from_secs(1));
        }
        tokens.issue("late", Duration::from_secs(9));
        assert_eq!(tokens.standing("late"), Standing::Unknown);
        tokio::time::advance(Duration::from_secs(1)).await;
        tokens.issue("late", Duration::from_secs(9));
        assert_eq!((tokens.standing("late"), tokens.standing("0")), (Standing::Good, Standing::Unknown));
    }
}
