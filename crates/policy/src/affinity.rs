//! Who holds what: the deployment that a session or a prompt's prefix went to.
//!
//! A bounded map from a key (the hash of a session, or of a prefix and its owner) to a deployment's id. Leaves to
//! others: making keys, and whether the deployment can be had ([`crate::choice`]). **Invariant:** never more than the
//! capacity, and nothing past its expiry.

use crate::clock::Moment;
use crate::profile::Profile;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The shortest prefix that providers cache, in tokens (OpenAI and Anthropic, prompt caching: 1,024).
pub const PREFIX_TOKENS_MIN: u64 = 1_024;

#[derive(Debug)]
struct Holding {
    deployment: Arc<str>,
    expires: Moment,
    serial: u64,
}

/// Which deployment holds which key.
#[derive(Debug)]
pub struct Affinities {
    capacity: usize,
    ttl: Duration,
    holdings: HashMap<u64, Holding>,
    /// Oldest first; an entry whose serial is not its key's any more is stale.
    ages: VecDeque<(u64, u64)>,
    serial: u64,
}

impl Affinities {
    /// An empty map of at most `capacity` keys, each forgotten `ttl` after its last use.
    pub fn new(capacity: usize, ttl: Duration) -> Self {
        Self { capacity, ttl, holdings: HashMap::new(), ages: VecDeque::new(), serial: 0 }
    }

    /// The id of the deployment that holds `key`.
    pub fn holder(&self, key: u64, now: Moment) -> Option<Arc<str>> {
        let holding = self.holdings.get(&key).filter(|holding| now < holding.expires)?;
        Some(Arc::clone(&holding.deployment))
    }

    /// From now on `deployment` holds `key`. What was longest unused makes room.
    pub fn hold(&mut self, key: u64, deployment: &str, now: Moment) {
        if self.capacity == 0 {
            return;
        }
        self.serial += 1;
        let (serial, expires) = (self.serial, now.after(self.ttl));
        match self.holdings.get_mut(&key) {
            Some(holding) => {
                if *holding.deployment != *deployment {
                    holding.deployment = deployment.into();
                }
                (holding.expires, holding.serial) = (expires, serial);
            }
            None => {
                let holding = Holding { deployment: deployment.into(), expires, serial };
                self.holdings.insert(key, holding);
            }
        }
        self.ages.push_back((key, serial));
        self.make_room(now);
    }

    /// Nobody holds `key` any more.
    pub fn release(&mut self, key: u64) {
        self.holdings.remove(&key);
    }

    /// Keys held, expired ones among them until something takes their place.
    pub fn len(&self) -> usize {
        self.holdings.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.holdings.is_empty()
    }

    /// Drops what is stale, what has expired, and the oldest beyond the capacity.
    fn make_room(&mut self, now: Moment) {
        while let Some(&(key, serial)) = self.ages.front() {
            let holding = self.holdings.get(&key).filter(|holding| holding.serial == serial);
            let is_kept = holding.is_some_and(|holding| now < holding.expires);
            if is_kept && self.holdings.len() <= self.capacity {
                break;
            }
            if holding.is_some() {
                self.holdings.remove(&key);
            }
            self.ages.pop_front();
        }
        if self.ages.len() > self.capacity.saturating_mul(2) {
            let holdings = &self.holdings;
            self.ages.retain(|(key, serial)| holdings.get(key).is_some_and(|held| held.serial == *serial));
        }
    }
}

/// What a deployment asks for a prompt's token; in one unit with whom it is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromptPrices {
    /// A token that is new to the provider.
    pub input: Option<u128>,
    /// A token that it has in its cache; `None` is no discount.
    pub cached: Option<u128>,
}

impl From<&Profile> for PromptPrices {
    fn from(profile: &Profile) -> Self {
        Self { input: profile.input_price, cached: profile.cached_price }
    }
}

/// Whether a warm cache is worth staying for: reading the prefix from the holder's cache costs no more than sending it
/// anew to the cheapest other deployment. Prices that are not known speak for staying, for the cache is faster; a
/// prefix that is too short to be cached does not.
pub fn keeps(prefix_tokens: u64, holder: PromptPrices, cheapest: PromptPrices) -> bool {
    if prefix_tokens < PREFIX_TOKENS_MIN {
        return false;
    }
    match (holder.cached.or(holder.input), cheapest.input) {
        (Some(stay), Some(switch)) => stay <= switch,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.after(Duration::from_secs(seconds))
    }

    fn holder(affinities: &Affinities, key: u64, seconds: u64) -> Option<String> {
        affinities.holder(key, at(seconds)).map(|id| id.to_string())
    }

    #[test]
    fn a_key_is_held_until_its_time_after_the_last_use_is_over() {
        let mut affinities = Affinities::new(8, TTL);
        assert_eq!(holder(&affinities, 1, 0), None);
        affinities.hold(1, "a", at(0));
        assert_eq!(holder(&affinities, 1, 59).as_deref(), Some("a"));
        assert_eq!(holder(&affinities, 1, 60), None);
        affinities.hold(1, "a", at(50));
        assert_eq!(holder(&affinities, 1, 109).as_deref(), Some("a"));
        affinities.hold(1, "b", at(51));
        assert_eq!(holder(&affinities, 1, 52).as_deref(), Some("b"));
        affinities.release(1);
        assert_eq!(holder(&affinities, 1, 52), None);
        assert!(affinities.is_empty());
    }

    #[test]
    fn the_longest_unused_makes_room() {
        let mut affinities = Affinities::new(2, TTL);
        affinities.hold(1, "a", at(0));
        affinities.hold(2, "b", at(1));
        affinities.hold(1, "a", at(2));
        affinities.hold(3, "c", at(3));
        assert_eq!(affinities.len(), 2);
        assert_eq!(holder(&affinities, 1, 4).as_deref(), Some("a"));
        assert_eq!(holder(&affinities, 2, 4), None);
        assert_eq!(holder(&affinities, 3, 4).as_deref(), Some("c"));
    }

    #[test]
    fn what_has_expired_goes_before_what_lives() {
        let mut affinities = Affinities::new(10, TTL);
        for key in 0..10 {
            affinities.hold(key, "a", at(key));
        }
        affinities.hold(99, "b", at(65));
        assert_eq!(affinities.len(), 5, "keys 6 to 9, and the new one");
    }

    #[test]
    fn memory_stays_bounded_however_often_keys_are_used() {
        let mut affinities = Affinities::new(4, TTL);
        for round in 0..10_000 {
            affinities.hold(round % 7, "a", at(round / 1_000));
            assert!(affinities.len() <= 4);
            assert!(affinities.ages.len() <= 9);
        }
        for round in 0..1_000 {
            affinities.hold(1, "a", at(10));
            affinities.release(round % 2);
        }
        assert!(affinities.ages.len() <= 9);
        let mut none = Affinities::new(0, TTL);
        none.hold(1, "a", at(0));
        assert!(none.is_empty());
    }

    #[test]
    fn a_cache_is_kept_while_it_costs_no_more_than_the_cheapest_other() {
        let check =
            |tokens: u64, holder: (Option<u128>, Option<u128>), cheapest: Option<u128>, expect: bool| {
                let (input, cached) = holder;
                let cheapest = PromptPrices { input: cheapest, cached: Some(0) };
                let is_kept = keeps(tokens, PromptPrices { input, cached }, cheapest);
                assert_eq!(is_kept, expect, "{tokens} {holder:?} {cheapest:?}");
            };
        check(4_000, (Some(10), Some(1)), Some(10), true);
        check(4_000, (Some(10), Some(5)), Some(5), true);
        check(4_000, (Some(10), Some(5)), Some(4), false);
        check(4_000, (Some(10), None), Some(10), true);
        check(4_000, (Some(10), None), Some(9), false);
        check(4_000, (None, None), Some(9), true);
        check(4_000, (Some(10), Some(5)), None, true);
        let profile = Profile { input_price: Some(3), cached_price: Some(1), ..Profile::default() };
        assert_eq!(PromptPrices::from(&profile), PromptPrices { input: Some(3), cached: Some(1) });
        check(1_024, (Some(10), Some(1)), Some(10), true);
        check(1_023, (Some(10), Some(1)), Some(10), false);
    }
}
