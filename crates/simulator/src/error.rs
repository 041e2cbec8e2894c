//! The error replies of each provider.
//!
//! Owns: [`ApiError`] and its shape on each surface. Leaves to others: when an error is due.
//!
//! **Invariant:** the same error has on each surface the status, the body and the headers that the provider documents
//! for it (OpenAI error codes guide; Azure OpenAI reference; Anthropic "Errors"; Google `google.rpc.Status`).

use crate::fault::{Reason, StatusFault};
use crate::surface::Surface;
use crate::wire::{self, Trouble};
use serde_json::{Value, json};

/// An error before it has the shape of a surface.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// OpenAI's `type`, Anthropic's `error.type`, Google's `status`; `None`: the usual one.
    pub(crate) kind: Option<&'static str>,
    /// OpenAI's `param`.
    pub(crate) param: Option<String>,
    /// OpenAI's `code`; the empty one is null, `None` is the usual one for the status.
    pub(crate) code: Option<&'static str>,
    /// The value of `retry-after`.
    pub(crate) retry_after: Option<String>,
    /// Google's `details`, Azure's `innererror`.
    pub(crate) details: Option<Box<Value>>,
    /// The error is Azure's own gateway's (`{"error":{"code":"401","message":...}}`), not the model's.
    pub(crate) of_gateway: bool,
}

impl ApiError {
    /// An error of this status with this message.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> ApiError {
        ApiError { status, message: message.into(), ..ApiError::default() }
    }

    /// A 400 with this message.
    pub(crate) fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(400, message)
    }

    /// Sets `param`.
    pub(crate) fn param(mut self, param: impl Into<String>) -> ApiError {
        self.param = Some(param.into());
        self
    }

    /// Sets `code`.
    pub(crate) fn code(mut self, code: &'static str) -> ApiError {
        self.code = Some(code);
        self
    }

    /// Sets the kind.
    pub(crate) fn kind(mut self, kind: &'static str) -> ApiError {
        self.kind = Some(kind);
        self
    }

    /// Makes it an error of Azure's gateway.
    pub(crate) fn of_gateway(mut self) -> ApiError {
        self.of_gateway = true;
        self
    }

    /// The body as the surface writes it.
    pub(crate) fn body(&self, surface: Surface, request_id: &str) -> Value {
        match surface {
            Surface::OpenAi => self.openai_body(),
            Surface::Azure => self.azure_body(),
            Surface::Anthropic => json!({
                "type": "error",
                "error": {"type": self.kind.unwrap_or(anthropic_kind(self.status)), "message": self.message},
                "request_id": request_id,
            }),
            Surface::Gemini => self.google_body(),
            Surface::Entra => json!({
                "error": self.kind.unwrap_or("invalid_request"),
                "error_description": self.message,
                "error_codes": self.details.as_deref(),
                "correlation_id": request_id,
            }),
            other => wire::of(other).map_or(Value::Null, |wire| wire.error_body(self, request_id)),
        }
    }

    fn openai_body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind.unwrap_or(openai_kind(self.status)),
            "param": self.param,
            "code": self.code.or(openai_code(self.status)).filter(|code| !code.is_empty()),
        }})
    }

    fn azure_body(&self) -> Value {
        if self.of_gateway {
            let code = self.code.map_or_else(|| self.status.to_string(), str::to_owned);
            return json!({"error": {"code": code, "message": self.message}});
        }
        let mut body = self.openai_body();
        if let (Some(details), Some(error)) =
            (&self.details, body.get_mut("error").and_then(Value::as_object_mut))
        {
            error.insert("status".to_owned(), json!(self.status));
            error.insert("innererror".to_owned(), Value::clone(details));
        }
        body
    }

    pub(crate) fn google_body(&self) -> Value {
        let mut error = json!({
            "code": self.status,
            "message": self.message,
            "status": self.kind.unwrap_or(google_status(self.status)),
        });
        let retry = self.retry_after.as_ref().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let retry = retry.map(|seconds| {
            json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")}])
        });
        if let (Some(details), Some(error)) =
            (self.details.as_deref().cloned().or(retry), error.as_object_mut())
        {
            error.insert("details".to_owned(), details);
        }
        json!({ "error": error })
    }
}

fn openai_kind(status: u16) -> &'static str {
    match status {
        429 => "requests",
        503 => "service_unavailable_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn openai_code(status: u16) -> Option<&'static str> {
    match status {
        401 => Some("invalid_api_key"),
        404 => Some("model_not_found"),
        429 => Some("rate_limit_exceeded"),
        _ => None,
    }
}

fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// What an error fault needs to know of the request that it hits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Victim<'a> {
    pub(crate) surface: Surface,
    pub(crate) model: &'a str,
    pub(crate) prompt_tokens: u64,
    pub(crate) credential: Option<&'a str>,
}

/// The error reply that a fault asks for.
pub(crate) fn of_fault(fault: &StatusFault, victim: Victim<'_>) -> ApiError {
    let mut error = match (fault.reason, wire::of(victim.surface)) {
        (reason, Some(wire)) => wire.error(trouble(reason, fault.code, victim)),
        (Reason::Usual, None) => usual(fault.code, victim),
        (Reason::ContextWindow, None) => context_window(victim, least_window(victim)),
        (Reason::ContentPolicy, None) => content_policy(victim.surface),
        (Reason::Quota, None) => quota(victim.surface),
    };
    if let Some(message) = &fault.message {
        error.message = message.replace("{key}", victim.credential.unwrap_or_default());
    }
    error.retry_after.clone_from(&fault.retry_after);
    error
}

/// The largest window that the prompt does not fit.
fn least_window(victim: Victim<'_>) -> u64 {
    victim.prompt_tokens.saturating_sub(1).max(1)
}

/// A fault as a wire is told of it.
fn trouble<'a>(reason: Reason, code: u16, victim: Victim<'a>) -> Trouble<'a> {
    match reason {
        Reason::Usual => Trouble::Status { code, model: victim.model },
        Reason::ContextWindow => {
            Trouble::ContextWindow { tokens: victim.prompt_tokens, window: least_window(victim) }
        }
        Reason::ContentPolicy => Trouble::ContentPolicy,
        Reason::Quota => Trouble::Quota,
    }
}

fn usual(status: u16, victim: Victim<'_>) -> ApiError {
    let Victim { surface, model, .. } = victim;
    let error = ApiError::new(status, usual_message(status, surface, model));
    let of_gateway = surface == Surface::Azure && matches!(status, 401 | 403 | 404 | 408 | 429 | 500..);
    let error = if of_gateway { error.of_gateway() } else { error };
    if of_gateway && status == 404 { error.code("DeploymentNotFound") } else { error }
}

fn usual_message(status: u16, surface: Surface, model: &str) -> String {
    let text = match (status, surface) {
        (401, Surface::Azure) => INVALID_SUBSCRIPTION,
        (401, Surface::Anthropic) => "invalid x-api-key",
        (401, _) => "Incorrect API key provided. You can find your API key at the provider's console.",
        (403, Surface::Anthropic) => "Your API key does not have permission to use the specified resource.",
        (403, _) => "You are not allowed to use this resource.",
        (404, Surface::Anthropic) => return format!("model: {model}"),
        (404, Surface::Gemini) => {
            return format!(
                "models/{model} is not found for API version v1beta, or is not supported for generateContent."
            );
        }
        (404, Surface::Azure) => DEPLOYMENT_NOT_FOUND,
        (404, _) => return format!("The model `{model}` does not exist or you do not have access to it."),
        (408 | 504, _) => "The request timed out.",
        (413, _) => "Request exceeds the maximum allowed number of bytes.",
        (429, Surface::OpenAi) => {
            return format!("Rate limit reached for {model} on requests per min (RPM).");
        }
        (429, Surface::Azure) => "Requests have exceeded the call rate limit of your current pricing tier.",
        (429, Surface::Anthropic) => "This request would exceed your organization's rate limit.",
        (429, _) => "Resource has been exhausted (e.g. check quota).",
        (503, Surface::Gemini) => "The model is overloaded. Please try again later.",
        (503 | 529, Surface::Anthropic) => "Overloaded",
        (503, _) => "The engine is currently overloaded, please try again later.",
        (500, Surface::Anthropic) => "Internal server error",
        (500, Surface::Gemini) => "An internal error has occurred. Please retry.",
        (500.., _) => "The server had an error while processing your request. Sorry about that!",
        _ => "The request was refused.",
    };
    text.to_owned()
}

/// Azure's sentence for a missing or wrong key.
pub(crate) const INVALID_SUBSCRIPTION: &str = "Access denied due to invalid subscription key or wrong API endpoint. \
     Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your \
     resource.";

/// Azure's sentence for an unknown deployment.
const DEPLOYMENT_NOT_FOUND: &str = "The API deployment for this resource does not exist. If you created the \
     deployment within the last 5 minutes, please wait a moment and try again.";

/// The refusal of a prompt that does not fit a window of so many tokens.
pub(crate) fn context_window(victim: Victim<'_>, window: u64) -> ApiError {
    let asked = victim.prompt_tokens;
    if let Some(wire) = wire::of(victim.surface) {
        return wire.error(Trouble::ContextWindow { tokens: asked, window });
    }
    match victim.surface {
        Surface::Anthropic => {
            ApiError::bad_request(format!("prompt is too long: {asked} tokens > {window} maximum"))
        }
        Surface::Gemini => ApiError::bad_request(format!(
            "The input token count ({asked}) exceeds the maximum number of tokens allowed ({window})."
        )),
        _ => ApiError::bad_request(format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in {asked} \
             tokens. Please reduce the length of the messages."
        ))
        .param("messages")
        .code("context_length_exceeded"),
    }
}

fn content_policy(surface: Surface) -> ApiError {
    match surface {
        Surface::Azure => {
            let mut error = ApiError::bad_request(
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. \
                 Please modify your prompt and retry.",
            )
            .param("prompt")
            .code("content_filter");
            error.details = Some(Box::new(json!({
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {
                    "hate": {"filtered": false, "severity": "safe"},
                    "self_harm": {"filtered": false, "severity": "safe"},
                    "sexual": {"filtered": false, "severity": "safe"},
                    "violence": {"filtered": true, "severity": "medium"},
                },
            })));
            error
        }
        Surface::Anthropic => ApiError::bad_request("Output blocked by content filtering policy"),
        Surface::Gemini => {
            ApiError::bad_request("The request was blocked by the provider's safety settings.")
        }
        _ => ApiError::bad_request(
            "Your request was rejected as a result of our safety system. It violates our content policy.",
        )
        .code("content_policy_violation"),
    }
}

fn quota(surface: Surface) -> ApiError {
    match surface {
        Surface::Anthropic => ApiError::bad_request(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or \
             purchase credits.",
        ),
        Surface::OpenAi => {
            ApiError::new(429, "You exceeded your current quota, please check your plan and billing details.")
                .kind("insufficient_quota")
                .code("insufficient_quota")
        }
        Surface::Azure => ApiError::new(429, "You exceeded the quota of this resource.").of_gateway(),
        _ => {
            ApiError::new(429, "You exceeded your current quota, please check your plan and billing details.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim(surface: Surface) -> Victim<'static> {
        Victim { surface, model: "m", prompt_tokens: 9000, credential: Some("sk-secret") }
    }

    fn check(surface: Surface, fault: &StatusFault, pointers: &[(&str, Value)]) {
        let body = of_fault(fault, victim(surface)).body(surface, "req_1");
        for (pointer, expect) in pointers {
            assert_eq!(body.pointer(pointer), Some(expect), "{surface:?} {pointer} in {body}");
        }
    }

    fn status(code: u16) -> StatusFault {
        StatusFault { code, ..StatusFault::default() }
    }

    #[test]
    fn an_error_has_the_shape_of_its_surface() {
        check(
            Surface::OpenAi,
            &status(429),
            &[
                ("/error/type", json!("requests")),
                ("/error/code", json!("rate_limit_exceeded")),
                ("/error/param", Value::Null),
            ],
        );
        check(Surface::OpenAi, &status(404), &[("/error/code", json!("model_not_found"))]);
        check(Surface::OpenAi, &status(500), &[("/error/type", json!("server_error"))]);
        check(Surface::Azure, &status(401), &[("/error/code", json!("401"))]);
        check(Surface::Azure, &status(404), &[("/error/code", json!("DeploymentNotFound"))]);
        check(
            Surface::Anthropic,
            &status(529),
            &[
                ("/type", json!("error")),
                ("/error/type", json!("overloaded_error")),
                ("/request_id", json!("req_1")),
            ],
        );
        check(
            Surface::Gemini,
            &status(503),
            &[("/error/code", json!(503)), ("/error/status", json!("UNAVAILABLE"))],
        );
        check(
            Surface::Gemini,
            &StatusFault { retry_after: Some("5".to_owned()), ..status(429) },
            &[("/error/status", json!("RESOURCE_EXHAUSTED")), ("/error/details/0/retryDelay", json!("5s"))],
        );
    }

    #[test]
    fn a_refusal_of_each_kind_has_the_providers_code() {
        let reason = |reason| StatusFault { code: 400, reason, ..StatusFault::default() };
        check(
            Surface::OpenAi,
            &reason(Reason::ContextWindow),
            &[("/error/code", json!("context_length_exceeded"))],
        );
        check(
            Surface::Anthropic,
            &reason(Reason::ContextWindow),
            &[("/error/message", json!("prompt is too long: 9000 tokens > 8999 maximum"))],
        );
        check(
            Surface::Azure,
            &reason(Reason::ContentPolicy),
            &[
                ("/error/code", json!("content_filter")),
                ("/error/innererror/code", json!("ResponsibleAIPolicyViolation")),
            ],
        );
        check(Surface::OpenAi, &reason(Reason::Quota), &[("/error/code", json!("insufficient_quota"))]);
    }

    #[test]
    fn a_message_may_echo_the_credential() {
        let fault = StatusFault { message: Some("bad key {key}".to_owned()), ..status(401) };
        check(Surface::OpenAi, &fault, &[("/error/message", json!("bad key sk-secret"))]);
    }
}
