//! Token counts of the wire, merged over a stream and summed as the conversation model wants them.
//!
//! Anthropic counts the prompt in three disjoint parts (fresh, read from the cache, written to it); the model wants the
//! whole. Counts in a stream are cumulative: each one replaces the one before, and an explicit zero is a count.
//! `usage.iterations` tells the parts of one request apart: those of type `message` and `fallback_message` are in the
//! top level already; `compaction` (documented at `BetaUsage.iterations`) and `advisor_message` (guide to the advisor
//! tool) are not, and are billed. **Invariant:** nothing is ever added up over events.

use super::members::{count, filled_text, object, text};
use crate::conversation::Usage;
use serde_json::{Map, Value};

/// Types of iterations that the top level leaves out.
const BESIDE: [&str; 2] = ["compaction", "advisor_message"];

/// What a reply, or a stream so far, said about tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WireUsage {
    answer: Counts,
    /// Tokens of iterations that the top level leaves out but the bill does not.
    beside: Counts,
    searches: u64,
    fetches: u64,
    thinking: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    fresh: u64,
    read: u64,
    written: u64,
    written_1h: u64,
    output: u64,
}

impl Counts {
    /// Takes the counts that are there; the others stay.
    fn merge(&mut self, usage: &Value) {
        let take = |kept: &mut u64, name: &str| *kept = count(usage, name).unwrap_or(*kept);
        take(&mut self.fresh, "input_tokens");
        take(&mut self.read, "cache_read_input_tokens");
        take(&mut self.output, "output_tokens");
        if let Some(split) = usage.get("cache_creation").filter(|split| split.is_object()) {
            let (short, long) =
                (count(split, "ephemeral_5m_input_tokens"), count(split, "ephemeral_1h_input_tokens"));
            self.written_1h = long.unwrap_or(self.written_1h);
            self.written = short.unwrap_or(0).saturating_add(self.written_1h);
        }
        take(&mut self.written, "cache_creation_input_tokens");
    }

    fn plus(self, other: Self) -> Self {
        Self {
            fresh: self.fresh.saturating_add(other.fresh),
            read: self.read.saturating_add(other.read),
            written: self.written.saturating_add(other.written),
            written_1h: self.written_1h.saturating_add(other.written_1h),
            output: self.output.saturating_add(other.output),
        }
    }
}

impl WireUsage {
    /// Takes what a `usage` object says.
    pub(super) fn merge(&mut self, usage: &Value) {
        self.answer.merge(usage);
        if let Some(iterations) = usage.get("iterations").and_then(Value::as_array) {
            self.beside = iterations
                .iter()
                .filter(|iteration| text(iteration, "type").is_some_and(|kind| BESIDE.contains(&kind)))
                .fold(Counts::default(), |sum, iteration| {
                    let mut counts = Counts::default();
                    counts.merge(iteration);
                    sum.plus(counts)
                });
        }
        if let Some(searches) = nested_count(usage, "server_tool_use", "web_search_requests") {
            self.searches = searches;
        }
        if let Some(fetches) = nested_count(usage, "server_tool_use", "web_fetch_requests") {
            self.fetches = fetches;
        }
        if let Some(thinking) = nested_count(usage, "output_tokens_details", "thinking_tokens") {
            self.thinking = thinking;
        }
    }

    /// The counts of the conversation model.
    pub(super) fn total(&self) -> Usage {
        let counts = self.answer.plus(self.beside);
        let written_1h = counts.written_1h.min(counts.written);
        Usage {
            input_tokens: counts.fresh.saturating_add(counts.read).saturating_add(counts.written),
            cached_tokens: counts.read,
            cache_write_tokens: counts.written - written_1h,
            cache_write_1h_tokens: written_1h,
            output_tokens: counts.output,
            reasoning_tokens: self.thinking,
            web_search_requests: self.searches,
            web_fetch_requests: self.fetches,
            ..Usage::default()
        }
    }
}

fn nested_count(usage: &Value, group: &str, name: &str) -> Option<u64> {
    usage.get(group).and_then(|found| count(found, name))
}

/// The tier in OpenAI's word, where it has one.
pub(super) fn service_tier(usage: &Value) -> Option<String> {
    let tier = filled_text(usage, "service_tier")?;
    Some(if tier == "standard" { "default" } else { tier }.to_owned())
}

/// Writes the counts for a caller, as the members of `usage` in a reply, in `message_start` and, cumulative as well, in
/// `message_delta`. `tier` is in OpenAI's word or in the provider's.
pub(super) fn write(usage: &Usage, tier: Option<&str>) -> Map<String, Value> {
    let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
    let cached = usage.cached_tokens.saturating_add(written);
    let mut members = object([
        ("input_tokens", usage.input_tokens.saturating_sub(cached).into()),
        ("cache_creation_input_tokens", written.into()),
        ("cache_read_input_tokens", usage.cached_tokens.into()),
    ]);
    let split = object([
        ("ephemeral_5m_input_tokens", usage.cache_write_tokens.into()),
        ("ephemeral_1h_input_tokens", usage.cache_write_1h_tokens.into()),
    ]);
    members.insert("cache_creation".to_owned(), Value::Object(split));
    members.insert("output_tokens".to_owned(), usage.output_tokens.into());
    if usage.reasoning_tokens > 0 {
        let details = object([("thinking_tokens", usage.reasoning_tokens.into())]);
        members.insert("output_tokens_details".to_owned(), Value::Object(details));
    }
    if usage.web_search_requests > 0 || usage.web_fetch_requests > 0 {
        let tools = object([
            ("web_search_requests", usage.web_search_requests.into()),
            ("web_fetch_requests", usage.web_fetch_requests.into()),
        ]);
        members.insert("server_tool_use".to_owned(), Value::Object(tools));
    }
    if let Some(tier) = tier.and_then(own_tier) {
        members.insert("service_tier".to_owned(), tier.into());
    }
    members
}

/// Anthropic's word for a tier; none for those that it does not have (`flex`, `scale`).
pub(super) fn own_tier(tier: &str) -> Option<&'static str> {
    match tier {
        "default" | "standard" | "standard_only" | "auto" | "on_demand" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}
