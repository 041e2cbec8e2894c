//! Token counts of the wire. `inputTokens` leaves out what was read from the prompt cache and what was written to it;
//! the model counts all of it. **Invariant:** a usage that was written reads back the same, as far as the wire counts.

use super::members::{count, items, object, text};
use crate::conversation::Usage;
use serde_json::Value;

/// Reads a `usage` object.
pub(super) fn read(usage: &Value) -> Usage {
    let tokens = |name: &str| count(usage, name).unwrap_or(0);
    let (read, written) = (tokens("cacheReadInputTokens"), tokens("cacheWriteInputTokens"));
    let of_time = |ttl: &str| {
        let details = items(usage, "cacheDetails").iter();
        let of_time = details.filter(|detail| text(detail, "ttl") == Some(ttl));
        of_time.fold(0_u64, |sum, detail| sum.saturating_add(count(detail, "inputTokens").unwrap_or(0)))
    };
    let long = of_time("1h");
    // The details are a breakdown of the total; alone, they are the total.
    let written = if written == 0 { long.saturating_add(of_time("5m")) } else { written };
    let long = long.min(written);
    Usage {
        input_tokens: tokens("inputTokens").saturating_add(read).saturating_add(written),
        cached_tokens: read,
        cache_write_tokens: written - long,
        cache_write_1h_tokens: long,
        output_tokens: tokens("outputTokens"),
        ..Usage::default()
    }
}

/// Writes a `usage` object.
pub(super) fn write(usage: &Usage) -> Value {
    let (short, long) = (usage.cache_write_tokens, usage.cache_write_1h_tokens);
    let written = short.saturating_add(long);
    let fresh = usage.input_tokens.saturating_sub(usage.cached_tokens).saturating_sub(written);
    let mut written_usage = object([
        ("inputTokens", fresh.into()),
        ("outputTokens", usage.output_tokens.into()),
        ("totalTokens", usage.total_tokens().into()),
        ("cacheReadInputTokens", usage.cached_tokens.into()),
        ("cacheWriteInputTokens", written.into()),
    ]);
    // Sorted by time, the longest first, as the service has it.
    let details: Vec<Value> = [("1h", long), ("5m", short)]
        .into_iter()
        .filter(|(_, tokens)| *tokens > 0)
        .map(|(ttl, tokens)| object([("ttl", ttl.into()), ("inputTokens", tokens.into())]))
        .collect();
    if let Some(members) = written_usage.as_object_mut().filter(|_| !details.is_empty()) {
        members.insert("cacheDetails".to_owned(), Value::Array(details));
    }
    written_usage
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cache_tokens_are_counted_once() {
        let check = |usage: Value, expect: [u64; 5]| {
            let found = read(&usage);
            let counts = [
                found.input_tokens,
                found.cached_tokens,
                found.cache_write_tokens,
                found.cache_write_1h_tokens,
                found.output_tokens,
            ];
            assert_eq!(counts, expect, "{usage}");
        };
        check(json!({"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}), [3, 0, 0, 0, 5]);
        check(
            json!({"inputTokens": 3, "outputTokens": 5, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 20}),
            [33, 10, 20, 0, 5],
        );
        let details = json!([{"ttl": "1h", "inputTokens": 15}, {"ttl": "5m", "inputTokens": 5}]);
        check(
            json!({"inputTokens": 3, "outputTokens": 0, "cacheWriteInputTokens": 20, "cacheDetails": details}),
            [23, 0, 5, 15, 0],
        );
        check(json!({"inputTokens": 3, "outputTokens": 0, "cacheDetails": details}), [23, 0, 5, 15, 0]);
        let too_much = json!([{"ttl": "1h", "inputTokens": 50}]);
        check(
            json!({"inputTokens": 1, "cacheWriteInputTokens": 20, "cacheDetails": too_much}),
            [21, 0, 0, 20, 0],
        );
    }

    #[test]
    fn a_written_usage_reads_back_the_same() {
        for (cached, short, long) in [(0, 0, 0), (7, 0, 0), (0, 8, 0), (1, 2, 4)] {
            let usage = Usage {
                input_tokens: 100,
                cached_tokens: cached,
                cache_write_tokens: short,
                cache_write_1h_tokens: long,
                output_tokens: 9,
                ..Usage::default()
            };
            let written = write(&usage);
            assert_eq!(read(&written), usage, "{written}");
            assert_eq!(written["totalTokens"], 109);
        }
    }
}
