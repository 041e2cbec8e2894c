//! LiteLLM's reply headers.
//!
//! What is the same for every answer of a deployment is made once ([`ReplyHeaders::of_target`] takes it from there); the
//! provider's own headers come again with `llm_provider-` before their names.

use http::header::{
    CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;
use tollgate_catalog::Cost;

/// The version of LiteLLM Proxy whose contract the headers and bodies follow.
const CONTRACT_VERSION: HeaderValue = HeaderValue::from_static("1.106.2");
const OWN_VERSION: HeaderValue = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
const ZERO: HeaderValue = HeaderValue::from_static("0.0");
/// Most provider header names whose prefixed form is remembered per thread.
const NAMES_MAX: usize = 256;

/// A whole number as a header.
pub(crate) fn header_number(number: u64) -> HeaderValue {
    HeaderValue::from(number)
}

/// Text as a header; characters that a header cannot carry (CR, LF, controls) make it empty rather than two lines.
pub(crate) fn header_text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Milliseconds with fractions, as LiteLLM prints them.
fn milliseconds(duration: Duration) -> HeaderValue {
    let micros = duration.as_micros();
    header_text(&format!("{}.{:03}", micros / 1_000, micros % 1_000))
}

macro_rules! names {
    ($($constant:ident = $name:literal;)*) => { $(const $constant: HeaderName = HeaderName::from_static($name);)* };
}

names! {
    CALL_ID = "x-litellm-call-id";
    MODEL_ID = "x-litellm-model-id";
    MODEL_NAME = "x-litellm-model-name";
    MODEL_API_BASE = "x-litellm-model-api-base";
    VERSION = "x-litellm-version";
    TOLLGATE_VERSION = "x-tollgate-version";
    NOT_YET_ACTIVE = "x-tollgate-not-yet-active";
    COST = "x-litellm-response-cost";
    COST_ORIGINAL = "x-litellm-response-cost-original";
    COST_DISCOUNT = "x-litellm-response-cost-discount-amount";
    COST_MARGIN = "x-litellm-response-cost-margin-amount";
    COST_MARGIN_PERCENT = "x-litellm-response-cost-margin-percent";
    COST_INPUT = "x-litellm-response-cost-input";
    COST_OUTPUT = "x-litellm-response-cost-output";
    COST_CACHE_READ = "x-litellm-response-cost-cache-read";
    COST_REASONING = "x-litellm-response-cost-reasoning";
    COST_TOOL_USAGE = "x-litellm-response-cost-tool-usage";
    KEY_SPEND = "x-litellm-key-spend";
    RESPONSE_DURATION = "x-litellm-response-duration-ms";
    OVERHEAD_DURATION = "x-litellm-overhead-duration-ms";
    CALLBACK_DURATION = "x-litellm-callback-duration-ms";
    MODEL_GROUP = "x-litellm-model-group";
    ATTEMPTED_RETRIES = "x-litellm-attempted-retries";
    MAX_RETRIES = "x-litellm-max-retries";
    ATTEMPTED_FALLBACKS = "x-litellm-attempted-fallbacks";
    REQUEST_ID = "request-id";
    X_REQUEST_ID = "x-request-id";
    X_ACCEL_BUFFERING = "x-accel-buffering";
    ALLOW_ORIGIN = "access-control-allow-origin";
}

/// What is the same for every answer of one deployment.
#[derive(Debug, Clone)]
pub(crate) struct TargetHeaders {
    pub(crate) model_id: HeaderValue,
    pub(crate) model_name: HeaderValue,
    pub(crate) api_base: HeaderValue,
    pub(crate) group: HeaderValue,
}

/// The headers of one reply, being filled.
pub(crate) struct ReplyHeaders(HeaderMap);

impl ReplyHeaders {
    /// Begins with what every reply of a model call has.
    pub(crate) fn new(call_id: &HeaderValue) -> Self {
        let mut headers = HeaderMap::with_capacity(64);
        headers.insert(CALL_ID, call_id.clone());
        headers.insert(VERSION, CONTRACT_VERSION);
        headers.insert(TOLLGATE_VERSION, OWN_VERSION);
        Self(headers)
    }

    /// Begins with nothing.
    pub(crate) fn empty() -> Self {
        Self(HeaderMap::new())
    }

    /// Adds the deployment's.
    pub(crate) fn target(&mut self, target: &TargetHeaders) -> &mut Self {
        self.0.insert(MODEL_ID, target.model_id.clone());
        self.0.insert(MODEL_NAME, target.model_name.clone());
        self.0.insert(MODEL_API_BASE, target.api_base.clone());
        self.0.insert(MODEL_GROUP, target.group.clone());
        self
    }

    /// Adds how often it was tried.
    pub(crate) fn attempts(&mut self, retries: u32, retries_max: u32) -> &mut Self {
        self.0.insert(ATTEMPTED_RETRIES, header_number(retries.into()));
        self.0.insert(ATTEMPTED_FALLBACKS, header_number(0));
        if retries > 0 {
            self.0.insert(MAX_RETRIES, header_number(retries_max.into()));
        }
        self
    }

    /// Adds the cost of a plain reply; nothing where the model has no price.
    pub(crate) fn cost(&mut self, cost: Option<&Cost>) -> &mut Self {
        let Some(cost) = cost else { return self };
        let total = header_text(&cost.total.as_litellm_number());
        self.0.insert(COST, total.clone());
        self.0.insert(COST_ORIGINAL, total.clone());
        self.0.insert(KEY_SPEND, total);
        self.no_discount();
        self.0.insert(COST_INPUT, header_text(&cost.input.as_litellm_number()));
        self.0.insert(COST_OUTPUT, header_text(&cost.output.as_litellm_number()));
        if cost.cache_read.0 > 0 {
            self.0.insert(COST_CACHE_READ, header_text(&cost.cache_read.as_litellm_number()));
        }
        if cost.reasoning.0 > 0 {
            self.0.insert(COST_REASONING, header_text(&cost.reasoning.as_litellm_number()));
        }
        self.0.insert(COST_TOOL_USAGE, header_text(&cost.tool_usage.as_litellm_number()));
        self
    }

    /// Adds the zeros that a stream's head has: its cost is not known yet.
    pub(crate) fn stream_cost(&mut self) -> &mut Self {
        for name in [COST_ORIGINAL, COST_INPUT, COST_OUTPUT, COST_TOOL_USAGE, KEY_SPEND] {
            self.0.insert(name, ZERO);
        }
        self.no_discount();
        self
    }

    fn no_discount(&mut self) {
        for name in [COST_DISCOUNT, COST_MARGIN, COST_MARGIN_PERCENT] {
            self.0.insert(name, ZERO);
        }
    }

    /// Adds the zeros of a request that cost nothing since it failed.
    pub(crate) fn failed_cost(&mut self) -> &mut Self {
        self.0.insert(COST, HeaderValue::from_static("0"));
        self.0.insert(KEY_SPEND, ZERO);
        self
    }

    /// Adds how long it took in all, and of this in the gateway.
    pub(crate) fn durations(&mut self, total: Duration, overhead: Duration) -> &mut Self {
        self.0.insert(RESPONSE_DURATION, milliseconds(total));
        self.0.insert(OVERHEAD_DURATION, milliseconds(overhead));
        self.0.insert(CALLBACK_DURATION, ZERO);
        self
    }

    /// Adds the provider's own headers: all with a prefix, and its limits and request id as they are.
    pub(crate) fn provider(&mut self, provider: &HeaderMap) -> &mut Self {
        for (name, value) in provider {
            if is_hop_by_hop(name) {
                continue;
            }
            if name.as_str().starts_with("x-ratelimit-") {
                self.0.append(name.clone(), value.clone());
            }
            if let Some(prefixed) = prefixed(name) {
                self.0.append(prefixed, value.clone());
            }
        }
        if let Some(id) = provider.get(X_REQUEST_ID).or_else(|| provider.get(REQUEST_ID)) {
            self.0.insert(REQUEST_ID, id.clone());
        }
        self
    }

    /// Names the request's members that were understood but whose feature is not active yet.
    pub(crate) fn not_yet_active(&mut self, members: &[&str]) -> &mut Self {
        if !members.is_empty() {
            self.0.insert(NOT_YET_ACTIVE, header_text(&members.join(", ")));
        }
        self
    }

    /// For a plain JSON reply.
    pub(crate) fn into_json(mut self) -> HeaderMap {
        self.0.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.0
    }

    /// For a stream.
    pub(crate) fn into_event_stream(mut self) -> HeaderMap {
        self.0.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        self.0.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        self.0.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        self.0
    }

    /// As they are, for an error reply that brings its own content type.
    pub(crate) fn into_map(self) -> HeaderMap {
        self.0
    }
}

/// What every reply of the gateway has.
pub(crate) fn add_security_headers(headers: &mut HeaderMap) {
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    headers.insert(ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

/// Headers of one connection, not of the reply (RFC 9110, 7.6.1), and cookies, which are nobody's business here.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "upgrade"
            | "set-cookie"
    ) || *name == CONNECTION
}

fn prefixed(name: &HeaderName) -> Option<HeaderName> {
    thread_local! {
        static NAMES: RefCell<HashMap<HeaderName, HeaderName>> = RefCell::new(HashMap::new());
    }
    NAMES.with_borrow_mut(|names| {
        if let Some(known) = names.get(name) {
            return Some(known.clone());
        }
        let made = HeaderName::try_from(format!("llm_provider-{name}")).ok()?;
        if names.len() < NAMES_MAX {
            names.insert(name.clone(), made.clone());
        }
        Some(made)
    })
}
