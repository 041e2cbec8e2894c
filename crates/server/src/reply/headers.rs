//! LiteLLM's reply headers.
//!
//! What is the same for every answer of a deployment is made once ([`TargetHeaders`]) and copied; the
//! provider's own headers come again with `llm_provider-` before their names.

use crate::toll::Toll;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tollgate_catalog::{Bill, PicoDollars};
use tollgate_dialect::wire::Losses;

/// The version of LiteLLM Proxy whose contract the headers and bodies follow.
const CONTRACT_VERSION: HeaderValue = HeaderValue::from_static("1.106.2");
const OWN_VERSION: HeaderValue = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
const ZERO: HeaderValue = HeaderValue::from_static("0.0");
/// Most provider header names whose prefixed form is remembered per thread.
const NAMES_MAX: usize = 64;

/// A whole number as a header.
pub(crate) fn header_number(number: u64) -> HeaderValue {
    HeaderValue::from(number)
}

/// Text as a header; characters that a header cannot carry (CR, LF, controls) make it empty rather than two lines.
pub(crate) fn header_text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An amount, as LiteLLM prints one.
fn dollars(amount: PicoDollars) -> HeaderValue {
    if amount == PicoDollars::ZERO { ZERO } else { header_text(&amount.as_litellm_number()) }
}

/// Milliseconds with three decimals: `1640.206`.
fn milliseconds(duration: Duration) -> HeaderValue {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let mut buffer = [b'.'; 24];
    let mut start = buffer.len();
    let mut left = micros;
    // Three decimals, the point, then at least one digit.
    for position in 0.. {
        if position != 3 && position > 4 && left == 0 {
            break;
        }
        start -= 1;
        if position != 3 {
            if let Some(place) = buffer.get_mut(start) {
                *place = b'0' + (left % 10) as u8;
            }
            left /= 10;
        }
    }
    HeaderValue::from_bytes(buffer.get(start..).unwrap_or_default()).unwrap_or(ZERO)
}

macro_rules! names {
    ($($constant:ident = $name:literal;)*) => { $(const $constant: HeaderName = HeaderName::from_static($name);)* };
}

/// Which deployment answered, by which strategy, for which reason.
pub(crate) const X_TOLLGATE_ROUTE: HeaderName = HeaderName::from_static("x-tollgate-route");
/// The maximum of the answer, where a budget does not leave the one that was asked for.
pub(crate) const X_TOLLGATE_MAX_TOKENS_LOWERED: HeaderName =
    HeaderName::from_static("x-tollgate-max-tokens-lowered");
/// What the caller's key has spent.
pub(crate) const KEY_SPEND: HeaderName = HeaderName::from_static("x-litellm-key-spend");
/// What the answer was kept under.
pub(crate) const X_LITELLM_CACHE_KEY: HeaderName = HeaderName::from_static("x-litellm-cache-key");
/// Whether the answer was kept: `exact`, or `miss` where it was looked for in vain.
pub(crate) const X_TOLLGATE_CACHE: HeaderName = HeaderName::from_static("x-tollgate-cache");
/// How long it has been kept, in seconds.
pub(crate) const X_TOLLGATE_CACHE_AGE: HeaderName = HeaderName::from_static("x-tollgate-cache-age");
/// Several deployments were asked at once.
pub(crate) const X_TOLLGATE_HEDGED: HeaderName = HeaderName::from_static("x-tollgate-hedged");

names! {
    CALL_ID = "x-litellm-call-id";
    MODEL_ID = "x-litellm-model-id";
    MODEL_NAME = "x-litellm-model-name";
    MODEL_API_BASE = "x-litellm-model-api-base";
    VERSION = "x-litellm-version";
    TOLLGATE_VERSION = "x-tollgate-version";
    NOT_YET_ACTIVE = "x-tollgate-not-yet-active";
    DROPPED = "x-tollgate-dropped";
    TIER = "x-tollgate-tier";
    UNPRICED = "x-tollgate-unpriced";
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

/// Room in a reply's header map: some fifty names, so that it is not rebuilt while it is filled.
const ROOM: usize = 80;

/// What is the same for every answer of one deployment: the whole head with the parts that change still empty, so that
/// a reply copies it and fills those in.
#[derive(Debug, Clone)]
pub(crate) struct TargetHeaders {
    plain: HeaderMap,
    stream: HeaderMap,
}

/// What tells one deployment's replies from another's.
pub(crate) struct TargetFacts<'a> {
    /// The deployment's id.
    pub(crate) id: &'a str,
    /// `provider/model`.
    pub(crate) model_name: &'a str,
    /// Its base URL.
    pub(crate) api_base: &'a str,
    /// The group's name.
    pub(crate) group: &'a str,
    /// It has no price of its own.
    pub(crate) is_unpriced: bool,
}

impl TargetHeaders {
    /// Works out both heads.
    pub(crate) fn new(facts: &TargetFacts<'_>) -> Self {
        let mut plain = HeaderMap::with_capacity(ROOM);
        for (name, value) in [
            (CALL_ID, ZERO),
            (MODEL_ID, header_text(facts.id)),
            (MODEL_NAME, header_text(facts.model_name)),
            (MODEL_API_BASE, header_text(facts.api_base)),
            (VERSION, CONTRACT_VERSION),
            (TOLLGATE_VERSION, OWN_VERSION),
            (COST_DISCOUNT, ZERO),
            (COST_MARGIN, ZERO),
            (COST_MARGIN_PERCENT, ZERO),
            (RESPONSE_DURATION, ZERO),
            (OVERHEAD_DURATION, ZERO),
            (CALLBACK_DURATION, ZERO),
            (MODEL_GROUP, header_text(facts.group)),
            (ATTEMPTED_RETRIES, HeaderValue::from_static("0")),
            (ATTEMPTED_FALLBACKS, HeaderValue::from_static("0")),
        ] {
            plain.insert(name, value);
        }
        add_security_headers(&mut plain);
        if facts.is_unpriced {
            plain.insert(UNPRICED, header_text(facts.model_name));
        }
        let mut stream = plain.clone();
        plain.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        stream.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        stream.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        stream.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        // A stream's cost is not known when its head is sent.
        for name in [COST_ORIGINAL, COST_INPUT, COST_OUTPUT, COST_TOOL_USAGE, KEY_SPEND] {
            stream.insert(name, ZERO);
        }
        Self { plain, stream }
    }
}

impl TargetHeaders {
    /// Its base URL, as replies name it.
    pub(crate) fn api_base(&self) -> &str {
        self.plain.get(MODEL_API_BASE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// The headers of one reply, being filled.
pub(crate) struct ReplyHeaders(HeaderMap);

impl ReplyHeaders {
    /// The head of a plain answer.
    pub(crate) fn plain(target: &TargetHeaders, call_id: &HeaderValue) -> Self {
        Self::begun(target.plain.clone(), call_id)
    }

    /// The head of a streamed answer.
    pub(crate) fn stream(target: &TargetHeaders, call_id: &HeaderValue) -> Self {
        Self::begun(target.stream.clone(), call_id)
    }

    fn begun(mut headers: HeaderMap, call_id: &HeaderValue) -> Self {
        headers.insert(CALL_ID, call_id.clone());
        Self(headers)
    }

    /// The head of a failed call, beside what its rejection brings.
    pub(crate) fn failed(call_id: &HeaderValue) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CALL_ID, call_id.clone());
        headers.insert(VERSION, CONTRACT_VERSION);
        headers.insert(TOLLGATE_VERSION, OWN_VERSION);
        headers.insert(COST, HeaderValue::from_static("0"));
        headers.insert(KEY_SPEND, ZERO);
        Self(headers)
    }

    /// The head of an answer that no deployment gave.
    pub(crate) fn canned(call_id: &HeaderValue) -> Self {
        let mut headers = Self::failed(call_id).0;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        add_security_headers(&mut headers);
        Self(headers)
    }

    /// Begins with nothing.
    pub(crate) fn empty() -> Self {
        Self(HeaderMap::new())
    }

    /// Adds how often it was tried before.
    pub(crate) fn attempts(&mut self, retries: u32, retries_max: u32) -> &mut Self {
        if retries > 0 {
            self.0.insert(ATTEMPTED_RETRIES, header_number(retries.into()));
            self.0.insert(MAX_RETRIES, header_number(retries_max.into()));
        }
        self
    }

    /// Adds how many groups were tried before.
    pub(crate) fn fallbacks(&mut self, fallbacks: u32) -> &mut Self {
        if fallbacks > 0 {
            self.0.insert(ATTEMPTED_FALLBACKS, header_number(fallbacks.into()));
        }
        self
    }

    /// Adds the tier that serves it.
    pub(crate) fn tier(&mut self, tier: Option<&HeaderValue>) -> &mut Self {
        if let Some(tier) = tier {
            self.0.insert(TIER, tier.clone());
        }
        self
    }

    /// Says that nobody knows what the reply costs.
    pub(crate) fn unpriced(&mut self, model: &str) {
        self.0.insert(UNPRICED, header_text(model));
    }

    /// Nothing is asked for it, so that no price is missing.
    pub(crate) fn free(&mut self) {
        self.0.remove(UNPRICED);
    }

    /// Adds the cost of a plain reply; nothing where the model has no price.
    pub(crate) fn bill(&mut self, bill: Option<&Bill>) -> &mut Self {
        let Some(bill) = bill else {
            // Without a price there is nothing that a discount or a margin could be of.
            for name in [COST_DISCOUNT, COST_MARGIN, COST_MARGIN_PERCENT] {
                self.0.remove(name);
            }
            self.0.insert(KEY_SPEND, ZERO);
            return self;
        };
        let cost = &bill.parts;
        let total = dollars(bill.total);
        self.0.insert(COST, total.clone());
        if bill.total == cost.total && bill.discount == PicoDollars::ZERO {
            self.0.insert(COST_ORIGINAL, total.clone());
        } else {
            self.0.insert(COST_ORIGINAL, dollars(cost.total));
            self.0.insert(COST_DISCOUNT, dollars(bill.discount));
            self.0.insert(COST_MARGIN, dollars(bill.margin));
            self.0.insert(COST_MARGIN_PERCENT, header_text(&bill.margin_share.as_litellm_number()));
        }
        self.0.insert(KEY_SPEND, total);
        self.0.insert(COST_INPUT, dollars(cost.input));
        self.0.insert(COST_OUTPUT, dollars(cost.output));
        self.0.insert(COST_TOOL_USAGE, dollars(cost.tool_usage));
        for (name, part) in [(COST_CACHE_READ, cost.cache_read), (COST_REASONING, cost.reasoning)] {
            if part != PicoDollars::ZERO {
                self.0.insert(name, dollars(part));
            }
        }
        self
    }

    /// Adds how limits and budgets stand.
    pub(crate) fn toll(&mut self, toll: Option<&Arc<Toll>>) -> &mut Self {
        if let Some(toll) = toll {
            toll.tell(&mut self.0);
        }
        self
    }

    /// Adds how long it took in all, and of this in the gateway.
    pub(crate) fn durations(&mut self, total: Duration, overhead: Duration) -> &mut Self {
        self.0.insert(RESPONSE_DURATION, milliseconds(total));
        self.0.insert(OVERHEAD_DURATION, milliseconds(overhead));
        self
    }

    /// Adds the provider's own headers: all with a prefix, and its limits and request id as they are. One that repeats
    /// the credential that it was sent is left out.
    pub(crate) fn provider(&mut self, provider: &HeaderMap, secret: Option<&str>) -> &mut Self {
        let is_told = |value: &HeaderValue| secret.is_none_or(|secret| !holds(value.as_bytes(), secret));
        for (name, value) in provider {
            if is_hop_by_hop(name) || !is_told(value) {
                continue;
            }
            if name.as_str().starts_with("x-ratelimit-") {
                self.0.append(name.clone(), value.clone());
            }
            if let Some(prefixed) = prefixed(name) {
                self.0.append(prefixed, value.clone());
            }
        }
        let id = provider.get(X_REQUEST_ID).or_else(|| provider.get(REQUEST_ID));
        if let Some(id) = id.filter(|id| is_told(id)) {
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

    /// Names what the request said and the provider's wire, or the answer and the caller's dialect, could not.
    pub(crate) fn lost(&mut self, losses: &Losses) -> &mut Self {
        if !losses.is_empty() {
            let names: Vec<&str> = losses.names().collect();
            self.0.insert(DROPPED, header_text(&names.join(", ")));
        }
        self
    }

    /// Adds one that a dialect's clients look for.
    pub(crate) fn add(&mut self, name: HeaderName, value: HeaderValue) -> &mut Self {
        self.0.insert(name, value);
        self
    }

    /// As they are.
    pub(crate) fn into_map(self) -> HeaderMap {
        self.0
    }
}

/// Whether a header's value has a text in it. Most are shorter than a key, so that nothing is searched.
fn holds(value: &[u8], text: &str) -> bool {
    value.len() >= text.len() && value.windows(text.len()).any(|window| window == text.as_bytes())
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

/// `llm_provider-<name>`; the few names that providers send are made once per thread.
fn prefixed(name: &HeaderName) -> Option<HeaderName> {
    thread_local! {
        static NAMES: RefCell<Vec<(HeaderName, HeaderName)>> = const { RefCell::new(Vec::new()) };
    }
    NAMES.with_borrow_mut(|names| {
        if let Some((_, known)) = names.iter().find(|(plain, _)| plain == name) {
            return Some(known.clone());
        }
        let made = HeaderName::try_from(format!("llm_provider-{name}")).ok()?;
        if names.len() < NAMES_MAX {
            names.push((name.clone(), made.clone()));
        }
        Some(made)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_three_decimals() {
        for (micros, expected) in [
            (0, "0.000"),
            (7, "0.007"),
            (999, "0.999"),
            (1_000, "1.000"),
            (1_640_206, "1640.206"),
            (60_000_000, "60000.000"),
        ] {
            assert_eq!(milliseconds(Duration::from_micros(micros)), expected);
        }
        assert_eq!(milliseconds(Duration::MAX), "18446744073709551.615");
    }

    #[test]
    fn a_providers_headers_come_with_a_prefix_and_its_limits_as_they_are() {
        let provider: HeaderMap = [
            ("x-ratelimit-limit-requests", "10"),
            ("x-request-id", "req_1"),
            ("content-type", "application/json"),
            ("set-cookie", "a=b"),
            ("connection", "close"),
        ]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
        let mut headers = ReplyHeaders::empty();
        headers.provider(&provider, Some("sk-not-there"));
        let mut names: Vec<String> = headers
            .into_map()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "llm_provider-content-type: application/json",
                "llm_provider-x-ratelimit-limit-requests: 10",
                "llm_provider-x-request-id: req_1",
                "request-id: req_1",
                "x-ratelimit-limit-requests: 10",
            ]
        );
    }
}
