//! When keys were used last: shown, and nothing is decided by it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tollgate_policy::clock::Wall;

/// Keys that are remembered, at most.
const KEYS_MAX: usize = 1_000_000;

/// When each key was answered last, in microseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct LastUses(Mutex<HashMap<Box<str>, i64>>);

impl LastUses {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key was answered.
    pub(crate) fn note(&self, token: &str, at: i64) {
        let mut uses = self.lock();
        if let Some(last) = uses.get_mut(token) {
            *last = at.max(*last);
        } else if uses.len() < KEYS_MAX && !token.is_empty() {
            uses.insert(token.into(), at);
        }
    }

    /// What is known from before.
    pub(crate) fn remember(&self, known: &[(String, i64)]) {
        known.iter().for_each(|(token, at)| self.note(token, *at));
    }

    /// When a key was answered last.
    pub(crate) fn of(&self, token: &str) -> Option<Wall> {
        self.lock().get(token).copied().map(Wall::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_use_counts_whatever_is_heard_of_first() {
        let uses = LastUses::default();
        uses.note("k", 5);
        uses.remember(&[("k".to_owned(), 3), ("other".to_owned(), 4), (String::new(), 9)]);
        let last = |token| uses.of(token).map(Wall::micros);
        assert_eq!((last("k"), last("other"), last("")), (Some(5), Some(4), None));
        uses.note("k", 8);
        assert_eq!((last("k"), last("nobody")), (Some(8), None));
    }
}
