//! Who calls with a token: as a key would that is in no database, with its user, team and organization above it.

use super::passport::Passport;
use crate::auth::Caller;
use crate::error::Rejection;
use crate::snapshot::Snapshot;
use std::sync::{Arc, OnceLock};
use tollgate_identity::grant::Standing;
use tollgate_identity::role::Actor;
use tollgate_identity::{Directory, Holder};
use tollgate_ledger::Ledger;

/// Who calls with a token.
#[derive(Debug)]
pub(crate) struct Bearer {
    passport: Arc<Passport>,
    holder: Holder,
    /// Whether the model decides within which of its teams it calls.
    is_open: bool,
    /// Everybody above it, once that is decided.
    settled: OnceLock<Holder>,
}

impl Bearer {
    pub(super) fn new(passport: &Arc<Passport>, holder: Holder, is_open: bool) -> Self {
        Self { passport: Arc::clone(passport), holder, is_open, settled: OnceLock::new() }
    }

    /// What the token stands for, and everybody above it.
    pub(crate) fn holder(&self) -> &Holder {
        self.settled.get().unwrap_or(&self.holder)
    }

    /// What its subject is known by.
    pub(crate) fn subject(&self) -> [u8; 32] {
        self.passport.identity.subject
    }

    /// The end user that the token says.
    pub(crate) fn end_user(&self) -> Option<&str> {
        self.passport.identity.end_user.as_deref()
    }

    /// What it may see and change.
    pub(crate) fn actor(&self, directory: &Directory) -> Actor {
        let Passport { rules, identity, .. } = &*self.passport;
        // A team that is its user's and not the token's does not narrow what the user may do.
        let team = self.holder().team.as_ref().map(|team| &*team.id);
        let within = team.filter(|team| identity.teams.iter().any(|said| said == team));
        rules.mapping.actor(identity, within, directory)
    }
}

/// Decides within which of its teams a token calls for a model: the first that has it, as in LiteLLM.
///
/// # Errors
/// Where none has it.
pub(crate) fn settle(
    snapshot: &Snapshot,
    ledger: &Ledger,
    caller: &Caller,
    model: &str,
) -> Result<(), Rejection> {
    let Some(bearer) = caller.bearer().filter(|bearer| bearer.is_open) else { return Ok(()) };
    let now = ledger.clock().wall();
    let holders: Vec<Holder> = {
        let directory = ledger.directory();
        bearer.passport.within.iter().map(|key| directory.above(key)).collect()
    };
    let has_it = |holder: &Holder| {
        let standing = Standing::of(holder, now).ok();
        let may_come =
            |standing: Standing<'_>| caller.address().is_none_or(|from| standing.address(from).is_ok());
        standing.is_some_and(may_come) && snapshot.allow_holder(holder, model, ledger).is_ok()
    };
    let Some(holder) = holders.into_iter().find(has_it) else {
        return Err(Rejection::no_team_has(model, &bearer.passport.identity.teams));
    };
    let _ = bearer.settled.set(holder);
    Ok(())
}
