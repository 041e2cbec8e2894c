//! How a request came to the deployment that answered it: told in the reply's head, and kept for what follows.

use super::successors::Rest;
use super::trail::X_LITELLM_FALLBACK_ERRORS;
use crate::reply::{
    ReplyHeaders, X_TOLLGATE_HEDGED, X_TOLLGATE_MAX_TOKENS_LOWERED, X_TOLLGATE_ROUTE, header_number,
};
use crate::routing::{Place, Route};
use crate::target::Target;
use crate::toll::Stake;
use http::header::HeaderValue;

/// How a request came to the deployment that answered it.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// What is held there.
    pub(super) place: Place,
    /// What is held of the caller's budgets.
    pub(super) stake: Option<Stake>,
    /// By which choice.
    pub(super) route: Route,
    /// Attempts before this one, within the group.
    pub(super) retries: u32,
    /// Attempts that there could have been before it.
    pub(super) retries_max: u32,
    /// Groups before this one.
    pub(super) fallbacks: u32,
    /// The tier that served it.
    pub(super) tier: Option<HeaderValue>,
    /// Another deployment was asked beside it.
    pub(super) was_hedged: bool,
    /// What was tried in vain, for a caller who asks for it.
    pub(super) trail: Option<HeaderValue>,
    /// Who may go on with it, where it is a stream.
    pub(super) rest: Option<Rest>,
}

impl Arrival {
    /// The tier that served it, and the groups before that.
    pub(super) fn way(&self) -> (Option<HeaderValue>, u32) {
        (self.tier.clone(), self.fallbacks)
    }

    /// The group that was asked for gave the answer, to the request as it was.
    pub(super) fn is_as_asked(&self) -> bool {
        self.fallbacks == 0 && self.stake.as_ref().is_none_or(|stake| stake.lowered().is_none())
    }

    /// Says in the head how the request came to its deployment; what it holds is the settlement's.
    pub(super) fn tell(self, headers: &mut ReplyHeaders, target: &Target) -> (Place, Option<Stake>) {
        headers.attempts(self.retries, self.retries_max).fallbacks(self.fallbacks);
        headers.add(X_TOLLGATE_ROUTE, self.route.header(target));
        headers.tier(self.tier.as_ref());
        if let Some(trail) = self.trail {
            headers.add(X_LITELLM_FALLBACK_ERRORS, trail);
        }
        if self.was_hedged {
            headers.add(X_TOLLGATE_HEDGED, HeaderValue::from_static("true"));
        }
        if let Some(lowered) = self.stake.as_ref().and_then(Stake::lowered) {
            headers.add(X_TOLLGATE_MAX_TOKENS_LOWERED, header_number(lowered));
        }
        (self.place, self.stake)
    }
}
