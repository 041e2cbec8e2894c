//! What a request says about how it wants to be served, in LiteLLM's headers and body members.
//!
//! **Invariant:** nothing here can name a host, a credential or a file. The members that could ([`Meaning::Forbidden`]) are
//! refused by name; any other unknown member goes to the provider as part of the request and is never interpreted.

use crate::caching::Controls;
use crate::error::Rejection;
use crate::surface::Surface;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use tollgate_dialect::json::{Object, Value};
use tollgate_dialect::wire::Dialect;

static TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-timeout");
static STREAM_TIMEOUT: HeaderName = HeaderName::from_static("x-litellm-stream-timeout");
static NUM_RETRIES: HeaderName = HeaderName::from_static("x-litellm-num-retries");
static CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
/// Longest call id that a caller may bring, in bytes.
const CALL_ID_BYTES_MAX: usize = 128;
/// Most retries that a caller may ask for; the plan's own cap is below it.
const NUM_RETRIES_MAX: u64 = 20;

/// What a body member of LiteLLM's means to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// It would decide where the request goes or with which credential: a parameter of a deployment, which the operator's
    /// configuration alone decides.
    Forbidden,
    /// It is for the gateway; the provider must not see it.
    Active,
    /// As `Active`, whose feature this version does not have: the reply names those that were sent.
    NotYetActive,
    /// As `Active`, a harmless description of the request that later features read (tags, budgets, logs).
    Descriptive,
}

/// LiteLLM's members, sorted by name.
const MEMBERS: &[(&str, Meaning)] = &[
    ("additional_drop_params", Meaning::Active),
    ("allowed_model_region", Meaning::Active),
    ("allowed_openai_params", Meaning::Active),
    ("api_base", Meaning::Forbidden),
    ("api_key", Meaning::Forbidden),
    ("api_version", Meaning::Forbidden),
    ("aws_access_key_id", Meaning::Forbidden),
    ("aws_bedrock_runtime_endpoint", Meaning::Forbidden),
    ("aws_profile_name", Meaning::Forbidden),
    ("aws_region_name", Meaning::Forbidden),
    ("aws_role_name", Meaning::Forbidden),
    ("aws_secret_access_key", Meaning::Forbidden),
    ("aws_session_name", Meaning::Forbidden),
    ("aws_session_token", Meaning::Forbidden),
    ("aws_sts_endpoint", Meaning::Forbidden),
    ("aws_web_identity_token", Meaning::Forbidden),
    ("azure_ad_token", Meaning::Forbidden),
    ("azure_ad_token_provider", Meaning::Forbidden),
    ("azure_password", Meaning::Forbidden),
    ("azure_scope", Meaning::Forbidden),
    ("azure_username", Meaning::Forbidden),
    ("base_url", Meaning::Forbidden),
    ("cache", Meaning::Active),
    ("caching", Meaning::Active),
    ("callbacks", Meaning::Forbidden),
    ("client_id", Meaning::Forbidden),
    ("client_secret", Meaning::Forbidden),
    ("content_policy_fallbacks", Meaning::Active),
    ("context_window_fallbacks", Meaning::Active),
    ("custom_llm_provider", Meaning::Forbidden),
    ("disable_fallbacks", Meaning::Active),
    ("drop_params", Meaning::Active),
    ("enable_json_schema_validation", Meaning::NotYetActive),
    ("extra_headers", Meaning::Forbidden),
    ("failure_callback", Meaning::Forbidden),
    ("fallbacks", Meaning::Active),
    ("guardrail_config", Meaning::NotYetActive),
    ("guardrails", Meaning::NotYetActive),
    ("headers", Meaning::Forbidden),
    ("include_fallback_errors", Meaning::Active),
    ("langfuse_host", Meaning::Forbidden),
    ("langfuse_public_key", Meaning::Forbidden),
    ("langfuse_secret_key", Meaning::Forbidden),
    ("litellm_call_id", Meaning::Active),
    ("litellm_credential_name", Meaning::Forbidden),
    ("litellm_metadata", Meaning::Descriptive),
    ("litellm_params", Meaning::Forbidden),
    ("litellm_session_id", Meaning::Descriptive),
    ("litellm_trace_id", Meaning::Descriptive),
    ("mock_delay", Meaning::NotYetActive),
    ("mock_response", Meaning::NotYetActive),
    ("mock_testing_content_policy_fallbacks", Meaning::Active),
    ("mock_testing_context_fallbacks", Meaning::Active),
    ("mock_testing_fallbacks", Meaning::Active),
    ("mock_testing_rate_limit_error", Meaning::Active),
    ("mock_timeout", Meaning::NotYetActive),
    ("mock_tool_calls", Meaning::NotYetActive),
    ("model_info", Meaning::Forbidden),
    ("model_list", Meaning::Forbidden),
    ("no-log", Meaning::Descriptive),
    ("num_retries", Meaning::Active),
    ("organization", Meaning::Forbidden),
    ("policies", Meaning::NotYetActive),
    ("priority", Meaning::Active),
    ("prompt_id", Meaning::NotYetActive),
    ("prompt_label", Meaning::NotYetActive),
    ("prompt_variables", Meaning::NotYetActive),
    ("proxy_server_request", Meaning::Forbidden),
    ("request_timeout", Meaning::Active),
    ("router_settings_override", Meaning::Active),
    ("secret_fields", Meaning::Forbidden),
    ("stream_timeout", Meaning::Active),
    ("success_callback", Meaning::Forbidden),
    ("tags", Meaning::Descriptive),
    ("tenant_id", Meaning::Forbidden),
    ("timeout", Meaning::Active),
    ("user_config", Meaning::Forbidden),
    ("vertex_ai_credentials", Meaning::Forbidden),
    ("vertex_ai_location", Meaning::Forbidden),
    ("vertex_ai_project", Meaning::Forbidden),
    ("vertex_credentials", Meaning::Forbidden),
    ("vertex_location", Meaning::Forbidden),
    ("vertex_project", Meaning::Forbidden),
];

fn meaning(name: &str) -> Option<(&'static str, Meaning)> {
    let position = MEMBERS.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    MEMBERS.get(position).copied()
}

/// How one request wants to be served.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Overrides {
    /// Longest time for one attempt.
    pub(crate) timeout: Option<Duration>,
    /// Longest wait for the first token of a stream.
    pub(crate) stream_timeout: Option<Duration>,
    /// Further attempts after the first.
    pub(crate) num_retries: Option<u32>,
    /// Whether parameters that the provider cannot express are left out; before what the configuration says.
    pub(crate) drop_params: Option<bool>,
    /// Parameters that are left out, beside those of the configuration.
    pub(crate) additional_drop_params: Vec<String>,
    /// Parameters that are sent whatever is known of the provider, beside those of the configuration.
    pub(crate) allowed_openai_params: Vec<String>,
    /// What it says of the cache.
    pub(crate) cache: Option<Box<Controls>>,
    /// Members that the provider must not see.
    pub(crate) remove: Vec<&'static str>,
    /// Of these, the ones whose feature is not active yet.
    pub(crate) not_yet_active: Vec<&'static str>,
}

impl Overrides {
    /// Reads headers and body members; a header comes before a member of the same meaning.
    pub(crate) fn read(
        surface: Surface,
        headers: &HeaderMap,
        object: &Object<'_>,
    ) -> Result<Self, Rejection> {
        let path = surface.path();
        let mut overrides = Self::default();
        let (mut timeout, mut stream_timeout, mut num_retries) = (None, None, None);
        let (mut has_metadata, mut is_stored) = (false, false);
        for member in object.members() {
            match member.name.as_ref() {
                "metadata" => has_metadata = true,
                "store" => is_stored = member.value.as_bool().unwrap_or(false),
                "timeout" => timeout = Some(("timeout", member.value)),
                "request_timeout" => timeout = timeout.or(Some(("request_timeout", member.value))),
                "stream_timeout" => stream_timeout = Some(("stream_timeout", member.value)),
                "num_retries" => num_retries = Some(member.value),
                "drop_params" => overrides.drop_params = flag(path, "drop_params", member.value)?,
                "additional_drop_params" => {
                    overrides.additional_drop_params = names(path, "additional_drop_params", member.value)?;
                }
                "allowed_openai_params" => {
                    overrides.allowed_openai_params = names(path, "allowed_openai_params", member.value)?;
                }
                _ => {}
            }
            match meaning(&member.name) {
                Some((name, Meaning::Forbidden)) => return Err(Rejection::not_allowed(name)),
                Some((name, Meaning::NotYetActive)) => {
                    overrides.remove.push(name);
                    overrides.not_yet_active.push(name);
                }
                Some((name, Meaning::Active | Meaning::Descriptive)) => overrides.remove.push(name),
                None => {}
            }
        }
        // OpenAI takes `metadata` only for stored completions; otherwise it is a note to the gateway, as in LiteLLM.
        if has_metadata && !is_stored && surface.dialect() == Dialect::OpenAi {
            overrides.remove.push("metadata");
        }
        overrides.timeout = duration(path, headers, &TIMEOUT, timeout)?;
        overrides.stream_timeout = duration(path, headers, &STREAM_TIMEOUT, stream_timeout)?;
        overrides.num_retries = retries(path, headers, num_retries)?;
        overrides.cache = Controls::read(path, headers, object)?;
        Ok(overrides)
    }
}

impl Overrides {
    /// Refuses a form's field that would decide host or credential.
    pub(crate) fn check_name(name: &str) -> Result<(), Rejection> {
        match meaning(name) {
            Some((name, Meaning::Forbidden)) => Err(Rejection::not_allowed(name)),
            _ => Ok(()),
        }
    }
}

fn flag(path: &str, name: &str, value: Value<'_>) -> Result<Option<bool>, Rejection> {
    match value.as_bool() {
        Some(flag) => Ok(Some(flag)),
        None if value.is_null() => Ok(None),
        None => Err(Rejection::invalid(path, name, "expected true or false")),
    }
}

fn names(path: &str, name: &str, value: Value<'_>) -> Result<Vec<String>, Rejection> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    serde_json::from_str(value.text())
        .map_err(|_| Rejection::invalid(path, name, "expected a list of parameters' names"))
}

fn duration(
    path: &str,
    headers: &HeaderMap,
    header: &'static HeaderName,
    member: Option<(&'static str, Value<'_>)>,
) -> Result<Option<Duration>, Rejection> {
    let (name, seconds) = match (headers.get(header), member) {
        (Some(value), _) => {
            (header.as_str(), value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok()))
        }
        (None, Some((name, value))) if !value.is_null() => (name, value.as_f64()),
        _ => return Ok(None),
    };
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.map(Some).ok_or_else(|| Rejection::invalid(path, name, "expected a number of seconds above 0"))
}

fn retries(path: &str, headers: &HeaderMap, member: Option<Value<'_>>) -> Result<Option<u32>, Rejection> {
    let (name, number) = match (headers.get(&NUM_RETRIES), member) {
        (Some(value), _) => {
            (NUM_RETRIES.as_str(), value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()))
        }
        (None, Some(value)) if !value.is_null() => ("num_retries", value.as_u64()),
        _ => return Ok(None),
    };
    let number =
        number.map(|number| number.min(NUM_RETRIES_MAX)).and_then(|number| u32::try_from(number).ok());
    number.map(Some).ok_or_else(|| Rejection::invalid(path, name, "expected a whole number of retries"))
}

/// The caller's own id for the call, where it is a plain word.
pub(crate) fn call_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(&CALL_ID)?;
    let is_plain = value.as_bytes().iter().all(|byte| byte.is_ascii_graphic());
    (is_plain && !value.is_empty() && value.len() <= CALL_ID_BYTES_MAX).then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_dialect::json::{Limits, scan};

    fn read(headers: &[(&'static str, &str)], body: &str) -> Result<Overrides, String> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let object = scan(body.as_bytes(), &Limits::REQUEST).unwrap();
        Overrides::read(Surface::Chat, &headers, &object).map_err(|r| r.message().to_owned())
    }

    #[test]
    fn what_would_choose_host_or_credential_is_refused_by_name() {
        assert!(MEMBERS.is_sorted_by_key(|(name, _)| *name));
        for (name, _) in MEMBERS.iter().filter(|(_, meaning)| *meaning == Meaning::Forbidden) {
            let refused = read(&[], &format!("{{\"model\":\"m\",\"{name}\":\"x\"}}")).unwrap_err();
            assert_eq!(refused.split_whitespace().nth(2), Some(*name), "{refused}");
        }
        assert!(read(&[], r#"{"api\u005fbase":"http://evil"}"#).is_err());
    }

    #[test]
    fn nested_names_are_never_interpreted() {
        let body = r#"{"extra_body":{"api_base":"http://evil"},"metadata":{"api_key":"x"},"response_format":{"type":"text"}}"#;
        assert_eq!(read(&[], body).unwrap().remove, ["metadata"]);
    }

    #[test]
    fn limits_come_from_header_before_body() {
        let overrides = read(
            &[("x-litellm-timeout", "1.5"), ("x-litellm-num-retries", "4")],
            r#"{"timeout":9,"num_retries":1,"stream_timeout":0.25}"#,
        )
        .unwrap();
        assert_eq!(overrides.timeout, Some(Duration::from_millis(1_500)));
        assert_eq!(overrides.stream_timeout, Some(Duration::from_millis(250)));
        assert_eq!(overrides.num_retries, Some(4));
        assert_eq!(read(&[], r#"{"timeout":9}"#).unwrap().timeout, Some(Duration::from_secs(9)));
        assert_eq!(read(&[], r#"{"timeout":null}"#).unwrap().timeout, None);
    }

    #[test]
    fn wrong_limits_name_their_place() {
        for (headers, body, place) in [
            (&[("x-litellm-timeout", "soon")][..], "{}", "x-litellm-timeout"),
            (&[("x-litellm-timeout", "-1")], "{}", "x-litellm-timeout"),
            (&[("x-litellm-timeout", "inf")], "{}", "x-litellm-timeout"),
            (&[], r#"{"timeout":0}"#, "timeout"),
            (&[], r#"{"timeout":"5"}"#, "timeout"),
            (&[], r#"{"num_retries":-1}"#, "num_retries"),
            (&[], r#"{"num_retries":1.5}"#, "num_retries"),
            (&[], r#"{"drop_params":"yes"}"#, "drop_params"),
            (&[], r#"{"additional_drop_params":"seed"}"#, "additional_drop_params"),
            (&[], r#"{"allowed_openai_params":[1]}"#, "allowed_openai_params"),
        ] {
            let refused = read(headers, body).unwrap_err();
            assert!(refused.contains(&format!("'{place}'")), "{refused}");
        }
    }

    #[test]
    fn what_is_not_active_yet_is_removed_and_named() {
        let overrides =
            read(&[], r#"{"fallbacks":["a"],"guardrails":[],"tags":["x"],"temperature":1}"#).unwrap();
        assert_eq!(overrides.remove, ["fallbacks", "guardrails", "tags"]);
        assert_eq!(overrides.not_yet_active, ["guardrails"]);
    }

    #[test]
    fn what_is_to_be_left_out_or_sent_is_read_and_taken_off() {
        let body =
            r#"{"drop_params":true,"additional_drop_params":["seed"],"allowed_openai_params":["top_k"]}"#;
        let overrides = read(&[], body).unwrap();
        assert_eq!(overrides.drop_params, Some(true));
        assert_eq!(
            (overrides.additional_drop_params, overrides.allowed_openai_params),
            (vec!["seed".to_owned()], vec!["top_k".to_owned()])
        );
        assert_eq!(overrides.remove, ["drop_params", "additional_drop_params", "allowed_openai_params"]);
        assert_eq!(read(&[], r#"{"drop_params":null}"#).unwrap().drop_params, None);
    }

    #[test]
    fn metadata_reaches_the_provider_only_for_stored_completions() {
        assert_eq!(read(&[], r#"{"metadata":{"a":"b"}}"#).unwrap().remove, ["metadata"]);
        assert!(read(&[], r#"{"metadata":{"a":"b"},"store":true}"#).unwrap().remove.is_empty());
    }

    #[test]
    fn a_callers_id_is_taken_when_it_is_a_plain_word() {
        let id = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-litellm-call-id", HeaderValue::from_str(value).unwrap());
            call_id(&headers).is_some()
        };
        assert!(id("abc-123"));
        assert!(!id(""));
        assert!(!id("a b"));
        assert!(!id(&"x".repeat(129)));
    }
}
