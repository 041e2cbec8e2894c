//! Which issuer a token is held against, and the answer.

use crate::address::{Address, Fetch};
use crate::keeper::{Held, Keeper};
use crate::verified::{Verified, digest};
use std::sync::Arc;
use std::time::Duration;
use tollgate_identity::jwt::{BadToken, Claims, Issuer, issuer_of};
use tollgate_policy::clock::Wall;
use tollgate_upstream::Client;

/// How long keys are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Before they are fetched anew (LiteLLM's `public_key_ttl`, 600 s).
    pub fresh: Duration,
    /// After that, where they cannot be (`public_key_stale_ttl`, 3,600 s).
    pub stale: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { fresh: Duration::from_secs(600), stale: Duration::from_secs(3_600) }
    }
}

/// Whose tokens are taken, and where their keys are.
#[derive(Debug, Clone)]
pub struct Source {
    /// Whose, and for whom.
    pub issuer: Issuer,
    /// Where its keys are; the first address that has the key counts.
    pub addresses: Vec<Address>,
    /// Whether it is for tokens whose issuer no other source is for (LiteLLM's `JWT_PUBLIC_KEY_URL`).
    pub is_fallback: bool,
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not good: a 401.
    #[error(transparent)]
    Bad(#[from] BadToken),
    /// There are no keys to check it by: a 503. For the log, not for the caller.
    #[error("the identity provider's keys are not there: {0}")]
    NoKeys(String),
}

#[derive(Debug)]
struct Provider {
    issuer: Issuer,
    keepers: Vec<(usize, Arc<Keeper>)>,
    is_fallback: bool,
}

/// Checks tokens. One for all workers; made anew with a configuration.
#[derive(Debug)]
pub struct Gate {
    providers: Vec<Provider>,
    times: Times,
    verified: Verified,
}

impl Gate {
    /// Takes the tokens of these sources. `previous` lends the keys of addresses that it has too.
    pub fn new(sources: Vec<Source>, times: Times, previous: Option<&Self>) -> Self {
        let known: Vec<&Arc<Keeper>> = previous
            .iter()
            .flat_map(|gate| &gate.providers)
            .flat_map(|provider| provider.keepers.iter().map(|(_, keeper)| keeper))
            .collect();
        let mut number = 0;
        let mut numbered = |address: Address| {
            number += 1;
            let kept = known.iter().find(|keeper| keeper.is_of(&address)).map(|keeper| Arc::clone(keeper));
            (number, kept.unwrap_or_else(|| Arc::new(Keeper::new(address))))
        };
        let providers = sources.into_iter().map(|source| Provider {
            issuer: source.issuer,
            keepers: source.addresses.into_iter().map(&mut numbered).collect(),
            is_fallback: source.is_fallback,
        });
        Self { providers: providers.collect(), times, verified: Verified::default() }
    }

    /// Fetches all keys, so that the first caller does not wait for them. What is not there is fetched when it is asked for.
    pub async fn warm(&self, client: &Arc<Client>) {
        for (_, keeper) in self.providers.iter().flat_map(|provider| &provider.keepers) {
            // The keeper has told the log.
            let _ = keeper.keys(client, self.times).await;
        }
    }

    /// What a token says, where it is good. To be called within a runtime, on which keys are fetched.
    ///
    /// # Errors
    /// Why it is not, or why that cannot be known now.
    pub async fn check(&self, client: &Arc<Client>, token: &str, now: Wall) -> Result<Arc<Claims>, Refusal> {
        self.check_by(client, token, now).await
    }

    async fn check_by<F: Fetch>(
        &self,
        fetch: &Arc<F>,
        token: &str,
        now: Wall,
    ) -> Result<Arc<Claims>, Refusal> {
        let digest = digest(token);
        if let Some((claims, by)) = self.verified.find(&digest, now)
            && let Some(keeper) = self.keeper(by.0)
            && keeper.keys(fetch, self.times).await.is_ok_and(|held| held.generation == by.1)
        {
            return Ok(claims);
        }
        let provider = self.provider(token)?;
        let mut refusal = Refusal::Bad(BadToken::UnknownKey);
        for (number, keeper) in &provider.keepers {
            let held = match keeper.keys(fetch, self.times).await {
                Ok(held) => held,
                Err(reason) => {
                    refusal = Refusal::NoKeys(reason);
                    continue;
                }
            };
            let mut held: Arc<Held> = held;
            let mut checked = provider.issuer.verify(token, &held.keys, now);
            if checked == Err(BadToken::UnknownKey) {
                match keeper.newer(&held, fetch).await {
                    Ok(Some(newer)) => {
                        held = newer;
                        checked = provider.issuer.verify(token, &held.keys, now);
                    }
                    Ok(None) => {}
                    // It may be a key of today: nobody can say now.
                    Err(reason) => {
                        refusal = Refusal::NoKeys(reason);
                        continue;
                    }
                }
            }
            match checked {
                Ok(claims) => {
                    let claims = Arc::new(claims);
                    self.verified.keep(digest, (*number, held.generation), &claims, now);
                    return Ok(claims);
                }
                Err(BadToken::UnknownKey) => {}
                Err(bad) => return Err(bad.into()),
            }
        }
        Err(refusal)
    }

    fn keeper(&self, number: usize) -> Option<&Arc<Keeper>> {
        let mut keepers = self.providers.iter().flat_map(|provider| &provider.keepers);
        keepers.find(|(other, _)| *other == number).map(|(_, keeper)| keeper)
    }

    /// Whom a token is held against: the source of the issuer that it names, else the one for all others.
    fn provider(&self, token: &str) -> Result<&Provider, BadToken> {
        let named = issuer_of(token);
        let is_named = |provider: &&Provider| {
            !provider.is_fallback && provider.issuer.issuer.is_some() && provider.issuer.issuer == named
        };
        let fallback = || self.providers.iter().find(|provider| provider.is_fallback);
        self.providers.iter().find(is_named).or_else(fallback).ok_or(BadToken::Issuer)
    }
}

#[cfg(test)]
mod tests;
