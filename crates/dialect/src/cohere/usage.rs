//! Token counts.
//!
//! Cohere says twice what a request used: `billed_units`, which is what its price list counts, and `tokens`, with the
//! instructions that it adds itself (its guide to token counting). **Invariant:** the model's counts are the billed
//! ones, as LiteLLM's are, and what was counted beyond them is in the `unbilled` fields, so that both come out again.

use crate::conversation::Usage;
use crate::json::value::{count, insert};
use serde_json::{Map, Value, json};

/// Reads a `usage` object; `None` when it counts nothing at all.
pub(super) fn read(usage: &Value) -> Option<Usage> {
    let of = |group: &str, name: &str| usage.get(group).and_then(|group| count(group, name));
    let billed = (of("billed_units", "input_tokens"), of("billed_units", "output_tokens"));
    let counted = (of("tokens", "input_tokens"), of("tokens", "output_tokens"));
    let input = billed.0.or(counted.0);
    let output = billed.1.or(counted.1);
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    Some(Usage {
        input_tokens: input,
        cached_tokens: count(usage, "cached_tokens").unwrap_or(0).min(input),
        output_tokens: output,
        unbilled_input_tokens: counted.0.unwrap_or(input).saturating_sub(input),
        unbilled_output_tokens: counted.1.unwrap_or(output).saturating_sub(output),
        search_units: of("billed_units", "search_units").unwrap_or(0),
        ..Usage::default()
    })
}

/// Writes a `usage` object.
pub(super) fn write(usage: &Usage) -> Value {
    let mut billed = Map::new();
    insert(&mut billed, "input_tokens", usage.input_tokens);
    insert(&mut billed, "output_tokens", usage.output_tokens);
    if usage.search_units > 0 {
        insert(&mut billed, "search_units", usage.search_units);
    }
    json!({
        "billed_units": billed,
        "tokens": {
            "input_tokens": usage.input_tokens.saturating_add(usage.unbilled_input_tokens),
            "output_tokens": usage.output_tokens.saturating_add(usage.unbilled_output_tokens),
        },
        "cached_tokens": usage.cached_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_billed_counts_and_what_is_counted_comes_out_again() {
        let usage = json!({
            "billed_units": {"input_tokens": 12.0, "output_tokens": 5.0, "search_units": 1},
            "tokens": {"input_tokens": 512, "output_tokens": 9},
            "cached_tokens": 4,
        });
        let read_usage = read(&usage).unwrap();
        assert_eq!((read_usage.input_tokens, read_usage.output_tokens), (12, 5));
        assert_eq!((read_usage.unbilled_input_tokens, read_usage.unbilled_output_tokens), (500, 4));
        assert_eq!(read(&write(&read_usage)), Some(read_usage));
    }

    #[test]
    fn one_of_the_two_is_enough_and_none_is_no_usage() {
        let check = |usage: Value, expect: Option<(u64, u64, u64)>| {
            let found = read(&usage).map(|u| (u.input_tokens, u.output_tokens, u.unbilled_input_tokens));
            assert_eq!(found, expect, "{usage}");
        };
        check(json!({"tokens": {"input_tokens": 7, "output_tokens": 2}}), Some((7, 2, 0)));
        check(json!({"billed_units": {"input_tokens": 7, "output_tokens": 0}}), Some((7, 0, 0)));
        // An explicit zero is a count: Cohere bills nothing for some of its models.
        check(
            json!({"billed_units": {"input_tokens": 0, "output_tokens": 0}, "tokens": {"input_tokens": 7}}),
            Some((0, 0, 7)),
        );
        check(json!({"billed_units": {"input_tokens": -3}}), None);
        check(json!({}), None);
        check(json!(null), None);
    }
}
