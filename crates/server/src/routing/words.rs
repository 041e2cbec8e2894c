//! Operators' words on deployments over restarts: kept in the embedded database, taken over at the next start.
//!
//! Owns when a word is written and which are taken over. Leaves what it means to `policy::health`, who is affected to the
//! fleet, SQL to the store. **Invariant:** a word holds before it is written, and whether it is written delays nobody but
//! the operator, for [`KEEP_MAX`] at most. **Invariant:** what is written last is what holds.

use super::explain::{forced_named, forced_word};
use super::fleet::Fleet;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tollgate_config::Config;
use tollgate_policy::clock::Moment;
use tollgate_policy::health::Forced;
use tollgate_store::{Durability, LazyStore, Location, StoreError, StoredOverride};

/// The longest that a word can hold: a week.
pub(crate) const EXPIRY_MAX: Duration = Duration::from_secs(7 * 86_400);
/// How long an operator's answer waits for the disk: longer than the store waits for another process.
const KEEP_MAX: Duration = Duration::from_secs(10);
/// How long a start waits for what was said before it.
const RECALL_MAX: Duration = Duration::from_secs(10);
/// Most words that are taken over.
const WORDS_MAX: u32 = 10_000;

/// What an operator says of a deployment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    pub(crate) forced: Forced,
    /// How long it holds from now on.
    pub(crate) left: Duration,
}

/// Whose turn it is to write.
#[derive(Debug, Default)]
pub(crate) struct Words {
    turn: Mutex<()>,
}

impl Words {
    /// Lets a word hold, or takes the last one back; true once a restart cannot change that.
    pub(crate) async fn speak(&self, store: &LazyStore, fleet: &Fleet, id: &str, word: Option<Word>) -> bool {
        let now = fleet.clock().now();
        fleet.force(id, word.map(|word| (word.forced, now.after(word.left))));
        if *store.location() == Location::Memory {
            return false;
        }
        let kept = timeout(KEEP_MAX, async {
            let _turn = self.turn.lock().await;
            write(store, id, fleet.word(id), fleet.clock().now()).await
        });
        match kept.await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(deployment = %id, %error, "an operator's word holds, but not over a restart");
                false
            }
            Err(_) => {
                tracing::error!(deployment = %id, "an operator's word holds, but it is not written yet");
                false
            }
        }
    }
}

/// Writes what holds now, which may be newer than what the writer came with.
async fn write(
    store: &LazyStore,
    id: &str,
    word: Option<(Forced, Moment)>,
    now: Moment,
) -> Result<(), StoreError> {
    let overrides = store.get().await?.overrides();
    match word {
        Some((forced, until)) => {
            let row = StoredOverride {
                deployment_id: id.to_owned(),
                state: forced_word(forced).to_owned(),
                expires_at: unix_seconds().saturating_add(whole_seconds(now.until(until))),
            };
            overrides.put(row, Durability::Full).await
        }
        None => overrides.delete(id, Durability::Full).await.map(|_| ()),
    }
}

/// Takes over what was said before this start. A database that is not there, or cannot be read, stops nothing.
pub(crate) async fn recall(store: &LazyStore, fleet: &Fleet, config: &Config) {
    if !store.exists() {
        return;
    }
    let now = unix_seconds();
    let words = timeout(RECALL_MAX, async { store.get().await?.overrides().all(now, WORDS_MAX).await });
    match words.await {
        Ok(Ok(words)) => words.iter().for_each(|word| take_over(word, now, fleet, config)),
        Ok(Err(error)) => {
            tracing::error!(%error, "what operators said of deployments before this start is not known");
        }
        Err(_) => tracing::error!(
            seconds = RECALL_MAX.as_secs(),
            "what operators said of deployments before this start could not be read in time"
        ),
    }
}

fn take_over(word: &StoredOverride, now: i64, fleet: &Fleet, config: &Config) {
    let StoredOverride { deployment_id: id, state, expires_at } = word;
    if !config.deployments.iter().any(|deployment| deployment.id == *id) {
        tracing::warn!(deployment = %id, state, "an operator's word on a deployment that is not there is ignored");
        return;
    }
    let Some(forced) = forced_named(state) else {
        tracing::warn!(deployment = %id, state, "an operator's word that this release does not know is ignored");
        return;
    };
    // A clock that was set back must not make it longer than it could be.
    let left =
        Duration::from_secs(u64::try_from(expires_at.saturating_sub(now)).unwrap_or(0)).min(EXPIRY_MAX);
    fleet.force(id, Some((forced, fleet.clock().now().after(left))));
    tracing::warn!(deployment = %id, state, seconds = left.as_secs(), "an operator's word still holds");
}

/// Rounded up: a word is never shorter for having been kept.
fn whole_seconds(left: Duration) -> i64 {
    let seconds = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn unix_seconds() -> i64 {
    crate::pipeline::thread::now_seconds()
}
