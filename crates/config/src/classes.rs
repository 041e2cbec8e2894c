//! LiteLLM's policies by class of error: retries, and failures that are allowed.
//!
//! Owns: the resolved numbers, and what is said of those without effect. Leaves to others: telling the class of an error
//! (dialect), retrying and counting (policy).
//!
//! **Invariant:** a class without a number is `None`, so that the general setting can take its place.

use crate::keys::router::{ALLOWED_FAILS_POLICY, RETRY_POLICY};
use crate::report::Collector;
use crate::section::Section;
use crate::yaml::Node;

/// How often each kind of error is retried; `None` where `num_retries` decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are LiteLLM's without their ending")]
pub struct RetryPolicy {
    pub bad_request: Option<u32>,
    pub authentication: Option<u32>,
    pub timeout: Option<u32>,
    pub rate_limit: Option<u32>,
    pub content_policy_violation: Option<u32>,
    pub internal_server: Option<u32>,
    pub service_unavailable: Option<u32>,
    pub not_found: Option<u32>,
    pub default: Option<u32>,
}

/// How many errors of each kind a deployment may make before it is cooled down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are LiteLLM's without their ending")]
pub struct AllowedFailsPolicy {
    pub bad_request: Option<u32>,
    pub authentication: Option<u32>,
    pub timeout: Option<u32>,
    pub rate_limit: Option<u32>,
    pub content_policy_violation: Option<u32>,
    pub internal_server: Option<u32>,
    pub service_unavailable: Option<u32>,
    pub bad_gateway: Option<u32>,
    pub not_found: Option<u32>,
}

impl RetryPolicy {
    /// Reads a checked map.
    pub(crate) fn read(node: &Node) -> Self {
        let section = Section::new(Some(node), RETRY_POLICY, "");
        Self {
            bad_request: section.count32("BadRequestErrorRetries"),
            authentication: section.count32("AuthenticationErrorRetries"),
            timeout: section.count32("TimeoutErrorRetries"),
            rate_limit: section.count32("RateLimitErrorRetries"),
            content_policy_violation: section.count32("ContentPolicyViolationErrorRetries"),
            internal_server: section.count32("InternalServerErrorRetries"),
            service_unavailable: section.count32("ServiceUnavailableErrorRetries"),
            not_found: section.count32("NotFoundErrorRetries"),
            default: section.count32("DefaultRetries"),
        }
    }

    /// Says which numbers of the policy at `path` have no effect: those of errors that are the caller's own.
    pub(crate) fn note_callers(node: &Node, path: &str, found: &mut Collector) {
        let section = Section::new(Some(node), RETRY_POLICY, path);
        for name in ["BadRequestErrorRetries", "ContentPolicyViolationErrorRetries"] {
            if section.count(name).is_some_and(|retries| retries > 0) {
                let place = section.place(name).unwrap_or(node.place);
                found.warning(
                    place,
                    &section.path_of(name),
                    "has no effect: no retry mends the caller's request",
                );
            }
        }
    }
}

impl AllowedFailsPolicy {
    /// Reads a checked map.
    pub(crate) fn read(node: &Node) -> Self {
        let section = Section::new(Some(node), ALLOWED_FAILS_POLICY, "");
        Self {
            bad_request: section.count32("BadRequestErrorAllowedFails"),
            authentication: section.count32("AuthenticationErrorAllowedFails"),
            timeout: section.count32("TimeoutErrorAllowedFails"),
            rate_limit: section.count32("RateLimitErrorAllowedFails"),
            content_policy_violation: section.count32("ContentPolicyViolationErrorAllowedFails"),
            internal_server: section.count32("InternalServerErrorAllowedFails"),
            service_unavailable: section.count32("ServiceUnavailableErrorAllowedFails"),
            bad_gateway: section.count32("BadGatewayErrorAllowedFails"),
            not_found: section.count32("NotFoundErrorAllowedFails"),
        }
    }
}
