//! What a request has in common with earlier ones: a session, a caller, the beginning of a prompt.
//!
//! Owns the keys. Leaves who holds them to `policy::affinity`. **Invariant:** a key never leaves its caller: what one has
//! warmed says nothing about another.

use super::group::Group;
use crate::pipeline::walk::Errand;
use std::hash::{DefaultHasher, Hash, Hasher};
use tollgate_dialect::json::Kind;
use tollgate_policy::affinity::{PREFIX_TOKENS_MIN, PromptPrices, keeps};

/// Bytes of a prompt per token: OpenAI's rule of thumb for English.
const BYTES_PER_TOKEN: u64 = 4;
/// Turns of a conversation that are looked for.
const TURNS_MAX: usize = 256;

/// The beginning of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix {
    key: u64,
    tokens: u64,
}

/// The keys of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    session: Option<u64>,
    caller: Option<u64>,
    /// The longest first.
    prefixes: Vec<Prefix>,
}

impl Memory {
    /// What a group's rules let a request be known by.
    pub(crate) fn of(errand: Errand<'_>, group: &Group) -> Self {
        let rules = group.rules().affinities;
        let owner = errand.call.caller.hash();
        let session = errand.received.wish.session.as_deref().filter(|_| rules.session);
        Self {
            session: session.map(|session| keyed(owner, &("session", session))),
            caller: rules.caller.then(|| keyed(owner, &"caller")),
            prefixes: if rules.prompt_cache { prefixes(errand, owner) } else { Vec::new() },
        }
    }

    /// The deployment that holds the request's session, its caller, or the cache of its prompt where that is worth it.
    pub(crate) fn holder(&self, group: &Group) -> Option<String> {
        let now = group.clock().now();
        let known = [self.session, self.caller].into_iter().flatten();
        let session = known.filter_map(|key| group.sessions(|held| held.holder(key, now))).next();
        if let Some(session) = session {
            return Some(session.to_string());
        }
        let warm =
            |prefix: &Prefix| Some((group.caches(|held| held.holder(prefix.key, now))?, prefix.tokens));
        let (holder, tokens) = self.prefixes.iter().find_map(warm)?;
        let prices = |target: &crate::target::Target| PromptPrices {
            input: target.profile.input_price,
            cached: target.profile.cached_price,
        };
        let targets = group.targets();
        let of_holder = targets.iter().find(|target| *target.id == *holder).map(|target| prices(target))?;
        let others = targets.iter().filter(|target| *target.id != *holder).map(|target| prices(target));
        let cheapest = others.min_by_key(|other| other.input.unwrap_or(u128::MAX)).unwrap_or_default();
        keeps(tokens, of_holder, cheapest).then(|| holder.to_string())
    }

    /// A deployment has answered: it holds all of it now.
    pub(crate) fn hold(&self, group: &Group, deployment: &str) {
        let now = group.clock().now();
        for key in [self.session, self.caller].into_iter().flatten() {
            group.sessions(|held| held.hold(key, deployment, now));
        }
        // The next turn begins with all of this one.
        if let Some(whole) = self.prefixes.first() {
            group.caches(|held| held.hold(whole.key, deployment, now));
        }
    }
}

fn keyed(owner: u64, value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (owner, value).hash(&mut hasher);
    hasher.finish()
}

/// The prompt up to the end of each of its turns, where that is long enough to be cached.
fn prefixes(errand: Errand<'_>, owner: u64) -> Vec<Prefix> {
    let object = &errand.received.object;
    let Some(turns) = object.get(errand.call.surface.content_member()) else { return Vec::new() };
    if turns.kind() != Kind::Array {
        return Vec::new();
    }
    let mut hasher = DefaultHasher::new();
    owner.hash(&mut hasher);
    let mut bytes = 0;
    for name in ["tools", "system", "instructions", "systemInstruction"] {
        if let Some(value) = object.get(name) {
            value.text().hash(&mut hasher);
            bytes += value.text().len();
        }
    }
    let mut prefixes = Vec::new();
    for turn in turns.array_items().take(TURNS_MAX) {
        turn.text().hash(&mut hasher);
        bytes += turn.text().len();
        let tokens = bytes as u64 / BYTES_PER_TOKEN;
        if tokens >= PREFIX_TOKENS_MIN {
            prefixes.push(Prefix { key: hasher.clone().finish(), tokens });
        }
    }
    prefixes.reverse();
    prefixes
}
