//! What an attempt holds while it runs: a place at its deployment, and the money that it may cost.
//!
//! **Invariant:** nothing is sent before its intent is written, and a deployment that the caller's budgets do not reach
//! to is passed over, not failed.

use super::attempt::CallLimits;
use super::ceiling::{RequestBounds, Words};
use super::receive::Received;
use super::walk::{Errand, Over, Walk, limits_of};
use crate::error::Rejection;
use crate::routing::{Place, Route};
use crate::target::Target;
use crate::toll::Stake;
use std::sync::Arc;
use tollgate_identity::ScopeKind;
use tollgate_ledger::Refused;
use tollgate_policy::chain::Setback;
use tollgate_policy::failure::FailureKind;

/// A deployment whose turn it is, with a place at it.
pub(crate) struct Boarding {
    pub(crate) target: Arc<Target>,
    pub(crate) limits: CallLimits,
    pub(crate) place: Place,
    pub(crate) route: Route,
    /// What is held of the caller's budgets; none for what nobody pays.
    pub(crate) stake: Option<Stake>,
    pub(super) position: usize,
}

impl Boarding {
    /// Has it written that it is about to be sent.
    pub(super) async fn intend(&mut self) -> Result<(), Over> {
        let Some(stake) = &mut self.stake else { return Ok(()) };
        stake.intend().await.map_err(|rejection| Over::failed(FailureKind::BadRequest, rejection))
    }
}

/// A deployment that has opened a session, and what the request holds there.
pub(crate) struct Opened {
    pub(crate) target: Arc<Target>,
    pub(crate) place: Place,
    pub(crate) stake: Option<Stake>,
    /// Attempts before it, and how many there could have been.
    pub(crate) counts: (u32, u32),
}

/// What a caller's budgets reach to in a group.
#[derive(Default)]
pub(super) struct Means {
    /// What the leg's own body can use at most, where it has one.
    bounds: Option<Box<RequestBounds>>,
    /// Deployments that they do not reach to.
    pub(super) dear: Vec<usize>,
    /// Which budget it was at the first of these.
    pub(super) too_dear: Option<Over>,
}

impl Walk<'_> {
    /// The leg sends another body than the caller's, or the caller's again.
    pub(super) fn weigh(&mut self, own: Option<&Received<'_>>) {
        let surface = self.errand.call.surface;
        self.means.bounds = own.map(|own| Box::new(RequestBounds::of(surface, Words::of(own))));
    }

    /// Holds what an attempt there may cost: `None` where the caller's budgets do not reach to it, and it is passed over.
    pub(super) async fn stake(&mut self, position: usize) -> Option<Option<Stake>> {
        let Errand { snapshot, received, call, .. } = self.errand;
        let (Some(toll), Some(target)) = (call.toll.get(), self.group.targets().get(position)) else {
            return Some(None);
        };
        if target.is_unpriced && snapshot.toll_rules().denies_unpriced {
            let rejection = Rejection::unpriced(&target.model);
            self.means.dear.push(position);
            self.means.too_dear.get_or_insert(Over::failed(FailureKind::BadRequest, rejection));
            return None;
        }
        let limits = limits_of(snapshot, received, (target, self.journey.leg()), self.deadline);
        let (rules, to) = (snapshot.toll_rules(), (target, limits.attempt));
        let own = self.means.bounds.as_deref();
        let mut staked = toll.stake(rules, to, own, false).await;
        if staked.is_err() {
            // Counted, its prompt may be far less than its bytes.
            let bounds = own.unwrap_or(toll.bounds()).clone();
            let counted = Box::pin(bounds.counted(call.surface, received, &target.model)).await;
            staked = Box::pin(toll.stake(rules, to, Some(&counted), true)).await;
        }
        match staked {
            Ok(stake) => Some(Some(stake)),
            Err(refused) => {
                let rejection = toll.reject(&refused, snapshot.toll_rules(), &call.caller);
                self.means.dear.push(position);
                let follows = self.journey.leg().depth > 0;
                self.means.too_dear.get_or_insert(Over::too_dear(&refused, follows, rejection));
                None
            }
        }
    }
}

impl Over {
    /// A budget does not reach. That of a provider or of a deployment is a reason to ask another group; the caller's own
    /// is not, whatever that may cost: a cheaper model in place of a dear one is for its tiers to say. Where the group
    /// already `follows` another that failed, the next may be within reach.
    pub(super) fn too_dear(refused: &Refused, follows: bool, rejection: Rejection) -> Self {
        let is_theirs = matches!(refused.scope.kind, ScopeKind::Provider | ScopeKind::Deployment);
        let setback =
            if is_theirs || follows { Setback::NoPlace } else { Setback::Failed(FailureKind::BadRequest) };
        Self { setback, kind: None, rejection: Box::new(rejection), is_passed_by: false }
    }
}
