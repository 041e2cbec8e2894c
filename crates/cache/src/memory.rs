//! Answers in the memory of this process.
//!
//! Owns how much of it they take. Leaves which of them stay to the policy of the library: W-TinyLFU (Einziger, Friedman,
//! Manes: "TinyLFU: A Highly Efficient Cache Admission Policy", 2017), by which what is asked for once does not drive out
//! what is asked for often.
//!
//! **Invariant**: what is too old is never given, however lately it was looked at.

use crate::entry::Entry;
use crate::key::Key;
use moka::sync::Cache;
use std::fmt;
use std::sync::Arc;

/// Answers in memory, up to so many bytes.
pub struct Memory {
    entries: Cache<Key, Arc<Entry>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Memory({} entries)", self.entries.entry_count())
    }
}

impl Memory {
    /// Room for so many bytes of entries ([`Entry::size`]).
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        let weigh = |_: &Key, entry: &Arc<Entry>| u32::try_from(entry.size()).unwrap_or(u32::MAX);
        Self { entries: Cache::builder().max_capacity(bytes_max).weigher(weigh).build() }
    }

    /// What is kept under a key, where it is not too old at that moment (microseconds since 1970).
    #[must_use]
    pub fn get(&self, key: &Key, now: i64) -> Option<Arc<Entry>> {
        let entry = self.entries.get(key)?;
        if entry.is_expired(now) {
            self.entries.invalidate(key);
            return None;
        }
        Some(entry)
    }

    /// Keeps an entry in the place of whatever is there.
    pub fn put(&self, key: Key, entry: Arc<Entry>) {
        self.entries.insert(key, entry);
    }

    /// Forgets one; whether there was one.
    pub fn remove(&self, key: &Key) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.entries.invalidate_all();
    }

    /// How many there are and the bytes that they take, once what is under way is done.
    #[must_use]
    pub fn room(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Form;
    use crate::key::{KeyMaker, Scope};
    use bytes::Bytes;

    fn key(number: u32) -> Key {
        KeyMaker::new(b"secret").key(Scope::Shared, &[&number.to_be_bytes()])
    }

    fn entry(bytes: usize, expires_at: i64) -> Arc<Entry> {
        Arc::new(Entry {
            kind: "k".into(),
            form: Form::Whole,
            body: Bytes::from(vec![b'x'; bytes]),
            deployment: "d".into(),
            facts: "".into(),
            stored_at: 0,
            expires_at,
        })
    }

    #[test]
    fn what_is_put_is_there_until_it_is_too_old_or_taken_away() {
        let memory = Memory::new(1 << 20);
        memory.put(key(1), entry(10, 100));
        assert_eq!(memory.get(&key(1), 99), Some(entry(10, 100)));
        assert_eq!(memory.get(&key(2), 0), None);
        assert_eq!(memory.get(&key(1), 100), None);
        assert_eq!(memory.get(&key(1), 99), None, "what was too old is gone");
        memory.put(key(1), entry(10, 100));
        memory.put(key(1), entry(20, 100));
        assert_eq!(memory.get(&key(1), 0), Some(entry(20, 100)));
        assert!(memory.remove(&key(1)) && !memory.remove(&key(1)));
        memory.put(key(1), entry(10, 100));
        memory.put(key(2), entry(10, 100));
        memory.clear();
        assert_eq!((memory.get(&key(1), 0), memory.get(&key(2), 0)), (None, None));
    }

    #[test]
    fn memory_is_bounded_by_bytes() {
        let memory = Memory::new(100 << 10);
        for number in 0..1_000 {
            memory.put(key(number), entry(1 << 10, 100));
        }
        let (entries, bytes) = memory.room();
        assert!(bytes <= 100 << 10 && (50..=100).contains(&entries), "{entries} entries, {bytes} bytes");
        memory.put(key(5_000), entry(200 << 10, 100));
        assert!(memory.room().1 <= 100 << 10);
        assert_eq!(memory.get(&key(5_000), 0), None, "larger than all of it");
    }

    #[test]
    fn what_is_asked_for_often_outlives_a_flood_of_what_is_asked_for_once() {
        let memory = Memory::new(100 << 10);
        for number in 0..50 {
            memory.put(key(number), entry(1 << 10, 100));
        }
        // Below half of its room everything fits, and nothing is counted.
        let _ = memory.room();
        for _ in 0..20 {
            for number in 0..50 {
                assert!(memory.get(&key(number), 0).is_some());
            }
        }
        let _ = memory.room();
        let mut hits = 0;
        for number in 1_000..6_000 {
            assert!(memory.get(&key(number), 0).is_none());
            memory.put(key(number), entry(1 << 10, 100));
            // One in two is for what is asked for often; by age alone each would be gone before its turn comes again.
            hits += u32::from(memory.get(&key(number % 50), 0).is_some());
        }
        assert!(hits >= 4_000, "{hits} of 5,000 hits");
    }
}
