//! Which parameters this wire has: the table, and the request's members that it admits, ignores or refuses.
//!
//! Names are OpenAI's for what the conversation model has a field for, and the caller's own for what comes in `extra`.

use super::hosted;
use super::members::object;
use super::own::Own;
use crate::conversation::{ChatRequest, Sampling};
use crate::wire::{
    Capabilities, Dialect, EncodeError, EncodeOptions, Losses, Support, note_ignored, support,
};
use serde_json::{Map, Value};

/// What this wire does with each of OpenAI's chat parameters. Values that ask for nothing (`n: 1`, a penalty of 0,
/// `logprobs: false`) are no reason to refuse.
pub const CAPABILITIES: Capabilities = &[
    ("max_tokens", Support::Takes),
    ("max_completion_tokens", Support::Takes),
    ("stream", Support::Takes),
    ("temperature", Support::Takes),
    ("top_p", Support::Takes),
    ("top_k", Support::Takes),
    ("stop", Support::Takes),
    ("thinking", Support::Takes),
    ("tools", Support::Translates),
    ("tool_choice", Support::Translates),
    ("functions", Support::Translates),
    ("function_call", Support::Translates),
    ("parallel_tool_calls", Support::Translates),
    ("response_format", Support::Translates),
    ("reasoning_effort", Support::Translates),
    ("user", Support::Translates),
    // Its `user_id`; OpenAI's own labels stay here.
    ("metadata", Support::Translates),
    ("safety_identifier", Support::Translates),
    ("service_tier", Support::Translates),
    // Plain text only.
    ("modalities", Support::Translates),
    ("web_search_options", Support::Translates),
    // Retention and caching hints, and a switch that this wire has always on (usage in a stream).
    ("store", Support::Ignores),
    ("stream_options", Support::Ignores),
    ("prompt_cache_key", Support::Ignores),
    ("prompt_cache_retention", Support::Ignores),
    ("seed", Support::Refuses),
    ("n", Support::Refuses),
    ("logprobs", Support::Refuses),
    ("top_logprobs", Support::Refuses),
    ("logit_bias", Support::Refuses),
    ("presence_penalty", Support::Refuses),
    ("frequency_penalty", Support::Refuses),
    ("audio", Support::Refuses),
    ("prediction", Support::Refuses),
    ("verbosity", Support::Refuses),
];

/// Anthropic's own members that a caller of OpenAI's dialect may write beside OpenAI's; they go out as they are.
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

/// Members that the API takes only together with a header `anthropic-beta`, and its value.
const BETA_MEMBERS: &[(&str, &str)] = &[
    ("compaction", "compact-2026-09-04"),
    ("context_management", "context-management-2025-06-27"),
    ("fallback_credit_token", "fallback-credit-2026-07-01"),
    ("fallbacks", "server-side-fallback-2026-07-01"),
    ("mcp_servers", "mcp-client-2025-11-20"),
    ("speed", "fast-mode-2026-02-01"),
    ("thread", "message-threads-2026-08-12"),
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
pub(super) fn require_supported(
    request: &ChatRequest,
    options: &EncodeOptions,
    lost: &mut Losses,
) -> Result<(), EncodeError> {
    let in_extra = request.extra.iter().filter(|(name, value)| !is_expressed(name, value));
    let params = asked_sampling(&request.sampling)
        .filter(|name| support(CAPABILITIES, name) == Support::Refuses)
        .chain(in_extra.map(|(name, _)| name.as_str()))
        .filter(|name| !is_allowed(options, name))
        .map(str::to_owned)
        .collect();
    refuse_or_note(params, options, lost)?;
    note_ignored(CAPABILITIES, request, |name| is_allowed(options, name), lost);
    // Of the labels, the end user alone has a place here.
    let labels = request.extra.get("metadata").and_then(Value::as_object);
    let has_others = labels.is_some_and(|labels| labels.keys().any(|name| name != "user_id"));
    if has_others && !is_allowed(options, "metadata") {
        lost.note("metadata");
    }
    // A tier is a wish about the price, not about the answer.
    let tier = request.extra.get("service_tier").filter(|tier| !tier.is_null());
    if tier.is_some_and(|tier| service_tier(tier).is_none()) && !is_allowed(options, "service_tier") {
        lost.note("service_tier");
    }
    Ok(())
}

/// Parameters that cannot be said: an error that names them, or notes of what was left out.
pub(super) fn refuse_or_note(
    params: Vec<String>,
    options: &EncodeOptions,
    lost: &mut Losses,
) -> Result<(), EncodeError> {
    if !params.is_empty() && !options.drop_unsupported {
        return Err(EncodeError::Unsupported { params });
    }
    for name in params {
        lost.note(name);
    }
    Ok(())
}

/// The operator lets the parameter through, whatever this wire says of it.
pub(super) fn is_allowed(options: &EncodeOptions, name: &str) -> bool {
    options.allowed_params.iter().any(|allowed| allowed == name)
}

/// Parameters with a field of their own that the request makes use of.
fn asked_sampling(sampling: &Sampling) -> impl Iterator<Item = &str> {
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
    if value.is_null() || NATIVE_PARAMS.contains(&name) {
        return true;
    }
    match name {
        "tools" => value.as_array().is_some_and(|tools| tools.iter().all(hosted::is_hosted)),
        // Of the choice, only what has no field: OpenAI's `allowed_tools`.
        "tool_choice" => false,
        "modalities" => value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
        _ => support(CAPABILITIES, name) != Support::Refuses,
    }
}

/// The tier in this wire's word. OpenAI's `default` asks for standard capacity only, which is `standard_only` here;
/// its `priority` for the capacity that `auto` takes where the account has it.
fn service_tier(value: &Value) -> Option<&'static str> {
    match value.as_str() {
        Some("auto" | "priority") => Some("auto"),
        Some("default" | "standard_only") => Some("standard_only"),
        _ => None,
    }
}

/// A top-level member in the wire's own words: an Anthropic caller's, or what another wrote beside OpenAI's members.
pub(super) fn native_member<'r>(request: &'r ChatRequest, name: &str) -> Option<&'r Value> {
    let own = if request.dialect == Dialect::Anthropic { request.native.get(name) } else { None };
    own.or_else(|| request.extra.get(name)).filter(|value| !value.is_null())
}

/// Adds the members in the wire's own words, and the caller's end user. They stand before what was translated;
/// `output_config` is merged member by member.
pub(super) fn add_native_members(
    body: &mut Map<String, Value>,
    request: &ChatRequest,
    own: &Own<'_>,
    lost: &mut Losses,
) {
    let beside = request.extra.iter().filter(|(name, _)| NATIVE_PARAMS.contains(&name.as_str()));
    for (name, value) in beside.chain(own.top_level()) {
        match (body.get_mut(name), value) {
            (_, Value::Null) => {}
            (Some(Value::Object(ours)), Value::Object(theirs)) if name == "output_config" => {
                ours.extend(theirs.clone());
            }
            _ => insert(body, name, value.clone()),
        }
    }
    if let Some(tier) = request.extra.get("service_tier").and_then(service_tier) {
        insert(body, "service_tier", tier.into());
    }
    match (end_user(request), body.get_mut("metadata")) {
        (Some(user), Some(Value::Object(metadata))) => insert(metadata, "user_id", user.into()),
        (Some(user), _) => insert(body, "metadata", Value::Object(object([("user_id", user.into())]))),
        (None, _) if request.user.as_deref().is_some_and(|user| !user.is_empty()) => lost.note("user"),
        (None, _) => {}
    }
}

fn insert(body: &mut Map<String, Value>, name: &str, value: Value) {
    body.insert(name.to_owned(), value);
}

/// The caller's end user: `metadata.user_id` before `user`, as in LiteLLM, before the newer `safety_identifier`.
/// Addresses and telephone numbers never go out, because Anthropic forbids identifying data there.
fn end_user(request: &ChatRequest) -> Option<&str> {
    let metadata_user = request.extra.get("metadata").and_then(|metadata| metadata.get("user_id"));
    let identifier = request.extra.get("safety_identifier").and_then(Value::as_str);
    metadata_user
        .and_then(Value::as_str)
        .into_iter()
        .chain(request.user.as_deref())
        .chain(identifier)
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
pub(super) fn betas(request: &ChatRequest, names_files: bool) -> Vec<&'static str> {
    let mut betas = Vec::new();
    for (member, beta) in BETA_MEMBERS {
        match native_member(request, member) {
            None => {}
            Some(servers) if *member == "mcp_servers" && configures_tools(servers) => {
                betas.push(BETA_MCP_FIRST);
            }
            Some(_) => betas.push(beta),
        }
    }
    let edits = native_member(request, "context_management").and_then(|management| management.get("edits"));
    let compacts = |edit: &Value| edit.get("type").and_then(Value::as_str) == Some("compact_20260112");
    if edits.and_then(Value::as_array).is_some_and(|edits| edits.iter().any(compacts)) {
        betas.push(BETA_COMPACTION);
    }
    if has_member(request, "container", "skills") {
        betas.push(BETA_SKILLS);
    }
    if has_member(request, "output_config", "task_budget") {
        betas.push(BETA_TASK_BUDGET);
    }
    if names_files {
        betas.push(BETA_FILES);
    }
    betas.extend(hosted::betas(&request.extra));
    betas
}

fn configures_tools(servers: &Value) -> bool {
    let configures = |server: &Value| server.get("tool_configuration").is_some_and(|found| !found.is_null());
    servers.as_array().is_some_and(|servers| servers.iter().any(configures))
}

fn has_member(request: &ChatRequest, name: &str, member: &str) -> bool {
    native_member(request, name).and_then(|value| value.get(member)).is_some_and(|found| !found.is_null())
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
