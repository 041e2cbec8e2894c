//! What a failed attempt is, who caused it, and what may follow.
//!
//! Owns the kinds and their consequences. Leaves to others: telling a kind from a wire's error (dialect), counting
//! (health). **Invariant:** a caller's own fault hurts no deployment.

/// A kind of failed attempt. The names are LiteLLM's exceptions in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// 400, 422 and their like: the request is wrong wherever it is sent.
    BadRequest,
    /// 413.
    TooLarge,
    /// 400: the prompt does not fit the model's context window.
    ContextWindow,
    /// 400: the provider's policy refuses the prompt.
    ContentPolicy,
    /// 401, or no token could be had.
    Authentication,
    /// 403.
    Permission,
    /// 404: the provider does not know the model.
    NotFound,
    /// 429.
    RateLimit,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke before an answer.
    Connection,
    /// 500 and other 5xx.
    Server,
    /// 502, or an answer that is none.
    BadGateway,
    /// 503, 529.
    Unavailable,
    /// The request cannot be written for this deployment; another may be able to express it.
    NotExpressible,
    /// The answer is there and does not do (empty, no JSON where JSON was asked for).
    Quality,
}

/// Who caused a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The caller: nobody is hurt.
    Caller,
    /// The deployment's credential: every deployment that shows it.
    Credential,
    /// The mapping of the deployment's name to a model.
    Model,
    /// A limit: a pause, and no ill health.
    Limit,
    /// The deployment: it counts.
    Deployment,
}

/// Where a request may go after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nowhere: the caller's fault, or nothing that another attempt could mend.
    Never,
    /// To another deployment alone: this one would fail again, or stayed silent (401, 403, 404, timeouts).
    Elsewhere,
    /// To another deployment at once, or to this one again after a wait (429, 5xx, resets).
    Anywhere,
}

impl FailureKind {
    /// Who caused it.
    pub fn blame(self) -> Blame {
        match self {
            Self::BadRequest
            | Self::TooLarge
            | Self::ContextWindow
            | Self::ContentPolicy
            | Self::NotExpressible
            | Self::Quality => Blame::Caller,
            Self::Authentication | Self::Permission => Blame::Credential,
            Self::NotFound => Blame::Model,
            Self::RateLimit => Blame::Limit,
            Self::Timeout | Self::Connection | Self::Server | Self::BadGateway | Self::Unavailable => {
                Blame::Deployment
            }
        }
    }

    /// Where the request may go after it, within its model group.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::BadRequest | Self::TooLarge | Self::ContextWindow | Self::ContentPolicy => Verdict::Never,
            Self::Authentication
            | Self::Permission
            | Self::NotFound
            | Self::Timeout
            | Self::NotExpressible
            | Self::Quality => Verdict::Elsewhere,
            Self::RateLimit | Self::Connection | Self::Server | Self::BadGateway | Self::Unavailable => {
                Verdict::Anywhere
            }
        }
    }

    /// Whether the deployment has said nothing: the attempt ended without a word of its own, or was never sent.
    pub fn is_silent(self) -> bool {
        matches!(self, Self::Timeout | Self::Connection | Self::NotExpressible)
    }

    /// One word for logs, metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::TooLarge => "too_large",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::RateLimit => "rate_limit",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::BadGateway => "bad_gateway",
            Self::Unavailable => "unavailable",
            Self::NotExpressible => "not_expressible",
            Self::Quality => "quality",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_fault_hurts_nobody_and_a_limit_is_no_ill_health() {
        use FailureKind::*;
        for kind in [BadRequest, TooLarge, ContextWindow, ContentPolicy] {
            assert_eq!((kind.blame(), kind.verdict()), (Blame::Caller, Verdict::Never), "{kind:?}");
        }
        assert_eq!((RateLimit.blame(), RateLimit.verdict()), (Blame::Limit, Verdict::Anywhere));
        for kind in [Connection, Server, BadGateway, Unavailable] {
            assert_eq!((kind.blame(), kind.verdict()), (Blame::Deployment, Verdict::Anywhere), "{kind:?}");
        }
    }

    #[test]
    fn what_would_fail_again_or_stayed_silent_goes_elsewhere_alone() {
        use FailureKind::*;
        for kind in [Authentication, Permission, NotFound, Timeout] {
            assert_eq!(kind.verdict(), Verdict::Elsewhere, "{kind:?}");
        }
        assert_eq!(Authentication.blame(), Blame::Credential);
        assert_eq!(NotFound.blame(), Blame::Model);
        assert_eq!(Timeout.blame(), Blame::Deployment);
    }
}
