//! What a request says about how it wants to be served, in LiteLLM's headers and body members.
//!
//! **Invariant:** nothing here can name a host, a credential or a file. The members that could ([`FORBIDDEN`]) are
//! refused by name; any other unknown member goes to the provider as part of the request and is never interpreted.

use crate::error::Rejection;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use tollgate_dialect::json::Object;

/// Longest call id that a caller may bring, in bytes.
const CALL_ID_BYTES_MAX: usize = 128;
/// Most retries that a caller may ask for; the plan's own cap is below it.
const NUM_RETRIES_MAX: u64 = 20;

/// Members that would decide where a request goes or with which credential: LiteLLM's parameters of a deployment. The
/// operator's configuration alone decides them.
pub(crate) const FORBIDDEN: &[&str] = &[
    "api_base",
    "base_url",
    "api_key",
    "api_version",
    "custom_llm_provider",
    "organization",
    "azure_ad_token",
    "azure_ad_token_provider",
    "azure_scope",
    "azure_username",
    "azure_password",
    "tenant_id",
    "client_id",
    "client_secret",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_session_name",
    "aws_profile_name",
    "aws_role_name",
    "aws_region_name",
    "aws_web_identity_token",
    "aws_sts_endpoint",
    "aws_bedrock_runtime_endpoint",
    "vertex_project",
    "vertex_location",
    "vertex_credentials",
    "vertex_ai_project",
    "vertex_ai_location",
    "vertex_ai_credentials",
    "litellm_credential_name",
    "litellm_params",
    "model_list",
    "user_config",
    "model_info",
    "extra_headers",
    "headers",
    "langfuse_host",
    "langfuse_secret_key",
    "langfuse_public_key",
    "callbacks",
    "success_callback",
    "failure_callback",
    "proxy_server_request",
    "secret_fields",
];

/// LiteLLM's members that are for the gateway; the provider must not see them. Active in this version.
const ACTIVE: &[&str] = &["num_retries", "timeout", "request_timeout", "stream_timeout", "litellm_call_id"];

/// As [`ACTIVE`], whose feature this version does not have: the reply names those that were sent.
const NOT_YET_ACTIVE: &[&str] = &[
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "disable_fallbacks",
    "router_settings_override",
    "include_fallback_errors",
    "cache",
    "caching",
    "guardrails",
    "guardrail_config",
    "policies",
    "priority",
    "mock_response",
    "mock_tool_calls",
    "mock_timeout",
    "mock_delay",
    "mock_testing_fallbacks",
    "mock_testing_context_fallbacks",
    "mock_testing_content_policy_fallbacks",
    "mock_testing_rate_limit_error",
    "drop_params",
    "additional_drop_params",
    "allowed_openai_params",
    "prompt_id",
    "prompt_variables",
    "prompt_label",
    "enable_json_schema_validation",
];

/// As [`ACTIVE`], harmless descriptions of the request that later features read (tags, budgets, logs).
const DESCRIPTIVE: &[&str] =
    &["litellm_metadata", "litellm_session_id", "litellm_trace_id", "tags", "no-log"];

/// How one request wants to be served.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Overrides {
    /// Longest time for one attempt.
    pub(crate) timeout: Option<Duration>,
    /// Longest wait for the first token of a stream.
    pub(crate) stream_timeout: Option<Duration>,
    /// Further attempts after the first.
    pub(crate) num_retries: Option<u32>,
    /// Members that the provider must not see.
    pub(crate) remove: Vec<&'static str>,
    /// Of these, the ones whose feature is not active yet.
    pub(crate) not_yet_active: Vec<&'static str>,
}

impl Overrides {
    /// Reads headers and body members; a header comes before a member of the same meaning.
    pub(crate) fn read(path: &str, headers: &HeaderMap, object: &Object<'_>) -> Result<Self, Rejection> {
        let mut overrides = Self::default();
        for member in object.members() {
            let name = member.name.as_ref();
            let known = |list: &[&'static str]| list.iter().find(|known| **known == name).copied();
            if let Some(forbidden) = known(FORBIDDEN) {
                return Err(Rejection::not_allowed(forbidden));
            }
            if let Some(name) = known(NOT_YET_ACTIVE) {
                overrides.remove.push(name);
                overrides.not_yet_active.push(name);
            } else if let Some(name) = known(ACTIVE).or_else(|| known(DESCRIPTIVE)) {
                overrides.remove.push(name);
            }
        }
        // OpenAI takes `metadata` only for stored completions; otherwise it is a note to the gateway, as in LiteLLM.
        let is_stored = object.get("store").and_then(|value| value.as_bool()).unwrap_or(false);
        if !is_stored && object.get("metadata").is_some() {
            overrides.remove.push("metadata");
        }
        let seconds = |header: &str, members: &[&str]| duration(path, headers, header, object, members);
        overrides.timeout = seconds("x-litellm-timeout", &["timeout", "request_timeout"])?;
        overrides.stream_timeout = seconds("x-litellm-stream-timeout", &["stream_timeout"])?;
        overrides.num_retries = retries(path, headers, object)?;
        Ok(overrides)
    }
}

fn duration(
    path: &str,
    headers: &HeaderMap,
    header: &str,
    object: &Object<'_>,
    members: &[&str],
) -> Result<Option<Duration>, Rejection> {
    let (name, text) = match headers.get(header) {
        Some(value) => (header, value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok())),
        None => {
            let member = members.iter().find_map(|name| Some((*name, object.get(name)?)));
            match member {
                Some((_, value)) if value.is_null() => return Ok(None),
                Some((name, value)) => (name, value.as_f64()),
                None => return Ok(None),
            }
        }
    };
    let seconds = text.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.map(Some).ok_or_else(|| Rejection::invalid(path, name, "expected a number of seconds above 0"))
}

fn retries(path: &str, headers: &HeaderMap, object: &Object<'_>) -> Result<Option<u32>, Rejection> {
    const HEADER: &str = "x-litellm-num-retries";
    let (name, number) = match (headers.get(HEADER), object.get("num_retries")) {
        (Some(value), _) => (HEADER, value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok())),
        (None, Some(value)) if !value.is_null() => ("num_retries", value.as_u64()),
        _ => return Ok(None),
    };
    let number =
        number.map(|number| number.min(NUM_RETRIES_MAX)).and_then(|number| u32::try_from(number).ok());
    number.map(Some).ok_or_else(|| Rejection::invalid(path, name, "expected a whole number of retries"))
}

/// The caller's own id for the call, where it is a plain word.
pub(crate) fn call_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get("x-litellm-call-id")?;
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
        Overrides::read("/chat/completions", &headers, &object).map_err(|r| r.message().to_owned())
    }

    #[test]
    fn what_would_choose_host_or_credential_is_refused_by_name() {
        for name in FORBIDDEN {
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
        ] {
            let refused = read(headers, body).unwrap_err();
            assert!(refused.contains(&format!("'{place}'")), "{refused}");
        }
    }

    #[test]
    fn what_is_not_active_yet_is_removed_and_named() {
        let overrides = read(&[], r#"{"fallbacks":["a"],"cache":{},"tags":["x"],"temperature":1}"#).unwrap();
        assert_eq!(overrides.remove, ["fallbacks", "cache", "tags"]);
        assert_eq!(overrides.not_yet_active, ["fallbacks", "cache"]);
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
