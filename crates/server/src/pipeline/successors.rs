//! Which deployment a stream that broke goes on from.
//!
//! Owns who has been asked and how many sends are left. Leaves to others what goes out and what came back.
//! **Invariant:** nobody is asked twice for one request here, and the sends of a request stay within their limit.

use super::attempt::CallLimits;
use super::receive::Received;
use crate::snapshot::{Group, Snapshot};
use crate::target::Target;
use std::sync::Arc;
use tokio::time::Instant;
use tollgate_policy::failure::{FailureKind, Verdict};

/// Most sends of one request in all.
const SENDS_MAX: u32 = 6;

/// The deployments that may still go on with a request.
#[derive(Debug)]
pub(crate) struct Successors {
    /// Those that were not asked, with the limits of an attempt there.
    left: Vec<(Arc<Target>, CallLimits)>,
    sends_left: u32,
}

impl Successors {
    /// Those of the group beside the one that answers, after so many sends.
    pub(crate) fn new(
        snapshot: &Snapshot,
        received: &Received<'_>,
        (group, answering): (&Group, &Target),
        sends: u32,
    ) -> Self {
        let others = group.targets().iter().filter(|target| target.id != answering.id);
        let now = Instant::now();
        let left = others.map(|target| (Arc::clone(target), snapshot.call_limits(received, target, now)));
        Self { left: left.rev().collect(), sends_left: SENDS_MAX.saturating_sub(sends) }
    }

    /// Whether there may be any, beside the one that will answer.
    pub(crate) fn may_exist(group: &Group) -> bool {
        group.targets().len() > 1
    }

    /// There is nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty() || self.sends_left == 0
    }

    /// The next one, after a failure of this kind; a send is counted for it. Async since a place may have to be waited for.
    #[expect(clippy::unused_async, reason = "whoever waits for a place does so here")]
    pub(crate) async fn next(&mut self, kind: FailureKind) -> Option<(Arc<Target>, CallLimits)> {
        if kind.verdict() == Verdict::Never || !self.again() {
            return None;
        }
        let (target, limits) = self.left.pop()?;
        // The request's own time was for its beginning, which the caller has.
        let deadline = Instant::now() + limits.connect + limits.attempt;
        Some((target, CallLimits { deadline, ..limits }))
    }

    /// Counts a further send to the one that was asked last; false where none is left.
    pub(crate) fn again(&mut self) -> bool {
        let is_left = self.sends_left > 0;
        self.sends_left = self.sends_left.saturating_sub(1);
        is_left
    }
}
