//! The table of providers' errors: what each class is to the caller.
//!
//! Owns statuses, types and opening words, which are LiteLLM's. Leaves bodies and headers to `error`.
//! **Invariant:** every class has a row.

use http::StatusCode;
use tollgate_dialect::failure::{FailureClass, ProviderError};

/// The caller's status, type and opening words for a provider's error.
pub(super) fn of_provider(error: &ProviderError) -> (StatusCode, &'static str, &'static str) {
    const BAD: &str = "invalid_request_error";
    const INTERNAL: &str = "internal_server_error";
    const UNAVAILABLE: (StatusCode, &str, &str) = (
        StatusCode::SERVICE_UNAVAILABLE,
        INTERNAL,
        "litellm.ServiceUnavailableError: ServiceUnavailableError: ",
    );
    match error.class {
        FailureClass::BadRequest => match StatusCode::from_u16(error.status) {
            Ok(status) if status.is_client_error() => (status, BAD, "litellm.BadRequestError: "),
            _ => (StatusCode::BAD_REQUEST, BAD, "litellm.BadRequestError: "),
        },
        FailureClass::ContextWindow => (
            StatusCode::BAD_REQUEST,
            BAD,
            "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: ",
        ),
        FailureClass::ContentPolicy => (
            StatusCode::BAD_REQUEST,
            BAD,
            "litellm.BadRequestError: litellm.ContentPolicyViolationError: ContentPolicyViolationError: ",
        ),
        FailureClass::Authentication => (
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "litellm.AuthenticationError: AuthenticationError: ",
        ),
        FailureClass::Permission => {
            (StatusCode::FORBIDDEN, "permission_error", "litellm.APIError: APIError: ")
        }
        FailureClass::NotFound => (StatusCode::NOT_FOUND, BAD, "litellm.NotFoundError: "),
        FailureClass::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, BAD, "litellm.BadRequestError: "),
        FailureClass::RateLimit => {
            (StatusCode::TOO_MANY_REQUESTS, "throttling_error", "litellm.RateLimitError: RateLimitError: ")
        }
        FailureClass::Timeout => (StatusCode::REQUEST_TIMEOUT, BAD, "litellm.Timeout: Timeout Error: "),
        // Anthropic has one type for all its faults, a 503 among them; the status tells it apart.
        FailureClass::Server if error.status == 503 => UNAVAILABLE,
        FailureClass::Overloaded => UNAVAILABLE,
        FailureClass::Server if error.status == 502 => {
            (StatusCode::BAD_GATEWAY, INTERNAL, "litellm.BadGatewayError: BadGatewayError: ")
        }
        FailureClass::Server => (
            StatusCode::INTERNAL_SERVER_ERROR,
            INTERNAL,
            "litellm.InternalServerError: InternalServerError: ",
        ),
    }
}
