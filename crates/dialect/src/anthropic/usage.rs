//! Token counts of the wire, merged over a stream and summed as the conversation model wants them.
//!
//! Anthropic counts the prompt in three disjoint parts (fresh, read from the cache, written to it); the model wants the
//! whole. Counts in a stream are cumulative: each one replaces the one before, and an explicit zero is a count.
//! **Invariant:** nothing is ever added up over events.

use super::members::{count, text};
use crate::conversation::Usage;
use serde_json::Value;

/// What a reply, or a stream so far, said about tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WireUsage {
    answer: Counts,
    /// Tokens of context compaction, which the top level leaves out but the bill does not (`usage.iterations`).
    compaction: Counts,
    searches: u64,
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
            self.compaction = iterations
                .iter()
                .filter(|iteration| text(iteration, "type") == Some("compaction"))
                .fold(Counts::default(), |sum, iteration| {
                    let mut counts = Counts::default();
                    counts.merge(iteration);
                    sum.plus(counts)
                });
        }
        if let Some(searches) = nested_count(usage, "server_tool_use", "web_search_requests") {
            self.searches = searches;
        }
        if let Some(thinking) = nested_count(usage, "output_tokens_details", "thinking_tokens") {
            self.thinking = thinking;
        }
    }

    /// The counts of the conversation model.
    pub(super) fn total(&self) -> Usage {
        let counts = self.answer.plus(self.compaction);
        let written_1h = counts.written_1h.min(counts.written);
        Usage {
            input_tokens: counts.fresh.saturating_add(counts.read).saturating_add(counts.written),
            cached_tokens: counts.read,
            cache_write_tokens: counts.written - written_1h,
            cache_write_1h_tokens: written_1h,
            output_tokens: counts.output,
            reasoning_tokens: self.thinking,
            web_search_requests: self.searches,
            ..Usage::default()
        }
    }
}

fn nested_count(usage: &Value, group: &str, name: &str) -> Option<u64> {
    usage.get(group).and_then(|found| count(found, name))
}
