//! When failures eject, and for how long.
//!
//! Owns the rules as configured, and which entry a kind of failure is counted by. Leaves to others: counting (windows).
//! **Invariant:** a class with an entry of its own is counted by that entry alone.

use crate::failure::FailureKind;
use std::time::Duration;

/// LiteLLM's `allowed_fails_policy`: how many failures of a class are borne within the cooldown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllowedFails {
    /// `BadRequestErrorAllowedFails`.
    pub bad_request: Option<u32>,
    /// `AuthenticationErrorAllowedFails`.
    pub authentication: Option<u32>,
    /// `TimeoutErrorAllowedFails`.
    pub timeout: Option<u32>,
    /// `RateLimitErrorAllowedFails`.
    pub rate_limit: Option<u32>,
    /// `ContentPolicyViolationErrorAllowedFails`.
    pub content_policy_violation: Option<u32>,
    /// `InternalServerErrorAllowedFails`.
    pub internal_server: Option<u32>,
    /// `ServiceUnavailableErrorAllowedFails`.
    pub service_unavailable: Option<u32>,
    /// `BadGatewayErrorAllowedFails`.
    pub bad_gateway: Option<u32>,
    /// `NotFoundErrorAllowedFails`.
    pub not_found: Option<u32>,
}

/// When to eject, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthRules {
    /// More failures than this within `cooldown` eject. `None`: 3 consecutive ones, or half of at least 20 attempts
    /// within 30 s.
    pub allowed_fails: Option<u32>,
    /// The same for single classes; a class with an entry is counted by its entry alone.
    pub by_kind: AllowedFails,
    /// The first ejection's length before jitter, and the window of `allowed_fails`. Zero never ejects.
    pub cooldown: Duration,
    /// Never ejects.
    pub cooldowns_disabled: bool,
}

impl Default for HealthRules {
    fn default() -> Self {
        Self {
            allowed_fails: None,
            by_kind: AllowedFails::default(),
            cooldown: Duration::from_secs(5),
            cooldowns_disabled: false,
        }
    }
}

/// A class of LiteLLM's `allowed_fails_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    BadRequest,
    Authentication,
    Timeout,
    RateLimit,
    ContentPolicyViolation,
    InternalServer,
    ServiceUnavailable,
    BadGateway,
    NotFound,
}

/// How many classes there are.
pub(super) const CLASSES: usize = 9;

impl AllowedFails {
    /// No class has an entry.
    pub const NONE: Self = Self {
        bad_request: None,
        authentication: None,
        timeout: None,
        rate_limit: None,
        content_policy_violation: None,
        internal_server: None,
        service_unavailable: None,
        bad_gateway: None,
        not_found: None,
    };

    /// The entry that counts a kind: how many failures it allows. A refused prompt is a bad request too, as in
    /// LiteLLM, where it has no entry of its own. Lost connections, 403 and what is no failure of the wire belong to no
    /// class.
    pub(super) fn entry(&self, kind: FailureKind) -> Option<(Class, u32)> {
        let of = |class: Class, allowed: Option<u32>| allowed.map(|allowed| (class, allowed));
        let bad_request = of(Class::BadRequest, self.bad_request);
        match kind {
            FailureKind::BadRequest | FailureKind::TooLarge | FailureKind::ContextWindow => bad_request,
            FailureKind::ContentPolicy => {
                of(Class::ContentPolicyViolation, self.content_policy_violation).or(bad_request)
            }
            FailureKind::Authentication => of(Class::Authentication, self.authentication),
            FailureKind::NotFound => of(Class::NotFound, self.not_found),
            FailureKind::RateLimit => of(Class::RateLimit, self.rate_limit),
            FailureKind::Timeout => of(Class::Timeout, self.timeout),
            FailureKind::Server => of(Class::InternalServer, self.internal_server),
            FailureKind::BadGateway => of(Class::BadGateway, self.bad_gateway),
            FailureKind::Unavailable => of(Class::ServiceUnavailable, self.service_unavailable),
            FailureKind::Permission
            | FailureKind::Connection
            | FailureKind::NotExpressible
            | FailureKind::Quality => None,
        }
    }
}
