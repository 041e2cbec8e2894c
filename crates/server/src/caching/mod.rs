//! The cache of answers, as the road of a request meets it.
//!
//! Owns: which requests it is for ([`eligible`]), their keys ([`key`]), what a request says of it ([`Controls`]), what is
//! kept of an answer ([`Memo`]) and how it is given again ([`recall`]). Leaves keys' hashing, entries and the places
//! where they are kept to the crate `cache`.
//!
//! **Invariant:** whoever is answered from the cache has been let in by every limit and budget before. **Invariant:** only
//! what its caller got whole, from the group that was asked for, is kept.

mod controls;
mod eligible;
mod facts;
mod far;
mod key;
mod memo;
mod recall;
mod replay;

pub(crate) use controls::Controls;
pub(crate) use facts::AnswerFacts;
pub(crate) use memo::Memo;
pub(crate) use recall::{Recalled, recall};

use crate::reply::SharedStream;
use crate::telemetry::Metrics;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Weak};
use tollgate_cache::{Entry, Far, FarError, Flights, Key, KeyMaker, Memory};
use tollgate_config::{Caching, Config, Secret};

/// What those who wait for the same answer are told by the one who asks for it.
#[derive(Clone)]
pub(crate) enum News {
    /// The answer, which is kept.
    Kept(Arc<Entry>),
    /// It comes as a stream that others may read along.
    Streams(Weak<SharedStream>),
    /// It comes to nothing that others could have: each asks for itself.
    Nothing,
}

/// Answers that are kept, and the rules for them.
pub(crate) struct Answers {
    rules: Caching,
    maker: KeyMaker,
    secret: [u8; 32],
    memory: Arc<Memory>,
    /// Where they outlive this process.
    far: Option<Arc<Far>>,
    /// Counts what came from there and is no answer.
    damaged: Box<dyn Fn() + Send + Sync>,
    flights: Arc<Flights<News>>,
}

impl Answers {
    /// As the configuration wants them; `None` where it wants none. What `previous` has is kept where it may be.
    pub(crate) fn of(config: &Config, previous: Option<&Arc<Self>>, metrics: &Metrics) -> Option<Arc<Self>> {
        let rules = config.cache.clone()?;
        let secret = secret(config);
        let same = previous.filter(|previous| previous.secret == secret);
        let lends = same.filter(|previous| previous.rules.memory_bytes_max == rules.memory_bytes_max);
        // Keys of another secret are other keys: the place may be the same.
        let reached = previous.filter(|previous| previous.rules.far == rules.far);
        let far = reached.map_or_else(|| far::open(&rules, metrics), |it| it.far.clone());
        Some(Arc::new(Self {
            far,
            damaged: metrics.cache.counts_damaged(),
            memory: lends
                .map_or_else(|| Arc::new(Memory::new(rules.memory_bytes_max)), |it| Arc::clone(&it.memory)),
            flights: same.map(|it| Arc::clone(&it.flights)).unwrap_or_default(),
            maker: KeyMaker::new(&secret),
            rules,
            secret,
        }))
    }

    /// Where they are kept.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Where they outlive this process.
    pub(crate) fn far(&self) -> Option<&Far> {
        self.far.as_deref()
    }

    /// Forgets some; how many there were, in memory or where they outlive this process.
    ///
    /// # Errors
    /// Where that place fails. They are not in memory any more.
    pub(crate) async fn forget(&self, keys: Vec<Key>) -> Result<u64, FarError> {
        // Memory comes last: what is looked up meanwhile may come from there.
        let beyond = match &self.far {
            Some(far) => far.remove(keys.clone()).await,
            None => Ok(0),
        };
        let removed = keys.iter().filter(|key| self.memory.remove(key)).count() as u64;
        Ok(beyond?.max(removed))
    }

    /// Forgets all.
    ///
    /// # Errors
    /// Where the place in which they outlive this process fails. They are not in memory any more.
    pub(crate) async fn forget_all(&self) -> Result<(), FarError> {
        let beyond = match &self.far {
            Some(far) => far.clear().await,
            None => Ok(()),
        };
        self.memory.clear();
        beyond
    }

    /// What is told of it to an operator: LiteLLM's name of the place.
    pub(crate) fn place(&self) -> &'static str {
        self.far.as_ref().map_or("local", |far| far.kind())
    }
}

/// What keys are made with: the salt key, or else the master key. Without either a gateway asks for no keys, and has no
/// tenants that could guess them.
fn secret(config: &Config) -> [u8; 32] {
    let own = config.ledger.salt_key.as_ref().or(config.general.master_key.as_ref());
    let text = own.map(Secret::expose).unwrap_or_default();
    Sha256::digest(text.as_bytes()).into()
}
