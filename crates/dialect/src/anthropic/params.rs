//! Which parameters this wire has: the tables, and the request's members that they admit, drop or refuse.
//!
//! Names are OpenAI's for what the conversation model has a field for, and the caller's own for what comes in `extra`.

use super::hosted;
use super::members::object;
use crate::conversation::{ChatRequest, Sampling};
use crate::wire::{EncodeError, EncodeOptions};
use serde_json::{Map, Value};

/// OpenAI's chat parameters that this wire expresses, exactly or by translation.
pub const SUPPORTED_PARAMS: &[&str] = &[
    "model",
    "messages",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "user",
    "web_search_options",
];

/// OpenAI's chat parameters that this wire cannot express. Values that ask for nothing (`n: 1`, a penalty of 0,
/// `logprobs: false`) are no reason to refuse.
pub const UNSUPPORTED_PARAMS: &[&str] = &[
    "seed",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "presence_penalty",
    "frequency_penalty",
    "audio",
    "prediction",
    "verbosity",
];

/// OpenAI's members that are left out without a word, because the answer is the same without them: retention and
/// caching hints, labels, and switches that this wire has always on (usage in a stream).
pub const DROPPED_PARAMS: &[&str] =
    &["store", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "stream_options"];

/// Anthropic's own members that go out as the caller wrote them.
pub const NATIVE_PARAMS: &[&str] = &[
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "output_config",
    "speed",
    "thinking",
];

/// Members of `extra` that are read one by one: `metadata` for its `user_id` (its other labels are OpenAI's and stay
/// here), `service_tier` for the tiers that both sides have, `modalities` for plain text, `web_search_options` as the
/// provider's search tool, `tools` for those that are no functions.
const TRANSLATED_PARAMS: &[&str] = &["metadata", "modalities", "service_tier", "tools", "web_search_options"];

/// Members that the API takes only together with a header `anthropic-beta`, and its value.
const BETA_MEMBERS: &[(&str, &str)] = &[
    ("context_management", "context-management-2025-06-27"),
    ("mcp_servers", "mcp-client-2025-11-20"),
    ("speed", "fast-mode-2026-02-01"),
];
/// The header's value where MCP servers carry their `tool_configuration` themselves, as they did first.
const BETA_MCP_FIRST: &str = "mcp-client-2025-04-04";
const BETA_COMPACTION: &str = "compact-2026-01-12";
const BETA_SKILLS: &str = "skills-2025-10-02";
const BETA_TASK_BUDGET: &str = "task-budgets-2026-03-13";
const BETA_FILES: &str = "files-api-2025-04-14";

/// Refuses a request with parameters that this wire cannot express, naming them all, unless they may be dropped.
///
/// # Errors
/// [`EncodeError::Unsupported`].
pub(super) fn require_supported(request: &ChatRequest, options: &EncodeOptions) -> Result<(), EncodeError> {
    if options.drop_unsupported {
        return Ok(());
    }
    let mut params: Vec<String> = unsupported_sampling(&request.sampling).map(str::to_owned).collect();
    params.extend(
        request.extra.iter().filter(|(name, value)| !is_expressed(name, value)).map(|(name, _)| name.clone()),
    );
    if params.is_empty() { Ok(()) } else { Err(EncodeError::Unsupported { params }) }
}

fn unsupported_sampling(sampling: &Sampling) -> impl Iterator<Item = &'static str> {
    let is_penalty = |penalty: Option<f64>| penalty.is_some_and(|value| value != 0.0);
    [
        ("seed", sampling.seed.is_some()),
        ("n", sampling.n.is_some_and(|n| n != 1)),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|count| count > 0)),
        ("logit_bias", sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
        ("presence_penalty", is_penalty(sampling.presence_penalty)),
        ("frequency_penalty", is_penalty(sampling.frequency_penalty)),
    ]
    .into_iter()
    .filter_map(|(name, is_asked)| is_asked.then_some(name))
}

fn is_expressed(name: &str, value: &Value) -> bool {
    match name {
        _ if value.is_null() || DROPPED_PARAMS.contains(&name) || NATIVE_PARAMS.contains(&name) => true,
        "service_tier" => service_tier(value).is_some(),
        "tools" => value.as_array().is_some_and(|tools| tools.iter().all(hosted::is_hosted)),
        "modalities" => value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
        _ => TRANSLATED_PARAMS.contains(&name),
    }
}

/// The tier in this wire's word. OpenAI's `default` asks for standard capacity only, which is `standard_only` here.
fn service_tier(value: &Value) -> Option<&'static str> {
    match value.as_str() {
        Some("auto") => Some("auto"),
        Some("default" | "standard_only") => Some("standard_only"),
        _ => None,
    }
}

/// Adds the members of `extra` that go out, and the caller's end user. They are in the wire's own words, so they stand
/// before what was translated; `output_config` is merged member by member.
pub(super) fn add_native_members(body: &mut Map<String, Value>, request: &ChatRequest) {
    for (name, value) in &request.extra {
        if value.is_null() || !NATIVE_PARAMS.contains(&name.as_str()) {
            continue;
        }
        match (body.get_mut(name), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) if name == "output_config" => {
                ours.extend(theirs.clone());
            }
            _ => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    if let Some(tier) = request.extra.get("service_tier").and_then(service_tier) {
        body.insert("service_tier".to_owned(), tier.into());
    }
    if let Some(user) = end_user(request) {
        body.insert("metadata".to_owned(), Value::Object(object([("user_id", user.into())])));
    }
}

/// The caller's end user: `metadata.user_id` before `user`, as in LiteLLM. Addresses and telephone numbers never go
/// out, because Anthropic forbids identifying data there.
fn end_user(request: &ChatRequest) -> Option<&str> {
    let metadata_user = request.extra.get("metadata").and_then(|metadata| metadata.get("user_id"));
    metadata_user
        .and_then(Value::as_str)
        .into_iter()
        .chain(request.user.as_deref())
        .find(|user| !user.is_empty() && !is_email(user) && !is_phone_number(user))
}

/// `local@domain.rest` without characters that addresses do not have.
fn is_email(text: &str) -> bool {
    let is_local = |character: char| character.is_ascii_alphanumeric() || "_.+-".contains(character);
    let is_domain = |character: char| character.is_ascii_alphanumeric() || "-.".contains(character);
    let Some((local, domain)) = text.split_once('@') else { return false };
    let Some((host, rest)) = domain.split_once('.') else { return false };
    [local, host, rest].iter().all(|piece| !piece.is_empty())
        && local.chars().all(is_local)
        && domain.chars().all(is_domain)
}

/// Seven or more digits, spaces, brackets and hyphens, maybe after a `+`.
fn is_phone_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_dialled = |character: char| {
        character.is_ascii_digit() || character.is_whitespace() || "()-".contains(character)
    };
    digits.chars().count() >= 7 && digits.chars().all(is_dialled)
}

/// The values of the header `anthropic-beta` that the request needs, in a fixed order.
pub(super) fn betas(extra: &Map<String, Value>, names_files: bool) -> Vec<&'static str> {
    let mut betas = Vec::new();
    for (member, beta) in BETA_MEMBERS {
        match extra.get(*member) {
            None | Some(Value::Null) => {}
            Some(servers) if *member == "mcp_servers" && configures_tools(servers) => {
                betas.push(BETA_MCP_FIRST);
            }
            Some(_) => betas.push(beta),
        }
    }
    let edits = extra.get("context_management").and_then(|management| management.get("edits"));
    let compacts = |edit: &Value| edit.get("type").and_then(Value::as_str) == Some("compact_20260112");
    if edits.and_then(Value::as_array).is_some_and(|edits| edits.iter().any(compacts)) {
        betas.push(BETA_COMPACTION);
    }
    if has_member(extra, "container", "skills") {
        betas.push(BETA_SKILLS);
    }
    if has_member(extra, "output_config", "task_budget") {
        betas.push(BETA_TASK_BUDGET);
    }
    if names_files {
        betas.push(BETA_FILES);
    }
    betas.extend(hosted::betas(extra));
    betas
}

fn configures_tools(servers: &Value) -> bool {
    let configures = |server: &Value| server.get("tool_configuration").is_some_and(|found| !found.is_null());
    servers.as_array().is_some_and(|servers| servers.iter().any(configures))
}

fn has_member(extra: &Map<String, Value>, name: &str, member: &str) -> bool {
    extra.get(name).and_then(|value| value.get(member)).is_some_and(|found| !found.is_null())
}

#[cfg(test)]
mod tests {
    use super::{is_email, is_phone_number};

    #[test]
    fn addresses_and_telephone_numbers_are_told_from_ids() {
        let check =
            |user: &str, expect: bool| assert_eq!(is_email(user) || is_phone_number(user), expect, "{user}");
        check("ann@example.org", true);
        check("a.b+c@mail.example.co.uk", true);
        check("+1 (555) 010-9999", true);
        check("5550109", true);
        check("555010", false);
        check("user-5550109", false);
        check("ann@example", false);
        check("@example.org", false);
        check("ann@ex ample.org", false);
        check("6f1c2d3e-aaaa-4bbb-8ccc-0123456789ab", false);
        check("", false);
    }
}
