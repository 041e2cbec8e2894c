//! Answers outside of this process, as requests meet them: memory stands before them.
//!
//! Owns what of them comes into memory, for how long, and which bytes are no answer. Leaves how the place is asked, and
//! when it is left alone, to the crate `cache`.
//!
//! **Invariant:** what comes from there is what this installation has put there, under this key, and is not too old.
//! **Invariant:** in memory nothing stays longer than it would have stayed there.

use super::Answers;
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tollgate_cache::{DiskPlace, Entry, Far, FarRules, Key};
use tollgate_config::{Caching, FarPlace};

/// How long the end of the process waits for the last answers: it can do without them.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The place outside of this process that the rules name.
pub(super) fn open(rules: &Caching, metrics: &Metrics) -> Option<Arc<Far>> {
    let far = rules.far.as_ref()?;
    let FarPlace::Disk { folder, bytes_max } = &far.place;
    let told = metrics.cache.hears_of("disk");
    let common = FarRules { timeout: far.lookup_timeout, told, give_way: tollgate_store::give_way };
    let place = DiskPlace { folder: folder.clone(), bytes_max: *bytes_max };
    Some(Arc::new(Far::disk(&place, &common)))
}

impl Answers {
    /// What is kept under a key outside of this process, at that moment (microseconds since 1970); it is in memory then.
    pub(super) async fn fetch(&self, key: Key, now: i64) -> Option<Arc<Entry>> {
        let far = self.far.as_ref()?;
        let bytes = far.get(key, now).await?;
        let Some(entry) = Entry::from_bytes(&bytes, &key, &self.maker) else {
            // Damaged, misplaced or somebody else's: it would be asked for again and again.
            far.discard(key);
            (self.damaged)();
            return None;
        };
        (!entry.is_expired(now)).then(|| self.remember(key, entry, now))
    }

    /// Keeps an answer wherever answers are kept.
    pub(super) fn keep(&self, key: Key, entry: Entry, now: i64) -> Arc<Entry> {
        if let Some(far) = &self.far {
            far.put(key, entry.to_bytes(&key, &self.maker), (now, entry.expires_at));
        }
        self.remember(key, entry, now)
    }

    fn remember(&self, key: Key, mut entry: Entry, now: i64) -> Arc<Entry> {
        if self.far.is_some() {
            let most = i64::try_from(self.rules.memory_ttl.as_micros()).unwrap_or(i64::MAX);
            entry.expires_at = entry.expires_at.min(now.saturating_add(most));
        }
        let entry = Arc::new(entry);
        self.memory.put(key, Arc::clone(&entry));
        entry
    }

    /// Waits until what is kept is also where it outlives this process.
    pub(crate) async fn settle(&self) {
        let Some(far) = &self.far else { return };
        if !matches!(timeout(SETTLE_TIMEOUT, far.settle()).await, Ok(Ok(()))) {
            tracing::warn!(place = far.kind(), "the last answers were perhaps not kept");
        }
    }
}
