//! Bearer tokens of identity providers, in the place of keys: whose one is, and as whom it calls.
//!
//! Owns what a configuration says of tokens, made ready ([`Tokens`]), and what is known of each token that was let in. Leaves
//! the check of a token to `tollgate_oidc`, the meaning of its claims to `tollgate_identity::jwt`, and the making of users
//! and teams that it names to `upsert`.
//!
//! **Invariant:** a token is checked before anything that it says is looked at, on every request; what is kept of it is kept
//! under the SHA-256 of the whole token, as long as no record has changed. **Invariant:** where it cannot be checked now,
//! the answer is a 503, never a 401.

mod bearer;
mod mapped;
mod passport;
mod rules;
mod upsert;

pub(crate) use bearer::{Bearer, settle};

use crate::auth::{Caller, Visit};
use crate::build::BuildError;
use crate::error::Rejection;
use crate::worker::Worker;
use passport::Passport;
use rules::Rules;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tollgate_config::{Config, JwtSettings, NewRecords};
use tollgate_identity::jwt::Claims;
use tollgate_oidc::{Gate, Times};
use tollgate_upstream::Client;

/// The most tokens of which is kept whom they stand for.
const PASSPORTS_MAX: usize = 8_192;

/// The tokens that a configuration takes. One for all workers.
pub(crate) struct Tokens {
    settings: JwtSettings,
    gate: Gate,
    rules: Vec<Arc<Rules>>,
    passports: Mutex<HashMap<[u8; 32], Arc<Passport>>>,
    is_started: AtomicBool,
}

/// A request that comes with a token.
pub(crate) struct Asked<'a> {
    pub(crate) worker: &'a Worker,
    /// What the configuration says of new records.
    pub(crate) new_records: &'a NewRecords,
    pub(crate) visit: &'a Visit<'a>,
    /// Where it comes from.
    pub(crate) address: Option<IpAddr>,
}

impl Tokens {
    /// What a configuration says of tokens; none where it takes none. `previous` lends its keys, and all that it knows where
    /// nothing has changed.
    ///
    /// # Errors
    /// Where an address of keys cannot be used.
    pub(crate) fn of(config: &Config, previous: Option<&Arc<Self>>) -> Result<Option<Arc<Self>>, BuildError> {
        let Some(settings) = &config.jwt else { return Ok(None) };
        if let Some(same) = previous.filter(|previous| previous.settings == *settings) {
            return Ok(Some(Arc::clone(same)));
        }
        let times = Times { fresh: settings.public_key_ttl, stale: settings.public_key_stale_ttl };
        let sources = rules::sources(settings)?;
        Ok(Some(Arc::new(Self {
            gate: Gate::new(sources, times, previous.map(|previous| &previous.gate)),
            rules: rules::rules(settings),
            passports: Mutex::default(),
            is_started: AtomicBool::new(false),
            settings: settings.clone(),
        })))
    }

    /// Begins to fetch the keys of all issuers, beside the requests; once for all workers.
    pub(crate) fn start(self: &Arc<Self>, client: &Arc<Client>) {
        if self.is_started.load(Ordering::Relaxed) || self.is_started.swap(true, Ordering::Relaxed) {
            return;
        }
        let (tokens, client) = (Arc::clone(self), Arc::clone(client));
        tokio::spawn(async move { tokens.gate.warm(&client).await });
    }

    /// Who calls with this token.
    pub(crate) async fn caller(&self, asked: &Asked<'_>, token: &str) -> Result<Caller, Rejection> {
        let ledger = asked.worker.gateway.ledger();
        let checked = self.gate.check(&asked.worker.client, token, ledger.clock().wall()).await;
        let claims = checked.map_err(|refusal| Rejection::token_refused(&refusal))?;
        let rules = self.rules_of(claims.issuer()).ok_or_else(Rejection::internal)?;
        if let Some(caller) = mapped::caller(asked, rules, &claims).await? {
            return Ok(caller);
        }
        let passport = match self.known(&claims, ledger.revision()) {
            Some(passport) => passport,
            None => Box::pin(self.admit(asked, rules, &claims)).await?,
        };
        let bearer = passport.bearer(&ledger.directory(), asked.visit)?;
        Ok(Caller::of_bearer(bearer, asked.address))
    }

    /// Whom a token stands for, as it was found out while the records were as they are now.
    fn known(&self, claims: &Claims, revision: i64) -> Option<Arc<Passport>> {
        let passports = self.passports.lock().unwrap_or_else(PoisonError::into_inner);
        passports.get(claims.token()).filter(|passport| passport.as_of == revision).map(Arc::clone)
    }

    /// Finds out whom a token stands for, and makes who is not there, where that is wanted.
    async fn admit(
        &self,
        asked: &Asked<'_>,
        rules: &Arc<Rules>,
        claims: &Claims,
    ) -> Result<Arc<Passport>, Rejection> {
        let identity = rules.mapping.identity(claims).map_err(|bad| Rejection::token_is_nobodys(&bad))?;
        let passport = Arc::new(upsert::passport(asked, rules, identity).await?);
        let mut passports = self.passports.lock().unwrap_or_else(PoisonError::into_inner);
        if passports.len() >= PASSPORTS_MAX && !passports.contains_key(claims.token()) {
            // To find out again costs less than to know which of them matter.
            passports.clear();
        }
        passports.insert(*claims.token(), Arc::clone(&passport));
        Ok(passport)
    }

    /// The rules of an issuer: its own, else those for all others.
    fn rules_of(&self, issuer: Option<&str>) -> Option<&Arc<Rules>> {
        let named = |rules: &&Arc<Rules>| {
            !rules.is_fallback && rules.issuer.is_some() && rules.issuer.as_deref() == issuer
        };
        self.rules.iter().find(named).or_else(|| self.rules.iter().find(|rules| rules.is_fallback))
    }
}
