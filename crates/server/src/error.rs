//! Every refusal and failure as the caller sees it: status, body, headers, in one table.
//!
//! Statuses, types, codes and the opening words of the messages are LiteLLM's, since clients read them. **Invariant:** no
//! message has an upstream body, host, address or key in it; a provider's own sentence passes through with the
//! deployment's credential struck out.

mod accounts;
mod rows;
mod tokens;

use crate::pipeline::caller::encode_error;
use crate::reply::{GatewayBody, header_number};
use crate::routing::Group;
use crate::surface::Surface;
use http::header::{
    ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tollgate_dialect::failure::{FailureClass, ProviderError};
use tollgate_dialect::wire::{CallerError, Dialect};
use tollgate_policy::choice::{Nobody, Reason};
use tollgate_policy::clock::Moment;
use tollgate_policy::failure::FailureKind;
use tollgate_policy::limits::{Full, LimitKind};

/// Where a failure has the provider's own id for the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// LiteLLM's type for a key that nobody was given.
const UNKNOWN_KEY: &str = "token_not_found_in_db";

/// OpenAI's `param`, as LiteLLM fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Param {
    Null,
    Text(String),
    /// What the body says in place of an error, where LiteLLM's framework answers and not LiteLLM.
    Instead(Box<Value>),
}

/// A refusal or failure on its way to the caller.
#[derive(Debug, Clone)]
pub(crate) struct Rejection {
    status: StatusCode,
    kind: &'static str,
    param: Param,
    code: String,
    message: String,
    repeats_message: bool,
    /// A limit or a budget of the caller's stands in the way; providers' limits have the same type.
    is_of_limits: bool,
    retry_after: Option<Duration>,
    /// Whose shape the body has.
    dialect: Dialect,
    /// Boxed, so that a result that may be a rejection stays small.
    headers: Option<Box<HeaderMap>>,
}

impl Rejection {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            param: Param::Null,
            code: status.as_u16().to_string(),
            message: message.into(),
            repeats_message: false,
            is_of_limits: false,
            retry_after: None,
            dialect: Dialect::OpenAi,
            headers: None,
        }
    }

    fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Param::Text(param.into());
        self
    }

    /// What is wrong with the request, and where.
    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// No key where one is asked for.
    pub(crate) fn no_key() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "auth_error", "Authentication Error, No api key passed in.")
            .at("None")
    }

    /// A key that cannot be one of ours.
    pub(crate) fn not_a_virtual_key() -> Self {
        let message = "LiteLLM Virtual Key expected. Received=****, expected to start with 'sk-'.";
        Self::new(StatusCode::UNAUTHORIZED, "auth_error", message).at("None")
    }

    /// A key that nobody was given. `hash` is the SHA-256 of it in hex, by which an operator finds it in a log.
    pub(crate) fn unknown_key(hash: &str) -> Self {
        let message = format!(
            "Authentication Error, Invalid proxy server token passed. Received API Key = sk-..., Key Hash (Token) ={hash}. \
             Unable to find token in cache or `LiteLLM_VerificationTokenTable`"
        );
        Self::new(StatusCode::UNAUTHORIZED, UNKNOWN_KEY, message).at("key")
    }

    /// It is that of a key that nobody was given.
    pub(crate) fn is_unknown_key(&self) -> bool {
        self.kind == UNKNOWN_KEY
    }

    /// Nothing at this path.
    pub(crate) fn no_route(method: &Method, path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            format!("Not Found: there is no route {method} {path}"),
        )
    }

    /// Another method is served at this path.
    pub(crate) fn wrong_method(allowed: &[Method]) -> Self {
        let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let names = names.join(", ");
        let message = format!("Method Not Allowed: this route takes {names}");
        let mut rejection = Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", message);
        if let Ok(value) = HeaderValue::from_str(&names) {
            rejection.headers_mut().insert(ALLOW, value);
        }
        rejection
    }

    /// LiteLLM has this route, this gateway does not have it yet.
    pub(crate) fn not_implemented(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let message = format!(
            "Not Implemented: {path} is a LiteLLM route that this version of Tollgate does not have."
        );
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented_error", message)
    }

    /// A request for a session that is no WebSocket handshake.
    pub(crate) fn not_a_websocket() -> Self {
        let message = "This endpoint only accepts WebSocket connections.";
        let mut rejection = Self::new(StatusCode::UPGRADE_REQUIRED, "invalid_request_error", message);
        rejection.code = "websocket_required".to_owned();
        rejection.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        rejection
    }

    /// A handshake of another version of WebSocket (RFC 6455, 4.2.2).
    pub(crate) fn wrong_websocket_version() -> Self {
        let mut rejection = Self::not_a_websocket().at("sec-websocket-version");
        rejection.message = "Only version 13 of WebSocket is spoken.".to_owned();
        rejection.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        rejection
    }

    /// A session that would reach the provider past the gateway; `what` asks for it.
    pub(crate) fn realtime_over_http(what: &str) -> Self {
        let what: String = what.chars().take(200).collect();
        let message = format!(
            "Not Implemented: {what} would open a session that reaches the provider past this gateway, where it is \
             neither limited nor counted. Connect to /v1/realtime by WebSocket with the gateway's key."
        );
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented_error", message)
    }

    /// No session begins any more.
    pub(crate) fn shutting_down() -> Self {
        let message = "The gateway is shutting down and opens no more sessions.";
        let mut rejection = Self::new(StatusCode::SERVICE_UNAVAILABLE, "internal_server_error", message);
        rejection.retry_after = Some(Duration::from_secs(5));
        rejection
    }

    /// The body's type is not JSON.
    pub(crate) fn wrong_content_type() -> Self {
        let message =
            "Unsupported Media Type: send the request body as application/json, without content-encoding.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", message).at("content-type")
    }

    /// The body is larger than allowed.
    pub(crate) fn body_too_large(bytes_max: u64) -> Self {
        let message = format!("Request body is too large: at most {bytes_max} bytes are accepted.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message).at("request_body")
    }

    /// The body did not come to its end in time, or broke off.
    pub(crate) fn body_incomplete() -> Self {
        let message = "The request body did not arrive completely in time.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", message).at("request_body")
    }

    /// The body is no JSON object that is accepted; `reason` names the place.
    pub(crate) fn bad_json(reason: &str) -> Self {
        Self::bad_request(format!("Invalid JSON payload: {reason}")).at("request_body")
    }

    /// The body is no form that is accepted; `reason` names the rule.
    pub(crate) fn bad_form(reason: &str) -> Self {
        Self::bad_request(format!("Invalid form payload: {reason}")).at("request_body")
    }

    /// A parameter that must be there is not.
    pub(crate) fn missing(path: &str, param: &str) -> Self {
        Self::bad_request(format!("{path}: Missing required parameter: '{param}'.")).at(param)
    }

    /// A parameter is wrong.
    pub(crate) fn invalid(path: &str, param: &str, reason: &str) -> Self {
        Self::bad_request(format!("{path}: Invalid value for '{param}': {reason}")).at(param)
    }

    /// A parameter that a caller may not set.
    pub(crate) fn not_allowed(param: &str) -> Self {
        let message = format!(
            "Rejected Request: {param} is not allowed in request body. The operator's configuration decides it."
        );
        Self::bad_request(message).at(param)
    }

    /// No group of this name.
    pub(crate) fn unknown_model(path: &str, model: Option<&str>) -> Self {
        let model: String = model.unwrap_or("None").chars().take(200).collect();
        let mut rejection = Self::bad_request(format!(
            "{path}: Invalid model name passed in model={model}. Call `/v1/models` to view available models for your key."
        ));
        rejection.repeats_message = true;
        rejection
    }

    /// `GET /v1/models/{id}` of a model that is not there.
    pub(crate) fn no_such_model(model: &str) -> Self {
        let model: String = model.chars().take(200).collect();
        let message = format!("The model `{model}` does not exist");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message).at("model")
    }

    /// A deployment that is not there.
    pub(crate) fn no_such_deployment(id: &str) -> Self {
        let id: String = id.chars().take(200).collect();
        let message = format!("There is no deployment with the id `{id}`");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message).at("model_id")
    }

    /// Parameters that the provider's wire cannot express.
    pub(crate) fn unsupported_params(provider: &str, model: &str, params: &[String]) -> Self {
        let list = params.iter().map(|param| format!("'{param}'")).collect::<Vec<_>>().join(", ");
        let message = format!(
            "litellm.UnsupportedParamsError: {provider} does not support parameters: [{list}], for model={model}. To drop \
             these, set `litellm_settings: drop_params: true`."
        );
        Self::bad_request(message).at(params.first().cloned().unwrap_or_default())
    }

    /// The request has something that has no meaning for the provider that was chosen.
    pub(crate) fn not_expressible(exception: &str, param: &str, reason: &str) -> Self {
        Self::bad_request(format!("litellm.BadRequestError: {exception} - {param}: {reason}")).at(param)
    }

    /// An address that the request names, for a provider that takes bytes alone.
    pub(crate) fn media_not_fetched(message: &str) -> Self {
        Self::bad_request(format!("litellm.BadRequestError: {message}"))
    }

    /// A turn that cannot be continued: not there, or not the caller's.
    pub(crate) fn unknown_previous_response(id: &str) -> Self {
        let id: String = id.chars().take(200).collect();
        let message = format!("Previous response with id '{id}' not found.");
        let mut rejection = Self::bad_request(message).at("previous_response_id");
        rejection.code = "previous_response_not_found".to_owned();
        rejection
    }

    /// A response that is not there, or not the caller's.
    pub(crate) fn no_such_response(id: &str) -> Self {
        let id: String = id.chars().take(200).collect();
        let message = format!("Response with id '{id}' not found.");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message).at("id")
    }

    /// A response that does not run any more.
    pub(crate) fn not_cancellable() -> Self {
        Self::bad_request("Cannot cancel a synchronous response.")
    }

    /// The database cannot be used now.
    pub(crate) fn store_unavailable() -> Self {
        let message = "The store of responses is not available. Try again, or send \"store\": false.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "internal_server_error", message)
    }

    /// No account at a provider serves requests that pass through; `hint` says what would.
    pub(crate) fn no_account(provider: &str, hint: &str) -> Self {
        Self::bad_request(format!("Pass-through to {provider} is not set up: {hint}."))
    }

    /// No deployment of a group can be asked. `now` is what times are counted from; `was_shed`: a more urgent request took
    /// the last place to wait.
    pub(crate) fn nobody(group: &Group, nobody: Nobody, (now, was_shed): (Moment, bool)) -> Self {
        let name = group.name();
        let until = nobody.until().map(|until| now.until(until));
        match nobody {
            _ if was_shed => Self::overloaded(name),
            Nobody::Full(Full { by: LimitKind::Parallel, .. }) => Self::overloaded(name),
            Nobody::NotAllowed(reason) => Self::outside_policy(name, reason),
            Nobody::NoTags => Self::new(
                StatusCode::UNAUTHORIZED,
                "auth_error",
                format!("No deployments available for the request's tags. Passed model={name}."),
            ),
            Nobody::ContextWindow => Self::bad_request(format!(
                "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: The prompt is \
                 longer than the context window of every deployment of {name}."
            ))
            .with_code("context_length_exceeded"),
            Nobody::ForcedDown => Self::unavailable(name, group.word_ends_in()),
            Nobody::Empty
            | Nobody::Ejected { .. }
            | Nobody::Paused { .. }
            | Nobody::Failed
            | Nobody::Full(_) => Self::none_available(group, until),
        }
    }

    /// Nobody has what a request requires, or may have it by its data policy; `model` is what it asks for.
    pub(crate) fn outside_policy(model: &str, reason: Reason) -> Self {
        let what = match reason {
            Reason::Capability(_) => "have the capabilities that the request asks for",
            Reason::Quality => "have the quality that the request asks for",
            _ => "meet the request's data policy",
        };
        let message = format!(
            "No deployments available for selected model that {what} ({}). Passed model={model}.",
            reason.word()
        );
        Self::new(StatusCode::FORBIDDEN, "permission_error", message)
    }

    /// LiteLLM's words where every deployment is out or full.
    fn none_available(group: &Group, until: Option<Duration>) -> Self {
        let retry_after = until.unwrap_or(Duration::from_secs(5)).max(Duration::from_secs(1));
        let message = format!(
            "No deployments available for selected model, Try again in {} seconds. Passed model={}. \
             pre-call-checks={}, cooldown_list=[]",
            ceil_seconds(retry_after),
            group.name(),
            if group.rules().choice.checks_context_window { "True" } else { "False" },
        );
        let mut rejection = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        rejection.retry_after = Some(retry_after);
        rejection
    }

    /// An operator has taken every deployment out.
    fn unavailable(model: &str, until: Option<Duration>) -> Self {
        let message =
            format!("No deployments available for selected model: all are taken out. Passed model={model}.");
        Self::later(message, until.unwrap_or(Duration::from_secs(30)).max(Duration::from_secs(1)))
    }

    /// As many requests are served as may be, and the most urgent wait already.
    pub(crate) fn not_admitted() -> Self {
        let message = "Overloaded: no place to serve the request came free in time.";
        Self::later(message, Duration::from_secs(1))
    }

    /// Memory is short, and the request is not critical.
    pub(crate) fn shed() -> Self {
        Self::later("Overloaded: memory is short. Only critical requests are served.", Duration::from_secs(5))
    }

    /// There is no room for the request, nor to wait for some.
    fn overloaded(model: &str) -> Self {
        let message = format!("Overloaded: no place came free in time for model={model}.");
        Self::later(message, Duration::from_secs(1))
    }

    /// A 503 that may be over after a time.
    fn later(message: impl Into<String>, retry_after: Duration) -> Self {
        let rejection = Self::new(StatusCode::SERVICE_UNAVAILABLE, "internal_server_error", message);
        rejection.with_retry_after(Some(retry_after))
    }

    /// A failure that the caller asked to see (`mock_testing_*`).
    pub(crate) fn mocked(kind: FailureKind, model: &str) -> Self {
        let (status, opening) = match kind {
            FailureKind::ContextWindow => (
                StatusCode::BAD_REQUEST,
                "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError",
            ),
            FailureKind::ContentPolicy => (
                StatusCode::BAD_REQUEST,
                "litellm.BadRequestError: litellm.ContentPolicyViolationError: ContentPolicyViolationError",
            ),
            FailureKind::RateLimit => {
                (StatusCode::TOO_MANY_REQUESTS, "litellm.RateLimitError: RateLimitError")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "litellm.InternalServerError: InternalServerError"),
        };
        let kind = match status {
            StatusCode::BAD_REQUEST => "invalid_request_error",
            StatusCode::TOO_MANY_REQUESTS => "throttling_error",
            _ => "internal_server_error",
        };
        let message =
            format!("{opening}: This is a mock exception for model={model}, to trigger a fallback.");
        Self::new(status, kind, message)
    }

    fn with_code(mut self, code: &str) -> Self {
        self.code = code.to_owned();
        self
    }

    /// A defect of the gateway itself; the request's id leads to the log.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_server_error",
            "Internal error of the gateway.",
        )
    }

    /// An error that a provider reported.
    pub(crate) fn from_provider(exception: &str, error: &ProviderError, secret: Option<&str>) -> Self {
        let sentence = strike_out(&error.message, secret);
        let (status, kind, opening) = rows::of_provider(error);
        let mut rejection = Self::new(status, kind, format!("{opening}{exception} - {sentence}"));
        if let Some(param) = &error.param {
            rejection.param = Param::Text(strike_out(param, secret));
        }
        // A client tells these two apart by the provider's code; for the others it reads the status.
        if let (FailureClass::ContextWindow | FailureClass::ContentPolicy, Some(code)) =
            (error.class, &error.code)
        {
            rejection.code = strike_out(code, secret);
        }
        rejection
    }

    /// The provider's time ran out.
    pub(crate) fn timed_out(limit: Duration, taken: Duration) -> Self {
        let message = format!(
            "litellm.Timeout: APITimeoutError - Request timed out. Error_str: Request timed out. - timeout value={:?}, time \
             taken={:.1} seconds",
            limit.as_secs_f64(),
            taken.as_secs_f64()
        );
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", message)
    }

    /// No connection to the provider, or it broke.
    pub(crate) fn connection_error(exception: &str) -> Self {
        let message =
            format!("litellm.InternalServerError: InternalServerError: {exception} - Connection error.");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", message)
    }

    /// The provider answered something that is not an answer. `rule` says which rule it breaks.
    pub(crate) fn bad_gateway(exception: &str, rule: &str) -> Self {
        let message = format!(
            "litellm.BadGatewayError: BadGatewayError: {exception} - The provider's reply could not be used: {rule}."
        );
        Self::new(StatusCode::BAD_GATEWAY, "internal_server_error", message)
    }

    /// Where nothing is said of when to come back. "At once" says nothing: the deployment is paused all the same.
    pub(crate) fn or_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after =
            self.retry_after.filter(|said| !said.is_zero()).or(retry_after).or(self.retry_after);
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after.filter(|said| !said.is_zero()).or(self.retry_after).or(retry_after);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// LiteLLM's type of it.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether a limit or a budget of the caller's stands in the way.
    pub(crate) fn is_of_limits(&self) -> bool {
        self.is_of_limits
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers.get_or_insert_default()
    }

    /// In the shape that callers of a surface know; OpenAI's where there is none.
    pub(crate) fn spoken_on(mut self, surface: Option<Surface>) -> Self {
        self.dialect = surface.map_or(Dialect::OpenAi, Surface::dialect);
        self
    }

    /// The body in the caller's shape. Dialects whose errors name the request name it by the provider's id, else by the
    /// call's.
    fn body(&self, call_id: Option<&HeaderValue>) -> Vec<u8> {
        let providers = self.headers.as_ref().and_then(|headers| headers.get(REQUEST_ID));
        let error = CallerError {
            status: self.status.as_u16(),
            kind: Some(self.kind),
            message: &self.message,
            param: match &self.param {
                Param::Null | Param::Instead(_) => None,
                Param::Text(text) => Some(text),
            },
            code: Some(&self.code),
            request_id: providers.or(call_id).and_then(|id| id.to_str().ok()),
        };
        encode_error(self.dialect, &error).unwrap_or_else(|| self.openai_body().into_bytes())
    }

    /// The body in OpenAI's shape, as LiteLLM fills it.
    fn openai_body(&self) -> String {
        let param = match &self.param {
            Param::Null => Value::Null,
            Param::Text(text) => Value::String(text.clone()),
            Param::Instead(detail) => return json!({ "detail": detail }).to_string(),
        };
        let mut error = Map::new();
        error.insert("message".to_owned(), json!(self.message));
        error.insert("type".to_owned(), json!(self.kind));
        error.insert("param".to_owned(), param);
        error.insert("code".to_owned(), json!(self.code));
        if self.repeats_message {
            error.insert("provider_specific_fields".to_owned(), json!({"error": self.message}));
        }
        json!({ "error": error }).to_string()
    }

    /// The reply, without the headers that every reply has.
    pub(crate) fn into_response(self) -> Response<GatewayBody> {
        self.into_response_to(None)
    }

    /// The same for a call that has an id.
    pub(crate) fn into_response_to(self, call_id: Option<&HeaderValue>) -> Response<GatewayBody> {
        let mut response = Response::new(GatewayBody::whole(self.body(call_id)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(own) = self.headers {
            headers.extend(*own);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.dialect == Dialect::Bedrock {
            // AWS's clients take the exception's class from here.
            let kind = tollgate_dialect::bedrock::error_type(self.status.as_u16());
            headers.insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(kind));
        }
        if let Some(retry_after) = self.retry_after {
            headers.insert(RETRY_AFTER, header_number(ceil_seconds(retry_after).max(1)));
        }
        response
    }
}

/// An error within a Realtime session, as an event of OpenAI's (`RealtimeErrorEvent`): type and code, message, the
/// caller's event that is at fault.
pub(crate) fn realtime_error((kind, code): (&str, &str), message: &str, event_id: Option<&str>) -> String {
    let id = format!("event_{:032x}", crate::chance::bits());
    let error = json!({"type": kind, "code": code, "message": message, "param": null, "event_id": event_id});
    json!({"type": "error", "event_id": id, "error": error}).to_string()
}

/// A provider's own words without the credential, which some repeat in their errors.
pub(crate) fn strike_out(words: &str, secret: Option<&str>) -> String {
    match secret {
        Some(secret) => words.replace(secret, "****"),
        None => words.to_owned(),
    }
}

/// Whole seconds, never too few.
fn ceil_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// LiteLLM's header for the time limit that an error met.
pub(crate) const X_LITELLM_TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-timeout");
