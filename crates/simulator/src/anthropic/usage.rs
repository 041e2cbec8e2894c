//! Token counts as Anthropic reports them.
//!
//! Owns: their shape, what tools of the server and several iterations add. Leaves to others: the counting (`compose`),
//! the prompt cache (`cache`).
//!
//! **Invariant:** what was read from the cache, what was written to it and the rest of the prompt are three numbers that
//! add up to the prompt.

use crate::compose::{Composed, Counts};
use serde_json::{Value, json};

/// Tokens of one compaction that is reported as an iteration of its own.
const COMPACTION: (u64, u64) = (100, 10);

/// The counts of an answer.
pub(super) fn usage(composed: &Composed, tier: &str) -> Value {
    let mut usage = counts(&composed.counts, tier);
    let Some(fields) = usage.as_object_mut() else { return usage };
    if composed.searched {
        fields
            .insert("server_tool_use".to_owned(), json!({"web_search_requests": 1, "web_fetch_requests": 0}));
    }
    if composed.extras.iterations > 0 {
        fields.insert("iterations".to_owned(), json!(iterations(composed)));
    }
    usage
}

/// The counts alone.
pub(super) fn counts(counts: &Counts, tier: &str) -> Value {
    json!({
        "input_tokens": rest(counts),
        "cache_creation_input_tokens": counts.cache_written,
        "cache_read_input_tokens": counts.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.cache_written.saturating_sub(counts.cache_written_1h),
            "ephemeral_1h_input_tokens": counts.cache_written_1h,
        },
        "output_tokens": counts.completion,
        "output_tokens_details": {"thinking_tokens": counts.reasoning},
        "service_tier": tier,
    })
}

/// What neither came from the cache nor went to it.
fn rest(counts: &Counts) -> u64 {
    counts.prompt.saturating_sub(counts.cached).saturating_sub(counts.cache_written)
}

/// Compactions, whose tokens the counts of the answer leave out, and then the message, whose tokens those are.
fn iterations(composed: &Composed) -> Vec<Value> {
    let one = |kind: &str, input: u64, output: u64, cache: (u64, u64)| {
        json!({
            "type": kind,
            "input_tokens": input,
            "output_tokens": output,
            "cache_read_input_tokens": cache.0,
            "cache_creation_input_tokens": cache.1,
            "cache_creation": {"ephemeral_5m_input_tokens": cache.1, "ephemeral_1h_input_tokens": 0},
        })
    };
    let counts = &composed.counts;
    let compactions =
        (1..composed.extras.iterations).map(|_| one("compaction", COMPACTION.0, COMPACTION.1, (0, 0)));
    let message = one("message", rest(counts), counts.completion, (counts.cached, counts.cache_written));
    compactions.chain([message]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extras::Extras;

    #[test]
    fn compactions_come_beside_the_counts_of_the_message() {
        let counts = Counts { prompt: 50, cached: 20, completion: 7, ..Counts::default() };
        let extras = Extras { iterations: 3, ..Extras::default() };
        let composed = Composed { counts, extras, ..Composed::default() };
        let usage = usage(&composed, "standard");
        let iterations = usage["iterations"].as_array().unwrap();
        let kinds: Vec<&str> = iterations.iter().map(|one| one["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["compaction", "compaction", "message"]);
        assert_eq!((&iterations[2]["input_tokens"], &usage["input_tokens"]), (&json!(30), &json!(30)));
        assert_eq!(iterations[0]["output_tokens"], 10);
    }

    #[test]
    fn what_stays_for_an_hour_is_told_apart() {
        let counts = Counts { prompt: 90, cache_written: 60, cache_written_1h: 40, ..Counts::default() };
        let usage = super::counts(&counts, "batch");
        assert_eq!(usage["input_tokens"], 30);
        assert_eq!(
            usage["cache_creation"],
            json!({"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40})
        );
        assert_eq!(usage["service_tier"], "batch");
    }
}
