//! Refusals of those who keep accounts: rights, limits, budgets, the ledger.

use super::{Param, Rejection};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::Value;
use std::time::Duration;
use tollgate_identity::grant::Denied;

/// LiteLLM's word for what a limit counts.
const RATE_LIMIT_TYPE: HeaderName = HeaderName::from_static("rate_limit_type");
/// When there is room again.
const RESET_AT: HeaderName = HeaderName::from_static("reset_at");

impl Rejection {
    /// Somebody may not do what is asked, in LiteLLM's words.
    pub(crate) fn denied(denied: &Denied) -> Self {
        let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::FORBIDDEN);
        Self::new(status, denied.error_type(), denied.to_string()).at(denied.param())
    }

    /// A cache control that the caller's key does not have.
    pub(crate) fn cache_control_denied(name: &str) -> Self {
        let message =
            format!("Not allowed to set {name} as a cache control. Contact admin to change permissions.");
        Self::new(StatusCode::FORBIDDEN, "permission_error", message).at("cache")
    }

    /// A wrong key from where too many of them came of late. It says as little of the key as a refusal of it does.
    pub(crate) fn too_many_wrong_keys(wait: Duration) -> Self {
        let message = "Authentication Error, Invalid proxy server token passed. Too many wrong keys came from this address \
                       of late. A good key is served all the same.";
        let mut rejection = Self::new(StatusCode::TOO_MANY_REQUESTS, "auth_error", message);
        rejection.retry_after = Some(wait);
        rejection
    }

    /// Whether it is the caller who may not, and not the gateway that cannot.
    pub(crate) fn is_of_caller(&self) -> bool {
        matches!(self.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    /// An end user who is blocked, in the words and with the status of LiteLLM.
    pub(crate) fn end_user_blocked(id: &str) -> Self {
        let message = format!("User blocked from making LLM API Calls. User={id}");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A page of another site asks where nobody is asked for a key.
    pub(crate) fn strange_origin() -> Self {
        let message = "Pages of other sites may not use the admin API of a gateway without a master key. Set \
                       general_settings.master_key, and let the page send it.";
        Self::new(StatusCode::FORBIDDEN, "permission_error", message).at("origin")
    }

    /// What every request must have is not there, in LiteLLM's words.
    pub(crate) fn lacks_param(name: &str) -> Self {
        let named = match name.split_once('.') {
            Some((first, rest)) => format!("[{first}][{}]", rest.replace('.', "][")),
            None => name.to_owned(),
        };
        let message = format!(
            "Authentication Error, BadRequest please pass param={named} in request body. This is a required param"
        );
        Self::new(StatusCode::UNAUTHORIZED, "auth_error", message)
    }

    /// `user` is not there although every request must have it, in LiteLLM's words.
    pub(crate) fn lacks_user() -> Self {
        let message = "Authentication Error, 'user' param not passed in. 'enforce_user_param'=True";
        Self::new(StatusCode::UNAUTHORIZED, "auth_error", message)
    }

    /// A request names tags although its key alone may, in LiteLLM's words.
    pub(crate) fn tags_of_caller() -> Self {
        let message = "Client-side 'metadata.tags' not allowed in request. 'reject_clientside_metadata_tags'=True. \
                       Tags can only be set via API key metadata.";
        Self::new(StatusCode::BAD_REQUEST, "bad_request_error", message).at("metadata.tags")
    }

    /// The same of what requests of service accounts must have.
    pub(crate) fn service_lacks_param(name: &str) -> Self {
        let message = format!(
            "BadRequest please pass param={name} in request body. This is a required param for service account"
        );
        Self::new(StatusCode::BAD_REQUEST, "bad_request_error", message).at(name)
    }

    /// An admin request that is not served.
    pub(crate) fn admin(status: StatusCode, kind: &'static str, message: String, param: &str) -> Self {
        Self::new(status, kind, message).at(param)
    }

    /// The same, about no member of it.
    pub(crate) fn told(status: StatusCode, kind: &'static str, message: String) -> Self {
        Self::new(status, kind, message)
    }

    /// The provider's own id of the request, where it told one.
    pub(crate) fn provider_request_id(&self) -> Option<&str> {
        let headers = self.headers.as_ref()?;
        headers.get(super::REQUEST_ID)?.to_str().ok()
    }

    /// What LiteLLM's framework says of a request that LiteLLM itself does not see.
    pub(crate) fn detailed(status: StatusCode, message: String, detail: Value) -> Self {
        Self { param: Param::Instead(Box::new(detail)), ..Self::new(status, "bad_request_error", message) }
    }

    /// A budget is spent, or does not leave what the request can cost; `status` is LiteLLM's `budget_exceeded_status_code`.
    pub(crate) fn budget_exceeded(status: u16, message: String, retry_after: Option<Duration>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        let mut rejection = Self::new(status, "budget_exceeded", message);
        rejection.retry_after = retry_after;
        rejection.is_of_limits = true;
        rejection
    }

    /// A limit of the caller's is reached; `kind` is LiteLLM's word for what it counts. With when there is room again.
    pub(crate) fn limit_reached(
        message: String,
        kind: &'static str,
        room: Option<(Duration, Option<String>)>,
    ) -> Self {
        let mut rejection = Self::new(StatusCode::TOO_MANY_REQUESTS, "throttling_error", message);
        rejection.is_of_limits = true;
        rejection.headers_mut().insert(RATE_LIMIT_TYPE, HeaderValue::from_static(kind));
        if let Some((wait, resets)) = room {
            rejection.retry_after = Some(wait);
            if let Some(at) = resets.and_then(|at| HeaderValue::try_from(at).ok()) {
                rejection.headers_mut().insert(RESET_AT, at);
            }
        }
        rejection
    }

    /// A model has no price, and the operator does not let such ones be asked.
    pub(crate) fn unpriced(model: &str) -> Self {
        let message = format!(
            "Model '{model}' has no price: requests for models without pricing are blocked. Give it one in its \
             litellm_params or model_info."
        );
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message).at("model")
    }

    /// A request that begins work which is billed when it ends, where what has no price is blocked.
    pub(crate) fn billed_later() -> Self {
        let message = "What a batch or a tuning job costs is not known before it ends: requests without pricing are \
                       blocked.";
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A budget does not leave the request's maximum, and it cannot be lowered.
    pub(crate) fn not_lowered(path: &str, most: u64) -> Self {
        let reason =
            format!("the budget leaves {most} tokens for the answer, and the request has no room for that");
        Self::invalid(path, "max_tokens", &reason)
    }

    /// The ledger cannot be written, and nothing is sent that could not be accounted for.
    pub(crate) fn ledger_unavailable() -> Self {
        let message =
            "The ledger is not available: requests under a budget are not sent until it can be written.";
        let mut rejection = Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", message);
        rejection.retry_after = Some(Duration::from_secs(5));
        rejection
    }

    /// The database of keys is away, so that nobody can say whether a key is good.
    pub(crate) fn keys_unavailable() -> Self {
        let message = "Authentication Error, the database of keys is not available. Try again.";
        let mut rejection = Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", message);
        rejection.retry_after = Some(Duration::from_secs(5));
        rejection
    }
}
