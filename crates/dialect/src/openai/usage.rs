//! The `usage` object of OpenAI's wire: how many tokens a request took.
//!
//! Owns the names that OpenAI, LiteLLM and the OpenAI-compatible providers give to the counts. Leaves prices to others.
//! **Invariant:** `prompt_tokens` and `completion_tokens` are totals: every other count is a part of one of them.

use super::write::Object;
use crate::conversation::Usage;
use serde_json::Value;

/// Reads a `usage` object; `None` when it is `null`, no object, or holds no count of the prompt and of the answer.
pub fn read_usage(value: &Value) -> Option<Usage> {
    let members = value.as_object()?;
    let top = |name: &str| members.get(name).and_then(count);
    let detail = |group: &str, name: &str| members.get(group)?.get(name).and_then(count);
    let input = |name: &str| detail("prompt_tokens_details", name);
    let output = |name: &str| detail("completion_tokens_details", name);
    let (prompt, completion) = (top("prompt_tokens"), top("completion_tokens"));
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let input_tokens = prompt.unwrap_or(0);
    // DeepSeek names the cached part `prompt_cache_hit_tokens`; Moonshot puts `cached_tokens` at the top.
    let cached_tokens = input("cached_tokens")
        .or_else(|| top("prompt_cache_hit_tokens"))
        .or_else(|| top("cached_tokens"))
        .or_else(|| top("cache_read_input_tokens"))
        .unwrap_or(0)
        .min(input_tokens);
    let written_tokens = input("cache_creation_tokens")
        .or_else(|| input("cache_write_tokens"))
        .or_else(|| top("cache_creation_input_tokens"))
        .unwrap_or(0)
        .min(input_tokens - cached_tokens);
    let cache_write_1h_tokens = members
        .get("prompt_tokens_details")
        .and_then(|details| details.get("cache_creation_token_details")?.get("ephemeral_1h_input_tokens"))
        .and_then(count)
        .unwrap_or(0)
        .min(written_tokens);
    let reasoning_tokens = output("reasoning_tokens").unwrap_or(0);
    let output_tokens =
        total_output(completion.unwrap_or(0), reasoning_tokens, input_tokens, top("total_tokens"));
    Some(Usage {
        input_tokens,
        cached_tokens,
        cache_write_tokens: written_tokens - cache_write_1h_tokens,
        cache_write_1h_tokens,
        tool_prompt_tokens: input("tool_tokens").unwrap_or(0).min(input_tokens),
        input_audio_tokens: input("audio_tokens").unwrap_or(0).min(input_tokens),
        input_image_tokens: input("image_tokens").unwrap_or(0).min(input_tokens),
        output_tokens,
        reasoning_tokens: reasoning_tokens.min(output_tokens),
        output_audio_tokens: output("audio_tokens").unwrap_or(0).min(output_tokens),
        output_image_tokens: output("image_tokens").unwrap_or(0).min(output_tokens),
        web_search_requests: detail("server_tool_use", "web_search_requests")
            .or_else(|| input("web_search_requests"))
            .unwrap_or(0),
        web_fetch_requests: detail("server_tool_use", "web_fetch_requests").unwrap_or(0),
        ..Usage::default()
    })
}

/// The tokens of the answer with hidden reasoning. OpenAI counts reasoning inside `completion_tokens`; xAI counts it
/// beside them, which shows in `total_tokens`.
fn total_output(completion: u64, reasoning: u64, prompt: u64, total: Option<u64>) -> u64 {
    let inside = prompt.saturating_add(completion);
    let reasoning_is_beside =
        reasoning > 0 && total.is_some_and(|total| total == inside.saturating_add(reasoning));
    if reasoning_is_beside { completion.saturating_add(reasoning) } else { completion }
}

/// A count, which some providers write as a float without a fraction.
fn count(value: &Value) -> Option<u64> {
    // The largest integer that every smaller one can also be told from in a double (2^53).
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let is_whole = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, and within 0..=2^53"
        )]
        is_whole.then_some(number as u64)
    })
}

/// Writes the object that stands under `usage` in a reply or in a stream's last chunk.
pub(super) fn write_usage(usage: &Usage, out: &mut Vec<u8>) {
    let mut out = Object::open(out);
    out.integer("prompt_tokens", usage.input_tokens);
    out.integer("completion_tokens", usage.output_tokens);
    out.integer("total_tokens", usage.total_tokens());
    out.object("prompt_tokens_details", |details| write_prompt_details(usage, details));
    out.object("completion_tokens_details", |details| {
        details.integer("reasoning_tokens", usage.reasoning_tokens);
        details.integer("audio_tokens", usage.output_audio_tokens);
        integer_unless_zero(details, "image_tokens", usage.output_image_tokens);
    });
    integer_unless_zero(&mut out, "cache_creation_input_tokens", written_tokens(usage));
    integer_unless_zero(&mut out, "cache_read_input_tokens", usage.cached_tokens);
    if usage.web_search_requests > 0 || usage.web_fetch_requests > 0 {
        out.object("server_tool_use", |tools| {
            integer_unless_zero(tools, "web_search_requests", usage.web_search_requests);
            integer_unless_zero(tools, "web_fetch_requests", usage.web_fetch_requests);
        });
    }
    out.close();
}

fn write_prompt_details(usage: &Usage, details: &mut Object<'_>) {
    details.integer("cached_tokens", usage.cached_tokens);
    details.integer("audio_tokens", usage.input_audio_tokens);
    integer_unless_zero(details, "image_tokens", usage.input_image_tokens);
    integer_unless_zero(details, "tool_tokens", usage.tool_prompt_tokens);
    integer_unless_zero(details, "cache_creation_tokens", written_tokens(usage));
    if usage.cache_write_1h_tokens > 0 {
        details.object("cache_creation_token_details", |times| {
            times.integer("ephemeral_5m_input_tokens", usage.cache_write_tokens);
            times.integer("ephemeral_1h_input_tokens", usage.cache_write_1h_tokens);
        });
    }
}

fn written_tokens(usage: &Usage) -> u64 {
    usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens)
}

fn integer_unless_zero(object: &mut Object<'_>, name: &str, number: u64) {
    if number > 0 {
        object.integer(name, number);
    }
}
