//! How a request came to the deployment that answered it, for its headers and logs.

use super::group::Group;
use crate::target::Target;
use http::HeaderValue;
use tollgate_policy::choice::Why;

/// How a request came to a deployment.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    strategy: &'static str,
    why: Why,
    /// It was asked beside another one.
    pub(crate) is_hedge: bool,
}

impl Route {
    /// Of a group's choice.
    pub(crate) fn new(group: &Group, why: Why) -> Self {
        Self { strategy: group.rules().strategy_name, why, is_hedge: false }
    }

    /// `deployment=ID; strategy=simple-shuffle; reason=weight`.
    pub(crate) fn header(&self, target: &Target) -> HeaderValue {
        let reason = if self.is_hedge { "hedge" } else { self.why.word() };
        let parts = ["deployment=", &target.id, "; strategy=", self.strategy, "; reason=", reason];
        // One allocation of the right size, which the header takes over: every reply has it.
        HeaderValue::try_from(parts.concat()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}
